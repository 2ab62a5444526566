//! The states of a tracked association, and where each kind of chunk leads.

use crate::conntrack::Direction;
use crate::wire::sctp::chunk;

/// States by the names that `/proc/net/nf_conntrack` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AssociationState {
    /// Of a flow whose first packet is being looked at; none is listed with it.
    None,
    Closed,
    CookieWait,
    CookieEchoed,
    Established,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
    /// Its first chunk was a HEARTBEAT: it may be another path of an association that is set up elsewhere.
    HeartbeatSent,
}

impl AssociationState {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Closed => "CLOSED",
            Self::CookieWait => "COOKIE_WAIT",
            Self::CookieEchoed => "COOKIE_ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "SHUTDOWN_SENT",
            Self::ShutdownReceived => "SHUTDOWN_RECD",
            Self::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            Self::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }

    /// The state of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        use AssociationState::*;
        let all = [
            None,
            Closed,
            CookieWait,
            CookieEchoed,
            Established,
            ShutdownSent,
            ShutdownReceived,
            ShutdownAckSent,
            HeartbeatSent,
        ];
        all.into_iter().find(|state| state.name() == name)
    }

    /// The number that the kernel's log has for it.
    pub(super) fn number(self) -> u8 {
        self as u8
    }

    /// Where a chunk leads; `None` where it has no place. Seen on Linux 6.18 for every state, kind of chunk and direction
    /// (`tests::associations_go_as_on_the_kernel`).
    pub(super) fn step(self, kind: u8, direction: Direction) -> Option<Self> {
        use AssociationState::*;
        use Direction::{Original, Reply};
        use chunk::*;
        Some(match (self, direction, kind) {
            (None, Original, INIT | INIT_ACK | SHUTDOWN | ERROR | COOKIE_ECHO | HEARTBEAT_ACK) => Closed,
            (None, Original, HEARTBEAT) => HeartbeatSent,
            (None, Original, SHUTDOWN_ACK) => ShutdownAckSent,
            (None, _, _) => return Option::None,

            // Nothing but a HEARTBEAT ACK, or what carries data, comes back.
            (
                HeartbeatSent,
                Reply,
                INIT | INIT_ACK | ABORT | SHUTDOWN | SHUTDOWN_ACK | ERROR | COOKIE_ECHO | COOKIE_ACK
                | SHUTDOWN_COMPLETE,
            ) => return Option::None,
            (HeartbeatSent, Reply, HEARTBEAT_ACK) => Established,
            (HeartbeatSent, Original, INIT) => CookieWait,
            (HeartbeatSent, Original, SHUTDOWN_ACK) => ShutdownAckSent,
            (
                HeartbeatSent,
                Original,
                INIT_ACK | ABORT | SHUTDOWN | ERROR | COOKIE_ECHO | COOKIE_ACK | SHUTDOWN_COMPLETE,
            ) => Closed,

            (_, _, ABORT) => Closed,
            (Closed, Reply, INIT_ACK) => CookieWait,
            (CookieWait, _, COOKIE_ECHO) => CookieEchoed,
            (CookieEchoed, _, COOKIE_ACK) => Established,
            // A stale cookie.
            (CookieEchoed, Reply, ERROR) => Closed,
            (Established, Original, SHUTDOWN) => ShutdownSent,
            (Established, Reply, SHUTDOWN) => ShutdownReceived,
            (ShutdownSent | ShutdownReceived, _, SHUTDOWN_ACK) => ShutdownAckSent,
            (ShutdownSent | ShutdownReceived, Original, INIT) => Closed,
            (ShutdownAckSent, _, SHUTDOWN_COMPLETE) => Closed,

            (same, _, _) => same,
        })
    }
}
