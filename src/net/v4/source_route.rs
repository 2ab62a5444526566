//! What the options of a packet that came in make of its route: a source route leads elsewhere, and others are filled in as it leaves.

use std::net::{IpAddr, Ipv4Addr};

use super::{Header, options};
use crate::base::{InterfaceId, Time};
use crate::net::sysctl::ConfKnob;
use crate::net::{BadPart, Complaint, Delivery, DropReason, Forwarding, InputRoute, Net};
use crate::packet::Packet;

impl Net {
    /// What its options make of the route of a packet that has some.
    pub(super) fn receive_options(&self, now: Time, packet: &mut Packet, route: InputRoute) -> InputRoute {
        let Some(input) = packet.input else { return route };
        let delivery = match &route {
            InputRoute::Local => Delivery::Local,
            InputRoute::Broadcast => Delivery::Broadcast,
            InputRoute::Multicast => Delivery::Multicast { has_joined: true },
            // These are routes too, to nowhere, and options are read before a packet is lost on them.
            InputRoute::Forward(_)
            | InputRoute::Error { .. }
            | InputRoute::Drop(DropReason::NotForwarding | DropReason::Blackhole) => Delivery::Unicast,
            InputRoute::Drop(_) => return route,
        };
        let own = match self.answering_address(packet, delivery) {
            Some(IpAddr::V4(own)) => own,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        let bad = |reason, at: u8| InputRoute::Error {
            reason,
            complaint: Complaint::BadHeader {
                what: BadPart::Field,
                at: at.into(),
            },
            delivery,
        };
        let found = match self.read_options(now, own, packet) {
            Ok(found) => found,
            Err(at) => return bad(DropReason::BadOptions, at),
        };
        let mut route = route;
        if let Some(at) = found.source_route {
            if self.conf(self.interface(input), ConfKnob::AcceptSourceRoute) == 0 {
                return InputRoute::Drop(DropReason::SourceRouteRefused);
            }
            route = match route {
                InputRoute::Forward(forwarding) if forwarding.broadcast => {
                    return InputRoute::Drop(DropReason::SourceRouteFailed);
                }
                InputRoute::Forward(_) if !found.strict => route,
                // Not there yet: a strict route should have named this host.
                InputRoute::Forward(_) => return bad(DropReason::SourceRouteFailed, 16),
                InputRoute::Local => match self.follow_source_route(packet, input, at) {
                    Ok(next) => next,
                    Err(Some(at)) => return bad(DropReason::SourceRouteFailed, at),
                    Err(None) => return InputRoute::Drop(DropReason::SourceRouteFailed),
                },
                _ => return InputRoute::Drop(DropReason::SourceRouteFailed),
            };
        }
        if let InputRoute::Forward(forwarding) = &mut route {
            forwarding.recorded_at = found.recorded_at.map(|at| at as u8);
            forwarding.stamped_at = found.stamped_at.map(|at| at as u8);
            forwarding.options_changed = found.changed;
            if found.source_route.is_some() {
                forwarding.redirect = false;
                forwarding.strict = found.strict;
            }
        }
        route
    }

    /// Own addresses among the hops are passed at once; the first other one is where the packet goes. `Err` has the offset of what is malformed.
    fn follow_source_route(
        &self,
        packet: &mut Packet,
        input: InterfaceId,
        at: usize,
    ) -> Result<InputRoute, Option<u8>> {
        let header = packet.header().header().to_vec();
        for hop in options::remaining_hops(&header, at) {
            let hop = hop.map_err(Some)?;
            match self.route_towards(packet, input, hop) {
                InputRoute::Local => options::set_destination(packet, hop),
                InputRoute::Forward(forwarding) if !forwarding.broadcast => {
                    return Ok(InputRoute::Forward(Forwarding {
                        source_route: Some(hop.into()),
                        ..forwarding
                    }));
                }
                _ => return Err(None),
            }
        }
        Ok(InputRoute::Local)
    }
}
