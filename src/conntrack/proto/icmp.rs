//! ICMP for IPv4 (RFC 792): questions open flows, answers belong to them, errors to the flow they quote.

use crate::conntrack::{InvalidReason, Tuple};
use crate::packet::Packet;
use crate::wire::checksum;
use crate::wire::icmpv4::kind;

pub(super) fn header_is_valid(packet: &Packet, verify: bool) -> Result<(), InvalidReason> {
    let Some(message) = packet.icmpv4() else {
        return Err(InvalidReason::HeaderTruncated);
    };
    if verify && checksum::of(packet.transport()) != 0 {
        return Err(InvalidReason::ChecksumWrong);
    }
    if message.kind() > kind::ADDRESS_MASK_REPLY {
        return Err(InvalidReason::IcmpType(message.kind()));
    }
    Ok(())
}

pub(super) fn open(tuple: &Tuple) -> Result<(), InvalidReason> {
    let (kind, _) = tuple.icmp();
    match kind {
        kind::ECHO_REQUEST | kind::TIMESTAMP_REQUEST | kind::INFORMATION_REQUEST | kind::ADDRESS_MASK_REQUEST => Ok(()),
        _ => Err(InvalidReason::IcmpUnasked(kind)),
    }
}
