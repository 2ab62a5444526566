//! What extensions say of themselves to a compiler (`lower`, `effect`) against what they do: every sample and rules drawn at random, over packets
//! of every kind, sound, cut short and in pieces, known to tracking in every way.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::testing::{P, read_match_in, read_target_in};
use super::{MATCHES, MatchSpec, TARGETS, drawn};
use crate::base::testing::host;
use crate::base::{AddressMask, Family, InterfaceId, InterfaceMask, InterfaceName, Random, Time, protocol};
use crate::conntrack::{
    CtState, Direction, Settings, Status, Table as Flows, Template, TimeoutPolicies, TrackContext, TrackStage, Tracking,
};
use crate::nat::{self, Manip, NatContext, NatRange};
use crate::net::Net;
use crate::packet::testing::udp;
use crate::packet::{OF_IPV4, OF_IPV6, Packet, Plain};
use crate::rule::{
    Action, Answer, BoundState, Changes, Condition, Context, Count, CountId, Effect, Ends, HangsOn, Hook, HookSet,
    LogRecord, Lowered, Match, Matched, PlainFields, Rule, Selector, SelectorFields, Services, StateUse, Table, Target,
    TargetContext, TargetVerdict, TrackingNow, WayOut,
};
use crate::set::HeldSets;
use crate::wire::ipv6::extension;
use crate::wire::{ipv4, ipv6};

#[test]
fn what_a_match_excludes_never_matches_and_what_it_promises_does() {
    let subjects = matches();
    let mut met = Met::default();
    let mut random = Random::new(1);
    for sight in sights(&mut random, SIGHTS) {
        let fields = PlainFields::of(&sight.context());
        for subject in &subjects {
            if !subject.may_meet(&sight) {
                continue;
            }
            let lowered = &subject.lowered;
            let answer = lowered.answer(&fields);
            let state = BoundState::fresh(subject.test.as_ref(), NOW);
            let matched = subject.test.evaluate(&Context {
                state: state.as_deref(),
                ..sight.context()
            });
            let fits = match answer {
                Answer::No => matched == Matched::No,
                Answer::Yes => matched == Matched::Yes,
                // Of an exact one only what its header hides.
                Answer::Perhaps => !lowered.is_exact() || asks_for_a_header_cut_short(lowered, &fields),
            };
            assert!(fits, "{}: {matched:?}, said {answer:?}\n{sight:?}", subject.line);
            met.see(lowered, &fields, answer);
        }
    }
    met.check(14);
}

#[test]
fn what_a_rule_excludes_never_matches_and_nothing_else_becomes_of_it() {
    let mut met = Met::default();
    let mut random = Random::new(2);
    let sights = sights(&mut random, SIGHTS);
    let all: Vec<PlainFields> = sights.iter().map(|sight| PlainFields::of(&sight.context())).collect();
    for number in 1..=2000 {
        let (line, rule) = rule(&mut random, number);
        let lowered = rule.lower();
        // Most packets are of its protocol.
        let is_meant = |at: &usize| rule.selector.protocol == 0 || rule.selector.protocol == all[*at].protocol;
        let is_of_its_family = |at: &usize| rule.selector.family == sights[*at].packet.family();
        for _ in 0..20 {
            let drawn = std::iter::repeat_with(|| random.below(sights.len() as u32) as usize);
            let mut drawn = drawn.filter(is_of_its_family).take(9);
            let first = drawn.next().unwrap_or_default();
            let at = std::iter::once(first).chain(drawn).find(is_meant).unwrap_or(first);
            let (sight, fields) = (&sights[at], &all[at]);
            let answer = lowered.answer(fields);
            let (matched, has_written) = ask(&rule, sight);
            let fits = match answer {
                Answer::No => matched == Matched::No && !has_written,
                Answer::Yes => matched == Matched::Yes && !has_written,
                Answer::Perhaps => true,
            };
            assert!(fits, "{line}: {matched:?}, said {answer:?}\n{sight:?}");
            met.see(&lowered, fields, answer);
        }
    }
    met.check(26);
}

/// As a walk does: the selector, then match after match. Also whether one was asked that does something.
fn ask(rule: &Rule, sight: &Sight) -> (Matched, bool) {
    let mut has_written = false;
    let fields = SelectorFields::of(&sight.packet, &sight.input, &sight.output);
    if rule.selector.check(&fields).is_err() {
        return (Matched::No, has_written);
    }
    for test in &rule.matches {
        has_written |= test.effect().state == StateUse::Writes;
        let state = BoundState::fresh(test.as_ref(), NOW);
        let matched = test.evaluate(&Context {
            state: state.as_deref(),
            ..sight.context()
        });
        if matched != Matched::Yes {
            return (matched, has_written);
        }
    }
    (Matched::Yes, has_written)
}

#[test]
fn a_pure_match_answers_alike_whatever_happens_meanwhile() {
    let subjects = matches();
    let mut random = Random::new(3);
    for sight in sights(&mut random, SIGHTS) {
        let before = format!("{:?}", sight.tracking);
        let mut answers = Vec::new();
        for subject in &subjects {
            if !subject.may_meet(&sight) {
                continue;
            }
            let effect = subject.test.effect();
            let state = BoundState::fresh(subject.test.as_ref(), NOW);
            let cx = Context {
                state: state.as_deref(),
                ..sight.context()
            };
            let first = subject.test.evaluate(&cx);
            let is_known = effect != Effect::UNKNOWN;
            assert!(
                !is_known || effect.changes == Changes::NONE,
                "{}: it only looks",
                subject.line
            );
            assert!(
                !matches!(first, Matched::Malformed | Matched::Dropped) || effect.ends != Ends::Never,
                "{}\n{sight:?}",
                subject.line
            );
            if effect.state == StateUse::Writes {
                continue;
            }
            assert!(
                state.is_none() || effect.state != StateUse::None,
                "{} keeps something",
                subject.line
            );
            // A bucket of tokens shows it only when it is empty.
            let times = if state.is_some() { 2_000 } else { 1 };
            for _ in 0..times {
                assert_eq!(
                    subject.test.evaluate(&cx),
                    first,
                    "{}, asked again\n{sight:?}",
                    subject.line
                );
            }
            if effect.state == StateUse::None {
                answers.push((subject, first));
            }
        }
        assert_eq!(format!("{:?}", sight.tracking), before, "a match changed the flow");
        let later = Context {
            now: NOW + std::time::Duration::from_secs(3600),
            ..sight.context()
        };
        sight.others_pass(&mut random);
        for (subject, first) in answers {
            assert_eq!(
                subject.test.evaluate(&later),
                first,
                "{}, asked later\n{sight:?}",
                subject.line
            );
        }
    }
}

#[test]
fn a_target_does_no_more_than_it_says() {
    let mut random = Random::new(4);
    let subjects = targets();
    let mut ended = BTreeSet::new();
    for _ in 0..SIGHTS {
        for Aim { line, target, family } in &subjects {
            let mut sight = Sight::drawn_of(*family, &mut random);
            let (before, flow) = (sight.parts(), sight.flow());
            let effect = target.effect();
            let state = target.state(&TrackingNow {
                settings: &Settings::default(),
                policies: TimeoutPolicies::none(),
                heard: true,
            });
            let mut services = Done {
                flows: &sight.flows,
                has_logged: false,
            };
            let verdict = target.apply(&mut TargetContext {
                packet: &mut sight.packet,
                tracking: &mut sight.tracking,
                net: &sight.net,
                sets: HeldSets::none(),
                table: Table::Mangle,
                hook: Hook::Prerouting,
                input: sight.input,
                output: sight.output,
                now: NOW,
                way: random
                    .pick(&[None, Some(1500), Some(300), Some(40)])
                    .map(|mtu| WayOut { gateway: None, mtu }),
                state: state.as_deref(),
                services: &mut services,
            });
            assert!(!services.has_logged || effect.state == StateUse::Writes, "{line} logs");
            let after = sight.parts();
            for ((part, before), (_, after)) in before.iter().zip(&after) {
                assert!(
                    before == after || effect.changes.touches(*part),
                    "{line}: {part:?} was {before}, is {after}"
                );
            }
            assert!(
                flow == sight.flow() || effect.state == StateUse::Writes,
                "{line} changes a flow"
            );
            match effect.ends {
                Ends::Never => assert!(verdict.continues(), "{line}"),
                Ends::Always => assert!(!verdict.continues(), "{line}"),
                Ends::Perhaps => {}
            }
            ended.insert((target.name(), !verdict.continues()));
        }
    }
    assert!(
        ended.contains(&("MARK", false)) && ended.contains(&("REJECT", true)),
        "{ended:?}"
    );
}

/// Packets that are equal in their plain parts are equal to whatever hangs on no more than these.
#[test]
fn what_hangs_on_the_plain_says_the_same_of_all_that_are_alike() {
    let mut random = Random::new(6);
    let (subjects, targets) = (matches(), targets());
    let (mut compared, mut hanging) = (0, BTreeSet::new());
    for mut sight in sights(&mut random, 4 * SIGHTS) {
        let Some(other) = alike(&sight.packet, &mut random) else {
            continue;
        };
        compared += 1;
        let answers = |sight: &Sight, hangs_on: HangsOn| -> Vec<(String, Matched)> {
            let hang = |it: &&Subject| it.may_meet(sight) && it.test.effect().hangs_on == hangs_on;
            let subjects = subjects.iter().filter(hang);
            subjects
                .map(|subject| (subject.line.clone(), subject.test.evaluate(&sight.context())))
                .collect()
        };
        let before = [HangsOn::Plain, HangsOn::FlowMark].map(|what| answers(&sight, what));
        let mark = sight.tracking.flow.as_ref().map(|flow| flow.lock().mark);
        let first = std::mem::replace(&mut sight.packet, other);
        sight.others_pass(&mut random);
        assert_eq!(answers(&sight, HangsOn::Plain), before[0], "{first:?}\n{sight:?}");
        let restore = |sight: &Sight| {
            if let (Some(flow), Some(mark)) = (&sight.tracking.flow, mark) {
                flow.lock().mark = mark;
            }
        };
        restore(&sight);
        assert_eq!(answers(&sight, HangsOn::FlowMark), before[1], "{first:?}\n{sight:?}");
        let family = sight.packet.family();
        let hang = |it: &&Aim| it.family == family && it.target.effect().hangs_on != HangsOn::Anything;
        for Aim { line, target, .. } in targets.iter().filter(hang) {
            let mut made = Vec::new();
            for packet in [&first, &sight.packet] {
                let (mut packet, mut tracking) = (packet.clone(), sight.tracking.clone());
                restore(&sight);
                let verdict = target.apply(&mut TargetContext {
                    packet: &mut packet,
                    tracking: &mut tracking,
                    net: &sight.net,
                    sets: HeldSets::none(),
                    table: Table::Mangle,
                    hook: Hook::Prerouting,
                    input: sight.input,
                    output: sight.output,
                    now: NOW,
                    way: None,
                    state: None,
                    services: &mut Done {
                        flows: &sight.flows,
                        has_logged: false,
                    },
                });
                made.push((format!("{verdict:?}"), packet.mark, sight.flow()));
            }
            assert_eq!(made[0], made[1], "{line}");
            hanging.insert(target.name());
        }
        restore(&sight);
    }
    assert!(compared > 100, "{compared}");
    assert!(hanging.contains("MARK") && hanging.contains("CONNMARK"), "{hanging:?}");
}

/// Another packet that is equal to this one in its plain parts.
fn alike(packet: &Packet, random: &mut Random) -> Option<Packet> {
    match packet.family() {
        Family::V4 => alike_of::<OF_IPV4>(packet, random),
        Family::V6 => alike_of::<OF_IPV6>(packet, random),
    }
}

fn alike_of<const WORDS: usize>(packet: &Packet, random: &mut Random) -> Option<Packet> {
    let key = Plain::<WORDS>::of(packet)?.key.with_flags(0);
    let mut bytes = packet.bytes().to_vec();
    let transport = packet.transport().len();
    let header = bytes.len() - transport;
    if transport >= 20 {
        bytes.truncate(header + 20 + random.below(transport as u32 - 19) as usize);
        bytes.extend((0..random.below(40)).map(|_| 7));
    }
    // Identification, time to live, flow label: and all behind the ports.
    let own = match packet.family() {
        Family::V4 => (4..6).chain(8..9),
        Family::V6 => (2..4).chain(7..8),
    };
    for at in own.chain(header + 4..bytes.len()) {
        bytes[at] = random.next_u32() as u8;
    }
    let (at, length) = match packet.family() {
        Family::V4 => (2, bytes.len()),
        Family::V6 => (4, bytes.len() - header),
    };
    bytes[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    let mut other = Packet::parse(bytes).ok()?;
    (other.mark, other.input, other.output) = (packet.mark, packet.input, packet.output);
    assert_eq!(Plain::<WORDS>::of(&other).map(|it| it.key.with_flags(0)), Some(key));
    Some(other)
}

const NOW: Time = Time::from_secs(1000);
const SIGHTS: usize = 500;

/// A match with the line it was read from.
struct Subject {
    line: String,
    test: Arc<dyn Match>,
    lowered: Lowered,
    /// Of the rule.
    p: P,
    family: Family,
}

impl Subject {
    fn new(line: String, test: Arc<dyn Match>, (family, p): (Family, P)) -> Self {
        let lowered = test.lower();
        Self {
            line,
            test,
            lowered,
            p,
            family,
        }
    }

    /// A rule asks for the protocol before its matches are asked.
    fn may_meet(&self, sight: &Sight) -> bool {
        let P(number, inverted) = self.p;
        self.family == sight.packet.family() && (number == 0 || (number == sight.packet.protocol()) != inverted)
    }
}

/// Every sample's, and some drawn ones.
fn matches() -> Vec<Subject> {
    let mut subjects = Vec::new();
    let mut random = Random::new(5);
    for (spec, family) in in_their_families() {
        let taken = spec.samples.taken.iter().map(|sample| (sample.before, sample.typed));
        let judged = spec.samples.packets.iter().map(|sample| (sample.before, sample.typed));
        for (before, typed) in taken.chain(judged) {
            let p = P::of(before);
            let line = format!("{before} -m {} {typed}", spec.name);
            match read_match_in(family, spec, p, typed) {
                Ok(test) => subjects.push(Subject::new(line, test, (family, p))),
                // The samples of what both families have may speak of IPv4's addresses.
                Err(why) => assert_eq!(spec.families, Family::ALL, "{line}: {why}"),
            }
        }
        for number in 0..60 {
            let p = P(random.pick(protocols(family)), false);
            let drawn = drawn_matches(spec, family, p, number).into_iter();
            subjects.extend(drawn.map(|(line, test)| Subject::new(line, test, (family, p))));
        }
    }
    subjects
}

fn in_their_families() -> impl Iterator<Item = (&'static MatchSpec, Family)> {
    MATCHES
        .iter()
        .flat_map(|spec| spec.families.iter().map(|family| (*spec, *family)))
}

/// The match once or twice, as rules made up at random have it, or not at all.
fn drawn_matches(spec: &'static MatchSpec, family: Family, p: P, number: u64) -> Vec<(String, Arc<dyn Match>)> {
    let place = drawn::Place {
        family,
        table: Table::Filter,
        hooks: HookSet::of(&[Hook::Forward]),
        protocol: (p.0 != 0).then_some(p.0),
        may_track: true,
    };
    let Some(drawing) = spec.drawn(7, number, &place) else {
        return Vec::new();
    };
    let loading = format!(" -m {}", spec.name);
    let words = drawing.words.split(&loading).enumerate();
    // Nothing stands before the first `-m`, unless `-p` brings the match in.
    words
        .filter(|(at, words)| *at > 0 || !words.is_empty())
        .filter_map(|(_, words)| {
            let line = format!("-p {}{loading}{words}", p.0);
            let test = read_match_in(family, spec, p, words.trim_start());
            // As with samples.
            assert!(test.is_ok() || spec.families == Family::ALL, "{line}: {test:?}");
            Some((line, test.ok()?))
        })
        .collect()
}

/// A target with the line it was read from.
struct Aim {
    line: String,
    target: Arc<dyn Target>,
    family: Family,
}

fn targets() -> Vec<Aim> {
    let mut made = Vec::new();
    for spec in TARGETS {
        for (sample, family) in spec
            .samples
            .taken
            .iter()
            .flat_map(|it| spec.families.iter().map(move |family| (it, *family)))
        {
            let line = format!("{} -j {} {}", sample.before, spec.name, sample.typed);
            match read_target_in(family, spec, P::of(sample.before), sample.typed) {
                Ok(target) => made.push(Aim { line, target, family }),
                Err(why) => assert_eq!(spec.families, Family::ALL, "{line}: {why}"),
            }
        }
    }
    made
}

/// A selector and matches, in an order of their own.
fn rule(random: &mut Random, number: u64) -> (String, Rule) {
    let family = random.pick(&Family::ALL);
    let p = P(random.pick(protocols(family)), false);
    let mut matches = Vec::new();
    for spec in MATCHES {
        // More than in one scenario of so many, and more than in so many of a hundred rules: they shall meet each other.
        for turn in 0..4 {
            let drawn = drawn_matches(spec, family, p, number * 4 + turn);
            matches.extend(drawn.into_iter().map(|it| (random.next_u32(), it)));
        }
    }
    matches.sort_by_key(|(key, _)| *key);
    matches.truncate(1 + random.below(3) as usize);
    let selector = selector(random, family, p);
    let lines: Vec<String> = matches.iter().map(|(_, (line, _))| line.clone()).collect();
    let line = format!("{selector:?}\n{}", lines.join("\n"));
    let rule = Rule {
        id: CountId::fresh(),
        count: Count::Keep,
        selector,
        matches: matches.into_iter().map(|(_, (_, test))| test).collect(),
        action: Action::Nothing,
    };
    (line, rule)
}

fn selector(random: &mut Random, family: Family, P(protocol, protocol_inverted): P) -> Selector {
    let any = Selector::any(family);
    // Now and then a part has a `!`, seldom one that asks nothing: that never matches.
    let inverted = |random: &mut Random, asks| random.one_in(if asks { 4 } else { 100 });
    let address = |random: &mut Random, from: &[&'static str]| match random.one_in(5) {
        true => masked(random.pick(from)),
        false => any.source,
    };
    let interface = |random: &mut Random| {
        let text = random.pick(&["", "", "", "", "", "", "", "+", "lan", "la+", "wan"]);
        InterfaceMask::new(text).expect("short names")
    };
    let (source, destination) = match family {
        Family::V4 => (address(random, drawn::SOURCES), address(random, drawn::DESTINATIONS)),
        Family::V6 => (address(random, NETWORKS_V6), address(random, NETWORKS_V6)),
    };
    let (input, output) = (interface(random), interface(random));
    Selector {
        source,
        source_inverted: inverted(random, source != any.source),
        destination,
        destination_inverted: inverted(random, destination != any.destination),
        input,
        input_inverted: inverted(random, input != any.input),
        output,
        output_inverted: inverted(random, output != any.output),
        protocol,
        protocol_inverted,
        fragment: random.one_in(12) && family == Family::V4,
        fragment_inverted: random.one_in(2),
        family,
    }
}

const NETWORKS_V6: &[&str] = &[
    "2001:db8::/64",
    "2001:db8::2",
    "2001:db8:1::/64",
    "2001:db8:1::9",
    "ff00::/8",
    "::/0",
    "::9/::ff",
];

fn masked(text: &str) -> AddressMask {
    let (address, mask) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().expect("an address");
    if mask.is_empty() {
        return AddressMask::host(address);
    }
    let made = match mask.parse() {
        Ok(length) => AddressMask::prefix(address, length),
        Err(_) => AddressMask::new(address, mask.parse().expect("a mask")),
    };
    made.expect("one family")
}

/// A packet where a rule sees it.
struct Sight {
    packet: Packet,
    tracking: Tracking,
    net: Net,
    flows: Flows,
    input: InterfaceName,
    output: InterfaceName,
    /// What extensions draw from.
    random: Cell<Random>,
}

impl std::fmt::Debug for Sight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { input, output, .. } = self;
        write!(f, "{input:?} to {output:?}: {:?}\n{:?}", self.packet, self.tracking)
    }
}

fn sights(random: &mut Random, count: usize) -> Vec<Sight> {
    (0..count).map(|_| Sight::drawn(random)).collect()
}

impl Sight {
    fn drawn(random: &mut Random) -> Self {
        let family = random.pick(&Family::ALL);
        Self::drawn_of(family, random)
    }

    fn drawn_of(family: Family, random: &mut Random) -> Self {
        let mut packet = packet(family, random);
        packet.mark = random.pick(&[0, 0, 1, 4, 5, 7, 0xff, u32::MAX]);
        packet.input = random.one_in(2).then_some(InterfaceId::LOOPBACK);
        let interface = |random: &mut Random| {
            InterfaceName::new(random.pick(&["", "lo", "lan", "lan0", "wan"])).expect("short names")
        };
        let flows = Flows::new((1, 2));
        let tracking = tracking(family, random, &flows);
        Self {
            packet,
            tracking,
            net: net(),
            flows,
            input: interface(random),
            output: interface(random),
            random: Cell::new(Random::new(1)),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            packet: &self.packet,
            tracking: &self.tracking,
            net: &self.net,
            flows: &self.flows,
            sets: HeldSets::none(),
            table: Table::Filter,
            hook: Hook::Forward,
            input: self.input,
            output: self.output,
            now: NOW,
            state: None,
            random: &self.random,
        }
    }

    /// What others do to a flow once its packet is on its way: it lives longer, is answered and assured.
    fn others_pass(&self, random: &mut Random) {
        if let Some(flow) = &self.tracking.flow {
            let mut state = flow.lock();
            state
                .status
                .set(Status::SEEN_REPLY.or(Status::ASSURED).or(Status::CONFIRMED));
            state.deadline = NOW + std::time::Duration::from_secs(3600 + u64::from(random.below(10_000)));
            state.mark = random.next_u32();
        }
    }

    /// All that a target may change, by its part. The header's checksum follows from the rest.
    fn parts(&self) -> Vec<(Changes, String)> {
        let Self { packet, tracking, .. } = self;
        let bytes = packet.bytes();
        let header = packet.network_header_length();
        let rest = match packet.family() {
            Family::V4 => (&bytes[..10], &bytes[20..header], packet.protocol(), packet.len()),
            Family::V6 => (&bytes[..8], &bytes[40..header], packet.protocol(), packet.len()),
        };
        let flow = tracking.flow.as_ref().map(Arc::as_ptr);
        let template = tracking.template.as_ref().map(Arc::as_ptr);
        let states = PlainFields::of(&self.context()).states;
        let carried = (states, tracking.state, tracking.direction, template, flow);
        vec![
            (Changes::SOURCE, packet.source().to_string()),
            (Changes::DESTINATION, packet.destination().to_string()),
            (Changes::NETWORK_HEADER, format!("{rest:?}")),
            (Changes::TRANSPORT, format!("{:?}", packet.transport())),
            (Changes::MARK, packet.mark.to_string()),
            (Changes::INTERFACES, format!("{:?}", (packet.input, packet.output))),
            (Changes::TRACKING, format!("{carried:?}")),
        ]
    }

    fn flow(&self) -> String {
        format!("{:?}", self.tracking.flow)
    }
}

/// A router with an address on each side, so that there are kinds of addresses.
fn net() -> Net {
    let mut net = Net::new();
    for (name, four, six) in [
        ("lan", "10.0.0.1", "2001:db8::1"),
        ("wan", "192.0.2.1", "2001:db8:1::1"),
    ] {
        let name = InterfaceName::new(name).expect("a short name");
        let interface = net.add_interface(name, 1500).unwrap();
        for (address, length) in [(four, 24), (six, 64)] {
            net.add_address(interface, address.parse().expect("an address"), length)
                .unwrap();
        }
    }
    net
}

fn packet(family: Family, random: &mut Random) -> Packet {
    let number = random.pick(protocols(family));
    let ports: [u16; 13] = [53, 80, 443, 22, 8005, 21, 0, 65535, 1024, 20000, 20005, 1001, 2];
    let mut transport = Vec::new();
    if number == protocol::ICMPV6 {
        transport.extend([
            random.pick(&[1, 1, 2, 3, 4, 128, 128, 129, 135, 255]),
            random.below(6) as u8,
        ]);
    } else if number == protocol::MOBILITY {
        transport.extend([random.pick(&[59, 59, 59, 6]), 0, random.pick(&[0, 1, 5, 8])]);
    } else if number == protocol::ICMP {
        transport.extend([random.pick(&[0, 3, 3, 5, 8, 8, 11, 12, 13, 255]), random.below(6) as u8]);
    } else {
        transport.extend(random.pick(&ports).to_be_bytes());
        transport.extend(random.pick(&ports).to_be_bytes());
    }
    transport.extend((transport.len()..40).map(|_| random.next_u32() as u8));
    if number == protocol::TCP {
        transport[13] = random.pick(&[0x02, 0x12, 0x10, 0x11, 0x04, 0x00, 0x3f, 0x18, 0xc2]);
        // Options that begin sensibly, and headers that are longer than the packet or shorter than a header.
        transport[12] = random.pick(&[5, 6, 8, 8, 10, 11, 15, 4, 0]) << 4;
        transport[20..24].copy_from_slice(&[random.pick(&[2, 5, 16]), 4, 5, 0xb4]);
    }
    let length = match random.below(4) {
        0 => random.below(25) as usize,
        _ => 40,
    };
    if family == Family::V6 {
        return packet_v6(number, &transport[..length], random);
    }
    let address = |random: &mut Random, from: &[[u8; 4]]| random.pick(from).into();
    let mut bytes = ipv4::Repr {
        tos: 0,
        identification: 1,
        dont_fragment: false,
        ttl: 64,
        protocol: number,
        source: address(
            random,
            &[[10, 0, 0, 2], [10, 0, 0, 200], [192, 0, 2, 9], [198, 51, 100, 7]],
        ),
        destination: address(
            random,
            &[
                [10, 0, 0, 1],
                [192, 0, 2, 9],
                [192, 0, 2, 1],
                [224, 0, 0, 1],
                [203, 0, 113, 8],
            ],
        ),
    }
    .emit(&transport[..length]);
    // In units of eight bytes; the first of several has a flag and no offset.
    let fragment: u16 = random.pick(&[0, 0, 0, 0, 0, 0, 0, 0, 0x2000, 1, 2, 0x2001, 185]);
    bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
    Packet::parse(bytes).expect("a sane header")
}

/// With extension headers, now and then.
fn packet_v6(number: u8, transport: &[u8], random: &mut Random) -> Packet {
    let mut headers: Vec<(u8, Vec<u8>)> = Vec::new();
    for _ in 0..random.pick(&[0, 0, 0, 1, 1, 2]) {
        headers.push(match random.below(5) {
            0 => (extension::HOP_BY_HOP, vec![0, 5, 2, 0, 0, 1, 0]),
            1 => (
                extension::DESTINATION,
                vec![random.pick(&[0, 0, 0, 9]), 1, 4, 0, 0, 0, 0],
            ),
            2 => {
                let mut route = vec![
                    2,
                    random.pick(&[0, 2, 4]),
                    random.below(3) as u8,
                    random.below(3) as u8,
                    0,
                    0,
                    0,
                ];
                route.extend(SEGMENT);
                (extension::ROUTING, route)
            }
            3 => {
                let mut ah = vec![4, 0, random.below(2) as u8, 0, 0, 0, random.below(9) as u8];
                ah.extend([0; 16]);
                (protocol::AH, ah)
            }
            _ => {
                let field: u16 = random.pick(&[0, 1, 1, 8, 9, 17, 1480]);
                let [high, low] = field.to_be_bytes();
                (
                    extension::FRAGMENT,
                    vec![random.below(2) as u8, high, low, 0, 0, 0, random.below(9) as u8],
                )
            }
        });
    }
    let numbers: Vec<u8> = headers.iter().map(|it| it.0).chain([number]).collect();
    let mut bytes = vec![0; ipv6::HEADER];
    (bytes[0], bytes[6], bytes[7]) = (0x60, numbers[0], 64);
    let address = |random: &mut Random, from: &[&str]| random.pick(from).parse::<std::net::Ipv6Addr>().expect("one");
    let source = address(
        random,
        &["2001:db8::2", "2001:db8::c8", "2001:db8:1::9", "2001:db8:7::7"],
    );
    let destination = address(
        random,
        &[
            "2001:db8::1",
            "2001:db8:1::9",
            "2001:db8:1::1",
            "ff02::1",
            "2001:db8:8::8",
        ],
    );
    bytes[8..24].copy_from_slice(&source.octets());
    bytes[24..].copy_from_slice(&destination.octets());
    for ((_, header), next) in headers.iter().zip(&numbers[1..]) {
        bytes.push(*next);
        bytes.extend(header);
    }
    bytes.extend(transport);
    // Now and then it ends in the middle of what it has.
    if random.one_in(8) {
        bytes.truncate(ipv6::HEADER + random.below((bytes.len() - ipv6::HEADER) as u32 + 1) as usize);
    }
    let length = ((bytes.len() - ipv6::HEADER) as u16).to_be_bytes();
    bytes[4..6].copy_from_slice(&length);
    Packet::parse(bytes).expect("a sane header")
}

const SEGMENT: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];

/// Never seen, refused, left alone, behind a CT target, or with a flow of any state that NAT may rewrite.
fn tracking(family: Family, random: &mut Random, flows: &Flows) -> Tracking {
    let mut tracking = Tracking::default();
    match random.below(8) {
        0 => return tracking,
        1 => tracking.state = Some(CtState::Invalid),
        2 => tracking.state = Some(CtState::Untracked),
        3 => tracking.template = Some(Arc::new(Template::default())),
        _ => {}
    }
    if tracking.state.is_some() || tracking.template.is_some() {
        return tracking;
    }
    let settings = Settings::default();
    let cx = TrackContext {
        now: NOW,
        settings: &settings,
        stage: TrackStage::Output,
        helpers: &[],
        packet: 0,
    };
    let mut opening = udp((host(family, 2), 1000), (host(family, 9), 53), &[]);
    flows.track(&cx, &mut opening, &mut tracking);
    let flow = Arc::clone(tracking.flow.as_ref().expect("a datagram opens a flow"));
    for bits in [Status::SRC_NAT, Status::DST_NAT, Status::SEEN_REPLY, Status::ASSURED] {
        if random.one_in(3) {
            flow.lock().status.set(bits);
        }
    }
    if random.one_in(2) {
        flows
            .confirm(&cx, &opening, &mut tracking)
            .expect("an empty table has room");
    }
    tracking.state = Some(random.pick(&[CtState::New, CtState::Established, CtState::Related]));
    tracking.direction = random.pick(&[Direction::Original, Direction::Reply]);
    tracking
}

/// The engine's hands: mappings are really chosen.
struct Done<'a> {
    flows: &'a Flows,
    has_logged: bool,
}

impl Services for Done<'_> {
    fn log(&mut self, _record: LogRecord) {
        self.has_logged = true;
    }

    fn nat(&mut self, _packet: &Packet, tracking: &mut Tracking, range: &NatRange, manip: Manip) -> TargetVerdict {
        let mut cx = NatContext {
            now: NOW,
            random: &mut Random::new(1),
        };
        if let Some(flow) = &tracking.flow {
            nat::setup(self.flows, &mut cx, flow, range, manip);
        }
        TargetVerdict::Accept
    }
}

/// With 0: a rule without `-p`.
fn protocols(family: Family) -> &'static [u8] {
    match family {
        Family::V4 => &[0, 6, 6, 6, 17, 17, 1, 1, 47, 51, 132, 136],
        Family::V6 => &[0, 6, 6, 6, 17, 17, 58, 58, 47, 132, 135, 136],
    }
}

fn asks_for_a_header_cut_short(lowered: &Lowered, fields: &PlainFields) -> bool {
    let is_hidden = |condition: &Condition| condition.answer(fields) == Answer::Perhaps;
    matches!(
        lowered.conditions().iter().find(|it| is_hidden(it)),
        Some(Condition::Header(_))
    )
}

/// What came up, so that no claim passes because nobody asked.
#[derive(Default)]
struct Met {
    answers: BTreeMap<Answer, usize>,
    /// By kind, what conditions answered.
    conditions: BTreeMap<String, BTreeSet<Answer>>,
}

impl Met {
    fn see(&mut self, lowered: &Lowered, fields: &PlainFields, answer: Answer) {
        *self.answers.entry(answer).or_default() += 1;
        for condition in lowered.conditions() {
            let mut kind = format!("{condition:?}");
            // `IsNot(Icmp { ..`, `Is(LaterFragment)`, `Header(20)`.
            let field = kind.find('(').map_or(0, |at| at + 1);
            let end = kind[field..].find(['(', ' ', ')']).map_or(0, |at| field + at);
            kind.truncate(match condition {
                Condition::Header(_) => field,
                _ => end,
            });
            self.conditions
                .entry(kind)
                .or_default()
                .insert(condition.answer(fields));
        }
    }

    fn check(&self, kinds: usize) {
        for answer in [Answer::No, Answer::Yes, Answer::Perhaps] {
            let often = self.answers.get(&answer).copied().unwrap_or_default();
            assert!(often > 200, "{:?}", self.answers);
        }
        assert!(self.conditions.len() >= kinds, "{:?}", self.conditions);
        for (kind, answers) in &self.conditions {
            assert!(
                answers.contains(&Answer::Yes) && answers.contains(&Answer::No),
                "{kind}: {answers:?}"
            );
        }
    }
}
