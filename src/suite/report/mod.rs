//! What came of tests as text: for people, for machines, for hosted CI. Nothing here prints.

mod github;
mod junit;
mod people;
mod tap;

pub(crate) use github::{github, github_coverage, github_unreadable};
pub(crate) use junit::{Stamp, junit};
pub use people::people;
pub(crate) use tap::{tap, tap_unreadable};

use super::run::{CaseOutcome, Failure};
use crate::explain::story::{Detail, Story};

/// The way of a packet: with every rule that was tried where that fits a screen.
fn told(story: &Story, colour: bool) -> String {
    let render = |detail| match colour {
        true => story.render_styled(detail),
        false => story.render(detail),
    };
    let whole = render(Detail::Whole);
    if whole.lines().count() <= SCREEN {
        return whole;
    }
    let short = render(Detail::Short);
    format!("{short}(only what decided: the whole way is longer than {SCREEN} lines; `trace` in the test tells it)\n")
}

/// `file:line:column: command`, what is instead, and the packet's way, below each other.
fn plain(failure: &Failure) -> String {
    let mut text = format!(
        "{}:{}:{}: {}\n",
        failure.file, failure.line, failure.column, failure.command
    );
    for line in failure.reason.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(story) = &failure.story {
        text.push('\n');
        for line in told(story, false).lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

/// The cases of one file after the other, in their order.
fn by_suite(cases: &[CaseOutcome]) -> Vec<(&str, Vec<&CaseOutcome>)> {
    let mut suites: Vec<(&str, Vec<&CaseOutcome>)> = Vec::new();
    for case in cases {
        match suites.last_mut() {
            Some((name, of)) if *name == case.suite => of.push(case),
            _ => suites.push((&case.suite, vec![case])),
        }
    }
    suites
}

/// Lines of a story that are told whole.
const SCREEN: usize = 60;
