//! What the local host does with a packet that got through INPUT: what Linux answers when no program listens.

use std::net::IpAddr;

use etherparse::TcpHeader;

use super::Header;
use super::icmp::{IcmpError, Message};
use super::options::{self, milliseconds_today};
use super::{path_mtu, redirect};
use crate::base::{Time, protocol};
use crate::net::sysctl::Knob;
use crate::net::transport::{self, Heard};
use crate::net::{
    Answer, Complaint, Delivery, DropReason, Flow, HostState, Listeners, Net, Outgoing, OutputKey, Suppressed,
    Unreachable,
};
use crate::packet::{Packet, Sender};
use crate::wire::checksum;
use crate::wire::icmpv4::{kind, unreachable};
use crate::wire::ipv4::{self, MIN_HEADER};

/// Protocols that Linux has a handler for even where no program uses them, besides ICMP, TCP and UDP: it takes them and answers nothing.
const TAKEN_SILENTLY: [u8; 2] = [protocol::IGMP, PIM];
const PIM: u8 = 103;
/// Of IGMP.
const MEMBERSHIP_QUERY: u8 = 0x11;
const EXTENDED_ECHO_REQUEST: u8 = 42;
const EXTENDED_ECHO_REPLY: u8 = 43;

/// [`Net::answer`].
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
    };
    match packet.protocol() {
        protocol::ICMP => asked.icmp(),
        protocol::TCP => asked.told(transport::tcp(packet, delivery, listeners)),
        protocol::UDP => asked.told(transport::udp(packet, delivery, listeners)),
        protocol::UDPLITE => asked.told(transport::udplite(packet, delivery, listeners)),
        protocol::IGMP if packet.transport().first() == Some(&MEMBERSHIP_QUERY) => {
            Answer::Dropped(DropReason::NoGroups)
        }
        number if TAKEN_SILENTLY.contains(&number) => Answer::Dropped(DropReason::NotAnswered),
        _ if listeners.is_open(packet) => Answer::Consumed,
        _ => asked.unreachable(DropReason::NoProtocol, Unreachable::Protocol, packet.len()),
    }
}

struct Asked<'a> {
    net: &'a Net,
    host: &'a HostState,
    now: Time,
    packet: &'a Packet,
    delivery: Delivery,
}

impl Asked<'_> {
    fn icmp(&mut self) -> Answer {
        let message = self.packet.transport();
        if checksum::of(message) != 0 {
            return Answer::Dropped(DropReason::IcmpChecksum);
        }
        let Some(view) = self.packet.icmpv4() else {
            return Answer::Dropped(DropReason::TransportTruncated);
        };
        if view.kind() == EXTENDED_ECHO_REQUEST {
            return Answer::Dropped(DropReason::NotAnswered);
        }
        if self.delivery != Delivery::Local {
            let queries = [kind::ECHO_REQUEST, kind::TIMESTAMP_REQUEST];
            if queries.contains(&view.kind()) && self.net.is_on(Knob::EchoIgnoreBroadcasts) {
                return Answer::Dropped(DropReason::BroadcastEchoIgnored);
            }
            let masks = [kind::ADDRESS_MASK_REQUEST, kind::ADDRESS_MASK_REPLY];
            if !queries.contains(&view.kind()) && !masks.contains(&view.kind()) {
                return Answer::Dropped(DropReason::NoIcmpByBroadcast);
            }
        }
        match view.kind() {
            kind::ECHO_REQUEST if self.net.is_on(Knob::EchoIgnoreAll) => Answer::Dropped(DropReason::EchoIgnored),
            // The code of the request is answered too, whatever it is.
            kind::ECHO_REQUEST => self.icmp_reply(kind::ECHO_REPLY, view.code(), view.payload()),
            kind::TIMESTAMP_REQUEST => match view.payload() {
                [a, b, c, d, ..] => {
                    let now = milliseconds_today(self.now).to_be_bytes();
                    let times = [[*a, *b, *c, *d], now, now];
                    self.icmp_reply(kind::TIMESTAMP_REPLY, 0, times.as_flattened())
                }
                _ => Answer::Dropped(DropReason::TransportLength),
            },
            kind::ECHO_REPLY | EXTENDED_ECHO_REPLY => Answer::Dropped(DropReason::NoSocket),
            kind::REDIRECT if view.payload().len() < MIN_HEADER => Answer::Dropped(DropReason::TransportLength),
            kind::REDIRECT => {
                let learned = redirect::redirected(self.net, self.host, self.now, self.packet);
                learned.map_or(Answer::Dropped(DropReason::RedirectNotHeeded), |it| {
                    Answer::taken(Some(it))
                })
            }
            kind::DESTINATION_UNREACHABLE | kind::SOURCE_QUENCH | kind::TIME_EXCEEDED | kind::PARAMETER_PROBLEM => {
                match view.payload() {
                    quoted if quoted.len() < MIN_HEADER => Answer::Dropped(DropReason::TransportTruncated),
                    quoted if quoted[0] & 0x0f < 5 => Answer::Dropped(DropReason::QuotedHeader),
                    _ => {
                        let what = (view.kind(), view.code());
                        let learned = match what == (kind::DESTINATION_UNREACHABLE, unreachable::FRAGMENTATION_NEEDED) {
                            true => path_mtu::fragmentation_needed(self.net, self.host, self.now, self.packet),
                            false => None,
                        };
                        Answer::taken(learned)
                    }
                }
            }
            19.. => Answer::Dropped(DropReason::UnknownIcmp),
            _ => Answer::Dropped(DropReason::NotAnswered),
        }
    }

    /// To a broadcast, the answer comes from the address that faces the sender.
    fn icmp_reply(&mut self, kind: u8, code: u8, payload: &[u8]) -> Answer {
        let identifiers = crate::wire::be32(self.packet.transport(), 4);
        let message = Message {
            kind,
            code,
            info: identifiers,
            tos: self.packet.tos(),
            source: self
                .net
                .answering_address(self.packet, self.delivery)
                .filter(|own| !own.is_unspecified()),
            payload,
            readable: self.packet.network_header_length(),
            quotes: false,
        };
        match self.net.send_icmp(self.host, self.now, self.packet, message) {
            Ok(reply) => Answer::Reply(Box::new(reply)),
            Err(why) => Answer::Suppressed(DropReason::NotAnswered, why),
        }
    }

    fn told(&mut self, heard: Heard) -> Answer {
        match heard {
            Heard::Done(answer) => answer,
            Heard::Unreachable { quoted } => self.unreachable(DropReason::NoSocket, Unreachable::Port, quoted),
            Heard::Reset(reset) => match self.send_reset(reset) {
                Ok(reply) => Answer::Refused(DropReason::NoSocket, Box::new(reply)),
                Err(why) => Answer::Suppressed(DropReason::NoSocket, why),
            },
        }
    }

    /// A reset has the segment's TOS without its ECN bits, identification 0 and DF.
    fn send_reset(&mut self, mut reset: TcpHeader) -> Result<Outgoing, Suppressed> {
        let tos = self.packet.tos() & !3;
        let (IpAddr::V4(own), IpAddr::V4(back_to)) = (self.packet.destination(), self.packet.source()) else {
            return Err(Suppressed::NoRouteBack);
        };
        let mark = self.net.reply_mark(self.packet);
        let options = options::echo(self.net, self.packet.header().header(), own, back_to, self.now)
            .ok_or(Suppressed::NoRoomInOptions)?;
        let key = OutputKey {
            destination: options.first_hop.unwrap_or(back_to).into(),
            source: Some(own.into()).filter(|_| !own.is_unspecified()),
            mark,
            interface: None,
            tos,
            flow: Flow::back_of(self.packet.protocol(), self.packet.transport()),
        };
        let route = self.net.route_output(key).map_err(|_| Suppressed::NoRouteBack)?;
        let (IpAddr::V4(destination), IpAddr::V4(source)) = (route.destination, route.source) else {
            return Err(Suppressed::NoRouteBack);
        };
        // What must not be cut is not even made.
        if MIN_HEADER + options.bytes.len() + reset.header_len() > route.mtu as usize {
            return Err(Suppressed::LongerThanTheMtu);
        }
        reset.checksum = reset
            .calc_checksum_ipv4_raw(own.octets(), back_to.octets(), &[])
            .map_err(|_| Suppressed::LongerThanTheMtu)?;
        let repr = ipv4::Repr {
            tos,
            identification: 0,
            dont_fragment: true,
            ttl: self.net.ttl_over(&route),
            protocol: protocol::TCP,
            source,
            destination,
        };
        let made = self.net.outgoing(repr, &options.bytes, &reset.to_bytes(), route, mark);
        let mut made = made.ok_or(Suppressed::LongerThanTheMtu)?;
        // Seen: one of IPv6 is from no socket.
        made.packet.sender = Sender::Kernel;
        Ok(made)
    }

    fn unreachable(&mut self, reason: DropReason, why: Unreachable, quoted: usize) -> Answer {
        let error = IcmpError::from(Complaint::Unreachable(why));
        match self
            .net
            .icmp_error_quoting(self.host, self.now, self.packet, quoted, self.delivery, error)
        {
            Ok(sent) => Answer::Refused(reason, Box::new(sent)),
            Err(why) => Answer::Suppressed(reason, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Closed;
    use crate::net::example::{Make, icmp, net, set, show, tcp, udp, unhex};
    use crate::packet::ChecksumState;
    use crate::wire::put16;

    fn said(net: &Net, make: &Make, delivery: Delivery) -> String {
        let now = Time::from_nanos(1_234_000_000);
        match net.answer(&HostState::new(1), now, &Closed, &make.packet(), delivery) {
            Answer::Consumed => "consumed".into(),
            Answer::Learned(said) => format!("learned {:?}", said.mtu),
            Answer::Piece => "a piece".into(),
            Answer::Reply(sent) => show(&sent.packet),
            Answer::Refused(reason, sent) => format!("{} {}", reason.kernel_word(), show(&sent.packet)),
            Answer::Dropped(reason) => reason.kernel_word().into(),
            Answer::Suppressed(reason, why) => format!("{} {why:?}", reason.kernel_word()),
        }
    }

    #[test]
    fn icmp_messages() {
        let mut quiet = net();
        set(&mut quiet, &[("icmp_echo_ignore_all", 1)]);
        let (net, host) = (net(), "10.0.0.1");
        let echo = |code, data: &[u8]| icmp("10.0.0.2", host, 8, code, data);
        let head = "10.0.0.1>10.0.0.2 p1";
        let reply = "frag0000 ttl64 icmp 0/0 rest00010002 data[3]";
        for (make, expected) in [
            (
                Make {
                    tos: 0xb8,
                    ttl: 3,
                    ..echo(0, b"abc")
                },
                format!("{head} tosb8 len31 {reply}"),
            ),
            (
                Make {
                    tos: 0xff,
                    fragment_field: 0x4000,
                    ..echo(0, b"abc")
                },
                format!("{head} tosff len31 {reply}"),
            ),
            (
                echo(5, b"abc"),
                format!("{head} tos00 len31 frag0000 ttl64 icmp 0/5 rest00010002 data[3]"),
            ),
            (
                echo(0, b""),
                format!("{head} tos00 len28 frag0000 ttl64 icmp 0/0 rest00010002 data[0]"),
            ),
            (
                Make {
                    options: unhex("070b08 0a000001 00000000"),
                    ..echo(0, b"abc")
                },
                format!(
                    "{head} tos00 len43 frag0000 ttl64 opts[070b0c0a0000010a00000100] icmp 0/0 rest00010002 data[3]"
                ),
            ),
            (
                icmp("10.0.0.2", host, 13, 1, &[1; 20]),
                format!("{head} tos00 len40 frag0000 ttl64 icmp 14/0 rest00010002 data[12]"),
            ),
            (icmp("10.0.0.2", host, 13, 0, &[1; 3]), "PKT_TOO_SMALL".into()),
            (icmp("10.0.0.2", host, 0, 0, b"abc"), "NO_SOCKET".into()),
            (icmp("10.0.0.2", host, 3, 3, &[0; 20]), "IP_INHDR".into()),
            (icmp("10.0.0.2", host, 3, 3, &[0x45; 10]), "NOT_SPECIFIED".into()),
            (
                icmp("10.0.0.2", host, 3, 3, &udp(host, "10.0.0.2", 1).bytes()),
                "consumed".into(),
            ),
            (icmp("10.0.0.2", host, 19, 0, &[0; 20]), "UNHANDLED_PROTO".into()),
            (icmp("10.0.0.2", host, 43, 0, &[0; 20]), "NO_SOCKET".into()),
            (
                Make {
                    transport: vec![8, 0, 1, 1, 0, 0, 0, 0],
                    ..echo(0, b"")
                },
                "ICMP_CSUM".into(),
            ),
            (
                Make {
                    transport: vec![8, 0, 0xf7, 0xff, 0, 0, 0],
                    ..echo(0, b"")
                },
                "NOT_SPECIFIED".into(),
            ),
        ] {
            assert_eq!(said(&net, &make, Delivery::Local), expected);
        }
        assert_eq!(said(&quiet, &echo(0, b"abc"), Delivery::Local), "NOT_SPECIFIED");
        assert!(said(&quiet, &icmp("10.0.0.2", host, 13, 0, &[1; 4]), Delivery::Local).contains("icmp 14/0"));
    }

    #[test]
    fn broadcasts() {
        let strict = net();
        let mut open = net();
        set(&mut open, &[("icmp_echo_ignore_broadcasts", 0)]);
        let echo = |source, destination| icmp(source, destination, 8, 0, b"abc");
        let reply = "p1 tos00 len31 frag0000 ttl64 icmp 0/0 rest00010002 data[3]";
        for (make, delivery, closed, answered) in [
            (
                echo("10.0.0.2", "10.0.0.255"),
                Delivery::Broadcast,
                "INVALID_PROTO",
                format!("10.0.0.1>10.0.0.2 {reply}"),
            ),
            (
                echo("10.0.0.2", "224.0.0.1"),
                Delivery::Multicast { has_joined: true },
                "INVALID_PROTO",
                format!("10.0.0.1>10.0.0.2 {reply}"),
            ),
            (
                echo("192.0.2.9", "255.255.255.255"),
                Delivery::Broadcast,
                "INVALID_PROTO",
                format!("192.0.2.1>192.0.2.9 {reply}"),
            ),
            (
                icmp("10.0.0.2", "10.0.0.255", 3, 3, &[0x45; 28]),
                Delivery::Broadcast,
                "INVALID_PROTO",
                "INVALID_PROTO".into(),
            ),
            (
                udp("10.0.0.2", "10.0.0.255", 1),
                Delivery::Broadcast,
                "NOT_SPECIFIED",
                "NOT_SPECIFIED".into(),
            ),
            (
                tcp("10.0.0.2", "10.0.0.255", 2, &[], &[]),
                Delivery::Broadcast,
                "NO_SOCKET",
                "NO_SOCKET".into(),
            ),
            (
                Make::new("10.0.0.2", "10.0.0.255", 200, vec![0; 9]),
                Delivery::Broadcast,
                "IP_NOPROTO NotUnicast",
                "IP_NOPROTO NotUnicast".into(),
            ),
        ] {
            assert_eq!(said(&strict, &make, delivery), closed);
            assert_eq!(said(&open, &make, delivery), answered);
        }
    }

    /// Flags of a segment with sequence 1000, acknowledgement 5000 and three bytes of data; what the reset said.
    #[test]
    fn resets() {
        let net = net();
        let head = "NO_SOCKET 10.0.0.1>10.0.0.2 p6 tos00 len40 frag4000 ttl64 tcp";
        for (flags, expected) in [
            (0x02, "seq0 ack1004 flags14"),
            (0x12, "seq5000 ack0 flags04"),
            (0x10, "seq5000 ack0 flags04"),
            (0x01, "seq0 ack1004 flags14"),
            (0x11, "seq5000 ack0 flags04"),
            (0x00, "seq0 ack1003 flags14"),
            (0x08, "seq0 ack1003 flags14"),
            (0x03, "seq0 ack1005 flags14"),
            (0xc2, "seq0 ack1004 flags14"),
            (0x1a, "seq5000 ack0 flags04"),
        ] {
            let make = tcp("10.0.0.2", "10.0.0.1", flags, &[], b"abc");
            assert_eq!(
                said(&net, &make, Delivery::Local),
                format!("{head} {expected}"),
                "flags {flags:02x}"
            );
        }
        for flags in [0x04, 0x14, 0x06, 0xff] {
            let make = tcp("10.0.0.2", "10.0.0.1", flags, &[], b"abc");
            assert_eq!(said(&net, &make, Delivery::Local), "NO_SOCKET", "flags {flags:02x}");
        }
        let syn = |options: &[u8]| tcp("10.0.0.2", "10.0.0.1", 2, options, &[]);
        let answer = "ttl64 tcp seq0 ack1001 flags14";
        let from = "NO_SOCKET 10.0.0.1>10.0.0.2 p6";
        let mut signed = vec![0; 18];
        signed[..2].copy_from_slice(&[19, 18]);
        let mut short = syn(&[]);
        short.transport[12] = 4 << 4;
        let mut beyond = syn(&[]);
        beyond.transport[12] = 7 << 4;
        let mut wrong = syn(&[]);
        wrong.transport[16] ^= 1;
        for (make, expected) in [
            (
                Make {
                    tos: 0xb8,
                    ttl: 5,
                    ..syn(&[])
                },
                format!("{from} tosb8 len40 frag4000 {answer}"),
            ),
            (
                Make { tos: 0x03, ..syn(&[]) },
                format!("{from} tos00 len40 frag4000 {answer}"),
            ),
            (
                Make {
                    tos: 0x1e,
                    ..syn(&[2, 4, 5, 0xb4])
                },
                format!("{from} tos1c len40 frag4000 {answer}"),
            ),
            (syn(&signed), "NO_SOCKET".into()),
            (short, "PKT_TOO_SMALL".into()),
            (beyond, "NOT_SPECIFIED".into()),
            (wrong, "TCP_CSUM".into()),
            (
                Make::new("10.0.0.2", "10.0.0.1", 6, vec![0; 19]),
                "NOT_SPECIFIED".into(),
            ),
        ] {
            assert_eq!(said(&net, &make, Delivery::Local), expected);
        }
        // The whole packet, as it came off the wire, for a segment with sequence 100.
        let mut known = tcp("10.0.0.2", "10.0.0.1", 2, &[], &[]);
        known.transport = unhex("0fa01388000000640000000050 0203e8 0000 0000");
        let value = checksum::transport([10, 0, 0, 2].into(), [10, 0, 0, 1].into(), 6, &known.transport);
        put16(&mut known.transport, 16, value);
        let answer = net.answer(
            &HostState::new(1),
            Time::ZERO,
            &Closed,
            &known.packet(),
            Delivery::Local,
        );
        let Answer::Refused(_, sent) = answer else {
            panic!("no reset: {answer:?}");
        };
        let wire = "4500002800004000400626ce0a0000010a00000213880fa000000000000000655014000078410000";
        assert_eq!(sent.packet.bytes(), unhex(wire));
    }

    #[test]
    fn datagrams_and_unknown_protocols() {
        let net = net();
        let good = udp("10.0.0.2", "10.0.0.1", 1);
        let raw = |text: &str| Make::new("10.0.0.2", "10.0.0.1", 17, unhex(text));
        let port = |tos: &str, length, data| {
            format!(
                "NO_SOCKET 10.0.0.1>10.0.0.2 p1 tos{tos} len{length} frag0000 ttl64 icmp 3/3 rest00000000 data[{data}]"
            )
        };
        for (make, expected) in [
            (good.clone(), port("c0", 57, 29)),
            (
                Make {
                    tos: 0x1f,
                    fragment_field: 0x4000,
                    ..udp("10.0.0.2", "10.0.0.1", 700)
                },
                port("de", 576, 548),
            ),
            (raw("0001 0002 0009 0102 78"), "UDP_CSUM".into()),
            (raw("0001 0002 0009 0000 78"), port("c0", 57, 29)),
            (raw("0001 0002 0032 0000 78"), "PKT_TOO_SMALL".into()),
            (raw("0001 0002 0007 0000 78"), "PKT_TOO_SMALL".into()),
            (raw("0001 0002 0009 0000 78797a"), port("c0", 57, 29)),
            (raw("0001 0002"), "NOT_SPECIFIED".into()),
            (
                Make {
                    protocol: 136,
                    ..raw("0001 0002 0000 0000 78")
                },
                "UDP_CSUM".into(),
            ),
            (
                Make {
                    protocol: 136,
                    ..raw("0001 0002 0032 0001 78")
                },
                "PKT_TOO_SMALL".into(),
            ),
            (
                Make {
                    protocol: 2,
                    ..good.clone()
                },
                "NOT_SPECIFIED".into(),
            ),
            (
                Make::new("10.0.0.2", "10.0.0.1", 200, b"hello".to_vec()),
                "IP_NOPROTO 10.0.0.1>10.0.0.2 p1 tosc0 len53 frag0000 ttl64 icmp 3/2 rest00000000 data[25]".into(),
            ),
        ] {
            assert_eq!(said(&net, &make, Delivery::Local), expected);
        }
        // Seen: what tracking found right of the whole packet need not be right of a datagram that ends before it.
        let mut longer = raw("0001 0002 0009 0000 78797a");
        let (from, to) = ([10, 0, 0, 2].into(), [10, 0, 0, 1].into());
        let whole = checksum::transport(from, to, 17, &longer.transport);
        put16(&mut longer.transport, 6, whole);
        let mut packet = longer.packet();
        packet.checksum = ChecksumState::Verified;
        let answer = net.answer(&HostState::new(1), Time::ZERO, &Closed, &packet, Delivery::Local);
        assert!(matches!(answer, Answer::Dropped(DropReason::UdpChecksum)), "{answer:?}");

        struct Open;
        impl Listeners for Open {
            fn is_open(&self, packet: &Packet) -> bool {
                packet.ports().is_some_and(|ports| ports.1 == 5000)
            }
        }
        let answer = net.answer(&HostState::new(1), Time::ZERO, &Open, &good.packet(), Delivery::Local);
        assert!(matches!(answer, Answer::Consumed), "{answer:?}");
    }

    #[test]
    fn settings_that_change_answers() {
        let mut net = net();
        set(&mut net, &[("ip_default_ttl", 33), ("fwmark_reflect", 1)]);
        for make in [
            icmp("10.0.0.2", "10.0.0.1", 8, 0, b"abc"),
            tcp("10.0.0.2", "10.0.0.1", 2, &[], &[]),
            udp("10.0.0.2", "10.0.0.1", 1),
        ] {
            let mut packet = make.packet();
            packet.mark = 5;
            match net.answer(&HostState::new(1), Time::ZERO, &Closed, &packet, Delivery::Local) {
                Answer::Reply(sent) | Answer::Refused(_, sent) => {
                    assert_eq!((sent.packet.ttl(), sent.packet.mark), (33, 5));
                    assert_eq!(sent.packet.output, Some(crate::net::example::LAN));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
