//! What is written down of a packet's long way as it goes it, so that the next one alike need not.

use std::sync::Arc;

use smallvec::SmallVec;

use super::super::bound::{BoundRule, Plainness};
use super::super::counting::{Counter, Tally};
use super::super::observer::LastWord;
use crate::conntrack::Flow;
use crate::nat::Manip;
use crate::rule::Table;

/// What the walk and the stages say of the packet at hand. Most packets nobody takes notes of; what they are written on is kept for the next.
#[derive(Debug, Default)]
pub(in crate::engine) struct Notes {
    are_taken: bool,
    /// The mark of its flow was asked for, or set.
    pub(super) needs_mark: bool,
    /// What that was when tracking found the flow.
    pub(super) mark: u32,
    /// That of the packet then: what rules before tracking made of it.
    pub(super) packet_mark: u32,
    /// The rules and policies that counted it, in order.
    pub(super) counted: Vec<Tally>,
    /// How many of them stand before tracking; `None` until that has found its flow.
    pub(super) before_tracking: Option<usize>,
    /// The ends that NAT rewrote.
    pub(super) rewritten: SmallVec<[Manip; 4]>,
    pub(super) filter: Option<LastWord>,
}

/// More rules than that count few packets, and each is counted one by one.
const MOST_COUNTED: usize = 64;

impl Notes {
    /// So that no packet needs more.
    pub(super) fn make_room(&mut self) {
        self.counted.reserve(MOST_COUNTED);
    }

    pub(super) fn begin(&mut self) {
        self.are_taken = true;
        self.needs_mark = false;
        self.counted.clear();
        self.before_tracking = None;
        self.rewritten.clear();
        self.filter = None;
    }

    /// Whether it was nothing but what the next packet alike will meet too; nothing is written any more.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(&mut self.are_taken) && self.before_tracking.is_some()
    }

    /// Of the packet at hand.
    #[inline]
    pub(in crate::engine) fn are_taken(&self) -> bool {
        self.are_taken
    }

    /// Something was met that the next packet alike may find otherwise, or that must be done for each.
    #[inline]
    pub(in crate::engine) fn stop(&mut self) {
        self.are_taken = false;
    }

    /// A rule's matches are asked.
    #[inline]
    pub(in crate::engine) fn asks(&mut self, rule: &BoundRule) {
        self.needs(rule.traits.plain);
    }

    /// That the next packet alike has so much in common with this one; more than it can have, for `None`.
    #[inline]
    pub(in crate::engine) fn needs(&mut self, plain: Option<Plainness>) {
        match plain {
            None => self.are_taken = false,
            Some(Plainness::WithFlowMark) => self.needs_mark = true,
            Some(Plainness::Fixed) => {}
        }
    }

    /// A rule or a policy of this table counts it.
    #[inline]
    pub(in crate::engine) fn counts(&mut self, counter: &Counter, worker: usize, table: Table, word: LastWord) {
        if self.are_taken {
            self.write_down(counter, worker, table, word);
        }
    }

    #[cold]
    fn write_down(&mut self, counter: &Counter, worker: usize, table: Table, word: LastWord) {
        if self.counted.len() == MOST_COUNTED {
            self.are_taken = false;
            return;
        }
        self.counted.push(counter.tally(worker));
        if table == Table::Filter {
            self.filter = Some(word);
        }
    }

    /// Tracking found its flow, and nothing else is to be said of it.
    pub(in crate::engine) fn is_known(&mut self, flow: Option<&Arc<Flow>>, packet_mark: u32) {
        if self.are_taken {
            self.packet_mark = packet_mark;
            self.mark = flow.map_or(0, |flow| flow.lock().mark);
            self.before_tracking = Some(self.counted.len());
        }
    }

    /// NAT rewrote it.
    pub(in crate::engine) fn is_rewritten(&mut self, manip: Manip) {
        if self.are_taken {
            self.rewritten.push(manip);
        }
    }
}
