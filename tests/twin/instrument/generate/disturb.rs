//! What goes wrong with a packet on its way, and what someone makes go wrong.

use nflab::base::Family;

use super::super::layout::{self, is_ipv6};
use super::conversations::error_about;
use super::draw::{ODD_ADDRESSES, SERVICES, Side, of};
use super::extension::extended;
use super::packet::{
    ICMP, ICMPV6, IPV6, Ip, SCTP, Seen, TCP, UDP, hops_at, lengthen, protocol_at, seal, seal_transport,
};
use super::packet::{set_address, set_length, tcp, udp, with_options};
use super::pieces::{fragments, no_length};
use super::world::{Out, World};

/// Delivers the packet in some other shape, and what else belongs to it; returns what left because of the last of it.
pub(super) fn disturbed(world: &mut World, side: Option<Side>, bytes: Vec<u8>) -> Vec<Out> {
    let (name, disturb) = world.draw.pick(DISTURBANCES);
    world.note(name);
    disturb(world, side, bytes)
}

type Disturb = fn(&mut World, Option<Side>, Vec<u8>) -> Vec<Out>;

pub(super) const DISTURBANCES: &[(&str, Disturb)] = &[
    ("fragments", fragments),
    ("fragments", fragments),
    ("a bit flipped", |world, side, mut bytes| {
        let at = world.draw.below(bytes.len());
        bytes[at] ^= 1 << world.draw.below(8);
        deliver(world, side, bytes)
    }),
    (
        "a bit of the header flipped, with its checksum",
        |world, side, mut bytes| {
            let at = match is_ipv6(&bytes, 0) {
                false => world.draw.pick(&[0, 1, 2, 3, 6, 7, 8, 12, 15, 16, 19]),
                true => world.draw.pick(&[0, 1, 1, 4, 5, 6, 7, 8, 9, 23, 24, 39]),
            };
            bytes[at] ^= 1 << world.draw.below(8);
            seal(&mut bytes);
            deliver(world, side, bytes)
        },
    ),
    ("IP options", |world, side, bytes| {
        let bytes = match is_ipv6(&bytes, 0) {
            false => with_options(&bytes, world.draw.pick(OPTIONS)),
            true => extended(world, bytes),
        };
        deliver(world, side, bytes)
    }),
    ("a short time to live", |world, side, mut bytes| {
        let at = hops_at(&bytes);
        bytes[at] = world.draw.pick(&[0, 1, 1, 2]);
        seal(&mut bytes);
        deliver(world, side, bytes)
    }),
    ("an odd address", |world, side, mut bytes| {
        let is_destination = world.draw.pick(&[false, true, true]);
        let family = if is_ipv6(&bytes, 0) { Family::V6 } else { Family::V4 };
        let address = world.draw.pick(of(family, ODD_ADDRESSES));
        set_address(&mut bytes, is_destination, address);
        if !world.draw.one_in(4) {
            seal_transport(&mut bytes);
        }
        seal(&mut bytes);
        deliver(world, side, bytes)
    }),
    ("another protocol", |world, side, mut bytes| {
        let at = protocol_at(&bytes);
        bytes[at] = match is_ipv6(&bytes, 0) {
            false => world.draw.pick(&[0, 1, 2, 4, 6, 17, 33, 47, 50, 94, 132, 136]),
            true => world.draw.pick(&[
                0, 1, 4, 6, 17, 33, 41, 43, 44, 47, 50, 51, 58, 59, 60, 94, 132, 135, 136, 139,
            ]),
        };
        if world.draw.one_in(2) {
            seal_transport(&mut bytes);
        }
        seal(&mut bytes);
        deliver(world, side, bytes)
    }),
    ("cut short", |world, side, mut bytes| {
        let cut = world.draw.below(bytes.len());
        bytes.truncate(cut);
        let header = if is_ipv6(&bytes, 0) { IPV6 } else { 20 };
        if cut >= header && world.draw.one_in(2) {
            set_length(&mut bytes, cut);
        }
        deliver(world, side, bytes)
    }),
    ("bytes behind its end", |world, side, mut bytes| {
        let surplus = world.draw.pick(&[1, 5, 26]);
        bytes.extend(vec![7; surplus]);
        deliver(world, side, bytes)
    }),
    ("a wrong checksum", |world, side, mut bytes| {
        let (transport, protocol) = Seen::of(&bytes).map_or((20, 0), |it| (it.transport, it.protocol));
        let at = match protocol {
            TCP => transport + 16,
            UDP => transport + 6,
            ICMP | ICMPV6 => transport + 2,
            SCTP => transport + 8,
            _ => 10,
        };
        if at + 2 <= bytes.len() {
            let value = if world.draw.one_in(2) {
                [0, 0]
            } else {
                world.draw.half().to_be_bytes()
            };
            bytes[at..at + 2].copy_from_slice(&value);
        }
        deliver(world, side, bytes)
    }),
    ("another word in its transport header", |world, side, mut bytes| {
        let (header, protocol) = Seen::of(&bytes).map_or((20, 0), |it| (it.transport, it.protocol));
        let at = header + world.draw.pick(&[0, 2, 4, 6, 8, 10, 12, 12, 14, 18]);
        if at + 2 <= bytes.len() && !matches!(protocol, ICMP | ICMPV6) {
            let value = if world.draw.one_in(3) {
                [0, 0]
            } else {
                world.draw.half().to_be_bytes()
            };
            bytes[at..at + 2].copy_from_slice(&value);
            seal_transport(&mut bytes);
        }
        deliver(world, side, bytes)
    }),
    ("other TCP options", |world, side, bytes| {
        let Some(seen) = Seen::of(&bytes).filter(|it| it.protocol == TCP && it.data >= it.transport + 20) else {
            return world.deliver(side, bytes);
        };
        let at = seen.transport;
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let segment = super::packet::Segment {
            ports: seen.ports,
            sequence: word(at + 4),
            acknowledgement: word(at + 8),
            flags: bytes[at + 13],
            window: u16::from_be_bytes([bytes[at + 14], bytes[at + 15]]),
            options: world.draw.pick(TCP_OPTIONS),
            data: &bytes[seen.data..],
        };
        let header = Ip {
            identification: seen.identification,
            ..Ip::new(seen.source, seen.destination)
        };
        let made = tcp(header, segment);
        world.deliver(side, made)
    }),
    ("port zero", |world, side, mut bytes| {
        let seen = Seen::of(&bytes).filter(|it| matches!(it.protocol, TCP | UDP) && bytes.len() >= it.transport + 8);
        if let Some(seen) = seen {
            let at = seen.transport + world.draw.pick(&[0, 2]);
            bytes[at..at + 2].fill(0);
            seal_transport(&mut bytes);
        }
        deliver(world, side, bytes)
    }),
    ("twice", |world, side, bytes| {
        world.deliver(side, bytes.clone());
        world.deliver(side, bytes)
    }),
    ("never", |_, _, _| Vec::new()),
    ("late", |world, side, bytes| {
        // The one before it comes now.
        match world.late.replace((side, bytes)) {
            Some((side, bytes)) => world.deliver(side, bytes),
            None => Vec::new(),
        }
    }),
    ("by another interface", |world, side, bytes| {
        let other = world.host().side;
        world.deliver(side.map(|_| other), bytes)
    }),
    ("too long, not to be fragmented", |world, side, mut bytes| {
        let long = world.draw.pick(&[1501, 1600, 3000]);
        let fill = world.draw.below(256) as u8;
        let may_be_cut = world.draw.one_in(3);
        if !is_ipv6(&bytes, 0) {
            bytes[6] = if may_be_cut { 0 } else { 0x40 };
        }
        lengthen(&mut bytes, long, fill);
        deliver(world, side, bytes)
    }),
    ("an error about it", |world, side, bytes| {
        let outs = world.deliver(side, bytes);
        if let Some(about) = outs.first().cloned() {
            // Only what left under ports that both sides share is remembered.
            if world.departed.iter().any(|it| it.bytes == about.bytes) {
                error_about(world, &about);
            }
        }
        outs
    }),
    ("a length of zero", no_length),
    ("bytes of any kind", |world, side, bytes| {
        let length = world.draw.below(60);
        let mut noise: Vec<u8> = (0..length).map(|_| world.draw.below(256) as u8).collect();
        if let Some(first) = noise.first_mut()
            && world.draw.one_in(2)
        {
            *first = if is_ipv6(&bytes, 0) { 0x60 } else { 0x45 };
        }
        if side.is_some() {
            deliver(world, side, noise);
        }
        world.deliver(side, bytes)
    }),
];

/// What the twin itself would hear is left out.
fn deliver(world: &mut World, side: Option<Side>, bytes: Vec<u8>) -> Vec<Out> {
    if !is_ipv6(&bytes, 0) && bytes.get(9) == Some(&255) || layout::protocol(&bytes, 0) == Some(255) {
        return Vec::new();
    }
    world.deliver(side, bytes)
}

/// A packet that nobody sent.
pub(super) fn invented(world: &mut World) -> Out {
    let family = world.family();
    let (from, to) = (world.host(), world.host());
    let header = Ip {
        identification: world.next_identification(),
        ..Ip::new(from.address(family), to.address(family))
    };
    let ports = (from.ports + world.draw.below(20) as u16, world.draw.pick(SERVICES));
    let bytes = if world.draw.one_in(2) {
        udp(header, ports, b"never sent")
    } else {
        let segment = super::packet::Segment {
            ports,
            sequence: world.draw.word(),
            acknowledgement: 0,
            flags: super::packet::ACK,
            window: 1000,
            options: &[],
            data: &[],
        };
        tcp(header, segment)
    };
    Out { side: to.side, bytes }
}

/// Sound and unsound: padding, router alert, record route (with room, full, without a place, too long), strict and loose source routes, a full
/// time stamp, CIPSO, and what is none.
const OPTIONS: &[&[u8]] = &[
    &[1, 1, 1, 0],
    &[148, 4, 0, 0],
    &[148, 4, 0, 1],
    &[7, 7, 4, 0, 0, 0, 0, 0],
    &[7, 11, 8, 1, 2, 3, 4, 0, 0, 0, 0, 0],
    &[7, 3, 4, 0],
    &[7, 7, 5, 0, 0, 0, 0, 0],
    &[
        7, 39, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0,
    ],
    &[131, 7, 4, 192, 0, 2, 9, 0],
    &[131, 7, 8, 192, 0, 2, 9, 0],
    &[137, 7, 4, 10, 0, 0, 3, 0],
    &[134, 8, 0, 0, 0, 0, 1, 2],
    &[68, 8, 13, 0, 0, 0, 0, 0],
    &[68, 8, 9, 0xf0, 0, 0, 0, 0],
    &[255, 4, 0, 7],
    &[7, 40, 4, 0],
    &[7, 0, 4, 0],
    &[0, 9, 9, 9],
    &[1, 1, 1, 7],
];

const TCP_OPTIONS: &[&[u8]] = &[
    &[0, 0, 0, 0],
    &[1, 1, 1, 1],
    &[2, 4, 0, 0],
    &[3, 3, 14, 1],
    &[3, 3, 255, 0],
    &[4, 2, 1, 1],
    &[5, 2, 1, 1],
    &[5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1],
    &[5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0, 0, 0, 0xff, 0, 0, 1, 0, 0],
    &[8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
    &[30, 0, 1, 1],
    &[30, 40, 1, 1],
    &[3, 1, 1, 1],
    &[255, 4, 1, 2],
];
