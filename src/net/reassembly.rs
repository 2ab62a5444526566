//! Reassembly of fragments (RFC 791, 815, 5722's spirit on overlaps), a queue per packet and per place that reassembles.

use super::{DropReason, Net};
use crate::base::{Family, Time};
use crate::packet::Packet;

/// Who reassembles: fragments seen at one place never meet those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Its first fragment, where it had come: about it "time exceeded, reassembly" is sent if it is for this host.
    pub first: Option<Packet>,
    /// How many fragments are dropped.
    pub fragments: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Reassembly {}

impl Reassembly {
    pub fn new() -> Self {
        Self::default()
    }

    /// Expired queues must have been taken by `expire(now)` before.
    pub fn push(&mut self, now: Time, net: &Net, user: DefragUser, packet: Packet) -> Pushed {
        let _ = (now, net, user, Family::V4);
        Pushed::Whole(packet)
    }

    pub fn expire(&mut self, now: Time) -> Vec<Expired> {
        let _ = now;
        Vec::new()
    }

    /// When `expire` will next have something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }
}
