//! Which of its own addresses a host speaks from (RFC 6724, section 5, as Linux has it).

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use super::{ConfKnob, scope_of};
use crate::base::{Family, InterfaceId};
use crate::net::{Address, AddressFlags, Net, Route, Scope};

impl Net {
    /// The source of the host's own packets to there over this route: the one that it names, else the one that suits.
    pub fn source_over(&self, route: &Route, to: Ipv6Addr) -> Option<IpAddr> {
        let suits = || self.select_ipv6_source(route.interface, to).map(IpAddr::V6);
        route.source.or_else(suits)
    }

    /// The source for a destination that is reached over this interface. To a group, or to the link itself, only an address of the interface will do.
    pub(in crate::net) fn select_ipv6_source(&self, output: Option<InterfaceId>, to: Ipv6Addr) -> Option<Ipv6Addr> {
        let scope = destination_scope(to);
        let only_own = output.is_some_and(|it| self.conf_ipv6(self.interface(it), ConfKnob::UseOnlyOwnAddresses) != 0);
        let is_of_link = to.is_multicast() || scope >= Scope::Link || only_own;
        // Also those of links that are down.
        let interfaces = self.interfaces().iter();
        let usable = interfaces.filter(|it| !is_of_link || output.is_none_or(|output| output == it.id));
        let own = usable.flat_map(|it| it.addresses_of(Family::V6).map(move |own| (it.id, own)));
        let own = own.filter(|(_, own)| !own.flags.has(AddressFlags::TENTATIVE));
        let asked = Asked {
            to,
            scope,
            label: label(to),
        };
        let mut best: Option<(Merit, Ipv6Addr)> = None;
        for (id, own) in own {
            let IpAddr::V6(address) = own.address else { continue };
            let merit = Merit::of(address, own, output == Some(id), &asked);
            if best.as_ref().is_none_or(|(found, _)| merit > *found) {
                best = Some((merit, address));
            }
        }
        best.map(|(_, address)| address)
    }
}

/// What addresses are held against, the same for all.
struct Asked {
    to: Ipv6Addr,
    scope: Scope,
    label: u32,
}

/// In the order in which it counts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    is_destination: bool,
    /// Known at least as far as the destination: the nearer the better. Else the farther the better.
    reaches: bool,
    nearness: Nearness,
    is_preferred: bool,
    is_of_output: bool,
    has_label: bool,
    matching_bits: u8,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    TooNear(Reverse<Scope>),
    Far(Scope),
}

impl Merit {
    #[inline]
    fn of(address: Ipv6Addr, own: &Address, is_of_output: bool, asked: &Asked) -> Self {
        let &Asked { to, scope, .. } = asked;
        let own_scope = source_scope(address);
        let reaches = own_scope <= scope;
        let matching = (address.to_bits() ^ to.to_bits()).leading_zeros() as u8;
        Self {
            is_destination: address == to,
            reaches,
            nearness: match reaches {
                true => Nearness::Far(own_scope),
                false => Nearness::TooNear(Reverse(own_scope)),
            },
            is_preferred: !own.flags.has(AddressFlags::DEPRECATED),
            is_of_output,
            has_label: label(address) == asked.label,
            matching_bits: matching.min(own.prefix_length),
        }
    }
}

/// The host's own ::1 counts as the link's.
fn source_scope(address: Ipv6Addr) -> Scope {
    scope_of(address).min(Scope::Link)
}

fn destination_scope(address: Ipv6Addr) -> Scope {
    // Less than any address: the nearest will do.
    if address.is_unspecified() {
        return Scope::Nowhere;
    }
    if !address.is_multicast() {
        return source_scope(address);
    }
    match address.octets()[1] & 0xf {
        0..=1 => Scope::Host,
        2 => Scope::Link,
        3..=5 => Scope::Site,
        _ => Scope::Universe,
    }
}

/// As `ip addrlabel` lists them.
fn label(address: Ipv6Addr) -> u32 {
    let bits = address.to_bits();
    let of_length = |length: u32| bits >> (128 - length);
    match address.segments() {
        _ if bits == 1 => 0,
        _ if of_length(96) == 0 => 3,
        _ if of_length(96) == 0xffff => 4,
        [0x2001, 0, ..] => 6,
        [0x2001, 0x10..=0x1f, ..] => 7,
        [0x2002, ..] => 2,
        [0xfc00..=0xfdff, ..] => 5,
        [0xfec0..=0xfeff, ..] => 11,
        [0x3ffe, ..] => 12,
        _ => 1,
    }
}
