//! Where a chain has a rule as it is typed: what `-D` and `-C` ask.
//!
//! A few questions are answered by looking at one rule after another. Who asks often gets an index, from a rule's text to labels that grow
//! along the chain: a label stays when rules come and go before it, and a search among the labels tells the position.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::save;
use crate::rule::Rule;

/// The index of one chain, where it has one.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// How many questions came.
    asked: u32,
    index: Option<Index>,
}

#[derive(Debug)]
struct Index {
    /// One a rule, growing.
    labels: VecDeque<u64>,
    /// The labels of all rules of one text.
    texts: HashMap<u64, BTreeSet<u64>>,
}

impl Places {
    /// The position of the first rule that says the same.
    pub fn find(&mut self, rules: &VecDeque<Arc<Rule>>, rule: &Rule) -> Option<usize> {
        self.asked = self.asked.saturating_add(1);
        if self.asked < OFTEN {
            return rules.iter().position(|other| other.says_the_same(rule));
        }
        let index = self.index.get_or_insert_with(|| Index::of(rules));
        let labels = index.texts.get(&text_of(rule))?;
        let places = labels.iter().filter_map(|label| index.labels.binary_search(label).ok());
        places
            .into_iter()
            .find(|&at| rules.get(at).is_some_and(|other| other.says_the_same(rule)))
    }

    /// A rule comes to this position; those from there on move.
    pub fn inserted(&mut self, at: usize, rule: &Rule) {
        let Some(index) = &mut self.index else { return };
        let before = at.checked_sub(1).map_or(Some(0), |at| index.labels.get(at).copied());
        let (Some(before), after) = (before, index.labels.get(at)) else {
            self.index = None;
            return;
        };
        let label = match after {
            Some(after) => before + (after - before) / 2,
            None => before.saturating_add(GAP),
        };
        if label == before {
            // No room: labels are given anew when somebody asks.
            self.index = None;
            return;
        }
        index.labels.insert(at, label);
        index.texts.entry(text_of(rule)).or_default().insert(label);
    }

    /// The rule at this position goes.
    pub fn removed(&mut self, at: usize, rule: &Rule) {
        let Some(index) = &mut self.index else { return };
        if let Some(label) = index.labels.remove(at)
            && let Some(labels) = index.texts.get_mut(&text_of(rule))
        {
            labels.remove(&label);
        }
    }
}

impl Index {
    fn of(rules: &VecDeque<Arc<Rule>>) -> Self {
        let mut texts: HashMap<u64, BTreeSet<u64>> = HashMap::new();
        let mut labels = VecDeque::with_capacity(rules.len());
        for (at, rule) in rules.iter().enumerate() {
            let label = (at as u64 + 1) * GAP;
            labels.push_back(label);
            texts.entry(text_of(rule)).or_default().insert(label);
        }
        Self { labels, texts }
    }
}

/// Rules that say the same have the same text. Others may share it, so whoever finds one by it must compare.
fn text_of(rule: &Rule) -> u64 {
    let mut text = String::new();
    save::write_rule(&mut text, "", rule, None);
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Questions until there is an index: making it costs as much as a hundred searches.
const OFTEN: u32 = 64;
/// Between two labels: room for 32 rules put between the same two, one after another.
const GAP: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AddressMask, Family, Random};
    use crate::rule::{Action, Count, CountId, Selector};

    fn rule(number: u8) -> Arc<Rule> {
        Arc::new(Rule {
            id: CountId::fresh(),
            count: Count::Keep,
            selector: Selector {
                source: AddressMask::host([10, 0, 0, number].into()),
                ..Selector::any(Family::V4)
            },
            matches: Vec::new(),
            action: Action::Accept,
        })
    }

    /// Whatever comes and goes, the index tells what looking at one after another tells.
    #[test]
    fn the_index_is_as_good_as_a_search() {
        let mut random = Random::new(7);
        let mut rules = VecDeque::new();
        let mut places = Places {
            asked: OFTEN,
            index: None,
        };
        let mut found = 0;
        for _ in 0..5_000 {
            let drawn = random.next_u64();
            let one = rule((drawn >> 32) as u8 % 30);
            match drawn % 4 {
                // Mostly before the same one, where labels have no room soon.
                0 | 1 if rules.len() < 100 => {
                    let at = if drawn % 8 < 4 {
                        rules.len() / 2
                    } else {
                        (drawn >> 8) as usize % (rules.len() + 1)
                    };
                    places.inserted(at, &one);
                    rules.insert(at, one);
                }
                2 if !rules.is_empty() => {
                    let at = (drawn >> 8) as usize % rules.len();
                    let gone = rules.remove(at).unwrap();
                    places.removed(at, &gone);
                }
                _ => {
                    let expected = rules.iter().position(|other: &Arc<Rule>| other.says_the_same(&one));
                    assert_eq!(places.find(&rules, &one), expected);
                    found += usize::from(expected.is_some());
                }
            }
        }
        assert!(found > 500, "{found}");
    }
}
