//! Extension headers of IPv6 before what a packet carries: options that are known and not, routes, pieces that are none, and chains that break off.

use super::draw::Draw;
use super::packet::with_extension;
use super::world::World;

pub(super) const NOTES: [&str; 6] = [
    "extension: hop by hop",
    "extension: destination",
    "extension: routing",
    "extension: fragment",
    "extension: authentication",
    "extension: mobility or none",
];

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NONE: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;

/// One, or a few in any order.
pub(super) fn extended(world: &mut World, mut bytes: Vec<u8>) -> Vec<u8> {
    let count = world.draw.pick(&[1, 1, 1, 2, 3]);
    for _ in 0..count {
        let kind = world.draw.pick(&[0, 0, 1, 1, 2, 3, 3, 4, 5]);
        world.note(NOTES[kind]);
        let (number, rest): (u8, &[u8]) = match kind {
            0 => (HOP_BY_HOP, world.draw.pick(OPTIONS)),
            1 => (DESTINATION, world.draw.pick(OPTIONS)),
            2 => (ROUTING, world.draw.pick(ROUTES)),
            3 => (FRAGMENT, world.draw.pick(PIECES)),
            4 => (AUTHENTICATION, world.draw.pick(SUMS)),
            _ => (world.draw.pick(&[MOBILITY, NONE]), &[0, 5, 0, 0, 0, 0, 0]),
        };
        bytes = with_extension(&bytes, number, rest);
    }
    bytes
}

/// One that each piece of a packet carries.
pub(super) fn carried(draw: &mut Draw) -> (u8, &'static [u8]) {
    match draw.below(3) {
        0 => (HOP_BY_HOP, of_each_hop(draw)),
        1 => (DESTINATION, draw.pick(OPTIONS)),
        _ => (ROUTING, draw.pick(ROUTES)),
    }
}

pub(super) fn of_each_hop(draw: &mut Draw) -> &'static [u8] {
    draw.pick(OPTIONS)
}

/// Behind the number of the next header: a length in eights without the first, then options. Padding; router alerts; a jumbo length; an unknown option
/// of each of the four actions; a home address; lengths that go beyond.
const OPTIONS: &[&[u8]] = &[
    &[0, 1, 4, 0, 0, 0, 0],
    &[0, 0, 0, 0, 0, 0, 0],
    &[0, 1, 2, 0, 0, 1, 0],
    &[0, 1, 4, 1, 2, 3, 4],
    &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0, 5, 2, 0, 0, 1, 0],
    &[0, 5, 2, 0, 7, 1, 0],
    &[0, 5, 3, 0, 0, 0, 0],
    &[0, 0xc2, 4, 0, 1, 0, 0],
    &[0, 0xc2, 4, 0, 0, 0, 9],
    &[0, 0x1e, 4, 1, 2, 3, 4],
    &[0, 0x5e, 4, 1, 2, 3, 4],
    &[0, 0x9e, 4, 1, 2, 3, 4],
    &[0, 0xde, 4, 1, 2, 3, 4],
    &[
        2, 1, 2, 0, 0, 0xc9, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3,
    ],
    &[0, 1, 9, 0, 0, 0, 0],
    &[0, 1, 1, 0, 0, 1, 0],
    &[9, 1, 4, 0, 0, 0, 0],
    &[255, 1, 4, 0, 0, 0, 0],
];

/// Type, segments left: the first kind, the second with a home address, segment routing, and what nobody knows.
const ROUTES: &[&[u8]] = &[
    &[0, 0, 0, 0, 0, 0, 0],
    &[
        2, 0, 0, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
    ],
    &[
        2, 0, 1, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
    ],
    &[
        2, 2, 1, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ],
    &[
        2, 2, 0, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ],
    &[
        2, 4, 0, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
    ],
    &[
        2, 4, 1, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
    ],
    &[0, 253, 0, 0, 0, 0, 0],
    &[0, 253, 3, 0, 0, 0, 0],
    &[9, 0, 0, 0, 0, 0, 0],
];

/// Reserved, offset and flags, identification: alone, the first of what never comes whole, a later one, with reserved bits.
const PIECES: &[&[u8]] = &[
    &[0, 0, 0, 0, 0, 0, 1],
    &[0, 0, 0, 0, 0, 0, 2],
    &[0, 0, 1, 0, 0, 0, 3],
    &[0, 0, 8, 0, 0, 0, 3],
    &[0, 0, 9, 0, 0, 0, 3],
    &[7, 0, 6, 0, 0, 0, 4],
    &[0, 0xff, 0xf8, 0, 0, 0, 5],
];

/// Length in fours without two, reserved, an index, a number, a sum.
const SUMS: &[&[u8]] = &[
    &[4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    &[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    &[0, 0, 0, 0, 0, 1, 0],
    &[200, 0, 0, 0, 0, 1, 0],
];
