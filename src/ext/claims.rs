//! What extensions say of themselves to a compiler (`lower`, `effect`) against what they do: every sample and rules drawn at random, over packets
//! of every kind, sound, cut short and in pieces, known to tracking in every way.

mod sight;
mod subject;

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
use sight::{Done, Sight, sights};
use subject::{Aim, Subject, matches, rule, targets};

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
