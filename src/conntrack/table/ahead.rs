//! Looking ahead: hashes are made together, and memory is asked for flows and for the lines in which they stand, before anybody waits for them.
//!
//! Asking changes nothing and waits for nothing. It goes by what is written down of where a shard's lines lie, and not by the shard itself: its lock is a
//! number that is changed in place, before which a processor lets nothing of what it has asked for be outstanding, so that of several lines each
//! would be waited for.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use prefetch_index::prefetch_index;

use super::Table;
use super::lines::{Lines, line_of};
use crate::base::sync::Ordering;
use crate::conntrack::{Flow, Status, Tuple};
use crate::packet::PlainKey;

/// Hashes that are made before they are needed, or needed again; `None` where nobody has made them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashes {
    /// Of the tuple that the packet came with, which is the original one of the flow that it opens.
    pub(in crate::conntrack) original: Option<NonZeroU64>,
    /// Of the answer to that, as it comes where NAT changes nothing.
    answer: Option<NonZeroU64>,
    /// Of the answer as it comes since NAT changed something.
    mapped: Option<NonZeroU64>,
    /// Of the original tuple's source.
    pub(super) source: Option<NonZeroU64>,
}

impl Hashes {
    /// NAT has changed the reply of the packet's flow, which has this hash now, if that is known.
    #[inline]
    pub(crate) fn set_mapped(&mut self, hash: Option<u64>) {
        self.mapped = hash.and_then(NonZeroU64::new);
    }
}

/// Of so many flows memory is asked before the first of them is deleted.
const AT_ONCE: usize = 16;

/// Where the lines of a shard lay when something last came there. Nothing is read by it: what is out of date asks memory for something that nobody needs.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    address: AtomicUsize,
    count: AtomicUsize,
}

impl Whereabouts {
    #[inline]
    pub(super) fn follow(&self, lines: &Lines) {
        let (address, count) = lines.whereabouts();
        if self.address.load(Ordering::Relaxed) != address {
            self.count.store(count, Ordering::Relaxed);
            self.address.store(address, Ordering::Relaxed);
        }
    }

    #[inline]
    fn ask_for(&self, hash: u32) {
        let count = self.count.load(Ordering::Relaxed);
        if count > 0 {
            let line = self
                .address
                .load(Ordering::Relaxed)
                .wrapping_add(line_of(hash, count) * Lines::LINE);
            // A place is named by how far it lies from something.
            let nothing: &[u8] = &[];
            prefetch_index(nothing, line.wrapping_sub(nothing.as_ptr().addr()));
        }
    }
}

impl Table {
    /// A packet that looks like this comes soon, and seems to open a flow; where there is NAT, its source may get a mapping.
    #[inline]
    pub(crate) fn look_ahead<const WORDS: usize>(&self, key: &PlainKey<WORDS>, is_mapped: bool) -> Hashes {
        let [original, answer] = [key.tuple_bytes(), key.answer_bytes()].map(|bytes| {
            let hash = self.hash_bytes(&bytes);
            self.ask_for(hash);
            NonZeroU64::new(hash)
        });
        let source = || {
            let hash = self.hash_bytes(&key.source_bytes());
            self.sources_at[self.shard_number(hash)].ask_for(hash as u32);
            NonZeroU64::new(hash)
        };
        Hashes {
            original,
            answer,
            mapped: None,
            source: is_mapped.then(source).flatten(),
        }
    }

    /// Somebody looks for this hash soon.
    #[inline]
    pub(crate) fn ask_for(&self, hash: u64) {
        self.whereabouts[self.shard_number(hash)].ask_for(hash as u32);
    }

    /// Deletes those of the flows that are meant, in their order; how many went.
    pub(super) fn delete_together(
        &self,
        flows: &[Arc<Flow>],
        by_command: bool,
        is_meant: impl Fn(&Flow) -> bool,
    ) -> usize {
        let mut gone = 0;
        for (number, few) in flows.chunks(AT_ONCE).enumerate() {
            let next = flows.iter().skip((number + 1) * AT_ONCE).take(AT_ONCE);
            next.for_each(|flow| flow.is_looked_at_soon());
            let mut meant = [None; AT_ONCE];
            for (hashes, flow) in meant.iter_mut().zip(few) {
                *hashes = is_meant(flow).then(|| self.hashes_of(flow));
                hashes.iter().flatten().for_each(|hash| self.ask_for(*hash));
            }
            for (flow, hashes) in few.iter().zip(meant) {
                gone += usize::from(hashes.is_some() && self.delete_for(flow, hashes, by_command));
            }
        }
        gone
    }

    /// The hash of a flow's reply, which is this.
    #[inline]
    pub(crate) fn hash_of_reply(&self, flow: &Flow, reply: &Tuple, known: &Hashes) -> u64 {
        let is_mapped = flow.decided().has_any(Status::SRC_NAT.or(Status::DST_NAT));
        self.hash_unless_known(reply, if is_mapped { known.mapped } else { known.answer })
    }

    #[inline]
    pub(super) fn hash_of_source(&self, original: &Tuple, known: &Hashes) -> u64 {
        let hash = known.source.map_or_else(|| self.hash_source(original), NonZeroU64::get);
        debug_assert_eq!(hash, self.hash_source(original), "{original:?}");
        hash
    }

    #[inline]
    pub(in crate::conntrack) fn hash_unless_known(&self, tuple: &Tuple, known: Option<NonZeroU64>) -> u64 {
        let hash = known.map_or_else(|| self.hash(tuple), NonZeroU64::get);
        debug_assert_eq!(hash, self.hash(tuple), "{tuple:?}");
        hash
    }
}
