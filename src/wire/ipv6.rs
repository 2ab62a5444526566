//! IPv6 headers, and the extension headers between them and the transport (RFC 8200).

use std::net::Ipv6Addr;

use etherparse::{IpNumber, Ipv6FlowLabel, Ipv6Header};

use super::{Malformed, be16, be32, put16};
use crate::base::protocol;

/// A view of a packet whose first byte is that of an IPv6 header. The payload may be cut short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ipv6<T>(T);

/// Without extension headers.
pub(crate) const HEADER: usize = 40;

/// Numbers of extension headers.
pub(crate) mod extension {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    /// Nothing follows.
    pub(crate) const NO_NEXT_HEADER: u8 = 59;
    pub(crate) const DESTINATION: u8 = 60;

    /// Whether a header of this number is walked over, or ends the walk, so that no transport is where one is met.
    pub(crate) fn is_extension(number: u8) -> bool {
        matches!(
            number,
            HOP_BY_HOP | ROUTING | FRAGMENT | super::protocol::AH | NO_NEXT_HEADER | DESTINATION
        )
    }
}

/// An extension header that is there whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    /// Its number.
    pub kind: u8,
    /// Where in the packet the number is written: in the header before.
    pub named_at: usize,
    /// Where in the packet it begins.
    pub at: usize,
    /// All of it, eight bytes at least; the first is the number of what follows.
    pub bytes: &'a [u8],
}

impl Extension<'_> {
    /// Of a fragment header: the offset in bytes, and whether more follow.
    pub(crate) fn fragment(&self) -> Option<(usize, bool)> {
        let field = be16(self.bytes, 2);
        (self.kind == extension::FRAGMENT).then_some((usize::from(field & !7), field & MORE_FRAGMENTS != 0))
    }

    /// Of a fragment header.
    pub(crate) fn identification(&self) -> u32 {
        be32(self.bytes, 4)
    }
}

/// The extension headers of a packet that Linux walks over, one by one, up to a later fragment's data, which nothing more is known of. Once it is
/// through, its fields say where it ended.
#[derive(Clone, Debug)]
pub(crate) struct Extensions<'a> {
    data: &'a [u8],
    /// The number of what comes next: of the transport, or of an extension header that is cut short.
    pub next: u8,
    /// Where that is written.
    pub named_at: usize,
    /// Where it begins.
    pub at: usize,
    is_later: bool,
}

impl<'a> Extensions<'a> {
    /// From what this byte of the packet names, which begins there.
    pub(crate) fn from(data: &'a [u8], named_at: usize, at: usize) -> Self {
        Self {
            data,
            next: data.get(named_at).copied().unwrap_or(extension::NO_NEXT_HEADER),
            named_at,
            at,
            is_later: false,
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        let rest = self.data.get(self.at..)?;
        let header = rest
            .first_chunk::<8>()
            .filter(|_| !self.is_later && is_walked_over(self.next))?;
        let bytes = rest.get(..length_of(self.next, header))?;
        let found = Extension {
            kind: self.next,
            named_at: self.named_at,
            at: self.at,
            bytes,
        };
        self.is_later = found.fragment().is_some_and(|(offset, _)| offset != 0);
        (self.next, self.named_at, self.at) = (header[0], self.at, self.at + bytes.len());
        Some(found)
    }
}

fn is_walked_over(number: u8) -> bool {
    extension::is_extension(number) && number != extension::NO_NEXT_HEADER
}

fn length_of(kind: u8, header: &[u8; 8]) -> usize {
    match kind {
        extension::FRAGMENT => FRAGMENT_HEADER,
        protocol::AH => (usize::from(header[1]) + 2) * 4,
        _ => (usize::from(header[1]) + 1) * 8,
    }
}

/// What stands behind the extension headers, as far as they can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upper {
    /// Of the transport; of an extension header where of that there are no two bytes.
    pub protocol: u8,
    /// Where it begins.
    pub offset: usize,
    /// In bytes.
    pub fragment_offset: usize,
    /// The first of several fragments, or a later one: a fragment header alone makes none.
    pub is_fragment: bool,
    /// Offset, reserved bits and "more" of the last fragment header, as they stand; 0 without one.
    pub fragment_field: u16,
}

impl<T: AsRef<[u8]>> Ipv6<T> {
    /// Of a packet that an error quotes, whatever version it says to be.
    pub(crate) fn of_quote(bytes: T) -> Option<Self> {
        (bytes.as_ref().len() >= HEADER).then_some(Self(bytes))
    }

    pub(crate) fn new(bytes: T) -> Result<Self, Malformed> {
        let data = bytes.as_ref();
        if data.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        if data[0] >> 4 != 6 {
            return Err(Malformed::BadHeader);
        }
        Ok(Self(bytes))
    }

    fn data(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// In bytes, this header included. With hop-by-hop options a length of zero means all that is there, as the option of a jumbogram says.
    pub(crate) fn total_length(&self) -> usize {
        match self.payload_length() {
            0 if self.next_header() == extension::HOP_BY_HOP => self.data().len(),
            length => HEADER + usize::from(length),
        }
    }

    pub(crate) fn traffic_class(&self) -> u8 {
        self.data()[0] << 4 | self.data()[1] >> 4
    }

    pub(crate) fn flow_label(&self) -> u32 {
        be32(self.data(), 0) & 0xf_ffff
    }

    /// Of everything behind this header, in bytes.
    pub(crate) fn payload_length(&self) -> u16 {
        be16(self.data(), 4)
    }

    pub(crate) fn next_header(&self) -> u8 {
        self.data()[6]
    }

    pub(crate) fn source(&self) -> Ipv6Addr {
        address(self.data(), 8)
    }

    pub(crate) fn destination(&self) -> Ipv6Addr {
        address(self.data(), 24)
    }

    /// Those that this header's number begins with, in all that is there: what a program sends may be longer than it says, and is read as far.
    pub(crate) fn extensions(&self) -> Extensions<'_> {
        Extensions::from(self.data(), NEXT_HEADER, HEADER)
    }

    /// Past the extension headers, as far as they can be read.
    pub(crate) fn upper(&self) -> Upper {
        self.upper_within(self.total_length())
    }

    /// The same of a packet that an error quotes, whose length says nothing.
    pub(crate) fn quoted_upper(&self) -> Upper {
        self.upper_within(usize::MAX)
    }

    fn upper_within(&self, length: usize) -> Upper {
        let data = &self.data()[..self.data().len().min(length)];
        let upper = Upper::behind(data, self.next_header(), HEADER);
        Upper {
            offset: upper.offset.min(data.len()),
            ..upper
        }
    }
}

impl Upper {
    /// From a header of this number on, which begins there. As the kernel does it: of each header two bytes are enough, and the length that it tells is
    /// believed, whether so much is there or not. So what stands behind may begin behind the packet's end.
    pub(crate) fn behind(data: &[u8], number: u8, at: usize) -> Self {
        let mut upper = Self {
            protocol: number,
            offset: at,
            fragment_offset: 0,
            is_fragment: false,
            fragment_field: 0,
        };
        while is_walked_over(upper.protocol) {
            let rest = data.get(upper.offset..).unwrap_or(&[]);
            let [next, length, more @ ..] = rest else {
                return upper;
            };
            let length = match (upper.protocol, more) {
                (extension::FRAGMENT, [high, low, ..]) => {
                    let field = u16::from_be_bytes([*high, *low]);
                    upper.fragment_field = field;
                    upper.fragment_offset = usize::from(field & !7);
                    upper.is_fragment = field & (!7 | MORE_FRAGMENTS) != 0;
                    FRAGMENT_HEADER
                }
                (extension::FRAGMENT, _) => return upper,
                (protocol::AH, _) => (usize::from(*length) + 2) * 4,
                _ => (usize::from(*length) + 1) * 8,
            };
            upper.protocol = *next;
            upper.offset += length;
            if upper.fragment_offset != 0 {
                return upper;
            }
        }
        upper
    }
}

const FRAGMENT_HEADER: usize = 8;

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv6<T> {
    fn data_mut(&mut self) -> &mut [u8] {
        self.0.as_mut()
    }

    pub(crate) fn set_traffic_class(&mut self, value: u8) {
        let data = self.data_mut();
        data[0] = data[0] & 0xf0 | value >> 4;
        data[1] = value << 4 | data[1] & 0x0f;
    }

    /// Of everything behind this header, in bytes.
    pub(crate) fn set_payload_length(&mut self, value: u16) {
        put16(self.data_mut(), 4, value);
    }

    pub(crate) fn set_hop_limit(&mut self, value: u8) {
        self.data_mut()[7] = value;
    }

    pub(crate) fn set_source(&mut self, value: Ipv6Addr) {
        self.data_mut()[8..24].copy_from_slice(&value.octets());
    }

    pub(crate) fn set_destination(&mut self, value: Ipv6Addr) {
        self.data_mut()[24..HEADER].copy_from_slice(&value.octets());
    }
}

pub(crate) const MORE_FRAGMENTS: u16 = 1;
/// Where this header names the next.
pub(crate) const NEXT_HEADER: usize = 6;

/// The fields of a header, to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repr {
    pub traffic_class: u8,
    /// Twenty bits; 0 is none.
    pub flow_label: u32,
    pub hop_limit: u8,
    pub next_header: u8,
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
}

impl Repr {
    /// A whole packet: this header, then `payload`. `None` where that has more than 65,535 bytes.
    pub(crate) fn emit(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let header = Ipv6Header {
            traffic_class: self.traffic_class,
            flow_label: Ipv6FlowLabel::try_new(self.flow_label).unwrap_or_default(),
            payload_length: u16::try_from(payload.len()).ok()?,
            next_header: IpNumber(self.next_header),
            hop_limit: self.hop_limit,
            source: self.source.octets(),
            destination: self.destination.octets(),
        };
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(&header.to_bytes());
        bytes.extend_from_slice(payload);
        Some(bytes)
    }
}

fn address(bytes: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&bytes[at..at + 16]);
    Ipv6Addr::from(octets)
}

#[cfg(test)]
mod tests {
    use super::extension::{DESTINATION, FRAGMENT, HOP_BY_HOP, NO_NEXT_HEADER as NONE, ROUTING};
    use super::*;

    const TCP: u8 = protocol::TCP;

    /// A packet whose extension headers are these, each a number with its bytes but for the first, which names the next; behind them stands `last`.
    fn packet(headers: &[(u8, &[u8])], last: u8, payload: usize) -> Vec<u8> {
        let numbers = || headers.iter().map(|it| it.0).chain([last]);
        let mut bytes = vec![0; HEADER];
        bytes[0] = 0x60;
        bytes[6] = numbers().next().unwrap();
        for ((_, body), next) in headers.iter().zip(numbers().skip(1)) {
            bytes.push(next);
            bytes.extend_from_slice(body);
        }
        bytes.resize(bytes.len() + payload, 0xee);
        let length = (bytes.len() - HEADER) as u16;
        put16(&mut bytes, 4, length);
        bytes
    }

    /// Each chain with its transport's number and offset, the fragment's offset, and whether it is a fragment; by etherparse too.
    #[test]
    fn past_extension_headers() {
        let plain: &[u8] = &[0; 7];
        let sixteen: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (headers, last, expected) in [
            (&[][..], TCP, (TCP, 40, 0, false)),
            (&[], NONE, (NONE, 40, 0, false)),
            (&[(HOP_BY_HOP, plain)], TCP, (TCP, 48, 0, false)),
            (
                &[
                    (HOP_BY_HOP, plain),
                    (DESTINATION, sixteen),
                    (ROUTING, plain),
                    (DESTINATION, plain),
                ],
                TCP,
                (TCP, 80, 0, false),
            ),
            // Its length counts in words of four, less two.
            (
                &[(
                    protocol::AH,
                    &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                )],
                TCP,
                (TCP, 64, 0, false),
            ),
            (&[(FRAGMENT, plain)], TCP, (TCP, 48, 0, false)),
            // What other headers have their length in is reserved there.
            (
                &[(FRAGMENT, &[7, 0, 1, 0, 0, 0, 9]), (DESTINATION, plain)],
                TCP,
                (TCP, 56, 0, true),
            ),
            (
                &[(DESTINATION, plain), (FRAGMENT, &[0, 5, 0xa8, 0, 0, 0, 9])],
                TCP,
                (TCP, 56, 1448, true),
            ),
        ] {
            let bytes = packet(headers, last, 20);
            let view = Ipv6::new(&bytes).unwrap();
            let upper = view.upper();
            let found = (upper.protocol, upper.offset, upper.fragment_offset, upper.is_fragment);
            assert_eq!(found, expected, "{headers:?}");
            // Header by header it is the same way.
            let mut chain = view.extensions();
            let walked: Vec<u8> = chain.by_ref().map(|it| it.kind).collect();
            assert_eq!(walked, headers.iter().map(|it| it.0).collect::<Vec<_>>());
            assert_eq!((chain.next, chain.at), (expected.0, expected.1), "{headers:?}");
            let theirs = etherparse::LaxIpv6Slice::from_slice(&bytes).unwrap().0;
            let payload = theirs.payload();
            let at = payload.payload.as_ptr() as usize - bytes.as_ptr() as usize;
            let found = (payload.ip_number.0, at, payload.fragmented);
            assert_eq!(found, (expected.0, expected.1, expected.3), "{headers:?} by etherparse");
        }
        // What looks like a header in a later fragment is its data.
        let later = packet(&[(FRAGMENT, &[0, 0, 9, 0, 0, 0, 9]), (DESTINATION, plain)], TCP, 20);
        let view = Ipv6::new(&later).unwrap();
        let upper = view.upper();
        assert_eq!(
            (upper.protocol, upper.offset, upper.fragment_offset),
            (DESTINATION, 48, 8)
        );
        let mut chain = view.extensions();
        assert_eq!((chain.by_ref().count(), chain.next, chain.at), (1, DESTINATION, 48));
    }

    #[test]
    fn a_header_that_is_cut_short_is_believed() {
        let whole = packet(
            &[
                (HOP_BY_HOP, &[0; 7]),
                (DESTINATION, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ],
            TCP,
            0,
        );
        for (length, expected) in [
            (40, (HOP_BY_HOP, 40)),
            (41, (HOP_BY_HOP, 40)),
            // Two bytes are enough to go on.
            (42, (DESTINATION, 42)),
            (47, (DESTINATION, 47)),
            (48, (DESTINATION, 48)),
            (49, (DESTINATION, 48)),
            (50, (TCP, 50)),
            (63, (TCP, 63)),
            (64, (TCP, 64)),
        ] {
            let upper = Ipv6::new(&whole[..length]).unwrap().upper();
            assert_eq!((upper.protocol, upper.offset), expected, "{length} bytes");
            // The same where the base header says so.
            let mut bytes = whole.clone();
            put16(&mut bytes, 4, (length - HEADER) as u16);
            let upper = Ipv6::new(&bytes).unwrap().upper();
            // With hop-by-hop options none is said by zero.
            let expected = if length == HEADER { (TCP, 64) } else { expected };
            assert_eq!((upper.protocol, upper.offset), expected, "{length} bytes by its header");
        }
        // Of a fragment header four are needed: they tell whether something can follow.
        let fragment = packet(&[(FRAGMENT, &[0; 7])], TCP, 0);
        for (length, expected) in [(42, (FRAGMENT, 40)), (43, (FRAGMENT, 40)), (44, (TCP, 44))] {
            let upper = Ipv6::new(&fragment[..length]).unwrap().upper();
            assert_eq!((upper.protocol, upper.offset), expected, "{length} bytes of a fragment");
        }
    }

    #[test]
    fn fields() {
        let mut bytes = packet(&[], TCP, 4);
        bytes[..8].copy_from_slice(&[0x6b, 0x81, 2, 3, 0, 4, TCP, 64]);
        let (a, b) = ("2001:db8::1".parse().unwrap(), "fe80::2".parse().unwrap());
        let mut view = Ipv6::new(&mut bytes[..]).unwrap();
        view.set_source(a);
        view.set_destination(b);
        view.set_hop_limit(63);
        assert_eq!((view.total_length(), view.payload_length()), (44, 4));
        assert_eq!(
            (view.traffic_class(), view.flow_label(), view.next_header()),
            (0xb8, 0x1_0203, TCP)
        );
        assert_eq!((view.source(), view.destination()), (a, b));
        let theirs = etherparse::Ipv6HeaderSlice::from_slice(&bytes).unwrap();
        assert_eq!((theirs.source_addr(), theirs.destination_addr()), (a, b));
        assert_eq!((theirs.traffic_class(), theirs.hop_limit()), (0xb8, 63));
    }

    #[test]
    fn refuses_what_is_no_header() {
        for (bytes, why) in [
            (vec![], Malformed::Truncated),
            (vec![0x60; 39], Malformed::Truncated),
            (vec![0x45; 40], Malformed::BadHeader),
        ] {
            assert_eq!(Ipv6::new(&bytes).err(), Some(why), "{bytes:?}");
        }
    }
}
