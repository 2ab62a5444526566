//! Edits and sums of plain packets, against those of any packet.

use super::*;
use crate::base::Random;

/// A packet of either protocol with anything in it, of which the header's checksum is right, and that of the transport what it may be.
fn drawn(random: &mut Random) -> Vec<u8> {
    let is_tcp = random.below(2) == 0;
    let (least, at) = if is_tcp { (20, 36) } else { (8, 26) };
    let mut bytes: Vec<u8> = (0..HEADER + least + random.below(40) as usize)
        .map(|_| random.next_u32() as u8)
        .collect();
    bytes[0] = 0x45;
    let total = bytes.len();
    put16(&mut bytes, 2, total as u16);
    put16(&mut bytes, 6, 0);
    bytes[8] = 1 + random.below(255) as u8;
    bytes[9] = if is_tcp { protocol::TCP } else { protocol::UDP };
    if random.below(3) == 0 {
        bytes[12..24].fill(if random.below(2) == 0 { 0 } else { 0xff });
    }
    let sum = match random.below(4) {
        0 => 0,
        1 => 0xffff,
        _ => random.next_u32() as u16,
    };
    put16(&mut bytes, at, sum);
    put16(&mut bytes, 10, 0);
    let sum = checksum::of(&bytes[..HEADER]);
    put16(&mut bytes, 10, sum);
    bytes
}

#[test]
fn an_edit_made_at_once_is_what_single_edits_come_to() {
    let mut random = Random::new(1);
    for round in 0..20_000 {
        let bytes = drawn(&mut random);
        let plain = Plain::read(&bytes).expect("a plain packet");
        let drawn_end = |random: &mut Random, end: End| {
            let (address, port) = match random.below(4) {
                // Ones' complement knows these two as one number.
                0 => (0, 0),
                1 => (u32::MAX, u16::MAX),
                2 => (be32(&bytes, if end == End::Source { 12 } else { 16 }), 7),
                _ => (random.next_u32(), random.next_u32() as u16),
            };
            (end, Ipv4Addr::from_bits(address), port)
        };
        let ends: Vec<_> = [End::Destination, End::Source]
            .into_iter()
            .filter(|_| random.below(2) == 0)
            .collect();
        let ends: Vec<_> = ends.into_iter().map(|end| drawn_end(&mut random, end)).collect();
        let mut packet = Packet::parse(bytes.clone()).expect("a sane one");
        let mut in_place = packet.clone();
        let change = |packet: &mut Packet, end: End| {
            for (_, address, port) in ends.iter().filter(|it| it.0 == end) {
                packet.set_port(end, *port);
                packet.set_address(end, IpAddr::V4(*address));
            }
        };
        change(&mut packet, End::Destination);
        packet.decrement_ttl();
        change(&mut packet, End::Source);
        let edit = PlainEdit::new(&plain.key, &ends);
        let mut left = vec![7; random.below(80) as usize];
        plain.leave_by(&edit, &mut left);
        in_place.leave_by(&edit);
        assert_eq!(left, packet.bytes(), "{round}: {bytes:?} {ends:?}");
        assert_eq!(in_place.bytes(), packet.bytes(), "{round}");
    }
}

#[test]
fn checksums_are_found_right_as_by_others() {
    let mut random = Random::new(2);
    let mut right = 0;
    for _ in 0..20_000 {
        let mut bytes = drawn(&mut random);
        if random.below(2) == 0 {
            let at = if bytes[9] == protocol::TCP { 36 } else { 26 };
            put16(&mut bytes, at, 0);
            let packet = Packet::parse(bytes.clone()).expect("a sane one");
            put16(&mut bytes, at, packet.transport_checksum(packet.protocol()));
        }
        let packet = Packet::parse(bytes.clone()).expect("a sane one");
        let is_right = packet.transport_checksum(packet.protocol()) == 0;
        let plain = Plain::read(&bytes).expect("a plain packet");
        assert_eq!(plain.transport_is_right(), is_right, "{bytes:?}");
        right += u32::from(is_right);
        bytes[random.below(HEADER as u32) as usize] ^= 1 << random.below(8);
        let header = bytes.first_chunk().expect("a header");
        assert_eq!(checksum::is_right(header), checksum::of(header) == 0);
    }
    assert!(right > 5_000, "{right}");
}
