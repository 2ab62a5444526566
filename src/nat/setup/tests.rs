//! The rules of choosing one by one, each seen on Linux 6.18. What holds for every draw is in `nat::tests`.

use std::net::IpAddr;
use std::time::Duration;

use super::*;
use crate::base::{Random, protocol};
use crate::conntrack::ExpectationNat;
use crate::conntrack::testing::{A, B, Bench, address, announced, packet, tcp, udp};
use crate::wire::tcp::flags::{ACK, FIN, RST, SYN};

const OUTSIDE: [u8; 4] = [192, 0, 2, 1];

fn ports(low: u16, high: u16) -> NatRange {
    NatRange {
        addresses: Some(AddressRange::single(address(OUTSIDE))),
        ports: Some(PortRange { low, high }),
        ..NatRange::default()
    }
}

/// A flow that its packet has just opened.
fn opened(bench: &Bench, mut packet: Packet) -> Arc<Flow> {
    bench.track(&mut packet).1.flow.unwrap()
}

/// As if a flow were mapped to this port outside: it is in the table, and its answers come to there.
fn take(bench: &Bench, from: u16, outside: u16) -> Arc<Flow> {
    let mut packet = udp((A, from), (B, 53));
    let (_, mut tracking) = bench.track(&mut packet);
    let flow = Arc::clone(tracking.flow.as_ref().unwrap());
    {
        let mut reply = flow.reply();
        (reply.destination.address, reply.destination.id) = (address(OUTSIDE), outside);
        flow.set_reply(&mut flow.lock(), &reply);
    }
    bench.table.confirm(&bench.context(), &packet, &mut tracking).unwrap();
    flow
}

fn choice<T>(
    bench: &Bench,
    flow: &Arc<Flow>,
    range: &NatRange,
    manip: Manip,
    ask: impl FnOnce(&mut Choice<'_, '_>) -> T,
) -> T {
    let mut random = Random::new(1);
    let mut cx = NatContext {
        now: bench.now,
        random: &mut random,
    };
    ask(&mut Choice {
        table: &bench.table,
        cx: &mut cx,
        flow,
        range,
        manip,
        known: Hashes::default(),
        looked_up: reply_of(bench, flow),
        ahead: [None; AHEAD],
    })
}

fn reply_of(bench: &Bench, flow: &Flow) -> (Tuple, u64) {
    let reply = flow.reply();
    (reply, bench.table.hash(&reply))
}

fn mapped(flow: &Flow, port: u16) -> Tuple {
    let mut tuple = flow.original();
    (tuple.source.address, tuple.source.id) = (address(OUTSIDE), port);
    tuple
}

#[test]
fn a_source_is_in_the_range_by_address_and_port() {
    let bench = Bench::new();
    let (datagram, esp) = (
        opened(&bench, udp((A, 7), (B, 53))),
        opened(&bench, packet(50, A, B, b"x")),
    );
    let range = ports(1000, 1003);
    for (flow, port, expected) in [
        (&datagram, 1000, true),
        (&datagram, 1003, true),
        (&datagram, 999, false),
        (&datagram, 1004, false),
        // A protocol without numbers is in any range of them.
        (&esp, 0, true),
    ] {
        let tuple = mapped(flow, port);
        let is_in = choice(&bench, flow, &range, Manip::Source, |it| it.source_is_in_range(&tuple));
        assert_eq!(is_in, expected, "{port}");
        assert!(!choice(&bench, flow, &range, Manip::Source, |it| it
            .source_is_in_range(&flow.original())));
    }
}

#[test]
fn a_port_is_kept_where_it_may_be() {
    let bench = Bench::new();
    take(&bench, 7, 1002);
    let flow = opened(&bench, udp((A, 8), (B, 53)));
    let shifted = NatRange {
        port_base: Some(80),
        ..ports(1000, 1010)
    };
    for (range, port, expected) in [
        (ports(1000, 1010), 1001, true),
        (ports(1000, 1010), 999, false),
        (ports(1000, 1010), 1002, false),
        // One port alone is kept though it is taken: the packet is dropped later.
        (ports(1002, 1002), 1002, true),
        (ports(1003, 1003), 1002, false),
        // A range with a base port always says itself.
        (shifted, 1001, false),
        (
            NatRange {
                ports: None,
                ..ports(0, 0)
            },
            1001,
            true,
        ),
        (
            NatRange {
                ports: None,
                ..ports(0, 0)
            },
            1002,
            false,
        ),
    ] {
        let tuple = mapped(&flow, port);
        let keeps = choice(&bench, &flow, &range, Manip::Source, |it| it.may_keep_port(&tuple));
        assert_eq!(keeps, expected, "{range:?} {port}");
    }
}

/// Where the search begins, how long it goes on, and how often it draws: by chance for sources, at the low end for destinations.
#[test]
fn ports_are_tried_in_rounds() {
    let bench = Bench::new();
    for port in 0..1000 {
        take(&bench, port, 2000 + port);
    }
    let flow = opened(&bench, udp((A, 5000), (B, 53)));
    let draws = |range: &NatRange, manip, tuple: Tuple| {
        let mut random = Random::new(7);
        let mut chosen = tuple;
        let mut cx = NatContext {
            now: bench.now,
            random: &mut random,
        };
        let mut choice = Choice {
            table: &bench.table,
            cx: &mut cx,
            flow: &flow,
            range,
            manip,
            known: Hashes::default(),
            looked_up: reply_of(&bench, &flow),
            ahead: [None; AHEAD],
        };
        choice.choose_port(&mut chosen);
        let next = random.next_u64();
        let mut again = Random::new(7);
        let drawn = (0..20).find(|_| again.next_u64() == next).unwrap();
        (drawn, chosen)
    };
    for (low, high, expected) in [
        // All of a small range is tried in one round; a large one in rounds of 128, 64, 32, 16 and 8.
        (2000, 2000, 1),
        (2000, 2019, 1),
        (2000, 2127, 1),
        (2000, 2128, 5),
        (2000, 2999, 5),
    ] {
        let (drawn, _) = draws(&ports(low, high), Manip::Source, mapped(&flow, 9));
        assert_eq!(drawn, expected, "{low} {high}");
    }
    // A destination: the flow's answers would come from there, and others hold all of it but one port.
    let bench_tuple = |id| {
        let mut tuple = mapped(&flow, 2005);
        tuple.destination.id = id;
        tuple
    };
    let (drawn, chosen) = draws(&ports(50, 60), Manip::Destination, bench_tuple(80));
    assert_eq!((drawn, chosen.destination.id), (0, 50), "the first is free");
    let (drawn, chosen) = draws(&ports(53, 60), Manip::Destination, bench_tuple(80));
    assert_eq!((drawn, chosen.destination.id), (0, 54), "the first is taken");
    let (drawn, chosen) = draws(&ports(53, 53), Manip::Destination, bench_tuple(80));
    assert_eq!((drawn, chosen.destination.id), (0, 53), "all are taken");
    // Shifted by the packet's own port, and round in sixteen bits.
    for (base, own, expected) in [(80, 80, 50), (80, 83, 53), (80, 91, 50), (80, 79, 50 + 65535 % 11)] {
        let range = NatRange {
            port_base: Some(base),
            ..ports(50, 60)
        };
        let mut tuple = bench_tuple(own);
        tuple.source.id = 9;
        let (drawn, chosen) = draws(&range, Manip::Destination, tuple);
        assert_eq!((drawn, chosen.destination.id), (0, expected), "{base} {own}");
    }
    // By chance, if that is asked for.
    for (random, random_fully) in [(true, false), (false, true), (true, true)] {
        let range = NatRange {
            random,
            random_fully,
            ..ports(50, 60)
        };
        let (drawn, _) = draws(&range, Manip::Destination, bench_tuple(80));
        assert_eq!(drawn, 1, "{random} {random_fully}");
    }
    // Upside down: nothing is chosen.
    let (drawn, chosen) = draws(&ports(60, 50), Manip::Source, mapped(&flow, 9));
    assert_eq!((drawn, chosen), (0, mapped(&flow, 9)));
}

#[test]
fn a_mapped_connection_that_is_over_gives_way() {
    for (state, is_mapped, sequence, expected) in [
        (RST, true, 5000, true),
        (RST, false, 5000, false),
        (RST, true, 1, false),
        (ACK, true, 5000, false),
    ] {
        let bench = Bench::new();
        let mut first = tcp((A, 3000), (B, 80), (1000, 0), SYN);
        let (_, mut tracking) = bench.track(&mut first);
        let holder = Arc::clone(tracking.flow.as_ref().unwrap());
        {
            let mut state = holder.lock();
            let mut reply = holder.reply();
            (reply.destination.address, reply.destination.id) = (address(OUTSIDE), 3000);
            holder.set_reply(&mut state, &reply);
            if is_mapped {
                state.status.set(Status::SRC_NAT);
            }
        }
        bench.table.confirm(&bench.context(), &first, &mut tracking).unwrap();
        bench.pass_all([
            tcp((B, 80), (OUTSIDE, 3000), (100, 1001), SYN | ACK),
            tcp((A, 3000), (B, 80), (1001, 101), state | ACK),
        ]);
        let flow = opened(&bench, tcp(([10, 0, 0, 3], 3000), (B, 80), (sequence, 0), SYN));
        let tuple = mapped(&flow, 3000);
        let range = ports(3000, 3000);
        let gives = choice(&bench, &flow, &range, Manip::Source, |it| it.gives_way(&tuple));
        assert_eq!(gives, expected, "{state} {is_mapped} {sequence}");
        assert_eq!(holder.lock().status.has(Status::DYING), expected);
    }
    // Only TCP does.
    let bench = Bench::new();
    take(&bench, 7, 1002).lock().status.set(Status::SRC_NAT);
    let flow = opened(&bench, udp((A, 8), (B, 53)));
    let tuple = mapped(&flow, 1002);
    assert_eq!(tuple.protocol, protocol::UDP);
    assert!(!choice(&bench, &flow, &ports(1002, 1002), Manip::Source, |it| it
        .gives_way(&tuple)));
}

/// An expected flow goes to the sender of the command, to the port that stood in it, and seems to come from where the command went.
#[test]
fn an_expected_flow_follows_its_master() {
    let bench = Bench::new();
    let (_, tracking) = bench.pass(tcp((A, 3000), (B, 21), (1, 0), SYN)).unwrap();
    let master = tracking.flow.unwrap();
    let wish = Expectation {
        class: 0,
        nat: Some(ExpectationNat {
            command: Direction::Original,
            port: Some(2000),
            from_port: None,
            host: None,
            keeps_source: false,
            pairs: false,
        }),
        ..announced(&bench, &master, [192, 0, 2, 77], (OUTSIDE, 1025))
    };
    bench.table.expect(bench.now, wish, 9).unwrap();
    let mut packet = tcp(([192, 0, 2, 77], 20), (OUTSIDE, 1025), (1, 0), SYN);
    let mut tracking = Tracking::default();
    let mut random = Random::new(1);
    let mut cx = NatContext {
        now: bench.now,
        random: &mut random,
    };
    track(&bench.table, &bench.context(), &mut cx, &mut packet, &mut tracking);
    let reply = tracking.flow.unwrap().reply();
    let ends = [reply.source, reply.destination].map(|end| (end.address, end.id));
    assert_eq!(ends, [(address(A), 2000), (address(B), 20)]);
}

/// A flow from another client each, until no port of the range is free.
fn crowd_up(bench: &Bench, net: u8) -> Vec<Arc<Flow>> {
    let mut random = Random::new(3);
    let opened = (0..40).map(|client| {
        let mut packet = udp(([10, 0, net, client], 7), ([192, 0, 2, 9], 53));
        let mut tracking = bench.track(&mut packet).1;
        let flow = tracking.flow.clone().unwrap();
        let mut cx = NatContext {
            now: bench.now,
            random: &mut random,
        };
        setup(&bench.table, &mut cx, &flow, &ports(1000, 1031), Manip::Source);
        let confirmed = bench.table.confirm(&bench.context(), &packet, &mut tracking);
        confirmed.is_ok().then_some(flow)
    });
    opened.flatten().collect()
}

/// Once the last flow has gone whose port was noted, or the last note's time is over, nobody looks for a crowd any more.
#[test]
fn a_crowd_goes_with_its_last_flow_or_with_its_time() {
    let mut bench = Bench::new();
    assert!(!bench.table.has_crowds());
    let flows = crowd_up(&bench, 0);
    assert_eq!(flows.len(), 32);
    let (last, others) = flows.split_last().unwrap();
    for flow in others {
        assert!(bench.table.has_crowds());
        bench.table.delete(flow);
    }
    bench.table.delete(last);
    assert!(!bench.table.has_crowds());
    // The answered live longer than what was noted of them says.
    let flows = crowd_up(&bench, 1);
    assert!(bench.table.has_crowds());
    bench.now = bench.now + Duration::from_secs(20);
    for flow in &flows {
        flow.lock().lives_on(bench.now, Duration::from_secs(100));
    }
    bench.now = bench.now + Duration::from_secs(20);
    assert_eq!(crowd_up(&bench, 2).len(), 0, "no port is free");
    assert!(bench.table.has_crowds(), "a search was long again");
    bench.now = bench.now + Duration::from_secs(200);
    assert_eq!(crowd_up(&bench, 3).len(), 32);
    bench.table.flush();
    assert!(!bench.table.has_crowds());
}

/// Two tables in which the same happens, of which one remembers what a search passed: crowded destinations, flows that end, sooner than they were to or
/// because a command says so, and are answered, closed and begun anew. Both choose the same, and count the same.
#[test]
fn what_is_known_of_taken_ports_changes_no_choice() {
    let mut passed = 0;
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut benches = [Bench::new(), Bench::new()];
        benches[1].table.forgets_crowds();
        let mut draws = [Random::new(seed), Random::new(seed)];
        let mut flows: Vec<[Arc<Flow>; 2]> = Vec::new();
        for _ in 0..8_000 {
            let drawn: [u32; 8] = std::array::from_fn(|_| random.below(1 << 20));
            match drawn[0] % 16 {
                0 if drawn[1].is_multiple_of(16) => benches
                    .iter_mut()
                    .for_each(|bench| bench.now = bench.now + Duration::from_secs(u64::from(drawn[2] % 8))),
                1 if drawn[1].is_multiple_of(16) => {
                    let seconds = ["1", "30", "60"][drawn[2] as usize % 3];
                    for bench in &mut benches {
                        bench.settings.set("nf_conntrack_udp_timeout", seconds).unwrap();
                    }
                }
                2 if drawn[3].is_multiple_of(16) && !flows.is_empty() => {
                    let pair = &flows[drawn[1] as usize % flows.len()];
                    for (bench, flow) in benches.iter().zip(pair) {
                        match drawn[2] % 4 {
                            0 => assert!(bench.table.delete(flow) || flow.lock().status.has(Status::DYING)),
                            1 => flow.lock().lives_on(bench.now, Duration::from_secs(2)),
                            2 => bench.table.sweep_part(bench.now),
                            _ => flow.lock().reset_by_rule(bench.now, &bench.settings),
                        }
                    }
                }
                4..8 if !flows.is_empty() => {
                    let pair = &flows[drawn[1] as usize % flows.len()];
                    let bits = [SYN | ACK, ACK, RST | ACK, ACK | FIN][drawn[2] as usize % 4];
                    let reply = drawn[3].is_multiple_of(2);
                    let states = std::array::from_fn::<_, 2, _>(|at| {
                        let tuple = if reply { pair[at].reply() } else { pair[at].original() };
                        let ends = [tuple.source, tuple.destination].map(|end| match end.address {
                            IpAddr::V4(address) => (address.octets(), end.id),
                            IpAddr::V6(_) => unreachable!("all are of the other family"),
                        });
                        let packet = match tuple.protocol {
                            protocol::TCP => tcp(ends[0], ends[1], (1, 1), bits),
                            _ => udp(ends[0], ends[1]),
                        };
                        benches[at].states([packet])
                    });
                    assert_eq!(states[0], states[1]);
                }
                _ => {
                    let client = ([10, 0, 0, 1 + (drawn[1] % 40) as u8], 1 + (drawn[2] % 20) as u16);
                    let server = ([192, 0, 2, 9], [53, 54][drawn[3] as usize % 2]);
                    let range = match drawn[4] % 4 {
                        0 => ports(1000, 1150),
                        1 => NatRange {
                            random_fully: true,
                            ..ports(1000, 1150)
                        },
                        // By their class: 1 to 511.
                        _ => NatRange {
                            ports: None,
                            ..ports(0, 0)
                        },
                    };
                    let opened: [_; 2] = std::array::from_fn(|at| {
                        let bench = &benches[at];
                        let mut packet = match drawn[5] % 2 {
                            0 => tcp(client, server, (drawn[6], 0), SYN),
                            _ => udp(client, server),
                        };
                        let mut tracking = bench.track(&mut packet).1;
                        let flow = tracking.flow.clone()?;
                        let mut cx = NatContext {
                            now: bench.now,
                            random: &mut draws[at],
                        };
                        setup(&bench.table, &mut cx, &flow, &range, Manip::Source);
                        let got_out = drawn[7].is_multiple_of(8)
                            || bench.table.confirm(&bench.context(), &packet, &mut tracking).is_ok();
                        Some((flow, got_out))
                    });
                    match opened {
                        [Some((first, out)), Some((second, also_out))] => {
                            assert_eq!((first.reply(), out), (second.reply(), also_out));
                            flows.push([first, second]);
                        }
                        [None, None] => {}
                        _ => panic!("one opened a flow"),
                    }
                }
            }
            assert_eq!(benches[0].table.count(), benches[1].table.count());
        }
        let found = benches.each_ref().map(|bench| bench.table.statistics.named());
        assert_eq!(found[0], found[1]);
        passed += benches[0].table.passed_in_crowds();
    }
    assert!(passed > 10_000, "{passed}");
}
