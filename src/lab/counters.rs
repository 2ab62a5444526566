//! What passed an interface of a live lab. Each worker counts its own packets; others look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An interface, for who looks.
#[derive(Clone, Debug, Default)]
pub struct InterfaceCounters {
    /// What its devices leave to the router and take unfinished, by name; none where offload is off.
    pub offloads: Vec<&'static str>,
    /// By how many workers its packets are read.
    pub queues: usize,
    /// What each worker counted.
    pub of_workers: Vec<Arc<PortCounters>>,
}

impl InterfaceCounters {
    /// The sums of all workers, with their names.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        let mut sums = PortCounters::default().named();
        for worker in &self.of_workers {
            for ((_, sum), (_, count)) in sums.iter_mut().zip(worker.named()) {
                *sum += count;
            }
        }
        sums
    }
}

/// Packets of one interface that one worker carried. What hosts send each other doesn't count as received.
#[derive(Debug, Default)]
pub struct PortCounters {
    pub received: Counter,
    pub sent: Counter,
    /// Relayed from host to host.
    pub relayed: Counter,
    /// For an address that nobody on the link has.
    pub unresolved: Counter,
    /// The device took no more, or was down.
    pub lost: Counter,
    /// No packet can be what the header before it said (offload).
    pub refused: Counter,
}

impl PortCounters {
    /// All of them, with their names.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("received", self.received.get()),
            ("sent", self.sent.get()),
            ("relayed", self.relayed.get()),
            ("unresolved", self.unresolved.get()),
            ("lost", self.lost.get()),
            ("refused", self.refused.get()),
        ]
    }
}

/// Only one thread adds, so a load and a store serve.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add_one(&self) {
        self.add(1);
    }

    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
