//! SANE: a client that asks to scan, also by requests that are none and before the last was answered, and the connection that it is told to open.

use super::draw::{Draw, Side};
use super::packet::{ACK, Address, PSH};
use super::tcp::{Act, TcpTalk};
use super::world::World;

pub(super) const PORT: u16 = 6566;

pub(super) const NOTES: [&str; 4] = [
    "SANE: start",
    "SANE: another request",
    "SANE: port of the picture",
    "SANE: another answer",
];

pub(super) struct SaneTalk {
    session: TcpTalk,
    data: Option<TcpTalk>,
    near: (Option<Side>, Address),
    /// The last port that was named.
    ports: u16,
    /// What is on its way names it.
    named: bool,
    left: usize,
}

impl SaneTalk {
    /// Pictures wait at ports from after `ports` on.
    pub(super) fn new(draw: &mut Draw, near: (Option<Side>, Address, u16), to: Address, ports: u16) -> Self {
        let port = draw.pick(&[PORT, PORT, PORT, 6567]);
        Self {
            session: TcpTalk::new(draw, near, (to, port)).plainly_opened(),
            data: None,
            near: (near.0, near.1),
            ports,
            named: false,
            left: 3 + draw.below(10),
        }
    }

    pub(super) fn step(&mut self, world: &mut World) -> bool {
        if let Some(data) = &mut self.data
            && !world.draw.one_in(6)
        {
            if !data.step(world).0 {
                self.data = None;
            }
            return true;
        }
        if self.session.script.is_empty() && !self.say(world) {
            return false;
        }
        let (_, got) = self.session.step(world);
        if got.is_some_and(|data| !data.is_empty()) && std::mem::take(&mut self.named) && !world.draw.one_in(6) {
            let from = (self.near.0, self.near.1, world.client_port(None));
            let to = (self.session.ends[0].peer.0, self.ports);
            self.data = Some(TcpTalk::new(&mut world.draw, from, to).for_one_file());
        }
        true
    }

    /// A request and its answer, or one of them, while there are some left.
    fn say(&mut self, world: &mut World) -> bool {
        if self.left == 0 || !self.session.ends[1].placed {
            return false;
        }
        self.left -= 1;
        if !world.draw.one_in(8) {
            let (request, note): (&[u8], _) = match world.draw.below(10) {
                0 => (b"\0\0\0\x06\0\0\0\0", 1),
                1 => (b"\0\0\0\x07\0\0\0", 1),
                2 => (b"\0\0\0\x07\0\0\0\0\0", 1),
                3 => (b"\0\0\0\x07\x01\x02\x03\x04", 0),
                _ => (b"\0\0\0\x07\0\0\0\0", 0),
            };
            self.put(world, 0, request, note);
        }
        if world.draw.one_in(8) {
            return true;
        }
        self.ports += 1;
        let [high, low] = self.ports.to_be_bytes();
        self.named = false;
        let (answer, note) = match world.draw.below(14) {
            0 => (vec![0, 0, 0, 3, 0, 0, high, low], 3),
            1 => (vec![0, 0, 0, 0, 0, 1, high, low], 3),
            2 => (vec![0, 0, 0, 0, 0, 0, high], 3),
            3 => (vec![0; 8], 3),
            short @ 4..6 => ([&[0; 6][..], &[high, low], &[0; 4][..short - 4]].concat(), 2),
            _ => (vec![0, 0, 0, 0, 0, 0, high, low, 0, 0, 0x12, 0x34, 0, 0, 0, 0], 2),
        };
        self.named = note == 2;
        self.put(world, 1, &answer, note);
        true
    }

    fn put(&mut self, world: &mut World, who: usize, data: &[u8], note: usize) {
        world.note(NOTES[note]);
        self.session.script.push_back(Act::plain(who, PSH | ACK, data));
    }
}
