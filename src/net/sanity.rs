//! What is looked at before any hook sees a packet.

use super::DropReason;
use crate::packet::Packet;
use crate::wire::ipv4::{Ipv4, MIN_HEADER};

/// The checks of the receive path, in the kernel's order. A packet that fails never reaches a table, and no counter of a rule moves.
pub fn sanity(bytes: Vec<u8>) -> Result<Packet, (DropReason, Vec<u8>)> {
    match check(&bytes) {
        Err(reason) => Err((reason, bytes)),
        Ok(()) => Packet::parse(bytes).map_err(|(_, bytes)| (DropReason::BadHeaderLength, bytes)),
    }
}

fn check(bytes: &[u8]) -> Result<(), DropReason> {
    if bytes.len() < MIN_HEADER {
        return Err(DropReason::Truncated);
    }
    if bytes[0] >> 4 != 4 {
        return Err(DropReason::BadVersion);
    }
    if bytes[0] & 0x0f < 5 {
        return Err(DropReason::BadHeaderLength);
    }
    let Ok(header) = Ipv4::new(bytes) else {
        return Err(DropReason::Truncated);
    };
    if !header.checksum_is_right() {
        return Err(DropReason::BadHeaderChecksum);
    }
    let total = usize::from(header.total_length());
    if total > bytes.len() {
        return Err(DropReason::TotalLengthBeyondPacket);
    }
    if total < header.header_length() {
        return Err(DropReason::BadTotalLength);
    }
    Ok(())
}
