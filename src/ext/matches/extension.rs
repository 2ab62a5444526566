//! The extension header that a match looks into, found as the kernel's matches find it: they step from header to header by the lengths that
//! those say, and two bytes of each (four of a routing or fragment header) are all that has to be there.

use crate::base::{Family, protocol};
use crate::packet::Packet;
use crate::rule::Matched;
use crate::wire::ipv6::{self, extension};

/// Why a match of an extension header does not match.
#[derive(Debug)]
pub(super) enum Miss<T> {
    /// There is no such header, or none before the data of a later fragment.
    Absent,
    /// It ends before it should, or a header before it does.
    CutShort,
    /// The header has something else than what was asked for.
    Has(T),
}

/// From the first header of this number on to the packet's end, at least as many bytes as `fixed` and as many as the header itself says.
pub(super) fn whole<T>(packet: &Packet, number: u8, fixed: usize) -> Result<&[u8], Miss<T>> {
    let found = from(packet, number)?;
    if found.len() < fixed || found.len() < length(number, found).ok_or(Miss::CutShort)? {
        return Err(Miss::CutShort);
    }
    Ok(found)
}

/// The same, however much of it there is.
pub(super) fn from<T>(packet: &Packet, number: u8) -> Result<&[u8], Miss<T>> {
    if packet.family() != Family::V6 {
        return Err(Miss::Absent);
    }
    let bytes = packet.bytes();
    let mut next = bytes.get(NEXT_HEADER).copied().ok_or(Miss::CutShort)?;
    let mut at = ipv6::HEADER;
    loop {
        if !is_walked_over(next) {
            return Err(Miss::Absent);
        }
        let header = bytes.get(at..).unwrap_or_default();
        let length = length(next, header).ok_or(Miss::CutShort)?;
        // It is looked at for how many segments are left, whoever asks.
        if next == extension::ROUTING && header.len() < 4 {
            return Err(Miss::CutShort);
        }
        if next == number {
            return Ok(header);
        }
        if next == extension::FRAGMENT {
            let &[_, _, high, low] = header.first_chunk().ok_or(Miss::CutShort)?;
            if u16::from_be_bytes([high, low]) & OFFSET != 0 {
                return Err(Miss::Absent);
            }
        }
        next = header[0];
        at += length;
    }
}

/// How long a header of this number says that it is, in bytes.
pub(super) fn length(number: u8, header: &[u8]) -> Option<usize> {
    let &[_, said] = header.first_chunk()?;
    Some(match number {
        extension::FRAGMENT => 8,
        protocol::AH => (usize::from(said) + 2) * 4,
        _ => (usize::from(said) + 1) * 8,
    })
}

/// Behind the others (ESP among them) nothing can be found.
fn is_walked_over(number: u8) -> bool {
    matches!(
        number,
        extension::HOP_BY_HOP | extension::ROUTING | extension::FRAGMENT | extension::DESTINATION | protocol::AH
    )
}

const NEXT_HEADER: usize = 6;
const OFFSET: u16 = !7;

impl<T> From<Result<(), Miss<T>>> for Matched {
    fn from(checked: Result<(), Miss<T>>) -> Self {
        match checked {
            Ok(()) => Self::Yes,
            Err(Miss::CutShort) => Self::Malformed,
            Err(Miss::Absent | Miss::Has(_)) => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, P, read_match};
    use crate::ext::{MatchSpec, find_match};

    /// Whatever a header looks like: `extension/record.py` asked the kernel.
    #[test]
    fn matches_are_the_kernels() {
        let bench = Bench::new();
        let mut packets: Vec<(&str, Packet)> = Vec::new();
        let mut rules = 0;
        for line in include_str!("extension/kernel.txt").lines() {
            let (kind, rest) = line.split_once(' ').unwrap();
            let (first, rest) = rest.split_once(' ').unwrap();
            match kind {
                "packet" => packets.push((first, Packet::parse(bytes(rest)).unwrap())),
                "rule" => {
                    rules += 1;
                    let (before, match_and_options) = rest.split_at(rest.find("-m ").unwrap());
                    let (name, typed) = match_and_options[3..]
                        .split_once(' ')
                        .unwrap_or((&match_and_options[3..], ""));
                    let Some(spec) = find_match(name, Family::V6) else {
                        continue;
                    };
                    asked(&bench, &packets, spec, (P::of(before.trim_end()), typed), first);
                }
                _ => assert_eq!(kind, "#"),
            }
        }
        assert!(
            packets.len() > 120 && rules > 200,
            "{} packets, {rules} rules",
            packets.len()
        );
    }

    fn asked(
        bench: &Bench,
        packets: &[(&str, Packet)],
        spec: &'static MatchSpec,
        (p, typed): (P, &str),
        answers: &str,
    ) {
        let made = read_match(spec, p, typed).unwrap_or_else(|why| panic!("{typed}: {why}"));
        assert_eq!(answers.len(), packets.len());
        for ((name, packet), answer) in packets.iter().zip(answers.chars()) {
            // What a rule makes of the chain of headers before its matches are asked is none of theirs.
            if p.0 != 0 && packet.protocol() != p.0 {
                assert_ne!(answer, 'y', "-m {} {typed} < {name}", spec.name);
                continue;
            }
            let (matched, why) = bench.ask(made.as_ref(), packet);
            let found = match matched {
                Matched::Yes => 'y',
                Matched::No => '.',
                Matched::Malformed | Matched::Dropped => 'd',
            };
            assert_eq!(found, answer, "-m {} {typed} < {name}: {why}", spec.name);
            assert_eq!(
                why.is_empty(),
                answer == 'y',
                "-m {} {typed} < {name}: {why}",
                spec.name
            );
        }
    }

    fn bytes(digits: &str) -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}
