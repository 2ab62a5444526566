//! TAP 14, the Test Anything Protocol: a line a test, a YAML block below each that failed.

use std::fmt::Write;

use super::told;
use crate::suite::fault::Unreadable;
use crate::suite::run::Outcome;

pub(crate) fn tap(outcome: &Outcome) -> String {
    let mut out = format!("TAP version 14\n1..{}\n", outcome.cases.len());
    for (at, case) in outcome.cases.iter().enumerate() {
        let word = if case.passed() { "ok" } else { "not ok" };
        let name = escaped(&format!("{}: {}", case.suite, case.name()));
        let _ = writeln!(out, "{word} {} - {name}", at + 1);
        if case.failures.is_empty() {
            continue;
        }
        out.push_str("  ---\n");
        if let Some(took) = case.took {
            let _ = writeln!(out, "  duration_ms: {:.3}", took.as_secs_f64() * 1000.0);
        }
        out.push_str("  failures:\n");
        for failure in &case.failures {
            let _ = writeln!(out, "    - file: {}", quoted(&failure.file));
            let _ = writeln!(out, "      line: {}\n      column: {}", failure.line, failure.column);
            let _ = writeln!(out, "      command: {}", quoted(&failure.command));
            let _ = writeln!(out, "      message: {}", quoted(&failure.reason));
            if let Some(story) = &failure.story {
                out.push_str("      story: |\n");
                for line in told(story, false).lines() {
                    let _ = writeln!(out, "        {line}");
                }
            }
        }
        out.push_str("  ...\n");
    }
    out
}

/// Where nothing could be run.
pub(crate) fn tap_unreadable(error: &Unreadable) -> String {
    let mut out = String::from("TAP version 14\n");
    for (file, line, column, problem) in error.places() {
        let _ = writeln!(out, "# {file}:{line}:{column}: {}", problem.message.replace('\n', " "));
    }
    out.push_str("Bail out! the tests cannot be read\n");
    out
}

/// A `#` would begin a directive.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('#', "\\#")
        .replace(['\n', '\r'], " ")
}

/// JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    crate::base::json::to_string(&text)
}
