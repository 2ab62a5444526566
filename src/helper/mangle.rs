//! Rewriting a piece of a TCP payload, with everything that follows from it.

use std::ops::Range;

use crate::base::protocol;
use crate::conntrack::Tracking;
use crate::nat;
use crate::packet::{ChecksumState, Packet};
use crate::wire::{be32, checksum, put16};

/// Puts `text` in the place of a range of the payload: lengths and checksum follow, and a change of length is noted for the sequence numbers to
/// come. False, and nothing changed, where the packet would become too large.
pub(super) fn replace(packet: &mut Packet, tracking: &Tracking, range: Range<usize>, text: &[u8]) -> bool {
    let (Some(flow), Some(segment)) = (&tracking.flow, packet.tcp()) else {
        return false;
    };
    let header = segment.header_length();
    let payload = segment.payload();
    let (Some(before), Some(after)) = (payload.get(..range.start), payload.get(range.end..)) else {
        return false;
    };
    let length = header + before.len() + text.len() + after.len();
    if packet.network_header_length() + length > usize::from(u16::MAX) {
        return false;
    }
    let mut transport = Vec::with_capacity(length);
    transport.extend_from_slice(&packet.transport()[..header]);
    for part in [before, text, after] {
        transport.extend_from_slice(part);
    }
    let pseudo = checksum::pseudo_header(packet.source(), packet.destination(), protocol::TCP, length);
    // Seen: the sum is left to the device, which never leaves it zero.
    put16(&mut transport, 16, checksum::fold(pseudo));
    packet.checksum = ChecksumState::Partial;
    let position = be32(&transport, 4);
    packet.replace_transport(&transport);
    let change = text.len() as i32 - range.len() as i32;
    nat::record_length_change(&mut flow.lock(), tracking.direction, position, change);
    true
}
