//! What forwarding asks of a packet before the FORWARD hook sees it.

use super::Header;
use crate::net::{Complaint, DropReason, ForwardOutcome, Forwarding, Redirect, Unreachable};
use crate::packet::Packet;

/// The checks in the kernel's order: time to live, strict source route, size.
#[inline]
pub(crate) fn forward(packet: &mut Packet, route: &Forwarding) -> ForwardOutcome {
    if packet.ttl() <= 1 {
        return ForwardOutcome::Refused(DropReason::TimeToLiveOver, Complaint::TimeExceeded);
    }
    if route.strict && route.gateway.is_some() {
        let complaint = Complaint::Unreachable(Unreachable::SourceRoute);
        return ForwardOutcome::Refused(DropReason::SourceRouteFailed, complaint);
    }
    if exceeds(packet, route.mtu as usize) {
        return ForwardOutcome::Refused(DropReason::TooBig, Complaint::TooBig { mtu: route.mtu });
    }
    let hop_limit = packet.ttl();
    packet.decrement_ttl();
    ForwardOutcome::Continue {
        redirect: route.redirect.then(|| Redirect {
            gateway: route.gateway.unwrap_or(packet.destination()),
            hop_limit,
        }),
    }
}

/// Too big and not to be fragmented. Of a packet that stands for many, only the segments leave.
fn exceeds(packet: &Packet, mtu: usize) -> bool {
    packet.largest_segment() > mtu && must_not_be_cut(packet, mtu)
}

/// Of a packet that tracking joined of fragments, only the largest counts, for it leaves in such pieces again.
pub(in crate::net) fn must_not_be_cut(packet: &Packet, mtu: usize) -> bool {
    packet.header().dont_fragment() && (!packet.ignores_df || usize::from(packet.largest_fragment) > mtu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::InputRoute;
    use crate::net::example::{Make, net, udp};
    use crate::wire::ipv4::DONT_FRAGMENT;

    /// A packet from the LAN: its reason and ICMP error, or "" where it went on.
    #[test]
    fn checks_in_their_order() {
        let net = net();
        for (destination, ttl, data, field, expected) in [
            ("192.0.2.9", 0, 1, 0, "IP_INHDR TimeExceeded"),
            ("192.0.2.9", 1, 1, 0, "IP_INHDR TimeExceeded"),
            ("192.0.2.9", 2, 1, 0, ""),
            ("172.16.0.9", 1, 800, DONT_FRAGMENT, "IP_INHDR TimeExceeded"),
            ("172.16.0.9", 64, 800, DONT_FRAGMENT, "PKT_TOO_BIG TooBig { mtu: 600 }"),
            ("172.16.0.9", 64, 800, 0, ""),
            ("172.16.0.9", 64, 572, DONT_FRAGMENT, ""),
            ("198.52.0.9", 64, 800, DONT_FRAGMENT, "PKT_TOO_BIG TooBig { mtu: 700 }"),
        ] {
            let make = Make {
                ttl,
                fragment_field: field,
                ..udp("10.0.0.2", destination, data)
            };
            let mut packet = make.packet();
            let InputRoute::Forward(route) = net.route_input(&packet) else {
                panic!("{destination} is not forwarded");
            };
            let found = match net.forward(&mut packet, &route) {
                ForwardOutcome::Continue { .. } => {
                    assert_eq!(packet.ttl(), ttl - 1);
                    String::new()
                }
                ForwardOutcome::Dropped(reason) => reason.kernel_word().to_owned(),
                ForwardOutcome::Refused(reason, complaint) | ForwardOutcome::Redirected(_, reason, complaint) => {
                    format!("{} {complaint:?}", reason.kernel_word())
                }
            };
            assert_eq!(found, expected, "{destination} ttl {ttl} data {data}");
        }
    }
}
