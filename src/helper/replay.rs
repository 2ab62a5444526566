//! What the real kernel (Linux 6.18) did with conversations, packet by packet, held against tracking, NAT and helpers.
//!
//! The traces were recorded in a namespace with two TUN devices (`lan` 10.0.0.1/24, `wan` 192.0.2.1/24). A line `in` is a packet that arrived, `state`
//! what `--ctstate` saw in PREROUTING, `out` what left; `flow` and `expect` are lines of `/proc/net/nf_conntrack` and `nf_conntrack_expect`, in any
//! order. `at` is when, in seconds. Times in the tables may be off by one second, since the recording took time too.

use std::sync::Arc;
use std::time::Duration;

use super::{HelperContext, Loaded, NoWays, run};
use crate::base::testing::unhex;
use crate::base::{AddressRange, PortRange, Random, Time, protocol};
use crate::conntrack::text::{self, ExpectationForm, FlowForm};
use crate::conntrack::{CtState, Settings, Table, Template, TrackContext, TrackStage, Tracked, Tracking};
use crate::nat::{self, Manip, NatContext, NatHook, NatRange};
use crate::packet::Packet;
use crate::wire::icmpv4::kind;

macro_rules! replay {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            Replay::new(stringify!($name)).run(include_str!(concat!("traces/", stringify!($name), ".trace")));
        }
    )*};
}

replay! {
    states
    timeouts
    errors
    nat
    nat_errors
    ftp_parse
    ftp_active
    ftp_masquerade
    ftp_dnat
}

struct Replay {
    name: &'static str,
    table: Table,
    settings: Settings,
    random: Random,
    rules: Vec<Rule>,
    helper: bool,
    now: Time,
    /// What is still to be seen of the last packet.
    state: String,
    sent: Vec<String>,
    lines: Vec<String>,
}

/// One rule of the nat table.
#[derive(Default)]
struct Rule {
    hook: String,
    input: Option<String>,
    output: Option<String>,
    protocol: Option<u8>,
    ports: Option<PortRange>,
    range: NatRange,
    accepts: bool,
}

impl Replay {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            table: Table::new((1, 2)),
            settings: Settings::default(),
            random: Random::new(1),
            rules: Vec::new(),
            helper: false,
            now: EPOCH,
            state: String::new(),
            sent: Vec::new(),
            lines: Vec::new(),
        }
    }

    fn run(&mut self, trace: &str) {
        for (number, line) in trace.lines().enumerate() {
            let place = format!("{}:{}: {line}", self.name, number + 1);
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "#" => {}
                "set" => {
                    let (name, value) = rest.split_once(' ').unwrap();
                    self.settings.set(name, value).unwrap();
                }
                "nat" => self.rules.push(Rule::parse(rest)),
                "helper" => self.helper = true,
                "at" => {
                    assert!(self.sent.is_empty(), "{place}: {:?} was sent too", self.sent);
                    assert!(self.lines.is_empty(), "{place}: {:#?} are listed too", self.lines);
                    self.now = EPOCH + Duration::from_secs_f64(rest.parse().unwrap());
                }
                "in" => {
                    let (interface, packet) = rest.split_once(' ').unwrap();
                    self.receive(interface, &unhex(packet));
                }
                "state" => assert_eq!(self.state, rest, "{place}"),
                "out" => {
                    assert!(!self.sent.is_empty(), "{place}: nothing was sent");
                    assert_eq!(self.sent.remove(0), rest, "{place}");
                }
                "flows" => {
                    let flows = self.table.flows(self.now);
                    let line = |flow: &Arc<_>| text::flow(flow, FlowForm::Proc, self.now);
                    self.lines = flows.iter().filter_map(line).collect();
                    assert_eq!(self.lines.len().to_string(), rest, "{place}: {:#?}", self.lines);
                }
                "expects" => {
                    let all = self.table.expectations(self.now);
                    let line = |it: &Arc<_>| text::expectation(it, ExpectationForm::Proc, self.now);
                    self.lines = all.iter().map(line).collect();
                    assert_eq!(self.lines.len().to_string(), rest, "{place}: {:#?}", self.lines);
                }
                "flow" | "expect" => {
                    let at = self.lines.iter().position(|ours| almost_equal(ours, rest));
                    let at = at.unwrap_or_else(|| panic!("{place}\nis not among {:#?}", self.lines));
                    self.lines.remove(at);
                }
                _ => panic!("{place}: an unknown word"),
            }
        }
        assert!(self.sent.is_empty() && self.lines.is_empty());
    }

    fn receive(&mut self, interface: &str, bytes: &[u8]) {
        self.state = "-".to_owned();
        let mut packet = Packet::parse(bytes.to_vec()).unwrap();
        let mut tracking = Tracking::default();
        if let Some(output) = self.forward(interface, &mut packet, &mut tracking) {
            packet.finish_checksum();
            let hex: String = packet.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            self.sent.push(format!("{output} {hex}"));
        }
    }

    fn forward(&mut self, input: &str, packet: &mut Packet, tracking: &mut Tracking) -> Option<&'static str> {
        if self.helper && packet.protocol() == protocol::TCP && packet.ports().is_some_and(|ports| ports.1 == 21) {
            tracking.template = Some(Arc::new(Template {
                helper: Some("ftp".to_owned()),
                ..Template::default()
            }));
        }
        let settings = self.settings.clone();
        let loaded = Loaded::all();
        let cx = TrackContext {
            now: self.now,
            settings: &settings,
            stage: TrackStage::Prerouting,
            helpers: loaded.conntrack(),
            packet: 0,
        };
        let mut nat_cx = NatContext {
            now: self.now,
            random: &mut self.random,
        };
        if let Tracked::Drop(_) = nat::track(&self.table, &cx, &mut nat_cx, packet, tracking) {
            return None;
        }
        self.state = tracking.state_for_matching().name().to_owned();
        self.nat_stage(NatHook::Prerouting, input, "", packet, tracking)?;
        let output = match packet.destination().to_string() {
            address if address.starts_with("10.0.0.") => "lan",
            _ => "wan",
        };
        packet.decrement_ttl();
        self.nat_stage(NatHook::Postrouting, "", output, packet, tracking)?;
        let mut helper_cx = HelperContext {
            now: self.now,
            settings: &settings,
            loaded: &loaded,
            ways: &NoWays,
            table: &self.table,
            random: &mut self.random,
        };
        run(packet, tracking, &mut helper_cx).ok()?;
        nat::adjust_sequences(packet, tracking).ok()?;
        self.table.confirm(&cx, packet, tracking).ok()?;
        Some(output)
    }

    fn nat_stage(
        &mut self,
        hook: NatHook,
        input: &str,
        output: &str,
        packet: &mut Packet,
        tracking: &Tracking,
    ) -> Option<()> {
        let Some(flow) = &tracking.flow else { return Some(()) };
        let manip = hook.manip();
        let is_error = packet.icmpv4().is_some_and(|it| kind::is_error(it.kind()));
        let may_open = matches!(tracking.state, Some(CtState::New | CtState::Related)) && !is_error;
        if may_open && !nat::is_done(flow, manip) {
            let name = match manip {
                Manip::Destination => "PREROUTING",
                Manip::Source => "POSTROUTING",
            };
            let mut cx = NatContext {
                now: self.now,
                random: &mut self.random,
            };
            let rule = self
                .rules
                .iter()
                .find(|rule| rule.hook == name && rule.fits(input, output, packet));
            match rule {
                Some(rule) if !rule.accepts => nat::setup(&self.table, &mut cx, flow, &rule.range, manip),
                _ => nat::null_binding(&self.table, &mut cx, flow, manip),
            }
        }
        nat::translate(packet, tracking, hook).ok().map(|_| ())
    }
}

impl Rule {
    /// `CHAIN [-i IF] [-o IF] [-p PROTOCOL] [--dport PORTS] -j TARGET [--to-... WHERE]`
    fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let mut rule = Self {
            hook: words.next().unwrap().to_owned(),
            ..Self::default()
        };
        while let Some(option) = words.next() {
            let value = words.next().unwrap();
            match option {
                "-i" => rule.input = Some(value.to_owned()),
                "-o" => rule.output = Some(value.to_owned()),
                "-p" => rule.protocol = Some(if value == "udp" { protocol::UDP } else { protocol::TCP }),
                "--dport" => rule.ports = Some(ports(value, ':')),
                "-j" if value == "MASQUERADE" => {
                    rule.range.addresses = Some(AddressRange::single([192, 0, 2, 1].into()));
                }
                "-j" => rule.accepts = value == "ACCEPT",
                "--to-source" | "--to-destination" => {
                    let (address, port) = value.split_once(':').map_or((value, None), |(a, p)| (a, Some(p)));
                    rule.range.addresses = Some(AddressRange::single(address.parse().unwrap()));
                    if let Some(port) = port {
                        let (range, base) = port.split_once('/').map_or((port, None), |(p, b)| (p, Some(b)));
                        rule.range.ports = Some(ports(range, '-'));
                        rule.range.port_base = base.map(|base| base.parse().unwrap());
                    }
                }
                _ => panic!("{option}"),
            }
        }
        rule
    }

    fn fits(&self, input: &str, output: &str, packet: &Packet) -> bool {
        self.input.as_deref().is_none_or(|name| name == input)
            && self.output.as_deref().is_none_or(|name| name == output)
            && self.protocol.is_none_or(|protocol| protocol == packet.protocol())
            && self
                .ports
                .is_none_or(|range| packet.ports().is_some_and(|ports| range.contains(ports.1)))
    }
}

fn ports(text: &str, delimiter: char) -> PortRange {
    let (low, high) = text.split_once(delimiter).unwrap_or((text, text));
    PortRange {
        low: low.parse().unwrap(),
        high: high.parse().unwrap(),
    }
}

/// Equal but for one second in the fields that count time.
fn almost_equal(ours: &str, theirs: &str) -> bool {
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.split(' ').collect(), theirs.split(' ').collect());
    let number = |word: &str| word.trim_start_matches("delta-time=").parse::<i64>().ok();
    let is_time = |at: usize, word: &str| {
        let seconds_at = match theirs.first() {
            Some(&"ipv4") => theirs
                .iter()
                .enumerate()
                .filter(|(_, word)| !word.is_empty())
                .nth(4)
                .map(|it| it.0),
            _ => Some(0),
        };
        Some(at) == seconds_at || word.starts_with("delta-time=")
    };
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).enumerate().all(|(at, (a, b))| {
            a == b || is_time(at, b) && matches!((number(a), number(b)), (Some(a), Some(b)) if (a - b).abs() <= 1)
        })
}

const EPOCH: Time = Time::from_secs(1_800_000_000);
