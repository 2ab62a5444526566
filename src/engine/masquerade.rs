//! What becomes of masqueraded flows when the interface that their address was taken from goes down or loses that address.
//!
//! The kernel has a notifier for each, which hands the work to a thread of its own, so that flows go some milliseconds later; here they go at once.
//! Flows of SNAT are left alone, and so are those that go out by another interface by now: their next packet finds out.

use std::net::IpAddr;

use crate::base::InterfaceId;
use crate::conntrack::Table;
use crate::net::Net;

/// Deletes the flows that lost what they were masqueraded with between two configurations.
pub(super) fn forget_lost(flows: &Table, before: &Net, after: &Net) {
    let (mut down, mut lost): (Vec<InterfaceId>, Vec<(InterfaceId, IpAddr)>) = (Vec::new(), Vec::new());
    for was in before.interfaces() {
        let is = after.interface(was.id);
        if was.is_up && !is.is_up {
            down.push(was.id);
        }
        // Most changes are of something else, and there may be many addresses.
        if was.addresses == is.addresses {
            continue;
        }
        // An address that is there with another prefix length too counts as lost all the same.
        let stays = |address: &IpAddr, length: u8| {
            is.addresses
                .iter()
                .any(|it| it.address == *address && it.prefix_length == length)
        };
        let gone = was.addresses.iter().filter(|it| !stays(&it.address, it.prefix_length));
        lost.extend(gone.map(|it| (was.id, it.address)));
    }
    if down.is_empty() && lost.is_empty() {
        return;
    }
    flows.delete_where(|flow, _| {
        flow.nat().masquerade_interface.is_some_and(|interface| {
            down.contains(&interface) || lost.contains(&(interface, flow.reply().destination.address))
        })
    });
}
