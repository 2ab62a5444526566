//! What routing says of a packet that came in, and what forwarding makes of it.

use std::net::IpAddr;

use super::{Complaint, Delivery, DropReason, Redirect};
use crate::base::InterfaceId;

/// What the routing decision makes of a packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputRoute {
    /// To INPUT: an address of the host's own.
    Local,
    /// To INPUT: a broadcast address of a network of ours, or 255.255.255.255.
    Broadcast,
    /// To INPUT: a group that the host has joined.
    Multicast,
    /// To FORWARD: another host's.
    Forward(Forwarding),
    /// Dropped without any further hook, and the sender is told (`Net::complain_of_arrival`).
    Error {
        /// Why it is dropped.
        reason: DropReason,
        /// What its sender is told.
        complaint: Complaint,
        /// How its destination was found, for `Net::complain_of_arrival`.
        delivery: Delivery,
    },
    /// Dropped without any further hook.
    Drop(DropReason),
}

/// How a packet of another host goes on, and what of its header that host's options ask of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// The interface that it goes out by.
    pub output: InterfaceId,
    /// The next hop; `None` where the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// Of the route, though the interface's be smaller; else of the interface.
    pub mtu: u32,
    /// It leaves by the interface it came from, and the sender could reach the next hop itself.
    pub redirect: bool,
    /// The next address of a source route, which becomes the destination once FORWARD has passed (`Net::forward_options`).
    pub source_route: Option<IpAddr>,
    /// The source route leaves no choice of hops.
    pub strict: bool,
    /// A directed broadcast, forwarded because of `bc_forwarding`.
    pub broadcast: bool,
    /// Where in the header a record route names this host.
    pub recorded_at: Option<u8>,
    /// Where in the header a time stamp names this host; this follows the output interface only under a source route.
    pub stamped_at: Option<u8>,
    /// The options were written to, and the header checksum is yet to follow.
    pub options_changed: bool,
}

/// What is left of a packet once it may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardOutcome {
    /// On to the FORWARD hook; the time to live is one less already. The redirect, if any, is sent first.
    Continue { redirect: Option<Redirect> },
    /// The packet is gone for the reason, and nobody is told.
    Dropped(DropReason),
    /// The packet is gone for the reason, and its sender is to be told (`Net::complain`, `Delivery::Unicast`).
    Refused(DropReason, Complaint),
    /// The same, once its sender was redirected.
    Redirected(Redirect, DropReason, Complaint),
}
