//! Whose turn it is: what packets of all ends share is asked and changed in the order of the capture, whichever worker carries a packet.
//!
//! A flow, and all that rules and tracking know of it, belongs to packets between two addresses, and these pass on one worker ([`super::meeting`]).
//! What the router sends itself does not: its identifications are counted up, and its ICMP messages are limited, whoever they go to. So before a
//! packet comes to where that may happen, all that were before it are through. Most packets never do.

use std::sync::Arc;

use crate::base::Time;
use crate::engine::{Event, Reason};
use crate::net::InputRoute;
use crate::rule::Hook;

/// What a worker asks of those who carry packets of the same capture.
pub(crate) trait Others: Send + Sync {
    /// The packet of this number is the next, and those of this worker before it are through.
    fn is_at(&self, number: u64);

    /// Returns once all packets before the one of this number are through.
    fn await_turn(&self, number: u64);

    /// An instant that the clocks of all others have come to, but none later than this one.
    fn all_have_come_to(&self, now: Time) -> Time;
}

pub(crate) type Turn = Arc<dyn Others>;

/// Whether what happens next may touch what packets of all ends share. Says more than is so, never less.
#[inline(always)]
pub(super) fn may_meet_others(event: &Event<'_>) -> bool {
    match event {
        // Fragments share their memory; options may be complained of.
        Event::Arrived { bytes, .. } => !is_plain(bytes),
        // An answer, a complaint, or a message that there is a better way.
        Event::Routed { decision, packet, .. } => match decision {
            InputRoute::Forward(route) => packet.input == Some(route.output),
            _ => true,
        },
        Event::Stopped { reason } => !matches!(reason, Reason::Rule(_) | Reason::Policy(_)),
        Event::Reassembled { .. } | Event::RoutedOut { .. } | Event::Delivered { .. } => true,
        Event::Hook { hook, .. } => *hook == Hook::Output,
        _ => false,
    }
}

/// IPv4 without options, and whole.
fn is_plain(bytes: &[u8]) -> bool {
    matches!(bytes, [0x45, _, _, _, _, _, flags, offset, ..] if flags & 0x3f == 0 && *offset == 0)
}
