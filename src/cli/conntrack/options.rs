//! The options of `conntrack` and how their values are read, as the real tool reads them: seldom strictly.

use std::net::IpAddr;
use std::sync::LazyLock;

use super::arguments::{Spec, Takes};
use super::{Command, Filter, NatEnd, bad};
use crate::base::{AddressMask, Family, MarkMask, protocol};
use crate::conntrack::proto::tool::{Asked, ToolOption};
use crate::conntrack::proto::{self, TRACKERS};
use crate::ext::names;
use crate::ext::number::{inet_aton, strtoul, whole_number};
use crate::lab::machine::ToolOutput;
use crate::packet::End;

pub(super) type Set = fn(&mut Filter, &'static str, Option<&str>) -> Result<(), ToolOutput>;

#[derive(Clone, Copy)]
pub(super) enum Meaning {
    Command(Command),
    Filter(Set),
    /// What a protocol brought.
    OfProtocol(&'static ToolOption),
    Status,
    Events,
    Buffer,
    Output,
    Deprecated,
    /// The real tool has it; here it is refused.
    Absent,
    /// The same, once its address has been read.
    AbsentAddress,
}

const fn option(letter: char, names: &'static [&'static str], takes: Takes, key: Meaning) -> Spec<Meaning> {
    Spec {
        letter: Some(letter),
        names,
        takes,
        protocols: Vec::new(),
        key,
    }
}

const fn command(letter: char, names: &'static [&'static str], which: Command) -> Spec<Meaning> {
    option(letter, names, Takes::Maybe, Meaning::Command(which))
}

const fn filter(letter: char, names: &'static [&'static str], set: Set) -> Spec<Meaning> {
    option(letter, names, Takes::Value, Meaning::Filter(set))
}

const fn absent_option(letter: Option<char>, names: &'static [&'static str], takes: Takes) -> Spec<Meaning> {
    Spec {
        letter,
        names,
        takes,
        protocols: Vec::new(),
        key: Meaning::Absent,
    }
}

/// In the order in which the tool complains of them: its own first, then what `-p` brings.
pub(super) static OPTIONS: LazyLock<Vec<Spec<Meaning>>> =
    LazyLock::new(|| OWN.iter().cloned().chain(of_protocols()).collect());

/// What the protocols bring. An option that several bring is one.
fn of_protocols() -> Vec<Spec<Meaning>> {
    let mut all: Vec<Spec<Meaning>> = Vec::new();
    for tracker in TRACKERS {
        for option in tracker.options.iter().copied().flatten() {
            let same = |spec: &&mut Spec<Meaning>| matches!(spec.key, Meaning::OfProtocol(asked) if asked == option);
            match all.iter_mut().find(same) {
                Some(spec) => spec.protocols.push(tracker.protocol),
                None => all.push(Spec {
                    letter: None,
                    names: option.names,
                    takes: Takes::Value,
                    protocols: vec![tracker.protocol],
                    key: Meaning::OfProtocol(option),
                }),
            }
        }
    }
    all
}

/// What is there whatever the protocol.
#[rustfmt::skip]
const OWN: &[Spec<Meaning>] = &[
    command('L', &["dump"], Command::List),
    command('D', &["delete"], Command::Delete),
    command('F', &["flush"], Command::Flush),
    command('C', &["count"], Command::Count),
    option('V', &["version"], Takes::MaybeNext, Meaning::Command(Command::Version)),
    option('h', &["help"], Takes::MaybeNext, Meaning::Command(Command::Help)),
    command('G', &["get"], Command::Absent),
    command('I', &["create"], Command::Absent),
    command('A', &["add"], Command::Absent),
    command('U', &["update"], Command::Absent),
    command('E', &["event"], Command::Events),
    command('S', &["stats"], Command::Absent),
    filter('s', &["src", "orig-src"], |filter, name, value| {
        filter.source = Some(network(filter, name, value)?);
        Ok(())
    }),
    filter('d', &["dst", "orig-dst"], |filter, name, value| {
        filter.destination = Some(network(filter, name, value)?);
        Ok(())
    }),
    filter('r', &["reply-src"], |filter, name, value| {
        filter.reply_source = Some(AddressMask::host(host(filter, name, value)?));
        Ok(())
    }),
    filter('q', &["reply-dst"], |filter, name, value| {
        filter.reply_destination = Some(AddressMask::host(host(filter, name, value)?));
        Ok(())
    }),
    filter('p', &["protonum", "proto"], |filter, _, value| {
        let text = value.unwrap_or("");
        filter.protocol = Some(protocol_number(text).ok_or_else(|| bad(&format!("`{text}' unsupported protocol")))?);
        Ok(())
    }),
    absent_option(Some('t'), &["timeout"], Takes::Value),
    option('u', &["status"], Takes::Value, Meaning::Status),
    absent_option(Some('z'), &["zero"], Takes::Nothing),
    option('e', &["event-mask"], Takes::Value, Meaning::Events),
    option('[', &["tuple-src"], Takes::Value, Meaning::AbsentAddress),
    option(']', &["tuple-dst"], Takes::Value, Meaning::AbsentAddress),
    option('{', &["mask-src"], Takes::Value, Meaning::AbsentAddress),
    option('}', &["mask-dst"], Takes::Value, Meaning::AbsentAddress),
    option('a', &["nat-range"], Takes::Value, Meaning::Deprecated),
    filter('m', &["mark"], |filter, _, value| {
        let (value, mask) = value.unwrap_or("").split_once('/').map_or((value.unwrap_or(""), None), |(value, mask)| (value, Some(mask)));
        filter.mark = Some(MarkMask { value: loose(value, 0) as u32, mask: mask.map_or(u32::MAX, |mask| loose(mask, 0) as u32) });
        Ok(())
    }),
    absent_option(Some('i'), &["id"], Takes::Value),
    filter('f', &["family"], |filter, _, value| {
        filter.of_family(match value {
            // What follows is not looked at.
            Some(text) if text.starts_with("ipv4") => Family::V4,
            Some(text) if text.starts_with("ipv6") => Family::V6,
            other => return Err(bad(&format!("`{}' unsupported protocol", other.unwrap_or("")))),
        })
    }),
    option('n', &["src-nat"], Takes::Maybe, Meaning::Filter(|filter, name, value| {
        filter.source_nat = Some(nat_end(filter, name, value)?);
        Ok(())
    })),
    option('g', &["dst-nat"], Takes::Maybe, Meaning::Filter(|filter, name, value| {
        filter.destination_nat = Some(nat_end(filter, name, value)?);
        Ok(())
    })),
    option('o', &["output"], Takes::Value, Meaning::Output),
    absent_option(Some('c'), &["secmark"], Takes::Value),
    option('b', &["buffer-size"], Takes::Value, Meaning::Buffer),
    option('j', &["any-nat"], Takes::Maybe, Meaning::Filter(|filter, name, value| {
        filter.any_nat = Some(nat_end(filter, name, value)?);
        Ok(())
    })),
    absent_option(Some('w'), &["zone"], Takes::Value),
    absent_option(Some('l'), &["label"], Takes::Value),
    absent_option(Some('<'), &["label-add"], Takes::Value),
    absent_option(Some('>'), &["label-del"], Takes::Maybe),
    absent_option(Some('('), &["orig-zone"], Takes::Value),
    absent_option(Some(')'), &["reply-zone"], Takes::Value),
];

// Which of its own options a command goes with. What a protocol brings goes with all that filter.
#[rustfmt::skip]
pub(super) const LIST: &[&str] = &[
    "src", "dst", "reply-src", "reply-dst", "protonum", "status", "zero", "mask-src", "mask-dst", "nat-range", "mark", "id", "family", "src-nat", "dst-nat", "output",
    "secmark", "any-nat", "zone", "label", "orig-zone", "reply-zone",
];
#[rustfmt::skip]
pub(super) const DELETE: &[&str] = &[
    "src", "dst", "reply-src", "reply-dst", "protonum", "timeout", "status", "mask-src", "mask-dst", "nat-range", "mark", "id", "family", "src-nat", "dst-nat", "output",
    "secmark", "zone", "label", "orig-zone", "reply-zone",
];
#[rustfmt::skip]
pub(super) const EVENT: &[&str] = &[
    "src", "dst", "reply-src", "reply-dst", "protonum", "event-mask", "mask-src", "mask-dst", "nat-range", "mark", "family", "src-nat", "dst-nat", "output",
    "secmark", "buffer-size", "any-nat", "zone", "label", "orig-zone", "reply-zone",
];
#[rustfmt::skip]
pub(super) const ALL: &[&str] = &[
    "src", "dst", "reply-src", "reply-dst", "protonum", "timeout", "status", "zero", "event-mask", "tuple-src", "tuple-dst", "mask-src", "mask-dst",
    "nat-range", "mark", "id", "family", "src-nat", "dst-nat", "output", "secmark", "buffer-size", "any-nat", "zone", "label", "label-add",
    "label-del", "orig-zone", "reply-zone",
];

const TABLES: &[&str] = &["expect", "conntrack", "dying", "unconfirmed"];
pub(super) const FORMATS: &[&str] = &[
    "extended",
    "id",
    "xml",
    "timestamp",
    "ktimestamp",
    "labels",
    "userspace",
    "save",
];
#[rustfmt::skip]
pub(super) const STATUSES: &[&str] = &[
    "ASSURED", "SEEN_REPLY", "UNSET", "FIXED_TIMEOUT", "EXPECTED", "OFFLOAD", "HW_OFFLOAD", "UNREPLIED",
];
pub(super) const EVENTS: &[&str] = &["ALL", "NEW", "UPDATES", "DESTROY"];
/// A table's name, which may be cut short, down to nothing.
pub(super) fn table_of(text: &str) -> Result<&'static str, ToolOutput> {
    let found = TABLES.iter().find(|name| name.starts_with(text));
    found.copied().ok_or_else(|| bad(&format!("unknown type `{text}'")))
}

/// Each of some words between commas, in any case and cut short; of one that is none, the tool shows it and all behind it. Two words that were a
/// status once are warned of, whatever the words are for.
pub(super) fn each(
    text: &str,
    known: &[&'static str],
    warnings: &mut String,
    mut take: impl FnMut(&'static str),
) -> Result<(), ToolOutput> {
    let mut rest = text;
    loop {
        let (word, behind) = rest
            .split_once(',')
            .map_or((rest, None), |(word, behind)| (word, Some(behind)));
        let meant = |name: &str| {
            let begin = name.get(..word.len()).filter(|_| !word.is_empty());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        };
        if meant("SRC_NAT") {
            *warnings += "WARNING: ignoring SRC_NAT, use --src-nat instead\n";
        } else if meant("DST_NAT") {
            *warnings += "WARNING: ignoring DST_NAT, use --dst-nat instead\n";
        } else {
            // Of this one word the tool wants all, and does not mind what follows.
            let whole = known
                .iter()
                .find(|name| **name == "UNREPLIED" && word.starts_with(**name));
            match whole.or_else(|| known.iter().find(|name| **name != "UNREPLIED" && meant(name))) {
                Some(name) => take(name),
                None => return Err(bad(&format!("Bad parameter `{rest}'"))),
            }
        }
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(()),
        }
    }
}

/// Those that the tool knows itself in any case, the others as `/etc/protocols` has them, numbers in any base.
fn protocol_number(text: &str) -> Option<u8> {
    let lowered = text.to_ascii_lowercase();
    let known = TRACKERS.iter().filter(|tracker| tracker.protocol != protocol::RAW);
    if let Some(tracker) = known.into_iter().find(|tracker| tracker.name == lowered) {
        return Some(tracker.protocol);
    }
    let named = || names::protocol_number_as_typed(text).filter(|_| !matches!(text, "all" | "mh" | "ipv6-mh"));
    whole_number(text)
        .and_then(|number| u8::try_from(number).ok())
        .or_else(named)
}

/// As `atoi` and `strtoul`: what a text begins with, modulo whatever it is put into.
pub(super) fn loose(text: &str, base: u32) -> u64 {
    let trimmed = text.trim_ascii_start();
    let digits = trimmed.strip_prefix('-').unwrap_or(trimmed);
    let number = strtoul(digits, base).map_or(0, |(number, _)| number);
    if digits.len() < trimmed.len() {
        number.wrapping_neg()
    } else {
        number
    }
}

/// What an option that a protocol brings asks, with its value.
pub(super) fn ask(filter: &mut Filter, asked: &ToolOption, value: &str) -> Result<(), ToolOutput> {
    let number = loose(value, 10) as u16;
    match asked.asks {
        Asked::Id(direction, end) => {
            let of_end = match end {
                End::Source => 0,
                End::Destination => 1,
            };
            filter.ids[2 * direction.index() + of_end] = Some(number);
        }
        // A byte each.
        Asked::Type => filter.kind = Some(number as u8),
        Asked::Code => filter.code = Some(number as u8),
        Asked::State(words) => {
            let Some((_, shown)) = words.iter().find(|(word, _)| *word == value) else {
                let protocol = filter.protocol.map_or("", |number| proto::spec(number).name);
                return Err(bad(&format!(
                    "unknown {} state `{value}'",
                    protocol.to_ascii_uppercase()
                )));
            };
            filter.state = Some(shown);
        }
        Asked::Unasked | Asked::NotThere => {}
    }
    Ok(())
}

/// `address[/length]`.
pub(super) fn network(filter: &mut Filter, _: &str, value: Option<&str>) -> Result<AddressMask, ToolOutput> {
    let (address, length) = address(filter, value.unwrap_or(""))?;
    let length = length.unwrap_or("");
    let digits = length.trim_ascii_start();
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    if length.is_empty() {
        return Ok(AddressMask::host(address));
    }
    let made = digits
        .parse()
        .ok()
        .and_then(|length| AddressMask::prefix(address, length));
    made.ok_or_else(|| bad("Invalid netmask"))
}

pub(super) fn host(filter: &mut Filter, name: &str, value: Option<&str>) -> Result<IpAddr, ToolOutput> {
    match address(filter, value.unwrap_or(""))? {
        (address, None) => Ok(address),
        (_, Some(_)) => Err(bad(&format!("CIDR notation unavailable for `--{name}'"))),
    }
}

/// `address[:port]`, `[address]:port`, or nothing.
fn nat_end(filter: &mut Filter, name: &str, value: Option<&str>) -> Result<NatEnd, ToolOutput> {
    let Some(text) = value else {
        return Ok(NatEnd::default());
    };
    let (typed, port) = address_and_port(text)?;
    let port = match port {
        None => None,
        Some("") => return Err(bad("No port specified after `:'")),
        Some(port) => match port.parse().ok().filter(|_| port.bytes().all(|it| it.is_ascii_digit())) {
            Some(number) => Some(number),
            None => return Err(bad(&format!("Invalid port `{port}'"))),
        },
    };
    let address = Some(host(filter, name, Some(typed))?);
    Ok(NatEnd { address, port })
}

fn address_and_port(text: &str) -> Result<(&str, Option<&str>), ToolOutput> {
    let parted = match text.split_once('[') {
        // Seen: what stands before the bracket, and between it and the colon, is not looked at; without a port the bracket is one letter of many.
        Some((_, behind)) => match behind.split_once(']') {
            None => return Err(bad("No closing ']' around IPv6 address")),
            Some(("", _)) => return Err(bad("No IPv6 address specified")),
            Some((address, behind)) => behind.split_once(':').map(|(_, port)| (address, port)),
        },
        // A second colon is an IPv6 address's.
        None => text.split_once(':').filter(|(_, port)| !port.contains(':')),
    };
    Ok(parted.map_or((text, None), |(address, port)| (address, Some(port))))
}

/// An address in any form that the C library takes, and what stands behind its slash.
fn address<'a>(filter: &mut Filter, text: &'a str) -> Result<(IpAddr, Option<&'a str>), ToolOutput> {
    let (typed, length) = text
        .split_once('/')
        .map_or((text, None), |(typed, length)| (typed, Some(length)));
    // `inet_aton` stops at a blank.
    let four = inet_aton(typed.split(|it: char| it.is_ascii_whitespace()).next().unwrap_or(""));
    let address = match four {
        Some(address) => IpAddr::V4(address),
        None => typed
            .parse()
            .map(IpAddr::V6)
            .map_err(|_| bad(&format!("Invalid IP address `{text}'")))?,
    };
    filter.of_family(Family::of(address))?;
    Ok((address, length))
}
