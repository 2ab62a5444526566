//! Multicast listener discovery (RFC 2710, RFC 3810): who asks which groups an interface is in is told so after a while.
//!
//! The kernel draws the moment within the time that the question allows. Here it is half of that time, so that it hangs on no draw and on no other packet.
//! Nothing is said unasked: the kernel tells of groups when a link comes up, and here no link waits for that.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::ConfKnob;
use super::groups::REPORTED;
use super::icmp::{self, outgoing};
use crate::base::{Family, InterfaceId, Time, protocol};
use crate::net::{AddressFlags, Answer, Delivery, DropReason, HostState, Net, Outgoing, OutputRoute};
use crate::packet::Packet;
use crate::wire::be16;
use crate::wire::icmpv6::{self, kind};
use crate::wire::ipv6::{self, extension};

/// What each link was asked, and when that is answered.
#[derive(Debug)]
pub(crate) struct Memberships {
    /// When the next answer is due, so that who looks for one that is not takes no lock.
    next: AtomicU64,
    links: Mutex<BTreeMap<InterfaceId, Link>>,
}

#[derive(Clone, Debug)]
struct Link {
    /// What the last question of the second version said of its asker: they say how long one of the first version counts.
    robustness: u32,
    interval: Duration,
    response: Duration,
    /// Until then all is answered in the first version.
    old_until: Time,
    /// When all groups are told of in one report.
    all: Option<Time>,
    /// And when each is in one of its own.
    each: [Option<Time>; REPORTED.len()],
}

impl Default for Link {
    fn default() -> Self {
        Self {
            robustness: LEAST_ROBUSTNESS,
            interval: Duration::from_secs(125),
            response: Duration::from_secs(10),
            old_until: Time::ZERO,
            all: None,
            each: [None; REPORTED.len()],
        }
    }
}

impl Default for Memberships {
    fn default() -> Self {
        Self::of(BTreeMap::new())
    }
}

impl Clone for Memberships {
    fn clone(&self) -> Self {
        Self::of(self.links.lock().clone())
    }
}

/// No asker says less.
const LEAST_ROBUSTNESS: u32 = 2;

/// `force_mld_version`.
const ONLY_THE_FIRST: i32 = 1;
const ONLY_THE_SECOND: i32 = 2;

impl Memberships {
    fn of(links: BTreeMap<InterfaceId, Link>) -> Self {
        let next = next_of(&links).as_nanos().into();
        Self {
            next,
            links: Mutex::new(links),
        }
    }

    /// Whether any answer is due later on.
    pub(crate) fn is_empty(&self) -> bool {
        self.next.load(Ordering::Relaxed) == Time::NEVER.as_nanos()
    }

    /// A link of which this is said has nothing to answer any more, and begins anew.
    pub(crate) fn forget(&self, is_lost: impl Fn(InterfaceId) -> bool) {
        self.change(|links| links.retain(|id, _| !is_lost(*id)));
    }

    /// What its askers said of themselves is forgotten; what they asked is answered all the same.
    pub(crate) fn forget_askers(&self, id: InterfaceId) {
        self.change(|links| {
            if let Some(link) = links.get_mut(&id) {
                let Link { all, each, .. } = *link;
                *link = Link {
                    all,
                    each,
                    ..Link::default()
                };
            }
        });
    }

    fn change<R>(&self, change: impl FnOnce(&mut BTreeMap<InterfaceId, Link>) -> R) -> R {
        let mut links = self.links.lock();
        let result = change(&mut links);
        self.next.store(next_of(&links).as_nanos(), Ordering::Relaxed);
        result
    }

    /// Takes what is due, in the order of its time.
    fn take(&self, now: Time) -> Vec<Due> {
        if now.as_nanos() < self.next.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut due = Vec::new();
        self.change(|links| {
            for (id, link) in links {
                let (at, old_until) = (|it: &mut Option<Time>| it.take_if(|at| *at <= now), link.old_until);
                let mut note = |at: Option<Time>, group: Option<Ipv6Addr>| {
                    due.extend(at.map(|at| Due {
                        at,
                        link: *id,
                        group,
                        old_until,
                    }));
                };
                note(at(&mut link.all), None);
                for (it, group) in link.each.iter_mut().zip(REPORTED) {
                    note(at(it), Some(group));
                }
            }
        });
        due.sort_by_key(|it| it.at);
        due
    }
}

fn next_of(links: &BTreeMap<InterfaceId, Link>) -> Time {
    let all = links.values().flat_map(|link| link.each.iter().chain([&link.all]));
    all.flatten().min().copied().unwrap_or(Time::NEVER)
}

struct Due {
    at: Time,
    link: InterfaceId,
    /// All that the interface is in, where none is named.
    group: Option<Ipv6Addr>,
    old_until: Time,
}

/// A question, as far as any version has it.
struct Query {
    group: Ipv6Addr,
    code: u16,
    length: usize,
    second: Option<Second>,
}

/// What only the second version says.
struct Second {
    robustness: u32,
    interval: Duration,
    sources: u16,
}

impl Query {
    const LENGTH: usize = icmpv6::HEADER + 16;
    const LENGTH_OF_SECOND: usize = Self::LENGTH + 4;

    fn read(message: &[u8]) -> Option<Self> {
        let group = message.get(icmpv6::HEADER..)?.first_chunk::<16>()?;
        let second = message.get(Self::LENGTH..Self::LENGTH_OF_SECOND).map(|more| Second {
            robustness: u32::from(more[0] & 7),
            interval: Duration::from_secs(floating(more[1].into(), 4)),
            sources: be16(more, 2),
        });
        Some(Self {
            group: Ipv6Addr::from(*group),
            code: be16(message, 4),
            length: message.len(),
            second,
        })
    }
}

/// RFC 3810, 5.1.3 and 5.1.9: from a half of what the field holds on, it is an exponent of three bits and a mantissa of so many.
fn floating(field: u64, mantissa: u32) -> u64 {
    let half = 1 << (mantissa + 3);
    match field < half {
        true => field,
        false => (field & ((1 << mantissa) - 1) | 1 << mantissa) << ((field >> mantissa & 7) + 3),
    }
}

/// Of a whole message with the right checksum. `read` is the packet with what it carries laid open.
pub(super) fn asked(net: &Net, host: &HostState, now: Time, packet: &Packet, read: &Packet) -> Answer {
    let query = Query::read(read.transport()).filter(|it| it.group.is_unspecified() || it.group.is_multicast());
    let (Some(query), Some(input), true) = (query, packet.input, is_of_the_link(packet)) else {
        return Answer::Dropped(DropReason::BadGroupQuery);
    };
    let groups = net.reported_groups(input, query.group);
    let forced = net.forced_version(input);
    let noted = host.memberships.change(|links| {
        let link = links.entry(input).or_default();
        link.asked(now, forced, &query, groups)
    });
    match noted {
        None => Answer::Dropped(DropReason::BadGroupQuery),
        Some(()) if groups.contains(&true) => Answer::Consumed,
        Some(()) => Answer::Dropped(DropReason::NoGroups),
    }
}

/// Only who is on the link asks, and every router on the way has to look. Seen: how long a question is, its own header has to say.
fn is_of_the_link(packet: &Packet) -> bool {
    let of_link = matches!(packet.source(), IpAddr::V6(from) if from.is_unicast_link_local());
    of_link && packet.ttl() == 1 && icmp::header(packet).payload_length() != 0 && alerts_routers(packet)
}

fn alerts_routers(packet: &Packet) -> bool {
    let header = icmp::header(packet);
    let options = header.extensions().next().filter(|it| it.kind == extension::HOP_BY_HOP);
    let Some(mut options) = options.and_then(|it| it.bytes.get(2..)) else {
        return false;
    };
    let mut alert = None;
    // They were read when it came in: each is whole.
    while let [kind, rest @ ..] = options {
        options = match (kind, rest) {
            (0, _) => rest,
            (_, [length, rest @ ..]) => {
                let (option, behind) = rest.split_at(usize::from(*length).min(rest.len()));
                if *kind == ROUTER_ALERT {
                    alert = Some(option);
                }
                behind
            }
            _ => &[],
        };
    }
    alert == Some(&OF_LISTENERS)
}

const ROUTER_ALERT: u8 = 5;
const OF_LISTENERS: [u8; 2] = [0, 0];

impl Link {
    /// `None` where the question is none that is answered.
    fn asked(&mut self, now: Time, forced: i32, query: &Query, groups: [bool; REPORTED.len()]) -> Option<()> {
        let is_old = query.length == Query::LENGTH;
        let most = if is_old || self.speaks_old(now, forced) {
            if is_old {
                if forced == ONLY_THE_SECOND {
                    return None;
                }
                self.old_until = now + self.interval * self.robustness + self.response;
            }
            self.all = None;
            Duration::from_millis(query.code.into())
        } else {
            let second = query.second.as_ref()?;
            let most = Duration::from_millis(floating(query.code.into(), 12));
            if second.robustness != 0 {
                self.robustness = second.robustness.max(LEAST_ROBUSTNESS);
            }
            (self.interval, self.response) = (second.interval, most);
            let sources = usize::from(second.sources) * size_of::<Ipv6Addr>();
            if query.group.is_unspecified() {
                if sources != 0 {
                    return None;
                }
                self.all = groups.contains(&true).then(|| now + most / 2);
                return Some(());
            }
            if query.length < Query::LENGTH_OF_SECOND + sources {
                return None;
            }
            most
        };
        for (due, _) in self.each.iter_mut().zip(groups).filter(|(_, is_asked)| *is_asked) {
            // What is told soon enough anyway is not told later.
            due.take_if(|at| at.since(now) >= most);
            due.get_or_insert(now + most / 2);
        }
        Some(())
    }

    fn speaks_old(&self, now: Time, forced: i32) -> bool {
        speaks_old(self.old_until, now, forced)
    }
}

fn speaks_old(old_until: Time, now: Time, forced: i32) -> bool {
    forced != ONLY_THE_SECOND && (forced == ONLY_THE_FIRST || now < old_until)
}

/// The reports that are due.
pub(crate) fn reports(net: &Net, host: &HostState, now: Time) -> Vec<Outgoing> {
    let due = host.memberships.take(now);
    let built = due.into_iter().filter_map(|due| {
        let speaks_old = speaks_old(due.old_until, now, net.forced_version(due.link));
        match due.group {
            Some(group) if speaks_old => net.old_report(due.link, group),
            group => net.report(due.link, group.unwrap_or(Ipv6Addr::UNSPECIFIED)),
        }
    });
    built.collect()
}

const ALL_REPORT_READERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

impl Net {
    fn forced_version(&self, id: InterfaceId) -> i32 {
        self.conf_ipv6_of_all_or(self.interface(id), ConfKnob::ForceMldVersion)
    }

    /// Which of those that are told of it is in and were meant.
    fn reported_groups(&self, id: InterfaceId, meant: Ipv6Addr) -> [bool; REPORTED.len()] {
        let is_up = self.has_ipv6(self.interface(id));
        REPORTED.map(|group| {
            let is_meant = meant.is_unspecified() || meant == group;
            is_up && is_meant && self.has_joined_ipv6(id, group)
        })
    }

    fn report(&self, id: InterfaceId, meant: Ipv6Addr) -> Option<Outgoing> {
        /// "All but these sources", of which there are none.
        const EXCLUDING: u8 = 2;
        let groups = REPORTED.into_iter().zip(self.reported_groups(id, meant));
        let mut records = Vec::new();
        let mut count = 0;
        for (group, _) in groups.filter(|(_, is_told)| *is_told) {
            records.extend_from_slice(&[EXCLUDING, 0, 0, 0]);
            records.extend_from_slice(&group.octets());
            count += 1;
        }
        let built = || self.message(id, ALL_REPORT_READERS, kind::LISTENER_REPORT, count, &records);
        (count != 0).then(built).flatten()
    }

    fn old_report(&self, id: InterfaceId, group: Ipv6Addr) -> Option<Outgoing> {
        let is_told = self.reported_groups(id, group).contains(&true);
        let built = || self.message(id, group, kind::OLD_LISTENER_REPORT, 0, &group.octets());
        is_told.then(built).flatten()
    }

    /// From the address of the link, or from none; every router on the way has to look at it.
    fn message(&self, id: InterfaceId, to: Ipv6Addr, kind: u8, info: u32, payload: &[u8]) -> Option<Outgoing> {
        const ALERT: [u8; 8] = [protocol::ICMPV6, 0, ROUTER_ALERT, 2, 0, 0, 1, 0];
        let interface = self.interface(id);
        let own = interface.addresses_of(Family::V6);
        let source = own
            .filter(|it| !it.flags.has(AddressFlags::TENTATIVE))
            .find_map(|it| match it.address {
                IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
                _ => None,
            });
        let source = source.unwrap_or(Ipv6Addr::UNSPECIFIED);
        let mut body = ALERT.to_vec();
        body.extend_from_slice(&icmpv6::emit((source, to), (kind, 0), info, payload));
        let repr = ipv6::Repr {
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 1,
            next_header: extension::HOP_BY_HOP,
            source,
            destination: to,
        };
        let has_joined = self.has_joined(id, to.into());
        let route = OutputRoute {
            interface: id,
            source: source.into(),
            destination: to.into(),
            gateway: None,
            delivery: Delivery::Multicast { has_joined },
            mtu: interface.mtu,
            hop_limit: None,
            loops_back: false,
        };
        let mark = match kind {
            kind::LISTENER_REPORT => room_behind_report(interface.mtu),
            _ => 0,
        };
        outgoing(repr, &body, route, mark)
    }
}

/// Seen: where other packets have a mark, a report of version 2 has how much room Linux keeps free behind it, for both are one field there. It asks for
/// room for the MTU, of which it wants no more than half a page, and gets two kilobytes, or four, of which it needs some itself.
fn room_behind_report(mtu: u32) -> u32 {
    const ROOMS: [u32; 2] = [1712, 3760];
    let [small, large] = ROOMS;
    let room = if mtu <= small { small } else { large };
    room.saturating_sub(mtu)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{LAN, Make, WAN, icmp, net, out, said};
    use super::*;
    use crate::net::Closed;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn query(code: u16, group: &str, more: &[u8]) -> Make {
        let mut body = group.parse::<Ipv6Addr>().unwrap().octets().to_vec();
        body.extend_from_slice(more);
        let ends = ("fe80::2".parse().unwrap(), "ff02::1".parse().unwrap());
        let segment = icmpv6::emit(ends, (kind::LISTENER_QUERY, 0), u32::from(code) << 16, &body);
        let make = Make::new("fe80::2", "ff02::1", protocol::ICMPV6, segment);
        Make { hop_limit: 1, ..make }.with_options(extension::HOP_BY_HOP, &[ROUTER_ALERT, 2, 0, 0])
    }

    /// A robustness of 2, 125 seconds, no sources.
    const USUAL: &[u8] = &[2, 125, 0, 0];

    struct Asked {
        net: Net,
        host: HostState,
        now: Time,
    }

    impl Asked {
        fn new() -> Self {
            Self {
                net: net(),
                host: HostState::new(1),
                now: Time::from_secs(1),
            }
        }

        fn asks(&self, make: &Make) -> Answer {
            let delivery = Delivery::Multicast { has_joined: true };
            self.net.answer(&self.host, self.now, &Closed, &make.packet(), delivery)
        }

        /// What is told when so much more time has passed.
        fn after(&mut self, milliseconds: u32) -> String {
            self.now = self.now + MILLISECOND * milliseconds;
            let told = self.net.reports(&self.host, self.now);
            let lines: Vec<String> = told
                .iter()
                .map(|it| {
                    let records = it.packet.transport()[8..].chunks(20).map(|it| it[it.len() - 15] & 0xf);
                    let scopes: Vec<String> = records.map(|scope| scope.to_string()).collect();
                    format!("{} of {}", out(&self.net, it), scopes.join(" "))
                })
                .collect();
            lines.join("; ")
        }
    }

    const BOTH: &str = "lan fe80::1>ff02::16 p58 tc00 hl1 len96 ext0 icmp6 143/0 rest00000002 data40 of 5 2";
    const OLD: [&str; 2] = [
        "lan fe80::1>ff05::2 p58 tc00 hl1 len72 ext0 icmp6 131/0 rest00000000 data16 of 5",
        "lan fe80::1>ff02::2 p58 tc00 hl1 len72 ext0 icmp6 131/0 rest00000000 data16 of 2",
    ];

    #[test]
    fn the_answer_comes_at_half_of_the_time_that_is_allowed() {
        let mut asked = Asked::new();
        assert!(matches!(asked.asks(&query(10_000, "::", USUAL)), Answer::Consumed));
        assert_eq!(asked.after(4_999), "");
        assert!(!asked.host.memberships.is_empty());
        assert_eq!(asked.after(1), BOTH);
        assert_eq!(asked.after(10_000), "");
        assert!(asked.host.memberships.is_empty());
        // An exponent of 0 and a mantissa of 0 are 2^15 milliseconds.
        asked.asks(&query(0x8000, "::", USUAL));
        assert_eq!((asked.after(16_383), asked.after(1)), (String::new(), BOTH.into()));
    }

    /// Read on Linux 6.18.
    #[test]
    fn which_questions_are_answered() {
        let one = |scope: &str| {
            format!("lan fe80::1>ff02::16 p58 tc00 hl1 len76 ext0 icmp6 143/0 rest00000001 data20 of {scope}")
        };
        let from = |from: &str| Make {
            source: from.parse().unwrap(),
            ..query(0, "::", USUAL)
        };
        for (what, make, expected) in [
            ("all", query(0, "::", USUAL), BOTH.to_owned()),
            ("more behind", query(0, "::", &[2, 125, 0, 0, 1, 2, 3]), BOTH.into()),
            ("the link's", query(0, "ff02::2", USUAL), one("2")),
            ("the site's", query(0, "ff05::2", USUAL), one("5")),
            (
                "with a source",
                query(0, "ff02::2", &[&[2, 125, 0, 1][..], &[9; 16]].concat()),
                one("2"),
            ),
            (
                "its source is missing",
                query(0, "ff02::2", &[2, 125, 0, 1]),
                String::new(),
            ),
            (
                "all with a source",
                query(0, "::", &[&[2, 125, 0, 1][..], &[9; 16]].concat()),
                String::new(),
            ),
            ("the node's", query(0, "ff01::2", USUAL), String::new()),
            ("all nodes", query(0, "ff02::1", USUAL), String::new()),
            ("not joined", query(0, "ff02::99", USUAL), String::new()),
            ("no group", query(0, "2001:db8::1", USUAL), String::new()),
            ("between the versions", query(0, "::", &[2, 125, 0]), String::new()),
            ("from afar", from("2001:db8::2"), String::new()),
            ("from nobody", from("::"), String::new()),
            (
                "through a router",
                Make {
                    hop_limit: 64,
                    ..query(0, "::", USUAL)
                },
                String::new(),
            ),
            (
                "without an alert",
                Make {
                    headers: Vec::new(),
                    ..query(0, "::", USUAL)
                },
                String::new(),
            ),
        ] {
            let mut asked = Asked::new();
            let mut make = make;
            if make.source != query(0, "::", USUAL).source {
                let ends = (make.source, make.destination);
                make.transport = icmpv6::emit(ends, (130, 0), 0, &make.transport[8..]);
            }
            asked.asks(&make);
            assert_eq!(asked.after(0), expected, "{what}");
        }
        let alert = |value: &[u8]| {
            let bare = Make {
                headers: Vec::new(),
                ..query(0, "::", USUAL)
            };
            let mut asked = Asked::new();
            asked.asks(&bare.with_options(extension::HOP_BY_HOP, value));
            !asked.after(0).is_empty()
        };
        assert_eq!(
            [alert(&[5, 2, 0, 0]), alert(&[5, 2, 0, 1]), alert(&[0x1e, 0])],
            [true, false, false]
        );
        assert!(alert(&[0x1e, 1, 7, 0, 5, 2, 0, 0]));
        assert_eq!(
            said(&net(), &icmp("fe80::2", "fe80::1", 130, 0, b"abc")),
            "NOT_SPECIFIED"
        );
    }

    #[test]
    fn who_speaks_the_first_version_is_answered_in_it_as_long_as_it_counts() {
        let mut asked = Asked::new();
        asked.asks(&query(2, "::", &[]));
        assert_eq!(asked.after(1), OLD.join("; "));
        asked.asks(&query(2, "ff02::2", USUAL));
        assert_eq!(asked.after(1), OLD[1]);
        // Twice 125 seconds, and ten.
        asked.asks(&query(0, "::", &[]));
        asked.after(259_999);
        asked.asks(&query(0, "::", USUAL));
        assert_eq!(asked.after(0), OLD.join("; "));
        asked.after(1);
        asked.asks(&query(1_000, "::", &[1, 1, 0, 0]));
        assert_eq!(asked.after(500), BOTH);
        // What that one said: two seconds, for less than twice is nobody's word, and its own.
        asked.asks(&query(0, "::", &[]));
        assert_eq!(asked.after(2_999), OLD.join("; "));
        asked.asks(&query(0, "::", &[7, 99, 0, 0]));
        assert_eq!(asked.after(0), OLD.join("; "));
        asked.after(1);
        asked.asks(&query(0, "::", USUAL));
        assert_eq!(asked.after(0), BOTH);
    }

    #[test]
    fn a_version_that_is_forced() {
        let mut asked = Asked::new();
        let key = |of: &str| format!("net.ipv6.conf.{of}.force_mld_version");
        asked.net.sysctl_set(&key("lan"), "1").unwrap();
        asked.asks(&query(0, "::", USUAL));
        assert_eq!(asked.after(0), OLD.join("; "));
        asked.net.sysctl_set(&key("all"), "2").unwrap();
        asked.asks(&query(0, "::", &[]));
        assert_eq!(asked.after(0), "");
        asked.asks(&query(0, "::", USUAL));
        assert_eq!(asked.after(0), BOTH);
    }

    #[test]
    fn what_is_due_is_told_once() {
        let mut asked = Asked::new();
        asked.asks(&query(4_000, "::", USUAL));
        asked.asks(&query(2, "::", USUAL));
        assert_eq!(asked.after(1), BOTH);
        assert_eq!(asked.after(4_000), "");
        // A group of which it is told soon is not told later, and one of which it is told late is told soon.
        asked.asks(&query(100, "ff02::2", USUAL));
        asked.asks(&query(4_000, "ff02::2", USUAL));
        assert!(asked.after(50).ends_with("of 2"));
        assert_eq!(asked.after(4_000), "");
        asked.asks(&query(4_000, "ff02::2", USUAL));
        asked.asks(&query(100, "ff02::2", USUAL));
        assert!(asked.after(50).ends_with("of 2"));
        // Who speaks the first version is not answered in the second, too.
        asked.asks(&query(10, "::", USUAL));
        asked.asks(&query(10, "::", &[]));
        assert_eq!(asked.after(10), OLD.join("; "));
    }

    #[test]
    fn what_the_link_is_by_then_counts() {
        let mut asked = Asked::new();
        asked.asks(&query(10, "::", USUAL));
        asked.net.sysctl_set("net.ipv6.conf.all.forwarding", "0").unwrap();
        assert_eq!(asked.after(10), "");
        assert!(matches!(
            asked.asks(&query(10, "::", USUAL)),
            Answer::Dropped(DropReason::NoGroups)
        ));
        asked.net.sysctl_set("net.ipv6.conf.all.forwarding", "1").unwrap();
        asked.asks(&query(10, "::", USUAL));
        let un = Make {
            input: InterfaceId(4),
            ..query(10, "::", USUAL)
        };
        asked.asks(&un);
        asked.net.set_link_up(LAN, false).unwrap();
        asked.net.forget_questions(&asked.host);
        asked.net.set_link_up(LAN, true).unwrap();
        assert_eq!(asked.after(10), BOTH.replace("lan fe80::1", "un ::"));
        asked.asks(&Make {
            input: WAN,
            ..query(10, "::", USUAL)
        });
        assert_eq!(asked.after(10), BOTH.replace("lan", "wan"));
    }
}
