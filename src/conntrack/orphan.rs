//! What stays of a flow that is out of the table, while flows live that its helper announced or packets of it wait. Seen: the kernel finds its mapping until
//! those are gone too, and counts it among all flows.
//!
//! They hold it by a token. Who lets go of the last one says so, and the table takes out what is left when it next looks: it never has to go through
//! those that are remembered still.

use std::sync::{Arc, OnceLock};

use super::Tuple;
use crate::base::sync::{AtomicUsize, Mutex, Ordering};

/// A flow that is out of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orphan {
    pub original: Tuple,
    /// In the original direction.
    pub zone: u16,
    pub serial: u64,
}

/// Counts, by its clones, the expected flows that live, and the flow's packets that wait.
#[derive(Debug, Default)]
pub(super) struct Token {
    /// The token of its flow's own master, once that flow is out of the table. Seen: while one that it announced lives, its master counts it still.
    pub keeps: OnceLock<Arc<Token>>,
    /// What is to be forgotten with it, and who is to hear of that.
    orphan: OnceLock<(Orphan, Arc<Forgotten>)>,
}

impl Token {
    /// Its flow is out of the table now. False where that was known.
    pub(super) fn remember(&self, orphan: Orphan, forgotten: &Arc<Forgotten>) -> bool {
        self.orphan.set((orphan, Arc::clone(forgotten))).is_ok()
    }

    /// The flow that it stands for, once that is out of the table.
    pub(super) fn orphan(&self) -> Option<Orphan> {
        self.orphan.get().map(|(orphan, _)| *orphan)
    }
}

/// As with flows, each may hold another: they are let go one after another.
impl Drop for Token {
    fn drop(&mut self) {
        if let Some((orphan, forgotten)) = self.orphan.take() {
            forgotten.put(orphan);
        }
        let mut next = self.keeps.take();
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = last.keeps.take();
        }
    }
}

/// Those that nobody remembers any more.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    count: AtomicUsize,
    all: Mutex<Vec<Orphan>>,
}

impl Forgotten {
    fn put(&self, orphan: Orphan) {
        let mut all = self.all.lock();
        all.push(orphan);
        self.count.store(all.len(), Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> Vec<Orphan> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut all = self.all.lock();
        self.count.store(0, Ordering::Relaxed);
        std::mem::take(&mut *all)
    }
}
