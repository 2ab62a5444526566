//! What can be seen of a packet on its way. Observation is a type parameter: for `Silent` it compiles to nothing, and for any observer the
//! verdict is the same.

use crate::base::InterfaceName;
use crate::conntrack::{Tracked, Tracking};
use crate::net::{InputRoute, Net, OutputRoute};
use crate::packet::Packet;
use crate::rule::{Action, Hook, LogRecord, Policy, Rule, Table};

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
pub enum Event<'a> {
    /// A packet came in, was made by the router itself (no interface), or came round through `lo`.
    Arrived {
        interface: Option<InterfaceName>,
        packet: &'a Packet,
    },
    /// The packets before it completed this one.
    Reassembled {
        packet: &'a Packet,
    },
    Hook {
        hook: Hook,
        packet: &'a Packet,
    },
    /// A table is about to be walked.
    Table {
        hook: Hook,
        table: Table,
    },
    Rule {
        table: Table,
        chain: &'a str,
        number: u32,
        rule: &'a Rule,
        tried: Tried<'a>,
    },
    Policy {
        table: Table,
        chain: &'a str,
        policy: Policy,
    },
    /// A user chain came to its end, or RETURN was met.
    Returned {
        table: Table,
        from: &'a str,
        to: &'a str,
    },
    Tracked {
        tracking: &'a Tracking,
        made: &'a Tracked,
    },
    /// What routing said of a packet that came in.
    Routed {
        decision: &'a InputRoute,
        net: &'a Net,
    },
    /// What OUTPUT changed changed its way out.
    Rerouted {
        route: &'a OutputRoute,
        net: &'a Net,
    },
    Translated {
        hook: Hook,
        before: &'a Packet,
        after: &'a Packet,
    },
    Logged(&'a LogRecord),
    /// It left by an interface.
    Sent {
        interface: InterfaceName,
        packet: &'a [u8],
    },
    /// It reached the router itself.
    Delivered {
        packet: &'a Packet,
    },
    Stopped {
        reason: &'a Reason,
    },
}

/// What became of one rule.
pub enum Tried<'a> {
    Matched(&'a Action),
    /// The sentence of the first part that failed.
    Failed(String),
}
