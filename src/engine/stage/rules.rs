//! A table's rules are asked, and what they decide is acted upon.

use std::cell::Cell;

use crate::base::{InterfaceId, InterfaceName};
use crate::engine::observer::{Event, NotQueued, Observer};
use crate::engine::pass::{Pass, Transit};
use crate::engine::queue::{Found, QueuedAt, choose};
use crate::engine::reason::{Place, Reason};
use crate::engine::services::EngineServices;
use crate::engine::walk::{Pause, Verdict, Walk, Walked};
use crate::net::OutputKey;
use crate::rule::{Hook, LogRecord, QueueTo, Table};

/// How a packet came out of a table that it may go on behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Accepted,
    /// Rules queued it, and nobody listens or there is no room: it goes on all the same, at the next stage.
    ByQueue,
}

impl<O: Observer> Pass<'_, O> {
    /// Walks a table, if it exists. Most do not, so that is found out before anything is made ready.
    #[inline]
    pub(super) fn rules(
        &mut self,
        hook: Hook,
        at: usize,
        table: Table,
        transit: &mut Transit,
    ) -> Result<Passed, Reason> {
        match self.live.of(transit.packet.family()).table(table) {
            Some(_) => self.walk(hook, at, table, transit),
            None => Ok(Passed::Accepted),
        }
    }

    #[inline(never)]
    fn walk(&mut self, hook: Hook, at: usize, table: Table, transit: &mut Transit) -> Result<Passed, Reason> {
        let mut walked = self.walk_on(hook, table, None, transit);
        let mut is_copied = false;
        let decision = loop {
            match walked {
                None => return Ok(Passed::Accepted),
                Some(Walked::Decided(decision)) => break decision,
                Some(Walked::Beside(to, pause)) => {
                    self.send_beside(hook, transit, to);
                    is_copied = true;
                    walked = self.walk_on(hook, table, Some(pause), transit);
                }
            }
        };
        if is_copied {
            self.copies_were_sent(hook, &mut transit.packet);
        }
        let Some(live) = self.live.of(transit.packet.family()).table(table) else {
            return Ok(Passed::Accepted);
        };
        let place = || live.compiled.place(decision.step);
        match decision.verdict {
            Verdict::Accept => Ok(Passed::Accepted),
            Verdict::Drop if live.compiled.is_policy(decision.step) => Err(Reason::Policy(place())),
            Verdict::Drop => Err(Reason::Rule(place())),
            Verdict::Malformed => Err(Reason::Malformed(place())),
            Verdict::Dropped => Err(Reason::DroppedByMatch(place())),
            Verdict::TooLong => {
                let reason = Reason::WalkTooLong(place());
                // The kernel would not stop it: whoever looks at a lab that loses packets has to hear why.
                self.worker.log.push(LogRecord {
                    level: 4,
                    text: format!("nflab: a packet was {reason}"),
                });
                Err(reason)
            }
            Verdict::Queue(to) => {
                let place = place();
                self.queue(hook, at, to, place, transit)
            }
            Verdict::Reject(with) => Err(Reason::Rejected { place: place(), with }),
        }
    }

    /// A rule queues the packet: a place is taken for it where somebody listens, and who knows where it goes on puts it there.
    fn queue(
        &mut self,
        hook: Hook,
        stage: usize,
        to: QueueTo,
        place: Place,
        transit: &Transit,
    ) -> Result<Passed, Reason> {
        let queue = choose(to, &transit.packet, self.worker.seat.index, self.router.seed);
        match self.router.queues.find(queue) {
            Found::Nobody if to.bypass => Ok(self.not_queued(queue, NotQueued::Nobody)),
            Found::Nobody => Err(Reason::Queued(place)),
            Found::Full { fail_open: true } => Ok(self.not_queued(queue, NotQueued::Full)),
            Found::Full { fail_open: false } => Err(Reason::QueueFull { place, queue }),
            Found::Place(kept) => {
                self.queued = Some(QueuedAt {
                    queue,
                    kept,
                    hook,
                    stage,
                    key: OutputKey::of(&transit.packet),
                });
                Err(Reason::Held { place, queue })
            }
        }
    }

    fn not_queued(&mut self, queue: u16, why: NotQueued) -> Passed {
        if O::WATCHING {
            self.observer.see(Event::NotQueued { queue, why });
        }
        Passed::ByQueue
    }

    /// From the table's first rule of this hook, or from where the walk paused.
    fn walk_on(&mut self, hook: Hook, table: Table, from: Option<Pause>, transit: &mut Transit) -> Option<Walked> {
        let live = self.live.of(transit.packet.family()).table(table)?;
        let name = |id: Option<InterfaceId>| match id {
            Some(id) => self.config.net.interface(id).name,
            None => InterfaceName::default(),
        };
        // A forwarded packet still has its input at POSTROUTING, as rules of user chains there can see.
        let (input, output) = (name(transit.packet.input), name(transit.packet.output));
        let logged = self.worker.log.len();
        let random = Cell::from_mut(&mut self.worker.random);
        let mut services = EngineServices {
            router: self.router,
            random,
            log: &mut self.worker.log,
            now: self.now,
        };
        let walk = Walk {
            packet: &mut transit.packet,
            tracking: &mut transit.tracking,
            net: &self.config.net,
            flows: &self.router.flows,
            services: &mut services,
            random,
            hook,
            input,
            output,
            now: self.now,
            way: transit.way,
            worker: self.worker.seat.index,
            stack: &mut self.worker.stack,
            notes: &mut self.worker.short_ways.notes,
        };
        let walked = match from {
            None => walk.run(live, &mut self.worker.foreseen, self.observer),
            Some(pause) => walk.go_on(live, pause, &mut self.worker.foreseen, self.observer),
        };
        if O::WATCHING {
            for record in &self.worker.log[logged..] {
                self.observer.see(Event::Logged(record));
            }
        }
        walked
    }
}
