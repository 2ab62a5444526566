//! Closed ranges of ports and addresses.

use std::net::IpAddr;

/// Both ends included. `low > high` is a range that holds nothing, which the kernel allows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// The first port in it.
    pub low: u16,
    /// The last port in it.
    pub high: u16,
}

impl PortRange {
    /// All 65,536 ports, 0 too.
    pub const ANY: Self = Self { low: 0, high: u16::MAX };

    /// One port.
    pub fn single(port: u16) -> Self {
        Self { low: port, high: port }
    }

    /// Whether it is between the ends or one of them.
    pub fn contains(&self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
    }

    /// True where it excludes no port.
    pub fn is_any(&self) -> bool {
        *self == Self::ANY
    }
}

/// Both ends included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    /// The first address in it.
    pub low: IpAddr,
    /// The last address in it, of the family of the first.
    pub high: IpAddr,
}

impl AddressRange {
    /// One address.
    pub fn single(address: IpAddr) -> Self {
        Self {
            low: address,
            high: address,
        }
    }

    /// An address of the other family is never contained.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.low, self.high, address) {
            (IpAddr::V4(low), IpAddr::V4(high), IpAddr::V4(it)) => (low..=high).contains(&it),
            (IpAddr::V6(low), IpAddr::V6(high), IpAddr::V6(it)) => (low..=high).contains(&it),
            _ => false,
        }
    }
}
