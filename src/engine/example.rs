//! A router whose rules are a few words each, and who writes down the way of a packet: for this room's tests.

use std::fmt::Write;
use std::sync::Arc;

use super::{Config, Event, Fate, Observer, Report, Router, Tried, Worker};
use crate::base::{Family, InterfaceId, InterfaceMask, MarkMask, Time};
use crate::conntrack::Tracked;
use crate::net::{Closed, Net};
use crate::packet::End;
use crate::rule::{
    Action, Chain, ChainKind, Condition, Context, CopyTo, Count, CountId, Effect, Field, Lowered, Match, Matched,
    Policy, Rule, Selector, Table, TableRules, Target, TargetContext, TargetVerdict,
};
use crate::set::{Adding, Element};

/// A match that always says the same.
#[derive(Debug, PartialEq)]
struct Says(Matched);

impl Match for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    fn evaluate(&self, _cx: &Context<'_>) -> Matched {
        self.0
    }

    fn explain(&self, _cx: &Context<'_>) -> String {
        format!("{:?}", self.0)
    }

    fn save(&self, _out: &mut String) {}

    fn list(&self, _out: &mut String, _numeric: bool) {}

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// A match that asks a set about the packet's source.
#[derive(Debug, PartialEq)]
struct In(String);

impl Match for In {
    fn name(&self) -> &'static str {
        "in"
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let element = Element {
            packet: cx.packet,
            input: cx.input,
            output: cx.output,
            ends: &[End::Source],
        };
        cx.sets.get(&self.0).is_some_and(|set| set.has(&element, cx.now)).into()
    }

    fn explain(&self, _cx: &Context<'_>) -> String {
        format!("not in {}", self.0)
    }

    fn save(&self, _out: &mut String) {}

    fn list(&self, _out: &mut String, _numeric: bool) {}

    fn sets(&self) -> Vec<&str> {
        vec![&self.0]
    }
}

/// A match of the packet's mark, which says of itself what it asks.
#[derive(Debug, PartialEq)]
struct Marked(MarkMask);

impl Match for Marked {
    fn name(&self) -> &'static str {
        "marked"
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.0.matches(cx.packet.mark).into()
    }

    fn lower(&self) -> Lowered {
        Lowered::exactly(vec![Condition::Is(Field::Mark(self.0))])
    }

    fn effect(&self) -> Effect {
        Effect::PURE
    }

    fn explain(&self, _cx: &Context<'_>) -> String {
        "another mark".to_owned()
    }

    fn save(&self, _out: &mut String) {}

    fn list(&self, _out: &mut String, _numeric: bool) {}
}

/// A match that every packet meets, and that says something of it.
#[derive(Debug, PartialEq)]
struct Tells(String);

impl Match for Tells {
    fn name(&self) -> &'static str {
        "tells"
    }

    fn evaluate(&self, _cx: &Context<'_>) -> Matched {
        Matched::Yes
    }

    fn explain(&self, _cx: &Context<'_>) -> String {
        String::new()
    }

    fn explain_match(&self, _cx: &Context<'_>) -> Option<String> {
        Some(self.0.clone())
    }

    fn save(&self, _out: &mut String) {}

    fn list(&self, _out: &mut String, _numeric: bool) {}
}

/// A target that does one thing.
#[derive(Clone, Debug, PartialEq)]
enum Does {
    Decide(TargetVerdict),
    Mark(u32),
    /// The source goes into a set, for so many seconds.
    Add(String, u32),
    Remove(String),
    Untrack,
}

impl Target for Does {
    fn name(&self) -> &'static str {
        "DOES"
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        match self {
            Self::Decide(verdict) => return *verdict,
            Self::Mark(mark) => cx.packet.mark = *mark,
            Self::Add(name, _) | Self::Remove(name) => {
                let element = Element {
                    packet: cx.packet,
                    input: cx.input,
                    output: cx.output,
                    ends: &[End::Source],
                };
                match (cx.sets.get(name), self) {
                    (Some(set), Self::Add(_, seconds)) => {
                        let adding = Adding {
                            timeout: Some(*seconds),
                            ..Adding::default()
                        };
                        set.add(&element, adding, cx.now);
                    }
                    (Some(set), _) => set.remove(&element, cx.now),
                    (None, _) => {}
                }
            }
            Self::Untrack => cx.tracking.state = Some(crate::conntrack::CtState::Untracked),
        }
        TargetVerdict::Continue
    }

    fn save(&self, _out: &mut String) {}

    fn list(&self, _out: &mut String, _numeric: bool) {}

    fn sets(&self) -> Vec<&str> {
        match self {
            Self::Add(name, _) | Self::Remove(name) => vec![name],
            _ => Vec::new(),
        }
    }
}

/// A rule in words: conditions (`from lan`, `marked 7`, `yes`, `no`, `broken`, `tells WORD`, `in SET`), then what is done (nothing: counts only).
pub(super) fn rule(words: &str) -> Arc<Rule> {
    let mut selector = Selector::any(Family::V4);
    let mut matches: Vec<Arc<dyn Match>> = Vec::new();
    let mut action = Action::Nothing;
    let target = |does| Action::Target(Arc::new(does));
    let mut words = words.split(' ').filter(|it| !it.is_empty());
    while let Some(word) = words.next() {
        let mut argument = || words.next().unwrap().to_owned();
        match word {
            "from" => selector.input = InterfaceMask::new(&argument()).unwrap(),
            "to" => selector.output = InterfaceMask::new(&argument()).unwrap(),
            "marked" => {
                let value = argument().parse().unwrap();
                matches.push(Arc::new(Marked(MarkMask { value, mask: u32::MAX })));
            }
            "yes" => matches.push(Arc::new(Says(Matched::Yes))),
            "no" => matches.push(Arc::new(Says(Matched::No))),
            "broken" => matches.push(Arc::new(Says(Matched::Malformed))),
            "tells" => matches.push(Arc::new(Tells(argument()))),
            "in" => matches.push(Arc::new(In(argument()))),
            "accept" => action = Action::Accept,
            "drop" => action = Action::Drop,
            "return" => action = Action::Return,
            "queue" => action = Action::Queue,
            "jump" => action = Action::Jump(argument()),
            "goto" => action = Action::Goto(argument()),
            "ACCEPT" => action = target(Does::Decide(TargetVerdict::Accept)),
            "DROP" => action = target(Does::Decide(TargetVerdict::Drop)),
            "CONTINUE" => action = target(Does::Decide(TargetVerdict::Continue)),
            "MARK" => action = target(Does::Mark(argument().parse().unwrap())),
            "ADD" => action = target(Does::Add(argument(), argument().parse().unwrap())),
            "COPY" => {
                let gateway = argument().parse().unwrap();
                let to = CopyTo {
                    gateway,
                    interface: None,
                };
                action = target(Does::Decide(TargetVerdict::ContinueBeside(to)));
            }
            "REMOVE" => action = target(Does::Remove(argument())),
            "UNTRACK" => action = target(Does::Untrack),
            _ => panic!("no word of a rule: {word}"),
        }
    }
    Arc::new(Rule {
        id: CountId::fresh(),
        count: Count::Keep,
        selector,
        matches,
        action,
    })
}

/// A table of chains in words: `FORWARD drop` is a built-in chain with its policy, then a rule a line.
pub(super) fn table(table: Table, chains: &[(&str, &[&str])]) -> TableRules {
    let mut rules = TableRules::new(Family::V4, table);
    for (head, lines) in chains {
        let (name, policy) = head.split_once(' ').unwrap_or((head, ""));
        if rules.chain(name).is_none() {
            rules.chains.push(Chain {
                name: name.to_owned(),
                kind: ChainKind::User,
                rules: Vec::new(),
            });
        }
        let chain = rules.chain_mut(name).unwrap();
        if let ("drop", ChainKind::BuiltIn { policy, .. }) = (policy, &mut chain.kind) {
            *policy = Policy::Drop;
        }
        chain.rules = lines.iter().map(|words| rule(words)).collect();
    }
    rules
}

/// A router at an example's net, with one worker.
pub(super) struct Example {
    pub router: Router,
    pub worker: Worker,
    pub now: Time,
}

impl Example {
    pub(super) fn new(net: Net) -> Self {
        let router = Router::new(Config::new(net), 1, 1, Box::new(Closed));
        let worker = router.workers().remove(0);
        let now = Time::from_secs(1000);
        Self { router, worker, now }
    }

    pub(super) fn with(net: Net, tables: impl IntoIterator<Item = TableRules>) -> Self {
        let example = Self::new(net);
        for rules in tables {
            example.router.replace(rules, example.now).unwrap();
        }
        example
    }

    /// A packet comes in; its way in words, and what became of it.
    pub(super) fn receive(&mut self, interface: InterfaceId, bytes: &[u8]) -> (Way, Report) {
        let mut way = Way::default();
        let report = self
            .router
            .receive(&mut self.worker, self.now, interface, bytes, &mut way);
        (way, report)
    }

    /// The router sends one.
    pub(super) fn send(&mut self, bytes: &[u8]) -> (Way, Report) {
        let mut way = Way::default();
        let report = self.router.send(&mut self.worker, self.now, bytes, &mut way);
        (way, report)
    }

    /// What each rule and policy of a table has counted: packets, chain by chain.
    pub(super) fn counted(&self, table: Table) -> Vec<(String, Vec<u64>)> {
        let counters = self.router.counters(Family::V4, table);
        let rules = self.router.table(Family::V4, table);
        let packets = |id: &CountId| counters.get(id).copied().unwrap_or_default().packets;
        let of_chain = |chain: &Chain| {
            let mut counted: Vec<u64> = chain.rules.iter().map(|rule| packets(&rule.id)).collect();
            if let ChainKind::BuiltIn { id, .. } = &chain.kind {
                counted.push(packets(id));
            }
            (chain.name.clone(), counted)
        };
        rules.chains.iter().map(of_chain).collect()
    }
}

/// The way of a packet, as words.
#[derive(Default)]
pub(super) struct Way {
    /// Hooks and tables as they came.
    pub stages: Vec<String>,
    /// Rules, policies and returns as they came: `FORWARD 1 no`, `a 1`, `a back to FORWARD`, `FORWARD accept`.
    pub rules: Vec<String>,
    /// What happened besides: tracked, translated, delivered, sent.
    pub told: Vec<String>,
}

impl Observer for Way {
    const WATCHING: bool = true;

    fn see(&mut self, event: Event<'_>) {
        match event {
            Event::Hook { hook, .. } => self.stages.push(hook.chain().to_owned()),
            Event::Table { table, .. } => self.stages.push(table.rules().table.name().to_owned()),
            Event::Rule {
                chain,
                number,
                rule,
                tried,
                ..
            } => {
                let mut line = format!("{chain} {number}");
                match tried {
                    Tried::Failed(failed) => {
                        line.push_str(" failed: ");
                        failed.why(rule, &mut line);
                    }
                    Tried::Matched { told: Some(told), .. } => {
                        let _ = write!(line, ": {told}");
                    }
                    Tried::Matched { told: None, .. } => {}
                }
                self.rules.push(line);
            }
            Event::Policy { chain, policy, .. } => self.rules.push(format!("{chain} {policy:?}")),
            Event::Returned { from, to, .. } => self.rules.push(format!("{from} back to {to}")),
            Event::Continued { before, after, .. } if before != after => {
                self.rules
                    .push(format!("mark {} becomes {}", before.packet, after.packet));
            }
            Event::Tracked { tracking, made } => {
                let mut line = format!("tracked {:?}", tracking.state);
                if let Tracked::Drop(reason) = made {
                    let _ = write!(line, ", dropped: {reason}");
                }
                self.told.push(line);
            }
            Event::Reassembled { .. } => self.told.push("reassembled".to_owned()),
            Event::NatNotAsked { hook, why, .. } => self.told.push(format!("{} nat not asked: {why:?}", hook.chain())),
            Event::Routed { .. } => self.told.push("routed".to_owned()),
            Event::RoutedOut { again, .. } => self
                .told
                .push(if again { "routed anew" } else { "routed out" }.to_owned()),
            Event::Sent { interface, .. } => self.told.push(format!("sent by {interface}")),
            Event::Delivered { .. } => self.told.push("delivered".to_owned()),
            Event::Copied { .. } => self.told.push("copied".to_owned()),
            Event::Unanswered { .. } => self.told.push("unanswered".to_owned()),
            Event::Stopped { reason } => self.told.push(format!("stopped: {reason}")),
            _ => {}
        }
    }
}

/// The last of a packet, in a word.
pub(super) fn fate(report: &Report) -> String {
    match &report.fate {
        Fate::Stopped(reason) => reason.to_string(),
        fate => format!("{fate:?}"),
    }
}
