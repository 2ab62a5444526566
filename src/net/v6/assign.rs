//! What an address of IPv6 is, and what comes with it and with the link it is on. All of it was read from `ip -6 route show table all` on Linux 6.18.

use std::net::{IpAddr, Ipv6Addr};

use crate::base::InterfaceId;
use crate::net::{Address, AddressFlags, ConfigError, Prefix, Route, RouteKind, RouteProtocol, Scope, table};

/// A link that takes less has no IPv6.
pub(crate) const LEAST_MTU: u32 = 1280;

/// How far an address is known, which IPv6 tells by the address itself.
pub(crate) fn scope_of(address: Ipv6Addr) -> Scope {
    match address.segments()[0] {
        _ if address.is_loopback() => Scope::Host,
        0xfe80..=0xfebf => Scope::Link,
        0xfec0..=0xfeff => Scope::Site,
        _ => Scope::Universe,
    }
}

/// Whether an interface may have it.
pub(in crate::net) fn check_address(address: IpAddr, id: InterfaceId) -> Result<(), ConfigError> {
    if address.is_unspecified() {
        return Err(ConfigError::NoHostAddress(address));
    }
    if address.is_multicast() {
        return Err(ConfigError::AddressOfGroup(address));
    }
    match address.is_loopback() && id != InterfaceId::LOOPBACK {
        true => Err(ConfigError::AddressOfLoopback(address)),
        false => Ok(()),
    }
}

/// The routes that an address brings. Where its interface forwards, the first address of its network means any router of it.
pub(in crate::net) fn routes_of(id: InterfaceId, new: &Address, forwards: bool) -> Vec<Route> {
    let mut routes = vec![brought(id, Prefix::host(new.address), RouteKind::Local)];
    // What `lo` has by itself brings none.
    if !new.address.is_loopback() && !new.flags.has(AddressFlags::NO_PREFIX_ROUTE) {
        routes.push(route_to_network(id, new));
    }
    if let Some(peer) = new.peer {
        routes.push(route_to(id, new, Prefix::host(peer)));
    }
    let first = new.network().address();
    if forwards && new.prefix_length < 127 && !first.is_unspecified() {
        routes.push(brought(id, Prefix::host(first), RouteKind::Anycast));
    }
    routes
}

/// The route to the network of an address.
pub(in crate::net) fn route_to_network(id: InterfaceId, new: &Address) -> Route {
    route_to(id, new, new.network())
}

/// A route that an address brings to there, with the metric that it says.
pub(super) fn route_to(id: InterfaceId, new: &Address, to: Prefix) -> Route {
    let route = brought(id, to, RouteKind::Unicast);
    Route {
        metric: if new.metric == 0 { route.metric } else { new.metric },
        ..route
    }
}

/// The route of a link that is up, whatever addresses it has.
pub(in crate::net) fn routes_of_link(id: InterfaceId) -> Option<Route> {
    let groups = Prefix::new(IpAddr::from(GROUPS), 8)?;
    (id != InterfaceId::LOOPBACK).then(|| brought(id, groups, RouteKind::Multicast))
}

fn brought(id: InterfaceId, to: Prefix, kind: RouteKind) -> Route {
    Route {
        kind,
        table: match kind {
            RouteKind::Unicast => table::MAIN,
            _ => table::LOCAL,
        },
        metric: match kind {
            RouteKind::Local | RouteKind::Anycast => 0,
            _ => METRIC,
        },
        interface: Some(id),
        protocol: RouteProtocol::KERNEL,
        ..Route::new(to)
    }
}

/// Of what the kernel adds by itself.
const METRIC: u32 = 256;

const GROUPS: Ipv6Addr = Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0);
