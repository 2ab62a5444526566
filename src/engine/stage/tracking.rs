//! Tracking is asked what a packet is, and the log told of what it is not.

use crate::base::{InterfaceId, InterfaceName};
use crate::conntrack::{self, CtState, DropReason, TrackContext, TrackStage, Tracked};
use crate::engine::observer::{Event, Observer};
use crate::engine::pass::{Pass, Transit};
use crate::engine::reason::Reason;
use crate::engine::services::MOST_LINES;
use crate::nat::{self, NatContext};
use crate::packet::Packet;
use crate::packet::log_line::{self, IP_OPTIONS, TCP_OPTIONS, TCP_SEQUENCE, UID};
use crate::rule::{Hook, LogRecord};

impl<O: Observer> Pass<'_, O> {
    // Apart, so that the other stages, of which most do nothing, need not make room for what it needs.
    #[inline(never)]
    pub(super) fn track(&mut self, hook: Hook, transit: &mut Transit) -> Result<(), Reason> {
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
    pub(in crate::engine) fn tracked(
        &mut self,
        hook: Hook,
        transit: &mut Transit,
        tracked: Tracked,
    ) -> Result<(), Reason> {
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
}
