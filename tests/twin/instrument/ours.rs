//! nflab's side: the same lab that `nflab run` has, in process.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nflab::TOOLBOX;
use nflab::base::{InterfaceId, Time};
use nflab::engine::{Emission, Observer, Port, QueueVerdict, Report, Silent};
use nflab::explain::story::{Detail, Story};
use nflab::lab::memory::Lab;
use nflab::net::Route;
use nflab::packet::{Credentials, Sender};

use super::groups::{ANSWERED_WITHIN, is_answered_soon};
use super::layout::{TCP, UDP, is_ipv6, upper};
use super::offload::{as_it_left, handed_over};
use super::place::Wiring;
use super::queue::{nothing_waits, queue_name};
use super::scenario::{Event, QueueWord, Scenario};
use super::side::{
    Answer, Depth, EXPECTATIONS, FLOWS, PRELUDE, PRELUDE_OF_IPV6, Part, Side, ToolAnswer, WITHOUT_IPV6, commands,
    furnished, saves,
};
use super::sockets::heard;
use super::tally::Tally;
use super::transitions::Asked;

pub(crate) struct Ours {
    lab: Lab,
    /// The router's second worker, where there are two.
    second: Option<Lab>,
    /// Packets come as cards with offload hand them over, and leave for such.
    offload: bool,
    ipv6: bool,
    clock: Clock,
    /// In the order in which their packets are compared.
    interfaces: Vec<(InterfaceId, String)>,
    pub tally: Tally,
    /// A story is kept of every packet, and told: which must change nothing.
    pub watched: bool,
    /// When the other side had the next event; nothing: now.
    pub moment: Option<Duration>,
    /// The ids that were given last at queues, as far as they have been looked at.
    looked_at: BTreeMap<u16, u32>,
}

/// Beside a kernel time passes as it does there; beside a record only where the scenario says so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    Real { began: Duration, then: Time },
    Virtual,
}

/// The kernel's own clock moves in ticks. Two that count by different ticks see a limit of a second end some milliseconds apart, and a packet
/// that comes between is answered on one side only.
pub(crate) fn tick() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    Duration::new(at.tv_sec as u64, at.tv_nsec as u32)
}

/// The length of a tick, in nanoseconds: nflab counts by it where the kernel does.
const TICK: u64 = 4_000_000;

impl Clock {
    pub(crate) fn real() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or_default().as_nanos() as u64;
        Self::Real {
            began: tick(),
            // In the middle of a tick, so that the same ticks are counted whatever the coarse clock's last digits are.
            then: Time::from_nanos(since - since % TICK + TICK / 2),
        }
    }

    fn at(self, tick: Duration, lab: &Lab) -> Time {
        match self {
            Self::Real { began, then } => then + tick.saturating_sub(began),
            Self::Virtual => lab.now(),
        }
    }
}

impl Ours {
    pub(crate) fn new(clock: Clock, ipv6: bool) -> Result<Self, String> {
        Self::drawing(clock, ipv6, 1)
    }

    /// Draws its ports from this seed.
    pub(crate) fn drawing(clock: Clock, ipv6: bool, seed: u64) -> Result<Self, String> {
        let mut lab = Lab::default_lab(seed, TOOLBOX).map_err(|error| error.to_string())?;
        // As the kernel's side sends.
        lab.sender = Sender::Program(
            Credentials {
                user: 0,
                group: 0,
                groups: Vec::new(),
            }
            .into(),
        );
        if let Clock::Real { .. } = clock {
            lab.start_at(clock.at(tick(), &lab));
        }
        for (key, value) in PRELUDE {
            lab.machine.set_sysctl(key, value).map_err(|error| error.to_string())?;
        }
        begin_ipv6(&lab, ipv6)?;
        let mut ours = Self {
            lab,
            second: None,
            offload: false,
            ipv6,
            clock,
            interfaces: Vec::new(),
            tally: Tally::default(),
            watched: false,
            moment: None,
            looked_at: BTreeMap::new(),
        };
        ours.look();
        // A new interface takes these from `default`; these two were there before.
        for interface in ["lan", "wan"] {
            let key = format!("net.ipv4.conf.{interface}.send_redirects");
            ours.lab
                .machine
                .set_sysctl(&key, "0")
                .map_err(|error| error.to_string())?;
        }
        Ok(ours)
    }

    pub(crate) fn wired(mut self, wiring: Wiring) -> Self {
        let has_two = wiring.workers > 1;
        self.second = has_two.then(|| self.lab.beside()).flatten();
        assert_eq!(self.second.is_some(), has_two);
        self.offload = wiring.offload;
        if self.offload {
            self.lab.leave_to_devices();
            self.second.iter_mut().for_each(Lab::leave_to_devices);
        }
        self
    }

    pub(crate) fn offload(&self) -> bool {
        self.offload
    }

    /// Carries a packet on the worker that its flow comes to; on the second one from a thread of its own, whose stores the next packet has to see.
    fn carry<O: Observer + Send>(
        &mut self,
        interface: Option<InterfaceId>,
        bytes: &[u8],
        observer: &mut O,
    ) -> (Report, Vec<Emission>) {
        let offload = self.offload;
        let mut carry = |lab: &mut Lab| match interface.filter(|_| offload) {
            None => {
                let (report, emissions) = lab.carry_observed(interface, bytes, observer);
                (report, emissions.to_vec())
            }
            Some(id) => {
                let (mut bytes, left_to_do) = handed_over(bytes);
                let (report, emissions) = lab.carry_with(id, (&mut bytes, left_to_do), observer);
                (report, emissions.to_vec())
            }
        };
        match &mut self.second {
            Some(second) if comes_to_the_second(bytes) => {
                // Puts into force what commands have said to the first.
                self.lab.machine.router();
                second.set_clock(self.lab.now());
                second.sender = self.lab.sender.clone();
                let outcome = std::thread::scope(|threads| threads.spawn(|| carry(second)).join());
                outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            _ => carry(&mut self.lab),
        }
    }

    fn look(&mut self) {
        let config = self.lab.machine.router().config();
        self.interfaces = config
            .net
            .interfaces()
            .iter()
            .filter(|interface| interface.name.as_str() != "lo")
            .map(|interface| (interface.id, interface.name.to_string()))
            .collect();
    }

    fn sent(&self, emissions: &[Emission]) -> Vec<(String, Vec<u8>)> {
        let mut sent: Vec<_> = emissions
            .iter()
            .filter_map(|emission| {
                let at = match emission.port {
                    Port::Interface(id) => self.interfaces.iter().position(|(known, _)| *known == id)?,
                    Port::Local => self.interfaces.len(),
                };
                let bytes = match emission.port {
                    Port::Interface(_) => emission.bytes.clone(),
                    Port::Local => heard(&emission.bytes)?,
                };
                Some((at, bytes, emission.offload))
            })
            .collect();
        sent.sort_by_key(|(at, ..)| *at);
        let name = |at: usize| self.interfaces.get(at).map_or("local", |(_, name)| name).to_owned();
        let form = |(at, bytes, offload)| match self.offload {
            true => as_it_left(name(at), bytes, offload),
            false => (name(at), bytes),
        };
        sent.into_iter().map(form).collect()
    }

    /// What came to queues since they were last looked at, under the queue, the hook and the mark.
    fn queued(&mut self) -> Vec<(String, Vec<u8>)> {
        let router = self.lab.machine.router();
        let mut queued = Vec::new();
        for queue in router.open_queues() {
            let seen = self.looked_at.insert(queue.number, queue.last_id).unwrap_or(0);
            for held in router.held_packets(queue.number, seen) {
                queued.push((queue_name(queue.number, held.hook.chain(), held.mark), held.bytes));
            }
        }
        queued
    }

    /// What left; nothing at all where something was to be decided, and nothing waits.
    fn queue(&mut self, word: &QueueWord) -> Result<Option<Vec<Emission>>, String> {
        match word {
            QueueWord::Open { number, settings } => {
                self.looked_at.remove(number);
                let opened = self.lab.machine.router().listen_queue(*number, *settings);
                opened.map_err(|error| error.to_string())?;
            }
            QueueWord::Close(number) => {
                self.lab.machine.router().close_queue(*number);
            }
            QueueWord::Decide {
                number,
                kind,
                mark,
                bytes,
            } => {
                let verdict = QueueVerdict {
                    kind: *kind,
                    mark: *mark,
                    bytes: bytes.clone(),
                };
                let mut story = Story::default();
                let decided = self.lab.decide_observed(*number, verdict, &mut story);
                let Some((_, report)) = decided else { return Ok(None) };
                if story.account().verdict != report.fate.verdict() {
                    return Err(format!(
                        "the report is {report:?}, and the story\n{}",
                        story.account().json()
                    ));
                }
                return Ok(Some(self.lab.output().to_vec()));
            }
        }
        Ok(Some(Vec::new()))
    }

    fn catch_up(&mut self) {
        let moment = self.moment.take().unwrap_or_else(tick);
        self.lab.set_clock(self.clock.at(moment, &self.lab));
    }

    fn tool(&mut self, name: &str, args: &[String], input: &str) -> ToolAnswer {
        let output = self.lab.tool(name, args, input, Path::new("/"));
        ToolAnswer {
            code: output.code,
            out: output.stdout,
            err: output.stderr,
        }
    }

    fn print(&mut self, line: &[String]) -> String {
        self.tool(&line[0], &line[1..], "").out
    }
}

impl Side for Ours {
    fn happen(&mut self, event: &Event) -> Result<Answer, String> {
        self.catch_up();
        let mut answer = Answer::default();
        match event {
            Event::Interface { name, addresses } => {
                let is_new = self.lab.interface(name.as_str()).is_none();
                let addresses = furnished(name.as_str(), addresses, self.ipv6 && is_new);
                let added = self.lab.add_interface(*name, &addresses);
                added.map_err(|error| error.to_string())?;
                self.look();
            }
            Event::Route { to, via, interface } => {
                let interface = match interface {
                    None => None,
                    Some(name) => Some(
                        self.lab
                            .interface(name.as_str())
                            .ok_or_else(|| format!("no interface {name}"))?,
                    ),
                };
                let route = Route {
                    via: *via,
                    interface,
                    ..Route::new(*to)
                };
                self.lab.add_route(route).map_err(|error| error.to_string())?;
            }
            Event::Listen { port } => self.lab.listen(17, *port),
            Event::Sender(credentials) => self.lab.sender = Sender::Program(credentials.clone()),
            Event::Packet { interface, bytes } => {
                let id = match interface {
                    None => None,
                    Some(name) => {
                        let id = self.lab.interface(name.as_str());
                        Some(id.ok_or_else(|| format!("no interface {name}"))?)
                    }
                };
                let now = self.lab.now();
                let asked = Asked::of(self.lab.machine.router(), now, bytes);
                let (report, mut emissions) = match self.watched {
                    false => self.carry(id, bytes, &mut Silent),
                    true => {
                        let mut story = Story::default();
                        let carried = self.carry(id, bytes, &mut story);
                        let account = story.account();
                        if account.verdict != carried.0.fate.verdict() {
                            return Err(format!(
                                "the report is {:?}, and the story\n{}",
                                carried.0,
                                account.json()
                            ));
                        }
                        carried
                    }
                };
                self.tally.packet(&report);
                self.tally.ipv6(bytes, &report);
                if let Some(asked) = asked {
                    asked.count(self.lab.machine.router(), now, &report, &mut self.tally);
                }
                if is_answered_soon(bytes) {
                    let by = match self.clock {
                        // The other side has waited.
                        Clock::Real { .. } => Duration::ZERO,
                        Clock::Virtual => ANSWERED_WITHIN,
                    };
                    self.catch_up();
                    emissions.extend(self.lab.advance(by));
                }
                answer.sent = self.sent(&emissions);
            }
            Event::Tool { name, args, input } => {
                answer.tool = Some(self.tool(name, args, input));
                self.look();
            }
            Event::Queue(word) => {
                let number = word.number();
                let emissions = self.queue(word)?;
                match emissions {
                    Some(emissions) => answer.sent = self.sent(&emissions),
                    None => answer.sent.push(nothing_waits(number)),
                }
            }
            Event::Wait(by) => {
                let by = match self.clock {
                    // The other side has slept, and the clock was set.
                    Clock::Real { .. } => Duration::ZERO,
                    Clock::Virtual => *by,
                };
                let emissions = self.lab.advance(by);
                answer.sent = self.sent(&emissions);
            }
        }
        answer.sent.extend(self.queued());
        Ok(answer)
    }

    fn state(&mut self, depth: Depth) -> Result<Vec<Part>, String> {
        self.catch_up();
        // The kernel collects what is over while time passes; a master counts what its helper announced until then.
        self.lab.tick();
        let mut parts: Vec<_> = [FLOWS, EXPECTATIONS]
            .into_iter()
            .map(|path| (path.to_owned(), self.print(&["cat".to_owned(), path.to_owned()])))
            .collect();
        for save in saves(self.ipv6) {
            let words: Vec<String> = save.split(' ').map(str::to_owned).collect();
            let saved = self.print(&words);
            for line in commands(depth, save, &saved) {
                let text = self.print(&line);
                parts.push((line.join(" "), text));
            }
            parts.push(((*save).to_owned(), saved));
        }
        Ok(parts.into_iter().map(|(title, text)| Part { title, text }).collect())
    }
}

/// What holds of IPv6 before the first event; of a lab's, which forwards already.
pub(crate) fn begin_ipv6(lab: &Lab, ipv6: bool) -> Result<(), String> {
    let knobs = match ipv6 {
        true => PRELUDE_OF_IPV6,
        false => WITHOUT_IPV6,
    };
    // A new interface takes this from `default`; these two were there before.
    let of_interfaces = ["lan", "wan"].map(|name| {
        [
            (format!("net.ipv6.conf.{name}.addr_gen_mode"), "1"),
            (format!("net.ipv6.conf.{name}.mldv1_unsolicited_report_interval"), "0"),
            (format!("net.ipv6.conf.{name}.mldv2_unsolicited_report_interval"), "0"),
        ]
    });
    let of_interfaces = of_interfaces.as_flattened().iter();
    let of_interfaces = of_interfaces.map(|(key, value)| (key.as_str(), *value));
    for (key, value) in knobs.iter().copied().chain(of_interfaces) {
        let set = lab.machine.set_sysctl(key, value);
        set.map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(())
}

/// Both directions of a flow come to the same worker, until NAT makes them differ.
fn comes_to_the_second(bytes: &[u8]) -> bool {
    let ports = upper(bytes, 0).filter(|upper| matches!(upper.protocol, TCP | UDP));
    let ports = ports.and_then(|upper| bytes.get(upper.at..upper.at + 4));
    let addresses = if is_ipv6(bytes, 0) { 8..40 } else { 12..20 };
    let sum: u32 = bytes
        .get(addresses)
        .unwrap_or_default()
        .iter()
        .chain(ports.unwrap_or_default())
        .map(|&it| u32::from(it))
        .sum();
    sum % 2 == 1
}

/// What became of the packet at `at`, hook by hook: the scenario again, on nflab alone.
pub(crate) fn story(scenario: &Scenario, at: usize) -> Result<String, String> {
    let mut ours = Ours::new(Clock::Virtual, scenario.speaks_ipv6())?;
    for event in &scenario.events[..at] {
        ours.happen(event)?;
    }
    match &scenario.events[at] {
        Event::Packet { interface, bytes } => {
            let id = interface.and_then(|name| ours.lab.interface(name.as_str()));
            Ok(ours.lab.send(id, bytes.clone()).story.render(Detail::Whole))
        }
        _ => Ok(String::new()),
    }
}
