//! Packets, written byte by byte: quick, and apart from nflab's own views, so that a fault there cannot hide behind itself here.

use std::ops::Range;

pub(super) type Address = [u8; 4];

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const SCTP: u8 = 132;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const URG: u8 = 0x20;
pub(super) const ECE: u8 = 0x40;
pub(super) const CWR: u8 = 0x80;

/// What of an IPv4 header is not told by the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip {
    pub source: Address,
    pub destination: Address,
    pub ttl: u8,
    pub tos: u8,
    pub identification: u16,
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

/// `rest` are the four bytes after the checksum.
pub(super) fn icmp(header: Ip, kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut packet = begin(header, ICMP, 8 + data.len());
    packet.extend_from_slice(&[kind, code, 0, 0]);
    packet.extend_from_slice(&rest);
    packet.extend_from_slice(data);
    seal_transport(&mut packet);
    packet
}

pub(super) fn echo(header: Ip, kind: u8, id: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let [a, b] = id.to_be_bytes();
    let [c, d] = sequence.to_be_bytes();
    icmp(header, kind, 0, [a, b, c, d], data)
}

fn begin(header: Ip, protocol: u8, payload: usize) -> Vec<u8> {
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
    packet.extend_from_slice(&header.source);
    packet.extend_from_slice(&header.destination);
    seal(&mut packet);
    packet
}

fn header_length(packet: &[u8]) -> usize {
    (usize::from(packet[0] & 15) * 4).clamp(20, packet.len().max(20))
}

/// The header checksum, after an edit.
pub(super) fn seal(packet: &mut [u8]) {
    let header = header_length(packet).min(packet.len());
    packet[10..12].fill(0);
    let sum = fold(sum(&packet[..header]));
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
}

/// The checksum of TCP, UDP, SCTP or ICMP, after an edit.
pub(super) fn seal_transport(packet: &mut [u8]) {
    let header = header_length(packet);
    let protocol = packet[9];
    if protocol == SCTP {
        return seal_sctp(packet.get_mut(header..).unwrap_or_default());
    }
    let at = header
        + match protocol {
            TCP => 16,
            UDP => 6,
            ICMP => 2,
            _ => return,
        };
    if packet.len() < at + 2 {
        return;
    }
    packet[at..at + 2].fill(0);
    let pseudo = match protocol {
        ICMP => 0,
        _ => sum(&packet[12..20]) + u64::from(protocol) + (packet.len() - header) as u64,
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

/// A piece of a packet: these bytes of its payload, and whether more follow. Bytes past the payload's end are sevens.
pub(super) fn fragment(packet: &[u8], identification: u16, bytes: Range<usize>, more: bool) -> Vec<u8> {
    let header = header_length(packet);
    let payload = &packet[header..];
    let mut piece = packet[..header].to_vec();
    piece.extend(bytes.clone().map(|at| payload.get(at).copied().unwrap_or(7)));
    let total = piece.len() as u16;
    piece[2..4].copy_from_slice(&total.to_be_bytes());
    piece[4..6].copy_from_slice(&identification.to_be_bytes());
    let field = (bytes.start / 8) as u16 & 0x1fff | if more { 0x2000 } else { 0 };
    piece[6..8].copy_from_slice(&field.to_be_bytes());
    seal(&mut piece);
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
        if packet.len() < 20 || packet[0] >> 4 != 4 {
            return None;
        }
        let transport = header_length(packet);
        let part = packet.get(transport..)?;
        let word = |at: usize| part.get(at..at + 2).map_or(0, |it| u16::from_be_bytes([it[0], it[1]]));
        let is_later_fragment = word_of(packet, 6) & 0x1fff != 0;
        let (ports, header) = match packet[9] {
            _ if is_later_fragment => ((0, 0), 0),
            TCP if part.len() >= 20 => ((word(0), word(2)), usize::from(part[12] >> 4) * 4),
            UDP if part.len() >= 8 => ((word(0), word(2)), 8),
            SCTP if part.len() >= 12 => ((word(0), word(2)), 12),
            ICMP if part.len() >= 8 => ((word(4), word(4)), 8),
            _ => ((0, 0), 0),
        };
        Some(Self {
            source: [packet[12], packet[13], packet[14], packet[15]],
            destination: [packet[16], packet[17], packet[18], packet[19]],
            protocol: packet[9],
            identification: word_of(packet, 4),
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
