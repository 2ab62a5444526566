//! The knobs of SCTP: a timeout for each state.

use std::time::Duration;

use super::AssociationState;
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Knob, KnobSpec, knob};

/// `net.netfilter.nf_conntrack_sctp_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout_closed: Duration,
    pub timeout_cookie_wait: Duration,
    pub timeout_cookie_echoed: Duration,
    pub timeout_established: Duration,
    pub timeout_shutdown_sent: Duration,
    pub timeout_shutdown_recd: Duration,
    pub timeout_shutdown_ack_sent: Duration,
    pub timeout_heartbeat_sent: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout_closed: Duration::from_secs(10),
            timeout_cookie_wait: Duration::from_secs(3),
            timeout_cookie_echoed: Duration::from_secs(3),
            timeout_established: Duration::from_secs(210),
            timeout_shutdown_sent: Duration::from_secs(3),
            timeout_shutdown_recd: Duration::from_secs(3),
            timeout_shutdown_ack_sent: Duration::from_secs(3),
            timeout_heartbeat_sent: Duration::from_secs(30),
        }
    }
}

impl Settings {
    pub(super) fn timeout_of(&self, state: AssociationState) -> Duration {
        match state {
            AssociationState::None | AssociationState::Closed => self.timeout_closed,
            AssociationState::CookieWait => self.timeout_cookie_wait,
            AssociationState::CookieEchoed => self.timeout_cookie_echoed,
            AssociationState::Established => self.timeout_established,
            AssociationState::ShutdownSent => self.timeout_shutdown_sent,
            AssociationState::ShutdownReceived => self.timeout_shutdown_recd,
            AssociationState::ShutdownAckSent => self.timeout_shutdown_ack_sent,
            AssociationState::HeartbeatSent => self.timeout_heartbeat_sent,
        }
    }
}

pub(super) const KNOBS: &[KnobSpec] = &[
    knob("nf_conntrack_sctp_timeout_closed", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_closed)
    }),
    knob("nf_conntrack_sctp_timeout_cookie_echoed", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_cookie_echoed)
    }),
    knob("nf_conntrack_sctp_timeout_cookie_wait", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_cookie_wait)
    }),
    knob("nf_conntrack_sctp_timeout_established", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_established)
    }),
    knob("nf_conntrack_sctp_timeout_heartbeat_sent", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_heartbeat_sent)
    }),
    knob("nf_conntrack_sctp_timeout_shutdown_ack_sent", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_shutdown_ack_sent)
    }),
    knob("nf_conntrack_sctp_timeout_shutdown_recd", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_shutdown_recd)
    }),
    knob("nf_conntrack_sctp_timeout_shutdown_sent", |all| {
        Knob::Seconds(&mut all.protocols.sctp.timeout_shutdown_sent)
    }),
];

pub(super) const POLICY: &[PolicyState] = &[
    PolicyState::new("CLOSED", |all| &mut all.protocols.sctp.timeout_closed),
    PolicyState::new("COOKIE_WAIT", |all| &mut all.protocols.sctp.timeout_cookie_wait),
    PolicyState::new("COOKIE_ECHOED", |all| &mut all.protocols.sctp.timeout_cookie_echoed),
    PolicyState::new("ESTABLISHED", |all| &mut all.protocols.sctp.timeout_established),
    PolicyState::new("SHUTDOWN_SENT", |all| &mut all.protocols.sctp.timeout_shutdown_sent),
    PolicyState::new("SHUTDOWN_RECD", |all| &mut all.protocols.sctp.timeout_shutdown_recd),
    PolicyState::new("SHUTDOWN_ACK_SENT", |all| {
        &mut all.protocols.sctp.timeout_shutdown_ack_sent
    }),
    PolicyState::new("HEARTBEAT_SENT", |all| &mut all.protocols.sctp.timeout_heartbeat_sent).unknown_to_the_tool(),
];
