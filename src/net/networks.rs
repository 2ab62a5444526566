//! What an interface has in a network already: what the kernel asks before it takes one more address there.
//!
//! Few addresses are looked at one by one. Of many there is an index by network, made anew once something else than one more address came.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::config::Interface;
use super::{Address, Prefix};

/// The addresses of an interface that lie in one network with another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub any: bool,
    /// It is there itself.
    pub has_same: bool,
    /// The first of another scope.
    pub of_other_scope: Option<IpAddr>,
    /// The address that the routes of the others name as source.
    pub primary: Option<IpAddr>,
}

/// The index, where there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks(Option<Box<Index>>);

#[derive(Clone, Debug, Default)]
struct Index {
    addresses: HashSet<(IpAddr, Prefix)>,
    networks: HashMap<Prefix, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    first: Address,
    primary: Option<IpAddr>,
    /// Not all are of one scope: then they have to be looked at.
    is_mixed: bool,
}

impl Interface {
    pub(super) fn beside(&mut self, new: &Address) -> Beside {
        if self.addresses.len() < MANY {
            return Beside::among(&self.addresses, new);
        }
        let index = self.networks.0.get_or_insert_with(|| {
            let mut index = Box::<Index>::default();
            self.addresses.iter().for_each(|it| index.add(it));
            index
        });
        match index.networks.get(&new.network()) {
            None => Beside::default(),
            Some(known) if known.is_mixed => Beside::among(&self.addresses, new),
            Some(known) => Beside {
                any: true,
                has_same: index.addresses.contains(&(new.address, new.network())),
                of_other_scope: (known.first.scope != new.scope).then_some(known.first.address),
                primary: known.primary,
            },
        }
    }

    /// Puts an address in that is new there, before the one at this position.
    pub(super) fn insert_address(&mut self, at: usize, new: Address) {
        self.addresses.insert(at, new);
        if let Some(index) = &mut self.networks.0 {
            index.add(&new);
        }
    }

    /// The addresses, for any other change.
    pub(super) fn addresses_mut(&mut self) -> &mut Vec<Address> {
        self.networks = Networks::default();
        &mut self.addresses
    }
}

impl Beside {
    fn among(addresses: &[Address], new: &Address) -> Self {
        let network = new.network();
        let is_beside = |other: &&Address| other.network() == network;
        let mut beside = Self::default();
        for other in addresses.iter().filter(is_beside) {
            beside.any = true;
            beside.has_same |= other.address == new.address;
            if other.scope != new.scope {
                beside.of_other_scope.get_or_insert(other.address);
            }
            if !other.secondary {
                beside.primary.get_or_insert(other.address);
            }
        }
        beside
    }
}

impl Index {
    fn add(&mut self, new: &Address) {
        self.addresses.insert((new.address, new.network()));
        let primary = (!new.secondary).then_some(new.address);
        let known = self.networks.entry(new.network()).or_insert_with(|| Known {
            first: *new,
            primary,
            is_mixed: false,
        });
        known.primary = known.primary.or(primary);
        known.is_mixed |= known.first.scope != new.scope;
    }
}

/// From here on looking at one by one costs more than an index.
const MANY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{InterfaceName, Random};
    use crate::net::{AddressFlags, Net, NewAddress, Scope};

    /// Whatever comes and goes, the index tells what looking at one after another tells.
    #[test]
    fn the_index_is_as_good_as_a_look() {
        let mut random = Random::new(9);
        let mut draw = |length: usize| (random.next_u64() >> 20) as usize % length;
        let mut net = Net::new();
        let id = net.add_interface(InterfaceName::new("lan").unwrap(), 1500).unwrap();
        let mut indexed = 0;
        for _ in 0..4_000 {
            let new = NewAddress {
                scope: [None, None, None, Some(Scope::Link)][draw(4)],
                ..NewAddress::new(
                    [10, 0, draw(16) as u8, draw(200) as u8].into(),
                    [8, 24, 24, 28][draw(4)],
                )
            };
            match draw(10) {
                0 => drop(net.remove_address(id, new.address, new.prefix_length)),
                1 => {
                    let list = &net.interface(id).addresses;
                    if let Some(mut told) = list.get(draw(list.len().max(1))).copied() {
                        told.scope = Scope::Link;
                        net.describe_address(id, &told).unwrap();
                    }
                }
                _ => drop(net.assign(id, new)),
            }
            let interface = net.interface_mut(id).unwrap();
            let asked = Address {
                address: new.address,
                prefix_length: new.prefix_length,
                secondary: false,
                scope: new.scope.unwrap_or(Scope::Universe),
                broadcast: None,
                label: None,
                peer: None,
                metric: 0,
                flags: AddressFlags::default(),
            };
            assert_eq!(interface.beside(&asked), Beside::among(&interface.addresses, &asked));
            indexed += usize::from(interface.networks.0.is_some());
        }
        assert!(indexed > 500, "{indexed}");
    }
}
