//! Flows whose source mapping is decided, by original source, so that a source keeps its mapping towards other destinations.

use std::sync::Arc;

use hashbrown::HashTable;

use super::lines::Lines;
use super::{Hashes, Table};
use crate::base::sync::{MutexGuard, Ordering};
use crate::conntrack::orphan::{Orphan, Token};
use crate::conntrack::{Direction, Flow, Tuple};

/// Those of one shard, be they in the table still or remembered.
#[derive(Default)]
pub(super) struct Sources {
    /// Of sources with one.
    alone: Lines,
    /// The others.
    together: HashTable<Together>,
}

/// The flows of one source, in the order of their creation.
struct Together {
    hash: u32,
    flows: Vec<Arc<Flow>>,
}

impl Together {
    fn is_of(&self, source: &SourceOf<'_>) -> bool {
        self.flows.first().is_some_and(|flow| source.is_of(flow))
    }

    fn keep(&mut self, flow: Arc<Flow>) {
        let at = self.flows.partition_point(|before| before.serial() < flow.serial());
        self.flows.insert(at, flow);
    }
}

/// The source of an original tuple in a zone.
#[derive(Clone, Copy)]
struct SourceOf<'a> {
    tuple: &'a Tuple,
    /// In the original direction.
    zone: u16,
}

impl SourceOf<'_> {
    fn is_of(&self, flow: &Flow) -> bool {
        let original = flow.original();
        original.source == self.tuple.source
            && original.protocol == self.tuple.protocol
            && zone_of_source(flow) == self.zone
    }
}

/// In which zone the source of a flow keeps its mapping.
pub(super) fn zone_of_source(flow: &Flow) -> u16 {
    flow.zone().of(Direction::Original)
}

impl Sources {
    fn keep(&mut self, hash: u32, source: &SourceOf<'_>, flow: Arc<Flow>) {
        let first = match self.together.find_mut(hash.into(), |it| it.is_of(source)) {
            Some(together) => return together.keep(flow),
            None => self.alone.remove(hash, |it, _| source.is_of(it)),
        };
        let Some(first) = first else {
            return self.alone.insert(hash, false, flow);
        };
        let flows = vec![first];
        let mut together = Together { hash, flows };
        together.keep(flow);
        self.together.insert_unique(hash.into(), together, |it| it.hash.into());
    }

    fn forget(&mut self, hash: u32, source: &SourceOf<'_>, serial: u64) -> Option<Arc<Flow>> {
        let Ok(mut entry) = self.together.find_entry(hash.into(), |it| it.is_of(source)) else {
            return self
                .alone
                .remove(hash, |it, _| it.serial() == serial && source.is_of(it));
        };
        let flows = &mut entry.get_mut().flows;
        let at = flows.binary_search_by_key(&serial, |it| it.serial()).ok()?;
        let flow = flows.remove(at);
        if flows.is_empty() {
            entry.remove();
        }
        Some(flow)
    }

    fn newest_first<'a>(&'a self, hash: u32, source: SourceOf<'a>) -> impl Iterator<Item = &'a Arc<Flow>> {
        let together = match self.together.is_empty() {
            true => None,
            false => self.together.find(hash.into(), |it| it.is_of(&source)),
        };
        let alone = match together {
            Some(_) => None,
            None => self.alone.find(hash, |it, _| source.is_of(it)),
        };
        let together = together.into_iter().flat_map(|it| it.flows.iter().rev());
        together.chain(alone.map(|(flow, _)| flow))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.alone.len() + self.together.iter().map(|it| it.flows.len()).sum::<usize>()
    }
}

impl Table {
    pub(super) fn keep_mapping(&self, flow: &Arc<Flow>, known: &Hashes) {
        let original = flow.original();
        let source = SourceOf {
            tuple: &original,
            zone: zone_of_source(flow),
        };
        let hash = self.hash_of_source(&original, known);
        let mut sources = self.sources_of(hash);
        sources.keep(hash as u32, &source, Arc::clone(flow));
        self.sources_at[self.shard_number(hash)].follow(&sources.alone);
    }

    /// The newest mapping of another flow from the same source endpoint that fits, as a reply tuple.
    pub(crate) fn newest_mapping_of_source(
        &self,
        of: &Flow,
        known: &Hashes,
        fits: impl Fn(&Tuple) -> bool,
    ) -> Option<Tuple> {
        self.forget_orphans();
        let original = of.original();
        let source = SourceOf {
            tuple: &original,
            zone: zone_of_source(of),
        };
        let hash = self.hash_of_source(&original, known);
        let sources = self.sources_of(hash);
        let newest_first = sources.newest_first(hash as u32, source);
        newest_first.map(|flow| flow.reply()).find(fits)
    }

    pub(super) fn forget_mapping(&self, of: &Orphan) {
        let source = SourceOf {
            tuple: &of.original,
            zone: of.zone,
        };
        let hash = self.hash_source(&of.original);
        // It may be let go with this, which is done without the lock.
        let flow = self.sources_of(hash).forget(hash as u32, &source, of.serial);
        drop(flow);
    }

    /// It is remembered by who holds this token, and no longer.
    pub(super) fn orphaned(&self, orphan: Orphan, token: &Token) {
        if token.remember(orphan, &self.forgotten) {
            self.orphaned_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes out what is left of masters that nobody remembers any more.
    pub(super) fn forget_orphans(&self) {
        if self.orphaned_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        for orphan in self.forgotten.take() {
            self.forget_mapping(&orphan);
            self.orphaned_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// In a copy: what the other table has of a flow that is gone is here too, as long as somebody holds this token.
    pub(in crate::conntrack) fn adopt(&self, orphan: Orphan, from: &Self, token: &Token) {
        let source = SourceOf {
            tuple: &orphan.original,
            zone: orphan.zone,
        };
        let hash = from.hash_source(&orphan.original);
        let mapped = {
            let sources = from.sources_of(hash);
            let mut flows = sources.newest_first(hash as u32, source);
            flows.find(|flow| flow.serial() == orphan.serial).cloned()
        };
        // It changes no more, and may be the same in both.
        if let Some(flow) = mapped {
            self.keep_mapping(&flow, &Hashes::default());
        }
        self.orphaned(orphan, token);
    }

    fn sources_of(&self, hash: u64) -> MutexGuard<'_, Sources> {
        self.sources[self.shard_number(hash)].lock()
    }
}
