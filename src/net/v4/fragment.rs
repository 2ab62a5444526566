//! Fragmentation on the way out (RFC 791).
//!
//! A packet that came in fragments leaves in the very same pieces while each still fits, even where it would fit whole; else in pieces no larger than
//! the largest it came in. DF survives only in the second case (seen: with pieces kept, DF of the fragments is lost).

use super::Header;
use super::forward::must_not_be_cut;
use super::options;
use crate::net::{FragmentationNeeded, NotCut};
use crate::packet::{ChecksumState, Packet};
use crate::wire::ipv4::{DONT_FRAGMENT, Ipv4, MORE_FRAGMENTS, OFFSET_MASK};

/// Hands the packet, whole or in pieces that fit, to `emit`.
pub(crate) fn fragment(mut packet: Packet, mtu: u32, emit: &mut dyn FnMut(Packet)) -> Result<(), NotCut> {
    let limit = mtu as usize;
    let largest = usize::from(packet.largest_fragment);
    if packet.len() <= limit && largest == 0 {
        emit(packet);
        return Ok(());
    }
    if must_not_be_cut(&packet, limit) {
        return Err(NotCut::TooBig(FragmentationNeeded { mtu, packet }));
    }
    // No device can finish a checksum over several packets.
    packet.finish_checksum();
    let limit = if largest == 0 { limit } else { limit.min(largest) };
    let header_length = packet.network_header_length();
    // No link is so narrow; but a packet must not make this loop forever.
    let room = limit.saturating_sub(header_length).max(8);
    let kept = keeps_pieces(&packet, room);
    let mut header = packet.bytes()[..header_length].to_vec();
    let payload = packet.transport();
    let own_field = packet.header().fragment_field();
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
            piece.origin = packet.origin;
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
    sizes[0] >= packet.first_fragment_needs
        && sum == packet.transport().len()
        && sizes.iter().all(|it| usize::from(*it) <= room)
        && all_but_last.iter().all(|it| it % 8 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::example::{Make, hex, udp, unhex};

    fn pieces(make: &Make, mtu: u32) -> Option<Vec<String>> {
        let mut sent = Vec::new();
        let mut emit = |piece: Packet| {
            let header = piece.header();
            assert!(header.checksum_is_right());
            sent.push(format!(
                "{}:{:04x} {}",
                piece.len(),
                header.fragment_field(),
                hex(header.options())
            ));
        };
        fragment(make.packet(), mtu, &mut emit).ok().map(|()| sent)
    }

    /// Options, the fragment field it has, and the pieces of 228 bytes over an MTU of 100.
    #[test]
    fn options_in_pieces() {
        for (options, field, expected) in [
            ("", 0, &["100:2000 ", "100:200a ", "68:0014 "][..]),
            (
                "070b08c00002010000000000",
                0,
                &[
                    "96:2000 070b08c00002010000000000",
                    "96:2008 010101010101010101010100",
                    "96:2010 010101010101010101010100",
                    "48:0018 010101010101010101010100",
                ],
            ),
            (
                "8307080909090900",
                0,
                &[
                    "100:2000 8307080909090900",
                    "100:2009 8307080909090900",
                    "92:0012 8307080909090900",
                ],
            ),
            (
                "b704000037040000",
                0,
                &[
                    "100:2000 b704000037040000",
                    "100:2009 b704000001010101",
                    "92:0012 b704000001010101",
                ],
            ),
            // What is itself a later fragment keeps its options as they are.
            (
                "070b08c00002010000000000",
                0x2010,
                &[
                    "96:2010 070b08c00002010000000000",
                    "96:2018 070b08c00002010000000000",
                    "96:2020 070b08c00002010000000000",
                    "48:2028 070b08c00002010000000000",
                ],
            ),
        ] {
            let mut make = Make {
                options: unhex(options),
                fragment_field: field,
                ..udp("10.0.0.2", "192.0.2.9", 200)
            };
            make.transport.truncate(208);
            assert_eq!(pieces(&make, 100).unwrap(), expected, "{options}");
        }
    }

    #[test]
    fn df_and_sizes() {
        let make = udp("10.0.0.2", "172.16.0.9", 800);
        assert_eq!(pieces(&make, 600).unwrap(), ["596:2000 ", "252:0048 "]);
        assert_eq!(pieces(&make, 828).unwrap(), ["828:0000 "]);
        let df = Make {
            fragment_field: DONT_FRAGMENT,
            ..make
        };
        assert_eq!(pieces(&df, 600), None);
        assert_eq!(pieces(&df, 828).unwrap(), ["828:4000 "]);
    }
}
