//! A table that is to come into force, beside the one that it replaces: which of its rules stood there, where each counts, and from which hooks its
//! chains can be reached.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::bound::Traits;
use super::compile::{CompiledTable, Seen};
use super::counting::Counter;
use super::following::Following;
use crate::base::{Pace, Piece};
use crate::rule::{Action, Chain, ChainKind, Count, Counters, Errno, Hook, HookSet, Refusal, Rule, TableRules};

/// What was found of a table.
pub(super) struct LookedAt {
    pub chains: Vec<LookedChain>,
    /// The rules that are not those of the table before, in their order.
    pub others: Vec<Other>,
    /// It has the chains of the table before, by name and in their order.
    pub same_chains: bool,
    /// How many places it needs to count at that nobody counts at yet.
    pub wanted: usize,
    pub seen: Seen,
}

pub(super) struct LookedChain {
    pub rules: Vec<LookedRule>,
    /// How many of its rules a packet can come to.
    pub alive: usize,
    /// Where those lead.
    calls: Vec<u32>,
    /// Any of all leads anywhere.
    leads: bool,
    /// Where its policy counts.
    pub end: Start,
}

/// Of a rule as little as there can be: there are as many as rules, and memory that is had for a moment costs more than what is written to it.
#[derive(Clone, Copy)]
pub(super) struct LookedRule {
    pub was: Was,
    /// The chain that it calls, or [`NO_CHAIN`].
    leads_to: u32,
}

/// What a rule was in the table before.
#[derive(Clone, Copy)]
pub(super) enum Was {
    /// The same, at this step.
    Same(u32),
    /// Another or none: the next of [`LookedAt::others`].
    Other,
}

/// A rule that is not one of the table before.
pub(super) struct Other {
    /// Where it counts from.
    pub start: Start,
    pub traits: Traits,
}

const NO_CHAIN: u32 = u32::MAX;

impl LookedRule {
    /// The chain that it calls.
    pub(super) fn leads_to(self) -> Option<u32> {
        (self.leads_to != NO_CHAIN).then_some(self.leads_to)
    }
}

/// Where a count begins.
pub(super) enum Start {
    From(Counters),
    /// Where it was counted in the table before.
    GoOn(Counter),
}

impl LookedAt {
    /// What rules and policies say of their counters is done by that, so that the next command on this table does not set them back.
    pub(super) fn table(rules: &mut TableRules, before: Option<&CompiledTable>, pace: Pace) -> Result<Self, Refusal> {
        let same_chains = before.is_some_and(|before| {
            let names = before.rules.chains.iter().map(|it| &it.name);
            names.eq(rules.chains.iter().map(|it| &it.name))
        });
        let mut looking = Looking {
            before: before.filter(|_| same_chains),
            following: Following::of(before),
            pace,
            wanted: 0,
            seen: Vec::new(),
            others: Vec::new(),
        };
        let mut chains: Vec<LookedChain> = rules.chains.iter_mut().map(|chain| looking.chain(chain)).collect();
        resolve_jumps(rules, &mut chains)?;
        Ok(Self {
            chains,
            others: looking.others,
            same_chains,
            wanted: looking.wanted,
            seen: looking.seen,
        })
    }

    /// For each chain the hooks it can be reached from; refuses a ruleset in which a chain reaches itself.
    ///
    /// Depth first from each built-in chain, without recursion, because a ruleset may be thousands of chains deep.
    pub(super) fn reached(&self, rules: &TableRules) -> Result<Vec<HookSet>, Refusal> {
        let mut reached = vec![HookSet::EMPTY; rules.chains.len()];
        for (root, chain) in rules.chains.iter().enumerate() {
            let ChainKind::BuiltIn { hook, .. } = chain.kind else {
                continue;
            };
            self.visit(root, hook, rules, &mut reached)?;
        }
        Ok(reached)
    }

    fn visit(&self, root: usize, hook: Hook, rules: &TableRules, reached: &mut [HookSet]) -> Result<(), Refusal> {
        let mut open = vec![false; self.chains.len()];
        let mut path = vec![(root, 0usize)];
        open[root] = true;
        reached[root].insert(hook);
        while let Some(top) = path.last_mut() {
            let (at, next) = *top;
            match self.chains[at].calls.get(next) {
                Some(&called) => {
                    top.1 += 1;
                    let called = called as usize;
                    if open[called] {
                        let name = &rules.chains[called].name;
                        return Err(Refusal::unlogged(
                            Errno::TooManyLevels,
                            format!("chain {name} can be reached from itself"),
                        ));
                    }
                    if !reached[called].contains(hook) {
                        reached[called].insert(hook);
                        open[called] = true;
                        path.push((called, 0));
                    }
                }
                None => {
                    open[at] = false;
                    path.pop();
                }
            }
        }
        Ok(())
    }
}

struct Looking<'a> {
    /// The table before, where it has the same chains.
    before: Option<&'a CompiledTable>,
    following: Following<'a>,
    pace: Pace,
    wanted: usize,
    seen: Seen,
    others: Vec<Other>,
}

impl Looking<'_> {
    fn chain(&mut self, chain: &mut Chain) -> LookedChain {
        let mut alive = None;
        let mut leads = false;
        let mut rules = Vec::with_capacity(chain.rules.len());
        for (position, rule) in chain.rules.iter_mut().enumerate() {
            self.pace.done(position, Piece::Seen);
            let (looked, traits) = self.rule(rule);
            leads |= traits.leads;
            if traits.stops_all && alive.is_none() {
                alive = Some(position + 1);
            }
            rules.push(looked);
        }
        let end = match &mut chain.kind {
            ChainKind::BuiltIn { id, count, .. } => {
                let count = std::mem::replace(count, Count::Keep);
                let before = match count {
                    Count::Set(_) => None,
                    Count::Keep | Count::Seen(_) => self.following.policy(*id),
                };
                self.start(count, before)
            }
            ChainKind::User => Start::From(Counters::default()),
        };
        LookedChain {
            alive: alive.unwrap_or(rules.len()),
            rules,
            leads,
            calls: Vec::new(),
            end,
        }
    }

    #[inline]
    fn rule(&mut self, rule: &mut Arc<Rule>) -> (LookedRule, Traits) {
        let was = self.following.rule(rule);
        if let Some((at, step, bound)) = was
            && Arc::ptr_eq(&bound.rule, rule)
        {
            let called = |before: &CompiledTable| before.steps[step.leads_to as usize].chain;
            let looked = LookedRule {
                was: Was::Same(at as u32),
                leads_to: self.before.filter(|_| bound.traits.leads).map_or(NO_CHAIN, called),
            };
            return (looked, bound.traits);
        }
        let count = rule.count;
        if count != Count::Keep {
            Arc::make_mut(rule).count = Count::Keep;
        }
        let start = self.start(count, was.map(|(.., bound)| &bound.counter));
        let traits = Traits::of(rule);
        self.others.push(Other { start, traits });
        let looked = LookedRule {
            was: Was::Other,
            leads_to: NO_CHAIN,
        };
        (looked, traits)
    }

    /// Where a count begins that says this of itself, and was there before.
    fn start(&mut self, count: Count, before: Option<&Counter>) -> Start {
        let start = match (count, before) {
            (Count::Set(counters), _) => Start::From(counters),
            (Count::Keep | Count::Seen(_), None) => Start::From(Counters::default()),
            (Count::Keep, Some(counter)) => Start::GoOn(counter.clone()),
            (Count::Seen(counters), Some(counter)) => {
                self.seen.push((counter.clone(), counters));
                Start::GoOn(counter.clone())
            }
        };
        self.wanted += usize::from(matches!(start, Start::From(_)));
        start
    }
}

/// Finds the chains that rules call.
fn resolve_jumps(rules: &TableRules, chains: &mut [LookedChain]) -> Result<(), Refusal> {
    let index = OnceCell::new();
    let find = |name: &String| {
        let index: &HashMap<&str, u32> = index.get_or_init(|| {
            let names = rules.chains.iter().enumerate();
            names.map(|(at, chain)| (chain.name.as_str(), at as u32)).collect()
        });
        let at = index.get(name.as_str()).copied();
        at.ok_or_else(|| Refusal::unlogged(Errno::NoEntry, format!("there is no chain {name}")))
    };
    for (chain, looked) in rules.chains.iter().zip(chains).filter(|(_, looked)| looked.leads) {
        for (position, (rule, it)) in chain.rules.iter().zip(&mut looked.rules).enumerate() {
            let (Action::Jump(name) | Action::Goto(name)) = &rule.action else {
                continue;
            };
            let to = match it.leads_to() {
                Some(to) => to,
                None => find(name)?,
            };
            it.leads_to = to;
            if position < looked.alive {
                looked.calls.push(to);
            }
        }
    }
    Ok(())
}
