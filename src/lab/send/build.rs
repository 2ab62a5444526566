//! From a draft to bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpFragOffset, Ipv6FlowLabel, Ipv6FragmentHeader, Ipv6Header, TcpHeader, UdpHeader};

use super::{Draft, Extension, IcmpDraft, IpDraft, Quote, TcpDraft, Transport};
use crate::base::{Family, protocol};
use crate::explain::describe::icmp;
use crate::wire::ipv4::{self, MIN_HEADER};
use crate::wire::tcp::flags;
use crate::wire::{checksum, icmpv4, icmpv6, ipv6, put16};

/// What a packet may go by: what has passed before it.
pub trait Surroundings {
    /// The sequence number that comes next from one end of a TCP conversation to the other.
    fn next_sequence(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u32>;
    /// What one end acknowledges of a TCP conversation: what comes next from the other, as this end has got it.
    fn acknowledged(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u32> {
        self.next_sequence(to, from)
    }
    /// The window that one end of a TCP conversation offers, as it stands in a header.
    fn window(&self, _from: (IpAddr, u16), _to: (IpAddr, u16)) -> Option<u16> {
        None
    }
    /// What left last by the interface that this packet comes in by.
    fn departed(&self) -> Option<Vec<u8>>;
}

/// Why a packet can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Its addresses are of two families.
    #[error("the two ends of a packet are of one family; write two IPv4 addresses, or two of IPv6")]
    TwoFamilies,
    /// `quoting last`, and nothing has left.
    #[error(
        "there is nothing to quote: no packet has left by this interface yet; send one first, or write `quoting (PACKET)`"
    )]
    NothingToQuote,
    /// IP has no room for its length; the length in bytes.
    #[error("the packet would be {0} bytes long: at most 65535; shorten its data")]
    TooLong(usize),
    /// A TCP header has no room for them; their length in bytes.
    #[error("the TCP options are {0} bytes long: at most 40; leave one out")]
    OptionsTooLong(usize),
    /// A fragment that would begin behind the end of what it is a fragment of.
    #[error("the packet has {length} bytes after its header, and the piece begins at {offset}; begin it earlier")]
    PieceBeyondEnd {
        /// Of the packet behind its IP header.
        length: usize,
        /// Of the piece in it.
        offset: usize,
    },
}

/// The packet from its IP header on, with lengths and checksums right unless the draft wants them wrong. The error is a sentence with its remedy.
pub fn build(draft: &Draft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    match draft {
        Draft::Raw(bytes) => Ok(bytes.clone()),
        Draft::Ip(draft) => ip(draft, surroundings),
    }
}

fn ip(draft: &IpDraft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    let family = draft.family();
    let (number, mut payload) = match &draft.transport {
        Transport::Tcp(tcp) => (protocol::TCP, tcp_segment(tcp, draft, surroundings)?),
        Transport::Udp { source, destination } => (protocol::UDP, datagram((*source, *destination), draft)?),
        Transport::Icmp(message) => (icmp::protocol(family), icmp_message(message, draft, surroundings)?),
        Transport::Other(number) => (*number, draft.data.clone()),
    };
    if draft.bad_checksum {
        spoil(number, &mut payload);
    }
    match (draft.source, draft.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4(draft, (source, destination), number, payload),
        (IpAddr::V6(source), IpAddr::V6(destination)) => ipv6(draft, (source, destination), number, payload),
        _ => Err(BuildError::TwoFamilies),
    }
}

fn ipv4(
    draft: &IpDraft,
    (source, destination): (Ipv4Addr, Ipv4Addr),
    number: u8,
    mut payload: Vec<u8>,
) -> Result<Vec<u8>, BuildError> {
    let total = MIN_HEADER + payload.len();
    if total > usize::from(u16::MAX) {
        return Err(BuildError::TooLong(total));
    }
    let (offset, more) = piece(draft, &mut payload)?;
    let repr = ipv4::Repr {
        tos: draft.tos,
        identification: draft.id as u16,
        dont_fragment: draft.dont_fragment,
        ttl: draft.ttl,
        protocol: number,
        source,
        destination,
    };
    let too_long = BuildError::TooLong(total);
    let mut header = repr.header(&[]).ok_or(too_long)?;
    header.more_fragments = more;
    header.fragment_offset = IpFragOffset::try_new(offset / 8).map_err(|_| too_long)?;
    let mut bytes = ipv4::whole(header, &payload).ok_or(too_long)?;
    if draft.bad_header_checksum {
        bytes[10] ^= 1;
        bytes[11] ^= 1;
    }
    Ok(bytes)
}

/// The chain is made from its end, where each header's number is known to the one before it.
fn ipv6(
    draft: &IpDraft,
    (source, destination): (Ipv6Addr, Ipv6Addr),
    number: u8,
    payload: Vec<u8>,
) -> Result<Vec<u8>, BuildError> {
    let (mut next, mut behind) = (number, payload);
    for header in draft.extensions.iter().rev() {
        behind = match header {
            Extension::Plain { body, .. } => [&[next], &body[..], &behind].concat(),
            Extension::Fragment => {
                let (offset, more) = piece(draft, &mut behind)?;
                let offset = IpFragOffset::try_new(offset / 8).map_err(|_| BuildError::TooLong(behind.len()))?;
                let fragment = Ipv6FragmentHeader::new(next.into(), offset, more, draft.id);
                [&fragment.to_bytes()[..], &behind].concat()
            }
        };
        next = header.number();
    }
    let length = u16::try_from(behind.len()).map_err(|_| BuildError::TooLong(ipv6::HEADER + behind.len()))?;
    let header = Ipv6Header {
        traffic_class: draft.tos,
        flow_label: Ipv6FlowLabel::try_new(draft.flow_label).unwrap_or_default(),
        payload_length: draft.payload_length.unwrap_or(length),
        next_header: next.into(),
        hop_limit: draft.ttl,
        source: source.octets(),
        destination: destination.octets(),
    };
    Ok([&header.to_bytes()[..], &behind].concat())
}

/// Cuts what a fragment does not have of what could be cut; where the rest begins, and whether more follow.
fn piece(draft: &IpDraft, payload: &mut Vec<u8>) -> Result<(u16, bool), BuildError> {
    let Some((offset, length)) = draft.piece else {
        return Ok((0, draft.more_fragments));
    };
    let (start, whole) = (usize::from(offset), payload.len());
    // A fragment header of IPv6 may stand before nothing at all.
    if start >= whole && offset != 0 {
        return Err(BuildError::PieceBeyondEnd {
            length: whole,
            offset: start,
        });
    }
    let end = length.map_or(whole, |length| (start + usize::from(length)).min(whole));
    *payload = payload[start..end].to_vec();
    Ok((offset, end < whole || draft.more_fragments))
}

fn datagram((from, to): (u16, u16), draft: &IpDraft) -> Result<Vec<u8>, BuildError> {
    let length = UdpHeader::LEN + draft.data.len();
    let header = UdpHeader {
        source_port: from,
        destination_port: to,
        length: u16::try_from(length).map_err(|_| too_long(draft, length))?,
        checksum: 0,
    };
    let mut bytes = [&header.to_bytes(), &draft.data[..]].concat();
    // No checksum at all is written as zero, so one that is zero is written as its other form.
    let checksum = match checksum(draft, protocol::UDP, &bytes) {
        0 => 0xffff,
        other => other,
    };
    put16(&mut bytes, 6, checksum);
    Ok(bytes)
}

/// As the receiver sums it: a packet that a routing header leads on goes to the last of its segments.
fn checksum(draft: &IpDraft, number: u8, segment: &[u8]) -> u16 {
    let led_on = draft.extensions.iter().find_map(Extension::last_destination);
    let destination = led_on.map_or(draft.destination, IpAddr::V6);
    checksum::transport(draft.source, destination, number, segment)
}

/// Of a packet with a transport header and data of this length.
fn too_long(draft: &IpDraft, length: usize) -> BuildError {
    let header = match draft.family() {
        Family::V4 => MIN_HEADER,
        Family::V6 => ipv6::HEADER,
    };
    BuildError::TooLong(header + length)
}

fn tcp_segment(tcp: &TcpDraft, draft: &IpDraft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    let from = (draft.source, tcp.source);
    let to = (draft.destination, tcp.destination);
    let sequence = tcp.sequence.unwrap_or_else(|| {
        surroundings
            .next_sequence(from, to)
            .filter(|_| tcp.flags & flags::SYN == 0)
            .unwrap_or_else(|| first_sequence(draft.source, tcp.source))
    });
    let acknowledgement = tcp.acknowledgement.unwrap_or_else(|| {
        if tcp.flags & flags::ACK == 0 {
            0
        } else {
            surroundings.acknowledged(from, to).unwrap_or(0)
        }
    });
    let window = tcp.window.unwrap_or_else(|| {
        surroundings
            .window(from, to)
            // That of a SYN is never scaled.
            .filter(|_| tcp.flags & flags::SYN == 0)
            .unwrap_or(USUAL_WINDOW)
    });
    let mut options = tcp.options.clone();
    options.resize(options.len().next_multiple_of(4), crate::wire::tcp::option::NOP);
    let mut header = TcpHeader::new(tcp.source, tcp.destination, sequence, window);
    let has = |flag| tcp.flags & flag != 0;
    header.fin = has(flags::FIN);
    header.syn = has(flags::SYN);
    header.rst = has(flags::RST);
    header.psh = has(flags::PSH);
    header.ack = has(flags::ACK);
    header.urg = has(flags::URG);
    header.ece = has(flags::ECE);
    header.cwr = has(flags::CWR);
    header.acknowledgment_number = acknowledgement;
    header.urgent_pointer = tcp.urgent;
    header
        .set_options_raw(&options)
        .map_err(|_| BuildError::OptionsTooLong(options.len()))?;
    let mut bytes = [&header.to_bytes(), &draft.data[..]].concat();
    if bytes.len() > usize::from(u16::MAX) {
        return Err(too_long(draft, bytes.len()));
    }
    let checksum = checksum(draft, protocol::TCP, &bytes);
    put16(&mut bytes, 16, checksum);
    Ok(bytes)
}

/// The window of who says none: what Linux begins with.
pub(super) const USUAL_WINDOW: u16 = 64_240;

/// Where a conversation begins when nobody says so: the same for the same end, and different for two ends.
pub(crate) fn first_sequence(address: IpAddr, port: u16) -> u32 {
    let last = match address {
        IpAddr::V4(address) => address.to_bits() & 0xff,
        IpAddr::V6(address) => (address.to_bits() & 0xff) as u32,
    };
    last * 1_000_000 + u32::from(port) * 10
}

fn icmp_message(message: &IcmpDraft, draft: &IpDraft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    let family = draft.family();
    let mut payload = match &message.quote {
        None => Vec::new(),
        Some(Quote::Last) => quoted(family, surroundings.departed().ok_or(BuildError::NothingToQuote)?),
        Some(Quote::Packet(packet)) => quoted(family, build(packet, surroundings)?),
    };
    if family == Family::V6 && message.kind == icmpv6::kind::REDIRECT && message.quote.is_some() {
        // What it quotes is an option behind its addresses.
        payload = [&draft.data[..], &icmpv6::redirected(&payload)].concat();
    } else {
        payload.extend(&draft.data);
    }
    match family {
        Family::V4 => Ok(icmpv4::emit(message.kind, message.code, message.rest, &payload)),
        Family::V6 => {
            let start = [message.kind, message.code, 0, 0];
            let mut bytes = [&start, &message.rest.to_be_bytes(), &payload[..]].concat();
            let checksum = checksum(draft, protocol::ICMPV6, &bytes);
            put16(&mut bytes, 2, checksum);
            Ok(bytes)
        }
    }
}

/// As much of a packet as an error quotes: RFC 1812 wants as much as fits into 576 bytes, and RFC 4443 into 1280.
fn quoted(family: Family, mut packet: Vec<u8>) -> Vec<u8> {
    packet.truncate(match family {
        Family::V4 => 576 - MIN_HEADER - icmpv4::HEADER,
        Family::V6 => 1280 - ipv6::HEADER - icmpv4::HEADER,
    });
    packet
}

/// Makes the checksum wrong, where the protocol has one.
fn spoil(number: u8, payload: &mut [u8]) {
    let at = match number {
        protocol::TCP => 16,
        protocol::UDP => 6,
        protocol::ICMP | protocol::ICMPV6 => 2,
        _ => return,
    };
    if let Some(byte) = payload.get_mut(at) {
        *byte ^= 0x55;
    }
}
