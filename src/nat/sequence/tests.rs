//! Which numbers are shifted, and which packets cannot be. Seen with FTP through MASQUERADE on Linux 6.18.

use std::sync::Arc;

use super::*;
use crate::conntrack::testing::{A, B, Bench, packet, tcp as segment};
use crate::wire::tcp::flags::{ACK, PSH, SYN};

/// Up to 100 nothing, then ten more.
const LONGER: SequenceAdjustment = SequenceAdjustment {
    position: 100,
    before: 0,
    after: 10,
};

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|it| it.to_be_bytes()).collect()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn blocks_of_selective_acknowledgements_are_shifted() {
    let (seen, told) = (words(&[500, 600]), words(&[490, 590]));
    let odd = words(&[500]);
    for (options, expected) in [
        (vec![0, 0, 0, 0], Some(vec![0, 0, 0, 0])),
        (joined(&[&[1, 1, 5, 10], &seen]), Some(joined(&[&[1, 1, 5, 10], &told]))),
        // Two blocks, and padding behind them.
        (
            joined(&[&[5, 18], &seen, &seen, &[1, 1]]),
            Some(joined(&[&[5, 18], &told, &told, &[1, 1]])),
        ),
        // What was acknowledged before the change stays.
        (
            joined(&[&[1, 1, 5, 10], &words(&[50, 110])]),
            Some(joined(&[&[1, 1, 5, 10], &words(&[50, 100])])),
        ),
        // Another option comes first; nothing behind the end of the list counts.
        (
            joined(&[&[2, 4, 5, 0xb4, 5, 10], &seen, &[1, 1]]),
            Some(joined(&[&[2, 4, 5, 0xb4, 5, 10], &told, &[1, 1]])),
        ),
        (joined(&[&[0, 1, 5, 10], &seen]), Some(joined(&[&[0, 1, 5, 10], &seen]))),
        // Not of whole blocks, or of none.
        (
            joined(&[&[5, 6], &odd, &[1, 1]]),
            Some(joined(&[&[5, 6], &odd, &[1, 1]])),
        ),
        (
            joined(&[&[5, 11], &seen, &[9, 1, 1, 1, 1, 1]]),
            Some(joined(&[&[5, 11], &seen, &[9, 1, 1, 1, 1, 1]])),
        ),
        (vec![5, 2, 1, 1], Some(vec![5, 2, 1, 1])),
        // Options that cannot be read to their end.
        (vec![1, 1, 1, 5], None),
        (vec![5, 1, 1, 1], None),
        (vec![5, 0, 1, 1], None),
        (vec![1, 1, 5, 3], None),
        (joined(&[&[5, 10], &odd, &[1, 1]]), None),
    ] {
        for partial in [false, true] {
            let mut bytes = vec![0; 20];
            bytes.extend(&options);
            let header = bytes.len();
            // A checksum that is right without a pseudo-header.
            let sum = checksum::of(&bytes);
            put16(&mut bytes, 16, sum);
            let read = shift_selective_acknowledgements(&mut bytes, header, &LONGER, partial);
            assert_eq!(read, expected.is_some(), "{options:?}");
            if let Some(expected) = &expected {
                assert_eq!(&bytes[20..], expected, "{options:?}");
                let follows = checksum::of(&bytes) == 0;
                assert_eq!(follows, !partial || options == *expected, "{options:?}");
            }
        }
    }
}

/// A flow's packet, what stands in its transport header, and whose numbers are shifted.
#[test]
fn numbers_are_shifted_where_a_helper_changed_lengths() {
    let bench = Bench::new();
    let (_, known) = bench.pass(segment((A, 3000), (B, 21), (1, 0), SYN)).unwrap();
    let flow = known.flow.unwrap();
    {
        let mut state = flow.lock();
        state.status.set(Status::SEQ_ADJUST);
        let other = SequenceAdjustment { after: 7, ..LONGER };
        *state.sequence_mut() = [LONGER, other];
    }
    let tracking = |state, direction| Tracking {
        flow: Some(Arc::clone(&flow)),
        state: Some(state),
        direction,
        ..Tracking::default()
    };
    let of = |flags, offset: u8, options: &[u8]| {
        let mut header = joined(&[
            &[0, 1, 0, 2],
            &words(&[500, 600]),
            &[offset << 4, flags, 1, 0, 0, 0, 0, 0],
        ]);
        header.extend(options);
        header
    };
    let sack = joined(&[&[1, 1, 5, 10], &words(&[700, 800])]);
    let (original, reply) = (Direction::Original, Direction::Reply);
    let (known, related) = (CtState::Established, CtState::Related);
    let broken = Err(DropReason::BrokenTcpOptions);
    for (protocol, transport, state, direction, result, numbers) in [
        (6, of(ACK, 5, &[]), known, original, Ok(true), &[510, 593][..]),
        (6, of(ACK, 5, &[]), known, reply, Ok(true), &[507, 590]),
        (
            6,
            of(ACK | PSH, 8, &sack),
            known,
            original,
            Ok(true),
            &[510, 593, 693, 793],
        ),
        (6, of(PSH, 5, &[]), known, original, Ok(true), &[510, 600]),
        (6, of(0, 8, &sack), known, original, Ok(true), &[510, 600, 700, 800]),
        // A header that ends beyond the packet, or in an option, matters where something is acknowledged.
        (6, of(ACK, 6, &[]), known, original, broken, &[500, 600]),
        (6, of(PSH, 6, &[]), known, original, Ok(true), &[510, 600]),
        (6, of(ACK, 6, &[5, 10, 0, 0]), known, original, broken, &[510, 593]),
        // An error is read as a segment on the original way, and no other protocol.
        (1, of(ACK, 5, &[]), related, original, Ok(true), &[510, 593]),
        (1, of(ACK, 5, &[]), related, reply, Ok(false), &[500, 600]),
        (
            1,
            of(ACK, 5, &[])[..12].to_vec(),
            related,
            original,
            broken,
            &[500, 600],
        ),
        (17, of(ACK, 5, &[]), known, original, Ok(false), &[500, 600]),
    ] {
        let mut packet = packet(protocol, A, B, &transport);
        let got = adjust_sequences(&mut packet, &tracking(state, direction));
        assert_eq!(got, result, "{protocol} {transport:?}");
        let after = packet.transport();
        let mut there = vec![be32(after, 4), be32(after, 8)];
        if after.len() >= 32 {
            there.extend([be32(after, 24), be32(after, 28)]);
        }
        assert_eq!(there, numbers, "{protocol} {transport:?} {state:?} {direction:?}");
    }
    // Without the mark nothing is shifted, whatever stands there.
    flow.lock().status.clear(Status::SEQ_ADJUST);
    let mut packet = packet(6, A, B, &of(ACK, 5, &[]));
    let before = packet.bytes().to_vec();
    assert_eq!(adjust_sequences(&mut packet, &tracking(known, original)), Ok(false));
    assert_eq!(packet.bytes(), before);
}

#[test]
fn what_nat_drops_says_why() {
    use crate::conntrack::proto::key::Unwritable;
    let said = [
        DropReason::IcmpErrorUnreadable,
        DropReason::Unwritable(Unwritable("it is cut short")),
        DropReason::BrokenTcpOptions,
        DropReason::RedirectUnderNat,
    ]
    .map(|it| it.to_string());
    assert_eq!(
        said,
        [
            "NAT cannot read the ICMP error or its checksum is wrong",
            "it is cut short",
            "its numbers have to be shifted, and its TCP options cannot be read",
            "an ICMP redirect of a flow under NAT",
        ]
    );
}
