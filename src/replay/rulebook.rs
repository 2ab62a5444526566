//! The rules in force, each with its place and its text: so that a packet's decision is a number until somebody asks for words.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::witness::Decision;
use crate::base::Family;
use crate::engine::Place;
use crate::lab::memory::Lab;
use crate::rule::{ChainKind, CountId, Counters, Hook, Table};

/// Every rule and every policy of a lab's tables.
#[derive(Debug, Default)]
pub struct Rulebook {
    entries: Vec<RuleEntry>,
    /// Hashed by what is fast: nobody outside chooses these numbers.
    by_id: hashbrown::HashMap<CountId, usize, BuildHasherDefault<NumberHasher>>,
    /// Where the rules of a chain begin.
    chains: [HashMap<(Table, String), usize>; 2],
    /// The policies of each family's filter table, by hook.
    filter: [[Option<usize>; Hook::ALL.len()]; 2],
}

/// A rule, or a built-in chain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleEntry {
    /// Whose packets meet it.
    pub family: Family,
    /// Which of the five it is in.
    pub table: Table,
    /// The name of its chain.
    pub chain: String,
    /// From 1, as the tools number rules; `None` for the policy.
    pub number: Option<u32>,
    /// The rule as it was typed, without its chain; the policy's word.
    pub text: String,
    /// What its counters were before the first packet.
    pub before: Counters,
    id: CountId,
}

/// A rule of a [`Rulebook`].
#[derive(Clone, Copy, Debug)]
pub struct RulePlace<'a> {
    /// Its place among all, in the order of tables and chains.
    pub index: usize,
    /// What the rule says.
    pub entry: &'a RuleEntry,
}

impl Rulebook {
    /// The rules of all tables that a lab has now, with what their counters are.
    pub fn of(lab: &Lab) -> Self {
        let mut book = Self::default();
        let router = lab.machine.router();
        let tables_of = |family| router.tables(family).into_iter().map(move |table| (family, table));
        for (family, table) in Family::ALL.into_iter().flat_map(tables_of) {
            let rules = router.table(family, table);
            let counters = router.counters(family, table);
            let before = |id| counters.get(&id).copied().unwrap_or_default();
            for chain in &rules.chains {
                book.chains[family as usize].insert((table, chain.name.clone()), book.entries.len());
                for (position, rule) in chain.rules.iter().enumerate() {
                    let mut text = String::new();
                    crate::text::save::write_rule(&mut text, "", rule, None);
                    book.add(RuleEntry {
                        family,
                        table,
                        chain: chain.name.clone(),
                        number: Some(position as u32 + 1),
                        text: text.trim_end().trim_start_matches("-A").trim_start().to_owned(),
                        before: before(rule.id),
                        id: rule.id,
                    });
                }
                if let ChainKind::BuiltIn { hook, policy, id, .. } = &chain.kind {
                    if table == Table::Filter {
                        book.filter[family as usize][*hook as usize] = Some(book.entries.len());
                    }
                    book.add(RuleEntry {
                        family,
                        table,
                        chain: chain.name.clone(),
                        number: None,
                        text: policy.name().to_owned(),
                        before: before(*id),
                        id: *id,
                    });
                }
            }
        }
        book
    }

    fn add(&mut self, entry: RuleEntry) {
        self.by_id.insert(entry.id, self.entries.len());
        self.entries.push(entry);
    }

    /// Table by table and chain by chain; a built-in chain's policy stands behind its rules.
    pub fn entries(&self) -> &[RuleEntry] {
        &self.entries
    }

    /// Of a packet of this family.
    pub(super) fn of_decision(&self, decision: Decision, family: Family) -> Option<RulePlace<'_>> {
        let index = match decision {
            Decision::Rule(id) => self.by_id.get(&id).copied(),
            Decision::FilterPolicy(hook) => self.filter[family as usize][hook as usize],
        };
        self.place(index?)
    }

    /// The rule or policy at a place that a [`Reason`](crate::engine::Reason) names: a policy's number is that of one more rule.
    pub fn at(&self, place: &Place) -> Option<RulePlace<'_>> {
        let start = *self.chains[place.family as usize].get(&(place.table, place.chain.to_string()))?;
        self.place(start + (place.number as usize).checked_sub(1)?)
    }

    pub(super) fn of_rule(&self, id: CountId) -> Option<&RuleEntry> {
        self.entries.get(*self.by_id.get(&id)?)
    }

    fn place(&self, index: usize) -> Option<RulePlace<'_>> {
        let entry = self.entries.get(index)?;
        Some(RulePlace { index, entry })
    }

    /// The rules (no policies) that no packet of the replay came to, and how many rules there are.
    pub fn never_hit(&self, lab: &Lab) -> (Vec<&RuleEntry>, usize) {
        let router = lab.machine.router();
        let counters_of = |family| {
            let tables = router.tables(family).into_iter();
            tables.flat_map(move |table| router.counters(family, table))
        };
        let now: HashMap<CountId, Counters> = Family::ALL.into_iter().flat_map(counters_of).collect();
        let rules = self.entries.iter().filter(|entry| entry.number.is_some());
        let never = rules
            .clone()
            .filter(|entry| now.get(&entry.id).copied().unwrap_or_default().packets == entry.before.packets)
            .collect();
        (never, rules.count())
    }
}

impl fmt::Display for RuleEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = self.family.whose();
        match self.number {
            Some(number) => write!(f, "rule {number} of {whose}{} {}", self.table.name(), self.chain),
            None => write!(f, "policy of {whose}{} {}", self.table.name(), self.chain),
        }
    }
}

impl fmt::Display for RulePlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

/// Spreads numbers that count up.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}
