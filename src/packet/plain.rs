//! What plain rules and routing ask of a packet's bytes, in as few words as it fits: packets that are equal in it are equal to them.

use super::Packet;
use crate::base::{Family, protocol};
use crate::wire::{be32, tcp, udp};

/// All that conditions on one field can be asked of a whole packet of its kind, and the service that it asks routes for. Only the packet's length, its
/// time to live and what the transport carries are left out, and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainKey {
    addresses: u64,
    ports: u32,
    protocol: u8,
    tos: u8,
    /// Of TCP.
    flags: u8,
    /// How much of a transport header is there, as far as a condition asks.
    header: u8,
}

impl PlainKey {
    /// `None` for what more can be asked of: fragments, options, and whatever has no ports. A packet of which headers are cut short is none either.
    #[inline]
    pub(crate) fn of(packet: &Packet) -> Option<Self> {
        const LONGEST: usize = tcp::MIN_HEADER;
        const PLAIN: u16 = 20;
        let is_plain = packet.family == Family::V4 && packet.network_header == PLAIN && !packet.is_fragment;
        let transport = packet.bytes.get(usize::from(PLAIN)..)?;
        let (flags, least) = match packet.protocol {
            protocol::TCP => (*transport.get(13)?, tcp::MIN_HEADER),
            protocol::UDP => (0, udp::HEADER),
            _ => return None,
        };
        (is_plain && transport.len() >= least).then(|| Self {
            addresses: (u64::from(be32(&packet.bytes, 12)) << 32) | u64::from(be32(&packet.bytes, 16)),
            ports: be32(transport, 0),
            protocol: packet.protocol,
            tos: packet.bytes[1],
            flags,
            header: transport.len().min(LONGEST) as u8,
        })
    }

    /// A number that is spread over all of 64 bits, and which nobody can foretell who does not know the secret.
    #[inline]
    pub(crate) fn hash(&self, secret: u64) -> u64 {
        let rest = u64::from(self.ports) << 32
            | u64::from(u32::from_be_bytes([self.protocol, self.tos, self.flags, self.header]));
        let product = u128::from(self.addresses ^ secret) * u128::from(rest ^ secret.rotate_left(32) | 1);
        (product >> 64) as u64 ^ product as u64
    }
}
