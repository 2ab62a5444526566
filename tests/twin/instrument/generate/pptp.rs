//! PPTP: a session in which either side asks for calls, also out of turn and in broken messages, and GRE that goes either way by the numbers that each
//! end was told.

use std::collections::VecDeque;

use super::conversations::header_of;
use super::draw::{Draw, Side};
use super::packet::{ACK, Address, PSH, ip};
use super::tcp::{Act, TcpTalk};
use super::world::{Arrival, World};

pub(super) const PORT: u16 = 1723;

pub(super) const NOTES: [&str; 5] = [
    "PPTP: a call of the client's",
    "PPTP: a call of the server's",
    "PPTP: a call ends",
    "PPTP: out of turn",
    "PPTP: GRE",
];

pub(super) struct PptpTalk {
    session: TcpTalk,
    lines: VecDeque<(usize, Vec<u8>)>,
    /// The last number that the client and the server gave a call.
    client: u16,
    server: u16,
    /// The client's as the server was told, and the server's as the client was.
    told_server: u16,
    told_client: u16,
    /// GRE that is still to be sent.
    carried: usize,
    left: usize,
}

impl PptpTalk {
    /// Calls are numbered from after `numbers` on.
    pub(super) fn new(draw: &mut Draw, near: (Option<Side>, Address, u16), to: Address, numbers: u16) -> Self {
        let port = draw.pick(&[PORT, PORT, PORT, 1724]);
        let opens = message(1, &[1, 0]);
        let granted = if draw.one_in(10) { 2 } else { 1 };
        Self {
            session: TcpTalk::new(draw, near, (to, port)).plainly_opened(),
            lines: VecDeque::from([(0, opens), (1, message(2, &[1, 0, granted]))]),
            client: numbers,
            server: numbers,
            told_server: 0,
            told_client: 0,
            carried: 0,
            left: 2 + draw.below(8),
        }
    }

    pub(super) fn step(&mut self, world: &mut World) -> bool {
        if self.carried > 0 && world.draw.one_in(2) {
            self.carried -= 1;
            self.carry(world);
            return true;
        }
        if self.session.script.is_empty() {
            if self.lines.is_empty() && !self.say(world) {
                return self.carried > 0;
            }
            if let Some((who, line)) = self.lines.pop_front() {
                self.session.script.push_back(Act::plain(who, PSH | ACK, &line));
            }
        }
        if let (_, Some(message)) = self.session.step(world)
            && message.len() > 15
        {
            let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
            match message[9] {
                7 => self.told_server = number(12),
                8 | 9 => self.told_client = number(12),
                10 => self.told_server = number(12),
                _ => {}
            }
        }
        true
    }

    fn say(&mut self, world: &mut World) -> bool {
        if self.left == 0 || !self.session.ends[1].placed {
            return false;
        }
        self.left -= 1;
        self.carried += 3;
        self.client += 1;
        self.server += 1;
        let ([a, b], [c, d]) = (self.client.to_be_bytes(), self.server.to_be_bytes());
        let [e, f] = self.told_server.to_be_bytes();
        let granted = if world.draw.one_in(8) { 2 } else { 1 };
        let mut note = 3;
        let line = match world.draw.below(16) {
            0..4 => {
                note = 0;
                (0, message(7, &[a, b]))
            }
            4..8 => (1, message(8, &[c, d, e, f, granted])),
            8 => {
                note = 1;
                (1, message(9, &[c, d]))
            }
            9 => {
                let [c, d] = self.told_client.to_be_bytes();
                (0, message(10, &[a, b, c, d, granted]))
            }
            10 => (1, message(11, &[e, f])),
            11 => {
                note = 2;
                (1, message(13, &[e, f, 1]))
            }
            12 => (0, message(12, &[a, b])),
            13 => (usize::from(world.draw.one_in(2)), message(5, &[0, 0, 0, 1])),
            14 => (1, message(world.draw.pick(&[14, 15, 2, 4, 6]), &[e, f, 1])),
            _ => {
                let mut broken = message(world.draw.pick(&[7, 8, 3, 1, 16]), &[a, b, e, f, 1]);
                let at = world.draw.below(broken.len());
                match world.draw.one_in(2) {
                    true => broken.truncate(at.max(1)),
                    false => broken[at] ^= 1,
                }
                (usize::from(world.draw.one_in(2)), broken)
            }
        };
        world.note(NOTES[note]);
        self.lines.push_back(line);
        true
    }

    /// A packet of a call, from either end.
    fn carry(&mut self, world: &mut World) {
        let who = usize::from(world.draw.one_in(2));
        let (side, from, to) = {
            let end = &self.session.ends[who];
            (end.side, end.own.0, end.peer.0)
        };
        if who == 1 && !self.session.ends[1].placed {
            return;
        }
        world.note(NOTES[4]);
        let number = match world.draw.one_in(8) {
            true => self.client,
            false => [self.told_client, self.told_server][who],
        };
        let [high, low] = number.to_be_bytes();
        let header = header_of(world, from, to);
        let carried = [0x30, 0x01, 0x88, 0x0b, 0, 2, high, low, 0, 0, 0, 1, 1, 2];
        let (Arrival::Nowhere | Arrival::Unanswerable | Arrival::At(_)) = world.send(side, ip(header, 47, &carried));
    }
}

/// A message of which what follows the beginning is zero.
fn message(kind: u8, begins: &[u8]) -> Vec<u8> {
    let length = match kind {
        1 | 2 => 156,
        6 => 20,
        7 => 168,
        8 => 32,
        9 => 220,
        10 | 15 => 24,
        11 => 28,
        13 => 148,
        14 => 40,
        _ => 16,
    };
    let mut message = vec![0, length, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0];
    message.extend(begins);
    message.resize(usize::from(length), 0);
    message
}
