//! Every `-m` and every `-j` in random rules, as the specs say that they are drawn.

use nflab::ext::drawn::{Drawing, Place};
use nflab::ext::{MATCHES, MatchSpec, TARGETS, TargetSpec};

/// What rules are made up with. Each extension has a stream of its own for each rule: nothing that is drawn here takes from another's, nor from
/// the scenario's.
#[derive(Clone, Debug)]
pub(super) struct Extensions {
    seed: u64,
    /// How many rules there were.
    rules: u64,
    pub matches: Vec<&'static MatchSpec>,
    pub targets: Vec<&'static TargetSpec>,
}

impl Extensions {
    /// The whole registry.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: 0,
            matches: MATCHES.to_vec(),
            targets: TARGETS.to_vec(),
        }
    }

    /// The number of one more rule.
    pub(super) fn rule(&mut self) -> u64 {
        self.rules += 1;
        self.rules
    }

    /// All matches of a rule, each with a blank before it.
    pub(super) fn matches(&self, rule: u64, place: &Place) -> String {
        let drawn = self.matches.iter().filter_map(|it| it.drawn(self.seed, rule, place));
        let mut drawn: Vec<Drawing> = drawn.collect();
        drawn.sort_by_key(|it| it.key);
        drawn.into_iter().map(|it| it.words).collect()
    }

    /// The target of a rule, where it has one that is no verdict and no chain.
    pub(super) fn target(&self, rule: u64, place: &Place) -> Option<Drawing> {
        let drawn = self.targets.iter().filter_map(|it| it.drawn(self.seed, rule, place));
        drawn.min_by_key(|it| it.key)
    }

    /// This target, in a rule that is written for it.
    pub(super) fn this(&mut self, name: &str, place: &Place) -> String {
        let rule = self.rule();
        let spec = self.targets.iter().find(|it| it.name == name);
        let drawn = spec.map(|it| it.drawn_surely(self.seed, rule, place));
        drawn.expect("a target of the registry").words
    }
}
