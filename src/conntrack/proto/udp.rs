//! UDP (RFC 768).

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use super::key::{Key, Ports, QuotedChecksum};
use super::samples::{flow, invalid};
use super::{Accepted, ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict, Why, WhyInvalid, tool};
use crate::base::{Time, protocol};
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Knob, knob};
use crate::conntrack::{Because, Direction, TrackContext, Tuple};
use crate::packet::{Packet, Plain};
use crate::wire::{be16, udp};

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "udp",
    protocol: protocol::UDP,
    family: None,
    is_the_kernels: true,
    key: PORTS,
    checked_first: false,
    joins: true,
    checksum_logged: "bad checksum",
    takes_over: false,
    knobs: &[
        knob("nf_conntrack_udp_timeout", |all| {
            Knob::Seconds(&mut all.protocols.udp.timeout)
        }),
        knob("nf_conntrack_udp_timeout_stream", |all| {
            Knob::Seconds(&mut all.protocols.udp.timeout_stream)
        })
        .classic("180"),
    ],
    policy: &[
        PolicyState::new("UNREPLIED", |all| &mut all.protocols.udp.timeout),
        PolicyState::new("REPLIED", |all| &mut all.protocols.udp.timeout_stream),
    ],
    options: &[tool::PORTS],
    samples: &[
        flow(
            &[3, 232, 0, 53, 0, 8, 0, 0],
            "sport=1000 dport=53",
            "sport=1000 dport=53",
            "sport=53 dport=1000",
        ),
        invalid(
            &[3, 232, 0, 53, 0, 8, 0],
            "the transport header is cut short: 7 bytes are there",
        ),
        invalid(
            &[3, 232, 0, 53, 0, 9, 0, 0],
            "the UDP length says 9 bytes: it must be at least 8 and at most the 8 that are there",
        ),
        invalid(
            &[3, 232, 0, 53, 0, 7, 0, 0],
            "the UDP length says 7 bytes: it must be at least 8 and at most the 8 that are there",
        ),
    ],
};

/// Of UDP-Lite too.
pub(super) const PORTS: Key = Key::Ports(Ports {
    read: 0,
    quoted_checksum: Some(QuotedChecksum {
        at: 6,
        least: udp::HEADER,
        zero_is_none: true,
    }),
    sums_up: None,
});

pub(crate) type State = Udp;

/// When its first packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    opened: Time,
}

/// `net.netfilter.nf_conntrack_udp_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout: Duration,
    pub timeout_stream: Duration,
    /// A question and its answer are not a stream yet: a packet that comes this long after the first, with answers seen, makes it one. `None`: the
    /// first one after an answer does, as of old.
    pub stream_after: Option<Duration>,
}

impl Settings {
    /// What no knob says of the ip_conntrack days.
    pub(in crate::conntrack) fn as_of_old(&mut self) {
        self.stream_after = None;
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            timeout_stream: Duration::from_secs(120),
            stream_after: Some(Duration::from_secs(2)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// The length field is below eight or beyond the packet.
    Length { length: usize, have: usize },
}

impl Udp {
    #[inline]
    pub(super) fn begin(cx: &TrackContext<'_>) -> (Self, Duration) {
        (Self { opened: cx.now }, cx.settings.protocols.udp.timeout)
    }

    pub(super) fn made() -> Self {
        Self { opened: Time::ZERO }
    }

    #[inline]
    pub(super) fn go_on<V>(self, cx: &TrackContext<'_>, known: &Known<'_>) -> Verdict<V, Infallible> {
        self.accepts(cx, known).into()
    }

    #[inline]
    fn accepts(self, cx: &TrackContext<'_>, known: &Known<'_>) -> Accepted {
        let settings = &cx.settings.protocols.udp;
        let is_old_enough = settings.stream_after.is_none_or(|after| self.opened + after < cx.now);
        let is_stream = known.seen_reply && is_old_enough;
        Accepted {
            timeout: match is_stream {
                true => settings.timeout_stream,
                false => settings.timeout,
            },
            became_assured: is_stream,
        }
    }
}

impl Tracker for Udp {
    type Seen<'p> = ();
    type Invalid = InvalidReason;
    type Ignored = Infallible;

    /// Seen: the length field may be shorter than what the packet holds, but then the checksum is still taken over all of it.
    #[inline]
    fn check(packet: &Packet, checksum: &mut ChecksumCheck) -> Result<(), Fault<InvalidReason>> {
        let datagram = packet.transport();
        if datagram.len() < udp::HEADER {
            return Err(Fault::Truncated(datagram.len()));
        }
        let length = usize::from(be16(datagram, 4));
        if length > datagram.len() || length < udp::HEADER {
            return Err(Fault::Own(InvalidReason::Length {
                length,
                have: datagram.len(),
            }));
        }
        let no_checksum = be16(datagram, 6) == 0;
        checksum.verify(|| no_checksum || packet.transport_checksum(protocol::UDP) == 0)
    }

    /// Seen: no time is kept of when it began, so that a packet makes it a stream as soon as it is answered.
    fn made(_settings: &crate::conntrack::Settings, _now: Time) -> Option<Self> {
        Some(Self::made())
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, (): &(), _tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        Ok(Self::begin(cx))
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        _direction: Direction,
        (): &(),
    ) -> Verdict<InvalidReason, Infallible> {
        self.go_on(cx, known)
    }

    #[inline(always)]
    fn goes_on<const WORDS: usize>(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        _direction: Direction,
        (packet, checksum): (&Plain<'_, WORDS>, &mut ChecksumCheck),
    ) -> Option<Accepted> {
        let datagram = packet.transport();
        let (length, sum) = (usize::from(be16(datagram, 4)), be16(datagram, 6));
        if length > datagram.len() || length < udp::HEADER {
            return None;
        }
        let is_right = checksum.verify::<InvalidReason>(|| sum == 0 || packet.transport_is_right());
        is_right.ok().map(|()| self.accepts(cx, known))
    }
}

impl WhyInvalid for InvalidReason {
    fn because(&self) -> Because {
        Because::Cut
    }
}

impl Why for InvalidReason {
    fn code(&self) -> &'static str {
        "udp-length"
    }

    fn log_line(&self) -> Option<String> {
        Some("truncated/malformed packet".to_owned())
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Length { length, have } = self;
        write!(
            f,
            "the UDP length says {length} bytes: it must be at least 8 and at most the {have} that are there"
        )
    }
}
