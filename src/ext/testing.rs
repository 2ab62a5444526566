//! What the extensions' tests share: a line of options read as the tool reads it, texts compared, packets asked.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::option::{Given, GivenOption, OptionSpec, UsageError, parse_value};
use super::samples::ReadsBack;
use super::{LabelFile, MatchSpec, TargetSpec, names};
use crate::base::{Family, InterfaceId, InterfaceName, Random, Time, protocol};
use crate::conntrack::{Settings, Table as Flows, TimeoutPolicies, TrackContext, TrackStage, Tracking};
use crate::nat::{Manip, NatRange};
use crate::net::Net;
use crate::packet::{End, Packet};
use crate::rule::{
    BoundState, Context, Hook, HookSet, LogRecord, Match, Matched, Refusal, Scope, Selector, Services, State, Table,
    Target, TargetContext, TargetVerdict, TrackingNow, WayOut,
};
use crate::set::HeldSets;
use crate::wire::{checksum, ipv4};

/// `-p` of the rule under test.
#[derive(Clone, Copy, Debug)]
pub(super) struct P(pub u8, pub bool);

impl P {
    /// As a sample says it: `-p tcp`, `! -p 17`, or nothing.
    pub(super) fn of(before: &str) -> Self {
        let (inverted, rest) = match before.strip_prefix("! ") {
            Some(rest) => (true, rest),
            None => (false, before),
        };
        let Some(name) = rest.strip_prefix("-p ") else {
            assert_eq!(rest, "", "a sample's rule may have a protocol");
            return ANY;
        };
        // What follows are options of other extensions, for which nothing here asks.
        let name = name.split(' ').next().unwrap_or_default();
        let number = name.parse().ok().or_else(|| names::protocol_number(name));
        Self(number.expect("a protocol"), inverted)
    }
}

pub(super) const ANY: P = P(0, false);
pub(super) const TCP: P = P(protocol::TCP, false);
pub(super) const UDP: P = P(protocol::UDP, false);
pub(super) const ICMP: P = P(protocol::ICMP, false);

/// Splits as a shell does, with double quotes and backslashes only.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Of whom the options are: its name, its options, and the family of the rule.
type Of = (&'static str, &'static [OptionSpec], Family);

fn match_of(family: Family, spec: &'static MatchSpec) -> Of {
    (spec.name, spec.options, family)
}

/// As [`read_match`], of a rule of this family.
pub(super) fn read_match_in(
    family: Family,
    spec: &'static MatchSpec,
    p: P,
    text: &str,
) -> Result<Arc<dyn Match>, UsageError> {
    let (options, _) = read((spec.name, spec.options, family), p, text)?;
    spec.finish(&given(family, p, &options))
}

/// As [`read_target`], of a rule of this family.
pub(super) fn read_target_in(
    family: Family,
    spec: &'static TargetSpec,
    p: P,
    text: &str,
) -> Result<Arc<dyn Target>, UsageError> {
    let (options, _) = read((spec.name, spec.options, family), p, text)?;
    spec.finish(&given(family, p, &options))
}

fn target_of(family: Family, spec: &'static TargetSpec) -> Of {
    (spec.name, spec.options, family)
}

/// What is in both families is asked in IPv4.
fn first(families: &[Family]) -> Family {
    families.first().copied().unwrap_or(Family::V4)
}

/// The options, and what is said of those that are taken.
fn read(of: Of, p: P, text: &str) -> Result<(Vec<GivenOption>, String), UsageError> {
    read_with(of, (p, LabelFile::none()), text)
}

fn read_with(
    (name, specs, family): Of,
    (p, labels): (P, &LabelFile),
    text: &str,
) -> Result<(Vec<GivenOption>, String), UsageError> {
    let words = words(text);
    let mut options = Vec::new();
    let mut remarks = String::new();
    let mut inverted = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if word == "!" {
            inverted = true;
            continue;
        }
        let typed = word.strip_prefix("--").expect("an option");
        let spec = specs
            .iter()
            .find(|spec| spec.names().any(|known| known == typed))
            .unwrap_or_else(|| panic!("{name} has no --{typed}"));
        let args: Vec<&str> = words[at..]
            .iter()
            .take(spec.value.arity())
            .map(String::as_str)
            .collect();
        let given = Given {
            labels,
            ..given(family, p, &options)
        };
        let value = parse_value(spec, name, &args, inverted, &given)?;
        remarks += &spec.remark_on(&args).unwrap_or_default();
        options.push(GivenOption {
            spec,
            inverted,
            value,
            at,
        });
        at += args.len();
        inverted = false;
    }
    Ok((options, remarks))
}

fn given(family: Family, p: P, options: &[GivenOption]) -> Given<'_> {
    Given {
        family,
        protocol: p.0,
        protocol_inverted: p.1,
        labels: LabelFile::none(),
        options,
    }
}

/// What is said of options that are taken.
pub(crate) fn match_remarks(family: Family, spec: &'static MatchSpec, p: P, text: &str) -> Result<String, UsageError> {
    Ok(read(match_of(family, spec), p, text)?.1)
}

/// As `match_remarks`.
pub(crate) fn target_remarks(
    family: Family,
    spec: &'static TargetSpec,
    p: P,
    text: &str,
) -> Result<String, UsageError> {
    Ok(read(target_of(family, spec), p, text)?.1)
}

/// In the first of its families.
pub(crate) fn read_match(spec: &'static MatchSpec, p: P, text: &str) -> Result<Arc<dyn Match>, UsageError> {
    read_match_in(first(spec.families), spec, p, text)
}

/// As [`read_match`], where labels have these names.
pub(super) fn read_match_with(
    spec: &'static MatchSpec,
    p: P,
    text: &str,
    labels: &LabelFile,
) -> Result<Arc<dyn Match>, UsageError> {
    let (options, _) = read_with(match_of(first(spec.families), spec), (p, labels), text)?;
    spec.finish(&given(first(spec.families), p, &options))
}

/// In the first of its families.
pub(crate) fn read_target(spec: &'static TargetSpec, p: P, text: &str) -> Result<Arc<dyn Target>, UsageError> {
    read_target_in(first(spec.families), spec, p, text)
}

/// A table, the hooks that lead to the rule, and the kernel's words where it refuses (empty: it does not).
pub(super) type Place<'a> = (Table, &'a [Hook], &'a str);

/// Options typed behind a `-p`, at these places.
pub(super) fn match_places(spec: &'static MatchSpec, p: P, typed: &str, places: &[Place<'_>]) {
    let made = read_match(spec, p, typed).unwrap_or_else(|why| panic!("{typed}: {why}"));
    assert_places((first(spec.families), p), typed, places, |scope| made.check(scope));
}

/// As [`match_places`].
pub(super) fn target_places(spec: &'static TargetSpec, p: P, typed: &str, places: &[Place<'_>]) {
    let made = read_target(spec, p, typed).unwrap_or_else(|why| panic!("{typed}: {why}"));
    assert_places((first(spec.families), p), typed, places, |scope| made.check(scope));
}

fn assert_places(
    (family, p): (Family, P),
    typed: &str,
    places: &[Place<'_>],
    check: impl Fn(&Scope<'_>) -> Result<(), Refusal>,
) {
    for &(table, hooks, said) in places {
        let found = placed(family, &[], p, (table, hooks), &check);
        assert_eq!(
            found.err().unwrap_or_default(),
            said,
            "{typed}, {p:?}, {table:?}, {hooks:?}"
        );
    }
}

/// Asks the extension about its place in a rule that has these matches; `Err` holds the kernel's words.
pub(super) fn placed_behind(
    matches: &[Arc<dyn Match>],
    p: P,
    table: Table,
    hooks: &[Hook],
    check: impl FnOnce(&Scope<'_>) -> Result<(), Refusal>,
) -> Result<(), String> {
    placed(Family::V4, matches, p, (table, hooks), check)
}

fn placed(
    family: Family,
    matches: &[Arc<dyn Match>],
    p: P,
    (table, hooks): (Table, &[Hook]),
    check: impl FnOnce(&Scope<'_>) -> Result<(), Refusal>,
) -> Result<(), String> {
    let mut selector = Selector::any(family);
    selector.protocol = p.0;
    selector.protocol_inverted = p.1;
    check(&Scope {
        table,
        hooks: HookSet::of(hooks),
        selector: &selector,
        matches,
        policies: TimeoutPolicies::none(),
    })
    .map_err(|refusal| refusal.reason)
}

pub(super) const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(super) const DESTINATION: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

/// A packet from 10.0.0.2 to 192.0.2.9 with identification 1 and TTL 64; `fragment` is the field of flags and offset.
pub(super) fn ip(protocol: u8, fragment: u16, transport: &[u8]) -> Packet {
    let mut bytes = ipv4::Repr {
        tos: 0,
        identification: 1,
        dont_fragment: false,
        ttl: 64,
        protocol,
        source: SOURCE,
        destination: DESTINATION,
    }
    .emit(transport);
    bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
    let mut header = ipv4::Ipv4::new(&mut bytes[..]).unwrap();
    header.fill_checksum();
    Packet::parse(bytes).unwrap()
}

/// Sequence number 0x01020304, acknowledgement 0, window 1000.
pub(super) fn tcp(source: u16, destination: u16, flags: u8, options: &[u8]) -> Packet {
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&source.to_be_bytes());
    segment[2..4].copy_from_slice(&destination.to_be_bytes());
    segment[4..8].copy_from_slice(&[1, 2, 3, 4]);
    segment[12] = ((20 + options.len()) as u8 / 4) << 4;
    segment[13] = flags;
    segment[14..16].copy_from_slice(&1000u16.to_be_bytes());
    segment.extend_from_slice(options);
    let sum = checksum::transport(SOURCE.into(), DESTINATION.into(), protocol::TCP, &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    ip(protocol::TCP, 0, &segment)
}

pub(super) fn udp(source: u16, destination: u16, payload: &[u8]) -> Packet {
    let mut datagram = Vec::new();
    datagram.extend_from_slice(&source.to_be_bytes());
    datagram.extend_from_slice(&destination.to_be_bytes());
    datagram.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(payload);
    ip(protocol::UDP, 0, &datagram)
}

/// The answer to `udp(1000, 53, ..)`.
pub(super) fn udp_reply() -> Packet {
    let mut packet = udp(53, 1000, &[]);
    packet.set_address(End::Source, DESTINATION.into());
    packet.set_address(End::Destination, SOURCE.into());
    packet
}

/// Where a packet is asked about.
pub(super) struct Bench {
    pub tracking: Tracking,
    pub net: Net,
    pub flows: Flows,
    pub table: Table,
    pub hook: Hook,
    pub input: InterfaceName,
    pub output: InterfaceName,
    pub now: Time,
    pub way: Option<WayOut>,
    pub random: Cell<Random>,
    pub logged: Vec<LogRecord>,
    pub mapped: Vec<(NatRange, Manip)>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            tracking: Tracking::default(),
            net: Net::new(),
            flows: Flows::new((1, 2)),
            table: Table::Filter,
            hook: Hook::Forward,
            input: InterfaceName::new("lan").unwrap(),
            output: InterfaceName::new("wan").unwrap(),
            now: Time::from_secs(1000),
            way: None,
            random: Cell::new(Random::new(1)),
            logged: Vec::new(),
            mapped: Vec::new(),
        }
    }

    pub(super) fn context<'a>(&'a self, packet: &'a Packet, state: Option<&'a State>) -> Context<'a> {
        Context {
            packet,
            tracking: &self.tracking,
            net: &self.net,
            flows: &self.flows,
            sets: HeldSets::none(),
            table: self.table,
            hook: self.hook,
            input: self.input,
            output: self.output,
            now: self.now,
            state,
            random: &self.random,
        }
    }

    /// A bench whose router has 10.0.0.1/24 on `lan` and 192.0.2.1/24 on `wan`, and the two's identities.
    pub(super) fn with_addresses() -> (Self, InterfaceId, InterfaceId) {
        let mut bench = Self::new();
        let mut add = |name, address: [u8; 4]| {
            let id = bench
                .net
                .add_interface(InterfaceName::new(name).unwrap(), 1500)
                .unwrap();
            bench.net.add_address(id, address.into(), 24).unwrap();
            id
        };
        let (lan, wan) = (add("lan", [10, 0, 0, 1]), add("wan", [192, 0, 2, 1]));
        (bench, lan, wan)
    }

    /// Lets a datagram from 10.0.0.2:1000 to 192.0.2.9:53 open a flow, and tracks `packet` after it.
    pub(super) fn track(&mut self, packet: &mut Packet) {
        let flows = Flows::new((1, 2));
        // As if the rule under test were in force.
        flows.keep_labels(true);
        let settings = Settings::default();
        let cx = TrackContext {
            now: self.now,
            settings: &settings,
            stage: TrackStage::Output,
            helpers: &[],
            packet: 0,
        };
        let mut opening = udp(1000, 53, &[]);
        let mut tracking = Tracking::default();
        flows.track(&cx, &mut opening, &mut tracking);
        flows
            .confirm(&cx, &opening, &mut tracking)
            .expect("an empty table has room");
        self.tracking = Tracking::default();
        flows.track(&cx, packet, &mut self.tracking);
    }

    /// The answer, and the sentence where it is no.
    pub(super) fn ask(&self, made: &dyn Match, packet: &Packet) -> (Matched, String) {
        let state = BoundState::fresh(made, self.now);
        let cx = self.context(packet, state.as_deref());
        let matched = made.evaluate(&cx);
        let why = match matched {
            Matched::Yes => String::new(),
            _ => made.explain(&cx),
        };
        (matched, why)
    }

    pub(super) fn apply(&mut self, made: &dyn Target, packet: &mut Packet) -> TargetVerdict {
        let mut services = Recorder {
            logged: &mut self.logged,
            mapped: &mut self.mapped,
        };
        let settings = Settings::default();
        let state = made.state(&TrackingNow {
            settings: &settings,
            policies: TimeoutPolicies::none(),
            heard: true,
        });
        made.apply(&mut TargetContext {
            packet,
            tracking: &mut self.tracking,
            net: &self.net,
            sets: HeldSets::none(),
            table: self.table,
            hook: self.hook,
            input: self.input,
            output: self.output,
            now: self.now,
            way: self.way,
            state: state.as_deref(),
            services: &mut services,
        })
    }
}

struct Recorder<'a> {
    logged: &'a mut Vec<LogRecord>,
    mapped: &'a mut Vec<(NatRange, Manip)>,
}

impl Services for Recorder<'_> {
    fn log(&mut self, record: LogRecord) {
        self.logged.push(record);
    }

    fn nat(&mut self, _packet: &Packet, _tracking: &mut Tracking, range: &NatRange, manip: Manip) -> TargetVerdict {
        self.mapped.push((*range, manip));
        TargetVerdict::Accept
    }
}

/// Options typed, packets, and the sentence for those that must not match (empty: it must match).
pub(super) fn match_packets(spec: &'static MatchSpec, p: P, bench: &Bench, cases: &[(&str, &Packet, &str)]) {
    for (typed, packet, sentence) in cases {
        let made = read_match(spec, p, typed).unwrap_or_else(|why| panic!("{typed}: {why}"));
        let (matched, why) = bench.ask(made.as_ref(), packet);
        assert_eq!(why, *sentence, "{typed}");
        assert_eq!(matched == Matched::Yes, sentence.is_empty(), "{typed}: {matched:?}");
    }
}

/// What a match is to the one that was read from what it prints.
pub(super) fn match_reads_back(made: &dyn Match, again: &dyn Match) -> ReadsBack {
    let printed = |it: &dyn Match| printed(|out| it.save(out), |out| it.list(out, true));
    reads_back(made.equals(again), printed(made) == printed(again))
}

/// As `match_reads_back`.
pub(super) fn target_reads_back(made: &dyn Target, again: &dyn Target) -> ReadsBack {
    let printed = |it: &dyn Target| printed(|out| it.save(out), |out| it.list(out, true));
    reads_back(made.equals(again), printed(made) == printed(again))
}

fn printed(save: impl Fn(&mut String), list: impl Fn(&mut String)) -> [String; 2] {
    let [mut saved, mut listed] = [const { String::new() }; 2];
    save(&mut saved);
    list(&mut listed);
    [saved, listed]
}

fn reads_back(is_equal: bool, prints_alike: bool) -> ReadsBack {
    match (is_equal, prints_alike) {
        (true, _) => ReadsBack::Same,
        (false, true) => ReadsBack::Alike,
        (false, false) => ReadsBack::Other,
    }
}
