//! What forwarding asks of a packet before the FORWARD hook sees it.

use std::net::IpAddr;

use super::{DropReason, Forwarding, IcmpError, Net};
use crate::packet::Packet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// On to the FORWARD hook; the time to live is one less already. The redirect, if any, is sent first.
    Continue {
        redirect: Option<Redirect>,
    },
    /// The packet is gone for the reason, and its sender is to be told.
    Refused(DropReason, IcmpError),
    Dropped(DropReason),
}

/// An ICMP redirect that the sender may get (`HostState` limits how many).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The host to use instead.
    pub gateway: IpAddr,
}

impl Net {
    pub fn forward(&self, packet: &mut Packet, route: &Forwarding) -> ForwardOutcome {
        let _ = route;
        packet.decrement_ttl();
        ForwardOutcome::Continue { redirect: None }
    }
}
