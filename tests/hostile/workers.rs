//! `replay` on two and three workers writes what it writes on one, byte for byte: under rules of every kind that keep no state for packets of all
//! flows, whatever comes in, whatever the router answers.
//!
//! `NFLAB_REPLAY_ROUNDS` for more of it, `NFLAB_FUZZ_SEED` for another beginning.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nflab::base::{Family, InterfaceId, Random, Time};
use nflab::cli::TOOLBOX;
use nflab::device::CaptureWriter;
use nflab::lab::file::LabFile;
use nflab::lab::memory::Lab;
use nflab::rule::{Action, Reach, Rule, Table};

use crate::packets::Packets;
use crate::{Draw, rules};

#[test]
fn any_number_of_workers_writes_the_same() {
    let number = |name: &str, default: u64| {
        let value = std::env::var(name).ok();
        value.map_or(default, |it| it.parse().expect("a number"))
    };
    let (first, rounds) = (number("NFLAB_FUZZ_SEED", 1), number("NFLAB_REPLAY_ROUNDS", 4));
    let directory = Directory::named("same");
    let (mut packets, mut alone) = (0, 0);
    for seed in first..first + rounds {
        let (count, was_alone) = round(seed, &directory.0);
        packets += count;
        alone += u64::from(was_alone);
    }
    eprintln!("{packets} packets in {rounds} captures, {alone} of which one worker had to do alone");
    assert!(alone < rounds, "none was shared");
}

/// Workers whose packets wait for each other are slower than one, and where the processors have other work by a hundred times.
#[test]
fn what_would_mostly_wait_is_done_by_one() {
    let directory = Directory::named("waiting");
    let write = |name: &str, text: &str| std::fs::write(directory.0.join(name), text).unwrap();
    write("lab.toml", LAB);
    write("rules", "");
    let said = |to: [u8; 4]| {
        datagrams(&directory.0.join("in.pcapng"), to, |_| "lan");
        let ran = Command::new(env!("CARGO_BIN_EXE_nflab"))
            .current_dir(&directory.0)
            .args("replay --lab lab.toml --rules rules --summary --workers 2 in.pcapng".split(' '))
            .output()
            .unwrap();
        String::from_utf8(ran.stderr).unwrap()
    };
    let forwarded = said([198, 51, 100, 9]);
    assert!(forwarded.contains(" on 2 workers: 3,000 packets"), "{forwarded}");
    let answered = said([10, 0, 0, 1]);
    assert!(
        answered.contains(" on one worker, because many packets are for the router, or answered by it"),
        "{answered}"
    );
}

/// What several workers were told of themselves, before one began anew, is not taken for something that is said of the capture.
#[test]
fn who_begins_anew_says_all_that_has_not_been_said() {
    let directory = Directory::named("anew");
    let write = |name: &str, text: &str| std::fs::write(directory.0.join(name), text).unwrap();
    write("lab.toml", LAB);
    write("rules", "*filter\n-A FORWARD -m limit --limit 1/sec\nCOMMIT\n");
    let by = |number| if number % 100 == 50 { "nowhere" } else { "lan" };
    datagrams(&directory.0.join("in.pcapng"), [10, 0, 0, 1], by);
    let said = |workers| {
        let ran = Command::new(env!("CARGO_BIN_EXE_nflab"))
            .current_dir(&directory.0)
            .args(["replay", "--lab", "lab.toml", "--rules", "rules", "--summary"])
            .args(["--workers", workers, "in.pcapng"])
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        let (said, pace) = said.split_once("\nReplayed in ").expect("a summary");
        (said.to_owned(), pace.to_owned())
    };
    let (one, _) = said("1");
    assert!(one.contains("nflab: so it is with 30 packets in all: "), "{one}");
    let (anew, pace) = said("2");
    assert!(pace.contains(" on one worker, because"), "{pace}");
    let (of_workers, anew) = anew.split_once('\n').unwrap();
    assert!(of_workers.contains("packets of all flows meet in"), "{of_workers}");
    assert_eq!(anew, one);
}

/// Three thousand to a port where nobody listens.
fn datagrams(path: &Path, to: [u8; 4], by: impl Fn(u64) -> &'static str) {
    let mut writer = CaptureWriter::create(path).unwrap();
    for number in 0..3000u64 {
        let host = number as u8 % 200 + 2;
        let mut bytes = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, host];
        bytes.extend(to);
        let sum: u32 = bytes.chunks(2).map(|it| u32::from(it[0]) << 8 | u32::from(it[1])).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend([1, 2, 3, 4, 0, 8, 0, 0]);
        let time = Time::from_secs(1_800_000_000) + Duration::from_millis(number);
        writer.write(by(number), time, &bytes, None).unwrap();
    }
    writer.finish().unwrap();
}

/// How many packets; and whether several workers found that they could not.
fn round(seed: u64, directory: &Path) -> (u64, bool) {
    let mut draw = Draw(Random::new(seed));
    let mut lab_text = LAB.to_owned();
    for (key, value) in rules::knobs(&mut draw) {
        // Who finds no room in a small table hangs on who came first.
        if key != "net.netfilter.nf_conntrack_max" {
            writeln!(lab_text, "\"{key}\" = \"{value}\"").unwrap();
        }
    }
    std::fs::write(directory.join("lab.toml"), &lab_text).unwrap();
    let file = LabFile::parse("lab", &lab_text).unwrap();
    let mut lab = Lab::new(&file, seed, TOOLBOX).unwrap();
    for (family, name) in [(Family::V4, "rules"), (Family::V6, "rules6")] {
        let rules = without_meetings(&mut lab, family, &rules::ruleset(&mut draw, family));
        std::fs::write(directory.join(name), &rules).unwrap();
    }
    let count = capture(&mut draw, lab, &directory.join("in.pcapng"));
    let written = |workers: &str, more: &[&str]| {
        for name in RESULTS {
            let _ = std::fs::remove_file(directory.join(name));
        }
        let ran = Command::new(env!("CARGO_BIN_EXE_nflab"))
            .current_dir(directory)
            .args("replay --lab lab.toml --rules rules --rules6 rules6 --summary --fill-cut".split(' '))
            .args(more)
            .args("--out out --annotate annotated --json json --save saved --save6 saved6 --conntrack flows".split(' '))
            .args(["in.pcapng", "--workers", workers])
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        let (said, pace) = said.split_once("Replayed in ").unwrap_or((&said, ""));
        let mut all = vec![("said", said.as_bytes().to_vec()), ("printed", ran.stdout)];
        for name in RESULTS {
            all.push((name, std::fs::read(directory.join(name)).unwrap_or_default()));
        }
        (ran.status.code(), all, pace.to_owned())
    };
    // What is explained is carried one by one, and else several together.
    let explained = ["--explain", "all"];
    let (code, one, _) = written("1", &explained);
    assert!(code.is_some(), "seed {seed}");
    let mut was_alone = false;
    for (workers, more) in [
        ("2", &explained[..]),
        ("3", &explained),
        ("1", &[]),
        ("2", &[]),
        ("3", &[]),
    ] {
        let (same, several, pace) = written(workers, more);
        assert_eq!(same, code, "seed {seed}, {workers} workers, {more:?}");
        for ((name, one), (_, several)) in one.iter().zip(&several) {
            let is_told = *name != "printed" || !more.is_empty();
            assert!(
                !is_told || one == several,
                "seed {seed}, {workers} workers, {more:?}: {name}\n{}",
                differ(one, several)
            );
        }
        if workers == "1" {
            continue;
        }
        was_alone |= pace.contains("on one worker, because");
        assert!(
            pace.contains(&format!("on {workers} workers")) || pace.contains("on one worker, because"),
            "seed {seed}: {pace}"
        );
    }
    (count, was_alone)
}

fn differ(one: &[u8], other: &[u8]) -> String {
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    let lines = one.lines().zip(other.lines()).enumerate();
    let mut lines = lines.filter(|(_, (one, other))| one != other);
    match lines.next() {
        Some((at, (one, other))) => format!("line {}:\n{one}\n{other}", at + 1),
        None => format!("{} and {} lines", one.lines().count(), other.lines().count()),
    }
}

/// The rules that are left once those are gone in which packets of all flows meet; they are in force in the lab.
fn without_meetings(lab: &mut Lab, family: Family, rules: &str) -> String {
    let (restore, save) = match family {
        Family::V4 => ("iptables-restore", "iptables-save"),
        Family::V6 => ("ip6tables-restore", "ip6tables-save"),
    };
    let tables: String = rules
        .split_inclusive("COMMIT\n")
        .filter(|table| !table.starts_with("*nat"))
        .collect();
    let output = lab.tool(restore, &[], &tables, ".".as_ref());
    assert_eq!(output.code, 0, "{}\n{tables}", output.stderr);
    for table in Table::ALL {
        let router = lab.machine.router();
        if !router.tables(family).contains(&table) {
            continue;
        }
        let mut rules = router.table(family, table);
        for chain in &mut rules.chains {
            chain.rules.retain(|rule| !meets_others(rule));
        }
        router.replace(rules, lab.now()).unwrap();
    }
    lab.tool(save, &[], "", ".".as_ref()).stdout
}

fn meets_others(rule: &Rule) -> bool {
    let of_target = match &rule.action {
        Action::Target(target) => target.effect().reach,
        _ => Reach::Flow,
    };
    of_target == Reach::Others || rule.matches.iter().any(|test| test.effect().reach == Reach::Others)
}

/// Packets that the lab was sent, with answers to what it sent; how many.
fn capture(draw: &mut Draw, mut lab: Lab, path: &Path) -> u64 {
    let mut writer = CaptureWriter::create(path).unwrap();
    let mut packets = Packets::of(&Family::ALL);
    let (mut now, mut heard, mut count) = (Time::from_secs(1_800_000_000), Vec::new(), 0);
    let most = if draw.one_in(12) { 9000 } else { 1200 };
    let length = 400 + draw.below(most) as u64;
    let is_shared = !draw.one_in(4);
    // Workers need not look at each packet of others where many come in order between two ticks.
    let is_dense = draw.one_in(2);
    while count < length {
        let pause = match is_dense && !draw.one_in(300) {
            true => Duration::from_micros(draw.below(800) as u64),
            false => draw.pause(),
        };
        now = now + pause;
        lab.set_clock(now);
        for (interface, bytes) in packets.draw(draw, &heard) {
            let source = match Family::of_packet(&bytes) {
                Some(Family::V6) => bytes.get(8..24),
                _ => bytes.get(12..16),
            };
            let has_no_source = interface.is_none() && source.is_some_and(|it| it.iter().all(|byte| *byte == 0));
            if is_shared && (begins_an_error_in_pieces(&bytes) || has_no_source) {
                continue;
            }
            let (_, output) = lab.carry_silently(interface, &bytes);
            heard.extend(output.iter().map(|it| it.bytes.clone()));
            let name = match interface {
                Some(InterfaceId(1)) => "lan",
                Some(_) => "wan",
                None => "local",
            };
            let time = if draw.one_in(if is_dense { 300 } else { 40 }) {
                Time::from_nanos(now.as_nanos() - 300_000_000)
            } else {
                now
            };
            writer.write(name, time, &bytes, None).unwrap();
            count += 1;
        }
        if heard.len() > 40 {
            heard.drain(..heard.len() - 20);
        }
    }
    writer.finish().unwrap();
    count
}

/// It has to be whole before anybody knows whose it is.
fn begins_an_error_in_pieces(bytes: &[u8]) -> bool {
    if Family::of_packet(bytes) == Some(Family::V6) {
        // Behind other headers, too.
        let behind = bytes.get(6..).unwrap_or_default();
        return behind.first() != Some(&58) && behind.contains(&58);
    }
    let header = usize::from(bytes.first().map_or(0, |it| it & 15)) * 4;
    let is_icmp = bytes.get(9) == Some(&1) && bytes.get(6).is_some_and(|it| it & 0x20 != 0);
    is_icmp
        && bytes
            .get(header)
            .is_some_and(|kind| matches!(kind, 3 | 4 | 5 | 11 | 12))
}

struct Directory(PathBuf);

impl Directory {
    fn named(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nflab-workers-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        match std::thread::panicking() {
            true => eprintln!("what failed is in {}", self.0.display()),
            false => drop(std::fs::remove_dir_all(&self.0)),
        }
    }
}

const RESULTS: [&str; 6] = ["out", "annotated", "json", "saved", "saved6", "flows"];

const LAB: &str = r#"[interface.lan]
address = ["10.0.0.1/24", "2001:db8::1/64"]
[interface.wan]
address = ["192.0.2.1/24", "2001:db8:1::1/64"]
[[route]]
to = "default"
via = "192.0.2.254"
[[route]]
to = "::/0"
via = "2001:db8:1::fe"
[sysctl]
"#;
