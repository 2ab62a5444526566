//! How many instructions a packet takes on each of eleven ways, ten of them in both families, counted by callgrind, and held against
//! `benches/instructions.txt`: a slip is seen without a clock.
//!
//! ```sh
//! cargo bench --profile light --bench instructions                 # counts, and fails where a way has grown by more than a fifth
//! NFLAB_BLESS=1 cargo bench --profile light --bench instructions   # writes the counts anew
//! cargo bench --profile light --bench instructions -- tcp          # only the ways with this in their name
//! ```
//! The same program counts the same: seeds are fixed, times are made up, and what is drawn anew in each process (the keys of `HashMap`) lies outside of
//! what is counted. A packet of IPv6 may take a quarter more than one of IPv4. Another compiler or processor (`memchr` and `memcpy` ask which it is)
//! counts a little otherwise, which the bound is wide enough for. What has become cheaper by as much does not fail, and is said: the counts should then
//! be written anew, or the next slip hides in it.

#[allow(dead_code, reason = "shared with the benchmark of the router, which uses more of it")]
#[path = "../bench_router/mod.rs"]
mod bench_router;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use bench_router::{Setup, client, server, source_of, tcp, udp};
use nflab::TOOLBOX;
use nflab::base::{Family, InterfaceId};
use nflab::device::{CaptureReader, Content, Direction};
use nflab::lab::file::LabFile;
use nflab::lab::memory::Lab;
use nflab::replay::{Entrances, Replayer, TimedPacket};
use nflab::wire::tcp::flags;

/// A way of packets: what is prepared, and then a number of packets, which are counted.
struct Way {
    name: &'static str,
    carry: fn(Family),
}

/// A way as packets of a family go it.
type Asked = (&'static Way, Family);

/// Each is gone in both families.
const WAYS: [Way; 10] = [
    Way {
        name: "untracked-udp",
        carry: |family| known_udp(family, &format!("*raw\n-A PREROUTING -j NOTRACK\nCOMMIT\n{STATE}")),
    },
    Way {
        name: "known-udp",
        carry: |family| known_udp(family, STATE),
    },
    Way {
        name: "known-udp-batches",
        carry: |family| known_udp_in_batches(family, STATE),
    },
    Way {
        name: "known-tcp-batches",
        carry: known_tcp_in_batches,
    },
    Way {
        name: "known-udp-masqueraded",
        carry: |family| known_udp(family, HOME),
    },
    Way {
        name: "known-tcp-windows",
        carry: known_tcp,
    },
    Way {
        name: "new-udp",
        carry: |family| new_udp(family, STATE),
    },
    Way {
        name: "new-udp-masqueraded",
        carry: |family| new_udp(family, HOME),
    },
    Way {
        name: "past-100-rules",
        carry: |family| known_udp(family, &rules(family, 100)),
    },
    Way {
        name: "past-10000-rules",
        carry: |family| known_udp(family, &rules(family, 10_000)),
    },
];
const REPLAY: Way = Way {
    name: "replay",
    carry: |_| replay(),
};

/// Those of IPv4 first.
fn all_ways() -> Vec<Asked> {
    let of = |family| WAYS.iter().map(move |way| (way, family));
    of(Family::V4)
        .chain([(&REPLAY, Family::V4)])
        .chain(of(Family::V6))
        .collect()
}

/// As it is asked for and kept.
fn name_of((way, family): Asked) -> String {
    match family {
        Family::V4 => way.name.to_owned(),
        Family::V6 => format!("{}{OF_IPV6}", way.name),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    match &words[..] {
        [carry, name] if carry == CARRY => {
            let ways = all_ways();
            let (way, family) = ways
                .iter()
                .find(|it| name_of(**it) == *name)
                .expect("a way of this name");
            (way.carry)(*family);
            ExitCode::SUCCESS
        }
        _ => hold(&words),
    }
}

/// Counts, and says what is not as it was.
fn hold(words: &[String]) -> ExitCode {
    let has_callgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|it| it.success());
    if !has_callgrind {
        println!("!!! NOT RUN: instructions of a packet, for want of valgrind (Debian package valgrind)");
        return match std::env::var_os("NFLAB_REQUIRE_KERNEL") {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        };
    }
    let asked = |way: &Asked| words.is_empty() || words.iter().any(|word| name_of(*way).contains(word.as_str()));
    let ways: Vec<Asked> = all_ways().into_iter().filter(asked).collect();
    let counts = count_all(&ways);
    let mut kept = read();
    if std::env::var_os("NFLAB_BLESS").is_some() {
        kept.extend(counts);
        write(&kept);
        return ExitCode::SUCCESS;
    }
    let mut grown = 0;
    println!("{:<WIDTH$} {:>10} {:>10}", "instructions a packet", "kept", "now");
    for way in ways {
        let name = name_of(way);
        let now = counts[&name];
        let Some(before) = kept.get(&name).copied() else {
            println!("{name:<WIDTH$} {:>10} {now:>10}  nothing is kept: {RENEW}", "-");
            grown += 1;
            continue;
        };
        let change = now as f64 / before as f64 - 1.0;
        let remark = match change {
            BOUND.. => {
                grown += 1;
                format!(
                    "  {:.0} % more: find what a packet does now that it need not; if it has to, say so in the commit, and {RENEW}",
                    100.0 * change
                )
            }
            ..=CHEAPER => format!("  {:.0} % less: so that no slip hides in it, {RENEW}", -100.0 * change),
            _ => String::new(),
        };
        println!("{name:<WIDTH$} {before:>10} {now:>10}{remark}");
        let of_ipv4 = counts.get(way.0.name).filter(|_| way.1 == Family::V6);
        if let Some(of_ipv4) = of_ipv4
            && now as f64 > BESIDE_IPV4 * *of_ipv4 as f64
        {
            grown += 1;
            println!(
                "{:<WIDTH$} more than {BESIDE_IPV4} times as many as by IPv4, {of_ipv4}",
                ""
            );
        }
    }
    match grown {
        0 => ExitCode::SUCCESS,
        _ => {
            println!("\n{grown} of the ways take more instructions than {FILE} allows");
            ExitCode::FAILURE
        }
    }
}

/// Two at a time: on most machines nobody has fewer processors.
fn count_all(ways: &[Asked]) -> BTreeMap<String, u64> {
    let halves: [Vec<Asked>; 2] = [0, 1].map(|half| {
        ways.iter()
            .enumerate()
            .filter(|(at, _)| at % 2 == half)
            .map(|(_, way)| *way)
            .collect()
    });
    std::thread::scope(|scope| {
        let counting = halves.map(|half| {
            scope.spawn(move || {
                half.into_iter()
                    .map(|way| (name_of(way), count(way)))
                    .collect::<Vec<_>>()
            })
        });
        counting
            .into_iter()
            .flat_map(|it| it.join().expect("no way panics"))
            .collect()
    })
}

/// Instructions a packet.
fn count(way: Asked) -> u64 {
    let name = &name_of(way);
    let out = std::env::temp_dir().join(format!("nflab-instructions-{}-{name}", std::process::id()));
    let said = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{COUNTED}*"))
        .arg(format!(
            "--callgrind-out-file={}",
            out.to_str().expect("a directory with a plain name")
        ))
        .arg(std::env::current_exe().expect("a program knows where it lies"))
        .args([CARRY, name])
        .env_remove("NFLAB")
        .output()
        .expect("it answered before");
    let text = std::fs::read_to_string(&out).unwrap_or_default();
    let _ = std::fs::remove_file(&out);
    assert!(
        said.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    let total: u64 = total.expect("callgrind's file has a total");
    assert_ne!(total, 0, "{name}: nothing was counted: has {COUNTED} lost its name?");
    total / PACKETS
}

/// Everything in here is counted, and nothing else; callgrind finds it by its name.
#[inline(never)]
fn the_counted_packets(mut packet: impl FnMut(usize)) {
    for number in 0..PACKETS as usize {
        packet(number);
    }
}

fn known_udp(family: Family, rules: &str) {
    let (mut setup, packets) = exchange(family, rules);
    carry(&mut setup, &packets);
}

/// The same, thirty-two packets at once.
fn known_udp_in_batches(family: Family, rules: &str) {
    let (mut setup, packets) = exchange(family, rules);
    carry_batches(&mut setup, &packets);
}

/// A flow of both directions, and then packets of both.
fn exchange(family: Family, rules: &str) -> (Setup, [(InterfaceId, Vec<u8>); 2]) {
    let mut setup = Setup::of(family, rules, 1);
    let (lan, wan) = (setup.lan, setup.wan);
    let out = udp((client(family, 0), 4000), (server(family), 53), 32);
    let left = setup.forward(lan, &out);
    let back = udp((server(family), 53), source_of(&left), 32);
    setup.forward(wan, &back);
    (setup, [(lan, out), (wan, back)])
}

fn known_tcp_in_batches(family: Family) {
    let (mut setup, packets) = connection(family, STATE);
    carry_batches(&mut setup, &packets);
}

/// A connection that sends, and is answered.
fn known_tcp(family: Family) {
    let (mut setup, packets) = connection(family, HOME);
    carry(&mut setup, &packets);
}

fn connection(family: Family, rules: &str) -> (Setup, Vec<(InterfaceId, Vec<u8>)>) {
    let mut setup = Setup::of(family, rules, 1);
    let (lan, wan) = (setup.lan, setup.wan);
    let (client, server) = ((client(family, 0), 4000), (server(family), 80));
    let left = setup.forward(lan, &tcp(client, server, flags::SYN, (1000, 0), 0));
    let outside = source_of(&left);
    setup.forward(wan, &tcp(server, outside, flags::SYN | flags::ACK, (5000, 1001), 0));
    setup.forward(lan, &tcp(client, server, flags::ACK, (1001, 5001), 0));
    let (mut own, mut theirs) = (1001, 5001);
    let mut packets = Vec::new();
    for _ in 0..PACKETS / 2 {
        packets.push((lan, tcp(client, server, flags::ACK | flags::PSH, (own, theirs), 100)));
        own += 100;
        packets.push((wan, tcp(server, outside, flags::ACK, (theirs, own), 20)));
        theirs += 20;
    }
    (setup, packets)
}

/// Each packet a flow of its own, in a table that has some.
fn new_udp(family: Family, rules: &str) {
    let mut setup = Setup::of(family, rules, 1);
    let lan = setup.lan;
    let packet = |number: u64| {
        let client = client(family, (number % 64) as u32);
        (
            lan,
            udp((client, 1024 + (number / 64) as u16), (server(family), 53), 32),
        )
    };
    for number in PACKETS..2 * PACKETS {
        setup.forward(lan, &packet(number).1);
    }
    let packets: Vec<_> = (0..PACKETS).map(packet).collect();
    carry(&mut setup, &packets);
}

/// The packets in turn.
fn carry(setup: &mut Setup, packets: &[(InterfaceId, Vec<u8>)]) {
    let mut left = 0;
    the_counted_packets(|number| {
        let (interface, bytes) = &packets[number % packets.len()];
        left += setup.receive(*interface, black_box(bytes)).1.len();
    });
    assert_eq!(left as u64, PACKETS, "every packet has to get through");
}

/// The same in batches.
fn carry_batches(setup: &mut Setup, packets: &[(InterfaceId, Vec<u8>)]) {
    const BATCH: usize = 32;
    let packets: Vec<_> = (0..PACKETS as usize)
        .map(|number| packets[number % packets.len()].clone())
        .collect();
    let mut left = 0;
    // The count of packets is the counted function's: so it is called once a packet, and most calls do nothing.
    the_counted_packets(|number| {
        if number % BATCH == 0 {
            let batch = &packets[number..packets.len().min(number + BATCH)];
            left += setup.receive_batch(black_box(batch));
        }
    });
    let expected: usize = packets.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(left, expected, "every packet has to get through");
}

/// A capture of this many packets, read and passed.
fn replay() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/ftp-masquerade");
    let file = LabFile::load(&place.join("lab.toml"), |path| std::fs::read(path)).expect("a lab");
    let mut lab = Lab::new(&file, 1, TOOLBOX).expect("a lab");
    let rules = std::fs::read_to_string(place.join("rules.v4")).expect("its rules");
    let said = lab.tool("iptables-restore", &[], &rules, &place);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let mut entrances = Entrances::default();
    entrances.map(&lab, "10.0.0.0/24=lan").expect("an interface of the lab");
    entrances.map(&lab, "0.0.0.0/0=wan").expect("an interface of the lab");
    let mut replayer = Replayer::new(lab).with_entrances(entrances);
    // Its reader begins anew where it ends, and then a packet's time is earlier than the clock: the replayer says so of it, and goes on.
    let open = || CaptureReader::open(&place.join("router.pcap.gz")).expect("a capture");
    let mut capture = open();
    let mut started = false;
    the_counted_packets(|_| {
        loop {
            let Some(packet) = capture.next_packet().expect("it is whole") else {
                capture = open();
                continue;
            };
            let (Content::Ip(bytes), Some(Direction::In)) = (packet.content, packet.direction) else {
                continue;
            };
            let packet = TimedPacket {
                number: packet.number,
                time: packet.time,
                interface: None,
                bytes,
            };
            if !started {
                replayer.lab_mut().start_at(packet.time);
                started = true;
            }
            black_box(replayer.pass(packet).expect("each has an interface").report().state);
            return;
        }
    });
}

/// Rules that do not match, by address, protocol and port.
fn rules(family: Family, count: usize) -> String {
    let mut rules = String::from("*filter\n");
    for n in 0..count {
        let (a, b) = (n / 250, n % 250 + 1);
        let source = match family {
            Family::V4 => format!("172.16.{a}.{b}/32"),
            Family::V6 => format!("fd01::{a}:{b}/128"),
        };
        let _ = writeln!(rules, "-A FORWARD -s {source} -p udp --dport {} -j DROP", n + 1);
    }
    rules + "COMMIT\n"
}

fn read() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, count) = line.split_once(' ').unwrap_or((line, ""));
            let count = count.trim().parse();
            (
                name.to_owned(),
                count.unwrap_or_else(|_| panic!("{FILE}: not a name and a count: {line}")),
            )
        })
        .collect()
}

fn write(counts: &BTreeMap<String, u64>) {
    let mut text = format!("# Instructions a packet takes, made by benches/instructions: {RENEW}\n");
    for name in all_ways().into_iter().map(name_of) {
        if let Some(count) = counts.get(&name) {
            let _ = writeln!(text, "{name:<WIDTH$} {count:>10}");
        }
    }
    std::fs::write(path(), text).expect("the file can be written");
}

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)
}

const FILE: &str = "benches/instructions.txt";
const RENEW: &str = "run `NFLAB_BLESS=1 cargo bench --profile light --bench instructions`";
/// The word by which the program is told, below callgrind, to carry a way's packets.
const CARRY: &str = "--carry";
/// What callgrind looks for.
const COUNTED: &str = "the_counted_packets";
/// What the names of ways end with that packets of IPv6 go.
const OF_IPV6: &str = "-ipv6";
/// Of the longest name.
const WIDTH: usize = 26;
const PACKETS: u64 = 1000;
/// By how much a way may grow: what else is laid out or inlined differently stays below, what a packet does more does not.
const BOUND: f64 = 0.2;
/// So many times the instructions of a packet of IPv4 may one of IPv6 take on the same way.
const BESIDE_IPV4: f64 = 1.25;
/// A way that has become cheaper by as much as would take it back over the bound.
const CHEAPER: f64 = -0.2;
const STATE: &str = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";
/// What a home router has.
const HOME: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n\
    -A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -m state --state NEW -j ACCEPT\nCOMMIT\n";
