//! A packet whose like has gone before goes a short way, and nobody can tell: a lab whose packets may go it and one whose packets are watched, and so go
//! the long way, are given the same packets and the same commands, drawn at random, and have to say the same of everything that can be asked.
//!
//! `NFLAB_FUZZ_SEED` and `NFLAB_FUZZ_SECONDS` choose other runs; a failure names the seed of its own round.

#[path = "hostile/rounds.rs"]
mod rounds;
#[allow(dead_code, reason = "its knobs are drawn for another test")]
#[path = "hostile/rules.rs"]
mod rules;
#[path = "twin/instrument/generate/translated.rs"]
mod translated;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use etherparse::PacketBuilder;
use nflab::base::{Family, InterfaceId, Random};
use nflab::cli::TOOLBOX;
use nflab::conntrack::Flow;
use nflab::engine::{Event, Observer};
use nflab::ext::{MATCHES, MatchSpec};
use nflab::lab::file::LabFile;
use nflab::lab::memory::Lab;
use nflab::packet::{ChecksumState, Offload};
use nflab::rule::{Action, HangsOn, Match, Rule, Table};
use nflab::wire::{checksum, tcp::flags};

#[test]
fn nobody_can_tell() {
    let (mut carried, mut short) = (0, 0);
    let seeds = rounds::rounds(|seed| {
        let (packets, went_short) = round(seed);
        carried += packets;
        short += went_short;
    });
    eprintln!("{carried} packets in rounds {seeds:?}, {short} of them the short way");
    assert!(short * 8 > carried, "too few go the short way to say anything");
}

/// A route leads through `lo` what tracking finds INVALID, so it goes round until its time to live is over: each packet may do so as often as one that
/// came alone.
#[test]
fn packets_that_came_together_go_round_as_often_as_others() {
    let file = LabFile::parse("lab", LAB).unwrap();
    let labs = [0, 1].map(|_| Lab::new(&file, 1, TOOLBOX).unwrap());
    let mut two = Two { labs, told: Vec::new() };
    two.tool("sysctl", &["-w net.ipv4.ip_forward=1"], "");
    two.tool("ip", &["route add 203.0.113.0/24 dev lo"], "");
    let rules = "*nat\n-A PREROUTING -d 203.0.113.7 -j DNAT --to-destination 198.51.100.7\nCOMMIT\n\
        *filter\n-A FORWARD -m state --state NEW -j ACCEPT\nCOMMIT\n";
    two.tool("iptables-restore", &[], rules);
    let (near, server, behind) = (([10, 0, 0, 2], 4000), ([203, 0, 113, 7], 80), ([198, 51, 100, 7], 80));
    two.carry(LAN, &segment(near, server, (0, flags::SYN)));
    two.carry(WAN, &segment(behind, near, (0, flags::SYN | flags::ACK)));
    let plain = (LAN, segment(near, server, (1, flags::ACK)));
    for _ in 0..4 {
        two.carry(LAN, &plain.1);
    }
    let before = two.labs[0].worker().went_short();
    let far_out = (LAN, segment(near, server, (1 << 30, flags::ACK)));
    two.carry_together(&[plain, far_out.clone(), far_out.clone(), far_out.clone(), far_out]);
    assert_eq!(two.labs[0].worker().went_short(), before + 1);
    two.ask_everything();
}

/// Of a packet that goes a short way nobody sees a mark, but where tracking finds that it must go on the long one.
#[test]
fn marks_of_rules_before_tracking_are_there_for_rules_behind_it() {
    let file = LabFile::parse("lab", LAB).unwrap();
    let labs = [0, 1].map(|_| Lab::new(&file, 1, TOOLBOX).unwrap());
    let mut two = Two { labs, told: Vec::new() };
    two.tool("sysctl", &["-w net.ipv4.ip_forward=1"], "");
    let rules = "*raw\n-A PREROUTING -j MARK --set-mark 5\nCOMMIT\n*filter\n-A FORWARD -m mark --mark 5 -m state --state INVALID\n\
        -A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n";
    two.tool("iptables-restore", &[], rules);
    let (near, server) = (([10, 0, 0, 2], 4000), ([203, 0, 113, 7], 80));
    two.carry(LAN, &segment(near, server, (0, flags::SYN)));
    two.carry(WAN, &segment(server, near, (0, flags::SYN | flags::ACK)));
    for sequence in [1, 1, 1, 1, 1 << 30, 1, 1 << 30] {
        two.carry(LAN, &segment(near, server, (sequence, flags::ACK)));
    }
    assert!(two.labs[0].worker().went_short() > 2);
    two.ask_everything();
}

/// A segment without data.
fn segment(from: ([u8; 4], u16), to: ([u8; 4], u16), (sequence, flags): (u32, u8)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4(from.0, to.0, 200).tcp(from.1, to.1, sequence, 60_000);
    builder.ack(1).write(&mut bytes, &[]).unwrap();
    bytes[33] = flags;
    mend(&mut bytes, true);
    bytes
}

/// Packets that differ in TCP's flags alone are alike where no rule asks for these, and nowhere else.
#[test]
fn flags_of_tcp_count_where_a_rule_asks_for_them() {
    let file = LabFile::parse("lab", LAB).unwrap();
    for (rule, are_alike) in [
        ("-p tcp -m tcp --dport 80", true),
        ("-p tcp -m tcp --tcp-flags URG URG", true),
        ("-p tcp -m tcp --tcp-flags PSH PSH", false),
        ("-p tcp -m tcp ! --tcp-flags PSH PSH", false),
    ] {
        let labs = [0, 1].map(|_| Lab::new(&file, 1, TOOLBOX).unwrap());
        let mut two = Two { labs, told: Vec::new() };
        two.tool("sysctl", &["-w net.ipv4.ip_forward=1"], "");
        let rules =
            format!("*filter\n-A FORWARD {rule}\n-A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n");
        two.tool("iptables-restore", &[], &rules);
        let (near, server) = (([10, 0, 0, 2], 4000), ([203, 0, 113, 7], 80));
        let mut send = |interface, from: ([u8; 4], u16), to: ([u8; 4], u16), sequence, flags: u8| {
            let mut bytes = Vec::new();
            let builder = PacketBuilder::ipv4(from.0, to.0, 64).tcp(from.1, to.1, sequence, 60_000);
            builder.ack(1).write(&mut bytes, &[]).unwrap();
            bytes[33] = flags;
            mend(&mut bytes, true);
            let before = two.labs[0].worker().went_short();
            two.carry(interface, &bytes);
            two.labs[0].worker().went_short() - before
        };
        send(LAN, near, server, 0, flags::SYN);
        send(WAN, server, near, 0, flags::SYN | flags::ACK);
        for _ in 0..4 {
            send(LAN, near, server, 1, flags::ACK);
        }
        let first_with_others = send(LAN, near, server, 1, flags::ACK | flags::PSH);
        assert_eq!(first_with_others == 1, are_alike, "{rule}");
        for at in 0..12 {
            send(
                LAN,
                near,
                server,
                1,
                if at % 3 == 0 {
                    flags::ACK | flags::PSH
                } else {
                    flags::ACK
                },
            );
        }
        two.ask_everything();
    }
}

/// Firewalls ask each packet for routing headers and the like: those without any are alike to them.
#[test]
fn who_asks_for_extension_headers_does_not_keep_others_from_short_ways() {
    let file = LabFile::parse("lab", LAB_OF_IPV6).unwrap();
    // What IPv6 alone has, but for the match that asks for hops, in which plain packets differ.
    let asks_for_headers =
        |spec: &&MatchSpec| *spec.families == [Family::V6] && spec.protocol.is_none() && spec.name != "hl";
    let mut tried = 0;
    for spec in MATCHES.iter().filter(|spec| asks_for_headers(spec)) {
        let sample = spec
            .samples
            .taken
            .iter()
            .rfind(|sample| sample.before.is_empty())
            .unwrap();
        let matches = format!("-m {} {}", spec.name, sample.typed);
        tried += 1;
        let labs = [0, 1].map(|_| Lab::new(&file, 1, TOOLBOX).unwrap());
        let mut two = Two { labs, told: Vec::new() };
        let rules = format!(
            "*filter\n-A FORWARD {matches} -j DROP\n-A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n"
        );
        assert_eq!(two.tool("ip6tables-restore", &[], &rules), "0 ", "{rules}");
        let (near, far) = (host("2001:db8::2"), host("2001:db8:1::7"));
        let mut plain = Vec::new();
        let builder = PacketBuilder::ipv6(near, far, 64).udp(4000, 53);
        builder.write(&mut plain, &[1; 8]).unwrap();
        let mut others = [0, 43, 44, 51, 60].map(|number| (number, plain.clone()));
        for (number, bytes) in &mut others {
            // Eight bytes: of a fragment it is the first; of an authentication header it is all; of options it is padding.
            let header = match number {
                43 => [17, 0, 0, 0, 0, 0, 0, 0],
                44 => [17, 0, 0, 0, 0, 0, 0, 1],
                51 => [17, 0, 0, 0, 0, 0, 0, 0],
                _ => [17, 0, 1, 4, 0, 0, 0, 0],
            };
            bytes[6] = *number;
            bytes[5] += 8;
            bytes.splice(40..40, header);
        }
        for _ in 0..4 {
            two.carry(LAN, &plain);
            for (_, other) in &others {
                two.carry(LAN, other);
            }
            two.carry(LAN, &plain);
            two.carry(LAN, &plain);
        }
        assert!(two.labs[0].worker().went_short() > 6, "{matches}");
        two.ask_everything_of_ipv6();
    }
    assert!(tried > 5, "{tried}");
}

fn host(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

/// Datagrams to the router itself, while segments of IPv6 go short ways on which tracking sums them up: what it found of one of these holds of no packet
/// behind it.
#[test]
fn sums_of_what_went_short_are_not_the_next_packets() {
    let file = LabFile::parse("lab", LAB_OF_IPV6).unwrap();
    let labs = [0, 1].map(|_| Lab::new(&file, 1, TOOLBOX).unwrap());
    let mut two = Two { labs, told: Vec::new() };
    assert_eq!(two.tool("ip6tables-restore", &[], RULES), "0 ");
    let ends = [(host("2001:db8::2"), 4000), (host("2001:db8:1::7"), 80)];
    let segments = [(0, 100, 0, flags::SYN), (1, 900, 101, flags::SYN | flags::ACK)];
    let plain = [(0, 101, 901, flags::ACK), (1, 901, 101, flags::ACK)];
    let end = [(0, 101, 901, flags::FIN | flags::ACK), (1, 901, 102, flags::ACK)];
    let segments = segments.into_iter().chain([plain; 4].into_iter().flatten()).chain(end);
    let mut short = 0;
    for (at, (side, sequence, acknowledged, flags)) in segments.enumerate() {
        let mut segment = Vec::new();
        let (from, to) = (ends[side], ends[1 - side]);
        let builder = PacketBuilder::ipv6(from.0, to.0, 64).tcp(from.1, to.1, sequence, 60_000);
        builder.ack(acknowledged).write(&mut segment, &[]).unwrap();
        segment[53] = flags;
        mend(&mut segment, true);
        let before = two.labs[0].worker().went_short();
        two.carry(if side == 0 { LAN } else { WAN }, &segment);
        short += two.labs[0].worker().went_short() - before;
        // Each of a sender of its own, so that no limit keeps the answer back.
        let mut datagram = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 16 + at as u8], [10, 0, 0, 1], 64).udp(50_000, 9);
        builder.write(&mut datagram, &[b'u'; 69]).unwrap();
        let left = two.carry(LAN, &datagram);
        let is_quoted = left.iter().any(|it| it.ends_with(&datagram) && *it != datagram);
        assert!(is_quoted, "behind segment {at}: {left:x?}");
    }
    assert!(short > 4, "{short}");
    two.ask_everything_of_ipv6();
    two.ask_everything();
}

/// The mark of a flow is none of its packets', and a command sets it.
#[test]
fn ways_are_gone_by_flows_with_the_mark_that_they_had() {
    let rules = [
        "*mangle\n-A PREROUTING -j CONNMARK --restore-mark\n-A FORWARD -m mark --mark 5\nCOMMIT\n*filter\n-A FORWARD -m connmark --mark 5\n\
            -A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n",
        "*mangle\n-A FORWARD -j MARK --set-mark 7\n-A FORWARD -j CONNMARK --save-mark\nCOMMIT\n*filter\n\
            -A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n",
    ];
    for rules in rules {
        let file = LabFile::parse("lab", LAB).unwrap();
        let labs = [0, 1].map(|_| Lab::new(&file, 1, TOOLBOX).unwrap());
        let mut two = Two { labs, told: Vec::new() };
        two.tool("sysctl", &["-w net.ipv4.ip_forward=1"], "");
        two.tool("iptables-restore", &[], rules);
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 2], [198, 51, 100, 7], 64).udp(4000, 53);
        builder.write(&mut bytes, &[0; 8]).unwrap();
        for mark in ["5", "9", "5"] {
            let before = two.labs[0].worker().went_short();
            for _ in 0..6 {
                two.carry(LAN, &bytes);
            }
            assert!(two.labs[0].worker().went_short() > before, "{rules}");
            two.ask_everything();
            two.tool(CONNTRACK, &["-U -s 10.0.0.2 -m", mark], "");
        }
    }
}

/// Each way keeps its flow, and its rules' counters.
#[test]
fn ways_that_no_packet_can_go_any_more_are_let_go() {
    let (mut lab, flows) = three_hundred_ways();
    tool(&mut lab, CONNTRACK, &["-F"], "");
    let left = || flows.iter().filter(|it| it.strong_count() > 0).count();
    assert!(left() > 100, "{}", left());
    // Ever again, so that no change waits until the last one's work is done.
    for host in 1000..1300 {
        tool(&mut lab, "iptables-restore", &[], RULES);
        send(&mut lab, host, 1);
    }
    assert_eq!(left(), 0);
}

/// Where nothing changes and no packet comes, time lets them go.
#[test]
fn ways_of_flows_that_are_gone_are_let_go() {
    let (mut lab, flows) = three_hundred_ways();
    let left = |flows: &[Weak<_>]| flows.iter().filter(|it| it.strong_count() > 0).count();
    tool(&mut lab, CONNTRACK, &["-D", "-d", "198.51.0.7"], "");
    let tick = |lab: &mut Lab| {
        for _ in 0..128 {
            lab.advance(Duration::from_millis(100));
        }
    };
    tick(&mut lab);
    assert_eq!(left(&flows), 299);
    send(&mut lab, 8, 1);
    tool(&mut lab, CONNTRACK, &["-F"], "");
    assert!(left(&flows) > 100);
    tick(&mut lab);
    assert_eq!(left(&flows), 0);
}

fn tool(lab: &mut Lab, name: &str, words: &[&str], stdin: &str) {
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    let output = lab.tool(name, &words, stdin, Path::new("."));
    assert_eq!(output.code, 0, "{}", output.stderr);
}

/// Some datagrams to a host.
fn send(lab: &mut Lab, host: u16, times: usize) {
    let [high, low] = host.to_be_bytes();
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4([10, 0, 0, 2], [198, 51, high, low], 64).udp(4000, 53);
    builder.write(&mut bytes, &[0; 8]).unwrap();
    for _ in 0..times {
        lab.carry_observed(Some(LAN), &bytes, &mut nflab::engine::Silent);
    }
}

/// A lab with so many flows, packets of which go short ways.
fn three_hundred_ways() -> (Lab, Vec<Weak<Flow>>) {
    let file = LabFile::parse("lab", LAB).unwrap();
    let mut lab = Lab::new(&file, 1, TOOLBOX).unwrap();
    tool(&mut lab, "sysctl", &["-w", "net.ipv4.ip_forward=1"], "");
    tool(&mut lab, "iptables-restore", &[], RULES);
    for host in 0..300 {
        send(&mut lab, host, 5);
    }
    assert!(lab.worker().went_short() > 300);
    let router = Arc::clone(lab.machine.router());
    let listed = router.flows().flows(lab.now());
    let flows: Vec<Weak<_>> = listed.iter().map(Arc::downgrade).collect();
    assert_eq!(flows.len(), 300);
    (lab, flows)
}

const RULES: &str = "*filter\n-A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n";

/// The same of packets of IPv6: conversations of both transports under rules that hang on plain fields and states, with what is odd between; together
/// they come with packets of IPv4.
#[test]
fn nobody_can_tell_in_ipv6() {
    let (mut carried, mut short) = (0, 0);
    for seed in 1..=12 {
        let mut draw = Draw(Random::new(seed));
        let file = LabFile::parse("lab", LAB_OF_IPV6).unwrap();
        let labs = [0, 1].map(|_| Lab::new(&file, seed, TOOLBOX).unwrap());
        let mut two = Two { labs, told: Vec::new() };
        let rules = draw.pick(&RULES_OF_IPV6);
        assert_eq!(two.tool("ip6tables-restore", &[], rules), "0 ", "{rules}");
        assert_eq!(two.tool("iptables-restore", &[], RULES), "0 ");
        let mut others: Vec<Conversation> = (0..2).map(|_| Conversation::new(&mut draw)).collect();
        let mut flows: Vec<OfIpv6> = (0..4).map(|_| OfIpv6::new(&mut draw)).collect();
        for _ in 0..200 {
            let which = draw.below(flows.len());
            match draw.one_in(6) {
                true => {
                    let is_mixed = draw.one_in(2);
                    let together: Vec<_> = (0..draw.below(30))
                        .map(|_| match is_mixed && draw.one_in(3) {
                            true => others[draw.below(2)].next(&mut draw),
                            false => flows[which].next(&mut draw),
                        })
                        .collect();
                    carried += together.len() as u64;
                    two.carry_together(&together);
                }
                false => {
                    for _ in 0..draw.below(12) {
                        let (interface, bytes) = flows[which].next(&mut draw);
                        two.carry(interface, &bytes);
                        carried += 1;
                    }
                }
            }
            match draw.below(12) {
                0 => two.ask_everything_of_ipv6(),
                1 => {
                    let pause = Duration::from_millis(draw.pick(&[1, 900, 3_000, 31_000, 130_000, 500_000]));
                    two.labs.iter_mut().for_each(|lab| drop(lab.advance(pause)));
                }
                2 => {
                    let words = draw.pick(&["-F", "-D -f ipv6", "-U -f ipv6 -m 5", "-U -f ipv6 -m 6"]);
                    two.tool(CONNTRACK, &[words], "");
                }
                3 => {
                    let words = draw.pick(&[
                        "-P FORWARD DROP",
                        "-P FORWARD ACCEPT",
                        "-t mangle -Z",
                        "-I FORWARD -p udp",
                    ]);
                    two.tool("ip6tables", &[words], "");
                }
                4 if draw.one_in(4) => {
                    let name = draw.pick(&["lan", "wan"]);
                    let knob = format!("net.ipv6.conf.{name}.disable_ipv6");
                    two.tool("sysctl", &["-w", &format!("{knob}=1")], "");
                    for _ in 0..draw.below(6) {
                        let (interface, bytes) = flows[which].next(&mut draw);
                        two.carry(interface, &bytes);
                    }
                    two.tool("sysctl", &["-w", &format!("{knob}=0")], "");
                    match name {
                        "lan" => two.tool("ip", &["-6 address add 2001:db8::1/64 dev lan"], ""),
                        _ => {
                            two.tool("ip", &["-6 address add 2001:db8:1::1/64 dev wan"], "");
                            two.tool("ip", &["-6 route add default via 2001:db8:1::fe"], "")
                        }
                    };
                }
                _ => {}
            }
        }
        two.ask_everything_of_ipv6();
        two.ask_everything();
        short += two.labs[0].worker().went_short();
    }
    assert!(short * 8 > carried, "{short} of {carried}");
}

const LAB_OF_IPV6: &str = r#"[interface.lan]
address = ["2001:db8::1/64", "10.0.0.1/24"]
[interface.wan]
address = ["2001:db8:1::1/64", "192.0.2.1/24"]
mtu = 1400
[interface.dmz]
address = ["2001:db8:3::1/64", "172.16.0.1/24"]
[[route]]
to = "::/0"
via = "2001:db8:1::fe"
[[route]]
to = "default"
via = "192.0.2.254"
"#;

const RULES_OF_IPV6: [&str; 4] = [
    "*filter\n-A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n",
    "*raw\n-A PREROUTING -s 2001:db8::/64\nCOMMIT\n*filter\n-A FORWARD -p tcp -m tcp --tcp-flags PSH PSH\n\
     -A FORWARD -m state --state INVALID -j DROP\n-A FORWARD -i lan -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n",
    "*mangle\n-A PREROUTING -j CONNMARK --restore-mark\n-A FORWARD -m mark --mark 5\nCOMMIT\n*filter\n-A FORWARD -m connmark --mark 5\n\
     -A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n",
    "*mangle\n-A FORWARD -j MARK --set-mark 7\n-A FORWARD -j CONNMARK --save-mark\nCOMMIT\n*filter\n\
     -A FORWARD -d 2001:db8:1::7 -p udp -j DROP\n-A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT\nCOMMIT\n",
];

/// Two hosts that speak to each other.
struct OfIpv6 {
    ends: [([u8; 16], u16); 2],
    is_tcp: bool,
    numbers: [u32; 2],
    said: u32,
}

impl OfIpv6 {
    fn new(draw: &mut Draw) -> Self {
        let near = draw.pick(&["2001:db8::2", "2001:db8::3"]);
        let far = draw.pick(&["2001:db8:1::7", "2001:db8:1::9", "2001:db8:2::9"]);
        Self {
            ends: [
                (host(near), 4000 + draw.below(3) as u16),
                (host(far), draw.pick(&[53, 80])),
            ],
            is_tcp: draw.one_in(2),
            numbers: [draw.u32(), draw.u32()],
            said: 0,
        }
    }

    fn next(&mut self, draw: &mut Draw) -> (InterfaceId, Vec<u8>) {
        let side = usize::from(self.said == 1 || self.said > 2 && draw.one_in(3));
        let (from, to) = (self.ends[side], self.ends[1 - side]);
        let data = vec![draw.below(256) as u8; draw.pick(&[0, 0, 8, 500, 1000, 1400])];
        let hops = if draw.one_in(20) { 1 } else { 64 };
        let builder = PacketBuilder::ipv6(from.0, to.0, hops);
        let mut bytes = Vec::new();
        if self.is_tcp {
            let builder = builder.tcp(from.1, to.1, self.numbers[side], 60_000);
            let builder = match self.said {
                0 => builder.syn(),
                1 => builder.syn().ack(self.numbers[0]),
                _ if draw.one_in(60) => builder.fin().ack(self.numbers[1 - side]),
                _ if draw.one_in(5) => builder.psh().ack(self.numbers[1 - side]),
                _ => builder.ack(self.numbers[1 - side]),
            };
            let data = if self.said < 2 { &[][..] } else { &data };
            builder.write(&mut bytes, data).unwrap();
            let eaten = if self.said < 2 { 1 } else { data.len() as u32 };
            self.numbers[side] = self.numbers[side].wrapping_add(eaten);
        } else {
            builder.udp(from.1, to.1).write(&mut bytes, &data).unwrap();
        }
        self.said += 1;
        let (last, transport) = (bytes.len() - 1, 40..bytes.len());
        match draw.below(60) {
            0 => bytes[last] ^= 1,
            1 => bytes[0] ^= 1,
            2 => bytes[1] ^= 0x10,
            3 => {
                // An extension header, which makes it none that is plain.
                let extension = [bytes[6], 0, 1, 4, 0, 0, 0, 0];
                let length = (transport.len() + extension.len()) as u16;
                bytes[6] = 60;
                bytes[4..6].copy_from_slice(&length.to_be_bytes());
                bytes.splice(40..40, extension);
            }
            4 => bytes.truncate(40 + draw.below(30).min(transport.len())),
            5 => bytes.extend([0; 3]),
            6 if !self.is_tcp => bytes[46..48].fill(0),
            _ => {}
        }
        (if side == 0 { LAN } else { WAN }, bytes)
    }
}

/// Floods of new flows, which are looked ahead for where they come together: into a table that is full, some of whose flows are over, to servers whose
/// ports NAT has to choose until they are gone.
#[test]
fn flows_that_begin_together() {
    for family in Family::ALL {
        let foreseen: u64 = (1..=6).map(|seed| flood(family, seed)).sum();
        assert!(foreseen > 5_000, "{family}: {foreseen}");
    }
}

/// How many flows were looked ahead for.
fn flood(family: Family, seed: u64) -> u64 {
    let mut draw = Draw(Random::new(seed));
    let (lab, server, outside, restore) = match family {
        Family::V4 => (LAB, "172.16.0.9", "192.0.2.77-192.0.2.78", "iptables-restore"),
        Family::V6 => (
            LAB_OF_IPV6,
            "[2001:db8:3::9]",
            "[2001:db8:1::77-2001:db8:1::78]",
            "ip6tables-restore",
        ),
    };
    let half = match family {
        Family::V4 => "10.0.0.64/26",
        Family::V6 => "2001:db8::40/122",
    };
    let address = |last: usize, is_far: bool| -> IpAddr {
        match (family, is_far) {
            (Family::V4, false) => [10, 0, 0, last as u8].into(),
            (Family::V4, true) => [198, 51, 100, last as u8].into(),
            (Family::V6, false) => [0x2001, 0xdb8, 0, 0, 0, 0, 0, last as u16].into(),
            (Family::V6, true) => [0x2001, 0xdb8, 0x100, 0, 0, 0, 0, last as u16].into(),
        }
    };
    let file = LabFile::parse("lab", lab).unwrap();
    let labs = [0, 1].map(|_| Lab::new(&file, seed, TOOLBOX).unwrap());
    let mut two = Two { labs, told: Vec::new() };
    two.tool("sysctl", &["-w net.ipv4.ip_forward=1"], "");
    let nat = match seed % 3 {
        0 => String::new(),
        1 => "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n".to_owned(),
        _ => format!(
            "*nat\n-A PREROUTING -p udp --dport 53 -j DNAT --to-destination {server}:5300-5310\n\
             -A PREROUTING -p tcp --dport 53 -j DNAT --to-destination {server}:53\n\
             -A POSTROUTING -o dmz -j MASQUERADE\n-A POSTROUTING -o wan -p udp -j SNAT --to-source {outside}:1000-1150\nCOMMIT\n"
        ),
    };
    let zones = format!("*raw\n-A PREROUTING -s {half} -j CT --zone 7\nCOMMIT\n");
    let zones = if draw.one_in(2) { &zones } else { "" };
    let filter = "*filter\n-A FORWARD -m state --state INVALID -j DROP\n-A FORWARD -p udp --dport 54 -j DROP\nCOMMIT\n";
    let said = two.tool(restore, &[], &format!("{zones}{nat}{filter}"));
    assert_eq!(said, "0 ");
    for _ in 0..30 {
        let clients = draw.pick(&[3, 60, 120]);
        let together: Vec<_> = (0..draw.below(200))
            .map(|_| {
                let near = (
                    address(2 + draw.below(clients), false),
                    draw.pick(&[7, 700, 4000, 4001]),
                );
                let far = address(draw.pick(&[7, 8]), true);
                let builder = match (near.0, far) {
                    (IpAddr::V4(near), IpAddr::V4(far)) => PacketBuilder::ipv4(near.octets(), far.octets(), 64),
                    (IpAddr::V6(near), IpAddr::V6(far)) => PacketBuilder::ipv6(near.octets(), far.octets(), 64),
                    _ => panic!("both are of {family}"),
                };
                let mut bytes = Vec::new();
                let port = draw.pick(&[53, 53, 53, 54]);
                match draw.one_in(3) {
                    true => builder.tcp(near.1, port, draw.u32(), 9000).syn().write(&mut bytes, &[]),
                    false => builder.udp(near.1, port).write(&mut bytes, &[1]),
                }
                .unwrap();
                (LAN, bytes)
            })
            .collect();
        let left = two.carry_together(&together);
        let answers: Vec<_> = left
            .iter()
            .filter(|_| draw.one_in(4))
            .filter_map(|it| answer(it))
            .collect();
        two.carry_together(&answers);
        match draw.below(12) {
            0 => drop(two.tool(CONNTRACK, &["-F"], "")),
            1 => drop(two.tool(CONNTRACK, &["-D -s", &address(5, false).to_string()], "")),
            2 => {
                let most = draw.pick(&["100", "1000", "65536"]);
                two.tool("sysctl", &["-w", &format!("net.netfilter.nf_conntrack_max={most}")], "");
            }
            3..6 => {
                let pause = Duration::from_secs(draw.pick(&[1, 20, 40, 130]));
                two.labs.iter_mut().for_each(|lab| drop(lab.advance(pause)));
            }
            6 | 7 => two.ask_everything_of(family),
            _ => {}
        }
    }
    two.ask_everything_of(family);
    assert_eq!(two.labs[1].worker().foresaw(), 0);
    two.labs[0].worker().foresaw()
}

/// Of whom a datagram or the beginning of a connection was sent to.
fn answer(packet: &[u8]) -> Option<(InterfaceId, Vec<u8>)> {
    let (addresses, length, number) = match Family::of_packet(packet)? {
        Family::V4 => (12, 4, 9),
        Family::V6 => (8, 16, 6),
    };
    let transport = addresses + 2 * length;
    let mut bytes = packet.to_vec();
    let is_of_dmz = match packet.get(addresses + length..transport)? {
        [172, ..] => true,
        [0x20, 1, 0xd, 0xb8, 0, network, ..] => *network == 3,
        _ => false,
    };
    bytes[addresses..transport].rotate_left(length);
    bytes.get_mut(transport..transport + 4)?.rotate_left(2);
    if packet[number] == 6 {
        let sequence = packet.get(transport + 4..transport + 8)?;
        let next = u32::from_be_bytes(sequence.try_into().ok()?).wrapping_add(1);
        bytes[transport + 8..transport + 12].copy_from_slice(&next.to_be_bytes());
        bytes[transport + 13] = flags::SYN | flags::ACK;
    }
    mend(&mut bytes, true);
    Some((if is_of_dmz { DMZ } else { WAN }, bytes))
}

/// Sees everything, and so every packet goes the long way; keeps nothing.
struct Watching;

impl Observer for Watching {
    const WATCHING: bool = true;
    const IN_DETAIL: bool = false;

    fn see(&mut self, _: Event<'_>) {}
}

const LAB: &str = r#"[interface.lan]
address = ["10.0.0.1/24"]
[interface.wan]
address = ["192.0.2.1/24"]
[interface.dmz]
address = ["172.16.0.1/24"]
mtu = 900
[[route]]
to = "default"
via = "192.0.2.254"
"#;

/// The tool.
const CONNTRACK: &str = "conntrack";

const LAN: InterfaceId = InterfaceId(1);
const WAN: InterfaceId = InterfaceId(2);
const DMZ: InterfaceId = InterfaceId(3);

/// How many packets, and how many of them went the short way.
fn round(seed: u64) -> (u64, u64) {
    let mut draw = Draw(Random::new(seed));
    let file = LabFile::parse("lab", LAB).unwrap();
    let labs = [0, 1].map(|_| Lab::new(&file, seed, TOOLBOX).unwrap());
    let mut two = Two { labs, told: Vec::new() };
    two.tool("sysctl", &["-w net.ipv4.ip_forward=1"], "");
    if draw.one_in(3) {
        two.labs.iter_mut().for_each(Lab::leave_to_devices);
    }
    let mostly_plain = !draw.one_in(4);
    let rules = ruleset(&mut draw, mostly_plain);
    two.tool("iptables-restore", &[], &rules);
    let mut flows: Vec<Conversation> = (0..3 + draw.below(8)).map(|_| Conversation::new(&mut draw)).collect();
    let mut packets = 0;
    for _ in 0..60 + draw.below(100) {
        let favoured = draw.below(flows.len());
        for _ in 0..2 + draw.below(60) {
            let which = if draw.one_in(4) {
                draw.below(flows.len())
            } else {
                favoured
            };
            match draw.below(8) {
                0 => {
                    let together: Vec<_> = (0..1 + draw.below(40)).map(|_| flows[which].next(&mut draw)).collect();
                    two.carry_together(&together);
                    packets += together.len() as u64;
                }
                1 => {
                    let (interface, bytes) = flows[which].next(&mut draw);
                    let mut together = vec![(bytes, offload(&mut draw))];
                    for _ in 0..draw.below(12) {
                        let (also, bytes) = flows[which].next(&mut draw);
                        if also == interface {
                            together.push((bytes, offload(&mut draw)));
                        }
                    }
                    two.carry_unfinished(interface, &together);
                    packets += together.len() as u64;
                }
                _ => {
                    let (interface, bytes) = flows[which].next(&mut draw);
                    let left = two.carry(interface, &bytes);
                    flows[which].heard(interface, &left);
                    packets += 1;
                }
            }
        }
        if draw.one_in(3) {
            let pause =
                Duration::from_millis(draw.pick(&[1, 1, 40, 40, 900, 900, 3_000, 3_000, 31_000, 130_000, 500_000]));
            // Flows whose time is over may still be there.
            let ticks = draw.one_in(2);
            for lab in &mut two.labs {
                match ticks {
                    true => drop(lab.advance(pause)),
                    false => assert!(lab.set_clock(lab.now() + pause)),
                }
            }
        }
        if draw.one_in(3) {
            edit(&mut draw, &mut two, &mut flows, mostly_plain);
        }
        if draw.one_in(4) {
            two.ask_everything();
        }
    }
    two.ask_everything();
    (packets, two.labs[0].worker().went_short())
}

struct Two {
    labs: [Lab; 2],
    /// The last commands and packets, for who looks for a difference.
    told: Vec<String>,
}

impl Two {
    fn tool(&mut self, name: &str, words: &[&str], stdin: &str) -> String {
        let arguments: Vec<String> = words
            .iter()
            .flat_map(|it| it.split_whitespace())
            .map(str::to_owned)
            .collect();
        self.told.push(format!("{name} {}\n{stdin}", arguments.join(" ")));
        let [one, other] = &mut self.labs;
        let one = one.tool(name, &arguments, stdin, Path::new("."));
        let other = other.tool(name, &arguments, stdin, Path::new("."));
        let text = |it: &nflab::lab::machine::ToolOutput| format!("{} {}{}", it.code, it.stdout, it.stderr);
        let (one, other) = (text(&one), text(&other));
        assert!(one == other, "{}\n--- short\n{one}\n--- long\n{other}", self.recently());
        one
    }

    fn carry(&mut self, interface: InterfaceId, bytes: &[u8]) -> Vec<Vec<u8>> {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.told.push(format!("packet by {} {hex}", interface.0));
        let [short, long] = &mut self.labs;
        let (one, left) = short.carry_observed(Some(interface), bytes, &mut nflab::engine::Silent);
        let (other, also_left) = long.carry_observed(Some(interface), bytes, &mut Watching);
        assert!(
            one == other && left == also_left,
            "{}\n--- short\n{one:?} {left:?}\n--- long\n{other:?} {also_left:?}",
            recently(&self.told)
        );
        left.iter().map(|it| it.bytes.clone()).collect()
    }

    /// At once, and one by one; what left because of all of them.
    fn carry_together(&mut self, packets: &[(InterfaceId, Vec<u8>)]) -> Vec<Vec<u8>> {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        self.told.extend(
            packets
                .iter()
                .map(|(by, bytes)| format!("together: packet by {} {}", by.0, hex(bytes))),
        );
        let [short, long] = &mut self.labs;
        let mut one = Vec::new();
        short.carry_together(packets, |report, left| one.push((report.clone(), left.to_vec())));
        let mut other = Vec::new();
        for (interface, bytes) in packets {
            let (report, left) = long.carry_observed(Some(*interface), bytes, &mut Watching);
            other.push((report, left.to_vec()));
        }
        for (at, (one, other)) in one.iter().zip(&other).enumerate() {
            assert!(
                one == other,
                "{}\npacket {at}\n--- short\n{one:?}\n--- long\n{other:?}",
                recently(&self.told)
            );
        }
        assert_eq!(one.len(), other.len());
        let left = one.into_iter().flat_map(|(_, left)| left);
        left.map(|it| it.bytes).collect()
    }

    /// A packet of which a device leaves something to do.
    /// At once, and one by one.
    fn carry_unfinished(&mut self, interface: InterfaceId, packets: &[(Vec<u8>, Offload)]) {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        self.told.extend(
            packets
                .iter()
                .map(|(bytes, offload)| format!("packet by {} {} {offload:?}", interface.0, hex(bytes))),
        );
        let [short, long] = &mut self.labs;
        let (mut one, mut other) = (Vec::new(), Vec::new());
        short.carry_batch_with(interface, &mut packets.to_vec(), 1, |report, left| {
            one.push((report.clone(), left.to_vec()));
        });
        for (bytes, offload) in packets {
            let (report, left) = long.carry_with(interface, (&mut bytes.clone(), *offload), &mut Watching);
            other.push((report, left.to_vec()));
        }
        assert!(
            one == other,
            "{}\n--- short\n{one:?}\n--- long\n{other:?}",
            recently(&self.told)
        );
    }

    /// A few packets of all.
    fn burst(&mut self, draw: &mut Draw, flows: &mut [Conversation]) {
        for flow in flows {
            let (interface, bytes) = flow.next(draw);
            let left = self.carry(interface, &bytes);
            flow.heard(interface, &left);
        }
    }

    fn ask_everything(&mut self) {
        self.tool("iptables-save", &["-c"], "");
        self.tool(CONNTRACK, &["-L -o extended,id,timestamp"], "");
        self.tool(CONNTRACK, &["-S"], "");
        self.tool(CONNTRACK, &["-C"], "");
    }

    fn ask_everything_of(&mut self, family: Family) {
        match family {
            Family::V4 => self.ask_everything(),
            Family::V6 => self.ask_everything_of_ipv6(),
        }
    }

    fn ask_everything_of_ipv6(&mut self) {
        self.tool("ip6tables-save", &["-c"], "");
        self.tool(CONNTRACK, &["-L -o extended,id,timestamp"], "");
        self.tool(CONNTRACK, &["-S"], "");
    }

    fn recently(&self) -> String {
        recently(&self.told)
    }
}

fn recently(told: &[String]) -> String {
    told[told.len().saturating_sub(12)..].join("\n")
}

fn offload(draw: &mut Draw) -> Offload {
    let checksum = draw.pick(&[ChecksumState::Unknown, ChecksumState::Verified, ChecksumState::Partial]);
    Offload {
        checksum,
        segment_size: if draw.one_in(2) {
            draw.pick(&[1, 100, 536, 1460])
        } else {
            0
        },
        ecn: false,
    }
}

/// Rules of every kind, of which mostly those are left that the short way can remember.
fn ruleset(draw: &mut Draw, mostly_plain: bool) -> String {
    let mut lab = Lab::new(&LabFile::parse("lab", LAB).unwrap(), 1, TOOLBOX).unwrap();
    let drawn = rules::ruleset(draw, Family::V4);
    let output = lab.tool("iptables-restore", &[], &drawn, Path::new("."));
    assert_eq!(output.code, 0, "{}\n{drawn}", output.stderr);
    for table in lab.machine.router().tables(Family::V4) {
        let router = lab.machine.router();
        let mut rules = router.table(Family::V4, table);
        for chain in &mut rules.chains {
            chain.rules.retain(|rule| match &rule.action {
                _ if !mostly_plain => draw.one_in(2),
                Action::Drop => draw.one_in(6),
                Action::Target(_) if table == Table::Nat => draw.one_in(2),
                Action::Target(target) if target.effect().hangs_on != HangsOn::Anything => draw.one_in(2),
                Action::Target(_) => draw.one_in(30),
                _ => is_plain(rule) || draw.one_in(30),
            });
        }
        router.replace(rules, lab.now()).unwrap();
    }
    lab.tool("iptables-save", &[], "", Path::new(".")).stdout
}

/// Its matches hang on nothing but a packet's plain fields and its flow.
fn is_plain(rule: &Rule) -> bool {
    let hangs_on = |it: &Arc<dyn Match>| it.effect().hangs_on;
    rule.matches
        .iter()
        .all(|it| it.lower().is_exact() || hangs_on(it) != HangsOn::Anything)
}

/// A rule's table, and the rule behind `-A`.
fn rule(draw: &mut Draw, mostly_plain: bool) -> Option<(String, String)> {
    let rules = ruleset(draw, mostly_plain);
    let mut table = "";
    let mut all = Vec::new();
    for line in rules.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(rule) = line.strip_prefix("-A ") {
            all.push((table.to_owned(), rule.to_owned()));
        }
    }
    (!all.is_empty()).then(|| all.swap_remove(draw.below(all.len())))
}

/// A command that changes what packets meet, or what they have left behind.
fn edit(draw: &mut Draw, two: &mut Two, flows: &mut [Conversation], mostly_plain: bool) {
    match draw.below(20) {
        0 => {
            let rules = ruleset(draw, mostly_plain);
            two.tool("iptables-restore", &[], &rules);
        }
        1..=3 => {
            if let Some((table, rule)) = rule(draw, mostly_plain) {
                let text = format!("*{table}\n{} {rule}\nCOMMIT\n", draw.pick(&["-A", "-I"]));
                two.tool("iptables-restore", &["-n"], &text);
            }
        }
        4 => {
            let table = draw.pick(&Table::ALL);
            let chain = draw.pick(table.hooks()).chain();
            two.tool("iptables", &["-t", table.name(), "-D", chain, "1"], "");
        }
        5 => {
            two.tool("iptables", &["-P FORWARD", draw.pick(&["ACCEPT", "DROP"])], "");
            two.tool("iptables", &["-P FORWARD ACCEPT"], "");
        }
        6 => {
            two.tool("iptables", &[draw.pick(&["-Z", "-t mangle -Z", "-t raw -Z"])], "");
        }
        7 => {
            let words = draw.pick(&[
                "route add 198.51.100.0/25 via 172.16.0.9",
                "route del 198.51.100.0/25",
                "route add blackhole 198.51.100.7",
                "route del blackhole 198.51.100.7",
                "rule add tos 0x10 lookup 7",
                "route replace default via 192.0.2.253",
                "link set wan mtu 60",
                "link set wan mtu 1500",
                "address add 192.0.2.8/24 dev wan",
            ]);
            two.tool("ip", &[words], "");
            if words.ends_with("mtu 60") {
                two.burst(draw, flows);
                two.tool("ip", &["link set wan mtu 1500"], "");
            }
        }
        16 => {
            let name = draw.pick(&["wan", "dmz", "lan"]);
            two.tool("ip", &["link set", name, "down"], "");
            two.burst(draw, flows);
            two.tool("ip", &["link set", name, "up"], "");
            two.tool("ip", &["route add default via 192.0.2.254"], "");
        }
        8 | 9 => {
            let words = draw.pick(&[
                "net.ipv4.ip_forward=0",
                "net.ipv4.ip_forward=1",
                "net.ipv4.ip_forward=1",
                "net.ipv4.ip_forward=1",
                "net.netfilter.nf_conntrack_udp_timeout=3",
                "net.netfilter.nf_conntrack_udp_timeout_stream=0",
                "net.netfilter.nf_conntrack_udp_timeout_stream=120",
                "net.netfilter.nf_conntrack_checksum=0",
                "net.netfilter.nf_conntrack_checksum=1",
                "net.netfilter.nf_conntrack_acct=1",
                "net.netfilter.nf_conntrack_tcp_be_liberal=1",
                "net.netfilter.nf_conntrack_log_invalid=255",
                "net.ipv4.conf.lan.rp_filter=1",
                "net.ipv4.conf.all.rp_filter=2",
                "net.ipv4.conf.wan.forwarding=0",
                "net.ipv4.conf.wan.forwarding=1",
            ]);
            two.tool("sysctl", &["-w", words], "");
            if words.ends_with("forwarding=0") || words.ends_with("ip_forward=0") {
                two.burst(draw, flows);
                two.tool("sysctl", &["-w", &words.replace("=0", "=1")], "");
            }
        }
        10 => {
            two.tool(CONNTRACK, &["-F"], "");
        }
        11 => {
            two.tool(
                CONNTRACK,
                &["-D", draw.pick(&["-p udp", "-p tcp", "-s 10.0.0.2", "-r 198.51.100.7"])],
                "",
            );
        }
        12 | 13 => {
            let words = draw.pick(&[
                "-m 5",
                "-t 1",
                "-t 600",
                "-u SEEN_REPLY",
                "-u ASSURED",
                "-p tcp --state CLOSE",
            ]);
            two.tool(CONNTRACK, &["-U -s 10.0.0.2", words], "");
        }
        14 => flows[draw.below(flows.len())] = Conversation::new(draw),
        _ => {
            two.ask_everything();
        }
    }
}

/// What two hosts say to each other; an answer is to what left.
struct Conversation {
    is_tcp: bool,
    near: ([u8; 4], u16),
    far: ([u8; 4], u16),
    /// Whom the far end answers.
    seen: ([u8; 4], u16),
    /// The next numbers, near's and far's.
    numbers: [u32; 2],
    syns: usize,
    tos: u8,
    size: usize,
}

impl Conversation {
    fn new(draw: &mut Draw) -> Self {
        let near = ([10, 0, 0, 2 + draw.below(2) as u8], 4000 + draw.below(3) as u16);
        let far = (
            draw.pick(&[[198, 51, 100, 7], [198, 51, 100, 200], [172, 16, 0, 9]]),
            draw.pick(&[53, 80]),
        );
        Self {
            is_tcp: draw.one_in(2),
            near,
            far,
            seen: near,
            numbers: [draw.u32(), draw.u32()],
            syns: 0,
            tos: draw.pick(&[0, 0, 0x10]),
            size: draw.pick(&[0, 5, 12, 32, 700, 1400]),
        }
    }

    fn next(&mut self, draw: &mut Draw) -> (InterfaceId, Vec<u8>) {
        let is_answer = draw.one_in(2);
        let outside = if self.far.0[0] == 172 { DMZ } else { WAN };
        let (from, to, interface) = match is_answer {
            false => (self.near, self.far, LAN),
            true => (self.far, self.seen, outside),
        };
        let interface = if draw.one_in(40) {
            draw.pick(&[LAN, WAN, DMZ])
        } else {
            interface
        };
        let ttl = if draw.one_in(20) { draw.below(3) as u8 } else { 64 };
        let data: Vec<u8> = (0..if draw.one_in(8) { draw.below(1500) } else { self.size })
            .map(|it| it as u8)
            .collect();
        let builder = PacketBuilder::ipv4(from.0, to.0, ttl);
        let mut bytes = Vec::new();
        if self.is_tcp {
            let (own, other) = if is_answer { (1, 0) } else { (0, 1) };
            let mut sequence = self.numbers[own];
            let (flags, data): (u8, &[u8]) = match self.syns {
                0 if !is_answer => (flags::SYN, &[]),
                1 if is_answer => (flags::SYN | flags::ACK, &[]),
                _ => match draw.below(40) {
                    0 => (flags::FIN | flags::ACK, &[]),
                    1 => (flags::RST, &[]),
                    2 => (draw.below(256) as u8, &data),
                    3 => (flags::SYN, &[]),
                    4..=20 => (flags::ACK | flags::PSH, &data),
                    _ => (flags::ACK, &data),
                },
            };
            if draw.one_in(30) {
                sequence = sequence.wrapping_add(draw.u32() >> draw.below(32));
            }
            let builder = builder.tcp(from.1, to.1, sequence, 60_000).ack(self.numbers[other]);
            builder.write(&mut bytes, data).unwrap();
            bytes[33] = flags;
            let eats = data.len() as u32 + u32::from(flags & (flags::SYN | flags::FIN) != 0);
            self.numbers[own] = sequence.wrapping_add(eats);
            if flags & flags::SYN != 0 {
                self.syns = if flags & flags::ACK != 0 { 2 } else { 1 };
            }
        } else {
            builder.udp(from.1, to.1).write(&mut bytes, &data).unwrap();
            if draw.one_in(10) {
                bytes[26] = 0;
                bytes[27] = 0;
            }
        }
        bytes[1] = if draw.one_in(20) { 0x10 } else { self.tos };
        if draw.one_in(4) {
            bytes[6] = 0;
        }
        let has_sum = self.is_tcp || bytes[26..28] != [0, 0];
        mend(&mut bytes, has_sum);
        match draw.below(60) {
            0 => {
                let at = draw.below(bytes.len());
                bytes[at] ^= 1 << draw.below(8);
                if draw.one_in(2) {
                    mend(&mut bytes, has_sum);
                }
            }
            1 => bytes.truncate(draw.below(bytes.len() + 1)),
            2 => bytes.extend([0; 6]),
            _ => {}
        }
        (interface, bytes)
    }

    /// Whoever hears it answers to whom it seems to come from.
    fn heard(&mut self, interface: InterfaceId, left: &[Vec<u8>]) {
        if let (LAN, [packet]) = (interface, left)
            && packet.len() >= 28
            && packet[16..20] == self.far.0
        {
            let address = [packet[12], packet[13], packet[14], packet[15]];
            self.seen = (address, u16::from_be_bytes([packet[20], packet[21]]));
        }
    }
}

/// Puts both checksums right.
fn mend(bytes: &mut [u8], has_sum: bool) {
    let (header, addresses, number) = match Family::of_packet(bytes) {
        Some(Family::V6) => (40, 8, 6),
        _ => (20, 12, 9),
    };
    if bytes.len() < header {
        return;
    }
    if header == 20 {
        bytes[10..12].fill(0);
        let sum = checksum::of(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let at = match bytes[number] {
        6 => header + 16,
        17 => header + 6,
        _ => return,
    };
    if bytes.len() < at + 2 || !has_sum {
        return;
    }
    bytes[at..at + 2].fill(0);
    let (from, to) = bytes[addresses..header].split_at((header - addresses) / 2);
    let address = |bytes: &[u8]| match <[u8; 16]>::try_from(bytes) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => <[u8; 4]>::try_from(bytes).unwrap().into(),
    };
    let sum = checksum::transport(address(from), address(to), bytes[number], &bytes[header..]);
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

pub struct Draw(Random);

impl Draw {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u32) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
