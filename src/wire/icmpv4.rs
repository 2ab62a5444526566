//! ICMP for IPv4 (RFC 792).

use etherparse::{Icmpv4Header, Icmpv4Type};

use super::{Malformed, be16, checksum, put16};

/// A view of bytes that hold at least the eight bytes that every ICMP message has.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv4<T>(T);

pub(crate) const HEADER: usize = 8;

/// Message types.
pub(crate) mod kind {
    pub(crate) const ECHO_REPLY: u8 = 0;
    pub(crate) const DESTINATION_UNREACHABLE: u8 = 3;
    pub(crate) const SOURCE_QUENCH: u8 = 4;
    pub(crate) const REDIRECT: u8 = 5;
    pub(crate) const ECHO_REQUEST: u8 = 8;
    pub(crate) const TIME_EXCEEDED: u8 = 11;
    pub(crate) const PARAMETER_PROBLEM: u8 = 12;
    pub(crate) const TIMESTAMP_REQUEST: u8 = 13;
    pub(crate) const TIMESTAMP_REPLY: u8 = 14;
    pub(crate) const INFORMATION_REQUEST: u8 = 15;
    pub(crate) const INFORMATION_REPLY: u8 = 16;
    pub(crate) const ADDRESS_MASK_REQUEST: u8 = 17;
    pub(crate) const ADDRESS_MASK_REPLY: u8 = 18;

    /// True for the types that quote the packet they complain about.
    pub(crate) fn is_error(kind: u8) -> bool {
        matches!(
            kind,
            DESTINATION_UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
        )
    }
}

/// Codes of TIME_EXCEEDED.
pub(crate) mod time_exceeded {
    pub(crate) const IN_TRANSIT: u8 = 0;
    pub(crate) const IN_REASSEMBLY: u8 = 1;
}

/// Codes of DESTINATION_UNREACHABLE.
pub(crate) mod unreachable {
    pub(crate) const NET: u8 = 0;
    pub(crate) const HOST: u8 = 1;
    pub(crate) const PROTOCOL: u8 = 2;
    pub(crate) const PORT: u8 = 3;
    pub(crate) const FRAGMENTATION_NEEDED: u8 = 4;
    pub(crate) const SOURCE_ROUTE_FAILED: u8 = 5;
    pub(crate) const NET_PROHIBITED: u8 = 9;
    pub(crate) const HOST_PROHIBITED: u8 = 10;
    pub(crate) const ADMIN_PROHIBITED: u8 = 13;
}

impl<T: AsRef<[u8]>> Icmpv4<T> {
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

    /// Of echo, timestamp, information and address mask messages.
    pub fn identifier(&self) -> u16 {
        be16(self.data(), 4)
    }

    pub fn sequence(&self) -> u16 {
        be16(self.data(), 6)
    }

    /// After the eight bytes: echo data, or the quoted packet.
    pub fn payload(&self) -> &[u8] {
        &self.data()[HEADER..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Icmpv4<T> {
    pub fn set_kind(&mut self, value: u8) {
        self.0.as_mut()[0] = value;
    }

    pub fn set_checksum(&mut self, value: u16) {
        put16(self.0.as_mut(), 2, value);
    }

    pub fn set_identifier(&mut self, value: u16) {
        put16(self.0.as_mut(), 4, value);
    }

    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let value = checksum::of(self.0.as_ref());
        self.set_checksum(value);
    }
}

/// A message with its checksum: type, code, the four bytes after the checksum, then `payload`.
pub(crate) fn emit(kind: u8, code: u8, rest_of_header: u32, payload: &[u8]) -> Vec<u8> {
    let header = Icmpv4Header::with_checksum(
        // By its numbers: whatever kind it is.
        Icmpv4Type::Unknown {
            type_u8: kind,
            code_u8: code,
            bytes5to8: rest_of_header.to_be_bytes(),
        },
        payload,
    );
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_read_where_it_was_written() {
        let bytes = emit(kind::ECHO_REQUEST, 3, 0x0102_0304, b"abc");
        assert_eq!(checksum::of(&bytes), 0);
        let mut message = Icmpv4::new(bytes).unwrap();
        assert_eq!((message.kind(), message.code()), (kind::ECHO_REQUEST, 3));
        assert_eq!((message.identifier(), message.sequence()), (0x0102, 0x0304));
        assert_eq!(message.payload(), b"abc");
        message.set_kind(kind::ECHO_REPLY);
        message.set_identifier(0x0506);
        message.fill_checksum();
        assert_eq!(
            (message.kind(), message.identifier(), message.sequence()),
            (kind::ECHO_REPLY, 0x0506, 0x0304)
        );
        assert_eq!(checksum::of(message.data()), 0);
        assert!(Icmpv4::new([0; HEADER - 1]).is_err());
    }
}
