//! What packets that came together will find in an index, looked up for a few of them before the first is carried: which rule decides of one is far in
//! memory, and where it counts is again elsewhere, so one by one each packet waits for its own.
//!
//! Where they will be asked for is taken to be where those before them were, and found otherwise by whoever is not as was thought.

use super::observer::Observer;
use super::outcome::Outcomes;
use super::pass::Pass;
use crate::base::Family;
use crate::classify::{ChainIndex, Foresight, Key};
use crate::rule::Table;

/// Of the packets at hand, on one worker.
#[derive(Debug)]
pub(super) struct Foreseen {
    /// The index that a packet came to last, and what that packet was beside its bytes.
    last: Option<(IndexPlace, u64)>,
    /// Of which index it is that something is foreseen.
    place: Option<IndexPlace>,
    /// How many came to one since there was last a look ahead.
    asked: usize,
    /// By the packets' order.
    of: [Option<Foresight>; MOST],
    /// Which of these the packet at hand is; [`NONE`] where nothing is foreseen.
    turn: usize,
}

/// Whose index. Good within one pass, where that is one chain: after a change another may be there, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexPlace {
    pub family: Family,
    pub table: Table,
    /// The chain's first step.
    pub start: u32,
}

/// What is no larger stays near the processor, and a look ahead would only cost: in sets of rules of which most are never met, 5 of 40 ns.
const NEAR: usize = 32 << 10;

/// Packets at once.
const MOST: usize = 16;
const NONE: usize = usize::MAX;

impl Default for Foreseen {
    fn default() -> Self {
        Self {
            last: None,
            place: None,
            asked: 0,
            of: [None; MOST],
            turn: NONE,
        }
    }
}

impl Foreseen {
    /// Of the packet at hand in this index.
    #[inline]
    pub(super) fn of(&self, place: IndexPlace) -> Option<&Foresight> {
        let foreseen = self.of.get(self.turn)?.as_ref()?;
        (self.place == Some(place)).then_some(foreseen)
    }

    /// A packet came to an index.
    #[inline]
    pub(super) fn note(&mut self, place: IndexPlace, key: &Key) {
        self.asked += 1;
        self.last = Some((place, key.manner()));
    }

    /// The packet at hand is that of this number.
    #[inline]
    pub(super) fn is_turn_of(&mut self, turn: usize) {
        if self.turn != NONE {
            self.turn = turn;
        }
    }

    /// Nothing is foreseen of what comes now.
    #[inline]
    pub(super) fn is_over(&mut self) {
        self.turn = NONE;
    }
}

impl<O: Observer> Pass<'_, O> {
    /// These packets come next. Where most of the last ones went by no index nothing is done.
    pub(super) fn foresee<'p>(&mut self, packets: impl ExactSizeIterator<Item = &'p [u8]>) {
        let foreseen = &mut self.worker.foreseen;
        foreseen.turn = NONE;
        let is_worth_it = 2 * std::mem::take(&mut foreseen.asked) > packets.len() && packets.len() > 1;
        let Some((place, manner)) = foreseen.last.filter(|_| is_worth_it) else {
            return;
        };
        let Some(live) = self.live.of(place.family).table(place.table) else {
            return;
        };
        let compiled = &live.compiled;
        let Some((index, start)) = compiled.index_at(place.start).filter(|(index, _)| index.bytes() > NEAR) else {
            return;
        };
        foreseen.place = Some(IndexPlace { start, ..place });
        let worker = self.worker.seat.index;
        foreseen.look(index, (packets, manner), (&compiled.outcomes, start, worker));
    }
}

impl Foreseen {
    fn look<'p>(
        &mut self,
        index: &ChainIndex,
        (packets, manner): (impl Iterator<Item = &'p [u8]>, u64),
        (outcomes, start, worker): (&Outcomes, u32, usize),
    ) {
        let count = index.foresee(packets, manner, &mut self.of);
        if count == 0 {
            return;
        }
        self.of[count..].fill(None);
        self.turn = 0;
        let firsts = self.of[..count].iter().flatten().map(Foresight::first);
        let counted = firsts
            .filter(|first| first.matches)
            .map(|first| outcomes.look(start + first.step, worker));
        std::hint::black_box(counted.fold(0, u64::wrapping_add));
    }
}
