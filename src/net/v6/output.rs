//! The routing decision for the host's own packets.

use std::net::{IpAddr, Ipv6Addr};

use crate::base::{Family, InterfaceId};
use crate::net::lookup::Key;
use crate::net::{Delivery, Net, OutputKey, OutputRoute, RouteError, Scope};
use crate::packet::Packet;

/// Unlike IPv4's it takes any source, and without a route there is no way, whatever interface is named, which may be down.
#[inline(never)]
pub(in crate::net) fn output(net: &Net, key: &OutputKey) -> Result<OutputRoute, RouteError> {
    let IpAddr::V6(destination) = key.destination else {
        return Err(RouteError::NetworkUnreachable);
    };
    let asked = Key {
        destination: destination.into(),
        source: key.source.unwrap_or(Family::V6.unspecified()),
        mark: key.mark,
        tos: key.tos,
        input: Some(InterfaceId::LOOPBACK),
        output: key.interface,
        scope: Scope::Universe,
        flow: key.flow,
    };
    let route = net.lookup(&asked)?;
    let output = route.interface.ok_or(RouteError::NetworkUnreachable)?;
    let given = key.source.filter(|source| !source.is_unspecified());
    let source = given.or_else(|| net.source_over(route, destination));
    let source = source.unwrap_or(Family::V6.unspecified());
    if route.leads_to_itself() {
        return Ok(net.local_route(source, destination.into()));
    }
    let has_joined = net.has_joined(output, destination.into());
    let delivery = match destination.is_multicast() {
        true => Delivery::Multicast { has_joined },
        false => Delivery::Unicast,
    };
    Ok(OutputRoute {
        interface: output,
        source,
        destination: destination.into(),
        gateway: route.gateway(),
        delivery,
        hop_limit: route.hop_limit,
        mtu: route.mtu.unwrap_or(net.ipv6_mtu(net.interface(output))),
        loops_back: false,
    })
}

/// Whether the host sends what has this source there. Who stands for an address of IPv4 speaks only to such others, and to nobody; what is forwarded, or
/// led anew by rules, is not asked.
pub(in crate::net) fn may_speak(source: IpAddr, to: Ipv6Addr) -> bool {
    let is_of_ipv4 = |it: Ipv6Addr| it.to_ipv4_mapped().is_some();
    let IpAddr::V6(source) = source else { return true };
    !is_of_ipv4(source) || is_of_ipv4(to) || to.is_unspecified()
}

/// Its class, its flow's label and its hop limit.
#[cold]
pub(in crate::net) fn leads_its_way(packet: &Packet) -> u64 {
    let header = packet.bytes();
    u64::from_be_bytes([header[0], header[1], header[2], header[3], 0, 0, 0, header[7]])
}
