//! What REJECT answers: an ICMP error, or a TCP reset.

use std::net::IpAddr;

use super::icmp::outgoing;
use crate::base::protocol;
use crate::net::transport::{self, is_believed, is_never_summed, wrong_checksum};
use crate::net::{Delivery, Flow, Net, Outgoing, OutputKey, Suppressed};
use crate::packet::Packet;
use crate::wire::checksum;
use crate::wire::ipv6;
use crate::wire::tcp::{self, flags};

/// REJECT answers no later fragments, nothing without a transport, and nothing whose transport checksum is wrong. Every protocol is summed up with the
/// pseudo-header, a first fragment as if it were whole; those are left out that are known to have no such sum.
#[cold]
pub(crate) fn may_be_rejected(packet: &Packet) -> Result<(), Suppressed> {
    if packet.fragment_offset() != 0 {
        return Err(Suppressed::LaterFragment);
    }
    if !packet.has_transport() || packet.transport().is_empty() {
        return Err(Suppressed::NoTransport);
    }
    if is_never_summed(packet) || is_believed(packet, true, || sum_is_right(packet)) {
        return Ok(());
    }
    Err(wrong_checksum(packet))
}

fn sum_is_right(packet: &Packet) -> bool {
    let ends = (packet.source(), packet.destination());
    packet.is_right_with(checksum::transport(
        ends.0,
        ends.1,
        packet.protocol(),
        packet.transport(),
    ))
}

/// The reset that closes the connection which `packet` wanted. Seen: with an address of a link it takes the first link there is.
#[cold]
pub(crate) fn reset(net: &Net, packet: &Packet, delivery: Delivery) -> Result<Outgoing, Suppressed> {
    let header = packet.transport();
    if packet.protocol() != protocol::TCP || packet.fragment_offset() != 0 || header.len() < tcp::MIN_HEADER {
        return Err(Suppressed::NoTcpHeader);
    }
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.destination(), packet.source()) else {
        return Err(Suppressed::NoTcpHeader);
    };
    let is_one = |it: std::net::Ipv6Addr| !it.is_multicast() && !it.is_unspecified();
    if !is_one(source) || !is_one(destination) || matches!(delivery, Delivery::Multicast { .. }) {
        return Err(Suppressed::NoConnectionOfMany);
    }
    // To the kernel what stands for an address of IPv4 is no one's.
    if [source, destination].iter().any(|it| it.to_ipv4_mapped().is_some()) {
        return Err(Suppressed::ResetOfMapped);
    }
    if header[13] & flags::RST != 0 {
        return Err(Suppressed::AboutAReset);
    }
    // Forwarding forgets the sum that tracking made, and only the other form of REJECT remembers that it was right.
    if !is_believed(packet, packet.output.is_none(), || sum_is_right(packet)) {
        return Err(wrong_checksum(packet));
    }
    let data = (header.len() as u32).wrapping_sub(u32::from(header[12] >> 4) * 4);
    let mut reset = transport::reset_of(header, data);
    // Seen: it is finished here, other than in IPv4.
    let sum = reset.calc_checksum_ipv6_raw(source.octets(), destination.octets(), &[]);
    reset.checksum = sum.map_err(|_| Suppressed::NoTcpHeader)?;
    let mark = net.reply_mark_ipv6(packet);
    let key = OutputKey {
        destination: destination.into(),
        source: Some(source.into()),
        mark,
        interface: None,
        tos: 0,
        flow: Flow::back_of(protocol::TCP, header),
    };
    let route = net.reroute_output(key).map_err(|_| Suppressed::NoRouteBack)?;
    let repr = ipv6::Repr {
        traffic_class: 0,
        flow_label: 0,
        hop_limit: net.hop_limit_over(&route),
        next_header: protocol::TCP,
        source,
        destination,
    };
    outgoing(repr, &reset.to_bytes(), route, mark).ok_or(Suppressed::NoTcpHeader)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, LAN, Make, OWN, WAN, icmp, net, out, tcp, udp};
    use super::*;
    use crate::base::Time;
    use crate::net::{HostState, Unreachable};
    use crate::wire::ipv6::extension::{DESTINATION, FRAGMENT};

    fn spoiled(mut make: Make, at: usize) -> Make {
        make.transport[at] ^= 1;
        make
    }

    /// What `-j REJECT` in FORWARD told the sender.
    #[test]
    fn errors() {
        let net = net();
        let told = |make: &Make, why| {
            let packet = make.packet();
            match net.unreachable_by_rule(&HostState::new(1), Time::from_secs(1), &packet, Delivery::Unicast, why) {
                Ok(sent) => out(&net, &sent),
                Err(why) => format!("{why:?}"),
            }
        };
        let error = |code: u8, len: usize| {
            format!(
                "lan {OWN}>{HOST} p58 tc00 hl64 len{len} icmp6 1/{code} rest00000000 data{}",
                len - 48
            )
        };
        for (why, code) in [
            (Unreachable::Network, 0),
            (Unreachable::AdminProhibited, 1),
            (Unreachable::Host, 3),
            (Unreachable::Port, 4),
            (Unreachable::PolicyFailed, 5),
            (Unreachable::RouteRejected, 6),
        ] {
            assert_eq!(told(&udp(HOST, FAR, 1), why), error(code, 97), "{why}");
        }
        let raw = |protocol, data: &[u8]| Make::new(HOST, FAR, protocol, data.to_vec());
        let unsummed = {
            let mut make = udp(HOST, FAR, 1);
            make.transport[6..8].fill(0);
            make
        };
        let piece = |make: Make, field: u8| make.with(FRAGMENT, &[0, 0, field, 0, 0, 0, 9]);
        for (make, expected) in [
            (spoiled(udp(HOST, FAR, 1), 6), "ChecksumWrong".to_owned()),
            (unsummed, error(4, 97)),
            (spoiled(tcp(HOST, FAR, 2, &[], &[]), 16), "ChecksumWrong".into()),
            (icmp(HOST, FAR, 128, 0, b""), error(4, 96)),
            (spoiled(icmp(HOST, FAR, 128, 0, b""), 2), "ChecksumWrong".into()),
            (icmp(HOST, FAR, 1, 0, &[1; 48]), "AboutAnError".into()),
            (raw(200, b"abcdefgh"), "ChecksumWrong".into()),
            (raw(200, &[0; 8]), "ChecksumWrong".into()),
            (raw(59, b""), "NoTransport".into()),
            (raw(59, b"abc"), "NoTransport".into()),
            (raw(47, b"abcdefgh"), error(4, 96)),
            (raw(50, b"abcdefgh"), error(4, 96)),
            (raw(136, b"abcdefgh"), error(4, 96)),
            (raw(132, b"abcdefghabcdefgh"), error(4, 104)),
            (raw(33, b"abcdefghabcdefgh"), "ChecksumWrong".into()),
            (raw(17, &[0, 1, 0, 2]), "ChecksumWrong".into()),
            (raw(17, b""), "NoTransport".into()),
            (piece(udp(HOST, FAR, 24), 1), error(4, 128)),
            (piece(udp(HOST, FAR, 24), 9), "LaterFragment".into()),
            (piece(udp(HOST, FAR, 24), 0), error(4, 128)),
            (udp(HOST, FAR, 1).with_options(DESTINATION, b""), error(4, 105)),
            (
                spoiled(udp(HOST, FAR, 1), 6).with_options(DESTINATION, b""),
                "ChecksumWrong".into(),
            ),
            (
                udp(HOST, FAR, 1).with(DESTINATION, &[0x20, 0, 0, 0, 0, 0, 0]),
                "NoTransport".into(),
            ),
            (udp(HOST, "ff02::1", 1), "NotUnicast".into()),
            (udp("::", FAR, 1), "NoSender".into()),
        ] {
            assert_eq!(told(&make, Unreachable::Port), expected, "{:02x?}", make.transport);
        }
    }

    /// Resets, from the address that the segment was for.
    #[test]
    fn resets() {
        let net = net();
        let told = |make: &Make| match net.reset(&make.packet(), Delivery::Unicast) {
            Ok(mut sent) => {
                sent.packet.finish_checksum();
                assert_eq!(sent.packet.transport_checksum(protocol::TCP), 0);
                out(&net, &sent)
            }
            Err(why) => format!("{why:?}"),
        };
        let reset = |to: &str, seq: u32, ack: u32, flags: u8| {
            format!("{FAR}>{to} p6 tc00 hl64 len60 tcp seq{seq} ack{ack} flags{flags:02x}")
        };
        let syn = |from: &str| tcp(from, FAR, 2, &[], &[]);
        let offset = |words: u8| {
            let mut make = syn(HOST);
            make.transport[12] = words << 4;
            make.sum(16);
            make
        };
        let piece = |field: u8, make: Make| make.with(FRAGMENT, &[0, 0, field, 0, 0, 0, 9]);
        for (make, expected) in [
            (syn(HOST), format!("lan {}", reset(HOST, 0, 1001, 0x14))),
            (
                tcp(HOST, FAR, 0x10, &[], &[]),
                format!("lan {}", reset(HOST, 5000, 0, 4)),
            ),
            (tcp(HOST, FAR, 4, &[], &[]), "AboutAReset".into()),
            (spoiled(syn(HOST), 16), "ChecksumWrong".into()),
            (
                Make {
                    traffic_class: 0xbb,
                    ..syn(HOST)
                },
                format!("lan {}", reset(HOST, 0, 1001, 0x14)),
            ),
            (
                tcp(HOST, FAR, 1, &[], b"abc"),
                format!("lan {}", reset(HOST, 0, 1004, 0x14)),
            ),
            (Make::new(HOST, FAR, 6, vec![0; 19]), "NoTcpHeader".into()),
            (tcp(HOST, "ff02::1", 2, &[], &[]), "NoConnectionOfMany".into()),
            (syn("::"), "NoConnectionOfMany".into()),
            (syn("::ffff:10.0.0.2"), "ResetOfMapped".into()),
            (tcp(HOST, "::ffff:10.0.0.2", 2, &[], &[]), "ResetOfMapped".into()),
            (
                syn("2001:db8:9::9"),
                format!("wan {}", reset("2001:db8:9::9", 0, 1001, 0x14)),
            ),
            (piece(0, syn(HOST)), format!("lan {}", reset(HOST, 0, 1001, 0x14))),
            (
                piece(1, tcp(HOST, FAR, 2, &[], b"xxxx")),
                format!("lan {}", reset(HOST, 0, 1005, 0x14)),
            ),
            (piece(9, syn(HOST)), "NoTcpHeader".into()),
            (
                syn(HOST).with_options(DESTINATION, b""),
                format!("lan {}", reset(HOST, 0, 1001, 0x14)),
            ),
            (offset(4), format!("lan {}", reset(HOST, 0, 1005, 0x14))),
            (offset(15), format!("lan {}", reset(HOST, 0, 961, 0x14))),
            // By the first link that has such addresses, whichever it came by.
            (
                Make {
                    input: WAN,
                    ..syn("fe80::2")
                },
                format!("{} {}", net.interface(LAN).name, reset("fe80::2", 0, 1001, 0x14)),
            ),
        ] {
            assert_eq!(told(&make), expected, "{:02x?}", make.transport);
        }
    }
}
