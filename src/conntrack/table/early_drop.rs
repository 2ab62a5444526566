//! Who has to leave a full table.

use std::sync::Arc;

use super::{SHARDS, Table};
use crate::base::Time;
use crate::base::sync::{AtomicU64, Ordering};
use crate::conntrack::{Flow, Status};

/// How many entries are looked at for any packet. The kernel looks at eight buckets.
const NEAR: usize = 32;

/// How many entries of each shard are looked at beyond, in a first and in a second round: looking at more never drops an assured flow either.
const FAR: [usize; 2] = [16, 256];

/// How many looks beyond may come at once, and a second. Whoever fills the table with assured flows would have each packet that opens another look at
/// thousands; they take some hundredths of the processor's time so, and where they are used up a packet fares as in the kernel.
const MOST_LOOKS: u64 = 1 << 19;
const LOOKS_A_SECOND: u64 = 1 << 18;

/// The looks that are left.
#[derive(Debug)]
pub(super) struct Looks {
    left: AtomicU64,
    /// When some were last earned, in nanoseconds.
    earned: AtomicU64,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            left: AtomicU64::new(MOST_LOOKS),
            earned: AtomicU64::new(0),
        }
    }
}

impl Looks {
    /// Workers that ask at the same time may all be given the same ones.
    fn left(&self, now: Time) -> usize {
        const SECOND: u64 = 1_000_000_000;
        let (now, before) = (now.as_nanos(), self.earned.load(Ordering::Relaxed));
        // A minute earns more than there can be.
        let before = before.max(now.saturating_sub(60 * SECOND));
        let earned = now.saturating_sub(before) * LOOKS_A_SECOND / SECOND;
        let left = self.left.load(Ordering::Relaxed);
        if earned == 0 {
            return left as usize;
        }
        let left = MOST_LOOKS.min(left + earned);
        // What does not make a whole one yet is not lost.
        self.earned
            .store(before + earned * SECOND / LOOKS_A_SECOND, Ordering::Relaxed);
        self.left.store(left, Ordering::Relaxed);
        left as usize
    }

    fn are_left(&self, left: usize) {
        self.left.store(left as u64, Ordering::Relaxed);
    }
}

impl Table {
    /// Makes room by dropping a flow that is not assured, or whose time is over; else an assured TCP connection that is about to end.
    pub(in crate::conntrack) fn early_drop(&self, now: Time, hash: u64) -> bool {
        let mut ending = None;
        // Under a flood of unassured flows the first look finds one.
        let dropped = self.early_drop_within(now, hash, FAR[0], &mut { NEAR }, &mut ending)
            || self.early_drop_beyond(now, hash, &mut ending)
            || ending.is_some_and(|flow| self.delete(&flow));
        if dropped {
            self.statistics.early_drop.count();
        }
        dropped
    }

    #[cold]
    fn early_drop_beyond(&self, now: Time, hash: u64, ending: &mut Option<Arc<Flow>>) -> bool {
        let mut looks = self.looks.left(now);
        let mut within = |reach: &usize| self.early_drop_within(now, hash, *reach, &mut looks, ending);
        let dropped = FAR.iter().any(&mut within);
        self.looks.are_left(looks);
        dropped
    }

    /// Looks at so many entries of each shard, and at no more than are left.
    fn early_drop_within(
        &self,
        now: Time,
        hash: u64,
        reach: usize,
        left: &mut usize,
        ending: &mut Option<Arc<Flow>>,
    ) -> bool {
        let first = self.shard_number(hash);
        let mut candidates = Vec::with_capacity(reach.min(self.count()));
        for number in (0..SHARDS).map(|step| (first + step) % SHARDS) {
            if *left == 0 {
                return false;
            }
            {
                let shard = self.shards[number].lock();
                let start = shard.home(hash as u32);
                let lines = (start..shard.count()).chain(0..start);
                let entries = lines.flat_map(|line| shard.line(line));
                candidates.extend(entries.take(reach.min(*left)).map(|(flow, _)| Arc::clone(flow)));
            }
            *left -= candidates.len();
            for flow in candidates.drain(..) {
                let expendable = {
                    let state = flow.lock();
                    if state.protocol.may_go_early() {
                        ending.get_or_insert_with(|| Arc::clone(&flow));
                    }
                    !state.status.has(Status::ASSURED) || state.is_expired(now)
                };
                if expendable && self.delete(&flow) {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn looks_are_earned_however_often_one_asks() {
        let looks = Looks::default();
        let begin = Time::ZERO + Duration::from_secs(100);
        looks.left(begin);
        looks.are_left(0);
        // 1.6 in each of these steps.
        let step = Duration::from_nanos(6_250);
        let mut now = begin;
        while now < begin + Duration::from_secs(1) {
            now = now + step;
            looks.left(now);
        }
        // A nanosecond is lost of each at most.
        assert!(looks.left(now).abs_diff(LOOKS_A_SECOND as usize) < 100);
    }
}
