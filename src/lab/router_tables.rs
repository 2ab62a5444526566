//! The router's rules as the text room wants them.

use crate::base::{Family, Time};
use crate::engine::Router;
use crate::rule::{Refusal, Table, TableRules};
use crate::text::{Counted, Tables};

/// A router's tables at one moment.
pub struct RouterTables<'a> {
    pub router: &'a Router,
    pub now: Time,
}

impl Tables for RouterTables<'_> {
    fn open(&mut self, family: Family, table: Table) -> TableRules {
        if !self.router.tables(family).contains(&table) {
            // An empty table can't be refused; were it, it would still read as empty.
            let _ = self.router.replace(TableRules::new(family, table), self.now);
        }
        self.router.table(family, table)
    }

    fn existing(&self, family: Family) -> Vec<Table> {
        self.router.tables(family)
    }

    fn counters(&self, family: Family, table: Table) -> Counted {
        let live = self.router.live_table(family, table);
        Box::new(move || live.as_ref().map(|it| it.counters()).unwrap_or_default())
    }

    fn replace(&mut self, rules: TableRules) -> Result<(), Refusal> {
        self.router.replace(rules, self.now)
    }
}
