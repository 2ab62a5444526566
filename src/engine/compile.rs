//! From a table as written to a table as walked: chains flat in one array, jumps as positions, state made, the kernel's own checks passed.
//!
//! Most tables come out of the one that they replace, by a rule more or less. A rule that stood there already and has
//! nothing that begins anew is not made again, nor checked where it is reached from the same hooks: of each of these it is only seen that it is the same.

use std::fmt;
use std::sync::Arc;

use super::bound::{BoundRule, Plainness, Traits};
use super::coming::{LookedAt, Other, Start, Was};
use super::counting::{Counter, Places};
use super::guide::Indexes;
use super::outcome::{MakingOutcomes, Outcomes};
use super::reason::Place;
use super::shared::{Joining, SharedCopies, SharedStates};
use crate::base::{Pace, Piece, Time};
use crate::classify::ChainIndex;
use crate::conntrack::{TimeoutPolicies, TimeoutPolicy};
use crate::rule::{
    Action, Chain, ChainKind, CountId, Counters, Errno, HookSet, Policy, Refusal, Rule, Scope, State, Table,
    TableRules, Target, TrackingNow,
};
use crate::set::{AddressSets, HeldSets};

/// A table in the form that packets walk.
pub(super) struct CompiledTable {
    pub rules: TableRules,
    /// Every chain's rules, each chain followed by its end.
    pub steps: Box<[Step]>,
    /// What each of them does once a packet has met it.
    pub outcomes: Outcomes,
    /// Which rules of a chain a packet can pass over.
    pub indexes: Indexes,
    /// Where a hook's chain begins, and where its policy stands.
    pub entries: [Option<Entry>; 5],
    /// The chains' names, shared with the reasons that name them.
    pub names: Arc<[Arc<str>]>,
    /// True when a rule makes the kernel track connections.
    pub needs_conntrack: bool,
    /// True when flows that begin while it is in force have room for labels.
    pub needs_labels: bool,
    /// The bits of TCP's flags that rules ask for.
    pub tcp_flags: u8,
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
    /// What is done between two pieces of a large table.
    pub pace: Pace,
}

/// What a table comes after.
pub(super) struct Before<'a> {
    /// The table that it replaces.
    pub table: Option<&'a CompiledTable>,
    /// What the rules of all tables share by name.
    pub shared: SharedStates,
}

/// A hook's way into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub start: u32,
    /// The step that RETURN leads to when no chain was jumped from.
    pub policy: u32,
}

/// One position of the flat table.
pub(super) struct Step {
    pub kind: StepKind,
    pub chain: u32,
    /// Position in its chain from 1, as the tools number rules.
    pub number: u32,
    /// The first step of the chain that a jump calls.
    pub leads_to: u32,
    /// From where a rule is reached, as it was checked.
    hooks: HookSet,
}

pub(super) enum StepKind {
    Rule(Arc<BoundRule>),
    /// The end of a built-in chain.
    Policy(Box<PolicyEnd>),
    /// The end of a user chain.
    End,
}

pub(super) struct PolicyEnd {
    pub policy: Policy,
    pub id: CountId,
    pub counter: Counter,
}

impl Step {
    /// Under what it is counted.
    pub(super) fn id(&self) -> Option<CountId> {
        match &self.kind {
            StepKind::Rule(bound) => Some(bound.rule.id),
            StepKind::Policy(end) => Some(end.id),
            StepKind::End => None,
        }
    }

    /// Where it is counted.
    pub(super) fn counter(&self) -> Option<&Counter> {
        match &self.kind {
            StepKind::Rule(bound) => Some(&bound.counter),
            StepKind::Policy(end) => Some(&end.counter),
            StepKind::End => None,
        }
    }
}

/// Counters that go on in a table without what was seen of them.
pub(super) type Seen = Vec<(Counter, Counters)>;

impl CompiledTable {
    /// Checks as the kernel checks: targets of jumps exist, no chain reaches itself, every extension may stand where it is reached from.
    ///
    /// Also gives the counters that were seen, and of which that much is to be hidden once the table is in force.
    pub(super) fn compile(
        mut rules: TableRules,
        before: Before<'_>,
        around: Around<'_>,
        workers: usize,
        now: Time,
    ) -> Result<(Self, Seen), Refusal> {
        let looked = LookedAt::table(&mut rules, before.table, around.pace)?;
        let reached = looked.reached(&rules)?;
        let mut making = Making {
            table: rules.table,
            before: before.table,
            others: looked.others.into_iter(),
            starts: starts(&rules),
            places: Places::new(workers, looked.wanted),
            sharing: Joining::beside(before.shared),
            sets: HeldSets::default(),
            policies: Vec::new(),
            needs_conntrack: false,
            needs_labels: false,
            tcp_flags: 0,
            made: 0,
            around,
            now,
        };
        let count = rules.chains.iter().map(|chain| chain.rules.len() + 1).sum();
        let mut steps = Vec::with_capacity(count);
        let mut outcomes = MakingOutcomes::new(count);
        let mut entries = [None; 5];
        let chains = rules.chains.iter_mut().zip(looked.chains).zip(reached);
        for (at, ((chain, looked), reached)) in chains.enumerate() {
            let rules = chain.rules.iter_mut().zip(looked.rules);
            for (position, (rule, was)) in rules.enumerate() {
                around.pace.done(position, Piece::Seen);
                // Behind a rule that stops every packet nothing is reached, from no hook.
                let hooks = if position < looked.alive {
                    reached
                } else {
                    HookSet::EMPTY
                };
                let leads_to = was.leads_to().map_or(0, |chain| making.starts[chain as usize]);
                let kind = StepKind::Rule(making.rule(rule, was.was, hooks)?);
                outcomes.push(&kind);
                steps.push(Step {
                    kind,
                    chain: at as u32,
                    number: position as u32 + 1,
                    leads_to,
                    hooks,
                });
            }
            let kind = match &chain.kind {
                ChainKind::BuiltIn { hook, policy, id, .. } => {
                    entries[*hook as usize] = Some(Entry {
                        start: making.starts[at],
                        policy: steps.len() as u32,
                    });
                    StepKind::Policy(Box::new(PolicyEnd {
                        policy: *policy,
                        id: *id,
                        counter: making.counter(looked.end),
                    }))
                }
                ChainKind::User => StepKind::End,
            };
            outcomes.push(&kind);
            steps.push(Step {
                kind,
                chain: at as u32,
                number: chain.rules.len() as u32 + 1,
                leads_to: 0,
                hooks: HookSet::EMPTY,
            });
        }
        let indexes = Indexes::new(&rules, before.table, around.pace);
        let names = match before.table.filter(|_| looked.same_chains) {
            Some(before) => Arc::clone(&before.names),
            None => rules
                .chains
                .iter()
                .map(|chain| Arc::from(chain.name.as_str()))
                .collect(),
        };
        let made = Self {
            outcomes: outcomes.done(),
            steps: steps.into(),
            indexes,
            entries,
            names,
            needs_conntrack: making.needs_conntrack,
            needs_labels: making.needs_labels,
            tcp_flags: making.tcp_flags,
            shared: making.sharing.joined,
            sets: making.sets,
            policies: making.policies,
            rules,
        };
        Ok((made, looked.seen))
    }

    /// The same table with states of its own, which go on from where these are, for one worker.
    pub(super) fn copy(&self, copies: &SharedCopies, sets: &dyn AddressSets, now: Time) -> Self {
        let mut places = Places::new(1, self.steps.len());
        let steps = self.steps.iter().map(|step| Step {
            kind: match &step.kind {
                StepKind::Rule(bound) => StepKind::Rule(Arc::new(bound.copy(copies, &mut places, now))),
                StepKind::Policy(end) => StepKind::Policy(Box::new(PolicyEnd {
                    policy: end.policy,
                    id: end.id,
                    counter: places.counting_from(end.counter.sum()),
                })),
                StepKind::End => StepKind::End,
            },
            ..*step
        });
        let steps: Box<[Step]> = steps.collect();
        let mut outcomes = MakingOutcomes::new(steps.len());
        steps.iter().for_each(|step| outcomes.push(&step.kind));
        Self {
            rules: self.rules.clone(),
            outcomes: outcomes.done(),
            steps,
            indexes: self.indexes.clone(),
            entries: self.entries,
            names: Arc::clone(&self.names),
            needs_conntrack: self.needs_conntrack,
            needs_labels: self.needs_labels,
            tcp_flags: self.tcp_flags,
            policies: self.policies.clone(),
            shared: copies.of(&self.shared),
            sets: self.sets.of(sets),
        }
    }

    /// Whether its rules keep nothing between packets but how many there were.
    pub(super) fn keeps_only_counts(&self) -> bool {
        self.steps.iter().all(|step| match &step.kind {
            StepKind::Rule(bound) => bound.traits.is_lasting,
            StepKind::Policy(_) | StepKind::End => true,
        })
    }

    /// The rule at a step, if one stands there.
    #[inline]
    fn rule_at(&self, step: u32) -> Option<(&Step, &Arc<BoundRule>)> {
        let step = self.steps.get(step as usize)?;
        match &step.kind {
            StepKind::Rule(bound) => Some((step, bound)),
            StepKind::Policy(_) | StepKind::End => None,
        }
    }

    /// The index of the chain in which a step stands, if there is one, and the chain's first step. However many chains there are, no other is looked at.
    #[inline]
    pub(super) fn index_at(&self, step: u32) -> Option<(&ChainIndex, u32)> {
        let chain = self.steps.get(step as usize)?;
        Some((self.indexes.of_chain(chain.chain)?, step + 1 - chain.number))
    }

    pub(super) fn chain(&self, step: &Step) -> &Chain {
        &self.rules.chains[step.chain as usize]
    }

    /// The target of the rule at a step, if it has one, its state, and how plain it is.
    #[inline]
    pub(super) fn target(&self, step: u32) -> Option<(&dyn Target, Option<&State>, Option<Plainness>)> {
        match &self.steps[step as usize].kind {
            StepKind::Rule(bound) => {
                let it = bound.target.as_ref()?;
                Some((it.target.as_ref(), it.state.as_deref(), it.plain))
            }
            StepKind::Policy(_) | StepKind::End => None,
        }
    }

    pub(super) fn is_policy(&self, step: u32) -> bool {
        matches!(self.steps[step as usize].kind, StepKind::Policy(_))
    }

    /// Where a step stands, as people say it.
    pub(super) fn place(&self, step: u32) -> Place {
        let step = &self.steps[step as usize];
        Place {
            family: self.rules.family,
            table: self.rules.table,
            chain: Arc::clone(&self.names[step.chain as usize]),
            number: step.number,
        }
    }
}

/// The first step of each chain.
fn starts(rules: &TableRules) -> Vec<u32> {
    let mut next = 0;
    let start = |chain: &Chain| {
        let start = next;
        next += chain.rules.len() as u32 + 1;
        start
    };
    rules.chains.iter().map(start).collect()
}

/// A table on its way into force, rule by rule.
struct Making<'a> {
    table: Table,
    before: Option<&'a CompiledTable>,
    /// Those that come.
    others: std::vec::IntoIter<Other>,
    starts: Vec<u32>,
    places: Places,
    sharing: Joining,
    sets: HeldSets,
    policies: Vec<Arc<TimeoutPolicy>>,
    needs_conntrack: bool,
    needs_labels: bool,
    tcp_flags: u8,
    /// How many rules are not those of the table before.
    made: usize,
    around: Around<'a>,
    now: Time,
}

impl Making<'_> {
    fn rule(&mut self, rule: &mut Arc<Rule>, was: Was, hooks: HookSet) -> Result<Arc<BoundRule>, Refusal> {
        let Around { sets, tracking, pace } = &{ self.around };
        let same = match was {
            Was::Same(at) => self.before.and_then(|before| before.rule_at(at)),
            Was::Other => None,
        };
        let Other { start, traits } = match same {
            Some((step, bound)) if bound.lasts(tracking) => {
                self.needs(bound.traits);
                if step.hooks != hooks {
                    check(self.table, rule, hooks, tracking.policies)?;
                }
                return Ok(Arc::clone(bound));
            }
            Some((_, bound)) => Other {
                start: Start::GoOn(bound.counter.clone()),
                traits: bound.traits,
            },
            // There is one for each rule that is not the same.
            None => self.others.next().unwrap_or_else(|| Other {
                start: Start::From(Counters::default()),
                traits: Traits::of(rule),
            }),
        };
        self.needs(traits);
        self.made += 1;
        pace.done(self.made, Piece::Made);
        check(self.table, rule, hooks, tracking.policies)?;
        hold(rule, &mut self.sets, *sets)?;
        self.policies.extend(policy_of(rule, tracking.policies));
        let counter = self.counter(start);
        let mut bound = BoundRule::new(rule, traits, counter, &mut self.sharing, tracking, self.now)?;
        // What the kernel gives back of some rules is not what it got.
        if let Some(given_back) = rule.read_back() {
            *rule = Arc::new(given_back);
            bound.rule = Arc::clone(rule);
            bound.traits.is_lasting = false;
        }
        Ok(Arc::new(bound))
    }

    /// What the table needs for a rule with these.
    #[inline]
    fn needs(&mut self, traits: Traits) {
        self.needs_conntrack |= traits.needs_conntrack;
        self.needs_labels |= traits.needs_labels;
        self.tcp_flags |= traits.tcp_flags;
    }

    fn counter(&mut self, start: Start) -> Counter {
        match start {
            Start::GoOn(counter) => counter,
            Start::From(counters) => self.places.counting_from(counters),
        }
    }
}

#[cfg(test)]
impl Around<'_> {
    pub(super) fn nothing() -> Self {
        static SETTINGS: std::sync::LazyLock<crate::conntrack::Settings> = std::sync::LazyLock::new(Default::default);
        Self {
            sets: &crate::set::NoSets,
            pace: Pace::NONE,
            tracking: TrackingNow {
                settings: &SETTINGS,
                policies: TimeoutPolicies::none(),
                heard: false,
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

fn check(table: Table, rule: &Rule, hooks: HookSet, policies: &TimeoutPolicies) -> Result<(), Refusal> {
    let scope = Scope {
        policies,
        ..Scope::without_policies(table, hooks, rule)
    };
    for test in &rule.matches {
        test.check(&scope)?;
    }
    match &rule.action {
        Action::Target(target) => target.check(&scope),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
