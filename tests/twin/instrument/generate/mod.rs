//! Random scenarios from a seed: rulesets over the implemented language, and packets that are mostly conversations.
//!
//! Addresses and ports are drawn from few, so that packets meet rules, flows and each other.

use nflab::base::Random;

use super::build::{echo_reply, echo_request, fragment, icmp_error, sealed, tcp, udp, with_options, with_ttl};
use super::scenario::Scenario;
enum Step {
    Receive { interface: &'static str, packet: Vec<u8> },
    Send { packet: Vec<u8> },
}
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    hostile: bool,
    packets: usize,
}
impl Shape {
    pub const PLAIN: Self = Self {
        hostile: false,
        packets: 1500,
    };
    pub const HOSTILE: Self = Self {
        hostile: true,
        packets: 1500,
    };
}
pub fn scenario(seed: u64, shape: Shape) -> Scenario {
    generate(seed, shape.hostile, shape.packets)
}

const LAN_HOSTS: &[&str] = &["10.0.0.2", "10.0.0.3"];
const WAN_HOSTS: &[&str] = &["192.0.2.9", "192.0.2.10", "198.51.100.7"];
const OWN: &[&str] = &["10.0.0.1", "192.0.2.1"];
const PORTS: &[u16] = &[21, 22, 53, 80, 1024, 40000, 40001];

struct Draw {
    random: Random,
}

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u32) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn generate(seed: u64, is_hostile: bool, packets: usize) -> Scenario {
    let mut draw = Draw {
        random: Random::new(seed),
    };
    let rules = ruleset(&mut draw);
    let mut scenario = Scenario::new(format!("seed {seed}"));
    let mut steps = Vec::new();
    if draw.one_in(5) {
        scenario.sysctl("net.netfilter.nf_conntrack_tcp_loose", "0");
    }
    if draw.one_in(5) {
        scenario.sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", "1");
    }
    // How many redirects there are depends on milliseconds, which the two sides cannot share.
    for key in [
        "net.ipv4.conf.all.send_redirects",
        "net.ipv4.conf.lan.send_redirects",
        "net.ipv4.conf.wan.send_redirects",
    ] {
        scenario.sysctl(key, "0");
    }
    scenario.restore(&rules);
    while steps.len() < packets {
        let begin = steps.len();
        conversation(&mut draw, &mut steps);
        if is_hostile {
            disturb(&mut draw, &mut steps, begin);
        }
    }
    for step in steps {
        match step {
            Step::Receive { interface, packet } => scenario.receive(interface, packet),
            Step::Send { packet } => scenario.send(packet),
        }
    }
    scenario
}

/// Breaks some of the packets from `begin` on, and adds errors about others.
fn disturb(draw: &mut Draw, steps: &mut Vec<Step>, begin: usize) {
    for step in steps.split_off(begin) {
        let Step::Receive { interface, packet } = step else {
            steps.push(step);
            continue;
        };
        let receive = |packet| Step::Receive { interface, packet };
        match draw.below(16) {
            0 => steps.extend(pieces(draw, &packet).into_iter().map(receive)),
            1 => {
                let mut packet = packet;
                let at = draw.below(packet.len());
                packet[at] ^= 1 << draw.below(8);
                steps.push(receive(packet));
            }
            2 => steps.push(receive(with_options(packet, draw.pick(OPTIONS)))),
            3 => steps.push(receive(with_ttl(packet, draw.pick(&[0, 1, 2])))),
            4 => {
                let mut packet = packet;
                let odd = draw.pick(ODD_ADDRESSES);
                let at = draw.pick(&[12, 16, 16]);
                // The transport checksum is wrong then, but for ICMP, which has none over addresses.
                packet[at..at + 4].copy_from_slice(&odd);
                steps.push(receive(sealed(packet)));
            }
            5 => {
                let mut packet = packet;
                // Not 255: the twin's own raw socket listens to that.
                packet[9] = draw.pick(&[0, 2, 4, 33, 47, 50, 136]);
                steps.push(receive(sealed(packet)));
            }
            6 => {
                let about = packet.clone();
                steps.push(receive(packet));
                let text = |bytes: &[u8]| format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
                let from = if draw.one_in(2) {
                    text(&about[16..20])
                } else {
                    "198.51.100.77".to_owned()
                };
                let (kind, code) = draw.pick(&[
                    (3, 0),
                    (3, 1),
                    (3, 3),
                    (3, 4),
                    (11, 0),
                    (11, 1),
                    (12, 0),
                    (4, 0),
                    (5, 1),
                ]);
                // Towards its sender, from where it went; or the way it came.
                let side = if (interface == "lan") ^ draw.one_in(4) {
                    "wan"
                } else {
                    "lan"
                };
                let packet = icmp_error(&from, &text(&about[12..16]), kind, code, &about);
                steps.push(Step::Receive {
                    interface: side,
                    packet,
                });
            }
            7 => {
                let mut packet = packet;
                let cut = draw.below(packet.len());
                packet.truncate(cut);
                if cut >= 20 && draw.one_in(2) {
                    packet[2..4].copy_from_slice(&(cut as u16).to_be_bytes());
                    packet = sealed(packet);
                }
                steps.push(receive(packet));
            }
            8 => {
                let mut packet = packet;
                packet.extend([7; 5]);
                steps.push(receive(packet));
            }
            9 if packet[9] == 6 => {
                let mut packet = packet;
                // Another set of flags, or another sequence number; the checksum follows by its difference.
                let (at, value) = match draw.below(3) {
                    0 => (32, 0x5000 | draw.below(256) as u16),
                    1 => (24, draw.below(65_536) as u16),
                    _ => (26, draw.below(65_536) as u16),
                };
                amend(&mut packet, at, value);
                steps.push(receive(packet));
            }
            10 if matches!(packet[9], 6 | 17) => {
                let mut packet = packet;
                amend(&mut packet, draw.pick(&[20, 22]), 0);
                steps.push(receive(packet));
            }
            11 => {
                steps.push(receive(packet.clone()));
                steps.push(receive(packet));
            }
            _ => steps.push(receive(packet)),
        }
    }
}

/// Sets a word of a TCP or UDP header and mends its checksum (RFC 1624).
fn amend(packet: &mut [u8], at: usize, value: u16) {
    let checksum = if packet[9] == 6 { 36 } else { 26 };
    let word = |packet: &[u8], at: usize| u32::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    let mut sum = (0xffff - word(packet, checksum)) + (0xffff - word(packet, at)) + u32::from(value);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[checksum..checksum + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn pieces(draw: &mut Draw, packet: &[u8]) -> Vec<Vec<u8>> {
    let length = packet.len() - 20;
    let identification = draw.pick(&[1, 2]);
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < length {
        let to = from + draw.pick(&[8, 8, 16, 24]);
        pieces.push(fragment(packet, identification, from, to, to < length));
        if draw.one_in(10) {
            pieces.push(fragment(packet, identification, from, to + 8, to + 8 < length));
        }
        if draw.one_in(12) {
            pieces.push(fragment(packet, identification, from & !15, to + 8, true));
        }
        from = to;
    }
    if draw.one_in(8) {
        pieces.remove(draw.below(pieces.len()));
    }
    if draw.one_in(2) {
        for at in (1..pieces.len()).rev() {
            pieces.swap(at, draw.below(at + 1));
        }
    }
    pieces
}

const OPTIONS: &[&[u8]] = &[
    &[1, 1, 1, 0],
    &[148, 4, 0, 0],
    &[7, 7, 4, 0, 0, 0, 0, 0],
    &[7, 11, 8, 1, 2, 3, 4, 0, 0, 0, 0, 0],
    &[7, 3, 4, 0],
    &[7, 7, 5, 0, 0, 0, 0, 0],
    &[131, 7, 4, 192, 0, 2, 9, 0],
    &[134, 8, 0, 0, 0, 0, 1, 2],
    &[68, 8, 13, 0, 0, 0, 0, 0],
    &[255, 4, 0, 7],
    &[7, 40, 4, 0],
    &[7, 0, 4, 0],
];

const ODD_ADDRESSES: &[[u8; 4]] = &[
    [10, 0, 0, 255],
    [10, 0, 0, 0],
    [192, 0, 2, 255],
    [255, 255, 255, 255],
    [0, 0, 0, 0],
    [127, 0, 0, 1],
    [224, 0, 0, 1],
    [239, 1, 2, 3],
    [240, 0, 0, 1],
];

fn ruleset(draw: &mut Draw) -> String {
    let mut text = String::new();
    for (table, chains) in [
        ("raw", &["PREROUTING", "OUTPUT"][..]),
        (
            "mangle",
            &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"][..],
        ),
        ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"][..]),
        ("filter", &["INPUT", "FORWARD", "OUTPUT"][..]),
        ("security", &["INPUT", "FORWARD", "OUTPUT"][..]),
    ] {
        if draw.one_in(3) && table != "filter" {
            continue;
        }
        text.push_str(&format!("*{table}\n:u1 -\n:u2 -\n:u3 -\n"));
        if table == "filter" && draw.one_in(3) {
            text.push_str(&format!(":{} DROP\n", draw.pick(chains)));
        }
        for chain in ["u3", "u2", "u1"].iter().chain(chains) {
            for _ in 0..draw.below(4) {
                text.push_str(&rule(draw, table, chain));
            }
        }
        text.push_str("COMMIT\n");
    }
    text
}

fn rule(draw: &mut Draw, table: &str, chain: &str) -> String {
    let mut rule = format!("-A {chain}");
    let not = |draw: &mut Draw| if draw.one_in(5) { "! " } else { "" };
    if draw.one_in(4) {
        let address = draw.pick(&[
            "10.0.0.0/24",
            "10.0.0.2",
            "192.0.2.0/28",
            "10.0.0.1",
            "0.0.0.2/0.0.0.255",
            "192.0.2.9",
        ]);
        rule.push_str(&format!(" {}-s {address}", not(draw)));
    }
    if draw.one_in(4) {
        let address = draw.pick(&[
            "10.0.0.0/24",
            "10.0.0.2",
            "192.0.2.0/28",
            "192.0.2.1",
            "0.0.0.9/0.0.0.255",
        ]);
        rule.push_str(&format!(" {}-d {address}", not(draw)));
    }
    let user = chain.starts_with('u');
    if draw.one_in(5) && (user || matches!(chain, "PREROUTING" | "INPUT" | "FORWARD")) {
        rule.push_str(&format!(" {}-i {}", not(draw), draw.pick(&["lan", "wan", "wa+", "lo"])));
    }
    if draw.one_in(5) && (user || matches!(chain, "POSTROUTING" | "OUTPUT" | "FORWARD")) {
        rule.push_str(&format!(" {}-o {}", not(draw), draw.pick(&["lan", "wan", "la+", "lo"])));
    }
    let protocol = draw.pick(&["", "", "tcp", "udp", "icmp"]);
    if !protocol.is_empty() {
        rule.push_str(&format!(" -p {protocol}"));
    }
    match (protocol, draw.below(4)) {
        ("tcp" | "udp", 0) => rule.push_str(&format!(" {}--dport {}", not(draw), draw.pick(PORTS))),
        ("tcp" | "udp", 1) => rule.push_str(&format!(" {}--sport {}:{}", not(draw), 20, draw.pick(PORTS).max(20))),
        ("tcp", 2) => rule.push_str(&format!(
            " {}{}",
            not(draw),
            draw.pick(&[
                "--syn",
                "--tcp-flags SYN,ACK ACK",
                "--tcp-flags ALL NONE",
                "--tcp-flags FIN,RST FIN"
            ])
        )),
        ("tcp" | "udp", 3) => rule.push_str(&format!(
            " -m multiport {}--{} 22,53,80,1000:50000",
            not(draw),
            draw.pick(&["dports", "sports", "ports"])
        )),
        ("icmp", 0) => rule.push_str(&format!(
            " {}--icmp-type {}",
            not(draw),
            draw.pick(&["echo-request", "echo-reply", "3", "3/3", "any"])
        )),
        _ => {}
    }
    if draw.one_in(3) {
        let state = draw.pick(&[
            "NEW",
            "ESTABLISHED",
            "RELATED",
            "INVALID",
            "UNTRACKED",
            "NEW,ESTABLISHED",
            "RELATED,ESTABLISHED",
        ]);
        rule.push_str(&match draw.below(3) {
            0 => format!(" -m conntrack {}--ctstate {state}", not(draw)),
            1 => format!(" -m conntrack --ctstate {},{state}", draw.pick(&["SNAT", "DNAT"])),
            _ => format!(" -m state {}--state {state}", not(draw)),
        });
    }
    if draw.one_in(8) {
        rule.push_str(&format!(
            " -m mark {}--mark {}",
            not(draw),
            draw.pick(&["1", "0x0/0xff", "5/7"])
        ));
    }
    if draw.one_in(8) {
        rule.push_str(&format!(
            " -m addrtype {}--{}-type {}",
            not(draw),
            draw.pick(&["src", "dst"]),
            draw.pick(&["LOCAL", "UNICAST", "BROADCAST", "MULTICAST"])
        ));
    }
    let target = target(draw, table, chain, protocol);
    rule.push_str(&target);
    rule.push('\n');
    rule
}

fn target(draw: &mut Draw, table: &str, chain: &str, protocol: &str) -> String {
    let deeper: &[&str] = match chain {
        "u3" => &[],
        "u2" => &["u3"],
        "u1" => &["u2", "u3"],
        _ => &["u1", "u2", "u3"],
    };
    if !deeper.is_empty() && draw.one_in(3) {
        return format!(" -{} {}", draw.pick(&["j", "j", "g"]), draw.pick(deeper));
    }
    let plain = |draw: &mut Draw| {
        draw.pick(&["", " -j ACCEPT", " -j ACCEPT", " -j DROP", " -j RETURN"])
            .to_owned()
    };
    match table {
        "raw" => match draw.below(4) {
            0 => " -j NOTRACK".to_owned(),
            1 => " -j CT --notrack".to_owned(),
            _ => draw.pick(&["", " -j ACCEPT", " -j RETURN"]).to_owned(),
        },
        "mangle" => match draw.below(3) {
            0 => format!(
                " -j MARK {}",
                draw.pick(&[
                    "--set-mark 1",
                    "--set-xmark 0x5/0xf",
                    "--or-mark 4",
                    "--and-mark 0xfe",
                    "--xor-mark 3"
                ])
            ),
            _ => draw.pick(&["", "", " -j ACCEPT", " -j RETURN"]).to_owned(),
        },
        "nat" => {
            let ports = matches!(protocol, "tcp" | "udp");
            match chain {
                "POSTROUTING" => match draw.below(4) {
                    0 => " -j MASQUERADE".to_owned(),
                    1 => " -j SNAT --to-source 192.0.2.100".to_owned(),
                    2 if ports => " -j SNAT --to-source 192.0.2.101:2000".to_owned(),
                    _ => " -j ACCEPT".to_owned(),
                },
                "INPUT" => draw.pick(&["", " -j SNAT --to-source 10.0.0.77"]).to_owned(),
                "PREROUTING" | "OUTPUT" => match draw.below(4) {
                    0 => " -j DNAT --to-destination 10.0.0.2".to_owned(),
                    1 if ports => " -j DNAT --to-destination 10.0.0.3:8080".to_owned(),
                    2 if ports => " -j REDIRECT --to-ports 3128".to_owned(),
                    2 => " -j REDIRECT".to_owned(),
                    _ => " -j RETURN".to_owned(),
                },
                _ => draw.pick(&["", " -j ACCEPT", " -j RETURN"]).to_owned(),
            }
        }
        _ => match draw.below(6) {
            // Only what every hook that reaches a user chain of filter allows.
            0 => format!(
                " -j REJECT --reject-with {}",
                draw.pick(&["icmp-port-unreachable", "icmp-host-prohibited", "icmp-net-unreachable"])
            ),
            1 if protocol == "tcp" => " -j REJECT --reject-with tcp-reset".to_owned(),
            _ if table == "security" => draw.pick(&["", " -j ACCEPT", " -j DROP"]).to_owned(),
            _ => plain(draw),
        },
    }
    .replace(" -j REJECT", if table == "filter" { " -j REJECT" } else { " -j DROP" })
    .split(" --reject-with")
    .enumerate()
    .filter(|(at, _)| *at == 0 || table == "filter")
    .map(|(at, part)| {
        if at == 0 {
            part.to_owned()
        } else {
            format!(" --reject-with{part}")
        }
    })
    .collect()
}

fn conversation(draw: &mut Draw, steps: &mut Vec<Step>) {
    let (client, server, client_side, server_side) = if draw.one_in(3) {
        (
            draw.pick(WAN_HOSTS),
            if draw.one_in(2) {
                draw.pick(LAN_HOSTS)
            } else {
                draw.pick(OWN)
            },
            "wan",
            "lan",
        )
    } else {
        (
            draw.pick(LAN_HOSTS),
            if draw.one_in(4) {
                draw.pick(OWN)
            } else {
                draw.pick(WAN_HOSTS)
            },
            "lan",
            "wan",
        )
    };
    let (sport, dport) = (draw.pick(PORTS), draw.pick(PORTS));
    // Answers come to the client, or to the address that a masquerading router would have put there.
    let answered = if client_side == "lan" && draw.one_in(2) {
        "192.0.2.1"
    } else {
        client
    };
    let receive = |interface, packet| Step::Receive { interface, packet };
    match draw.below(8) {
        0 => {
            steps.push(receive(client_side, udp((client, sport), (server, dport), b"question")));
            if !draw.one_in(3) {
                steps.push(receive(server_side, udp((server, dport), (answered, sport), b"answer")));
            }
        }
        1 => {
            let id = draw.pick(&[1, 2, 3]);
            steps.push(receive(client_side, echo_request(client, server, id, 1)));
            if !draw.one_in(3) {
                steps.push(receive(server_side, echo_reply(server, answered, id, 1)));
            }
        }
        2 => {
            let about = udp((answered, sport), (server, dport), b"question");
            let (kind, code) = draw.pick(&[(3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (12, 0), (4, 0)]);
            let from = if draw.one_in(2) { server } else { "192.0.2.77" };
            steps.push(receive(server_side, icmp_error(from, answered, kind, code, &about)));
        }
        3 => {
            let own = draw.pick(OWN);
            let to = if draw.one_in(2) {
                draw.pick(LAN_HOSTS)
            } else {
                draw.pick(WAN_HOSTS)
            };
            let packet = match draw.below(3) {
                0 => udp((own, sport), (to, dport), b"own"),
                1 => echo_request(own, to, 5, 1),
                _ => tcp((own, sport), (to, dport), "S", 1000, 0, b""),
            };
            steps.push(Step::Send { packet });
        }
        4 => steps.push(receive(
            client_side,
            with_ttl(udp((client, sport), (server, dport), b"x"), draw.pick(&[1, 2])),
        )),
        _ => {
            let (mut a, mut b) = (1000u32, 5000u32);
            steps.push(receive(
                client_side,
                tcp((client, sport), (server, dport), "S", a, 0, b""),
            ));
            a += 1;
            if draw.one_in(5) {
                return;
            }
            let back = |flags, seq, ack, data: &[u8]| tcp((server, dport), (answered, sport), flags, seq, ack, data);
            steps.push(receive(
                server_side,
                back(draw.pick(&["SA", "SA", "SA", "RA"]), b, a, b""),
            ));
            b += 1;
            steps.push(receive(
                client_side,
                tcp((client, sport), (server, dport), "A", a, b, b""),
            ));
            for _ in 0..draw.below(3) {
                steps.push(receive(
                    client_side,
                    tcp((client, sport), (server, dport), "PA", a, b, b"data"),
                ));
                a += 4;
                steps.push(receive(server_side, back("PA", b, a, b"answer")));
                b += 6;
            }
            match draw.below(4) {
                0 => steps.push(receive(
                    client_side,
                    tcp((client, sport), (server, dport), "R", a, 0, b""),
                )),
                1 => {
                    steps.push(receive(
                        client_side,
                        tcp((client, sport), (server, dport), "FA", a, b, b""),
                    ));
                    steps.push(receive(server_side, back("FA", b, a + 1, b"")));
                    steps.push(receive(
                        client_side,
                        tcp((client, sport), (server, dport), "A", a + 1, b + 1, b""),
                    ));
                }
                _ => {}
            }
        }
    }
}
