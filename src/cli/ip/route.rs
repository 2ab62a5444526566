//! `ip route`: add, append, prepend, change, replace and delete; what is told (`show`, `flush`) and `get` have files of their own.

use std::net::IpAddr;

use super::words::{self, Refused, Typed, abbreviates, address, number, prefix, protocol, route_kind, scope};
use super::{Call, get, metrics, routes};
use crate::base::{Family, InterfaceId};
use crate::net::{
    ConfigError, Hop, Metrics, Placing, Preference, Prefix, Route, RouteKind, RouteProtocol, RouteSelector, Scope, Way,
    table,
};

pub(super) fn run(call: &mut Call<'_>) -> Result<(), Refused> {
    let Some(command) = call.words.take() else {
        return routes::list(call);
    };
    let placing = match command {
        it if abbreviates(it, "add") => Placing::Add,
        it if abbreviates(it, "change") || it == "chg" => Placing::Change,
        it if abbreviates(it, "replace") => Placing::Replace,
        it if abbreviates(it, "prepend") => Placing::Prepend,
        it if abbreviates(it, "append") => Placing::Append,
        it if abbreviates(it, "test") => return Err(Refused::not_there("`ip route test`")),
        it if abbreviates(it, "delete") => return delete(call),
        it if ["list", "show", "lst"].iter().any(|name| abbreviates(it, name)) => return routes::list(call),
        it if abbreviates(it, "get") => return get::run(call),
        it if abbreviates(it, "flush") => return routes::flush(call),
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
    let mut route = Route {
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
            RouteKind::Unicast if told.via.is_none() && told.hops.is_empty() => Scope::Link,
            _ => Scope::Universe,
        }),
        mtu: told.mtu,
        mtu_is_locked: told.mtu_is_locked && told.mtu.is_some(),
        hop_limit: told.hop_limit,
        metrics: told.metrics.clone(),
        tos: told.tos,
        protocol: told.protocol.unwrap_or(RouteProtocol::BOOT),
        onlink: told.onlink,
        preference: told.preference.unwrap_or_default(),
        ..Route::new(to)
    };
    if !told.hops.is_empty() {
        told.check_hops(is_ipv6)?;
        (route.via, route.interface, route.onlink) = (None, None, false);
        let way = |it: &ToldHop| Way {
            route: Route {
                via: it.hop.via,
                interface: it.hop.interface,
                onlink: it.onlink,
                weight: it.hop.weight,
                ..route.clone()
            },
            is_dead: false,
        };
        route.ways = told.hops.iter().map(way).collect();
    }
    let mut put = Ok(());
    call.machine.change_net(|net| {
        // A refused one leaves its table.
        put = net.put_route(route, placing);
        Ok::<(), ConfigError>(())
    })?;
    Ok(put?)
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
    metrics: Metrics,
    tos: u8,
    protocol: Option<RouteProtocol>,
    preference: Option<Preference>,
    onlink: bool,
    /// `nexthop`, as often as it is said.
    hops: Vec<ToldHop>,
}

/// What a `nexthop` is described by.
#[derive(Debug)]
struct ToldHop {
    hop: Hop,
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

    /// What is said of the route beside its gateways has to be what is said of the first; of IPv6 it does not count.
    fn check_hops(&self, is_ipv6: bool) -> Result<(), Refused> {
        let Some(first) = self.hops.first() else { return Ok(()) };
        if !is_ipv6 && self.interface.is_some() && self.interface != first.hop.interface {
            return Err(Refused::explained("Nexthop device index does not match RTA_OIF."));
        }
        if !is_ipv6 && self.via.is_some() && self.via != first.hop.via {
            return Err(Refused::explained(
                "Nexthop gateway does not match RTA_GATEWAY or RTA_VIA.",
            ));
        }
        Ok(())
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
        if !told.hops.is_empty() && word != "nexthop" {
            let text = format!("Error: \"nexthop\" or end of line is expected instead of \"{word}\"\n");
            return Err(Refused::new(255, text));
        }
        match word {
            "src" => told.source = Some(told.address(call.words.need()?)?),
            "via" if told.via.is_some() => {
                return Err(Refused::wrong("via", "use nexthop syntax to specify multiple via\n"));
            }
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
            it if metrics::read(call, it, &mut told.metrics)? => {}
            it if it == "tos" || abbreviates(it, "dsfield") => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "\"tos\" value is invalid\n");
                told.tos = words::tos(value).ok_or_else(wrong)?;
            }
            "hoplimit" => {
                let mut value = call.words.need()?;
                let is_locked = value == "lock";
                if is_locked {
                    value = call.words.need()?;
                }
                let wrong = || Refused::wrong(value, "\"hoplimit\" value is invalid\n");
                let limit = number(value).and_then(|it| u8::try_from(it).ok());
                // 0 is none.
                told.hop_limit = Some(limit.ok_or_else(wrong)?).filter(|it| *it != 0);
                if is_locked {
                    return Err(Refused::not_there("`hoplimit lock` of a route"));
                }
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
            "nexthop" => told.hops.push(hop(call, &mut told.family)?),
            it if OTHERS.contains(&it) || abbreviates(it, "realms") => {
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
    if told.tos != 0 && told.family == Some(Family::V6) {
        return Err(Refused::explained(
            "Invalid dsfield (tos): option not available for IPv6.",
        ));
    }
    if told.tos & 3 != 0 {
        return Err(Refused::explained("Invalid dsfield (tos): ECN bits must be 0."));
    }
    told.interface = device.map(|name| device_of(call, name)).transpose()?;
    Ok(told)
}

/// The words behind `nexthop`.
fn hop(call: &mut Call<'_>, family: &mut Option<Family>) -> Result<ToldHop, Refused> {
    let end = || Refused::new(255, "Error: unexpected end of line after \"nexthop\"\n");
    call.words.peek().ok_or_else(end)?;
    let mut told = ToldHop {
        hop: Hop {
            via: None,
            interface: None,
            weight: 1,
        },
        onlink: false,
    };
    while let Some(word @ ("via" | "dev" | "oif" | "weight" | "onlink" | "encap" | "as" | "realms")) = call.words.peek()
    {
        call.words.take();
        match word {
            "via" => {
                let value = match call.words.need()? {
                    "inet" => address(call.words.need()?, Some(Family::V4))?,
                    "inet6" => address(call.words.need()?, Some(Family::V6))?,
                    value => {
                        let found = address(value, *family)?;
                        *family = Some(Family::of(found));
                        found
                    }
                };
                // Seen: of two it is the first.
                told.hop.via.get_or_insert(value);
            }
            "dev" | "oif" => {
                let name = call.words.need()?;
                let missing = |_| {
                    Refused::new(
                        255,
                        format!("Cannot find device \"{name}\"\nError: cannot parse nexthop\n"),
                    )
                };
                told.hop.interface = Some(device_of(call, name).map_err(missing)?);
            }
            "weight" => {
                let value = call.words.need()?;
                let weight = number(value).and_then(|it| u16::try_from(it).ok());
                let weight = weight.filter(|it| (1..=256).contains(it));
                told.hop.weight = weight.ok_or_else(|| Refused::wrong(value, "\"weight\" is invalid\n"))?;
            }
            "onlink" => told.onlink = true,
            other => return Err(Refused::not_there(&format!("`{other}` of a gateway"))),
        }
    }
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
        tos: Some(told.tos),
        metrics: told.metrics.clone(),
        ways: told.hops.iter().map(|it| it.hop).collect(),
    };
    let selector = match to.family() {
        Family::V4 => selector,
        Family::V6 => of_ipv6,
    };
    if to.family() == Family::V6 && !told.hops.is_empty() {
        return delete_each(call, &selector, &told.hops);
    }
    call.machine
        .change_net(|net| net.remove_first_route(&selector).map(drop))?;
    Ok(())
}

/// Of IPv6 each gateway goes by itself; what was not there is said at the end.
fn delete_each(call: &mut Call<'_>, selector: &RouteSelector, hops: &[ToldHop]) -> Result<(), Refused> {
    let mut missing = Ok(());
    for ToldHop { hop, .. } in hops {
        let one = RouteSelector {
            via: hop.via,
            interface: hop.interface,
            ..selector.clone()
        };
        let removed = call.machine.change_net(|net| net.remove_first_route(&one).map(drop));
        missing = removed.map_err(Refused::from).and(missing);
    }
    missing
}

fn invalid_prefix() -> Refused {
    Refused::new(2, "Error: Invalid prefix for given prefix length.\n")
}

pub(super) fn table_of(word: &str) -> Result<u32, Refused> {
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
    "expires",
    "congctl",
    "vrf",
    "encap",
    "ttl-propagate",
    "nhid",
];

pub(super) const USAGE: &str = "\
Usage: ip route { show | flush } [ [ root | match | exact ] PREFIX ] [ table { TABLE | all } ] [ proto PROTOCOL ] [ type TYPE ] [ scope SCOPE ]
                [ dev DEVICE ] [ via ADDRESS ] [ src ADDRESS ] [ tos TOS ]
       ip route get [ fibmatch ] ADDRESS [ from ADDRESS iif DEVICE ] [ oif DEVICE ] [ tos TOS ] [ mark NUMBER ]
                [ ipproto PROTOCOL ] [ sport PORT ] [ dport PORT ]
       ip route { add | append | prepend | change | replace | del } [ TYPE ] PREFIX [ via [ inet6 ] ADDRESS ] [ dev DEVICE ] [ onlink ] [ src ADDRESS ]
                [ table TABLE ] [ metric METRIC ] [ proto PROTOCOL ] [ scope SCOPE ] [ mtu [ lock ] NUMBER ]
                [ hoplimit NUMBER ] [ pref { low | medium | high } ] [ tos TOS ]
                [ { advmss | window | cwnd | ssthresh | reordering | initcwnd | initrwnd } [ lock ] NUMBER ]...
                [ { rtt | rttvar } [ lock ] TIME ] [ rto_min TIME ] [ features ecn ] [ quickack { 0 | 1 } ] [ fastopen_no_cookie { 0 | 1 } ]
                [ nexthop [ via [ inet6 ] ADDRESS ] [ dev DEVICE ] [ weight NUMBER ] [ onlink ] ]...
       ip route { show | flush } cache
";
