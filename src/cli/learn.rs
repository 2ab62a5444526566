//! `nflab learn`: lessons to step through, listed, taken or tried as tests of themselves.

use clap::Args;

use super::TOOLBOX;
use crate::device::standard::{self, say, tell_styled};
use crate::learn::{self, LIBRARY};
use crate::repl;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Its name or number, or the path of one of your own: a directory with `lesson.nflab`, or the file. Without it, and with --list, lists all
    lesson: Option<String>,
    /// The step to begin at, from 1: what stands before it is done
    #[arg(requires = "lesson", conflicts_with = "test")]
    step: Option<usize>,
    /// A lesson a line
    #[arg(long, conflicts_with = "lesson")]
    list: bool,
    /// Try the lesson, or all, as a test: its commands do what it says, its solutions pass, and nothing does not: 0 so, 1 not so, 2 it can't be read
    #[arg(long, conflicts_with = "list")]
    test: bool,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match (&arguments.lesson, arguments.test) {
        (None, false) => {
            standard::say_text(&repl::list_of_lessons());
            if !arguments.list {
                say!("\n`nflab learn NAME` opens one.");
            }
            0
        }
        (Some(asked), false) => match repl::open_lesson(asked, TOOLBOX) {
            Ok(lesson) => repl::teach(lesson, asked, arguments.step.unwrap_or(1)),
            Err(code) => code,
        },
        (Some(asked), true) => test(asked),
        (None, true) => LIBRARY.iter().map(|(name, _)| test(name)).max().unwrap_or(0),
    }
}

fn test(asked: &str) -> u8 {
    let lesson = match repl::open_lesson(asked, TOOLBOX) {
        Ok(lesson) => lesson,
        Err(code) => return code,
    };
    match learn::trial(&lesson) {
        Ok(()) => {
            say!("✓ {}: {} steps", lesson.name, lesson.steps.len());
            0
        }
        Err(error) => {
            tell_styled!("{}", error.styled());
            say!("✗ {}", lesson.name);
            FAILED
        }
    }
}

const FAILED: u8 = 1;
