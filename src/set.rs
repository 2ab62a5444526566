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

    /// No rule names one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::{families, host};
    use crate::packet::testing::{echo, udp};

    families! {
        /// A part for which the rule names no end, and what the packet has not, is nothing.
        fn each_part_is_of_its_own_end(family: Family) {
            let (lan, wan, none) = (InterfaceName::new("lan").unwrap(), InterfaceName::new("wan").unwrap(), InterfaceName::default());
            let (from, to) = (host(family, 2), host(family, 9));
            let packet = udp((from, 4000), (to, 53), b"");
            for (ends, address, port, interface) in [
                (&[End::Source][..], Some(from), Some(4000), Some(lan)),
                (&[End::Destination], Some(to), Some(53), Some(wan)),
                (&[], None, None, None),
            ] {
                let element = Element { packet: &packet, input: lan, output: wan, ends };
                assert_eq!((element.address(0), element.port(0), element.interface(0)), (address, port, interface));
                let behind = (element.address(1), element.port(1), element.interface(1));
                assert_eq!(behind, (None, None, None));
            }
            let both = Element { packet: &packet, input: none, output: wan, ends: &[End::Source, End::Destination] };
            assert_eq!((both.address(1), both.port(1), both.interface(1)), (Some(to), Some(53), Some(wan)));
            assert_eq!(both.interface(0), None);
            let ping = echo(from, to, 7);
            let element = Element { packet: &ping, ..both };
            assert_eq!((element.address(0), element.port(0)), (Some(from), None));
        }
    }

    struct Nothing;

    impl AddressSet for Nothing {
        fn has(&self, _: &Element<'_>, _: Time) -> bool {
            false
        }

        fn add(&self, _: &Element<'_>, _: Adding, _: Time) {}

        fn remove(&self, _: &Element<'_>, _: Time) {}
    }

    struct Named(&'static [&'static str]);

    impl AddressSets for Named {
        fn find(&self, name: &str) -> Option<Arc<dyn AddressSet>> {
            self.0.contains(&name).then(|| Arc::new(Nothing) as _)
        }

        fn copy(&self) -> Arc<dyn AddressSets> {
            Arc::new(Self(self.0))
        }
    }

    #[test]
    fn rules_hold_what_somebody_has() {
        let mut held = HeldSets::none().clone();
        for (name, all, is_there) in [
            ("a", &["a", "b"][..], true),
            ("c", &["a", "b"], false),
            // Held already, whoever is asked now.
            ("a", &[], true),
            ("b", &["b"], true),
            ("b", &["a"], true),
        ] {
            assert_eq!(held.hold(name, &Named(all)), is_there, "{name} of {all:?}");
        }
        let names = |held: &HeldSets| ["a", "b", "c"].map(|name| held.get(name).is_some());
        assert_eq!(names(&held), [true, true, false]);
        assert_eq!(names(&held.of(&Named(&["b", "c"]))), [false, true, false]);
        assert_eq!(names(&held.of(&NoSets)), [false; 3]);
        assert_eq!(names(HeldSets::none()), [false; 3]);
        assert!(NoSets.copy().find("a").is_none());
    }
}
