//! What forwarding asks of a packet before the FORWARD hook sees it, and what does not fit the way out. Nobody on the way cuts a packet of IPv6.

use crate::net::{Complaint, DropReason, ForwardOutcome, Forwarding, FragmentationNeeded};
use crate::packet::Packet;

/// The checks in the kernel's order: hop limit, size.
#[inline(never)]
pub(crate) fn forward(packet: &mut Packet, route: &Forwarding) -> ForwardOutcome {
    if packet.ttl() <= 1 {
        return ForwardOutcome::Refused(DropReason::TimeToLiveOver, Complaint::TimeExceeded);
    }
    if packet.largest_segment() > route.mtu as usize {
        return ForwardOutcome::Refused(DropReason::TooBig, Complaint::TooBig { mtu: route.mtu });
    }
    packet.decrement_ttl();
    ForwardOutcome::Continue { redirect: None }
}

/// Hands the packet to `emit` where it fits.
pub(crate) fn fragment(packet: Packet, mtu: u32, emit: &mut dyn FnMut(Packet)) -> Result<(), FragmentationNeeded> {
    if packet.len() > mtu as usize {
        return Err(FragmentationNeeded { mtu, packet });
    }
    emit(packet);
    Ok(())
}
