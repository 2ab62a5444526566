//! From the steps of a story to what is told of them.

use std::sync::Arc;

use super::stages::{helped, history, manip_name, routed, routed_out, tracked, translated};
use super::{Told, rule_text};
use crate::conntrack::Tracked;
use crate::engine::{LiveTable, NatNotAsked, Reason};
use crate::explain::describe;
use crate::explain::story::{Detail, Step, Story};
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

/// How it was stopped says the verb already.
fn without_verb(reason: &str) -> &str {
    ["dropped ", "rejected ", "queued ", "held "]
        .into_iter()
        .find_map(|verb| reason.strip_prefix(verb))
        .unwrap_or(reason)
}
