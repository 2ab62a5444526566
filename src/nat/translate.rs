//! Rewriting packets as their flow's tuples say.

use super::NatHook;
use crate::conntrack::{DropReason, Tracking};
use crate::packet::Packet;

/// Rewrites what this hook has to; true when the packet changed.
pub fn translate(_packet: &mut Packet, _tracking: &Tracking, _hook: NatHook) -> Result<bool, DropReason> {
    Ok(false)
}
