//! A machine's rules as the text room wants them: as the router has them in force, and of a lab in memory as commands have left them since.
//!
//! A script of a command a line would compile the whole table for each line. In a lab in memory nobody looks meanwhile: there a table stays in
//! hand from one command to the next, and comes into force when somebody asks for the router.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::machine::Machine;
use super::router_tables::RouterTables;
use crate::base::{Family, Pace, Time};
use crate::engine::{LiveTable, Router};
use crate::rule::{Refusal, Table, TableRules};
use crate::text::{Counted, Session, Tables};

/// The tables that are in hand.
#[derive(Default)]
pub(super) struct InHand(BTreeMap<(Family, Table), Held>);

struct Held {
    session: Session,
    /// When the last command was done to it.
    now: Time,
}

impl InHand {
    /// Puts everything into force.
    pub(super) fn settle(&mut self, router: &Router) {
        while let Some((_, Held { session, now })) = self.0.pop_first() {
            if session.is_changed_in_hand() {
                let result = router.replace(session.close(), now);
                // What is not sure to be taken does not stay in hand; `text::reach` has the test.
                debug_assert_eq!(result, Ok(()));
            }
        }
    }
}

pub(crate) struct MachineTables<'a> {
    machine: &'a mut Machine,
    opened: Option<Arc<LiveTable>>,
}

impl<'a> MachineTables<'a> {
    pub(crate) fn new(machine: &'a mut Machine) -> Self {
        Self { machine, opened: None }
    }

    fn in_force(&self) -> RouterTables<'_> {
        RouterTables::new(self.machine.router(), self.machine.now)
    }
}

impl Tables for MachineTables<'_> {
    fn open(&mut self, family: Family, table: Table) -> TableRules {
        let mut tables = self.in_force();
        let rules = tables.open(family, table);
        self.opened = tables.into_opened();
        rules
    }

    fn existing(&self, family: Family) -> Vec<Table> {
        self.in_force().existing(family)
    }

    fn counters(&self, family: Family, table: Table) -> Counted {
        self.in_force().counters(family, table)
    }

    fn replace(&mut self, rules: TableRules) -> Result<(), Refusal> {
        let opened = self.opened.take();
        let mut tables = RouterTables::with_opened(self.machine.router(), self.machine.now, opened);
        let replaced = tables.replace(rules);
        // Why rules are not taken stands in the kernel's log, where the tool says to look.
        if let Err(refusal) = &replaced {
            self.machine.log.keep(self.machine.now, refusal.log_record());
        }
        replaced
    }

    fn pace(&self) -> Pace {
        self.machine.router().pace()
    }

    fn in_hand(&mut self, family: Family, table: Table) -> Option<&mut Session> {
        if self.machine.live {
            return None;
        }
        let now = self.machine.now;
        let (router, InHand(held)) = self.machine.router_and_hand();
        let held = match held.entry((family, table)) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(place) => {
                let session = Session::open(&mut RouterTables::new(router, now), family, table).into_hand()?;
                place.insert(Held { session, now })
            }
        };
        held.now = now;
        Some(&mut held.session)
    }
}
