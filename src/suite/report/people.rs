//! For people: a line a file, and what failed at length.

use std::fmt::Write;

use super::{by_suite, told};
use crate::suite::run::{CaseOutcome, Failure, Outcome};

/// With colours for a terminal, or without.
pub fn people(outcome: &Outcome, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    let mut lines: Vec<(String, usize, usize)> = Vec::new();
    for (suite, cases) in by_suite(&outcome.cases) {
        let mut rulesets: Vec<(Option<&str>, usize, usize)> = Vec::new();
        for case in cases {
            let name = case.ruleset.as_deref();
            if rulesets.iter().all(|(known, ..)| *known != name) {
                rulesets.push((name, 0, 0));
            }
            for (known, passed, failed) in &mut rulesets {
                if *known == name {
                    *(if case.passed() { &mut *passed } else { &mut *failed }) += 1;
                }
            }
        }
        for (ruleset, passed, failed) in rulesets {
            let name = match ruleset {
                Some(ruleset) => format!("{suite} [{ruleset}]"),
                None => suite.to_owned(),
            };
            lines.push((name, passed, failed));
        }
    }
    let width = lines.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    for (name, passed, failed) in &lines {
        let sign = if *failed == 0 {
            paint.green("✓")
        } else {
            paint.red("✗")
        };
        let count = match (passed, failed) {
            (passed, 0) => format!("{passed} passed"),
            (0, failed) => paint.red(&format!("{failed} failed")),
            (passed, failed) => format!("{passed} passed, {}", paint.red(&format!("{failed} failed"))),
        };
        let _ = writeln!(out, "{sign} {name:<width$}  {count}");
    }
    for case in outcome.failed().take(AT_LENGTH) {
        failed(&mut out, case, &paint);
    }
    // Where a whole table fails, it fails for one reason.
    let others: Vec<&CaseOutcome> = outcome.failed().skip(AT_LENGTH).collect();
    if !others.is_empty() {
        let _ = writeln!(out, "\nalso failed:");
    }
    for case in others.iter().take(IN_A_LINE) {
        let _ = writeln!(out, "{} {}:{}  {}", paint.red("✗"), case.file, case.line, case.name());
    }
    if others.len() > IN_A_LINE {
        let more = others.len() - IN_A_LINE;
        let _ = writeln!(
            out,
            "and {more} more; `--format tap` tells of all, `--filter NAME` runs some"
        );
    }
    let all = outcome.cases.len();
    let failed = outcome.failed().count();
    let took = outcome
        .took
        .map(|took| format!(" in {:.2} s", took.as_secs_f64()))
        .unwrap_or_default();
    let sum = match (all, failed) {
        (1, 0) => paint.green("the test passed"),
        (all, 0) => paint.green(&format!("all {all} tests passed")),
        (all, failed) => paint.red(&format!("{failed} of {all} tests failed")),
    };
    let _ = writeln!(out, "\n{sum}{took}");
    out
}

fn failed(out: &mut String, case: &CaseOutcome, paint: &Paint) {
    let _ = writeln!(out, "\n{} {}", paint.red("✗"), paint.bold(&case.name()));
    for failure in &case.failures {
        one(out, failure, paint);
    }
}

fn one(out: &mut String, failure: &Failure, paint: &Paint) {
    let place = format!("{}:{}:{}", failure.file, failure.line, failure.column);
    let _ = writeln!(out, "  {}  {}", paint.dim(&place), failure.command.trim());
    for line in failure.reason.lines() {
        let _ = writeln!(out, "      {}", paint.red(line));
    }
    if let Some(story) = &failure.story {
        out.push('\n');
        for line in told(story, paint.0).lines() {
            let _ = writeln!(out, "      {line}");
        }
    }
}

/// Failed tests that are told with their packets' ways.
const AT_LENGTH: usize = 20;
/// Those after them that are named.
const IN_A_LINE: usize = 100;

struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn green(&self, text: &str) -> String {
        self.with("32", text)
    }

    fn red(&self, text: &str) -> String {
        self.with("31", text)
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }
}
