//! What plain rules and routing ask of a packet's bytes, in as few words as it fits: packets that are equal in it are equal to them; and how such
//! packets leave.

use std::net::{IpAddr, Ipv4Addr};

use super::{ChecksumState, End, Packet, Sender};
use crate::base::{Family, InterfaceId, protocol};
use crate::wire::{be16, be32, checksum, ipv4, put16, tcp, udp};

/// All that conditions on one field can be asked of a whole packet of its kind, and the service that it asks routes for. Only the packet's length, its
/// time to live and what the transport carries are left out, and the time.
///
/// Two numbers, which are written and read whole: what is written in pieces and read as one, the processor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainKey {
    /// As they lie in the header.
    addresses: u64,
    /// Both ports, as they lie there; protocol, service, TCP's flags, and how much of a transport header is there, as far as a condition asks.
    rest: u64,
}

/// A packet that is sane, whole and without options, of a protocol that a `PlainKey` is made of, read where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'p> {
    pub(crate) key: PlainKey,
    /// As [`Packet::checksum`].
    pub(crate) checksum: ChecksumState,
    /// Nothing behind its total length.
    bytes: &'p [u8],
}

/// The header that all of them have.
const HEADER: usize = ipv4::MIN_HEADER;
/// What all of them have: that, and as much as the shortest transport header.
const LEAST: usize = HEADER + udp::HEADER;
const FLAGS_AT: usize = HEADER + 13;
/// Where they are in a key.
const FLAGS_SHIFT: u32 = 16;

impl<'p> Plain<'p> {
    /// Of which they all are.
    pub(crate) const FAMILY: Family = Family::V4;

    /// Of bytes that came in; `None` for whatever anybody has to look at more closely.
    #[inline]
    pub(crate) fn read(bytes: &'p [u8]) -> Option<Self> {
        const PLAIN: u8 = 0x45;
        let begin = bytes.first_chunk::<LEAST>()?;
        let is_fragment = be16(begin, 6) & (ipv4::MORE_FRAGMENTS | ipv4::OFFSET_MASK) != 0;
        let bytes = bytes.get(..usize::from(be16(begin, 2)))?;
        if begin[0] != PLAIN || is_fragment || !checksum::is_right(header_of(begin)) {
            return None;
        }
        Some(Self {
            key: PlainKey::of_whole(bytes)?,
            checksum: ChecksumState::Unknown,
            bytes,
        })
    }

    /// Of a packet that has been found sane. `None` for what more can be asked of: fragments, options, and whatever has no ports. A packet of which
    /// headers are cut short is none either.
    #[inline]
    pub(crate) fn of(packet: &'p Packet) -> Option<Self> {
        let is_plain =
            packet.family == Family::V4 && usize::from(packet.network_header) == HEADER && !packet.is_fragment;
        if !is_plain {
            return None;
        }
        Some(Self {
            key: PlainKey::of_whole(&packet.bytes)?,
            checksum: packet.checksum,
            bytes: &packet.bytes,
        })
    }

    /// All of the packet's.
    #[inline]
    pub(crate) fn bytes(&self) -> &'p [u8] {
        self.bytes
    }

    /// The whole packet's.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(crate) fn ttl(&self) -> u8 {
        self.bytes[8]
    }

    #[inline]
    pub(crate) fn protocol(&self) -> u8 {
        self.key.protocol()
    }

    /// Everything after the network header.
    #[inline]
    pub(crate) fn transport(&self) -> &'p [u8] {
        &self.bytes[HEADER..]
    }

    /// Writes it to where it leaves. What is in it is asked of where it came, which has not just been written.
    #[inline]
    pub(crate) fn leave_by(&self, edit: &PlainEdit, buffer: &mut Vec<u8>) {
        // Mostly it is as long as the one before.
        if buffer.len() == self.bytes.len() {
            buffer.copy_from_slice(self.bytes);
        } else {
            buffer.clear();
            buffer.extend_from_slice(self.bytes);
        }
        if let Some(header) = buffer.first_chunk_mut() {
            edit.make((self.bytes[8], be16(self.bytes, 10)), header);
        }
        if let Some(ends) = &edit.ends {
            ends.follow(be16(self.bytes, ends.checksum_at), buffer);
        }
    }

    /// Whether the checksum of the transport is, with its pseudo-header. Addresses and transport lie side by side, and are summed as one.
    #[inline]
    pub(crate) fn transport_is_right(&self) -> bool {
        const ADDRESSES_AT: usize = 12;
        let rest = u32::from(self.protocol()) + (self.bytes.len() - HEADER) as u32;
        checksum::fold(rest + checksum::sum(&self.bytes[ADDRESSES_AT..])) == u16::MAX
    }
}

#[inline]
fn header_of(begin: &[u8; LEAST]) -> &[u8; HEADER] {
    begin.first_chunk().expect("it is a part")
}

/// How packets of one [`PlainKey`] leave, whatever else they are: a hop further, and with these ends. What their checksums follow by is the same for all.
#[derive(Debug)]
pub(crate) struct PlainEdit {
    /// Added to what the header's checksum is the complement of.
    header: u32,
    ends: Option<NewEnds>,
}

/// Addresses and ports, some of which are others than before.
#[derive(Debug)]
struct NewEnds {
    addresses: [u8; 8],
    ports: [u8; 4],
    /// Where the transport's checksum stands.
    checksum_at: usize,
    /// Zero says that there is none, and is never meant.
    zero_is_none: bool,
    /// Added to what the transport's checksum is the complement of.
    transport: u32,
}

impl PlainEdit {
    /// Of packets like this; of ends that change, what they are then.
    pub(crate) fn new(key: &PlainKey, ends: &[(End, Ipv4Addr, u16)]) -> Self {
        // A hop is one less in the higher byte of its word, whatever stood there.
        const HOP: u32 = 0xffff - 0x0100;
        let mut edit = Self {
            header: HOP,
            ends: None,
        };
        let (mut addresses, mut ports) = (key.addresses.to_ne_bytes(), key.ports());
        let (mut by_addresses, mut by_ports) = (0, 0);
        for (end, address, port) in ends {
            let at = match end {
                End::Source => 0,
                End::Destination => 1,
            };
            let (old, old_port) = (be32(&addresses, 4 * at), be16(&ports, 2 * at));
            addresses[4 * at..][..4].copy_from_slice(&address.octets());
            put16(&mut ports, 2 * at, *port);
            if old != address.to_bits() {
                by_addresses += checksum::difference(IpAddr::V4(Ipv4Addr::from_bits(old)), IpAddr::V4(*address));
            }
            if old_port != *port {
                by_ports += u32::from(!old_port) + u32::from(*port);
            }
        }
        if (addresses, ports) != (key.addresses.to_ne_bytes(), key.ports()) {
            edit.header += by_addresses;
            let is_udp = key.protocol() == protocol::UDP;
            edit.ends = Some(NewEnds {
                addresses,
                ports,
                checksum_at: HEADER + if is_udp { 6 } else { 16 },
                zero_is_none: is_udp,
                transport: by_addresses + by_ports,
            });
        }
        edit
    }

    /// Whether it can be made of a packet of which the checksum is such. An unfinished one follows otherwise.
    #[inline]
    pub(crate) fn is_for(&self, checksum: ChecksumState) -> bool {
        self.ends.is_none() || checksum != ChecksumState::Partial
    }

    /// Makes it of a header that said this before.
    #[inline]
    fn make(&self, (ttl, sum): (u8, u16), header: &mut [u8; LEAST]) {
        header[8] = ttl.wrapping_sub(1);
        put16(header, 10, after(sum, self.header));
        if let Some(ends) = &self.ends {
            header[12..20].copy_from_slice(&ends.addresses);
            header[20..24].copy_from_slice(&ends.ports);
        }
    }
}

impl NewEnds {
    /// The transport's checksum, which was this.
    #[inline]
    fn follow(&self, field: u16, bytes: &mut [u8]) {
        if self.zero_is_none && field == 0 {
            return;
        }
        let value = match after(field, self.transport) {
            0 if self.zero_is_none => u16::MAX,
            value => value,
        };
        put16(bytes, self.checksum_at, value);
    }
}

/// A checksum after differences (RFC 1624, equation 3), of which any number are one: sums that are not zero never fold to it.
#[inline]
fn after(checksum: u16, differences: u32) -> u16 {
    !checksum::fold(u32::from(!checksum) + differences)
}

impl Packet {
    /// Bytes that came in by an interface are put into a [`Self::husk`].
    #[inline]
    pub(crate) fn begin_plain(&mut self, plain: &Plain<'_>, input: InterfaceId) {
        self.bytes.clear();
        self.bytes.extend_from_slice(plain.bytes);
        self.network_header = HEADER as u16;
        self.protocol = plain.protocol();
        self.checksum = plain.checksum;
        self.input = Some(input);
    }

    /// The same of one that leaves in the buffer in which it came, and of which [`PlainEdit::is_for`] is true.
    #[inline]
    pub(crate) fn leave_by(&mut self, edit: &PlainEdit) {
        if let Some(header) = self.bytes.first_chunk_mut::<LEAST>() {
            edit.make((header[8], be16(header, 10)), header);
        }
        if let Some(ends) = &edit.ends {
            ends.follow(be16(&self.bytes, ends.checksum_at), &mut self.bytes);
        }
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
    /// Of a packet with a header of twenty bytes.
    #[inline]
    fn of_whole(bytes: &[u8]) -> Option<Self> {
        let begin = bytes.first_chunk::<LEAST>()?;
        const LONGEST: usize = tcp::MIN_HEADER;
        let protocol = begin[9];
        let (flags, header) = match protocol {
            protocol::TCP => (*bytes.get(FLAGS_AT)?, LONGEST),
            protocol::UDP => (0, LONGEST.min(bytes.len() - HEADER)),
            _ => return None,
        };
        if bytes.len() < HEADER + header {
            return None;
        }
        let addresses = u64::from_ne_bytes(*begin[12..].first_chunk()?);
        let ports = u32::from_ne_bytes(*begin[20..].first_chunk()?);
        let rest =
            u32::from(protocol) | u32::from(begin[1]) << 8 | u32::from(flags) << FLAGS_SHIFT | (header as u32) << 24;
        Some(Self {
            addresses,
            rest: u64::from(ports) << 32 | u64::from(rest),
        })
    }

    #[inline]
    pub(crate) fn protocol(&self) -> u8 {
        self.rest as u8
    }

    /// Both, as they lie in the header.
    fn ports(&self) -> [u8; 4] {
        ((self.rest >> 32) as u32).to_ne_bytes()
    }

    /// What is left of it where nobody asks for other bits of TCP's flags than these.
    #[inline]
    pub(crate) fn with_flags(self, asked: u8) -> Self {
        Self {
            rest: self.rest & !(u64::from(!asked) << FLAGS_SHIFT),
            ..self
        }
    }

    /// Addresses, ports and protocol as they stand in the headers.
    #[inline]
    pub(crate) fn tuple_bytes(&self) -> [u8; 13] {
        Self::bytes_of(self.addresses.to_ne_bytes(), self.ports(), self.protocol())
    }

    /// The same of an answer.
    #[inline]
    pub(crate) fn answer_bytes(&self) -> [u8; 13] {
        let [a, b, c, d] = self.ports();
        Self::bytes_of(
            self.addresses.rotate_left(32).to_ne_bytes(),
            [c, d, a, b],
            self.protocol(),
        )
    }

    /// The same of its source alone.
    #[inline]
    pub(crate) fn source_bytes(&self) -> [u8; 7] {
        let ([a, b, c, d, ..], [high, low, ..]) = (self.addresses.to_ne_bytes(), self.ports());
        [a, b, c, d, high, low, self.protocol()]
    }

    #[inline]
    fn bytes_of(addresses: [u8; 8], ports: [u8; 4], protocol: u8) -> [u8; 13] {
        let mut bytes = [protocol; 13];
        bytes[..8].copy_from_slice(&addresses);
        bytes[8..12].copy_from_slice(&ports);
        bytes
    }

    /// A number that is spread over all of 64 bits, and which nobody can foretell who does not know the secret.
    #[inline]
    pub(crate) fn hash(&self, secret: u64) -> u64 {
        let product = u128::from(self.addresses ^ secret) * u128::from(self.rest ^ secret.rotate_left(32) | 1);
        (product >> 64) as u64 ^ product as u64
    }
}

#[cfg(test)]
mod tests;
