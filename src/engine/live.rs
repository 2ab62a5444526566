//! The rulesets in force: published whole, counted per worker, summed when read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::compile::{CompiledTable, Step, StepKind};
use crate::base::{Family, Time};
use crate::rule::{ChainKind, Count, CountId, Counters, Refusal, Rule, Table, TableRules};

/// The tables that exist, as packets see them. Never changed: a change publishes another.
#[derive(Debug, Default)]
pub struct Live {
    families: [LiveFamily; Family::ALL.len()],
}

/// The tables of one family.
#[derive(Clone, Debug, Default)]
pub struct LiveFamily {
    tables: [Option<Arc<LiveTable>>; Table::ALL.len()],
    /// In the order they came to exist.
    created: Vec<Table>,
    /// True when a rule of any table makes the kernel track connections.
    pub needs_conntrack: bool,
}

impl LiveFamily {
    pub fn table(&self, table: Table) -> Option<&Arc<LiveTable>> {
        self.tables[table as usize].as_ref()
    }

    /// Tables in the order they came to exist.
    pub fn created(&self) -> &[Table] {
        &self.created
    }

    fn copy(&self, now: Time) -> Self {
        let copy = |table: &Option<Arc<LiveTable>>| table.as_ref().map(|table| Arc::new(table.copy(now)));
        Self {
            tables: std::array::from_fn(|at| copy(&self.tables[at])),
            created: self.created.clone(),
            needs_conntrack: self.needs_conntrack,
        }
    }
}

impl Live {
    pub fn of(&self, family: Family) -> &LiveFamily {
        &self.families[family as usize]
    }

    /// True when a rule of any family makes the kernel track connections.
    pub fn needs_conntrack(&self) -> bool {
        self.families.iter().any(|tables| tables.needs_conntrack)
    }

    /// All of it for a router of its own with one worker.
    pub fn copy(&self, now: Time) -> Self {
        Self {
            families: std::array::from_fn(|at| self.families[at].copy(now)),
        }
    }

    /// A copy with one table replaced, or made. Counters go on where the rule says so; nothing of `self` changes.
    pub fn with_table(&self, rules: TableRules, workers: usize, now: Time) -> Result<Self, Refusal> {
        let (family, table) = (rules.family, rules.table);
        let before = self.of(family).table(table);
        let made = LiveTable::new(rules, before, workers, now)?;
        let mut families = self.families.clone();
        let changed = &mut families[family as usize];
        if before.is_none() {
            changed.created.push(table);
        }
        changed.tables[table as usize] = Some(Arc::new(made));
        changed.needs_conntrack = changed.tables.iter().flatten().any(|it| it.compiled.needs_conntrack);
        Ok(Self { families })
    }
}

/// A compiled table with its counters: one array a worker, indexed as the steps are.
#[derive(Debug)]
pub struct LiveTable {
    pub compiled: CompiledTable,
    workers: Box<[Box<[Cell]>]>,
    /// What was counted before this table came into force: written by who replaces tables, never by a worker.
    start: Box<[Cell]>,
    /// The table that this one follows, while packets may still count there.
    before: Mutex<Option<Before>>,
    /// The rules' texts, for who explains; made when they are asked for.
    texts: OnceLock<Box<[OnceLock<Box<str>>]>>,
}

/// The table before, and which of its counts go on in the table that holds this.
#[derive(Debug)]
struct Before {
    table: Arc<LiveTable>,
    carried: Vec<Carried>,
}

/// A count that goes on: its step before, its step now, and how far it was when the new table took it over.
#[derive(Debug)]
struct Carried {
    from: u32,
    to: u32,
    taken: Counters,
}

impl Carried {
    /// What came since.
    fn late(&self, table: &LiveTable) -> Counters {
        let sum = table.sum(self.from as usize);
        Counters {
            packets: sum.packets.saturating_sub(self.taken.packets),
            bytes: sum.bytes.saturating_sub(self.taken.bytes),
        }
    }
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
    fn new(mut rules: TableRules, before: Option<&Arc<Self>>, workers: usize, now: Time) -> Result<Self, Refusal> {
        let mut following = Following::of(before.map(Arc::as_ref));
        // In the order of the steps: a chain's rules, then its end.
        let mut starts = Vec::with_capacity(rules.chains.iter().map(|chain| chain.rules.len() + 1).sum());
        for chain in &mut rules.chains {
            for rule in &mut chain.rules {
                starts.push(match rule.count {
                    Count::Keep => following.start(rule.id),
                    Count::Set(counters) => {
                        // What is kept says "go on", so that the next command on this table does not set the counters back.
                        Arc::make_mut(rule).count = Count::Keep;
                        Start::Set(counters)
                    }
                });
            }
            starts.push(match &mut chain.kind {
                ChainKind::BuiltIn { id, count, .. } => match std::mem::replace(count, Count::Keep) {
                    Count::Keep => following.start(*id),
                    Count::Set(counters) => Start::Set(counters),
                },
                ChainKind::User => Start::Set(Counters::default()),
            });
        }
        let compiled = CompiledTable::compile(Arc::new(rules), now)?;
        let length = compiled.steps.len();
        let cells = || (0..length).map(|_| Cell::default()).collect::<Box<[Cell]>>();
        let start = cells();
        let mut carried = Vec::new();
        for (at, (cell, from)) in start.iter().zip(starts).enumerate() {
            let counters = match (from, before) {
                (Start::Set(counters), _) => counters,
                (Start::From(from), Some(before)) => {
                    let taken = before.sum(from as usize);
                    carried.push(Carried {
                        from,
                        to: at as u32,
                        taken,
                    });
                    taken
                }
                (Start::From(_), None) => continue,
            };
            cell.add(counters.packets, counters.bytes);
        }
        let before = before.map(|table| Before {
            table: Arc::clone(table),
            carried,
        });
        Ok(Self {
            compiled,
            workers: (0..workers.max(1)).map(|_| cells()).collect(),
            start,
            before: Mutex::new(before),
            texts: OnceLock::new(),
        })
    }

    /// The same table for a router of its own with one worker: counters and states go on from where these are.
    fn copy(&self, now: Time) -> Self {
        let compiled = self.compiled.copy(now);
        let cells = || {
            (0..compiled.steps.len())
                .map(|_| Cell::default())
                .collect::<Box<[Cell]>>()
        };
        let (start, worker) = (cells(), cells());
        let before = self.before.lock();
        let late = before
            .iter()
            .flat_map(|it| it.carried.iter().map(|count| (count.to, count.late(&it.table))));
        let sums = (0..).map(|at| (at, self.sum(at as usize)));
        for (at, sum) in sums.take(start.len()).chain(late) {
            start[at as usize].add(sum.packets, sum.bytes);
        }
        drop(before);
        Self {
            workers: Box::new([worker]),
            start,
            before: Mutex::default(),
            compiled,
            texts: OnceLock::new(),
        }
    }

    /// Takes over what was counted in the table before since this one was made, and lets go of it: to be called once no packet can be in it any
    /// more. Gives the table back, which is freed with the last that holds it.
    pub(super) fn settle(&self) -> Option<Arc<Self>> {
        let mut before = self.before.lock();
        let Before { table, carried } = before.take()?;
        for count in &carried {
            let late = count.late(&table);
            self.start[count.to as usize].add(late.packets, late.bytes);
        }
        Some(table)
    }

    /// What was counted at a step here and, as far as it is taken over already, in the tables before.
    fn sum(&self, step: usize) -> Counters {
        let mut sum = self.start[step].read();
        for cells in &self.workers {
            let read = cells[step].read();
            sum.packets += read.packets;
            sum.bytes += read.bytes;
        }
        sum
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
        let mut sums: Vec<Counters> = Vec::with_capacity(self.compiled.steps.len());
        let before = self.before.lock();
        sums.extend((0..self.compiled.steps.len()).map(|at| self.sum(at)));
        // What packets that came before the exchange still count there is not lost.
        if let Some(Before { table, carried }) = &*before {
            for count in carried {
                let (late, sum) = (count.late(table), &mut sums[count.to as usize]);
                sum.packets += late.packets;
                sum.bytes += late.bytes;
            }
        }
        drop(before);
        let steps = self.compiled.steps.iter().zip(sums);
        steps
            .filter(|(step, _)| !matches!(step.kind, StepKind::End))
            .map(|(step, sum)| (step.id, sum))
            .collect()
    }
}

/// Where a step's count begins.
enum Start {
    Set(Counters),
    /// Where this step of the table before is.
    From(u32),
}

/// The steps of the table before, asked for one after another. Most commands leave most rules in their order, so the next one asked for mostly
/// stands right behind the last.
struct Following<'a> {
    steps: &'a [Step],
    /// Behind the last that was asked for.
    next: usize,
    /// Every rule's step, made where one does not follow.
    index: Option<HashMap<CountId, usize>>,
}

impl<'a> Following<'a> {
    fn of(before: Option<&'a LiveTable>) -> Self {
        Self {
            steps: before.map_or(&[][..], |it| &it.compiled.steps[..]),
            next: 0,
            index: None,
        }
    }

    fn start(&mut self, id: CountId) -> Start {
        let steps = self.steps;
        let follows = (self.next..steps.len()).take(NEAR).find(|&at| steps[at].id == id);
        let found = follows.or_else(|| {
            let index = self
                .index
                .get_or_insert_with(|| steps.iter().enumerate().map(|(at, step)| (step.id, at)).collect());
            index.get(&id).copied()
        });
        match found {
            Some(at) => {
                self.next = at + 1;
                Start::From(at as u32)
            }
            None => Start::Set(Counters::default()),
        }
    }
}

/// How many rules and ends of chains may have gone in between.
const NEAR: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
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
        let table = live.of(Family::V4).table(Table::Filter).unwrap();
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
        let counters = live.of(Family::V4).table(Table::Filter).unwrap().counters();
        assert_eq!(counters[&first.id], Counters { packets: 2, bytes: 120 });
        assert_eq!(counters[&second.id], Counters { packets: 6, bytes: 57 });
        assert_eq!(counters[&third.id], Counters::default());
        assert_eq!(live.of(Family::V4).created(), [Table::Filter]);
        assert_eq!(live.of(Family::V6).created(), []);
    }

    /// The same table of another family is another table.
    #[test]
    fn families_have_tables_of_their_own() {
        let of = |family| {
            let mut rules = TableRules::new(family, Table::Filter);
            rules.chain_mut("INPUT").unwrap().rules.push(Arc::new(Rule {
                id: CountId::fresh(),
                count: Count::Keep,
                selector: Selector::any(family),
                matches: Vec::new(),
                action: Action::Nothing,
            }));
            rules
        };
        let live = Live::default().with_table(of(Family::V4), 1, Time::ZERO).unwrap();
        let none = TableRules::new(Family::V6, Table::Filter);
        let live = live.with_table(none, 1, Time::ZERO).unwrap();
        let rules = |family| {
            live.of(family)
                .table(Table::Filter)
                .map(|it| it.rules().rules().count())
        };
        assert_eq!((rules(Family::V4), rules(Family::V6)), (Some(1), Some(0)));
        let copy = live.copy(Time::ZERO);
        let rules = |family| {
            copy.of(family)
                .table(Table::Filter)
                .map(|it| it.rules().rules().count())
        };
        assert_eq!((rules(Family::V4), rules(Family::V6)), (Some(1), Some(0)));
    }

    #[test]
    fn what_is_counted_while_a_table_is_made_goes_on_in_it() {
        let rule = |count| {
            Arc::new(Rule {
                id: CountId::fresh(),
                count,
                selector: Selector::any(Family::V4),
                matches: Vec::new(),
                action: Action::Nothing,
            })
        };
        let (kept, set) = (rule(Count::Keep), rule(Count::Keep));
        let mut rules = TableRules::new(Family::V4, Table::Filter);
        rules.chain_mut("INPUT").unwrap().rules = vec![Arc::clone(&kept), Arc::clone(&set)];
        let before = Live::default().with_table(rules.clone(), 1, Time::ZERO).unwrap();
        let old = before.of(Family::V4).table(Table::Filter).unwrap();
        old.count(0, 0, 100);
        rules.chain_mut("INPUT").unwrap().rules[1] = Arc::new(Rule {
            count: Count::Set(Counters { packets: 7, bytes: 70 }),
            ..Rule::clone(&set)
        });
        let after = before.with_table(rules, 1, Time::ZERO).unwrap();
        let new = after.of(Family::V4).table(Table::Filter).unwrap();
        // A packet that saw the old table yet, and one that sees the new one.
        old.count(0, 0, 10);
        old.count(0, 1, 10);
        new.count(0, 0, 1);
        let expected = [
            (kept.id, Counters { packets: 3, bytes: 111 }),
            (set.id, Counters { packets: 7, bytes: 70 }),
        ];
        for step in ["before it is settled", "after that", "and once more"] {
            let counters = new.counters();
            for (id, counted) in expected {
                assert_eq!(counters[&id], counted, "{step}");
            }
            drop(new.settle());
        }
    }
}
