//! What plain rules and routing ask of a packet's bytes, in as few words as it fits: packets that are equal in it are equal to them.

use super::{ChecksumState, Packet, Sender};
use crate::base::{Family, InterfaceId, protocol};
use crate::wire::{be16, be32, checksum, ipv4, tcp, udp};

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

/// A packet that is sane, whole and without options, of a protocol that a [`PlainKey`] is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    pub(crate) key: PlainKey,
    total: u16,
}

/// The header that all of them have.
const HEADER: usize = ipv4::MIN_HEADER;

impl Plain {
    /// Of which they all are.
    pub(crate) const FAMILY: Family = Family::V4;

    /// `None` for whatever anybody has to look at more closely.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        const PLAIN: u8 = 0x45;
        let header = bytes.first_chunk::<HEADER>()?;
        let total = be16(header, 2);
        let is_fragment = be16(header, 6) & (ipv4::MORE_FRAGMENTS | ipv4::OFFSET_MASK) != 0;
        let transport = bytes.get(HEADER..usize::from(total))?;
        if header[0] != PLAIN || is_fragment || checksum::of(header) != 0 {
            return None;
        }
        Some(Self {
            key: PlainKey::of_parts(header, transport)?,
            total,
        })
    }
}

impl Packet {
    /// Bytes that came in by an interface are put into a [`Self::husk`], or into what has been nothing since but such a packet, and never left the short
    /// way.
    #[inline]
    pub(crate) fn begin_plain(&mut self, bytes: &[u8], plain: &Plain, input: InterfaceId) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&bytes[..usize::from(plain.total)]);
        self.network_header = HEADER as u16;
        self.protocol = plain.key.protocol;
        self.checksum = ChecksumState::Unknown;
        self.input = Some(input);
    }

    /// What became of it is forgotten; its buffer stays.
    pub(crate) fn end(&mut self) {
        *self = Self {
            bytes: std::mem::take(&mut self.bytes),
            ..Self::husk()
        };
    }

    /// A packet without bytes, of which nothing may be asked.
    #[inline]
    pub(crate) fn husk() -> Self {
        Self {
            bytes: Vec::new(),
            family: Family::V4,
            network_header: 0,
            protocol: 0,
            fragment_offset: 0,
            is_fragment: false,
            checksum: ChecksumState::Unknown,
            segment_size: 0,
            ecn: false,
            input: None,
            output: None,
            sender: Sender::NoSocket,
            mark: 0,
            largest_fragment: 0,
            fragments_had_df: false,
            ignores_df: false,
            options_unread: false,
            fragments: Vec::new(),
        }
    }

    /// Whether it has room for bytes without another buffer.
    #[inline]
    pub(crate) fn has_a_buffer(&self) -> bool {
        self.bytes.capacity() > 0
    }

    /// Takes another buffer for its own.
    #[inline]
    pub(crate) fn exchange_bytes(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.bytes, buffer);
    }
}

impl PlainKey {
    /// `None` for what more can be asked of: fragments, options, and whatever has no ports. A packet of which headers are cut short is none either.
    #[inline]
    pub(crate) fn of(packet: &Packet) -> Option<Self> {
        let is_plain =
            packet.family == Family::V4 && usize::from(packet.network_header) == HEADER && !packet.is_fragment;
        let (header, transport) = packet.bytes.split_first_chunk()?;
        if is_plain {
            Self::of_parts(header, transport)
        } else {
            None
        }
    }

    #[inline]
    fn of_parts(header: &[u8; HEADER], transport: &[u8]) -> Option<Self> {
        const LONGEST: usize = tcp::MIN_HEADER;
        let protocol = header[9];
        let (flags, least) = match protocol {
            protocol::TCP => (*transport.get(13)?, tcp::MIN_HEADER),
            protocol::UDP => (0, udp::HEADER),
            _ => return None,
        };
        (transport.len() >= least).then(|| Self {
            addresses: (u64::from(be32(header, 12)) << 32) | u64::from(be32(header, 16)),
            ports: be32(transport, 0),
            protocol,
            tos: header[1],
            flags,
            header: transport.len().min(LONGEST) as u8,
        })
    }

    /// What is left of it where nobody asks for other bits of TCP's flags than these.
    #[inline]
    pub(crate) fn with_flags(self, asked: u8) -> Self {
        Self {
            flags: self.flags & asked,
            ..self
        }
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
