//! What the generator promises: the whole language, deep conversations, every disturbance, the same again from the same seed.

use std::collections::BTreeMap;

use nflab::ext::{MATCHES, TARGETS};

use super::disturb::DISTURBANCES;
use super::*;
use crate::instrument::scenario::Event;

const SHORT: Shape = Shape {
    packets: 300,
    hostile: false,
    moving: false,
};
const SHORT_HOSTILE: Shape = Shape {
    packets: 300,
    hostile: true,
    moving: false,
};

#[test]
fn a_seed_decides_everything() {
    for shape in [SHORT, SHORT_HOSTILE, Shape { moving: true, ..SHORT }] {
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
    }
    rules
}

/// Who adds an extension teaches the generator what it takes: `matches.rs` and `targets.rs`.
#[test]
fn every_extension_is_drawn_with_every_option() {
    let rules = rules();
    let has = |rule: &str, word: &str| rule.split(' ').any(|it| it == word);
    let implied = |rule: &str, number: u8| {
        let names: &[&str] = match number {
            6 => &["tcp", "6"],
            17 => &["udp", "17"],
            1 => &["icmp", "1"],
            _ => &[],
        };
        names.iter().any(|name| rule.contains(&format!("-p {name} ")))
    };
    for spec in MATCHES {
        let of = |rule: &&String| {
            rule.contains(&format!("-m {} ", spec.name)) || spec.protocol.is_some_and(|number| implied(rule, number))
        };
        let of: Vec<&String> = rules.iter().filter(of).collect();
        assert!(
            !of.is_empty(),
            "generate/matches.rs draws no `-m {}`: teach it",
            spec.name
        );
        for option in spec.options.iter().filter(|it| it.value.syntax() != "") {
            let drawn = of
                .iter()
                .any(|rule| option.names().any(|name| has(rule, &format!("--{name}"))));
            assert!(
                drawn,
                "generate/matches.rs draws no `-m {} --{}`: teach it",
                spec.name, option.name
            );
            let inverted = of
                .iter()
                .any(|rule| option.names().any(|name| rule.contains(&format!("! --{name} "))));
            assert!(
                inverted || !option.invert,
                "generate/matches.rs draws no `-m {} ! --{}`: teach it",
                spec.name,
                option.name
            );
        }
    }
    for spec in TARGETS {
        let of: Vec<&String> = rules
            .iter()
            .filter(|rule| format!("{rule} ").contains(&format!("-j {} ", spec.name)))
            .collect();
        assert!(
            !of.is_empty(),
            "generate/targets.rs draws no `-j {}`: teach it",
            spec.name
        );
        for option in spec.options {
            let refused = matches!(option.value, nflab::ext::option::ValueKind::Refused { .. });
            let drawn = of
                .iter()
                .any(|rule| option.names().any(|name| has(rule, &format!("--{name}"))));
            assert!(
                drawn || refused,
                "generate/targets.rs draws no `-j {} --{}`: teach it",
                spec.name,
                option.name
            );
        }
    }
}

/// Enough of everything: what passes, what is stopped, each disturbance, each kind of change.
#[test]
fn scenarios_are_balanced() {
    for shape in [SHORT, SHORT_HOSTILE, Shape { moving: true, ..SHORT }] {
        let mut verdicts = BTreeMap::<&str, usize>::new();
        let mut disturbances = BTreeMap::<&str, usize>::new();
        let mut tools = BTreeMap::<&str, usize>::new();
        let mut left = 0;
        for seed in 0..200 {
            let world = generate(seed, shape);
            assert!(world.packets >= shape.packets && world.packets < shape.packets + 100);
            assert_eq!(world.scenario.packets(), world.packets);
            left += world.left;
            for (verdict, count) in world.verdicts {
                *verdicts.entry(verdict).or_default() += count;
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
        let all: usize = verdicts.values().sum();
        println!(
            "{shape:?}: {verdicts:?}, {} of 100 left; {disturbances:?}; {tools:?}",
            left * 100 / all
        );
        let share = |verdict| verdicts.get(verdict).copied().unwrap_or(0) * 100 / all;
        assert!(share("ACCEPT") >= 40, "too little gets through: {verdicts:?}");
        assert!((15..=50).contains(&share("DROP")), "{verdicts:?}");
        assert!(share("REJECT") >= 2, "{verdicts:?}");
        for (name, _) in DISTURBANCES {
            assert!(disturbances.contains_key(name), "no packet was disturbed by: {name}");
        }
        for name in ["iptables", "iptables-restore", "sysctl", "conntrack"] {
            assert!(tools.contains_key(name), "{name} is never called");
        }
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
    for (at, (what, why)) in EXCLUDED.iter().enumerate() {
        assert!(!what.is_empty() && !why.is_empty());
        assert!(!EXCLUDED[..at].iter().any(|(other, _)| other == what), "{what} twice");
    }
}
