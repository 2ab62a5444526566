//! What `ip -6 addr change` and `replace` make of an address that is there, and of the routes to its network and to its peer's. All of it was read from
//! `ip -6 route show table all` on Linux 6.18.

use std::net::IpAddr;

use super::assign::route_to;
use crate::base::{Family, InterfaceId};
use crate::net::tables::{Entry, Tables};
use crate::net::{Address, AddressFlags, Net, Prefix, table};

impl Net {
    /// Flags and peer are those that are told now, and the metric where one is told; its network stays, whatever is told. It is led to anew then: the
    /// first route there over the link without a gateway, whoever added it, gives way to one with the address's metric if its own is another.
    pub(in crate::net) fn change_ipv6_address(&mut self, id: InterfaceId, before: &Address, told: &Address) {
        let changed = Address {
            metric: if told.metric == 0 { before.metric } else { told.metric },
            flags: told.flags.changed_to(before.flags, AddressFlags::TENTATIVE),
            peer: told.peer.or(before.peer),
            ..*before
        };
        self.describe_as(id, before, changed);
        if changed.flags.has(AddressFlags::TENTATIVE) || !self.interface(id).is_up {
            return;
        }
        // Seen: of the network's length, other than the peer's route that the address brought.
        let network_of = |address: IpAddr| Prefix::containing(address, before.prefix_length);
        if changed.peer != before.peer
            && let Some(network) = before.peer.and_then(network_of)
        {
            self.remove_route_over(id, network);
        }
        let had_routes = !before.flags.has(AddressFlags::NO_PREFIX_ROUTE);
        if changed.flags.has(AddressFlags::NO_PREFIX_ROUTE) {
            if had_routes && !self.is_network_of_another(id, &changed) {
                self.remove_route_over(id, changed.network());
            }
            return;
        }
        for network in [Some(changed.address), changed.peer]
            .into_iter()
            .flatten()
            .filter_map(network_of)
        {
            self.lead_anew(id, &changed, network, had_routes);
        }
    }

    fn lead_anew(&mut self, id: InterfaceId, address: &Address, network: Prefix, had_routes: bool) {
        let route = route_to(id, address, network);
        // With the address go its own network's, and its peer's own.
        let goes_with_it = network == address.network() || address.prefix_length == 128;
        let owner = goes_with_it.then(|| (id, address.address, address.network()));
        let tables = &mut self.ways_mut(Family::V6).tables;
        if had_routes && let Some((at, metric)) = first_over(tables, id, network) {
            if metric == route.metric {
                return;
            }
            tables.remove_at(at);
        }
        tables.insert_once(route, owner);
    }

    fn is_network_of_another(&self, id: InterfaceId, address: &Address) -> bool {
        let mut others = self
            .interface(id)
            .addresses_of(Family::V6)
            .filter(|it| it.address != address.address);
        others.any(|it| it.network() == address.network())
    }

    fn remove_route_over(&mut self, id: InterfaceId, network: Prefix) {
        let tables = &mut self.ways_mut(Family::V6).tables;
        if let Some((at, _)) = first_over(tables, id, network) {
            tables.remove_at(at);
        }
    }
}

/// The place of the first that leads so, and its metric.
fn first_over(tables: &Tables, id: InterfaceId, network: Prefix) -> Option<(usize, u32)> {
    let mut all = tables.all().enumerate();
    let (at, found) = all.find(|(_, it)| leads_over(it, id, network))?;
    Some((at, found.route.metric))
}

/// A route of the main table to there over the link, without a gateway.
pub(in crate::net) fn leads_over(entry: &Entry, id: InterfaceId, network: Prefix) -> bool {
    let route = &entry.route;
    (route.table, route.to, route.interface, route.via) == (table::MAIN, network, Some(id), None)
}
