//! Which packets an expectation waits for, and which two wait for the same.

use std::sync::Arc;

use super::*;
use crate::conntrack::Endpoint;
use crate::conntrack::testing::{A, B, Bench, announced, udp};

/// From an address and an identifier under masks, to a port.
type Wanted = ((&'static str, &'static str), (u16, u16), u16);

fn wish(bench: &Bench, master: &Arc<Flow>, ((address, mask), (id, id_mask), port): Wanted) -> Expectation {
    let source: IpAddr = address.parse().unwrap();
    let goal = match source {
        IpAddr::V4(_) => "10.0.0.2",
        IpAddr::V6(_) => "2001:db8::2",
    };
    Expectation {
        tuple: tuple((source, id), (goal.parse().unwrap(), port)),
        mask: ExpectationMask {
            address: mask.parse().unwrap(),
            id: id_mask,
        },
        ..announced(bench, master, B, (A, port))
    }
}

fn tuple(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Tuple {
    let end = |(address, id)| Endpoint { address, id };
    Tuple {
        source: end(source),
        destination: end(destination),
        protocol: 6,
    }
}

const ONE: &str = "255.255.255.255";
const ONE6: &str = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

#[test]
fn two_that_some_packet_fits_overlap() {
    let bench = Bench::new();
    let (_, tracking) = bench.pass(udp((A, 1), (B, 53))).unwrap();
    let master = tracking.flow.unwrap();
    let base: Wanted = (("192.0.2.9", ONE), (20, 0xffff), 1025);
    for (one, other, expected) in [
        (base, base, true),
        (base, (base.0, base.1, 1026), false),
        // Identifiers: what either leaves open is open.
        (base, (base.0, (21, 0xffff), 1025), false),
        (base, (base.0, (21, 0), 1025), true),
        ((base.0, (20, 0), 1025), (base.0, (21, 0), 1025), true),
        (base, (base.0, (0x0114, 0x00ff), 1025), true),
        (base, (base.0, (0x0115, 0x00ff), 1025), false),
        // Addresses likewise.
        (base, (("192.0.2.8", ONE), base.1, 1025), false),
        (base, (("192.0.2.8", "255.255.255.0"), base.1, 1025), true),
        (base, (("192.0.3.8", "255.255.255.0"), base.1, 1025), false),
        (base, (("198.18.0.1", "0.0.0.0"), base.1, 1025), true),
        (
            (("2001:db8::9", ONE6), base.1, 1025),
            (("2001:db8::8", ONE6), base.1, 1025),
            false,
        ),
        (
            (("2001:db8::9", ONE6), base.1, 1025),
            (("2001:db8::8", "ffff:ffff::"), base.1, 1025),
            true,
        ),
        (
            (("2001:db8::9", ONE6), base.1, 1025),
            (("2001:db9::9", "ffff:ffff::"), base.1, 1025),
            false,
        ),
    ] {
        let [first, second] = [one, other].map(|it| wish(&bench, &master, it));
        assert_eq!(first.overlaps(&second), expected, "{one:?} {other:?}");
        assert_eq!(second.overlaps(&first), expected, "{other:?} {one:?}");
    }
    let first = wish(&bench, &master, base);
    let mut second = first.clone();
    second.tuple.protocol = 17;
    assert!(!first.overlaps(&second));
}

#[test]
fn a_packet_fits_under_the_masks() {
    let bench = Bench::new();
    let (_, tracking) = bench.pass(udp((A, 1), (B, 53))).unwrap();
    let master = tracking.flow.unwrap();
    for (wanted, source, port, expected) in [
        ((("192.0.2.9", ONE), (20, 0xffff), 1025), ("192.0.2.9", 20), 1025, true),
        ((("192.0.2.9", ONE), (20, 0xffff), 1025), ("192.0.2.9", 21), 1025, false),
        ((("192.0.2.9", ONE), (20, 0xffff), 1025), ("192.0.2.8", 20), 1025, false),
        ((("192.0.2.9", ONE), (20, 0xffff), 1025), ("192.0.2.9", 20), 1026, false),
        ((("192.0.2.9", ONE), (20, 0), 1025), ("192.0.2.9", 21), 1025, true),
        (
            (("192.0.2.9", ONE), (0x14, 0xff), 1025),
            ("192.0.2.9", 0x0114),
            1025,
            true,
        ),
        (
            (("192.0.2.9", "255.255.255.0"), (20, 0), 1025),
            ("192.0.2.200", 9),
            1025,
            true,
        ),
        (
            (("192.0.2.9", "255.255.255.0"), (20, 0), 1025),
            ("192.0.3.9", 9),
            1025,
            false,
        ),
    ] {
        let expectation = wish(&bench, &master, wanted);
        let (address, id) = source;
        let packet = tuple(
            (address.parse().unwrap(), id),
            (expectation.tuple.destination.address, port),
        );
        assert_eq!(expectation.fits(&packet), expected, "{wanted:?} {source:?} {port}");
    }
}

#[test]
fn they_are_taken_back_one_by_one_or_all() {
    let bench = Bench::new();
    let (_, tracking) = bench.pass(udp((A, 1), (B, 53))).unwrap();
    let master = tracking.flow.unwrap();
    let expect = |port| {
        let wanted = wish(&bench, &master, (("192.0.2.9", ONE), (0, 0), port));
        bench.table.expect(bench.now, wanted, 9).unwrap();
    };
    let ports = || {
        let all = bench.table.expectations(bench.now);
        all.iter()
            .map(|it| (it.serial, it.tuple.destination.id))
            .collect::<Vec<_>>()
    };
    [1, 2, 3].into_iter().for_each(expect);
    assert_eq!(ports(), [(0, 1), (1, 2), (2, 3)]);
    bench.table.unexpect(&bench.table.expectations(bench.now)[1]);
    assert_eq!(ports(), [(0, 1), (2, 3)]);
    bench.table.flush_expectations();
    assert_eq!(ports(), []);
    assert!(!bench.table.expects_anything());
    // Numbers go on.
    expect(4);
    assert_eq!(ports(), [(3, 4)]);
}

#[test]
fn a_refusal_says_why() {
    let said = [
        ExpectationRefused::Full,
        ExpectationRefused::Clash,
        ExpectationRefused::MasterDied,
    ]
    .map(|it| it.to_string());
    assert_eq!(said, ["too many", "it clashes", "its flow has died"]);
}
