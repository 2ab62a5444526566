//! Routes that come, change and go by hand: `ip route`. Each refusal was seen on Linux 6.18.

use std::net::IpAddr;

use super::metrics::LARGEST_MTU;
use super::tables::Entry;
use super::{AddressKind, ConfigError, Metrics, Net, Prefix, Route, RouteKind, RouteProtocol, Scope, Way, table, v6};
use crate::base::{Family, InterfaceId};

/// What becomes of routes to the same place with the same metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// `add`: there may be none.
    Add,
    /// `append`: behind them.
    Append,
    /// `prepend`: before them.
    Prepend,
    /// `change`: instead of the first, which has to be there.
    Change,
    /// `replace`: instead of the first, if there is one.
    Replace,
}

/// Which routes are meant; `None` means any.
#[derive(Clone, Debug, Default)]
pub struct RouteSelector {
    /// This very prefix, not what lies in it.
    pub to: Option<Prefix>,
    /// By number.
    pub table: Option<u32>,
    /// What becomes of packets.
    pub kind: Option<RouteKind>,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface that it leads over.
    pub interface: Option<InterfaceId>,
    /// The preferred source.
    pub source: Option<IpAddr>,
    /// The metric; 0 is that of a route without.
    pub metric: Option<u32>,
    /// How far it leads.
    pub scope: Option<Scope>,
    /// Who added it.
    pub protocol: Option<RouteProtocol>,
    /// Its own `mtu`.
    pub mtu: Option<u32>,
    /// `tos`: that of the route, where it is IPv4's; 0 is that of one for any.
    pub tos: Option<u8>,
    /// What it says of connections, of those that are named.
    pub metrics: Metrics,
    /// `nexthop`: its gateways, in their order.
    pub ways: Vec<Hop>,
}

/// A gateway of a route that is meant; `None` means any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its address.
    pub via: Option<IpAddr>,
    /// The interface that it is behind.
    pub interface: Option<InterfaceId>,
    /// 1 is any; else one more than its share is.
    pub weight: u16,
}

impl Hop {
    fn of(way: &Way) -> Self {
        Self {
            via: way.route.via,
            interface: way.route.interface,
            weight: way.route.weight + 1,
        }
    }

    fn means(&self, route: &Route) -> bool {
        // Seen: the kernel takes what is named for one less than what it has.
        self.via.is_none_or(|via| route.via == Some(via))
            && self.interface.is_none_or(|id| route.interface == Some(id))
            && (self.weight == 1 || self.weight == route.weight + 1)
    }
}

impl RouteSelector {
    /// This very route.
    pub fn only(route: &Route) -> Self {
        Self {
            to: Some(route.to),
            table: Some(route.table),
            kind: Some(route.kind),
            via: route.via,
            interface: route.interface,
            source: route.source,
            metric: Some(route.metric),
            scope: Some(route.scope),
            protocol: Some(route.protocol),
            mtu: route.mtu,
            tos: Some(route.tos),
            metrics: route.metrics.clone(),
            ways: route.ways.iter().map(Hop::of).collect(),
        }
    }

    /// Whether the route has all that is wanted.
    pub fn means(&self, route: &Route) -> bool {
        fn is<T: PartialEq>(wanted: Option<T>, has: Option<T>) -> bool {
            wanted.is_none() || wanted == has
        }
        // Each that it has must be named; what is named beyond them is not looked at.
        let are_named = || {
            route
                .hops()
                .enumerate()
                .all(|(at, way)| self.ways.get(at).is_some_and(|hop| hop.means(way)))
        };
        (self.ways.is_empty() || are_named())
            && is(self.to, Some(route.to))
            && is(self.table, Some(route.table))
            && is(self.kind, Some(route.kind))
            && is(self.via, route.via)
            && is(self.interface, route.interface)
            && is(self.source, route.source)
            && is(self.metric, Some(route.metric))
            && is(self.scope, Some(route.scope))
            && is(self.protocol, Some(route.protocol))
            && is(self.mtu, route.mtu)
            && is(self.tos, Some(route.tos))
            && route.metrics.have_all_of(&self.metrics)
    }
}

impl RouteSelector {
    /// Seen of IPv4: `via` and `dev` mean a route by the first of its gateways alone, and it goes whole.
    fn means_by_its_first(&self, route: &Route) -> bool {
        let as_first = |first: &Way| Route {
            via: first.route.via,
            interface: first.route.interface,
            ..route.clone()
        };
        route.ways.first().is_some_and(|first| self.means(&as_first(first)))
    }
}

impl Net {
    /// `put_route` with `Placing::Add`; its scope is what `ip route add` gives where none is named.
    pub fn add_route(&mut self, mut route: Route) -> Result<(), ConfigError> {
        route.scope = match route.kind {
            // All routes of IPv6 are told to lead anywhere.
            _ if route.to.family() == Family::V6 => Scope::Universe,
            RouteKind::Local => Scope::Host,
            RouteKind::Broadcast | RouteKind::Anycast | RouteKind::Multicast => Scope::Link,
            RouteKind::Unicast if route.via.is_none() && route.ways.is_empty() => Scope::Link,
            _ => route.scope,
        };
        self.put_route(route, Placing::Add)
    }

    /// Refuses what the kernel refuses: see `ConfigError`; the table is there from then on, as in the kernel, also where the route is refused. Packets of
    /// every flow go by it from now on: nothing is cached.
    pub fn put_route(&mut self, mut route: Route, placing: Placing) -> Result<(), ConfigError> {
        self.ways_mut(route.to.family()).tables.make(route.table);
        let family = route.to.family();
        if family == Family::V6 && route.metric == 0 {
            route.metric = IPV6_METRIC;
            let of_each = route.ways.iter_mut().map(|way| &mut way.route.metric);
            of_each.for_each(|metric| *metric = IPV6_METRIC);
        }
        keep(&mut route);
        route.ways.iter_mut().for_each(|way| keep(&mut way.route));
        self.check_nexthops(&mut route)?;
        // What leads nowhere may name any.
        let leads_on = !matches!(
            route.kind,
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw
        );
        if let Some(source) = route.source
            && family == Family::V4
            && leads_on
            && !(route.kind == RouteKind::Local && route.to == Prefix::host(source))
            && self.address_kind(source, None) != AddressKind::Local
        {
            return Err(ConfigError::InvalidSource(source));
        }
        let tables = &mut self.ways_mut(family).tables;
        let siblings = tables.siblings(&route);
        if family == Family::V6 {
            return v6::put_route(tables, siblings, route, placing);
        }
        if let [_] = route.ways[..] {
            route = route.ways.remove(0).route;
        }
        let twin = tables.range(siblings.clone()).position(|it| it.route == route);
        let exists = ConfigError::RouteExists(route.to, route.table, route.metric);
        match placing {
            Placing::Add if !siblings.is_empty() => return Err(exists),
            Placing::Change if siblings.is_empty() => {
                return Err(ConfigError::NoRouteToChange(route.to, route.table));
            }
            Placing::Change | Placing::Replace if !siblings.is_empty() => {
                let is_there = |it: &Entry| it.route == route;
                if tables.range(siblings.clone()).next().is_some_and(is_there) {
                    return Ok(());
                }
                if twin.is_some_and(|at| at > 0) {
                    return Err(exists);
                }
                tables.replace_at(siblings.start, route);
            }
            _ if twin.is_some() => return Err(exists),
            Placing::Prepend => tables.insert_at(siblings.start, route, None),
            _ => tables.insert_at(siblings.end, route, None),
        }
        Ok(())
    }

    /// Finds the interfaces of a route's gateways, and refuses what the kernel refuses of them.
    fn check_nexthops(&self, route: &mut Route) -> Result<(), ConfigError> {
        let check = |route: &mut Route| match route.to.family() {
            Family::V4 => self.check_ipv4_nexthop(route),
            Family::V6 => self.check_ipv6_nexthop(route),
        };
        if route.ways.is_empty() {
            return check(route);
        }
        let is_ipv6 = route.to.family() == Family::V6;
        // Before anything is looked up, also where packets are refused, and gateways forgotten.
        if is_ipv6 && route.ways.iter().any(|way| way.route.via.is_none()) {
            return Err(ConfigError::SharedWithoutGateway(route.to));
        }
        for at in 0..route.ways.len() {
            let (before, rest) = route.ways.split_at_mut(at);
            let Some(way) = rest.first_mut() else { break };
            // One that is dead was good when it came.
            if way.is_dead {
                continue;
            }
            if is_ipv6 && way.route.onlink && way.route.interface.is_none() {
                return Err(ConfigError::OnlinkNeedsInterface);
            }
            check(&mut way.route)?;
            // No gateway shares with itself, whatever is wrong with those that follow.
            if is_ipv6 && before.iter().any(|it| v6::lead_alike(&it.route, &way.route)) {
                return Err(ConfigError::RouteExists(route.to, route.table, route.metric));
            }
        }
        match route.to.family() {
            Family::V4 if route.scope == Scope::Host && route.ways.len() > 1 => {
                Err(ConfigError::SharedInTheHost(route.to))
            }
            _ => Ok(()),
        }
    }

    /// Removes the first route to `to` in the table with that metric.
    pub fn remove_route(&mut self, to: Prefix, table: u32, metric: u32) -> Result<(), ConfigError> {
        self.remove_first_route(&RouteSelector {
            to: Some(to),
            table: Some(table),
            metric: Some(metric),
            ..RouteSelector::default()
        })
        .map(drop)
    }

    /// Removes the first route that is meant, in the order of look-ups, and returns it: of the family of its place, of IPv4 where no place is said.
    pub fn remove_first_route(&mut self, selector: &RouteSelector) -> Result<Route, ConfigError> {
        let family = selector.to.map_or(Family::V4, |to| to.family());
        if let Some(table) = selector.table.filter(|table| !self.table_exists(family, *table)) {
            return Err(ConfigError::NoTable(table));
        }
        let tables = &mut self.ways_mut(family).tables;
        let among = match (selector.to, selector.table) {
            (Some(to), Some(table)) => tables.to_place(to, table),
            _ => tables.everything(),
        };
        let start = among.start;
        let means = |route: &Route| match family {
            Family::V4 => selector.means(route) || selector.ways.is_empty() && selector.means_by_its_first(route),
            Family::V6 => selector.means(route) || route.ways.iter().any(|way| selector.means(&way.route)),
        };
        let found = tables.range(among).position(|entry| means(&entry.route));
        let default = Prefix::default_of(family);
        let has_default = !tables
            .to_place(default, selector.table.unwrap_or(table::MAIN))
            .is_empty();
        match found.map(|at| start + at) {
            Some(at) if family == Family::V6 => Ok(v6::remove_way(tables, at, selector)),
            Some(at) => Ok(tables.remove_at(at)),
            None if family == Family::V6 && !has_default && v6::means_nothing(selector) => {
                Err(ConfigError::NoDefaultRoute)
            }
            None => Err(ConfigError::NoRoute(
                selector.to.unwrap_or(default),
                selector.table.unwrap_or(table::MAIN),
            )),
        }
    }

    /// Whether the tables are asked one by one: somebody added or removed a rule, once. Until then the local and the main table are as one.
    pub fn tables_are_apart(&self, family: Family) -> bool {
        self.ways(family).custom_rules
    }

    /// Whether the table was ever put a route into; the local and the main one exist from the start.
    pub fn table_exists(&self, family: Family, table: u32) -> bool {
        self.ways(family).tables.table_exists(table)
    }

    /// The tables without a route that are there all the same, beside the local and the main one.
    pub fn empty_tables(&self, family: Family) -> impl Iterator<Item = u32> {
        self.ways(family).tables.empty()
    }

    /// The table is there from now on.
    pub fn make_table(&mut self, family: Family, table: u32) {
        self.ways_mut(family).tables.make(table);
    }

    fn check_ipv4_nexthop(&self, route: &mut Route) -> Result<(), ConfigError> {
        let missing = |id: InterfaceId| match self.position(id) {
            Some(_) => Ok(()),
            None => Err(ConfigError::NoInterface(id)),
        };
        route.interface.map_or(Ok(()), missing)?;
        let has_nexthop = route.via.is_some() || route.interface.is_some();
        match route.kind {
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw => {
                return match has_nexthop {
                    true => Err(ConfigError::NexthopRefused(route.to)),
                    false => Ok(()),
                };
            }
            _ if !has_nexthop => return Err(ConfigError::NoNexthop(route.to)),
            _ => {}
        }
        if let Some(via @ IpAddr::V6(_)) = route.via {
            // Asked for as that of a route of IPv6 would be.
            let mut like = Route {
                via: Some(via),
                interface: route.interface,
                onlink: route.onlink,
                table: route.table,
                ..Route::new(Prefix::default_of(Family::V6))
            };
            self.check_ipv6_nexthop(&mut like)?;
            route.interface = like.interface;
        } else if let Some(via) = route.via {
            let (interface, is_own) = self.gateway(route, via)?;
            route.interface = Some(interface);
            route.through_itself = is_own;
        }
        match route.interface.map(|id| self.interface(id)) {
            Some(link) if link.is_up || route.scope == Scope::Host => Ok(()),
            Some(link) if route.via.is_some() => Err(ConfigError::GatewayLinkDown(link.name, route.onlink)),
            Some(link) => Err(ConfigError::LinkDown(link.name)),
            _ => Ok(()),
        }
    }

    /// The interface of a route through this gateway, which must be a neighbour's address, or (oddly, and then the second is true) the host's own.
    fn gateway(&self, route: &Route, via: IpAddr) -> Result<(InterfaceId, bool), ConfigError> {
        let invalid = ConfigError::InvalidGateway(via);
        if route.onlink {
            let interface = route.interface.ok_or(ConfigError::OnlinkNeedsInterface)?;
            return match self.address_kind(via, None) {
                AddressKind::Unicast => Ok((interface, false)),
                _ => Err(invalid),
            };
        }
        let found = self.lookup_gateway(route, via).ok_or(invalid.clone())?;
        match (found.kind, found.interface) {
            (RouteKind::Unicast | RouteKind::Local, Some(interface)) => Ok((interface, found.scope >= Scope::Host)),
            _ => Err(invalid),
        }
    }
}

/// What the kernel keeps of what is said of packets and connections.
fn keep(route: &mut Route) {
    route.mtu = route.mtu.map(|mtu| mtu.min(LARGEST_MTU));
    route.metrics = route.metrics.as_kept();
}

/// Of a route of IPv6 that says none.
const IPV6_METRIC: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InterfaceName;

    fn net() -> Net {
        let mut net = Net::new();
        for name in ["da", "db"] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
        }
        net
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
