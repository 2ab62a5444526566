//! Edits of a packet in flight, each with the checksums that must follow it.

use std::net::IpAddr;

use super::{ChecksumState, Packet};
use crate::base::protocol;
use crate::wire::ipv4::Ipv4;
use crate::wire::{checksum, put16};

/// Which end of a packet an edit touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Source,
    Destination,
}

impl Packet {
    fn ipv4_mut(&mut self) -> Ipv4<&mut [u8]> {
        Ipv4::new(&mut self.bytes[..]).expect("Packet::parse checked the header")
    }

    /// Writable bytes, for those who keep the checksums themselves (NAT of quoted headers, payload rewriting).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Writable bytes after the network header, under the same duty as `bytes_mut`.
    pub fn transport_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[usize::from(self.network_header)..]
    }

    /// Sets the identification; the header checksum is the caller's, with `fill_header_checksum`.
    pub fn set_identification(&mut self, identification: u16) {
        self.ipv4_mut().set_identification(identification);
    }

    /// Sets the total length to the bytes that are there, and the header checksum, as a raw socket does for what a program hands it.
    pub fn fill_header_checksum(&mut self) {
        let total = self.bytes.len() as u16;
        let mut header = self.ipv4_mut();
        header.set_total_length(total);
        header.fill_checksum();
    }

    /// Replaces everything after the network header and sets total length and header checksum; the transport checksum is the caller's.
    pub fn replace_transport(&mut self, transport: &[u8]) {
        self.fragments.clear();
        self.bytes.truncate(usize::from(self.network_header));
        self.bytes.extend_from_slice(transport);
        self.fill_header_checksum();
    }

    /// Finishes a partial transport checksum, as the last device does; any other stays.
    pub fn finish_checksum(&mut self) {
        if self.checksum != ChecksumState::Partial {
            return;
        }
        if let Some(at) = self.pseudo_header_checksum_at() {
            put16(&mut self.bytes, at, 0);
            let value = checksum::transport(self.source(), self.destination(), self.protocol, self.transport());
            // Seen: here zero is never left, not even in TCP, where it would mean nothing else.
            put16(&mut self.bytes, at, if value == 0 { 0xffff } else { value });
        }
        self.checksum = ChecksumState::Verified;
    }

    /// Decrements the time to live; the caller has seen that it is above zero.
    pub fn decrement_ttl(&mut self) {
        let ttl = self.ipv4().ttl();
        self.set_ttl(ttl.wrapping_sub(1));
    }

    pub fn set_ttl(&mut self, ttl: u8) {
        let protocol = self.protocol;
        let mut header = self.ipv4_mut();
        let old = u16::from_be_bytes([header.ttl(), protocol]);
        header.set_ttl(ttl);
        let updated = checksum::update16(header.checksum(), old, u16::from_be_bytes([ttl, protocol]));
        header.set_checksum(updated);
    }

    /// The source that a program left open. Its transport checksum is what the program made of it, and stays.
    pub fn fill_source(&mut self, source: IpAddr) {
        if let IpAddr::V4(source) = source {
            self.ipv4_mut().set_source(source);
        }
        self.fill_header_checksum();
    }

    /// Someone reads so many bytes of the transport in one piece: what the first fragment lacks of them is taken from those that follow it.
    /// The kernel's own words are `pskb_may_pull` and `skb_ensure_writable`; what packets leave in shows who called them.
    pub fn pull(&mut self, length: usize) {
        let [first, rest @ ..] = self.fragments.as_mut_slice() else {
            return;
        };
        let mut lacking = (length as u16).saturating_sub(*first);
        for piece in rest {
            let taken = lacking.min(*piece);
            *first += taken;
            *piece -= taken;
            lacking -= taken;
        }
        self.fragments.retain(|size| *size != 0);
    }

    /// Rewrites an address: the header checksum follows, and that of a TCP, UDP or like segment whose pseudo-header has the address in it.
    /// An address of the other family changes nothing.
    pub fn set_address(&mut self, end: End, address: IpAddr) {
        let old = match end {
            End::Source => self.source(),
            End::Destination => self.destination(),
        };
        let IpAddr::V4(new) = address else { return };
        if old == address {
            return;
        }
        let mut header = self.ipv4_mut();
        match end {
            End::Source => header.set_source(new),
            End::Destination => header.set_destination(new),
        }
        let updated = checksum::update_address(header.checksum(), old, address);
        header.set_checksum(updated);
        if let Some(at) = self.pseudo_header_checksum_at() {
            let field = crate::wire::be16(&self.bytes, at);
            let value = match self.checksum {
                // A partial checksum is the sum itself, not its complement.
                ChecksumState::Partial => !checksum::update_address(!field, old, address),
                _ => checksum::update_address(field, old, address),
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
    fn pseudo_header_checksum_at(&self) -> Option<usize> {
        if self.fragment_offset != 0 {
            return None;
        }
        let offset = match self.protocol {
            protocol::TCP => 16,
            protocol::UDP | protocol::UDPLITE => 6,
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
    use crate::wire::ipv4;

    fn udp_packet(checksummed: bool) -> Packet {
        let mut segment = vec![0x9c, 0x40, 0, 53, 0, 11, 0, 0, b'a', b'b', b'c'];
        if checksummed {
            let value = checksum::transport([10, 0, 0, 2].into(), [192, 0, 2, 9].into(), 17, &segment);
            put16(&mut segment, 6, value);
        }
        let repr = ipv4::Repr {
            tos: 0,
            identification: 7,
            dont_fragment: false,
            ttl: 64,
            protocol: 17,
            source: [10, 0, 0, 2].into(),
            destination: [192, 0, 2, 9].into(),
        };
        Packet::parse(repr.emit(&segment)).unwrap()
    }

    fn transport_is_right(packet: &Packet) -> bool {
        checksum::transport(
            packet.source(),
            packet.destination(),
            packet.protocol(),
            packet.transport(),
        ) == 0
    }

    #[test]
    fn checksums_follow_every_edit() {
        let mut packet = udp_packet(true);
        packet.set_address(End::Source, [203, 0, 113, 5].into());
        packet.set_address(End::Destination, [198, 51, 100, 7].into());
        packet.set_port(End::Source, 1);
        packet.set_port(End::Destination, 65535);
        packet.decrement_ttl();
        assert!(packet.ipv4().checksum_is_right());
        assert!(transport_is_right(&packet));
        assert_eq!(packet.ports(), Some((1, 65535)));
        assert_eq!(packet.ipv4().ttl(), 63);
    }

    #[test]
    fn udp_without_a_checksum_stays_without() {
        let mut packet = udp_packet(false);
        packet.set_address(End::Source, [203, 0, 113, 5].into());
        packet.set_port(End::Source, 1);
        assert_eq!(packet.udp().unwrap().checksum(), 0);
    }

    #[test]
    fn a_partial_checksum_follows_the_pseudo_header_alone() {
        let mut packet = udp_packet(false);
        packet.checksum = ChecksumState::Partial;
        let length = packet.transport().len();
        let sum = checksum::fold(checksum::pseudo_header(
            packet.source(),
            packet.destination(),
            17,
            length,
        ));
        let at = packet.network_header_length() + 6;
        put16(packet.bytes_mut(), at, sum);
        packet.set_address(End::Destination, [198, 51, 100, 7].into());
        packet.set_port(End::Destination, 5353);
        let expected = checksum::fold(checksum::pseudo_header(
            packet.source(),
            packet.destination(),
            17,
            length,
        ));
        assert_eq!(packet.udp().unwrap().checksum(), expected);
    }

    #[test]
    fn padding_after_the_total_length_is_cut() {
        let mut bytes = udp_packet(true).into_bytes();
        bytes.extend_from_slice(&[0; 9]);
        assert_eq!(Packet::parse(bytes).unwrap().len(), 31);
    }
}
