//! What the router's own complaints carry of tracking.

use crate::conntrack::{CtState, Tracking};

/// What a reset or an ICMP error of the router's own carries of tracking: it is RELATED to the flow of the packet it is about, the other way,
/// also where that flow is new and will never be confirmed.
///
/// About an untracked packet it is RELATED to nothing: matches call that INVALID, NOTRACK leaves it alone, and the tracking stage looks at it
/// as at any packet. About an INVALID one it carries nothing. All seen on Linux 6.18.
pub fn related(of: &Tracking) -> Tracking {
    let is_attached = of.flow.is_some() || of.state == Some(CtState::Untracked);
    Tracking {
        flow: of.flow.clone(),
        state: is_attached.then_some(CtState::Related),
        direction: of.direction.opposite(),
        ..Tracking::default()
    }
}
