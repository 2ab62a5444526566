//! TCP sequence offsets of flows whose payload a helper made longer or shorter.

use super::DropReason;
use crate::base::protocol;
use crate::conntrack::{CtState, Direction, FlowState, SequenceAdjustment, Status, Tracking};
use crate::packet::{ChecksumState, Packet};
use crate::wire::tcp::{self, flags, option};
use crate::wire::{be16, be32, checksum, put16, put32};

/// Shifts sequence and acknowledgement numbers and SACK blocks; true when the packet changed. To be called between the helper and the confirmation.
pub(crate) fn adjust_sequences(packet: &mut Packet, tracking: &Tracking) -> Result<bool, DropReason> {
    let Some(flow) = &tracking.flow else {
        return Ok(false);
    };
    let [this_way, other_way] = {
        let state = flow.lock();
        let Some(sequence) = state.sequence() else {
            return Ok(false);
        };
        if !state.status.has(Status::SEQ_ADJUST) || !is_read_as_a_segment(packet, tracking) {
            return Ok(false);
        }
        let (this, other) = (tracking.direction.index(), tracking.direction.opposite().index());
        [sequence[this], sequence[other]]
    };
    let (header, flag_bits) = match packet.transport() {
        bytes if bytes.len() < tcp::MIN_HEADER => return Err(DropReason::BrokenTcpOptions),
        bytes => (usize::from(bytes[12] >> 4) * 4, bytes[13]),
    };
    if flag_bits & flags::ACK != 0 && header > packet.transport().len() {
        return Err(DropReason::BrokenTcpOptions);
    }
    // Seen: of what came in pieces the first has all of that from now on, the options only where they may hold what is acknowledged.
    packet.pull(match flag_bits & flags::ACK {
        0 => tcp::MIN_HEADER,
        _ => header.max(tcp::MIN_HEADER),
    });
    let partial = packet.checksum == ChecksumState::Partial;
    let bytes = packet.transport_mut();
    let sequence = be32(bytes, 4);
    write(
        bytes,
        4,
        sequence.wrapping_add(this_way.offset_at(sequence) as u32),
        partial,
    );
    if flag_bits & flags::ACK != 0 {
        let acknowledged = be32(bytes, 8);
        write(bytes, 8, other_way.before_adjustment(acknowledged), partial);
        if !shift_selective_acknowledgements(bytes, header, &other_way, partial) {
            return Err(DropReason::BrokenTcpOptions);
        }
    }
    Ok(true)
}

/// Seen: the kernel takes an ICMP error for a segment of its flow, if it goes the flow's original way, and shifts what stands where the numbers
/// of one would, with what stands where the checksum would.
fn is_read_as_a_segment(packet: &Packet, tracking: &Tracking) -> bool {
    match tracking.state {
        Some(CtState::Related) => tracking.direction == Direction::Original,
        _ => packet.protocol() == protocol::TCP,
    }
}

/// Notes that the payload of a packet of this direction, starting at `position`, grew by `change` bytes.
pub(crate) fn record_length_change(state: &mut FlowState, direction: Direction, position: u32, change: i32) {
    if change == 0 {
        return;
    }
    state.status.set(Status::SEQ_ADJUST);
    let way = &mut state.sequence_mut()[direction.index()];
    if way.before == way.after || tcp::is_before(way.position, position) {
        way.position = position;
        way.before = way.after;
        way.after = way.after.wrapping_add(change);
    }
}

/// False where the options cannot be read to their end.
fn shift_selective_acknowledgements(
    bytes: &mut [u8],
    header: usize,
    other_way: &SequenceAdjustment,
    partial: bool,
) -> bool {
    let mut at = tcp::MIN_HEADER;
    while at < header {
        match bytes[at] {
            option::END => return true,
            option::NOP => at += 1,
            kind => {
                let Some(&length) = bytes[..header].get(at + 1) else {
                    return false;
                };
                let end = at + usize::from(length);
                if length < 2 || end > header {
                    return false;
                }
                if kind == option::SACK && length >= 2 + 8 && (length - 2) % 8 == 0 {
                    for edge in (at + 2..end).step_by(4) {
                        let seen = be32(bytes, edge);
                        write(bytes, edge, other_way.before_adjustment(seen), partial);
                    }
                }
                at = end;
            }
        }
    }
    true
}

/// Writes a word of the header, which the checksum follows unless the device is still to make it.
///
/// A word at an odd place counts with its bytes swapped in a checksum. Seen: Linux does not think of that, so a segment whose SACK numbers stand at
/// odd places leaves with a wrong checksum, here as there. No system is known to send one so.
fn write(bytes: &mut [u8], at: usize, value: u32, partial: bool) {
    let old = be32(bytes, at);
    if old == value {
        return;
    }
    put32(bytes, at, value);
    if !partial {
        let updated = checksum::update32(be16(bytes, 16), old, value);
        put16(bytes, 16, updated);
    }
}

#[cfg(test)]
mod tests;
