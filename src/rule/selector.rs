//! The part of a rule that needs no extension: addresses, interfaces, protocol, fragments.

use std::fmt;

use crate::base::{AddressMask, Family, InterfaceMask, InterfaceName, protocol};
use crate::packet::Packet;

/// `-s -d -i -o -p -f`, each with its `!`. A rule has one source and one destination: the tool splits `-s a,b` into several rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    pub source: AddressMask,
    pub source_inverted: bool,
    pub destination: AddressMask,
    pub destination_inverted: bool,
    pub input: InterfaceMask,
    pub input_inverted: bool,
    pub output: InterfaceMask,
    pub output_inverted: bool,
    /// 0: any protocol.
    pub protocol: u8,
    pub protocol_inverted: bool,
    /// `-f`: second and further fragments only.
    pub fragment: bool,
    pub fragment_inverted: bool,
    pub family: Family,
}

/// The first part of a selector that a packet failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    Source,
    Destination,
    Input,
    Output,
    Protocol,
    Fragment,
}

impl Selector {
    /// Matches every packet of its family.
    pub fn any(family: Family) -> Self {
        Self {
            source: AddressMask::any(family),
            source_inverted: false,
            destination: AddressMask::any(family),
            destination_inverted: false,
            input: InterfaceMask::default(),
            input_inverted: false,
            output: InterfaceMask::default(),
            output_inverted: false,
            protocol: 0,
            protocol_inverted: false,
            fragment: false,
            fragment_inverted: false,
            family,
        }
    }

    /// In the order the kernel asks: source, destination, input, output, protocol, fragment.
    pub fn check(&self, packet: &Packet, input: &InterfaceName, output: &InterfaceName) -> Result<(), Miss> {
        if self.source.contains(packet.source()) == self.source_inverted {
            return Err(Miss::Source);
        }
        if self.destination.contains(packet.destination()) == self.destination_inverted {
            return Err(Miss::Destination);
        }
        if self.input.matches(input) == self.input_inverted {
            return Err(Miss::Input);
        }
        if self.output.matches(output) == self.output_inverted {
            return Err(Miss::Output);
        }
        if self.protocol != 0 && (self.protocol == packet.protocol()) == self.protocol_inverted {
            return Err(Miss::Protocol);
        }
        if self.fragment && (packet.fragment_offset() != 0) == self.fragment_inverted {
            return Err(Miss::Fragment);
        }
        Ok(())
    }

    /// The sentence that says why a packet failed here: the option, and the packet's datum against it.
    pub fn explain(&self, miss: Miss, packet: &Packet, input: &InterfaceName, output: &InterfaceName) -> String {
        struct Protocol(u8);
        impl fmt::Display for Protocol {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match protocol::NAMES.iter().find(|(_, number)| *number == self.0) {
                    Some((name, _)) => f.write_str(name),
                    None => write!(f, "protocol {}", self.0),
                }
            }
        }
        struct Not(bool);
        impl fmt::Display for Not {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(if self.0 { "! " } else { "" })
            }
        }
        let masked = |mask: &AddressMask| match mask.prefix_length() {
            Some(length) => format!("{}/{length}", mask.address()),
            None => format!("{}/{}", mask.address(), mask.mask()),
        };
        let named = |name: &InterfaceName| {
            if name.is_empty() {
                "none".to_owned()
            } else {
                name.to_string()
            }
        };
        match miss {
            Miss::Source => {
                format!(
                    "{}-s {}: packet is from {}",
                    Not(self.source_inverted),
                    masked(&self.source),
                    packet.source()
                )
            }
            Miss::Destination => format!(
                "{}-d {}: packet is for {}",
                Not(self.destination_inverted),
                masked(&self.destination),
                packet.destination()
            ),
            Miss::Input => {
                format!(
                    "{}-i {}: packet came in by {}",
                    Not(self.input_inverted),
                    self.input.as_str(),
                    named(input)
                )
            }
            Miss::Output => {
                format!(
                    "{}-o {}: packet goes out by {}",
                    Not(self.output_inverted),
                    self.output.as_str(),
                    named(output)
                )
            }
            Miss::Protocol => format!(
                "{}-p {}: packet is {}",
                Not(self.protocol_inverted),
                Protocol(self.protocol),
                Protocol(packet.protocol())
            ),
            Miss::Fragment => format!(
                "{}-f: packet has fragment offset {}",
                Not(self.fragment_inverted),
                packet.fragment_offset()
            ),
        }
    }
}
