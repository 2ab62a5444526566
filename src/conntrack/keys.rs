//! Keys that the ends of a GRE flow have agreed on over another: a packet names only its receiver's, and its sender's is found here.
//!
//! Seen on Linux 6.18: what is agreed on lasts until the flow that it was agreed over is gone, or any flow that this one announced, be it one that never
//! got out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Direction, Tuple};
use crate::base::sync::{AtomicUsize, Mutex, Ordering};

/// What was agreed on, by the addresses and the receiver's key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    all: Mutex<All>,
    /// Lets packets pass without a look at the lock where there are none.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct All {
    by_goal: BTreeMap<Goal, Vec<Agreed>>,
    by_master: BTreeMap<u64, [Option<Goal>; 2]>,
}

/// From here to there, with this key.
type Goal = (IpAddr, IpAddr, u16);

fn goal(tuple: &Tuple) -> Goal {
    (tuple.source.address, tuple.destination.address, tuple.destination.id)
}

/// The sender's key, and over which flow it was agreed on.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    master: u64,
    key: u16,
}

impl Keys {
    /// The key of who sends; 0 where none is known. Of several, what was agreed on first counts.
    pub(super) fn of_sender(&self, tuple: &Tuple) -> u16 {
        if self.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let all = self.all.lock();
        let found = all.by_goal.get(&goal(tuple)).and_then(|agreed| agreed.first());
        found.map_or(0, |agreed| agreed.key)
    }

    /// Agrees on the keys of both ways. False where others for the same flow stand. Seen: what stands is kept where the first way differs, and goes
    /// where only the second does; and the sender's key is not looked at.
    pub(super) fn agree(&self, master: u64, ways: [&Tuple; 2]) -> bool {
        let agreed = {
            let mut all = self.all.lock();
            if !all.agree(master, Direction::Original, ways[0]) {
                return false;
            }
            let agreed = all.agree(master, Direction::Reply, ways[1]);
            self.count.store(all.by_master.len(), Ordering::Relaxed);
            agreed
        };
        if !agreed {
            self.forget(master);
        }
        agreed
    }

    /// What was agreed on over this flow holds no more.
    pub(super) fn forget(&self, master: u64) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut all = self.all.lock();
        for goal in all.by_master.remove(&master).into_iter().flatten().flatten() {
            if let Some(agreed) = all.by_goal.get_mut(&goal) {
                agreed.retain(|it| it.master != master);
                if agreed.is_empty() {
                    all.by_goal.remove(&goal);
                }
            }
        }
        self.count.store(all.by_master.len(), Ordering::Relaxed);
    }

    /// The same again, for a copy of the table: flows have their numbers there too.
    pub(super) fn copy(&self) -> Self {
        let all = self.all.lock();
        Self {
            all: Mutex::new(All {
                by_goal: all.by_goal.clone(),
                by_master: all.by_master.clone(),
            }),
            count: AtomicUsize::new(all.by_master.len()),
        }
    }
}

impl All {
    fn agree(&mut self, master: u64, direction: Direction, tuple: &Tuple) -> bool {
        let place = &mut self.by_master.entry(master).or_default()[direction.index()];
        let goal = goal(tuple);
        if let Some(stands) = place {
            return *stands == goal;
        }
        *place = Some(goal);
        self.by_goal.entry(goal).or_default().push(Agreed {
            master,
            key: tuple.source.id,
        });
        true
    }
}

/// Goes with a flow that was announced with keys, and they with it.
#[derive(Debug)]
pub(super) struct KeysOfMaster {
    pub keys: Arc<Keys>,
    pub master: u64,
}

impl Drop for KeysOfMaster {
    fn drop(&mut self) {
        self.keys.forget(self.master);
    }
}
