//! Keys under `net` that nothing here goes by, those of `net.ipv4` and `net.ipv6` all: kept and shown as the kernel keeps and shows them, so that what was written for a host
//! is taken as it stands. `kept.txt` has them all.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::sysctl::{number, path};
use super::{Interface, Net};

/// One key, of every place that has it.
#[derive(Debug)]
struct Spec {
    /// Under `/proc/sys`; a star stands for the place.
    path: &'static str,
    /// What it shows in a fresh namespace; `None` where nothing is shown.
    first: Option<&'static str>,
    takes: Takes,
}

#[derive(Debug)]
enum Takes {
    Numbers(Numbers),
    /// Its file can be read only.
    Nothing,
    /// Its file can be written to only, and keeps nothing.
    Anything,
    /// Only what it shows; why nothing else.
    Refused(&'static str),
}

/// As many numbers as are shown, or the first of them.
#[derive(Debug)]
struct Numbers {
    min: i64,
    max: i64,
    /// They are kept in ticks of so many, rounded up.
    tick: i64,
    /// All but 0 is kept as 1.
    is_truth: bool,
    order: Order,
}

#[derive(Debug)]
enum Order {
    Any,
    /// None is less than the one before it.
    Ascending,
    /// The same, else these are kept instead.
    AscendingOr(Vec<i64>),
}

/// What was written: places without an entry show what they began with.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    host: BTreeMap<usize, Vec<i64>>,
    all: BTreeMap<usize, Vec<i64>>,
    default: BTreeMap<usize, Vec<i64>>,
}

/// The same of an interface; true where somebody wrote it there, so that it no longer follows `default` of IPv4.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptOfLink(BTreeMap<usize, (Vec<i64>, bool)>);

impl Kept {
    /// What a new interface starts with.
    pub(super) fn of_new_link(&self) -> KeptOfLink {
        let all = self.default.iter();
        KeptOfLink(all.map(|(at, values)| (*at, (values.clone(), false))).collect())
    }
}

/// What a key shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Text(String),
    /// Nobody may read it.
    WriteOnly,
    /// It is not shown here; with the reason.
    Refused(&'static str),
}

/// Why a text was not taken; nothing is changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotKept {
    ReadOnly,
    Refused(&'static str),
    /// A number is none, or not within these.
    OutOf(i64, i64),
}

/// Where a key is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'p> {
    Host,
    All,
    Default,
    Link(&'p str),
}

static SPECS: LazyLock<Vec<Spec>> = LazyLock::new(|| {
    let lines = include_str!("kept.txt").lines();
    lines.filter_map(Spec::of_line).collect()
});

/// By path.
static NUMBERS: LazyLock<BTreeMap<&'static str, usize>> =
    LazyLock::new(|| SPECS.iter().enumerate().map(|(at, spec)| (spec.path, at)).collect());

impl Spec {
    /// `None` of comments; and of a line that says nothing of what the key takes, which a test finds.
    fn of_line(line: &'static str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (shown, takes) = match line.split_once(", ") {
            Some((shown, "read only")) => (shown, Takes::Nothing),
            Some((shown, "write only")) => (shown, Takes::Anything),
            Some((shown, words)) => (shown, Takes::Refused(words.strip_prefix("refused: ")?)),
            None => {
                let (shown, words) = line.split_once(" in ")?;
                (shown, Takes::Numbers(Numbers::of_words(words)?))
            }
        };
        let (path, first) = match shown.split_once(" = ") {
            Some((path, first)) => (path, Some(first)),
            None => (shown, None),
        };
        Some(Self { path, first, takes })
    }

    /// What it began with there.
    fn began_with(&self, place: Place<'_>) -> Vec<i64> {
        let own = self.path.replace('*', place.name());
        let own = OF_ONE_LINK.iter().find(|(path, _)| *path == own);
        let text = own.map_or(self.first.unwrap_or(""), |(_, first)| first);
        text.split(' ').filter_map(number).collect()
    }
}

/// An interface of which a key begins with another number.
const OF_ONE_LINK: [(&str, &str); 2] = [
    ("net/ipv4/conf/lo/disable_policy", "1"),
    ("net/ipv4/conf/lo/disable_xfrm", "1"),
];

impl Numbers {
    /// `LEAST..MOST`, then what else holds.
    fn of_words(words: &str) -> Option<Self> {
        let (range, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (min, max) = match range {
            "int" => (i32::MIN.into(), i32::MAX.into()),
            _ => {
                let (min, max) = range.split_once("..")?;
                (min.parse().ok()?, max.parse().ok()?)
            }
        };
        let order = match rest.strip_prefix("ascending") {
            None => Order::Any,
            Some("") => Order::Ascending,
            Some(or) => Order::AscendingOr(or.strip_prefix(" or ")?.split(' ').filter_map(number).collect()),
        };
        let tick = rest.strip_prefix("by ").map_or(Some(1), |tick| tick.parse().ok())?;
        let is_truth = rest == "as truth";
        Some(Self {
            min,
            max,
            tick,
            is_truth,
            order,
        })
    }

    /// What is kept of a text where this was before.
    fn read(&self, text: &str, before: Vec<i64>) -> Result<Vec<i64>, NotKept> {
        let bad = NotKept::OutOf(self.min, self.max);
        let words: Vec<&str> = text.split_ascii_whitespace().take(before.len()).collect();
        if words.is_empty() {
            return Err(bad);
        }
        let mut values = before;
        for (value, word) in values.iter_mut().zip(words) {
            let wanted = number(word).filter(|it| (self.min..=self.max).contains(it));
            let Some(wanted) = wanted else { return Err(bad) };
            *value = match self.is_truth {
                true => (wanted != 0).into(),
                false => wanted.saturating_add(self.tick - 1).div_euclid(self.tick) * self.tick,
            };
        }
        match &self.order {
            Order::Ascending if !values.is_sorted() => Err(bad),
            Order::AscendingOr(instead) if !values.is_sorted() => Ok(instead.clone()),
            _ => Ok(values),
        }
    }
}

impl<'p> Place<'p> {
    fn of(name: &'p str) -> Self {
        match name {
            "all" => Self::All,
            "default" => Self::Default,
            name => Self::Link(name),
        }
    }

    fn name(self) -> &'p str {
        match self {
            Self::Host => "",
            Self::All => "all",
            Self::Default => "default",
            Self::Link(name) => name,
        }
    }
}

/// Whether nothing here goes by a key that is here.
pub(crate) fn is_kept_alone(key: &str) -> bool {
    find(&path(key)).is_some()
}

/// Of a path under `/proc/sys`.
fn find(path: &str) -> Option<(usize, Place<'_>)> {
    if let Some(at) = NUMBERS.get(path) {
        return Some((*at, Place::Host));
    }
    let (directory, place, name) = apart(path)?;
    let at = NUMBERS.get(format!("{directory}*/{name}").as_str())?;
    let place = Place::of(place);
    // Nobody has all neighbours.
    (place != Place::All || directory.ends_with("/conf/")).then_some((*at, place))
}

/// `net/ipv4/conf/`, the place, and the key there.
fn apart(path: &str) -> Option<(&str, &str, &str)> {
    DIRECTORIES.iter().find_map(|directory| {
        let (place, name) = path.strip_prefix(directory)?.split_once('/')?;
        Some((*directory, place, name))
    })
}

const DIRECTORIES: [&str; 4] = ["net/ipv4/conf/", "net/ipv4/neigh/", "net/ipv6/conf/", "net/ipv6/neigh/"];

impl Net {
    /// `None` where there is no such key.
    pub(super) fn kept(&self, path: &str) -> Option<Shown> {
        let (at, place) = find(path)?;
        let spec = &SPECS[at];
        if let Place::Link(name) = place {
            self.by_name(name)?;
        }
        Some(match (&spec.takes, spec.first) {
            (Takes::Numbers(_), _) => {
                let values: Vec<String> = self.kept_there(at, place)?.iter().map(i64::to_string).collect();
                Shown::Text(values.join("\t"))
            }
            (Takes::Refused(why), None) => Shown::Refused(why),
            (_, None) => Shown::WriteOnly,
            (_, Some(text)) => Shown::Text(text.to_owned()),
        })
    }

    fn kept_there(&self, at: usize, place: Place<'_>) -> Option<Vec<i64>> {
        let kept = &self.sysctls.kept;
        let written = match place {
            Place::Host => kept.host.get(&at),
            Place::All => kept.all.get(&at),
            Place::Default => kept.default.get(&at),
            Place::Link(name) => self.by_name(name)?.kept.0.get(&at).map(|(values, _)| values),
        };
        Some(written.cloned().unwrap_or_else(|| SPECS[at].began_with(place)))
    }

    /// `None` where there is no such key.
    pub(super) fn keep(&mut self, path: &str, text: &str) -> Option<Result<(), NotKept>> {
        let (at, place) = find(path)?;
        let shown = self.kept(path)?;
        let numbers = match &SPECS[at].takes {
            Takes::Numbers(numbers) => numbers,
            Takes::Nothing => return Some(Err(NotKept::ReadOnly)),
            Takes::Anything => return Some(Ok(())),
            Takes::Refused(why) => {
                let is_there = shown == Shown::Text(text.trim().to_owned());
                return Some(if is_there { Ok(()) } else { Err(NotKept::Refused(why)) });
            }
        };
        let values = match numbers.read(text, self.kept_there(at, place)?) {
            Ok(values) => values,
            Err(why) => return Some(Err(why)),
        };
        match place {
            Place::Host => drop(self.sysctls.kept.host.insert(at, values)),
            Place::All => drop(self.sysctls.kept.all.insert(at, values)),
            Place::Default => {
                if path.starts_with("net/ipv4/conf/") {
                    let follow = self.interfaces.iter_mut().filter(|it| it.follows_default(at));
                    follow.for_each(|it| drop(it.kept.0.insert(at, (values.clone(), false))));
                }
                self.sysctls.kept.default.insert(at, values);
            }
            Place::Link(name) => {
                let id = self.by_name(name)?.id;
                self.interface_mut(id).ok()?.kept.0.insert(at, (values, true));
            }
        }
        Some(Ok(()))
    }

    /// All that this host has, with dots.
    pub(super) fn list_kept(&self) -> impl Iterator<Item = String> {
        SPECS.iter().flat_map(|spec| {
            let Some((before, after)) = spec.path.split_once('*') else {
                return vec![spec.path.replace('/', ".")];
            };
            let shared = match before.ends_with("/conf/") {
                true => &["all", "default"][..],
                false => &["default"],
            };
            let links = self.interfaces.iter().map(|it| it.name.as_str());
            let (before, after) = (before.replace('/', "."), after.replace('/', "."));
            let places = shared.iter().copied().chain(links);
            // `sysctl` prints a dot within an interface's name as a slash.
            places
                .map(|place| format!("{before}{}{after}", place.replace('.', "/")))
                .collect()
        })
    }
}

impl Interface {
    fn follows_default(&self, at: usize) -> bool {
        !self.conf.is_settled() && self.kept.0.get(&at).is_none_or(|(_, is_own)| !is_own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InterfaceName;
    use crate::net::SysctlError;
    use crate::net::example::{shows, unassigned};

    /// What is written in turn, and what is shown then; `None` is EINVAL. Read on Linux 6.18.
    #[test]
    fn texts_as_the_kernel_takes_them() {
        let mut net = unassigned();
        for (key, value, shown) in [
            ("net.ipv4.tcp_rmem", "1 2 3", Some("1\t2\t3")),
            ("net.ipv4.tcp_rmem", "7", Some("7\t2\t3")),
            ("net.ipv4.tcp_rmem", "8 9 10 11", Some("8\t9\t10")),
            ("net.ipv4.tcp_rmem", "", None),
            ("net.ipv4.ip_local_port_range", "2000", Some("2000\t60999")),
            ("net.ipv4.ip_local_port_range", "3000 2000", None),
            ("net.ipv4.ip_local_port_range", "3000 3000", Some("3000\t3000")),
            ("net.ipv4.ip_local_port_range", "0 3000", None),
            ("net.ipv4.ping_group_range", "3 5", Some("3\t5")),
            ("net.ipv4.ping_group_range", "9", Some("1\t0")),
            ("net.ipv4.igmp_qrv", "0", None),
            ("net.ipv4.tcp_invalid_ratelimit", "501", Some("504")),
            ("net.ipv4.tcp_congestion_control", "cubic", Some("cubic")),
            ("net.ipv6.route.gc_min_interval_ms", "7", Some("8")),
            ("net.ipv6.ioam6_id_wide", "72057594037927936", None),
            ("net.ipv6.conf.a.accept_untracked_na", "3", None),
            ("net.ipv6.conf.v/1.accept_untracked_na", "2", Some("2")),
            ("net.ipv4.conf.a.tag", "-1", Some("-1")),
            ("net.bridge.bridge-nf-call-iptables", "5", Some("1")),
            ("net.core.somaxconn", "-1", None),
            ("net.core.xfrm_aevent_etime", "4294967295", Some("4294967295")),
            ("net.ipv4.route.flush", "x", Some("")),
        ] {
            let before = net.sysctl_get(key);
            let result = net.sysctl_set(key, value);
            assert_eq!(result.is_ok(), shown.is_some(), "{key} <- {value:?}: {result:?}");
            let found = net.sysctl_get(key);
            match shown {
                Some("") => assert_eq!(found, None, "{key}"),
                Some(shown) => assert_eq!(found.as_deref(), Some(shown), "{key} <- {value:?}"),
                None => assert_eq!(found, before, "{key} <- {value:?}"),
            }
        }
    }

    /// `default` of IPv4 reaches who has no address and no word of its own, that of IPv6 who comes later.
    #[test]
    fn default_reaches_as_in_the_kernel() {
        let mut net = unassigned();
        let a = net.by_name("a").unwrap().id;
        net.add_address(a, "10.0.0.1".parse().unwrap(), 24).unwrap();
        for (key, value) in [
            ("net.ipv4.conf.b.arp_filter", "5"),
            ("net.ipv4.conf.default.arp_filter", "1"),
            ("net.ipv6.conf.default.force_tllao", "4"),
        ] {
            net.sysctl_set(key, value).unwrap();
        }
        net.add_interface(InterfaceName::new("c").unwrap(), 1500).unwrap();
        for (key, shown) in [
            ("net.ipv4.conf.a.arp_filter", "0"),
            ("net.ipv4.conf.b.arp_filter", "5"),
            ("net.ipv4.conf.v/1.arp_filter", "1"),
            ("net.ipv4.conf.c.arp_filter", "1"),
            ("net.ipv4.conf.all.arp_filter", "0"),
            ("net.ipv6.conf.a.force_tllao", "0"),
            ("net.ipv6.conf.c.force_tllao", "4"),
            ("net.ipv4.conf.lo.disable_xfrm", "1"),
            ("net.ipv4.conf.a.disable_xfrm", "0"),
        ] {
            shows(&net, key, shown);
        }
    }

    #[test]
    fn what_is_not_kept_says_why() {
        let mut net = unassigned();
        let why = |net: &mut Net, key: &str| net.sysctl_set(key, "9").unwrap_err();
        assert!(matches!(
            why(&mut net, "net.ipv4.udp_hash_entries"),
            SysctlError::ReadOnly(_)
        ));
        for key in [
            "net.ipv6.conf.a.seg6_enabled",
            "net.ipv4.neigh.a.locktime",
            "net.ipv4.neigh.default.gc_thresh1",
            "net.ipv6.conf.all.stable_secret",
        ] {
            assert!(matches!(why(&mut net, key), SysctlError::NotOffered(..)), "{key}");
        }
        for key in [
            "net.ipv4.nonsense",
            "net.ipv4.conf.nope.arp_filter",
            "net.ipv4.neigh.all.locktime",
            "net.ipv6.neigh.nope.locktime",
        ] {
            assert!(matches!(why(&mut net, key), SysctlError::Unknown(_)), "{key}");
            assert!(matches!(net.sysctl_unread(key), SysctlError::Unknown(_)), "{key}");
        }
        assert!(matches!(
            net.sysctl_unread("net.ipv4.route.flush"),
            SysctlError::WriteOnly(_)
        ));
        let secret = net.sysctl_unread("net.ipv6.conf.a.stable_secret");
        assert!(matches!(secret, SysctlError::NotOffered(..)));
    }

    /// Each line is read, says what the key takes of what it shows, and stands at its only place.
    #[test]
    fn every_line_is_a_key_of_its_own() {
        let lines = include_str!("kept.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(SPECS.len(), lines.filter(|line| !line.is_empty()).count());
        assert_eq!(NUMBERS.len(), SPECS.len());
        let mut net = unassigned();
        let mut listed = net.sysctl_list();
        listed.dedup();
        assert_eq!(listed, net.sysctl_list(), "no key has two homes");
        for key in net.list_kept().collect::<Vec<_>>() {
            if let Some(shown) = net.sysctl_get(&key) {
                let again = net.sysctl_set(&key, &shown);
                assert!(
                    matches!(again, Ok(()) | Err(SysctlError::ReadOnly(_))),
                    "{key} = {shown}: {again:?}"
                );
                assert_eq!(net.sysctl_get(&key), Some(shown), "{key}");
            }
        }
    }
}
