//! The host's configuration as a value: interfaces, addresses, routes, rules, sysctls.

use std::net::IpAddr;

use super::sysctl::{Conf, Sysctls};
use super::{Prefix, Route, RoutingRule, Scope};
use crate::base::{InterfaceId, InterfaceName};

#[derive(Clone, Debug)]
pub struct Net {
    pub(super) interfaces: Vec<Interface>,
    pub(super) routes: Vec<Route>,
    pub(super) rules: Vec<RoutingRule>,
    pub(super) sysctls: Sysctls,
}

#[derive(Clone, Debug)]
pub struct Interface {
    pub id: InterfaceId,
    pub name: InterfaceName,
    pub mtu: u32,
    pub addresses: Vec<Address>,
    pub(super) conf: Conf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub address: IpAddr,
    pub prefix_length: u8,
    /// In the network of an address that was there before.
    pub secondary: bool,
    pub scope: Scope,
}

/// Why the configuration does not take a change; worded as `ip` words it, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("interface {0} exists already: give each interface a name of its own")]
    InterfaceExists(InterfaceName),
    #[error("{0} is no interface name: 1 to 15 bytes without '/' or space, and not '.' or '..'")]
    BadName(InterfaceName),
    #[error("MTU {0} is out of range: 68 to 65535")]
    BadMtu(u32),
    #[error("no interface {0:?}")]
    NoInterface(InterfaceId),
    #[error("{0}/{1} is assigned already")]
    AddressExists(IpAddr, u8),
    #[error("{0} is no address of that interface")]
    NoAddress(IpAddr),
    #[error("prefix length {1} is too long for {0}")]
    BadPrefixLength(IpAddr, u8),
    #[error("route {0} exists already in table {1} with metric {2}")]
    RouteExists(Prefix, u32, u32),
    #[error("no such route to {0}")]
    NoRoute(Prefix),
    #[error(
        "nexthop has invalid gateway: {0} is not on a network of an interface (add its address or a route to it first)"
    )]
    InvalidGateway(IpAddr),
    #[error("the route to {0} needs `via` or an interface")]
    NoNexthop(Prefix),
    #[error("a {0} route takes neither gateway nor interface")]
    NexthopRefused(&'static str),
    #[error("invalid prefsrc address: {0} is no address of this host")]
    InvalidSource(IpAddr),
    #[error("addresses of two families in one route to {0}")]
    MixedFamilies(Prefix),
    #[error("no such rule")]
    NoRule,
    #[error("an equal rule exists already")]
    RuleExists,
}

impl Net {
    /// A new network namespace with `lo` up.
    pub fn new() -> Self {
        Self {
            interfaces: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            sysctls: Sysctls::new(),
        }
    }

    pub fn add_interface(&mut self, name: InterfaceName, mtu: u32) -> Result<InterfaceId, ConfigError> {
        let id = InterfaceId(self.interfaces.len() as u16);
        self.interfaces.push(Interface {
            id,
            name,
            mtu,
            addresses: Vec::new(),
            conf: self.sysctls.default_conf(),
        });
        Ok(id)
    }

    pub fn add_address(&mut self, id: InterfaceId, address: IpAddr, prefix_length: u8) -> Result<(), ConfigError> {
        let _ = (id, address, prefix_length);
        Ok(())
    }

    pub fn remove_address(&mut self, id: InterfaceId, address: IpAddr) -> Result<(), ConfigError> {
        let _ = (id, address);
        Ok(())
    }

    pub fn add_route(&mut self, route: Route) -> Result<(), ConfigError> {
        self.routes.push(route);
        Ok(())
    }

    /// Removes the first route that equals it in destination, table and metric.
    pub fn remove_route(&mut self, to: Prefix, table: u32, metric: u32) -> Result<(), ConfigError> {
        let _ = (to, table, metric);
        Ok(())
    }

    pub fn add_rule(&mut self, rule: RoutingRule) -> Result<(), ConfigError> {
        self.rules.push(rule);
        Ok(())
    }

    pub fn remove_rule(&mut self, rule: &RoutingRule) -> Result<(), ConfigError> {
        let _ = rule;
        Ok(())
    }

    /// In the order they were added; the first is `lo`.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub fn rules(&self) -> &[RoutingRule] {
        &self.rules
    }

    /// The interface an id of this configuration names.
    pub fn interface(&self, id: InterfaceId) -> &Interface {
        &self.interfaces[usize::from(id.0)]
    }

    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name.as_str() == name)
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}
