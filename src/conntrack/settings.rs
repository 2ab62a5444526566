//! The knobs under `net.netfilter.nf_conntrack_*`, with the kernel's defaults, bounds and forms of text.
//!
//! Seen on Linux 6.18: numbers may be written in octal and hexadecimal, may have space around them, and what follows a space is not read.
//! Timeouts may be zero or negative: such a flow is over as soon as it is in the table.

use std::time::Duration;

use crate::base::bytes::quoted;

/// Values of all knobs that tracking reads. Published whole; a packet sees one consistent set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// 0: no bound.
    pub max: u32,
    pub buckets: u32,
    pub expect_max: u32,
    pub checksum: bool,
    pub acct: bool,
    pub timestamp: bool,
    /// A protocol number, or 255 for all.
    pub log_invalid: u8,
    pub events: u8,
    pub generic_timeout: Duration,
    pub icmp_timeout: Duration,
    pub icmpv6_timeout: Duration,
    pub udp_timeout: Duration,
    pub udp_timeout_stream: Duration,
    pub gre_timeout: Duration,
    pub gre_timeout_stream: Duration,
    pub tcp: TcpSettings,
    pub sctp: SctpSettings,
    pub frag6: Frag6Settings,
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

/// `net.netfilter.nf_conntrack_sctp_*`: kept and shown; SCTP is tracked like an unknown protocol that has ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SctpSettings {
    pub timeout_closed: Duration,
    pub timeout_cookie_wait: Duration,
    pub timeout_cookie_echoed: Duration,
    pub timeout_established: Duration,
    pub timeout_shutdown_sent: Duration,
    pub timeout_shutdown_recd: Duration,
    pub timeout_shutdown_ack_sent: Duration,
    pub timeout_heartbeat_sent: Duration,
}

/// `net.netfilter.nf_conntrack_frag6_*`: what reassembly of IPv6 before tracking may take, in bytes, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frag6Settings {
    pub high_thresh: u64,
    pub low_thresh: u64,
    pub timeout: Duration,
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
            icmpv6_timeout: Duration::from_secs(30),
            udp_timeout: Duration::from_secs(30),
            udp_timeout_stream: Duration::from_secs(120),
            gre_timeout: Duration::from_secs(30),
            gre_timeout_stream: Duration::from_secs(180),
            tcp: TcpSettings::default(),
            sctp: SctpSettings::default(),
            frag6: Frag6Settings::default(),
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

impl Default for SctpSettings {
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

impl Default for Frag6Settings {
    fn default() -> Self {
        Self {
            high_thresh: 4_194_304,
            low_thresh: 3_145_728,
            timeout: Duration::from_secs(60),
        }
    }
}

/// Why a knob was not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("there is no knob net.netfilter.{0}")]
    Unknown(String),
    /// What the kernel answers with EACCES.
    #[error("net.netfilter.{0} can only be read")]
    ReadOnly(String),
    /// What the kernel answers with EINVAL.
    #[error("net.netfilter.{name} cannot be {value}: expected {expected}", value = quoted(value))]
    Invalid {
        name: String,
        value: String,
        expected: String,
    },
}

impl Settings {
    /// All names under `/proc/sys/net/netfilter` that begin with `nf_conntrack_`, sorted. `nf_conntrack_count` is among them, though its value is
    /// the table's to tell.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOBS.iter().map(|knob| knob.0)
    }

    /// By the name under `/proc/sys/net/netfilter`, as the kernel prints it. `None` for a name that is none, and for `nf_conntrack_count`.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut copy = self.clone();
        Some(match copy.knob(name)? {
            Knob::Count => return None,
            Knob::Flag(value) => u8::from(*value).to_string(),
            Knob::Small { value, .. } => value.to_string(),
            Knob::Number(value) => value.to_string(),
            Knob::Bytes { value, .. } => value.to_string(),
            Knob::Seconds(value) => match (value.as_secs(), value.subsec_nanos()) {
                (0, negative) => (-i64::from(negative)).to_string(),
                (seconds, _) => seconds.to_string(),
            },
        })
    }

    /// Sets a knob from what was written into its file. Nothing changes on an error.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), SettingError> {
        let invalid = |expected: String| SettingError::Invalid {
            name: name.to_owned(),
            value: text.to_owned(),
            expected,
        };
        let between = |low: i128, high: i128| {
            let value = read_number(text).filter(|value| (low..=high).contains(value));
            value.ok_or_else(|| invalid(format!("a number from {low} to {high}")))
        };
        match self.knob(name) {
            None => return Err(SettingError::Unknown(name.to_owned())),
            Some(Knob::Count) => return Err(SettingError::ReadOnly(name.to_owned())),
            Some(Knob::Flag(value)) => *value = between(0, 1)? == 1,
            Some(Knob::Small { value, most }) => *value = between(0, most.into())? as u8,
            Some(Knob::Number(value)) => *value = between(0, i32::MAX.into())? as u32,
            Some(Knob::Bytes { value, least, most }) => *value = between(least.into(), most.into())? as u64,
            Some(Knob::Seconds(value)) => {
                let seconds = between(-MOST_SECONDS, MOST_SECONDS)?;
                *value = match u64::try_from(seconds) {
                    Ok(seconds) => Duration::from_secs(seconds),
                    // Kept as nanoseconds, to be read again; `FlowState::refresh` takes whole seconds only.
                    Err(_) => Duration::from_nanos(seconds.unsigned_abs() as u64),
                };
            }
        }
        Ok(())
    }

    fn knob(&mut self, name: &str) -> Option<Knob<'_>> {
        let (_, reach) = KNOBS.iter().find(|knob| knob.0 == name)?;
        Some(reach(self))
    }
}

/// A knob's place and its kind.
enum Knob<'a> {
    Count,
    Flag(&'a mut bool),
    Small { value: &'a mut u8, most: u8 },
    Number(&'a mut u32),
    Bytes { value: &'a mut u64, least: u64, most: u64 },
    Seconds(&'a mut Duration),
}

/// The kernel holds a timeout as signed 32 bits of a 250th of a second.
const MOST_SECONDS: i128 = i32::MAX as i128 / 250;

type Reach = fn(&mut Settings) -> Knob<'_>;

/// Sorted, as the directory is listed.
const KNOBS: &[(&str, Reach)] = &[
    ("nf_conntrack_acct", |s| Knob::Flag(&mut s.acct)),
    ("nf_conntrack_buckets", |s| Knob::Number(&mut s.buckets)),
    ("nf_conntrack_checksum", |s| Knob::Flag(&mut s.checksum)),
    ("nf_conntrack_count", |_| Knob::Count),
    ("nf_conntrack_events", |s| Knob::Small {
        value: &mut s.events,
        most: 2,
    }),
    ("nf_conntrack_expect_max", |s| Knob::Number(&mut s.expect_max)),
    ("nf_conntrack_frag6_high_thresh", |s| Knob::Bytes {
        least: s.frag6.low_thresh,
        most: u64::MAX,
        value: &mut s.frag6.high_thresh,
    }),
    ("nf_conntrack_frag6_low_thresh", |s| Knob::Bytes {
        least: 0,
        most: s.frag6.high_thresh,
        value: &mut s.frag6.low_thresh,
    }),
    ("nf_conntrack_frag6_timeout", |s| Knob::Seconds(&mut s.frag6.timeout)),
    ("nf_conntrack_generic_timeout", |s| {
        Knob::Seconds(&mut s.generic_timeout)
    }),
    ("nf_conntrack_gre_timeout", |s| Knob::Seconds(&mut s.gre_timeout)),
    ("nf_conntrack_gre_timeout_stream", |s| {
        Knob::Seconds(&mut s.gre_timeout_stream)
    }),
    ("nf_conntrack_icmp_timeout", |s| Knob::Seconds(&mut s.icmp_timeout)),
    ("nf_conntrack_icmpv6_timeout", |s| Knob::Seconds(&mut s.icmpv6_timeout)),
    ("nf_conntrack_log_invalid", |s| Knob::Small {
        value: &mut s.log_invalid,
        most: u8::MAX,
    }),
    ("nf_conntrack_max", |s| Knob::Number(&mut s.max)),
    ("nf_conntrack_sctp_timeout_closed", |s| {
        Knob::Seconds(&mut s.sctp.timeout_closed)
    }),
    ("nf_conntrack_sctp_timeout_cookie_echoed", |s| {
        Knob::Seconds(&mut s.sctp.timeout_cookie_echoed)
    }),
    ("nf_conntrack_sctp_timeout_cookie_wait", |s| {
        Knob::Seconds(&mut s.sctp.timeout_cookie_wait)
    }),
    ("nf_conntrack_sctp_timeout_established", |s| {
        Knob::Seconds(&mut s.sctp.timeout_established)
    }),
    ("nf_conntrack_sctp_timeout_heartbeat_sent", |s| {
        Knob::Seconds(&mut s.sctp.timeout_heartbeat_sent)
    }),
    ("nf_conntrack_sctp_timeout_shutdown_ack_sent", |s| {
        Knob::Seconds(&mut s.sctp.timeout_shutdown_ack_sent)
    }),
    ("nf_conntrack_sctp_timeout_shutdown_recd", |s| {
        Knob::Seconds(&mut s.sctp.timeout_shutdown_recd)
    }),
    ("nf_conntrack_sctp_timeout_shutdown_sent", |s| {
        Knob::Seconds(&mut s.sctp.timeout_shutdown_sent)
    }),
    ("nf_conntrack_tcp_be_liberal", |s| Knob::Flag(&mut s.tcp.be_liberal)),
    ("nf_conntrack_tcp_ignore_invalid_rst", |s| {
        Knob::Flag(&mut s.tcp.ignore_invalid_rst)
    }),
    ("nf_conntrack_tcp_loose", |s| Knob::Flag(&mut s.tcp.loose)),
    ("nf_conntrack_tcp_max_retrans", |s| Knob::Small {
        value: &mut s.tcp.max_retrans,
        most: u8::MAX,
    }),
    ("nf_conntrack_tcp_timeout_close", |s| {
        Knob::Seconds(&mut s.tcp.timeout_close)
    }),
    ("nf_conntrack_tcp_timeout_close_wait", |s| {
        Knob::Seconds(&mut s.tcp.timeout_close_wait)
    }),
    ("nf_conntrack_tcp_timeout_established", |s| {
        Knob::Seconds(&mut s.tcp.timeout_established)
    }),
    ("nf_conntrack_tcp_timeout_fin_wait", |s| {
        Knob::Seconds(&mut s.tcp.timeout_fin_wait)
    }),
    ("nf_conntrack_tcp_timeout_last_ack", |s| {
        Knob::Seconds(&mut s.tcp.timeout_last_ack)
    }),
    ("nf_conntrack_tcp_timeout_max_retrans", |s| {
        Knob::Seconds(&mut s.tcp.timeout_max_retrans)
    }),
    ("nf_conntrack_tcp_timeout_syn_recv", |s| {
        Knob::Seconds(&mut s.tcp.timeout_syn_recv)
    }),
    ("nf_conntrack_tcp_timeout_syn_sent", |s| {
        Knob::Seconds(&mut s.tcp.timeout_syn_sent)
    }),
    ("nf_conntrack_tcp_timeout_time_wait", |s| {
        Knob::Seconds(&mut s.tcp.timeout_time_wait)
    }),
    ("nf_conntrack_tcp_timeout_unacknowledged", |s| {
        Knob::Seconds(&mut s.tcp.timeout_unacknowledged)
    }),
    ("nf_conntrack_timestamp", |s| Knob::Flag(&mut s.timestamp)),
    ("nf_conntrack_udp_timeout", |s| Knob::Seconds(&mut s.udp_timeout)),
    ("nf_conntrack_udp_timeout_stream", |s| {
        Knob::Seconds(&mut s.udp_timeout_stream)
    }),
];

/// A number as the kernel's `sysctl` files take it: space, an optional minus, decimal, octal (`0`) or hexadecimal (`0x`); space ends it.
fn read_number(text: &str) -> Option<i128> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    let word = text.trim_start_matches(space).split(space).next()?;
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    // Rust's own parser would take a plus sign too.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -i128::from(value) } else { value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written into the files of a namespace on Linux 6.18; `None` is EINVAL.
    #[test]
    fn takes_and_prints_what_the_kernel_does() {
        for (names, accepted) in [
            (
                &[
                    "nf_conntrack_acct",
                    "nf_conntrack_checksum",
                    "nf_conntrack_tcp_loose",
                    "nf_conntrack_timestamp",
                ][..],
                &[
                    ("0", Some("0")),
                    ("1", Some("1")),
                    ("2", None),
                    ("-1", None),
                    ("abc", None),
                    ("", None),
                    (" 7", None),
                ][..],
            ),
            (
                &["nf_conntrack_events"],
                &[("2", Some("2")), ("3", None), ("0x10", None)],
            ),
            (
                &[
                    "nf_conntrack_udp_timeout",
                    "nf_conntrack_tcp_timeout_established",
                    "nf_conntrack_sctp_timeout_closed",
                    "nf_conntrack_frag6_timeout",
                ],
                &[
                    ("-1", Some("-1")),
                    ("0", Some("0")),
                    ("0x10", Some("16")),
                    ("010", Some("8")),
                    (" 7", Some("7")),
                    ("7 ", Some("7")),
                    ("7 8", Some("7")),
                    ("7\n", Some("7")),
                    ("7x", None),
                    ("7.5", None),
                    ("abc", None),
                    ("", None),
                    ("8589934", Some("8589934")),
                    ("8589935", None),
                    ("-8589934", Some("-8589934")),
                    ("-8589935", None),
                    ("4294967296", None),
                ],
            ),
            (
                &["nf_conntrack_log_invalid", "nf_conntrack_tcp_max_retrans"],
                &[("255", Some("255")), ("256", None), ("-1", None), ("0x10", Some("16"))],
            ),
            (
                &["nf_conntrack_max", "nf_conntrack_expect_max"],
                &[
                    ("-1", None),
                    ("2147483648", None),
                    ("abc", None),
                    ("1000", Some("1000")),
                ],
            ),
            (
                &["nf_conntrack_frag6_high_thresh"],
                &[
                    ("2147484", None),
                    ("4294967", Some("4294967")),
                    ("4294967296", Some("4294967296")),
                ],
            ),
            (
                &["nf_conntrack_frag6_low_thresh"],
                &[("0", Some("0")), ("2147484", Some("2147484")), ("4294967", None)],
            ),
        ] {
            for name in names {
                for (text, expected) in accepted {
                    let mut settings = Settings::default();
                    let result = settings.set(name, text);
                    assert_eq!(result.is_ok(), expected.is_some(), "{name} {text:?}");
                    match expected {
                        Some(printed) => assert_eq!(settings.get(name).as_deref(), Some(*printed), "{name} {text:?}"),
                        None => assert_eq!(settings, Settings::default()),
                    }
                }
            }
        }
    }

    #[test]
    fn defaults_are_the_kernels() {
        let settings = Settings::default();
        let listed: String = Settings::names()
            .map(|name| {
                format!(
                    "{} = {}\n",
                    &name["nf_conntrack_".len()..],
                    settings.get(name).unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(
            listed,
            "acct = 0\n\
             buckets = 262144\n\
             checksum = 1\n\
             count = \n\
             events = 2\n\
             expect_max = 4096\n\
             frag6_high_thresh = 4194304\n\
             frag6_low_thresh = 3145728\n\
             frag6_timeout = 60\n\
             generic_timeout = 600\n\
             gre_timeout = 30\n\
             gre_timeout_stream = 180\n\
             icmp_timeout = 30\n\
             icmpv6_timeout = 30\n\
             log_invalid = 0\n\
             max = 262144\n\
             sctp_timeout_closed = 10\n\
             sctp_timeout_cookie_echoed = 3\n\
             sctp_timeout_cookie_wait = 3\n\
             sctp_timeout_established = 210\n\
             sctp_timeout_heartbeat_sent = 30\n\
             sctp_timeout_shutdown_ack_sent = 3\n\
             sctp_timeout_shutdown_recd = 3\n\
             sctp_timeout_shutdown_sent = 3\n\
             tcp_be_liberal = 0\n\
             tcp_ignore_invalid_rst = 0\n\
             tcp_loose = 1\n\
             tcp_max_retrans = 3\n\
             tcp_timeout_close = 10\n\
             tcp_timeout_close_wait = 60\n\
             tcp_timeout_established = 432000\n\
             tcp_timeout_fin_wait = 120\n\
             tcp_timeout_last_ack = 30\n\
             tcp_timeout_max_retrans = 300\n\
             tcp_timeout_syn_recv = 60\n\
             tcp_timeout_syn_sent = 120\n\
             tcp_timeout_time_wait = 120\n\
             tcp_timeout_unacknowledged = 300\n\
             timestamp = 0\n\
             udp_timeout = 30\n\
             udp_timeout_stream = 120\n"
        );
    }

    #[test]
    fn refuses_by_name() {
        let mut settings = Settings::default();
        assert_eq!(
            settings.set("nf_conntrack_helper", "1"),
            Err(SettingError::Unknown("nf_conntrack_helper".into()))
        );
        assert_eq!(
            settings.set("nf_conntrack_count", "1"),
            Err(SettingError::ReadOnly("nf_conntrack_count".into()))
        );
        assert_eq!(
            settings.set("nf_conntrack_acct", "2").unwrap_err().to_string(),
            "net.netfilter.nf_conntrack_acct cannot be \"2\": expected a number from 0 to 1"
        );
    }
}
