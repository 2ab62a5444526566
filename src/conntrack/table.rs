//! The table of flows, in shards, and the expectations beside it.
//!
//! Locks, in the order in which they may be taken: a flow, then a shard (one, or two in the order of their numbers), the index of sources or the
//! expectations, and last the keys that were agreed on, the list of what is forgotten, or the crowds and one of them. All but a flow's are held for a few instructions and
//! nothing is called under them.

mod ahead;
mod collect;
mod crowds;
mod early_drop;
mod hash;
mod lines;
mod sources;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::clash::Beside;
use super::events::{EventKind, Events, ExpectationEvent, Listener, Listeners};
use super::expectations::Expectations;
use super::flow::FlowState;
use super::keys::Keys;
use super::orphan::{Forgotten, Orphan};
use super::{
    Direction, EventMask, EventMasks, Flow, Settings, Statistics, Status, TimeoutPolicies, TimeoutPolicy, Tuple, Zone,
};
use crate::base::Time;
use crate::base::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};
pub(crate) use ahead::Hashes;
use ahead::Whereabouts;
use collect::SweepPlace;
pub(crate) use crowds::Crowd;
use crowds::Crowds;
use early_drop::Looks;
use lines::Lines;
use sources::{Sources, zone_of_source};

/// All flows. Each stands in it twice, under the tuples of both directions.
pub struct Table {
    hash_key: (u64, u64),
    /// The bit of each says that it stands there under its reply.
    shards: Box<[Mutex<Lines>]>,
    /// Of each of them.
    whereabouts: Box<[Whereabouts]>,
    sources: Box<[Mutex<Sources>]>,
    sources_at: Box<[Whereabouts]>,
    crowds: Crowds,
    /// Of flows that are gone but for those which their helpers announced.
    orphaned_count: AtomicUsize,
    forgotten: Arc<Forgotten>,
    count: AtomicUsize,
    /// When it was seen that the time of none was over, and how many ended at once before that.
    all_living: Mutex<Option<(Time, u64)>>,
    /// Where the dead are looked for next.
    swept: Mutex<SweepPlace>,
    /// For whom to drop.
    looks: Looks,
    next_serial: AtomicU64,
    expectations: Mutex<Expectations>,
    /// Lets a new flow pass without a look at the lock where nothing is expected.
    expectation_count: AtomicUsize,
    pub(super) events: Arc<Events>,
    expectation_events: Arc<Listeners<ExpectationEvent>>,
    pub(super) keys: Arc<Keys>,
    /// A rule in force asks for labels: what begins now gets room for them.
    keeps_labels: AtomicBool,
    /// A flow stood, or a packet was looked for, in a zone of one direction: a packet may fit several flows since.
    has_zones_of_one_way: AtomicBool,
    policies: TimeoutPolicies,
    pub(crate) statistics: Statistics,
    is_listed_by_packets: AtomicBool,
}

/// Whether a flow that was found by its hash stands under this tuple, and there in this zone.
#[inline]
fn is_of(flow: &Flow, direction: Direction, tuple: &Tuple, zone: Zone) -> bool {
    flow.stands_under(direction, tuple) && flow.zone().of(direction) == zone.of(direction)
}

/// Whether a flow of this zone, which wants the tuple for its direction, cannot have it since another stands there under `its`. Seen: the two stand
/// in each other's way where both have the same zone in the direction of either.
fn is_in_the_way(flow: &Flow, its: Direction, tuple: &Tuple, zone: Zone, direction: Direction) -> bool {
    is_of(flow, its, tuple, zone) && flow.zone().of(its) == zone.of(direction)
}

/// What the bit of an entry says.
#[inline]
fn direction_of(is_reply: bool) -> Direction {
    match is_reply {
        false => Direction::Original,
        true => Direction::Reply,
    }
}

/// The locked shards of both directions, which may be one.
struct ShardsOfFlow<'a> {
    table: &'a Table,
    low: MutexGuard<'a, Lines>,
    high: Option<(usize, MutexGuard<'a, Lines>)>,
}

impl ShardsOfFlow<'_> {
    fn of(&mut self, hash: u64) -> &mut Lines {
        match &mut self.high {
            Some((number, shard)) if *number == self.table.shard_number(hash) => shard,
            _ => &mut self.low,
        }
    }

    /// Who stands where a flow of this zone wants to stand with the tuple of a direction.
    fn holder(&mut self, hash: u64, tuple: &Tuple, zone: Zone, direction: Direction) -> Option<Arc<Flow>> {
        let in_the_way =
            |flow: &Arc<Flow>, is_reply| is_in_the_way(flow, direction_of(is_reply), tuple, zone, direction);
        let (holder, _) = self.of(hash).find(hash as u32, in_the_way)?;
        Some(Arc::clone(holder))
    }
}

const SHARDS: usize = 64;

impl Table {
    /// A secret key keeps an attacker from aiming at one bucket; a fixed one makes a run repeatable.
    pub fn new(hash_key: (u64, u64)) -> Self {
        Self {
            hash_key,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            whereabouts: (0..SHARDS).map(|_| Whereabouts::default()).collect(),
            sources: (0..SHARDS).map(|_| Mutex::default()).collect(),
            sources_at: (0..SHARDS).map(|_| Whereabouts::default()).collect(),
            crowds: Crowds::default(),
            orphaned_count: AtomicUsize::new(0),
            forgotten: Arc::default(),
            count: AtomicUsize::new(0),
            all_living: Mutex::default(),
            swept: Mutex::default(),
            looks: Looks::default(),
            next_serial: AtomicU64::new(0),
            expectations: Mutex::default(),
            expectation_count: AtomicUsize::new(0),
            events: Arc::default(),
            expectation_events: Arc::default(),
            keys: Arc::default(),
            keeps_labels: AtomicBool::new(false),
            has_zones_of_one_way: AtomicBool::new(false),
            policies: TimeoutPolicies::default(),
            statistics: Statistics::default(),
            is_listed_by_packets: AtomicBool::new(false),
        }
    }

    /// The flow that a packet with this tuple belongs to where no rule names a zone, and which way the packet goes in it. A flow whose time is over
    /// is removed.
    pub fn lookup(&self, now: Time, tuple: &Tuple) -> Option<(Arc<Flow>, Direction)> {
        self.lookup_in(now, tuple, Zone::default())
    }

    /// The same in a zone.
    pub fn lookup_in(&self, now: Time, tuple: &Tuple, zone: Zone) -> Option<(Arc<Flow>, Direction)> {
        self.lookup_hashed(now, tuple, self.hash(tuple), zone)
    }

    fn lookup_hashed(&self, now: Time, tuple: &Tuple, hash: u64, zone: Zone) -> Option<(Arc<Flow>, Direction)> {
        let (flow, direction) = self.find(hash, tuple, zone)?;
        let state = flow.lock();
        if state.is_expired(now) {
            drop(state);
            let is_gone = self.delete(&flow);
            return match is_gone && self.has_zones_of_one_way() {
                true => self.lookup_hashed(now, tuple, hash, zone),
                false => None,
            };
        }
        drop(state);
        let direction = flow.direction_of(tuple, direction);
        Some((flow, direction))
    }

    /// The flow under this tuple, whose hash is given, be its time over or not, and the direction under which it stands there.
    pub(super) fn find(&self, hash: u64, tuple: &Tuple, zone: Zone) -> Option<(Arc<Flow>, Direction)> {
        if zone.is_of_one_way() || self.has_zones_of_one_way() {
            return self.find_in_order(hash, tuple, zone);
        }
        let shard = self.shard(hash).lock();
        let is_meant = |flow: &Arc<Flow>, is_reply| is_of(flow, direction_of(is_reply), tuple, zone);
        let (flow, is_reply) = shard.find(hash as u32, is_meant)?;
        Some((Arc::clone(flow), direction_of(is_reply)))
    }

    /// The same where several may be meant. Zones are hashed in the kernel: seen, that of the packet's original direction is looked through before
    /// that of its replies, and in each of them what came last is met first.
    #[cold]
    fn find_in_order(&self, hash: u64, tuple: &Tuple, zone: Zone) -> Option<(Arc<Flow>, Direction)> {
        self.note_zone(zone);
        let shard = self.shard(hash).lock();
        let mut found: Option<((bool, u64), Arc<Flow>, Direction)> = None;
        shard.find(hash as u32, |flow, is_reply| {
            let direction = direction_of(is_reply);
            let order = (flow.zone().of(direction) == zone.of(Direction::Original), flow.serial());
            if is_of(flow, direction, tuple, zone) && found.as_ref().is_none_or(|(before, ..)| order > *before) {
                found = Some((order, Arc::clone(flow), direction));
            }
            false
        });
        found.map(|(_, flow, direction)| (flow, direction))
    }

    /// Whether a packet may fit several flows, and so another one as soon as that is there.
    #[inline]
    pub(crate) fn has_zones_of_one_way(&self) -> bool {
        self.has_zones_of_one_way.load(Ordering::Relaxed)
    }

    #[inline]
    fn note_zone(&self, zone: Zone) {
        if zone.is_of_one_way() && !self.has_zones_of_one_way() {
            self.has_zones_of_one_way.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a flow other than this one holds the tuple. One that was opened by the same tuple is the same, seen before it got out: which of
    /// them stays is found out when the second is to be confirmed.
    pub(crate) fn is_taken(&self, now: Time, tuple: &Tuple, hash: u64, by_other_than: &Arc<Flow>) -> bool {
        let is_the_same = |flow: &Arc<Flow>| {
            let of_one_packet = flow.original() == by_other_than.original() && flow.zone() == by_other_than.zone();
            Arc::ptr_eq(flow, by_other_than) || of_one_packet
        };
        let zone = by_other_than.zone();
        let found = {
            let shard = self.shard(hash).lock();
            let in_the_way =
                |flow: &Arc<Flow>, is_reply| is_in_the_way(flow, direction_of(is_reply), tuple, zone, Direction::Reply);
            let found = shard.find(hash as u32, in_the_way);
            found.map(|(flow, is_reply)| (Arc::clone(flow), direction_of(is_reply)))
        };
        let found = found.filter(|(flow, direction)| {
            let mut state = flow.lock();
            let expired = state.is_expired(now);
            if !expired {
                self.note_in_crowd(now, (flow, &mut state), *direction);
            }
            drop(state);
            !(expired && self.delete(flow))
        });
        let taken = found.is_some_and(|(flow, _)| !is_the_same(&flow));
        if taken {
            self.statistics.found.count();
        }
        taken
    }

    /// The same where the flow is mapped by nothing yet, and may join another ([`super::clash`]): the same flow from the other end does not count.
    pub(crate) fn is_taken_by_a_stranger(
        &self,
        now: Time,
        tuple: &Tuple,
        hash: u64,
        by_other_than: &Arc<Flow>,
    ) -> bool {
        if !self.is_taken(now, tuple, hash, by_other_than) {
            return false;
        }
        let changed = Status::SRC_NAT.or(Status::DST_NAT).or(Status::SEQ_ADJUST);
        let (is_changed, reply) = (by_other_than.lock().status.has_any(changed), by_other_than.reply());
        if is_changed || !super::proto::spec(tuple.protocol).joins || reply != *tuple {
            return true;
        }
        // Seen: who stands beside another is met by its answers, before whom it stands beside.
        let original = by_other_than.original();
        let holder = self.find(self.hash(&original), &original, by_other_than.zone());
        let holder = holder.or_else(|| self.find(hash, tuple, by_other_than.zone()));
        holder.is_some_and(|(holder, _)| {
            let state = holder.lock();
            let from_the_other_end = holder.original() == reply && holder.reply() == by_other_than.original();
            state.status.has_any(changed) || !from_the_other_end
        })
    }

    /// Hears from now on what happens to flows that begin from now on. So many things wait for it at most; `wake` is called, wherever that is, when
    /// there is something new, and must be quick.
    pub fn listen(&self, bound: usize, wake: Box<dyn Fn() + Send + Sync>) -> Listener {
        Listener::new(&self.events, bound, wake)
    }

    /// The same of expectations.
    pub fn listen_to_expectations(
        &self,
        bound: usize,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Listener<ExpectationEvent> {
        Listener::new(&self.expectation_events, bound, wake)
    }

    /// Flows in the table, those that nobody has collected yet included, as `nf_conntrack_count` counts them. Seen: with those that are out of it,
    /// as long as a flow lives which they announced; so who lets flows announce each other does not fill the memory.
    pub fn count(&self) -> usize {
        self.forget_orphans();
        self.count.load(Ordering::Relaxed) + self.orphaned_count.load(Ordering::Relaxed)
    }

    /// Takes a flow out, with its expectations. A flow that is not in the table yet will not get there. False when it was dead already.
    pub fn delete(&self, flow: &Arc<Flow>) -> bool {
        self.delete_for(flow, None, false)
    }

    /// The same in the name of a command, which listeners are told.
    pub fn delete_by_command(&self, flow: &Arc<Flow>) -> bool {
        self.delete_for(flow, None, true)
    }

    /// Its hashes may be known.
    fn delete_for(&self, flow: &Arc<Flow>, hashes: Option<[u64; 2]>, by_command: bool) -> bool {
        let (status, has_expected, remembered_by, last_words, along) = {
            let mut state = flow.lock();
            let is_in_crowd = std::mem::take(&mut state.is_in_crowd);
            if state.status.has(Status::DYING) {
                return false;
            }
            let last_words = self.events.last_words(&state);
            state.status.set(Status::DYING);
            if is_in_crowd {
                self.forget_in_crowd(flow);
            }
            // Whoever still looks at the flow (an observer, a packet) is not one that remembers its master.
            let (mut has_expected, mut remembered_by) = (false, None);
            if let Some(rare) = &mut state.rare {
                let (held_by, holds) = (rare.held_by.take(), rare.holds.take());
                remembered_by = held_by.filter(|token| Arc::strong_count(token) > 1);
                if let (Some(token), Some(holds)) = (&remembered_by, holds) {
                    let _ = token.keeps.set(holds);
                }
                rare.keys = None;
                has_expected = rare.has_expected;
            }
            let is_in_table = state.status.has(Status::CONFIRMED);
            let along = state.goes_along(flow).filter(|_| is_in_table);
            (state.status, has_expected, remembered_by, last_words, along)
        };
        if let Some(last_words) = last_words {
            self.events
                .publish_as(EventKind::Destroy, flow, &last_words, None, by_command);
        }
        if status.has(Status::CONFIRMED) {
            let hashes = hashes.unwrap_or_else(|| self.hashes_of(flow));
            let mut shards = self.shards_of(hashes);
            for (hash, direction) in hashes.into_iter().zip([Direction::Original, Direction::Reply]) {
                let is_mine = |it: &Arc<Flow>, is_reply| Arc::ptr_eq(it, flow) && direction_of(is_reply) == direction;
                // It is not let go here: the caller has it.
                shards.of(hash).remove(hash as u32, is_mine);
            }
            drop(shards);
            let orphan = Orphan {
                original: flow.original(),
                zone: zone_of_source(flow),
                serial: flow.serial(),
            };
            match remembered_by {
                Some(token) => self.orphaned(orphan, &token),
                None if status.has(Status::SRC_NAT_DONE) => self.forget_mapping(&orphan),
                None => {}
            }
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        self.end_all(flow, along);
        if has_expected {
            self.with_expectations(|all| all.remove_of(flow, |_| true));
        }
        true
    }

    /// A table without flows, in which hashes and numbers are as in this one.
    pub(super) fn empty_like(&self) -> Self {
        let empty = Self {
            keys: Arc::new(self.keys.copy()),
            keeps_labels: AtomicBool::new(self.keeps_labels()),
            has_zones_of_one_way: AtomicBool::new(self.has_zones_of_one_way()),
            policies: self.policies.copy(),
            ..Self::new(self.hash_key)
        };
        empty
            .next_serial
            .store(self.next_serial.load(Ordering::Relaxed), Ordering::Relaxed);
        empty
    }

    /// The timeout policies that there are.
    pub fn policies(&self) -> &TimeoutPolicies {
        &self.policies
    }

    /// A policy goes; flows that have it live on by the knobs.
    pub(crate) fn remove_policy(&self, policy: &Arc<TimeoutPolicy>) {
        self.policies.remove(policy);
        for flow in self.all() {
            flow.lock().forget_policy(policy);
        }
    }

    /// Whether flows that begin now have room for labels.
    pub(super) fn keeps_labels(&self) -> bool {
        self.keeps_labels.load(Ordering::Relaxed)
    }

    /// A rule in force asks for labels, or none does any more.
    pub(crate) fn keep_labels(&self, keeps: bool) {
        self.keeps_labels.store(keeps, Ordering::Relaxed);
    }

    /// Whether anybody listens to what happens to flows or to what they expect.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.events.heard() || self.expectation_events.heard()
    }

    /// What is told of a flow that begins now.
    pub(super) fn begin_telling(&self, settings: &Settings, said: Option<EventMasks>) -> Option<EventMasks> {
        EventMasks::begin(settings, self.is_heard(), said)
    }

    /// Tracking begins again: what was known of the windows of TCP flows is out of date. Seen on Linux 6.18.
    pub fn begin_again(&self) {
        for flow in self.all() {
            flow.lock().protocol.begin_again();
        }
    }

    /// Takes out every flow that is meant.
    pub fn delete_where(&self, mut is_meant: impl FnMut(&Flow, &FlowState) -> bool) {
        for flow in self.all() {
            let meant = is_meant(&flow, &flow.lock());
            if meant {
                self.delete(&flow);
            }
        }
    }

    /// Takes every flow out, as `conntrack -F` does.
    pub fn flush(&self) {
        self.delete_together(&self.all(), true, |_| true);
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters both tuples, or says which flow holds one of them. From then on the flow is settled.
    pub(super) fn insert(&self, flow: &Arc<Flow>, state: &FlowState) -> Result<(), Arc<Flow>> {
        self.insert_hashed(flow, state, Hashes::default())
    }

    /// The same where the hashes of both may be known.
    pub(super) fn insert_hashed(&self, flow: &Arc<Flow>, state: &FlowState, known: Hashes) -> Result<(), Arc<Flow>> {
        let tuples = [flow.original(), flow.reply()];
        let hashes = [
            self.hash_unless_known(&tuples[0], known.original),
            self.hash_of_reply(flow, &tuples[1], &known),
        ];
        let mut shards = self.shards_of(hashes);
        for direction in [Direction::Original, Direction::Reply] {
            let (hash, tuple) = (hashes[direction.index()], &tuples[direction.index()]);
            if let Some(holder) = shards.holder(hash, tuple, flow.zone(), direction) {
                return Err(holder);
            }
        }
        let both = [Direction::Original, Direction::Reply];
        self.put((shards, hashes), (flow, state, &known), &both);
        Ok(())
    }

    /// Enters a flow's reply where its original tuple is another's.
    pub(super) fn insert_beside(&self, flow: &Arc<Flow>, state: &FlowState) -> Beside {
        let hashes = self.hashes_of(flow);
        let mut shards = self.shards_of(hashes);
        if let Some(holder) = shards.holder(hashes[1], &flow.reply(), flow.zone(), Direction::Reply) {
            return Beside::InTheWay(holder);
        }
        let of_original = shards.holder(hashes[0], &flow.original(), flow.zone(), Direction::Original);
        if of_original.is_none() {
            return Beside::NothingInTheWay;
        }
        self.put((shards, hashes), (flow, state, &Hashes::default()), &[Direction::Reply]);
        Beside::Entered
    }

    #[inline]
    fn put(
        &self,
        (mut shards, hashes): (ShardsOfFlow<'_>, [u64; 2]),
        (flow, state, known): (&Arc<Flow>, &FlowState, &Hashes),
        directions: &[Direction],
    ) {
        // Before anybody finds it: what stands in the table has its tuples.
        flow.settle(state);
        self.note_zone(flow.zone());
        for &direction in directions {
            let hash = hashes[direction.index()];
            let is_reply = direction == Direction::Reply;
            let shard = shards.of(hash);
            shard.insert(hash as u32, is_reply, Arc::clone(flow));
            self.whereabouts[self.shard_number(hash)].follow(shard);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        drop(shards);
        if state.status.has(Status::SRC_NAT_DONE) {
            self.keep_mapping(flow, known);
        }
    }

    pub(super) fn with_expectations<T>(&self, act: impl FnOnce(&mut Expectations) -> T) -> T {
        let mut all = self.expectations.lock();
        all.told = self.expectation_events.heard().then(Vec::new);
        let result = act(&mut all);
        self.expectation_count.store(all.len(), Ordering::Release);
        let told = all.told.take();
        drop(all);
        for event in told.into_iter().flatten() {
            let kind = match event.kind {
                EventKind::New => EventMask::EXPECTATION_NEW,
                EventKind::Update | EventKind::Destroy => EventMask::EXPECTATION_DESTROY,
            };
            if event.expectation.master.expectations_told().has_any(kind) {
                self.expectation_events.tell(|| event.clone());
            }
        }
        result
    }

    pub(super) fn expects_anything(&self) -> bool {
        self.expectation_count.load(Ordering::Acquire) != 0
    }

    fn shard_number(&self, hash: u64) -> usize {
        // None of the lower half, by which the line within a shard is found.
        (hash >> 40) as usize % SHARDS
    }

    fn shard(&self, hash: u64) -> &Mutex<Lines> {
        &self.shards[self.shard_number(hash)]
    }

    /// Both shards of a flow, so that it is found under both tuples or under none.
    fn shards_of(&self, hashes: [u64; 2]) -> ShardsOfFlow<'_> {
        let [first, second] = hashes.map(|hash| self.shard_number(hash));
        let (low, high) = (first.min(second), first.max(second));
        // The lower number first, so that two who want both never wait for each other.
        ShardsOfFlow {
            table: self,
            low: self.shards[low].lock(),
            high: (low != high).then(|| (high, self.shards[high].lock())),
        }
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
