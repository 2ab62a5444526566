//! What is around the router while a scenario is made: the lab that shows what leaves it, and what was seen to leave.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use nflab::TOOLBOX;
use nflab::base::{Family, InterfaceId, InterfaceName, Random};
use nflab::engine::{Emission, Port, QueueSettings, QueueVerdict, Silent, VerdictKind};
use nflab::lab::memory::Lab;
use nflab::packet::{Credentials, Sender};

use super::super::layout::{IPV6, addresses, is_ipv6, upper};
use super::super::ours::begin_ipv6;
use super::super::scenario::{Event, QueueWord, Scenario};
use super::super::side::furnished;
use super::changes::words;
use super::disturb;
use super::draw::{DMZ, DMZ_ADDRESSES, DRAWN_DESTINATIONS, Draw, FIXED_SOURCES, HOSTS, Host, OWN_PORTS, SIDES, Side};
use super::packet::{Address, ICMP, ICMPV6, SCTP, Seen, TCP, UDP, UDPLITE};
use super::questions::ASKED;
use super::rules::Ruleset;
use super::{Families, Shape};

pub(super) struct World {
    pub draw: Draw,
    pub scenario: Scenario,
    /// One of each family that is spoken.
    pub rulesets: Vec<Ruleset>,
    pub shape: Shape,
    pub packets: usize,
    /// How many came to which end, and how often each disturbance happened.
    pub verdicts: BTreeMap<&'static str, usize>,
    pub disturbances: BTreeMap<String, usize>,
    /// Events that made something leave.
    pub left: usize,
    /// What left last, with ports that both sides agree on: errors quote it.
    pub departed: VecDeque<Out>,
    /// UDP ports of the router that something reads.
    pub listening: Vec<u16>,
    pub has_dmz: bool,
    /// Ports out of ranges are to be expected, which either side of the twin draws for itself.
    pub draws_ports: bool,
    /// Hosts choose their ports from few, so that NAT has to give them others.
    clashing: bool,
    lab: Lab,
    seed: u64,
    sides: Vec<(Side, InterfaceName, InterfaceId)>,
    identification: u16,
    used_ports: u16,
    used_blocks: u16,
    /// Somebody has said whether it forwards, or what it believes.
    pub may_heed_routers: bool,
    /// Kept back to arrive after the next one.
    pub late: Option<(Option<Side>, Vec<u8>)>,
}

/// A packet that left by an interface.
#[derive(Clone, Debug)]
pub(super) struct Out {
    pub side: Side,
    pub bytes: Vec<u8>,
}

/// What became of a packet that a host sent.
pub(super) enum Arrival {
    Nowhere,
    /// It left the router, but under a port that the other side of the twin will have drawn otherwise.
    Unanswerable,
    At(Out),
}

/// As rules ask for them.
const SENDERS: &[&str] = &[
    "0:0",
    "0:27",
    "1000:1000",
    "1000:3,27",
    "1001:0",
    "33:33,4,2000",
    "65534:65534",
];

const REMEMBERED: usize = 24;

impl World {
    pub(super) fn new(name: String, seed: u64, mut draw: Draw, rulesets: Vec<Ruleset>, shape: Shape) -> Self {
        let lab = Lab::default_lab(seed, TOOLBOX).expect("the default lab");
        let rules: String = rulesets.iter().map(Ruleset::text).collect();
        let clashing = draw.one_in(8);
        let names_ranges = ["--random", ":6000", ":6500", "--to-ports 6"]
            .iter()
            .any(|it| rules.contains(it));
        Self {
            draws_ports: clashing || names_ranges,
            scenario: Scenario::new(name),
            rulesets,
            shape,
            packets: 0,
            verdicts: BTreeMap::new(),
            disturbances: BTreeMap::new(),
            left: 0,
            departed: VecDeque::new(),
            listening: Vec::new(),
            has_dmz: draw.one_in(8),
            clashing,
            lab,
            seed,
            sides: Vec::new(),
            identification: 0x1000,
            used_ports: 0,
            used_blocks: 0,
            may_heed_routers: false,
            late: None,
            draw,
        }
    }

    /// Interfaces, knobs, listeners and the ruleset.
    pub(super) fn begin(&mut self) {
        if self.has_dmz {
            let name = InterfaceName::new(SIDES[DMZ]).expect("a short name");
            let is_spoken = |it: &&(Address, u8)| self.shape.families.has(Family::of(it.0));
            let addresses: Vec<_> = DMZ_ADDRESSES.iter().filter(is_spoken).copied().collect();
            let furnished = furnished(SIDES[DMZ], &addresses, self.shape.families != Families::V4);
            self.lab.add_interface(name, &furnished).expect("a third interface");
            self.scenario.events.push(Event::Interface { name, addresses });
        }
        for (side, name) in SIDES.iter().enumerate() {
            if let (Some(id), Some(name)) = (self.lab.interface(name), InterfaceName::new(name)) {
                self.sides.push((side, name, id));
            }
        }
        // What the instrument sets on both sides before the first event.
        let mut knobs = vec!["-w".to_owned()];
        for knob in [
            "icmp_ratelimit=0",
            "icmp_msgs_per_sec=1000000",
            "icmp_msgs_burst=1000000",
            "conf.all.send_redirects=0",
        ] {
            knobs.push(format!("net.ipv4.{knob}"));
        }
        for (_, name, _) in &self.sides {
            knobs.push(format!("net.ipv4.conf.{name}.send_redirects=0"));
        }
        let done = self.lab.tool("sysctl", &knobs, "", Path::new("/"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        if self.shape.families != Families::V4 {
            begin_ipv6(&self.lab, true).expect("knobs that a lab has");
        }
        if self.draw.one_in(2) {
            for port in [53, 5353] {
                self.scenario.events.push(Event::Listen { port });
                self.lab.listen(UDP, port);
                self.listening.push(port);
            }
        }
        // A network of which a broadcast address is known; the stream is its own.
        if !self.shape.moving
            && self.shape.families != Families::V6
            && Random::named(self.seed, "broadcast", 0).one_in(2)
        {
            let words = ["addr", "add", ASKED, "brd", "+", "dev", SIDES[0]];
            self.must("ip", words.map(str::to_owned).to_vec(), "");
        }
        let texts: Vec<_> = self
            .rulesets
            .iter()
            .map(|it| (it.family, it.restore(), it.text()))
            .collect();
        for (family, tool, mut rules) in texts {
            let mut refused = Vec::new();
            if family == Family::V6 {
                (rules, refused) = self.without_what_is_not_there(tool, &rules);
            }
            self.must(tool, Vec::new(), &rules);
            for rule in refused {
                self.is_refused(&rule);
            }
        }
        for family in self.shape.families.all() {
            self.timeouts(*family);
        }
    }

    /// The kernel's tool is to refuse it, too, and in the same words; unless nflab says that it has not got something yet, which is counted.
    fn is_refused(&mut self, line: &str) {
        let args = words(line);
        let tried = self.lab.tool("ip6tables", &args, "", Path::new("/"));
        let said = tried.stderr.lines().next().unwrap_or_default();
        if said.contains("is not there yet") {
            return self.note(format!("refused by name: {said}"));
        }
        let reason = said.split(['"', '`', '\'']).next().unwrap_or_default();
        self.note(format!("a rule that is not of IPv6: {reason}"));
        let _ = self.tool("ip6tables", args, "");
    }

    /// Some of what extensions say of IPv4 has no fellow: rules that are refused because of it, which come back with their table, are told apart. What
    /// only the kernel refuses is told of a whole table, whose rules are tried one by one then.
    fn without_what_is_not_there(&mut self, tool: &str, rules: &str) -> (String, Vec<String>) {
        let is_taken = |world: &mut Self, lines: &[&str]| {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            world.lab.tool(tool, &[], &text, Path::new("/")).code == 0
        };
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        let lines: Vec<&str> = rules.lines().collect();
        for table in lines.split_inclusive(|line| *line == "COMMIT") {
            if is_taken(self, table) {
                taken.extend(table);
                continue;
            }
            let (rules, frame): (Vec<&str>, Vec<&str>) = table.iter().partition(|line| line.starts_with("-A"));
            let (end, head) = frame.split_last().expect("each table ends with COMMIT");
            let mut kept = head.to_vec();
            for rule in rules {
                kept.extend([rule, end]);
                let is_taken = is_taken(self, &kept);
                kept.pop();
                if !is_taken {
                    kept.pop();
                    refused.push(format!("-t {} {rule}", head[0].trim_start_matches('*')));
                }
            }
            taken.extend(kept);
            taken.push(end);
        }
        (taken.iter().map(|line| format!("{line}\n")).collect(), refused)
    }

    /// In some scenarios flows have timeouts of their own, drawn from a stream of its own. Names are as short as those that the kernel gives back whole.
    fn timeouts(&mut self, family: Family) {
        let (mut random, layer, tool) = match family {
            Family::V4 => (Random::new(self.seed ^ OF_TIMEOUTS), "inet", "iptables"),
            Family::V6 => (Random::named(self.seed, "timeouts of IPv6", 0), "inet6", "ip6tables"),
        };
        if random.below(5) != 0 {
            return;
        }
        for (name, protocol, matched, states) in POLICIES {
            if random.below(2) != 0 {
                continue;
            }
            // Two policies of one name there cannot be.
            let (name, protocol, matched) = match (family, *protocol) {
                (Family::V4, _) => ((*name).to_owned(), *protocol, *matched),
                (Family::V6, "icmp") => ("uicm".to_owned(), "icmpv6", "icmpv6"),
                (Family::V6, _) => (name.replacen('t', "u", 1), *protocol, *matched),
            };
            let mut line = format!("add timeout {name} {layer} {protocol}");
            for state in *states {
                if random.below(3) != 0 {
                    line += &format!(" {state} {}", 100 + random.below(900));
                }
            }
            // One state at least.
            line += &format!(" {} {}", states[0], 100 + random.below(900));
            self.must("nfct", words(&line), "");
            let how = ["-A", "-I"][random.below(2) as usize];
            let chain = ["PREROUTING", "PREROUTING", "OUTPUT"][random.below(3) as usize];
            let rule = format!("-t raw {how} {chain} -p {matched} -j CT --timeout {name}");
            self.must(tool, words(&rule), "");
        }
    }

    /// An interface that is made, or made anew; packets come by it from now on.
    pub(super) fn interface(&mut self, event: Event) {
        let Event::Interface { name, addresses } = &event else {
            return;
        };
        let is_new = self.lab.interface(name.as_str()).is_none();
        let ipv6 = self.shape.families != Families::V4;
        self.lab
            .add_interface(*name, &furnished(name.as_str(), addresses, ipv6 && is_new))
            .expect("an interface can be made");
        let id = self.lab.interface(name.as_str()).expect("it was just made");
        let side = SIDES.iter().position(|side| *side == name.as_str());
        self.sides.retain(|(_, known, _)| known != name);
        if let Some(side) = side {
            self.sides.push((side, *name, id));
        }
        self.scenario.events.push(event);
    }

    /// A command that succeeds; where it doesn't, the generator is at fault.
    pub(super) fn must(&mut self, name: &'static str, args: Vec<String>, input: &str) {
        let shown = format!("{name} {}", args.join(" "));
        if let Err(why) = self.tool(name, args, input) {
            panic!("the generator is at fault: {}: {shown}: {why}", self.scenario.name);
        }
    }

    /// A command that may fail, in which case both sides have to say so.
    pub(super) fn tool(&mut self, name: &'static str, args: Vec<String>, input: &str) -> Result<(), String> {
        let output = self.lab.tool(name, &args, input, Path::new("/"));
        let input = input.to_owned();
        self.scenario.events.push(Event::Tool { name, args, input });
        if output.code == 0 {
            Ok(())
        } else {
            Err(output.stderr + &output.advice)
        }
    }

    /// A host that is there.
    pub(super) fn host(&mut self) -> &'static Host {
        let there = if self.has_dmz { HOSTS.len() } else { HOSTS.len() - 2 };
        &HOSTS[self.draw.below(there)]
    }

    /// That of the next conversation.
    pub(super) fn family(&mut self) -> Family {
        match self.shape.families {
            Families::V4 => Family::V4,
            Families::V6 => Family::V6,
            Families::Both => self.draw.pick(&[Family::V4, Family::V6]),
        }
    }

    /// Some host, by its address of the family that this one is of.
    pub(super) fn host_like(&mut self, address: Address) -> Address {
        self.host().address(Family::of(address))
    }

    /// One of them, for what is said of rules.
    pub(super) fn some_ruleset(&mut self) -> usize {
        match self.rulesets.len() {
            1 => 0,
            several => self.draw.below(several),
        }
    }

    /// A port or identifier for a new conversation of a host, or of the router.
    pub(super) fn client_port(&mut self, host: Option<&Host>) -> u16 {
        if self.clashing && self.draw.one_in(3) {
            return self.draw.pick(super::draw::CLASHING);
        }
        self.used_ports = (self.used_ports + 1) % 900;
        host.map_or(OWN_PORTS, |it| it.ports) + self.used_ports
    }

    /// A block of ports for the data connections of one control connection, which no other has.
    pub(super) fn data_ports(&mut self) -> u16 {
        self.used_blocks = (self.used_blocks + 1) % 100;
        4000 + self.used_blocks * 40
    }

    pub(super) fn next_identification(&mut self) -> u16 {
        self.identification = self.identification.wrapping_add(1).max(1);
        self.identification
    }

    /// A packet of a conversation, perhaps disturbed on its way; what left the router instead of it.
    pub(super) fn send(&mut self, side: Option<Side>, bytes: Vec<u8>) -> Arrival {
        let Some(sent) = Seen::of(&bytes) else {
            return Arrival::Nowhere;
        };
        let percent = if self.shape.hostile { 22 } else { 3 };
        let outs = if self.draw.percent(percent) {
            disturb::disturbed(self, side, bytes)
        } else {
            self.deliver(side, bytes)
        };
        let passed_on = |out: &&Out| {
            Seen::of(&out.bytes)
                .is_some_and(|it| it.identification == sent.identification && it.protocol == sent.protocol)
        };
        match outs.iter().find(passed_on) {
            None => Arrival::Nowhere,
            Some(out) if is_known(&sent, &out.bytes) => Arrival::At(out.clone()),
            Some(_) => Arrival::Unanswerable,
        }
    }

    /// The event, and what left because of it.
    /// Now and then the next of the router's packets are another's. A stream of its own, as extensions have: nobody else's draws change.
    fn change_sender(&mut self) {
        let mut random = Random::named(self.seed, "sender", self.packets as u64 + 1);
        if random.one_in(4) {
            let sender = random.pick(SENDERS);
            let credentials = Arc::new(Credentials::read(sender).expect("a user and groups"));
            self.lab.sender = Sender::Program(Arc::clone(&credentials));
            self.scenario.events.push(Event::Sender(credentials));
        }
    }

    pub(super) fn deliver(&mut self, side: Option<Side>, bytes: Vec<u8>) -> Vec<Out> {
        let place = side.map(|side| self.sides.iter().find(|it| it.0 == side).copied());
        let (name, id) = match place {
            None => (None, None),
            Some(Some((_, name, id))) => (Some(name), Some(id)),
            Some(None) => return Vec::new(),
        };
        if bytes.is_empty() {
            return Vec::new();
        }
        if id.is_none() && !is_sendable(&bytes) {
            return Vec::new();
        }
        if id.is_none() {
            self.change_sender();
        }
        let (report, output) = self.lab.carry_silently(id, &bytes);
        let outs: Vec<Out> = output
            .iter()
            .filter_map(|emission| match emission.port {
                Port::Interface(id) => {
                    let (side, ..) = self.sides.iter().find(|it| it.2 == id)?;
                    Some(Out {
                        side: *side,
                        bytes: emission.bytes.clone(),
                    })
                }
                Port::Local => None,
            })
            .collect();
        let may_heed = self.may_heed_routers;
        let learns = |it: &Emission| it.port == Port::Local && teaches(&it.bytes, may_heed);
        if output.iter().any(learns) {
            return Vec::new();
        }
        *self.verdicts.entry(report.fate.verdict()).or_default() += 1;
        self.packets += 1;
        self.left += usize::from(!outs.is_empty());
        let sent = Seen::of(&bytes);
        self.scenario.events.push(Event::Packet { interface: name, bytes });
        if let Some(sent) = sent {
            let known = outs
                .iter()
                .filter(|out| is_known(&sent, &out.bytes) && has_header(&out.bytes));
            self.departed.extend(known.cloned());
            let surplus = self.departed.len().saturating_sub(REMEMBERED);
            self.departed.drain(..surplus);
        }
        outs
    }

    /// Somebody listens at a queue from now on.
    pub(super) fn open(&mut self, number: u16) {
        let settings = QueueSettings::default();
        let opened = self.lab.machine.router().listen_queue(number, settings);
        opened.expect("nobody else listens there");
        self.scenario
            .events
            .push(Event::Queue(QueueWord::Open { number, settings }));
    }

    /// All that waits there goes on, the oldest first, and nobody listens any more.
    pub(super) fn accept_all(&mut self, number: u16) {
        let verdict = || QueueVerdict {
            kind: VerdictKind::Accept,
            mark: None,
            bytes: None,
        };
        while self.lab.decide_observed(number, verdict(), &mut Silent).is_some() {
            self.scenario.events.push(Event::Queue(QueueWord::Decide {
                number,
                kind: VerdictKind::Accept,
                mark: None,
                bytes: None,
            }));
        }
        self.lab.machine.router().close_queue(number);
        self.scenario.events.push(Event::Queue(QueueWord::Close(number)));
    }

    pub(super) fn has_nat(&self) -> bool {
        self.rulesets[0].tables.iter().any(|table| table.name == "nat")
    }

    pub(super) fn has(&self, side: Side) -> bool {
        self.sides.iter().any(|(there, ..)| *there == side)
    }

    /// A stream of its own for something that happens now.
    pub(super) fn stream(&self, name: &str) -> Random {
        Random::named(self.seed, name, self.packets as u64)
    }

    pub(super) fn note(&mut self, disturbance: impl Into<String>) {
        *self.disturbances.entry(disturbance.into()).or_default() += 1;
    }
}

/// Whether the ports under which a packet left are the same on both sides of the twin.
fn is_known(sent: &Seen, left: &[u8]) -> bool {
    let Some(left) = Seen::of(left) else { return false };
    if !matches!(sent.protocol, TCP | UDP | ICMP | ICMPV6 | SCTP | UDPLITE) || left.protocol != sent.protocol {
        return true;
    }
    let source = left.ports.0 == sent.ports.0 || FIXED_SOURCES.contains(&left.ports.0);
    let destination = left.ports.1 == sent.ports.1 || !DRAWN_DESTINATIONS.contains(&left.ports.1);
    source && (destination || matches!(sent.protocol, ICMP | ICMPV6))
}

/// Whether a program of the router's could send it: with a whole header. In IPv6 a socket has to be told by which interface, where the address does not
/// say it.
fn is_sendable(bytes: &[u8]) -> bool {
    if let Some((_, IpAddr::V6(to))) = addresses(bytes, 0) {
        let is_local = to.is_unicast_link_local() || to.is_multicast() || to.is_unspecified();
        return is_ipv6(bytes, 0) && bytes.len() >= IPV6 && !is_local;
    }
    let header = usize::from(bytes[0] & 15) * 4;
    bytes[0] >> 4 == 4 && (20..=bytes.len()).contains(&header)
}

/// What would make the router answer with the time of day, or learn another way or MTU; of other routers a router learns nothing, unless it was told so.
fn teaches(bytes: &[u8], may_heed_routers: bool) -> bool {
    if is_ipv6(bytes, 0) {
        let kind = upper(bytes, 0)
            .filter(|upper| upper.protocol == ICMPV6)
            .and_then(|upper| bytes.get(upper.at));
        return matches!(kind, Some(2)) || may_heed_routers && matches!(kind, Some(134 | 137));
    }
    let at = usize::from(bytes.first().map_or(0, |it| it & 15)) * 4;
    let kind = bytes.get(at).copied().unwrap_or(0);
    let code = bytes.get(at + 1).copied().unwrap_or(0);
    bytes.get(9) == Some(&ICMP) && matches!((kind, code), (3, 4) | (5, _) | (13, _))
}

fn has_header(bytes: &[u8]) -> bool {
    bytes.len() >= if is_ipv6(bytes, 0) { IPV6 + 8 } else { 28 }
}

const OF_TIMEOUTS: u64 = 0x7469_6d65;

/// A policy's name, its protocol as `nfct` and as rules call it, and states that packets lead to.
const POLICIES: &[(&str, &str, &str, &[&str])] = &[
    (
        "ttcp",
        "tcp",
        "tcp",
        &[
            "syn_sent",
            "syn_recv",
            "established",
            "fin_wait",
            "close_wait",
            "last_ack",
            "time_wait",
            "close",
            "syn_sent2",
            "retrans",
            "unacknowledged",
        ],
    ),
    ("tudp", "udp", "udp", &["unreplied", "replied"]),
    ("ticm", "icmp", "icmp", &["timeout"]),
    ("tgen", "generic", "50", &["timeout"]),
    ("tgre", "gre", "gre", &["unreplied", "replied"]),
    (
        "tsct",
        "sctp",
        "sctp",
        &[
            "closed",
            "cookie_wait",
            "cookie_echoed",
            "established",
            "shutdown_sent",
            "shutdown_recd",
            "shutdown_ack_sent",
        ],
    ),
    ("tlit", "udplite", "udplite", &["unreplied", "replied"]),
];
