//! What a worker has for each of the results, until whoever writes them lays it between what the others have: by the packets' numbers.

use crate::base::Time;
use crate::device::Frame;

/// Bytes, cut where one packet's end.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<(u64, usize)>,
}

impl Pieces {
    /// More of a packet's, to be written behind what is there.
    pub(super) fn of(&mut self, number: u64) -> &mut Vec<u8> {
        if self.ends.last().is_none_or(|(last, _)| *last != number) {
            self.ends.push((number, self.bytes.len()));
        }
        &mut self.bytes
    }

    /// What stands between this packet's beginning and the next one's.
    fn piece(&self, at: usize) -> (u64, &[u8]) {
        let (number, start) = self.ends[at];
        let end = self.ends.get(at + 1).map_or(self.bytes.len(), |(_, start)| *start);
        (number, &self.bytes[start..end])
    }
}

/// Frames of a capture that is to be written.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Of each its name, its bytes and its comment.
    bytes: Vec<u8>,
    heads: Vec<Head>,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    number: u64,
    start: usize,
    name: usize,
    frame: usize,
    time: Time,
    link: u32,
    original_length: usize,
}

/// A frame as it is to be written.
pub(super) struct FrameOut<'a> {
    pub interface: &'a str,
    pub time: Time,
    pub frame: Frame<'a>,
    pub comment: &'a str,
}

impl Frames {
    pub(super) fn push(&mut self, number: u64, out: &FrameOut<'_>) {
        self.heads.push(Head {
            number,
            start: self.bytes.len(),
            name: out.interface.len(),
            frame: out.frame.bytes.len(),
            time: out.time,
            link: out.frame.link,
            original_length: out.frame.original_length,
        });
        for part in [out.interface.as_bytes(), out.frame.bytes, out.comment.as_bytes()] {
            self.bytes.extend_from_slice(part);
        }
    }

    fn frame(&self, at: usize) -> (u64, FrameOut<'_>) {
        let head = self.heads[at];
        let end = self.heads.get(at + 1).map_or(self.bytes.len(), |next| next.start);
        let (name, rest) = self.bytes[head.start..end].split_at(head.name);
        let (bytes, comment) = rest.split_at(head.frame);
        // Both were texts.
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        let out = FrameOut {
            interface: text(name),
            time: head.time,
            frame: Frame {
                link: head.link,
                bytes,
                original_length: head.original_length,
            },
            comment: text(comment),
        };
        (head.number, out)
    }
}

/// What a worker has for all results, of one stretch of the capture.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub out: Frames,
    pub annotated: Frames,
    pub json: Pieces,
    pub printed: Pieces,
}

impl Batch {
    /// Empties it, and keeps its room.
    pub(super) fn clear(&mut self) {
        for frames in [&mut self.out, &mut self.annotated] {
            frames.bytes.clear();
            frames.heads.clear();
        }
        for pieces in [&mut self.json, &mut self.printed] {
            pieces.bytes.clear();
            pieces.ends.clear();
        }
    }
}

/// Lays what all workers have of a stretch in one, by the packets' numbers.
pub(super) fn pieces<E>(all: &[&Pieces], mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    in_order(
        all,
        |lane| lane.ends.len(),
        |lane, at| lane.ends[at].0,
        |lane, at| write(lane.piece(at).1),
    )
}

/// The same of frames.
pub(super) fn frames<E>(all: &[&Frames], mut write: impl FnMut(&FrameOut<'_>) -> Result<(), E>) -> Result<(), E> {
    in_order(
        all,
        |lane| lane.heads.len(),
        |lane, at| lane.heads[at].number,
        |lane, at| write(&lane.frame(at).1),
    )
}

fn in_order<T, E>(
    all: &[&T],
    length: impl Fn(&T) -> usize,
    number: impl Fn(&T, usize) -> u64,
    mut write: impl FnMut(&T, usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut next = vec![0; all.len()];
    loop {
        let left = (0..all.len()).filter(|&lane| next[lane] < length(all[lane]));
        let Some(lane) = left.min_by_key(|&lane| number(all[lane], next[lane])) else {
            return Ok(());
        };
        write(all[lane], next[lane])?;
        next[lane] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_laid_in_one_by_number() {
        let (mut one, mut other) = (Pieces::default(), Pieces::default());
        for number in [1, 2, 5, 5, 9] {
            one.of(number).extend_from_slice(format!("<{number}>").as_bytes());
        }
        for number in [3, 4, 10] {
            other.of(number).extend_from_slice(format!("({number})").as_bytes());
        }
        let mut text = Vec::new();
        pieces(&[&one, &other, &Pieces::default()], |piece| {
            text.extend_from_slice(piece);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "<1><2>(3)(4)<5><5><9>(10)");
    }

    #[test]
    fn frames_come_back_as_they_were() {
        let (mut one, mut other) = (Frames::default(), Frames::default());
        let frame = |bytes| Frame {
            link: 101,
            bytes,
            original_length: 70,
        };
        let out = |bytes, comment| FrameOut {
            interface: "lan",
            time: Time::from_secs(7),
            frame: frame(bytes),
            comment,
        };
        other.push(2, &out(b"two", "second"));
        one.push(1, &out(b"one", ""));
        one.push(3, &out(b"", "third"));
        let mut seen = Vec::new();
        frames(&[&one, &other], |it| {
            assert_eq!(
                (it.interface, it.time, it.frame.original_length),
                ("lan", Time::from_secs(7), 70)
            );
            seen.push((it.frame.bytes.to_vec(), it.comment.to_owned()));
            Ok::<(), ()>(())
        })
        .unwrap();
        let expected = [("one", ""), ("two", "second"), ("", "third")];
        assert_eq!(
            seen,
            expected.map(|(bytes, comment)| (bytes.into(), comment.to_owned()))
        );
    }
}
