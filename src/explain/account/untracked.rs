//! Why a packet is not tracked: as a rule said, or because it is a rule's copy. Its tracking does not know, but the steps before do.

use crate::engine::LiveTable;
use crate::explain::story::Step;
use crate::rule::Action;

/// What left a packet untracked. Of what comes round by `lo` it is not known whose it is: a rule that said so goes before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::explain) enum Spared {
    AsCopy,
    ByRule,
}

impl Spared {
    pub(super) fn because(it: Option<Self>) -> &'static str {
        match it {
            Some(Self::ByRule) => "a rule said not to track it",
            Some(Self::AsCopy) => "TEE's copies are not tracked",
            None => "it was not to be tracked before",
        }
    }

    /// Whether what begins behind these steps is the copy that the rule there makes.
    pub(super) fn is_copy(steps: &[Step], table: Option<&LiveTable>) -> bool {
        let of_the_target =
            |step: &&Step| matches!(step, Step::Continued { .. } | Step::FlowMarked { .. } | Step::Edited(_));
        let rule = match (steps.iter().rev().find(|step| !of_the_target(step)), table) {
            (Some(Step::Matched { step, .. }), Some(table)) => table.rule(*step),
            _ => None,
        };
        rule.is_some_and(|rule| matches!(&rule.action, Action::Target(target) if target.name() == "TEE"))
    }

    pub(super) fn is_said_by(action: &Action) -> bool {
        let Action::Target(target) = action else {
            return false;
        };
        match target.name() {
            "NOTRACK" => true,
            "CT" => {
                let mut options = String::new();
                target.save(&mut options);
                options.contains("--notrack")
            }
            _ => false,
        }
    }
}
