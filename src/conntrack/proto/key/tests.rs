//! What of a header NAT reads, writes, and wants to see in a quote. Seen on Linux 6.18, but for the CRC, whose values another program made.

use super::*;
use crate::base::protocol;
use crate::conntrack::Endpoint;
use crate::conntrack::proto::spec;
use crate::conntrack::testing::{A, B, address, packet};

fn target(id: u16) -> Tuple {
    let end = |of| Endpoint {
        address: address(of),
        id,
    };
    Tuple {
        source: end(A),
        destination: end(B),
        protocol: 0,
    }
}

#[test]
fn so_much_of_a_quote_is_read() {
    for (protocol, there, expected) in [
        (protocol::TCP, 8, Some(8)),
        (protocol::TCP, 19, Some(8)),
        (protocol::TCP, 20, Some(20)),
        (protocol::TCP, 40, Some(20)),
        (protocol::UDP, 8, Some(8)),
        (protocol::UDP, 40, Some(8)),
        (protocol::ICMP, 40, Some(8)),
        (protocol::ESP, 40, None),
    ] {
        assert_eq!(spec(protocol).key.read_of_quote(there), expected, "{protocol} {there}");
    }
}

/// A port that is written where a packet came in pieces: so much of the header is gathered in the first.
#[test]
fn a_header_is_read_in_one_piece() {
    for (protocol, expected) in [(protocol::TCP, &[20, 20][..]), (protocol::UDP, &[8, 32])] {
        let mut packet = packet(protocol, A, B, &[0; 40]);
        packet.fragments = [8, 32].into_iter().collect();
        spec(protocol)
            .key
            .rewrite(&mut packet, End::Source, &target(9))
            .unwrap();
        assert_eq!(&packet.fragments[..], expected, "{protocol}");
        assert_eq!(&packet.transport()[..4], [0, 9, 0, 0]);
    }
}

#[test]
fn a_quote_is_rewritten_where_enough_of_it_is_there() {
    // An echo request with identifier 7, and GRE of versions 1 and 2.
    let echo = [8, 0, 0xf7, 0xf8, 0, 7, 0, 0];
    let turned = [8, 0, 0xf7, 0xf6, 0, 9, 0, 0];
    let (gre, other) = ([0x20, 1, 0x88, 0x0b, 0, 0, 0, 7], [0x20, 2, 0x88, 0x0b, 0, 0, 0, 7]);
    let of_another = [0x20, 1, 0x88, 0x0b, 0, 0, 0, 9];
    for (protocol, end, quoted, expected) in [
        (protocol::ICMP, End::Source, &echo[..], Some(&turned[..])),
        (protocol::ICMP, End::Destination, &echo[..], Some(&turned[..])),
        (protocol::ICMP, End::Source, &echo[..7], None),
        (protocol::GRE, End::Source, &gre[..], Some(&gre[..])),
        (protocol::GRE, End::Destination, &gre[..], Some(&of_another[..])),
        (protocol::GRE, End::Source, &other[..], Some(&other[..])),
        (protocol::GRE, End::Destination, &other[..], None),
        (protocol::GRE, End::Source, &gre[..7], None),
        (protocol::UDP, End::Source, &[0, 1, 0, 2, 0, 8, 0][..], None),
        (
            protocol::UDP,
            End::Destination,
            &[0, 1, 0, 2, 0, 8, 0, 0][..],
            Some(&[0, 1, 0, 9, 0, 8, 0, 0][..]),
        ),
        (50, End::Source, &[][..], Some(&[][..])),
    ] {
        let mut transport = quoted.to_vec();
        let done = spec(protocol).key.rewrite_quoted(&mut QuotedEnd {
            transport: &mut transport,
            end,
            target: &target(9),
            address: (address(A), address(A)),
        });
        assert_eq!(done.map(|()| &transport[..]), expected, "{protocol} {end:?} {quoted:?}");
    }
}

#[test]
fn an_identifier_is_written_into_a_whole_header_only() {
    for (transport, expected) in [
        (
            &[8, 0, 0xf7, 0xf8, 0, 7, 0, 0][..],
            Ok(&[8, 0, 0xf7, 0xf6, 0, 9, 0, 0][..]),
        ),
        (
            &[8, 0, 0xf7, 0xf8, 0, 7, 0],
            Err(Unwritable("NAT cannot read the ICMP message, which is cut short")),
        ),
        // There already: a checksum that is wrong stays as it is.
        (&[8, 0, 0, 0, 0, 9, 0, 0], Ok(&[8, 0, 0, 0, 0, 9, 0, 0])),
    ] {
        let mut packet = packet(protocol::ICMP, A, B, transport);
        let done = spec(protocol::ICMP).key.rewrite(&mut packet, End::Source, &target(9));
        assert_eq!(done.map(|()| packet.transport()), expected);
    }
}

/// CRC32c over the whole packet, with the port that was written.
#[test]
fn sctp_gets_a_checksum_made_anew() {
    let header = [0, 0, 0, 0x35, 0, 0, 0, 1, 9, 9, 9, 9];
    let with_data = [&header[..], b"\x01\x02\x03hello"].concat();
    for (transport, expected) in [
        (&header[..], [0xc5, 0xff, 0xf8, 0x6d]),
        (&with_data, [0x28, 0xd8, 0xa4, 0xc3]),
    ] {
        let mut packet = packet(protocol::SCTP, A, B, transport);
        let key = &spec(protocol::SCTP).key;
        key.rewrite(&mut packet, End::Source, &target(0x1234)).unwrap();
        assert_eq!(packet.transport()[8..12], expected);
        assert_eq!(packet.transport()[12..], transport[12..]);
    }
    let mut short = packet(protocol::SCTP, A, B, &header[..11]);
    spec(protocol::SCTP)
        .key
        .rewrite(&mut short, End::Source, &target(0x1234))
        .unwrap();
    assert_eq!(short.transport(), [0x12, 0x34, 0, 0x35, 0, 0, 0, 1, 9, 9, 9]);
}
