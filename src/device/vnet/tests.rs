//! Headers that are right, and such as a hostile program could have written.

use super::*;
use crate::base::Random;
use crate::base::testing::host;
use crate::packet::testing::{echo, tcp, udp};

fn header(flags: u8, kind: u8, fields: [u16; 4]) -> [u8; LENGTH] {
    let mut header = [flags, kind, 0, 0, 0, 0, 0, 0, 0, 0];
    for (at, field) in fields.iter().enumerate() {
        header[2 + 2 * at..4 + 2 * at].copy_from_slice(&field.to_ne_bytes());
    }
    header
}

fn segment(family: Family) -> Vec<u8> {
    tcp((host(family, 2), 1), (host(family, 9), 2), &[7; 3000]).into_bytes()
}

fn datagram() -> Vec<u8> {
    udp((host(Family::V4, 2), 1), (host(Family::V4, 9), 2), &[7; 3000]).into_bytes()
}

#[test]
fn what_is_read_is_written_again() {
    let (four, six) = (segment(Family::V4), segment(Family::V6));
    for (packet, header) in [
        (&four, header(0, 0, [0; 4])),
        (&four, header(1, 0, [0, 0, 20, 16])),
        (&four, header(1, TCP_OF_IPV4, [40, 1000, 20, 16])),
        (&four, header(1, TCP_OF_IPV4 | ECN, [40, 1000, 20, 16])),
        (&six, header(1, TCP_OF_IPV6, [60, 1000, 40, 16])),
        (&datagram(), header(1, 0, [0, 0, 20, 6])),
        (&datagram(), header(1, UDP, [28, 1000, 20, 6])),
    ] {
        let offload = read(&header, &mut packet.clone()).unwrap();
        assert_eq!(write(packet, offload), header, "{offload:?}");
    }
    let whole = read(&header(1, TCP_OF_IPV4, [40, 3000, 20, 16]), &mut segment(Family::V4)).unwrap();
    assert_eq!(whole.segment_size, 0, "it stands for itself alone");
    let right = read(&header(2, 0, [0; 4]), &mut segment(Family::V4)).unwrap();
    assert_eq!(right.checksum, ChecksumState::Verified);
}

#[test]
fn what_contradicts_the_packet_is_refused() {
    use BadOffload::{ChecksumBeyond, ChecksumElsewhere, HeaderLength, Kind, NoSize, OtherProtocol};
    let four = segment(Family::V4);
    let mut short = four.clone();
    short[20 + 12] = 0x10;
    let mut cut_off = four.clone();
    cut_off.truncate(2000);
    let ping = echo(host(Family::V4, 2), host(Family::V4, 9), 1).into_bytes();
    for (packet, header, why) in [
        (&four, header(1, 1, [3041, 1000, 20, 16]), HeaderLength),
        (&four, header(1, 1, [u16::MAX, 1000, 20, 16]), HeaderLength),
        (&four, header(1, 1, [40, 1000, 3030, 16]), ChecksumBeyond),
        (&four, header(1, 0, [0, 0, u16::MAX, u16::MAX]), ChecksumBeyond),
        (&four, header(1, 0, [0, 0, 3039, 0]), ChecksumBeyond),
        (&four, header(1, 1, [40, 1000, 24, 16]), ChecksumElsewhere),
        (&four, header(1, 1, [40, 1000, 20, 6]), ChecksumElsewhere),
        (&four, header(1, 2, [40, 1000, 20, 16]), Kind),
        (&four, header(1, 3, [40, 1000, 20, 16]), Kind),
        (&four, header(1, 0x80, [40, 1000, 20, 16]), Kind),
        (&four, header(1, 0x41, [40, 1000, 20, 16]), Kind),
        (&datagram(), header(1, UDP | ECN, [28, 1000, 20, 6]), Kind),
        (&four, header(1, 4, [40, 1000, 20, 16]), OtherProtocol),
        (&four, header(1, UDP, [40, 1000, 20, 16]), OtherProtocol),
        (&datagram(), header(1, 1, [40, 1000, 20, 6]), OtherProtocol),
        (&ping, header(0, 1, [0, 10, 0, 0]), OtherProtocol),
        (&four, header(1, 1, [40, 0, 20, 16]), NoSize),
        (
            &four,
            header(1, 1, [40, 7, 20, 16]),
            BadOffload::NoSegments(NoSegments::TooSmall),
        ),
        (
            &four,
            header(0, 1, [40, 1000, 0, 0]),
            BadOffload::NoSegments(NoSegments::Checksum),
        ),
        (
            &short,
            header(1, 1, [40, 1000, 20, 16]),
            BadOffload::NoSegments(NoSegments::Transport),
        ),
        (&cut_off, header(1, 1, [40, 1000, 20, 16]), ChecksumElsewhere),
    ] {
        assert_eq!(read(&header, &mut packet.clone()), Err(why), "{header:?}");
    }
}

/// As `UDP_SEGMENT` lets a program have them.
#[test]
fn so_many_datagrams_are_taken_and_no_more() {
    for (size, data, is_taken) in [
        (1, 2, true),
        (1, 128, true),
        (7, 896, true),
        (1, 129, false),
        (7, 897, false),
        (8, 1024, true),
        (8, 1025, false),
        (100, 12_801, false),
    ] {
        let mut packet = udp((host(Family::V4, 2), 1), (host(Family::V4, 9), 2), &vec![7; data]).into_bytes();
        let expected = match is_taken {
            true => Ok(size),
            false => Err(BadOffload::NoSegments(NoSegments::TooSmall)),
        };
        let read = read(&header(1, UDP, [28, size, 20, 6]), &mut packet);
        assert_eq!(read.map(|it| it.segment_size), expected, "{size} of {data}");
    }
}

/// As seen of the kernel: a plain packet's checksum is summed from wherever its header says.
#[test]
fn a_sum_at_another_place_is_finished_there() {
    let mut packet = segment(Family::V4);
    let before = packet.clone();
    let offload = read(&header(1, 0, [0, 0, 24, 30]), &mut packet).unwrap();
    assert_eq!(offload, Offload::default());
    // What stood in the field is summed, as if it were that of a pseudo-header.
    assert_eq!(checksum::of(&packet[24..]), 0x0707);
    packet[54..56].copy_from_slice(&before[54..56]);
    assert_eq!(packet, before);
}

#[test]
fn any_header_before_any_bytes_is_read_or_refused() {
    let mut random = Random::new(5);
    let (four, six, datagram) = (segment(Family::V4), segment(Family::V6), datagram());
    let mut taken = 0;
    for round in 0..200_000 {
        let mut packet = match round % 4 {
            0 => four.clone(),
            1 => six.clone(),
            2 => datagram.clone(),
            _ => (0..random.below(100)).map(|_| random.next_u32() as u8).collect(),
        };
        packet.truncate(random.below(packet.len() as u32 + 200) as usize);
        if let Some(byte) = packet.get_mut(random.below(70) as usize) {
            *byte = random.next_u32() as u8;
        }
        let near = |random: &mut Random| {
            [0, 6, 8, 16, 20, 28, 40, 60, 1000, random.next_u32() as u16][random.below(10) as usize]
        };
        let fields = [
            near(&mut random),
            near(&mut random),
            near(&mut random),
            near(&mut random),
        ];
        let kind = [0, 1, 4, 5, 0x81, random.next_u32() as u8][random.below(6) as usize];
        let header = header(random.below(4) as u8, kind, fields);
        if let Ok(offload) = read(&header, &mut packet) {
            taken += 1;
            let again = write(&packet, offload);
            assert_eq!(
                read(&again, &mut packet).map(|it| it.segment_size),
                Ok(offload.segment_size)
            );
            crate::packet::cut(&packet, offload.segment_size, &mut Vec::new(), &mut |piece| {
                assert!(piece.len() <= packet.len().max(1));
            });
        }
    }
    assert!(taken > 1000, "{taken}");
}
