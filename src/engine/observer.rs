//! What can be seen of a packet on its way. Observation is a type parameter: for `Silent` it compiles to nothing, and for any observer the
//! verdict is the same.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::base::InterfaceName;
use crate::conntrack::{Clash, Flow, Tracked, Tracking};
use crate::helper::Heard;
use crate::nat::Manip;
use crate::net::{InputRoute, Net, OutputKey, OutputRoute, PathMtu, Suppressed};
use crate::packet::Packet;
use crate::rule::{Action, Context, CountId, Hook, LogRecord, Miss, Policy, Rule, Table};

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
    /// True: of a packet whose like has gone before [`Event::WentShort`] is enough, in the place of all that stands between its coming and what became of
    /// it, and [`Event::Tracked`] where tracking made something else of it.
    const SHORTLY: bool = !Self::WATCHING;
    /// Called as it happens, in the thread that called the router; never where [`Self::WATCHING`] is false.
    fn see(&mut self, event: Event<'_>);

    /// The packet at hand waits at a queue from now on: what shall be known of it once it goes on. That is kept with the packet, and gone with it.
    fn hold(&mut self) -> Option<Remembered> {
        None
    }

    /// A packet goes on that waited, and this is what [`Self::hold`] gave of it. False: how it came to the queue is not known here, so it is shown
    /// as it waited, by [`Event::Arrived`].
    fn take_up(&mut self, _before: Option<Remembered>) -> bool {
        false
    }
}

/// What an observer keeps with a packet that waits.
pub type Remembered = Box<dyn Any + Send>;

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
        /// Where it came in; `None` for what the router sends itself.
        interface: Option<InterfaceName>,
        /// From the IP header on. What a program sends is shown with what the router filled in: source, identification, lengths, checksum.
        bytes: &'a [u8],
        /// What is in force for all of its way.
        config: &'a Arc<Config>,
    },
    /// The packets before it completed this one.
    Reassembled {
        /// All of it, with one header.
        packet: &'a Packet,
    },
    /// A hook begins; once more in the same hook for a packet that was held in it and goes on.
    Hook {
        /// One of the five.
        hook: Hook,
        /// As it comes to the hook, or goes on in it.
        packet: &'a Packet,
        /// As [`Event::Arrived`] had it.
        config: &'a Arc<Config>,
    },
    /// A table is about to be walked.
    Table {
        /// The hook at which it is walked.
        hook: Hook,
        /// Who keeps it has its rules as they were, whatever replaces it.
        table: &'a Arc<LiveTable>,
        /// The packet as the table's first rule will see it.
        cx: Context<'a>,
    },
    /// The packet came to a rule. Not told where [`Observer::IN_DETAIL`] is false and the rule failed.
    Rule {
        /// The rule's table.
        table: Table,
        /// The rule's chain.
        chain: &'a str,
        /// From 1, as the tools number rules.
        number: u32,
        /// As it was typed.
        rule: &'a Rule,
        /// Its place in the table that was announced last: `LiveTable::rule` has it there.
        step: u32,
        /// Whether it matched, and what it failed on if not.
        tried: Tried<'a>,
    },
    /// The target of the rule before let the packet go on; it may have changed it.
    Continued {
        /// As the target found them.
        before: Marks,
        /// As the target left them.
        after: Marks,
        /// What the target says of what it did.
        told: Option<String>,
    },
    /// The packet came to the end of a built-in chain, or RETURN led there, and the policy decides.
    Policy {
        /// The chain's table.
        table: Table,
        /// A built-in chain.
        chain: &'a str,
        /// What was decided.
        policy: Policy,
        /// The policy's place in the table that was announced last.
        step: u32,
    },
    /// A user chain came to its end, or RETURN was met.
    Returned {
        /// The chains' table.
        table: Table,
        /// The chain that was left.
        from: &'a str,
        /// Where it goes on: behind the jump, or at the policy of the built-in chain.
        to: &'a str,
        /// Where it goes on.
        step: u32,
    },
    /// Tracking has seen the packet. Nothing is told where nothing is tracked.
    Tracked {
        /// The packet's flow, state and direction by now.
        tracking: &'a Tracking,
        /// Why it has that state, or why it is dropped.
        made: &'a Tracked,
    },
    /// What routing said of a packet that came in.
    Routed {
        /// Local, forwarded, refused or dropped.
        decision: &'a InputRoute,
        /// The routes and addresses that were asked.
        net: &'a Net,
        /// As PREROUTING left it.
        packet: &'a Packet,
    },
    /// The way out of a packet of the router's own.
    RoutedOut {
        /// Interface, next hop and MTU.
        route: &'a OutputRoute,
        /// What was asked for: destination, source, mark, TOS.
        key: OutputKey,
        /// The routes and addresses that were asked.
        net: &'a Net,
        /// OUTPUT changed what its way out depends on.
        again: bool,
    },
    /// The nat table was not asked about a packet.
    NatNotAsked {
        /// The nat hook that was passed over.
        hook: Hook,
        /// The side that this hook would have decided.
        manip: Manip,
        /// What made it needless.
        why: NatNotAsked,
    },
    /// NAT rewrote the packet. Nothing is told where it changed no byte.
    Translated {
        /// The nat hook at which it happened.
        hook: Hook,
        /// The side that this hook decides.
        manip: Manip,
        /// With the addresses it came to the hook with.
        before: &'a Packet,
        /// With those it goes on with, and its checksums put right.
        after: &'a Packet,
    },
    /// A helper had the packet in its hands.
    Helped {
        /// What the helper read, and what it expects now.
        heard: &'a Heard,
        /// As the helper found it.
        before: &'a Packet,
        /// As the helper left it: longer, shorter or the same.
        after: &'a Packet,
    },
    /// Another packet had made the same flow meanwhile, and this one gets out all the same.
    Clashed {
        /// Which flow it belongs to.
        how: Clash,
    },
    /// It went the way of those before it that are alike, and was counted where they were; told only to who wants no more ([`Observer::SHORTLY`]).
    WentShort {
        /// The flow that it is of, which is known and not new.
        flow: &'a Flow,
        /// What had the last word in the filter table; `None` where that does not exist.
        filter: Option<LastWord>,
    },
    /// A rule wrote a line to the kernel's log, which is told once the walk is over, or where it pauses for a copy of the packet; or tracking did,
    /// about a packet that is INVALID.
    Logged(&'a LogRecord),
    /// It left by an interface.
    Sent {
        /// Never `lo`: what leaves by that comes round, which is [`Event::Arrived`].
        interface: InterfaceName,
        /// From the IP header on, with its checksums summed; one piece, where it was cut.
        packet: &'a [u8],
    },
    /// It reached the router itself.
    Delivered {
        /// As INPUT left it.
        packet: &'a Packet,
    },
    /// What reached the router says that a way takes less than was known, or leads by another gateway, and the router heeds it.
    PathHeard {
        /// What is known of the way now.
        path: &'a PathMtu,
    },
    /// A packet of the router's own, caused by another, has left or gone; what follows is of the other again.
    OwnDone,
    /// What follows is of a copy of the packet, which the router makes of its own broadcast for itself.
    Copied {
        /// As it was copied, before POSTROUTING.
        packet: &'a Packet,
    },
    /// What follows is of the packet again that the copy was made of.
    CopyDone,
    /// It was held at a queue, and goes on by what was decided there: in this hook, or nowhere.
    Resumed {
        /// The queue that held it.
        queue: u16,
        /// Where it was held.
        hook: Hook,
        /// With the mark and the bytes that were given with it.
        verdict: &'a QueueVerdict,
    },
    /// The rule before would queue the packet, and it goes on behind its table all the same.
    NotQueued {
        /// The queue that it would have come to.
        queue: u16,
        /// What lets it go on.
        why: NotQueued,
    },
    /// A rule would copy the packet, and no copy is made.
    NotCopied {
        /// The reason, to be printed as it is.
        why: &'a dyn fmt::Display,
    },
    /// The router sends nothing where an answer, an ICMP message or a reset was due, or drops what was delivered to it.
    Unanswered {
        /// What keeps it back: a limit, the packet it would be about, no way to its sender; or why the host drops what it got.
        why: Suppressed,
    },
    /// The packet goes no further, or waits for its other fragments or at a queue. What is sent because of it (a reset, an ICMP error) is told after
    /// this.
    Stopped {
        /// Why, with the rule where one decided.
        reason: &'a Reason,
    },
    /// What became of the packet that this all was about; the last event.
    Reported(&'a Report),
}

/// What had the last word in a table that let a packet go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWord {
    /// The last rule that matched.
    Rule(CountId),
    /// The policy of this hook's chain.
    Policy(Hook),
}

/// What became of one rule.
#[derive(Clone)]
pub enum Tried<'a> {
    /// It matched, and was counted. What its target then does is told next.
    Matched {
        /// What it does.
        action: &'a Action,
        /// What its matches say of what they have counted. `None` where they do not, or where [`Observer::IN_DETAIL`] is false.
        told: Option<String>,
    },
    /// It did not match, or a match dropped the packet. Told only where [`Observer::IN_DETAIL`] is true.
    Failed(Failed<'a>),
}

/// The first part of a rule that a packet failed, and what it looked at: enough to make the sentence now or, with a copy, later.
#[derive(Clone, Copy)]
pub struct Failed<'a> {
    /// What was asked before this was met.
    pub part: Part,
    /// With the state of the match that failed.
    pub cx: Context<'a>,
}

/// What targets write on a packet and on its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The mark that `-m mark` asks for (nfmark).
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
    /// Of addresses, interfaces, protocol and `-f`, the one that the packet failed.
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

/// Why a packet goes on that a rule would queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotQueued {
    /// Nobody listens at the queue, and the rule has `--queue-bypass`.
    Nobody,
    /// As many packets wait there as may, and who listens asked for `fail-open`.
    Full,
}

impl fmt::Display for NotQueued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "nobody listens there, and --queue-bypass lets it go on behind the table",
            Self::Full => "it is full, and fail-open lets it go on behind the table",
        })
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
