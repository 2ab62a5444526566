//! The router: what is configured, what is in force, what is remembered, and the way of a packet through it all.

mod copying;
mod in_force;

use std::sync::{Arc, LazyLock, OnceLock};

pub use copying::Seen;
pub use in_force::PolicyRefused;
use in_force::Retired;

use super::live::Live;
use super::masquerade;
use super::observer::Observer;
use super::pass::Pass;
use super::queue::{HeldPacket, OpenQueue, QueueSettings, QueueTaken, QueueVerdict, Queues, WakeListener};
use super::version::Versions;
use super::worker::{Arrival, Emission, Report, Seats, Worker};
use crate::base::sync::{ArcSwap, Mutex};
use crate::base::{Family, InterfaceId, Pace, Random, Time};
use crate::conntrack::{self, Settings};
use crate::helper::Loaded;
use crate::net::{HostState, Listeners, Net, Reassembly};
use crate::packet::{Offload, Sender};
use crate::set::{AddressSets, NoSets};

/// What a router is set up with. A value: a change publishes another.
#[derive(Clone, Debug)]
pub struct Config {
    /// Interfaces, addresses, routes, and the sysctls of the host.
    pub net: Net,
    /// The sysctls of connection tracking: timeouts, the size of the table, what is tracked loosely.
    pub conntrack: Settings,
    /// Connections are tracked even if no rule asks for it (`modprobe nf_conntrack`). The kernel of today tracks only when a rule needs it.
    pub always_track: bool,
    /// The helpers that are loaded.
    pub helpers: Loaded,
}

impl Config {
    /// With the kernel's default settings, no helper, and tracking only while a rule needs it.
    pub fn new(net: Net) -> Self {
        Self {
            net,
            conntrack: Settings::default(),
            always_track: false,
            helpers: Loaded::default(),
        }
    }
}

/// A whole router. Packets enter by `receive` and `send`, each on a worker of its own; everything else may happen meanwhile.
///
/// Reads no clock and draws no randomness of its own: the same seed, configuration, packets and times give the same bytes.
pub struct Router {
    pub(super) config: ArcSwap<Config>,
    pub(super) live: ArcSwap<Live>,
    /// Of these two, and of what was heard of paths.
    pub(super) versions: Versions,
    pub(super) flows: conntrack::Table,
    pub(super) host: HostState,
    pub(super) fragments: Reassembly,
    pub(super) listeners: Arc<dyn Listeners + Send + Sync>,
    pub(super) queues: Queues,
    /// Serialises replacements, so that none is lost between reading and publishing. What they hold their rules' sets of.
    replacing: Mutex<Arc<dyn AddressSets>>,
    retired: Mutex<Retired>,
    seats: Seats,
    pub(super) seed: u64,
    /// Set once, by whoever carries packets beside changes of rules.
    pace: OnceLock<Pace>,
}

impl Router {
    /// A router for so many workers (at least one).
    pub fn new(config: Config, seed: u64, workers: usize, listeners: Box<dyn Listeners + Send + Sync>) -> Self {
        let mut random = Random::new(seed);
        Self {
            config: ArcSwap::from_pointee(config),
            live: ArcSwap::from_pointee(Live::default()),
            versions: Versions::new(seed),
            flows: conntrack::Table::new((random.next_u64(), random.next_u64())),
            host: HostState::new(random.next_u64()),
            fragments: Reassembly::new(),
            listeners: listeners.into(),
            queues: Queues::default(),
            replacing: Mutex::new(Arc::new(NoSets)),
            retired: Mutex::default(),
            seats: Seats::new(workers),
            seed: random.next_u64(),
            pace: OnceLock::new(),
        }
    }

    /// Rules may name these sets from now on.
    #[must_use]
    pub fn with_sets(self, sets: Arc<dyn AddressSets>) -> Self {
        Self {
            replacing: Mutex::new(sets),
            ..self
        }
    }

    /// What is done between two pieces of long work that is not packets: compiling rules, freeing them. The first who says it is heard, and has to
    /// [`Self::reclaim`] what was replaced between one change and the next.
    pub fn set_pace(&self, pace: Pace) {
        let _ = self.pace.set(pace);
    }

    /// As it was said; without a pause where nobody did.
    pub fn pace(&self) -> Pace {
        self.pace.get().copied().unwrap_or_default()
    }

    /// The worker of one of the places that the router was made with, from 0; `None` where there is no such place, or while somebody has its
    /// worker. One that was dropped can be had again: its random numbers begin anew.
    pub fn worker(&self, index: usize) -> Option<Worker> {
        Some(Worker::new(self.seats.take(index)?, self.seed))
    }

    /// How many places it has for workers.
    pub fn places(&self) -> usize {
        self.seats.count()
    }

    /// Places for so many workers in the stead of those that there are, whose workers are nobody's any more; while no table is in force.
    pub(crate) fn make_places(&mut self, count: usize) {
        self.seats = Seats::new(count);
    }

    /// True while no table exists, in no family.
    pub(crate) fn is_without_tables(&self) -> bool {
        Family::ALL
            .iter()
            .all(|family| self.live.load().of(*family).created().is_empty())
    }

    /// The workers of all places that nobody has, the lowest first.
    pub fn workers(&self) -> Vec<Worker> {
        (0..self.seats.count()).filter_map(|index| self.worker(index)).collect()
    }

    /// A packet comes in by an interface. What leaves because of it is in `worker.output()`.
    pub fn receive<O: Observer>(
        &self,
        worker: &mut Worker,
        now: Time,
        interface: InterfaceId,
        bytes: &[u8],
        observer: &mut O,
    ) -> Report {
        worker.number += 1;
        Pass::new(self, worker, now, observer).arrive(interface, bytes)
    }

    /// Packets that came in at the same time, each as [`Self::receive`] takes it, under what is in force when the first of them comes. `each` is told
    /// what became of a packet, and what left because of it, before the next. Tracking is asked about several at once, so what `each` does to flows may be met
    /// by none of these.
    pub fn receive_batch<O: Observer, B: AsRef<[u8]>>(
        &self,
        worker: &mut Worker,
        now: Time,
        packets: &[(InterfaceId, B)],
        observer: &mut O,
        mut each: impl FnMut(&Report, &mut [Emission]),
    ) {
        let mut pass = Pass::new(self, worker, now, observer);
        pass.arrive_together(packets, &mut each);
    }

    /// Packets that came one after another, each as [`Self::receive`] takes it, under what is in force when the first of them comes. `each` is told
    /// what became of a packet, before the next comes: it gets the observer back, and the worker, which has what left because of it.
    pub fn receive_in_turn<O: Observer>(
        &self,
        worker: &mut Worker,
        packets: &[Arrival<'_>],
        observer: &mut O,
        mut each: impl FnMut(&mut O, Report, &mut Worker),
    ) {
        let Some(first) = packets.first() else { return };
        Pass::new(self, worker, first.time, observer).arrive_in_turn(packets, &mut each);
    }

    /// The same of a packet of which something is left to do, as its device said. Its bytes are taken, and another buffer is left in their place.
    pub fn receive_with<O: Observer>(
        &self,
        worker: &mut Worker,
        now: Time,
        interface: InterfaceId,
        (bytes, offload): (&mut Vec<u8>, Offload),
        observer: &mut O,
    ) -> Report {
        Pass::new(self, worker, now, observer).arrive_from_device(interface, bytes, offload)
    }

    /// Packets that came in by one interface at the same time, each as [`Self::receive_with`] takes it, under what is in force when the first of them
    /// comes. `each` is told what became of a packet before the next comes, and gets the worker, which has what left because of it.
    pub fn receive_batch_with<O: Observer>(
        &self,
        worker: &mut Worker,
        now: Time,
        interface: InterfaceId,
        packets: &mut [(Vec<u8>, Offload)],
        observer: &mut O,
        mut each: impl FnMut(&Report, &mut Worker),
    ) {
        let mut pass = Pass::new(self, worker, now, observer);
        for (bytes, offload) in packets {
            let report = pass.arrive_from_device(interface, bytes, *offload);
            each(&report, pass.worker);
        }
    }

    /// The router itself sends a packet: the OUTPUT path. Nothing says which program's it is.
    pub fn send<O: Observer>(&self, worker: &mut Worker, now: Time, bytes: &[u8], observer: &mut O) -> Report {
        self.send_as(worker, now, &Sender::Unsaid, bytes, observer)
    }

    /// The same, from this sender's socket.
    pub fn send_as<O: Observer>(
        &self,
        worker: &mut Worker,
        now: Time,
        sender: &Sender,
        bytes: &[u8],
        observer: &mut O,
    ) -> Report {
        worker.begin();
        worker.number += 1;
        Pass::new(self, worker, now, observer).originate(sender, bytes)
    }

    /// From now on somebody listens at a queue: what rules queue there waits until [`Self::reinject`] says what becomes of it.
    pub fn listen_queue(&self, number: u16, settings: QueueSettings) -> Result<(), QueueTaken> {
        self.queues.open(number, settings, None)
    }

    /// The same for somebody who is called whenever a packet has come to wait there.
    pub fn listen_queue_with(
        &self,
        number: u16,
        settings: QueueSettings,
        wake: WakeListener,
    ) -> Result<(), QueueTaken> {
        self.queues.open(number, settings, Some(wake))
    }

    /// The packet that waits at a queue under this id.
    pub fn held_packet(&self, queue: u16, id: u32) -> Option<HeldPacket> {
        self.queues.held_as(queue, id)
    }

    /// Nobody listens at a queue any more, and what waits there is dropped; how many packets, where somebody listened.
    pub fn close_queue(&self, number: u16) -> Option<u32> {
        self.queues.close(number)
    }

    /// The queues at which somebody listens, by their numbers.
    pub fn open_queues(&self) -> Vec<OpenQueue> {
        self.queues.shown()
    }

    /// The packets that wait at a queue with an id above this one, the oldest first.
    pub fn held_packets(&self, queue: u16, after: u32) -> Vec<HeldPacket> {
        self.queues.held(queue, after)
    }

    /// A packet that waits at a queue goes on, or does not; on any worker. `None` where none of this id waits there. It keeps its number, and goes on in
    /// what is in force by now. What leaves because of it is in `worker.output()`. A flow that was deleted meanwhile is still its own, and in the
    /// table no more.
    pub fn reinject<O: Observer>(
        &self,
        worker: &mut Worker,
        now: Time,
        (queue, id): (u16, u32),
        verdict: QueueVerdict,
        observer: &mut O,
    ) -> Option<Report> {
        let held = self.queues.take(queue, id)?;
        worker.begin();
        Some(Pass::new(self, worker, now, observer).reinject(held, verdict))
    }

    /// Lets time do its work: fragment queues run out (and may cause ICMP errors, in `worker.output()`), who asked for members of groups is answered, dead
    /// flows are collected.
    pub fn tick<O: Observer>(&self, worker: &mut Worker, now: Time, observer: &mut O) {
        self.flows.sweep(now);
        self.run_timers(worker, now, observer);
    }

    /// The part of [`Self::tick`] that is this worker's, and that packets may leave by. Dead flows stay in the table, where no look-up finds them.
    pub fn run_timers<O: Observer>(&self, worker: &mut Worker, now: Time, observer: &mut O) {
        worker.short_ways.tidy();
        worker.begin();
        Pass::new(self, worker, now, observer).run_timers();
    }

    /// Whether somebody asked the host what it answers later on, when [`Self::run_timers`] finds that it is time.
    pub(crate) fn has_questions(&self) -> bool {
        !self.host.memberships.is_empty()
    }

    /// What is configured now. A later change publishes another one, and leaves this as it is.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Changes the configuration, whole or not at all.
    pub fn configure<E>(&self, change: impl FnOnce(&mut Config) -> Result<(), E>) -> Result<(), E> {
        let _one_at_a_time = self.replacing.lock();
        let mut config = Config::clone(&self.config.load());
        change(&mut config)?;
        let tracked = self.tracks();
        let before = self.config.swap(Arc::new(config));
        self.is_changed();
        self.tracking_changed(tracked);
        let after = self.config.load();
        masquerade::forget_lost(&self.flows, &before.net, &after.net);
        self.queues
            .forget(|id| before.net.interface(id).is_up && !after.net.interface(id).is_up);
        after.net.forget_questions(&self.host);
        self.forget_paths_without_route(&after.net);
        drop(after);
        self.retired.lock().configs.push(before);
        self.reclaim();
        Ok(())
    }

    /// A change of the net that takes no address and no link away, and leaves everything as it was where it is refused: who has the router
    /// alone need not copy a whole configuration for it.
    pub fn change_net<E>(&mut self, change: impl FnOnce(&mut Net) -> Result<(), E>) -> Result<(), E> {
        static NOTHING: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(Config::new(Net::new())));
        let mut config = self.config.swap(Arc::clone(&NOTHING));
        let result = change(&mut Arc::make_mut(&mut config).net);
        self.forget_paths_without_route(&config.net);
        self.config.store(config);
        self.is_changed();
        result
    }

    /// An address of IPv6 is about to be given to a link.
    pub(crate) fn forget_askers(&self, id: InterfaceId) {
        self.config.load().net.forget_askers(&self.host, id);
    }

    /// What packets remember of what was in force is void from now on.
    pub(super) fn is_changed(&self) {
        self.versions.is_changed();
    }

    /// True where connections are tracked at all: the kernel does so only while some rule needs it.
    pub fn tracks(&self) -> bool {
        self.live.load().needs_conntrack() || self.config.load().always_track
    }

    /// Whether a rule in force needs connections to be tracked.
    pub fn rules_need_tracking(&self) -> bool {
        self.live.load().needs_conntrack()
    }

    /// Flows stay when the last rule that needs them goes. When one comes again, packets may have passed that nobody saw.
    fn tracking_changed(&self, tracked: bool) {
        if !tracked && self.tracks() {
            self.flows.begin_again();
        }
    }

    /// The table of flows.
    pub fn flows(&self) -> &conntrack::Table {
        &self.flows
    }
}

#[cfg(test)]
mod interleavings;
