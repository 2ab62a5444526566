//! Addresses that come and go, and the routes that go with them: `ip address`. Each behaviour was seen on Linux 6.18.

use std::net::{IpAddr, Ipv4Addr};

use super::sysctl::ConfKnob;
use super::tables::Entry;
use super::{
    Address, AddressFlags, ConfigError, Net, Prefix, Route, RouteKind, RouteProtocol, RouteSelector, Scope, table, v6,
};
use crate::base::{Family, InterfaceId, InterfaceName};

/// An address as `ip address add` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAddress {
    /// The host's own on this link.
    pub address: IpAddr,
    /// How many of its bits are the network's.
    pub prefix_length: u8,
    /// `None`: host for 127.0.0.0/8, else global. IPv6 tells it by the address itself.
    pub scope: Option<Scope>,
    /// `brd`; `None` is none, and the network's last address is routed as one all the same.
    pub broadcast: Option<IpAddr>,
    /// `label`: another name that `ip address` shows it by.
    pub label: Option<InterfaceName>,
    /// `peer`: the host at the other end.
    pub peer: Option<IpAddr>,
    /// `metric`; 0 is none.
    pub metric: u32,
    /// What else is said of it; of what only IPv6 has, IPv4 takes no notice.
    pub flags: AddressFlags,
}

impl NewAddress {
    /// `ip address add ADDRESS/LENGTH` and nothing else.
    pub fn new(address: IpAddr, prefix_length: u8) -> Self {
        Self {
            address,
            prefix_length,
            scope: None,
            broadcast: None,
            label: None,
            peer: None,
            metric: 0,
            flags: AddressFlags::default(),
        }
    }

    /// As `ifupdown` and its like configure one: `brd +`.
    pub fn with_broadcast(address: IpAddr, prefix_length: u8) -> Self {
        let broadcast = match address {
            IpAddr::V4(v4) if prefix_length < 31 && !v4.is_loopback() => {
                Some(std::net::Ipv4Addr::from_bits(v4.to_bits() | u32::MAX >> prefix_length).into())
            }
            _ => None,
        };
        Self {
            broadcast,
            ..Self::new(address, prefix_length)
        }
    }
}

/// What becomes of the addresses that stand in the network of one that goes, and of the routes that name them as their source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secondaries {
    /// The first takes the place of the one that goes.
    FirstStands,
    /// They go with it, and the routes with them.
    Go,
    /// They go with it. Seen: of a whole interface that goes, the routes that name a secondary address, and lead over another, stay.
    GoWithLink,
}

impl Net {
    /// Adds the routes that come with an address too: itself, its network, the network's broadcast address.
    pub fn add_address(&mut self, id: InterfaceId, address: IpAddr, prefix_length: u8) -> Result<(), ConfigError> {
        self.assign(id, NewAddress::new(address, prefix_length))
    }

    /// `add_address` with all that `ip address add` can say.
    pub fn assign(&mut self, id: InterfaceId, new: NewAddress) -> Result<(), ConfigError> {
        let NewAddress {
            address, prefix_length, ..
        } = new;
        if prefix_length > Family::of(address).bits() {
            return Err(ConfigError::BadPrefixLength(address, prefix_length));
        }
        let made = new.made();
        if address.is_ipv6() {
            self.interface_mut(id)?;
            // Whatever the length.
            let interface = self.interface(id);
            v6::check_address(address, id)?;
            if !interface.is_wide_enough_for_ipv6() {
                return Err(ConfigError::TooNarrowForIpv6(interface.name));
            }
            if !self.may_have_ipv6(interface) {
                return Err(ConfigError::NoIpv6Here(interface.name));
            }
            if interface.addresses.iter().any(|it| it.address == address) {
                return Err(ConfigError::AddressExists(address, prefix_length));
            }
            self.put_address(id, new);
            if address.is_loopback() && self.interface(id).is_up && !made.flags.has(AddressFlags::NO_PREFIX_ROUTE) {
                // As any address that somebody gives; what `lo` has by itself brings none.
                let owner = (id, address, made.network());
                let route = v6::route_to_network(id, &made);
                self.ways_mut(Family::V6).tables.insert_once(route, Some(owner));
            }
            return Ok(());
        }
        let beside = self.interface_mut(id)?.beside(&made);
        if beside.has_same {
            return Err(ConfigError::AddressExists(address, prefix_length));
        }
        if let Some(other) = beside.of_other_scope {
            return Err(ConfigError::InvalidScope(other));
        }
        self.put_address(id, new);
        if self.interface(id).is_up {
            self.revive_ways(id, Family::V4);
        }
        Ok(())
    }

    /// Gives an address that is there the scope, broadcast address and label of another description of it.
    pub fn describe_address(&mut self, id: InterfaceId, as_told: &Address) -> Result<(), ConfigError> {
        let same = |it: &&mut Address| it.address == as_told.address && it.network() == as_told.network();
        let list = self.interface_mut(id)?.addresses_mut();
        let found = list.iter_mut().find(same);
        let found = found.ok_or(ConfigError::NoAddress(as_told.address, as_told.prefix_length))?;
        let before = *found;
        *found = Address {
            secondary: found.secondary,
            ..*as_told
        };
        let (found, left) = (*found, list.clone());
        self.hand_over(id, std::iter::once(&before), &left);
        // Of IPv6 a link that is down has the routes that it has: what was kept on it has none.
        if found.address.is_ipv4() || self.interface(id).is_up {
            self.put_routes_of(id, &found);
        }
        Ok(())
    }

    /// `ip address change` or `replace`: adds it where it is not there. Of one of IPv4 only the metric and whether it is deprecated are changed.
    pub fn change_address(&mut self, id: InterfaceId, new: NewAddress) -> Result<(), ConfigError> {
        let made = new.made();
        let is_it =
            |it: &&Address| it.address == made.address && (made.address.is_ipv6() || it.network() == made.network());
        self.interface_mut(id)?;
        let Some(before) = self.interface(id).addresses.iter().find(is_it).copied() else {
            return self.assign(id, new);
        };
        if made.address.is_ipv6() {
            self.change_ipv6_address(id, &before, &made);
            return Ok(());
        }
        let changed = Address {
            metric: made.metric,
            flags: before.flags.changed_to(made.flags, AddressFlags::DEPRECATED),
            ..before
        };
        self.describe_as(id, &before, changed);
        if before.metric != changed.metric && self.interface(id).is_up {
            self.change_ipv4_metric(id, &before, &changed);
        }
        Ok(())
    }

    /// Seen: the route to its network is added with the new metric, if the host has its source; and then the first is deleted that has the old one, where
    /// that was none the first of all.
    fn change_ipv4_metric(&mut self, id: InterfaceId, before: &Address, changed: &Address) {
        let Some(route) = route_to_network(id, changed, changed.address) else {
            return;
        };
        let is_local = self.is_local(changed.address);
        if is_local {
            let tables = &mut self.ways_mut(Family::V4).tables;
            tables.insert_once(route.clone(), Some((id, changed.address, changed.network())));
        }
        let of_before = RouteSelector {
            to: Some(route.to),
            table: Some(route.table),
            kind: Some(route.kind),
            scope: Some(route.scope),
            interface: route.interface,
            source: route.source,
            protocol: Some(route.protocol),
            metric: (before.metric != 0).then_some(before.metric),
            ..RouteSelector::default()
        };
        // Somebody may have deleted it.
        let _ = self.remove_first_route(&of_before);
    }

    /// Writes down what is told of an address that is there, and nothing else.
    pub(super) fn describe_as(&mut self, id: InterfaceId, before: &Address, changed: Address) {
        let Ok(interface) = self.interface_mut(id) else { return };
        if let Some(found) = interface.addresses_mut().iter_mut().find(|it| *it == before) {
            *found = changed;
        }
    }

    /// With a primary address its secondaries go, unless `promote_secondaries` is on: then the first of them takes its place. Its routes go, and
    /// routes of the main table that name it as source. Routes through a gateway of its network stay, but with the interface's last address
    /// every route over it goes.
    pub fn remove_address(&mut self, id: InterfaceId, address: IpAddr, prefix_length: u8) -> Result<(), ConfigError> {
        let same = |it: &&Address| it.address == address && it.prefix_length == prefix_length;
        let found = self.interface(id).addresses.iter().find(same).copied();
        let found = found.ok_or(ConfigError::NoAddress(address, prefix_length))?;
        self.remove_this_address(id, &found)
    }

    /// What is wrong where this one was to go: a link that is too narrow for IPv6 has none at all.
    pub fn has_no_address(&self, id: InterfaceId, address: IpAddr, prefix_length: u8) -> ConfigError {
        let interface = self.interface(id);
        match address.is_ipv6() && !interface.is_wide_enough_for_ipv6() {
            true => ConfigError::NoIpv6Here(interface.name),
            false => ConfigError::NoAddress(address, prefix_length),
        }
    }

    /// The same for this very one, where several hosts are at the other end.
    pub fn remove_this_address(&mut self, id: InterfaceId, it: &Address) -> Result<(), ConfigError> {
        let secondaries = match self.conf(self.interface(id), ConfKnob::PromoteSecondaries) {
            0 => Secondaries::Go,
            _ => Secondaries::FirstStands,
        };
        self.take_address(id, it, secondaries)
    }

    pub(super) fn take_address(
        &mut self,
        id: InterfaceId,
        it: &Address,
        secondaries: Secondaries,
    ) -> Result<(), ConfigError> {
        let address = it.address;
        let list = self.interface_mut(id)?.addresses_mut();
        let same = |other: &Address| other.address == address && other.network() == it.network();
        let at = list.iter().position(same);
        let at = at.ok_or(ConfigError::NoAddress(address, it.prefix_length))?;
        let gone = list.remove(at);
        if address.is_ipv6() {
            let left = list.clone();
            let others = left.iter().filter(|it| it.network() == gone.network());
            self.give_up_network(id, &gone, &others.collect::<Vec<_>>());
            self.hand_over(id, std::iter::once(&gone), &left);
            // Seen: routes go on naming what went with its link.
            if secondaries != Secondaries::GoWithLink {
                self.forget_ipv6_source(address);
            }
            return Ok(());
        }
        let dependent = |it: &Address| !gone.secondary && it.secondary && it.is_beside(&gone);
        let dependents: Vec<Address> = list.iter().copied().filter(dependent).collect();
        let mut lost = vec![gone];
        if secondaries == Secondaries::FirstStands
            && let Some(first) = dependents.first()
        {
            list.retain(|it| it != first);
            // Behind the last of the primaries whose scope is not wider than that of the one that goes.
            let at = list
                .iter()
                .rposition(|it| it.address.is_ipv4() && !it.secondary && it.scope >= gone.scope)
                .map_or(0, |at| at + 1);
            let first = Address {
                secondary: false,
                ..*first
            };
            list.insert(at, first);
        } else {
            list.retain(|it| !dependent(it));
            lost.extend(&dependents);
        }
        let left = list.clone();
        self.hand_over(id, lost.iter().chain(&dependents), &left);
        for address in left.iter().filter(|it| !dependents.is_empty() && it.is_beside(&gone)) {
            self.put_routes_of(id, address);
        }
        let named = match secondaries {
            Secondaries::GoWithLink => 1,
            Secondaries::Go | Secondaries::FirstStands => lost.len(),
        };
        for gone in &lost[..named] {
            if !self.is_local(gone.address) {
                self.ways_mut(Family::V4)
                    .tables
                    .retain(|entry| entry.route.source != Some(gone.address) || entry.route.table != table::MAIN);
            }
        }
        if left.iter().all(|it| it.address.is_ipv6()) {
            let tables = &mut self.ways_mut(Family::V4).tables;
            tables.retain(|entry| entry.route.survives(id));
        }
        Ok(())
    }

    /// Seen: with the last address of a network of IPv6 the first of the routes to that goes which lead over the link without a gateway, whoever
    /// added it; the one that the address brought stays then. While others of the network are there all its routes stay, whoever brought them.
    fn give_up_network(&mut self, id: InterfaceId, gone: &Address, others: &[&Address]) {
        let brings_route = |it: &Address| !it.flags.has(AddressFlags::NO_PREFIX_ROUTE);
        let owner_of = |it: &Address| (id, it.address, it.network());
        let heir = others.iter().find(|it| brings_route(it)).map(|it| owner_of(it));
        let is_given_up = others.is_empty() && brings_route(gone);
        let mut is_first = true;
        self.ways_mut(Family::V6).tables.retain(|entry| {
            if v6::leads_over(entry, id, gone.network()) {
                if is_given_up && is_first {
                    entry.owner = Some(owner_of(gone));
                } else if entry.owner == Some(owner_of(gone)) {
                    entry.owner = heir;
                }
                is_first = false;
            }
            true
        });
    }

    /// The routes of addresses that go, or change their primary, go; but what another address brought too stays, for that one's sake.
    fn hand_over<'a>(&mut self, id: InterfaceId, gone: impl Iterator<Item = &'a Address>, left: &[Address]) {
        let owner = |it: &Address| (id, it.address, it.network());
        let gone: Vec<_> = gone.map(owner).collect();
        let brought: Vec<_> = left
            .iter()
            .map(|it| (owner(it), self.brought_by(id, it, primary_of(left, it))))
            .collect();
        let keep = |entry: &mut Entry| {
            if entry.owner.is_some_and(|it| gone.contains(&it)) {
                let heir = brought.iter().find(|(_, routes)| routes.contains(&entry.route));
                entry.owner = heir.map(|(owner, _)| *owner);
                return heir.is_some();
            }
            true
        };
        for ways in self.all_ways() {
            ways.tables.retain(keep);
        }
    }

    /// The routes that an address brings to a link that is up.
    fn brought_by(&self, id: InterfaceId, address: &Address, primary: IpAddr) -> Vec<Route> {
        match address.address {
            IpAddr::V4(_) => routes_of(id, address, primary),
            IpAddr::V6(_) => {
                let forwards = self.conf_ipv6(self.interface(id), v6::ConfKnob::Forwarding) != 0;
                v6::routes_of(id, address, forwards)
            }
        }
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.lookup_local(address)
            .is_some_and(|route| route.kind == RouteKind::Local)
    }

    pub(super) fn put_address(&mut self, id: InterfaceId, new: NewAddress) {
        let mut made = new.made();
        let Ok(interface) = self.interface_mut(id) else { return };
        made.secondary = made.address.is_ipv4() && interface.beside(&made).any;
        // Primaries stand before secondaries, and among them those of narrower scope first.
        let of_ipv4 = interface.addresses_of(Family::V4).count();
        let at = match made.address {
            IpAddr::V4(_) if made.secondary => of_ipv4,
            IpAddr::V4(_) => {
                interface.addresses[..of_ipv4].partition_point(|it| !it.secondary && it.scope >= made.scope)
            }
            // Those that are known farther stand first, and of the same scope the newest.
            IpAddr::V6(_) => of_ipv4 + interface.addresses[of_ipv4..].partition_point(|it| it.scope < made.scope),
        };
        interface.insert_address(at, made);
        if made.address.is_ipv4() {
            interface.conf.settle();
        }
        self.put_routes_of(id, &made);
    }

    /// What addresses bring and somebody removed.
    pub fn missing_routes(&self) -> Vec<Route> {
        let mut missing = Vec::new();
        for interface in &self.interfaces {
            let kept = |it: &&Address| it.flags.has(AddressFlags::TENTATIVE);
            for address in interface.addresses.iter().filter(|it| !kept(it)) {
                let primary = primary_of(&interface.addresses, address);
                let brought = self.brought_by(interface.id, address, primary).into_iter();
                let brought = brought.filter(|route| interface.is_up || stays_down(route));
                missing.extend(brought.filter(|route| !self.routes(route.to.family()).any(|it| it == route)));
            }
        }
        missing
    }

    /// The routes of an address, as far as they are not there. A link that is down has only the addresses themselves, and none that it kept.
    pub(super) fn put_routes_of(&mut self, id: InterfaceId, address: &Address) {
        self.put_those_routes_of(id, address, |_| true);
    }

    pub(super) fn put_those_routes_of(&mut self, id: InterfaceId, address: &Address, are_meant: fn(&Route) -> bool) {
        if address.flags.has(AddressFlags::TENTATIVE) {
            return;
        }
        let Ok(interface) = self.interface_mut(id) else { return };
        let primary = interface.beside(address).primary.unwrap_or(address.address);
        let is_up = interface.is_up;
        for route in self.brought_by(id, address, primary) {
            // Seen: of IPv4 none but its own names a source that the host has not.
            let may_speak = route
                .source
                .is_none_or(|it| route.to == Prefix::host(it) || self.is_local(it));
            if are_meant(&route) && (is_up || stays_down(&route)) && may_speak {
                let tables = &mut self.ways_mut(route.to.family()).tables;
                tables.insert_once(route, Some((id, address.address, address.network())));
            }
        }
    }
}

impl NewAddress {
    fn made(self) -> Address {
        let scope = match self.address {
            IpAddr::V4(v4) if v4.is_loopback() => self.scope.or(Some(Scope::Host)),
            IpAddr::V4(_) => self.scope,
            IpAddr::V6(v6) => Some(v6::scope_of(v6)),
        };
        Address {
            address: self.address,
            prefix_length: self.prefix_length,
            secondary: false,
            scope: scope.unwrap_or(Scope::Universe),
            broadcast: self.broadcast,
            label: self.label,
            peer: self.peer.filter(|peer| *peer != self.address),
            metric: self.metric,
            flags: match self.address {
                IpAddr::V4(_) => self.flags.of_ipv4(),
                IpAddr::V6(_) => self.flags,
            },
        }
    }
}

impl Address {
    /// In one network with the other: one of them is the primary, the others are secondaries.
    fn is_beside(&self, other: &Self) -> bool {
        self.beside()(other)
    }

    /// The same for many others.
    fn beside(&self) -> impl Fn(&Self) -> bool + use<> {
        let network = self.network();
        move |other| other.network() == network
    }
}

/// A link that is down still has this.
fn stays_down(route: &Route) -> bool {
    match route.to.family() {
        Family::V4 => route.scope == Scope::Host && route.to.length() == 32,
        Family::V6 => matches!(route.kind, RouteKind::Local | RouteKind::Anycast),
    }
}

/// The address that the routes of this one name as source.
fn primary_of(all: &[Address], address: &Address) -> IpAddr {
    let beside = address.beside();
    let primary = all.iter().find(|it| !it.secondary && beside(it));
    primary.map_or(address.address, |it| it.address)
}

/// The routes that an address brings, as `ip route show table all` lists them. A secondary's own route names its primary as source.
fn routes_of(id: InterfaceId, new: &Address, primary: IpAddr) -> Vec<Route> {
    let network = new.network();
    let base = |to, kind, scope| brought(id, primary, to, kind, scope);
    let broadcast = |to| base(Prefix::host(to), RouteKind::Broadcast, Scope::Link);
    let mut routes = vec![base(Prefix::host(new.address), RouteKind::Local, Scope::Host)];
    let IpAddr::V4(start) = network.address() else {
        return routes;
    };
    if let Some(named) = new.broadcast
        && named != IpAddr::from([255; 4])
    {
        routes.push(broadcast(named));
    }
    routes.extend(route_to_network(id, new, primary));
    if new.secondary || begins_no_network(start) {
        return routes;
    }
    if new.prefix_length < 31 {
        let last = start | Ipv4Addr::from_bits(u32::MAX >> new.prefix_length);
        routes.push(broadcast(last.into()));
    }
    routes
}

/// The route to the network of an address of IPv4, if it brings one.
fn route_to_network(id: InterfaceId, new: &Address, primary: IpAddr) -> Option<Route> {
    let network = new.network();
    let (IpAddr::V4(start), IpAddr::V4(own)) = (network.address(), new.address) else {
        return None;
    };
    let is_routed = new.prefix_length < 32 || start != own;
    if new.secondary || begins_no_network(start) || !is_routed || new.flags.has(AddressFlags::NO_PREFIX_ROUTE) {
        return None;
    }
    let route = match id == InterfaceId::LOOPBACK {
        true => brought(id, primary, network, RouteKind::Local, Scope::Host),
        false => brought(id, primary, network, RouteKind::Unicast, Scope::Link),
    };
    Some(Route {
        metric: new.metric,
        ..route
    })
}

/// Networks that begin with 0.0.0.0 and multicast networks get no routes.
fn begins_no_network(start: Ipv4Addr) -> bool {
    start.is_unspecified() || start.is_multicast() || start.is_broadcast()
}

fn brought(id: InterfaceId, primary: IpAddr, to: Prefix, kind: RouteKind, scope: Scope) -> Route {
    Route {
        kind,
        table: match kind {
            RouteKind::Unicast => table::MAIN,
            _ => table::LOCAL,
        },
        scope,
        interface: Some(id),
        source: Some(primary),
        protocol: RouteProtocol::KERNEL,
        ..Route::new(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net() -> Net {
        let mut net = Net::new();
        for name in ["da", "db"] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
        }
        net
    }

    fn shown(net: &Net) -> Vec<String> {
        let line = |it: &Route| {
            let interface = it.interface.map_or("-", |id| net.interface(id).name.as_str());
            format!(
                "{:?} {} {interface} {} {:?} {:?}",
                it.kind, it.to, it.table, it.scope, it.source
            )
        };
        let mut lines: Vec<String> = net
            .routes(Family::V4)
            .filter(|it| it.interface != Some(InterfaceId::LOOPBACK))
            .map(line)
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn routes_that_come_with_addresses() {
        let mut net = net();
        let (a, b) = (InterfaceId(1), InterfaceId(2));
        for (id, address, length) in [
            (a, "10.0.0.1", 24),
            (a, "10.0.0.2", 24),
            (b, "10.1.0.1", 30),
            (b, "10.1.1.1", 31),
            (b, "10.1.2.1", 32),
        ] {
            net.add_address(id, address.parse().unwrap(), length).unwrap();
        }
        assert_eq!(
            shown(&net),
            [
                "Broadcast 10.0.0.255/32 da 255 Link Some(10.0.0.1)",
                "Broadcast 10.1.0.3/32 db 255 Link Some(10.1.0.1)",
                "Local 10.0.0.1/32 da 255 Host Some(10.0.0.1)",
                "Local 10.0.0.2/32 da 255 Host Some(10.0.0.1)",
                "Local 10.1.0.1/32 db 255 Host Some(10.1.0.1)",
                "Local 10.1.1.1/32 db 255 Host Some(10.1.1.1)",
                "Local 10.1.2.1/32 db 255 Host Some(10.1.2.1)",
                "Unicast 10.0.0.0/24 da 254 Link Some(10.0.0.1)",
                "Unicast 10.1.0.0/30 db 254 Link Some(10.1.0.1)",
                "Unicast 10.1.1.0/31 db 254 Link Some(10.1.1.1)",
            ]
        );
        assert!(net.interface(a).addresses[1].secondary);
        net.remove_address(a, "10.0.0.1".parse().unwrap(), 24).unwrap();
        assert!(
            net.interface(a).addresses.is_empty(),
            "secondaries go with their primary"
        );
        assert_eq!(shown(&net).len(), 6);
    }

    #[test]
    fn a_secondary_is_promoted_behind_the_other_primaries() {
        let mut net = net();
        let a = InterfaceId(1);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for text in ["10.0.0.1", "10.1.0.1", "10.0.0.2", "10.0.0.3"] {
            net.add_address(a, address(text), 24).unwrap();
        }
        net.sysctl_set("net.ipv4.conf.da.promote_secondaries", "1").unwrap();
        net.remove_address(a, address("10.0.0.1"), 24).unwrap();
        let list = net.interface(a).addresses.iter();
        let list: Vec<String> = list.map(|it| format!("{} {}", it.address, it.secondary)).collect();
        assert_eq!(list, ["10.1.0.1 false", "10.0.0.2 false", "10.0.0.3 true"]);
        assert_eq!(
            shown(&net),
            [
                "Broadcast 10.0.0.255/32 da 255 Link Some(10.0.0.2)",
                "Broadcast 10.1.0.255/32 da 255 Link Some(10.1.0.1)",
                "Local 10.0.0.2/32 da 255 Host Some(10.0.0.2)",
                "Local 10.0.0.3/32 da 255 Host Some(10.0.0.2)",
                "Local 10.1.0.1/32 da 255 Host Some(10.1.0.1)",
                "Unicast 10.0.0.0/24 da 254 Link Some(10.0.0.2)",
                "Unicast 10.1.0.0/24 da 254 Link Some(10.1.0.1)",
            ]
        );
    }

    /// Routes by a source or a gateway, and what is left of them.
    #[test]
    fn what_goes_with_an_address() {
        let mut net = net();
        let a = InterfaceId(1);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, length) in [("10.0.0.1", 24), ("10.1.0.1", 24), ("10.1.0.1", 25)] {
            net.add_address(a, address(text), length).unwrap();
        }
        for (to, table) in [("10.7.0.0/16", table::MAIN), ("10.8.0.0/16", 100)] {
            net.add_route(Route {
                via: Some(address("10.1.0.9")),
                source: Some(address("10.0.0.1")),
                table,
                ..Route::new(to.parse().unwrap())
            })
            .unwrap();
        }
        let has = |net: &Net, to: &str| net.routes(Family::V4).any(|it| it.to == to.parse().unwrap());
        net.remove_address(a, address("10.0.0.1"), 24).unwrap();
        assert!(!has(&net, "10.7.0.0/16"), "its source is gone");
        assert!(has(&net, "10.8.0.0/16"), "the kernel looks into the main table only");
        net.remove_address(a, address("10.1.0.1"), 24).unwrap();
        assert!(
            has(&net, "10.1.0.1/32") && !has(&net, "10.1.0.0/24"),
            "two brought it, one is left"
        );
        net.remove_address(a, address("10.1.0.1"), 25).unwrap();
        assert_eq!(shown(&net), [""; 0], "with the last address every route goes");
    }
}
