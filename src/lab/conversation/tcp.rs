//! TCP between two hosts that lose nothing: handshake, data with its acknowledgements, the two ways to end.

use super::{Address, Conversations, Party, Seat, Stage, packet, show, written};
use crate::base::{Family, protocol};
use crate::engine::Port;
use crate::lab::send::{TcpDraft, Transport, first_sequence};
use crate::packet::Packet;
use crate::wire::tcp::flags;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Initiator,
    Responder,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// One end of a connection, as its host sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) seat: Seat,
    pub(super) own: Address,
    /// Whom it believes to speak to.
    pub(super) peer: Address,
    /// The next sequence number it sends.
    next: u32,
    /// The next it expects: what it acknowledges.
    expected: u32,
}

/// An open connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(super) initiator: End,
    pub(super) responder: End,
}

impl Conversations {
    pub(super) fn handshake(&mut self, stage: &mut Stage<'_>, from: &Party, to: &Party) -> Result<Connection, String> {
        let port = to.port.ok_or("the port is missing: write HOST:PORT")?;
        let seat = stage.seat(from, to)?;
        let target = (stage.address(to, seat)?, port);
        let own = (seat.1, from.port.unwrap_or_else(|| self.fresh_port()));
        Connection::open(stage, seat.0, own, target)
    }

    /// The connection between two parties, the youngest first, and which end is `from`.
    pub(super) fn find(&self, stage: &Stage<'_>, from: &Party, to: &Party) -> Result<(usize, Side), String> {
        let config = stage.lab.machine.router().config();
        let is_router = |address: Address| config.net.is_own_address(address.0);
        let is = |party: &Party, end: &End, called: Address| {
            let port = |address: Address| party.port.is_none_or(|port| port == address.1);
            match party.address {
                None => {
                    let is_local = end.seat == Port::Local || is_router(called);
                    is_local && (port(end.own) || port(called)) && Family::of(end.own.0) == party.family
                }
                Some(address) => [end.own, called].iter().any(|it| it.0 == address && port(*it)),
            }
        };
        let found = self.connections.iter().enumerate().rev().find_map(|(at, connection)| {
            let (first, second) = (&connection.initiator, &connection.responder);
            if is(from, first, second.peer) && is(to, second, first.peer) {
                Some((at, Side::Initiator))
            } else if is(to, first, second.peer) && is(from, second, first.peer) {
                Some((at, Side::Responder))
            } else {
                None
            }
        });
        found.ok_or_else(|| {
            let open: Vec<String> = self
                .connections
                .iter()
                .map(|it| format!("{} > {}", show(it.initiator.own), show(it.initiator.peer)))
                .collect();
            let open = if open.is_empty() {
                "none".to_owned()
            } else {
                open.join(", ")
            };
            // A name may stand for an address of each family.
            let other = from.family.other();
            let said = other.option();
            let is_other = |it: &Connection| Family::of(it.initiator.own.0) == other;
            let (of, remedy) = match self.connections.iter().any(is_other) {
                true => (
                    format!(" of {}", from.family),
                    format!("`{said}` behind the first word means one of {other}"),
                ),
                false => (String::new(), "`handshake` opens one".to_owned()),
            };
            format!(
                "no connection{of} is open between {} and {} (open are: {open}); {remedy}",
                called(from),
                called(to)
            )
        })
    }
}

fn called(party: &Party) -> String {
    match party.port {
        Some(port) => written(&party.name, port),
        None => party.name.clone(),
    }
}

impl Connection {
    /// The three packets that open a connection. Whoever the first one reaches is the responder.
    pub(super) fn open(stage: &mut Stage<'_>, seat: Seat, own: Address, target: Address) -> Result<Self, String> {
        let initiator = End {
            seat,
            own,
            peer: target,
            next: first_sequence(own.0, own.1),
            expected: 0,
        };
        // A program on the router that connects has its port open.
        if seat == Port::Local {
            stage.lab.listen(protocol::TCP, own.1);
        }
        let what = format!("the SYN of {}", show(own));
        let arrival = stage.carry(seat, segment(&initiator, flags::SYN, &[])?, &what)?;
        let arrived = Packet::parse(arrival.bytes).map_err(|_| unreadable())?;
        let (from, to) = ends(&arrived).ok_or_else(unreadable)?;
        if arrival.seat == Port::Local
            && stage
                .own_answer(seat)
                .and_then(|it| it.tcp().map(|tcp| tcp.has(flags::RST)))
                .unwrap_or(false)
        {
            return Err(format!(
                "the router itself answered with a reset: nothing listens on its port {0}; `listen tcp {0}` first",
                to.1
            ));
        }
        let sequence = arrived.tcp().map_or(0, |tcp| tcp.sequence());
        let responder = End {
            seat: arrival.seat,
            own: to,
            peer: from,
            next: first_sequence(to.0, to.1),
            expected: sequence.wrapping_add(1),
        };
        let mut connection = Self { initiator, responder };
        connection.initiator.next = initiator.next.wrapping_add(1);
        connection.say(stage, Side::Responder, flags::SYN | flags::ACK, &[])?;
        connection.say(stage, Side::Initiator, flags::ACK, &[])?;
        Ok(connection)
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Initiator => &mut self.initiator,
            Side::Responder => &mut self.responder,
        }
    }

    /// A segment, and its payload as the other end reads it.
    fn say(&mut self, stage: &mut Stage<'_>, side: Side, bits: u8, data: &[u8]) -> Result<Vec<u8>, String> {
        let sender = self.end(side);
        let bytes = segment(sender, bits, data)?;
        sender.next = sender.next.wrapping_add(taken(bits, data.len()));
        let what = format!("the {} of {}", name(bits, data), show(sender.own));
        let seat = sender.seat;
        let arrival = stage.carry(seat, bytes, &what)?;
        let receiver = self.end(side.other());
        let arrived = Packet::parse(arrival.bytes).map_err(|_| unreadable())?;
        let (from, to) = ends(&arrived).ok_or_else(unreadable)?;
        if (arrival.seat, to) != (receiver.seat, receiver.own) {
            return Err(format!(
                "{what} arrived by {} at {}, not by {} at {}",
                stage.lab.port_name(arrival.seat),
                show(to),
                stage.lab.port_name(receiver.seat),
                show(receiver.own)
            ));
        }
        if from != receiver.peer {
            return Err(format!(
                "{what} arrived from {}, but {} speaks to {}: a host drops that",
                show(from),
                show(receiver.own),
                show(receiver.peer)
            ));
        }
        let Some(tcp) = arrived.tcp() else {
            return Err(unreadable());
        };
        receiver.expected = tcp.sequence().wrapping_add(taken(bits, tcp.payload().len()));
        Ok(tcp.payload().to_vec())
    }

    /// So many bytes in segments, each acknowledged; what the other end read.
    pub(super) fn send(&mut self, stage: &mut Stage<'_>, side: Side, data: &[u8]) -> Result<Vec<u8>, String> {
        let mut read = Vec::with_capacity(data.len());
        let size = stage.segment(Family::of(self.end(side).own.0));
        for (at, piece) in data.chunks(size).enumerate() {
            let last = (at + 1) * size >= data.len();
            let bits = if last { flags::PSH | flags::ACK } else { flags::ACK };
            read.extend(self.say(stage, side, bits, piece)?);
            self.say(stage, side.other(), flags::ACK, &[])?;
        }
        Ok(read)
    }

    /// Both ends say that they have no more; `side` first.
    pub(super) fn close(&mut self, stage: &mut Stage<'_>, side: Side) -> Result<(), String> {
        self.say(stage, side, flags::FIN | flags::ACK, &[])?;
        self.say(stage, side.other(), flags::FIN | flags::ACK, &[])?;
        self.say(stage, side, flags::ACK, &[])?;
        Ok(())
    }

    pub(super) fn reset(&mut self, stage: &mut Stage<'_>, side: Side) -> Result<(), String> {
        self.say(stage, side, flags::RST | flags::ACK, &[]).map(|_| ())
    }
}

fn segment(end: &End, bits: u8, data: &[u8]) -> Result<Vec<u8>, String> {
    let tcp = TcpDraft {
        source: end.own.1,
        destination: end.peer.1,
        flags: bits,
        sequence: Some(end.next),
        acknowledgement: Some(if bits & flags::ACK == 0 { 0 } else { end.expected }),
        window: None,
        urgent: 0,
        options: Vec::new(),
    };
    packet(end.own.0, end.peer.0, Transport::Tcp(tcp), data)
}

/// Sequence numbers that a segment takes.
fn taken(bits: u8, data: usize) -> u32 {
    u32::from(bits & flags::SYN != 0) + u32::from(bits & flags::FIN != 0) + data as u32
}

pub(super) fn ends(packet: &Packet) -> Option<(Address, Address)> {
    let (from, to) = packet.ports()?;
    Some(((packet.source(), from), (packet.destination(), to)))
}

fn name(bits: u8, data: &[u8]) -> &'static str {
    match bits {
        _ if !data.is_empty() => "data",
        _ if bits & flags::RST != 0 => "RST",
        _ if bits & flags::FIN != 0 => "FIN",
        _ if bits == flags::SYN => "SYN",
        _ if bits & flags::SYN != 0 => "SYN+ACK",
        _ => "ACK",
    }
}

pub(super) fn unreadable() -> String {
    "what arrived cannot be read".to_owned()
}
