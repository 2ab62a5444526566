//! A packet that a queue keeps: what is put away where a hook stops it, and how it goes on from there once somebody has decided.

use super::{Known, Pass, Transit};
use crate::base::InterfaceId;
use crate::engine::observer::{Event, Observer};
use crate::engine::queue::{Held, QueueVerdict, VerdictKind};
use crate::engine::reason::Reason;
use crate::engine::worker::{Fate, Report};
use crate::net::{Forwarding, OutputRoute};

/// Where a held packet goes on, once its hook is done.
#[derive(Debug)]
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
    pub(super) fn stopped_at_hook(&mut self, reason: Reason, transit: &mut Transit, onward: Onward) -> Report {
        let Some(place) = self.queued.take() else {
            return self.gone(reason, transit);
        };
        self.see_stop(&reason);
        // Who listens gets it whole.
        transit.packet.finish_checksum();
        let held = Transit {
            packet: transit.packet.take(),
            tracking: std::mem::take(&mut transit.tracking),
            delivery: transit.delivery,
            way: transit.way,
        };
        let state = held.tracking.state;
        self.holds_pieces |= held.packet.largest_fragment != 0;
        let remembered = if O::WATCHING { self.observer.hold() } else { None };
        self.router.queues.put(Held {
            place,
            transit: held,
            onward,
            number: self.worker.number,
            remembered,
        });
        Report {
            fate: Fate::Stopped(reason),
            state,
        }
    }

    /// What was decided of a held packet is done.
    pub(in crate::engine) fn reinject(&mut self, held: Held, verdict: QueueVerdict) -> Report {
        let counted = std::mem::replace(&mut self.worker.number, held.number);
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
        if let Some(bytes) = verdict.bytes.take()
            && !transit.packet.rewrite(bytes)
        {
            return self.gone(Reason::NoPacketAnyMore(place.queue), &mut transit);
        }
        match onward {
            Onward::Inward(known) => self.inward_from(from, &mut transit, known),
            Onward::Forward(route) => self.forward_from(from, &mut transit, &route),
            Onward::Deliver => self.deliver_from(from, &mut transit),
            Onward::Outward { route, is_by_program } => {
                self.outward_from(from, Some(place.key), &mut transit, route, is_by_program)
            }
            Onward::Depart { mtu, forwarding } => self.depart_from(from, &mut transit, mtu, forwarding.as_ref()),
            Onward::ToSelf(interface) => match self.postrouting_of_copy(from, transit, interface) {
                Ok(copy) => self.come_in_again(copy),
                Err(report) => report,
            },
        }
    }
}
