//! Packets, written byte by byte: quick, and apart from nflab's own views, so that a fault there cannot hide behind itself here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::super::layout::{self, addresses, is_ipv6, piece, upper};
pub(in super::super) use super::super::layout::{ICMP, ICMPV6, IPV6, TCP, UDP};

pub(super) type Address = IpAddr;

pub(super) const SCTP: u8 = 132;
pub(super) const UDPLITE: u8 = 136;

pub(super) const fn v4(octets: [u8; 4]) -> Address {
    let [a, b, c, d] = octets;
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

pub(super) const fn v6(groups: [u16; 8]) -> Address {
    let [a, b, c, d, e, f, g, h] = groups;
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const URG: u8 = 0x20;
pub(super) const ECE: u8 = 0x40;
pub(super) const CWR: u8 = 0x80;

/// The one behind it.
pub(super) fn next(address: Address) -> Address {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            v4([a, b, c, d.wrapping_add(1)])
        }
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).wrapping_add(1)).into(),
    }
}

/// What of a header is not told by the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip {
    pub source: Address,
    pub destination: Address,
    /// In IPv6 the hop limit.
    pub ttl: u8,
    /// In IPv6 the traffic class.
    pub tos: u8,
    /// By which a host is known to get what another sent: in IPv6 the flow label, which no router changes either.
    pub identification: u16,
    /// In IPv6 every packet is such.
    pub dont_fragment: bool,
}

impl Ip {
    pub(super) fn new(source: Address, destination: Address) -> Self {
        Self {
            source,
            destination,
            ttl: 64,
            tos: 0,
            identification: 1,
            dont_fragment: false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub ports: (u16, u16),
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    pub window: u16,
    /// A multiple of four bytes.
    pub options: &'a [u8],
    pub data: &'a [u8],
}

pub(super) fn ip(header: Ip, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = begin(header, protocol, payload.len());
    packet.extend_from_slice(payload);
    packet
}

pub(super) fn tcp(header: Ip, segment: Segment<'_>) -> Vec<u8> {
    let length = 20 + segment.options.len() + segment.data.len();
    let mut packet = begin(header, TCP, length);
    packet.extend_from_slice(&segment.ports.0.to_be_bytes());
    packet.extend_from_slice(&segment.ports.1.to_be_bytes());
    packet.extend_from_slice(&segment.sequence.to_be_bytes());
    packet.extend_from_slice(&segment.acknowledgement.to_be_bytes());
    packet.push(((20 + segment.options.len()) as u8 / 4) << 4);
    packet.push(segment.flags);
    packet.extend_from_slice(&segment.window.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(segment.options);
    packet.extend_from_slice(segment.data);
    seal_transport(&mut packet);
    packet
}

pub(super) fn udp(header: Ip, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let mut packet = begin(header, UDP, 8 + data.len());
    packet.extend_from_slice(&ports.0.to_be_bytes());
    packet.extend_from_slice(&ports.1.to_be_bytes());
    packet.extend_from_slice(&(8 + data.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[0; 2]);
    packet.extend_from_slice(data);
    seal_transport(&mut packet);
    packet
}

/// Chunks are a type, flags and what follows their length, which is made up for.
pub(super) fn sctp(header: Ip, ports: (u16, u16), tag: u32, chunks: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
    let mut transport = Vec::new();
    transport.extend_from_slice(&ports.0.to_be_bytes());
    transport.extend_from_slice(&ports.1.to_be_bytes());
    transport.extend_from_slice(&tag.to_be_bytes());
    transport.extend_from_slice(&[0; 4]);
    for (kind, flags, body) in chunks {
        transport.extend_from_slice(&[*kind, *flags]);
        transport.extend_from_slice(&(4 + body.len() as u16).to_be_bytes());
        transport.extend_from_slice(body);
        transport.resize(transport.len().next_multiple_of(4), 0);
    }
    let mut packet = ip(header, SCTP, &transport);
    seal_transport(&mut packet);
    packet
}

/// `rest` are the four bytes after the checksum; kind and code are the family's own.
pub(super) fn icmp(header: Ip, kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut packet = begin(header, header.icmp(), 8 + data.len());
    packet.extend_from_slice(&[kind, code, 0, 0]);
    packet.extend_from_slice(&rest);
    packet.extend_from_slice(data);
    seal_transport(&mut packet);
    packet
}

/// A question, or the answer to one.
pub(super) fn echo(header: Ip, is_answer: bool, id: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let kind = match (header.source.is_ipv6(), is_answer) {
        (false, false) => 8,
        (false, true) => 0,
        (true, false) => 128,
        (true, true) => 129,
    };
    let [a, b] = id.to_be_bytes();
    let [c, d] = sequence.to_be_bytes();
    icmp(header, kind, 0, [a, b, c, d], data)
}

impl Ip {
    fn icmp(&self) -> u8 {
        if self.source.is_ipv6() { ICMPV6 } else { ICMP }
    }
}

/// Both addresses are of one family.
fn begin(header: Ip, protocol: u8, payload: usize) -> Vec<u8> {
    match (header.source, header.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = (20 + payload) as u16;
            let mut packet = Vec::with_capacity(20 + payload);
            packet.extend_from_slice(&[0x45, header.tos]);
            packet.extend_from_slice(&total.to_be_bytes());
            packet.extend_from_slice(&header.identification.to_be_bytes());
            packet.extend_from_slice(&[
                if header.dont_fragment { 0x40 } else { 0 },
                0,
                header.ttl,
                protocol,
                0,
                0,
            ]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            seal(&mut packet);
            packet
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let first = 6 << 28 | u32::from(header.tos) << 20 | u32::from(header.identification);
            let mut packet = Vec::with_capacity(IPV6 + payload);
            packet.extend_from_slice(&first.to_be_bytes());
            packet.extend_from_slice(&(payload as u16).to_be_bytes());
            packet.extend_from_slice(&[protocol, header.ttl]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            packet
        }
        (source, destination) => panic!("no packet goes from {source} to {destination}"),
    }
}

/// Where the transport begins; of a later fragment, where its part of the packet does.
fn header_length(packet: &[u8]) -> usize {
    if is_ipv6(packet, 0) {
        let at = upper(packet, 0).map(|it| it.at).or(piece(packet).map(|it| it.at));
        return at.unwrap_or(IPV6);
    }
    (usize::from(packet[0] & 15) * 4).clamp(20, packet.len().max(20))
}

/// The header checksum, after an edit. IPv6 has none.
pub(super) fn seal(packet: &mut [u8]) {
    if is_ipv6(packet, 0) {
        return;
    }
    let header = header_length(packet).min(packet.len());
    packet[10..12].fill(0);
    let sum = fold(sum(&packet[..header]));
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
}

/// Another packet than the one it was made of, to those who follow it.
pub(super) fn identify(packet: &mut [u8], identification: u16) {
    let at = if is_ipv6(packet, 0) { 2 } else { 4 };
    packet[at..at + 2].copy_from_slice(&identification.to_be_bytes());
    seal(packet);
}

/// An address as it stands in a packet.
pub(super) fn octets(address: Address) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// What a header says the length is, and whatever hangs on it.
pub(super) fn set_length(packet: &mut [u8], length: usize) {
    match is_ipv6(packet, 0) {
        true => packet[4..6].copy_from_slice(&((length - IPV6) as u16).to_be_bytes()),
        false => packet[2..4].copy_from_slice(&(length as u16).to_be_bytes()),
    }
    seal(packet);
}

/// So many bytes instead, all of them said to be there; what comes newly is this one.
pub(super) fn lengthen(packet: &mut Vec<u8>, length: usize, fill: u8) {
    packet.resize(length, fill);
    set_length(packet, length);
    if let Some(seen) = Seen::of(packet).filter(|it| it.protocol == UDP && packet.len() >= it.transport + 6) {
        let at = seen.transport + 4;
        packet[at..at + 2].copy_from_slice(&((length - seen.transport) as u16).to_be_bytes());
    }
    seal_transport(packet);
    seal(packet);
}

/// The checksum of TCP, UDP, SCTP or ICMP, after an edit.
pub(super) fn seal_transport(packet: &mut [u8]) {
    let header = header_length(packet);
    let Some(protocol) = layout::protocol(packet, 0) else {
        return;
    };
    if protocol == SCTP {
        return seal_sctp(packet.get_mut(header..).unwrap_or_default());
    }
    let at = header
        + match protocol {
            TCP => 16,
            UDP => 6,
            ICMP | ICMPV6 => 2,
            _ => return,
        };
    if packet.len() < at + 2 {
        return;
    }
    packet[at..at + 2].fill(0);
    let pseudo = match protocol {
        ICMP => 0,
        _ => sum(&layout::pseudo_header(packet, protocol, packet.len() - header)),
    };
    let sum = match (!fold(pseudo + sum(&packet[header..])), protocol) {
        (0, UDP) => 0xffff,
        (sum, _) => sum,
    };
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// CRC32c (RFC 9260, appendix A) of all from the transport header on, where that is whole.
pub(in super::super) fn seal_sctp(transport: &mut [u8]) {
    if transport.len() < 12 {
        return;
    }
    transport[8..12].fill(0);
    let mut crc = u32::MAX;
    for &byte in &*transport {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ ((crc & 1) * 0x82f6_3b78);
        }
    }
    transport[8..12].copy_from_slice(&(!crc).to_le_bytes());
}

fn sum(bytes: &[u8]) -> u64 {
    let mut pairs = bytes.chunks_exact(2);
    let whole: u64 = pairs
        .by_ref()
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    whole + pairs.remainder().first().map_or(0, |&last| u64::from(last) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A piece of a packet: these bytes of its payload, and whether more follow. Bytes past the payload's end are sevens. In IPv6 they are counted from
/// behind the fixed header.
pub(super) fn fragment(packet: &[u8], identification: u16, bytes: Range<usize>, more: bool) -> Vec<u8> {
    let header = if is_ipv6(packet, 0) {
        IPV6
    } else {
        header_length(packet)
    };
    let payload = &packet[header..];
    let mut piece = packet[..header].to_vec();
    if is_ipv6(packet, 0) {
        let field = (bytes.start as u16 & 0xfff8) | u16::from(more);
        piece.extend([packet[6], 0]);
        piece.extend(field.to_be_bytes());
        piece.extend(u32::from(identification).to_be_bytes());
        piece[6] = 44;
    }
    piece.extend(bytes.clone().map(|at| payload.get(at).copied().unwrap_or(7)));
    if !is_ipv6(packet, 0) {
        piece[4..6].copy_from_slice(&identification.to_be_bytes());
        let field = (bytes.start / 8) as u16 & 0x1fff | if more { 0x2000 } else { 0 };
        piece[6..8].copy_from_slice(&field.to_be_bytes());
    }
    let length = piece.len();
    set_length(&mut piece, length);
    piece
}

/// With options between header and payload; their length is a multiple of four, forty at most.
pub(super) fn with_options(packet: &[u8], options: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[0] = 0x45 + (options.len() / 4) as u8;
    let total = (packet.len() + options.len()) as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.splice(20..20, options.iter().copied());
    seal(&mut packet);
    packet
}

/// With an extension header of this number before what stands behind the fixed header; its first byte is made up for.
pub(super) fn with_extension(packet: &[u8], number: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let next = std::mem::replace(&mut packet[6], number);
    packet.splice(IPV6..IPV6, [next].into_iter().chain(rest.iter().copied()));
    let length = packet.len();
    set_length(&mut packet, length);
    packet
}

/// Where the hops that are left stand, and the number of what follows.
pub(super) fn hops_at(packet: &[u8]) -> usize {
    if is_ipv6(packet, 0) { 7 } else { 8 }
}

pub(super) fn protocol_at(packet: &[u8]) -> usize {
    if is_ipv6(packet, 0) { 6 } else { 9 }
}

/// Another source or destination; both are of one family.
pub(super) fn set_address(packet: &mut [u8], is_destination: bool, address: Address) {
    let octets = octets(address);
    let first = if is_ipv6(packet, 0) { 8 } else { 12 };
    let at = first + if is_destination { octets.len() } else { 0 };
    packet[at..at + octets.len()].copy_from_slice(&octets);
}

/// What a host sees in a whole, well-formed packet.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub source: Address,
    pub destination: Address,
    pub protocol: u8,
    pub identification: u16,
    /// Of TCP, UDP and SCTP; of ICMP its identifier twice; else zero.
    pub ports: (u16, u16),
    /// Where the transport header begins, and the data behind it.
    pub transport: usize,
    pub data: usize,
}

impl Seen {
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let is_v6 = is_ipv6(packet, 0);
        if packet.len() < if is_v6 { IPV6 } else { 20 } {
            return None;
        }
        let (source, destination) = addresses(packet, 0)?;
        let transport = header_length(packet);
        let part = packet.get(transport..)?;
        let word = |at: usize| part.get(at..at + 2).map_or(0, |it| u16::from_be_bytes([it[0], it[1]]));
        let protocol = layout::protocol(packet, 0)?;
        let is_later_fragment = piece(packet).is_some_and(|piece| piece.offset != 0);
        let (ports, header) = match protocol {
            _ if is_later_fragment => ((0, 0), 0),
            TCP if part.len() >= 20 => ((word(0), word(2)), usize::from(part[12] >> 4) * 4),
            UDP if part.len() >= 8 => ((word(0), word(2)), 8),
            SCTP if part.len() >= 12 => ((word(0), word(2)), 12),
            ICMP | ICMPV6 if part.len() >= 8 => ((word(4), word(4)), 8),
            _ => ((0, 0), 0),
        };
        Some(Self {
            source,
            destination,
            protocol,
            identification: word_of(packet, if is_v6 { 2 } else { 4 }),
            ports,
            transport,
            data: (transport + header).min(packet.len()),
        })
    }

    pub(super) fn sequence(&self, packet: &[u8]) -> u32 {
        let at = self.transport + 4;
        packet
            .get(at..at + 4)
            .map_or(0, |it| u32::from_be_bytes([it[0], it[1], it[2], it[3]]))
    }
}

fn word_of(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}
