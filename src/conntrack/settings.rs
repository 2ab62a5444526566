//! The knobs under `net.netfilter.nf_conntrack_*`, with the kernel's defaults, bounds and forms of text.
//!
//! Seen on Linux 6.18: numbers may be written in octal and hexadecimal, may have space around them, and what follows a space is not read.
//! Timeouts may be zero or negative: such a flow is over as soon as it is in the table.

use std::sync::LazyLock;
use std::time::Duration;

use super::profile::Profile;
use super::proto::{ProtocolSettings, TRACKERS};
use crate::base::JIFFIES_PER_SECOND;
use crate::base::bytes::quoted;

/// Values of all knobs that tracking reads. Published whole; a packet sees one consistent set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// 0: no bound.
    pub max: u32,
    /// `nf_conntrack_buckets`: told only, for the table here grows by itself.
    pub buckets: u32,
    /// `nf_conntrack_expect_max`: how many expectations there may be in all.
    pub expect_max: u32,
    /// `nf_conntrack_checksum`: what comes in with a wrong checksum is INVALID.
    pub checksum: bool,
    /// `nf_conntrack_acct`: flows that begin from now on count packets and bytes.
    pub acct: bool,
    /// `nf_conntrack_timestamp`: flows that begin from now on remember when they did.
    pub timestamp: bool,
    /// A protocol number, or 255 for all.
    pub log_invalid: u8,
    /// `nf_conntrack_events`: 0 tells listeners nothing, 1 everything, 2 what begins while somebody listens.
    pub events: u8,
    /// What each protocol's tracker has of its own.
    pub protocols: ProtocolSettings,
    /// `nf_conntrack_frag6_*`: what the engine gathers fragments of IPv6 by.
    pub frag6: Frag6Settings,
    /// Attach helpers by port, as kernels before 6.0 did under `nf_conntrack_helper`. Not a knob of this kernel.
    pub automatic_helper: bool,
    /// Whose knobs these are: which there are, and by which names.
    pub profile: Profile,
}

/// `net.netfilter.nf_conntrack_frag6_*`: what reassembly of IPv6 before tracking may take, in bytes, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frag6Settings {
    /// In bytes; no more fragments are taken beyond.
    pub high_thresh: u64,
    /// In bytes; at most `high_thresh`.
    pub low_thresh: u64,
    /// How long the other fragments are waited for.
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
            protocols: ProtocolSettings::default(),
            frag6: Frag6Settings::default(),
            automatic_helper: false,
            profile: Profile::Linux6,
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
    /// No knob of this name.
    #[error("there is no knob net.netfilter.{0}")]
    Unknown(String),
    /// What the kernel answers with EACCES.
    #[error("net.netfilter.{0} can only be read")]
    ReadOnly(String),
    /// What the kernel answers with EINVAL.
    #[error("net.netfilter.{name} cannot be {value}: expected {expected}", value = quoted(value))]
    Invalid {
        /// The knob's name, without `net.netfilter.`.
        name: String,
        /// What was to be written.
        value: String,
        /// What it takes: `a number from 0 to 2`.
        expected: String,
    },
}

impl Settings {
    /// What a machine begins with.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Linux6 => Self::default(),
            Profile::Classic => Self::classic(),
        }
    }

    /// The kernels of the ip_conntrack days, as their documents print and describe them.
    fn classic() -> Self {
        let mut settings = Self {
            automatic_helper: true,
            profile: Profile::Classic,
            ..Self::default()
        };
        settings.protocols.tcp.as_of_old();
        settings.protocols.udp.as_of_old();
        settings.protocols.icmp.as_of_old();
        for (name, value) in KNOBS.iter().filter_map(|knob| Some((knob.name, knob.classic?))) {
            // It is what the knob takes, which a test holds.
            let _ = settings.set(name, value);
        }
        settings
    }

    /// All names under `/proc/sys/net/netfilter` that begin with `nf_conntrack_`, sorted. `nf_conntrack_count` is among them, though its value is
    /// the table's to tell.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let profile = self.profile;
        let there = move |knob: &&&KnobSpec| knob.era != Era::Old || profile == Profile::Classic;
        KNOBS.iter().filter(there).map(|knob| knob.name)
    }

    /// The names that the knobs had under `net.ipv4` in the ip_conntrack days, sorted, each with the name of today's. None where the profile is today's
    /// kernel. The documents call one and the same `ip_ct_...` and `ip_conntrack_...`: early kernels had the one, later ones the other.
    pub fn old_names(&self) -> Vec<(String, &'static str)> {
        if self.profile != Profile::Classic {
            return Vec::new();
        }
        let of_tracking = self.protocols.tcp.window_tracking;
        let there = |knob: &&&KnobSpec| match knob.era {
            Era::Always | Era::Old => true,
            Era::WindowTracking => of_tracking,
            Era::Since => false,
        };
        let mut names: Vec<(String, &'static str)> = KNOBS
            .iter()
            .filter(there)
            .flat_map(|knob| {
                let rest = knob.name.trim_start_matches("nf_conntrack_");
                ["ip_conntrack_", "ip_ct_"].map(|begin| (format!("netfilter.{begin}{rest}"), knob.name))
            })
            .collect();
        names.push(("ip_conntrack_max".to_owned(), "nf_conntrack_max"));
        names.sort_unstable();
        names
    }

    /// Today's name of a knob, by its name under `net.ipv4` in the ip_conntrack days.
    pub fn by_old_name(&self, name: &str) -> Option<&'static str> {
        if self.profile != Profile::Classic || !name.contains("ip_c") {
            return None;
        }
        let names = self.old_names();
        let at = names.binary_search_by(|(old, _)| old.as_str().cmp(name)).ok()?;
        Some(names[at].1)
    }

    /// What the memory that a machine has makes of its table: how many buckets and how many flows.
    pub fn fit_memory(&mut self, bytes: u64) {
        (self.buckets, self.max) = self.profile.table_of_memory(bytes);
    }

    /// What `hashsize=` of the module makes of the table. Of old its bound followed; today's kernel, which has the module built in, keeps that.
    pub fn fit_buckets(&mut self, buckets: u32) {
        self.buckets = buckets;
        if self.profile == Profile::Classic {
            self.max = buckets.saturating_mul(FLOWS_A_BUCKET);
        }
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

    /// Whether a knob is the machine's: in a namespace the kernel shows its file as one that can only be read, which `sysctl` goes by.
    pub fn is_of_the_machine(name: &str) -> bool {
        matches!(
            name,
            "nf_conntrack_buckets" | "nf_conntrack_count" | "nf_conntrack_expect_max" | "nf_conntrack_max"
        )
    }

    fn knob(&mut self, name: &str) -> Option<Knob<'_>> {
        let at = KNOBS.binary_search_by_key(&name, |knob| knob.name).ok()?;
        Some((KNOBS[at].reach)(self))
    }
}

/// A knob's place and its kind.
#[derive(Debug)]
pub(crate) enum Knob<'a> {
    Count,
    Flag(&'a mut bool),
    Small { value: &'a mut u8, most: u8 },
    Number(&'a mut u32),
    Bytes { value: &'a mut u64, least: u64, most: u64 },
    Seconds(&'a mut Duration),
}

/// The kernel holds a timeout as signed 32 bits of a 250th of a second.
const MOST_SECONDS: i128 = i32::MAX as i128 / JIFFIES_PER_SECOND as i128;

/// A knob: its name, and where its value is.
#[derive(Debug)]
pub(crate) struct KnobSpec {
    /// Under `net.netfilter`, and a file there.
    pub name: &'static str,
    /// What it was in the ip_conntrack days, where that was something else.
    pub classic: Option<&'static str>,
    /// When there was such a knob.
    pub era: Era,
    pub reach: fn(&mut Settings) -> Knob<'_>,
}

/// When there was a knob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Always,
    /// In the ip_conntrack days only.
    Old,
    /// In the ip_conntrack days with the tcp-window-tracking patch only.
    WindowTracking,
    /// Not in the ip_conntrack days.
    Since,
}

/// `ip_conntrack_max` is so many times `hashsize`.
pub(super) const FLOWS_A_BUCKET: u32 = 8;

/// One that was in the ip_conntrack days what it is.
pub(super) const fn knob(name: &'static str, reach: fn(&mut Settings) -> Knob<'_>) -> KnobSpec {
    KnobSpec {
        name,
        classic: None,
        era: Era::Always,
        reach,
    }
}

impl KnobSpec {
    /// See the field.
    pub(super) const fn classic(mut self, value: &'static str) -> Self {
        self.classic = Some(value);
        self
    }

    /// See the field.
    pub(super) const fn era(mut self, era: Era) -> Self {
        self.era = era;
        self
    }
}

/// All knobs, sorted, as the directory is listed.
static KNOBS: LazyLock<Vec<&'static KnobSpec>> = LazyLock::new(|| {
    let of_protocols = TRACKERS.iter().flat_map(|tracker| tracker.knobs);
    let mut all: Vec<&KnobSpec> = OF_NO_PROTOCOL.iter().chain(of_protocols).collect();
    all.sort_unstable_by_key(|knob| knob.name);
    all
});

/// What is no protocol's.
const OF_NO_PROTOCOL: &[KnobSpec] = &[
    knob("nf_conntrack_acct", |s| Knob::Flag(&mut s.acct)).era(Era::Since),
    knob("nf_conntrack_buckets", |s| Knob::Number(&mut s.buckets)).classic("8192"),
    knob("nf_conntrack_checksum", |s| Knob::Flag(&mut s.checksum)),
    knob("nf_conntrack_count", |_| Knob::Count),
    knob("nf_conntrack_events", |s| Knob::Small {
        value: &mut s.events,
        most: 2,
    })
    .era(Era::Since),
    knob("nf_conntrack_expect_max", |s| Knob::Number(&mut s.expect_max)).era(Era::Since),
    knob("nf_conntrack_frag6_high_thresh", |s| Knob::Bytes {
        least: s.frag6.low_thresh,
        most: u64::MAX,
        value: &mut s.frag6.high_thresh,
    })
    .era(Era::Since),
    knob("nf_conntrack_frag6_low_thresh", |s| Knob::Bytes {
        least: 0,
        most: s.frag6.high_thresh,
        value: &mut s.frag6.low_thresh,
    })
    .era(Era::Since),
    knob("nf_conntrack_frag6_timeout", |s| Knob::Seconds(&mut s.frag6.timeout)).era(Era::Since),
    knob("nf_conntrack_log_invalid", |s| Knob::Small {
        value: &mut s.log_invalid,
        most: u8::MAX,
    }),
    knob("nf_conntrack_max", |s| Knob::Number(&mut s.max)).classic("65536"),
    knob("nf_conntrack_timestamp", |s| Knob::Flag(&mut s.timestamp)).era(Era::Since),
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
        let listed: String = settings
            .names()
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
    fn what_was_different_in_the_old_days() {
        let (classic, today) = (Settings::of(Profile::Classic), Settings::default());
        let differs = |name: &&str| classic.get(name) != today.get(name);
        let different: Vec<String> = classic
            .names()
            .filter(differs)
            .map(|name| format!("{name} = {}", classic.get(name).unwrap()))
            .collect();
        assert_eq!(
            different,
            [
                "nf_conntrack_buckets = 8192",
                "nf_conntrack_max = 65536",
                "nf_conntrack_tcp_loose = 3",
                "nf_conntrack_tcp_timeout_close_wait = 43200",
                "nf_conntrack_tcp_timeout_unacknowledged = 432000",
                "nf_conntrack_udp_timeout_stream = 180"
            ]
        );
        assert!(classic.automatic_helper);
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
