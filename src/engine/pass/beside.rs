//! What is sent beside the packet at hand: the copy of a broadcast, which its sender hears, and what a rule copies to another gateway.

use super::round::is_kept;
use super::{Onward, Pass, Transit};
use crate::base::{InterfaceId, InterfaceName};
use crate::conntrack::{CtState, Tracking};
use crate::engine::observer::{Event, Observer};
use crate::engine::worker::{Looped, Report};
use crate::net::{Flow, Outgoing, OutputKey};
use crate::packet::{ChecksumState, Origin, Sender};
use crate::rule::{CopyTo, Hook};

impl<O: Observer> Pass<'_, O> {
    /// A broadcast reaches its sender too: a copy passes POSTROUTING by itself and comes in again; at once, unless the router is about another
    /// packet.
    pub(super) fn hear_itself(&mut self, interface: InterfaceId, transit: &mut Transit, at_once: bool) {
        if O::WATCHING {
            self.observer.see(Event::Copied {
                packet: &transit.packet,
            });
        }
        let mut copy = Transit {
            packet: transit.packet.clone(),
            tracking: transit.tracking.clone(),
            delivery: transit.delivery,
            way: transit.way,
        };
        // Seen: no rule of POSTROUTING finds the socket behind the copy, or where it came in, and no helper takes it for the router's own.
        copy.packet.sender = Sender::NoSocket;
        copy.packet.input = None;
        match self.postrouting_of_copy(0, copy, interface) {
            Err(report) => give_pieces_away(&report, transit),
            Ok(copy) if at_once => {
                let report = self.come_in_again(copy);
                give_pieces_away(&report, transit);
            }
            Ok(copy) => self.worker.looped.push_back(copy),
        }
        if O::WATCHING {
            self.observer.see(Event::CopyDone);
        }
    }

    /// The copy's POSTROUTING, from this stage on.
    pub(super) fn postrouting_of_copy(
        &mut self,
        from: usize,
        mut copy: Transit,
        interface: InterfaceId,
    ) -> Result<Looped, Report> {
        if let Err(reason) = self.hook(Hook::Postrouting, from, &mut copy) {
            return Err(self.stopped_at_hook(reason, &mut copy, Onward::ToSelf(interface)));
        }
        copy.packet.heard_itself = true;
        Ok(Looped {
            interface,
            packet: copy.packet,
            tracking: copy.tracking,
            delivery: copy.delivery,
            forwarding: None,
            is_beside: self.leaves_beside,
        })
    }

    /// A copy of a packet goes out by itself, before the packet goes on: untracked, with DF, through OUTPUT and POSTROUTING. Where the packet
    /// has not been routed yet, it has one hop less to go, so that two hosts that copy to each other come to an end.
    pub(in crate::engine) fn send_beside(&mut self, hook: Hook, transit: &mut Transit, to: CopyTo) {
        if self.is_beside {
            return self.see_no_copy(&"it is a copy itself, or comes of one");
        }
        let by_name = |name: InterfaceName| self.config.net.by_name(name.as_str());
        let key = OutputKey {
            destination: to.gateway,
            source: None,
            mark: 0,
            interface: to.interface.and_then(by_name).map(|it| it.id),
            tos: transit.packet.tos(),
            flow: Flow::default(),
        };
        let mut route = match self.config.net.route_output(key) {
            Ok(route) => route,
            Err(why) => return self.see_no_copy(&why),
        };
        self.config.net.heed_path(&self.router.host, self.now, &key, &mut route);
        let buffer = self.worker.buffer(transit.packet.bytes());
        let mut packet = transit.packet.copied_into(buffer);
        let is_forwarded = packet.input.is_some() && packet.output.is_some();
        // Seen: who forwards forgets what tracking found, so who receives the copy sums it up again.
        if is_forwarded && packet.checksum == ChecksumState::Verified {
            packet.checksum = ChecksumState::Unknown;
        }
        (packet.input, packet.output) = (None, None);
        packet.origin = Origin::Copy {
            from: self.config.net.arrived_by(&transit.packet),
            to: self.config.net.link_of_own(to.gateway),
            to_any: self.config.net.is_anycast(to.gateway),
        };
        packet.forbid_fragments();
        if matches!(hook, Hook::Prerouting | Hook::Input) {
            packet.decrement_ttl();
        }
        packet.fill_header_checksum();
        let untracked = Tracking {
            state: Some(CtState::Untracked),
            ..Tracking::default()
        };
        self.is_beside = true;
        self.holds_pieces = false;
        let before = std::mem::replace(&mut self.leaves_beside, true);
        self.outward(Outgoing { packet, route }, untracked);
        self.leaves_beside = before;
        self.is_beside = false;
        if self.holds_pieces {
            transit.packet.fragments.clear();
        }
    }

    fn see_no_copy(&mut self, why: &dyn std::fmt::Display) {
        if O::WATCHING {
            self.observer.see(Event::NotCopied { why });
        }
    }
}

/// Where someone has the copy still, and with it the pieces that it was joined from, the kernel makes new ones, as large as the largest.
fn give_pieces_away(of_copy: &Report, transit: &mut Transit) {
    if is_kept(&of_copy.fate) {
        transit.packet.fragments.clear();
    }
}
