//! The flows that carry most, without remembering all.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::base::protocol;
use crate::conntrack::Tuple;
use crate::explain::describe;
use crate::wire::ipv4::Ipv4;

/// Packets and bytes of flows, as long as they may still be among the largest.
///
/// Flows under way are counted in a small table that stays in the processor's cache; who makes room there goes to the larger memory behind it,
/// and when that is full, its smaller half is forgotten. So the memory is bounded, and a flow that is told of was counted whole unless it was among
/// the smaller half at some time.
#[derive(Debug)]
pub(crate) struct TopFlows {
    under_way: Box<[Slot]>,
    kept: HashMap<u64, FlowCount>,
    forgotten: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// `u64::MAX` where there is none.
    serial: u64,
    count: FlowCount,
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
        let nobody = Slot {
            serial: u64::MAX,
            count: FlowCount {
                ends: Ends::unspecified(),
                packets: 0,
                bytes: 0,
            },
        };
        Self {
            under_way: vec![nobody; SLOTS].into(),
            kept: HashMap::new(),
            forgotten: false,
        }
    }
}

impl TopFlows {
    /// A packet of so many bytes, of the flow with this number. Numbers grow with each flow, so flows that live together have slots of their own.
    #[inline]
    pub(crate) fn note(&mut self, serial: u64, tuple: &Tuple, bytes: usize) {
        let slot = &mut self.under_way[serial as usize % SLOTS];
        if slot.serial == serial {
            slot.count.packets += 1;
            slot.count.bytes += bytes as u64;
            return;
        }
        let next = Slot {
            serial,
            count: FlowCount {
                ends: Ends::of_tuple(tuple),
                packets: 1,
                bytes: bytes as u64,
            },
        };
        let before = std::mem::replace(slot, next);
        if before.serial != u64::MAX {
            add(&mut self.kept, &before);
            if self.kept.len() > MOST {
                self.forget();
            }
        }
    }

    #[cold]
    fn forget(&mut self) {
        let mut sizes: Vec<u64> = self.kept.values().map(|it| it.bytes).collect();
        let (_, &mut median, _) = sizes.select_nth_unstable(MOST / 2);
        // Flows of the median's size are many where all are alike; which of them stay is nothing to rely on, so none does.
        self.kept.retain(|_, count| count.bytes > median);
        self.forgotten = true;
    }

    /// The largest by bytes; of equals, the one whose ends come first.
    pub(crate) fn largest(&self, many: usize) -> Vec<FlowCount> {
        let mut all = self.kept.clone();
        for slot in self.under_way.iter().filter(|slot| slot.serial != u64::MAX) {
            add(&mut all, slot);
        }
        let mut all: Vec<FlowCount> = all.into_values().collect();
        all.sort_unstable_by_key(|it| (std::cmp::Reverse((it.bytes, it.packets)), it.ends));
        all.truncate(many);
        all
    }

    /// Whether flows had to be forgotten, so that the numbers are of at least so many.
    pub(crate) fn is_approximate(&self) -> bool {
        self.forgotten
    }
}

fn add(flows: &mut HashMap<u64, FlowCount>, slot: &Slot) {
    flows
        .entry(slot.serial)
        .and_modify(|count| {
            count.packets += slot.count.packets;
            count.bytes += slot.count.bytes;
        })
        .or_insert(slot.count);
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
    /// Of a packet's bytes; `None` where they don't begin with an IPv4 header.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let ip = Ipv4::new(packet).ok()?;
        let with_ports = has_ports(ip.protocol()) && ip.fragment_offset() == 0;
        let ports = ip.payload().first_chunk::<4>().filter(|_| with_ports);
        let port = |at: usize| ports.map(|bytes| u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        Some(Self {
            protocol: ip.protocol(),
            source: (ip.source().into(), port(0)),
            destination: (ip.destination().into(), port(2)),
        })
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
        Some(port) => write!(f, "{address}:{port}"),
        None => write!(f, "{address}"),
    }
}

/// Half a megabyte or so.
const SLOTS: usize = 1 << 13;
/// Flows remembered besides at most.
const MOST: usize = 1 << 14;

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
        assert!(flows.is_approximate() && flows.kept.len() <= MOST);
        let largest = flows.largest(1)[0];
        assert_eq!((largest.packets, largest.bytes), (3001, 3000 * 1500 + 60));
        assert_eq!(largest.ends.to_string(), "udp 10.0.0.1:7 > 10.0.0.2:0");
    }

    #[test]
    fn both_directions_are_one_conversation() {
        let ends = Ends::of_tuple(&tuple(9));
        assert_eq!(ends.reversed().undirected(), ends.undirected());
        assert_ne!(ends.reversed(), ends);
        assert_eq!(Ends::of(&[0x60; 40]), None);
    }
}
