//! SIP over TCP: a telephone's connection to its server, over which either side registers, calls and answers, several messages in a segment or one in
//! several; then come the media, sent by whoever was told to where it really read.

use std::collections::VecDeque;

use super::conversations::{Exchange, exchange};
use super::draw::{Draw, Side};
use super::packet::{ACK, Address, PSH};
use super::sip::{SIP, damaged, description, head, place_of_media};
use super::tcp::{Act, TcpTalk};
use super::world::World;

pub(super) const NOTES: [&str; 4] = [
    "SIP over TCP: a message",
    "SIP over TCP: several in a segment",
    "SIP over TCP: one in several",
    "SIP over TCP: an answer",
];

pub(super) struct LineTalk {
    session: TcpTalk,
    media: Option<Exchange>,
    /// The first of a block of ports, and how many of it were named.
    ports: u16,
    named: u16,
    lines: VecDeque<(usize, Vec<u8>)>,
    left: usize,
}

const STARTS: &[(&str, &str)] = &[
    ("REGISTER sip:home SIP/2.0", "REGISTER"),
    ("INVITE sip:bob@home SIP/2.0", "INVITE"),
    ("INVITE sip:bob@home SIP/2.0", "INVITE"),
    ("UPDATE sip:bob@home SIP/2.0", "UPDATE"),
    ("ACK sip:bob@home SIP/2.0", "ACK"),
    ("BYE sip:bob@home SIP/2.0", "BYE"),
];
const ANSWERS: &[(&str, &str)] = &[
    ("SIP/2.0 200 OK", "INVITE"),
    ("SIP/2.0 200 OK", "INVITE"),
    ("SIP/2.0 200 OK", "REGISTER"),
    ("SIP/2.0 183 Progress", "INVITE"),
    ("SIP/2.0 486 Busy", "INVITE"),
];

impl LineTalk {
    pub(super) fn new(draw: &mut Draw, near: (Option<Side>, Address, u16), to: Address, ports: u16) -> Self {
        let port = draw.pick(&[SIP, SIP, SIP, 5061]);
        Self {
            session: TcpTalk::new(draw, near, (to, port)).plainly_opened(),
            media: None,
            ports,
            named: 0,
            lines: VecDeque::new(),
            left: 3 + draw.below(8),
        }
    }

    pub(super) fn step(&mut self, world: &mut World) -> bool {
        if let Some(media) = &mut self.media
            && !world.draw.one_in(4)
        {
            if !media.step_datagram(world) {
                self.media = None;
            }
            return true;
        }
        if self.session.script.is_empty() {
            if self.lines.is_empty() && !self.say(world) {
                return false;
            }
            if let Some((who, line)) = self.lines.pop_front() {
                self.session.script.push_back(Act::plain(who, PSH | ACK, &line));
            }
        }
        let who = self.session.script.front().map_or(0, |act| act.who);
        let (_, got) = self.session.step(world);
        if let Some(heard) = got
            && let Some(to) = place_of_media(world, &heard)
        {
            let teller = &self.session.ends[1 - who];
            let (side, own) = (teller.side, teller.own.0);
            let from = (side, own, world.client_port(None));
            self.media = Some(exchange(world, from, to));
        }
        true
    }

    fn say(&mut self, world: &mut World) -> bool {
        if self.left == 0 || !self.session.ends[1].placed {
            return false;
        }
        self.left -= 1;
        let who = usize::from(world.draw.one_in(2));
        let is_answer = world.draw.one_in(3);
        let text = self.message(world, who, is_answer);
        match world.draw.below(8) {
            0 => {
                world.note(NOTES[1]);
                let second = self.message(world, who, is_answer);
                self.lines.push_back((who, [text, second].concat()));
            }
            1 => {
                world.note(NOTES[2]);
                let (first, rest) = text.split_at(1 + world.draw.below(text.len() - 1));
                self.lines.extend([(who, first.to_vec()), (who, rest.to_vec())]);
            }
            _ => {
                world.note(NOTES[if is_answer { 3 } else { 0 }]);
                self.lines.push_back((who, text));
            }
        }
        true
    }

    fn message(&mut self, world: &mut World, who: usize, is_answer: bool) -> Vec<u8> {
        let (start, method) = world.draw.pick(if is_answer { ANSWERS } else { STARTS });
        let end = &self.session.ends[who];
        let (own, via) = (end.own, if is_answer { end.peer } else { end.own });
        let number = 1 + world.draw.below(3);
        let head = head(world, start, via, number, method, Some(own));
        let head = match world.draw.one_in(8) {
            true => head,
            false => head.replace("/UDP ", "/TCP "),
        };
        let rest = match method {
            "BYE" | "REGISTER" => "Expires: 60\r\nContent-Length: 0\r\n\r\n".to_owned(),
            _ => {
                self.named = (self.named + 2) % 20;
                description(world, own.0, self.ports + self.named)
            }
        };
        damaged(world, head + &rest).into_bytes()
    }
}
