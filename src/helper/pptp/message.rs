//! The messages of PPTP's control connection (RFC 2637, section 2).

use crate::conntrack::Direction;
use crate::wire::{be16, be32};

/// What is read of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: Kind,
    /// The sender's number of the call.
    pub number: u16,
    /// The receiver's.
    pub peers: u16,
    /// What was asked for is granted.
    pub succeeds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    SessionRequest,
    SessionReply,
    StopRequest,
    StopReply,
    /// Request or reply.
    Echo,
    OutgoingCallRequest,
    OutgoingCallReply,
    IncomingCallRequest,
    IncomingCallReply,
    IncomingCallConnected,
    CallClearRequest,
    CallDisconnect,
    WanError,
    LinkInfo,
}

/// The message that the bytes begin with. `None`: they begin with none, or not with the whole of it.
pub(super) fn read(data: &[u8]) -> Option<Message> {
    let header = data.get(..HEADER)?;
    if be16(header, 2) != CONTROL || be32(header, 4) != COOKIE {
        return None;
    }
    let (kind, length, succeeds_at) = match be16(header, 8) {
        1 => (Kind::SessionRequest, 156, None),
        2 => (Kind::SessionReply, 156, Some(14)),
        3 => (Kind::StopRequest, 16, None),
        4 => (Kind::StopReply, 16, Some(12)),
        5 => (Kind::Echo, 16, None),
        6 => (Kind::Echo, 20, None),
        7 => (Kind::OutgoingCallRequest, 168, None),
        8 => (Kind::OutgoingCallReply, 32, Some(16)),
        9 => (Kind::IncomingCallRequest, 220, None),
        10 => (Kind::IncomingCallReply, 24, Some(16)),
        11 => (Kind::IncomingCallConnected, 28, None),
        12 => (Kind::CallClearRequest, 16, None),
        13 => (Kind::CallDisconnect, 148, None),
        14 => (Kind::WanError, 40, None),
        15 => (Kind::LinkInfo, 24, None),
        _ => return None,
    };
    let message = data.get(..length)?;
    // Both where they may be: not every kind has them.
    let (first, second) = (be16(message, FIRST), be16(message, SECOND));
    Some(Message {
        kind,
        number: first,
        peers: match kind {
            Kind::OutgoingCallReply | Kind::IncomingCallReply => second,
            _ => first,
        },
        succeeds: succeeds_at.is_some_and(|at| message.get(at) == Some(&1)),
    })
}

impl Message {
    /// Where the client's number of the call stands, in what this side says.
    pub(super) fn clients_number_at(&self, said: Direction) -> Option<usize> {
        match (said, self.kind) {
            (Direction::Original, Kind::OutgoingCallRequest | Kind::IncomingCallReply | Kind::CallClearRequest)
            | (
                Direction::Reply,
                Kind::IncomingCallConnected | Kind::WanError | Kind::CallDisconnect | Kind::LinkInfo,
            ) => Some(FIRST),
            (Direction::Reply, Kind::OutgoingCallReply) => Some(SECOND),
            _ => None,
        }
    }
}

/// Length, kind of packet, cookie, kind of message, and two bytes that count for nothing.
const HEADER: usize = 12;
const CONTROL: u16 = 1;
const COOKIE: u32 = 0x1a2b_3c4d;
const FIRST: usize = 12;
const SECOND: usize = 14;
