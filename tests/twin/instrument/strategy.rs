//! Scenarios as a proptest strategy. What shrinks is the scenario itself, not the choices that made it: whole events go, then rules, and what
//! is left is what matters.

use proptest::prelude::Rng;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::compare::{Agreement, Disagreement};
use super::scenario::{Event, Scenario};

/// Scenarios from a function of a seed.
pub(crate) struct Scenarios<F>(pub F);

impl<F: Fn(u64) -> Scenario> std::fmt::Debug for Scenarios<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scenarios")
    }
}

impl<F: Fn(u64) -> Scenario> Strategy for Scenarios<F> {
    type Tree = Shrinking;
    type Value = Scenario;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = runner.rng().next_u64();
        Ok(Shrinking::new(self.0(seed)))
    }
}

/// A runner whose scenarios follow from the seed, and which keeps nothing between runs: a case that is found becomes a file.
pub(crate) fn runner(seed: u64, cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 5_000,
        max_shrink_time: 60_000,
        // Not one scenario is to be passed over.
        max_global_rejects: 0,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// What proptest makes of an outcome: a difference fails; where the instrument could not do what is left of a scenario (an interface that it
/// needs has been left out), that says nothing.
pub(crate) fn judge(outcome: Result<Agreement, Disagreement>) -> Result<(), TestCaseError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(Disagreement::Broken(why)) => Err(TestCaseError::reject(why)),
        Err(why) => Err(TestCaseError::fail(why.to_string())),
    }
}

/// The smallest scenario that still fails, as the file that shows it, after what differs in it.
pub(crate) fn smallest(error: TestError<Scenario>) -> (String, Option<Scenario>) {
    match error {
        TestError::Fail(reason, scenario) => (reason.message().to_owned(), Some(scenario)),
        TestError::Abort(reason) => (format!("the twin gave up: {}", reason.message()), None),
    }
}

/// Leaves out ever smaller parts: half of what there is, a quarter, down to single events and rules, until nothing more can go.
#[derive(Clone, Debug)]
pub(crate) struct Shrinking {
    whole: Scenario,
    units: Vec<Unit>,
    kept: Vec<bool>,
    chunk: usize,
    at: usize,
    /// What was left out last, not yet known to be needless.
    tried: Option<Vec<usize>>,
    progress: bool,
}

/// What can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Event(usize),
    /// A line of an event's input: a rule of a restore file.
    Line {
        event: usize,
        line: usize,
    },
}

impl Shrinking {
    pub(crate) fn new(whole: Scenario) -> Self {
        let mut units: Vec<Unit> = (0..whole.events.len()).rev().map(Unit::Event).collect();
        for (at, event) in whole.events.iter().enumerate() {
            if let Event::Tool { input, .. } = event {
                let lines = input.lines().enumerate();
                // What frames the rules stays.
                let rules = lines.filter(|(_, line)| line.contains("-A ") || line.starts_with(':'));
                units.extend(rules.map(|(line, _)| Unit::Line { event: at, line }));
            }
        }
        Self {
            kept: vec![true; units.len()],
            chunk: units.len().div_ceil(2).max(1),
            units,
            whole,
            at: 0,
            tried: None,
            progress: false,
        }
    }

    /// Leaves out the next part; false when there is none.
    fn leave_out(&mut self) -> bool {
        loop {
            if self.at >= self.units.len() {
                if self.chunk == 1 && !self.progress {
                    return false;
                }
                self.progress = false;
                self.chunk = (self.chunk / 2).max(1);
                self.at = 0;
                if self.units.is_empty() {
                    return false;
                }
            }
            let end = (self.at + self.chunk).min(self.units.len());
            let part: Vec<usize> = (self.at..end).filter(|&unit| self.kept[unit]).collect();
            self.at = end;
            if !part.is_empty() {
                part.iter().for_each(|&unit| self.kept[unit] = false);
                self.tried = Some(part);
                return true;
            }
        }
    }
}

impl ValueTree for Shrinking {
    type Value = Scenario;

    fn current(&self) -> Scenario {
        let is_left_out = |unit: Unit| {
            let at = self.units.iter().position(|known| *known == unit);
            at.is_some_and(|at| !self.kept[at])
        };
        let mut gone = vec![false; self.whole.events.len()];
        for (unit, kept) in self.units.iter().zip(&self.kept) {
            if let (Unit::Event(at), false) = (unit, kept) {
                gone[*at] = true;
            }
        }
        let events = self.whole.events.iter().enumerate().filter(|(at, _)| !gone[*at]);
        let events = events.map(|(at, event)| {
            let mut event = event.clone();
            if let Event::Tool { input, .. } = &mut event {
                let lines = input.lines().enumerate();
                let kept = lines.filter(|(line, _)| !is_left_out(Unit::Line { event: at, line: *line }));
                *input = kept.map(|(_, line)| format!("{line}\n")).collect();
            }
            event
        });
        Scenario {
            name: self.whole.name.clone(),
            events: events.collect(),
        }
    }

    /// The part that was left out was needless: on to the next.
    fn simplify(&mut self) -> bool {
        self.progress |= self.tried.take().is_some();
        self.leave_out()
    }

    /// It was needed: back with it, and on to the next.
    fn complicate(&mut self) -> bool {
        for unit in self.tried.take().into_iter().flatten() {
            self.kept[unit] = true;
        }
        self.leave_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shrinks_to_what_matters() {
        let make = |_| {
            let mut scenario = Scenario::new("test");
            scenario.restore("*filter\n:u1 -\n-A INPUT -j u1\n-A u1 -s 10.0.0.2 -j DROP\n-A FORWARD -j DROP\nCOMMIT\n");
            for byte in 0..100 {
                scenario.receive("lan", vec![byte]);
            }
            scenario
        };
        let fails = |scenario: &Scenario| {
            let has = |byte| {
                scenario
                    .events
                    .iter()
                    .any(|event| matches!(event, Event::Packet { bytes, .. } if bytes == &[byte]))
            };
            let rules =
                matches!(&scenario.events.first(), Some(Event::Tool { input, .. }) if input.contains("-A FORWARD"));
            has(17) && has(80) && rules
        };
        let test = |scenario: Scenario| match fails(&scenario) {
            true => Err(TestCaseError::fail("seen")),
            false => Ok(()),
        };
        let error = runner(1, 1).run(&Scenarios(make), test).unwrap_err();
        let (why, scenario) = smallest(error);
        assert_eq!(why, "seen");
        let scenario = scenario.unwrap();
        let mut expected = Scenario::new("test");
        expected.restore("*filter\n-A FORWARD -j DROP\nCOMMIT\n");
        expected.receive("lan", vec![17]);
        expected.receive("lan", vec![80]);
        assert_eq!(scenario, expected);
    }

    #[test]
    fn a_seed_makes_the_same_scenario_again() {
        let named = Scenarios(|seed| Scenario::new(format!("{seed}")));
        let draw = |seed| named.new_tree(&mut runner(seed, 1)).unwrap().current().name;
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }
}
