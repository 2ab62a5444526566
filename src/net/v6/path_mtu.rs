//! "Packet too big", and what the host believes of it.

use std::net::IpAddr;

use super::{Knob, LEAST_MTU};
use crate::base::{InterfaceId, Time, protocol};
use crate::net::lookup::Key;
use crate::net::{HostState, Net, PathMtu};
use crate::packet::Packet;
use crate::wire::icmpv6::HEADER;
use crate::wire::ipv6::Ipv6;

/// What ICMPv6 quotes of itself, with its whole header: of TCP and UDP a socket of the host's own would have to ask.
pub(super) fn quoted_icmpv6(packet: &[u8]) -> Option<Ipv6<&[u8]>> {
    let view = Ipv6::of_quote(packet)?;
    let upper = view.quoted_upper();
    let is_there = upper.fragment_offset == 0 && upper.offset + HEADER <= packet.len();
    (upper.protocol == protocol::ICMPV6 && is_there).then_some(view)
}

/// The host hears that the way to where the quoted packet was for takes no more. Less than any link of IPv6 takes is not believed, nor more than is known.
#[cold]
pub(super) fn too_big(net: &Net, host: &HostState, now: Time, told: &Packet) -> Option<PathMtu> {
    let view = told.icmpv6()?;
    let quoted = quoted_icmpv6(view.payload())?;
    let to = IpAddr::V6(quoted.destination());
    let route = net.lookup(&Key {
        source: quoted.source().into(),
        mark: net.reply_mark_ipv6(told),
        tos: quoted.traffic_class(),
        output: told.input,
        ..Key::to(to)
    });
    let route = route.ok()?;
    let interface = match route.leads_to_itself() {
        true => Some(InterfaceId::LOOPBACK),
        false => route.interface,
    };
    let interface = interface?;
    let said = net.said_of(host, now, to, route);
    let known = said.as_ref().and_then(|said| said.mtu).or(route.mtu);
    let mtu = view.info();
    if mtu < LEAST_MTU || mtu >= known.unwrap_or(net.ipv6_mtu(net.interface(interface))) {
        return None;
    }
    Some(host.paths.learn(PathMtu {
        to,
        mtu: Some(mtu),
        is_locked: false,
        leads_by: said.and_then(|said| said.leads_by),
        until: net.until(now, net.knob_ipv6(Knob::PathMtuExpires)),
        route: route.clone(),
    }))
}
