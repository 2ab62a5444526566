//! Why a packet went no further.

use std::fmt;
use std::sync::Arc;

use super::walk::MOST_VISITS;
use crate::base::Family;
use crate::conntrack;
use crate::helper;
use crate::nat;
use crate::net;
use crate::rule::{Rejection, Table};

/// A rule or a policy by its place. The chain's name is shared with the ruleset, so that a drop allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of which family's rules.
    pub family: Family,
    /// The table that was walked.
    pub table: Table,
    /// The chain in which the walk was, built-in or of the user's.
    pub chain: Arc<str>,
    /// From 1, as the tools number rules; a policy's is that of a rule behind the last.
    pub number: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} of ", self.number)?;
        self.write_chain(f)
    }
}

impl Place {
    fn write_chain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} {}", self.family.whose(), self.table.name(), self.chain)
    }
}

/// What stopped a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A rule with DROP, or a target that drops.
    Rule(Place),
    /// A rule rejected it, and its sender is told so where nothing forbids that.
    Rejected {
        /// The rule.
        place: Place,
        /// The answer that was asked for, whether or not one was sent.
        with: Rejection,
    },
    /// The policy of a built-in chain, which RETURN leads to as well.
    Policy(Place),
    /// A match found the packet's transport header cut short.
    Malformed(Place),
    /// A match drops it, whatever its rule says.
    DroppedByMatch(Place),
    /// It came to more rules than it may in one walk ([`MOST_VISITS`](super::walk::MOST_VISITS)); the place is the jump that was not taken any more.
    WalkTooLong(Place),
    /// `-j QUEUE`, or NFQUEUE, with nobody listening.
    Queued(Place),
    /// It waits for who listens at a queue, and may go on.
    Held {
        /// The rule that queued it.
        place: Place,
        /// Its number.
        queue: u16,
    },
    /// Who listens at the queue did not ask for `fail_open`, and as many packets wait as may.
    QueueFull {
        /// The rule that queued it.
        place: Place,
        /// Its number.
        queue: u16,
    },
    /// Who listens at this queue dropped it.
    DroppedByListener(u16),
    /// Who listens at this queue made something else of it.
    NoPacketAnyMore(u16),
    /// A check of the host, or the routing decision.
    Host(net::DropReason),
    /// The host's own packet has nowhere to go.
    NoWay(net::RouteError),
    /// A program's packet is larger than the way out takes (EMSGSIZE).
    MessageTooLong,
    /// Connection tracking dropped it: the table of flows is full, or its flow cannot enter it.
    Tracking(conntrack::DropReason),
    /// NAT could not rewrite it, or lets no redirect of its flow through.
    Nat(nat::DropReason),
    /// A helper could neither read nor rewrite it, or what it announces was refused.
    Helper(helper::DropReason),
    /// The flow's address is that of another interface than the one it leaves by now.
    MasqueradeMoved,
    /// A packet of the router's own went round through `lo` too often.
    TooManyLoops,
    /// It is a fragment, and the others are not there yet; nothing is lost so far.
    HeldFragment,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(place) => write!(f, "dropped by {place}"),
            Self::Rejected { place, with } => {
                let with = match with {
                    Rejection::TcpReset => "a TCP reset",
                    Rejection::Unreachable(_) => with.word(place.family),
                };
                write!(f, "rejected by {place} with {with}")
            }
            Self::Policy(place) => {
                f.write_str("dropped by the policy of ")?;
                place.write_chain(f)
            }
            Self::Malformed(place) => write!(f, "dropped at {place}: its transport header is cut short"),
            Self::DroppedByMatch(place) => write!(f, "dropped at {place}: a match there drops it"),
            Self::WalkTooLong(place) => write!(
                f,
                "dropped at {place}: its way through the table is too long, after more than {MOST_VISITS} rules it goes into no further chain"
            ),
            Self::Queued(place) => write!(f, "queued by {place}, and nobody listens"),
            Self::Held { place, queue } => write!(f, "held at queue {queue} by {place}"),
            Self::QueueFull { place, queue } => write!(f, "dropped at {place}: queue {queue} is full"),
            Self::DroppedByListener(queue) => write!(f, "dropped by who listens at queue {queue}"),
            Self::NoPacketAnyMore(queue) => {
                write!(f, "dropped: what who listens at queue {queue} made of it is no packet of its family")
            }
            Self::Host(reason) => write!(f, "{reason}"),
            Self::NoWay(reason) => write!(f, "{reason}"),
            Self::MessageTooLong => f.write_str("Message too long: it exceeds the MTU of the way out"),
            Self::Tracking(reason) => write!(f, "{reason}"),
            Self::Nat(reason) => write!(f, "{reason}"),
            Self::Helper(reason) => write!(f, "{reason}"),
            Self::MasqueradeMoved => {
                f.write_str("MASQUERADE took its flow's address from another interface than it leaves by now, so the flow is given up")
            },
            Self::TooManyLoops => f.write_str("it went round through lo too often"),
            Self::HeldFragment => f.write_str("held until its other fragments come"),
        }
    }
}
