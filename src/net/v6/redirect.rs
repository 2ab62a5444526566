//! Redirects (RFC 4861, 8.3), and what a host learns of them: another gateway to a destination, or that it is a neighbour. Each condition was seen on
//! Linux 6.18.

use std::net::{IpAddr, Ipv6Addr};

use super::ConfKnob;
use super::path_mtu::quoted_icmpv6;
use crate::base::{InterfaceId, Time};
use crate::net::{HostState, Net, PathMtu, Prefix, Route, RouteKind, table};
use crate::packet::Packet;

/// Of a whole message from a neighbour: only a host that does not forward by this link heeds it, and only from the gateway that a route to the
/// destination leads by.
#[cold]
pub(super) fn redirected(net: &Net, host: &HostState, now: Time, told: &Packet) -> Option<PathMtu> {
    let IpAddr::V6(gateway) = told.source() else {
        return None;
    };
    let input = net.interface(told.input?);
    let message = told.icmpv6()?;
    let (target, rest) = message.payload().split_first_chunk::<16>()?;
    let (to, options) = rest.split_first_chunk::<16>()?;
    let (target, to) = (Ipv6Addr::from(*target), Ipv6Addr::from(*to));
    let is_on = |knob| net.conf_ipv6(input, knob) != 0;
    if !gateway.is_unicast_link_local() || is_on(ConfKnob::Forwarding) || !is_on(ConfKnob::AcceptRedirects) {
        return None;
    }
    if to.is_multicast() || target != to && !target.is_unicast_link_local() {
        return None;
    }
    let sent_to = match quoted(options)? {
        Some(packet) => quoted_icmpv6(packet)?.destination(),
        None => to,
    };
    let route = led_by(net, host, now, (sent_to, gateway, input.id))?;
    // What was known of the size is known no longer, and it holds until the route goes.
    Some(host.paths.learn(PathMtu {
        to: to.into(),
        mtu: None,
        is_locked: false,
        leads_by: Some(target.into()),
        until: Time::NEVER,
        route: route.clone(),
    }))
}

/// The packet that an option shows, if one does. `None` where the options are none.
fn quoted(mut options: &[u8]) -> Option<Option<&[u8]>> {
    const REDIRECTED: u8 = 4;
    let mut shown = None;
    while let [kind, length, ..] = options {
        let length = usize::from(*length) * 8;
        if length == 0 {
            return None;
        }
        let option = options.get(..length)?;
        if *kind == REDIRECTED {
            shown = shown.or(Some(&option[8..]));
        }
        options = &options[length..];
    }
    options.is_empty().then_some(shown)
}

/// The narrowest route to a destination that leads by this gateway on this link, or was said to.
fn led_by<'n>(
    net: &'n Net,
    host: &HostState,
    now: Time,
    (to, gateway, link): (Ipv6Addr, Ipv6Addr, InterfaceId),
) -> Option<&'n Route> {
    let (to, gateway) = (IpAddr::V6(to), IpAddr::V6(gateway));
    for length in (0..=128).rev() {
        for route in net.routes_to(Prefix::containing(to, length)?, table::MAIN) {
            if route.kind != RouteKind::Unicast {
                return None;
            }
            let leads = |way: &&Route| {
                let said = || net.said_of(host, now, to, way).and_then(|it| it.leads_by);
                way.interface == Some(link)
                    && way.via.is_some()
                    && (way.via == Some(gateway) || said() == Some(gateway))
            };
            if let Some(way) = route.hops().find(leads) {
                return Some(way);
            }
        }
    }
    None
}
