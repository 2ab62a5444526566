//! UDP-Lite (RFC 3828): as UDP, but for what its checksum covers.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use super::samples::{flow, invalid};
use super::udp::{PORTS, Udp};
use super::{ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict, Why, WhyInvalid, tool};
use crate::base::{Family, Time, protocol};
use crate::conntrack::policy::PolicyState;
use crate::conntrack::{Because, Direction, TrackContext, Tuple};
use crate::packet::Packet;
use crate::wire::{be16, checksum, udp};

/// Its timeouts are UDP's.
pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "udplite",
    protocol: protocol::UDPLITE,
    family: None,
    is_the_kernels: true,
    key: PORTS,
    checked_first: false,
    joins: true,
    checksum_logged: "bad checksum",
    takes_over: false,
    knobs: &[],
    policy: &[
        PolicyState::new("UNREPLIED", |all| &mut all.protocols.udp.timeout),
        PolicyState::new("REPLIED", |all| &mut all.protocols.udp.timeout_stream),
    ],
    options: &[tool::PORTS],
    samples: &[
        flow(
            &[3, 232, 0, 53, 0, 0, 1, 1],
            "sport=1000 dport=53",
            "sport=1000 dport=53",
            "sport=53 dport=1000",
        ),
        invalid(
            &[3, 232, 0, 53, 0, 8, 1],
            "the transport header is cut short: 7 bytes are there",
        ),
        invalid(
            &[3, 232, 0, 53, 0, 9, 1, 1],
            "the UDP-Lite checksum covers 9 bytes: it must cover at least 8 and at most the 8 that are there",
        ),
        invalid(
            &[3, 232, 0, 53, 0, 8, 0, 0],
            "UDP-Lite must have a checksum, and this has none",
        ),
    ],
};

pub(crate) type State = UdpLite;
pub(crate) type Settings = ();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpLite(Udp);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// The checksum's coverage is below eight or beyond the packet.
    Coverage {
        coverage: usize,
        have: usize,
    },
    NoChecksum,
}

impl Tracker for UdpLite {
    type Seen<'p> = ();
    type Invalid = InvalidReason;
    type Ignored = Infallible;

    /// UDP-Lite must have a checksum, over as many bytes as the coverage field says (0: all).
    ///
    /// Seen on Linux 6.18: the pseudo-header is summed with the protocol number of UDP, so UDP-Lite as the RFC has it is INVALID at
    /// PREROUTING while `nf_conntrack_checksum` is set; and in IPv4 only the lower byte of the length counts.
    #[inline]
    fn check(packet: &Packet, checksum: &mut ChecksumCheck) -> Result<(), Fault<InvalidReason>> {
        let datagram = packet.transport();
        if datagram.len() < udp::HEADER {
            return Err(Fault::Truncated(datagram.len()));
        }
        let coverage = match usize::from(be16(datagram, 4)) {
            0 => datagram.len(),
            coverage => coverage,
        };
        if coverage < udp::HEADER || coverage > datagram.len() {
            return Err(Fault::Own(InvalidReason::Coverage {
                coverage,
                have: datagram.len(),
            }));
        }
        if be16(datagram, 6) == 0 {
            return Err(Fault::Own(InvalidReason::NoChecksum));
        }
        checksum.verify(|| {
            let length = match packet.family() {
                Family::V4 => datagram.len() & 0xff,
                Family::V6 => datagram.len(),
            };
            let pseudo = checksum::pseudo_header(packet.source(), packet.destination(), protocol::UDP, length);
            let covered = u32::from(checksum::fold(checksum::sum(&datagram[..coverage])));
            checksum::fold(pseudo + covered) == 0xffff
        })
    }

    fn made(_settings: &crate::conntrack::Settings, _now: Time) -> Option<Self> {
        Some(Self(Udp::made()))
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, (): &(), _tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        let (udp, timeout) = Udp::begin(cx);
        Ok((Self(udp), timeout))
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        _direction: Direction,
        (): &(),
    ) -> Verdict<InvalidReason, Infallible> {
        self.0.go_on(cx, known)
    }
}

impl WhyInvalid for InvalidReason {
    fn because(&self) -> Because {
        match self {
            Self::Coverage { .. } => Because::Cut,
            Self::NoChecksum => Because::Checksum,
        }
    }
}

impl Why for InvalidReason {
    fn code(&self) -> &'static str {
        match self {
            Self::Coverage { .. } => "udplite-coverage",
            Self::NoChecksum => "udplite-no-checksum",
        }
    }

    fn log_line(&self) -> Option<String> {
        Some(match self {
            Self::Coverage { .. } => "invalid checksum coverage".to_owned(),
            Self::NoChecksum => "checksum missing".to_owned(),
        })
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coverage { coverage, have } => write!(
                f,
                "the UDP-Lite checksum covers {coverage} bytes: it must cover at least 8 and at most the {have} that are there"
            ),
            Self::NoChecksum => f.write_str("UDP-Lite must have a checksum, and this has none"),
        }
    }
}
