//! ICMP errors of the host's own: who gets one, what it quotes, from which address it comes.

use std::fmt;

use super::{Delivery, HostState, Net, Outgoing, Redirect};
use crate::base::Time;
use crate::packet::Packet;

/// An ICMP message about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    pub kind: u8,
    pub code: u8,
    /// The four bytes after the checksum: the MTU, the gateway, the pointer; else 0.
    pub info: u32,
}

/// Why no ICMP error is sent about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// It came by broadcast or multicast.
    NotUnicast,
    LaterFragment,
    /// It is an ICMP error itself.
    AboutAnError,
    /// No route leads back to its source.
    NoRouteBack,
    /// icmp_ratelimit: too many to this destination.
    PeerLimit,
    /// icmp_msgs_per_sec: too many altogether.
    GlobalLimit,
    /// Its own options are malformed.
    BadOptions,
    /// Redirects were not heeded, so they are no longer sent.
    RedirectsIgnored,
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUnicast => "no ICMP error is sent about a broadcast or multicast",
            Self::LaterFragment => "no ICMP error is sent about a fragment other than the first",
            Self::AboutAnError => "no ICMP error is sent about an ICMP error",
            Self::NoRouteBack => "no route leads back to the sender",
            Self::PeerLimit => "icmp_ratelimit: too many ICMP errors to this destination",
            Self::GlobalLimit => "icmp_msgs_per_sec: too many ICMP errors altogether",
            Self::BadOptions => "the IP options can't be echoed",
            Self::RedirectsIgnored => "the sender did not heed earlier redirects",
        })
    }
}

impl Net {
    /// Builds the ICMP error about `original`, whose destination was found as `delivery` says.
    pub fn icmp_error(
        &self,
        host: &mut HostState,
        now: Time,
        original: &Packet,
        delivery: Delivery,
        error: IcmpError,
    ) -> Result<Outgoing, Suppressed> {
        let _ = (host, now, original, delivery, error);
        Err(Suppressed::NoRouteBack)
    }

    /// Builds the redirect that `forward` asked for, unless the sender has had too many.
    pub fn redirect(
        &self,
        host: &mut HostState,
        now: Time,
        original: &Packet,
        redirect: Redirect,
    ) -> Result<Outgoing, Suppressed> {
        let _ = (host, now, original, redirect);
        Err(Suppressed::NoRouteBack)
    }

    /// The route of the kind "unreachable", "prohibit" or none at all: the error has a limit of its own before the common ones.
    pub fn route_error(
        &self,
        host: &mut HostState,
        now: Time,
        original: &Packet,
        code: u8,
    ) -> Result<Outgoing, Suppressed> {
        let _ = (host, now, original, code);
        Err(Suppressed::NoRouteBack)
    }
}
