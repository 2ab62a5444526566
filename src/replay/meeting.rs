//! Which packets of a capture may meet: those that must pass one after another on one worker, and what makes packets of all ends meet.
//!
//! Without NAT and helpers both directions of a flow, its fragments, and the ICMP errors that quote it (by what they quote) are packets between
//! the same two addresses, and nothing that tracking or rules know of such packets is asked about others: so the two addresses say which worker
//! carries a packet. The other forms were an owner found by looking the flow up, which costs as much as the look-up that tracking makes anyway,
//! and sets of addresses that are joined as packets name them, which in most captures end as one set.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Rulebook;
use crate::base::{Family, protocol};
use crate::conntrack::Settings;
use crate::lab::memory::Lab;
use crate::rule::{Action, Reach, Rule, Table};
use crate::wire::ipv6::Ipv6;

/// Of a packet: the same number for all that may meet it. `None` for the beginning of an ICMP error in fragments: whose it is, is known once it is
/// whole.
#[inline]
pub(crate) fn place_of(packet: &[u8]) -> Option<u32> {
    let Some(ends) = packet.get(12..20).filter(|_| packet[0] >> 4 == 4) else {
        return of_ipv6(packet);
    };
    if packet[9] == protocol::ICMP {
        return of_icmp(packet, ends);
    }
    Some(of_ends(ends))
}

/// Whether the source is nobody's address: a router gives a packet of its own another one.
#[inline]
pub(crate) fn is_without_source(packet: &[u8]) -> bool {
    let source = match Family::of_packet(packet) {
        Some(Family::V6) => packet.get(8..24),
        _ => packet.get(12..16),
    };
    source.is_some_and(|source| source.iter().all(|octet| *octet == 0))
}

/// Of an address pair, whichever is first.
#[inline]
fn of_ends(ends: &[u8]) -> u32 {
    let word = |at: usize| u32::from_be_bytes([ends[at], ends[at + 1], ends[at + 2], ends[at + 3]]);
    place_between(word(0), word(4))
}

/// The same of two IPv4 addresses as numbers.
#[inline]
pub(super) fn place_between(one: u32, other: u32) -> u32 {
    let both = u64::from(one ^ other) << 32 | u64::from(one.wrapping_add(other));
    let mixed = (both ^ both >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}

/// The same of two addresses of one family.
#[inline]
pub(super) fn place_between_addresses(one: IpAddr, other: IpAddr) -> u32 {
    let number = |address| match address {
        IpAddr::V4(address) => Ipv4Addr::to_bits(address),
        IpAddr::V6(address) => folded(address),
    };
    place_between(number(one), number(other))
}

fn folded(address: Ipv6Addr) -> u32 {
    let bits = address.to_bits();
    [bits >> 96, bits >> 64, bits >> 32, bits]
        .into_iter()
        .fold(0, |all, word| all ^ word as u32)
}

/// Of an IPv6 packet; whatever is no packet has one place.
#[cold]
fn of_ipv6(packet: &[u8]) -> Option<u32> {
    let Ok(ip) = Ipv6::new(packet) else { return Some(0) };
    let between = |ip: Ipv6<&[u8]>| place_between_addresses(ip.source().into(), ip.destination().into());
    let upper = ip.upper();
    let kind = packet
        .get(upper.offset)
        .filter(|_| upper.protocol == protocol::ICMPV6 && upper.fragment_offset == 0);
    if kind.is_none_or(|kind| *kind >= 128) {
        return Some(between(ip));
    }
    if upper.is_fragment {
        return None;
    }
    let quoted = packet.get(upper.offset + 8..).and_then(|it| Ipv6::new(it).ok());
    Some(between(quoted.unwrap_or(ip)))
}

#[cold]
fn of_icmp(packet: &[u8], ends: &[u8]) -> Option<u32> {
    let header = usize::from(packet[0] & 0x0f) * 4;
    let offset = u16::from_be_bytes([packet[6], packet[7]]);
    // Of later fragments the first says what they are.
    let is_error = offset & 0x1fff == 0 && packet.get(header).is_some_and(|kind| ERRORS.contains(kind));
    if !is_error {
        return Some(of_ends(ends));
    }
    if offset & 0x2000 != 0 {
        return None;
    }
    let quoted = packet.get(header + 8..).filter(|it| it.len() >= 20 && it[0] >> 4 == 4);
    Some(of_ends(quoted.map_or(ends, |it| &it[12..20])))
}

/// Destination unreachable, source quench, redirect, time exceeded, parameter problem.
const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];

/// What packets of all ends meet in, in words; where there is nothing, they may pass on several workers, and what becomes of each is the same.
pub(crate) fn meeting_places(lab: &Lab, rules: &Rulebook) -> Vec<String> {
    let router = lab.machine.router();
    let mut found = Vec::new();
    let tables_of = |family| router.tables(family).into_iter().map(move |table| (family, table));
    for (family, table) in Family::ALL.into_iter().flat_map(tables_of) {
        let all = router.table(family, table);
        let meet: Vec<_> = all.rules().filter(|rule| reach(rule) == Reach::Others).collect();
        let named = meet.iter().filter_map(|rule| rules.of_rule(rule.id));
        found.extend(named.map(|entry| format!("{entry}: {}", entry.text)));
        if table == Table::Nat && meet.is_empty() {
            found.push("table nat, which gives a flow another port where two would be one".to_owned());
        }
    }
    let config = router.config();
    let Settings {
        max, automatic_helper, ..
    } = config.conntrack;
    if automatic_helper {
        found.push("nf_conntrack_helper, which gives flows helpers by their ports".to_owned());
    }
    if (1..FEWEST_FLOWS).contains(&max) {
        found.push(format!("a table of no more than {max} flows (nf_conntrack_max)"));
    }
    found
}

fn reach(rule: &Rule) -> Reach {
    let of_matches = rule.matches.iter().map(|test| test.effect().reach).max();
    let of_target = match &rule.action {
        Action::Target(target) => target.effect().reach,
        _ => Reach::Flow,
    };
    of_matches.unwrap_or(Reach::Flow).max(of_target)
}

/// A smaller table may be full before anybody who looks now and then knows.
const FEWEST_FLOWS: u32 = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20];
        packet[0] = 0x45;
        packet[9] = number;
        packet[12..16].copy_from_slice(&from);
        packet[16..20].copy_from_slice(&to);
        packet.extend_from_slice(payload);
        packet
    }

    const A: [u8; 4] = [10, 0, 0, 2];
    const B: [u8; 4] = [192, 0, 2, 9];
    const HOP: [u8; 4] = [198, 51, 100, 7];

    #[test]
    fn what_may_meet_has_one_place() {
        let (there, back) = (packet(17, A, B, &[0; 8]), packet(17, B, A, &[0; 8]));
        let place = place_of(&there);
        assert_eq!(place, place_of(&back));
        assert_ne!(place, place_of(&packet(17, A, HOP, &[0; 8])));
        let error = [&[11, 0, 0, 0, 0, 0, 0, 0][..], &there].concat();
        assert_eq!(place, place_of(&packet(1, HOP, A, &error)));
        // An echo is about nobody else, and neither is an error that quotes nothing.
        assert_ne!(place, place_of(&packet(1, HOP, A, &[8, 0, 0, 0])));
        assert_eq!(place_of(&packet(1, HOP, A, &[3])), place_of(&packet(1, A, HOP, &[8])));
        let mut piece = packet(1, HOP, A, &error);
        piece[6] = 0x20;
        assert_eq!(place_of(&piece), None);
        piece[7] = 1;
        assert_eq!(place_of(&piece), place_of(&packet(17, A, HOP, &[])), "a later one");
        for short in 0..there.len() {
            place_of(&there[..short]);
        }
        for short in 0..error.len() {
            place_of(&packet(1, HOP, A, &error[..short]));
        }
    }

    #[test]
    fn what_may_meet_in_ipv6_has_one_place() {
        use crate::packet::testing::{echo, udp};
        let host = |number| crate::base::testing::host(Family::V6, number);
        let there = udp((host(2), 1), (host(9), 2), &[0; 8]);
        let place = place_of(there.bytes());
        assert_eq!(place, place_of(udp((host(9), 2), (host(2), 1), &[0; 8]).bytes()));
        assert_ne!(place, place_of(udp((host(2), 1), (host(7), 2), &[0; 8]).bytes()));
        let plain = echo(host(7), host(2), 1);
        assert_ne!(place, place_of(plain.bytes()));
        let mut error = plain.bytes()[..48].to_vec();
        error[40] = 1;
        error.extend_from_slice(there.bytes());
        assert_eq!(place, place_of(&error));
        for short in 0..error.len() {
            place_of(&error[..short]);
        }
        assert!(!is_without_source(there.bytes()));
    }

    #[test]
    fn places_are_spread() {
        let mut count = [0u32; 8];
        for host in 0..4000u32 {
            count[place_between(0x0a00_0000 + host, 0xc000_0209) as usize % 8] += 1;
        }
        assert!(count.iter().all(|count| (400..600).contains(count)), "{count:?}");
    }
}
