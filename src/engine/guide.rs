//! Which rule a walk asks next: the one behind, or, in a chain with an index, the next that may match.
//!
//! A rule that is passed over is one that would not match and that nothing else happens at, so a walk is the same with a guide as without: who
//! looks at every rule ([`Observer::IN_DETAIL`](super::Observer::IN_DETAIL)) has none.

use std::collections::HashMap;
use std::sync::Arc;

use super::compile::CompiledTable;
use super::foreseen::{Foreseen, IndexPlace};
use crate::base::{Pace, Piece};
use crate::classify::{Candidate, Candidates, ChainIndex, FEWEST_RULES, Key};
use crate::rule::{Action, Chain, Changes, Ends, Rule, TableRules};

/// The indexes of a table's chains.
#[derive(Clone)]
pub(super) struct Indexes {
    /// By chain; of none where no chain has one.
    of: Box<[Option<Arc<ChainIndex>>]>,
    /// What of a packet they were asked about.
    parts: Changes,
    /// Any of them asks for interfaces.
    ask_names: bool,
}

impl Indexes {
    /// Of a table's rules. A chain that is in the table before too, with a rule or a few more or less, has the index of that one, changed in place.
    pub(super) fn new(rules: &TableRules, before: Option<&CompiledTable>, pace: Pace) -> Self {
        let before = before.map(|before| before.indexes.by_name(&before.rules));
        let index = |chain: &Chain| {
            if chain.rules.len() < FEWEST_RULES {
                return None;
            }
            let was = before.as_ref().and_then(|before| before.get(chain.name.as_str()));
            if let Some((rules, index)) = was
                && let Some(index) = follow(index, rules, &chain.rules)
            {
                return Some(index);
            }
            let lower = |(done, rule): (usize, &Arc<Rule>)| {
                pace.done(done, Piece::Made);
                (rule.lower(), ends(rule))
            };
            ChainIndex::new(rules.family, chain.rules.iter().enumerate().map(lower), pace).map(Arc::new)
        };
        let indexes: Vec<Option<Arc<ChainIndex>>> = rules.chains.iter().map(index).collect();
        let all = indexes.iter().flatten();
        let parts = all.fold(Changes::NONE, |parts, index| parts.and(index.parts()));
        let has_one = indexes.iter().any(Option::is_some);
        Self {
            parts,
            ask_names: indexes.iter().flatten().any(|index| index.asks_names()),
            of: if has_one { indexes.into() } else { Box::default() },
        }
    }

    /// Of the chain of this number.
    #[inline]
    pub(super) fn of_chain(&self, chain: u32) -> Option<&ChainIndex> {
        self.of.get(chain as usize)?.as_deref()
    }

    /// Chains that have an index, with their rules.
    fn by_name<'a>(&'a self, rules: &'a TableRules) -> HashMap<&'a str, (&'a [Arc<Rule>], &'a Arc<ChainIndex>)> {
        let chains = rules.chains.iter().zip(&self.of);
        let indexed = chains.filter_map(|(chain, index)| Some((chain, index.as_ref()?)));
        indexed
            .map(|(chain, index)| (chain.name.as_str(), (&chain.rules[..], index)))
            .collect()
    }
}

/// More rules than that at once are filed faster with all others.
const MOST_CHANGES: usize = 8;

/// The index of a chain made out of that of the chain before, where only a few rules came or went, all in one place.
fn follow(index: &Arc<ChainIndex>, before: &[Arc<Rule>], now: &[Arc<Rule>]) -> Option<Arc<ChainIndex>> {
    let alike = |(was, is): &(&Arc<Rule>, &Arc<Rule>)| asks_the_same(was, is);
    let first = before.iter().zip(now).take_while(alike).count();
    let (gone, came) = (&before[first..], &now[first..]);
    let last = gone.iter().rev().zip(came.iter().rev()).take_while(alike).count();
    let (gone, came) = (gone.len() - last, &came[..came.len() - last]);
    if gone + came.len() > MOST_CHANGES || index.is_worn() {
        return None;
    }
    let mut index = Arc::clone(index);
    for _ in 0..gone {
        index = Arc::new(index.with_removed(first as u32)?);
    }
    for (at, rule) in (first..).zip(came) {
        index = Arc::new(index.with_inserted(at as u32, &rule.lower()));
    }
    Some(index)
}

/// Whether a packet that matches it goes no further in its chain.
fn ends(rule: &Rule) -> bool {
    match &rule.action {
        Action::Accept | Action::Drop | Action::Return | Action::Queue | Action::Goto(_) => true,
        Action::Target(target) => target.effect().ends == Ends::Always,
        Action::Nothing | Action::Jump(_) => false,
    }
}

/// The same rule, whatever it counts, and whatever it does as long as packets go as far.
fn asks_the_same(one: &Arc<Rule>, other: &Arc<Rule>) -> bool {
    let are_the_same = |(one, other): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(one, other);
    Arc::ptr_eq(one, other)
        || ends(one) == ends(other)
            && one.selector == other.selector
            && one.matches.len() == other.matches.len()
            && one.matches.iter().zip(&other.matches).all(are_the_same)
}

/// Where a walk goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub at: u32,
    /// The rule there matches, and asking it would do nothing else.
    pub matches: bool,
}

/// Of one walk.
pub(super) struct Guide<'t> {
    /// `None` where no chain has an index, or who watches wants to see every rule.
    indexes: Option<&'t Indexes>,
    table: &'t CompiledTable,
    /// That of the chain that the walk is in, and where it begins.
    index: Option<&'t ChainIndex>,
    start: u32,
    /// What was foreseen of the packet.
    foreseen: &'t mut Foreseen,
    /// As the packet was when it was last asked about.
    key: Option<Key>,
    asked: Option<Asked<'t>>,
}

/// Kept while the walk is in a chain that is jumped to, if that has no index.
struct Asked<'t> {
    /// Where the chain begins.
    start: u32,
    /// It was asked from here on.
    from: u32,
    candidates: Candidates<'t>,
}

impl<'t> Guide<'t> {
    pub(super) fn new(table: &'t CompiledTable, sees_all: bool, foreseen: &'t mut Foreseen) -> Self {
        Self {
            indexes: (!sees_all && !table.indexes.of.is_empty()).then_some(&table.indexes),
            table,
            index: None,
            start: 0,
            foreseen,
            key: None,
            asked: None,
        }
    }

    /// The walk comes to a step otherwise than from the one before.
    #[inline]
    pub(super) fn enter(&mut self, at: u32) {
        if let Some(indexes) = self.indexes {
            let step = &self.table.steps[at as usize];
            self.index = indexes.of[step.chain as usize].as_deref();
            self.start = at + 1 - step.number;
        }
    }

    /// The first step from there on, in the same chain, that the packet has to come to. `key` is told whether it is to have the names of interfaces.
    #[inline]
    pub(super) fn next(&mut self, at: u32, key: impl FnOnce(bool) -> Key) -> Next {
        match self.index {
            Some(index) => self.next_of(index, at, key),
            None => Next { at, matches: false },
        }
    }

    #[inline(never)]
    fn next_of(&mut self, index: &'t ChainIndex, at: u32, key: impl FnOnce(bool) -> Key) -> Next {
        let asked_as_ever = Next { at, matches: false };
        let (start, from) = (self.start, at - self.start);
        // Both are made where they stay: each copy would cost as much as a rule or two.
        if self.key.is_none() {
            self.key = Some(key(self.indexes.is_some_and(|indexes| indexes.ask_names)));
        }
        let Some(key) = &self.key else {
            return asked_as_ever;
        };
        match &mut self.asked {
            Some(asked) if asked.start == start && asked.from <= from => asked.from = from,
            // Until it leaves the chain, every rule is asked.
            _ if !index.knows(key) => {
                self.index = None;
                return asked_as_ever;
            }
            _ => {
                let place = IndexPlace {
                    family: self.table.rules.family,
                    table: self.table.rules.table,
                    start,
                };
                self.foreseen.note(place, key);
                self.asked = Some(Asked {
                    start,
                    from,
                    candidates: index.candidates(key, from, self.foreseen.of(place)),
                });
            }
        }
        let Some(asked) = &mut self.asked else {
            return asked_as_ever;
        };
        let Candidate { step, matches } = asked.candidates.next(key, from);
        Next {
            at: start + step,
            matches,
        }
    }

    /// A target was applied that may have changed these parts of the packet.
    pub(super) fn changed(&mut self, parts: Changes) {
        if self.indexes.is_some_and(|indexes| parts.touches(indexes.parts)) {
            self.key = None;
            self.asked = None;
        }
    }
}

#[cfg(test)]
mod tests;
