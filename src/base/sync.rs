//! What workers share: locks, numbers, and what is published whole.
//!
//! They are parking_lot's, the standard library's and arc-swap's. In this crate's own tests each use of one is besides a point at which a
//! scheduler may let another thread go on (`explore`), so that what happens between any two of them can be tried out; outside of such a test
//! they are what they are everywhere.

#[cfg(not(test))]
pub(crate) use arc_swap::ArcSwap;
#[cfg(not(test))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(test))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize};

#[cfg(test)]
pub(crate) use watched::{ArcSwap, AtomicU64, AtomicUsize, Mutex, MutexGuard};

pub(crate) use std::sync::atomic::Ordering;

#[cfg(test)]
pub(crate) mod explore;
#[cfg(test)]
mod watched;
