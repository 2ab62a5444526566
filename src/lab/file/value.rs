//! Single values of a lab file: texts, addresses, names, numbers, tables, each with what is wrong where it is none.

use std::net::IpAddr;

use toml::de::{DeTable, DeValue};

use super::parse::{Key, Reader, Value};
use super::{InterfaceAddress, Position};
use crate::base::{AddressMask, Family, InterfaceName};
use crate::syntax::atom;

impl Reader {
    pub(super) fn destination(&mut self, text: &str, position: Position, family: Family) -> Option<AddressMask> {
        if text == "default" {
            return Some(AddressMask::any(family));
        }
        let (address, length) =
            self.prefix(text, position, "\"default\", or a prefix such as \"10.1.0.0/16\"", true)?;
        let mask = AddressMask::prefix(address, length)?;
        if mask.address() != address {
            self.problem(
                position,
                format!("{text} has bits set behind its prefix"),
                "expected the network's own address",
                format!("write \"{}/{length}\"", mask.address()),
            );
            return None;
        }
        Some(mask)
    }

    pub(super) fn interface_name(&mut self, name: Key<'_, '_>) -> Option<InterfaceName> {
        let text = name.get_ref().as_ref();
        let reason = if text.is_empty() {
            "it is empty".to_owned()
        } else if text.len() > 15 {
            format!("it has {} bytes, and the kernel keeps 15", text.len())
        } else if let Some(bad) = text
            .chars()
            .find(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%'))
        {
            format!("{bad:?} must not be in it")
        } else if matches!(text, "lo" | "local") {
            "it is the router's own: `lo` is its loopback, `local` what it sends itself".to_owned()
        } else if matches!(text, "all" | "default" | "." | "..") {
            "it means something else in the names of sysctls or files".to_owned()
        } else {
            return InterfaceName::new(text);
        };
        self.problem(
            name.span(),
            format!("{text:?} cannot name an interface: {reason}"),
            "expected a name of 1 to 15 bytes without `/`, `:`, `%` or blanks",
            "choose another name, such as `lan`",
        );
        None
    }

    /// The name of an interface that may be described further down; `check` looks whether it is.
    pub(super) fn known_interface(&mut self, value: Value<'_, '_>) -> Option<InterfaceName> {
        let (text, position) = self.text(value, "an interface's name")?;
        let made = InterfaceName::new(&text).filter(|name| !name.is_empty());
        match made {
            Some(name) => self.named.push((name, position)),
            None => self.no_interface(&text, position),
        }
        made
    }

    pub(super) fn addresses(&mut self, value: Value<'_, '_>) -> Vec<InterfaceAddress> {
        let mut addresses = Vec::new();
        for (text, position) in self.texts(value, "an address with its prefix, or a list of them") {
            let expected = "expected an address and a prefix length, such as \"10.0.0.1/24\"";
            let Some((address, prefix_length)) = self.prefix(&text, position, expected, false) else {
                continue;
            };
            let broadcast = address == IpAddr::from([255; 4]);
            if address.is_unspecified() || address.is_multicast() || broadcast {
                self.problem(
                    position,
                    format!("{address} is not an address that an interface can have"),
                    "expected a unicast address",
                    "use one of the interface's subnet, such as \"10.0.0.1/24\"",
                );
                continue;
            }
            addresses.push(InterfaceAddress {
                address,
                prefix_length,
                position,
            });
        }
        addresses
    }

    pub(super) fn mtu(&mut self, value: Value<'_, '_>) -> Option<u32> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok())
            .filter(|mtu| (68..=65_535).contains(mtu));
        if number.is_none() {
            self.problem(
                value.span(),
                "this is not an MTU",
                "expected an integer from 68 to 65535",
                "leave the line out for 1500; IPv6 needs at least 1280",
            );
        }
        number
    }

    fn prefix(&mut self, text: &str, position: Position, expected: &str, bare: bool) -> Option<(IpAddr, u8)> {
        let Some((address, length_text)) = atom::network(text) else {
            self.problem(
                position,
                format!("{text:?} is not an address"),
                expected,
                "write digits and dots (IPv4) or colons (IPv6), then / and the prefix length",
            );
            return None;
        };
        let bits = Family::of(address).bits();
        match length_text {
            None if bare => Some((address, bits)),
            None => {
                let usual = if bits == 32 { 24 } else { 64 };
                self.problem(
                    position,
                    format!("{text:?} has no prefix length"),
                    expected,
                    format!("write \"{address}/{usual}\", or /{bits} where no neighbour shall be in its subnet"),
                );
                None
            }
            Some(length) => match atom::prefix_length(length) {
                Some(number) if number <= bits => Some((address, number)),
                _ => {
                    self.problem(
                        position,
                        format!(
                            "{length:?} is not a prefix length of an {} address",
                            Family::of(address)
                        ),
                        format!("expected a number from 0 to {bits} behind the /"),
                        "a netmask such as 255.255.255.0 is written as its number of bits: 24",
                    );
                    None
                }
            },
        }
    }

    pub(super) fn address(&mut self, text: &str, position: Position) -> Option<IpAddr> {
        let parsed = atom::ip_address(text);
        if parsed.is_none() {
            self.problem(
                position,
                format!("{text:?} is not an address"),
                "expected an address without a prefix length, such as \"192.0.2.254\"",
                "names are not looked up in a lab file; write digits",
            );
        }
        parsed
    }

    pub(super) fn text(&mut self, value: Value<'_, '_>, expected: &str) -> Option<(String, Position)> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let found = value.get_ref().type_str();
            self.problem(
                value.span(),
                format!("this is a TOML {found}, not a text"),
                format!("expected {expected}"),
                "write it in quotes",
            );
        }
        text.map(|text| (text.to_owned(), value.span().into()))
    }

    /// One text or a list of texts.
    pub(super) fn texts(&mut self, value: Value<'_, '_>, expected: &str) -> Vec<(String, Position)> {
        match value.get_ref() {
            DeValue::Array(array) => array.iter().filter_map(|value| self.text(value, expected)).collect(),
            _ => self.text(value, expected).into_iter().collect(),
        }
    }

    pub(super) fn table<'a, 'i>(
        &mut self,
        key: Key<'_, '_>,
        value: Value<'a, 'i>,
        expected: &str,
    ) -> Option<&'a DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.problem(
                key.span(),
                format!(
                    "`{}` is a TOML {}, not a table",
                    key.get_ref(),
                    value.get_ref().type_str()
                ),
                format!("expected {expected}"),
                "write its name in brackets on a line of its own, and its keys below",
            );
        }
        table
    }

    pub(super) fn named_tables<'a, 'i>(
        &mut self,
        key: Key<'_, '_>,
        value: Value<'a, 'i>,
    ) -> Vec<(Key<'a, 'i>, Value<'a, 'i>)> {
        let remedy = format!("tables named [{}.NAME]", key.get_ref());
        self.table(key, value, &remedy).map(in_order).unwrap_or_default()
    }
}

/// TOML tables come sorted by key; a lab's interfaces are numbered in the order of the file.
pub(super) fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(Key<'a, 'i>, Value<'a, 'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
