//! The second oracle: the real iptables-legacy, in network namespaces of its own, and ours read the same words; what is accepted, printed and
//! refused must be the same, byte for byte, and so must every table afterwards.
//!
//! Needs root and the tools. Without them it says so; where `CI` is `true` that is a failure.
//! What the real tools said to `commands.txt` is kept in `recorded.txt`, and holds where they are missing too; `ORACLE_RECORD=1` writes it anew.
//! `ORACLE_SEED` and `ORACLE_COUNT` choose other generated scenarios than the usual ones.

mod commands;
mod files;
mod generator;
mod options;
mod ours;
mod real;
mod recorded;

use std::fmt::Write;

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct Step {
    pub tool: Tool,
    pub arguments: Vec<String>,
    pub input: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Iptables,
    Save,
    Restore,
}

impl Tool {
    pub fn path(self) -> &'static str {
        match self {
            Self::Iptables => "/usr/sbin/iptables-legacy",
            Self::Save => "/usr/sbin/iptables-legacy-save",
            Self::Restore => "/usr/sbin/iptables-legacy-restore",
        }
    }
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Words of a shell-like line: blanks part them, single quotes keep them together.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// A line of a scenario: `save ...`, `restore ...`, or the arguments of iptables.
pub fn step(line: &str) -> Step {
    let mut arguments = words(line);
    let tool = match arguments.first().map(String::as_str) {
        Some("save") => Tool::Save,
        Some("restore") => Tool::Restore,
        _ => Tool::Iptables,
    };
    if tool != Tool::Iptables {
        arguments.remove(0);
    }
    Step {
        tool,
        arguments,
        input: String::new(),
    }
}

/// Everything that can be seen of the tables.
fn looks() -> Vec<Step> {
    ["save -c", "-S -v", "-L -n -v -x --line-numbers", "-L", "-t nat -S"]
        .map(step)
        .to_vec()
}

fn compare(scenarios: Vec<Vec<Step>>) {
    if let Err(why) = real::available() {
        assert!(
            std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(),
            "the real iptables is needed: {why}"
        );
        eprintln!("NOT COMPARED with the real iptables: {why}");
        return;
    }
    let mut report = String::new();
    let mut bad = 0;
    let steps: usize = scenarios.iter().map(Vec::len).sum();
    for mut scenario in scenarios {
        scenario.extend(looks());
        let real = real::run(&scenario);
        let ours = ours::run(&scenario);
        for (at, (step, (real, ours))) in scenario.iter().zip(real.iter().zip(&ours)).enumerate() {
            if real == ours {
                continue;
            }
            bad += 1;
            if bad <= 40 {
                let before: Vec<String> = scenario[..at].iter().map(|it| format!("{:?}", it.arguments)).collect();
                let _ = writeln!(
                    report,
                    "\n== {:?} {:?} {:?}\n   after {}\n-- real {} {:?} {:?}\n-- ours {} {:?} {:?}",
                    step.tool,
                    step.arguments,
                    step.input,
                    before.join(" "),
                    real.code,
                    real.out,
                    real.err,
                    ours.code,
                    ours.out,
                    ours.err
                );
            }
            break;
        }
    }
    assert!(bad == 0, "{bad} scenarios differ (of {steps} steps):{report}");
}

#[test]
fn typed_commands() {
    compare(commands::scenarios());
}

#[test]
fn options_of_extensions() {
    compare(commands::extensions());
}

#[test]
fn recorded_commands() {
    recorded::check(commands::scenarios());
}

#[test]
fn abbreviated_options() {
    compare(commands::abbreviations());
}

#[test]
fn restore_files() {
    compare(files::scenarios());
}

#[test]
fn generated_commands() {
    let seed = number("ORACLE_SEED", 1);
    compare(generator::scenarios(seed, number("ORACLE_COUNT", 150)));
}

#[test]
fn generated_options() {
    let seed = number("ORACLE_SEED", 1);
    compare(options::scenarios(seed, number("ORACLE_COUNT", 60)));
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}
