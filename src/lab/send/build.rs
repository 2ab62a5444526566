//! From a draft to bytes.

use std::net::{IpAddr, Ipv4Addr};

use super::{Draft, IcmpDraft, IpDraft, Quote, TcpDraft, Transport};
use crate::base::protocol;
use crate::wire::ipv4::{self, Ipv4, MIN_HEADER};
use crate::wire::tcp::flags;
use crate::wire::{checksum, icmpv4};

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
    #[error(
        "there is nothing to quote: no packet has left by this interface yet; send one first, or write `quoting (PACKET)`"
    )]
    NothingToQuote,
    #[error("the packet would be {0} bytes long: at most 65535; shorten its data")]
    TooLong(usize),
    #[error("the packet has {length} bytes after its header, and the piece begins at {offset}; begin it earlier")]
    PieceBeyondEnd { length: usize, offset: usize },
}

pub fn build(draft: &Draft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    match draft {
        Draft::Raw(bytes) => Ok(bytes.clone()),
        Draft::Ip(draft) => ip(draft, surroundings),
    }
}

fn ip(draft: &IpDraft, surroundings: &dyn Surroundings) -> Result<Vec<u8>, BuildError> {
    let (source, destination) = (draft.source, draft.destination);
    let (number, mut payload) = match &draft.transport {
        Transport::Tcp(tcp) => (protocol::TCP, tcp_segment(tcp, draft, surroundings)),
        Transport::Udp {
            source: from,
            destination: to,
        } => {
            let length = 8 + draft.data.len();
            let mut bytes = Vec::with_capacity(length);
            bytes.extend(from.to_be_bytes());
            bytes.extend(to.to_be_bytes());
            bytes.extend((length as u16).to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(&draft.data);
            let sum = match checksum::transport(source.into(), destination.into(), protocol::UDP, &bytes) {
                // Zero would say that there is none (RFC 768).
                0 => 0xffff,
                sum => sum,
            };
            bytes[6..8].copy_from_slice(&sum.to_be_bytes());
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
    let mut bytes = repr.emit(&payload);
    if let Ok(mut view) = Ipv4::new(&mut bytes[..]) {
        let mut field = view.fragment_field() | (offset / 8) as u16;
        if more || draft.more_fragments {
            field |= ipv4::MORE_FRAGMENTS;
        }
        view.set_fragment_field(field);
        view.fill_checksum();
        if draft.bad_header_checksum {
            let wrong = view.checksum() ^ 0x0101;
            view.set_checksum(wrong);
        }
    }
    Ok(bytes)
}

fn tcp_segment(tcp: &TcpDraft, draft: &IpDraft, surroundings: &dyn Surroundings) -> Vec<u8> {
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
    let header = 20 + options.len();
    let mut bytes = Vec::with_capacity(header + draft.data.len());
    bytes.extend(tcp.source.to_be_bytes());
    bytes.extend(tcp.destination.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledgement.to_be_bytes());
    bytes.extend([((header / 4) as u8) << 4, tcp.flags]);
    bytes.extend(window.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(tcp.urgent.to_be_bytes());
    bytes.extend(options);
    bytes.extend(&draft.data);
    let sum = checksum::transport(from.0, to.0, protocol::TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The window of who says none: what Linux begins with.
pub const USUAL_WINDOW: u16 = 64_240;

/// Where a conversation begins when nobody says so: the same for the same end, and different for two ends.
pub fn first_sequence(address: Ipv4Addr, port: u16) -> u32 {
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
