//! One packet's pass through the router: sanity, hooks, routing, the host, and out.

use std::sync::Arc;

use arc_swap::Guard;

use super::live::Live;
use super::observer::{Event, Observer};
use super::queue::QueuedAt;
use super::reason::Reason;
use super::router::{Config, Router};
use super::worker::{Emission, Fate, Looped, Port, Report, Worker};
use crate::base::sync::Ordering;
use crate::base::{InterfaceId, Time};
use crate::conntrack::{CtState, Tracking};
use crate::net::{
    Answer, Complaint, DefragUser, Delivery, DropReason, ForwardOutcome, Forwarding, InputRoute, Outgoing, OutputKey,
    OutputRoute, Suppressed, fragment, from_program, lacks_identification, sanity,
};
use crate::packet::{Offload, Packet, Plain, PlainKey, Sender};
use crate::rule::{Hook, WayOut};

mod beside;
mod held;
mod round;

pub(super) use held::Onward;

/// The state of one call of the engine: one consistent configuration and ruleset for everything that it causes.
pub(super) struct Pass<'a, O> {
    pub(super) router: &'a Router,
    pub(super) worker: &'a mut Worker,
    pub(super) config: Guard<Arc<Config>>,
    pub(super) live: Guard<Arc<Live>>,
    /// No later than these two: see [`Router::version`].
    pub(super) version: u64,
    pub(super) now: Time,
    pub(super) observer: &'a mut O,
    loops: u32,
    /// The host's ICMP code is sending just now: the kernel's has one socket, and what it sends causes no other ICMP message.
    icmp_is_sending: bool,
    /// The packet that goes out next is a program's: what comes back of it is looked at before it leaves.
    is_by_program: bool,
    /// A program's call is sending, and what it sends has not come round.
    is_within_a_call: bool,
    /// The packet at hand is a copy, or caused by one: no rule copies it again.
    is_beside: bool,
    /// The same, and it still is when it comes round through `lo`, where rules copy it anew.
    leaves_beside: bool,
    /// A queue has taken a packet that was joined of pieces; another that shares them is cut anew.
    pub(super) holds_pieces: bool,
    /// The place that a queue keeps for the packet which a hook has just stopped.
    pub(super) queued: Option<QueuedAt>,
}

/// The route that a packet brought along when it came round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    delivery: Delivery,
    forwarding: Option<Forwarding>,
}

/// A packet on its way, with what tracking says of it. It stays where it was made, and is lent from step to step: moving it costs more than most steps.
#[derive(Debug)]
pub(super) struct Transit {
    pub packet: Packet,
    pub tracking: Tracking,
    /// How its destination was found, once routing has spoken.
    pub delivery: Delivery,
    /// Its route, once it has one that leads out.
    pub way: Option<WayOut>,
}

impl Transit {
    /// Before the first packet of a batch.
    #[inline]
    pub(super) fn nothing() -> Self {
        Self {
            packet: Packet::husk(),
            tracking: Tracking::default(),
            delivery: Delivery::Unicast,
            way: None,
        }
    }

    /// The next packet finds nothing of this one.
    pub(super) fn end(&mut self) {
        self.packet.end();
        (self.tracking, self.delivery, self.way) = (Tracking::default(), Delivery::Unicast, None);
    }

    /// A packet that this one was cut into, with what is known of the whole.
    fn with(&self, packet: Packet) -> Self {
        Self {
            packet,
            tracking: self.tracking.clone(),
            delivery: self.delivery,
            way: self.way,
        }
    }
}

impl<'a, O: Observer> Pass<'a, O> {
    pub(super) fn new(router: &'a Router, worker: &'a mut Worker, now: Time, observer: &'a mut O) -> Self {
        let version = router.version.load(Ordering::Acquire);
        let (config, live) = (router.config.load(), router.live.load());
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
            is_within_a_call: false,
            is_by_program: false,
            is_beside: false,
            leaves_beside: false,
            holds_pieces: false,
            queued: None,
        }
    }

    /// A packet from the wire.
    pub(super) fn arrive(&mut self, interface: InterfaceId, bytes: &[u8]) -> Report {
        let mut transit = Transit::nothing();
        let report = self.arrive_plain(&mut transit, interface, bytes, Plain::read(bytes).as_ref());
        self.worker.recycle(&mut transit.packet);
        report
    }

    /// The same, where it is known whether it is a plain packet; the transit has a buffer for it, or gets one.
    #[inline]
    pub(super) fn arrive_plain(
        &mut self,
        transit: &mut Transit,
        interface: InterfaceId,
        bytes: &[u8],
        plain: Option<&Plain>,
    ) -> Report {
        match plain {
            Some(plain) if !O::WATCHING => {
                if !transit.packet.has_a_buffer() {
                    transit.packet.exchange_bytes(&mut self.worker.spare());
                }
                transit.packet.begin_plain(bytes, plain, interface);
                if let Some(report) = self.short_way(transit, plain.key) {
                    return report;
                }
                self.arrive_long(transit, interface)
            }
            _ => {
                self.worker.begin();
                let buffer = self.worker.buffer(bytes);
                self.arrive_with(interface, buffer, Offload::default())
            }
        }
    }

    /// A plain packet that the short way was not for.
    #[inline(never)]
    fn arrive_long(&mut self, transit: &mut Transit, interface: InterfaceId) -> Report {
        self.worker.begin();
        self.begin_again();
        let report = match self.config.net.interface(interface).is_up {
            true => self.long_way(transit),
            false => {
                self.worker.short_ways.notes.key = None;
                self.worker.short_ways.notes.stop();
                self.stopped(Reason::Host(DropReason::LinkDown), None)
            }
        };
        self.come_round();
        transit.end();
        report
    }

    /// As before the first packet.
    pub(super) fn begin_again(&mut self) {
        self.loops = 0;
        (self.icmp_is_sending, self.is_by_program, self.is_within_a_call) = (false, false, false);
        (self.is_beside, self.leaves_beside, self.holds_pieces) = (false, false, false);
        self.queued = None;
    }

    /// The same of a packet of which its device leaves something to do.
    pub(super) fn arrive_with(&mut self, interface: InterfaceId, buffer: Vec<u8>, offload: Offload) -> Report {
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
                    self.onward(&mut transit)
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
        let key = OutputKey {
            source: None,
            ..OutputKey::of(&packet)
        };
        let route = match self.config.net.route_output(key) {
            Ok(route) => route,
            Err(reason) => {
                self.see_arrival(None, bytes);
                let report = self.stopped(Reason::NoWay(reason), None);
                self.see_report(&report);
                return report;
            }
        };
        // A raw socket holds it to the interface alone, the route's own MTU comes later.
        if packet.len() > self.config.net.interface(route.interface).mtu as usize {
            self.see_arrival(None, bytes);
            let report = self.stopped(Reason::MessageTooLong, None);
            self.see_report(&report);
            return report;
        }
        if packet.source().is_unspecified() {
            packet.fill_source(route.source);
        }
        if lacks_identification(&packet) {
            self.router.host.identify(&mut packet);
        }
        packet.fill_header_checksum();
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
        self.is_within_a_call = true;
        let report = self.outward(Outgoing { packet, route }, Tracking::default());
        self.come_round();
        self.see_report(&report);
        report
    }

    /// Fragment queues whose time is over.
    pub(super) fn expire_fragments(&mut self) {
        let expired = self.router.fragments.expire(self.now);
        for queue in expired {
            let built = self.config.net.reassembly_error(&self.router.host, self.now, &queue);
            if let Ok(outgoing) = built {
                self.outward_icmp(outgoing, Tracking::default());
            }
        }
        self.come_round();
    }

    /// A packet that came in and is sane: the short way, if it has one. Who wants to see all of it is shown the long one.
    fn onward(&mut self, transit: &mut Transit) -> Report {
        if !O::SHORTLY {
            return self.inward(transit, None);
        }
        if let Some(key) = PlainKey::of(&transit.packet)
            && let Some(report) = self.short_way(transit, key)
        {
            return report;
        }
        self.long_way(transit)
    }

    /// All stages; and notes are taken, if they are to be.
    fn long_way(&mut self, transit: &mut Transit) -> Report {
        let report = self.inward(transit, None);
        if self.worker.short_ways.notes.key.is_some() {
            self.remember_way(transit, &report);
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
        let route = match known {
            // What came round brought its route along, which holds unless NAT changed its destination; whoever listens at a queue may change it.
            Some(known) if Some(transit.packet.destination()) == destination => {
                net.receive_known(self.now, &mut transit.packet, known.delivery, known.forwarding)
            }
            _ => net.receive(self.now, &mut transit.packet, self.worker.routes.of(&self.config)),
        };
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
        if transit.packet.is_fragment()
            && let Err(reason) = self.defragment(DefragUser::LocalDeliver, transit)
        {
            return self.gone(reason, transit);
        }
        self.deliver_from(0, transit)
    }

    /// From this stage of INPUT on.
    fn deliver_from(&mut self, from: usize, transit: &mut Transit) -> Report {
        if let Err(reason) = self.hook(Hook::Input, from, transit) {
            return self.stopped_at_hook(reason, transit, Onward::Deliver);
        }
        if O::WATCHING {
            self.observer.see(Event::Delivered {
                packet: &transit.packet,
            });
        }
        let answer = self.config.net.answer(
            &self.router.host,
            self.now,
            &*self.router.listeners,
            &transit.packet,
            transit.delivery,
        );
        // What came round through `lo`, or a helper wrote over, may have its checksum to be summed yet: an error quotes it so, and who reads what
        // arrived is not to take it for wrong.
        transit.packet.finish_checksum();
        let bytes = self.worker.buffer(transit.packet.bytes());
        self.worker.output.push(Emission {
            port: Port::Local,
            bytes,
            offload: Offload::default(),
            is_beside: self.leaves_beside,
        });
        match answer {
            // A protocol without a handler is refused before the host lets go of the flow, so the error is RELATED from the start.
            Answer::Refused(DropReason::NoProtocol, outgoing) => {
                self.tell_sender(Ok(*outgoing), &transit.tracking);
            }
            Answer::Reply(outgoing) | Answer::Refused(_, outgoing) if outgoing.packet.is_icmp() => {
                self.outward_icmp(*outgoing, Tracking::default());
            }
            Answer::Reply(mut outgoing) | Answer::Refused(_, mut outgoing) => {
                outgoing.packet.sender = Sender::Kernel;
                self.outward(*outgoing, Tracking::default());
            }
            Answer::Suppressed(_, why) => self.see_silence(why),
            // The answer to a ping: who sent that has no socket here, and is no less there.
            Answer::Dropped(DropReason::NoSocket) if transit.packet.is_icmp() => {}
            Answer::Dropped(reason) => self.see_silence(Suppressed::Dropped(reason)),
            Answer::Consumed => {}
        }
        let state = transit.tracking.state;
        self.worker.recycle(&mut transit.packet);
        Report {
            fate: Fate::Delivered,
            state,
        }
    }

    /// OUTPUT and POSTROUTING for a packet of the router's own.
    pub(super) fn outward(&mut self, outgoing: Outgoing, tracking: Tracking) -> Report {
        let report = self.outward_whole(outgoing, tracking);
        if O::WATCHING {
            self.observer.see(Event::OwnDone);
        }
        report
    }

    fn outward_whole(&mut self, outgoing: Outgoing, tracking: Tracking) -> Report {
        let is_by_program = std::mem::take(&mut self.is_by_program);
        let Outgoing { packet, route } = outgoing;
        let mut transit = Transit {
            packet,
            tracking,
            delivery: route.delivery,
            way: Some(way_of(&route)),
        };
        transit.packet.output = Some(route.interface);
        self.outward_from(0, None, &mut transit, route, is_by_program)
    }

    /// From this stage of OUTPUT on; `held` is what its way depended on before it was held there.
    fn outward_from(
        &mut self,
        from: usize,
        held: Option<OutputKey>,
        transit: &mut Transit,
        mut route: OutputRoute,
        is_by_program: bool,
    ) -> Report {
        if let Err(reason) = self.output_hook(from, held, transit, &mut route) {
            return self.stopped_at_hook(reason, transit, Onward::Outward { route, is_by_program });
        }
        if route.loops_back
            && let Some(interface) = transit.packet.output
        {
            self.hear_itself(interface, transit, is_by_program);
        }
        self.depart(transit, route.mtu, None)
    }

    /// A message of the host's ICMP code. While one is under way there is no other.
    pub(super) fn outward_icmp(&mut self, mut outgoing: Outgoing, tracking: Tracking) {
        outgoing.packet.sender = Sender::Kernel;
        outgoing.packet.ignores_df = true;
        if self.icmp_is_sending {
            return;
        }
        self.icmp_is_sending = true;
        self.outward(outgoing, tracking);
        self.icmp_is_sending = false;
    }

    /// POSTROUTING, fragmentation, the wire. `forwarding` is the route of what is forwarded, and `None` for the router's own packets.
    fn depart(&mut self, transit: &mut Transit, mtu: u32, forwarding: Option<&Forwarding>) -> Report {
        self.depart_from(0, transit, mtu, forwarding)
    }

    /// From this stage of POSTROUTING on.
    fn depart_from(&mut self, from: usize, transit: &mut Transit, mtu: u32, forwarding: Option<&Forwarding>) -> Report {
        if let Err(reason) = self.hook(Hook::Postrouting, from, transit) {
            let forwarding = forwarding.copied();
            return self.stopped_at_hook(reason, transit, Onward::Depart { mtu, forwarding });
        }
        let state = transit.tracking.state;
        let Some(output) = transit.packet.output else {
            return self.stopped(Reason::Host(DropReason::NoRoute), state);
        };
        if !self.config.net.interface(output).is_up {
            // Every hook has seen it, and its flow is in the table; nobody is told.
            return self.gone(Reason::Host(DropReason::LinkDown), transit);
        }
        if transit.packet.offload().segment_size != 0 && transit.packet.largest_segment() > mtu as usize {
            return self.depart_in_segments(output, transit, mtu, forwarding);
        }
        self.leave_or_fragment(output, transit, mtu, forwarding)
    }

    fn leave_or_fragment(
        &mut self,
        output: InterfaceId,
        transit: &mut Transit,
        mtu: u32,
        forwarding: Option<&Forwarding>,
    ) -> Report {
        let fate = match forwarding {
            Some(_) => Fate::Forwarded,
            None => Fate::Sent,
        };
        let state = transit.tracking.state;
        if transit.packet.largest_segment() <= mtu as usize && transit.packet.largest_fragment == 0 {
            self.leave(output, transit, forwarding);
            return Report { fate, state };
        }
        let mut pieces = Vec::new();
        match fragment(transit.packet.take(), mtu, &mut |piece| pieces.push(piece)) {
            Ok(()) => {
                for packet in pieces {
                    self.leave(output, &mut transit.with(packet), forwarding);
                }
                Report { fate, state }
            }
            Err(needed) => {
                let complaint = Complaint::TooBig { mtu: needed.mtu };
                let reason = Reason::Host(DropReason::TooBig);
                self.see_stop(&reason);
                self.complain(&needed.packet, &transit.tracking, transit.delivery, complaint);
                Report {
                    fate: Fate::Stopped(reason),
                    state,
                }
            }
        }
    }

    /// Its segments do not fit the way out: each leaves by itself, in fragments, or is too big.
    #[cold]
    fn depart_in_segments(
        &mut self,
        output: InterfaceId,
        transit: &mut Transit,
        mtu: u32,
        forwarding: Option<&Forwarding>,
    ) -> Report {
        let mut segments = Vec::new();
        transit.packet.take().cut(&mut |segment| segments.push(segment));
        let mut last = None;
        for segment in segments {
            last = Some(self.leave_or_fragment(output, &mut transit.with(segment), mtu, forwarding));
        }
        last.unwrap_or(Report {
            fate: Fate::Stopped(Reason::Host(DropReason::SegmentsRefused)),
            state: transit.tracking.state,
        })
    }

    /// Out by an interface. By `lo` it comes in again, with what is known of it.
    fn leave(&mut self, output: InterfaceId, transit: &mut Transit, forwarding: Option<&Forwarding>) {
        if output != InterfaceId::LOOPBACK {
            return self.transmit(output, &mut transit.packet);
        }
        self.worker.looped.push_back(Looped {
            interface: output,
            packet: transit.packet.take(),
            tracking: std::mem::take(&mut transit.tracking),
            delivery: transit.delivery,
            forwarding: forwarding.copied(),
            is_beside: self.leaves_beside,
        });
    }

    pub(super) fn transmit(&mut self, output: InterfaceId, packet: &mut Packet) {
        if !self.worker.leaves_to_devices {
            if packet.offload().segment_size != 0 {
                return packet
                    .take()
                    .cut(&mut |mut segment| self.transmit(output, &mut segment));
            }
            packet.finish_checksum();
        }
        if O::WATCHING {
            let interface = self.config.net.interface(output).name;
            self.observer.see(Event::Sent {
                interface,
                packet: packet.bytes(),
            });
        }
        self.worker.output.push(Emission {
            port: Port::Interface(output),
            offload: packet.offload(),
            bytes: packet.take_bytes(),
            is_beside: self.leaves_beside,
        });
    }

    /// The packet at hand goes no further; if a rule rejected it, its sender is told.
    fn gone(&mut self, reason: Reason, transit: &mut Transit) -> Report {
        self.see_stop(&reason);
        if let Reason::Rejected { with, .. } = &reason {
            self.reject(transit, *with);
        }
        self.finished(reason, transit)
    }

    /// What stopped it has been shown already.
    fn finished(&mut self, reason: Reason, transit: &mut Transit) -> Report {
        let state = transit.tracking.state;
        self.worker.recycle(&mut transit.packet);
        Report {
            fate: Fate::Stopped(reason),
            state,
        }
    }

    fn stopped(&mut self, reason: Reason, state: Option<CtState>) -> Report {
        self.see_stop(&reason);
        Report {
            fate: Fate::Stopped(reason),
            state,
        }
    }

    fn see_arrival(&mut self, interface: Option<InterfaceId>, bytes: &[u8]) {
        if O::WATCHING {
            self.observer.see(Event::Arrived {
                number: self.worker.number,
                interface: interface.map(|id| self.config.net.interface(id).name),
                bytes,
                config: &self.config,
            });
        }
    }

    fn see_report(&mut self, report: &Report) {
        if O::WATCHING {
            self.observer.see(Event::Reported(report));
        }
    }

    /// Before anything is sent because of it, so that the story is told in order.
    fn see_stop(&mut self, reason: &Reason) {
        if O::WATCHING {
            self.observer.see(Event::Stopped { reason });
        }
    }

    pub(super) fn see_silence(&mut self, why: Suppressed) {
        if O::WATCHING {
            self.observer.see(Event::Unanswered { why });
        }
    }
}

/// What targets ask of a route.
pub(super) fn way_of(route: &OutputRoute) -> WayOut {
    WayOut {
        gateway: route.gateway,
        mtu: route.mtu,
    }
}

#[cfg(test)]
mod tests;
