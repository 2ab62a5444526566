//! Routes of several gateways: which packets go by which, and what becomes of a gateway whose link goes. A packet's share is in `flow`.

use std::net::IpAddr;

use super::lookup::Key;
use super::{Hop, Net, Route, Way};
use crate::base::{Family, InterfaceId};

impl Route {
    /// Those of its ways that packets go by.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(|way| !way.is_dead)
    }

    /// Its first way that packets go by; the route itself where it has one gateway.
    pub(super) fn first_way(&self) -> &Self {
        self.first_over(None)
    }

    /// The first of them over this interface, if one is named.
    pub(super) fn first_over(&self, output: Option<InterfaceId>) -> &Self {
        let is_over = |way: &&Way| output.is_none_or(|output| way.route.interface == Some(output));
        self.alive().find(is_over).map_or(self, |way| &way.route)
    }

    /// Whether packets may leave over this interface.
    #[inline]
    pub(super) fn leads_over(&self, id: InterfaceId) -> bool {
        self.interface == Some(id) || !self.ways.is_empty() && self.alive().any(|way| way.route.interface == Some(id))
    }

    /// Whether one of its ways is over this interface, alive or not.
    pub(super) fn names(&self, id: InterfaceId) -> bool {
        self.interface == Some(id) || self.ways.iter().any(|way| way.route.interface == Some(id))
    }

    /// The interface leads nowhere now. Whether the route stays: some other of its ways does.
    pub(super) fn survives(&mut self, id: InterfaceId) -> bool {
        if self.ways.is_empty() {
            return self.interface != Some(id);
        }
        let over = |way: &&mut Way| way.route.interface == Some(id);
        self.ways.iter_mut().filter(over).for_each(|way| way.is_dead = true);
        self.alive().next().is_some()
    }

    /// The interface is gone. Whether the route stays: one of IPv6 has the rest of its gateways, and one of IPv4 goes whole.
    pub(super) fn outlives(&mut self, id: InterfaceId) -> bool {
        if self.to.family() == Family::V4 || self.ways.is_empty() {
            return !self.names(id);
        }
        self.ways.retain(|way| way.route.interface != Some(id));
        match Self::of_ways(std::mem::take(&mut self.ways)) {
            Some(left) => *self = left,
            None => return false,
        }
        true
    }

    /// The interface leads somewhere again.
    pub(super) fn revive(&mut self, id: InterfaceId) {
        let over = |way: &&mut Way| way.route.interface == Some(id);
        self.ways.iter_mut().filter(over).for_each(|way| way.is_dead = false);
    }

    /// Its gateways, of which none is another's twin; it alone where it has but one.
    pub(crate) fn hops(&self) -> impl Iterator<Item = &Route> {
        let alone = self.ways.is_empty().then_some(self);
        alone.into_iter().chain(self.ways.iter().map(|way| &way.route))
    }

    /// Of several ways of IPv6 one route: what is told of all is what the first says. A single way is a route like any other.
    pub(super) fn of_ways(mut ways: Vec<Way>) -> Option<Self> {
        let first = ways.first()?.route.clone();
        if ways.len() == 1 {
            return ways.pop().map(|way| way.route);
        }
        Some(Self {
            via: None,
            interface: None,
            onlink: false,
            through_itself: false,
            weight: 1,
            ways,
            ..first
        })
    }

    /// Such a route by these gateways: by a single one like any other.
    #[must_use]
    pub fn by(self, hops: impl IntoIterator<Item = Hop>) -> Self {
        let way = |hop: Hop| Way {
            route: Self {
                via: hop.via,
                interface: hop.interface,
                weight: hop.weight,
                ..self.clone()
            },
            is_dead: false,
        };
        let mut ways: Vec<Way> = hops.into_iter().map(way).collect();
        match ways.len() {
            1 => ways.remove(0).route,
            _ => Self { ways, ..self },
        }
    }

    /// The other way round.
    pub(super) fn into_ways(self) -> Vec<Way> {
        match self.ways.is_empty() {
            true => vec![Way {
                route: self,
                is_dead: false,
            }],
            false => self.ways,
        }
    }
}

impl Net {
    /// Of a route with several gateways the way that a flow takes: the first whose end its hash does not reach. Of IPv4 a way counts more that the
    /// sender's address is of, where the host itself sends.
    #[cold]
    pub(super) fn chosen<'a>(&self, route: &'a Route, key: &Key, share: impl FnOnce() -> u32) -> &'a Route {
        let is_ipv6 = route.to.family() == Family::V6;
        if key.output.is_some() && !is_ipv6 {
            return route.first_over(key.output);
        }
        let hash = share();
        let all: u64 = route.alive().map(|way| u64::from(way.route.weight)).sum();
        let mut before = 0;
        let mut shares = route.alive().map(|way| {
            before += u64::from(way.route.weight);
            let end = ((before << 31) + all / 2) / all;
            (way, u64::from(hash) < end)
        });
        if is_ipv6 {
            let share = shares.find(|(_, has)| *has).map(|(way, _)| &way.route);
            return route.chosen_of_ipv6(share, key).unwrap_or(route);
        }
        let is_own = key.is_own();
        let preferred = (is_own && !key.source.is_unspecified()).then_some(key.source);
        let is_preferred = |way: &Way| {
            let own = |it: IpAddr| {
                self.select_address(way.route.interface?, way.route.via, way.route.scope)
                    .filter(|own| *own == it)
            };
            preferred.and_then(own).is_some()
        };
        let mut best: Option<(u8, &Way)> = None;
        for (way, has) in shares {
            let score = 2 * u8::from(is_preferred(way)) + u8::from(has);
            if best.is_none_or(|(found, _)| score > found) {
                best = Some((score, way));
            }
        }
        best.map_or(route, |(_, way)| &way.route)
    }

    /// An interface came up, or has this family again.
    pub(super) fn revive_ways(&mut self, id: InterfaceId, family: Family) {
        let tables = &mut self.ways_mut(family).tables;
        if tables.has_several_gateways() {
            tables.retain(|entry| {
                entry.route.revive(id);
                true
            });
        }
    }

    /// Whether a route of the family has several gateways.
    pub(super) fn has_several_gateways(&self, family: Family) -> bool {
        self.ways(family).tables.has_several_gateways()
    }

    /// The route that a way is one of; the way itself where it is the route.
    pub fn whole_route<'a>(&'a self, way: &'a Route) -> &'a Route {
        let holds = |it: &&Route| it.ways.iter().any(|one| std::ptr::eq(&one.route, way));
        self.routes(way.to.family()).find(holds).unwrap_or(way)
    }
}
