//! A packet walks a table: rule by rule, into chains and back, until something decides.

use std::cell::Cell;
use std::sync::Arc;

use super::compile::{BoundAction, Step, StepKind};
use super::live::LiveTable;
use super::observer::{Event, Failed, Marks, Observer, Part, Tried};
use crate::base::{InterfaceName, Random, Time};
use crate::conntrack::{self, Tracking};
use crate::net::Net;
use crate::packet::Packet;
use crate::rule::{
    Changes, Context, Hook, Matched, Policy, Rejection, Rule, Services, State, TargetContext, TargetVerdict,
};

/// What a walk needs besides the table.
pub struct Walk<'a> {
    pub packet: &'a mut Packet,
    pub tracking: &'a mut Tracking,
    pub net: &'a Net,
    pub flows: &'a conntrack::Table,
    pub services: &'a mut dyn Services,
    /// The same that the services draw from.
    pub random: &'a Cell<Random>,
    pub hook: Hook,
    pub input: InterfaceName,
    pub output: InterfaceName,
    pub now: Time,
    /// Of the packet's route.
    pub path_mtu: Option<u32>,
    pub worker: usize,
    /// Where jumps come back to. Kept by the worker, so that a walk allocates nothing.
    pub stack: &'a mut Vec<u32>,
}

/// What a table decided, and at which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub step: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    /// A match found the transport header cut short.
    Malformed,
    /// A match dropped it.
    Dropped,
    /// It came to more rules than a packet may come to in one walk.
    TooLong,
    Reject(Rejection),
    Queue,
}

impl Walk<'_> {
    /// `None` where the table has no chain at this hook.
    pub fn run<O: Observer>(mut self, table: &Arc<LiveTable>, observer: &mut O) -> Option<Decision> {
        let compiled = &table.compiled;
        let entry = compiled.entries[self.hook as usize]?;
        // A target may send a packet that walks another table on the same worker: only what lies above `bottom` is ours.
        let bottom = self.stack.len();
        if O::WATCHING {
            observer.see(Event::Table {
                hook: self.hook,
                table,
                cx: self.context(table, None),
            });
        }
        let mut at = entry.start;
        let mut visits = Visits::new(at, compiled.steps.len());
        let decision = loop {
            let step = &compiled.steps[at as usize];
            let action = match &step.kind {
                StepKind::Rule {
                    selector,
                    matches,
                    action,
                    rule,
                } => {
                    if let Err(miss) = selector.check(self.packet, &self.input, &self.output) {
                        if O::IN_DETAIL {
                            let (part, cx) = (Part::Selector(miss), self.context(table, None));
                            observer.see(tried(table, at, step, rule, Tried::Failed(Failed { part, cx })));
                        }
                        at += 1;
                        continue;
                    }
                    match self.matches(table, matches, (at, step), rule, observer) {
                        Matched::Yes => action,
                        Matched::No => {
                            at += 1;
                            continue;
                        }
                        Matched::Malformed => {
                            break Decision {
                                verdict: Verdict::Malformed,
                                step: at,
                            };
                        }
                        Matched::Dropped => {
                            break Decision {
                                verdict: Verdict::Dropped,
                                step: at,
                            };
                        }
                    }
                }
                StepKind::Policy(policy) => {
                    table.count(self.worker, at, self.packet.len());
                    if O::WATCHING {
                        let chain = &compiled.chain(step).name;
                        observer.see(Event::Policy {
                            table: compiled.rules.table,
                            chain,
                            policy: *policy,
                            step: at,
                        });
                    }
                    let verdict = match policy {
                        Policy::Accept => Verdict::Accept,
                        Policy::Drop => Verdict::Drop,
                    };
                    break Decision { verdict, step: at };
                }
                StepKind::End => &BoundAction::Return,
            };
            if let StepKind::Rule { rule, .. } = &step.kind {
                table.count(self.worker, at, self.packet.len());
                if O::WATCHING {
                    observer.see(tried(table, at, step, rule, Tried::Matched(&rule.action)));
                }
            }
            let verdict = match action {
                BoundAction::Nothing => {
                    at += 1;
                    continue;
                }
                BoundAction::Return => {
                    // RETURN with nowhere to return to asks the policy, also inside a chain that was gone to.
                    let back = if self.stack.len() > bottom {
                        self.stack.pop().unwrap_or(entry.policy)
                    } else {
                        entry.policy
                    };
                    visits.leave(at, back);
                    at = back;
                    if O::WATCHING {
                        let from = &compiled.chain(step).name;
                        let to = &compiled.chain(&compiled.steps[at as usize]).name;
                        observer.see(Event::Returned {
                            table: compiled.rules.table,
                            from,
                            to,
                            step: at,
                        });
                    }
                    continue;
                }
                BoundAction::Jump(start) | BoundAction::Goto(start) => {
                    visits.leave(at, *start);
                    if visits.are_too_many() {
                        Verdict::TooLong
                    } else {
                        if matches!(action, BoundAction::Jump(_)) {
                            self.stack.push(at + 1);
                        }
                        at = *start;
                        continue;
                    }
                }
                BoundAction::Accept => Verdict::Accept,
                BoundAction::Drop => Verdict::Drop,
                BoundAction::Queue => Verdict::Queue,
                BoundAction::Target { target, state } => {
                    let before = O::WATCHING.then(|| Marks::of(self.packet, self.tracking));
                    let bytes_before =
                        (O::IN_DETAIL && target.effect().changes.touches(Changes::BYTES)).then(|| self.packet.clone());
                    let verdict = target.apply(&mut TargetContext {
                        packet: self.packet,
                        tracking: self.tracking,
                        net: self.net,
                        table: compiled.rules.table,
                        hook: self.hook,
                        input: self.input,
                        output: self.output,
                        now: self.now,
                        path_mtu: self.path_mtu,
                        state: state.as_deref(),
                        services: self.services,
                    });
                    match verdict {
                        TargetVerdict::Continue => {
                            if let Some(before) = before {
                                let after = Marks::of(self.packet, self.tracking);
                                let told = bytes_before.and_then(|before| target.explain(&before, self.packet));
                                observer.see(Event::Continued { before, after, told });
                            }
                            at += 1;
                            continue;
                        }
                        TargetVerdict::Accept => Verdict::Accept,
                        TargetVerdict::Drop => Verdict::Drop,
                        TargetVerdict::Reject(with) => Verdict::Reject(with),
                    }
                }
            };
            break Decision { verdict, step: at };
        };
        self.stack.truncate(bottom);
        Some(decision)
    }

    /// All matches in the order they were typed; the first that fails ends it.
    fn matches<O: Observer>(
        &mut self,
        table: &LiveTable,
        matches: &[super::compile::BoundMatch],
        (at, step): (u32, &Step),
        rule: &Arc<Rule>,
        observer: &mut O,
    ) -> Matched {
        for (index, bound) in matches.iter().enumerate() {
            let cx = self.context(table, bound.state.as_deref());
            let matched = bound.test.evaluate(&cx);
            if matched != Matched::Yes {
                if O::IN_DETAIL {
                    let part = Part::Match(index as u16);
                    observer.see(tried(table, at, step, rule, Tried::Failed(Failed { part, cx })));
                }
                return matched;
            }
        }
        Matched::Yes
    }

    fn context<'c>(&'c self, table: &LiveTable, state: Option<&'c State>) -> Context<'c> {
        Context {
            packet: self.packet,
            tracking: self.tracking,
            net: self.net,
            flows: self.flows,
            table: table.compiled.rules.table,
            hook: self.hook,
            input: self.input,
            output: self.output,
            now: self.now,
            state,
            random: self.random,
        }
    }
}

/// How many rules a walk has come to. Chains that jump into the next one twice make 2^N of N chains, and the kernel goes all that way with its
/// processor locked; a lab drops the packet. Rules are counted by the stretch, where the walk leaves one, so that a rule costs nothing, and only
/// a jump can be one too many: between two of them no rule is met twice.
struct Visits {
    /// Where the stretch at hand began.
    from: u32,
    sum: u64,
    most: u64,
}

impl Visits {
    fn new(at: u32, steps: usize) -> Self {
        Self {
            from: at,
            sum: 0,
            // A table that is larger than any sensible one is still walked whole.
            most: MOST_VISITS.max(2 * steps as u64),
        }
    }

    fn leave(&mut self, at: u32, to: u32) {
        self.sum += u64::from(at - self.from) + 1;
        self.from = to;
    }

    fn are_too_many(&self) -> bool {
        self.sum > self.most
    }
}

/// As many rules a packet may come to in one walk of a table, or twice those that the table has. A million rules, as the largest tables have, are
/// walked whole, and so is what comes round in them; a packet that comes to as many holds up the others for some hundredths of a second.
pub const MOST_VISITS: u64 = 2_000_000;

fn tried<'e>(table: &'e LiveTable, at: u32, step: &Step, rule: &'e Rule, tried: Tried<'e>) -> Event<'e> {
    Event::Rule {
        table: table.compiled.rules.table,
        chain: &table.compiled.chain(step).name,
        number: step.number,
        rule,
        step: at,
        tried,
    }
}

#[cfg(test)]
mod tests;
