//! States of packets and flows as words, as `-m conntrack` and `-m state` take and print them.

use std::fmt;

use crate::conntrack::{CtState, StateBits, Tracking};
use crate::ext::option::UsageError;
use crate::ext::wording::{begun, write_words};

/// The words of `--ctstate` in the order they are printed.
const STATE_NAMES: [(u32, &str); 7] = [
    (StateBits::INVALID.0, "INVALID"),
    (StateBits::NEW.0, "NEW"),
    (StateBits::RELATED.0, "RELATED"),
    (StateBits::ESTABLISHED.0, "ESTABLISHED"),
    (StateBits::UNTRACKED.0, "UNTRACKED"),
    (StateBits::SNAT.0, "SNAT"),
    (StateBits::DNAT.0, "DNAT"),
];

impl fmt::Display for StateBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_words(f, named(self.0, &STATE_NAMES))
    }
}

/// Appends them as `Display` shows them: for who says them of every packet.
pub(super) fn write_states(out: &mut String, states: StateBits) {
    for (at, name) in named(states.0, &STATE_NAMES).enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(name);
    }
}

fn named(bits: u32, names: &'static [(u32, &'static str)]) -> impl Iterator<Item = &'static str> {
    let named = names.iter().filter(move |(bit, _)| bits & bit != 0);
    named.map(|(_, name)| *name)
}

/// A list of words, each of which may be cut short; an error names the rest of the list from the bad word on.
fn bits_of_words(text: &str, option: &str, names: &[(u32, &str)]) -> Result<u32, UsageError> {
    let mut bits = 0;
    let mut rest = text;
    loop {
        let (word, after) = match rest.split_once(',') {
            Some((word, after)) => (word, Some(after)),
            None => (rest, None),
        };
        let Some(found) = begun(word, names.iter().map(|(_, name)| *name)) else {
            return Err(UsageError::parameter(format!("Bad {option} \"{rest}\"")));
        };
        bits |= names[found].0;
        match after {
            Some(after) => rest = after,
            None => return Ok(bits),
        }
    }
}

/// `with_nat`: SNAT and DNAT are words too, as `-m state` has them not.
pub(super) fn state_words(text: &str, option: &str, with_nat: bool) -> Result<StateBits, UsageError> {
    let names = &STATE_NAMES[..if with_nat { 7 } else { 5 }];
    bits_of_words(text, option, names).map(StateBits)
}

/// ` since packet 3`: which packet brought its flow into this state, where an earlier one did.
pub(super) fn since(tracking: &Tracking) -> String {
    tracking
        .since
        .map_or_else(String::new, |number| format!(" since packet {number}"))
}

/// What of the packet a state is said of.
pub(super) fn subject(state: CtState) -> &'static str {
    match state {
        CtState::Invalid | CtState::Untracked => "packet",
        CtState::New | CtState::Established | CtState::Related => "flow",
    }
}

/// A set of the words of `--ctstatus`; the bits are the kernel's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StatusBits(pub u32);

impl StatusBits {
    const NAMES: [(u32, &'static str); 5] = [
        (0, "NONE"),
        (1 << 0, "EXPECTED"),
        (1 << 1, "SEEN_REPLY"),
        (1 << 2, "ASSURED"),
        (1 << 3, "CONFIRMED"),
    ];
}

impl fmt::Display for StatusBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 & 0xf == 0 {
            return f.write_str("NONE");
        }
        write_words(f, named(self.0, &Self::NAMES))
    }
}

pub(super) fn status_words(text: &str, option: &str) -> Result<StatusBits, UsageError> {
    bits_of_words(text, option, &StatusBits::NAMES).map(StatusBits)
}
