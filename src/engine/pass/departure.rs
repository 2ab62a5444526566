//! The way out: OUTPUT and POSTROUTING, fragmentation, the wire.

use super::{Onward, Pass, Transit};
use crate::base::InterfaceId;
use crate::conntrack::Tracking;
use crate::engine::observer::{Event, Observer};
use crate::engine::reason::Reason;
use crate::engine::worker::{Emission, Fate, Looped, Port, Report};
use crate::net::{
    Complaint, DropReason, Forwarding, FragmentationNeeded, Net, NotCut, Outgoing, OutputKey, OutputRoute, fragment,
    is_sent_by_the_icmp_socket, must_not_be_cut,
};
use crate::packet::{Origin, Packet, Sender};
use crate::rule::{Hook, WayOut};

impl<O: Observer> Pass<'_, O> {
    /// OUTPUT and POSTROUTING for a packet of the router's own.
    pub(in crate::engine) fn outward(&mut self, outgoing: Outgoing, tracking: Tracking) -> Report {
        let report = self.outward_whole(outgoing, tracking);
        if O::WATCHING {
            self.observer.see(Event::OwnDone);
        }
        report
    }

    pub(in crate::engine) fn outward_whole(&mut self, outgoing: Outgoing, tracking: Tracking) -> Report {
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
    pub(super) fn outward_from(
        &mut self,
        from: usize,
        held: Option<OutputKey>,
        transit: &mut Transit,
        mut route: OutputRoute,
        is_by_program: bool,
    ) -> Report {
        let first_output = transit.packet.output;
        if let Err(reason) = self.output_hook(from, held, transit, &mut route) {
            return self.stopped_at_hook(reason, transit, Onward::Outward { route, is_by_program });
        }
        if route.loops_back
            && let Some(interface) = transit.packet.output
        {
            self.hear_itself(interface, transit, is_by_program);
            let to = transit.packet.destination();
            if to.is_ipv4() && to.is_multicast() && transit.packet.ttl() == 0 {
                // Seen: it may go no further than to the host itself; in IPv6 rules of POSTROUTING get it first.
                return self.stopped(Reason::Host(DropReason::TimeToLiveOver), transit.tracking.state);
            }
        }
        // Seen: POSTROUTING has these come in by the interface that they were first to leave by, a redirect by that of whom it is about.
        match transit.packet.origin {
            Origin::Usual => {}
            Origin::Discovery { about } => transit.packet.input = about.or(first_output),
            // Of IPv4 one that is sent to many, and so to the host as well, comes in by none.
            Origin::Copy { .. } if route.loops_back && transit.packet.destination().is_ipv4() => {}
            Origin::Copy { .. } => transit.packet.input = first_output,
        }
        self.depart(transit, route.mtu, None)
    }

    /// A message of the host's ICMP code. While one is under way there is no other; neighbour discovery has a way of its own.
    pub(in crate::engine) fn outward_icmp(&mut self, mut outgoing: Outgoing, tracking: Tracking) {
        outgoing.packet.sender = Sender::Kernel;
        if !is_sent_by_the_icmp_socket(&outgoing.packet) {
            let about = outgoing.packet.input.take();
            outgoing.packet.origin = Origin::Discovery { about };
            self.outward(outgoing, tracking);
            return;
        }
        if self.icmp_is_sending {
            return;
        }
        // Only what the socket sends may be cut.
        outgoing.packet.ignores_df = true;
        self.icmp_is_sending = true;
        self.outward(outgoing, tracking);
        self.icmp_is_sending = false;
    }

    /// POSTROUTING, fragmentation, the wire. `forwarding` is the route of what is forwarded, and `None` for the router's own packets.
    pub(super) fn depart(&mut self, transit: &mut Transit, mtu: u32, forwarding: Option<&Forwarding>) -> Report {
        self.depart_from(0, transit, mtu, forwarding)
    }

    /// From this stage of POSTROUTING on.
    pub(super) fn depart_from(
        &mut self,
        from: usize,
        transit: &mut Transit,
        mtu: u32,
        forwarding: Option<&Forwarding>,
    ) -> Report {
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
        let mut report = Report {
            fate,
            state: transit.tracking.state,
        };
        if transit.packet.largest_segment() <= mtu as usize && transit.packet.largest_fragment == 0 {
            if forwarding.is_none()
                && let Some(ended) = self.be_heard(output, transit)
            {
                return ended;
            }
            self.leave(output, transit, forwarding);
            return report;
        }
        let state = report.state;
        let mut pieces = Vec::new();
        match fragment(&self.router.host, transit.packet.take(), mtu, &mut |piece| {
            pieces.push(piece);
        }) {
            Ok(()) => {
                for packet in pieces {
                    let mut piece = transit.with(packet);
                    match forwarding {
                        None if let Some(ended) = self.be_heard(output, &mut piece) => report = ended,
                        _ => self.leave(output, &mut piece, forwarding),
                    }
                }
                report
            }
            Err(NotCut::TooBig(needed)) => self.too_big(needed, transit),
            Err(NotCut::Dropped(reason)) => self.stopped(Reason::Host(reason), state),
        }
    }

    /// The sender is told what would have passed.
    fn too_big(&mut self, mut needed: FragmentationNeeded, transit: &Transit) -> Report {
        if needed.packet.origin != Origin::Usual {
            // That was for rules: it has come in nowhere that an answer could go by.
            needed.packet.input = None;
        }
        let complaint = Complaint::TooBig { mtu: needed.mtu };
        let reason = Reason::Host(DropReason::TooBig);
        self.see_stop(&reason);
        self.complain(&needed.packet, &transit.tracking, transit.delivery, complaint);
        Report {
            fate: Fate::Stopped(reason),
            state: transit.tracking.state,
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
        for packet in segments {
            // Seen: where one must be cut, each is held to it that it must not be, also the last one, which would fit.
            last = Some(match must_not_be_cut(&packet, mtu) {
                true => self.too_big(FragmentationNeeded { mtu, packet }, transit),
                false => self.leave_or_fragment(output, &mut transit.with(packet), mtu, forwarding),
            });
        }
        last.unwrap_or(Report {
            fate: Fate::Stopped(Reason::Host(DropReason::SegmentsRefused)),
            state: transit.tracking.state,
        })
    }

    /// Of IPv6 the host itself hears what it sends to a group that it is in. `Some` where nobody else does.
    fn be_heard(&mut self, output: InterfaceId, transit: &mut Transit) -> Option<Report> {
        let to = transit.packet.destination();
        let is_heard = self.config.net.hears_itself(output, to);
        if is_heard {
            self.hear_itself(output, transit, false);
        }
        // Seen: it may go no further.
        let reason = match is_heard && transit.packet.ttl() == 0 {
            true => DropReason::HopLimitOver,
            false if Net::ends_here(output, to) => DropReason::GroupOfTheHost,
            false => return None,
        };
        Some(self.gone(Reason::Host(reason), transit))
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

    pub(in crate::engine) fn transmit(&mut self, output: InterfaceId, packet: &mut Packet) {
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
}

/// What targets ask of a route.
pub(in crate::engine) fn way_of(route: &OutputRoute) -> WayOut {
    WayOut {
        gateway: route.gateway,
        mtu: route.mtu,
    }
}
