//! Choosing mappings where the kernel draws lots: what holds for every draw. Each was seen on Linux 6.18; what is certain is in the recordings.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Manip, NatContext, NatHook, NatRange, Translated, null_binding, setup, translate};
use crate::base::testing::{families, host as at};
use crate::base::{AddressRange, PortRange, Random};
use crate::conntrack::testing::{B, Bench, address, echo, packet, udp};
use crate::conntrack::{DropReason, Status};
use crate::packet::Packet;
use crate::packet::testing::udp as datagram;

const OUTSIDE: [u8; 4] = [192, 0, 2, 1];
const C: [u8; 4] = [192, 0, 2, 77];

/// A packet of a host on the way out, through one rule of POSTROUTING.
fn snat(bench: &Bench, random: &mut Random, range: &NatRange, mut packet: Packet) -> Result<Packet, DropReason> {
    let (_, mut tracking) = bench.track(&mut packet);
    let flow = Arc::clone(tracking.flow.as_ref().unwrap());
    let mut cx = NatContext { now: bench.now, random };
    null_binding(&bench.table, &mut cx, &flow, Manip::Destination);
    setup(&bench.table, &mut cx, &flow, range, Manip::Source);
    translate(&mut packet, &tracking, NatHook::Postrouting).unwrap();
    bench.table.confirm(&bench.context(), &packet, &mut tracking)?;
    Ok(packet)
}

fn host(last: u8) -> [u8; 4] {
    [10, 0, 0, last]
}

fn to_outside() -> NatRange {
    NatRange {
        addresses: Some(AddressRange::single(address(OUTSIDE))),
        ..NatRange::default()
    }
}

#[test]
fn a_taken_port_gives_way_within_its_class() {
    let bench = Bench::new();
    let mut random = Random::new(3);
    for (port, class) in [
        (0, 0..=511),
        (100, 1..=511),
        (511, 1..=511),
        (512, 512..=1023),
        (1000, 600..=1023),
        (1024, 1024..=65535),
        (40000, 1024..=65535),
    ] {
        let mut seen = HashSet::new();
        for last in 2..40 {
            let packet = snat(&bench, &mut random, &to_outside(), udp((host(last), port), (B, 53))).unwrap();
            let (source, _) = packet.ports().unwrap();
            assert!(last > 2 || source == port, "the first keeps {port}, not {source}");
            assert!(class.contains(&source), "{source} for {port}");
            assert!(last == 2 || port != 512 || source >= 600, "{source} for 512");
            assert!(seen.insert(source), "{source} twice");
            assert_eq!(packet.source(), address(OUTSIDE));
        }
    }
}

#[test]
fn a_source_keeps_its_mapping_towards_others() {
    let bench = Bench::new();
    let mut random = Random::new(4);
    snat(&bench, &mut random, &to_outside(), udp((host(2), 40000), (B, 53))).unwrap();
    let first = snat(&bench, &mut random, &to_outside(), udp((host(3), 40000), (B, 53))).unwrap();
    let second = snat(&bench, &mut random, &to_outside(), udp((host(3), 40000), (C, 53))).unwrap();
    assert_ne!(first.ports().unwrap().0, 40000);
    assert_eq!(first.ports().unwrap().0, second.ports().unwrap().0);
    // Gone with the flows.
    bench.table.flush();
    let third = snat(&bench, &mut random, &to_outside(), udp((host(3), 40000), (C, 53))).unwrap();
    assert_eq!(third.ports().unwrap().0, 40000);
}

#[test]
fn a_range_of_ports_is_used_up_and_then_packets_are_dropped() {
    let bench = Bench::new();
    let mut random = Random::new(5);
    let range = NatRange {
        ports: Some(PortRange { low: 1000, high: 1003 }),
        ..to_outside()
    };
    let mut source = |port, to| {
        let packet = snat(&bench, &mut random, &range, udp((host(2), port), (to, 53)));
        packet.map(|packet| packet.ports().unwrap().0)
    };
    assert_eq!(source(1002, B), Ok(1002));
    let mut others: Vec<_> = [5000, 5001, 5002].map(|port| source(port, B).unwrap()).to_vec();
    others.sort_unstable();
    assert_eq!(others, [1000, 1001, 1003]);
    assert_eq!(source(5003, B), Err(DropReason::Clash));
    assert!(source(5003, C).is_ok());
}

#[test]
fn random_ports_stay_in_class_or_range() {
    let bench = Bench::new();
    let mut random = Random::new(6);
    for fully in [false, true] {
        let range = NatRange {
            random: !fully,
            random_fully: fully,
            ..to_outside()
        };
        let mut draw = |port, last| {
            let packet = snat(&bench, &mut random, &range, udp((host(last), port), (B, 53))).unwrap();
            packet.ports().unwrap().0
        };
        let changed = (2..20).filter(|&last| draw(5000, last) != 5000).count();
        assert!(changed > 10);
        assert!((2..20).all(|last| draw(100, last) < 512));
    }
    let range = NatRange {
        random: true,
        ..to_outside()
    };
    let out = snat(&bench, &mut random, &range, echo(host(2), B, 8, 7)).unwrap();
    assert_ne!(out.icmpv4().unwrap().identifier(), 7);
    assert_eq!(crate::wire::checksum::of(out.transport()), 0);
}

#[test]
fn icmp_identifiers_give_way_and_unknown_protocols_cannot() {
    let bench = Bench::new();
    let mut random = Random::new(7);
    let mut identifier = |last| {
        let packet = snat(&bench, &mut random, &to_outside(), echo(host(last), B, 8, 7)).unwrap();
        packet.icmpv4().unwrap().identifier()
    };
    assert_eq!(identifier(2), 7);
    let others: HashSet<_> = (3..9).map(&mut identifier).collect();
    assert_eq!((others.len(), others.contains(&7)), (6, false));
    let mut esp = |last| snat(&bench, &mut random, &to_outside(), packet(50, host(last), B, b"x")).map(|_| ());
    assert_eq!(esp(2), Ok(()));
    assert_eq!(esp(3), Err(DropReason::Clash));
    assert_eq!(esp(2), Ok(()));
}

#[test]
fn addresses_of_a_range_are_spread_and_kept() {
    let bench = Bench::new();
    let mut random = Random::new(8);
    for persistent in [false, true] {
        bench.table.flush();
        let range = NatRange {
            addresses: Some(AddressRange {
                low: address([192, 0, 2, 10]),
                high: address([192, 0, 2, 13]),
            }),
            persistent,
            ..NatRange::default()
        };
        let mut used = HashSet::new();
        for last in 2..60 {
            let mut source = |port, to| {
                snat(&bench, &mut random, &range, udp((host(last), port), (to, 53)))
                    .unwrap()
                    .source()
            };
            let (first, same, other) = (source(4000, B), source(4001, B), source(4002, C));
            assert_eq!(first, same);
            assert!(!persistent || first == other);
            used.extend([first, other]);
        }
        assert_eq!(used.len(), 4, "{used:?}");
    }
}

/// The router's own packet has the port that a masqueraded flow took.
#[test]
fn a_null_binding_may_change_a_port() {
    let bench = Bench::new();
    let mut random = Random::new(9);
    snat(&bench, &mut random, &to_outside(), udp((host(2), 5000), (B, 53))).unwrap();
    let mut own = udp((OUTSIDE, 5000), (B, 53));
    let (_, mut tracking) = bench.track(&mut own);
    let flow = Arc::clone(tracking.flow.as_ref().unwrap());
    let mut cx = NatContext {
        now: bench.now,
        random: &mut random,
    };
    null_binding(&bench.table, &mut cx, &flow, Manip::Destination);
    null_binding(&bench.table, &mut cx, &flow, Manip::Source);
    assert_eq!(
        translate(&mut own, &tracking, NatHook::Postrouting),
        Ok(Translated::Changed)
    );
    bench.table.confirm(&bench.context(), &own, &mut tracking).unwrap();
    assert_ne!(own.ports().unwrap().0, 5000);
    assert!(flow.lock().status.has(Status::SRC_NAT));
    assert!(!flow.lock().status.has(Status::DST_NAT));
}

families! {
    /// There and back is identity, for flows under both mappings.
    fn answers_come_back_to_where_they_were_asked(family: Family) {
        let bench = Bench::new();
        let mut random = Random::new(10);
        let [client, outside, server] = [2, 1, 9].map(|number| at(family, number));
        let mut ask = datagram((client, 4000), (outside, 53), b"?");
        let before = ask.bytes().to_vec();
        let (_, mut tracking) = bench.track(&mut ask);
        let flow = Arc::clone(tracking.flow.as_ref().unwrap());
        let mut cx = NatContext {
            now: bench.now,
            random: &mut random,
        };
        let to_server = NatRange {
            addresses: Some(AddressRange::single(server)),
            ports: Some(PortRange::single(5353)),
            ..NatRange::default()
        };
        let from_outside = NatRange {
            addresses: Some(AddressRange::single(outside)),
            ..NatRange::default()
        };
        setup(&bench.table, &mut cx, &flow, &to_server, Manip::Destination);
        setup(&bench.table, &mut cx, &flow, &from_outside, Manip::Source);
        for hook in [NatHook::Prerouting, NatHook::Postrouting] {
            assert_eq!(translate(&mut ask, &tracking, hook), Ok(Translated::Changed));
        }
        bench.table.confirm(&bench.context(), &ask, &mut tracking).unwrap();
        assert_eq!(ask.bytes(), datagram((outside, 4000), (server, 5353), b"?").bytes());
        assert_ne!(before, ask.bytes());
        let mut answer = datagram((server, 5353), (outside, 4000), b"!");
        let (_, tracking) = bench.track(&mut answer);
        for hook in [NatHook::Prerouting, NatHook::Postrouting] {
            assert_eq!(translate(&mut answer, &tracking, hook), Ok(Translated::Changed));
        }
        assert_eq!(answer.bytes(), datagram((outside, 53), (client, 4000), b"!").bytes());
    }
}
