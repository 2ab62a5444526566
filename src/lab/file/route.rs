//! The routes of a lab file: read, then checked against the interfaces that there are.

use std::collections::HashSet;
use std::net::IpAddr;

use toml::de::{DeTable, DeValue};

use super::check::{Index, subnet_text};
use super::keys;
use super::parse::{Key, Reader, Value, some_of};
use super::value::in_order;
use super::{Hop, Interface, LabFile, Position, Problem, Route, SourceError};
use crate::base::{Family, InterfaceName};

/// A gateway as it was read.
#[derive(Default)]
struct Read {
    /// `Some(None)`: what was wrong with it is told already.
    via: Option<Option<(IpAddr, Position)>>,
    dev: Option<Option<(InterfaceName, Position)>>,
    weight: Option<u16>,
}

impl Read {
    fn leads_nowhere(&self) -> bool {
        self.via.is_none() && self.dev.is_none()
    }

    /// `None` where it could not be read. Which interface it is may depend on tables that follow, so that is for `check`.
    fn hop(self, otherwise: Position) -> Option<Hop> {
        let via = match self.via {
            Some(read) => Some(read?),
            None => None,
        };
        let dev = match self.dev {
            Some(read) => Some(read?),
            None => None,
        };
        Some(Hop {
            via: via.map(|(address, _)| address),
            interface: dev.map_or(InterfaceName::default(), |(name, _)| name),
            weight: self.weight.unwrap_or(1),
            position: via.map_or(otherwise, |(_, position)| position),
        })
    }
}

impl Reader {
    pub(super) fn routes(&mut self, key: Key<'_, '_>, value: Value<'_, '_>) {
        let Some(array) = value.get_ref().as_array() else {
            self.problem(
                key.span(),
                "`route` is not a list of tables",
                "expected [[route]]",
                "write two brackets: [[route]], once for each route",
            );
            return;
        };
        for value in array {
            let Some(table) = value.get_ref().as_table() else {
                self.problem(
                    value.span(),
                    "a route is a table",
                    "expected a table",
                    "write [[route]], then to = and via =",
                );
                continue;
            };
            self.route(value, table);
        }
    }

    fn route(&mut self, whole: Value<'_, '_>, table: &DeTable<'_>) {
        let (mut to, mut alone, mut several) = (None, Read::default(), None);
        let known = self.problems.len();
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "to" => to = Some(self.text(value, "\"default\" or a prefix")),
                "nexthop" => several = Some((key, value)),
                "via" if value.get_ref().is_array() => self.problem(
                    value.span(),
                    "several gateways do not go into `via`",
                    "expected one address",
                    SEVERAL_REMEDY,
                ),
                "weight" => self.problem(
                    key.span(),
                    "`weight` is the share of one of several gateways",
                    "expected it in `nexthop`",
                    SEVERAL_REMEDY,
                ),
                "via" | "dev" => self.of_hop(&mut alone, key, value),
                _ => self.unknown_key(key, "in [[route]]", &keys::ROUTE),
            }
        }
        let misspelt = self.problems.len() != known;
        let Some(to) = to else {
            if misspelt {
                return;
            }
            self.problem(
                whole.span(),
                "this route has no `to`",
                "expected `to` in this table",
                "add to = \"default\" or a prefix such as to = \"10.1.0.0/16\"",
            );
            return;
        };
        let hops = match several {
            Some((key, _)) if !alone.leads_nowhere() => {
                self.problem(
                    key.span(),
                    "this route has `nexthop` beside `via` or `dev`",
                    "expected all of its gateways in `nexthop`, or one by `via` and `dev`",
                    SEVERAL_REMEDY,
                );
                return;
            }
            Some((_, value)) => self.nexthops(value),
            None if alone.leads_nowhere() => {
                if misspelt {
                    return;
                }
                self.problem(
                    whole.span(),
                    "this route has neither `via` nor `dev`",
                    "expected a gateway (`via`) or an interface (`dev`)",
                    "add via = \"ADDRESS\", the next router, or dev = \"INTERFACE\" for hosts on the link",
                );
                return;
            }
            None => {
                let position = to.as_ref().map_or(whole.span().into(), |(_, position)| *position);
                alone.hop(position).map(|hop| vec![hop])
            }
        };
        let (Some((text, position)), Some(hops)) = (to, hops) else {
            return;
        };
        let family = hops.iter().find_map(|hop| hop.via).map_or(Family::V4, Family::of);
        let Some(to) = self.destination(&text, position, family) else {
            return;
        };
        let mut fits = true;
        for hop in &hops {
            match hop.via {
                Some(via) if Family::of(via) != to.family() => self.problem(
                    hop.position,
                    format!("`via` {via} is of another family than `to` {text}"),
                    "expected an address of the same family",
                    "IPv4 goes via IPv4 and IPv6 via IPv6; write two routes for both",
                ),
                None if several.is_some() && to.family() == Family::V6 => self.problem(
                    hop.position,
                    "one of several ways of IPv6 has no gateway",
                    "expected `via`, the next router",
                    "IPv6 shares packets among gateways alone: add via = \"ADDRESS\", or leave this one out",
                ),
                _ => continue,
            }
            fits = false;
        }
        if fits {
            let position = hops[0].position;
            self.file.routes.push(Route { to, hops, position });
        }
    }

    /// `via` and `dev`.
    fn of_hop(&mut self, hop: &mut Read, key: Key<'_, '_>, value: Value<'_, '_>) {
        match key.get_ref().as_ref() {
            "via" => {
                let text = self.text(value, "an address");
                hop.via = Some(text.and_then(|(text, position)| Some((self.address(&text, position)?, position))));
            }
            _ => {
                let position = value.span().into();
                hop.dev = Some(self.known_interface(value).map(|name| (name, position)));
            }
        }
    }

    /// At least two.
    fn nexthops(&mut self, value: Value<'_, '_>) -> Option<Vec<Hop>> {
        let known = self.problems.len();
        let tables = value.get_ref().as_array().map(|array| &array[..]).unwrap_or_default();
        if tables.len() < 2 {
            self.problem(
                value.span(),
                "`nexthop` is not a list of several gateways",
                "expected at least two tables, each with `via`, `dev` or both, and `weight` where it has more than one share",
                SEVERAL_REMEDY,
            );
            return None;
        }
        let mut hops = Vec::with_capacity(tables.len());
        for value in tables {
            let Some(table) = value.get_ref().as_table() else {
                self.problem(value.span(), "a gateway is a table", "expected a table", SEVERAL_REMEDY);
                continue;
            };
            let mut hop = Read::default();
            let of_this = self.problems.len();
            for (key, value) in in_order(table) {
                match key.get_ref().as_ref() {
                    "via" | "dev" => self.of_hop(&mut hop, key, value),
                    "weight" => hop.weight = self.weight(value),
                    _ => self.unknown_key(key, "in `nexthop`", &keys::NEXTHOP),
                }
            }
            if hop.leads_nowhere() && self.problems.len() == of_this {
                self.problem(
                    value.span(),
                    "this gateway has neither `via` nor `dev`",
                    "expected an address (`via`), an interface (`dev`) or both",
                    "add via = \"ADDRESS\", the next router",
                );
            }
            hops.extend(hop.hop(value.span().into()));
        }
        (self.problems.len() == known).then_some(hops)
    }

    fn weight(&mut self, value: Value<'_, '_>) -> Option<u16> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => u16::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok(),
            _ => None,
        };
        let weight = number.filter(|weight| (1..=MOST_WEIGHT).contains(weight));
        if weight.is_none() {
            self.problem(
                value.span(),
                "this is not a weight",
                format!("expected an integer from 1 to {MOST_WEIGHT}"),
                "a gateway of weight 2 gets twice the packets of one without",
            );
        }
        weight
    }

    pub(super) fn check_routes(&mut self, index: &Index) {
        let interfaces = std::mem::take(&mut self.file.interfaces);
        let mut routes = std::mem::take(&mut self.file.routes);
        let mut seen = HashSet::new();
        for route in &mut routes {
            let known = self.problems.len();
            let mut is_whole = true;
            for hop in &mut route.hops {
                is_whole &= self.check_hop(hop, &interfaces, index);
            }
            if !is_whole {
                continue;
            }
            let mut ways = Vec::with_capacity(route.hops.len());
            let mut once = HashSet::new();
            for hop in &route.hops {
                let way = (hop.via, hop.interface);
                ways.push(way);
                if !once.insert(way) {
                    self.problem(
                        hop.position,
                        "this gateway stands in its route twice",
                        "the same as one before",
                        "write it once, with a weight: { via = \"ADDRESS\", weight = 2 }",
                    );
                }
            }
            if self.problems.len() == known && !seen.insert((route.to, ways)) {
                self.problem(
                    route.position,
                    "this route stands here twice",
                    "the same as one before",
                    "remove one of the two",
                );
            }
        }
        self.file.interfaces = interfaces;
        self.file.routes = routes;
    }

    /// Finds the interface of a gateway, which must be a neighbour. False where it has none.
    fn check_hop(&mut self, hop: &mut Hop, interfaces: &[Interface], index: &Index) -> bool {
        let named = (!hop.interface.is_empty()).then_some(hop.interface);
        let only = match named.map(|name| index.by_name.get(&name)) {
            // Told already.
            Some(None) => return false,
            Some(Some(&at)) => Some(at),
            None => None,
        };
        let Some(via) = hop.via else { return true };
        let is_of_link = matches!(via, IpAddr::V6(via) if via.is_unicast_link_local());
        if is_of_link && only.is_none() {
            self.problem(
                hop.position,
                format!("the gateway {via} may be on any link"),
                "expected the interface that it is behind",
                "add dev = \"INTERFACE\": an address of fe80::/10 means another host on each link",
            );
            return false;
        }
        let found = match only {
            // Each interface has an address of the link.
            Some(at) => Some(at).filter(|at| is_of_link || index.holds(*at, via)),
            None => index.first_with(via),
        };
        let Some(at) = found else {
            let (candidates, in_all) = match only {
                Some(at) => (&interfaces[at..=at], interfaces[at].addresses.len()),
                None => (interfaces, index.own.len()),
            };
            let subnets = candidates.iter().flat_map(|it| &it.addresses).map(subnet_text);
            let subnets = some_of(subnets, in_all, " or ");
            self.problem(
                hop.position,
                match named {
                    Some(name) => format!("the gateway {via} is not reached through interface {name}"),
                    None => format!("the gateway {via} is in the subnet of no interface"),
                },
                format!("expected an address in {subnets}"),
                "a gateway must be a neighbour: correct it, or give an interface an address of its subnet",
            );
            return false;
        };
        let interface = &interfaces[at];
        if index.is_own(at, via) {
            self.problem(
                hop.position,
                format!("the gateway {via} is the router itself"),
                "expected a neighbour's address",
                format!(
                    "name another router on {}, or use dev = \"{}\"",
                    interface.name, interface.name
                ),
            );
            return false;
        }
        hop.interface = interface.name;
        true
    }
}

impl LabFile {
    /// A live lab's wires carry no link addresses: which of several gateways a packet is handed to is told by its interface alone. So where an interface has
    /// hosts, one gateway of a route at most may be behind it.
    pub fn tells_gateways_apart(&self) -> Result<(), SourceError> {
        let mut problems = Vec::new();
        for route in &self.routes {
            let mut wires = HashSet::new();
            for hop in route.hops.iter().filter(|hop| hop.via.is_some()) {
                let is_second = !wires.insert(hop.interface);
                if is_second && self.hosts_of(hop.interface).next().is_some() {
                    problems.push(Problem::new(
                        hop.position,
                        format!("a live lab does not tell two gateways on {} apart", hop.interface),
                        "expected one gateway of this route on an interface with hosts",
                        "put each behind an interface of its own; in memory (`nflab run`, `test`, `repl`) it is all the same",
                    ));
                }
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(self.source.error(problems)),
        }
    }
}

const SEVERAL_REMEDY: &str =
    "write several gateways as nexthop = [{ via = \"ADDRESS\", weight = 2 }, { via = \"ADDRESS\" }]";

/// As `ip route` takes it.
const MOST_WEIGHT: u16 = 256;
