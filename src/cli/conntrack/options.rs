//! The options of `conntrack` and how their values are read, as the real tool reads them: seldom strictly.

use std::net::IpAddr;
use std::sync::LazyLock;

use super::arguments::{Spec, Takes};
use super::bad;
use super::request::{Command, NatEnd, Wanted};
use crate::base::{AddressMask, Family, MarkMask, protocol};
use crate::conntrack::proto::TRACKERS;
use crate::conntrack::proto::tool::ToolOption;
use crate::ext::names;
use crate::ext::number::{inet_aton, unchecked_strtoul, whole_number};
use crate::lab::machine::ToolOutput;

pub(super) type Set = fn(&mut Wanted, &'static str, Option<&str>) -> Result<(), ToolOutput>;

#[derive(Clone, Copy)]
pub(super) enum Meaning {
    Command(Command),
    Set(Set),
    /// What a protocol brought.
    OfProtocol(&'static ToolOption),
    Status,
    Events,
    Buffer,
    Zero,
    Output,
    Label,
    LabelToAdd,
    LabelToTake,
    Deprecated,
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

const fn set(letter: char, names: &'static [&'static str], set: Set) -> Spec<Meaning> {
    option(letter, names, Takes::Value, Meaning::Set(set))
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
    command('G', &["get"], Command::Get),
    command('I', &["create"], Command::Create),
    command('A', &["add"], Command::Add),
    command('U', &["update"], Command::Update),
    command('E', &["event"], Command::Events),
    option('S', &["stats"], Takes::MaybeNext, Meaning::Command(Command::Statistics)),
    set('s', &["src", "orig-src"], |wanted, _, value| {
        let (address, mask) = network(wanted, value)?;
        wanted.original[0] = Some(address);
        wanted.masks[0] = mask.or(wanted.masks[0]);
        Ok(())
    }),
    set('d', &["dst", "orig-dst"], |wanted, _, value| {
        let (address, mask) = network(wanted, value)?;
        wanted.original[1] = Some(address);
        wanted.masks[1] = mask.or(wanted.masks[1]);
        Ok(())
    }),
    set('r', &["reply-src"], |wanted, name, value| {
        wanted.reply[0] = Some(host(wanted, name, value)?);
        Ok(())
    }),
    set('q', &["reply-dst"], |wanted, name, value| {
        wanted.reply[1] = Some(host(wanted, name, value)?);
        Ok(())
    }),
    set('p', &["protonum", "proto"], |wanted, _, value| {
        let text = value.unwrap_or("");
        let (number, is_tools) =
            protocol_number(text).ok_or_else(|| bad(&format!("`{text}' unsupported protocol")))?;
        wanted.protocol = Some(number);
        wanted.options_of = is_tools.then_some(number);
        Ok(())
    }),
    set('t', &["timeout"], |wanted, _, value| {
        wanted.timeout = Some(loose(value.unwrap_or(""), 10) as u32);
        Ok(())
    }),
    option('u', &["status"], Takes::Value, Meaning::Status),
    option('z', &["zero"], Takes::Nothing, Meaning::Zero),
    option('e', &["event-mask"], Takes::Value, Meaning::Events),
    set('[', &["tuple-src"], |wanted, _, value| {
        let (address, mask) = network(wanted, value)?;
        wanted.expected[0] = Some(address);
        wanted.masks[0] = mask.or(wanted.masks[0]);
        Ok(())
    }),
    set(']', &["tuple-dst"], |wanted, _, value| {
        let (address, mask) = network(wanted, value)?;
        wanted.expected[1] = Some(address);
        wanted.masks[1] = mask.or(wanted.masks[1]);
        Ok(())
    }),
    set('{', &["mask-src"], |wanted, name, value| {
        wanted.masks[0] = Some(host(wanted, name, value)?);
        Ok(())
    }),
    set('}', &["mask-dst"], |wanted, name, value| {
        wanted.masks[1] = Some(host(wanted, name, value)?);
        Ok(())
    }),
    option('a', &["nat-range"], Takes::Value, Meaning::Deprecated),
    set('m', &["mark"], |wanted, _, value| {
        wanted.mark = Some(mark(value.unwrap_or("")));
        Ok(())
    }),
    option('i', &["id"], Takes::ValueOrAttached, Meaning::Set(|wanted, _, value| {
        wanted.id = Some(loose(value.unwrap_or(""), 0) as u32);
        Ok(())
    })),
    set('f', &["family"], |wanted, _, value| {
        wanted.of_family(match value {
            // What follows is not looked at.
            Some(text) if text.starts_with("ipv4") => Family::V4,
            Some(text) if text.starts_with("ipv6") => Family::V6,
            other => return Err(bad(&format!("`{}' unsupported protocol", other.unwrap_or("")))),
        })
    }),
    option('n', &["src-nat"], Takes::Maybe, Meaning::Set(|wanted, name, value| {
        wanted.source_nat = Some(nat_end(wanted, name, value)?.after(wanted.source_nat));
        Ok(())
    })),
    option('g', &["dst-nat"], Takes::Maybe, Meaning::Set(|wanted, name, value| {
        wanted.destination_nat = Some(nat_end(wanted, name, value)?.after(wanted.destination_nat));
        Ok(())
    })),
    option('o', &["output"], Takes::Value, Meaning::Output),
    // No flow here has a security context, and seen: the real tool's wanted lets every flow through that has none either.
    set('c', &["secmark"], |_, _, _| Ok(())),
    option('b', &["buffer-size"], Takes::Value, Meaning::Buffer),
    option('j', &["any-nat"], Takes::Maybe, Meaning::Set(|wanted, name, value| {
        wanted.any_nat = Some(nat_end(wanted, name, value)?.after(wanted.any_nat));
        Ok(())
    })),
    set('w', &["zone"], |wanted, _, value| zone(wanted, 0, value)),
    option('l', &["label"], Takes::Value, Meaning::Label),
    option('<', &["label-add"], Takes::Value, Meaning::LabelToAdd),
    option('>', &["label-del"], Takes::Maybe, Meaning::LabelToTake),
    set('(', &["orig-zone"], |wanted, _, value| zone(wanted, 1, value)),
    set(')', &["reply-zone"], |wanted, _, value| zone(wanted, 2, value)),
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

/// Those that the tool knows itself in any case, the others as `/etc/protocols` has them, numbers in any base; and whether it is one that brings options.
/// Seen: `ipv6-icmp` brings none, which the tool calls `icmpv6`.
fn protocol_number(text: &str) -> Option<(u8, bool)> {
    let lowered = text.to_ascii_lowercase();
    let known = TRACKERS.iter().filter(|tracker| tracker.protocol != protocol::RAW);
    if let Some(tracker) = known.into_iter().find(|tracker| tracker.name == lowered) {
        return Some((tracker.protocol, true));
    }
    let named = || names::protocol_number_as_typed(text).filter(|_| !matches!(text, "all" | "mh" | "ipv6-mh"));
    let typed = whole_number(text).and_then(|number| u8::try_from(number).ok());
    typed
        .map(|number| (number, true))
        .or_else(|| named().map(|number| (number, false)))
}

/// As `atoi` and `strtoul`: what a text begins with, modulo whatever it is put into.
pub(super) fn loose(text: &str, base: u32) -> u64 {
    unchecked_strtoul(text, base).0
}

/// `VALUE[/MASK]`. Seen: a slash that does not stand right behind the value's digits is not looked at.
fn mark(text: &str) -> MarkMask {
    let (value, rest) = unchecked_strtoul(text, 0);
    let mask = rest.strip_prefix('/').map(|mask| loose(mask, 0) as u32);
    MarkMask {
        value: value as u32,
        mask: mask.unwrap_or(u32::MAX),
    }
}

/// `address[/length]`: the address, and the mask if a length was given. Seen: one of all bits is none, and leaves what was said before.
fn network(wanted: &mut Wanted, value: Option<&str>) -> Result<(IpAddr, Option<IpAddr>), ToolOutput> {
    let (address, length) = address(wanted, value.unwrap_or(""))?;
    let length = length.unwrap_or("");
    let digits = length.trim_ascii_start();
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    if length.is_empty() {
        return Ok((address, None));
    }
    let mask = digits
        .parse()
        .ok()
        .and_then(|length| Family::of(address).prefix_mask(length));
    let whole = AddressMask::host(address).mask();
    mask.map(|mask| (address, Some(mask).filter(|mask| *mask != whole)))
        .ok_or_else(|| bad("Invalid netmask"))
}

/// A number of 16 bits. Seen: a text that is none is 0.
fn zone(wanted: &mut Wanted, of: usize, value: Option<&str>) -> Result<(), ToolOutput> {
    wanted.zones[of] = Some(loose(value.unwrap_or(""), 0) as u16);
    Ok(())
}

fn host(wanted: &mut Wanted, name: &str, value: Option<&str>) -> Result<IpAddr, ToolOutput> {
    match address(wanted, value.unwrap_or(""))? {
        (address, None) => Ok(address),
        (_, Some(_)) => Err(bad(&format!("CIDR notation unavailable for `--{name}'"))),
    }
}

/// `address[:port]`, `[address]:port`, or nothing.
fn nat_end(wanted: &mut Wanted, name: &str, value: Option<&str>) -> Result<NatEnd, ToolOutput> {
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
    let address = Some(host(wanted, name, Some(typed))?);
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
fn address<'a>(wanted: &mut Wanted, text: &'a str) -> Result<(IpAddr, Option<&'a str>), ToolOutput> {
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
    wanted.of_family(Family::of(address))?;
    Ok((address, length))
}

/// Whether the tool knows a protocol's ports or whatever it has instead.
pub(super) fn is_known(number: u8) -> bool {
    TRACKERS
        .iter()
        .any(|tracker| tracker.protocol == number && !tracker.options.is_empty())
}
