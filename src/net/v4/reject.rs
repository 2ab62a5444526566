//! What REJECT answers: ICMP unreachable, or a TCP reset.

use std::net::IpAddr;

use super::Header;
use crate::base::protocol;
use crate::net::transport::{self, is_believed, is_never_summed, wrong_checksum};
use crate::net::{Delivery, Flow, Net, Outgoing, OutputKey, Suppressed};
use crate::packet::{ChecksumState, Packet};
use crate::wire::tcp::{self, flags};
use crate::wire::{checksum, ipv4};

/// REJECT answers no later fragments, and nothing whose transport checksum is wrong.
///
/// Of every protocol that is not known to have none, the payload alone is summed up, as if the checksum were there, and a payload of nothing but zeros
/// is taken too. A first fragment is summed up as if it were the whole packet, so it is hardly ever right.
pub(crate) fn may_be_rejected(packet: &Packet) -> Result<(), Suppressed> {
    if packet.fragment_offset() != 0 {
        return Err(Suppressed::LaterFragment);
    }
    let sum_is_right = || match packet.protocol() {
        protocol::TCP | protocol::UDP => transport_sum_is_right(packet),
        _ => matches!(checksum::fold(checksum::sum(packet.transport())), 0 | 0xffff),
    };
    match is_never_summed(packet) || is_believed(packet, true, || is_right(packet, sum_is_right)) {
        true => Ok(()),
        false => Err(wrong_checksum(packet)),
    }
}

/// A header whose options were just written to, and whose own checksum is yet to follow, spoils the sum.
fn is_right(packet: &Packet, sum_is_right: impl FnOnce() -> bool) -> bool {
    packet.header().checksum_is_right() && sum_is_right()
}

fn transport_sum_is_right(packet: &Packet) -> bool {
    checksum::transport(
        packet.source(),
        packet.destination(),
        packet.protocol(),
        packet.transport(),
    ) == 0
}

/// The reset that closes the connection which `packet` wanted (RFC 9293, 3.5.2): with the acknowledgement's number where there is one, else
/// acknowledging everything the segment took.
pub(crate) fn reset(net: &Net, packet: &Packet, delivery: Delivery) -> Result<Outgoing, Suppressed> {
    // Twenty bytes are enough; nobody asks whether the header says that it is longer, or shorter.
    let header = packet.transport();
    if packet.protocol() != protocol::TCP || packet.fragment_offset() != 0 || header.len() < tcp::MIN_HEADER {
        return Err(Suppressed::NoTcpHeader);
    }
    if header[13] & flags::RST != 0 {
        return Err(Suppressed::AboutAReset);
    }
    // Forwarding forgets the sum that tracking made, and only the other form of REJECT remembers that it was right.
    if !is_believed(packet, packet.output.is_none(), || {
        is_right(packet, || transport_sum_is_right(packet))
    }) {
        return Err(wrong_checksum(packet));
    }
    if matches!(delivery, Delivery::Broadcast | Delivery::Multicast { .. }) {
        return Err(Suppressed::NoConnectionOfMany);
    }
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.destination(), packet.source()) else {
        return Err(Suppressed::NoTcpHeader);
    };
    let data = (header.len() as u32).wrapping_sub(u32::from(header[12] >> 4) * 4);
    let mut reset = transport::reset_of(header, data);
    // The kernel leaves the checksum to the device: what quotes or logs the reset before it leaves shows the pseudo-header's sum alone.
    let sum = checksum::pseudo_header(source.into(), destination.into(), packet.protocol(), reset.header_len());
    reset.checksum = checksum::fold(sum);
    let segment = reset.to_bytes();
    let mark = net.reply_mark(packet);
    let key = OutputKey {
        destination: destination.into(),
        // The address it answers from need not be one of ours.
        source: Some(source.into()),
        mark,
        interface: None,
        tos: 0,
        flow: Flow::default(),
    };
    let route = net.reroute_output(key).map_err(|_| Suppressed::NoRouteBack)?;
    let repr = ipv4::Repr {
        tos: 0,
        identification: 0,
        dont_fragment: true,
        ttl: route.hop_limit.unwrap_or(net.default_ttl()),
        protocol: packet.protocol(),
        source,
        destination,
    };
    let mut outgoing = net
        .outgoing(repr, &[], &segment, route, mark)
        .ok_or(Suppressed::NoTcpHeader)?;
    outgoing.packet.checksum = ChecksumState::Partial;
    Ok(outgoing)
}
