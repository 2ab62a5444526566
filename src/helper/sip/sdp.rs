//! Session descriptions (SDP, RFC 4566): where each side wants its media (RFC 3264), found as the kernel finds it.

use std::net::IpAddr;
use std::ops::Range;

use super::text::{Found, LineStarts, address, digits, is_line_end, letters, starts_with};

/// The lines that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Version,
    Owner,
    Connection,
    Media,
}

impl Line {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Version => b"v=",
            Self::Owner => b"o=",
            Self::Connection => b"c=",
            Self::Media => b"m=",
        }
    }

    fn value(self, text: &[u8], at: usize) -> Option<Range<usize>> {
        let end = match self {
            Self::Version => at + digits(text, at),
            Self::Owner | Self::Connection => {
                let start = behind_address_type(text, at)?;
                return Some(start..address(text, start)?.1);
            }
            Self::Media => {
                let kind = at + letters(text, at);
                text.get(kind).filter(|&&byte| byte == b' ')?;
                kind + 1 + digits(text, kind + 1)
            }
        };
        (end > at).then_some(at..end)
    }
}

/// The first such line behind `from`; with `until_media`, before the next line of media.
pub(super) fn line(text: &[u8], from: usize, which: Line, until_media: bool) -> Found {
    for start in LineStarts::new(text, from) {
        if until_media && starts_with(text, start, Line::Media.name()) {
            break;
        }
        if starts_with(text, start, which.name()) {
            let at = start + which.name().len();
            return match which.value(text, at) {
                Some(range) => Found::At(range),
                None => Found::Unreadable(at),
            };
        }
    }
    Found::Nothing
}

/// Where media of the session, or of a kind, are wanted.
pub(super) fn connection(text: &[u8], from: usize) -> Option<IpAddr> {
    match line(text, from, Line::Connection, true) {
        Found::At(range) => address(text, range.start).map(|(address, _)| address),
        _ => None,
    }
}

fn behind_address_type(text: &[u8], at: usize) -> Option<usize> {
    let limit = text.len().checked_sub(ADDRESS_TYPE.len())?;
    let line = text
        .get(at..limit)?
        .iter()
        .take_while(|&&byte| !is_line_end(byte))
        .count();
    let found = (at..at + line).find(|&at| text[at..].starts_with(ADDRESS_TYPE))?;
    Some(found + ADDRESS_TYPE.len())
}

const ADDRESS_TYPE: &[u8] = b"IN IP4 ";
