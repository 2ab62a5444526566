//! The rules that a packet may match, one after another in the order of the chain. Each table is looked into when its turn comes.

use super::asked::Sight;
use super::key::Key;
use super::table::{Bucket, Table};

/// What was found so far. It stands on the stack, so it has an end: what does not fit is looked for anew each time.
#[derive(Clone, Debug)]
pub struct Candidates<'i> {
    tables: &'i [Table],
    sight: Sight,
    /// How many rules the chain has.
    end: u32,
    /// Those before it were looked into.
    next: u32,
    /// How many of `found` count.
    open: u32,
    found: [Found; MOST_OPEN],
}

/// A rule, and what may come behind it in its table.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    step: u32,
    table: u32,
    rest: Bucket,
}

/// A packet that may match rules of more tables than that at once is rare, and pays a look into each of the others for each rule.
const MOST_OPEN: usize = 8;

impl<'i> Candidates<'i> {
    #[inline(always)]
    pub(super) fn new(tables: &'i [Table], sight: Sight, end: u32) -> Self {
        Self {
            tables,
            sight,
            end,
            next: 0,
            open: 0,
            found: [Found::default(); MOST_OPEN],
        }
    }

    /// The first that does not stand before; the number of rules where there is none. Whoever asks for one that stands before what was asked for
    /// last has to begin anew.
    pub fn next(&mut self, key: &Key, from: u32) -> u32 {
        let mut best = self.end;
        let mut at = 0;
        while at < self.open as usize {
            let found = &mut self.found[at];
            if found.step < from {
                let table = &self.tables[found.table as usize];
                match table.next(&mut found.rest, &self.sight, from) {
                    Some(step) => found.step = step,
                    None => {
                        self.open -= 1;
                        self.found[at] = self.found[self.open as usize];
                        continue;
                    }
                }
            }
            best = best.min(self.found[at].step);
            at += 1;
        }
        // They stand in the order of their first rules: where that is too far behind, so are all others.
        while let Some(table) = self.tables.get(self.next as usize)
            && table.first < best
        {
            if self.open as usize == MOST_OPEN {
                return self.best_of_the_others(key, from, best);
            }
            if let Some(mut rest) = table.bucket(&key.words)
                && let Some(step) = table.next(&mut rest, &self.sight, from)
            {
                best = best.min(step);
                self.found[self.open as usize] = Found {
                    step,
                    table: self.next,
                    rest,
                };
                self.open += 1;
            }
            self.next += 1;
        }
        best
    }

    #[cold]
    fn best_of_the_others(&self, key: &Key, from: u32, mut best: u32) -> u32 {
        let others = self.tables.iter().skip(self.next as usize);
        for table in others {
            if table.first >= best {
                break;
            }
            if let Some(mut bucket) = table.bucket(&key.words)
                && let Some(step) = table.next(&mut bucket, &self.sight, from)
            {
                best = best.min(step);
            }
        }
        best
    }
}
