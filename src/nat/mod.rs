//! Choosing and keeping mappings, rewriting headers, quoted headers of ICMP errors, sequence offsets.

use crate::base::{AddressRange, PortRange};

/// Which end of a packet a mapping rewrites: `Source` at POSTROUTING and INPUT, `Destination` at PREROUTING and OUTPUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manip {
    Source,
    Destination,
}

/// What SNAT, DNAT, MASQUERADE and REDIRECT ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NatRange {
    /// `None`: keep the address.
    pub addresses: Option<AddressRange>,
    /// `None`: keep the port if it is free. For ICMP these are identifiers.
    pub ports: Option<PortRange>,
    /// `--to-destination :8000-8010/80`: the range is shifted from this base port by the packet's own.
    pub port_base: Option<u16>,
    /// `--random`.
    pub random: bool,
    /// `--random-fully`.
    pub random_fully: bool,
    /// `--persistent`.
    pub persistent: bool,
}
