//! What one worker owns: its place in the counters, its buffers, and what came of the packet at hand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::base::{InterfaceId, Random, Time};
use crate::conntrack::{CtState, Tracking};
use crate::net::{Delivery, Forwarding, RoutesSeen};
use crate::packet::{Offload, Packet};
use crate::rule::LogRecord;

use super::foreseen::Foreseen;
use super::pass::Transit;
use super::rate_limit::RateLimit;
use super::reason::Reason;
use super::router::Config;
use super::short_way::ShortWays;

/// A packet that comes in, one of several ([`Router::receive_in_turn`](super::Router::receive_in_turn)).
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'p> {
    /// What it is called, as by [`Worker::number_next`].
    pub number: u64,
    /// When it comes: not before the one before it.
    pub time: Time,
    /// Where it comes in.
    pub interface: InterfaceId,
    /// From the IP header on.
    pub bytes: &'p [u8],
}

/// Where a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// By this interface, to the wire. What leaves by `lo` is not here: it comes in again.
    Interface(InterfaceId),
    /// The router itself: it got through INPUT.
    Local,
}

/// One packet that left the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// Where it left.
    pub port: Port,
    /// From the IP header on, checksums included, unless the worker leaves them to devices.
    pub bytes: Vec<u8>,
    /// What the device has to do yet: nothing, unless the worker leaves it something ([`Worker::leave_to_devices`]).
    pub offload: Offload,
    /// It is a copy that a rule sent beside a packet, or came of one: it goes to whom the rule says, whatever its address is.
    pub is_beside: bool,
}

/// What became of one packet; not of the answers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where it ended.
    pub fate: Fate,
    /// What tracking called it; `None` where it never got that far, or nothing is tracked.
    pub state: Option<CtState>,
}

impl Report {
    /// Of a packet that left, for who has not heard more.
    pub(super) const FORWARDED: Self = Self {
        fate: Fate::Forwarded,
        state: None,
    };
}

/// Where the way of one packet ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It left by an interface that routing chose, or through `lo`.
    Forwarded,
    /// The router's own packet left.
    Sent,
    /// It got through INPUT; whether anybody listens is told by what is sent back.
    Delivered,
    /// It went no further, or not yet: it waits at a queue or for its other fragments.
    Stopped(Reason),
}

impl Fate {
    /// The word for it in `replay`'s output.
    pub fn verdict(&self) -> &'static str {
        match self {
            Self::Forwarded | Self::Sent | Self::Delivered => "ACCEPT",
            Self::Stopped(Reason::Rejected { .. }) => "REJECT",
            Self::Stopped(Reason::HeldFragment) => "STOLEN",
            Self::Stopped(Reason::Queued { .. } | Reason::Held { .. }) => "QUEUE",
            Self::Stopped(_) => "DROP",
        }
    }
}

/// A packet on its way round through `lo`, or the copy of a broadcast: what it carries of tracking comes along, as in the kernel.
#[derive(Debug)]
pub(super) struct Looped {
    /// Where it comes in.
    pub interface: InterfaceId,
    pub packet: Packet,
    pub tracking: Tracking,
    pub delivery: Delivery,
    /// It was forwarded, and keeps that route.
    pub forwarding: Option<Forwarding>,
    /// As [`Emission::is_beside`].
    pub is_beside: bool,
}

/// The places that a router's workers have in the counters of every table. Each is taken by one at a time, who counts there without a lock.
#[derive(Debug)]
pub(super) struct Seats(Arc<[AtomicBool]>);

impl Seats {
    /// At least one.
    pub(super) fn new(count: usize) -> Self {
        Self((0..count.max(1)).map(|_| AtomicBool::new(false)).collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// `None` where there is no such place, or somebody has it.
    pub(super) fn take(&self, index: usize) -> Option<Seat> {
        let was_taken = self.0.get(index)?.swap(true, Ordering::Acquire);
        (!was_taken).then(|| Seat {
            index,
            all: Arc::clone(&self.0),
        })
    }
}

/// A taken place. Others may have it once this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) index: usize,
    all: Arc<[AtomicBool]>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Who takes it next sees what was counted there.
        self.all[self.index].store(false, Ordering::Release);
    }
}

/// One worker: its place in the counters, which no other worker of its router has while it lives, a stream of random numbers and buffers.
#[derive(Debug)]
pub struct Worker {
    pub(super) seat: Seat,
    pub(super) random: Random,
    pub(super) stack: Vec<u32>,
    pub(super) looped: VecDeque<Looped>,
    pub(super) output: Vec<Emission>,
    pub(super) log: Vec<LogRecord>,
    pub(super) full: RateLimit,
    pub(super) number: u64,
    pub(super) leaves_to_devices: bool,
    pub(super) short_ways: ShortWays,
    pub(super) routes: Routes,
    pub(super) foreseen: Foreseen,
    /// For the next packet: moving it costs as much as making it.
    pub(super) transit: Option<Box<Transit>>,
    pub(super) pool: Vec<Vec<u8>>,
}

impl Worker {
    pub(super) fn new(seat: Seat, seed: u64) -> Self {
        Self {
            random: Random::new(seed.wrapping_add(seat.index as u64)),
            seat,
            stack: Vec::with_capacity(64),
            looped: VecDeque::new(),
            output: Vec::with_capacity(8),
            log: Vec::new(),
            full: RateLimit::default(),
            number: 0,
            leaves_to_devices: false,
            short_ways: ShortWays::new(seed.rotate_left(17) ^ SPREAD),
            routes: Routes::default(),
            foreseen: Foreseen::default(),
            transit: None,
            pool: Vec::new(),
        }
    }

    /// What left because of the last packet, in order.
    pub fn output(&self) -> &[Emission] {
        &self.output
    }

    /// The same, for who takes the bytes and leaves other buffers in their place.
    pub fn output_mut(&mut self) -> &mut [Emission] {
        &mut self.output
    }

    /// From now on packets leave as they are: some stand for many, and of some the checksum is unfinished. Who takes the output hands it to devices
    /// that do the rest. Otherwise each packet that leaves is one, and finished.
    pub fn leave_to_devices(&mut self) {
        self.leaves_to_devices = true;
    }

    /// How many packets were spared the long way, because their like had gone before.
    #[doc(hidden)]
    pub fn went_short(&self) -> u64 {
        self.short_ways.taken
    }

    /// How many packets of batches seemed to open flows before they were carried.
    #[doc(hidden)]
    pub fn foresaw(&self) -> u64 {
        self.short_ways.foreseen
    }

    /// The last packet's number, from 1: flows remember by which packet they were opened and answered.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Gives the next packet this number, where packets are counted elsewhere too (in a capture, by its frames).
    pub fn number_next(&mut self, number: u64) {
        self.number = number.saturating_sub(1);
    }

    /// The lines of the kernel's log that came since they were last taken.
    pub fn take_log(&mut self) -> Vec<LogRecord> {
        std::mem::take(&mut self.log)
    }

    /// Forgets the last packet's output and keeps its buffers for the next.
    pub(super) fn begin(&mut self) {
        forget(&mut self.output, &mut self.pool);
    }

    pub(super) fn buffer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.pool.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Takes a packet's bytes, and leaves a buffer of its own for the next.
    pub(super) fn exchange(&mut self, bytes: &mut Vec<u8>) -> Vec<u8> {
        std::mem::replace(bytes, self.pool.pop().unwrap_or_default())
    }

    /// An empty buffer, for a packet.
    pub(super) fn spare(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_default()
    }

    /// What leaves because of the last packet is this alone, and what left before is forgotten. The packet keeps another buffer.
    #[inline]
    pub(super) fn replace_output(&mut self, output: InterfaceId, packet: &mut Packet) {
        let emission = sole(&mut self.output, &mut self.pool);
        packet.exchange_bytes(&mut emission.bytes);
        emission.port = Port::Interface(output);
        emission.offload = packet.offload();
        emission.is_beside = false;
    }

    pub(super) fn recycle(&mut self, packet: &mut Packet) {
        if self.pool.len() < POOLED && packet.has_a_buffer() {
            self.pool.push(packet.take_bytes());
        }
    }
}

/// The place of what leaves alone because of a packet; it has a buffer with whatever left before.
#[inline]
pub(super) fn sole<'a>(output: &'a mut Vec<Emission>, pool: &mut Vec<Vec<u8>>) -> &'a mut Emission {
    if output.len() != 1 {
        make_sole(output, pool);
    }
    &mut output[0]
}

#[cold]
#[inline(never)]
fn make_sole(output: &mut Vec<Emission>, pool: &mut Vec<Vec<u8>>) {
    forget(output, pool);
    output.push(Emission {
        port: Port::Local,
        bytes: pool.pop().unwrap_or_default(),
        offload: Offload::default(),
        is_beside: false,
    });
}

fn forget(output: &mut Vec<Emission>, pool: &mut Vec<Vec<u8>>) {
    for emission in output.drain(..) {
        if pool.len() < POOLED {
            pool.push(emission.bytes);
        }
    }
}

/// A number without a pattern, so that seeds that are small are none to a hash.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What routing said of the last packets, as long as they see one configuration.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Whose memory is nobody else's while this is here, so it is the same where it lies at the same place.
    decided_by: Weak<Config>,
    seen: RoutesSeen,
}

impl Routes {
    /// What was decided by this one.
    #[inline]
    pub(super) fn of(&mut self, config: &Arc<Config>) -> &mut RoutesSeen {
        if !std::ptr::eq(self.decided_by.as_ptr(), Arc::as_ptr(config)) {
            self.decided_by = Arc::downgrade(config);
            self.seen.forget();
        }
        &mut self.seen
    }
}

/// Buffers kept for the next packets.
const POOLED: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::example::Example;
    use crate::net::Net;

    #[test]
    fn a_place_is_one_worker_s_at_a_time() {
        let Example { router, worker, .. } = Example::new(Net::default());
        assert!(router.worker(0).is_none() && router.workers().is_empty());
        drop(worker);
        assert!(router.worker(1).is_none(), "there is one place");
        let again = router.worker(0);
        assert!(again.is_some() && router.workers().is_empty());
    }
}
