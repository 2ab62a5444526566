//! What is read and written of the packets that ICMP errors quote. Seen on Linux 6.18.

use super::*;
use crate::base::testing::unhex;
use crate::base::{AddressRange, Random, protocol};
use crate::conntrack::testing::{A, B, Bench, address, packet};
use crate::conntrack::{Endpoint, TrackContext, TrackStage};
use crate::nat::{NatContext, NatRange, null_binding, setup};

const OUTSIDE: [u8; 4] = [192, 0, 2, 1];

/// An error about a packet from outside to B, of which so many bytes of the transport header are quoted.
fn quote(protocol: u8, header_words: u8, transport: usize) -> Vec<u8> {
    let mut quoted = packet(protocol, OUTSIDE, B, &[]).bytes().to_vec();
    quoted[0] = 0x40 | header_words;
    quoted.resize(usize::from(header_words) * 4, 1);
    quoted.extend((0..transport).map(|at| at as u8));
    quoted
}

fn error(kind: u8, quoted: &[u8]) -> Packet {
    packet(protocol::ICMP, B, OUTSIDE, &icmpv4::emit(kind, 1, 0, quoted))
}

/// The client that the quoted packet came from, before NAT.
fn target() -> Tuple {
    let end = |of, id| Endpoint {
        address: address(of),
        id,
    };
    Tuple {
        source: end(A, 1000),
        destination: end(B, 80),
        protocol: protocol::UDP,
    }
}

#[test]
fn what_is_rewritten_of_a_quote_is_read_in_one_piece() {
    let icmp = icmpv4::HEADER;
    for (quoted, expected) in [
        (quote(protocol::TCP, 5, 20), icmp + 20 + 20),
        (quote(protocol::TCP, 5, 30), icmp + 20 + 20),
        (quote(protocol::TCP, 5, 8), icmp + 20 + 8),
        (quote(protocol::UDP, 5, 30), icmp + 20 + 8),
        (quote(protocol::TCP, 7, 20), icmp + 28 + 20),
        (quote(protocol::UDP, 15, 8), icmp + 60 + 8),
        (quote(protocol::ESP, 7, 30), 1),
        (quote(protocol::UDP, 5, 8)[..9].to_vec(), 1),
    ] {
        let mut packet = error(3, &quoted);
        let rest = packet.transport().len() as u16 - 1;
        packet.fragments = [1, rest].into_iter().collect();
        pull_quote(&mut packet);
        assert_eq!(usize::from(packet.fragments[0]), expected, "{quoted:?}");
    }
}

#[test]
fn an_error_is_read_as_far_as_its_quoted_header() {
    let mut packet = error(3, &quote(protocol::UDP, 5, 100));
    packet.fragments = [1, 127].into_iter().collect();
    let done = translate_error(
        &mut packet,
        Status::default(),
        &target(),
        Manip::Destination,
        false,
        false,
    );
    assert_eq!((done, &packet.fragments[..]), (Ok(false), &[28, 100][..]));
}

#[test]
fn errors_that_nat_drops_and_those_that_it_leaves() {
    let (done, mapped) = (Status::SRC_NAT_DONE.or(Status::DST_NAT_DONE), Status::SRC_NAT);
    let unreadable = Err(DropReason::IcmpErrorUnreadable);
    let redirected = Err(DropReason::RedirectUnderNat);
    for (is_right, checksum, status, redirect, expected) in [
        (true, ChecksumState::Unknown, done, false, Ok(false)),
        (false, ChecksumState::Unknown, done, false, unreadable),
        (false, ChecksumState::Verified, done, false, Ok(false)),
        (true, ChecksumState::Verified, done, false, Ok(false)),
        // A redirect passes where NAT has decided to do nothing.
        (true, ChecksumState::Unknown, done, true, Ok(false)),
        (true, ChecksumState::Unknown, Status::SRC_NAT_DONE, true, redirected),
        (true, ChecksumState::Unknown, done.or(mapped), true, redirected),
        (true, ChecksumState::Unknown, Status::default(), true, redirected),
        (true, ChecksumState::Unknown, done.or(mapped), false, Ok(false)),
    ] {
        let mut packet = error(3, &quote(protocol::UDP, 5, 8));
        if !is_right {
            packet.transport_mut()[3] ^= 1;
        }
        packet.checksum = checksum;
        let got = translate_error(&mut packet, status, &target(), Manip::Destination, false, redirect);
        assert_eq!(got, expected, "{is_right} {checksum:?} {status:?} {redirect}");
    }
}

/// Addresses, ports and checksums of both headers, and how little may be quoted.
#[test]
fn the_quoted_packet_gets_the_ends_that_its_sender_knows() {
    for (protocol, transport, expected) in [
        (protocol::UDP, 8, Some(())),
        (protocol::UDP, 7, None),
        (protocol::UDP, 0, None),
        // Without ports a header alone will do.
        (50, 0, Some(())),
    ] {
        let mut quoted = quote(protocol, 5, transport);
        let got = rewrite_quote(Family::V4, &mut quoted, &target(), Manip::Destination);
        assert_eq!(got, expected, "{protocol} {transport}");
        if got.is_some() {
            assert_eq!(quoted[12..20], [A, B].concat());
            assert_eq!(checksum::of(&quoted[..20]), 0);
        }
        if transport == 8 {
            assert_eq!(be16(&quoted, 20), 1000);
        }
    }
    assert_eq!(
        rewrite_quote(Family::V4, &mut quote(50, 5, 0)[..19], &target(), Manip::Source),
        None
    );
    let mut quoted = quote(protocol::UDP, 5, 8);
    rewrite_quote(Family::V4, &mut quoted, &target(), Manip::Source).unwrap();
    assert_eq!(
        (&quoted[12..16], &quoted[16..20], be16(&quoted, 22)),
        (&OUTSIDE[..], &B[..], 80)
    );
}

/// What is written of packets of IPv6, of errors and of what these quote: as the kernel did.
#[test]
fn packets_of_ipv6_leave_as_from_the_kernel() {
    let bench = Bench::new();
    let mut random = Random::new(1);
    let outside = NatRange {
        addresses: Some(AddressRange::single("2001:db8:1::1".parse().unwrap())),
        ..NatRange::default()
    };
    let text = include_str!("masqueraded.txt");
    let mut told = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut count = 0;
    while let (Some(what), Some(came), Some(left)) = (told.next(), told.next(), told.next()) {
        let mut packet = Packet::parse(unhex(came)).unwrap();
        let cx = TrackContext {
            stage: TrackStage::Prerouting,
            ..bench.context()
        };
        let mut tracking = Tracking::default();
        bench.table.track(&cx, &mut packet, &mut tracking);
        let flow = tracking.flow.clone().expect(what);
        let mut nat = NatContext {
            now: bench.now,
            random: &mut random,
        };
        null_binding(&bench.table, &mut nat, &flow, Manip::Destination);
        match what.starts_with("lan") {
            true => setup(&bench.table, &mut nat, &flow, &outside, Manip::Source),
            false => null_binding(&bench.table, &mut nat, &flow, Manip::Source),
        }
        let done = translate(&mut packet, &tracking, NatHook::Prerouting).and_then(|_| {
            packet.decrement_ttl();
            translate(&mut packet, &tracking, NatHook::Postrouting)
        });
        match left {
            "nothing" => assert_eq!(done, Err(DropReason::IcmpErrorUnreadable), "{what}"),
            left => {
                done.expect(what);
                assert_eq!(packet.bytes(), unhex(left), "{what}");
            }
        }
        let _ = bench.table.confirm(&cx, &packet, &mut tracking);
        count += 1;
    }
    assert_eq!(count, 15);
}
