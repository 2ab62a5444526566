//! The fields that a rule may be found by, as numbers side by side: what a table compares under its mask, and hashes.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use crate::base::{AddressMask, Family};

/// Fields of a packet, what a rule asks of them, or the bits of them that are asked.
#[derive(Clone, Copy, Debug, Eq, Default)]
pub(super) struct Words([u64; Words::COUNT]);

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Source,
    Destination,
    /// The first two bytes behind the network header: for ICMP type and code.
    SourcePort,
    DestinationPort,
    Protocol,
    LaterFragment,
    TcpFlags,
    Mark,
    Input,
    Output,
}

impl Place {
    pub(super) const ALL: [Self; 10] = [
        Self::Source,
        Self::Destination,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Protocol,
        Self::LaterFragment,
        Self::TcpFlags,
        Self::Mark,
        Self::Input,
        Self::Output,
    ];

    /// The word, how far up in it, and of how many bits; what has more than 64 goes on in the next word.
    const fn at(self, family: Family) -> (usize, u32, u32) {
        match (self, family) {
            // Most tables hash both addresses: of IPv4 that is one word.
            (Self::Source, Family::V4) => (0, 32, 32),
            (Self::Destination, Family::V4) => (0, 0, 32),
            (Self::Source, Family::V6) => (0, 0, 128),
            (Self::Destination, Family::V6) => (2, 0, 128),
            (Self::SourcePort, _) => (4, 48, 16),
            (Self::DestinationPort, _) => (4, 32, 16),
            (Self::Protocol, _) => (4, 24, 8),
            (Self::LaterFragment, _) => (4, 16, 1),
            (Self::TcpFlags, _) => (4, 0, 8),
            (Self::Mark, _) => (5, 0, 32),
            (Self::Input, _) => (6, 0, 128),
            (Self::Output, _) => (8, 0, 128),
        }
    }
}

impl Words {
    pub(super) const COUNT: usize = 10;

    /// Adds bits of one field.
    #[inline(always)]
    pub(super) fn set(&mut self, family: Family, place: Place, bits: u128) {
        let (word, up, length) = place.at(family);
        if length == 128 {
            self.0[word] |= (bits >> 64) as u64;
            self.0[word + 1] |= bits as u64;
        } else {
            self.0[word] |= (bits as u64) << up;
        }
    }

    /// One field alone.
    pub(super) fn only(family: Family, place: Place, bits: u128) -> Self {
        let mut words = Self::default();
        words.set(family, place, bits);
        words
    }

    /// Every bit of a field.
    pub(super) fn whole(family: Family, place: Place) -> Self {
        let (.., length) = place.at(family);
        Self::only(family, place, u128::MAX >> (128 - length))
    }

    /// The bits of one word, the rest zero.
    pub(super) fn field(&self, family: Family, place: Place) -> u128 {
        let (word, up, length) = place.at(family);
        match length {
            128 => u128::from(self.0[word]) << 64 | u128::from(self.0[word + 1]),
            _ => u128::from(self.0[word] >> up) & (u128::MAX >> (128 - length)),
        }
    }

    #[inline]
    pub(super) fn get(&self, word: usize) -> u64 {
        self.0[word]
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// True where no bit is set that the other has not.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let words = self.0.iter().zip(&other.0);
        words.fold(0, |more, (own, other)| more | (own & !other)) == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Without a call for so few words.
impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        let words = self.0.iter().zip(&other.0);
        words.fold(0, |differ, (own, other)| differ | (own ^ other)) == 0
    }
}

impl Hash for Words {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// An address and its mask as numbers; `None` of another family.
pub(super) fn numbers(family: Family, asked: &AddressMask) -> Option<(u128, u128)> {
    let number = |address| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    (asked.family() == family).then(|| (number(asked.address()), number(asked.mask())))
}

/// The words that a table looks at, each with the bits that it looks at.
#[derive(Clone, Debug)]
pub(super) struct Hashed(Box<[(u8, u64)]>);

impl Hashed {
    pub(super) fn new(mask: &Words) -> Self {
        let words = mask.0.iter().enumerate();
        let asked = words.filter(|(_, bits)| **bits != 0);
        Self(asked.map(|(word, bits)| (word as u8, *bits)).collect())
    }

    /// Of all bits under the mask. Only those who write rules could make many alike, so it needs no secret.
    #[inline]
    pub(super) fn of(&self, words: &Words) -> u32 {
        let mut hash = SPREAD;
        for (word, bits) in &*self.0 {
            let product = u128::from(hash ^ (words.0[usize::from(*word)] & bits)) * u128::from(FACTOR);
            hash = (product >> 64) as u64 ^ product as u64;
        }
        (hash >> 32) as u32
    }
}

/// Bits without a pattern: of the golden ratio, and of pi.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xa076_1d64_78bd_642f;
