//! How a sender hears that its packet goes no further: what REJECT owes it, and the host's complaints.

use super::observer::Observer;
use super::pass::{Pass, Transit};
use crate::conntrack::{CtState, Tracking};
use crate::net::{Complaint, Delivery, Outgoing, Suppressed, belongs_to_what_it_quotes};
use crate::packet::Packet;
use crate::rule::Rejection;

impl<O: Observer> Pass<'_, O> {
    /// What REJECT owes the sender, or why it keeps silent.
    pub(super) fn reject(&mut self, transit: &Transit, with: Rejection) {
        let Transit {
            packet,
            tracking,
            delivery,
            ..
        } = transit;
        match with {
            Rejection::Unreachable(why) => {
                let net = &self.config.net;
                let built = net.unreachable_by_rule(&self.router.host, self.now, packet, *delivery, why);
                self.tell_sender(built, tracking);
            }
            Rejection::TcpReset => match self.config.net.reset(packet, *delivery) {
                Ok(outgoing) => {
                    let tracking = related(tracking);
                    if let Some(flow) = &tracking.flow {
                        flow.lock().reset_by_rule(self.now, &self.config.conntrack);
                    }
                    self.outward(outgoing, tracking);
                }
                Err(why) => self.see_silence(why),
            },
        }
    }

    /// Tells the sender of a packet, if it may be told.
    pub(super) fn complain(&mut self, about: &Packet, tracking: &Tracking, delivery: Delivery, complaint: Complaint) {
        let net = &self.config.net;
        let built = net.complain(&self.router.host, self.now, about, delivery, complaint);
        self.tell_sender(built, tracking);
    }

    /// Sends what the host's ICMP code made of a packet that was tracked so, or says why it made nothing.
    pub(super) fn tell_sender(&mut self, built: Result<Outgoing, Suppressed>, about: &Tracking) {
        match built {
            Ok(outgoing) => {
                let tracking = match belongs_to_what_it_quotes(&outgoing.packet) {
                    true => related(about),
                    false => Tracking::default(),
                };
                self.outward_icmp(outgoing, tracking);
            }
            Err(why) => self.see_silence(why),
        }
    }
}

/// What a reset or an ICMP error of the router's own carries of tracking: it is RELATED to the flow of the packet it is about, the other way,
/// also where that flow is new and will never be confirmed.
///
/// About an untracked packet it is RELATED to nothing: matches call that INVALID, NOTRACK leaves it alone, and the tracking stage looks at it
/// as at any packet. About an INVALID one it carries nothing. All seen on Linux 6.18.
fn related(of: &Tracking) -> Tracking {
    let is_attached = of.flow.is_some() || of.state == Some(CtState::Untracked);
    Tracking {
        flow: of.flow.clone(),
        state: is_attached.then_some(CtState::Related),
        direction: of.direction.opposite(),
        ..Tracking::default()
    }
}
