//! A list in pieces: what comes into the middle moves its piece only, not all that follows. Few routes are one piece, and looked through as one.

use std::ops::Range;

#[derive(Clone, Debug)]
pub(super) struct Pieces<T> {
    /// None is empty.
    pieces: Vec<Vec<T>>,
    /// The position of each piece's first, and behind all the length.
    starts: Vec<usize>,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            starts: vec![0],
        }
    }
}

impl<T> Pieces<T> {
    pub(super) fn len(&self) -> usize {
        self.starts[self.pieces.len()]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// Of the positions of a range, those that are in its first piece; and the rest of the range.
    #[inline]
    pub(super) fn first_of(&self, range: Range<usize>) -> (&[T], Range<usize>) {
        if range.is_empty() {
            return (&[], range);
        }
        let piece = self.piece_of(range.start);
        let (start, end) = (self.starts[piece], range.end.min(self.starts[piece + 1]));
        (&self.pieces[piece][range.start - start..end - start], end..range.end)
    }

    /// All of a range, piece by piece.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &T> {
        let mut rest = range;
        std::iter::from_fn(move || {
            let (first, behind) = self.first_of(rest.clone());
            rest = behind;
            (!first.is_empty()).then_some(first)
        })
        .flatten()
    }

    /// Where in a range the first is of which this is not true; it is true of all before, and of none behind.
    #[inline]
    pub(super) fn partition_point(&self, range: Range<usize>, mut is_before: impl FnMut(&T) -> bool) -> usize {
        if range.is_empty() {
            return range.start;
        }
        let (first, last) = (self.piece_of(range.start), self.piece_of(range.end - 1));
        let behind = &self.pieces[first + 1..=last];
        let piece = first + behind.partition_point(|piece| is_before(&piece[0]));
        let start = self.starts[piece];
        let within = range.start.max(start) - start..range.end.min(self.starts[piece + 1]) - start;
        start + within.start + self.pieces[piece][within].partition_point(is_before)
    }

    pub(super) fn insert(&mut self, at: usize, item: T) {
        if self.pieces.is_empty() {
            self.pieces.push(vec![item]);
            self.starts = vec![0, 1];
            return;
        }
        // What comes between two pieces goes to the end of the first.
        let piece = self.piece_of(at.saturating_sub(1));
        let items = &mut self.pieces[piece];
        items.insert(at - self.starts[piece], item);
        self.starts[piece + 1..].iter_mut().for_each(|start| *start += 1);
        if items.len() > LONGEST {
            // What comes in its order comes to the end of a piece, and more comes behind it: then the piece stays full.
            let comes_last = at == self.starts[piece] + LONGEST;
            let keeps = if comes_last { LONGEST } else { LONGEST / 2 };
            let behind = items.split_off(keeps);
            self.starts.insert(piece + 1, self.starts[piece] + keeps);
            self.pieces.insert(piece + 1, behind);
        }
    }

    pub(super) fn remove(&mut self, at: usize) -> T {
        let piece = self.piece_of(at);
        let items = &mut self.pieces[piece];
        let item = items.remove(at - self.starts[piece]);
        self.starts[piece + 1..].iter_mut().for_each(|start| *start -= 1);
        if items.is_empty() {
            self.pieces.remove(piece);
            self.starts.remove(piece);
        }
        item
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut T {
        let piece = self.piece_of(at);
        &mut self.pieces[piece][at - self.starts[piece]]
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        self.pieces.iter_mut().for_each(|piece| piece.retain_mut(&mut keep));
        self.pieces.retain(|piece| !piece.is_empty());
        self.starts.clear();
        self.starts.push(0);
        let mut length = 0;
        self.starts.extend(self.pieces.iter().map(|piece| {
            length += piece.len();
            length
        }));
    }

    /// Of a position that is there.
    #[inline]
    fn piece_of(&self, at: usize) -> usize {
        match self.pieces.len() {
            1 => 0,
            _ => self.starts.partition_point(|start| *start <= at) - 1,
        }
    }
}

/// Items of a piece. With many pieces it is their starts that have to move, so neither can be small.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    #[test]
    fn pieces_are_as_good_as_one_list() {
        let mut random = Random::new(3);
        let mut draw = |length: usize| (random.next_u64() >> 20) as usize % length.max(1);
        let (mut pieces, mut list) = (Pieces::default(), Vec::<u32>::new());
        let mut most = 0;
        for step in 0..30_000 {
            let number = draw(5_000) as u32;
            match (draw(20), step % 10_000) {
                (0, 9_000..) => {
                    pieces.retain(|it| *it % 7 != number % 7);
                    list.retain(|it| *it % 7 != number % 7);
                }
                (0..12, 7_000..) if !list.is_empty() => {
                    let at = draw(list.len());
                    assert_eq!(pieces.remove(at), list.remove(at));
                }
                _ => {
                    let at = pieces.partition_point(0..pieces.len(), |it| *it <= number);
                    assert_eq!(at, list.partition_point(|it| *it <= number));
                    pieces.insert(at, number);
                    list.insert(at, number);
                }
            }
            most = most.max(list.len());
            assert_eq!(pieces.len(), list.len());
            let start = draw(list.len() + 1);
            let range = start..start + draw(list.len() + 1 - start);
            assert_eq!(
                pieces.partition_point(range.clone(), |it| *it < number),
                range.start + list[range.clone()].partition_point(|it| *it < number)
            );
            if step % 100 == 0 {
                assert!(pieces.iter().eq(&list));
                assert!(pieces.range(range.clone()).eq(&list[range]));
            }
            if !list.is_empty() {
                let at = draw(list.len());
                assert_eq!(*pieces.get_mut(at), list[at]);
            }
        }
        assert!(most > 10 * LONGEST, "{most}");
    }
}
