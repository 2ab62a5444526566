//! Copies of a router, and how one stays its copy.

use std::sync::{Arc, OnceLock};

use super::{Config, Router};
use crate::base::Time;
use crate::base::sync::{ArcSwap, Mutex};
use crate::engine::live::Live;
use crate::engine::version::Versions;
use crate::engine::worker::Seats;
use crate::net::Listeners;
use crate::set::AddressSets;

/// What was in force at a router when somebody last looked.
#[derive(Debug)]
pub struct Seen {
    live: Arc<Live>,
    config: Arc<Config>,
}

impl Router {
    /// A router of its own with one worker, as this one stands now: configuration, rules with their counters and states, flows, expectations,
    /// fragments that wait. Whatever is done to one of the two, the other does not notice.
    /// `listeners` makes the copy's out of this one's.
    pub fn copy(
        &self,
        now: Time,
        listeners: impl FnOnce(Arc<dyn Listeners + Send + Sync>) -> Arc<dyn Listeners + Send + Sync>,
    ) -> Self {
        // No table comes between the two.
        let (live, sets) = {
            let sets = self.replacing.lock();
            (self.live.load_full(), sets.copy())
        };
        let live = Arc::new(live.copy(&*sets, now));
        self.copy_around(live, sets, now, listeners)
    }

    fn copy_around(
        &self,
        live: Arc<Live>,
        sets: Arc<dyn AddressSets>,
        now: Time,
        listeners: impl FnOnce(Arc<dyn Listeners + Send + Sync>) -> Arc<dyn Listeners + Send + Sync>,
    ) -> Self {
        Self {
            config: ArcSwap::new(self.config.load_full()),
            live: ArcSwap::new(live),
            versions: Versions::new(self.seed),
            flows: self.flows.copy(now),
            host: self.host.clone(),
            fragments: self.fragments.clone(),
            listeners: listeners(Arc::clone(&self.listeners)),
            queues: self.queues.copy(),
            replacing: Mutex::new(sets),
            retired: Mutex::default(),
            seats: Seats::new(1),
            seed: self.seed,
            pace: OnceLock::new(),
        }
    }

    /// The same as [`Self::copy`] for who has done with an earlier copy of this router, with the tables of that one, which cost more to copy than all else.
    /// `None` where they are others by now (`made_with` is what was in force in the copy when it was made), and where a rule keeps more than counts.
    pub(crate) fn copy_with_tables_of(
        &self,
        used: &Self,
        made_with: &Seen,
        now: Time,
        listeners: impl FnOnce(Arc<dyn Listeners + Send + Sync>) -> Arc<dyn Listeners + Send + Sync>,
    ) -> Option<Self> {
        let sets = self.replacing.lock().copy();
        let live = used.live.load_full();
        if !Arc::ptr_eq(&live, &made_with.live) || self.live.load().has_counted() || !live.begin_again() {
            return None;
        }
        Some(self.copy_around(live, sets, now, listeners))
    }

    /// Takes over the rules and the configuration of another router where they have changed since `seen`: what a copy of it needs to stay its copy.
    pub fn keep_up_with(&self, other: &Self, seen: &mut Seen, now: Time) {
        let (live, config, theirs) = {
            let sets = other.replacing.lock();
            (other.live.load_full(), other.config.load_full(), sets.copy())
        };
        let mut sets = self.replacing.lock();
        if !Arc::ptr_eq(&live, &seen.live) {
            *sets = theirs;
            self.live.store(Arc::new(live.copy(&**sets, now)));
            self.flows.keep_labels(live.needs_labels());
        }
        if !Arc::ptr_eq(&config, &seen.config) {
            self.config.store(Arc::clone(&config));
        }
        self.is_changed();
        *seen = Seen { live, config };
    }

    /// What is in force now, for [`Self::keep_up_with`].
    pub fn seen(&self) -> Seen {
        Seen {
            live: self.live.load_full(),
            config: self.config.load_full(),
        }
    }
}
