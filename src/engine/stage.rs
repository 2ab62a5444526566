//! What is done at each stage of a hook.

use std::cell::Cell;
use std::sync::Arc;

use super::hooks::{Stage, stages};
use super::observer::{Event, NatNotAsked, Observer};
use super::pass::{Pass, Transit};
use super::reason::Reason;
use super::services::EngineServices;
use super::walk::{Pause, Verdict, Walk, Walked};
use crate::base::{Family, InterfaceName};
use crate::conntrack::{CtState, Status, TrackContext, TrackStage, Tracked, Tracking};
use crate::helper::{self, HelperContext};
use crate::nat::{self, Manip, NatContext, NatHook, Translated};
use crate::net::{DefragUser, OutputKey, OutputRoute, Pushed};
use crate::rule::{Hook, LogRecord, Table};

impl<O: Observer> Pass<'_, O> {
    /// All stages of a hook, in order, until one stops the packet.
    pub(super) fn hook(&mut self, hook: Hook, transit: &mut Transit) -> Result<(), Reason> {
        if O::WATCHING {
            self.observer.see(Event::Hook {
                hook,
                packet: &transit.packet,
                config: &self.config,
            });
        }
        for (_, stage) in stages(hook) {
            self.stage(hook, *stage, transit)?;
        }
        Ok(())
    }

    /// OUTPUT: as any hook, but what a rule of mangle or nat changed may change the way out.
    pub(super) fn output_hook(&mut self, transit: &mut Transit, route: &mut OutputRoute) -> Result<(), Reason> {
        if O::WATCHING {
            self.observer.see(Event::Hook {
                hook: Hook::Output,
                packet: &transit.packet,
                config: &self.config,
            });
        }
        // The rest of the hook still shows rules the interface that the packet had when it began, as the kernel does.
        let mut output = transit.packet.output;
        for (_, stage) in stages(Hook::Output) {
            let before = OutputKey::of(&transit.packet);
            self.stage(Hook::Output, *stage, transit)?;
            let after = OutputKey::of(&transit.packet);
            let again = match stage {
                Stage::Rules(Table::Mangle) => before != after,
                Stage::Nat(_) => {
                    self.live.of(transit.packet.family()).table(Table::Nat).is_some()
                        && is_led_elsewhere(&transit.tracking)
                }
                _ => false,
            };
            if again {
                *route = self.config.net.reroute_output(after).map_err(Reason::NoWay)?;
                output = Some(route.interface);
                transit.delivery = route.delivery;
                transit.path_mtu = Some(route.mtu);
                if O::WATCHING {
                    self.observer.see(Event::RoutedOut {
                        route,
                        key: after,
                        net: &self.config.net,
                        again: true,
                    });
                }
            }
        }
        transit.packet.output = output;
        Ok(())
    }

    fn stage(&mut self, hook: Hook, stage: Stage, transit: &mut Transit) -> Result<(), Reason> {
        match stage {
            Stage::Defragment => {
                // What comes round untracked is left as it is.
                let untracked = transit.tracking.state == Some(CtState::Untracked);
                if !transit.packet.is_fragment() || !self.tracks(transit.packet.family()) || untracked {
                    return Ok(());
                }
                let user = match hook {
                    Hook::Output => DefragUser::ConntrackOut(0),
                    _ => DefragUser::ConntrackIn(0),
                };
                self.defragment(user, transit)
            }
            Stage::Rules(table) => self.rules(hook, table, transit),
            Stage::Track => self.track(hook, transit),
            Stage::Nat(manip) => self.nat(hook, manip, transit),
            Stage::Confirm => self.confirm(transit),
        }
    }

    /// `Router::tracks`, of what this packet sees.
    fn tracks(&self, family: Family) -> bool {
        self.live.of(family).needs_conntrack || self.config.always_track
    }

    /// Gathers fragments; the packet becomes the whole when the last one is there.
    pub(super) fn defragment(&mut self, user: DefragUser, transit: &mut Transit) -> Result<(), Reason> {
        let (input, output, mark) = (transit.packet.input, transit.packet.output, transit.packet.mark);
        let sender = transit.packet.sender.clone();
        let pushed = self
            .router
            .fragments
            .push(self.now, &self.config.net, user, transit.packet.take());
        match pushed {
            Pushed::Whole(packet) => {
                transit.packet = packet;
                transit.packet.input = input;
                transit.packet.output = output;
                transit.packet.mark = mark;
                transit.packet.sender = sender;
                if O::WATCHING {
                    self.observer.see(Event::Reassembled {
                        packet: &transit.packet,
                    });
                }
                Ok(())
            }
            Pushed::Held => Err(Reason::HeldFragment),
            Pushed::Dropped(reason) => Err(Reason::Host(reason)),
        }
    }

    /// Walks a table, if it exists. Most do not, so that is found out before anything is made ready.
    #[inline]
    fn rules(&mut self, hook: Hook, table: Table, transit: &mut Transit) -> Result<(), Reason> {
        match self.live.of(transit.packet.family()).table(table) {
            Some(_) => self.walk(hook, table, transit),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn walk(&mut self, hook: Hook, table: Table, transit: &mut Transit) -> Result<(), Reason> {
        let mut walked = self.walk_on(hook, table, None, transit);
        let decision = loop {
            match walked {
                None => return Ok(()),
                Some(Walked::Decided(decision)) => break decision,
                Some(Walked::Beside(to, pause)) => {
                    self.send_beside(hook, transit, to);
                    walked = self.walk_on(hook, table, Some(pause), transit);
                }
            }
        };
        let Some(live) = self.live.of(transit.packet.family()).table(table) else {
            return Ok(());
        };
        let place = || live.compiled.place(decision.step);
        match decision.verdict {
            Verdict::Accept => Ok(()),
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
            Verdict::Queue => Err(Reason::Queued(place())),
            Verdict::Reject(with) => Err(Reason::Rejected { place: place(), with }),
        }
    }

    /// From the table's first rule of this hook, or from where the walk paused.
    fn walk_on(&mut self, hook: Hook, table: Table, from: Option<Pause>, transit: &mut Transit) -> Option<Walked> {
        let live = self.live.of(transit.packet.family()).table(table)?;
        let name = |id: Option<crate::base::InterfaceId>| match id {
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
            path_mtu: transit.path_mtu,
            worker: self.worker.index,
            stack: &mut self.worker.stack,
        };
        let walked = match from {
            None => walk.run(live, self.observer),
            Some(pause) => walk.go_on(live, pause, self.observer),
        };
        if O::WATCHING {
            for record in &self.worker.log[logged..] {
                self.observer.see(Event::Logged(record));
            }
        }
        walked
    }

    fn track(&mut self, hook: Hook, transit: &mut Transit) -> Result<(), Reason> {
        if !self.tracks(transit.packet.family()) {
            return Ok(());
        }
        let stage = match hook {
            Hook::Output => TrackStage::Output,
            _ => TrackStage::Prerouting,
        };
        let cx = TrackContext {
            now: self.now,
            settings: &self.config.conntrack,
            stage,
            helpers: &self.config.helpers,
            packet: self.worker.number,
        };
        let related_to_nothing = transit.tracking.flow.is_none() && transit.tracking.state == Some(CtState::Related);
        let mut nat = NatContext {
            now: self.now,
            random: &mut self.worker.random,
        };
        let tracked = nat::track(
            &self.router.flows,
            &cx,
            &mut nat,
            &mut transit.packet,
            &mut transit.tracking,
        );
        if O::WATCHING {
            self.observer.see(Event::Tracked {
                tracking: &transit.tracking,
                made: &tracked,
            });
        }
        // An ICMP error is found INVALID before anything is written to the packet; a reset is looked up, found INVALID, and then marked by nothing.
        if related_to_nothing && transit.tracking.state == Some(CtState::Invalid) && transit.packet.is_icmp() {
            transit.tracking.state = Some(CtState::Related);
        }
        match tracked {
            Tracked::Accept(_) => Ok(()),
            Tracked::Drop(reason) => Err(Reason::Tracking(reason)),
        }
    }

    /// The nat hook: a new flow asks the table once, everything else follows what was decided then.
    fn nat(&mut self, hook: Hook, manip: Manip, transit: &mut Transit) -> Result<(), Reason> {
        if self.live.of(transit.packet.family()).table(Table::Nat).is_none() {
            return Ok(());
        }
        let Some(flow) = &transit.tracking.flow else {
            if O::WATCHING {
                let why = NatNotAsked::NoFlow;
                self.observer.see(Event::NatNotAsked { hook, manip, why });
            }
            return Ok(());
        };
        let opens = matches!(transit.tracking.state, Some(CtState::New | CtState::Related));
        let about_another = transit.tracking.state == Some(CtState::Related) && transit.packet.is_icmp();
        if opens && !about_another && !nat::is_done(flow, manip) {
            let flow = Arc::clone(flow);
            self.rules(hook, Table::Nat, transit)?;
            if !nat::is_done(&flow, manip) {
                let mut cx = NatContext {
                    now: self.now,
                    random: &mut self.worker.random,
                };
                nat::null_binding(&self.router.flows, &mut cx, &flow, manip);
            }
        } else if O::WATCHING {
            let why = match about_another {
                true => NatNotAsked::AboutAnother,
                false => NatNotAsked::Decided,
            };
            self.observer.see(Event::NatNotAsked { hook, manip, why });
        }
        let at = match hook {
            Hook::Prerouting => NatHook::Prerouting,
            Hook::Input => NatHook::Input,
            Hook::Output => NatHook::Output,
            Hook::Forward | Hook::Postrouting => NatHook::Postrouting,
        };
        let before = if O::IN_DETAIL {
            Some(transit.packet.clone())
        } else {
            None
        };
        let translated = nat::translate(&mut transit.packet, &transit.tracking, at).map_err(Reason::Nat)?;
        if translated == Translated::Moved {
            if let Some(flow) = &transit.tracking.flow {
                self.router.flows.delete(flow);
            }
            return Err(Reason::MasqueradeMoved);
        }
        if let Some(before) = before
            && before.bytes() != transit.packet.bytes()
        {
            self.observer.see(Event::Translated {
                hook,
                manip,
                before: &before,
                after: &transit.packet,
            });
        }
        Ok(())
    }

    /// Helpers read, sequence numbers are adjusted, and a new flow enters the table: its first packet gets out.
    fn confirm(&mut self, transit: &mut Transit) -> Result<(), Reason> {
        let Some(flow) = &transit.tracking.flow else {
            return Ok(());
        };
        // Of most packets the flow is in the table, and nobody reads or shifts them.
        if flow.settled().is_some_and(|it| !it.is_read) {
            self.router.flows.got_through(self.now, flow);
            return Ok(());
        }
        let (is_read, is_shifted) = {
            let state = flow.lock();
            (state.helper.is_some(), state.status.has(Status::SEQ_ADJUST))
        };
        if is_read || is_shifted {
            self.read_and_shift(transit, is_shifted)?;
        }
        let cx = TrackContext {
            now: self.now,
            settings: &self.config.conntrack,
            stage: TrackStage::Output,
            helpers: &self.config.helpers,
            packet: self.worker.number,
        };
        self.router
            .flows
            .confirm(&cx, &transit.packet, &mut transit.tracking)
            .map_err(Reason::Tracking)
    }

    /// A helper reads the packet, and its numbers are shifted. Seen: the packet whose length the helper changes first is not adjusted itself, not even
    /// looked at: `is_shifted` is what was before.
    fn read_and_shift(&mut self, transit: &mut Transit, is_shifted: bool) -> Result<(), Reason> {
        let mut helper = HelperContext {
            now: self.now,
            settings: &self.config.conntrack,
            table: &self.router.flows,
            random: &mut self.worker.random,
        };
        let before = O::IN_DETAIL.then(|| transit.packet.clone());
        let heard = helper::run(&mut transit.packet, &transit.tracking, &mut helper).map_err(Reason::Helper)?;
        if let (Some(before), Some(heard)) = (before, &heard) {
            self.observer.see(Event::Helped {
                heard,
                before: &before,
                after: &transit.packet,
            });
        }
        if is_shifted {
            nat::adjust_sequences(&mut transit.packet, &transit.tracking).map_err(Reason::Nat)?;
        }
        Ok(())
    }
}

/// Whether NAT leads what goes this way of the flow elsewhere than to who opened it. The kernel asks that of the flow, not of the packet: also an
/// error of the router's own that has the right destination from the start gets its way anew, and by its source now.
fn is_led_elsewhere(tracking: &Tracking) -> bool {
    tracking.flow.as_ref().is_some_and(|flow| {
        let decided = flow.as_decided();
        let tuple = |direction| decided.tuple(flow, direction);
        tuple(tracking.direction).destination.address != tuple(tracking.direction.opposite()).source.address
    })
}

#[cfg(test)]
mod tests;
