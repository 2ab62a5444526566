//! What is written down of a packet's long way as it goes it, so that the next one alike need not.

use smallvec::SmallVec;

use super::super::bound::BoundRule;
use super::super::counting::{Counter, Tally};
use super::super::observer::LastWord;
use crate::nat::Manip;
use crate::packet::PlainKey;
use crate::rule::Table;

/// What the walk and the stages say of the packet at hand. Most packets nobody takes notes of.
#[derive(Debug)]
pub(in crate::engine) struct Notes {
    taken: Option<Noted>,
    /// For the next ones to be taken: of a packet that has no short way they come to nothing each time, and must cost no memory.
    spare: Vec<Tally>,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            taken: None,
            spare: Vec::with_capacity(16),
        }
    }
}

/// A way, as far as it was nothing but what the next packet alike will meet too.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) key: PlainKey,
    /// The rules and policies that counted it, in order.
    pub(super) counted: Vec<Tally>,
    /// How many of them stand before tracking.
    pub(super) before_tracking: Option<usize>,
    /// The ends that NAT rewrote.
    pub(super) rewritten: SmallVec<[Manip; 4]>,
    pub(super) filter: Option<LastWord>,
}

/// More rules than that count few packets, and each is counted one by one.
const MOST_COUNTED: usize = 64;

impl Notes {
    pub(super) fn begin(&mut self, key: PlainKey) {
        self.taken = Some(Noted {
            key,
            counted: std::mem::take(&mut self.spare),
            before_tracking: None,
            rewritten: SmallVec::new(),
            filter: None,
        });
    }

    pub(super) fn take(&mut self) -> Option<Noted> {
        match &self.taken {
            Some(noted) if noted.before_tracking.is_some() => self.taken.take(),
            _ => {
                self.stop();
                None
            }
        }
    }

    /// Whether notes are taken of the packet at hand.
    #[inline]
    pub(in crate::engine) fn are_taken(&self) -> bool {
        self.taken.is_some()
    }

    /// Something was met that the next packet alike may find otherwise, or that must be done for each.
    #[inline]
    pub(in crate::engine) fn stop(&mut self) {
        if self.taken.is_some() {
            self.throw_away();
        }
    }

    #[cold]
    fn throw_away(&mut self) {
        if let Some(Noted { mut counted, .. }) = self.taken.take() {
            counted.clear();
            self.spare = counted;
        }
    }

    /// A rule's matches are asked.
    #[inline]
    pub(in crate::engine) fn asks(&mut self, rule: &BoundRule) {
        if self.taken.is_some() && !rule.traits.is_plain {
            self.throw_away();
        }
    }

    /// A rule or a policy of this table counts it.
    #[inline]
    pub(in crate::engine) fn counts(&mut self, counter: &Counter, worker: usize, table: Table, word: LastWord) {
        if self.taken.is_some() {
            self.write_down(counter, worker, table, word);
        }
    }

    #[cold]
    fn write_down(&mut self, counter: &Counter, worker: usize, table: Table, word: LastWord) {
        match &mut self.taken {
            Some(noted) if noted.counted.len() < MOST_COUNTED => {
                noted.counted.push(counter.tally(worker));
                if table == Table::Filter {
                    noted.filter = Some(word);
                }
            }
            _ => self.throw_away(),
        }
    }

    /// Tracking found its flow, and nothing else is to be said of it.
    pub(in crate::engine) fn is_known(&mut self) {
        if let Some(noted) = &mut self.taken {
            noted.before_tracking = Some(noted.counted.len());
        }
    }

    /// NAT rewrote it.
    pub(in crate::engine) fn is_rewritten(&mut self, manip: Manip) {
        if let Some(noted) = &mut self.taken {
            noted.rewritten.push(manip);
        }
    }
}
