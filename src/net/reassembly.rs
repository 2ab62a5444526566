//! Reassembly in the words of both families: who asks for it, and what comes of it.

use super::{DropReason, Net, v4};
use crate::base::{Family, Time};
use crate::packet::Packet;

/// Every queue that waits for fragments.
#[derive(Clone, Debug, Default)]
pub struct Reassembly {
    v4: v4::Reassembly,
}

impl Reassembly {
    pub fn new() -> Self {
        Self::default()
    }

    /// A packet that is no fragment comes back at once. Expired queues are to be taken by `expire(now)` before.
    pub fn push(&mut self, now: Time, net: &Net, user: DefragUser, packet: Packet) -> Pushed {
        match packet.family() {
            Family::V4 => self.v4.push(now, net, user, packet),
            Family::V6 => Pushed::Dropped(DropReason::NotOurFamily),
        }
    }

    /// Takes the queues whose time is up, the oldest first.
    pub fn expire(&mut self, now: Time) -> Vec<Expired> {
        self.v4.expire(now)
    }

    /// When `expire` may next have something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.v4.next_deadline()
    }

    /// How many packets are waited for.
    pub fn len(&self) -> usize {
        self.v4.len()
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty()
    }
}

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
