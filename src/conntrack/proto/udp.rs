//! UDP (RFC 768) and UDP-Lite (RFC 3828).

use std::time::Duration;

use crate::base::protocol;
use crate::conntrack::InvalidReason;
use crate::packet::Packet;
use crate::wire::{be16, checksum, udp};

/// A question and its answer are not a stream yet: a packet that comes this long after the first, with answers seen, makes it one.
pub(super) const STREAM_AFTER: Duration = Duration::from_secs(2);

/// Seen: the length field may be shorter than what the packet holds, but then the checksum is still taken over all of it.
pub(super) fn header_is_valid(packet: &Packet, verify: bool) -> Result<(), InvalidReason> {
    let datagram = packet.transport();
    if datagram.len() < udp::HEADER {
        return Err(InvalidReason::HeaderTruncated);
    }
    let length = usize::from(be16(datagram, 4));
    if length > datagram.len() || length < udp::HEADER {
        return Err(InvalidReason::UdpLength);
    }
    let no_checksum = be16(datagram, 6) == 0;
    if verify
        && !no_checksum
        && checksum::transport(packet.source(), packet.destination(), protocol::UDP, datagram) != 0
    {
        return Err(InvalidReason::ChecksumWrong);
    }
    Ok(())
}

/// UDP-Lite must have a checksum, over as many bytes as the coverage field says (0: all).
///
/// Seen on Linux 6.18: the pseudo-header is summed with the protocol number of UDP, so UDP-Lite as the RFC has it is INVALID at
/// PREROUTING while `nf_conntrack_checksum` is set; and of the length only the lower byte counts.
pub(super) fn lite_header_is_valid(packet: &Packet, verify: bool) -> Result<(), InvalidReason> {
    let datagram = packet.transport();
    if datagram.len() < udp::HEADER {
        return Err(InvalidReason::HeaderTruncated);
    }
    let coverage = match usize::from(be16(datagram, 4)) {
        0 => datagram.len(),
        coverage => coverage,
    };
    if coverage < udp::HEADER || coverage > datagram.len() {
        return Err(InvalidReason::UdpLength);
    }
    if be16(datagram, 6) == 0 {
        return Err(InvalidReason::ChecksumWrong);
    }
    if verify {
        let length = datagram.len() & 0xff;
        let pseudo = checksum::pseudo_header(packet.source(), packet.destination(), protocol::UDP, length);
        let covered = u32::from(checksum::fold(checksum::sum(&datagram[..coverage])));
        if checksum::fold(pseudo + covered) != 0xffff {
            return Err(InvalidReason::ChecksumWrong);
        }
    }
    Ok(())
}
