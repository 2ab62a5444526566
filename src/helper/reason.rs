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
    /// It cannot read what it needs of a message.
    CannotRead(
        /// What that is.
        &'static str,
    ),
    /// It could not rewrite the payload.
    Mangle,
    /// A message that it should write over is not of the form that it reads.
    Unreadable,
    /// UDP says to be shorter than the packet is.
    Length,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartialMatch => {
                f.write_str("the packet ends in the middle of a command that the helper has to read whole")
            }
            Self::Expectation(refused) => write!(f, "the helper's expectation was refused: {refused}"),
            Self::Unreadable => f.write_str("the helper cannot read the message that it would have to write over"),
            Self::Length => f.write_str(
                "the datagram's own length is not that of the packet, and a helper would have to write over it",
            ),
            Self::CannotRead(what) => write!(f, "the helper cannot read {what}"),
            Self::Mangle => f.write_str("the helper could not rewrite the payload"),
        }
    }
}
