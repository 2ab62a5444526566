//! IRC: a session in which files and chats are offered, in all forms and in broken ones, and the direct connections, opened by whoever was told to
//! what it really read.

use std::collections::VecDeque;

use nflab::base::Family;

use super::draw::{Draw, Side};
use super::packet::{ACK, Address, PSH};
use super::tcp::{Act, TcpTalk};
use super::world::World;

pub(super) struct IrcTalk {
    session: TcpTalk,
    data: Option<TcpTalk>,
    /// The last port that was offered.
    ports: u16,
    lines: VecDeque<(usize, Vec<u8>)>,
    /// What is on its way: the port that it offers, if it does so soundly.
    offered: Option<u16>,
    left: usize,
}

pub(super) const PORT: u16 = 6667;

/// The kinds that the kernel reads, and three that it does not.
pub(super) const KINDS: [(&str, &str); 8] = [
    ("SEND", "IRC: SEND"),
    ("CHAT", "IRC: CHAT"),
    ("MOVE", "IRC: MOVE"),
    ("TSEND", "IRC: TSEND"),
    ("SCHAT", "IRC: SCHAT"),
    ("RESUME", "IRC: RESUME"),
    ("XMIT", "IRC: XMIT"),
    ("send", "IRC: send"),
];

impl IrcTalk {
    /// Ports are offered from after `ports` on.
    pub(super) fn new(draw: &mut Draw, near: (Option<Side>, Address, u16), to: Address, ports: u16) -> Self {
        let port = draw.pick(&[PORT, PORT, PORT, 6668]);
        Self {
            session: TcpTalk::new(draw, near, (to, port)).plainly_opened(),
            data: None,
            ports,
            lines: VecDeque::from([
                (0, b"NICK amy\r\nUSER amy 0 * :amy\r\n".to_vec()),
                (1, b":irc 001 amy :Welcome\r\n".to_vec()),
            ]),
            offered: None,
            left: 2 + draw.below(6),
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
        if self.session.script.is_empty() {
            if self.lines.is_empty() && !self.offer(world) {
                return false;
            }
            if let Some((who, line)) = self.lines.pop_front() {
                self.session.script.push_back(Act::plain(who, PSH | ACK, &line));
            }
        }
        let (_, got) = self.session.step(world);
        if let (Some(text), Some(port)) = (got, self.offered)
            && text.contains(&1)
        {
            self.offered = None;
            self.call(world, &text, port);
        }
        true
    }

    /// One more offer, while there are some left.
    fn offer(&mut self, world: &mut World) -> bool {
        if self.left == 0 || !self.session.ends[1].placed {
            return false;
        }
        self.left -= 1;
        self.ports += 1;
        let port = self.ports;
        let (kind, noted) = world.draw.pick(&KINDS);
        world.note(noted);
        let draw = &mut world.draw;
        let who = usize::from(draw.one_in(8));
        let own = number(self.session.ends[who].own.0);
        let address = match draw.below(12) {
            0 => own.wrapping_add(1),
            1 => number(self.session.ends[1 - who].own.0),
            // As the client is seen from outside.
            2 => number(self.session.ends[1].peer.0),
            _ => own,
        };
        let request = format!("\x01DCC {kind} notes.txt {address} {port} 4096\x01\r\n");
        let (line, is_sound) = match draw.below(24) {
            0 => (format!("privmsg bob :{request}"), true),
            1 => (format!("\r\n  PRIVMSG bob :{request}"), true),
            2 => (format!("PRIVMSG bob hello\r\nPRIVMSG bob :{request}"), true),
            3 => (format!("NICK amy\r\nPRIVMSG bob :{request}"), false),
            4 => (format!("PRIVMSG bob :hello\r\nPRIVMSG bob :{request}"), false),
            5 => (format!("NOTICE bob :{request}"), false),
            6 => (format!("PRIVMSG bob :{request}PRIVMSG bob :{request}"), true),
            7 => (request.replace("notes.txt ", "two words "), false),
            8 => (
                format!("PRIVMSG bob :{}", request.replace(&port.to_string(), "0")),
                false,
            ),
            9 => (format!("PRIVMSG bob :{}", request.replace(" notes.txt", "  ")), false),
            10 => {
                let spilled = u64::from(address) + (1 << 32);
                (
                    format!(
                        "PRIVMSG bob :{}",
                        request.replace(&address.to_string(), &spilled.to_string())
                    ),
                    false,
                )
            }
            11 => (
                format!(
                    "PRIVMSG bob :{}",
                    request.replace(&format!(" {port}"), &format!("    {port}"))
                ),
                true,
            ),
            12 => (format!("PRIVMSG bob :\x01DCC x :{request}"), false),
            13 => {
                let whole = format!("PRIVMSG bob :{request}");
                let at = 1 + draw.below(whole.len() - 1);
                self.lines.push_back((who, whole.as_bytes()[at..].to_vec()));
                (whole[..at].to_owned(), false)
            }
            14 => (format!("PRIVMSG b :\x01DCC {kind} t {address} {port}\n"), true),
            15 => (format!("PRIVMSG b :\x01DCC {kind} t {address} {}\n", port % 10), false),
            16 => (format!("PRIVMSG {}", request.trim_start_matches('\x01')), false),
            _ => (format!("PRIVMSG bob :{request}"), true),
        };
        self.offered = (is_sound && who == 0).then_some(port);
        self.lines.push_front((who, line.into_bytes()));
        if draw.one_in(3) {
            self.lines.push_back((1, b":bob PRIVMSG amy :fine\r\n".to_vec()));
        }
        true
    }

    /// Whoever was told calls: the server in these scenarios, or any other host.
    fn call(&mut self, world: &mut World, text: &[u8], port: u16) {
        let Some((address, read)) = read(text) else { return };
        // NAT gave another port, which the other side of the twin will not have given.
        if read != port || world.draw.one_in(6) {
            return;
        }
        let from = match world.draw.one_in(3) {
            true => {
                let host = world.host();
                (Some(host.side), host.address(Family::V4), world.client_port(Some(host)))
            }
            false => {
                let end = &self.session.ends[1];
                (end.side, end.own.0, world.client_port(None))
            }
        };
        let data = TcpTalk::new(&mut world.draw, from, (address, port)).for_one_file();
        self.data = Some(data);
    }
}

/// An address as it is offered: there is no form for one of IPv6.
fn number(address: Address) -> u32 {
    match address {
        Address::V4(address) => address.to_bits(),
        Address::V6(_) => 0,
    }
}

/// Address and port as who was told reads them.
fn read(text: &[u8]) -> Option<(Address, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let request = text.split('\x01').nth(1)?;
    let mut words = request.split(' ').filter(|word| !word.is_empty()).skip(3);
    let address: u32 = words.next()?.parse().ok()?;
    Some((
        std::net::Ipv4Addr::from_bits(address).into(),
        words.next()?.trim().parse().ok()?,
    ))
}
