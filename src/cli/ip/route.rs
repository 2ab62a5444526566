//! `ip route`: show, add, append, prepend, change, replace, delete and flush; `get` has a file of its own.

use std::cmp::Ordering;
use std::fmt::Write;
use std::net::IpAddr;

use super::words::{
    self, Refused, Typed, abbreviates, address, number, preference_name, prefix, protocol, protocol_name, route_kind,
    route_kind_name, scope, scope_name, table_name,
};
use super::{Call, Style, cache, get};
use crate::base::{Family, InterfaceId, Time};
use crate::net::{
    Net, PathMtu, Placing, Preference, Prefix, Route, RouteKind, RouteProtocol, RouteSelector, Scope, table,
};

pub(super) fn run(call: &mut Call<'_>) -> Result<(), Refused> {
    let Some(command) = call.words.take() else {
        return list(call);
    };
    let placing = match command {
        it if abbreviates(it, "add") => Placing::Add,
        it if abbreviates(it, "change") || it == "chg" => Placing::Change,
        it if abbreviates(it, "replace") => Placing::Replace,
        it if abbreviates(it, "prepend") => Placing::Prepend,
        it if abbreviates(it, "append") => Placing::Append,
        it if abbreviates(it, "test") => return Err(Refused::not_there("`ip route test`")),
        it if abbreviates(it, "delete") => return delete(call),
        it if ["list", "show", "lst"].iter().any(|name| abbreviates(it, name)) => return list(call),
        it if abbreviates(it, "get") => return get::run(call),
        it if abbreviates(it, "flush") => return flush(call),
        it if ["save", "restore", "showdump"].iter().any(|name| abbreviates(it, name)) => {
            return Err(Refused::not_there(&format!("`ip route {it}`")));
        }
        it if abbreviates(it, "help") => return Err(Refused::usage(USAGE)),
        it => return Err(Refused::unknown_command(it, "route")),
    };
    let told = told(call)?;
    let to = told.place()?;
    let is_ipv6 = to.family() == Family::V6;
    let kind = told.kind.unwrap_or(RouteKind::Unicast);
    let route = Route {
        kind,
        via: told.via,
        interface: told.interface,
        source: told.source,
        metric: told.metric.unwrap_or(0),
        table: told.table_or_kinds(kind),
        scope: told.scope.filter(|_| !is_ipv6).unwrap_or(match kind {
            _ if is_ipv6 => Scope::Universe,
            RouteKind::Local => Scope::Host,
            RouteKind::Broadcast | RouteKind::Anycast | RouteKind::Multicast => Scope::Link,
            RouteKind::Unicast if told.via.is_none() => Scope::Link,
            _ => Scope::Universe,
        }),
        mtu: told.mtu,
        mtu_is_locked: told.mtu_is_locked && told.mtu.is_some(),
        hop_limit: told.hop_limit,
        protocol: told.protocol.unwrap_or(RouteProtocol::BOOT),
        onlink: told.onlink,
        preference: told.preference.unwrap_or_default(),
        ..Route::new(to)
    };
    call.machine.change_net(|net| net.put_route(route, placing))?;
    Ok(())
}

/// What a route is described by.
#[derive(Debug, Default)]
struct Told {
    to: Option<Typed>,
    /// Of the call, or of the first address that says it.
    family: Option<Family>,
    kind: Option<RouteKind>,
    via: Option<IpAddr>,
    interface: Option<InterfaceId>,
    source: Option<IpAddr>,
    metric: Option<u32>,
    table: Option<u32>,
    scope: Option<Scope>,
    mtu: Option<u32>,
    mtu_is_locked: bool,
    hop_limit: Option<u8>,
    protocol: Option<RouteProtocol>,
    preference: Option<Preference>,
    onlink: bool,
}

impl Told {
    /// IPv4 has no place with bits beyond its length; those of IPv6 do not count.
    fn place(&self) -> Result<Prefix, Refused> {
        let typed = self.to.ok_or_else(|| Refused::usage(USAGE))?;
        match self.family {
            Some(Family::V6) => Ok(typed.network(self.family)),
            _ => typed.prefix(self.family).ok_or_else(invalid_prefix),
        }
    }

    fn address(&mut self, word: &str) -> Result<IpAddr, Refused> {
        let address = address(word, self.family)?;
        self.family = Some(Family::of(address));
        Ok(address)
    }

    fn table_or_kinds(&self, kind: RouteKind) -> u32 {
        self.table.unwrap_or(match kind {
            RouteKind::Local | RouteKind::Broadcast | RouteKind::Anycast => table::LOCAL,
            _ => table::MAIN,
        })
    }
}

fn told(call: &mut Call<'_>) -> Result<Told, Refused> {
    let mut told = Told {
        family: call.style.family,
        ..Told::default()
    };
    let mut device = None;
    while let Some(word) = call.words.take() {
        match word {
            "src" => told.source = Some(told.address(call.words.need()?)?),
            "via" => {
                let (family, value) = match call.words.need()? {
                    "inet" => (Some(Family::V4), call.words.need()?),
                    "inet6" => (Some(Family::V6), call.words.need()?),
                    value => (None, value),
                };
                told.via = Some(match family {
                    Some(_) => address(value, family)?,
                    None => told.address(value)?,
                });
            }
            it if it == "metric" || abbreviates(it, "priority") || it == "preference" => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "\"metric\" value is invalid\n");
                told.metric = Some(number(value).ok_or_else(wrong)?);
            }
            "scope" => told.scope = Some(scope(call.words.need()?, "invalid \"scope\" value\n")?),
            "mtu" => {
                let mut value = call.words.need()?;
                told.mtu_is_locked = value == "lock";
                if told.mtu_is_locked {
                    value = call.words.need()?;
                }
                let wrong = || Refused::wrong(value, "\"mtu\" value is invalid\n");
                // 0 is none.
                told.mtu = Some(number(value).ok_or_else(wrong)?).filter(|it| *it != 0);
            }
            "hoplimit" => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "\"hoplimit\" value is invalid\n");
                let limit = number(value).and_then(|it| u8::try_from(it).ok());
                // 0 is none.
                told.hop_limit = Some(limit.ok_or_else(wrong)?).filter(|it| *it != 0);
            }
            "onlink" => told.onlink = true,
            it if abbreviates(it, "protocol") => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "\"protocol\" value is invalid\n");
                told.protocol = Some(protocol(value).ok_or_else(wrong)?);
            }
            "pref" => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "\"pref\" value is invalid\n");
                told.preference = Some(words::preference(value).ok_or_else(wrong)?);
            }
            it if abbreviates(it, "table") => told.table = Some(table_of(call.words.need()?)?),
            "dev" | "oif" => device = Some(call.words.need()?),
            it if OTHERS.contains(&it) || abbreviates(it, "dsfield") || abbreviates(it, "realms") => {
                return Err(Refused::not_there(&format!("`{it}` of a route")));
            }
            it => {
                let mut value = if it == "to" { call.words.need()? } else { it };
                if let Some(kind) = route_kind(value) {
                    told.kind = Some(kind);
                    value = call.words.need()?;
                } else if value == "nat" || value == "xresolve" {
                    return Err(Refused::not_there(&format!("a route of the type {value}")));
                }
                if abbreviates(value, "help") {
                    return Err(Refused::usage(USAGE));
                }
                if told.to.is_some() {
                    return Err(Refused::duplicate("to", value));
                }
                let typed = prefix(value, told.family)?;
                told.family = told.family.or(typed.family());
                told.to = Some(typed);
            }
        }
    }
    if told.to.is_none() {
        return Err(Refused::usage(USAGE));
    }
    if let (Some(via), Some(family)) = (told.via, told.family)
        && Family::of(via) != family
        && family == Family::V6
    {
        return Err(Refused::new(2, "Error: IPv6 does not support RTA_VIA attribute.\n"));
    }
    if told.mtu_is_locked && told.family == Some(Family::V6) {
        return Err(Refused::not_there("`mtu lock` of a route of IPv6"));
    }
    told.interface = device.map(|name| device_of(call, name)).transpose()?;
    Ok(told)
}

fn delete(call: &mut Call<'_>) -> Result<(), Refused> {
    let told = told(call)?;
    let to = told.place()?;
    let kind = told.kind;
    // What else is said of a route of IPv6 is not looked at.
    let of_ipv6 = RouteSelector {
        to: Some(to),
        table: Some(told.table_or_kinds(kind.unwrap_or(RouteKind::Unicast))),
        via: told.via,
        interface: told.interface,
        metric: told.metric.filter(|it| *it != 0),
        protocol: told.protocol,
        ..RouteSelector::default()
    };
    let selector = RouteSelector {
        to: Some(to),
        table: Some(told.table_or_kinds(kind.unwrap_or(RouteKind::Unicast))),
        kind,
        via: told.via,
        interface: told.interface,
        source: told.source,
        metric: told.metric.filter(|it| *it != 0),
        scope: told.scope.or(match kind {
            // The real tool says it of a local one too, which has no other than `host`.
            Some(RouteKind::Broadcast | RouteKind::Anycast | RouteKind::Multicast) => Some(Scope::Link),
            _ => None,
        }),
        protocol: told.protocol,
        mtu: told.mtu,
    };
    let selector = match to.family() {
        Family::V4 => selector,
        Family::V6 => of_ipv6,
    };
    call.machine
        .change_net(|net| net.remove_first_route(&selector).map(drop))?;
    Ok(())
}

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
            "tos" | "dsfield" | "mark" | "vrf" | "from" => {
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

fn list(call: &mut Call<'_>) -> Result<(), Refused> {
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
        write_route(&mut call.out, &config.net, route, &filter, None);
    }
    Ok(())
}

fn flush(call: &mut Call<'_>) -> Result<(), Refused> {
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
            _ => (a.to.address(), b.to.length(), a.metric).cmp(&(b.to.address(), a.to.length(), b.metric)),
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
    learned: Option<(&PathMtu, Time, Style)>,
) {
    let asked = &filter.selector;
    if route.kind != RouteKind::Unicast {
        let _ = write!(out, "{} ", route_kind_name(route.kind));
    }
    match route.to.length() {
        0 => out.push_str("default "),
        length if length == route.to.family().bits() => {
            let _ = write!(out, "{} ", route.to.address());
        }
        _ => {
            let _ = write!(out, "{} ", route.to);
        }
    }
    if let Some(via) = route.via
        && (asked.via.is_none() || Family::of(via) != route.to.family())
    {
        write_via(out, via, route.to.family());
    }
    let is_ipv6 = route.to.family() == Family::V6;
    // What refuses packets of IPv6 is told to lead to lo.
    let interface = route.interface.or(is_ipv6.then_some(InterfaceId::LOOPBACK));
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
        let _ = write!(out, "src {source} ");
    }
    if route.metric != 0 || is_ipv6 {
        let _ = write!(out, "metric {} ", route.metric);
    }
    if route.onlink {
        out.push_str("onlink ");
    }
    if let Some((learned, now, style)) = learned {
        if !is_ipv6 {
            let whose = if route.kind == RouteKind::Broadcast {
                "<local,brd> "
            } else {
                ""
            };
            let _ = write!(out, "{}    cache {whose}", style.line_end());
        }
        cache::write_learned(out, learned, now);
    }
    if let Some(mtu) = route.mtu {
        write_mtu(out, mtu, route.mtu_is_locked);
    }
    if let Some(limit) = route.hop_limit {
        let _ = write!(out, "hoplimit {limit} ");
    }
    if is_ipv6 {
        let _ = write!(out, "pref {}", preference_name(route.preference));
    }
    out.push('\n');
}

pub(super) fn write_mtu(out: &mut String, mtu: u32, is_locked: bool) {
    let lock = if is_locked { "lock " } else { "" };
    let _ = write!(out, "mtu {lock}{mtu} ");
}

/// Of a route, or a way, of this family.
pub(super) fn write_via(out: &mut String, via: IpAddr, family: Family) {
    let of_another = if Family::of(via) == family { "" } else { "inet6 " };
    let _ = write!(out, "via {of_another}{via} ");
}

/// A route alone, with nothing left out: what `get fibmatch` prints.
pub(super) fn write_whole(out: &mut String, net: &Net, route: &Route) {
    let filter = Filter {
        family: None,
        table: None,
        is_table_named: false,
        is_cached: false,
        root: None,
        holds: None,
        selector: RouteSelector::default(),
    };
    write_route(out, net, route, &filter, None);
}

fn invalid_prefix() -> Refused {
    Refused::new(2, "Error: Invalid prefix for given prefix length.\n")
}

fn table_of(word: &str) -> Result<u32, Refused> {
    words::table(word).ok_or_else(|| Refused::wrong(word, "\"table\" value is invalid\n"))
}

pub(super) fn device_of(call: &Call<'_>, name: &str) -> Result<InterfaceId, Refused> {
    let config = call.machine.router().config();
    let found = config.net.by_name(name).map(|it| it.id);
    found.ok_or_else(|| Refused::no_device(name))
}

/// What else a route can have.
const OTHERS: &[&str] = &[
    "as",
    "from",
    "tos",
    "expires",
    "advmss",
    "reordering",
    "rtt",
    "rto_min",
    "window",
    "cwnd",
    "initcwnd",
    "initrwnd",
    "features",
    "quickack",
    "congctl",
    "rttvar",
    "ssthresh",
    "nexthop",
    "vrf",
    "encap",
    "ttl-propagate",
    "fastopen_no_cookie",
    "nhid",
];

const USAGE: &str = "\
Usage: ip route { show | flush } [ [ root | match | exact ] PREFIX ] [ table { TABLE | all } ] [ proto PROTOCOL ] [ type TYPE ] [ scope SCOPE ]
                [ dev DEVICE ] [ via ADDRESS ] [ src ADDRESS ]
       ip route get [ fibmatch ] ADDRESS [ from ADDRESS iif DEVICE ] [ oif DEVICE ] [ tos TOS ] [ mark NUMBER ]
       ip route { add | append | prepend | change | replace | del } [ TYPE ] PREFIX [ via [ inet6 ] ADDRESS ] [ dev DEVICE ] [ onlink ] [ src ADDRESS ]
                [ table TABLE ] [ metric METRIC ] [ proto PROTOCOL ] [ scope SCOPE ] [ mtu [ lock ] NUMBER ]
                [ hoplimit NUMBER ] [ pref { low | medium | high } ]
       ip route { show | flush } cache
";
