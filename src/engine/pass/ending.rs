//! Where a packet goes no further, and what whoever watches is told of it.

use super::{Pass, Transit};
use crate::base::InterfaceId;
use crate::conntrack::CtState;
use crate::engine::observer::{Event, Observer};
use crate::engine::reason::Reason;
use crate::engine::worker::{Fate, Report};
use crate::net::{Complaint, Suppressed};

impl<O: Observer> Pass<'_, O> {
    /// The packet at hand goes no further; if a rule rejected it, its sender is told.
    pub(super) fn gone(&mut self, reason: Reason, transit: &mut Transit) -> Report {
        self.see_stop(&reason);
        if let Reason::Rejected { with, .. } = &reason {
            self.reject(transit, *with);
        }
        self.finished(reason, transit)
    }

    /// The host takes no more of it, and may have something to say about it.
    #[cold]
    pub(super) fn refused(&mut self, reason: Reason, complaint: Option<Complaint>, transit: &mut Transit) -> Report {
        self.see_stop(&reason);
        if let Some(complaint) = complaint {
            self.complain(&transit.packet, &transit.tracking, transit.delivery, complaint);
        }
        self.finished(reason, transit)
    }

    /// What stopped it has been shown already.
    pub(super) fn finished(&mut self, reason: Reason, transit: &mut Transit) -> Report {
        let state = transit.tracking.state;
        self.worker.recycle(&mut transit.packet);
        Report {
            fate: Fate::Stopped(reason),
            state,
        }
    }

    pub(super) fn stopped(&mut self, reason: Reason, state: Option<CtState>) -> Report {
        self.see_stop(&reason);
        Report {
            fate: Fate::Stopped(reason),
            state,
        }
    }

    pub(in crate::engine) fn see_arrival(&mut self, interface: Option<InterfaceId>, bytes: &[u8]) {
        if O::WATCHING {
            self.observer.see(Event::Arrived {
                number: self.worker.number,
                interface: interface.map(|id| self.config.net.interface(id).name),
                bytes,
                config: &self.config,
            });
        }
    }

    pub(in crate::engine) fn see_report(&mut self, report: &Report) {
        if O::WATCHING {
            self.observer.see(Event::Reported(report));
        }
    }

    /// Before anything is sent because of it, so that the story is told in order.
    pub(super) fn see_stop(&mut self, reason: &Reason) {
        if O::WATCHING {
            self.observer.see(Event::Stopped { reason });
        }
    }

    pub(in crate::engine) fn see_silence(&mut self, why: Suppressed) {
        if O::WATCHING {
            self.observer.see(Event::Unanswered { why });
        }
    }
}
