//! What one rule asks, as an index files it: bits that must be equal, bounds of ports, and for which packets that is the whole truth.

use super::candidates::Candidate;
use super::choose_cuts::Cut;
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
    /// No later fragment matches it.
    pub needs_header: bool,
    /// The parts of a packet that any of this lies in.
    pub parts: Changes,
    /// Among it are names of interfaces, or beginnings of some.
    pub asks_names: bool,
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
    /// With [`WHOLE`], which no packet has.
    rest_mask: u64,
    /// The lowest port, and how far the highest is from it: of the source, and of the destination.
    ports: [(u16, u16); 2],
}

/// The same of a packet: addresses; what rules ask of the rest; ports, the source's above the destination's; and nothing, so that any two bits name one.
///
/// The second from above: sixteen bits each of what names of interfaces are hashed to, protocol, TCP's flags, one bit of a state, one for later fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub words: [u64; 4],
}

/// Set in a filter's mask where a packet matches the rule that passes it, but for a later fragment. No packet has a bit there.
const WHOLE: u64 = 1 << 7;

impl Sight {
    /// In the second word.
    pub(super) const LATER_FRAGMENT: u64 = 1;
    /// What of the second word is by headers: protocol, flags and fragment.
    pub(super) const BY_HEADERS: u64 = 0xffff_0000 | Self::LATER_FRAGMENT;

    #[inline]
    pub(super) fn is_later_fragment(&self) -> bool {
        self.words[1] & Self::LATER_FRAGMENT != 0
    }
}

impl Filter {
    #[inline]
    pub(super) fn passes(&self, sight: &Sight) -> bool {
        let is_in = |(low, width): (u16, u16), port: u16| port.wrapping_sub(low) <= width;
        let [addresses, rest, ports, _] = sight.words;
        // All at once: which of them fails nobody can foretell.
        (((addresses ^ self.addresses) & self.addresses_mask) | ((rest ^ self.rest) & self.rest_mask) == 0)
            & is_in(self.ports[0], (ports >> 16) as u16)
            & is_in(self.ports[1], ports as u16)
    }

    /// What it says of a packet that passes it.
    #[inline]
    pub(super) fn candidate(&self, step: u32, sight: &Sight) -> Candidate {
        Candidate {
            step,
            matches: self.is_whole() & !sight.is_later_fragment(),
        }
    }

    /// Whether what passes it matches, unless it is a later fragment.
    #[inline]
    pub(super) fn is_whole(&self) -> bool {
        self.rest_mask & WHOLE != 0
    }

    /// Whether all that passes it are later fragments, or none are.
    pub(super) fn is_of_later_fragments(&self) -> Option<bool> {
        let asks = self.rest_mask & Sight::LATER_FRAGMENT != 0;
        asks.then_some(self.rest & Sight::LATER_FRAGMENT != 0)
    }

    /// Whether every packet passes it that has in these bits what it asks for there.
    pub(super) fn asks_no_more_than(&self, known: &[u64; 3]) -> bool {
        let more = (self.addresses_mask & !known[0]) | (self.rest_mask & !WHOLE & !known[1]);
        more == 0 && self.ports == [EVERY_PORT; 2]
    }

    /// What it asks of single bits of each word, with the bits that it asks for: of a range of ports the first ones, in which all of them are alike.
    pub(super) fn bits(&self) -> [(u64, u64); 3] {
        let ports = self.ports.map(|(low, width)| (low, common_bits(low, low + width)));
        let [source, destination] = ports;
        let both = |source: u16, destination: u16| u64::from(source) << 16 | u64::from(destination);
        [
            (self.addresses, self.addresses_mask),
            (self.rest, self.rest_mask & !WHOLE),
            (both(source.0, destination.0), both(source.1, destination.1)),
        ]
    }

    /// In which pieces of a cut it may be passed.
    #[inline]
    pub(super) fn pieces(&self, cut: Cut, mut each: impl FnMut(usize)) {
        let last = cut.pieces() as u64 - 1;
        let up = cut.up();
        let (value, mask) = match cut.word() {
            0 => (self.addresses, self.addresses_mask),
            1 => (self.rest, self.rest_mask),
            _ => {
                let (low, width) = self.ports[usize::from(up < 16)];
                let value = |port: u32| u64::from(port) >> (up % 16);
                let (first, end) = (value(low.into()), value(u32::from(low) + u32::from(width)));
                let several = (end - first).min(last);
                return (first..=first + several).for_each(|value| each((value & last) as usize));
            }
        };
        let free = !(mask >> up) & last;
        let asked = value >> up & last & !free;
        let mut more = 0;
        loop {
            each((asked | more) as usize);
            // The next number that has no bits but these.
            more = more.wrapping_sub(free) & free;
            if more == 0 {
                return;
            }
        }
    }
}

/// The first bits of ports, in which all between these are alike.
fn common_bits(low: u16, high: u16) -> u16 {
    u16::MAX.checked_shl(16 - (low ^ high).leading_zeros()).unwrap_or(0)
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
            is_whole: rule.is_exact(),
        };
        let mut may_be = true;
        for condition in rule.conditions() {
            may_be &= asking.also(condition);
        }
        (asking.header, may_be.then(|| asking.done(window)))
    }

    /// True where nothing of it helps to find it.
    pub(super) fn says_nothing(&self) -> bool {
        self.mask.is_empty() && self.filter.asks_no_more_than(&[0; 3])
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
    /// A filter says all that it asks.
    is_whole: bool,
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
        self.is_whole &= self.is_in_filters(field, inverted);
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

    /// Whether a filter says of a condition all there is to say. Names are only hashed there, and of marks it knows nothing.
    fn is_in_filters(&self, field: &Field, inverted: bool) -> bool {
        match field {
            // Which bits of IPv6's it has is seen at the end.
            Field::Source(asked) | Field::Destination(asked) => !inverted && asked.family() == self.family,
            Field::Protocol(_) | Field::TcpFlags { .. } | Field::Icmp { kind: Some(_), .. } => !inverted,
            Field::SourcePort(asked) | Field::DestinationPort(asked) => !inverted && asked.len() == 1,
            Field::States(asked) => asked.0 & !ONE_STATE == 0,
            Field::LaterFragment => true,
            Field::Icmp { kind: None, .. }
            | Field::EitherPort(_)
            | Field::Mark(_)
            | Field::Input(_)
            | Field::Output(_) => false,
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
            let common = common_bits(low, high);
            self.mask.set(self.family, place, common.into());
            self.words.set(self.family, place, (low & common).into());
        }
        let (rest, rest_mask) = (rest_of(&self.words), rest_of(&self.mask));
        let addresses_mask = window.of(self.family, &self.mask);
        let asks = |place| self.mask.field(self.family, place).count_ones();
        let has_addresses = addresses_mask.count_ones() == asks(Place::Source) + asks(Place::Destination);
        let filter = Filter {
            addresses: window.of(self.family, &self.words),
            addresses_mask,
            rest: rest | self.name(Place::Input) << 48 | self.name(Place::Output) << 32,
            rest_mask: rest_mask
                | u64::from(self.states) << 8
                | self.whole_name(Place::Input) << 48
                | self.whole_name(Place::Output) << 32
                | if self.is_whole && has_addresses { WHOLE } else { 0 },
            ports: self.ports.map(|range| (range.low, range.high - range.low)),
        };
        Asked {
            mask: self.mask,
            words: self.words,
            filter,
            needs_header: self.header.bytes > 0,
            parts: self.parts,
            asks_names: [Place::Input, Place::Output]
                .iter()
                .any(|place| self.mask.field(self.family, *place) != 0),
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
    pub(super) fn for_rules<'a>(family: Family, rules: impl Iterator<Item = &'a Lowered>) -> Self {
        let some: Vec<Asked> = rules
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
        self.of_ipv6([words.get(0), words.get(1)], [words.get(2), words.get(3)])
    }

    /// Of a source and a destination, each in halves.
    #[inline]
    pub(super) fn of_ipv6(self, source: [u64; 2], destination: [u64; 2]) -> u64 {
        let part = |[high, low]: [u64; 2]| {
            let half = if self.up >= 64 { high } else { low };
            u64::from((half >> (self.up % 64)) as u32)
        };
        part(source) << 32 | part(destination)
    }
}
