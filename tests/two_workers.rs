//! Packets on two threads while tables are replaced: what was counted is there at the end, to the packet.

#[path = "../benches/bench_router/mod.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod bench_router;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, yield_now};

use bench_router::{CLIENT, SERVER, Setup, udp};
use nflab::base::{Family, InterfaceId, Time};
use nflab::cli::RouterTables;
use nflab::engine::{Fate, Router, Silent, Worker};
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
fn of_worker(number: usize) -> Vec<u8> {
    let client = Ipv4Addr::from_bits(CLIENT.to_bits() + 256 * number as u32);
    udp((client, 4000), (SERVER, 53), 32)
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
fn meanwhile(setup: &mut Setup, act: impl FnOnce(&Router, Time)) -> u64 {
    let mut workers = std::mem::take(&mut setup.workers);
    let (router, at) = (&setup.router, (setup.now, setup.lan));
    let stop = &AtomicBool::new(false);
    scope(|threads| {
        let carriers = workers.iter_mut().enumerate();
        let carriers: Vec<_> = carriers
            .map(|(number, worker)| threads.spawn(move || carry(router, worker, at, &of_worker(number), stop)))
            .collect();
        act(router, setup.now);
        stop.store(true, Ordering::Relaxed);
        carriers.into_iter().map(|carrier| carrier.join().unwrap()).sum()
    })
}

fn packets(carried: u64) -> Counters {
    Counters {
        packets: carried,
        bytes: carried * of_worker(0).len() as u64,
    }
}

/// How many packets each rule of a table counted, in its order.
fn counted(router: &Router, table: Table) -> Vec<Counters> {
    let counters: HashMap<CountId, Counters> = router.counters(Family::V4, table);
    router
        .table(Family::V4, table)
        .rules()
        .map(|rule| counters[&rule.id])
        .collect()
}

#[test]
fn no_count_is_lost_over_ten_thousand_replacements() {
    let mut setup = Setup::with_workers(RULES, 2);
    let mut backwards = 0;
    let carried = meanwhile(&mut setup, |router, now| {
        let mut last = 0;
        for number in 0..REPLACEMENTS {
            let table = [Table::Filter, Table::Mangle][number % 2];
            router.replace(router.table(Family::V4, table), now).unwrap();
            let counted = counted(router, Table::Filter)[2].packets;
            backwards += u32::from(counted < last);
            last = counted;
            if number % 16 == 0 {
                yield_now();
            }
        }
    });
    assert!(carried > REPLACEMENTS as u64, "packets pass all the while: {carried}");
    let all = packets(carried);
    assert_eq!(counted(&setup.router, Table::Mangle), [all]);
    assert_eq!(counted(&setup.router, Table::Filter), [Counters::default(), all, all]);
    assert_eq!(backwards, 0, "a counter never goes back");
}

/// `iptables -L -Z`, again and again: what was shown and what is left is what has passed.
#[test]
fn no_count_is_lost_between_showing_and_zeroing() {
    let mut setup = Setup::with_workers(RULES, 2);
    let mut shown = Counters::default();
    let carried = meanwhile(&mut setup, |router, now| {
        for number in 0..ZEROINGS {
            let mut tables = RouterTables::new(router, now);
            let mut session = Session::open(&mut tables, Family::V4, Table::Filter);
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
    let left = counted(&setup.router, Table::Filter)[1];
    shown.packets += left.packets;
    shown.bytes += left.bytes;
    assert_eq!(shown, packets(carried));
}
