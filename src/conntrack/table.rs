//! The table of flows, in shards, and the expectations beside it.
//!
//! Locks, in the order in which they may be taken: a flow, then a shard (one, or two in the order of their numbers), the index of sources or the
//! expectations, and last the keys that were agreed on, or the list of what is forgotten. All but a flow's are held for a few instructions and
//! nothing is called under them.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::clash::Beside;
use super::events::{EventKind, Events, ExpectationEvent, Listener, Listeners};
use super::expectations::Expectations;
use super::flow::{FlowState, OVER_AT_ONCE};
use super::keys::Keys;
use super::orphan::{Forgotten, Orphan, Token};
use super::{
    Direction, Endpoint, EventMask, EventMasks, Flow, Settings, Statistics, Status, TimeoutPolicies, TimeoutPolicy,
    Tuple, Zone,
};
use crate::base::Time;
use crate::base::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

/// All flows. Each stands in it twice, under the tuples of both directions.
pub struct Table {
    hash_key: (u64, u64),
    shards: Box<[Mutex<Shard>]>,
    /// Flows whose source mapping is decided, by original source, so that a source keeps its mapping towards other destinations.
    sources: Box<[Mutex<HashTable<SourceEntry>>]>,
    /// Of flows that are gone but for those which their helpers announced.
    orphaned_count: AtomicUsize,
    forgotten: Arc<Forgotten>,
    count: AtomicUsize,
    /// When it was seen that the time of none was over, and how many ended at once before that.
    all_living: Mutex<Option<(Time, u64)>>,
    next_serial: AtomicU64,
    expectations: Mutex<Expectations>,
    /// Lets a new flow pass without a look at the lock where nothing is expected.
    expectation_count: AtomicUsize,
    pub(super) events: Arc<Events>,
    expectation_events: Arc<Listeners<ExpectationEvent>>,
    pub(super) keys: Arc<Keys>,
    /// A rule in force asks for labels: what begins now gets room for them.
    keeps_labels: AtomicBool,
    policies: TimeoutPolicies,
    pub(crate) statistics: Statistics,
    is_listed_by_packets: AtomicBool,
}

#[derive(Default)]
struct Shard {
    entries: HashTable<Entry>,
    /// How often entries may have moved from bucket to bucket: who looks at a part at a time begins again then.
    moves: u64,
}

/// A flow under one of its tuples, which the flow has itself: a table of small entries is a smaller one to miss.
struct Entry {
    hash: u64,
    direction: Direction,
    flow: Arc<Flow>,
}

impl Entry {
    /// Whether it stands under this tuple, and there in this zone.
    #[inline]
    fn is_of(&self, hash: u64, tuple: &Tuple, zone: Zone) -> bool {
        self.hash == hash
            && self.flow.stands_under(self.direction).is_some_and(|it| it == tuple)
            && self.flow.zone().of(self.direction) == zone.of(self.direction)
    }

    /// Whether a flow of this zone, which wants the tuple for its direction, cannot have it. Seen: the two stand in each other's way where both
    /// have the same zone in the direction of either.
    fn is_in_the_way(&self, hash: u64, tuple: &Tuple, zone: Zone, direction: Direction) -> bool {
        self.is_of(hash, tuple, zone) && self.flow.zone().of(self.direction) == zone.of(direction)
    }
}

/// The locked shards of both directions, which may be one.
struct ShardsOfFlow<'a> {
    table: &'a Table,
    low: MutexGuard<'a, Shard>,
    high: Option<(usize, MutexGuard<'a, Shard>)>,
}

impl ShardsOfFlow<'_> {
    fn of(&mut self, hash: u64) -> &mut Shard {
        match &mut self.high {
            Some((number, shard)) if *number == self.table.shard_number(hash) => shard,
            _ => &mut self.low,
        }
    }

    /// Who stands where a flow of this zone wants to stand with the tuple of a direction.
    fn holder(&mut self, hash: u64, tuple: &Tuple, zone: Zone, direction: Direction) -> Option<Arc<Flow>> {
        let holder = self
            .of(hash)
            .find(hash, |it| it.is_in_the_way(hash, tuple, zone, direction))?;
        Some(Arc::clone(&holder.flow))
    }
}

/// The mappings of one source endpoint: reply tuples by their flows' serial numbers, which ascend.
struct SourceEntry {
    hash: u64,
    source: Endpoint,
    protocol: u8,
    /// In the original direction.
    zone: u16,
    /// Most sources have one, which needs no memory of its own.
    mappings: SmallVec<[(u64, Tuple); 1]>,
}

impl SourceEntry {
    fn is_of(&self, tuple: &Tuple, zone: u16) -> bool {
        self.source == tuple.source && self.protocol == tuple.protocol && self.zone == zone
    }
}

/// In which zone the source of a flow keeps its mapping.
fn zone_of_source(flow: &Flow) -> u16 {
    flow.zone().of(Direction::Original)
}

const SHARDS: usize = 64;

/// How many buckets are looked at before packets get their turn at the shard: some microseconds.
const PIECE: usize = 128;

/// Flows that one [`Table::sweep_part`] looks at, more or less.
const SWEPT_AT_ONCE: usize = 20_000;

/// How many entries of each shard early drop looks at, in its first and its second round. The kernel looks at a few buckets; looking at more never
/// drops an assured flow either.
const EARLY_DROP_REACH: [usize; 2] = [16, 256];

impl Deref for Shard {
    type Target = HashTable<Entry>;

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

impl DerefMut for Shard {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.entries
    }
}

impl Table {
    /// A secret key keeps an attacker from aiming at one bucket; a fixed one makes a run repeatable.
    pub fn new(hash_key: (u64, u64)) -> Self {
        Self {
            hash_key,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            sources: (0..SHARDS).map(|_| Mutex::default()).collect(),
            orphaned_count: AtomicUsize::new(0),
            forgotten: Arc::default(),
            count: AtomicUsize::new(0),
            all_living: Mutex::default(),
            next_serial: AtomicU64::new(0),
            expectations: Mutex::default(),
            expectation_count: AtomicUsize::new(0),
            events: Arc::default(),
            expectation_events: Arc::default(),
            keys: Arc::default(),
            keeps_labels: AtomicBool::new(false),
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
            self.delete(&flow);
            return None;
        }
        let direction = state.direction_of(tuple, direction);
        drop(state);
        Some((flow, direction))
    }

    /// The flow under this tuple, whose hash is given, be its time over or not, and the direction under which it stands there.
    pub(super) fn find(&self, hash: u64, tuple: &Tuple, zone: Zone) -> Option<(Arc<Flow>, Direction)> {
        let shard = self.shard(hash).lock();
        let entry = shard.find(hash, |it| it.is_of(hash, tuple, zone))?;
        Some((Arc::clone(&entry.flow), entry.direction))
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
            let in_the_way = |it: &Entry| it.is_in_the_way(hash, tuple, zone, Direction::Reply);
            shard.find(hash, in_the_way).map(|entry| Arc::clone(&entry.flow))
        };
        let found = found.filter(|flow| {
            let expired = flow.lock().is_expired(now);
            !(expired && self.delete(flow))
        });
        let taken = found.is_some_and(|flow| !is_the_same(&flow));
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
        let (is_changed, reply) = {
            let state = by_other_than.lock();
            (state.status.has_any(changed), state.reply)
        };
        if is_changed || !super::proto::spec(tuple.protocol).joins || reply != *tuple {
            return true;
        }
        let holder = self.find(hash, tuple, by_other_than.zone());
        holder.is_some_and(|(holder, _)| {
            let state = holder.lock();
            let from_the_other_end = *holder.original() == reply && state.reply == *by_other_than.original();
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

    /// All flows that live, in the order of their creation; but for those that stand beside another ([`Clash::Beside`](super::Clash::Beside)), which
    /// no listing of the kernel's shows either.
    pub fn flows(&self, now: Time) -> Vec<Arc<Flow>> {
        let mut flows = self.living_flows(now);
        flows.retain(|flow| !flow.lock().status.has(Status::CLASHES));
        flows
    }

    /// All of them.
    pub(super) fn living_flows(&self, now: Time) -> Vec<Arc<Flow>> {
        let mut flows = self.all();
        flows.retain(|flow| !flow.lock().is_expired(now));
        flows.sort_unstable_by_key(|flow| flow.serial());
        if self.is_listed_by_packets.load(Ordering::Relaxed) {
            flows.sort_by_cached_key(|flow| flow.lock().opened_by);
        }
        flows
    }

    /// From now on flows are listed in the order of the packets that opened them, by these packets' numbers: that is the order of their creation
    /// where several workers had the packets of one numbering.
    pub(crate) fn list_by_packets(&self) {
        self.is_listed_by_packets.store(true, Ordering::Relaxed);
    }

    /// How many flows live. While no time passes, and none ends at once, the table is looked through once at most.
    pub fn living(&self, now: Time) -> usize {
        let moment = Some((now, OVER_AT_ONCE.load(Ordering::Relaxed)));
        if *self.all_living.lock() == moment {
            return self.count.load(Ordering::Relaxed);
        }
        let all = self.all();
        let living = all.iter().filter(|flow| !flow.lock().is_expired(now)).count();
        if living == all.len() {
            *self.all_living.lock() = moment;
        }
        living
    }

    /// Flows in the table, those that nobody has collected yet included, as `nf_conntrack_count` counts them. Seen: with those that are out of it,
    /// as long as a flow lives which they announced; so who lets flows announce each other does not fill the memory.
    pub fn count(&self) -> usize {
        self.forget_orphans();
        self.count.load(Ordering::Relaxed) + self.orphaned_count.load(Ordering::Relaxed)
    }

    /// Takes a flow out, with its expectations. A flow that is not in the table yet will not get there. False when it was dead already.
    pub fn delete(&self, flow: &Arc<Flow>) -> bool {
        self.delete_for(flow, false)
    }

    /// The same in the name of a command, which listeners are told.
    pub fn delete_by_command(&self, flow: &Arc<Flow>) -> bool {
        self.delete_for(flow, true)
    }

    fn delete_for(&self, flow: &Arc<Flow>, by_command: bool) -> bool {
        let (status, reply_hash, has_expected, remembered_by, last_words, along) = {
            let mut state = flow.lock();
            if state.status.has(Status::DYING) {
                return false;
            }
            let last_words = self.events.last_words(&state);
            state.status.set(Status::DYING);
            // Whoever still looks at the flow (an observer, a packet) is not one that remembers its master.
            let (held_by, holds) = (state.held_by.take(), state.holds.take());
            let remembered_by = held_by.filter(|token| Arc::strong_count(token) > 1);
            if let (Some(token), Some(holds)) = (&remembered_by, holds) {
                let _ = token.keeps.set(holds);
            }
            let is_in_table = state.status.has(Status::CONFIRMED);
            let reply_hash = if is_in_table { self.hash_of_reply(&mut state) } else { 0 };
            state.keys = None;
            let along = state.goes_along(flow).filter(|_| is_in_table);
            let has_expected = state.has_expected;
            (state.status, reply_hash, has_expected, remembered_by, last_words, along)
        };
        if let Some(last_words) = last_words {
            self.events
                .publish_as(EventKind::Destroy, flow, &last_words, None, by_command);
        }
        if status.has(Status::CONFIRMED) {
            let hashes = [flow.hash, reply_hash];
            let mut shards = self.shards_of(hashes);
            for (hash, direction) in hashes.into_iter().zip([Direction::Original, Direction::Reply]) {
                let mine = |it: &Entry| Arc::ptr_eq(&it.flow, flow) && it.direction == direction;
                if let Ok(entry) = shards.of(hash).find_entry(hash, mine) {
                    entry.remove();
                }
            }
            drop(shards);
            let orphan = Orphan {
                original: *flow.original(),
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

    fn forget_mapping(&self, of: &Orphan) {
        let hash = self.hash_source(&of.original);
        let mut sources = self.source_shard(hash).lock();
        if let Ok(mut entry) = sources.find_entry(hash, |it| it.is_of(&of.original, of.zone)) {
            let mappings = &mut entry.get_mut().mappings;
            if let Ok(at) = mappings.binary_search_by_key(&of.serial, |(serial, _)| *serial) {
                mappings.remove(at);
            }
            if mappings.is_empty() {
                entry.remove();
            }
        }
    }

    /// It is remembered by who holds this token, and no longer.
    fn orphaned(&self, orphan: Orphan, token: &Token) {
        if token.remember(orphan, &self.forgotten) {
            self.orphaned_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes out what is left of masters that nobody remembers any more.
    fn forget_orphans(&self) {
        if self.orphaned_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        for orphan in self.forgotten.take() {
            self.forget_mapping(&orphan);
            self.orphaned_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A table without flows, in which hashes and numbers are as in this one.
    pub(super) fn empty_like(&self) -> Self {
        let empty = Self {
            keys: Arc::new(self.keys.copy()),
            keeps_labels: AtomicBool::new(self.keeps_labels()),
            policies: self.policies.copy(),
            ..Self::new(self.hash_key)
        };
        empty
            .next_serial
            .store(self.next_serial.load(Ordering::Relaxed), Ordering::Relaxed);
        empty
    }

    /// In a copy: what the other table has of a flow that is gone is here too, as long as somebody holds this token.
    pub(super) fn adopt(&self, orphan: Orphan, from: &Self, token: &Token) {
        let hash = from.hash_source(&orphan.original);
        let mapping = {
            let sources = from.source_shard(hash).lock();
            let entry = sources.find(hash, |it| it.is_of(&orphan.original, orphan.zone));
            entry.and_then(|it| it.mappings.iter().find(|(serial, _)| *serial == orphan.serial).copied())
        };
        if let Some((serial, reply)) = mapping {
            self.keep_mapping(&orphan.original, orphan.zone, serial, reply);
        }
        self.orphaned(orphan, token);
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
        for flow in self.all() {
            self.delete_by_command(&flow);
        }
    }

    /// Collects what has expired; returns how many flows went.
    pub fn sweep(&self, now: Time) -> usize {
        self.collect_expectations(now);
        (0..SHARDS).map(|number| self.sweep_shard(number, now).1).sum()
    }

    /// A part of [`Self::sweep`], for a table that packets use meanwhile: goes on after shard number `from` until it has looked at enough flows,
    /// and gives where to go on next time.
    pub fn sweep_part(&self, now: Time, from: usize) -> usize {
        self.collect_expectations(now);
        let mut seen = 0;
        for step in 1..=SHARDS {
            let number = (from + step) % SHARDS;
            seen += self.sweep_shard(number, now).0;
            if seen >= SWEPT_AT_ONCE {
                return number;
            }
        }
        from
    }

    fn collect_expectations(&self, now: Time) {
        self.with_expectations(|all| all.collect(now));
        self.forget_orphans();
    }

    /// How many flows were looked at, and how many went.
    fn sweep_shard(&self, number: usize, now: Time) -> (usize, usize) {
        let mut flows = Vec::new();
        self.collect_shard(number, &mut flows);
        let is_gone = |flow: &&Arc<Flow>| {
            let expired = flow.lock().is_expired(now);
            expired && self.delete(flow)
        };
        let gone = flows.iter().filter(is_gone).count();
        (flows.len(), gone)
    }

    fn all(&self) -> Vec<Arc<Flow>> {
        let mut flows = Vec::with_capacity(self.count());
        for number in 0..SHARDS {
            self.collect_shard(number, &mut flows);
        }
        flows
    }

    /// The flows of a shard by their replies, under which each stands, a piece at a time, so that no packet waits for the whole.
    fn collect_shard(&self, number: usize, into: &mut Vec<Arc<Flow>>) {
        let before = into.len();
        let (mut moves, mut at) = (None, 0);
        loop {
            let shard = self.shards[number].lock();
            if moves.is_some_and(|moves| moves != shard.moves) {
                into.truncate(before);
                at = 0;
            }
            moves = Some(shard.moves);
            let buckets = shard.num_buckets();
            let piece = (at..buckets.min(at + PIECE)).filter_map(|bucket| shard.get_bucket(bucket));
            let replies = piece.filter(|entry| entry.direction == Direction::Reply);
            into.extend(replies.map(|entry| Arc::clone(&entry.flow)));
            at += PIECE;
            if at >= buckets {
                return;
            }
        }
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters both tuples, or says which flow holds one of them. From then on the flow is settled.
    pub(super) fn insert(&self, flow: &Arc<Flow>, state: &mut FlowState) -> Result<(), Arc<Flow>> {
        let hashes = [flow.hash, self.hash_of_reply(state)];
        let mut shards = self.shards_of(hashes);
        for direction in [Direction::Original, Direction::Reply] {
            let (hash, tuple) = (hashes[direction.index()], state.tuple(flow, direction));
            if let Some(holder) = shards.holder(hash, tuple, flow.zone(), direction) {
                return Err(holder);
            }
        }
        self.put(shards, flow, state, &[Direction::Original, Direction::Reply]);
        Ok(())
    }

    /// Enters a flow's reply where its original tuple is another's.
    pub(super) fn insert_beside(&self, flow: &Arc<Flow>, state: &mut FlowState) -> Beside {
        let hashes = [flow.hash, self.hash_of_reply(state)];
        let mut shards = self.shards_of(hashes);
        if let Some(holder) = shards.holder(hashes[1], &state.reply, flow.zone(), Direction::Reply) {
            return Beside::InTheWay(holder);
        }
        let of_original = shards.holder(hashes[0], flow.original(), flow.zone(), Direction::Original);
        if of_original.is_none() {
            return Beside::NothingInTheWay;
        }
        self.put(shards, flow, state, &[Direction::Reply]);
        Beside::Entered
    }

    #[inline]
    fn put(&self, mut shards: ShardsOfFlow<'_>, flow: &Arc<Flow>, state: &mut FlowState, directions: &[Direction]) {
        let hashes = [flow.hash, self.hash_of_reply(state)];
        // Before anybody finds it: what stands in the table has its tuples.
        flow.settle(state);
        for &direction in directions {
            let hash = hashes[direction.index()];
            let shard = shards.of(hash);
            if shard.len() == shard.capacity() {
                shard.moves += 1;
            }
            let flow = Arc::clone(flow);
            shard.insert_unique(hash, Entry { hash, direction, flow }, |it| it.hash);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        drop(shards);
        if state.status.has(Status::SRC_NAT_DONE) {
            self.keep_mapping(flow.original(), zone_of_source(flow), flow.serial(), state.reply);
        }
    }

    fn keep_mapping(&self, original: &Tuple, zone: u16, serial: u64, reply: Tuple) {
        let hash = self.hash_source(original);
        let mut sources = self.source_shard(hash).lock();
        let entry = sources.entry(hash, |it| it.is_of(original, zone), |it| it.hash);
        let entry = entry.or_insert_with(|| SourceEntry {
            hash,
            source: original.source,
            protocol: original.protocol,
            zone,
            mappings: SmallVec::new(),
        });
        let mappings = &mut entry.into_mut().mappings;
        let at = mappings.partition_point(|(before, _)| *before < serial);
        mappings.insert(at, (serial, reply));
    }

    /// The newest mapping of another flow from the same source endpoint that fits, as a reply tuple.
    pub(crate) fn newest_mapping_of_source(&self, of: &Flow, fits: impl Fn(&Tuple) -> bool) -> Option<Tuple> {
        let (original, zone) = (of.original(), zone_of_source(of));
        self.forget_orphans();
        let hash = self.hash_source(original);
        let sources = self.source_shard(hash).lock();
        let entry = sources.find(hash, |it| it.is_of(original, zone))?;
        let newest_first = entry.mappings.iter().rev();
        newest_first.map(|(_, reply)| *reply).find(fits)
    }

    /// Makes room by dropping a flow that is not assured, or whose time is over; else an assured TCP connection that is about to end.
    pub(super) fn early_drop(&self, now: Time, hash: u64) -> bool {
        let mut ending = None;
        // A few of each shard first: under a flood of unassured flows the first look finds one.
        let dropped = EARLY_DROP_REACH
            .iter()
            .any(|&reach| self.early_drop_within(now, hash, reach, &mut ending))
            || ending.is_some_and(|flow| self.delete(&flow));
        if dropped {
            self.statistics.early_drop.count();
        }
        dropped
    }

    fn early_drop_within(&self, now: Time, hash: u64, reach: usize, ending: &mut Option<Arc<Flow>>) -> bool {
        let first = self.shard_number(hash);
        let mut candidates = Vec::with_capacity(reach.min(self.count()));
        for number in (0..SHARDS).map(|step| (first + step) % SHARDS) {
            {
                let shard = self.shards[number].lock();
                let buckets = shard.num_buckets();
                let start = if buckets == 0 { 0 } else { hash as usize % buckets };
                let entries = (0..buckets).filter_map(|step| shard.get_bucket((start + step) % buckets));
                candidates.extend(entries.take(reach).map(|entry| Arc::clone(&entry.flow)));
            }
            for flow in candidates.drain(..) {
                let expendable = {
                    let state = flow.lock();
                    if state.protocol.may_go_early() {
                        ending.get_or_insert_with(|| Arc::clone(&flow));
                    }
                    !state.status.has(Status::ASSURED) || state.is_expired(now)
                };
                if expendable && self.delete(&flow) {
                    return true;
                }
            }
        }
        false
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
            if event.expectation.master.expectations_told.has_any(kind) {
                self.expectation_events.tell(|| event.clone());
            }
        }
        result
    }

    pub(super) fn expects_anything(&self) -> bool {
        self.expectation_count.load(Ordering::Acquire) != 0
    }

    fn shard_number(&self, hash: u64) -> usize {
        // Not the lowest bits nor the highest seven: those choose the bucket within a shard.
        (hash >> 40) as usize % SHARDS
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
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

    fn source_shard(&self, hash: u64) -> &Mutex<HashTable<SourceEntry>> {
        &self.sources[self.shard_number(hash)]
    }

    /// Under the table's own key.
    #[inline]
    pub(crate) fn hash(&self, tuple: &Tuple) -> u64 {
        let numbers = [tuple.source.id.to_be_bytes(), tuple.destination.id.to_be_bytes()];
        match (tuple.source.address, tuple.destination.address) {
            // Nearly all, and of a length that is known beforehand.
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut bytes = [0; 13];
                bytes[..4].copy_from_slice(&source.octets());
                bytes[4..8].copy_from_slice(&destination.octets());
                bytes[8..12].copy_from_slice(numbers.as_flattened());
                bytes[12] = tuple.protocol;
                self.finish(&bytes)
            }
            (source, destination) => {
                let mut bytes = KeyBytes::default();
                bytes.address(source);
                bytes.address(destination);
                bytes.push(numbers.as_flattened());
                bytes.push(&[tuple.protocol]);
                self.finish(&bytes.bytes[..bytes.used])
            }
        }
    }

    /// Of its reply, which is kept there.
    #[inline]
    pub(crate) fn hash_of_reply(&self, state: &mut FlowState) -> u64 {
        *state.reply_hash.get_or_insert_with(|| self.hash(&state.reply))
    }

    fn hash_source(&self, tuple: &Tuple) -> u64 {
        let [high, low] = tuple.source.id.to_be_bytes();
        match tuple.source.address {
            IpAddr::V4(source) => {
                let [a, b, c, d] = source.octets();
                self.finish(&[a, b, c, d, high, low, tuple.protocol])
            }
            source @ IpAddr::V6(_) => {
                let mut bytes = KeyBytes::default();
                bytes.address(source);
                bytes.push(&[high, low, tuple.protocol]);
                self.finish(&bytes.bytes[..bytes.used])
            }
        }
    }

    #[inline]
    fn finish(&self, bytes: &[u8]) -> u64 {
        // All at once, which costs no call; the hash is the same as that of pieces.
        SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1).hash(bytes)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

/// A key in one piece: one call of the hash function instead of ten.
struct KeyBytes {
    bytes: [u8; 38],
    used: usize,
}

impl Default for KeyBytes {
    fn default() -> Self {
        Self {
            bytes: [0; 38],
            used: 0,
        }
    }
}

impl KeyBytes {
    fn push(&mut self, more: &[u8]) {
        self.bytes[self.used..self.used + more.len()].copy_from_slice(more);
        self.used += more.len();
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.push(&v4.octets()),
            IpAddr::V6(v6) => self.push(&v6.octets()),
        }
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
