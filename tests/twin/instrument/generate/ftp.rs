//! FTP: a control connection whose commands announce data connections, in all forms and in broken ones, and the data connections themselves,
//! opened to what the peer really read.

use std::collections::VecDeque;

use super::draw::{Draw, Side};
use super::packet::{ACK, Address, FIN, PSH, SYN, v4};
use super::tcp::{Act, TcpTalk};
use super::world::World;

pub(super) struct FtpTalk {
    control: TcpTalk,
    /// What comes after the segments that are due.
    lines: VecDeque<Line>,
    data: Option<TcpTalk>,
    /// Where the data connection will be asked for, as written by its sender.
    announced: Option<(usize, u16)>,
    /// The last data port that was named.
    ports: u16,
}

/// What one end says, perhaps in pieces.
struct Line {
    who: usize,
    pieces: Vec<Vec<u8>>,
    /// The port that it announces, if it does so soundly.
    port: Option<u16>,
}

impl FtpTalk {
    /// Data ports are taken from after `ports` on.
    pub(super) fn new(draw: &mut Draw, near: (Option<Side>, Address, u16), to: (Address, u16), ports: u16) -> Self {
        let port = draw.pick(&[21, 21, 21, 21, 2121]);
        let control = TcpTalk::new(draw, near, (to.0, port)).plainly_opened();
        let mut talk = Self {
            control,
            lines: VecDeque::new(),
            data: None,
            announced: None,
            ports,
        };
        talk.say(1, b"220 ready\r\n");
        talk.say(0, b"USER a\r\n");
        talk.say(1, b"331 password\r\n");
        talk
    }

    fn say(&mut self, who: usize, line: &[u8]) {
        self.lines.push_back(Line {
            who,
            pieces: vec![line.to_vec()],
            port: None,
        });
    }

    pub(super) fn step(&mut self, world: &mut World) -> bool {
        if let Some(data) = &mut self.data {
            // In between the control connection goes on.
            if !world.draw.one_in(6) {
                if !data.step(world).0 {
                    self.data = None;
                }
                return true;
            }
        }
        if self.control.script.is_empty() {
            let Some(line) = self.lines.pop_front() else {
                return self.go_on(world);
            };
            let whole = line.pieces.len() == 1;
            for piece in &line.pieces {
                self.control.script.push_back(Act::plain(line.who, PSH | ACK, piece));
            }
            self.announced = line.port.filter(|_| whole).map(|port| (line.who, port));
        }
        let (_, got) = self.control.step(world);
        if let (Some(text), Some((who, port))) = (got, self.announced)
            && !text.is_empty()
        {
            self.announced = None;
            self.open_data(world, who, &text, port);
        }
        true
    }

    /// Whoever read the announcement opens what it says.
    fn open_data(&mut self, world: &mut World, who: usize, text: &[u8], port: u16) {
        let reader = &self.control.ends[1 - who];
        let Some((address, read)) = read(text, reader.peer.0) else {
            return;
        };
        // NAT gave another port, which the other side of the twin will not have given.
        if read != port || world.draw.one_in(6) {
            return;
        }
        let from_port = if who == 0 { 20 } else { world.client_port(None) };
        let from = (reader.side, reader.own.0, from_port);
        let mut data = TcpTalk::new(&mut world.draw, from, (address, port));
        if world.draw.one_in(3) {
            data = data.and_life(&mut world.draw);
        } else {
            data = data.for_one_file();
        }
        self.data = Some(data);
    }

    /// Another command, or the end.
    fn go_on(&mut self, world: &mut World) -> bool {
        let draw = &mut world.draw;
        if draw.one_in(4) || !self.control.ends[1].placed {
            if draw.one_in(3) {
                return false;
            }
            let acts = match draw.below(3) {
                0 => vec![Act::plain(1, super::packet::RST, &[])],
                1 => vec![Act::plain(0, SYN, &[])],
                _ => vec![
                    Act::plain(0, FIN | ACK, &[]),
                    Act::plain(1, FIN | ACK, &[]),
                    Act::plain(0, ACK, &[]),
                ],
            };
            let mut ended = false;
            self.control.script.extend(acts);
            while !self.control.script.is_empty() && !ended {
                ended = !self.control.step(world).0;
            }
            return false;
        }
        let who = draw.below(2);
        let own = self.control.ends[who].own.0;
        // Each its own: where one is expected already, NAT draws another.
        self.ports += 1;
        let port = self.ports;
        let line = announcement(draw, who, own, port);
        self.lines.push_back(line);
        if draw.one_in(2) {
            self.say(1 - who, if who == 0 { b"200 fine\r\n" } else { b"LIST\r\n" });
        }
        true
    }
}

/// PORT and EPRT by the client, 227 and 229 by the server.
fn announcement(draw: &mut Draw, who: usize, own: Address, port: u16) -> Line {
    let (high, low) = (port >> 8, port & 255);
    let number = if own.is_ipv4() { 1 } else { 2 };
    let bars = format!("|{number}|{own}|{port}|");
    // There is no other way to say an address of IPv4; an address of IPv6 has no such form, and stands here as one of IPv4's would.
    let [a, b, c, d] = match own {
        Address::V4(own) => own.octets(),
        Address::V6(own) => own.to_ipv4().map_or([10, 0, 0, 2], |own| own.octets()),
    };
    let commas = format!("{a},{b},{c},{d},{high},{low}");
    let form = match (own.is_ipv4(), draw.below(4)) {
        // Mostly as one does it in IPv6.
        (false, 1..) if !draw.one_in(6) => 0,
        (_, form) => form,
    };
    let sound = match (who, form) {
        (0, 0) => format!("EPRT {bars}\r\n"),
        (0, 1) => format!("port {commas}\r\n"),
        (0, _) => format!("PORT {commas}\r\n"),
        (_, 0) => format!("229 Entering Extended Passive Mode (|||{port}|)\r\n"),
        (_, 1) => format!("227 {commas}\r\n"),
        _ => format!("227 Entering Passive Mode ({commas}).\r\n"),
    };
    let line = |pieces: Vec<&[u8]>, port| Line {
        who,
        pieces: pieces.into_iter().map(<[u8]>::to_vec).collect(),
        port,
    };
    let bytes = sound.as_bytes();
    match draw.below(12) {
        // In pieces, and several in one.
        0 => {
            let at = 1 + draw.below(bytes.len() - 1);
            line(vec![&bytes[..at], &bytes[at..]], None)
        }
        1 => {
            let both = format!("NOOP\r\n{sound}");
            line(vec![both.as_bytes()], None)
        }
        2 => {
            let twice = format!("{sound}{sound}");
            line(vec![twice.as_bytes()], Some(port))
        }
        3 => {
            let broken = match (who, draw.below(6)) {
                (0, 0) => format!("PORT {commas},9\r\n"),
                (0, 1) => "PORT 10,0,0,2,4\r\n".to_owned(),
                (0, 2) => format!("PORT {a},{b},{c},{d}, {high},{low}\r\n"),
                (0, 3) => "PORT 8,8,8,8,4,1\r\n".to_owned(),
                (0, 4) => "EPRT |2|::1|4000|\r\n".to_owned(),
                (0, _) => format!("EPRT |{number}|{own}|{}|\r\n", 65_536 + u32::from(port)),
                (_, 0) => "227 no numbers\r\n".to_owned(),
                (_, 1) => "229 (|||0|)\r\n".to_owned(),
                (_, 2) => format!("229 (!!!{port}!)\r\n"),
                (_, 3) => "227 8,8,8,8,4,1\r\n".to_owned(),
                _ => format!("227 Entering Passive Mode ({a},{b},{c},{d},{high},{low}\r\n"),
            };
            line(vec![broken.as_bytes()], None)
        }
        // The line's end comes later, or never.
        4 => line(vec![&bytes[..bytes.len() - 2], &bytes[bytes.len() - 2..]], None),
        5 => line(vec![&bytes[..bytes.len() - 1]], Some(port)),
        _ => line(vec![bytes], Some(port)),
    }
}

/// Address and port as the peer reads them.
fn read(text: &[u8], peer: Address) -> Option<(Address, u16)> {
    let text = std::str::from_utf8(text).ok()?.lines().next()?;
    if let Some(at) = text.find("|||") {
        let port = text[at + 3..].split('|').next()?.parse().ok()?;
        return Some((peer, port));
    }
    if let Some(at) = text.find("|1|").or(text.find("|2|")) {
        let mut parts = text[at + 3..].split('|');
        let address: Address = parts.next()?.parse().ok()?;
        let is_alike = address.is_ipv4() == peer.is_ipv4();
        return is_alike.then_some((address, parts.next()?.parse().ok()?));
    }
    if peer.is_ipv6() {
        return None;
    }
    let start = text.find([' ', '('])?;
    let list = text[start..].trim_matches(|letter: char| !letter.is_ascii_digit());
    let list = list
        .rsplit_once(|letter: char| !letter.is_ascii_digit() && letter != ',')
        .map_or(list, |it| it.1);
    let numbers: Vec<u8> = list.split(',').map(|it| it.parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [a, b, c, d, high, low] => Some((v4([a, b, c, d]), u16::from_be_bytes([high, low]))),
        _ => None,
    }
}
