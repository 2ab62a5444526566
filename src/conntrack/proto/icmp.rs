//! ICMP for IPv4 (RFC 792): questions open flows, answers belong to them, errors to the flow they quote.

use std::convert::Infallible;
use std::fmt::{self, Write};
use std::time::Duration;

use super::key::{Drawn, Key, OwnKey, QUOTED_AT_LEAST, QuotedEnd, Unwritable, word};
use super::samples::{flow, invalid};
use super::tool::{Asked, option};
use super::{ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict, Why, WhyInvalid};
use crate::base::{Family, protocol};
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Knob, knob};
use crate::conntrack::{Because, Direction, Endpoint, TrackContext, Tuple};
use crate::packet::{End, Packet};
use crate::wire::icmpv4::{self, kind};
use crate::wire::{be16, checksum, put16};

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "icmp",
    protocol: protocol::ICMP,
    family: Some(Family::V4),
    is_the_kernels: true,
    key: Key::Own(&Identifier {
        answer,
        is_written: |_| true,
    }),
    checked_first: true,
    joins: false,
    checksum_logged: "bad hw icmp checksum",
    takes_over: false,
    knobs: &[knob("nf_conntrack_icmp_timeout", |all| {
        Knob::Seconds(&mut all.protocols.icmp.timeout)
    })],
    policy: &[PolicyState::new("TIMEOUT", |all| &mut all.protocols.icmp.timeout)],
    options: &[&[
        option(&["icmp-type"], Asked::Type),
        option(&["icmp-code"], Asked::Code),
        option(&["icmp-id"], Asked::Id(Direction::Original, End::Source)),
    ]],
    samples: &[
        flow(
            &[8, 5, 255, 255, 0, 7, 0, 1],
            "type=8 code=5 id=7",
            "type=8 code=5 id=7",
            "type=0 code=5 id=7",
        ),
        flow(
            &[17, 0, 0, 0, 0, 9, 0, 1],
            "type=17 code=0 id=9",
            "type=17 code=0 id=9",
            "type=18 code=0 id=9",
        ),
        invalid(
            &[8, 5, 255, 255, 0, 7, 0],
            "the transport header is cut short: 7 bytes are there",
        ),
        invalid(
            &[0, 0, 0, 0, 0, 7, 0, 1],
            "ICMP type 0 opens no flow, and nobody asked for it",
        ),
        invalid(
            &[9, 0, 0, 0, 0, 7, 0, 1],
            "ICMP type 9 opens no flow, and nobody asked for it",
        ),
        invalid(&[19, 0, 0, 0, 0, 7, 0, 1], "ICMP type 19 is unknown"),
    ],
};

pub(crate) type State = Icmp;

/// How many questions have no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    unanswered: u32,
}

/// `net.netfilter.nf_conntrack_icmp_timeout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout: Duration,
    /// The flow is gone with the answer to its last question, as of old; else it waits for its time to be over.
    pub ends_answered: bool,
}

impl Settings {
    /// What no knob says of the ip_conntrack days.
    pub(in crate::conntrack) fn as_of_old(&mut self) {
        self.ends_answered = true;
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            ends_answered: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// A type that tracking does not know (above 18).
    UnknownType(u8),
    /// A type that opens no flow, and no flow is there: a reply that nobody asked for.
    Unasked(u8),
}

impl Tracker for Icmp {
    /// What it quotes, if it is an error.
    type Seen<'p> = Option<&'p [u8]>;
    type Invalid = InvalidReason;
    type Ignored = Infallible;

    #[inline]
    fn check<'p>(packet: &'p Packet, checksum: &mut ChecksumCheck) -> Result<Option<&'p [u8]>, Fault<InvalidReason>> {
        let Some(message) = packet.icmpv4() else {
            return Err(Fault::Truncated(packet.transport().len()));
        };
        checksum.verify(|| checksum::of(packet.transport()) == 0)?;
        if message.kind() > kind::ADDRESS_MASK_REPLY {
            return Err(Fault::Own(InvalidReason::UnknownType(message.kind())));
        }
        Ok(kind::is_error(message.kind()).then(|| packet.transport().get(icmpv4::HEADER..).unwrap_or(&[])))
    }

    fn names_no_flow(packet: &Packet) -> Fault<InvalidReason> {
        match packet.icmpv4() {
            Some(message) => Fault::Own(InvalidReason::Unasked(message.kind())),
            None => Fault::Truncated(packet.transport().len()),
        }
    }

    fn quoted<'p>(seen: &Self::Seen<'p>) -> Option<&'p [u8]> {
        *seen
    }

    fn made(_settings: &crate::conntrack::Settings, _now: crate::base::Time) -> Option<Self> {
        Some(Self { unanswered: 1 })
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, _seen: &Option<&[u8]>, tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        let (kind, _) = tuple.icmp();
        match kind {
            kind::ECHO_REQUEST | kind::TIMESTAMP_REQUEST | kind::INFORMATION_REQUEST | kind::ADDRESS_MASK_REQUEST => {
                let asked = Self { unanswered: 1 };
                Ok((asked, cx.settings.protocols.icmp.timeout))
            }
            _ => Err(InvalidReason::Unasked(kind)),
        }
    }

    fn ended_by(&self) -> &'static str {
        "the answer to its last question"
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        _known: &Known<'_>,
        direction: Direction,
        _seen: &Option<&[u8]>,
    ) -> Verdict<InvalidReason, Infallible> {
        let settings = &cx.settings.protocols.icmp;
        self.unanswered = match direction {
            Direction::Original => self.unanswered.saturating_add(1),
            Direction::Reply => self.unanswered.saturating_sub(1),
        };
        if settings.ends_answered && self.unanswered == 0 {
            return Verdict::Destroy;
        }
        Verdict::Accept {
            timeout: settings.timeout,
            became_assured: false,
        }
    }
}

/// The identifier, which stands at the source's end of a tuple, and type and code, which stand at the other: as in both families' ICMP.
#[derive(Debug)]
pub(super) struct Identifier {
    /// The type that answers one.
    pub answer: fn(u8) -> Option<u8>,
    /// Whether NAT writes the identifier of messages of this type.
    pub is_written: fn(u8) -> bool,
}

impl OwnKey for Identifier {
    fn read(&self, transport: &[u8]) -> Option<(u16, u16)> {
        let (kind_and_code, identifier) = (word(transport, 0)?, word(transport, 4)?);
        word(transport, 6)?;
        Some((identifier, kind_and_code))
    }

    fn answer(&self, tuple: &Tuple) -> Option<Tuple> {
        let (kind, code) = tuple.icmp();
        Some(Tuple {
            source: Endpoint {
                address: tuple.destination.address,
                id: tuple.source.id,
            },
            destination: Endpoint {
                address: tuple.source.address,
                id: u16::from_be_bytes([(self.answer)(kind)?, code]),
            },
            protocol: tuple.protocol,
        })
    }

    fn write(&self, line: &mut String, tuple: &Tuple, _from_kernel: bool) -> fmt::Result {
        let (kind, code) = tuple.icmp();
        write!(line, "type={kind} code={code} id={} ", tuple.source.id)
    }

    fn is_in_xml(&self) -> bool {
        false
    }

    fn drawn(&self) -> Drawn {
        Drawn::Identifier
    }

    fn rewrite(&self, packet: &mut Packet, _end: End, target: &Tuple) -> Result<(), Unwritable> {
        let transport = packet.transport_mut();
        // As of ports: it may have lost its end on its way round by lo.
        if transport.len() < icmpv4::HEADER {
            return Err(Unwritable("NAT cannot read the ICMP message, which is cut short"));
        }
        if (self.is_written)(transport[0]) && be16(transport, 4) != target.source.id {
            set_identifier(transport, target.source.id);
        }
        Ok(())
    }

    fn rewrite_quoted(&self, quoted: &mut QuotedEnd<'_>) -> Option<()> {
        if quoted.transport.len() < QUOTED_AT_LEAST {
            return None;
        }
        if quoted.sums_up_addresses() {
            let field = checksum::update_address(be16(quoted.transport, 2), quoted.address.0, quoted.address.1);
            put16(quoted.transport, 2, field);
        }
        if (self.is_written)(quoted.transport[0]) {
            set_identifier(quoted.transport, quoted.target.source.id);
        }
        Some(())
    }
}

fn set_identifier(message: &mut [u8], identifier: u16) {
    let old = be16(message, 4);
    put16(message, 4, identifier);
    let field = checksum::update16(be16(message, 2), old, identifier);
    put16(message, 2, field);
}

fn answer(kind: u8) -> Option<u8> {
    Some(match kind {
        kind::ECHO_REQUEST => kind::ECHO_REPLY,
        kind::ECHO_REPLY => kind::ECHO_REQUEST,
        kind::TIMESTAMP_REQUEST => kind::TIMESTAMP_REPLY,
        kind::TIMESTAMP_REPLY => kind::TIMESTAMP_REQUEST,
        kind::INFORMATION_REQUEST => kind::INFORMATION_REPLY,
        kind::INFORMATION_REPLY => kind::INFORMATION_REQUEST,
        kind::ADDRESS_MASK_REQUEST => kind::ADDRESS_MASK_REPLY,
        kind::ADDRESS_MASK_REPLY => kind::ADDRESS_MASK_REQUEST,
        _ => return None,
    })
}

impl WhyInvalid for InvalidReason {
    fn because(&self) -> Because {
        match self {
            Self::UnknownType(_) => Because::Itself,
            Self::Unasked(_) => Because::Before,
        }
    }
}

impl Why for InvalidReason {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownType(_) => "icmp-unknown-type",
            Self::Unasked(_) => "icmp-unasked",
        }
    }

    fn log_line(&self) -> Option<String> {
        match self {
            Self::UnknownType(_) => Some("invalid icmp type".to_owned()),
            Self::Unasked(_) => None,
        }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(kind) => write!(f, "ICMP type {kind} is unknown"),
            Self::Unasked(kind) => write!(f, "ICMP type {kind} opens no flow, and nobody asked for it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_types() {
        for kind in 0..=255 {
            let header = [kind, 0, 0, 0, 0, 7, 0, 0];
            let tuple = Tuple::read(protocol::ICMP, [10, 0, 0, 2].into(), [192, 0, 2, 9].into(), &header).unwrap();
            let has_answer = matches!(kind, 0 | 8 | 13..=18);
            assert_eq!(tuple.inverse().is_some(), has_answer, "type {kind}");
            if let Some(back) = tuple.inverse() {
                assert_eq!(back.inverse(), Some(tuple));
            }
        }
    }
}
