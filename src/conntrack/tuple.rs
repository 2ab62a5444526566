//! A tuple names one direction of a flow: two endpoints and a protocol.

use std::net::IpAddr;

use crate::base::{Family, protocol};
use crate::packet::Packet;
use crate::wire::icmpv4::kind;

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
    /// The tuple of a packet; `None` for a later fragment, a transport header cut short, and a GRE version 1 that carries no PPP.
    pub fn of(packet: &Packet) -> Option<Self> {
        if packet.fragment_offset() != 0 {
            return None;
        }
        Self::read(
            packet.protocol(),
            packet.source(),
            packet.destination(),
            packet.transport(),
        )
    }

    /// The tuple of headers, which an ICMP error may have cut after the first bytes of the transport header.
    pub fn read(protocol: u8, source: IpAddr, destination: IpAddr, transport: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            transport
                .get(at..at + 2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        };
        let (source_id, destination_id) = match protocol {
            protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP => (word(0)?, word(2)?),
            protocol::ICMP => {
                let (kind_and_code, identifier) = (word(0)?, word(4)?);
                word(6)?;
                (identifier, kind_and_code)
            }
            // Seen: a header of fewer than four bytes, or of version 0, has no keys; the key of version 1 is its call id, on the
            // destination's side only; version 1 must carry PPP, unless its header ends before the call id.
            protocol::GRE => match (word(0), word(2), word(6)) {
                (Some(flags), Some(carried), Some(call)) if flags & 7 == 1 => {
                    if carried != GRE_PPP {
                        return None;
                    }
                    (0, call)
                }
                _ => (0, 0),
            },
            // DCCP too: this kernel has no tracker for it.
            _ => (0, 0),
        };
        Some(Self {
            source: Endpoint {
                address: source,
                id: source_id,
            },
            destination: Endpoint {
                address: destination,
                id: destination_id,
            },
            protocol,
        })
    }

    /// The tuple of the answer; `None` for an ICMP type that nobody answers.
    pub fn inverse(&self) -> Option<Self> {
        if self.protocol == protocol::ICMP {
            let (kind, code) = self.icmp();
            return Some(Self {
                source: Endpoint {
                    address: self.destination.address,
                    id: self.source.id,
                },
                destination: Endpoint {
                    address: self.source.address,
                    id: u16::from_be_bytes([icmp_answer(kind)?, code]),
                },
                protocol: self.protocol,
            });
        }
        Some(Self {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
        })
    }

    pub fn family(&self) -> Family {
        Family::of(self.source.address)
    }

    /// Type and code, where the protocol is ICMP.
    pub fn icmp(&self) -> (u8, u8) {
        let [kind, code] = self.destination.id.to_be_bytes();
        (kind, code)
    }
}

/// What `ETHER_TYPE` GRE version 1 carries in PPTP.
const GRE_PPP: u16 = 0x880b;

fn icmp_answer(kind: u8) -> Option<u8> {
    Some(match kind {
        kind::ECHO_REQUEST => kind::ECHO_REPLY,
        kind::ECHO_REPLY => kind::ECHO_REQUEST,
        kind::TIMESTAMP_REQUEST => kind::TIMESTAMP_REPLY,
        kind::TIMESTAMP_REPLY => kind::TIMESTAMP_REQUEST,
        kind::INFORMATION_REQUEST => kind::INFORMATION_REPLY,
        kind::INFORMATION_REPLY => kind::INFORMATION_REQUEST,
        kind::ADDRESS_MASK_REQUEST => kind::ADDRESS_MASK_REPLY,
        kind::ADDRESS_MASK_REPLY => kind::ADDRESS_MASK_REQUEST,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(protocol: u8, transport: &[u8]) -> Option<(u16, u16)> {
        let tuple = Tuple::read(protocol, [10, 0, 0, 2].into(), [192, 0, 2, 9].into(), transport)?;
        Some((tuple.source.id, tuple.destination.id))
    }

    #[test]
    fn what_tells_flows_apart() {
        for (protocol, transport, expected) in [
            (17, &[3, 232, 0, 53][..], Some((1000, 53))),
            (6, &[3, 232, 0], None),
            (132, &[0, 1, 0, 2, 9], Some((1, 2))),
            (33, &[0, 1, 0, 2, 9], Some((0, 0))),
            (50, &[], Some((0, 0))),
            (1, &[8, 5, 0xff, 0xff, 0, 7, 0, 1], Some((7, 0x0805))),
            (1, &[8, 5, 0xff, 0xff, 0, 7, 0], None),
            (47, &[0, 0], Some((0, 0))),
            (47, &[0x20, 1, 0x88, 0x0b, 0, 4, 0, 7], Some((0, 7))),
            (47, &[0x20, 1, 0x08, 0x00, 0, 4, 0, 7], None),
            (47, &[0x20, 1, 0x88, 0x0b], Some((0, 0))),
            (47, &[0, 2, 8, 0, 0, 4, 0, 7], Some((0, 0))),
        ] {
            assert_eq!(read(protocol, transport), expected, "{protocol} {transport:?}");
        }
    }

    #[test]
    fn answers_of_icmp_types() {
        for kind in 0..=255 {
            let tuple = Tuple::read(
                1,
                [10, 0, 0, 2].into(),
                [192, 0, 2, 9].into(),
                &[kind, 0, 0, 0, 0, 7, 0, 0],
            )
            .unwrap();
            let has_answer = matches!(kind, 0 | 8 | 13..=18);
            assert_eq!(tuple.inverse().is_some(), has_answer, "type {kind}");
            if let Some(back) = tuple.inverse() {
                assert_eq!(back.inverse(), Some(tuple));
            }
        }
    }
}
