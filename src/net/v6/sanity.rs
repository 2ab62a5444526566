//! What is looked at before any hook sees a packet.

use crate::net::DropReason;
use crate::packet::{Layout, Packet};
use crate::wire::ipv6::{HEADER, Ipv6};

/// The checks of the receive path. A packet that fails never reaches a table, and no counter of a rule moves.
#[cold]
pub(crate) fn sanity(bytes: &[u8]) -> Result<Layout, DropReason> {
    if bytes.len() < HEADER {
        return Err(DropReason::Truncated);
    }
    let header = Ipv6::new(bytes).map_err(|_| DropReason::BadVersion)?;
    if header.total_length() > bytes.len() {
        return Err(DropReason::TotalLengthBeyondPacket);
    }
    if header.source().is_multicast() {
        return Err(DropReason::MartianSource);
    }
    if header.source().is_loopback() || header.destination().is_loopback() {
        return Err(DropReason::LoopbackOutside);
    }
    Layout::of(bytes).map_err(|_| DropReason::BadHeaderLength)
}

/// A packet as a program hands it to a raw socket.
#[cold]
pub(crate) fn from_program(bytes: Vec<u8>) -> Result<Packet, DropReason> {
    Packet::parse(bytes).map_err(|_| DropReason::Truncated)
}
