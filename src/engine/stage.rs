//! What is done at each stage of a hook.

use std::cell::Cell;
use std::net::IpAddr;

use super::hooks::{Stage, stages};
use super::observer::{Event, NatNotAsked, NotQueued, Observer};
use super::pass::{Pass, Transit, way_of};
use super::queue::{Found, QueuedAt, choose};
use super::reason::{Place, Reason};
use super::services::{EngineServices, MOST_LINES};
use super::walk::{Pause, Verdict, Walk, Walked};
use crate::base::{Family, InterfaceId, InterfaceName};
use crate::conntrack::{self, Confirmed, CtState, DropReason, TrackContext, TrackStage, Tracked, Tracking};
use crate::helper::{self, Broadcast, HelperContext};
use crate::nat::{self, Manip, NatContext, NatHook, Translated};
use crate::net::{
    Complaint, DefragUser, Delivery, Net, OutputKey, OutputRoute, Pushed, ReassemblyKnobs, ReassemblyLimits,
    is_joined_again, leads_its_way, stays_on_its_link,
};
use crate::packet::log_line::{self, IP_OPTIONS, TCP_OPTIONS, TCP_SEQUENCE, UID};
use crate::packet::{Packet, Sender};
use crate::rule::{Hook, LogRecord, QueueTo, Table};

/// How a packet came out of a table that it may go on behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    Accepted,
    /// Rules queued it, and nobody listens or there is no room: it goes on all the same, at the next stage.
    ByQueue,
}

impl<O: Observer> Pass<'_, O> {
    /// All stages of a hook from one on, in order, until one stops the packet.
    pub(super) fn hook(&mut self, hook: Hook, from: usize, transit: &mut Transit) -> Result<(), Reason> {
        if O::WATCHING {
            self.observer.see(Event::Hook {
                hook,
                packet: &transit.packet,
                config: &self.config,
            });
        }
        let live = self.live.of(transit.packet.family());
        // Where nothing could be done nothing is asked.
        for at in live.stages(hook, self.config.always_track).from(from) {
            self.stage(hook, at, stages(hook)[at].1, transit)?;
        }
        Ok(())
    }

    /// OUTPUT: as any hook, but what a rule of mangle or nat changed may change the way out, and so may who listens at a queue: `held` is what it
    /// depended on before the packet was held there.
    pub(super) fn output_hook(
        &mut self,
        from: usize,
        held: Option<OutputKey>,
        transit: &mut Transit,
        route: &mut OutputRoute,
    ) -> Result<(), Reason> {
        if O::WATCHING {
            self.observer.see(Event::Hook {
                hook: Hook::Output,
                packet: &transit.packet,
                config: &self.config,
            });
        }
        if held.is_some_and(|before| before != OutputKey::of(&transit.packet)) {
            self.route_again(transit, route)?;
        }
        for (at, (_, stage)) in stages(Hook::Output).iter().enumerate().skip(from) {
            let before = leads_its_way(&transit.packet);
            if let Err(reason) = self.stage(Hook::Output, at, *stage, transit) {
                if let Some(queued) = &mut self.queued {
                    queued.key = before.0;
                }
                return Err(reason);
            }
            let after = leads_its_way(&transit.packet);
            let again = match stage {
                Stage::Rules(Table::Mangle) => before != after,
                Stage::Nat(_) => {
                    self.live.of(transit.packet.family()).table(Table::Nat).is_some()
                        && is_led_elsewhere(&transit.tracking)
                }
                _ => false,
            };
            if again {
                self.route_again(transit, route)?;
            }
        }
        // All of the hook showed rules the interface that the packet had when it began, as the kernel does.
        transit.packet.output = Some(route.interface);
        Ok(())
    }

    fn route_again(&mut self, transit: &mut Transit, route: &mut OutputRoute) -> Result<(), Reason> {
        let key = OutputKey {
            interface: transit.packet.output.filter(|_| stays_on_its_link(&transit.packet)),
            ..OutputKey::of(&transit.packet)
        };
        let net = &self.config.net;
        *route = net.reroute_output(key).map_err(Reason::NoWay)?;
        net.heed_path(&self.router.host, self.now, &net.rerouted_by(key), route);
        transit.delivery = route.delivery;
        transit.way = Some(way_of(route));
        if O::WATCHING {
            self.observer.see(Event::RoutedOut {
                route,
                key,
                net: &self.config.net,
                again: true,
            });
        }
        Ok(())
    }

    /// The stage at a place of a hook.
    fn stage(&mut self, hook: Hook, at: usize, stage: Stage, transit: &mut Transit) -> Result<(), Reason> {
        match stage {
            Stage::Defragment => {
                // What comes round untracked is left as it is.
                let untracked = transit.tracking.state == Some(CtState::Untracked);
                let known = transit.tracking.flow.is_some() && !is_joined_again(&transit.packet);
                let tracks = self.tracks(transit.packet.family());
                if !transit.packet.has_fragment_header() || !tracks || untracked || known {
                    return Ok(());
                }
                let user = match hook {
                    Hook::Output => DefragUser::ConntrackOut(0),
                    _ => DefragUser::ConntrackIn(0),
                };
                self.defragment(user, transit).map_err(|(reason, _)| reason)
            }
            Stage::Rules(table) => self.rules(hook, at, table, transit).map(|_| ()),
            Stage::Track => self.track(hook, transit),
            Stage::Nat(manip) => self.nat(hook, at, manip, transit),
            Stage::Confirm => self.confirm(transit),
        }
    }

    /// `Router::tracks`, of what this packet sees.
    pub(super) fn tracks(&self, family: Family) -> bool {
        self.live.of(family).needs_conntrack || self.config.always_track
    }

    /// Gathers fragments; the packet becomes the whole when the last one is there. Else why it goes no further, and what its sender is told.
    pub(super) fn defragment(
        &mut self,
        user: DefragUser,
        transit: &mut Transit,
    ) -> Result<(), (Reason, Option<Complaint>)> {
        let (input, output) = (transit.packet.input, transit.packet.output);
        let sender = transit.packet.sender.clone();
        let frag6 = &self.config.conntrack.frag6;
        let knobs = ReassemblyKnobs {
            net: &self.config.net,
            tracking: ReassemblyLimits {
                memory: frag6.high_thresh,
                seconds: frag6.timeout.as_secs() as i64,
            },
        };
        let fragments = &self.router.fragments;
        let pushed = fragments.push(self.now, knobs, user, transit.packet.take());
        match pushed {
            Pushed::Whole(packet) => {
                transit.packet = packet;
                transit.packet.input = input;
                transit.packet.output = output;
                transit.packet.sender = sender;
                transit.packet.ignores_df = user != DefragUser::LocalDeliver;
                if O::WATCHING {
                    self.observer.see(Event::Reassembled {
                        packet: &transit.packet,
                    });
                }
                Ok(())
            }
            Pushed::Left(packet) => {
                transit.packet = packet;
                transit.packet.sender = sender;
                Ok(())
            }
            Pushed::Refused {
                packet,
                reason,
                complaint,
            } => {
                transit.packet = packet;
                Err((Reason::Host(reason), Some(complaint)))
            }
            Pushed::Held => Err((Reason::HeldFragment, None)),
            Pushed::Dropped(reason) => Err((Reason::Host(reason), None)),
        }
    }

    /// Walks a table, if it exists. Most do not, so that is found out before anything is made ready.
    #[inline]
    fn rules(&mut self, hook: Hook, at: usize, table: Table, transit: &mut Transit) -> Result<Passed, Reason> {
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
            self.copies_were_sent(&mut transit.packet);
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

    // Apart, so that the other stages, of which most do nothing, need not make room for what it needs.
    #[inline(never)]
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
            helpers: self.config.helpers.conntrack(),
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
        match &tracked {
            Tracked::Accept(conntrack::Reason::KnownFlow) => {
                let notes = &mut self.worker.short_ways.notes;
                notes.is_known(transit.tracking.flow.as_ref(), transit.packet.mark);
            }
            _ => self.worker.short_ways.notes.stop(),
        }
        if O::WATCHING {
            self.observer.see(Event::Tracked {
                tracking: &transit.tracking,
                made: &tracked,
            });
        }
        // An ICMP error is found INVALID before anything is written to the packet; a reset is looked up, found INVALID, and then marked by nothing.
        let is_still_related =
            related_to_nothing && transit.tracking.state == Some(CtState::Invalid) && transit.packet.is_icmp();
        let result = self.tracked(hook, transit, tracked);
        if is_still_related {
            transit.tracking.state = Some(CtState::Related);
        }
        result
    }

    /// What tracking made of a packet is acted upon.
    pub(super) fn tracked(&mut self, hook: Hook, transit: &mut Transit, tracked: Tracked) -> Result<(), Reason> {
        if self.config.conntrack.log_invalid != 0
            && let Tracked::Accept(reason) = &tracked
        {
            self.log_invalid(hook, reason, &transit.packet);
        }
        match tracked {
            Tracked::Accept(_) => Ok(()),
            Tracked::Drop(reason) => {
                if reason == DropReason::TableFull {
                    self.tell_of_full_table();
                }
                Err(Reason::Tracking(reason))
            }
        }
    }

    #[cold]
    fn tell_of_full_table(&mut self) {
        let text = self.config.conntrack.profile.table_full();
        let logged = self.worker.log.len();
        self.worker.log.extend(self.worker.full.lines(self.now, text));
        if O::WATCHING {
            for record in &self.worker.log[logged..] {
                self.observer.see(Event::Logged(record));
            }
        }
    }

    /// `nf_conntrack_log_invalid` asks for a line about each packet of a protocol, or of all, that is INVALID or does not count for its flow.
    #[cold]
    fn log_invalid(&mut self, hook: Hook, reason: &conntrack::Reason, packet: &Packet) {
        const ALL: u8 = 255;
        let (wanted, protocol) = (self.config.conntrack.log_invalid, packet.protocol());
        if wanted != ALL && wanted != protocol || self.worker.log.len() >= MOST_LINES {
            return;
        }
        let Some(mut text) = reason.log_line(protocol) else {
            return;
        };
        let name = |id: Option<InterfaceId>| match id {
            Some(id) => self.config.net.interface(id).name,
            None => InterfaceName::default(),
        };
        let interfaces = match hook {
            Hook::Output => (InterfaceName::default(), name(packet.output)),
            _ => (name(packet.input), InterfaceName::default()),
        };
        let flags = TCP_SEQUENCE | TCP_OPTIONS | IP_OPTIONS | UID;
        log_line::write(&mut text, packet, (interfaces.0.as_str(), interfaces.1.as_str()), flags);
        const NOTICE: u8 = 5;
        let record = LogRecord { level: NOTICE, text };
        if O::WATCHING {
            self.observer.see(Event::Logged(&record));
        }
        self.worker.log.push(record);
    }

    /// The nat hook: a new flow asks the table once, everything else follows what was decided then.
    fn nat(&mut self, hook: Hook, at: usize, manip: Manip, transit: &mut Transit) -> Result<(), Reason> {
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
            self.worker.short_ways.notes.stop();
            if self.rules(hook, at, Table::Nat, transit)? == Passed::ByQueue {
                // Nothing is decided of its flow, nor translated here: the next packet that opens it asks again.
                return Ok(());
            }
            // Where a rule spoke, this leaves it as it is.
            let mut cx = NatContext {
                now: self.now,
                random: &mut self.worker.random,
            };
            nat::null_binding_of_packet(&self.router.flows, &mut cx, &mut transit.tracking, manip);
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
        if translated == Translated::Changed {
            self.worker.short_ways.notes.is_rewritten(manip);
        }
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
        let confirmed = {
            let (flows, cx) = (&self.router.flows, self.confirmation());
            flows.confirm_unread(&cx, &transit.packet, &mut transit.tracking)
        };
        let clash = match confirmed.map_err(Reason::Tracking)? {
            Confirmed::Done(clash) => clash,
            Confirmed::NotRead { is_shifted } => {
                let announcing = transit.tracking.flow.clone();
                let read = self.read_and_shift(transit, is_shifted);
                let confirmed = read.and_then(|()| {
                    let (flows, cx) = (&self.router.flows, self.confirmation());
                    let confirmed = flows.confirm(&cx, &transit.packet, &mut transit.tracking);
                    confirmed.map_err(Reason::Tracking)
                });
                if let (Err(_) | Ok(Some(_)), Some(flow)) = (&confirmed, announcing) {
                    self.router.flows.got_no_further(&flow);
                }
                confirmed?
            }
        };
        if O::WATCHING
            && let Some(how) = clash
        {
            self.observer.see(Event::Clashed { how });
        }
        Ok(())
    }

    fn confirmation(&self) -> TrackContext<'_> {
        TrackContext {
            now: self.now,
            settings: &self.config.conntrack,
            stage: TrackStage::Output,
            helpers: self.config.helpers.conntrack(),
            packet: self.worker.number,
        }
    }

    /// A helper reads the packet, and its numbers are shifted. Seen: the packet whose length the helper changes first is not adjusted itself, not even
    /// looked at: `is_shifted` is what was before.
    #[inline(never)]
    fn read_and_shift(&mut self, transit: &mut Transit, is_shifted: bool) -> Result<(), Reason> {
        let mut helper = HelperContext {
            now: self.now,
            settings: &self.config.conntrack,
            loaded: &self.config.helpers,
            ways: &Ways {
                net: &self.config.net,
                delivery: transit.delivery,
            },
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

/// The ways as routing has them.
#[derive(Debug)]
struct Ways<'a> {
    net: &'a Net,
    /// How the destination of the packet at hand was found.
    delivery: Delivery,
}

impl helper::Ways for Ways<'_> {
    fn is_same(&self, first: IpAddr, second: IpAddr) -> bool {
        let way = |to: IpAddr| {
            let route = self.net.route_output(OutputKey::towards(to)).ok()?;
            Some((route.interface, route.gateway.unwrap_or(to)))
        };
        matches!((way(first), way(second)), (Some(first), Some(second)) if first == second)
    }

    fn broadcast(&self, packet: &Packet) -> Broadcast {
        let (Delivery::Broadcast, Some(output)) = (self.delivery, packet.output) else {
            return Broadcast::No;
        };
        if packet.input.is_some() || packet.sender == Sender::NoSocket {
            return Broadcast::No;
        }
        let mut all = self.net.interface(output).addresses.iter();
        let found = all.find(|it| it.broadcast == Some(packet.destination()));
        let mask = found.and_then(|it| packet.family().prefix_mask(it.prefix_length));
        mask.map_or(Broadcast::OfNoAddress, Broadcast::To)
    }

    fn leaves_likewise(&self, packet: &Packet, to: IpAddr) -> bool {
        let route = self.net.route_output(OutputKey::towards(to));
        route.is_ok_and(|route| Some(route.interface) == packet.output)
    }
}

/// Whether NAT leads what goes this way of the flow elsewhere than to who opened it. The kernel asks that of the flow, not of the packet: also an
/// error of the router's own that has the right destination from the start gets its way anew, and by its source now.
fn is_led_elsewhere(tracking: &Tracking) -> bool {
    tracking.flow.as_ref().is_some_and(|flow| {
        let tuple = |direction| flow.tuple(direction);
        tuple(tracking.direction).destination.address != tuple(tracking.direction.opposite()).source.address
    })
}

#[cfg(test)]
mod tests;
