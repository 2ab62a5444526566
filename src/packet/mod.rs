//! One packet in flight: its bytes, where its headers are, its interfaces and mark, and what is known of its checksums. What both families have
//! is asked of the packet and answered by its family; what only one has, of a view of its header (`Packet::ipv4`).
//!
//! Every edit of a packet goes through here, because only here is it known which checksums must follow: a complete checksum is updated
//! incrementally, a partial one (TUN offload: only the pseudo-header is summed) follows the pseudo-header alone.

mod cut;
mod edit;
mod join;
pub(crate) mod log_line;
mod offload;
mod plain;
mod segment;
mod sender;
#[cfg(test)]
pub(crate) mod testing;

pub use cut::cut;
pub use edit::End;
pub use join::Joined;
pub use offload::{NoSegments, Offload, finish};
pub(crate) use offload::{checksum_place, headers_of, transport_of};
pub use plain::Plain;
pub(crate) use plain::{OF_IPV4, OF_IPV6, PlainEdit, PlainKey, TupleBytes};
pub use segment::MssEdit;
pub use sender::{Credentials, Origin, Sender};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use crate::base::{Family, InterfaceId, protocol};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{Ipv6, extension};
use crate::wire::{Malformed, be32, checksum, icmpv4::Icmpv4, icmpv6::Icmpv6, tcp::Tcp, udp::Udp};

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
    /// Tracking found it wrong.
    Wrong,
}

/// A packet whose network header has been found sane. Made by `Packet::parse`.
#[derive(Clone, Debug)]
pub struct Packet {
    bytes: Vec<u8>,
    family: Family,
    /// With options and extension headers.
    network_header: u16,
    protocol: u8,
    /// In bytes; zero for a whole packet and for a first fragment.
    fragment_offset: u16,
    is_fragment: bool,
    /// What edits of addresses, ports and payload go by.
    pub checksum: ChecksumState,
    /// Of a packet that stands for many: see [`Offload`]. 0: it is one.
    segment_size: u16,
    ecn: bool,
    /// Where it came in; `None` for the router's own packets.
    pub input: Option<InterfaceId>,
    /// Where it is going out; set by routing.
    pub output: Option<InterfaceId>,
    /// Of a packet of the router's own.
    pub sender: Sender,
    /// The netfilter mark (`MARK`, `-m mark`, routing rules).
    pub mark: u32,
    /// After reassembly: the size of the largest fragment it came in, which bounds those it leaves in. 0: it was never fragmented.
    pub largest_fragment: u16,
    /// A fragment of it carried DF, so each piece that leaves does too.
    pub fragments_had_df: bool,
    /// It may be cut although its header says DF: messages of the host's own ICMP code, whose DF only a rule can have set (TEE), and what tracking
    /// joined of fragments.
    pub ignores_df: bool,
    /// Of a packet of the router's own.
    pub origin: Origin,
    /// The host sent it to many, itself among them, and this is what it hears: to its link it is for nobody in particular.
    pub heard_itself: bool,
    /// A program wrote its header, and nobody has read the options in it: complaints about the packet answer none of them.
    pub options_unread: bool,
    /// After reassembly: how many bytes after the header (of IPv6 without its extensions) each fragment brought, in their order; it leaves in the same
    /// pieces where they still fit. Empty for a packet that was never fragmented, and once its length changed.
    pub fragments: Vec<u16>,
    /// How much the first of `fragments` must be so that all can leave as they came: what it takes over of one behind it gives that one room before its data.
    pub first_fragment_needs: u16,
    /// Where tracking took a fragment header of IPv6 out of it: there the host reads on, under the number that its first header names.
    pub(crate) joined_at: Option<NonZeroU16>,
    /// The sum of IPv6's header without lengths and addresses when tracking summed up the packet.
    summed_header: Option<NonZeroU16>,
}

impl Packet {
    /// Takes bytes that start with the header of either family, as its first four bits say. What lies after the total length is cut off, as a
    /// link's padding is.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, (Malformed, Vec<u8>)> {
        match Layout::of(&bytes) {
            Ok(layout) => Ok(Self::laid_out(bytes, layout)),
            Err(why) => Err((why, bytes)),
        }
    }

    /// The same, once it is known where the parts of these bytes are: for who wants the packet made where it stays, since it is large.
    #[inline]
    pub(crate) fn laid_out(mut bytes: Vec<u8>, layout: Layout) -> Self {
        bytes.truncate(layout.total);
        Self {
            bytes,
            family: layout.family,
            network_header: layout.network_header,
            protocol: layout.protocol,
            fragment_offset: layout.fragment_offset,
            is_fragment: layout.is_fragment,
            ..Self::husk()
        }
    }

    /// Cuts off what is beyond its own length, and looks anew where its parts are.
    pub(crate) fn lay_out_again(&mut self, layout: Layout) {
        self.bytes.truncate(layout.total);
        self.network_header = layout.network_header;
        self.protocol = layout.protocol;
        self.fragment_offset = layout.fragment_offset;
        self.is_fragment = layout.is_fragment;
    }

    /// Takes the packet out and leaves a husk without bytes, of which nothing may be asked.
    pub fn take(&mut self) -> Self {
        Self {
            bytes: std::mem::take(&mut self.bytes),
            fragments: std::mem::take(&mut self.fragments),
            sender: std::mem::take(&mut self.sender),
            ..*self
        }
    }

    /// A copy whose bytes are in this buffer already. It does not know the pieces that the packet came in, and is nobody's.
    pub fn copied_into(&self, bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            fragments: Vec::new(),
            sender: Sender::NoSocket,
            ..*self
        }
    }

    /// Other bytes in the place of its own, with what else is known of it; false, and nothing is changed, where they are no packet of its family.
    pub fn rewrite(&mut self, bytes: Vec<u8>) -> bool {
        let length = bytes.len();
        match Self::parse(bytes) {
            Ok(other) if other.family == self.family && other.len() == length => {
                *self = Self {
                    input: self.input,
                    output: self.output,
                    sender: std::mem::take(&mut self.sender),
                    mark: self.mark,
                    largest_fragment: self.largest_fragment,
                    fragments_had_df: self.fragments_had_df,
                    ignores_df: self.ignores_df,
                    origin: self.origin,
                    heard_itself: self.heard_itself,
                    options_unread: self.options_unread,
                    joined_at: self.joined_at,
                    ..other
                };
                true
            }
            _ => false,
        }
    }

    /// A copy of which a reader takes this protocol to begin there.
    #[cold]
    pub(crate) fn read_as(&self, protocol: u8, at: usize) -> Self {
        let mut read = self.clone();
        (read.protocol, read.network_header) = (protocol, at.min(self.len()) as u16);
        read
    }

    /// Takes its bytes out, and leaves a husk as `take` does.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// From the network header on, nothing behind its total length.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The whole packet's length in bytes, network header included: what counters count.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a packet has at least its header.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// As the first four bits say.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The transport protocol's number.
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Each rule asks for both addresses, so the header isn't checked once more.
    #[inline]
    pub fn source(&self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(be32(&self.bytes, 12))),
            Family::V6 => self.ipv6_address(8),
        }
    }

    /// Where it goes by its header, as NAT has left it.
    #[inline]
    pub fn destination(&self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(be32(&self.bytes, 16))),
            Family::V6 => self.ipv6_address(24),
        }
    }

    /// Source and destination as numbers; IPv4's are the lowest 32 bits. For who asks often: an `IpAddr` is written in two pieces and read as
    /// one, for which the processor waits.
    #[inline]
    pub(crate) fn addresses_as_numbers(&self) -> (u128, u128) {
        match self.family {
            Family::V4 => (be32(&self.bytes, 12).into(), be32(&self.bytes, 16).into()),
            Family::V6 => self.ipv6_addresses_as_numbers(),
        }
    }

    #[cold]
    fn ipv6_addresses_as_numbers(&self) -> (u128, u128) {
        let number = |at: usize| {
            self.bytes[at..]
                .first_chunk::<16>()
                .map_or(0, |it| u128::from_be_bytes(*it))
        };
        (number(8), number(24))
    }

    #[cold]
    fn ipv6_address(&self, at: usize) -> IpAddr {
        let octets = self.bytes[at..].first_chunk::<16>();
        IpAddr::V6(octets.map_or(Ipv6Addr::UNSPECIFIED, |it| Ipv6Addr::from(*it)))
    }

    /// Tracking has summed up the packet, and found this of the checksum.
    #[inline]
    pub(crate) fn was_summed(&mut self, found: ChecksumState) {
        self.checksum = found;
        if self.family == Family::V6 {
            self.summed_header = self.ipv6_header_sum();
        }
    }

    /// It comes in anew: nobody has summed it up, and what was wrong may be found so again.
    #[inline]
    pub(crate) fn is_to_be_summed(&mut self) {
        self.summed_header = None;
        if self.checksum == ChecksumState::Wrong {
            self.checksum = ChecksumState::Unknown;
        }
    }

    /// Whether its header is another since tracking summed it up. IPv6's has no checksum that would make up for that, and who goes by that sum takes the
    /// packet for broken.
    #[cold]
    pub(crate) fn is_header_changed(&self) -> bool {
        self.summed_header.is_some() && self.summed_header != self.ipv6_header_sum()
    }

    /// Whether a checksum that comes to this, where zero is right, is taken for right: by who goes by the sum of tracking also one that was wrong by so
    /// much as the header of IPv6 has changed since (HL). Who forwards forgets that sum.
    pub(crate) fn is_right_with(&self, value: u16) -> bool {
        if value == 0 || self.checksum != ChecksumState::Wrong || self.output.is_some() {
            return value == 0;
        }
        let (Some(then), Some(now)) = (self.summed_header, self.ipv6_header_sum()) else {
            return false;
        };
        checksum::fold(u32::from(!value) + u32::from(then.get()) + u32::from(!now.get())) == 0xffff
    }

    #[cold]
    fn ipv6_header_sum(&self) -> Option<NonZeroU16> {
        // The version is in it: so it is not zero.
        NonZeroU16::new(checksum::fold(
            checksum::sum(&self.bytes[..4]) + checksum::sum(&self.bytes[6..8]),
        ))
    }

    /// True for the ICMP of its family.
    #[inline]
    pub fn is_icmp(&self) -> bool {
        match self.family {
            Family::V4 => self.protocol == protocol::ICMP,
            Family::V6 => self.protocol == protocol::ICMPV6,
        }
    }

    /// The type of service; IPv6 calls it the traffic class.
    #[inline]
    pub fn tos(&self) -> u8 {
        match self.family {
            Family::V4 => self.bytes[1],
            Family::V6 => self.bytes[0] << 4 | self.bytes[1] >> 4,
        }
    }

    /// The time to live; IPv6 calls it the hop limit.
    #[inline]
    pub fn ttl(&self) -> u8 {
        match self.family {
            Family::V4 => self.bytes[8],
            Family::V6 => self.bytes[7],
        }
    }

    /// Bytes of the network header, options and extension headers included.
    pub fn network_header_length(&self) -> usize {
        usize::from(self.network_header)
    }

    /// In bytes; not zero means that there is no transport header in this packet.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment_offset)
    }

    /// True for the first and for later fragments.
    pub fn is_fragment(&self) -> bool {
        self.is_fragment
    }

    /// False where IPv6's extension headers end in none, or one of them is cut short: then that one's number is the protocol.
    #[inline]
    pub fn has_transport(&self) -> bool {
        match self.family {
            Family::V4 => true,
            Family::V6 => !extension::is_extension(self.protocol),
        }
    }

    /// Whether nobody can read on where its extension headers end: a rule that asks for a protocol drops it then. "No next header" is a protocol to ask
    /// for.
    #[inline]
    pub fn has_broken_chain(&self) -> bool {
        match self.family {
            Family::V4 => false,
            Family::V6 => self.has_broken_ipv6_chain(),
        }
    }

    #[inline(never)]
    fn has_broken_ipv6_chain(&self) -> bool {
        match self.has_transport() {
            true => self.transport().is_empty() && self.ends_in_a_routing_header(),
            false => self.protocol != extension::NO_NEXT_HEADER,
        }
    }

    /// Of a routing header a rule reads four bytes, where two say what comes next.
    #[cold]
    fn ends_in_a_routing_header(&self) -> bool {
        let view = Ipv6::new(&self.bytes[..]);
        view.is_ok_and(|it| {
            let mut extensions = it.extensions();
            extensions.by_ref().for_each(drop);
            extensions.next == extension::ROUTING && extensions.at + 4 > self.bytes.len()
        })
    }

    /// Whether it says of itself that it came in pieces: in IPv6 also one that is whole can.
    pub fn has_fragment_header(&self) -> bool {
        match self.family {
            Family::V4 => self.is_fragment,
            Family::V6 => self.has_ipv6_fragment_header(),
        }
    }

    #[cold]
    fn has_ipv6_fragment_header(&self) -> bool {
        let view = Ipv6::new(&self.bytes[..]);
        // Of one that is cut short, too.
        let has_one = |it: Ipv6<&[u8]>| {
            let mut extensions = it.extensions();
            extensions.any(|header| header.fragment().is_some()) || extensions.next == extension::FRAGMENT
        };
        self.is_fragment || view.is_ok_and(has_one)
    }

    /// The header of an IPv4 packet.
    #[inline]
    pub fn ipv4(&self) -> Option<Ipv4<&[u8]>> {
        match self.family {
            Family::V4 => Ipv4::new(&self.bytes[..]).ok(),
            Family::V6 => None,
        }
    }

    /// Everything after the network header.
    #[inline]
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
        let is_icmp = self.protocol == protocol::ICMP && self.family == Family::V4;
        (is_icmp && self.fragment_offset == 0).then(|| Icmpv4::new(self.transport()).ok())?
    }

    /// The header of ICMP for IPv6; `None` as with `tcp`.
    pub fn icmpv6(&self) -> Option<Icmpv6<&[u8]>> {
        let is_icmp = self.protocol == protocol::ICMPV6 && self.family == Family::V6;
        (is_icmp && self.fragment_offset == 0).then(|| Icmpv6::new(self.transport()).ok())?
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

/// Where a packet's parts are, by its header.
#[derive(Debug)]
pub(crate) struct Layout {
    family: Family,
    network_header: u16,
    protocol: u8,
    fragment_offset: u16,
    is_fragment: bool,
    total: usize,
}

impl Layout {
    /// Of a packet of either family.
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, Malformed> {
        let layout = match Family::of_packet(bytes) {
            Some(Family::V6) => Self::of_ipv6(bytes),
            Some(Family::V4) | None => Self::of_ipv4(bytes),
        }?;
        if layout.total < usize::from(layout.network_header) || layout.total > bytes.len() {
            return Err(Malformed::BadHeader);
        }
        Ok(layout)
    }

    #[inline]
    fn of_ipv4(bytes: &[u8]) -> Result<Self, Malformed> {
        let view = Ipv4::new(bytes)?;
        Ok(Self {
            family: Family::V4,
            network_header: view.header_length() as u16,
            protocol: view.protocol(),
            fragment_offset: view.fragment_offset() as u16,
            is_fragment: view.is_fragment(),
            total: usize::from(view.total_length()),
        })
    }

    /// Of a packet of IPv6 that is as long as it is, whatever its header says.
    #[cold]
    pub(crate) fn of_all(bytes: &[u8]) -> Result<Self, Malformed> {
        let upper = Ipv6::new(bytes)?.quoted_upper();
        Ok(Self {
            total: bytes.len(),
            network_header: u16::try_from(upper.offset).map_err(|_| Malformed::BadHeader)?,
            protocol: upper.protocol,
            fragment_offset: upper.fragment_offset as u16,
            is_fragment: upper.is_fragment,
            family: Family::V6,
        })
    }

    #[cold]
    fn of_ipv6(bytes: &[u8]) -> Result<Self, Malformed> {
        let view = Ipv6::new(bytes)?;
        let upper = view.upper();
        Ok(Self {
            family: Family::V6,
            // Only extension headers and nothing else may be longer than that.
            network_header: u16::try_from(upper.offset).map_err(|_| Malformed::BadHeader)?,
            protocol: upper.protocol,
            fragment_offset: upper.fragment_offset as u16,
            is_fragment: upper.is_fragment,
            total: view.total_length(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{echo, tcp, udp};
    use super::*;
    use crate::base::testing::{families, host};

    families! {
        fn both_families_answer_alike(family: Family) {
            let (a, b) = (host(family, 2), host(family, 9));
            let packet = udp((a, 4000), (b, 53), b"abc");
            assert_eq!((packet.family(), packet.source(), packet.destination()), (family, a, b));
            assert_eq!((packet.protocol(), packet.ports()), (protocol::UDP, Some((4000, 53))));
            assert_eq!(packet.udp().unwrap().payload(), b"abc");
            assert_eq!((packet.tos(), packet.ttl(), packet.is_fragment(), packet.fragment_offset()), (0, 64, false, 0));
            assert_eq!(packet.ipv4().is_some(), family == Family::V4);
            assert!(!packet.is_icmp() && packet.tcp().is_none());
            assert_eq!(tcp((a, 1), (b, 2), b"abc").tcp().unwrap().payload(), b"abc");
            let packet = echo(a, b, 7);
            assert!(packet.is_icmp());
            assert_eq!(packet.icmpv4().is_some(), family == Family::V4);
        }
    }

    /// All of these begin with what any of the headers could begin with.
    #[test]
    fn a_header_is_of_its_own_protocol_and_in_no_later_fragment() {
        let mut transport = [0; 40];
        transport[..6].copy_from_slice(&[0, 7, 0, 9, 0, 40]);
        transport[12] = 0x50;
        let plain = udp((host(Family::V4, 2), 1), (host(Family::V4, 9), 2), &[0; 32]);
        for (number, has_tcp, has_udp, has_icmp, has_ports) in [
            (protocol::TCP, true, false, false, true),
            (protocol::UDP, false, true, false, true),
            (protocol::UDPLITE, false, false, false, true),
            (protocol::ICMP, false, false, true, false),
            (protocol::ICMPV6, false, false, false, false),
            (protocol::GRE, false, false, false, false),
        ] {
            for is_later in [false, true] {
                let mut bytes = plain.bytes().to_vec();
                bytes[20..].copy_from_slice(&transport);
                bytes[9] = number;
                bytes[7] = u8::from(is_later);
                let packet = Packet::parse(bytes).unwrap();
                let found = (
                    packet.tcp().is_some(),
                    packet.udp().is_some(),
                    packet.icmpv4().is_some(),
                );
                let expected = (has_tcp && !is_later, has_udp && !is_later, has_icmp && !is_later);
                assert_eq!(found, expected, "{number}, {is_later}");
                let ports = (has_ports && !is_later).then_some((7, 9));
                assert_eq!(packet.ports(), ports, "{number}, {is_later}");
                assert_eq!(packet.is_icmp(), number == protocol::ICMP);
            }
        }
    }

    #[test]
    fn three_bytes_hold_no_ports() {
        for (length, ports) in [(3, None), (4, Some((7, 9)))] {
            let whole = udp((host(Family::V4, 2), 7), (host(Family::V4, 9), 9), b"");
            let mut bytes = whole.bytes()[..20 + length].to_vec();
            bytes[3] = 20 + length as u8;
            assert_eq!(Packet::parse(bytes).unwrap().ports(), ports);
        }
    }

    /// The offsets are those behind the extension headers, and a later fragment has no ports.
    #[test]
    fn extension_headers_stand_before_the_transport() {
        let plain = udp((host(Family::V6, 2), 4000), (host(Family::V6, 9), 53), b"abc");
        for (extensions, fragment, ports) in [
            (&[17, 0, 1, 4, 0, 0, 0, 0][..], (0, false), Some((4000, 53))),
            (
                &[44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9],
                (0, true),
                Some((4000, 53)),
            ),
            (
                &[44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0x05, 0xa8, 0, 0, 0, 9],
                (1448, true),
                None,
            ),
        ] {
            let mut bytes = plain.bytes()[..40].to_vec();
            bytes[5] = (extensions.len() + plain.transport().len()) as u8;
            bytes[6] = 0;
            bytes[0] = 0x6b;
            bytes[1] = 0x80;
            bytes.extend_from_slice(extensions);
            bytes.extend_from_slice(plain.transport());
            let packet = Packet::parse(bytes).unwrap();
            assert_eq!((packet.protocol(), packet.tos()), (protocol::UDP, 0xb8));
            assert_eq!(packet.network_header_length(), 40 + extensions.len());
            assert_eq!((packet.fragment_offset(), packet.is_fragment()), fragment);
            assert_eq!(packet.ports(), ports);
            assert_eq!(packet.transport(), plain.transport());
        }
    }
}
