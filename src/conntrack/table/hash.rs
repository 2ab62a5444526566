//! Hashes of tuples and of sources, under the table's own key.

use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use super::Table;
use crate::conntrack::{Flow, Tuple};
use crate::packet::TupleBytes;

impl Table {
    /// Under the table's own key.
    #[inline]
    pub(crate) fn hash(&self, tuple: &Tuple) -> u64 {
        let mut bytes = TupleBytes::default();
        match (tuple.source.address, tuple.destination.address) {
            // Nearly all, and of a length that is known beforehand.
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes.push(&source.octets());
                bytes.push(&destination.octets());
                self.hash_numbers(bytes, tuple)
            }
            _ => self.hash_long(tuple),
        }
    }

    #[inline(never)]
    fn hash_long(&self, tuple: &Tuple) -> u64 {
        let mut bytes = TupleBytes::default();
        for end in [&tuple.source, &tuple.destination] {
            let address = match end.address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            bytes.push(&address.octets());
        }
        self.hash_numbers(bytes, tuple)
    }

    #[inline(always)]
    fn hash_numbers(&self, mut bytes: TupleBytes, tuple: &Tuple) -> u64 {
        bytes.push(&tuple.source.id.to_be_bytes());
        bytes.push(&tuple.destination.id.to_be_bytes());
        bytes.push(&[tuple.protocol]);
        self.hash_bytes(&bytes)
    }

    #[inline]
    pub(super) fn hash_bytes(&self, bytes: &TupleBytes) -> u64 {
        // All at once, which costs no call; the hash is the same as that of pieces.
        SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1).hash(bytes.as_slice())
    }

    /// Of both tuples of a flow.
    #[inline]
    pub(super) fn hashes_of(&self, flow: &Flow) -> [u64; 2] {
        [self.hash(&flow.original()), self.hash(&flow.reply())]
    }

    pub(super) fn hash_source(&self, tuple: &Tuple) -> u64 {
        let mut bytes = TupleBytes::default();
        match tuple.source.address {
            IpAddr::V4(source) => bytes.push(&source.octets()),
            IpAddr::V6(source) => bytes.push(&source.octets()),
        }
        bytes.push(&tuple.source.id.to_be_bytes());
        bytes.push(&[tuple.protocol]);
        self.hash_bytes(&bytes)
    }
}
