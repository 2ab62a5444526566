//! A table that stays open from one command to the next: what a script of a command a line changes, without opening and closing the whole
//! table for each line.
//!
//! Only commands that change little are done so, and only where it is sure that the kernel takes what comes of them. All others, and whatever
//! looks at rules or counters, find the table closed and in force first.

use std::sync::Arc;

use super::apply::{Printed, perform};
use super::command::{Command, Verb};
use super::failure::Failure;
use super::hosts::Hosts;
use super::reach::Reach;
use super::session::Session;
use crate::rule::{ChainKind, Count, Counters, Rule};

/// What is known of a table in hand, and what the command that is being done to it has done so far.
#[derive(Debug)]
pub(super) struct Hand {
    pub reach: Reach,
    /// A command changed something since the table was opened.
    changed: bool,
    /// The command's steps, by which they can be taken back.
    pub steps: Vec<Step>,
    /// What the policies' counters were to start from before the command.
    policies: Vec<Count>,
    /// So far the kernel takes what the command does.
    pub sure: bool,
}

#[derive(Debug)]
pub(super) enum Step {
    Inserted { chain: String, at: usize },
    Removed { chain: String, at: usize, rule: Arc<Rule> },
}

/// Whether a command changes so little that the table can stay in hand. Each of those that can fail half way notes its steps.
pub(super) fn is_small(verb: &Verb<'_>) -> bool {
    match verb {
        Verb::Append { .. }
        | Verb::Insert { .. }
        | Verb::Replace { .. }
        | Verb::Delete { .. }
        | Verb::DeleteNumber { .. }
        | Verb::Check { .. }
        | Verb::New { .. }
        | Verb::Policy { .. } => true,
        Verb::Flush { chain } | Verb::DeleteChain { chain } | Verb::Zero { chain, .. } => chain.is_some(),
        Verb::List(_) | Verb::ListRules(_) | Verb::Rename { .. } | Verb::Print(_) | Verb::Nothing => false,
    }
}

impl Session {
    /// Keeps the table open for commands to come; `None` where it has something that only the kernel's whole look can judge.
    pub fn into_hand(mut self) -> Option<Self> {
        let reach = Reach::of(&self)?;
        self.hand = Some(Hand {
            reach,
            changed: false,
            steps: Vec::new(),
            policies: Vec::new(),
            sure: true,
        });
        Some(self)
    }

    /// True where a command changed something since.
    pub fn is_changed_in_hand(&self) -> bool {
        self.hand.as_ref().is_some_and(|hand| hand.changed)
    }

    /// Does a command that [`is_small`] to a table in hand. `None`: nothing was done, and the table has to be put into force and opened for this command alone.
    pub(super) fn do_in_hand(
        &mut self,
        command: &Command<'_>,
        hosts: &dyn Hosts,
    ) -> Option<(Printed, Result<(), Failure>)> {
        self.begin();
        let mut printed = Printed::default();
        let result = perform(command, self, hosts, &mut printed);
        let is_sure = self.hand.as_ref().is_some_and(|hand| hand.sure);
        match &result {
            Ok(()) if is_sure => self.finish(),
            _ => self.take_back(),
        }
        is_sure.then_some((printed, result))
    }

    fn begin(&mut self) {
        let counts = self.policy_counts().map(|count| std::mem::replace(count, Count::Keep));
        let policies = counts.collect();
        self.changed = false;
        if let Some(hand) = &mut self.hand {
            hand.steps.clear();
            hand.policies = policies;
            hand.sure = true;
        }
    }

    fn finish(&mut self) {
        if !self.changed {
            self.restore_policies();
            return;
        }
        self.zero_policies();
        if let Some(hand) = &mut self.hand {
            hand.changed = true;
        }
    }

    fn take_back(&mut self) {
        let steps = self.hand.as_mut().map(|hand| std::mem::take(&mut hand.steps));
        for step in steps.into_iter().flatten().rev() {
            // What was there once goes in again, and what was put in is there.
            let _ = match step {
                Step::Inserted { chain, at } => self.remove_rule(&chain, at),
                Step::Removed { chain, at, rule } => self.insert_rule(&chain, at, rule),
            };
        }
        self.restore_policies();
    }

    fn restore_policies(&mut self) {
        let policies = self.hand.as_mut().map(|hand| std::mem::take(&mut hand.policies));
        for (count, before) in self.policy_counts().zip(policies.into_iter().flatten()) {
            *count = before;
        }
    }

    /// Every change of a table sets the counters of all its policies to zero, but for those it names itself: that is what the kernel's
    /// counters were seen to do, with packets counted too, while those of rules go on.
    pub(super) fn zero_policies(&mut self) {
        for count in self.policy_counts().filter(|count| **count == Count::Keep) {
            *count = Count::Set(Counters::default());
        }
    }

    fn policy_counts(&mut self) -> impl Iterator<Item = &mut Count> {
        self.built_in.iter_mut().filter_map(|chain| match &mut chain.kind {
            ChainKind::BuiltIn { count, .. } => Some(count),
            ChainKind::User => None,
        })
    }

    /// A rule came into a chain.
    pub(super) fn note_inserted(&mut self, chain: &str, at: usize, rule: &Rule) {
        let Some(hand) = &mut self.hand else { return };
        hand.steps.push(Step::Inserted {
            chain: chain.to_owned(),
            at,
        });
        // Once something is not sure, the table is closed, and nobody asks what leads where any more.
        hand.sure = hand.sure && hand.reach.comes(chain, rule);
    }

    /// A rule went out of a chain.
    pub(super) fn note_removed(&mut self, chain: &str, at: usize, rule: &Arc<Rule>) {
        let Some(hand) = &mut self.hand else { return };
        hand.steps.push(Step::Removed {
            chain: chain.to_owned(),
            at,
            rule: Arc::clone(rule),
        });
        if hand.sure {
            hand.reach.goes(chain, rule);
        }
    }
}
