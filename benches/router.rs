//! What one packet costs: of a known flow and of a new one, in both families, and past a chain of rules that do not match.
//!
//! Compare within one run: absolute figures move between machines. 60 bytes of UDP or TCP (80 in IPv6), one worker, no device.

#[allow(dead_code, reason = "what packets together take is counted elsewhere")]
mod bench_router;
#[path = "bench_router/sets.rs"]
mod sets;

use std::fmt::Write;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bench_router::{CLIENT, SERVER, Setup, client, server, source_of, tcp, udp};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nflab::base::Family;
use nflab::wire::tcp::flags;
use sets::{Set, like_classbench, services};

/// One rule, so that flows are tracked.
const STATE: &str = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";
/// What a home router has: state, a policy, masquerading.
const HOME: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n\
    -A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -m state --state NEW -j ACCEPT\nCOMMIT\n";

fn known_flow(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("known flow");
    group.throughput(Throughput::Elements(1));
    for family in [Family::V4, Family::V6] {
        let mut udp_under = |name: &str, rules: &str, is_answered: bool| {
            group.bench_function(BenchmarkId::new(name, family), |bencher| {
                let mut setup = Setup::of(family, rules, 1);
                let (lan, wan) = (setup.lan, setup.wan);
                let (client, server) = ((client(family, 0), 4000), (server(family), 53));
                let packet = udp(client, server, 32);
                let left = setup.forward(lan, &packet);
                if is_answered {
                    setup.forward(wan, &udp(server, source_of(&left), 32));
                }
                bencher.iter(|| black_box(setup.receive(lan, black_box(&packet)).0.state));
            });
        };
        udp_under("udp, no rules, untracked", "", false);
        udp_under("udp, state", STATE, true);
        udp_under("udp, state and masquerade", HOME, true);
        group.bench_function(BenchmarkId::new("tcp, state and masquerade", family), |bencher| {
            let mut setup = Setup::of(family, HOME, 1);
            let (lan, wan) = (setup.lan, setup.wan);
            let (client, server) = ((client(family, 0), 4000), (server(family), 80));
            let left = setup.forward(lan, &tcp(client, server, flags::SYN, (1000, 0), 0));
            let outside = source_of(&left);
            setup.forward(wan, &tcp(server, outside, flags::SYN | flags::ACK, (5000, 1001), 0));
            let packet = tcp(client, server, flags::ACK, (1001, 5001), 20);
            setup.forward(lan, &packet);
            bencher.iter(|| black_box(setup.receive(lan, black_box(&packet)).0.state));
        });
    }
    group.finish();
}

/// Flows that are new for the router; every so often the table is emptied, which is not counted.
fn new_flow(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("new flow");
    group.throughput(Throughput::Elements(1));
    let works = [("udp, state", STATE), ("udp, state and masquerade", HOME)];
    for ((name, rules), family) in works
        .into_iter()
        .flat_map(|work| [Family::V4, Family::V6].map(|family| (work, family)))
    {
        group.bench_function(BenchmarkId::new(name, family), |bencher| {
            let mut setup = Setup::of(family, rules, 1);
            let lan = setup.lan;
            let packets: Vec<Vec<u8>> = (0..BATCH)
                .map(|n| {
                    let client = client(family, n % 4096);
                    udp((client, 1024 + (n / 4096) as u16), (server(family), 53), 32)
                })
                .collect();
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                let mut left = iterations;
                while left > 0 {
                    let now = left.min(u64::from(BATCH));
                    let start = Instant::now();
                    for packet in &packets[..now as usize] {
                        black_box(setup.receive(lan, black_box(packet)).0.state);
                    }
                    spent += start.elapsed();
                    setup.router.flows().flush();
                    left -= now;
                }
                spent
            });
        });
    }
    group.finish();
}

/// Rules that do not match before the policy, as the kernel was measured with: address, protocol and port.
fn chain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chain");
    group.throughput(Throughput::Elements(1));
    for length in [0, 10, 100, 1000, 10_000, 100_000] {
        let mut rules = String::from("*filter\n");
        for n in 0..length {
            let source = Ipv4Addr::from_bits(0xac10_0001 + n);
            let port = n % 65_535 + 1;
            let _ = writeln!(rules, "-A FORWARD -s {source}/32 -p udp --dport {port} -j DROP");
        }
        rules.push_str("COMMIT\n");
        group.bench_function(BenchmarkId::from_parameter(length), |bencher| {
            let mut setup = Setup::new(&rules);
            let packet = udp((CLIENT, 4000), (SERVER, 53), 32);
            let lan = setup.lan;
            setup.forward(lan, &packet);
            bencher.iter(|| black_box(setup.receive(lan, black_box(&packet)).0.state));
        });
    }
    group.finish();
}

/// Rules that overlap, as large networks have them; half of the packets are drawn inside of a rule. Kept apart from `chain`: what a packet costs
/// beside its rules is not the same where half of them are dropped.
fn set(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("set");
    group.throughput(Throughput::Elements(1));
    for kind in ["acl", "fw", "ipc"] {
        for count in [10, 10_000] {
            let set = like_classbench(kind, count).expect("a kind that there is");
            carry_all(&mut group, BenchmarkId::new(kind, count), &set);
        }
    }
    for count in [4, 5000] {
        carry_all(&mut group, BenchmarkId::new("services", count), &services(count));
    }
    group.finish();
}

fn carry_all(group: &mut BenchmarkGroup<'_, WallTime>, id: BenchmarkId, set: &Set) {
    group.bench_function(id, |bencher| {
        let mut setup = Setup::new(&set.rules);
        let lan = setup.lan;
        let mut packets = set.packets.iter().cycle();
        bencher.iter(|| {
            packets
                .next()
                .map(|packet| black_box(setup.receive(lan, packet).0.state))
        });
    });
}

/// Flows in the table at most; the limit of the kernel's default is four times as many.
const BATCH: u32 = 65_536;

criterion_group!(benches, known_flow, new_flow, chain, set);
criterion_main!(benches);
