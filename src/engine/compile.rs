//! From a table as written to a table as walked: chains flat in one array, jumps as positions, state made, the kernel's own checks passed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::reason::Place;
use super::shared::{Joining, SharedCopies, SharedStates};
use crate::base::Time;
use crate::conntrack::{TimeoutPolicies, TimeoutPolicy};
use crate::rule::{
    Action, BoundState, Chain, ChainKind, CountId, Errno, Hook, HookSet, Match, Policy, Refusal, Rule, Scope, Selector,
    State, TableRules, Target, TrackingNow,
};
use crate::set::{AddressSets, HeldSets};

/// A table in the form that packets walk.
pub(super) struct CompiledTable {
    pub rules: Arc<TableRules>,
    /// Every chain's rules, each chain followed by its end.
    pub steps: Box<[Step]>,
    /// Where a hook's chain begins, and where its policy stands.
    pub entries: [Option<Entry>; 5],
    /// The chains' names, shared with the reasons that name them.
    pub names: Box<[Arc<str>]>,
    /// True when a rule makes the kernel track connections.
    pub needs_conntrack: bool,
    /// True when flows that begin while it is in force have room for labels.
    pub needs_labels: bool,
    /// What its rules share by name, among them and with those of other tables.
    pub shared: SharedStates,
    /// Those that its rules name, held for as long as the table is in force.
    pub sets: HeldSets,
    /// The timeout policies that its rules name: none of them can go.
    pub policies: Vec<Arc<TimeoutPolicy>>,
}

/// What the rules of a table may ask of what is around it when they come into force.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub sets: &'a dyn AddressSets,
    pub tracking: TrackingNow<'a>,
}

/// A hook's way into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub start: u32,
    /// The step that RETURN leads to when no chain was jumped from.
    pub policy: u32,
}

/// One position of the flat table. Its counters have the same index.
pub(super) struct Step {
    pub chain: u32,
    /// Position in its chain from 1, as the tools number rules.
    pub number: u32,
    pub kind: StepKind,
    pub id: CountId,
}

pub(super) enum StepKind {
    Rule {
        selector: Selector,
        matches: Box<[BoundMatch]>,
        action: BoundAction,
        rule: Arc<Rule>,
    },
    /// The end of a built-in chain.
    Policy(Policy),
    /// The end of a user chain.
    End,
}

/// A match and its state in this table.
pub(super) struct BoundMatch {
    pub test: Arc<dyn Match>,
    pub state: Option<BoundState>,
}

pub(super) enum BoundAction {
    Nothing,
    Accept,
    Drop,
    Return,
    Queue,
    Jump(u32),
    Goto(u32),
    Target {
        target: Arc<dyn Target>,
        state: Option<Box<State>>,
    },
}

impl CompiledTable {
    /// Checks as the kernel checks: targets of jumps exist, no chain reaches itself, every extension may stand where it is reached from.
    pub(super) fn compile(
        rules: Arc<TableRules>,
        in_force: SharedStates,
        around: Around<'_>,
        now: Time,
    ) -> Result<Self, Refusal> {
        let mut sharing = Joining::beside(in_force);
        let mut held = HeldSets::default();
        let mut policies = Vec::new();
        let index: HashMap<&str, usize> = rules
            .chains
            .iter()
            .enumerate()
            .map(|(at, chain)| (chain.name.as_str(), at))
            .collect();
        let reached = reach(&rules, &index)?;
        let mut starts = Vec::with_capacity(rules.chains.len());
        let mut next = 0u32;
        for chain in &rules.chains {
            starts.push(next);
            next += chain.rules.len() as u32 + 1;
        }
        let mut steps = Vec::with_capacity(next as usize);
        let mut entries = [None; 5];
        for (at, chain) in rules.chains.iter().enumerate() {
            let alive = alive(chain);
            for (position, rule) in chain.rules.iter().enumerate() {
                // Behind a rule that stops every packet nothing is reached, from no hook.
                let hooks = if position < alive { reached[at] } else { HookSet::EMPTY };
                check(&rules, rule, hooks, around.tracking.policies)?;
                hold(rule, &mut held, around.sets)?;
                policies.extend(policy_of(rule, around.tracking.policies));
                steps.push(Step {
                    chain: at as u32,
                    number: position as u32 + 1,
                    id: rule.id,
                    kind: StepKind::Rule {
                        selector: rule.selector,
                        matches: bind(rule, &mut sharing, now),
                        action: bind_action(&rule.action, &index, &starts, &around.tracking)?,
                        rule: Arc::clone(rule),
                    },
                });
            }
            let (kind, id) = match &chain.kind {
                ChainKind::BuiltIn { hook, policy, id, .. } => {
                    entries[*hook as usize] = Some(Entry {
                        start: starts[at],
                        policy: steps.len() as u32,
                    });
                    (StepKind::Policy(*policy), *id)
                }
                ChainKind::User => (StepKind::End, CountId::fresh()),
            };
            steps.push(Step {
                chain: at as u32,
                number: chain.rules.len() as u32 + 1,
                kind,
                id,
            });
        }
        let needs_conntrack = rules.rules().any(|rule| rule.needs_conntrack());
        let needs_labels = rules.rules().any(|rule| rule.needs_labels());
        let rules = read_back(rules, &mut steps);
        let names = rules
            .chains
            .iter()
            .map(|chain| Arc::from(chain.name.as_str()))
            .collect();
        Ok(Self {
            steps: steps.into(),
            entries,
            names,
            needs_conntrack,
            needs_labels,
            shared: sharing.joined,
            sets: held,
            policies,
            rules,
        })
    }

    /// The same table with states of its own, which go on from where these are.
    pub(super) fn copy(&self, copies: &SharedCopies, sets: &dyn AddressSets, now: Time) -> Self {
        let steps = self.steps.iter().map(|step| Step {
            chain: step.chain,
            number: step.number,
            id: step.id,
            kind: match &step.kind {
                StepKind::Rule {
                    selector,
                    matches,
                    action,
                    rule,
                } => StepKind::Rule {
                    selector: *selector,
                    matches: matches.iter().map(|bound| bound.copy(copies, now)).collect(),
                    action: action.copy(),
                    rule: Arc::clone(rule),
                },
                StepKind::Policy(policy) => StepKind::Policy(*policy),
                StepKind::End => StepKind::End,
            },
        });
        Self {
            rules: Arc::clone(&self.rules),
            steps: steps.collect(),
            entries: self.entries,
            names: self.names.clone(),
            needs_conntrack: self.needs_conntrack,
            needs_labels: self.needs_labels,
            policies: self.policies.clone(),
            shared: copies.of(&self.shared),
            sets: self.sets.of(sets),
        }
    }

    pub(super) fn chain(&self, step: &Step) -> &Chain {
        &self.rules.chains[step.chain as usize]
    }

    pub(super) fn is_policy(&self, step: u32) -> bool {
        matches!(self.steps[step as usize].kind, StepKind::Policy(_))
    }

    /// Where a step stands, as people say it.
    pub(super) fn place(&self, step: u32) -> Place {
        let step = &self.steps[step as usize];
        Place {
            table: self.rules.table,
            chain: Arc::clone(&self.names[step.chain as usize]),
            number: step.number,
        }
    }
}

#[cfg(test)]
impl Around<'_> {
    pub(super) fn nothing() -> Self {
        static SETTINGS: std::sync::LazyLock<crate::conntrack::Settings> = std::sync::LazyLock::new(Default::default);
        Self {
            sets: &crate::set::NoSets,
            tracking: TrackingNow {
                settings: &SETTINGS,
                policies: TimeoutPolicies::none(),
                heard: false,
            },
        }
    }
}

impl BoundMatch {
    fn copy(&self, copies: &SharedCopies, now: Time) -> Self {
        let own = |state: Option<Box<State>>| state.or_else(|| self.test.state(now)).map(BoundState::Own);
        Self {
            test: Arc::clone(&self.test),
            state: match &self.state {
                Some(BoundState::Shared(state)) => Some(BoundState::Shared(copies.copy_of(state))),
                Some(BoundState::Own(state)) => own(self.test.copy_state(state.as_ref())),
                None => own(None),
            },
        }
    }
}

impl BoundAction {
    fn copy(&self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Accept => Self::Accept,
            Self::Drop => Self::Drop,
            Self::Return => Self::Return,
            Self::Queue => Self::Queue,
            Self::Jump(to) => Self::Jump(*to),
            Self::Goto(to) => Self::Goto(*to),
            Self::Target { target, state } => Self::Target {
                target: Arc::clone(target),
                state: state.as_deref().and_then(|state| target.copy_state(state)),
            },
        }
    }
}

impl fmt::Debug for CompiledTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CompiledTable({}, {} steps)",
            self.rules.table.name(),
            self.steps.len()
        )
    }
}

fn bind(rule: &Rule, sharing: &mut Joining, now: Time) -> Box<[BoundMatch]> {
    rule.matches
        .iter()
        .map(|test| BoundMatch {
            test: Arc::clone(test),
            state: match test.sharing() {
                Some(named) => Some(BoundState::Shared(sharing.join(named))),
                None => test.state(now).map(BoundState::Own),
            },
        })
        .collect()
}

fn bind_action(
    action: &Action,
    index: &HashMap<&str, usize>,
    starts: &[u32],
    tracking: &TrackingNow<'_>,
) -> Result<BoundAction, Refusal> {
    let start = |name: &String| {
        index
            .get(name.as_str())
            .map(|&at| starts[at])
            .ok_or_else(|| no_chain(name))
    };
    Ok(match action {
        Action::Nothing => BoundAction::Nothing,
        Action::Accept => BoundAction::Accept,
        Action::Drop => BoundAction::Drop,
        Action::Return => BoundAction::Return,
        Action::Queue => BoundAction::Queue,
        Action::Jump(name) => BoundAction::Jump(start(name)?),
        Action::Goto(name) => BoundAction::Goto(start(name)?),
        Action::Target(target) => BoundAction::Target {
            target: Arc::clone(target),
            state: target.state(tracking),
        },
    })
}

/// The sets that a rule names. The tool has asked the kernel for each before, so that it finds them missing itself (`Set NAME doesn't exist.`).
fn hold(rule: &Rule, held: &mut HeldSets, sets: &dyn AddressSets) -> Result<(), Refusal> {
    let mut named = rule.matches.iter().flat_map(|test| test.sets());
    let of_target = match &rule.action {
        Action::Target(target) => target.sets(),
        _ => Vec::new(),
    };
    let missing = named
        .find(|name| !held.hold(name, sets))
        .or_else(|| of_target.into_iter().find(|name| !held.hold(name, sets)));
    match missing {
        None => Ok(()),
        Some(name) => Err(Refusal::unlogged(Errno::NoEntry, format!("there is no set {name}"))),
    }
}

/// The timeout policy that a rule names.
fn policy_of(rule: &Rule, policies: &TimeoutPolicies) -> Option<Arc<TimeoutPolicy>> {
    match &rule.action {
        Action::Target(target) => policies.find(target.timeout_policy()?),
        _ => None,
    }
}

/// What the kernel gives back of some rules is not what it got.
fn read_back(mut rules: Arc<TableRules>, steps: &mut [Step]) -> Arc<TableRules> {
    for step in steps {
        let StepKind::Rule { rule, .. } = &mut step.kind else {
            continue;
        };
        let Some(given_back) = rule.read_back() else {
            continue;
        };
        *rule = Arc::new(given_back);
        let chain = &mut Arc::make_mut(&mut rules).chains[step.chain as usize];
        chain.rules[step.number as usize - 1] = Arc::clone(rule);
    }
    rules
}

fn no_chain(name: &str) -> Refusal {
    Refusal::unlogged(Errno::NoEntry, format!("there is no chain {name}"))
}

fn check(rules: &TableRules, rule: &Rule, hooks: HookSet, policies: &TimeoutPolicies) -> Result<(), Refusal> {
    let scope = Scope {
        policies,
        ..Scope::without_policies(rules.table, hooks, rule)
    };
    for test in &rule.matches {
        test.check(&scope)?;
    }
    match &rule.action {
        Action::Target(target) => target.check(&scope),
        _ => Ok(()),
    }
}

/// For each chain the hooks it can be reached from; refuses a ruleset in which a chain reaches itself.
///
/// Depth first from each built-in chain, without recursion, because a ruleset may be thousands of chains deep.
fn reach(rules: &TableRules, index: &HashMap<&str, usize>) -> Result<Vec<HookSet>, Refusal> {
    let calls: Vec<Vec<usize>> = rules
        .chains
        .iter()
        .map(|chain| {
            let mut called = Vec::new();
            let alive = alive(chain);
            for (position, rule) in chain.rules.iter().enumerate() {
                if let Action::Jump(name) | Action::Goto(name) = &rule.action {
                    let at = *index.get(name.as_str()).ok_or_else(|| no_chain(name))?;
                    if position < alive {
                        called.push(at);
                    }
                }
            }
            Ok(called)
        })
        .collect::<Result<_, Refusal>>()?;
    let mut reached = vec![HookSet::EMPTY; rules.chains.len()];
    for (root, chain) in rules.chains.iter().enumerate() {
        let ChainKind::BuiltIn { hook, .. } = chain.kind else {
            continue;
        };
        visit(root, hook, rules, &calls, &mut reached)?;
    }
    Ok(reached)
}

/// How many of a chain's rules a packet can come to.
///
/// The kernel's search stops at a rule without any condition that accepts, drops, queues or returns: a loop behind it is taken, and so is
/// a target that could not stand there. A match that matches everything (`-m comment`) is a condition to it, and a jump ends nothing.
fn alive(chain: &Chain) -> usize {
    let ends = |rule: &Arc<Rule>| {
        rule.matches.is_empty()
            && rule.selector == Selector::any(rule.selector.family)
            && matches!(
                rule.action,
                Action::Accept | Action::Drop | Action::Return | Action::Queue
            )
    };
    chain.rules.iter().position(ends).map_or(chain.rules.len(), |at| at + 1)
}

fn visit(
    root: usize,
    hook: Hook,
    rules: &TableRules,
    calls: &[Vec<usize>],
    reached: &mut [HookSet],
) -> Result<(), Refusal> {
    let mut open = vec![false; calls.len()];
    let mut path = vec![(root, 0usize)];
    open[root] = true;
    reached[root].insert(hook);
    while let Some(top) = path.last_mut() {
        let (at, next) = *top;
        match calls[at].get(next) {
            Some(&called) => {
                top.1 += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;
    use crate::rule::{Count, Table};

    fn rule(action: Action) -> Arc<Rule> {
        Arc::new(Rule {
            id: CountId::fresh(),
            count: Count::Keep,
            selector: Selector::any(Family::V4),
            matches: Vec::new(),
            action,
        })
    }

    fn table(chains: &[(&str, &[Action])]) -> TableRules {
        let mut table = TableRules::new(Family::V4, Table::Filter);
        for (name, actions) in chains {
            if table.chain(name).is_none() {
                table.chains.push(Chain {
                    name: (*name).to_owned(),
                    kind: ChainKind::User,
                    rules: Vec::new(),
                });
            }
            let rules = actions.iter().cloned().map(rule).collect();
            table.chain_mut(name).unwrap().rules = rules;
        }
        table
    }

    #[test]
    fn loops_are_refused_and_diamonds_are_not() {
        let jump = |name: &str| Action::Jump(name.to_owned());
        let diamond = table(&[
            ("INPUT", &[jump("a"), jump("b")]),
            ("a", &[jump("c")]),
            ("b", &[jump("c")]),
            ("c", &[]),
        ]);
        assert!(
            CompiledTable::compile(
                Arc::new(diamond),
                SharedStates::default(),
                Around::nothing(),
                Time::ZERO
            )
            .is_ok()
        );
        let looped = table(&[("INPUT", &[jump("a")]), ("a", &[jump("b")]), ("b", &[jump("a")])]);
        let refusal = CompiledTable::compile(Arc::new(looped), SharedStates::default(), Around::nothing(), Time::ZERO)
            .unwrap_err();
        assert_eq!(refusal.errno, Errno::TooManyLevels);
        let own = table(&[("INPUT", &[jump("a")]), ("a", &[Action::Goto("a".to_owned())])]);
        assert_eq!(
            CompiledTable::compile(Arc::new(own), SharedStates::default(), Around::nothing(), Time::ZERO)
                .unwrap_err()
                .errno,
            Errno::TooManyLevels
        );
    }

    /// Seen with iptables-legacy 1.8.9 on a kernel 6.18.
    #[test]
    fn a_loop_behind_a_rule_that_stops_everything_is_taken() {
        let jump = |name: &str| Action::Jump(name.to_owned());
        let refused = |stop: Action| {
            let looped = table(&[("INPUT", &[jump("a")]), ("a", &[stop, jump("a")])]);
            CompiledTable::compile(Arc::new(looped), SharedStates::default(), Around::nothing(), Time::ZERO).is_err()
        };
        for stop in [Action::Accept, Action::Drop, Action::Return, Action::Queue] {
            assert!(!refused(stop));
        }
        assert!(refused(Action::Nothing));
        let mut conditional = table(&[("INPUT", &[jump("a")]), ("a", &[Action::Accept, jump("a")])]);
        let chain = conditional.chains.iter_mut().find(|chain| chain.name == "a").unwrap();
        Arc::make_mut(&mut chain.rules[0]).selector.source_inverted = true;
        assert!(
            CompiledTable::compile(
                Arc::new(conditional),
                SharedStates::default(),
                Around::nothing(),
                Time::ZERO
            )
            .is_err()
        );
    }

    #[test]
    fn a_loop_that_no_hook_reaches_is_taken() {
        let jump = |name: &str| Action::Jump(name.to_owned());
        let unreached = table(&[("a", &[jump("b")]), ("b", &[jump("a")])]);
        assert!(
            CompiledTable::compile(
                Arc::new(unreached),
                SharedStates::default(),
                Around::nothing(),
                Time::ZERO
            )
            .is_ok()
        );
    }

    #[test]
    fn jumps_into_nowhere_are_refused() {
        let lost = table(&[("INPUT", &[Action::Jump("nowhere".to_owned())])]);
        assert_eq!(
            CompiledTable::compile(Arc::new(lost), SharedStates::default(), Around::nothing(), Time::ZERO)
                .unwrap_err()
                .errno,
            Errno::NoEntry
        );
    }
}
