//! What comes in again: packets that left through `lo`, and the router's own copies of what it broadcasts.

use super::{Call, Pass, Transit};
use crate::conntrack::CtState;
use crate::engine::observer::Observer;
use crate::engine::reason::Reason;
use crate::engine::worker::{Fate, Looped, Report};
use crate::net::{Delivery, come_round};
use crate::packet::{Packet, Sender};
use crate::rule::Hook;

impl<O: Observer> Pass<'_, O> {
    /// What was sent through `lo`, or broadcast, comes in again, after everything else that the packet at hand caused.
    pub(in crate::engine) fn come_round(&mut self) {
        while let Some(looped) = self.worker.looped.pop_front() {
            self.come_in_again(looped);
        }
    }

    /// Copies went beside the packet while it walked a table. Seen: where a program's call sends it, or lets it go on in this hook, the kernel lets
    /// in what comes round as soon as that walk is over, not those of the copies within it; else, what comes round waits until the packet is through.
    ///
    /// A copy that comes round whole shares the pieces that the packet was joined from, as long as anybody has it: who reads, or a queue, or the
    /// line of what waits. Until then the kernel cuts the packet anew.
    pub(in crate::engine) fn copies_were_sent(&mut self, hook: Hook, packet: &mut Packet) {
        let mut is_shared = false;
        let is_within_a_call = self.call == Call::Sends || self.call == Call::Decides(hook);
        if is_within_a_call && !self.is_beside {
            while let Some(looped) = self.worker.looped.pop_front() {
                let shares = looped.packet.largest_fragment != 0;
                let report = self.come_in_again(looped);
                is_shared |= shares && is_kept(&report.fate);
            }
        } else {
            is_shared = self.worker.looped.iter().any(|it| it.packet.largest_fragment != 0);
        }
        if is_shared {
            packet.fragments.clear();
        }
    }

    pub(super) fn come_in_again(&mut self, looped: Looped) -> Report {
        let Looped {
            interface,
            packet,
            tracking,
            delivery,
            forwarding,
            is_beside,
        } = looped;
        let mut transit = Transit {
            packet,
            tracking,
            delivery: Delivery::Unicast,
            way: None,
        };
        let Transit { packet, tracking, .. } = &mut transit;
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return self.stopped(Reason::TooManyLoops, tracking.state);
        }
        packet.input = Some(interface);
        packet.output = None;
        packet.sender = Sender::NoSocket;
        packet.options_unread = false;
        // Nobody remembers any more what pieces it came in.
        packet.largest_fragment = 0;
        packet.fragments_had_df = false;
        packet.fragments.clear();
        packet.joined_at = None;
        packet.is_to_be_summed();
        // What a CT target said was for the tracking that has been done.
        tracking.template = None;
        tracking.is_another_packet();
        if tracking.state == Some(CtState::Invalid) {
            // The kernel marks an INVALID packet by nothing at all: it is a fresh one again.
            tracking.state = None;
        }
        self.see_arrival(Some(interface), packet.bytes());
        if let Err(reason) = come_round(packet) {
            return self.stopped(Reason::Host(reason), tracking.state);
        }
        // What it causes is not the call's any more.
        let call = std::mem::take(&mut self.call);
        let leaves_beside = std::mem::replace(&mut self.leaves_beside, is_beside);
        let report = match self.config.net.arrive(packet) {
            Ok(()) => self.inward(&mut transit, Some((delivery, forwarding))),
            Err(refused) => self.refused_on_arrival(refused, &mut transit),
        };
        self.leaves_beside = leaves_beside;
        self.call = call;
        report
    }
}

/// Whether anybody has the packet still: who reads what reaches the router, or a queue.
pub(super) fn is_kept(fate: &Fate) -> bool {
    matches!(fate, Fate::Delivered | Fate::Stopped(Reason::Held { .. }))
}

/// How often packets may go round through `lo` because of one packet from outside. Two is what a reset takes; where a route leads strangers' packets
/// through `lo`, one is forwarded until its time to live is over.
const MAX_LOOPS: u32 = 512;
