//! From a draft to bytes.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{IpFragOffset, TcpHeader, UdpHeader};

use super::{Draft, IcmpDraft, IpDraft, Quote, TcpDraft, Transport};
use crate::base::protocol;
use crate::wire::icmpv4;
use crate::wire::ipv4::{self, MIN_HEADER};
use crate::wire::tcp::flags;

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
    let (source, destination) = (draft.source, draft.destination);
    let (number, mut payload) = match &draft.transport {
        Transport::Tcp(tcp) => (protocol::TCP, tcp_segment(tcp, draft, surroundings)?),
        Transport::Udp {
            source: from,
            destination: to,
        } => {
            let length = UdpHeader::LEN + draft.data.len();
            let mut header = UdpHeader {
                source_port: *from,
                destination_port: *to,
                length: length as u16,
                checksum: 0,
            };
            header.checksum = header
                .calc_checksum_ipv4_raw(source.octets(), destination.octets(), &draft.data)
                .map_err(|_| BuildError::TooLong(MIN_HEADER + length))?;
            let bytes = [&header.to_bytes(), &draft.data[..]].concat();
            (protocol::UDP, bytes)
        }
        Transport::Icmp(message) => (protocol::ICMP, icmp_message(message, draft, surroundings)?),
        Transport::Other(number) => (*number, draft.data.clone()),
    };
    if draft.bad_checksum {
        spoil(number, &mut payload);
    }
    let total = MIN_HEADER + payload.len();
    if total > usize::from(u16::MAX) {
        return Err(BuildError::TooLong(total));
    }
    let (offset, more) = match draft.piece {
        None => (0, false),
        Some((offset, length)) => {
            let offset = usize::from(offset);
            let whole = payload.len();
            if offset >= whole {
                return Err(BuildError::PieceBeyondEnd { length: whole, offset });
            }
            let end = length.map_or(whole, |length| (offset + usize::from(length)).min(whole));
            payload = payload[offset..end].to_vec();
            (offset, end < whole)
        }
    };
    let repr = ipv4::Repr {
        tos: draft.tos,
        identification: draft.id,
        dont_fragment: draft.dont_fragment,
        ttl: draft.ttl,
        protocol: number,
        source,
        destination,
    };
    let too_long = BuildError::TooLong(total);
    let mut header = repr.header(&[]).ok_or(too_long)?;
    header.more_fragments = more || draft.more_fragments;
    header.fragment_offset = IpFragOffset::try_new((offset / 8) as u16).map_err(|_| too_long)?;
    let mut bytes = ipv4::whole(header, &payload).ok_or(too_long)?;
    if draft.bad_header_checksum {
        bytes[10] ^= 1;
        bytes[11] ^= 1;
    }
    Ok(bytes)
}

fn tcp_segment(tcp: &TcpDraft, draft: &IpDraft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    let from = (IpAddr::V4(draft.source), tcp.source);
    let to = (IpAddr::V4(draft.destination), tcp.destination);
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
    header.checksum = header
        .calc_checksum_ipv4_raw(draft.source.octets(), draft.destination.octets(), &draft.data)
        .map_err(|_| BuildError::TooLong(MIN_HEADER + header.header_len() + draft.data.len()))?;
    Ok([&header.to_bytes(), &draft.data[..]].concat())
}

/// The window of who says none: what Linux begins with.
pub(super) const USUAL_WINDOW: u16 = 64_240;

/// Where a conversation begins when nobody says so: the same for the same end, and different for two ends.
pub(crate) fn first_sequence(address: Ipv4Addr, port: u16) -> u32 {
    (address.to_bits() & 0xff) * 1_000_000 + u32::from(port) * 10
}

fn icmp_message(message: &IcmpDraft, draft: &IpDraft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    let mut payload = match &message.quote {
        None => Vec::new(),
        Some(Quote::Last) => quoted(surroundings.departed().ok_or(BuildError::NothingToQuote)?),
        Some(Quote::Packet(packet)) => quoted(build(packet, surroundings)?),
    };
    payload.extend(&draft.data);
    Ok(icmpv4::emit(message.kind, message.code, message.rest, &payload))
}

/// As much of a packet as an error quotes: RFC 1812 wants as much as fits into 576 bytes.
fn quoted(mut packet: Vec<u8>) -> Vec<u8> {
    packet.truncate(576 - MIN_HEADER - icmpv4::HEADER);
    packet
}

/// Makes the checksum wrong, where the protocol has one.
fn spoil(number: u8, payload: &mut [u8]) {
    let at = match number {
        protocol::TCP => 16,
        protocol::UDP => 6,
        protocol::ICMP => 2,
        _ => return,
    };
    if let Some(byte) = payload.get_mut(at) {
        *byte ^= 0x55;
    }
}
