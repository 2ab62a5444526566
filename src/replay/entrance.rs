//! Where a recorded packet comes in.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use super::TimedPacket;
use crate::base::bytes::quoted;
use crate::base::{AddressMask, Family, InterfaceId, InterfaceName};
use crate::lab::memory::{LOCAL, Lab};

/// What decides by which interface a packet comes: a map from its source, then what the capture says, then a default.
#[derive(Clone, Debug, Default)]
pub struct Entrances {
    /// By prefix.
    map: HashMap<(IpAddr, u8), Entrance>,
    /// The same where it is short, the longest first: address, mask.
    few: Vec<(u32, u32, Entrance)>,
    /// Of its prefixes, the longest first.
    lengths: BTreeSet<Reverse<u8>>,
    default: Option<Entrance>,
}

/// An interface of the lab, or the router itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entrance {
    interface: Option<InterfaceId>,
    name: InterfaceName,
}

impl Entrance {
    /// `None` where the lab has none of this name.
    fn named(lab: &Lab, name: &str) -> Option<Self> {
        let interface = match name {
            LOCAL => None,
            name => Some(lab.interface(name)?),
        };
        Some(Self {
            interface,
            name: InterfaceName::new(name)?,
        })
    }

    pub(super) fn interface(&self) -> Option<InterfaceId> {
        self.interface
    }

    pub(super) fn name(&self) -> InterfaceName {
        self.name
    }
}

impl Entrances {
    /// Packets whose capture names no interface come in here.
    pub fn set_default(&mut self, lab: &Lab, name: &str) -> Result<(), NoEntrance> {
        let entrance = Entrance::named(lab, name).ok_or_else(|| unknown(lab, name))?;
        self.default = Some(entrance);
        Ok(())
    }

    /// Adds a line of the map: `10.0.0.0/8=lan`. It goes before what the capture says; of prefixes that fit, the longest counts.
    pub fn map(&mut self, lab: &Lab, line: &str) -> Result<(), MapError> {
        let wrong = |what: &str| MapError::Text {
            line: line.to_owned(),
            what: what.to_owned(),
        };
        let (prefix, name) = line.split_once('=').ok_or_else(|| wrong("it has no `=`"))?;
        let (address, length) = match prefix.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (prefix, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| wrong(&format!("{address} is no address", address = quoted(address))))?;
        let most = Family::of(address).bits();
        let length = match length {
            None => most,
            Some(length) => length.parse().ok().filter(|length| *length <= most).ok_or_else(|| {
                wrong(&format!(
                    "{length} is no prefix length from 0 to {most}",
                    length = quoted(length)
                ))
            })?,
        };
        let prefix = prefix_of(address, length).ok_or_else(|| wrong("this is no prefix"))?;
        let entrance = Entrance::named(lab, name).ok_or_else(|| MapError::Interface(unknown(lab, name)))?;
        let there = *self.map.entry(prefix).or_insert(entrance);
        if there != entrance {
            return Err(wrong(&format!("the same prefix leads to {} already", there.name)));
        }
        self.lengths.insert(Reverse(length));
        self.few.clear();
        if self.map.len() <= FEW {
            self.few
                .extend(self.map.iter().filter_map(|((address, length), entrance)| {
                    let IpAddr::V4(address) = address else { return None };
                    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                    Some((address.to_bits(), mask, *entrance))
                }));
            self.few.sort_unstable_by_key(|(_, mask, _)| Reverse(*mask));
        }
        Ok(())
    }

    /// Whether the name that the capture has for the interface decides by itself.
    #[inline]
    pub(super) fn ask_the_capture(&self) -> bool {
        self.map.is_empty()
    }

    #[inline]
    pub(super) fn find(&self, lab: &Lab, packet: &TimedPacket<'_>) -> Result<Entrance, NoEntrance> {
        if !self.map.is_empty()
            && let Some(found) = self.by_source(packet.bytes)
        {
            return Ok(found);
        }
        match (packet.interface, self.default) {
            (Some(name), default) => match (Entrance::named(lab, name), default) {
                (Some(entrance), _) => Ok(entrance),
                // A map or a default is for captures that know the lab's names not.
                (None, Some(default)) => Ok(default),
                (None, None) if self.map.is_empty() => Err(unknown(lab, name)),
                (None, None) => Err(NoEntrance::Unmapped(source(packet.bytes))),
            },
            (None, Some(default)) => Ok(default),
            (None, None) if self.map.is_empty() => Err(NoEntrance::NotSaid),
            (None, None) => Err(NoEntrance::Unmapped(source(packet.bytes))),
        }
    }

    #[inline]
    fn by_source(&self, packet: &[u8]) -> Option<Entrance> {
        let source = source(packet)?;
        if let (false, IpAddr::V4(source)) = (self.few.is_empty(), source) {
            let source = source.to_bits();
            let found = self.few.iter().find(|(address, mask, _)| source & mask == *address);
            return found.map(|(_, _, entrance)| *entrance);
        }
        self.by_length(source)
    }

    fn by_length(&self, source: IpAddr) -> Option<Entrance> {
        let mut prefixes = self.lengths.iter().filter_map(|length| prefix_of(source, length.0));
        prefixes.find_map(|prefix| self.map.get(&prefix)).copied()
    }
}

/// Prefixes that are looked through faster one after another than by length.
const FEW: usize = 16;

fn prefix_of(address: IpAddr, length: u8) -> Option<(IpAddr, u8)> {
    Some((AddressMask::prefix(address, length)?.address(), length))
}

fn source(packet: &[u8]) -> Option<IpAddr> {
    match Family::of_packet(packet)? {
        Family::V4 => Some(IpAddr::from(*packet.get(12..16)?.first_chunk::<4>()?)),
        Family::V6 => Some(IpAddr::from(*packet.get(8..24)?.first_chunk::<16>()?)),
    }
}

fn unknown(lab: &Lab, name: &str) -> NoEntrance {
    NoEntrance::Unknown {
        name: name.to_owned(),
        there: lab.interface_names(),
    }
}

/// Nobody knows where a packet comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoEntrance {
    /// By an interface that the lab doesn't have.
    Unknown {
        /// What the capture calls it.
        name: String,
        /// What the lab has.
        there: Vec<InterfaceName>,
    },
    /// Neither the capture nor the map says anything.
    NotSaid,
    /// No prefix of the map holds its source; `None` where it has none that could be read.
    Unmapped(Option<IpAddr>),
}

impl fmt::Display for NoEntrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, there } => {
                let there: Vec<&str> = there.iter().map(InterfaceName::as_str).collect();
                write!(
                    f,
                    "interface {name}, which the lab doesn't have: it has {}, and `local`; rename it in the lab file or the capture, or say where packets come in with --map or --interface",
                    there.join(", "), name = quoted(name)
                )
            }
            Self::NotSaid => f.write_str(
                "the capture doesn't say on which interface it was; name it with --interface, or let --map find it by its source",
            ),
            Self::Unmapped(Some(source)) => write!(
                f,
                "its source {source} is in no prefix of --map; add one, such as --map {}/0=wan, or name an interface for the rest with --interface",
                Family::of(*source).unspecified()
            ),
            Self::Unmapped(None) => f.write_str("it has no source that --map could look for; name an interface for such with --interface"),
        }
    }
}

impl std::error::Error for NoEntrance {}

/// What is wrong with a line of the map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The line is not `PREFIX=INTERFACE`.
    #[error("{line}: {what}; expected PREFIX=INTERFACE, such as 10.0.0.0/8=lan or 2001:db8::/32=lan", line = quoted(line))]
    Text {
        /// As it was given.
        line: String,
        /// What is wrong with it.
        what: String,
    },
    /// The lab has no such interface.
    #[error("{0}")]
    Interface(NoEntrance),
}
