//! The stage without a machine: the same conversations, packet by packet, through a lab in memory. Both hosts are a few lines of TCP that
//! loses nothing, and believe what they read: a client connects where a `227` says, a server where a `PORT` says.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use super::{Act, CLIENT, CLIENT6, FTP, LAB, ROUTER, SERVER, SERVER6, SSH, Seen, Stage, WEB, is_of_interest};
use crate::base::{InterfaceId, protocol};
use crate::engine::{Fate, Port};
use crate::lab::conversation::{announced, byte_at, numbers};
use crate::lab::file::LabFile;
use crate::lab::machine::{ToolOutput, Toolbox};
use crate::lab::memory::Lab;
use crate::syntax::problem::SourceError;
use crate::wire::tcp::{Tcp, flags};
use crate::wire::{checksum, icmpv4, icmpv6, ipv4, ipv6, put16, put32};

pub(crate) struct MemoryStage {
    lab: Lab,
    place: String,
    lan: InterfaceId,
    wan: InterfaceId,
    seen: Vec<Seen>,
    carried: u64,
    /// The client's next port.
    port: u16,
}

/// Which host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One end of a connection, as its host sees it.
#[derive(Clone, Copy, Debug)]
struct End {
    own: Address,
    peer: Address,
    /// The next sequence number it sends.
    next: u32,
    /// The next it expects: what it acknowledges.
    expected: u32,
}

#[derive(Debug)]
struct Connection {
    client: End,
    server: End,
}

impl Connection {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl MemoryStage {
    /// `place` says why it is played here.
    pub(crate) fn new(toolbox: Toolbox, place: String) -> Result<Self, SourceError> {
        let file = LabFile::parse("demo", LAB)?;
        let lab = Lab::new(&file, 1, toolbox)?;
        let id = |name: &str| lab.interface(name).unwrap_or(InterfaceId::LOOPBACK);
        let (lan, wan) = (id("lan"), id("wan"));
        Ok(Self {
            lab,
            place,
            lan,
            wan,
            seen: Vec::new(),
            carried: 0,
            port: 40_000,
        })
    }

    /// A packet from one host; what the other one gets.
    fn carry(&mut self, from: Side, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let (near, far) = match from {
            Side::Client => (self.lan, self.wan),
            Side::Server => (self.wan, self.lan),
        };
        let later = self.lab.now() + TRAVEL;
        self.lab.set_clock(later);
        self.carried += 1;
        let (fate, output) = if is_of_interest(&bytes) {
            let passage = self.lab.send(Some(near), bytes).clone();
            let result = (passage.report.fate.clone(), passage.output.clone());
            self.seen.push(Seen::new(&self.lab, passage));
            result
        } else {
            let (report, output) = self.lab.carry_silently(Some(near), &bytes);
            (report.fate, output.to_vec())
        };
        match output.into_iter().find(|it| it.port == Port::Interface(far)) {
            Some(arrived) => Ok(arrived.bytes),
            None => Err(match fate {
                Fate::Stopped(reason) => reason.to_string(),
                Fate::Forwarded | Fate::Sent | Fate::Delivered => "it did not reach the other host".to_owned(),
            }),
        }
    }

    /// A segment, and the payload as the other end reads it.
    fn say(&mut self, connection: &mut Connection, from: Side, bits: u8, payload: &[u8]) -> Result<Vec<u8>, String> {
        let sender = connection.end(from);
        let packet = segment(sender, bits, payload);
        sender.next = sender.next.wrapping_add(taken(bits, payload.len()));
        let arrived = self.carry(from, packet)?;
        let unreadable = || "what arrived is no TCP segment".to_owned();
        let ip = ipv4::Ipv4::new(&arrived[..]).map_err(|_| unreadable())?;
        let tcp = Tcp::new(ip.payload()).map_err(|_| unreadable())?;
        let receiver = connection.end(from.other());
        if (ip.destination(), tcp.destination_port()) != receiver.own {
            return Err(format!(
                "it arrived for {}:{}",
                ip.destination(),
                tcp.destination_port()
            ));
        }
        receiver.peer = (ip.source(), tcp.source_port());
        receiver.expected = tcp.sequence().wrapping_add(taken(bits, tcp.payload().len()));
        Ok(tcp.payload().to_vec())
    }

    /// The three packets that open a connection. `target` is where `from` believes the other end to be, `own` what that end has itself.
    fn open(&mut self, from: Side, source: Address, target: Address, own: Address) -> Result<Connection, String> {
        let initiator = End {
            own: source,
            peer: target,
            next: 1000,
            expected: 0,
        };
        let responder = End {
            own,
            peer: source,
            next: 900_000,
            expected: 0,
        };
        let mut connection = match from {
            Side::Client => Connection {
                client: initiator,
                server: responder,
            },
            Side::Server => Connection {
                client: responder,
                server: initiator,
            },
        };
        self.say(&mut connection, from, flags::SYN, &[])?;
        self.say(&mut connection, from.other(), flags::SYN | flags::ACK, &[])?;
        self.say(&mut connection, from, flags::ACK, &[])?;
        Ok(connection)
    }

    fn line(&mut self, connection: &mut Connection, from: Side, text: &str) -> Result<String, String> {
        let line = format!("{text}\r\n");
        let heard = self.say(connection, from, flags::PSH | flags::ACK, line.as_bytes())?;
        self.say(connection, from.other(), flags::ACK, &[])?;
        Ok(String::from_utf8_lossy(&heard).trim_end().to_owned())
    }

    /// So many bytes from the server; true when the client got just those. Then both close.
    fn pour(&mut self, connection: &mut Connection, size: usize) -> Result<bool, String> {
        let mut right = true;
        let mut at = 0;
        while at < size {
            let length = SEGMENT.min(size - at);
            let sent: Vec<u8> = (at..at + length).map(byte_at).collect();
            right &= self.say(connection, Side::Server, flags::ACK, &sent)? == sent;
            self.say(connection, Side::Client, flags::ACK, &[])?;
            at += length;
        }
        self.close(connection)?;
        Ok(right)
    }

    fn close(&mut self, connection: &mut Connection) -> Result<(), String> {
        self.say(connection, Side::Server, flags::FIN | flags::ACK, &[])?;
        self.say(connection, Side::Client, flags::FIN | flags::ACK, &[])?;
        self.say(connection, Side::Server, flags::ACK, &[])?;
        Ok(())
    }

    fn client_port(&mut self) -> u16 {
        self.port += 1;
        self.port
    }

    fn ping(&mut self) -> Result<String, String> {
        for sequence in 1..=3 {
            let request = echo(icmpv4::kind::ECHO_REQUEST, CLIENT, SERVER, sequence);
            let arrived = self.carry(Side::Client, request)?;
            let from = ipv4::Ipv4::new(&arrived[..])
                .map_err(|_| "what arrived is no packet")?
                .source();
            self.carry(Side::Server, echo(icmpv4::kind::ECHO_REPLY, SERVER, from, sequence))?;
        }
        Ok("3 of 3 answered".to_owned())
    }

    fn ping6(&mut self) -> Result<String, String> {
        for sequence in 1..=3 {
            self.carry(
                Side::Client,
                echo6(icmpv6::kind::ECHO_REQUEST, (CLIENT6, SERVER6), sequence),
            )?;
            // Nobody is called otherwise on the way.
            self.carry(
                Side::Server,
                echo6(icmpv6::kind::ECHO_REPLY, (SERVER6, CLIENT6), sequence),
            )?;
        }
        Ok("3 of 3 answered".to_owned())
    }

    fn download(&mut self) -> Result<String, String> {
        let source = (CLIENT, self.client_port());
        let mut connection = self.open(Side::Client, source, (SERVER, WEB), (SERVER, WEB))?;
        self.line(&mut connection, Side::Client, "GET /file HTTP/1.0\r\n")?;
        let right = self.pour(&mut connection, DOWNLOAD)?;
        told(right, &format!("{} kB, every byte is right", DOWNLOAD / 1000))
    }

    fn transfer(&mut self, active: bool) -> Result<String, String> {
        let source = (CLIENT, self.client_port());
        let mut control = self.open(Side::Client, source, (SERVER, FTP), (SERVER, FTP))?;
        self.line(&mut control, Side::Server, "220 at your service")?;
        self.line(&mut control, Side::Client, "USER anonymous")?;
        self.line(&mut control, Side::Server, "230 welcome")?;
        let mut data = if active {
            let own = (CLIENT, self.client_port());
            let heard = self.line(&mut control, Side::Client, &format!("PORT {}", numbers(own)))?;
            let target = announced(&heard).ok_or_else(|| format!("the server can't read {heard:?}"))?;
            self.line(&mut control, Side::Server, "200 will connect there")?;
            self.line(&mut control, Side::Client, "RETR file")?;
            self.open(Side::Server, (SERVER, FTP_DATA), target, own)?
        } else {
            self.line(&mut control, Side::Client, "PASV")?;
            let own = (SERVER, 50_000);
            let reply = format!("227 Entering Passive Mode ({})", numbers(own));
            let heard = self.line(&mut control, Side::Server, &reply)?;
            let target = announced(&heard).ok_or_else(|| format!("the client can't read {heard:?}"))?;
            self.line(&mut control, Side::Client, "RETR file")?;
            let source = (CLIENT, self.client_port());
            self.open(Side::Client, source, target, own)?
        };
        self.line(&mut control, Side::Server, "150 here it comes")?;
        let right = self.pour(&mut data, TRANSFER)?;
        self.line(&mut control, Side::Server, "226 done")?;
        told(right, &format!("{} kB, every byte is right", TRANSFER / 1000))
    }

    fn knock(&mut self) -> Result<String, String> {
        let knocking = End {
            own: (SERVER, 51_000),
            peer: (ROUTER, SSH),
            next: 1000,
            expected: 0,
        };
        let before = self.seen.len();
        let _ = self.carry(Side::Server, segment(&knocking, flags::SYN, &[]));
        let answered = self.seen[before..].iter().any(|seen| !seen.passage.output.is_empty());
        if answered {
            Err("there was an answer".to_owned())
        } else {
            Ok("no answer, as it should be".to_owned())
        }
    }
}

impl Stage for MemoryStage {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn tool(&mut self, name: &str, args: &[&str], stdin: &str) -> ToolOutput {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.lab.tool(name, &args, stdin, Path::new("."))
    }

    fn act(&mut self, act: Act) -> Result<String, String> {
        match act {
            Act::Ping => self.ping(),
            Act::Ping6 => self.ping6(),
            Act::Download => self.download(),
            Act::Passive => self.transfer(false),
            Act::Active => self.transfer(true),
            Act::Knock => self.knock(),
        }
    }

    fn seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    fn carried(&self) -> u64 {
        self.carried
    }
}

fn told(right: bool, line: &str) -> Result<String, String> {
    if right {
        Ok(line.to_owned())
    } else {
        Err("what came is not what was sent".to_owned())
    }
}

/// Sequence numbers that a segment takes.
fn taken(bits: u8, payload: usize) -> u32 {
    u32::from(bits & flags::SYN != 0) + u32::from(bits & flags::FIN != 0) + payload as u32
}

fn segment(end: &End, bits: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    put16(&mut bytes, 0, end.own.1);
    put16(&mut bytes, 2, end.peer.1);
    put32(&mut bytes, 4, end.next);
    if bits & flags::ACK != 0 {
        put32(&mut bytes, 8, end.expected);
    }
    bytes[12] = 5 << 4;
    bytes[13] = bits;
    put16(&mut bytes, 14, 64_240);
    bytes.extend_from_slice(payload);
    let (source, destination) = (end.own.0, end.peer.0);
    let sum = checksum::transport(source.into(), destination.into(), protocol::TCP, &bytes);
    put16(&mut bytes, 16, sum);
    packet(protocol::TCP, source, destination, &bytes)
}

fn echo(kind: u8, source: Ipv4Addr, destination: Ipv4Addr, sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[0] = kind;
    put16(&mut bytes, 4, 7);
    put16(&mut bytes, 6, sequence);
    let sum = checksum::of(&bytes);
    put16(&mut bytes, 2, sum);
    packet(protocol::ICMP, source, destination, &bytes)
}

fn echo6(kind: u8, ends: (Ipv6Addr, Ipv6Addr), sequence: u16) -> Vec<u8> {
    let message = icmpv6::emit(ends, (kind, 0), 7 << 16 | u32::from(sequence), &[0; 56]);
    let header = ipv6::Repr {
        traffic_class: 0,
        flow_label: 0,
        hop_limit: 64,
        next_header: protocol::ICMPV6,
        source: ends.0,
        destination: ends.1,
    };
    header.emit(&message).unwrap_or_default()
}

fn packet(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    ipv4::Repr {
        tos: 0,
        identification: 0,
        dont_fragment: true,
        ttl: 64,
        protocol,
        source,
        destination,
    }
    .emit(payload)
}

/// An address with its port.
type Address = (Ipv4Addr, u16);

/// From one host to the other.
const TRAVEL: Duration = Duration::from_micros(50);
const FTP_DATA: u16 = 20;
const SEGMENT: usize = 1400;
const DOWNLOAD: usize = 2_000_000;
const TRANSFER: usize = 100_000;
