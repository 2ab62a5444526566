//! What REJECT answers: ICMP unreachable, or a TCP reset.

use std::net::IpAddr;

use super::Header;
use etherparse::TcpHeader;

use crate::base::protocol;
use crate::net::{Delivery, Net, Outgoing, OutputKey, Suppressed};
use crate::packet::{ChecksumState, Packet};
use crate::wire::tcp::{self, flags};
use crate::wire::{be16, be32, checksum, ipv4};

/// REJECT answers no later fragments, and nothing whose transport checksum is wrong: who would trust the ports in it?
///
/// Linux 6.18 knows five protocols to have none of the Internet's kind; of every other it sums the payload alone, as if the checksum were there,
/// and takes a payload of nothing but zeros too. A first fragment is summed up as if it were the whole packet, so it is hardly ever right.
pub(crate) fn may_be_rejected(packet: &Packet) -> Result<(), Suppressed> {
    if packet.fragment_offset() != 0 {
        return Err(Suppressed::LaterFragment);
    }
    let is_right = match packet.protocol() {
        // Cut short it has no checksum that could be zero.
        protocol::UDP if packet.udp().is_some_and(|udp| udp.checksum() == 0) => true,
        protocol::TCP | protocol::UDP => is_believed(packet, true, || transport_sum_is_right(packet)),
        protocol::GRE | protocol::ESP | protocol::AH | protocol::UDPLITE | protocol::SCTP => true,
        _ => is_believed(packet, true, || {
            matches!(checksum::fold(checksum::sum(packet.transport())), 0 | 0xffff)
        }),
    };
    match is_right {
        true => Ok(()),
        false => Err(wrong_checksum(packet)),
    }
}

fn wrong_checksum(packet: &Packet) -> Suppressed {
    match packet.is_fragment() {
        true => Suppressed::FragmentChecksumWrong,
        false => Suppressed::ChecksumWrong,
    }
}

/// Whether the kernel believes a packet's checksum. What tracking found right is not summed up again, whatever a rule has made of it since
/// (TCPMSS spoils it where the option stands at an odd place); else the kernel sums up the whole packet: a header whose options were just
/// written to, and whose own checksum is yet to follow, spoils the sum.
fn is_believed(packet: &Packet, trusts_tracking: bool, sum_is_right: impl FnOnce() -> bool) -> bool {
    match packet.checksum {
        ChecksumState::Partial => true,
        ChecksumState::Verified if trusts_tracking => true,
        ChecksumState::Verified | ChecksumState::Unknown => packet.header().checksum_is_right() && sum_is_right(),
    }
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
    let has = |flag: u8| header[13] & flag != 0;
    if has(flags::RST) {
        return Err(Suppressed::AboutAReset);
    }
    // Forwarding forgets the sum that tracking made, and only the other form of REJECT remembers that it was right.
    if !is_believed(packet, packet.output.is_none(), || transport_sum_is_right(packet)) {
        return Err(wrong_checksum(packet));
    }
    if matches!(delivery, Delivery::Broadcast | Delivery::Multicast { .. }) {
        return Err(Suppressed::NoConnectionOfMany);
    }
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.destination(), packet.source()) else {
        return Err(Suppressed::NoTcpHeader);
    };
    let mut reset = TcpHeader::new(be16(header, 2), be16(header, 0), 0, 0);
    reset.rst = true;
    if has(flags::ACK) {
        reset.sequence_number = be32(header, 8);
    } else {
        let phantom = u32::from(has(flags::SYN)) + u32::from(has(flags::FIN));
        let payload = (header.len() as u32).wrapping_sub(u32::from(header[12] >> 4) * 4);
        reset.ack = true;
        reset.acknowledgment_number = be32(header, 4).wrapping_add(payload).wrapping_add(phantom);
    }
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
    };
    let route = net.reroute_output(key).map_err(|_| Suppressed::NoRouteBack)?;
    let repr = ipv4::Repr {
        tos: 0,
        identification: 0,
        dont_fragment: true,
        ttl: net.default_ttl(),
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
