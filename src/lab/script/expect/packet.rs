//! What is expected of a packet: its fate, its state, and what left because of it.

use std::net::{IpAddr, Ipv4Addr};

use nom::combinator::opt;

use super::{hold, listed};
use crate::base::{InterfaceName, protocol};
use crate::engine::{Emission, Fate};
use crate::explain::describe;
use crate::lab::memory::{LOCAL, Lab, Passage};
use crate::lab::proc_files::NOTHING_IS_TRACKED;
use crate::lab::send::tcp_option;
use crate::packet::Packet;
use crate::syntax::atom;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Words, unexpected};
use crate::wire::tcp::{TcpOption, option};

/// One thing that an emission has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Protocol(u8),
    Source(Ipv4Addr),
    Destination(Ipv4Addr),
    SourcePort(u16),
    DestinationPort(u16),
    Flags(u8),
    Icmp(String),
    Number(&'static str, u64),
    DontFragment,
    Data(Vec<u8>),
    /// An option of TCP's, with kind and length.
    TcpOption(Vec<u8>),
}

pub(super) fn state(lab: &Lab, passage: &Passage, wanted: Option<&str>, no: bool) -> Result<(), String> {
    let is = passage.report.state.map(crate::conntrack::CtState::name);
    hold((is == wanted) != no, || match is {
        Some(state) => format!("the packet's state is {state}"),
        None if lab.machine.router().tracks() => "the packet was never tracked".to_owned(),
        None => format!("the packet was never tracked: {NOTHING_IS_TRACKED}"),
    })
}

pub(super) fn no_out(lab: &Lab, passage: &Passage, interface: Option<InterfaceName>) -> Result<(), String> {
    let left: Vec<String> = passage
        .output
        .iter()
        .map(|emission| (lab.port_name(emission.port), emission))
        .filter(|(name, _)| match interface {
            Some(wanted) => *name == wanted,
            None => name.as_str() != LOCAL,
        })
        .map(|(name, emission)| format!("by {name}: {}", describe::line(&emission.bytes)))
        .collect();
    hold(left.is_empty(), || format!("this left {}", left.join("; ")))
}

pub(super) fn fate(passage: &Passage, wanted: &str) -> Result<(), String> {
    let fate = &passage.report.fate;
    let right = match wanted {
        "forwarded" => *fate == Fate::Forwarded,
        "delivered" => *fate == Fate::Delivered,
        "sent" => *fate == Fate::Sent,
        word => fate.verdict().eq_ignore_ascii_case(word),
    };
    hold(right, || match fate {
        Fate::Forwarded => "the packet was accepted, and forwarded".to_owned(),
        Fate::Delivered => "the packet was accepted, and reached the router".to_owned(),
        Fate::Sent => "the packet was accepted, and sent".to_owned(),
        Fate::Stopped(reason) => format!("the packet went no further: {reason}"),
    })
}

pub(super) fn out(lab: &Lab, passage: &Passage, interface: InterfaceName, wanted: &[Field]) -> Result<(), String> {
    let left: Vec<&Emission> = passage
        .output
        .iter()
        .filter(|emission| lab.port_name(emission.port) == interface)
        .collect();
    if left.is_empty() {
        let elsewhere: Vec<String> = passage
            .output
            .iter()
            .map(|emission| {
                format!(
                    "by {}: {}",
                    lab.port_name(emission.port),
                    describe::line(&emission.bytes)
                )
            })
            .collect();
        return Err(match &elsewhere[..] {
            [] => match &passage.report.fate {
                Fate::Stopped(reason) => format!("nothing left: {reason}"),
                _ => "nothing left".to_owned(),
            },
            lines => format!("nothing left by {interface}; this did{}", listed(lines)),
        });
    }
    let misses: Vec<Option<String>> = left
        .iter()
        .map(|emission| wanted.iter().find_map(|field| field.miss(&emission.bytes)))
        .collect();
    hold(misses.iter().any(Option::is_none), || {
        let lines: Vec<String> = left
            .iter()
            .zip(misses)
            .map(|(emission, miss)| format!("{} ({})", describe::line(&emission.bytes), miss.unwrap_or_default()))
            .collect();
        format!("this left by {interface}{}", listed(&lines))
    })
}

impl Field {
    /// What a packet has instead; `None` where it is right.
    fn miss(&self, bytes: &[u8]) -> Option<String> {
        let parsed = Packet::parse(bytes.to_vec()).ok();
        let Some((packet, ip)) = parsed.as_ref().and_then(|packet| Some((packet, packet.ipv4()?))) else {
            return Some("it is no IPv4 packet".to_owned());
        };
        let differs = |name: &str, is: String, right: bool| (!right).then(|| format!("{name} is {is}"));
        let ports = packet.ports();
        let port = |name: &str, is: Option<u16>, wanted: u16| {
            let text = is.map_or("none".to_owned(), |port| port.to_string());
            differs(name, text, is == Some(wanted))
        };
        match self {
            Self::Protocol(wanted) => differs(
                "the protocol",
                describe::protocol_name(packet.protocol()),
                packet.protocol() == *wanted,
            ),
            Self::Source(wanted) => differs(
                "src",
                packet.source().to_string(),
                packet.source() == IpAddr::V4(*wanted),
            ),
            Self::Destination(wanted) => differs(
                "dst",
                packet.destination().to_string(),
                packet.destination() == IpAddr::V4(*wanted),
            ),
            Self::SourcePort(wanted) => port("sport", ports.map(|it| it.0), *wanted),
            Self::DestinationPort(wanted) => port("dport", ports.map(|it| it.1), *wanted),
            Self::Flags(wanted) => {
                let is = packet.tcp().map(|tcp| tcp.flags());
                let text = is.map_or("none".to_owned(), describe::flag_letters);
                differs("its flags are", text, is == Some(*wanted))
            }
            Self::Icmp(wanted) => {
                let is = packet
                    .icmpv4()
                    .map(|icmp| describe::icmp_kind(icmp.kind(), icmp.code()));
                let right = is.as_ref().is_some_and(|is| is == wanted);
                differs("the ICMP message", is.unwrap_or_else(|| "none".to_owned()), right)
            }
            Self::DontFragment => differs("df", "not set".to_owned(), ip.dont_fragment()),
            Self::Data(wanted) => {
                let payload = match (packet.tcp(), packet.udp(), packet.icmpv4()) {
                    (Some(tcp), ..) => tcp.payload().to_vec(),
                    (_, Some(udp), _) => udp.payload().to_vec(),
                    (.., Some(icmp)) => icmp.payload().to_vec(),
                    _ => packet.transport().to_vec(),
                };
                let found = wanted.is_empty() || payload.windows(wanted.len()).any(|part| part == wanted);
                differs("its data", format!("\"{}\"", payload.escape_ascii()), found)
            }
            Self::TcpOption(wanted) => {
                let kind = wanted.first().copied().unwrap_or(option::END);
                let tcp = packet.tcp();
                let is = tcp.as_ref().and_then(|tcp| tcp.options().find(|it| it.kind == kind));
                let wanted = TcpOption {
                    kind,
                    data: wanted.get(2..).unwrap_or(&[]),
                };
                let name = describe::tcp_option(wanted).unwrap_or_default();
                let name = name.split(' ').next().unwrap_or_default();
                let value = is.and_then(describe::tcp_option).unwrap_or_else(|| "none".to_owned());
                let value = value.strip_prefix(name).unwrap_or(&value).trim_start();
                differs(name, value.to_owned(), is == Some(wanted))
            }
            Self::Number(name, wanted) => {
                let is = match *name {
                    "ttl" => Some(u64::from(ip.ttl())),
                    "tos" => Some(u64::from(ip.tos())),
                    "ipid" => Some(u64::from(ip.identification())),
                    "length" => Some(u64::from(ip.total_length())),
                    "frag" => Some(ip.fragment_offset() as u64),
                    "seq" => packet
                        .tcp()
                        .map(|tcp| u64::from(tcp.sequence()))
                        .or_else(|| packet.icmpv4().map(|icmp| u64::from(icmp.sequence()))),
                    "ack" => packet.tcp().map(|tcp| u64::from(tcp.acknowledgement())),
                    "win" => packet.tcp().map(|tcp| u64::from(tcp.window())),
                    _ => packet.icmpv4().map(|icmp| u64::from(icmp.identifier())),
                };
                let text = is.map_or("none".to_owned(), |is| is.to_string());
                differs(name, text, is == Some(*wanted))
            }
        }
    }
}

/// `[PROTOCOL] [A > B] [FLAGS|ICMP KIND] [src A] [dst A] ...`
pub(super) fn fields(rest: &mut Words<'_>) -> Result<Vec<Field>, Problem> {
    let mut fields = Vec::new();
    let mut of = 0;
    let named = words::made(|text| match text {
        "tcp" => Some(protocol::TCP),
        "udp" => Some(protocol::UDP),
        "icmp" => Some(protocol::ICMP),
        _ => None,
    });
    if let Some(number) = rest.read(opt(named))? {
        of = number;
        fields.push(Field::Protocol(number));
    }
    if let Some((address, port)) = rest.read(opt(words::made(atom::endpoint)))? {
        fields.push(Field::Source(address));
        fields.extend(port.map(Field::SourcePort));
        rest.read(words::expect(">"))?;
        let (address, port) = rest.read(words::one("an address, with or without a port", atom::endpoint))?;
        fields.push(Field::Destination(address));
        fields.extend(port.map(Field::DestinationPort));
    }
    while let Some(word) = rest.read(opt(words::anything))? {
        match word.text.as_str() {
            "src" | "dst" => {
                let (address, port) = rest.read(words::one("an address, with or without a port", atom::endpoint))?;
                if word.text == "src" {
                    fields.push(Field::Source(address));
                    fields.extend(port.map(Field::SourcePort));
                } else {
                    fields.push(Field::Destination(address));
                    fields.extend(port.map(Field::DestinationPort));
                }
            }
            "sport" => fields.push(Field::SourcePort(rest.read(words::number("a port", 0..=65_535))? as u16)),
            "dport" => fields.push(Field::DestinationPort(
                rest.read(words::number("a port", 0..=65_535))? as u16
            )),
            "proto" => fields.push(Field::Protocol(
                rest.read(words::number("a protocol's number", 0..=255))? as u8,
            )),
            "flags" => fields.push(Field::Flags(
                rest.read(words::one("TCP flags such as SA", atom::tcp_flags))?,
            )),
            "df" => fields.push(Field::DontFragment),
            "data" => fields.push(Field::Data(rest.read(words::one("a part of the data", atom::text))?)),
            text => {
                if let Some(name) = NUMBERS.iter().copied().find(|name| *name == text) {
                    fields.push(Field::Number(
                        name,
                        rest.read(words::number("a number", 0..=u64::from(u32::MAX)))?,
                    ));
                } else if let Some(option) = tcp_option(word, rest)? {
                    fields.push(Field::TcpOption(option));
                } else if let Some(flags) = atom::tcp_flags(text).filter(|_| of == protocol::TCP) {
                    fields.push(Field::Flags(flags));
                } else if of == protocol::ICMP {
                    let mut kind = text.to_owned();
                    let takes_code = matches!(text, "unreachable" | "redirect" | "time-exceeded" | "parameter-problem");
                    let code = words::fitting(|code| takes_code && !NUMBERS.contains(&code.text.as_str()));
                    if let Some(code) = rest.read(opt(code))? {
                        kind = format!("{kind} {}", code.text);
                    }
                    fields.push(Field::Icmp(kind));
                } else {
                    return Err(unexpected(
                        word,
                        "expected a field of the packet",
                        "known are: A > B, src, dst, sport, dport, proto, flags, df, data, ttl, tos, id, ipid, length, frag, seq, ack, win, mss, wscale, sackok, sack, ts",
                    ));
                }
            }
        }
    }
    Ok(fields)
}

const NUMBERS: &[&str] = &["ttl", "tos", "ipid", "length", "frag", "seq", "ack", "win", "id"];
