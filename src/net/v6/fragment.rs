//! Fragmentation on the way out (RFC 8200, 4.5), which only a sender does, and who joined fragments before.
//!
//! A packet that came in fragments leaves in the very same pieces while each still fits, else in pieces no larger than the largest it came in, or than
//! what every link takes. Seen: one that is no longer than its largest fragment was leaves whole, and one whose first fragment did not bring all the
//! headers that each piece carries does not leave.

use crate::net::{DropReason, FragmentationNeeded, NotCut};
use crate::packet::{ChecksumState, Packet};
use crate::wire::ipv6::{Extensions, HEADER, MORE_FRAGMENTS, NEXT_HEADER, extension};
use crate::wire::{put16, put32};

/// The length of a fragment header.
const LENGTH: usize = 8;

/// Hands the packet, whole or in pieces that fit, to `emit`. All pieces get this identification.
#[cold]
pub(crate) fn fragment(
    mut packet: Packet,
    mtu: u32,
    identification: u32,
    emit: &mut dyn FnMut(Packet),
) -> Result<(), NotCut> {
    let (limit, largest) = (mtu as usize, usize::from(packet.largest_fragment));
    if packet.len() <= limit && (largest == 0 || packet.len() <= largest) {
        emit(packet);
        return Ok(());
    }
    let of_first = packet.fragments.first().map(|it| HEADER + usize::from(*it));
    let Some(before) = unfragmentable(packet.bytes()).filter(|before| of_first.is_none_or(|end| before.at <= end))
    else {
        return Err(NotCut::Dropped(DropReason::HeadersInSeveralFragments));
    };
    let most = if largest == 0 {
        limit
    } else {
        largest.max(super::LEAST_MTU as usize)
    };
    let room = most.saturating_sub(before.at + LENGTH);
    if packet.len() > limit && !packet.ignores_df || largest > limit || room < 8 {
        return Err(NotCut::TooBig(FragmentationNeeded { mtu, packet }));
    }
    // No device can finish a checksum over several packets.
    packet.finish_checksum();
    let data = &packet.bytes()[before.at..];
    let kept = kept_pieces(&packet, before.at, room);
    let mut kept = kept.iter();
    let mut at = 0;
    while at < data.len() {
        let left = data.len() - at;
        let size = match kept.next() {
            Some(size) => (*size).min(left),
            None if left <= room => left,
            None => room & !7,
        };
        let mut bytes = Vec::with_capacity(before.at + LENGTH + size);
        bytes.extend_from_slice(&packet.bytes()[..before.at]);
        let next = std::mem::replace(&mut bytes[before.named_at], extension::FRAGMENT);
        let mut header = [next, 0, 0, 0, 0, 0, 0, 0];
        let more = if at + size < data.len() { MORE_FRAGMENTS } else { 0 };
        put16(&mut header, 2, at as u16 | more);
        put32(&mut header, 4, identification);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&data[at..at + size]);
        let length = (bytes.len() - HEADER) as u16;
        put16(&mut bytes, 4, length);
        if let Ok(mut piece) = Packet::parse(bytes) {
            piece.checksum = ChecksumState::Unknown;
            (piece.input, piece.output) = (packet.input, packet.output);
            piece.mark = packet.mark;
            piece.origin = packet.origin;
            emit(piece);
        }
        at += size;
    }
    Ok(())
}

/// How many bytes of headers each piece of a packet carries, before its fragment header.
pub(super) fn carried_by_each(bytes: &[u8]) -> usize {
    unfragmentable(bytes).map_or(bytes.len(), |place| place.at)
}

/// Where the part ends that each piece carries: behind what routers on the way read. `None` where one of those headers goes beyond the packet.
fn unfragmentable(bytes: &[u8]) -> Option<Place> {
    let mut place = Place {
        named_at: NEXT_HEADER,
        at: HEADER,
    };
    let mut is_routed = false;
    // Before a routing header options are for each host on the way, behind it for the last.
    let is_carried = |kind, is_routed: bool| match kind {
        extension::HOP_BY_HOP | extension::ROUTING => true,
        extension::DESTINATION => !is_routed,
        _ => false,
    };
    let mut headers = Extensions::from(bytes, NEXT_HEADER, HEADER);
    while is_carried(headers.next, is_routed) {
        let header = headers.next()?;
        is_routed |= header.kind == extension::ROUTING;
        place = Place {
            named_at: header.at,
            at: header.at + header.bytes.len(),
        };
    }
    Some(place)
}

#[derive(Clone, Copy)]
struct Place {
    /// Where in the packet the next header is named.
    named_at: usize,
    at: usize,
}

/// The pieces that it came in, as many bytes as each had behind what comes before; none if it cannot leave in these.
fn kept_pieces(packet: &Packet, before: usize, room: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = packet.fragments.iter().map(|it| usize::from(*it)).collect();
    let Some(first) = sizes.first_mut() else {
        return Vec::new();
    };
    let has_room = *first >= usize::from(packet.first_fragment_needs);
    *first -= before - HEADER;
    let fits = has_room
        && sizes.iter().sum::<usize>() == packet.len() - before
        && sizes.iter().all(|it| *it <= room)
        && sizes
            .split_last()
            .is_some_and(|(_, others)| others.iter().all(|it| it.is_multiple_of(8)));
    if fits { sizes } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, udp};
    use super::*;

    /// A word of eight bytes is the least that a piece can bring.
    #[test]
    fn where_there_is_hardly_any_room() {
        for (mtu, expected) in [(55, None), (56, Some(4)), (63, Some(4)), (64, Some(2))] {
            let mut packet = udp(HOST, FAR, 24).packet();
            packet.ignores_df = true;
            let mut lengths = Vec::new();
            let cut = fragment(packet, mtu, 9, &mut |piece: Packet| lengths.push(piece.len()));
            assert_eq!(cut.is_ok().then_some(lengths.len()), expected, "{mtu}");
            assert!(lengths.iter().all(|it| *it <= mtu as usize), "{mtu}: {lengths:?}");
        }
    }
}
