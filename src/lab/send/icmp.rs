//! The words of an ICMP message, of either family.

use std::net::Ipv6Addr;

use nom::combinator::opt;

use super::ends::ends;
use super::parse::{ICMP, option_word, packet_within};
use super::{Draft, IcmpDraft, IpDraft, Quote, Transport};
use crate::base::Family;
use crate::explain::describe::icmp;
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Word, Words, unexpected};

/// What follows `icmp` or `icmpv6`, which is the `word`; so many packets quote this one.
pub(super) fn message(word: &Word, depth: usize, rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let (source, destination) = ends(rest)?;
    let family = Family::of(source);
    if word.text != "icmp" && family == Family::V4 {
        return Err(Problem::new(
            word.position,
            "ICMPv6 is spoken between IPv6 addresses",
            "expected `icmp`",
            "write `icmp`, which is that of the addresses' family",
        ));
    }
    let mut message = kind(family, rest)?;
    let mut draft = IpDraft::new(source, destination, Transport::Other(icmp::protocol(family)));
    if icmp::is_of_neighbours(family, message.kind) {
        draft.ttl = HOP_LIMIT_OF_NEIGHBOURS;
    }
    let mut addresses = Addresses::of(family, &message);
    // Of what another packet quotes, the end may be missing.
    let mut may_end_early = depth > 0;
    while let Some(word) = option_word(rest)? {
        match (word.text.as_str(), family) {
            ("id", _) if !icmp::is_error(family, message.kind) => {
                let id = rest.read(words::number("an identifier", 0..=65_535))? as u32;
                message.rest = message.rest & 0xffff | id << 16;
            }
            (text, _) if let Some(whose) = icmp::lacks(family, (message.kind, message.code), text) => {
                return Err(Problem::new(
                    word.position,
                    format!("{} has no {text}", with_article(family, &message)),
                    format!("expected `{text}` in {whose}"),
                    "leave it out; `rest` writes the four bytes behind the checksum as they are",
                ));
            }
            ("seq", _) => {
                let sequence = rest.read(words::number("a sequence number", 0..=65_535))? as u32;
                message.rest = message.rest & 0xffff_0000 | sequence;
            }
            ("rest", _) => {
                message.rest = rest.read(words::number("the four bytes behind the checksum", 0..=LARGEST))? as u32;
            }
            ("mtu", Family::V4) => message.rest = rest.read(words::number("an MTU", 0..=65_535))? as u32,
            ("mtu", Family::V6) => message.rest = rest.read(words::number("an MTU", 0..=LARGEST))? as u32,
            ("pointer", Family::V4) => {
                message.rest = (rest.read(words::number("an octet's position", 0..=255))? as u32) << 24;
            }
            ("pointer", Family::V6) => {
                message.rest = rest.read(words::number("an octet's position", 0..=LARGEST))? as u32;
            }
            ("gateway", Family::V4) => {
                message.rest = rest.read(words::one("an IPv4 address", atom::address))?.to_bits();
            }
            ("target" | "group" | "for", Family::V6) => {
                *addresses.place(word)? = Some(rest.read(words::one("an IPv6 address", |text| text.parse().ok()))?);
            }
            ("source-link" | "target-link", Family::V6) => {
                let address = rest.read(words::helped(
                    "a link-layer address",
                    "write it like 02:00:00:00:00:01",
                    link_address,
                ))?;
                draft.data.extend([1 + u8::from(word.text == "target-link"), 1]);
                draft.data.extend(address);
            }
            ("quoting", _) if !icmp::quotes(family, message.kind) => {
                return Err(Problem::new(
                    word.position,
                    format!("{} quotes nothing", with_article(family, &message)),
                    "expected `quoting` in an error, or in a redirect",
                    "leave it out; `data` writes bytes as they are",
                ));
            }
            ("quoting", _) => message.quote = Some(quote(depth, rest)?),
            ("data" | "zeros", _) => {
                may_end_early = true;
                draft.option(word, rest, &ICMP)?;
            }
            _ => draft.option(word, rest, &ICMP)?,
        }
    }
    if icmp::is_error(family, message.kind) && message.quote.is_none() && draft.data.is_empty() {
        return Err(Problem::new(
            rest.position(),
            "an ICMP error quotes the packet that it is about",
            "expected `quoting last` or `quoting (PACKET)`",
            "add `quoting last`, or `data` with the bytes that shall stand there",
        ));
    }
    let mut data = addresses.bytes(may_end_early, rest)?;
    data.append(&mut draft.data);
    draft.data = data;
    draft.transport = Transport::Icmp(message);
    draft.done(rest)
}

/// The addresses that a message begins with, whatever order the line has them in.
struct Addresses {
    /// The message, for who is told of it.
    message: String,
    places: Vec<(&'static str, Option<Ipv6Addr>)>,
}

impl Addresses {
    fn of(family: Family, message: &IcmpDraft) -> Self {
        let names = icmp::addresses(family, message.kind);
        Self {
            message: with_article(family, message),
            places: names.iter().map(|name| (*name, None)).collect(),
        }
    }

    /// Where the address that this word begins belongs, which is empty.
    fn place(&mut self, word: &Word) -> Result<&mut Option<Ipv6Addr>, Problem> {
        let names: Vec<&str> = self.places.iter().map(|(name, _)| *name).collect();
        let place = self.places.iter_mut().find(|(name, _)| *name == word.text);
        match place {
            Some((_, place @ None)) => Ok(place),
            Some((name, Some(_))) => Err(Problem::new(
                word.position,
                format!("this message has its `{name}` already"),
                format!("expected one `{name}`"),
                "leave one of them out",
            )),
            None => Err(Problem::new(
                word.position,
                format!("{} has no {}", self.message, word.text),
                match names[..] {
                    [] => "expected no address here".to_owned(),
                    _ => format!("expected {}", names.join(" or ")),
                },
                "leave it out; `data` writes bytes as they are",
            )),
        }
    }

    /// One behind the other. Only what may end early may lack the last ones.
    fn bytes(&self, may_end_early: bool, rest: &Words<'_>) -> Result<Vec<u8>, Problem> {
        let given: Vec<u8> = self
            .places
            .iter()
            .flat_map(|(_, it)| *it)
            .flat_map(|it| it.octets())
            .collect();
        let mut from_the_missing = self.places.iter().skip_while(|(_, it)| it.is_some());
        match from_the_missing.next() {
            Some((name, _)) if !may_end_early || from_the_missing.any(|(_, it)| it.is_some()) => Err(Problem::new(
                rest.position(),
                format!("{} lacks its `{name}`", self.message),
                format!("expected `{name}` and an IPv6 address"),
                format!("add `{name} A`, or all of its bytes as `data`"),
            )),
            _ => Ok(given),
        }
    }
}

/// What tells that no router has passed it on; whoever wants it refused writes another.
const HOP_LIMIT_OF_NEIGHBOURS: u8 = 255;

fn with_article(family: Family, message: &IcmpDraft) -> String {
    let text = icmp::text(family, message.kind, message.code);
    let article = match text.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => "an",
        false => "a",
    };
    format!("{article} {text}")
}

fn kind(family: Family, rest: &mut Words<'_>) -> Result<IcmpDraft, Problem> {
    let word = rest.read(words::word("a kind of ICMP message, such as echo-request"))?;
    let mut message = IcmpDraft {
        kind: 0,
        code: 0,
        rest: 0,
        quote: None,
    };
    if word.text == "type" {
        message.kind = rest.read(words::number("an ICMP type", 0..=255))? as u8;
        if rest.read(words::has("code"))? {
            message.code = rest.read(words::number("an ICMP code", 0..=255))? as u8;
        }
        return Ok(message);
    }
    let Some(number) = icmp::kind_named(family, &word.text) else {
        return Err(no_kind(word, &[family]));
    };
    message.kind = number;
    let code = words::made(|text| icmp::code_named(family, number, text));
    if let Some(code) = rest.read(opt(code))? {
        message.code = code;
    }
    Ok(message)
}

/// What is said of a word that is no kind of message in any of these families.
pub(crate) fn no_kind(word: &Word, families: &[Family]) -> Problem {
    let names = || families.iter().flat_map(|family| icmp::names(*family));
    let meant = match word.text.as_str() {
        "ping" | "echo" | "request" => "echo-request",
        "pong" | "reply" => "echo-reply",
        "too-big" | "ptb" | "pkt-too-big" => "packet-too-big",
        "ns" | "solicitation" => "neighbour-solicitation",
        "na" | "advertisement" => "neighbour-advertisement",
        "rs" => "router-solicitation",
        "ra" => "router-advertisement",
        "mld" | "query" => "multicast-query",
        other => other,
    };
    let remedy = match suggestion(meant, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let mut known: Vec<&str> = Vec::new();
            for name in names() {
                if !known.contains(&name) {
                    known.push(name);
                }
            }
            format!("one of {}, or `type N code N`", known.join(", "))
        }
    };
    unexpected(word, "expected a kind of ICMP message", &remedy)
}

fn quote(depth: usize, rest: &mut Words<'_>) -> Result<Quote, Problem> {
    let word = rest.read(words::word("`last` or `(PACKET)`"))?;
    match word.text.as_str() {
        "last" => Ok(Quote::Last),
        "(" if depth == DEEPEST => Err(Problem::new(
            word.position,
            format!("{DEEPEST} packets quote one another here already"),
            "what an error quotes ends, and of a further one there would be nothing",
            "end with `quoting last`, or with `data` and the bytes that shall stand there",
        )),
        "(" => {
            let quoted = packet_within(depth + 1, rest)?;
            rest.read(words::expect(")"))?;
            Ok(Quote::Packet(quoted))
        }
        _ => Err(unexpected(
            word,
            "expected `last` or `(PACKET)`",
            "write it like `quoting (udp 10.0.0.2:5000 > 192.0.2.9:53)`",
        )),
    }
}

fn link_address(text: &str) -> Option<Vec<u8>> {
    let octets = text.split(':').map(|octet| u8::from_str_radix(octet, 16).ok());
    octets.collect::<Option<Vec<u8>>>().filter(|octets| octets.len() == 6)
}

/// Packets that quote one another: of IPv4 each begins 28 bytes into the one around it, and of the first one that is quoted 548 bytes are left; of
/// IPv6 it is 48 of 1232.
const DEEPEST: usize = 20;
const LARGEST: u64 = u32::MAX as u64;
