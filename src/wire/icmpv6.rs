//! ICMP for IPv6 (RFC 4443), with the types of neighbour discovery (RFC 4861).

use std::net::Ipv6Addr;

use super::{Malformed, be16, be32, checksum, ipv6, put16, put32};
use crate::base::protocol;

/// A view of bytes that hold at least the eight bytes that every ICMP message has.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv6<T>(T);

pub(crate) const HEADER: usize = 8;

/// Message types.
pub(crate) mod kind {
    pub(crate) const DESTINATION_UNREACHABLE: u8 = 1;
    pub(crate) const PACKET_TOO_BIG: u8 = 2;
    pub(crate) const TIME_EXCEEDED: u8 = 3;
    pub(crate) const PARAMETER_PROBLEM: u8 = 4;
    pub(crate) const ECHO_REQUEST: u8 = 128;
    pub(crate) const ECHO_REPLY: u8 = 129;
    pub(crate) const LISTENER_QUERY: u8 = 130;
    /// Of the first version.
    pub(crate) const OLD_LISTENER_REPORT: u8 = 131;
    pub(crate) const ROUTER_SOLICITATION: u8 = 133;
    pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(crate) const NEIGHBOUR_SOLICITATION: u8 = 135;
    pub(crate) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    pub(crate) const REDIRECT: u8 = 137;
    pub(crate) const NODE_INFORMATION_QUERY: u8 = 139;
    pub(crate) const NODE_INFORMATION_REPLY: u8 = 140;
    pub(crate) const LISTENER_REPORT: u8 = 143;
    pub(crate) const MULTICAST_ROUTER_ADVERTISEMENT: u8 = 151;
    pub(crate) const MULTICAST_ROUTER_SOLICITATION: u8 = 152;

    /// True for the types that quote the packet they complain about: all of the lower half, known or not.
    pub(crate) fn is_error(kind: u8) -> bool {
        kind < 128
    }
}

/// Codes of DESTINATION_UNREACHABLE.
pub(crate) mod unreachable {
    pub(crate) const NO_ROUTE: u8 = 0;
    pub(crate) const ADMIN_PROHIBITED: u8 = 1;
    pub(crate) const BEYOND_SCOPE: u8 = 2;
    pub(crate) const ADDRESS: u8 = 3;
    pub(crate) const PORT: u8 = 4;
    pub(crate) const POLICY_FAIL: u8 = 5;
    pub(crate) const REJECT_ROUTE: u8 = 6;
}

/// Codes of TIME_EXCEEDED.
pub(crate) mod time_exceeded {
    pub(crate) const IN_TRANSIT: u8 = 0;
    pub(crate) const IN_REASSEMBLY: u8 = 1;
}

/// Codes of PARAMETER_PROBLEM.
pub(crate) mod parameter_problem {
    pub(crate) const FIELD: u8 = 0;
    pub(crate) const NEXT_HEADER: u8 = 1;
    pub(crate) const OPTION: u8 = 2;
    pub(crate) const INCOMPLETE_CHAIN: u8 = 3;
}

impl<T: AsRef<[u8]>> Icmpv6<T> {
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        if bytes.as_ref().len() < HEADER {
            return Err(Malformed::Truncated);
        }
        Ok(Self(bytes))
    }

    fn data(&self) -> &[u8] {
        self.0.as_ref()
    }

    pub fn kind(&self) -> u8 {
        self.data()[0]
    }

    pub fn code(&self) -> u8 {
        self.data()[1]
    }

    pub fn checksum(&self) -> u16 {
        be16(self.data(), 2)
    }

    /// Of echo messages.
    pub fn identifier(&self) -> u16 {
        be16(self.data(), 4)
    }

    pub fn sequence(&self) -> u16 {
        be16(self.data(), 6)
    }

    /// The four bytes after the checksum: an MTU, a pointer, flags, as the type says.
    pub fn info(&self) -> u32 {
        be32(self.data(), 4)
    }

    /// After the eight bytes: echo data, the quoted packet, or a neighbour's address and options.
    pub fn payload(&self) -> &[u8] {
        &self.data()[HEADER..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Icmpv6<T> {
    pub fn set_kind(&mut self, value: u8) {
        self.0.as_mut()[0] = value;
    }

    pub fn set_checksum(&mut self, value: u16) {
        put16(self.0.as_mut(), 2, value);
    }

    pub fn set_identifier(&mut self, value: u16) {
        put16(self.0.as_mut(), 4, value);
    }
}

/// A message with its checksum, which covers both addresses: type, code, the four bytes after the checksum, then `payload`.
pub(crate) fn emit(ends: (Ipv6Addr, Ipv6Addr), (kind, code): (u8, u8), info: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.resize(HEADER, 0);
    (bytes[0], bytes[1]) = (kind, code);
    put32(&mut bytes, 4, info);
    bytes.extend_from_slice(payload);
    let sum = checksum::transport(ends.0.into(), ends.1.into(), protocol::ICMPV6, &bytes);
    put16(&mut bytes, 2, sum);
    bytes
}

/// The option of a redirect that shows the packet (RFC 4861, 4.6.3): a header of eight bytes, and as many words of eight of the packet as there are, and fit.
pub(crate) fn redirected(packet: &[u8]) -> Vec<u8> {
    const OPTION: u8 = 4;
    const MOST: usize = 1280 - ipv6::HEADER - HEADER - 2 * size_of::<Ipv6Addr>();
    let length = (packet.len() + 8).min(MOST) & !7;
    let mut option = vec![OPTION, (length / 8) as u8, 0, 0, 0, 0, 0, 0];
    option.extend_from_slice(&packet[..length - 8]);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_read_where_it_was_written() {
        let ends: (Ipv6Addr, Ipv6Addr) = ("2001:db8::1".parse().unwrap(), "fe80::2".parse().unwrap());
        let sum = |bytes: &[u8]| checksum::transport(ends.0.into(), ends.1.into(), protocol::ICMPV6, bytes);
        let bytes = emit(ends, (kind::ECHO_REQUEST, 3), 0x0102_0304, b"abc");
        assert_eq!(sum(&bytes), 0);
        let theirs = etherparse::Icmpv6Slice::from_slice(&bytes).unwrap();
        assert!(theirs.is_checksum_valid(ends.0.octets(), ends.1.octets()));
        let mut message = Icmpv6::new(bytes).unwrap();
        assert_eq!((message.kind(), message.code()), (kind::ECHO_REQUEST, 3));
        assert_eq!((message.identifier(), message.sequence()), (0x0102, 0x0304));
        assert_eq!((message.info(), message.payload()), (0x0102_0304, &b"abc"[..]));
        message.set_kind(kind::ECHO_REPLY);
        message.set_identifier(0x0506);
        message.set_checksum(0x0708);
        assert_eq!(
            (message.kind(), message.identifier(), message.checksum()),
            (kind::ECHO_REPLY, 0x0506, 0x0708)
        );
        assert!(Icmpv6::new([0; HEADER - 1]).is_err());
    }

    #[test]
    fn the_lower_half_of_the_types_are_errors() {
        for (kind, is_error) in [
            (0, true),
            (1, true),
            (127, true),
            (128, false),
            (137, false),
            (255, false),
        ] {
            assert_eq!(kind::is_error(kind), is_error, "{kind}");
        }
    }
}
