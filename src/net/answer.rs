//! What the local host does with a packet that got through INPUT.

use super::{Delivery, DropReason, HostState, Net, Outgoing};
use crate::base::Time;
use crate::packet::Packet;

/// Which local ports are open. A packet to an open port is consumed, and nothing is answered here.
pub trait Listeners {
    fn is_open(&self, packet: &Packet) -> bool;
}

/// No port is open.
pub struct Closed;

impl Listeners for Closed {
    fn is_open(&self, _: &Packet) -> bool {
        false
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    /// Taken by a socket or by the stack; nothing goes out.
    Consumed,
    /// The packet was taken, and this goes out.
    Reply(Box<Outgoing>),
    /// The packet was dropped for the reason; an ICMP error or a reset goes out.
    Refused(DropReason, Box<Outgoing>),
    /// The packet was dropped for the reason, and nothing goes out.
    Dropped(DropReason),
}

impl Net {
    pub fn answer(
        &self,
        host: &mut HostState,
        now: Time,
        listeners: &dyn Listeners,
        packet: &Packet,
        delivery: Delivery,
    ) -> Answer {
        let _ = (host, now, listeners, packet, delivery);
        Answer::Consumed
    }
}
