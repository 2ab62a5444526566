//! The router's rules as the text room wants them.

use std::sync::Arc;

use crate::base::{Family, Time};
use crate::engine::{LiveTable, Router};
use crate::rule::{Refusal, Table, TableRules};
use crate::text::{Counted, Tables};

/// A router's tables at one moment. What is made out of the table that was opened last comes into force only if that is still there, so that of
/// two who change a table at the same time neither loses what it said.
pub struct RouterTables<'a> {
    router: &'a Router,
    now: Time,
    opened: Option<Arc<LiveTable>>,
}

impl<'a> RouterTables<'a> {
    /// What is put into force is put there at this instant: states of matches begin then.
    pub fn new(router: &'a Router, now: Time) -> Self {
        Self::with_opened(router, now, None)
    }

    pub(super) fn with_opened(router: &'a Router, now: Time, opened: Option<Arc<LiveTable>>) -> Self {
        Self { router, now, opened }
    }

    pub(super) fn into_opened(self) -> Option<Arc<LiveTable>> {
        self.opened
    }
}

impl Tables for RouterTables<'_> {
    fn open(&mut self, family: Family, table: Table) -> TableRules {
        self.opened = self.router.open(family, table, self.now);
        match &self.opened {
            Some(opened) => TableRules::clone(opened.rules()),
            None => TableRules::new(family, table),
        }
    }

    fn existing(&self, family: Family) -> Vec<Table> {
        self.router.tables(family)
    }

    fn counters(&self, family: Family, table: Table) -> Counted {
        let live = self.router.live_table(family, table);
        Box::new(move || live.as_ref().map(|it| it.counters()).unwrap_or_default())
    }

    fn replace(&mut self, rules: TableRules) -> Result<(), Refusal> {
        let is_of = |it: &Arc<LiveTable>| (it.rules().family, it.rules().table) == (rules.family, rules.table);
        match self.opened.take().filter(is_of) {
            Some(opened) => self.router.replace_opened(&opened, rules, self.now),
            None => self.router.replace(rules, self.now),
        }
    }
}
