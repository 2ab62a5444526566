//! What a ruleset *is*: tables, chains, rules, verdicts, and the traits that a match and a target implement. No syntax, no state.
//!
//! A ruleset is a value: it can be compared, cloned and published whole. What changes as packets pass (counters, tokens of `limit`) lives in
//! the engine, under the identities given here.

mod context;
mod effect;
mod extension;
mod lower;
mod selector;
mod shared;
mod table;

pub use context::{Context, LogRecord, Rejection, Services, TargetContext, WayOut};
pub use effect::{Changes, Effect, Ends, HangsOn, Reach, StateUse};
pub use extension::{
    CopyTo, DynEq, Errno, Match, Matched, QueueTo, Refusal, Scope, State, Target, TargetVerdict, TrackingNow,
};
pub(crate) use lower::INTO_THE_HEADER;
pub use lower::{Answer, Condition, Field, Lowered, PlainFields};
pub use selector::{Miss, Selector, SelectorFields};
pub use shared::{BoundState, Clock, Shared, Sharing, WriteRefused};
pub use table::{Hook, HookSet, Table};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::Family;

/// The identity of a rule or of a chain's policy. Counters follow it from one ruleset to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountId(u64);

impl CountId {
    /// One that no other rule of this process has.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// How many have matched.
    pub packets: u64,
    /// The sum of their lengths, network headers included.
    pub bytes: u64,
}

/// What a new ruleset says of a rule's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// They go on from where they are; zero for a new rule.
    Keep,
    /// They start from here (`-c`, `-Z`, a restored `[1:40]`).
    Set(Counters),
    /// They start again, after somebody has seen them at this (`-L -Z`): what came since is counted.
    Seen(Counters),
}

/// One rule: the built-in part, the matches in the order they were typed, and what to do.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The engine counts under it; a rule that is moved or whose table is replaced keeps it.
    pub id: CountId,
    /// What becomes of what it has counted when the table comes into force.
    pub count: Count,
    /// The part without an extension, which is asked first.
    pub selector: Selector,
    /// Asked one after another until one fails.
    pub matches: Vec<Arc<dyn Match>>,
    /// Done when all of them matched.
    pub action: Action,
}

impl Rule {
    /// True when two rules say the same, whatever they have counted: what `-C` and `-D` ask.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.selector == other.selector
            && self.action == other.action
            && self.matches.len() == other.matches.len()
            && self
                .matches
                .iter()
                .zip(&other.matches)
                .all(|(own, theirs)| own.equals(theirs.as_ref()))
    }

    /// What its selector and its matches ask, as far as the answer may be known without asking them: no further than the first match that must
    /// be asked for what it does.
    pub fn lower(&self) -> Lowered {
        let mut lowered = self.selector.lower();
        for test in &self.matches {
            let effect = test.effect();
            let own = test.lower();
            // An exact one ends only packets of which its conditions say nothing, and what stands behind is not asked then.
            let may_be_passed_over = effect.state < StateUse::Writes && (own.is_exact() || effect.ends == Ends::Never);
            lowered = lowered.and(own);
            if !may_be_passed_over {
                return lowered.and(Lowered::unknown());
            }
        }
        lowered
    }

    /// True when the rule makes the kernel track connections at all.
    pub fn needs_conntrack(&self) -> bool {
        self.matches.iter().any(|it| it.needs_conntrack())
            || matches!(&self.action, Action::Target(target) if target.needs_conntrack())
    }

    /// True when flows that begin while it is in force have room for labels.
    pub fn needs_labels(&self) -> bool {
        self.matches.iter().any(|it| it.needs_labels())
    }

    /// What the kernel gives back of it once it is in force, where that is something else.
    pub fn read_back(&self) -> Option<Self> {
        let target = match &self.action {
            Action::Target(target) => target.read_back(),
            _ => None,
        };
        if target.is_none() && self.matches.iter().all(|test| test.read_back().is_none()) {
            return None;
        }
        let mut given_back = self.clone();
        if let Some(target) = target {
            given_back.action = Action::Target(target);
        }
        for test in &mut given_back.matches {
            if let Some(other) = test.read_back() {
                *test = other;
            }
        }
        Some(given_back)
    }
}

/// What a rule does with a packet that it matches.
#[derive(Clone, Debug)]
pub enum Action {
    /// No `-j`: count and go on.
    Nothing,
    /// `-j ACCEPT`: the packet leaves the table, and goes on.
    Accept,
    /// `-j DROP`: the packet ends here, without an answer.
    Drop,
    /// `-j RETURN`: back to where the chain was called from; in a built-in chain its policy decides.
    Return,
    /// `-j QUEUE`.
    Queue,
    /// `-j CHAIN`: come back after the chain's end.
    Jump(String),
    /// `-g CHAIN`: after the chain's end, go on where this chain was called from.
    Goto(String),
    /// `-j NAME` of an extension.
    Target(Arc<dyn Target>),
}

impl PartialEq for Action {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing)
            | (Self::Accept, Self::Accept)
            | (Self::Drop, Self::Drop)
            | (Self::Return, Self::Return)
            | (Self::Queue, Self::Queue) => true,
            (Self::Jump(own), Self::Jump(other)) | (Self::Goto(own), Self::Goto(other)) => own == other,
            (Self::Target(own), Self::Target(other)) => own.equals(other.as_ref()),
            _ => false,
        }
    }
}

/// What happens to a packet that falls off the end of a built-in chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The packet leaves the table, and goes on.
    Accept,
    /// The packet ends here, without an answer.
    Drop,
}

impl Policy {
    /// As `-P` takes it and `-S` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
        }
    }
}

/// A chain: built in (with a hook and a policy) or made by the user.
#[derive(Clone, Debug)]
pub struct Chain {
    /// At most 28 bytes, of which the tool makes sure.
    pub name: String,
    /// Whether a hook calls it, or rules do.
    pub kind: ChainKind,
    /// From number 1 on.
    pub rules: Vec<Arc<Rule>>,
}

/// Who calls a chain, and what its end means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// A hook calls it.
    BuiltIn {
        /// The hook that calls it, by which it has its name.
        hook: Hook,
        /// What becomes of a packet that gets to its end.
        policy: Policy,
        /// The policy's own counters.
        id: CountId,
        /// What becomes of the policy's counters when the table comes into force.
        count: Count,
    },
    /// Rules call it, and its end is a RETURN.
    User,
}

/// One table of one family. Built-in chains come first, in hook order; then user chains in the order they are listed.
#[derive(Clone, Debug)]
pub struct TableRules {
    /// Each family has five tables of its own.
    pub family: Family,
    /// Which of the five.
    pub table: Table,
    /// Each name once.
    pub chains: Vec<Chain>,
}

impl TableRules {
    /// The table as it is when first touched: its built-in chains, empty, with policy ACCEPT.
    pub fn new(family: Family, table: Table) -> Self {
        let chains = table
            .hooks()
            .iter()
            .map(|&hook| Chain {
                name: hook.chain().to_owned(),
                kind: ChainKind::BuiltIn {
                    hook,
                    policy: Policy::Accept,
                    id: CountId::fresh(),
                    count: Count::Keep,
                },
                rules: Vec::new(),
            })
            .collect();
        Self { family, table, chains }
    }

    /// The chain of this name, built in or made.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    /// The same to be changed; whoever renames one sees to the rules that jump to it.
    pub fn chain_mut(&mut self, name: &str) -> Option<&mut Chain> {
        self.chains.iter_mut().find(|chain| chain.name == name)
    }

    /// Those of all chains, chain by chain.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.chains.iter().flat_map(|chain| &chain.rules)
    }
}
