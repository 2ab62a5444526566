//! Type and code of ICMP in either family, for `-m icmp` and `-m icmp6`: one match with words and numbers for each.

use std::fmt::Write;
use std::sync::Arc;

use super::header::{Miss, header};
use crate::base::Family;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::strtoul;
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::place::only_protocol;
use crate::rule::{Condition, Context, Effect, Ends, Field, Lowered, Match, Matched, Refusal, Scope};

/// What a family calls it.
#[derive(Debug)]
pub(super) struct Words {
    pub name: &'static str,
    pub title: &'static str,
    /// In listings.
    pub listed: &'static str,
    pub protocol: u8,
    /// The type that stands for all, whatever the code beside it.
    pub any: Option<u8>,
    pub option: Opt<Kind>,
    /// In the order the tool prints them when asked for help; the first that fits a type is the one listed.
    pub names: &'static [Name],
}

/// What stands for a type and the codes from one to another.
pub(super) type Name = (&'static str, u8, u8, u8);

const fn words(family: Family) -> &'static Words {
    match family {
        Family::V4 => &super::icmp::WORDS,
        Family::V6 => &super::icmp6::WORDS,
    }
}

/// What firewalld asks the tool for: below this heading, and at the help's end, it reads which types there are.
pub(super) fn help(family: Family) -> String {
    let Words { title, names, .. } = *words(family);
    let names = names.iter().map(|(name, ..)| format!("  {name}\n"));
    format!("Valid {title} Types:\n{}", names.collect::<String>())
}

pub(super) fn kind(family: Family, text: &str) -> Result<Kind, UsageError> {
    let Words { title, names, .. } = *words(family);
    let made = |kind: u8, low: u8, high: u8| Ok(Kind { kind, low, high });
    let mut named = names.iter().filter(|(name, ..)| starts_with(name, text));
    match (named.next(), named.next()) {
        (Some((first, ..)), Some((second, ..))) => {
            return Err(UsageError::parameter(format!(
                "Ambiguous {title} type `{text}': `{first}' or `{second}'?"
            )));
        }
        (Some(&(_, kind, low, high)), None) => return made(kind, low, high),
        _ => {}
    }
    let (kind_text, code_text) = match text.split_once('/') {
        Some((kind, code)) => (kind, Some(code)),
        None => (text, None),
    };
    let unknown = |what: &str| UsageError::parameter(format!("Unknown {title} {what} `{text}'"));
    let (kind, last_kind) = bytes(kind_text, || unknown("type"))?;
    let (low, high) = match code_text {
        Some(code_text) => bytes(code_text, || unknown("code"))?,
        None => (0, 255),
    };
    if kind != last_kind {
        return Err(UsageError::parameter(format!("{title} type range not supported")));
    }
    made(kind, low, high)
}

/// `number` or `number:number`, which no manual tells of; what follows is complained about by its first character.
fn bytes(text: &str, unknown: impl Fn() -> UsageError) -> Result<(u8, u8), UsageError> {
    let byte = |text| {
        let (number, rest) = strtoul(text, 0).ok_or_else(&unknown)?;
        Ok((u8::try_from(number).map_err(|_| unknown())?, rest))
    };
    let (low, mut rest) = byte(text)?;
    let mut high = low;
    if let Some(after) = rest.strip_prefix(':') {
        (high, rest) = byte(after)?;
    }
    match rest.chars().next() {
        Some(character) => Err(UsageError::parameter(format!("unknown character {character}"))),
        None => Ok((low, high)),
    }
}

fn starts_with(name: &str, text: &str) -> bool {
    name.get(..text.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(text))
}

pub(super) fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let family = given.family;
    let asked = given.get(words(family).option).unwrap_or_default();
    Ok(Arc::new(Icmp { family, asked }))
}

/// A type and the codes of it, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kind {
    kind: u8,
    low: u8,
    high: u8,
}

#[derive(Debug, PartialEq, Eq)]
struct Icmp {
    family: Family,
    asked: Asked<Kind>,
}

impl Icmp {
    /// A packet that misses has this type and code.
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<(u8, u8)>> {
        let &[kind, code, ..] = header(cx.packet, |bytes| bytes.first_chunk::<HEADER>())?;
        let asked = self.asked.value;
        let fits = words(self.family).any == Some(asked.kind)
            || (asked.kind == kind && (asked.low..=asked.high).contains(&code));
        if !self.asked.fits(fits) {
            return Err(Miss::Has((kind, code)));
        }
        Ok(())
    }
}

impl Match for Icmp {
    fn name(&self) -> &'static str {
        words(self.family).name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn lower(&self) -> Lowered {
        let Kind { kind, low, high } = self.asked.value;
        let field = match words(self.family).any {
            Some(any) if any == kind => Field::Icmp {
                kind: None,
                low: 0,
                high: u8::MAX,
            },
            _ => Field::Icmp {
                kind: Some(kind),
                low,
                high,
            },
        };
        let header = Condition::Header(HEADER as u8);
        Lowered::exactly(vec![header, Condition::new(field, self.asked.inverted)])
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let Words { name, title, .. } = *words(self.family);
        match self.check(cx) {
            Ok(()) => format!("{name}: matches"),
            Err(Miss::LaterFragment) => format!("{name}: packet is a later fragment without an {title} header"),
            Err(Miss::CutShort) => format!("{name}: packet's {title} header is cut short"),
            Err(Miss::Has((kind, code))) => {
                let mut asked = String::new();
                self.save(&mut asked);
                format!("{}: packet has {kind}/{code}", asked.trim_start())
            }
        }
    }

    fn save(&self, out: &mut String) {
        let Words { option, any, .. } = *words(self.family);
        let _ = write!(out, " {} ", option.spelled(self.asked.inverted));
        let Kind { kind, low, high } = self.asked.value;
        let _ = match (kind, low, high) {
            (kind, ..) if any == Some(kind) => write!(out, "any"),
            (kind, 0, 255) => write!(out, "{kind}"),
            // Of a range of codes the last is lost, as with the tool.
            (kind, low, _) => write!(out, "{kind}/{low}"),
        };
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let Words { listed, names, .. } = *words(self.family);
        let Kind { kind, low, high } = self.asked.value;
        let bang = if self.asked.inverted { "!" } else { "" };
        let name = names.iter().find(|&&(_, a, b, c)| (a, b, c) == (kind, low, high));
        if let Some((name, ..)) = name
            && !numeric
        {
            let _ = write!(out, " {listed} {bang}{name}");
            return;
        }
        // Without an inversion the real tool leaves out the space, too.
        let word = if self.asked.inverted { " !type" } else { "type" };
        let _ = write!(out, " {listed}{word} {kind}");
        let _ = match (low, high) {
            (0, 255) => Ok(()),
            (low, high) if low == high => write!(out, " code {low}"),
            (low, high) => write!(out, " codes {low}-{high}"),
        };
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        let Words { name, protocol, .. } = *words(self.family);
        only_protocol(scope, &format!("{name} match"), protocol)
    }
}

/// ` icmptype 8 code 0`, ` icmp !type 3 codes 0-4`, ` icmp echo-request`; old tools printed ` icmp type 8`.
pub(super) fn unlist(family: Family, listed: Listed<'_>) -> Vec<Typed<'_>> {
    let Words {
        listed: known, option, ..
    } = *words(family);
    listed.once(|it| {
        let mut options = Options::default();
        let mut inverted = false;
        match it.take()?.strip_prefix(known)? {
            "type" => {}
            "" => {
                let word = it.take()?;
                if word != "type" && word != "!type" {
                    options.push_unless(word, option.name());
                    return Some(options);
                }
                inverted = word == "!type";
            }
            _ => return None,
        }
        let mut kind = it.take()?.to_owned();
        if it.word("code").is_some() {
            kind = format!("{kind}/{}", it.take()?);
        } else if it.word("codes").is_some() {
            kind = format!("{kind}/{}", it.take()?.replace('-', ":"));
        }
        options.push(inverted, option.name(), &kind);
        Some(options)
    })
}

/// What the kernel asks for in both families.
const HEADER: usize = 8;
