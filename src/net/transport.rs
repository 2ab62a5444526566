//! What the host makes of a segment or datagram that is its own, in either family: the checks of its header, and the reset that answers it. Of the
//! network header only the addresses are looked at.

use etherparse::TcpHeader;

use super::{Answer, Delivery, DropReason, Listeners, Suppressed};
use crate::base::{Family, protocol};
use crate::packet::{ChecksumState, Packet};
use crate::wire::tcp::{self, Tcp, flags, option};
use crate::wire::{be16, be32, checksum, udp};

/// What is left to do about a packet's transport.
pub(super) enum Heard {
    /// Nothing more.
    Done(Answer),
    /// Nobody listens: this resets the connection, its checksum not yet filled in.
    Reset(TcpHeader),
    /// Nobody listens: its sender is told, and shown so many bytes of the packet.
    Unreachable { quoted: usize },
}

impl Heard {
    fn dropped(reason: DropReason) -> Self {
        Self::Done(Answer::Dropped(reason))
    }
}

/// The option of RFC 2385, and its length; a segment that carries one is not reset where no key is set.
const MD5_SIGNATURE: u8 = 19;
const MD5_SIGNATURE_LENGTH: usize = 18;
/// Checksums over no more bytes are verified on the way in, those over more when a socket takes the data.
const SUMMED_AT_ONCE: usize = 76;

/// RFC 9293, 3.10.7.1: what answers a segment for which there is no connection.
pub(super) fn tcp(packet: &Packet, delivery: Delivery, listeners: &dyn Listeners) -> Heard {
    let segment = packet.transport();
    if segment.len() < tcp::MIN_HEADER {
        return Heard::dropped(DropReason::TransportTruncated);
    }
    let header = usize::from(segment[12] >> 4) * 4;
    if header < tcp::MIN_HEADER {
        return Heard::dropped(DropReason::TransportLength);
    }
    if header > segment.len() {
        return Heard::dropped(DropReason::TransportTruncated);
    }
    if !checksum_is_right(packet, segment.len()) {
        return Heard::dropped(DropReason::TcpChecksum);
    }
    if delivery == Delivery::Local && listeners.is_open(packet) {
        return Heard::Done(Answer::Consumed);
    }
    let Ok(view) = Tcp::new(segment) else {
        return Heard::dropped(DropReason::TransportLength);
    };
    if view.has(flags::RST) || delivery != Delivery::Local || may_be_signed(view.options_bytes()) {
        return Heard::dropped(DropReason::NoSocket);
    }
    Heard::Reset(reset_of(segment, view.payload().len() as u32))
}

/// The reset that closes the connection which a segment with a whole header wanted (RFC 9293, 3.5.2): with the acknowledgement's number where there
/// is one, else acknowledging everything the segment took.
pub(super) fn reset_of(segment: &[u8], data: u32) -> TcpHeader {
    let has = |flag: u8| segment[13] & flag != 0;
    let mut reset = TcpHeader::new(be16(segment, 2), be16(segment, 0), 0, 0);
    reset.rst = true;
    if has(flags::ACK) {
        reset.sequence_number = be32(segment, 8);
    } else {
        let phantom = u32::from(has(flags::SYN)) + u32::from(has(flags::FIN));
        reset.ack = true;
        reset.acknowledgment_number = be32(segment, 4).wrapping_add(data).wrapping_add(phantom);
    }
    reset
}

/// Whether the kernel finds a signature among a segment's options, or cannot tell because they are broken: it resets no such connection. Where
/// less is left than a signature takes it looks no further.
fn may_be_signed(mut options: &[u8]) -> bool {
    while options.len() >= MD5_SIGNATURE_LENGTH {
        match options[0] {
            option::END => return false,
            option::NOP => options = &options[1..],
            kind => {
                let length = usize::from(options[1]);
                if kind == MD5_SIGNATURE || length < 2 || length > options.len() {
                    return true;
                }
                options = &options[length..];
            }
        }
    }
    false
}

/// In IPv6 a length of zero means the whole packet, and a checksum of zero is none that could be right.
pub(super) fn udp(packet: &Packet, delivery: Delivery, listeners: &dyn Listeners) -> Heard {
    let segment = packet.transport();
    if segment.len() < udp::HEADER {
        return Heard::dropped(DropReason::TransportTruncated);
    }
    let is_v6 = packet.family() == Family::V6;
    let length = match usize::from(be16(segment, 4)) {
        0 if is_v6 => segment.len(),
        length => length,
    };
    if length < udp::HEADER || length > segment.len() {
        return Heard::dropped(DropReason::TransportLength);
    }
    // A long broadcast that no one takes is dropped before its checksum is summed.
    let is_summed = delivery == Delivery::Local || length <= SUMMED_AT_ONCE;
    let is_none = be16(segment, 6) == 0;
    // What is short is summed up once more.
    let was_right = packet.checksum == ChecksumState::Verified;
    let is_misled = length > SUMMED_AT_ONCE && was_right && packet.is_header_changed();
    let is_right = || match length > usize::from(u16::MAX) {
        true => is_right_over(packet, length, length),
        false => checksum_is_right(packet, length),
    };
    if is_summed && (is_v6 && is_none || is_misled || !is_none && !is_right()) {
        return Heard::dropped(DropReason::UdpChecksum);
    }
    // What lies behind the datagram is cut off before it is quoted.
    datagram(packet, packet.network_header_length() + length, delivery, listeners)
}

/// RFC 3828: the checksum covers as many bytes as the length field says (0: all), and there is always one.
pub(super) fn udplite(packet: &Packet, delivery: Delivery, listeners: &dyn Listeners) -> Heard {
    let segment = packet.transport();
    if segment.len() < udp::HEADER {
        return Heard::dropped(DropReason::TransportTruncated);
    }
    let covered = match usize::from(be16(segment, 4)) {
        0 => segment.len(),
        covered => covered,
    };
    if covered > segment.len() {
        return Heard::dropped(DropReason::TransportLength);
    }
    if covered < udp::HEADER || be16(segment, 6) == 0 {
        return Heard::dropped(DropReason::UdpChecksum);
    }
    if !is_right_over(packet, segment.len(), covered) {
        return Heard::dropped(DropReason::UdpChecksum);
    }
    datagram(packet, packet.len(), delivery, listeners)
}

fn datagram(packet: &Packet, quoted: usize, delivery: Delivery, listeners: &dyn Listeners) -> Heard {
    if listeners.is_open(packet) {
        return Heard::Done(Answer::Consumed);
    }
    match delivery {
        Delivery::Local => Heard::Unreachable { quoted },
        _ => Heard::dropped(DropReason::NoBroadcastSocket),
    }
}

/// Whether the sum of the first bytes is right, for a datagram of this length. Seen: how many bytes are summed has 16 bits, also in a jumbogram.
fn is_right_over(packet: &Packet, length: usize, covered: usize) -> bool {
    let pseudo = checksum::pseudo_header(packet.source(), packet.destination(), packet.protocol(), length);
    let covered = &packet.transport()[..covered & usize::from(u16::MAX)];
    let sum = pseudo + u32::from(checksum::fold(checksum::sum(covered)));
    checksum::fold(sum) == 0xffff
}

fn checksum_is_right(packet: &Packet, length: usize) -> bool {
    let segment = packet.transport();
    match packet.checksum {
        ChecksumState::Partial => return true,
        // Tracking has summed up the whole; of a datagram that ends before the packet does the rest is taken off again.
        ChecksumState::Verified if length == segment.len() => return true,
        _ => {}
    }
    let (source, destination) = (packet.source(), packet.destination());
    let value = checksum::transport(source, destination, packet.protocol(), &segment[..length]);
    packet.is_right_with(value)
}

/// REJECT answers nothing whose transport checksum is wrong: who would trust the ports in it? Linux 6.18 knows these to have none of the Internet's
/// kind.
pub(super) fn is_never_summed(packet: &Packet) -> bool {
    match packet.protocol() {
        // Cut short it has no checksum that could be zero.
        protocol::UDP => packet.udp().is_some_and(|udp| udp.checksum() == 0),
        protocol::GRE | protocol::ESP | protocol::AH | protocol::UDPLITE | protocol::SCTP => true,
        _ => false,
    }
}

/// Whether the kernel believes a packet's checksum. What tracking found right is not summed up again, whatever a rule has made of it since
/// (TCPMSS spoils it where the option stands at an odd place); else the kernel sums up the whole packet.
pub(super) fn is_believed(packet: &Packet, trusts_tracking: bool, sum_is_right: impl FnOnce() -> bool) -> bool {
    match packet.checksum {
        ChecksumState::Partial => true,
        ChecksumState::Verified if trusts_tracking => true,
        ChecksumState::Verified | ChecksumState::Unknown | ChecksumState::Wrong => sum_is_right(),
    }
}

pub(super) fn wrong_checksum(packet: &Packet) -> Suppressed {
    match packet.is_fragment() {
        true => Suppressed::FragmentChecksumWrong,
        false => Suppressed::ChecksumWrong,
    }
}
