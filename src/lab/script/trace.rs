//! `trace` and `why`: the last packet again, or another one, as text, as JSON, as a picture, or for one rule.

use std::path::Path;

use nom::combinator::opt;

use crate::base::bytes::{os_of, text_of_path};
use crate::base::{Family, InterfaceName};
use crate::engine::Router;
use crate::explain::account::Account;
use crate::explain::picture;
use crate::explain::story::Detail;
use crate::explain::why::{RuleName, Why};
use crate::lab::memory::{Lab, Passage};
use crate::lab::send::{A_PACKET, Draft, PACKETS, packet, split_parentheses};
use crate::rule::TableRules;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Word, Words, unexpected};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Trace {
    pub form: Form,
    pub packet: Which,
}

/// The packet that is told of.
#[derive(Clone, Debug)]
pub enum Which {
    Last,
    /// By its number.
    Earlier(u64),
    /// It is sent first: by an interface, or (`None`) from the router.
    Sent(Option<InterfaceName>, Draft),
}

/// How it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    Text(Detail),
    /// On a line.
    Json,
    /// Into this file; `-` is what is printed.
    Svg(String),
    /// One rule alone.
    Why {
        rule: RuleName,
        json: bool,
    },
}

/// `trace [--short] [--json] [--svg FILE] [--why RULE] [N | INTERFACE PACKET]`, after its first word.
pub(crate) fn parse_trace(rest: &mut Words<'_>) -> Result<Trace, Problem> {
    let mut form = Form::Text(Detail::Whole);
    let mut json = false;
    while let Some(word) = rest.read(opt(words::fitting(|word| word.text.starts_with('-'))))? {
        match word.text.as_str() {
            "--short" => form = Form::Text(Detail::Short),
            "--json" => json = true,
            // Names are addresses by now.
            "-4" | "-6" => {}
            "--svg" => form = Form::Svg(rest.read(words::text("a file for the picture"))?),
            "--why" => {
                form = Form::Why {
                    rule: one_rule(rest)?,
                    json,
                }
            }
            _ => {
                return Err(unexpected(
                    word,
                    "expected --short, --json, --svg FILE or --why RULE",
                    "",
                ));
            }
        }
    }
    form = match (form, json) {
        (Form::Why { rule, .. }, json) => Form::Why { rule, json },
        (Form::Text(_), true) => Form::Json,
        (form, _) => form,
    };
    let number = |word: &Word| !word.text.is_empty() && word.text.bytes().all(|letter| letter.is_ascii_digit());
    let packet = match rest.read(opt(words::fitting(number)))? {
        Some(word) => {
            rest.read(words::end("expected the end of the line behind a packet's number"))?;
            Which::Earlier(word.text.parse().unwrap_or(u64::MAX))
        }
        None if rest.is_done() => Which::Last,
        None => {
            let (interface, draft) = interface_and_packet(rest)?;
            Which::Sent(interface, draft)
        }
    };
    Ok(Trace { form, packet })
}

/// `why [[-4|-6] RULE]`, after its first word.
pub(crate) fn parse_why(rest: &mut Words<'_>) -> Result<Trace, Problem> {
    let words = rest.read_all();
    if let [word] = words
        && is_family(word)
    {
        return Err(Problem::new(
            word.position,
            format!("of which rule, behind `{}`?", word.text),
            "expected a rule, such as `FORWARD 3`",
            "a bare `why` tells of the last packet, of whichever family it is",
        ));
    }
    let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let form = match words.is_empty() {
        true => Form::Text(Detail::Short),
        false => Form::Why {
            rule: RuleName::parse(&words.join(" ")),
            json: false,
        },
    };
    Ok(Trace {
        form,
        packet: Which::Last,
    })
}

/// `lan tcp 10.0.0.2:40000 > 192.0.2.9:80 S`
pub(crate) fn interface_and_packet(rest: &mut Words<'_>) -> Result<(Option<InterfaceName>, Draft), Problem> {
    interface_stands(rest)?;
    let interface = super::parse::interface_or_local(rest)?;
    let words = split_parentheses(rest.read_all());
    if words.is_empty() {
        // The outer rest knows where the line ends.
        rest.read(words::word(A_PACKET))?;
    }
    let mut inner = Words::new(&words);
    let draft = packet(&mut inner)?;
    inner.read(words::end("expected the end of the packet"))?;
    Ok((interface, draft))
}

/// A packet that begins where its interface should stand would be read as that one's name.
fn interface_stands(rest: &Words<'_>) -> Result<(), Problem> {
    let mut ahead = *rest;
    let first = ahead.read(opt(words::anything))?;
    let Some(first) = first.filter(|word| PACKETS.contains(&word.text.as_str())) else {
        return Ok(());
    };
    if ahead.peek_text().is_some_and(|second| PACKETS.contains(&second)) {
        return Ok(());
    }
    Err(Problem::new(
        first.position,
        format!("by which interface does this {} packet come?", first.text),
        "expected an interface's name, or `local`",
        format!(
            "write it like `lan {} ...`; `local` is for what the router sends",
            first.text
        ),
    ))
}

/// In one word (in quotes), or as a chain and a number in two; `-4` or `-6` before it says whose it is.
fn one_rule(rest: &mut Words<'_>) -> Result<RuleName, Problem> {
    let family = rest.read(opt(words::fitting(is_family)))?;
    let word: &Word = rest.read(words::word(
        "a rule, such as `FORWARD 3`, `nat:PREROUTING 1`, or its comment in quotes",
    ))?;
    let is_number = |text: &str| text == "policy" || text.parse::<u32>().is_ok();
    let mut text = family.map_or(String::new(), |family| format!("{} ", family.text)) + &word.text;
    if !word.quoted
        && let Some(next) = rest.read(opt(words::fitting(|next| is_number(&next.text))))?
    {
        text = format!("{text} {}", next.text);
    }
    Ok(RuleName::parse(&text))
}

fn is_family(word: &Word) -> bool {
    !word.quoted && Family::of_option(&word.text).is_some()
}

/// What is printed; a picture is written relative to `directory`.
pub(crate) fn tell(
    form: &Form,
    passage: &Passage,
    lab: &Lab,
    directory: &Path,
    styled: bool,
) -> Result<String, String> {
    let story = &passage.story;
    match form {
        Form::Text(detail) if styled => Ok(story.render_styled(*detail)),
        Form::Text(detail) => Ok(story.render(*detail)),
        Form::Json => Ok(story.account().json() + "\n"),
        Form::Svg(file) => {
            let account = story.account();
            if file == "-" {
                return Ok(picture::draw(&account));
            }
            let path = directory.join(os_of(file));
            let opener = lab.machine.toolbox().opener;
            opener
                .create(&path)
                .and_then(|begun| begun.finish(picture::draw(&account).as_bytes()))
                .map_err(|error| format!("cannot write the picture {}: {error}", text_of_path(&path)))?;
            Ok(String::new())
        }
        Form::Why { rule, json } => {
            let family = Family::of_packet(&passage.sent).unwrap_or(Family::V4);
            let why = why(&story.account(), rule, lab, family)?;
            Ok(if *json { why.json() + "\n" } else { why.text() })
        }
    }
}

/// A family with tables.
fn with_rules(router: &Router) -> Option<Family> {
    Family::ALL
        .into_iter()
        .find(|family| !router.tables(*family).is_empty())
}

/// Of the rules that the packet's family meets.
fn why(account: &Account, rule: &RuleName, lab: &Lab, family: Family) -> Result<Why, String> {
    let router = lab.machine.router();
    let tables: Vec<TableRules> = router
        .tables(family)
        .into_iter()
        .map(|table| router.table(family, table))
        .collect();
    // Whoever has written rules for one family only looks for them in the other's in vain.
    if let (true, Some(other)) = (tables.is_empty(), with_rules(router)) {
        return Err(format!(
            "the packet is of {family}, and rules are in force here for {other} only; load {family}'s, too, or name a packet of {other}"
        ));
    }
    let place = rule.find(family, &tables)?;
    Ok(Why::of(account, &place, &tables))
}
