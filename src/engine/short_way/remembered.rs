//! The short ways that a worker remembers, by what packets look like.

use std::sync::Arc;

use super::super::counting::Tally;
use super::super::observer::LastWord;
use super::Notes;
use crate::base::InterfaceId;
use crate::conntrack::{CtState, Direction, Flow};
use crate::nat;
use crate::packet::PlainKey;

/// Where packets that look alike go, and what counts them there.
#[derive(Debug)]
pub(super) struct ShortWay {
    pub(super) key: PlainKey,
    pub(super) input: InterfaceId,
    /// What was in force when it was found.
    pub(super) version: u64,
    pub(super) flow: Arc<Flow>,
    pub(super) direction: Direction,
    /// What tracking called the packets, as rules saw it.
    pub(super) state: CtState,
    pub(super) output: InterfaceId,
    pub(super) mtu: u32,
    pub(super) before_tracking: usize,
    /// In order.
    pub(super) counted: Vec<Tally>,
    pub(super) rewrites: nat::Rewrites,
    /// What had the last word in the filter table.
    pub(super) filter: Option<LastWord>,
}

impl ShortWay {
    #[inline]
    pub(super) fn count_before_tracking(&self, bytes: usize) {
        for tally in &self.counted[..self.before_tracking] {
            tally.count(bytes);
        }
    }

    #[inline]
    pub(super) fn count_after_tracking(&self, bytes: usize) {
        for tally in &self.counted[self.before_tracking..] {
            tally.count(bytes);
        }
    }
}

/// A place for each few of all hashes. What stands there is let go for what comes twice: who looks for nothing but such places loses no more than
/// the short way.
#[derive(Debug)]
pub(in crate::engine) struct ShortWays {
    secret: u64,
    /// A power of two, or none.
    places: Vec<Place>,
    pub(in crate::engine) notes: Notes,
    /// How many packets went one.
    pub(in crate::engine) taken: u64,
}

#[derive(Debug, Default)]
struct Place {
    /// Of the last packet that went the long way.
    last: u64,
    way: Option<Box<ShortWay>>,
}

const FEWEST: usize = 64;
const MOST: usize = 16_384;

impl ShortWays {
    pub(in crate::engine) fn new(secret: u64) -> Self {
        Self {
            secret,
            places: Vec::new(),
            notes: Notes::default(),
            taken: 0,
        }
    }

    #[inline]
    pub(super) fn hash(&self, key: &PlainKey) -> u64 {
        key.hash(self.secret)
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        hash as usize & self.places.len().wrapping_sub(1)
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, (key, input): (&PlainKey, InterfaceId), version: u64) -> Option<&ShortWay> {
        let way = self.places.get(self.place(hash))?.way.as_deref()?;
        (way.key == *key && way.input == input && way.version == version).then_some(way)
    }

    /// A packet that looks like this goes the long way. Notes are taken of the second.
    pub(super) fn went_long(&mut self, hash: u64, key: PlainKey) {
        if self.places.is_empty() {
            self.places.resize_with(FEWEST, Place::default);
        }
        let place = self.place(hash);
        if std::mem::replace(&mut self.places[place].last, hash) == hash {
            self.notes.begin(key);
        }
    }

    pub(super) fn forget(&mut self, hash: u64) {
        let place = self.place(hash);
        if let Some(place) = self.places.get_mut(place) {
            place.way = None;
        }
    }

    pub(super) fn remember(&mut self, way: ShortWay) {
        let hash = self.hash(&way.key);
        let is_another = |held: &ShortWay| held.version == way.version && held.key != way.key;
        if self.places[self.place(hash)].way.as_deref().is_some_and(is_another) {
            self.grow();
        }
        let place = self.place(hash);
        self.places[place].way = Some(Box::new(way));
    }

    /// To twice as many places, up to a bound.
    fn grow(&mut self) {
        if self.places.len() >= MOST {
            return;
        }
        let mut places = Vec::new();
        places.resize_with(2 * self.places.len(), Place::default);
        for before in std::mem::replace(&mut self.places, places) {
            if let Some(way) = &before.way {
                let place = self.place(self.hash(&way.key));
                self.places[place] = before;
            }
        }
    }
}
