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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_in_a_range() {
        for (low, high, port, is_in) in [
            (10, 20, 9, false),
            (10, 20, 10, true),
            (10, 20, 20, true),
            (10, 20, 21, false),
            (20, 10, 15, false),
        ] {
            assert_eq!(PortRange { low, high }.contains(port), is_in, "{port} in {low}:{high}");
        }
        assert!(PortRange::single(7).contains(7) && !PortRange::single(7).contains(8));
        assert!(PortRange::ANY.is_any() && !PortRange::single(7).is_any());
        for (low, high, address, is_in) in [
            ("10.0.0.2", "10.0.1.1", "10.0.0.1", false),
            ("10.0.0.2", "10.0.1.1", "10.0.0.2", true),
            ("10.0.0.2", "10.0.1.1", "10.0.1.1", true),
            ("10.0.0.2", "10.0.1.1", "10.0.1.2", false),
            ("::2", "::9", "::2", true),
            ("::2", "::9", "::a", false),
            ("::2", "::9", "0.0.0.3", false),
        ] {
            let [low, high, address] = [low, high, address].map(|it| it.parse().unwrap());
            assert_eq!(
                AddressRange { low, high }.contains(address),
                is_in,
                "{address} in {low}-{high}"
            );
        }
    }
}
