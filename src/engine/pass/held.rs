//! A packet that a queue keeps: what is put away where a hook stops it, and how it goes on from there once somebody has decided.

use super::{Call, Known, Pass, Transit};
use crate::base::InterfaceId;
use crate::engine::observer::{Event, Observer};
use crate::engine::queue::{Found, Held, QueueVerdict, QueuedAt, VerdictKind};
use crate::engine::reason::Reason;
use crate::engine::worker::{Fate, Report};
use crate::net::{Forwarding, OutputKey, OutputRoute};

/// Where a held packet goes on, once its hook is done.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Onward {
    Inward(Option<Known>),
    Forward(Forwarding),
    Deliver,
    Outward {
        route: OutputRoute,
        is_by_program: bool,
    },
    Depart {
        mtu: u32,
        forwarding: Option<Forwarding>,
    },
    /// It is the copy of a broadcast, and comes in again here.
    ToSelf(InterfaceId),
}

impl<O: Observer> Pass<'_, O> {
    /// A hook stopped the packet: it is gone, unless a queue keeps a place for it, where it waits and may go on.
    #[cold]
    pub(in crate::engine) fn stopped_at_hook(
        &mut self,
        reason: Reason,
        transit: &mut Transit,
        onward: Onward,
    ) -> Report {
        let Some(place) = self.queued.take() else {
            return self.gone(reason, transit);
        };
        self.see_stop(&reason);
        let state = transit.tracking.state;
        if transit.packet.offload().segment_size != 0 {
            self.hold_segments(place, transit, &onward);
        } else {
            // Who listens gets it whole.
            transit.packet.finish_checksum();
            let held = Transit {
                packet: transit.packet.take(),
                tracking: std::mem::take(&mut transit.tracking),
                delivery: transit.delivery,
                way: transit.way,
            };
            self.hold(place, held, onward);
        }
        Report {
            fate: Fate::Stopped(reason),
            state,
        }
    }

    fn hold(&mut self, place: QueuedAt, transit: Transit, onward: Onward) {
        self.holds_pieces |= transit.packet.largest_fragment != 0;
        let remembered = if O::WATCHING { self.observer.hold() } else { None };
        self.router.queues.put(Held {
            place,
            transit,
            onward,
            number: self.worker.number,
            remembered,
        });
    }

    /// Who listens gets packets as they would be on a wire: one that stands for many waits as so many, the first at the place that was kept for
    /// it, each other at one of its own while there is room.
    fn hold_segments(&mut self, first: QueuedAt, transit: &mut Transit, onward: &Onward) {
        let mut segments = Vec::new();
        transit.packet.take().cut(&mut |segment| segments.push(segment));
        let mut kept = Some(first.kept);
        for segment in segments {
            let mut segment = transit.with(segment);
            let found = match kept.take() {
                Some(kept) => Found::Place(kept),
                None => self.router.queues.find(first.queue),
            };
            match found {
                Found::Place(kept) => self.hold(QueuedAt { kept, ..first }, segment, *onward),
                Found::Full { fail_open: true } => {
                    self.go_on(first.stage + 1, &mut segment, Some(first.key), *onward);
                }
                Found::Full { fail_open: false } | Found::Nobody => self.worker.recycle(&mut segment.packet),
            }
        }
    }

    /// What was decided of a held packet is done.
    pub(in crate::engine) fn reinject(&mut self, held: Held, verdict: QueueVerdict) -> Report {
        let counted = std::mem::replace(&mut self.worker.number, held.number);
        self.call = Call::Decides(held.place.hook);
        let report = self.resume(held, verdict);
        self.come_round();
        self.worker.number = counted;
        self.see_report(&report);
        report
    }

    fn resume(&mut self, held: Held, mut verdict: QueueVerdict) -> Report {
        let Held {
            place,
            mut transit,
            onward,
            remembered,
            ..
        } = held;
        if !O::WATCHING || !self.observer.take_up(remembered) {
            self.see_arrival(transit.packet.input, transit.packet.bytes());
        }
        if O::WATCHING {
            self.observer.see(Event::Resumed {
                queue: place.queue,
                hook: place.hook,
                verdict: &verdict,
            });
        }
        let from = match verdict.kind {
            VerdictKind::Drop => return self.gone(Reason::DroppedByListener(place.queue), &mut transit),
            VerdictKind::Accept => place.stage + 1,
            VerdictKind::Repeat => place.stage,
        };
        if let Some(mark) = verdict.mark {
            transit.packet.mark = mark;
        }
        if let Some(bytes) = verdict.bytes.take() {
            transit.tracking.is_another_packet();
            if !transit.packet.rewrite(bytes) {
                return self.gone(Reason::NoPacketAnyMore(place.queue), &mut transit);
            }
        }
        self.go_on(from, &mut transit, Some(place.key), onward)
    }

    /// From this stage of the hook on in which it was stopped.
    fn go_on(&mut self, from: usize, transit: &mut Transit, key: Option<OutputKey>, onward: Onward) -> Report {
        match onward {
            Onward::Inward(known) => self.inward_from(from, transit, known),
            Onward::Forward(route) => self.forward_from(from, transit, &route),
            Onward::Deliver => self.deliver_from(from, transit),
            Onward::Outward { route, is_by_program } => self.outward_from(from, key, transit, route, is_by_program),
            Onward::Depart { mtu, forwarding } => self.depart_from(from, transit, mtu, forwarding.as_ref()),
            Onward::ToSelf(interface) => {
                let packet = transit.packet.take();
                let copy = transit.with(packet);
                match self.postrouting_of_copy(from, copy, interface) {
                    Ok(copy) => self.come_in_again(copy),
                    Err(report) => report,
                }
            }
        }
    }
}
