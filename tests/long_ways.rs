//! Packets whose way through the rules has no end that anybody would wait for: N chains that jump into the next one twice are 2^N rules. No time is
//! asserted; what is counted are rules, steps, lines and bytes, in both families.

#[path = "../benches/bench_router/mod.rs"]
#[allow(dead_code, reason = "benches need more of it")]
mod bench_router;

use std::fmt::Write;

use bench_router::{Setup, client, server, tcp, udp};
use nflab::base::Family;
use nflab::engine::{Fate, MOST_VISITS, Reason, Report};
use nflab::explain::account::{Account, Told};
use nflab::explain::story::{Detail, MOST_STEPS, Story};
use nflab::rule::Table;
use nflab::wire::tcp::flags;

/// Each chain jumps into the next one twice; UDP goes there. `last` stands in the last chain.
fn doubling(chains: usize, last: &str) -> String {
    let mut text = "*filter\n".to_owned();
    for at in 0..chains {
        let _ = writeln!(text, ":c{at} - [0:0]");
    }
    text += "-A FORWARD -p udp -j c0\n";
    for at in 1..chains {
        let _ = write!(text, "-A c{} -j c{at}\n-A c{} -j c{at}\n", at - 1, at - 1);
    }
    if !last.is_empty() {
        let _ = writeln!(text, "-A c{} {last}", chains - 1);
    }
    text + "COMMIT\n"
}

/// A chain of a thousand rules, gone through so often.
fn thousands(times: usize) -> String {
    format!(
        "*filter\n:many - [0:0]\n{}{}COMMIT\n",
        "-A many -p tcp -j DROP\n".repeat(1000),
        "-A FORWARD -j many\n".repeat(times)
    )
}

fn datagram(family: Family) -> Vec<u8> {
    udp((client(family, 0), 4000), (server(family), 53), 10)
}

fn send(setup: &mut Setup, bytes: &[u8]) -> Report {
    let lan = setup.lan;
    setup.receive(lan, bytes).0
}

fn told(family: Family, rules: &str) -> (Setup, Report, Story) {
    let mut setup = Setup::of(family, rules, 1);
    let mut story = Story::default();
    let bytes = datagram(family);
    let report = setup
        .router
        .receive(&mut setup.workers[0], setup.now, setup.lan, &bytes, &mut story);
    (setup, report, story)
}

fn visits(family: Family, setup: &Setup) -> u64 {
    setup
        .router
        .counters(family, Table::Filter)
        .values()
        .map(|it| it.packets)
        .sum()
}

fn rules_told(account: &Account) -> usize {
    account
        .steps
        .iter()
        .filter(|it| matches!(it, Told::Rule { .. }))
        .count()
}

fn left_out(account: &Account) -> Option<u64> {
    account.steps.iter().find_map(|it| match it {
        Told::Cut { left_out } => Some(*left_out),
        _ => None,
    })
}

#[test]
fn a_walk_that_is_too_long_ends_with_the_packet() {
    for family in Family::ALL {
        let mut setup = Setup::of(family, &doubling(40, ""), 1);
        let report = send(&mut setup, &datagram(family));
        let Fate::Stopped(reason @ Reason::WalkTooLong(place)) = &report.fate else {
            panic!("{report:?}");
        };
        assert!(place.chain.starts_with('c'), "{place}");
        assert!(
            reason
                .to_string()
                .starts_with(&format!("dropped at {place}: its way through the table is too long")),
            "{reason}"
        );
        let all = visits(family, &setup);
        assert!(all <= MOST_VISITS + 100, "{all}");
        let log = setup.workers[0].take_log();
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].text, format!("nflab: a packet was {reason}"));
        // Nothing is left of it that the next packet would meet.
        let other = tcp((client(family, 0), 4000), (server(family), 80), flags::SYN, (1, 0), 0);
        assert_eq!(send(&mut setup, &other).fate, Fate::Forwarded);
    }
}

/// Two million rules are come to, not one less.
#[test]
fn the_bound_counts_rules_and_not_jumps() {
    for family in Family::ALL {
        let each = 1001 + 1;
        let most = usize::try_from(MOST_VISITS).unwrap() / each;
        for (times, goes_out) in [(most - 1, true), (most + 2, false)] {
            let mut setup = Setup::of(family, &thousands(times), 1);
            let fate = send(&mut setup, &datagram(family)).fate;
            assert_eq!(fate == Fate::Forwarded, goes_out, "{times}: {fate:?}");
            assert_eq!(
                matches!(fate, Fate::Stopped(Reason::WalkTooLong(_))),
                !goes_out,
                "{times}: {fate:?}"
            );
        }
    }
}

#[test]
fn one_packet_writes_so_many_lines_and_no_more() {
    for family in Family::ALL {
        let mut setup = Setup::of(family, &doubling(16, "-j LOG"), 1);
        assert_eq!(send(&mut setup, &datagram(family)).fate, Fate::Forwarded);
        let log = setup.workers[0].take_log();
        assert_eq!(log.len(), 10_001);
        assert!(log[9_999].text.starts_with("IN=lan OUT=wan"), "{:?}", log[9_999]);
        assert_eq!(
            log[10_000].text,
            "nflab: one packet wrote 10000 lines into the log; its further ones are left out"
        );
    }
}

#[test]
fn a_story_keeps_so_many_steps_and_every_rule() {
    for family in Family::ALL {
        let (setup, report, story) = told(family, &doubling(40, ""));
        assert!(matches!(report.fate, Fate::Stopped(Reason::WalkTooLong(_))));
        let account = story.account();
        let rules = rules_told(&account);
        assert!(account.steps.len() < MOST_STEPS + 100, "{}", account.steps.len());
        assert!(story.weight() < 16 << 20, "{}", story.weight());
        // What is not told is counted; among it are the ways back.
        let all = visits(family, &setup);
        let left_out = left_out(&account).unwrap();
        assert!(
            rules as u64 + left_out >= all && left_out <= 2 * all,
            "{rules} {left_out} {all}"
        );
        let text = story.render(Detail::Whole);
        assert!(
            text.contains(&format!("{left_out} steps are left out: from here on each rule")),
            "no word of it"
        );
        assert!(text.lines().count() < 3 * MOST_STEPS);
        assert!(text.ends_with("rules it goes into no further chain\n"));
        assert_eq!(account.decided_by, []);
    }
}

/// The last rule decides although it is long past what is kept, and of each there is the first time.
#[test]
fn what_decides_is_known_behind_the_cut() {
    for family in Family::ALL {
        let rules = doubling(18, "-p udp -m udp --dport 54 -j DROP") + "*filter\n-A FORWARD -p udp -j REJECT\nCOMMIT\n";
        let rules = rules.replace("COMMIT\n*filter\n", "");
        let (_, report, story) = told(family, &rules);
        assert!(
            matches!(report.fate, Fate::Stopped(Reason::Rejected { .. })),
            "{report:?}"
        );
        let account = story.account();
        assert!(left_out(&account).is_some());
        let decided = account.decided_by.last().unwrap();
        assert_eq!((decided.chain.as_str(), decided.rule), ("FORWARD", Some(2)));
        for chain in 0..18 {
            let name = format!("c{chain}");
            let is_told = |it: &Told| matches!(it, Told::Rule { chain, .. } if *chain == name);
            assert!(account.steps.iter().any(is_told), "{name}");
        }
    }
}

/// Chains that lie deep are not shown as deep: blanks would be the square of it.
#[test]
fn a_text_is_as_long_as_its_steps() {
    for family in Family::ALL {
        let deep = |chains: usize| {
            let mut text = "*filter\n".to_owned();
            for at in 0..chains {
                let _ = writeln!(text, ":c{at} - [0:0]");
            }
            text += "-A FORWARD -j c0\n";
            for at in 1..chains {
                let _ = writeln!(text, "-A c{} -j c{at}", at - 1);
            }
            let (_, report, story) = told(family, &(text + "COMMIT\n"));
            assert_eq!(report.fate, Fate::Forwarded);
            [Detail::Whole, Detail::Short].map(|detail| story.render(detail).len())
        };
        let (once, twice) = (deep(1500), deep(3000));
        for (once, twice) in once.into_iter().zip(twice) {
            assert!(twice < once * 9 / 4, "{once} {twice}");
        }
    }
}

#[test]
fn lines_of_the_log_stand_with_their_rules() {
    for family in Family::ALL {
        let (_, _, story) = told(family, &doubling(5, "-p udp -j LOG --log-prefix \"deep: \""));
        let text = story.render(Detail::Whole);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let logs: Vec<usize> = (0..lines.len())
            .filter(|&at| lines[at].starts_with("log: deep: IN=lan"))
            .collect();
        assert_eq!(logs.len(), 16, "{text}");
        for at in logs {
            assert!(lines[at - 1].starts_with("yes: LOG"), "{}", lines[at - 1]);
        }
    }
}
