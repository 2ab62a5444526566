//! What became of a packet: an observer that keeps what the engine shows it, and is told when someone asks, short or whole.
//!
//! Of thousands of packets few are ever asked about, so nothing is made into text while packets pass. A rule that did not match is kept as its
//! place in the table and the part that failed; the sentence is made when it is read. It needs what the match looked at, as it was then: so each
//! walk of a table keeps one `Moment` (a copy of the packet, of its tracking and of its flow), and another after each target that changed the
//! packet. The other forms were a sentence a rule (half a microsecond each, in vain), a small datum a match (its shape another in each extension,
//! and each extension's sentence written twice), and a second run of the packet (whose flow and tokens are not what they were). What no copy
//! of the packet holds is the state of the match itself (the tokens of `limit`): [`Match::remember`](crate::rule::Match::remember) copies that.
//!
//! A packet may come to millions of rules, in few chains that jump into each other. Of one step more than [`MOST_STEPS`] a story keeps the first
//! time only that a packet came to a rule in a walk: so it is no longer than that and the tables walked, and still knows of every rule whether it was come to.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use super::account::Account;
use super::text;
use crate::base::{InterfaceName, Random, Time};
use crate::conntrack::{self, CtState, Direction, Flow, Tracked, Tracking};
use crate::engine::{Config, Event, Failed, LiveTable, Marks, NatNotAsked, Observer, Part, Reason, Tried, VerdictKind};
use crate::helper::Heard;
use crate::nat::Manip;
use crate::net::{InputRoute, OutputKey, OutputRoute, Suppressed};
use crate::packet::Packet;
use crate::rule::{Action, Context, Hook, LogRecord, State, Table};
use crate::set::HeldSets;

/// Everything that was seen of one packet and of what it caused.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub(super) number: u64,
    pub(super) config: Option<Arc<Config>>,
    pub(super) steps: Vec<Step>,
    /// The tables that were walked, in order.
    pub(super) tables: Vec<Arc<LiveTable>>,
    pub(super) moments: Vec<Moment>,
    /// Copies of the states that matches failed by.
    remembered: Vec<Arc<State>>,
    /// The bytes of all packets that are shown, one after the other.
    bytes: Vec<u8>,
    /// What became of the packet, and its state.
    pub(super) report: Option<(&'static str, Option<CtState>)>,
    /// The last moment is no longer what matches see.
    stale: bool,
    /// Room that the moments take, about.
    weight: usize,
    /// Packets of the router's own that are not done.
    own_open: u32,
    walk: WalkKept,
    /// Of the packets that the router's own ones at hand were sent beside, or because of.
    outer: Vec<WalkKept>,
    /// True from the coming of a packet of the router's own to its OUTPUT: any other OUTPUT begins an answer or a complaint.
    own_awaited: bool,
}

/// What is kept of the walk at hand.
#[derive(Clone, Debug, Default)]
struct WalkKept {
    /// Where the LOG rules that it came to have room for their lines; `None` for a rule that is left out. The engine shows the lines once the
    /// table is walked.
    lines_due: VecDeque<Option<u32>>,
    /// The rule before writes a line.
    logs: bool,
    /// The rules that are told, once there are too many steps.
    told: Option<HashSet<u32>>,
    /// Where the story says that it leaves steps out.
    cut: Option<u32>,
    /// The rule before matched and is left out: it may have decided.
    left_out: Option<u32>,
}

/// How much to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A line for each table that decided something: the rule that did.
    Short,
    /// Every rule, and why not.
    Whole,
}

/// The rule or policy that had the last word in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deciding {
    /// The hook at which the table was walked.
    pub hook: Hook,
    /// The table that was walked.
    pub table: Table,
    /// The chain in which the walk ended, built-in or of the user's.
    pub chain: String,
    /// `None`: the policy.
    pub number: Option<u32>,
}

/// A stretch of the story's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// What matches looked at.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    packet: Packet,
    /// With a copy of the flow.
    tracking: Tracking,
    hook: Hook,
    input: InterfaceName,
    output: InterfaceName,
    now: Time,
}

/// What tracking made of a packet, and what is told of its flow.
#[derive(Clone, Debug)]
pub(super) struct TrackedAs {
    pub state: Option<CtState>,
    pub direction: Direction,
    /// The numbers of those packets of the flow.
    pub opened_and_answered_by: Option<(u64, u64)>,
    pub made: Tracked,
}

/// Most are rules that failed, a hundred in a story, so what is large is boxed: a step is as large as the largest.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Arrived {
        interface: Option<InterfaceName>,
        packet: Span,
    },
    Reassembled(Span),
    /// The router answers or complains: a packet of its own begins here.
    Own(Span),
    OwnDone,
    /// The router's own broadcast is copied for itself: the copy's way begins here.
    Copied(Span),
    CopyDone,
    Hook(Hook),
    /// The table at this place of `tables`.
    Table(u32),
    Failed {
        step: u32,
        part: Part,
        moment: u32,
        /// A place in `remembered`.
        remembered: Option<NonZeroU32>,
    },
    Matched {
        step: u32,
    },
    /// The target of the rule before let the packet go on, perhaps with another mark.
    Continued {
        from: u32,
        to: u32,
    },
    /// And gave its flow another mark.
    FlowMarked {
        from: u32,
        to: u32,
    },
    /// And says itself what it did.
    Edited(Box<str>),
    Policy {
        step: u32,
    },
    Returned {
        step: u32,
    },
    /// So many steps are left out, and from here on of this walk what shows how deep a rule stands.
    Cut(u64),
    Tracked(Box<TrackedAs>),
    Routed(Box<(InputRoute, Packet)>),
    RoutedOut(Box<(OutputRoute, OutputKey)>),
    /// The same, because OUTPUT changed what it depends on.
    RoutedAgain(Box<(OutputRoute, OutputKey)>),
    NatNotAsked {
        manip: Manip,
        why: NatNotAsked,
    },
    Translated {
        manip: Manip,
        before: Span,
        after: Span,
    },
    Helped {
        heard: Box<Heard>,
        before: Span,
        after: Span,
    },
    /// `None`: the rule wrote none.
    Logged(Option<Box<LogRecord>>),
    Sent {
        interface: InterfaceName,
        packet: Span,
    },
    Delivered(Span),
    /// Who listens at a queue has decided.
    Resumed {
        queue: u16,
        kind: VerdictKind,
        mark: Option<u32>,
        bytes: Option<Span>,
    },
    Unanswered(Suppressed),
    Stopped(Box<Reason>),
}

impl Observer for Story {
    const WATCHING: bool = true;

    fn see(&mut self, event: Event<'_>) {
        if !matches!(
            event,
            Event::Rule { .. } | Event::Continued { .. } | Event::Returned { .. }
        ) && let Some(step) = self.walk.left_out.take()
        {
            self.steps.push(Step::Matched { step });
        }
        let step = match event {
            Event::Arrived {
                number,
                interface,
                bytes,
                config,
            } => {
                self.number = number;
                self.own_awaited = interface.is_none();
                self.config.get_or_insert_with(|| Arc::clone(config));
                let packet = self.keep(bytes);
                Step::Arrived { interface, packet }
            }
            Event::Reassembled { packet } => Step::Reassembled(self.keep(packet.bytes())),
            Event::Hook { hook, packet, config } => {
                // What time alone causes begins with a hook: nothing arrives.
                self.config.get_or_insert_with(|| Arc::clone(config));
                if hook == Hook::Output && !std::mem::take(&mut self.own_awaited) {
                    let own = self.keep(packet.bytes());
                    self.own_open += 1;
                    self.outer.push(std::mem::take(&mut self.walk));
                    self.steps.push(Step::Own(own));
                }
                Step::Hook(hook)
            }
            Event::Table { table, cx, .. } => {
                self.walk = WalkKept::default();
                self.tables.push(Arc::clone(table));
                self.look(&cx);
                Step::Table(self.tables.len() as u32 - 1)
            }
            Event::Rule { step, tried, .. } => {
                let matched = matches!(tried, Tried::Matched(_));
                self.walk.logs = matches!(tried, Tried::Matched(Action::Target(target)) if target.name() == "LOG");
                self.walk.left_out = None;
                if !self.has_room_for(step) {
                    self.walk.left_out = matched.then_some(step);
                    return self.leave_out();
                }
                match tried {
                    Tried::Matched(_) => Step::Matched { step },
                    Tried::Failed(failed) => self.failed(step, &failed),
                }
            }
            Event::Continued { before, after, told } => return self.continued(before, after, told),
            Event::Policy { step, .. } => Step::Policy { step },
            Event::Returned { .. } if self.is_full() => return self.leave_out(),
            Event::Returned { step, .. } => Step::Returned { step },
            Event::Tracked { tracking, made } => Step::Tracked(Box::new(TrackedAs {
                state: tracking.state,
                direction: tracking.direction,
                opened_and_answered_by: tracking.flow.as_ref().map(|flow| {
                    let state = flow.lock();
                    (state.opened_by, state.answered_by)
                }),
                made: made.clone(),
            })),
            Event::Routed { decision, packet, .. } => Step::Routed(Box::new((*decision, packet.clone()))),
            Event::RoutedOut { route, key, again, .. } => match again {
                false => Step::RoutedOut(Box::new((*route, key))),
                true => Step::RoutedAgain(Box::new((*route, key))),
            },
            Event::NatNotAsked { manip, why, .. } => Step::NatNotAsked { manip, why },
            Event::Translated {
                manip, before, after, ..
            } => Step::Translated {
                manip,
                before: self.keep(before.bytes()),
                after: self.keep(after.bytes()),
            },
            Event::Helped { heard, before, after } => Step::Helped {
                heard: Box::new(heard.clone()),
                before: self.keep(before.bytes()),
                after: self.keep(after.bytes()),
            },
            Event::Logged(record) => return self.logged(record),
            Event::Sent { interface, packet } => Step::Sent {
                interface,
                packet: self.keep(packet),
            },
            Event::Delivered { packet } => Step::Delivered(self.keep(packet.bytes())),
            Event::OwnDone => {
                // A program's packet is the one that is told of, and nothing goes on after it.
                let Some(open) = self.own_open.checked_sub(1) else {
                    return;
                };
                self.own_open = open;
                self.walk = self.outer.pop().unwrap_or_default();
                self.stale = true;
                Step::OwnDone
            }
            Event::Copied { packet } => Step::Copied(self.keep(packet.bytes())),
            Event::CopyDone => Step::CopyDone,
            Event::Resumed { queue, hook, verdict } => {
                // Its OUTPUT is no other packet's.
                self.own_awaited = hook == Hook::Output;
                let bytes = verdict.bytes.as_deref().map(|bytes| self.keep(bytes));
                Step::Resumed {
                    queue,
                    kind: verdict.kind,
                    mark: verdict.mark,
                    bytes,
                }
            }
            Event::NotCopied { why } => Step::Edited(format!("no copy: {why}").into()),
            Event::Unanswered { why } => Step::Unanswered(why),
            Event::Stopped { reason } => Step::Stopped(Box::new(reason.clone())),
            Event::Reported(report) => {
                self.report = Some((report.fate.verdict(), report.state));
                return;
            }
        };
        self.steps.push(step);
    }
}

impl Story {
    /// Forgets it all and keeps its room, for the next packet.
    pub fn clear(&mut self) {
        self.number = 0;
        self.report = None;
        self.config = None;
        self.steps.clear();
        self.tables.clear();
        self.moments.clear();
        self.remembered.clear();
        self.bytes.clear();
        self.own_awaited = false;
        self.stale = false;
        self.weight = 0;
        self.own_open = 0;
        self.outer.clear();
        self.walk = WalkKept::default();
    }

    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        self.weight + self.bytes.len() + self.steps.len() * size_of::<Step>()
    }

    /// The number of the packet, from 1; 0 before anything was seen.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What decided, table by table, in the order of the packet's way; of the first packet only, not of answers to it.
    pub fn deciding(&self) -> Vec<Deciding> {
        let mut found = Vec::new();
        let mut hook = None;
        let mut table = None;
        for (at, step) in self.of_the_packet() {
            let (step, is_policy) = match step {
                Step::Hook(reached) => {
                    (hook, table) = (Some(*reached), None);
                    continue;
                }
                Step::Table(walked) => {
                    table = self.tables.get(*walked as usize);
                    continue;
                }
                Step::Matched { step } if table.is_some_and(|table| self.ends(at, table)) => (*step, false),
                Step::Policy { step } => (*step, true),
                _ => continue,
            };
            if let (Some(hook), Some(table)) = (hook, table) {
                let (chain, number) = table.chain_and_number(step);
                found.push(Deciding {
                    hook,
                    table: table.rules().table,
                    chain: chain.to_string(),
                    number: (!is_policy).then_some(number),
                });
            }
        }
        found
    }

    /// Whether the rule that matched at this place of the steps had the last word in this table, which is walked there.
    pub(super) fn ends(&self, at: usize, table: &LiveTable) -> bool {
        let Some(Step::Matched { step }) = self.steps.get(at) else {
            return false;
        };
        match table.rule(*step).map(|rule| &rule.action) {
            Some(Action::Accept | Action::Drop | Action::Queue) => true,
            Some(Action::Target(_)) => !matches!(self.steps.get(at + 1), Some(Step::Continued { .. })),
            Some(Action::Nothing | Action::Return | Action::Jump(_) | Action::Goto(_)) | None => false,
        }
    }

    /// All of it, in words: what the text, JSON and the picture are made of.
    pub fn account(&self) -> Account {
        Account::of(self, Detail::Whole)
    }

    /// For people: lines without colour, which end with a line feed.
    pub fn render(&self, detail: Detail) -> String {
        let mut text = String::with_capacity(1 << 10);
        self.render_to(&mut text, detail);
        text
    }

    /// With colours, for a terminal.
    pub fn render_styled(&self, detail: Detail) -> String {
        let mut text = String::with_capacity(1 << 10);
        self.render_styled_to(&mut text, detail);
        text
    }

    /// Appends it to a text, whose room serves again for the next packet's.
    pub fn render_to(&self, text: &mut String, detail: Detail) {
        text::render(text, self, detail, text::Colour::Never);
    }

    /// [`Self::render_to`] with colours, for a terminal.
    pub fn render_styled_to(&self, text: &mut String, detail: Detail) {
        text::render(text, self, detail, text::Colour::Always);
    }

    /// The steps of the packet itself, with their places: what the router sends because of it is another's, and so is what of that comes round.
    pub(super) fn of_the_packet(&self) -> impl Iterator<Item = (usize, &Step)> {
        let (mut depth, mut others) = (0u32, false);
        self.steps.iter().enumerate().filter(move |(_, step)| {
            match step {
                Step::Copied(_) => depth += 1,
                Step::Own(_) => {
                    others = true;
                    depth += 1;
                }
                Step::OwnDone | Step::CopyDone => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                Step::Arrived { .. } if others => depth = u32::MAX / 2,
                _ => {}
            }
            depth == 0
        })
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or(&[])
    }

    /// Appends why a rule did not match, as its match would have said on the spot.
    pub(super) fn why(
        &self,
        table: &LiveTable,
        step: u32,
        part: Part,
        moment: u32,
        remembered: Option<NonZeroU32>,
        out: &mut String,
    ) {
        let Some(moment) = self.moments.get(moment as usize) else {
            out.push_str("why is not known: rules changed the packet so often that its forms are not all kept");
            return;
        };
        let (Some(rule), Some(config)) = (table.rule(step), &self.config) else {
            return;
        };
        // Nothing is drawn for a sentence, and what it says of flows was remembered.
        static NO_FLOWS: LazyLock<conntrack::Table> = LazyLock::new(|| conntrack::Table::new((0, 0)));
        let random = Cell::new(Random::new(0));
        let cx = Context {
            packet: &moment.packet,
            tracking: &moment.tracking,
            net: &config.net,
            flows: &NO_FLOWS,
            sets: HeldSets::none(),
            table: table.rules().table,
            hook: moment.hook,
            input: moment.input,
            output: moment.output,
            now: moment.now,
            state: remembered
                .and_then(|at| self.remembered.get(at.get() as usize - 1))
                .map(AsRef::as_ref),
            random: &random,
        };
        Failed { part, cx }.why(rule, out);
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Span {
            start,
            end: self.bytes.len() as u32,
        }
    }

    /// False: there are steps enough, and what became of this rule in this walk is told already.
    fn has_room_for(&mut self, step: u32) -> bool {
        if !self.is_full() {
            return true;
        }
        let Self { walk, steps, .. } = self;
        let told = walk.told.get_or_insert_with(|| {
            let walked = steps.iter().rev().take_while(|step| !matches!(step, Step::Table(_)));
            let rule = |step: &Step| match step {
                Step::Matched { step } | Step::Failed { step, .. } => Some(*step),
                _ => None,
            };
            walked.filter_map(rule).collect()
        });
        told.insert(step)
    }

    fn is_full(&self) -> bool {
        self.steps.len() >= MOST_STEPS
    }

    fn leave_out(&mut self) {
        let at = *self.walk.cut.get_or_insert_with(|| {
            self.steps.push(Step::Cut(0));
            self.steps.len() as u32 - 1
        });
        if let Some(Step::Cut(count)) = self.steps.get_mut(at as usize) {
            *count += 1;
        }
    }

    /// The target of the rule before let the packet go on, now with these marks.
    fn continued(&mut self, before: Marks, after: Marks, told: Option<String>) {
        self.stale = true;
        let logs = std::mem::take(&mut self.walk.logs);
        if self.walk.left_out.take().is_some() {
            if logs {
                self.walk.lines_due.push_back(None);
            }
            return;
        }
        self.steps.push(Step::Continued {
            from: before.packet,
            to: after.packet,
        });
        if before.flow != after.flow {
            self.steps.push(Step::FlowMarked {
                from: before.flow,
                to: after.flow,
            });
        }
        self.steps.extend(told.map(|told| Step::Edited(told.into())));
        if logs {
            self.walk.lines_due.push_back(Some(self.steps.len() as u32));
            self.steps.push(Step::Logged(None));
        }
    }

    fn look(&mut self, cx: &Context<'_>) {
        if self.weight > MOST_WEIGHT {
            return;
        }
        self.weight += cx.packet.len() + size_of::<Moment>() + size_of::<Flow>();
        self.stale = false;
        self.moments.push(Moment {
            packet: cx.packet.clone(),
            tracking: frozen(cx.tracking),
            hook: cx.hook,
            input: cx.input,
            output: cx.output,
            now: cx.now,
        });
    }

    fn failed(&mut self, step: u32, failed: &Failed<'_>) -> Step {
        if self.stale {
            self.look(&failed.cx);
        }
        let remembered = match failed.part {
            Part::Match(at) if failed.cx.state.is_some() => self
                .tables
                .last()
                .and_then(|table| table.rule(step))
                .and_then(|rule| rule.matches.get(usize::from(at)))
                .and_then(|test| test.remember(&failed.cx))
                .and_then(|state| {
                    self.remembered.push(Arc::from(state));
                    NonZeroU32::new(self.remembered.len() as u32)
                }),
            _ => None,
        };
        Step::Failed {
            step,
            part: failed.part,
            // Stale still: there is no room for what it looked at.
            moment: if self.stale {
                u32::MAX
            } else {
                self.moments.len() as u32 - 1
            },
            remembered,
        }
    }

    /// The engine shows log lines once the table is walked; here each stands with the rule that wrote it.
    fn logged(&mut self, record: &LogRecord) {
        self.weight += record.text.len();
        let line = Step::Logged(Some(Box::new(record.clone())));
        match self.walk.lines_due.pop_front() {
            Some(Some(at)) => self.steps[at as usize] = line,
            Some(None) => self.leave_out(),
            None => self.steps.push(line),
        }
    }
}

/// A copy that no later packet changes.
fn frozen(tracking: &Tracking) -> Tracking {
    Tracking {
        flow: tracking.flow.as_ref().map(|flow| Arc::new(Flow::snapshot(flow))),
        ..tracking.clone()
    }
}

/// Steps beyond which only new things are kept.
pub const MOST_STEPS: usize = 1 << 17;
/// Bytes of copies of the packet and its flow.
const MOST_WEIGHT: usize = 32 << 20;
