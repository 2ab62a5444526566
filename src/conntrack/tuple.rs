//! A tuple names one direction of a flow: two endpoints and a protocol.

use std::net::IpAddr;

use crate::base::Family;

/// Which way a packet goes in its flow. Original is the way of the first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    #[default]
    Original,
    Reply,
}

impl Direction {
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
    pub address: IpAddr,
    pub id: u16,
}

/// One direction of a flow. For ICMP, `source.id` is the identifier and `destination.id` is type × 256 + code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub source: Endpoint,
    pub destination: Endpoint,
    pub protocol: u8,
}

impl Tuple {
    pub fn family(&self) -> Family {
        Family::of(self.source.address)
    }

    /// Type and code, where the protocol is ICMP.
    pub fn icmp(&self) -> (u8, u8) {
        ((self.destination.id >> 8) as u8, self.destination.id as u8)
    }
}
