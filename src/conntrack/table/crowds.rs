//! Ports that are known to be taken, towards destinations where NAT had to try many: so a search passes over them without a look into the table.
//!
//! What is known here is true or forgotten, and whoever finds nothing known looks into the table. A port is noted under the lock of the flow that has it,
//! which keeps a note of that. It is forgotten when that flow leaves the table or is to end sooner than it was, and when the time is over until which
//! it lives at least. A crowd of which nothing is known any more goes, and with the last of them the look for one that every new mapping takes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Table;
use crate::base::sync::{Mutex, Ordering};
use crate::base::{PortRange, Time};
use crate::conntrack::flow::SHORTENED;
use crate::conntrack::{Direction, Endpoint, Flow, FlowState, Status, Tuple, Zone};

/// Replies that differ only in the port that they go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Towards(Tuple);

impl Towards {
    fn of(reply: &Tuple) -> Self {
        let destination = Endpoint {
            id: 0,
            ..reply.destination
        };
        Self(Tuple { destination, ..*reply })
    }
}

/// The destinations that are crowded.
#[derive(Default)]
pub(super) struct Crowds {
    all: Mutex<All>,
    /// Some are.
    any: AtomicBool,
    #[cfg(test)]
    watched: Watched,
}

/// What a test says and asks.
#[cfg(test)]
#[derive(Default)]
struct Watched {
    is_off: AtomicBool,
    passed: std::sync::atomic::AtomicU32,
}

#[derive(Default)]
struct All {
    /// The last used last.
    crowds: Vec<(Towards, Arc<Crowd>)>,
    /// As [`SHORTENED`] was when they were made.
    shortened: u64,
    /// When they were last asked which of them are over.
    looked_at: Time,
}

/// What is known of the ports of one.
pub(crate) struct Crowd(Mutex<Known>);

struct Known {
    taken: Box<[u64]>,
    /// Until when all of a word's ports are taken at least.
    until: Box<[Time]>,
    /// How many are noted.
    count: u32,
    /// When the last word's time is over.
    end: Time,
    /// It is no longer one of the crowds, and who has it still learns nothing from it.
    is_gone: bool,
}

const LOOKED_AT_EACH: Duration = Duration::from_secs(1);
/// 16 kB each.
const MOST: usize = 64;
const WORDS: usize = 1 << 16 >> 6;

impl Known {
    /// The search that made it has some time to note what it finds.
    fn new(now: Time) -> Self {
        Self {
            taken: vec![0; WORDS].into(),
            until: vec![Time::ZERO; WORDS].into(),
            count: 0,
            end: now + LOOKED_AT_EACH,
            is_gone: false,
        }
    }

    /// Whether it is noted.
    fn note(&mut self, port: u16, until: Time) -> bool {
        if self.is_gone {
            return false;
        }
        let (word, bit) = place(port);
        self.until[word] = match self.taken[word] {
            0 => until,
            _ => self.until[word].min(until),
        };
        self.count += u32::from(self.taken[word] & bit == 0);
        self.taken[word] |= bit;
        self.end = self.end.max(until);
        true
    }

    fn forget(&mut self, port: u16) {
        let (word, bit) = place(port);
        self.count -= u32::from(self.taken[word] & bit != 0);
        self.taken[word] &= !bit;
    }

    fn forget_word(&mut self, word: usize) {
        self.count -= self.taken[word].count_ones();
        self.taken[word] = 0;
    }

    /// How many ports from this one on are known to be taken, of so many.
    fn taken_from(&mut self, now: Time, first: u16, most: u32) -> u32 {
        let mut count = 0;
        while count < most {
            let port = u32::from(first) + count;
            let (word, bit) = ((port >> 6) as usize, port & 63);
            if self.until[word] <= now {
                self.forget_word(word);
            }
            let taken = (self.taken[word] >> bit).trailing_ones();
            count += taken.min(most - count);
            if taken < u64::BITS - bit {
                break;
            }
        }
        count
    }
}

fn place(port: u16) -> (usize, u64) {
    (usize::from(port >> 6), 1 << (port & 63))
}

impl Crowd {
    /// It is taken out of the crowds.
    fn goes(&self) {
        self.0.lock().is_gone = true;
    }

    /// Whether nothing can be known of it any more; then it is to be taken out.
    fn is_over(&self, now: Time) -> bool {
        let mut known = self.0.lock();
        known.is_gone = known.end <= now;
        known.is_gone
    }

    /// How many ports of a search in this range, from an offset on and without a gap, are known to be taken, of so many. The offset runs in 16 bits.
    pub(crate) fn taken_at_least(&self, now: Time, range: PortRange, offset: u16, most: u32) -> u32 {
        let mut known = self.0.lock();
        if known.is_gone {
            return 0;
        }
        let size = u32::from(range.high - range.low) + 1;
        let mut passed = 0;
        while passed < most {
            let offset = u32::from(offset.wrapping_add(passed as u16));
            let within = offset % size;
            // To the end of the range, or to where the offset begins anew.
            let stretch = (size - within).min((1 << 16) - offset).min(most - passed);
            let taken = known.taken_from(now, range.low + within as u16, stretch);
            passed += taken;
            if taken < stretch {
                break;
            }
        }
        passed
    }
}

impl Crowds {
    /// That of a reply; one that is not there yet is made where the search has been long.
    fn find(&self, now: Time, reply: &Tuple, is_long: bool) -> Option<Arc<Crowd>> {
        if !is_long && !self.any.load(Ordering::Acquire) {
            return None;
        }
        #[cfg(test)]
        if self.watched.is_off.load(Ordering::Relaxed) {
            return None;
        }
        let towards = Towards::of(reply);
        let all = &mut *self.all.lock();
        let now_shortened = SHORTENED.load(Ordering::Relaxed);
        if all.shortened != now_shortened {
            all.shortened = now_shortened;
            all.crowds.drain(..).for_each(|(_, crowd)| crowd.goes());
        }
        if all.looked_at + LOOKED_AT_EACH <= now {
            all.looked_at = now;
            all.crowds.retain(|(_, crowd)| !crowd.is_over(now));
        }
        if all.crowds.is_empty() {
            self.any.store(false, Ordering::Release);
        }
        let crowds = &mut all.crowds;
        if let Some(at) = crowds.iter().rposition(|(it, _)| *it == towards) {
            let found = Arc::clone(&crowds[at].1);
            // So that those which nobody asks for are at the front.
            if at + 1 < crowds.len() {
                crowds[at..].rotate_left(1);
            }
            return Some(found);
        }
        if !is_long {
            return None;
        }
        if crowds.len() == MOST {
            crowds.remove(0).1.goes();
        }
        let crowd = Arc::new(Crowd(Mutex::new(Known::new(now))));
        crowds.push((towards, Arc::clone(&crowd)));
        self.any.store(true, Ordering::Release);
        Some(crowd)
    }

    /// See [`Table::forget_in_crowd`].
    fn forget(&self, reply: &Tuple) {
        let towards = Towards::of(reply);
        let mut all = self.all.lock();
        let Some(at) = all.crowds.iter().position(|(it, _)| *it == towards) else {
            return;
        };
        let is_empty = {
            let mut known = all.crowds[at].1.0.lock();
            known.forget(reply.destination.id);
            known.count == 0
        };
        if is_empty {
            all.crowds.remove(at).1.goes();
            self.any.store(!all.crowds.is_empty(), Ordering::Release);
        }
    }
}

impl Table {
    /// What is known of the ports that a new flow's reply may go to; nothing where that would not be all that decides whether one is free.
    pub(crate) fn crowd(&self, now: Time, reply: &Tuple, flow: &Flow, is_long: bool) -> Option<Arc<Crowd>> {
        if flow.zone() != Zone::default() {
            return None;
        }
        let crowd = self.crowds.find(now, reply, is_long)?;
        // One that was opened by the same tuple is not in the way.
        let original = flow.original();
        let twin = self.find(self.hash(&original), &original, flow.zone());
        twin.is_none().then_some(crowd)
    }

    /// Ports were passed over that are taken, as if each had been looked up.
    pub(crate) fn count_found(&self, count: u32) {
        self.statistics.found.count_many(count.into());
        #[cfg(test)]
        self.crowds.watched.passed.fetch_add(count, Ordering::Relaxed);
    }

    /// Nothing is remembered from now on.
    #[cfg(test)]
    pub(crate) fn forgets_crowds(&self) {
        self.crowds.watched.is_off.store(true, Ordering::Relaxed);
    }

    /// Whether a new mapping looks for a crowd.
    #[cfg(test)]
    pub(crate) fn has_crowds(&self) -> bool {
        self.crowds.any.load(Ordering::Relaxed)
    }

    /// How many ports were passed over.
    #[cfg(test)]
    pub(crate) fn passed_in_crowds(&self) -> u32 {
        self.crowds.watched.passed.load(Ordering::Relaxed)
    }

    /// The flow has its reply no longer, or not for as long. Its lock is held.
    #[cold]
    pub(in crate::conntrack) fn forget_in_crowd(&self, flow: &Flow) {
        self.crowds.forget(&flow.reply());
    }

    /// A flow has just come into the table, and its lock is held: where its destination is crowded its port is taken from now on.
    #[inline]
    pub(in crate::conntrack) fn entered_crowd(&self, now: Time, flow: &Flow, state: &mut FlowState) {
        if state.status.has(Status::SRC_NAT) && self.crowds.any.load(Ordering::Acquire) {
            self.note(now, &flow.reply(), flow, state);
        }
    }

    fn note(&self, now: Time, reply: &Tuple, flow: &Flow, state: &mut FlowState) {
        if flow.zone() == Zone::default()
            && let Some(crowd) = self.crowds.find(now, reply, false)
            && crowd.0.lock().note(reply.destination.id, state.deadline)
        {
            state.is_in_crowd = true;
        }
    }

    /// Whose reply this is, as far as it is a flow of the table that lives: its port is taken for so long.
    pub(super) fn note_in_crowd(&self, now: Time, (flow, state): (&Flow, &mut FlowState), direction: Direction) {
        if direction != Direction::Reply || !self.crowds.any.load(Ordering::Acquire) {
            return;
        }
        let is_there = state.status.has(Status::CONFIRMED) && !state.status.has_any(Status::DYING.or(Status::CLASHES));
        if is_there {
            self.note(now, &flow.reply(), flow, state);
        }
    }
}
