//! Conversations over TCP: two ends that follow each other through whatever NAT lies between them, along a script of segments, sound ones and
//! others.

use std::collections::VecDeque;

use super::draw::{Draw, Side};
use super::packet::{ACK, Address, CWR, ECE, FIN, Ip, PSH, RST, SYN, Seen, Segment, URG, tcp};
use super::world::{Arrival, World};

/// One end, as it sees itself and its peer.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// `None`: the router itself.
    pub side: Option<Side>,
    pub own: (Address, u16),
    pub peer: (Address, u16),
    /// What it sends next, and what it expects next.
    pub next: u32,
    pub expected: u32,
    window: u16,
    /// Its last segment, to be sent again.
    last: Vec<u8>,
    /// Whether it knows its peer: the far end does from the first segment that reached it.
    pub placed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct TcpTalk {
    pub ends: [End; 2],
    pub script: VecDeque<Act>,
    with_options: bool,
    unanswerable: bool,
    lost: u8,
}

/// One segment of a script.
#[derive(Clone, Debug)]
pub(super) struct Act {
    pub who: usize,
    pub flags: u8,
    pub data: Vec<u8>,
    pub twist: Twist,
}

/// How a segment differs from the one that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    None,
    /// The last one of this end, byte for byte.
    Again,
    Sequence(i32),
    Acknowledgement(i32),
    Window(u16),
    /// Says that something after a gap has arrived.
    Sack,
}

impl TcpTalk {
    pub(super) fn new(draw: &mut Draw, from: (Option<Side>, Address, u16), to: (Address, u16)) -> Self {
        let end = |draw: &mut Draw, side, own, peer, placed| End {
            side,
            own,
            peer,
            // Some wrap around soon.
            next: if draw.one_in(6) {
                u32::MAX - draw.below(40) as u32
            } else {
                draw.word()
            },
            expected: 0,
            window: draw.pick(&[8192, 64_240, 65_535, 512, 29_200]),
            last: Vec::new(),
            placed,
        };
        let near = end(draw, from.0, (from.1, from.2), to, true);
        let far = end(draw, None, to, (from.1, from.2), false);
        let with_options = !draw.one_in(4);
        let mut talk = Self {
            ends: [near, far],
            script: VecDeque::new(),
            with_options,
            unanswerable: false,
            lost: 0,
        };
        talk.script.extend(opening(draw));
        talk
    }

    /// Data both ways, and an end; or one segment of any kind, in one of the states on the way from the first to the last.
    pub(super) fn and_life(mut self, draw: &mut Draw) -> Self {
        if draw.one_in(6) {
            self.script = into_a_state(draw).into();
            return self;
        }
        exchange(draw, &mut self.script);
        closing(draw, &mut self.script);
        self
    }

    /// Only the handshake and what the caller adds.
    pub(super) fn plainly_opened(mut self) -> Self {
        self.script = plain_handshake().into();
        self
    }

    /// A connection over which who was called sends one file, and both close.
    pub(super) fn for_one_file(self) -> Self {
        let mut talk = self.plainly_opened();
        talk.script.extend([
            Act::plain(1, PSH | ACK, b"file"),
            Act::plain(0, ACK, &[]),
            Act::plain(1, FIN | ACK, &[]),
            Act::plain(0, FIN | ACK, &[]),
            Act::plain(1, ACK, &[]),
        ]);
        talk
    }

    /// One segment; what the peer got of its data, if it got any. False where the talk is over.
    pub(super) fn step(&mut self, world: &mut World) -> (bool, Option<Vec<u8>>) {
        let Some(act) = self.script.pop_front() else {
            return (false, None);
        };
        // Who has not heard of the other may guess where it is, as an attacker would; mostly it stays silent.
        if act.who == 1 && !self.ends[1].placed {
            let guesses = !self.unanswerable && world.draw.one_in(4);
            if !guesses || !self.place_by_guess(world) {
                self.lost += 1;
                return (self.lost < 3, None);
            }
        }
        let got = self.play(world, &act);
        (!self.script.is_empty(), got)
    }

    fn place_by_guess(&mut self, world: &mut World) -> bool {
        let to = self.ends[0].peer.0;
        let side = super::conversations::side_of(world, to);
        self.ends[1].side = side;
        self.ends[1].placed = side.is_some();
        side.is_some()
    }

    fn play(&mut self, world: &mut World, act: &Act) -> Option<Vec<u8>> {
        let identification = world.next_identification();
        let end = &self.ends[act.who];
        let bytes = match act.twist {
            Twist::Again if !end.last.is_empty() => {
                let mut again = end.last.clone();
                super::packet::identify(&mut again, identification);
                again
            }
            _ => self.segment(world, act, identification),
        };
        let end = &mut self.ends[act.who];
        let side = end.side;
        if act.twist == Twist::None {
            let virtual_bytes = u32::from(act.flags & SYN != 0) + u32::from(act.flags & FIN != 0);
            end.next = end.next.wrapping_add(act.data.len() as u32 + virtual_bytes);
            end.last.clone_from(&bytes);
        }
        match world.send(side, bytes) {
            Arrival::Nowhere => {
                if act.flags & SYN != 0 && act.who == 0 && act.twist == Twist::None && world.draw.one_in(3) {
                    self.script.push_front(Act::plain(0, SYN, &[]).twisted(Twist::Again));
                }
                None
            }
            Arrival::Unanswerable => {
                self.unanswerable |= act.who == 0;
                None
            }
            Arrival::At(out) => {
                let seen = Seen::of(&out.bytes)?;
                let other = &mut self.ends[1 - act.who];
                if !other.placed {
                    other.placed = true;
                    other.side = Some(out.side);
                    other.own = (seen.destination, seen.ports.1);
                    other.peer = (seen.source, seen.ports.0);
                }
                let data = out.bytes[seen.data..].to_vec();
                if act.twist == Twist::None {
                    let virtual_bytes = u32::from(act.flags & SYN != 0) + u32::from(act.flags & FIN != 0);
                    other.expected = seen
                        .sequence(&out.bytes)
                        .wrapping_add(data.len() as u32 + virtual_bytes);
                }
                Some(data)
            }
        }
    }

    fn segment(&self, world: &mut World, act: &Act, identification: u16) -> Vec<u8> {
        let end = &self.ends[act.who];
        let (mut sequence, mut acknowledgement, mut window) = (end.next, end.expected, end.window);
        match act.twist {
            Twist::Sequence(by) => sequence = sequence.wrapping_add_signed(by),
            Twist::Acknowledgement(by) => acknowledgement = acknowledgement.wrapping_add_signed(by),
            Twist::Window(to) => window = to,
            _ => {}
        }
        if act.flags & ACK == 0 && !world.draw.one_in(20) {
            acknowledgement = 0;
        }
        let mut options = Vec::new();
        if act.twist == Twist::Sack {
            let from = end.expected.wrapping_add(1000);
            options.extend([1, 1, 5, 10]);
            options.extend(from.to_be_bytes());
            options.extend(from.wrapping_add(500).to_be_bytes());
        } else if self.with_options && act.flags & SYN != 0 {
            let scale = world.draw.pick(&[0, 1, 2, 7, 14, 15]);
            options.extend([2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, scale]);
        } else if self.with_options && act.flags & RST == 0 {
            options.extend([1, 1, 8, 10]);
            options.extend(world.packets.to_be_bytes()[4..].iter());
            options.extend([0; 4]);
        }
        let header = Ip {
            ttl: world.draw.pick(&[64, 64, 64, 128, 255]),
            tos: world.draw.pick(&[0, 0, 0, 0x10, 0xb8]),
            identification,
            dont_fragment: true,
            ..Ip::new(end.own.0, end.peer.0)
        };
        let segment = Segment {
            ports: (end.own.1, end.peer.1),
            sequence,
            acknowledgement,
            flags: act.flags,
            window,
            options: &options,
            data: &act.data,
        };
        tcp(header, segment)
    }
}

impl Act {
    pub(super) fn plain(who: usize, flags: u8, data: &[u8]) -> Self {
        Self {
            who,
            flags,
            data: data.to_vec(),
            twist: Twist::None,
        }
    }

    pub(super) fn twisted(self, twist: Twist) -> Self {
        Self { twist, ..self }
    }
}

fn plain_handshake() -> Vec<Act> {
    vec![
        Act::plain(0, SYN, &[]),
        Act::plain(1, SYN | ACK, &[]),
        Act::plain(0, ACK, &[]),
    ]
}

/// Part of the way through the states of a connection, and then whatever comes there: so that all meet all.
fn into_a_state(draw: &mut Draw) -> Vec<Act> {
    let mut acts = plain_handshake();
    let (fin, ack) = (|who| Act::plain(who, FIN | ACK, &[]), |who| Act::plain(who, ACK, &[]));
    match draw.below(6) {
        0 => acts.push(Act::plain(draw.below(2), RST | ACK, &[])),
        1 => acts = vec![Act::plain(0, SYN, &[]), Act::plain(1, SYN, &[])],
        _ => {
            let who = draw.below(2);
            acts.extend([fin(who), ack(1 - who), fin(1 - who), ack(who)]);
        }
    }
    acts.truncate(draw.below(acts.len() + 1));
    for _ in 0..1 + draw.below(2) {
        let flags = draw.pick(&[
            SYN,
            SYN | ACK,
            FIN | ACK,
            ACK,
            RST,
            RST | ACK,
            FIN,
            URG | ACK,
            0,
            SYN | FIN,
        ]);
        let act = Act::plain(draw.below(2), flags, &[]);
        let by = draw.pick(&[0, 0, 0, -1, 1, 100_000]);
        acts.push(match by {
            0 => act,
            by => act.twisted(Twist::Sequence(by)),
        });
    }
    acts
}

fn opening(draw: &mut Draw) -> Vec<Act> {
    let mut acts = plain_handshake();
    match draw.below(20) {
        0 => acts.insert(1, Act::plain(0, SYN, &[]).twisted(Twist::Again)),
        1 => acts.insert(2, Act::plain(1, SYN | ACK, &[]).twisted(Twist::Again)),
        // Both open at once.
        2 => {
            acts = vec![
                Act::plain(0, SYN, &[]),
                Act::plain(1, SYN, &[]),
                Act::plain(0, SYN | ACK, &[]).twisted(Twist::Sequence(-1)),
                Act::plain(1, SYN | ACK, &[]).twisted(Twist::Sequence(-1)),
            ];
        }
        // In the middle: the router was not there before.
        3 => acts = vec![Act::plain(0, ACK, &[]), Act::plain(1, ACK, &[])],
        4 => acts = vec![Act::plain(0, PSH | ACK, b"picked up"), Act::plain(1, ACK, &[])],
        5 => acts = vec![Act::plain(0, SYN, &[]), Act::plain(1, RST | ACK, &[])],
        6 => acts.insert(1, Act::plain(1, SYN | ACK, &[]).twisted(Twist::Acknowledgement(77))),
        7 => acts[0].flags |= ECE | CWR,
        8 => {
            acts.pop();
        }
        9 => acts[0].data = b"fast open".to_vec(),
        10 => acts.insert(1, Act::plain(0, SYN, &[]).twisted(Twist::Sequence(5000))),
        11 => acts = vec![Act::plain(0, SYN | ACK, &[]), Act::plain(1, RST, &[])],
        _ => {}
    }
    acts
}

fn exchange(draw: &mut Draw, script: &mut VecDeque<Act>) {
    for _ in 0..draw.below(5) {
        let who = draw.below(2);
        let length = draw.pick(&[1, 4, 11, 100, 100, 536, 1400, 0]);
        let data = vec![b'd'; length];
        script.push_back(Act::plain(who, PSH | ACK, &data));
        if draw.one_in(6) {
            script.push_back(twist(draw));
        }
        if !draw.one_in(3) {
            script.push_back(Act::plain(1 - who, ACK, &[]));
        }
    }
}

/// Something else than what is due.
fn twist(draw: &mut Draw) -> Act {
    let who = draw.below(2);
    let data = Act::plain(who, PSH | ACK, b"twisted");
    let bare = Act::plain(who, ACK, &[]);
    match draw.below(14) {
        0 => data.twisted(Twist::Again),
        1 => data.twisted(Twist::Sequence(draw.pick(&[
            -1,
            1,
            -7,
            1460,
            8192,
            65_535,
            1_000_000,
            -100_000,
            i32::MIN,
        ]))),
        2 => bare.twisted(Twist::Acknowledgement(draw.pick(&[
            -1,
            1,
            5000,
            66_000,
            -66_000,
            -70_000,
            1 << 30,
        ]))),
        3 => bare.twisted(Twist::Window(draw.pick(&[0, 1, 100, 65_535]))),
        4 => bare.twisted(Twist::Sack),
        // To keep it alive.
        5 => bare.twisted(Twist::Sequence(-1)),
        // In the midst of it a new beginning: the same, another, much later.
        6 => Act::plain(who, SYN, &[]).twisted(Twist::Sequence(draw.pick(&[0, -50, 100, 1 << 20, -(1 << 20)]))),
        7 => Act::plain(who, SYN | ACK, &[]).twisted(Twist::Sequence(draw.pick(&[0, -1, 9999]))),
        8 => Act::plain(who, RST, &[]).twisted(Twist::Sequence(draw.pick(&[1, 100, -1, 70_000, -70_000, 1 << 24]))),
        9 => Act::plain(who, RST | ACK, &[]).twisted(Twist::Acknowledgement(draw.pick(&[0, 1, 4000]))),
        10 => Act::plain(
            who,
            draw.pick(&[0, FIN, FIN | SYN, FIN | RST, URG, PSH, 0x3f, SYN | RST, FIN | PSH | URG]),
            &[],
        )
        .twisted(Twist::Sequence(0)),
        11 => Act::plain(who, URG | ACK | PSH, b"!"),
        12 => Act::plain(who, FIN | ACK, &[]).twisted(Twist::Sequence(draw.pick(&[0, 3, -3, 99_999]))),
        _ => Act::plain(who, ACK | ECE, &[]),
    }
}

fn closing(draw: &mut Draw, script: &mut VecDeque<Act>) {
    let who = draw.below(2);
    let (fin, ack) = (|who| Act::plain(who, FIN | ACK, &[]), |who| Act::plain(who, ACK, &[]));
    let mut acts = match draw.below(14) {
        0 => vec![],
        1..4 => vec![fin(who), ack(1 - who), fin(1 - who), ack(who)],
        4 => vec![fin(who), fin(1 - who), ack(who)],
        // Both at once.
        5 => vec![fin(who), fin(1 - who), ack(1 - who), ack(who)],
        // One has more to say.
        6 => vec![
            fin(who),
            ack(1 - who),
            Act::plain(1 - who, PSH | ACK, b"still there"),
            ack(who),
            fin(1 - who),
            ack(who),
        ],
        7 => vec![Act::plain(who, FIN | PSH | ACK, b"last words"), fin(1 - who), ack(who)],
        8 => vec![Act::plain(who, RST, &[])],
        9 => vec![Act::plain(who, RST | ACK, &[])],
        // Not quite where it is expected, then right.
        10 => vec![
            Act::plain(who, RST, &[]).twisted(Twist::Sequence(200)),
            ack(1 - who),
            Act::plain(who, RST, &[]),
        ],
        11 => vec![fin(who), Act::plain(1 - who, RST, &[])],
        12 => vec![fin(who), ack(1 - who)],
        _ => vec![
            fin(who),
            fin(who).twisted(Twist::Again),
            ack(1 - who),
            fin(1 - who),
            ack(who),
        ],
    };
    if draw.one_in(4) {
        acts.push(twist(draw));
    }
    // The same ports again, as after a quick restart.
    if draw.one_in(4) {
        let again = draw.pick(&[1, 100, 100_000, -1000, 1 << 28]);
        let who = if draw.one_in(5) { 1 } else { 0 };
        acts.push(Act::plain(who, SYN, &[]).twisted(Twist::Sequence(again)));
        if draw.one_in(2) {
            acts.extend([
                Act::plain(who, SYN, &[]),
                Act::plain(1 - who, SYN | ACK, &[]),
                Act::plain(who, ACK, &[]),
                Act::plain(who, PSH | ACK, b"again"),
            ]);
        }
    }
    script.extend(acts);
}
