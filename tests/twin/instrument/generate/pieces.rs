//! Packets in pieces, which fit or don't: overlapping, in any order, one of them missing; in IPv6 with headers that each carries, with marks of
//! congestion and hops of their own, in pieces again, and so long that no packet could be it in one.

use super::super::layout::is_ipv6;
use super::draw::{Draw, Side};
use super::extension::carried;
use super::packet::{IPV6, SCTP, Seen, TCP, fragment, hops_at, lengthen, set_length, with_extension};
use super::world::{Out, World};

pub(super) const NOTES: [&str; 6] = [
    "pieces: of a long packet",
    "pieces: headers before them",
    "pieces: headers before some",
    "pieces: congestion",
    "pieces: hops",
    "pieces: of pieces, or of another kind",
];

pub(super) fn fragments(world: &mut World, side: Option<Side>, mut bytes: Vec<u8>) -> Vec<Out> {
    let is_long = is_ipv6(&bytes, 0) && world.draw.one_in(8);
    if is_long {
        world.note(NOTES[0]);
        let long = world.draw.pick(&[1501, 2800, 2801, 9000, 9000, 65_535, 65_574, 65_575]);
        let fill = world.draw.below(256) as u8;
        lengthen(&mut bytes, long, fill);
    }
    let Some(seen) = Seen::of(&bytes) else {
        return Vec::new();
    };
    let length = bytes.len() - if is_ipv6(&bytes, 0) { IPV6 } else { seen.transport };
    let draw = &mut world.draw;
    // Of a few numbers, so that pieces of different packets meet.
    let identification = if draw.one_in(4) {
        draw.pick(&[1, 2])
    } else {
        seen.identification
    };
    let mut pieces = Vec::new();
    let mut from = 0;
    // Where NAT draws a port, the checksum that follows it has to be in the same piece.
    let least = if world.draws_ports && matches!(seen.protocol, TCP | SCTP) {
        24
    } else {
        8
    };
    let size = match length {
        // What fills a link of 1,500, one of 1,280, and more than any has.
        _ if is_long => draw.pick(&[1448, 1448, 1232, 1456, 4000, 30_000]),
        0..=200 => least,
        _ => 200 + draw.below(50) * 8,
    };
    while from < length {
        let to = from + size + draw.pick(&[0, 0, 8, 16]);
        let more = to < length;
        pieces.push(fragment(&bytes, identification, from..to.min(length), more));
        match draw.below(40) {
            0 => pieces.push(fragment(&bytes, identification, from..to + 8, to + 8 < length)),
            1 => pieces.push(fragment(&bytes, identification, from & !15..to + 8, true)),
            2 => pieces.push(fragment(&bytes, identification, from..to.min(length), more)),
            3 => pieces.push(fragment(&bytes, identification, from..(to + 3).min(length), true)),
            4 => pieces.push(fragment(&bytes, identification, 65_512..65_560, false)),
            5 => pieces.push(fragment(&bytes, identification, from..from, more)),
            _ => {}
        }
        from = to;
    }
    if draw.one_in(6) && !pieces.is_empty() {
        let at = draw.below(pieces.len());
        pieces.remove(at);
    }
    if is_ipv6(&bytes, 0)
        && let Some(note) = apart(draw, &mut pieces)
    {
        world.note(note);
    }
    let draw = &mut world.draw;
    match draw.below(3) {
        0 => draw.shuffle(&mut pieces),
        1 => pieces.reverse(),
        _ => {}
    }
    let mut outs = Vec::new();
    for piece in pieces {
        outs = world.deliver(side, piece);
    }
    outs
}

/// What in IPv6 stands in each piece for itself.
fn apart(draw: &mut Draw, pieces: &mut [Vec<u8>]) -> Option<&'static str> {
    match draw.below(12) {
        kind @ 0..3 => {
            let (number, rest) = carried(draw);
            for piece in &mut *pieces {
                if kind < 2 || draw.one_in(2) {
                    *piece = with_extension(piece, number, rest);
                }
            }
            Some(NOTES[if kind < 2 { 1 } else { 2 }])
        }
        3 | 4 => {
            for piece in pieces {
                // The last bits of the class.
                piece[1] = piece[1] & 0xcf | (draw.pick(&[0, 1, 2, 2, 2, 3]) << 4);
            }
            Some(NOTES[3])
        }
        5 => {
            for piece in pieces {
                let at = hops_at(piece);
                piece[at] = draw.pick(&[0, 1, 2, 64, 64, 64]);
            }
            Some(NOTES[4])
        }
        6 => {
            for piece in pieces {
                match draw.below(6) {
                    // A piece of it, or all of it in one.
                    0 => *piece = fragment(piece, 3, 0..piece.len() - IPV6, draw.one_in(2)),
                    // Another number behind its header, and reserved bits.
                    1 => piece[IPV6] = draw.pick(&[0, 6, 17, 43, 44, 50, 58, 59, 60, 135, 200]),
                    2 => piece[IPV6 + 3] |= draw.pick(&[2, 4, 6]),
                    _ => {}
                }
            }
            Some(NOTES[5])
        }
        _ => None,
    }
}

/// With options of each hop the length of a jumbogram; without, and in IPv4, a wrong one.
pub(super) fn no_length(world: &mut World, side: Option<Side>, mut bytes: Vec<u8>) -> Vec<Out> {
    if !is_ipv6(&bytes, 0) {
        set_length(&mut bytes, 0);
        return world.deliver(side, bytes);
    }
    if !world.draw.one_in(4) {
        let rest = super::extension::of_each_hop(&mut world.draw);
        bytes = with_extension(&bytes, 0, rest);
    }
    bytes[4..6].fill(0);
    world.deliver(side, bytes)
}
