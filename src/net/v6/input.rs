//! The routing decision for a packet that came in. Unlike IPv4's, it asks nothing of the source.

use std::net::IpAddr;

use crate::base::InterfaceId;
use crate::net::lookup::Key;
use crate::net::{
    Complaint, Delivery, DropReason, Forwarding, InputRoute, Net, Route, RouteError, RouteKind, RoutesSeen, Scope,
    Unreachable,
};
use crate::packet::Packet;

/// [`Net::receive`].
#[inline(never)]
pub(crate) fn receive(net: &Net, packet: &Packet, seen: &mut RoutesSeen) -> InputRoute {
    match packet.input {
        Some(input) => seen.of_ipv6.route(net, packet, input),
        None => net.route_input(packet),
    }
}

/// [`Net::route_input`], by this interface.
#[inline(never)]
pub(crate) fn route(net: &Net, packet: &Packet, input: InterfaceId) -> InputRoute {
    let key = Key {
        destination: packet.destination(),
        source: packet.source(),
        mark: packet.mark,
        tos: packet.tos(),
        input: Some(input),
        output: None,
        scope: Scope::Universe,
        flow: net.flow_for_rules(packet),
    };
    match net.lookup_for(&key, packet) {
        Ok(route) => decided(net, route, input, key.destination),
        Err(RouteError::Blackhole | RouteError::BadSource | RouteError::NoSource | RouteError::SourceOfIpv4) => {
            InputRoute::Drop(DropReason::Blackhole)
        }
        Err(RouteError::NetworkUnreachable) => unreachable(DropReason::NoRoute, Unreachable::Network),
        Err(RouteError::HostUnreachable) => unreachable(DropReason::Unreachable, Unreachable::Network),
        Err(RouteError::Prohibited) => unreachable(DropReason::Prohibited, Unreachable::AdminProhibited),
    }
}

fn decided(net: &Net, route: &Route, input: InterfaceId, destination: IpAddr) -> InputRoute {
    match route.kind {
        RouteKind::Local | RouteKind::Anycast => InputRoute::Local,
        RouteKind::Multicast if net.has_joined(input, destination) => InputRoute::Multicast,
        RouteKind::Multicast => InputRoute::Drop(DropReason::MulticastNotJoined),
        _ if !net.forwards_ipv6(net.interface(input)) => InputRoute::Drop(DropReason::NotForwarding),
        _ => {
            let Some(output) = route.interface else {
                return InputRoute::Drop(DropReason::NoRoute);
            };
            InputRoute::Forward(Forwarding {
                output,
                gateway: route.gateway(),
                mtu: route.mtu.unwrap_or(net.ipv6_mtu(net.interface(output))),
                redirect: output == input,
                source_route: None,
                strict: false,
                broadcast: false,
                recorded_at: None,
                stamped_at: None,
                options_changed: false,
            })
        }
    }
}

fn unreachable(reason: DropReason, why: Unreachable) -> InputRoute {
    InputRoute::Error {
        reason,
        complaint: Complaint::Unreachable(why),
        delivery: Delivery::Unicast,
    }
}

/// [`Net::receive_known`].
#[inline(never)]
pub(crate) fn receive_known(packet: &Packet, delivery: Delivery, forwarding: Option<Forwarding>) -> InputRoute {
    match delivery {
        Delivery::Unicast if let Some(forwarding) = forwarding => InputRoute::Forward(forwarding),
        // Seen: no rule of FORWARD gets it.
        Delivery::Unicast if packet.destination().is_multicast() => InputRoute::Drop(DropReason::CopyOnItsWay),
        Delivery::Multicast { has_joined: true } | Delivery::Broadcast => InputRoute::Multicast,
        Delivery::Multicast { has_joined: false } => InputRoute::Drop(DropReason::MulticastNotJoined),
        Delivery::Unicast | Delivery::Local => InputRoute::Local,
    }
}
