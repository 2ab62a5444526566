//! The rulesets in force: published whole; what was counted goes on from one to the next.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::compile::{Around, Before, CompiledTable, Seen, StepKind};
use super::hooks::{Stage, StageSet};
use super::shared::{SharedCopies, SharedStates};
use crate::base::sync::ArcSwap;
use crate::base::{Family, Pace, Piece, Time};
use crate::conntrack::TimeoutPolicy;
use crate::rule::{CountId, Counters, Hook, Refusal, Rule, Table, TableRules};
use crate::set::AddressSets;

/// The tables that exist, as packets see them. Never changed: a change publishes another.
#[derive(Debug, Default)]
pub(super) struct Live {
    families: [LiveFamily; Family::ALL.len()],
}

/// The tables of one family.
#[derive(Clone, Debug)]
pub(super) struct LiveFamily {
    tables: [Option<Arc<LiveTable>>; Table::ALL.len()],
    /// In the order they came to exist.
    created: Vec<Table>,
    /// True when a rule of any table makes the kernel track connections.
    pub needs_conntrack: bool,
    /// The bits of TCP's flags that rules of any table ask for.
    pub tcp_flags: u8,
    /// The stages of each hook at which anything could be done: where nothing but rules needs tracking, and where all is tracked.
    stages: [[StageSet; Hook::ALL.len()]; 2],
}

impl Default for LiveFamily {
    fn default() -> Self {
        Self::of(Default::default(), Vec::new())
    }
}

impl LiveFamily {
    fn of(tables: [Option<Arc<LiveTable>>; Table::ALL.len()], created: Vec<Table>) -> Self {
        let needs_conntrack = tables.iter().flatten().any(|it| it.compiled.needs_conntrack);
        let tcp_flags = tables.iter().flatten().map(|it| it.compiled.tcp_flags);
        let tcp_flags = tcp_flags.fold(0, |all, flags| all | flags);
        let stages = [false, true].map(|all_is_tracked| {
            let tracks = needs_conntrack || all_is_tracked;
            let is_asked = |stage| match stage {
                Stage::Rules(table) => tables[table as usize].is_some(),
                Stage::Nat(_) => tables[Table::Nat as usize].is_some(),
                Stage::Defragment | Stage::Track => tracks,
                // Of a packet that brought a flow along.
                Stage::Confirm => true,
            };
            Hook::ALL.map(|hook| StageSet::of(hook, is_asked))
        });
        Self {
            tables,
            created,
            needs_conntrack,
            tcp_flags,
            stages,
        }
    }

    /// The stages of a hook at which anything could be done.
    #[inline]
    pub(super) fn stages(&self, hook: Hook, all_is_tracked: bool) -> StageSet {
        self.stages[usize::from(all_is_tracked)][hook as usize]
    }

    pub(super) fn table(&self, table: Table) -> Option<&Arc<LiveTable>> {
        self.tables[table as usize].as_ref()
    }

    /// Tables in the order they came to exist.
    pub(super) fn created(&self) -> &[Table] {
        &self.created
    }

    fn copy(&self, copies: &SharedCopies, sets: &dyn AddressSets, now: Time) -> Self {
        let copy = |table: &Option<Arc<LiveTable>>| table.as_ref().map(|table| Arc::new(table.copy(copies, sets, now)));
        Self::of(std::array::from_fn(|at| copy(&self.tables[at])), self.created.clone())
    }
}

impl Live {
    pub(super) fn of(&self, family: Family) -> &LiveFamily {
        &self.families[family as usize]
    }

    /// True when a rule of any family makes the kernel track connections.
    pub(super) fn needs_conntrack(&self) -> bool {
        self.families.iter().any(|tables| tables.needs_conntrack)
    }

    /// True when a rule of any table asks for labels.
    pub(super) fn needs_labels(&self) -> bool {
        self.tables().any(|table| table.compiled.needs_labels)
    }

    /// Whether a rule in force names this policy.
    pub(super) fn holds(&self, policy: &Arc<TimeoutPolicy>) -> bool {
        let mut held = self.tables().flat_map(|table| &table.compiled.policies);
        held.any(|held| Arc::ptr_eq(held, policy))
    }

    fn tables(&self) -> impl Iterator<Item = &Arc<LiveTable>> {
        self.families.iter().flat_map(|family| family.tables.iter().flatten())
    }

    /// All of it for a router of its own with one worker, which has the same sets.
    pub(super) fn copy(&self, sets: &dyn AddressSets, now: Time) -> Self {
        let copies = SharedCopies::of_all(&self.shared());
        Self {
            families: std::array::from_fn(|at| self.families[at].copy(&copies, sets, now)),
        }
    }

    /// Counts from nothing again, in all tables. To be called where no packet is under way. False where a rule keeps anything else, which goes on
    /// from where it is.
    pub(super) fn begin_again(&self) -> bool {
        let keep_nothing = self.tables().all(|table| table.compiled.keeps_only_counts());
        if keep_nothing {
            self.tables().for_each(|table| table.forget_counts());
        }
        keep_nothing
    }

    /// Whether something was counted, or set.
    pub(super) fn has_counted(&self) -> bool {
        self.tables().any(|table| table.counted().next().is_some())
    }

    /// What the rules of all tables share by name. What none of them names any more is gone.
    pub(super) fn shared(&self) -> SharedStates {
        self.tables().flat_map(|table| table.compiled.shared.iter()).collect()
    }

    /// A copy with one table replaced, or made. Counters go on where the rule says so; nothing of `self` changes.
    pub(super) fn with_table(
        &self,
        rules: TableRules,
        around: Around<'_>,
        workers: usize,
        now: Time,
    ) -> Result<Replacement, Refusal> {
        let (family, table) = (rules.family, rules.table);
        let before = self.of(family).table(table);
        let beside = Before {
            table: before.map(|table| &table.compiled),
            shared: self.shared(),
        };
        let (compiled, seen) = CompiledTable::compile(rules, beside, around, workers.max(1), now)?;
        let mut families = self.families.clone();
        let changed = &mut families[family as usize];
        let LiveFamily {
            mut tables,
            mut created,
            ..
        } = std::mem::take(changed);
        if before.is_none() {
            created.push(table);
        }
        tables[table as usize] = Some(Arc::new(LiveTable::of(compiled)));
        *changed = LiveFamily::of(tables, created);
        Ok(Replacement {
            live: Self { families },
            seen,
        })
    }
}

/// What is to be published, and what is to be done with it.
pub(super) struct Replacement {
    pub live: Live,
    /// Counters that go on in it without what was seen of them.
    seen: Seen,
}

impl Replacement {
    /// Puts it into force; returns what was.
    pub(super) fn publish(self, into: &ArcSwap<Live>) -> Arc<Live> {
        let before = into.swap(Arc::new(self.live));
        for (counter, seen) in self.seen {
            counter.hide(seen);
        }
        before
    }
}

/// A compiled table, as those who watch packets see it.
#[derive(Debug)]
pub struct LiveTable {
    pub(super) compiled: CompiledTable,
    /// The rules' texts, for who explains; made when they are asked for.
    texts: OnceLock<Box<[OnceLock<Box<str>>]>>,
}

impl LiveTable {
    /// The same table for a router of its own with one worker: counters and states go on from where these are.
    fn copy(&self, copies: &SharedCopies, sets: &dyn AddressSets, now: Time) -> Self {
        Self::of(self.compiled.copy(copies, sets, now))
    }

    fn of(compiled: CompiledTable) -> Self {
        Self {
            compiled,
            texts: OnceLock::new(),
        }
    }

    /// Drops it, as it is large, in pieces.
    pub(super) fn free(self, pace: Pace) {
        let CompiledTable { steps, rules, .. } = self.compiled;
        for (done, step) in steps.into_iter().enumerate() {
            drop(step);
            pace.done(done, Piece::Made);
        }
        for (done, rule) in rules.chains.into_iter().flat_map(|chain| chain.rules).enumerate() {
            drop(rule);
            pace.done(done, Piece::Made);
        }
    }

    /// What is in it, as it was typed.
    pub fn rules(&self) -> &TableRules {
        &self.compiled.rules
    }

    /// The rule at a step of the walk; `None` where a chain ends.
    pub fn rule(&self, step: u32) -> Option<&Arc<Rule>> {
        match &self.compiled.steps.get(step as usize)?.kind {
            StepKind::Rule(bound) => Some(&bound.rule),
            StepKind::Policy(_) | StepKind::End => None,
        }
    }

    /// How many steps the walk has: rules, and chains' ends.
    pub fn steps(&self) -> usize {
        self.compiled.steps.len()
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
        if let Some(counter) = self.compiled.steps[step as usize].counter() {
            counter.count(worker, bytes);
        }
    }

    fn forget_counts(&self) {
        for counter in self.compiled.steps.iter().filter_map(|step| step.counter()) {
            let sum = counter.sum();
            if sum != Counters::default() {
                counter.hide(sum);
            }
        }
    }

    /// The rules and policies that a packet came to, with the sums of all workers.
    pub fn counted(&self) -> impl Iterator<Item = (CountId, Counters)> {
        let steps = self.compiled.steps.iter();
        let sums = steps.filter_map(|step| Some((step.id()?, step.counter()?.sum())));
        sums.filter(|(_, counters)| counters.packets > 0)
    }

    /// The sums of all workers, by rule and policy.
    pub fn counters(&self) -> HashMap<CountId, Counters> {
        let steps = self.compiled.steps.iter();
        steps
            .filter_map(|step| Some((step.id()?, step.counter()?.sum())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::families;
    use crate::rule::{Action, Count, Selector};
    use crate::set::NoSets;

    families! {
        fn counters_follow_their_rule_from_one_ruleset_to_the_next(family: Family) {
            let rule = |count| {
                Arc::new(Rule {
                    id: CountId::fresh(),
                    count,
                    selector: Selector::any(family),
                    matches: Vec::new(),
                    action: Action::Nothing,
                })
            };
            let (first, second) = (rule(Count::Keep), rule(Count::Set(Counters { packets: 5, bytes: 50 })));
            let mut rules = TableRules::new(family, Table::Filter);
            rules.chain_mut("INPUT").unwrap().rules = vec![Arc::clone(&first), Arc::clone(&second)];
            let live = Live::default().with_table(rules, Around::nothing(), 2, Time::ZERO).unwrap().live;
            let table = live.of(family).table(Table::Filter).unwrap();
            table.count(0, 0, 100);
            table.count(1, 0, 20);
            table.count(1, 1, 7);
            // The two swap places, and a new one comes first.
            let mut rules = TableRules::clone(&table.compiled.rules);
            let input = rules.chain_mut("INPUT").unwrap();
            input.rules.reverse();
            let third = rule(Count::Keep);
            input.rules.insert(0, Arc::clone(&third));
            let live = live.with_table(rules, Around::nothing(), 2, Time::ZERO).unwrap().live;
            let counters = live.of(family).table(Table::Filter).unwrap().counters();
            assert_eq!(counters[&first.id], Counters { packets: 2, bytes: 120 });
            assert_eq!(counters[&second.id], Counters { packets: 6, bytes: 57 });
            assert_eq!(counters[&third.id], Counters::default());
            assert_eq!(live.of(family).created(), [Table::Filter]);
            for other in Family::ALL.into_iter().filter(|it| *it != family) {
                assert_eq!(live.of(other).created(), []);
            }
        }
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
        let live = Live::default()
            .with_table(of(Family::V4), Around::nothing(), 1, Time::ZERO)
            .unwrap()
            .live;
        let none = TableRules::new(Family::V6, Table::Filter);
        let live = live.with_table(none, Around::nothing(), 1, Time::ZERO).unwrap().live;
        let rules = |family| {
            live.of(family)
                .table(Table::Filter)
                .map(|it| it.rules().rules().count())
        };
        assert_eq!((rules(Family::V4), rules(Family::V6)), (Some(1), Some(0)));
        let copy = live.copy(&NoSets, Time::ZERO);
        let rules = |family| {
            copy.of(family)
                .table(Table::Filter)
                .map(|it| it.rules().rules().count())
        };
        assert_eq!((rules(Family::V4), rules(Family::V6)), (Some(1), Some(0)));
    }

    families! {
        fn what_is_counted_while_a_table_is_replaced_goes_on_in_the_next(family: Family) {
            let rule = || {
                Arc::new(Rule {
                    id: CountId::fresh(),
                    count: Count::Keep,
                    selector: Selector::any(family),
                    matches: Vec::new(),
                    action: Action::Nothing,
                })
            };
            let [kept, set, seen] = [rule(), rule(), rule()];
            let mut rules = TableRules::new(family, Table::Filter);
            rules.chain_mut("INPUT").unwrap().rules = vec![Arc::clone(&kept), Arc::clone(&set), Arc::clone(&seen)];
            let before = Live::default().with_table(rules.clone(), Around::nothing(), 1, Time::ZERO).unwrap().live;
            let old = Arc::clone(before.of(family).table(Table::Filter).unwrap());
            for step in 0..3 {
                old.count(0, step, 100);
            }
            let says = |rule: &Rule, count| {
                Arc::new(Rule {
                    count,
                    ..Rule::clone(rule)
                })
            };
            let input = &mut rules.chain_mut("INPUT").unwrap().rules;
            input[1] = says(&set, Count::Set(Counters { packets: 7, bytes: 70 }));
            input[2] = says(&seen, Count::Seen(old.counters()[&seen.id]));
            // Three packets that see the old table: before the new one is made, before it is in force, and after that.
            let pass = |table: &LiveTable, bytes| (0..3).for_each(|step| table.count(0, step, bytes));
            pass(&old, 10);
            let replacement = before.with_table(rules, Around::nothing(), 1, Time::ZERO).unwrap();
            pass(&old, 20);
            let published = ArcSwap::from_pointee(before);
            replacement.publish(&published);
            pass(&old, 30);
            let live = published.load_full();
            let new = live.of(family).table(Table::Filter).unwrap();
            pass(new, 1);
            let counters = new.counters();
            for (rule, packets, bytes) in [(&kept, 5, 161), (&set, 8, 71), (&seen, 4, 61)] {
                assert_eq!(counters[&rule.id], Counters { packets, bytes });
            }
        }
    }
}
