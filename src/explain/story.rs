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
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use super::account::Account;
use super::text;
pub(crate) use super::text::Phrases;
use crate::base::{Family, InterfaceName, Random, Time};
use crate::conntrack::{self, CtState, Direction, Tracked, Tracking};
use crate::engine::{Config, Failed, LiveTable, NatNotAsked, Part, Reason, VerdictKind};
use crate::helper::Heard;
use crate::nat::Manip;
use crate::net::{InputRoute, OutputKey, OutputRoute, Suppressed};
use crate::packet::Packet;
use crate::rule::{Action, Context, Hook, LogRecord, Miss, Selector, State, Table};
use crate::set::HeldSets;

mod keeping;

/// Everything that was seen of one packet and of what it caused.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub(super) number: u64,
    config: Option<Arc<Config>>,
    /// What was in force before the packet waited at a queue.
    before: Vec<Before>,
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

/// Keeps a story without the rules that a packet failed, and without what NAT rewrote: what decided is known, and why nothing else did is not.
#[derive(Debug)]
pub(crate) struct Deciders<'a>(pub &'a mut Story);

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

/// What was in force up to these places of a story.
#[derive(Clone, Debug)]
struct Before {
    steps: usize,
    moments: usize,
    config: Option<Arc<Config>>,
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
    /// What is particular to the flow, from its beginning.
    pub particular: Option<String>,
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
        told: Option<Box<str>>,
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
    /// It said that a way takes no more than so many bytes, or leads by another gateway, and was believed.
    PathHeard {
        to: IpAddr,
        mtu: Option<u32>,
        by: Option<IpAddr>,
    },
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

impl Story {
    /// Forgets it all and keeps its room, for the next packet.
    pub fn clear(&mut self) {
        self.number = 0;
        self.report = None;
        self.config = None;
        self.before.clear();
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

    /// The packet's: that of the rules which it met, and so of all that it caused. `None` of bytes that are of neither.
    pub(crate) fn family(&self) -> Option<Family> {
        let Step::Arrived { packet, .. } = self.steps.first()? else {
            return None;
        };
        Family::of_packet(self.bytes(*packet))
    }

    /// What helpers made of the packet, and of what it caused.
    pub(crate) fn heard(&self) -> impl Iterator<Item = &Heard> {
        self.steps.iter().filter_map(|step| match step {
            Step::Helped { heard, .. } => Some(&**heard),
            _ => None,
        })
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
                Step::Matched { step, .. } if table.is_some_and(|table| self.ends(at, table)) => (*step, false),
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
        let Some(Step::Matched { step, .. }) = self.steps.get(at) else {
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
        text::render(text, self, detail, text::Colour::Never, None);
    }

    /// [`Self::render_to`] with colours, for a terminal.
    pub fn render_styled_to(&self, text: &mut String, detail: Detail) {
        text::render(text, self, detail, text::Colour::Always, None);
    }

    /// Either, for one of many packets: what is written of rules is kept in `known` for the next.
    pub(crate) fn render_of_many(&self, text: &mut String, detail: Detail, has_colour: bool, known: &mut Phrases) {
        let colour = match has_colour {
            true => text::Colour::Always,
            false => text::Colour::Never,
        };
        text::render(text, self, detail, colour, Some(known));
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

    /// What was in force at this place of the steps.
    pub(super) fn config_at(&self, step: usize) -> Option<&Arc<Config>> {
        let before = self.before.iter().find(|it| step < it.steps);
        before.map_or(&self.config, |it| &it.config).as_ref()
    }

    /// Appends what a packet had that failed a rule's addresses, interfaces or protocol.
    pub(super) fn datum(&self, moment: u32, miss: Miss, out: &mut String) {
        if let Some(moment) = self.moments.get(moment as usize) {
            Selector::explain_datum(out, miss, &moment.packet, &moment.input, &moment.output);
        }
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
        let before = self.before.iter().find(|it| (moment as usize) < it.moments);
        let config = before.map_or(&self.config, |it| &it.config);
        let Some(moment) = self.moments.get(moment as usize) else {
            out.push_str("why is not known: rules changed the packet so often that its forms are not all kept");
            return;
        };
        let (Some(rule), Some(config)) = (table.rule(step), config) else {
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
}

/// Steps beyond which only new things are kept.
pub const MOST_STEPS: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_weighs_what_it_keeps() {
        let mut story = Story::default();
        assert_eq!(story.weight(), 0);
        story.steps.extend([Step::OwnDone, Step::CopyDone, Step::OwnDone]);
        story.bytes.extend_from_slice(&[0; 1000]);
        story.weight = 50;
        assert_eq!(story.weight(), 1050 + 3 * size_of::<Step>());
        story.clear();
        assert_eq!(story.weight(), 0);
    }
}
