//! A packet walks a table: rule by rule, into chains and back, until something decides.

use std::cell::Cell;
use std::sync::Arc;

use super::bound::{BoundMatch, BoundRule};
use super::compile::{CompiledTable, Entry, PolicyEnd, Step, StepKind};
use super::foreseen::Foreseen;
use super::guide::Guide;
use super::live::LiveTable;
use super::observer::{Event, Failed, LastWord, Marks, Observer, Part, Tried};
use super::outcome::{Does, Outcome};
use super::short_way::Notes;
use crate::base::{InterfaceName, Random, Time};
use crate::classify::Key;
use crate::conntrack::{self, Tracking};
use crate::net::Net;
use crate::packet::Packet;
use crate::rule::{
    Changes, Context, CopyTo, Hook, Matched, Miss, Policy, QueueTo, Rejection, Rule, SelectorFields, Services, State,
    Target, TargetContext, TargetVerdict, WayOut,
};

/// What a walk needs besides the table.
pub(super) struct Walk<'a> {
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
    pub way: Option<WayOut>,
    pub worker: usize,
    /// Where jumps come back to. Kept by the worker, so that a walk allocates nothing.
    pub stack: &'a mut Vec<u32>,
    /// What is written down of the packet's way, if anything is.
    pub notes: &'a mut Notes,
}

/// What a table decided, and at which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub verdict: Verdict,
    pub step: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    /// A match found the transport header cut short.
    Malformed,
    /// A match dropped it.
    Dropped,
    /// It came to more rules than a packet may come to in one walk.
    TooLong,
    Reject(Rejection),
    Queue(QueueTo),
}

/// How far a walk came.
pub(super) enum Walked {
    Decided(Decision),
    /// A copy of the packet is to be sent; then it goes on.
    Beside(CopyTo, Pause),
}

/// Where a walk goes on.
pub(super) struct Pause {
    at: u32,
    /// A copy walks other tables on the same worker meanwhile: only what lies above is ours.
    bottom: usize,
    visits: Visits,
}

impl Walk<'_> {
    /// `None` where the table has no chain at this hook.
    pub(super) fn run<O: Observer>(
        self,
        table: &Arc<LiveTable>,
        foreseen: &mut Foreseen,
        observer: &mut O,
    ) -> Option<Walked> {
        let compiled = &table.compiled;
        let entry = compiled.entries[self.hook as usize]?;
        if O::WATCHING {
            observer.see(Event::Table {
                hook: self.hook,
                table,
                cx: self.context(table, None),
            });
        }
        let start = Pause {
            at: entry.start,
            bottom: self.stack.len(),
            visits: Visits::new(entry.start, compiled.steps.len()),
        };
        self.go_on(table, start, foreseen, observer)
    }

    pub(super) fn go_on<O: Observer>(
        mut self,
        table: &Arc<LiveTable>,
        from: Pause,
        foreseen: &mut Foreseen,
        observer: &mut O,
    ) -> Option<Walked> {
        let compiled = &table.compiled;
        let entry = compiled.entries[self.hook as usize]?;
        let Pause { at, bottom, mut visits } = from;
        // Read where the first rule asks: many a table has a policy alone.
        let mut fields = None;
        // An index knows nothing of rules that drop what they cannot read.
        let sees_all = O::IN_DETAIL || self.packet.has_broken_chain();
        let mut guide = Guide::new(compiled, sees_all, foreseen);
        guide.enter(at);
        let mut next = guide.next(at, |asks_names| self.key(asks_names));
        let verdict = loop {
            let at = next.at;
            let outcome = compiled.outcomes.at(at);
            // What is met for certain is counted, and does what it does; of how it is met somebody may want to know.
            if (next.matches || outcome.does.is_policy()) && !O::WATCHING && !self.notes.are_taken() {
                self.met(table, outcome);
            } else {
                let step = &compiled.steps[at as usize];
                match &step.kind {
                    StepKind::Rule(bound) if next.matches && !O::WATCHING => {
                        if !bound.matches.is_empty() {
                            self.notes.asks(bound);
                        }
                        self.counts(table, bound, outcome);
                    }
                    StepKind::Rule(bound) => {
                        match self.asks(table, (at, step, outcome), bound, &mut fields, observer) {
                            Matched::Yes => {}
                            Matched::No => {
                                next = guide.next(at + 1, |asks_names| self.key(asks_names));
                                continue;
                            }
                            Matched::Malformed => break Verdict::Malformed,
                            Matched::Dropped => break Verdict::Dropped,
                        }
                    }
                    StepKind::Policy(end) => self.policy(table, (at, step, outcome), end, observer),
                    StepKind::End => {}
                }
            }
            next = match outcome.does {
                Does::Nothing => guide.next(at + 1, |asks_names| self.key(asks_names)),
                Does::Return | Does::End => {
                    let back = self.comes_back(bottom, entry);
                    visits.leave(at, back);
                    if O::WATCHING {
                        observer.see(returned(compiled, &compiled.steps[at as usize], back));
                    }
                    guide.enter(back);
                    guide.next(back, |asks_names| self.key(asks_names))
                }
                Does::Jump | Does::Goto => {
                    let leads_to = compiled.steps[at as usize].leads_to;
                    visits.leave(at, leads_to);
                    if visits.are_too_many() {
                        break Verdict::TooLong;
                    }
                    if outcome.does == Does::Jump {
                        self.stack.push(at + 1);
                    }
                    guide.enter(leads_to);
                    guide.next(leads_to, |asks_names| self.key(asks_names))
                }
                Does::Accept | Does::Policy(Policy::Accept) => break Verdict::Accept,
                Does::Drop | Does::Policy(Policy::Drop) => break Verdict::Drop,
                Does::Queue => {
                    self.notes.stop();
                    break Verdict::Queue(QueueTo::FIRST);
                }
                Does::Target => {
                    // There is one: the outcome was made of it.
                    let Some((target, state, plain)) = compiled.target(at) else {
                        break Verdict::Drop;
                    };
                    self.notes.needs(plain);
                    match self.applies(table, target, state, observer) {
                        TargetVerdict::Continue => {
                            fields = None;
                            guide.changed(target.effect().changes);
                            guide.next(at + 1, |asks_names| self.key(asks_names))
                        }
                        TargetVerdict::ContinueBeside(to) => {
                            let at = at + 1;
                            return Some(Walked::Beside(to, Pause { at, bottom, visits }));
                        }
                        TargetVerdict::Accept => break Verdict::Accept,
                        TargetVerdict::Drop => break Verdict::Drop,
                        TargetVerdict::Queue(to) => break Verdict::Queue(to),
                        TargetVerdict::Reject(with) => break Verdict::Reject(with),
                    }
                }
            };
        };
        self.stack.truncate(bottom);
        Some(Walked::Decided(Decision { verdict, step: next.at }))
    }

    /// What an index knows the packet by, as it is now.
    #[inline(always)]
    fn key(&self, asks_names: bool) -> Key {
        let names = asks_names.then_some((&self.input, &self.output));
        Key::new(self.packet, self.tracking, names)
    }

    /// Whether the rule at a step matches, which counts it then.
    #[inline(always)]
    fn asks<O: Observer>(
        &mut self,
        table: &LiveTable,
        (at, step, outcome): (u32, &Step, Outcome),
        bound: &BoundRule,
        fields: &mut Option<SelectorFields>,
        observer: &mut O,
    ) -> Matched {
        let BoundRule { matches, rule, .. } = bound;
        if !bound.traits.asks_by_matches_alone {
            let selector = &bound.selector;
            let fields = fields.get_or_insert_with(|| SelectorFields::of(self.packet, &self.input, &self.output));
            match selector.check(fields) {
                // Asked of the packet first: most have none that could be broken.
                Ok(()) | Err(Miss::Protocol) if self.packet.has_broken_chain() && selector.needs_a_protocol() => {
                    return Matched::Malformed;
                }
                Ok(()) => {}
                Err(miss) => {
                    if O::IN_DETAIL {
                        let (part, cx) = (Part::Selector(miss), self.context(table, None));
                        observer.see(tried(table, at, step, rule, Tried::Failed(Failed { part, cx })));
                    }
                    return Matched::No;
                }
            }
        }
        if !matches.is_empty() {
            self.notes.asks(bound);
        }
        let matched = self.matches(table, matches, (at, step), rule, observer);
        if matched == Matched::Yes {
            self.counts(table, bound, outcome);
            if O::WATCHING {
                let told = match O::IN_DETAIL {
                    true => self.told(table, matches),
                    false => None,
                };
                let action = &rule.action;
                observer.see(tried(table, at, step, rule, Tried::Matched { action, told }));
            }
        }
        matched
    }

    /// Counts the packet at a step that it has met.
    #[inline]
    fn met(&self, table: &LiveTable, outcome: Outcome) {
        table.compiled.outcomes.count(outcome, self.worker, self.packet.len());
    }

    #[inline]
    fn counts(&mut self, table: &LiveTable, bound: &BoundRule, outcome: Outcome) {
        self.met(table, outcome);
        // What the rule itself says is asked only then: it lies elsewhere in memory.
        if self.notes.are_taken() {
            let word = LastWord::Rule(bound.rule.id);
            self.notes
                .counts(&bound.counter, self.worker, table.compiled.rules.table, word);
        }
    }

    /// The end of a built-in chain.
    #[inline]
    fn policy<O: Observer>(
        &mut self,
        table: &LiveTable,
        (at, step, outcome): (u32, &Step, Outcome),
        end: &PolicyEnd,
        observer: &mut O,
    ) {
        let policy = end.policy;
        self.met(table, outcome);
        let word = LastWord::Policy(self.hook);
        self.notes
            .counts(&end.counter, self.worker, table.compiled.rules.table, word);
        if O::WATCHING {
            let chain = &table.compiled.chain(step).name;
            observer.see(Event::Policy {
                table: table.compiled.rules.table,
                chain,
                policy,
                step: at,
            });
        }
    }

    /// Where RETURN leads. With nowhere to return to it asks the policy, also inside a chain that was gone to.
    #[inline]
    fn comes_back(&mut self, bottom: usize, entry: Entry) -> u32 {
        match self.stack.len() > bottom {
            true => self.stack.pop().unwrap_or(entry.policy),
            false => entry.policy,
        }
    }

    #[inline]
    fn applies<O: Observer>(
        &mut self,
        table: &LiveTable,
        target: &dyn Target,
        state: Option<&State>,
        observer: &mut O,
    ) -> TargetVerdict {
        let before = O::WATCHING.then(|| Marks::of(self.packet, self.tracking));
        let is_edited = O::IN_DETAIL && target.effect().changes.touches(Changes::BYTES);
        let bytes_before = is_edited.then(|| self.packet.clone());
        let verdict = target.apply(&mut TargetContext {
            packet: self.packet,
            tracking: self.tracking,
            net: self.net,
            sets: &table.compiled.sets,
            table: table.compiled.rules.table,
            hook: self.hook,
            input: self.input,
            output: self.output,
            now: self.now,
            way: self.way,
            state,
            services: self.services,
        });
        if let Some(before) = before
            && verdict.continues()
        {
            let after = Marks::of(self.packet, self.tracking);
            let told = match bytes_before {
                Some(before) => target.explain(&before, self.packet),
                None if O::IN_DETAIL => target.explain(self.packet, self.packet),
                None => None,
            };
            observer.see(Event::Continued { before, after, told });
        }
        verdict
    }

    /// All matches in the order they were typed; the first that fails ends it.
    fn matches<O: Observer>(
        &mut self,
        table: &LiveTable,
        matches: &[BoundMatch],
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

    /// What matches that were met say of what they have counted.
    fn told(&self, table: &LiveTable, matches: &[BoundMatch]) -> Option<String> {
        let told = |bound: &BoundMatch| {
            let cx = self.context(table, bound.state.as_deref());
            bound.test.explain_match(&cx)
        };
        let told: Vec<String> = matches.iter().filter_map(told).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn context<'c>(&'c self, table: &'c LiveTable, state: Option<&'c State>) -> Context<'c> {
        Context {
            packet: self.packet,
            tracking: self.tracking,
            net: self.net,
            flows: self.flows,
            sets: &table.compiled.sets,
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

fn returned<'e>(compiled: &'e CompiledTable, from: &Step, to: u32) -> Event<'e> {
    Event::Returned {
        table: compiled.rules.table,
        from: &compiled.chain(from).name,
        to: &compiled.chain(&compiled.steps[to as usize]).name,
        step: to,
    }
}

#[cfg(test)]
mod tests;
