//! The short way of a packet whose like has gone the long way before.
//!
//! Most packets of a flow meet the same rules, the same route and the same mapping as those before them, and what differs from one to the next is
//! what tracking makes of it. So a worker remembers of the last ways which rules counted them, and where they led ([`ShortWay`]), under all that
//! these rules and routing may ask of a packet ([`PlainKey`]). The next packet alike is tracked as ever; if tracking calls it what it called the one
//! before, it is counted, rewritten and sent.
//!
//! A way is remembered only where everything that was asked is decided by what the key fixes, by the flow, and by what is in force: its number
//! ([`Version`](super::version::Version)) changes with each change of rules and of configuration, and so does the way;
//! what is heard of a path's size changes those to its destination. Of all else nothing is
//! remembered, and the packet goes the long way, which is also what the short one is held against (`tests/short_way.rs`).

mod notes;
mod remembered;
mod together;

pub(super) use notes::Notes;
pub(super) use remembered::{Like, OfFamily, ShortWays};

use std::sync::Arc;

use super::hooks::{Stage, stages};
use super::observer::{Event, Observer};
use super::pass::{Onward, Pass, Transit};
use super::worker::{Fate, Port, Report, sole};
use crate::base::Time;
use crate::conntrack::{KnownWay, TrackContext, TrackStage, Tracked, TrackedAgain};
use crate::nat::{self, Manip};
use crate::packet::{Offload, Plain, PlainKey};
use crate::rule::Hook;
use remembered::{Belongs, ShortWay};

impl<O: Observer> Pass<'_, O> {
    /// Asks tracking of the first of these packets, if its like has been carried before, and of those behind it that are of the same flow: all in one visit,
    /// for that costs more than all that is done there. How many of them belong, and may go the short way; of others nothing was done. `when` knows the
    /// number and the time of each.
    #[inline(never)]
    fn belong<const WORDS: usize>(
        &self,
        packets: &[Option<Like<'_, WORDS>>],
        belong: &mut [Option<Belongs>],
        when: impl Fn(usize) -> (u64, Time),
    ) -> usize
    where
        ShortWays: OfFamily<WORDS>,
    {
        let flows = &self.router.flows;
        let ways = OfFamily::<WORDS>::ways(&self.worker.short_ways);
        if flows.has_zones_of_one_way() {
            return 0;
        }
        let Some(Some((mut spot, mut way))) = packets
            .first()
            .and_then(|first| first.as_ref().map(|first| ways.way_of(first, self.version)))
        else {
            return 0;
        };
        let flow = &way.flow;
        let mut visit = flow.visit();
        let mut count = 0;
        while let (Some(Some(like)), Some(belongs)) = (packets.get(count), belong.get_mut(count)) {
            let (packet, now) = when(count);
            let cx = TrackContext {
                now,
                settings: &self.config.conntrack,
                stage: TrackStage::Prerouting,
                helpers: self.config.helpers.conntrack(),
                packet,
            };
            let Some(checksum) = visit.goes_on(&cx, &like.plain, way.known) else {
                break;
            };
            *belongs = Some(Belongs { spot, checksum });
            count += 1;
            // Who listens is told what each packet changed.
            let Some(Some(next)) = packets.get(count).filter(|_| !flows.is_heard()) else {
                break;
            };
            if next.is_as(like) {
                if !way.takes(next.plain.ttl(), next.plain.len()) {
                    break;
                }
                continue;
            }
            match ways.way_of(next, self.version) {
                Some((next_spot, next)) if Arc::ptr_eq(&next.flow, flow) => (spot, way) = (next_spot, next),
                _ => break,
            }
        }
        count
    }

    /// A packet of which tracking said that it belongs is counted, rewritten and sent. It is read where it lies and written where it leaves, so that
    /// nothing is read that has just been written.
    #[inline]
    fn leaves_short<const WORDS: usize>(&mut self, like: &Like<'_, WORDS>, belongs: Belongs, report: &mut Report)
    where
        ShortWays: OfFamily<WORDS>,
    {
        let plain = &like.plain;
        self.see_arrival(Some(like.input), plain.bytes());
        let worker = &mut *self.worker;
        worker.short_ways.taken += 1;
        let Some(way) = OfFamily::<WORDS>::ways(&worker.short_ways).at(belongs.spot) else {
            return;
        };
        way.count(plain.len());
        self.router.flows.got_through(self.now, &way.flow);
        let emission = sole(&mut worker.output, &mut worker.pool);
        emission.port = Port::Interface(way.output);
        emission.offload = Offload {
            checksum: belongs.checksum,
            ..Offload::default()
        };
        emission.is_beside = false;
        plain.leave_by(&way.edit, &mut emission.bytes);
        report.fate = Fate::Forwarded;
        report.state = Some(way.known.state);
        if O::WATCHING {
            self.observer.see(Event::WentShort {
                flow: &way.flow,
                filter: way.filter,
            });
        }
        self.see_report(report);
    }

    /// A packet that came alone, or of which it is not known whether it belongs.
    #[inline]
    pub(super) fn goes_short<const WORDS: usize>(&mut self, like: &Like<'_, WORDS>, report: &mut Report) -> bool
    where
        ShortWays: OfFamily<WORDS>,
    {
        let mut belongs = [None];
        if O::SHORTLY {
            self.belong(&[Some(*like)], &mut belongs, |_| (self.worker.number, self.now));
        }
        let [Some(belongs)] = belongs else {
            return false;
        };
        self.leaves_short(like, belongs, report);
        true
    }

    /// The same of one that has a buffer, of which more may be known and more may be to be said. `None`: nothing was done, and it has to go the long way.
    pub(super) fn short_way<const WORDS: usize>(
        &mut self,
        transit: &mut Transit,
        key: PlainKey<WORDS>,
    ) -> Option<Report>
    where
        ShortWays: OfFamily<WORDS>,
    {
        let input = transit.packet.input?;
        if self.router.flows.has_zones_of_one_way() {
            return None;
        }
        let key = key.with_flags(self.flags_asked::<WORDS>());
        let ways = OfFamily::<WORDS>::ways(&self.worker.short_ways);
        let hash = ways.hash(&key);
        let way = match ways.find(hash, (&key, input), self.version) {
            Some(way) => way,
            None => {
                let tracks = self.tracks(transit.packet.family());
                let (ways, notes) = OfFamily::<WORDS>::ways_mut(&mut self.worker.short_ways);
                let versions = &self.router.versions;
                if !self.version.is_after_words() || !ways.renew(hash, (&key, input), versions, self.version) {
                    // Only what belongs to a flow has one.
                    if tracks {
                        ways.went_long(notes, (hash, key), self.version);
                    }
                    return None;
                }
                ways.find(hash, (&key, input), self.version)?
            }
        };
        if !way.takes(transit.packet.ttl(), transit.packet.largest_segment()) {
            return None;
        }
        let cx = TrackContext {
            now: self.now,
            settings: &self.config.conntrack,
            stage: TrackStage::Prerouting,
            helpers: self.config.helpers.conntrack(),
            packet: self.worker.number,
        };
        let flows = &self.router.flows;
        let bytes = transit.packet.len();
        let checksum =
            Plain::<WORDS>::of(&transit.packet).and_then(|plain| way.flow.visit().goes_on(&cx, &plain, way.known));
        if let Some(checksum) = checksum {
            transit.packet.checksum = checksum;
        } else {
            let known = (&way.flow, way.known);
            match flows.track_known(&cx, &mut transit.packet, &mut transit.tracking, known) {
                TrackedAgain::AsExpected => {}
                TrackedAgain::Otherwise(tracked) => {
                    way.count_before_tracking(bytes);
                    transit.packet.mark = way.mark_at_tracking;
                    return Some(self.go_on_tracked(transit, tracked));
                }
                TrackedAgain::NotSure => {
                    OfFamily::<WORDS>::ways_mut(&mut self.worker.short_ways).0.forget(hash);
                    return None;
                }
            }
        }
        way.count(bytes);
        if way.edit.is_for(transit.packet.checksum) {
            transit.packet.leave_by(&way.edit);
        } else {
            way.rewrites.apply(&mut transit.packet, Manip::Destination);
            transit.packet.decrement_ttl();
            way.rewrites.apply(&mut transit.packet, Manip::Source);
        }
        flows.got_through(self.now, &way.flow);
        if O::WATCHING {
            self.observer.see(Event::WentShort {
                flow: &way.flow,
                filter: way.filter,
            });
        }
        let (output, state) = (way.output, Some(way.known.state));
        self.worker.short_ways.taken += 1;
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
    pub(super) fn flags_asked<const WORDS: usize>(&self) -> u8 {
        self.live.of(Plain::<WORDS>::FAMILY).tcp_flags
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
    pub(super) fn remember_way<const WORDS: usize>(&mut self, transit: &Transit, report: &Report)
    where
        ShortWays: OfFamily<WORDS>,
    {
        let worker = &mut *self.worker;
        let is_noted = worker.short_ways.notes.end();
        let Some(key) = OfFamily::<WORDS>::ways_mut(&mut worker.short_ways).0.noted.take() else {
            return;
        };
        let is_all = report.fate == Fate::Forwarded && worker.output.len() == 1 && worker.looped.is_empty();
        let way = match is_noted && is_all {
            true => self.way_of(key, transit, report),
            false => None,
        };
        let (ways, _) = OfFamily::<WORDS>::ways_mut(&mut self.worker.short_ways);
        match way {
            Some(way) => ways.remember(way),
            None => ways.has_none(&key),
        }
    }

    fn way_of<const WORDS: usize>(
        &mut self,
        key: PlainKey<WORDS>,
        transit: &Transit,
        report: &Report,
    ) -> Option<ShortWay<WORDS>> {
        let (flow, way) = (transit.tracking.flow.as_ref()?, transit.way?);
        let notes = &mut self.worker.short_ways.notes;
        let state = flow.lock();
        // A mark that rules set to what it was is set by nobody.
        let is_same = !notes.needs_mark || state.mark == notes.mark;
        let is_plain = is_same && flow.settled().is_some_and(|it| !it.is_read) && state.master().is_none();
        drop(state);
        if !is_plain || transit.tracking.template.is_some() {
            return None;
        }
        let direction = transit.tracking.direction;
        let rewrites = nat::Rewrites::new(flow, direction, &notes.rewritten);
        Some(ShortWay {
            key,
            input: transit.packet.input?,
            version: self.version,
            flow: flow.clone(),
            known: KnownWay {
                direction,
                state: report.state?,
                mark: notes.needs_mark.then_some(notes.mark),
            },
            output: transit.packet.output?,
            mtu: way.mtu,
            before_tracking: notes.before_tracking?,
            mark_at_tracking: notes.packet_mark,
            counted: notes.counted.drain(..).collect(),
            edit: rewrites.of_plain(&key),
            rewrites,
            filter: notes.filter,
        })
    }
}
