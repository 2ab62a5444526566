//! Associations of SCTP: two ends with a verification tag each, along a script of packets, sound ones and others.

use std::collections::VecDeque;

use super::conversations::{Line, Said};
use super::draw::Draw;
use super::packet::{Address, Ip, sctp};
use super::world::World;

pub(super) struct SctpTalk {
    line: Line,
    /// What each end wants to be called by.
    tags: [u32; 2],
    script: VecDeque<Act>,
    lost: u8,
}

/// One packet of a script.
#[derive(Clone, Debug)]
struct Act {
    who: usize,
    /// Types and flags.
    chunks: Vec<(u8, u8)>,
    tag: Tag,
    /// It chooses another tag for itself before.
    anew: bool,
}

/// Which verification tag it has.
#[derive(Clone, Copy, Debug)]
enum Tag {
    /// Its receiver's, and none in an INIT.
    Due,
    Zero,
    /// Its sender's own.
    Reflected,
    Other(u32),
}

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;

const ALL: &[u8] = &[
    DATA,
    INIT,
    INIT_ACK,
    SACK,
    HEARTBEAT,
    HEARTBEAT_ACK,
    ABORT,
    SHUTDOWN,
    SHUTDOWN_ACK,
    ERROR,
    COOKIE_ECHO,
    COOKIE_ACK,
    12,
    13,
    SHUTDOWN_COMPLETE,
    15,
    16,
    64,
    130,
    192,
    255,
];

impl SctpTalk {
    pub(super) fn new(draw: &mut Draw, line: Line) -> Self {
        let mut script = VecDeque::new();
        if draw.one_in(3) {
            script.extend(into_a_state(draw));
        } else {
            script.extend(opening(draw));
            life(draw, &mut script);
            closing(draw, &mut script);
        }
        Self {
            line,
            tags: [draw.word(), draw.word()],
            script,
            lost: 0,
        }
    }

    /// One packet. False where the talk is over.
    pub(super) fn step(&mut self, world: &mut World) -> bool {
        let Some(act) = self.script.pop_front() else {
            return false;
        };
        if act.anew {
            self.tags[act.who] = world.draw.word();
        }
        let tags = self.tags;
        let said = self.line.say(world, act.who, 4, |world, from, to| {
            build(world, &act, tags, (from, to))
        });
        match said {
            Said::Arrived => {}
            Said::Unanswerable => self.script.retain(|act| act.who == 0),
            Said::Nothing | Said::Lost => {
                self.lost += 1;
                return self.lost < 4 && !self.script.is_empty();
            }
        }
        !self.script.is_empty()
    }
}

fn build(world: &mut World, act: &Act, tags: [u32; 2], (from, to): ((Address, u16), (Address, u16))) -> Vec<u8> {
    let is_init = act.chunks.iter().any(|(kind, _)| *kind == INIT);
    let tag = match act.tag {
        Tag::Due if is_init => 0,
        Tag::Due => tags[1 - act.who],
        Tag::Zero => 0,
        Tag::Reflected => tags[act.who],
        Tag::Other(tag) => tag,
    };
    let chunks: Vec<_> = act
        .chunks
        .iter()
        .map(|&(kind, flags)| (kind, flags, body(&mut world.draw, kind, tags[act.who])))
        .collect();
    let header = Ip {
        ttl: world.draw.pick(&[64, 64, 128, 255]),
        dont_fragment: world.draw.one_in(2),
        identification: world.next_identification(),
        ..Ip::new(from.0, to.0)
    };
    sctp(header, (from.1, to.1), tag, &chunks)
}

fn body(draw: &mut Draw, kind: u8, tag: u32) -> Vec<u8> {
    match kind {
        INIT | INIT_ACK => {
            let mut body = tag.to_be_bytes().to_vec();
            body.extend([0, 0, 0xff, 0xff, 0, 10, 0, 10, 0, 0, 0, 1]);
            if kind == INIT_ACK {
                body.extend([0, 7, 0, 8, 1, 2, 3, 4]);
            }
            // Cut short now and then.
            if draw.one_in(30) {
                body.truncate(draw.pick(&[0, 4, 12]));
            }
            body
        }
        DATA => vec![b'd'; 12 + draw.pick(&[1, 2, 3, 4, 100, 1300])],
        SACK => vec![0; 12],
        HEARTBEAT | HEARTBEAT_ACK => vec![0, 1, 0, 8, 9, 9, 9, 9],
        SHUTDOWN => vec![0, 0, 0, 1],
        ERROR => vec![0, 3, 0, 8, 0, 0, 0, 1],
        COOKIE_ECHO => vec![b'c'; draw.pick(&[4, 32, 100])],
        ABORT | SHUTDOWN_ACK | COOKIE_ACK | SHUTDOWN_COMPLETE => Vec::new(),
        _ => vec![b'x'; draw.pick(&[0, 4, 9])],
    }
}

impl Act {
    fn new(who: usize, chunks: &[u8]) -> Self {
        Self {
            who,
            chunks: chunks.iter().map(|kind| (*kind, 0)).collect(),
            tag: Tag::Due,
            anew: false,
        }
    }

    fn tagged(self, tag: Tag) -> Self {
        Self { tag, ..self }
    }

    fn anew(self) -> Self {
        Self { anew: true, ..self }
    }

    /// With the T bit in each chunk.
    fn flagged(mut self, flags: u8) -> Self {
        for (_, of) in &mut self.chunks {
            *of = flags;
        }
        self
    }
}

fn handshake(who: usize) -> Vec<Act> {
    vec![
        Act::new(who, &[INIT]),
        Act::new(1 - who, &[INIT_ACK]),
        Act::new(who, &[COOKIE_ECHO, DATA]),
        Act::new(1 - who, &[COOKIE_ACK, SACK]),
    ]
}

/// Part of the way through the states of an association, and then whatever comes there: so that all meet all.
fn into_a_state(draw: &mut Draw) -> Vec<Act> {
    let mut acts = handshake(0);
    if draw.one_in(8) {
        acts = vec![Act::new(0, &[HEARTBEAT])];
    } else {
        let who = draw.below(2);
        acts.extend([Act::new(who, &[SHUTDOWN]), Act::new(1 - who, &[SHUTDOWN_ACK])]);
        acts.truncate(draw.below(acts.len() + 1));
    }
    for _ in 0..1 + draw.below(2) {
        let kinds = match draw.below(ALL.len() + 2) {
            few if few >= ALL.len() => vec![draw.pick(ALL), draw.pick(ALL)],
            one => vec![ALL[one]],
        };
        let tag = draw.pick(&[Tag::Due, Tag::Due, Tag::Due, Tag::Zero, Tag::Reflected]);
        acts.push(Act::new(draw.below(2), &kinds).tagged(tag));
    }
    acts
}

fn opening(draw: &mut Draw) -> Vec<Act> {
    let mut acts = handshake(0);
    match draw.below(20) {
        0 => acts.insert(1, Act::new(0, &[INIT])),
        1 => acts.insert(1, Act::new(0, &[INIT]).anew()),
        2 => acts.insert(2, Act::new(1, &[INIT_ACK])),
        3 => acts.insert(3, Act::new(0, &[COOKIE_ECHO])),
        // A stale cookie.
        4 => acts[3] = Act::new(1, &[ERROR]),
        5 => acts[1] = Act::new(1, &[ABORT]).flagged(1).tagged(Tag::Reflected),
        // Both open at once.
        6 => {
            acts = vec![
                Act::new(0, &[INIT]),
                Act::new(1, &[INIT]),
                Act::new(0, &[INIT_ACK]),
                Act::new(1, &[INIT_ACK]),
                Act::new(0, &[COOKIE_ECHO]),
                Act::new(1, &[COOKIE_ECHO]),
                Act::new(0, &[COOKIE_ACK]),
                Act::new(1, &[COOKIE_ACK]),
            ];
        }
        // Another path of what is set up elsewhere.
        7..10 => acts = vec![Act::new(0, &[HEARTBEAT]), Act::new(1, &[HEARTBEAT_ACK])],
        10 => {
            acts = vec![
                Act::new(0, &[HEARTBEAT]),
                Act::new(1, &[HEARTBEAT]),
                Act::new(0, &[HEARTBEAT_ACK]),
            ];
        }
        11 => {
            let begins = [
                HEARTBEAT_ACK,
                SHUTDOWN_ACK,
                SHUTDOWN,
                ERROR,
                COOKIE_ECHO,
                DATA,
                INIT_ACK,
                ABORT,
            ];
            let tag = draw.pick(&[Tag::Due, Tag::Zero]);
            acts = vec![Act::new(0, &[draw.pick(&begins)]).tagged(tag)];
        }
        // What a program that is gone is asked to end.
        12 => {
            acts = vec![
                Act::new(0, &[SHUTDOWN_ACK]),
                Act::new(1, &[SHUTDOWN_COMPLETE]).flagged(1).tagged(Tag::Due),
                Act::new(1, &[SHUTDOWN_COMPLETE]).tagged(Tag::Other(0)),
            ];
        }
        _ => {}
    }
    acts
}

fn life(draw: &mut Draw, script: &mut VecDeque<Act>) {
    for _ in 0..draw.below(5) {
        let who = draw.below(2);
        match draw.below(8) {
            0 => script.extend([Act::new(who, &[HEARTBEAT]), Act::new(1 - who, &[HEARTBEAT_ACK])]),
            1 | 2 => script.push_back(twist(draw)),
            // The ends have agreed on other tags, where the router did not see it.
            3 => script.extend([
                Act::new(who, &[HEARTBEAT]).tagged(Tag::Other(77)),
                Act::new(1 - who, &[HEARTBEAT_ACK]).tagged(Tag::Other(78)),
                Act::new(who, &[DATA]),
                Act::new(who, &[HEARTBEAT]),
                Act::new(1 - who, &[DATA]),
            ]),
            // One of them was started again.
            4 => {
                let mut again = handshake(who);
                again[0].anew = true;
                again[1].anew = draw.one_in(2);
                script.extend(again);
            }
            _ => {
                let bundle: &[u8] = draw.pick(&[&[DATA], &[DATA, DATA], &[SACK, DATA], &[HEARTBEAT, SACK]]);
                script.extend([Act::new(who, bundle), Act::new(1 - who, &[SACK])]);
            }
        }
    }
}

/// Something else than what is due.
fn twist(draw: &mut Draw) -> Act {
    let who = draw.below(2);
    let count = draw.pick(&[1, 1, 1, 2, 2, 3]);
    let kinds: Vec<u8> = (0..count).map(|_| draw.pick(ALL)).collect();
    let other = draw.pick(&[1, 77, 78, 0x0100_0000]);
    let tag = draw.pick(&[
        Tag::Due,
        Tag::Due,
        Tag::Due,
        Tag::Zero,
        Tag::Reflected,
        Tag::Other(other),
    ]);
    let act = Act::new(who, &kinds).tagged(tag);
    let act = if draw.one_in(4) {
        act.flagged(draw.pick(&[1, 2, 255]))
    } else {
        act
    };
    if draw.one_in(4) { act.anew() } else { act }
}

fn closing(draw: &mut Draw, script: &mut VecDeque<Act>) {
    let who = draw.below(2);
    let mut acts = match draw.below(10) {
        0 => Vec::new(),
        1 => vec![Act::new(who, &[ABORT])],
        2 => vec![Act::new(who, &[ABORT]).flagged(1).tagged(Tag::Reflected)],
        // Both at once.
        3 => vec![
            Act::new(who, &[SHUTDOWN]),
            Act::new(1 - who, &[SHUTDOWN]),
            Act::new(who, &[SHUTDOWN_ACK]),
            Act::new(1 - who, &[SHUTDOWN_ACK]),
            Act::new(who, &[SHUTDOWN_COMPLETE]),
        ],
        4 => vec![
            Act::new(who, &[SHUTDOWN]),
            Act::new(1 - who, &[DATA]),
            Act::new(who, &[SACK, SHUTDOWN]),
            Act::new(1 - who, &[SHUTDOWN_ACK]),
            Act::new(who, &[SHUTDOWN_COMPLETE]).flagged(1).tagged(Tag::Reflected),
        ],
        _ => vec![
            Act::new(who, &[SHUTDOWN]),
            Act::new(1 - who, &[SHUTDOWN_ACK]),
            Act::new(who, &[SHUTDOWN_COMPLETE]),
        ],
    };
    if draw.one_in(3) {
        let at = draw.below(acts.len() + 1);
        acts.insert(at, twist(draw));
    }
    script.extend(acts);
    // The same ports again.
    if draw.one_in(3) {
        let who = if draw.one_in(5) { 1 } else { 0 };
        let mut again = handshake(who);
        again[0].anew = true;
        again[1].anew = true;
        script.extend(again);
        if draw.one_in(2) {
            script.push_back(twist(draw));
        }
    }
}
