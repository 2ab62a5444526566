//! Whole conversations between hosts, packet by packet through a lab in memory: a TCP handshake, a question and its answer, an FTP session.
//!
//! They adapt: whoever a packet really reached answers, by the interface it left by, to the address it then came from. So NAT, redirection
//! and ports that a helper rewrote are followed as real hosts follow them, and a packet that does not arrive ends the conversation with the
//! reason why.

mod datagram;
mod ftp;
mod hosts;
mod parse;
mod tcp;

pub(crate) use ftp::{Ftp, Mode, Transfer};
pub(super) use ftp::{announced, byte_at, numbers};
pub use hosts::{Addresses, Host, Hosts};
pub(crate) use hosts::{Called, ROUTER, is_name, means_something_else};
pub(crate) use parse::{WORDS, family, parse};
pub(crate) use tcp::Connection;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::memory::{LOCAL, Lab, Passage};
use super::send::{self, Draft, IcmpDraft, IpDraft, Surroundings, TcpDraft, Transport};
use crate::base::{Family, InterfaceName, protocol};
use crate::engine::{Emission, Fate, Port};
use crate::explain::describe::icmp;
use crate::ext::names;
use crate::net::{Flow, OutputKey};
use crate::packet::Packet;
use crate::wire::tcp::flags;

/// One end as a script names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// As written, for messages.
    pub name: String,
    /// In which it speaks.
    pub family: Family,
    /// `None`: the router, by whichever of its addresses suits.
    pub address: Option<IpAddr>,
    /// Where it is; found by its address where it says `None`.
    pub interface: Option<InterfaceName>,
    pub port: Option<u16>,
}

/// A conversation as a script asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversation {
    Handshake {
        from: Party,
        to: Party,
    },
    Udp {
        from: Party,
        to: Party,
        data: Vec<u8>,
        answer: Option<Vec<u8>>,
    },
    Ping {
        from: Party,
        to: Party,
        count: u16,
    },
    Data {
        from: Party,
        to: Party,
        bytes: Vec<u8>,
    },
    Close {
        from: Party,
        to: Party,
    },
    Reset {
        from: Party,
        to: Party,
    },
    Ftp(Ftp),
}

impl Conversation {
    /// The word that begins it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Handshake { .. } => "handshake",
            Self::Udp { .. } => "udp",
            Self::Ping { .. } => "ping",
            Self::Data { .. } => "data",
            Self::Close { .. } => "close",
            Self::Reset { .. } => "reset",
            Self::Ftp(_) => "ftp",
        }
    }

    /// Its two ends.
    pub fn parties(&self) -> [&Party; 2] {
        match self {
            Self::Handshake { from, to }
            | Self::Udp { from, to, .. }
            | Self::Ping { from, to, .. }
            | Self::Data { from, to, .. }
            | Self::Close { from, to }
            | Self::Reset { from, to }
            | Self::Ftp(Ftp { from, to, .. }) => [from, to],
        }
    }
}

/// What a host is asked for: the first packet of it says whether it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub protocol: u8,
    /// Of TCP and UDP.
    pub port: u16,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            protocol::TCP => write!(f, "tcp/{}", self.port),
            protocol::UDP => write!(f, "udp/{}", self.port),
            number => f.write_str(names::protocol_name(number).unwrap_or(&number.to_string())),
        }
    }
}

/// Where a host sits: behind an interface, or in the router itself.
pub(crate) type Seat = Port;

/// An address with its port.
pub(crate) type Address = (IpAddr, u16);

/// What a packet became at its other end.
#[derive(Clone, Debug)]
struct Arrival {
    seat: Seat,
    bytes: Vec<u8>,
}

/// The conversations of one lab: open connections and the ports that hosts have used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversations {
    connections: Vec<Connection>,
    /// How many ports and identifiers have been given out.
    given: u16,
}

impl Conversations {
    /// Plays one to its end. `Err` says which packet did not arrive, and why; the lab's last packet is that one. `tell` sees every packet.
    pub(crate) fn play(
        &mut self,
        lab: &mut Lab,
        conversation: &Conversation,
        tell: &mut dyn FnMut(&Lab, &Passage),
    ) -> Result<(), String> {
        let mut stage = Stage { lab, tell };
        match conversation {
            Conversation::Handshake { from, to } => {
                let connection = self.handshake(&mut stage, from, to)?;
                self.connections.push(connection);
                Ok(())
            }
            Conversation::Udp { from, to, data, answer } => self.udp(&mut stage, from, to, data, answer.as_deref()),
            Conversation::Ping { from, to, count } => self.ping(&mut stage, from, to, *count),
            Conversation::Data { from, to, bytes } => {
                let (at, side) = self.find(&stage, from, to)?;
                self.connections[at].send(&mut stage, side, bytes).map(|_| ())
            }
            Conversation::Close { from, to } => {
                let (at, side) = self.find(&stage, from, to)?;
                let mut connection = self.connections.remove(at);
                connection.close(&mut stage, side)
            }
            Conversation::Reset { from, to } => {
                let (at, side) = self.find(&stage, from, to)?;
                let mut connection = self.connections.remove(at);
                connection.reset(&mut stage, side)
            }
            Conversation::Ftp(ftp) => self.ftp(&mut stage, ftp),
        }
    }

    /// Sends the first packet of a service: a SYN, a datagram, an echo request. What became of it is the lab's last packet.
    pub(crate) fn knock(&mut self, lab: &mut Lab, from: &Party, to: &Party, service: Service) -> Result<(), String> {
        let stage = Stage {
            lab,
            tell: &mut |_, _| {},
        };
        let seat = stage.seat(from, to)?;
        let target = stage.address(to, seat)?;
        let port = self.fresh_port();
        let (transport, data) = match service.protocol {
            protocol::TCP => (
                Transport::Tcp(TcpDraft {
                    source: port,
                    destination: service.port,
                    flags: flags::SYN,
                    sequence: None,
                    acknowledgement: None,
                    window: None,
                    urgent: 0,
                    options: Vec::new(),
                }),
                &[][..],
            ),
            protocol::UDP => (
                Transport::Udp {
                    source: port,
                    destination: service.port,
                },
                &b"question"[..],
            ),
            number if number == icmp::protocol(from.family) => (
                Transport::Icmp(IcmpDraft {
                    kind: icmp::echo_request(from.family),
                    code: 0,
                    rest: u32::from(port) << 16 | 1,
                    quote: None,
                }),
                &b"abcdefgh"[..],
            ),
            number => (Transport::Other(number), &[0; 8][..]),
        };
        let bytes = packet(seat.1, target, transport, data)?;
        let interface = match seat.0 {
            Port::Interface(id) => Some(id),
            Port::Local => None,
        };
        stage.lab.send(interface, bytes);
        Ok(())
    }

    /// A port that no host of this lab has used yet.
    fn fresh_port(&mut self) -> u16 {
        self.given = self.given.wrapping_add(1);
        FIRST_PORT.wrapping_add(self.given)
    }
}

/// The lab that is played in, and who is told.
struct Stage<'a> {
    lab: &'a mut Lab,
    tell: &'a mut dyn FnMut(&Lab, &Passage),
}

impl Stage<'_> {
    /// Where a party sits, and by which address it speaks to another.
    fn seat(&self, party: &Party, to: &Party) -> Result<(Seat, IpAddr), String> {
        let config = self.lab.machine.router().config();
        let net = &config.net;
        let Some(address) = party.address else {
            let Some(destination) = to.address else {
                return Ok((Port::Local, loopback(party.family)));
            };
            let route = net
                .route_output(key(destination))
                .map_err(|error| format!("the router cannot send to {}: {error}", to.name))?;
            return match Family::of(route.source) == party.family {
                true => Ok((Port::Local, route.source)),
                false => Err(format!(
                    "the router has no {} address towards {}",
                    party.family, to.name
                )),
            };
        };
        if party.interface.is_some_and(|it| it.as_str() == LOCAL) || net.is_own_address(address) {
            return Ok((Port::Local, address));
        }
        let id = match party.interface {
            Some(name) => net.by_name(name.as_str()).map(|it| it.id).ok_or_else(|| {
                let names: Vec<&str> = net.interfaces().iter().map(|it| it.name.as_str()).collect();
                format!(
                    "the lab has no interface {name}: it has {}, and `local`",
                    names.join(", ")
                )
            })?,
            None => {
                net.route_output(key(address))
                    .map_err(|error| format!("no way leads to {}: {error}", party.name))?
                    .interface
            }
        };
        Ok((Port::Interface(id), address))
    }

    /// The address at which a party is asked by one who sits there.
    fn address(&self, party: &Party, asker: (Seat, IpAddr)) -> Result<IpAddr, String> {
        if let Some(address) = party.address {
            return Ok(address);
        }
        let Port::Interface(id) = asker.0 else {
            return Ok(loopback(party.family));
        };
        let config = self.lab.machine.router().config();
        let own = &config.net.interface(id).addresses;
        let near = own.iter().find(|it| it.network().contains(asker.1));
        let addresses: Addresses = near.into_iter().chain(own).map(|it| it.address).collect();
        let nearest = near.map(|it| it.address).or(addresses.of(party.family));
        nearest.ok_or_else(|| {
            format!(
                "the router has no {} address on {}",
                party.family,
                self.lab.port_name(asker.0)
            )
        })
    }

    /// The largest TCP payload that fits every interface.
    fn segment(&self, family: Family) -> usize {
        let headers = match family {
            Family::V4 => 40,
            Family::V6 => 60,
        };
        let config = self.lab.machine.router().config();
        let smallest = config.net.interfaces().iter().map(|it| it.mtu).min().unwrap_or(1500);
        (smallest as usize).saturating_sub(headers).clamp(8, 1400)
    }

    /// A packet from where its sender sits to wherever it arrives. `what` names it in the reason.
    fn carry(&mut self, from: Seat, bytes: Vec<u8>, what: &str) -> Result<Arrival, String> {
        let interface = match from {
            Port::Interface(id) => Some(id),
            Port::Local => None,
        };
        let sent = Shape::of(&bytes);
        let passage = self.lab.send(interface, bytes).clone();
        (self.tell)(self.lab, &passage);
        let local = passage.report.fate == Fate::Delivered;
        // Whoever a copy is handed to is not the one that it is addressed to, and says nothing.
        let is_it = |emission: &&Emission| {
            !emission.is_beside
                && (!local || emission.port == Port::Local)
                && sent.is_some()
                && Shape::of(&emission.bytes) == sent
        };
        match (&passage.report.fate, passage.output.iter().find(is_it)) {
            (Fate::Stopped(reason), _) => Err(format!("{what} did not arrive: {reason}")),
            (_, Some(emission)) => Ok(Arrival {
                seat: emission.port,
                bytes: emission.bytes.clone(),
            }),
            (_, None) => Err(format!("{what} was accepted, but did not arrive anywhere")),
        }
    }

    /// What the router itself answered to the last packet, to whoever sent it.
    fn own_answer(&self, seat: Seat) -> Option<Packet> {
        let passage = self.lab.last()?;
        passage
            .output
            .iter()
            .rev()
            .find(|it| it.port == seat && !it.is_beside)
            .and_then(|it| Packet::parse(it.bytes.clone()).ok())
    }
}

/// What stays of a packet on its way, whatever NAT does: what tells it from complaints and answers of the router's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    protocol: u8,
    /// An ICMP message's type.
    icmp: Option<u8>,
    /// TCP's flags.
    flags: Option<u8>,
}

impl Shape {
    /// `None` for what is no packet, and for later fragments.
    fn of(bytes: &[u8]) -> Option<Self> {
        let packet = Packet::parse(bytes.to_vec()).ok()?;
        (packet.fragment_offset() == 0).then(|| Self {
            protocol: packet.protocol(),
            icmp: icmp::message(&packet).map(|it| it.kind()),
            flags: packet.tcp().map(|it| it.flags()),
        })
    }
}

/// The interface by which whoever has this address is reached; `None` for the router itself, and where no way leads.
pub(super) fn behind(lab: &Lab, address: IpAddr) -> Option<InterfaceName> {
    let config = lab.machine.router().config();
    if config.net.is_own_address(address) {
        return None;
    }
    let route = config.net.route_output(key(address)).ok()?;
    Some(config.net.interface(route.interface).name)
}

fn key(destination: impl Into<IpAddr>) -> OutputKey {
    OutputKey {
        destination: destination.into(),
        source: None,
        mark: 0,
        interface: None,
        tos: 0,
        flow: Flow::default(),
    }
}

/// A packet's bytes.
fn packet(source: IpAddr, destination: IpAddr, transport: Transport, data: &[u8]) -> Result<Vec<u8>, String> {
    let dont_fragment = matches!(transport, Transport::Tcp(_)) && source.is_ipv4();
    let draft = Draft::Ip(Box::new(IpDraft {
        data: data.to_vec(),
        dont_fragment,
        ..IpDraft::new(source, destination, transport)
    }));
    send::build(&draft, &Nowhere).map_err(|error| error.to_string())
}

/// Packets of conversations say all their numbers.
struct Nowhere;

impl Surroundings for Nowhere {
    fn next_sequence(&self, _: (IpAddr, u16), _: (IpAddr, u16)) -> Option<u32> {
        None
    }

    fn departed(&self) -> Option<Vec<u8>> {
        None
    }
}

fn show((address, port): Address) -> String {
    SocketAddr::new(address, port).to_string()
}

/// A name or an address with a port.
fn written(name: &str, port: u16) -> String {
    match name.contains(':') {
        true => format!("[{name}]:{port}"),
        false => format!("{name}:{port}"),
    }
}

fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

fn is_unreachable(packet: &Packet) -> bool {
    icmp::message(packet).is_some_and(|it| it.kind() == icmp::unreachable(packet.family()))
}

/// Below the ports that a client gets when none is written.
const FIRST_PORT: u16 = 40_000;

#[cfg(test)]
mod tests;
