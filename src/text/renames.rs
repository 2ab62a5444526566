//! What `-E` means for rules that jump to the chain: noted when it is said, done when rules are looked at, for all new names at once.
//!
//! A rule's identity tells its age: what is younger than a new name means the chain that has the old name since.

use std::collections::HashMap;

use crate::rule::CountId;

/// New names, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Renames(Vec<Rename>);

#[derive(Debug)]
struct Rename {
    /// Older than every rule that is made after it.
    mark: CountId,
    from: String,
    to: String,
}

/// What each name has become.
pub(super) struct Names<'a>(HashMap<&'a str, Vec<(CountId, &'a str)>>);

impl Renames {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, from: &str, to: &str) {
        self.0.push(Rename {
            mark: CountId::fresh(),
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }

    /// From the last to the first, so that what a new name became later is known already.
    pub(super) fn names(&self) -> Names<'_> {
        let mut names: HashMap<&str, Vec<(CountId, &str)>> = HashMap::new();
        for rename in self.0.iter().rev() {
            let later = names.get(rename.to.as_str()).and_then(|it| it.last());
            let last = later.map_or(rename.to.as_str(), |(_, name)| *name);
            names.entry(&rename.from).or_default().push((rename.mark, last));
        }
        Names(names)
    }
}

impl Names<'_> {
    /// The name that a chain has by now which was called so when the rule was made; `None` where it is the same.
    pub(super) fn now(&self, name: &str, rule: CountId) -> Option<&str> {
        let names = self.0.get(name)?;
        let younger = names.partition_point(|(mark, _)| *mark > rule);
        Some(names[younger.checked_sub(1)?].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_follows_the_chain_that_it_meant() {
        let mut renames = Renames::default();
        let first = CountId::fresh();
        renames.note("a", "b");
        let second = CountId::fresh();
        renames.note("b", "c");
        renames.note("a", "d");
        let third = CountId::fresh();
        let names = renames.names();
        for (name, rule, expected) in [
            ("a", first, Some("c")),
            ("b", first, Some("c")),
            ("b", second, Some("c")),
            ("a", second, Some("d")),
            ("a", third, None),
            ("x", first, None),
        ] {
            assert_eq!(names.now(name, rule), expected, "{name} {rule:?}");
        }
    }
}
