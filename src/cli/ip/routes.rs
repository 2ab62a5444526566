//! `ip route show` and `flush`: which routes are meant, in which order they are told, and in which words.

use std::cmp::Ordering;
use std::fmt::Write;
use std::net::IpAddr;

use super::route::{USAGE, device_of, table_of};
use super::words::{
    Refused, abbreviates, preference_name, prefix, protocol, protocol_name, route_kind, route_kind_name, scope,
    scope_name, table_name, tos, tos_name,
};
use super::{Call, cache, metrics};
use crate::base::{Family, InterfaceId, Time, as_in_c};
use crate::net::{Net, PathMtu, Prefix, Route, RouteKind, RouteProtocol, RouteSelector, Scope, Way, table};

/// Which routes are listed or flushed. What was asked for by name is not told of each route again.
#[derive(Debug)]
pub(super) struct Filter {
    /// `None`: both.
    family: Option<Family>,
    /// `None`: all tables.
    table: Option<u32>,
    is_table_named: bool,
    /// Not the routes, but what was told of the ways that they are.
    is_cached: bool,
    /// It lies within this.
    root: Option<Prefix>,
    /// It holds this.
    holds: Option<Prefix>,
    selector: RouteSelector,
}

impl Filter {
    pub(super) fn means(&self, route: &Route) -> bool {
        let within =
            |outer: &Prefix, inner: &Prefix| outer.length() <= inner.length() && outer.contains(inner.address());
        self.family.is_none_or(|family| family == route.to.family())
            && self.table.is_none_or(|table| table == route.table)
            && self.root.is_none_or(|root| within(&root, &route.to))
            && self.holds.is_none_or(|holds| within(&route.to, &holds))
            && self.selector.means(route)
    }
}

fn filter(call: &mut Call<'_>) -> Result<Filter, Refused> {
    let mut filter = Filter {
        family: call.style.family,
        table: Some(table::MAIN),
        is_table_named: false,
        is_cached: false,
        root: None,
        holds: None,
        selector: RouteSelector::default(),
    };
    let mut device = None;
    while let Some(word) = call.words.take() {
        match word {
            it if abbreviates(it, "table") => match call.words.need()? {
                "all" | "0" => filter.table = None,
                "cache" => filter.is_cached = true,
                name => {
                    filter.table = Some(table_of(name)?);
                    filter.is_table_named = true;
                }
            },
            it if abbreviates(it, "cached") || abbreviates(it, "cloned") => filter.is_cached = true,
            it if abbreviates(it, "protocol") => match call.words.need()? {
                "all" => filter.selector.protocol = None,
                value => {
                    let wrong = || Refused::wrong(value, "invalid \"protocol\"\n");
                    filter.selector.protocol = Some(protocol(value).ok_or_else(wrong)?);
                }
            },
            "scope" => match call.words.need()? {
                "all" => filter.selector.scope = None,
                value => filter.selector.scope = Some(scope(value, "invalid \"scope\"\n")?),
            },
            it if abbreviates(it, "type") => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "node type value is invalid\n");
                filter.selector.kind = Some(route_kind(value).ok_or_else(wrong)?);
            }
            "dev" | "oif" | "iif" => device = Some(call.words.need()?),
            "via" => {
                let (family, value) = match call.words.need()? {
                    "inet" => (Some(Family::V4), call.words.need()?),
                    "inet6" => (Some(Family::V6), call.words.need()?),
                    value => (filter.family, value),
                };
                filter.selector.via = Some(prefix(value, family)?.address(family));
            }
            "src" => filter.selector.source = Some(prefix(call.words.need()?, filter.family)?.address(filter.family)),
            "tos" | "dsfield" => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "TOS value is invalid\n");
                filter.selector.tos = Some(tos(value).ok_or_else(wrong)?);
            }
            "mark" | "vrf" | "from" => {
                return Err(Refused::not_there(&format!("the selector `{word}`")));
            }
            it => {
                let mut value = if it == "to" { call.words.need()? } else { it };
                let (root, holds) = match value {
                    "root" => (true, false),
                    "match" => (false, true),
                    _ => (true, true),
                };
                if matches!(value, "root" | "match" | "exact") {
                    value = call.words.need()?;
                }
                if abbreviates(value, "help") {
                    return Err(Refused::usage(USAGE));
                }
                let typed = prefix(value, filter.family)?;
                let typed = typed.network(filter.family);
                if root {
                    filter.root = Some(typed);
                }
                if holds {
                    filter.holds = Some(typed);
                }
            }
        }
    }
    filter.selector.interface = device.map(|name| device_of(call, name)).transpose()?;
    // Only all tables are those of both families.
    if filter.table.is_some() {
        filter.family = filter.family.or(Some(Family::V4));
    }
    Ok(filter)
}

pub(super) fn list(call: &mut Call<'_>) -> Result<(), Refused> {
    let filter = filter(call)?;
    let config = call.machine.router().config();
    if let (Some(family), Some(table)) = (filter.family, filter.table)
        && !config.net.table_exists(family, table)
    {
        return Err(no_table(family, "Dump"));
    }
    if filter.is_cached {
        return cache::list(call, &filter);
    }
    for route in in_order(&config.net).into_iter().filter(|route| filter.means(route)) {
        write_route(
            &mut call.out,
            &config.net,
            route,
            &filter,
            (None, call.style.line_end()),
        );
    }
    Ok(())
}

pub(super) fn flush(call: &mut Call<'_>) -> Result<(), Refused> {
    if call.words.peek().is_none() {
        return Err(Refused::new(1, "\"ip route flush\" requires arguments.\n"));
    }
    let filter = filter(call)?;
    if filter.is_cached {
        cache::flush(call);
        return Ok(());
    }
    call.machine.router().configure(|config| {
        let net = &mut config.net;
        if let (Some(Family::V6), Some(table)) = (filter.family, filter.table)
            && !net.table_exists(Family::V6, table)
        {
            return Err(no_table(Family::V6, "Flush"));
        }
        let all = Family::ALL.into_iter().flat_map(|family| net.routes(family));
        let meant: Vec<Route> = all.filter(|route| filter.means(route)).cloned().collect();
        for route in &meant {
            net.remove_first_route(&RouteSelector::only(route))?;
        }
        Ok::<(), Refused>(())
    })
}

fn no_table(family: Family, what: &str) -> Refused {
    let family = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let text = format!("Error: {family}: FIB table does not exist.\n{what} terminated\n");
    Refused::new(2, text)
}

/// As the kernel lists them: IPv4 first, tables by the lowest byte of their numbers. Places of IPv4 stand by their addresses, the longest prefix of
/// one first; of IPv6 each stands behind all that lie in it.
fn in_order(net: &Net) -> Vec<&Route> {
    let mut routes: Vec<&Route> = Family::ALL.into_iter().flat_map(|family| net.routes(family)).collect();
    let key = |it: &Route| (it.to.family(), it.table & 255, it.table);
    let holds = |a: &Route, b: &Route| a.to.length() < b.to.length() && a.to.contains(b.to.address());
    routes.sort_by(|a, b| {
        let by_place = || match a.to.family() {
            Family::V6 if holds(a, b) => Ordering::Greater,
            Family::V6 if holds(b, a) => Ordering::Less,
            _ => {
                let key = |it: &Route, other: &Route| (it.to.address(), other.to.length(), other.tos, it.metric);
                key(a, b).cmp(&key(b, a))
            }
        };
        key(a).cmp(&key(b)).then_with(by_place)
    });
    routes
}

/// With what was told of the way, at this time, where that is what is shown.
pub(super) fn write_route(
    out: &mut String,
    net: &Net,
    route: &Route,
    filter: &Filter,
    (learned, line_end): (Option<(&PathMtu, Time)>, &str),
) {
    let asked = &filter.selector;
    if route.kind != RouteKind::Unicast {
        let _ = write!(out, "{} ", route_kind_name(route.kind));
    }
    match route.to.length() {
        0 => out.push_str("default "),
        length if length == route.to.family().bits() => {
            let _ = write!(out, "{} ", as_in_c(route.to.address()));
        }
        _ => {
            let _ = write!(out, "{} ", route.to);
        }
    }
    if route.tos != 0 && asked.tos.is_none() {
        let _ = write!(out, "tos {} ", tos_name(route.tos));
    }
    if let Some(via) = route.via
        && (asked.via.is_none() || Family::of(via) != route.to.family())
    {
        write_via(out, via, route.to.family());
    }
    let is_ipv6 = route.to.family() == Family::V6;
    // What refuses packets of IPv6 is told to lead to lo.
    let interface = route
        .interface
        .or((is_ipv6 && route.ways.is_empty()).then_some(InterfaceId::LOOPBACK));
    if let Some(id) = interface.filter(|_| asked.interface.is_none()) {
        let _ = write!(out, "dev {} ", net.interface(id).name);
    }
    if route.table != table::MAIN && !filter.is_table_named {
        let _ = write!(out, "table {} ", table_name(route.table));
    }
    if route.protocol != RouteProtocol::BOOT && asked.protocol.is_none() {
        let _ = write!(out, "proto {} ", protocol_name(route.protocol));
    }
    if route.scope != Scope::Universe && asked.scope.is_none() {
        let _ = write!(out, "scope {} ", scope_name(route.scope));
    }
    if let Some(source) = route.source.filter(|_| asked.source.is_none()) {
        let _ = write!(out, "src {} ", as_in_c(source));
    }
    if route.metric != 0 || is_ipv6 {
        let _ = write!(out, "metric {} ", route.metric);
    }
    if route.onlink {
        out.push_str("onlink ");
    }
    if let Some((learned, now)) = learned {
        if !is_ipv6 {
            let whose = if route.kind == RouteKind::Broadcast {
                "<local,brd> "
            } else {
                ""
            };
            let _ = write!(out, "{line_end}    cache {whose}");
        }
        cache::write_until(out, learned, now);
    }
    let learned = learned.and_then(|(learned, _)| cache::size(learned));
    metrics::write(out, route, learned);
    if is_ipv6 {
        let _ = write!(out, "pref {}", preference_name(route.preference));
    }
    for way in &route.ways {
        let _ = write!(out, "{line_end}\tnexthop ");
        write_way(out, net, way);
    }
    out.push('\n');
}

/// One of several gateways.
fn write_way(out: &mut String, net: &Net, way: &Way) {
    let Route { via, interface, to, .. } = &way.route;
    if let Some(via) = via {
        write_via(out, *via, to.family());
    }
    if let Some(id) = interface {
        let _ = write!(out, "dev {} ", net.interface(*id).name);
    }
    let _ = write!(out, "weight {} ", way.route.weight);
    for (flag, is_set) in [
        ("dead ", way.is_dead),
        ("onlink ", way.route.onlink),
        ("linkdown ", way.is_dead),
    ] {
        if is_set {
            out.push_str(flag);
        }
    }
}

/// Of a route, or a way, of this family.
pub(super) fn write_via(out: &mut String, via: IpAddr, family: Family) {
    let of_another = if Family::of(via) == family { "" } else { "inet6 " };
    let _ = write!(out, "via {of_another}{} ", as_in_c(via));
}

/// A route alone, with nothing left out: what `get fibmatch` prints.
pub(super) fn write_whole(out: &mut String, net: &Net, route: &Route, line_end: &str) {
    let filter = Filter {
        family: None,
        table: None,
        is_table_named: false,
        is_cached: false,
        root: None,
        holds: None,
        selector: RouteSelector::default(),
    };
    write_route(out, net, route, &filter, (None, line_end));
}
