//! From words to a conversation.

use super::{Conversation, Ftp, Hosts, Mode, Party, Transfer};
use crate::base::protocol;
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::Word;
use crate::syntax::words::{Cursor, unexpected};

/// The words that begin one.
pub const WORDS: &[&str] = &["handshake", "udp", "ping", "data", "close", "reset", "ftp"];

/// Reads what follows one of [`WORDS`].
pub fn parse(word: &Word, cursor: &mut Cursor<'_>, hosts: &Hosts) -> Result<Conversation, Problem> {
    let conversation = match word.text.as_str() {
        "handshake" => {
            let (from, to) = ends(cursor, hosts, protocol::TCP)?;
            needs_port(cursor, &to)?;
            Conversation::Handshake { from, to }
        }
        "udp" => udp(cursor, hosts)?,
        "ping" => {
            let (from, to) = ends(cursor, hosts, protocol::ICMP)?;
            let count = match cursor.eat("count") {
                true => cursor.number("how many", 1..=1000)? as u16,
                false => 1,
            };
            Conversation::Ping { from, to, count }
        }
        "data" => {
            let (from, to) = ends(cursor, hosts, protocol::TCP)?;
            let bytes = bytes(cursor)?;
            Conversation::Data { from, to, bytes }
        }
        "close" => {
            let (from, to) = ends(cursor, hosts, protocol::TCP)?;
            Conversation::Close { from, to }
        }
        "reset" => {
            let (from, to) = ends(cursor, hosts, protocol::TCP)?;
            Conversation::Reset { from, to }
        }
        "ftp" => Conversation::Ftp(ftp(cursor, hosts)?),
        text => {
            let remedy = suggestion(text, WORDS.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            return Err(unexpected(word, "expected a conversation", &remedy.unwrap_or_default()));
        }
    };
    cursor.end("expected the end of the line")?;
    Ok(conversation)
}

fn ends(cursor: &mut Cursor<'_>, hosts: &Hosts, of: u8) -> Result<(Party, Party), Problem> {
    let from = hosts.party(cursor.word("who begins, such as client:40000")?, of)?;
    cursor.expect(">")?;
    let to = hosts.party(cursor.word("to whom, such as server:80")?, of)?;
    Ok((from, to))
}

fn needs_port(cursor: &Cursor<'_>, to: &Party) -> Result<(), Problem> {
    match to.port {
        Some(_) => Ok(()),
        None => Err(Problem::new(
            cursor.position(),
            format!("to which port of {}?", to.name),
            "expected a port after it",
            format!("write it like {}:80", to.name),
        )),
    }
}

fn udp(cursor: &mut Cursor<'_>, hosts: &Hosts) -> Result<Conversation, Problem> {
    let (from, to) = ends(cursor, hosts, protocol::UDP)?;
    needs_port(cursor, &to)?;
    let (mut data, mut answer) = (b"question".to_vec(), Some(b"answer".to_vec()));
    while let Some(word) = cursor.peek() {
        cursor.skip();
        match word.text.as_str() {
            "data" => data = bytes(cursor)?,
            "answer" => answer = Some(bytes(cursor)?),
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

fn ftp(cursor: &mut Cursor<'_>, hosts: &Hosts) -> Result<Ftp, Problem> {
    let mode = cursor.parse("active or passive", |text| match text {
        "active" => Some(Mode::Active),
        "passive" => Some(Mode::Passive),
        _ => None,
    })?;
    let (from, to) = ends(cursor, hosts, protocol::TCP)?;
    let transfer = cursor.parse("retr or stor", |text| match text {
        "retr" => Some(Transfer::Retr),
        "stor" => Some(Transfer::Stor),
        _ => None,
    })?;
    let file = cursor.parse("the file's name, without blanks", |text| {
        (!text.is_empty() && !text.contains(char::is_whitespace) && text.len() <= 200).then(|| text.to_owned())
    })?;
    let size = match cursor.eat("size") {
        true => cursor.number("a number of bytes", 0..=10_000_000)? as usize,
        false => 3000,
    };
    Ok(Ftp {
        mode,
        from,
        to,
        transfer,
        file,
        size,
    })
}

/// A text in quotes, `0x` and digits, or how many.
fn bytes(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Problem> {
    let word = cursor.word("a text in quotes, 0x and hexadecimal digits, or a number of bytes")?;
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
}

const MOST: u64 = 10_000_000;
