//! One packet in flight: its bytes, where its headers are, its interfaces and mark, and what is known of its checksums.
//!
//! Every edit of a packet goes through here, because only here is it known which checksums must follow: a complete checksum is updated
//! incrementally, a partial one (TUN offload: only the pseudo-header is summed) follows the pseudo-header alone.

mod edit;

pub use edit::End;

use std::net::{IpAddr, Ipv4Addr};

use crate::base::{Family, InterfaceId, protocol};
use crate::wire::ipv4::Ipv4;
use crate::wire::{Malformed, be32, icmpv4::Icmpv4, tcp::Tcp, udp::Udp};

/// What is known of the transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChecksumState {
    /// Whatever is in the bytes is all there is; nobody has verified it.
    #[default]
    Unknown,
    /// Verified, or made by us.
    Verified,
    /// The field holds the pseudo-header's sum only; the device will finish it.
    Partial,
}

/// A packet whose network header has been found sane. Made by `Packet::parse`.
#[derive(Clone, Debug)]
pub struct Packet {
    bytes: Vec<u8>,
    family: Family,
    network_header: u16,
    protocol: u8,
    /// In bytes; zero for a whole packet and for a first fragment.
    fragment_offset: u16,
    pub checksum: ChecksumState,
    /// Where it came in; `None` for the router's own packets.
    pub input: Option<InterfaceId>,
    /// Where it is going out; set by routing.
    pub output: Option<InterfaceId>,
    /// The netfilter mark (`MARK`, `-m mark`, routing rules).
    pub mark: u32,
    /// After reassembly: the size of the largest fragment it came in, which bounds those it leaves in. 0: it was never fragmented.
    pub largest_fragment: u16,
    /// A fragment of it carried DF, so each piece that leaves does too.
    pub fragments_had_df: bool,
    /// A program wrote its header, and nobody has read the options in it: complaints about the packet answer none of them.
    pub options_unread: bool,
    /// After reassembly: how many bytes after the header each fragment brought, in their order; it leaves in the same pieces where they still fit.
    /// Empty for a packet that was never fragmented, and once its length changed.
    pub fragments: Vec<u16>,
}

impl Packet {
    /// Takes bytes that start with an IPv4 header. What lies after the header's total length is cut off, as a link's padding is.
    pub fn parse(mut bytes: Vec<u8>) -> Result<Self, (Malformed, Vec<u8>)> {
        let (network_header, protocol, fragment_offset, total) = match Ipv4::new(&bytes) {
            Ok(view) => (
                view.header_length() as u16,
                view.protocol(),
                view.fragment_offset() as u16,
                usize::from(view.total_length()),
            ),
            Err(why) => return Err((why, bytes)),
        };
        if total < usize::from(network_header) || total > bytes.len() {
            return Err((Malformed::BadHeader, bytes));
        }
        bytes.truncate(total);
        Ok(Self {
            bytes,
            family: Family::V4,
            network_header,
            protocol,
            fragment_offset,
            checksum: ChecksumState::Unknown,
            input: None,
            output: None,
            mark: 0,
            largest_fragment: 0,
            fragments_had_df: false,
            options_unread: false,
            fragments: Vec::new(),
        })
    }

    /// Takes the packet out and leaves a husk without bytes, of which nothing may be asked.
    pub fn take(&mut self) -> Self {
        Self {
            bytes: std::mem::take(&mut self.bytes),
            fragments: std::mem::take(&mut self.fragments),
            ..*self
        }
    }

    /// Takes its bytes out, and leaves a husk as `take` does.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The whole packet's length in bytes, network header included: what counters count.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a packet has at least its header.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// The transport protocol's number.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Each rule asks for both addresses, so the header isn't checked once more.
    pub fn source(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(be32(&self.bytes, 12)))
    }

    pub fn destination(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(be32(&self.bytes, 16)))
    }

    /// True for the ICMP of its family.
    pub fn is_icmp(&self) -> bool {
        match self.family {
            Family::V4 => self.protocol == protocol::ICMP,
            Family::V6 => self.protocol == protocol::ICMPV6,
        }
    }

    /// The type of service; IPv6 calls it the traffic class.
    pub fn tos(&self) -> u8 {
        self.ipv4().tos()
    }

    /// Bytes of the network header.
    pub fn network_header_length(&self) -> usize {
        usize::from(self.network_header)
    }

    /// In bytes; not zero means that there is no transport header in this packet.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment_offset)
    }

    /// True for the first and for later fragments.
    pub fn is_fragment(&self) -> bool {
        self.ipv4().is_fragment()
    }

    pub fn ipv4(&self) -> Ipv4<&[u8]> {
        Ipv4::new(&self.bytes[..]).expect("Packet::parse checked the header")
    }

    /// Everything after the network header.
    pub fn transport(&self) -> &[u8] {
        &self.bytes[usize::from(self.network_header)..]
    }

    /// The TCP header; `None` for other protocols, later fragments and headers that are cut short.
    pub fn tcp(&self) -> Option<Tcp<&[u8]>> {
        (self.protocol == protocol::TCP && self.fragment_offset == 0).then(|| Tcp::new(self.transport()).ok())?
    }

    /// The UDP header; `None` as with `tcp`.
    pub fn udp(&self) -> Option<Udp<&[u8]>> {
        (self.protocol == protocol::UDP && self.fragment_offset == 0).then(|| Udp::new(self.transport()).ok())?
    }

    /// The ICMP header; `None` as with `tcp`.
    pub fn icmpv4(&self) -> Option<Icmpv4<&[u8]>> {
        (self.protocol == protocol::ICMP && self.fragment_offset == 0).then(|| Icmpv4::new(self.transport()).ok())?
    }

    /// Source and destination port of the protocols whose headers begin with them; `None` where there are no such four bytes.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let has_ports = matches!(
            self.protocol,
            protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::DCCP
        );
        let transport = self.transport();
        (has_ports && self.fragment_offset == 0 && transport.len() >= 4).then(|| {
            (
                u16::from_be_bytes([transport[0], transport[1]]),
                u16::from_be_bytes([transport[2], transport[3]]),
            )
        })
    }
}
