//! One tracked flow: both tuples, its status, its deadline, and what its protocol, NAT and helper remember.

use std::any::Any;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::events::{EventMask, Told};
use super::keys::KeysOfMaster;
use super::labels::Labels;
use super::orphan::Token;
use super::policy::TimeoutPolicy;
use super::proto::{IgnoredReason, InvalidReason, Known, ProtocolState, Seen, Verdict};
use super::{ConntrackHelper, Direction, Settings, TrackContext, Tuple, Zone};
use crate::base::sync::{Mutex, MutexGuard};
use crate::base::{InterfaceId, JIFFIES_PER_SECOND, Time};
use crate::wire::tcp::is_before;

/// A flow. The original tuple never changes, and what NAT decided no more once the flow is in the table; everything else lies behind the flow's
/// own lock.
#[derive(Debug)]
pub struct Flow {
    /// Grows with each flow: the order in which flows are listed.
    serial: u64,
    original: Tuple,
    zone: Zone,
    /// What of its expectations is told.
    pub(super) expectations_told: EventMask,
    /// Of the original tuple, under the key of its table.
    pub(super) hash: u64,
    settled: OnceLock<Settled>,
    state: Mutex<FlowState>,
}

/// What changes no more once a flow is in the table: its packets read it without the flow's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// As [`FlowState::reply`].
    pub reply: Tuple,
    /// The bits of NAT count; others may have come since.
    pub status: Status,
    /// As [`FlowState::nat`].
    pub nat: NatInfo,
    /// A helper reads its packets, and may shift their numbers.
    pub is_read: bool,
}

impl Settled {
    fn of(state: &FlowState) -> Self {
        Self {
            reply: state.reply,
            status: state.status,
            nat: state.nat,
            is_read: state.helper.is_some() || state.status.has(Status::SEQ_ADJUST),
        }
    }

    /// The tuple of a direction; the original one is the flow's own.
    pub fn tuple<'a>(&'a self, flow: &'a Flow, direction: Direction) -> &'a Tuple {
        match direction {
            Direction::Original => &flow.original,
            Direction::Reply => &self.reply,
        }
    }
}

impl Flow {
    #[inline]
    pub(super) fn new(serial: u64, (original, hash): (Tuple, u64), state: FlowState) -> Self {
        let settled = match state.status.has(Status::CONFIRMED) {
            true => OnceLock::from(Settled::of(&state)),
            false => OnceLock::new(),
        };
        Self {
            serial,
            original,
            zone: Zone::default(),
            expectations_told: EventMask::NONE,
            hash,
            settled,
            state: Mutex::new(state),
        }
    }

    /// The same in this zone.
    pub(super) fn in_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// The same, and this of its expectations is told.
    pub(super) fn telling(mut self, expectations_told: EventMask) -> Self {
        self.expectations_told = expectations_told;
        self
    }

    /// It enters the table now.
    #[inline]
    pub(super) fn settle(&self, state: &FlowState) {
        // Nobody else settles it: it enters the table once, under its lock, and a copy of a flow of the table is settled from its beginning.
        let _ = self.settled.set(Settled::of(state));
    }

    /// What changes no more; `None` while the flow is not in the table.
    pub fn settled(&self) -> Option<&Settled> {
        self.settled.get()
    }

    /// The same of any flow, as it stands.
    pub fn as_decided(&self) -> Settled {
        match self.settled() {
            Some(settled) => *settled,
            None => Settled::of(&self.lock()),
        }
    }

    /// The tuple under which a flow of the table stands there.
    #[inline]
    pub(super) fn stands_under(&self, direction: Direction) -> Option<&Tuple> {
        match direction {
            Direction::Original => Some(&self.original),
            Direction::Reply => self.settled().map(|it| &it.reply),
        }
    }

    /// Its number in its table, which no later flow has.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The way of its first packet, as that came: NAT changes the reply.
    pub fn original(&self) -> &Tuple {
        &self.original
    }

    /// Where it is; it never changes.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The flow as it is now, for who explains later: it changes no more, and is in no table. What its helper remembers is left out.
    pub fn snapshot(&self) -> Self {
        Self::new(self.serial, (self.original, self.hash), self.lock().plain()).in_zone(self.zone)
    }

    /// Locks the flow. Never hold two flows' locks at once but master after expected.
    pub fn lock(&self) -> MutexGuard<'_, FlowState> {
        self.state.lock()
    }
}

/// A master may have been expected itself, and so on as often as somebody announced: who held each other are let go one after another, for which no stack
/// would be deep enough.
impl Drop for Flow {
    fn drop(&mut self) {
        let mut next = self.state.get_mut().master.take();
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = last.state.get_mut().master.take();
        }
    }
}

/// What changes in a flow.
#[derive(Debug)]
pub struct FlowState {
    pub(super) reply: Tuple,
    /// Of the reply under the key of its table, once somebody has asked: a new flow asks up to three times, and is asked again when it goes.
    pub(super) reply_hash: Option<u64>,
    /// Whether it was answered, is assured, is under NAT.
    pub status: Status,
    /// Meaningless until the flow is confirmed; the flow is dead from this instant on.
    pub deadline: Time,
    /// How long the flow will live from its confirmation, while it is not confirmed.
    pub timeout: Duration,
    /// When it was confirmed, kept where `nf_conntrack_timestamp` was set when the flow began.
    pub started: Option<Time>,
    /// The connection's mark (`CONNMARK`, `-m connmark`); 0 until one is set.
    pub mark: u32,
    /// Packets and bytes each way, kept where `nf_conntrack_acct` was set when the flow began.
    pub counters: Option<Box<[Counted; 2]>>,
    /// What the tracker of its protocol remembers.
    pub protocol: ProtocolState,
    /// What NAT remembers beyond the tuples.
    pub nat: NatInfo,
    /// The helper that reads this flow.
    pub helper: Option<&'static ConntrackHelper>,
    /// What that helper remembers of this flow.
    pub helper_data: Option<Box<dyn HelperData>>,
    /// Whether it ever announced a flow.
    pub(super) has_expected: bool,
    /// For an expected flow: the one whose helper announced it.
    pub master: Option<Arc<Flow>>,
    /// Counts, by its clones, the expected flows that live: the kernel's listings show each as one more use.
    pub(super) held_by: Option<Arc<Token>>,
    pub(super) holds: Option<Arc<Token>>,
    /// Of a flow that was announced with keys.
    pub(super) keys: Option<KeysOfMaster>,
    /// The numbers of the packets that opened it and that answered first; 0 where nobody counts, or none has yet.
    pub opened_by: u64,
    /// See `opened_by`.
    pub answered_by: u64,
    /// What listeners have been told of it; `None` where none will be.
    pub(super) told: Option<Box<Told>>,
    /// Offsets of TCP sequence numbers each way, where a helper changed a payload's length.
    pub sequence: Option<Box<[SequenceAdjustment; 2]>>,
    /// What few flows have.
    pub(super) extras: Option<Box<Extras>>,
}

/// What few flows have, from their beginning.
#[derive(Clone, Debug)]
pub(super) struct Extras {
    /// Its timeouts are these and not the knobs'.
    pub policy: Option<Arc<TimeoutPolicy>>,
    /// Where it has room for some.
    pub labels: Option<Labels>,
}

impl Extras {
    /// Of a flow that begins now.
    pub(super) fn of(policy: Option<&Arc<TimeoutPolicy>>, has_labels: bool) -> Option<Box<Self>> {
        (policy.is_some() || has_labels).then(|| {
            Box::new(Self {
                policy: policy.cloned(),
                labels: has_labels.then_some(0),
            })
        })
    }
}

/// How often, of all tables, a flow's time was over as soon as it was set, as timeouts of zero do. Without that, nothing ends while no time passes:
/// so [`super::Table::living`] need not look at each flow.
pub(super) static OVER_AT_ONCE: AtomicU64 = AtomicU64::new(0);

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
pub struct Status(u32);

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
        self.0
    }
}

impl FlowState {
    /// What an answer looks like when it comes: the other way round, with what NAT put in the place of the original's ends.
    pub fn reply(&self) -> &Tuple {
        &self.reply
    }

    /// What NAT made of it, and its hash under the table's key where that is known. To be called before the flow is in the table.
    pub(crate) fn set_reply(&mut self, reply: Tuple, hash: Option<u64>) {
        self.reply = reply;
        self.reply_hash = hash;
    }

    /// The same without what its helper remembers, and without a place among those that remember its master.
    pub(super) fn plain(&self) -> Self {
        Self {
            reply: self.reply,
            reply_hash: self.reply_hash,
            status: self.status,
            deadline: self.deadline,
            timeout: self.timeout,
            started: self.started,
            mark: self.mark,
            counters: self.counters.clone(),
            protocol: self.protocol.clone(),
            nat: self.nat,
            helper: self.helper,
            helper_data: None,
            has_expected: self.has_expected,
            master: self.master.clone(),
            held_by: None,
            holds: None,
            keys: None,
            opened_by: self.opened_by,
            answered_by: self.answered_by,
            told: self.told.clone(),
            sequence: self.sequence.clone(),
            extras: self.extras.clone(),
        }
    }

    /// Its labels; `None` where it has no room for any.
    pub fn labels(&self) -> Option<Labels> {
        self.extras.as_ref()?.labels
    }

    /// Gives it these labels and no others; false where it has no room for any.
    pub fn set_labels(&mut self, labels: Labels) -> bool {
        let place = self.extras.as_mut().and_then(|extras| extras.labels.as_mut());
        match place {
            Some(place) => {
                *place = labels;
                true
            }
            None => false,
        }
    }

    /// What of it alone is told, where a rule said so.
    pub fn told_only(&self) -> Option<EventMask> {
        self.told.as_ref()?.only()
    }

    /// The timeouts that it has in the place of the knobs.
    pub fn policy(&self) -> Option<&Arc<TimeoutPolicy>> {
        self.extras.as_ref()?.policy.as_ref()
    }

    /// It goes by the knobs from now on, where it went by this.
    pub(super) fn forget_policy(&mut self, policy: &Arc<TimeoutPolicy>) {
        if let Some(extras) = &mut self.extras {
            extras.policy.take_if(|own| Arc::ptr_eq(own, policy));
        }
    }

    /// What ends with the flow, as its helper says.
    pub(super) fn goes_along(&self, flow: &Flow) -> Option<[Tuple; 2]> {
        let data = self.helper_data.as_ref()?;
        data.goes_along(&flow.original, &self.reply)
    }

    /// A packet of the flow after its first: what its tracker made of it, and how the flow lives on.
    #[inline]
    pub(super) fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        direction: Direction,
        seen: &Seen<'_>,
    ) -> Verdict<InvalidReason, IgnoredReason> {
        match &self.extras {
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
            sequence: self.sequence.as_deref(),
        };
        let verdict = self.protocol.packet(cx, &known, direction, seen);
        if !matches!(verdict, Verdict::Accept { .. }) && self.protocol.is_assured_nevertheless() {
            self.status.set(Status::ASSURED);
        }
        match verdict {
            Verdict::Accept {
                timeout,
                became_assured,
            } => {
                // It is over in a second, whatever is said.
                if became_assured && !self.status.has(Status::CLASHES) {
                    self.status.set(Status::ASSURED);
                }
                self.refresh(cx.now, timeout);
            }
            Verdict::InvalidAtTheEnd { within, .. } => self.end_within(cx.now, within),
            Verdict::Ignore(_) | Verdict::Invalid(_) | Verdict::Destroy | Verdict::Again => {}
        }
        verdict
    }

    /// The tuple of a direction; the original one is the flow's own.
    pub fn tuple<'a>(&'a self, flow: &'a Flow, direction: Direction) -> &'a Tuple {
        match direction {
            Direction::Original => &flow.original,
            Direction::Reply => &self.reply,
        }
    }

    /// Which way a packet goes that was found under this tuple. Of a flow that is its own answer (the host speaks to itself without ports, or NAT
    /// turns a packet back to where it came from) seen: what follows is found in its reply direction.
    pub(super) fn direction_of(&self, tuple: &Tuple, stands_as: Direction) -> Direction {
        if self.reply == *tuple {
            Direction::Reply
        } else {
            stands_as
        }
    }

    /// Sets the deadline, or the life to come of a flow that is not confirmed. Timeouts are whole seconds: less stands for a negative one, which
    /// is over at once.
    pub(super) fn refresh(&mut self, now: Time, timeout: Duration) {
        let timeout = Duration::from_secs(timeout.as_secs());
        if self.status.has(Status::CONFIRMED) {
            if !self.status.has(Status::FIXED_TIMEOUT) {
                self.set_deadline(now, now + timeout);
            }
        } else {
            self.timeout = timeout;
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

    pub(super) fn set_deadline(&mut self, now: Time, deadline: Time) {
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

    /// How many flows that its helper announced live.
    pub fn expected_flows(&self) -> usize {
        self.held_by.as_ref().map_or(0, |token| Arc::strong_count(token) - 1)
    }

    /// Whether its time is over; never of a flow that is not in the table yet.
    pub fn is_expired(&self, now: Time) -> bool {
        self.status.has(Status::CONFIRMED) && self.deadline <= now
    }
}

#[cfg(test)]
mod tests;
