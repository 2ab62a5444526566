//! The short way of a packet whose like has gone the long way before.
//!
//! Most packets of a flow meet the same rules, the same route and the same mapping as those before them, and what differs from one to the next is
//! what tracking makes of it. So a worker remembers of the last ways which rules counted them, and where they led ([`ShortWay`]), under all that
//! these rules and routing may ask of a packet ([`PlainKey`]). The next packet alike is tracked as ever; if tracking calls it what it called the one
//! before, it is counted, rewritten and sent.
//!
//! A way is remembered only where everything that was asked is decided by what the key fixes, by the flow, and by what is in force: its number
//! ([`Router::version`](super::router::Router)) changes with each change of rules and of configuration, and so does the way. Of all else nothing is
//! remembered, and the packet goes the long way, which is also what the short one is held against (`tests/short_way.rs`).

mod notes;
mod remembered;

pub(super) use notes::Notes;
pub(super) use remembered::ShortWays;

use super::hooks::{Stage, stages};
use super::observer::{Event, Observer};
use super::pass::{Onward, Pass, Transit};
use super::worker::{Arrival, Emission, Fate, Report, Worker};
use crate::base::InterfaceId;
use crate::conntrack::{TrackContext, TrackStage, Tracked, TrackedAgain};
use crate::nat::{self, Manip};
use crate::packet::{Plain, PlainKey};
use crate::rule::Hook;
use remembered::ShortWay;

/// Packets of which memory is asked before the first of them is carried.
const AT_ONCE: usize = 16;

impl<O: Observer> Pass<'_, O> {
    /// Packets that came together. They are read a few at a time, so that what is remembered of one is on its way from memory while another is read.
    pub(super) fn arrive_together<B: AsRef<[u8]>>(
        &mut self,
        packets: &[(InterfaceId, B)],
        each: &mut impl FnMut(&Report, &mut [Emission]),
    ) {
        let mut transit = Transit::nothing();
        for few in packets.chunks(AT_ONCE) {
            if self.worker.short_ways.are_many() {
                let flags = self.flags_asked();
                self.worker
                    .short_ways
                    .look_ahead(flags, few.iter().map(|(_, bytes)| bytes.as_ref()));
            }
            for (interface, bytes) in few {
                self.worker.number += 1;
                let bytes = bytes.as_ref();
                let report = self.arrive_plain(&mut transit, *interface, bytes, Plain::read(bytes).as_ref());
                each(&report, &mut self.worker.output);
            }
        }
        self.worker.recycle(&mut transit.packet);
    }

    /// Packets that came one after another, each at its time.
    pub(super) fn arrive_in_turn(
        &mut self,
        packets: &[Arrival<'_>],
        each: &mut impl FnMut(&mut O, Report, &mut Worker),
    ) {
        let mut transit = Transit::nothing();
        for few in packets.chunks(AT_ONCE) {
            if self.worker.short_ways.are_many() {
                let flags = self.flags_asked();
                self.worker
                    .short_ways
                    .look_ahead(flags, few.iter().map(|packet| packet.bytes));
            }
            for Arrival {
                number,
                time,
                interface,
                bytes,
            } in few
            {
                (self.worker.number, self.now) = (*number, *time);
                let report = self.arrive_plain(&mut transit, *interface, bytes, Plain::read(bytes).as_ref());
                each(self.observer, report, self.worker);
            }
        }
        self.worker.recycle(&mut transit.packet);
    }

    /// Carries a plain packet that came in, if its like has been carried before. `None`: nothing was done, and it has to go the long way.
    #[inline]
    pub(super) fn short_way(&mut self, transit: &mut Transit, key: PlainKey) -> Option<Report> {
        let input = transit.packet.input?;
        if self.router.flows.has_zones_of_one_way() {
            return None;
        }
        let key = key.with_flags(self.flags_asked());
        let ways = &mut self.worker.short_ways;
        let hash = ways.hash(&key);
        let Some(way) = ways.find(hash, (&key, input), self.version) else {
            // Only what belongs to a flow has one.
            if self.tracks(transit.packet.family()) {
                self.worker.short_ways.went_long(hash, key, self.version);
            }
            return None;
        };
        if transit.packet.ttl() <= 1 || transit.packet.largest_segment() > way.mtu as usize {
            return None;
        }
        let cx = TrackContext {
            now: self.now,
            settings: &self.config.conntrack,
            stage: TrackStage::Prerouting,
            helpers: self.config.helpers.conntrack(),
            packet: self.worker.number,
        };
        let known = (&way.flow, way.direction, way.state);
        let flows = &self.router.flows;
        let bytes = transit.packet.len();
        match flows.track_known(&cx, &mut transit.packet, &mut transit.tracking, known) {
            TrackedAgain::AsExpected => way.count(bytes),
            TrackedAgain::Otherwise(tracked) => {
                way.count_before_tracking(bytes);
                return Some(self.go_on_tracked(transit, tracked));
            }
            TrackedAgain::NotSure => {
                ways.forget(hash);
                return None;
            }
        }
        way.rewrites.apply(&mut transit.packet, Manip::Destination);
        transit.packet.decrement_ttl();
        way.rewrites.apply(&mut transit.packet, Manip::Source);
        flows.got_through(self.now, &way.flow);
        if O::WATCHING {
            self.observer.see(Event::WentShort {
                flow: &way.flow,
                filter: way.filter,
            });
        }
        let (output, state) = (way.output, Some(way.state));
        ways.taken += 1;
        if self.worker.leaves_to_devices || transit.packet.offload().is_done() {
            self.worker.replace_output(output, &mut transit.packet);
        } else {
            self.worker.begin();
            self.transmit(output, &mut transit.packet);
        }
        Some(Report {
            fate: Fate::Forwarded,
            state,
        })
    }

    /// The bits of TCP's flags in which packets must be equal to be alike.
    #[inline]
    fn flags_asked(&self) -> u8 {
        self.live.of(Plain::FAMILY).tcp_flags
    }

    /// Tracking made something else of it than of those before it: all that comes behind is the long way's.
    #[cold]
    fn go_on_tracked(&mut self, transit: &mut Transit, tracked: Tracked) -> Report {
        self.worker.begin();
        self.begin_again();
        let hook = Hook::Prerouting;
        if O::WATCHING {
            self.observer.see(Event::Tracked {
                tracking: &transit.tracking,
                made: &tracked,
            });
        }
        let tracking = stages(hook).iter().position(|(_, stage)| *stage == Stage::Track);
        let report = match self.tracked(hook, transit, tracked) {
            Ok(()) => self.inward_from(tracking.map_or(0, |at| at + 1), transit, None),
            Err(reason) => self.stopped_at_hook(reason, transit, Onward::Inward(None)),
        };
        self.come_round();
        transit.end();
        report
    }

    /// A packet has gone the long way while notes were taken of it: its like may go the short way, if that is all there was to it.
    #[cold]
    pub(super) fn remember_way(&mut self, transit: &Transit, report: &Report) {
        let worker = &mut *self.worker;
        let is_noted = worker.short_ways.notes.end();
        let Some(key) = worker.short_ways.notes.key.take() else {
            return;
        };
        let is_all = report.fate == Fate::Forwarded && worker.output.len() == 1 && worker.looped.is_empty();
        let way = match is_noted && is_all {
            true => self.way_of(key, transit, report),
            false => None,
        };
        let ways = &mut self.worker.short_ways;
        match way {
            Some(way) => ways.remember(way),
            None => ways.has_none(&key),
        }
    }

    fn way_of(&mut self, key: PlainKey, transit: &Transit, report: &Report) -> Option<ShortWay> {
        let (flow, way) = (transit.tracking.flow.as_ref()?, transit.way?);
        let is_plain = flow.settled().is_some_and(|it| !it.is_read) && flow.lock().master().is_none();
        if !is_plain || transit.tracking.template.is_some() {
            return None;
        }
        let direction = transit.tracking.direction;
        let notes = &mut self.worker.short_ways.notes;
        Some(ShortWay {
            key,
            input: transit.packet.input?,
            version: self.version,
            flow: flow.clone(),
            direction,
            state: report.state?,
            output: transit.packet.output?,
            mtu: way.mtu,
            before_tracking: notes.before_tracking?,
            counted: notes.counted.drain(..).collect(),
            rewrites: nat::Rewrites::new(flow, direction, &notes.rewritten),
            filter: notes.filter,
        })
    }
}
