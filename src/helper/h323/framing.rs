//! What the messages of a call stand in: TPKT (RFC 1006) and, for Q.931, the user-user element (ITU-T Q.931 4.5.30).

use std::ops::Range;

/// The messages of a segment, one after another.
pub(super) struct Frames {
    state: Next,
    /// As long is the message whose header came alone, in the segment before. 0: none did.
    announced: u16,
}

enum Next {
    /// At the segment's begin.
    First,
    At(usize),
    Done,
}

impl Frames {
    /// `announced` is what [`Self::announces`] said after the segment before this one, of its direction.
    pub(super) fn new(announced: u16) -> Self {
        Self {
            state: Next::First,
            announced,
        }
    }

    /// How long the message is that begins with the next segment, since only its header stood in this one.
    pub(super) fn announces(&self) -> u16 {
        self.announced
    }

    /// The place of the next message. What is not whole is not read, as in the kernel: nothing is put together.
    pub(super) fn next(&mut self, segment: &[u8]) -> Option<Range<usize>> {
        let start = match self.state {
            Next::Done => return None,
            Next::First => 0,
            Next::At(start) => start,
        };
        let is_first = matches!(self.state, Next::First);
        self.state = Next::Done;
        let announced = std::mem::take(&mut self.announced);
        let rest = segment.get(start..).unwrap_or_default();
        let Some((&[3, 0, high, low], body)) = rest.split_first_chunk::<HEADER>() else {
            // Seen: then it may be what a header before it was for.
            let length = usize::from(announced);
            let whole = 0..length;
            return (is_first && length > 0 && length <= segment.len()).then_some(whole);
        };
        if !is_first && body.is_empty() {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(HEADER)?;
        if length > body.len() {
            if is_first && body.is_empty() {
                self.announced = length as u16;
            }
            return None;
        }
        let message = start + HEADER..start + HEADER + length;
        self.state = Next::At(message.end);
        Some(message)
    }
}

/// Where in a message of Q.931 its user-user element's value stands, without the octet that says how it is coded.
pub(super) fn user_information(message: &[u8]) -> Option<Range<usize>> {
    let [PROTOCOL_DISCRIMINATOR, reference_length, ..] = *message else {
        return None;
    };
    // The call's reference, and the type of the message, which is not looked at.
    let mut at = 2 + usize::from(reference_length) + 1;
    // Seen: an element of one octet, with its first bit set, is one for the kernel only where no other stands before it.
    if *message.get(at)? & 0x80 != 0 {
        at += 1;
    }
    loop {
        let identifier = *message.get(at)?;
        at += 1;
        if identifier == USER_USER {
            let [high, low] = *message.get(at..)?.first_chunk()?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let value = at + 2 + 1..(at + 2 + length);
            return (length > 0 && value.end <= message.len()).then_some(value);
        }
        at += 1 + usize::from(*message.get(at)?);
    }
}

const HEADER: usize = 4;
const PROTOCOL_DISCRIMINATOR: u8 = 8;
const USER_USER: u8 = 0x7e;

#[cfg(test)]
mod tests {
    use super::*;

    /// Where messages stand in one segment after another.
    fn found(segments: &[&[u8]]) -> Vec<Vec<(usize, usize)>> {
        let mut announced = 0;
        let mut all = Vec::new();
        for segment in segments {
            let mut frames = Frames::new(announced);
            let places = std::iter::from_fn(|| frames.next(segment));
            all.push(places.map(|it| (it.start, it.end)).collect());
            announced = frames.announces();
        }
        all
    }

    #[test]
    fn only_whole_messages_are_found() {
        for (segments, expected) in [
            (&[&b"\x03\0\0\x06ab"[..]][..], &[&[(4, 6)][..]][..]),
            (&[b"\x03\0\0\x06ab\x03\0\0\x05c"], &[&[(4, 6), (10, 11)]]),
            (&[b"\x03\0\0\x06ab\x03\0\0"], &[&[(4, 6)]]),
            (&[b"\x03\0\0\x06ab\x03\0\0\x09c"], &[&[(4, 6)]]),
            // Nothing in it, and too short to be one.
            (&[b"\x03\0\0\x04\x03\0\0\x05c"], &[&[(4, 4), (8, 9)]]),
            (&[b"\x03\0\0\x03ab"], &[&[]]),
            (&[b"\x03\x01\0\x06ab"], &[&[]]),
            (&[b"\x03\0\0\x07ab"], &[&[]]),
            (&[b""], &[&[]]),
            // The header alone, and then what it is for, with something behind it, cut, or whole.
            (&[b"\x03\0\0\x06", b"ab"], &[&[], &[(0, 2)]]),
            (&[b"\x03\0\0\x06", b"abc"], &[&[], &[(0, 2)]]),
            (&[b"\x03\0\0\x06", b"a", b"ab"], &[&[], &[], &[]]),
            (&[b"\x03\0\0\x06", b"\x03\0\0\x05c"], &[&[], &[(4, 5)]]),
        ] {
            assert_eq!(found(segments), expected, "{segments:?}");
        }
    }

    #[test]
    fn the_user_user_element_is_found_behind_others() {
        for (message, expected) in [
            (&b"\x08\x02\0\x01\x05\x7e\0\x03\x05ab"[..], Some(9..11)),
            (b"\x08\0\x05\x7e\0\x03\x05ab", Some(7..9)),
            (b"\x08\x02\0\x01\x05\x04\x01\x7e\x7e\0\x03\x05ab", Some(12..14)),
            (b"\x08\x02\0\x01\x05\xa1\x7e\0\x03\x05ab", Some(10..12)),
            (b"\x08\x02\0\x01\x05\x04\0\xa1\x7e\0\x03\x05ab", None),
            (b"\x08\x02\0\x01\x05\x7e\0\x04\x05ab", None),
            (b"\x08\x02\0\x01\x05\x7e\0\0", None),
            (b"\x08\x02\0\x01\x05\x04\x09", None),
            (b"\x08\xff\0", None),
            (b"\x09\x02\0\x01\x05\x7e\0\x03\x05ab", None),
            (b"", None),
        ] {
            assert_eq!(user_information(message), expected, "{}", message.escape_ascii());
        }
    }
}
