//! The hook table, the walk, counters, atomic replacement, observation; `Router`.

pub mod compile;
pub mod hooks;
pub mod live;
pub mod observer;
pub mod reason;
pub mod walk;
