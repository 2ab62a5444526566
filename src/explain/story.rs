//! What became of a packet, as people read it: hook by hook, table by table, rule by rule with its reason.
//!
//! The story is an observer: it keeps what the engine shows it, and is written out when someone asks, short or whole.

use std::fmt::Write;

use super::describe;
use crate::base::InterfaceName;
use crate::conntrack::{self, CtState, Direction, Tracked, Tracking};
use crate::engine::{Event, Observer, Reason, Tried};
use crate::net::InputRoute;
use crate::packet::Packet;
use crate::rule::{Action, Hook, Policy, Rule, Table};

/// Everything that was seen of one packet and of what it caused.
#[derive(Clone, Debug, Default)]
pub struct Story {
    steps: Vec<Step>,
    /// Chains that were jumped from, in the table being walked.
    chains: Vec<String>,
    /// True from the coming of a packet of the router's own to its OUTPUT: any other OUTPUT begins an answer or a complaint.
    own_awaited: bool,
}

/// How much to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A line for each table that decided something: the rule that did.
    Short,
    /// Every rule, and why not.
    Whole,
}

#[derive(Clone, Debug)]
enum Step {
    Arrived {
        interface: Option<InterfaceName>,
        packet: String,
    },
    Reassembled {
        packet: String,
    },
    /// The router answers or complains: a packet of its own begins here.
    Own {
        packet: String,
    },
    Hook(Hook),
    Table(Table),
    Rule {
        chain: String,
        number: u32,
        rule: String,
        depth: usize,
        outcome: Outcome,
    },
    Policy {
        chain: String,
        policy: Policy,
    },
    Returned {
        to: String,
        depth: usize,
    },
    Tracked(String),
    Routed(String),
    Translated {
        before: String,
        after: String,
    },
    Logged(String),
    Sent {
        interface: InterfaceName,
        packet: String,
    },
    Delivered {
        packet: String,
    },
    Stopped(Reason),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Failed(String),
    /// It matched; true when that ended the table.
    Matched {
        what: String,
        ends: bool,
    },
}

/// The rule or policy that had the last word in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    pub hook: Hook,
    pub table: Table,
    pub chain: String,
    /// `None`: the policy.
    pub number: Option<u32>,
}

impl Observer for Story {
    const WATCHING: bool = true;

    fn see(&mut self, event: Event<'_>) {
        let step = match event {
            Event::Arrived { interface, packet } => {
                self.own_awaited = interface.is_none();
                Step::Arrived {
                    interface,
                    packet: describe::line(packet.bytes()),
                }
            }
            Event::Reassembled { packet } => Step::Reassembled {
                packet: describe::line(packet.bytes()),
            },
            Event::Hook { hook, packet } => {
                if hook == Hook::Output && !std::mem::take(&mut self.own_awaited) {
                    self.steps.push(Step::Own {
                        packet: describe::line(packet.bytes()),
                    });
                }
                Step::Hook(hook)
            }
            Event::Table { table, .. } => {
                self.chains.clear();
                Step::Table(table)
            }
            Event::Rule {
                table: _,
                chain,
                number,
                rule,
                tried,
            } => self.rule(chain, number, rule, &tried),
            Event::Policy { chain, policy, .. } => Step::Policy {
                chain: chain.to_owned(),
                policy,
            },
            Event::Returned { to, .. } => {
                while let Some(chain) = self.chains.pop() {
                    if chain == to {
                        break;
                    }
                }
                Step::Returned {
                    to: to.to_owned(),
                    depth: self.chains.len(),
                }
            }
            Event::Tracked { tracking, made } => Step::Tracked(tracked(tracking, made)),
            Event::Routed { decision, net } => Step::Routed(match decision {
                InputRoute::Local => "to the router itself".to_owned(),
                InputRoute::Broadcast => "to the router itself, by a broadcast address".to_owned(),
                InputRoute::Multicast => "to the router itself, by a multicast group".to_owned(),
                InputRoute::Forward(way) => {
                    let name = net.interface(way.output).name;
                    match way.gateway {
                        Some(gateway) => format!("out by {name}, via {gateway}"),
                        None => format!("out by {name}, to a neighbour there"),
                    }
                }
                InputRoute::Error { reason, .. } | InputRoute::Drop(reason) => reason.to_string(),
            }),
            Event::Rerouted { route, net } => Step::Routed(format!(
                "again, because OUTPUT changed it: out by {}",
                net.interface(route.interface).name
            )),
            Event::Translated { before, after, .. } => Step::Translated {
                before: translated(before),
                after: translated(after),
            },
            Event::Logged(record) => Step::Logged(record.text.clone()),
            Event::Sent { interface, packet } => Step::Sent {
                interface,
                packet: describe::line(packet),
            },
            Event::Delivered { packet } => Step::Delivered {
                packet: describe::line(packet.bytes()),
            },
            Event::Stopped { reason } => Step::Stopped(reason.clone()),
        };
        self.steps.push(step);
    }
}

impl Story {
    fn rule(&mut self, chain: &str, number: u32, rule: &Rule, tried: &Tried<'_>) -> Step {
        let depth = self.chains.len();
        let outcome = match tried {
            Tried::Failed(why) => Outcome::Failed(why.clone()),
            Tried::Matched(action) => {
                if let Action::Jump(_) | Action::Goto(_) = action {
                    self.chains.push(chain.to_owned());
                }
                let (what, ends) = action_words(action);
                Outcome::Matched { what, ends }
            }
        };
        Step::Rule {
            chain: chain.to_owned(),
            number,
            rule: rule_text(rule),
            depth,
            outcome,
        }
    }

    /// What decided, table by table, in the order of the packet's way; of the first packet only, not of answers to it.
    pub fn deciding(&self) -> Vec<Deciding> {
        let mut found = Vec::new();
        let (mut hook, mut table) = (None, None);
        for step in &self.steps {
            match step {
                Step::Own { .. } => break,
                Step::Hook(at) => (hook, table) = (Some(*at), None),
                Step::Table(name) => table = Some(*name),
                Step::Rule {
                    chain,
                    number,
                    outcome: Outcome::Matched { ends: true, .. },
                    ..
                } => {
                    if let (Some(hook), Some(table)) = (hook, table) {
                        let (chain, number) = (chain.clone(), Some(*number));
                        found.push(Deciding {
                            hook,
                            table,
                            chain,
                            number,
                        });
                    }
                }
                Step::Policy { chain, .. } => {
                    if let (Some(hook), Some(table)) = (hook, table) {
                        let chain = chain.clone();
                        let number = None;
                        found.push(Deciding {
                            hook,
                            table,
                            chain,
                            number,
                        });
                    }
                }
                _ => {}
            }
        }
        found
    }

    pub fn render(&self, detail: Detail) -> String {
        let mut out = Page::default();
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Arrived { interface, packet } => {
                    let from = match interface {
                        Some(name) => format!("in by {name}"),
                        None => "from the router".to_owned(),
                    };
                    out.head(&format!("{from}: {packet}"));
                }
                Step::Reassembled { packet } => {
                    out.table("fragments");
                    out.line(&format!("all are there: {packet}"));
                }
                Step::Own { packet } => out.head(&format!("the router sends: {packet}")),
                Step::Hook(hook) => out.hook(hook.chain()),
                Step::Table(table) => {
                    out.table(table.name());
                    if detail == Detail::Whole && !self.walked(at) {
                        out.line("no rules");
                    }
                }
                Step::Rule {
                    chain,
                    number,
                    rule,
                    depth,
                    outcome,
                } => {
                    let indent = "  ".repeat(*depth);
                    match (detail, outcome) {
                        (Detail::Short, Outcome::Matched { what, ends }) if *ends || !what.is_empty() => {
                            out.line(&format!("{indent}rule {number} of {chain}: {rule}"));
                        }
                        (Detail::Short, _) => {}
                        (Detail::Whole, Outcome::Failed(why)) => {
                            out.line(&format!("{indent}rule {number} of {chain}: {rule}"));
                            out.line(&format!("{indent}    no: {why}"));
                        }
                        (Detail::Whole, Outcome::Matched { what, .. }) => {
                            out.line(&format!("{indent}rule {number} of {chain}: {rule}"));
                            let what = if what.is_empty() { "counted, on" } else { what };
                            out.line(&format!("{indent}    yes: {what}"));
                        }
                    }
                }
                Step::Policy { chain, policy } => out.line(&format!("policy of {chain}: {}", policy.name())),
                Step::Returned { to, depth } => {
                    if detail == Detail::Whole {
                        out.line(&format!("{}back to {to}", "  ".repeat(*depth)));
                    }
                }
                Step::Tracked(text) => {
                    out.table("conntrack");
                    out.line(text);
                }
                Step::Routed(text) => {
                    out.hook("routing");
                    out.table("");
                    out.line(text);
                }
                Step::Translated { before, after } => {
                    out.table("nat");
                    out.line(&format!("{before}  becomes  {after}"));
                }
                Step::Logged(text) => out.line(&format!("log: {text}")),
                Step::Sent { interface, packet } => out.head(&format!("out by {interface}: {packet}")),
                Step::Delivered { packet } => out.head(&format!("reached the router: {packet}")),
                Step::Stopped(reason) => {
                    let word = match reason {
                        Reason::HeldFragment => "held",
                        Reason::Queued(_) => "queued",
                        Reason::Rejected { .. } => "rejected",
                        _ => "dropped",
                    };
                    out.head(&format!("{word}: {}", without_verb(&reason.to_string())));
                }
            }
        }
        out.text
    }

    /// True when something follows a table's beginning before the next.
    fn walked(&self, table: usize) -> bool {
        matches!(self.steps.get(table + 1), Some(Step::Rule { .. } | Step::Policy { .. }))
    }
}

/// A page of three columns: hook, table, and what happened.
#[derive(Default)]
struct Page {
    text: String,
    hook: String,
    table: String,
}

impl Page {
    fn head(&mut self, line: &str) {
        self.hook.clear();
        self.table.clear();
        let _ = writeln!(self.text, "{line}");
    }

    fn hook(&mut self, name: &str) {
        self.hook = name.to_owned();
        self.table.clear();
    }

    fn table(&mut self, name: &str) {
        self.table = name.to_owned();
    }

    /// Each column's name stands only in the first line that it is true of.
    fn line(&mut self, what: &str) {
        let (hook, table) = (std::mem::take(&mut self.hook), std::mem::take(&mut self.table));
        let _ = writeln!(self.text, "  {hook:<11} {table:<9} {what}");
    }
}

/// What an action does, in a few words, and whether it ends the table's walk.
fn action_words(action: &Action) -> (String, bool) {
    match action {
        Action::Nothing => (String::new(), false),
        Action::Accept => ("ACCEPT".to_owned(), true),
        Action::Drop => ("DROP".to_owned(), true),
        Action::Return => ("RETURN".to_owned(), false),
        Action::Queue => ("QUEUE".to_owned(), true),
        Action::Jump(chain) => (format!("into {chain}"), false),
        Action::Goto(chain) => (format!("into {chain}, not to come back"), false),
        Action::Target(target) => {
            let mut text = target.name().to_owned();
            target.save(&mut text);
            let ends = matches!(
                target.name(),
                "REJECT" | "SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" | "TPROXY" | "NFQUEUE"
            );
            (text, ends)
        }
    }
}

fn tracked(tracking: &Tracking, made: &Tracked) -> String {
    let state = tracking.state.map_or("untouched", CtState::name);
    let reason = match made {
        Tracked::Drop(reason) => return format!("dropped: {reason}"),
        Tracked::Accept(reason) => reason,
    };
    let why = match reason {
        conntrack::Reason::AlreadyTracked => match tracking.state {
            Some(CtState::Untracked) => "a rule said not to track it".to_owned(),
            _ => "it was tracked before".to_owned(),
        },
        conntrack::Reason::KnownFlow => match tracking.direction {
            Direction::Original => "of a known flow, in its original direction".to_owned(),
            Direction::Reply => "of a known flow, in its reply direction".to_owned(),
        },
        conntrack::Reason::Ignored(reason) => format!("of a known flow, which stays as it is: {reason}"),
        conntrack::Reason::EndsFlow => "it ends its flow: a reset before any answer".to_owned(),
        conntrack::Reason::NewFlow => "it opens a flow".to_owned(),
        conntrack::Reason::Expected(expectation) => {
            format!("it opens a flow that helper {} announced", expectation.made_by)
        }
        conntrack::Reason::ErrorOf => "an ICMP error about a packet of a known flow".to_owned(),
        conntrack::Reason::Invalid(reason) => reason.to_string(),
    };
    format!("{state}: {why}")
}

fn translated(packet: &Packet) -> String {
    match packet.icmpv4() {
        Some(icmp) if crate::wire::icmpv4::kind::is_error(icmp.kind()) => {
            format!(
                "{} (quoting {})",
                describe::ends(packet),
                describe::brief(icmp.payload())
            )
        }
        Some(icmp) => format!("{} id {}", describe::ends(packet), icmp.identifier()),
        None => describe::ends(packet),
    }
}

/// The heading says the verb already.
fn without_verb(reason: &str) -> &str {
    ["dropped ", "rejected ", "queued ", "held "]
        .into_iter()
        .find_map(|verb| reason.strip_prefix(verb))
        .unwrap_or(reason)
}

/// The rule as it was typed, without its chain.
fn rule_text(rule: &Rule) -> String {
    let mut text = String::new();
    crate::text::save::write_rule(&mut text, "", rule, None);
    text.trim_end().trim_start_matches("-A").trim_start().to_owned()
}
