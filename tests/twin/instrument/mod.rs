//! The kernel twin: a scenario happens to nflab and to the real kernel, and whatever can be seen of either must be the same.
//!
//! Shared by the test (`tests/twin`) and by the soak (`examples/twin-soak.rs`).

pub mod build;
pub mod compare;
pub mod freedom;
pub mod generate;
pub mod kernel;
pub mod ours;
pub mod place;
pub mod record;
pub mod scenario;
pub mod sentence;
pub mod side;
pub mod strategy;
pub mod tally;
