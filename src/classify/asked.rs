//! What one rule asks, as an index files it: bits that must be equal, bounds of ports, and for which packets that is the whole truth.

use super::words::{Place, Words, numbers};
use crate::base::{Family, PortRange};
use crate::conntrack::StateBits;
use crate::rule::{Changes, Condition, Field, Lowered};

/// Of a rule. What it does not say is for the rule itself to ask: an index may offer too much, never too little.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The bits that must be set as in `words`.
    pub mask: Words,
    pub words: Words,
    pub filter: Filter,
    /// The parts of a packet that any of this lies in.
    pub parts: Changes,
}

/// How much of a transport header must be there, so that what is asked behind it counts: a packet that is shorter may end at the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub bytes: u8,
    /// Asked before the header is; packets of others do not come to it.
    pub protocol: Option<u8>,
}

/// What is compared of a rule that a table offers, before it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// Of both addresses 32 bits each.
    addresses: u64,
    addresses_mask: u64,
    /// See [`Sight::rest`].
    rest: u64,
    rest_mask: u64,
    /// The lowest port, and how far the highest is from it: of the source, and of the destination.
    ports: [(u16, u16); 2],
}

/// The same of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub addresses: u64,
    /// From above: sixteen bits each of what names of interfaces are hashed to, protocol, TCP's flags, one bit of a state, one for later fragments.
    pub rest: u64,
    pub ports: [u16; 2],
}

impl Filter {
    #[inline]
    pub(super) fn passes(&self, sight: &Sight) -> bool {
        let is_in = |(low, width): (u16, u16), port: u16| port.wrapping_sub(low) <= width;
        // All at once: which of them fails nobody can foretell.
        (((sight.addresses ^ self.addresses) & self.addresses_mask) | ((sight.rest ^ self.rest) & self.rest_mask) == 0)
            & is_in(self.ports[0], sight.ports[0])
            & is_in(self.ports[1], sight.ports[1])
    }
}

impl Asked {
    /// What it asks for of headers; and the rest, unless no packet can meet that which has them.
    pub(super) fn of(family: Family, window: Window, rule: &Lowered) -> (Header, Option<Self>) {
        let mut asking = Asking {
            family,
            mask: Words::default(),
            words: Words::default(),
            ports: [PortRange::ANY; 2],
            states: 0,
            header: Header::default(),
            parts: Changes::NONE,
        };
        let mut may_be = true;
        for condition in rule.conditions() {
            may_be &= asking.also(condition);
        }
        (asking.header, may_be.then(|| asking.done(window)))
    }

    /// True where nothing of it helps to find it.
    pub(super) fn says_nothing(&self) -> bool {
        self.mask.is_empty() && self.filter.rest_mask == 0 && self.filter.ports == [EVERY_PORT; 2]
    }
}

const EVERY_PORT: (u16, u16) = (0, u16::MAX);

/// Conditions put together.
struct Asking {
    family: Family,
    mask: Words,
    words: Words,
    ports: [PortRange; 2],
    /// Bits of states that it must not have.
    states: u8,
    header: Header,
    parts: Changes,
}

impl Asking {
    /// False where it contradicts what was asked before, or itself.
    fn also(&mut self, condition: &Condition) -> bool {
        let (field, inverted) = match condition {
            Condition::Header(bytes) => {
                self.needs(*bytes);
                return true;
            }
            Condition::Is(field) => (field, false),
            Condition::IsNot(field) => (field, true),
        };
        self.needs(field.header());
        self.parts = self.parts.and(field.part());
        match (field, inverted) {
            (Field::Source(asked), false) => self.address(Place::Source, numbers(self.family, asked)),
            (Field::Destination(asked), false) => self.address(Place::Destination, numbers(self.family, asked)),
            (Field::Input(asked), false) => {
                let (name, mask) = asked.as_numbers();
                self.equal(Place::Input, name, mask)
            }
            (Field::Output(asked), false) => {
                let (name, mask) = asked.as_numbers();
                self.equal(Place::Output, name, mask)
            }
            (Field::Protocol(asked), false) => {
                if self.header.bytes == 0 {
                    self.header.protocol = Some(*asked);
                }
                self.equal(Place::Protocol, (*asked).into(), 0xff)
            }
            (Field::LaterFragment, inverted) => self.equal(Place::LaterFragment, (!inverted).into(), 1),
            (Field::SourcePort(asked), false) => self.within(0, asked),
            (Field::DestinationPort(asked), false) => self.within(1, asked),
            (Field::TcpFlags { mask, set }, false) => self.equal(Place::TcpFlags, (*set).into(), (*mask).into()),
            // Type and code stand where others have the source port.
            (
                Field::Icmp {
                    kind: Some(kind),
                    low,
                    high,
                },
                false,
            ) => {
                let at = |code: u8| u16::from_be_bytes([*kind, code]);
                let (low, high) = (at(*low), at(*high));
                self.within(0, &[PortRange { low, high }])
            }
            (Field::Mark(asked), false) => self.equal(Place::Mark, asked.value.into(), asked.mask.into()),
            (Field::States(asked), false) => {
                // What NAT decided stands beside the state: who asks for that too is asked himself.
                if asked.0 & !ONE_STATE == 0 {
                    self.states |= (!asked.0 & ONE_STATE) as u8;
                }
                true
            }
            (Field::States(asked), true) => {
                self.states |= (asked.0 & ONE_STATE) as u8;
                true
            }
            (Field::Icmp { kind: None, .. } | Field::EitherPort(_), _)
            | (
                Field::Source(_)
                | Field::Destination(_)
                | Field::Input(_)
                | Field::Output(_)
                | Field::Protocol(_)
                | Field::SourcePort(_)
                | Field::DestinationPort(_)
                | Field::TcpFlags { .. }
                | Field::Icmp { .. }
                | Field::Mark(_),
                true,
            ) => true,
        }
    }

    fn needs(&mut self, bytes: u8) {
        if bytes > 0 {
            self.header.bytes = self.header.bytes.max(bytes);
            self.parts = self.parts.and(Changes::TRANSPORT).and(Changes::NETWORK_HEADER);
        }
    }

    /// What is asked of the other family is not asked of these packets.
    fn address(&mut self, place: Place, asked: Option<(u128, u128)>) -> bool {
        asked.is_none_or(|(address, mask)| self.equal(place, address, mask))
    }

    fn equal(&mut self, place: Place, value: u128, mask: u128) -> bool {
        if value & !mask != 0 {
            return false;
        }
        let both = self.mask.field(self.family, place) & mask;
        if (self.words.field(self.family, place) ^ value) & both != 0 {
            return false;
        }
        self.words.set(self.family, place, value);
        self.mask.set(self.family, place, mask);
        true
    }

    /// Of several ranges what lies around all of them.
    fn within(&mut self, end: usize, ranges: &[PortRange]) -> bool {
        let holding = || ranges.iter().filter(|range| range.low <= range.high);
        let low = holding().map(|range| range.low).min();
        let high = holding().map(|range| range.high).max();
        let (Some(low), Some(high)) = (low, high) else {
            return false;
        };
        let all = &mut self.ports[end];
        *all = PortRange {
            low: all.low.max(low),
            high: all.high.min(high),
        };
        all.low <= all.high
    }

    fn done(mut self, window: Window) -> Asked {
        for (place, PortRange { low, high }) in [Place::SourcePort, Place::DestinationPort].into_iter().zip(self.ports)
        {
            // The first bits, in which all ports between are alike.
            let common = u16::MAX.checked_shl(16 - (low ^ high).leading_zeros()).unwrap_or(0);
            self.mask.set(self.family, place, common.into());
            self.words.set(self.family, place, (low & common).into());
        }
        let (rest, rest_mask) = (rest_of(&self.words), rest_of(&self.mask));
        let filter = Filter {
            addresses: window.of(self.family, &self.words),
            addresses_mask: window.of(self.family, &self.mask),
            rest: rest | self.name(Place::Input) << 48 | self.name(Place::Output) << 32,
            rest_mask: rest_mask
                | u64::from(self.states) << 8
                | self.whole_name(Place::Input) << 48
                | self.whole_name(Place::Output) << 32,
            ports: self.ports.map(|range| (range.low, range.high - range.low)),
        };
        Asked {
            mask: self.mask,
            words: self.words,
            filter,
            parts: self.parts,
        }
    }

    fn name(&self, place: Place) -> u64 {
        name_of(&self.words, place) & self.whole_name(place)
    }

    /// Of the beginning of a name its hash says nothing.
    fn whole_name(&self, place: Place) -> u64 {
        if self.mask.field(self.family, place) == u128::MAX {
            0xffff
        } else {
            0
        }
    }
}

/// What every packet has one of.
const ONE_STATE: u32 =
    StateBits::INVALID.0 | StateBits::NEW.0 | StateBits::RELATED.0 | StateBits::ESTABLISHED.0 | StateBits::UNTRACKED.0;

/// Protocol, flags and fragment of a [`Sight::rest`].
#[inline]
pub(super) fn rest_of(words: &Words) -> u64 {
    let header = words.get(4);
    (header & 0xff00_0000) | (header & 0xff) << 16 | (header >> 16 & 1)
}

/// Sixteen bits of the name of an interface.
#[inline]
pub(super) fn name_of(words: &Words, place: Place) -> u64 {
    let at = if place == Place::Input { 6 } else { 8 };
    let both = words.get(at) ^ words.get(at + 1).rotate_left(29);
    both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48
}

/// Which bits of addresses filters compare: of IPv6's one word of four, the same of all rules of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// From the end of the address.
    up: u8,
}

impl Window {
    pub(super) const NETWORK: Self = Self { up: 64 };

    /// That in which the first rules differ most.
    pub(super) fn for_rules(family: Family, rules: &[Lowered]) -> Self {
        let some: Vec<Asked> = rules
            .iter()
            .filter_map(|rule| Asked::of(family, Self::NETWORK, rule).1)
            .collect();
        let differ = |window: &Self| {
            let mut seen: Vec<u64> = some.iter().map(|asked| window.of(family, &asked.words)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen.len()
        };
        let all = [64, 32, 0, 96].map(|up| Self { up });
        // The last of those that are best, where several are.
        all.into_iter().rev().max_by_key(differ).unwrap_or(Self::NETWORK)
    }

    #[inline]
    pub(super) fn of(self, family: Family, words: &Words) -> u64 {
        if family == Family::V4 {
            return words.get(0);
        }
        let part = |word: usize| {
            let half = words.get(if self.up >= 64 { word } else { word + 1 });
            u64::from((half >> (self.up % 64)) as u32)
        };
        part(0) << 32 | part(2)
    }
}
