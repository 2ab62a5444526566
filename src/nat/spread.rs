//! Which address of a range a flow gets: Jenkins' `hashword` of its source, begun with its destination and zone, as Linux 6.18 was seen to choose (on a
//! little-endian machine; it has no secret, so that a client has the same address again after a restart of the router).
//!
//! Source: Bob Jenkins, lookup3.c (2006), in the public domain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::AddressRange;
use crate::packet::End;

/// The address of a range that a flow from this source gets as its `end`. `other` is where it goes and the number of its zone, if these have a say.
pub(super) fn pick(range: AddressRange, source: IpAddr, other: Option<(IpAddr, u16)>, end: End) -> IpAddr {
    let stirs_in = match (other, end) {
        (None, _) => Stir::Nothing,
        (Some((destination, _)), End::Source) => Stir::Of(words(destination)),
        (Some(_), End::Destination) => Stir::Chosen,
    };
    pick_by(hash(source, other), range, stirs_in)
}

/// What goes into the choice of the next word.
#[derive(Clone, Copy)]
enum Stir {
    Nothing,
    /// These, one after the other.
    Of([u32; 4]),
    /// The word that was chosen: it stands where the destination's stood.
    Chosen,
}

fn pick_by(hash: u32, range: AddressRange, stirs_in: Stir) -> IpAddr {
    match (range.low, range.high) {
        (IpAddr::V4(low), IpAddr::V4(high)) => {
            let [address] = pick_words([low.to_bits()], [high.to_bits()], hash, stirs_in);
            Ipv4Addr::from_bits(address).into()
        }
        (IpAddr::V6(low), IpAddr::V6(high)) => {
            let words = |it: Ipv6Addr| [96, 64, 32, 0].map(|shift| (it.to_bits() >> shift) as u32);
            let address = pick_words(words(low), words(high), hash, stirs_in);
            let bits = address.iter().fold(0, |bits, word| bits << 32 | u128::from(*word));
            Ipv6Addr::from_bits(bits).into()
        }
        (low, _) => low,
    }
}

/// Seen: each word is chosen for itself, between those of the range's ends, and the destination's word, as it is then, goes into the next. Behind
/// one that is not the last address's a word may be any. How many there are between two ends has 32 bits: of all there are none, so that the lowest
/// is taken, and of ends in the wrong order nearly all.
fn pick_words<const WORDS: usize>(
    low: [u32; WORDS],
    high: [u32; WORDS],
    mut hash: u32,
    stirs_in: Stir,
) -> [u32; WORDS] {
    let mut is_free = false;
    std::array::from_fn(|at| {
        let (least, size) = match is_free {
            true => (0, u32::MAX),
            false => (low[at], high[at].wrapping_sub(low[at]).wrapping_add(1)),
        };
        let step = ((u64::from(hash) * u64::from(size)) >> 32) as u32;
        let chosen = least.wrapping_add(step);
        is_free |= chosen != high[at];
        hash ^= match stirs_in {
            Stir::Nothing => 0,
            Stir::Of(words) => words[at],
            Stir::Chosen => chosen.swap_bytes(),
        };
        chosen
    })
}

/// A number that is spread over the range.
fn hash(source: IpAddr, other: Option<(IpAddr, u16)>) -> u32 {
    let begin = other.map_or(0, |(address, zone)| {
        let address = match address {
            IpAddr::V4(v4) => u32::from_le_bytes(v4.octets()),
            IpAddr::V6(_) => words(address)[3],
        };
        address ^ u32::from(zone)
    });
    hashword(words(source), begin)
}

/// An address as the kernel keeps it: four words, of which IPv4 fills the first.
fn words(address: IpAddr) -> [u32; 4] {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => bytes = v6.octets(),
    }
    std::array::from_fn(|at| {
        let at = at * 4;
        u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    })
}

fn hashword(key: [u32; 4], begin: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(16).wrapping_add(begin);
    let mut state = [0, 1, 2].map(|at| start.wrapping_add(key[at]));
    // Which word is changed by which, and the turn: three rounds over (a, c), (b, a), (c, b).
    for (round, turn) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
        let (to, from, next) = (round % 3, (round + 2) % 3, (round + 1) % 3);
        state[to] = state[to].wrapping_sub(state[from]) ^ state[from].rotate_left(turn);
        state[from] = state[from].wrapping_add(state[next]);
    }
    state[0] = state[0].wrapping_add(key[3]);
    // (c, b), (a, c), (b, a), and so on.
    for (round, turn) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (to, from) = ((round + 2) % 3, (round + 1) % 3);
        state[to] = (state[to] ^ state[from]).wrapping_sub(state[from].rotate_left(turn));
    }
    state[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_picked_by_its_part_of_the_range() {
        let half = 1 << 31;
        for (low, high, hash, expected) in [
            ("192.0.2.10", "192.0.2.13", 0, "192.0.2.10"),
            ("192.0.2.10", "192.0.2.13", half, "192.0.2.12"),
            ("192.0.2.10", "192.0.2.13", u32::MAX, "192.0.2.13"),
            ("0.0.0.0", "255.255.255.255", half, "0.0.0.0"),
            ("2001:db8::10", "2001:db8::13", 0, "2001:db8::10"),
            ("2001:db8::10", "2001:db8::13", half, "2001:db8::12"),
            ("2001:db8::10", "2001:db8::13", u32::MAX, "2001:db8::13"),
        ] {
            let range = AddressRange {
                low: low.parse().unwrap(),
                high: high.parse().unwrap(),
            };
            assert_eq!(
                pick_by(hash, range, Stir::Nothing).to_string(),
                expected,
                "{low} {high} {hash}"
            );
        }
    }

    /// What Linux 6.18 took for the source, with and without `--persistent`, of a flow from the one to the other.
    #[test]
    fn addresses_are_those_of_the_kernel() {
        for ([low, high], is_persistent, [source, destination], expected) in [
            (
                ["192.0.2.9", "192.0.2.5"],
                false,
                ["10.0.0.2", "192.0.2.9"],
                "226.82.80.185",
            ),
            (
                ["192.0.2.9", "192.0.2.5"],
                false,
                ["10.0.0.77", "192.0.2.9"],
                "196.180.234.14",
            ),
            (
                ["2001:db8::9", "2001:db8::5"],
                false,
                ["2001:db8::2", "2001:db8:1::9"],
                "2001:db8::f357:647d",
            ),
            (
                ["2001:db8::5", "2001:db8::8"],
                false,
                ["2001:db8::2", "2001:db8:1::9"],
                "2001:db8::8",
            ),
            (
                ["2001:db8::5", "2001:db8::8"],
                false,
                ["2001:db8::99", "2001:db8:1:2:3:4:5:6"],
                "2001:db8::7",
            ),
            (
                ["2001:db8::5", "2001:db8::8"],
                false,
                ["2001:db8:5:6:7:8:9:a", "2001:db8:1::9"],
                "2001:db8::7",
            ),
            (
                ["2001:db8::5", "2001:db8::8"],
                true,
                ["2001:db8::2", "2001:db8:1::9"],
                "2001:db8::5",
            ),
            (
                ["2001:db8::5", "2001:db8::8"],
                true,
                ["2001:db8::99", "2001:db8:1:2:3:4:5:6"],
                "2001:db8::8",
            ),
            (
                ["2001:db8::", "2001:db8::ffff:ffff"],
                false,
                ["2001:db8:5:6:7:8:9:a", "2001:db8:1::9"],
                "2001:db8::",
            ),
            (
                ["2001:db8::", "2001:db8::ffff:fffe"],
                false,
                ["2001:db8:5:6:7:8:9:a", "2001:db8:1::9"],
                "2001:db8::897e:523a",
            ),
            (
                ["2001:db8::", "2001:db8:0:0:ffff:ffff:ffff:ffff"],
                false,
                ["2001:db8:5:6:7:8:9:a", "2001:db8:1::9"],
                "2001:db8::897e:523a",
            ),
            (
                ["2001:db8::1:0:5", "2001:db8::2:0:8"],
                false,
                ["2001:db8::2", "2001:db8:1::9"],
                "2001:db8::2:0:8",
            ),
            (
                ["2001:db8::1:0:5", "2001:db8::2:0:8"],
                false,
                ["2001:db8::99", "2001:db8:1:2:3:4:5:6"],
                "2001:db8::2:0:7",
            ),
            (
                ["2001:db8::1:0:5", "2001:db8::2:0:8"],
                true,
                ["2001:db8::2", "2001:db8:1::9"],
                "2001:db8::1:ed8:f7d2",
            ),
            (
                ["2001:db8:0:1::", "2001:db8:0:9::"],
                false,
                ["2001:db8::2", "2001:db8:1::9"],
                "2001:db8:0:9::",
            ),
            (
                ["2001:db8:0:1::", "2001:db8:0:9::"],
                false,
                ["2001:db8::99", "2001:db8:1:2:3:4:5:6"],
                "2001:db8:0:6:a58c:2d4f:a18c:2e4f",
            ),
            (
                ["2001:db8:0:1::", "2001:db8:0:9::"],
                false,
                ["2001:db8:5:6:7:8:9:a", "2001:db8:1::9"],
                "2001:db8:0:5:897e:523a:897e:523a",
            ),
            (
                ["2001:db8:0:1:0:7::3", "2001:db8:0:2:1::2"],
                false,
                ["2001:db8::2", "2001:db8:1::9"],
                "2001:db8:0:2:0:f358:f357:6476",
            ),
        ] {
            let range = AddressRange {
                low: low.parse().unwrap(),
                high: high.parse().unwrap(),
            };
            let [source, destination]: [IpAddr; 2] = [source, destination].map(|it| it.parse().unwrap());
            let other = (!is_persistent).then_some((destination, 0));
            let picked = pick(range, source, other, End::Source).to_string();
            assert_eq!(
                picked, expected,
                "{low}-{high} {is_persistent} {source} > {destination}"
            );
        }
    }
}
