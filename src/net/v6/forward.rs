//! What forwarding asks of a packet before the FORWARD hook sees it.

use std::net::IpAddr;

use super::LEAST_MTU;
use crate::net::{Complaint, DropReason, ForwardOutcome, Forwarding, Net, Redirect, Unreachable};
use crate::packet::Packet;

/// The checks in the kernel's order: hop limit, source, size. Of the size only the interface is asked; what the route says of it is held against the
/// packet when it leaves.
#[inline(never)]
pub(crate) fn forward(net: &Net, packet: &mut Packet, route: &Forwarding) -> ForwardOutcome {
    if packet.ttl() <= 1 {
        return ForwardOutcome::Refused(DropReason::HopLimitOver, Complaint::TimeExceeded);
    }
    let hop_limit = packet.ttl();
    let redirect = route.redirect.then(|| Redirect {
        gateway: route.gateway.unwrap_or(packet.destination()),
        hop_limit,
    });
    if redirect.is_none()
        && let IpAddr::V6(source) = packet.source()
    {
        // Where it goes back the way it came it is not asked who sent it.
        if source.is_unspecified() {
            return ForwardOutcome::Dropped(DropReason::MartianSource);
        }
        if source.is_unicast_link_local() {
            let complaint = Complaint::Unreachable(Unreachable::BeyondScope);
            return ForwardOutcome::Refused(DropReason::ScopeEnds, complaint);
        }
    }
    let mtu = net.ipv6_mtu(net.interface(route.output)).max(LEAST_MTU);
    if is_too_big(packet, mtu) {
        let (reason, complaint) = (DropReason::TooBig, Complaint::TooBig { mtu });
        return match redirect {
            Some(redirect) => ForwardOutcome::Redirected(redirect, reason, complaint),
            None => ForwardOutcome::Refused(reason, complaint),
        };
    }
    packet.decrement_ttl();
    ForwardOutcome::Continue { redirect }
}

/// Of a packet that tracking joined of fragments, only the largest counts, for it leaves in such pieces again.
fn is_too_big(packet: &Packet, mtu: u32) -> bool {
    packet.largest_segment() > mtu as usize && (u32::from(packet.largest_fragment) > mtu || !packet.ignores_df)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, LAN, Make, OWN, WAN, icmp, net, said, udp};
    use crate::net::{Prefix, Route};
    use crate::wire::ipv6::extension::{DESTINATION, FRAGMENT};

    /// Packets of a host on the LAN that are for others, and what was heard of them.
    #[test]
    fn checks_in_their_order() {
        let with = |hop_limit, make: Make| Make { hop_limit, ..make };
        let from_wan = |make: Make| Make { input: WAN, ..make };
        let over = |len: usize| {
            format!(
                "IP_INHDR lan {OWN}>{HOST} p58 tc00 hl64 len{len} icmp6 3/0 rest00000000 data{}",
                len - 48
            )
        };
        let big = "icmp6 2/0 rest00000500 data1232";
        let small = "2001:db8:2::9";
        for (make, expected) in [
            (with(0, udp(HOST, FAR, 1)), over(97)),
            (with(1, udp(HOST, FAR, 1)), over(97)),
            (
                with(2, udp(HOST, FAR, 1)),
                format!("wan {HOST}>{FAR} p17 tc00 hl1 len49 data9"),
            ),
            (with(1, udp(HOST, FAR, 1400)), over(1280)),
            (
                from_wan(udp(FAR, small, 1232)),
                format!("sml {FAR}>{small} p17 tc00 hl63 len1280 data1240"),
            ),
            (
                from_wan(udp(FAR, small, 1233)),
                format!("PKT_TOO_BIG wan 2001:db8:1::1>{FAR} p58 tc00 hl64 len1280 {big}"),
            ),
            (
                from_wan(with(1, udp(FAR, small, 1233))),
                format!("IP_INHDR wan 2001:db8:1::1>{FAR} p58 tc00 hl64 len1280 icmp6 3/0 rest00000000 data1232"),
            ),
            (
                with(1, udp("2001:db8:9::9", FAR, 1)),
                format!("IP_INHDR wan {OWN}>2001:db8:9::9 p58 tc00 hl64 len97 icmp6 3/0 rest00000000 data49"),
            ),
            (
                udp("fe80::2", FAR, 1),
                "IP_INADDRERRORS lan fe80::1>fe80::2 p58 tc00 hl64 len97 icmp6 1/2 rest00000000 data49".into(),
            ),
            (
                with(1, udp("fe80::2", FAR, 1)),
                "IP_INHDR lan fe80::1>fe80::2 p58 tc00 hl64 len97 icmp6 3/0 rest00000000 data49".into(),
            ),
            // What they are about: no error about an error, and of a later fragment nobody knows.
            (with(1, icmp(HOST, FAR, 1, 0, &[1; 48])), "IP_INHDR AboutAnError".into()),
            (
                with(1, icmp(HOST, FAR, 127, 0, &[1; 48])),
                "IP_INHDR AboutAnError".into(),
            ),
            (with(1, icmp(HOST, FAR, 128, 0, &[1; 48])), over(144)),
            (with(1, icmp(HOST, FAR, 255, 0, &[1; 48])), over(144)),
            (with(1, Make::new(HOST, FAR, 58, vec![128])), over(89)),
            (
                with(1, Make::new(HOST, FAR, 58, vec![])),
                "IP_INHDR AboutAnError".into(),
            ),
            (
                with(1, icmp(HOST, FAR, 1, 0, &[1; 48])).with_options(DESTINATION, b""),
                "IP_INHDR AboutAnError".into(),
            ),
            (
                with(
                    1,
                    Make::new(HOST, FAR, 58, vec![1; 32]).with(FRAGMENT, &[0, 0, 9, 0, 0, 0, 9]),
                ),
                over(128),
            ),
            (with(1, Make::new(HOST, FAR, 59, vec![])), over(88)),
            (
                Make::new(HOST, FAR, 200, b"abc".to_vec()),
                format!("wan {HOST}>{FAR} p200 tc00 hl63 len43 data3"),
            ),
            (
                udp(HOST, FAR, 1).with(DESTINATION, &[0x20, 0, 0, 0, 0, 0, 0]),
                format!("wan {HOST}>{FAR} p17 tc00 hl63 len57 data0"),
            ),
        ] {
            assert_eq!(said(&net(), &make), expected);
        }
    }

    /// What a route says of the size is told after all hooks; the interface's is asked before.
    #[test]
    fn the_routes_own_mtu() {
        let mut net = net();
        net.add_route(Route {
            via: Some("2001:db8:1::fe".parse().unwrap()),
            mtu: Some(1400),
            ..Route::new(Prefix::new("2001:db8:a::".parse().unwrap(), 48).unwrap())
        })
        .unwrap();
        assert_eq!(
            said(&net, &udp(HOST, "2001:db8:a::1", 1400)),
            format!("PKT_TOO_BIG lan {OWN}>{HOST} p58 tc00 hl64 len1280 icmp6 2/0 rest00000578 data1232")
        );
    }

    /// Redirects: where it would have gone by itself, what is told of that, and that the packet goes on.
    #[test]
    fn redirects() {
        let told = |to: &str, len: usize| {
            format!(
                "fe80::1>{to} p58 tc00 hl255 len{len} icmp6 137/0 rest00000000 data{}; ",
                len - 48
            )
        };
        let mut net = net();
        net.add_route(Route {
            via: Some("fe80::fe".parse().unwrap()),
            interface: Some(WAN),
            ..Route::new(Prefix::new("2001:db8:99::".parse().unwrap(), 48).unwrap())
        })
        .unwrap();
        net.sysctl_set("net.ipv6.icmp.ratelimit", "100").unwrap();
        for (from, to, input, data, expected) in [
            (HOST, "2001:db8::77", LAN, 3, format!("lan {}", told(HOST, 136))),
            (HOST, "2001:db8::77", LAN, 1400, format!("lan {}", told(HOST, 1280))),
            (
                "fe80::7",
                "2001:db8::7b",
                LAN,
                3,
                format!("lan {}", told("fe80::7", 136)),
            ),
            (HOST, "fe80::7b", LAN, 3, format!("lan {}", told(HOST, 136))),
            (
                "2001:db8:1::8",
                "2001:db8::7d",
                LAN,
                3,
                format!("wan {}", told("2001:db8:1::8", 136)),
            ),
            ("2001:db8:33::8", "2001:db8::7e", LAN, 3, "NotANeighbour; ".into()),
            (FAR, "2001:db8:88::7e", WAN, 3, "NotANeighbour; ".into()),
            (FAR, "2001:db8:99::7e", WAN, 3, format!("wan {}", told(FAR, 136))),
        ] {
            let found = said(
                &net,
                &Make {
                    input,
                    ..udp(from, to, data)
                },
            );
            assert!(found.starts_with(&expected), "{from}>{to}: {found}, not {expected}");
        }
    }
}
