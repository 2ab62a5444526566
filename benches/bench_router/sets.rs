//! Rulesets as large networks have them, made up: for FORWARD, with packets that are drawn inside of a random rule every second time.
//!
//! `acl`, `fw` and `ipc` are like the sets of ClassBench: networks that lie in one another, hosts, ports alone and in ranges; firewalls leave addresses
//! and ports open more often. Narrow rules stand before wide ones.

use std::fmt::Write;
use std::net::Ipv4Addr;

use nflab::base::Random;

use crate::bench_router::{CLIENT, udp};

/// So many packets are as good as any number.
const PACKETS: usize = 4096;

pub(crate) struct Set {
    /// For `iptables-restore`.
    pub rules: String,
    pub packets: Vec<Vec<u8>>,
}

/// How often, of a hundred, a part is left open, and which lengths its prefixes have.
struct Seed {
    sources: (u32, &'static [u32]),
    destinations: (u32, &'static [u32]),
    /// Of a hundred: one source port, a range of them.
    source_ports: (u32, u32),
    destination_ports: (u32, u32),
}

#[derive(Clone, Copy)]
struct Rule {
    source: (u32, u32),
    destination: (u32, u32),
    source_ports: (u16, u16),
    destination_ports: (u16, u16),
    protocol: &'static str,
}

/// `None` where there is no such kind.
pub(crate) fn like_classbench(kind: &str, count: usize) -> Option<Set> {
    let seed = match kind {
        "acl" => Seed {
            sources: (5, &[8, 16, 20, 22, 24, 24, 26, 28, 30, 32, 32, 32, 32, 32]),
            destinations: (0, &[16, 20, 22, 24, 24, 27, 28, 30, 32, 32, 32, 32, 32, 32]),
            source_ports: (0, 2),
            destination_ports: (65, 17),
        },
        "fw" => Seed {
            sources: (35, &[4, 8, 9, 12, 16, 18, 20, 24, 24, 26, 28, 32, 32, 32, 32]),
            destinations: (30, &[8, 12, 16, 18, 20, 24, 24, 26, 29, 30, 32, 32, 32, 32, 32]),
            source_ports: (10, 30),
            destination_ports: (40, 35),
        },
        "ipc" => Seed {
            sources: (12, &[8, 16, 19, 20, 22, 24, 24, 25, 28, 30, 32, 32, 32, 32, 32]),
            destinations: (10, &[13, 16, 20, 21, 24, 24, 26, 28, 30, 32, 32, 32, 32, 32]),
            source_ports: (10, 15),
            destination_ports: (45, 15),
        },
        _ => return None,
    };
    let mut random = Random::new(7);
    let networks: Vec<u32> = (0..(20 + count / 200).min(400))
        .map(|_| random.next_u32() & 0xffff_0000)
        .collect();
    let mut rules: Vec<Rule> = Vec::with_capacity(count);
    while rules.len() < count {
        let rule = seed.rule(&mut random, &networks);
        // What is open on all sides stands at the end of a real one, if anywhere.
        if rule.source.1 + rule.destination.1 >= 8 || random.one_in(5) && rule.destination_ports != EVERY_PORT {
            rules.push(rule);
        }
    }
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.width() / 24));
    let mut text = String::from("*filter\n");
    rules.iter().for_each(|rule| rule.write(&mut text));
    text.push_str("COMMIT\n");
    let inside = |(address, length): (u32, u32), random: &mut Random| address | random.next_u32() & !mask(length);
    let port = |(low, high): (u16, u16), random: &mut Random| low + random.below(u32::from(high - low) + 1) as u16;
    let packets = (0..PACKETS).map(|number| {
        let rule = match number % 2 {
            0 => rules[random.below(rules.len() as u32) as usize],
            _ => ANYTHING,
        };
        let mut end = |address, ports| {
            (
                Ipv4Addr::from_bits(inside(address, &mut random)),
                port(ports, &mut random),
            )
        };
        let (from, to) = (
            end(rule.source, rule.source_ports),
            end(rule.destination, rule.destination_ports),
        );
        udp(from, to, 32)
    });
    Some(Set {
        packets: packets.collect(),
        rules: text,
    })
}

impl Seed {
    fn rule(&self, random: &mut Random, networks: &[u32]) -> Rule {
        let address = |(open, lengths): (u32, &[u32]), random: &mut Random| {
            if random.percent(open) {
                return (0, 0);
            }
            let length = random.pick(lengths);
            let network = random.below(4) * random.below(64);
            let host = (network << 8) | random.below(256);
            ((random.pick(networks) | host & 0xffff) & mask(length), length)
        };
        let ports = |(alone, ranges): (u32, u32), random: &mut Random| {
            let drawn = random.below(100);
            if drawn < alone {
                let port = match random.one_in(3) {
                    true => random.next_u16(),
                    false => random.pick(&[
                        80, 443, 53, 22, 25, 110, 123, 161, 389, 445, 993, 1433, 3306, 3389, 5060,
                    ]),
                };
                (port, port)
            } else if drawn < alone + ranges {
                let low = random.below(60_000) as u16;
                let high = low + random.below(4000) as u16;
                random.pick(&[(1024, 65_535), (low, high)])
            } else {
                EVERY_PORT
            }
        };
        let rule = Rule {
            source: address(self.sources, random),
            destination: address(self.destinations, random),
            source_ports: ports(self.source_ports, random),
            destination_ports: ports(self.destination_ports, random),
            protocol: random.pick(&["tcp", "udp", "udp", "udp", "all"]),
        };
        match rule.protocol {
            "all" => Rule {
                source_ports: EVERY_PORT,
                destination_ports: EVERY_PORT,
                ..rule
            },
            _ => rule,
        }
    }
}

impl Rule {
    fn width(&self) -> u32 {
        let bits =
            |(low, high): (u16, u16)| u32::from(high - low + u16::from(high - low < u16::MAX)).leading_zeros() - 16;
        self.source.1 + self.destination.1 + bits(self.source_ports) + bits(self.destination_ports)
    }

    fn write(&self, out: &mut String) {
        let address = |(address, length): (u32, u32)| format!("{}/{length}", Ipv4Addr::from_bits(address));
        let _ = write!(
            out,
            "-A FORWARD -s {} -d {} -p {}",
            address(self.source),
            address(self.destination),
            self.protocol
        );
        for (name, (low, high)) in [("sport", self.source_ports), ("dport", self.destination_ports)] {
            if (low, high) != EVERY_PORT {
                let _ = write!(out, " --{name} {low}:{high}");
            }
        }
        out.push_str(" -j DROP\n");
    }
}

const EVERY_PORT: (u16, u16) = (0, u16::MAX);
const ANYTHING: Rule = Rule {
    source: (0, 0),
    destination: (0, 0),
    source_ports: EVERY_PORT,
    destination_ports: EVERY_PORT,
    protocol: "all",
};

fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}

/// Services as kube-proxy writes them: a chain for each, found by address and port out of one chain; and packets for them.
pub(crate) fn services(count: u32) -> Set {
    let mut chains = String::from("*filter\n:SERVICES -\n");
    let mut rules = String::from("-A FORWARD -j SERVICES\n");
    for number in 0..count {
        let _ = writeln!(chains, ":SVC-{number} -");
        let _ = writeln!(
            rules,
            "-A SERVICES -d {} -p udp -m comment --comment \"ns/service:{number}\" -m udp --dport 53 -j SVC-{number}\n\
            -A SVC-{number} ! -s 10.0.0.0/8 -d {} -j DROP\n-A SVC-{number} -j ACCEPT",
            service(number),
            service(number)
        );
    }
    let packets = (0..PACKETS as u32).map(|number| {
        let to = service(number.wrapping_mul(2_654_435_769) % (2 * count));
        udp((CLIENT, 4000), (to, 53), 32)
    });
    Set {
        rules: chains + &rules + "COMMIT\n",
        packets: packets.collect(),
    }
}

fn service(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xc612_0000 + number)
}
