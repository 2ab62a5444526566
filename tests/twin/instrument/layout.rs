//! Where things stand in a packet of either family, found without nflab's own views.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands behind the headers of the network, in the first part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upper {
    pub protocol: u8,
    pub at: usize,
}

/// Which part of a packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub identification: u32,
    /// In units of eight bytes.
    pub offset: u16,
    /// Where it begins that belongs to the whole.
    pub at: usize,
    /// Offset and flags as they stand in the header.
    pub field: [u8; 2],
}

pub(crate) const IPV6: usize = 40;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
pub(crate) const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;

pub(crate) fn is_ipv6(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|first| first >> 4 == 6)
}

pub(crate) fn addresses(bytes: &[u8], at: usize) -> Option<(IpAddr, IpAddr)> {
    match bytes.get(at)? >> 4 {
        4 => {
            let address = |from: usize| <[u8; 4]>::try_from(bytes.get(at + from..at + from + 4)?).ok();
            Some((Ipv4Addr::from(address(12)?).into(), Ipv4Addr::from(address(16)?).into()))
        }
        6 => {
            let address = |from: usize| <[u8; 16]>::try_from(bytes.get(at + from..at + from + 16)?).ok();
            Some((Ipv6Addr::from(address(8)?).into(), Ipv6Addr::from(address(24)?).into()))
        }
        _ => None,
    }
}

/// The protocol that the headers name last, as far as they are there.
pub(crate) fn protocol(bytes: &[u8], at: usize) -> Option<u8> {
    match bytes.get(at)? >> 4 {
        4 => bytes.get(at + 9).copied(),
        6 => Some(chain(bytes, at)?.protocol),
        _ => None,
    }
}

/// The transport header of the packet at `at`, if this is its first part and the headers before it are whole.
pub(crate) fn upper(bytes: &[u8], at: usize) -> Option<Upper> {
    match bytes.get(at)? >> 4 {
        4 => {
            let end = at + usize::from(bytes[at] & 15) * 4;
            let is_first = word(bytes, at + 6)? & 0x1fff == 0;
            let protocol = *bytes.get(at + 9)?;
            (is_first && end >= at + 20 && bytes.len() >= end).then_some(Upper { protocol, at: end })
        }
        6 => {
            let chain = chain(bytes, at)?;
            let is_first = chain.piece.is_none_or(|piece| piece.offset == 0);
            (is_first && chain.is_whole).then_some(Upper {
                protocol: chain.protocol,
                at: chain.at,
            })
        }
        _ => None,
    }
}

/// Nothing where it is no fragment; in IPv6, where no header says that it might be.
pub(crate) fn piece(bytes: &[u8]) -> Option<Piece> {
    match bytes.first()? >> 4 {
        4 => {
            let at = usize::from(bytes[0] & 15) * 4;
            let field = word(bytes, 6)?;
            (field & 0x3fff != 0 && at >= 20 && bytes.len() > at).then(|| Piece {
                identification: u32::from(bytes[4]) << 8 | u32::from(bytes[5]),
                offset: field & 0x1fff,
                at,
                field: [bytes[6], bytes[7]],
            })
        }
        6 => chain(bytes, 0)?.piece,
        _ => None,
    }
}

/// The same, of a piece of a piece by the header that was written last, which stands first.
pub(crate) fn outer_piece(bytes: &[u8]) -> Option<Piece> {
    if !is_ipv6(bytes, 0) {
        return piece(bytes);
    }
    let mut first = None;
    walk(bytes, 0, |number, at| {
        if number == FRAGMENT {
            first.get_or_insert(at);
        }
    });
    fragment_header(bytes, first?)
}

/// Whether it is a piece of IPv6, by a header that stands behind others than options for every router.
pub(crate) fn is_cut_behind_headers(bytes: &[u8]) -> bool {
    let mut before = Vec::new();
    let is_ipv6 = is_ipv6(bytes, 0) && walk(bytes, 0, |number, _| before.push(number)).is_some();
    let piece = before.iter().position(|number| *number == FRAGMENT);
    is_ipv6 && piece.is_some_and(|at| before[..at].iter().any(|number| *number != HOP_BY_HOP))
}

fn fragment_header(bytes: &[u8], at: usize) -> Option<Piece> {
    let header = bytes.get(at..at + 8)?;
    Some(Piece {
        identification: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        offset: u16::from_be_bytes([header[2], header[3]]) >> 3,
        at: at + 8,
        field: [header[2], header[3]],
    })
}

/// How much of the packet at `at` there should be, by its own header.
pub(crate) fn total_length(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? >> 4 {
        4 => word(bytes, at + 2).map(usize::from),
        6 => word(bytes, at + 4).map(|length| IPV6 + usize::from(length)),
        _ => None,
    }
}

/// The sum is taken of this before a transport's own bytes; `length` of them are meant.
pub(crate) fn pseudo_header(bytes: &[u8], protocol: u8, length: usize) -> Vec<u8> {
    if is_ipv6(bytes, 0) {
        let mut pseudo = bytes[8..IPV6].to_vec();
        pseudo.extend((length as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, protocol]);
        return pseudo;
    }
    let mut pseudo = vec![0, protocol];
    pseudo.extend(&bytes[12..20]);
    pseudo.extend((length as u16).to_be_bytes());
    pseudo
}

struct Chain {
    protocol: u8,
    at: usize,
    piece: Option<Piece>,
    /// What was passed over was there.
    is_whole: bool,
}

/// The numbers of a packet's extension headers.
pub(crate) fn extension_headers(bytes: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    walk(bytes, 0, |number, _| numbers.push(number));
    numbers
}

/// The headers that the kernel tells a program of which asks for all: options hop by hop and of the destination, and routes. It goes along them as if
/// each had its length in its second byte, which that of a fragment has not.
pub(crate) fn told_headers(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut last = 0;
    walk(bytes, 0, |number, at| {
        if matches!(number, ROUTING | DESTINATION) {
            last = at;
        }
    });
    let mut told = Vec::new();
    let (mut number, mut at) = (bytes[6], IPV6);
    while let Some([next, length]) = bytes
        .get(at..at + 2)
        .filter(|_| at <= last || number == HOP_BY_HOP && at == IPV6)
    {
        let unit = if number == AUTHENTICATION { 4 } else { 8 };
        let end = at + 8 + usize::from(*length) * unit;
        if matches!(number, HOP_BY_HOP | ROUTING | DESTINATION) {
            told.push((number, bytes.get(at..end).unwrap_or_default().to_vec()));
        }
        (number, at) = (*next, end);
    }
    told
}

/// The extension headers one after another; behind a later fragment's there are none.
fn chain(bytes: &[u8], at: usize) -> Option<Chain> {
    walk(bytes, at, |_, _| ())
}

fn walk(bytes: &[u8], at: usize, mut seen: impl FnMut(u8, usize)) -> Option<Chain> {
    let mut chain = Chain {
        protocol: *bytes.get(at + 6)?,
        at: at + IPV6,
        piece: None,
        is_whole: bytes.len() >= at + IPV6,
    };
    loop {
        let header = bytes.get(chain.at..).unwrap_or_default();
        let length = match chain.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY if header.len() >= 2 => 8 + usize::from(header[1]) * 8,
            AUTHENTICATION if header.len() >= 2 => 8 + usize::from(header[1]) * 4,
            FRAGMENT if header.len() >= 8 => {
                chain.piece = fragment_header(bytes, chain.at);
                if chain.piece.as_ref().is_some_and(|piece| piece.offset != 0) {
                    seen(FRAGMENT, chain.at);
                    chain.protocol = header[0];
                    chain.at += 8;
                    return Some(chain);
                }
                8
            }
            _ => return Some(chain),
        };
        // Mobility is a transport to those who look for one.
        if chain.protocol == MOBILITY {
            return Some(chain);
        }
        seen(chain.protocol, chain.at);
        chain.protocol = header[0];
        chain.at += length;
        chain.is_whole &= bytes.len() >= chain.at;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_piece_has_two_headers() {
        let header = |next: u8, number: u8| [next, 0, 0, 1, 0, 0, 0, number];
        let packet = ipv6(FRAGMENT, &[header(FRAGMENT, 1), header(17, 2), [0; 8]].concat());
        let number = |piece: Option<Piece>| piece.map(|it| (it.identification, it.at));
        assert_eq!(number(piece(&packet)), Some((2, IPV6 + 16)));
        assert_eq!(number(outer_piece(&packet)), Some((1, IPV6 + 8)));
    }

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
        bytes.extend([0; 32]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn headers_of_ipv6_are_passed_over() {
        let options = [DESTINATION, 0, 1, 4, 0, 0, 0, 0];
        let first = [UDP, 0, 0, 1, 0, 0, 0, 9];
        let later = [UDP, 0, 0, 16, 0, 0, 0, 9];
        let udp = [0, 1, 0, 2, 0, 8, 0, 0];
        let upper_of = |bytes: &[u8]| upper(bytes, 0).map(|it| (it.protocol, it.at));
        assert_eq!(upper_of(&ipv6(UDP, &udp)), Some((UDP, 40)));
        let options_and = |next: u8, rest: &[&[u8]]| {
            let last = [next, 0, 1, 4, 0, 0, 0, 0];
            let parts = [options.as_slice(), &last].into_iter().chain(rest.iter().copied());
            ipv6(HOP_BY_HOP, &parts.collect::<Vec<_>>().concat())
        };
        assert_eq!(upper_of(&options_and(UDP, &[&udp])), Some((UDP, 56)));
        let whole = options_and(FRAGMENT, &[&first, &udp]);
        assert_eq!(upper_of(&whole), Some((UDP, 64)));
        let found = piece(&whole).unwrap();
        assert_eq!((found.identification, found.offset, found.at), (9, 0, 64));
        assert!(is_cut_behind_headers(&whole) && !is_cut_behind_headers(&ipv6(UDP, &udp)));
        let behind_hops = [[FRAGMENT, 0, 1, 4, 0, 0, 0, 0], first, udp].concat();
        assert!(
            !is_cut_behind_headers(&ipv6(HOP_BY_HOP, &behind_hops)),
            "that is read first"
        );
        let rest = options_and(FRAGMENT, &[&later, &udp]);
        assert_eq!((upper_of(&rest), piece(&rest).unwrap().offset), (None, 2));
        assert_eq!(protocol(&rest, 0), Some(UDP));
        assert_eq!(upper_of(&options_and(UDP, &[])[..50]), None, "cut short");
        assert_eq!(piece(&ipv6(UDP, &udp)), None);
    }
}
