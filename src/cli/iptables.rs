//! `iptables`: one command on one table.

use super::{Outcome, World};
use crate::base::Family;
use crate::text::command::{self, Context};
use crate::text::{Program, apply};

/// Runs the tool; the first argument is the name it was called by.
pub fn run(arguments: &[String], world: &mut World<'_>) -> Outcome {
    let parsed = command::parse(
        arguments,
        Context {
            program: Program::Iptables,
            family: Family::V4,
            hosts: world.hosts,
            restoring: None,
        },
    );
    let mut outcome = Outcome {
        err: parsed.warnings,
        ..Outcome::default()
    };
    let result = parsed.result.and_then(|command| {
        let (printed, result) = apply::execute(&command, world.tables, world.hosts);
        outcome.out = printed.out;
        outcome.err += &printed.warnings;
        result
    });
    if let Err(failure) = result {
        outcome.err += &failure.text(Program::Iptables, None);
        outcome.code = failure.exit_code();
        outcome.failure = Some(failure);
    }
    outcome
}
