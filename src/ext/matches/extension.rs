//! The extension header that a match looks into, found as the kernel's matches find it: they step from header to header by the lengths that
//! those say, and two bytes of each are all that has to be there.

use crate::base::{Family, protocol};
use crate::packet::Packet;
use crate::rule::Matched;
use crate::wire::ipv6::{self, extension};

/// Why a match of an extension header does not match.
#[derive(Debug)]
pub(super) enum Miss<T> {
    /// There is no such header, or none before the data of a later fragment.
    Absent,
    /// It ends before it should, or a header before it does.
    CutShort,
    /// The header has something else than what was asked for.
    Has(T),
}

/// From the first header of this number on to the packet's end, at least as many bytes as `fixed` and as many as the header itself says.
pub(super) fn whole<T>(packet: &Packet, number: u8, fixed: usize) -> Result<&[u8], Miss<T>> {
    let found = from(packet, number)?;
    if found.len() < fixed || found.len() < length(number, found).ok_or(Miss::CutShort)? {
        return Err(Miss::CutShort);
    }
    Ok(found)
}

/// The same, however much of it there is.
pub(super) fn from<T>(packet: &Packet, number: u8) -> Result<&[u8], Miss<T>> {
    if packet.family() != Family::V6 {
        return Err(Miss::Absent);
    }
    let bytes = packet.bytes();
    let mut next = bytes.get(NEXT_HEADER).copied().ok_or(Miss::CutShort)?;
    let mut at = ipv6::HEADER;
    loop {
        if !is_walked_over(next) {
            return Err(Miss::Absent);
        }
        let header = bytes.get(at..).unwrap_or_default();
        let length = length(next, header).ok_or(Miss::CutShort)?;
        if next == number {
            return Ok(header);
        }
        if next == extension::FRAGMENT {
            let &[_, _, high, low] = header.first_chunk().ok_or(Miss::CutShort)?;
            if u16::from_be_bytes([high, low]) & OFFSET != 0 {
                return Err(Miss::Absent);
            }
        }
        next = header[0];
        at += length;
    }
}

/// How long a header of this number says that it is, in bytes.
pub(super) fn length(number: u8, header: &[u8]) -> Option<usize> {
    let &[_, said] = header.first_chunk()?;
    Some(match number {
        extension::FRAGMENT => 8,
        protocol::AH => (usize::from(said) + 2) * 4,
        _ => (usize::from(said) + 1) * 8,
    })
}

/// Behind the others (ESP among them) nothing can be found.
fn is_walked_over(number: u8) -> bool {
    matches!(
        number,
        extension::HOP_BY_HOP | extension::ROUTING | extension::FRAGMENT | extension::DESTINATION | protocol::AH
    )
}

const NEXT_HEADER: usize = 6;
const OFFSET: u16 = !7;

impl<T> From<Result<(), Miss<T>>> for Matched {
    fn from(checked: Result<(), Miss<T>>) -> Self {
        match checked {
            Ok(()) => Self::Yes,
            Err(Miss::CutShort) => Self::Malformed,
            Err(Miss::Absent | Miss::Has(_)) => Self::No,
        }
    }
}
