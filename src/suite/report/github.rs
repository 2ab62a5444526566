//! Annotations of hosted CI: `::error file=...,line=...::message` puts the message beside the line in a change's page.

use std::fmt::Write;

use super::plain;
use crate::suite::coverage::{Coverage, PartedUnder};
use crate::suite::fault::Unreadable;
use crate::suite::run::Outcome;

pub(crate) fn github(outcome: &Outcome) -> String {
    let mut out = String::new();
    for case in outcome.failed() {
        for failure in &case.failures {
            let _ = writeln!(
                out,
                "::error file={},line={},col={},title={}::{}",
                property(&failure.file),
                failure.line,
                failure.column,
                property(&case.name()),
                message(plain(failure).trim_end())
            );
        }
    }
    let failed = outcome.failed().count();
    let _ = writeln!(
        out,
        "{} of {} tests passed",
        outcome.cases.len() - failed,
        outcome.cases.len()
    );
    out
}

/// A warning at every rule that no packet matched.
pub(crate) fn github_coverage(coverage: &Coverage) -> String {
    let mut out = String::new();
    for rule in coverage.unreached() {
        let place = &rule.place;
        let _ = writeln!(
            out,
            "::warning file={},line={},title=untested rule::{}",
            property(&place.file),
            place.line,
            message(&format!("no packet of a test matched {}: {}", place.name(), place.rule))
        );
    }
    for rule in coverage.without_twin() {
        let place = &rule.place;
        let (name, other) = (place.name(), place.family.other());
        let _ = writeln!(
            out,
            "::notice file={},line={},title=rule of one family::{}",
            property(&place.file),
            place.line,
            message(&format!("{name} has no like one in {other}: {}", place.rule))
        );
    }
    for PartedUnder { suite, parted, .. } in &coverage.parted {
        let _ = writeln!(
            out,
            "::warning file={},title=where the families part::{}",
            property(suite),
            message(&parted.to_string())
        );
    }
    let _ = writeln!(out, "{} of {} rules reached", coverage.reached(), coverage.rules.len());
    out
}

/// Where nothing could be run.
pub(crate) fn github_unreadable(error: &Unreadable) -> String {
    let mut out = String::new();
    for (file, line, column, problem) in error.places() {
        let parts = [&problem.message, &problem.expected, &problem.remedy];
        let text: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        let _ = writeln!(
            out,
            "::error file={},line={line},col={column},title=cannot be read::{}",
            property(file),
            message(&text.join("\n"))
        );
    }
    out
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// In a property commas and colons would end it.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
