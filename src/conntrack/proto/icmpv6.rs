//! ICMP for IPv6 (RFC 4443): questions open flows, answers belong to them, errors to the flow they quote. What the hosts of a link tell each other, of
//! neighbours and of multicast, is no flow's, and kept from tracking.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::icmp::Identifier;
use super::key::Key;
use super::samples::{flow, invalid};
use super::tool::{Asked, option};
use super::{ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict, Why, WhyInvalid};
use crate::base::{Family, protocol};
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Knob, knob};
use crate::conntrack::{Because, Direction, TrackContext, Tuple};
use crate::packet::{End, Packet};
use crate::wire::icmpv6::{HEADER, kind};

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "icmpv6",
    protocol: protocol::ICMPV6,
    family: Some(Family::V6),
    is_the_kernels: true,
    key: Key::Own(&Identifier {
        answer,
        // Seen: NAT draws an identifier for node information too, and leaves the one in the packet as it is.
        is_written: |kind| matches!(kind, kind::ECHO_REQUEST | kind::ECHO_REPLY),
    }),
    checked_first: true,
    joins: false,
    checksum_logged: "ICMPv6 checksum failed",
    takes_over: false,
    knobs: &[knob("nf_conntrack_icmpv6_timeout", |all| {
        Knob::Seconds(&mut all.protocols.icmpv6.timeout)
    })],
    policy: &[PolicyState::new("TIMEOUT", |all| &mut all.protocols.icmpv6.timeout)],
    options: &[&[
        option(&["icmpv6-type"], Asked::Type),
        option(&["icmpv6-code"], Asked::Code),
        option(&["icmpv6-id"], Asked::Id(Direction::Original, End::Source)),
    ]],
    samples: &[
        flow(
            &[128, 5, 255, 255, 0, 7, 0, 1],
            "type=128 code=5 id=7",
            "type=128 code=5 id=7",
            "type=129 code=5 id=7",
        ),
        flow(
            &[139, 0, 0, 0, 0, 9, 0, 1],
            "type=139 code=0 id=9",
            "type=139 code=0 id=9",
            "type=140 code=0 id=9",
        ),
        invalid(
            &[128, 5, 255, 255, 0, 7, 0],
            "the transport header is cut short: 7 bytes are there",
        ),
        invalid(
            &[129, 0, 0, 0, 0, 7, 0, 1],
            "ICMPv6 type 129 opens no flow, and nobody asked for it",
        ),
        invalid(
            &[144, 0, 0, 0, 0, 7, 0, 1],
            "ICMPv6 type 144 opens no flow, and nobody asked for it",
        ),
        invalid(&[137, 0, 0, 0, 0, 0, 0, 0], "the redirect is cut short"),
    ],
};

pub(crate) type State = IcmpV6;

/// Nothing is remembered of such a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpV6;

/// `net.netfilter.nf_conntrack_icmpv6_timeout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// A type that opens no flow, and no flow is there.
    Unasked(u8),
    Redirect(BadRedirect),
}

/// What is wrong with a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRedirect {
    Short,
    Code(u8),
    /// It has an address that is not link-local, or has passed a router.
    NotOfNeighbour,
    NoOption,
    /// Its first option is not the packet that it is about.
    OtherOption(u8),
}

/// What a message is to tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'p> {
    /// A question, an answer, or what is neither.
    Talk,
    /// Of neighbours or multicast.
    OfLink,
    /// An error, and what it quotes.
    About(&'p [u8]),
}

impl Tracker for IcmpV6 {
    type Seen<'p> = Message<'p>;
    type Invalid = InvalidReason;
    type Ignored = Infallible;

    /// Seen: all types below 128 are errors, whatever they are called; and of the messages of multicast routers the one that says goodbye is tracked.
    #[inline]
    fn check<'p>(packet: &'p Packet, checksum: &mut ChecksumCheck) -> Result<Message<'p>, Fault<InvalidReason>> {
        let message = packet.transport();
        if message.len() < HEADER {
            return Err(Fault::Truncated(message.len()));
        }
        checksum.verify(|| packet.transport_checksum(protocol::ICMPV6) == 0)?;
        Ok(match message[0] {
            kind::LISTENER_QUERY..=kind::NEIGHBOUR_ADVERTISEMENT
            | kind::LISTENER_REPORT
            | kind::MULTICAST_ROUTER_ADVERTISEMENT
            | kind::MULTICAST_ROUTER_SOLICITATION => Message::OfLink,
            kind::REDIRECT => Message::About(redirected(packet).map_err(InvalidReason::Redirect)?),
            other if kind::is_error(other) => Message::About(&message[HEADER..]),
            _ => Message::Talk,
        })
    }

    fn names_no_flow(packet: &Packet) -> Fault<InvalidReason> {
        match packet.transport() {
            [kind, _, _, _, _, _, _, _, ..] => Fault::Own(InvalidReason::Unasked(*kind)),
            short => Fault::Truncated(short.len()),
        }
    }

    fn quoted<'p>(seen: &Self::Seen<'p>) -> Option<&'p [u8]> {
        match seen {
            Message::About(quoted) => Some(quoted),
            Message::Talk | Message::OfLink => None,
        }
    }

    fn is_exempt(seen: &Message<'_>) -> bool {
        *seen == Message::OfLink
    }

    fn made(_settings: &crate::conntrack::Settings, _now: crate::base::Time) -> Option<Self> {
        Some(Self)
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, _seen: &Message<'_>, tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        match tuple.icmp().0 {
            kind::ECHO_REQUEST | kind::NODE_INFORMATION_QUERY => Ok((Self, cx.settings.protocols.icmpv6.timeout)),
            kind => Err(InvalidReason::Unasked(kind)),
        }
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        _known: &Known<'_>,
        _direction: Direction,
        _seen: &Message<'_>,
    ) -> Verdict<InvalidReason, Infallible> {
        Verdict::Accept {
            timeout: cx.settings.protocols.icmpv6.timeout,
            became_assured: false,
        }
    }
}

/// The packet that a redirect is about, as far as it is quoted.
///
/// Seen: of the options only the first is looked at, and of that the type and whether it says that it has a length, which may be any.
fn redirected(packet: &Packet) -> Result<&[u8], BadRedirect> {
    const OPTIONS_AT: usize = 40;
    const REDIRECTED_HEADER: u8 = 4;
    const QUOTE_AT: usize = OPTIONS_AT + 8;
    let message = packet.transport();
    let options = message.get(OPTIONS_AT..).ok_or(BadRedirect::Short)?;
    if message[1] != 0 {
        return Err(BadRedirect::Code(message[1]));
    }
    let is_of_neighbour = matches!(packet.source(), IpAddr::V6(source) if source.is_unicast_link_local());
    if !is_of_neighbour || packet.ttl() != u8::MAX {
        return Err(BadRedirect::NotOfNeighbour);
    }
    match options {
        [] | [_] | [_, 0, ..] => Err(BadRedirect::NoOption),
        [REDIRECTED_HEADER, ..] => Ok(message.get(QUOTE_AT..).unwrap_or_default()),
        [other, ..] => Err(BadRedirect::OtherOption(*other)),
    }
}

fn answer(kind: u8) -> Option<u8> {
    Some(match kind {
        kind::ECHO_REQUEST => kind::ECHO_REPLY,
        kind::ECHO_REPLY => kind::ECHO_REQUEST,
        kind::NODE_INFORMATION_QUERY => kind::NODE_INFORMATION_REPLY,
        kind::NODE_INFORMATION_REPLY => kind::NODE_INFORMATION_QUERY,
        _ => return None,
    })
}

impl WhyInvalid for InvalidReason {
    fn because(&self) -> Because {
        match self {
            Self::Unasked(_) => Because::Before,
            Self::Redirect(BadRedirect::Short) => Because::Cut,
            Self::Redirect(_) => Because::Itself,
        }
    }
}

impl Why for InvalidReason {
    fn code(&self) -> &'static str {
        match self {
            Self::Unasked(_) => "icmpv6-unasked",
            Self::Redirect(_) => "icmpv6-redirect",
        }
    }

    fn log_line(&self) -> Option<String> {
        let line = match self {
            Self::Unasked(_) | Self::Redirect(BadRedirect::Code(_) | BadRedirect::OtherOption(_)) => return None,
            Self::Redirect(BadRedirect::Short) => "short redirect",
            Self::Redirect(BadRedirect::NotOfNeighbour) => "invalid saddr or hoplimit for redirect",
            Self::Redirect(BadRedirect::NoOption) => "redirect without options",
        };
        Some(line.to_owned())
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unasked(kind) => write!(f, "ICMPv6 type {kind} opens no flow, and nobody asked for it"),
            Self::Redirect(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for BadRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the redirect is cut short"),
            Self::Code(code) => write!(f, "a redirect has code 0, and not {code}"),
            Self::NotOfNeighbour => {
                f.write_str("only a neighbour may redirect, from a link-local address and with a hop limit of 255")
            }
            Self::NoOption => f.write_str("the redirect does not quote the packet that it is about"),
            Self::OtherOption(kind) => write!(
                f,
                "the redirect's first option is of type {kind}, and not the packet that it is about (4)"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
