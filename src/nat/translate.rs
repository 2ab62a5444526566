//! Rewriting packets as their flow's tuples say, and the packets that ICMP errors quote.

use std::net::IpAddr;

use super::{DropReason, Manip, NatHook};
use crate::base::protocol;
use crate::conntrack::{CtState, Direction, Status, Tracking, Tuple};
use crate::packet::{ChecksumState, End, Packet};
use crate::wire::icmpv4::{self, kind};
use crate::wire::{be16, be32, checksum, ipv4, put16, put32, tcp};

/// What came of a packet at a nat hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translated {
    Unchanged,
    Changed,
    /// MASQUERADE took the flow's source address from another interface than the one it leaves by now. The packet is to be dropped and the flow
    /// to be deleted. Asked of packets in the original direction at POSTROUTING; ICMP errors about a flow are not asked about.
    Moved,
}

/// Rewrites what this hook has to. To be called at each nat hook, after the mapping is decided.
pub fn translate(packet: &mut Packet, tracking: &Tracking, hook: NatHook) -> Result<Translated, DropReason> {
    let changed = |it| match it {
        true => Translated::Changed,
        false => Translated::Unchanged,
    };
    let Some(flow) = &tracking.flow else {
        return Ok(Translated::Unchanged);
    };
    let manip = hook.manip();
    let state = flow.lock();
    let status = state.status;
    let applies = status.has(status_bit(manip, tracking.direction));
    if tracking.state == Some(CtState::Related)
        && let Some(message) = packet.icmpv4()
        && kind::is_error(message.kind())
    {
        let opposite = *state.tuple(flow, tracking.direction.opposite());
        drop(state);
        let redirect = message.kind() == kind::REDIRECT;
        return translate_error(packet, status, &opposite, manip, applies, redirect).map(changed);
    }
    if hook == NatHook::Postrouting
        && tracking.direction == Direction::Original
        && let masqueraded @ Some(_) = state.nat.masquerade_interface
        && masqueraded != packet.output
    {
        return Ok(Translated::Moved);
    }
    if !applies {
        return Ok(Translated::Unchanged);
    }
    let opposite = *state.tuple(flow, tracking.direction.opposite());
    drop(state);
    let Some(target) = opposite.inverse() else {
        return Ok(Translated::Unchanged);
    };
    let (end, endpoint) = match manip {
        Manip::Source => (End::Source, target.source),
        Manip::Destination => (End::Destination, target.destination),
    };
    match packet.protocol() {
        protocol::TCP => {
            packet.pull(tcp::MIN_HEADER);
            packet.set_port(end, endpoint.id);
        }
        protocol::UDP | protocol::UDPLITE => packet.set_port(end, endpoint.id),
        protocol::SCTP => {
            packet.set_port(end, endpoint.id);
            fill_sctp_checksum(packet);
        }
        protocol::ICMP => set_icmp_identifier(packet, target.source.id),
        // A call is named by its receiver's number, so only the destination's rewriting reads the header; it knows versions 0 and 1
        // (RFC 2784, RFC 2637) and drops any other. Seen on Linux 6.18.
        // Either rewriting wants to see so much of it.
        protocol::GRE if packet.transport().len() < GRE_AT_LEAST => return Err(DropReason::GreTruncated),
        protocol::GRE if manip == Manip::Destination && packet.transport().get(1).is_some_and(|it| it & 7 > 1) => {
            return Err(DropReason::UnknownGreVersion);
        }
        _ => {}
    }
    packet.set_address(end, endpoint.address);
    Ok(Translated::Changed)
}

/// Which mapping a hook applies: against the flow's direction, the hook for sources undoes the mapping of the destination, and the reverse.
fn status_bit(manip: Manip, direction: Direction) -> Status {
    match (manip, direction) {
        (Manip::Source, Direction::Original) | (Manip::Destination, Direction::Reply) => Status::SRC_NAT,
        (Manip::Destination, Direction::Original) | (Manip::Source, Direction::Reply) => Status::DST_NAT,
    }
}

fn set_icmp_identifier(packet: &mut Packet, identifier: u16) {
    let transport = packet.transport_mut();
    if transport.len() < icmpv4::HEADER {
        return;
    }
    let old = be16(transport, 4);
    if old != identifier {
        let updated = checksum::update16(be16(transport, 2), old, identifier);
        put16(transport, 4, identifier);
        put16(transport, 2, updated);
    }
}

/// What is about to be rewritten of the quoted transport header is read in one piece: of TCP all of its fixed part, if it is there.
fn pull_quote(packet: &mut Packet) {
    let quoted = packet.transport().get(icmpv4::HEADER..).unwrap_or_default();
    let (Some(first), Some(&protocol)) = (quoted.first(), quoted.get(9)) else {
        return;
    };
    let at = icmpv4::HEADER + usize::from(first & 0x0f) * 4;
    let wanted = match protocol {
        protocol::TCP if packet.transport().len() >= at + tcp::MIN_HEADER => tcp::MIN_HEADER,
        _ => 8,
    };
    packet.pull(at + wanted);
}

/// An error's own address is rewritten like any packet's; in the packet that it quotes, which ran the other way, it is the other end.
fn translate_error(
    packet: &mut Packet,
    status: Status,
    opposite: &Tuple,
    manip: Manip,
    applies: bool,
    redirect: bool,
) -> Result<bool, DropReason> {
    packet.pull(icmpv4::HEADER + ipv4::MIN_HEADER);
    if packet.checksum == ChecksumState::Unknown && checksum::of(packet.transport()) != 0 {
        return Err(DropReason::IcmpErrorUnreadable);
    }
    // A redirect tells the host an address of the wrong side.
    let decided = Status::SRC_NAT_DONE.or(Status::DST_NAT_DONE);
    if redirect && (!status.has(decided) || status.has_any(Status::SRC_NAT.or(Status::DST_NAT))) {
        return Err(DropReason::RedirectUnderNat);
    }
    if !applies {
        return Ok(false);
    }
    pull_quote(packet);
    let message = packet.transport_mut();
    let quoted = message.get_mut(icmpv4::HEADER..).unwrap_or_default();
    rewrite_quote(quoted, opposite, manip).ok_or(DropReason::IcmpErrorUnreadable)?;
    put16(message, 2, 0);
    let sum = checksum::of(message);
    put16(message, 2, sum);
    match manip {
        Manip::Source => packet.set_address(End::Source, opposite.destination.address),
        Manip::Destination => packet.set_address(End::Destination, opposite.source.address),
    }
    Ok(true)
}

/// Gives the quoted packet the addresses and ports that its sender knows. `None` where too little of it is quoted.
///
/// Checksums in it follow incrementally, as far as they are quoted, so what was wrong stays wrong.
fn rewrite_quote(quoted: &mut [u8], tuple: &Tuple, outer: Manip) -> Option<()> {
    if quoted.len() < ipv4::MIN_HEADER {
        return None;
    }
    // Seen: a header that says it is shorter than a header can be is believed, and what follows it begins within.
    let header = usize::from(quoted[0] & 0x0f) * 4;
    let length = quoted.len().checked_sub(header)?;
    let protocol = quoted[9];
    let (address_at, port_at, endpoint) = match outer {
        Manip::Source => (16, 2, tuple.destination),
        Manip::Destination => (12, 0, tuple.source),
    };
    let IpAddr::V4(new) = endpoint.address else { return None };
    let new = new.to_bits();
    match protocol {
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP => {
            if length < QUOTED_AT_LEAST {
                return None;
            }
            let old_port = be16(quoted, header + port_at);
            put16(quoted, header + port_at, endpoint.id);
            let checksum_at = match protocol {
                protocol::TCP => (length >= tcp::MIN_HEADER).then_some(header + 16),
                protocol::UDP | protocol::UDPLITE => (be16(quoted, header + 6) != 0).then_some(header + 6),
                _ => None,
            };
            if let Some(at) = checksum_at {
                let field = checksum::update32(be16(quoted, at), be32(quoted, address_at), new);
                let field = checksum::update16(field, old_port, endpoint.id);
                let zero_is_none = protocol != protocol::TCP;
                put16(quoted, at, if zero_is_none && field == 0 { 0xffff } else { field });
            }
        }
        protocol::ICMP => {
            if length < QUOTED_AT_LEAST {
                return None;
            }
            let old = be16(quoted, header + 4);
            let identifier = tuple.source.id;
            put16(quoted, header + 4, identifier);
            let field = checksum::update16(be16(quoted, header + 2), old, identifier);
            put16(quoted, header + 2, field);
        }
        // As outside of a quote; what is rewritten there is the other end.
        protocol::GRE => {
            let version = quoted.get(header + 1).map(|it| it & 7);
            let is_known = outer == Manip::Destination || version.is_some_and(|version| version <= 1);
            if length < GRE_AT_LEAST || !is_known {
                return None;
            }
        }
        _ => {}
    }
    let field = checksum::update32(be16(quoted, 10), be32(quoted, address_at), new);
    put32(quoted, address_at, new);
    put16(quoted, 10, field);
    Some(())
}

/// Bytes of a transport header that an error has to quote (RFC 792). Seen: with fewer the error is dropped, though tracking reads it.
const QUOTED_AT_LEAST: usize = 8;

const GRE_AT_LEAST: usize = 8;

/// CRC32c (RFC 9260, appendix A). It covers no addresses, but all of the packet, so it is made anew.
fn fill_sctp_checksum(packet: &mut Packet) {
    let transport = packet.transport_mut();
    if transport.len() < 12 {
        return;
    }
    put32(transport, 8, 0);
    let mut crc = u32::MAX;
    for &byte in &*transport {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    transport[8..12].copy_from_slice(&(!crc).to_le_bytes());
}
