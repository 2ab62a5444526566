//! Hashes of tuples and of sources, under the table's own key.

use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use super::Table;
use crate::conntrack::{Flow, Tuple};

impl Table {
    /// Under the table's own key.
    #[inline]
    pub(crate) fn hash(&self, tuple: &Tuple) -> u64 {
        let numbers = [tuple.source.id.to_be_bytes(), tuple.destination.id.to_be_bytes()];
        match (tuple.source.address, tuple.destination.address) {
            // Nearly all, and of a length that is known beforehand.
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut bytes = [0; 13];
                bytes[..4].copy_from_slice(&source.octets());
                bytes[4..8].copy_from_slice(&destination.octets());
                bytes[8..12].copy_from_slice(numbers.as_flattened());
                bytes[12] = tuple.protocol;
                self.hash_bytes(&bytes)
            }
            (source, destination) => {
                let mut bytes = KeyBytes::default();
                bytes.address(source);
                bytes.address(destination);
                bytes.push(numbers.as_flattened());
                bytes.push(&[tuple.protocol]);
                self.finish(&bytes.bytes[..bytes.used])
            }
        }
    }

    /// Of a tuple or a source of IPv4: addresses, numbers and protocol as they stand in headers.
    #[inline]
    pub(super) fn hash_bytes<const BYTES: usize>(&self, bytes: &[u8; BYTES]) -> u64 {
        self.finish(bytes)
    }

    /// Of both tuples of a flow.
    #[inline]
    pub(super) fn hashes_of(&self, flow: &Flow) -> [u64; 2] {
        [self.hash(&flow.original()), self.hash(&flow.reply())]
    }

    pub(super) fn hash_source(&self, tuple: &Tuple) -> u64 {
        let [high, low] = tuple.source.id.to_be_bytes();
        match tuple.source.address {
            IpAddr::V4(source) => {
                let [a, b, c, d] = source.octets();
                self.finish(&[a, b, c, d, high, low, tuple.protocol])
            }
            source @ IpAddr::V6(_) => {
                let mut bytes = KeyBytes::default();
                bytes.address(source);
                bytes.push(&[high, low, tuple.protocol]);
                self.finish(&bytes.bytes[..bytes.used])
            }
        }
    }

    #[inline]
    fn finish(&self, bytes: &[u8]) -> u64 {
        // All at once, which costs no call; the hash is the same as that of pieces.
        SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1).hash(bytes)
    }
}

/// A key in one piece: one call of the hash function instead of ten.
struct KeyBytes {
    bytes: [u8; 38],
    used: usize,
}

impl Default for KeyBytes {
    fn default() -> Self {
        Self {
            bytes: [0; 38],
            used: 0,
        }
    }
}

impl KeyBytes {
    fn push(&mut self, more: &[u8]) {
        self.bytes[self.used..self.used + more.len()].copy_from_slice(more);
        self.used += more.len();
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.push(&v4.octets()),
            IpAddr::V6(v6) => self.push(&v6.octets()),
        }
    }
}
