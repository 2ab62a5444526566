//! Reassembly in the words of both families: who asks for it, and what comes of it.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DropReason, Net, v4};
use crate::base::Time;
use crate::packet::Packet;

/// Every queue that waits for fragments, by sender in shards, each with a lock of its own: the senders' fragments are counted too.
#[derive(Debug)]
pub(crate) struct Reassembly {
    v4: [Mutex<v4::Reassembly>; SHARDS],
    common: Arc<v4::Waiting>,
}

const SHARDS: usize = 16;

impl Default for Reassembly {
    fn default() -> Self {
        let common = Arc::default();
        Self {
            v4: std::array::from_fn(|_| Mutex::new(v4::Reassembly::beside(&common))),
            common,
        }
    }
}

impl Clone for Reassembly {
    fn clone(&self) -> Self {
        // All at once, so that what they count together is what they have.
        let shards = self.v4.each_ref().map(|shard| shard.lock());
        let common = Arc::new(v4::Waiting::clone(&self.common));
        Self {
            v4: shards.map(|shard| Mutex::new(shard.copy(&common))),
            common,
        }
    }
}

impl Reassembly {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A packet that is no fragment comes back at once. Expired queues are to be taken by `expire(now)` before.
    pub(crate) fn push(&self, now: Time, net: &Net, user: DefragUser, packet: Packet) -> Pushed {
        match packet.source() {
            IpAddr::V4(source) => {
                let number = (source.to_bits().wrapping_mul(SPREADS) >> 16) as usize % SHARDS;
                self.v4[number].lock().push(now, net, user, packet)
            }
            IpAddr::V6(_) => Pushed::Dropped(DropReason::NotOurFamily),
        }
    }

    /// Takes the queues whose time is up, the oldest first.
    pub(crate) fn expire(&self, now: Time) -> Vec<Expired> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut expired: Vec<_> = self.v4.iter().flat_map(|shard| shard.lock().expire(now)).collect();
        expired.sort_unstable_by_key(|(at, _)| *at);
        expired.into_iter().map(|(_, expired)| expired).collect()
    }

    /// How many packets are waited for.
    pub(crate) fn len(&self) -> usize {
        self.common.waiting()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Neighbours go to different shards. Who aims at one makes its own fragments wait.
const SPREADS: u32 = 0x9e37_79b1;

/// Who reassembles: fragments seen at one place never meet those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum DefragUser {
    /// Before connection tracking, at PREROUTING; with the zone.
    ConntrackIn(u16),
    /// Before connection tracking, at OUTPUT; with the zone.
    ConntrackOut(u16),
    /// On the way to INPUT, where nothing was tracked before.
    LocalDeliver,
}

#[derive(Clone, Debug)]
pub(crate) enum Pushed {
    /// Not a fragment, or the last missing one.
    Whole(Packet),
    /// Kept; others are missing.
    Held,
    Dropped(DropReason),
}

/// A queue that ran out of time.
#[derive(Clone, Debug)]
pub(crate) struct Expired {
    /// Its first fragment, where it had come: see `Net::reassembly_error`.
    pub first: Option<Packet>,
}
