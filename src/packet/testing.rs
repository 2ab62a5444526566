//! Packets of both families for tests. etherparse makes them, so nothing of ours is in their checksums.

use std::net::IpAddr;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};

use super::Packet;

type End = (IpAddr, u16);

pub(crate) fn udp(from: End, to: End, data: &[u8]) -> Packet {
    let builder = headers(from.0, to.0).udp(from.1, to.1);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, data).unwrap();
    Packet::parse(bytes).unwrap()
}

/// A segment with ACK.
pub(crate) fn tcp(from: End, to: End, data: &[u8]) -> Packet {
    let builder = headers(from.0, to.0).tcp(from.1, to.1, 1000, 65535).ack(2000);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, data).unwrap();
    Packet::parse(bytes).unwrap()
}

/// An echo request of the family's own ICMP.
pub(crate) fn echo(from: IpAddr, to: IpAddr, identifier: u16) -> Packet {
    let mut bytes = Vec::new();
    let builder = headers(from, to);
    match from {
        IpAddr::V4(_) => builder.icmpv4_echo_request(identifier, 1).write(&mut bytes, b"data"),
        IpAddr::V6(_) => builder.icmpv6_echo_request(identifier, 1).write(&mut bytes, b"data"),
    }
    .unwrap();
    Packet::parse(bytes).unwrap()
}

fn headers(from: IpAddr, to: IpAddr) -> PacketBuilderStep<IpHeaders> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => panic!("{from} and {to} are of two families"),
    }
}
