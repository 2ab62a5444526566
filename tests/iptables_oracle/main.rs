//! The second oracle: the real iptables-legacy, in network namespaces of its own, and ours read the same words; what is accepted, printed and
//! refused must be the same, byte for byte, and so must every table afterwards.
//!
//! Needs root and the tools. Without them one line says what was not compared and why, and the recorded answers are checked all the same
//! (`recorded.txt`: what the real tools said to everything that is typed here; `ORACLE_RECORD=1` writes it anew). Under `NFLAB_REQUIRE_KERNEL`
//! or `CI` their absence is a failure.
//!
//! What is generated comes from two seeds: a fixed one, and a fresh one (another with every commit), which is printed and may be given again in
//! `ORACLE_SEED`. `ORACLE_EXTENSIONS=connlimit,TEE` draws those matches and targets alone, so that one of them is looked at closely, and
//! `ORACLE_FILE=path` lets `cases_of_a_file` compare what one has written oneself. `ORACLE_MINUTES` lets
//! `cargo test --test iptables_oracle soak -- --nocapture` go on for as long as one likes. A difference is cut down and told in the form of the
//! files here; it is kept by pasting it into `kept.txt`.

mod commands;
mod compare;
mod deliberate;
mod equality;
mod files;
mod flow_texts;
mod flows;
#[path = "../fresh_seed/mod.rs"]
mod fresh_seed;
mod generator;
mod import;
mod import_written;
mod mutations;
mod names;
mod options;
mod ours;
mod real;
mod recorded;
mod registry;
mod six;
mod values;

use std::fmt;
use std::time::{Duration, Instant};

use compare::{Figures, compare, differences};
use fresh_seed::fresh_seed;
use nflab::base::bytes::byte_behind;
use nflab::base::{Family, Random};

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct Step {
    pub tool: Tool,
    pub arguments: Vec<String>,
    /// What stands on standard input.
    pub input: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Iptables(Family),
    Save(Family),
    Restore(Family),
    /// What the last `Save` printed, on the same side, into `Restore`.
    RestoreSaved(Family),
    Conntrack,
    Sysctl,
    Nfct,
}

impl Tool {
    pub fn path(self) -> &'static str {
        match self {
            Self::Iptables(Family::V4) => "/usr/sbin/iptables-legacy",
            Self::Iptables(Family::V6) => "/usr/sbin/ip6tables-legacy",
            Self::Save(Family::V4) => "/usr/sbin/iptables-legacy-save",
            Self::Save(Family::V6) => "/usr/sbin/ip6tables-legacy-save",
            Self::Restore(Family::V4) | Self::RestoreSaved(Family::V4) => "/usr/sbin/iptables-legacy-restore",
            Self::Restore(Family::V6) | Self::RestoreSaved(Family::V6) => "/usr/sbin/ip6tables-legacy-restore",
            Self::Conntrack => "/usr/sbin/conntrack",
            Self::Sysctl => "/usr/sbin/sysctl",
            Self::Nfct => "/usr/sbin/nfct",
        }
    }
}

impl Tool {
    /// Whose rules it has to do with; none of the tools that have no rules.
    pub fn family(self) -> Option<Family> {
        match self {
            Self::Iptables(family) | Self::Save(family) | Self::Restore(family) | Self::RestoreSaved(family) => {
                Some(family)
            }
            Self::Conntrack | Self::Sysctl | Self::Nfct => None,
        }
    }

    /// The same tool for the other family's rules.
    pub fn of(self, family: Family) -> Self {
        match self {
            Self::Iptables(_) => Self::Iptables(family),
            Self::Save(_) => Self::Save(family),
            Self::Restore(_) => Self::Restore(family),
            Self::RestoreSaved(_) => Self::RestoreSaved(family),
            Self::Conntrack | Self::Sysctl | Self::Nfct => self,
        }
    }

    /// The name it is called by, which some messages tell.
    pub fn called(self) -> &'static str {
        match self {
            Self::Conntrack => "conntrack",
            Self::Sysctl => "sysctl",
            Self::Nfct => "nfct",
            _ => self.path(),
        }
    }
}

impl Step {
    pub fn iptables(arguments: Vec<String>) -> Self {
        Self {
            tool: Tool::Iptables(Family::V4),
            arguments,
            input: String::new(),
        }
    }

    pub fn restore(arguments: &str, input: impl Into<String>) -> Self {
        Self {
            tool: Tool::Restore(Family::V4),
            arguments: words(arguments),
            input: input.into(),
        }
    }

    /// The same for the other family's rules.
    pub fn of(mut self, family: Family) -> Self {
        self.tool = self.tool.of(family);
        self
    }

    pub fn input<'a>(&'a self, saved: &'a str) -> &'a str {
        match self.tool {
            Tool::RestoreSaved(_) => saved,
            _ => &self.input,
        }
    }
}

/// As [`step`] reads it.
impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line: Vec<String> = match self.tool {
            Tool::Iptables(Family::V4) => Vec::new(),
            Tool::Save(Family::V4) => vec!["save".to_owned()],
            Tool::Restore(Family::V4) => vec!["restore".to_owned()],
            Tool::RestoreSaved(Family::V4) => vec!["restore-saved".to_owned()],
            Tool::Iptables(Family::V6) => vec!["6".to_owned()],
            Tool::Save(Family::V6) => vec!["save6".to_owned()],
            Tool::Restore(Family::V6) => vec!["restore6".to_owned()],
            Tool::RestoreSaved(Family::V6) => vec!["restore-saved6".to_owned()],
            Tool::Conntrack => vec!["conntrack".to_owned()],
            Tool::Sysctl => vec!["sysctl".to_owned()],
            Tool::Nfct => vec!["nfct".to_owned()],
        };
        line.extend(self.arguments.iter().map(|word| {
            if word.contains(|it: char| it.is_control() || it == '\'' || byte_behind(it).is_some()) {
                let escaped = json(word).replace(' ', "\\u0020").replace('\'', "\\u0027");
                format!("@{escaped}")
            } else if word.is_empty() || word.contains(' ') {
                format!("'{word}'")
            } else {
                word.clone()
            }
        }));
        if !self.input.is_empty() {
            line.push(format!("< {}", json(&self.input)));
        }
        out.write_str(&line.join(" "))
    }
}

fn json(text: &str) -> String {
    nflab::base::json::to_string(&text)
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Words of a shell-like line: blanks part them, single quotes keep them together, `@"..."` is a word as JSON has it.
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
    for word in &mut words {
        if let Some(text) = word.strip_prefix('@').and_then(|text| serde_json::from_str(text).ok()) {
            *word = text;
        }
    }
    words
}

/// A line of a scenario: `save ...`, `restore ... < "input"`, or the arguments of iptables; for IPv6 `save6`, `restore6`, and `6` before the
/// arguments of ip6tables.
pub fn step(line: &str) -> Step {
    let (tool, rest) = match line.split_once(' ').unwrap_or((line, "")) {
        ("save", rest) => (Tool::Save(Family::V4), rest),
        ("restore", rest) => (Tool::Restore(Family::V4), rest),
        ("restore-saved", rest) => (Tool::RestoreSaved(Family::V4), rest),
        ("6", rest) => (Tool::Iptables(Family::V6), rest),
        ("save6", rest) => (Tool::Save(Family::V6), rest),
        ("restore6", rest) => (Tool::Restore(Family::V6), rest),
        ("restore-saved6", rest) => (Tool::RestoreSaved(Family::V6), rest),
        ("conntrack", rest) => (Tool::Conntrack, rest),
        ("sysctl", rest) => (Tool::Sysctl, rest),
        ("nfct", rest) => (Tool::Nfct, rest),
        _ => (Tool::Iptables(Family::V4), line),
    };
    let (typed, input) = match rest.split_once("< \"") {
        Some((typed, _)) if matches!(tool, Tool::Restore(_) | Tool::Sysctl | Tool::Conntrack) => {
            let text = serde_json::from_str(&rest[typed.len() + 2..]).expect("an input is a JSON string");
            (typed, text)
        }
        _ => (rest, String::new()),
    };
    Step {
        tool,
        arguments: words(typed),
        input,
    }
}

#[test]
fn a_step_is_read_as_it_is_told() {
    for arguments in [
        &[
            "-A",
            "",
            "a b",
            "'",
            "\n\u{1}",
            "é",
            "\"x",
            "@x",
            "\u{10FFFF} \u{10FF80}",
        ][..],
        &[],
    ] {
        let typed = Step::iptables(arguments.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(step(&typed.to_string()).arguments, arguments);
    }
    let typed = Step::restore("-n -T nat", "*filter\n\"\0 ' é\r\n");
    assert_eq!(step(&typed.to_string()).input, typed.input);
    assert_eq!(step(&typed.to_string()).arguments, typed.arguments);
}

#[test]
fn typed_commands() {
    compare("typed commands", &commands::scenarios());
}

#[test]
fn what_ipv6_alone_has() {
    compare("what IPv6 alone has", &commands::of_ipv6());
}

#[test]
fn options_of_extensions() {
    compare("options of extensions", &commands::extensions());
}

#[test]
fn samples_of_the_extensions_specs() {
    compare("samples of specs", &registry::samples());
}

#[test]
fn conntrack_and_sysctl() {
    compare("conntrack and sysctl", &commands::other_tools());
}

#[test]
fn conntrack_beside_flows() {
    compare("conntrack beside flows", &commands::beside_flows());
}

/// Calls that meet flows, from a seed of their own: what else is drawn, the generators below draw in between.
#[test]
fn conntrack_drawn() {
    let mut random = Random::new(number("ORACLE_SEED").unwrap_or(1));
    let count = number("ORACLE_COUNT").unwrap_or(8);
    let scenarios: Vec<Vec<Step>> = (0..count).map(|_| flows::scenario(&mut random)).collect();
    compare("conntrack drawn", &scenarios);
}

#[test]
fn kept_cases() {
    compare("kept cases", &commands::kept());
}

/// What one wants to know before it is kept.
#[test]
fn cases_of_a_file() {
    if let Ok(path) = std::env::var("ORACLE_FILE") {
        compare(&path, &commands::of_file(&path));
    }
}

#[test]
fn abbreviated_options() {
    compare("abbreviated options", &commands::abbreviations());
}

#[test]
fn restore_files() {
    compare("restore files", &files::scenarios());
}

/// Needs neither root nor the tools.
#[test]
fn recorded_answers() {
    recorded::check();
}

#[test]
fn deliberate_differences() {
    for it in deliberate::DIFFERENCES {
        let steps: Vec<Step> = it.example.iter().map(|line| step(line)).collect();
        let ours = ours::run(&steps);
        assert!(!it.what.is_empty() && !it.why.is_empty());
        if !compare::can("deliberate differences") {
            continue;
        }
        let real = real::run(&steps);
        for (at, (real, ours)) in real.iter().zip(&ours).enumerate() {
            let last = at + 1 == steps.len();
            assert_eq!(real != ours, last, "{}: {}", it.what, steps[at]);
            assert_eq!(
                (it.is)(&steps[at], real, ours) && real != ours,
                last,
                "{}: {real:?} {ours:?}",
                it.what
            );
        }
    }
}

/// Finds again what was found.
#[test]
fn generated_from_the_fixed_seed() {
    generated_from("fixed seed", 1);
}

/// Finds more.
#[test]
fn generated_from_a_fresh_seed() {
    generated_from("fresh seed", number("ORACLE_SEED").unwrap_or_else(fresh_seed));
}

fn generated_from(what: &str, seed: u64) {
    let mut random = Random::new(seed);
    let count = number("ORACLE_COUNT").unwrap_or(100) as usize;
    let scenarios: Vec<Vec<Step>> = (0..count).map(|_| any(&mut random)).collect();
    compare(&format!("{what} (ORACLE_SEED={seed} ORACLE_COUNT={count})"), &scenarios);
    // With what IPv6 alone has.
    let six = six::scenarios(&values::of_family(Family::V6, || {
        (0..count).map(|_| any(&mut random)).collect::<Vec<_>>()
    }));
    compare(
        &format!("{what} of IPv6 (ORACLE_SEED={seed} ORACLE_COUNT={count})"),
        &six,
    );
}

/// One scenario of any kind.
fn any(random: &mut Random) -> Vec<Step> {
    match random.below(11) {
        0..=1 => generator::scenario(random),
        2..=3 => options::scenario(random),
        4..=5 => registry::scenario(random),
        6..=7 => mutations::scenario(random),
        8..=9 => equality::scenario(random),
        _ => flows::scenario(random),
    }
}

/// As long as `ORACLE_MINUTES` says; without it only a glance.
#[test]
fn soak() {
    let Some(minutes) = number("ORACLE_MINUTES") else {
        return;
    };
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let seed = number("ORACLE_SEED").unwrap_or(1);
    let mut random = Random::new(seed);
    let mut all = Figures::default();
    while Instant::now() < until {
        let drawn = |random: &mut Random| (0..200).map(|_| any(random)).collect::<Vec<_>>();
        let six = values::of_family(Family::V6, || drawn(&mut random));
        let scenarios = [drawn(&mut random), six::scenarios(&six)].concat();
        let Some((figures, report)) = differences("soak", &scenarios) else {
            return;
        };
        all.scenarios += figures.scenarios;
        all.steps += figures.steps;
        all.refused += figures.refused;
        all.differences += figures.differences;
        print!("{report}");
    }
    println!("soak of {minutes} minutes, ORACLE_SEED={seed}: {all:?}");
    assert_eq!(all.differences, 0);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}
