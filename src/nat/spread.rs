//! Which address of a range a flow gets: Jenkins' `hashword` of its source, begun with its destination and zone, as Linux 6.18 was seen to choose (on a
//! little-endian machine; it has no secret, so that a client has the same address again after a restart of the router).
//!
//! Source: Bob Jenkins, lookup3.c (2006), in the public domain.

use std::net::IpAddr;

/// A number that is spread over the range. `other` is the other end and the number of the flow's zone, if these have a say.
pub(super) fn hash(source: IpAddr, other: Option<(IpAddr, u16)>) -> u32 {
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
