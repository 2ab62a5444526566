//! The host's configuration as a value: interfaces, addresses, routes, rules, sysctls.

use std::net::IpAddr;

use super::route::Tables;
use super::sysctl::{Conf, Sysctls};
use super::{AddressKind, Prefix, Route, RouteKind, RoutingRule, RuleAction, Scope, table};
use crate::base::{Family, InterfaceId, InterfaceName, MarkMask};

/// Interfaces are up and have carrier from the moment they exist.
#[derive(Clone, Debug)]
pub struct Net {
    pub(super) interfaces: Vec<Interface>,
    pub(super) tables: Tables,
    pub(super) rules: Vec<RoutingRule>,
    /// They are not just the three that every namespace starts with.
    pub(super) custom_rules: bool,
    pub(super) sysctls: Sysctls,
}

#[derive(Clone, Debug)]
pub struct Interface {
    pub id: InterfaceId,
    pub name: InterfaceName,
    pub mtu: u32,
    /// In the order `ip address` lists them.
    pub addresses: Vec<Address>,
    pub(super) conf: Conf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub address: IpAddr,
    pub prefix_length: u8,
    /// In the network of an address that was there before.
    pub secondary: bool,
    pub scope: Scope,
}

impl Address {
    pub fn network(&self) -> Prefix {
        Prefix::containing(self.address, self.prefix_length).unwrap_or(Prefix::host(self.address))
    }
}

/// Why the configuration does not take a change; worded after `ip`, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("interface {0} exists already: give each interface a name of its own")]
    InterfaceExists(InterfaceName),
    #[error("{0:?} is no interface name: 1 to 15 bytes without '/', ':' or blanks, and not '.' or '..'")]
    BadName(InterfaceName),
    #[error("MTU {0} is out of range: 68 to 65535")]
    BadMtu(u32),
    #[error("no interface number {}", .0.0)]
    NoInterface(InterfaceId),
    #[error("address {0}/{1} is assigned already")]
    AddressExists(IpAddr, u8),
    #[error("address {0}/{1} not found")]
    NoAddress(IpAddr, u8),
    #[error("prefix length {1} is too long for {0}")]
    BadPrefixLength(IpAddr, u8),
    #[error("{0} is an IPv6 address, and IPv6 is not there yet")]
    NotOffered(IpAddr),
    #[error("route {0} exists already in table {1} with metric {2}")]
    RouteExists(Prefix, u32, u32),
    #[error("no route to {0} with this metric in table {1}")]
    NoRoute(Prefix, u32),
    #[error(
        "nexthop has invalid gateway: {0} is on no network of the interfaces (add an address or a route to it first)"
    )]
    InvalidGateway(IpAddr),
    #[error("the route to {0} needs a gateway or an interface")]
    NoNexthop(Prefix),
    #[error("gateway and interface can not be specified for a route of this type (to {0})")]
    NexthopRefused(Prefix),
    #[error("invalid prefsrc address: {0} is no address of this host")]
    InvalidSource(IpAddr),
    #[error("no such rule")]
    NoRule,
}

impl Net {
    /// A new network namespace with `lo` up.
    pub fn new() -> Self {
        let rule = |priority, table| RoutingRule {
            priority,
            ..RoutingRule::new(RuleAction::Table(table))
        };
        let mut net = Self {
            interfaces: Vec::new(),
            tables: Tables::default(),
            rules: vec![
                rule(0, table::LOCAL),
                rule(32766, table::MAIN),
                rule(32767, table::DEFAULT),
            ],
            custom_rules: false,
            sysctls: Sysctls::new(),
        };
        let lo = InterfaceName::new("lo").expect("two bytes");
        let lo = net.push_interface(lo, 65536);
        net.put_address(lo, [127, 0, 0, 1].into(), 8);
        net
    }

    /// MTU bounds are those of a TUN device.
    pub fn add_interface(&mut self, name: InterfaceName, mtu: u32) -> Result<InterfaceId, ConfigError> {
        let text = name.as_str();
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace();
        if text.is_empty() || text == "." || text == ".." || text.contains(bad) {
            return Err(ConfigError::BadName(name));
        }
        if self.by_name(text).is_some() {
            return Err(ConfigError::InterfaceExists(name));
        }
        check_mtu(mtu)?;
        Ok(self.push_interface(name, mtu))
    }

    pub fn set_mtu(&mut self, id: InterfaceId, mtu: u32) -> Result<(), ConfigError> {
        check_mtu(mtu)?;
        self.interface_mut(id)?.mtu = mtu;
        Ok(())
    }

    /// Adds the routes that come with an address too: itself, its network, the network's broadcast address.
    pub fn add_address(&mut self, id: InterfaceId, address: IpAddr, prefix_length: u8) -> Result<(), ConfigError> {
        if address.is_ipv6() {
            return Err(ConfigError::NotOffered(address));
        }
        if prefix_length > Family::of(address).bits() {
            return Err(ConfigError::BadPrefixLength(address, prefix_length));
        }
        let interface = self.interface_mut(id)?;
        let same = |it: &Address| it.address == address && it.prefix_length == prefix_length;
        if interface.addresses.iter().any(same) {
            return Err(ConfigError::AddressExists(address, prefix_length));
        }
        self.put_address(id, address, prefix_length);
        Ok(())
    }

    /// With a primary address its secondaries go (`promote_secondaries` is off), and every route that named a gone address as source.
    pub fn remove_address(&mut self, id: InterfaceId, address: IpAddr, prefix_length: u8) -> Result<(), ConfigError> {
        let interface = self.interface_mut(id)?;
        let same = |it: &Address| it.address == address && it.prefix_length == prefix_length;
        let Some(gone) = interface.addresses.iter().copied().find(same) else {
            return Err(ConfigError::NoAddress(address, prefix_length));
        };
        let goes = |it: &Address| same(it) || (!gone.secondary && it.secondary && it.network() == gone.network());
        let all: Vec<Address> = interface.addresses.iter().copied().filter(goes).collect();
        interface.addresses.retain(|it| !goes(it));
        for gone in all {
            self.tables
                .retain(|entry| entry.owner != Some((id, gone.address, gone.prefix_length)));
            if !self.is_own_address(gone.address) {
                self.tables.retain(|entry| entry.route.source != Some(gone.address));
            }
        }
        Ok(())
    }

    /// Refuses what the kernel refuses: see `ConfigError`.
    pub fn add_route(&mut self, mut route: Route) -> Result<(), ConfigError> {
        let addresses = [Some(route.to.address()), route.via, route.source];
        if let Some(v6) = addresses.into_iter().flatten().find(IpAddr::is_ipv6) {
            return Err(ConfigError::NotOffered(v6));
        }
        if let Some(id) = route.interface {
            self.interface_mut(id)?;
        }
        let has_nexthop = route.via.is_some() || route.interface.is_some();
        match route.kind {
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw if has_nexthop => {
                return Err(ConfigError::NexthopRefused(route.to));
            }
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw => {}
            _ if !has_nexthop => return Err(ConfigError::NoNexthop(route.to)),
            RouteKind::Local => route.scope = Scope::Host,
            _ if route.via.is_none() => route.scope = Scope::Link,
            _ => {}
        }
        if let Some(via) = route.via {
            let (interface, scope) = self.gateway(via, route.interface)?;
            route.interface = Some(interface);
            route.scope = scope;
        }
        if let Some(source) = route.source
            && self.address_kind(source, None) != AddressKind::Local
        {
            return Err(ConfigError::InvalidSource(source));
        }
        if self.tables.exists(&route) {
            return Err(ConfigError::RouteExists(route.to, route.table, route.metric));
        }
        self.tables.insert(route, None);
        Ok(())
    }

    /// Removes the first route to `to` in the table with that metric.
    pub fn remove_route(&mut self, to: Prefix, table: u32, metric: u32) -> Result<(), ConfigError> {
        match self.tables.remove(to, table, metric) {
            true => Ok(()),
            false => Err(ConfigError::NoRoute(to, table)),
        }
    }

    /// Rules of equal priority are asked in the order they came.
    pub fn add_rule(&mut self, rule: RoutingRule) {
        let at = self.rules.partition_point(|it| it.priority <= rule.priority);
        self.rules.insert(at, rule);
        self.note_rules();
    }

    /// The priority that `ip rule add` chooses where none is given: one less than that of the second rule.
    pub fn next_priority(&self) -> u32 {
        self.rules.get(1).map_or(0, |rule| rule.priority.saturating_sub(1))
    }

    pub fn remove_rule(&mut self, rule: &RoutingRule) -> Result<(), ConfigError> {
        let at = self.rules.iter().position(|it| it == rule).ok_or(ConfigError::NoRule)?;
        self.rules.remove(at);
        self.note_rules();
        Ok(())
    }

    fn note_rules(&mut self) {
        self.custom_rules = self.rules.len() != 3 || !self.rules.iter().all(RoutingRule::is_default);
    }

    /// In the order they were added; the first is `lo`.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Longest prefixes first within a table.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.tables.all().map(|entry| &entry.route)
    }

    /// Those that came with no address: what was added by itself.
    pub fn added_routes(&self) -> impl Iterator<Item = &Route> {
        self.tables
            .all()
            .filter(|entry| entry.owner.is_none())
            .map(|entry| &entry.route)
    }

    pub fn rules(&self) -> &[RoutingRule] {
        &self.rules
    }

    /// The interface an id of this configuration names.
    pub fn interface(&self, id: InterfaceId) -> &Interface {
        &self.interfaces[usize::from(id.0)]
    }

    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name.as_str() == name)
    }

    /// Assigned to one of the interfaces. Of 127.0.0.0/8, only 127.0.0.1 is.
    pub fn is_own_address(&self, address: IpAddr) -> bool {
        self.interfaces
            .iter()
            .flat_map(|it| &it.addresses)
            .any(|it| it.address == address)
    }

    fn interface_mut(&mut self, id: InterfaceId) -> Result<&mut Interface, ConfigError> {
        self.interfaces
            .get_mut(usize::from(id.0))
            .ok_or(ConfigError::NoInterface(id))
    }

    fn push_interface(&mut self, name: InterfaceName, mtu: u32) -> InterfaceId {
        let id = InterfaceId(self.interfaces.len() as u16);
        self.interfaces.push(Interface {
            id,
            name,
            mtu,
            addresses: Vec::new(),
            conf: self.sysctls.default_conf(),
        });
        id
    }

    /// The interface and the scope of a route through this gateway, which must be a neighbour's (or, oddly, the host's own) address.
    fn gateway(&self, via: IpAddr, interface: Option<InterfaceId>) -> Result<(InterfaceId, Scope), ConfigError> {
        let invalid = ConfigError::InvalidGateway(via);
        let route = self.lookup_gateway(via, interface).ok_or(invalid.clone())?;
        match (route.kind, route.interface) {
            (RouteKind::Unicast | RouteKind::Local, Some(interface)) => Ok((interface, Scope::Universe)),
            _ => Err(invalid),
        }
    }

    fn put_address(&mut self, id: InterfaceId, address: IpAddr, prefix_length: u8) {
        let scope = match address {
            IpAddr::V4(v4) if v4.is_loopback() => Scope::Host,
            _ => Scope::Universe,
        };
        let mut new = Address {
            address,
            prefix_length,
            secondary: false,
            scope,
        };
        let interface = &mut self.interfaces[usize::from(id.0)];
        let primary = interface
            .addresses
            .iter()
            .find(|it| it.prefix_length == prefix_length && it.network() == new.network())
            .map(|it| it.address);
        new.secondary = primary.is_some();
        // Primaries stand before secondaries, and among them those of narrower scope first.
        let at = match new.secondary {
            true => interface.addresses.len(),
            false => interface
                .addresses
                .partition_point(|it| !it.secondary && it.scope >= scope),
        };
        interface.addresses.insert(at, new);
        interface.conf.settle();
        let loopback = id == InterfaceId::LOOPBACK;
        for route in routes_of(id, &new, primary.unwrap_or(address), loopback) {
            self.tables.insert(route, Some((id, address, prefix_length)));
        }
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

fn check_mtu(mtu: u32) -> Result<(), ConfigError> {
    match mtu {
        68..=65535 => Ok(()),
        _ => Err(ConfigError::BadMtu(mtu)),
    }
}

/// The routes that an address brings, as `ip route show table all` lists them. A secondary's own route names its primary as source.
fn routes_of(id: InterfaceId, new: &Address, primary: IpAddr, loopback: bool) -> Vec<Route> {
    let network = new.network();
    let base = |to, kind, table, scope| Route {
        kind,
        table,
        scope,
        interface: Some(id),
        source: Some(primary),
        ..Route::new(to)
    };
    let mut routes = vec![base(
        Prefix::host(new.address),
        RouteKind::Local,
        table::LOCAL,
        Scope::Host,
    )];
    let IpAddr::V4(start) = network.address() else {
        return routes;
    };
    // Networks that begin with 0.0.0.0 and multicast networks get no routes.
    if new.secondary || start.is_unspecified() || start.is_multicast() || start.is_broadcast() {
        return routes;
    }
    if new.prefix_length < 32 {
        routes.push(match loopback {
            true => base(network, RouteKind::Local, table::LOCAL, Scope::Host),
            false => base(network, RouteKind::Unicast, table::MAIN, Scope::Link),
        });
    }
    if new.prefix_length < 31 {
        let last = start | std::net::Ipv4Addr::from_bits(u32::MAX >> new.prefix_length);
        let to = Prefix::host(last.into());
        routes.push(base(to, RouteKind::Broadcast, table::LOCAL, Scope::Link));
    }
    routes
}

impl RoutingRule {
    /// A rule for every packet, with priority 0.
    pub fn new(action: RuleAction) -> Self {
        Self {
            priority: 0,
            mark: MarkMask { value: 0, mask: 0 },
            from: None,
            to: None,
            input: None,
            output: None,
            tos: 0,
            action,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net() -> Net {
        let mut net = Net::new();
        for name in ["da", "db"] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
        }
        net
    }

    fn shown(net: &Net) -> Vec<String> {
        let line = |it: &Route| {
            let interface = it.interface.map_or("-", |id| net.interface(id).name.as_str());
            format!(
                "{:?} {} {interface} {} {:?} {:?}",
                it.kind, it.to, it.table, it.scope, it.source
            )
        };
        let mut lines: Vec<String> = net
            .routes()
            .filter(|it| it.interface != Some(InterfaceId::LOOPBACK))
            .map(line)
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn routes_that_come_with_addresses() {
        let mut net = net();
        let (a, b) = (InterfaceId(1), InterfaceId(2));
        for (id, address, length) in [
            (a, "10.0.0.1", 24),
            (a, "10.0.0.2", 24),
            (b, "10.1.0.1", 30),
            (b, "10.1.1.1", 31),
            (b, "10.1.2.1", 32),
        ] {
            net.add_address(id, address.parse().unwrap(), length).unwrap();
        }
        assert_eq!(
            shown(&net),
            [
                "Broadcast 10.0.0.255/32 da 255 Link Some(10.0.0.1)",
                "Broadcast 10.1.0.3/32 db 255 Link Some(10.1.0.1)",
                "Local 10.0.0.1/32 da 255 Host Some(10.0.0.1)",
                "Local 10.0.0.2/32 da 255 Host Some(10.0.0.1)",
                "Local 10.1.0.1/32 db 255 Host Some(10.1.0.1)",
                "Local 10.1.1.1/32 db 255 Host Some(10.1.1.1)",
                "Local 10.1.2.1/32 db 255 Host Some(10.1.2.1)",
                "Unicast 10.0.0.0/24 da 254 Link Some(10.0.0.1)",
                "Unicast 10.1.0.0/30 db 254 Link Some(10.1.0.1)",
                "Unicast 10.1.1.0/31 db 254 Link Some(10.1.1.1)",
            ]
        );
        assert!(net.interface(a).addresses[1].secondary);
        net.remove_address(a, "10.0.0.1".parse().unwrap(), 24).unwrap();
        assert!(
            net.interface(a).addresses.is_empty(),
            "secondaries go with their primary"
        );
        assert_eq!(shown(&net).len(), 6);
    }

    /// One line of `ip route add` and what it said.
    #[test]
    fn routes_the_kernel_refuses() {
        let mut net = net();
        net.add_address(InterfaceId(1), "10.0.0.1".parse().unwrap(), 24)
            .unwrap();
        net.add_address(InterfaceId(1), "10.0.0.1".parse().unwrap(), 25)
            .unwrap();
        let kind = |kind, to: &str| Route {
            kind,
            ..Route::new(to.parse().unwrap())
        };
        let via = |to: &str, via: &str| Route {
            via: Some(via.parse().unwrap()),
            ..Route::new(to.parse().unwrap())
        };
        let dev = |to: &str| Route {
            interface: Some(InterfaceId(1)),
            ..Route::new(to.parse().unwrap())
        };
        let source = |to: &str, source: &str| Route {
            source: Some(source.parse().unwrap()),
            ..dev(to)
        };
        for (route, error) in [
            (via("10.1.0.0/16", "10.0.0.254"), None),
            (
                via("10.1.0.0/16", "10.0.0.253"),
                Some("route 10.1.0.0/16 exists already in table 254 with metric 0"),
            ),
            (
                Route {
                    metric: 5,
                    ..via("10.1.0.0/16", "10.0.0.253")
                },
                None,
            ),
            (
                kind(RouteKind::Unicast, "10.2.0.0/16"),
                Some("the route to 10.2.0.0/16 needs a gateway or an interface"),
            ),
            (via("10.2.0.0/16", "172.16.0.1"), Some("nexthop has invalid gateway")),
            (via("10.2.0.0/16", "10.0.0.255"), Some("nexthop has invalid gateway")),
            (via("10.2.0.0/16", "10.0.0.1"), None),
            (source("10.3.0.0/16", "10.9.9.9"), Some("invalid prefsrc address")),
            (source("10.3.0.0/16", "10.0.0.1"), None),
            (via("10.4.0.0/16", "10.3.0.1"), None),
            // Behind a gateway is no neighbour.
            (via("10.5.0.0/16", "10.1.0.1"), Some("nexthop has invalid gateway")),
            (kind(RouteKind::Blackhole, "10.6.0.0/16"), None),
            (
                Route {
                    kind: RouteKind::Blackhole,
                    ..dev("10.7.0.0/16")
                },
                Some("gateway and interface can not be specified"),
            ),
        ] {
            let result = net.add_route(route.clone()).map_err(|error| error.to_string());
            match error {
                None => assert_eq!(result, Ok(()), "{route:?}"),
                Some(text) => assert!(
                    result.as_ref().is_err_and(|it| it.starts_with(text)),
                    "{route:?}: {result:?}"
                ),
            }
        }
        assert!("10.1.0.1/16".parse::<Prefix>().is_err());
    }
}
