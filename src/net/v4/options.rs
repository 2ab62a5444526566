//! IP options on their way through the host (RFC 791, 781): record route, time stamp, source route, router alert.
//!
//! A host writes itself into a record route twice: on the way in with the address that faces the sender (what an ICMP error then quotes), and over
//! it, after FORWARD, with the address of the interface it leaves by. A time stamp's address stays the first one.

use std::net::{IpAddr, Ipv4Addr};

use super::Header;
use crate::base::{InterfaceId, Time};
use crate::net::lookup::Key;
use crate::net::{AddressKind, Forwarding, Net, Scope};
use crate::packet::Packet;
use crate::wire::ipv4::MIN_HEADER;
use crate::wire::{be32, put32};

mod kind {
    pub(super) const END: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const RECORD_ROUTE: u8 = 7;
    pub(super) const TIMESTAMP: u8 = 68;
    pub(super) const LOOSE_SOURCE_ROUTE: u8 = 131;
    pub(super) const CIPSO: u8 = 134;
    pub(super) const STRICT_SOURCE_ROUTE: u8 = 137;
    pub(super) const ROUTER_ALERT: u8 = 148;
    /// The bit of an option that goes into every fragment.
    pub(super) const COPIED: u8 = 0x80;
}

/// What of a time stamp option is recorded (the low half of its fourth byte).
mod stamp {
    pub(super) const TIME: u8 = 0;
    pub(super) const TIME_AND_ADDRESS: u8 = 1;
    pub(super) const PRESPECIFIED: u8 = 3;
}

/// Where options are, as offsets in the header, and what the host wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub record_route: Option<usize>,
    /// The host wrote its address here.
    pub recorded_at: Option<usize>,
    pub timestamp: Option<usize>,
    /// The host wrote its address here.
    pub stamped_at: Option<usize>,
    pub changed: bool,
    pub source_route: Option<usize>,
    pub strict: bool,
}

impl Net {
    /// Checks the options of a packet that came in and records the host in them. `Err` is the offset of the bad byte in the header.
    ///
    /// The header checksum is left as it was until `forward_options`: an ICMP error before that quotes the new options under the old checksum.
    pub(super) fn read_options(&self, now: Time, own: Ipv4Addr, packet: &mut Packet) -> Result<Found, u8> {
        let end = packet.network_header_length();
        let mut found = Found::default();
        let before = packet.header().header().to_vec();
        let result = self.walk_options(now, own, &mut packet.bytes_mut()[..end], &mut found);
        found.changed = packet.header().header() != before;
        result.map(|()| found).map_err(|at| at as u8)
    }

    fn walk_options(&self, now: Time, own: Ipv4Addr, header: &mut [u8], found: &mut Found) -> Result<(), usize> {
        let mut at = MIN_HEADER;
        while at < header.len() {
            match header[at] {
                kind::END => {
                    header[at..].fill(kind::END);
                    return Ok(());
                }
                kind::NOP => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let length = match header.get(at + 1) {
                Some(&length) if length >= 2 && at + usize::from(length) <= header.len() => usize::from(length),
                _ => return Err(at),
            };
            let option = &mut header[at..at + length];
            match option[0] {
                kind::LOOSE_SOURCE_ROUTE | kind::STRICT_SOURCE_ROUTE => {
                    found.strict = option[0] == kind::STRICT_SOURCE_ROUTE;
                    pointer(option, 4).map_err(|offset| at + offset)?;
                    if found.source_route.replace(at).is_some() {
                        return Err(at);
                    }
                }
                kind::RECORD_ROUTE => {
                    if found.record_route.is_some() {
                        return Err(at);
                    }
                    let next = pointer(option, 4).map_err(|offset| at + offset)?;
                    if next <= length {
                        if next + 3 > length {
                            return Err(at + 2);
                        }
                        put32(option, next - 1, own.to_bits());
                        option[2] += 4;
                        found.recorded_at = Some(at + next - 1);
                    }
                    found.record_route = Some(at);
                }
                kind::TIMESTAMP => {
                    if found.timestamp.is_some() {
                        return Err(at);
                    }
                    if length < 4 {
                        return Err(at + 1);
                    }
                    let slot = self.stamp(now, own, option).map_err(|offset| at + offset)?;
                    found.stamped_at = slot.map(|offset| at + offset);
                    found.timestamp = Some(at);
                }
                kind::ROUTER_ALERT if length < 4 => return Err(at + 1),
                kind::CIPSO if length < 8 => return Err(at + 1),
                // No domain of interpretation is configured, so every one is unknown.
                kind::CIPSO => return Err(at + 2),
                _ => {}
            }
            at += length;
        }
        Ok(())
    }

    /// Writes the time into a time stamp option; returns where in it the host's address was written.
    fn stamp(&self, now: Time, own: Ipv4Addr, option: &mut [u8]) -> Result<Option<usize>, usize> {
        let length = option.len();
        let next = usize::from(option[2]);
        let flag = option[3] & 0x0f;
        if next < 5 {
            return Err(2);
        }
        if next > length {
            // Only a prespecified host may find no room without being counted.
            match option[3] >> 4 {
                _ if flag == stamp::PRESPECIFIED => {}
                15 => return Err(3),
                overflow => option[3] = (overflow + 1) << 4 | flag,
            }
            return Ok(None);
        }
        if next + 3 > length {
            return Err(2);
        }
        let time = milliseconds_today(now);
        match flag {
            stamp::TIME => {
                put32(option, next - 1, time);
                option[2] += 4;
            }
            stamp::TIME_AND_ADDRESS | stamp::PRESPECIFIED if next + 7 > length => return Err(2),
            stamp::TIME_AND_ADDRESS => {
                put32(option, next - 1, own.to_bits());
                put32(option, next + 3, time);
                option[2] += 8;
                return Ok(Some(next - 1));
            }
            stamp::PRESPECIFIED => {
                let wanted = IpAddr::V4(Ipv4Addr::from_bits(be32(option, next - 1)));
                // Recorded for whatever address is not some host's: the host's own, a broadcast, even 0.0.0.0.
                if self.address_kind(wanted, None) != AddressKind::Unicast {
                    put32(option, next + 3, time);
                    option[2] += 8;
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// What comes after FORWARD: the record route gets the address the packet leaves from, a source route its next destination.
    pub(in crate::net) fn forward_ipv4_options(&self, packet: &mut Packet, route: &Forwarding) {
        if !route.options_changed && route.source_route.is_none() {
            return;
        }
        let destination = packet.destination();
        if let Some(at) = route.recorded_at {
            let own = self.leaving_address(packet, route, destination);
            put32(packet.bytes_mut(), usize::from(at), own.to_bits());
        }
        if let Some(IpAddr::V4(next)) = route.source_route {
            let own = self.leaving_address(packet, route, next.into());
            let end = packet.network_header_length();
            record_hop(&mut packet.bytes_mut()[..end], next, own);
            if let Some(at) = route.stamped_at {
                put32(packet.bytes_mut(), usize::from(at), own.to_bits());
            }
            put32(packet.bytes_mut(), 16, next.to_bits());
        }
        packet.fill_header_checksum();
    }

    /// The address a forwarded packet is said to leave from: the source its route prefers.
    fn leaving_address(&self, packet: &Packet, route: &Forwarding, destination: IpAddr) -> Ipv4Addr {
        let key = Key {
            destination,
            source: packet.source(),
            mark: packet.mark,
            tos: packet.tos(),
            input: packet.input.or(Some(InterfaceId::LOOPBACK)),
            output: Some(route.output),
            scope: Scope::Universe,
            flow: self.flow_for_rules(packet),
        };
        let next_hop = route.gateway.unwrap_or(destination);
        let own = match self.lookup(&key) {
            Ok(found) => self.preferred_source(found),
            Err(_) => self.select_address(route.output, Some(next_hop), Scope::Universe),
        };
        match own {
            Some(IpAddr::V4(own)) => own,
            _ => Ipv4Addr::UNSPECIFIED,
        }
    }
}

/// The pointer of a route option, or the offset of what is wrong in it.
fn pointer(option: &[u8], least: u8) -> Result<usize, usize> {
    match option {
        [_, _, next, ..] if *next < least => Err(2),
        [_, _, next, ..] => Ok(usize::from(*next)),
        _ => Err(1),
    }
}

/// In the source route, the host's address takes the place of the hop that is next.
fn record_hop(header: &mut [u8], next: Ipv4Addr, own: Ipv4Addr) {
    let Some(at) = find(header, |it| {
        matches!(it, kind::LOOSE_SOURCE_ROUTE | kind::STRICT_SOURCE_ROUTE)
    }) else {
        return;
    };
    let end = at + usize::from(header[at + 1]);
    let mut slot = at + usize::from(header[at + 2]) - 1;
    while slot + 4 <= end {
        if be32(header, slot) == next.to_bits() {
            put32(header, slot, own.to_bits());
            header[at + 2] = (slot - at + 5) as u8;
            return;
        }
        slot += 4;
    }
}

/// The header alone: the transport checksum of a source-routed packet covers its last hop from the start.
pub(super) fn set_destination(packet: &mut Packet, destination: Ipv4Addr) {
    put32(packet.bytes_mut(), 16, destination.to_bits());
}

/// The next addresses of the source route at `at`: those from its pointer on. `Err` where the pointer leaves a piece of an address.
pub(super) fn remaining_hops(header: &[u8], at: usize) -> impl Iterator<Item = Result<Ipv4Addr, u8>> {
    let end = at + usize::from(header[at + 1]);
    let mut slot = at + usize::from(header[at + 2]) - 1;
    std::iter::from_fn(move || {
        if slot >= end {
            return None;
        }
        if slot + 4 > end {
            slot = end;
            return Some(Err((at + 2) as u8));
        }
        let hop = Ipv4Addr::from_bits(be32(header, slot));
        slot += 4;
        Some(Ok(hop))
    })
}

/// The options of an answer, padded to four bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Echoed {
    pub bytes: Vec<u8>,
    /// Where a source route is walked back, the answer goes to its last hop first.
    pub first_hop: Option<Ipv4Addr>,
}

/// What is answered to the options of `original`: routes and times are recorded on, source routes walked back to `back_to`, the rest is left out.
/// `None` where a record has room for a part of an entry only: then there is no answer at all.
pub(super) fn echo(net: &Net, original: &[u8], own: Ipv4Addr, back_to: Ipv4Addr, now: Time) -> Option<Echoed> {
    let mut echoed = Echoed::default();
    if let Some(at) = find(original, |it| it == kind::RECORD_ROUTE) {
        let mut option = option_at(original, at).to_vec();
        let next = usize::from(option[2]);
        if (4..=option.len()).contains(&next) {
            let slot = option.get_mut(next - 1..next + 3)?;
            put32(slot, 0, own.to_bits());
            option[2] += 4;
        }
        echoed.bytes.extend(option);
    }
    if let Some(at) = find(original, |it| it == kind::TIMESTAMP) {
        let mut option = option_at(original, at).to_vec();
        let next = usize::from(option[2]);
        let time = milliseconds_today(now);
        if (5..=option.len()).contains(&next) {
            match option.get(3).map(|it| it & 0x0f) {
                Some(stamp::TIME) => {
                    put32(option.get_mut(next - 1..next + 3)?, 0, time);
                    option[2] += 4;
                }
                Some(stamp::TIME_AND_ADDRESS) => {
                    let slot = option.get_mut(next - 1..next + 7)?;
                    put32(slot, 0, own.to_bits());
                    put32(slot, 4, time);
                    option[2] += 8;
                }
                Some(stamp::PRESPECIFIED) => {
                    let is_recorded = |slot: &[u8]| {
                        let wanted = IpAddr::V4(Ipv4Addr::from_bits(be32(slot, 0)));
                        net.address_kind(wanted, None) != AddressKind::Unicast
                    };
                    if let Some(slot) = option.get_mut(next - 1..next + 7)
                        && is_recorded(slot)
                    {
                        put32(slot, 4, time);
                        option[2] += 8;
                    }
                }
                _ => {}
            }
        }
        echoed.bytes.extend(option);
    }
    if let Some(at) = find(original, |it| {
        matches!(it, kind::LOOSE_SOURCE_ROUTE | kind::STRICT_SOURCE_ROUTE)
    }) {
        let option = option_at(original, at);
        let walked = usize::from(option[2]).clamp(4, option.len() + 1) - 4;
        let hops = option[3..].chunks_exact(4).take(walked / 4).map(|hop| be32(hop, 0));
        let mut hops: Vec<u32> = hops.collect();
        // Whose first hop is its sender needs no hop for it on the way back.
        let first = usize::from(hops.first() == Some(&be32(original, 12)));
        if hops.len() > first
            && let Some(last) = hops.pop()
        {
            echoed.first_hop = Some(Ipv4Addr::from_bits(last));
            let back: Vec<u32> = hops
                .drain(first.min(hops.len())..)
                .rev()
                .chain([back_to.to_bits()])
                .collect();
            echoed.bytes.extend([option[0], 3 + 4 * back.len() as u8, 4]);
            echoed.bytes.extend(back.iter().flat_map(|hop| hop.to_be_bytes()));
        }
    }
    // A security label is carried back as it came.
    if let Some(at) = find(original, |it| it == kind::CIPSO) {
        echoed.bytes.extend(option_at(original, at));
    }
    echoed.bytes.resize(echoed.bytes.len().next_multiple_of(4), kind::END);
    Some(echoed)
}

/// The header up to the option that the byte at `bad` is in.
pub(super) fn understood(header: &[u8], bad: usize) -> &[u8] {
    let mut at = MIN_HEADER;
    while at < bad.min(header.len()) {
        let length = match header[at] {
            kind::END | kind::NOP => 1,
            _ => option_at(header, at).len(),
        };
        // A source route whose pointer is wrong only for the hop that is next was read like the rest.
        let is_walked = matches!(header[at], kind::LOOSE_SOURCE_ROUTE | kind::STRICT_SOURCE_ROUTE)
            && bad == at + 2
            && header.get(bad).is_some_and(|pointer| *pointer >= 4);
        if is_walked {
            return header;
        }
        // A label is noted before it is judged.
        if header[at] == kind::CIPSO && at + length > bad {
            return &header[..at + length];
        }
        if length == 0 || at + length > bad {
            return &header[..at];
        }
        at += length;
    }
    &header[..at.min(header.len())]
}

/// Turns what belongs into the first fragment only into NOPs.
pub(super) fn keep_copied(header: &mut [u8]) {
    let mut at = MIN_HEADER;
    while at < header.len() {
        match header[at] {
            kind::END => return,
            kind::NOP => at += 1,
            kind => {
                let length = usize::from(header.get(at + 1).copied().unwrap_or(0));
                if length < 2 || at + length > header.len() {
                    return;
                }
                if kind & kind::COPIED == 0 {
                    header[at..at + length].fill(kind::NOP);
                }
                at += length;
            }
        }
    }
}

/// The time stamp of RFC 781 and RFC 792: milliseconds since midnight, universal time.
pub(super) fn milliseconds_today(now: Time) -> u32 {
    (now.as_nanos() / 1_000_000 % 86_400_000) as u32
}

fn find(header: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = MIN_HEADER;
    while at < header.len() {
        match header[at] {
            kind::END => return None,
            kind::NOP => at += 1,
            other if wanted(other) => {
                let least = if other == kind::CIPSO { 2 } else { 3 };
                return (option_at(header, at).len() >= least).then_some(at);
            }
            _ => match option_at(header, at).len() {
                0 => return None,
                length => at += length,
            },
        }
    }
    None
}

/// Empty where the length is wrong.
fn option_at(header: &[u8], at: usize) -> &[u8] {
    let length = usize::from(header.get(at + 1).copied().unwrap_or(0));
    if length < 2 {
        return &[];
    }
    header.get(at..at + length).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use crate::base::Time;
    use crate::net::example::{hex, icmp, net, set, udp, unhex};
    use crate::net::v4::Header;
    use crate::net::v4::icmp::IcmpError;
    use crate::net::{
        Answer, Closed, Complaint, Delivery, DropReason, ForwardOutcome, HostState, InputRoute, RoutesSeen,
    };

    /// Options of a packet from 10.0.0.2, its destination, and what came of it: the options it was forwarded with, or the error.
    /// Times are 0x00010203.
    #[test]
    fn on_the_way_through() {
        let now = Time::from_nanos(0x10203 * 1_000_000);
        let mut net = net();
        set(&mut net, &[("conf.all.accept_source_route", 1)]);
        let wan = "192.0.2.9";
        for (options, destination, expected) in [
            (
                "070f04000000000000000000000000",
                wan,
                "070f08c0000201000000000000000000",
            ),
            (
                "070f08010203040000000000000000",
                wan,
                "070f0c01020304c00002010000000000",
            ),
            ("07070400000000", wan, "070708c000020100"),
            ("07070801020304", wan, "0707080102030400"),
            ("07071000000000", wan, "0707100000000000"),
            ("07070300000000", wan, "IP_INHDR 12/0 16000000"),
            ("070b050000000000000000", wan, "070b0900c000020100000000"),
            ("0702", wan, "IP_INHDR 12/0 15000000"),
            ("070304", wan, "07030400"),
            ("070604000000", wan, "IP_INHDR 12/0 16000000"),
            ("0707040000000007070400000000", wan, "IP_INHDR 12/0 1b000000"),
            ("440c05000000000000000000", wan, "440c09000001020300000000"),
            ("4408090000000000", wan, "4408091000000000"),
            ("440809f000000000", wan, "IP_INHDR 12/0 17000000"),
            ("440c05010000000000000000", wan, "440c0d010a00000100010203"),
            ("440c05030a00000100000000", wan, "440c0d030a00000100010203"),
            ("440c05030909090900000000", wan, "440c05030909090900000000"),
            ("440c05020000000000000000", wan, "440c05020000000000000000"),
            ("44030500", wan, "IP_INHDR 12/0 15000000"),
            ("44040500", wan, "44040510"),
            ("44040503", wan, "44040503"),
            ("440c04000000000000000000", wan, "IP_INHDR 12/0 16000000"),
            ("4408050100000000", wan, "IP_INHDR 12/0 16000000"),
            ("94040000", wan, "94040000"),
            ("940300", wan, "IP_INHDR 12/0 15000000"),
            ("820b010101010101010101", wan, "820b01010101010101010100"),
            ("37040000", wan, "37040000"),
            ("3709", wan, "IP_INHDR 12/0 14000000"),
            ("3700", wan, "IP_INHDR 12/0 14000000"),
            ("00ffffff", wan, "00000000"),
            ("830704c0000209", "10.0.0.1", "830708c000020100"),
            ("830b04c0000209c000020a", "10.0.0.1", "830b08c0000201c000020a00"),
            ("830704c000020a", wan, "830704c000020a00"),
            ("890704c000020a", wan, "NOT_SPECIFIED 12/0 10000000"),
            ("890704c0000209", "10.0.0.1", "890708c000020100"),
            ("890704c6120001", "10.0.0.1", "NOT_SPECIFIED 3/5 00000000"),
            ("830704c6120001", "10.0.0.1", "830708c000020100"),
            ("83070809090909", wan, "8307080909090900"),
            ("830b04c0000201c0000209", "10.0.0.1", "830b0cc0000201c000020100"),
            ("830b04c0000201ac100001", "10.0.0.1", "local"),
            ("830703c0000209", wan, "IP_INHDR 12/0 16000000"),
            ("830705c0000209", "10.0.0.1", "NOT_SPECIFIED 12/0 16000000"),
            ("830704c0000209890704c0000209", wan, "IP_INHDR 12/0 1b000000"),
            ("830704c0000209", "10.0.0.255", "NOT_SPECIFIED"),
            ("830704c00002ff", "10.0.0.1", "NOT_SPECIFIED"),
        ] {
            let mut make = udp("10.0.0.2", destination, 1);
            make.options = unhex(options);
            let mut packet = make.packet();
            let refused = |reason: DropReason, complaint: Complaint| {
                let error = IcmpError::from(complaint);
                format!(
                    "{} {}/{} {:08x}",
                    reason.kernel_word(),
                    error.kind,
                    error.code,
                    error.info
                )
            };
            let found = match net.receive(now, &mut packet, &mut RoutesSeen::default()) {
                InputRoute::Forward(route) => match net.forward(&mut packet, &route) {
                    ForwardOutcome::Continue { .. } => {
                        net.forward_options(&mut packet, &route);
                        assert!(packet.header().checksum_is_right(), "{options}");
                        hex(packet.header().options())
                    }
                    ForwardOutcome::Refused(reason, complaint) | ForwardOutcome::Redirected(_, reason, complaint) => {
                        refused(reason, complaint)
                    }
                    ForwardOutcome::Dropped(reason) => reason.kernel_word().into(),
                },
                InputRoute::Error { reason, complaint, .. } => refused(reason, complaint),
                InputRoute::Drop(reason) => reason.kernel_word().into(),
                _ => "local".into(),
            };
            assert_eq!(found, expected, "{options} to {destination}");
        }
        set(&mut net, &[("conf.lan.accept_source_route", 0)]);
        for options in ["830704c0000209", "830708c0000209"] {
            let mut make = udp("10.0.0.2", wan, 1);
            make.options = unhex(options);
            let route = net.receive(now, &mut make.packet(), &mut RoutesSeen::default());
            assert!(matches!(route, InputRoute::Drop(_)), "{options}: {route:?}");
        }
    }

    /// Options of an echo request to the host, and destination and options of the reply; "" where there is none.
    #[test]
    fn answered() {
        let now = Time::from_nanos(0x10203 * 1_000_000);
        let mut net = net();
        set(&mut net, &[("conf.all.accept_source_route", 1)]);
        for (options, expected) in [
            ("070b040000000000000000", "10.0.0.2 070b0c0a0000010a00000100"),
            ("07070801020304", "10.0.0.2 0707080102030400"),
            // Room for a part of an address only, once this host is in.
            ("070804000000 0000", ""),
            ("440c05000000000000000000", "10.0.0.2 440c0d000001020300010203"),
            ("440c05030a00000100000000", "10.0.0.2 440c0d030a00000100010203"),
            (
                "44140501 00000000000000000000000000000000",
                "10.0.0.2 441415010a000001000102030a00000100010203",
            ),
            ("44100501 000000000000000000000000", ""),
            (
                "44100503 0a0000010a0000010a000001",
                "10.0.0.2 44100d030a000001000102030a000001",
            ),
            ("830b0cc6120001c0000209", "192.0.2.9 830b04c61200010a00000200"),
            ("830708c0000209", "192.0.2.9 8307040a00000200"),
            ("94040000", "10.0.0.2 "),
            ("01010101", "10.0.0.2 "),
            ("820b000000000000000000", "10.0.0.2 "),
        ] {
            let mut make = icmp("10.0.0.2", "10.0.0.1", 8, 0, b"abc");
            make.options = unhex(options);
            let mut packet = make.packet();
            assert_eq!(
                net.receive(now, &mut packet, &mut RoutesSeen::default()),
                InputRoute::Local,
                "{options}"
            );
            let answer = net.answer(&HostState::new(1), now, &Closed, &packet, Delivery::Local);
            let found = match answer {
                Answer::Reply(sent) => format!("{} {}", sent.packet.destination(), hex(sent.packet.header().options())),
                _ => String::new(),
            };
            assert_eq!(found, expected, "{options}");
        }
    }
}
