//! What the real tools said, kept in a file: a golden test that needs neither root nor the tools.

use std::fmt::Write;

use nflab::text::StaticHosts;

use super::{Seen, Step, ours, real};

/// Ours must say what was recorded.
pub fn check(scenarios: Vec<Vec<Step>>) {
    if std::env::var_os("ORACLE_RECORD").is_some() {
        let text = transcript(&scenarios, real::run);
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/iptables_oracle/recorded.txt"),
            text,
        )
        .expect("the record can be written");
        return;
    }
    let hosts = StaticHosts::localhost()
        .with("loopback", [127, 0, 0, 0].into())
        .with("link-local", [169, 254, 0, 0].into())
        .with("default", [0, 0, 0, 0].into());
    let said = transcript(&scenarios, |steps| ours::run_with(steps, &hosts));
    for (at, (ours, real)) in said.lines().zip(RECORDED.lines()).enumerate() {
        assert_eq!(ours, real, "line {} of recorded.txt", at + 1);
    }
    assert_eq!(said.lines().count(), RECORDED.lines().count());
}

fn transcript(scenarios: &[Vec<Step>], run: impl Fn(&[Step]) -> Vec<Seen>) -> String {
    let mut out = String::new();
    for (at, scenario) in scenarios.iter().enumerate() {
        let _ = writeln!(out, "== {}", at + 1);
        for (step, seen) in scenario.iter().zip(run(scenario)) {
            let _ = writeln!(out, "$ {:?} {:?}", step.tool, step.arguments);
            for line in seen.out.lines() {
                let _ = writeln!(out, "{line}");
            }
            for line in seen.err.lines() {
                let _ = writeln!(out, "! {line}");
            }
            if seen.code != 0 {
                let _ = writeln!(out, "= {}", seen.code);
            }
        }
    }
    out
}

const RECORDED: &str = include_str!("recorded.txt");
