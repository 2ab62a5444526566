//! The look-up of routes: every table's entries, in the order in which they are asked, and the routing rules that say which table is.

use std::net::IpAddr;
use std::ops::Range;

use super::flow::Flow;
use super::pieces::Pieces;
use super::route::Owner;
use super::stretches::Stretches;
use super::{Net, Prefix, Route, RouteError, RouteKind, RoutingRule, RuleAction, Scope, table};
use crate::base::{Family, InterfaceId};
use crate::packet::Packet;

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

/// What look-ups of one family go by.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    pub tables: Tables,
    pub rules: Vec<RoutingRule>,
    /// One of them asks for protocol or ports.
    pub asks_transport: bool,
    /// A rule was added or removed, once: the kernel asks the local and the main table one by one from then on, for good.
    pub custom_rules: bool,
}

/// Every table's routes of one family, in one list: by table, then longest prefix first, then by place, by type of service (none last), by metric, then in the order they came.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    family: Family,
    entries: Pieces<Entry>,
    /// Where the entries of the tables begin that every packet asks, in the order of their numbers, and where those of the last one end.
    asked: [usize; 4],
    /// Tables that somebody put a route into, once, beside the local and the main one: they exist from then on.
    made: Vec<u32>,
    /// How many routes have several gateways.
    several: usize,
    /// Someone added a route to the local table by hand, once: the kernel remembers that too.
    custom_local: bool,
    stretches: Stretches,
}

/// What decides a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub destination: IpAddr,
    /// The unspecified address where none is chosen yet.
    pub source: IpAddr,
    pub mark: u32,
    pub tos: u8,
    /// `lo` for the host's own packets; `None` where no packet is meant, as by who looks for the gateway of a route of IPv6.
    pub input: Option<InterfaceId>,
    /// Only routes over this interface count.
    pub output: Option<InterfaceId>,
    /// Only routes at least this near count.
    pub scope: Scope,
    /// What else is known of the packet. Of one that came in only what rules ask for, if any does.
    pub flow: Flow,
}

impl Key {
    /// In IPv6 a packet of the host's own that has no source yet is from nowhere; in IPv4 it is from 0.0.0.0.
    fn lacks_source(&self) -> bool {
        self.source.is_ipv6() && self.is_own() && self.source.is_unspecified()
    }

    /// Whether nothing that came in is meant.
    #[inline]
    pub(super) fn is_own(&self) -> bool {
        self.input.is_none_or(|it| it == InterfaceId::LOOPBACK)
    }

    /// What rules and routes go by: neither the bits of ECN nor, in IPv4, those of the old precedence.
    #[inline]
    fn asked_tos(&self) -> u8 {
        match self.destination {
            IpAddr::V4(_) => self.tos & IPV4_TOS,
            IpAddr::V6(_) => self.tos & 0xfc,
        }
    }

    /// The host's own, with nothing chosen yet but where it goes.
    pub(super) fn to(destination: IpAddr) -> Self {
        Self {
            destination,
            source: Family::of(destination).unspecified(),
            mark: 0,
            tos: 0,
            input: Some(InterfaceId::LOOPBACK),
            output: None,
            scope: Scope::Universe,
            flow: Flow::default(),
        }
    }
}

/// The bits of an IPv4 packet's type of service that a way can be for.
pub(crate) const IPV4_TOS: u8 = 0x1c;

/// Where a table's look-up ends.
enum Found<'a> {
    Route(&'a Route),
    /// Nothing fits, or a `throw` route: the next rule is asked.
    Next,
    Refused(RouteError),
}

impl Ways {
    /// Those of a fresh host: no route, and a rule for each table that there is from the start.
    pub(super) fn of(family: Family) -> Self {
        Self {
            tables: Tables::of(family),
            rules: default_rules(family).collect(),
            asks_transport: false,
            custom_rules: false,
        }
    }

    /// The route that decides. Nothing is allocated, but by the first packet after a change of routes.
    fn lookup(&self, key: &Key) -> Result<&Route, RouteError> {
        if !self.custom_rules {
            // Of all that a key asks only these two count then, beside the destination.
            if key.output.is_none()
                && key.scope == Scope::Universe
                && let Some(answer) = self.tables.stretches().answer(&self.tables, key.destination)
            {
                return answer.as_ref().map_err(|why| *why);
            }
            return self.tables.lookup_without_rules(key);
        }
        let mut at = 0;
        while let Some(rule) = self.rules.get(at) {
            at += 1;
            if !rule.matches(key) {
                continue;
            }
            match rule.action {
                RuleAction::Table(table) => match self.tables.lookup(table, key) {
                    Found::Route(route) if rule.suppresses(route) => {}
                    Found::Route(route) => return Ok(route),
                    Found::Refused(why) => return Err(why),
                    Found::Next => {}
                },
                RuleAction::Goto(priority) => at = self.first_of(priority).unwrap_or(at),
                RuleAction::Nop => {}
                RuleAction::Blackhole => return Err(RouteError::Blackhole),
                // A rule "unreachable" says "network", a route "unreachable" says "host".
                RuleAction::Unreachable => return Err(RouteError::NetworkUnreachable),
                RuleAction::Prohibit => return Err(RouteError::Prohibited),
            }
        }
        Err(RouteError::NetworkUnreachable)
    }

    /// The same look-up, slower, with the routing rule that led there, and the route also where it refuses.
    fn lookup_with_rule(&self, key: &Key) -> (Option<RoutingRule>, Option<&Route>) {
        // A route "throw" is none to tell of: the next table is asked.
        fn told(deciding: Option<&Route>) -> Option<&Route> {
            deciding.filter(|route| route.kind != RouteKind::Throw)
        }
        if !self.custom_rules {
            let found = told(self.tables.deciding_in_local_and_main(key))
                .or_else(|| told(self.tables.deciding(table::DEFAULT, key)));
            let rule = found.and_then(|route| {
                default_rules(self.tables.family).find(|rule| rule.action == RuleAction::Table(route.table))
            });
            return (rule, found);
        }
        let mut at = 0;
        while let Some(rule) = self.rules.get(at) {
            at += 1;
            if !rule.matches(key) {
                continue;
            }
            match rule.action {
                RuleAction::Table(number) => {
                    let found = told(self.tables.deciding(number, key));
                    if let Some(route) = found.filter(|route| !rule.suppresses(route)) {
                        return (Some(rule.clone()), Some(route));
                    }
                }
                RuleAction::Goto(priority) => at = self.first_of(priority).unwrap_or(at),
                RuleAction::Nop => {}
                RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => {
                    return (Some(rule.clone()), None);
                }
            }
        }
        (None, None)
    }

    /// Where the rules of a priority begin.
    fn first_of(&self, priority: u32) -> Option<usize> {
        self.rules.iter().position(|rule| rule.priority == priority)
    }
}

/// The rules of a fresh host. IPv6 has no table `default`.
pub(super) fn default_rules(family: Family) -> impl Iterator<Item = RoutingRule> {
    let rule = |(priority, number)| RoutingRule {
        priority,
        ..RoutingRule::new(RuleAction::Table(number))
    };
    let default = (family == Family::V4).then_some((32767, table::DEFAULT));
    [(0, table::LOCAL), (32766, table::MAIN)]
        .into_iter()
        .chain(default)
        .map(rule)
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
        if !self.entries.range(siblings.clone()).any(|it| it.route == route) {
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
        self.stretches.forget();
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
        self.stretches.forget();
    }

    fn lookup(&self, table: u32, key: &Key) -> Found<'_> {
        judge(self.deciding(table, key))
    }

    /// The same, for who asks one table alone.
    pub(super) fn ending(&self, table: u32, key: &Key) -> Option<&Route> {
        self.deciding(table, key)
    }

    /// The route that ends a table's look-up, whatever it does with the packet.
    fn deciding(&self, table: u32, key: &Key) -> Option<&Route> {
        let range = self.table(table);
        if self.family == Family::V6 {
            return self.preferred(range, key);
        }
        let decides = |entry: &&Entry| entry.route.decides(key);
        let found = match self.entries.first_of(range.clone()) {
            // As nearly every table is: then it is walked as the list that it is.
            (all, rest) if rest.is_empty() && all.len() <= SHORT => all.iter().find(decides),
            _ => self.candidates(range, key).find(decides),
        };
        found.map(|entry| &entry.route)
    }

    /// Without rules of one's own, the kernel keeps the main and the local table of IPv4 as one: a longer prefix in either wins. Those of IPv6 are
    /// asked one after the other all the same.
    fn deciding_in_local_and_main(&self, key: &Key) -> Option<&Route> {
        if self.family == Family::V6 {
            let local = self.deciding(table::LOCAL, key);
            let is_last = |route: &&Route| route.kind != RouteKind::Throw;
            return local.filter(is_last).or_else(|| self.deciding(table::MAIN, key));
        }
        match (self.deciding(table::LOCAL, key), self.deciding(table::MAIN, key)) {
            (Some(local), Some(main)) if main.to.length() > local.to.length() => Some(main),
            (local, main) => local.or(main),
        }
    }

    #[inline]
    pub(super) fn stretches(&self) -> &Stretches {
        &self.stretches
    }

    /// The whole look-up where nobody has changed the rules.
    pub(super) fn lookup_without_rules(&self, key: &Key) -> Result<&Route, RouteError> {
        let found = match judge(self.deciding_in_local_and_main(key)) {
            Found::Next if self.family == Family::V4 => self.lookup(table::DEFAULT, key),
            found => found,
        };
        match found {
            Found::Route(route) => Ok(route),
            Found::Refused(why) => Err(why),
            Found::Next => Err(RouteError::NetworkUnreachable),
        }
    }

    /// A table's routes that may hold the destination, and in a short table others too: longest prefixes first.
    pub(super) fn candidates(&self, table: Range<usize>, key: &Key) -> Candidates<'_> {
        let (more, rest) = match table.len() <= SHORT {
            true => (table, 0..0),
            false => (0..0, table),
        };
        let (run, more) = self.entries.first_of(more);
        Candidates {
            entries: &self.entries,
            run,
            more,
            rest,
            destination: key.destination,
        }
    }
}

/// The routes of a table to places that hold an address. A long table is searched by halves for each length of prefixes that it has.
pub(super) struct Candidates<'a> {
    entries: &'a Pieces<Entry>,
    /// What is to be given: of a short table all, else what was found of a length.
    run: &'a [Entry],
    /// What is to be given after that.
    more: Range<usize>,
    /// Entries of one long table, of lengths not looked at yet.
    rest: Range<usize>,
    destination: IpAddr,
}

impl<'a> Iterator for Candidates<'a> {
    type Item = &'a Entry;

    #[inline]
    fn next(&mut self) -> Option<&'a Entry> {
        match self.run.split_first() {
            Some((entry, run)) => {
                self.run = run;
                Some(entry)
            }
            None if self.more.is_empty() && self.rest.is_empty() => None,
            None => self.search(),
        }
    }
}

impl<'a> Candidates<'a> {
    /// The first of the next length that holds the destination. Apart from `next`, which every packet asks, and mostly of a short table.
    #[inline(never)]
    fn search(&mut self) -> Option<&'a Entry> {
        loop {
            if !self.more.is_empty() {
                let (run, more) = self.entries.first_of(self.more.clone());
                let (entry, run) = run.split_first()?;
                (self.run, self.more) = (run, more);
                return Some(entry);
            }
            let (first, _) = self.entries.first_of(self.rest.clone());
            let length = first.first()?.route.to.length();
            let end = self
                .entries
                .partition_point(self.rest.clone(), |it| it.route.to.length() >= length);
            let of_length = self.rest.start..end;
            self.rest.start = end;
            // A prefix longer than an address of this family has bits holds none.
            let Some(place) = Prefix::containing(self.destination, length) else {
                continue;
            };
            let place = place.address();
            let start = self
                .entries
                .partition_point(of_length.clone(), |it| it.route.to.address() < place);
            let end = self
                .entries
                .partition_point(start..of_length.end, |it| it.route.to.address() <= place);
            self.more = start..end;
        }
    }
}

/// Routes that are looked at one by one sooner than they are searched.
const SHORT: usize = 32;

impl Route {
    /// Whether a look-up ends here: the packet takes this way, or is refused by it, or is sent on to the next table.
    #[inline]
    fn decides(&self, key: &Key) -> bool {
        let leads_nowhere = matches!(
            self.kind,
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw
        );
        self.to.contains(key.destination)
            && (self.tos == 0 || self.tos == key.asked_tos())
            && self.scope >= key.scope
            && (leads_nowhere || key.output.is_none_or(|output| self.leads_over(output)))
    }
}

/// Seen: a route of IPv6 over lo is told like any other, and leads nowhere but to ::1.
fn refuses_by_lo(route: &Route) -> bool {
    route.interface == Some(InterfaceId::LOOPBACK) && matches!(route.to.address(), IpAddr::V6(to) if !to.is_loopback())
}

fn judge(deciding: Option<&Route>) -> Found<'_> {
    let Some(route) = deciding else { return Found::Next };
    match route.kind {
        RouteKind::Blackhole => Found::Refused(RouteError::Blackhole),
        RouteKind::Unreachable => Found::Refused(RouteError::HostUnreachable),
        RouteKind::Prohibit => Found::Refused(RouteError::Prohibited),
        RouteKind::Throw => Found::Next,
        RouteKind::Unicast if refuses_by_lo(route) => Found::Refused(RouteError::NetworkUnreachable),
        _ => Found::Route(route),
    }
}

impl RoutingRule {
    /// Whether the route that its table has is as none. What refuses packets does so all the same.
    fn suppresses(&self, route: &Route) -> bool {
        self.suppressed.is_some_and(|most| u32::from(route.to.length()) <= most)
            && matches!(judge(Some(route)), Found::Route(_))
    }

    fn matches(&self, key: &Key) -> bool {
        // The kernel compares under the mask on both sides, so 0x105/0xff asks for 0x05.
        let fits = (key.mark ^ self.mark.value) & self.mark.mask == 0
            && self
                .from
                .is_none_or(|it| it.contains(key.source) && !key.lacks_source())
            && self.to.is_none_or(|it| it.contains(key.destination))
            && self.input.is_none_or(|it| it.id.is_some() && it.id == key.input)
            && self.output.is_none_or(|it| it.id.is_some() && it.id == key.output)
            && (self.tos == 0 || self.tos == key.asked_tos())
            && (!self.asks_transport() || self.transport.fits(key.flow));
        fits != self.inverted
    }
}

impl Net {
    /// The route that decides; of several gateways the way that such a packet takes.
    #[inline]
    pub(super) fn lookup(&self, key: &Key) -> Result<&Route, RouteError> {
        let found = self.lookup_whole(key)?;
        Ok(self.way_of(found, key, || self.share_of_key(key)))
    }

    /// The same for a packet that came in.
    #[inline]
    pub(super) fn lookup_for(&self, key: &Key, packet: &Packet) -> Result<&Route, RouteError> {
        let found = self.lookup_whole(key)?;
        Ok(self.way_of(found, key, || self.share_of_packet(packet)))
    }

    /// The route that decides, with all its gateways.
    #[inline]
    pub(super) fn lookup_whole(&self, key: &Key) -> Result<&Route, RouteError> {
        self.ways(Family::of(key.destination)).lookup(key)
    }

    /// The same look-up, slower, with the routing rule that led there, and the route also where it refuses; of several gateways the way that is taken.
    pub(super) fn lookup_with_rule(
        &self,
        key: &Key,
        share: impl FnOnce() -> u32,
    ) -> (Option<RoutingRule>, Option<&Route>) {
        let (rule, found) = self.ways(Family::of(key.destination)).lookup_with_rule(key);
        (rule, found.map(|found| self.way_of(found, key, share)))
    }

    #[inline]
    fn way_of<'a>(&self, found: &'a Route, key: &Key, share: impl FnOnce() -> u32) -> &'a Route {
        match found.ways.is_empty() {
            true => found,
            false => self.chosen(found, key, share),
        }
    }

    /// The route to a gateway, which must not lead through another one. The new route's own table is asked before all rules.
    pub(super) fn lookup_gateway(&self, new: &Route, via: IpAddr) -> Option<&Route> {
        let key = Key {
            output: new.interface,
            // Nearer than the new route itself is.
            scope: if new.scope >= Scope::Link {
                Scope::Host
            } else {
                Scope::Link
            },
            ..Key::to(via)
        };
        if new.table != table::MAIN
            && let Found::Route(route) = self.ways(Family::of(via)).tables.lookup(new.table, &key)
        {
            return Some(route.first_over(key.output));
        }
        Some(self.lookup_whole(&key).ok()?.first_over(key.output))
    }

    /// What the local table alone says of an address.
    pub(super) fn lookup_local(&self, address: IpAddr) -> Option<&Route> {
        let tables = &self.ways(Family::of(address)).tables;
        match tables.lookup(table::LOCAL, &Key::to(address)) {
            Found::Route(route) => Some(route),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{InterfaceName, MarkMask};

    fn net() -> Net {
        let mut net = Net::new();
        for (id, name, address) in [(1, "lan", "10.0.0.1"), (2, "wan", "192.0.2.1")] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            net.add_address(InterfaceId(id), address.parse().unwrap(), 24).unwrap();
        }
        let via = |to: &str, via: &str, metric, table| Route {
            via: Some(via.parse().unwrap()),
            metric,
            table,
            ..Route::new(to.parse().unwrap())
        };
        let kind = |kind, to: &str| Route {
            kind,
            ..Route::new(to.parse().unwrap())
        };
        for route in [
            via("default", "192.0.2.254", 0, table::MAIN),
            via("10.8.0.0/16", "10.0.0.9", 20, table::MAIN),
            via("10.8.0.0/16", "10.0.0.8", 10, table::MAIN),
            via("10.8.1.0/24", "10.0.0.7", 30, table::MAIN),
            via("198.30.0.0/16", "192.0.2.77", 0, 100),
            kind(RouteKind::Blackhole, "198.51.0.0/24"),
            kind(RouteKind::Unreachable, "198.51.1.0/24"),
            kind(RouteKind::Prohibit, "198.51.2.0/24"),
            kind(RouteKind::Throw, "198.51.3.0/24"),
        ] {
            net.add_route(route).unwrap();
        }
        net
    }

    /// A long table's search finds what looking at every route finds, in the same order.
    #[test]
    fn a_long_table_is_searched_as_it_is_looked_through() {
        let mut random = crate::base::Random::new(11);
        let mut tables = Tables::of(Family::V4);
        let mut drawn = |bits: u32| (random.next_u64() >> 7) as u32 & bits;
        for number in 0..2_000 {
            let length = [0, 8, 9, 16, 20, 24, 24, 31, 32][drawn(0xffff) as usize % 9];
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | drawn(0x0003_ffff));
            let table = [table::MAIN, table::LOCAL, 100][number % 3];
            let route = Route {
                metric: drawn(1),
                table,
                mtu: Some(number as u32),
                ..Route::new(Prefix::containing(address.into(), length).unwrap())
            };
            tables.insert_at(tables.siblings(&route).end, route, None);
        }
        let mut found = 0;
        for _ in 0..2_000 {
            let destination = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 | drawn(0x0003_ffff)));
            let key = Key {
                destination,
                source: IpAddr::from([0; 4]),
                mark: 0,
                tos: 0,
                input: Some(InterfaceId::LOOPBACK),
                output: None,
                scope: Scope::Universe,
                flow: Flow::default(),
            };
            for table in [table::MAIN, table::LOCAL, 100] {
                let holds = |it: &&Entry| it.route.to.contains(destination);
                let looked: Vec<_> = tables
                    .range(tables.table(table))
                    .filter(holds)
                    .map(|it| it.route.mtu)
                    .collect();
                let searched = tables.candidates(tables.table(table), &key).filter(holds);
                assert_eq!(searched.map(|it| it.route.mtu).collect::<Vec<_>>(), looked);
                found += looked.len();
            }
        }
        assert!(found > 10_000, "{found}");
        let six = Key {
            destination: "2001:db8::1".parse().unwrap(),
            source: IpAddr::from([0; 4]),
            mark: 0,
            tos: 0,
            input: Some(InterfaceId::LOOPBACK),
            output: None,
            scope: Scope::Universe,
            flow: Flow::default(),
        };
        assert!(tables.deciding(table::MAIN, &six).is_none());
    }

    fn asked(net: &Net, destination: &str, mark: u32) -> Result<Option<IpAddr>, RouteError> {
        let key = Key {
            destination: destination.parse().unwrap(),
            source: [10, 0, 0, 2].into(),
            mark,
            tos: 0,
            input: Some(InterfaceId(1)),
            output: None,
            scope: Scope::Universe,
            flow: Flow::default(),
        };
        net.lookup(&key).map(|route| route.via)
    }

    #[test]
    fn longest_prefix_then_metric_then_kind() {
        let net = net();
        let via = |text: &str| Ok(Some(text.parse().unwrap()));
        for (destination, expected) in [
            ("10.8.1.1", via("10.0.0.7")),
            ("10.8.2.1", via("10.0.0.8")),
            ("10.0.0.9", Ok(None)),
            ("8.8.8.8", via("192.0.2.254")),
            ("198.51.0.1", Err(RouteError::Blackhole)),
            ("198.51.1.1", Err(RouteError::HostUnreachable)),
            ("198.51.2.1", Err(RouteError::Prohibited)),
            ("198.51.3.1", Err(RouteError::NetworkUnreachable)),
        ] {
            assert_eq!(asked(&net, destination, 0), expected, "{destination}");
        }
    }

    #[test]
    fn rules_choose_tables_by_mark() {
        let mut net = net();
        assert_eq!(net.next_priority(Family::V4), 32765);
        for (value, action) in [
            (5, RuleAction::Table(100)),
            (6, RuleAction::Blackhole),
            (7, RuleAction::Unreachable),
            (8, RuleAction::Prohibit),
        ] {
            net.add_rule(
                Family::V4,
                RoutingRule {
                    priority: net.next_priority(Family::V4),
                    mark: MarkMask { value, mask: 0xf },
                    ..RoutingRule::new(action)
                },
            )
            .unwrap();
        }
        let gateway = |text: &str| Ok(Some(text.parse().unwrap()));
        for (destination, mark, expected) in [
            ("198.30.0.1", 0x15, gateway("192.0.2.77")),
            ("198.30.0.1", 0x14, gateway("192.0.2.254")),
            ("8.8.8.8", 5, gateway("192.0.2.254")),
            ("8.8.8.8", 6, Err(RouteError::Blackhole)),
            ("8.8.8.8", 7, Err(RouteError::NetworkUnreachable)),
            ("8.8.8.8", 8, Err(RouteError::Prohibited)),
        ] {
            assert_eq!(asked(&net, destination, mark), expected, "{destination} mark {mark}");
        }
    }
}
