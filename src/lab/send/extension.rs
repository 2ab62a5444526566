//! The extension headers of IPv6, by words: `hbh ra 0`, `rt 0 1 2001:db8::5`, `frag 0 mf`. They are the line's, in its order.

use std::net::Ipv6Addr;

use nom::combinator::opt;
use nom::multi::many0;

use crate::base::protocol;
use crate::syntax::atom;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Word, Words, unexpected};
use crate::wire::ipv6::extension;

/// A header between IPv6's own and the transport's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Any but the next.
    Plain {
        /// Which header it is.
        number: u8,
        /// All behind its first byte, which names the next header.
        body: Vec<u8>,
    },
    /// What stands behind it is cut, as [`IpDraft::piece`](super::IpDraft::piece) says.
    Fragment,
}

impl Extension {
    /// The number that the header before it names it by.
    pub fn number(&self) -> u8 {
        match self {
            Self::Plain { number, .. } => *number,
            Self::Fragment => extension::FRAGMENT,
        }
    }

    /// Where a routing header leads in the end; `None` where there is no way left.
    pub(super) fn last_destination(&self) -> Option<Ipv6Addr> {
        let Self::Plain {
            number: extension::ROUTING,
            body,
        } = self
        else {
            return None;
        };
        let (&[_, kind, left, ..], Some(segments)) = (&body[..], body.get(7..)) else {
            return None;
        };
        let segments = segments.as_chunks::<16>().0;
        // Segments stand in the order of the way; those of RFC 8754 the other way round.
        let last = if kind == SEGMENTS {
            segments.first()
        } else {
            segments.last()
        };
        last.filter(|_| left > 0).map(|octets| Ipv6Addr::from(*octets))
    }
}

/// The header that a word begins; `None` where the word means another thing.
pub(crate) fn extension(word: &Word, rest: &mut Words<'_>) -> Result<Option<Extension>, Problem> {
    let (number, body) = match word.text.as_str() {
        "hbh" => (extension::HOP_BY_HOP, options(rest)?),
        "dstopt" => (extension::DESTINATION, options(rest)?),
        "rt" => (extension::ROUTING, routing(word, rest)?),
        "ah" => (protocol::AH, authentication(rest)?),
        "ext" => {
            let number = rest.read(words::number("a header's number", 0..=255))? as u8;
            let body = rest.read(words::helped(
                "all but its first byte, in hexadecimal digits",
                "write it like `ext 60 0x00010400000000`: the second byte of the header comes first",
                atom::hex,
            ))?;
            (number, body)
        }
        _ => return Ok(None),
    };
    Ok(Some(Extension::Plain { number, body }))
}

/// Options with what fills them up: `ra 0 jumbo 70000 opt 194 0x00011170`, or all of them as `0x` and digits.
fn options(rest: &mut Words<'_>) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    let is_one =
        |word: &Word| matches!(word.text.as_str(), "ra" | "jumbo" | "pad" | "opt") || word.text.starts_with("0x");
    let start = rest.peek().map(|word| word.position);
    while let Some(word) = rest.read(opt(words::fitting(is_one)))? {
        match word.text.as_str() {
            "ra" => {
                let value = rest.read(words::number("what the router shall look for", 0..=65_535))? as u16;
                all.extend([option::ROUTER_ALERT, 2]);
                all.extend(value.to_be_bytes());
            }
            "jumbo" => {
                let length = rest.read(words::number("a payload's length", 0..=u64::from(u32::MAX)))? as u32;
                all.extend([option::JUMBO, 4]);
                all.extend(length.to_be_bytes());
            }
            "pad" => pad(
                &mut all,
                rest.read(words::number("a number of bytes", 1..=257))? as usize,
            ),
            "opt" => {
                let kind = rest.read(words::number("an option's type", 0..=255))? as u8;
                let data = rest.read(opt(words::made(|text| {
                    text.starts_with("0x").then(|| atom::hex(text)).flatten()
                })))?;
                let data = data.unwrap_or_default();
                let length = u8::try_from(data.len())
                    .map_err(|_| unexpected(word, "expected at most 255 bytes of data behind it", "shorten them"))?;
                all.extend([kind, length]);
                all.extend(data);
            }
            _ => all.extend(bytes(word)?),
        }
    }
    let missing = (all.len() + 2).next_multiple_of(UNIT) - 2 - all.len();
    pad(&mut all, missing);
    counted(all, start.unwrap_or(rest.position()))
}

/// So many bytes that say nothing.
fn pad(options: &mut Vec<u8>, count: usize) {
    match count {
        0 => {}
        1 => options.push(option::PAD1),
        _ => {
            options.extend([option::PADN, (count - 2) as u8]);
            options.resize(options.len() + count - 2, 0);
        }
    }
}

/// `rt TYPE LEFT [ADDRESS...]`, or with `0x` and the digits of all that stands behind the number of segments left.
fn routing(word: &Word, rest: &mut Words<'_>) -> Result<Vec<u8>, Problem> {
    let kind = rest.read(words::number("a type of routing", 0..=255))? as u8;
    let left = rest.read(words::number("how many segments are left", 0..=255))? as u8;
    let segments: Vec<Ipv6Addr> = rest.read(many0(words::made(|text| text.parse().ok())))?;
    let raw = rest.read(opt(words::fitting(|word| word.text.starts_with("0x"))))?;
    let mut behind = match kind {
        // The last entry's number, flags and a tag (RFC 8754).
        SEGMENTS => vec![(segments.len().max(1) - 1) as u8, 0, 0, 0],
        _ => vec![0; 4],
    };
    behind.extend(segments.iter().flat_map(Ipv6Addr::octets));
    if let Some(raw) = raw {
        if !segments.is_empty() {
            return Err(unexpected(
                raw,
                "expected addresses, or all bytes in digits",
                "leave one of them out",
            ));
        }
        behind = bytes(raw)?;
    }
    let mut body = vec![kind, left];
    body.extend(behind);
    let wanted = (body.len() + 2).next_multiple_of(UNIT) - 2;
    body.resize(wanted, 0);
    counted(body, word.position)
}

/// `ah SPI SEQUENCE`, with twelve zeros for what it vouches with.
fn authentication(rest: &mut Words<'_>) -> Result<Vec<u8>, Problem> {
    let spi = rest.read(words::number("a security parameters index", 0..=u64::from(u32::MAX)))? as u32;
    let sequence = rest.read(words::number("a sequence number", 0..=u64::from(u32::MAX)))? as u32;
    // Its length counts in words of four bytes, less two.
    let mut body = vec![4, 0, 0];
    body.extend(spi.to_be_bytes());
    body.extend(sequence.to_be_bytes());
    body.resize(23, 0);
    Ok(body)
}

/// With the length in front, in units behind the first.
fn counted(behind: Vec<u8>, position: crate::syntax::problem::Position) -> Result<Vec<u8>, Problem> {
    let units = (behind.len() + 2) / UNIT - 1;
    let length = u8::try_from(units).map_err(|_| {
        Problem::new(
            position,
            format!("this header would be {} bytes long", behind.len() + 2),
            "expected at most 2048",
            "leave something out",
        )
    })?;
    Ok([&[length], &behind[..]].concat())
}

fn bytes(word: &Word) -> Result<Vec<u8>, Problem> {
    atom::hex(&word.text).ok_or_else(|| {
        unexpected(
            word,
            "expected 0x and pairs of hexadecimal digits",
            "write bytes like 0x05020000",
        )
    })
}

/// Types of options.
mod option {
    pub(super) const PAD1: u8 = 0;
    pub(super) const PADN: u8 = 1;
    pub(super) const ROUTER_ALERT: u8 = 5;
    pub(super) const JUMBO: u8 = 0xc2;
}

/// Headers are so many bytes long, or a multiple of it.
const UNIT: usize = 8;
/// The routing type of segments.
const SEGMENTS: u8 = 4;
