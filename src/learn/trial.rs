//! A lesson as a test of itself: its own commands do what it says, what documents print is or is not what is printed here, as it claims; each task's
//! solution passes its check, and nothing does not.

use super::compare::is_same;
use super::lesson::{Command, Document, Lesson, Piece, Task};
use super::marking;
use crate::lab::script::Runner;
use crate::syntax::problem::{Problem, SourceError};

/// What is wrong with it, each at its place.
pub(crate) fn of(lesson: &Lesson) -> Result<(), SourceError> {
    let mut runner = lesson.begin()?;
    let mut problems = Vec::new();
    for piece in lesson.steps.iter().flat_map(|step| &step.pieces) {
        match piece {
            Piece::Text(_) | Piece::Question(_) => {}
            Piece::Commands(commands) => {
                for command in &commands.lines {
                    problems.extend(run(&mut runner, command));
                }
            }
            Piece::Document(document) => problems.extend(held(&mut runner, document)),
            Piece::Task(task) => problems.extend(done(&mut runner, task)),
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(lesson.source.error(problems)),
    }
}

fn run(runner: &mut Runner, command: &Command) -> Option<Problem> {
    let (said, result) = command.run(runner);
    let reason = result.err()?;
    let expected = match (command.is_claim(), command.fails) {
        (true, _) => "the lesson says that it is so",
        (false, true) => "the lesson says that this fails",
        (false, false) => "a learner would type this, and it fails",
    };
    Some(Problem::new(
        command.statement.position,
        format!("{}{reason}", said.stderr),
        expected,
        "mend the lesson, or what stands before this line",
    ))
}

fn held(runner: &mut Runner, document: &Document) -> Option<Problem> {
    let (said, result) = runner.run(&document.command.statement);
    if let Err(failed) = result {
        return Some(Problem::new(
            document.position,
            format!("{}{}", said.stderr, failed.reason),
            "this command fails",
            "try it by itself in `nflab repl`",
        ));
    }
    let same = is_same(&document.printed, &said.stdout);
    match (&document.differs, same) {
        (None, true) | (Some(_), false) => None,
        (None, false) => Some(Problem::new(
            document.position,
            format!("something else is printed here: {}", said.stdout.trim_end()),
            "the document has other words",
            "write `...` or `WORD=` where words may be any, or say why it is so with a line `differs \"...\"` below",
        )),
        (Some(_), true) => Some(Problem::new(
            document.position,
            "the same is printed here",
            "the line `differs` says that it is not",
            "remove `differs`",
        )),
    }
}

fn done(runner: &mut Runner, task: &Task) -> Vec<Problem> {
    let mut problems = Vec::new();
    if marking::of(&task.check, &mut runner.lab).passed {
        problems.push(Problem::new(
            task.position,
            "this task is done before anything is typed",
            "its check passes an empty try",
            "add a test that fails without the solution",
        ));
    }
    for command in &task.solution {
        problems.extend(run(runner, command));
    }
    let mark = marking::of(&task.check, &mut runner.lab);
    if !mark.passed {
        problems.push(Problem::new(
            task.position,
            format!("the solution of this task is not taken:\n{}", mark.text.trim_end()),
            "its check fails the solution",
            "mend the one or the other",
        ));
    }
    problems
}
