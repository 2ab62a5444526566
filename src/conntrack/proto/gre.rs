//! GRE (RFC 2784, RFC 2637). Version 0 has no key in its tuple; of version 1 the call id is one.

use std::convert::Infallible;
use std::fmt::{self, Write};
use std::time::Duration;

use super::key::{Drawn, Key, OwnKey, QuotedEnd, Unwritable, word};
use super::samples::{flow, invalid};
use super::tool::{Asked, option};
use super::{ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict, Why, WhyInvalid};
use crate::base::protocol;
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Knob, knob};
use crate::conntrack::{Because, Direction, TrackContext, Tuple};
use crate::packet::{End, Packet};
use crate::wire::put16;

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "gre",
    protocol: protocol::GRE,
    family: None,
    is_the_kernels: true,
    key: Key::Own(&Call),
    checked_first: false,
    joins: true,
    checksum_logged: "bad checksum",
    takes_over: false,
    knobs: &[
        knob("nf_conntrack_gre_timeout", |all| {
            Knob::Seconds(&mut all.protocols.gre.timeout)
        }),
        knob("nf_conntrack_gre_timeout_stream", |all| {
            Knob::Seconds(&mut all.protocols.gre.timeout_stream)
        }),
    ],
    policy: &[
        PolicyState::new("UNREPLIED", |all| &mut all.protocols.gre.timeout),
        PolicyState::new("REPLIED", |all| &mut all.protocols.gre.timeout_stream),
    ],
    options: &[&[
        option(
            &["srckey", "orig-key-src"],
            Asked::Key(Direction::Original, End::Source),
        ),
        option(
            &["dstkey", "orig-key-dst"],
            Asked::Key(Direction::Original, End::Destination),
        ),
        option(&["reply-key-src"], Asked::Key(Direction::Reply, End::Source)),
        option(&["reply-key-dst"], Asked::Key(Direction::Reply, End::Destination)),
        option(&["mask-key-src"], Asked::Mask(End::Source)),
        option(&["mask-key-dst"], Asked::Mask(End::Destination)),
        option(&["tuple-key-src"], Asked::Expected(End::Source)),
        option(&["tuple-key-dst"], Asked::Expected(End::Destination)),
    ]],
    samples: &[
        flow(
            &[0x20, 1, 0x88, 0x0b, 0, 4, 0, 7],
            "srckey=0x0 dstkey=0x7",
            "srckey=0x0 dstkey=0x7",
            "srckey=0x7 dstkey=0x0",
        ),
        flow(
            &[0, 0],
            "srckey=0x0 dstkey=0x0",
            "srckey=0x0 dstkey=0x0",
            "srckey=0x0 dstkey=0x0",
        ),
        flow(
            &[0x20, 1, 0x88, 0x0b],
            "srckey=0x0 dstkey=0x0",
            "srckey=0x0 dstkey=0x0",
            "srckey=0x0 dstkey=0x0",
        ),
        flow(
            &[0, 2, 8, 0, 0, 4, 0, 7],
            "srckey=0x0 dstkey=0x0",
            "srckey=0x0 dstkey=0x0",
            "srckey=0x0 dstkey=0x0",
        ),
        invalid(
            &[0x20, 1, 8, 0, 0, 4, 0, 7],
            "GRE: version 1 carries something else than PPP",
        ),
    ],
};

/// Apart from the flow, as TCP's.
pub(crate) type State = Box<Gre>;

/// A flow keeps the timeouts that were set when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gre {
    timeout: Duration,
    stream_timeout: Duration,
}

/// `net.netfilter.nf_conntrack_gre_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout: Duration,
    pub timeout_stream: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            timeout_stream: Duration::from_secs(180),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// Version 1 that carries something else than PPP.
    NotPpp,
}

impl Gre {
    fn begin(settings: &crate::conntrack::Settings) -> Self {
        let settings = &settings.protocols.gre;
        Self {
            timeout: settings.timeout,
            stream_timeout: settings.timeout_stream,
        }
    }
}

impl Tracker for Gre {
    type Seen<'p> = ();
    type Invalid = InvalidReason;
    type Ignored = Infallible;

    #[inline]
    fn check(_packet: &Packet, _checksum: &mut ChecksumCheck) -> Result<(), Fault<InvalidReason>> {
        Ok(())
    }

    fn names_no_flow(_packet: &Packet) -> Fault<InvalidReason> {
        Fault::Own(InvalidReason::NotPpp)
    }

    fn made(settings: &crate::conntrack::Settings, _now: crate::base::Time) -> Option<Self> {
        Some(Self::begin(settings))
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, (): &(), _tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        let flow = Self::begin(cx.settings);
        Ok((flow, flow.timeout))
    }

    #[inline]
    fn packet(
        &mut self,
        _cx: &TrackContext<'_>,
        known: &Known<'_>,
        _direction: Direction,
        (): &(),
    ) -> Verdict<InvalidReason, Infallible> {
        Verdict::Accept {
            timeout: match known.seen_reply {
                true => self.stream_timeout,
                false => self.timeout,
            },
            became_assured: known.seen_reply,
        }
    }

    fn write_for_proc(&self, line: &mut String) -> fmt::Result {
        let (timeout, stream) = (self.timeout.as_secs(), self.stream_timeout.as_secs());
        write!(line, "timeout={timeout}, stream_timeout={stream} ")
    }
}

/// The call id, which is the receiver's.
#[derive(Debug)]
struct Call;

impl OwnKey for Call {
    /// Seen: a header of fewer than four bytes, or of version 0, has no keys; the key of version 1 is its call id, on the destination's side only;
    /// version 1 must carry PPP, unless its header ends before the call id.
    fn read(&self, transport: &[u8]) -> Option<(u16, u16)> {
        match (word(transport, 0), word(transport, 2), word(transport, 6)) {
            (Some(flags), Some(carried), Some(call)) if flags & VERSION == 1 => (carried == PPP).then_some((0, call)),
            _ => Some((0, 0)),
        }
    }

    fn write(&self, line: &mut String, tuple: &Tuple, _from_kernel: bool) -> fmt::Result {
        let (source, destination) = (tuple.source.id, tuple.destination.id);
        write!(line, "srckey=0x{source:x} dstkey=0x{destination:x} ")
    }

    fn drawn(&self) -> Drawn {
        Drawn::OfAnnounced
    }

    fn may_be_agreed_on(&self) -> bool {
        true
    }

    fn is_agreed_on(&self, transport: &[u8]) -> bool {
        let words = (word(transport, 0), word(transport, 2), word(transport, 6));
        matches!(words, (Some(flags), Some(PPP), Some(_)) if flags & VERSION == 1)
    }

    /// A call is named by its receiver's number, so only the destination's rewriting reads and writes the header; it knows versions 0 and 1 (RFC 2784,
    /// RFC 2637) and drops any other. Either rewriting wants to see so much of it. Seen on Linux 6.18.
    fn rewrite(&self, packet: &mut Packet, end: End, target: &Tuple) -> Result<(), Unwritable> {
        let header = packet.transport();
        if header.len() < NAT_READS {
            return Err(Unwritable("NAT cannot read the GRE header, which is cut short"));
        }
        if end == End::Destination && !version_is_known(header) {
            return Err(Unwritable("NAT translates GRE of versions 0 and 1 only"));
        }
        if end == End::Destination && is_of_calls(header) {
            put16(packet.transport_mut(), CALL, target.destination.id);
        }
        Ok(())
    }

    fn rewrite_quoted(&self, quoted: &mut QuotedEnd<'_>) -> Option<()> {
        let header = &mut *quoted.transport;
        if header.len() < NAT_READS || quoted.end == End::Destination && !version_is_known(header) {
            return None;
        }
        if quoted.end == End::Destination && is_of_calls(header) {
            put16(header, CALL, quoted.target.destination.id);
        }
        Some(())
    }
}

fn is_of_calls(header: &[u8]) -> bool {
    word(header, 0).is_some_and(|flags| flags & VERSION == 1)
}

fn version_is_known(header: &[u8]) -> bool {
    word(header, 0).is_some_and(|flags| flags & VERSION <= 1)
}

/// Where the receiver's number stands.
const CALL: usize = 6;
const VERSION: u16 = 7;
/// What `ETHER_TYPE` version 1 carries in PPTP.
const PPP: u16 = 0x880b;
const NAT_READS: usize = 8;

impl WhyInvalid for InvalidReason {
    fn because(&self) -> Because {
        Because::Itself
    }
}

impl Why for InvalidReason {
    fn code(&self) -> &'static str {
        "gre-not-ppp"
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPpp => f.write_str("GRE: version 1 carries something else than PPP"),
        }
    }
}
