//! Every table's routes of one family in one list, and where in it those of a table or to a place are.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::OnceLock;

use super::pieces::Pieces;
use super::route::Owner;
use super::stretches::Stretches;
use super::v6::lead_alike;
use super::{Prefix, Route, table};
use crate::base::{Family, InterfaceId};

/// A route, and the address that brought it (`None`: it was added by hand).
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub route: Route,
    pub owner: Option<Owner>,
}

/// Longest prefixes first within a table, then by place, then those for one type of service, then by metric.
fn sort_key(route: &Route) -> (u32, u8, IpAddr, u8, u32) {
    (
        route.table,
        u8::MAX - route.to.length(),
        route.to.address(),
        u8::MAX - route.tos,
        route.metric,
    )
}

/// Every table's routes of one family, in one list: by table, then longest prefix first, then by place, by type of service (none last), by metric, then in the order they came.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) family: Family,
    pub(super) entries: Pieces<Entry>,
    /// Where the entries of the tables begin that every packet asks, in the order of their numbers, and where those of the last one end.
    asked: [usize; 4],
    /// Tables that somebody put a route into, once, beside the local and the main one: they exist from then on.
    made: Vec<u32>,
    /// How many routes have several gateways.
    several: usize,
    /// Someone added a route to the local table by hand, once: the kernel remembers that too.
    custom_local: bool,
    stretches: Stretches,
    /// By which gateways, and over which link, any route leads: for who redirects. Made when the first asks after a change of routes.
    gateways: OnceLock<HashSet<(IpAddr, InterfaceId)>>,
}

impl Tables {
    pub(super) fn of(family: Family) -> Self {
        Self {
            family,
            entries: Pieces::default(),
            asked: [0; 4],
            made: Vec::new(),
            several: 0,
            custom_local: false,
            stretches: Stretches::default(),
            gateways: OnceLock::new(),
        }
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// What an address brings and another brought already is there once.
    pub(super) fn insert_once(&mut self, route: Route, owner: Option<Owner>) {
        let siblings = self.siblings(&route);
        // Of IPv6 also what somebody added that leads the same way.
        let is_it = |it: &Entry| match self.family {
            Family::V4 => it.route == route,
            Family::V6 => lead_alike(&it.route, &route),
        };
        if !self.entries.range(siblings.clone()).any(is_it) {
            self.insert_at(siblings.end, route, owner);
        }
    }

    pub(super) fn insert_at(&mut self, at: usize, route: Route, owner: Option<Owner>) {
        self.custom_local |= route.table == table::LOCAL && owner.is_none();
        self.make(route.table);
        self.several += usize::from(!route.ways.is_empty());
        self.entries.insert(at, Entry { route, owner });
        self.find_asked();
    }

    pub(super) fn replace_at(&mut self, at: usize, route: Route) {
        self.several += usize::from(!route.ways.is_empty());
        let before = std::mem::replace(self.entries.get_mut(at), Entry { route, owner: None });
        self.several -= usize::from(!before.route.ways.is_empty());
        self.forget();
    }

    pub(super) fn remove_at(&mut self, at: usize) -> Route {
        let removed = self.entries.remove(at).route;
        self.several -= usize::from(!removed.ways.is_empty());
        self.find_asked();
        removed
    }

    /// Where the routes to the same place with the same metric are, in their table.
    pub(super) fn siblings(&self, route: &Route) -> Range<usize> {
        let key = sort_key(route);
        let start = self.at(|it| sort_key(it) < key);
        let end = self.at(|it| sort_key(it) <= key);
        start..end
    }

    /// The table is there from now on: for what is put into it, and of IPv6 for a rule that asks it.
    pub(super) fn make(&mut self, table: u32) {
        if !self.table_exists(table) {
            self.made.push(table);
        }
    }

    /// Those that are there beside the local and the main one, and have no route.
    pub(super) fn empty(&self) -> impl Iterator<Item = u32> {
        let is_empty = |table: &u32| self.table(*table).is_empty();
        self.made.iter().copied().filter(is_empty)
    }

    /// Whether anybody ever put something into the table, or in IPv6 a rule asked it.
    pub(super) fn table_exists(&self, table: u32) -> bool {
        matches!(table, table::LOCAL | table::MAIN) || self.made.contains(&table)
    }

    /// Where a table's routes to a place are.
    pub(super) fn to_place(&self, to: Prefix, table: u32) -> Range<usize> {
        let route = Route {
            table,
            ..Route::new(to)
        };
        let first = sort_key(&Route {
            tos: u8::MAX,
            ..route.clone()
        });
        let last = sort_key(&Route {
            metric: u32::MAX,
            ..route
        });
        self.at(|it| sort_key(it) < first)..self.at(|it| sort_key(it) <= last)
    }

    pub(super) fn everything(&self) -> Range<usize> {
        0..self.entries.len()
    }

    /// The routes of these positions.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &Entry> {
        self.entries.range(range)
    }

    fn at(&self, mut is_before: impl FnMut(&Route) -> bool) -> usize {
        self.entries
            .partition_point(0..self.entries.len(), |it| is_before(&it.route))
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&mut Entry) -> bool) {
        self.entries.retain(keep);
        self.several = self.all().filter(|it| !it.route.ways.is_empty()).count();
        self.find_asked();
    }

    pub(super) fn has_custom_local(&self) -> bool {
        self.custom_local
    }

    #[inline]
    pub(super) fn table(&self, table: u32) -> Range<usize> {
        match table {
            table::DEFAULT..=table::LOCAL => {
                let at = (table - table::DEFAULT) as usize;
                self.asked[at]..self.asked[at + 1]
            }
            _ => self.start_of(table)..self.at(|it| it.table <= table),
        }
    }

    fn start_of(&self, table: u32) -> usize {
        self.at(|it| it.table < table)
    }

    pub(super) fn has_several_gateways(&self) -> bool {
        self.several > 0
    }

    /// To be called when entries have come or gone.
    fn find_asked(&mut self) {
        self.asked = [table::DEFAULT, table::MAIN, table::LOCAL, table::LOCAL + 1].map(|table| self.start_of(table));
        self.forget();
    }

    /// What was found out of routes that have changed.
    fn forget(&mut self) {
        self.stretches.forget();
        self.gateways = OnceLock::new();
    }

    /// Whether any route leads by this gateway over this link.
    pub(super) fn lead_by(&self, gateway: IpAddr, link: InterfaceId) -> bool {
        let hop = |way: &Route| way.via.zip(way.interface);
        let gateways = self.gateways.get_or_init(|| {
            let hops = self.all().flat_map(|entry| entry.route.hops());
            hops.filter_map(hop).collect()
        });
        gateways.contains(&(gateway, link))
    }

    #[inline]
    pub(super) fn stretches(&self) -> &Stretches {
        &self.stretches
    }
}
