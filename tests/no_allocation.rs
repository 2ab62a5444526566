//! A packet of a known flow is carried without allocating. Counted by an allocator that knows when to count.

#[path = "../benches/bench_router/mod.rs"]
mod bench_router;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};

use bench_router::{CLIENT, ROUTER, SERVER, Setup, source_of, tcp, udp};
use nflab::base::InterfaceId;
use nflab::wire::tcp::flags;

/// Every table has rules that known flows are held against, and one of each kind of verdict. One chain is so long that it has an index.
const RULES: &str = "\
*raw
-A PREROUTING -p icmp -j DROP
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
-A hosts -s 203.0.113.1
-A hosts -s 203.0.113.2
-A hosts -s 203.0.113.3
-A hosts -s 203.0.113.4
-A hosts -s 203.0.113.5
-A hosts -s 203.0.113.16/28
-A hosts -s 203.0.113.32/28
-A hosts -s 203.0.113.48/28
-A hosts -s 203.0.113.64/28
-A hosts -s 203.0.113.80/28
-A hosts -s 203.0.113.96/28
-A hosts -s 203.0.113.112/28
-A hosts -s 203.0.113.128/28
-A hosts -d 203.0.113.6/31
-A hosts -p tcp --dport 7
-A hosts -p udp --sport 8:9
-A hosts -i lan -p tcp --syn
-A hosts -m mark --mark 10
-A hosts -m state --state UNTRACKED
-A hosts -o lan -d 10.0.0.0/8
-A hosts -j RETURN
-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan -m state --state NEW -j ACCEPT
COMMIT
*security
-A FORWARD -m limit --limit 10/second -j ACCEPT
COMMIT
";

#[test]
fn udp_both_ways() {
    let mut setup = Setup::new(RULES);
    let out = udp((CLIENT, 4000), (SERVER, 53), 100);
    let left = setup.forward(setup.lan, &out);
    let outside = source_of(&left);
    assert_eq!(outside.0, ROUTER, "masqueraded");
    let back = udp((SERVER, 53), outside, 100);
    let pairs = vec![(setup.lan, out), (setup.wan, back)];
    carry(&mut setup, &pairs);
    assert_nothing_allocated(&mut setup, &pairs);
}

#[test]
fn packets_that_came_together() {
    let mut setup = Setup::new("*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n");
    let out = udp((CLIENT, 4000), (SERVER, 53), 100);
    let left = setup.forward(setup.lan, &out);
    let back = udp((SERVER, 53), source_of(&left), 100);
    let mut batch = vec![(setup.lan, out), (setup.wan, back)];
    batch.extend(batch.clone());
    let expected: usize = batch.iter().map(|(_, bytes)| bytes.len()).sum();
    for _ in 0..4 {
        setup.receive_batch(&batch);
    }
    let before = setup.workers[0].went_short();
    let mut left = 0;
    let count = counted(|| left = setup.receive_batch(&batch));
    assert_eq!((left, count), (expected, 0));
    assert_eq!(setup.workers[0].went_short(), before + batch.len() as u64);
}

#[test]
fn tcp_both_ways() {
    let mut setup = Setup::new(RULES);
    let (client, server) = ((CLIENT, 4000), (SERVER, 80));
    let (mut own, mut theirs) = (1000u32, 70_000u32);
    let left = setup.forward(setup.lan, &tcp(client, server, flags::SYN, (own, 0), 0));
    let outside = source_of(&left);
    assert_eq!(outside.0, ROUTER, "masqueraded");
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

#[test]
fn a_dropped_packet_allocates_nothing_either() {
    let mut setup = Setup::new(RULES);
    let uninvited = [(setup.wan, udp((SERVER, 53), (CLIENT, 4000), 100))];
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
