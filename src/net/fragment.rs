//! Fragmentation on the way out (RFC 791).
//!
//! A packet that came in fragments leaves in the very same pieces while each still fits, even where it would fit whole; else in pieces no larger than
//! the largest it came in. DF survives only in the second case (seen: with pieces kept, DF of the fragments is lost).

use super::forward::exceeds;
use super::options;
use crate::base::protocol;
use crate::packet::{ChecksumState, Packet};
use crate::wire::ipv4::{DONT_FRAGMENT, Ipv4, MORE_FRAGMENTS, OFFSET_MASK};
use crate::wire::{checksum, put16, tcp};

/// The packet is too big for the way and says that it must not be fragmented.
#[derive(Clone, Debug)]
pub struct FragmentationNeeded {
    /// What an ICMP error names.
    pub mtu: u32,
    pub packet: Packet,
}

/// Hands the packet, whole or in pieces that fit, to `emit`.
pub fn fragment(mut packet: Packet, mtu: u32, emit: &mut dyn FnMut(Packet)) -> Result<(), FragmentationNeeded> {
    let limit = mtu as usize;
    let largest = usize::from(packet.largest_fragment);
    if packet.len() <= limit && largest == 0 {
        emit(packet);
        return Ok(());
    }
    if exceeds(&packet, limit) {
        return Err(FragmentationNeeded { mtu, packet });
    }
    finish_checksum(&mut packet);
    let limit = if largest == 0 { limit } else { limit.min(largest) };
    let header_length = packet.network_header_length();
    // No link is so narrow; but a packet must not make this loop forever.
    let room = limit.saturating_sub(header_length).max(8);
    let kept = keeps_pieces(&packet, room);
    let mut header = packet.bytes()[..header_length].to_vec();
    let payload = packet.transport();
    let own_field = packet.ipv4().fragment_field();
    let df = if !kept && packet.fragments_had_df {
        DONT_FRAGMENT
    } else {
        0
    };
    let (mut at, mut index) = (0, 0);
    while at < payload.len() || at == 0 {
        let left = payload.len() - at;
        let size = match packet.fragments.get(index) {
            Some(size) if kept => usize::from(*size).min(left),
            _ if left <= room => left,
            _ => room & !7,
        };
        let more = at + size < payload.len() || own_field & MORE_FRAGMENTS != 0;
        let offset = (own_field & OFFSET_MASK) + (at / 8) as u16;
        let mut bytes = Vec::with_capacity(header_length + size);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&payload[at..at + size]);
        let total = bytes.len() as u16;
        if let Ok(mut view) = Ipv4::new(&mut bytes[..]) {
            view.set_total_length(total);
            view.set_fragment_field(df | if more { MORE_FRAGMENTS } else { 0 } | offset & OFFSET_MASK);
            view.fill_checksum();
        }
        if let Ok(mut piece) = Packet::parse(bytes) {
            piece.checksum = ChecksumState::Unknown;
            piece.input = packet.input;
            piece.output = packet.output;
            piece.mark = packet.mark;
            emit(piece);
        }
        // Only a packet that starts with its first byte has options to leave out of what follows.
        if at == 0 && own_field & OFFSET_MASK == 0 {
            options::keep_copied(&mut header);
        }
        at += size;
        index += 1;
        if size == 0 {
            break;
        }
    }
    Ok(())
}

/// Whether the packet can leave in the pieces it came in.
fn keeps_pieces(packet: &Packet, room: usize) -> bool {
    let sizes = &packet.fragments;
    let sum: usize = sizes.iter().map(|it| usize::from(*it)).sum();
    let Some((_, all_but_last)) = sizes.split_last() else {
        return false;
    };
    // The kernel looks for a TCP header on the way in, and what it takes from the second piece for that is gone from there.
    if packet.protocol() == protocol::TCP && usize::from(sizes[0]) < tcp::MIN_HEADER {
        return false;
    }
    sum == packet.transport().len()
        && sizes.iter().all(|it| usize::from(*it) <= room)
        && all_but_last.iter().all(|it| it % 8 == 0)
}

/// No device can finish a checksum over several packets.
fn finish_checksum(packet: &mut Packet) {
    if packet.checksum != ChecksumState::Partial {
        return;
    }
    let at = match packet.protocol() {
        protocol::TCP => 16,
        protocol::UDP | protocol::UDPLITE => 6,
        _ => return,
    };
    let (source, destination, number) = (packet.source(), packet.destination(), packet.protocol());
    let segment = packet.transport_mut();
    if segment.len() < at + 2 {
        return;
    }
    put16(segment, at, 0);
    let value = checksum::transport(source, destination, number, segment);
    put16(
        segment,
        at,
        if value == 0 && number != protocol::TCP {
            0xffff
        } else {
            value
        },
    );
    packet.checksum = ChecksumState::Verified;
}
