//! One machine as its tools see it: the router, the clock they are called at, what `modprobe` loaded, `/proc/sys`, and the kernel's log.
//!
//! A lab in memory and a live one hand the same `Machine` to the same tools; only who drives the clock differs.

mod knobs;
mod toolbox;

use std::sync::Arc;

use parking_lot::Mutex;

pub use self::knobs::KnobError;
pub(crate) use self::knobs::goes_by;
pub use self::toolbox::{Call, Knobs, TEXTS_OF_FILES, ToolOutput, Toolbox};
use super::conversation::Hosts;
use super::counters::InterfaceCounters;
use super::file::LabFile;
use super::kernel_log::KernelLog;
use super::machine_tables::InHand;
use super::request::Asker;
use super::words::Trials;
use crate::base::{Family, InterfaceName, Time};
pub use crate::conntrack::Profile;
use crate::conntrack::Settings;
use crate::engine::{Config, Router, Worker};
use crate::helper::{HelperSpec, LoadRefused, Loaded};
use crate::net::Net;
use crate::rule::{Clock, WriteRefused};

/// The helpers that a machine has without `modprobe`: today's kernel loads one when a rule names it, an old one never did.
pub(super) fn helpers_of(profile: Profile) -> Loaded {
    match profile {
        Profile::Linux6 => Loaded::all(),
        Profile::Classic => Loaded::default(),
    }
}

/// One machine: its router and what tools see around it. It is driven from outside: whoever has it sets the clock.
pub struct Machine {
    router: Arc<Router>,
    in_hand: Mutex<InHand>,
    /// The instant that tools see.
    pub now: Time,
    /// When it was switched on: the log's time stamps count from here.
    pub booted: Time,
    /// The lab's name.
    pub name: String,
    /// What it was made from: hosts, and what has no effect yet.
    pub described: Arc<LabFile>,
    /// Packets pass it all the time, whoever asks; false for a lab that only moves when it is told to.
    pub live: bool,
    /// The kernel's log, as `dmesg` shows it.
    pub(crate) log: KernelLog,
    /// What passed its interfaces, where devices are behind them.
    pub(crate) ports: Vec<(InterfaceName, InterfaceCounters)>,
    /// Copies that people at a prompt try their packets on.
    pub(super) trials: Trials,
    modules: Vec<String>,
    toolbox: Toolbox,
    /// Who waits for what is called just now.
    pub(crate) asker: Asker,
}

impl Machine {
    /// Switched on at this instant, which its clock shows. The router's settings stay as they are until [`Self::set_profile`].
    pub fn new(router: Arc<Router>, booted: Time, toolbox: Toolbox) -> Self {
        Self {
            router,
            in_hand: Mutex::default(),
            now: booted,
            booted,
            name: String::new(),
            described: Arc::default(),
            live: false,
            ports: Vec::new(),
            trials: Trials::default(),
            modules: Vec::new(),
            log: KernelLog::default(),
            toolbox,
            asker: Asker::default(),
        }
    }

    /// The router, with everything in force that commands have said.
    pub fn router(&self) -> &Arc<Router> {
        self.in_hand.lock().settle(&self.router);
        &self.router
    }

    /// The same for who carries packets, without a lock.
    pub(super) fn router_for_packets(&mut self) -> &Router {
        self.in_hand.get_mut().settle(&self.router);
        &self.router
    }

    pub(super) fn router_and_hand(&mut self) -> (&Router, &mut InHand) {
        (&self.router, self.in_hand.get_mut())
    }

    /// A machine of its own over a copy of the router. Its log is empty.
    pub(super) fn copy(&self, router: Arc<Router>) -> Self {
        Self {
            router,
            in_hand: Mutex::default(),
            now: self.now,
            booted: self.booted,
            name: self.name.clone(),
            described: Arc::clone(&self.described),
            live: false,
            ports: Vec::new(),
            trials: Trials::default(),
            modules: self.modules.clone(),
            log: KernelLog::default(),
            toolbox: self.toolbox,
            asker: self.asker.clone(),
        }
    }

    /// The same machine for another thread: router and log are shared.
    pub(super) fn beside(&self) -> Self {
        Self {
            log: self.log.clone(),
            live: self.live,
            ports: self.ports.clone(),
            ..self.copy(Arc::clone(self.router()))
        }
    }

    /// What passed an interface.
    pub(crate) fn counters(&self, name: InterfaceName) -> Option<&InterfaceCounters> {
        let port = self.ports.iter().find(|(port, _)| *port == name)?;
        Some(&port.1)
    }

    /// The hosts that its lab file names.
    pub fn hosts(&self) -> Hosts {
        Hosts::of_lab(&self.described)
    }

    /// Calls a tool. One that isn't there fails as a shell says it.
    pub fn call(&mut self, call: Call<'_>) -> ToolOutput {
        (self.toolbox.call)(self, call)
    }

    /// The tools that it offers.
    pub fn toolbox(&self) -> Toolbox {
        self.toolbox
    }

    /// The one that was set last; `linux6` at first.
    pub fn profile(&self) -> Profile {
        self.router.config().conntrack.profile
    }

    /// Sets every knob of tracking to the profile's value; flows keep the timeouts they have until their next packet.
    pub fn set_profile(&self, profile: Profile) {
        let described = &self.described;
        self.configure(|config| {
            set_profile(config, profile, described.memory);
            // Said of the machine that the file describes, and of no other.
            if Some(profile) == described.profile
                && let Some(tracks) = described.window_tracking
            {
                config.conntrack.protocols.tcp.window_tracking = tracks;
            }
        });
    }

    fn configure(&self, change: impl FnOnce(&mut Config)) {
        let changed: Result<(), std::convert::Infallible> = self.router.configure(|config| {
            change(config);
            Ok(())
        });
        match changed {
            Ok(()) => {}
        }
    }

    /// Changes the net as [`Router::change_net`] says: in a lab that nobody else moves, without copying the rest.
    pub fn change_net<E>(&mut self, change: impl FnOnce(&mut Net) -> Result<(), E>) -> Result<(), E> {
        match Arc::get_mut(&mut self.router) {
            Some(router) => router.change_net(change),
            None => self.router.configure(|config| change(&mut config.net)),
        }
    }

    /// A router that nobody else has gets places for so many workers, while no table is in force; the worker of the first.
    pub(super) fn make_places(&mut self, count: usize) -> Option<Worker> {
        let is_empty = self.router().is_without_tables();
        let router = Arc::get_mut(&mut self.router).filter(|_| is_empty)?;
        router.make_places(count);
        router.worker(0)
    }

    /// Makes what the module registers available, as its parameters have it; those that it does not have come back.
    pub(crate) fn load_helper(
        &self,
        module: &'static HelperSpec,
        parameters: &[String],
    ) -> Result<Vec<String>, LoadRefused> {
        let mut unknown = Vec::new();
        self.router.configure(|config| {
            unknown = config.helpers.load(module, parameters)?;
            Ok(())
        })?;
        Ok(unknown)
    }

    /// Brings in a helper's NAT side, or takes it out.
    pub(crate) fn set_nat_helper(&self, module: &HelperSpec, is_there: bool) {
        self.configure(|config| config.helpers.set_nat(module, is_there));
    }

    /// Nobody reads the flows any more that its helpers were attached to, and what they expected is expected no longer.
    pub(crate) fn unload_helper(&self, module: &HelperSpec) {
        let mut gone = Vec::new();
        self.configure(|config| gone = config.helpers.unload(module));
        self.router.flows().forget_helpers(&gone, self.now);
    }

    /// Sets timeouts in another way than by their knobs; what `change` says of it.
    pub(crate) fn set_default_timeouts(&self, change: impl FnOnce(&mut Settings) -> bool) -> bool {
        let mut done = false;
        self.configure(|config| done = change(&mut config.conntrack));
        done
    }

    /// `hashsize=` of the module that tracks.
    pub(crate) fn set_buckets(&self, buckets: u32) {
        self.configure(|config| config.conntrack.fit_buckets(buckets));
    }

    /// Connections are tracked from now on, whether a rule asks for it or not.
    pub(crate) fn track_always(&self, always: bool) {
        self.configure(|config| config.always_track = always);
    }

    /// What `modprobe` loaded, in that order.
    pub fn modules(&self) -> &[String] {
        &self.modules
    }

    pub(crate) fn note_module(&mut self, name: &str) {
        if !self.modules.iter().any(|known| known == name) {
            self.modules.push(name.to_owned());
        }
    }

    pub(crate) fn forget_module(&mut self, name: &str) -> bool {
        let before = self.modules.len();
        self.modules.retain(|known| known != name);
        self.modules.len() < before
    }

    /// For files that show the kernel's clock.
    pub(crate) fn clock(&self) -> Clock {
        Clock {
            now: self.now,
            booted: self.booted,
        }
    }

    /// Writes to what rules share by this name. `None` where none in force names it; what the kernel says of a refusal goes into the log.
    pub(crate) fn write_shared(&self, directory: &str, name: &str, text: &[u8]) -> Option<Result<(), WriteRefused>> {
        let state = self.router().shared(directory, name)?;
        let written = state.write(text, self.now);
        if let Err(refused) = &written {
            self.log.keep(self.now, refused.logged.clone());
        }
        Some(written)
    }

    /// The tables of a family that exist, in the order they came to.
    pub fn table_names(&self, family: Family) -> Vec<&'static str> {
        self.router()
            .tables(family)
            .into_iter()
            .map(crate::rule::Table::name)
            .collect()
    }

    /// The families whose rules this machine has.
    pub fn families(&self) -> &'static [Family] {
        &Family::ALL
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("now", &self.now)
            .field("profile", &self.profile())
            .field("modules", &self.modules)
            .finish_non_exhaustive()
    }
}

/// Every knob of tracking gets the profile's value.
fn set_profile(config: &mut Config, profile: Profile, memory: Option<u64>) {
    config.conntrack = Settings::of(profile);
    if let Some(bytes) = memory {
        config.conntrack.fit_memory(bytes);
    }
    config.helpers = helpers_of(profile);
}
