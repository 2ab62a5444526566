//! Of what kinds an IPv6 address is, seen from this host: what it says itself, and where a route to it leads.

use std::net::Ipv6Addr;

use super::icmp::leads_to_any;
use crate::base::{Family, InterfaceId};
use crate::net::lookup::Key;
use crate::net::{AddressKind, Flow, Net, RouteKind, Scope};

impl Net {
    /// Every kind that `addrtype` finds in an address: UNICAST, MULTICAST or UNSPEC, where it is one of these, and LOCAL, ANYCAST or UNREACHABLE. With
    /// an interface only what that has is LOCAL, and a route that leads elsewhere is none.
    pub fn ipv6_kinds(&self, address: Ipv6Addr, interface: Option<InterfaceId>) -> impl Iterator<Item = AddressKind> {
        let of_interface = interface.filter(|it| {
            let mut own = self.interface(*it).addresses_of(Family::V6);
            own.any(|it| it.address == address)
        });
        let route = self.lookup(&Key {
            destination: address.into(),
            source: Family::V6.unspecified(),
            mark: 0,
            tos: 0,
            input: Some(InterfaceId::LOOPBACK),
            output: interface,
            scope: Scope::Universe,
            flow: Flow::default(),
        });
        let led = match route {
            Err(_) => Some(AddressKind::Unreachable),
            Ok(route) if route.kind == RouteKind::Local && interface.is_none() => Some(AddressKind::Local),
            Ok(route) => leads_to_any(route, address).then_some(AddressKind::Anycast),
        };
        let of_interface = of_interface.map(|_| AddressKind::Local);
        [own_kind(address), of_interface, led].into_iter().flatten()
    }
}

fn own_kind(address: Ipv6Addr) -> Option<AddressKind> {
    match address {
        _ if address.is_unspecified() => Some(AddressKind::Unspec),
        _ if address.is_multicast() => Some(AddressKind::Multicast),
        // An address of IPv4 that is mapped is nobody's.
        _ if address.to_ipv4_mapped().is_some() => None,
        _ => Some(AddressKind::Unicast),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::example::{LAN, WAN, both};
    use crate::net::{Prefix, Route};

    /// As the kernel of a router with 2001:db8::1/64 on `lan` and 2001:db8:1::1/64 on `wan` answered in PREROUTING of what came by `lan`.
    #[test]
    fn kinds_as_the_kernel_finds_them() {
        use AddressKind::{Anycast, Local, Multicast, Unicast, Unreachable, Unspec};
        let mut net = both();
        net.add_route(Route {
            interface: Some(WAN),
            ..Route::new(Prefix::default_of(Family::V6))
        })
        .unwrap();
        for (address, anywhere, on_lan) in [
            ("2001:db8::1", &[Unicast, Local][..], &[Unicast, Local][..]),
            ("2001:db8:1::1", &[Unicast, Local], &[Unicast, Unreachable]),
            ("2001:db8::", &[Unicast, Anycast], &[Unicast, Anycast]),
            ("2001:db8:1::", &[Unicast, Anycast], &[Unicast, Unreachable]),
            ("2001:db8::9", &[Unicast], &[Unicast]),
            ("2001:dead::1", &[Unicast], &[Unicast, Unreachable]),
            ("fe80::2", &[Unicast], &[Unicast]),
            ("ff02::1", &[Multicast], &[Multicast]),
            ("ff0e::1", &[Multicast], &[Multicast]),
            ("::", &[Unspec], &[Unspec, Unreachable]),
            ("::ffff:1.2.3.4", &[], &[Unreachable]),
            ("::1.2.3.4", &[Unicast], &[Unicast, Unreachable]),
        ] {
            let found = |interface| net.ipv6_kinds(address.parse().unwrap(), interface).collect::<Vec<_>>();
            assert_eq!(found(None), anywhere, "{address}");
            assert_eq!(found(Some(LAN)), on_lan, "{address} on lan");
        }
    }
}
