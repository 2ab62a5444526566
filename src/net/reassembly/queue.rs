//! The queues that wait for fragments (RFC 791, RFC 815), one for each packet and each place that reassembles; what both families have of them.
//!
//! As the kernel does it, seen fragment by fragment: a fragment within what came in one run is a duplicate and dropped alone; one that overlaps gives
//! the whole queue up, and what comes later starts a new one; the time runs from the first fragment seen, and nothing prolongs it.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::{DefragUser, Expired, Pushed};
use crate::base::{InterfaceId, Time};
use crate::net::DropReason;
use crate::packet::Packet;

/// Of which packet a fragment is, and who reassembles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::net) struct Key {
    pub user: DefragUser,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub identification: u32,
    /// Of IPv4; IPv6 takes that of the first fragment.
    pub protocol: Option<u8>,
    /// Where addresses mean nothing without their link.
    pub link: Option<InterfaceId>,
}

/// What a fragment's own header says.
#[derive(Clone, Copy, Debug)]
pub(in crate::net) struct Piece {
    /// In bytes.
    pub offset: usize,
    /// Where its data end, as its header says, as far as they are taken.
    pub end: usize,
    /// How many of them it brings: less where a program sent less than it said.
    pub length: usize,
    pub more: bool,
    /// With its header.
    pub size: usize,
    pub has_df: bool,
    /// The two bits of its header.
    pub ecn: u8,
}

/// What a family's knobs and rules allow.
#[derive(Clone, Copy, Debug)]
pub(in crate::net) struct Rules {
    /// Bytes of all that waits, as the kernel counts them.
    pub memory: u64,
    pub seconds: i64,
    /// How many fragments of a sender may come between two of a packet; 0: any number.
    pub distance: u32,
    /// A fragment without data, or whose end contradicts what others said, is dropped alone.
    pub forgives: bool,
    /// What the queue's fragments are put together by.
    pub assemble: fn(Queue, Option<InterfaceId>) -> Result<Packet, DropReason>,
}

#[derive(Clone, Debug)]
pub(in crate::net) struct Queue {
    deadline: Time,
    /// Tells this queue from a later one under the same key.
    number: u64,
    /// Runs of fragments of which each begins where the one before ended, by the first one's offset. Who sends thousands of them, the last first,
    /// moves none of the others.
    runs: BTreeMap<usize, Run>,
    /// Where the packet ends, as far as is known.
    pub end: usize,
    end_is_known: bool,
    received: usize,
    memory: usize,
    /// Of the largest fragment, with its header.
    pub largest: usize,
    pub largest_with_df: usize,
    ecn_seen: u8,
    /// The sender's fragment count when this queue last got one.
    sender_count: u32,
    /// What its fragments keep while they wait.
    kept: Vec<Arc<dyn Any + Send + Sync>>,
}

#[derive(Clone, Debug)]
struct Run {
    end: usize,
    pieces: Vec<Packet>,
}

/// What whoever gives a fragment away has it keep.
pub(in crate::net) type Kept = Option<Arc<dyn Any + Send + Sync>>;

/// What all shards count together.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    memory: AtomicUsize,
    /// Queues that wait.
    queues: AtomicUsize,
    /// Of the last queue.
    number: AtomicU64,
}

impl Waiting {
    pub(super) fn waiting(&self) -> usize {
        self.queues.load(Ordering::Relaxed)
    }

    pub(super) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    fn charge(&self, before: usize, after: usize) {
        self.memory.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}

impl Clone for Waiting {
    fn clone(&self) -> Self {
        Self {
            memory: self.memory().into(),
            queues: self.waiting().into(),
            number: self.number.load(Ordering::Relaxed).into(),
        }
    }
}

/// The queues of some senders that wait for fragments: which, the caller decides, so long as all fragments of a sender come to the same.
#[derive(Debug)]
pub(super) struct Shard {
    common: Arc<Waiting>,
    queues: BTreeMap<Key, Queue>,
    /// Queues in the order of their deadlines, with those already gone.
    deadlines: VecDeque<(Time, Key, u64)>,
    /// How many fragments each sender sent.
    senders: BTreeMap<IpAddr, u32>,
}

/// What the kernel counts for a queue and for a buffer besides its bytes, roughly.
const QUEUE_OVERHEAD: usize = 256;
const FRAGMENT_OVERHEAD: usize = 768;
const MAX_SENDERS: usize = 65_664;

impl Shard {
    pub(super) fn beside(common: &Arc<Waiting>) -> Self {
        Self {
            common: Arc::clone(common),
            queues: BTreeMap::new(),
            deadlines: VecDeque::new(),
            senders: BTreeMap::new(),
        }
    }

    /// The same, counting with others.
    pub(super) fn copy(&self, common: &Arc<Waiting>) -> Self {
        Self {
            common: Arc::clone(common),
            queues: self.queues.iter().map(|(key, queue)| (*key, queue.copy())).collect(),
            deadlines: self.deadlines.clone(),
            senders: self.senders.clone(),
        }
    }

    /// Takes a fragment, and what it keeps while it waits. Expired queues are to be taken by `expire(now)` before.
    pub(super) fn push(
        &mut self,
        now: Time,
        rules: &Rules,
        (key, piece): (Key, Piece),
        packet: Packet,
        kept: Kept,
    ) -> Pushed {
        // Asked for pieces of packets that are begun, too: else a queue could grow without end.
        if rules.memory == 0 || self.common.memory() as u64 > rules.memory {
            return Pushed::Dropped(DropReason::FragmentNoMemory);
        }
        if !self.queues.contains_key(&key) {
            self.open(now, rules.seconds, key);
        }
        let count = match rules.distance {
            0 => 0,
            _ => self.count(key.source),
        };
        let Some(queue) = self.queues.get_mut(&key) else {
            return Pushed::Held;
        };
        if rules.distance != 0 {
            let distance = count.wrapping_sub(queue.sender_count);
            queue.sender_count = count;
            if !queue.runs.is_empty() && distance > rules.distance {
                // The identification was probably used again: what is there belongs to another packet.
                let before = queue.memory;
                queue.restart();
                self.common.charge(before, queue.memory);
            }
        }
        let before = queue.memory;
        let result = queue.take(piece, packet);
        self.common.charge(before, queue.memory);
        match result {
            Ok(Taken::Waiting) => {
                queue.kept.extend(kept);
                Pushed::Held
            }
            Ok(Taken::Complete(input)) => match self.close(&key) {
                Some(queue) => (rules.assemble)(queue, input).map_or_else(Pushed::Dropped, Pushed::Whole),
                None => Pushed::Held,
            },
            Err(DropReason::FragmentDuplicate) => Pushed::Dropped(DropReason::FragmentDuplicate),
            Err(reason) if rules.forgives && reason != DropReason::FragmentOverlap => Pushed::Dropped(reason),
            Err(reason) => {
                self.close(&key);
                Pushed::Dropped(reason)
            }
        }
    }

    /// Takes the queues whose time is up, the oldest first, each with when that was and its number.
    pub(super) fn expire(&mut self, now: Time) -> Vec<((Time, u64), Expired)> {
        let mut expired = Vec::new();
        while let Some((deadline, key, number)) = self.deadlines.front().copied() {
            let live = self.queues.get(&key).is_some_and(|queue| queue.number == number);
            if live && deadline > now {
                break;
            }
            self.deadlines.pop_front();
            if live && let Some(mut queue) = self.close(&key) {
                let first = queue.runs.remove(&0);
                let first = first.and_then(|run| run.pieces.into_iter().next());
                expired.push(((deadline, number), Expired { first }));
            }
        }
        expired
    }

    fn open(&mut self, now: Time, seconds: i64, key: Key) {
        let deadline = now + Duration::from_secs(seconds.max(0) as u64);
        let number = self.common.number.fetch_add(1, Ordering::Relaxed) + 1;
        // Deadlines come in order unless the time was shortened meanwhile.
        let at = self.deadlines.partition_point(|(other, ..)| *other <= deadline);
        self.deadlines.insert(at, (deadline, key, number));
        let queue = Queue::new(deadline, number);
        self.common.charge(0, queue.memory);
        self.common.queues.fetch_add(1, Ordering::Relaxed);
        self.queues.insert(key, queue);
    }

    /// Gives a queue up.
    pub(super) fn close(&mut self, key: &Key) -> Option<Queue> {
        let queue = self.queues.remove(key)?;
        self.common.charge(queue.memory, 0);
        self.common.queues.fetch_sub(1, Ordering::Relaxed);
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
    Complete(Option<InterfaceId>),
}

impl Queue {
    fn new(deadline: Time, number: u64) -> Self {
        Self {
            deadline,
            number,
            runs: BTreeMap::new(),
            end: 0,
            end_is_known: false,
            received: 0,
            memory: QUEUE_OVERHEAD,
            largest: 0,
            largest_with_df: 0,
            ecn_seen: 0,
            sender_count: 0,
            kept: Vec::new(),
        }
    }

    /// What is kept belongs to what is copied.
    fn copy(&self) -> Self {
        Self {
            kept: Vec::new(),
            ..self.clone()
        }
    }

    fn restart(&mut self) {
        *self = Self {
            sender_count: self.sender_count,
            ..Self::new(self.deadline, self.number)
        };
    }

    fn take(&mut self, piece: Piece, packet: Packet) -> Result<Taken, DropReason> {
        let Piece { offset, end, .. } = piece;
        if piece.more {
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
        let input = packet.input;
        self.insert(&piece, packet)?;
        self.ecn_seen |= 1 << piece.ecn;
        self.received += piece.length;
        self.memory += piece.size + FRAGMENT_OVERHEAD;
        self.largest = self.largest.max(piece.size);
        if piece.has_df {
            self.largest_with_df = self.largest_with_df.max(piece.size);
        }
        let complete = self.end_is_known && self.received == self.end && self.runs.contains_key(&0);
        Ok(if complete {
            Taken::Complete(input)
        } else {
            Taken::Waiting
        })
    }

    fn insert(&mut self, piece: &Piece, packet: Packet) -> Result<(), DropReason> {
        let Piece { offset, end, .. } = *piece;
        if let Some((_, run)) = self.runs.range(..=offset).next_back()
            && offset < run.end
        {
            return Err(match end <= run.end {
                true => DropReason::FragmentDuplicate,
                false => DropReason::FragmentOverlap,
            });
        }
        if end > offset && self.runs.range(offset..end).next().is_some() {
            return Err(DropReason::FragmentOverlap);
        }
        let end = offset + piece.length;
        // Only the last run grows; elsewhere a neighbour stays a run of its own, which shows when a duplicate spans two.
        match self.runs.last_entry() {
            Some(mut last) if last.get().end == offset => {
                let last = last.get_mut();
                last.end = end;
                last.pieces.push(packet);
            }
            _ => {
                let pieces = vec![packet];
                self.runs.insert(offset, Run { end, pieces });
            }
        }
        Ok(())
    }

    /// Its fragments in the order of their offsets.
    pub(in crate::net) fn pieces(&self) -> impl Iterator<Item = &Packet> {
        self.runs.values().flat_map(|run| &run.pieces)
    }

    /// The same, taken out.
    pub(in crate::net) fn into_pieces(self) -> Vec<Packet> {
        self.runs.into_values().flat_map(|run| run.pieces).collect()
    }

    /// What the whole carries of its fragments' ECN marks (RFC 3168, 5.3): whether it is marked as congested. Marks that mix "not capable" with
    /// anything else are not put together.
    pub(in crate::net) fn congestion(&self) -> Result<bool, DropReason> {
        const NOT_CAPABLE: u8 = 1;
        const CONGESTED: u8 = 1 << 3;
        match self.ecn_seen & NOT_CAPABLE != 0 && self.ecn_seen != NOT_CAPABLE {
            true => Err(DropReason::FragmentBadEcn),
            false => Ok(self.ecn_seen & CONGESTED != 0),
        }
    }
}
