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
use super::worker::{Fate, Report};
use crate::conntrack::{Reason, TrackContext, TrackStage, Tracked};
use crate::nat::{self, Manip};
use crate::packet::PlainKey;
use crate::rule::Hook;
use remembered::ShortWay;

impl<O: Observer> Pass<'_, O> {
    /// Carries a packet that came in, if its like has been carried before. `None`: nothing was done, and it has to go the long way.
    #[inline]
    pub(super) fn short_way(&mut self, transit: &mut Transit) -> Option<Report> {
        // Only what belongs to a flow has one.
        if !self.tracks(transit.packet.family()) {
            return None;
        }
        let key = PlainKey::of(&transit.packet)?;
        let input = transit.packet.input?;
        let ways = &mut self.worker.short_ways;
        let hash = ways.hash(&key);
        let Some(way) = ways.find(hash, (&key, input), self.version) else {
            ways.went_long(hash, key);
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
        let tracked = self
            .router
            .flows
            .track_known(&cx, &mut transit.packet, &mut transit.tracking, known);
        let Some(tracked) = tracked else {
            ways.forget(hash);
            return None;
        };
        let bytes = transit.packet.len();
        way.count_before_tracking(bytes);
        if !matches!(tracked, Tracked::Accept(Reason::KnownFlow)) {
            return Some(self.go_on_tracked(transit, tracked));
        }
        way.count_after_tracking(bytes);
        way.rewrites.apply(&mut transit.packet, Manip::Destination);
        transit.packet.decrement_ttl();
        way.rewrites.apply(&mut transit.packet, Manip::Source);
        self.router.flows.got_through(self.now, &way.flow);
        if O::WATCHING {
            self.observer.see(Event::WentShort {
                flow: &way.flow,
                filter: way.filter,
            });
        }
        let (output, state) = (way.output, Some(way.state));
        ways.taken += 1;
        self.transmit(output, &mut transit.packet);
        Some(Report {
            fate: Fate::Forwarded,
            state,
        })
    }

    /// Tracking made something else of it than of those before it: all that comes behind is the long way's.
    #[cold]
    fn go_on_tracked(&mut self, transit: &mut Transit, tracked: Tracked) -> Report {
        let hook = Hook::Prerouting;
        if O::WATCHING {
            self.observer.see(Event::Tracked {
                tracking: &transit.tracking,
                made: &tracked,
            });
        }
        let tracking = stages(hook).iter().position(|(_, stage)| *stage == Stage::Track);
        match self.tracked(hook, transit, tracked) {
            Ok(()) => self.inward_from(tracking.map_or(0, |at| at + 1), transit, None),
            Err(reason) => self.stopped_at_hook(reason, transit, Onward::Inward(None)),
        }
    }

    /// A packet has gone the long way while notes were taken of it: its like may go the short way, if that is all there was to it.
    #[cold]
    pub(super) fn remember_way(&mut self, transit: &Transit, report: &Report) {
        let worker = &mut *self.worker;
        let Some(noted) = worker.short_ways.notes.take() else {
            return;
        };
        let is_all = report.fate == Fate::Forwarded && worker.output.len() == 1 && worker.looped.is_empty();
        let (Some(flow), Some(state)) = (&transit.tracking.flow, report.state) else {
            return;
        };
        let (Some(input), Some(output), Some(way)) = (transit.packet.input, transit.packet.output, transit.way) else {
            return;
        };
        let is_plain = flow.settled().is_some_and(|it| !it.is_read) && flow.lock().master().is_none();
        if !is_all || !is_plain || transit.tracking.template.is_some() {
            return;
        }
        let direction = transit.tracking.direction;
        worker.short_ways.remember(ShortWay {
            key: noted.key,
            input,
            version: self.version,
            flow: flow.clone(),
            direction,
            state,
            output,
            mtu: way.mtu,
            before_tracking: noted.before_tracking.unwrap_or_default(),
            counted: noted.counted,
            rewrites: nat::Rewrites::new(flow, direction, &noted.rewritten),
            filter: noted.filter,
        });
    }
}
