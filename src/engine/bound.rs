//! A rule in force: as typed, with the state of its matches and the place where it is counted.
//!
//! What nothing is changed of is the same in the table that comes after: an edit makes the rules that it brings, and shares the others.

use std::sync::Arc;

use super::counting::{Counter, Places};
use super::outcome::Does;
use super::shared::{Joining, SharedCopies};
use crate::base::Time;
use crate::rule::{
    Action, BoundState, Changes, Ends, HangsOn, Match, Refusal, Rule, Selector, State, StateUse, Target, TrackingNow,
};

/// A rule and what it has in force. In this order, because an edit asks of each rule what stands first, beside the number of those who hold it.
#[repr(C)]
pub(super) struct BoundRule {
    pub rule: Arc<Rule>,
    pub traits: Traits,
    pub counter: Counter,
    pub matches: Box<[BoundMatch]>,
    pub does: Does,
    pub target: Option<BoundTarget>,
    /// The rule's, nearer to whoever walks.
    pub selector: Selector,
}

/// A match and its state in this table.
pub(super) struct BoundMatch {
    pub test: Arc<dyn Match>,
    pub state: Option<BoundState>,
}

/// A target and its state in this table.
pub(super) struct BoundTarget {
    pub target: Arc<dyn Target>,
    pub state: Option<Box<State>>,
    /// As [`Plainness`] has it of matches, of what it does; and that is nothing that anybody would miss, done a second time.
    pub plain: Option<Plainness>,
}

/// What the next packet of a flow has to have in common with one, that the same becomes of it: what a [`PlainKey`](crate::packet::PlainKey) and a flow fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Plainness {
    Fixed,
    /// And its flow has the mark that it had.
    WithFlowMark,
}

impl Plainness {
    fn of(hangs_on: HangsOn) -> Option<Self> {
        match hangs_on {
            HangsOn::Plain => Some(Self::Fixed),
            HangsOn::FlowMark => Some(Self::WithFlowMark),
            HangsOn::Anything => None,
        }
    }

    fn of_match(test: &dyn Match) -> Option<Self> {
        let effect = test.effect();
        match Self::of(effect.hangs_on) {
            // The answer to any other question about its state may be another each time.
            Some(Self::Fixed) | None if effect.state != StateUse::None => None,
            None => test.lower().is_exact().then_some(Self::Fixed),
            plain => plain,
        }
    }

    fn of_target(target: &dyn Target) -> Option<Self> {
        let effect = target.effect();
        let goes_on = effect.ends == Ends::Never && effect.changes.within(Changes::MARK);
        match Self::of(effect.hangs_on) {
            _ if !goes_on => None,
            Some(Self::Fixed) if effect.state != StateUse::None => None,
            plain => plain,
        }
    }
}

/// What of a rule concerns its whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// Nothing of it is made anew with each table that it comes into force with: no state, no set, no policy.
    pub is_lasting: bool,
    /// It has a target that is not a verdict or a chain.
    pub has_target: bool,
    /// It leads to a chain.
    pub leads: bool,
    /// It asks nothing by its selector, which need not be held against packets then.
    pub asks_by_matches_alone: bool,
    /// No packet goes past it.
    pub stops_all: bool,
    pub needs_conntrack: bool,
    pub needs_labels: bool,
    /// `None` where what its matches answer hangs on anything else.
    pub plain: Option<Plainness>,
    /// The bits of TCP's flags that it is known to hang on. What hangs on others is not plain.
    pub tcp_flags: u8,
}

impl Traits {
    pub(super) fn of(rule: &Rule) -> Self {
        let target = match &rule.action {
            Action::Target(target) => Some(target),
            _ => None,
        };
        let tests = rule.matches.iter();
        Self {
            // Whether its matches and its target have state is seen where it is made.
            is_lasting: tests.clone().all(|it| it.sharing().is_none() && it.sets().is_empty())
                && target.is_none_or(|it| it.sets().is_empty() && it.timeout_policy().is_none()),
            has_target: target.is_some(),
            leads: matches!(rule.action, Action::Jump(_) | Action::Goto(_)),
            asks_by_matches_alone: rule.selector == Selector::any(rule.selector.family),
            stops_all: stops_all(rule),
            needs_conntrack: rule.needs_conntrack(),
            needs_labels: rule.needs_labels(),
            plain: tests.clone().try_fold(Plainness::Fixed, |plain, it| {
                Plainness::of_match(it.as_ref()).map(|its| plain.max(its))
            }),
            tcp_flags: tests.fold(0, |flags, it| flags | it.lower().tcp_flags()),
        }
    }
}

/// The kernel's search stops at a rule without any condition that accepts, drops, queues or returns: a loop behind it is taken, and so is
/// a target that could not stand there. A match that matches everything (`-m comment`) is a condition to it, and a jump ends nothing.
fn stops_all(rule: &Rule) -> bool {
    rule.matches.is_empty()
        && matches!(
            rule.action,
            Action::Accept | Action::Drop | Action::Return | Action::Queue
        )
        && rule.selector == Selector::any(rule.selector.family)
}

impl BoundRule {
    /// A rule that comes into force now.
    pub(super) fn new(
        rule: &Arc<Rule>,
        mut traits: Traits,
        counter: Counter,
        sharing: &mut Joining,
        tracking: &TrackingNow<'_>,
        now: Time,
    ) -> Result<Self, Refusal> {
        let mut bound = |test: &Arc<dyn Match>| {
            Ok(BoundMatch {
                test: Arc::clone(test),
                state: match test.sharing() {
                    Some(named) => Some(BoundState::Shared(sharing.join(named, now)?)),
                    None => test.state(now).map(BoundState::Own),
                },
            })
        };
        let matches = rule.matches.iter().map(&mut bound);
        let matches = matches.collect::<Result<Box<[BoundMatch]>, Refusal>>()?;
        let target = match &rule.action {
            Action::Target(target) => Some(BoundTarget::new(target, tracking)),
            _ => None,
        };
        let target_has_state = target.as_ref().is_some_and(|it| it.state.is_some());
        let has_state = target_has_state || matches.iter().any(|it| it.state.is_some());
        traits.is_lasting &= !has_state;
        Ok(Self {
            rule: Arc::clone(rule),
            counter,
            matches,
            does: Does::of(&rule.action),
            target,
            selector: rule.selector,
            traits,
        })
    }

    /// True where it would be made the same again for a table that comes into force now.
    #[inline]
    pub(super) fn lasts(&self, tracking: &TrackingNow<'_>) -> bool {
        self.traits.is_lasting && (!self.traits.has_target || self.target_lasts(tracking))
    }

    fn target_lasts(&self, tracking: &TrackingNow<'_>) -> bool {
        let target = self.target.as_ref();
        target.is_none_or(|it| it.target.state(tracking).is_none())
    }

    /// The same with states of its own, which go on from where these are, counted at a place of its own.
    pub(super) fn copy(&self, copies: &SharedCopies, places: &mut Places, now: Time) -> Self {
        Self {
            rule: Arc::clone(&self.rule),
            counter: places.counting_from(self.counter.sum()),
            matches: self.matches.iter().map(|bound| bound.copy(copies, now)).collect(),
            does: self.does,
            target: self.target.as_ref().map(BoundTarget::copy),
            selector: self.selector,
            traits: self.traits,
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

impl BoundTarget {
    fn new(target: &Arc<dyn Target>, tracking: &TrackingNow<'_>) -> Self {
        Self {
            target: Arc::clone(target),
            state: target.state(tracking),
            plain: Plainness::of_target(target.as_ref()),
        }
    }

    fn copy(&self) -> Self {
        let state = self.state.as_deref();
        Self {
            target: Arc::clone(&self.target),
            state: state.and_then(|state| self.target.copy_state(state)),
            plain: self.plain,
        }
    }
}
