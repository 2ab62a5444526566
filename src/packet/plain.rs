//! What plain rules and routing ask of a packet's bytes, in as few words as it fits: packets that are equal in it are equal to them; and how such
//! packets leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{ChecksumState, End, Origin, Packet, Sender};
use crate::base::{Family, InterfaceId, protocol};
use crate::wire::{be16, be32, checksum, ipv4, ipv6, put16, tcp, udp};

/// All that conditions on one field can be asked of a whole packet of its kind, and the service that it asks routes for. Only the packet's length, its
/// time to live and what the transport carries are left out, and the time.
///
/// Numbers, which are written and read whole: what is written in pieces and read as one, the processor waits for. The family is in the type, by how many
/// words both addresses have, so that none pays for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainKey<const WORDS: usize = OF_IPV4> {
    /// As they lie in the header.
    addresses: [u64; WORDS],
    /// Both ports, as they lie there; protocol, service, TCP's flags, and how much of a transport header is there, as far as a condition asks.
    rest: u64,
}

/// Words of eight bytes that two addresses of IPv4 have.
pub(crate) const OF_IPV4: usize = 1;
/// The same of IPv6.
pub(crate) const OF_IPV6: usize = 4;

/// A packet that is sane, whole and without options or extension headers, of a protocol that a `PlainKey` is made of, read where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'p, const WORDS: usize = OF_IPV4> {
    pub(crate) key: PlainKey<WORDS>,
    /// As [`Packet::checksum`].
    pub(crate) checksum: ChecksumState,
    /// Nothing behind its total length.
    bytes: &'p [u8],
}

/// Where they are in a key.
const FLAGS_SHIFT: u32 = 16;

impl<const WORDS: usize> PlainKey<WORDS> {
    const IS_IPV4: bool = WORDS == OF_IPV4;
    /// Of which they all are.
    const FAMILY: Family = if Self::IS_IPV4 { Family::V4 } else { Family::V6 };
    /// The header that all of them have.
    const HEADER: usize = if Self::IS_IPV4 { ipv4::MIN_HEADER } else { ipv6::HEADER };
    /// What all of them have: that, and as much as the shortest transport header.
    const LEAST: usize = Self::HEADER + udp::HEADER;
    /// The addresses are what the header ends with, in either family.
    const ADDRESSES_AT: usize = Self::HEADER - 8 * WORDS;
    const FLAGS_AT: usize = Self::HEADER + 13;
    const HOPS_AT: usize = if Self::IS_IPV4 { 8 } else { 7 };
}

impl<'p, const WORDS: usize> Plain<'p, WORDS> {
    /// Of which they all are.
    pub(crate) const FAMILY: Family = PlainKey::<WORDS>::FAMILY;
    const HEADER: usize = PlainKey::<WORDS>::HEADER;

    /// Of bytes that came in; `None` for whatever anybody has to look at more closely.
    #[inline]
    pub(crate) fn read(bytes: &'p [u8]) -> Option<Self> {
        const PLAIN: u8 = 0x45;
        let begin = bytes.get(..PlainKey::<WORDS>::LEAST)?;
        let (total, is_plain) = match PlainKey::<WORDS>::IS_IPV4 {
            true => {
                let is_fragment = be16(begin, 6) & (ipv4::MORE_FRAGMENTS | ipv4::OFFSET_MASK) != 0;
                (be16(begin, 2).into(), begin[0] == PLAIN && !is_fragment)
            }
            false => (ipv6::HEADER + usize::from(be16(begin, 4)), begin[0] >> 4 == 6),
        };
        let bytes = bytes.get(..total)?;
        if !is_plain || PlainKey::<WORDS>::IS_IPV4 && !checksum::is_right(begin.first_chunk()?) {
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
            packet.family == Self::FAMILY && usize::from(packet.network_header) == Self::HEADER && !packet.is_fragment;
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
        self.bytes[PlainKey::<WORDS>::HOPS_AT]
    }

    #[inline]
    pub(crate) fn protocol(&self) -> u8 {
        self.key.protocol()
    }

    /// Everything after the network header.
    #[inline]
    pub(crate) fn transport(&self) -> &'p [u8] {
        &self.bytes[Self::HEADER..]
    }

    /// Writes it to where it leaves. What is in it is asked of where it came, which has not just been written.
    #[inline]
    pub(crate) fn leave_by(&self, edit: &PlainEdit<WORDS>, buffer: &mut Vec<u8>) {
        // Mostly it is as long as the one before.
        if buffer.len() == self.bytes.len() {
            buffer.copy_from_slice(self.bytes);
        } else {
            buffer.clear();
            buffer.extend_from_slice(self.bytes);
        }
        if let Some(header) = buffer.get_mut(..PlainKey::<WORDS>::LEAST) {
            edit.make((self.ttl(), be16(self.bytes, 10)), header);
        }
        if let Some(ends) = &edit.ends {
            ends.follow(be16(self.bytes, ends.checksum_at), buffer);
        }
    }

    /// Whether the checksum of the transport is, with its pseudo-header. Addresses and transport lie side by side, and are summed as one.
    #[inline]
    pub(crate) fn transport_is_right(&self) -> bool {
        let rest = u32::from(self.protocol()) + (self.bytes.len() - Self::HEADER) as u32;
        checksum::fold(rest + checksum::sum(&self.bytes[PlainKey::<WORDS>::ADDRESSES_AT..])) == u16::MAX
    }
}

/// How packets of one [`PlainKey`] leave, whatever else they are: a hop further, and with these ends. What their checksums follow by is the same for all.
#[derive(Debug)]
pub(crate) struct PlainEdit<const WORDS: usize = OF_IPV4> {
    /// Added to what the header's checksum is the complement of, where it has one.
    header: u32,
    ends: Option<NewEnds<WORDS>>,
}

/// Addresses and ports, some of which are others than before.
#[derive(Debug)]
struct NewEnds<const WORDS: usize> {
    addresses: [u64; WORDS],
    ports: [u8; 4],
    /// Where the transport's checksum stands.
    checksum_at: usize,
    /// Zero says that there is none, and is never meant.
    zero_is_none: bool,
    /// Added to what the transport's checksum is the complement of.
    transport: u32,
}

impl<const WORDS: usize> PlainEdit<WORDS> {
    /// Of packets like this; of ends that change, what they are then: of their family.
    pub(crate) fn new(key: &PlainKey<WORDS>, ends: &[(End, IpAddr, u16)]) -> Self {
        // A hop is one less in the higher byte of its word, whatever stood there.
        const HOP: u32 = 0xffff - 0x0100;
        let mut edit = Self {
            header: HOP,
            ends: None,
        };
        let length = 4 * WORDS;
        let mut addresses = key.addresses.map(u64::to_ne_bytes);
        let mut ports = key.ports();
        let (mut by_addresses, mut by_ports) = (0, 0);
        for (end, address, port) in ends {
            let at = match end {
                End::Source => 0,
                End::Destination => 1,
            };
            let bytes = &mut addresses.as_flattened_mut()[length * at..][..length];
            let (old, old_port) = (address_in(bytes), be16(&ports, 2 * at));
            match address {
                IpAddr::V4(address) if PlainKey::<WORDS>::IS_IPV4 => bytes.copy_from_slice(&address.octets()),
                IpAddr::V6(address) if !PlainKey::<WORDS>::IS_IPV4 => bytes.copy_from_slice(&address.octets()),
                _ => continue,
            }
            put16(&mut ports, 2 * at, *port);
            if old != *address {
                by_addresses += checksum::difference(old, *address);
            }
            if old_port != *port {
                by_ports += u32::from(!old_port) + u32::from(*port);
            }
        }
        let addresses = addresses.map(u64::from_ne_bytes);
        if (addresses, ports) != (key.addresses, key.ports()) {
            edit.header += by_addresses;
            let is_udp = key.protocol() == protocol::UDP;
            edit.ends = Some(NewEnds {
                addresses,
                ports,
                checksum_at: PlainKey::<WORDS>::HEADER + if is_udp { 6 } else { 16 },
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
    fn make(&self, (ttl, sum): (u8, u16), header: &mut [u8]) {
        header[PlainKey::<WORDS>::HOPS_AT] = ttl.wrapping_sub(1);
        if PlainKey::<WORDS>::IS_IPV4 {
            put16(header, 10, after(sum, self.header));
        }
        if let Some(ends) = &self.ends {
            let words = header[PlainKey::<WORDS>::ADDRESSES_AT..].as_chunks_mut::<8>().0;
            for (word, address) in words.iter_mut().zip(&ends.addresses) {
                *word = address.to_ne_bytes();
            }
            header[PlainKey::<WORDS>::HEADER..][..4].copy_from_slice(&ends.ports);
        }
    }
}

/// An address as it lies in a header, whose length says which it is.
fn address_in(bytes: &[u8]) -> IpAddr {
    match bytes.first_chunk::<16>() {
        Some(octets) => Ipv6Addr::from(*octets).into(),
        None => Ipv4Addr::from_bits(be32(bytes, 0)).into(),
    }
}

impl<const WORDS: usize> NewEnds<WORDS> {
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
    /// Bytes that came in by an interface are put into a [`Self::husk`], or in the place of a packet that went the short way: of what tracking found of
    /// that one, nothing stays.
    #[inline]
    pub(crate) fn begin_plain<const WORDS: usize>(&mut self, plain: &Plain<'_, WORDS>, input: InterfaceId) {
        self.bytes.clear();
        self.bytes.extend_from_slice(plain.bytes);
        self.family = PlainKey::<WORDS>::FAMILY;
        self.network_header = PlainKey::<WORDS>::HEADER as u16;
        self.protocol = plain.protocol();
        self.checksum = plain.checksum;
        self.is_to_be_summed();
        self.input = Some(input);
    }

    /// The same of one that leaves in the buffer in which it came, and of which [`PlainEdit::is_for`] is true.
    #[inline]
    pub(crate) fn leave_by<const WORDS: usize>(&mut self, edit: &PlainEdit<WORDS>) {
        if let Some(header) = self.bytes.get_mut(..PlainKey::<WORDS>::LEAST) {
            edit.make((header[PlainKey::<WORDS>::HOPS_AT], be16(header, 10)), header);
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
            origin: Origin::Usual,
            heard_itself: false,
            options_unread: false,
            fragments: Vec::new(),
            first_fragment_needs: 0,
            joined_at: None,
            summed_header: None,
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

impl<const WORDS: usize> PlainKey<WORDS> {
    /// Of a packet with the shortest header of its family.
    #[inline]
    fn of_whole(bytes: &[u8]) -> Option<Self> {
        let begin = bytes.get(..Self::LEAST)?;
        const LONGEST: usize = tcp::MIN_HEADER;
        let (protocol, service) = match Self::IS_IPV4 {
            true => (begin[9], begin[1]),
            false => (begin[6], begin[0] << 4 | begin[1] >> 4),
        };
        let (flags, header) = match protocol {
            protocol::TCP => (*bytes.get(Self::FLAGS_AT)?, LONGEST),
            protocol::UDP => (0, LONGEST.min(bytes.len() - Self::HEADER)),
            _ => return None,
        };
        if bytes.len() < Self::HEADER + header {
            return None;
        }
        let mut addresses = [0; WORDS];
        let words = begin[Self::ADDRESSES_AT..].as_chunks::<8>().0;
        for (address, word) in addresses.iter_mut().zip(words) {
            *address = u64::from_ne_bytes(*word);
        }
        let ports = u32::from_ne_bytes(*begin[Self::HEADER..].first_chunk()?);
        let rest =
            u32::from(protocol) | u32::from(service) << 8 | u32::from(flags) << FLAGS_SHIFT | (header as u32) << 24;
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

    /// A number that is spread over all of 64 bits, and which nobody can foretell who does not know the secret.
    #[inline]
    pub(crate) fn hash(&self, secret: u64) -> u64 {
        let mixed = |one: u64, other: u64| {
            let product = u128::from(one ^ secret) * u128::from(other ^ secret.rotate_left(32) | 1);
            (product >> 64) as u64 ^ product as u64
        };
        let [first, others @ ..] = self.addresses.as_slice() else {
            return self.rest;
        };
        let addresses = others.iter().fold(*first, |one, other| mixed(one, *other));
        mixed(addresses, self.rest)
    }
}

impl<const WORDS: usize> PlainKey<WORDS> {
    /// Addresses, ports and protocol as they stand in the headers.
    #[inline]
    pub(crate) fn tuple_bytes(&self) -> TupleBytes {
        self.bytes_of([0, 1])
    }

    /// The same of an answer.
    #[inline]
    pub(crate) fn answer_bytes(&self) -> TupleBytes {
        self.bytes_of([1, 0])
    }

    /// The same of its source alone.
    #[inline]
    pub(crate) fn source_bytes(&self) -> TupleBytes {
        self.bytes_of([0])
    }

    /// Addresses of these ends, then their ports.
    #[inline(always)]
    fn bytes_of<const ENDS: usize>(&self, ends: [usize; ENDS]) -> TupleBytes {
        let mut bytes = TupleBytes::default();
        let addresses = self.addresses.map(u64::to_ne_bytes);
        let (addresses, _) = addresses.as_flattened().as_chunks::<4>();
        let (addresses, ports) = (addresses.split_at(WORDS), self.ports());
        for end in ends {
            let address = if end == 0 { addresses.0 } else { addresses.1 };
            bytes.push(address.as_flattened());
        }
        for end in ends {
            bytes.push(&ports[2 * end..][..2]);
        }
        bytes.push(&[self.protocol()]);
        bytes
    }
}

/// Of a tuple or a source: addresses, numbers and protocol as they stand in headers, in one piece, so that a hash is one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TupleBytes {
    bytes: [u8; Self::MOST],
    used: usize,
}

impl TupleBytes {
    const MOST: usize = 16 + 16 + 2 + 2 + 1;

    #[inline(always)]
    pub(crate) fn push(&mut self, more: &[u8]) {
        self.bytes[self.used..self.used + more.len()].copy_from_slice(more);
        self.used += more.len();
    }

    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

impl Default for TupleBytes {
    #[inline(always)]
    fn default() -> Self {
        Self {
            bytes: [0; Self::MOST],
            used: 0,
        }
    }
}

#[cfg(test)]
mod tests;
