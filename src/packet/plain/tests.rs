//! Edits and sums of plain packets, against those of any packet.

use super::*;
use crate::base::Random;

/// Where the checksum of the transport stands in it.
fn sum_at<const WORDS: usize>(bytes: &[u8]) -> usize {
    let protocol = if WORDS == OF_IPV4 { bytes[9] } else { bytes[6] };
    PlainKey::<WORDS>::HEADER + if protocol == protocol::TCP { 16 } else { 6 }
}

/// A packet of either protocol with anything in it, of which the header's checksum is right, and that of the transport what it may be.
fn drawn<const WORDS: usize>(random: &mut Random) -> Vec<u8> {
    let header = PlainKey::<WORDS>::HEADER;
    let is_tcp = random.below(2) == 0;
    let least = if is_tcp { 20 } else { 8 };
    let mut bytes: Vec<u8> = (0..header + least + random.below(40) as usize)
        .map(|_| random.next_u32() as u8)
        .collect();
    let number = if is_tcp { protocol::TCP } else { protocol::UDP };
    let total = bytes.len();
    if WORDS == OF_IPV4 {
        bytes[0] = 0x45;
        put16(&mut bytes, 2, total as u16);
        put16(&mut bytes, 6, 0);
        bytes[9] = number;
    } else {
        bytes[0] = 0x60 | bytes[0] & 0xf;
        put16(&mut bytes, 4, (total - header) as u16);
        bytes[6] = number;
    }
    bytes[PlainKey::<WORDS>::HOPS_AT] = 1 + random.below(255) as u8;
    if random.below(3) == 0 {
        bytes[PlainKey::<WORDS>::ADDRESSES_AT..header + 4].fill(if random.below(2) == 0 { 0 } else { 0xff });
    }
    let sum = match random.below(4) {
        0 => 0,
        1 => 0xffff,
        _ => random.next_u32() as u16,
    };
    let at = sum_at::<WORDS>(&bytes);
    put16(&mut bytes, at, sum);
    if WORDS == OF_IPV4 {
        put16(&mut bytes, 10, 0);
        let sum = checksum::of(&bytes[..header]);
        put16(&mut bytes, 10, sum);
    }
    bytes
}

#[test]
fn an_edit_made_at_once_is_what_single_edits_come_to() {
    edits::<OF_IPV4>();
    edits::<OF_IPV6>();
}

fn edits<const WORDS: usize>() {
    let mut random = Random::new(1);
    for round in 0..20_000 {
        let bytes = drawn::<WORDS>(&mut random);
        let plain = Plain::<WORDS>::read(&bytes).expect("a plain packet");
        let drawn_end = |random: &mut Random, end: End| {
            let length = 4 * WORDS;
            let at = PlainKey::<WORDS>::ADDRESSES_AT + if end == End::Source { 0 } else { length };
            let (address, port) = match random.below(4) {
                // Ones' complement knows these two as one number.
                0 => (vec![0; length], 0),
                1 => (vec![0xff; length], u16::MAX),
                2 => (bytes[at..at + length].to_vec(), 7),
                _ => (
                    (0..length).map(|_| random.next_u32() as u8).collect(),
                    random.next_u32() as u16,
                ),
            };
            (end, address_in(&address), port)
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
                packet.set_address(end, *address);
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
    sums::<OF_IPV4>();
    sums::<OF_IPV6>();
}

fn sums<const WORDS: usize>() {
    let mut random = Random::new(2);
    let mut right = 0;
    for _ in 0..20_000 {
        let mut bytes = drawn::<WORDS>(&mut random);
        if random.below(2) == 0 {
            let at = sum_at::<WORDS>(&bytes);
            put16(&mut bytes, at, 0);
            let packet = Packet::parse(bytes.clone()).expect("a sane one");
            put16(&mut bytes, at, packet.transport_checksum(packet.protocol()));
        }
        let packet = Packet::parse(bytes.clone()).expect("a sane one");
        let is_right = packet.transport_checksum(packet.protocol()) == 0;
        let plain = Plain::<WORDS>::read(&bytes).expect("a plain packet");
        assert_eq!(plain.transport_is_right(), is_right, "{bytes:?}");
        right += u32::from(is_right);
        if WORDS != OF_IPV4 {
            continue;
        }
        bytes[random.below(20) as usize] ^= 1 << random.below(8);
        let header = bytes.first_chunk().expect("a header");
        assert_eq!(checksum::is_right(header), checksum::of(header) == 0);
    }
    assert!(right > 5_000, "{right}");
}
