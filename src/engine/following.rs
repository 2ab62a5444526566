//! Where the rules of a table stood in the table before.

use std::collections::HashMap;
use std::sync::Arc;

use super::bound::BoundRule;
use super::compile::{CompiledTable, Step, StepKind};
use super::counting::Counter;
use crate::rule::{Count, CountId, Rule};

/// The steps of the table before, asked for one after another. Most commands leave most rules in their order, so the next one asked for mostly
/// stands right behind the last.
pub(super) struct Following<'a> {
    steps: &'a [Step],
    /// Behind the last that was asked for.
    next: usize,
    /// Every rule's and policy's step, made where one does not follow.
    index: Option<HashMap<CountId, usize>>,
}

/// How many rules and ends of chains may have gone in between.
const NEAR: usize = 4;

impl<'a> Following<'a> {
    pub(super) fn of(before: Option<&'a CompiledTable>) -> Self {
        Self {
            steps: before.map_or(&[], |table| &table.steps),
            next: 0,
            index: None,
        }
    }

    /// The step of a rule that was there, and what it had in force.
    #[inline]
    pub(super) fn rule(&mut self, rule: &Arc<Rule>) -> Option<(usize, &'a Step, &'a Arc<BoundRule>)> {
        let steps = self.steps;
        let of = |at: usize| {
            let step = steps.get(at)?;
            match &step.kind {
                StepKind::Rule(bound) => Some((at, step, bound)),
                StepKind::Policy(_) | StepKind::End => None,
            }
        };
        if let Some(found) = of(self.next)
            && Arc::ptr_eq(&found.2.rule, rule)
        {
            self.next += 1;
            return Some(found);
        }
        match rule.count {
            // Of what starts anew nobody asks where it was.
            Count::Set(_) => None,
            Count::Keep | Count::Seen(_) => of(self.find(rule.id)?),
        }
    }

    /// Where a policy was counted.
    pub(super) fn policy(&mut self, id: CountId) -> Option<&'a Counter> {
        match &self.steps[self.find(id)?].kind {
            StepKind::Policy(end) => Some(&end.counter),
            StepKind::Rule(_) | StepKind::End => None,
        }
    }

    fn find(&mut self, id: CountId) -> Option<usize> {
        let steps = self.steps;
        let follows = (self.next..steps.len())
            .take(NEAR)
            .find(|&at| steps[at].id() == Some(id));
        let at = match follows {
            Some(at) => at,
            None => {
                let index = self.index.get_or_insert_with(|| {
                    let steps = steps.iter().enumerate();
                    steps.filter_map(|(at, step)| Some((step.id()?, at))).collect()
                });
                *index.get(&id)?
            }
        };
        self.next = at + 1;
        Some(at)
    }
}
