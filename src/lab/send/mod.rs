//! A packet described in a line: `tcp 10.0.0.2:40000 > 192.0.2.9:80 S`, `tcp [2001:db8::2]:40000 > [2001:db8:1::9]:80 S`.
//!
//! ```text
//! PACKET  = tcp  A:PORT > B:PORT [FLAGS] OPTION...
//!         | udp  A:PORT > B:PORT OPTION...
//!         | icmp A > B KIND OPTION...                 of the addresses' family; icmpv6 is IPv6's alone
//!         | ip   A > B proto N OPTION...
//!         | hex  BYTES
//! ```
//! What isn't written has a plain value (TTL or hop limit 64, 255 of what neighbours of IPv6 say to one another, window 64240, no DF); a TCP packet without `seq`, `ack` or `win` goes on where its
//! conversation stands: as far as it passed this lab, else as the tracked flow tells of it. Extension headers of IPv6 stand in the packet in the order
//! in which the line has them.

mod build;
mod ends;
mod extension;
mod icmp;
mod parse;
mod tcp_option;

pub(crate) use build::first_sequence;
pub use build::{BuildError, Surroundings, build};
pub use extension::Extension;
pub(crate) use extension::extension;
pub(crate) use icmp::no_kind;
pub(crate) use parse::{A_PACKET, PACKETS, of_either_family};
pub use parse::{PACKET_OPTIONS, packet, split_parentheses};
pub(crate) use tcp_option::tcp_option;

use std::net::IpAddr;

use crate::base::Family;

/// A packet as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    /// Bytes, whatever they are.
    Raw(Vec<u8>),
    /// A packet of either family, with all that was left out filled in but what depends on packets before it.
    Ip(Box<IpDraft>),
}

/// A packet before its lengths and checksums. Its family is that of its addresses, which are of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpDraft {
    /// Where it claims to come from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// What stands behind the IP header.
    pub transport: Transport,
    /// The payload: behind the transport header, or behind what an ICMP error quotes. That of IPv6's redirect stands before the option that quotes.
    pub data: Vec<u8>,
    /// Time to live, IPv6's hop limit; unless written 64, and 255 of what neighbours of IPv6 say to one another.
    pub ttl: u8,
    /// The whole byte of type of service, IPv6's traffic class; 0 unless written.
    pub tos: u8,
    /// Identification; 0 unless written. IPv4's has 16 bits, and that in a fragment header of IPv6 32.
    pub id: u32,
    /// Sets DF, which only IPv4 has.
    pub dont_fragment: bool,
    /// Sets MF, whatever is cut.
    pub more_fragments: bool,
    /// Only this part of the packet is sent: from this offset, so many bytes (the rest where it says `None`).
    pub piece: Option<(u16, Option<u16>)>,
    /// The transport checksum is made wrong.
    pub bad_checksum: bool,
    /// The header checksum is made wrong, which only IPv4 has.
    pub bad_header_checksum: bool,
    /// IPv6's alone, of 20 bits; 0 unless written.
    pub flow_label: u32,
    /// IPv6's alone: what its header says of the payload's length, where that is not what it is.
    pub payload_length: Option<u16>,
    /// IPv6's alone, in their order.
    pub extensions: Vec<Extension>,
}

impl IpDraft {
    /// A packet with nothing but its ends and what stands behind its header.
    pub fn new(source: IpAddr, destination: IpAddr, transport: Transport) -> Self {
        Self {
            source,
            destination,
            transport,
            data: Vec::new(),
            ttl: 64,
            tos: 0,
            id: 0,
            dont_fragment: false,
            more_fragments: false,
            piece: None,
            bad_checksum: false,
            bad_header_checksum: false,
            flow_label: 0,
            payload_length: None,
            extensions: Vec::new(),
        }
    }

    /// Of its addresses.
    pub fn family(&self) -> Family {
        Family::of(self.source)
    }
}

/// A transport header as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(TcpDraft),
    /// UDP.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP of the packet's family.
    Icmp(IcmpDraft),
    /// A protocol without a header of its own here: the data is all there is.
    Other(u8),
}

/// A TCP header, before its checksum; `None` is what [`build`] finds in the packet's surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpDraft {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// As in the header's byte: FIN is 1, CWR 128. ACK unless written.
    pub flags: u8,
    /// `None`: goes on where the conversation stands; a SYN begins one.
    pub sequence: Option<u32>,
    /// `None`: what the sender has got of the other direction; 0 without ACK.
    pub acknowledgement: Option<u32>,
    /// As it stands in the header. `None`: what the tracked flow has, else 64240, as in any SYN.
    pub window: Option<u16>,
    /// The urgent pointer, whether or not URG is set.
    pub urgent: u16,
    /// Ready bytes, not yet padded.
    pub options: Vec<u8>,
}

/// An ICMP message, before its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpDraft {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The four bytes after the checksum.
    pub rest: u32,
    /// Stands behind these four bytes, cut to what fits into 576 bytes of packet, or 1280 of IPv6; in IPv6's redirect, as an option behind the data.
    pub quote: Option<Quote>,
}

/// What an ICMP error quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quote {
    /// What left last by the interface that the error comes in by.
    Last,
    /// This one, made as any other.
    Packet(Draft),
}

#[cfg(test)]
mod tests;
