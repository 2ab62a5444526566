//! Names of hosts and networks. The library asks no name server; who calls it says which names there are.

use std::net::IpAddr;

/// Where `-s localhost` finds its addresses, and where `-L` without `-n` finds its names.
pub trait Hosts {
    /// Every address of the name; empty where it is unknown.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;
    /// The name of a host or network address.
    fn name(&self, address: IpAddr) -> Option<String>;
}

/// A fixed list, read as /etc/hosts and /etc/networks are: names compare without case, the first entry of an address names it.
#[derive(Clone, Debug, Default)]
pub struct StaticHosts {
    entries: Vec<(String, IpAddr)>,
}

impl StaticHosts {
    /// No name at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// `localhost`, and nothing else.
    pub fn localhost() -> Self {
        Self::none().with("localhost", IpAddr::from([127, 0, 0, 1]))
    }

    /// One more entry, behind those that are there.
    pub fn with(mut self, name: &str, address: IpAddr) -> Self {
        self.entries.push((name.to_owned(), address));
        self
    }
}

impl Hosts for StaticHosts {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.entries
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, address)| *address)
            .collect()
    }

    fn name(&self, address: IpAddr) -> Option<String> {
        self.entries
            .iter()
            .find(|(_, own)| *own == address)
            .map(|(name, _)| name.clone())
    }
}
