//! Questions to one host or to all: SNMP's, whose answers name addresses, and those for NetBIOS names.

use nflab::base::Family;

use super::announced::Datagrams;
use super::conversations::header_of;
use super::draw::OWN;
use super::packet::{Address, octets, udp, v4};
use super::world::{Arrival, World};

pub(super) const AGENT: u16 = 161;
pub(super) const MANAGER: u16 = 162;
pub(super) const NAMES: u16 = 137;

pub(super) const NOTES: [&str; 5] = [
    "SNMP: addresses",
    "SNMP: several where one may stand",
    "SNMP: not readable",
    "NetBIOS: question to all",
    "NetBIOS: answer",
];

/// The network that the router's questions go to, where the scenario has it.
pub(super) const ASKED: &str = "10.0.9.1/24";
const ASKS: Address = v4([10, 0, 9, 1]);
const ALL: Address = v4([10, 0, 9, 255]);

/// One side says something, and perhaps the other answers.
pub(super) fn snmp(talk: &mut Datagrams, world: &mut World) {
    let message = message(world, talk.near.1);
    match world.draw.one_in(3) {
        true => talk.answer(world, &message),
        false => talk.ask(world, &message),
    };
}

fn message(world: &mut World, near: Address) -> Vec<u8> {
    let mut kind = 0;
    let mut variables = Vec::new();
    for _ in 0..1 + world.draw.below(3) {
        let mut values = value(world, near);
        if world.draw.one_in(6) {
            values.extend(value(world, near));
            kind = 1;
        }
        let name: &[u8] = world.draw.pick(&[&b"+\x06\x01"[..], b"+\x06", b"+"]);
        variables.extend(list(0x30, &[list(6, &[name.to_vec()]), values]));
    }
    let request = world
        .draw
        .pick(&[0xa0, 0xa1, 0xa2, 0xa2, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8]);
    let numbers = b"\x02\x01\x07\x02\x01\0\x02\x01\0".to_vec();
    let request = list(request, &[numbers, list(0x30, &[variables])]);
    let version = world.draw.pick(&[0, 0, 0, 1, 1, 3]);
    let mut message = list(0x30, &[vec![2, 1, version], b"\x04\x06public".to_vec(), request]);
    if world.draw.one_in(8) {
        kind = 2;
        let at = world.draw.below(message.len());
        match world.draw.below(3) {
            0 => message.truncate(at),
            1 => message[at] = world.draw.below(256) as u8,
            _ => message.push(0),
        }
    }
    world.note(NOTES[kind]);
    message
}

fn value(world: &mut World, near: Address) -> Vec<u8> {
    let address = match world.draw.below(4) {
        0 => world.host().address(Family::V4),
        1 => world.draw.pick(OWN[0]),
        _ => near,
    };
    match world.draw.below(8) {
        0 => b"\x02\x01\x05".to_vec(),
        1 => b"\x04\x03abc".to_vec(),
        2 => b"\x41\x01\x05".to_vec(),
        3 => b"\x05\0".to_vec(),
        _ => list(0x40, &[octets(address)]),
    }
}

fn list(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let data = parts.concat();
    let mut list = vec![tag];
    match data.len() {
        short @ 0..128 => list.push(short as u8),
        long => list.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    list.extend(data);
    list
}

/// The router asks all hosts of a network for a name, or one of them answers.
pub(super) fn names(talk: &mut Datagrams, world: &mut World) {
    let port = talk.near.2;
    let (side, from, to, note) = match world.draw.one_in(3) {
        true => (None, (ASKS, port), (ALL, NAMES), NOTES[3]),
        false => {
            let host = world.draw.pick(&[[10, 0, 9, 7], [10, 0, 9, 8], [10, 0, 8, 7]]);
            let from = (v4(host), world.draw.pick(&[NAMES, NAMES, NAMES, 138]));
            (Some(0), from, (ASKS, port), NOTES[4])
        }
    };
    world.note(note);
    let header = header_of(world, from.0, to.0);
    let bytes = udp(header, (from.1, to.1), b"who is that?");
    let (Arrival::Nowhere | Arrival::Unanswerable | Arrival::At(_)) = world.send(side, bytes);
}
