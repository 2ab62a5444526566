//! The routing decision for a packet that came in.

use std::net::IpAddr;

use super::{DropReason, Net};
use crate::base::InterfaceId;
use crate::packet::Packet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputRoute {
    /// To INPUT: an address of the host's own.
    Local,
    /// To INPUT: a broadcast address of a network of ours, or 255.255.255.255.
    Broadcast,
    /// To INPUT: a group that the host has joined.
    Multicast,
    Forward(Forwarding),
    /// Dropped, and the sender is told that it is unreachable, with this code (`Net::route_error`).
    Error(DropReason, u8),
    Drop(DropReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarding {
    pub output: InterfaceId,
    pub gateway: Option<IpAddr>,
    /// Of the route, else of the interface.
    pub mtu: u32,
    /// It leaves by the interface it came from and the sender could reach the next hop itself.
    pub redirect: bool,
    /// A directed broadcast, forwarded because of `bc_forwarding`.
    pub broadcast: bool,
}

impl Net {
    /// What `ip_rcv_finish` does after PREROUTING: routes the packet, then its IP options.
    pub fn receive(&self, packet: &mut Packet) -> InputRoute {
        self.route_input(packet)
    }

    /// The routing decision alone.
    pub fn route_input(&self, packet: &Packet) -> InputRoute {
        let _ = packet;
        InputRoute::Local
    }
}
