//! Messages of ICMPv6 that are neither pings nor errors: neighbours, routers and multicast groups, sound ones and others, and kinds that nobody knows.

use super::draw::{HOSTS, OWN};
use super::packet::{Address, Ip, icmp, octets, v6};
use super::world::World;

pub(super) const NOTES: [&str; 8] = [
    "ND: neighbour solicitation",
    "ND: neighbour advertisement",
    "ND: router solicitation",
    "ND: router advertisement",
    "ND: redirect",
    "MLD: query",
    "MLD: report",
    "ICMPv6: another message",
];

const ALL_NODES: Address = v6([0xff02, 0, 0, 0, 0, 0, 0, 1]);
const ALL_ROUTERS: Address = v6([0xff02, 0, 0, 0, 0, 0, 0, 2]);
const ALL_MLD_ROUTERS: Address = v6([0xff02, 0, 0, 0, 0, 0, 0, 0x16]);
const SOLICITED: Address = v6([0xff02, 0, 0, 0, 0, 1, 0xff00, 1]);
const NOBODY: Address = v6([0; 8]);
const LINK_LOCAL: [Address; 2] = [v6([0xfe80, 0, 0, 0, 0, 0, 0, 1]), v6([0xfe80, 0, 0, 0, 0, 0, 0, 2])];

/// From where the header says or from where such messages come, to there likewise.
pub(super) fn message(world: &mut World, mut header: Ip) -> Vec<u8> {
    let kind = world.draw.below(NOTES.len());
    world.note(NOTES[kind]);
    let own = OWN[1];
    let target = match world.draw.below(4) {
        0 => LINK_LOCAL[0],
        1 => HOSTS[0].address(nflab::base::Family::V6),
        _ => world.draw.pick(own),
    };
    let address = octets(target);
    let mut rest = [0; 4];
    let (number, group, mut body) = match kind {
        0 => (135, SOLICITED, address),
        1 => {
            rest[0] = world.draw.pick(&[0, 0x20, 0x40, 0x60, 0x80, 0xe0]);
            (136, ALL_NODES, address)
        }
        2 => (133, ALL_ROUTERS, Vec::new()),
        3 => {
            rest = [64, world.draw.pick(&[0, 0x40, 0xc0]), 0, 30];
            (134, ALL_NODES, vec![0; 8])
        }
        4 => (137, world.draw.pick(own), [address.clone(), address].concat()),
        5 => {
            // In milliseconds: nobody waits for answers that come later.
            rest[1] = world.draw.pick(&[0, 1]);
            let group = world.draw.pick(&[NOBODY, NOBODY, ALL_ROUTERS]);
            let version2 = world.draw.pick(&[&[][..], &[2, 125, 0, 0]]);
            (130, ALL_NODES, [octets(group), version2.to_vec()].concat())
        }
        6 => match world.draw.below(3) {
            0 => (131, ALL_ROUTERS, octets(ALL_ROUTERS)),
            1 => (132, ALL_ROUTERS, octets(ALL_ROUTERS)),
            _ => {
                rest[3] = 1;
                (143, ALL_MLD_ROUTERS, [vec![4, 0, 0, 0], octets(ALL_ROUTERS)].concat())
            }
        },
        _ => {
            let number = world.draw.pick(&[
                0, 5, 128, 129, 138, 139, 139, 140, 140, 141, 142, 144, 145, 148, 151, 155, 200, 255,
            ]);
            (number, ALL_NODES, vec![0; 12])
        }
    };
    // Options: the sender's address of its link, an MTU, a prefix, and what is none.
    let option: &[u8] = world.draw.pick(&[
        &[][..],
        &[],
        &[1, 1, 2, 0, 0, 0, 0, 1],
        &[2, 1, 2, 0, 0, 0, 0, 1],
        &[5, 1, 0, 0, 0, 0, 5, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[1, 9, 0, 0],
        &[14, 1, 1, 2, 3, 4, 5, 6],
    ]);
    if (0..5).contains(&kind) {
        body.extend(option);
    }
    if world.draw.one_in(8) {
        body.truncate(world.draw.below(body.len() + 1));
    }
    header.source = match world.draw.below(8) {
        0..4 => header.source,
        4 => NOBODY,
        5 => LINK_LOCAL[0],
        _ => LINK_LOCAL[1],
    };
    header.destination = match world.draw.below(8) {
        0..3 => header.destination,
        3 => target,
        _ => group,
    };
    header.ttl = match (world.draw.below(8), kind) {
        (0, _) => 64,
        (_, 5 | 6) => 1,
        _ => 255,
    };
    let code = u8::from(world.draw.one_in(12));
    let is_sound = header.ttl == 1 && header.destination == group && LINK_LOCAL.contains(&header.source);
    let packet = icmp(header, number, code, rest, &body);
    match kind {
        5 | 6 if is_sound => with_alert(packet),
        _ => packet,
    }
}

/// What routers on the way have to look at.
fn with_alert(mut packet: Vec<u8>) -> Vec<u8> {
    const ALERT: [u8; 7] = [0, 5, 2, 0, 0, 1, 0];
    let length = u16::from_be_bytes([packet[4], packet[5]]) + 8;
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    let next = std::mem::replace(&mut packet[6], 0);
    packet.splice(40..40, [next].into_iter().chain(ALERT));
    packet
}
