//! The flows that carry most, without remembering all.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hashbrown::HashTable;

use super::meeting::place_between_addresses;
use crate::base::{Family, protocol};
use crate::conntrack::Tuple;
use crate::explain::describe;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;

/// Packets and bytes of flows, as long as they may still be among the largest.
///
/// Flows stand in parts, by who speaks with whom. Where a part is full its smaller half is forgotten: so the memory is bounded, and a flow that is
/// told of was counted whole unless it was among the smaller half at some time. What is forgotten hangs on the part's own packets alone, so that
/// it does not matter which worker carries which part.
#[derive(Clone, Debug)]
pub(crate) struct TopFlows {
    parts: Box<[Part]>,
    /// Where flows stand whose packets came lately, by the end of their numbers: most packets are of such, and need no look into a table.
    lately: Box<[Lately]>,
    /// Noted and not yet counted: where many are, each is looked for in memory while those before it still wait for theirs.
    noted: Vec<Noted>,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    serial: u64,
    packets: u64,
    bytes: u64,
    tuple: Tuple,
}

#[derive(Clone, Copy, Debug)]
struct Lately {
    serial: u64,
    part: u32,
    slot: u32,
}

#[derive(Clone, Debug, Default)]
struct Part {
    slots: Vec<Slot>,
    /// What was told of each only once, in the same order.
    ends: Vec<Ends>,
    /// Places in both, by number.
    index: HashTable<u32>,
    forgotten: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    serial: u64,
    packets: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowCount {
    /// Of its first packet, as it came.
    pub ends: Ends,
    /// Both directions together.
    pub packets: u64,
    pub bytes: u64,
}

impl Default for TopFlows {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            lately: vec![Lately::NOBODY; LATELY].into(),
            noted: Vec::with_capacity(NOTED),
        }
    }
}

impl Lately {
    const NOBODY: Self = Self {
        serial: u64::MAX,
        part: 0,
        slot: 0,
    };
}

impl TopFlows {
    /// A packet of so many bytes, of the flow with this number, which no other flow has.
    #[inline]
    pub(crate) fn note(&mut self, serial: u64, tuple: &Tuple, bytes: usize) {
        // Packets of a flow mostly come several behind one another.
        if let Some(last) = self.noted.last_mut()
            && last.serial == serial
        {
            last.packets += 1;
            last.bytes += bytes as u64;
            return;
        }
        self.noted.push(Noted {
            serial,
            packets: 1,
            bytes: bytes as u64,
            tuple: *tuple,
        });
        if self.noted.len() >= NOTED {
            self.settle();
        }
    }

    /// Counts what has been noted.
    pub(crate) fn settle(&mut self) {
        let mut all = std::mem::take(&mut self.noted);
        for noted in all.drain(..) {
            let lately = self.lately[noted.serial as usize % LATELY];
            let part = &mut self.parts[lately.part as usize % PARTS];
            match part.slots.get_mut(lately.slot as usize) {
                Some(slot) if lately.serial == noted.serial => slot.count(&noted),
                _ => self.look_up(&noted),
            }
        }
        self.noted = all;
    }

    fn look_up(&mut self, noted: &Noted) {
        let Noted { serial, tuple, .. } = noted;
        let at = part_of(tuple);
        let part = &mut self.parts[at];
        let slot = part.find(*serial).unwrap_or_else(|| {
            if part.slots.len() >= MOST {
                part.forget();
                self.lately.fill(Lately::NOBODY);
            }
            part.insert(
                Slot {
                    serial: *serial,
                    packets: 0,
                    bytes: 0,
                },
                Ends::of_tuple(tuple),
            )
        });
        part.slots[slot as usize].count(noted);
        self.lately[*serial as usize % LATELY] = Lately {
            serial: *serial,
            part: at as u32,
            slot,
        };
    }

    /// What another counted of the same capture: mostly of parts that this one has nothing of.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.settle();
        other.settle();
        for (part, other) in self.parts.iter_mut().zip(other.parts) {
            part.add(other);
        }
    }

    /// The largest by bytes; of equals, the one whose ends come first. True where flows had to be forgotten, so that the numbers are of at least so
    /// many.
    pub(crate) fn largest(&self, many: usize) -> (Vec<FlowCount>, bool) {
        if !self.noted.is_empty() {
            let mut settled = self.clone();
            settled.settle();
            return settled.largest(many);
        }
        let mut all: Vec<FlowCount> = self.parts.iter().flat_map(Part::counts).collect();
        let order = |it: &FlowCount| (std::cmp::Reverse((it.bytes, it.packets)), it.ends);
        if all.len() > many && many > 0 {
            all.select_nth_unstable_by_key(many - 1, order);
            all.truncate(many);
        }
        all.sort_unstable_by_key(order);
        all.truncate(many);
        (all, self.parts.iter().any(|part| part.forgotten))
    }
}

impl Slot {
    #[inline]
    fn count(&mut self, noted: &Noted) {
        self.packets += noted.packets;
        self.bytes += noted.bytes;
    }
}

impl Part {
    fn find(&self, serial: u64) -> Option<u32> {
        let is_it = |at: &u32| self.slots[*at as usize].serial == serial;
        self.index.find(spread(serial), is_it).copied()
    }

    fn insert(&mut self, slot: Slot, ends: Ends) -> u32 {
        let at = self.slots.len() as u32;
        self.slots.push(slot);
        self.ends.push(ends);
        let slots = &self.slots;
        self.index
            .insert_unique(spread(slot.serial), at, |at| spread(slots[*at as usize].serial));
        at
    }

    fn counts(&self) -> impl Iterator<Item = FlowCount> {
        self.slots.iter().zip(&self.ends).map(|(slot, ends)| FlowCount {
            ends: *ends,
            packets: slot.packets,
            bytes: slot.bytes,
        })
    }

    #[cold]
    fn forget(&mut self) {
        let mut sizes: Vec<u64> = self.slots.iter().map(|slot| slot.bytes).collect();
        let (_, &mut median, _) = sizes.select_nth_unstable(MOST / 2);
        let (slots, ends) = (std::mem::take(&mut self.slots), std::mem::take(&mut self.ends));
        self.index.clear();
        for (slot, ends) in slots.into_iter().zip(ends) {
            // Flows of the median's size are many where all are alike; which of them stay is nothing to rely on, so none does.
            if slot.bytes > median {
                self.insert(slot, ends);
            }
        }
        self.forgotten = true;
    }

    fn add(&mut self, other: Self) {
        self.forgotten |= other.forgotten;
        if self.slots.is_empty() {
            *self = Self {
                forgotten: self.forgotten,
                ..other
            };
            return;
        }
        for (slot, ends) in other.slots.into_iter().zip(other.ends) {
            match self.find(slot.serial) {
                Some(at) => {
                    let mine = &mut self.slots[at as usize];
                    mine.packets += slot.packets;
                    mine.bytes += slot.bytes;
                }
                None => drop(self.insert(slot, ends)),
            }
        }
    }
}

/// Which part packets between these two ends are of, whoever sends.
fn part_of(tuple: &Tuple) -> usize {
    place_between_addresses(tuple.source.address, tuple.destination.address) as usize % PARTS
}

/// Numbers that count up, and nobody outside chooses.
fn spread(serial: u64) -> u64 {
    serial.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}

/// Between whom a packet or a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ends {
    /// The number of the transport protocol.
    pub protocol: u8,
    /// Address and port; `None` for a protocol without ports, and for a later fragment.
    pub source: (IpAddr, Option<u16>),
    /// As `source`.
    pub destination: (IpAddr, Option<u16>),
}

impl Ends {
    /// Of a packet's bytes; `None` where they don't begin with the header of an IP packet.
    pub fn of(packet: &[u8]) -> Option<Self> {
        if Family::of_packet(packet) == Some(Family::V6) {
            return Self::of_ipv6(packet);
        }
        let ip = Ipv4::new(packet).ok()?;
        let transport = Some(ip.payload()).filter(|_| ip.fragment_offset() == 0);
        Some(Self::between(
            ip.protocol(),
            (ip.source().into(), ip.destination().into()),
            transport,
        ))
    }

    #[cold]
    fn of_ipv6(packet: &[u8]) -> Option<Self> {
        let ip = Ipv6::new(packet).ok()?;
        let upper = ip.upper();
        let transport = packet.get(upper.offset..).filter(|_| upper.fragment_offset == 0);
        Some(Self::between(
            upper.protocol,
            (ip.source().into(), ip.destination().into()),
            transport,
        ))
    }

    fn between(protocol: u8, (source, destination): (IpAddr, IpAddr), transport: Option<&[u8]>) -> Self {
        let ports = transport
            .filter(|_| has_ports(protocol))
            .and_then(|it| it.first_chunk::<4>());
        let port = |at: usize| ports.map(|bytes| u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        Self {
            protocol,
            source: (source, port(0)),
            destination: (destination, port(2)),
        }
    }

    /// Of one direction of a flow.
    pub fn of_tuple(tuple: &Tuple) -> Self {
        let port = |port: u16| has_ports(tuple.protocol).then_some(port);
        Self {
            protocol: tuple.protocol,
            source: (tuple.source.address, port(tuple.source.id)),
            destination: (tuple.destination.address, port(tuple.destination.id)),
        }
    }

    /// The same for both directions of a conversation.
    pub fn undirected(self) -> Self {
        match self.source <= self.destination {
            true => self,
            false => self.reversed(),
        }
    }

    /// The other way.
    pub fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            ..self
        }
    }

    /// For bytes in which there is no header to read: all zero.
    pub fn unspecified() -> Self {
        let nobody = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), None);
        Self {
            protocol: 0,
            source: nobody,
            destination: nobody,
        }
    }
}

fn has_ports(number: u8) -> bool {
    matches!(
        number,
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::DCCP
    )
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", describe::protocol_name(self.protocol))?;
        end(f, self.source)?;
        f.write_str(" > ")?;
        end(f, self.destination)
    }
}

fn end(f: &mut fmt::Formatter<'_>, (address, port): (IpAddr, Option<u16>)) -> fmt::Result {
    match port {
        Some(port) => write!(f, "{}", SocketAddr::new(address, port)),
        None => write!(f, "{address}"),
    }
}

/// As many as workers may share a capture between them.
pub(crate) const PARTS: usize = 64;
/// Flows of a part that are remembered: of all parts together some tens of megabytes, where a capture has half a million flows.
const MOST: usize = 1 << 13;
/// Twice as many as most captures have flows under way at a time.
const LATELY: usize = 1 << 14;
const NOTED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(port: u16) -> Tuple {
        let mut packet = [0; 28];
        packet[0] = 0x45;
        packet[3] = 28;
        packet[9] = protocol::UDP;
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
        packet[20..22].copy_from_slice(&port.to_be_bytes());
        packet[25] = 8;
        Tuple::of(&crate::packet::Packet::parse(packet.to_vec()).unwrap()).unwrap()
    }

    #[test]
    fn the_largest_survive_any_number_of_small_ones() {
        let mut flows = TopFlows::default();
        for serial in 0..300_000u64 {
            flows.note(serial, &tuple(9), 60);
            if serial % 100 == 0 {
                flows.note(7, &tuple(7), 1500);
            }
        }
        let (largest, is_approximate) = flows.largest(1);
        let largest = largest[0];
        assert!(is_approximate && flows.parts.iter().all(|part| part.slots.len() <= MOST));
        assert_eq!((largest.packets, largest.bytes), (3001, 3000 * 1500 + 60));
        assert_eq!(largest.ends.to_string(), "udp 10.0.0.1:7 > 10.0.0.2:0");
    }

    /// Who counts which packets does not matter, as long as a part is one's.
    #[test]
    fn parts_are_put_together() {
        let between = |host: u8| {
            let mut tuple = tuple(9);
            tuple.source.address = IpAddr::from([10, 0, 1, host]);
            tuple
        };
        let (mut whole, mut halves) = (TopFlows::default(), [TopFlows::default(), TopFlows::default()]);
        for at in 0..60_000u64 {
            let (serial, tuple) = (at * at % 40_000, between((at * at % 40_000 % 200) as u8));
            whole.note(serial, &tuple, 60 + at as usize % 7);
            halves[part_of(&tuple) % 2].note(serial, &tuple, 60 + at as usize % 7);
        }
        let [mut one, other] = halves;
        one.add(other);
        assert_eq!(one.largest(100), whole.largest(100));
    }

    #[test]
    fn both_directions_are_one_conversation() {
        let ends = Ends::of_tuple(&tuple(9));
        assert_eq!(ends.reversed().undirected(), ends.undirected());
        assert_ne!(ends.reversed(), ends);
        assert_eq!(Ends::of(&[0x60; 39]), None);
        assert_eq!(Ends::of(&[0x45; 19]), None);
    }
}
