//! The states of a tracked connection, and where each kind of segment leads.

use super::Kind;
use crate::conntrack::Direction;

/// States by the names that `/proc/net/nf_conntrack` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TcpState {
    #[default]
    None,
    SynSent,
    SynRecv,
    Established,
    FinWait,
    CloseWait,
    LastAck,
    TimeWait,
    Close,
    /// Both ends have sent a SYN (simultaneous open).
    SynSent2,
}

/// What the state machine says of a segment, before its numbers are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    To(TcpState),
    /// The connection stays as it is, but the segment may be an answer to something that was not seen: it is let through.
    Ignore,
    Invalid,
}

impl TcpState {
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::SynSent,
        Self::SynRecv,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
        Self::SynSent2,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        }
    }

    /// Seen on the kernel for every state, kind and direction (`tests::steps_are_the_kernels`).
    pub(super) fn step(self, kind: Kind, direction: Direction) -> Step {
        use Direction::{Original, Reply};
        use TcpState::*;
        let opening = matches!(self, None | SynSent | SynSent2);
        match (kind, direction, self) {
            (Kind::Rst, _, None) => Step::Invalid,
            (Kind::Rst, _, _) => Step::To(Close),

            (Kind::Syn, Original, None | SynSent) => Step::To(SynSent),
            (Kind::Syn, Reply, None) => Step::Invalid,
            (Kind::Syn, Reply, SynSent) | (Kind::Syn, _, SynSent2) => Step::To(SynSent2),
            // Whether it really opens the connection anew depends on how that one ended.
            (Kind::Syn, Original, TimeWait | Close) | (Kind::Syn, Reply, TimeWait) => Step::To(SynSent),
            (Kind::Syn, Original, _) => Step::Ignore,
            (Kind::Syn, Reply, _) => Step::Invalid,

            (Kind::SynAck, _, SynSent2) | (Kind::SynAck, Reply, SynSent) | (Kind::SynAck, Original, SynRecv) => {
                Step::To(SynRecv)
            }
            (Kind::SynAck, Original, _) | (Kind::SynAck, Reply, None) => Step::Invalid,
            (Kind::SynAck, Reply, _) => Step::Ignore,

            (Kind::Fin, _, _) if opening => Step::Invalid,
            (Kind::Fin, _, SynRecv | Established) => Step::To(FinWait),
            // Also the same end's FIN a second time.
            (Kind::Fin, _, FinWait | CloseWait | LastAck) => Step::To(LastAck),

            (Kind::Ack, Original, None) => Step::To(Established),
            (Kind::Ack, Original, SynSent | SynSent2) => Step::Invalid,
            (Kind::Ack, Reply, None) => Step::Invalid,
            (Kind::Ack, Reply, SynSent | SynSent2) => Step::Ignore,
            (Kind::Ack, Original, SynRecv) => Step::To(Established),
            // Also the FIN's own sender: nobody asks whether it acknowledges the FIN.
            (Kind::Ack, _, FinWait) => Step::To(CloseWait),
            (Kind::Ack, _, LastAck) => Step::To(TimeWait),

            (Kind::Fin | Kind::Ack, _, same) => Step::To(same),
        }
    }
}
