//! The addresses and ports that SNAT, DNAT, MASQUERADE and REDIRECT take, in the tool's words.

use std::fmt::Write;
use std::net::IpAddr;

use crate::base::{AddressRange, Family, PortRange, protocol, write_address};
use crate::ext::drawn::{Draw, Place};
use crate::ext::listed::{Listed, Options};
use crate::ext::names;
use crate::ext::number::strtoul;
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::place::{only_hooks, only_table};
use crate::nat::NatRange;
use crate::rule::{Changes, Effect, Ends, Hook, HookSet, Refusal, Scope, StateUse, Table};

pub(super) const RANDOM: Opt<()> = Opt::flag("random", "the port is drawn from a hash with a secret");
pub(super) const RANDOM_FULLY: Opt<()> = Opt::flag("random-fully", "the port is drawn anew for each flow");
pub(super) const PERSISTENT: Opt<()> = Opt::flag("persistent", "a client gets the same address each time");

/// The flow gets its mapping, and the packet is rewritten when it has left the table.
pub(super) const EFFECT: Effect = Effect::PURE
    .with_state(StateUse::Writes)
    .changing(Changes::TRACKING)
    .ending(Ends::Always);

/// They stand in the nat table, at these hooks.
pub(super) fn check(scope: &Scope<'_>, name: &str, hooks: &[Hook]) -> Result<(), Refusal> {
    let who = format!("{name} target");
    only_table(scope, &who, Table::Nat)?;
    only_hooks(scope, &who, HookSet::of(hooks))
}

/// Whether a rule may name ports. The tool counts ICMP among what has some.
pub(super) fn may_have_ports(place: &Place) -> bool {
    matches!(
        place.protocol,
        Some(protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::ICMP)
    )
}

/// Now and then that ports are drawn; `fully`, where it may stand.
pub(super) fn draw_random(draw: &mut Draw<'_>, fully: bool) {
    let which = draw.below(10);
    if which == 0 || fully && which == 1 {
        draw.give(&RANDOM.spec, "");
    }
    if fully && matches!(which, 1 | 2) {
        draw.give(&RANDOM_FULLY.spec, "");
    }
}

/// The addresses and ports that a flow may get.
pub(super) const fn addresses(name: &'static str, read: &'static Read<NatRange>, help: &'static str) -> Opt<NatRange> {
    Opt::own(name, "[ADDRESS[-ADDRESS]][:PORT[-PORT]]", read, help).required()
}

/// The ports that a flow may get, where the address follows from its way.
pub(super) const fn only_ports(read: &'static Read<NatRange>, help: &'static str) -> Opt<NatRange> {
    Opt::own("to-ports", "PORT[-PORT]", read, help)
}

/// What a shifted range (`80-90/85`) is to a target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    /// DNAT keeps the base; REDIRECT refuses it later.
    Kept,
    /// SNAT and MASQUERADE take it and lose the base: it is 0.
    Lost,
}

/// `[address[-address]][:port[-port[/port]]]`, where addresses of IPv6 before a port stand in brackets.
pub(super) fn to(text: &str, given: &Given<'_>, shift: Shift) -> Result<NatRange, UsageError> {
    let mut range = NatRange::default();
    let Parts {
        before_ports,
        addresses,
        ports_text,
    } = parts(text, given.family).ok_or_else(|| UsageError::parameter("Invalid address format"))?;
    if let Some(ports_text) = ports_text {
        range = ports(ports_text, given, shift)?;
        // Two bytes, whatever they are, pass for the `[]` of no IPv6 address.
        if matches!(before_ports, 0 | 2) {
            return Ok(range);
        }
    }
    let address = |text: &str| {
        let address = text.parse::<IpAddr>().ok().filter(|it| Family::of(*it) == given.family);
        address.ok_or_else(|| UsageError::parameter(format!("Bad IP address \"{text}\"")))
    };
    range.addresses = Some(match addresses.split_once('-') {
        Some((low, high)) => AddressRange {
            low: address(low)?,
            high: address(high)?,
        },
        None => AddressRange::single(address(addresses)?),
    });
    Ok(range)
}

struct Parts<'a> {
    /// How many bytes stand before the colon of the ports.
    before_ports: usize,
    addresses: &'a str,
    ports_text: Option<&'a str>,
}

/// `None` where a bracket does not belong.
fn parts(text: &str, family: Family) -> Option<Parts<'_>> {
    if let Some((_, rest)) = text.split_once('[') {
        // What stands before the bracket, and between its fellow and the colon, is not looked at.
        let (addresses, behind) = rest.split_once(']').filter(|_| family == Family::V6)?;
        let colon = behind.find(':').map(|at| text.len() - behind.len() + at);
        return Some(Parts {
            before_ports: colon.unwrap_or_default(),
            addresses,
            ports_text: colon.map(|at| &text[at + 1..]),
        });
    }
    // Two colons are no port but the look of an IPv6 address.
    let (addresses, ports_text) = match text.split_once(':') {
        Some((addresses, ports)) if !ports.contains(':') => (addresses, Some(ports)),
        _ => (text, None),
    };
    Some(Parts {
        before_ports: addresses.len(),
        addresses,
        ports_text,
    })
}

/// `port[-port[/port]]`: names for the first and the last, numbers in any base.
pub(super) fn ports(text: &str, given: &Given<'_>, shift: Shift) -> Result<NatRange, UsageError> {
    let mut range = NatRange::default();
    // An inverted -p counts like a plain one here.
    if !matches!(
        given.protocol,
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::ICMP
    ) {
        return Err(UsageError::parameter(
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ));
    }
    let not_valid = |text: &str| UsageError::parameter(format!("Port `{text}' not valid"));
    let number = |text| {
        let (number, rest) = strtoul(text, 0)?;
        Some((u16::try_from(number).ok()?, rest))
    };
    let Some((low, rest)) = number(text) else {
        let port = names::port_of_any_protocol(text).ok_or_else(|| not_valid(text))?;
        range.ports = Some(PortRange::single(port));
        return Ok(range);
    };
    range.ports = Some(PortRange::single(low));
    if rest.is_empty() {
        return Ok(range);
    }
    if rest.starts_with(':') {
        return Err(UsageError::parameter("Invalid port:port syntax - use dash"));
    }
    let Some(high_text) = rest.strip_prefix('-') else {
        return Err(UsageError::parameter(format!("Garbage after port value: `{rest}'")));
    };
    let (high, rest) = number(high_text).ok_or_else(|| not_valid(high_text))?;
    if high < low {
        return Err(UsageError::parameter(format!("Port range `{high_text}' funky")));
    }
    range.ports = Some(PortRange { low, high });
    if rest.is_empty() {
        return Ok(range);
    }
    let Some(base_text) = rest.strip_prefix('/') else {
        return Err(UsageError::parameter(format!("Garbage after port range: `{rest}'")));
    };
    // What follows the base is not looked at.
    let base = match number(base_text) {
        Some((base, _)) if base != 0 => base,
        _ => names::port_of_any_protocol(base_text).ok_or_else(|| not_valid(base_text))?,
    };
    range.port_base = Some(match shift {
        Shift::Kept => base,
        Shift::Lost => 0,
    });
    Ok(range)
}

/// `80`, `80-90`, `80-90/85`.
pub(super) fn write_ports(out: &mut String, range: &NatRange) {
    let Some(PortRange { low, high }) = range.ports else {
        return;
    };
    let _ = write!(out, "{low}");
    if high != low {
        let _ = write!(out, "-{high}");
    }
    if let Some(base) = range.port_base {
        let _ = write!(out, "/{base}");
    }
}

/// Addresses and ports as `to` reads them.
pub(super) fn write_to(out: &mut String, range: &NatRange) {
    let is_bracketed = range.ports.is_some() && range.addresses.is_some_and(|it| it.low.is_ipv6());
    if let Some(AddressRange { low, high }) = range.addresses {
        if is_bracketed {
            out.push('[');
        }
        write_address(out, low);
        if high != low {
            out.push('-');
            write_address(out, high);
        }
    }
    if is_bracketed {
        out.push(']');
    }
    if range.ports.is_some() {
        out.push(':');
        write_ports(out, range);
    }
}

/// A flag, and whether a range has it.
type Flag = (Opt<()>, fn(&NatRange) -> bool);

const FLAGS: [Flag; 3] = [
    (RANDOM, |range| range.random),
    (RANDOM_FULLY, |range| range.random_fully),
    (PERSISTENT, |range| range.persistent),
];

/// The flags as they are typed.
pub(super) fn save_flags(out: &mut String, range: &NatRange) {
    for (flag, _) in FLAGS.iter().filter(|(_, is_set)| is_set(range)) {
        let _ = write!(out, " {}", flag.spelled(false));
    }
}

/// The flags as they are listed.
pub(super) fn list_flags(out: &mut String, range: &NatRange) {
    for (flag, _) in FLAGS.iter().filter(|(_, is_set)| is_set(range)) {
        let _ = write!(out, " {}", flag.name());
    }
}

/// The inverse of [`list_flags`].
pub(super) fn unlist_flags(listed: &mut Listed<'_>, options: &mut Options) {
    while let Some((false, flag)) = listed.option_of(&FLAGS.map(|(flag, _)| flag.name())) {
        options.push(false, flag, "");
    }
}

/// What the options of a target say: its range, and the flags.
pub(super) fn of(given: &Given<'_>, range: Opt<NatRange>) -> NatRange {
    NatRange {
        random: given.has(RANDOM),
        random_fully: given.has(RANDOM_FULLY),
        persistent: given.has(PERSISTENT),
        ..given.value(range).unwrap_or_default()
    }
}
