//! What happens to flows and to expectations, for who listens: one comes, changes, goes, as `conntrack -E` shows it.
//!
//! Seen on Linux 6.18: a flow is told of only if somebody listened when it began (`nf_conntrack_events` is 2; with 1 it always is, with 0 never); that
//! it changed is told when a packet of it has got through, once for all that changed; a reader that is too slow loses what its buffer does not
//! hold, hears so before anything else, and gets nothing more until it has taken what was there.
//!
//! While nobody listens, a packet pays one look at a number.

use std::collections::VecDeque;
use std::sync::Arc;

use super::flow::FlowState;
use super::{Expectation, Flow, Settings, Status};
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

/// One thing that happened to a flow.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// As it was then.
    pub flow: Flow,
    /// When, where that is known: a command that deletes flows has no time of its own.
    pub at: Option<Time>,
    /// A command did it, no packet and no time.
    pub by_command: bool,
}

/// One thing that happened to an expectation.
#[derive(Clone, Debug)]
pub struct ExpectationEvent {
    /// What happened; never [`EventKind::Update`].
    pub kind: EventKind,
    /// The expectation.
    pub expectation: Arc<Expectation>,
}

/// What a listener hears next.
#[derive(Debug)]
pub enum Heard<T = Event> {
    /// The next thing that happened.
    Event(Box<T>),
    /// It was too slow: some are lost.
    Lost,
}

/// Somebody listens, until this is dropped.
pub struct Listener<T = Event> {
    queue: Arc<Queue<T>>,
    listeners: Arc<Listeners<T>>,
}

/// Who listens to flows.
pub(super) type Events = Listeners<Event>;

/// Who listens to one kind of things.
pub(super) struct Listeners<T> {
    count: AtomicUsize,
    queues: Mutex<Vec<Arc<Queue<T>>>>,
}

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            queues: Mutex::default(),
        }
    }
}

struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    bound: usize,
    wake: Box<dyn Fn() + Send + Sync>,
}

struct Waiting<T> {
    events: VecDeque<Box<T>>,
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

impl<T> Listeners<T> {
    /// Whether anybody listens.
    pub(super) fn heard(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Everybody who listens gets one of his own.
    pub(super) fn tell(&self, mut made: impl FnMut() -> T) {
        let queues = self.queues.lock();
        for queue in queues.iter() {
            queue.push(made());
        }
    }
}

impl Events {
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

    /// A command has made the flow, or changed it.
    pub(super) fn commanded(&self, now: Time, flow: &Flow, kind: EventKind) {
        let mut state = flow.lock();
        let told = Told::of(&state);
        let Some(before) = &mut state.told else { return };
        **before = told;
        let copy = state.plain();
        drop(state);
        self.publish_as(kind, flow, &copy, Some(now), true);
    }

    /// The flow is about to go. `None` where nobody hears of it.
    pub(super) fn last_words(&self, state: &FlowState) -> Option<FlowState> {
        let tells = self.heard() && state.told.is_some() && state.status.has(Status::CONFIRMED);
        tells.then(|| state.plain())
    }

    pub(super) fn publish(&self, kind: EventKind, flow: &Flow, state: FlowState, at: Option<Time>) {
        self.publish_as(kind, flow, &state, at, false);
    }

    pub(super) fn publish_as(
        &self,
        kind: EventKind,
        flow: &Flow,
        state: &FlowState,
        at: Option<Time>,
        by_command: bool,
    ) {
        self.tell(|| Event {
            kind,
            flow: Flow::new(flow.serial(), (*flow.original(), flow.hash), state.plain()).in_zone(flow.zone()),
            at,
            by_command,
        });
    }
}

impl<T> Queue<T> {
    fn push(&self, event: T) {
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

impl<T> Listener<T> {
    pub(super) fn new(listeners: &Arc<Listeners<T>>, bound: usize, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let queue = Arc::new(Queue {
            waiting: Mutex::new(Waiting {
                events: VecDeque::new(),
                lost: false,
                congested: false,
            }),
            bound: bound.max(1),
            wake,
        });
        listeners.queues.lock().push(Arc::clone(&queue));
        listeners.count.fetch_add(1, Ordering::Relaxed);
        Self {
            queue,
            listeners: Arc::clone(listeners),
        }
    }

    /// The next thing that happened, if anything has.
    pub fn next_heard(&self) -> Option<Heard<T>> {
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

impl<T> Drop for Listener<T> {
    fn drop(&mut self) {
        self.listeners.count.fetch_sub(1, Ordering::Relaxed);
        self.listeners
            .queues
            .lock()
            .retain(|queue| !Arc::ptr_eq(queue, &self.queue));
    }
}

impl<T> std::fmt::Debug for Listener<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
