//! What the local host does with a packet: the words for it, and the programs it asks.

use super::{DropReason, Outgoing, PathMtu, Suppressed};
use crate::packet::Packet;

/// Which local ports are open. A packet to an open port is consumed, and nothing is answered here.
pub trait Listeners {
    /// Asked for TCP, UDP and UDP-Lite with good checksums, and for protocols that the stack has no handler for.
    fn is_open(&self, packet: &Packet) -> bool;
}

/// No port is open.
pub struct Closed;

impl Listeners for Closed {
    fn is_open(&self, _: &Packet) -> bool {
        false
    }
}

/// What became of a packet that got to the router itself.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Taken by a socket or by the stack; nothing goes out.
    Consumed,
    /// The same, and what it says of a path is believed.
    Learned(Box<PathMtu>),
    /// The packet was taken, and this goes out.
    Reply(Box<Outgoing>),
    /// The packet was dropped for the reason; an ICMP error or a reset goes out.
    Refused(DropReason, Box<Outgoing>),
    /// The packet was dropped for the reason, and nothing goes out.
    Dropped(DropReason),
    /// It is a piece of a packet: the whole is to be answered, once all of it is there.
    Piece,
    /// An answer was due, and is not sent.
    Suppressed(DropReason, Suppressed),
}

impl Answer {
    /// Of an error that the host takes, with what it learned of a path.
    pub(super) fn taken(learned: Option<PathMtu>) -> Self {
        learned.map_or(Self::Consumed, |it| Self::Learned(Box::new(it)))
    }

    /// Whether the host got as far as to what the packet carries, which any socket may read.
    pub(crate) fn is_readable(&self) -> bool {
        match self {
            Self::Refused(why, _) | Self::Dropped(why) | Self::Suppressed(why, _) => !why.is_before_any_reader(),
            Self::Consumed | Self::Learned(_) | Self::Reply(_) | Self::Piece => true,
        }
    }
}
