//! The sentence of each match about a packet that fails it: one case at least for every option of the registry, so that a new match without a
//! tested sentence fails here.

use std::num::NonZeroU64;

use super::testing::{ANY, Bench, ICMP, P, TCP, UDP, ip, read_match, tcp, udp, udp_reply};
use super::{MATCHES, MatchSpec};
use crate::base::protocol;
use crate::packet::Packet;
use crate::rule::Matched;
use crate::wire::tcp::flags;

struct Case {
    spec: &'static str,
    p: P,
    typed: &'static str,
    packet: fn() -> Packet,
    sentence: &'static str,
}

const fn case(spec: &'static str, p: P, typed: &'static str, packet: fn() -> Packet, sentence: &'static str) -> Case {
    Case {
        spec,
        p,
        typed,
        packet,
        sentence,
    }
}

/// Options that no packet fails by: what they do shows in another option's sentence, or nowhere.
const NEVER_FAIL: &[(&str, &str)] = &[
    ("addrtype", "limit-iface-in"),
    ("addrtype", "limit-iface-out"),
    ("comment", "comment"),
    ("limit", "limit-burst"),
];

const CASES: &[Case] = &[
    case(
        "addrtype",
        ANY,
        "--src-type LOCAL",
        datagram,
        "--src-type LOCAL: packet is from 10.0.0.2, which is UNICAST",
    ),
    case(
        "addrtype",
        ANY,
        "--dst-type BROADCAST,MULTICAST",
        datagram,
        "--dst-type BROADCAST,MULTICAST: packet is for 192.0.2.9, which is UNICAST",
    ),
    case(
        "addrtype",
        ANY,
        "! --dst-type UNICAST",
        datagram,
        "! --dst-type UNICAST: packet is for 192.0.2.9, which is UNICAST",
    ),
    case(
        "conntrack",
        ANY,
        "--ctstate NEW",
        udp_reply,
        "--ctstate NEW: flow is ESTABLISHED since packet 3",
    ),
    case("conntrack", ANY, "--ctproto tcp", udp_reply, "--ctproto 6: flow has 17"),
    case(
        "conntrack",
        ANY,
        "--ctorigsrc 10.0.0.9",
        udp_reply,
        "--ctorigsrc 10.0.0.9: flow has 10.0.0.2",
    ),
    case(
        "conntrack",
        ANY,
        "--ctorigdst 10.0.0.9",
        udp_reply,
        "--ctorigdst 10.0.0.9: flow has 192.0.2.9",
    ),
    case(
        "conntrack",
        ANY,
        "--ctreplsrc 10.0.0.9",
        udp_reply,
        "--ctreplsrc 10.0.0.9: flow has 192.0.2.9",
    ),
    case(
        "conntrack",
        ANY,
        "--ctrepldst 10.0.0.9",
        udp_reply,
        "--ctrepldst 10.0.0.9: flow has 10.0.0.2",
    ),
    case(
        "conntrack",
        ANY,
        "--ctorigsrcport 53",
        udp_reply,
        "--ctorigsrcport 53: flow has 1000",
    ),
    case(
        "conntrack",
        ANY,
        "--ctorigdstport 80:90",
        udp_reply,
        "--ctorigdstport 80:90: flow has 53",
    ),
    case(
        "conntrack",
        ANY,
        "--ctreplsrcport 80",
        udp_reply,
        "--ctreplsrcport 80: flow has 53",
    ),
    case(
        "conntrack",
        ANY,
        "--ctrepldstport 80",
        udp_reply,
        "--ctrepldstport 80: flow has 1000",
    ),
    case(
        "conntrack",
        ANY,
        "--ctstatus ASSURED",
        udp_reply,
        "--ctstatus ASSURED: flow has SEEN_REPLY,CONFIRMED",
    ),
    case(
        "conntrack",
        ANY,
        "--ctexpire 1:9",
        udp_reply,
        "--ctexpire 1:9: flow has 30",
    ),
    case(
        "conntrack",
        ANY,
        "--ctdir ORIGINAL",
        udp_reply,
        "--ctdir ORIGINAL: packet goes REPLY",
    ),
    case(
        "icmp",
        ICMP,
        "--icmp-type echo-request",
        echo_reply,
        "--icmp-type 8: packet has 0/0",
    ),
    case(
        "icmp",
        ICMP,
        "--icmp-type 3",
        cut_icmp,
        "icmp: packet's ICMP header is cut short",
    ),
    case(
        "limit",
        ANY,
        "--limit 3/min --limit-burst 1",
        datagram,
        "--limit 3/min: 0.00 of 1 token",
    ),
    case("mark", ANY, "--mark 0x5", datagram, "--mark 0x5: packet has 0x0"),
    case(
        "mark",
        ANY,
        "! --mark 0/0xff",
        datagram,
        "! --mark 0x0/0xff: packet has 0x0",
    ),
    case(
        "multiport",
        UDP,
        "--sports 80,443",
        datagram,
        "--sports 80,443: packet has 1000",
    ),
    case(
        "multiport",
        UDP,
        "--dports 80,440:450",
        datagram,
        "--dports 80,440:450: packet has 53",
    ),
    case(
        "multiport",
        UDP,
        "--ports 80",
        datagram,
        "--ports 80: packet has 1000 and 53",
    ),
    case(
        "multiport",
        UDP,
        "--ports 80",
        later_fragment,
        "multiport: packet is a later fragment without ports",
    ),
    case(
        "state",
        ANY,
        "--state NEW",
        udp_reply,
        "--state NEW: flow is ESTABLISHED since packet 3",
    ),
    case(
        "state",
        ANY,
        "! --state ESTABLISHED",
        udp_reply,
        "! --state ESTABLISHED: flow is ESTABLISHED since packet 3",
    ),
    case("tcp", TCP, "--sport 80", syn, "--sport 80: packet has 40000"),
    case("tcp", TCP, "--dport 80", syn, "--dport 80: packet has 443"),
    case(
        "tcp",
        TCP,
        "! --dport 400:500",
        syn,
        "! --dport 400:500: packet has 443",
    ),
    case("tcp", TCP, "--tcp-option 8", syn, "--tcp-option 8: packet has none"),
    case(
        "tcp",
        TCP,
        "--tcp-flags SYN,ACK SYN,ACK",
        syn,
        "--tcp-flags SYN,ACK SYN,ACK: packet has SYN",
    ),
    case(
        "tcp",
        TCP,
        "! --syn",
        syn,
        "! --tcp-flags FIN,SYN,RST,ACK SYN: packet has SYN",
    ),
    case("udp", UDP, "--sport 80", datagram, "--sport 80: packet has 1000"),
    case("udp", UDP, "--dport 80", datagram, "--dport 80: packet has 53"),
    case(
        "udp",
        UDP,
        "--dport 80",
        later_fragment,
        "udp: packet is a later fragment without a UDP header",
    ),
];

fn datagram() -> Packet {
    udp(1000, 53, &[])
}

fn syn() -> Packet {
    tcp(40_000, 443, flags::SYN, &[])
}

fn echo_reply() -> Packet {
    ip(protocol::ICMP, 0, &[0; 8])
}

fn cut_icmp() -> Packet {
    ip(protocol::ICMP, 0, &[8, 0])
}

fn later_fragment() -> Packet {
    ip(protocol::UDP, 3, &[0; 8])
}

fn spec(name: &str) -> &'static MatchSpec {
    MATCHES
        .iter()
        .find(|spec| spec.name == name)
        .unwrap_or_else(|| panic!("no match {name}"))
}

/// A bench whose flow was answered by packet 3.
fn bench(packet: &mut Packet) -> Bench {
    let (mut bench, _, _) = Bench::with_addresses();
    bench.track(packet);
    bench.tracking.since = NonZeroU64::new(3);
    bench
}

#[test]
fn why_a_packet_failed() {
    for case in CASES {
        let made =
            read_match(spec(case.spec), case.p, case.typed).unwrap_or_else(|why| panic!("{}: {why}", case.typed));
        let mut packet = (case.packet)();
        let bench = bench(&mut packet);
        let state = made.state(bench.now);
        let cx = bench.context(&packet, state.as_deref());
        // What has tokens fails once they are used up.
        let mut tries = 0;
        while made.evaluate(&cx) == Matched::Yes {
            tries += 1;
            assert!(tries < 100, "{} {} does not fail", case.spec, case.typed);
        }
        assert_eq!(made.explain(&cx), case.sentence, "{} {}", case.spec, case.typed);
    }
}

#[test]
fn every_option_of_every_match_has_its_sentence() {
    for spec in MATCHES {
        for option in spec.options {
            let never_fails = NEVER_FAIL.contains(&(spec.name, option.name));
            let typed = format!("--{} ", option.name);
            let is_tested = CASES
                .iter()
                .any(|case| case.spec == spec.name && format!("{} ", case.typed).contains(&typed));
            assert!(
                is_tested || never_fails,
                "no case here says why a packet fails -m {} --{}",
                spec.name,
                option.name
            );
        }
        let fails = CASES.iter().any(|case| case.spec == spec.name);
        assert!(fails || spec.name == "comment", "no case for -m {}", spec.name);
    }
}

/// A sentence may be asked for when the state is long another: what a match keeps of it says the same then.
#[test]
fn what_is_remembered_tells_the_same_later() {
    for case in CASES {
        let made = read_match(spec(case.spec), case.p, case.typed).unwrap();
        let mut packet = (case.packet)();
        let mut bench = bench(&mut packet);
        let Some(state) = made.state(bench.now) else { continue };
        while made.evaluate(&bench.context(&packet, Some(state.as_ref()))) == Matched::Yes {}
        let then = bench.now;
        let cx = bench.context(&packet, Some(state.as_ref()));
        let sentence = made.explain(&cx);
        let remembered = made.remember(&cx);
        let remembered = remembered.unwrap_or_else(|| panic!("-m {} has state, and remembers none of it", case.spec));
        bench.now = bench.now + std::time::Duration::from_secs(10);
        let _ = made.evaluate(&bench.context(&packet, Some(state.as_ref())));
        bench.now = then;
        assert_ne!(made.explain(&bench.context(&packet, Some(state.as_ref()))), sentence);
        assert_eq!(
            made.explain(&bench.context(&packet, Some(remembered.as_ref()))),
            sentence
        );
    }
}
