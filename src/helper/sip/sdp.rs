//! Session descriptions (SDP, RFC 4566): where each side wants its media (RFC 3264), found as the kernel finds it.

use std::net::IpAddr;
use std::ops::Range;

use super::text::{Brackets, Found, LineStarts, address, digits, is_line_end, letters, starts_with};
use crate::base::Family;

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

    fn value(self, family: Family, text: &[u8], at: usize) -> Option<Range<usize>> {
        let end = match self {
            Self::Version => at + digits(text, at),
            Self::Owner | Self::Connection => {
                let start = behind_address_type(family, text, at)?;
                return Some(start..address(family, text, start, Brackets::Free)?.1);
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
pub(super) fn line(family: Family, text: &[u8], from: usize, which: Line, until_media: bool) -> Found {
    for start in LineStarts::new(text, from) {
        if until_media && starts_with(text, start, Line::Media.name()) {
            break;
        }
        if starts_with(text, start, which.name()) {
            let at = start + which.name().len();
            return match which.value(family, text, at) {
                Some(range) => Found::At(range),
                None => Found::Unreadable(at),
            };
        }
    }
    Found::Nothing
}

/// Where media of the session, or of a kind, are wanted.
pub(super) fn connection(family: Family, text: &[u8], from: usize) -> Option<IpAddr> {
    match line(family, text, from, Line::Connection, true) {
        Found::At(range) => address(family, text, range.start, Brackets::Free).map(|(address, _)| address),
        _ => None,
    }
}

fn behind_address_type(family: Family, text: &[u8], at: usize) -> Option<usize> {
    let address_type: &[u8] = match family {
        Family::V4 => b"IN IP4 ",
        Family::V6 => b"IN IP6 ",
    };
    let limit = text.len().checked_sub(address_type.len())?;
    let line = text
        .get(at..limit)?
        .iter()
        .take_while(|&&byte| !is_line_end(byte))
        .count();
    let found = (at..at + line).find(|&at| text[at..].starts_with(address_type))?;
    Some(found + address_type.len())
}
