//! One packet's pass through the router: sanity, hooks, routing, the host, and out.

use std::sync::Arc;

use arc_swap::Guard;

use super::live::Live;
use super::observer::{Event, Observer};
use super::queue::QueuedAt;
use super::reason::Reason;
use super::router::{Config, Router};
use super::short_way::{Like, OfFamily, ShortWays};
use super::version::Version;
use super::worker::{Emission, Fate, Port, Report, Worker};
use crate::base::{InterfaceId, Time};
use crate::conntrack::Tracking;
use crate::net::{
    Answer, Complaint, DefragUser, Delivery, DropReason, ForwardOutcome, Forwarding, InputRoute, Outgoing, OutputKey,
    Suppressed, from_program, is_completed, is_joined_before_input, is_plainly_sane, lacks_identification, sanity,
};
use crate::packet::{OF_IPV4, OF_IPV6, Offload, Packet, Plain, Sender};
use crate::rule::{Hook, WayOut};

mod beside;
mod departure;
mod ending;
mod held;
mod round;
mod transit;

pub(super) use departure::way_of;
pub(super) use held::Onward;
pub(super) use transit::Transit;

/// The state of one call of the engine: one consistent configuration and ruleset for everything that it causes.
pub(super) struct Pass<'a, O> {
    pub(super) router: &'a Router,
    pub(super) worker: &'a mut Worker,
    pub(super) config: Guard<Arc<Config>>,
    pub(super) live: Guard<Arc<Live>>,
    /// No later than these two.
    pub(super) version: Version,
    pub(super) now: Time,
    pub(super) observer: &'a mut O,
    loops: u32,
    /// The host's ICMP code is sending just now: the kernel's has one socket, and what it sends causes no other ICMP message.
    icmp_is_sending: bool,
    /// The packet that goes out next is a program's: what comes back of it is looked at before it leaves.
    is_by_program: bool,
    /// While what it sends has not come round.
    call: Call,
    /// The packet at hand is a copy, or caused by one: no rule copies it again.
    is_beside: bool,
    /// The same, and it still is when it comes round through `lo`, where rules copy it anew.
    leaves_beside: bool,
    /// A queue has taken a packet that was joined of pieces; another that shares them is cut anew.
    pub(super) holds_pieces: bool,
    /// The place that a queue keeps for the packet which a hook has just stopped.
    pub(super) queued: Option<QueuedAt>,
}

/// What a program asked for that the packet at hand is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    None,
    /// It sends the packet.
    Sends,
    /// It says what becomes of the packet, which was held in this hook.
    Decides(Hook),
}

/// The route that a packet brought along when it came round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    delivery: Delivery,
    forwarding: Option<Forwarding>,
}

impl<'a, O: Observer> Pass<'a, O> {
    pub(super) fn new(router: &'a Router, worker: &'a mut Worker, now: Time, observer: &'a mut O) -> Self {
        let version = router.versions.now();
        let (config, live) = (router.config.load(), router.live.load());
        // It was of another pass, if one did not end.
        worker.foreseen.is_over();
        Self {
            router,
            worker,
            config,
            live,
            version,
            now,
            observer,
            loops: 0,
            icmp_is_sending: false,
            call: Call::None,
            is_by_program: false,
            is_beside: false,
            leaves_beside: false,
            holds_pieces: false,
            queued: None,
        }
    }

    /// A packet from the wire.
    pub(super) fn arrive(&mut self, interface: InterfaceId, bytes: &[u8]) -> Report {
        let flags = self.flags_asked::<OF_IPV4>();
        match OfFamily::<OF_IPV4>::ways(&self.worker.short_ways).read(flags, interface, bytes) {
            None => self.arrive_of_ipv6(interface, bytes),
            like => self.arrive_alone(interface, bytes, like),
        }
    }

    /// The same of one that is no plain packet of IPv4.
    #[inline(never)]
    fn arrive_of_ipv6(&mut self, interface: InterfaceId, bytes: &[u8]) -> Report {
        let flags = self.flags_asked::<OF_IPV6>();
        let like = OfFamily::<OF_IPV6>::ways(&self.worker.short_ways).read(flags, interface, bytes);
        self.arrive_alone(interface, bytes, like)
    }

    #[inline(always)]
    fn arrive_alone<const WORDS: usize>(
        &mut self,
        interface: InterfaceId,
        bytes: &[u8],
        like: Option<Like<'_, WORDS>>,
    ) -> Report
    where
        ShortWays: OfFamily<WORDS>,
    {
        let mut report = Report::FORWARDED;
        if !like.as_ref().is_some_and(|like| self.goes_short(like, &mut report)) {
            let transit = self.worker.transit.take();
            let mut transit = transit.unwrap_or_else(|| Box::new(Transit::nothing()));
            report = self.arrive_read(&mut transit, (interface, bytes), like.as_ref());
            self.worker.transit = Some(transit);
        }
        report
    }

    /// The same of one that does not go the short way, or has more to be said of it. The transit has a buffer for it, or gets one.
    #[inline(never)]
    pub(super) fn arrive_read<const WORDS: usize>(
        &mut self,
        transit: &mut Transit,
        (interface, bytes): (InterfaceId, &[u8]),
        like: Option<&Like<'_, WORDS>>,
    ) -> Report
    where
        ShortWays: OfFamily<WORDS>,
    {
        match like {
            Some(like) if O::SHORTLY && is_plainly_sane(&like.plain) => {
                self.arrive_plain(transit, (interface, bytes), &like.plain)
            }
            _ => {
                self.worker.begin();
                let buffer = self.worker.buffer(bytes);
                self.arrive_with(interface, buffer, Offload::default())
            }
        }
    }

    fn arrive_plain<const WORDS: usize>(
        &mut self,
        transit: &mut Transit,
        (interface, bytes): (InterfaceId, &[u8]),
        plain: &Plain<'_, WORDS>,
    ) -> Report
    where
        ShortWays: OfFamily<WORDS>,
    {
        self.see_arrival(Some(interface), bytes);
        if !transit.packet.has_a_buffer() {
            transit.packet.exchange_bytes(&mut self.worker.spare());
        }
        transit.packet.begin_plain(plain, interface);
        let report = match self.short_way(transit, plain.key) {
            Some(report) => report,
            None => self.arrive_long(transit, interface),
        };
        self.see_report(&report);
        report
    }

    /// A plain packet that the short way was not for.
    fn arrive_long(&mut self, transit: &mut Transit, interface: InterfaceId) -> Report {
        self.worker.begin();
        self.begin_again();
        let report = if !self.config.net.interface(interface).is_up {
            self.worker.short_ways.forget_notes();
            self.stopped(Reason::Host(DropReason::LinkDown), None)
        } else if let Err(refused) = self.config.net.arrive(&transit.packet) {
            self.worker.short_ways.forget_notes();
            self.refused_on_arrival(refused, transit)
        } else {
            self.long_way(transit)
        };
        self.come_round();
        transit.end();
        report
    }

    /// What `Net::arrive` did not let in.
    #[cold]
    pub(super) fn refused_on_arrival(
        &mut self,
        (reason, complaint): (DropReason, Option<Complaint>),
        transit: &mut Transit,
    ) -> Report {
        // Whether it is the host's own is not asked yet: the address is what counts.
        transit.delivery = Delivery::Local;
        self.refused(Reason::Host(reason), complaint, transit)
    }

    /// As before the first packet.
    pub(super) fn begin_again(&mut self) {
        self.loops = 0;
        (self.icmp_is_sending, self.is_by_program, self.call) = (false, false, Call::None);
        (self.is_beside, self.leaves_beside, self.holds_pieces) = (false, false, false);
        self.queued = None;
    }

    /// A packet of which its device leaves something to do. Its bytes are taken, and another buffer is left in their place.
    pub(super) fn arrive_from_device(
        &mut self,
        interface: InterfaceId,
        bytes: &mut Vec<u8>,
        offload: Offload,
    ) -> Report {
        self.worker.begin();
        self.worker.number += 1;
        let buffer = self.worker.exchange(bytes);
        self.arrive_with(interface, buffer, offload)
    }

    fn arrive_with(&mut self, interface: InterfaceId, buffer: Vec<u8>, offload: Offload) -> Report {
        self.begin_again();
        self.see_arrival(Some(interface), &buffer);
        let report = match sanity(&buffer) {
            // The device does not even take it: nobody counts it.
            Ok(_) if !self.config.net.interface(interface).is_up => {
                self.stopped(Reason::Host(DropReason::LinkDown), None)
            }
            Ok(layout) => {
                let mut transit = Transit {
                    packet: Packet::laid_out(buffer, layout),
                    tracking: Tracking::default(),
                    delivery: Delivery::Unicast,
                    way: None,
                };
                transit.packet.input = Some(interface);
                if offload != Offload::default() && transit.packet.set_offload(offload).is_err() {
                    self.gone(Reason::Host(DropReason::SegmentsRefused), &mut transit)
                } else {
                    match self.config.net.arrive(&transit.packet) {
                        Ok(()) => self.onward(&mut transit),
                        Err(refused) => self.refused_on_arrival(refused, &mut transit),
                    }
                }
            }
            Err(reason) => self.stopped(Reason::Host(reason), None),
        };
        self.come_round();
        self.see_report(&report);
        report
    }

    /// A packet of the router's own, from a program with a raw socket, which fills in what the program left zero (source, identification)
    /// and, whatever the program wrote, total length and header checksum. The source counts for nothing in routing.
    pub(super) fn originate(&mut self, sender: &Sender, bytes: &[u8]) -> Report {
        let mut packet = match from_program(self.worker.buffer(bytes)) {
            Ok(packet) => packet,
            Err(reason) => {
                self.see_arrival(None, bytes);
                let report = self.stopped(Reason::Host(reason), None);
                self.see_report(&report);
                return report;
            }
        };
        let mut key = OutputKey::of_program(&packet);
        let mut route = match self.config.net.route_with_source(&mut key) {
            Ok(route) => route,
            Err(reason) => {
                self.see_arrival(None, bytes);
                let report = self.stopped(Reason::NoWay(reason), None);
                self.see_report(&report);
                return report;
            }
        };
        self.config.net.heed_path(&self.router.host, self.now, &key, &mut route);
        // A raw socket holds it to the interface alone, the route's own MTU comes later.
        if packet.len() > self.config.net.interface(route.interface).mtu as usize {
            self.see_arrival(None, bytes);
            let report = self.stopped(Reason::MessageTooLong, None);
            self.see_report(&report);
            return report;
        }
        if is_completed(&packet) {
            if packet.source().is_unspecified() {
                packet.fill_source(route.source);
            }
            if lacks_identification(&packet) {
                self.router.host.identify(&mut packet);
            }
            packet.fill_header_checksum();
        }
        packet.sender = sender.clone();
        packet.output = Some(route.interface);
        self.see_arrival(None, packet.bytes());
        if O::WATCHING {
            self.observer.see(Event::RoutedOut {
                route: &route,
                key,
                net: &self.config.net,
                again: false,
            });
        }
        self.is_by_program = true;
        self.call = Call::Sends;
        let report = self.outward(Outgoing { packet, route }, Tracking::default());
        self.come_round();
        self.see_report(&report);
        report
    }

    /// Fragment queues whose time is over, and what the host was asked before.
    pub(super) fn run_timers(&mut self) {
        let expired = self.router.fragments.expire(self.now);
        for queue in expired {
            let built = self.config.net.reassembly_error(&self.router.host, self.now, &queue);
            if let Ok(outgoing) = built {
                self.outward_icmp(outgoing, Tracking::default());
            }
        }
        for report in self.config.net.reports(&self.router.host, self.now) {
            self.outward_icmp(report, Tracking::default());
        }
        self.come_round();
    }

    /// A packet that came in and is sane: the short way, if it has one. Who wants to see all of it is shown the long one.
    fn onward(&mut self, transit: &mut Transit) -> Report {
        if !O::SHORTLY {
            return self.inward(transit, None);
        }
        if let Some(key) = Plain::<OF_IPV4>::of(&transit.packet).map(|plain| plain.key)
            && let Some(report) = self.short_way(transit, key)
        {
            return report;
        }
        if let Some(key) = Plain::<OF_IPV6>::of(&transit.packet).map(|plain| plain.key)
            && let Some(report) = self.short_way(transit, key)
        {
            return report;
        }
        self.long_way(transit)
    }

    /// All stages; and notes are taken, if they are to be.
    fn long_way(&mut self, transit: &mut Transit) -> Report {
        let report = self.inward(transit, None);
        match self.worker.short_ways.noted() {
            None => {}
            Some(Plain::<OF_IPV4>::FAMILY) => self.remember_way::<OF_IPV4>(transit, &report),
            Some(Plain::<OF_IPV6>::FAMILY) => self.remember_way::<OF_IPV6>(transit, &report),
        }
        report
    }

    /// PREROUTING, the routing decision, and what follows from it.
    fn inward(&mut self, transit: &mut Transit, known: Option<(Delivery, Option<Forwarding>)>) -> Report {
        let known = known.map(|(delivery, forwarding)| Known { delivery, forwarding });
        self.inward_from(0, transit, known)
    }

    /// From this stage of PREROUTING on.
    pub(super) fn inward_from(&mut self, from: usize, transit: &mut Transit, known: Option<Known>) -> Report {
        let destination = known.map(|_| transit.packet.destination());
        if let Err(reason) = self.hook(Hook::Prerouting, from, transit) {
            return self.stopped_at_hook(reason, transit, Onward::Inward(known));
        }
        let net = &self.config.net;
        let mut route = match known {
            // What came round brought its route along, which holds unless NAT changed its destination; whoever listens at a queue may change it.
            Some(known) if Some(transit.packet.destination()) == destination => {
                net.receive_known(self.now, &mut transit.packet, known.delivery, known.forwarding)
            }
            _ => net.receive(self.now, &mut transit.packet, self.worker.routes.of(&self.config)),
        };
        net.heed_path_of_forwarded(&self.router.host, self.now, &transit.packet, &mut route);
        if O::WATCHING {
            self.observer.see(Event::Routed {
                decision: &route,
                net: &self.config.net,
                packet: &transit.packet,
            });
        }
        // Lent where it lies: moving it costs more than most of what comes next.
        let delivery = match &route {
            InputRoute::Local => Delivery::Local,
            InputRoute::Broadcast => Delivery::Broadcast,
            InputRoute::Multicast => Delivery::Multicast { has_joined: true },
            InputRoute::Forward(route) => return self.forward(transit, route),
            &InputRoute::Error {
                reason,
                complaint,
                delivery,
            } => {
                let reason = Reason::Host(reason);
                self.see_stop(&reason);
                let built = self.config.net.complain_of_arrival(
                    &self.router.host,
                    self.now,
                    &transit.packet,
                    delivery,
                    complaint,
                );
                self.tell_sender(built, &transit.tracking);
                return self.finished(reason, transit);
            }
            InputRoute::Drop(reason) => return self.gone(Reason::Host(*reason), transit),
        };
        transit.delivery = delivery;
        self.deliver(transit)
    }

    fn forward(&mut self, transit: &mut Transit, route: &Forwarding) -> Report {
        match self.config.net.forward(&mut transit.packet, route) {
            ForwardOutcome::Continue { redirect } => {
                // A short way knows a flow, and not what else its packets may be shared out by.
                if self.config.net.shares_by_label(&transit.packet) {
                    self.worker.short_ways.notes.stop();
                }
                if let Some(redirect) = redirect {
                    self.worker.short_ways.notes.stop();
                    let built = self
                        .config
                        .net
                        .redirect(&self.router.host, self.now, &transit.packet, redirect);
                    self.tell_sender(built, &transit.tracking);
                }
            }
            ForwardOutcome::Dropped(reason) => return self.gone(Reason::Host(reason), transit),
            ForwardOutcome::Redirected(redirect, reason, complaint) => {
                let net = &self.config.net;
                let built = net.redirect(&self.router.host, self.now, &transit.packet, redirect);
                self.tell_sender(built, &transit.tracking);
                return self.refused(Reason::Host(reason), Some(complaint), transit);
            }
            ForwardOutcome::Refused(reason, complaint) => {
                let reason = Reason::Host(reason);
                self.see_stop(&reason);
                self.complain(&transit.packet, &transit.tracking, Delivery::Unicast, complaint);
                return self.finished(reason, transit);
            }
        }
        transit.packet.output = Some(route.output);
        transit.way = Some(WayOut {
            gateway: route.gateway,
            mtu: route.mtu,
        });
        self.forward_from(0, transit, route)
    }

    /// From this stage of FORWARD on.
    fn forward_from(&mut self, from: usize, transit: &mut Transit, route: &Forwarding) -> Report {
        if let Err(reason) = self.hook(Hook::Forward, from, transit) {
            return self.stopped_at_hook(reason, transit, Onward::Forward(*route));
        }
        self.config.net.forward_options(&mut transit.packet, route);
        self.depart(transit, route.mtu, Some(route))
    }

    /// INPUT, and what the host makes of it.
    fn deliver(&mut self, transit: &mut Transit) -> Report {
        if is_joined_before_input(&transit.packet)
            && let Err((reason, _)) = self.defragment(DefragUser::LocalDeliver, transit)
        {
            return self.gone(reason, transit);
        }
        self.deliver_from(0, transit)
    }

    fn answer(&self, transit: &Transit) -> Answer {
        self.config.net.answer(
            &self.router.host,
            self.now,
            &*self.router.listeners,
            &transit.packet,
            transit.delivery,
        )
    }

    /// From this stage of INPUT on.
    fn deliver_from(&mut self, from: usize, transit: &mut Transit) -> Report {
        if let Err(reason) = self.hook(Hook::Input, from, transit) {
            return self.stopped_at_hook(reason, transit, Onward::Deliver);
        }
        let answer = loop {
            match self.answer(transit) {
                Answer::Piece => match self.defragment(DefragUser::LocalDeliver, transit) {
                    Ok(()) => {}
                    Err((reason, complaint)) => return self.refused(reason, complaint, transit),
                },
                answer => break answer,
            }
        };
        if O::WATCHING {
            self.observer.see(Event::Delivered {
                packet: &transit.packet,
            });
        }
        if let Some(path) = self.router.heed_paths(&answer)
            && O::WATCHING
        {
            self.observer.see(Event::PathHeard { path });
        }
        // What came round through `lo`, or a helper wrote over, may have its checksum to be summed yet: an error quotes it so, and who reads what
        // arrived is not to take it for wrong.
        transit.packet.finish_checksum();
        if answer.is_readable() {
            let bytes = self.worker.buffer(transit.packet.bytes());
            self.worker.output.push(Emission {
                port: Port::Local,
                bytes,
                offload: Offload::default(),
                is_beside: self.leaves_beside,
            });
        }
        match answer {
            // What has no handler is refused before the host lets go of the flow, so the error is RELATED from the start.
            Answer::Refused(reason, outgoing) if reason.is_before_transport() => {
                self.tell_sender(Ok(*outgoing), &transit.tracking);
            }
            Answer::Reply(outgoing) | Answer::Refused(_, outgoing) if outgoing.packet.is_icmp() => {
                self.outward_icmp(*outgoing, Tracking::default());
            }
            Answer::Reply(outgoing) | Answer::Refused(_, outgoing) => {
                self.outward(*outgoing, Tracking::default());
            }
            Answer::Suppressed(_, why) => self.see_silence(why),
            // The answer to a ping: who sent that has no socket here, and is no less there.
            Answer::Dropped(DropReason::NoSocket) if transit.packet.is_icmp() => {}
            Answer::Dropped(reason) => self.see_silence(Suppressed::Dropped(reason)),
            Answer::Consumed | Answer::Learned(_) | Answer::Piece => {}
        }
        let state = transit.tracking.state;
        self.worker.recycle(&mut transit.packet);
        Report {
            fate: Fate::Delivered,
            state,
        }
    }
}

#[cfg(test)]
mod tests;
