//! Who talks to whom, several at a time: TCP, FTP, UDP, ping, other protocols, and errors about what left.

use nflab::base::Family;

use super::announced::Datagrams;
use super::disturb::invented;
use super::draw::{HOSTS, NAT_SOURCES, ODD_ADDRESSES, OWN, SERVICES, Side, of};
use super::ftp::FtpTalk;
use super::h323::CallTalk;
use super::irc::IrcTalk;
use super::messages::message;
use super::packet::{Address, Ip, Seen, UDPLITE, echo, icmp, ip, udp, v4, v6};
use super::pptp::PptpTalk;
use super::sane::SaneTalk;
use super::sctp::SctpTalk;
use super::sip_line::LineTalk;
use super::tcp::TcpTalk;
use super::world::{Arrival, Out, World};

#[derive(Default)]
pub(super) struct Talks {
    active: Vec<Talk>,
}

enum Talk {
    Tcp(Box<TcpTalk>),
    Ftp(Box<FtpTalk>),
    Irc(Box<IrcTalk>),
    Pptp(Box<PptpTalk>),
    Sane(Box<SaneTalk>),
    Line(Box<LineTalk>),
    Call(Box<CallTalk>),
    Datagrams(Box<Datagrams>),
    Sctp(Box<SctpTalk>),
    Udp(Exchange),
    Ping(Exchange),
}

/// Where a packet arrived, and how its receiver sees itself and its peer.
pub(super) type FarEnd = (Side, (Address, u16), (Address, u16));

/// Two ends that know each other's address, as it is where they are.
pub(super) struct Line {
    near: (Option<Side>, Address, u16),
    to: (Address, u16),
    /// Where the far end is and how it sees both, once something reached it.
    far: Option<FarEnd>,
}

/// What became of one end's word.
pub(super) enum Said {
    /// It does not know its peer, and stays silent.
    Nothing,
    Arrived,
    Lost,
    /// See `Arrival`.
    Unanswerable,
}

impl Line {
    fn new(near: (Option<Side>, Address, u16), to: (Address, u16)) -> Self {
        Self { near, to, far: None }
    }

    /// One end (0: the near one) sends what is built from its own address and its peer's. Who has not heard of the other guesses one time in
    /// `guess`, as whoever attacks does.
    pub(super) fn say(
        &mut self,
        world: &mut World,
        who: usize,
        guess: usize,
        build: impl FnOnce(&mut World, (Address, u16), (Address, u16)) -> Vec<u8>,
    ) -> Said {
        let (side, from, to) = match (who, self.far) {
            (0, _) => (self.near.0, (self.near.1, self.near.2), self.to),
            (_, Some((side, own, peer))) => (Some(side), own, peer),
            _ if world.draw.one_in(guess) => (side_of(world, self.to.0), self.to, (self.near.1, self.near.2)),
            _ => return Said::Nothing,
        };
        let bytes = build(world, from, to);
        match world.send(side, bytes) {
            Arrival::At(out) => {
                if who == 0 && self.far.is_none() {
                    self.far = far_end(&out);
                }
                Said::Arrived
            }
            Arrival::Unanswerable => Said::Unanswerable,
            Arrival::Nowhere => Said::Lost,
        }
    }
}

/// Questions and answers, each way as often as drawn.
pub(super) struct Exchange {
    line: Line,
    /// Who speaks next, and so on to the end.
    turns: Vec<usize>,
    count: u16,
}

impl Talks {
    /// A packet or a few.
    pub(super) fn step(&mut self, world: &mut World) {
        if self.active.len() < 4 && world.draw.one_in(3) || self.active.is_empty() {
            self.begin(world);
        }
        if self.active.is_empty() {
            return;
        }
        let at = world.draw.below(self.active.len());
        for _ in 0..1 + world.draw.below(5) {
            let goes_on = match &mut self.active[at] {
                Talk::Tcp(talk) => talk.step(world).0,
                Talk::Ftp(talk) => talk.step(world),
                Talk::Irc(talk) => talk.step(world),
                Talk::Pptp(talk) => talk.step(world),
                Talk::Sane(talk) => talk.step(world),
                Talk::Line(talk) => talk.step(world),
                Talk::Call(talk) => talk.step(world),
                Talk::Datagrams(talk) => talk.step(world),
                Talk::Sctp(talk) => talk.step(world),
                Talk::Udp(exchange) => exchange.step(world, datagram),
                Talk::Ping(exchange) => exchange.step(world, ping),
            };
            if !goes_on {
                self.active.swap_remove(at);
                return;
            }
        }
    }

    fn begin(&mut self, world: &mut World) {
        let kind = world.draw.below(100);
        match kind {
            0..4 => return other_protocol(world),
            4..10 => return error(world),
            10..12 => return single(world),
            _ => {}
        }
        let (near, to) = ends(world);
        let kind = match (to.0.is_ipv4(), kind) {
            (false, 12..15) => return neighbours(world, near, to.0),
            // IRC and PPTP know IPv4 alone.
            (false, 12..17 | 70..75) => 17,
            _ => kind,
        };
        let talk = match kind {
            12..17 => {
                let ports = world.data_ports();
                Talk::Irc(Box::new(IrcTalk::new(&mut world.draw, near, to.0, ports)))
            }
            17..24 => Talk::Datagrams(Box::new(Datagrams::new(world, near, to.0))),
            24..32 => {
                let ports = world.data_ports();
                Talk::Ftp(Box::new(FtpTalk::new(&mut world.draw, near, to, ports)))
            }
            32..38 => {
                let ports = world.data_ports();
                Talk::Call(Box::new(CallTalk::new(&mut world.draw, near, to.0, ports)))
            }
            38..52 => Talk::Udp(exchange(world, near, to)),
            52..60 => Talk::Ping(exchange(world, near, to)),
            60..70 => Talk::Sctp(Box::new(SctpTalk::new(&mut world.draw, Line::new(near, to)))),
            70..75 => {
                let numbers = world.data_ports();
                Talk::Pptp(Box::new(PptpTalk::new(&mut world.draw, near, to.0, numbers)))
            }
            75..78 => {
                let ports = world.data_ports();
                Talk::Line(Box::new(LineTalk::new(&mut world.draw, near, to.0, ports)))
            }
            78..81 => {
                let ports = world.data_ports();
                Talk::Sane(Box::new(SaneTalk::new(&mut world.draw, near, to.0, ports)))
            }
            _ => Talk::Tcp(Box::new(
                TcpTalk::new(&mut world.draw, near, to).and_life(&mut world.draw),
            )),
        };
        self.active.push(talk);
    }
}

/// A client with a port of its own, and a service.
fn ends(world: &mut World) -> ((Option<Side>, Address, u16), (Address, u16)) {
    let family = world.family();
    let own = of(family, OWN);
    let from = world.host();
    let near = if world.draw.percent(8) {
        let own = world.draw.pick(own);
        let port = match world.listening.as_slice() {
            [] => world.client_port(None),
            some if world.draw.one_in(2) => some[0],
            _ => world.client_port(None),
        };
        (None, own, port)
    } else {
        (Some(from.side), from.address(family), world.client_port(Some(from)))
    };
    let to = match world.draw.below(20) {
        0..3 => world.draw.pick(own),
        // What a port forwarding is reached by.
        3..5 => own[1],
        5 => world.draw.pick(of(family, NAT_SOURCES)),
        6 => world.host().address(family),
        _ => {
            let mut to = world.host();
            while to.side == from.side {
                to = world.host();
            }
            to.address(family)
        }
    };
    (near, (to, world.draw.pick(SERVICES)))
}

pub(super) fn exchange(world: &mut World, near: (Option<Side>, Address, u16), to: (Address, u16)) -> Exchange {
    let draw = &mut world.draw;
    let mut turns = match draw.below(5) {
        0 => vec![0],
        1 | 2 => vec![0, 1],
        3 => vec![0, 0, 1, 0, 1, 1],
        _ => (0..2 + draw.below(8)).map(|at| at % 2).collect(),
    };
    turns.reverse();
    Exchange {
        line: Line::new(near, to),
        turns,
        count: 0,
    }
}

impl Exchange {
    pub(super) fn step_datagram(&mut self, world: &mut World) -> bool {
        self.step(world, datagram)
    }

    fn step(&mut self, world: &mut World, build: fn(&mut World, &Message) -> Vec<u8>) -> bool {
        let Some(who) = self.turns.pop() else { return false };
        let count = self.count + 1;
        let said = self.line.say(world, who, 8, |world, from, to| {
            let message = Message {
                from,
                to,
                is_answer: who == 1,
                count,
            };
            build(world, &message)
        });
        match said {
            Said::Nothing => {}
            Said::Unanswerable => {
                self.count = count;
                self.turns.retain(|&who| who == 0);
            }
            Said::Arrived | Said::Lost => self.count = count,
        }
        !self.turns.is_empty()
    }
}

pub(super) fn far_end(out: &Out) -> Option<FarEnd> {
    let seen = Seen::of(&out.bytes)?;
    Some((out.side, (seen.destination, seen.ports.1), (seen.source, seen.ports.0)))
}

struct Message {
    from: (Address, u16),
    to: (Address, u16),
    is_answer: bool,
    count: u16,
}

fn header(world: &mut World, message: &Message) -> Ip {
    header_of(world, message.from.0, message.to.0)
}

pub(super) fn header_of(world: &mut World, from: Address, to: Address) -> Ip {
    Ip {
        ttl: world.draw.pick(&[64, 64, 128, 255, 30]),
        tos: world.draw.pick(&[0, 0, 0, 0x10, 0x28]),
        dont_fragment: world.draw.one_in(2),
        identification: world.next_identification(),
        ..Ip::new(from, to)
    }
}

fn datagram(world: &mut World, message: &Message) -> Vec<u8> {
    let header = header(world, message);
    let length = world.draw.pick(&[0, 1, 7, 40, 100, 512, 1472]);
    let data = vec![b'u'; length];
    udp(header, (message.from.1, message.to.1), &data)
}

fn ping(world: &mut World, message: &Message) -> Vec<u8> {
    let header = header(world, message);
    let length = world.draw.pick(&[0, 1, 8, 56, 56, 1400]);
    let data = vec![b'p'; length];
    let id = match message.is_answer {
        false => message.from.1,
        // What arrived as an identifier is what a port is elsewhere.
        true => message.to.1,
    };
    echo(header, message.is_answer, id, message.count, &data)
}

/// What has no ports, or no tracker.
fn other_protocol(world: &mut World) {
    let ((side, from, port), (to, service)) = ends(world);
    let protocol = match from.is_ipv4() {
        true => world
            .draw
            .pick(&[0, 2, 4, 33, 41, 46, 47, 50, 51, 99, 108, UDPLITE, UDPLITE, 253]),
        // Some of these are headers that something follows.
        false => world.draw.pick(&[
            0, 1, 4, 33, 41, 43, 44, 47, 50, 51, 59, 60, 99, 135, UDPLITE, UDPLITE, 253,
        ]),
    };
    let mut payload = Vec::new();
    payload.extend(port.to_be_bytes());
    payload.extend(service.to_be_bytes());
    match protocol {
        // Partial coverage, or all; no checksum is no UDP-Lite, so this one is wrong mostly.
        UDPLITE => payload.extend([0, 8, 0, 0, 1, 2, 3, 4]),
        // GRE: none, PPTP's with a key, and others.
        47 => {
            payload.clear();
            payload.extend(world.draw.pick(&[
                [0, 0, 8, 0],
                [0x20, 0x01, 0x88, 0x0b],
                [0x30, 0x81, 0x88, 0x0b],
                [0x80, 0, 8, 0],
            ]));
            payload.extend([0, 4, 0, 7, 0, 0, 0, 1]);
        }
        _ => payload.extend(world.draw.word().to_be_bytes()),
    }
    payload.truncate(world.draw.pick(&[12, 12, 12, 8, 4, 3, 0]));
    for _ in 0..1 + world.draw.below(2) {
        let header = Ip {
            identification: world.next_identification(),
            ..Ip::new(from, to)
        };
        let bytes = ip(header, protocol, &payload);
        if let Arrival::At(out) = world.send(side, bytes)
            && let Some((side, own, peer)) = far_end(&out)
            && world.draw.one_in(2)
        {
            let header = Ip {
                identification: world.next_identification(),
                ..Ip::new(own.0, peer.0)
            };
            world.send(Some(side), ip(header, protocol, &payload));
        }
    }
}

/// An ICMP error about something that left, or that nobody sent.
fn error(world: &mut World) {
    let real = !world.departed.is_empty() && !world.draw.one_in(5);
    let about = if real {
        let at = world.draw.below(world.departed.len());
        world.departed[at].clone()
    } else {
        invented(world)
    };
    error_about(world, &about);
}

pub(super) fn error_about(world: &mut World, about: &Out) {
    let Some(seen) = Seen::of(&about.bytes) else { return };
    let family = Family::of(seen.source);
    let (kind, code) = world.draw.pick(of(family, ERRORS));
    let from = match world.draw.below(3) {
        0 => of(family, &SOMEWHERE),
        1 => world.draw.pick(of(family, ODD_ADDRESSES)),
        _ => seen.destination,
    };
    let to = if world.draw.one_in(12) {
        world.host().address(family)
    } else {
        seen.source
    };
    let mut quoted = about.bytes.clone();
    // It was forwarded on the way.
    let (hops, header, most) = match family {
        Family::V4 => (8, 20, 548),
        Family::V6 => (7, 40, 1232),
    };
    quoted[hops] = quoted[hops].saturating_sub(world.draw.below(3) as u8);
    match world.draw.below(10) {
        0 => quoted.truncate(world.draw.pick(&[0, 8, header - 1, header, header + 4, header + 7])),
        1 => quoted.truncate(header + 28),
        2 => {
            let at = world.draw.below(quoted.len().min(header + 8));
            quoted[at] ^= 1 << world.draw.below(8);
        }
        3 => {}
        _ => quoted.truncate(header + 8),
    }
    quoted.truncate(most);
    let rest = match (family, kind, code) {
        (Family::V4, 3, 4) | (Family::V6, 2, _) => [0, 0, 4, world.draw.pick(&[0, 100, 200])],
        (Family::V6, 4, _) => [0, 0, 0, world.draw.pick(&[6, 40, 41, 48])],
        _ => [0; 4],
    };
    let header = Ip {
        identification: world.next_identification(),
        ..Ip::new(from, to)
    };
    let bytes = icmp(header, kind, code, rest, &quoted);
    // Back the way it went; sometimes from where it cannot come.
    let side = if world.draw.one_in(8) {
        world.host().side
    } else {
        about.side
    };
    world.note("ICMP error");
    if world.draw.one_in(12) {
        let own = Ip {
            identification: world.next_identification(),
            ..Ip::new(world.draw.pick(of(family, OWN)), to)
        };
        world.send(None, icmp(own, kind, code, rest, &quoted));
    } else {
        world.send(Some(side), bytes);
    }
}

const SOMEWHERE: [Address; 2] = [v4([198, 51, 100, 77]), v6([0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 0x77])];

/// Kinds and codes.
const ERRORS: &[&[(u8, u8)]; 2] = &[ERRORS_OF_IPV4, ERRORS_OF_IPV6];

const ERRORS_OF_IPV4: &[(u8, u8)] = &[
    (3, 0),
    (3, 1),
    (3, 1),
    (3, 2),
    (3, 3),
    (3, 3),
    (3, 4),
    (3, 10),
    (3, 13),
    (3, 16),
    (4, 0),
    (5, 0),
    (5, 1),
    (11, 0),
    (11, 0),
    (11, 1),
    (12, 0),
    (12, 1),
];

const ERRORS_OF_IPV6: &[(u8, u8)] = &[
    (1, 0),
    (1, 1),
    (1, 2),
    (1, 3),
    (1, 3),
    (1, 4),
    (1, 4),
    (1, 5),
    (1, 6),
    (2, 0),
    (2, 1),
    (3, 0),
    (3, 0),
    (3, 1),
    (4, 0),
    (4, 1),
    (4, 2),
    (4, 3),
    (100, 0),
    (127, 0),
];

/// Something that is no conversation.
fn single(world: &mut World) {
    let ((side, from, port), (to, _)) = ends(world);
    let mut header = Ip {
        identification: world.next_identification(),
        ..Ip::new(from, to)
    };
    let family = Family::of(from);
    let bytes = match world.draw.below(5) {
        0 | 1 if family == Family::V6 => message(world, header),
        // Other questions and answers of ICMP, and kinds that nobody knows.
        0 | 1 => {
            let (kind, code) = world.draw.pick(&[
                (9, 0),
                (10, 0),
                (13, 0),
                (14, 0),
                (15, 0),
                (16, 0),
                (17, 0),
                (18, 0),
                (0, 0),
                (8, 3),
                (30, 0),
                (42, 0),
                (200, 1),
            ]);
            let [high, low] = port.to_be_bytes();
            icmp(header, kind, code, [high, low, 0, 1], &[0; 12])
        }
        2 => {
            header.destination = world.draw.pick(of(family, ODD_ADDRESSES));
            udp(header, (port, world.draw.pick(SERVICES)), b"to all")
        }
        3 => {
            header.source = world.draw.pick(of(family, ODD_ADDRESSES));
            udp(header, (port, world.draw.pick(SERVICES)), b"from nowhere")
        }
        _ => {
            header.dont_fragment = world.draw.one_in(2);
            let length = world.draw.pick(&[1473, 1480, 2000, 2952, 2953, 4000]);
            udp(header, (port, world.draw.pick(SERVICES)), &vec![b'L'; length])
        }
    };
    world.note("single");
    world.send(side, bytes);
}

/// Something that hosts of IPv6 say of themselves.
fn neighbours(world: &mut World, near: (Option<Side>, Address, u16), to: Address) {
    let header = Ip {
        identification: world.next_identification(),
        ..Ip::new(near.1, to)
    };
    let bytes = message(world, header);
    world.send(near.0, bytes);
}

/// The interface behind which a host is.
pub(super) fn side_of(world: &World, address: Address) -> Option<Side> {
    let known = HOSTS.iter().find(|host| host.has(address))?;
    (known.side < 2 || world.has_dmz).then_some(known.side)
}
