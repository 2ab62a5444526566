//! Interfaces that come, go, go down and up again, and what goes with them: `ip link`.

use std::net::IpAddr;
use std::sync::Arc;

use super::assign::Secondaries;
use super::config::{Interface, LOOPBACK_MTU};
use super::networks::Networks;
use super::{ConfigError, Net, NewAddress, Route, Scope, v6};
use crate::base::{Family, InterfaceId, InterfaceName};

impl Net {
    /// A new interface, which is up. MTU bounds are those of a TUN device.
    pub fn add_interface(&mut self, name: InterfaceName, mtu: u32) -> Result<InterfaceId, ConfigError> {
        self.check_name(name)?;
        check_mtu(mtu)?;
        if self.next_id > u32::from(u16::MAX) {
            return Err(ConfigError::TooManyInterfaces);
        }
        let id = self.push_interface(name, mtu);
        self.attach_rules();
        Ok(id)
    }

    /// Makes an interface, or takes the one of this name, and gives it addresses: all of them, or everything stays as it was.
    pub fn furnish(&mut self, name: InterfaceName, mtu: u32, addresses: &[NewAddress]) -> Result<(), ConfigError> {
        match (self.by_name(name.as_str()).map(|it| it.id), addresses) {
            (Some(id), []) => self.interface_mut(id).map(drop),
            (Some(id), [new]) => self.assign(id, *new),
            (Some(id), _) => {
                let mut furnished = self.clone();
                addresses.iter().try_for_each(|new| furnished.assign(id, *new))?;
                *self = furnished;
                Ok(())
            }
            (None, _) => {
                let id = self.add_interface(name, mtu)?;
                self.give_up_own_of_link(id, addresses.iter().map(|new| new.address));
                let result = addresses.iter().try_for_each(|new| self.assign(id, *new));
                if result.is_err() {
                    self.remove_interface(id)?;
                    self.next_id -= 1;
                }
                result
            }
        }
    }

    /// Where one of these is an address of the link, the interface has that instead of the one that it has by itself.
    pub(crate) fn give_up_own_of_link(&mut self, id: InterfaceId, given: impl IntoIterator<Item = IpAddr>) {
        let is_of_link = |it: IpAddr| matches!(it, IpAddr::V6(given) if given.is_unicast_link_local());
        if given.into_iter().any(is_of_link) {
            // Where it is not there, there is none to give up.
            let _ = self.remove_address(id, v6::OF_LINK.into(), 64);
        }
    }

    /// With it go its addresses and every route over it; rules that name it stay, and fit nothing until there is one of that name again.
    pub fn remove_interface(&mut self, id: InterfaceId) -> Result<(), ConfigError> {
        if id == InterfaceId::LOOPBACK {
            return Err(ConfigError::LoopbackStays);
        }
        let at = self.position(id).ok_or(ConfigError::NoInterface(id))?;
        for address in self.interfaces[at].addresses.clone() {
            // With the primary its secondaries are gone already.
            let _ = self.take_address(id, &address, Secondaries::GoWithLink);
        }
        for ways in self.all_ways() {
            ways.tables.retain(|entry| entry.route.outlives(id));
        }
        let gone = self.interfaces.remove(at);
        Arc::make_mut(&mut self.names).remove(&gone.name);
        self.attach_rules();
        Ok(())
    }

    /// Rules that name the old name fit nothing any more, and those that name the new one fit. Its addresses and routes stay.
    pub fn rename_interface(&mut self, id: InterfaceId, name: InterfaceName) -> Result<(), ConfigError> {
        if self.interface(id).name != name {
            self.check_name(name)?;
        }
        let old = std::mem::replace(&mut self.interface_mut(id)?.name, name);
        let names = Arc::make_mut(&mut self.names);
        names.remove(&old);
        names.insert(name, id);
        self.attach_rules();
        Ok(())
    }

    /// Seen on Linux 6.18. Down: every route over it goes, whoever added it, but for those of scope host, so that its addresses are still the
    /// router's own; those of IPv6 go with it. Up: the networks of its addresses are routed again; what was added by hand does not come
    /// back. `lo` comes up with its address.
    pub fn set_link_up(&mut self, id: InterfaceId, up: bool) -> Result<(), ConfigError> {
        let interface = self.interface_mut(id)?;
        if interface.is_up == up {
            return Ok(());
        }
        interface.is_up = up;
        if up {
            if id == InterfaceId::LOOPBACK {
                // Where it is there, or does not go together with another, there is none to add.
                let _ = self.assign(id, NewAddress::new([127, 0, 0, 1].into(), 8));
            }
            self.ask_for_addresses(id, false);
            for address in self.interface(id).addresses.clone() {
                self.put_routes_of(id, &address);
            }
            self.begin_ipv6(id);
            self.mtu_of_ipv6_begins_anew(id)?;
            self.revive_ways(id, Family::V4);
        } else {
            self.ways_mut(Family::V4)
                .tables
                .retain(|entry| matches!(entry.route.scope, Scope::Host | Scope::Nowhere) || entry.route.survives(id));
            self.ipv6_goes_down(id);
        }
        Ok(())
    }

    /// Packets from now on are held to it. Routes with an `mtu` of their own keep that, as far as the link takes it; those of IPv6 have the link's from now on
    /// where theirs is no less, or was the link's before, unless it is locked. Below 1280 the interface has no IPv6, but for
    /// `lo`, which only loses what it has of it.
    pub fn set_mtu(&mut self, id: InterfaceId, mtu: u32) -> Result<(), ConfigError> {
        if (id, mtu) != (InterfaceId::LOOPBACK, LOOPBACK_MTU) {
            check_mtu(mtu)?;
        }
        let before_in_ipv6 = self.ipv6_mtu(self.interface(id));
        let interface = self.interface_mut(id)?;
        let before = std::mem::replace(&mut interface.mtu, mtu);
        if before == mtu {
            return Ok(());
        }
        if mtu >= v6::LEAST_MTU || id != InterfaceId::LOOPBACK {
            interface.conf6.follow_link();
        }
        if id == InterfaceId::LOOPBACK {
            self.mtu_of_loopback_changed(before);
            return Ok(());
        }
        match (before < v6::LEAST_MTU, mtu < v6::LEAST_MTU) {
            (false, true) => {
                self.ways_mut(Family::V6)
                    .tables
                    .retain(|entry| entry.route.outlives(id));
                self.end_ipv6(id);
            }
            (true, false) => {
                // As if it were new.
                let conf = self.sysctls.v6.default_conf();
                self.interface_mut(id)?.conf6 = conf;
                self.begin_ipv6(id);
            }
            (false, false) => self.mtus_of_routes_follow(id, before_in_ipv6, mtu),
            (true, true) => {}
        }
        Ok(())
    }

    /// What `net.ipv6.conf.*.mtu` was set to, holds until the link comes up again.
    fn mtu_of_ipv6_begins_anew(&mut self, id: InterfaceId) -> Result<(), ConfigError> {
        let interface = self.interface(id);
        let (before, now) = (self.ipv6_mtu(interface), interface.mtu);
        if before != now && now >= v6::LEAST_MTU {
            self.interface_mut(id)?.conf6.follow_link();
            self.mtus_of_routes_follow(id, before, now);
        }
        Ok(())
    }

    fn mtus_of_routes_follow(&mut self, id: InterfaceId, before: u32, now: u32) {
        let follow = |route: &mut Route| {
            if route.interface == Some(id)
                && !route.mtu_is_locked
                && route.mtu.is_some_and(|it| it >= now || it == before)
            {
                route.mtu = Some(now);
            }
        };
        self.ways_mut(Family::V6).tables.retain(|entry| {
            let route = &mut entry.route;
            follow(route);
            route.ways.iter_mut().for_each(|way| follow(&mut way.route));
            // What is told of all is what the first says.
            route.mtu = route.ways.first().map_or(route.mtu, |way| way.route.mtu);
            true
        });
    }

    /// `txqueuelen`, which is only told.
    pub fn set_queue_length(&mut self, id: InterfaceId, packets: u32) -> Result<(), ConfigError> {
        self.interface_mut(id)?.queue_length = packets;
        Ok(())
    }

    pub(super) fn push_interface(&mut self, name: InterfaceName, mtu: u32) -> InterfaceId {
        let id = InterfaceId(self.next_id as u16);
        self.next_id += 1;
        Arc::make_mut(&mut self.names).insert(name, id);
        self.interfaces.push(Interface {
            id,
            name,
            mtu,
            is_up: true,
            queue_length: TUN_QUEUE,
            addresses: Vec::new(),
            networks: Networks::default(),
            conf: self.sysctls.default_conf(),
            conf6: self.sysctls.v6.default_conf(),
            kept: self.sysctls.kept.of_new_link(),
            joined_all_routers: false,
        });
        self.begin_ipv6(id);
        id
    }

    fn check_name(&self, name: InterfaceName) -> Result<(), ConfigError> {
        let text = name.as_str();
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace();
        if text.is_empty() || text == "." || text == ".." || text.contains(bad) {
            return Err(ConfigError::BadName(name));
        }
        match self.by_name(text) {
            Some(_) => Err(ConfigError::InterfaceExists(name)),
            None => Ok(()),
        }
    }
}

fn check_mtu(mtu: u32) -> Result<(), ConfigError> {
    match mtu {
        68..=65535 => Ok(()),
        _ => Err(ConfigError::BadMtu(mtu)),
    }
}

/// What a TUN device starts with.
const TUN_QUEUE: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Route, RoutingRule, RuleAction, RuleLink, table};

    fn net() -> (Net, InterfaceId) {
        let mut net = Net::new();
        let lan = net.add_interface(InterfaceName::new("lan").unwrap(), 1500).unwrap();
        net.add_address(lan, [10, 0, 0, 1].into(), 24).unwrap();
        for (to, table) in [("10.5.0.0/16", table::MAIN), ("10.6.0.0/16", 100)] {
            net.add_route(Route {
                via: Some([10, 0, 0, 9].into()),
                table,
                ..Route::new(to.parse().unwrap())
            })
            .unwrap();
        }
        (net, lan)
    }

    fn over(net: &Net, id: InterfaceId) -> Vec<String> {
        let of = net.routes(Family::V4).filter(|it| it.interface == Some(id));
        of.map(|it| format!("{} {}", it.to, it.table)).collect()
    }

    #[test]
    fn a_link_that_goes_down_and_comes_back() {
        let (mut net, lan) = net();
        net.set_link_up(lan, false).unwrap();
        assert_eq!(
            over(&net, lan),
            ["10.0.0.1/32 255"],
            "the address is the router's all the same"
        );
        let route = Route {
            interface: Some(lan),
            ..Route::new("10.8.0.0/16".parse().unwrap())
        };
        assert_eq!(
            net.add_route(route),
            Err(ConfigError::LinkDown(net.interface(lan).name))
        );
        net.add_address(lan, [10, 1, 0, 1].into(), 24).unwrap();
        assert_eq!(over(&net, lan).len(), 2, "a new address brings itself only");
        net.set_link_up(lan, true).unwrap();
        assert_eq!(
            over(&net, lan),
            [
                "10.0.0.0/24 254",
                "10.1.0.0/24 254",
                "10.0.0.1/32 255",
                "10.0.0.255/32 255",
                "10.1.0.1/32 255",
                "10.1.0.255/32 255"
            ],
            "what was added by hand is gone"
        );
    }

    #[test]
    fn an_interface_gets_all_its_addresses_or_none() {
        let (mut net, lan) = net();
        net.add_interface(InterfaceName::new("bare").unwrap(), 1500).unwrap();
        let bare = net.by_name("bare").unwrap().id;
        net.add_route(Route {
            interface: Some(bare),
            ..Route::new("10.9.0.0/16".parse().unwrap())
        })
        .unwrap();
        let shown = |net: &Net| format!("{:?} {:?} {}", net.interfaces, net.ways(Family::V4).tables, net.next_id);
        let before = shown(&net);
        let address = |last| NewAddress::with_broadcast([10, 3, 0, last].into(), 24);
        for name in ["lan", "bare", "new"] {
            let name = InterfaceName::new(name).unwrap();
            let result = net.furnish(name, 1500, &[address(1), address(2), address(1)]);
            assert_eq!(result, Err(ConfigError::AddressExists([10, 3, 0, 1].into(), 24)));
            assert_eq!(shown(&net), before, "{name}");
        }
        for name in ["lan", "new"] {
            let name = InterfaceName::new(name).unwrap();
            net.furnish(name, 1500, &[address(1), address(2)]).unwrap();
        }
        assert_eq!(net.interface(lan).addresses.len(), 3);
        assert_eq!(net.by_name("new").unwrap().addresses.len(), 2);
    }

    #[test]
    fn a_removed_interface_leaves_its_number_to_nobody() {
        let (mut net, lan) = net();
        let link = RuleLink {
            name: InterfaceName::new("lan").unwrap(),
            id: None,
        };
        net.add_rule(
            Family::V4,
            RoutingRule {
                input: Some(link),
                ..RoutingRule::new(RuleAction::Blackhole)
            },
        )
        .unwrap();
        let attached = |net: &Net| net.rules(Family::V4).iter().find_map(|it| it.input).unwrap().id;
        assert_eq!(attached(&net), Some(lan));
        net.remove_interface(lan).unwrap();
        assert!(over(&net, lan).is_empty() && attached(&net).is_none());
        assert!(!net.interface(lan).is_up && net.interface(lan).name.is_empty());
        let again = net.add_interface(InterfaceName::new("lan").unwrap(), 1500).unwrap();
        assert_ne!(again, lan);
        assert_eq!(attached(&net), Some(again));
        assert!(net.interface(again).addresses.is_empty());
        net.add_interface(InterfaceName::new("dmz").unwrap(), 1500).unwrap();
        net.add_interface(InterfaceName::new("vpn").unwrap(), 1500).unwrap();
        for interface in net.interfaces() {
            assert_eq!(net.interface(interface.id).name, interface.name);
        }
        net.rename_interface(again, InterfaceName::new("wan").unwrap()).unwrap();
        assert_eq!(attached(&net), None);
        assert_eq!(
            net.remove_interface(InterfaceId::LOOPBACK),
            Err(ConfigError::LoopbackStays)
        );
    }
}
