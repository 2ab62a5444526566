//! IP options on their way through the host (RFC 791, 781): record route, time stamp, source route, router alert.
//!
//! A host writes itself into a record route twice: on the way in with the address that faces the sender (what an ICMP error then quotes), and over
//! it, after FORWARD, with the address of the interface it leaves by. A time stamp's address stays the first one.

use std::net::{IpAddr, Ipv4Addr};

use super::{Forwarding, Net};
use crate::base::Time;
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
    pub stamped: bool,
    pub source_route: Option<usize>,
    pub strict: bool,
}

impl Net {
    /// Checks the options of a packet that came in and records the host in them. `Err` is the offset of the bad byte in the header.
    pub(super) fn read_options(&self, now: Time, own: Ipv4Addr, packet: &mut Packet) -> Result<Found, u8> {
        let end = packet.network_header_length();
        let mut found = Found::default();
        let result = self.walk_options(now, own, &mut packet.bytes_mut()[..end], &mut found);
        packet.fill_header_checksum();
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
                    found.stamped = self.stamp(now, own, option).map_err(|offset| at + offset)?;
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

    /// Writes the time into a time stamp option; true when there was something to write.
    fn stamp(&self, now: Time, own: Ipv4Addr, option: &mut [u8]) -> Result<bool, usize> {
        let length = option.len();
        let next = usize::from(option[2]);
        if next < 5 {
            return Err(2);
        }
        if next > length {
            let overflow = option[3] >> 4;
            if overflow == 15 {
                return Err(3);
            }
            option[3] = (overflow + 1) << 4 | option[3] & 0x0f;
            return Ok(false);
        }
        if next + 3 > length {
            return Err(2);
        }
        let time = milliseconds_today(now);
        match option[3] & 0x0f {
            stamp::TIME => {
                put32(option, next - 1, time);
                option[2] += 4;
                Ok(true)
            }
            stamp::TIME_AND_ADDRESS | stamp::PRESPECIFIED if next + 7 > length => Err(2),
            stamp::TIME_AND_ADDRESS => {
                put32(option, next - 1, own.to_bits());
                put32(option, next + 3, time);
                option[2] += 8;
                Ok(true)
            }
            stamp::PRESPECIFIED => {
                let wanted = IpAddr::V4(Ipv4Addr::from_bits(be32(option, next - 1)));
                if self.address_kind(wanted, None) != super::AddressKind::Local {
                    return Ok(false);
                }
                put32(option, next + 3, time);
                option[2] += 8;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// What comes after FORWARD: the record route gets the address the packet leaves from, a source route its next destination.
    pub fn forward_options(&self, packet: &mut Packet, route: &Forwarding) {
        if route.recorded_at.is_none() && route.source_route.is_none() {
            return;
        }
        let next_hop = route.gateway.or(route.source_route).unwrap_or(packet.destination());
        let Some(IpAddr::V4(own)) = self.select_address(route.output, Some(next_hop), super::Scope::Universe) else {
            return;
        };
        if let Some(at) = route.recorded_at {
            put32(packet.bytes_mut(), usize::from(at), own.to_bits());
        }
        if let Some(IpAddr::V4(next)) = route.source_route {
            let end = packet.network_header_length();
            record_hop(&mut packet.bytes_mut()[..end], next, own);
            put32(packet.bytes_mut(), 16, next.to_bits());
        }
        packet.fill_header_checksum();
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
    packet.fill_header_checksum();
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

/// The options of an answer to `original`, padded to four bytes, and the first hop where a source route is walked back.
/// `own` and `now` are recorded in what has room left. `None` where an option can't be answered.
pub(super) fn echo(original: &[u8], own: Ipv4Addr, back_to: Ipv4Addr, now: Time) -> (Vec<u8>, Option<Ipv4Addr>) {
    let mut options = Vec::new();
    let mut first_hop = None;
    if let Some(at) = find(original, |it| it == kind::RECORD_ROUTE) {
        let mut option = option_at(original, at).to_vec();
        let next = usize::from(option.get(2).copied().unwrap_or(u8::MAX));
        if next >= 4 && next + 3 <= option.len() {
            put32(&mut option, next - 1, own.to_bits());
            option[2] += 4;
        }
        options.extend(option);
    }
    if let Some(at) = find(original, |it| it == kind::TIMESTAMP) {
        let mut option = option_at(original, at).to_vec();
        let next = usize::from(option.get(2).copied().unwrap_or(u8::MAX));
        match option.get(3).map(|it| it & 0x0f) {
            Some(stamp::TIME) if next >= 5 && next + 3 <= option.len() => {
                put32(&mut option, next - 1, milliseconds_today(now));
                option[2] += 4;
            }
            Some(stamp::TIME_AND_ADDRESS) if next >= 5 && next + 7 <= option.len() => {
                put32(&mut option, next - 1, own.to_bits());
                put32(&mut option, next + 3, milliseconds_today(now));
                option[2] += 8;
            }
            _ => {}
        }
        options.extend(option);
    }
    if let Some(at) = find(original, |it| {
        matches!(it, kind::LOOSE_SOURCE_ROUTE | kind::STRICT_SOURCE_ROUTE)
    }) {
        let option = option_at(original, at);
        let walked = usize::from(option.get(2).copied().unwrap_or(4)).clamp(4, option.len() + 1) - 4;
        let mut hops: Vec<u32> = option[3.min(option.len())..]
            .chunks_exact(4)
            .take(walked / 4)
            .map(|it| be32(it, 0))
            .collect();
        if let Some(last) = hops.pop() {
            first_hop = Some(Ipv4Addr::from_bits(last));
            let mut reversed = vec![option[0], (3 + 4 * (hops.len() + 1)) as u8, 4];
            reversed.extend(
                hops.iter()
                    .rev()
                    .chain([&back_to.to_bits()])
                    .flat_map(|it| it.to_be_bytes()),
            );
            options.extend(reversed);
        }
    }
    options.resize(options.len().next_multiple_of(4), kind::END);
    (options, first_hop)
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
