//! Running: a case is one test under one ruleset, in a lab of its own that nothing else ever touches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::coverage::Coverage;
use super::read::{Body, Spot, Step, Suite, Test};
use super::rules::{RulePlace, Ruleset, in_force, places, sets_rules};
use super::table::Row;
use super::twins::Parted;
use crate::base::Family;
use crate::base::bytes::text_of_path;
use crate::explain::story::Story;
use crate::lab::memory::Lab;
use crate::lab::script::{Kind, Runner};
use crate::rule::CountId;
use crate::syntax::problem::SourceError;
use crate::text::restore::Marks;

/// A test under a ruleset, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What the file says to all of its tests.
    pub suite: &'a Suite,
    /// What is sent and expected.
    pub test: &'a Test,
    /// The rules in force.
    pub ruleset: &'a Ruleset,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct CaseOutcome {
    /// The test file.
    pub suite: String,
    /// Its name.
    pub test: String,
    /// Where the suite has several.
    pub ruleset: Option<String>,
    /// Where the test begins.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Empty: it passed.
    pub failures: Vec<Failure>,
    /// How many packets each rule matched.
    pub hits: Vec<(Arc<RulePlace>, u64)>,
    /// How the families parted under the rules that it began with.
    pub parted: Vec<Parted>,
    /// For whoever has a clock to fill in.
    pub took: Option<Duration>,
}

/// One thing that was not as expected, or could not be done.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where the command is written.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line as it is written.
    pub command: String,
    /// What is instead.
    pub reason: String,
    /// The way of the packet that it is about.
    pub story: Option<Box<Story>>,
}

/// What came of many cases, in their order.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One for each test under each ruleset that was run.
    pub cases: Vec<CaseOutcome>,
    /// Every rule that could have been reached.
    pub rules: Vec<Arc<RulePlace>>,
    /// For whoever has a clock to fill in.
    pub took: Option<Duration>,
}

/// Runs every case of these suites, one after the other.
pub fn run(suites: &[Suite]) -> Outcome {
    let mut outcome = Outcome::of(suites);
    let mut spare = Spare::default();
    let cases = suites.iter().flat_map(Suite::cases);
    outcome.cases = cases.map(|case| case.run_after(&mut spare)).collect();
    outcome
}

impl Suite {
    /// Every test under every ruleset.
    pub fn cases(&self) -> impl Iterator<Item = Case<'_>> {
        self.rulesets.iter().flat_map(move |ruleset| {
            self.tests.iter().map(move |test| Case {
                suite: self,
                test,
                ruleset,
            })
        })
    }
}

impl Outcome {
    /// Nothing run yet.
    pub fn of(suites: &[Suite]) -> Self {
        let rules = suites
            .iter()
            .flat_map(|suite| &suite.rulesets)
            .flat_map(|it| it.rules().iter().cloned());
        Self {
            cases: Vec::new(),
            rules: rules.collect(),
            took: None,
        }
    }

    /// True where no case failed; of no case too.
    pub fn passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Those with failures.
    pub fn failed(&self) -> impl Iterator<Item = &CaseOutcome> {
        self.cases.iter().filter(|case| !case.failures.is_empty())
    }

    /// Which rules were reached, and which were not.
    pub fn coverage(&self) -> Coverage {
        Coverage::of(self)
    }
}

impl CaseOutcome {
    /// The test's name, and the ruleset's in brackets where there are several.
    pub fn name(&self) -> String {
        named(&self.test, self.ruleset.as_deref())
    }

    /// True where everything was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// The lab of a case that is done: one after it under the same rules need not copy them once more.
#[derive(Debug, Default)]
pub struct Spare<'a>(Option<(&'a Ruleset, Lab)>);

impl<'a> Spare<'a> {
    /// A copy of a lab that is ready for these rules' cases.
    fn lab(&mut self, ruleset: &'a Ruleset, ready: &Lab) -> Lab {
        let used = self.0.take().filter(|(of, _)| std::ptr::eq(*of, ruleset));
        Lab::trial_after(&ready.machine, used.map(|(_, lab)| lab))
    }
}

impl<'a> Case<'a> {
    /// Runs it in a fresh lab, after another case of the same thread, whose lab may serve for it; it leaves its own.
    pub fn run_after(&self, spare: &mut Spare<'a>) -> CaseOutcome {
        if self.tells_of_packets() {
            return self.run_telling(true, spare);
        }
        // What failed is told with all rules that the packet met; of what passed nobody asks, so the packet need not be followed so closely.
        let outcome = self.run_telling(false, spare);
        match outcome.passed() {
            true => outcome,
            false => self.run_telling(true, spare),
        }
    }

    /// As reports call it.
    pub fn name(&self) -> String {
        named(&self.test.name, self.ruleset_name().as_deref())
    }

    fn ruleset_name(&self) -> Option<String> {
        (self.suite.rulesets.len() > 1).then(|| self.ruleset.name.clone())
    }

    /// Runs it in a fresh lab.
    pub fn run(&self) -> CaseOutcome {
        self.run_after(&mut Spare::default())
    }

    /// Whether a command's outcome may hang on the rules that a packet failed.
    fn tells_of_packets(&self) -> bool {
        let tells = |step: &Step| match &step.statement.kind {
            Kind::ExpectRefused(refused) => matches!(**refused, Kind::Trace(_)),
            kind => matches!(kind, Kind::Trace(_)),
        };
        let of_test = match &self.test.body {
            Body::Steps(steps) => steps.iter().any(tells),
            Body::Row(..) => false,
        };
        of_test || self.suite.setup.iter().any(tells)
    }

    fn run_telling(&self, tells_all: bool, spare: &mut Spare<'a>) -> CaseOutcome {
        let ready = self.ruleset.ready(|| self.lab());
        let lab = match ready {
            Some(ready) => Ok(spare.lab(self.ruleset, ready)),
            None => self.lab(),
        };
        match lab {
            Ok(mut lab) => {
                lab.tells_all = tells_all;
                let (outcome, lab) = self.run_with(lab, ready.is_some());
                // Stories of what failed hold on to the tables.
                if ready.is_some() && outcome.passed() {
                    spare.0 = Some((self.ruleset, lab));
                }
                outcome
            }
            Err(error) => self.outcome(Running {
                failures: vec![Failure {
                    file: self.test.file.clone(),
                    line: self.test.line,
                    column: self.test.column,
                    command: String::new(),
                    reason: error.to_string(),
                    story: None,
                }],
                ..Running::default()
            }),
        }
    }

    /// Runs it in a lab that somebody made: its rules stay where the suite has none.
    pub(crate) fn run_in(&self, lab: Lab) -> CaseOutcome {
        self.run_with(lab, false).0
    }

    /// In one where its rules are in force already, or are to come.
    fn run_with(&self, lab: Lab, has_rules: bool) -> (CaseOutcome, Lab) {
        let mut running = Running::default();
        let mut runner = Runner::new(lab, self.suite.directory.clone());
        runner.tells = None;
        running.whole(self, &mut runner, has_rules);
        (self.outcome(running), runner.lab)
    }

    fn lab(&self) -> Result<Lab, SourceError> {
        Lab::new(&self.suite.lab, self.suite.seed, self.suite.toolbox)
    }

    fn outcome(&self, running: Running) -> CaseOutcome {
        CaseOutcome {
            suite: text_of_path(&self.suite.path),
            test: self.test.name.clone(),
            ruleset: self.ruleset_name(),
            file: self.test.file.clone(),
            line: self.test.line,
            failures: running.failures,
            hits: running.hits,
            parted: running.parted,
            took: None,
        }
    }
}

/// With the ruleset's name in brackets, where that is to be said.
pub(super) fn named(test: &str, ruleset: Option<&str>) -> String {
    match ruleset {
        Some(ruleset) => format!("{test} [{ruleset}]"),
        None => test.to_owned(),
    }
}

/// A case on its way.
#[derive(Default)]
struct Running {
    failures: Vec<Failure>,
    tally: Tally,
    hits: Vec<(Arc<RulePlace>, u64)>,
    parted: Vec<Parted>,
    /// The way of the packet at hand stands in a failure already.
    told: bool,
}

impl Running {
    fn whole(&mut self, case: &Case<'_>, runner: &mut Runner, has_rules: bool) {
        if !has_rules && let Err(reason) = case.ruleset.apply(runner) {
            // The same rules came into force when they were read; should they not now, that is said.
            let spot = Spot {
                file: super::fault::Text::new(case.test.file.clone(), String::new()),
                line: case.test.line,
                column: case.test.column,
                shown: format!("rules {}", case.ruleset.name),
            };
            return self.fail(&spot, reason, None);
        }
        // Rules of `setup` are covered as those of files are; their lines are found by when they were made.
        let mut marks = Marks::default();
        let setup = &case.suite.setup;
        let mut went_well = true;
        for (at, step) in setup.iter().enumerate() {
            marks.set(at as u32);
            went_well = went_well && self.step(step, runner) && self.failures.is_empty();
        }
        // Younger rules are the test's own, and no part of the ruleset.
        marks.set(setup.len() as u32);
        self.parted = Parted::of(&runner.lab);
        let made = self.rules_of_setup(setup, case.ruleset, runner, &marks);
        if went_well {
            match &case.test.body {
                Body::Steps(steps) => {
                    for step in steps {
                        if !self.step(step, runner) {
                            break;
                        }
                    }
                }
                Body::Row(row, spot) => self.row(row, spot, runner),
            }
        }
        self.tally.note(&runner.lab);
        for (id, packets) in &self.tally.sums {
            if let Some(place) = case.ruleset.place(*id).or_else(|| made.get(id)) {
                self.hits.push((Arc::clone(place), *packets));
            }
        }
        for (id, place) in made {
            if !self.tally.sums.contains_key(&id) {
                self.hits.push((place, 0));
            }
        }
        self.hits.sort();
    }

    fn rules_of_setup(
        &self,
        setup: &[Step],
        ruleset: &Ruleset,
        runner: &Runner,
        marks: &Marks,
    ) -> HashMap<CountId, Arc<RulePlace>> {
        let is_tool = |step: &Step| matches!(&step.statement.kind, Kind::Tool(call) if sets_rules(call.name));
        if !setup.iter().any(is_tool) {
            return HashMap::new();
        }
        let mut made = HashMap::new();
        for rules in in_force(&runner.lab) {
            let found = places(&rules, |id| {
                if ruleset.place(id).is_some() {
                    return None;
                }
                let spot = &setup.get(marks.line(id)? as usize)?.spot;
                Some((spot.file.source.name.clone(), spot.line as u32))
            });
            made.extend(found.into_iter().map(|(place, id)| (id, place)));
        }
        made
    }

    /// Does a command; false where what follows it would have no ground to stand on.
    fn step(&mut self, step: &Step, runner: &mut Runner) -> bool {
        let changes_rules = matches!(&step.statement.kind, Kind::Tool(_) | Kind::ExpectFail(_));
        if changes_rules {
            self.tally.note(&runner.lab);
        }
        self.told &= matches!(step.statement.kind, Kind::Expect(_));
        let (said, result) = runner.run(&step.statement);
        if changes_rules {
            self.tally.restart(&runner.lab);
        }
        let Err(failed) = result else { return true };
        let mut reason = said.stderr;
        reason.push_str(&failed.reason);
        let about_packet = match &step.statement.kind {
            Kind::Expect(expectation) => expectation.is_of_the_packet(),
            Kind::Converse(_) | Kind::ExpectFailed(_) => true,
            _ => false,
        };
        // Several expectations of one packet fail for one reason.
        let story = (about_packet && !self.told).then(|| story(&runner.lab)).flatten();
        self.told |= story.is_some();
        self.fail(&step.spot, reason, story);
        // An expectation that is not met changes nothing; a command that failed does.
        matches!(step.statement.kind, Kind::Expect(_) | Kind::ExpectFail(_))
    }

    fn row(&mut self, row: &Row, spot: &Spot, runner: &mut Runner) {
        if let Err(failed) = runner.knock(&row.from, &row.to, row.service) {
            return self.fail(spot, failed.reason, None);
        }
        let mut wrong: Vec<String> = row
            .expected
            .iter()
            .filter_map(|(cell, expectation)| {
                let is = expectation.check(&runner.lab, None).err()?;
                Some(format!("{cell}: {is}"))
            })
            .collect();
        // Each family has rules of its own: one that is meant may be in one of them alone.
        let names_a_rule = |cell: &String| cell.starts_with("by ") || cell.starts_with("comment ");
        if row.has_both && wrong.iter().any(names_a_rule) {
            wrong.push(
                "this case runs in both families: `4` or `6` in a column `family` says in which alone".to_owned(),
            );
        }
        if !wrong.is_empty() {
            self.fail(spot, wrong.join("\n"), story(&runner.lab));
        }
    }

    fn fail(&mut self, spot: &Spot, reason: String, story: Option<Box<Story>>) {
        self.failures.push(Failure {
            file: spot.file.source.name.clone(),
            line: spot.line,
            column: spot.column,
            command: spot.shown.clone(),
            reason,
            story,
        });
    }
}

fn story(lab: &Lab) -> Option<Box<Story>> {
    lab.last().map(|passage| Box::new(passage.story.clone()))
}

/// Packets that rules have matched, whatever tools did to their counters meanwhile.
#[derive(Default)]
struct Tally {
    last: HashMap<CountId, u64>,
    sums: HashMap<CountId, u64>,
}

impl Tally {
    /// Adds what came since the last look.
    fn note(&mut self, lab: &Lab) {
        for (id, packets) in counted(lab) {
            let before = self.last.insert(id, packets).unwrap_or(0);
            let more = packets.saturating_sub(before);
            if more > 0 {
                *self.sums.entry(id).or_default() += more;
            }
        }
    }

    /// What is counted now counts from here on: a tool may have set counters.
    fn restart(&mut self, lab: &Lab) {
        self.last = counted(lab).into_iter().collect();
    }
}

/// The rules and policies that packets came to, and how many: of a thousand rules a case meets few.
fn counted(lab: &Lab) -> Vec<(CountId, u64)> {
    let router = lab.machine.router();
    let tables_of = |family| router.tables(family).into_iter().map(move |table| (family, table));
    let tables = Family::ALL.into_iter().flat_map(tables_of);
    let counted = tables.filter_map(|(family, table)| router.live_table(family, table));
    let mut packets = Vec::new();
    for table in counted {
        packets.extend(table.counted().map(|(id, counters)| (id, counters.packets)));
    }
    packets
}
