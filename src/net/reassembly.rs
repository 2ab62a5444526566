//! Reassembly in the words of both families: who asks for it, and what comes of it.

mod queue;

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use queue::{Shard, Waiting};

use super::{Complaint, DropReason, Net, v4, v6};
use crate::base::{InterfaceId, Time};
use crate::packet::Packet;

pub(super) use queue::{Kept, Key, Piece, Queue, Rules};

/// Every queue that waits for fragments, by sender in shards, each with a lock of its own: the senders' fragments are counted too. Each family counts
/// for itself.
#[derive(Clone, Debug)]
pub(crate) struct Reassembly {
    v4: Shards,
    v6: Shards,
    /// What tracking gathers of IPv6, which has bounds of its own.
    v6_of_tracking: Shards,
}

/// What reassembly is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knobs<'a> {
    pub net: &'a Net,
    /// Of tracking in IPv6 (`nf_conntrack_frag6_*`); that of IPv4 is held to the host's.
    pub tracking: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of all that waits, as the kernel counts them.
    pub memory: u64,
    pub seconds: i64,
}

#[derive(Debug)]
struct Shards {
    shards: [Mutex<Shard>; SHARDS],
    common: Arc<Waiting>,
}

const SHARDS: usize = 16;

impl Default for Shards {
    fn default() -> Self {
        let common = Arc::default();
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::beside(&common))),
            common,
        }
    }
}

impl Clone for Shards {
    fn clone(&self) -> Self {
        // All at once, so that what they count together is what they have.
        let shards = self.shards.each_ref().map(|shard| shard.lock());
        let common = Arc::new(Waiting::clone(&self.common));
        Self {
            shards: shards.map(|shard| Mutex::new(shard.copy(&common))),
            common,
        }
    }
}

impl Shards {
    fn of(&self, sender: u32) -> &Mutex<Shard> {
        &self.shards[(sender.wrapping_mul(SPREADS) >> 16) as usize % SHARDS]
    }
}

impl Reassembly {
    pub(crate) fn new() -> Self {
        Self {
            v4: Shards::default(),
            v6: Shards::default(),
            v6_of_tracking: Shards::default(),
        }
    }

    /// With the kernel's defaults for tracking, and nothing to be kept alive.
    #[cfg(test)]
    pub(super) fn push(&self, now: Time, net: &Net, user: DefragUser, packet: Packet) -> Pushed {
        let tracking = Limits {
            memory: 4_194_304,
            seconds: 60,
        };
        self.push_keeping(now, Knobs { net, tracking }, user, packet, None)
    }

    /// A packet that is no fragment comes back at once; one that is may keep something alive while it waits. Expired queues are to be taken by `expire(now)`
    /// before.
    pub(crate) fn push_keeping(
        &self,
        now: Time,
        knobs: Knobs<'_>,
        user: DefragUser,
        packet: Packet,
        kept: Kept,
    ) -> Pushed {
        match packet.source() {
            IpAddr::V4(_) if !packet.is_fragment() => Pushed::Whole(packet),
            IpAddr::V4(source) => {
                let place = v4::read_fragment(user, &packet);
                let mut shard = self.v4.of(source.to_bits()).lock();
                shard.push(now, &v4::reassembly_rules(knobs.net), place, packet, kept)
            }
            IpAddr::V6(source) => {
                let bits = source.to_bits();
                let mixed = (bits >> 96) ^ (bits >> 64) ^ (bits >> 32) ^ bits;
                let shards = match user {
                    DefragUser::LocalDeliver => &self.v6,
                    DefragUser::ConntrackIn(_) | DefragUser::ConntrackOut(_) => &self.v6_of_tracking,
                };
                push_ipv6(shards.of(mixed as u32), now, &knobs, user, packet, kept)
            }
        }
    }

    /// Takes the queues whose time is up, the oldest first.
    pub(crate) fn expire(&self, now: Time) -> Vec<Expired> {
        if self.is_empty() {
            return Vec::new();
        }
        let all = self.all().into_iter().flat_map(|it| &it.shards);
        let mut expired: Vec<_> = all.flat_map(|shard| shard.lock().expire(now)).collect();
        expired.sort_unstable_by_key(|(at, _)| *at);
        expired.into_iter().map(|(_, expired)| expired).collect()
    }

    fn all(&self) -> [&Shards; 3] {
        [&self.v4, &self.v6, &self.v6_of_tracking]
    }

    /// How many packets are waited for.
    pub(crate) fn len(&self) -> usize {
        self.all().map(|it| it.common.waiting()).iter().sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is counted against the thresholds.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.all().map(|it| it.common.memory()).iter().sum()
    }
}

/// How much a piece lacks to leave as it came behind headers of this length, with so many bytes of its own before it: the kernel writes the first one's
/// headers into the room before each, and cuts all anew where one piece has too little. Seen in both families, of pieces whose headers are shorter than the
/// first one's: what a program sends has just the room for the way out, what comes by a device some more; and where the first takes over what a piece began
/// with, that one has the room of it.
pub(super) fn lacks_for_headers(piece: &Packet, own: usize, headers: usize) -> usize {
    const MORE_IN: usize = 48;
    let room = match piece.input {
        None | Some(InterfaceId::LOOPBACK) => own,
        Some(_) => own + MORE_IN,
    };
    headers.saturating_sub(room)
}

#[cold]
fn push_ipv6(
    shard: &Mutex<Shard>,
    now: Time,
    knobs: &Knobs<'_>,
    user: DefragUser,
    packet: Packet,
    kept: Kept,
) -> Pushed {
    match v6::read_fragment(user, &packet) {
        v6::Fragment::None => Pushed::Left(packet),
        v6::Fragment::Spoils(key) => {
            shard.lock().close(&key);
            Pushed::Left(packet)
        }
        v6::Fragment::Refused(reason, Some(complaint)) => Pushed::Refused {
            packet,
            reason,
            complaint,
        },
        v6::Fragment::Refused(reason, None) => Pushed::Dropped(reason),
        v6::Fragment::Piece(key, piece) => {
            let rules = v6::reassembly_rules(knobs, user);
            shard.lock().push(now, &rules, (key, piece), packet, kept)
        }
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
    /// Nothing that could be waited for is made of it: it goes on as it is.
    Left(Packet),
    /// Dropped, and its sender is told.
    Refused {
        packet: Packet,
        reason: DropReason,
        complaint: Complaint,
    },
}

/// A queue that ran out of time.
#[derive(Clone, Debug)]
pub(crate) struct Expired {
    /// Its first fragment, where it had come: see `Net::reassembly_error`.
    pub first: Option<Packet>,
}
