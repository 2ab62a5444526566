//! The kernel twin: a scenario happens to nflab and to the real kernel, and whatever can be seen of either must be the same.
//!
//! Shared by the test (`tests/twin`) and by the soak (`examples/twin-soak.rs`).

pub(crate) mod build;
pub(crate) mod compare;
pub(crate) mod freedom;
pub(crate) mod generate;
pub(crate) mod groups;
pub(crate) mod kernel;
pub(crate) mod layout;
pub(crate) mod offload;
pub(crate) mod ours;
pub(crate) mod place;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod scenario;
pub(crate) mod sentence;
pub(crate) mod side;
pub(crate) mod sockets;
pub(crate) mod strategy;
pub(crate) mod tally;
pub(crate) mod transitions;
