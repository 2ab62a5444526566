//! What a story keeps of the events that the engine shows it.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Before, Deciders, MOST_STEPS, Moment, Span, Step, Story, TrackedAs, WalkKept};
use crate::conntrack::{EventMask, Flow, FlowState, Tracking};
use crate::engine::{Event, Failed, Marks, Observer, Part, Remembered, Tried};
use crate::rule::{Action, Context, Hook, LogRecord};

impl Observer for Story {
    const WATCHING: bool = true;

    fn see(&mut self, event: Event<'_>) {
        if !matches!(
            event,
            Event::Rule { .. } | Event::Continued { .. } | Event::Returned { .. }
        ) && let Some(step) = self.walk.left_out.take()
        {
            self.steps.push(Step::Matched { step, told: None });
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
                let matched = matches!(tried, Tried::Matched { .. });
                self.walk.logs =
                    matches!(tried, Tried::Matched { action: Action::Target(target), .. } if target.name() == "LOG");
                self.walk.left_out = None;
                if !self.has_room_for(step) {
                    self.walk.left_out = matched.then_some(step);
                    return self.leave_out();
                }
                match tried {
                    Tried::Matched { told, .. } => Step::Matched {
                        step,
                        told: told.map(Into::into),
                    },
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
                particular: tracking.flow.as_ref().and_then(|flow| particular(&flow.lock())),
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
            Event::NotQueued { queue, why } => Step::Edited(format!("not held at queue {queue}: {why}").into()),
            Event::Clashed { how } => Step::Edited(how.to_string().into()),
            Event::PathHeard { path } => Step::PathHeard {
                to: path.to,
                mtu: path.mtu,
                by: path.leads_by,
            },
            Event::NotCopied { why } => Step::Edited(format!("no copy: {why}").into()),
            // A story is of the long way.
            Event::WentShort { .. } => return,
            Event::Unanswered { why } => Step::Unanswered(why),
            Event::Stopped { reason } => Step::Stopped(Box::new(reason.clone())),
            Event::Reported(report) => {
                self.report = Some((report.fate.verdict(), report.state));
                return;
            }
        };
        self.steps.push(step);
    }

    fn hold(&mut self) -> Option<Remembered> {
        Some(Box::new(self.of_the_held()))
    }

    fn take_up(&mut self, before: Option<Remembered>) -> bool {
        let Some(before) = before else { return false };
        match before.downcast::<Self>() {
            Ok(before) => {
                *self = *before;
                true
            }
            Err(_) => false,
        }
    }
}

impl Observer for Deciders<'_> {
    const WATCHING: bool = true;
    const IN_DETAIL: bool = false;

    fn see(&mut self, event: Event<'_>) {
        self.0.see(event);
    }

    fn hold(&mut self) -> Option<Remembered> {
        self.0.hold()
    }

    fn take_up(&mut self, before: Option<Remembered>) -> bool {
        self.0.take_up(before)
    }
}

impl Story {
    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Span {
            start,
            end: self.bytes.len() as u32,
        }
    }

    /// The story of the packet that was shown last, alone, as far as it has come: the next one goes on behind it.
    fn of_the_held(&self) -> Self {
        let mut held = self.clone();
        let begin = self.begin_of_the_last();
        held.steps.drain(..begin);
        if let Some(Step::Own(packet) | Step::Copied(packet)) = held.steps.first() {
            held.steps[0] = Step::Arrived {
                interface: None,
                packet: *packet,
            };
        }
        for it in &mut held.before {
            it.steps = it.steps.saturating_sub(begin);
        }
        held.before.push(Before {
            steps: held.steps.len(),
            moments: held.moments.len(),
            config: held.config.take(),
        });
        held.report = None;
        held.stale = true;
        held.own_open = 0;
        held.walk = WalkKept::default();
        held.outer.clear();
        held
    }

    /// Where the steps of the packet begin that was shown last: it may be an answer or a copy, or come of one.
    fn begin_of_the_last(&self) -> usize {
        let mut done = 0u32;
        for (at, step) in self.steps.iter().enumerate().rev() {
            match step {
                Step::OwnDone | Step::CopyDone => done += 1,
                Step::Own(_) | Step::Copied(_) if done == 0 => return at,
                Step::Own(_) | Step::Copied(_) => done -= 1,
                // As in `of_the_packet`.
                Step::Arrived { .. } if done == 0 && self.steps[..at].iter().any(|it| matches!(it, Step::Own(_))) => {
                    return at;
                }
                _ => {}
            }
        }
        0
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
                Step::Matched { step, .. } | Step::Failed { step, .. } => Some(*step),
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

/// Bytes of copies of the packet and its flow.
const MOST_WEIGHT: usize = 32 << 20;

/// What a rule made of a flow when it began, and what is seen nowhere else.
fn particular(flow: &FlowState) -> Option<String> {
    let policy = flow
        .policy()
        .map(|it| format!("its timeouts are those of policy {}", it.name()));
    let told = flow.told_only().map(|mask| match mask.said_by(EventMask::WORDS) {
        words if words.is_empty() => "who listens hears nothing of it".to_owned(),
        words => format!("who listens hears of it only: {}", words.join(", ")),
    });
    let said: Vec<String> = policy.into_iter().chain(told).collect();
    (!said.is_empty()).then(|| said.join("; "))
}
