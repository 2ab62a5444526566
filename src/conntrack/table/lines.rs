//! Where flows are looked for by a hash: lines of the processor's cache with five places each, and nothing beside them. One that is full lets what
//! follows pass to the next, and counts what has passed, so that a look-up ends where nothing has, a place that is left needs no mark, and nothing
//! moves but when there are more lines. The first few of all have no line, most of which would be empty.
//!
//! The counts of passers-by are those of F14 (Bronson and Shi, "Open-sourcing F14 for faster, more memory-efficient hash tables", 2019).

use std::sync::Arc;

use crate::conntrack::Flow;

/// In one line.
const PLACES: usize = 5;

/// A few flows, the hashes under which they are looked for, and a bit for each that says how.
#[repr(align(64))]
#[derive(Default)]
struct Line {
    flows: [Option<Arc<Flow>>; PLACES],
    hashes: [u32; PLACES],
    /// How many that belong here stand further on. Once it is at its end nobody knows, and it stays there.
    passed: u16,
    bits: u8,
}

impl Line {
    fn bit(&self, place: usize) -> bool {
        self.bits & (1 << place) != 0
    }

    #[inline]
    fn find(&self, hash: u32, mut is_meant: impl FnMut(&Arc<Flow>, bool) -> bool) -> Option<(usize, &Arc<Flow>)> {
        (0..PLACES).find_map(|place| {
            // The place of one that is gone keeps its hash.
            let flow = (self.hashes[place] == hash).then_some(self.flows[place].as_ref())??;
            is_meant(flow, self.bit(place)).then_some((place, flow))
        })
    }

    fn free_place(&self) -> Option<usize> {
        self.flows.iter().position(Option::is_none)
    }

    fn put(&mut self, place: usize, hash: u32, bit: bool, flow: Arc<Flow>) {
        self.flows[place] = Some(flow);
        self.hashes[place] = hash;
        self.bits = (self.bits & !(1 << place)) | (u8::from(bit) << place);
    }
}

/// A flow that is in no line.
struct Single {
    hash: u32,
    bit: bool,
    flow: Arc<Flow>,
}

/// So many flows are looked through one by one: the next makes a line.
const FEW: usize = 3;

/// Flows by hashes that anybody may have more than one of, each with a bit.
#[derive(Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// All of them, as long as there is no line.
    few: Vec<Single>,
    len: usize,
    /// How often all have moved: who looks at a part at a time begins again then.
    moves: u64,
}

/// The line at which a look-up begins, of so many.
#[inline]
pub(super) fn line_of(hash: u32, lines: usize) -> usize {
    ((u64::from(hash) * lines as u64) >> 32) as usize
}

impl Lines {
    /// Bytes of a line.
    pub(super) const LINE: usize = size_of::<Line>();

    /// How many flows.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many lines; where there is none yet, the few stand for one.
    pub(super) fn count(&self) -> usize {
        self.lines.len().max(usize::from(!self.few.is_empty()))
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// What stands in a line.
    pub(super) fn line(&self, number: usize) -> impl Iterator<Item = (&Arc<Flow>, bool)> {
        let in_line = self.lines.get(number).into_iter().flat_map(|line| {
            let places = line.flows.iter().enumerate();
            places.filter_map(|(place, flow)| Some((flow.as_ref()?, line.bit(place))))
        });
        in_line.chain(self.few.iter().map(|it| (&it.flow, it.bit)))
    }

    /// The line at which a look-up begins.
    #[inline]
    pub(super) fn home(&self, hash: u32) -> usize {
        line_of(hash, self.lines.len())
    }

    /// The address of the first line, and how many there are.
    #[inline]
    pub(super) fn whereabouts(&self) -> (usize, usize) {
        (self.lines.as_ptr().addr(), self.lines.len())
    }

    fn next(&self, line: usize) -> usize {
        match line + 1 {
            next if next == self.lines.len() => 0,
            next => next,
        }
    }

    /// The first one with this hash that is meant, and its bit.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_meant: impl FnMut(&Arc<Flow>, bool) -> bool) -> Option<(&Arc<Flow>, bool)> {
        if self.lines.is_empty() {
            let single = &self.few[self.place_among_few(hash, is_meant)?];
            return Some((&single.flow, single.bit));
        }
        let (line, place) = self.place_of(hash, is_meant)?;
        let line = &self.lines[line];
        Some((line.flows[place].as_ref()?, line.bit(place)))
    }

    fn place_among_few(&self, hash: u32, mut is_meant: impl FnMut(&Arc<Flow>, bool) -> bool) -> Option<usize> {
        self.few
            .iter()
            .position(|it| it.hash == hash && is_meant(&it.flow, it.bit))
    }

    #[inline]
    fn place_of(&self, hash: u32, mut is_meant: impl FnMut(&Arc<Flow>, bool) -> bool) -> Option<(usize, usize)> {
        let mut number = self.home(hash);
        for _ in 0..self.lines.len() {
            let line = &self.lines[number];
            if let Some((place, _)) = line.find(hash, &mut is_meant) {
                return Some((number, place));
            }
            if line.passed == 0 {
                return None;
            }
            number = self.next(number);
        }
        None
    }

    /// One more, be there others with this hash or not.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32, bit: bool, flow: Arc<Flow>) {
        if self.lines.is_empty() && self.few.len() < FEW {
            self.len += 1;
            self.few.reserve_exact(1);
            return self.few.push(Single { hash, bit, flow });
        }
        // Seven of eight places at most are taken.
        if (self.len + 1) * 8 > self.lines.len() * PLACES * 7 {
            self.grow();
        }
        self.len += 1;
        self.put(hash, bit, flow);
    }

    fn put(&mut self, hash: u32, bit: bool, flow: Arc<Flow>) {
        let mut number = self.home(hash);
        loop {
            let line = &mut self.lines[number];
            if let Some(place) = line.free_place() {
                return line.put(place, hash, bit, flow);
            }
            line.passed = line.passed.saturating_add(1);
            number = self.next(number);
        }
    }

    /// By half, and one.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let more = self.lines.len() + self.lines.len() / 2 + 1;
        let mut lines = Vec::new();
        lines.reserve_exact(more);
        lines.resize_with(more, Line::default);
        let before = std::mem::replace(&mut self.lines, lines);
        self.moves += 1;
        for Single { hash, bit, flow } in std::mem::take(&mut self.few) {
            self.put(hash, bit, flow);
        }
        for mut line in before {
            for place in 0..PLACES {
                if let Some(flow) = line.flows[place].take() {
                    self.put(line.hashes[place], line.bit(place), flow);
                }
            }
        }
    }

    /// Takes out the first one with this hash that is meant.
    pub(super) fn remove(&mut self, hash: u32, is_meant: impl FnMut(&Arc<Flow>, bool) -> bool) -> Option<Arc<Flow>> {
        if self.lines.is_empty() {
            let at = self.place_among_few(hash, is_meant)?;
            self.len -= 1;
            // Whoever looks at a part at a time looks at all of them at once.
            return Some(self.few.remove(at).flow);
        }
        let (line, place) = self.place_of(hash, is_meant)?;
        let mut passed = self.home(hash);
        while passed != line {
            let count = &mut self.lines[passed].passed;
            if *count != u16::MAX {
                *count -= 1;
            }
            passed = self.next(passed);
        }
        self.len -= 1;
        self.lines[line].flows[place].take()
    }
}

#[cfg(test)]
mod tests;
