//! What the real tools said, kept in a file: a golden test that needs neither root nor the tools.

use std::fmt::Write;

use nflab::text::StaticHosts;

use super::compare::same_meaning;
use super::{Seen, Step, commands, deliberate, files, flow_texts, ours, real, six};

/// Ours must say what was recorded.
pub(crate) fn check() {
    let typed = [
        commands::scenarios(),
        commands::extensions(),
        commands::abbreviations(),
        commands::kept(),
        commands::other_tools(),
        commands::beside_flows(),
        files::scenarios(),
    ]
    .concat();
    // Those of IPv6 stand behind all others.
    let scenarios = [&typed[..], &six::scenarios(&typed), &commands::of_ipv6()].concat();
    let hosts = StaticHosts::localhost()
        .with("loopback", [127, 0, 0, 0].into())
        .with("link-local", [169, 254, 0, 0].into())
        .with("default", [0, 0, 0, 0].into());
    if std::env::var_os("ORACLE_RECORD").is_some() {
        // Where we differ on purpose the record holds ours.
        let text = transcript(&scenarios, |steps| {
            let asked = flow_texts::numbers(steps);
            let answers = real::run(steps).into_iter().zip(ours::run_with(steps, &hosts));
            let kept = |(step, (real, ours)): (&Step, (Seen, Seen))| {
                let same = same_meaning(step, &real, &asked) == same_meaning(step, &ours, &asked);
                if same || deliberate::is(step, &real, &ours) {
                    ours
                } else {
                    real
                }
            };
            steps.iter().zip(answers).map(kept).collect()
        });
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/iptables_oracle/recorded.txt"),
            text,
        )
        .expect("the record can be written");
        return;
    }
    let said = transcript(&scenarios, |steps| ours::run_with(steps, &hosts));
    for (at, (ours, real)) in said.lines().zip(RECORDED.lines()).enumerate() {
        assert_eq!(ours, real, "line {} of recorded.txt", at + 1);
    }
    assert_eq!(said.lines().count(), RECORDED.lines().count());
}

fn transcript(scenarios: &[Vec<Step>], run: impl Fn(&[Step]) -> Vec<Seen>) -> String {
    let mut out = String::new();
    for scenario in scenarios {
        // Without its number: one scenario more is no other record of those behind it.
        out.push_str("==\n");
        for (step, seen) in scenario.iter().zip(run(scenario)) {
            let line = step.to_string();
            // Long inputs are in the files here; a record of them says nothing more.
            let end = line.floor_char_boundary(200);
            let _ = writeln!(out, "$ {}{}", &line[..end], if end < line.len() { "..." } else { "" });
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
