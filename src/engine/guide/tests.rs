//! Walks through chains with an index, beside walks that ask every rule; and indexes that follow edits.

use std::sync::Arc;

use super::{Indexes, ends, follow};
use crate::base::{Family, Pace};
use crate::classify::ChainIndex;
use crate::engine::Silent;
use crate::engine::example::{Example, fate, table};
use crate::net::example::{LAN, net, udp};
use crate::rule::{Action, Rule, Table};

/// Marks that no packet has, one a rule: so many that the chain has an index.
const OTHERS: [&str; 20] = [
    "marked 101 drop",
    "marked 102 drop",
    "marked 103 drop",
    "marked 104 drop",
    "marked 105 drop",
    "marked 106 drop",
    "marked 107 drop",
    "marked 108 drop",
    "marked 109 drop",
    "marked 110 drop",
    "marked 111 drop",
    "marked 112 drop",
    "marked 113 drop",
    "marked 114 drop",
    "marked 115 drop",
    "marked 116 drop",
    "marked 117 drop",
    "marked 118 drop",
    "marked 119 drop",
    "marked 120 drop",
];

/// Chains, and what becomes of the packet.
type Case = (&'static [(&'static str, &'static [&'static str])], &'static str);

/// Each chain's rules stand behind others that do not match.
const CASES: &[Case] = &[
    (
        &[(
            "FORWARD drop",
            &["marked 7 drop", "MARK 7", "marked 0 drop", "marked 7 accept"],
        )],
        "Forwarded",
    ),
    (
        &[
            ("FORWARD drop", &["jump a", "marked 7 drop", "marked 8 accept"]),
            ("a", &["MARK 7", "marked 7 goto b", "drop"]),
            ("b", &["MARK 8"]),
        ],
        "Forwarded",
    ),
    // Through the same chain twice, and out of it into itself's neighbour and back.
    (
        &[
            ("FORWARD drop", &["jump a", "jump a", "marked 0", "marked 7 accept"]),
            ("a", &["marked 7 return", "marked 0 jump b", "MARK 7"]),
            ("b", &["", "marked 1 drop", "return", "drop"]),
        ],
        "Forwarded",
    ),
    (
        &[("FORWARD drop", &["", "COPY 198.18.0.7", "marked 0", "accept"])],
        "Forwarded",
    ),
    // What an index knows nothing of is always asked.
    (&[("FORWARD drop", &["no drop", "yes accept"])], "Forwarded"),
    (
        &[("FORWARD drop", &["marked 1 broken", "from wan broken", "broken"])],
        "dropped at rule 23 of filter FORWARD: its transport header is cut short",
    ),
    (
        &[("FORWARD drop", &["from wan accept", "to lan accept"])],
        "dropped by the policy of filter FORWARD",
    ),
];

#[test]
fn a_walk_is_the_same_with_an_index_as_without() {
    for (chains, became) in CASES {
        let long: Vec<(&str, Vec<&str>)> = chains
            .iter()
            .map(|(head, lines)| (*head, [&OTHERS[..], lines].concat()))
            .collect();
        let long: Vec<(&str, &[&str])> = long.iter().map(|(head, lines)| (*head, &lines[..])).collect();
        let [mut quiet, mut watched] = [(); 2].map(|()| Example::with(net(), [table(Table::Filter, &long)]));
        let bytes = udp("10.0.0.2", "198.18.0.9", 8).bytes();
        for _ in 0..3 {
            let report = quiet
                .router
                .receive(&mut quiet.worker, quiet.now, LAN, &bytes, &mut Silent);
            assert_eq!(fate(&report), *became, "{chains:?}");
            let (way, watched) = watched.receive(LAN, &bytes);
            assert_eq!(report, watched, "{:?}", way.rules);
            assert!(
                way.rules.iter().any(|rule| rule.contains("20 failed")),
                "who watches sees all"
            );
        }
        assert_eq!(
            quiet.counted(Table::Filter),
            watched.counted(Table::Filter),
            "{chains:?}"
        );
    }
}

#[test]
fn an_index_follows_an_edit_of_its_chain() {
    let rules = table(Table::Filter, &[("FORWARD", &OTHERS)]);
    let before = &rules.chain("FORWARD").unwrap().rules;
    let lowered = before.iter().map(|rule| (rule.lower(), ends(rule)));
    let index = Arc::new(ChainIndex::new(Family::V4, lowered, Pace::NONE).unwrap());
    let follows = |now: &[Arc<Rule>]| follow(&index, before, now);
    assert!(
        follows(before).is_some_and(|it| Arc::ptr_eq(&it, &index)),
        "nothing came or went"
    );
    let mut other = before.clone();
    Arc::make_mut(&mut other[3]).action = Action::Accept;
    assert!(
        follows(&other).is_some_and(|it| Arc::ptr_eq(&it, &index)),
        "it asks the same"
    );
    Arc::make_mut(&mut other[3]).action = Action::Nothing;
    assert!(
        follows(&other).is_some_and(|it| !Arc::ptr_eq(&it, &index)),
        "packets go further"
    );
    let more = table(Table::Filter, &[("FORWARD", &["marked 5", "marked 6", ""])]);
    let [one, two, _] = &more.chain("FORWARD").unwrap().rules[..] else {
        panic!("three rules");
    };
    for at in [0, 5, before.len()] {
        let mut now = before.clone();
        now.insert(at, Arc::clone(one));
        now.insert(at, Arc::clone(two));
        assert_eq!(follows(&now).unwrap().len() as usize, before.len() + 2);
        now = before.clone();
        now.splice(at.min(10)..at.min(10) + 3, [Arc::clone(one)]);
        assert_eq!(follows(&now).unwrap().len() as usize, before.len() - 2);
    }
    assert!(follows(&before[..3]).is_none(), "too many went");
    assert!(
        Indexes::new(&more, None, Pace::NONE).of.is_empty(),
        "a short chain has none"
    );
}
