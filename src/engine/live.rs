//! The rulesets in force: published whole, counted per worker, summed when read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::compile::{CompiledTable, StepKind};
use crate::base::Time;
use crate::rule::{ChainKind, Count, CountId, Counters, Refusal, Rule, Table, TableRules};

/// The tables that exist in one family, as packets see them. Never changed: a change publishes another.
#[derive(Debug, Default)]
pub struct Live {
    tables: [Option<Arc<LiveTable>>; 5],
    /// In the order they came to exist.
    created: Vec<Table>,
    /// True when a rule of any table makes the kernel track connections.
    pub needs_conntrack: bool,
}

impl Live {
    pub fn table(&self, table: Table) -> Option<&Arc<LiveTable>> {
        self.tables[table as usize].as_ref()
    }

    /// Tables in the order they came to exist.
    pub fn created(&self) -> &[Table] {
        &self.created
    }

    /// All of it for a router of its own with one worker.
    pub fn copy(&self, now: Time) -> Self {
        let copy = |table: &Option<Arc<LiveTable>>| table.as_ref().map(|table| Arc::new(table.copy(now)));
        Self {
            tables: std::array::from_fn(|at| copy(&self.tables[at])),
            created: self.created.clone(),
            needs_conntrack: self.needs_conntrack,
        }
    }

    /// A copy with one table replaced, or made. Counters go on where the rule says so; nothing of `self` changes.
    pub fn with_table(&self, rules: TableRules, workers: usize, now: Time) -> Result<Self, Refusal> {
        let table = rules.table;
        let before = self.table(table);
        let made = LiveTable::new(rules, before.map(Arc::as_ref), workers, now)?;
        let mut tables = self.tables.clone();
        tables[table as usize] = Some(Arc::new(made));
        let mut created = self.created.clone();
        if before.is_none() {
            created.push(table);
        }
        let needs_conntrack = tables.iter().flatten().any(|it| it.compiled.needs_conntrack);
        Ok(Self {
            tables,
            created,
            needs_conntrack,
        })
    }
}

/// A compiled table with its counters: one array a worker, indexed as the steps are.
#[derive(Debug)]
pub struct LiveTable {
    pub compiled: CompiledTable,
    workers: Box<[Box<[Cell]>]>,
    /// The rules' texts, for who explains; made when they are asked for.
    texts: OnceLock<Box<[OnceLock<Box<str>>]>>,
}

/// One worker's count at one step. Only that worker writes, so a load and a store serve.
#[derive(Debug, Default)]
pub struct Cell {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Cell {
    fn add(&self, packets: u64, bytes: u64) {
        self.packets
            .store(self.packets.load(Ordering::Relaxed) + packets, Ordering::Relaxed);
        self.bytes
            .store(self.bytes.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    fn read(&self) -> Counters {
        Counters {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl LiveTable {
    fn new(mut rules: TableRules, before: Option<&Self>, workers: usize, now: Time) -> Result<Self, Refusal> {
        let carried = before.map(Self::counters).unwrap_or_default();
        let start = |id: CountId, count: Count| match count {
            Count::Keep => carried.get(&id).copied().unwrap_or_default(),
            Count::Set(counters) => counters,
        };
        let mut starts: HashMap<CountId, Counters> = HashMap::new();
        for chain in &mut rules.chains {
            if let ChainKind::BuiltIn { id, count, .. } = &mut chain.kind {
                starts.insert(*id, start(*id, *count));
                *count = Count::Keep;
            }
            for rule in &mut chain.rules {
                starts.insert(rule.id, start(rule.id, rule.count));
                if rule.count != Count::Keep {
                    // What is kept says "go on", so that the next command on this table does not set the counters back.
                    *rule = Arc::new(Rule {
                        count: Count::Keep,
                        ..Rule::clone(rule)
                    });
                }
            }
        }
        let compiled = CompiledTable::compile(Arc::new(rules), now)?;
        let length = compiled.steps.len();
        let made: Box<[Box<[Cell]>]> = (0..workers.max(1))
            .map(|_| (0..length).map(|_| Cell::default()).collect())
            .collect();
        for (cell, step) in made[0].iter().zip(&compiled.steps) {
            if let Some(counters) = starts.get(&step.id) {
                cell.add(counters.packets, counters.bytes);
            }
        }
        Ok(Self {
            compiled,
            workers: made,
            texts: OnceLock::new(),
        })
    }

    /// The same table for a router of its own with one worker: counters and states go on from where these are.
    fn copy(&self, now: Time) -> Self {
        let compiled = self.compiled.copy(now);
        let cells = (0..compiled.steps.len()).map(|at| {
            let cell = Cell::default();
            for cells in &self.workers {
                let read = cells[at].read();
                cell.add(read.packets, read.bytes);
            }
            cell
        });
        Self {
            workers: Box::new([cells.collect()]),
            compiled,
            texts: OnceLock::new(),
        }
    }

    /// What is in it, as it was typed.
    pub fn rules(&self) -> &TableRules {
        &self.compiled.rules
    }

    /// The rule at a step of the walk; `None` where a chain ends.
    pub fn rule(&self, step: u32) -> Option<&Arc<Rule>> {
        match &self.compiled.steps.get(step as usize)?.kind {
            StepKind::Rule { rule, .. } => Some(rule),
            StepKind::Policy(_) | StepKind::End => None,
        }
    }

    /// What `write` makes of the rule at a step, made once for all packets. Whoever asks must ask for the same.
    pub fn rule_text(&self, step: u32, write: impl FnOnce(&Rule) -> String) -> Option<&str> {
        let rule = self.rule(step)?;
        let texts = self
            .texts
            .get_or_init(|| self.compiled.steps.iter().map(|_| OnceLock::new()).collect());
        Some(texts.get(step as usize)?.get_or_init(|| write(rule).into()))
    }

    /// The chain and the number there of a step of the walk; a chain's end counts as one more rule.
    pub fn chain_and_number(&self, step: u32) -> (&Arc<str>, u32) {
        let step = &self.compiled.steps[step as usize];
        (&self.compiled.names[step.chain as usize], step.number)
    }

    /// Counts a packet of so many bytes.
    pub fn count(&self, worker: usize, step: u32, bytes: usize) {
        self.workers[worker][step as usize].add(1, bytes as u64);
    }

    /// The sums of all workers, by rule and policy.
    pub fn counters(&self) -> HashMap<CountId, Counters> {
        let mut sums = HashMap::with_capacity(self.compiled.steps.len());
        for (at, step) in self.compiled.steps.iter().enumerate() {
            if matches!(step.kind, StepKind::End) {
                continue;
            }
            let mut sum = Counters::default();
            for cells in &self.workers {
                let read = cells[at].read();
                sum.packets += read.packets;
                sum.bytes += read.bytes;
            }
            sums.insert(step.id, sum);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;
    use crate::rule::{Action, Selector};

    #[test]
    fn counters_follow_their_rule_from_one_ruleset_to_the_next() {
        let rule = |count| {
            Arc::new(Rule {
                id: CountId::fresh(),
                count,
                selector: Selector::any(Family::V4),
                matches: Vec::new(),
                action: Action::Nothing,
            })
        };
        let (first, second) = (rule(Count::Keep), rule(Count::Set(Counters { packets: 5, bytes: 50 })));
        let mut rules = TableRules::new(Family::V4, Table::Filter);
        rules.chain_mut("INPUT").unwrap().rules = vec![Arc::clone(&first), Arc::clone(&second)];
        let live = Live::default().with_table(rules, 2, Time::ZERO).unwrap();
        let table = live.table(Table::Filter).unwrap();
        table.count(0, 0, 100);
        table.count(1, 0, 20);
        table.count(1, 1, 7);
        // The two swap places, and a new one comes first.
        let mut rules = TableRules::clone(&table.compiled.rules);
        let input = rules.chain_mut("INPUT").unwrap();
        input.rules.reverse();
        let third = rule(Count::Keep);
        input.rules.insert(0, Arc::clone(&third));
        let live = live.with_table(rules, 2, Time::ZERO).unwrap();
        let counters = live.table(Table::Filter).unwrap().counters();
        assert_eq!(counters[&first.id], Counters { packets: 2, bytes: 120 });
        assert_eq!(counters[&second.id], Counters { packets: 6, bytes: 57 });
        assert_eq!(counters[&third.id], Counters::default());
        assert_eq!(live.created(), [Table::Filter]);
    }
}
