//! What a flow remembers, and when it ends.

use super::*;
use crate::base::{Family, InterfaceId, protocol};
use crate::conntrack::testing::{A, B, Bench, FTP, announced, tcp, udp};
use crate::conntrack::{ConntrackHelper, Endpoint, ExpectPolicy, StateBits, ZoneScope};
use crate::wire::tcp::flags::SYN;

#[test]
fn bits_are_set_asked_for_and_cleared() {
    let (one, both) = (Status::ASSURED, Status::ASSURED.or(Status::DYING));
    for (before, cleared, after) in [
        (one, one, 0),
        (both, one, 1 << 9),
        (both, both, 0),
        (one, Status::DYING, 4),
    ] {
        let mut status = before;
        status.clear(cleared);
        assert_eq!(status.bits(), after);
        status.set(cleared);
        assert!(status.has(cleared));
    }
    assert!(both.has(one) && !one.has(both) && one.has_any(both) && !one.has_any(Status::DYING));
    // Twice the same is the same.
    assert_eq!(one.or(both), both);
    assert_eq!(StateBits::NEW.or(StateBits::NEW), StateBits::NEW);
}

#[test]
fn bits_have_the_numbers_that_the_kernel_gives_them() {
    for (status, number) in [
        (Status::EXPECTED, 0),
        (Status::SEEN_REPLY, 1),
        (Status::ASSURED, 2),
        (Status::CONFIRMED, 3),
        (Status::SRC_NAT, 4),
        (Status::DST_NAT, 5),
        (Status::SEQ_ADJUST, 6),
        (Status::SRC_NAT_DONE, 7),
        (Status::DST_NAT_DONE, 8),
        (Status::DYING, 9),
    ] {
        assert_eq!(status.bits(), 1 << number, "{status:?}");
    }
}

#[test]
fn what_is_decided_is_read_without_the_lock_once_it_is_in_the_table() {
    let bench = Bench::new();
    let mut packet = tcp((A, 1), (B, 21), (1, 0), SYN);
    let (_, mut tracking) = bench.track(&mut packet);
    let flow = Arc::clone(tracking.flow.as_ref().unwrap());
    assert_eq!(flow.settled(), None);
    assert_eq!(flow.decided(), Status::default());
    flow.decide(&mut flow.lock(), Status::SRC_NAT);
    assert!(flow.as_decided().status.has(Status::SRC_NAT));
    assert!(flow.decided() == Status::SRC_NAT && flow.snapshot().decided() == Status::SRC_NAT);
    flow.lock().set_helper(Some(&FTP));
    bench.table.confirm(&bench.context(), &packet, &mut tracking).unwrap();
    let settled = flow.settled().unwrap();
    assert!(settled.is_read && settled.status.has(Status::SRC_NAT));
    assert_eq!(flow.as_decided(), settled);
    assert!(flow.decided().has(Status::SRC_NAT) && !flow.decided().has(Status::CONFIRMED));
    assert!(flow.snapshot().settled().is_some());
}

/// What most flows have fits two lines of the cache, with the counts of who holds it.
#[test]
fn a_flow_is_small() {
    assert!(size_of::<ProtocolState>() <= 16);
    // In this crate's own tests a lock is larger than it is elsewhere.
    assert!(size_of::<FlowState>() <= 56, "{}", size_of::<FlowState>());
    assert!(size_of::<Ends>() <= 32, "{}", size_of::<Ends>());
}

/// Of either family, with numbers at their ends.
#[test]
fn ends_are_what_they_were_made_of() {
    let v4: [std::net::IpAddr; 2] = ["10.0.0.2", "255.255.255.255"].map(|it| it.parse().unwrap());
    let v6 = ["2001:db8::1", "::ffff:10.0.0.2"].map(|it| it.parse().unwrap());
    let told = EventMask::EXPECTATION_NEW;
    for [one, other] in [v4, v6] {
        let tuple = |source, destination, ids: (u16, u16)| Tuple {
            source: Endpoint {
                address: source,
                id: ids.0,
            },
            destination: Endpoint {
                address: destination,
                id: ids.1,
            },
            protocol: protocol::UDP,
        };
        let (original, reply) = (tuple(one, other, (1, 0xffff)), tuple(other, one, (0x8000, 2)));
        let zone = Zone {
            id: 7,
            scope: ZoneScope::Reply,
        };
        let ends = Ends::new((&original, &original), zone, told);
        assert!(ends.are(Direction::Reply, &original) && !ends.are(Direction::Reply, &reply));
        ends.set_reply(&reply);
        let both = [Direction::Original, Direction::Reply];
        assert_eq!(both.map(|it| ends.tuple(it)), [original, reply]);
        for (direction, tuple) in both.into_iter().zip([original, reply]) {
            assert!(ends.are(direction, &tuple));
            assert!(!ends.are(
                direction,
                &Tuple {
                    protocol: protocol::TCP,
                    ..tuple
                }
            ));
            assert!(!ends.are(direction.opposite(), &tuple));
        }
        assert_eq!(
            (ends.zone(), ends.expectations_told(), ends.nat()),
            (zone, told, NatInfo::default())
        );
        assert_eq!(ends.settled(), None);
        let nat = NatInfo {
            masquerade_interface: Some(InterfaceId(u16::MAX)),
        };
        ends.set_nat(nat);
        assert_eq!(ends.settled(), None);
        let status = Status::CONFIRMED.or(Status::SRC_NAT).or(Status::CLASHES);
        ends.settle(status, true);
        assert_eq!(
            ends.settled(),
            Some(Settled {
                status,
                nat,
                is_read: true
            })
        );
        assert_eq!((ends.zone(), ends.expectations_told()), (zone, told));
    }
}

#[test]
fn it_may_be_given_less_time_but_no_more() {
    let bench = Bench::new();
    let (_, tracking) = bench.pass(udp((A, 1), (B, 53))).unwrap();
    let flow = tracking.flow.unwrap();
    let mut state = flow.lock();
    let left = |state: &FlowState| state.deadline.since(bench.now).as_secs();
    assert_eq!(left(&state), 30);
    for (within, expected) in [(40, 30), (10, 10), (20, 10)] {
        state.end_within(bench.now, Duration::from_secs(within));
        assert_eq!(left(&state), expected);
        assert!(!state.is_expired(bench.now));
    }
    state.end_within(bench.now, Duration::ZERO);
    assert!(state.is_expired(bench.now));
}

#[test]
fn a_helper_reads_its_protocol_and_families() {
    let bench = Bench::new();
    let tuple = |packet| bench.pass(packet).unwrap().1.flow.unwrap().original();
    let of = |families, protocol| ConntrackHelper {
        name: "test",
        families,
        protocol,
        ports: &[],
        policies: const {
            &[ExpectPolicy {
                name: "",
                max_expected: 3,
                timeout: Duration::from_secs(5),
            }]
        },
    };
    let (segment, datagram) = (tuple(tcp((A, 1), (B, 21), (1, 0), SYN)), tuple(udp((A, 1), (B, 53))));
    for (helper, reads_segment, reads_datagram) in [
        (of(&[Family::V4], protocol::TCP), true, false),
        (of(&[Family::V4], protocol::UDP), false, true),
        (of(&[Family::V6], protocol::TCP), false, false),
        (of(&[], protocol::UDP), false, false),
    ] {
        assert_eq!(helper.reads(&segment), reads_segment, "{helper:?}");
        assert_eq!(helper.reads(&datagram), reads_datagram, "{helper:?}");
        // A class without a policy of its own is bounded as the last.
        assert_eq!(helper.policy(7).max_expected, 3);
    }
}

/// Each announces the next, as a helper lets who speaks with himself do, and dies: the last holds all before it.
#[test]
fn a_line_of_masters_may_be_of_any_length() {
    let bench = Bench::new();
    let begun = |packet| bench.pass(packet).unwrap().1.flow.unwrap();
    let mut master = begun(udp((A, 1), (B, 53)));
    for number in 0..30_000 {
        let wish = announced(&bench, &master, B, (A, 1025));
        bench.table.expect(bench.now, wish, 9).unwrap();
        let next = begun(tcp((B, 1000 + number % 2), (A, 1025), (1, 0), SYN));
        bench.table.delete(&master);
        master = next;
    }
    let copy = bench.table.copy(bench.now);
    assert_eq!((copy.count(), copy.flows(bench.now).len()), (30_001, 1));
    bench.table.delete(&master);
    drop(master);
    assert_eq!(bench.table.count(), 0);
}
