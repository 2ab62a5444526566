//! Which of several routes to a place a packet of IPv6 takes. Those of the longest prefix with the lowest metric are compared first, then those with
//! higher ones; where none will do, those of the next shorter prefix.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use super::leads_nowhere;
use crate::base::InterfaceId;
use crate::net::lookup::Key;
use crate::net::tables::Tables;
use crate::net::{Preference, Prefix, Route};

impl Tables {
    /// The route that ends the look-up of these entries, whatever it does with the packet.
    #[inline(never)]
    pub(in crate::net) fn preferred(&self, table: Range<usize>, key: &Key) -> Option<&Route> {
        let asked = Asked::of(key);
        // Of several gateways the best counts.
        let score = |route: &Route| match route.ways.is_empty() {
            true => asked.score(route),
            false => route.alive().filter_map(|way| asked.score(&way.route)).max(),
        };
        let mut best: Option<(&Route, Group, u8)> = None;
        let mut first: Option<Group> = None;
        for entry in self.candidates(table, key) {
            let route = &entry.route;
            if !route.to.contains(key.destination) {
                continue;
            }
            let lowest = match first {
                Some((to, metric)) if to == route.to => metric,
                _ => route.metric,
            };
            first = Some((route.to, lowest));
            let group = (route.to, u32::from(route.metric != lowest));
            if best.is_some_and(|(_, found, _)| found != group) {
                break;
            }
            if let Some(score) = score(route)
                && best.is_none_or(|(.., found)| score > found)
            {
                best = Some((route, group, score));
            }
        }
        best.map(|(route, ..)| route)
    }
}

impl Route {
    /// Of several gateways of IPv6: the way that this share of the packets has, where it will do; else the best of those that will.
    pub(in crate::net) fn chosen_of_ipv6<'a>(&'a self, share: Option<&'a Self>, key: &Key) -> Option<&'a Self> {
        let asked = Asked::of(key);
        let share = share.filter(|way| asked.score(way).is_some());
        share.or_else(|| {
            let mut best = None;
            for way in self.alive() {
                let score = asked.score(&way.route);
                if score.is_some() && best.is_none_or(|(found, _)| score > found) {
                    best = Some((score, &way.route));
                }
            }
            best.map(|(_, way)| way)
        })
    }
}

type Group = (Prefix, u32);

struct Asked {
    /// The interface that is preferred: of what came in the one it came by.
    over: Option<InterfaceId>,
    /// No other will do.
    is_strict: bool,
}

impl Asked {
    fn of(key: &Key) -> Self {
        let is_own = key.is_own();
        let over = if is_own { key.output } else { key.input };
        let is_of_link = matches!(key.destination, IpAddr::V6(address) if is_of_one_link(address));
        Self {
            over,
            is_strict: is_of_link || is_own && key.source.is_unspecified(),
        }
    }

    /// The more the better; `None` where it will not do.
    fn score(&self, route: &Route) -> Option<u8> {
        // What leads nowhere leads there by lo.
        let interface = match leads_nowhere(route) {
            true => Some(InterfaceId::LOOPBACK),
            false => route.interface,
        };
        let is_over = self.over.is_none_or(|over| interface == Some(over));
        let preference = match route.preference {
            Preference::Low => 0,
            Preference::Medium => 2,
            Preference::High => 4,
        };
        match is_over {
            false if self.is_strict => None,
            _ => Some(preference + u8::from(is_over)),
        }
    }
}

/// An address that means another host, or none, on another link.
pub(super) fn is_of_one_link(address: Ipv6Addr) -> bool {
    address.is_multicast() || address.is_unicast_link_local() || address.is_loopback()
}
