//! Where a walk goes and what it counts. Each way was seen with iptables-legacy 1.8.9 on Linux 6.18 (`iptables -vL`).

use std::sync::Arc;

use super::*;
use crate::base::{Family, protocol};
use crate::engine::{Config, Fate, Router, Silent};
use crate::net::Closed;
use crate::net::example::{LAN, net, udp};
use crate::rule::{Action, Chain, ChainKind, Count, CountId, Selector, Table, TableRules};

/// `chain: rule, rule | chain: rule`; a rule that begins with `!` is about other packets than ours.
fn rules(text: &str, policy: Policy) -> TableRules {
    let mut table = TableRules::new(Family::V4, Table::Filter);
    for chain in text.split(" | ") {
        let (name, rules) = chain.split_once(':').unwrap();
        if table.chain(name).is_none() {
            table.chains.push(Chain {
                name: name.to_owned(),
                kind: ChainKind::User,
                rules: Vec::new(),
            });
        }
        let words = rules.split(',').map(str::trim).filter(|it| !it.is_empty());
        table.chain_mut(name).unwrap().rules = words.map(rule).collect();
        if let ChainKind::BuiltIn { policy: own, .. } = &mut table.chain_mut(name).unwrap().kind {
            *own = policy;
        }
    }
    table
}

fn rule(text: &str) -> Arc<Rule> {
    let mut selector = Selector::any(Family::V4);
    let action = match text.strip_prefix('!') {
        Some(action) => {
            selector.protocol = protocol::TCP;
            action
        }
        None => text,
    };
    let action = match action.split_once(' ') {
        Some(("jump", to)) => Action::Jump(to.to_owned()),
        Some(("goto", to)) => Action::Goto(to.to_owned()),
        _ => match action {
            "accept" => Action::Accept,
            "drop" => Action::Drop,
            "return" => Action::Return,
            "queue" => Action::Queue,
            _ => Action::Nothing,
        },
    };
    Arc::new(Rule {
        id: CountId::fresh(),
        count: Count::Keep,
        selector,
        matches: Vec::new(),
        action,
    })
}

/// What became of a packet, and how often each rule counted, a policy at the end of its chain.
fn walked(router: &Router) -> (String, String) {
    let mut worker = router.workers().remove(0);
    let bytes = udp("10.0.0.2", "198.18.0.9", 8).bytes();
    let report = router.receive(&mut worker, Time::ZERO, LAN, &bytes, &mut Silent);
    let fate = match report.fate {
        Fate::Stopped(reason) => reason.to_string(),
        _ => "gets through".to_owned(),
    };
    let table = router.table(Family::V4, Table::Filter);
    let counters = router.counters(Family::V4, Table::Filter);
    let chains = table.chains.iter().filter_map(|chain| {
        let mut ids: Vec<CountId> = chain.rules.iter().map(|rule| rule.id).collect();
        if let ChainKind::BuiltIn { id, .. } = chain.kind {
            ids.push(id);
        }
        let counts: Vec<String> = ids.iter().map(|id| counters[id].packets.to_string()).collect();
        let is_asked = matches!(&*chain.name, "FORWARD") || !matches!(chain.kind, ChainKind::BuiltIn { .. });
        is_asked.then(|| format!("{} {}", chain.name, counts.join(" ")))
    });
    (fate, chains.collect::<Vec<_>>().join(", "))
}

fn router(rules: TableRules) -> Router {
    let router = Router::new(Config::new(net()), 1, 1, Box::new(Closed));
    router.replace(rules, Time::ZERO).unwrap();
    router
}

#[test]
fn where_a_walk_goes_and_what_it_counts() {
    for (text, policy, fate, counts) in [
        ("FORWARD:", Policy::Accept, "gets through", "FORWARD 1"),
        (
            "FORWARD:",
            Policy::Drop,
            "dropped by the policy of filter FORWARD",
            "FORWARD 1",
        ),
        (
            "FORWARD: none, !drop, none, accept, drop",
            Policy::Drop,
            "gets through",
            "FORWARD 1 0 1 1 0 0",
        ),
        (
            "FORWARD: !accept, drop",
            Policy::Accept,
            "dropped by rule 2 of filter FORWARD",
            "FORWARD 0 1 0",
        ),
        // Behind a jump it goes on after the rule that jumped.
        (
            "FORWARD: none, jump a, none | a: none, !return, none",
            Policy::Accept,
            "gets through",
            "FORWARD 1 1 1 1, a 1 0 1",
        ),
        (
            "FORWARD: jump a, drop | a: jump b, accept | b: return, drop",
            Policy::Drop,
            "gets through",
            "FORWARD 1 0 0, a 1 1, b 1 0",
        ),
        (
            "FORWARD: jump a, jump a, none | a: jump b, none | b: none",
            Policy::Accept,
            "gets through",
            "FORWARD 1 1 1 1, a 2 2, b 2",
        ),
        // Behind a chain that was gone to, what the chain before it would come back to; the policy, if nothing jumped.
        (
            "FORWARD: jump a, none | a: goto b, drop | b: none",
            Policy::Accept,
            "gets through",
            "FORWARD 1 1 1, a 1 0, b 1",
        ),
        (
            "FORWARD: goto a, accept | a: none",
            Policy::Drop,
            "dropped by the policy of filter FORWARD",
            "FORWARD 1 0 1, a 1",
        ),
        (
            "FORWARD: goto a, accept | a: jump b, return, accept | b: return",
            Policy::Drop,
            "dropped by the policy of filter FORWARD",
            "FORWARD 1 0 1, a 1 1 0, b 1",
        ),
        (
            "FORWARD: return, accept",
            Policy::Drop,
            "dropped by the policy of filter FORWARD",
            "FORWARD 1 0 1",
        ),
    ] {
        let router = router(rules(text, policy));
        assert_eq!(walked(&router), (fate.to_owned(), counts.to_owned()), "{text}");
    }
}

/// Nobody listens.
#[test]
fn what_is_queued_stops() {
    let router = router(rules("FORWARD: queue", Policy::Accept));
    let (fate, counts) = walked(&router);
    assert!(fate.contains("rule 1 of filter FORWARD"), "{fate}");
    assert_eq!(counts, "FORWARD 1 0");
}

/// What was jumped over stays off the next walk: the second packet goes the same way as the first.
#[test]
fn a_walk_leaves_nothing_to_come_back_to() {
    let router = router(rules("FORWARD: jump a, none | a: jump b | b: accept", Policy::Drop));
    let mut worker = router.workers().remove(0);
    let bytes = udp("10.0.0.2", "198.18.0.9", 8).bytes();
    for _ in 0..3 {
        let report = router.receive(&mut worker, Time::ZERO, LAN, &bytes, &mut Silent);
        assert_eq!(report.fate, Fate::Forwarded);
        assert!(worker.stack.is_empty());
    }
}

/// Thirty chains that jump twice into the next: 2^30 rules. With ten of them, a thousand.
#[test]
fn a_walk_that_is_too_long_ends_at_a_jump() {
    let chain = |depth: usize| format!("c{depth}: jump c{next}, jump c{next}", next = depth + 1);
    let deep = |depth: usize| {
        let chains: Vec<String> = (0..depth).map(chain).collect();
        format!("FORWARD: jump c0 | {} | c{depth}: none", chains.join(" | "))
    };
    let (fate, _) = walked(&router(rules(&deep(10), Policy::Accept)));
    assert_eq!(fate, "gets through");
    let (fate, _) = walked(&router(rules(&deep(30), Policy::Accept)));
    assert!(fate.contains("its way through the table is too long"), "{fate}");
}

#[test]
fn rules_are_counted_by_the_stretch() {
    let mut visits = Visits::new(10, 5);
    assert_eq!((visits.sum, visits.most), (0, MOST_VISITS));
    visits.leave(12, 100);
    assert_eq!(visits.sum, 3);
    visits.leave(100, 12);
    assert_eq!(visits.sum, 4);
    visits.leave(15, 10);
    assert_eq!(visits.sum, 8);
    for (sum, too_many) in [(MOST_VISITS - 1, false), (MOST_VISITS, false), (MOST_VISITS + 1, true)] {
        visits.sum = sum;
        assert_eq!(visits.are_too_many(), too_many, "{sum}");
    }
    // A table that is larger than any sensible one is still walked whole.
    assert_eq!(Visits::new(0, MOST_VISITS as usize).most, 2 * MOST_VISITS);
}
