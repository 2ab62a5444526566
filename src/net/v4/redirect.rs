//! Redirects (RFC 792), and what a host learns of them: another gateway to a destination. Each condition was seen on Linux 6.18.

use std::net::{IpAddr, Ipv4Addr};

use super::path_mtu::way_of_quoted;
use crate::base::{Family, Time};
use crate::net::sysctl::ConfKnob;
use crate::net::{AddressKind, HostState, Interface, Net, PathMtu, RouteKind};
use crate::packet::Packet;
use crate::wire::be32;

/// The host hears that the way to where the quoted packet was for leads by another gateway. Only an answer to a ping may be quoted, and only the gateway
/// that the way leads by now is believed.
#[cold]
pub(super) fn redirected(net: &Net, host: &HostState, now: Time, told: &Packet) -> Option<PathMtu> {
    let view = told.icmpv4()?;
    let input = net.interface(told.input?);
    // Network or host, with a type of service or without: the way of the one destination is another. Of the code the lower three bits count.
    if view.code() & 7 > 3 {
        return None;
    }
    let key = way_of_quoted(view.payload())?;
    let to = key.destination;
    let mut way = net.route_output(key).ok()?;
    net.heed_path(host, now, &key, &mut way);
    let (by_now, by) = (
        told.source(),
        IpAddr::V4(Ipv4Addr::from_bits(be32(told.transport(), 4))),
    );
    if way.gateway != Some(by_now) || by == by_now || !is_heeded(net, input, by_now, by) {
        return None;
    }
    let route = net.looked_up_output(&key).route?;
    if !matches!(route.kind, RouteKind::Unicast) {
        return None;
    }
    let known = net.said_of(host, now, to, route);
    Some(host.paths.learn(PathMtu {
        to,
        mtu: known.as_ref().and_then(|it| it.mtu),
        is_locked: known.is_some_and(|it| it.is_locked),
        leads_by: Some(by),
        until: net.until(now, SECONDS),
        route: route.clone(),
    }))
}

/// `net.ipv4.route.gc_timeout`, which only the machine's first namespace has.
const SECONDS: i64 = 300;

fn is_heeded(net: &Net, input: &Interface, by_now: IpAddr, by: IpAddr) -> bool {
    let is_on = |knob| net.conf(input, knob) != 0;
    if !is_on(ConfKnob::AcceptRedirects) {
        return false;
    }
    if is_on(ConfKnob::SharedMedia) {
        return net.address_kind(by, None) == AddressKind::Unicast && !is_this_network(by);
    }
    // Both gateways in one network of the link, and in doubt one that some route leads by already.
    let is_near = |it: &crate::net::Address| it.network().contains(by) && it.network().contains(by_now);
    let is_near = input.addresses_of(Family::V4).any(is_near);
    let is_led_by = || net.ways(Family::V4).tables.lead_by(by, input.id);
    is_near && (!is_on(ConfKnob::SecureRedirects) || is_led_by())
}

fn is_this_network(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(it) if it.octets()[0] == 0)
}
