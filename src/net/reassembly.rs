//! Reassembly in the words of both families: who asks for it, and what comes of it.

use super::DropReason;
use crate::packet::Packet;

/// Who reassembles: fragments seen at one place never meet those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefragUser {
    /// Before connection tracking, at PREROUTING; with the zone.
    ConntrackIn(u16),
    /// Before connection tracking, at OUTPUT; with the zone.
    ConntrackOut(u16),
    /// On the way to INPUT, where nothing was tracked before.
    LocalDeliver,
}

#[derive(Clone, Debug)]
pub enum Pushed {
    /// Not a fragment, or the last missing one.
    Whole(Packet),
    /// Kept; others are missing.
    Held,
    Dropped(DropReason),
}

/// A queue that ran out of time.
#[derive(Clone, Debug)]
pub struct Expired {
    pub user: DefragUser,
    /// Its first fragment, where it had come: see `Net::reassembly_error`.
    pub first: Option<Packet>,
    /// How many fragments are dropped, for `DropReason::FragmentTimeout`.
    pub fragments: usize,
}
