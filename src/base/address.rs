//! Address families, and addresses under a mask that need not be contiguous (`-s 10.0.0.1/255.0.255.255`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The two families that netfilter's tables exist for. Families are values, not code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4, with addresses of 32 bits.
    V4,
    /// IPv6, with addresses of 128 bits.
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Of an address as it is written: an IPv4 address mapped into IPv6 is IPv6's.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The family that a packet says it is of, by its first four bits.
    #[inline]
    pub fn of_packet(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Some(Self::V4),
            6 => Some(Self::V6),
            _ => None,
        }
    }

    /// The address that means "none": 0.0.0.0 or ::.
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// A mask under which a whole address counts.
    pub fn every_bit(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::BROADCAST),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
        }
    }

    /// Bits of an address: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address with which bytes begin; `None` where there are fewer than it has.
    pub fn address_in(self, bytes: &[u8]) -> Option<IpAddr> {
        match self {
            Self::V4 => Some(bytes.first_chunk::<4>().copied()?.into()),
            Self::V6 => Some(bytes.first_chunk::<16>().copied()?.into()),
        }
    }

    /// The mask with the first `length` bits set; `None` where the family has fewer bits.
    pub fn prefix_mask(self, length: u8) -> Option<IpAddr> {
        match self {
            Self::V4 if length <= 32 => Some(IpAddr::V4(Ipv4Addr::from_bits(
                u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0),
            ))),
            Self::V6 if length <= 128 => Some(IpAddr::V6(Ipv6Addr::from_bits(
                u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0),
            ))),
            _ => None,
        }
    }
}

impl Family {
    /// How people call it: `IPv4` or `IPv6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// There are two.
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// By the option that asks for it, as programs have it.
    pub fn of_option(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.option() == text)
    }

    /// The option that asks for it.
    pub fn option(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }

    /// In front of what is this family's where both have one, a table or a rule: `IPv6's ` or, of the one that a bare word means, nothing.
    pub fn whose(self) -> &'static str {
        match self {
            Self::V4 => "",
            Self::V6 => "IPv6's ",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Appends an address as the C library writes it (`inet_ntop`), which is as `Display` shows it but for addresses of IPv6 that end in one of IPv4
/// (`::192.0.2.1`); five times as fast, for who writes a hundred of them about a packet.
pub(crate) fn write_address(out: &mut String, address: IpAddr) {
    let address = match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => match ends_in_ipv4(address) {
            Some(end) => {
                out.push_str("::");
                end
            }
            None => return out.push_str(&address.to_string()),
        },
    };
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            out.push('.');
        }
        write_number(out, octet);
    }
}

fn ends_in_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(Ipv4Addr::from_bits(address.to_bits() as u32)),
        _ => None,
    }
}

/// The same in the midst of other text.
pub(crate) fn as_in_c(address: IpAddr) -> impl fmt::Display {
    fmt::from_fn(move |f| match address {
        IpAddr::V6(own) => match ends_in_ipv4(own) {
            Some(end) => write!(f, "::{end}"),
            None => write!(f, "{own}"),
        },
        IpAddr::V4(own) => write!(f, "{own}"),
    })
}

/// Appends a number as `Display` shows it, without its detours.
#[inline]
pub(crate) fn write_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// An address and a mask of the same family. The address is kept already masked, so two texts that mean the same are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressMask {
    address: IpAddr,
    mask: IpAddr,
}

impl AddressMask {
    /// `None` when the two are of different families.
    pub fn new(address: IpAddr, mask: IpAddr) -> Option<Self> {
        let address = and(address, mask)?;
        Some(Self { address, mask })
    }

    /// This address alone, under a mask of all bits.
    pub fn host(address: IpAddr) -> Self {
        let mask = Family::of(address).every_bit();
        Self { address, mask }
    }

    /// The addresses that share their first `length` bits with this one; `None` where the family has fewer bits.
    pub fn prefix(address: IpAddr, length: u8) -> Option<Self> {
        Self::new(address, Family::of(address).prefix_mask(length)?)
    }

    /// Matches every address of the family.
    pub fn any(family: Family) -> Self {
        Self {
            address: family.unspecified(),
            mask: family.unspecified(),
        }
    }

    /// Its bits outside of the mask are zero.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Of the address's family; a set bit is compared.
    pub fn mask(&self) -> IpAddr {
        self.mask
    }

    /// True where no bit is compared, so that every address of the family is in it.
    pub fn is_any(&self) -> bool {
        self.mask.is_unspecified()
    }

    /// Of the address and of the mask.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// An address of the other family is never contained.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, self.mask, address) {
            (IpAddr::V4(own), IpAddr::V4(mask), IpAddr::V4(other)) => other.to_bits() & mask.to_bits() == own.to_bits(),
            (IpAddr::V6(own), IpAddr::V6(mask), IpAddr::V6(other)) => other.to_bits() & mask.to_bits() == own.to_bits(),
            _ => false,
        }
    }

    /// The same of an address as a number: what selectors ask.
    #[inline]
    pub(crate) fn contains_number(&self, family: Family, address: u128) -> bool {
        match (self.address, self.mask) {
            (IpAddr::V4(own), IpAddr::V4(mask)) => {
                family == Family::V4 && address as u32 & mask.to_bits() == own.to_bits()
            }
            (IpAddr::V6(own), IpAddr::V6(mask)) => family == Family::V6 && address & mask.to_bits() == own.to_bits(),
            _ => false,
        }
    }

    /// The prefix length, where the mask is contiguous.
    pub fn prefix_length(&self) -> Option<u8> {
        let (ones, zeros, bits) = match self.mask {
            IpAddr::V4(mask) => (mask.to_bits().leading_ones(), mask.to_bits().trailing_zeros(), 32),
            IpAddr::V6(mask) => (mask.to_bits().leading_ones(), mask.to_bits().trailing_zeros(), 128),
        };
        (ones + zeros == bits).then_some(ones as u8)
    }
}

fn and(address: IpAddr, mask: IpAddr) -> Option<IpAddr> {
    match (address, mask) {
        (IpAddr::V4(a), IpAddr::V4(m)) => Some(IpAddr::V4(a & m)),
        (IpAddr::V6(a), IpAddr::V6(m)) => Some(IpAddr::V6(a & m)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_need_not_be_contiguous() {
        let mask = AddressMask::new([10, 1, 2, 3].into(), [255, 0, 255, 0].into()).unwrap();
        assert!(mask.contains([10, 99, 2, 77].into()));
        assert!(!mask.contains([10, 99, 3, 77].into()));
        assert_eq!(mask.prefix_length(), None);
        assert_eq!(mask.address(), IpAddr::from([10, 0, 2, 0]));
    }

    #[test]
    fn addresses_are_written_as_they_are_displayed() {
        for address in [
            "0.0.0.0",
            "255.255.255.255",
            "10.0.9.100",
            "99.101.200.1",
            "2001:db8::1",
        ] {
            let mut text = String::new();
            write_address(&mut text, address.parse().unwrap());
            assert_eq!(text, address);
        }
    }

    /// As ip6tables-save prints what was typed.
    #[test]
    fn addresses_are_written_as_the_c_library_writes_them() {
        for (typed, printed) in [
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:2:0:3:0:4:5", "1:0:2:0:3:0:4:5"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::0.0.1.0", "::100"),
            ("::1:0:0", "::1:0:0"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("0:0:0:0:0:ffff:1:2", "::ffff:0.1.0.2"),
            ("::ffff:0:1.2.3.4", "::ffff:0:102:304"),
            ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
            ("::", "::"),
        ] {
            let mut text = String::new();
            write_address(&mut text, typed.parse().unwrap());
            assert_eq!(text, printed);
        }
    }

    #[test]
    fn prefix_lengths_of_both_families() {
        for (address, length) in [
            ("10.0.0.0", 8),
            ("0.0.0.0", 0),
            ("1.2.3.4", 32),
            ("2001:db8::", 32),
            ("::1", 128),
        ] {
            let mask = AddressMask::prefix(address.parse().unwrap(), length).unwrap();
            assert_eq!(mask.prefix_length(), Some(length), "{address}/{length}");
        }
        for (family, bits) in [(Family::V4, 32), (Family::V6, 128)] {
            assert_eq!(family.bits(), bits);
            assert_eq!(AddressMask::any(family).prefix_length(), Some(0));
            let whole = AddressMask::host(family.unspecified());
            assert_eq!(whole.prefix_length(), Some(family.bits()));
        }
        assert_eq!(AddressMask::prefix("10.0.0.0".parse().unwrap(), 33), None);
    }

    #[test]
    fn an_address_is_kept_as_its_mask_leaves_it() {
        for (address, mask, kept, other) in [
            ("10.1.2.3", "255.255.0.0", "10.1.0.0", "10.2.0.0"),
            ("2001:db8::1:2:3:4", "ffff:ffff::ffff", "2001:db8::4", "2001:db9::4"),
        ] {
            let made = AddressMask::new(address.parse().unwrap(), mask.parse().unwrap()).unwrap();
            assert_eq!(made.address(), kept.parse::<IpAddr>().unwrap());
            assert!(made.contains(address.parse().unwrap()));
            assert!(!made.contains(other.parse().unwrap()));
            // The same of addresses as numbers, each in its own family.
            let number = |address: &str| match address.parse().unwrap() {
                IpAddr::V4(address) => u128::from(address.to_bits()),
                IpAddr::V6(address) => address.to_bits(),
            };
            for family in [Family::V4, Family::V6] {
                assert_eq!(made.contains_number(family, number(address)), family == made.family());
                assert!(!made.contains_number(family, number(other)));
            }
        }
    }

    #[test]
    fn families_do_not_mix() {
        let any4 = AddressMask::any(Family::V4);
        assert!(any4.contains([1, 2, 3, 4].into()));
        assert!(!any4.contains("::1".parse().unwrap()));
        assert_eq!(AddressMask::new([1, 2, 3, 4].into(), "::".parse().unwrap()), None);
    }
}
