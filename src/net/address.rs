//! What kind of address an address is, seen from this host: what `-m addrtype` asks; and which own address suits a destination.

use std::net::IpAddr;

use super::{Address, Net, RouteKind, Scope};
use crate::base::{Family, InterfaceId};

/// The names are those of `-m addrtype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// UNSPEC: `::`. No address of IPv4 is, and 0.0.0.0 is BROADCAST.
    Unspec,
    /// UNICAST: another host's, or nobody's.
    Unicast,
    /// LOCAL: one of the host's own.
    Local,
    /// BROADCAST: of a link of the host's, 255.255.255.255, or 0.0.0.0.
    Broadcast,
    /// ANYCAST: by a route of this kind in the local table.
    Anycast,
    /// MULTICAST: a group, or by a route of this kind in the local table.
    Multicast,
    /// BLACKHOLE; no address is, whatever routes lead to it.
    Blackhole,
    /// UNREACHABLE; no address is, whatever routes lead to it.
    Unreachable,
    /// PROHIBIT; no address is, whatever routes lead to it.
    Prohibit,
    /// THROW; no address is, whatever routes lead to it.
    Throw,
}

impl Net {
    /// Whether any of several hosts has the address, which the kernel of IPv6 knows of that of the routers of a network.
    pub(crate) fn is_anycast(&self, address: IpAddr) -> bool {
        self.address_kind(address, None) == AddressKind::Anycast
    }

    /// With an interface, only what that interface has counts (`--limit-iface-in`, `--limit-iface-out`).
    ///
    /// The kernel asks its local table alone: what a blackhole or unreachable route leads to is still UNICAST, in whatever table it is.
    /// 0.0.0.0 is BROADCAST, the rest of 0.0.0.0/8 is not.
    pub fn address_kind(&self, address: IpAddr, interface: Option<InterfaceId>) -> AddressKind {
        if is_limited_broadcast(address) || address.is_unspecified() {
            return match address {
                IpAddr::V4(_) => AddressKind::Broadcast,
                IpAddr::V6(_) => AddressKind::Unspec,
            };
        }
        if address.is_multicast() {
            return AddressKind::Multicast;
        }
        match self.lookup_local(address) {
            Some(route) if interface.is_none() || interface == route.interface => route.kind.into(),
            _ => AddressKind::Unicast,
        }
    }

    /// The host's own address of IPv4 for a destination reached over `interface`: of its primary addresses the one in the destination's network, else
    /// the first; else the first of any other interface. Addresses of too narrow a scope don't count.
    pub(super) fn select_address(
        &self,
        interface: InterfaceId,
        destination: Option<IpAddr>,
        scope: Scope,
    ) -> Option<IpAddr> {
        let usable = |it: &&Address| !it.secondary && it.scope <= scope;
        let own = self.interface(interface).addresses_of(Family::V4);
        let mut own = own.filter(usable).peekable();
        let first = own.peek().map(|it| it.address);
        let near = own.find(|it| destination.is_none_or(|destination| it.network().contains(destination)));
        near.map(|it| it.address).or(first).or_else(|| {
            let interfaces = self.interfaces().iter();
            let anywhere = interfaces.flat_map(|it| it.addresses_of(Family::V4)).filter(usable);
            anywhere
                .filter(|it| it.scope != Scope::Link)
                .map(|it| it.address)
                .next()
        })
    }
}

pub(super) fn is_limited_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

impl From<RouteKind> for AddressKind {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => Self::Unicast,
            RouteKind::Local => Self::Local,
            RouteKind::Broadcast => Self::Broadcast,
            RouteKind::Anycast => Self::Anycast,
            RouteKind::Multicast => Self::Multicast,
            RouteKind::Blackhole => Self::Blackhole,
            RouteKind::Unreachable => Self::Unreachable,
            RouteKind::Prohibit => Self::Prohibit,
            RouteKind::Throw => Self::Throw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InterfaceName;
    use crate::net::{Route, table};

    /// Counted with one rule a type, `-m addrtype --dst-type T` and the same with `--limit-iface-in`, for packets that came by `lan`.
    #[test]
    fn kinds_as_addrtype_sees_them() {
        let mut net = Net::new();
        for (id, name, addresses) in [(1, "lan", &["10.0.0.1", "10.0.9.1"][..]), (2, "wan", &["192.0.2.1"])] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            for address in addresses {
                net.add_address(InterfaceId(id), address.parse().unwrap(), 24).unwrap();
            }
        }
        for (kind, to, interface) in [
            (RouteKind::Unreachable, "198.51.1.0/24", None),
            (RouteKind::Blackhole, "198.51.0.0/24", None),
            (RouteKind::Local, "198.60.0.0/16", Some(0)),
            (RouteKind::Broadcast, "198.61.0.1", Some(2)),
            (RouteKind::Anycast, "198.62.0.1", Some(2)),
            (RouteKind::Blackhole, "198.63.0.1", None),
            (RouteKind::Multicast, "198.67.0.1", Some(2)),
        ] {
            let local = to.starts_with("198.6");
            net.add_route(Route {
                kind,
                interface: interface.map(InterfaceId),
                table: if local { table::LOCAL } else { table::MAIN },
                ..Route::new(to.parse().unwrap())
            })
            .unwrap();
        }
        use AddressKind::*;
        for (address, anywhere, on_lan) in [
            ("0.0.0.0", Broadcast, Broadcast),
            ("0.1.2.3", Unicast, Unicast),
            ("10.0.0.1", Local, Local),
            ("10.0.9.1", Local, Local),
            ("10.0.0.255", Broadcast, Broadcast),
            ("10.0.0.0", Unicast, Unicast),
            ("10.0.0.9", Unicast, Unicast),
            ("192.0.2.1", Local, Unicast),
            ("192.0.2.255", Broadcast, Unicast),
            ("127.0.0.1", Local, Unicast),
            ("127.9.9.9", Local, Unicast),
            ("127.255.255.255", Broadcast, Unicast),
            ("224.0.0.1", Multicast, Multicast),
            ("240.0.0.1", Unicast, Unicast),
            ("255.255.255.255", Broadcast, Broadcast),
            ("198.51.0.1", Unicast, Unicast),
            ("198.51.1.1", Unicast, Unicast),
            ("8.8.8.8", Unicast, Unicast),
            ("198.60.1.1", Local, Unicast),
            ("198.61.0.1", Broadcast, Unicast),
            ("198.62.0.1", Anycast, Unicast),
            ("198.63.0.1", Unicast, Unicast),
            ("198.67.0.1", Multicast, Unicast),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(net.address_kind(address, None), anywhere, "{address}");
            assert_eq!(
                net.address_kind(address, Some(InterfaceId(1))),
                on_lan,
                "{address} on lan"
            );
        }
    }
}
