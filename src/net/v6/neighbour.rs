//! Neighbour discovery (RFC 4861) as far as a link without addresses of its own shows it: who asks for an address of the host is told so; nothing
//! else that comes in changes anything but redirects, which a host that does not forward heeds.

use std::net::{IpAddr, Ipv6Addr};

use super::ConfKnob;
use super::icmp::{NEIGHBOURS_ONLY, outgoing};
use super::redirect::redirected;
use crate::base::{Family, InterfaceId, Time, protocol};
use crate::net::{Answer, Delivery, DropReason, HostState, Net, OutputRoute, RouteKind};
use crate::packet::Packet;
use crate::wire::icmpv6::{self, kind};
use crate::wire::ipv6;

/// What of a message's flags an advertisement sets.
const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;

/// Of a whole message with the right checksum.
pub(super) fn answer(net: &Net, host: &HostState, now: Time, packet: &Packet) -> Answer {
    let Some(message) = packet.icmpv6() else {
        return Answer::Dropped(DropReason::TransportTruncated);
    };
    if packet.ttl() != NEIGHBOURS_ONLY {
        return Answer::Dropped(DropReason::NotFromANeighbour);
    }
    if message.code() != 0 {
        return Answer::Dropped(DropReason::BadNeighbourMessage);
    }
    match message.kind() {
        kind::NEIGHBOUR_SOLICITATION => solicited(net, packet, message.payload()),
        kind::REDIRECT => {
            let learned = redirected(net, host, now, packet);
            learned.map_or(Answer::Dropped(DropReason::RedirectNotHeeded), |it| {
                Answer::taken(Some(it))
            })
        }
        kind::ROUTER_ADVERTISEMENT => Answer::Dropped(DropReason::AdvertisementNotHeeded),
        _ => Answer::Dropped(DropReason::NotAnswered),
    }
}

/// The answer goes back by the link that the question came by, whatever the routes say.
fn solicited(net: &Net, packet: &Packet, payload: &[u8]) -> Answer {
    let (IpAddr::V6(asks), IpAddr::V6(asked), Some(input)) = (packet.source(), packet.destination(), packet.input)
    else {
        return Answer::Dropped(DropReason::BadNeighbourMessage);
    };
    let Some((target, options)) = payload.split_first_chunk::<16>() else {
        return Answer::Dropped(DropReason::TransportLength);
    };
    let target = Ipv6Addr::from(*target);
    // Who has no address yet asks whether another has the one it means to take; it asks the group of those that might.
    let is_probe = asks.is_unspecified();
    if target.is_multicast() || is_probe && !is_solicited_node(asked) || !are_whole(options) {
        return Answer::Dropped(DropReason::BadNeighbourMessage);
    }
    let is_own = net
        .interface(input)
        .addresses_of(Family::V6)
        .any(|it| it.address == IpAddr::V6(target));
    if !is_own && !is_any(net, target, input) {
        return Answer::Dropped(DropReason::NotOurNeighbour);
    }
    let (to, is_solicited, overrides) = match is_probe {
        true => (ALL_NODES, false, is_own),
        false => (asks, true, is_own && asked.is_multicast()),
    };
    let source = match is_own {
        true => Some(target),
        false => net.select_ipv6_source(Some(input), to),
    };
    let forwards = net.conf_ipv6(net.interface(input), ConfKnob::Forwarding) != 0;
    let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
    let flags = flag(forwards, ROUTER) | flag(is_solicited, SOLICITED) | flag(overrides, OVERRIDE);
    let source = source.unwrap_or(Ipv6Addr::UNSPECIFIED);
    let segment = icmpv6::emit(
        (source, to),
        (kind::NEIGHBOUR_ADVERTISEMENT, 0),
        flags,
        &target.octets(),
    );
    let repr = ipv6::Repr {
        traffic_class: 0,
        flow_label: 0,
        hop_limit: NEIGHBOURS_ONLY,
        next_header: protocol::ICMPV6,
        source,
        destination: to,
    };
    let route = OutputRoute {
        interface: input,
        source: source.into(),
        destination: to.into(),
        gateway: None,
        delivery: match to.is_multicast() {
            true => Delivery::Multicast { has_joined: true },
            false => Delivery::Unicast,
        },
        mtu: net.interface(input).mtu,
        hop_limit: None,
        loops_back: false,
    };
    match outgoing(repr, &segment, route, 0) {
        Some(reply) => Answer::Reply(Box::new(reply)),
        None => Answer::Dropped(DropReason::NotAnswered),
    }
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xff02, 0, 0, 0, 0, 1, high, _] if high >> 8 == 0xff)
}

/// An address that means any router of a network of this link.
fn is_any(net: &Net, address: Ipv6Addr, link: InterfaceId) -> bool {
    let is_it = |it: &crate::net::Route| {
        it.kind == RouteKind::Anycast && it.interface == Some(link) && it.to.address() == IpAddr::V6(address)
    };
    net.routes(Family::V6).any(is_it)
}

/// Options stand in words of eight bytes. A link without addresses takes one of a word that says the sender's, none that is longer.
fn are_whole(mut options: &[u8]) -> bool {
    const SOURCE_ADDRESS: u8 = 1;
    while let [kind, words, ..] = *options {
        let length = usize::from(words) * 8;
        if length == 0 || length > options.len() || kind == SOURCE_ADDRESS && length != 8 {
            return false;
        }
        options = &options[length..];
    }
    options.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, Make, OWN, icmp, net, said};
    use super::*;

    const LINK: &str = "fe80::1";
    const NEIGHBOUR: &str = "fe80::2";

    /// A solicitation, with what stands behind its target.
    fn asks(from: &str, to: &str, target: &str, options: &[u8]) -> Make {
        let mut data = target.parse::<Ipv6Addr>().unwrap().octets().to_vec();
        data.extend_from_slice(options);
        let ends = (from.parse().unwrap(), to.parse().unwrap());
        let make = Make::new(from, to, 58, icmpv6::emit(ends, (135, 0), 0, &data));
        Make { hop_limit: 255, ..make }
    }

    #[test]
    fn solicitations() {
        let own = |from: &str, to: &str, flags: &str| {
            format!("lan {from}>{to} p58 tc00 hl255 len64 icmp6 136/0 rest{flags}000000 data16")
        };
        let options: &[u8] = b"\x01\x01\x01\x02\x03\x04\x05\x06";
        for (from, to, target, options, expected) in [
            (NEIGHBOUR, LINK, OWN, options, own(OWN, NEIGHBOUR, "c0")),
            (NEIGHBOUR, LINK, OWN, &[], own(OWN, NEIGHBOUR, "c0")),
            (NEIGHBOUR, LINK, LINK, options, own(LINK, NEIGHBOUR, "c0")),
            (NEIGHBOUR, "ff02::1", OWN, options, own(OWN, NEIGHBOUR, "e0")),
            (HOST, OWN, OWN, options, own(OWN, HOST, "c0")),
            // Whatever the routes say.
            (FAR, OWN, OWN, options, own(OWN, FAR, "c0")),
            (NEIGHBOUR, OWN, "2001:db8::", &[], own(LINK, NEIGHBOUR, "c0")),
            (
                NEIGHBOUR,
                LINK,
                "2001:db8::9",
                options,
                "IPV6_NDISC_NS_OTHERHOST".into(),
            ),
            (HOST, OWN, "2001:db8:1::1", options, "IPV6_NDISC_NS_OTHERHOST".into()),
            (NEIGHBOUR, LINK, "ff02::1", options, "IPV6_NDISC_BAD_OPTIONS".into()),
            ("::", OWN, OWN, &[], "IPV6_NDISC_BAD_OPTIONS".into()),
            (
                NEIGHBOUR,
                OWN,
                OWN,
                b"\x01\0\x01\x02\x03\x04\x05\x06",
                "IPV6_NDISC_BAD_OPTIONS".into(),
            ),
            (
                NEIGHBOUR,
                OWN,
                OWN,
                b"\x01\x02\x01\x02\x03\x04\x05\x06",
                "IPV6_NDISC_BAD_OPTIONS".into(),
            ),
            (NEIGHBOUR, OWN, OWN, b"abc", "IPV6_NDISC_BAD_OPTIONS".into()),
            (NEIGHBOUR, OWN, OWN, b"\x01", "IPV6_NDISC_BAD_OPTIONS".into()),
            (NEIGHBOUR, OWN, OWN, b"\x63\x01\0\0\0\0\0\0", own(OWN, NEIGHBOUR, "c0")),
        ] {
            let found = said(&net(), &asks(from, to, target, options));
            assert_eq!(found, expected, "{from} asks {to} for {target} {options:02x?}");
        }
        let mut net = net();
        net.sysctl_set("net.ipv6.conf.lan.forwarding", "0").unwrap();
        assert_eq!(said(&net, &asks(NEIGHBOUR, LINK, OWN, &[])), own(OWN, NEIGHBOUR, "40"));
    }

    /// RFC 4861, 7.2.4: who asks for the address that it means to take has none yet, and all hear the answer. Nobody here is in the group that it asks.
    #[test]
    fn who_asks_for_an_address_to_take_it() {
        let (net, host) = (net(), HostState::new(1));
        let question = |to: &str| answer(&net, &host, Time::ZERO, &asks("::", to, OWN, &[]).packet());
        let answered = super::super::testing::answered(&net, question("ff02::1:ff00:1"));
        let expected = format!("lan {OWN}>ff02::1 p58 tc00 hl255 len64 icmp6 136/0 resta0000000 data16");
        assert_eq!(answered, expected);
        for to in ["ff02::1", "ff02::2:ff00:1", "ff02::1:fe00:1", "ff05::1:ff00:1"] {
            let word = super::super::testing::answered(&net, question(to));
            assert_eq!(word, "IPV6_NDISC_BAD_OPTIONS", "{to}");
        }
    }

    #[test]
    fn what_is_not_answered() {
        let from_far = Make {
            hop_limit: 64,
            ..asks(NEIGHBOUR, LINK, OWN, &[])
        };
        assert_eq!(said(&net(), &from_far), "IPV6_NDISC_HOP_LIMIT");
        let atomic = asks(NEIGHBOUR, LINK, OWN, &[]).with(44, &[0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(said(&net(), &atomic), "IPV6_NDISC_FRAG");
        for (kind, code, expected) in [
            (133, 0, "NOT_SPECIFIED"),
            (134, 0, "NOT_SPECIFIED"),
            (135, 0, "PKT_TOO_SMALL"),
            (135, 1, "IPV6_NDISC_BAD_OPTIONS"),
            (136, 0, "NOT_SPECIFIED"),
            (137, 0, "NOT_SPECIFIED"),
        ] {
            let make = Make {
                hop_limit: 255,
                ..icmp(NEIGHBOUR, LINK, kind, code, b"abc")
            };
            assert_eq!(said(&net(), &make), expected, "{kind}/{code}");
        }
    }
}
