//! The tables in force: how one is read and put there, whole or not at all, and what becomes of the one that it replaces.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Config, Router};
use crate::base::{Family, Time};
use crate::engine::compile::Around;
use crate::engine::live::{Live, LiveTable};
use crate::rule::{CountId, Counters, Errno, Refusal, Shared, Table, TableRules, TrackingNow};
use crate::set::AddressSets;

/// Why a timeout policy does not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRefused {
    /// There is none of this name.
    NoSuch,
    /// A rule names it.
    InUse,
}

impl Router {
    /// The table as it stands; as it would be when first touched, where it does not exist.
    pub fn table(&self, family: Family, table: Table) -> TableRules {
        match self.live.load().of(family).table(table) {
            Some(live) => live.compiled.rules.clone(),
            None => TableRules::new(family, table),
        }
    }

    /// The tables that exist in a family, in the order they came to.
    pub fn tables(&self, family: Family) -> Vec<Table> {
        self.live.load().of(family).created().to_vec()
    }

    /// The table in force, with its counters.
    pub fn live_table(&self, family: Family, table: Table) -> Option<Arc<LiveTable>> {
        self.live.load().of(family).table(table).map(Arc::clone)
    }

    /// What rules share under a name, as long as one in force names it.
    pub fn shared(&self, directory: &str, name: &str) -> Option<Arc<dyn Shared>> {
        self.live.load().shared().find(directory, name)
    }

    /// All such names, by their directories under `/proc/net`.
    pub fn shared_names(&self) -> BTreeSet<(&'static str, Arc<str>)> {
        self.live.load().shared().names()
    }

    /// Packets and bytes of every rule and policy of a table.
    pub fn counters(&self, family: Family, table: Table) -> std::collections::HashMap<CountId, Counters> {
        self.live
            .load()
            .of(family)
            .table(table)
            .map(|live| live.counters())
            .unwrap_or_default()
    }

    /// The table in force; one that does not exist comes to exist by that, empty. Who changes it gives it back to [`Self::replace_opened`].
    pub fn open(&self, family: Family, table: Table, now: Time) -> Option<Arc<LiveTable>> {
        let sets = self.replacing.lock();
        if self.live_table(family, table).is_none() {
            // An empty table can't be refused.
            self.put_into_force(TableRules::new(family, table), &**sets, now).ok()?;
        }
        self.live_table(family, table)
    }

    /// Puts a table into force, whole or not at all, between two packets. It is compiled beside them, and whatever they count meanwhile, and after, is counted.
    pub fn replace(&self, rules: TableRules, now: Time) -> Result<(), Refusal> {
        let sets = self.replacing.lock();
        self.put_into_force(rules, &**sets, now)
    }

    /// The same for rules that were made out of a table that was read before: where that is not in force any more nothing is done, so that what
    /// came between is not lost. The kernel, too, refuses a table whose maker has not seen the one that it replaces.
    pub fn replace_opened(&self, opened: &Arc<LiveTable>, rules: TableRules, now: Time) -> Result<(), Refusal> {
        let sets = self.replacing.lock();
        let in_force = self.live_table(rules.family, rules.table);
        if !in_force.is_some_and(|it| Arc::ptr_eq(&it, opened)) {
            return Err(Refusal::unlogged(
                Errno::TryAgain,
                format!("table {} was replaced since it was read: try again", rules.table.name()),
            ));
        }
        self.put_into_force(rules, &**sets, now)
    }

    /// To be called by one at a time.
    fn put_into_force(&self, rules: TableRules, sets: &dyn AddressSets, now: Time) -> Result<(), Refusal> {
        self.reclaim();
        let (family, table) = (rules.family, rules.table);
        let config = self.config.load();
        let around = Around {
            sets,
            pace: self.pace(),
            tracking: TrackingNow {
                settings: &config.conntrack,
                policies: self.flows.policies(),
                heard: self.flows.is_heard(),
            },
        };
        let replacement = self.live.load().with_table(rules, around, self.seats.count(), now)?;
        drop(config);
        let tracked = self.tracks();
        let before = replacement.publish(&self.live);
        self.is_changed();
        let replaced = before.of(family).table(table).map(Arc::clone);
        // A set that a rule held must be free when the rule has gone; of all else whoever carries packets beside frees nothing while somebody waits.
        let waits = self.pace.get().is_some() && replaced.as_ref().is_none_or(|it| it.compiled.sets.is_empty());
        self.retired.lock().lives.push((before, replaced));
        if !waits {
            self.reclaim();
        }
        self.tracking_changed(tracked);
        self.flows.keep_labels(self.live.load().needs_labels());
        Ok(())
    }

    /// The timeout policy of this name goes, and flows that have it go by the knobs. One that a rule in force names stays.
    pub fn remove_timeout_policy(&self, name: &str) -> Result<(), PolicyRefused> {
        let _one_at_a_time = self.replacing.lock();
        let policy = self.flows.policies().find(name).ok_or(PolicyRefused::NoSuch)?;
        if self.live.load().holds(&policy) {
            return Err(PolicyRefused::InUse);
        }
        self.flows.remove_policy(&policy);
        Ok(())
    }

    /// Frees what is no longer in force and no packet holds any more. Whoever drops the last reference to a table of a hundred thousand rules is
    /// busy for milliseconds: it must not be who carries packets, so the last is kept here.
    pub fn reclaim(&self) {
        let pace = self.pace();
        let Retired { lives, tables, configs } = &mut *self.retired.lock();
        lives.retain_mut(|(live, replaced)| {
            let is_held = Arc::strong_count(live) > 1;
            if !is_held {
                tables.extend(replaced.take());
            }
            is_held
        });
        for table in tables.extract_if(.., |table| Arc::strong_count(table) == 1) {
            if let Some(table) = Arc::into_inner(table) {
                table.free(pace);
            }
        }
        configs.retain(|config| Arc::strong_count(config) > 1);
    }
}

/// What was in force, until nobody holds it but this.
#[derive(Default)]
pub(super) struct Retired {
    /// Each with the table that was replaced then.
    pub(super) lives: Vec<(Arc<Live>, Option<Arc<LiveTable>>)>,
    /// In no ruleset any more, but an observer's story may still tell of it.
    pub(super) tables: Vec<Arc<LiveTable>>,
    pub(super) configs: Vec<Arc<Config>>,
}
