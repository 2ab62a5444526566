//! The rules that a packet may match, one after another in the order of the chain. Each table is looked into when its turn comes.

use super::asked::Sight;
use super::cuts::{Leaf, Tree};
use super::foresight::Foresight;
use super::key::Key;
use super::table::{Bucket, Table};

/// What was found so far. It stands on the stack, so it has an end: what does not fit is looked for anew each time.
#[derive(Clone, Debug)]
pub struct Candidates<'i> {
    tree: Option<&'i Tree>,
    leaf: Leaf,
    of_tree: Candidate,
    sight: Sight,
    /// How many rules the chain has.
    end: u32,
    /// `None` where the tree has all rules, and then nothing is written for it.
    in_tables: Option<InTables<'i>>,
}

#[derive(Clone, Debug)]
struct InTables<'i> {
    tables: &'i [Table],
    /// Those before it were looked into.
    next: u32,
    /// How many of `found` count.
    open: u32,
    found: [Found; MOST_OPEN],
}

/// A rule that a packet may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Candidate {
    /// Its place in the chain; the number of rules where there is none.
    pub step: u32,
    /// It matches for certain, and asking it would do nothing else. False says nothing.
    pub matches: bool,
}

impl Candidate {
    /// Behind every rule.
    pub(super) const NONE: Self = Self {
        step: u32::MAX,
        matches: false,
    };
}

/// A rule, and what may come behind it in its table.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    rule: Candidate,
    table: u32,
    rest: Bucket,
}

/// A packet that may match rules of more tables than that at once is rare, and pays a look into each of the others for each rule.
const MOST_OPEN: usize = 8;

impl<'i> Candidates<'i> {
    /// Of those from there on.
    #[inline(always)]
    pub(super) fn new(
        tree: Option<&'i Tree>,
        tables: &'i [Table],
        sight: Sight,
        from: u32,
        end: u32,
        foreseen: Option<&Foresight>,
    ) -> Self {
        let mut leaf = Leaf::default();
        let mut of_tree = Candidate::NONE;
        if let Some(foreseen) = foreseen {
            (leaf, of_tree) = (foreseen.leaf, foreseen.first);
        } else if let Some(tree) = tree {
            leaf = tree.leaf(&sight);
            of_tree = tree.next(&mut leaf, &sight, from).unwrap_or(Candidate::NONE);
        }
        Self {
            tree,
            leaf,
            of_tree,
            sight,
            end,
            in_tables: match tables {
                [] => None,
                tables => Some(InTables {
                    tables,
                    next: 0,
                    open: 0,
                    found: [Found::default(); MOST_OPEN],
                }),
            },
        }
    }

    /// The first that does not stand before; the number of rules where there is none. Whoever asks for one that stands before what was asked for
    /// last has to begin anew.
    #[inline]
    pub fn next(&mut self, key: &Key, from: u32) -> Candidate {
        let mut best = Candidate {
            step: self.end,
            matches: false,
        };
        if let Some(tree) = self.tree {
            if self.of_tree.step < from {
                let next = tree.next(&mut self.leaf, &self.sight, from);
                self.of_tree = next.unwrap_or(Candidate::NONE);
            }
            best = best.min(self.of_tree);
        }
        match &mut self.in_tables {
            Some(tables) => tables.next(key, &self.sight, from, best),
            None => best,
        }
    }
}

impl InTables<'_> {
    /// The best of all that do not stand before, or what is better than they.
    fn next(&mut self, key: &Key, sight: &Sight, from: u32, mut best: Candidate) -> Candidate {
        let mut at = 0;
        while at < self.open as usize {
            let found = &mut self.found[at];
            if found.rule.step < from {
                let table = &self.tables[found.table as usize];
                match table.next(&mut found.rest, sight, from) {
                    Some(rule) => found.rule = rule,
                    None => {
                        self.open -= 1;
                        self.found[at] = self.found[self.open as usize];
                        continue;
                    }
                }
            }
            best = best.min(self.found[at].rule);
            at += 1;
        }
        // They stand in the order of their first rules: where that is too far behind, so are all others.
        while let Some(table) = self.tables.get(self.next as usize)
            && table.first < best.step
        {
            if self.open as usize == MOST_OPEN {
                return self.best_of_the_others(key, sight, from, best);
            }
            if let Some(mut rest) = table.bucket(&key.words)
                && let Some(rule) = table.next(&mut rest, sight, from)
            {
                best = best.min(rule);
                self.found[self.open as usize] = Found {
                    rule,
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
    fn best_of_the_others(&self, key: &Key, sight: &Sight, from: u32, mut best: Candidate) -> Candidate {
        let others = self.tables.iter().skip(self.next as usize);
        for table in others {
            if table.first >= best.step {
                break;
            }
            if let Some(mut bucket) = table.bucket(&key.words)
                && let Some(rule) = table.next(&mut bucket, sight, from)
            {
                best = best.min(rule);
            }
        }
        best
    }
}
