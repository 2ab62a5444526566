//! What can be seen of a packet on its way. Observation is a type parameter: for `Silent` it compiles to nothing, and for any observer the
//! verdict is the same.

use std::sync::Arc;

use crate::base::InterfaceName;
use crate::conntrack::{Tracked, Tracking};
use crate::helper::Heard;
use crate::nat::Manip;
use crate::net::{InputRoute, Net, OutputKey, OutputRoute, Suppressed};
use crate::packet::Packet;
use crate::rule::{Action, Context, Hook, LogRecord, Miss, Policy, Rule, Table};

use super::live::LiveTable;
use super::queue::QueueVerdict;
use super::reason::Reason;
use super::router::Config;
use super::worker::Report;

/// Someone who watches.
pub trait Observer {
    /// False: the engine does not even make the events.
    const WATCHING: bool;
    /// False: what costs something to make is left out: rules that failed with their sentences, and [`Event::Translated`]. For who only counts
    /// what decided.
    const IN_DETAIL: bool = Self::WATCHING;
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
    /// A packet came in, was made by the router itself (no interface), or came round through `lo`. Nothing of it has been checked yet.
    Arrived {
        /// As [`Worker::number`](super::Worker::number) has it.
        number: u64,
        interface: Option<InterfaceName>,
        bytes: &'a [u8],
        config: &'a Arc<Config>,
    },
    /// The packets before it completed this one.
    Reassembled {
        packet: &'a Packet,
    },
    Hook {
        hook: Hook,
        packet: &'a Packet,
        config: &'a Arc<Config>,
    },
    /// A table is about to be walked.
    Table {
        hook: Hook,
        table: &'a Arc<LiveTable>,
        /// The packet as the table's first rule will see it.
        cx: Context<'a>,
    },
    Rule {
        table: Table,
        chain: &'a str,
        number: u32,
        rule: &'a Rule,
        /// Its place in the table that was announced last: `LiveTable::rule` has it there.
        step: u32,
        tried: Tried<'a>,
    },
    /// The target of the rule before let the packet go on; it may have changed it.
    Continued {
        before: Marks,
        after: Marks,
        /// What the target says of what it did.
        told: Option<String>,
    },
    Policy {
        table: Table,
        chain: &'a str,
        policy: Policy,
        step: u32,
    },
    /// A user chain came to its end, or RETURN was met.
    Returned {
        table: Table,
        from: &'a str,
        to: &'a str,
        /// Where it goes on.
        step: u32,
    },
    Tracked {
        tracking: &'a Tracking,
        made: &'a Tracked,
    },
    /// What routing said of a packet that came in.
    Routed {
        decision: &'a InputRoute,
        net: &'a Net,
        packet: &'a Packet,
    },
    /// The way out of a packet of the router's own.
    RoutedOut {
        route: &'a OutputRoute,
        key: OutputKey,
        net: &'a Net,
        /// OUTPUT changed what its way out depends on.
        again: bool,
    },
    /// The nat table was not asked about a packet.
    NatNotAsked {
        hook: Hook,
        manip: Manip,
        why: NatNotAsked,
    },
    Translated {
        hook: Hook,
        manip: Manip,
        before: &'a Packet,
        after: &'a Packet,
    },
    /// A helper had the packet in its hands.
    Helped {
        heard: &'a Heard,
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
    /// A packet of the router's own, caused by another, has left or gone; what follows is of the other again.
    OwnDone,
    /// What follows is of a copy of the packet, which the router makes of its own broadcast for itself.
    Copied {
        packet: &'a Packet,
    },
    /// What follows is of the packet again that the copy was made of.
    CopyDone,
    /// It was held at a queue, and goes on by what was decided there: in this hook, or nowhere.
    Resumed {
        queue: u16,
        hook: Hook,
        verdict: &'a QueueVerdict,
    },
    /// A rule would copy the packet, and no copy is made.
    NotCopied {
        why: &'a dyn std::fmt::Display,
    },
    /// An ICMP message that was due is not sent.
    Unanswered {
        why: Suppressed,
    },
    Stopped {
        reason: &'a Reason,
    },
    /// What became of the packet that this all was about; the last event.
    Reported(&'a Report),
}

/// What became of one rule.
#[derive(Clone, Copy)]
pub enum Tried<'a> {
    Matched(&'a Action),
    Failed(Failed<'a>),
}

/// The first part of a rule that a packet failed, and what it looked at: enough to make the sentence now or, with a copy, later.
#[derive(Clone, Copy)]
pub struct Failed<'a> {
    pub part: Part,
    /// With the state of the match that failed.
    pub cx: Context<'a>,
}

/// What targets write on a packet and on its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    pub packet: u32,
    /// 0 where it has none.
    pub flow: u32,
}

impl Marks {
    pub(super) fn of(packet: &Packet, tracking: &Tracking) -> Self {
        Self {
            packet: packet.mark,
            flow: tracking.flow.as_ref().map_or(0, |flow| flow.lock().mark),
        }
    }
}

/// A part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Selector(Miss),
    /// The match at this position.
    Match(u16),
}

impl Failed<'_> {
    /// Appends the sentence that says why.
    pub fn why(&self, rule: &Rule, out: &mut String) {
        match self.part {
            Part::Selector(miss) => {
                rule.selector
                    .explain(out, miss, self.cx.packet, &self.cx.input, &self.cx.output);
            }
            Part::Match(at) => {
                if let Some(test) = rule.matches.get(usize::from(at)) {
                    out.push_str(&test.explain(&self.cx));
                }
            }
        }
    }
}

/// Why the nat table has no say about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatNotAsked {
    /// Untracked or INVALID: there is nothing that a mapping could be kept in.
    NoFlow,
    /// An earlier packet, or an expectation, decided for the whole flow.
    Decided,
    /// An ICMP error follows the flow that it is about.
    AboutAnother,
}
