//! The end of a packet's way: helpers read it, and its flow enters the table.

use std::net::IpAddr;

use crate::conntrack::{Confirmed, TrackContext, TrackStage};
use crate::engine::observer::{Event, Observer};
use crate::engine::pass::{Pass, Transit};
use crate::engine::reason::Reason;
use crate::helper::{self, Broadcast, HelperContext};
use crate::nat;
use crate::net::{Delivery, Net, OutputKey};
use crate::packet::{Packet, Sender};

impl<O: Observer> Pass<'_, O> {
    /// Helpers read, sequence numbers are adjusted, and a new flow enters the table: its first packet gets out.
    pub(super) fn confirm(&mut self, transit: &mut Transit) -> Result<(), Reason> {
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
