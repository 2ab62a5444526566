//! Fragments of IPv4, put together (RFC 791).
//!
//! A fragment before the last whose length is no multiple of 8 is cut to one; the result has the header of the first fragment.

use super::Header;
use crate::base::InterfaceId;
use crate::net::reassembly::{Key, Piece, Queue, Rules, lacks_for_headers};
use crate::net::sysctl::Knob;
use crate::net::{DefragUser, DropReason, Net};
use crate::packet::Packet;
use crate::wire::ipv4::{DONT_FRAGMENT, Ipv4};

/// Of a fragment: which packet's it is, and what its header says.
pub(crate) fn read_fragment(user: DefragUser, packet: &Packet) -> (Key, Piece) {
    let header = packet.header();
    let key = Key {
        user,
        source: packet.source(),
        destination: packet.destination(),
        identification: header.identification().into(),
        protocol: Some(packet.protocol()),
        link: None,
    };
    let (offset, more) = (packet.fragment_offset(), header.more_fragments());
    let length = taken(packet);
    let piece = Piece {
        offset,
        end: offset + length,
        length,
        more,
        size: packet.network_header_length() + length,
        has_df: header.dont_fragment(),
        ecn: header.tos() & 3,
    };
    (key, piece)
}

/// How much of a fragment is taken.
fn taken(packet: &Packet) -> usize {
    let length = packet.transport().len();
    match packet.header().more_fragments() {
        true => length & !7,
        false => length,
    }
}

/// What the knobs allow.
pub(crate) fn reassembly_rules(net: &Net) -> Rules {
    Rules {
        memory: net.knob(Knob::FragmentHighThreshold) as u64,
        seconds: net.knob(Knob::FragmentTime),
        distance: net.knob(Knob::FragmentMaxDistance) as u32,
        forgives: false,
        assemble,
    }
}

fn assemble(queue: Queue, input: Option<InterfaceId>) -> Result<Packet, DropReason> {
    let is_congested = queue.congestion()?;
    let (end, largest, largest_with_df) = (queue.end, queue.largest, queue.largest_with_df);
    let pieces = queue.into_pieces();
    let Some(first) = pieces.first() else {
        return Err(DropReason::FragmentInconsistent);
    };
    let header_length = first.network_header_length();
    let total = header_length + end;
    if total > usize::from(u16::MAX) {
        return Err(DropReason::FragmentTooLong);
    }
    let mark = first.mark;
    let mut bytes = Vec::with_capacity(total);
    bytes.extend_from_slice(first.header().header());
    let mut sizes = Vec::with_capacity(pieces.len());
    let (mut begins, mut first_needs) = (0, 0);
    for piece in &pieces {
        let length = taken(piece);
        let lacking = lacks_for_headers(piece, piece.network_header_length(), header_length);
        if lacking > 0 {
            first_needs = begins + lacking.min(length);
        }
        begins += length;
        bytes.extend_from_slice(&piece.transport()[..length]);
        sizes.push(length as u16);
    }
    let df = largest_with_df == largest;
    if let Ok(mut header) = Ipv4::new(&mut bytes[..]) {
        header.set_total_length(total as u16);
        header.set_fragment_field(if df { DONT_FRAGMENT } else { 0 });
        if is_congested {
            let tos = header.tos();
            header.set_tos(tos | 3);
        }
        header.fill_checksum();
    }
    let mut whole = Packet::parse(bytes).map_err(|_| DropReason::FragmentInconsistent)?;
    whole.input = input;
    whole.mark = mark;
    whole.largest_fragment = largest as u16;
    whole.fragments_had_df = df;
    whole.fragments = sizes;
    whole.first_fragment_needs = first_needs as u16;
    debug_assert_eq!(whole.network_header_length(), header_length);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Time;
    use crate::net::example::{LAN, Make, WAN, hex, net, set, udp};
    use crate::net::v4::fragment;
    use crate::net::{HostState, Pushed, Reassembly};

    /// `FIRST..END` in bytes, `+` where more follow, then `d` for DF, `e` and a digit for the ECN bits.
    fn piece(whole: &Make, text: &str) -> Packet {
        let (range, flags) = text.split_at(
            text.find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(text.len()),
        );
        let (start, end) = range.split_once("..").unwrap();
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        let mut make = whole.clone();
        make.transport = whole.transport[start..end].to_vec();
        make.fragment_field = (start / 8) as u16;
        for flag in flags.chars() {
            match flag {
                '+' => make.fragment_field |= 0x2000,
                'd' => make.fragment_field |= 0x4000,
                'e' => {}
                digit => make.tos |= digit.to_digit(4).unwrap() as u8,
            }
        }
        make.packet()
    }

    fn word(pushed: &Pushed) -> &'static str {
        match pushed {
            Pushed::Whole(_) => "whole",
            Pushed::Held => "held",
            Pushed::Dropped(reason) => reason.kernel_word(),
            Pushed::Left(_) | Pushed::Refused { .. } => "not of IPv4",
        }
    }

    /// Fragments of 608 bytes in the order they came, and what became of each.
    #[test]
    fn fragment_by_fragment() {
        let net = net();
        let whole = udp("10.0.0.2", "192.0.2.9", 600);
        for (pieces, expected) in [
            ("0..304+ 304..608", "held whole"),
            ("304..608 0..304+", "held whole"),
            ("0..304+ 0..304+ 304..608", "held DUP_FRAG whole"),
            ("304..608 304..608 0..304+", "held DUP_FRAG whole"),
            ("0..304+ 8..16+ 304..608", "held DUP_FRAG whole"),
            ("0..304+ 296..608 304..608", "held NOT_SPECIFIED held"),
            ("304..608 0..312+ 0..304+", "held NOT_SPECIFIED held"),
            ("8..16+ 0..304+ 304..608", "held NOT_SPECIFIED held"),
            ("0..304+ 304..608 304..608", "held whole held"),
            ("0..304+ 304..400 304..608", "held whole held"),
            ("304..608 304..608+", "held DUP_FRAG"),
            ("304..600 600..608+", "held NOT_SPECIFIED"),
            ("0..300+ 304..608 296..304+", "held held whole"),
            ("0..4+ 0..304+ 304..608", "NOT_SPECIFIED held whole"),
            ("304..304 0..304+", "NOT_SPECIFIED held"),
            ("0..0+ 0..304+ 304..608", "NOT_SPECIFIED held whole"),
            ("0..304+e1 304..608", "held NOT_SPECIFIED"),
            // Nothing before and nothing after it: no fragment.
            ("304..608 0..608", "held whole"),
        ] {
            let reassembly = Reassembly::new();
            let found: Vec<&str> = pieces
                .split(' ')
                .map(|text| word(&reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&whole, text))))
                .collect();
            assert_eq!(found.join(" "), expected, "{pieces}");
        }
    }

    #[test]
    fn the_whole_may_be_as_large_as_a_packet_can_be() {
        let net = net();
        let mut whole = udp("10.0.0.2", "192.0.2.9", 600);
        whole.transport.resize(70_000, 0);
        for (last, expected) in [("65512..65515", "whole"), ("65512..65516", "NOT_SPECIFIED")] {
            let reassembly = Reassembly::new();
            let push = |text| reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&whole, text));
            assert_eq!(word(&push("0..65512+")), "held");
            assert_eq!(word(&push(last)), expected, "{last}");
        }
    }

    /// ECN bits of two fragments, and those of the whole.
    #[test]
    fn ecn_marks() {
        let net = net();
        let whole = udp("10.0.0.2", "192.0.2.9", 600);
        for (first, second, expected) in [
            (0, 0, Some(0)),
            (0, 1, None),
            (0, 2, None),
            (0, 3, None),
            (3, 0, None),
            (1, 1, Some(1)),
            (1, 2, Some(1)),
            (2, 1, Some(2)),
            (1, 3, Some(3)),
            (3, 1, Some(3)),
            (2, 3, Some(3)),
            (3, 3, Some(3)),
        ] {
            let reassembly = Reassembly::new();
            let push = |text: String| reassembly.push(Time::ZERO, &net, DefragUser::LocalDeliver, piece(&whole, &text));
            push(format!("0..304+e{first}"));
            let found = match push(format!("304..608e{second}")) {
                Pushed::Whole(packet) => Some(packet.tos()),
                _ => None,
            };
            assert_eq!(found, expected, "{first} then {second}");
        }
    }

    /// Fragments of 3008 bytes, the MTU they leave by, and the lengths and fragment fields they left with; "" where they were too big.
    #[test]
    fn and_apart_again() {
        let mut net = net();
        net.set_mtu(LAN, 3000).unwrap();
        let whole = udp("10.0.0.2", "192.0.2.9", 3000);
        let six = "0..504+ 504..1008+ 1008..1512+ 1512..2016+ 2016..2520+ 2520..3008";
        let six_df = "0..504+d 504..1008+d 1008..1512+d 1512..2016+d 2016..2520+d 2520..3008d";
        let kept = "524:2000 524:203f 524:207e 524:20bd 524:20fc 508:013b";
        let cut = "996:2000 996:207a 996:20f4 100:016e";
        for (pieces, mtu, expected) in [
            ("0..1504+ 1504..3008", 1000, cut),
            ("0..1504+d 1504..3008d", 1000, ""),
            ("0..504+ 504..1504+ 1504..3008", 1000, cut),
            ("0..504+d 504..1008+ 1008..3008", 1000, cut),
            ("0..504+ 504..1008+ 1008..3008d", 1000, ""),
            (six, 1000, kept),
            (six_df, 1000, kept),
            (six, 65535, kept),
            // Pieces that do not fit any more are cut anew, but not larger than the largest.
            (
                six,
                300,
                "300:2000 300:2023 300:2046 300:2069 300:208c 300:20af 300:20d2 300:20f5 300:2118 300:213b 228:015e",
            ),
        ] {
            let reassembly = Reassembly::new();
            let mut last = None;
            for text in pieces.split(' ') {
                last = Some(reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&whole, text)));
            }
            let Some(Pushed::Whole(mut packet)) = last else {
                panic!("{pieces}: {last:?}");
            };
            packet.ignores_df = true;
            assert_eq!(packet.transport(), whole.transport);
            let mut sent = Vec::new();
            let mut data = Vec::new();
            let mut emit = |piece: Packet| {
                sent.push(format!("{}:{:04x}", piece.len(), piece.header().fragment_field()));
                data.extend_from_slice(piece.transport());
            };
            let fits = fragment(packet, mtu, &mut emit).is_ok();
            assert_eq!(sent.join(" "), expected, "{pieces} over {mtu}");
            assert_eq!(fits, !expected.is_empty());
            assert!(!fits || data == whole.transport);
        }
    }

    #[test]
    fn time_and_room_run_out() {
        let mut net = net();
        let local = udp("10.0.0.2", "10.0.0.1", 600);
        let other = udp("10.0.0.2", "192.0.2.9", 600);
        let reassembly = Reassembly::new();
        let user = DefragUser::ConntrackIn(0);
        for packet in [
            piece(&local, "304..608"),
            piece(&local, "0..16+"),
            piece(&other, "0..304+"),
        ] {
            assert_eq!(word(&reassembly.push(Time::from_secs(1), &net, user, packet)), "held");
        }
        assert!(reassembly.expire(Time::from_secs(30)).is_empty());
        let expired = reassembly.expire(Time::from_secs(31));
        let host = HostState::new(1);
        let told: Vec<_> = expired
            .iter()
            .map(|it| {
                net.reassembly_error(&host, Time::from_secs(31), it)
                    .map(|it| it.packet.len())
                    .ok()
            })
            .collect();
        assert_eq!(
            told,
            [Some(64), None],
            "the first fragment is quoted, and only for a packet to this host"
        );
        assert_eq!((reassembly.len(), reassembly.memory()), (0, 0));

        set(&mut net, &[("ipfrag_low_thresh", 0), ("ipfrag_high_thresh", 0)]);
        assert_eq!(
            word(&reassembly.push(Time::ZERO, &net, user, piece(&other, "0..304+"))),
            "NOMEM"
        );
    }

    /// Queues that were opened while there was room do not grow without end after that.
    #[test]
    fn a_flood_of_pieces_stays_within_the_threshold() {
        let mut net = net();
        set(&mut net, &[("ipfrag_low_thresh", 0), ("ipfrag_high_thresh", 20_000)]);
        let reassembly = Reassembly::new();
        let whole = udp("10.0.0.2", "192.0.2.9", 3000);
        for at in 0..180 {
            for source in ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] {
                let mut make = whole.clone();
                make.source = source;
                let packet = piece(&make, &format!("{}..{}+", at * 16, at * 16 + 8));
                reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), packet);
                let memory = reassembly.memory();
                assert!(memory <= 21_000, "{memory} bytes");
            }
        }
    }

    #[test]
    fn the_whole_takes_header_and_mark_of_the_first_and_interface_of_the_last() {
        let net = net();
        let whole = Make {
            ttl: 5,
            ..udp("10.0.0.2", "192.0.2.9", 600)
        };
        let late = Make {
            ttl: 77,
            input: WAN,
            ..whole.clone()
        };
        let reassembly = Reassembly::new();
        let mut first = piece(&whole, "0..304+");
        first.mark = 7;
        reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), first);
        let Pushed::Whole(packet) =
            reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&late, "304..608"))
        else {
            panic!("not whole");
        };
        assert_eq!((packet.ttl(), packet.mark, packet.input), (5, 7, Some(WAN)));
        assert_eq!(hex(packet.transport()), hex(&whole.transport));
        assert!(packet.header().checksum_is_right());
    }
}
