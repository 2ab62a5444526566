//! Why a helper drops a packet.

use std::fmt;

use crate::conntrack::ExpectationRefused;

/// Why a helper drops a packet of the flow that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It cannot read a command that the packet's end cuts in two.
    PartialMatch,
    /// What it announces was refused.
    Expectation(ExpectationRefused),
    /// It could not rewrite the payload.
    Mangle,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartialMatch => {
                f.write_str("the packet ends in the middle of a command that the helper has to read whole")
            }
            Self::Expectation(refused) => write!(f, "the helper's expectation was refused: {refused}"),
            Self::Mangle => f.write_str("the helper could not rewrite the payload"),
        }
    }
}
