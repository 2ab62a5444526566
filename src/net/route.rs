//! Routes and routing rules: what `ip route` and `ip rule` hold.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::Metrics;
use crate::base::{AddressMask, Family, InterfaceId, InterfaceName, MarkMask, as_in_c};

/// What a route does with a packet; also what `-m addrtype` calls an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// On to the gateway or the link.
    Unicast,
    /// To the host itself.
    Local,
    /// To all hosts of the link.
    Broadcast,
    /// To the host itself, by an address that others have too.
    Anycast,
    /// To a group.
    Multicast,
    /// Dropped, and nobody is told.
    Blackhole,
    /// Dropped, and the sender is told "host unreachable".
    Unreachable,
    /// Dropped, and the sender is told "communication prohibited".
    Prohibit,
    /// As if the table had no route: the next rule is asked.
    Throw,
}

/// How far away what a route leads to is. A smaller value is farther, as in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `global`, 0: anywhere.
    Universe,
    /// `site`, 200: within the own network.
    Site,
    /// `link`, 253: on the link itself.
    Link,
    /// `host`, 254: in the host itself.
    Host,
    /// `nowhere`, 255: there is no way.
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
    /// The destinations that it is for.
    pub to: Prefix,
    /// What becomes of their packets.
    pub kind: RouteKind,
    /// The gateway; `None` where destinations are on the link.
    pub via: Option<IpAddr>,
    /// The interface that it leads over; `None` where it leads nowhere, and before `Net` found the gateway's.
    pub interface: Option<InterfaceId>,
    /// The preferred source of the router's own packets (`src`).
    pub source: Option<IpAddr>,
    /// Of routes to the same prefix the one with the lowest counts.
    pub metric: u32,
    /// The number of its table ([`table`]).
    pub table: u32,
    /// How far its destinations are away.
    pub scope: Scope,
    /// `mtu N`: for packets that take this route, instead of the device's.
    pub mtu: Option<u32>,
    /// `mtu lock N`: in IPv4 whoever says that a path takes less is not heard; seen: in IPv6 it says nothing.
    pub mtu_is_locked: bool,
    /// `hoplimit N`: of the host's own packets that take this route, instead of the interface's.
    pub hop_limit: Option<u8>,
    /// What it says of connections. Packets don't care.
    pub metrics: Metrics,
    /// `tos`, of IPv4: for packets with this type of service alone; 0 is any. It is asked before those that are for any.
    pub tos: u8,
    /// Who added it. Packets don't care.
    pub protocol: RouteProtocol,
    /// `pref`, of IPv6: of routes that are alike else.
    pub preference: Preference,
    /// The gateway is taken to be a neighbour, whatever routes say (`onlink`).
    pub onlink: bool,
    /// The gateway was an address of the host's own when the route was added, which `Net` finds out: packets are sent as if there were none.
    pub through_itself: bool,
    /// Its share of the packets, beside those of others that it is one of several with: 1 to 256. Of one that stands alone it is kept, and not told.
    pub weight: u16,
    /// It named a source that is no address of the host's any more, which `Net` finds out. Seen in IPv6: an error that goes back by it is not from the
    /// interface that its cause came by.
    pub lost_source: bool,
    /// Its gateways, where it has several: `via` and `interface` name none then.
    pub ways: Vec<Way>,
}

/// One of a route's several gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The route as it is to packets that go this way; one without `ways`. Of IPv6 each may have been added with words of its own.
    pub route: Route,
    /// Its interface went down, or of IPv4 lost its last address: nothing goes this way until that is over.
    pub is_dead: bool,
}

/// Which of several routers is preferred (RFC 4191).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Preference {
    /// `low`.
    Low,
    /// `medium`: what is meant where none is said.
    #[default]
    Medium,
    /// `high`.
    High,
}

/// Who added a route, as `ip route` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteProtocol(pub u8);

impl RouteProtocol {
    /// `proto kernel`: it came with an address.
    pub const KERNEL: Self = Self(2);
    /// `proto boot`: what `ip route add` says unless told otherwise; not shown.
    pub const BOOT: Self = Self(3);
    /// `proto static`: by an administrator's hand.
    pub const STATIC: Self = Self(4);
    /// What a routing rule has whose maker said none; not shown.
    pub const UNSAID: Self = Self(0);
}

/// Numbers of the tables that every namespace has.
pub mod table {
    /// `default`, empty unless somebody fills it; asked last.
    pub const DEFAULT: u32 = 253;
    /// `main`, where `ip route add` puts routes.
    pub const MAIN: u32 = 254;
    /// `local`, the host's own and broadcast addresses; asked first.
    pub const LOCAL: u32 = 255;
}

/// One line of `ip rule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    /// Rules are asked by ascending priority.
    pub priority: u32,
    /// `not`: it is for packets that the rest does not fit.
    pub inverted: bool,
    /// `fwmark`; a mask of 0 asks nothing.
    pub mark: MarkMask,
    /// `from`; `None` is all.
    pub from: Option<Prefix>,
    /// `to`; `None` is all.
    pub to: Option<Prefix>,
    /// `iif`; `lo` stands for the host's own packets.
    pub input: Option<RuleLink>,
    /// `oif`: only for packets of a socket that is bound to it.
    pub output: Option<RuleLink>,
    /// `tos`; 0 asks nothing.
    pub tos: u8,
    /// `ipproto`, `sport`, `dport`.
    pub transport: RuleTransport,
    /// Who added it (`protocol`). Packets don't care.
    pub protocol: RouteProtocol,
    /// `suppress_prefixlength`: a route to a prefix that is no longer than this is as none, if it does not refuse.
    pub suppressed: Option<u32>,
    /// What becomes of packets that fit.
    pub action: RuleAction,
}

/// What a routing rule asks of what a packet carries; of the default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleTransport {
    /// `ipproto`; 0 asks nothing.
    pub protocol: u8,
    /// `sport`: the first and the last of the source's ports.
    pub source: Option<(u16, u16)>,
    /// `dport`: the same of the destination's.
    pub destination: Option<(u16, u16)>,
}

/// An interface that a routing rule names. It need not be there (`[detached]`): then no packet fits. Two are the same if their names are.
#[derive(Clone, Copy, Debug)]
pub struct RuleLink {
    /// As it was typed.
    pub name: InterfaceName,
    /// Kept right by `Net`.
    pub id: Option<InterfaceId>,
}

impl PartialEq for RuleLink {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RuleLink {}

/// What a routing rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// Asks a table, by its number; where that has no route, the next rule.
    Table(u32),
    /// `goto`: the rules before the first of this priority are not asked. Where there is none of it, as if the rule were not there.
    Goto(u32),
    /// `nop`: nothing, and the next rule is asked.
    Nop,
    /// Drops, and nobody is told.
    Blackhole,
    /// Drops, and the sender is told "network unreachable".
    Unreachable,
    /// Drops, and the sender is told "communication prohibited".
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

    /// All addresses of the family.
    pub fn default_of(family: Family) -> Self {
        Self {
            mask: AddressMask::any(family),
            length: 0,
        }
    }

    /// One address.
    pub fn host(address: IpAddr) -> Self {
        Self {
            mask: AddressMask::host(address),
            length: Family::of(address).bits(),
        }
    }

    /// The first address in it.
    pub fn address(&self) -> IpAddr {
        self.mask.address()
    }

    /// Of its addresses.
    pub fn family(&self) -> Family {
        Family::of(self.address())
    }

    /// How many bits are fixed.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// An address of the other family is never contained.
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
        write!(f, "{}/{}", as_in_c(self.address()), self.length)
    }
}

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no network prefix: write it like 10.0.0.0/8, 2001:db8::/32, 192.0.2.1 or default, with no bits after the prefix"
)]
pub struct BadPrefix {
    /// What was read.
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
            mtu_is_locked: false,
            hop_limit: None,
            metrics: Metrics::default(),
            tos: 0,
            protocol: RouteProtocol::BOOT,
            preference: Preference::Medium,
            onlink: false,
            through_itself: false,
            weight: 1,
            lost_source: false,
            ways: Vec::new(),
        }
    }
}

/// An address of an interface, with its network.
pub(super) type Owner = (InterfaceId, IpAddr, Prefix);

impl Route {
    /// Whether what the host itself sends there comes round by lo. Seen: what was made anycast by hand is another host's to who sends there.
    pub(crate) fn leads_to_itself(&self) -> bool {
        match self.kind {
            RouteKind::Local => true,
            RouteKind::Anycast => self.protocol == RouteProtocol::KERNEL,
            _ => false,
        }
    }

    /// Where packets are handed to, if not to the destination itself.
    pub(super) fn gateway(&self) -> Option<IpAddr> {
        self.via.filter(|_| !self.through_itself)
    }
}
