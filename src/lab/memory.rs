//! A lab in memory: a router, one worker, a clock that moves only when told to, and what became of the last packet.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::file::LabFile;
use super::files::{Files, gather};
use super::machine::{Call, Machine, Profile, ToolOutput, Toolbox, helpers_of};
use super::request::{Answer, Request, Response, Waker};
use super::script::Talk;
use crate::base::{InterfaceId, InterfaceName, Time};
use crate::engine::{Config, Emission, Port, Router, Seen, Silent, Worker};
use crate::net::{ConfigError, Listeners, Net, NewAddress, Prefix, Route, RouteSelector};
use crate::packet::Sender;
use crate::syntax::problem::SourceError;

mod carry;
mod described;
mod open_ports;
mod passage;
mod streams;

pub(super) use described::LINK_ADDRESS;
pub use described::{apply_sysctls, network};
use open_ports::{AlsoOpen, OpenPorts};
pub use passage::Passage;
use streams::Streams;

/// A machine with somebody who moves it: packets, its clock and what listens on it are whatever the caller says.
#[derive(Debug)]
pub struct Lab {
    /// What its tools are called on; they see the router in it.
    pub machine: Machine,
    worker: Worker,
    open: OpenPorts,
    /// What became of packets, the last one's behind all others.
    passed: VecDeque<Passage>,
    /// What left last by each way out: what an ICMP error that comes back may quote.
    departed: HashMap<Port, Vec<u8>>,
    streams: Streams,
    /// Whose the packets are that the router itself sends.
    pub sender: Sender,
    /// What was said to it before in its own words, from outside.
    pub(super) talk: Talk,
    /// Whether stories know of the rules that a packet failed.
    pub(crate) tells_all: bool,
    /// What was in force when it was made, where another may be made of it.
    made_with: Option<Seen>,
}

impl Lab {
    /// The answers to come, where a request has many: somebody listens to the lab.
    pub(crate) fn answers_to_come(&mut self, request: &Request, waker: &Waker) -> Option<Answer> {
        (self.machine.toolbox().listen)(&self.machine, request, waker)
    }

    /// The same lab for another thread, which calls its tools while this one carries packets: one router, one log, one set of open ports; the
    /// clock, what `modprobe` loaded and what became of the last packet are its own. `None` while there are as many as there are places for: one, but for
    /// [`Self::make_places`].
    pub fn beside(&self) -> Option<Self> {
        let router = self.machine.router();
        let worker = (BESIDE..router.places()).find_map(|place| router.worker(place))?;
        Some(Self {
            machine: self.machine.beside(),
            worker,
            open: self.open.clone(),
            passed: VecDeque::new(),
            departed: HashMap::new(),
            streams: Streams::default(),
            sender: Sender::Unsaid,
            talk: Talk::default(),
            tells_all: true,
            made_with: None,
        })
    }

    /// Makes places for so many that carry packets or call tools, this lab one of them. False where a table has its counters already, which are by place.
    pub fn make_places(&mut self, count: usize) -> bool {
        if self.machine.router().places() >= count {
            return true;
        }
        let Some(worker) = self.machine.make_places(count) else {
            return false;
        };
        self.worker = worker;
        true
    }

    /// From a lab file. What the file can't know to be wrong (a sysctl that isn't there) is an error at its position.
    pub fn new(file: &LabFile, seed: u64, toolbox: Toolbox) -> Result<Self, SourceError> {
        let net = network(file)?;
        let name = file.lab_name().unwrap_or_else(|_| "lab".to_owned());
        let mut lab = Self::with_net(net, seed, toolbox);
        lab.machine.name = name;
        lab.machine.described = Arc::new(file.clone());
        if file.profile.is_some() || file.memory.is_some() {
            lab.machine.set_profile(file.profile.unwrap_or_default());
        }
        apply_sysctls(&lab.machine, file)?;
        Ok(lab)
    }

    /// Where no lab file is given: `lan` 10.0.0.1/24 and 2001:db8::1/64, `wan` 192.0.2.1/24 and 2001:db8:1::1/64 with a default route of each family.
    pub fn default_lab(seed: u64, toolbox: Toolbox) -> Result<Self, SourceError> {
        Self::new(&Self::default_file()?, seed, toolbox)
    }

    /// What the default lab is made of.
    pub fn default_file() -> Result<LabFile, SourceError> {
        LabFile::parse("lab", DEFAULT_LAB)
    }

    fn with_net(net: Net, seed: u64, toolbox: Toolbox) -> Self {
        let open = OpenPorts::default();
        let config = Config {
            helpers: helpers_of(Profile::default()),
            ..Config::new(net)
        };
        let router = Arc::new(Router::new(config, seed, BESIDE + 1, Box::new(open.clone())));
        Self::of(Machine::new(router, START, toolbox), open)
    }

    /// A copy of a machine as it stands now, with its flows, expectations and counters: what becomes of a packet there, nobody else notices.
    /// What comes next in its TCP conversations is taken from the flows.
    pub fn trial(machine: &Machine) -> Self {
        let open = OpenPorts::default();
        let also = open.clone();
        let router = Arc::new(
            machine
                .router()
                .copy(machine.now, |before| Arc::new(AlsoOpen { before, also })),
        );
        Self::of(machine.copy(router), open)
    }

    /// The same as [`Self::trial`], one of many that come one after another: an earlier one of this machine that is done with may serve for it.
    pub(crate) fn trial_after(machine: &Machine, used: Option<Self>) -> Self {
        let again = used.and_then(|used| Self::trial_with_tables_of(machine, &used));
        let mut trial = again.unwrap_or_else(|| Self::trial(machine));
        trial.made_with = Some(trial.machine.router().seen());
        trial
    }

    fn trial_with_tables_of(machine: &Machine, used: &Self) -> Option<Self> {
        let made_with = used.made_with.as_ref()?;
        let open = OpenPorts::default();
        let also = open.clone();
        let listeners = |before| -> Arc<dyn Listeners + Send + Sync> { Arc::new(AlsoOpen { before, also }) };
        let (router, used) = (machine.router(), used.machine.router());
        let router = router.copy_with_tables_of(used, made_with, machine.now, listeners)?;
        Some(Self::of(machine.copy(Arc::new(router)), open))
    }

    /// Nothing has been sent yet.
    fn of(machine: Machine, open: OpenPorts) -> Self {
        let worker = machine.router().workers().remove(0);
        Self {
            machine,
            worker,
            open,
            passed: VecDeque::new(),
            departed: HashMap::new(),
            streams: Streams::default(),
            sender: Sender::Unsaid,
            talk: Talk::default(),
            tells_all: true,
            made_with: None,
        }
    }

    /// The lab file's name without its ending, or `lab`.
    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// What its clock shows.
    pub fn now(&self) -> Time {
        self.machine.now
    }

    /// Since the lab began.
    pub fn elapsed(&self) -> Duration {
        self.machine.now.since(self.machine.booted)
    }

    /// Calls a tool by its name, from a directory: what it names is opened by the toolbox.
    pub fn tool(&mut self, name: &str, args: &[String], stdin: &str, directory: &Path) -> ToolOutput {
        let toolbox = self.machine.toolbox();
        let needs = (toolbox.needs)(name, args);
        let gathered = match gather(toolbox.opener, &needs, directory, String::new) {
            Ok(gathered) => gathered,
            Err(complaint) => return ToolOutput::failure(1, complaint),
        };
        let mut output = self.machine.call(Call {
            name,
            args,
            stdin,
            files: &Files::new(gathered.files),
        });
        if let Some(file) = gathered.output
            && let Err(why) = file.write(&std::mem::take(&mut output.stdout))
        {
            output.stderr += &format!("{name}: {why}\n");
            output.code = 2;
        }
        output
    }

    /// What the lab answers to a tool that speaks to it over its control socket: it opens no file for it.
    pub fn respond(&mut self, request: Request) -> Response {
        if request.tool == "words" && !self.machine.live {
            return super::words::said_to(self, &request.args, &request.stdin).into();
        }
        let output = self.machine.call(Call {
            name: &request.tool,
            args: &request.args,
            stdin: &request.stdin,
            files: &Files::new(request.files),
        });
        output.into()
    }

    /// By its name; `lo` has one too.
    pub fn interface(&self, name: &str) -> Option<InterfaceId> {
        self.machine.router().config().net.by_name(name).map(|it| it.id)
    }

    /// All of them, `lo` first.
    pub fn interface_names(&self) -> Vec<InterfaceName> {
        let config = self.machine.router().config();
        config.net.interfaces().iter().map(|it| it.name).collect()
    }

    /// The name that a way out is called by: an interface's, or `local`.
    pub fn port_name(&self, port: Port) -> InterfaceName {
        port_name(self.machine.router(), port)
    }

    /// Adds an interface, or addresses to one that is there.
    pub fn add_interface(&mut self, name: InterfaceName, addresses: &[(IpAddr, u8)]) -> Result<(), ConfigError> {
        let addresses: Vec<NewAddress> = addresses
            .iter()
            .map(|(address, length)| NewAddress::with_broadcast(*address, *length))
            .collect();
        self.machine
            .change_net(|net| net.furnish(name, super::file::DEFAULT_MTU, &addresses))
    }

    /// Puts a route in where `ip route add` would; an error where the kernel would refuse it.
    pub fn add_route(&mut self, route: Route) -> Result<(), ConfigError> {
        self.machine.change_net(|net| net.add_route(route))
    }

    /// Takes out the route to exactly this prefix with metric 0 from table `main`; an error where there is none.
    pub fn remove_route(&mut self, to: Prefix) -> Result<(), ConfigError> {
        // The kernel gives IPv6's a metric of its own where none is said.
        let route = RouteSelector {
            to: Some(to),
            table: Some(crate::net::table::MAIN),
            ..RouteSelector::default()
        };
        self.machine.change_net(|net| net.remove_first_route(&route).map(drop))
    }

    /// From now on something on the router listens there, and takes what comes.
    pub fn listen(&mut self, protocol: u8, port: u16) {
        self.open.0.write().push((protocol, port));
    }

    /// Moves the clock, and lets time do its work: what left because of it is returned.
    pub fn advance(&mut self, by: Duration) -> Vec<Emission> {
        self.machine.now = self.machine.now + by;
        self.tick()
    }

    /// Sets the clock, which never runs backwards; false when it was asked to.
    pub fn set_clock(&mut self, now: Time) -> bool {
        if now < self.machine.now {
            return false;
        }
        self.machine.now = now;
        true
    }

    /// The first instant of a recorded time line: what the clock shows before the first packet.
    pub fn start_at(&mut self, now: Time) {
        self.machine.now = now;
        self.machine.booted = now;
    }

    /// Lets time do its work without moving the clock: what left because of it is returned.
    pub fn tick(&mut self) -> Vec<Emission> {
        let now = self.machine.now;
        let router = self.machine.router_for_packets();
        router.tick(&mut self.worker, now, &mut Silent);
        let log = self.worker.take_log();
        self.machine.log.keep(self.machine.now, log);
        self.worker.output().to_vec()
    }

    /// Only the part of [`Self::tick`] that sends something: it doesn't look through the table of flows.
    pub fn run_timers(&mut self) -> Vec<Emission> {
        let now = self.machine.now;
        let router = self.machine.router_for_packets();
        router.run_timers(&mut self.worker, now, &mut Silent);
        let log = self.worker.take_log();
        self.machine.log.keep(self.machine.now, log);
        self.worker.output().to_vec()
    }
}

/// The place among a router's workers of who calls its tools while the first one carries packets.
const BESIDE: usize = 1;

/// The name that a way out of a router is called by.
pub(crate) fn port_name(router: &Router, port: Port) -> InterfaceName {
    match port {
        Port::Interface(id) => router.config().net.interface(id).name,
        Port::Local => InterfaceName::new(LOCAL).unwrap_or_default(),
    }
}

/// What the way to and from the router itself is called.
pub const LOCAL: &str = "local";

/// When a lab's clock starts: some round instant that isn't zero, since nothing of the kernel's happens at time zero.
const START: Time = Time::from_secs(1_000_000_000);

const DEFAULT_LAB: &str = r#"[interface.lan]
address = ["10.0.0.1/24", "2001:db8::1/64"]
[interface.wan]
address = ["192.0.2.1/24", "2001:db8:1::1/64"]
[[route]]
to = "default"
via = "192.0.2.254"
[[route]]
to = "default"
via = "2001:db8:1::fe"
"#;
