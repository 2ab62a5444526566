//! Which rules are found by which bits: a few tables, in none of which many rules stand in one bucket.
//!
//! From coarse to fine: all rules are hashed by the bits that all of them ask for. Whoever stands alone there, or with a few others, stays. The others
//! are divided by the field that tells most of them apart (those that ask for it, and those that do not), and both halves are hashed by the bits
//! that all of their own ask for; and so on. So there are as many tables as rules need to be told apart, and not one for each form of a rule.

use std::collections::HashMap;

use super::Filed;
use super::asked::Asked;
use super::table::Table;
use super::words::{Hashed, Place, Words};
use crate::base::{Family, Pace, Piece};

/// The rules of one table, in the order of the chain, as positions in what was given.
struct Group {
    mask: Words,
    members: Vec<u32>,
    /// How many stand in each bucket, as far as that is of interest.
    counts: Counts,
}

/// Every rule in one table.
pub(super) fn tables(family: Family, rules: &[Filed], pace: Pace) -> Vec<Table> {
    let table = |group: &Group| {
        pace.pause();
        let member = |at: &u32| &rules[*at as usize];
        let first = member(group.members.first()?);
        Some(Table::new(group.mask, first, group.members.iter().map(member), pace))
    };
    groups(family, rules, pace).iter().filter_map(table).collect()
}

/// All in one table, where hardly any two stand in a bucket: then nothing is faster.
pub(super) fn one_table(rules: &[Filed], pace: Pace) -> Option<Table> {
    let first = rules.first()?;
    let all = rules.iter().map(|it| &it.asked);
    let mask = all.clone().fold(first.asked.mask, |mask, asked| mask.and(&asked.mask));
    let mut counts = Counts::new(&mask, rules.len());
    for (done, asked) in all.enumerate() {
        pace.done(done, Piece::Seen);
        counts.add(&asked.words);
    }
    let together: u64 = counts.counts.iter().map(|count| u64::from(*count).pow(2)).sum();
    (together <= FEW_TOGETHER * rules.len() as u64).then(|| Table::new(mask, first, rules.iter(), pace))
}

/// Of all with a rule and itself.
const FEW_TOGETHER: u64 = 3;

fn groups(family: Family, rules: &[Filed], pace: Pace) -> Vec<Group> {
    let mut choosing = Choosing {
        family,
        rules,
        pace,
        shapes: Vec::new(),
        of_rule: Vec::with_capacity(rules.len()),
        made: Vec::new(),
        few: Vec::new(),
    };
    let mut known: HashMap<Words, u32> = HashMap::new();
    let mut last = None;
    for (done, rule) in rules.iter().map(|it| &it.asked).enumerate() {
        pace.done(done, Piece::Seen);
        let shape = match last {
            Some((mask, shape)) if mask == rule.mask => shape,
            _ => *known.entry(rule.mask).or_insert_with(|| {
                choosing.shapes.push(rule.mask);
                choosing.shapes.len() as u32 - 1
            }),
        };
        last = Some((rule.mask, shape));
        choosing.of_rule.push(shape);
    }
    choosing.divide((0..rules.len() as u32).collect(), 0);
    choosing.settle_the_few();
    choosing.made
}

struct Choosing<'a> {
    family: Family,
    rules: &'a [Filed],
    pace: Pace,
    /// The different masks of rules.
    shapes: Vec<Words>,
    of_rule: Vec<u32>,
    made: Vec<Group>,
    /// Those for whom alone no table is worth its price.
    few: Vec<u32>,
}

/// So many may stand in one bucket: to look at one costs a tenth of a look into another table.
pub(super) const CROWD: usize = 48;

/// Of a hundred rules this is one, and of very many not more: so few find a place in another table, if they can.
fn few(rules: usize) -> usize {
    (rules / 100).clamp(8, 128)
}

/// As many tables as a packet should ever have to look into.
pub(super) const MOST_TABLES: usize = 24;

/// How often rules are divided. Each time one half has at least a bit more, so it ends anyway: this bounds the price.
const DEEPEST: usize = 24;

/// So many rules stand for all when a field is chosen, and so many shapes.
const SAMPLE: usize = 512;
const SHAPES: usize = 48;

impl Choosing<'_> {
    fn divide(&mut self, members: Vec<u32>, depth: usize) {
        self.pace.pause();
        let Some(mask) = self.common(&members) else {
            return;
        };
        if depth > 0 && members.len() < few(self.rules.len()) {
            self.few.extend(members);
            return;
        }
        let counts = self.count(&mask, &members);
        let is_crowded = |at: &u32| counts.of(&self.asked(*at).words) > CROWD;
        let crowded = members.iter().filter(|at| is_crowded(at)).count();
        if crowded == 0 || depth == DEEPEST || self.are_of_one_shape(&members) {
            self.made.push(Group { mask, members, counts });
            return;
        }
        if 4 * crowded < 3 * members.len() {
            let (crowded, calm): (Vec<u32>, Vec<u32>) = members.into_iter().partition(is_crowded);
            self.made.push(Group {
                mask,
                members: calm,
                counts,
            });
            self.divide(crowded, depth + 1);
            return;
        }
        let Some(finer) = self.finer(&mask, &members) else {
            self.made.push(Group { mask, members, counts });
            return;
        };
        let asks = |at: &u32| finer.is_within(&self.asked(*at).mask);
        let (asking, others): (Vec<u32>, Vec<u32>) = members.into_iter().partition(asks);
        self.divide(asking, depth + 1);
        self.divide(others, depth + 1);
    }

    fn asked(&self, at: u32) -> &Asked {
        &self.rules[at as usize].asked
    }

    /// The bits that all of them ask for.
    fn common(&self, members: &[u32]) -> Option<Words> {
        let (first, others) = members.split_first()?;
        let mut last = self.of_rule[*first as usize];
        let mut common = self.shapes[last as usize];
        for at in others {
            let shape = self.of_rule[*at as usize];
            if shape != last {
                common = common.and(&self.shapes[shape as usize]);
                last = shape;
            }
        }
        Some(common)
    }

    fn are_of_one_shape(&self, members: &[u32]) -> bool {
        let mut shapes = members.iter().map(|at| self.of_rule[*at as usize]);
        let first = shapes.next();
        shapes.all(|shape| Some(shape) == first)
    }

    fn count(&self, mask: &Words, members: &[u32]) -> Counts {
        let mut counts = Counts::new(mask, members.len());
        for (done, at) in members.iter().enumerate() {
            self.pace.done(done, Piece::Seen);
            counts.add(&self.asked(*at).words);
        }
        counts
    }

    /// More bits, so that those who ask for them are as many and as far apart as can be.
    fn finer(&self, mask: &Words, members: &[u32]) -> Option<Words> {
        let some: Vec<&Asked> = members
            .iter()
            .step_by(members.len().div_ceil(SAMPLE))
            .map(|at| self.asked(*at))
            .collect();
        let mut shapes: Vec<Words> = Vec::new();
        let mut tried: Vec<Words> = Vec::new();
        for rule in &some {
            if shapes.len() < SHAPES && !shapes.contains(&rule.mask) {
                shapes.push(rule.mask);
                for finer in self.finer_by_a_field(mask, &rule.mask) {
                    if !tried.contains(&finer) {
                        tried.push(finer);
                    }
                }
            }
        }
        let mut hashes = Vec::with_capacity(some.len());
        let mut gain = |finer: &Words| {
            let hashed = Hashed::new(finer);
            let asking = some.iter().filter(|rule| finer.is_within(&rule.mask));
            hashes.clear();
            hashes.extend(asking.map(|rule| hashed.of(&rule.words)));
            hashes.sort_unstable();
            let together: usize = hashes
                .chunk_by(|one, other| one == other)
                .map(|it| it.len() * it.len())
                .sum();
            hashes.len() * some.len() - together
        };
        tried.into_iter().max_by_key(|finer| gain(finer))
    }

    /// All that a rule asks of one field, and the beginnings of its addresses.
    fn finer_by_a_field(&self, mask: &Words, shape: &Words) -> Vec<Words> {
        let mut made = Vec::new();
        for place in Place::ALL {
            let field = Words::whole(self.family, place);
            let levels = match place {
                Place::Source | Place::Destination => beginnings(self.family),
                _ => &[],
            };
            let beginnings = levels.iter().map(|bits| Words::only(self.family, place, *bits));
            for part in beginnings.chain([field]) {
                let finer = mask.or(&shape.and(&part));
                if finer != *mask {
                    made.push(finer);
                }
            }
        }
        made
    }

    /// They go where there is room, and make tables of their own where there is none.
    fn settle_the_few(&mut self) {
        let mut homeless = Vec::new();
        for at in std::mem::take(&mut self.few) {
            let rule = &self.rules[at as usize].asked;
            let fitting = self.made.iter_mut().filter(|group| group.mask.is_within(&rule.mask));
            match fitting.min_by_key(|group| group.counts.of(&rule.words)) {
                Some(group) if group.counts.of(&rule.words) < CROWD => {
                    group.counts.add(&rule.words);
                    group.members.push(at);
                }
                _ => homeless.push(at),
            }
        }
        homeless.sort_unstable();
        // What is left asks for little, or is much alike.
        if homeless.len() < few(self.rules.len()) {
            self.own_table(homeless);
        } else {
            let mut by_fields: HashMap<Words, Vec<u32>> = HashMap::new();
            for at in homeless {
                let asked = self.fields(&self.asked(at).mask);
                by_fields.entry(asked).or_default().push(at);
            }
            for members in by_fields.into_values() {
                self.own_table(members);
            }
        }
        while self.made.len() > MOST_TABLES {
            self.give_up_the_smallest();
        }
        for group in &mut self.made {
            group.members.sort_unstable();
        }
    }

    fn own_table(&mut self, members: Vec<u32>) {
        if let Some(mask) = self.common(&members) {
            let counts = self.count(&mask, &members);
            self.made.push(Group { mask, members, counts });
        }
    }

    /// Every bit of each field of which some are asked for.
    fn fields(&self, mask: &Words) -> Words {
        let fields = Place::ALL.map(|place| Words::whole(self.family, place));
        let asked = fields.into_iter().filter(|field| !field.and(mask).is_empty());
        asked.fold(Words::default(), |all, field| all.or(&field))
    }

    /// Its rules go where they fit, however many are there, or into a table that hashes nothing.
    fn give_up_the_smallest(&mut self) {
        let smallest = (0..self.made.len()).min_by_key(|at| self.made[*at].members.len());
        let Some(smallest) = smallest else {
            return;
        };
        let given_up = self.made.swap_remove(smallest);
        let mut homeless = Vec::new();
        for at in given_up.members {
            let rule = &self.rules[at as usize].asked;
            let fitting = self.made.iter_mut().filter(|group| group.mask.is_within(&rule.mask));
            match fitting.min_by_key(|group| group.counts.of(&rule.words)) {
                Some(group) => {
                    group.counts.add(&rule.words);
                    group.members.push(at);
                }
                None => homeless.push(at),
            }
        }
        if homeless.is_empty() {
            return;
        }
        // With those of the next smallest, so that there are fewer tables than before.
        let smallest = (0..self.made.len()).min_by_key(|at| self.made[*at].members.len());
        if let Some(smallest) = smallest {
            homeless.extend(self.made.swap_remove(smallest).members);
        }
        self.own_table(homeless);
    }
}

/// Where prefixes are cut, so that many lengths share a table.
fn beginnings(family: Family) -> &'static [u128] {
    const fn v4(length: u32) -> u128 {
        (u32::MAX << (32 - length)) as u128
    }
    const fn v6(length: u32) -> u128 {
        u128::MAX << (128 - length)
    }
    match family {
        Family::V4 => const { &[v4(8), v4(12), v4(16), v4(20), v4(24), v4(28)] },
        Family::V6 => const { &[v6(16), v6(32), v6(40), v6(48), v6(56), v6(64), v6(96)] },
    }
}

/// How many rules are hashed alike. What falls together by chance is counted as if it were.
struct Counts {
    hashed: Hashed,
    shift: u32,
    counts: Vec<u32>,
}

impl Counts {
    fn new(mask: &Words, rules: usize) -> Self {
        let buckets = (4 * rules).next_power_of_two().max(64);
        Self {
            hashed: Hashed::new(mask),
            shift: 32 - buckets.trailing_zeros(),
            counts: vec![0; buckets],
        }
    }

    fn add(&mut self, words: &Words) {
        self.counts[(self.hashed.of(words) >> self.shift) as usize] += 1;
    }

    fn of(&self, words: &Words) -> usize {
        self.counts[(self.hashed.of(words) >> self.shift) as usize] as usize
    }
}
