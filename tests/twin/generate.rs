//! Random scenarios from a seed: rulesets over the implemented language, and packets that are mostly conversations.
//!
//! Addresses and ports are drawn from few, so that packets meet rules, flows and each other.

use nflab::base::Random;

use crate::build::{echo_reply, echo_request, icmp_error, tcp, udp, with_ttl};
use crate::scenario::{Scenario, Step};

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

pub fn scenario(seed: u64) -> Scenario {
    let mut draw = Draw {
        random: Random::new(seed),
    };
    let rules = ruleset(&mut draw);
    let mut scenario = Scenario::new(&format!("seed {seed}"), &rules);
    if draw.one_in(5) {
        scenario = scenario.sysctl("net.netfilter.nf_conntrack_tcp_loose", "0");
    }
    if draw.one_in(5) {
        scenario = scenario.sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", "1");
    }
    while scenario.steps.len() < 60 {
        conversation(&mut draw, &mut scenario.steps);
    }
    scenario
}

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
