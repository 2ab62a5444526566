//! Which rules the packets of tests matched, and which none did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use super::rules::RulePlace;
use super::run::{CaseOutcome, Outcome, named};
use super::twins::{self, Parted};

/// Every rule with its count, by file and line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each once, whatever number of rulesets and tests had it in force.
    pub rules: Vec<Covered>,
    /// How the families part as a whole, each once.
    pub parted: Vec<PartedUnder>,
}

/// How the families part under the rules of a test file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartedUnder {
    /// The test file.
    pub suite: String,
    /// Where that has several.
    pub ruleset: Option<String>,
    /// What the one family has and the other has not.
    pub parted: Parted,
}

/// A rule, and how often it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Where it is written.
    pub place: Arc<RulePlace>,
    /// Packets of all tests that the rule matched.
    pub packets: u64,
}

impl Coverage {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let mut counted: BTreeMap<Arc<RulePlace>, u64> =
            outcome.rules.iter().map(|place| (Arc::clone(place), 0)).collect();
        for (place, packets) in outcome.cases.iter().flat_map(|case| &case.hits) {
            *counted.entry(Arc::clone(place)).or_default() += packets;
        }
        let rules = counted.into_iter().map(|(place, packets)| Covered { place, packets });
        let parted_in = |case: &CaseOutcome, parted: &Parted| PartedUnder {
            suite: case.suite.clone(),
            ruleset: case.ruleset.clone(),
            parted: parted.clone(),
        };
        let cases = outcome.cases.iter();
        let parted: BTreeSet<PartedUnder> = cases
            .flat_map(|case| case.parted.iter().map(|parted| parted_in(case, parted)))
            .collect();
        Self {
            rules: rules.collect(),
            parted: parted.into_iter().collect(),
        }
    }

    /// Those that no packet matched.
    pub fn unreached(&self) -> impl Iterator<Item = &Covered> {
        self.rules.iter().filter(|rule| rule.packets == 0)
    }

    /// How many some packet matched.
    pub fn reached(&self) -> usize {
        self.rules.len() - self.unreached().count()
    }

    /// 0 to 100; 100 where there is no rule.
    pub fn percent(&self) -> f64 {
        match self.rules.len() {
            0 => 100.0,
            all => self.reached() as f64 * 100.0 / all as f64,
        }
    }

    /// For people: a line a file, and below it every rule that no packet matched.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut files: BTreeMap<&str, Vec<&Covered>> = BTreeMap::new();
        for rule in &self.rules {
            files.entry(&rule.place.file).or_default().push(rule);
        }
        if files.is_empty() {
            return "coverage: the tests have no rules\n".to_owned();
        }
        let width = files.keys().map(|name| name.len()).max().unwrap_or(0);
        for (name, rules) in &files {
            let reached = rules.iter().filter(|rule| rule.packets > 0).count();
            let percent = reached * 100 / rules.len();
            let _ = writeln!(
                out,
                "{name:<width$}  {reached:>3} of {:>3} rules reached  {percent:>3} %",
                rules.len()
            );
            for rule in rules.iter().filter(|rule| rule.packets == 0) {
                let place = &rule.place;
                let _ = writeln!(
                    out,
                    "  {name}:{}: no packet matched {}\n      {}",
                    place.line,
                    place.name(),
                    place.rule
                );
            }
        }
        let alone = self.without_twin();
        if !alone.is_empty() {
            let _ = writeln!(out, "rules of one family without a like one of the other:");
        }
        for rule in alone {
            let place = &rule.place;
            let _ = writeln!(
                out,
                "  {}:{}: {} has no like one in {}\n      {}",
                place.file,
                place.line,
                place.name(),
                place.family.other(),
                place.rule
            );
        }
        for PartedUnder { suite, ruleset, parted } in &self.parted {
            let _ = writeln!(out, "{}: {parted}", named(suite, ruleset.as_deref()));
        }
        out
    }

    /// Where both families have rules: those that have no like one in the other, which is what guards only one of them.
    pub fn without_twin(&self) -> Vec<&Covered> {
        twins::missing(&self.rules, |rule| &rule.place)
    }

    /// An lcov tracefile: a line of a file of rules is a line of source. Of several rules in one line the least reached counts.
    pub fn lcov(&self) -> String {
        let mut files: BTreeMap<&str, BTreeMap<u32, u64>> = BTreeMap::new();
        for rule in &self.rules {
            let lines = files.entry(&rule.place.file).or_default();
            lines
                .entry(rule.place.line)
                .and_modify(|packets| *packets = (*packets).min(rule.packets))
                .or_insert(rule.packets);
        }
        let mut out = String::new();
        for (name, lines) in files {
            let _ = writeln!(out, "TN:\nSF:{name}");
            for (line, packets) in &lines {
                let _ = writeln!(out, "DA:{line},{packets}");
            }
            let hit = lines.values().filter(|packets| **packets > 0).count();
            let _ = writeln!(out, "LF:{}\nLH:{hit}\nend_of_record", lines.len());
        }
        out
    }
}
