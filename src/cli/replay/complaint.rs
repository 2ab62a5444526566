//! What is wrong with a capture, said once for each kind, with the packet's number; then how many more there were.

use std::collections::BTreeMap;

use super::screen::Screen;
use crate::replay::grouped;

#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// How often, by kind; `None` for what is not to be counted.
    kinds: BTreeMap<String, u64>,
    faults: u64,
    once: Vec<&'static str>,
}

impl Complaints {
    /// Something that makes the replay incomplete, and its exit code 2.
    pub(super) fn fault(&mut self, screen: &Screen, kind: &str, text: &str) {
        self.faults += 1;
        self.note(screen, kind, text);
    }

    /// Something to know.
    pub(super) fn note(&mut self, screen: &Screen, kind: &str, text: &str) {
        match self.kinds.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                // A damaged file may be damaged in as many ways as it has bytes.
                let kind = if self.kinds.len() < MOST_KINDS {
                    kind
                } else {
                    "other problems"
                };
                if *self
                    .kinds
                    .entry(kind.to_owned())
                    .and_modify(|count| *count += 1)
                    .or_insert(1)
                    == 1
                {
                    screen.say(&format!("nflab: {text}"));
                }
            }
        }
    }

    /// The same, of which one is enough.
    pub(super) fn note_once(&mut self, screen: &Screen, kind: &'static str, text: &str) {
        if !self.once.contains(&kind) {
            self.once.push(kind);
            screen.say(&format!("nflab: {text}"));
        }
    }

    pub(super) fn faults(&self) -> u64 {
        self.faults
    }

    /// How many more there were of each kind.
    pub(super) fn end(&self, screen: &Screen) {
        for (kind, count) in &self.kinds {
            if *count > 1 {
                screen.say(&format!(
                    "nflab: so it is with {} packets in all: {kind}",
                    grouped(*count)
                ));
            }
        }
    }
}

const MOST_KINDS: usize = 16;
