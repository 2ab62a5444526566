//! Tuples, flows and their table, timeouts, expectations; one tracker a file (`proto/`).
//!
//! A packet is looked up at the tracking stage (`Table::track`) and, if it opens a flow, that flow is held by the packet alone until the packet
//! gets out (`Table::confirm`): a flow that is dropped on its way never existed. Flows are shared (`Arc`) and each has its own small lock;
//! the table has one lock a shard, held for a look-up or an insertion only.

mod change;
mod clash;
mod copy;
mod events;
mod expectation;
mod expectations;
mod flow;
mod helper;
mod keys;
pub(crate) mod labels;
mod orphan;
pub(crate) mod policy;
mod profile;
pub(crate) mod proto;
mod settings;
mod statistics;
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod text;
mod track;
mod tuple;
mod zone;

pub(crate) use change::changed_mark;
pub use change::{Change, ChangeRefused};
pub use clash::Clash;
pub use events::{Event, EventKind, EventMask, EventMasks, ExpectationEvent, Heard, Listener};
pub use expectation::{Expectation, ExpectationMask, ExpectationNat, ExpectationRefused};
pub use flow::{Counted, Flow, FlowState, HelperData, NatInfo, SequenceAdjustment, Settled, Status};
pub use helper::{ConntrackHelper, ExpectPolicy};
pub use labels::{LabelNames, Labels};
pub use policy::{TimeoutPolicies, TimeoutPolicy};
pub use profile::{Profile, memory};
pub use settings::{Frag6Settings, SettingError, Settings};
pub(crate) use statistics::{ExpectationStatistics, Statistics};
pub use table::Table;
pub(crate) use table::{Crowd, Hashes};
pub(crate) use track::{Confirmed, KnownWay, TrackedAgain};
pub use tuple::{Direction, Endpoint, Tuple};
pub use zone::{Zone, ZoneScope};

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::Time;
use crate::packet::Packet;
use crate::wire::ipv6::extension;
use proto::{Why, WhyInvalid};

/// What `--ctstate` calls the packet's relation to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtState {
    /// It opens its flow, or no answer has been seen yet.
    New,
    /// It belongs to a flow that was answered.
    Established,
    /// It is of a flow that a helper announced and nobody has answered yet, or an ICMP error about a packet of a flow.
    Related,
    /// Nothing fits it, or its tracker refuses it: it goes on without a flow.
    Invalid,
    /// A rule kept it from tracking (NOTRACK), so it has no flow.
    Untracked,
}

impl CtState {
    /// As `--ctstate` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Established => "ESTABLISHED",
            Self::Related => "RELATED",
            Self::Invalid => "INVALID",
            Self::Untracked => "UNTRACKED",
        }
    }
}

/// A set of what `--ctstate` asks for: states, and whether NAT rewrites the flow's source or destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StateBits(pub u32);

impl StateBits {
    /// [`CtState::Invalid`].
    pub const INVALID: Self = Self(1 << 0);
    /// [`CtState::New`].
    pub const NEW: Self = Self(1 << 1);
    /// [`CtState::Related`].
    pub const RELATED: Self = Self(1 << 2);
    /// [`CtState::Established`].
    pub const ESTABLISHED: Self = Self(1 << 3);
    /// [`CtState::Untracked`].
    pub const UNTRACKED: Self = Self(1 << 4);
    /// NAT rewrites the source of the flow's packets.
    pub const SNAT: Self = Self(1 << 5);
    /// NAT rewrites the destination of the flow's packets.
    pub const DNAT: Self = Self(1 << 6);

    /// The one bit of a state.
    pub fn of(state: CtState) -> Self {
        match state {
            CtState::Invalid => Self::INVALID,
            CtState::New => Self::NEW,
            CtState::Related => Self::RELATED,
            CtState::Established => Self::ESTABLISHED,
            CtState::Untracked => Self::UNTRACKED,
        }
    }

    /// Of a packet's state and what NAT decided of its flow.
    pub fn with_nat(state: CtState, flow: Status) -> Self {
        let mut bits = Self::of(state);
        if flow.has(Status::SRC_NAT) {
            bits = bits.or(Self::SNAT);
        }
        if flow.has(Status::DST_NAT) {
            bits = bits.or(Self::DNAT);
        }
        bits
    }

    /// Whether some bit is in both.
    pub fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of both.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a packet carries of connection tracking on its way.
#[derive(Clone, Debug, Default)]
pub struct Tracking {
    /// Set for NEW, ESTABLISHED and RELATED.
    pub flow: Option<Arc<Flow>>,
    /// `None` until the tracking stage has seen the packet (and for ever where no rule asked for tracking).
    pub state: Option<CtState>,
    /// Which way of its flow the packet goes. For a RELATED ICMP error: the direction of the error itself.
    pub direction: Direction,
    /// What a rule of the raw table asked for, before the tracking stage (`CT --helper`, `CT --zone`, ...).
    pub template: Option<Arc<Template>>,
    /// The number of the packet that brought its flow into this state; `None` where that is this very packet, or nobody counts.
    pub since: Option<NonZeroU64>,
    /// Of a packet that nobody has tracked, and of one that opened its flow.
    pub(crate) hashes: Hashes,
}

impl Tracking {
    /// What the matches see. Without a flow a packet is UNTRACKED or INVALID, as in the kernel: also one that was never tracked, and an ICMP
    /// error of the router's own about an untracked packet, which is RELATED to nothing. Between the CT target and tracking it is NEW.
    pub fn state_for_matching(&self) -> CtState {
        match (&self.flow, self.state) {
            (Some(_), Some(state)) => state,
            (None, Some(CtState::Untracked)) => CtState::Untracked,
            (None, None) if self.template.is_some() => CtState::New,
            _ => CtState::Invalid,
        }
    }

    /// Nothing that is known of its bytes alone is known any more.
    pub(crate) fn is_another_packet(&mut self) {
        if self.flow.is_none() {
            self.hashes = Hashes::default();
        }
    }

    /// The template that holds the flow's place, between the CT target and tracking.
    pub fn template_in_place(&self) -> Option<&Template> {
        match (&self.flow, self.state) {
            (None, None) => self.template.as_deref(),
            _ => None,
        }
    }

    /// The mark of the flow, or of the template in its place.
    pub fn mark(&self) -> Option<u32> {
        match &self.flow {
            Some(flow) => Some(flow.lock().mark),
            None => self.template_in_place().map(|it| it.mark.load(Ordering::Relaxed)),
        }
    }
}

/// What the CT target hands to the tracking stage.
#[derive(Debug, Default)]
pub struct Template {
    /// Name of the helper to attach to a new flow (`CT --helper ftp`).
    pub helper: Option<String>,
    /// The zone in which the packet looks for its flow, and the flow that it opens is.
    pub zone: Zone,
    /// The number of that zone is the packet's mark, as far as it fits (`CT --zone mark`).
    pub zone_by_mark: bool,
    /// The timeouts of a flow that the packet opens (`CT --timeout NAME`).
    pub policy: Option<Arc<TimeoutPolicy>>,
    /// What is told of that flow (`CT --ctevents`, `--expevents`).
    pub events: Option<EventMasks>,
    /// Its mark, which rules of the raw table read and write as they do a flow's. No flow gets it.
    pub mark: AtomicU32,
}

impl Template {
    /// In which zone this packet looks for its flow.
    pub fn zone_of(&self, packet: &Packet) -> Zone {
        match self.zone_by_mark {
            true => Zone {
                id: packet.mark as u16,
                ..self.zone
            },
            false => self.zone,
        }
    }
}

/// At which hook a packet meets the tracking stage. Checksums are verified for arriving packets only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackStage {
    /// It came in.
    Prerouting,
    /// The router made it.
    Output,
}

/// What tracking needs beside the packet.
#[derive(Clone, Copy, Debug)]
pub struct TrackContext<'a> {
    /// When the packet came.
    pub now: Time,
    /// The knobs of tracking.
    pub settings: &'a Settings,
    /// Where the packet is.
    pub stage: TrackStage,
    /// The helpers that `modprobe` made available.
    pub helpers: &'a [&'static ConntrackHelper],
    /// Which packet this is, counted from 1; 0 where nobody counts.
    pub packet: u64,
}

/// What the tracking stage made of a packet.
#[derive(Clone, Debug)]
pub enum Tracked {
    /// It goes on, INVALID or not: rules decide.
    Accept(Reason),
    /// It ends here, for a reason of tracking's own.
    Drop(DropReason),
}

/// Why a packet has the state it has.
#[derive(Clone, Debug)]
pub enum Reason {
    /// It was tracked before: it came back over `lo`, or a rule said NOTRACK.
    AlreadyTracked,
    /// It belongs to a flow of the table.
    KnownFlow,
    /// It belongs to a flow of the table, but the flow does not live longer by it.
    Ignored(proto::IgnoredReason),
    /// It belongs to a flow of the table, which ends with it; what it is (a reset before any answer).
    EndsFlow(&'static str),
    /// What hosts of a link tell each other, of neighbours and multicast, is not tracked.
    Exempt,
    /// It opens a flow.
    NewFlow,
    /// It opens a flow that a helper had announced.
    Expected(Arc<Expectation>),
    /// It is an ICMP error that quotes a packet of a flow.
    ErrorOf,
    /// It goes on without a flow, and opens none.
    Invalid(InvalidReason),
}

/// Why a packet is INVALID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// A later fragment where no reassembly came before.
    Fragment,
    /// IPv6: nothing follows the extension headers, or one of them is cut short; its number.
    NoTransport(u8),
    /// The ICMP of the other family.
    OtherFamily,
    /// The transport header does not fit into the packet.
    HeaderTruncated {
        /// So many bytes of it are there.
        have: usize,
    },
    /// The transport's checksum is wrong, of a packet that came in while `nf_conntrack_checksum` is on.
    ChecksumWrong,
    /// ICMP error: the quoted packet cannot be read.
    QuoteUnreadable,
    /// ICMP error: the quoted packet belongs to no flow.
    QuoteOfNoFlow,
    /// ICMP error: it is not addressed to whoever sent the quoted packet.
    QuoteNotForSender {
        /// Whom it is addressed to.
        outer: IpAddr,
        /// Who sent what it quotes.
        inner: IpAddr,
    },
    /// What its protocol's tracker says.
    Protocol(proto::InvalidReason),
}

/// What of a packet, or of what passed before it, makes it INVALID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// Its checksum is wrong.
    Checksum,
    /// Bytes are missing, or are not as many as the packet says.
    Cut,
    /// What came before it, or the other direction, was not seen.
    Before,
    /// It would be INVALID wherever it is seen.
    Itself,
}

impl InvalidReason {
    /// What kind of cause that is, for who sums up and knows no protocol.
    pub fn because(&self) -> Because {
        match self {
            Self::ChecksumWrong => Because::Checksum,
            Self::Fragment | Self::NoTransport(_) | Self::HeaderTruncated { .. } | Self::QuoteUnreadable => {
                Because::Cut
            }
            Self::QuoteOfNoFlow => Because::Before,
            Self::OtherFamily | Self::QuoteNotForSender { .. } => Because::Itself,
            Self::Protocol(why) => why.because(),
        }
    }
}

impl InvalidReason {
    /// A name that stays, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fragment => "fragment",
            Self::NoTransport(_) => "no-transport",
            Self::OtherFamily => "other-family",
            Self::HeaderTruncated { .. } => "header-truncated",
            Self::ChecksumWrong => "checksum-wrong",
            Self::QuoteUnreadable => "quote-unreadable",
            Self::QuoteOfNoFlow => "quote-of-no-flow",
            Self::QuoteNotForSender { .. } => "quote-not-for-sender",
            Self::Protocol(why) => why.code(),
        }
    }

    fn log_line(&self, protocol: u8) -> Option<String> {
        match self {
            // Where ports are not there no flow is looked for, and nothing is said.
            Self::HeaderTruncated { have } if !proto::spec(protocol).checked_first && *have < 4 => None,
            Self::HeaderTruncated { .. } => Some("short packet".to_owned()),
            Self::ChecksumWrong => Some(proto::spec(protocol).checksum_logged.to_owned()),
            Self::QuoteNotForSender { outer, inner } => {
                let [outer, inner] = [outer, inner].map(|it| text::in_kernel(*it));
                Some(format!("outer daddr {outer} != inner {inner}"))
            }
            Self::Fragment | Self::NoTransport(_) | Self::OtherFamily | Self::QuoteUnreadable | Self::QuoteOfNoFlow => {
                None
            }
            Self::Protocol(why) => why.log_line(),
        }
    }
}

impl Reason {
    /// Of a packet that is INVALID, or does not count for its flow: a name that stays, for programs.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(why) => Some(why.code()),
            Self::Ignored(why) => Some(why.code()),
            _ => None,
        }
    }

    /// What the kernel's log says of a packet of this protocol where `nf_conntrack_log_invalid` asks for that; nothing for what it passes over in
    /// silence. Seen on Linux 6.18, where it hands the line to a program (`nfnetlink_log`).
    pub fn log_line(&self, protocol: u8) -> Option<String> {
        let line = match self {
            Self::Invalid(why) => why.log_line(protocol),
            Self::Ignored(why) => why.log_line(),
            _ => None,
        };
        Some(format!("nf_ct_proto_{protocol}: {} ", line?))
    }
}

impl From<proto::Fault<proto::InvalidReason>> for InvalidReason {
    fn from(fault: proto::Fault<proto::InvalidReason>) -> Self {
        match fault {
            proto::Fault::Truncated(have) => Self::HeaderTruncated { have },
            proto::Fault::Checksum => Self::ChecksumWrong,
            proto::Fault::Own(why) => Self::Protocol(why),
        }
    }
}

/// Why tracking drops a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// `nf_conntrack_max` flows exist and none could be dropped early.
    TableFull,
    /// Another flow with the same tuple entered the table first.
    Clash,
    /// The flow was deleted while its first packet was under way.
    FlowDied,
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fragment => f.write_str("a later fragment without reassembly"),
            Self::NoTransport(extension::NO_NEXT_HEADER) => f.write_str("no transport follows the extension headers"),
            Self::NoTransport(number) => write!(f, "the extension header {number} is cut short"),
            Self::OtherFamily => f.write_str("it is the ICMP of the other family"),
            Self::HeaderTruncated { have } => {
                write!(f, "the transport header is cut short: {have} bytes are there")
            }
            Self::ChecksumWrong => f.write_str("the checksum is wrong"),
            Self::QuoteUnreadable => f.write_str("the packet that the ICMP error quotes cannot be read"),
            Self::QuoteOfNoFlow => f.write_str("the packet that the ICMP error quotes belongs to no flow"),
            Self::QuoteNotForSender { outer, inner } => write!(
                f,
                "the ICMP error is not addressed to {inner}, the sender of the packet it quotes, but to {outer}"
            ),
            Self::Protocol(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TableFull => "the table of flows is full",
            Self::Clash => "another flow with the same tuple came first",
            Self::FlowDied => "the flow was deleted while its first packet was under way",
        })
    }
}
