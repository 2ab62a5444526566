//! How many instructions a packet takes on each of many ways, most of them in both families, counted by callgrind, and held against
//! `benches/instructions.txt`: a slip is seen without a clock.
//!
//! ```sh
//! cargo bench --profile light --bench instructions                 # counts, and fails where a way has grown by more than a fifth
//! NFLAB_BLESS=1 cargo bench --profile light --bench instructions   # writes the counts anew
//! cargo bench --profile light --bench instructions -- tcp          # only the ways with this in their name
//! ```
//! The same program counts the same: seeds are fixed, times are made up, and what is drawn anew in each process (the keys of `HashMap`) lies outside of
//! what is counted. A packet of IPv6 may take a quarter more than one of IPv4, and one of a flood ten times as many as a plain one. Another compiler or processor (`memchr` and `memcpy` ask which it is)
//! counts a little otherwise, which the bound is wide enough for. What has become cheaper by as much does not fail, and is said: the counts should then
//! be written anew, or the next slip hides in it.

#[allow(dead_code, reason = "shared with the benchmark of the router, which uses more of it")]
#[path = "../bench_router/mod.rs"]
mod bench_router;
mod floods;
mod ways;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use bench_router::floods::{FLOODS, Flood};
use floods::{OF_A_FLOOD, PLAIN};
use nflab::base::Family;
use ways::{OF_BOTH, WAYS, Way};

/// A way as packets of a family go it.
#[derive(Clone, Copy)]
struct Asked {
    what: What,
    family: Family,
}

#[derive(Clone, Copy)]
enum What {
    Way(&'static Way),
    Flood(&'static Flood),
}

/// Those of IPv4 first.
fn all_ways() -> Vec<Asked> {
    let both = || WAYS.iter().map(What::Way).chain(FLOODS.iter().map(What::Flood));
    let of_ipv4 = both().chain(OF_BOTH.iter().map(What::Way));
    let of = |family| move |what| Asked { what, family };
    of_ipv4.map(of(Family::V4)).chain(both().map(of(Family::V6))).collect()
}

impl Asked {
    /// As it is asked for and kept.
    fn name(self) -> String {
        match self.family {
            Family::V4 => self.name_of_ipv4(),
            Family::V6 => format!("{}{OF_IPV6}", self.name_of_ipv4()),
        }
    }

    fn name_of_ipv4(self) -> String {
        match self.what {
            What::Way(way) => way.name.to_owned(),
            What::Flood(flood) => format!("flood-{}", flood.name),
        }
    }

    fn carry(self) {
        match self.what {
            What::Way(way) => (way.carry)(self.family),
            What::Flood(flood) => floods::carry(flood, self.family),
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    match &words[..] {
        [carry, name] if carry == CARRY => {
            let ways = all_ways();
            let asked = ways.iter().find(|it| it.name() == *name);
            asked.expect("a way of this name").carry();
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
    let asked = |way: &Asked| words.is_empty() || words.iter().any(|word| way.name().contains(word.as_str()));
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
        let name = way.name();
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
        let allowed = match way.what {
            What::Way(_) => counts
                .get(&way.name_of_ipv4())
                .filter(|_| way.family == Family::V6)
                .map(|of_ipv4| (BESIDE_IPV4, of_ipv4, "as many as by IPv4")),
            What::Flood(_) => kept.get(PLAIN).map(|plain| (OF_A_FLOOD, plain, PLAIN)),
        };
        if let Some((times, beside, what)) = allowed
            && now as f64 > times * *beside as f64
        {
            grown += 1;
            println!("{:<WIDTH$} more than {times} times {what}, {beside}", "");
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
        let counting = halves
            .map(|half| scope.spawn(move || half.into_iter().map(|way| (way.name(), count(way))).collect::<Vec<_>>()));
        counting
            .into_iter()
            .flat_map(|it| it.join().expect("no way panics"))
            .collect()
    })
}

/// Instructions a packet.
fn count(way: Asked) -> u64 {
    let name = &way.name();
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
    for name in all_ways().into_iter().map(Asked::name) {
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
/// How many it counts of each way.
const PACKETS: u64 = 1000;
/// What the names of ways end with that packets of IPv6 go.
const OF_IPV6: &str = "-ipv6";
/// Of the longest name.
const WIDTH: usize = 42;
/// By how much a way may grow: what else is laid out or inlined differently stays below, what a packet does more does not.
const BOUND: f64 = 0.2;
/// So many times the instructions of a packet of IPv4 may one of IPv6 take on the same way.
const BESIDE_IPV4: f64 = 1.25;
/// A way that has become cheaper by as much as would take it back over the bound.
const CHEAPER: f64 = -0.2;
