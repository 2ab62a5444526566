//! Fragments of IPv6, put together (RFC 8200, 4.5): by the host, which tells senders of what it cannot take, and by tracking, which keeps silent and
//! lets pass what the host is to complain about.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::Knob;
use super::fragment::carried_by_each;
use super::icmp::header;
use crate::base::{InterfaceId, protocol};
use crate::net::reassembly::{Key, Knobs, Piece, Queue, Rules, lacks_for_headers};
use crate::net::{BadPart, Complaint, DefragUser, DropReason};
use crate::packet::Packet;
use crate::wire::ipv6::{HEADER, Ipv6, Upper, extension};
use crate::wire::{icmpv6, put16, tcp, udp};

/// What a packet is to reassembly.
pub(crate) enum Fragment {
    /// It has no fragment header, or one that nobody looks at.
    None,
    Piece(Key, Piece),
    Refused(DropReason, Option<Complaint>),
    /// It goes on as it is, and what waits with it is given up.
    Spoils(Key),
}

/// The length of a fragment header.
const LENGTH: usize = 8;

/// What of a packet is joined with others.
pub(crate) fn read_fragment(user: DefragUser, packet: &Packet) -> Fragment {
    let view = header(packet);
    let is_hosts = user == DefragUser::LocalDeliver;
    let is_jumbo = view.payload_length() == 0;
    if is_jumbo && !is_hosts {
        return Fragment::None;
    }
    let mut chain = view.extensions();
    let Some(found) = chain.find(|it| it.kind == extension::FRAGMENT) else {
        // One that is cut short nobody can hold; but first it is asked for what stands behind.
        return match chain.next == extension::FRAGMENT && !is_chain_cut(packet, chain.at) {
            true => Fragment::Refused(DropReason::BadExtension, None),
            false => Fragment::None,
        };
    };
    let Some((offset, more)) = found.fragment() else {
        return Fragment::None;
    };
    let problem = |what, at: usize| {
        let complaint = Complaint::BadHeader { what, at: at as u32 };
        Fragment::Refused(DropReason::BadExtension, is_hosts.then_some(complaint))
    };
    if is_jumbo {
        return problem(BadPart::Field, found.at);
    }
    if is_chain_cut(packet, found.at) {
        return match is_hosts {
            true => problem(BadPart::Chain, 0),
            false => Fragment::None,
        };
    }
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source(), packet.destination()) else {
        return Fragment::None;
    };
    // Whom it is from does not count.
    let is_of_link = destination.is_unicast_link_local() || destination.is_multicast();
    let key = Key {
        user,
        source: source.into(),
        destination: destination.into(),
        identification: found.identification(),
        protocol: None,
        link: packet.input.filter(|_| is_of_link),
    };
    let data_at = found.at + LENGTH;
    // What a program sends need not be as long as it says.
    let end = match (offset + HEADER + usize::from(view.payload_length())).checked_sub(data_at) {
        Some(end) if end <= usize::from(u16::MAX) => end,
        _ => return problem(BadPart::Field, found.at + 2),
    };
    if more && !end.is_multiple_of(8) {
        // The pointer is that of the payload's length.
        return match is_hosts {
            true => problem(BadPart::Field, 4),
            false => Fragment::Spoils(key),
        };
    }
    let length = data_behind(packet, data_at).len();
    let piece = Piece {
        offset,
        end,
        length,
        more,
        size: data_at + length,
        has_df: false,
        ecn: packet.tos() & 3,
    };
    Fragment::Piece(key, piece)
}

/// What a fragment brings, no more than it says. Seen: one that says it ends before its data begin is not cut.
fn data_behind(fragment: &Packet, data_at: usize) -> &[u8] {
    let said = HEADER + usize::from(header(fragment).payload_length());
    let data = &fragment.bytes()[data_at..];
    match said.checked_sub(data_at) {
        Some(said) => &data[..said.min(data.len())],
        None => data,
    }
}

/// Whether a first fragment, or one that is all, ends before the header of its transport does, or before there is any; its own header stands there.
fn is_chain_cut(packet: &Packet, at: usize) -> bool {
    let upper = Upper::behind(packet.bytes(), extension::FRAGMENT, at);
    // Of what has no two bytes nothing is known.
    if upper.fragment_offset != 0 || extension::is_extension(upper.protocol) {
        return false;
    }
    let least = match upper.protocol {
        protocol::TCP => tcp::MIN_HEADER,
        protocol::UDP => udp::HEADER,
        protocol::ICMPV6 => icmpv6::HEADER,
        _ => 1,
    };
    upper.offset + least > packet.len()
}

/// What the knobs allow.
pub(crate) fn reassembly_rules(knobs: &Knobs<'_>, user: DefragUser) -> Rules {
    match user {
        DefragUser::LocalDeliver => Rules {
            memory: knobs.net.knob_ipv6(Knob::FragmentHighThreshold) as u64,
            seconds: knobs.net.knob_ipv6(Knob::FragmentTime),
            distance: 0,
            forgives: false,
            assemble,
        },
        DefragUser::ConntrackIn(_) | DefragUser::ConntrackOut(_) => Rules {
            memory: knobs.tracking.memory,
            seconds: knobs.tracking.seconds,
            distance: 0,
            forgives: true,
            assemble: assemble_for_tracking,
        },
    }
}

/// Seen: of what tracking joined the host has forgotten where it was in the chain of headers.
fn assemble_for_tracking(queue: Queue, input: Option<InterfaceId>) -> Result<Packet, DropReason> {
    let first = queue.pieces().next().and_then(place);
    let joined_at = first.and_then(|(_, at, _)| NonZeroU16::new(at as u16));
    let mut whole = assemble(queue, input)?;
    whole.joined_at = joined_at;
    Ok(whole)
}

/// The fragment header goes; what stood before it in the first fragment stays.
fn assemble(queue: Queue, input: Option<InterfaceId>) -> Result<Packet, DropReason> {
    let is_congested = queue.congestion()?;
    let (end, largest) = (queue.end, queue.largest);
    let pieces = queue.into_pieces();
    let (Some(first), Some((named_at, at, next))) = (pieces.first(), pieces.first().and_then(place)) else {
        return Err(DropReason::FragmentInconsistent);
    };
    if at - HEADER + end > usize::from(u16::MAX) {
        return Err(DropReason::FragmentTooLong);
    }
    let mut bytes = Vec::with_capacity(at + end);
    bytes.extend_from_slice(&first.bytes()[..at]);
    bytes[named_at] = next;
    let mut sizes = Vec::with_capacity(pieces.len());
    for piece in &pieces {
        let (_, at, _) = place(piece).ok_or(DropReason::FragmentInconsistent)?;
        let data = data_behind(piece, at + LENGTH);
        bytes.extend_from_slice(data);
        sizes.push(data.len());
    }
    let headers = carried_by_each(&bytes);
    let mut begins = at - HEADER + sizes[0];
    let mut first_needs = 0;
    for (piece, size) in pieces.iter().zip(&sizes).skip(1) {
        let (_, own, _) = place(piece).ok_or(DropReason::FragmentInconsistent)?;
        match lacks_for_headers(piece, own, headers) {
            0 => {}
            lacking => first_needs = begins + lacking.min(*size),
        }
        begins += size;
    }
    let length = (bytes.len() - HEADER) as u16;
    put16(&mut bytes, 4, length);
    let mut whole = Packet::parse(bytes).map_err(|_| DropReason::FragmentInconsistent)?;
    if is_congested {
        whole.mark_congestion();
    }
    whole.input = input;
    whole.mark = first.mark;
    whole.largest_fragment = largest.min(usize::from(u16::MAX)) as u16;
    // What stood before its fragment header the first has brought, too.
    sizes[0] += at - HEADER;
    whole.first_fragment_needs = first_needs as u16;
    // Seen: options for every router are none behind a fragment header, also where that was the first of all.
    if next == extension::HOP_BY_HOP && at == HEADER {
        whole.joined_at = NonZeroU16::new(at as u16);
    }
    whole.fragments = sizes.into_iter().map(|it| it as u16).collect();
    Ok(whole)
}

/// Where a fragment's header is named, where it stands, and what follows it.
fn place(fragment: &Packet) -> Option<(usize, usize, u8)> {
    let view = Ipv6::new(fragment.bytes()).ok()?;
    let found = view.extensions().find(|it| it.kind == extension::FRAGMENT)?;
    Some((found.named_at, found.at, found.bytes[0]))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, Make, OWN, WAN, net, show, udp};
    use super::*;
    use crate::base::Time;
    use crate::net::{HostState, Pushed, Reassembly, fragment};
    use crate::wire::ipv6::extension::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};

    /// `FIRST..END` in bytes, `+` where more follow.
    fn piece(whole: &Make, text: &str) -> Make {
        let (start, end) = text.trim_end_matches('+').split_once("..").unwrap();
        whole
            .clone()
            .piece(9, start.parse().unwrap()..end.parse().unwrap(), text.ends_with('+'))
    }

    fn word(pushed: &Pushed) -> String {
        match pushed {
            Pushed::Whole(_) => "whole".into(),
            Pushed::Held => "held".into(),
            Pushed::Left(_) => "left".into(),
            Pushed::Dropped(reason) => reason.kernel_word().into(),
            Pushed::Refused {
                complaint: Complaint::BadHeader { what, at },
                ..
            } => format!("{what:?}@{at}"),
            Pushed::Refused { complaint, .. } => format!("{complaint:?}"),
        }
    }

    fn words(user: DefragUser, whole: &Make, pieces: &str) -> String {
        let (net, reassembly) = (net(), Reassembly::new());
        let push = |text| word(&reassembly.push(Time::ZERO, &net, user, piece(whole, text).packet()));
        pieces.split(' ').map(push).collect::<Vec<_>>().join(" ")
    }

    /// Fragments of 96 bytes in the order they came, and what became of each by the host itself and by tracking.
    #[test]
    fn fragment_by_fragment() {
        let same = "";
        for (pieces, by_host, by_tracking) in [
            ("0..48+ 48..96", "held whole", same),
            ("48..96 0..48+", "held whole", same),
            ("0..48+ 0..48+ 48..96", "held DUP_FRAG whole", same),
            ("0..48+ 8..16+ 48..96", "held DUP_FRAG whole", same),
            ("0..32+ 32..64+ 0..64+ 64..96", "held held DUP_FRAG whole", same),
            ("0..48+ 40..56+ 48..96 0..48+", "held NOT_SPECIFIED held whole", same),
            (
                "0..16+ 32..48+ 16..32+ 0..48+ 48..96",
                "held held held NOT_SPECIFIED held",
                same,
            ),
            ("16..32+ 0..16+ 0..32+ 32..96", "held held NOT_SPECIFIED held", same),
            (
                "0..48+ 96..104 88..96 48..96",
                "held held NOT_SPECIFIED held",
                "held held NOT_SPECIFIED NOT_SPECIFIED",
            ),
            (
                "0..48+ 64..72+ 48..56 48..64+ 72..96",
                "held held NOT_SPECIFIED held held",
                "held held NOT_SPECIFIED held whole",
            ),
            (
                "0..48+ 72..96 96..104+ 48..72+",
                "held held NOT_SPECIFIED held",
                "held held NOT_SPECIFIED whole",
            ),
            (
                "0..48+ 48..48+ 48..96",
                "held NOT_SPECIFIED held",
                "held NOT_SPECIFIED whole",
            ),
            (
                "0..48+ 48..48 48..96",
                "held NOT_SPECIFIED held",
                "held NOT_SPECIFIED NOT_SPECIFIED",
            ),
            ("0..48+ 48..55+ 48..96", "held Field@4 whole", "held left held"),
            (
                "0..48+ 65528..65608 48..96",
                "held Field@42 whole",
                "held IPV6_BAD_EXTHDR whole",
            ),
            ("0..48+ 65528..65535 48..96", "held held NOT_SPECIFIED", same),
            (
                "0..48+ 65528..65536 48..96",
                "held Field@42 whole",
                "held IPV6_BAD_EXTHDR whole",
            ),
            ("0..48+ 48..96 48..96 0..48+", "held whole held whole", same),
            ("0..8+ 8..96", "held whole", same),
            ("0..0+ 0..96", "Chain@0 whole", "left whole"),
            ("0..4+ 0..96", "Chain@0 whole", "left whole"),
            ("0..4 0..96", "Chain@0 whole", "left whole"),
            ("0..0 8..96+", "Chain@0 held", "left held"),
        ] {
            let whole = udp(HOST, OWN, 88);
            assert_eq!(words(DefragUser::LocalDeliver, &whole, pieces), by_host, "{pieces}");
            let expected = if by_tracking.is_empty() { by_host } else { by_tracking };
            assert_eq!(
                words(DefragUser::ConntrackIn(0), &whole, pieces),
                expected,
                "{pieces} tracked"
            );
        }
        for user in [DefragUser::ConntrackIn(0), DefragUser::LocalDeliver] {
            let cut = Make::new(HOST, FAR, FRAGMENT, vec![0x7d, 0x4d, 0x1f, 0x41]).packet();
            assert_eq!(
                word(&Reassembly::new().push(Time::ZERO, &net(), user, cut)),
                "IPV6_BAD_EXTHDR"
            );
            // Of one whose offset is there, and is none, it is asked whether the transport is.
            let first = Make::new(HOST, FAR, FRAGMENT, vec![17, 0, 0, 0]).packet();
            assert_eq!(word(&Reassembly::new().push(Time::ZERO, &net(), user, first)), "left");
        }
        // Options that the pieces carry are not in the way of the transport's header; those that are joined themselves are.
        let whole = udp(HOST, OWN, 88).with_options(DESTINATION, b"");
        assert_eq!(words(DefragUser::LocalDeliver, &whole, "0..48+ 48..96"), "held whole");
        let inner = Make {
            protocol: DESTINATION,
            transport: [&[17, 0, 1, 4, 0, 0, 0, 0], &udp(HOST, OWN, 88).transport[..]].concat(),
            ..udp(HOST, OWN, 88)
        };
        assert_eq!(words(DefragUser::LocalDeliver, &inner, "0..8+ 8..104"), "Chain@0 held");
        assert_eq!(words(DefragUser::LocalDeliver, &inner, "0..16+ 16..104"), "held whole");
    }

    /// ECN bits of two fragments, and those of the whole.
    #[test]
    fn ecn_marks() {
        for (first, then, expected) in [
            (0, 0, Some(0)),
            (1, 1, Some(1)),
            (0, 1, None),
            (1, 3, Some(3)),
            (2, 1, Some(2)),
            (0, 3, None),
            (3, 2, Some(3)),
        ] {
            let (net, reassembly) = (net(), Reassembly::new());
            let push = |text, traffic_class| {
                let make = Make {
                    traffic_class,
                    ..piece(&udp(HOST, OWN, 88), text)
                };
                reassembly.push(Time::ZERO, &net, DefragUser::LocalDeliver, make.packet())
            };
            push("0..48+", first);
            let found = match push("48..96", then) {
                Pushed::Whole(packet) => Some(packet.tos()),
                _ => None,
            };
            assert_eq!(found, expected, "{first} then {then}");
        }
    }

    /// Fragments that tracking joined, the MTU they leave by, and what they left in; "" where they were too big.
    #[test]
    fn and_apart_again() {
        let dst: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
        let mut rt = vec![2, 253, 0];
        rt.resize(23, 0);
        let with = |headers: &[(u8, &[u8])], data: usize| {
            headers
                .iter()
                .fold(udp(HOST, FAR, data), |make, (kind, body)| make.with(*kind, body))
        };
        let joined = |data: usize| with(&[], data);
        let inner = Make {
            protocol: DESTINATION,
            transport: [&[17, 0, 1, 4, 0, 0, 0, 0], &udp(HOST, FAR, 88).transport[..]].concat(),
            ..udp(HOST, FAR, 88)
        };
        for (whole, pieces, mtu, expected) in [
            (joined(88), "0..48+ 48..96", 1500, "frag(0+) data48, frag(48) data48"),
            (
                joined(88),
                "0..32+ 64..96 32..64+",
                1500,
                "frag(0+) data32, frag(32+) data32, frag(64) data32",
            ),
            // No longer than the largest that it came in.
            (joined(88), "0..8+ 8..96", 1500, "data96"),
            (joined(88), "0..96", 1500, "data96"),
            (
                joined(2800),
                "0..1400+ 1400..2808",
                1500,
                "frag(0+) data1400, frag(1400) data1408",
            ),
            (joined(2800), "0..1400+ 1400..2808", 1280, ""),
            (
                joined(2000),
                "0..1232+ 1232..2008",
                1280,
                "frag(0+) data1232, frag(1232) data776",
            ),
            (joined(2000), "0..1240+ 1240..2008", 1280, ""),
            (
                joined(2000),
                "0..600+ 600..1832+ 1832..2008",
                1280,
                "frag(0+) data600, frag(600+) data1232, frag(1832) data176",
            ),
            (
                with(&[(DESTINATION, dst)], 88),
                "0..48+ 48..96",
                1500,
                "ext60 frag(0+) data48, ext60 frag(48) data48",
            ),
            (
                with(&[(HOP_BY_HOP, dst)], 88),
                "0..48+ 48..96",
                1500,
                "ext0 frag(0+) data48, ext0 frag(48) data48",
            ),
            (
                with(&[(ROUTING, &rt), (DESTINATION, dst)], 88),
                "0..48+ 48..96",
                1500,
                "ext43 frag(0+) ext60 data48, ext43 frag(56) data48",
            ),
            // What was in the first piece goes before the fragment header then.
            (
                inner,
                "0..48+ 48..104",
                1500,
                "ext60 frag(0+) data40, ext60 frag(40) data56",
            ),
        ] {
            let (net, reassembly, host) = (net(), Reassembly::new(), HostState::new(1));
            let mut last = None;
            for text in pieces.split(' ') {
                let packet = piece(&whole, text).packet();
                last = Some(reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), packet));
            }
            let Some(Pushed::Whole(mut packet)) = last else {
                panic!("{pieces}: {last:?}");
            };
            packet.ignores_df = true;
            let (mut sent, mut data) = (Vec::new(), Vec::new());
            let mut emit = |piece: Packet| {
                sent.push(
                    show(&piece)
                        .split_once(" len")
                        .unwrap()
                        .1
                        .split_once(' ')
                        .unwrap()
                        .1
                        .to_owned(),
                );
                data.extend_from_slice(piece.transport());
            };
            let fits = fragment(&host, packet, mtu, &mut emit).is_ok();
            assert_eq!(sent.join(", "), expected, "{pieces} over {mtu}");
            assert_eq!(fits, !expected.is_empty());
        }
    }

    #[test]
    fn the_whole_takes_header_and_mark_of_the_first() {
        let (net, reassembly) = (net(), Reassembly::new());
        let user = DefragUser::ConntrackIn(0);
        let mut first = Make {
            hop_limit: 5,
            traffic_class: 0xb8,
            ..piece(&udp(HOST, FAR, 88), "0..48+")
        }
        .packet();
        first.mark = 7;
        let last = Make {
            hop_limit: 77,
            protocol: 6,
            input: WAN,
            ..piece(&udp(HOST, FAR, 88), "48..96")
        };
        reassembly.push(Time::ZERO, &net, user, first);
        let Pushed::Whole(packet) = reassembly.push(Time::ZERO, &net, user, last.packet()) else {
            panic!("not whole");
        };
        assert_eq!((packet.ttl(), packet.tos(), packet.mark), (5, 0xb8, 7));
        assert_eq!((packet.protocol(), packet.input), (17, Some(WAN)));
        assert_eq!(packet.transport(), udp(HOST, FAR, 88).transport);
        // Addresses of a link mean nobody on another.
        let local = udp("fe80::2", "fe80::1", 88);
        let push = |text, input| {
            let make = Make {
                input,
                ..piece(&local, text)
            };
            word(&reassembly.push(Time::ZERO, &net, user, make.packet()))
        };
        let lan = super::super::testing::LAN;
        assert_eq!(
            [push("0..48+", lan), push("48..96", WAN), push("48..96", lan)],
            ["held", "held", "whole"]
        );
    }

    /// The sender of what did not come in time hears it, once the first fragment was there; of what tracking waited for, whomever it was for.
    #[test]
    fn time_runs_out() {
        let (net, host) = (net(), HostState::new(1));
        for (to, text, user, expected) in [
            (OWN, "0..48+", DefragUser::LocalDeliver, Some(OWN)),
            (OWN, "48..96+", DefragUser::LocalDeliver, None),
            (FAR, "0..48+", DefragUser::ConntrackIn(0), Some(OWN)),
            ("2001:db8::", "0..48+", DefragUser::LocalDeliver, Some("2001:db8::")),
            ("ff02::1", "0..48+", DefragUser::LocalDeliver, None),
        ] {
            let reassembly = Reassembly::new();
            reassembly.push(Time::from_secs(1), &net, user, piece(&udp(HOST, to, 88), text).packet());
            assert!(reassembly.expire(Time::from_secs(60)).is_empty());
            let expired = reassembly.expire(Time::from_secs(61));
            let told = net.reassembly_error(&host, Time::from_secs(61), &expired[0]).ok();
            let told = told.map(|it| {
                (
                    it.packet.source().to_string(),
                    it.packet.icmpv6().unwrap().code(),
                    it.packet.len(),
                )
            });
            assert_eq!(told, expected.map(|from| (from.to_owned(), 1, 144)), "{to} {text}");
            assert_eq!((reassembly.len(), reassembly.memory()), (0, 0));
        }
    }
}
