//! From the steps of a story to what is told of them.

use std::sync::Arc;

use super::{Told, rule_text};
use crate::base::InterfaceId;
use crate::conntrack::{self, CtState, Direction, Tracked, Tuple};
use crate::engine::{Config, LiveTable, NatNotAsked, Reason};
use crate::explain::describe;
use crate::explain::story::{Detail, Step, Story, TrackedAs};
use crate::helper::{Heard, HeardWhat};
use crate::nat::Manip;
use crate::net::{DropReason, InputRoute, LookedUp, OutputKey, OutputRoute};
use crate::packet::Packet;
use crate::rule::{Action, Hook, Policy};

pub(super) fn tell(story: &Story, detail: Detail) -> Vec<Told> {
    let mut teller = Teller::new(story, detail);
    let steps = story.steps.iter().enumerate();
    steps.filter_map(|(at, step)| teller.tell(at, step)).collect()
}

/// Takes the steps of a story one by one.
pub(in crate::explain) struct Teller<'a> {
    story: &'a Story,
    detail: Detail,
    hook: Option<Hook>,
    table: Option<&'a LiveTable>,
    /// Chains that were jumped from, in the table being walked.
    chains: Vec<Arc<str>>,
    /// Jumps and returns are left out from here on.
    is_cut: bool,
    /// Where the packets stand that the router's own ones at hand were sent beside, or because of.
    outer: Vec<Standing<'a>>,
}

/// How far the story of a packet has come.
type Standing<'a> = (Option<Hook>, Option<&'a LiveTable>, Vec<Arc<str>>, bool);

/// A rule that did not match, as pieces of its story: of these there are a hundred a packet.
pub(in crate::explain) struct FailedRule<'a> {
    pub chain: &'a str,
    pub number: u32,
    pub depth: usize,
    pub text: &'a str,
}

impl<'a> Teller<'a> {
    pub(in crate::explain) fn new(story: &'a Story, detail: Detail) -> Self {
        Self {
            story,
            detail,
            hook: None,
            table: None,
            chains: Vec::new(),
            is_cut: false,
            outer: Vec::new(),
        }
    }

    /// Of a rule that did not match; `None` for any other step.
    pub(in crate::explain) fn failed(&self, step: &Step) -> Option<FailedRule<'a>> {
        let (Step::Failed { step, .. }, Some(table)) = (step, self.table) else {
            return None;
        };
        let text = table.rule_text(*step, rule_text)?;
        let (chain, number) = table.chain_and_number(*step);
        Some(FailedRule {
            chain,
            number,
            depth: self.chains.len(),
            text,
        })
    }

    /// Appends why a rule did not match.
    pub(in crate::explain) fn why(&self, step: &Step, out: &mut String) {
        if let (
            Step::Failed {
                step,
                part,
                moment,
                remembered,
            },
            Some(table),
        ) = (step, self.table)
        {
            self.story.why(table, *step, *part, *moment, *remembered, out);
        }
    }

    pub(in crate::explain) fn tell(&mut self, at: usize, step: &Step) -> Option<Told> {
        let line = |span| describe::line(self.story.bytes(span));
        Some(match step {
            Step::Arrived { interface, packet } => Told::Arrived {
                interface: interface.map(|name| name.to_string()),
                packet: line(*packet),
            },
            Step::Reassembled(packet) => Told::Reassembled { packet: line(*packet) },
            Step::Own(packet) => {
                let chains = std::mem::take(&mut self.chains);
                self.outer.push((self.hook, self.table, chains, self.is_cut));
                Told::RouterSends { packet: line(*packet) }
            }
            Step::Hook(hook) => {
                self.hook = Some(*hook);
                Told::Hook {
                    hook: hook.chain().to_owned(),
                }
            }
            Step::Table(walked) => {
                self.chains.clear();
                self.is_cut = false;
                self.table = self.story.tables.get(*walked as usize).map(AsRef::as_ref);
                let table = self.table?;
                let chain = self.hook.and_then(|hook| table.rules().chain(hook.chain()));
                Told::Table {
                    table: table.rules().table.name().to_owned(),
                    rules: chain.map_or(0, |chain| chain.rules.len()),
                }
            }
            Step::Failed { .. } if self.detail == Detail::Short => return None,
            Step::Failed { step: of, .. } => {
                let mut why = String::new();
                self.why(step, &mut why);
                rule(self.table?, *of, self.chains.len(), Err(why))?
            }
            Step::Matched { step } => {
                let table = self.table?;
                let decides = self.story.ends(at, table);
                let told = rule(table, *step, self.chains.len(), Ok(decides))?;
                if !self.is_cut
                    && let Some(rule) = table.rule(*step)
                    && matches!(rule.action, Action::Jump(_) | Action::Goto(_))
                {
                    self.chains.push(Arc::clone(table.chain_and_number(*step).0));
                }
                told
            }
            Step::Continued { from, to } if from != to => Told::Marked {
                depth: self.chains.len(),
                from: *from,
                to: *to,
            },
            Step::Continued { .. } => return None,
            Step::FlowMarked { from, to } => Told::FlowMarked {
                depth: self.chains.len(),
                from: *from,
                to: *to,
            },
            Step::Edited(text) => Told::Edited {
                depth: self.chains.len(),
                text: text.to_string(),
            },
            Step::Policy { step } => {
                let table = self.table?;
                let chain = table.chain_and_number(*step).0.to_string();
                Told::Policy {
                    table: table.rules().table.name().to_owned(),
                    policy: policy(table, &chain).name().to_owned(),
                    chain,
                }
            }
            Step::Returned { step } => {
                let table = self.table?;
                let chain = table.chain_and_number(*step).0.to_string();
                while let Some(left) = self.chains.pop() {
                    if *left == *chain {
                        break;
                    }
                }
                Told::Returned {
                    chain,
                    depth: self.chains.len(),
                }
            }
            Step::Cut(left_out) => {
                self.chains.clear();
                self.is_cut = true;
                Told::Cut { left_out: *left_out }
            }
            Step::Tracked(tracked_as) => Told::Conntrack {
                state: match &tracked_as.made {
                    Tracked::Drop(_) => None,
                    Tracked::Accept(_) => tracked_as.state.map(|state| state.name().to_owned()),
                },
                reason: tracked(tracked_as),
                history: history(self.story.number, tracked_as),
            },
            Step::Routed(routed_so) => routed(self.story, &routed_so.0, &routed_so.1),
            Step::RoutedOut(out) => routed_out(self.story, &out.0, &out.1, false),
            Step::RoutedAgain(out) => routed_out(self.story, &out.0, &out.1, true),
            Step::NatNotAsked { manip, why } => Told::NatNotAsked {
                nat: manip_name(*manip).to_owned(),
                reason: match why {
                    NatNotAsked::NoFlow => "the packet has no flow to translate",
                    NatNotAsked::Decided => "the mapping of its flow stands",
                    NatNotAsked::AboutAnother => "an error follows the flow that it is about",
                }
                .to_owned(),
            },
            Step::Translated { manip, before, after } => Told::Nat {
                nat: manip_name(*manip).to_owned(),
                before: translated(self.story.bytes(*before)),
                after: translated(self.story.bytes(*after)),
            },
            Step::Helped { heard, before, after } => helped(heard, self.story.bytes(*before), self.story.bytes(*after)),
            Step::Logged(None) => return None,
            Step::Logged(Some(record)) => Told::Log {
                level: record.level,
                depth: self.chains.len(),
                text: record.text.clone(),
            },
            Step::Sent { interface, packet } => Told::Sent {
                interface: interface.to_string(),
                packet: line(*packet),
            },
            Step::Delivered(packet) => Told::Delivered { packet: line(*packet) },
            Step::OwnDone => {
                if let Some(outer) = self.outer.pop() {
                    (self.hook, self.table, self.chains, self.is_cut) = outer;
                }
                match self.story.steps.get(at + 1) {
                    Some(Step::Hook(_) | Step::Routed(_)) => Told::GoesOn,
                    // Sent beside, in the middle of a walk.
                    Some(Step::Failed { .. } | Step::Matched { .. } | Step::Policy { .. } | Step::Returned { .. }) => {
                        Told::GoesOn
                    }
                    _ => return None,
                }
            }
            Step::Copied(packet) => Told::Copied { packet: line(*packet) },
            Step::CopyDone => Told::CopyDone,
            Step::Resumed {
                queue,
                kind,
                mark,
                bytes,
            } => Told::Resumed {
                queue: *queue,
                verdict: kind.name().to_owned(),
                mark: *mark,
                packet: bytes.map(line),
            },
            Step::Unanswered(why) => Told::Unanswered {
                reason: why.to_string(),
            },
            Step::Stopped(reason) => {
                let how = match reason.as_ref() {
                    Reason::HeldFragment | Reason::Held { .. } => "held",
                    Reason::Queued(_) => "queued",
                    Reason::Rejected { .. } => "rejected",
                    _ => "dropped",
                };
                Told::Stopped {
                    how: how.to_owned(),
                    reason: without_verb(&reason.to_string()).to_owned(),
                    by_rules: matches!(
                        reason.as_ref(),
                        Reason::Rule(_)
                            | Reason::Policy(_)
                            | Reason::Rejected { .. }
                            | Reason::Queued(_)
                            | Reason::Held { .. }
                    ),
                }
            }
        })
    }
}

/// A rule with what became of it: `Ok` says whether it had the last word.
fn rule(table: &LiveTable, step: u32, depth: usize, outcome: Result<bool, String>) -> Option<Told> {
    let rule = table.rule(step)?;
    let (chain, number) = table.chain_and_number(step);
    Some(Told::Rule {
        table: table.rules().table.name().to_owned(),
        chain: chain.to_string(),
        number,
        depth,
        rule: table.rule_text(step, rule_text)?.to_owned(),
        matched: outcome.is_ok(),
        action: match &outcome {
            Ok(_) => action_words(&rule.action),
            Err(_) => String::new(),
        },
        decides: outcome == Ok(true),
        why: outcome.err(),
    })
}

fn policy(table: &LiveTable, chain: &str) -> Policy {
    match table.rules().chain(chain).map(|chain| &chain.kind) {
        Some(crate::rule::ChainKind::BuiltIn { policy, .. }) => *policy,
        _ => Policy::Accept,
    }
}

/// What an action does, in a few words.
fn action_words(action: &Action) -> String {
    match action {
        Action::Nothing => String::new(),
        Action::Accept => "ACCEPT".to_owned(),
        Action::Drop => "DROP".to_owned(),
        Action::Return => "RETURN".to_owned(),
        Action::Queue => "QUEUE".to_owned(),
        Action::Jump(chain) => format!("into {chain}"),
        Action::Goto(chain) => format!("into {chain}, not to come back"),
        Action::Target(target) => {
            let mut text = target.name().to_owned();
            target.save(&mut text);
            text
        }
    }
}

fn manip_name(manip: Manip) -> &'static str {
    match manip {
        Manip::Source => "source",
        Manip::Destination => "destination",
    }
}

fn tracked(tracking: &TrackedAs) -> String {
    let reason = match &tracking.made {
        Tracked::Drop(reason) => return format!("dropped: {reason}"),
        Tracked::Accept(reason) => reason,
    };
    match reason {
        conntrack::Reason::AlreadyTracked => match tracking.state {
            Some(CtState::Untracked) => "a rule said not to track it".to_owned(),
            Some(CtState::Related) => "it goes with the flow of the packet it is about".to_owned(),
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
            format!("it opens a flow that helper {} announced", expectation.made_by.name)
        }
        conntrack::Reason::ErrorOf => "an ICMP error about a packet of a known flow".to_owned(),
        conntrack::Reason::Invalid(reason) => reason.to_string(),
    }
}

/// Which packets opened and answered the flow, where others did.
fn history(number: u64, tracking: &TrackedAs) -> Option<String> {
    if !matches!(
        tracking.made,
        Tracked::Accept(
            conntrack::Reason::KnownFlow
                | conntrack::Reason::Ignored(_)
                | conntrack::Reason::EndsFlow
                | conntrack::Reason::ErrorOf
        )
    ) {
        return None;
    }
    match tracking.opened_and_answered_by? {
        (0, _) => None,
        (opened, 0) => Some(format!("opened by packet {opened}, not answered yet")),
        (opened, answered) if answered == number => {
            Some(format!("opened by packet {opened}; this is the first answer"))
        }
        (opened, answered) => Some(format!("opened by packet {opened}, answered since packet {answered}")),
    }
}

fn routed(story: &Story, decision: &InputRoute, packet: &Packet) -> Told {
    let net = story.config.as_ref().map(|config| &config.net);
    let name = |id| net.map_or_else(String::new, |net| net.interface(id).name.to_string());
    let way = match decision {
        InputRoute::Local => "to the router itself".to_owned(),
        InputRoute::Broadcast => "to the router itself, by a broadcast address".to_owned(),
        InputRoute::Multicast => "to the router itself, by a multicast group".to_owned(),
        InputRoute::Forward(way) => out_by(&name(way.output), way.gateway),
        InputRoute::Error { reason, .. } | InputRoute::Drop(reason) => reason.to_string(),
    };
    let towards = match decision {
        InputRoute::Forward(way) => way.source_route,
        _ => None,
    };
    let by_route = match decision {
        InputRoute::Error { reason, .. } | InputRoute::Drop(reason) => matches!(
            reason,
            DropReason::Unreachable | DropReason::Prohibited | DropReason::Blackhole
        ),
        // What comes round keeps the route that it left by.
        _ => packet.input != Some(InterfaceId::LOOPBACK),
    };
    let asked = net.filter(|_| by_route);
    let found = asked.map(|net| net.looked_up_input(packet, towards.unwrap_or(packet.destination())));
    route(story.config.as_deref(), way, found, false)
}

fn routed_out(story: &Story, way: &OutputRoute, key: &OutputKey, again: bool) -> Told {
    let net = story.config.as_ref().map(|config| &config.net);
    let name = net.map_or_else(String::new, |net| net.interface(way.interface).name.to_string());
    let found = net.map(|net| net.looked_up_output(key));
    let text = match way.interface {
        InterfaceId::LOOPBACK => "to the router itself, by lo".to_owned(),
        _ => out_by(&name, way.gateway),
    };
    route(story.config.as_deref(), text, found, again)
}

fn out_by(name: &str, gateway: Option<std::net::IpAddr>) -> String {
    match gateway {
        Some(gateway) => format!("out by {name}, via {gateway}"),
        None => format!("out by {name}, to a neighbour there"),
    }
}

fn route(config: Option<&Config>, way: String, found: Option<LookedUp<'_>>, again: bool) -> Told {
    let (route, rule) = match (config, found) {
        (Some(config), Some(found)) => (
            found.route.map(|route| config.net.route_text(route)),
            found.rule.map(|rule| config.net.rule_text(&rule)),
        ),
        _ => (None, None),
    };
    Told::Route {
        way,
        route,
        rule,
        again,
    }
}

/// The ends of a packet, and of the one it quotes.
fn translated(bytes: &[u8]) -> String {
    let Ok(packet) = Packet::parse(bytes.to_vec()) else {
        return describe::brief(bytes);
    };
    match packet.icmpv4() {
        Some(icmp) if crate::wire::icmpv4::kind::is_error(icmp.kind()) => {
            format!(
                "{} (quoting {})",
                describe::ends(&packet),
                describe::brief(icmp.payload())
            )
        }
        Some(icmp) => format!("{} id {}", describe::ends(&packet), icmp.identifier()),
        None => describe::ends(&packet),
    }
}

fn helped(heard: &Heard, before: &[u8], after: &[u8]) -> Told {
    let said = payload_text(before);
    let what = match &heard.what {
        HeardWhat::TooEarly => "reads nothing before the flow is answered".to_owned(),
        HeardWhat::NoData => "no data to read".to_owned(),
        HeardWhat::NotAtALine => "not read: it is not known that a line begins here".to_owned(),
        HeardWhat::NoCommand => format!("read {said}: nothing that opens a flow"),
        HeardWhat::NamesAnother(address) => {
            format!("read {said}: it names {address}, which is not its sender, so nothing is expected")
        }
        HeardWhat::Announced { expected, instead_of } => {
            let mut text = format!("read {said}: a flow {} is expected", expectation(expected));
            if let Some(port) = instead_of {
                text.push_str(&format!(" (port {port} was taken)"));
            }
            text
        }
    };
    let rewritten = (payload(before) != payload(after)).then(|| payload_text(after));
    Told::Helper {
        helper: heard.helper.to_owned(),
        heard: what,
        rewritten,
    }
}

fn expectation(tuple: &Tuple) -> String {
    let (source, destination) = (tuple.source, tuple.destination);
    let from = match source.id {
        0 => source.address.to_string(),
        id => format!("{}:{id}", source.address),
    };
    let name = describe::protocol_name(tuple.protocol);
    format!("{name} {from} > {}:{}", destination.address, destination.id)
}

fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let packet = Packet::parse(bytes.to_vec()).ok()?;
    match (packet.tcp(), packet.udp()) {
        (Some(tcp), _) => Some(tcp.payload().to_vec()),
        (_, Some(udp)) => Some(udp.payload().to_vec()),
        _ => None,
    }
}

fn payload_text(bytes: &[u8]) -> String {
    describe::quoted(&payload(bytes).unwrap_or_default())
}

/// How it was stopped says the verb already.
fn without_verb(reason: &str) -> &str {
    ["dropped ", "rejected ", "queued ", "held "]
        .into_iter()
        .find_map(|verb| reason.strip_prefix(verb))
        .unwrap_or(reason)
}
