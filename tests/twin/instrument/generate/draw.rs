//! What is drawn from: a seeded source of numbers, and the few addresses and ports that everything is about, so that packets meet rules, flows
//! and each other.

use nflab::base::{Family, Random};

use super::extensions::Extensions;
use super::packet::{Address, v4, v6};

pub(super) struct Draw {
    random: Random,
    /// They have streams of their own.
    pub extensions: Extensions,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            extensions: Extensions::new(seed),
        }
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u32) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// `n` times of a hundred.
    pub(super) fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(super) fn word(&mut self) -> u32 {
        self.random.next_u32()
    }

    pub(super) fn half(&mut self) -> u16 {
        self.random.next_u16()
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }

    /// `! ` one time in `n`.
    pub(super) fn not(&mut self, n: usize) -> &'static str {
        if self.one_in(n) { "! " } else { "" }
    }
}

/// An interface of the router by its place in `SIDES`.
pub(super) type Side = usize;

pub(super) const LAN: Side = 0;
pub(super) const WAN: Side = 1;
pub(super) const DMZ: Side = 2;
/// The third one only some scenarios have.
pub(super) const SIDES: [&str; 3] = ["lan", "wan", "dmz"];
pub(super) const DMZ_ADDRESSES: [(Address, u8); 2] =
    [(v4([172, 16, 0, 1]), 24), (v6([0x2001, 0xdb8, 2, 0, 0, 0, 0, 1]), 64)];

#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    addresses: [Address; 2],
    pub side: Side,
    /// Its own ports and ICMP identifiers begin here, so that hosts seldom want the same one behind one address.
    pub ports: u16,
}

/// A value in each family.
pub(super) type OfFamily<T> = [T; 2];

pub(super) const fn of<T: Copy>(family: Family, both: &OfFamily<T>) -> T {
    match family {
        Family::V4 => both[0],
        Family::V6 => both[1],
    }
}

impl Host {
    pub(super) fn address(&self, family: Family) -> Address {
        of(family, &self.addresses)
    }

    pub(super) fn has(&self, address: Address) -> bool {
        self.addresses.contains(&address)
    }
}

const fn host(address: [u8; 4], groups: [u16; 8], side: Side, ports: u16) -> Host {
    let addresses = [v4(address), v6(groups)];
    Host { addresses, side, ports }
}

pub(super) const HOSTS: &[Host] = &[
    host([10, 0, 0, 2], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2], LAN, 20_000),
    host([10, 0, 0, 3], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 3], LAN, 21_000),
    host([10, 0, 0, 130], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x130], LAN, 22_000),
    host([192, 0, 2, 9], [0x2001, 0xdb8, 1, 0, 0, 0, 0, 9], WAN, 30_000),
    host([192, 0, 2, 10], [0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10], WAN, 31_000),
    host([198, 51, 100, 7], [0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 7], WAN, 32_000),
    host([203, 0, 113, 77], [0x3fff, 0x113, 0, 0, 0, 0, 0, 0x77], WAN, 33_000),
    host([172, 16, 0, 2], [0x2001, 0xdb8, 2, 0, 0, 0, 0, 2], DMZ, 40_000),
    host([172, 16, 0, 3], [0x2001, 0xdb8, 2, 0, 0, 0, 0, 3], DMZ, 41_000),
];

pub(super) const OWN: &OfFamily<&[Address]> = &[
    &[v4([10, 0, 0, 1]), v4([192, 0, 2, 1])],
    &[
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 1]),
    ],
];
/// What the router's own conversations begin at.
pub(super) const OWN_PORTS: u16 = 50_000;

/// Addresses that NAT rules give.
pub(super) const NAT_SOURCES: &OfFamily<&[Address]> = &[
    &[
        v4([192, 0, 2, 100]),
        v4([192, 0, 2, 101]),
        v4([192, 0, 2, 102]),
        v4([192, 0, 2, 103]),
    ],
    &[
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x100]),
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x101]),
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x102]),
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x103]),
    ],
];

pub(super) const SERVICES: &[u16] = &[21, 22, 25, 53, 53, 80, 80, 443, 8080, 3128, 2121, 8001, 1050];

/// Where clashes are wanted, these are the clients' ports.
pub(super) const CLASHING: &[u16] = &[53, 700, 1024, 40_000];

/// Where both sides must give the same single port (`:2000`), they do; a port out of a range (`:6000-6010`) each draws for itself.
pub(super) const FIXED_SOURCES: &[u16] = &[2000, 2001];
/// With `--random` a destination's port is drawn too; rules that have it take ports from here only.
pub(super) const DRAWN_DESTINATIONS: std::ops::RangeInclusive<u16> = 9000..=9010;

pub(super) const ODD_ADDRESSES: &OfFamily<&[Address]> = &[
    &[
        v4([10, 0, 0, 255]),
        v4([10, 0, 0, 0]),
        v4([10, 0, 0, 1]),
        v4([10, 0, 0, 99]),
        v4([10, 255, 255, 255]),
        v4([192, 0, 2, 1]),
        v4([192, 0, 2, 255]),
        v4([192, 0, 2, 100]),
        v4([192, 0, 2, 254]),
        v4([255, 255, 255, 255]),
        v4([0, 0, 0, 0]),
        v4([0, 1, 2, 3]),
        v4([127, 0, 0, 1]),
        v4([127, 9, 9, 9]),
        v4([169, 254, 1, 1]),
        v4([224, 0, 0, 1]),
        v4([224, 0, 0, 251]),
        v4([239, 1, 2, 3]),
        v4([240, 0, 0, 1]),
        v4([198, 51, 100, 255]),
    ],
    &[
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]),
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99]),
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 1]),
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0xfe]),
        v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x100]),
        v6([0, 0, 0, 0, 0, 0, 0, 0]),
        v6([0, 0, 0, 0, 0, 0, 0, 1]),
        v6([0, 0, 0, 0, 0, 0xffff, 0x0a00, 2]),
        v6([0, 0, 0, 0, 0, 0, 0x0a00, 2]),
        v6([0x64, 0xff9b, 0, 0, 0, 0, 0x0a00, 2]),
        v6([0x2002, 0x0a00, 2, 0, 0, 0, 0, 1]),
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 1]),
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 2]),
        v6([0xfec0, 0, 0, 0, 0, 0, 0, 1]),
        v6([0xfd00, 0, 0, 0, 0, 0, 0, 1]),
        v6([0xff01, 0, 0, 0, 0, 0, 0, 1]),
        v6([0xff02, 0, 0, 0, 0, 0, 0, 1]),
        v6([0xff02, 0, 0, 0, 0, 0, 0, 2]),
        v6([0xff02, 0, 0, 0, 0, 0, 0, 0xfb]),
        v6([0xff02, 0, 0, 0, 0, 1, 0xff00, 1]),
        v6([0xff05, 0, 0, 0, 0, 0, 0, 2]),
        v6([0xff0e, 0, 0, 0, 0, 0, 0, 0x101]),
    ],
];
