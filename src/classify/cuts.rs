//! A tree that cuts what packets may be into pieces, until few rules are left that one may match: a few steps down, and then these in the order of
//! the chain (as HiCuts does; that bits are cut anywhere in a field, and not from its top, is from BitCuts).
//!
//! A rule that asks nothing of the bits that are cut stands in every piece, so pieces are cut only as long as they are worth their memory. Behind a
//! rule that every packet of a piece meets and ends at there is nothing to look for, and the piece is closed: so sets with many wide rules, where most rules
//! are never met, become small. Should a packet go past that rule nevertheless, it is asked every rule from there on.

use std::collections::HashMap;
use std::sync::Arc;

use super::Filed;
use super::asked::{Filter, Sight};
use super::candidates::Candidate;
use super::choose_cuts::{Choosing, Cut};
use crate::base::{Pace, Piece};

/// Rules in a tree, and none that no packet comes to. They are known by the order in which they stand in leaves, so that those of a leaf lie side by side;
/// what comes and goes moves steps, and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The first for packets that are whole or begin, the second for later fragments: no rule that asks for a header is met by these.
    nodes: Arc<[Node]>,
    /// The rules of all leaves.
    entries: Arc<[u32]>,
    filters: Arc<[Filter]>,
    /// True of those that close a leaf.
    closers: Arc<[bool]>,
    /// Where each rule stands in the chain; [`GONE`] of what was removed.
    steps: Box<[u32]>,
    /// With how many rules a packet has to be compared, about, in the leaf where it arrives; and a later fragment.
    pub crowds: [u32; 2],
}

/// Where to go on: into one of so many nodes side by side, by bits of the packet; or the rules of a leaf.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The first of the nodes, or of the entries.
    base: u32,
    /// Which bits, and how many: none in a leaf.
    cut: Cut,
    /// Of entries in a leaf.
    count: u16,
}

/// What is left of a leaf.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leaf {
    next: u32,
    end: u32,
    is_closed: bool,
}

/// No rule stands there.
const GONE: u32 = u32::MAX;

/// A leaf has no more rules than that, where cutting helps and there is room.
const FEW: usize = 16;
/// Most rules of a leaf.
const MOST: usize = u16::MAX as usize;
/// So many entries beside the first may stand in leaves for each rule, a node counting as two.
const ROOM: f64 = 8.0;
/// How often pieces are cut.
const DEEPEST: u32 = 24;

impl Tree {
    /// Of rules in the order of the chain. `None` where very many are alike.
    pub(super) fn new(rules: &[Filed], pace: Pace) -> Option<Self> {
        let mut building = Building {
            filters: rules.iter().map(|it| it.asked.filter).collect(),
            ends: rules.iter().map(|it| it.ends && it.asked.filter.is_whole()).collect(),
            closers: vec![false; rules.len()],
            nodes: vec![Node::default(); 2],
            entries: Vec::new(),
            lists: Vec::new(),
            choosing: Choosing::default(),
            leaves: Vec::new(),
            pace,
            done: 0,
        };
        let mut crowds = [0; 2];
        let known = [0, Sight::LATER_FRAGMENT, 0];
        for (root, is_later) in [false, true].into_iter().enumerate() {
            let meets = |rule: &Filed| {
                !(is_later && rule.asked.needs_header) && rule.asked.filter.is_of_later_fragments() != Some(!is_later)
            };
            let all = (0..).zip(rules);
            let met = all.filter(|(_, rule)| meets(rule)).map(|(number, _)| number);
            building.lists.clear();
            building.lists.extend(met);
            let room = ROOM * building.lists.len() as f64 / if is_later { 2.0 } else { 1.0 };
            let first = building.leaves.len();
            building.cut(root, 0, known, room, 0)?;
            crowds[root] = building.crowd(first);
        }
        let order = building.put_in_order();
        let in_order = order.iter().map(|rule| *rule as usize);
        Some(Self {
            nodes: building.nodes.into(),
            entries: building.entries.into(),
            filters: in_order.clone().map(|rule| building.filters[rule]).collect(),
            closers: in_order.clone().map(|rule| building.closers[rule]).collect(),
            steps: in_order.map(|rule| rules[rule].step).collect(),
            crowds,
        })
    }

    /// Where a packet arrives.
    #[inline]
    pub(super) fn leaf(&self, sight: &Sight) -> Leaf {
        let mut node = &self.nodes[sight.is_later_fragment() as usize];
        while !node.cut.is_none() {
            node = &self.nodes[node.base as usize + node.cut.of(&sight.words)];
        }
        Leaf {
            next: node.base,
            end: node.base + u32::from(node.count),
            is_closed: node.cut == Cut::CLOSED,
        }
    }

    /// The next rule of a leaf that may match and does not stand before, as far as there is one.
    #[inline]
    pub(super) fn next(&self, leaf: &mut Leaf, sight: &Sight, from: u32) -> Option<Candidate> {
        let rules = &self.entries[leaf.next as usize..leaf.end as usize];
        for (at, rule) in rules.iter().enumerate() {
            let rule = *rule as usize;
            let filter = &self.filters[rule];
            if filter.passes(sight) {
                let step = self.steps[rule];
                if (step >= from) & (step != GONE) {
                    leaf.next += at as u32 + 1;
                    return Some(filter.candidate(step, sight));
                }
            }
        }
        leaf.next = leaf.end;
        // Nobody has come past the rule that closes it, as far as anybody knew.
        leaf.is_closed.then(|| self.behind(leaf, from))
    }

    /// Each rule behind the last one of a leaf.
    #[cold]
    fn behind(&self, leaf: &Leaf, from: u32) -> Candidate {
        let last = self.entries[leaf.end as usize - 1] as usize;
        Candidate {
            step: from.max(self.steps[last].saturating_add(1)),
            matches: false,
        }
    }

    /// The rule of this place in the chain, where packets may come to it.
    pub(super) fn find(&self, step: u32) -> Option<usize> {
        self.steps.iter().position(|other| *other == step)
    }

    /// Without the rule; false where leaves end at it, so that all has to be made anew.
    pub(super) fn remove(&mut self, rule: usize) -> bool {
        self.steps[rule] = GONE;
        !self.closers[rule]
    }

    /// The same while all rules from there on stand one further.
    pub(super) fn make_room(&mut self, from: u32) {
        for step in &mut self.steps {
            *step = step.saturating_add(u32::from(*step >= from));
        }
    }

    /// The same while all rules behind it stand one nearer.
    pub(super) fn close_up(&mut self, behind: u32) {
        for step in &mut self.steps {
            *step -= u32::from((*step > behind) & (*step != GONE));
        }
    }

    /// Whether a leaf ends before the last of its rules.
    #[cfg(test)]
    pub(super) fn has_closed(&self) -> bool {
        self.nodes.iter().any(|node| node.cut == Cut::CLOSED)
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.nodes)
            + size_of_val(&*self.entries)
            + size_of_val(&*self.filters)
            + size_of_val(&*self.closers)
            + size_of_val(&*self.steps)
    }
}

struct Building {
    filters: Vec<Filter>,
    /// What matches ends there.
    ends: Vec<bool>,
    closers: Vec<bool>,
    nodes: Vec<Node>,
    entries: Vec<u32>,
    /// The rules of the piece at hand, behind those of the pieces around it.
    lists: Vec<u32>,
    choosing: Choosing,
    /// Where the entries of each begin.
    leaves: Vec<u32>,
    pace: Pace,
    done: usize,
}

impl Building {
    /// Of the rules from `begin` on a piece in which these bits are known; so many entries more it may take. `None` where it cannot be.
    fn cut(&mut self, at: usize, begin: usize, mut known: [u64; 3], room: f64, depth: u32) -> Option<()> {
        self.rest(self.lists.len() - begin);
        let is_closed = self.close(begin, &known);
        let count = self.lists.len() - begin;
        let chosen = match count > FEW && depth < DEEPEST {
            true => self.choosing.choose(&self.filters, &self.lists[begin..], &known, room),
            false => None,
        };
        let Some(cut) = chosen else {
            return self.leaf(at, begin, is_closed);
        };
        let pieces = cut.pieces();
        // Where each piece's list begins, and what tells two lists apart.
        let mut ends = vec![(0_u32, 0_u64); pieces];
        for (done, rule) in self.lists[begin..].iter().enumerate() {
            self.pace.done(done, Piece::Seen);
            self.filters[*rule as usize].pieces(cut, |piece| ends[piece].0 += 1);
        }
        let entries: usize = ends.iter().map(|(count, _)| *count as usize).sum();
        let more = entries as f64 - count as f64 + 2.0 * pieces as f64;
        if more > 2.0 * room {
            return self.leaf(at, begin, is_closed);
        }
        let mut lists = vec![0; entries];
        let mut sum = 0;
        for (place, _) in &mut ends {
            let count = *place;
            *place = sum;
            sum += count;
        }
        for (done, rule) in self.lists[begin..].iter().enumerate() {
            self.pace.done(done, Piece::Seen);
            self.filters[*rule as usize].pieces(cut, |piece| {
                let (place, told) = &mut ends[piece];
                lists[*place as usize] = *rule;
                *place += 1;
                *told = (*told ^ u64::from(*rule))
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .rotate_left(29);
            });
        }
        let base = self.nodes.len();
        self.nodes.resize(base + pieces, Node::default());
        self.nodes[at] = Node {
            base: base as u32,
            cut,
            count: 0,
        };
        known[cut.word()] |= cut.bits();
        let left = (room - more).max(0.0) / entries as f64;
        let mut alike: HashMap<u64, (usize, &[u32])> = HashMap::new();
        let mut start = 0;
        for (piece, (end, told)) in ends.into_iter().enumerate() {
            let list: &[u32] = &lists[start..end as usize];
            start = end as usize;
            // What is the same in many pieces is there once.
            let (other, its_list) = alike.entry(told).or_insert((base + piece, list));
            if *other != base + piece && *its_list == list {
                self.nodes[base + piece] = self.nodes[*other];
                continue;
            }
            let begin = self.lists.len();
            self.lists.extend_from_slice(list);
            self.cut(base + piece, begin, known, left * list.len() as f64, depth + 1)?;
            self.lists.truncate(begin);
        }
        Some(())
    }

    /// Leaves out what stands behind a rule that every packet of the piece meets and ends at; whether there is one.
    fn close(&mut self, begin: usize, known: &[u64; 3]) -> bool {
        let ends = |rule: &u32| self.ends[*rule as usize] && self.filters[*rule as usize].asks_no_more_than(known);
        let Some(at) = self.lists[begin..].iter().position(ends) else {
            return false;
        };
        self.lists.truncate(begin + at + 1);
        true
    }

    /// How many rules stand with one in its leaves, about, of the leaves from there on.
    fn crowd(&self, first: usize) -> u32 {
        let mut places = vec![0_u32; self.filters.len()];
        let mut compared = vec![0_u64; self.filters.len()];
        let starts = &self.leaves[first..];
        let ends = starts.iter().skip(1).copied().chain([self.entries.len() as u32]);
        for (done, (start, end)) in starts.iter().zip(ends).enumerate() {
            self.pace.done(done, Piece::Made);
            for rule in &self.entries[*start as usize..end as usize] {
                places[*rule as usize] += 1;
                compared[*rule as usize] += u64::from(end - start);
            }
        }
        let of_rules = compared.iter().zip(&places).filter(|(_, places)| **places > 0);
        let (sum, rules) = of_rules.fold((0, 0), |(sum, rules), (compared, places)| {
            (sum + compared / u64::from(*places), rules + 1)
        });
        (sum / rules.max(1)) as u32
    }

    /// Gives rules new numbers, in the order in which they stand in leaves; which they were.
    fn put_in_order(&mut self) -> Vec<u32> {
        let mut numbers = vec![GONE; self.filters.len()];
        let mut order = Vec::with_capacity(self.filters.len());
        for (done, rule) in self.entries.iter_mut().enumerate() {
            self.pace.done(done, Piece::Seen);
            let number = &mut numbers[*rule as usize];
            if *number == GONE {
                *number = order.len() as u32;
                order.push(*rule);
            }
            *rule = *number;
        }
        order
    }

    fn leaf(&mut self, at: usize, begin: usize, is_closed: bool) -> Option<()> {
        let list = &self.lists[begin..];
        if list.len() > MOST {
            return None;
        }
        if is_closed && let Some(last) = list.last() {
            self.closers[*last as usize] = true;
        }
        self.leaves.push(self.entries.len() as u32);
        self.nodes[at] = Node {
            base: self.entries.len() as u32,
            cut: if is_closed { Cut::CLOSED } else { Cut::NONE },
            count: list.len() as u16,
        };
        self.entries.extend_from_slice(list);
        Some(())
    }

    /// After each piece of work.
    fn rest(&mut self, rules: usize) {
        self.done += rules + COST_OF_A_NODE;
        if self.done > LONG {
            self.done = 0;
            self.pace.pause();
        }
    }
}

/// In rules that are looked at.
const COST_OF_A_NODE: usize = 64;
/// Some tenth of a millisecond.
const LONG: usize = 4096;
