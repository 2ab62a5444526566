//! Choosing a mapping for a new flow.

use std::sync::Arc;

use super::{Manip, NatContext, NatRange};
use crate::conntrack::{DropReason, Flow, Status, Table, TrackContext, Tracked, Tracking};
use crate::packet::Packet;

/// The tracking stage where NAT is there too: `Table::track`, and an expected flow gets the mapping that its expectation asks for.
pub fn track(
    table: &Table,
    cx: &TrackContext<'_>,
    _nat: &mut NatContext<'_>,
    packet: &mut Packet,
    tracking: &mut Tracking,
) -> Tracked {
    table.track(cx, packet, tracking)
}

/// What the SNAT and DNAT targets call on a flow that has no mapping of this kind yet.
pub fn setup(
    _table: &Table,
    _cx: &mut NatContext<'_>,
    _flow: &Arc<Flow>,
    _range: &NatRange,
    _manip: Manip,
) -> Result<(), DropReason> {
    Ok(())
}

/// What happens at the nat hook when no rule spoke: the flow keeps its addresses, but a source port that another flow holds is changed.
pub fn null_binding(
    _table: &Table,
    _cx: &mut NatContext<'_>,
    _flow: &Arc<Flow>,
    _manip: Manip,
) -> Result<(), DropReason> {
    Ok(())
}

/// Gives an expected flow the mapping of its expectation.
pub fn follow_master(_table: &Table, _cx: &mut NatContext<'_>, _flow: &Arc<Flow>) -> Result<(), DropReason> {
    Ok(())
}

/// Whether a mapping of this kind has been decided.
pub fn is_done(flow: &Flow, manip: Manip) -> bool {
    flow.lock().status.has(match manip {
        Manip::Source => Status::SRC_NAT_DONE,
        Manip::Destination => Status::DST_NAT_DONE,
    })
}
