//! What can be seen of a packet on its way. Observation is a type parameter: for `Silent` it compiles to nothing, and for any observer the
//! verdict is the same.

use crate::base::InterfaceName;
use crate::conntrack::Tracking;
use crate::packet::Packet;
use crate::rule::{Action, Hook, LogRecord, Policy, Rule, Table};

use super::hooks::Stage;
use super::reason::Reason;

/// Someone who watches.
pub trait Observer {
    /// False: the engine does not even make the events.
    const WATCHING: bool;
    fn see(&mut self, event: Event<'_>);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    const WATCHING: bool = false;

    fn see(&mut self, _event: Event<'_>) {}
}

/// One thing that happened. Borrowed: who wants to keep it makes his own of it.
#[allow(missing_debug_implementations)]
pub enum Event<'a> {
    /// A packet came in, was made by the router itself, or came round through `lo`.
    Arrived { interface: Option<InterfaceName>, packet: &'a Packet },
    /// The packets before it completed this one.
    Reassembled { packet: &'a Packet },
    Hook { hook: Hook, packet: &'a Packet },
    Stage { hook: Hook, stage: Stage },
    Rule { table: Table, chain: &'a str, number: u32, rule: &'a Rule, tried: Tried<'a> },
    Policy { table: Table, chain: &'a str, policy: Policy },
    /// A user chain came to its end, or RETURN was met.
    Returned { table: Table, from: &'a str, to: &'a str },
    Tracked { tracking: &'a Tracking, why: &'a dyn std::fmt::Display },
    /// What routing said, before the hook that follows.
    Routed { decision: &'a dyn std::fmt::Display },
    Translated { before: &'a Packet, after: &'a Packet },
    Logged(&'a LogRecord),
    /// It left by an interface.
    Sent { interface: InterfaceName, packet: &'a [u8] },
    /// It reached the router itself.
    Delivered { packet: &'a Packet },
    Dropped { reason: &'a Reason },
}

/// What became of one rule.
#[derive(Debug)]
pub enum Tried<'a> {
    Matched(&'a Action),
    /// The sentence of the first part that failed.
    Failed(String),
}
