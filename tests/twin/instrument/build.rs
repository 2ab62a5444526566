//! Packets, made by a library that nflab's own views have nothing to do with.

use etherparse::PacketBuilder;

pub(crate) fn udp(from: (&str, u16), to: (&str, u16), data: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(address(from.0), address(to.0), 64).udp(from.1, to.1);
    finish(|out| builder.write(out, data))
}

/// `flags` as tcpdump writes them: `S`, `SA`, `A`, `PA`, `FA`, `R`, `RA`.
pub(crate) fn tcp(from: (&str, u16), to: (&str, u16), flags: &str, sequence: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let mut builder = PacketBuilder::ipv4(address(from.0), address(to.0), 64).tcp(from.1, to.1, sequence, 8192);
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'A' => builder.ack(ack),
            'P' => builder.psh(),
            'F' => builder.fin(),
            'R' => builder.rst(),
            other => panic!("no flag {other}"),
        };
    }
    finish(|out| builder.write(out, data))
}

pub(crate) fn echo_request(from: &str, to: &str, id: u16, sequence: u16) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(address(from), address(to), 64).icmpv4_echo_request(id, sequence);
    finish(|out| builder.write(out, b"payload"))
}

pub(crate) fn echo_reply(from: &str, to: &str, id: u16, sequence: u16) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(address(from), address(to), 64).icmpv4_echo_reply(id, sequence);
    finish(|out| builder.write(out, b"payload"))
}

/// An ICMP error that quotes the header and eight bytes of `about`.
pub(crate) fn icmp_error(from: &str, to: &str, kind: u8, code: u8, about: &[u8]) -> Vec<u8> {
    let quoted = &about[..about.len().min(28)];
    let builder = PacketBuilder::ipv4(address(from), address(to), 64).icmpv4_raw(kind, code, [0; 4]);
    finish(|out| builder.write(out, quoted))
}

/// With another time to live; the header checksum follows.
pub(crate) fn with_ttl(mut packet: Vec<u8>, ttl: u8) -> Vec<u8> {
    packet[8] = ttl;
    sealed(packet)
}

/// The header checksum, after an edit.
pub(crate) fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
    let header = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let mut sum: u32 = packet[..header]
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet
}

/// A piece of a packet: these bytes of its payload, and whether more follow.
pub(crate) fn fragment(packet: &[u8], identification: u16, from: usize, to: usize, more: bool) -> Vec<u8> {
    let header = usize::from(packet[0] & 15) * 4;
    let payload = &packet[header..];
    let (from, to) = (from.min(payload.len()), to.min(payload.len()));
    let mut piece = packet[..header].to_vec();
    piece.extend_from_slice(&payload[from..to]);
    let total = piece.len() as u16;
    piece[2..4].copy_from_slice(&total.to_be_bytes());
    piece[4..6].copy_from_slice(&identification.to_be_bytes());
    let field = (from / 8) as u16 | if more { 0x2000 } else { 0 };
    piece[6..8].copy_from_slice(&field.to_be_bytes());
    sealed(piece)
}

/// The same bytes under another protocol number.
pub(crate) fn of_protocol(mut packet: Vec<u8>, protocol: u8) -> Vec<u8> {
    packet[9] = protocol;
    sealed(packet)
}

/// With options between header and payload; their length is a multiple of four.
pub(crate) fn with_options(mut packet: Vec<u8>, options: &[u8]) -> Vec<u8> {
    packet[0] += (options.len() / 4) as u8;
    let total = (packet.len() + options.len()) as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.splice(20..20, options.iter().copied());
    sealed(packet)
}

fn finish<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut packet = Vec::new();
    write(&mut packet).expect("a Vec takes everything");
    packet
}

fn address(text: &str) -> [u8; 4] {
    text.parse::<std::net::Ipv4Addr>().expect("an address").octets()
}
