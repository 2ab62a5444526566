//! Who asks the router for the groups that it is in (MLD), and when it has answered.

use std::time::Duration;

use super::layout::{ICMPV6, is_ipv6, protocol, upper};
use super::scenario::Event;

pub(crate) fn is_answered_later(event: &Event) -> bool {
    matches!(event, Event::Packet { interface: Some(_), bytes } if is_answered_soon(bytes))
}

/// Within this the kernel has answered a question that [`is_answered_soon`]: it does so by the hand of a thread, two ticks later at least.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_millis(80);

/// Nobody is held up for longer.
pub(crate) const ANSWERED_AT_LAST: Duration = Duration::from_secs(2);

/// A question that the kernel may answer, or a piece of one, and that leaves it no more than a tick for that. To one without an alert it gives no answer,
/// and none is drawn that leaves it more; what else there is to a sound question, rules may make of it.
pub(crate) fn is_answered_soon(bytes: &[u8]) -> bool {
    const QUERY: u8 = 130;
    const ALERT: [u8; 4] = [5, 2, 0, 0];
    const HOP_BY_HOP: u8 = 0;
    if !is_ipv6(bytes, 0) || bytes.get(6) != Some(&HOP_BY_HOP) || protocol(bytes, 0) != Some(ICMPV6) {
        return false;
    }
    let end = 48 + bytes.get(41).map_or(0, |words| usize::from(*words) * 8);
    let options = bytes.get(42..end).unwrap_or_default();
    if !options.windows(4).any(|option| option == ALERT) {
        return false;
    }
    upper(bytes, 0).is_none_or(|upper| {
        let message = &bytes[upper.at..];
        message.first() == Some(&QUERY) && message.get(4..6).is_some_and(|code| code[0] == 0 && code[1] <= 4)
    })
}
