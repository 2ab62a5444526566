//! How long packets may go by what is remembered of others: a number for what is in force, and for which destinations something was heard since.
//!
//! Whoever sends forged words about the size of paths makes packets to the destinations that they name be decided anew, and no others: else each word
//! would cost all flows their short ways.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::base::sync::{AtomicU64, Mutex, Ordering};

/// Of what packets go by: another after each change of rules or of the configuration, which no router had before, and after each word about a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version(u64);

impl Version {
    /// So many of the lower bits count words about paths.
    const WORDS: u32 = 24;
    const MOST_WORDS: u64 = (1 << Self::WORDS) - 1;

    fn of(change: u64, words: u64) -> Self {
        Self(change << Self::WORDS | words)
    }

    fn change(self) -> u64 {
        self.0 >> Self::WORDS
    }

    fn words(self) -> u64 {
        self.0 & Self::MOST_WORDS
    }

    /// Whether anything was ever heard of paths.
    #[inline]
    pub(super) fn is_after_words(self) -> bool {
        self.words() != 0
    }

    /// Whether rules and configuration are the same under both.
    #[inline]
    pub(super) fn is_of_the_change_of(self, other: Self) -> bool {
        self.change() == other.change()
    }
}

/// A router's own.
#[derive(Debug)]
pub(super) struct Versions {
    /// Who reads it first, and what is in force then, has nothing older than it says.
    now: AtomicU64,
    /// Taken by whoever changes it: so it only rises.
    changing: Mutex<()>,
    /// By a keyed hash of destinations: the last word about one of those that share a place.
    towards: Box<[AtomicU64]>,
    key: u64,
}

/// One word voids what leads to one in so many destinations.
const PLACES: usize = 1024;

impl Versions {
    /// The seed decides which destinations share a place.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: AtomicU64::new(Version::of(next_change(), 0).0),
            changing: Mutex::new(()),
            towards: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            key: seed,
        }
    }

    #[inline]
    pub(super) fn now(&self) -> Version {
        Version(self.now.load(Ordering::Acquire))
    }

    /// What packets remember is void from now on.
    pub(super) fn is_changed(&self) {
        let _one_at_a_time = self.changing.lock();
        self.begin(Version(self.now.load(Ordering::Relaxed)).words());
    }

    /// Something was heard of the way to this destination, and is known: what packets to it remember is void from now on.
    pub(super) fn is_heard_of(&self, to: IpAddr) {
        let _one_at_a_time = self.changing.lock();
        let now = Version(self.now.load(Ordering::Relaxed));
        if now.words() == Version::MOST_WORDS {
            self.towards.iter().for_each(|last| last.store(0, Ordering::Relaxed));
            return self.begin(0);
        }
        let words = now.words() + 1;
        self.towards[self.place(to)].store(words, Ordering::Relaxed);
        self.now.store(Version::of(now.change(), words).0, Ordering::Release);
    }

    /// Whether what was remembered under a version holds under a later one for packets to this destination.
    pub(super) fn holds(&self, remembered: Version, now: Version, to: IpAddr) -> bool {
        let last_word = self.towards[self.place(to)].load(Ordering::Relaxed);
        remembered.is_of_the_change_of(now) && last_word <= remembered.words()
    }

    fn begin(&self, words: u64) {
        self.now.store(Version::of(next_change(), words).0, Ordering::Release);
    }

    fn place(&self, to: IpAddr) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.key, to).hash(&mut hasher);
        hasher.finish() as usize % PLACES
    }
}

fn next_change() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;
    use crate::base::testing::{families, host};

    #[test]
    fn a_word_voids_what_leads_to_its_destination_alone() {
        for family in Family::ALL {
            let versions = Versions::new(7);
            let (one, other) = (host(family, 2), host(family, 3));
            let before = versions.now();
            versions.is_heard_of(one);
            let now = versions.now();
            assert_ne!(before, now);
            assert!(!versions.holds(before, now, one) && versions.holds(before, now, other));
            assert!(versions.holds(now, now, one), "what is remembered since knows of it");
            versions.is_changed();
            let changed = versions.now();
            assert!(!versions.holds(now, changed, other), "rules may send it elsewhere");
            versions.is_heard_of(other);
            assert!(versions.holds(changed, versions.now(), one) && !versions.holds(changed, versions.now(), other));
        }
    }

    families! {
        fn when_words_are_counted_out_all_is_void_once(family: Family) {
            let versions = Versions::new(7);
            let (one, other) = (host(family, 2), host(family, 3));
            versions.is_heard_of(one);
            let last = Version::of(versions.now().change(), Version::MOST_WORDS);
            versions.now.store(last.0, Ordering::Relaxed);
            versions.is_heard_of(one);
            let now = versions.now();
            assert!(!versions.holds(last, now, other) && versions.holds(now, now, one));
            versions.is_heard_of(other);
            assert!(versions.holds(now, versions.now(), one) && !versions.holds(now, versions.now(), other));
        }

        fn what_was_remembered_of_another_router_never_holds(family: Family) {
            let (one, other) = (Versions::new(1), Versions::new(1));
            assert!(!one.holds(other.now(), one.now(), host(family, 2)));
            assert!(!other.holds(one.now(), other.now(), host(family, 2)));
        }
    }
}
