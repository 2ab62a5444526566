//! Why a packet of SCTP is INVALID, or passes without counting for its association.

use std::fmt;

use super::AssociationState;
use crate::conntrack::proto::{Why, WhyInvalid};
use crate::conntrack::{Because, Direction};
use crate::wire::sctp::{HEADER, INIT_LEAST, chunk};

/// Why a packet gets the state INVALID. The association it names, if any, lives no longer by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// Bytes after the IP header.
    Truncated { have: usize },
    /// Not one chunk behind the common header.
    NoChunk,
    /// A chunk that cannot stand where it stands.
    Chunk {
        /// Counted from 0.
        number: usize,
        kind: u8,
        length: u16,
        /// It or one before has to be the only one.
        alone: bool,
        why: ChunkFault,
    },
    /// It belongs to no association and cannot begin one.
    CannotOpen { kind: u8 },
    /// An INIT whose packet has a verification tag: its receiver has not chosen one yet.
    InitWithTag { tag: u32 },
    /// An INIT or INIT ACK of which so many bytes are there.
    InitCutShort { kind: u8, have: usize },
    /// The verification tag is not the one that the receiver chose.
    Tag {
        tag: u32,
        expected: u32,
        direction: Direction,
    },
    /// The same of a chunk with a rule of its own.
    TagOfChunk { kind: u8, tag: u32, expected: u32 },
    /// An INIT ACK that says another tag than its sender was known by, though nobody asked anew.
    InitAckRenames { says: u32, known: u32 },
    /// A HEARTBEAT with a tag that is not known, where more than that stands in the packet.
    HeartbeatWithMore { tag: u32, expected: u32 },
    /// A HEARTBEAT ACK with a tag that is not known, and no HEARTBEAT of that kind came from the other side.
    HeartbeatUnasked { tag: u32, expected: u32 },
    /// This kind of chunk has no place in the association's state.
    OutOfState {
        kind: u8,
        direction: Direction,
        state: AssociationState,
    },
}

/// What is wrong about where a chunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkFault {
    /// Its length is zero.
    NoLength,
    /// It stands behind another, and has to be the first.
    NotFirst,
    /// It, or one before it, has to be the only one.
    NotAlone,
}

/// Why a packet is let through as part of its association though that neither changes nor lives longer by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredReason {
    /// An INIT while nothing is set up: who goes on asking keeps no flow alive. Its tag counts.
    InitRepeated,
    /// A HEARTBEAT with a tag that is not known: the answer will tell whether the ends have agreed on another.
    HeartbeatTag { tag: u32, expected: u32 },
}

impl WhyInvalid for InvalidReason {
    fn because(&self) -> Because {
        match self {
            Self::Truncated { .. } | Self::NoChunk | Self::InitCutShort { .. } => Because::Cut,
            Self::Chunk { .. } | Self::InitWithTag { .. } => Because::Itself,
            Self::CannotOpen { .. }
            | Self::Tag { .. }
            | Self::TagOfChunk { .. }
            | Self::InitAckRenames { .. }
            | Self::HeartbeatWithMore { .. }
            | Self::HeartbeatUnasked { .. }
            | Self::OutOfState { .. } => Because::Before,
        }
    }
}

impl Why for InvalidReason {
    fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "sctp-truncated",
            Self::NoChunk => "sctp-no-chunk",
            Self::Chunk { why, .. } => match why {
                ChunkFault::NoLength => "sctp-chunk-no-length",
                ChunkFault::NotFirst => "sctp-chunk-not-first",
                ChunkFault::NotAlone => "sctp-chunk-not-alone",
            },
            Self::CannotOpen { .. } => "sctp-cannot-open",
            Self::InitWithTag { .. } => "sctp-init-with-tag",
            Self::InitCutShort { .. } => "sctp-init-cut-short",
            Self::Tag { .. } => "sctp-tag",
            Self::TagOfChunk { .. } => "sctp-tag-of-chunk",
            Self::InitAckRenames { .. } => "sctp-init-ack-renames",
            Self::HeartbeatWithMore { .. } => "sctp-heartbeat-with-more",
            Self::HeartbeatUnasked { .. } => "sctp-heartbeat-unasked",
            Self::OutOfState { .. } => "sctp-out-of-state",
        }
    }

    /// Tags and lengths stand there as the processor reads them from the packet, the other way round.
    fn log_line(&self) -> Option<String> {
        let dir = |direction: Direction| direction.index();
        Some(match *self {
            // With fewer no flow is looked for.
            Self::Truncated { have } if have < 4 => return None,
            Self::Truncated { .. } => "nf_ct_sctp: short packet ".to_owned(),
            Self::Chunk {
                number,
                kind,
                length,
                alone,
                ..
            } => format!(
                "do_basic_checks failed. chunk num {number}, type {kind}, len {} flag {}\n",
                length.swap_bytes(),
                u8::from(alone)
            ),
            Self::Tag {
                tag,
                expected,
                direction,
            } => format!(
                "verification tag check failed {:x} vs {:x} for dir {}",
                tag.swap_bytes(),
                expected.swap_bytes(),
                dir(direction)
            ),
            Self::OutOfState { kind, direction, state } => format!(
                "Invalid, old_state {}, dir {}, type {kind}",
                state.number(),
                dir(direction)
            ),
            Self::NoChunk
            | Self::CannotOpen { .. }
            | Self::InitWithTag { .. }
            | Self::InitCutShort { .. }
            | Self::TagOfChunk { .. }
            | Self::InitAckRenames { .. }
            | Self::HeartbeatWithMore { .. }
            | Self::HeartbeatUnasked { .. } => return None,
        })
    }
}

impl Why for IgnoredReason {
    fn code(&self) -> &'static str {
        match self {
            Self::InitRepeated => "sctp-init-repeated",
            Self::HeartbeatTag { .. } => "sctp-heartbeat-tag",
        }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { have } => write!(
                f,
                "the SCTP header is cut short: {have} bytes are there, {HEADER} are the least"
            ),
            Self::NoChunk => f.write_str("there is no chunk behind the SCTP header"),
            Self::Chunk { number, kind, why, .. } => {
                write!(f, "chunk {}, {}, ", number + 1, Named(kind))?;
                f.write_str(match why {
                    ChunkFault::NoLength => "says that its length is 0",
                    ChunkFault::NotFirst => "has to be the first of its packet",
                    ChunkFault::NotAlone => {
                        "cannot share a packet: INIT, INIT ACK and SHUTDOWN COMPLETE have to be alone"
                    }
                })
            }
            Self::CannotOpen { kind } => {
                write!(
                    f,
                    "{} belongs to no known association and cannot begin one",
                    Named(kind)
                )
            }
            Self::InitWithTag { tag } => write!(
                f,
                "an INIT with the verification tag {tag:#x}: it has to be 0, for its receiver has chosen none yet"
            ),
            Self::InitCutShort { kind, have } => write!(
                f,
                "{} is cut short: {have} bytes are there, {INIT_LEAST} are the least",
                Named(kind)
            ),
            Self::Tag {
                tag,
                expected,
                direction,
            } => write!(
                f,
                "the verification tag {tag:#x} is not the one of packets from the {}, which is {expected:#x}",
                side(direction)
            ),
            Self::TagOfChunk { kind, tag, expected } => write!(
                f,
                "{} needs the verification tag {expected:#x}, and has {tag:#x}",
                Named(kind)
            ),
            Self::InitAckRenames { says, known } => write!(
                f,
                "INIT ACK says that its sender's tag is {says:#x}, which is known as {known:#x}, and no INIT asks for another"
            ),
            Self::HeartbeatWithMore { tag, expected } => write!(
                f,
                "HEARTBEAT or HEARTBEAT ACK has the verification tag {tag:#x} in the place of {expected:#x}, and the packet carries data, \
                 or another such HEARTBEAT"
            ),
            Self::HeartbeatUnasked { tag, expected } => write!(
                f,
                "HEARTBEAT ACK has the verification tag {tag:#x} in the place of {expected:#x}, and no HEARTBEAT with an unknown tag came \
                 from the other side"
            ),
            Self::OutOfState { kind, direction, state } => write!(
                f,
                "{} from the {} cannot come while the association is {}",
                Named(kind),
                side(direction),
                state.name()
            ),
        }
    }
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InitRepeated => f.write_str(
                "an INIT while the association is CLOSED: the flow lives no longer by it, but its tag counts",
            ),
            Self::HeartbeatTag { tag, expected } => write!(
                f,
                "a HEARTBEAT with the verification tag {tag:#x} in the place of {expected:#x}: let through, the answer to it will tell"
            ),
        }
    }
}

fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "side that opened it",
        Direction::Reply => "side that answers",
    }
}

/// A kind of chunk as the RFC calls it.
struct Named(u8);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            chunk::DATA => "DATA",
            chunk::INIT => "INIT",
            chunk::INIT_ACK => "INIT ACK",
            chunk::SACK => "SACK",
            chunk::HEARTBEAT => "HEARTBEAT",
            chunk::HEARTBEAT_ACK => "HEARTBEAT ACK",
            chunk::ABORT => "ABORT",
            chunk::SHUTDOWN => "SHUTDOWN",
            chunk::SHUTDOWN_ACK => "SHUTDOWN ACK",
            chunk::ERROR => "ERROR",
            chunk::COOKIE_ECHO => "COOKIE ECHO",
            chunk::COOKIE_ACK => "COOKIE ACK",
            chunk::SHUTDOWN_COMPLETE => "SHUTDOWN COMPLETE",
            other => return write!(f, "a chunk of type {other}"),
        })
    }
}
