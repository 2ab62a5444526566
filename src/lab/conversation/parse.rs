//! From words to a conversation.

use nom::combinator::{cut, map, opt};
use nom::sequence::{preceded, separated_pair};
use nom::{Err, IResult, Parser};

use super::hosts::Called;
use super::{Conversation, Ftp, Hosts, Mode, Party, Transfer, written};
use crate::base::{Family, protocol};
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Read, Word, Words, unexpected};

/// The words that begin one.
pub(crate) const WORDS: &[&str] = &["handshake", "udp", "ping", "data", "close", "reset", "ftp"];

/// Reads what follows one of [`WORDS`].
pub(crate) fn parse(word: &Word, rest: &mut Words<'_>, hosts: &mut Hosts) -> Result<Conversation, Problem> {
    let asked = rest.read(opt(family))?;
    let mode = match word.text.as_str() {
        "ftp" => Some(rest.read(mode())?),
        _ => None,
    };
    let of = match word.text.as_str() {
        "udp" => protocol::UDP,
        "ping" => protocol::ICMP,
        text if WORDS.contains(&text) => protocol::TCP,
        text => {
            let remedy = suggestion(text, WORDS.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            return Err(unexpected(word, "expected a conversation", &remedy.unwrap_or_default()));
        }
    };
    let ends = rest.read(ends(hosts, of))?;
    let (from, to) = hosts.parties(&word.text, (&ends.0, &ends.1), asked, rest.position())?;
    let conversation = match (word.text.as_str(), mode) {
        ("handshake", _) => Conversation::Handshake {
            to: with_a_port(to, rest)?,
            from,
        },
        ("udp", _) => {
            let to = with_a_port(to, rest)?;
            udp(rest, from, to)?
        }
        ("ping", _) => Conversation::Ping {
            from,
            to,
            count: rest.read(one_or_after("count", words::number("how many", 1..=1000), 1))? as u16,
        },
        ("data", _) => Conversation::Data {
            from,
            to,
            bytes: rest.read(bytes)?,
        },
        ("close", _) => Conversation::Close { from, to },
        (_, Some(mode)) => Conversation::Ftp(ftp(rest, mode, from, to)?),
        _ => Conversation::Reset { from, to },
    };
    rest.read(words::end("expected the end of the line"))?;
    Ok(conversation)
}

/// `-4` or `-6`, as programs have them: in which family a host that has both is spoken to.
pub(crate) fn family(words: Words<'_>) -> Read<'_, Family> {
    words::made(Family::of_option).parse(words)
}

fn ends<'a>(hosts: &Hosts, of: u8) -> impl Parser<Words<'a>, Output = (Called, Called), Error = Problem> {
    let party = move |word: &Word| {
        if word.text.starts_with('-') {
            let like = "no options of programs are here: write it like `ping client > server count 3`, `handshake client > server:80`";
            return Err(unexpected(word, "expected who speaks to whom", like));
        }
        let party = hosts.called(word, of)?;
        match word.text.rfind(':') {
            Some(colon) if of == protocol::ICMP && party.port.is_some() => Err(Problem::new(
                word.position.end - (word.text.len() - colon)..word.position.end,
                "a ping has no ports",
                "expected a host without a port",
                format!("write it like `{}`", party.name),
            )),
            _ => Ok(party),
        }
    };
    separated_pair(
        words::meant("who begins, such as client:40000", party),
        arrow,
        words::meant("to whom, such as server:80", party),
    )
}

/// The `>` between the two ends, and how a line looks that has it: one end alone is what `ping` is given elsewhere.
fn arrow(words: Words<'_>) -> IResult<Words<'_>, &Word, Problem> {
    let (rest, word) = opt(words::anything).parse(words)?;
    let problem = match word {
        Some(word) if word.text == ">" => return Ok((rest, word)),
        Some(word) if word.arrow.is_some() => unexpected(word, "expected `>`", "write `>`, with blanks around it"),
        Some(word) => {
            let remedy = format!("write it like `HOST > {}`", word.typed.as_deref().unwrap_or(&word.text));
            unexpected(word, "expected `>`", &remedy)
        }
        None => Problem::new(
            words.position(),
            "the line ends too early",
            "expected `>`, and to whom",
            "say who speaks to whom: `HOST > HOST`",
        ),
    };
    Err(Err::Error(problem))
}

/// The same, where the line says at which port.
fn with_a_port(to: Party, rest: &Words<'_>) -> Result<Party, Problem> {
    match to.port {
        Some(_) => Ok(to),
        None => Err(Problem::new(
            rest.position(),
            format!("to which port of {}?", to.name),
            "expected a port after it",
            format!("write it like {}", written(&to.name, 80)),
        )),
    }
}

/// `WORD VALUE`, or what it is without them.
fn one_or_after<'a>(
    word: &str,
    value: impl Parser<Words<'a>, Output = u64, Error = Problem>,
    otherwise: u64,
) -> impl Parser<Words<'a>, Output = u64, Error = Problem> {
    map(opt(preceded(words::this(word), cut(value))), move |given| {
        given.unwrap_or(otherwise)
    })
}

fn udp(rest: &mut Words<'_>, from: Party, to: Party) -> Result<Conversation, Problem> {
    let (mut data, mut answer) = (b"question".to_vec(), Some(b"answer".to_vec()));
    let mut said: Vec<&Word> = Vec::new();
    while let Some(word) = rest.read(opt(words::anything))? {
        let of_the_answer = |word: &Word| matches!(word.text.as_str(), "answer" | "unanswered");
        if let Some(other) = said
            .iter()
            .find(|it| it.text == word.text || of_the_answer(it) && of_the_answer(word))
        {
            return Err(Problem::new(
                word.position,
                format!("`{}` and then `{}`: only one can be", other.text, word.text),
                "expected nothing more of it",
                "leave one of them out",
            ));
        }
        said.push(word);
        match word.text.as_str() {
            "data" => data = rest.read(bytes)?,
            "answer" => answer = Some(rest.read(bytes)?),
            "unanswered" => answer = None,
            _ => {
                return Err(unexpected(
                    word,
                    "expected `data BYTES`, `answer BYTES` or `unanswered`",
                    "",
                ));
            }
        }
    }
    Ok(Conversation::Udp { from, to, data, answer })
}

fn mode<'a>() -> impl Parser<Words<'a>, Output = Mode, Error = Problem> {
    words::one("active or passive", |text| match text {
        "active" => Some(Mode::Active),
        "passive" => Some(Mode::Passive),
        _ => None,
    })
}

fn ftp(rest: &mut Words<'_>, mode: Mode, from: Party, to: Party) -> Result<Ftp, Problem> {
    let transfer = rest.read(words::one("retr or stor", |text| match text {
        "retr" => Some(Transfer::Retr),
        "stor" => Some(Transfer::Stor),
        _ => None,
    }))?;
    let file = rest.read(words::one("the file's name, without blanks", |text| {
        (!text.is_empty() && !text.contains(char::is_whitespace) && text.len() <= 200).then(|| text.to_owned())
    }))?;
    let size = rest.read(one_or_after(
        "size",
        words::number("a number of bytes", 0..=10_000_000),
        3000,
    ))?;
    Ok(Ftp {
        mode,
        from,
        to,
        transfer,
        file,
        size: size as usize,
    })
}

/// A text in quotes, `0x` and digits, or how many.
fn bytes(words: Words<'_>) -> Read<'_, Vec<u8>> {
    words::meant(
        "a text in quotes, 0x and hexadecimal digits, or a number of bytes",
        |word| {
            let given = if word.quoted {
                atom::text(&word.text)
            } else if word.text.starts_with("0x") {
                atom::hex(&word.text)
            } else {
                atom::number(&word.text)
                    .filter(|count| *count <= MOST)
                    .map(|count| (0..count).map(|at| at as u8).collect())
            };
            given.ok_or_else(|| {
                unexpected(
                    word,
                    "expected a text in quotes, 0x and pairs of digits, or a number of bytes",
                    "write it like \"GET / HTTP/1.0\\r\\n\", 0x00ff or 2000",
                )
            })
        },
    )
    .parse(words)
}

const MOST: u64 = 10_000_000;
