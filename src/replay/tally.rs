//! Counts by a text that packets may choose, so that there is a bound: the first so many texts that came have a count each, later ones share one.
//!
//! Which texts came first, those who count together agree on: a text that is new to one of them is looked for among those of all, and that is done
//! in the order of the packets ([`super::turn`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::sync::Mutex;

#[derive(Debug)]
pub(super) struct Tally<K> {
    /// Of all who count together, in the order in which they came.
    agreed: Arc<Mutex<Vec<K>>>,
    /// The beginning of that, as far as it is known here, with what was counted here.
    counts: Vec<(K, u64)>,
    /// What came once there were enough, by what stands for it.
    others: BTreeMap<K, u64>,
    most: usize,
}

impl<K: Clone + Ord> Tally<K> {
    /// Of nothing yet.
    pub(super) fn new(most: usize) -> Self {
        Self {
            agreed: Arc::default(),
            counts: Vec::new(),
            others: BTreeMap::new(),
            most,
        }
    }

    /// For another who counts together with this one.
    pub(super) fn beside(&self) -> Self {
        Self {
            agreed: Arc::clone(&self.agreed),
            ..Self::new(self.most)
        }
    }

    /// Counts one. `await_turn` returns once all that came before has been counted; it is called where the text is a new one.
    pub(super) fn count(&mut self, key: &K, other: impl FnOnce(&K) -> K, await_turn: impl FnOnce()) {
        if let Some((_, count)) = self.counts.iter_mut().find(|(known, _)| known == key) {
            *count += 1;
            return;
        }
        if self.counts.len() < self.most {
            await_turn();
            if self.learn(key) {
                return;
            }
        }
        *self.others.entry(other(key)).or_default() += 1;
    }

    /// Counts one whose text was not known here; false where there are enough.
    fn learn(&mut self, key: &K) -> bool {
        let mut agreed = self.agreed.lock();
        if agreed.len() < self.most && !agreed.contains(key) {
            agreed.push(key.clone());
        }
        let new = &agreed[self.counts.len()..];
        self.counts.extend(new.iter().map(|key| (key.clone(), 0)));
        drop(agreed);
        let found = self.counts.iter_mut().find(|(known, _)| known == key);
        found.map(|(_, count)| *count += 1).is_some()
    }

    /// What another has counted together with this one.
    pub(super) fn add(&mut self, other: Self) {
        for (at, (key, count)) in other.counts.into_iter().enumerate() {
            match self.counts.get_mut(at) {
                Some((_, sum)) => *sum += count,
                None => self.counts.push((key, count)),
            }
        }
        for (key, count) in other.others {
            *self.others.entry(key).or_default() += count;
        }
    }

    /// By text, with how often each came.
    pub(super) fn sums(&self) -> BTreeMap<K, u64> {
        let mut sums = self.others.clone();
        for (key, count) in self.counts.iter().filter(|(_, count)| *count > 0) {
            *sums.entry(key.clone()).or_default() += count;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(_: &u32) -> u32 {
        u32::MAX
    }

    /// Whoever counts what, the first texts are those of all.
    #[test]
    fn who_count_together_agree_on_what_came_first() {
        let keys: Vec<u32> = (0..200u32).map(|at| at * at % 37).collect();
        let mut alone = Tally::new(5);
        keys.iter().for_each(|key| alone.count(key, others, || ()));
        let mut first = Tally::new(5);
        let mut second = first.beside();
        for (at, key) in keys.iter().enumerate() {
            let who = if at % 3 == 0 { &mut first } else { &mut second };
            who.count(key, others, || ());
        }
        first.add(second);
        assert_eq!(first.sums(), alone.sums());
        assert_eq!(alone.sums().len(), 6);
        assert_eq!(alone.sums().values().sum::<u64>(), 200);
    }
}
