//! The hook table, the walk, counters, atomic replacement, observation; `Router`.
//!
//! A packet enters by [`Router::receive`](crate::engine::Router::receive) or [`Router::send`](crate::engine::Router::send) on a [`Worker`](crate::engine::Worker); what leaves because of it is in [`Worker::output`](crate::engine::Worker::output).

mod bound;
mod coming;
mod compile;
mod counting;
mod following;
mod foreseen;
mod guide;
mod hooks;
mod live;
mod masquerade;
mod observer;
mod outcome;
mod pass;
mod paths;
mod queue;
mod rate_limit;
mod reason;
mod reject;
mod router;
mod services;
mod shared;
mod short_way;
mod stage;
mod version;
mod walk;
mod worker;

#[cfg(test)]
mod example;
#[cfg(test)]
mod sets;

pub(crate) use hooks::{HOOKS, Stage};
pub use live::LiveTable;
pub use observer::{Event, Failed, LastWord, Marks, NatNotAsked, NotQueued, Observer, Part, Remembered, Silent, Tried};
pub use queue::{HeldPacket, OpenQueue, QueueSettings, QueueTaken, QueueVerdict, VerdictKind, WakeListener};
pub use reason::{Place, Reason};
pub use router::{Config, PolicyRefused, Router, Seen};
pub use walk::MOST_VISITS;
pub use worker::{Arrival, Emission, Fate, Port, Report, Worker};
