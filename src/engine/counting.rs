//! Where packets are counted: places that a rule keeps through every replacement of its table, a cell for each worker.
//!
//! A counter belongs to its rule (to its `CountId`), not to the table that the rule stands in: the table that comes after counts at the same
//! place. So it does not matter which of the two a packet sees while one replaces the other, and there is nothing to be collected afterwards.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::base::sync::{AtomicU64, Ordering};
use crate::rule::Counters;

/// The place where one rule or policy is counted.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    /// A lane for each worker, and behind them that of what is not shown any more.
    block: Arc<[Line]>,
    /// Lines of a lane.
    lane: u32,
    slot: u32,
}

/// What one worker writes stands in no line with what another writes.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([Cell; CELLS_OF_A_LINE]);

#[derive(Debug, Default)]
struct Cell {
    packets: AtomicU64,
    bytes: AtomicU64,
}

const CELLS_OF_A_LINE: usize = 4;

impl Cell {
    /// Only one writes to a cell, so a load and a store serve.
    #[inline]
    fn add(&self, counters: Counters) {
        let sum = |cell: &AtomicU64, more: u64| {
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        sum(&self.packets, counters.packets);
        sum(&self.bytes, counters.bytes);
    }
}

impl Counter {
    /// Counts a packet of so many bytes. To be called by this worker alone.
    #[inline]
    pub(super) fn count(&self, worker: usize, bytes: usize) {
        self.cell(worker).add(Counters {
            packets: 1,
            bytes: bytes as u64,
        });
    }

    /// This worker's cell of it, for who counts there often.
    pub(super) fn tally(&self, worker: usize) -> Tally {
        let (line, cell) = self.place(worker);
        Tally {
            block: Arc::clone(&self.block),
            line: line as u32,
            cell: cell as u32,
        }
    }

    /// What all workers have counted, but for what is not shown any more.
    pub(super) fn sum(&self) -> Counters {
        let workers = self.workers();
        let hidden = self.cell(workers);
        // First, because what is hidden has been counted before.
        let (packets, bytes) = (
            hidden.packets.load(Ordering::Acquire),
            hidden.bytes.load(Ordering::Acquire),
        );
        let mut sum = Counters {
            packets: packets.wrapping_neg(),
            bytes: bytes.wrapping_neg(),
        };
        for worker in 0..workers {
            let cell = self.cell(worker);
            sum.packets = sum.packets.wrapping_add(cell.packets.load(Ordering::Relaxed));
            sum.bytes = sum.bytes.wrapping_add(cell.bytes.load(Ordering::Relaxed));
        }
        sum
    }

    /// Shows so much less from now on: what came since somebody read it stays. To be called by who replaces tables, one at a time.
    pub(super) fn hide(&self, seen: Counters) {
        let hidden = self.cell(self.workers());
        hidden.packets.fetch_add(seen.packets, Ordering::Release);
        hidden.bytes.fetch_add(seen.bytes, Ordering::Release);
    }

    fn workers(&self) -> usize {
        self.block.len() / self.lane as usize - 1
    }

    fn cell(&self, lane: usize) -> &Cell {
        let (line, cell) = self.place(lane);
        &self.block[line].0[cell]
    }

    fn place(&self, lane: usize) -> (usize, usize) {
        let slot = self.slot as usize;
        (
            lane * self.lane as usize + slot / CELLS_OF_A_LINE,
            slot % CELLS_OF_A_LINE,
        )
    }
}

/// Where one worker counts the packets of one rule or policy.
#[derive(Debug)]
pub(super) struct Tally {
    block: Arc<[Line]>,
    line: u32,
    cell: u32,
}

impl Tally {
    /// Counts a packet of so many bytes. To be called by this worker alone.
    #[inline]
    pub(super) fn count(&self, bytes: usize) {
        self.block[self.line as usize].0[self.cell as usize % CELLS_OF_A_LINE].add(Counters {
            packets: 1,
            bytes: bytes as u64,
        });
    }
}

/// A place in [`Blocks`]: the block's number, and behind it eight bits of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockPlace(u32);

impl BlockPlace {
    /// Nothing is counted there.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// The blocks in which the rules of a table are counted, by numbers: there are few, so they lie near, and a number is half of a [`Counter`]'s pointer.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Block>);

#[derive(Debug)]
struct Block {
    lines: Arc<[Line]>,
    lane: u32,
}

impl Blocks {
    /// Counts a packet of so many bytes. To be called by this worker alone.
    #[inline]
    pub(super) fn count(&self, place: BlockPlace, worker: usize, bytes: usize) {
        if let Some(cell) = self.cell(place, worker) {
            cell.add(Counters {
                packets: 1,
                bytes: bytes as u64,
            });
        }
    }

    /// Reads of a place, so that memory brings it.
    #[inline]
    pub(super) fn look(&self, place: BlockPlace, worker: usize) -> u64 {
        self.cell(place, worker)
            .map_or(0, |cell| cell.packets.load(Ordering::Relaxed))
    }

    #[inline]
    fn cell(&self, place: BlockPlace, worker: usize) -> Option<&Cell> {
        let slot = place.0 as usize % LARGEST_BLOCK;
        let block = self.0.get(place.0 as usize / LARGEST_BLOCK)?;
        let line = worker * block.lane as usize + slot / CELLS_OF_A_LINE;
        Some(&block.lines[line].0[slot % CELLS_OF_A_LINE])
    }
}

/// Blocks as they are found.
#[derive(Default)]
pub(super) struct Numbering {
    blocks: Blocks,
    /// The last one, since most rules are counted where the one before is.
    last: Option<(*const Line, u32)>,
    /// Of all, by where they lie. Rules that came one by one have a block each, and then an edit asks for each of them.
    numbers: HashTable<u32>,
}

/// Where a block lies is nobody's to choose, so this need not be kept from being foretold.
fn hash(lines: *const Line) -> u64 {
    let product = (lines.addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

impl Numbering {
    #[inline]
    pub(super) fn place(&mut self, counter: &Counter) -> BlockPlace {
        let lines = counter.block.as_ptr();
        let number = match self.last {
            Some((last, number)) if std::ptr::eq(last, lines) => number,
            _ => self.number(counter),
        };
        BlockPlace(number * LARGEST_BLOCK as u32 + counter.slot)
    }

    #[cold]
    fn number(&mut self, counter: &Counter) -> u32 {
        let lines = counter.block.as_ptr();
        let Self { blocks, numbers, .. } = self;
        let at = |number: &u32| blocks.0[*number as usize].lines.as_ptr();
        let number = match numbers.find(hash(lines), |number| std::ptr::eq(at(number), lines)) {
            Some(number) => *number,
            None => {
                let number = blocks.0.len() as u32;
                numbers.insert_unique(hash(lines), number, |number| hash(at(number)));
                blocks.0.push(Block {
                    lines: Arc::clone(&counter.block),
                    lane: counter.lane,
                });
                number
            }
        };
        self.last = Some((lines, number));
        number
    }

    pub(super) fn done(self) -> Blocks {
        self.blocks
    }
}

/// Gives places that nobody counts at yet, in blocks as large as are wanted.
pub(super) struct Places {
    workers: usize,
    /// How many are still to be given.
    wanted: usize,
    block: Arc<[Line]>,
    lane: u32,
    next: usize,
}

/// A block stays until the last rule that is counted there is gone, so it is not for very many.
const LARGEST_BLOCK: usize = 256;

impl Places {
    pub(super) fn new(workers: usize, wanted: usize) -> Self {
        Self {
            workers,
            wanted,
            block: Arc::from([]),
            lane: 0,
            next: 0,
        }
    }

    /// A place where this is counted already.
    pub(super) fn counting_from(&mut self, start: Counters) -> Counter {
        if self.next == self.lane as usize * CELLS_OF_A_LINE {
            let lane = self.wanted.clamp(1, LARGEST_BLOCK).div_ceil(CELLS_OF_A_LINE);
            self.block = (0..lane * (self.workers + 1)).map(|_| Line::default()).collect();
            self.lane = lane as u32;
            self.next = 0;
        }
        let counter = Counter {
            block: Arc::clone(&self.block),
            lane: self.lane,
            slot: self.next as u32,
        };
        self.next += 1;
        self.wanted = self.wanted.saturating_sub(1);
        counter.cell(self.workers).add(Counters {
            packets: start.packets.wrapping_neg(),
            bytes: start.bytes.wrapping_neg(),
        });
        counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn counters(packets: u64, bytes: u64) -> Counters {
        Counters { packets, bytes }
    }

    #[test]
    fn places_are_apart_and_begin_where_they_are_told_to() {
        let mut places = Places::new(2, 300);
        let all: Vec<Counter> = (0..600).map(|at| places.counting_from(counters(at, 10 * at))).collect();
        for (at, counter) in all.iter().enumerate() {
            counter.count(at % 2, at);
        }
        for (at, counter) in all.iter().enumerate() {
            let at = at as u64;
            assert_eq!(counter.sum(), counters(at + 1, 11 * at));
        }
    }

    /// Counters of several tables one among another, and one that is alone in its block.
    #[test]
    fn a_place_by_numbers_is_the_same_place() {
        let [mut large, mut small] = [Places::new(3, 600), Places::new(3, 1)];
        let mut all: Vec<Counter> = (0..600).map(|_| large.counting_from(counters(0, 0))).collect();
        all.insert(100, small.counting_from(counters(0, 0)));
        let mut numbering = Numbering::default();
        let places: Vec<BlockPlace> = all.iter().map(|counter| numbering.place(counter)).collect();
        let blocks = numbering.done();
        assert_eq!(blocks.0.len(), 4);
        for (at, place) in places.iter().enumerate() {
            blocks.count(*place, at % 3, at);
        }
        for (at, counter) in all.iter().enumerate() {
            assert_eq!(counter.sum(), counters(1, at as u64), "{at}");
        }
        blocks.count(BlockPlace::NONE, 0, 1);
    }

    #[test]
    fn what_was_seen_is_hidden_and_no_more() {
        let counter = Places::new(2, 1).counting_from(counters(5, 50));
        let seen = counter.sum();
        counter.count(0, 7);
        counter.count(1, 8);
        counter.hide(seen);
        assert_eq!(counter.sum(), counters(2, 15));
        assert_eq!(counter.clone().sum(), counters(2, 15));
    }
}
