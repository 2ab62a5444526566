//! The knobs of TCP, and the timeout of each state.

use std::time::Duration;

use super::TcpState;
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Era, Knob, KnobSpec, knob};

/// `net.netfilter.nf_conntrack_tcp_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether connections are picked up midway. Of old: how many packets make up for a handshake that was not seen.
    pub loose: u8,
    pub be_liberal: bool,
    pub ignore_invalid_rst: bool,
    pub max_retrans: u8,
    pub timeout_syn_sent: Duration,
    /// It has no knob and does not follow that of SYN_SENT: only `nfct` sets it.
    pub timeout_syn_sent2: Duration,
    pub timeout_syn_recv: Duration,
    pub timeout_established: Duration,
    pub timeout_fin_wait: Duration,
    pub timeout_close_wait: Duration,
    pub timeout_last_ack: Duration,
    pub timeout_time_wait: Duration,
    pub timeout_close: Duration,
    pub timeout_max_retrans: Duration,
    pub timeout_unacknowledged: Duration,
    /// Numbers are held against windows. Off, the tracker is that of old without the tcp-window-tracking patch (`states_only`).
    pub window_tracking: bool,
    /// Both ends may open a connection at once, as has been followed since Linux 2.6.31.
    pub simultaneous_open: bool,
    /// A side that offers no window is waited for no longer than `timeout_max_retrans`. Of old, what was picked up lived five days all the same.
    pub hurries_without_window: bool,
    /// Of states that Linux of old had, and that no packet leads to.
    pub timeout_none: Duration,
    pub timeout_listen: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            loose: 1,
            be_liberal: false,
            ignore_invalid_rst: false,
            max_retrans: 3,
            timeout_syn_sent: Duration::from_secs(120),
            timeout_syn_sent2: Duration::from_secs(120),
            timeout_syn_recv: Duration::from_secs(60),
            timeout_established: Duration::from_secs(432_000),
            timeout_fin_wait: Duration::from_secs(120),
            timeout_close_wait: Duration::from_secs(60),
            timeout_last_ack: Duration::from_secs(30),
            timeout_time_wait: Duration::from_secs(120),
            timeout_close: Duration::from_secs(10),
            timeout_max_retrans: Duration::from_secs(300),
            timeout_unacknowledged: Duration::from_secs(300),
            window_tracking: true,
            simultaneous_open: true,
            hurries_without_window: true,
            timeout_none: Duration::from_secs(1800),
            timeout_listen: Duration::from_secs(120),
        }
    }
}

impl Settings {
    /// What no knob says of the ip_conntrack days.
    pub(in crate::conntrack) fn as_of_old(&mut self) {
        self.window_tracking = false;
        self.simultaneous_open = false;
        self.hurries_without_window = false;
    }

    #[inline]
    pub(super) fn timeout_of(&self, state: TcpState) -> Duration {
        match state {
            TcpState::None | TcpState::SynSent => self.timeout_syn_sent,
            TcpState::SynSent2 => self.timeout_syn_sent2,
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
    })
    .era(Era::WindowTracking),
    knob("nf_conntrack_tcp_ignore_invalid_rst", |all| {
        Knob::Flag(&mut all.protocols.tcp.ignore_invalid_rst)
    })
    .era(Era::Since),
    knob("nf_conntrack_tcp_loose", |all| Knob::Small {
        most: all.profile.most_loose(),
        value: &mut all.protocols.tcp.loose,
    })
    // Help of tcp-window-tracking in patch-o-matic-ng 20040302.
    .classic("3")
    .era(Era::WindowTracking),
    knob("nf_conntrack_tcp_max_retrans", |all| Knob::Small {
        value: &mut all.protocols.tcp.max_retrans,
        most: u8::MAX,
    })
    .era(Era::WindowTracking),
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
    knob("nf_conntrack_tcp_timeout_listen", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_listen)
    })
    .era(Era::Old),
    knob("nf_conntrack_tcp_timeout_max_retrans", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_max_retrans)
    })
    .era(Era::WindowTracking),
    knob("nf_conntrack_tcp_timeout_none", |all| {
        Knob::Seconds(&mut all.protocols.tcp.timeout_none)
    })
    .era(Era::Old),
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
    })
    // One that nobody answers lived as long as any.
    .classic("432000")
    .era(Era::Since),
];

pub(super) const POLICY: &[PolicyState] = &[
    PolicyState::new("SYN_SENT", |all| &mut all.protocols.tcp.timeout_syn_sent),
    PolicyState::new("SYN_RECV", |all| &mut all.protocols.tcp.timeout_syn_recv),
    PolicyState::new("ESTABLISHED", |all| &mut all.protocols.tcp.timeout_established),
    PolicyState::new("FIN_WAIT", |all| &mut all.protocols.tcp.timeout_fin_wait),
    PolicyState::new("CLOSE_WAIT", |all| &mut all.protocols.tcp.timeout_close_wait),
    PolicyState::new("LAST_ACK", |all| &mut all.protocols.tcp.timeout_last_ack),
    PolicyState::new("TIME_WAIT", |all| &mut all.protocols.tcp.timeout_time_wait),
    PolicyState::new("CLOSE", |all| &mut all.protocols.tcp.timeout_close),
    PolicyState::new("SYN_SENT2", |all| &mut all.protocols.tcp.timeout_syn_sent2),
    PolicyState::new("RETRANS", |all| &mut all.protocols.tcp.timeout_max_retrans),
    PolicyState::new("UNACKNOWLEDGED", |all| &mut all.protocols.tcp.timeout_unacknowledged),
];
