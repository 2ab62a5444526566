//! What else is said of an address, as `ip address` says it.

/// A set of the words that [`AddressFlags::ALL`] names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressFlags(u8);

impl AddressFlags {
    /// `nodad`: nobody is asked whether the address is another's. IPv6's alone.
    pub const NO_DUPLICATES: Self = Self(1);
    /// `home`: of a host that is on its way. IPv6's alone.
    pub const HOME: Self = Self(1 << 1);
    /// `deprecated`: no source for new connections, where there is another (`preferred_lft 0`).
    pub const DEPRECATED: Self = Self(1 << 2);
    /// `mngtmpaddr`: what temporary addresses would be made of. IPv6's alone.
    pub const MANAGES_TEMPORARY: Self = Self(1 << 3);
    /// `noprefixroute`: it brings no route to its network.
    pub const NO_PREFIX_ROUTE: Self = Self(1 << 4);
    /// `tentative`: whether another has the address is to be asked when the link comes up. IPv6's alone, and nothing that one says.
    pub const TENTATIVE: Self = Self(1 << 5);

    /// With their words, in the order in which they are told.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::NO_DUPLICATES, "nodad"),
        (Self::HOME, "home"),
        (Self::DEPRECATED, "deprecated"),
        (Self::TENTATIVE, "tentative"),
        (Self::MANAGES_TEMPORARY, "mngtmpaddr"),
        (Self::NO_PREFIX_ROUTE, "noprefixroute"),
    ];

    /// Of these bits; others are nothing.
    pub fn from_bits(bits: u8) -> Self {
        let all = Self::ALL.iter().fold(0, |all, (flag, _)| all | flag.0);
        Self(bits & all)
    }

    /// For [`Self::from_bits`].
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of these are in it.
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// With these in it, too.
    #[must_use]
    pub fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// As another has it, of these.
    #[must_use]
    pub(super) fn changed_to(self, other: Self, of: Self) -> Self {
        Self(self.0 & !of.0 | other.0 & of.0)
    }

    /// But for these.
    #[must_use]
    pub(super) fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }

    /// What IPv4 has of it.
    #[must_use]
    pub(super) fn of_ipv4(self) -> Self {
        Self(self.0 & (Self::DEPRECATED.0 | Self::NO_PREFIX_ROUTE.0))
    }
}
