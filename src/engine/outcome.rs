//! What a rule that is met does, beside all that it is: where it counts and what becomes of the packet, in eight bytes a step. Who knows that a rule
//! matches looks nowhere else, where the step, the rule that it holds and the rule's counter are three looks into memory one behind the other.

use super::compile::StepKind;
use super::counting::{BlockPlace, Blocks, Numbering};
use crate::rule::{Action, Policy};

/// Of every step of a table.
pub(super) struct Outcomes {
    of: Box<[Outcome]>,
    blocks: Blocks,
}

/// Of one step.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    place: BlockPlace,
    pub does: Does,
}

/// What follows once a step has been met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Nothing,
    Accept,
    Drop,
    Return,
    Queue,
    /// To where its step leads.
    Jump,
    /// To where its step leads.
    Goto,
    /// The rule knows which target.
    Target,
    /// The end of a built-in chain, which every packet meets that comes to it.
    Policy(Policy),
    /// The end of a user chain: as RETURN, and counted nowhere.
    End,
}

/// Step by step, while what each of them holds is at hand.
pub(super) struct MakingOutcomes {
    of: Vec<Outcome>,
    blocks: Numbering,
}

impl MakingOutcomes {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            of: Vec::with_capacity(steps),
            blocks: Numbering::default(),
        }
    }

    /// The next step is of this kind.
    #[inline]
    pub(super) fn push(&mut self, kind: &StepKind) {
        self.of.push(match kind {
            StepKind::Rule(bound) => Outcome {
                place: self.blocks.place(&bound.counter),
                does: bound.does,
            },
            StepKind::Policy(end) => Outcome {
                place: self.blocks.place(&end.counter),
                does: Does::Policy(end.policy),
            },
            StepKind::End => Outcome {
                place: BlockPlace::NONE,
                does: Does::End,
            },
        });
    }

    pub(super) fn done(self) -> Outcomes {
        Outcomes {
            of: self.of.into(),
            blocks: self.blocks.done(),
        }
    }
}

impl Outcomes {
    #[inline]
    pub(super) fn at(&self, step: u32) -> Outcome {
        self.of[step as usize]
    }

    /// Asks memory for where a step counts. The number says nothing.
    #[inline]
    pub(super) fn look(&self, step: u32, worker: usize) -> u64 {
        self.of
            .get(step as usize)
            .map_or(0, |it| self.blocks.look(it.place, worker))
    }

    /// Counts a packet of so many bytes at a step that counts. To be called by this worker alone.
    #[inline]
    pub(super) fn count(&self, outcome: Outcome, worker: usize, bytes: usize) {
        self.blocks.count(outcome.place, worker, bytes);
    }
}

impl Does {
    pub(super) fn of(action: &Action) -> Self {
        match action {
            Action::Nothing => Self::Nothing,
            Action::Accept => Self::Accept,
            Action::Drop => Self::Drop,
            Action::Return => Self::Return,
            Action::Queue => Self::Queue,
            Action::Jump(_) => Self::Jump,
            Action::Goto(_) => Self::Goto,
            Action::Target(_) => Self::Target,
        }
    }

    /// Whoever comes there meets it: there is nothing to be asked.
    #[inline]
    pub(super) fn is_policy(self) -> bool {
        matches!(self, Self::Policy(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Outcome>(), 8);
    }
}
