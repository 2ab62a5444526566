//! What a rule asks: the built-in matches and every `-m` with all of its options.

use super::draw::Draw;
use super::rules::Place;

/// `-p` of a rule, as far as the rest of the rule depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Any,
    /// A plain `-p` with this number.
    Is(u8),
    /// Inverted, so that nothing of the protocol may be asked.
    Not,
}

/// The selector, then matches. Few rules ask much, since a packet rarely answers to it.
pub fn matches(draw: &mut Draw, place: &Place, rule: &mut String) -> Protocol {
    selector(draw, place, rule);
    let protocol = protocol(draw, rule);
    let is = |numbers: &[u8]| matches!(protocol, Protocol::Is(number) if numbers.contains(&number));
    if is(&[6]) && draw.one_in(2) {
        tcp(draw, rule);
    }
    if is(&[17]) && draw.one_in(2) {
        udp(draw, rule);
    }
    if is(&[1]) && draw.one_in(2) {
        icmp(draw, rule);
    }
    if is(&[6, 17, 33, 132, 136]) && draw.one_in(4) {
        multiport(draw, rule);
    }
    if place.tracked && draw.one_in(4) {
        state(draw, rule);
    }
    if place.tracked && draw.one_in(6) {
        conntrack(draw, rule);
    }
    if draw.one_in(12) {
        mark(draw, rule);
    }
    if draw.one_in(12) {
        addrtype(draw, place, rule);
    }
    if draw.one_in(20) {
        limit(draw, rule);
    }
    if draw.one_in(15) {
        comment(draw, rule);
    }
    protocol
}

fn selector(draw: &mut Draw, place: &Place, rule: &mut String) {
    if draw.one_in(5) {
        *rule += &format!(" {}-s {}", draw.not(5), draw.pick(SOURCES));
    }
    if draw.one_in(5) {
        *rule += &format!(" {}-d {}", draw.not(5), draw.pick(DESTINATIONS));
    }
    if draw.one_in(6) && place.may_ask_input() {
        *rule += &format!(" {}-i {}", draw.not(5), draw.pick(INTERFACES));
    }
    if draw.one_in(6) && place.may_ask_output() {
        *rule += &format!(" {}-o {}", draw.not(5), draw.pick(INTERFACES));
    }
    if draw.one_in(25) {
        *rule += &format!(" {}-f", draw.not(2));
    }
}

const SOURCES: &[&str] = &[
    "10.0.0.0/24",
    "10.0.0.2",
    "10.0.0.0/25",
    "10.0.0.128/255.255.255.128",
    "192.0.2.0/28",
    "192.0.2.9/32",
    "198.51.100.0/24",
    "172.16.0.0/12",
    "0.0.0.2/0.0.0.255",
    "10.0.0.1/255.0.0.3",
    "0.0.0.0/0",
    "0.0.0.1/0.0.0.1",
];

const DESTINATIONS: &[&str] = &[
    "10.0.0.0/24",
    "10.0.0.2",
    "10.0.0.3/255.255.255.254",
    "10.0.0.1",
    "192.0.2.1",
    "192.0.2.0/28",
    "192.0.2.96/29",
    "203.0.113.0/24",
    "172.16.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255",
    "127.0.0.0/8",
    "0.0.0.9/0.0.0.255",
    "128.0.0.0/128.0.0.1",
];

const INTERFACES: &[&str] = &["lan", "lan", "wan", "wan", "wa+", "l+", "+", "lo", "dmz", "eth0"];

fn protocol(draw: &mut Draw, rule: &mut String) -> Protocol {
    let (name, number) = draw.pick(PROTOCOLS);
    if name.is_empty() {
        return Protocol::Any;
    }
    if draw.one_in(8) && number != 0 {
        *rule += &format!(" ! -p {name}");
        return Protocol::Not;
    }
    *rule += &format!(" -p {name}");
    if number == 0 {
        Protocol::Any
    } else {
        Protocol::Is(number)
    }
}

const PROTOCOLS: &[(&str, u8)] = &[
    ("", 0),
    ("", 0),
    ("", 0),
    ("", 0),
    ("", 0),
    ("", 0),
    ("tcp", 6),
    ("tcp", 6),
    ("tcp", 6),
    ("6", 6),
    ("udp", 17),
    ("udp", 17),
    ("17", 17),
    ("icmp", 1),
    ("1", 1),
    ("gre", 47),
    ("47", 47),
    ("esp", 50),
    ("sctp", 132),
    ("dccp", 33),
    ("udplite", 136),
    ("igmp", 2),
    ("all", 0),
    ("0", 0),
];

fn tcp(draw: &mut Draw, rule: &mut String) {
    if draw.one_in(3) {
        *rule += " -m tcp";
    }
    if draw.one_in(3) {
        *rule += &format!(" {}--sport {}", draw.not(6), draw.pick(CLIENT_PORTS));
    }
    if draw.one_in(2) {
        *rule += &format!(" {}--dport {}", draw.not(6), draw.pick(SERVER_PORTS));
    }
    match draw.below(8) {
        0 => *rule += &format!(" {}--syn", draw.not(3)),
        1 => *rule += &format!(" {}--tcp-flags {}", draw.not(4), draw.pick(FLAGS)),
        _ => {}
    }
    if draw.one_in(10) {
        // Window scaling, selective acks, timestamps, MSS, and some that nobody sends.
        *rule += &format!(
            " {}--tcp-option {}",
            draw.not(3),
            draw.pick(&[1, 2, 3, 4, 5, 8, 30, 255])
        );
    }
}

const FLAGS: &[&str] = &[
    "SYN,ACK ACK",
    "SYN,ACK SYN,ACK",
    "ALL NONE",
    "ALL ALL",
    "FIN,RST FIN",
    "RST RST",
    "ACK,PSH,URG PSH,ACK",
    "SYN,FIN SYN,FIN",
    "FIN,SYN,RST,ACK SYN",
    "NONE NONE",
];

const SERVER_PORTS: &[&str] = &[
    "21",
    "22",
    "53",
    "80",
    "80",
    "443",
    "8080",
    "3128",
    "http",
    "domain",
    "1:1023",
    "1024:",
    ":100",
    "0",
    "8000:8010",
    "20:25",
    "65535",
    "ssh:https",
    ":",
];

const CLIENT_PORTS: &[&str] = &[
    "20000:20999",
    "20000:20010",
    "30000:33999",
    "1024:",
    "1024:65535",
    ":1023",
    "53",
    "0",
    "20",
    "21000",
];

fn udp(draw: &mut Draw, rule: &mut String) {
    if draw.one_in(3) {
        *rule += " -m udp";
    }
    if draw.one_in(2) {
        *rule += &format!(" {}--sport {}", draw.not(6), draw.pick(CLIENT_PORTS));
    }
    if draw.one_in(2) {
        *rule += &format!(
            " {}--dport {}",
            draw.not(6),
            draw.pick(&["53", "domain", "80", "443", "1:1023", "1024:", "0", ":"])
        );
    }
}

fn icmp(draw: &mut Draw, rule: &mut String) {
    if draw.one_in(3) {
        *rule += " -m icmp";
    }
    *rule += &format!(" {}--icmp-type {}", draw.not(5), draw.pick(ICMP_TYPES));
}

const ICMP_TYPES: &[&str] = &[
    "echo-request",
    "echo-request",
    "ping",
    "8",
    "8/0",
    "8/0:1",
    "echo-reply",
    "pong",
    "0",
    "any",
    "255",
    "destination-unreachable",
    "3",
    "3/3",
    "3/0:3",
    "network-unreachable",
    "host-unreachable",
    "protocol-unreachable",
    "port-unreachable",
    "fragmentation-needed",
    "3/4",
    "source-route-failed",
    "network-unknown",
    "host-unknown",
    "network-prohibited",
    "host-prohibited",
    "TOS-network-unreachable",
    "TOS-host-unreachable",
    "communication-prohibited",
    "host-precedence-violation",
    "precedence-cutoff",
    "source-quench",
    "redirect",
    "network-redirect",
    "host-redirect",
    "TOS-network-redirect",
    "TOS-host-redirect",
    "router-advertisement",
    "router-solicitation",
    "time-exceeded",
    "ttl-exceeded",
    "ttl-zero-during-transit",
    "ttl-zero-during-reassembly",
    "parameter-problem",
    "ip-header-bad",
    "required-option-missing",
    "timestamp-request",
    "timestamp-reply",
    "address-mask-request",
    "address-mask-reply",
    "0x0b/0",
];

fn multiport(draw: &mut Draw, rule: &mut String) {
    let which = draw.pick(&[
        "dports",
        "dports",
        "sports",
        "ports",
        "destination-ports",
        "source-ports",
    ]);
    let list = draw.pick(&[
        "22,53,80,1000:50000",
        "80",
        "21,22,25,80,443",
        "1:1023",
        "1:20,22:52,54:79,81:442,444:8079,8081:19999",
        "20000:20999,30000:31999",
        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,80",
        "0,53",
    ]);
    *rule += &format!(" -m multiport {}--{which} {list}", draw.not(5));
}

fn state(draw: &mut Draw, rule: &mut String) {
    let list = draw.pick(STATES);
    *rule += &match draw.below(4) {
        0 => format!(" -m state {}--state {list}", draw.not(6)),
        1 => format!(
            " -m conntrack {}--ctstate {list},{}",
            draw.not(6),
            draw.pick(&["SNAT", "DNAT", "SNAT,DNAT"])
        ),
        2 => format!(
            " -m conntrack {}--ctstate {}",
            draw.not(3),
            draw.pick(&["SNAT", "DNAT"])
        ),
        _ => format!(" -m conntrack {}--ctstate {list}", draw.not(6)),
    };
}

const STATES: &[&str] = &[
    "NEW",
    "NEW",
    "ESTABLISHED",
    "ESTABLISHED",
    "RELATED",
    "INVALID",
    "UNTRACKED",
    "NEW,ESTABLISHED",
    "RELATED,ESTABLISHED",
    "RELATED,ESTABLISHED",
    "NEW,RELATED",
    "INVALID,UNTRACKED",
    "NEW,INVALID,RELATED,ESTABLISHED,UNTRACKED",
];

/// The other questions to a flow.
fn conntrack(draw: &mut Draw, rule: &mut String) {
    *rule += " -m conntrack";
    // Seen: an inverted --ctstatus before `--ctproto 0` is an error; zero is not asked for.
    if draw.one_in(3) {
        *rule += &format!(
            " {}--ctproto {}",
            draw.not(5),
            draw.pick(&["tcp", "udp", "icmp", "6", "17", "gre", "132", "UDP"])
        );
    }
    for (name, addresses) in [
        ("ctorigsrc", SOURCES),
        ("ctorigdst", DESTINATIONS),
        ("ctreplsrc", DESTINATIONS),
        ("ctrepldst", REPLY_DESTINATIONS),
    ] {
        if draw.one_in(8) {
            *rule += &format!(" {}--{name} {}", draw.not(4), draw.pick(addresses));
        }
    }
    for (name, ports) in [
        ("ctorigsrcport", &["20000:20999", "1024:65535", "53", "21000", "0"][..]),
        ("ctorigdstport", &["80", "53", "1:1023", "21:22", "8080"]),
        ("ctreplsrcport", &["80", "53", "443", "8000:8010", "9000:9010", "8080"]),
        ("ctrepldstport", REPLY_PORTS),
    ] {
        if draw.one_in(8) {
            *rule += &format!(" {}--{name} {}", draw.not(4), draw.pick(ports));
        }
    }
    if draw.one_in(4) {
        let list = draw.pick(&[
            "NONE",
            "EXPECTED",
            "SEEN_REPLY",
            "ASSURED",
            "CONFIRMED",
            "CONFIRMED,ASSURED",
            "EXPECTED,SEEN_REPLY",
        ]);
        *rule += &format!(" {}--ctstatus {list}", draw.not(3));
    }
    if draw.one_in(4) {
        *rule += &format!(" {}--ctexpire {}", draw.not(4), draw.pick(EXPIRES));
    }
    *rule += match draw.below(6) {
        0 => " --ctdir ORIGINAL",
        1 => " --ctdir REPLY",
        // One question at least.
        _ if rule.ends_with("-m conntrack") => " --ctdir ORIGINAL",
        _ => "",
    };
}

const REPLY_DESTINATIONS: &[&str] = &[
    "192.0.2.1",
    "192.0.2.96/29",
    "192.0.2.100",
    "10.0.0.0/24",
    "192.0.2.1/255.255.255.0",
];

/// A port that NAT draws must answer alike whichever it is: it comes out of 1 to 511, 600 to 1023, 1024 to 65535, or the range that a rule names
/// (all within 6000 to 6999), so these are whole or not touched.
const REPLY_PORTS: &[&str] = &["2000", "2001", "1:511", "1:1023", "6000:6999", "1024:65535", "0"];

/// Bounds lie five seconds or more above and well below what is left to any flow that was just seen, or 0 to one that is new.
const EXPIRES: &[&str] = &[
    "0:4",
    "4:22",
    "22:52",
    "52:75",
    "75:105",
    "105:150",
    "150:400",
    "400:1000",
    "1000:4294967295",
    "0",
];

fn mark(draw: &mut Draw, rule: &mut String) {
    *rule += &format!(" -m mark {}--mark {}", draw.not(4), draw.pick(MARKS));
}

pub const MARKS: &[&str] = &["0", "1", "0x0/0xff", "5/7", "0x4/0x4", "4/1", "0xffffffff", "0/0"];

fn addrtype(draw: &mut Draw, place: &Place, rule: &mut String) {
    *rule += " -m addrtype";
    let which = draw.below(3);
    if which != 0 {
        *rule += &format!(" {}--src-type {}", draw.not(4), draw.pick(ADDRESS_TYPES));
    }
    if which != 1 {
        *rule += &format!(" {}--dst-type {}", draw.not(4), draw.pick(ADDRESS_TYPES));
    }
    if draw.one_in(4) {
        if place.may_limit_to_input() && draw.one_in(2) {
            *rule += " --limit-iface-in";
        } else if place.may_limit_to_output() {
            *rule += " --limit-iface-out";
        }
    }
}

const ADDRESS_TYPES: &[&str] = &[
    "LOCAL",
    "LOCAL",
    "UNICAST",
    "UNICAST,LOCAL",
    "BROADCAST",
    "MULTICAST",
    "BROADCAST,MULTICAST",
    "UNSPEC",
    "ANYCAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

/// Rates that bring no token while a scenario runs.
fn limit(draw: &mut Draw, rule: &mut String) {
    *rule += " -m limit";
    // Seen: the kernel refuses what its credits cannot hold, which is all but one or two packets a day.
    if draw.one_in(5) {
        *rule += draw.pick(&[" --limit 1/day --limit-burst 1", " --limit 2/d --limit-burst 2"]);
        return;
    }
    if !draw.one_in(5) {
        *rule += &format!(" --limit {}", draw.pick(&["1/hour", "3/hour", "10/day", "1/h"]));
    }
    if !draw.one_in(3) {
        *rule += &format!(" --limit-burst {}", draw.pick(&[1, 2, 5, 10, 20]));
    }
}

fn comment(draw: &mut Draw, rule: &mut String) {
    *rule += draw.pick(&[
        " -m comment --comment web",
        " -m comment --comment \"allow what we asked for\"",
        " -m comment --comment \"it's a \\\"test\\\"\"",
        " -m comment --comment -x",
    ]);
}
