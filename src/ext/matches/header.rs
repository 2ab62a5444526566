//! The transport header that a match looks into: a later fragment has none, and who has less of it than is asked is dropped.

use crate::packet::Packet;
use crate::rule::Matched;

/// Why a match of a transport header does not match.
#[derive(Debug)]
pub(super) enum Miss<T> {
    LaterFragment,
    CutShort,
    /// The header has something else than what was asked for.
    Has(T),
}

/// What `read` finds at the front of the header.
pub(super) fn header<'a, H, T>(packet: &'a Packet, read: impl FnOnce(&'a [u8]) -> Option<H>) -> Result<H, Miss<T>> {
    if packet.fragment_offset() != 0 {
        return Err(Miss::LaterFragment);
    }
    read(packet.transport()).ok_or(Miss::CutShort)
}

impl<T> From<Result<(), Miss<T>>> for Matched {
    fn from(checked: Result<(), Miss<T>>) -> Self {
        match checked {
            Ok(()) => Self::Yes,
            Err(Miss::CutShort) => Self::Malformed,
            Err(Miss::LaterFragment | Miss::Has(_)) => Self::No,
        }
    }
}
