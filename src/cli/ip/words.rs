//! Reading `ip`'s arguments, and its ways to refuse.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::Family;
use crate::net::{ConfigError, Preference, Prefix, RouteKind, RouteProtocol, Scope, table};

/// What is left of the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a>(&'a [String]);

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [String]) -> Self {
        Self(words)
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.0.first().map(String::as_str)
    }

    pub(super) fn take(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The value that has to follow.
    pub(super) fn need(&mut self) -> Result<&'a str, Refused> {
        self.take()
            .ok_or_else(|| Refused::new(255, "Command line is not complete. Try option \"help\"\n"))
    }
}

/// An exit code, and what is said on standard error.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub code: i32,
    pub text: String,
}

impl Refused {
    pub(super) fn new(code: i32, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, text }
    }

    pub(super) fn usage(text: &str) -> Self {
        Self::new(255, text)
    }

    /// What the real tool has and a lab has not.
    pub(super) fn not_there(what: &str) -> Self {
        Self::new(2, format!("ip: {what} is not there in nflab; nothing was changed\n"))
    }

    pub(super) fn wrong(word: &str, why: &str) -> Self {
        Self::new(255, format!("Error: argument \"{word}\" is wrong: {why}\n"))
    }

    pub(super) fn duplicate(what: &str, word: &str) -> Self {
        Self::new(
            255,
            format!("Error: either \"{what}\" is duplicate, or \"{word}\" is a garbage.\n"),
        )
    }

    pub(super) fn no_device(name: &str) -> Self {
        Self::new(1, format!("Cannot find device \"{name}\"\n"))
    }

    pub(super) fn unknown_command(word: &str, object: &str) -> Self {
        Self::new(
            255,
            format!("Command \"{word}\" is unknown, try \"ip {object} help\".\n"),
        )
    }

    /// What the kernel answers by a number alone.
    pub(super) fn by_kernel(why: &str) -> Self {
        Self::new(2, format!("RTNETLINK answers: {why}\n"))
    }

    pub(super) fn explained(why: &str) -> Self {
        Self::new(2, format!("Error: {why}\n"))
    }
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::NoRouteToChange(to, _) if to.family() == Family::V6 => {
                Self::explained("Can not replace route - no match found.")
            }
            ConfigError::InvalidSource(source) if source.is_ipv6() => Self::explained("Invalid source address."),
            ConfigError::NoAddress(address, _) if address.is_ipv6() => Self::explained("ipv6: address not found."),
            ConfigError::TooNarrowForIpv6(_) => Self::by_kernel("Invalid argument"),
            ConfigError::NoHostAddress(_) => Self::explained("ipv6: Invalid address."),
            ConfigError::AddressOfGroup(_) => {
                Self::explained("ipv6: Cannot assign multicast address without \"IFA_F_MCAUTOJOIN\" flag.")
            }
            ConfigError::AddressOfLoopback(_) => {
                Self::explained("ipv6: Cannot assign loopback address on this device.")
            }
            ConfigError::SharedWithoutGateway(_) => {
                Self::explained("Device only routes can not be added for IPv6 using the multipath API.")
            }
            ConfigError::SharedInTheHost(_) => Self::explained("Route with host scope can not have multiple nexthops."),
            ConfigError::NoIpv6AtNexthop(_) => Self::explained("IPv6 is disabled on nexthop device."),
            ConfigError::NexthopDown(_) => Self::explained("Nexthop device is not up."),
            ConfigError::OnlinkNeedsInterface => Self::explained("Nexthop device required for onlink."),
            ConfigError::OnlinkElsewhere(_) => Self::explained("Nexthop has invalid gateway or device mismatch."),
            ConfigError::GatewayIsOwn(_) => Self::explained("Gateway can not be a local address."),
            ConfigError::NoGateway(_) => Self::explained("Invalid gateway address."),
            ConfigError::GatewayNeedsInterface(_) => Self::explained("Egress device not specified."),
            ConfigError::GatewayByLoopback => {
                Self::explained("Egress device can not be loopback device for this route.")
            }
            ConfigError::GatewayUnreachable(_) => Self::by_kernel("No route to host"),
            ConfigError::RouteExists(..) | ConfigError::RuleExists | ConfigError::InterfaceExists(_) => {
                Self::by_kernel("File exists")
            }
            ConfigError::NoTable(_) => Self::explained("FIB table does not exist."),
            ConfigError::NoRoute(..) => Self::by_kernel("No such process"),
            ConfigError::NoRouteToChange(..)
            | ConfigError::NoSuchRouteToChange(..)
            | ConfigError::NoDefaultRoute
            | ConfigError::NoRule => Self::by_kernel("No such file or directory"),
            ConfigError::InvalidGateway(_) => Self::explained("Nexthop has invalid gateway."),
            ConfigError::NoNexthop(_) | ConfigError::NoInterface(_) | ConfigError::TooNarrowForRoutes(_) => {
                Self::by_kernel("No such device")
            }
            ConfigError::NexthopRefused(_) => {
                Self::explained("Gateway, device and multipath can not be specified for this route type.")
            }
            ConfigError::InvalidSource(_) => Self::explained("Invalid prefsrc address."),
            ConfigError::LinkDown(_) => Self::explained("Device for nexthop is not up."),
            ConfigError::GatewayLinkDown(_, false) => Self::by_kernel("Network is down"),
            ConfigError::GatewayLinkDown(_, true) => Self::explained("Nexthop device is not up."),
            ConfigError::NoIpv6Here(_) => Self::explained("ipv6: IPv6 is disabled on this device."),
            ConfigError::AddressExists(address, _) if address.is_ipv6() => {
                Self::explained("ipv6: address already assigned.")
            }
            ConfigError::AddressExists(..) => Self::explained("ipv4: Address already assigned."),
            ConfigError::NoAddress(..) => Self::explained("ipv4: Address not found."),
            ConfigError::BackwardGoto => Self::explained("Backward goto not supported."),
            ConfigError::InvalidScope(_) => Self::explained("ipv4: Invalid scope value."),
            ConfigError::BadMtu(mtu) if mtu < 68 => Self::explained("mtu less than device minimum."),
            ConfigError::BadMtu(_) => Self::explained("mtu greater than device maximum."),
            ConfigError::LoopbackStays => Self::by_kernel("Operation not supported"),
            ConfigError::BadName(_) => Self::by_kernel("Invalid argument"),
            other @ (ConfigError::BadPrefixLength(..) | ConfigError::TooManyInterfaces) => {
                Self::new(2, format!("ip: {other}; nothing was changed\n"))
            }
        }
    }
}

/// `ro` for `route`: any beginning, also the whole.
pub(super) fn abbreviates(word: &str, name: &str) -> bool {
    !word.is_empty() && name.starts_with(word)
}

/// An address with a prefix length, as typed: `10/8` is 10.0.0.0/8, `default` is everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed {
    /// `None`: everything of a family that is not said.
    address: Option<IpAddr>,
    pub length: u8,
    /// A length was given.
    pub is_prefix: bool,
}

impl Typed {
    /// Of what was typed, where that says it.
    pub(super) fn family(self) -> Option<Family> {
        self.address.map(Family::of)
    }

    /// Of everything it is 0.0.0.0, unless this family is meant.
    pub(super) fn address(self, family: Option<Family>) -> IpAddr {
        self.address
            .unwrap_or_else(|| family.unwrap_or(Family::V4).unspecified())
    }

    /// `None` where it has bits beyond its length.
    pub(super) fn prefix(self, family: Option<Family>) -> Option<Prefix> {
        Prefix::new(self.address(family), self.length)
    }

    /// Without those bits.
    pub(super) fn network(self, family: Option<Family>) -> Prefix {
        let address = self.address(family);
        Prefix::containing(address, self.length).unwrap_or(Prefix::host(address))
    }
}

/// How the tool calls what it expects.
fn family_name(family: Option<Family>) -> &'static str {
    match family {
        Some(Family::V4) => "inet",
        Some(Family::V6) => "inet6",
        None => "any valid",
    }
}

/// Of a family, where it is known already.
pub(super) fn prefix(word: &str, family: Option<Family>) -> Result<Typed, Refused> {
    let what = family_name(family);
    let bad = || Refused::new(1, format!("Error: {what} prefix is expected rather than \"{word}\".\n"));
    if matches!(word, "default" | "any" | "all") {
        return Ok(Typed {
            address: family.map(Family::unspecified),
            length: 0,
            is_prefix: true,
        });
    }
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (word, None),
    };
    let address = any_address(address, family).ok_or_else(bad)?;
    Ok(Typed {
        address: Some(address),
        length: match (length, Family::of(address)) {
            (None, family) => family.bits(),
            (Some(length), Family::V4) => prefix_length(length).ok_or_else(bad)?,
            (Some(length), Family::V6) => length.parse().ok().filter(|it| *it <= 128).ok_or_else(bad)?,
        },
        is_prefix: length.is_some(),
    })
}

pub(super) fn address(word: &str, family: Option<Family>) -> Result<IpAddr, Refused> {
    let what = family_name(family);
    let bad = || {
        Refused::new(
            1,
            format!("Error: {what} address is expected rather than \"{word}\".\n"),
        )
    };
    any_address(word, family).ok_or_else(bad)
}

fn any_address(word: &str, family: Option<Family>) -> Option<IpAddr> {
    let found = match word.contains(':') {
        true => IpAddr::V6(word.parse().ok()?),
        false => dotted(word)?.into(),
    };
    Some(found).filter(|found| family.is_none_or(|family| family == Family::of(*found)))
}

/// `10.1` is 10.1.0.0.
fn dotted(word: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = word.split('.');
    for (octet, part) in octets.iter_mut().zip(parts.by_ref()) {
        if !part.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// 24, or 255.255.255.0.
fn prefix_length(word: &str) -> Option<u8> {
    if let Ok(length) = word.parse::<u8>() {
        return (length <= 32).then_some(length);
    }
    let mask = word.parse::<Ipv4Addr>().ok()?.to_bits();
    (mask.count_ones() == mask.leading_ones()).then_some(mask.leading_ones() as u8)
}

/// As C reads it: decimal, 0x..., 0...
pub(super) fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if word.len() > 1 && word.starts_with('0') => u32::from_str_radix(&word[1..], 8).ok(),
        None if word.starts_with('+') => None,
        None => word.parse().ok(),
    }
}

pub(super) fn table(word: &str) -> Option<u32> {
    match word {
        "default" => Some(table::DEFAULT),
        "main" => Some(table::MAIN),
        "local" => Some(table::LOCAL),
        word => number(word),
    }
}

pub(super) fn table_name(number: u32) -> String {
    match number {
        table::DEFAULT => "default".to_owned(),
        table::MAIN => "main".to_owned(),
        table::LOCAL => "local".to_owned(),
        number => number.to_string(),
    }
}

/// By name or number.
pub(super) fn preference(word: &str) -> Option<Preference> {
    match word {
        "low" => Some(Preference::Low),
        "medium" => Some(Preference::Medium),
        "high" => Some(Preference::High),
        word => match number(word)? {
            0 => Some(Preference::Medium),
            1 => Some(Preference::High),
            3 => Some(Preference::Low),
            _ => None,
        },
    }
}

pub(super) fn preference_name(preference: Preference) -> &'static str {
    match preference {
        Preference::Low => "low",
        Preference::Medium => "medium",
        Preference::High => "high",
    }
}

pub(super) fn route_kind(word: &str) -> Option<RouteKind> {
    KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
}

pub(super) fn route_kind_name(kind: RouteKind) -> &'static str {
    KINDS.iter().find(|(_, it)| *it == kind).map_or("", |(name, _)| name)
}

pub(super) fn protocol(word: &str) -> Option<RouteProtocol> {
    let named = PROTOCOLS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, number)| *number);
    named.or_else(|| number(word)?.try_into().ok()).map(RouteProtocol)
}

pub(super) fn protocol_name(protocol: RouteProtocol) -> String {
    let named = PROTOCOLS.iter().find(|(_, number)| *number == protocol.0);
    named.map_or_else(|| protocol.0.to_string(), |(name, _)| (*name).to_owned())
}

/// A type of service by its name, or by a number that is hexadecimal even where it does not say so.
pub(super) fn tos(word: &str) -> Option<u8> {
    let named = TYPES_OF_SERVICE.iter().find(|(name, _)| *name == word);
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let is_number = digits.bytes().all(|it| it.is_ascii_hexdigit());
    let numbered = || u8::from_str_radix(digits, 16).ok().filter(|_| is_number);
    named.map(|(_, tos)| *tos).or_else(numbered)
}

pub(super) fn tos_name(tos: u8) -> String {
    let named = TYPES_OF_SERVICE.iter().find(|(_, number)| *number == tos);
    named.map_or_else(|| format!("{tos:#04x}"), |(name, _)| (*name).to_owned())
}

/// The outer error is the tool's; the inner one names a scope that a lab does not tell from others.
pub(super) fn scope(word: &str, why: &str) -> Result<Scope, Refused> {
    let number = match word {
        "global" | "universe" => 0,
        "site" => 200,
        "link" => 253,
        "host" => 254,
        "nowhere" => 255,
        word => number(word)
            .filter(|it| *it < 256)
            .ok_or_else(|| Refused::wrong(word, why))?,
    };
    match number {
        0 => Ok(Scope::Universe),
        200 => Ok(Scope::Site),
        253 => Ok(Scope::Link),
        254 => Ok(Scope::Host),
        255 => Ok(Scope::Nowhere),
        other => Err(Refused::not_there(&format!("the scope {other}"))),
    }
}

pub(super) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Universe => "global",
        Scope::Site => "site",
        Scope::Link => "link",
        Scope::Host => "host",
        Scope::Nowhere => "nowhere",
    }
}

const KINDS: &[(&str, RouteKind)] = &[
    ("unicast", RouteKind::Unicast),
    ("local", RouteKind::Local),
    ("broadcast", RouteKind::Broadcast),
    ("brd", RouteKind::Broadcast),
    ("anycast", RouteKind::Anycast),
    ("multicast", RouteKind::Multicast),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
];

/// As Debian's `/etc/iproute2/rt_dsfield` names them.
const TYPES_OF_SERVICE: &[(&str, u8)] = &[
    ("default", 0),
    ("AF11", 0x28),
    ("AF12", 0x30),
    ("AF13", 0x38),
    ("AF21", 0x48),
    ("AF22", 0x50),
    ("AF23", 0x58),
    ("AF31", 0x68),
    ("AF32", 0x70),
    ("AF33", 0x78),
    ("AF41", 0x88),
    ("AF42", 0x90),
    ("AF43", 0x98),
    ("CS1", 0x20),
    ("CS2", 0x40),
    ("CS3", 0x60),
    ("CS4", 0x80),
    ("CS5", 0xa0),
    ("CS6", 0xc0),
    ("CS7", 0xe0),
    ("EF", 0xb8),
];

/// As Debian's `/etc/iproute2/rt_protos` names them.
const PROTOCOLS: &[(&str, u8)] = &[
    ("unspec", 0),
    ("redirect", 1),
    ("kernel", 2),
    ("boot", 3),
    ("static", 4),
    ("gated", 8),
    ("ra", 9),
    ("mrt", 10),
    ("zebra", 11),
    ("bird", 12),
    ("dnrouted", 13),
    ("xorp", 14),
    ("ntk", 15),
    ("dhcp", 16),
    ("keepalived", 18),
    ("babel", 42),
    ("bgp", 186),
    ("isis", 187),
    ("ospf", 188),
    ("rip", 189),
    ("eigrp", 192),
];
