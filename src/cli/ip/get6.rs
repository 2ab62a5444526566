//! `ip -6 route get`: the route that a packet of IPv6 would take, told as a route with what was asked of it.

use std::fmt::Write;
use std::net::Ipv6Addr;

use super::get::{Asked, Told};
use super::routes::write_whole;
use super::words::{Refused, preference_name, protocol_name, route_kind_name, table_name};
use crate::base::{Family, InterfaceId, as_in_c};
use crate::net::{LookedUp, Net, OutputKey, Route, RouteKind, RouteProtocol, RuleAction, table};
use crate::packet::Packet;
use crate::wire::ipv6::HEADER;

pub(super) fn write(out: &mut String, told: Told<'_>, asked: &Asked, to: Ipv6Addr) -> Result<(), Refused> {
    let net = told.net;
    let found = match asked.input {
        Some(input) => arriving(net, asked, to, input)?,
        None => net.looked_up_output(&OutputKey {
            destination: to.into(),
            source: asked.from,
            mark: asked.mark,
            interface: asked.output,
            tos: asked.tos,
            flow: asked.flow(),
        }),
    };
    let route = leading(&found)?;
    if asked.fibmatch {
        write_whole(out, net, &as_asked(net.whole_route(route), route), told.line_end);
        return Ok(());
    }
    // Seen: that of a group has no room in the answer.
    if asked.input.is_some() && route.kind == RouteKind::Multicast {
        return Err(Refused::by_kernel("Message too long"));
    }
    if route.kind != RouteKind::Unicast {
        let _ = write!(out, "{} ", route_kind_name(route.kind));
    }
    let from = asked.from.unwrap_or(Family::V6.unspecified());
    let _ = write!(out, "{} from {} ", as_in_c(to.into()), as_in_c(from));
    let learned = told.learned(to.into(), route);
    if let Some(via) = learned.as_ref().map_or(route.via, |it| it.gateway(route.via)) {
        let _ = write!(out, "via {} ", as_in_c(via));
    }
    let interface = route
        .interface
        .filter(|_| !route.leads_to_itself())
        .unwrap_or(InterfaceId::LOOPBACK);
    let _ = write!(out, "dev {} ", net.interface(interface).name);
    if route.table != table::MAIN {
        let _ = write!(out, "table {} ", table_name(route.table));
    }
    if route.protocol != RouteProtocol::BOOT && learned.is_none() {
        let _ = write!(out, "proto {} ", protocol_name(route.protocol));
    }
    // Of what only comes through that alone which the route names.
    let source = match asked.input {
        Some(_) => route.source,
        None => net.source_over(route, to),
    };
    if let Some(source) = source {
        let _ = write!(out, "src {} ", as_in_c(source));
    }
    let _ = write!(out, "metric {} ", route.metric);
    told.write_mtu(out, learned.as_ref(), Some(route));
    if let Some(input) = asked.input {
        let _ = write!(out, "iif {} ", net.interface(input).name);
    }
    let _ = writeln!(out, "pref {}", preference_name(route.preference));
    Ok(())
}

/// Of several gateways the one that is taken is told first, and then those behind it.
fn as_asked(whole: &Route, way: &Route) -> Route {
    let Some(at) = whole.ways.iter().position(|it| it.route == *way) else {
        return way.clone();
    };
    let mut ways = whole.ways.clone();
    ways.rotate_left(at);
    Route {
        via: None,
        interface: None,
        onlink: false,
        ways,
        ..way.clone()
    }
}

/// A packet that comes in.
fn arriving<'a>(net: &'a Net, asked: &Asked, to: Ipv6Addr, input: InterfaceId) -> Result<LookedUp<'a>, Refused> {
    let Some(std::net::IpAddr::V6(from)) = asked.from.or(Some(Family::V6.unspecified())) else {
        return Err(Refused::by_kernel("Invalid argument"));
    };
    let mut bytes = vec![0; HEADER];
    bytes[..8].copy_from_slice(&[0x60 | asked.tos >> 4, asked.tos << 4, 0, 0, 0, 0, 0, 64]);
    bytes[8..24].copy_from_slice(&from.octets());
    bytes[24..].copy_from_slice(&to.octets());
    let Ok(mut packet) = Packet::parse(bytes) else {
        return Err(Refused::by_kernel("Invalid argument"));
    };
    packet.input = Some(input);
    packet.mark = asked.mark;
    Ok(net.looked_up_asked(&packet, asked.flow()))
}

fn leading<'a>(found: &LookedUp<'a>) -> Result<&'a Route, Refused> {
    let why = match (found.route.map(|route| (route, route.kind)), &found.rule) {
        (Some((_, RouteKind::Blackhole)), _) => "Invalid argument",
        (Some((_, RouteKind::Unreachable)), _) => "No route to host",
        (Some((_, RouteKind::Prohibit)), _) => "Permission denied",
        (Some((route, _)), _) => return Ok(route),
        (None, Some(rule)) => match rule.action {
            RuleAction::Blackhole => "Invalid argument",
            RuleAction::Prohibit => "Permission denied",
            RuleAction::Unreachable | RuleAction::Table(_) | RuleAction::Goto(_) | RuleAction::Nop => {
                "Network is unreachable"
            }
        },
        (None, None) => "Network is unreachable",
    };
    Err(Refused::by_kernel(why))
}
