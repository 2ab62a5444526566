//! JUnit XML, in the form that Ant gave it and the common schema describes: a `testsuite` a file, a `testcase` a test.

use crate::base::bytes;
use std::fmt::Write;

use super::{by_suite, plain};
use crate::suite::run::{CaseOutcome, Outcome};

/// What the form wants to know of where and when tests ran.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// `2026-11-21T10:00:00`, in universal time.
    pub timestamp: String,
    pub hostname: String,
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            timestamp: "1970-01-01T00:00:00".to_owned(),
            hostname: "localhost".to_owned(),
        }
    }
}

pub(crate) fn junit(outcome: &Outcome, stamp: &Stamp) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (id, (suite, cases)) in by_suite(&outcome.cases).into_iter().enumerate() {
        let failed = cases.iter().filter(|case| !case.passed()).count();
        let time: f64 = cases.iter().map(|case| seconds(case)).sum();
        let _ = writeln!(
            out,
            "  <testsuite id=\"{id}\" package=\"nflab\" name=\"{}\" timestamp=\"{}\" hostname=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{time:.6}\">",
            escaped(suite),
            escaped(&stamp.timestamp),
            escaped(&stamp.hostname),
            cases.len(),
        );
        out.push_str("    <properties/>\n");
        for case in cases {
            testcase(&mut out, case);
        }
        out.push_str("    <system-out/>\n    <system-err/>\n  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn testcase(out: &mut String, case: &CaseOutcome) {
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.6}\"",
        escaped(&case.name()),
        escaped(&case.suite),
        seconds(case)
    );
    let Some(first) = case.failures.first() else {
        out.push_str("/>\n");
        return;
    };
    // The form has room for one failure a test.
    let text: Vec<String> = case.failures.iter().map(plain).collect();
    let message = format!("{}: {}", first.command.trim(), first.reason.replace('\n', " "));
    let _ = writeln!(
        out,
        ">\n      <failure message=\"{}\" type=\"expectation\">{}</failure>\n    </testcase>",
        escaped(&message),
        escaped(&text.join("\n"))
    );
}

fn seconds(case: &CaseOutcome) -> f64 {
    case.took.unwrap_or_default().as_secs_f64()
}

/// For text and attributes. Characters that XML cannot hold become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            letter => bytes::push_visible(&mut out, letter),
        }
    }
    out
}
