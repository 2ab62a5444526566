//! Queues (`-j QUEUE`, `-j NFQUEUE`): a packet is held for who listens at its queue, and goes on when that one has decided.
//!
//! What is held is the packet with what tracking says of it, and where it goes on. Only packets that a rule queues come here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::observer::Remembered;
use super::pass::{Onward, Transit};
use crate::base::sync::Mutex;
use crate::base::{InterfaceId, Random};
use crate::net::OutputKey;
use crate::packet::Packet;
use crate::rule::{Hook, QueueTo};

/// How somebody listens at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// So many packets wait at most.
    pub maximum: u32,
    /// What finds the queue full goes on behind its table instead of being dropped.
    pub fail_open: bool,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            maximum: 1024,
            fail_open: false,
        }
    }
}

/// Called where a packet waits at a queue, without a lock, in the thread that carries packets: it must be quick.
pub type WakeListener = Arc<dyn Fn() + Send + Sync>;

/// What is decided of a held packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueVerdict {
    /// Whether it goes on, and from where.
    pub kind: VerdictKind,
    /// The packet's mark from now on.
    pub mark: Option<u32>,
    /// The packet's bytes from now on, from its IP header on. What is no whole packet of the same family is dropped.
    pub bytes: Option<Vec<u8>>,
}

/// Of the verdicts that nfnetlink_queue takes, NF_ACCEPT, NF_DROP and NF_REPEAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    /// It goes on behind the table that queued it.
    Accept,
    /// It is gone; its sender is told nothing.
    Drop,
    /// It comes to the table that queued it once more.
    Repeat,
}

impl VerdictKind {
    /// Each once: a script's words are looked up among them.
    pub const ALL: [Self; 3] = [Self::Accept, Self::Drop, Self::Repeat];

    /// The word for it in a script: `queue 0 accept`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Repeat => "repeat",
        }
    }
}

impl From<VerdictKind> for QueueVerdict {
    fn from(kind: VerdictKind) -> Self {
        Self {
            kind,
            mark: None,
            bytes: None,
        }
    }
}

/// A packet that waits, as who listens sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPacket {
    /// What a verdict calls it; each queue counts its own, from 1.
    pub id: u32,
    /// The hook in which it waits; with [`VerdictKind::Accept`] it goes on in that.
    pub hook: Hook,
    /// `None` for a packet of the router's own that did not come round.
    pub input: Option<InterfaceId>,
    /// `None` before it has a way out: at PREROUTING and INPUT.
    pub output: Option<InterfaceId>,
    /// As the rules before left it.
    pub mark: u32,
    /// From the IP header on, with its checksums summed.
    pub bytes: Vec<u8>,
}

impl HeldPacket {
    fn of(Held { place, transit, .. }: &Held) -> Self {
        let packet = &transit.packet;
        Self {
            id: place.kept.id,
            hook: place.hook,
            input: packet.input,
            output: packet.output,
            mark: packet.mark,
            bytes: packet.bytes().to_vec(),
        }
    }
}

/// A queue at which somebody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenQueue {
    /// As `--queue-num` names it.
    pub number: u16,
    /// As whoever opened it asked for.
    pub settings: QueueSettings,
    /// Packets that wait.
    pub waiting: u32,
    /// Packets that found it full and were dropped.
    pub dropped: u32,
    /// The id that was given last; 0 before the first.
    pub last_id: u32,
}

/// Somebody listens there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTaken(pub u16);

impl fmt::Display for QueueTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "somebody listens at queue {} already", self.0)
    }
}

impl std::error::Error for QueueTaken {}

/// A packet, what is known of it, and where it goes on.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) place: QueuedAt,
    pub(super) transit: Transit,
    pub(super) onward: Onward,
    /// The packet's number at its worker.
    pub(super) number: u64,
    /// What who watched it come here keeps of that.
    pub(super) remembered: Option<Remembered>,
}

/// Where a packet was queued.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueuedAt {
    pub(super) queue: u16,
    pub(super) kept: Kept,
    pub(super) hook: Hook,
    /// The stage of the hook whose rules queued it.
    pub(super) stage: usize,
    /// What its way out depended on when it came to that stage.
    pub(super) key: OutputKey,
}

/// What a packet finds at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nobody,
    Full {
        fail_open: bool,
    },
    /// A place is kept for it.
    Place(Kept),
}

/// A place at a queue: under this id, since the queue was opened for the so-manieth time. Who closes a queue and opens it again meanwhile finds
/// nothing there that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: u32,
    opening: u64,
}

/// All queues at which somebody listens.
#[derive(Debug, Default)]
pub(super) struct Queues(Mutex<Opened>);

#[derive(Debug, Default)]
struct Opened {
    queues: BTreeMap<u16, Queue>,
    /// How often one was opened.
    times: u64,
}

struct Queue {
    shown: OpenQueue,
    opening: u64,
    held: VecDeque<Held>,
    /// `None` where whoever listens looks by itself.
    wake: Option<WakeListener>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shown, held, .. } = self;
        f.debug_struct("Queue")
            .field("shown", shown)
            .field("held", held)
            .finish_non_exhaustive()
    }
}

impl Queues {
    pub(super) fn open(
        &self,
        number: u16,
        settings: QueueSettings,
        wake: Option<WakeListener>,
    ) -> Result<(), QueueTaken> {
        let Opened { queues, times } = &mut *self.0.lock();
        if queues.contains_key(&number) {
            return Err(QueueTaken(number));
        }
        let shown = OpenQueue {
            number,
            settings,
            waiting: 0,
            dropped: 0,
            last_id: 0,
        };
        *times += 1;
        let queue = Queue {
            shown,
            opening: *times,
            held: VecDeque::new(),
            wake,
        };
        queues.insert(number, queue);
        Ok(())
    }

    /// What waited there is gone; how many packets that were, where somebody listened.
    pub(super) fn close(&self, number: u16) -> Option<u32> {
        let closed = self.0.lock().queues.remove(&number);
        closed.map(|queue| queue.held.len() as u32)
    }

    pub(super) fn shown(&self) -> Vec<OpenQueue> {
        self.0.lock().queues.values().map(|queue| queue.shown).collect()
    }

    /// Takes a place for a packet.
    pub(super) fn find(&self, number: u16) -> Found {
        let mut opened = self.0.lock();
        let Some(Queue { shown, opening, .. }) = opened.queues.get_mut(&number) else {
            return Found::Nobody;
        };
        if shown.waiting >= shown.settings.maximum {
            let fail_open = shown.settings.fail_open;
            shown.dropped = shown.dropped.wrapping_add(u32::from(!fail_open));
            return Found::Full { fail_open };
        }
        shown.waiting += 1;
        shown.last_id = shown.last_id.wrapping_add(1);
        Found::Place(Kept {
            id: shown.last_id,
            opening: *opening,
        })
    }

    /// Puts a packet at its place. Where the queue was closed since, it is gone, also if it was opened again.
    pub(super) fn put(&self, held: Held) {
        let mut opened = self.0.lock();
        let queue = opened.queues.get_mut(&held.place.queue);
        let Some(queue) = queue.filter(|it| it.opening == held.place.kept.opening) else {
            return;
        };
        queue.held.push_back(held);
        let wake = queue.wake.clone();
        drop(opened);
        if let Some(wake) = wake {
            wake();
        }
    }

    pub(super) fn held_as(&self, number: u16, id: u32) -> Option<HeldPacket> {
        let opened = self.0.lock();
        let held = &opened.queues.get(&number)?.held;
        held.iter().find(|held| held.place.kept.id == id).map(HeldPacket::of)
    }

    pub(super) fn take(&self, number: u16, id: u32) -> Option<Held> {
        let mut opened = self.0.lock();
        let queue = opened.queues.get_mut(&number)?;
        let at = queue.held.iter().position(|held| held.place.kept.id == id)?;
        queue.shown.waiting -= 1;
        queue.held.remove(at)
    }

    /// What waits at a queue behind an id, the oldest first.
    pub(super) fn held(&self, number: u16, after: u32) -> Vec<HeldPacket> {
        let opened = self.0.lock();
        let held = opened.queues.get(&number).into_iter().flat_map(|queue| &queue.held);
        held.filter(|held| held.place.kept.id > after)
            .map(HeldPacket::of)
            .collect()
    }

    /// Drops what came in by an interface, or was to leave by one, of which this is said.
    pub(super) fn forget(&self, is_lost: impl Fn(InterfaceId) -> bool) {
        for Queue { shown, held, .. } in self.0.lock().queues.values_mut() {
            let before = held.len();
            held.retain(|it| {
                let packet = &it.transit.packet;
                ![packet.input, packet.output].into_iter().flatten().any(&is_lost)
            });
            shown.waiting -= (before - held.len()) as u32;
        }
    }

    /// Somebody listens at the same ones, where nothing waits.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::default();
        for shown in self.shown() {
            let _ = copy.open(shown.number, shown.settings, None);
        }
        copy
    }
}

/// The queue of a packet among several: the worker's own, or one for all that these two hosts send each other by a protocol. The kernel spreads them
/// so too, by a number that it draws when it starts.
pub(super) fn choose(to: QueueTo, packet: &Packet, worker: usize, seed: u64) -> u16 {
    let count = u32::from(to.last - to.first) + 1;
    let offset = match (count, to.by_processor) {
        (1, _) => 0,
        (_, true) => worker as u32 % count,
        (_, false) => {
            let (one, other) = (packet.source(), packet.destination());
            let mut mixed = Mixed(seed);
            (one.min(other), one.max(other), packet.protocol()).hash(&mut mixed);
            Random::new(mixed.finish()).below(count)
        }
    };
    to.first + offset as u16
}

/// A number of all that is written to it.
struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = Random::new(self.0 ^ u64::from(*byte)).next_u64();
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
