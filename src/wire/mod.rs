//! Bytes to fields and back, one protocol a file; checksums whole and incremental.
//!
//! Every view is made by a checked constructor, so its getters cannot go out of bounds. Views borrow; a view over `&mut [u8]` has setters.
//! Setters write the field only: who keeps checksums right is `packet` (which knows whether a checksum is complete at all).

pub mod checksum;
pub(crate) mod icmpv4;
pub(crate) mod icmpv6;
pub mod ipv4;
pub(crate) mod ipv6;
pub(crate) mod sctp;
pub mod tcp;
pub(crate) mod udp;

/// Why bytes are not the header that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than the fixed header has.
    Truncated,
    /// A version or length field contradicts the bytes.
    BadHeader,
}

// One look at the length and one load, where an index for each byte would be as many looks and loads.
#[inline]
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    let mut octets = [0; 2];
    octets.copy_from_slice(&bytes[at..at + 2]);
    u16::from_be_bytes(octets)
}

#[inline]
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    let mut octets = [0; 4];
    octets.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(octets)
}

#[inline]
pub fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[inline]
pub fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
