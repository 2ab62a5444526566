//! Rewriting a piece of a payload, with everything that follows from it.

use std::ops::Range;

use crate::base::protocol;
use crate::conntrack::Tracking;
use crate::nat;
use crate::packet::{ChecksumState, Packet};
use crate::wire::{be16, be32, checksum, put16, udp};

/// Where the payload begins in the transport header's bytes. `None` where there is no such header, or not the whole of it. Seen: an ICMP error that goes
/// with a flow of datagrams is taken for one, whose payload begins with the header that it quotes.
pub(super) fn header_length(packet: &Packet) -> Option<usize> {
    match packet.protocol() {
        protocol::TCP => packet.tcp().map(|segment| segment.header_length()),
        protocol::UDP | protocol::ICMP | protocol::ICMPV6 => {
            (packet.transport().len() >= udp::HEADER).then_some(udp::HEADER)
        }
        _ => None,
    }
}

/// Puts `text` in the place of a range of the payload: lengths and checksum follow, and a change of a segment's length is noted for the sequence
/// numbers to come. False, and nothing changed, where the packet would become too large.
pub(super) fn replace(packet: &mut Packet, tracking: &Tracking, range: Range<usize>, text: &[u8]) -> bool {
    let change = text.len() as i32 - range.len() as i32;
    let is_written = tracking.flow.is_some() && rewrite(packet, range, text);
    if is_written {
        note_length_change(packet, tracking, change);
    }
    is_written
}

/// The same, and nothing is noted.
pub(super) fn rewrite(packet: &mut Packet, range: Range<usize>, text: &[u8]) -> bool {
    let Some(header) = header_length(packet) else {
        return false;
    };
    let Some(payload) = packet.transport().get(header..) else {
        return false;
    };
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
    if packet.protocol() != protocol::TCP {
        put16(&mut transport, 4, length as u16);
    }
    leave_sum_to_device(packet, &mut transport);
    packet.replace_transport(&transport);
    true
}

/// Puts an address in the place of four bytes of a datagram's payload. Seen: the checksum follows the change, so one that was wrong stays wrong, and
/// where there is none, none comes. One that is left to the device follows as if it were whole, and is wrong when that has finished it.
pub(super) fn overwrite(packet: &mut Packet, at: usize, address: [u8; 4]) {
    let transport = packet.transport_mut();
    let start = udp::HEADER + at;
    if transport.len() < start + address.len() {
        return;
    }
    // The words of the sum in which it lies; at an odd place there are three.
    let words = |transport: &[u8]| {
        let byte = |at: usize| transport.get(at).copied().unwrap_or(0);
        [0, 2, 4]
            .map(|word| (start & !1) + word)
            .map(|at| u16::from_be_bytes([byte(at), byte(at + 1)]))
    };
    let before = words(transport);
    transport[start..start + address.len()].copy_from_slice(&address);
    let sum = be16(transport, 6);
    if sum == 0 {
        return;
    }
    let changed = before.into_iter().zip(words(transport)).take(2 + start % 2);
    let sum = changed.fold(sum, |sum, (old, new)| checksum::update16(sum, old, new));
    put16(transport, 6, sum);
}

/// Notes that a segment's payload has changed its length; of a datagram nobody counts.
pub(super) fn note_length_change(packet: &Packet, tracking: &Tracking, change: i32) {
    if let (Some(flow), protocol::TCP) = (&tracking.flow, packet.protocol()) {
        let position = be32(packet.transport(), 4);
        nat::record_length_change(&mut flow.lock(), tracking.direction, position, change);
    }
}

/// Writes another destination port.
pub(super) fn deliver_at(packet: &mut Packet, port: u16) {
    let mut transport = packet.transport().to_vec();
    if header_length(packet).is_some() {
        put16(&mut transport, 2, port);
        leave_sum_to_device(packet, &mut transport);
        packet.replace_transport(&transport);
    }
}

/// Seen: the sum is left to the device, which never leaves it zero. Of an ICMP error what stands where a datagram has its sum is taken for one; its own
/// stays as it was.
fn leave_sum_to_device(packet: &mut Packet, transport: &mut [u8]) {
    if packet.is_icmp() {
        return sum_as_datagram(packet, transport);
    }
    let pseudo = checksum::pseudo_header(
        packet.source(),
        packet.destination(),
        packet.protocol(),
        transport.len(),
    );
    let at = match packet.protocol() {
        protocol::UDP => 6,
        _ => 16,
    };
    let has_sum = packet.protocol() != protocol::UDP || be16(transport, 6) != 0;
    if has_sum || packet.checksum == ChecksumState::Partial {
        put16(transport, at, checksum::fold(pseudo));
        packet.checksum = ChecksumState::Partial;
    }
}

fn sum_as_datagram(packet: &Packet, transport: &mut [u8]) {
    if be16(transport, 6) == 0 {
        return;
    }
    put16(transport, 6, 0);
    let sum = checksum::transport(packet.source(), packet.destination(), protocol::UDP, transport);
    put16(transport, 6, if sum == 0 { u16::MAX } else { sum });
}
