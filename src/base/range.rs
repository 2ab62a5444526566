//! Closed ranges of ports and addresses.

use std::net::IpAddr;

/// Both ends included. `low > high` is a range that holds nothing, which the kernel allows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    pub low: u16,
    pub high: u16,
}

impl PortRange {
    pub const ANY: Self = Self { low: 0, high: u16::MAX };

    pub fn single(port: u16) -> Self {
        Self { low: port, high: port }
    }

    pub fn contains(&self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
    }

    pub fn is_any(&self) -> bool {
        *self == Self::ANY
    }
}

/// Both ends included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    pub low: IpAddr,
    pub high: IpAddr,
}

impl AddressRange {
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
