//! Packets on two threads: while tables are replaced what was counted is there at the end, to the packet; and flows that begin on one worker are
//! answered on the other. What one hears of a path holds for the other.

#[path = "../benches/bench_router/mod.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod bench_router;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, yield_now};

use bench_router::{Setup, client, server, source_of, udp};
use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder};
use nflab::base::{Family, InterfaceId, Time};
use nflab::conntrack::{CtState, DropReason};
use nflab::engine::{Event, Fate, Observer, Reason, Router, Silent, Worker};
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

/// Destinations behind the router, of which something is heard.
fn behind(family: Family, number: usize) -> IpAddr {
    match server(family) {
        IpAddr::V4(first) => std::net::Ipv4Addr::from_bits(first.to_bits() + number as u32).into(),
        IpAddr::V6(first) => std::net::Ipv6Addr::from_bits(first.to_bits() + number as u128).into(),
    }
}

/// Somebody on the way to a destination says that it takes next to nothing: of IPv4 so little that it holds for what is forwarded, too.
fn too_big(to: IpAddr) -> Vec<u8> {
    let mut quoted = Vec::new();
    let mut bytes = Vec::new();
    match (bench_router::router(Family::of(to)), to) {
        (IpAddr::V4(own), IpAddr::V4(to)) => {
            let answer = PacketBuilder::ipv4(own.octets(), to.octets(), 64).icmpv4_echo_reply(1, 2);
            answer.write(&mut quoted, &[0; 8]).unwrap();
            let needed = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 400 };
            PacketBuilder::ipv4([192, 0, 2, 9], own.octets(), 64)
                .icmpv4(Icmpv4Type::DestinationUnreachable(needed))
                .write(&mut bytes, &quoted)
                .unwrap();
        }
        (IpAddr::V6(own), IpAddr::V6(to)) => {
            let answer = PacketBuilder::ipv6(own.octets(), to.octets(), 64).icmpv6_echo_reply(1, 2);
            answer.write(&mut quoted, &[0; 8]).unwrap();
            PacketBuilder::ipv6(to.octets(), own.octets(), 64)
                .icmpv6(Icmpv6Type::PacketTooBig { mtu: 1300 })
                .write(&mut bytes, &quoted)
                .unwrap();
        }
        _ => unreachable!("a router has an address of either family"),
    }
    bytes
}

/// What an observer is told that the router heard.
#[derive(Default)]
struct Hearing(Vec<(IpAddr, u32)>);

impl Observer for Hearing {
    const WATCHING: bool = true;

    fn see(&mut self, event: Event<'_>) {
        if let Event::PathHeard { path } = event {
            self.0.push((path.to, path.mtu.unwrap()));
        }
    }
}

#[test]
fn what_one_worker_hears_of_a_path_holds_for_the_other_and_for_no_other_path() {
    for family in Family::ALL {
        let mut setup = Setup::of(family, RULES, 2);
        let mut workers = std::mem::take(&mut setup.workers);
        let [hears, carries] = &mut workers[..] else { panic!() };
        let (router, now, lan, wan) = (&setup.router, setup.now, setup.lan, setup.wan);
        let long = [0, 1].map(|number| udp((client(family, 0), 4000), (behind(family, number), 53), 1400));
        let mut send = |number: usize| {
            let before = carries.went_short();
            let report = router.receive(carries, now, lan, &long[number], &mut Silent);
            let sizes: Vec<usize> = carries.output().iter().map(|it| it.bytes.len()).collect();
            (report.fate, sizes, carries.went_short() - before)
        };
        let whole = long[0].len();
        for number in [0, 1] {
            for _ in 0..4 {
                send(number);
            }
            assert_eq!(send(number), (Fate::Forwarded, vec![whole], 1), "{family}");
        }
        let mut hearing = Hearing::default();
        router.receive(hears, now, wan, &too_big(behind(family, 0)), &mut hearing);
        let mtu = router.path_mtus(now)[0].mtu.unwrap();
        assert_eq!(hearing.0, [(behind(family, 0), mtu)], "{family}");
        // The other path is what it was, and nobody has to look for it again.
        assert_eq!(send(1), (Fate::Forwarded, vec![whole], 1), "{family}");
        let (fate, sizes, _) = send(0);
        assert!(matches!(fate, Fate::Stopped(_)), "{family} {fate:?}");
        let told = match family {
            Family::V4 => 576,
            Family::V6 => 1280,
        };
        assert_eq!(sizes, [told], "the sender hears of it");
        router.forget_path_mtus(family);
        assert_eq!(send(0), (Fate::Forwarded, vec![whole], 0), "{family}");
    }
}

/// Both hear of paths at the same time, while a third carries what goes there: each says what itself heard, and all of it holds.
#[test]
fn workers_that_hear_of_paths_together_lose_nothing() {
    const PATHS: usize = 300;
    for family in Family::ALL {
        let mut setup = Setup::of(family, RULES, 3);
        let mut workers = std::mem::take(&mut setup.workers);
        let [one, other, carries] = &mut workers[..] else {
            panic!()
        };
        let (router, now, lan, wan) = (&setup.router, setup.now, setup.lan, setup.wan);
        let long = |number| udp((client(family, 0), 4000), (behind(family, number), 53), 1400);
        scope(|threads| {
            for (first, worker) in [one, other].into_iter().enumerate() {
                threads.spawn(move || {
                    for number in (first..PATHS).step_by(2) {
                        let mut hearing = Hearing::default();
                        router.receive(worker, now, wan, &too_big(behind(family, number)), &mut hearing);
                        let heard: Vec<IpAddr> = hearing.0.iter().map(|(to, _)| *to).collect();
                        assert_eq!(heard, [behind(family, number)], "{family}");
                    }
                });
            }
            for round in 0..20 {
                for number in 0..PATHS {
                    router.receive(carries, now, lan, &long((number + round) % PATHS), &mut Silent);
                }
            }
        });
        assert_eq!(router.path_mtus(now).len(), PATHS, "{family}");
        for number in 0..PATHS {
            router.receive(carries, now, lan, &long(number), &mut Silent);
            let longest = carries.output().iter().map(|it| it.bytes.len()).max();
            assert!(longest < Some(1300), "{family}: {number} {longest:?}");
        }
    }
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
