//! The look-up of routes: the routing rules say which table is asked, and of each table's routes one decides.

use std::net::IpAddr;

use super::candidates::SHORT;
use super::flow::Flow;
use super::rule::default_rules;
use super::tables::{Entry, Tables};
use super::{Net, Route, RouteError, RouteKind, RoutingRule, RuleAction, Scope, table};
use crate::base::{Family, InterfaceId};
use crate::packet::Packet;

/// What look-ups of one family go by.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    pub tables: Tables,
    pub rules: Vec<RoutingRule>,
    /// One of them asks for protocol or ports.
    pub asks_transport: bool,
    /// A rule was added or (in IPv4) removed, once: the kernel asks what the rules say from then on, for good, and the local and the main table before.
    pub custom_rules: bool,
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
    pub(super) fn lacks_source(&self) -> bool {
        self.source.is_ipv6() && self.is_own() && self.source.is_unspecified()
    }

    /// Whether nothing that came in is meant.
    #[inline]
    pub(super) fn is_own(&self) -> bool {
        self.input.is_none_or(|it| it == InterfaceId::LOOPBACK)
    }

    /// What rules and routes go by: neither the bits of ECN nor, in IPv4, those of the old precedence.
    #[inline]
    pub(super) fn asked_tos(&self) -> u8 {
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
        self.lookup_by(key, |deciding| deciding.filter(|route| route.kind != RouteKind::Throw))
    }

    /// The same with what ends a table's look-up as it is told.
    fn lookup_by<'a>(
        &'a self,
        key: &Key,
        told: fn(Option<&'a Route>) -> Option<&'a Route>,
    ) -> (Option<RoutingRule>, Option<&'a Route>) {
        if !self.custom_rules {
            let found = told(self.tables.deciding_in_local_and_main(key))
                .or_else(|| told(self.tables.deciding(table::DEFAULT, key)));
            let rule = found.and_then(|route| {
                let mut rules = self.rules.iter();
                rules.find(|rule| rule.action == RuleAction::Table(route.table))
            });
            return (rule.cloned(), found);
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

impl Tables {
    fn lookup(&self, table: u32, key: &Key) -> Found<'_> {
        judge(self.deciding(table, key))
    }

    /// The route that ends a table's look-up, whatever it does with the packet.
    pub(super) fn deciding(&self, table: u32, key: &Key) -> Option<&Route> {
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
}

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

    /// The same of IPv6 by the rules alone. Seen: a route "throw" ends it, other than for packets.
    pub(super) fn lookup_ipv6_gateway(&self, key: &Key) -> Option<&Route> {
        let (_, found) = self.ways(Family::V6).lookup_by(key, |deciding| deciding);
        Some(self.way_of(found?, key, || self.share_of_key(key)))
    }

    /// The same by one table alone.
    pub(super) fn lookup_ipv6_gateway_in(&self, table: u32, key: &Key) -> Option<&Route> {
        let found = self.ways(Family::V6).tables.deciding(table, key)?;
        Some(self.way_of(found, key, || self.share_of_key(key)))
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
