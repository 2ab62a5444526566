//! `net.ipv4.*` (`net.ipv6.*` is in `v6::sysctl`): keys, defaults, bounds and printed forms, all read from `/proc/sys` of Linux 6.18 in a fresh namespace.
//!
//! Values are read as the kernel reads them: optional blanks, a decimal, hexadecimal or octal number with an optional `-`, then a blank
//! (what follows it is not looked at) or the end.

mod spec;

pub(super) use self::spec::{INT_MAX, INT_MIN, SECONDS_MAX, Spec, in_ticks, knobs};
use super::config::Interface;
use super::kept::{Kept, NotKept, Shown};
use super::{Net, v6};
use crate::base::bytes::quoted;

knobs! {
    /// A number of `net.ipv4` outside of `conf`.
    pub(super) enum Knob;
    EchoEnableProbe "icmp_echo_enable_probe" = 0 in 0, 1;
    EchoIgnoreAll "icmp_echo_ignore_all" = 0 in 0, 1;
    EchoIgnoreBroadcasts "icmp_echo_ignore_broadcasts" = 1 in 0, 1;
    ErrorsUseInboundAddress "icmp_errors_use_inbound_ifaddr" = 0 in 0, 1;
    IgnoreBogusErrors "icmp_ignore_bogus_error_responses" = 1 in 0, 1;
    IcmpBurst "icmp_msgs_burst" = 50 in 0, INT_MAX;
    IcmpPerSecond "icmp_msgs_per_sec" = 1000 in 0, INT_MAX;
    IcmpRateLimit "icmp_ratelimit" = 1000 in 0, INT_MAX;
    IcmpRateMask "icmp_ratemask" = 6168 in INT_MIN, INT_MAX;
    DefaultTtl "ip_default_ttl" = 64 in 1, 255;
    NoPmtuDiscovery "ip_no_pmtu_disc" = 0 in 0, 255;
    ForwardUsePmtu "ip_forward_use_pmtu" = 0 in 0, 255;
    ForwardUpdatePriority "ip_forward_update_priority" = 1 in 0, 1;
    FragmentHighThreshold "ipfrag_high_thresh" = 4_194_304 in 0, i64::MAX;
    FragmentLowThreshold "ipfrag_low_thresh" = 3_145_728 in 0, i64::MAX;
    FragmentMaxDistance "ipfrag_max_dist" = 64 in 0, INT_MAX;
    FragmentTime "ipfrag_time" = 30 in -SECONDS_MAX, SECONDS_MAX;
    FwmarkReflect "fwmark_reflect" = 0 in 0, 255;
    GatewayFields "fib_multipath_hash_fields" = 7 in 1, 0xfff;
    GatewayPolicy "fib_multipath_hash_policy" = 0 in 0, 3;
    // Of 0 the kernel draws one; here it is one like any other.
    GatewaySeed "fib_multipath_hash_seed" = 0 in 0, u32::MAX as i64;
    // Links here have no neighbours that could fail.
    GatewayUseNeighbours "fib_multipath_use_neigh" = 0 in 0, 1;
    LeastPathMtu "route/min_pmtu" = 552 in 68, INT_MAX;
    PathMtuExpires "route/mtu_expires" = 600 in -SECONDS_MAX, SECONDS_MAX;
    // Nothing listens on the host, so these are kept and shown, and no answer depends on them: a reset is the same whatever they say.
    TcpAbortOnOverflow "tcp_abort_on_overflow" = 0 in 0, 255;
    TcpBaseMss "tcp_base_mss" = 1024 in INT_MIN, INT_MAX;
    TcpDsack "tcp_dsack" = 1 in 0, 255;
    TcpEcn "tcp_ecn" = 2 in 0, 2;
    TcpFack "tcp_fack" = 0 in 0, 255;
    TcpFinTimeout "tcp_fin_timeout" = 60 in -SECONDS_MAX, SECONDS_MAX;
    TcpFwmarkAccept "tcp_fwmark_accept" = 0 in 0, 255;
    TcpKeepaliveInterval "tcp_keepalive_intvl" = 75 in -SECONDS_MAX, SECONDS_MAX;
    TcpKeepaliveProbes "tcp_keepalive_probes" = 9 in 0, 255;
    TcpKeepaliveTime "tcp_keepalive_time" = 7200 in -SECONDS_MAX, SECONDS_MAX;
    TcpMaxSynBacklog "tcp_max_syn_backlog" = 2048 in INT_MIN, INT_MAX;
    TcpMaxTwBuckets "tcp_max_tw_buckets" = 131_072 in INT_MIN, INT_MAX;
    TcpMtuProbing "tcp_mtu_probing" = 0 in 0, 255;
    TcpOrphanRetries "tcp_orphan_retries" = 0 in 0, 255;
    TcpReflectTos "tcp_reflect_tos" = 0 in 0, 1;
    TcpRetries1 "tcp_retries1" = 3 in 0, 255;
    TcpRetries2 "tcp_retries2" = 15 in 0, 255;
    TcpRfc1337 "tcp_rfc1337" = 0 in 0, 255;
    TcpSack "tcp_sack" = 1 in 0, 255;
    TcpStdurg "tcp_stdurg" = 0 in 0, 255;
    TcpSynRetries "tcp_syn_retries" = 6 in 1, 127;
    TcpSynackRetries "tcp_synack_retries" = 5 in 0, 255;
    TcpSyncookies "tcp_syncookies" = 1 in 0, 255;
    TcpTimestamps "tcp_timestamps" = 1 in 0, 255;
    TcpTwReuse "tcp_tw_reuse" = 2 in 0, 2;
    TcpWindowScaling "tcp_window_scaling" = 1 in 0, 255;
}

macro_rules! conf_knobs {
    ($($knob:ident $name:literal = $all:literal, $default:literal;)*) => {
        /// A number of `net.ipv4.conf.IFACE`. None of them has bounds but those of an int.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum ConfKnob {
            $($knob,)*
        }

        /// Knob, name, value of `all`, value of `default` and of every interface in a fresh namespace.
        const CONF_SPECS: &[(ConfKnob, &str, i32, i32)] = &[$((ConfKnob::$knob, $name, $all, $default),)*];
    };
}

conf_knobs! {
    AcceptLocal "accept_local" = 0, 0;
    AcceptRedirects "accept_redirects" = 1, 1;
    AcceptSourceRoute "accept_source_route" = 0, 1;
    BroadcastForwarding "bc_forwarding" = 0, 0;
    Forwarding "forwarding" = 0, 0;
    LogMartians "log_martians" = 0, 0;
    PromoteSecondaries "promote_secondaries" = 0, 0;
    RouteLocalnet "route_localnet" = 0, 0;
    RpFilter "rp_filter" = 0, 0;
    SecureRedirects "secure_redirects" = 1, 1;
    SendRedirects "send_redirects" = 1, 1;
    SharedMedia "shared_media" = 1, 1;
    SourceValidMark "src_valid_mark" = 0, 0;
}

const CONF_COUNT: usize = CONF_SPECS.len();

/// Why a key was not set, or shows nothing, in the words of `sysctl`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// The kernel has no such key.
    #[error("sysctl: cannot stat /proc/sys/{0}: No such file or directory")]
    Unknown(String),
    /// The kernel has it, and here it would do nothing; with the reason.
    #[error("sysctl: {0} is not offered: {1}")]
    NotOffered(String, &'static str),
    /// It can be read only.
    #[error("sysctl: setting key \"{0}\": Invalid argument")]
    ReadOnly(String),
    /// It can be written to only, so that it shows nothing.
    #[error("sysctl: {0} can be written to only")]
    WriteOnly(String),
    /// No number, or out of its range; nothing is changed.
    #[error("sysctl: setting key \"{key}\": Invalid argument: {value} is no number from {min} to {max}", value = quoted(value))]
    BadValue {
        /// As it was spelled.
        key: String,
        /// What was to be written.
        value: String,
        /// The least that it takes.
        min: i64,
        /// The most that it takes.
        max: i64,
    },
    /// No list of ranges, which `icmp.ratemask` of IPv6 is; nothing is changed.
    #[error("sysctl: setting key \"{key}\": Invalid argument: {value} is no list of ranges like 0-1,3-127", value = quoted(value))]
    BadRanges {
        /// As it was spelled.
        key: String,
        /// What was to be written.
        value: String,
    },
}

/// The numbers of one interface, with those that were written to since: writing `default` reaches every interface whose own was never touched.
#[derive(Clone, Debug)]
pub(super) struct Conf {
    values: [i32; CONF_COUNT],
    written: [bool; CONF_COUNT],
    is_settled: bool,
}

impl Conf {
    pub(super) fn get(&self, knob: ConfKnob) -> i32 {
        self.values[knob as usize]
    }

    fn set(&mut self, knob: ConfKnob, value: i32) {
        self.values[knob as usize] = value;
    }

    /// An interface with an address no longer follows `conf.default`.
    pub(super) fn settle(&mut self) {
        self.written = [true; CONF_COUNT];
        self.is_settled = true;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }
}

#[derive(Clone, Debug)]
pub(super) struct Sysctls {
    values: [i64; SPECS.len()],
    all: Conf,
    default: Conf,
    pub(super) v6: v6::Sysctls,
    pub(super) kept: Kept,
}

impl Sysctls {
    pub(super) fn new() -> Self {
        let conf = |pick: fn(&(ConfKnob, &str, i32, i32)) -> i32| Conf {
            values: std::array::from_fn(|at| pick(&CONF_SPECS[at])),
            written: [false; CONF_COUNT],
            is_settled: false,
        };
        Self {
            values: std::array::from_fn(|at| SPECS[at].default),
            all: conf(|spec| spec.2),
            default: conf(|spec| spec.3),
            v6: v6::Sysctls::new(),
            kept: Kept::default(),
        }
    }

    /// What a new interface starts with.
    pub(super) fn default_conf(&self) -> Conf {
        Conf {
            values: self.default.values,
            written: [false; CONF_COUNT],
            is_settled: false,
        }
    }

    pub(super) fn get(&self, knob: Knob) -> i64 {
        self.values[knob as usize]
    }
}

/// A key, taken apart.
enum Key<'a> {
    Number(Place<'a>),
    /// `icmp.ratemask` of IPv6: ranges, where all others are numbers.
    RateMask,
}

/// Where a number is.
enum Place<'a> {
    Plain(&'static Spec<Knob>),
    /// `ip_forward` and `conf.all.forwarding` are one number.
    IpForward,
    Conf(&'a str, ConfKnob),
    V6(v6::sysctl::Place<'a>),
}

/// The path under `/proc/sys`. Where the first separator is a dot, dots separate and a slash stands for a dot in an interface's name.
pub(super) fn path(key: &str) -> String {
    let dotted = key.find(['.', '/']).is_some_and(|at| key.as_bytes()[at] == b'.');
    let swap = |c| match c {
        '/' if dotted => '.',
        '.' if dotted => '/',
        other => other,
    };
    key.chars().map(swap).collect()
}

fn parse(path: &str) -> Option<Key<'_>> {
    match path.strip_prefix("net/ipv6/") {
        Some(v6::sysctl::RATE_MASK) => Some(Key::RateMask),
        Some(rest) => v6::sysctl::parse(rest).map(Place::V6).map(Key::Number),
        None => place(path).map(Key::Number),
    }
}

fn place(path: &str) -> Option<Place<'_>> {
    let rest = path.strip_prefix("net/ipv4/")?;
    if rest == "ip_forward" {
        return Some(Place::IpForward);
    }
    if let Some(conf) = rest.strip_prefix("conf/") {
        let (interface, name) = conf.split_once('/')?;
        let knob = CONF_SPECS.iter().find(|spec| spec.1 == name)?.0;
        return Some(Place::Conf(interface, knob));
    }
    SPECS.iter().find(|spec| spec.name == rest).map(Place::Plain)
}

/// The number a text stands for, as `proc_dointvec` reads it.
pub(super) fn number(text: &str) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t', '\n']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let word = digits.split([' ', '\t', '\n', '\0']).next()?;
    let (radix, word) = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(rest) => (16, rest),
        None if word.len() > 1 && word.starts_with('0') => (8, &word[1..]),
        None => (10, word),
    };
    if word.starts_with(['+', '-']) {
        return None;
    }
    let value = i64::from_str_radix(word, radix).ok()?;
    Some(if negative { -value } else { value })
}

fn stored(knob: Knob, value: i64) -> i64 {
    match knob {
        Knob::IcmpRateLimit => in_ticks(value),
        _ => value,
    }
}

fn bad_value(key: &str, value: &str, (min, max): (i64, i64)) -> SysctlError {
    SysctlError::BadValue {
        key: key.to_owned(),
        value: value.trim_end_matches('\n').to_owned(),
        min,
        max,
    }
}

impl Net {
    /// The text that `/proc/sys` shows. Keys are spelled with dots or slashes.
    pub fn sysctl_get(&self, key: &str) -> Option<String> {
        let path = path(key);
        match parse(&path) {
            Some(key) => self.shown(&key),
            None => match self.kept(&path)? {
                Shown::Text(text) => Some(text),
                Shown::WriteOnly | Shown::Refused(_) => None,
            },
        }
    }

    /// `None` where there is no such interface, or it has no such numbers.
    fn shown(&self, key: &Key<'_>) -> Option<String> {
        let place = match key {
            Key::Number(place) => place,
            Key::RateMask => return Some(self.sysctls.v6.rate_mask.to_string()),
        };
        let value = match *place {
            Place::Plain(spec) => self.sysctls.get(spec.knob),
            Place::IpForward => self.sysctls.all.get(ConfKnob::Forwarding).into(),
            Place::Conf("all", knob) => self.sysctls.all.get(knob).into(),
            Place::Conf("default", knob) => self.sysctls.default.get(knob).into(),
            Place::Conf(name, knob) => self.by_name(name)?.conf.get(knob).into(),
            Place::V6(ref place) => self.get_ipv6(place)?,
        };
        Some(value.to_string())
    }

    /// Writes a text as into the key's file under `/proc/sys`. Keys are spelled with dots or slashes; nothing is changed on an error.
    pub fn sysctl_set(&mut self, key: &str, value: &str) -> Result<(), SysctlError> {
        let path = path(key);
        let Some(parsed) = parse(&path) else {
            return match self.keep(&path, value) {
                Some(Ok(())) => Ok(()),
                Some(Err(NotKept::ReadOnly)) => Err(SysctlError::ReadOnly(key.to_owned())),
                Some(Err(NotKept::Refused(why))) => Err(SysctlError::NotOffered(key.to_owned(), why)),
                Some(Err(NotKept::OutOf(min, max))) => Err(bad_value(key, value, (min, max))),
                None => Err(SysctlError::Unknown(path)),
            };
        };
        if self.shown(&parsed).is_none() {
            return Err(SysctlError::Unknown(path));
        }
        let place = match parsed {
            Key::Number(place) => place,
            Key::RateMask => {
                let bad = |v6::BadRateMask| SysctlError::BadRanges {
                    key: key.to_owned(),
                    value: value.trim_end_matches('\n').to_owned(),
                };
                self.sysctls.v6.rate_mask = value.parse().map_err(bad)?;
                return Ok(());
            }
        };
        let bounds = self.bounds(&place);
        let wanted = number(value).filter(|it| (bounds.0..=bounds.1).contains(it));
        self.write_number(&place, wanted.ok_or_else(|| bad_value(key, value, bounds))?);
        Ok(())
    }

    /// What a number may be. The two thresholds of reassembly bound each other.
    fn bounds(&self, place: &Place<'_>) -> (i64, i64) {
        match place {
            Place::Plain(spec) => match spec.knob {
                Knob::FragmentHighThreshold => (self.sysctls.get(Knob::FragmentLowThreshold), spec.max),
                Knob::FragmentLowThreshold => (spec.min, self.sysctls.get(Knob::FragmentHighThreshold)),
                _ => (spec.min, spec.max),
            },
            Place::V6(place) => self.bounds_ipv6(place),
            Place::IpForward | Place::Conf(..) => (INT_MIN, INT_MAX),
        }
    }

    /// Within its bounds, of a place that is there.
    fn write_number(&mut self, place: &Place<'_>, wanted: i64) {
        match *place {
            Place::Plain(spec) => self.sysctls.values[spec.knob as usize] = stored(spec.knob, wanted),
            Place::IpForward | Place::Conf("all", ConfKnob::Forwarding) => self.set_forwarding(wanted as i32),
            Place::Conf("all", knob) => self.sysctls.all.set(knob, wanted as i32),
            Place::Conf("default", ConfKnob::Forwarding) => {
                self.sysctls.default.set(ConfKnob::Forwarding, wanted as i32);
            }
            Place::Conf("default", knob) => {
                self.sysctls.default.set(knob, wanted as i32);
                for interface in &mut self.interfaces {
                    if !interface.conf.written[knob as usize] {
                        interface.conf.set(knob, wanted as i32);
                    }
                }
            }
            Place::Conf(name, knob) => {
                let id = self.by_name(name).map(|it| it.id);
                if let Some(interface) = id.and_then(|id| self.interface_mut(id).ok()) {
                    interface.conf.set(knob, wanted as i32);
                    interface.conf.written[knob as usize] = true;
                }
            }
            Place::V6(ref place) => self.set_ipv6(place, wanted),
        }
    }

    /// Why [`Self::sysctl_get`] gives nothing.
    pub fn sysctl_unread(&self, key: &str) -> SysctlError {
        let path = path(key);
        match self.kept(&path) {
            Some(Shown::Refused(why)) => SysctlError::NotOffered(key.to_owned(), why),
            Some(Shown::WriteOnly) => SysctlError::WriteOnly(key.to_owned()),
            Some(Shown::Text(_)) | None => SysctlError::Unknown(path),
        }
    }

    /// Every key this host has, with its interfaces'.
    pub fn sysctl_list(&self) -> Vec<String> {
        let mut keys: Vec<String> = SPECS
            .iter()
            .map(|spec| format!("net.ipv4.{}", spec.name.replace('/', ".")))
            .collect();
        keys.push("net.ipv4.ip_forward".to_owned());
        let names = ["all", "default"]
            .into_iter()
            .chain(self.interfaces.iter().map(|it| it.name.as_str()));
        for name in names {
            // `sysctl` prints a dot within an interface's name as a slash.
            let name = name.replace('.', "/");
            keys.extend(CONF_SPECS.iter().map(|spec| format!("net.ipv4.conf.{name}.{}", spec.1)));
        }
        keys.extend(self.list_ipv6());
        keys.extend(self.list_kept());
        keys.sort();
        keys
    }

    /// A change of the switch reaches `default` and every interface, and turns `accept_redirects` of `all` the other way.
    fn set_forwarding(&mut self, value: i32) {
        if self.sysctls.all.get(ConfKnob::Forwarding) == value {
            return;
        }
        self.sysctls.all.set(ConfKnob::Forwarding, value);
        self.sysctls.all.set(ConfKnob::AcceptRedirects, i32::from(value == 0));
        self.sysctls.default.set(ConfKnob::Forwarding, value);
        for interface in &mut self.interfaces {
            interface.conf.set(ConfKnob::Forwarding, value);
        }
    }

    pub(super) fn knob(&self, knob: Knob) -> i64 {
        self.sysctls.get(knob)
    }

    pub(super) fn is_on(&self, knob: Knob) -> bool {
        self.sysctls.get(knob) != 0
    }

    /// What holds for an interface, from its own number and that of `all`.
    pub(super) fn conf(&self, interface: &Interface, knob: ConfKnob) -> i32 {
        let (all, own) = (self.sysctls.all.get(knob), interface.conf.get(knob));
        match knob {
            ConfKnob::Forwarding => own,
            ConfKnob::RpFilter => all.max(own),
            ConfKnob::AcceptSourceRoute | ConfKnob::BroadcastForwarding => i32::from(all != 0 && own != 0),
            ConfKnob::AcceptRedirects if interface.conf.get(ConfKnob::Forwarding) != 0 => {
                i32::from(all != 0 && own != 0)
            }
            _ => i32::from(all != 0 || own != 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::example::{shows, unassigned};

    /// Written, and what the kernel then shows; `None` is EINVAL.
    #[test]
    fn values_as_the_kernel_takes_them() {
        for (key, value, shown) in [
            ("net.ipv4.icmp_ratelimit", " 7", Some("8")),
            ("net.ipv4.icmp_ratelimit", "8 ", Some("8")),
            ("net.ipv4.icmp_ratelimit", "9x", None),
            ("net.ipv4.icmp_ratelimit", "0x10", Some("16")),
            ("net.ipv4.icmp_ratelimit", "010", Some("8")),
            ("net.ipv4.icmp_ratelimit", "", None),
            ("net.ipv4.icmp_ratelimit", "abc", None),
            ("net.ipv4.icmp_ratelimit", "1 2", Some("4")),
            ("net.ipv4.icmp_ratelimit", "+5", None),
            ("net.ipv4.icmp_ratelimit", "1,2", None),
            ("net.ipv4.icmp_ratelimit", "12\t13", Some("12")),
            ("net.ipv4.ip_default_ttl", "064", Some("52")),
            ("net.ipv4.ip_default_ttl", "0", None),
            ("net.ipv4.ip_default_ttl", "256", None),
            ("net.ipv4.icmp_echo_ignore_all", "2", None),
            ("net.ipv4.ip_forward", "5", Some("5")),
            ("net.ipv4.ip_forward", "-1", Some("-1")),
            ("net.ipv4.ip_forward", "2147483648", None),
            ("net.ipv4.conf.a.rp_filter", "300", Some("300")),
            ("net.ipv4.ipfrag_time", "-1", Some("-1")),
            ("net.ipv4.ipfrag_max_dist", "-1", None),
            ("net.ipv4.ipfrag_high_thresh", "3145727", None),
            ("net.ipv4.ipfrag_low_thresh", "4194305", None),
            ("net/ipv4/icmp_msgs_burst", "0\n", Some("0")),
            ("net.ipv4.tcp_syn_retries", "128", None),
        ] {
            let mut net = unassigned();
            let result = net.sysctl_set(key, value);
            assert_eq!(result.is_ok(), shown.is_some(), "{key} <- {value:?}: {result:?}");
            if let Some(shown) = shown {
                assert_eq!(net.sysctl_get(key).as_deref(), Some(shown), "{key} <- {value:?}");
            }
        }
    }

    #[test]
    fn forwarding_spreads_and_default_reaches_only_the_untouched() {
        let mut net = unassigned();
        let address = "10.0.0.1".parse().unwrap();
        let a = net.by_name("a").unwrap().id;
        net.add_address(a, address, 24).unwrap();
        net.sysctl_set("net.ipv4.ip_forward", "1").unwrap();
        net.sysctl_set("net.ipv4.conf.default.rp_filter", "2").unwrap();
        net.sysctl_set("net.ipv4.conf.b.forwarding", "0").unwrap();
        // The same value again changes nothing.
        net.sysctl_set("net.ipv4.conf.all.forwarding", "1").unwrap();
        for (key, shown) in [
            ("net.ipv4.conf.all.forwarding", "1"),
            ("net.ipv4.conf.all.accept_redirects", "0"),
            ("net.ipv4.conf.default.forwarding", "1"),
            ("net.ipv4.conf.a.forwarding", "1"),
            ("net.ipv4.conf.b.forwarding", "0"),
            ("net.ipv4.conf.lo.forwarding", "1"),
            // `a` and `lo` have an address, so they no longer follow `default`.
            ("net.ipv4.conf.a.rp_filter", "0"),
            ("net.ipv4.conf.lo.rp_filter", "0"),
            ("net.ipv4.conf.b.rp_filter", "2"),
            ("net.ipv4.conf.all.accept_source_route", "0"),
            ("net.ipv4.conf.b.accept_source_route", "1"),
        ] {
            shows(&net, key, shown);
        }
    }

    #[test]
    fn keys_are_found_or_refused_by_name() {
        let mut net = unassigned();
        assert_eq!(net.sysctl_get("net/ipv4/conf/v.1/rp_filter").as_deref(), Some("0"));
        assert_eq!(net.sysctl_get("net.ipv4.conf.v/1.rp_filter").as_deref(), Some("0"));
        assert_eq!(net.sysctl_get("net.ipv4.conf.v.1.rp_filter"), None);
        for (key, text) in [
            (
                "net.ipv4.nonsense",
                "sysctl: cannot stat /proc/sys/net/ipv4/nonsense: No such file or directory",
            ),
            (
                "net.ipv6.conf.all.seg6_enabled",
                "sysctl: net.ipv6.conf.all.seg6_enabled is not offered: segment routing is not emulated",
            ),
            (
                "net.ipv4.conf.nope.rp_filter",
                "sysctl: cannot stat /proc/sys/net/ipv4/conf/nope/rp_filter: No such file or directory",
            ),
            (
                "kernel.hostname",
                "sysctl: cannot stat /proc/sys/kernel/hostname: No such file or directory",
            ),
        ] {
            assert_eq!(net.sysctl_set(key, "1").unwrap_err().to_string(), text);
        }
        for key in net.sysctl_list() {
            let is_unread = !matches!(net.sysctl_unread(&key), SysctlError::Unknown(_));
            assert!(net.sysctl_get(&key).is_some() || is_unread, "{key}");
        }
    }
}
