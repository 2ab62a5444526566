//! One tracked flow: both tuples, its status, its deadline, and what its protocol, NAT and helper remember.

mod ends;
mod rare;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prefetch_index::prefetch_index;

use super::events::EventMask;
use super::proto::{Accepted, ChecksumCheck, IgnoredReason, InvalidReason, Known, ProtocolState, Seen, Verdict};
use super::{Direction, Settings, TrackContext, Tuple, Zone};
use crate::base::sync::{Mutex, MutexGuard};
use crate::base::{InterfaceId, JIFFIES_PER_SECOND, Time};
use crate::packet::Plain;
use crate::wire::tcp::is_before;
use ends::Ends;
pub(super) use rare::Rare;

/// A flow. The original tuple never changes, and what NAT decided no more once the flow is in the table; everything else lies behind the flow's
/// own lock.
#[derive(Debug)]
pub struct Flow {
    /// Grows with each flow: the order in which flows are listed.
    serial: u64,
    ends: Ends,
    state: Mutex<FlowState>,
}

/// What changes no more once a flow is in the table, as its reply: its packets read it without the flow's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The bits of NAT count; others may have come since.
    pub status: Status,
    /// As [`Flow::nat`].
    pub nat: NatInfo,
    /// A helper reads its packets, and may shift their numbers.
    pub is_read: bool,
}

impl Flow {
    /// In this zone, and this of its expectations is told.
    #[inline]
    pub(super) fn begun(
        serial: u64,
        tuples: (&Tuple, &Tuple),
        (zone, expectations_told): (Zone, EventMask),
        state: FlowState,
    ) -> Arc<Self> {
        Arc::new(Self::made(serial, Ends::new(tuples, zone, expectations_told), state))
    }

    /// Each part is moved once, to where it stays.
    #[inline(always)]
    fn made(serial: u64, ends: Ends, state: FlowState) -> Self {
        match state.status {
            status if status.has(Status::CONFIRMED) => ends.settle(status, state.is_read()),
            status if status == Status::default() => {}
            status => ends.decide(status),
        }
        Self {
            serial,
            ends,
            state: Mutex::new(state),
        }
    }

    /// The same flow again, with this state.
    pub(super) fn copied(&self, state: FlowState) -> Self {
        let tuples = [Direction::Original, Direction::Reply].map(|direction| self.tuple(direction));
        let ends = Ends::new((&tuples[0], &tuples[1]), self.zone(), self.expectations_told());
        ends.set_nat(self.nat());
        Self::made(self.serial, ends, state)
    }

    /// It enters the table now.
    #[inline]
    pub(super) fn settle(&self, state: &FlowState) {
        self.ends.settle(state.status, state.is_read());
    }

    /// What changes no more; `None` while the flow is not in the table.
    #[inline]
    pub fn settled(&self) -> Option<Settled> {
        self.ends.settled()
    }

    /// The same of any flow, as it stands.
    pub fn as_decided(&self) -> Settled {
        self.settled().unwrap_or_else(|| {
            let state = self.lock();
            Settled {
                status: state.status,
                nat: self.nat(),
                is_read: state.is_read(),
            }
        })
    }

    /// Its number in its table, which no later flow has.
    #[inline]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The way of its first packet, as that came: NAT changes the reply.
    pub fn original(&self) -> Tuple {
        self.tuple(Direction::Original)
    }

    /// What an answer looks like when it comes: the other way round, with what NAT put in the place of the original's ends.
    pub fn reply(&self) -> Tuple {
        self.tuple(Direction::Reply)
    }

    /// The tuple of a direction.
    #[inline]
    pub fn tuple(&self, direction: Direction) -> Tuple {
        self.ends.tuple(direction)
    }

    /// Whether that is this one.
    #[inline]
    pub(super) fn stands_under(&self, direction: Direction, tuple: &Tuple) -> bool {
        self.ends.are(direction, tuple)
    }

    /// Which way a packet goes that was found under this tuple. Of a flow that is its own answer (the host speaks to itself without ports, or NAT
    /// turns a packet back to where it came from) seen: what follows is found in its reply direction, unless it stands in another zone there.
    #[inline]
    pub(super) fn direction_of(&self, tuple: &Tuple, stands_as: Direction) -> Direction {
        match stands_as {
            Direction::Original if self.stands_under(Direction::Reply, tuple) && !self.zone().is_of_one_way() => {
                Direction::Reply
            }
            stands_as => stands_as,
        }
    }

    /// NAT has decided this. To be called under the flow's lock, before it is in the table.
    pub(crate) fn decide(&self, lock: &mut FlowState, status: Status) {
        lock.status.set(status);
        self.ends.decide(status);
    }

    /// What NAT has decided so far, and none of the other bits: read without the flow's lock, be it in the table or not.
    #[inline]
    pub(crate) fn decided(&self) -> Status {
        self.ends.decided()
    }

    /// What NAT made of the reply. To be called under the flow's lock, before it is in the table.
    pub(crate) fn set_reply(&self, _lock: &mut FlowState, reply: &Tuple) {
        self.ends.set_reply(reply);
    }

    /// What NAT remembers beyond the tuples.
    pub fn nat(&self) -> NatInfo {
        self.ends.nat()
    }

    /// The same way: before it is in the table.
    pub(crate) fn set_nat(&self, _lock: &mut FlowState, nat: NatInfo) {
        self.ends.set_nat(nat);
    }

    /// What of its expectations is told.
    pub(super) fn expectations_told(&self) -> EventMask {
        self.ends.expectations_told()
    }

    /// Where it is; it never changes.
    pub fn zone(&self) -> Zone {
        self.ends.zone()
    }

    /// Whether it is out of the table, and will never be in it again.
    pub(crate) fn is_gone(&self) -> bool {
        self.lock().status.has(Status::DYING)
    }

    /// The flow as it is now, for who explains later: it changes no more, and is in no table. What its helper remembers is left out.
    pub fn snapshot(&self) -> Self {
        self.copied(self.lock().plain())
    }

    /// Asks memory for it.
    #[inline]
    pub(super) fn is_looked_at_soon(&self) {
        prefetch_index(std::slice::from_ref(self), 0);
        prefetch_index(std::slice::from_ref(&self.state), 0);
    }

    /// Locks the flow. Never hold two flows' locks at once but master after expected.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, FlowState> {
        self.state.lock()
    }
}

/// A master may have been expected itself, and so on as often as somebody announced: who held each other are let go one after another, for which no stack
/// would be deep enough.
impl Drop for Flow {
    fn drop(&mut self) {
        let master_of = |state: &mut FlowState| state.rare.as_mut()?.master.take();
        let mut next = master_of(self.state.get_mut());
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = master_of(last.state.get_mut());
        }
    }
}

/// What changes in a flow.
#[derive(Debug)]
pub struct FlowState {
    /// Whether it was answered, is assured, is under NAT.
    pub status: Status,
    /// The connection's mark (`CONNMARK`, `-m connmark`); 0 until one is set.
    pub mark: u32,
    /// The flow is dead from this instant on. Until it is confirmed: how long it will live from then, since the epoch.
    pub deadline: Time,
    /// What the tracker of its protocol remembers.
    pub protocol: ProtocolState,
    /// The numbers of the packets that opened it and that answered first; 0 where nobody counts, or none has yet.
    pub opened_by: u64,
    /// See `opened_by`.
    pub answered_by: u64,
    /// Its port may be noted as taken as long as it lives ([`super::table::Table::note_in_crowd`]).
    pub(super) is_in_crowd: bool,
    /// What few flows have.
    pub(super) rare: Option<Box<Rare>>,
}

/// How often, of all tables, a flow's time was over as soon as it was set, as timeouts of zero do. Without that, nothing ends while no time passes:
/// so [`super::Table::living`] need not look at each flow.
pub(super) static OVER_AT_ONCE: AtomicU64 = AtomicU64::new(0);

/// How often, of all tables, a flow was to end sooner than it was noted in a crowd to live at least: nothing of any crowd is believed after that.
pub(super) static SHORTENED: AtomicU64 = AtomicU64::new(0);

/// What a helper keeps with a flow it reads.
pub trait HelperData: Any + Debug + Send {
    /// The same again, for a copy of the table.
    fn copy(&self) -> Box<dyn HelperData>;

    /// Under which tuples flows stand that end when this one does, which has these two.
    fn goes_along(&self, _original: &Tuple, _reply: &Tuple) -> Option<[Tuple; 2]> {
        None
    }
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub packets: u64,
    /// The sum of their lengths, network headers included.
    pub bytes: u64,
}

/// What NAT remembers beyond the tuples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatInfo {
    /// The interface MASQUERADE chose its address from: the flow dies when it goes down or changes address.
    pub masquerade_interface: Option<InterfaceId>,
}

/// The offset before and after the last change of length in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceAdjustment {
    /// The sequence number at which the offset changed.
    pub position: u32,
    /// What is added to sequence numbers up to the position.
    pub before: i32,
    /// What is added to those behind it.
    pub after: i32,
}

impl SequenceAdjustment {
    /// What is to be added to this sequence number of the sender. The packet that changed is itself before its change, so that a
    /// retransmission of it is shifted as it was.
    pub fn offset_at(&self, sequence: u32) -> i32 {
        if is_before(self.position, sequence) {
            self.after
        } else {
            self.before
        }
    }

    /// The sender's own number for one that the receiver knows.
    pub fn before_adjustment(&self, seen: u32) -> u32 {
        let offset = if is_before(self.position, seen.wrapping_sub(self.before as u32)) {
            self.after
        } else {
            self.before
        };
        seen.wrapping_sub(offset as u32)
    }
}

/// What `conntrack -L`, `--ctstatus` and early drop look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status(u16);

impl Status {
    /// A helper had announced it.
    pub const EXPECTED: Self = Self(1);
    /// A packet of the reply direction was seen.
    pub const SEEN_REPLY: Self = Self(1 << 1);
    /// Its tracker holds it for a real conversation: a full table does not drop it early.
    pub const ASSURED: Self = Self(1 << 2);
    /// It is in the table, or was.
    pub const CONFIRMED: Self = Self(1 << 3);
    /// NAT rewrites the source of its original direction.
    pub const SRC_NAT: Self = Self(1 << 4);
    /// NAT rewrites the destination of its original direction.
    pub const DST_NAT: Self = Self(1 << 5);
    /// Its sequence numbers are shifted.
    pub const SEQ_ADJUST: Self = Self(1 << 6);
    /// Source NAT has been decided (also when the decision was: none).
    pub const SRC_NAT_DONE: Self = Self(1 << 7);
    /// Destination NAT has been decided (also when the decision was: none).
    pub const DST_NAT_DONE: Self = Self(1 << 8);
    /// It is out of the table; what still holds it sees that by this bit.
    pub const DYING: Self = Self(1 << 9);
    /// A command fixed the time at which it ends: no packet lets it live longer.
    pub const FIXED_TIMEOUT: Self = Self(1 << 10);
    /// It stands in the table under its reply alone: under the original tuple another flow does ([`Clash::Beside`](super::Clash::Beside)).
    pub const CLASHES: Self = Self(1 << 12);

    /// All of the bits of `other`.
    #[inline]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Some of the bits of `other`.
    pub fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Puts bits in.
    #[inline]
    pub fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Takes bits out.
    pub fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// The bits of `other` taken out.
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The bits as the kernel numbers them.
    pub fn bits(self) -> u32 {
        self.0.into()
    }
}

impl FlowState {
    /// A flow that begins now, and lives so long once it is confirmed.
    pub(super) fn new(protocol: ProtocolState, timeout: Duration) -> Self {
        let mut state = Self {
            status: Status::default(),
            mark: 0,
            deadline: Time::ZERO,
            protocol,
            opened_by: 0,
            answered_by: 0,
            is_in_crowd: false,
            rare: None,
        };
        state.set_timeout(timeout);
        state
    }

    /// The same without what its helper remembers, and without a place among those that remember its master.
    pub(super) fn plain(&self) -> Self {
        Self {
            status: self.status,
            mark: self.mark,
            deadline: self.deadline,
            protocol: self.protocol.clone(),
            opened_by: self.opened_by,
            answered_by: self.answered_by,
            is_in_crowd: false,
            rare: self.rare.as_deref().map(|rare| Box::new(rare.plain())),
        }
    }

    /// A helper reads its packets, or their numbers are shifted.
    fn is_read(&self) -> bool {
        self.helper().is_some() || self.status.has(Status::SEQ_ADJUST)
    }

    /// A packet of the flow after its first: what its tracker made of it, and how the flow lives on.
    #[inline]
    pub(super) fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        direction: Direction,
        seen: &Seen<'_>,
    ) -> Verdict<InvalidReason, IgnoredReason> {
        match &self.rare {
            None => self.packet_by(cx, direction, seen),
            Some(_) => self.packet_with_extras(cx, direction, seen),
        }
    }

    /// Apart, so that other flows' packets need not make room for it.
    #[cold]
    #[inline(never)]
    fn packet_with_extras(
        &mut self,
        cx: &TrackContext<'_>,
        direction: Direction,
        seen: &Seen<'_>,
    ) -> Verdict<InvalidReason, IgnoredReason> {
        match self.policy() {
            None => self.packet_by(cx, direction, seen),
            Some(policy) => {
                let settings = policy.applied_to(cx.settings);
                let cx = TrackContext {
                    settings: &settings,
                    ..*cx
                };
                self.packet_by(&cx, direction, seen)
            }
        }
    }

    /// A plain packet of the flow whose header nobody has looked at: true where it belongs, as its tracker is sure to say. False, and then nothing has
    /// happened: also where the flow has something that few have, or is in a crowd.
    #[inline(always)]
    pub(super) fn goes_on<const WORDS: usize>(
        &mut self,
        cx: &TrackContext<'_>,
        direction: Direction,
        packet: (&Plain<'_, WORDS>, &mut ChecksumCheck),
    ) -> bool {
        if self.rare.is_some() || self.is_in_crowd {
            return false;
        }
        let known = Known {
            seen_reply: self.status.has(Status::SEEN_REPLY),
            assured: self.status.has(Status::ASSURED),
            sequence: None,
        };
        let Some(accepted) = self.protocol.goes_on(cx, &known, direction, packet) else {
            return false;
        };
        self.accepts(cx, accepted);
        self.is_answered_by(cx, direction);
        true
    }

    #[inline]
    fn packet_by(
        &mut self,
        cx: &TrackContext<'_>,
        direction: Direction,
        seen: &Seen<'_>,
    ) -> Verdict<InvalidReason, IgnoredReason> {
        let known = Known {
            seen_reply: self.status.has(Status::SEEN_REPLY),
            assured: self.status.has(Status::ASSURED),
            sequence: self.rare.as_deref().and_then(|rare| rare.sequence.as_deref()),
        };
        let verdict = self.protocol.packet(cx, &known, direction, seen);
        self.lives_by(cx, verdict)
    }

    /// A packet that belongs goes this way: whether it is an answer.
    #[inline]
    pub(super) fn is_answered_by(&mut self, cx: &TrackContext<'_>, direction: Direction) {
        if direction == Direction::Reply {
            if !self.status.has(Status::SEEN_REPLY) {
                self.answered_by = cx.packet;
            }
            self.status.set(Status::SEEN_REPLY);
        }
    }

    /// How the flow lives on by what its tracker said.
    #[inline]
    fn lives_by(
        &mut self,
        cx: &TrackContext<'_>,
        verdict: Verdict<InvalidReason, IgnoredReason>,
    ) -> Verdict<InvalidReason, IgnoredReason> {
        if !matches!(verdict, Verdict::Accept { .. }) && self.protocol.is_assured_nevertheless() {
            self.status.set(Status::ASSURED);
        }
        match verdict {
            Verdict::Accept {
                timeout,
                became_assured,
            } => {
                let accepted = Accepted {
                    timeout,
                    became_assured,
                };
                self.accepts(cx, accepted);
            }
            Verdict::InvalidAtTheEnd { within, .. } => self.end_within(cx.now, within),
            Verdict::Ignore(_) | Verdict::Invalid(_) | Verdict::Destroy | Verdict::Again => {}
        }
        verdict
    }

    #[inline]
    fn accepts(&mut self, cx: &TrackContext<'_>, accepted: Accepted) {
        // It is over in a second, whatever is said.
        if accepted.became_assured && !self.status.has(Status::CLASHES) {
            self.status.set(Status::ASSURED);
        }
        self.refresh(cx.now, accepted.timeout);
    }

    /// Sets the deadline, or the life to come of a flow that is not confirmed. Timeouts are whole seconds: less stands for a negative one, which
    /// is over at once.
    #[inline]
    pub(super) fn refresh(&mut self, now: Time, timeout: Duration) {
        let timeout = Duration::from_secs(timeout.as_secs());
        if self.status.has(Status::CONFIRMED) {
            if !self.status.has(Status::FIXED_TIMEOUT) {
                self.set_deadline(now, now + timeout);
            }
        } else {
            self.set_timeout(timeout);
        }
    }

    /// How long it will live once it is confirmed.
    pub(super) fn timeout(&self) -> Duration {
        self.deadline.since(Time::ZERO)
    }

    /// It is not confirmed, and will live so long from then.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.deadline = Time::ZERO + timeout;
    }

    /// What is left of its time; nothing before it is confirmed.
    pub fn left(&self, now: Time) -> Duration {
        match self.status.has(Status::CONFIRMED) {
            true => self.deadline.since(now),
            false => Duration::ZERO,
        }
    }

    /// Lets it live so long from now on, whatever its tracker says: for its helper. Seen: of a time in jiffies the kernel keeps 32 bits, and one whose
    /// highest is set is over at once.
    pub(crate) fn lives_on(&mut self, now: Time, timeout: Duration) {
        let jiffies = (timeout.as_secs() * u64::from(JIFFIES_PER_SECOND)) as u32;
        let seconds = match jiffies <= i32::MAX as u32 {
            true => u64::from(jiffies / JIFFIES_PER_SECOND),
            false => 0,
        };
        self.refresh(now, Duration::from_secs(seconds));
    }

    /// Lets it live so long at most.
    pub(super) fn end_within(&mut self, now: Time, within: Duration) {
        self.set_deadline(now, self.deadline.min(now + within));
    }

    #[inline]
    pub(super) fn set_deadline(&mut self, now: Time, deadline: Time) {
        if self.is_in_crowd && deadline < self.deadline {
            SHORTENED.fetch_add(1, Ordering::Relaxed);
        }
        self.deadline = deadline;
        if deadline <= now {
            OVER_AT_ONCE.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// REJECT sent a reset about a packet of it: a TCP flow of the table goes to CLOSE, and lives as long as one that closes.
    pub fn reset_by_rule(&mut self, now: Time, settings: &Settings) {
        let own = self.policy().map(|policy| policy.applied_to(settings));
        if self.status.has(Status::CONFIRMED)
            && let Some(timeout) = self.protocol.reset_by_rule(own.as_ref().unwrap_or(settings))
        {
            self.refresh(now, timeout);
        }
    }

    /// What counts as a use of the flow while it lives: a packet of it keeps that while it waits.
    pub fn used(&mut self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(self.rare_mut().held_by.get_or_insert_default()) as _
    }

    /// How many flows that its helper announced live, and how many of its packets wait.
    pub fn uses(&self) -> usize {
        let held_by = self.rare.as_deref().and_then(|rare| rare.held_by.as_ref());
        held_by.map_or(0, |token| Arc::strong_count(token) - 1)
    }

    /// Whether its time is over; never of a flow that is not in the table yet.
    #[inline]
    pub fn is_expired(&self, now: Time) -> bool {
        self.status.has(Status::CONFIRMED) && self.deadline <= now
    }
}

#[cfg(test)]
mod tests;
