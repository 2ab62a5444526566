//! ICMPv6 of the host's own (RFC 4443): who is told of an error, what it quotes, from which address it comes, how often; answers to pings; redirects.

use std::net::{IpAddr, Ipv6Addr};

use super::label::Labelled;
use super::{ConfKnob, Knob};
use crate::base::{Family, InterfaceId, Time, protocol};
use crate::net::limit::is_about_own;
use crate::net::lookup::Key;
use crate::net::sysctl::Knob as Common;
use crate::net::{
    AddressFlags, BadPart, Complaint, Flow, HostState, Net, Outgoing, OutputKey, OutputRoute, Redirect, Route,
    RouteError, RouteKind, Suppressed, Unreachable,
};
use crate::packet::{Origin, Packet};
use crate::wire::icmpv6::{self, kind, parameter_problem, time_exceeded, unreachable};
use crate::wire::ipv6::{self, Ipv6};

/// Type, code, and the four bytes after the checksum: the MTU, the pointer, else 0.
fn error_of(complaint: Complaint) -> ((u8, u8), u32) {
    match complaint {
        Complaint::TimeExceeded => ((kind::TIME_EXCEEDED, time_exceeded::IN_TRANSIT), 0),
        Complaint::ReassemblyTimeExceeded => ((kind::TIME_EXCEEDED, time_exceeded::IN_REASSEMBLY), 0),
        Complaint::TooBig { mtu } => ((kind::PACKET_TOO_BIG, 0), mtu),
        Complaint::Unreachable(why) => ((kind::DESTINATION_UNREACHABLE, code_of(why)), 0),
        Complaint::BadHeader { what, at } => ((kind::PARAMETER_PROBLEM, problem_of(what)), at),
    }
}

fn code_of(why: Unreachable) -> u8 {
    match why {
        Unreachable::Network | Unreachable::SourceRoute => unreachable::NO_ROUTE,
        Unreachable::AdminProhibited | Unreachable::NetworkProhibited | Unreachable::HostProhibited => {
            unreachable::ADMIN_PROHIBITED
        }
        Unreachable::BeyondScope => unreachable::BEYOND_SCOPE,
        Unreachable::Host => unreachable::ADDRESS,
        Unreachable::Port | Unreachable::Protocol => unreachable::PORT,
        Unreachable::PolicyFailed => unreachable::POLICY_FAIL,
        Unreachable::RouteRejected => unreachable::REJECT_ROUTE,
    }
}

fn problem_of(what: BadPart) -> u8 {
    match what {
        BadPart::Field => parameter_problem::FIELD,
        BadPart::NextHeader => parameter_problem::NEXT_HEADER,
        BadPart::Option => parameter_problem::OPTION,
        BadPart::Chain => parameter_problem::INCOMPLETE_CHAIN,
    }
}

/// [`Net::complain`].
#[cold]
pub(crate) fn complain(
    net: &Net,
    host: &HostState,
    now: Time,
    original: &Packet,
    complaint: Complaint,
) -> Result<Outgoing, Suppressed> {
    complain_quoting(net, host, now, (original, original.len()), complaint)
}

/// The same with no more than so many bytes of the packet.
pub(super) fn complain_quoting(
    net: &Net,
    host: &HostState,
    now: Time,
    (original, quoted): (&Packet, usize),
    complaint: Complaint,
) -> Result<Outgoing, Suppressed> {
    let (IpAddr::V6(to), IpAddr::V6(was_for)) = (original.source(), original.destination()) else {
        return Err(Suppressed::TwoFamilies);
    };
    if was_for.is_multicast() && !concerns_groups(original, complaint) {
        return Err(Suppressed::NotUnicast);
    }
    if to.is_unspecified() || to.is_multicast() {
        return Err(Suppressed::NoSender);
    }
    if is_about_an_error(original) {
        return Err(Suppressed::AboutAnError);
    }
    let mark = net.reply_mark_ipv6(original);
    // A link's address means nothing without its link.
    let link = match (original.input, original.origin) {
        (Some(_), _) => net.arrived_by(original),
        // Seen: until it is handed to a device, what discovery sends is on the link that it is about.
        (None, Origin::Discovery { about: Some(link) }) if matches!(complaint, Complaint::Unreachable(_)) => Some(link),
        (None, _) => net.leaves_for(original),
    };
    let interface = link.filter(|_| to.is_unicast_link_local());
    if net.knob_ipv6(Knob::AnycastIsUnicast) == 0 && means_any(net, to, interface, mark) {
        return Err(Suppressed::ToAny);
    }
    let (what, info) = error_of(complaint);
    let source = is_own(net, original, was_for)
        .then_some(was_for)
        .or_else(|| speaks_from(net, original, to, interface));
    let key = OutputKey {
        destination: to.into(),
        source: source.map(IpAddr::V6),
        mark,
        interface,
        tos: 0,
        flow: Flow::of_icmp(protocol::ICMPV6, what.0, what.1).about(net, original),
    };
    let message = Message {
        what,
        info,
        traffic_class: 0,
        label: (Labelled::Error, 0),
        payload: &original.bytes()[..quoted.min(original.len()).min(MOST_QUOTED)],
        is_about_own: is_about_own(original) || is_refused_on_its_way(original, complaint),
    };
    send(net, host, now, key, &message)
}

/// So that the whole fits any link.
const MOST_QUOTED: usize = super::LEAST_MTU as usize - ipv6::HEADER - icmpv6::HEADER;

/// About what went to a group it is told that it is too big, and that an option is not known whose sender wants to hear of it even so.
fn concerns_groups(original: &Packet, complaint: Complaint) -> bool {
    match complaint {
        Complaint::TooBig { .. } => true,
        Complaint::BadHeader {
            what: BadPart::Option,
            at,
        } => original.bytes().get(at as usize).is_some_and(|option| option >> 6 == 2),
        _ => false,
    }
}

/// Behind the extension headers that can be read stands ICMP that is an error, or too little of it to tell. Of a fragment that does not begin with it
/// nothing is known, so it is none; nor where nothing stands behind a fragment header in which any bit is set, be it a reserved one.
pub(super) fn is_about_an_error(original: &Packet) -> bool {
    if original.protocol() != protocol::ICMPV6 || original.fragment_offset() != 0 {
        return false;
    }
    match original.transport().first() {
        Some(kind) => kind::is_error(*kind),
        None => header(original).upper().fragment_field == 0,
    }
}

/// An address of a link, or `::1`, is the host's only on that link, one that waits for its link is nobody's, and what only a route makes the host's is
/// not. What a program sends is on `lo` as yet, and what discovery sends, or TEE copies, on the link that it leaves by.
fn is_own(net: &Net, original: &Packet, address: Ipv6Addr) -> bool {
    let link = original.input.or(match original.origin {
        Origin::Usual => Some(InterfaceId::LOOPBACK),
        Origin::Discovery { .. } | Origin::Copy { .. } => original.output,
    });
    let link = link.filter(|_| address.is_unicast_link_local() || address.is_loopback());
    let links = net
        .interfaces()
        .iter()
        .filter(|it| link.is_none_or(|link| link == it.id));
    let all = links.flat_map(|it| it.addresses_of(Family::V6));
    let mut all = all.filter(|it| !it.flags.has(AddressFlags::TENTATIVE));
    all.any(|it| it.address == address || it.network().address() == address && net.is_anycast(address.into()))
}

/// Whether the way back leads to an address that any of several hosts has, as far as routes tell.
fn means_any(net: &Net, to: Ipv6Addr, interface: Option<InterfaceId>, mark: u32) -> bool {
    let route = net.lookup(&Key {
        mark,
        output: interface,
        ..Key::to(to.into())
    });
    route.is_ok_and(|route| leads_to_any(route, to))
}

/// Whether a route says of its destination that any of several hosts has it: the first of a network on a link is that of its routers.
pub(super) fn leads_to_any(route: &Route, to: Ipv6Addr) -> bool {
    match route.kind {
        RouteKind::Anycast => true,
        // Nobody has the first of all addresses.
        RouteKind::Unicast if to.is_unspecified() => false,
        RouteKind::Unicast => route.to.length() < 127 && route.via.is_none() && route.to.address() == IpAddr::V6(to),
        _ => false,
    }
}

/// The address that suits the interface which the packet came by; `None` where the way back names one, and so the error speaks as its way has it. A copy
/// came by that of its packet until it comes round. Seen: whether it names one is asked without the mark that the error will have.
fn speaks_from(net: &Net, original: &Packet, to: Ipv6Addr, interface: Option<InterfaceId>) -> Option<Ipv6Addr> {
    let input = match (original.origin, original.input) {
        (Origin::Copy { from, .. }, None) => from,
        (_, Some(_)) => net.arrived_by(original),
        (_, None) => None,
    }?;
    let route = net.lookup(&Key {
        output: interface,
        ..Key::to(to.into())
    });
    // What has one chooses it when it is found again: rules have not seen it then.
    match route.is_ok_and(|route| route.source.is_some() || route.lost_source) {
        true => None,
        false => net.select_ipv6_source(Some(input), to),
    }
}

/// The kernel takes what REJECT refuses in OUTPUT for come by `lo`, unless it was handed to another device already.
fn is_refused_on_its_way(original: &Packet, complaint: Complaint) -> bool {
    let is_in_output = original.input.is_none() && matches!(complaint, Complaint::Unreachable(_));
    is_in_output && (original.origin == Origin::Usual || original.output == Some(InterfaceId::LOOPBACK))
}

/// What an ICMP message says.
pub(super) struct Message<'a> {
    /// Type and code.
    pub what: (u8, u8),
    pub info: u32,
    pub traffic_class: u8,
    /// What it is to labels, and that of the packet which it answers.
    pub label: (Labelled, u32),
    pub payload: &'a [u8],
    /// Then it is not limited, whoever it goes to.
    pub is_about_own: bool,
}

/// Routes, limits and builds a message.
pub(super) fn send(
    net: &Net,
    host: &HostState,
    now: Time,
    mut key: OutputKey,
    message: &Message<'_>,
) -> Result<Outgoing, Suppressed> {
    let is_limited = net.limits_icmpv6(message.what.0) && !message.is_about_own;
    let (per_second, burst) = (net.knob(Common::IcmpPerSecond), net.knob(Common::IcmpBurst));
    if is_limited && !host.limiter.common_allows(now, per_second as u64, burst as u64) {
        return Err(Suppressed::CommonLimit);
    }
    let route = net.route_with_source(&mut key);
    let mut route = route.map_err(|why| match why {
        RouteError::NoSource => Suppressed::NoAddressToSpeakFrom,
        RouteError::SourceOfIpv4 => Suppressed::SourceOfIpv4,
        _ => Suppressed::NoRouteBack,
    })?;
    net.heed_path(host, now, &key, &mut route);
    if is_limited {
        let milliseconds = net.knob_ipv6(Knob::IcmpRateLimit) as u64;
        let is_free = route.interface == InterfaceId::LOOPBACK;
        if !is_free && !host.limiter.peer_allows(now, key.destination, milliseconds) {
            return Err(Suppressed::PeerLimit);
        }
        host.limiter.consume();
    }
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (route.source, route.destination) else {
        return Err(Suppressed::NoRouteBack);
    };
    let (kind, code) = message.what;
    let numbers = u32::from(u16::from_be_bytes([kind, code]));
    let (what, heard) = message.label;
    let ends = (source, destination);
    let repr = ipv6::Repr {
        traffic_class: message.traffic_class,
        flow_label: net.label_of_answer(host, what, heard, ends, (protocol::ICMPV6, numbers)),
        hop_limit: net.hop_limit_over(&route),
        next_header: protocol::ICMPV6,
        source,
        destination,
    };
    let segment = icmpv6::emit(ends, message.what, message.info, message.payload);
    outgoing(repr, &segment, route, key.mark).ok_or(Suppressed::TooLong)
}

/// Puts a packet of the host's own together. `None` when it would be too long.
pub(super) fn outgoing(repr: ipv6::Repr, segment: &[u8], route: OutputRoute, mark: u32) -> Option<Outgoing> {
    let mut packet = Packet::parse(repr.emit(segment)?).ok()?;
    packet.output = Some(route.interface);
    packet.mark = mark;
    Some(Outgoing { packet, route })
}

/// [`Net::redirect`] (RFC 4861, 8.2): to a neighbour, from the address that the link it came by knows the host by.
///
/// Two limits hold, each a message a second and no more than six saved up: by where the packet goes, and by where it comes from.
#[cold]
pub(crate) fn redirect(
    net: &Net,
    host: &HostState,
    now: Time,
    original: &Packet,
    redirect: Redirect,
) -> Result<Outgoing, Suppressed> {
    let (IpAddr::V6(to), IpAddr::V6(was_for), IpAddr::V6(target)) =
        (original.source(), original.destination(), redirect.gateway)
    else {
        return Err(Suppressed::TwoFamilies);
    };
    const MILLISECONDS: u64 = 1000;
    if !host.limiter.peer_allows(now, was_for.into(), MILLISECONDS) {
        return Err(Suppressed::RedirectsIgnored);
    }
    let source = original.input.and_then(|input| net.address_of_link(input));
    let source = source.ok_or(Suppressed::NotANeighbour)?;
    if target != was_for && !target.is_unicast_link_local() {
        return Err(Suppressed::NotANeighbour);
    }
    let key = OutputKey {
        destination: to.into(),
        source: Some(source.into()),
        mark: 0,
        interface: original.input,
        tos: 0,
        flow: Flow::default(),
    };
    let route = net.route_output(key).map_err(|_| Suppressed::NoRouteBack)?;
    if route.gateway.is_some() {
        return Err(Suppressed::NotANeighbour);
    }
    if !host.limiter.peer_allows(now, to.into(), MILLISECONDS) {
        return Err(Suppressed::RedirectsIgnored);
    }
    let mut payload = [target.octets(), was_for.octets()].concat();
    // As it came: the hop that forwarding takes is not shown.
    let mut shown = original.bytes().to_vec();
    shown[7] = redirect.hop_limit;
    payload.extend_from_slice(&icmpv6::redirected(&shown));
    let segment = icmpv6::emit((source, to), (kind::REDIRECT, 0), 0, &payload);
    let repr = ipv6::Repr {
        traffic_class: 0,
        flow_label: 0,
        hop_limit: NEIGHBOURS_ONLY,
        next_header: protocol::ICMPV6,
        source,
        destination: to,
    };
    let mut made = outgoing(repr, &segment, route, 0).ok_or(Suppressed::NoRouteBack)?;
    // It is about this link, whichever it leaves by.
    made.packet.input = original.input;
    Ok(made)
}

/// Neighbour discovery is believed only from a neighbour: what passed a router has less.
pub(super) const NEIGHBOURS_ONLY: u8 = 255;

/// [`crate::net::is_sent_by_the_icmp_socket`].
pub(crate) fn is_sent_by_the_icmp_socket(packet: &Packet) -> bool {
    let is_discovery = |kind| {
        let of_listeners = [kind::OLD_LISTENER_REPORT, kind::LISTENER_REPORT].contains(&kind);
        of_listeners || (kind::ROUTER_SOLICITATION..=kind::REDIRECT).contains(&kind)
    };
    packet.icmpv6().is_none_or(|message| !is_discovery(message.kind()))
}

/// A packet of the host's own that is about another belongs to that one's flow, unless neighbour discovery sends it.
pub(crate) fn belongs_to_what_it_quotes(packet: &Packet) -> bool {
    packet.icmpv6().is_none_or(|message| kind::is_error(message.kind()))
}

impl Net {
    /// The hop limit of the host's own packets: to a group they go no further than the link.
    pub(super) fn hop_limit_over(&self, route: &OutputRoute) -> u8 {
        if route.destination.is_multicast() {
            return 1;
        }
        let of_interface = || self.conf_ipv6(self.interface(route.interface), ConfKnob::HopLimit) as u8;
        route.hop_limit.unwrap_or_else(of_interface)
    }

    /// The mark of an answer to `packet`: `fwmark_reflect` hands the packet's own on.
    pub(super) fn reply_mark_ipv6(&self, packet: &Packet) -> u32 {
        match self.knob_ipv6(Knob::FwmarkReflect) {
            0 => 0,
            _ => packet.mark,
        }
    }

    /// The address by which the link knows the host.
    pub(super) fn address_of_link(&self, interface: InterfaceId) -> Option<Ipv6Addr> {
        let mut own = self.interface(interface).addresses_of(crate::base::Family::V6);
        own.find_map(|it| match it.address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
            _ => None,
        })
    }
}

/// The header of a packet that `net::host` handed to this family.
pub(super) fn header(packet: &Packet) -> Ipv6<&[u8]> {
    Ipv6::new(packet.bytes()).expect("net::host hands IPv6 packets to this room")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, LAN, Make, OWN, WAN, icmp, net, told, udp};
    use super::*;
    use crate::net::{Answer, Closed, Delivery, DropReason};

    /// Thirty or a hundred packets at once, and how many were answered.
    #[test]
    fn limits() {
        let mut net = net();
        net.sysctl_set("net.ipv6.icmp.ratelimit", "100").unwrap();
        let host = HostState::new(1);
        let at = |milliseconds: u64| Time::from_nanos(milliseconds * 1_000_000);
        let errors = |now, from: &str, count| {
            let packet = udp(from, OWN, 1).packet();
            let tell = |_: &usize| {
                let complaint = Complaint::Unreachable(Unreachable::Port);
                net.complain(&host, now, &packet, Delivery::Local, complaint).is_ok()
            };
            (0..count).filter(tell).count()
        };
        assert_eq!(errors(at(0), HOST, 30), 6);
        assert_eq!(errors(at(250), HOST, 30), 2);
        // Each address has its own limit, whatever network it is of.
        assert_eq!(errors(at(300), "2001:db8:77::1", 30), 6);
        assert_eq!(errors(at(300), "2001:db8:77::2", 30), 6);
        // What is told of the path's MTU has none, nor has the answer to a ping.
        let big = udp(HOST, FAR, 1400).packet();
        let too_big = |_: &usize| {
            let told = net.complain(&host, at(300), &big, Delivery::Unicast, Complaint::TooBig { mtu: 1280 });
            told.is_ok()
        };
        assert_eq!((0..100).filter(too_big).count(), 100);
        let ping = icmp(HOST, OWN, 128, 0, b"").packet();
        let answered = |_: &usize| {
            let answer = net.answer(&host, at(300), &Closed, &ping, Delivery::Local);
            matches!(answer, Answer::Reply(_))
        };
        assert_eq!((0..100).filter(answered).count(), 100);
        // All errors share a bucket with those of IPv4.
        let many = (1..=100).map(|host| format!("2001:db8:78::{host:x}"));
        assert_eq!(many.map(|from| errors(at(2000), &from, 1)).sum::<usize>(), 50);
    }

    /// Where an error comes from that is about a packet of another host's, by where it came in.
    #[test]
    fn sources_of_errors() {
        let net = net();
        for (from, input, expected) in [
            (HOST, LAN, "lan 2001:db8::1"),
            (HOST, WAN, "lan 2001:db8:1::1"),
            (HOST, InterfaceId(4), "lan 2001:db8::1"),
            ("2001:db8:9::9", LAN, "wan 2001:db8::1"),
            ("fe80::2", LAN, "lan fe80::1"),
            ("fe80::2", WAN, "wan fe80::1"),
        ] {
            let packet = Make {
                input,
                ..udp(from, FAR, 1)
            }
            .packet();
            let built = net.complain(
                &HostState::new(1),
                Time::from_secs(1),
                &packet,
                Delivery::Unicast,
                Complaint::TimeExceeded,
            );
            let told = told(&net, DropReason::HopLimitOver, built);
            assert!(
                told.starts_with(&format!("IP_INHDR {expected}>{from} ")),
                "{from} by {input:?}: {told}"
            );
        }
    }
}
