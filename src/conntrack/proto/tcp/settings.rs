//! The knobs of TCP, and the timeout of each state.

use std::time::Duration;

use super::TcpState;
use crate::conntrack::settings::{Knob, KnobSpec, knob};

/// `net.netfilter.nf_conntrack_tcp_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub loose: bool,
    pub be_liberal: bool,
    pub ignore_invalid_rst: bool,
    pub max_retrans: u8,
    pub timeout_syn_sent: Duration,
    pub timeout_syn_recv: Duration,
    pub timeout_established: Duration,
    pub timeout_fin_wait: Duration,
    pub timeout_close_wait: Duration,
    pub timeout_last_ack: Duration,
    pub timeout_time_wait: Duration,
    pub timeout_close: Duration,
    pub timeout_max_retrans: Duration,
    pub timeout_unacknowledged: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            loose: true,
            be_liberal: false,
            ignore_invalid_rst: false,
            max_retrans: 3,
            timeout_syn_sent: Duration::from_secs(120),
            timeout_syn_recv: Duration::from_secs(60),
            timeout_established: Duration::from_secs(432_000),
            timeout_fin_wait: Duration::from_secs(120),
            timeout_close_wait: Duration::from_secs(60),
            timeout_last_ack: Duration::from_secs(30),
            timeout_time_wait: Duration::from_secs(120),
            timeout_close: Duration::from_secs(10),
            timeout_max_retrans: Duration::from_secs(300),
            timeout_unacknowledged: Duration::from_secs(300),
        }
    }
}

impl Settings {
    pub(super) fn timeout_of(&self, state: TcpState) -> Duration {
        match state {
            TcpState::None | TcpState::SynSent => self.timeout_syn_sent,
            // No knob of its own, and it does not follow the other's.
            TcpState::SynSent2 => Duration::from_secs(120),
            TcpState::SynRecv => self.timeout_syn_recv,
            TcpState::Established => self.timeout_established,
            TcpState::FinWait => self.timeout_fin_wait,
            TcpState::CloseWait => self.timeout_close_wait,
            TcpState::LastAck => self.timeout_last_ack,
            TcpState::TimeWait => self.timeout_time_wait,
            TcpState::Close => self.timeout_close,
        }
    }
}

pub(super) const KNOBS: &[KnobSpec] = &[
    knob("nf_conntrack_tcp_be_liberal", |all| {
        Knob::Flag(&mut all.protocols.tcp.be_liberal)
    }),
    knob("nf_conntrack_tcp_ignore_invalid_rst", |all| {
        Knob::Flag(&mut all.protocols.tcp.ignore_invalid_rst)
    }),
    knob("nf_conntrack_tcp_loose", |all| Knob::Flag(&mut all.protocols.tcp.loose)),
    knob("nf_conntrack_tcp_max_retrans", |all| Knob::Small {
        value: &mut all.protocols.tcp.max_retrans,
        most: u8::MAX,
    }),
    knob("nf_conntrack_tcp_timeout_close", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_close)
    }),
    knob("nf_conntrack_tcp_timeout_close_wait", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_close_wait)
    })
    .classic("43200"),
    knob("nf_conntrack_tcp_timeout_established", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_established)
    }),
    knob("nf_conntrack_tcp_timeout_fin_wait", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_fin_wait)
    }),
    knob("nf_conntrack_tcp_timeout_last_ack", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_last_ack)
    }),
    knob("nf_conntrack_tcp_timeout_max_retrans", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_max_retrans)
    }),
    knob("nf_conntrack_tcp_timeout_syn_recv", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_syn_recv)
    }),
    knob("nf_conntrack_tcp_timeout_syn_sent", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_syn_sent)
    }),
    knob("nf_conntrack_tcp_timeout_time_wait", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_time_wait)
    }),
    knob("nf_conntrack_tcp_timeout_unacknowledged", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_unacknowledged)
    }),
];
