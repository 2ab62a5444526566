//! IPv4 headers (RFC 791).

use std::net::Ipv4Addr;

use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header};

use super::{Malformed, be16, be32, checksum, put16, put32};

/// A view of a packet whose first byte is that of an IPv4 header of valid length. The payload may be cut short.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<T>(T);

pub const MIN_HEADER: usize = 20;
/// The bits of the flags and fragment field.
pub const RESERVED: u16 = 0x8000;
pub const DONT_FRAGMENT: u16 = 0x4000;
pub const MORE_FRAGMENTS: u16 = 0x2000;
pub const OFFSET_MASK: u16 = 0x1fff;

impl<T: AsRef<[u8]>> Ipv4<T> {
    /// Checks version and header length only: what else may be wrong is `net`'s sanity check.
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        let data = bytes.as_ref();
        if data.len() < MIN_HEADER {
            return Err(Malformed::Truncated);
        }
        let header = usize::from(data[0] & 0x0f) * 4;
        if data[0] >> 4 != 4 || header < MIN_HEADER {
            return Err(Malformed::BadHeader);
        }
        if data.len() < header {
            return Err(Malformed::Truncated);
        }
        Ok(Self(bytes))
    }

    fn data(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// Bytes.
    pub fn header_length(&self) -> usize {
        usize::from(self.data()[0] & 0x0f) * 4
    }

    pub fn tos(&self) -> u8 {
        self.data()[1]
    }

    pub fn total_length(&self) -> u16 {
        be16(self.data(), 2)
    }

    pub fn identification(&self) -> u16 {
        be16(self.data(), 4)
    }

    /// The whole 16 bits: reserved, DF, MF, offset.
    pub fn fragment_field(&self) -> u16 {
        be16(self.data(), 6)
    }

    pub fn dont_fragment(&self) -> bool {
        self.fragment_field() & DONT_FRAGMENT != 0
    }

    pub fn more_fragments(&self) -> bool {
        self.fragment_field() & MORE_FRAGMENTS != 0
    }

    /// In bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment_field() & OFFSET_MASK) * 8
    }

    pub fn is_fragment(&self) -> bool {
        self.fragment_field() & (MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    pub fn ttl(&self) -> u8 {
        self.data()[8]
    }

    pub fn protocol(&self) -> u8 {
        self.data()[9]
    }

    pub fn checksum(&self) -> u16 {
        be16(self.data(), 10)
    }

    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(be32(self.data(), 12))
    }

    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(be32(self.data(), 16))
    }

    pub fn options(&self) -> &[u8] {
        &self.data()[MIN_HEADER..self.header_length()]
    }

    pub fn header(&self) -> &[u8] {
        &self.data()[..self.header_length()]
    }

    /// All bytes after the header that are there.
    pub fn payload(&self) -> &[u8] {
        &self.data()[self.header_length()..]
    }

    pub fn checksum_is_right(&self) -> bool {
        checksum::of(self.header()) == 0
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv4<T> {
    fn data_mut(&mut self) -> &mut [u8] {
        self.0.as_mut()
    }

    pub fn set_tos(&mut self, value: u8) {
        self.data_mut()[1] = value;
    }

    pub fn set_total_length(&mut self, value: u16) {
        put16(self.data_mut(), 2, value);
    }

    pub fn set_identification(&mut self, value: u16) {
        put16(self.data_mut(), 4, value);
    }

    pub fn set_fragment_field(&mut self, value: u16) {
        put16(self.data_mut(), 6, value);
    }

    pub fn set_ttl(&mut self, value: u8) {
        self.data_mut()[8] = value;
    }

    pub fn set_protocol(&mut self, value: u8) {
        self.data_mut()[9] = value;
    }

    pub fn set_checksum(&mut self, value: u16) {
        put16(self.data_mut(), 10, value);
    }

    pub fn set_source(&mut self, value: Ipv4Addr) {
        put32(self.data_mut(), 12, value.to_bits());
    }

    pub fn set_destination(&mut self, value: Ipv4Addr) {
        put32(self.data_mut(), 16, value.to_bits());
    }

    /// Computes the header checksum anew.
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let value = checksum::of(self.header());
        self.set_checksum(value);
    }
}

/// The fields of a header without options, to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    pub tos: u8,
    pub identification: u16,
    pub dont_fragment: bool,
    pub ttl: u8,
    pub protocol: u8,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
}

impl Repr {
    /// A whole packet: this header with its checksum, then `payload`.
    ///
    /// Panics when header and payload exceed 65,535 bytes: a caller's error, never a packet's.
    pub fn emit(&self, payload: &[u8]) -> Vec<u8> {
        let whole = self.header(&[]).and_then(|header| whole(header, payload));
        whole.expect("an IPv4 packet has at most 65,535 bytes")
    }

    /// The header, its length and checksum not yet filled in. `None` where the options are no whole words, or more than ten.
    pub fn header(&self, options: &[u8]) -> Option<Ipv4Header> {
        Some(Ipv4Header {
            dscp: IpDscp::try_new(self.tos >> 2).ok()?,
            ecn: IpEcn::try_new(self.tos & 3).ok()?,
            identification: self.identification,
            dont_fragment: self.dont_fragment,
            time_to_live: self.ttl,
            protocol: IpNumber(self.protocol),
            source: self.source.octets(),
            destination: self.destination.octets(),
            options: options.try_into().ok()?,
            ..Ipv4Header::default()
        })
    }
}

/// A packet: a header, whose length and checksum are filled in, and `payload`. `None` where the two exceed 65,535 bytes.
pub fn whole(mut header: Ipv4Header, payload: &[u8]) -> Option<Vec<u8>> {
    header.set_payload_len(payload.len()).ok()?;
    header.header_checksum = header.calc_header_checksum();
    let mut bytes = Vec::with_capacity(header.header_len() + payload.len());
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(payload);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emits_what_it_reads() {
        let repr = Repr {
            tos: 0,
            identification: 1,
            dont_fragment: true,
            ttl: 63,
            protocol: 17,
            source: [192, 0, 2, 1].into(),
            destination: [192, 0, 2, 9].into(),
        };
        let bytes = repr.emit(&[1, 2, 3]);
        let view = Ipv4::new(&bytes).unwrap();
        assert!(view.checksum_is_right());
        assert_eq!((view.ttl(), view.protocol(), view.total_length()), (63, 17, 23));
        assert!(view.dont_fragment() && !view.is_fragment());
        assert_eq!(view.payload(), [1, 2, 3]);
    }

    #[test]
    fn refuses_what_is_no_header() {
        for (bytes, why) in [
            (vec![], Malformed::Truncated),
            (vec![0x45; 19], Malformed::Truncated),
            (vec![0x65; 20], Malformed::BadHeader),
            (vec![0x44; 20], Malformed::BadHeader),
            (vec![0x46; 20], Malformed::Truncated),
        ] {
            assert_eq!(Ipv4::new(&bytes).err(), Some(why), "{bytes:?}");
        }
    }
}
