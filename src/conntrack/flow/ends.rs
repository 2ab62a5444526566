//! Both tuples of a flow in as few bytes as they need, and what changes no more once it is in the table: read without the flow's lock.
//!
//! Until then NAT writes the reply, under the flow's lock, and nobody else has the flow: who finds it later in the table sees what was written before
//! it came there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use super::{NatInfo, Settled, Status};
use crate::base::InterfaceId;
use crate::conntrack::events::EventMask;
use crate::conntrack::{Direction, Endpoint, Tuple, Zone, ZoneScope};

/// The ends of a flow of either family.
#[derive(Debug)]
pub(super) enum Ends {
    V4(Packed<3>),
    V6(Box<Packed<9>>),
}

/// Addresses, and in the last word the two numbers.
#[derive(Debug)]
pub(super) struct Packed<const WORDS: usize> {
    original: [u32; WORDS],
    reply: [AtomicU32; WORDS],
    rest: Rest,
}

#[derive(Debug)]
struct Rest {
    zone: u16,
    scope: ZoneScope,
    protocol: u8,
    /// Bits of the status as the flow came into the table, and those below.
    settled: AtomicU16,
    /// Meaningless but with [`MASQUERADED`].
    masquerade_interface: AtomicU16,
}

impl Rest {
    /// Whoever writes has the flow's lock, or nobody else has the flow.
    fn add(&self, bits: u16) {
        let before = self.settled.load(Ordering::Relaxed);
        self.settled.store(before | bits, Ordering::Release);
    }
}

/// What NAT decides, which stands here from when it does.
const OF_NAT: Status = Status::SRC_NAT
    .or(Status::DST_NAT)
    .or(Status::SRC_NAT_DONE)
    .or(Status::DST_NAT_DONE);
/// NAT chose the source by an interface. The bit is none of a status.
const MASQUERADED: u16 = 1 << 11;
/// [`Settled::is_read`].
const READ: u16 = 1 << 13;
/// The first bit of what is told of its expectations.
const TOLD: u32 = 14;

fn packed_v4(tuple: &Tuple) -> Option<[u32; 3]> {
    match (tuple.source.address, tuple.destination.address) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Some([source.to_bits(), destination.to_bits(), numbers(tuple)])
        }
        _ => None,
    }
}

fn packed_v6(tuple: &Tuple) -> [u32; 9] {
    let mut words = [0; 9];
    for (at, end) in [(0, tuple.source), (4, tuple.destination)] {
        let bits = match end.address {
            IpAddr::V6(address) => address.to_bits(),
            // Not met: both ends are of one family.
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        };
        for (word, part) in words[at..at + 4].iter_mut().zip([96, 64, 32, 0]) {
            *word = (bits >> part) as u32;
        }
    }
    words[8] = numbers(tuple);
    words
}

fn numbers(tuple: &Tuple) -> u32 {
    (u32::from(tuple.source.id) << 16) | u32::from(tuple.destination.id)
}

fn tuple_of([source, destination]: [IpAddr; 2], numbers: u32, protocol: u8) -> Tuple {
    let end = |address, id| Endpoint { address, id };
    Tuple {
        source: end(source, (numbers >> 16) as u16),
        destination: end(destination, numbers as u16),
        protocol,
    }
}

#[inline]
fn unpacked_v4([source, destination, numbers]: [u32; 3], protocol: u8) -> Tuple {
    let addresses = [source, destination].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
    tuple_of(addresses, numbers, protocol)
}

fn unpacked_v6(words: [u32; 9], protocol: u8) -> Tuple {
    let address = |at: usize| {
        let bits = words[at..at + 4]
            .iter()
            .fold(0, |bits, word| (bits << 32) | u128::from(*word));
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    };
    tuple_of([address(0), address(4)], words[8], protocol)
}

impl<const WORDS: usize> Packed<WORDS> {
    fn new(original: [u32; WORDS], reply: [u32; WORDS], rest: Rest) -> Self {
        let reply = reply.map(AtomicU32::new);
        Self { original, reply, rest }
    }

    #[inline]
    fn words(&self, direction: Direction) -> [u32; WORDS] {
        match direction {
            Direction::Original => self.original,
            Direction::Reply => std::array::from_fn(|at| self.reply[at].load(Ordering::Relaxed)),
        }
    }

    fn set_reply(&self, words: [u32; WORDS]) {
        for (place, word) in self.reply.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
    }
}

impl Ends {
    pub(super) fn new((original, reply): (&Tuple, &Tuple), zone: Zone, told: EventMask) -> Self {
        let rest = Rest {
            zone: zone.id,
            scope: zone.scope,
            protocol: original.protocol,
            settled: AtomicU16::new(told.0 << TOLD),
            masquerade_interface: AtomicU16::new(0),
        };
        match (packed_v4(original), packed_v4(reply)) {
            (Some(original), Some(reply)) => Self::V4(Packed::new(original, reply, rest)),
            _ => Self::V6(Box::new(Packed::new(packed_v6(original), packed_v6(reply), rest))),
        }
    }

    #[inline]
    fn rest(&self) -> &Rest {
        match self {
            Self::V4(packed) => &packed.rest,
            Self::V6(packed) => &packed.rest,
        }
    }

    #[inline]
    pub(super) fn tuple(&self, direction: Direction) -> Tuple {
        match self {
            Self::V4(packed) => unpacked_v4(packed.words(direction), packed.rest.protocol),
            Self::V6(packed) => unpacked_v6(packed.words(direction), packed.rest.protocol),
        }
    }

    /// Whether the tuple of a direction is this one.
    #[inline]
    pub(super) fn are(&self, direction: Direction, tuple: &Tuple) -> bool {
        self.rest().protocol == tuple.protocol
            && match (self, packed_v4(tuple)) {
                (Self::V4(packed), Some(words)) => packed.words(direction) == words,
                (Self::V4(_), None) => false,
                (Self::V6(_), _) => self.tuple(direction) == *tuple,
            }
    }

    /// To be called under the flow's lock, before it is in the table.
    pub(super) fn set_reply(&self, reply: &Tuple) {
        match self {
            Self::V4(packed) => {
                // Always: an answer is of the family of what it answers.
                if let Some(words) = packed_v4(reply) {
                    packed.set_reply(words);
                }
            }
            Self::V6(packed) => packed.set_reply(packed_v6(reply)),
        }
    }

    #[inline]
    pub(super) fn zone(&self) -> Zone {
        let rest = self.rest();
        Zone {
            id: rest.zone,
            scope: rest.scope,
        }
    }

    pub(super) fn expectations_told(&self) -> EventMask {
        EventMask(self.rest().settled.load(Ordering::Relaxed) >> TOLD)
    }

    /// As with the reply.
    pub(super) fn set_nat(&self, nat: NatInfo) {
        let rest = self.rest();
        let Some(InterfaceId(interface)) = nat.masquerade_interface else {
            return;
        };
        rest.masquerade_interface.store(interface, Ordering::Relaxed);
        rest.add(MASQUERADED);
    }

    #[inline]
    pub(super) fn nat(&self) -> NatInfo {
        let rest = self.rest();
        let is_masqueraded = rest.settled.load(Ordering::Acquire) & MASQUERADED != 0;
        let interface = || InterfaceId(rest.masquerade_interface.load(Ordering::Relaxed));
        NatInfo {
            masquerade_interface: is_masqueraded.then(interface),
        }
    }

    /// NAT has decided something more.
    pub(super) fn decide(&self, status: Status) {
        self.rest().add(status.0 & OF_NAT.0);
    }

    /// What it has decided so far.
    #[inline]
    pub(super) fn decided(&self) -> Status {
        Status(self.rest().settled.load(Ordering::Acquire) & OF_NAT.0)
    }

    /// Nothing of it changes from now on.
    pub(super) fn settle(&self, status: Status, is_read: bool) {
        let read = if is_read { READ } else { 0 };
        let bits = (status.0 & !MASQUERADED) | read;
        self.rest().add(bits);
    }

    #[inline]
    pub(super) fn settled(&self) -> Option<Settled> {
        let bits = self.rest().settled.load(Ordering::Acquire);
        let status = Status(bits & !(MASQUERADED | READ | (0b11 << TOLD)));
        status.has(Status::CONFIRMED).then(|| Settled {
            status,
            nat: self.nat(),
            is_read: bits & READ != 0,
        })
    }
}
