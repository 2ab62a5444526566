//! Why a segment is INVALID, or passes without counting for its connection.

use std::fmt;

use super::{Kind, TcpState};
use crate::conntrack::proto::{Why, WhyInvalid};
use crate::conntrack::{Because, Direction};
use crate::wire::tcp::flags;

/// Why a segment gets the state INVALID. The connection it names, if any, stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// Bytes after the IP header.
    Truncated {
        have: usize,
    },
    /// The data offset in bytes, and the bytes there are.
    DataOffset {
        offset: usize,
        have: usize,
    },
    FlagCombination {
        flags: u8,
    },
    /// It belongs to no connection and can't begin one.
    CannotOpen {
        kind: Kind,
    },
    /// An ACK of no known connection, and `nf_conntrack_tcp_loose` is 0.
    NotLoose,
    /// This kind of segment has no place in the connection's state.
    OutOfState {
        kind: Kind,
        direction: Direction,
        state: TcpState,
    },
    /// It begins beyond what its receiver's window allows.
    SequenceAboveWindow {
        sequence: u32,
        at_most: u32,
    },
    /// It acknowledges (or selectively acknowledges) what the other side was not seen to send.
    AcknowledgesUnseen {
        acknowledgement: u32,
        at_most: u32,
    },
    /// A RST below what its receiver has acknowledged already.
    StaleReset {
        sequence: u32,
        at_least: u32,
    },
}

/// Why a segment is let through as part of its connection though the connection neither changes nor lives longer by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredReason {
    /// A SYN sent again before any answer: a sender who goes on asking keeps no flow alive.
    SynRepeated,
    /// An ACK that challenges a SYN which was let through (RFC 5961): it says nothing of the state.
    ChallengeAck,
    /// The other side sent a SYN of its own before any answer: both ends open the connection, and its state says so.
    SynCrossed,
    /// The ends may be out of step with what was seen here; their answer to this segment will tell.
    OutOfState {
        kind: Kind,
        direction: Direction,
        state: TcpState,
    },
    /// Data that was acknowledged long ago.
    SequenceBelowWindow { end: u32, at_least: u32 },
    /// More than its receiver's window allows, by less than a window.
    Overshot { bytes: u32 },
    /// An acknowledgement that is overly late.
    StaleAcknowledgement { acknowledgement: u32, at_least: u32 },
}

impl WhyInvalid for InvalidReason {
    fn because(&self) -> Because {
        match self {
            Self::Truncated { .. } | Self::DataOffset { .. } => Because::Cut,
            Self::CannotOpen { .. } | Self::NotLoose | Self::OutOfState { .. } | Self::AcknowledgesUnseen { .. } => {
                Because::Before
            }
            Self::FlagCombination { .. } | Self::SequenceAboveWindow { .. } | Self::StaleReset { .. } => {
                Because::Itself
            }
        }
    }
}

impl Why for InvalidReason {
    fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "tcp-truncated",
            Self::DataOffset { .. } => "tcp-data-offset",
            Self::FlagCombination { .. } => "tcp-flag-combination",
            Self::CannotOpen { .. } => "tcp-cannot-open",
            Self::NotLoose => "tcp-not-loose",
            Self::OutOfState { .. } => "tcp-out-of-state",
            Self::SequenceAboveWindow { .. } => "tcp-sequence-above-window",
            Self::AcknowledgesUnseen { .. } => "tcp-acknowledges-unseen",
            Self::StaleReset { .. } => "tcp-stale-reset",
        }
    }

    /// Its bounds are the first number outside.
    fn log_line(&self) -> Option<String> {
        Some(match *self {
            Self::Truncated { .. } | Self::NotLoose => return None,
            Self::DataOffset { .. } => "truncated packet".to_owned(),
            Self::FlagCombination { .. } => "invalid tcp flag combination".to_owned(),
            Self::CannotOpen { .. } => "invalid new".to_owned(),
            Self::OutOfState { kind, direction, state } => {
                format!("{} invalid, state {}", indexed(kind, direction), state.name())
            }
            Self::SequenceAboveWindow { at_most, .. } => format!(
                "SEQ is over upper bound {} (over the window of the receiver)",
                at_most.wrapping_add(1)
            ),
            Self::AcknowledgesUnseen { at_most, .. } => format!(
                "ACK is over upper bound {} (ACKed data not seen yet)",
                at_most.wrapping_add(1)
            ),
            Self::StaleReset { .. } => "invalid rst".to_owned(),
        })
    }
}

impl Why for IgnoredReason {
    fn code(&self) -> &'static str {
        match self {
            Self::SynRepeated => "tcp-syn-repeated",
            Self::SynCrossed => "tcp-syn-crossed",
            Self::ChallengeAck => "tcp-challenge-ack",
            Self::OutOfState { .. } => "tcp-may-be-an-answer",
            Self::SequenceBelowWindow { .. } => "tcp-sequence-below-window",
            Self::Overshot { .. } => "tcp-overshot",
            Self::StaleAcknowledgement { .. } => "tcp-stale-acknowledgement",
        }
    }

    fn log_line(&self) -> Option<String> {
        Some(match *self {
            Self::SynRepeated | Self::SynCrossed => return None,
            Self::ChallengeAck => "challenge-ack ignored".to_owned(),
            Self::OutOfState { kind, direction, state } => {
                format!("{} ignored, state {}", indexed(kind, direction), state.name())
            }
            Self::SequenceBelowWindow { at_least, .. } => format!(
                "SEQ is under lower bound {} (already ACKed data retransmitted)",
                at_least.wrapping_sub(1)
            ),
            Self::Overshot { bytes } => format!("{bytes} bytes more than expected"),
            Self::StaleAcknowledgement { at_least, .. } => format!(
                "ignored ACK under lower bound {} (possible overly delayed)",
                at_least.wrapping_sub(1)
            ),
        })
    }
}

/// A kind and a direction as the kernel's log numbers them.
fn indexed(kind: Kind, direction: Direction) -> String {
    let index = match kind {
        Kind::Syn => 0,
        Kind::SynAck => 1,
        Kind::Fin => 2,
        Kind::Ack => 3,
        Kind::Rst => 4,
    };
    format!("packet (index {index}) in dir {}", direction.index())
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { have } => {
                write!(
                    f,
                    "the TCP header is cut short: {have} bytes are there, 20 are the least"
                )
            }
            Self::DataOffset { offset, have } => write!(
                f,
                "the TCP data offset says {offset} bytes of header: it must be at least 20 and at most the {have} that are there"
            ),
            Self::FlagCombination { flags } => {
                write!(f, "no TCP sends these flags together: {}", FlagNames(flags))
            }
            Self::CannotOpen { kind } => write!(
                f,
                "{} belongs to no known connection and cannot begin one",
                with_article(kind)
            ),
            Self::NotLoose => f.write_str(
                "an ACK belongs to no known connection, and nf_conntrack_tcp_loose is 0, so none is picked up midway",
            ),
            Self::OutOfState { kind, direction, state } => write!(
                f,
                "{} from the {} cannot come while the connection is {}",
                with_article(kind),
                side(direction),
                state.name()
            ),
            Self::SequenceAboveWindow { sequence, at_most } => write!(
                f,
                "the sequence number {sequence} is above the receiver's window: at most {at_most}"
            ),
            Self::AcknowledgesUnseen {
                acknowledgement,
                at_most,
            } => write!(
                f,
                "it acknowledges {acknowledgement}, but the other side was seen to send only up to {at_most}"
            ),
            Self::StaleReset { sequence, at_least } => write!(
                f,
                "the RST's sequence number {sequence} is below {at_least}, which its receiver has acknowledged"
            ),
        }
    }
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ChallengeAck => f.write_str(
                "an ACK that challenges the SYN before it, which was let through: what answers that will tell",
            ),
            Self::SynRepeated => f.write_str("a SYN sent again before any answer"),
            Self::SynCrossed => {
                f.write_str("a SYN from the other side before any answer, so both ends open the connection")
            }
            Self::OutOfState { kind, direction, state } => write!(
                f,
                "{} from the {} while the connection is {}: let through, the answer to it will tell",
                with_article(kind),
                side(direction),
                state.name()
            ),
            Self::SequenceBelowWindow { end, at_least } => write!(
                f,
                "it ends at {end}, below the window ({at_least} at least): data acknowledged long ago"
            ),
            Self::Overshot { bytes } => write!(
                f,
                "it exceeds the receiver's window by {bytes} bytes, less than a window"
            ),
            Self::StaleAcknowledgement {
                acknowledgement,
                at_least,
            } => write!(
                f,
                "it acknowledges {acknowledgement}, overly late: {at_least} is the least expected"
            ),
        }
    }
}

fn with_article(kind: Kind) -> String {
    let article = match kind {
        Kind::Ack | Kind::Rst => "an",
        Kind::Syn | Kind::SynAck | Kind::Fin => "a",
    };
    format!("{article} {}", kind.name())
}

fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "side that opened it",
        Direction::Reply => "side that answers",
    }
}

/// Flags as `SYN+FIN`.
struct FlagNames(u8);

impl fmt::Display for FlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 8] = [
            (flags::SYN, "SYN"),
            (flags::FIN, "FIN"),
            (flags::RST, "RST"),
            (flags::ACK, "ACK"),
            (flags::PSH, "PSH"),
            (flags::URG, "URG"),
            (flags::ECE, "ECE"),
            (flags::CWR, "CWR"),
        ];
        let set: Vec<_> = NAMES
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .map(|(_, n)| *n)
            .collect();
        f.write_str(if set.is_empty() { "none at all" } else { "" })?;
        f.write_str(&set.join("+"))
    }
}
