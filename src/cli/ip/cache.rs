//! `ip route show cache`: what the router was told of the size of paths, and of other gateways. Unlike the real tool, it tells of IPv4's that no packet has taken since, too.

use std::fmt::Write;

use super::Call;
use super::routes::{Filter, write_route};
use super::words::Refused;
use crate::base::{Family, InterfaceId, Time};
use crate::net::{PathMtu, Prefix, Route, RouteProtocol, Scope};

pub(super) fn list(call: &mut Call<'_>, filter: &Filter) -> Result<(), Refused> {
    let router = call.machine.router();
    let (config, now) = (router.config(), call.machine.now);
    let all = router.path_mtus(now);
    let meant = all.iter().filter(|it| filter.means(&told(it, it.route.protocol)));
    for learned in meant {
        let route = told(learned, RouteProtocol::BOOT);
        write_route(
            &mut call.out,
            &config.net,
            &route,
            filter,
            (Some((learned, now)), call.style.line_end()),
        );
    }
    Ok(())
}

/// As a route to one host, of which little else is told.
fn told(learned: &PathMtu, protocol: RouteProtocol) -> Route {
    let route = &learned.route;
    Route {
        to: Prefix::host(learned.to),
        via: learned.gateway(route.via),
        interface: route.interface.map(|id| {
            if route.leads_to_itself() {
                InterfaceId::LOOPBACK
            } else {
                id
            }
        }),
        protocol,
        scope: Scope::Universe,
        source: None,
        mtu: None,
        metric: match learned.to.is_ipv6() {
            true => route.metric,
            false => 0,
        },
        ..route.clone()
    }
}

/// `<redirected> expires 599sec `.
pub(super) fn write_until(out: &mut String, learned: &PathMtu, now: Time) {
    if learned.leads_by.is_some() && !learned.to.is_ipv6() {
        out.push_str("<redirected> ");
    }
    if learned.until != Time::NEVER {
        let seconds = learned.until.since(now).as_secs();
        let _ = write!(out, "expires {seconds}sec ");
    }
}

/// What is learned, if it is of the size, and whether it is locked; seen: the lock of a route of IPv6 is told of it too.
pub(super) fn size(learned: &PathMtu) -> Option<(u32, bool)> {
    let is_routes = learned.to.is_ipv6() && learned.route.mtu_is_locked;
    Some((learned.mtu?, learned.is_locked || is_routes))
}

/// Of the family that the call says.
pub(super) fn flush(call: &Call<'_>) {
    let family = call.style.family.unwrap_or(Family::V4);
    call.machine.router().forget_path_mtus(family);
}
