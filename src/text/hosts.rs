//! Names of hosts and networks, and of labels. The library asks no name server; who calls it says which names there are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::InterfaceName;
use crate::ext::LabelFile;

/// Where `-s localhost` finds its addresses, and where `-L` without `-n` finds its names.
pub trait Hosts {
    /// Every address of the name; empty where it is unknown.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;
    /// The name of a host or network address.
    fn name(&self, address: IpAddr) -> Option<String>;
    /// Whether the machine has a link of this name, to which an address of IPv6 may belong (`fe80::1%lan`); by itself it has none.
    fn has_link(&self, _name: &str) -> bool {
        false
    }
    /// Names of labels; by itself none.
    fn labels(&self) -> &LabelFile {
        LabelFile::none()
    }
}

/// A fixed list, read as /etc/hosts and /etc/networks are: names compare without case, the first entry of an address names it.
#[derive(Clone, Debug, Default)]
pub struct StaticHosts {
    entries: Vec<(String, IpAddr)>,
    links: Vec<InterfaceName>,
    labels: Option<LabelFile>,
}

impl StaticHosts {
    /// No name at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// What every Debian names: `localhost` in both families, with its other names of IPv6, and the groups of all nodes and all routers.
    pub fn localhost() -> Self {
        let group = |last| Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last).into();
        Self::none()
            .with("localhost", Ipv4Addr::LOCALHOST.into())
            .with("localhost", Ipv6Addr::LOCALHOST.into())
            .with("ip6-localhost", Ipv6Addr::LOCALHOST.into())
            .with("ip6-loopback", Ipv6Addr::LOCALHOST.into())
            .with("ip6-allnodes", group(1))
            .with("ip6-allrouters", group(2))
    }

    /// With these names of labels.
    pub fn with_labels(mut self, labels: LabelFile) -> Self {
        self.labels = Some(labels);
        self
    }

    /// With these links.
    pub fn with_links(mut self, links: impl IntoIterator<Item = InterfaceName>) -> Self {
        self.links.extend(links);
        self
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

    fn has_link(&self, name: &str) -> bool {
        self.links.iter().any(|link| link.as_str() == name)
    }

    fn labels(&self) -> &LabelFile {
        self.labels.as_ref().unwrap_or_else(|| LabelFile::none())
    }
}
