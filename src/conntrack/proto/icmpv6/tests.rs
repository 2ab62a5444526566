//! What Linux 6.18 called messages that came in, and what they quoted.

use std::net::Ipv6Addr;

use super::*;
use crate::conntrack::testing::Bench;
use crate::conntrack::{Reason, TrackStage, Tracked, Tracking};
use crate::packet::testing::udp;
use crate::wire::{ipv6, put16};

const CLIENT: &str = "2001:db8::2";
const SERVER: &str = "2001:db8:1::9";
const ROUTER: &str = "2001:db8:1::fe";
const NEIGHBOUR: &str = "fe80::fe";

/// A packet whose next header is this, with what follows the header.
fn packet((source, destination): (&str, &str), next: u8, hops: u8, rest: &[u8]) -> Packet {
    let [source, destination] = [source, destination].map(|it| it.parse::<Ipv6Addr>().unwrap());
    let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next, hops];
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend(rest);
    put16(&mut bytes, 4, rest.len() as u16);
    Packet::parse(bytes).unwrap()
}

/// With its checksum.
fn message(ends: (&str, &str), hops: u8, message: &[u8]) -> Packet {
    let mut packet = packet(ends, protocol::ICMPV6, hops, message);
    if message.len() >= 4 {
        let sum = packet.transport_checksum(protocol::ICMPV6);
        put16(packet.transport_mut(), 2, sum);
    }
    packet
}

fn datagram(ports: (u16, u16)) -> Packet {
    let address = |it: &str| it.parse().unwrap();
    udp((address(CLIENT), ports.0), (address(SERVER), ports.1), b"question")
}

fn talk(kind: u8, code: u8, identifier: u8) -> Packet {
    let ends = match kind {
        kind::ECHO_REPLY | kind::NODE_INFORMATION_REPLY => (SERVER, CLIENT),
        _ => (CLIENT, SERVER),
    };
    message(ends, 64, &[kind, code, 0, 0, 0, identifier, 0, 1, b'a', b'b', b'c'])
}

/// The state that rules see, and why it is INVALID.
fn state(bench: &Bench, mut packet: Packet) -> String {
    let cx = TrackContext {
        stage: TrackStage::Prerouting,
        ..bench.context()
    };
    let mut tracking = Tracking::default();
    let tracked = bench.table.track(&cx, &mut packet, &mut tracking);
    bench.table.confirm(&cx, &packet, &mut tracking).unwrap();
    match (tracked, tracking.state_for_matching()) {
        (Tracked::Accept(Reason::Invalid(why)), _) => format!("INVALID {}", why.code()),
        (_, state) => state.name().to_owned(),
    }
}

#[test]
fn types_of_messages() {
    for kind in 0..=u8::MAX {
        let expected = match kind {
            kind::ECHO_REQUEST | kind::NODE_INFORMATION_QUERY => "NEW",
            130..=136 | 143 | 151 | 152 => "UNTRACKED",
            0..128 => "INVALID quote-unreadable",
            137 => "INVALID icmpv6-redirect",
            _ => "INVALID icmpv6-unasked",
        };
        assert_eq!(state(&Bench::new(), talk(kind, 0, 7)), expected, "{kind}");
    }
}

/// Whatever it is: the checksum is looked at first, and eight bytes have to be there.
#[test]
fn what_is_wrong_is_invalid() {
    let bench = Bench::new();
    for kind in [1, 128, 129, 130, 135, 137] {
        let mut wrong = talk(kind, 0, 7);
        wrong.transport_mut()[2] ^= 0x55;
        assert_eq!(state(&bench, wrong), "INVALID checksum-wrong", "{kind}");
        for length in 0..8 {
            let whole = talk(kind, 0, 7);
            let short = message((CLIENT, SERVER), 64, &whole.transport()[..length]);
            assert_eq!(state(&bench, short), "INVALID header-truncated", "{kind} {length}");
        }
    }
}

#[test]
fn questions_and_answers() {
    let bench = Bench::new();
    for (kind, code, identifier, expected) in [
        (128, 0, 7, "NEW"),
        (128, 0, 7, "NEW"),
        (129, 0, 7, "ESTABLISHED"),
        (129, 0, 7, "ESTABLISHED"),
        (128, 0, 7, "ESTABLISHED"),
        (129, 0, 8, "INVALID icmpv6-unasked"),
        (129, 1, 7, "INVALID icmpv6-unasked"),
        (128, 1, 7, "NEW"),
        (140, 0, 7, "INVALID icmpv6-unasked"),
        (139, 0, 7, "NEW"),
        (140, 0, 7, "ESTABLISHED"),
    ] {
        let found = state(&bench, talk(kind, code, identifier));
        assert_eq!(found, expected, "{kind} {code} {identifier}");
    }
}

#[test]
fn errors_go_with_what_they_quote() {
    let bench = Bench::new();
    let asked = datagram((4000, 53));
    assert_eq!(state(&bench, asked.clone()), "NEW");
    assert_eq!(state(&bench, talk(128, 0, 7)), "NEW");
    let asked = asked.bytes();
    let error = |kind: u8, quoted: &[u8]| {
        let body = [&[kind, 0, 0, 0, 0, 0, 0, 0], quoted].concat();
        message((ROUTER, CLIENT), 64, &body)
    };
    for kind in [0, 1, 2, 3, 4, 5, 100, 127] {
        assert_eq!(state(&bench, error(kind, asked)), "RELATED", "{kind}");
    }
    for (length, expected) in [
        (0, "INVALID quote-unreadable"),
        (39, "INVALID quote-unreadable"),
        (40, "INVALID quote-unreadable"),
        (43, "INVALID quote-unreadable"),
        (44, "RELATED"),
        (48, "RELATED"),
    ] {
        assert_eq!(state(&bench, error(1, &asked[..length])), expected, "{length}");
    }
    let body = [&[1, 0, 0, 0, 0, 0, 0, 0], asked].concat();
    let to_another = message((ROUTER, "2001:db8::3"), 64, &body);
    assert_eq!(state(&bench, to_another), "INVALID quote-not-for-sender");
    let unknown = error(1, datagram((4001, 53)).bytes());
    assert_eq!(state(&bench, unknown), "INVALID quote-of-no-flow");
    let mut odd = asked.to_vec();
    odd[0] = 0x45;
    assert_eq!(state(&bench, error(1, &odd)), "RELATED");
    for (kind, expected) in [
        (128, "RELATED"),
        (129, "INVALID quote-of-no-flow"),
        (1, "INVALID quote-unreadable"),
    ] {
        let quoted = message((CLIENT, SERVER), 64, &[kind, 0, 0, 0, 0, 7, 0, 1]);
        assert_eq!(state(&bench, error(1, quoted.bytes())), expected, "{kind}");
    }
    // Behind extension headers, of which the length in the quoted header says nothing.
    let plain: &[u8] = &[17, 0, 1, 4, 0, 0, 0, 0];
    for (first, header, expected) in [
        (0, plain, "RELATED"),
        (60, plain, "RELATED"),
        (43, &[17, 0, 0, 0, 0, 0, 0, 0], "RELATED"),
        (44, &[17, 0, 0, 1, 0, 0, 0, 9], "RELATED"),
        (44, &[17, 0, 0, 9, 0, 0, 0, 9], "INVALID quote-unreadable"),
        (
            51,
            &[17, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "RELATED",
        ),
        (59, &[], "INVALID quote-unreadable"),
        (135, plain, "INVALID quote-of-no-flow"),
    ] {
        let quoted = packet((CLIENT, SERVER), first, 64, &[header, &asked[ipv6::HEADER..]].concat());
        assert_eq!(state(&bench, error(1, quoted.bytes())), expected, "{first} {header:?}");
        let mut short = quoted.bytes().to_vec();
        put16(&mut short, 4, 1);
        assert_eq!(state(&bench, error(1, &short)), expected, "{first} {header:?}");
    }
}

#[test]
fn redirects_are_about_the_packet_that_they_quote() {
    let bench = Bench::new();
    let asked = datagram((4000, 53));
    state(&bench, asked.clone());
    let redirect = |source: &str, hops: u8, code: u8, option: [u8; 2], quoted: &[u8]| {
        let mut body = vec![0; 40];
        (body[0], body[1]) = (kind::REDIRECT, code);
        body.extend(option);
        body.extend([0; 6]);
        body.extend(quoted);
        message((source, CLIENT), hops, &body)
    };
    let quoted = asked.bytes();
    for (source, hops, code, option, quoted, expected) in [
        (NEIGHBOUR, 255, 0, [4, 8], quoted, "RELATED"),
        (NEIGHBOUR, 255, 0, [4, 1], quoted, "RELATED"),
        (NEIGHBOUR, 255, 0, [4, 200], quoted, "RELATED"),
        (NEIGHBOUR, 255, 0, [4, 8], &quoted[..44], "RELATED"),
        (NEIGHBOUR, 255, 0, [4, 8], &quoted[..43], "INVALID quote-unreadable"),
        (NEIGHBOUR, 255, 0, [4, 0], quoted, "redirect without options"),
        (NEIGHBOUR, 255, 0, [5, 8], quoted, "INVALID icmpv6-redirect"),
        (NEIGHBOUR, 255, 1, [4, 8], quoted, "INVALID icmpv6-redirect"),
        (ROUTER, 255, 1, [4, 8], quoted, "INVALID icmpv6-redirect"),
        (
            NEIGHBOUR,
            254,
            0,
            [4, 8],
            quoted,
            "invalid saddr or hoplimit for redirect",
        ),
        (ROUTER, 255, 0, [4, 8], quoted, "invalid saddr or hoplimit for redirect"),
    ] {
        let place = format!("{source} {hops} {code} {option:?} {}", quoted.len());
        let packet = redirect(source, hops, code, option, quoted);
        let line = match IcmpV6::check(&packet, &mut ChecksumCheck::of(&bench.context(), &packet)) {
            Err(Fault::Own(why)) => why.log_line(),
            _ => None,
        };
        match line {
            Some(line) => assert_eq!(line, expected, "{place}"),
            None => assert_eq!(state(&bench, packet), expected, "{place}"),
        }
    }
    for (length, expected) in [
        (8, BadRedirect::Short),
        (39, BadRedirect::Short),
        (40, BadRedirect::NoOption),
        (41, BadRedirect::NoOption),
    ] {
        let whole = redirect(NEIGHBOUR, 255, 0, [4, 8], quoted);
        let short = message((NEIGHBOUR, CLIENT), 255, &whole.transport()[..length]);
        assert_eq!(redirected(&short), Err(expected), "{length}");
    }
}

/// What stands before the transport, or in its place.
#[test]
fn packets_without_a_transport() {
    let plain = [17, 0, 1, 4, 0, 0, 0, 0];
    let datagram = datagram((4000, 53));
    let datagram = datagram.transport();
    for (next, rest, expected) in [
        (0, [&plain, datagram].concat(), "NEW"),
        (60, [&plain, datagram].concat(), "NEW"),
        (44, [&[17, 0, 0, 0, 0, 0, 0, 9], datagram].concat(), "NEW"),
        (51, [&[17, 0, 0, 0, 0, 0, 0, 0], datagram].concat(), "NEW"),
        (
            60,
            [&[17, 9, 1, 4, 0, 0, 0, 0], datagram].concat(),
            "INVALID header-truncated",
        ),
        (
            51,
            [&[17, 40, 0, 0, 0, 0, 0, 0], datagram].concat(),
            "INVALID header-truncated",
        ),
        (59, datagram.to_vec(), "INVALID no-transport"),
        (
            60,
            [&[59, 0, 1, 4, 0, 0, 0, 0], datagram].concat(),
            "INVALID no-transport",
        ),
        // A header's length is believed, whether so much is there or not; two bytes are enough of it.
        (60, vec![17, 0, 1], "INVALID header-truncated"),
        (60, vec![17], "INVALID no-transport"),
        (60, vec![60, 9, 1], "INVALID no-transport"),
        (60, vec![121], "INVALID no-transport"),
        // Whose length leads behind the end, to a protocol that has no header.
        (43, vec![0x79, 0x1f, 0x1f, 0x41, 0xa4, 0x42, 0xbd, 0x85], "NEW"),
        (60, vec![121, 0], "NEW"),
        (60, vec![59, 9, 1], "INVALID no-transport"),
        (51, vec![121, 9], "NEW"),
        (44, vec![121, 0, 0, 0], "NEW"),
        (44, vec![121, 0], "INVALID no-transport"),
        (60, vec![60, 0, 1, 4, 0, 0, 0, 0, 121, 4], "NEW"),
        (60, plain.to_vec(), "INVALID header-truncated"),
        // No extension headers, but protocols of their own.
        (135, plain.to_vec(), "NEW"),
        (139, plain.to_vec(), "NEW"),
        (140, plain.to_vec(), "NEW"),
        (50, plain.to_vec(), "NEW"),
        (41, plain.to_vec(), "NEW"),
        // That of the other family.
        (1, vec![8, 0, 0xf7, 0xf8, 0, 7, 0, 0], "INVALID other-family"),
        (1, vec![3, 0, 0], "INVALID other-family"),
    ] {
        let packet = packet((CLIENT, SERVER), next, 64, &rest);
        assert_eq!(state(&Bench::new(), packet), expected, "{next} {rest:?}");
    }
}
