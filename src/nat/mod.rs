//! Choosing and keeping mappings, rewriting headers, quoted headers of ICMP errors, sequence offsets.

mod reason;
mod sequence;
mod setup;
mod spread;
#[cfg(test)]
mod tests;
mod translate;

pub use reason::DropReason;
pub(crate) use sequence::{adjust_sequences, record_length_change};
pub(crate) use setup::{is_done, null_binding, null_binding_of_packet, setup, setup_of_packet, track};
pub(crate) use translate::{Rewrites, Translated, translate};

use crate::base::{AddressRange, PortRange, Random, Time};
use crate::packet::End;

/// Which end of a packet a mapping rewrites: `Source` at POSTROUTING and INPUT, `Destination` at PREROUTING and OUTPUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manip {
    /// SNAT's, MASQUERADE's.
    Source,
    /// DNAT's, REDIRECT's.
    Destination,
}

impl Manip {
    /// The end of the first packet that it rewrites.
    pub fn end(self) -> End {
        match self {
            Self::Source => End::Source,
            Self::Destination => End::Destination,
        }
    }
}

/// The hooks at which NAT lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NatHook {
    /// What came in, before routing.
    Prerouting,
    /// What is for the router itself.
    Input,
    /// What the router made.
    Output,
    /// What is about to go out.
    Postrouting,
}

impl NatHook {
    /// Which end is decided there.
    pub fn manip(self) -> Manip {
        match self {
            Self::Prerouting | Self::Output => Manip::Destination,
            Self::Input | Self::Postrouting => Manip::Source,
        }
    }
}

/// What choosing a mapping needs beside the flow.
#[derive(Debug)]
pub struct NatContext<'a> {
    /// When the packet came.
    pub now: Time,
    /// Where the draws of `--random` and its like come from.
    pub random: &'a mut Random,
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
