//! Checking what one part of a lab file says about another: addresses, hosts and routes against interfaces.

use std::net::IpAddr;

use super::parse::Reader;
use super::{Interface, InterfaceAddress, LabFile};
use crate::base::Family;

impl Reader {
    pub(super) fn check(&mut self) {
        if self.file.interfaces.is_empty() {
            self.problem(
                0..0,
                "this lab has no interface",
                "expected at least one [interface.NAME] table",
                "add [interface.lan] and below it address = [\"10.0.0.1/24\"]",
            );
        }
        self.check_duplicates();
        self.check_mtus();
        self.check_named_interfaces();
        self.check_hosts();
        self.check_routes();
    }

    fn check_duplicates(&mut self) {
        let mut seen: Vec<(IpAddr, String)> = Vec::new();
        let owned = |file: &LabFile| {
            let of_interfaces = file
                .interfaces
                .iter()
                .map(|it| (format!("interface {}", it.name), it.addresses.clone()));
            let of_hosts = file
                .hosts
                .iter()
                .map(|it| (format!("host {}", it.name), it.addresses.clone()));
            of_interfaces.chain(of_hosts).collect::<Vec<_>>()
        };
        for (owner, addresses) in owned(&self.file) {
            for address in addresses {
                match seen.iter().find(|(known, _)| *known == address.address) {
                    Some((_, first)) => {
                        let message = format!("{} is already the address of {first}", address.address);
                        self.problem(
                            address.position,
                            message,
                            "expected an address that nobody else has",
                            "give each its own",
                        );
                    }
                    None => seen.push((address.address, owner.clone())),
                }
            }
        }
    }

    fn check_mtus(&mut self) {
        for interface in self.file.interfaces.clone() {
            let first_v6 = interface.addresses.iter().find(|address| address.address.is_ipv6());
            if let Some(address) = first_v6.filter(|_| interface.mtu < 1280) {
                self.problem(
                    address.position,
                    format!(
                        "interface {} has an IPv6 address and an MTU of {}",
                        interface.name, interface.mtu
                    ),
                    "expected IPv4 only, where the MTU is below 1280",
                    "IPv6 does not run on such a link (RFC 8200, section 5); raise the MTU or remove the address",
                );
            }
        }
    }

    fn check_named_interfaces(&mut self) {
        for (name, position) in std::mem::take(&mut self.named) {
            if self.file.interface(name.as_str()).is_none() {
                self.no_interface(name.as_str(), position);
            }
        }
    }

    fn check_hosts(&mut self) {
        for index in 0..self.file.hosts.len() {
            let host = self.file.hosts[index].clone();
            let Some(interface) = self.file.interface(host.interface.as_str()).cloned() else {
                continue;
            };
            for address in &host.addresses {
                if !interface
                    .addresses
                    .iter()
                    .any(|own| own.subnet().contains(address.address))
                {
                    let subnets: Vec<_> = interface.addresses.iter().map(subnet_text).collect();
                    self.problem(
                        address.position,
                        format!(
                            "{} of host {} is in no subnet of interface {}",
                            address.address, host.name, interface.name
                        ),
                        match subnets.is_empty() {
                            true => "expected the interface to have an address".to_owned(),
                            false => format!("expected an address in {}", subnets.join(" or ")),
                        },
                        "give the host an address of that subnet, or put it on another interface",
                    );
                }
                let family = Family::of(address.address);
                let gateways = &mut self.file.hosts[index].gateways;
                if !gateways.iter().any(|known| Family::of(*known) == family) {
                    let own = |router: &&InterfaceAddress| address.subnet().contains(router.address);
                    gateways.extend(interface.addresses.iter().find(own).map(|router| router.address));
                }
            }
        }
    }

    fn check_routes(&mut self) {
        for index in 0..self.file.routes.len() {
            let route = self.file.routes[index].clone();
            let named = (!route.interface.is_empty()).then_some(route.interface);
            if let Some(name) = named
                && self.file.interface(name.as_str()).is_none()
            {
                continue;
            }
            if let Some(via) = route.via {
                let holds = |interface: &&Interface| interface.addresses.iter().any(|own| own.subnet().contains(via));
                let candidates = self
                    .file
                    .interfaces
                    .iter()
                    .filter(|it| named.is_none_or(|name| it.name == name));
                let found = candidates.clone().find(holds).cloned();
                let Some(interface) = found else {
                    let subnets: Vec<_> = candidates.flat_map(|it| it.addresses.iter()).map(subnet_text).collect();
                    self.problem(
                        route.position,
                        match named {
                            Some(name) => format!("the gateway {via} is not reached through interface {name}"),
                            None => format!("the gateway {via} is in the subnet of no interface"),
                        },
                        format!("expected an address in {}", subnets.join(" or ")),
                        "a gateway must be a neighbour: correct it, or give an interface an address of its subnet",
                    );
                    continue;
                };
                if interface.addresses.iter().any(|own| own.address == via) {
                    self.problem(
                        route.position,
                        format!("the gateway {via} is the router itself"),
                        "expected a neighbour's address",
                        format!(
                            "name another router on {}, or use dev = \"{}\"",
                            interface.name, interface.name
                        ),
                    );
                    continue;
                }
                self.file.routes[index].interface = interface.name;
            }
            let route = &self.file.routes[index];
            if self.file.routes[..index]
                .iter()
                .any(|known| known.to == route.to && known.via == route.via && known.interface == route.interface)
            {
                let position = route.position;
                self.problem(
                    position,
                    "this route stands here twice",
                    "the same as one before",
                    "remove one of the two",
                );
            }
        }
    }
}

fn subnet_text(address: &InterfaceAddress) -> String {
    format!("{}/{}", address.subnet().address(), address.prefix_length)
}
