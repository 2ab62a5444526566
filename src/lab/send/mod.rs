//! A packet described in a line: `tcp 10.0.0.2:40000 > 192.0.2.9:80 S`.
//!
//! ```text
//! PACKET  = tcp  A:PORT > B:PORT [FLAGS] OPTION...
//!         | udp  A:PORT > B:PORT OPTION...
//!         | icmp A > B KIND OPTION...
//!         | ip   A > B proto N OPTION...
//!         | hex  BYTES
//! ```
//! What isn't written has a plain value (TTL 64, window 64240, no DF); a TCP packet without `seq`, `ack` or `win` goes on where its conversation
//! stands: as far as it passed this lab, else as the tracked flow tells of it.

mod build;
mod parse;

pub(crate) use build::first_sequence;
pub use build::{BuildError, Surroundings, build};
pub use parse::{packet, split_parentheses};

use std::net::Ipv4Addr;

/// A packet as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    /// Bytes, whatever they are.
    Raw(Vec<u8>),
    Ip(Box<IpDraft>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpDraft {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub transport: Transport,
    pub data: Vec<u8>,
    pub ttl: u8,
    pub tos: u8,
    pub id: u16,
    pub dont_fragment: bool,
    /// Sets MF, whatever is cut.
    pub more_fragments: bool,
    /// Only this part of the packet is sent: from this offset, so many bytes (the rest where it says `None`).
    pub piece: Option<(u16, Option<u16>)>,
    /// The transport checksum is made wrong.
    pub bad_checksum: bool,
    /// The header checksum is made wrong.
    pub bad_header_checksum: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp(TcpDraft),
    Udp {
        source: u16,
        destination: u16,
    },
    Icmp(IcmpDraft),
    /// A protocol without a header of its own here: the data is all there is.
    Other(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpDraft {
    pub source: u16,
    pub destination: u16,
    pub flags: u8,
    pub sequence: Option<u32>,
    pub acknowledgement: Option<u32>,
    pub window: Option<u16>,
    pub urgent: u16,
    /// Ready bytes, not yet padded.
    pub options: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpDraft {
    pub kind: u8,
    pub code: u8,
    /// The four bytes after the checksum.
    pub rest: u32,
    pub quote: Option<Quote>,
}

/// What an ICMP error quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quote {
    /// What left last by the interface that the error comes in by.
    Last,
    Packet(Draft),
}

#[cfg(test)]
mod tests;
