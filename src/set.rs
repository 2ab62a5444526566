//! Sets of addresses that rules name: what a rule asks of one, and what it puts into one or takes out. Who holds them is handed to the router;
//! which kinds there are, what an element of each is made of, and the commands that make them are the holder's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{InterfaceName, Time};
use crate::packet::{End, Packet};

/// Who holds the sets.
pub trait AddressSets: Send + Sync {
    /// The set of that name. It stays there for as long as somebody has it: it may be emptied or swapped for another meanwhile, but neither
    /// destroyed nor renamed, as the kernel has it of sets that rules name. `None` refuses the rule.
    fn find(&self, name: &str) -> Option<Arc<dyn AddressSet>>;
    /// The same for a copy of the router that goes its own way: each set as it is now, under its name.
    fn copy(&self) -> Arc<dyn AddressSets>;
}

/// One set. Behind its own lock, because workers and commands share it. What a packet has no such element for is in no set, and goes into none.
pub trait AddressSet: Send + Sync {
    /// Whether the element is in the set at this time.
    fn has(&self, element: &Element<'_>, now: Time) -> bool;
    /// Puts the element in. A set that is full may leave it out: a packet hears of no error.
    fn add(&self, element: &Element<'_>, adding: Adding, now: Time);
    /// Takes the element out, if it is in.
    fn remove(&self, element: &Element<'_>, now: Time);
}

/// How a rule adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Adding {
    /// Seconds; 0 is for ever, and `None` is what the set has by itself.
    pub timeout: Option<u32>,
    /// What is there already begins anew.
    pub renews: bool,
}

/// What of a packet a rule asks a set about. The set knows which parts its elements have, one after another, and the rule from which end of the
/// packet each comes (`src,dst`).
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// As the rule sees it.
    pub packet: &'a Packet,
    /// Empty where the packet has none.
    pub input: InterfaceName,
    /// Empty where the packet has none, or routing has not decided.
    pub output: InterfaceName,
    /// In the order in which the rule names them.
    pub ends: &'a [End],
}

impl Element<'_> {
    /// The address that is its part at this position; `None` where the rule names no end for that: it never matches then.
    pub fn address(&self, part: usize) -> Option<IpAddr> {
        Some(match self.ends.get(part)? {
            End::Source => self.packet.source(),
            End::Destination => self.packet.destination(),
        })
    }

    /// Also `None` for protocols without ports, and for later fragments.
    pub fn port(&self, part: usize) -> Option<u16> {
        let (source, destination) = self.packet.ports()?;
        Some(match self.ends.get(part)? {
            End::Source => source,
            End::Destination => destination,
        })
    }

    /// The way in is at the source.
    pub fn interface(&self, part: usize) -> Option<InterfaceName> {
        let name = match self.ends.get(part)? {
            End::Source => self.input,
            End::Destination => self.output,
        };
        (!name.is_empty()).then_some(name)
    }
}

/// For who has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSets;

impl AddressSets for NoSets {
    fn find(&self, _name: &str) -> Option<Arc<dyn AddressSet>> {
        None
    }

    fn copy(&self) -> Arc<dyn AddressSets> {
        Arc::new(Self)
    }
}

/// Sets that rules have, by the names that they are known by there.
#[derive(Clone, Default)]
pub struct HeldSets(BTreeMap<Box<str>, Arc<dyn AddressSet>>);

impl HeldSets {
    /// None, for as long as anybody likes.
    pub fn none() -> &'static Self {
        static NONE: HeldSets = HeldSets(BTreeMap::new());
        &NONE
    }

    /// The set that a rule of the table names so; `None` for one that no rule names.
    pub fn get(&self, name: &str) -> Option<&dyn AddressSet> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// Whether there is one to be had.
    #[must_use]
    pub fn hold(&mut self, name: &str, of: &dyn AddressSets) -> bool {
        if self.0.contains_key(name) {
            return true;
        }
        let found = of.find(name);
        let is_there = found.is_some();
        self.0.extend(found.map(|set| (name.into(), set)));
        is_there
    }

    /// Those of the same names that another has, such as a router's copy.
    pub fn of(&self, other: &dyn AddressSets) -> Self {
        let names = self.0.keys();
        Self(
            names
                .filter_map(|name| Some((name.clone(), other.find(name)?)))
                .collect(),
        )
    }
}
