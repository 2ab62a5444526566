//! What a lab file has words for, written as one.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::IpAddr;

use super::record::RouteRecord;
use crate::base::Family;
use crate::lab::file::DEFAULT_MTU;
use crate::lab::machine::{Machine, Profile};
use crate::lab::memory::LINK_ADDRESS;
use crate::net::{Address, Net, Preference, Route, RouteKind, RouteProtocol, Scope, Way, table};

/// What a lab file says of the machine as such; it stands before any table.
pub(super) fn whose(machine: &Machine) -> String {
    let mut text = match machine.profile() {
        Profile::Linux6 => String::new(),
        profile @ Profile::Classic => format!("profile = {}\n", quoted(profile.name())),
    };
    if let Some(bytes) = machine.described.memory {
        let _ = writeln!(text, "memory = {}", quoted(&bytes.to_string()));
    }
    text
}

/// Interfaces, routes and hosts of a lab file.
pub(super) fn described(machine: &Machine, net: &Net, routes: &[Route]) -> String {
    let mut text = String::new();
    for interface in net.interfaces().iter().skip(1) {
        // Of IPv6 the newest stands first.
        let is_drawn = |it: &&Address| it.address == LINK_ADDRESS && it.prefix_length == 64;
        let mut of_link = interface
            .addresses
            .iter()
            .filter(|it| it.scope == Scope::Link && it.address.is_ipv6());
        let only_drawn = of_link.all(|it| is_drawn(&it));
        let of_ipv6 = interface.addresses_of(Family::V6);
        let of_ipv6: Vec<&Address> = of_ipv6.filter(|it| !(only_drawn && is_drawn(it))).collect();
        let own = interface
            .addresses_of(Family::V4)
            .filter(|it| it.peer.is_none())
            .chain(of_ipv6.into_iter().rev());
        let addresses: Vec<String> = own
            .map(|it| quoted(&format!("{}/{}", it.address, it.prefix_length)))
            .collect();
        let _ = writeln!(text, "[interface.{}]", quoted(interface.name.as_str()));
        let _ = writeln!(text, "address = [{}]", addresses.join(", "));
        if interface.mtu != DEFAULT_MTU {
            let _ = writeln!(text, "mtu = {}", interface.mtu);
        }
    }
    for route in routes {
        let _ = writeln!(text, "[[route]]\nto = {}", quoted(&route.to.to_string()));
        match &route.ways[..] {
            [] => {
                for line in hop(net, route) {
                    let _ = writeln!(text, "{line}");
                }
            }
            ways => {
                let _ = writeln!(text, "nexthop = [");
                for Way { route, .. } in ways {
                    let weight = (route.weight > 1).then(|| format!("weight = {}", route.weight));
                    let words: Vec<String> = hop(net, route).chain(weight).collect();
                    let _ = writeln!(text, "  {{ {} }},", words.join(", "));
                }
                let _ = writeln!(text, "]");
            }
        }
    }
    for host in &machine.described.hosts {
        // A host that no address of the router's is a neighbour of any more can't be written into a lab file.
        let neighbours = |address: IpAddr| {
            let interface = net.by_name(host.interface.as_str());
            interface.is_some_and(|it| it.addresses.iter().any(|own| own.network().contains(address)))
        };
        if !host.addresses.iter().all(|it| neighbours(it.address)) || !host.gateways.iter().all(|it| neighbours(*it)) {
            continue;
        }
        let addresses = host
            .addresses
            .iter()
            .map(|it| format!("{}/{}", it.address, it.prefix_length));
        let addresses: Vec<String> = addresses.map(|it| quoted(&it)).collect();
        let gateways: Vec<String> = host.gateways.iter().map(|it| quoted(&it.to_string())).collect();
        let _ = writeln!(text, "[host.{}]", quoted(&host.name));
        let _ = writeln!(text, "interface = {}", quoted(host.interface.as_str()));
        let _ = writeln!(text, "address = [{}]", addresses.join(", "));
        if !gateways.is_empty() {
            let _ = writeln!(text, "gateway = [{}]", gateways.join(", "));
        }
    }
    text
}

/// `via` and `dev` of a gateway.
fn hop(net: &Net, route: &Route) -> impl Iterator<Item = String> {
    let via = route.via.map(|via| format!("via = {}", quoted(&via.to_string())));
    let dev = route
        .interface
        .map(|id| format!("dev = {}", quoted(net.interface(id).name.as_str())));
    via.into_iter().chain(dev)
}

/// Those that a lab file has words for, and the others, in an order in which they can be added.
pub(super) fn routes(net: &Net) -> (Vec<Route>, Vec<RouteRecord>) {
    let plain = |route: &&Route| {
        let neighbour = |via: IpAddr| {
            let addresses = net.interfaces().iter().flat_map(|it| &it.addresses);
            addresses
                .into_iter()
                .any(|own| own.network().contains(via) && own.address != via)
        };
        route.table == table::MAIN
            && are_plain(route)
            && route.kind == RouteKind::Unicast
            && (route.source, route.mtu, route.metric) == (None, None, usual_metric(route.to.family()))
            && (route.hop_limit, route.preference, route.mtu_is_locked) == (None, Preference::Medium, false)
            && (route.protocol, route.onlink) == (RouteProtocol::BOOT, false)
            && (route.tos, route.weight) == (0, 1)
            && route.metrics.is_empty()
            && (route.scope == Scope::Link)
                == (route.via.is_none() && route.ways.is_empty() && route.to.family() == Family::V4)
            && matches!(route.scope, Scope::Link | Scope::Universe)
            && net
                .routes(route.to.family())
                .filter(|it| (it.to, it.table) == (route.to, route.table))
                .count()
                == 1
            && route
                .hops()
                .filter_map(|way| way.via)
                .all(|via| Family::of(via) == route.to.family() && neighbour(via))
    };
    let written: Vec<Route> = net.added_routes().filter(plain).cloned().collect();
    let mut others: Vec<&Route> = net.added_routes().filter(|route| !plain(route)).collect();
    // A gateway may be behind a route of its own.
    others.sort_by_key(|route| route.via.is_some() || !route.ways.is_empty());
    let records = others.into_iter().map(|route| RouteRecord::of(route, net)).collect();
    (written, records)
}

/// Of several gateways each is another, lives, and is of the route that all are of.
fn are_plain(route: &Route) -> bool {
    let plainly = |way: &Route| Route {
        via: None,
        interface: None,
        weight: 1,
        ways: Vec::new(),
        ..way.clone()
    };
    let mut once = HashSet::new();
    route.ways.iter().all(|way| {
        !way.is_dead && plainly(&way.route) == plainly(route) && once.insert((way.route.via, way.route.interface))
    })
}

/// Of a route that says none.
fn usual_metric(family: Family) -> u32 {
    match family {
        Family::V4 => 0,
        Family::V6 => 1024,
    }
}

/// As TOML writes a text.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
