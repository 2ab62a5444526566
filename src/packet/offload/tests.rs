//! Packets that stand for many: cut, joined, and refused.

use super::*;
use crate::base::Random;
use crate::base::testing::{families, host};
use crate::packet::testing::{tcp as segment, udp as datagram};
use crate::packet::{Joined, cut};
use crate::wire::tcp::{Tcp, flags};
use crate::wire::{be16, be32, checksum, put16, put32};

fn is_summed(packet: &Packet) -> bool {
    let sum = checksum::transport(
        packet.source(),
        packet.destination(),
        packet.protocol(),
        packet.transport(),
    );
    sum == 0 && packet.ipv4().is_none_or(|it| it.checksum_is_right())
}

/// Unfinished, as a device hands it over.
fn unfinished(mut packet: Packet, segment_size: u16) -> Packet {
    let length = packet.transport().len();
    let sum = checksum::pseudo_header(packet.source(), packet.destination(), packet.protocol(), length);
    let at = if packet.protocol() == protocol::TCP { 16 } else { 6 };
    put16(packet.transport_mut(), at, checksum::fold(sum));
    let offload = Offload {
        checksum: ChecksumState::Partial,
        segment_size,
        ecn: false,
    };
    packet.set_offload(offload).unwrap();
    packet
}

fn pieces(packet: &Packet) -> Vec<Packet> {
    let mut pieces = Vec::new();
    packet.clone().cut(&mut |piece| pieces.push(piece));
    pieces
}

/// Data, options and flags as they come.
fn drawn(random: &mut Random, family: Family, is_tcp: bool) -> Packet {
    let data: Vec<u8> = (0..1 + random.below(9000)).map(|_| random.next_u32() as u8).collect();
    let (from, to) = ((host(family, 2), 4000), (host(family, 9), 80));
    if !is_tcp {
        return datagram(from, to, &data);
    }
    let mut packet = segment(from, to, b"");
    let options = [1u8; 40];
    let options = &options[..4 * random.below(11) as usize];
    let mut transport = packet.transport().to_vec();
    transport[12] = ((20 + options.len()) as u8 / 4) << 4;
    transport[13] = flags::ACK | random.next_u32() as u8 & (flags::ECE | flags::CWR | flags::PSH | flags::FIN);
    put32(&mut transport, 4, random.next_u32());
    transport.extend_from_slice(options);
    transport.extend_from_slice(&data);
    packet.replace_transport(&transport);
    packet.set_identification(random.next_u32() as u16);
    packet.fill_header_checksum();
    packet
}

families! {
    fn segments_are_what_the_whole_said(family: Family) {
        let mut random = Random::new(11);
        for round in 0..400 {
            let is_tcp = round % 2 == 0;
            // No more than 128 datagrams.
            let size = if is_tcp { 8 } else { 71 } + random.below(1500) as u16;
            let whole = unfinished(drawn(&mut random, family, is_tcp), size);
            let headers = headers_of(whole.bytes()).unwrap();
            let cut = pieces(&whole);
            let mut data = Vec::new();
            for (index, piece) in cut.iter().enumerate() {
                assert!(is_summed(piece), "{round}");
                assert_eq!(piece.offload().segment_size, 0);
                let is_last = index + 1 == cut.len();
                if !is_last {
                    assert_eq!(piece.len(), headers + usize::from(size));
                    assert_eq!(piece.len(), whole.largest_segment());
                }
                if let (Some(header), Some(own)) = (piece.ipv4(), whole.ipv4()) {
                    assert_eq!(header.identification(), own.identification().wrapping_add(index as u16));
                    assert_eq!(usize::from(header.total_length()), piece.len());
                }
                if let (Some(header), Some(own)) = (piece.tcp(), whole.tcp()) {
                    assert_eq!(header.sequence(), own.sequence().wrapping_add(data.len() as u32));
                    let last = if is_last { own.flags() } else { own.flags() & !(flags::FIN | flags::PSH) };
                    let first = if index == 0 { last } else { last & !flags::CWR };
                    assert_eq!(header.flags(), first);
                    assert_eq!(header.options_bytes(), own.options_bytes());
                } else {
                    assert_eq!(usize::from(piece.udp().unwrap().length()), piece.transport().len());
                }
                data.extend_from_slice(&piece.bytes()[headers..]);
            }
            assert_eq!(data, whole.bytes()[headers..], "{round}");
        }
    }
}

/// All of them, as far as they go, in as few as may be.
fn joined(packets: &[Packet]) -> Vec<(Vec<u8>, Offload)> {
    let (mut done, mut held) = (Vec::new(), None::<Joined>);
    for packet in packets {
        if let Some(joined) = &mut held
            && joined.join(packet.bytes(), packet.offload())
        {
            continue;
        }
        done.extend(held.take().map(Joined::finish));
        let mut bytes = packet.bytes().to_vec();
        held = Joined::begin(&mut bytes, packet.offload());
        if held.is_none() {
            done.push((bytes, packet.offload()));
        }
    }
    done.extend(held.map(Joined::finish));
    done
}

fn cut_again(packets: &[(Vec<u8>, Offload)]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (bytes, offload) in packets {
        match offload.segment_size {
            0 => all.push(bytes.clone()),
            size => cut(bytes, size, &mut Vec::new(), &mut |piece| all.push(piece.clone())),
        }
    }
    all
}

families! {
    fn what_was_cut_is_joined_and_what_was_joined_is_cut(family: Family) {
        let mut random = Random::new(12);
        for round in 0..600 {
            let size = 100 + random.below(1400) as u16;
            let mut whole = drawn(&mut random, family, true);
            whole.transport_mut()[13] &= !flags::CWR;
            let whole = unfinished(whole, size);
            let cut = pieces(&whole);
            let joined = joined(&cut);
            assert_eq!(joined.len(), 1, "{round}");
            let (bytes, offload) = &joined[0];
            if cut.len() > 1 {
                assert_eq!(bytes, whole.bytes(), "{round}");
                assert_eq!(*offload, whole.offload());
            }
            let again = cut_again(&joined);
            assert!(again.iter().eq(cut.iter().map(Packet::bytes)), "{round}");
        }
    }
}

/// A change of a packet's bytes; those of TCP's begin with its header.
type Change = fn(&mut [u8]);

const OF_IPV4: &[(&str, Change, usize)] = &[
    ("type of service", |it| it[1] = 4, 3),
    ("identification", |it| it[5] ^= 1, 3),
    ("DF", |it| it[6] ^= 0x40, 3),
    ("a fragment", |it| it[6] = 0x20, 3),
    ("time to live", |it| it[8] = 3, 3),
    ("source", |it| it[15] ^= 1, 3),
];

const OF_IPV6: &[(&str, Change, usize)] = &[
    ("traffic class", |it| it[0] |= 1, 3),
    ("flow label", |it| it[3] ^= 1, 3),
    ("hop limit", |it| it[7] = 3, 3),
    ("source", |it| it[23] ^= 1, 3),
    ("destination", |it| it[39] ^= 1, 3),
];

const OF_TCP: &[(&str, Change, usize)] = &[
    ("nothing", |_| {}, 1),
    ("port", |it| it[3] ^= 1, 3),
    ("sequence", |it| it[7] ^= 1, 3),
    ("acknowledgement", |it| it[11] ^= 1, 3),
    ("reserved bits", |it| it[12] |= 1, 3),
    ("PSH ends it", |it| it[13] |= flags::PSH, 2),
    ("FIN ends it", |it| it[13] |= flags::FIN, 2),
    ("SYN", |it| it[13] |= flags::SYN, 3),
    ("URG", |it| it[13] |= flags::URG, 3),
    ("ECE", |it| it[13] |= flags::ECE, 3),
    ("CWR", |it| it[13] |= flags::CWR, 3),
    ("window", |it| it[14] ^= 1, 3),
    ("urgent pointer", |it| it[19] = 1, 3),
];

fn three(family: Family) -> Packet {
    unfinished(segment((host(family, 2), 1), (host(family, 9), 2), &[7; 300]), 100)
}

/// Into how many the three segments go once the second is changed.
fn apart(family: Family, what: &str, change: impl Fn(&mut Vec<u8>)) -> usize {
    let mut cut = pieces(&three(family));
    let mut bytes = cut[1].bytes().to_vec();
    change(&mut bytes);
    let length_at = if family == Family::V4 { 2 } else { 4 };
    let taken = three(family).len() - usize::from(be16(three(family).bytes(), length_at));
    let length = (bytes.len() - taken) as u16;
    put16(&mut bytes, length_at, length);
    let mut packet = Packet::parse(bytes).unwrap();
    packet.fill_header_checksum();
    put16(packet.transport_mut(), 16, 0);
    let sum = checksum::transport(packet.source(), packet.destination(), protocol::TCP, packet.transport());
    put16(packet.transport_mut(), 16, sum);
    cut[1] = packet;
    let joined = joined(&cut);
    assert!(cut_again(&joined).iter().eq(cut.iter().map(Packet::bytes)), "{what}");
    joined.len()
}

families! {
    /// Each a change of the second of three segments that keeps all from being joined: into how many they go.
    fn what_differs_stays_apart(family: Family) {
        let network = three(family).network_header_length();
        let of_family = if family == Family::V4 { OF_IPV4 } else { OF_IPV6 };
        let all = of_family.iter().map(|it| (0, it)).chain(OF_TCP.iter().map(|it| (network, it)));
        for (from, (what, change, packets)) in all {
            assert_eq!(apart(family, what, |it| change(&mut it[from..])), *packets, "{what}");
        }
        assert_eq!(apart(family, "shorter", |it| it.truncate(network + 80)), 2);
    }

    fn a_wrong_sum_stays_wrong(family: Family) {
        for at in 0..3 {
            let mut cut = pieces(&three(family));
            cut[at].transport_mut()[30] ^= 1;
            let joined = joined(&cut);
            assert!(joined.len() > 1, "{at}");
            assert!(cut_again(&joined).iter().eq(cut.iter().map(Packet::bytes)), "{at}");
        }
    }
}

#[test]
fn what_cannot_be_many_is_refused() {
    let whole = |data: usize| segment((host(Family::V4, 2), 1), (host(Family::V4, 9), 2), &vec![7; data]);
    let say = |packet: &Packet, checksum, segment_size| {
        let offload = Offload {
            checksum,
            segment_size,
            ecn: true,
        };
        assert_eq!(offload.of_bytes(packet.bytes()), {
            let mut packet = packet.clone();
            packet.set_offload(offload).map(|()| packet.offload())
        });
        offload.of_bytes(packet.bytes()).map(|it| it.segment_size)
    };
    use ChecksumState::{Partial, Unknown};
    for size in [0, 100, 300, u16::MAX] {
        let is_many = size == 100;
        assert_eq!(say(&whole(300), Partial, size), Ok(if is_many { size } else { 0 }));
    }
    assert_eq!(say(&whole(300), Partial, 1), Err(NoSegments::TooSmall));
    assert_eq!(say(&whole(300), Unknown, 100), Err(NoSegments::Checksum));
    let mut packet = whole(300);
    packet.transport_mut()[12] = 0xf0;
    assert_eq!(say(&packet, Partial, 100), Ok(100));
    packet.transport_mut()[12] = 0x40;
    assert_eq!(say(&packet, Partial, 100), Err(NoSegments::Transport));
    let echo = crate::packet::testing::echo(host(Family::V4, 2), host(Family::V4, 9), 1);
    assert_eq!(say(&echo, Partial, 8), Err(NoSegments::Transport));
    let mut packet = datagram((host(Family::V4, 2), 1), (host(Family::V4, 9), 2), &[7; 300]);
    packet.transport_mut()[5] ^= 1;
    assert_eq!(say(&packet, Partial, 100), Err(NoSegments::Transport));
    let mut bytes = whole(300).into_bytes();
    bytes[6] = 0x20;
    let fragment = Packet::parse(bytes).unwrap();
    assert_eq!(say(&fragment, Partial, 100), Err(NoSegments::Transport));
    assert_eq!(be32(whole(300).transport(), 4), 1000);
    assert!(Tcp::new(whole(300).transport()).is_ok());
}
