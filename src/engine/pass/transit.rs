//! A packet on its way, with what is known of it.

use crate::conntrack::Tracking;
use crate::net::Delivery;
use crate::packet::Packet;
use crate::rule::WayOut;

/// A packet on its way, with what tracking says of it. It stays where it was made, and is lent from step to step: moving it costs more than most steps.
#[derive(Debug)]
pub(in crate::engine) struct Transit {
    pub packet: Packet,
    pub tracking: Tracking,
    /// How its destination was found, once routing has spoken.
    pub delivery: Delivery,
    /// Its route, once it has one that leads out.
    pub way: Option<WayOut>,
}

impl Transit {
    /// Before the first packet of a batch.
    #[inline]
    pub(in crate::engine) fn nothing() -> Self {
        Self {
            packet: Packet::husk(),
            tracking: Tracking::default(),
            delivery: Delivery::Unicast,
            way: None,
        }
    }

    /// The next packet finds nothing of this one.
    pub(in crate::engine) fn end(&mut self) {
        self.packet.end();
        (self.tracking, self.delivery, self.way) = (Tracking::default(), Delivery::Unicast, None);
    }

    /// A packet that this one was cut into, with what is known of the whole.
    pub(super) fn with(&self, packet: Packet) -> Self {
        Self {
            packet,
            tracking: self.tracking.clone(),
            delivery: self.delivery,
            way: self.way,
        }
    }
}
