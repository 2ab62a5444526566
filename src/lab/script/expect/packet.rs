//! What is expected of a packet: its fate, its state, and what left because of it.

use std::net::IpAddr;

use nom::combinator::opt;

use super::{hold, listed};
use crate::base::{Family, InterfaceName, protocol};
use crate::engine::{Emission, Fate};
use crate::explain::describe::{self, icmp};
use crate::lab::memory::{LOCAL, Lab, Passage};
use crate::lab::proc_files::NOTHING_IS_TRACKED;
use crate::lab::send::{Extension, PACKET_OPTIONS, extension, no_kind, of_either_family, tcp_option};
use crate::packet::Packet;
use crate::syntax::atom;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Word, Words, unexpected};
use crate::wire::be32;
use crate::wire::tcp::{TcpOption, option};

/// One thing that an emission has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Protocol(u8),
    /// ICMP of its own family.
    OwnIcmp,
    Source(IpAddr),
    Destination(IpAddr),
    SourcePort(u16),
    DestinationPort(u16),
    Flags(u8),
    Icmp(String),
    Number(&'static str, u64),
    DontFragment,
    MoreFragments,
    /// An extension header; where nothing is said of it, any of its kind.
    Extension {
        /// As it was called.
        word: String,
        number: u8,
        body: Option<Vec<u8>>,
    },
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
        let Some(packet) = parsed.as_ref() else {
            return Some("it is no IP packet".to_owned());
        };
        let message = icmp::message(packet);
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
            Self::OwnIcmp => differs(
                "the protocol",
                describe::protocol_name(packet.protocol()),
                packet.is_icmp(),
            ),
            Self::Source(wanted) => differs("src", packet.source().to_string(), packet.source() == *wanted),
            Self::Destination(wanted) => {
                differs("dst", packet.destination().to_string(), packet.destination() == *wanted)
            }
            Self::SourcePort(wanted) => port("sport", ports.map(|it| it.0), *wanted),
            Self::DestinationPort(wanted) => port("dport", ports.map(|it| it.1), *wanted),
            Self::Flags(wanted) => {
                let is = packet.tcp().map(|tcp| tcp.flags());
                let text = is.map_or("none".to_owned(), describe::flag_letters);
                differs("its flags are", text, is == Some(*wanted))
            }
            Self::Icmp(wanted) => {
                let is = message.map(|it| icmp::text(packet.family(), it.kind(), it.code()));
                let right = message.is_some_and(|it| icmp::fits(packet.family(), (it.kind(), it.code()), wanted));
                differs("the ICMP message", is.unwrap_or_else(|| "none".to_owned()), right)
            }
            Self::DontFragment => {
                let set = packet.ipv4().is_some_and(|ip| ip.dont_fragment());
                differs("df", "not set".to_owned(), set)
            }
            Self::MoreFragments => differs("mf", "not set".to_owned(), describe::more_fragments(packet.bytes())),
            Self::Extension { word, number, body } => {
                let found = describe::extension::of_number(packet.bytes(), *number);
                let right = |(its, _): &(&[u8], String)| body.as_ref().is_none_or(|body| body == its);
                let told: Vec<&str> = found.iter().map(|(_, words)| words.as_str()).collect();
                let is = match &told[..] {
                    [] => "not there".to_owned(),
                    told => told.join(" "),
                };
                differs(&format!("its header {word}"), is, found.iter().any(right))
            }
            Self::Data(wanted) => {
                let payload = match (packet.tcp(), packet.udp(), message) {
                    (Some(tcp), ..) => tcp.payload().to_vec(),
                    (_, Some(udp), _) => udp.payload().to_vec(),
                    (.., Some(message)) => message.payload().to_vec(),
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
                let number = NUMBERS.iter().find(|number| number.name == *name);
                let is = number.and_then(|number| (number.of)(packet));
                let text = is.map_or("none".to_owned(), |is| is.to_string());
                differs(name, text, is == Some(*wanted))
            }
        }
    }
}

/// A number that packets have, by the word that `send` has for it.
struct Number {
    name: &'static str,
    /// `None` where such a packet has none.
    of: fn(&Packet) -> Option<u64>,
}

const fn number(name: &'static str, of: fn(&Packet) -> Option<u64>) -> Number {
    Number { name, of }
}

const NUMBERS: &[Number] = &[
    number("ttl", |packet| Some(packet.ttl().into())),
    number("hl", |packet| Some(packet.ttl().into())),
    number("tos", |packet| Some(packet.tos().into())),
    number("tclass", |packet| Some(packet.tos().into())),
    number("flow", |packet| {
        (packet.family() == Family::V6).then(|| u64::from(be32(packet.bytes(), 0) & 0xf_ffff))
    }),
    number("ipid", |packet| describe::identification(packet.bytes()).map(u64::from)),
    number("length", |packet| Some(packet.len() as u64)),
    number("frag", |packet| Some(packet.fragment_offset() as u64)),
    number("seq", |packet| {
        let of_icmp = || icmp::message(packet).map(|icmp| u64::from(icmp.sequence()));
        packet.tcp().map(|tcp| u64::from(tcp.sequence())).or_else(of_icmp)
    }),
    number("ack", |packet| packet.tcp().map(|tcp| tcp.acknowledgement().into())),
    number("win", |packet| packet.tcp().map(|tcp| tcp.window().into())),
    number("mtu", |packet| of_error(packet, "mtu")),
    number("pointer", |packet| of_error(packet, "pointer")),
    number("id", |packet| {
        icmp::message(packet).map(|icmp| icmp.identifier().into())
    }),
];

fn is_number(name: &str) -> bool {
    NUMBERS.iter().any(|number| number.name == name)
}

/// What an error says of the packet that it quotes.
fn of_error(packet: &Packet, name: &str) -> Option<u64> {
    let message = icmp::message(packet)?;
    Some(match (packet.family(), name) {
        (Family::V6, _) => u64::from(message.identifier()) << 16 | u64::from(message.sequence()),
        (Family::V4, "mtu") => message.sequence().into(),
        (Family::V4, _) => u64::from(message.identifier() >> 8),
    })
}

/// All that may be expected: what only an expectation says, and of the words of a packet those that say what it is, not how it is made.
fn known() -> String {
    let mut words = vec!["A > B", "src", "dst", "sport", "dport", "proto", "flags", "length"];
    for word in PACKET_OPTIONS.into_iter().flatten().copied() {
        if !ONLY_WRITTEN.contains(&word) && !words.contains(&word) {
            words.push(word);
        }
    }
    format!("known are: {}", words.join(", "))
}

/// Words of a packet that nothing is expected by: its sums and lengths are told as faults, and of messages kind and data are compared.
const ONLY_WRITTEN: &[&str] = &[
    "badsum",
    "badipsum",
    "plen",
    "zeros",
    "urg",
    "rest",
    "quoting",
    "gateway",
    "target",
    "group",
    "for",
    "source-link",
    "target-link",
];

/// `[PROTOCOL] [A > B] [FLAGS|ICMP KIND] [src A] [dst A] ...`
pub(super) fn fields(rest: &mut Words<'_>) -> Result<Vec<Field>, Problem> {
    let mut fields = Vec::new();
    let mut of = None;
    let named = words::made(|text| match text {
        "tcp" => Some(Field::Protocol(protocol::TCP)),
        "udp" => Some(Field::Protocol(protocol::UDP)),
        "icmp" => Some(Field::OwnIcmp),
        "icmpv6" => Some(Field::Protocol(protocol::ICMPV6)),
        _ => None,
    });
    if let Some(field) = rest.read(opt(named))? {
        fields.push(field.clone());
        of = Some(field);
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
            "mf" => fields.push(Field::MoreFragments),
            "data" => fields.push(Field::Data(rest.read(words::one("a part of the data", atom::text))?)),
            text => {
                if let Some(number) = NUMBERS.iter().find(|number| number.name == text) {
                    fields.push(Field::Number(
                        number.name,
                        rest.read(words::number("a number", 0..=u64::from(u32::MAX)))?,
                    ));
                } else if let Some(header) = extension_header(word, rest)? {
                    fields.push(header);
                } else if let Some(option) = tcp_option(word, rest)? {
                    fields.push(Field::TcpOption(option));
                } else if let Some(flags) = atom::tcp_flags(text).filter(|_| of == Some(Field::Protocol(protocol::TCP)))
                {
                    fields.push(Field::Flags(flags));
                } else if matches!(of, Some(Field::OwnIcmp | Field::Protocol(protocol::ICMPV6))) {
                    if text == "type" {
                        let number = rest.read(words::number("an ICMP type", 0..=255))?;
                        let code = match rest.read(words::has("code"))? {
                            true => format!(" code {}", rest.read(words::number("an ICMP code", 0..=255))?),
                            false => String::new(),
                        };
                        fields.push(Field::Icmp(format!("type {number}{code}")));
                        continue;
                    }
                    let families: &[Family] = match of {
                        Some(Field::OwnIcmp) => &Family::ALL,
                        _ => &[Family::V6],
                    };
                    let of_kind: Vec<(Family, u8)> = families
                        .iter()
                        .filter_map(|family| Some((*family, icmp::kind_named(*family, text)?)))
                        .collect();
                    // What no message is called none would ever be.
                    if of_kind.is_empty() {
                        return Err(no_kind(word, families));
                    }
                    let mut kind = text.to_owned();
                    let takes_code = matches!(text, "unreachable" | "redirect" | "time-exceeded" | "parameter-problem");
                    let is_known = |text: &str| {
                        of_kind
                            .iter()
                            .any(|(family, number)| icmp::code_named(*family, *number, text).is_some())
                    };
                    let code = words::fitting(|code| takes_code && !is_number(&code.text) && is_known(&code.text));
                    if let Some(code) = rest.read(opt(code))? {
                        kind = format!("{kind} {}", code.text);
                    }
                    fields.push(Field::Icmp(kind));
                } else {
                    let meant = of_either_family(text).map(|packet| format!("did you mean `{packet}`?"));
                    let remedy = meant.unwrap_or_else(known);
                    return Err(unexpected(word, "expected a field of the packet", &remedy));
                }
            }
        }
    }
    Ok(fields)
}

/// As `send` has it: `hbh ra 0`. A bare `hbh` or `dstopt` is any such header.
fn extension_header(word: &Word, rest: &mut Words<'_>) -> Result<Option<Field>, Problem> {
    let before = rest.position();
    let Some(Extension::Plain { number, body }) = extension(word, rest)? else {
        return Ok(None);
    };
    let says_more = rest.position() != before;
    Ok(Some(Field::Extension {
        word: word.text.clone(),
        number,
        body: says_more.then_some(body),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::script::lex::lex;

    /// What the remedy offers is taken; so a word that packets get is expected, or said to be only written.
    #[test]
    fn every_field_that_is_named_is_one() {
        for word in known().trim_start_matches("known are: ").split(", ") {
            let tail = match word {
                "A > B" => "10.0.0.2 > 10.0.0.3",
                "src" | "dst" => "10.0.0.2",
                "flags" => "SA",
                "data" => "\"x\"",
                "sack" => "1-2",
                "ts" | "ah" => "1 2",
                "hbh" | "dstopt" | "df" | "mf" | "sackok" => "",
                "rt" => "0 0",
                "ext" => "60 0x00",
                _ => "1",
            };
            let line = match word {
                "A > B" => tail.to_owned(),
                word => format!("{word} {tail}"),
            };
            let line = lex(&line).unwrap().remove(0);
            let read = fields(&mut Words::new(&line.words));
            assert!(read.is_ok_and(|fields| !fields.is_empty()), "{word} {tail}");
        }
    }
}
