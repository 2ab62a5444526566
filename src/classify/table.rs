//! Rules that are found by the same bits: a hash table of them, in arrays.

use std::ops::Range;
use std::sync::Arc;

use super::Filed;
use super::asked::{Asked, Filter, Sight};
use super::candidates::Candidate;
use super::words::{Hashed, Words};
use crate::base::{Pace, Piece};

/// The rules of a bucket stand side by side, in the order of the chain. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// What every rule of it asks for, and may be more than is hashed.
    pub mask: Words,
    hashed: Hashed,
    /// No rule of it stands before.
    pub first: u32,
    /// The upper bits of a hash are the bucket's number.
    shift: u32,
    /// Of each bucket a bit for each eighth of it in which a rule stands: most packets go no further than these few bytes.
    eighths: Arc<[u8]>,
    /// Where each bucket begins, and where the last one ends.
    starts: Arc<[u32]>,
    /// What shares a bucket and no more fails here.
    hashes: Arc<[u32]>,
    filters: Arc<[Filter]>,
    /// Where each rule stands in the chain.
    steps: Box<[u32]>,
}

/// Where rules of one hash may stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    pub next: u32,
    pub end: u32,
    pub hash: u32,
}

impl Table {
    /// Of rules in the order of the chain, of which there is one at least.
    pub(super) fn new<'a>(
        mask: Words,
        first: &Filed,
        rules: impl Iterator<Item = &'a Filed> + Clone,
        pace: Pace,
    ) -> Self {
        let hashed = Hashed::new(&mask);
        let hashes: Vec<u32> = rules.clone().map(|rule| hashed.of(&rule.asked.words)).collect();
        let shift = shift_for(hashes.len());
        let mut places = Places::new(shift, &hashes);
        let mut sorted = vec![0; hashes.len()];
        let mut filters = vec![first.asked.filter; hashes.len()];
        let mut steps = vec![0; hashes.len()];
        for (done, (hash, rule)) in hashes.iter().zip(rules).enumerate() {
            pace.done(done, Piece::Seen);
            let at = places.take(*hash);
            sorted[at] = *hash;
            filters[at] = rule.asked.filter;
            steps[at] = rule.step;
        }
        Self {
            mask,
            hashed,
            first: first.step,
            shift,
            eighths: eighths(shift, &hashes),
            starts: places.starts(),
            hashes: sorted.into(),
            filters: filters.into(),
            steps: steps.into(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// `None` where certainly no rule stands.
    #[inline]
    pub(super) fn bucket(&self, words: &Words) -> Option<Bucket> {
        let hash = self.hashed.of(words);
        let (at, eighth) = place(self.shift, hash);
        if self.eighths[at] & eighth == 0 {
            return None;
        }
        Some(self.bucket_of(hash))
    }

    #[inline]
    fn bucket_of(&self, hash: u32) -> Bucket {
        let at = (hash >> self.shift) as usize;
        Bucket {
            next: self.starts[at],
            end: self.starts[at + 1],
            hash,
        }
    }

    /// The first rule of a bucket that may match and does not stand before; the bucket begins behind it then.
    #[inline]
    pub(super) fn next(&self, bucket: &mut Bucket, sight: &Sight, from: u32) -> Option<Candidate> {
        if bucket.end - bucket.next > MANY {
            let steps = &self.steps[bucket.next as usize..bucket.end as usize];
            bucket.next += steps.partition_point(|step| *step < from) as u32;
        }
        let range = bucket.next as usize..bucket.end as usize;
        let hashes = self.hashes[range.clone()].iter();
        let rules = hashes.zip(&self.filters[range.clone()]).zip(&self.steps[range]);
        for (hash, filter, step) in rules.map(|((hash, filter), step)| (*hash, filter, *step)) {
            bucket.next += 1;
            if (hash == bucket.hash) & (step >= from) & filter.passes(sight) {
                return Some(filter.candidate(step, sight));
            }
        }
        None
    }

    /// How many rules stand in the bucket of a rule, about.
    pub(super) fn compared(&self) -> u32 {
        let counts = self.starts.windows(2).map(|both| u64::from(both[1] - both[0]));
        (counts.map(|count| count * count).sum::<u64>() / self.steps.len() as u64) as u32
    }

    /// How many rules stand where this one would.
    pub(super) fn crowd(&self, words: &Words) -> usize {
        let bucket = self.bucket_of(self.hashed.of(words));
        let hashes = &self.hashes[bucket.next as usize..bucket.end as usize];
        hashes.iter().filter(|hash| **hash == bucket.hash).count()
    }

    /// The same while all rules from there on stand one further.
    pub(super) fn make_room(&mut self, from: u32) {
        for step in &mut self.steps {
            *step += u32::from(*step >= from);
        }
        self.first += u32::from(self.first >= from);
    }

    /// With a rule at a place that is free.
    pub(super) fn insert(&mut self, step: u32, asked: &Asked) {
        let Bucket { next, end, hash } = self.bucket_of(self.hashed.of(&asked.words));
        let steps = &self.steps[next as usize..end as usize];
        let at = next as usize + steps.partition_point(|other| *other < step);
        self.steps = with(&self.steps, at, step).into();
        self.hashes = with(&self.hashes, at, hash).into();
        self.filters = with(&self.filters, at, asked.filter).into();
        self.first = self.first.min(step);
        if self.steps.len() >> (32 - self.shift) > MOST_OF_A_BUCKET {
            self.grow();
        } else {
            let bucket = hash >> self.shift;
            let starts = self.starts.iter().zip(0..);
            self.starts = starts
                .map(|(start, number)| start + u32::from(number > bucket))
                .collect();
            let (at, eighth) = place(self.shift, hash);
            Arc::make_mut(&mut self.eighths)[at] |= eighth;
        }
    }

    /// With more buckets. What a bucket is divided into keeps its order.
    fn grow(&mut self) {
        self.shift = shift_for(self.hashes.len());
        let mut places = Places::new(self.shift, &self.hashes);
        let to: Vec<usize> = self.hashes.iter().map(|hash| places.take(*hash)).collect();
        self.hashes = moved(&self.hashes, &to).into();
        self.filters = moved(&self.filters, &to).into();
        self.steps = moved(&self.steps, &to).into();
        self.starts = places.starts();
        self.eighths = eighths(self.shift, &self.hashes);
    }

    /// Where in the arrays the rule of this place stands.
    pub(super) fn find(&self, step: u32) -> Option<usize> {
        self.steps.iter().position(|other| *other == step)
    }

    /// Without the rule at a position of the arrays. It must not be the only one.
    pub(super) fn remove(&mut self, at: usize) {
        let (bucket, _) = place(self.shift, self.hashes[at]);
        self.steps = without(&self.steps, at).into();
        self.hashes = without(&self.hashes, at).into();
        self.filters = without(&self.filters, at).into();
        let starts = self.starts.iter();
        self.starts = starts.map(|start| start - u32::from(*start as usize > at)).collect();
        self.first = self.steps.iter().copied().min().unwrap_or(0);
        let left = &self.hashes[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        let left = left.iter().map(|hash| place(self.shift, *hash).1);
        Arc::make_mut(&mut self.eighths)[bucket] = left.fold(0, |all, eighth| all | eighth);
    }

    /// The same while all rules behind it stand one nearer.
    pub(super) fn close_up(&mut self, behind: u32) {
        for step in &mut self.steps {
            *step -= u32::from(*step > behind);
        }
        self.first -= u32::from(self.first > behind);
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.eighths)
            + size_of_val(&*self.starts)
            + size_of_val(&*self.hashes)
            + size_of_val(&*self.filters)
            + size_of_val(&*self.steps)
    }
}

/// From so many on the first that counts is looked for by halves.
const MANY: u32 = 16;

/// Before there are more buckets.
const MOST_OF_A_BUCKET: usize = 1;

/// For twice as many buckets as there are rules, or a few less.
fn shift_for(rules: usize) -> u32 {
    let buckets = (rules + rules / 2).next_power_of_two().clamp(2, 1 << 24);
    32 - buckets.trailing_zeros()
}

/// A bucket, and which bit of its byte.
#[inline]
fn place(shift: u32, hash: u32) -> (usize, u8) {
    ((hash >> shift) as usize, 1 << (hash >> (shift - 3) & 7))
}

fn eighths(shift: u32, hashes: &[u32]) -> Arc<[u8]> {
    let mut made = vec![0; 1 << (32 - shift)];
    for hash in hashes {
        let (at, eighth) = place(shift, *hash);
        made[at] |= eighth;
    }
    made.into()
}

/// Where what is sorted into buckets goes.
struct Places {
    shift: u32,
    next: Vec<u32>,
}

impl Places {
    fn new(shift: u32, hashes: &[u32]) -> Self {
        let buckets: usize = 1 << (32 - shift);
        let mut next = vec![0; buckets + 1];
        for hash in hashes {
            next[(hash >> shift) as usize + 1] += 1;
        }
        let mut sum = 0;
        for count in &mut next {
            sum += *count;
            *count = sum;
        }
        Self { shift, next }
    }

    fn take(&mut self, hash: u32) -> usize {
        let next = &mut self.next[(hash >> self.shift) as usize];
        *next += 1;
        *next as usize - 1
    }

    /// Once all are placed: each bucket's end is where the one behind it begins.
    fn starts(mut self) -> Arc<[u32]> {
        self.next.rotate_right(1);
        self.next[0] = 0;
        self.next.into()
    }
}

fn with<T: Copy>(all: &[T], at: usize, one: T) -> Vec<T> {
    let mut made = Vec::with_capacity(all.len() + 1);
    made.extend_from_slice(&all[..at]);
    made.push(one);
    made.extend_from_slice(&all[at..]);
    made
}

fn without<T: Copy>(all: &[T], at: usize) -> Vec<T> {
    let Range { start, end } = at..at + 1;
    [&all[..start], &all[end..]].concat()
}

fn moved<T: Copy>(all: &[T], to: &[usize]) -> Vec<T> {
    let mut made = all.to_vec();
    for (one, at) in all.iter().zip(to) {
        made[*at] = *one;
    }
    made
}
