//! The host's configuration as a value: interfaces, addresses, routes, rules, sysctls.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::kept::KeptOfLink;
use super::lookup::Ways;
use super::networks::Networks;
use super::sysctl::{Conf, Sysctls};
use super::v6;
use super::{AddressFlags, NewAddress, Prefix, Route, RoutingRule, Scope};
use crate::base::{Family, InterfaceId, InterfaceName};

/// Changes come by the methods of `link`, `assign`, `route_change` and `rule`, which do what the kernel does with what depends on the changed.
#[derive(Clone, Debug)]
pub struct Net {
    /// Those that there are, by ascending number.
    pub(super) interfaces: Vec<Interface>,
    /// Their numbers by name.
    pub(super) names: Arc<HashMap<InterfaceName, InterfaceId>>,
    /// What the number of a removed interface leads to.
    pub(super) gone: Interface,
    /// A number is never given again: what remembers one (a flow, a packet on its way) cannot take another interface for it.
    pub(super) next_id: u32,
    ways: [Ways; Family::ALL.len()],
    pub(super) sysctls: Sysctls,
}

/// It has carrier from the moment it exists, as a TUN device that somebody holds open.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its number for as long as the configuration lives.
    pub id: InterfaceId,
    /// No two bear the same.
    pub name: InterfaceName,
    /// The largest packet that it takes, in bytes.
    pub mtu: u32,
    /// `ip link set up`: a link that is down takes no packets and gives none, and only its addresses' local routes are left.
    pub is_up: bool,
    /// `txqueuelen`, which is only told: nothing queues here.
    pub queue_length: u32,
    /// In the order `ip address` lists them: those of IPv4 first.
    pub addresses: Vec<Address>,
    /// Where there are very many of them, and they only grew.
    pub(super) networks: Networks,
    pub(super) conf: Conf,
    pub(super) conf6: v6::Conf,
    pub(super) kept: KeptOfLink,
    /// Of IPv6: forwarding was switched on since it has been there, so that it is in every group of routers.
    pub(super) joined_all_routers: bool,
}

/// An address that an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host's own on this link.
    pub address: IpAddr,
    /// How many of its bits are the network's.
    pub prefix_length: u8,
    /// In the network of an address that was there before. Of IPv6 none is.
    pub secondary: bool,
    /// How far it is known: one of scope host or link is no source for what goes farther.
    pub scope: Scope,
    /// `brd`: told, and routed as a broadcast beside the network's last address.
    pub broadcast: Option<IpAddr>,
    /// What `ip address` calls it, where that is not the interface's name.
    pub label: Option<InterfaceName>,
    /// The host at the other end of the link: of IPv4 its network is that one's, of IPv6 a route leads to it.
    pub peer: Option<IpAddr>,
    /// Of the route to its network; 0 is the usual one.
    pub metric: u32,
    /// What else is said of it.
    pub flags: AddressFlags,
}

impl Interface {
    /// Its addresses of a family, in the order `ip address` lists them.
    pub fn addresses_of(&self, family: Family) -> impl Iterator<Item = &Address> + Clone {
        self.addresses.iter().filter(move |it| Family::of(it.address) == family)
    }
}

impl Address {
    /// The network that it lies in.
    pub fn network(&self) -> Prefix {
        let within = self.peer.filter(IpAddr::is_ipv4).unwrap_or(self.address);
        Prefix::containing(within, self.prefix_length).unwrap_or(Prefix::host(within))
    }
}

/// Why the configuration does not take a change; worded after `ip`, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The name is taken.
    #[error("interface {0} exists already: give each interface a name of its own")]
    InterfaceExists(InterfaceName),
    /// The kernel takes no such name.
    #[error("{0:?} is no interface name: 1 to 15 bytes without '/', ':' or blanks, and not '.' or '..'")]
    BadName(InterfaceName),
    /// A TUN device takes no such MTU.
    #[error("MTU {0} is out of range: 68 to 65535")]
    BadMtu(u32),
    /// No interface has the number (any more).
    #[error("no interface number {}", .0.0)]
    NoInterface(InterfaceId),
    /// `lo` was to be removed.
    #[error("interface lo cannot be removed")]
    LoopbackStays,
    /// Numbers are given once, and there are no more.
    #[error("no more interfaces: 65,536 were made already")]
    TooManyInterfaces,
    /// The interface has it with this prefix length.
    #[error("address {0}/{1} is assigned already")]
    AddressExists(IpAddr, u8),
    /// The interface does not have it with this prefix length.
    #[error("address {0}/{1} not found")]
    NoAddress(IpAddr, u8),
    /// `net.ipv6.conf.IFACE.disable_ipv6`.
    #[error("IPv6 is disabled on this device: {0} (net.ipv6.conf.{0}.disable_ipv6)")]
    NoIpv6Here(InterfaceName),
    /// Its MTU is below 1280.
    #[error("interface {0} has no IPv6, since its MTU is below 1280")]
    TooNarrowForIpv6(InterfaceName),
    /// The same of an interface over which a route was to lead.
    #[error("no route of IPv6 leads over interface {0}, since its MTU is below 1280")]
    TooNarrowForRoutes(InterfaceName),
    /// `::`.
    #[error("{0} is no host's address")]
    NoHostAddress(IpAddr),
    /// A group is nobody's own.
    #[error("{0} is a group's address: an interface has those of hosts")]
    AddressOfGroup(IpAddr),
    /// `::1` is that of `lo`.
    #[error("{0} is an address of lo and of no other interface")]
    AddressOfLoopback(IpAddr),
    /// The route was to lead over an interface without IPv6.
    #[error("IPv6 is disabled on the nexthop's device: {0} (net.ipv6.conf.{0}.disable_ipv6)")]
    NoIpv6AtNexthop(InterfaceName),
    /// The route was to lead over an interface that is down, in the words that IPv6 has for it.
    #[error("the nexthop's device is not up: {0} (ip link set {0} up)")]
    NexthopDown(InterfaceName),
    /// `onlink` says nothing without an interface.
    #[error("onlink needs an interface: say dev")]
    OnlinkNeedsInterface,
    /// Another route says where the gateway is.
    #[error("{0} is said to be a neighbour (onlink), and a route leads to it over another interface")]
    OnlinkElsewhere(IpAddr),
    /// A router's way does not lead back to itself.
    #[error("the gateway {0} is an address of this host: name a neighbour's")]
    GatewayIsOwn(IpAddr),
    /// It is no other host's address.
    #[error("{0} can be no gateway")]
    NoGateway(IpAddr),
    /// An address of the link may be on any.
    #[error("the gateway {0} is of a link, and it is not said of which: say dev")]
    GatewayNeedsInterface(IpAddr),
    /// Nobody is behind `lo`.
    #[error("no gateway is behind lo")]
    GatewayByLoopback,
    /// No route leads to the gateway itself.
    #[error("no route leads to the gateway {0} on a link (add an address or a route to it first)")]
    GatewayUnreachable(IpAddr),
    /// Of IPv6 only gateways share packets.
    #[error("of several ways to {0} each needs a gateway (via)")]
    SharedWithoutGateway(Prefix),
    /// Of IPv4 what leads to the host itself leads there by one way.
    #[error("a route to {0} in the host itself has one way")]
    SharedInTheHost(Prefix),
    /// It has more bits than the family's addresses.
    #[error("prefix length {1} is too long for {0}")]
    BadPrefixLength(IpAddr, u8),
    /// The place, the table and the metric are those of another.
    #[error("route {0} exists already in table {1} with metric {2}")]
    RouteExists(Prefix, u32, u32),
    /// None in this table is what was to be removed.
    #[error("no route to {0} with this metric in table {1}")]
    NoRoute(Prefix, u32),
    /// A default route of IPv6 that is not there cannot go.
    #[error("no default route there")]
    NoDefaultRoute,
    /// A route was to be removed from a table that does not exist.
    #[error("no route was ever in table {0}")]
    NoTable(u32),
    /// `change` found none at its place.
    #[error("no such route to change: {0} in table {1}")]
    NoRouteToChange(Prefix, u32),
    /// The same in IPv6, where routes to its place, or the ways to two of them, meet.
    #[error("no such route to change among those that lead to {0} or part there, in table {1}")]
    NoSuchRouteToChange(Prefix, u32),
    /// A route was to lead over an interface that is down.
    #[error("the device for nexthop is not up: {0} (ip link set {0} up)")]
    LinkDown(InterfaceName),
    /// With `onlink` the kernel has other words for it.
    #[error("the interface of the gateway is not up: {0} (ip link set {0} up)")]
    GatewayLinkDown(InterfaceName, bool),
    #[error(
        "nexthop has invalid gateway: {0} is on no network of the interfaces (add an address or a route to it first)"
    )]
    /// No route leads to the gateway on a link.
    InvalidGateway(IpAddr),
    /// It says neither gateway nor interface.
    #[error("the route to {0} needs a gateway or an interface")]
    NoNexthop(Prefix),
    /// What refuses packets leads nowhere.
    #[error("gateway and interface can not be specified for a route of this type (to {0})")]
    NexthopRefused(Prefix),
    /// Its `src` is not the host's.
    #[error("invalid prefsrc address: {0} is no address of this host")]
    InvalidSource(IpAddr),
    /// None is what was to be removed.
    #[error("no such rule")]
    NoRule,
    /// A rule leads to one that is asked before it.
    #[error("a rule can go on only at one of a higher priority number")]
    BackwardGoto,
    /// One that says the same is there.
    #[error("this rule exists already")]
    RuleExists,
    /// Addresses of one network have one scope.
    #[error("scope differs from that of the address {0} in the same network")]
    InvalidScope(IpAddr),
}

/// What `lo` begins with; no device takes as much.
pub(super) const LOOPBACK_MTU: u32 = 65_536;

impl Net {
    /// A new network namespace with `lo` up. Other than in the kernel's, interfaces have no address of the link by themselves, unless somebody sets
    /// `net.ipv6.conf.default.addr_gen_mode` to 0 before they are made: then each has fe80::1/64, which the kernel would draw.
    pub fn new() -> Self {
        let sysctls = Sysctls::new();
        let mut net = Self {
            interfaces: Vec::new(),
            names: Arc::default(),
            gone: Interface {
                id: InterfaceId(u16::MAX),
                name: InterfaceName::default(),
                mtu: LOOPBACK_MTU,
                is_up: false,
                queue_length: 0,
                addresses: Vec::new(),
                networks: Networks::default(),
                conf: sysctls.default_conf(),
                conf6: sysctls.v6.default_conf(),
                kept: KeptOfLink::default(),
                joined_all_routers: false,
            },
            next_id: 0,
            ways: Family::ALL.map(Ways::of),
            sysctls,
        };
        let lo = InterfaceName::new("lo").expect("two bytes");
        let lo = net.push_interface(lo, LOOPBACK_MTU);
        net.interfaces[0].queue_length = 1000;
        net.interfaces[0].conf6.is_of_loopback();
        net.put_address(lo, NewAddress::new([127, 0, 0, 1].into(), 8));
        net
    }

    /// In the order they were made; the first is `lo`.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// What look-ups of a family go by.
    #[inline]
    pub(super) fn ways(&self, family: Family) -> &Ways {
        &self.ways[family as usize]
    }

    pub(super) fn ways_mut(&mut self, family: Family) -> &mut Ways {
        &mut self.ways[family as usize]
    }

    /// What look-ups of each family go by.
    pub(super) fn all_ways(&mut self) -> &mut [Ways] {
        &mut self.ways
    }

    /// A family's, longest prefixes first within a table.
    pub fn routes(&self, family: Family) -> impl Iterator<Item = &Route> {
        self.ways(family).tables.all().map(|entry| &entry.route)
    }

    /// Whether this very route is there, or is one of several ways of one that is.
    pub(crate) fn has_route(&self, route: &Route) -> bool {
        let tables = &self.ways(route.to.family()).tables;
        let mut siblings = tables.range(tables.siblings(route));
        siblings.any(|entry| entry.route.hops().any(|way| *way == *route))
    }

    /// Those of a table to this very prefix, in the order in which they are asked.
    pub(super) fn routes_to(&self, to: Prefix, table: u32) -> impl Iterator<Item = &Route> {
        let tables = &self.ways(to.family()).tables;
        tables.range(tables.to_place(to, table)).map(|entry| &entry.route)
    }

    /// Those of both families that came with no address: what was added by itself.
    pub fn added_routes(&self) -> impl Iterator<Item = &Route> {
        let all = self.ways.iter().flat_map(|ways| ways.tables.all());
        all.filter(|entry| entry.owner.is_none()).map(|entry| &entry.route)
    }

    /// A family's, in the order in which they are asked: by ascending priority, then as they came.
    pub fn rules(&self, family: Family) -> &[RoutingRule] {
        &self.ways(family).rules
    }

    /// The interface that this number names; a nameless one without addresses, which is down, where it was removed.
    pub fn interface(&self, id: InterfaceId) -> &Interface {
        match self.interfaces.get(usize::from(id.0)) {
            Some(interface) if interface.id == id => interface,
            // Numbers are positions until the first interface is removed.
            _ => self.position(id).map_or(&self.gone, |at| &self.interfaces[at]),
        }
    }

    pub(super) fn position(&self, id: InterfaceId) -> Option<usize> {
        self.interfaces.binary_search_by_key(&id, |it| it.id).ok()
    }

    pub(super) fn interface_mut(&mut self, id: InterfaceId) -> Result<&mut Interface, ConfigError> {
        match self.position(id) {
            Some(at) => Ok(&mut self.interfaces[at]),
            None => Err(ConfigError::NoInterface(id)),
        }
    }

    /// The interface of this name.
    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        let id = self.names.get(&InterfaceName::new(name)?)?;
        Some(self.interface(*id))
    }

    /// Assigned to one of the interfaces. Of 127.0.0.0/8, only 127.0.0.1 is.
    #[inline]
    pub fn is_own_address(&self, address: IpAddr) -> bool {
        let is_own = |it: &Address| it.address == address;
        self.interfaces.iter().any(|it| it.addresses.iter().any(is_own))
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}
