//! The knobs under `net.netfilter.nf_conntrack_*`, with the kernel's defaults.

use std::time::Duration;

/// Values of all knobs that tracking reads. Published whole; a packet sees one consistent set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub max: u32,
    pub buckets: u32,
    pub expect_max: u32,
    pub checksum: bool,
    pub acct: bool,
    pub timestamp: bool,
    pub log_invalid: u8,
    pub events: u8,
    pub generic_timeout: Duration,
    pub icmp_timeout: Duration,
    pub udp_timeout: Duration,
    pub udp_timeout_stream: Duration,
    pub gre_timeout: Duration,
    pub gre_timeout_stream: Duration,
    pub tcp: TcpSettings,
    /// Attach helpers by port, as kernels before 6.0 did under `nf_conntrack_helper`. Not a knob of this kernel.
    pub automatic_helper: bool,
}

/// `net.netfilter.nf_conntrack_tcp_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSettings {
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
            max: 262_144,
            buckets: 262_144,
            expect_max: 4096,
            checksum: true,
            acct: false,
            timestamp: false,
            log_invalid: 0,
            events: 2,
            generic_timeout: Duration::from_secs(600),
            icmp_timeout: Duration::from_secs(30),
            udp_timeout: Duration::from_secs(30),
            udp_timeout_stream: Duration::from_secs(120),
            gre_timeout: Duration::from_secs(30),
            gre_timeout_stream: Duration::from_secs(180),
            tcp: TcpSettings::default(),
            automatic_helper: false,
        }
    }
}

impl Default for TcpSettings {
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

/// Why a knob was not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("no such knob: {0}")]
    Unknown(String),
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// What the kernel answers with EINVAL.
    #[error("{name}: invalid value {value:?}, expected {expected}")]
    Invalid {
        name: String,
        value: String,
        expected: String,
    },
}

impl Settings {
    /// By the name under `/proc/sys/net/netfilter`, as the kernel prints it.
    pub fn get(&self, _name: &str) -> Option<String> {
        None
    }

    pub fn set(&mut self, name: &str, _text: &str) -> Result<(), SettingError> {
        Err(SettingError::Unknown(name.to_owned()))
    }
}
