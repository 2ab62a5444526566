//! Routes, tables and routing rules: what `ip route` and `ip rule` hold, and the longest-prefix look-up over them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::base::{AddressMask, Family, InterfaceId, MarkMask};

/// What a route does with a packet; also what `-m addrtype` calls an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
}

/// How far away what a route leads to is. A smaller value is farther, as in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Universe,
    Site,
    Link,
    Host,
    Nowhere,
}

/// An address and a prefix length, host bits zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    mask: AddressMask,
    length: u8,
}

/// One route, as `ip route add` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub to: Prefix,
    pub kind: RouteKind,
    pub via: Option<IpAddr>,
    pub interface: Option<InterfaceId>,
    /// The preferred source of the router's own packets (`src`).
    pub source: Option<IpAddr>,
    pub metric: u32,
    pub table: u32,
    pub scope: Scope,
    /// `mtu N`: for packets that take this route, instead of the device's.
    pub mtu: Option<u32>,
}

/// Numbers of the tables that every namespace has.
pub mod table {
    pub const DEFAULT: u32 = 253;
    pub const MAIN: u32 = 254;
    pub const LOCAL: u32 = 255;
}

/// One line of `ip rule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    pub priority: u32,
    pub mark: MarkMask,
    pub from: Option<Prefix>,
    pub to: Option<Prefix>,
    pub input: Option<InterfaceId>,
    pub output: Option<InterfaceId>,
    pub tos: u8,
    pub action: RuleAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    Table(u32),
    Blackhole,
    Unreachable,
    Prohibit,
}

impl Prefix {
    /// `None` where the family has fewer bits than `length` or where `address` has bits beyond it.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let mask = AddressMask::prefix(address, length)?;
        (mask.address() == address).then_some(Self { mask, length })
    }

    /// The network that `address` lies in.
    pub fn containing(address: IpAddr, length: u8) -> Option<Self> {
        Some(Self {
            mask: AddressMask::prefix(address, length)?,
            length,
        })
    }

    pub fn default_of(family: Family) -> Self {
        Self {
            mask: AddressMask::any(family),
            length: 0,
        }
    }

    pub fn host(address: IpAddr) -> Self {
        Self {
            mask: AddressMask::host(address),
            length: Family::of(address).bits(),
        }
    }

    pub fn address(&self) -> IpAddr {
        self.mask.address()
    }

    pub fn length(&self) -> u8 {
        self.length
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.mask.contains(address)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no network prefix: write it like 10.0.0.0/8, 192.0.2.1 or default, with no bits after the prefix")]
pub struct BadPrefix {
    pub text: String,
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    /// `default` is that of IPv4.
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let bad = || BadPrefix { text: text.to_owned() };
        if text == "default" {
            return Ok(Self::default_of(Family::V4));
        }
        let Some((address, length)) = text.split_once('/') else {
            return Ok(Self::host(text.parse().map_err(|_| bad())?));
        };
        let address = address.parse().map_err(|_| bad())?;
        Self::new(address, length.parse().map_err(|_| bad())?).ok_or_else(bad)
    }
}

impl Route {
    /// A unicast route in the main table.
    pub fn new(to: Prefix) -> Self {
        Self {
            to,
            kind: RouteKind::Unicast,
            via: None,
            interface: None,
            source: None,
            metric: 0,
            table: table::MAIN,
            scope: Scope::Universe,
            mtu: None,
        }
    }
}
