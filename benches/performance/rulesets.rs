//! Rules and packets to measure with: plain ones, and such as ClassBench draws, with networks in networks so that rules overlap.

use std::fmt::Write;
use std::net::Ipv4Addr;

use nflab::base::{Family, Random};
use nflab::ext::{MATCHES, TARGETS};

use crate::bench_router::{CLIENT, SERVER, tcp, udp};

/// Rules that do not match, by address, protocol and port.
pub(crate) fn plain(count: usize) -> String {
    let mut text = String::from("*filter\n");
    for n in 0..count {
        let _ = writeln!(
            text,
            "-A FORWARD -s 172.{}.{}.{}/32 -p udp --dport {} -j DROP",
            16 + n / 62_500,
            n / 250 % 250,
            n % 250 + 1,
            n % 65_000 + 1
        );
    }
    text + "COMMIT\n"
}

/// Rules with every extension of IPv4 that stands in FORWARD of the table filter, as often as there are samples of it, of those that `is_taken` says are
/// taken; each with another source, so that none is like another.
pub(crate) fn mixed(count: usize, is_taken: impl Fn(&str) -> bool) -> String {
    let matches = MATCHES
        .iter()
        .map(|spec| ("-m", spec.name, spec.families, &spec.samples));
    let targets = TARGETS
        .iter()
        .map(|spec| ("-j", spec.name, spec.families, &spec.samples));
    let mut parts = Vec::new();
    for (letter, name, families, samples) in matches.chain(targets) {
        if samples.place != ("filter", "FORWARD") || !families.contains(&Family::V4) {
            continue;
        }
        for taken in samples.taken.iter().filter(|taken| taken.is_of(Family::V4)) {
            let part = format!(" {} {letter} {name} {}", taken.before, taken.typed);
            if is_taken(&format!("*filter\n-A FORWARD{part}\nCOMMIT\n")) {
                parts.push(part);
            }
        }
    }
    let mut text = String::from("*filter\n");
    for (n, part) in (0..count).zip(parts.iter().cycle()) {
        let _ = writeln!(
            text,
            "-A FORWARD -s 172.{}.{}.{}/32{part}",
            16 + n / 62_500,
            n / 250 % 250,
            n % 250 + 1
        );
    }
    text + "COMMIT\n"
}

/// Packets that none of them matches, of as many flows.
pub(crate) fn plain_packets() -> Vec<Vec<u8>> {
    (0..64).map(|n| udp((CLIENT, 4000 + n), (SERVER, 53 + n), 32)).collect()
}

/// What a home router has: state, a policy, masquerading.
pub(crate) const HOME: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n\
    -A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -m state --state NEW -j ACCEPT\nCOMMIT\n";
/// One rule, so that flows are tracked.
pub(crate) const STATE: &str = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";

/// What ClassBench's seeds are taken from.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Access lists: both ends narrow, one port.
    Acl,
    /// Firewalls: one end open, ranges of ports.
    Fw,
    /// Chains: networks of any size to networks of any size, few ports.
    Ipc,
}

/// A rule of five fields, as rte_acl has it; protocol 0 is any. Sources' ports are free.
#[derive(Clone, Copy)]
pub(crate) struct Five {
    source: (u32, u8),
    destination: (u32, u8),
    ports: (u16, u16),
    protocol: u8,
}

/// A packet by its five fields.
#[derive(Clone, Copy)]
pub(crate) struct Headers {
    source: u32,
    destination: u32,
    ports: (u16, u16),
    protocol: u8,
}

/// As many rules of a kind, always the same.
pub(crate) fn classes(kind: Kind, count: usize) -> Vec<Five> {
    let mut random = Random::new(7 + kind as u64);
    // Sites with networks, and hosts in these: what rules are about, again and again.
    let sites: Vec<u32> = (0..24)
        .map(|_| (20 + below(&mut random, 90)) << 24 | below(&mut random, 256) << 16)
        .collect();
    let place = |random: &mut Random, lengths: &[u8]| {
        let site = sites[below(random, sites.len() as u32) as usize];
        let length = lengths[below(random, lengths.len() as u32) as usize];
        let address = site | below(random, 64) << 8 | below(random, 256);
        (address & mask(length), length)
    };
    let (sources, destinations): (&[u8], &[u8]) = match kind {
        Kind::Acl => (&[0, 24, 24, 28, 32, 32, 32], &[24, 28, 30, 32, 32, 32]),
        Kind::Fw => (&[0, 0, 0, 8, 16, 24, 32], &[0, 16, 24, 24, 32, 32]),
        Kind::Ipc => (&[8, 16, 20, 24, 28, 32, 32], &[8, 16, 20, 24, 28, 32, 32]),
    };
    (0..count)
        .map(|_| {
            let protocol = match (kind, below(&mut random, 10)) {
                (Kind::Acl, 0..=7) | (Kind::Fw, 0..=5) | (Kind::Ipc, 0..=5) => 6,
                (Kind::Acl, _) | (Kind::Fw, 6..=8) | (Kind::Ipc, 6..=7) => 17,
                _ => 0,
            };
            let port = below(&mut random, 65_536) as u16;
            let ports = match (kind, below(&mut random, 10)) {
                _ if protocol == 0 => (0, 65_535),
                (Kind::Acl, 0..=7) | (Kind::Fw, 0..=3) | (Kind::Ipc, 0..=5) => (port, port),
                (Kind::Acl, 8) | (Kind::Ipc, 6) => (port, port.saturating_add(below(&mut random, 2000) as u16)),
                (Kind::Fw, 4..=7) => (1024, 65_535),
                _ => (0, 65_535),
            };
            Five {
                source: place(&mut random, sources),
                destination: place(&mut random, destinations),
                ports,
                protocol,
            }
        })
        .collect()
}

/// Every second packet lies in a rule that was drawn, the others anywhere among its networks.
pub(crate) fn trace(rules: &[Five], count: usize) -> Vec<Headers> {
    let mut random = Random::new(11);
    (0..count)
        .map(|n| {
            let rule = rules[below(&mut random, rules.len() as u32) as usize];
            let inside = |random: &mut Random, (address, length): (u32, u8)| {
                // Nothing that a router refuses to forward: loopback, multicast, its own networks.
                let drawn = (20 + below(random, 90)) << 24 | random.next_u64() as u32 & 0x00ff_ffff;
                address | drawn & !mask(length)
            };
            let (source, destination) = (inside(&mut random, rule.source), inside(&mut random, rule.destination));
            let (low, high) = rule.ports;
            let port = match n % 2 {
                0 => low + below(&mut random, u32::from(high - low) + 1) as u16,
                _ => below(&mut random, 65_536) as u16,
            };
            Headers {
                source,
                destination,
                ports: (below(&mut random, 65_536) as u16, port),
                protocol: if rule.protocol == 0 { 17 } else { rule.protocol },
            }
        })
        .collect()
}

impl Five {
    pub(crate) fn matches(&self, packet: &Headers) -> bool {
        packet.source & mask(self.source.1) == self.source.0
            && packet.destination & mask(self.destination.1) == self.destination.0
            && (self.ports.0..=self.ports.1).contains(&packet.ports.1)
            && (self.protocol == 0 || self.protocol == packet.protocol)
    }

    /// A line of `benches/beside/acl.c`.
    pub(crate) fn numbers(&self) -> String {
        format!(
            "{} {} {} {} {} {} {}\n",
            self.source.0,
            self.source.1,
            self.destination.0,
            self.destination.1,
            self.ports.0,
            self.ports.1,
            self.protocol
        )
    }

    fn options(&self) -> String {
        let mut text = String::new();
        for (option, (address, length)) in [("-s", self.source), ("-d", self.destination)] {
            if length > 0 {
                let _ = write!(text, "{option} {}/{length} ", Ipv4Addr::from_bits(address));
            }
        }
        let name = match self.protocol {
            0 => return text,
            6 => "tcp",
            _ => "udp",
        };
        let _ = write!(text, "-p {name} ");
        if self.ports != (0, 65_535) {
            let _ = write!(text, "-m {name} --dport {}:{} ", self.ports.0, self.ports.1);
        }
        text
    }
}

impl Headers {
    pub(crate) fn numbers(&self) -> String {
        format!(
            "{} {} {} {} {}\n",
            self.source, self.destination, self.ports.0, self.ports.1, self.protocol
        )
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        let source = (Ipv4Addr::from_bits(self.source), self.ports.0);
        let destination = (Ipv4Addr::from_bits(self.destination), self.ports.1);
        match self.protocol {
            6 => tcp(source, destination, nflab::wire::tcp::flags::ACK, (1, 1), 0),
            _ => udp(source, destination, 12),
        }
    }
}

/// The rules for `iptables-restore`, first match in FORWARD, untracked: whatever a packet meets, it goes out.
pub(crate) fn untracked(rules: &[Five]) -> String {
    let mut text = String::from("*raw\n-A PREROUTING -j NOTRACK\nCOMMIT\n*filter\n");
    for rule in rules {
        let _ = writeln!(text, "-A FORWARD {}-j ACCEPT", rule.options());
    }
    text + "COMMIT\n"
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn below(random: &mut Random, bound: u32) -> u32 {
    (random.next_u64() % u64::from(bound)) as u32
}
