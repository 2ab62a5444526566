//! Where a route of IPv6 may lead, and which routes are taken for one. Each refusal was seen on Linux 6.18.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use crate::base::{Family, InterfaceId};
use crate::net::lookup::Key;
use crate::net::tables::{Entry, Tables};
use crate::net::{
    Address, AddressFlags, ConfigError, Net, Placing, Prefix, Route, RouteKind, RouteProtocol, RouteSelector, table,
};

impl Net {
    /// Finds the interface of a route that is to be added, and refuses what leads nowhere without saying so.
    pub(in crate::net) fn check_ipv6_nexthop(&self, route: &mut Route) -> Result<(), ConfigError> {
        self.check_is_wide(route)?;
        if leads_nowhere(route) {
            // Whatever way it names.
            (route.via, route.interface, route.onlink) = (None, None, false);
            return self.check_ipv6_source(route);
        }
        if route.onlink {
            let id = route.interface.ok_or(ConfigError::OnlinkNeedsInterface)?;
            self.check_is_up(id)?;
        }
        if let Some(IpAddr::V6(via)) = route.via {
            route.interface = Some(self.ipv6_gateway(route, via)?);
        }
        let id = route.interface.ok_or(ConfigError::NoNexthop(route.to))?;
        let link = self.interface(id);
        if !self.may_have_ipv6(link) {
            return Err(ConfigError::NoIpv6AtNexthop(link.name));
        }
        self.check_is_up(id)?;
        self.check_ipv6_source(route)
    }

    /// An interface too narrow for IPv6 is not there, to whom names it: before anything else of the route is looked at.
    fn check_is_wide(&self, route: &Route) -> Result<(), ConfigError> {
        let Some(id) = route.interface else {
            return Ok(());
        };
        self.position(id).ok_or(ConfigError::NoInterface(id))?;
        match self.interface(id) {
            link if !link.is_wide_enough_for_ipv6() => Err(ConfigError::TooNarrowForRoutes(link.name)),
            _ => Ok(()),
        }
    }

    fn check_is_up(&self, id: InterfaceId) -> Result<(), ConfigError> {
        let link = self.interface(id);
        match link.is_up {
            true => Ok(()),
            false => Err(ConfigError::NexthopDown(link.name)),
        }
    }

    fn check_ipv6_source(&self, route: &Route) -> Result<(), ConfigError> {
        let is_source = |it: &Address| Some(it.address) == route.source && !it.flags.has(AddressFlags::TENTATIVE);
        let is_own = || self.interfaces.iter().any(|it| it.addresses.iter().any(is_source));
        match route.source.filter(|_| !is_own()) {
            Some(source) => Err(ConfigError::InvalidSource(source)),
            None => Ok(()),
        }
    }

    /// Routes that named an address which is gone stay, and name none.
    pub(in crate::net) fn forget_ipv6_source(&mut self, gone: IpAddr) {
        if self.is_own_address(gone) {
            return;
        }
        self.ways_mut(Family::V6).tables.retain(|entry| {
            let route = &mut entry.route;
            if route.source == Some(gone) {
                (route.source, route.lost_source) = (None, true);
            }
            true
        });
    }

    fn ipv6_gateway(&self, route: &Route, via: Ipv6Addr) -> Result<InterfaceId, ConfigError> {
        let gateway = IpAddr::V6(via);
        let is_of_link = via.is_unicast_link_local();
        // An address of the link may be another host's on another one.
        let is_own_of = |id: InterfaceId| match is_of_link {
            true => self.interface(id).addresses.iter().any(|it| it.address == gateway),
            false => self.is_own_address(gateway),
        };
        if route.interface.is_some_and(is_own_of) {
            return Err(ConfigError::GatewayIsOwn(gateway));
        }
        if via.is_unspecified() || via.is_multicast() {
            return Err(ConfigError::NoGateway(gateway));
        }
        let found = match (is_of_link, route.onlink) {
            (true, _) => route.interface,
            (false, true) => Some(self.ipv6_gateway_onlink(route, gateway)?),
            (false, false) => Some(self.ipv6_gateway_on_link(route, gateway)?),
        };
        let id = found.ok_or(ConfigError::GatewayNeedsInterface(gateway))?;
        match id {
            InterfaceId::LOOPBACK => Err(ConfigError::GatewayByLoopback),
            _ if is_own_of(id) => Err(ConfigError::GatewayIsOwn(gateway)),
            _ => Ok(id),
        }
    }

    /// The new route's own table is asked before all rules.
    fn ipv6_gateway_on_link(&self, route: &Route, gateway: IpAddr) -> Result<InterfaceId, ConfigError> {
        let key = Key {
            input: None,
            output: route.interface,
            ..Key::to(gateway)
        };
        let leads = |found: &&Route| {
            !leads_nowhere(found)
                && found.via.is_none()
                && route.interface.is_none_or(|asked| found.interface == Some(asked))
        };
        let found = self.lookup_ipv6_gateway_in(route.table, &key).filter(leads);
        let found = found.or_else(|| self.lookup_ipv6_gateway(&key).filter(leads));
        found
            .and_then(|found| found.interface)
            .ok_or(ConfigError::GatewayUnreachable(gateway))
    }

    /// What is said to be a neighbour must not be known to be elsewhere, but by a default route. Of several routes to it one by the device that is named is
    /// preferred, as for what comes by it, and no other excluded.
    fn ipv6_gateway_onlink(&self, route: &Route, gateway: IpAddr) -> Result<InterfaceId, ConfigError> {
        let id = route.interface.ok_or(ConfigError::OnlinkNeedsInterface)?;
        let key = Key {
            input: Some(id),
            ..Key::to(gateway)
        };
        let known = self.ways(Family::V6).tables.deciding(table::MAIN, &key);
        let is_elsewhere = |found: &&Route| {
            !leads_nowhere(found)
                && found.to != Prefix::default_of(Family::V6)
                && (found.kind != RouteKind::Unicast || found.interface != Some(id))
        };
        match known.filter(is_elsewhere) {
            Some(_) => Err(ConfigError::OnlinkElsewhere(gateway)),
            None => Ok(id),
        }
    }
}

/// It refuses packets, or sends them to the next table.
pub(in crate::net) fn leads_nowhere(route: &Route) -> bool {
    matches!(
        route.kind,
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw
    )
}

/// Of a default route that is to go, and is not there: whether the kernel finds in its place what every table of IPv6 begins with, which refuses all by
/// `lo`, and which nobody can remove.
pub(in crate::net) fn means_nothing(selector: &RouteSelector) -> bool {
    selector.to == Some(Prefix::default_of(Family::V6))
        && selector.via.is_none()
        && selector.interface.is_none_or(|it| it == InterfaceId::LOOPBACK)
        && selector.metric.is_none_or(|metric| metric == 0 || metric == u32::MAX)
        && selector.protocol.is_none_or(|it| it == RouteProtocol::KERNEL)
}

/// Of two routes to one place with one metric: whether they lead the same way, whatever else is said of them.
pub(in crate::net) fn lead_alike(a: &Route, b: &Route) -> bool {
    leads_nowhere(a) == leads_nowhere(b) && (a.via, a.interface) == (b.via, b.interface)
}

/// Routes of IPv6 to one place with one metric share its packets as soon as several of them lead to gateways: `append` makes one of them.
pub(in crate::net) fn put_route(
    tables: &mut Tables,
    siblings: Range<usize>,
    route: Route,
    placing: Placing,
) -> Result<(), ConfigError> {
    let exists = ConfigError::RouteExists(route.to, route.table, route.metric);
    let place = (route.to, route.table);
    let is_sharing = shares(&route);
    let partner = is_sharing
        .then(|| tables.range(siblings.clone()).position(|it| shares(&it.route)))
        .flatten();
    let partner = partner.map(|at| siblings.start + at);
    let ways = route.into_ways();
    let made = |ways| Route::of_ways(ways).ok_or(ConfigError::NoRoute(place.0, place.1));
    match placing {
        Placing::Add if !siblings.is_empty() => Err(exists),
        Placing::Change if siblings.is_empty() && has_node(tables, place) => {
            Err(ConfigError::NoSuchRouteToChange(place.0, place.1))
        }
        Placing::Change if siblings.is_empty() => Err(ConfigError::NoRouteToChange(place.0, place.1)),
        Placing::Change | Placing::Replace if !siblings.is_empty() => {
            // The first gives way of those that it could share with, else the first of all.
            let alike = tables
                .range(siblings.clone())
                .position(|it| shares(&it.route) == is_sharing);
            let at = siblings.start + alike.unwrap_or(0);
            tables.replace_at(at, made(ways)?);
            Ok(())
        }
        _ => {
            let leads_as = |entry: &Entry| {
                let mut there = entry.route.hops();
                there.any(|it| ways.iter().any(|way| lead_alike(it, &way.route)))
            };
            if tables.range(siblings.clone()).any(leads_as) {
                return Err(exists);
            }
            match partner {
                Some(at) => {
                    let there = tables.range(at..at + 1).next().map(|it| it.route.clone());
                    let all = there.into_iter().flat_map(Route::into_ways).chain(ways).collect();
                    tables.replace_at(at, made(all)?);
                }
                None => tables.insert_at(siblings.end, made(ways)?, None),
            }
            Ok(())
        }
    }
}

/// Whether the tree of the kernel's table has a node there: its root, a route, or where the ways to two routes part. What is to be changed and has none
/// is refused in other words.
fn has_node(tables: &Tables, (place, table): (Prefix, u32)) -> bool {
    let length = place.length();
    let mut sides = [false; 2];
    let inside = |it: &&Entry| {
        it.route.table == table && it.route.to.length() >= length && place.contains(it.route.to.address())
    };
    for Entry { route, .. } in tables.range(tables.everything()).filter(inside) {
        let IpAddr::V6(address) = route.to.address() else {
            continue;
        };
        if route.to.length() == length {
            return true;
        }
        sides[usize::from(address.to_bits() << length >> 127 != 0)] = true;
    }
    length == 0 || sides == [true; 2]
}

/// A route with a gateway shares packets with others that have one.
fn shares(route: &Route) -> bool {
    route.hops().all(|way| way.via.is_some()) && !leads_nowhere(route)
}

/// Seen: who names a gateway removes that one, and who names none all that share with the one that is meant.
pub(in crate::net) fn remove_way(tables: &mut Tables, at: usize, selector: &RouteSelector) -> Route {
    let there = tables.range(at..at + 1).next().map(|it| it.route.clone());
    if let Some(route) = there.filter(|route| !route.ways.is_empty() && selector.via.is_some()) {
        let mut ways = route.into_ways();
        if let Some(meant) = ways.iter().position(|way| selector.means(&way.route)) {
            let gone = ways.remove(meant).route;
            if let Some(left) = Route::of_ways(ways) {
                tables.replace_at(at, left);
                return gone;
            }
        }
    }
    tables.remove_at(at)
}
