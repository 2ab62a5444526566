//! Both sides run the same scenarios; the first difference of each is cut down to what it needs and told as a reproducer.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

use nflab::base::Family;

use super::{Seen, Step, Tool, deliberate, flow_texts, ours, real, six, step};

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub scenarios: usize,
    pub steps: usize,
    /// Steps that the real tool refused.
    pub refused: usize,
    pub differences: usize,
}

/// Compares in both families, or says in one line what was not compared and why. Where the kernel is required that is a failure.
pub(crate) fn compare(what: &str, scenarios: &[Vec<Step>]) {
    let both = [scenarios, &six::scenarios(scenarios)].concat();
    if let Some((figures, report)) = differences(what, &both) {
        assert!(
            figures.differences == 0,
            "{what}: {} of {} scenarios differ:\n{report}",
            figures.differences,
            figures.scenarios
        );
    }
}

/// Whether the real tools are there. Where they are not it is said once, past the test harness, which keeps quiet of what passed; where the
/// kernel is required it is a failure.
pub(crate) fn can(what: &str) -> bool {
    let Err(why) = real::available() else {
        return true;
    };
    let required = ["CI", "NFLAB_REQUIRE_KERNEL"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    assert!(!required, "{what}: the real tools are needed: {why}");
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "!!! NOTHING WAS COMPARED with the real iptables, conntrack and sysctl ({why}): of what is typed the recorded answers are checked \
             instead, what is generated is left out"
        );
    });
    false
}

/// The figures and the reproducers; none where the real tools are not there.
pub(crate) fn differences(what: &str, scenarios: &[Vec<Step>]) -> Option<(Figures, String)> {
    if !can(what) {
        return None;
    }
    let next = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match first_difference(scenario) {
                        Ok(count) => {
                            refused.fetch_add(count, Ordering::Relaxed);
                        }
                        Err(difference) => found.lock().expect("no thread died").push((scenario, difference)),
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("no thread died");
    let figures = Figures {
        scenarios: scenarios.len(),
        steps: scenarios
            .iter()
            .map(|scenario| scenario.len() + looks(Family::V4).len())
            .sum(),
        refused: refused.into_inner(),
        differences: found.len(),
    };
    let mut report = String::new();
    for (scenario, difference) in found.iter().take(MOST_SHOWN) {
        let (scenario, difference) = shrink(scenario, difference);
        let _ = writeln!(report, "{}", told(&scenario, &difference));
    }
    Some((figures, report))
}

/// Everything that can be seen of a family's tables, and whether what is saved can be restored.
fn looks(family: Family) -> Vec<Step> {
    let mut looks = [
        "save -c",
        "-S -v",
        "-L -n -v -x --line-numbers",
        "-L",
        "-t nat -S",
        "-t mangle -L -n",
    ]
    .map(step)
    .to_vec();
    looks.push(Step {
        tool: Tool::RestoreSaved(family),
        ..step("-c")
    });
    looks.push(step("save -c"));
    for look in &mut looks {
        look.tool = look.tool.of(family);
    }
    looks
}

/// Where the sides part, and how.
#[derive(Clone, Debug)]
struct Difference {
    step: Step,
    real: Seen,
    ours: Seen,
}

/// How many steps the real tool refused, where the sides agree.
fn first_difference(scenario: &[Step]) -> Result<usize, Box<Difference>> {
    let mut steps = scenario.to_vec();
    // The other tools leave the tables alone.
    for family in Family::ALL {
        if scenario.iter().any(|step| step.tool.family() == Some(family)) {
            steps.extend(looks(family));
        }
    }
    let real = real::run(&steps);
    let ours = ours::run(&steps);
    let refused = real.iter().filter(|seen| seen.code != 0).count();
    let asked = flow_texts::numbers(&steps);
    for (step, (real, ours)) in steps.into_iter().zip(real.into_iter().zip(ours)) {
        if real == ours || same_meaning(&step, &real, &asked) == same_meaning(&step, &ours, &asked) {
            continue;
        }
        if !deliberate::is(&step, &real, &ours) {
            return Err(Box::new(Difference { step, real, ours }));
        }
        // A call that ends amid several flows has changed others.
        let ended = step.tool == Tool::Conntrack && (real.code, ours.code) == (1, 1);
        if ended || (real.code == 0) != (ours.code == 0) || matches!(step.tool, Tool::Restore(_)) {
            // The tables have parted company, on purpose.
            break;
        }
    }
    Ok(refused)
}

/// The C library's words for a name that is not found depend on the machine's resolver; of flows see `flow_texts`.
pub(crate) fn same_meaning(step: &Step, seen: &Seen, asked: &HashSet<u16>) -> Seen {
    let out = match step.tool {
        Tool::Conntrack => flow_texts::comparable(&seen.out, asked),
        _ => seen.out.clone(),
    };
    Seen {
        out,
        err: seen
            .err
            .replace("Temporary failure in name resolution", "Name or service not known"),
        ..seen.clone()
    }
}

/// Drops steps, then words and lines, as long as a difference is left.
fn shrink(scenario: &[Step], difference: &Difference) -> (Vec<Step>, Difference) {
    let mut best = (scenario.to_vec(), difference.clone());
    let mut tries = MOST_TRIES;
    let attempt = |candidate: Vec<Step>, best: &mut (Vec<Step>, Difference), tries: &mut usize| {
        if *tries == 0 {
            return false;
        }
        *tries -= 1;
        match first_difference(&candidate) {
            Err(difference) if kind(&difference) == kind(&best.1) => {
                *best = (candidate, *difference);
                true
            }
            _ => false,
        }
    };
    // Whole runs of steps first: most scenarios differ by one.
    let mut width = best.0.len().div_ceil(2);
    while width > 0 {
        let mut at = 0;
        while at < best.0.len() {
            let mut candidate = best.0.clone();
            candidate.drain(at..(at + width).min(best.0.len()));
            if !attempt(candidate, &mut best, &mut tries) {
                at += width;
            }
        }
        width /= 2;
    }
    for number in 0..best.0.len() {
        let mut at = 0;
        while at < best.0[number].arguments.len() {
            let mut candidate = best.0.clone();
            candidate[number].arguments.remove(at);
            if !attempt(candidate, &mut best, &mut tries) {
                at += 1;
            }
        }
        let mut at = 0;
        while let Some(line) = best.0[number].input.split_inclusive('\n').nth(at) {
            let start = line.as_ptr() as usize - best.0[number].input.as_ptr() as usize;
            let mut candidate = best.0.clone();
            candidate[number].input.replace_range(start..start + line.len(), "");
            if !attempt(candidate, &mut best, &mut tries) {
                at += 1;
            }
        }
    }
    best
}

/// Cutting down must not end at another difference than it began with: the tool, both exit codes, what of the texts differs.
fn kind(difference: &Difference) -> impl PartialEq {
    let Difference { step, real, ours } = difference;
    let begin: Vec<String> = real.err.split_whitespace().take(6).map(str::to_owned).collect();
    (
        step.tool,
        real.code,
        ours.code,
        real.out == ours.out,
        real.err == ours.err,
        begin,
    )
}

/// A scenario as it stands in the files here, and what became of it.
fn told(scenario: &[Step], difference: &Difference) -> String {
    let mut out = String::from("== to be seen again:\n");
    for step in scenario {
        let _ = writeln!(out, "{step}");
    }
    let Difference { step, real, ours } = difference;
    let _ = writeln!(out, "-- at: {step}");
    for (who, seen) in [("real", real), ("ours", ours)] {
        let _ = writeln!(out, "   {who}: exit {}", seen.code);
        for (name, text, other) in [
            ("out", &seen.out, [&real.out, &ours.out]),
            ("err", &seen.err, [&real.err, &ours.err]),
        ] {
            if other[0] != other[1] || !text.is_empty() && name == "err" {
                let _ = writeln!(out, "   {who}: {name} {}", parted(text, other));
            }
        }
    }
    out
}

/// A text, or of two long ones the lines that only this one has.
fn parted(text: &str, both: [&String; 2]) -> String {
    if text.len() < 300 {
        return format!("{text:?}");
    }
    let other = if both[0] == text { both[1] } else { both[0] };
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !other.lines().any(|it| it == *line))
        .collect();
    format!("has alone: {lines:?}")
}

const MOST_SHOWN: usize = 40;
const MOST_TRIES: usize = 300;
