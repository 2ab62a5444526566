//! The language of `nflab run` and of the REPL: a command a line. Tools speak their own syntax; the rest are the lab's own words.
//!
//! A script is read whole before anything of it is done, so that a slip in its last line doesn't show after an hour.

mod expect;
mod hints;
#[doc(hidden)]
pub mod lex;
mod output;
mod parse;
mod run;
pub(crate) mod trace;

pub use super::conversation::{Addresses, Host, Hosts};
#[doc(hidden)]
pub use expect::Expectation;
pub(crate) use expect::{FATES, SUBJECTS, fate, state};
pub use lex::Input;
pub(crate) use lex::Line;
#[doc(hidden)]
pub use output::Output;
pub(crate) use parse::{asked_family, parse_line};
pub use parse::{parse, parse_in, parse_text};
pub(crate) use run::{EXPECT_HELP, SEND_HELP, Talk};
pub use run::{Failed, Runner, Said};

use std::net::IpAddr;
use std::time::Duration;

use super::conversation::Conversation;
use super::machine::{Profile, Toolbox};
use super::send::Draft;
use crate::base::InterfaceName;
use crate::engine::{QueueSettings, VerdictKind};
use crate::explain::story::Detail;
use crate::net::Prefix;
use crate::packet::Sender;
use crate::syntax::problem::Position;
use trace::{Form, Trace};

/// One command, ready to be done.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Of the whole command in its text.
    pub position: Position,
    /// What is to be done. Hidden: the twin asks it; [`Runner::run`] does it.
    #[doc(hidden)]
    pub kind: Kind,
}

impl Statement {
    /// The file of whoever runs it that it writes to; of several the last one.
    pub(crate) fn writes_to(&self, toolbox: Toolbox) -> Option<String> {
        self.kind.writes_to(toolbox)
    }
}

impl Kind {
    fn writes_to(&self, toolbox: Toolbox) -> Option<String> {
        match self {
            Self::Tool(call) | Self::ExpectFail(call) => {
                let own = (toolbox.needs)(call.name, &call.args).outputs.pop();
                let file = call.output.file.as_ref().map(|file| file.name.clone());
                file.or(own.map(|own| own.name))
            }
            Self::ExpectRefused(kind) => kind.writes_to(toolbox),
            Self::Trace(trace) => match &trace.form {
                Form::Svg(file) => Some(file.clone()),
                _ => None,
            },
            _ => None,
        }
        .filter(|file| !["/dev/null", "-"].contains(&file.as_str()))
    }
}

/// All that a line may ask for.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub enum Kind {
    /// A tool's own line: it fails where the tool exits with another status than 0.
    Tool(ToolCall),
    /// `interface lan 10.0.0.1/24`: adds one, or addresses to one that is there.
    Interface {
        /// Never `local`.
        name: InterfaceName,
        /// Each with the length of its prefix.
        addresses: Vec<(IpAddr, u8)>,
    },
    /// `route`, `route add`, `route del`.
    Route(RouteWord),
    /// `listen tcp 80`: something on the router takes what comes there.
    Listen {
        /// TCP or UDP, by its number.
        protocol: u8,
        /// The port on every address of the router's.
        port: u16,
    },
    /// `send lan tcp ...`: one packet.
    Send {
        /// `None`: `local`, the router itself.
        interface: Option<InterfaceName>,
        /// The packet; numbers of its conversation are filled in when it is sent.
        draft: Draft,
        /// How much is told of it; `None`: as much as the runner tells of any.
        detail: Option<Detail>,
    },
    /// Somebody listens at a queue, and decides.
    Queue(QueueWord),
    /// Whose the packets are that `local` sends from now on.
    Sender(Sender),
    /// Moves the clock, and lets time do its work.
    Advance(Duration),
    /// Sets every knob of tracking, and the helpers that are loaded.
    Profile {
        /// Whose they become.
        profile: Profile,
        /// With the tcp-window-tracking patch, where that is a choice.
        window_tracking: bool,
    },
    /// Fails unless it is so.
    Expect(Expectation),
    /// A command that has to fail.
    ExpectFail(ToolCall),
    /// A host got its name; whoever reads the lines after it knows.
    Host,
    /// A handshake, a datagram with its answer, an FTP session: packets that go on from what came of those before.
    Converse(Conversation),
    /// A conversation that must not come through.
    ExpectFailed(Conversation),
    /// One of the lab's own words that has to fail: `queue 0 accept` where nothing waits.
    ExpectRefused(Box<Kind>),
    /// The last packet again, or another one, rule by rule.
    Trace(Trace),
    /// What the lab is made of.
    Lab,
    /// Of this word, or of all.
    Help(Option<String>),
    /// A lesson, or the list of them: whoever reads lines from a learner opens it.
    Learn(Option<Asked>),
}

/// Which lesson, and which step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct Asked {
    /// By its name, number or path.
    pub lesson: String,
    /// From 1; its first where none is said.
    pub step: Option<usize>,
}

/// A tool with its arguments.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct ToolCall {
    /// The name of the toolbox, whatever path stood before it.
    pub name: &'static str,
    /// Without the name.
    pub args: Vec<String>,
    /// What it reads on standard input.
    pub input: Input,
    /// Where what it prints goes.
    pub output: Output,
}

/// What is done with routes.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub enum RouteWord {
    /// Adds one, as `ip route add` does.
    Add {
        /// `default` is that of all addresses.
        to: Prefix,
        /// The next router.
        via: Option<IpAddr>,
        /// Where it leaves; may be left out where `via` tells.
        interface: Option<InterfaceName>,
    },
    /// Takes out the one to exactly this prefix.
    Remove(Prefix),
    /// Shows all.
    Show,
}

/// What is done with a queue.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub enum QueueWord {
    /// This one, or all at which somebody listens.
    Show(Option<u16>),
    /// From now on somebody listens there.
    Open {
        /// The queue's number.
        number: u16,
        /// How many packets may wait, and what becomes of others.
        settings: QueueSettings,
    },
    /// Nobody listens there any more, and what waits is dropped.
    Close(u16),
    /// Of the packet that waits longest.
    Decide {
        /// The queue's number.
        number: u16,
        /// Whether it goes on, and from where.
        kind: VerdictKind,
        /// What its mark becomes.
        mark: Option<u32>,
        /// What it becomes.
        packet: Option<Draft>,
    },
}

/// The lab's own words, beside conversations, that may be refused as they are done: what `expect fail` takes.
pub(crate) const CAN_FAIL: &[&str] = &["send", "queue", "route", "interface"];

/// A word of the lab's own.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Own {
    /// The line's first word.
    pub name: &'static str,
    /// How the line is written: capitals stand for what is to be put in, `[]` may be left out, `|` is a choice.
    pub syntax: &'static str,
    /// What it does, in a phrase.
    pub about: &'static str,
}

/// All of them; the parser, the help and the completion go by this list.
#[doc(hidden)]
pub const OWN_WORDS: &[Own] = &[
    Own {
        name: "send",
        syntax: "send [-v] [-4|-6] INTERFACE|local PACKET",
        about: "a packet comes in by an interface, or the router sends it; says what became of it",
    },
    Own {
        name: "host",
        syntax: "host NAME ADDRESS [ADDRESS] [INTERFACE|local]",
        about: "a name for a host, which may have an address of each family; conversations, `send` and `expect` may call it so (-4 or -6 says by which)",
    },
    Own {
        name: "handshake",
        syntax: "handshake [-4|-6] HOST[:PORT] > HOST:PORT",
        about: "a TCP connection is opened: SYN, SYN+ACK, ACK, each as it arrives behind NAT",
    },
    Own {
        name: "data",
        syntax: "data [-4|-6] HOST[:PORT] > HOST[:PORT] BYTES",
        about: "one end of an open connection (the youngest, whichever family) sends, the other acknowledges; BYTES is \"TEXT\", 0xHEX or how many",
    },
    Own {
        name: "close",
        syntax: "close [-4|-6] HOST[:PORT] > HOST[:PORT]",
        about: "both ends close a connection, the first one named begins",
    },
    Own {
        name: "reset",
        syntax: "reset [-4|-6] HOST[:PORT] > HOST[:PORT]",
        about: "the first end named resets a connection",
    },
    Own {
        name: "udp",
        syntax: "udp [-4|-6] HOST[:PORT] > HOST:PORT [data BYTES] [answer BYTES|unanswered]",
        about: "a datagram and its answer",
    },
    Own {
        name: "ping",
        syntax: "ping [-4|-6] HOST > HOST [count N]",
        about: "echo request and reply",
    },
    Own {
        name: "ftp",
        syntax: "ftp [-4|-6] active|passive HOST > HOST retr|stor FILE [size N]",
        about: "a whole FTP session, control and data connection",
    },
    Own {
        name: "expect",
        syntax: "expect [no] WHAT...",
        about: "fails unless it is so: accept, drop, reject, state, out, by, rule, policy, flow, flows, expectation, log, output, fail COMMAND",
    },
    Own {
        name: "advance",
        syntax: "advance DURATION",
        about: "moves the clock: 30s, 5m, 1h30m, 250ms",
    },
    Own {
        name: "trace",
        syntax: "trace [-4|-6] [--short] [--json] [--svg FILE] [--why RULE] [N | INTERFACE PACKET]",
        about: "the last packet again (or number N, or this one), with every rule that was tried and why it did not match",
    },
    Own {
        name: "why",
        syntax: "why [[-4|-6] RULE]",
        about: "the last packet again, only what decided; or why one rule did or did not, of its family's: FORWARD 3, nat:PREROUTING 1, its comment",
    },
    Own {
        name: "interface",
        syntax: "interface NAME ADDRESS/LENGTH...",
        about: "adds an interface, or addresses to one",
    },
    Own {
        name: "route",
        syntax: "route [add|del] PREFIX [via ADDRESS] [dev INTERFACE]",
        about: "adds or removes a route (`default` is IPv4's unless the gateway is of IPv6, `::/0` is IPv6's); alone, shows all",
    },
    Own {
        name: "listen",
        syntax: "listen tcp|udp PORT",
        about: "something on the router takes what comes to this port, in both families",
    },
    Own {
        name: "queue",
        syntax: "queue [N [open [maximum M] [fail-open]|close|accept|drop|repeat [mark M] [as PACKET]]]",
        about: "somebody listens at a queue of NFQUEUE, and decides of the packet that waits longest; alone, shows what waits",
    },
    Own {
        name: "sender",
        syntax: "sender USER:GROUP[,GROUP...]|unsaid",
        about: "whose the packets are that `send local` sends from now on: user, group and further groups of the program, in numbers",
    },
    Own {
        name: "profile",
        syntax: "profile linux6|classic [window_tracking]",
        about: "today's kernel, or one of the ip_conntrack days: its names, timeouts, helpers by port; without the patch it tracks no windows",
    },
    Own {
        name: "lab",
        syntax: "lab",
        about: "interfaces, addresses, routes, time and profile",
    },
    Own {
        name: "learn",
        syntax: "learn [LESSON [STEP]]",
        about: "a lesson to step through, in a lab of its own, or one from a step on; alone, lists all",
    },
    Own {
        name: "help",
        syntax: "help [WORD]",
        about: "this list, or one of its words at length",
    },
];

#[cfg(test)]
mod tests;
