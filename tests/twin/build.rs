//! Packets, made by a library that nflab's own views have nothing to do with.

use etherparse::PacketBuilder;

pub fn udp(from: (&str, u16), to: (&str, u16), data: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(address(from.0), address(to.0), 64).udp(from.1, to.1);
    finish(|out| builder.write(out, data))
}

/// `flags` as tcpdump writes them: `S`, `SA`, `A`, `PA`, `FA`, `R`, `RA`.
pub fn tcp(from: (&str, u16), to: (&str, u16), flags: &str, sequence: u32, ack: u32, data: &[u8]) -> Vec<u8> {
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

pub fn echo_request(from: &str, to: &str, id: u16, sequence: u16) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(address(from), address(to), 64).icmpv4_echo_request(id, sequence);
    finish(|out| builder.write(out, b"payload"))
}

pub fn echo_reply(from: &str, to: &str, id: u16, sequence: u16) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(address(from), address(to), 64).icmpv4_echo_reply(id, sequence);
    finish(|out| builder.write(out, b"payload"))
}

/// An ICMP error that quotes the header and eight bytes of `about`.
pub fn icmp_error(from: &str, to: &str, kind: u8, code: u8, about: &[u8]) -> Vec<u8> {
    let quoted = &about[..about.len().min(28)];
    let builder = PacketBuilder::ipv4(address(from), address(to), 64).icmpv4_raw(kind, code, [0; 4]);
    finish(|out| builder.write(out, quoted))
}

/// With another time to live; the header checksum follows.
pub fn with_ttl(mut packet: Vec<u8>, ttl: u8) -> Vec<u8> {
    packet[8] = ttl;
    packet[10..12].fill(0);
    let mut sum: u32 = packet[..20]
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet
}

fn finish<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut packet = Vec::new();
    write(&mut packet).expect("a Vec takes everything");
    packet
}

fn address(text: &str) -> [u8; 4] {
    text.parse::<std::net::Ipv4Addr>().expect("an address").octets()
}
