//! A tuple names one direction of a flow: two endpoints and a protocol.

use std::net::{IpAddr, Ipv4Addr};

use super::proto;
use crate::base::Family;
use crate::packet::{End, Packet};

/// Which way a packet goes in its flow. Original is the way of the first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// From who sent the first packet.
    #[default]
    Original,
    /// To who sent the first packet.
    Reply,
}

impl Direction {
    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// For arrays of one per direction.
    pub fn index(self) -> usize {
        match self {
            Self::Original => 0,
            Self::Reply => 1,
        }
    }
}

/// An address, and the 16 bits that tell flows of this protocol apart: a port, an ICMP identifier, a GRE key; 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Of either family, and of the same at both ends.
    pub address: IpAddr,
    /// A port, an identifier or a key, by the protocol; 0 where it has none.
    pub id: u16,
}

/// One direction of a flow. For ICMP, `source.id` is the identifier and `destination.id` is type × 256 + code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Who sends.
    pub source: Endpoint,
    /// Who is sent to.
    pub destination: Endpoint,
    /// The number of the transport protocol.
    pub protocol: u8,
}

impl Tuple {
    /// The tuple of a packet; `None` for a later fragment, a transport header cut short or none at all, and a GRE version 1 that carries no PPP.
    #[inline(always)]
    pub fn of(packet: &Packet) -> Option<Self> {
        if packet.fragment_offset() != 0 {
            return None;
        }
        let protocol = packet.protocol();
        let ids = proto::spec(protocol).key.read(packet.transport())?;
        // Each of its parts is written once, where it stays: an `IpAddr` that is made and copied costs more than all the rest.
        Some(match packet.family() {
            Family::V4 => {
                let (source, destination) = packet.addresses_as_numbers();
                let address = |number| IpAddr::V4(Ipv4Addr::from_bits(number as u32));
                Self::new(protocol, address(source), address(destination), ids)
            }
            Family::V6 if !packet.has_transport() => return None,
            Family::V6 => Self::new(protocol, packet.source(), packet.destination(), ids),
        })
    }

    /// The tuple of headers, which an ICMP error may have cut after the first bytes of the transport header.
    pub fn read(protocol: u8, source: IpAddr, destination: IpAddr, transport: &[u8]) -> Option<Self> {
        let ids = proto::spec(protocol).key.read(transport)?;
        Some(Self::new(protocol, source, destination, ids))
    }

    #[inline]
    fn new(protocol: u8, source: IpAddr, destination: IpAddr, (source_id, destination_id): (u16, u16)) -> Self {
        Self {
            source: Endpoint {
                address: source,
                id: source_id,
            },
            destination: Endpoint {
                address: destination,
                id: destination_id,
            },
            protocol,
        }
    }

    /// The tuple of the answer; `None` for what nobody answers, as some types of ICMP.
    #[inline]
    pub fn inverse(&self) -> Option<Self> {
        proto::spec(self.protocol).key.answer(self)
    }

    /// Both ends in each other's place.
    #[inline]
    pub fn turned(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
        }
    }

    /// The one that NAT of this end looks at.
    #[inline]
    pub fn end(&self, end: End) -> &Endpoint {
        match end {
            End::Source => &self.source,
            End::Destination => &self.destination,
        }
    }

    /// The one that NAT of this end writes to.
    #[inline]
    pub fn end_mut(&mut self, end: End) -> &mut Endpoint {
        match end {
            End::Source => &mut self.source,
            End::Destination => &mut self.destination,
        }
    }

    /// Of its addresses.
    pub fn family(&self) -> Family {
        Family::of(self.source.address)
    }

    /// Type and code, where the protocol is ICMP.
    pub fn icmp(&self) -> (u8, u8) {
        let [kind, code] = self.destination.id.to_be_bytes();
        (kind, code)
    }
}
