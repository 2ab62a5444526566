//! The short ways that a worker remembers, by what packets look like.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::super::counting::Tally;
use super::super::observer::LastWord;
use super::super::version::{Version, Versions};
use super::Notes;
use super::together::AT_ONCE;
use crate::base::Family;
use crate::base::InterfaceId;
use crate::conntrack::{Flow, KnownWay};
use crate::nat;
use crate::packet::{ChecksumState, OF_IPV4, OF_IPV6, Plain, PlainEdit, PlainKey};

/// Where packets that look alike go, and what counts them there.
#[derive(Debug)]
pub(super) struct ShortWay<const WORDS: usize> {
    pub(super) key: PlainKey<WORDS>,
    pub(super) input: InterfaceId,
    /// What was in force when it was found.
    pub(super) version: Version,
    pub(super) flow: Arc<Flow>,
    /// What tracking called the packets, as rules saw it.
    pub(super) known: KnownWay,
    pub(super) output: InterfaceId,
    pub(super) mtu: u32,
    pub(super) before_tracking: usize,
    /// The mark that packets have when tracking finds their flow.
    pub(super) mark_at_tracking: u32,
    /// In order. Mostly few, which lie here: a packet of another flow than the last waits for each piece of memory.
    pub(super) counted: SmallVec<[Tally; FEW]>,
    pub(super) edit: PlainEdit<WORDS>,
    /// The same for packets of which a checksum is unfinished.
    pub(super) rewrites: nat::Rewrites,
    /// What had the last word in the filter table.
    pub(super) filter: Option<LastWord>,
}

/// A plain packet, and where packets that look like it are remembered.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Like<'p, const WORDS: usize> {
    pub(in crate::engine) plain: Plain<'p, WORDS>,
    pub(super) input: InterfaceId,
    pub(super) hash: u64,
}

/// A packet that may go the way of this spot, by what tracking said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belongs {
    pub(super) spot: Spot,
    pub(super) checksum: ChecksumState,
}

/// Where a way lies, as long as none comes or goes: twice its place, and which of the two there. One number, which is written and read whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot(u32);

impl<const WORDS: usize> Like<'_, WORDS> {
    /// Whether both go the same way, if they go one.
    #[inline]
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.plain.key == other.plain.key && self.input == other.input
    }
}

impl<const WORDS: usize> ShortWay<WORDS> {
    /// Whether a packet like this, of so many bytes at once on the wire, goes it at all.
    #[inline]
    pub(super) fn takes(&self, ttl: u8, bytes: usize) -> bool {
        ttl > 1 && bytes <= self.mtu as usize
    }

    /// The address that routing was asked for, once NAT had chosen it: there answers come from.
    fn leads_to(&self) -> IpAddr {
        self.flow.tuple(self.known.direction.opposite()).source.address
    }

    #[inline]
    pub(super) fn count_before_tracking(&self, bytes: usize) {
        for tally in &self.counted[..self.before_tracking] {
            tally.count(bytes);
        }
    }

    #[inline]
    pub(super) fn count(&self, bytes: usize) {
        for tally in &self.counted {
            tally.count(bytes);
        }
    }
}

/// The short ways of both families.
#[derive(Debug)]
pub(in crate::engine) struct ShortWays {
    of_ipv4: Ways<OF_IPV4>,
    of_ipv6: Ways<OF_IPV6>,
    pub(in crate::engine) notes: Notes,
    /// How many packets went one.
    pub(in crate::engine) taken: u64,
    /// How many of a batch had none, and were looked ahead for.
    pub(in crate::engine) foreseen: u64,
}

/// Those of one family, by the words that its addresses have.
pub(in crate::engine) trait OfFamily<const WORDS: usize> {
    fn ways(&self) -> &Ways<WORDS>;
    fn ways_mut(&mut self) -> (&mut Ways<WORDS>, &mut Notes);
}

impl OfFamily<OF_IPV4> for ShortWays {
    #[inline]
    fn ways(&self) -> &Ways<OF_IPV4> {
        &self.of_ipv4
    }

    #[inline]
    fn ways_mut(&mut self) -> (&mut Ways<OF_IPV4>, &mut Notes) {
        (&mut self.of_ipv4, &mut self.notes)
    }
}

impl OfFamily<OF_IPV6> for ShortWays {
    #[inline]
    fn ways(&self) -> &Ways<OF_IPV6> {
        &self.of_ipv6
    }

    #[inline]
    fn ways_mut(&mut self) -> (&mut Ways<OF_IPV6>, &mut Notes) {
        (&mut self.of_ipv6, &mut self.notes)
    }
}

impl ShortWays {
    pub(in crate::engine) fn new(secret: u64) -> Self {
        Self {
            of_ipv4: Ways::new(secret),
            of_ipv6: Ways::new(secret),
            notes: Notes::default(),
            taken: 0,
            foreseen: 0,
        }
    }

    /// The family that notes were last taken for, if nobody has made anything of them.
    pub(in crate::engine) fn noted(&self) -> Option<Family> {
        let of_ipv4 = self.of_ipv4.noted.map(|_| Plain::<OF_IPV4>::FAMILY);
        of_ipv4.or_else(|| self.of_ipv6.noted.map(|_| Plain::<OF_IPV6>::FAMILY))
    }

    /// Nothing is made of what was noted.
    pub(in crate::engine) fn forget_notes(&mut self) {
        (self.of_ipv4.noted, self.of_ipv6.noted) = (None, None);
        self.notes.stop();
    }

    /// Lets ways go that no packet can go any more, a few of each family.
    pub(in crate::engine) fn tidy(&mut self) {
        self.of_ipv4.tidy();
        self.of_ipv6.tidy();
    }
}

/// A place for each few of all hashes, with two ways in it. What stands there is let go for what comes twice: who looks for nothing but such places
/// loses no more than the short way.
#[derive(Debug)]
pub(in crate::engine) struct Ways<const WORDS: usize> {
    secret: u64,
    /// A power of two, or none.
    places: Vec<Place<WORDS>>,
    /// Of the packet of which notes were last taken.
    pub(super) noted: Option<PlainKey<WORDS>>,
    /// How often a packet found that another had gone the long way from its place, since there are as many places.
    crowded: u32,
    /// What was in force when a packet last found none.
    version: Version,
    /// The place whose turn it is when ways of other versions are let go.
    turn: usize,
    /// So many places have to be looked at for that.
    unswept: usize,
}

#[derive(Debug)]
struct Place<const WORDS: usize> {
    /// Of the last packet that went the long way, its [`tag`].
    last: u32,
    /// So many more of its like go the long way before anybody asks again whether they have to.
    patience: u8,
    /// Of the ways: so one that leads elsewhere is not looked at.
    tags: [u32; 2],
    /// The one that was found last is the first.
    ways: [Option<Box<ShortWay<WORDS>>>; 2],
}

impl<const WORDS: usize> Default for Place<WORDS> {
    fn default() -> Self {
        Self {
            last: 0,
            patience: 0,
            tags: [0; 2],
            ways: [None, None],
        }
    }
}

impl<const WORDS: usize> Place<WORDS> {
    /// Which of the two is of this hash.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        let at = usize::from(self.tags[0] != tag(hash));
        (self.tags[at] == tag(hash)).then_some(at)
    }

    /// The way that was found before the last one is let go, or another of the same hash.
    fn remember(&mut self, hash: u64, way: Box<ShortWay<WORDS>>) {
        if self.tags[0] != tag(hash) {
            self.tags[1] = self.tags[0];
            self.ways.swap(0, 1);
        }
        (self.tags[0], self.ways[0]) = (tag(hash), Some(way));
    }

    fn forget(&mut self, hash: u64) {
        let both = self.tags.iter_mut().zip(&mut self.ways);
        for (_, way) in both.filter(|(it, _)| **it == tag(hash)) {
            *way = None;
        }
    }
}

/// The part of a hash that no place is chosen by; never zero.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// What cannot be remembered may be something that passes.
const PATIENCE: u8 = 100;

/// Rules and policies that count a packet of most ways.
const FEW: usize = 2;
const FEWEST: usize = 64;
const MOST: usize = 16_384;
/// So many places are looked at by each packet that goes the long way after a change.
const SWEPT: usize = 8;
/// After so many ticks each place has been looked at.
const ROUND: usize = 128;

impl<const WORDS: usize> Ways<WORDS> {
    fn new(secret: u64) -> Self {
        Self {
            secret,
            places: Vec::new(),
            noted: None,
            crowded: 0,
            version: Version::default(),
            turn: 0,
            unswept: 0,
        }
    }

    #[inline]
    pub(super) fn hash(&self, key: &PlainKey<WORDS>) -> u64 {
        key.hash(self.secret)
    }

    #[inline]
    fn place(&self, hash: u64) -> usize {
        hash as usize & self.places.len().wrapping_sub(1)
    }

    #[inline]
    pub(super) fn find(
        &self,
        hash: u64,
        (key, input): (&PlainKey<WORDS>, InterfaceId),
        version: Version,
    ) -> Option<&ShortWay<WORDS>> {
        Some(self.find_where(hash, (key, input), version)?.1)
    }

    /// The same, and where it lies.
    #[inline]
    fn find_where(
        &self,
        hash: u64,
        (key, input): (&PlainKey<WORDS>, InterfaceId),
        version: Version,
    ) -> Option<(Spot, &ShortWay<WORDS>)> {
        let (spot, way) = self.spot(hash)?;
        (way.key == *key && way.input == input && way.version == version).then_some((spot, way))
    }

    /// The way that was found before something was heard of paths holds on, if it leads where nothing was heard of.
    #[cold]
    pub(super) fn renew(
        &mut self,
        hash: u64,
        (key, input): (&PlainKey<WORDS>, InterfaceId),
        versions: &Versions,
        version: Version,
    ) -> bool {
        let number = self.place(hash);
        let Some(place) = self.places.get_mut(number) else {
            return false;
        };
        let way = place.find(hash).and_then(|which| place.ways[which].as_deref_mut());
        let Some(way) = way.filter(|it| it.key == *key && it.input == input) else {
            return false;
        };
        let holds = versions.holds(way.version, version, way.leads_to());
        if holds {
            way.version = version;
        }
        holds
    }

    /// The way of this hash, if there is one.
    #[inline]
    fn spot(&self, hash: u64) -> Option<(Spot, &ShortWay<WORDS>)> {
        let number = self.place(hash);
        let place = self.places.get(number)?;
        let which = place.find(hash)?;
        Some((Spot((2 * number + which) as u32), place.ways[which].as_deref()?))
    }

    #[inline]
    pub(super) fn at(&self, spot: Spot) -> Option<&ShortWay<WORDS>> {
        let Spot(spot) = spot;
        self.places.get(spot as usize / 2)?.ways[spot as usize % 2].as_deref()
    }

    /// Whether one leads on from this hash.
    #[inline]
    pub(super) fn have(&self, hash: u64) -> bool {
        self.spot(hash).is_some()
    }

    /// Whether what is remembered may lie far from the processor.
    #[inline]
    pub(in crate::engine) fn are_many(&self) -> bool {
        self.places.len() > FEWEST
    }

    /// A packet that came in, if it is a plain one, under rules that ask for such bits of TCP's flags.
    #[inline]
    pub(in crate::engine) fn read<'p>(
        &self,
        flags: u8,
        input: InterfaceId,
        bytes: &'p [u8],
    ) -> Option<Like<'p, WORDS>> {
        let mut plain = Plain::<WORDS>::read(bytes)?;
        plain.key = plain.key.with_flags(flags);
        let hash = self.hash(&plain.key);
        Some(Like { plain, input, hash })
    }

    /// The way that a packet may go by what it looks like, and where it lies.
    #[inline]
    pub(super) fn way_of(&self, like: &Like<'_, WORDS>, version: Version) -> Option<(Spot, &ShortWay<WORDS>)> {
        let found = self.find_where(like.hash, (&like.plain.key, like.input), version)?;
        let takes = found.1.takes(like.plain.ttl(), like.plain.len());
        takes.then_some(found)
    }

    /// Asks memory for what is remembered of these: the places first, then the ways with their flows, each of all at once.
    pub(super) fn look_ahead(&self, packets: &[Option<Like<'_, WORDS>>]) {
        let ways = packets
            .iter()
            .flatten()
            .filter_map(|like| Some(self.spot(like.hash)?.1));
        let mut found = [None; AT_ONCE];
        for (place, way) in found.iter_mut().zip(ways) {
            *place = Some(way);
        }
        let flows = found.iter().flatten().map(|way| way.flow.serial());
        std::hint::black_box(flows.fold(0, u64::wrapping_add));
    }

    /// A packet that looks like this goes the long way, by what is in force under this version. Notes are taken of the second.
    pub(super) fn went_long(&mut self, notes: &mut Notes, (hash, key): (u64, PlainKey<WORDS>), version: Version) {
        if self.places.is_empty() {
            self.places.resize_with(FEWEST, Place::default);
            notes.make_room();
        }
        if !self.version.is_of_the_change_of(version) {
            self.unswept = self.places.len();
        }
        self.version = version;
        if self.unswept > 0 {
            self.sweep();
        }
        let at = self.place(hash);
        let place = &mut self.places[at];
        match std::mem::replace(&mut place.last, tag(hash)) {
            last if last == tag(hash) && place.patience > 0 => place.patience -= 1,
            last if last == tag(hash) => {
                self.noted = Some(key);
                notes.begin();
            }
            0 => {}
            // Another was here: of several that come in turn, none comes twice.
            _ => {
                place.patience = 0;
                self.crowded += 1;
                if self.crowded as usize > self.places.len() {
                    self.grow();
                }
            }
        }
    }

    /// Lets ways go that no packet can go any more: each keeps its flow, and the counters of all that were made with those of its rules. A few at a time,
    /// since whoever is on the way waits for it; and on from where the last ones were, so that every place has its turn however often rules change.
    #[cold]
    fn sweep(&mut self) {
        for _ in 0..SWEPT.min(self.unswept) {
            let version = self.version;
            self.let_go(|way| !way.version.is_of_the_change_of(version));
        }
    }

    /// The same of ways whose flow is gone, which nobody says when it goes: a part of all places, whenever time does its work.
    fn tidy(&mut self) {
        let version = self.version;
        for _ in 0..self.places.len().div_ceil(ROUND) {
            self.let_go(|way| !way.version.is_of_the_change_of(version) || way.flow.is_gone());
        }
    }

    /// The next place has no such way any more.
    fn let_go(&mut self, is_void: impl Fn(&ShortWay<WORDS>) -> bool) {
        self.turn = (self.turn + 1) % self.places.len();
        for way in &mut self.places[self.turn].ways {
            if way.as_deref().is_some_and(&is_void) {
                *way = None;
            }
        }
        self.unswept = self.unswept.saturating_sub(1);
    }

    pub(super) fn forget(&mut self, hash: u64) {
        let place = self.place(hash);
        if let Some(place) = self.places.get_mut(place) {
            place.forget(hash);
        }
    }

    /// Notes were taken of one, and it has no short way.
    pub(super) fn has_none(&mut self, key: &PlainKey<WORDS>) {
        let place = self.place(self.hash(key));
        if let Some(place) = self.places.get_mut(place) {
            place.patience = PATIENCE;
        }
    }

    pub(super) fn remember(&mut self, way: ShortWay<WORDS>) {
        let hash = self.hash(&way.key);
        let place = self.place(hash);
        self.places[place].remember(hash, Box::new(way));
    }

    /// To twice as many places, up to a bound.
    #[cold]
    fn grow(&mut self) {
        self.crowded = 0;
        if self.places.len() >= MOST {
            return;
        }
        let mut places = Vec::new();
        places.resize_with(2 * self.places.len(), Place::default);
        for before in std::mem::replace(&mut self.places, places) {
            // Both may come to one place again: in the order in which they stood.
            for way in before.ways.into_iter().rev().flatten() {
                if way.version.is_of_the_change_of(self.version) {
                    let hash = self.hash(&way.key);
                    let place = self.place(hash);
                    self.places[place].last = before.last;
                    self.places[place].remember(hash, way);
                }
            }
        }
    }
}
