//! The identification field of the host's own packets.
//!
//! The kernel counts per destination, source and protocol (hashed to a few thousand counters, with a secret key). Each use adds one, and at
//! random up to the ticks of 4 ms that passed since the last. Packets that may not be fragmented carry 0, as every reset does.
//! Here the seed stands for the key, and idle time adds nothing, so the same run gives the same bytes.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use super::Header;
use crate::base::Random;
use crate::packet::Packet;

const COUNTERS: usize = 2048;

#[derive(Debug)]
pub(crate) struct Identification {
    key: u64,
    counters: Box<[AtomicU16]>,
}

impl Clone for Identification {
    fn clone(&self) -> Self {
        let counters = self.counters.iter().map(|it| it.load(Ordering::Relaxed).into());
        Self {
            key: self.key,
            counters: counters.collect(),
        }
    }
}

impl Identification {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            key: random.next_u64(),
            counters: (0..COUNTERS).map(|_| random.next_u16().into()).collect(),
        }
    }

    /// What the seed decided.
    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    /// For a packet that may be fragmented.
    pub(crate) fn next(&self, source: IpAddr, destination: IpAddr, protocol: u8) -> u16 {
        let mut mixed = self.key ^ u64::from(protocol);
        for part in [words(destination), words(source)].as_flattened() {
            mixed = Random::new(mixed ^ part).next_u64();
        }
        self.counters[(mixed % COUNTERS as u64) as usize].fetch_add(1, Ordering::Relaxed)
    }
}

/// A program wrote none, and the packet may be fragmented on its way.
pub(crate) fn lacks_identification(packet: &Packet) -> bool {
    let header = packet.header();
    header.identification() == 0 && !header.dont_fragment()
}

fn words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(v4) => [v4.to_bits().into(), 4],
        IpAddr::V6(v6) => [(v6.to_bits() >> 64) as u64, v6.to_bits() as u64],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_for_one_destination_and_decided_by_the_seed() {
        let draw = |seed| {
            let ids = Identification::new(seed);
            let next = |last| ids.next([10, 0, 0, 1].into(), [10, 0, 0, last].into(), 1);
            let first = next(2);
            assert_eq!(next(2), first.wrapping_add(1));
            (first, next(3), next(2))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
