//! What happens to flows and to expectations, for who listens: one comes, changes, goes, as `conntrack -E` shows it.
//!
//! Seen on Linux 6.18: a flow is told of only if somebody listened when it began (`nf_conntrack_events` is 2; with 1 it always is, with 0 never); that
//! it changed is told when a packet of it has got through, once for all that changed; a reader that is too slow loses what its buffer does not
//! hold, hears so before anything else, and gets nothing more until it has taken what was there.
//!
//! A rule may say of the flows that it opens which of these are told (`CT --ctevents`, `--expevents`): then no others are, and those whatever
//! `nf_conntrack_events` says. Seen: what happened at once is told whole where one of it is among those.
//!
//! While nobody listens, a packet pays one look at a number.

use std::collections::VecDeque;
use std::sync::Arc;

use super::flow::FlowState;
use super::labels::Labels;
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

/// Which things that happen to a flow, or to what it expects, are told: a bit each, as the kernel numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMask(pub u16);

impl EventMask {
    /// The flow came.
    pub const NEW: Self = Self(1);
    /// It came, and a helper had announced it.
    pub const RELATED: Self = Self(1 << 1);
    /// It is gone.
    pub const DESTROY: Self = Self(1 << 2);
    /// It was answered.
    pub const REPLY: Self = Self(1 << 3);
    /// It became assured.
    pub const ASSURED: Self = Self(1 << 4);
    /// Its tracker's state changed.
    pub const PROTOINFO: Self = Self(1 << 5);
    /// It came with a helper.
    pub const HELPER: Self = Self(1 << 6);
    /// Its mark changed.
    pub const MARK: Self = Self(1 << 7);
    /// Its numbers are shifted.
    pub const NATSEQINFO: Self = Self(1 << 8);
    /// Its mark for security modules, of which there are none here.
    pub const SECMARK: Self = Self(1 << 9);
    /// Its labels changed.
    pub const LABEL: Self = Self(1 << 10);
    /// An expectation came. Those of expectations are numbered apart.
    pub const EXPECTATION_NEW: Self = Self(1);
    /// An expectation is gone.
    pub const EXPECTATION_DESTROY: Self = Self(1 << 1);
    /// Whatever happens.
    pub const ALL: Self = Self(u16::MAX);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// What a command that changes a flow may have changed.
    const BY_COMMAND: Self = Self::REPLY
        .or(Self::ASSURED)
        .or(Self::PROTOINFO)
        .or(Self::HELPER)
        .or(Self::MARK)
        .or(Self::NATSEQINFO)
        .or(Self::LABEL);

    /// What rules call those of flows, in the order of their bits. Seen: there is no word for labels, nor for an expectation that is gone.
    pub const WORDS: &[&str] = &[
        "new",
        "related",
        "destroy",
        "reply",
        "assured",
        "protoinfo",
        "helper",
        "mark",
        "natseqinfo",
        "secmark",
    ];
    /// The same of expectations.
    pub const WORDS_OF_EXPECTATIONS: &[&str] = &["new"];

    /// The words for these of such a list.
    pub fn said_by(self, words: &[&'static str]) -> Vec<&'static str> {
        let said = words.iter().enumerate().filter(|(bit, _)| self.has_any(Self(1 << bit)));
        said.map(|(_, word)| *word).collect()
    }

    /// The bits of both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether some bit is in both.
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn if_so(self, so: bool) -> Self {
        match so {
            true => self,
            false => Self::NONE,
        }
    }
}

/// What is told of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventMasks {
    /// Of what happens to itself.
    pub flow: EventMask,
    /// Of what it expects.
    pub expectations: EventMask,
}

impl EventMasks {
    const ALL: Self = Self {
        flow: EventMask::ALL,
        expectations: EventMask::ALL,
    };

    /// Seen: a rule that names none says nothing.
    pub fn says_something(self) -> bool {
        self.flow != EventMask::NONE || self.expectations != EventMask::NONE
    }

    /// What is told of a flow that begins now, or `None` where nobody will hear of it; `said` is what a rule says. The same of such a rule that comes
    /// into force: where nobody would hear, its word is lost for good.
    pub(crate) fn begin(settings: &Settings, heard: bool, said: Option<Self>) -> Option<Self> {
        match settings.events {
            0 => said,
            2 if !heard => None,
            _ => Some(said.unwrap_or(Self::ALL)),
        }
    }
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
    labels: Labels,
    /// Its tracker's, by name.
    state: Option<&'static str>,
    /// What of it is told at all.
    mask: EventMask,
}

impl Told {
    /// Nothing yet of a flow that begins with this mark.
    pub(super) fn nothing(mask: EventMask, mark: u32) -> Box<Self> {
        Box::new(Self {
            seen_reply: false,
            assured: false,
            mark,
            labels: 0,
            state: None,
            mask,
        })
    }

    fn of(state: &FlowState, mask: EventMask) -> Self {
        Self {
            seen_reply: state.status.has(Status::SEEN_REPLY),
            assured: state.status.has(Status::ASSURED),
            mark: state.mark,
            labels: state.labels().unwrap_or_default(),
            state: state.protocol.state_name(),
            mask,
        }
    }

    /// What of the flow is told, where that is not all.
    pub(super) fn only(&self) -> Option<EventMask> {
        Some(self.mask).filter(|mask| *mask != EventMask::ALL)
    }

    /// What has happened since.
    fn since(&self, before: &Self) -> EventMask {
        EventMask::REPLY
            .if_so(self.seen_reply != before.seen_reply)
            .or(EventMask::ASSURED.if_so(self.assured != before.assured))
            .or(EventMask::MARK.if_so(self.mark != before.mark))
            .or(EventMask::LABEL.if_so(self.labels != before.labels))
            .or(EventMask::PROTOINFO.if_so(self.state != before.state))
    }
}

impl<T> Listeners<T> {
    /// Whether anybody listens.
    #[inline]
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
    /// A packet of the flow has got through.
    pub(super) fn passed(&self, now: Time, flow: &Flow, is_new: bool) {
        let mut state = flow.lock();
        let Some(mask) = state.told().map(|told| told.mask) else {
            return;
        };
        let told = Told::of(&state, mask);
        let Some(before) = &mut state.rare_mut().told else {
            return;
        };
        if **before == told && !is_new {
            return;
        }
        let mut happened = told.since(before);
        **before = told;
        if is_new {
            let came = match state.master() {
                Some(_) => EventMask::RELATED,
                None => EventMask::NEW,
            };
            let helped = EventMask::HELPER.if_so(state.helper().is_some());
            happened = happened.or(came).or(helped);
        }
        if !happened.has_any(mask) {
            return;
        }
        let mut copy = state.plain();
        drop(state);
        // Seen: labels are told where they have changed.
        if !happened.has_any(EventMask::LABEL) {
            forget_labels_and_policy(&mut copy);
        }
        let kind = if is_new { EventKind::New } else { EventKind::Update };
        self.publish(kind, flow, copy, Some(now));
    }

    /// A command has made the flow, or changed it.
    pub(super) fn commanded(&self, now: Time, flow: &Flow, kind: EventKind) {
        let mut state = flow.lock();
        let Some(mask) = state.told().map(|told| told.mask) else {
            return;
        };
        let told = Told::of(&state, mask);
        state.rare_mut().told = Some(Box::new(told));
        let happened = match kind {
            EventKind::New => EventMask::NEW,
            _ => EventMask::BY_COMMAND,
        };
        if !happened.has_any(mask) {
            return;
        }
        let copy = state.plain();
        drop(state);
        self.publish_as(kind, flow, &copy, Some(now), true);
    }

    /// The flow is about to go. `None` where nobody hears of it.
    pub(super) fn last_words(&self, state: &FlowState) -> Option<FlowState> {
        let told = state.told();
        let tells = self.heard()
            && told.is_some_and(|told| told.mask.has_any(EventMask::DESTROY))
            && state.status.has(Status::CONFIRMED);
        tells.then(|| {
            let mut last = state.plain();
            forget_labels_and_policy(&mut last);
            last
        })
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
            flow: flow.copied(state.plain()),
            at,
            by_command,
        });
    }
}

fn forget_labels_and_policy(state: &mut FlowState) {
    if let Some(rare) = &mut state.rare {
        rare.forget_labels_and_policy();
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
