//! Packets as devices with offload hand them over: with a checksum that is only begun, or standing for many. What is left to do of one its bytes
//! decide, so a scenario that shrinks keeps the form of each of its packets.

use nflab::packet::{ChecksumState, Offload, finish};

use super::freedom::{checksum_place, sum};
use super::layout::{IPV6, TCP, UDP, is_ipv6, piece, pseudo_header, total_length, upper};

/// The packet as a card would hand it over, and what is left to do of it. A packet that no card could have (in pieces, cut short, with a wrong
/// checksum or none), and one of four others, is handed over as it is.
pub(crate) fn handed_over(bytes: &[u8]) -> (Vec<u8>, Offload) {
    let mut bytes = bytes.to_vec();
    let draws = hash(&bytes);
    let Some(Summed {
        protocol,
        start,
        at,
        data,
    }) = Summed::of(&bytes).filter(|_| draws & 3 != 0)
    else {
        return (bytes, Offload::default());
    };
    let begun = sum(&pseudo_header(&bytes, protocol, bytes.len() - start));
    bytes[at..at + 2].copy_from_slice(&begun.to_be_bytes());
    // Seen: what a helper makes so short that it fits into one segment the kernel loses, and nflab does not. So there are at least two to lose.
    let sizes = LEAST.max(data.div_ceil(MOST_DATAGRAMS))..data / 2 + 1;
    let segment_size = match draws & 4 == 0 && !sizes.is_empty() {
        true => sizes.start + (draws >> 8) as usize % sizes.len(),
        false => 0,
    };
    let offload = Offload {
        checksum: ChecksumState::Partial,
        segment_size: segment_size as u16,
        ecn: false,
    };
    (bytes, offload)
}

/// What left, in the one form in which the two sides are compared: whole and finished, under the interface and the size of the segments that it
/// stands for.
pub(crate) fn as_it_left(interface: String, mut bytes: Vec<u8>, offload: Offload) -> (String, Vec<u8>) {
    if offload.checksum == ChecksumState::Partial {
        finish(&mut bytes);
    }
    // Two ways to write nothing. Who finishes writes the one, and who sums up in the first place, of TCP, the other.
    if let Some(Summed { at, .. }) = Summed::of(&bytes).filter(|it| it.protocol == TCP)
        && bytes[at..at + 2] == [0xff, 0xff]
    {
        bytes[at..at + 2].fill(0);
    }
    match offload.segment_size {
        0 => (interface, bytes),
        size => (format!("{interface}/{size}"), bytes),
    }
}

/// A whole segment or datagram, its length and its checksum right: where that stands, and how much data there is.
struct Summed {
    protocol: u8,
    start: usize,
    at: usize,
    data: usize,
}

impl Summed {
    fn of(bytes: &[u8]) -> Option<Self> {
        let at = checksum_place(bytes)?;
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let upper = upper(bytes, 0)?;
        let (protocol, start) = (upper.protocol, upper.at);
        // The first piece of several is one of several, too.
        let is_whole = total_length(bytes, 0) == Some(bytes.len()) && piece(bytes).is_none();
        let headers = match protocol {
            TCP => usize::from(bytes[start + 12] >> 4) * 4,
            UDP => 8,
            _ => return None,
        };
        let fits = match protocol {
            TCP => headers >= 20 && start + headers <= bytes.len(),
            _ => usize::from(word(start + 4)) == bytes.len() - start && word(at) != 0,
        };
        // No card has been seen to look behind other headers.
        let is_plain = !is_ipv6(bytes, 0) || start == IPV6;
        let is_right =
            || sum(&[&pseudo_header(bytes, protocol, bytes.len() - start), &bytes[start..]].concat()) == 0xffff;
        (is_whole && fits && is_plain && is_right()).then(|| Self {
            protocol,
            start,
            at,
            data: bytes.len() - start - headers,
        })
    }
}

/// FNV-1a: the same with any compiler, for kept cases.
fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix);
    hash ^ hash >> 32
}

/// The kernel takes no smaller segments of TCP.
const LEAST: usize = 8;
/// Nor more datagrams at once.
const MOST_DATAGRAMS: usize = 128;

#[cfg(test)]
mod tests {
    use nflab::packet::cut;

    use super::*;
    use crate::instrument::scenario::{Event, Scenario};

    fn packet(sentence: &str) -> Vec<u8> {
        let scenario = Scenario::from_text("test", &format!("send lan {sentence}\n")).unwrap();
        match scenario.events.into_iter().next() {
            Some(Event::Packet { bytes, .. }) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn plain(port: u16, protocol: &str, more: &str) -> Vec<u8> {
        packet(&format!("{protocol} 10.0.0.2:{port} > 192.0.2.9:80 {more}"))
    }

    #[test]
    fn what_is_handed_over_is_finished_to_what_it_was() {
        let (mut done, mut begun, mut many) = (0, 0, 0);
        for port in 1..400 {
            for bytes in [
                plain(port, "tcp", "PA data \"some more than so much of it\""),
                plain(port, "udp", "data \"some more than so much of it\""),
            ] {
                let (handed, offload) = handed_over(&bytes);
                let (interface, left) = as_it_left("wan".to_owned(), handed.clone(), offload);
                assert_eq!(left, as_it_left("wan".to_owned(), bytes.clone(), Offload::default()).1);
                match offload.segment_size {
                    0 if offload.is_done() => done += 1,
                    0 => begun += 1,
                    size => {
                        assert_eq!(interface, format!("wan/{size}"));
                        let mut pieces = 0;
                        cut(&handed, size, &mut Vec::new(), &mut |_| pieces += 1);
                        assert!(pieces >= 2, "{size}");
                        many += 1;
                        continue;
                    }
                }
                assert_eq!(interface, "wan");
            }
        }
        assert!(done > 100 && begun > 100 && many > 100, "{done} {begun} {many}");
    }

    #[test]
    fn what_no_card_could_have_is_handed_over_as_it_is() {
        for port in 1..50 {
            let whole = plain(port, "tcp", "A data \"abcdefghijkl\"");
            let mut wrong = whole.clone();
            wrong[36] ^= 1;
            let mut piece = whole.clone();
            piece[6] = 0x20;
            let longer = [&whole[..], &[0; 4]].concat();
            let mut unsummed = plain(port, "udp", "data \"abcdefghijkl\"");
            unsummed[26..28].fill(0);
            let echo = packet("icmp 10.0.0.2 > 192.0.2.9 echo-request");
            for bytes in [wrong, piece, longer, unsummed, whole[..30].to_vec(), echo] {
                assert_eq!(handed_over(&bytes), (bytes, Offload::default()));
            }
        }
    }

    /// A sum of nothing is written in two ways.
    #[test]
    fn sums_of_nothing_are_the_same_of_tcp_alone() {
        for (protocol, at, is_same) in [("tcp", 36, true), ("udp", 26, false)] {
            let mut bytes = plain(7, protocol, "data \"ab\"");
            let end = bytes.len();
            let rest = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            let data = u16::from_be_bytes([bytes[end - 2], bytes[end - 1]]);
            // What was the checksum goes into the data.
            let folded = u32::from(data) + u32::from(rest);
            let folded = (folded & 0xffff) + (folded >> 16);
            bytes[end - 2..].copy_from_slice(&(folded as u16).to_be_bytes());
            let mut forms = [[0, 0], [0xff, 0xff]].map(|written| {
                bytes[at..at + 2].copy_from_slice(&written);
                as_it_left("wan".to_owned(), bytes.clone(), Offload::default())
            });
            assert_eq!(forms[0] == forms[1], is_same, "{protocol}");
            forms[1].1[at] ^= 1;
            assert_ne!(forms[0], forms[1]);
        }
    }
}
