//! Reassembly of fragments (RFC 791, RFC 815), a queue per packet and per place that reassembles.
//!
//! As the kernel does it, seen fragment by fragment: a fragment within what came in one run is a duplicate and dropped alone; one that overlaps gives
//! the whole queue up, and what comes later starts a new one; a fragment before the last whose length is no multiple of 8 is cut to one;
//! the time runs from the first fragment seen, and nothing prolongs it. The result has the header of the first fragment.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::sysctl::Knob;
use super::{DropReason, Net};
use crate::base::Time;
use crate::packet::Packet;
use crate::wire::ipv4::{DONT_FRAGMENT, Ipv4};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    user: DefragUser,
    source: IpAddr,
    destination: IpAddr,
    identification: u16,
    protocol: u8,
}

#[derive(Clone, Debug)]
struct Queue {
    deadline: Time,
    /// Tells this queue from a later one under the same key.
    number: u64,
    /// Runs of fragments of which each begins where the one before ended, in the order of their offsets.
    runs: Vec<Run>,
    /// Where the packet ends, as far as is known.
    end: usize,
    end_is_known: bool,
    received: usize,
    memory: usize,
    largest: usize,
    largest_with_df: usize,
    ecn_seen: u8,
    /// The sender's fragment count when this queue last got one.
    sender_count: u32,
}

#[derive(Clone, Debug)]
struct Run {
    start: usize,
    end: usize,
    pieces: Vec<Packet>,
}

/// Every queue that waits for fragments.
#[derive(Clone, Debug, Default)]
pub struct Reassembly {
    queues: BTreeMap<Key, Queue>,
    /// Queues in the order of their deadlines, with those already gone.
    deadlines: VecDeque<(Time, Key, u64)>,
    /// How many fragments each sender sent, for `ipfrag_max_dist`.
    senders: BTreeMap<IpAddr, u32>,
    memory: usize,
    number: u64,
}

/// What the kernel counts for a queue and for a buffer besides its bytes, roughly.
const QUEUE_OVERHEAD: usize = 256;
const FRAGMENT_OVERHEAD: usize = 768;
const MAX_SENDERS: usize = 65_664;

impl Reassembly {
    pub fn new() -> Self {
        Self::default()
    }

    /// A packet that is no fragment comes back at once. Expired queues are to be taken by `expire(now)` before.
    pub fn push(&mut self, now: Time, net: &Net, user: DefragUser, packet: Packet) -> Pushed {
        if !packet.is_fragment() {
            return Pushed::Whole(packet);
        }
        let key = Key {
            user,
            source: packet.source(),
            destination: packet.destination(),
            identification: packet.ipv4().identification(),
            protocol: packet.protocol(),
        };
        if !self.queues.contains_key(&key) {
            let limit = net.knob(Knob::FragmentHighThreshold) as u64;
            if limit == 0 || self.memory as u64 > limit {
                return Pushed::Dropped(DropReason::FragmentNoMemory);
            }
            self.open(now, net, key);
        }
        let maximum = net.knob(Knob::FragmentMaxDistance) as u32;
        let count = (maximum != 0).then(|| self.count(key.source)).unwrap_or(0);
        let Some(queue) = self.queues.get_mut(&key) else {
            return Pushed::Held;
        };
        if maximum != 0 {
            let distance = count.wrapping_sub(queue.sender_count);
            queue.sender_count = count;
            if !queue.runs.is_empty() && distance > maximum {
                // The identification was probably used again: what is there belongs to another packet.
                self.memory -= queue.memory;
                queue.restart();
                self.memory += queue.memory;
            }
        }
        let before = queue.memory;
        let result = queue.take(packet);
        self.memory = self.memory + queue.memory - before;
        match result {
            Ok(Taken::Waiting) => Pushed::Held,
            Ok(Taken::Complete(input)) => match self.close(&key) {
                Some(queue) => queue.assemble(input).map_or_else(Pushed::Dropped, Pushed::Whole),
                None => Pushed::Held,
            },
            Err(DropReason::FragmentDuplicate) => Pushed::Dropped(DropReason::FragmentDuplicate),
            Err(reason) => {
                self.close(&key);
                Pushed::Dropped(reason)
            }
        }
    }

    /// Takes the queues whose time is up, the oldest first.
    pub fn expire(&mut self, now: Time) -> Vec<Expired> {
        let mut expired = Vec::new();
        while let Some((deadline, key, number)) = self.deadlines.front().copied() {
            let live = self.queues.get(&key).is_some_and(|queue| queue.number == number);
            if live && deadline > now {
                break;
            }
            self.deadlines.pop_front();
            if live && let Some(queue) = self.close(&key) {
                let fragments = queue.runs.iter().map(|run| run.pieces.len()).sum();
                let first = queue.runs.into_iter().next().filter(|run| run.start == 0);
                expired.push(Expired {
                    user: key.user,
                    first: first.and_then(|run| run.pieces.into_iter().next()),
                    fragments,
                });
            }
        }
        expired
    }

    /// When `expire` may next have something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.front().map(|(deadline, ..)| *deadline)
    }

    /// How many packets are waited for.
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    fn open(&mut self, now: Time, net: &Net, key: Key) {
        let seconds = net.knob(Knob::FragmentTime).max(0) as u64;
        let deadline = now + Duration::from_secs(seconds);
        self.number += 1;
        // Deadlines come in order unless `ipfrag_time` was shortened meanwhile.
        let at = self.deadlines.partition_point(|(other, ..)| *other <= deadline);
        self.deadlines.insert(at, (deadline, key, self.number));
        let queue = Queue::new(deadline, self.number);
        self.memory += queue.memory;
        self.queues.insert(key, queue);
    }

    fn close(&mut self, key: &Key) -> Option<Queue> {
        let queue = self.queues.remove(key)?;
        self.memory -= queue.memory;
        // Entries of queues that are gone are dropped once they are the many.
        if self.deadlines.len() > 2 * self.queues.len() + 64 {
            let queues = &self.queues;
            self.deadlines
                .retain(|(_, key, number)| queues.get(key).is_some_and(|queue| queue.number == *number));
        }
        Some(queue)
    }

    fn count(&mut self, sender: IpAddr) -> u32 {
        if self.senders.len() >= MAX_SENDERS && !self.senders.contains_key(&sender) {
            self.senders.clear();
        }
        let count = self.senders.entry(sender).or_default();
        *count = count.wrapping_add(1);
        *count
    }
}

enum Taken {
    Waiting,
    /// With the interface that the last missing fragment came by, which is the whole packet's.
    Complete(Option<crate::base::InterfaceId>),
}

impl Queue {
    fn new(deadline: Time, number: u64) -> Self {
        Self {
            deadline,
            number,
            runs: Vec::new(),
            end: 0,
            end_is_known: false,
            received: 0,
            memory: QUEUE_OVERHEAD,
            largest: 0,
            largest_with_df: 0,
            ecn_seen: 0,
            sender_count: 0,
        }
    }

    fn restart(&mut self) {
        *self = Self {
            sender_count: self.sender_count,
            ..Self::new(self.deadline, self.number)
        };
    }

    fn take(&mut self, packet: Packet) -> Result<Taken, DropReason> {
        let header = packet.ipv4();
        let (more, df, ecn) = (header.more_fragments(), header.dont_fragment(), header.tos() & 3);
        let offset = packet.fragment_offset();
        let mut end = offset + packet.transport().len();
        if more {
            end = offset + (packet.transport().len() & !7);
            if end > self.end {
                if self.end_is_known {
                    return Err(DropReason::FragmentInconsistent);
                }
                self.end = end;
            }
        } else {
            if end < self.end || (self.end_is_known && end != self.end) {
                return Err(DropReason::FragmentInconsistent);
            }
            self.end_is_known = true;
            self.end = end;
        }
        if end == offset {
            return Err(DropReason::FragmentEmpty);
        }
        let (length, input) = (end - offset, packet.input);
        let size = packet.network_header_length() + length;
        self.insert(offset, end, packet)?;
        self.ecn_seen |= 1 << ecn;
        self.received += length;
        self.memory += size + FRAGMENT_OVERHEAD;
        self.largest = self.largest.max(size);
        if df {
            self.largest_with_df = self.largest_with_df.max(size);
        }
        let complete = self.end_is_known && self.received == self.end;
        Ok(if complete {
            Taken::Complete(input)
        } else {
            Taken::Waiting
        })
    }

    fn insert(&mut self, offset: usize, end: usize, packet: Packet) -> Result<(), DropReason> {
        let at = self.runs.partition_point(|run| run.end <= offset);
        if let Some(run) = self.runs.get(at)
            && run.start < end
        {
            return Err(match run.start <= offset && end <= run.end {
                true => DropReason::FragmentDuplicate,
                false => DropReason::FragmentOverlap,
            });
        }
        // Only the last run grows; elsewhere a neighbour stays a run of its own, which shows when a duplicate spans two.
        let is_last = at == self.runs.len();
        match self.runs.last_mut() {
            Some(last) if is_last && last.end == offset => {
                last.end = end;
                last.pieces.push(packet);
            }
            _ => self.runs.insert(
                at,
                Run {
                    start: offset,
                    end,
                    pieces: vec![packet],
                },
            ),
        }
        Ok(())
    }

    fn assemble(self, input: Option<crate::base::InterfaceId>) -> Result<Packet, DropReason> {
        // RFC 3168 5.3: marks of congestion are kept, and packets that mix "not capable" with anything else are not put together.
        const NOT_CAPABLE: u8 = 1;
        const CONGESTED: u8 = 1 << 3;
        if self.ecn_seen & NOT_CAPABLE != 0 && self.ecn_seen != NOT_CAPABLE {
            return Err(DropReason::FragmentBadEcn);
        }
        let pieces: Vec<Packet> = self.runs.into_iter().flat_map(|run| run.pieces).collect();
        let Some(first) = pieces.first() else {
            return Err(DropReason::FragmentInconsistent);
        };
        let header_length = first.network_header_length();
        let total = header_length + self.end;
        if total > usize::from(u16::MAX) {
            return Err(DropReason::FragmentTooLong);
        }
        let mark = first.mark;
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(first.ipv4().header());
        let mut sizes = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            // A piece was cut to whole words of eight where others follow.
            let data = piece.transport();
            let length = if piece.ipv4().more_fragments() {
                data.len() & !7
            } else {
                data.len()
            };
            bytes.extend_from_slice(&data[..length]);
            sizes.push(length as u16);
        }
        let df = self.largest_with_df == self.largest;
        if let Ok(mut header) = Ipv4::new(&mut bytes[..]) {
            header.set_total_length(total as u16);
            header.set_fragment_field(if df { DONT_FRAGMENT } else { 0 });
            if self.ecn_seen & CONGESTED != 0 {
                let tos = header.tos();
                header.set_tos(tos | 3);
            }
            header.fill_checksum();
        }
        let mut whole = Packet::parse(bytes).map_err(|_| DropReason::FragmentInconsistent)?;
        whole.input = input;
        whole.mark = mark;
        whole.largest_fragment = self.largest as u16;
        whole.fragments_had_df = df;
        whole.fragments = sizes;
        debug_assert_eq!(whole.network_header_length(), header_length);
        Ok(whole)
    }
}
