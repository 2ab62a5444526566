//! The flows that carry most, without remembering all.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use crate::base::protocol;
use crate::conntrack::Tuple;
use crate::explain::describe;
use crate::wire::ipv4::Ipv4;

/// Packets and bytes of flows, as long as they may still be among the largest.
///
/// When there are too many, the smaller half is forgotten: so the memory is bounded, and a flow that is told of was counted whole unless it
/// was among the smaller half at some time.
#[derive(Debug, Default)]
pub struct TopFlows {
    flows: HashMap<u64, FlowCount, BuildHasherDefault<SerialHasher>>,
    forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowCount {
    /// Of its first packet, as it came.
    pub ends: Ends,
    /// Both directions together.
    pub packets: u64,
    pub bytes: u64,
}

impl TopFlows {
    /// A packet of so many bytes, of the flow with this number.
    #[inline]
    pub fn note(&mut self, serial: u64, tuple: &Tuple, bytes: usize) {
        let count = self.flows.entry(serial).or_insert_with(|| FlowCount {
            ends: Ends::of_tuple(tuple),
            packets: 0,
            bytes: 0,
        });
        count.packets += 1;
        count.bytes += bytes as u64;
        if self.flows.len() > MOST {
            self.forget();
        }
    }

    #[cold]
    fn forget(&mut self) {
        let mut sizes: Vec<u64> = self.flows.values().map(|it| it.bytes).collect();
        let (_, &mut median, _) = sizes.select_nth_unstable(MOST / 2);
        let mut kept = 0;
        self.flows.retain(|_, count| {
            let keep = count.bytes >= median && kept < MOST / 2;
            kept += usize::from(keep);
            keep
        });
        self.forgotten = true;
    }

    /// The largest by bytes; of equals, the one whose ends come first.
    pub fn largest(&self, many: usize) -> Vec<FlowCount> {
        let mut all: Vec<FlowCount> = self.flows.values().copied().collect();
        all.sort_unstable_by_key(|it| (std::cmp::Reverse((it.bytes, it.packets)), it.ends));
        all.truncate(many);
        all
    }

    /// Whether flows had to be forgotten, so that the numbers are of at least so many.
    pub fn is_approximate(&self) -> bool {
        self.forgotten
    }
}

/// Between whom a packet or a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ends {
    pub protocol: u8,
    pub source: (IpAddr, Option<u16>),
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

    pub fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            ..self
        }
    }

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

/// For numbers that count up: spreading them is enough, nobody can aim them.
#[derive(Debug, Default)]
struct SerialHasher(u64);

impl Hasher for SerialHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

/// Flows remembered at most: some megabytes.
const MOST: usize = 1 << 16;

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
        assert!(flows.is_approximate() && flows.flows.len() <= MOST);
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
