//! An observer that keeps only what decided. It copies a few numbers a packet, so that it can watch every one of millions.

use super::turn::{Turn, may_meet_others};
use crate::base::Time;
use crate::conntrack::{self, InvalidReason, Tracked, Tuple};
use crate::engine::{Event, LastWord, Observer, Remembered, Tried};
use crate::rule::{CountId, Hook, Table};

/// What was seen of one packet; of answers to it, only that they are the router's own.
#[derive(Default)]
pub(super) struct Witness {
    /// The last word in the filter table.
    pub filter: Option<Decision>,
    pub invalid: Option<InvalidReason>,
    /// The flow it is of: its number, and its first packet's tuple.
    pub flow: Option<(u64, Tuple)>,
    /// The length of what the packet completed, where it was the last piece that came of a longer one.
    pub joined: Option<usize>,
    /// A bit for each packet that left: set where the router made it itself.
    own: u64,
    left: usize,
    hook: Option<Hook>,
    /// True from the coming of a packet of the router's own to its OUTPUT: any other OUTPUT begins an answer or a complaint.
    own_awaited: bool,
    /// True while a packet that the router made itself is on its way.
    answering: bool,
    arrivals: u32,
    /// Where others carry packets of the same capture: what waits until those before this one are through.
    turn: Option<Turn>,
    number: u64,
    /// They are.
    is_its_turn: bool,
    /// Packets since others carry some, and how many of them waited.
    carried: u64,
    waited: u64,
}

/// Who had the last word in the filter table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Rule(CountId),
    FilterPolicy(Hook),
}

impl Witness {
    #[inline]
    pub(super) fn begin(&mut self, number: u64) {
        self.filter = None;
        self.invalid = None;
        self.flow = None;
        self.joined = None;
        self.own = 0;
        self.left = 0;
        self.hook = None;
        self.own_awaited = false;
        self.answering = false;
        self.arrivals = 0;
        self.number = number;
        self.is_its_turn = self.turn.is_none();
        self.carried += 1;
    }

    /// The same of a packet that has waited for those before it: nobody else has said yet that it is the next.
    #[inline]
    pub(super) fn begin_in_turn(&mut self, number: u64) {
        if let Some(turn) = &self.turn {
            turn.is_at(number);
        }
        self.begin(number);
    }

    pub(super) fn take_turns(&mut self, turn: Turn) {
        self.turn = Some(turn);
        (self.carried, self.waited) = (0, 0);
    }

    /// Waits until all packets before this one are through.
    #[cold]
    pub(super) fn await_turn(&mut self) {
        if !std::mem::replace(&mut self.is_its_turn, true) {
            self.waited += 1;
            self.await_turn_of(self.number);
        }
    }

    /// Whether so many packets wait for those before them that one worker is better: each wait costs as much as a few packets, and where the
    /// processors have other work too, a turn on them. With one packet of ten that waits two workers take 1.5 times the processor's time of one, with one of five
    /// 1.8 times, so that nothing is gained even where nobody else works.
    pub(super) fn mostly_waits(&self) -> bool {
        self.carried >= ENOUGH_TO_TELL && self.waited > self.carried / 8
    }

    pub(super) fn await_turn_of(&self, number: u64) {
        if let Some(turn) = &self.turn {
            turn.await_turn(number);
        }
    }

    /// The latest instant that no packet of another worker will come before.
    pub(super) fn all_have_come_to(&self, now: Time) -> Time {
        self.turn.as_ref().map_or(now, |turn| turn.all_have_come_to(now))
    }

    /// Whether the packet that left as this one, counted from 0, was made by the router. So many that there is no bit for one are fragments of
    /// the packet that came.
    pub(super) fn is_own(&self, at: usize) -> bool {
        at < BITS && self.own >> at & 1 == 1
    }

    /// Whether what happens is about the packet that came: neither about an answer, nor about its second way in, through `lo`.
    #[inline]
    fn is_about_it(&self) -> bool {
        !self.answering && self.arrivals < 2
    }

    /// Each event is made where it is shown, so that nothing is left of those, and of their parts, that are not looked at here.
    #[inline(always)]
    fn note(&mut self, event: &Event<'_>) {
        if !self.is_its_turn && may_meet_others(event) {
            self.await_turn();
        }
        match event {
            Event::Arrived { interface, .. } => {
                self.arrivals += 1;
                self.own_awaited = interface.is_none();
                self.answering = false;
            }
            Event::Hook { hook, .. } => {
                self.hook = Some(*hook);
                match hook {
                    Hook::Output => self.answering = !std::mem::take(&mut self.own_awaited),
                    // An ICMP redirect leaves before the packet that it is about is forwarded.
                    Hook::Forward | Hook::Input => self.answering = false,
                    Hook::Prerouting | Hook::Postrouting => {}
                }
            }
            Event::Rule {
                table: Table::Filter,
                rule,
                tried: Tried::Matched { .. },
                ..
            } if self.is_about_it() => self.filter = Some(Decision::Rule(rule.id)),
            Event::Policy {
                table: Table::Filter, ..
            } if self.is_about_it() => self.filter = self.hook.map(Decision::FilterPolicy),
            Event::Reassembled { packet } if self.is_about_it() => self.joined = Some(packet.len()),
            Event::Tracked { tracking, made } if self.is_about_it() => {
                if let Tracked::Accept(conntrack::Reason::Invalid(reason)) = made {
                    self.invalid = Some(*reason);
                }
                self.flow = tracking.flow.as_ref().map(|flow| (flow.serial(), flow.original()));
            }
            Event::WentShort { flow, filter } => {
                self.flow = Some((flow.serial(), flow.original()));
                self.filter = filter.map(|word| match word {
                    LastWord::Rule(id) => Decision::Rule(id),
                    LastWord::Policy(hook) => Decision::FilterPolicy(hook),
                });
            }
            Event::Sent { .. } | Event::Delivered { .. } => {
                if self.answering && self.left < BITS {
                    self.own |= 1 << self.left;
                }
                self.left += 1;
            }
            _ => {}
        }
    }
}

/// The witness, and somebody else who watches the same packet.
pub(super) struct Both<'a, O> {
    pub witness: &'a mut Witness,
    pub other: &'a mut O,
}

impl<O: Observer> Observer for Both<'_, O> {
    const WATCHING: bool = true;
    const IN_DETAIL: bool = O::IN_DETAIL;
    const SHORTLY: bool = !O::WATCHING;

    #[inline(always)]
    fn see(&mut self, event: Event<'_>) {
        self.witness.note(&event);
        if O::WATCHING {
            self.other.see(event);
        }
    }

    fn hold(&mut self) -> Option<Remembered> {
        if O::WATCHING { self.other.hold() } else { None }
    }
}

const BITS: usize = u64::BITS as usize;
/// So many packets show what the others are like.
const ENOUGH_TO_TELL: u64 = 1024;
