//! What happens to flows, for who listens: a flow comes, changes, goes, as `conntrack -E` shows it.
//!
//! Seen on Linux 6.18: a flow is told of only if somebody listened when it began (`nf_conntrack_events` is 2; with 1 it always is, with 0 never); that
//! it changed is told when a packet of it has got through, once for all that changed; a reader that is too slow loses what its buffer does not
//! hold, hears so before anything else, and gets nothing more until it has taken what was there.
//!
//! While nobody listens, a packet pays one look at a number.

use std::collections::VecDeque;
use std::sync::Arc;

use super::flow::FlowState;
use super::{Flow, Settings, Status};
use crate::base::Time;
use crate::base::sync::{AtomicUsize, Mutex, Ordering};

/// What of a flow is told, in the words of `conntrack -E`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Its first packet got out.
    New,
    /// It was answered, became assured, changed its tracker's state or its mark.
    Update,
    /// It is out of the table: its time was over, its tracker ended it, or a command did.
    Destroy,
}

/// One thing that happened.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// As it was then.
    pub flow: Flow,
    /// When, where that is known: a command that deletes flows has no time of its own.
    pub at: Option<Time>,
}

/// What a listener hears next.
#[derive(Debug)]
pub enum Heard {
    /// The next thing that happened.
    Event(Box<Event>),
    /// It was too slow: some are lost.
    Lost,
}

/// Somebody listens, until this is dropped.
pub struct Listener {
    queue: Arc<Queue>,
    events: Arc<Events>,
}

/// Who listens.
#[derive(Default)]
pub(super) struct Events {
    count: AtomicUsize,
    queues: Mutex<Vec<Arc<Queue>>>,
}

struct Queue {
    waiting: Mutex<Waiting>,
    bound: usize,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Box<Event>>,
    /// Not told yet.
    lost: bool,
    /// Nothing more comes in until all that is there has been taken.
    congested: bool,
}

/// What was told of a flow last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    seen_reply: bool,
    assured: bool,
    mark: u32,
    /// Its tracker's, by name.
    state: Option<&'static str>,
}

impl Told {
    fn of(state: &FlowState) -> Self {
        Self {
            seen_reply: state.status.has(Status::SEEN_REPLY),
            assured: state.status.has(Status::ASSURED),
            mark: state.mark,
            state: state.protocol.state_name(),
        }
    }
}

impl Events {
    /// Whether anybody listens.
    pub(super) fn heard(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// What a flow that begins now has told: `None` where nobody will hear of it.
    pub(super) fn begin(&self, settings: &Settings) -> Option<Box<Told>> {
        let tells = match settings.events {
            0 => false,
            2 => self.heard(),
            _ => true,
        };
        tells.then(|| {
            Box::new(Told {
                seen_reply: false,
                assured: false,
                mark: 0,
                state: None,
            })
        })
    }

    /// A packet of the flow has got through.
    pub(super) fn passed(&self, now: Time, flow: &Flow, is_new: bool) {
        let mut state = flow.lock();
        let told = Told::of(&state);
        let Some(before) = &mut state.told else { return };
        if **before == told && !is_new {
            return;
        }
        **before = told;
        let copy = state.plain();
        drop(state);
        let kind = if is_new { EventKind::New } else { EventKind::Update };
        self.publish(kind, flow, copy, Some(now));
    }

    /// The flow is about to go. `None` where nobody hears of it.
    pub(super) fn last_words(&self, state: &FlowState) -> Option<FlowState> {
        let tells = self.heard() && state.told.is_some() && state.status.has(Status::CONFIRMED);
        tells.then(|| state.plain())
    }

    pub(super) fn publish(&self, kind: EventKind, flow: &Flow, state: FlowState, at: Option<Time>) {
        let queues = self.queues.lock();
        for queue in queues.iter() {
            let flow = Flow::new(flow.serial(), (*flow.original(), flow.hash), state.plain()).in_zone(flow.zone());
            queue.push(Event { kind, flow, at });
        }
    }
}

impl Queue {
    fn push(&self, event: Event) {
        let mut waiting = self.waiting.lock();
        if waiting.congested || waiting.events.len() >= self.bound {
            waiting.lost = true;
            waiting.congested = true;
        } else {
            waiting.events.push_back(Box::new(event));
        }
        drop(waiting);
        (self.wake)();
    }
}

impl Listener {
    pub(super) fn new(events: &Arc<Events>, bound: usize, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            bound: bound.max(1),
            wake,
        });
        events.queues.lock().push(Arc::clone(&queue));
        events.count.fetch_add(1, Ordering::Relaxed);
        Self {
            queue,
            events: Arc::clone(events),
        }
    }

    /// The next thing that happened, if anything has.
    pub fn next_heard(&self) -> Option<Heard> {
        let mut waiting = self.queue.waiting.lock();
        if std::mem::take(&mut waiting.lost) {
            return Some(Heard::Lost);
        }
        let event = waiting.events.pop_front();
        if waiting.events.is_empty() {
            waiting.congested = false;
        }
        event.map(Heard::Event)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events.count.fetch_sub(1, Ordering::Relaxed);
        self.events
            .queues
            .lock()
            .retain(|queue| !Arc::ptr_eq(queue, &self.queue));
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
