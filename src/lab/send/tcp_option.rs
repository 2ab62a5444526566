//! The words for options of TCP: `mss 1460`, `sackok`, `ts 1 2`.

use nom::multi::many0;

use crate::syntax::atom;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Word, Words};
use crate::wire::tcp::option;

/// The bytes of an option, kind and length first; `None` where the word means another thing.
pub(crate) fn tcp_option(word: &Word, rest: &mut Words<'_>) -> Result<Option<Vec<u8>>, Problem> {
    let (kind, data) = match word.text.as_str() {
        "mss" => {
            let size = rest.read(words::number("a segment size", 0..=65_535))? as u16;
            (option::MSS, size.to_be_bytes().to_vec())
        }
        "wscale" => {
            let shift = rest.read(words::number("a window scale", 0..=255))? as u8;
            (option::WINDOW_SCALE, vec![shift])
        }
        "sackok" => (option::SACK_PERMITTED, Vec::new()),
        "sack" => (option::SACK, blocks(word, rest)?),
        "ts" => {
            let value = rest.read(words::number("a time stamp", 0..=u64::from(u32::MAX)))? as u32;
            let echo = rest.read(words::number("the echoed time stamp", 0..=u64::from(u32::MAX)))? as u32;
            (option::TIMESTAMP, [value.to_be_bytes(), echo.to_be_bytes()].concat())
        }
        _ => return Ok(None),
    };
    Ok(Some([&[kind, 2 + data.len() as u8], &data[..]].concat()))
}

fn blocks(word: &Word, rest: &mut Words<'_>) -> Result<Vec<u8>, Problem> {
    let number = |text| u32::try_from(atom::number(text)?).ok();
    let edges = rest.read(many0(words::made(|text| {
        let (left, right) = text.split_once('-')?;
        Some([number(left)?.to_be_bytes(), number(right)?.to_be_bytes()].concat())
    })))?;
    match edges.len() {
        1..=4 => Ok(edges.concat()),
        _ => Err(Problem::new(
            word.position,
            "`sack` takes one to four blocks",
            "expected LEFT-RIGHT after it, two sequence numbers",
            "write it like `sack 1000-2000 3000-4000`",
        )),
    }
}
