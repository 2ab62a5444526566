//! Checking what one part of a lab file says about another: addresses and hosts against interfaces; for routes see `route`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use super::parse::{Reader, some_of};
use super::{Host, Interface, InterfaceAddress};
use crate::base::{AddressMask, Family, InterfaceName};
use crate::lab::memory::LINK_ADDRESS;
use crate::net::LEAST_IPV6_MTU;

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
        let index = Index::of(&self.file.interfaces);
        self.check_duplicates();
        self.check_mtus();
        self.check_named_interfaces(&index);
        self.check_names_of_hosts(&index);
        self.check_hosts(&index);
        self.check_routes(&index);
    }

    fn check_duplicates(&mut self) {
        let file = std::mem::take(&mut self.file);
        let of_interfaces = file.interfaces.iter().map(|it| (Owner::Interface(it), &it.addresses));
        let of_hosts = file.hosts.iter().map(|it| (Owner::Host(it), &it.addresses));
        let mut seen: HashMap<(IpAddr, InterfaceName), Owner<'_>> = HashMap::new();
        for (owner, addresses) in of_interfaces.chain(of_hosts) {
            for address in addresses {
                // What is of a link may be on each.
                let link = match address.address {
                    IpAddr::V6(of_link) if of_link.is_unicast_link_local() => owner.link(),
                    _ => InterfaceName::default(),
                };
                match seen.entry((address.address, link)) {
                    Entry::Occupied(first) => self.problem(
                        address.position,
                        format!("{} is already the address of {}", address.address, first.get()),
                        "expected an address that nobody else has",
                        "give each its own",
                    ),
                    Entry::Vacant(place) => {
                        place.insert(owner);
                    }
                }
            }
        }
        self.file = file;
    }

    fn check_mtus(&mut self) {
        let interfaces = std::mem::take(&mut self.file.interfaces);
        for interface in &interfaces {
            let first_v6 = interface.addresses.iter().find(|address| address.address.is_ipv6());
            if let Some(address) = first_v6.filter(|_| interface.mtu < LEAST_IPV6_MTU) {
                self.problem(
                    address.position,
                    format!(
                        "interface {} has an IPv6 address and an MTU of {}",
                        interface.name, interface.mtu
                    ),
                    format!("expected IPv4 only, where the MTU is below {LEAST_IPV6_MTU}"),
                    "IPv6 does not run on such a link (RFC 8200, section 5); raise the MTU or remove the address",
                );
            }
        }
        self.file.interfaces = interfaces;
    }

    fn check_named_interfaces(&mut self, index: &Index) {
        for (name, position) in std::mem::take(&mut self.named) {
            if !index.by_name.contains_key(&name) {
                self.no_interface(name.as_str(), position);
            }
        }
    }

    /// Where a packet comes in, either may stand: a host's name is the interface that it is on.
    fn check_names_of_hosts(&mut self, index: &Index) {
        let hosts = std::mem::take(&mut self.file.hosts);
        for host in &hosts {
            let same = InterfaceName::new(&host.name).is_some_and(|name| index.by_name.contains_key(&name));
            if same {
                self.problem(
                    host.position,
                    format!(
                        "{:?} cannot name a host: an interface of this lab has that name",
                        host.name
                    ),
                    "expected a name that means nothing else in packets, rules and filters",
                    format!("choose another, such as [host.{}-host]", host.name),
                );
            }
        }
        self.file.hosts = hosts;
    }

    fn check_hosts(&mut self, index: &Index) {
        let interfaces = std::mem::take(&mut self.file.interfaces);
        let mut hosts = std::mem::take(&mut self.file.hosts);
        // The first address of an interface in each network of some length: what its hosts take for their gateway.
        let mut routers: HashMap<(usize, u8), HashMap<AddressMask, IpAddr>> = HashMap::new();
        for host in &mut hosts {
            let Some(&at) = index.by_name.get(&host.interface) else {
                continue;
            };
            let interface = &interfaces[at];
            for address in &host.addresses {
                if !index.holds(at, address.address) {
                    let subnets = some_of(
                        interface.addresses.iter().map(subnet_text),
                        interface.addresses.len(),
                        " or ",
                    );
                    self.problem(
                        address.position,
                        format!(
                            "{} of host {} is in no subnet of interface {}",
                            address.address, host.name, interface.name
                        ),
                        match subnets.is_empty() {
                            true => "expected the interface to have an address".to_owned(),
                            false => format!("expected an address in {subnets}"),
                        },
                        "give the host an address of that subnet, or put it on another interface",
                    );
                }
                let family = Family::of(address.address);
                if !host.gateways.iter().any(|known| Family::of(*known) == family) {
                    let length = address.prefix_length;
                    let first = routers.entry((at, length)).or_insert_with(|| {
                        let mut first = HashMap::new();
                        for router in &interface.addresses {
                            if let Some(network) = AddressMask::prefix(router.address, length) {
                                first.entry(network).or_insert(router.address);
                            }
                        }
                        first
                    });
                    host.gateways.extend(first.get(&address.subnet()));
                }
            }
        }
        self.file.interfaces = interfaces;
        self.file.hosts = hosts;
    }
}

/// Who has an address.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Interface(&'a Interface),
    Host(&'a Host),
}

impl Owner<'_> {
    /// The interface that it is on.
    fn link(&self) -> InterfaceName {
        match self {
            Self::Interface(it) => it.name,
            Self::Host(it) => it.interface,
        }
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(it) => write!(f, "interface {}", it.name),
            Self::Host(it) => write!(f, "host {}", it.name),
        }
    }
}

/// Interfaces by what is asked of them, each as its place in the file.
pub(super) struct Index {
    pub(super) by_name: HashMap<InterfaceName, usize>,
    /// The addresses of each.
    pub(super) own: HashSet<(usize, IpAddr)>,
    /// Those with an address of fe80::/10 in the file.
    with_link_address: HashSet<usize>,
    subnets: HashSet<(usize, AddressMask)>,
    /// The first interface with each subnet.
    first: HashMap<AddressMask, usize>,
    /// The lengths that subnets have.
    lengths: BTreeSet<u8>,
}

impl Index {
    fn of(interfaces: &[Interface]) -> Self {
        let mut index = Self {
            by_name: HashMap::new(),
            own: HashSet::new(),
            with_link_address: HashSet::new(),
            subnets: HashSet::new(),
            first: HashMap::new(),
            lengths: BTreeSet::new(),
        };
        for (at, interface) in interfaces.iter().enumerate() {
            index.by_name.entry(interface.name).or_insert(at);
            for address in &interface.addresses {
                let subnet = address.subnet();
                index.own.insert((at, address.address));
                if matches!(address.address, IpAddr::V6(it) if it.is_unicast_link_local()) {
                    index.with_link_address.insert(at);
                }
                index.subnets.insert((at, subnet));
                index.first.entry(subnet).or_insert(at);
                index.lengths.insert(address.prefix_length);
            }
        }
        index
    }

    fn networks(&self, address: IpAddr) -> impl Iterator<Item = AddressMask> {
        let lengths = self.lengths.iter();
        lengths.filter_map(move |length| AddressMask::prefix(address, *length))
    }

    /// True where the address is in a subnet of the interface.
    pub(super) fn holds(&self, interface: usize, address: IpAddr) -> bool {
        self.networks(address).any(|it| self.subnets.contains(&(interface, it)))
    }

    /// The router's own on this link: of an interface that has none of fe80::/10 in the file it is the one that the router gives it.
    pub(super) fn is_own(&self, interface: usize, address: IpAddr) -> bool {
        let is_drawn = address == IpAddr::V6(LINK_ADDRESS) && !self.with_link_address.contains(&interface);
        is_drawn || self.own.contains(&(interface, address))
    }

    /// The first interface of the file that has the address in a subnet.
    pub(super) fn first_with(&self, address: IpAddr) -> Option<usize> {
        self.networks(address)
            .filter_map(|it| self.first.get(&it).copied())
            .min()
    }
}

pub(super) fn subnet_text(address: &InterfaceAddress) -> String {
    format!("{}/{}", address.subnet().address(), address.prefix_length)
}
