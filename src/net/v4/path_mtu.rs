//! "Fragmentation needed", and what the host believes of it.

use std::net::IpAddr;

use crate::base::{Time, protocol};
use crate::net::path_mtu::says_anything_of;
use crate::net::sysctl::Knob;
use crate::net::{Flow, HostState, Net, OutputKey, PathMtu};
use crate::packet::Packet;
use crate::wire::be16;
use crate::wire::icmpv4::{HEADER, kind};
use crate::wire::ipv4::Ipv4;

/// The way to where a quoted packet was for, if words about it are heeded: only an answer to a ping may be quoted.
pub(super) fn way_of_quoted(packet: &[u8]) -> Option<OutputKey> {
    let header = Ipv4::new(packet).ok()?;
    let behind = packet.get(header.header_length()..)?;
    let is_answer = header.protocol() == protocol::ICMP && behind.len() >= HEADER && behind[0] == kind::ECHO_REPLY;
    let destination = IpAddr::V4(header.destination());
    (is_answer && says_anything_of(destination)).then(|| OutputKey {
        destination,
        source: Some(IpAddr::V4(header.source())).filter(|it| !it.is_unspecified()),
        mark: 0,
        interface: None,
        tos: header.tos(),
        flow: Flow::default(),
    })
}

/// The host hears that the way to where the quoted packet was for takes no more. Only an answer to a ping may be quoted: a question would be that of
/// a program, which would have to ask. Less than `min_pmtu` is taken for that much, and holds against all that is said after it.
#[cold]
pub(super) fn fragmentation_needed(net: &Net, host: &HostState, now: Time, told: &Packet) -> Option<PathMtu> {
    let view = told.icmpv4()?;
    // 1 takes every word for the least, 2 none, and 3 only of who can tell that the quoted packet was the host's, as no ICMP can.
    let said = match net.knob(Knob::NoPmtuDiscovery) {
        0 => u32::from(be16(told.transport(), 6)),
        2 | 3 => return None,
        _ => 0,
    };
    let key = OutputKey {
        mark: net.reply_mark(told),
        ..way_of_quoted(view.payload())?
    };
    let to = key.destination;
    net.route_output(key).ok()?;
    let route = net.looked_up_output(&key).route?;
    let interface = route.interface.filter(|_| !route.leads_to_itself())?;
    let known = net.said_of(host, now, to, route);
    if route.mtu_is_locked || known.as_ref().is_some_and(|known| known.is_locked) {
        return None;
    }
    let before = known.as_ref().and_then(|known| known.mtu).or(route.mtu);
    let before = before.unwrap_or(net.interface(interface).mtu);
    if said > before {
        return None;
    }
    let least = net.knob(Knob::LeastPathMtu) as u32;
    let is_locked = said < least;
    let mtu = if is_locked { before.min(least) } else { said };
    let until = net.until(now, net.knob(Knob::PathMtuExpires));
    // What is known for long yet is not known anew.
    let is_fresh = |known: &PathMtu| known.mtu == Some(mtu) && until.since(known.until) < until.since(now) / 2;
    if !is_locked && known.as_ref().is_some_and(is_fresh) {
        return None;
    }
    Some(host.paths.learn(PathMtu {
        to,
        mtu: Some(mtu),
        is_locked,
        leads_by: known.and_then(|known| known.leads_by),
        until,
        route: route.clone(),
    }))
}
