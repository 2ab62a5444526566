//! What workers and commands do to one router at the same time, in the orders that are tried.

use std::sync::Arc;

use shuttle::thread::spawn;

use super::*;
use crate::base::sync::explore;
use crate::engine::{Fate, Silent};
use crate::net::Closed;
use crate::net::example::{LAN, net, udp};
use crate::rule::{Action, Count, CountId, Rule, Selector, Table, TableRules};

/// Two workers, and one rule that every packet meets.
fn router() -> (Arc<Router>, CountId) {
    let config = Config {
        always_track: true,
        ..Config::new(net())
    };
    let router = Router::new(config, 1, 2, Box::new(Closed));
    let mut rules = TableRules::new(Family::V4, Table::Filter);
    let rule = rule(Count::Keep);
    let id = rule.id;
    forward(&mut rules).push(rule);
    router.replace(rules, Time::ZERO).unwrap();
    (Arc::new(router), id)
}

fn rule(count: Count) -> Arc<Rule> {
    Arc::new(Rule {
        id: CountId::fresh(),
        count,
        selector: Selector::any(Family::V4),
        matches: Vec::new(),
        action: Action::Nothing,
    })
}

fn forward(rules: &mut TableRules) -> &mut Vec<Arc<Rule>> {
    &mut rules.chain_mut("FORWARD").unwrap().rules
}

/// So many packets on each worker, which all get through.
fn carry(router: &Arc<Router>, packets: u64) -> Vec<shuttle::thread::JoinHandle<()>> {
    let workers = router.workers().into_iter().zip(["10.0.0.2", "10.0.0.3"]);
    workers
        .map(|(mut worker, client)| {
            let router = Arc::clone(router);
            spawn(move || {
                let bytes = udp(client, "198.18.0.9", 8).bytes();
                for _ in 0..packets {
                    let report = router.receive(&mut worker, Time::ZERO, LAN, &bytes, &mut Silent);
                    assert_eq!(report.fate, Fate::Forwarded);
                }
            })
        })
        .collect()
}

/// The table is read and written by two at the same time; what one sees of the counters it may hide.
#[test]
fn packets_are_counted_whatever_is_replaced() {
    explore::by_chance(ORDERS, || {
        let (router, id) = router();
        let workers = carry(&router, 2);
        let replacers = [false, true].map(|hides| {
            let router = Arc::clone(&router);
            spawn(move || {
                let mut hidden = 0;
                for _ in 0..2 {
                    let opened = router.open(Family::V4, Table::Filter, Time::ZERO).unwrap();
                    let mut rules = TableRules::clone(opened.rules());
                    let seen = opened.counters()[&id];
                    if hides {
                        Arc::make_mut(&mut forward(&mut rules)[0]).count = Count::Seen(seen);
                    }
                    if router.replace_opened(&opened, rules, Time::ZERO).is_ok() && hides {
                        hidden += seen.packets;
                    }
                }
                hidden
            })
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let hidden: u64 = replacers.map(|replacer| replacer.join().unwrap()).iter().sum();
        let counted = router.counters(Family::V4, Table::Filter)[&id].packets;
        assert_eq!(hidden + counted, 4);
        // Nobody is in the tables that were replaced.
        router.reclaim();
        let retired = router.retired.lock();
        assert!(retired.lives.is_empty() && retired.tables.is_empty());
        assert_eq!(router.flows.count(), 2);
    });
}

/// Two sessions add a rule each; who comes too late reads the table anew. Both rules are there in the end.
#[test]
fn no_session_loses_what_another_said() {
    explore::one_by_one(10 * ORDERS, || {
        let (router, _) = router();
        let sessions = [(); 2].map(|()| {
            let router = Arc::clone(&router);
            spawn(move || {
                loop {
                    let opened = router.open(Family::V4, Table::Filter, Time::ZERO).unwrap();
                    let mut rules = TableRules::clone(opened.rules());
                    forward(&mut rules).push(rule(Count::Keep));
                    if router.replace_opened(&opened, rules, Time::ZERO).is_ok() {
                        break;
                    }
                }
            })
        });
        sessions.into_iter().for_each(|session| session.join().unwrap());
        assert_eq!(router.table(Family::V4, Table::Filter).rules().count(), 3);
    });
}

/// A table that comes to exist by being asked for is made once.
#[test]
fn a_table_is_made_once() {
    explore::one_by_one(ORDERS, || {
        let (router, _) = router();
        let askers = [(); 2].map(|()| {
            let router = Arc::clone(&router);
            spawn(move || router.open(Family::V4, Table::Mangle, Time::ZERO).unwrap())
        });
        let [one, other] = askers.map(|asker| asker.join().unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(router.tables(Family::V4), [Table::Filter, Table::Mangle]);
    });
}

const ORDERS: usize = 500;
