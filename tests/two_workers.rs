//! Packets on two threads: while tables are replaced what was counted is there at the end, to the packet; and flows that begin on one worker are
//! answered on the other.

#[path = "../benches/bench_router/mod.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod bench_router;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, yield_now};

use bench_router::{Setup, client, server, source_of, udp};
use nflab::base::{Family, InterfaceId, Time};
use nflab::conntrack::{CtState, DropReason};
use nflab::engine::{Fate, Reason, Router, Silent, Worker};
use nflab::lab::RouterTables;
use nflab::packet::Packet;
use nflab::rule::{CountId, Counters, Table};
use nflab::text::Session;

/// Every packet meets one rule of each table; both flows of a worker are known after their first.
const RULES: &str = "\
*mangle
-A FORWARD -i lan
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m state --state INVALID -j DROP
-A FORWARD -i lan
-A FORWARD -i lan -j ACCEPT
COMMIT
";

const REPLACEMENTS: usize = 10_000;
const ZEROINGS: usize = 2000;

/// A packet of a worker's own flow.
fn of_worker(family: Family, number: usize) -> Vec<u8> {
    udp((client(family, number as u32), 4000), (server(family), 53), 32)
}

/// Carries packets until it is told to stop, and says how many got through.
fn carry(
    router: &Router,
    worker: &mut Worker,
    (now, lan): (Time, InterfaceId),
    packet: &[u8],
    stop: &AtomicBool,
) -> u64 {
    let mut carried = 0;
    while !stop.load(Ordering::Relaxed) {
        let report = router.receive(worker, now, lan, packet, &mut Silent);
        assert_eq!(report.fate, Fate::Forwarded);
        carried += 1;
    }
    carried
}

/// Carries packets on all workers while something else is done, and says how many passed.
fn meanwhile(family: Family, setup: &mut Setup, act: impl FnOnce(&Router, Time)) -> u64 {
    let mut workers = std::mem::take(&mut setup.workers);
    let (router, at) = (&setup.router, (setup.now, setup.lan));
    let stop = &AtomicBool::new(false);
    scope(|threads| {
        let carriers = workers.iter_mut().enumerate();
        let carriers: Vec<_> = carriers
            .map(|(number, worker)| threads.spawn(move || carry(router, worker, at, &of_worker(family, number), stop)))
            .collect();
        act(router, setup.now);
        stop.store(true, Ordering::Relaxed);
        carriers.into_iter().map(|carrier| carrier.join().unwrap()).sum()
    })
}

fn packets(family: Family, carried: u64) -> Counters {
    Counters {
        packets: carried,
        bytes: carried * of_worker(family, 0).len() as u64,
    }
}

/// How many packets each rule of a table counted, in its order.
fn counted(router: &Router, family: Family, table: Table) -> Vec<Counters> {
    let counters: HashMap<CountId, Counters> = router.counters(family, table);
    router
        .table(family, table)
        .rules()
        .map(|rule| counters[&rule.id])
        .collect()
}

#[test]
fn no_count_is_lost_over_ten_thousand_replacements() {
    Family::ALL.into_iter().for_each(replace_ten_thousand_times);
}

fn replace_ten_thousand_times(family: Family) {
    let mut setup = Setup::of(family, RULES, 2);
    let mut backwards = 0;
    let carried = meanwhile(family, &mut setup, |router, now| {
        let mut last = 0;
        for number in 0..REPLACEMENTS {
            let table = [Table::Filter, Table::Mangle][number % 2];
            router.replace(router.table(family, table), now).unwrap();
            let counted = counted(router, family, Table::Filter)[2].packets;
            backwards += u32::from(counted < last);
            last = counted;
            if number % 16 == 0 {
                yield_now();
            }
        }
    });
    assert!(carried > REPLACEMENTS as u64, "packets pass all the while: {carried}");
    let all = packets(family, carried);
    assert_eq!(counted(&setup.router, family, Table::Mangle), [all]);
    assert_eq!(
        counted(&setup.router, family, Table::Filter),
        [Counters::default(), all, all]
    );
    assert_eq!(backwards, 0, "a counter never goes back");
}

/// `iptables -L -Z`, again and again: what was shown and what is left is what has passed.
#[test]
fn no_count_is_lost_between_showing_and_zeroing() {
    Family::ALL.into_iter().for_each(show_and_zero);
}

fn show_and_zero(family: Family) {
    let mut setup = Setup::of(family, RULES, 2);
    let mut shown = Counters::default();
    let carried = meanwhile(family, &mut setup, |router, now| {
        for number in 0..ZEROINGS {
            let mut tables = RouterTables::new(router, now);
            let mut session = Session::open(&mut tables, family, Table::Filter);
            let rule = Arc::clone(session.chain("FORWARD").unwrap().rules().nth(1).unwrap());
            let counters = session.counters(&rule);
            shown.packets += counters.packets;
            shown.bytes += counters.bytes;
            session.zero("FORWARD").unwrap();
            session.commit(&mut tables).unwrap();
            if number % 16 == 0 {
                yield_now();
            }
        }
    });
    let left = counted(&setup.router, family, Table::Filter)[1];
    shown.packets += left.packets;
    shown.bytes += left.bytes;
    assert_eq!(shown, packets(family, carried));
}

/// Every client sends from the same port, so that NAT has to choose for most; each worker's answers come to the other one.
#[test]
fn flows_under_nat_are_answered_on_the_other_worker() {
    Family::ALL.into_iter().for_each(answer_on_the_other_worker);
}

fn answer_on_the_other_worker(family: Family) {
    let mut setup = Setup::of(family, MASQUERADE, 2);
    let mut workers = std::mem::take(&mut setup.workers);
    let (router, now, lan, wan) = (&setup.router, setup.now, setup.lan, setup.wan);
    let opened: Vec<Vec<Opened>> = scope(|threads| {
        let openers = workers.iter_mut().enumerate().map(|(number, worker)| {
            threads.spawn(move || {
                (0..FLOWS)
                    .filter_map(|at| open(router, worker, (now, lan), client(family, 2 * at + number as u32)))
                    .collect()
            })
        });
        let openers: Vec<_> = openers.collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    let outside: HashSet<(IpAddr, u16)> = opened.iter().flatten().map(|(_, outside)| *outside).collect();
    let count = opened.iter().map(Vec::len).sum::<usize>();
    assert_eq!(outside.len(), count, "each flow has a port of its own");
    assert_eq!(router.flows().count(), count);
    assert!(
        count > FLOWS as usize,
        "two that chose the same port at the same moment are rare: {count}"
    );
    scope(|threads| {
        for (worker, answered) in workers.iter_mut().zip(opened.iter().rev()) {
            threads.spawn(move || {
                for (client, outside) in answered {
                    let answer = udp((server(family), 53), *outside, 32);
                    let report = router.receive(worker, now, wan, &answer, &mut Silent);
                    assert_eq!(
                        (report.fate, report.state),
                        (Fate::Forwarded, Some(CtState::Established))
                    );
                    assert_eq!(destination_of(&worker.output()[0].bytes), *client);
                }
            });
        }
        // And somebody looks at them meanwhile.
        threads.spawn(move || assert_eq!(router.flows().flows(now).len(), count));
    });
}

/// A client, and what it looks like outside.
type Opened = (IpAddr, (IpAddr, u16));

/// A client's first packet; `None` where another flow had the port that was chosen just before it got out.
fn open(router: &Router, worker: &mut Worker, (now, lan): (Time, InterfaceId), client: IpAddr) -> Option<Opened> {
    let packet = udp((client, 4000), (server(Family::of(client)), 53), 32);
    let report = router.receive(worker, now, lan, &packet, &mut Silent);
    match report.fate {
        Fate::Forwarded => Some((client, source_of(&worker.output()[0].bytes))),
        Fate::Stopped(Reason::Tracking(DropReason::Clash)) => None,
        other => panic!("{other:?}"),
    }
}

fn destination_of(bytes: &[u8]) -> IpAddr {
    Packet::parse(bytes.to_vec()).unwrap().destination()
}

const MASQUERADE: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n";

/// Of each worker.
const FLOWS: u32 = 1000;
