//! Expectations: flows that a helper has announced.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Direction, Flow, Tuple};
use crate::base::Time;

/// What a helper waits for. The first packet that fits opens a RELATED flow.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Grows with each expectation: the order in which they are listed.
    pub serial: u64,
    pub tuple: Tuple,
    pub mask: ExpectationMask,
    pub master: Arc<Flow>,
    pub class: u32,
    /// Stays after a flow came of it.
    pub permanent: bool,
    pub inactive: bool,
    pub deadline: Time,
    /// The helper that made it, for the listings.
    pub made_by: &'static str,
    /// The helper to attach to the flow that comes.
    pub helper: Option<&'static str>,
    pub nat: Option<ExpectationNat>,
}

/// Which bits of the source count; the destination always counts whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectationMask {
    pub address: IpAddr,
    pub id: u16,
}

/// How the expected flow's addresses follow its master's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectationNat {
    /// The direction of the master in which the announced flow runs.
    pub direction: Direction,
    pub saved_address: IpAddr,
    pub saved_port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectationRefused {
    /// `nf_conntrack_expect_max`.
    Full,
    /// Another expectation has the same destination, and overlaps without being the same.
    Clash,
    /// The master has no helper.
    Inactive,
}
