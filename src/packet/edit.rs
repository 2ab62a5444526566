//! Edits of a packet in flight, each with the checksums that must follow it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{ChecksumState, Packet};
use crate::base::{Family, protocol};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::{checksum, put16};

/// Which end of a packet an edit touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Address and port that it is from.
    Source,
    /// Address and port that it is for.
    Destination,
}

/// A packet's header, to be written to.
enum Header<'a> {
    V4(Ipv4<&'a mut [u8]>),
    V6(Ipv6<&'a mut [u8]>),
}

impl Packet {
    #[inline]
    fn header_mut(&mut self) -> Header<'_> {
        const CHECKED: &str = "Packet::parse checked the header";
        match self.family {
            Family::V4 => Header::V4(Ipv4::new(&mut self.bytes[..]).expect(CHECKED)),
            Family::V6 => Header::V6(Ipv6::new(&mut self.bytes[..]).expect(CHECKED)),
        }
    }

    /// Writable bytes, for those who keep the checksums themselves (NAT of quoted headers, payload rewriting).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Writable bytes after the network header, under the same duty as `bytes_mut`.
    pub fn transport_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[usize::from(self.network_header)..]
    }

    /// Sets "don't fragment", which only IPv4 has to say; the header checksum is the caller's, with `fill_header_checksum`.
    pub fn forbid_fragments(&mut self) {
        if self.family == Family::V4 {
            self.bytes[6] |= 0x40;
        }
    }

    /// Marks it as one that met congestion; the header checksum, where there is one, is the caller's.
    pub fn mark_congestion(&mut self) {
        match self.family {
            Family::V4 => self.bytes[1] |= 3,
            Family::V6 => self.bytes[1] |= 3 << 4,
        }
    }

    /// Sets the identification, which only IPv4 has; the header checksum is the caller's, with `fill_header_checksum`.
    pub fn set_identification(&mut self, identification: u16) {
        if let Header::V4(mut header) = self.header_mut() {
            header.set_identification(identification);
        }
    }

    /// Sets the length to the bytes that are there, and the header checksum where the family has one, as a raw socket does for what a program
    /// hands it.
    pub fn fill_header_checksum(&mut self) {
        let length = self.bytes.len();
        match self.header_mut() {
            Header::V4(mut header) => {
                header.set_total_length(length as u16);
                header.fill_checksum();
            }
            Header::V6(mut header) => header.set_payload_length((length - ipv6::HEADER) as u16),
        }
    }

    /// Adds to the length in the header, whose checksum follows.
    pub(super) fn lengthen_header_field(&mut self, by: u16) {
        let length = match self.family {
            Family::V4 => 0,
            Family::V6 => crate::wire::be16(&self.bytes, 4),
        };
        match self.header_mut() {
            Header::V4(mut header) => {
                let before = header.total_length();
                let after = before.wrapping_add(by);
                header.set_total_length(after);
                let updated = checksum::update16(header.checksum(), before, after);
                header.set_checksum(updated);
            }
            Header::V6(mut header) => {
                header.set_payload_length(length.wrapping_add(by));
            }
        }
    }

    /// Replaces everything after the network header and sets total length and header checksum; the transport checksum is the caller's.
    pub fn replace_transport(&mut self, transport: &[u8]) {
        self.fragments.clear();
        self.bytes.truncate(usize::from(self.network_header));
        self.bytes.extend_from_slice(transport);
        self.fill_header_checksum();
    }

    /// Finishes a partial transport checksum, as the last device does; any other stays.
    #[inline]
    pub fn finish_checksum(&mut self) {
        if self.checksum == ChecksumState::Partial {
            self.finish_partial_checksum();
        }
    }

    #[inline(never)]
    fn finish_partial_checksum(&mut self) {
        if let Some(at) = self.pseudo_header_checksum_at() {
            // What stands there is the pseudo-header's sum, which need not be of the addresses that leave: a reset to who wrote to `::` has one over that.
            let value = !checksum::fold(checksum::sum(self.transport()));
            // Seen: here zero is never left, not even in TCP, where it would mean nothing else.
            put16(&mut self.bytes, at, if value == 0 { 0xffff } else { value });
        }
        self.checksum = ChecksumState::Verified;
    }

    /// Decrements the time to live; the caller has seen that it is above zero.
    #[inline]
    pub fn decrement_ttl(&mut self) {
        match (self.family, self.bytes.first_chunk_mut::<20>()) {
            (Family::V4, Some(header)) => {
                let before = u16::from_be_bytes([header[8], header[9]]);
                let sum = u16::from_be_bytes([header[10], header[11]]);
                header[8] = header[8].wrapping_sub(1);
                let after = u16::from_be_bytes([header[8], header[9]]);
                [header[10], header[11]] = checksum::update16(sum, before, after).to_be_bytes();
            }
            _ => self.set_ttl(self.ttl().wrapping_sub(1)),
        }
    }

    /// The checksum of the transport with its pseudo-header, which names this protocol; zero when the field in it is right.
    #[inline]
    pub(crate) fn transport_checksum(&self, protocol: u8) -> u16 {
        let transport = self.transport();
        match self.family {
            Family::V4 => {
                let addresses = checksum::sum(&self.bytes[12..20]);
                let rest = u32::from(protocol) + transport.len() as u32;
                !checksum::fold(addresses + rest + checksum::sum(transport))
            }
            Family::V6 => checksum::transport(self.source(), self.destination(), protocol, transport),
        }
    }

    /// Sets the type of service (IPv6: the traffic class); the header checksum, where there is one, follows.
    pub fn set_tos(&mut self, tos: u8) {
        let old = self.tos();
        match self.header_mut() {
            Header::V4(mut header) => {
                header.set_tos(tos);
                let updated = checksum::update16(header.checksum(), old.into(), tos.into());
                header.set_checksum(updated);
            }
            Header::V6(mut header) => header.set_traffic_class(tos),
        }
    }

    /// Sets the time to live (IPv6: the hop limit); the header checksum, where there is one, follows.
    #[inline]
    pub fn set_ttl(&mut self, ttl: u8) {
        let protocol = self.protocol;
        match self.header_mut() {
            Header::V4(mut header) => {
                let old = u16::from_be_bytes([header.ttl(), protocol]);
                header.set_ttl(ttl);
                let updated = checksum::update16(header.checksum(), old, u16::from_be_bytes([ttl, protocol]));
                header.set_checksum(updated);
            }
            Header::V6(mut header) => header.set_hop_limit(ttl),
        }
    }

    /// The source that a program left open. Its transport checksum is what the program made of it, and stays.
    pub fn fill_source(&mut self, source: IpAddr) {
        match (self.header_mut(), source) {
            (Header::V4(mut header), IpAddr::V4(source)) => header.set_source(source),
            (Header::V6(mut header), IpAddr::V6(source)) => header.set_source(source),
            _ => {}
        }
        self.fill_header_checksum();
    }

    /// Someone reads so many bytes of the transport in one piece: what the first fragment lacks of them is taken from those that follow it.
    /// The kernel's own words are `pskb_may_pull` and `skb_ensure_writable`; what packets leave in shows who called them.
    pub fn pull(&mut self, length: usize) {
        let [first, rest @ ..] = self.fragments.as_mut_slice() else {
            return;
        };
        let extensions = match self.family {
            Family::V4 => 0,
            Family::V6 => usize::from(self.network_header).saturating_sub(ipv6::HEADER),
        };
        let mut lacking = ((extensions + length) as u16).saturating_sub(*first);
        for piece in rest {
            let taken = lacking.min(*piece);
            *first += taken;
            *piece -= taken;
            lacking -= taken;
        }
        self.fragments.retain(|size| *size != 0);
    }

    /// Rewrites an address: the header checksum follows, and that of a TCP, UDP or like segment (of ICMPv6 too) whose pseudo-header has the
    /// address in it.
    /// An address of the other family changes nothing.
    pub fn set_address(&mut self, end: End, address: IpAddr) {
        match (self.family, address) {
            (Family::V4, IpAddr::V4(new)) => self.set_ipv4_address(end, new),
            (Family::V6, IpAddr::V6(new)) => self.set_ipv6_address(end, new),
            _ => {}
        }
    }

    #[inline]
    fn set_ipv4_address(&mut self, end: End, new: Ipv4Addr) {
        let Header::V4(mut header) = self.header_mut() else {
            return;
        };
        let old = match end {
            End::Source => header.source(),
            End::Destination => header.destination(),
        };
        if old == new {
            return;
        }
        match end {
            End::Source => header.set_source(new),
            End::Destination => header.set_destination(new),
        }
        let (old, new) = (IpAddr::V4(old), IpAddr::V4(new));
        let updated = checksum::update_address(header.checksum(), old, new);
        header.set_checksum(updated);
        self.follow_address(old, new);
    }

    #[cold]
    fn set_ipv6_address(&mut self, end: End, new: Ipv6Addr) {
        let Header::V6(mut header) = self.header_mut() else {
            return;
        };
        let old = match end {
            End::Source => header.source(),
            End::Destination => header.destination(),
        };
        if old == new {
            return;
        }
        match end {
            End::Source => header.set_source(new),
            End::Destination => header.set_destination(new),
        }
        self.follow_address(IpAddr::V6(old), IpAddr::V6(new));
    }

    /// The transport's checksum, after an address changed.
    #[inline]
    fn follow_address(&mut self, old: IpAddr, new: IpAddr) {
        if let Some(at) = self.pseudo_header_checksum_at() {
            let field = crate::wire::be16(&self.bytes, at);
            let value = match self.checksum {
                // A partial checksum is the sum itself, not its complement.
                ChecksumState::Partial => !checksum::update_address(!field, old, new),
                _ => checksum::update_address(field, old, new),
            };
            self.store_transport_checksum(at, value);
        }
    }

    /// Rewrites a port of a protocol whose header begins with two ports. Later fragments and headers cut short stay as they are.
    pub fn set_port(&mut self, end: End, port: u16) {
        let Some((source, destination)) = self.ports() else {
            return;
        };
        let (offset, old) = match end {
            End::Source => (0, source),
            End::Destination => (2, destination),
        };
        if old == port {
            return;
        }
        let start = usize::from(self.network_header);
        put16(&mut self.bytes, start + offset, port);
        if self.checksum != ChecksumState::Partial
            && let Some(at) = self.pseudo_header_checksum_at()
        {
            let field = crate::wire::be16(&self.bytes, at);
            self.store_transport_checksum(at, checksum::update16(field, old, port));
        }
    }

    /// Where in the bytes the transport checksum is that covers a pseudo-header and has to follow an edit.
    /// `None` for protocols without one, later fragments, headers cut short, and UDP without a checksum.
    pub(super) fn pseudo_header_checksum_at(&self) -> Option<usize> {
        if self.fragment_offset != 0 {
            return None;
        }
        let offset = match self.protocol {
            protocol::TCP => 16,
            protocol::UDP | protocol::UDPLITE => 6,
            protocol::ICMPV6 if self.family == Family::V6 => 2,
            _ => return None,
        };
        let at = usize::from(self.network_header) + offset;
        if self.bytes.len() < at + 2 {
            return None;
        }
        let none_made = self.protocol == protocol::UDP && crate::wire::be16(&self.bytes, at) == 0;
        let partial = self.checksum == ChecksumState::Partial;
        (partial || !none_made).then_some(at)
    }

    fn store_transport_checksum(&mut self, at: usize, value: u16) {
        // For UDP a computed zero is written as its other form, since zero says "none".
        let value = match (self.protocol, value) {
            (protocol::UDP | protocol::UDPLITE, 0) => 0xffff,
            _ => value,
        };
        put16(&mut self.bytes, at, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::{families, host};
    use crate::packet::testing::{echo, tcp, udp};

    fn datagram(family: Family) -> Packet {
        udp((host(family, 2), 40000), (host(family, 9), 53), b"abc")
    }

    fn transport_is_right(packet: &Packet) -> bool {
        checksum::transport(
            packet.source(),
            packet.destination(),
            packet.protocol(),
            packet.transport(),
        ) == 0
    }

    fn header_is_right(packet: &Packet) -> bool {
        packet.ipv4().is_none_or(|header| header.checksum_is_right())
    }

    families! {
        fn checksums_follow_every_edit(family: Family) {
            for mut packet in [datagram(family), tcp((host(family, 2), 40000), (host(family, 9), 80), b"abc")] {
                packet.set_address(End::Source, host(family, 77));
                packet.set_address(End::Destination, host(family, 78));
                packet.set_port(End::Source, 1);
                packet.set_port(End::Destination, 65535);
                packet.decrement_ttl();
                packet.set_tos(0x5a);
                assert!(header_is_right(&packet));
                assert!(transport_is_right(&packet));
                assert_eq!((packet.source(), packet.destination()), (host(family, 77), host(family, 78)));
                assert_eq!(packet.ports(), Some((1, 65535)));
                assert_eq!((packet.ttl(), packet.tos()), (63, 0x5a));
            }
        }

        /// ICMPv6 sums up the addresses too.
        fn icmp_follows_its_addresses_where_it_has_them(family: Family) {
            let mut packet = echo(host(family, 2), host(family, 9), 7);
            packet.set_address(End::Destination, host(family, 78));
            assert!(packet.is_icmp() && header_is_right(&packet));
            assert!(match family {
                Family::V4 => checksum::of(packet.transport()) == 0,
                Family::V6 => transport_is_right(&packet),
            });
        }

        fn another_familys_address_changes_nothing(family: Family) {
            let mut packet = datagram(family);
            let before = packet.bytes().to_vec();
            for other in Family::ALL.into_iter().filter(|it| *it != family) {
                packet.set_address(End::Source, host(other, 77));
                packet.fill_source(host(other, 77));
                assert_eq!(packet.bytes(), before);
            }
        }

        fn a_partial_checksum_follows_the_pseudo_header_alone(family: Family) {
            let mut packet = datagram(family);
            packet.checksum = ChecksumState::Partial;
            let length = packet.transport().len();
            let sum = |packet: &Packet| {
                let (source, destination) = (packet.source(), packet.destination());
                checksum::fold(checksum::pseudo_header(source, destination, 17, length))
            };
            let at = packet.network_header_length() + 6;
            let value = sum(&packet);
            put16(packet.bytes_mut(), at, value);
            packet.set_address(End::Destination, host(family, 78));
            packet.set_port(End::Destination, 5353);
            assert_eq!(packet.udp().unwrap().checksum(), sum(&packet));
            packet.finish_checksum();
            assert!(transport_is_right(&packet));
        }

        fn padding_after_the_total_length_is_cut(family: Family) {
            let whole = datagram(family).into_bytes();
            let mut bytes = whole.clone();
            bytes.extend_from_slice(&[0; 9]);
            assert_eq!(Packet::parse(bytes).unwrap().bytes(), whole);
            let short = whole[..whole.len() - 1].to_vec();
            assert_eq!(Packet::parse(short).unwrap_err().0, crate::wire::Malformed::BadHeader);
        }

        fn lengths_follow_what_is_replaced(family: Family) {
            let mut packet = datagram(family);
            let longer = [packet.transport(), b"defgh"].concat();
            packet.replace_transport(&longer);
            assert!(header_is_right(&packet));
            let again = Packet::parse(packet.bytes().to_vec()).unwrap();
            assert_eq!((again.transport(), again.len()), (&longer[..], packet.len()));
        }
    }

    #[test]
    fn udp_without_a_checksum_stays_without() {
        let mut packet = datagram(Family::V4);
        let at = packet.network_header_length() + 6;
        put16(packet.bytes_mut(), at, 0);
        packet.set_address(End::Source, [203, 0, 113, 5].into());
        packet.set_port(End::Source, 1);
        assert_eq!(packet.udp().unwrap().checksum(), 0);
    }
}
