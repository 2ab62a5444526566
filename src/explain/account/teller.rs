//! From the steps of a story to what is told of them.

use std::sync::Arc;

use super::untracked::Spared;
use super::{Told, rule_text, stages};
use crate::engine::{Config, LiveTable, Part, Reason};
use crate::explain::describe;
use crate::explain::story::{Detail, Span, Step, Story};
use crate::rule::{Action, Hook, Miss, Policy};

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
    walked: Option<&'a Arc<LiveTable>>,
    /// Chains that were jumped from, in the table being walked.
    chains: Vec<Arc<str>>,
    /// Jumps and returns are left out from here on.
    is_cut: bool,
    /// Where the packets stand that the router's own ones at hand were sent beside, or because of.
    outer: Vec<Standing<'a>>,
    /// What left the packet at hand untracked, as far as it is known.
    spared: Option<Spared>,
    /// The same of any packet so far.
    any_spared: Option<Spared>,
}

/// How far the story of a packet has come.
type Standing<'a> = (
    Option<Hook>,
    Option<&'a Arc<LiveTable>>,
    Vec<Arc<str>>,
    bool,
    Option<Spared>,
);

/// A rule that failed on what any rule asks.
pub(in crate::explain) struct Missed<'a> {
    pub table: &'a Arc<LiveTable>,
    pub step: u32,
    pub miss: Miss,
    pub depth: usize,
    pub moment: u32,
}

/// A rule as pieces of its story: of those that did not match there may be a hundred a packet.
pub(in crate::explain) struct RulePieces<'a> {
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
            walked: None,
            chains: Vec::new(),
            is_cut: false,
            outer: Vec::new(),
            spared: None,
            any_spared: None,
        }
    }

    /// Of a rule that did not match; `None` for any other step.
    pub(in crate::explain) fn failed(&self, step: &Step) -> Option<RulePieces<'a>> {
        let (Step::Failed { step, .. }, Some(table)) = (step, self.table()) else {
            return None;
        };
        let text = table.rule_text(*step, rule_text)?;
        let (chain, number) = table.chain_and_number(*step);
        Some(RulePieces {
            chain,
            number,
            depth: self.chains.len(),
            text,
        })
    }

    /// The same of one that failed on what any rule asks: addresses, interfaces, protocol, fragments.
    pub(in crate::explain) fn missed(&self, step: &Step) -> Option<Missed<'a>> {
        let (
            Step::Failed {
                step,
                part: Part::Selector(miss),
                moment,
                ..
            },
            Some(table),
        ) = (step, self.walked)
        else {
            return None;
        };
        self.story.moments.get(*moment as usize)?;
        Some(Missed {
            table,
            step: *step,
            miss: *miss,
            depth: self.chains.len(),
            moment: *moment,
        })
    }

    pub(in crate::explain) fn failed_at(&self, missed: &Missed<'a>) -> Option<RulePieces<'a>> {
        let (chain, number) = missed.table.chain_and_number(missed.step);
        Some(RulePieces {
            chain,
            number,
            depth: missed.depth,
            text: missed.table.rule_text(missed.step, rule_text)?,
        })
    }

    /// Appends what was asked of it.
    pub(in crate::explain) fn asked(&self, missed: &Missed<'_>, out: &mut String) {
        if let Some(rule) = missed.table.rule(missed.step) {
            rule.selector.explain_asked(out, missed.miss);
        }
    }

    /// Appends what the packet has instead.
    pub(in crate::explain) fn datum(&self, missed: &Missed<'_>, out: &mut String) {
        self.story.datum(missed.moment, missed.miss, out);
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
        ) = (step, self.table())
        {
            self.story.why(table, *step, *part, *moment, *remembered, out);
        }
    }

    /// What is told of a step. The walk of a table is followed on the way, so steps come in order.
    pub(in crate::explain) fn tell(&mut self, at: usize, step: &Step) -> Option<Told> {
        match step {
            Step::Arrived { interface, packet } => {
                self.arrives();
                Some(Told::Arrived {
                    interface: interface.map(|name| name.to_string()),
                    packet: self.line(*packet),
                })
            }
            Step::Reassembled(packet) => Some(Told::Reassembled {
                packet: self.line(*packet),
            }),
            Step::Own(packet) => Some(self.own_begins(at, *packet)),
            Step::OwnDone => self.own_is_done(at),
            Step::Copied(packet) => Some(Told::Copied {
                packet: self.line(*packet),
            }),
            Step::CopyDone => Some(Told::CopyDone),

            Step::Hook(hook) => Some(self.hook_begins(*hook)),
            Step::Table(walked) => self.table_begins(*walked),
            Step::Failed { step: rule, .. } => self.rule_failed(step, *rule),
            Step::Matched { step, told } => self.rule_matched(at, *step, told.as_deref()),
            Step::Continued { from, to } => (from != to).then(|| Told::Marked {
                depth: self.depth(),
                from: *from,
                to: *to,
            }),
            Step::FlowMarked { from, to } => Some(Told::FlowMarked {
                depth: self.depth(),
                from: *from,
                to: *to,
            }),
            Step::Edited(text) => Some(Told::Edited {
                depth: self.depth(),
                text: text.to_string(),
            }),
            Step::Logged(record) => record.as_ref().map(|record| Told::Log {
                level: record.level,
                depth: self.depth(),
                text: record.text.clone(),
            }),
            Step::Policy { step } => self.policy_decided(*step),
            Step::Returned { step } => self.chain_returned(*step),
            Step::Cut(left_out) => Some(self.steps_are_left_out(*left_out)),

            Step::Tracked(tracked_as) => Some(stages::tracked(self.story.number, tracked_as, self.spared)),
            Step::Routed(routed) => Some(stages::routed(
                self.story.config_at(at).map(AsRef::as_ref),
                &routed.0,
                &routed.1,
            )),
            Step::RoutedOut(out) => Some(stages::routed_out(
                self.story.config_at(at).map(AsRef::as_ref),
                &out.0,
                &out.1,
                false,
            )),
            Step::RoutedAgain(out) => Some(stages::routed_out(
                self.story.config_at(at).map(AsRef::as_ref),
                &out.0,
                &out.1,
                true,
            )),
            Step::NatNotAsked { manip, why } => Some(stages::nat_not_asked(*manip, *why)),
            Step::Translated { manip, before, after } => {
                let (before, after) = (self.story.bytes(*before), self.story.bytes(*after));
                Some(stages::translated(*manip, before, after))
            }
            Step::Helped { heard, before, after } => {
                let (before, after) = (self.story.bytes(*before), self.story.bytes(*after));
                Some(stages::helped(heard, before, after))
            }

            Step::Sent { interface, packet } => Some(Told::Sent {
                interface: interface.to_string(),
                packet: self.line(*packet),
            }),
            Step::PathHeard { to, mtu, by } => Some(Told::PathHeard {
                to: to.to_string(),
                mtu: *mtu,
                by: by.map(|by| by.to_string()),
            }),
            Step::Delivered(packet) => Some(Told::Delivered {
                packet: self.line(*packet),
            }),
            Step::Resumed {
                queue,
                kind,
                mark,
                bytes,
            } => Some(Told::Resumed {
                queue: *queue,
                verdict: kind.name().to_owned(),
                mark: *mark,
                packet: bytes.map(|packet| self.line(packet)),
            }),
            Step::Unanswered(why) => Some(Told::Unanswered {
                reason: why.to_string(),
            }),
            Step::Stopped(reason) => Some(stopped(reason)),
        }
    }

    fn line(&self, packet: Span) -> String {
        describe::line(self.bytes(packet))
    }

    pub(in crate::explain) fn bytes(&self, packet: Span) -> &'a [u8] {
        self.story.bytes(packet)
    }

    /// What was in force at this place of the steps.
    pub(in crate::explain) fn config_at(&self, at: usize) -> Option<&'a Arc<Config>> {
        self.story.config_at(at)
    }

    /// What left the packet at hand untracked, as far as it is known.
    pub(in crate::explain) fn spared(&self) -> Option<Spared> {
        self.spared
    }

    /// A packet is told of from here on: another than the one before, or the same that came round.
    pub(in crate::explain) fn arrives(&mut self) {
        self.spared = self.any_spared;
    }

    /// The table being walked.
    fn table(&self) -> Option<&'a LiveTable> {
        self.walked.map(AsRef::as_ref)
    }

    /// How many jumps deep the walk stands.
    fn depth(&self) -> usize {
        self.chains.len()
    }

    /// The walk at hand waits until the router's own packet is done.
    fn own_begins(&mut self, at: usize, packet: Span) -> Told {
        let chains = std::mem::take(&mut self.chains);
        let is_copy = Spared::is_copy(self.story.steps.get(..at).unwrap_or(&[]), self.table());
        let standing = (self.hook, self.walked, chains, self.is_cut, self.spared);
        self.outer.push(standing);
        self.spare(is_copy.then_some(Spared::AsCopy));
        Told::RouterSends {
            packet: self.line(packet),
        }
    }

    /// Back to the packet that it was sent beside, or because of; told where something of that follows.
    fn own_is_done(&mut self, at: usize) -> Option<Told> {
        if let Some(outer) = self.outer.pop() {
            (self.hook, self.walked, self.chains, self.is_cut, self.spared) = outer;
        }
        let goes_on = matches!(
            self.story.steps.get(at + 1),
            Some(
                Step::Hook(_)
                    | Step::Routed(_)
                    // Sent beside, in the middle of a walk.
                    | Step::Failed { .. }
                    | Step::Matched { .. }
                    | Step::Policy { .. }
                    | Step::Returned { .. }
            )
        );
        goes_on.then_some(Told::GoesOn)
    }

    fn spare(&mut self, why: Option<Spared>) {
        self.spared = why;
        self.any_spared = self.any_spared.max(why);
    }

    pub(in crate::explain) fn enter_hook(&mut self, hook: Hook) {
        self.hook = Some(hook);
    }

    fn hook_begins(&mut self, hook: Hook) -> Told {
        self.enter_hook(hook);
        Told::Hook {
            hook: hook.chain().to_owned(),
        }
    }

    /// `None` where the story has no such table.
    pub(in crate::explain) fn enter_table(&mut self, walked: u32) -> Option<&'a LiveTable> {
        self.chains.clear();
        self.is_cut = false;
        self.walked = self.story.tables.get(walked as usize);
        self.table()
    }

    fn table_begins(&mut self, walked: u32) -> Option<Told> {
        let table = self.enter_table(walked)?;
        let chain = self.hook.and_then(|hook| table.rules().chain(hook.chain()));
        Some(Told::Table {
            family: table.rules().family.name().to_owned(),
            table: table.rules().table.name().to_owned(),
            rules: chain.map_or(0, |chain| chain.rules.len()),
        })
    }

    fn rule_failed(&self, step: &Step, at: u32) -> Option<Told> {
        if self.detail == Detail::Short {
            return None;
        }
        let mut why = String::new();
        self.why(step, &mut why);
        rule(self.table()?, at, self.depth(), Err(why))
    }

    /// Told where it stands, with what its matches counted; a jump leads deeper from there.
    fn rule_matched(&mut self, at: usize, step: u32, counted: Option<&str>) -> Option<Told> {
        let table = self.table()?;
        let decides = self.story.ends(at, table);
        let mut told = rule(table, step, self.depth(), Ok(decides))?;
        if let Told::Rule { why, .. } = &mut told {
            *why = counted.map(str::to_owned);
        }
        self.follow(table, step);
        Some(told)
    }

    /// The rule at this step, which matched: as pieces, with what it does and whether it had the last word. The walk is followed, so a jump leads
    /// deeper from there.
    pub(in crate::explain) fn matched(&mut self, at: usize, step: u32) -> Option<(RulePieces<'a>, &'a Action, bool)> {
        let table = self.table()?;
        let decides = self.story.ends(at, table);
        let (chain, number) = table.chain_and_number(step);
        let rule = RulePieces {
            chain,
            number,
            depth: self.depth(),
            text: table.rule_text(step, rule_text)?,
        };
        let action = &table.rule(step)?.action;
        self.follow(table, step);
        Some((rule, action, decides))
    }

    fn follow(&mut self, table: &LiveTable, step: u32) {
        if self.spared.is_none() && table.rule(step).is_some_and(|rule| Spared::is_said_by(&rule.action)) {
            self.spare(Some(Spared::ByRule));
        }
        if !self.is_cut
            && let Some(rule) = table.rule(step)
            && matches!(rule.action, Action::Jump(_) | Action::Goto(_))
        {
            self.chains.push(Arc::clone(table.chain_and_number(step).0));
        }
    }

    /// The built-in chain at whose end the walk is, and its policy.
    pub(in crate::explain) fn policy(&self, step: u32) -> Option<(&'a str, Policy)> {
        let table = self.table()?;
        let chain = table.chain_and_number(step).0;
        Some((chain, policy(table, chain)))
    }

    fn policy_decided(&self, step: u32) -> Option<Told> {
        let (chain, policy) = self.policy(step)?;
        Some(Told::Policy {
            table: self.table()?.rules().table.name().to_owned(),
            policy: policy.name().to_owned(),
            chain: chain.to_owned(),
        })
    }

    fn chain_returned(&mut self, step: u32) -> Option<Told> {
        let chain = self.table()?.chain_and_number(step).0.to_string();
        while let Some(left) = self.chains.pop() {
            if *left == *chain {
                break;
            }
        }
        Some(Told::Returned {
            chain,
            depth: self.depth(),
        })
    }

    /// From here on of this walk it is not known how deep a rule stands.
    fn steps_are_left_out(&mut self, left_out: u64) -> Told {
        self.chains.clear();
        self.is_cut = true;
        Told::Cut { left_out }
    }
}

fn stopped(reason: &Reason) -> Told {
    let how = match reason {
        Reason::HeldFragment | Reason::Held { .. } => "held",
        Reason::Queued(_) => "queued",
        Reason::Rejected { .. } => "rejected",
        _ => "dropped",
    };
    let by_rules = matches!(
        reason,
        Reason::Rule(_) | Reason::Policy(_) | Reason::Rejected { .. } | Reason::Queued(_) | Reason::Held { .. }
    );
    Told::Stopped {
        how: how.to_owned(),
        reason: without_verb(&reason.to_string()).to_owned(),
        by_rules,
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
    let mut text = String::new();
    write_action(&mut text, action);
    text
}

/// Appends that; nothing where it only counts.
pub(in crate::explain) fn write_action(text: &mut String, action: &Action) {
    match action {
        Action::Nothing => {}
        Action::Accept => text.push_str("ACCEPT"),
        Action::Drop => text.push_str("DROP"),
        Action::Return => text.push_str("RETURN"),
        Action::Queue => text.push_str("QUEUE"),
        Action::Jump(chain) | Action::Goto(chain) => {
            text.push_str("into ");
            text.push_str(chain);
            if matches!(action, Action::Goto(_)) {
                text.push_str(", not to come back");
            }
        }
        Action::Target(target) => {
            text.push_str(target.name());
            target.save(text);
        }
    }
}

/// How it was stopped says the verb already.
fn without_verb(reason: &str) -> &str {
    ["dropped: ", "dropped ", "rejected ", "queued ", "held "]
        .into_iter()
        .find_map(|verb| reason.strip_prefix(verb))
        .unwrap_or(reason)
}
