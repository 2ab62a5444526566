//! What forwarding asks of a packet before the FORWARD hook sees it.

use std::net::IpAddr;

use super::{DropReason, Forwarding, IcmpError, Net};
use crate::packet::Packet;
use crate::wire::icmpv4::{kind, unreachable};

/// Code "source route failed" of DESTINATION_UNREACHABLE.
const SOURCE_ROUTE_FAILED: u8 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// On to the FORWARD hook; the time to live is one less already. The redirect, if any, is sent first.
    Continue { redirect: Option<Redirect> },
    /// The packet is gone for the reason, and its sender is to be told (`Net::icmp_error`, `Delivery::Unicast`).
    Refused(DropReason, IcmpError),
}

/// An ICMP redirect that the sender may get (`Net::redirect` limits how many).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The host to use instead.
    pub gateway: IpAddr,
}

impl Net {
    /// The checks in the kernel's order: time to live, strict source route, size.
    pub fn forward(&self, packet: &mut Packet, route: &Forwarding) -> ForwardOutcome {
        let refused = |reason, kind, code, info| ForwardOutcome::Refused(reason, IcmpError { kind, code, info });
        if packet.ipv4().ttl() <= 1 {
            return refused(DropReason::TimeToLiveOver, kind::TIME_EXCEEDED, 0, 0);
        }
        if route.strict && route.gateway.is_some() {
            let code = SOURCE_ROUTE_FAILED;
            return refused(DropReason::SourceRouteFailed, kind::DESTINATION_UNREACHABLE, code, 0);
        }
        if exceeds(packet, route.mtu as usize) {
            let code = unreachable::FRAGMENTATION_NEEDED;
            return refused(DropReason::TooBig, kind::DESTINATION_UNREACHABLE, code, route.mtu);
        }
        packet.decrement_ttl();
        let gateway = route.gateway.unwrap_or(packet.destination());
        ForwardOutcome::Continue {
            redirect: route.redirect.then_some(Redirect { gateway }),
        }
    }
}

/// Too big and not to be fragmented. Of a packet that came in fragments, only the largest counts, for it leaves in such pieces again.
pub(super) fn exceeds(packet: &Packet, mtu: usize) -> bool {
    let largest = usize::from(packet.largest_fragment);
    packet.len() > mtu && packet.ipv4().dont_fragment() && (largest == 0 || largest > mtu)
}
