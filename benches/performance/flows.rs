//! Known flows, new flows, and what a flow takes of memory.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nflab::base::{Family, InterfaceId, Time};
use nflab::engine::Silent;
use nflab::wire::tcp::flags;

use crate::bench_router::{CLIENT, SERVER, Setup, client, one_of_servers, server, source_of, tcp, udp};
use crate::counted_memory::left_by;
use crate::peers;
use crate::report::{Bound, Line, figure, nanoseconds as shown, rate, time};
use crate::rulesets::{HOME, STATE};
use crate::sampling::{Samples, in_turn, nanoseconds, of_processor};

/// UDP, masqueraded UDP, TCP with windows, in batches, beside Open vSwitch.
pub(crate) fn known() -> Vec<Line> {
    let mut tracked = Known::udp(Family::V4, STATE);
    let mut masqueraded = Known::udp(Family::V4, HOME);
    let mut windows = Windows::new(Family::V4, STATE);
    let mut udp = || tracked.nanoseconds();
    let mut nat = || masqueraded.nanoseconds();
    let mut tcp = || windows.nanoseconds();
    let beside = "UDP, tracked";
    let works = [
        "known UDP flow, tracked, batches of 32, one core",
        "known UDP flow, masqueraded",
        "known TCP flow with windows, both directions",
    ];
    let (samples, other) = match peers::made("ovstest") {
        Ok(program) => {
            let mut ovs = || peers::open_vswitch(&program, 1);
            let mut samples = in_turn(ROUNDS, &mut [&mut udp, &mut nat, &mut tcp, &mut ovs]);
            let ovs = samples.pop();
            (samples, ovs.ok_or_else(String::new))
        }
        Err(why) => (in_turn(ROUNDS, &mut [&mut udp, &mut nat, &mut tcp]), Err(why)),
    };
    let [udp, nat, tcp] = <[Samples; 3]>::try_from(samples).expect("three are left");
    let own = |work: &str, samples: &Samples, bound: f64| {
        Line::ratio(
            work,
            time(samples),
            format!("{beside}: {}", shown(udp.least())),
            samples.least() / udp.least(),
            Some(Bound::AtMost(bound)),
        )
    };
    vec![
        match other {
            Ok(ovs) => Line::ratio(
                works[0],
                time(&udp),
                format!("Open vSwitch's conntrack {}", time(&ovs)),
                udp.least() / ovs.least(),
                Some(Bound::AtMost(0.5)),
            ),
            Err(why) => Line {
                nflab: time(&udp),
                ..Line::missing(works[0], &why)
            },
        },
        own(works[1], &nat, 1.3),
        own(works[2], &tcp, 1.5),
    ]
}

/// A known flow of UDP, and a batch of its packets.
pub(crate) struct Known {
    setup: Setup,
    batch: Vec<(InterfaceId, Vec<u8>)>,
}

impl Known {
    pub(crate) fn udp(family: Family, rules: &str) -> Self {
        let mut setup = Setup::of(family, rules, 1);
        let (lan, wan) = (setup.lan, setup.wan);
        let (client, server) = ((client(family, 0), 4000), (server(family), 53));
        let packet = udp(client, server, 32);
        let left = setup.forward(lan, &packet);
        setup.forward(wan, &udp(server, source_of(&left), 32));
        Self {
            setup,
            batch: vec![(lan, packet); BATCH],
        }
    }

    pub(crate) fn nanoseconds(&mut self) -> f64 {
        let Self { setup, batch } = self;
        nanoseconds(BATCH * AT_ONCE, || {
            for _ in 0..AT_ONCE {
                carry(setup, batch);
            }
        })
    }
}

/// A batch through the router.
fn carry(setup: &mut Setup, batch: &[(InterfaceId, Vec<u8>)]) {
    black_box(setup.receive_batch(black_box(batch)));
}

/// A connection whose numbers go on: every segment is new to the windows, and every second one acknowledges the other's.
pub(crate) struct Windows {
    setup: Setup,
    batch: Vec<(InterfaceId, Vec<u8>)>,
    /// Bytes before a segment.
    header: usize,
}

impl Windows {
    pub(crate) fn new(family: Family, rules: &str) -> Self {
        let mut setup = Setup::of(family, rules, 1);
        let (lan, wan) = (setup.lan, setup.wan);
        let (client, server) = ((client(family, 0), 4000), (server(family), 80));
        setup.forward(lan, &tcp(client, server, flags::SYN, (1000, 0), 0));
        setup.forward(wan, &tcp(server, client, flags::SYN | flags::ACK, (5000, 1001), 0));
        setup.forward(lan, &tcp(client, server, flags::ACK, (1001, 5001), 0));
        let batch = (0..BATCH as u32)
            .map(|n| match n % 2 {
                0 => (
                    lan,
                    tcp(client, server, flags::ACK, (1001 + n / 2 * DATA, 5001), DATA as usize),
                ),
                _ => (
                    wan,
                    tcp(server, client, flags::ACK, (5001, 1001 + (n / 2 + 1) * DATA), 0),
                ),
            })
            .collect();
        let header = match family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        Self { setup, batch, header }
    }

    pub(crate) fn nanoseconds(&mut self) -> f64 {
        let Self { setup, batch, header } = self;
        nanoseconds(BATCH * AT_ONCE, || {
            for _ in 0..AT_ONCE {
                carry(setup, batch);
                // What the client sends has its number at 4, what the server says its acknowledgement at 8.
                for (number, (_, bytes)) in batch.iter_mut().enumerate() {
                    go_on(&mut bytes[*header..], if number % 2 == 0 { 4 } else { 8 });
                }
            }
        })
    }
}

/// Adds a batch's data to a number of a segment, and keeps its checksum right.
fn go_on(bytes: &mut [u8], at: usize) {
    let word = |bytes: &[u8], at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let before = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let after = before.wrapping_add(BATCH as u32 / 2 * DATA);
    // RFC 1624: what goes out of the sum is added as its complement.
    let mut sum = (!word(bytes, 16) & 0xffff) + (!before >> 16) + (!before & 0xffff) + (after >> 16) + (after & 0xffff);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[at..at + 4].copy_from_slice(&after.to_be_bytes());
    bytes[16..18].copy_from_slice(&(!sum as u16).to_be_bytes());
}

/// As many packets as two workers carry at once, over what one does alone.
pub(crate) fn cores() -> Vec<Line> {
    let work = "two cores, known UDP flows";
    let mut setup = Setup::with_workers(STATE, 2);
    let lan = setup.lan;
    let flows: Vec<Vec<u8>> = (0..2).map(|n| udp((CLIENT, 4000 + n), (SERVER, 53), 32)).collect();
    for packet in &flows {
        setup.forward(lan, packet);
        let (client, port) = source_of(packet);
        setup.forward(setup.wan, &udp((SERVER, 53), (client, port), 32));
    }
    let mut together = |workers: usize| -> f64 { workers_carry(&mut setup, &flows[..workers]) };
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ones.push(together(1));
        twos.push(together(2));
    }
    let (one, two) = (Samples::of(ones), Samples::of(twos));
    let beside = peers::made("ovstest").map_or_else(
        |why| why,
        |program| {
            let samples = in_turn(
                3,
                &mut [&mut || peers::open_vswitch(&program, 1), &mut || {
                    peers::open_vswitch(&program, 2)
                }],
            );
            format!("Open vSwitch {} ×", figure(samples[0].least() / samples[1].least()))
        },
    );
    vec![Line::ratio(
        work,
        format!("{} beside {}", rate(&two, "M/s"), rate(&one, "M/s with one")),
        beside,
        two.most() / one.most(),
        Some(Bound::AtLeast(1.9)),
    )]
}

/// Millions a second of all of them, each with a flow of its own.
fn workers_carry(setup: &mut Setup, flows: &[Vec<u8>]) -> f64 {
    let (router, now, lan) = (&setup.router, setup.now, setup.lan);
    let done = AtomicBool::new(false);
    let ready = Barrier::new(flows.len() + 1);
    let (mut packets, mut took) = (0, Duration::ZERO);
    std::thread::scope(|scope| {
        let carrying: Vec<_> = setup
            .workers
            .iter_mut()
            .zip(flows)
            .map(|(worker, packet)| {
                let (done, ready) = (&done, &ready);
                scope.spawn(move || {
                    let batch = [(lan, &packet[..]); BATCH];
                    let mut carried = 0u64;
                    ready.wait();
                    while !done.load(Ordering::Relaxed) {
                        for _ in 0..AT_ONCE {
                            router.receive_batch(worker, now, black_box(&batch), &mut Silent, |report, output| {
                                black_box((report.state, output.len()));
                            });
                        }
                        carried += (AT_ONCE * BATCH) as u64;
                    }
                    carried
                })
            })
            .collect();
        ready.wait();
        let start = Instant::now();
        std::thread::sleep(Duration::from_millis(300));
        done.store(true, Ordering::Relaxed);
        packets = carrying.into_iter().map(|it| it.join().expect("a worker")).sum::<u64>();
        took = start.elapsed();
    });
    packets as f64 / took.as_secs_f64() / 1e6
}

/// Flows that begin, in a table that has held as many before.
pub(crate) fn new() -> Vec<Line> {
    let [plain, mut masqueraded] = [STATE, HOME].map(|rules| New::udp(Family::V4, rules));
    let plain = std::cell::RefCell::new(plain);
    let samples = in_turn(
        ROUNDS,
        &mut [
            &mut || plain.borrow_mut().millions(BATCH),
            &mut || masqueraded.millions(BATCH),
            &mut || plain.borrow_mut().millions(1),
        ],
    );
    let line = |name: &str, samples: &Samples, beside, bound| {
        Line::absolute(
            &format!("new flows, {name}, batches of 32, one core, warm"),
            rate(samples, "M/s"),
            beside,
            (samples.most(), "M/s"),
            bound,
        )
    };
    vec![
        line(
            "UDP",
            &samples[0],
            rate(&samples[2], "M/s one by one"),
            Some(Bound::AtLeast(3.0)),
        ),
        line("UDP, masqueraded", &samples[1], String::new(), None),
    ]
}

/// Packets that open a flow each, of another client and another port each; the table has held as many before.
pub(crate) struct New {
    setup: Setup,
    packets: Vec<(InterfaceId, Vec<u8>)>,
}

impl New {
    pub(crate) fn udp(family: Family, rules: &str) -> Self {
        let setup = Setup::of(family, rules, 1);
        let packet = |number: u32| {
            let source = (client(family, number % 4096), 1024 + (number / 4096) as u16);
            (setup.lan, udp(source, (server(family), 53), 32))
        };
        let packets = (0..NEW).map(packet).collect();
        let mut new = Self { setup, packets };
        new.millions(BATCH);
        new
    }

    /// A second; so many packets come together.
    pub(crate) fn millions(&mut self, at_once: usize) -> f64 {
        let Self { setup, packets } = self;
        let start = of_processor();
        match at_once {
            1 => {
                for (lan, packet) in packets.iter() {
                    black_box(setup.receive(*lan, black_box(packet)).0.state);
                }
            }
            _ => packets.chunks(at_once).for_each(|batch| carry(setup, batch)),
        }
        let took = of_processor() - start;
        setup.router.flows().flush();
        packets.len() as f64 / took.as_secs_f64() / 1e6
    }
}

/// What the allocator has given out for flows and not taken back, a flow.
pub(crate) fn memory() -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, rules, bound) in [("", STATE, 160.0), (", masqueraded", HOME, 200.0)] {
        for (count, many) in [(10, "ten"), (1_000_000, "a million")] {
            let each = memory_of_a_flow(Family::V4, rules, count);
            lines.push(Line::absolute(
                &format!("memory of a flow{name}, at {many}"),
                format!("{} B", figure(each)),
                "all that is allocated".to_owned(),
                (each, "B"),
                Some(Bound::AtMost(bound)),
            ));
        }
    }
    lines
}

/// Bytes, of so many.
pub(crate) fn memory_of_a_flow(family: Family, rules: &str, count: u32) -> f64 {
    let mut setup = Setup::of(family, rules, 1);
    let change = setup.router.configure(|config| {
        config.conntrack.max = 2_000_000;
        Ok::<(), ()>(())
    });
    change.expect("nothing is refused");
    let lan = setup.lan;
    let mut flow = |number: u32| {
        // A thousand flows to each of a thousand servers: so NAT finds a port for each.
        let source = (client(family, number % 64), 1024 + (number % 1000) as u16);
        setup.forward(lan, &udp(source, (one_of_servers(family, number / 1000), 53), 32));
    };
    // What the worker keeps for any packet is there before: for the second one it keeps what is left of the first.
    flow(2_000_000);
    flow(2_000_000);
    let bytes = left_by(|| (0..count).for_each(&mut flow));
    bytes as f64 / f64::from(count)
}

/// What a live router's tick takes while a million flows lie in its table: none of them is over, and a tenth are, whose places are given back.
pub(crate) fn ticks() -> Vec<Line> {
    const FLOWS: u32 = 1_000_000;
    let mut setup = Setup::new(STATE);
    let change = setup.router.configure(|config| {
        config.conntrack.max = 2 * FLOWS;
        Ok::<(), ()>(())
    });
    change.expect("nothing is refused");
    let (lan, start) = (setup.lan, setup.now);
    // A flow that nobody answered lives for half a minute: the first tenth is over before the others.
    for number in 0..FLOWS {
        if number == FLOWS / 10 {
            setup.now = start + Duration::from_secs(20);
        }
        let source = (client(Family::V4, number % 64), 1024 + (number % 1000) as u16);
        setup.forward(lan, &udp(source, (one_of_servers(Family::V4, number / 1000), 53), 32));
    }
    // As many as go round the table, and more.
    let tick = |now: Time| {
        let each = (0..TICKS).map(|_| {
            let begun = of_processor();
            setup.router.flows().sweep_part(now);
            (of_processor() - begun).as_nanos() as f64
        });
        let samples = Samples::of(each.collect());
        (samples, setup.router.flows().count())
    };
    let (living, count) = tick(start + Duration::from_secs(25));
    assert_eq!(count as u32, FLOWS);
    let (dying, count) = tick(start + Duration::from_secs(35));
    assert_eq!(count as u32, FLOWS - FLOWS / 10);
    [("all alive", living), ("a tenth over", dying)]
        .map(|(state, samples)| {
            let mean = samples.mean() / 1e6;
            Line::absolute(
                &format!("a live router's tick with a million flows, {state}"),
                format!("{} at most, median {}", shown(samples.most()), shown(samples.median())),
                "the processor's time, ten ticks a second".to_owned(),
                (mean, "ms"),
                Some(Bound::AtMost(1.0)),
            )
        })
        .into()
}

const TICKS: usize = 1200;
pub(crate) const ROUNDS: usize = 7;
pub(crate) const BATCH: usize = 32;
/// Batches between two looks at the clock.
const AT_ONCE: usize = 100;
/// Bytes of a segment of data.
const DATA: u32 = 32;
/// New flows at once: a quarter of what the kernel's table takes.
const NEW: u32 = 65_536;
