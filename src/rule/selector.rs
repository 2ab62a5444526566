//! The part of a rule that needs no extension: addresses, interfaces, protocol, fragments.

use std::fmt::{self, Write};

use crate::base::{AddressMask, Family, InterfaceMask, InterfaceName, protocol, write_address};
use crate::packet::Packet;

use super::{Condition, Field, Lowered};

/// `-s -d -i -o -p -f`, each with its `!`. A rule has one source and one destination: the tool splits `-s a,b` into several rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    /// `-s`; any address without.
    pub source: AddressMask,
    /// `! -s`.
    pub source_inverted: bool,
    /// `-d`; any address without.
    pub destination: AddressMask,
    /// `! -d`.
    pub destination_inverted: bool,
    /// `-i`; any interface without.
    pub input: InterfaceMask,
    /// `! -i`.
    pub input_inverted: bool,
    /// `-o`; any interface without.
    pub output: InterfaceMask,
    /// `! -o`.
    pub output_inverted: bool,
    /// 0: any protocol.
    pub protocol: u8,
    /// `! -p`.
    pub protocol_inverted: bool,
    /// `-p all` of IPv6: it fits any protocol, but asks for one, which a packet must have.
    pub asks_for_all_protocols: bool,
    /// `-f`: second and further fragments only.
    pub fragment: bool,
    /// `! -f`: first fragments and whole packets only.
    pub fragment_inverted: bool,
    /// Of the table; addresses are of it too.
    pub family: Family,
}

/// The first part of a selector that a packet failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// `-s`.
    Source,
    /// `-d`.
    Destination,
    /// `-i`.
    Input,
    /// `-o`.
    Output,
    /// `-p`.
    Protocol,
    /// `-f`.
    Fragment,
}

/// What selectors ask of a packet: read once for all the rules that it comes to, as long as none changes it.
#[derive(Clone, Copy, Debug)]
pub struct SelectorFields {
    family: Family,
    source: u128,
    destination: u128,
    input: InterfaceName,
    output: InterfaceName,
    protocol: u8,
    is_later_fragment: bool,
}

impl SelectorFields {
    /// Of a packet as it is now; an interface that it has not has the empty name.
    #[inline]
    pub fn of(packet: &Packet, input: &InterfaceName, output: &InterfaceName) -> Self {
        let (source, destination) = packet.addresses_as_numbers();
        Self {
            family: packet.family(),
            source,
            destination,
            input: *input,
            output: *output,
            protocol: packet.protocol(),
            is_later_fragment: packet.fragment_offset() != 0,
        }
    }
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
            asks_for_all_protocols: false,
            fragment: false,
            fragment_inverted: false,
            family,
        }
    }

    /// Whether a packet of which nobody can read the protocol is dropped by the rule (`Packet::has_broken_chain`).
    pub(crate) fn needs_a_protocol(&self) -> bool {
        self.protocol != 0 || self.asks_for_all_protocols
    }

    /// In the order the kernel asks: source, destination, input, output, protocol, fragment.
    #[inline]
    pub fn check(&self, packet: &SelectorFields) -> Result<(), Miss> {
        if self.source.contains_number(packet.family, packet.source) == self.source_inverted {
            return Err(Miss::Source);
        }
        if self.destination.contains_number(packet.family, packet.destination) == self.destination_inverted {
            return Err(Miss::Destination);
        }
        if self.input.matches(&packet.input) == self.input_inverted {
            return Err(Miss::Input);
        }
        if self.output.matches(&packet.output) == self.output_inverted {
            return Err(Miss::Output);
        }
        if self.protocol != 0 && (self.protocol == packet.protocol) == self.protocol_inverted {
            return Err(Miss::Protocol);
        }
        if self.fragment && packet.is_later_fragment == self.fragment_inverted {
            return Err(Miss::Fragment);
        }
        Ok(())
    }

    /// The same as conditions, for packets of its family: what asks nothing is left out.
    pub fn lower(&self) -> Lowered {
        let any = Self::any(self.family);
        let asked = |asks: bool, field, inverted| (asks || inverted).then(|| Condition::new(field, inverted));
        let conditions = [
            asked(
                self.source != any.source,
                Field::Source(self.source),
                self.source_inverted,
            ),
            asked(
                self.destination != any.destination,
                Field::Destination(self.destination),
                self.destination_inverted,
            ),
            asked(self.input != any.input, Field::Input(self.input), self.input_inverted),
            asked(
                self.output != any.output,
                Field::Output(self.output),
                self.output_inverted,
            ),
            (self.protocol != 0).then(|| Condition::new(Field::Protocol(self.protocol), self.protocol_inverted)),
            self.fragment
                .then(|| Condition::new(Field::LaterFragment, self.fragment_inverted)),
        ];
        // With room for those of its matches.
        let mut asked = Vec::with_capacity(8);
        asked.extend(conditions.into_iter().flatten());
        Lowered::exactly(asked)
    }

    /// Appends the sentence that says why a packet failed here: the option, and the packet's datum against it.
    pub fn explain(
        &self,
        out: &mut String,
        miss: Miss,
        packet: &Packet,
        input: &InterfaceName,
        output: &InterfaceName,
    ) {
        self.explain_asked(out, miss);
        Self::explain_datum(out, miss, packet, input, output);
    }

    /// The sentence up to the packet's datum: the same for all packets.
    pub(crate) fn explain_asked(&self, out: &mut String, miss: Miss) {
        let not = |inverted| if inverted { "! " } else { "" };
        // Writing into a string cannot fail.
        let _ = match miss {
            Miss::Source => {
                out.push_str(not(self.source_inverted));
                out.push_str("-s ");
                write_masked(out, &self.source);
                write!(out, ": packet is from ")
            }
            Miss::Destination => {
                out.push_str(not(self.destination_inverted));
                out.push_str("-d ");
                write_masked(out, &self.destination);
                write!(out, ": packet is for ")
            }
            Miss::Input => {
                out.push_str(not(self.input_inverted));
                write!(out, "-i {}: packet came in by ", self.input.text())
            }
            Miss::Output => {
                out.push_str(not(self.output_inverted));
                write!(out, "-o {}: packet goes out by ", self.output.text())
            }
            Miss::Protocol => {
                out.push_str(not(self.protocol_inverted));
                write!(out, "-p {}: packet is ", Protocol(self.protocol))
            }
            Miss::Fragment => {
                out.push_str(not(self.fragment_inverted));
                write!(out, "-f: packet has fragment offset ")
            }
        };
    }

    /// What the packet has: the same for all rules.
    pub(crate) fn explain_datum(
        out: &mut String,
        miss: Miss,
        packet: &Packet,
        input: &InterfaceName,
        output: &InterfaceName,
    ) {
        let _ = match miss {
            Miss::Source => {
                write_address(out, packet.source());
                Ok(())
            }
            Miss::Destination => {
                write_address(out, packet.destination());
                Ok(())
            }
            Miss::Input => write!(out, "{}", named(input)),
            Miss::Output => write!(out, "{}", named(output)),
            Miss::Protocol => write!(out, "{}", Protocol(packet.protocol())),
            Miss::Fragment => write!(out, "{}", packet.fragment_offset()),
        };
    }
}

fn named(name: &InterfaceName) -> &str {
    if name.is_empty() { "none" } else { name.as_str() }
}

/// By the name that stands in the rule, as the tools print it.
struct Protocol(u8);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match protocol::name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "protocol {}", self.0),
        }
    }
}

fn write_masked(out: &mut String, mask: &AddressMask) {
    write_address(out, mask.address());
    out.push('/');
    match mask.prefix_length() {
        // Writing into a string cannot fail.
        Some(length) => drop(write!(out, "{length}")),
        None => write_address(out, mask.mask()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::{families, host};
    use crate::packet::testing::{echo, udp};

    families! {
        /// What was asked, what the packet failed, and the sentence about it.
        fn the_first_part_that_fails_is_named(family: Family) {
            let packet = udp((host(family, 2), 4000), (host(family, 9), 53), &[]);
            let any = Selector::any(family);
            let only = |number| AddressMask::prefix(host(family, number), family.bits()).unwrap();
            let [lan, wan] = ["lan", "wan"].map(|name| InterfaceName::new(name).unwrap());
            let (from, to) = (host(family, 2), host(family, 9));
            let length = family.bits();
            for (selector, miss, said) in [
                (any, None, String::new()),
                (Selector { source: only(2), destination: only(9), protocol: protocol::UDP, ..any }, None, String::new()),
                (
                    Selector { source: only(3), destination: only(3), ..any },
                    Some(Miss::Source),
                    format!("-s {}/{length}: packet is from {from}", host(family, 3)),
                ),
                (
                    Selector { destination: only(9), destination_inverted: true, ..any },
                    Some(Miss::Destination),
                    format!("! -d {to}/{length}: packet is for {to}"),
                ),
                (Selector { protocol: protocol::TCP, ..any }, Some(Miss::Protocol), "-p tcp: packet is udp".to_owned()),
                (
                    Selector { protocol: protocol::ICMPV6, ..any },
                    Some(Miss::Protocol),
                    "-p ipv6-icmp: packet is udp".to_owned(),
                ),
                (Selector { protocol: 7, ..any }, Some(Miss::Protocol), "-p protocol 7: packet is udp".to_owned()),
            ] {
                assert_eq!(selector.check(&SelectorFields::of(&packet, &lan, &wan)).err(), miss, "{selector:?}");
                if let Some(miss) = miss {
                    let mut out = String::new();
                    selector.explain(&mut out, miss, &packet, &lan, &wan);
                    assert_eq!(out, said);
                }
            }
            // Of another family no address fits.
            for other in Family::ALL.into_iter().filter(|it| *it != family) {
                let packet = echo(host(other, 2), host(other, 9), 1);
                assert_eq!(any.check(&SelectorFields::of(&packet, &lan, &wan)), Err(Miss::Source));
            }
        }
    }
}
