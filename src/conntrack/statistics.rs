//! What `conntrack -S` counts: what became of packets and flows beside the way they usually go. A number each, written where that happens.

use crate::base::sync::{AtomicU64, Ordering};

/// All that is counted of flows.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    /// NAT asked whether a tuple is taken, and it was.
    pub found: Counter,
    pub invalid: Counter,
    /// A command made a flow. Seen: those that packets open are not counted.
    pub insert: Counter,
    /// A flow could not enter the table, because another has its tuple.
    pub insert_failed: Counter,
    pub drop: Counter,
    pub early_drop: Counter,
    /// ICMP errors and other ICMP that is INVALID.
    pub error: Counter,
    pub clash_resolve: Counter,
}

impl Statistics {
    /// As the tool prints them. Nobody here begins a search anew or gives up a long chain.
    pub(crate) fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("found", self.found.get()),
            ("invalid", self.invalid.get()),
            ("insert", self.insert.get()),
            ("insert_failed", self.insert_failed.get()),
            ("drop", self.drop.get()),
            ("early_drop", self.early_drop.get()),
            ("error", self.error.get()),
            ("search_restart", 0),
            ("clash_resolve", self.clash_resolve.get()),
            ("chaintoolong", 0),
        ]
    }
}

/// All that is counted of expectations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ExpectationStatistics {
    /// A flow came that fulfils one.
    pub new: u64,
    pub create: u64,
    pub delete: u64,
}

impl ExpectationStatistics {
    pub(crate) fn named(&self) -> [(&'static str, u64); 3] {
        [
            ("expect_new", self.new),
            ("expect_create", self.create),
            ("expect_delete", self.delete),
        ]
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_many(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
