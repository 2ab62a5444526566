//! IP options on their way through the host (RFC 791, 781): record route, time stamp, source route, router alert.
//!
//! A host writes itself into a record route twice: on the way in with the address that faces the sender (what an ICMP error then quotes), and over
//! it, after FORWARD, with the address of the interface it leaves by. A time stamp's address stays the first one.

use std::net::{IpAddr, Ipv4Addr};

use super::route::Key;
use super::{Forwarding, Net, Scope};
use crate::base::{InterfaceId, Time};
use crate::packet::Packet;
use crate::wire::ipv4::MIN_HEADER;
use crate::wire::{be32, put32};

mod kind {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const RECORD_ROUTE: u8 = 7;
    pub const TIMESTAMP: u8 = 68;
    pub const LOOSE_SOURCE_ROUTE: u8 = 131;
    pub const CIPSO: u8 = 134;
    pub const STRICT_SOURCE_ROUTE: u8 = 137;
    pub const ROUTER_ALERT: u8 = 148;
    /// The bit of an option that goes into every fragment.
    pub const COPIED: u8 = 0x80;
}

/// What of a time stamp option is recorded (the low half of its fourth byte).
mod stamp {
    pub const TIME: u8 = 0;
    pub const TIME_AND_ADDRESS: u8 = 1;
    pub const PRESPECIFIED: u8 = 3;
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
        let before = packet.ipv4().header().to_vec();
        let result = self.walk_options(now, own, &mut packet.bytes_mut()[..end], &mut found);
        found.changed = packet.ipv4().header() != before;
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
                // No domain of interpretation is configured.
                kind::CIPSO => return Err(at + 1),
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
                if self.address_kind(wanted, None) == super::AddressKind::Local {
                    put32(option, next + 3, time);
                    option[2] += 8;
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// What comes after FORWARD: the record route gets the address the packet leaves from, a source route its next destination.
    pub fn forward_options(&self, packet: &mut Packet, route: &Forwarding) {
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
            tos: packet.ipv4().tos(),
            input: packet.input.unwrap_or(InterfaceId::LOOPBACK),
            output: Some(route.output),
            scope: Scope::Universe,
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
pub(super) fn echo(original: &[u8], own: Ipv4Addr, back_to: Ipv4Addr, now: Time) -> Option<Echoed> {
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
        if let Some(last) = hops.pop() {
            echoed.first_hop = Some(Ipv4Addr::from_bits(last));
            let length = 3 + 4 * (hops.len() + 1);
            echoed.bytes.extend([option[0], length as u8, 4]);
            let back = hops
                .iter()
                .rev()
                .chain([&back_to.to_bits()])
                .flat_map(|it| it.to_be_bytes())
                .collect::<Vec<_>>();
            echoed.bytes.extend(back);
        }
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
            kind if wanted(kind) => return (option_at(header, at).len() >= 3).then_some(at),
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
