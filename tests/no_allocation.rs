//! A packet of a known flow is carried without allocating, in either family. Counted by an allocator that knows when to count.

#[path = "../benches/bench_router/mod.rs"]
#[allow(dead_code, reason = "shared with benchmarks")]
mod bench_router;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::time::Duration;

use bench_router::floods::{too_big, untracked_icmp};
use bench_router::{Setup, client, one_of_servers, piece, router, server, source_of, tcp, udp};
use nflab::base::{Family, InterfaceId};
use nflab::wire::tcp::flags;

/// Every table has rules that known flows are held against, and one of each kind of verdict. One chain is so long that it has an index.
fn rules(family: Family) -> String {
    let network = |last: u8, length: u8| match family {
        Family::V4 => format!("203.0.113.{last}/{length}"),
        Family::V6 => format!("2001:db8:113::{last:x}/{}", 96 + length),
    };
    let (icmp, near) = match family {
        Family::V4 => ("icmp", "10.0.0.0/8"),
        Family::V6 => ("icmpv6", "fd00::/16"),
    };
    let mut hosts = String::new();
    for (last, length) in (1..=5).map(|last| (last, 32)).chain((1..=8).map(|nth| (16 * nth, 28))) {
        let _ = writeln!(hosts, "-A hosts -s {}", network(last, length));
    }
    format!(
        "\
*raw
-A PREROUTING -p {icmp} -j DROP
COMMIT
*mangle
-N marks
-A PREROUTING -i lan -j marks
-A marks -p tcp -j MARK --set-mark 7
-A marks -j RETURN
-A FORWARD -m mark --mark 9 -j DROP
-A POSTROUTING -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-N hosts
-A FORWARD -m state --state INVALID -j DROP
-A FORWARD -p tcp -m multiport --dports 21,25 -j DROP
-A FORWARD -j hosts
{hosts}\
-A hosts -d {}
-A hosts -p tcp --dport 7
-A hosts -p udp --sport 8:9
-A hosts -i lan -p tcp --syn
-A hosts -m mark --mark 10
-A hosts -m state --state UNTRACKED
-A hosts -o lan -d {near}
-A hosts -j RETURN
-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan -m state --state NEW -j ACCEPT
COMMIT
*security
-A FORWARD -m limit --limit 10/second -j ACCEPT
COMMIT
",
        network(6, 31)
    )
}

#[test]
fn udp_both_ways() {
    for family in Family::ALL {
        let mut setup = Setup::of(family, &rules(family), 1);
        let out = udp((client(family, 0), 4000), (server(family), 53), 100);
        let left = setup.forward(setup.lan, &out);
        let outside = source_of(&left);
        assert_eq!(outside.0, router(family), "masqueraded");
        let back = udp((server(family), 53), outside, 100);
        let pairs = vec![(setup.lan, out), (setup.wan, back)];
        carry(&mut setup, &pairs);
        assert_nothing_allocated(&mut setup, &pairs);
    }
}

/// Of one family, and of both in turn.
#[test]
fn packets_that_came_together() {
    let rules = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";
    for families in [&[Family::V4][..], &[Family::V6], &Family::ALL] {
        let mut setup = Setup::of(families[0], rules, 1);
        let mut batch = Vec::new();
        for &family in families {
            setup.restore(family, rules);
            let out = udp((client(family, 0), 4000), (server(family), 53), 100);
            let left = setup.forward(setup.lan, &out);
            let back = udp((server(family), 53), source_of(&left), 100);
            batch.extend([(setup.lan, out), (setup.wan, back)]);
        }
        batch.extend(batch.clone());
        let expected: usize = batch.iter().map(|(_, bytes)| bytes.len()).sum();
        for _ in 0..4 {
            setup.receive_batch(&batch);
        }
        let before = setup.workers[0].went_short();
        let mut left = 0;
        let count = counted(|| left = setup.receive_batch(&batch));
        assert_eq!((left, count), (expected, 0), "{families:?}");
        assert_eq!(setup.workers[0].went_short(), before + batch.len() as u64);
    }
}

/// Of a flow that is known, and of none.
#[test]
fn packets_by_one_of_two_gateways() {
    for family in Family::ALL {
        for rules in ["*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n", ""] {
            let mut setup = Setup::of(family, rules, 1);
            setup.have_two_gateways(family);
            let (client, server) = ((client(family, 0), 4000), (server(family), 53));
            let pairs = vec![
                (setup.lan, udp(client, server, 100)),
                (setup.wan, udp(server, client, 100)),
            ];
            for _ in 0..4 {
                carry(&mut setup, &pairs);
            }
            assert_nothing_allocated(&mut setup, &pairs);
        }
    }
}

/// Of a flow that is known, and of none, once the router was told what the ways take: theirs and those to others.
#[test]
fn packets_whose_path_was_told() {
    const STATE: &str = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";
    for family in Family::ALL {
        for rules in [STATE.to_owned() + &untracked_icmp(family), String::new()] {
            let mut setup = Setup::of(family, &rules, 1);
            let (lan, wan) = (setup.lan, setup.wan);
            for number in 0..20 {
                drop(setup.receive(lan, &too_big(family, number)));
            }
            assert_eq!(setup.router.path_mtus(setup.now).len(), 20);
            let (client, server) = ((client(family, 0), 4000), (one_of_servers(family, 7), 53));
            let pairs = vec![(lan, udp(client, server, 100)), (wan, udp(server, client, 100))];
            for _ in 0..4 {
                carry(&mut setup, &pairs);
            }
            assert_nothing_allocated(&mut setup, &pairs);
        }
    }
}

#[test]
fn tcp_both_ways() {
    for family in Family::ALL {
        let mut setup = Setup::of(family, &rules(family), 1);
        let (client, server) = ((client(family, 0), 4000), (server(family), 80));
        let (mut own, mut theirs) = (1000u32, 70_000u32);
        let left = setup.forward(setup.lan, &tcp(client, server, flags::SYN, (own, 0), 0));
        let outside = source_of(&left);
        assert_eq!(outside.0, router(family), "masqueraded");
        let answer = tcp(server, outside, flags::SYN | flags::ACK, (theirs, own + 1), 0);
        setup.forward(setup.wan, &answer);
        (own, theirs) = (own + 1, theirs + 1);
        setup.forward(setup.lan, &tcp(client, server, flags::ACK, (own, theirs), 0));
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((
                setup.lan,
                tcp(client, server, flags::ACK | flags::PSH, (own, theirs), 200),
            ));
            own += 200;
            rounds.push((
                setup.wan,
                tcp(server, outside, flags::ACK | flags::PSH, (theirs, own), 1400),
            ));
            theirs += 1400;
        }
        let (first, rest) = rounds.split_at(20);
        carry(&mut setup, first);
        assert_nothing_allocated(&mut setup, rest);
    }
}

#[test]
fn a_dropped_packet_allocates_nothing_either() {
    for family in Family::ALL {
        let mut setup = Setup::of(family, &rules(family), 1);
        let uninvited = [(setup.wan, udp((server(family), 53), (client(family, 0), 4000), 100))];
        let mut once = || drop(setup.receive(uninvited[0].0, &uninvited[0].1));
        // The flow that a dropped packet would have opened is made and given up: that is a new flow's cost, so what counts here is only that
        // nothing piles up.
        once();
        let first = counted(&mut once);
        for _ in 0..ROUNDS {
            once();
        }
        assert_eq!(counted(&mut once), first, "each such packet costs the same");
    }
}

/// What allocates at all does so as often in IPv6, but that the ends of a flow lie beside it: flows that begin, with NAT or not, what a rule refuses, and
/// what a helper reads.
#[test]
fn new_flows_allocate_as_often_in_either_family() {
    const STATE: &str = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";
    const MASQUERADE: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n";
    const REFUSED: &str = "*raw\n-A PREROUTING -j NOTRACK\nCOMMIT\n*filter\n-A FORWARD -j REJECT\nCOMMIT\n";
    const READ: &str = "*raw\n-A PREROUTING -p udp --dport 69 -j CT --helper tftp\nCOMMIT\n";
    for (what, rules, port, flows) in [
        ("tracked", STATE, 53, 1),
        ("masqueraded", MASQUERADE, 53, 1),
        ("refused", REFUSED, 53, 0),
        ("read by a helper", READ, 69, 1),
    ] {
        let [of_ipv4, of_ipv6] = Family::ALL.map(|family| {
            let mut setup = Setup::of(family, rules, 1);
            let lan = setup.lan;
            let mut packet = |number: u32| {
                let source = (client(family, number % 8), 1024 + (number / 8) as u16);
                let bytes = udp(source, (server(family), port), 100);
                // So slowly that all of them are told why.
                setup.now = setup.now + Duration::from_secs(1);
                counted(|| drop(setup.receive(lan, &bytes)))
            };
            for number in 0..ROUNDS as u32 {
                packet(number);
            }
            (ROUNDS as u32..2 * ROUNDS as u32).map(packet).sum::<u64>()
        });
        assert!(of_ipv4 > 0, "{what}");
        // The tables of flows grow where their keys fall, which differs by a few.
        let most = of_ipv4 + ROUNDS as u64 * flows + ROUNDS as u64 / 50;
        assert!(of_ipv6 <= most, "{what}: {of_ipv6} and {of_ipv4}");
    }
}

/// A datagram in pieces that are joined for tracking, and cut again: in IPv6 it has a fragment header then, which takes more room than it came with.
#[test]
fn pieces_allocate_hardly_more_in_ipv6() {
    let [of_ipv4, of_ipv6] = Family::ALL.map(|family| {
        let mut setup = Setup::of(family, &rules(family), 1);
        let lan = setup.lan;
        let mut datagram = |number: u32| {
            let whole = udp((client(family, 0), 4000), (server(family), 53), 2000);
            let pieces = [0..1200, 1200..2008].map(|data| piece(&whole, number, data));
            counted(|| pieces.iter().for_each(|piece| drop(setup.receive(lan, piece))))
        };
        for number in 0..20 {
            datagram(number);
        }
        datagram(20)
    });
    assert!(of_ipv4 > 0);
    assert!(of_ipv6 <= of_ipv4 + 1, "{of_ipv6} and {of_ipv4}");
}

#[test]
fn the_counter_counts() {
    assert_eq!(counted(|| drop(std::hint::black_box(vec![1u8; 100]))), 1);
    assert_eq!(counted(|| ()), 0);
}

const ROUNDS: usize = 500;

fn carry(setup: &mut Setup, packets: &[(InterfaceId, Vec<u8>)]) {
    for (interface, bytes) in packets {
        setup.forward(*interface, bytes);
    }
}

fn assert_nothing_allocated(setup: &mut Setup, packets: &[(InterfaceId, Vec<u8>)]) {
    let mut forwarded = 0;
    let count = counted(|| {
        for (interface, bytes) in packets {
            forwarded += setup.receive(*interface, bytes).1.len();
        }
    });
    assert_eq!(forwarded, packets.len(), "every packet has to get through");
    let from = FIRST.with(|first| first.borrow_mut().take());
    if let Some(from) = from {
        panic!("{count} allocations for {} packets; the first:\n{from}", packets.len());
    }
}

/// How many allocations of this thread `work` makes.
fn counted(work: impl FnOnce()) -> u64 {
    FIRST.with(|first| first.borrow_mut().take());
    COUNT.set(0);
    COUNTING.set(true);
    work();
    COUNTING.set(false);
    COUNT.get()
}

struct Counting;

thread_local! {
    static COUNTING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static FIRST: RefCell<Option<Backtrace>> = const { RefCell::new(None) };
}

fn count() {
    if !COUNTING.get() {
        return;
    }
    // Taking a backtrace allocates; that is not counted.
    COUNTING.set(false);
    if COUNT.get() == 0 {
        FIRST.with(|first| *first.borrow_mut() = Some(Backtrace::force_capture()));
    }
    COUNT.set(COUNT.get() + 1);
    COUNTING.set(true);
}

// SAFETY: every call goes on to the system's allocator, which keeps the contract; the counters are of the calling thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
