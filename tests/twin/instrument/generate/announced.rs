//! Datagrams that announce other flows: TFTP's requests, which are answered from another port, Amanda's answers, which name TCP ports, and telephones.

use super::conversations::{Exchange, FarEnd, exchange, far_end, header_of};
use super::draw::Side;
use super::h323::{RAS, registration};
use super::packet::{ACK, Address, FIN, PSH, udp};
use super::questions::{self, AGENT, MANAGER, NAMES};
use super::sip::{SIP, telephone};
use super::tcp::{Act, TcpTalk};
use super::world::{Arrival, World};

pub(super) const TFTP: u16 = 69;
pub(super) const AMANDA: u16 = 10080;

/// So many ports a talk has for what it announces.
const BLOCK: u16 = 20;

pub(super) const NOTES: [&str; 6] = [
    "TFTP: read",
    "TFTP: write",
    "TFTP: other",
    "Amanda: request",
    "Amanda: ports",
    "Amanda: other",
];

pub(super) struct Datagrams {
    pub near: (Option<Side>, Address, u16),
    pub to: (Address, u16),
    pub far: Option<FarEnd>,
    /// The last TCP port that was named.
    pub ports: u16,
    pub left: usize,
    pub then: Option<Then>,
}

pub(super) enum Then {
    Answers(Exchange),
    Calls(Box<TcpTalk>),
}

impl Datagrams {
    pub(super) fn new(world: &mut World, near: (Option<Side>, Address, u16), to: Address) -> Self {
        let port = match to.is_ipv4() {
            true => world.draw.pick(&[
                TFTP, TFTP, AMANDA, AMANDA, RAS, RAS, RAS, RAS, AGENT, MANAGER, NAMES, SIP, SIP, SIP, SIP, 6969,
            ]),
            // What the others say has places for addresses of IPv4.
            false => world
                .draw
                .pick(&[TFTP, TFTP, AMANDA, AMANDA, RAS, RAS, RAS, RAS, SIP, SIP, SIP, SIP, 6969]),
        };
        Self {
            near,
            to: (to, port),
            far: None,
            ports: world.data_ports(),
            left: 1 + world.draw.below(5),
            then: None,
        }
    }

    pub(super) fn step(&mut self, world: &mut World) -> bool {
        if let Some(then) = &mut self.then {
            let goes_on = match then {
                Then::Answers(exchange) => exchange.step_datagram(world),
                Then::Calls(talk) => talk.step(world).0,
            };
            if !goes_on {
                self.then = None;
            }
            return true;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match self.to.1 {
            AMANDA => self.amanda(world),
            RAS => registration(self, world),
            AGENT | MANAGER => questions::snmp(self, world),
            NAMES => questions::names(self, world),
            SIP => telephone(self, world),
            _ => self.tftp(world),
        }
        self.left > 0 || self.then.is_some()
    }

    /// The next even port of its block, which is used again when it is at its end.
    pub(super) fn next_port(&mut self) -> u16 {
        let block = self.ports / BLOCK * BLOCK;
        self.ports = block + (self.ports - block + 2) % BLOCK;
        self.ports
    }

    /// The client's side of the flow sends this.
    pub(super) fn ask(&mut self, world: &mut World, data: &[u8]) -> Option<Vec<u8>> {
        let header = header_of(world, self.near.1, self.to.0);
        let bytes = udp(header, (self.near.2, self.to.1), data);
        match world.send(self.near.0, bytes) {
            Arrival::At(out) => {
                self.far = far_end(&out).or(self.far);
                Some(out.bytes)
            }
            _ => None,
        }
    }

    /// The other side does.
    pub(super) fn answer(&mut self, world: &mut World, data: &[u8]) -> Option<Vec<u8>> {
        let (side, own, peer) = self.far?;
        let header = header_of(world, own.0, peer.0);
        let bytes = udp(header, (own.1, peer.1), data);
        match world.send(Some(side), bytes) {
            Arrival::At(out) => Some(out.bytes),
            _ => None,
        }
    }

    fn tftp(&mut self, world: &mut World) {
        let (data, note): (&[u8], _) = match world.draw.below(8) {
            0..3 => (b"\0\x01notes.txt\0octet\0", NOTES[0]),
            3..5 => (b"\0\x02notes.txt\0octet\0", NOTES[1]),
            5 => (b"\0\x05\0\0\0", NOTES[2]),
            6 => (b"\x01\x01notes.txt\0octet\0", NOTES[2]),
            _ => (
                world.draw.pick(&[&b"\0\x01"[..], b"\0", b"", b"\0\x03\0\x01data"]),
                NOTES[2],
            ),
        };
        world.note(note);
        if world.draw.one_in(5) {
            self.answer(world, data);
            return;
        }
        if self.ask(world, data).is_none() || world.draw.one_in(6) {
            return;
        }
        let Some((side, own, peer)) = self.far else { return };
        let port = world.client_port(None);
        // From anywhere but the server nothing is expected.
        let from = match world.draw.one_in(6) {
            true => world.host_like(own.0),
            false => own.0,
        };
        self.then = Some(Then::Answers(exchange(world, (Some(side), from, port), peer)));
    }

    fn amanda(&mut self, world: &mut World) {
        world.note(NOTES[3]);
        if self
            .ask(world, b"Amanda 2.6 REQ HANDLE 0-1 SEQ 2\nSERVICE sendbackup\n")
            .is_none()
        {
            return;
        }
        let mut named = [0; 4];
        for port in &mut named {
            self.ports += 1;
            *port = self.ports;
        }
        let [data, messages, index, state] = named;
        let sound = format!("Amanda 2.6 REP\nCONNECT DATA {data} MESG {messages} INDEX {index}\nOPTIONS ;\n");
        let draw = &mut world.draw;
        let (text, is_sound) = match draw.below(16) {
            0 => (format!("CONNECT STATE {state} DATA {data}\n"), true),
            1 => (
                format!("CONNECT DATA {data} MESG {messages} INDEX {index} STATE {state}\n"),
                true,
            ),
            2 => (sound.replace("\nOPTIONS ;\n", ""), false),
            3 => (format!("CONNECT DATA {data}9 MESG 0{messages}\n"), false),
            4 => (format!("CONNECT DATA none MESG {messages}\n"), false),
            5 => (format!("CONNECT MESG {messages} DATA 0 INDEX {index}\n"), false),
            6 => (format!("CONNECT DATA 00{data} MESG {messages}\n"), false),
            7 => (
                format!("connect DATA {data}\nCONNECT  DATA{data} XMESG {messages}\n"),
                false,
            ),
            8 => ("PREP ok\n".to_owned(), false),
            9 => (
                format!("CONNECT DATA {data}\nMESG {messages}\nCONNECT INDEX {index}\n"),
                true,
            ),
            _ => (sound, true),
        };
        world.note(if is_sound { NOTES[4] } else { NOTES[5] });
        if world.draw.one_in(8) {
            self.ask(world, text.as_bytes());
            return;
        }
        let Some(got) = self.answer(world, text.as_bytes()) else {
            return;
        };
        if !is_sound || world.draw.one_in(6) {
            return;
        }
        let got = String::from_utf8_lossy(&got).into_owned();
        let Some(port) = got.split("DATA ").nth(1).and_then(|rest| {
            let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
            digits.parse::<u16>().ok()
        }) else {
            return;
        };
        if port != data {
            return;
        }
        let from = (self.near.0, self.near.1, world.client_port(None));
        let mut talk = TcpTalk::new(&mut world.draw, from, (self.to.0, port)).plainly_opened();
        talk.script.extend([
            Act::plain(1, PSH | ACK, b"dump"),
            Act::plain(0, FIN | ACK, &[]),
            Act::plain(1, FIN | ACK, &[]),
            Act::plain(0, ACK, &[]),
        ]);
        self.then = Some(Then::Calls(Box::new(talk)));
    }
}
