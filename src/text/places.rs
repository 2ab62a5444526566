//! Where a chain has a rule as it is typed: what `-D` and `-C` ask.
//!
//! A few questions are answered by looking at one rule after another. Who asks often gets an index, from what a rule says to labels that grow
//! along the chain: a label stays when rules come and go before it, and a search among the labels tells the position.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::rule::{Action, Rule, Selector};

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
    labels: VecDeque<Label>,
    /// The numbers of all rules of one hash.
    said: HashMap<u64, Numbers>,
}

#[derive(Clone, Copy, Debug)]
struct Label {
    number: u64,
    hash: u64,
}

/// Mostly one: few chains say anything twice.
#[derive(Debug)]
enum Numbers {
    One(u64),
    Many(BTreeSet<u64>),
}

impl Numbers {
    fn iter(&self) -> impl Iterator<Item = u64> {
        let (one, many) = match self {
            Self::One(one) => (Some(*one), None),
            Self::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }

    fn insert(&mut self, number: u64) {
        match self {
            Self::One(one) => *self = Self::Many([*one, number].into()),
            Self::Many(many) => {
                many.insert(number);
            }
        }
    }
}

impl Places {
    /// The position of the first rule that says the same.
    pub(super) fn find(&mut self, rules: &VecDeque<Arc<Rule>>, rule: &Rule) -> Option<usize> {
        self.asked = self.asked.saturating_add(1);
        if self.asked < OFTEN {
            return rules.iter().position(|other| other.says_the_same(rule));
        }
        let index = self.index.get_or_insert_with(|| Index::of(rules));
        let numbers = index.said.get(&hash_of(rule))?.iter();
        let places = numbers.filter_map(|number| index.labels.binary_search_by_key(&number, |it| it.number).ok());
        places
            .into_iter()
            .find(|&at| rules.get(at).is_some_and(|other| other.says_the_same(rule)))
    }

    /// A rule comes to this position; those from there on move.
    pub(super) fn inserted(&mut self, at: usize, rule: &Rule) {
        let Some(index) = &mut self.index else { return };
        let number = |at: usize| index.labels.get(at).map(|it| it.number);
        let before = at.checked_sub(1).map_or(Some(0), number);
        let (Some(before), after) = (before, number(at)) else {
            self.index = None;
            return;
        };
        let number = match after {
            Some(after) => before + (after - before) / 2,
            None => before.saturating_add(GAP),
        };
        if number == before {
            // No room: labels are given anew when somebody asks.
            self.index = None;
            return;
        }
        let hash = hash_of(rule);
        index.labels.insert(at, Label { number, hash });
        index.note(hash, number);
    }

    /// The rule at this position goes.
    pub(super) fn removed(&mut self, at: usize) {
        let Some(index) = &mut self.index else { return };
        let Some(Label { number, hash }) = index.labels.remove(at) else {
            return;
        };
        match index.said.get_mut(&hash) {
            Some(Numbers::Many(many)) => {
                many.remove(&number);
            }
            _ => {
                index.said.remove(&hash);
            }
        }
    }
}

impl Index {
    fn of(rules: &VecDeque<Arc<Rule>>) -> Self {
        let mut index = Self {
            labels: VecDeque::with_capacity(rules.len()),
            said: HashMap::with_capacity(rules.len()),
        };
        for (at, rule) in rules.iter().enumerate() {
            let (number, hash) = ((at as u64 + 1) * GAP, hash_of(rule));
            index.labels.push_back(Label { number, hash });
            index.note(hash, number);
        }
        index
    }

    fn note(&mut self, hash: u64, number: u64) {
        match self.said.entry(hash) {
            Entry::Vacant(place) => {
                place.insert(Numbers::One(number));
            }
            Entry::Occupied(mut numbers) => numbers.get_mut().insert(number),
        }
    }
}

/// Rules that say the same have the same hash. Others may share it, so whoever finds one by it must compare.
fn hash_of(rule: &Rule) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Selector {
        source,
        destination,
        protocol,
        ..
    } = rule.selector;
    (source, destination, protocol).hash(&mut hasher);
    // Extensions say in their text what they are.
    let mut text = String::with_capacity(128);
    for one in &rule.matches {
        text.push_str(one.name());
        one.save(&mut text);
    }
    match &rule.action {
        Action::Jump(name) | Action::Goto(name) => text.push_str(name),
        Action::Target(target) => {
            text.push_str(target.name());
            target.save(&mut text);
        }
        Action::Nothing | Action::Accept | Action::Drop | Action::Return | Action::Queue => {}
    }
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
    use crate::rule::{Count, CountId};

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
                    rules.remove(at).unwrap();
                    places.removed(at);
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
