//! What REJECT answers: ICMP unreachable, or a TCP reset.

use std::net::IpAddr;

use super::Header;
use etherparse::TcpHeader;

use crate::base::protocol;
use crate::net::{Delivery, Net, NoReset, Outgoing, OutputKey};
use crate::packet::{ChecksumState, Packet};
use crate::wire::tcp::{self, flags};
use crate::wire::{be16, be32, checksum, ipv4};

/// REJECT answers no later fragments, and nothing whose transport checksum is wrong: who would trust the ports in it?
///
/// Linux 6.18 knows five protocols to have none of the Internet's kind; of every other it sums the payload alone, as if the checksum were there,
/// and takes a payload of nothing but zeros too. A first fragment is summed up as if it were the whole packet, so it is hardly ever right.
pub(crate) fn may_complain(packet: &Packet) -> bool {
    if packet.fragment_offset() != 0 {
        return false;
    }
    let wrong = match packet.protocol() {
        protocol::TCP => !transport_is_right(packet, true),
        // Cut short it has no checksum that could be zero.
        protocol::UDP => packet.udp().is_none_or(|udp| udp.checksum() != 0) && !transport_is_right(packet, true),
        protocol::GRE | protocol::ESP | protocol::AH | protocol::UDPLITE | protocol::SCTP => false,
        _ => {
            !header_is_summed(packet, true) || !matches!(checksum::fold(checksum::sum(packet.transport())), 0 | 0xffff)
        }
    };
    !wrong
}

/// Unless it trusts what tracking found, the kernel sums up the whole packet: a header whose options were just written to, and whose own
/// checksum is yet to follow, spoils the sum.
fn header_is_summed(packet: &Packet, is_trusted: bool) -> bool {
    is_trusted && packet.checksum == ChecksumState::Verified || packet.header().checksum_is_right()
}

/// Whether the kernel believes the checksum of a TCP or UDP packet.
fn transport_is_right(packet: &Packet, is_trusted: bool) -> bool {
    let sum = || {
        checksum::transport(
            packet.source(),
            packet.destination(),
            packet.protocol(),
            packet.transport(),
        )
    };
    packet.checksum == ChecksumState::Partial || header_is_summed(packet, is_trusted) && sum() == 0
}

/// The reset that closes the connection which `packet` wanted (RFC 9293, 3.5.2): with the acknowledgement's number where there is one, else
/// acknowledging everything the segment took.
pub(crate) fn reset(net: &Net, packet: &Packet, delivery: Delivery) -> Result<Outgoing, NoReset> {
    // Twenty bytes are enough; nobody asks whether the header says that it is longer, or shorter.
    let header = packet.transport();
    if packet.protocol() != protocol::TCP || packet.fragment_offset() != 0 || header.len() < tcp::MIN_HEADER {
        return Err(NoReset::NotTcp);
    }
    let has = |flag: u8| header[13] & flag != 0;
    if has(flags::RST) {
        return Err(NoReset::AboutAReset);
    }
    // Forwarding forgets the sum that tracking made, and only the other form of REJECT remembers that it was right.
    if !transport_is_right(packet, packet.output.is_none()) {
        return Err(NoReset::ChecksumWrong);
    }
    if matches!(delivery, Delivery::Broadcast | Delivery::Multicast { .. }) {
        return Err(NoReset::NotUnicast);
    }
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.destination(), packet.source()) else {
        return Err(NoReset::NotTcp);
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
    let route = net.reroute_output(key).map_err(NoReset::NoRoute)?;
    let repr = ipv4::Repr {
        tos: 0,
        identification: 0,
        dont_fragment: true,
        ttl: net.default_ttl(),
        protocol: packet.protocol(),
        source,
        destination,
    };
    let mut outgoing = net.outgoing(repr, &[], &segment, route, mark).ok_or(NoReset::NotTcp)?;
    outgoing.packet.checksum = ChecksumState::Partial;
    Ok(outgoing)
}
