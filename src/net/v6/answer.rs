//! What the host does with a packet of IPv6 that got through INPUT: its extension headers, one after the other, then the answer of Linux where no
//! program listens.

use std::net::IpAddr;

use etherparse::TcpHeader;

use super::Knob;
use super::icmp::{self, Message, header, outgoing};
use super::label::Labelled;
use super::options::{self, Kind, Refused};
use super::output::may_speak;
use super::{membership, neighbour, path_mtu};
use crate::base::{InterfaceId, Time, protocol};
use crate::net::limit::is_about_own;
use crate::net::transport::{self, Heard};
use crate::net::{
    Answer, BadPart, Complaint, Delivery, DropReason, Flow, HostState, Listeners, Net, Outgoing, OutputKey, Suppressed,
    Unreachable,
};
use crate::packet::{ChecksumState, Origin, Packet};
use crate::wire::checksum;
use crate::wire::icmpv6::kind;
use crate::wire::ipv6::{self, Extension, Extensions, HEADER, extension};

/// A protocol that Linux has a handler for even where no program uses it: it takes it and answers nothing.
const PIM: u8 = 103;
const EXTENDED_ECHO_REPLY: u8 = 161;

/// [`Net::answer`].
#[cold]
pub(crate) fn answer(
    net: &Net,
    host: &HostState,
    now: Time,
    listeners: &dyn Listeners,
    packet: &Packet,
    delivery: Delivery,
) -> Answer {
    let mut asked = Asked {
        net,
        host,
        now,
        packet,
        delivery,
        was_fragmented: packet.largest_fragment != 0,
    };
    let mut chain = chain(packet);
    for found in &mut chain {
        if !asked.was_fragmented && found.fragment().is_some_and(|it| it != (0, false)) {
            return Answer::Piece;
        }
        if let Err(refused) = asked.extension(&found) {
            return asked.refused(&refused);
        }
    }
    let (number, named_at) = (chain.next, chain.named_at);
    let misread = is_misread(packet, &chain).then(|| packet.read_as(number, chain.at));
    let read = misread.as_ref().unwrap_or(packet);
    match number {
        extension::ROUTING | extension::DESTINATION => Answer::Dropped(DropReason::BadExtension),
        extension::FRAGMENT => asked.refused(&Refused::telling(BadPart::Field, chain.at)),
        extension::NO_NEXT_HEADER | PIM => Answer::Dropped(DropReason::NotAnswered),
        protocol::ICMPV6 => asked.icmp(read),
        protocol::TCP => asked.told(transport::tcp(read, asked.to_one(), listeners)),
        protocol::UDP => asked.told(transport::udp(read, delivery, listeners)),
        protocol::UDPLITE => asked.told(transport::udplite(read, delivery, listeners)),
        _ if listeners.is_open(read) => Answer::Consumed,
        // Who reads what it truly carries does not hear of it.
        _ if misread.is_some() => asked.nobody_knows(DropReason::UnknownExtension, named_at),
        _ => asked.nobody_knows(DropReason::NoProtocol, named_at),
    }
}

/// The extension headers as the host reads them: of what tracking joined from there on, but by the number that stands where reading began, behind the
/// options for every router.
fn chain(packet: &Packet) -> Extensions<'_> {
    let bytes = packet.bytes();
    let mut whole = Extensions::from(bytes, ipv6::NEXT_HEADER, HEADER);
    let Some(joined_at) = packet.joined_at else {
        return whole;
    };
    let joined_at = usize::from(joined_at.get());
    if whole.next == extension::HOP_BY_HOP && joined_at != HEADER {
        whole.next();
    }
    Extensions::from(bytes, whole.named_at, joined_at)
}

/// Whether the chain ended elsewhere than for who reads all of it.
fn is_misread(packet: &Packet, chain: &Extensions<'_>) -> bool {
    packet.joined_at.is_some() && (chain.at, chain.next) != (packet.network_header_length(), packet.protocol())
}

struct Asked<'a> {
    net: &'a Net,
    host: &'a HostState,
    now: Time,
    packet: &'a Packet,
    delivery: Delivery,
    /// It came in pieces, or says so of itself alone.
    was_fragmented: bool,
}

impl Asked<'_> {
    /// An extension header that is there whole.
    fn extension(&mut self, found: &Extension<'_>) -> Result<(), Refused> {
        match found.kind {
            extension::HOP_BY_HOP if found.at == HEADER && self.packet.joined_at.is_none() => Ok(()),
            extension::DESTINATION => options::read(self.net, Kind::Destination, self.packet.bytes(), found),
            extension::ROUTING => self.routing(found),
            extension::FRAGMENT if self.was_fragmented || header(self.packet).payload_length() == 0 => {
                Err(Refused::telling(BadPart::Field, found.at))
            }
            extension::FRAGMENT => {
                self.was_fragmented = true;
                Ok(())
            }
            _ => Err(Refused::telling(BadPart::NextHeader, found.named_at)),
        }
    }

    /// No type of routing header is known but two that are switched off, and those drop the packet.
    fn routing(&self, found: &Extension<'_>) -> Result<(), Refused> {
        const RPL: u8 = 3;
        const SEGMENTS: u8 = 4;
        const KIND: usize = 2;
        const SEGMENTS_LEFT: usize = 3;
        if self.delivery != Delivery::Local {
            return Err(Refused::Silently);
        }
        match (found.bytes[KIND], found.bytes[SEGMENTS_LEFT]) {
            (RPL | SEGMENTS, _) => Err(Refused::Silently),
            (_, 0) => Ok(()),
            _ => Err(Refused::telling(BadPart::Field, found.at + KIND)),
        }
    }

    fn refused(&self, refused: &Refused) -> Answer {
        match refused.told() {
            (reason, None) => Answer::Dropped(reason),
            (reason, Some(complaint)) => self.complain(reason, complaint, self.packet.len()),
        }
    }

    fn nobody_knows(&self, reason: DropReason, named_at: usize) -> Answer {
        let complaint = Complaint::BadHeader {
            what: BadPart::NextHeader,
            at: named_at as u32,
        };
        self.complain(reason, complaint, self.packet.len())
    }

    fn complain(&self, reason: DropReason, complaint: Complaint, quoted: usize) -> Answer {
        let about = (self.packet, quoted);
        match icmp::complain_quoting(self.net, self.host, self.now, about, complaint) {
            Ok(sent) => Answer::Refused(reason, Box::new(sent)),
            Err(why) => Answer::Suppressed(reason, why),
        }
    }

    /// A connection is one host's: what went to any of several is nobody's.
    fn to_one(&self) -> Delivery {
        match self.is_to_any() {
            true => Delivery::Broadcast,
            false => self.delivery,
        }
    }

    /// TEE's copy is for the one whom TEE names, whatever it says itself.
    fn is_to_any(&self) -> bool {
        match self.packet.origin {
            Origin::Copy { to_any, .. } => to_any,
            Origin::Usual | Origin::Discovery { .. } => self.net.is_anycast(self.packet.destination()),
        }
    }

    fn told(&self, heard: Heard) -> Answer {
        match heard {
            Heard::Done(answer) => answer,
            Heard::Unreachable { quoted } => {
                let complaint = Complaint::Unreachable(Unreachable::Port);
                self.complain(DropReason::NoSocket, complaint, quoted)
            }
            Heard::Reset(reset) => match self.reset(reset) {
                Ok(reply) => Answer::Refused(DropReason::NoSocket, Box::new(reply)),
                Err(why) => Answer::Suppressed(DropReason::NoSocket, why),
            },
        }
    }

    /// A reset has the segment's traffic class without its ECN bits. Seen: its checksum is left to the device, other than in IPv4, and what quotes it
    /// before it leaves shows the pseudo-header's sum alone.
    fn reset(&self, mut reset: TcpHeader) -> Result<Outgoing, Suppressed> {
        let (IpAddr::V6(own), IpAddr::V6(back_to)) = (self.packet.destination(), self.packet.source()) else {
            return Err(Suppressed::TwoFamilies);
        };
        let traffic_class = self.packet.tos() & !3;
        let mark = self.net.reply_mark_ipv6(self.packet);
        let key = OutputKey {
            destination: back_to.into(),
            source: Some(own.into()),
            mark,
            // Of what came round to another address than `::1`, that is the link of the address, and no way leads from there to `::1`.
            interface: self
                .net
                .arrived_by(self.packet)
                .filter(|_| back_to.is_unicast_link_local() || back_to.is_loopback()),
            // Seen: what is answered is routed without its class, other than in IPv4.
            tos: 0,
            flow: Flow::back_of(protocol::TCP, self.packet.transport()),
        };
        let route = self.net.route_output(key).map_err(|_| Suppressed::NoRouteBack)?;
        if !may_speak(route.source, back_to) {
            return Err(Suppressed::SourceOfIpv4);
        }
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (route.source, route.destination) else {
            return Err(Suppressed::TwoFamilies);
        };
        let sum = checksum::pseudo_header(own.into(), destination.into(), protocol::TCP, reset.header_len());
        reset.checksum = checksum::fold(sum);
        let ports = u32::from(reset.source_port) << 16 | u32::from(reset.destination_port);
        let repr = ipv6::Repr {
            traffic_class,
            flow_label: self.net.label_of_answer(
                self.host,
                Labelled::Reset,
                header(self.packet).flow_label(),
                (own, destination),
                (protocol::TCP, ports),
            ),
            hop_limit: self.net.hop_limit_over(&route),
            next_header: protocol::TCP,
            source,
            destination,
        };
        let made = outgoing(repr, &reset.to_bytes(), route, mark);
        let mut made = made.ok_or(Suppressed::LongerThanTheMtu)?;
        made.packet.checksum = ChecksumState::Partial;
        Ok(made)
    }

    fn icmp(&self, read: &Packet) -> Answer {
        let message = read.transport();
        let ends = (self.packet.source(), self.packet.destination());
        let value = checksum::transport(ends.0, ends.1, protocol::ICMPV6, message);
        if !self.packet.is_right_with(value) {
            return Answer::Dropped(DropReason::IcmpChecksum);
        }
        let Some(view) = read.icmpv6() else {
            return Answer::Dropped(DropReason::TransportTruncated);
        };
        match view.kind() {
            kind::ECHO_REQUEST => self.echo(read),
            kind::ECHO_REPLY | EXTENDED_ECHO_REPLY => Answer::Dropped(DropReason::NoSocket),
            kind::DESTINATION_UNREACHABLE..=kind::PARAMETER_PROBLEM => match view.payload().len() {
                ..HEADER => Answer::Dropped(DropReason::TransportTruncated),
                _ => {
                    let learned = match view.kind() {
                        kind::PACKET_TOO_BIG => path_mtu::too_big(self.net, self.host, self.now, read),
                        _ => None,
                    };
                    Answer::taken(learned)
                }
            },
            kind::ROUTER_SOLICITATION..=kind::REDIRECT if self.was_fragmented => {
                Answer::Dropped(DropReason::NeighbourInFragments)
            }
            kind::ROUTER_SOLICITATION..=kind::REDIRECT => neighbour::answer(self.net, self.host, self.now, read),
            kind::LISTENER_QUERY => membership::asked(self.net, self.host, self.now, self.packet, read),
            other if kind::is_error(other) => Answer::Dropped(DropReason::UnknownIcmp),
            _ => Answer::Dropped(DropReason::NotAnswered),
        }
    }

    /// What came to a group, or to any of several hosts, is answered by the interface it came by, from an address of its own.
    fn echo(&self, read: &Packet) -> Answer {
        let (is_to_group, is_to_any) = (self.packet.destination().is_multicast(), self.is_to_any());
        let is_on = |knob| self.net.knob_ipv6(knob) != 0;
        if is_on(Knob::EchoIgnoreAll) || is_to_any && is_on(Knob::EchoIgnoreAnycast) {
            return Answer::Dropped(DropReason::EchoIgnored);
        }
        if is_to_group && is_on(Knob::EchoIgnoreMulticast) {
            return Answer::Dropped(DropReason::BroadcastEchoIgnored);
        }
        let Some(view) = read.icmpv6() else {
            return Answer::Dropped(DropReason::TransportTruncated);
        };
        let is_to_one = self.delivery == Delivery::Local && (!is_to_any || is_on(Knob::AnycastEchoSource));
        let key = OutputKey {
            destination: self.packet.source(),
            source: is_to_one.then_some(self.packet.destination()),
            mark: self.net.reply_mark_ipv6(self.packet),
            // Seen: `::1` is answered by `lo`, other than by a reset; but who only became it on its way in is not, since no way leads from its link there.
            interface: self
                .net
                .arrived_by(self.packet)
                .filter(|_| !self.packet.source().is_loopback() || self.packet.input != Some(InterfaceId::LOOPBACK)),
            tos: 0,
            flow: Flow::of_icmp(protocol::ICMPV6, kind::ECHO_REPLY, 0),
        };
        let message = Message {
            // The code of the request is answered too, whatever it is.
            what: (kind::ECHO_REPLY, view.code()),
            info: view.info(),
            traffic_class: self.packet.tos(),
            label: (Labelled::EchoReply, header(self.packet).flow_label()),
            payload: view.payload(),
            is_about_own: is_about_own(self.packet),
        };
        match icmp::send(self.net, self.host, self.now, key, &message) {
            Ok(reply) => Answer::Reply(Box::new(reply)),
            Err(why) => Answer::Suppressed(DropReason::NotAnswered, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, Make, OWN, WAN, icmp, net, said, tcp, udp};
    use super::*;
    use crate::net::Closed;
    use crate::wire::ipv6::extension::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};
    use crate::wire::put16;

    const GROUP: &str = "ff02::1";
    const ANY: &str = "2001:db8::";

    fn check(cases: &[(&str, Make, &str)]) {
        let net = net();
        let wrong: Vec<String> = cases
            .iter()
            .map(|(what, make, expected)| (what, said(&net, make), expected))
            .filter(|(_, found, expected)| found != *expected)
            .map(|(what, found, expected)| format!("{what}:\n  {found}\n  {expected}"))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn echo(from: &str, to: &str) -> Make {
        icmp(from, to, 128, 0, b"abc")
    }

    /// Pings of a host on the LAN, and the answers.
    #[test]
    fn echoes() {
        let reply = "hl64 len51 icmp6 129/0 rest00010002 data3";
        let own = format!("lan {OWN}>{HOST} p58 tc00 {reply}");
        let of = |text: &str| text.to_owned();
        for (make, expected) in [
            (echo(HOST, OWN), own.clone()),
            (echo(HOST, "fe80::1"), format!("lan fe80::1>{HOST} p58 tc00 {reply}")),
            (
                echo("fe80::2", "fe80::1"),
                format!("lan fe80::1>fe80::2 p58 tc00 {reply}"),
            ),
            (echo("fe80::2", OWN), format!("lan {OWN}>fe80::2 p58 tc00 {reply}")),
            (echo(HOST, GROUP), own.clone()),
            (echo("fe80::2", GROUP), format!("lan fe80::1>fe80::2 p58 tc00 {reply}")),
            (echo(HOST, ANY), own.clone()),
            (echo(HOST, "2001:db8:1::"), own.clone()),
            (
                echo(HOST, "2001:db8:1::1"),
                format!("lan 2001:db8:1::1>{HOST} p58 tc00 {reply}"),
            ),
            (
                echo("2001:db8:9::9", OWN),
                format!("wan {OWN}>2001:db8:9::9 p58 tc00 {reply}"),
            ),
            (
                echo("2001:db8:2::9", OWN),
                format!("sml {OWN}>2001:db8:2::9 p58 tc00 {reply}"),
            ),
            (
                Make {
                    input: WAN,
                    ..echo("2001:db8::77", GROUP)
                },
                format!("wan 2001:db8:1::1>2001:db8::77 p58 tc00 {reply}"),
            ),
            (
                Make {
                    hop_limit: 0,
                    traffic_class: 0xb8,
                    ..echo(HOST, OWN)
                },
                format!("lan {OWN}>{HOST} p58 tcb8 {reply}"),
            ),
            (icmp(HOST, OWN, 128, 5, b"abc"), own.replace("129/0", "129/5")),
            (
                Make {
                    transport: vec![128, 0, 1, 1, 0, 0, 0, 0],
                    ..echo(HOST, OWN)
                },
                of("ICMP_CSUM"),
            ),
            (echo(HOST, "ff02::9"), of("NOT_SPECIFIED")),
            (echo("ff02::9", OWN), of("IP_INVALID_SOURCE")),
        ] {
            assert_eq!(said(&net(), &make), expected);
        }
        for (knob, to, is_quiet) in [
            ("echo_ignore_all", OWN, true),
            ("echo_ignore_multicast", OWN, false),
            ("echo_ignore_multicast", GROUP, true),
            ("echo_ignore_multicast", ANY, false),
            ("echo_ignore_anycast", OWN, false),
            ("echo_ignore_anycast", GROUP, false),
            ("echo_ignore_anycast", ANY, true),
        ] {
            let mut net = net();
            net.sysctl_set(&format!("net.ipv6.icmp.{knob}"), "1").unwrap();
            assert_eq!(!said(&net, &echo(HOST, to)).contains("129/0"), is_quiet, "{knob} {to}");
        }
    }

    #[test]
    fn other_messages() {
        let quoted = udp(OWN, FAR, 1).bytes();
        for (kind, data, expected) in [
            (0, &[1; 8][..], "UNHANDLED_PROTO"),
            (1, &[1; 39], "NOT_SPECIFIED"),
            (1, &quoted, "consumed"),
            (4, &quoted, "consumed"),
            (5, &quoted, "UNHANDLED_PROTO"),
            (127, &[1; 8], "UNHANDLED_PROTO"),
            (129, &[1; 8], "NO_SOCKET"),
            (130, &[1; 8], "NOT_SPECIFIED"),
            (143, &[1; 8], "NOT_SPECIFIED"),
            (200, &[1; 8], "NOT_SPECIFIED"),
        ] {
            assert_eq!(said(&net(), &icmp(HOST, OWN, kind, 0, data)), expected, "{kind}");
        }
    }

    /// Who reads all that comes hears of it, too.
    #[test]
    fn what_nobody_knows_is_no_header() {
        let packet = Make::new(HOST, OWN, 253, vec![0; 8]).packet();
        let host = HostState::new(1);
        let answer = net().answer(&host, Time::from_secs(1), &Closed, &packet, Delivery::Local);
        assert!(matches!(answer, Answer::Refused(DropReason::NoProtocol, _)));
        assert!(answer.is_readable());
    }

    /// What a datagram, or none of any protocol, behind these headers is answered by the host itself.
    #[test]
    fn extension_headers() {
        let port = |len: usize, data: usize| {
            format!("NO_SOCKET lan {OWN}>{HOST} p58 tc00 hl64 len{len} icmp6 1/4 rest00000000 data{data}")
        };
        let problem = |len: usize, code: u8, at: u32| {
            let reason = if code == 1 { "IP_NOPROTO" } else { "IPV6_BAD_EXTHDR" };
            format!(
                "{reason} lan {OWN}>{HOST} p58 tc00 hl64 len{len} icmp6 4/{code} rest{at:08x} data{}",
                len - 48
            )
        };
        let silent = || "IPV6_BAD_EXTHDR".to_owned();
        let plain = || udp(HOST, OWN, 1);
        let hop = |options: &[u8]| plain().with_options(HOP_BY_HOP, options);
        let dst = |options: &[u8]| plain().with_options(DESTINATION, options);
        let bare = |kind, body: &[u8]| plain().with(kind, body);
        let routing = |kind, left| {
            let mut body = vec![2, kind, left, 0, 0, 0, 0];
            body.resize(23, 7);
            plain().with(ROUTING, &body)
        };
        let atomic = |make: Make| make.with(FRAGMENT, &[0, 0, 0, 0, 0, 0, 9]);
        let nothing = |protocol| Make::new(HOST, OWN, protocol, b"abcdefgh".to_vec());
        let jumbo = |make: Make| Make {
            payload_length: Some(0),
            ..make
        };
        for (make, expected) in [
            (plain(), port(97, 49)),
            (hop(b""), port(105, 57)),
            (hop(b"\x05\x02\0\0"), port(105, 57)),
            (hop(b"\x05\x03\0\0\0"), silent()),
            (hop(b"\x1e\x02\0\0"), port(105, 57)),
            (hop(b"\x3e\x02\0\0"), port(105, 57)),
            (hop(b"\x5e\x02\0\0"), silent()),
            (hop(b"\x9e\x02\0\0"), problem(105, 2, 42)),
            (hop(b"\xde\x02\0\0"), problem(105, 2, 42)),
            (hop(b"\x01\x00\xde\x02\0\0"), problem(105, 2, 44)),
            (hop(b"\xc2\x04\0\0\0\x10"), problem(105, 0, 44)),
            (hop(b"\0\0\xc2\x04\0\x01\0\0"), silent()),
            (jumbo(hop(b"\xc2\x04\0\x01\0\0")), silent()),
            (jumbo(hop(b"\xc2\x04\0\0\0\x11")), problem(105, 0, 44)),
            (jumbo(hop(b"")), port(105, 57)),
            (hop(b"\xc2\x06\0\x01\0\0\0\0"), silent()),
            (bare(HOP_BY_HOP, b"\0\x1e\x09\0\0\0\0"), silent()),
            (bare(HOP_BY_HOP, b"\0\x01\x03\0\0\0\x1e"), silent()),
            (bare(HOP_BY_HOP, &[0; 7]), port(105, 57)),
            (bare(HOP_BY_HOP, b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), silent()),
            (bare(HOP_BY_HOP, b"\0\x01\x04\0\0\x01\0"), silent()),
            (bare(HOP_BY_HOP, b"\x01\x01\x0c\0\0\0\0\0\0\0\0\0\0\0\0"), silent()),
            (
                bare(HOP_BY_HOP, b"\x01\x01\x01\0\x01\x01\0\x1e\x02\0\0\x01\x02\0\0"),
                port(113, 65),
            ),
            (
                bare(HOP_BY_HOP, b"\x01\x01\x03\0\0\0\x01\x03\0\0\0\x1e\x02\0\0"),
                silent(),
            ),
            (hop(&b"\x1e\0".repeat(8)), port(121, 73)),
            (hop(&b"\x1e\0".repeat(9)), silent()),
            (bare(HOP_BY_HOP, &[0x20, 0, 0, 0, 0, 0, 0]), silent()),
            (hop(b"").with_options(HOP_BY_HOP, b""), problem(113, 1, 40)),
            (dst(b"").with_options(HOP_BY_HOP, b""), problem(113, 1, 40)),
            (dst(b""), port(105, 57)),
            (dst(b"\x1e\x02\0\0"), port(105, 57)),
            (dst(b"\x5e\x02\0\0"), silent()),
            (dst(b"\x9e\x02\0\0"), problem(105, 2, 42)),
            (dst(b"\xde\x02\0\0"), problem(105, 2, 42)),
            (dst(b"\x05\x02\0\0"), port(105, 57)),
            (dst(b"").with_options(DESTINATION, b""), port(113, 65)),
            (bare(DESTINATION, &[0x20, 0, 0, 0, 0, 0, 0]), silent()),
            (routing(0, 0), port(121, 73)),
            (routing(0, 1), problem(121, 0, 42)),
            (routing(3, 0), silent()),
            (routing(4, 1), silent()),
            (routing(253, 0), port(121, 73)),
            (routing(253, 1), problem(121, 0, 42)),
            (bare(ROUTING, &[0x20, 0, 0, 0, 0, 0, 0]), silent()),
            (atomic(plain()), port(105, 57)),
            (atomic(atomic(plain())), problem(113, 0, 48)),
            (atomic(hop(b"")), port(113, 65)),
            (nothing(59), "NOT_SPECIFIED".into()),
            (nothing(103), "NOT_SPECIFIED".into()),
            (nothing(200), problem(96, 1, 6)),
            (nothing(50), problem(96, 1, 6)),
            (nothing(135), problem(96, 1, 6)),
            (nothing(200).with_options(DESTINATION, b""), problem(104, 1, 40)),
            (nothing(200).with_options(HOP_BY_HOP, b""), problem(104, 1, 40)),
            (atomic(nothing(200)), problem(104, 1, 40)),
            (
                bare(protocol::AH, &{
                    let mut ah = [0; 23];
                    ah[0] = 4;
                    ah
                }),
                problem(121, 1, 6),
            ),
        ] {
            assert_eq!(said(&net(), &make), expected, "{:02x?}", make.headers);
        }
    }

    /// Beside the kernel: of a datagram so long as many bytes are summed as the last sixteen bits of its length say, and no answer is so long.
    #[test]
    fn jumbograms() {
        let jumbo = |make: Make| {
            let length = (make.transport.len() + 8) as u32;
            let option = [&[0xc2, 4], &length.to_be_bytes()[..]].concat();
            Make {
                payload_length: Some(0),
                ..make.with_options(HOP_BY_HOP, &option)
            }
        };
        let datagram = |number: u8, length: usize, covered: usize| {
            let mut segment = vec![0x0f, 0xa0, 0x13, 0x88, 0, 0, 0, 0];
            segment.resize(length, b'x');
            let (source, destination) = (HOST.parse().unwrap(), OWN.parse().unwrap());
            let pseudo = checksum::pseudo_header(source, destination, number, length);
            let covered = u32::from(checksum::fold(checksum::sum(&segment[..covered])));
            put16(&mut segment, 6, !checksum::fold(pseudo + covered));
            jumbo(Make::new(HOST, OWN, number, segment))
        };
        let told = format!("NO_SOCKET lan {OWN}>{HOST} p58 tc00 hl64 len1280 icmp6 1/4 rest00000000 data1232");
        for number in [protocol::UDP, protocol::UDPLITE] {
            for (length, covered, expected) in [
                (65_536, 65_536, "UDP_CSUM"),
                (65_536, 0, "UDP_CSUM"),
                (66_008, 66_008, "UDP_CSUM"),
                (66_008, 472, &told),
            ] {
                let make = datagram(number, length, covered);
                assert_eq!(said(&net(), &make), expected, "{number} {length} {covered}");
            }
        }
        assert_eq!(
            said(&net(), &jumbo(icmp(HOST, OWN, 128, 0, &[b'x'; 66_000]))),
            "NOT_SPECIFIED TooLong"
        );
    }

    /// The same to a group: only whoever wants to hear of it even so is told of an option.
    #[test]
    fn extension_headers_to_a_group() {
        let group = |make: Make| Make {
            destination: GROUP.parse().unwrap(),
            ..make
        };
        let told = format!("IPV6_BAD_EXTHDR lan {OWN}>{HOST} p58 tc00 hl64 len105 icmp6 4/2 rest0000002a data57");
        for (kind, options, expected) in [
            (HOP_BY_HOP, &b"\x9e\x02\0\0"[..], told.as_str()),
            (HOP_BY_HOP, b"\xde\x02\0\0", "IPV6_BAD_EXTHDR"),
            (HOP_BY_HOP, b"\xc2\x04\0\0\0\x10", "IPV6_BAD_EXTHDR NotUnicast"),
            (DESTINATION, b"\x9e\x02\0\0", told.as_str()),
            (DESTINATION, b"\xde\x02\0\0", "IPV6_BAD_EXTHDR"),
            (DESTINATION, b"", "UDP_CSUM"),
        ] {
            let make = group(udp(HOST, OWN, 1).with_options(kind, options));
            assert_eq!(said(&net(), &make), expected, "{kind} {options:02x?}");
        }
        let unknown = group(Make::new(HOST, OWN, 200, b"abcdefgh".to_vec()));
        assert_eq!(said(&net(), &unknown), "IP_NOPROTO NotUnicast");
    }

    #[test]
    fn segments() {
        let reset = |seq: u32, ack: u32, flags: u8| {
            format!("NO_SOCKET lan {OWN}>{HOST} p6 tc00 hl64 len60 tcp seq{seq} ack{ack} flags{flags:02x}")
        };
        let syn = || tcp(HOST, OWN, 2, &[], &[]);
        let mut signed = vec![19, 18];
        signed.resize(18, 0);
        signed.extend([1, 1]);
        let mut bad = syn();
        bad.transport[16] ^= 1;
        for (make, expected) in [
            (syn(), reset(0, 1001, 0x14)),
            (
                Make {
                    traffic_class: 0xbb,
                    ..syn()
                },
                reset(0, 1001, 0x14).replace("tc00", "tcb8"),
            ),
            (tcp(HOST, OWN, 0x10, &[], &[]), reset(5000, 0, 0x04)),
            (tcp(HOST, OWN, 1, &[], b"abc"), reset(0, 1004, 0x14)),
            (tcp(HOST, OWN, 4, &[], &[]), "NO_SOCKET".into()),
            (bad, "TCP_CSUM".into()),
            (tcp(HOST, GROUP, 2, &[], &[]), "NO_SOCKET".into()),
            (tcp(HOST, ANY, 2, &[], &[]), "NO_SOCKET".into()),
            (tcp(HOST, OWN, 2, &signed, &[]), "NO_SOCKET".into()),
            (
                Make {
                    input: WAN,
                    ..tcp("fe80::2", "fe80::1", 2, &[], &[])
                },
                "NO_SOCKET wan fe80::1>fe80::2 p6 tc00 hl64 len60 tcp seq0 ack1001 flags14".into(),
            ),
        ] {
            assert_eq!(said(&net(), &make), expected);
        }
    }

    /// What the host labels of itself it labels by ends and ports.
    #[test]
    fn each_connection_is_reset_under_a_label_of_its_own() {
        let (net, host) = (net(), HostState::new(1));
        let label = |ports: [u8; 4]| {
            let mut make = tcp(HOST, OWN, 2, &[], &[]);
            make.transport[..4].copy_from_slice(&ports);
            make.sum(16);
            match net.answer(&host, Time::ZERO, &Closed, &make.packet(), Delivery::Local) {
                Answer::Refused(_, sent) => header(&sent.packet).flow_label(),
                other => panic!("{other:?}"),
            }
        };
        let labels = [[0x10, 0, 0, 80], [0x10, 1, 0, 80], [0x10, 0, 0, 81]].map(label);
        let distinct: std::collections::BTreeSet<_> = labels.iter().collect();
        assert_eq!(distinct.len(), 3, "{labels:x?}");
    }

    #[test]
    fn what_a_program_listens_for_is_its_own() {
        struct Open;
        impl Listeners for Open {
            fn is_open(&self, _: &Packet) -> bool {
                true
            }
        }
        for make in [Make::new(HOST, OWN, 200, vec![1]), udp(HOST, OWN, 1)] {
            let (net, host) = (net(), HostState::new(1));
            let answer = net.answer(&host, Time::ZERO, &Open, &make.packet(), Delivery::Local);
            assert!(matches!(answer, Answer::Consumed), "{answer:?}");
        }
    }

    #[test]
    fn datagrams() {
        let port = |len: usize| {
            format!(
                "NO_SOCKET lan {OWN}>{HOST} p58 tc00 hl64 len{len} icmp6 1/4 rest00000000 data{}",
                len - 48
            )
        };
        let raw = |protocol, length: u16, data: &[u8]| {
            let mut segment = vec![0, 1, 0, 2, 0, 0, 0, 0];
            put16(&mut segment, 4, length);
            segment.extend_from_slice(data);
            let mut make = Make::new(HOST, OWN, protocol, segment);
            make.sum(6);
            make
        };
        let unsummed = |mut make: Make| {
            put16(&mut make.transport, 6, 0);
            make
        };
        let mut longer = udp(HOST, OWN, 1);
        longer.transport.extend(b"zz");
        check(&[
            ("plain", udp(HOST, OWN, 1), &port(97)),
            ("1400 bytes", udp(HOST, OWN, 1400), &port(1280)),
            (
                "to any",
                udp(HOST, ANY, 1),
                &port(97).replace("2001:db8::1>", "2001:db8::>"),
            ),
            ("from nobody", udp("::", OWN, 1), "NO_SOCKET NoSender"),
            ("no sum", unsummed(udp(HOST, OWN, 1)), "UDP_CSUM"),
            ("length 7", raw(17, 7, b"x"), "PKT_TOO_SMALL"),
            ("length 0", raw(17, 0, b"x"), &port(97)),
            ("length 80", raw(17, 80, b"x"), "PKT_TOO_SMALL"),
            ("less than the packet", longer, &port(97)),
            ("4 bytes", Make::new(HOST, OWN, 17, vec![0, 1, 0, 2]), "NOT_SPECIFIED"),
            ("partly covered", raw(136, 0, b"xyz"), &port(99)),
            ("partly, no sum", unsummed(raw(136, 0, b"xyz")), "UDP_CSUM"),
        ]);
    }
}
