//! The routing decision for the host's own packets.

use std::net::IpAddr;

use super::{Delivery, Net};
use crate::base::InterfaceId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputKey {
    pub destination: IpAddr,
    /// `None`: the route chooses it.
    pub source: Option<IpAddr>,
    pub mark: u32,
    pub interface: Option<InterfaceId>,
    pub tos: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputRoute {
    pub interface: InterfaceId,
    pub source: IpAddr,
    pub gateway: Option<IpAddr>,
    pub delivery: Delivery,
    pub mtu: u32,
}

/// Why the host can't send there; the names are those of the system call's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("Network is unreachable: no route")]
    NetworkUnreachable,
    #[error("No route to host: an unreachable route")]
    HostUnreachable,
    #[error("Permission denied: a prohibit route")]
    Prohibited,
    #[error("Invalid argument: a blackhole route")]
    Blackhole,
    #[error("Invalid argument: no packet may have this source address")]
    BadSource,
    #[error("No such device")]
    NoDevice,
}

impl Net {
    pub fn route_output(&self, key: OutputKey) -> Result<OutputRoute, RouteError> {
        let _ = key;
        Err(RouteError::NetworkUnreachable)
    }

    /// The address of `interface` that MASQUERADE takes for a packet whose next hop is `next_hop`.
    pub fn masquerade_source(&self, interface: InterfaceId, next_hop: IpAddr) -> Option<IpAddr> {
        let _ = (interface, next_hop);
        None
    }

    /// The address that REDIRECT takes for a packet that came by `interface`: its first.
    pub fn redirect_address(&self, interface: InterfaceId) -> Option<IpAddr> {
        self.interface(interface).addresses.first().map(|it| it.address)
    }
}
