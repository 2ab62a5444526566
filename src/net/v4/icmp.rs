//! ICMP errors of the host's own: who gets one, what it quotes, from which address it comes, how often.

use std::net::{IpAddr, Ipv4Addr};

use super::options;
use crate::base::{InterfaceId, Time, protocol};
use crate::net::limit::is_about_own;
use crate::net::sysctl::Knob;
use crate::net::{
    Complaint, Delivery, Flow, HostState, Net, Outgoing, OutputKey, OutputRoute, Redirect, Scope, Suppressed,
    Unreachable,
};
use crate::packet::Packet;
use crate::wire::icmpv4::{self, kind, time_exceeded, unreachable};
use crate::wire::ipv4::{self, MIN_HEADER};
use crate::wire::{be16, put16};

/// An ICMP message about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IcmpError {
    pub kind: u8,
    pub code: u8,
    /// The four bytes after the checksum: the MTU, the gateway, the pointer in its first byte; else 0.
    pub info: u32,
}

impl From<Complaint> for IcmpError {
    fn from(complaint: Complaint) -> Self {
        let (kind, code, info) = match complaint {
            Complaint::TimeExceeded => (kind::TIME_EXCEEDED, time_exceeded::IN_TRANSIT, 0),
            Complaint::ReassemblyTimeExceeded => (kind::TIME_EXCEEDED, time_exceeded::IN_REASSEMBLY, 0),
            Complaint::TooBig { mtu } => (kind::DESTINATION_UNREACHABLE, unreachable::FRAGMENTATION_NEEDED, mtu),
            Complaint::Unreachable(why) => (kind::DESTINATION_UNREACHABLE, code_of(why), 0),
            Complaint::BadHeader { at, .. } => (kind::PARAMETER_PROBLEM, 0, at << 24),
        };
        Self { kind, code, info }
    }
}

fn code_of(why: Unreachable) -> u8 {
    match why {
        Unreachable::Network => unreachable::NET,
        Unreachable::Host => unreachable::HOST,
        Unreachable::Protocol => unreachable::PROTOCOL,
        Unreachable::Port => unreachable::PORT,
        Unreachable::SourceRoute => unreachable::SOURCE_ROUTE_FAILED,
        Unreachable::NetworkProhibited => unreachable::NET_PROHIBITED,
        Unreachable::HostProhibited => unreachable::HOST_PROHIBITED,
        Unreachable::AdminProhibited
        | Unreachable::BeyondScope
        | Unreachable::PolicyFailed
        | Unreachable::RouteRejected => unreachable::ADMIN_PROHIBITED,
    }
}

/// [`Net::complain`].
pub(crate) fn complain(
    net: &Net,
    host: &HostState,
    now: Time,
    original: &Packet,
    delivery: Delivery,
    complaint: Complaint,
) -> Result<Outgoing, Suppressed> {
    net.icmp_error(host, now, original, delivery, complaint.into())
}

/// [`Net::redirect`].
pub(crate) fn redirect(
    net: &Net,
    host: &HostState,
    now: Time,
    original: &Packet,
    redirect: Redirect,
) -> Result<Outgoing, Suppressed> {
    if !host.limiter.redirect_allows(now, original.source()) {
        return Err(Suppressed::RedirectsIgnored);
    }
    let info = match redirect.gateway {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(_) => 0,
    };
    let error = IcmpError {
        kind: kind::REDIRECT,
        code: 1,
        info,
    };
    net.icmp_error(host, now, original, Delivery::Unicast, error)
}

/// Everything of an ICMP message but where it goes.
pub(super) struct Message<'a> {
    pub kind: u8,
    pub code: u8,
    pub info: u32,
    pub tos: u8,
    pub source: Option<IpAddr>,
    pub payload: &'a [u8],
    /// Options of the original from this offset on are not answered.
    pub readable: usize,
    /// With an error, the payload is cut so that the whole has at most 576 bytes and fits the route.
    pub quotes: bool,
}

impl Net {
    /// Builds the ICMP error about `original`, as [`Net::complain`] does.
    pub(super) fn icmp_error(
        &self,
        host: &HostState,
        now: Time,
        original: &Packet,
        delivery: Delivery,
        error: IcmpError,
    ) -> Result<Outgoing, Suppressed> {
        self.icmp_error_quoting(host, now, original, original.len(), delivery, error)
    }

    /// As `icmp_error`, with no more than `quoted` bytes of the packet.
    pub(super) fn icmp_error_quoting(
        &self,
        host: &HostState,
        now: Time,
        original: &Packet,
        quoted: usize,
        delivery: Delivery,
        error: IcmpError,
    ) -> Result<Outgoing, Suppressed> {
        if matches!(delivery, Delivery::Broadcast | Delivery::Multicast { .. }) {
            return Err(Suppressed::NotUnicast);
        }
        if original.fragment_offset() != 0 {
            return Err(Suppressed::LaterFragment);
        }
        if original.protocol() == protocol::ICMP && !original.transport().first().is_some_and(|it| is_query(*it)) {
            return Err(Suppressed::AboutAnError);
        }
        let source = match (delivery, original.input) {
            // What the router itself sends to 0.0.0.0 comes round to it, and is answered from whatever address faces the sender.
            (Delivery::Local, _) => Some(original.destination()).filter(|own| !own.is_unspecified()),
            (_, Some(input)) if self.is_on(Knob::ErrorsUseInboundAddress) => {
                self.select_address(input, Some(original.source()), Scope::Link)
            }
            _ => None,
        };
        let message = Message {
            kind: error.kind,
            code: error.code,
            info: error.info,
            tos: original.tos() & 0x1e | 0xc0,
            source,
            payload: &original.bytes()[..quoted.min(original.len())],
            readable: match (error.kind, (error.info >> 24) as usize) {
                _ if original.options_unread => MIN_HEADER,
                // The options before the bad one were understood.
                (kind::PARAMETER_PROBLEM, at) if at >= MIN_HEADER => at,
                _ => original.network_header_length(),
            },
            quotes: true,
        };
        self.send_icmp(host, now, original, message)
    }

    /// Routes, limits and builds a message to the sender of `original`, with its options answered.
    pub(super) fn send_icmp(
        &self,
        host: &HostState,
        now: Time,
        original: &Packet,
        message: Message<'_>,
    ) -> Result<Outgoing, Suppressed> {
        let is_limited = self.is_limited(message.kind, message.code) && !is_about_own(original);
        let (per_second, burst) = (self.knob(Knob::IcmpPerSecond), self.knob(Knob::IcmpBurst));
        if is_limited && !host.limiter.common_allows(now, per_second as u64, burst as u64) {
            return Err(Suppressed::CommonLimit);
        }
        let mark = self.reply_mark(original);
        let key = |destination| OutputKey {
            destination,
            source: message.source,
            mark,
            interface: None,
            tos: message.tos,
            // An error goes where what it complains of would.
            flow: match icmpv4::kind::is_error(message.kind) {
                true => Flow::of_icmp(protocol::ICMP, message.kind, message.code).about(self, original),
                false => Flow::of(protocol::ICMP),
            },
        };
        // A source route is walked back: its last hop is where the answer goes first.
        let header = options::understood(&original.bytes()[..original.network_header_length()], message.readable);
        let unspecified = Ipv4Addr::UNSPECIFIED;
        let first_hop = options::echo(self, header, unspecified, unspecified, now)
            .ok_or(Suppressed::NoRoomInOptions)?
            .first_hop;
        let destination = first_hop.map_or(original.source(), IpAddr::V4);
        let key = key(destination);
        let mut route = self.route_output(key).map_err(|_| Suppressed::NoRouteBack)?;
        self.heed_path(host, now, &key, &mut route);
        if is_limited {
            let milliseconds = self.knob(Knob::IcmpRateLimit) as u64;
            if route.interface != InterfaceId::LOOPBACK && !host.limiter.peer_allows(now, destination, milliseconds) {
                return Err(Suppressed::PeerLimit);
            }
            host.limiter.consume();
        }
        let source = match message.source.unwrap_or(route.source) {
            none if none.is_unspecified() && message.quotes => DUMMY,
            own => own,
        };
        let (IpAddr::V4(own), IpAddr::V4(back_to)) = (source, original.source()) else {
            return Err(Suppressed::NoRouteBack);
        };
        let options = options::echo(self, header, own, back_to, now)
            .ok_or(Suppressed::NoRoomInOptions)?
            .bytes;
        let room = match message.quotes {
            true => (route.mtu as usize)
                .min(576)
                .saturating_sub(MIN_HEADER + options.len() + icmpv4::HEADER),
            false => usize::from(u16::MAX) - MIN_HEADER - options.len() - icmpv4::HEADER,
        };
        let payload = &message.payload[..message.payload.len().min(room)];
        let identification = host.identification.next(source, route.destination, protocol::ICMP);
        let IpAddr::V4(destination) = route.destination else {
            return Err(Suppressed::NoRouteBack);
        };
        let repr = ipv4::Repr {
            tos: message.tos,
            identification,
            dont_fragment: false,
            ttl: self.ttl_over(&route),
            protocol: protocol::ICMP,
            source: own,
            destination,
        };
        let mut segment = icmpv4::emit(message.kind, message.code, message.info, payload);
        // Seen: the kernel begins its sum with all ones, so the checksum of nothing but zeros is zero. Only the answer to an empty ping can be that.
        if be16(&segment, 2) == 0xffff {
            put16(&mut segment, 2, 0);
        }
        self.outgoing(repr, &options, &segment, route, mark)
            .ok_or(Suppressed::NoRouteBack)
    }

    /// The time to live of an answer: to a group it goes no further than the link.
    pub(super) fn ttl_over(&self, route: &OutputRoute) -> u8 {
        match route.destination.is_multicast() {
            true => 1,
            false => route.hop_limit.unwrap_or(self.default_ttl()),
        }
    }

    /// The time to live of the host's own packets.
    pub(super) fn default_ttl(&self) -> u8 {
        self.knob(Knob::DefaultTtl) as u8
    }

    /// The mark of an answer to `packet`: `fwmark_reflect` hands the packet's own on.
    pub(super) fn reply_mark(&self, packet: &Packet) -> u32 {
        if self.is_on(Knob::FwmarkReflect) {
            packet.mark
        } else {
            0
        }
    }

    /// Puts a packet of the host's own together. `None` when it would be too long.
    pub(super) fn outgoing(
        &self,
        repr: ipv4::Repr,
        options: &[u8],
        segment: &[u8],
        route: OutputRoute,
        mark: u32,
    ) -> Option<Outgoing> {
        let bytes = ipv4::whole(repr.header(options)?, segment)?;
        let mut packet = Packet::parse(bytes).ok()?;
        packet.output = Some(route.interface);
        packet.mark = mark;
        Some(Outgoing { packet, route })
    }

    /// `icmp_ratemask` names the limited types; the path MTU is always told.
    fn is_limited(&self, kind: u8, code: u8) -> bool {
        let about_mtu = kind == kind::DESTINATION_UNREACHABLE && code == unreachable::FRAGMENTATION_NEEDED;
        kind <= 18 && !about_mtu && self.knob(Knob::IcmpRateMask) as u32 >> kind & 1 == 1
    }
}

/// Who says so where the host has no address that suits (RFC 7600). The route is found without it.
const DUMMY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));

/// Queries and their answers; about any other ICMP message no error is sent, known type or not.
fn is_query(kind: u8) -> bool {
    matches!(
        kind,
        kind::ECHO_REPLY | kind::ECHO_REQUEST | kind::TIMESTAMP_REQUEST..=kind::ADDRESS_MASK_REPLY
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::example::{BARE, LAN, Make, icmp, net, set, show, tcp, udp, unhex};

    const OVER: IcmpError = IcmpError {
        kind: kind::TIME_EXCEEDED,
        code: 0,
        info: 0,
    };

    fn about(net: &Net, make: &Make) -> Result<Outgoing, Suppressed> {
        net.icmp_error(
            &HostState::new(1),
            Time::from_secs(1),
            &make.packet(),
            Delivery::Unicast,
            OVER,
        )
    }

    /// The source of "time exceeded" about a packet from there, with `icmp_errors_use_inbound_ifaddr` off and on.
    #[test]
    fn sources_of_errors() {
        for (source, input, off, on) in [
            ("10.0.0.2", LAN, "lan 10.0.0.1", "lan 10.0.0.1"),
            ("10.0.0.2", BARE, "lan 10.0.0.1", "lan 10.0.0.1"),
            ("10.0.9.2", LAN, "lan 10.0.9.1", "lan 10.0.9.1"),
            ("10.0.9.2", BARE, "lan 10.0.9.1", "lan 10.0.0.1"),
            ("192.0.2.9", LAN, "wan 192.0.2.1", "wan 10.0.0.1"),
            ("192.0.2.9", BARE, "wan 192.0.2.1", "wan 10.0.0.1"),
            ("10.88.0.1", LAN, "lan 10.0.9.1", "lan 10.0.0.1"),
            ("10.89.0.1", LAN, "lan 10.0.0.5", "lan 10.0.0.1"),
        ] {
            for (inbound, expected) in [(0, off), (1, on)] {
                let mut net = net();
                set(&mut net, &[("icmp_errors_use_inbound_ifaddr", inbound)]);
                let make = Make {
                    input,
                    ..udp(source, "192.0.2.8", 1)
                };
                let sent = about(&net, &make).unwrap();
                let found = format!("{} {}", net.interface(sent.route.interface).name, sent.packet.source());
                assert_eq!(found, expected, "{source} inbound {inbound}");
            }
        }
    }

    /// How the answers looked.
    #[test]
    fn texts_of_errors() {
        let from = "10.0.0.1>10.0.0.2 p1";
        let net = net();
        let plain = udp("10.0.0.2", "192.0.2.9", 1);
        let long = |data| udp("10.0.0.2", "192.0.2.9", data);
        for (make, expected) in [
            (
                plain.clone(),
                "tosc0 len57 frag0000 ttl64 icmp 11/0 rest00000000 data[29]",
            ),
            (
                long(519),
                "tosc0 len575 frag0000 ttl64 icmp 11/0 rest00000000 data[547]",
            ),
            (
                long(521),
                "tosc0 len576 frag0000 ttl64 icmp 11/0 rest00000000 data[548]",
            ),
            (
                Make {
                    tos: 0xff,
                    fragment_field: 0x4000,
                    ..long(900)
                },
                "tosde len576 frag0000 ttl64 icmp 11/0 rest00000000 data[548]",
            ),
            (
                Make {
                    fragment_field: 0x2000,
                    ..long(32)
                },
                "tosc0 len88 frag0000 ttl64 icmp 11/0 rest00000000 data[60]",
            ),
            (
                // A record route that is full is answered as it is.
                Make {
                    options: unhex("070708 01020304"),
                    ..plain.clone()
                },
                "tosc0 len73 frag0000 ttl64 opts[0707080102030400] icmp 11/0 rest00000000 data[37]",
            ),
            (
                Make {
                    options: unhex("94040000"),
                    ..plain
                },
                "tosc0 len61 frag0000 ttl64 icmp 11/0 rest00000000 data[33]",
            ),
        ] {
            let sent = about(&net, &make).unwrap();
            assert_eq!(show(&sent.packet), format!("{from} {expected}"));
            assert_eq!(crate::wire::checksum::of(sent.packet.transport()), 0);
        }
        let mut narrow = net.clone();
        narrow.set_mtu(LAN, 200).unwrap();
        assert_eq!(about(&narrow, &long(900)).unwrap().packet.len(), 200);
    }

    #[test]
    fn who_never_gets_one() {
        let net = net();
        let of_kind = |kind| icmp("10.0.0.2", "192.0.2.9", kind, 0, b"abc");
        for kind in 0..=255 {
            let expected = matches!(kind, 0 | 8 | 13..=18);
            assert_eq!(about(&net, &of_kind(kind)).is_ok(), expected, "ICMP type {kind}");
        }
        let later = Make {
            fragment_field: 0x2001,
            ..udp("10.0.0.2", "192.0.2.9", 1)
        };
        let cut = Make::new("10.0.0.2", "192.0.2.9", 1, Vec::new());
        for (make, why) in [
            (later, Suppressed::LaterFragment),
            (cut, Suppressed::AboutAnError),
            (udp("8.8.8.8", "192.0.2.9", 1), Suppressed::NoRouteBack),
        ] {
            assert_eq!(about(&net, &make).map(|_| ()), Err(why));
        }
        // A source that is a broadcast address is answered all the same.
        assert!(about(&net, &udp("10.0.0.255", "192.0.2.9", 1)).is_ok());
        let packet = tcp("10.0.0.2", "10.0.0.255", 2, &[], &[]).packet();
        let host = HostState::new(1);
        let result = net.icmp_error(&host, Time::ZERO, &packet, Delivery::Broadcast, OVER);
        assert_eq!(result.map(|_| ()), Err(Suppressed::NotUnicast));
    }

    /// Thirty packets of one sender at once: how many errors of each kind it got.
    #[test]
    fn limits() {
        let net = net();
        let packet = udp("10.0.0.2", "192.0.2.9", 1).packet();
        for (kind, code, sent) in [(11, 0, 6), (3, 3, 6), (3, 4, 30), (12, 0, 6), (5, 1, 30)] {
            let host = HostState::new(1);
            let error = IcmpError { kind, code, info: 0 };
            let count = (0..30).filter(|_| {
                net.icmp_error(&host, Time::ZERO, &packet, Delivery::Unicast, error)
                    .is_ok()
            });
            assert_eq!(count.count(), sent, "{kind}/{code}");
        }
        let host = HostState::new(1);
        let no_route = Complaint::Unreachable(Unreachable::Network);
        let count = (0..30).filter(|_| {
            net.complain_of_arrival(&host, Time::ZERO, &packet, Delivery::Unicast, no_route)
                .is_ok()
        });
        assert_eq!(count.count(), 2, "missing routes");
        let gateway = [10, 0, 0, 77].into();
        let redirect = |host: &HostState| net.redirect(host, Time::ZERO, &packet, Redirect { gateway, hop_limit: 64 });
        let first = redirect(&HostState::new(1)).unwrap();
        assert_eq!(
            show(&first.packet),
            "10.0.0.1>10.0.0.2 p1 tosc0 len57 frag0000 ttl64 icmp 5/1 rest0a00004d data[29]"
        );
        assert_eq!((0..30).filter(|_| redirect(&host).is_ok()).count(), 1, "redirects");
    }
}
