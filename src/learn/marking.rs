//! Marking: each test of a task in a lab that is made anew from what the learner built, so that none sees the flows of another.

use crate::explain::story::Detail;
use crate::lab::copy::LabCopy;
use crate::lab::memory::Lab;
use crate::suite::Suite;

/// What came of it.
pub(super) struct Mark {
    /// A line a test, with the way of the packet below those that fail.
    pub(super) text: String,
    pub(super) passed: bool,
}

pub(super) fn of(check: &Suite, lab: &mut Lab) -> Mark {
    let copy = LabCopy::of(&mut lab.machine);
    let toolbox = lab.machine.toolbox();
    let mut mark = Mark {
        text: String::new(),
        passed: true,
    };
    for case in check.cases() {
        let outcome = match copy.lab(check.seed, toolbox) {
            Ok(lab) => case.run_in(lab),
            Err(error) => {
                // A machine of ours was just asked for this copy.
                mark.passed = false;
                mark.text += &format!("✗ {}: this lab cannot be made anew: {error}\n", case.name());
                continue;
            }
        };
        if outcome.passed() {
            mark.text += &format!("✓ {}\n", outcome.name());
            continue;
        }
        mark.passed = false;
        mark.text += &format!("✗ {}\n", outcome.name());
        for failure in &outcome.failures {
            mark.text += &format!("    {}\n", failure.command.trim());
            for line in failure.reason.lines() {
                mark.text += &format!("      {line}\n");
            }
            if let Some(story) = &failure.story {
                for line in story.render(Detail::Short).lines() {
                    mark.text += &format!("      {line}\n");
                }
            }
        }
    }
    mark
}
