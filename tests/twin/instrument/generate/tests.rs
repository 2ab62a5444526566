//! What the generator promises: the whole language, deep conversations, every disturbance, the same again from the same seed.

use std::collections::{BTreeMap, BTreeSet};

use nflab::base::Family;
use nflab::ext::drawn::{Drawn, drawn};
use nflab::ext::option::{Opt, OptionSpec, UsageError, ValueKind};
use nflab::ext::samples::Samples;
use nflab::ext::{MATCHES, MatchSpec, TARGETS, TargetSpec};
use nflab::helper::registry;

use super::disturb::DISTURBANCES;
use super::rules::KINDS;
use super::*;
use crate::instrument::scenario::Event;

const SHORT: Shape = Shape {
    packets: 300,
    hostile: false,
    moving: false,
    sharing: false,
    families: Families::V4,
};
const SHORT_HOSTILE: Shape = Shape { hostile: true, ..SHORT };

#[test]
fn a_seed_decides_everything() {
    let moving = Shape { moving: true, ..SHORT };
    let sharing = Shape {
        sharing: true,
        ..moving
    };
    for shape in [SHORT, SHORT_HOSTILE, moving, sharing] {
        assert_eq!(scenario(7, shape), scenario(7, shape));
        assert_ne!(scenario(7, shape), scenario(8, shape));
    }
}

/// All rules of the first seeds: what restore files hold, and what is typed.
fn rules() -> Vec<String> {
    let mut rules = Vec::new();
    for seed in 0..400 {
        let events = scenario(seed, Shape { packets: 1, ..SHORT }).events;
        for event in events {
            if let Event::Tool { name, input, .. } = event
                && name == "iptables-restore"
            {
                rules.extend(input.lines().map(str::to_owned));
            }
        }
        let of_ipv6 = Ruleset::draw(&mut Draw::new(seed), Family::V6).text();
        rules.extend(of_ipv6.lines().map(str::to_owned));
    }
    rules
}

/// Who adds an extension says in its spec how it is drawn.
#[test]
fn every_extension_is_drawn_with_every_option() {
    let rules = rules();
    let mut never: Vec<String> = Vec::new();
    for spec in MATCHES {
        let loads = |rule: &str| {
            let named = |name: String| rule.contains(&format!(" -p {name} "));
            rule.contains(&format!(" -m {} ", spec.name))
                || spec
                    .protocol
                    .is_some_and(|number| named(spec.name.to_owned()) || named(number.to_string()))
        };
        never.extend(never_drawn(&rules, loads, &format!("-m {}", spec.name), spec.options));
    }
    for spec in TARGETS {
        let jumps = |rule: &str| format!("{rule} ").contains(&format!(" -j {} ", spec.name));
        never.extend(never_drawn(&rules, jumps, &format!("-j {}", spec.name), spec.options));
    }
    assert!(
        never.is_empty(),
        "never drawn, and their specs' `drawn` is to say how: {never:#?}"
    );
}

/// What of an extension no rule has: itself, or these of its options.
fn never_drawn(
    rules: &[String],
    is_of: impl Fn(&str) -> bool,
    extension: &str,
    options: &'static [OptionSpec],
) -> Vec<String> {
    let of: Vec<String> = rules
        .iter()
        .filter(|rule| is_of(rule))
        .map(|rule| format!("{rule} "))
        .collect();
    if of.is_empty() {
        return vec![extension.to_owned()];
    }
    let takes = |option: &&OptionSpec| !matches!(option.value, ValueKind::Refused { .. });
    let written = options.iter().filter(takes).flat_map(|option| {
        let inverted = option.invert.then(|| format!("! --{}", option.name));
        let plain = option.names().map(|name| format!("--{name}"));
        plain.chain(inverted).collect::<Vec<_>>()
    });
    written
        .filter(|option| !of.iter().any(|rule| rule.contains(&format!(" {option} "))))
        .map(|option| format!("{extension} {option}"))
        .collect()
}

/// The rules of a scenario that has these besides are those of one that has not, but for what these say.
#[test]
fn an_extension_more_changes_nobody_elses_draws() {
    let lines = |seed, with: bool| {
        let mut draw = Draw::new(seed);
        if with {
            draw.extensions.matches.insert(0, &MORE);
            draw.extensions.targets.insert(0, &MORE_TO_DO);
        }
        let text = Ruleset::draw(&mut draw, Family::V4).text();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines, draw.word())
    };
    let (mut asked, mut done) = (0, 0);
    for seed in 0..300 {
        let ((without, after), (with, later)) = (lines(seed, false), lines(seed, true));
        assert_eq!(after, later, "seed {seed}: what is drawn after the ruleset");
        assert_eq!(without.len(), with.len(), "seed {seed}");
        for (without, with) in without.iter().zip(&with) {
            let is_asked = with.contains(" -m more ");
            let is_done = with.ends_with(" -j MORE");
            (asked, done) = (asked + usize::from(is_asked), done + usize::from(is_done));
            let mut rest = with.clone();
            for amount in ["1", "2"] {
                for not in ["", " !"] {
                    rest = rest.replace(&format!(" -m more{not} --amount {amount}"), "");
                }
            }
            // A rule that asks nothing may not drop all; one that asks for more may.
            match is_asked || is_done {
                true => assert_eq!(without_target(without), without_target(&rest), "seed {seed}: {with}"),
                false => assert_eq!(without, &rest, "seed {seed}"),
            }
        }
    }
    assert!(asked > 300 && done > 100, "{asked} rules ask, {done} do");
}

/// A rule until its target, and without the match that this brings with it.
fn without_target(rule: &str) -> &str {
    let Some((asked, target)) = rule.split_once(" -j ") else {
        return rule;
    };
    let name = target.split(' ').next().unwrap_or_default();
    let brought = TARGETS.iter().find(|target| target.name == name);
    brought
        .and_then(|target| asked.strip_suffix(target.samples.drawn.behind))
        .unwrap_or(asked)
}

const AMOUNT: Opt<u64> = Opt::integer("amount", 0, 9, "of something").invertible();

static MORE: MatchSpec = MatchSpec {
    name: "more",
    aliases: &[],
    families: &[Family::V4],
    like: None,
    protocol: None,
    options: &[AMOUNT.spec],
    needs_one: None,
    exclusive: &[],
    build: |_| Err(UsageError::parameter("it is only drawn")),
    unlist: nflab::ext::listed::never,
    directory: None,
    about: "one more",
    samples: samples(drawn(
        |_| 30,
        |draw| {
            // Much is drawn, to show that it is nobody else's.
            for _ in 0..draw.below(20) {
                draw.below(5);
            }
            draw.give_one(&AMOUNT.spec, &["1", "2"]);
        },
    )),
};

static MORE_TO_DO: TargetSpec = TargetSpec {
    name: "MORE",
    listed_as: "MORE",
    families: &[Family::V4],
    like: None,
    options: &[],
    needs_one: None,
    exclusive: &[],
    build: |_| Err(UsageError::parameter("it is only drawn")),
    unlist: nflab::ext::listed::never,
    about: "one more",
    samples: samples(drawn(|_| 20, |_| {}).in_one_scenario_of(2)),
};

const fn samples(drawn: Drawn) -> Samples {
    Samples {
        place: ("filter", "FORWARD"),
        taken: &[],
        refused: &[],
        packets: &[],
        spellings: &[],
        drawn,
    }
}

/// Enough of everything in each family of scenarios, over many seeds: what passes, what is stopped; and in all of them together each disturbance and
/// each kind of change.
#[test]
fn scenarios_are_balanced() {
    for shape in [SHORT, SHORT_HOSTILE, Shape { moving: true, ..SHORT }] {
        let mut families = BTreeMap::<&str, BTreeMap<&str, usize>>::new();
        let mut disturbances = BTreeMap::<String, usize>::new();
        let mut tools = BTreeMap::<&str, usize>::new();
        for seed in 0..200 {
            let world = generate(seed, shape);
            assert!(world.packets >= shape.packets && world.packets < shape.packets + 100);
            assert_eq!(world.scenario.packets(), world.packets);
            let fates = families.entry(world.rulesets[0].kind).or_default();
            *fates.entry("left").or_default() += world.left;
            for (verdict, count) in world.verdicts {
                *fates.entry(verdict).or_default() += count;
                *fates.entry("all").or_default() += count;
            }
            for (disturbance, count) in world.disturbances {
                *disturbances.entry(disturbance).or_default() += count;
            }
            for event in &world.scenario.events {
                if let Event::Tool { name, .. } = event {
                    *tools.entry(name).or_default() += 1;
                }
            }
        }
        println!("{shape:?}: {families:?}; {disturbances:?}; {tools:?}");
        for kind in KINDS {
            let fates = families.get(kind).unwrap_or_else(|| panic!("no scenario of {kind}"));
            let share = |fate| fates.get(fate).copied().unwrap_or(0) * 1000 / fates["all"];
            let shares = ["ACCEPT", "DROP", "REJECT", "left"].map(|fate| (fate, share(fate)));
            println!("{kind}, of 1000 packets: {shares:?}");
            assert!(share("ACCEPT") >= 400, "{kind}: too little gets through: {shares:?}");
            let stopped = share("DROP") + share("REJECT");
            assert!((50..=600).contains(&stopped), "{kind}: {shares:?}");
            assert!(share("REJECT") >= 3, "{kind}: {shares:?}");
        }
        let messages = super::irc::KINDS.iter().map(|(_, noted)| noted);
        let notes = super::announced::NOTES.iter().chain(&super::questions::NOTES);
        let notes = notes.chain(&super::pptp::NOTES).chain(&super::sane::NOTES);
        let notes = notes.chain(&super::sip::NOTES).chain(&super::sip_line::NOTES);
        let calls = super::h323_messages::all().map(|it| &it.noted);
        for name in messages.chain(notes).chain(calls) {
            assert!(disturbances.contains_key(*name), "no helper hears: {name}");
        }
        for (name, _) in DISTURBANCES {
            assert!(disturbances.contains_key(*name), "no packet was disturbed by: {name}");
        }
        for name in ["iptables", "iptables-restore", "sysctl", "conntrack", "nfct"] {
            assert!(tools.contains_key(name), "{name} is never called");
        }
    }
}

/// Extension headers, messages of ICMPv6, pieces that differ from each other: all of it is drawn.
#[test]
fn what_ipv6_alone_has_is_drawn() {
    let mut drawn = BTreeSet::new();
    for seed in 0..40 {
        let world = generate(seed, SHORT_HOSTILE.of(Families::V6));
        drawn.extend(world.disturbances.into_keys());
    }
    let notes = super::extension::NOTES.iter().chain(&super::messages::NOTES);
    for name in notes.chain(&super::pieces::NOTES) {
        assert!(drawn.contains(*name), "never drawn: {name}");
    }
}

/// Helpers that no rule of these scenarios gives to a flow, and why.
const NOT_GIVEN: &[(&str, &str)] = &[
    ("H.245", "Q.931 gives it to what it expects"),
    ("talk", "no kernel has it"),
    ("ntalk", "no kernel has it"),
    ("icq", "no kernel has it"),
];

/// Who adds a helper gives it to flows that say what it reads.
#[test]
fn every_helper_that_a_kernel_has_is_drawn() {
    let rules = rules();
    let helpers = registry().iter().flat_map(|spec| spec.conntrack());
    for name in helpers.map(|helper| helper.name) {
        let given = rules
            .iter()
            .any(|rule| rule.ends_with(&format!(" -j CT --helper {name}")));
        let is_left_out = NOT_GIVEN.iter().any(|(left_out, _)| *left_out == name);
        assert_ne!(given, is_left_out, "{name}");
    }
}

#[test]
fn scenarios_are_read_back_from_their_text() {
    for seed in 0..20 {
        let made = scenario(seed, SHORT_HOSTILE);
        let read = Scenario::from_text(&made.name, &made.to_text());
        assert_eq!(read.as_ref(), Ok(&made), "seed {seed}");
    }
}

/// No two reasons for the same thing, and none without words.
#[test]
fn exclusions_have_reasons() {
    let of_matches = MATCHES.iter().map(|it| &it.samples);
    let of_all = of_matches.chain(TARGETS.iter().map(|it| &it.samples));
    let of_all = of_all.flat_map(|it| it.drawn.left_out);
    let mut seen = BTreeSet::new();
    for (what, why) in EXCLUDED.iter().chain(of_all) {
        assert!(!what.is_empty() && !why.is_empty());
        assert!(seen.insert(what), "{what} twice");
    }
}
