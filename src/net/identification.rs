//! The identification field of the host's own packets.

use std::net::IpAddr;

use crate::base::{Random, Time};

/// The kernel counts per hash of the addresses, with gaps that grow with idle time; here the seed decides.
#[derive(Clone, Debug)]
pub struct Identification {
    random: Random,
}

impl Identification {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
        }
    }

    pub fn next(&mut self, now: Time, source: IpAddr, destination: IpAddr, protocol: u8) -> u16 {
        let _ = (now, source, destination, protocol);
        self.random.next_u16()
    }
}
