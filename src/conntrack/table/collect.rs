//! Going through the flows: listings, and the sweep that collects the dead. Some lines at a time, so that no packet waits for more, and no flow is
//! locked meanwhile.

use std::sync::Arc;

use super::{SHARDS, Table};
use crate::base::Time;
use crate::base::sync::Ordering;
use crate::conntrack::flow::OVER_AT_ONCE;
use crate::conntrack::{Flow, Status};

/// How many lines are looked at before packets get their turn at the shard: some microseconds.
const PIECE: usize = 32;

/// Lines that one [`Table::sweep_part`] looks at, of a table that is not so large that it would go round too seldom. Two or three flows each.
const SWEPT_AT_ONCE: usize = 2_048;

/// In so many parts it goes round: ten a second, a minute, which is how long the kernel takes at most.
const PARTS: usize = 600;

/// Where in a table a sweep goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SweepPlace {
    pub(super) shard: usize,
    pub(super) line: usize,
}

impl SweepPlace {
    fn next_shard(self) -> Self {
        Self {
            shard: (self.shard + 1) % SHARDS,
            line: 0,
        }
    }
}

/// Some lines of a shard.
struct Piece {
    /// How many.
    lines: usize,
    is_last: bool,
    moves: u64,
}

impl Table {
    /// All flows that live, in the order of their creation; but for those that stand beside another ([`Clash::Beside`](crate::conntrack::Clash::Beside)), which
    /// no listing of the kernel's shows either.
    pub fn flows(&self, now: Time) -> Vec<Arc<Flow>> {
        let mut flows = self.living_flows(now);
        flows.retain(|flow| !flow.lock().status.has(Status::CLASHES));
        flows
    }

    /// All of them.
    pub(in crate::conntrack) fn living_flows(&self, now: Time) -> Vec<Arc<Flow>> {
        let mut flows = self.all();
        flows.retain(|flow| !flow.lock().is_expired(now));
        flows.sort_unstable_by_key(|flow| flow.serial());
        if self.is_listed_by_packets.load(Ordering::Relaxed) {
            flows.sort_by_cached_key(|flow| flow.lock().opened_by);
        }
        flows
    }

    /// From now on flows are listed in the order of the packets that opened them, by these packets' numbers: that is the order of their creation
    /// where several workers had the packets of one numbering.
    pub(crate) fn list_by_packets(&self) {
        self.is_listed_by_packets.store(true, Ordering::Relaxed);
    }

    /// How many flows live. While no time passes, and none ends at once, the table is looked through once at most.
    pub fn living(&self, now: Time) -> usize {
        let moment = Some((now, OVER_AT_ONCE.load(Ordering::Relaxed)));
        if *self.all_living.lock() == moment {
            return self.count.load(Ordering::Relaxed);
        }
        let all = self.all();
        let living = all.iter().filter(|flow| !flow.lock().is_expired(now)).count();
        if living == all.len() {
            *self.all_living.lock() = moment;
        }
        living
    }

    /// Collects what has expired; returns how many flows went.
    pub fn sweep(&self, now: Time) -> usize {
        self.collect_expectations(now);
        let mut flows = Vec::new();
        (0..SHARDS)
            .map(|number| {
                self.collect_shard(number, &mut flows);
                self.delete_dead(now, &mut flows)
            })
            .sum()
    }

    /// A part of [`Self::sweep`], for a table that packets use meanwhile: looks at a bounded number of flows, and goes on from there next time.
    pub fn sweep_part(&self, now: Time) {
        self.collect_expectations(now);
        let from = *self.swept.lock();
        let reached = self.sweep_lines(now, from);
        *self.swept.lock() = reached;
    }

    /// Gives where to go on.
    fn sweep_lines(&self, now: Time, from: SweepPlace) -> SweepPlace {
        let lines: usize = self.shards.iter().map(|shard| shard.lock().count()).sum();
        let mut left = lines.min(SWEPT_AT_ONCE.max(lines / PARTS));
        let (mut place, mut flows) = (from, Vec::with_capacity(PIECE * 3));
        // Once more than there are shards, since it begins within one.
        for _ in 0..=SHARDS {
            loop {
                let piece = self.piece(place, left.min(PIECE), &mut flows);
                self.delete_dead(now, &mut flows);
                left -= piece.lines;
                place.line += piece.lines;
                if piece.is_last {
                    place = place.next_shard();
                    break;
                }
                if left == 0 {
                    return place;
                }
            }
            if left == 0 {
                break;
            }
        }
        place
    }

    fn collect_expectations(&self, now: Time) {
        self.with_expectations(|all| all.collect(now));
        self.forget_orphans();
    }

    /// Of these; returns how many went.
    fn delete_dead(&self, now: Time, flows: &mut Vec<Arc<Flow>>) -> usize {
        let gone = self.delete_together(flows, false, |flow| flow.lock().is_expired(now));
        flows.clear();
        gone
    }

    pub(super) fn all(&self) -> Vec<Arc<Flow>> {
        let mut flows = Vec::with_capacity(self.count());
        for number in 0..SHARDS {
            self.collect_shard(number, &mut flows);
        }
        flows
    }

    fn collect_shard(&self, shard: usize, into: &mut Vec<Arc<Flow>>) {
        let before = into.len();
        let (mut moves, mut line) = (None, 0);
        loop {
            let piece = self.piece(SweepPlace { shard, line }, PIECE, into);
            if moves.is_some_and(|moves| moves != piece.moves) {
                into.truncate(before);
                (moves, line) = (None, 0);
                continue;
            }
            moves = Some(piece.moves);
            line += piece.lines;
            if piece.is_last {
                return;
            }
        }
    }

    /// The flows of some lines of a shard by their replies, under which each stands.
    fn piece(&self, from: SweepPlace, most: usize, into: &mut Vec<Arc<Flow>>) -> Piece {
        let shard = self.shards[from.shard].lock();
        let end = shard.count().min(from.line + most);
        let replies = || {
            let entries = (from.line..end).flat_map(|line| shard.line(line));
            entries.filter(|(_, is_reply)| *is_reply).map(|(flow, _)| flow)
        };
        // Who holds a flow is counted where it lies.
        replies().for_each(|flow| flow.is_looked_at_soon());
        into.extend(replies().map(Arc::clone));
        Piece {
            lines: end.saturating_sub(from.line),
            is_last: end == shard.count(),
            moves: shard.moves(),
        }
    }
}
