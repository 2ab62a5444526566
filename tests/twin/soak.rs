//! Scenario after scenario until the time is over, and what they reached.

use std::process::exit;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use proptest::prelude::Rng;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::instrument::compare::{Agreement, Disagreement};
use super::instrument::freedom::FREEDOMS;
use super::instrument::generate::{Families, Shape, noted};
use super::instrument::place::{Wiring, beside_a_kernel, prepare};
use super::instrument::scenario::Scenario;
use super::instrument::side::Depth;
use super::instrument::strategy::{Shrinking, judge, runner, smallest};
use super::instrument::tally::Tally;
use super::instrument::transitions::never;

/// Random scenarios on nflab and on the real kernel
#[derive(Parser)]
#[command(name = "twin-soak")]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Where the random numbers begin: the same seed gives the same scenarios
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scenarios at a time; the kernel makes and removes namespaces slowly, and others can run meanwhile
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Only scenarios of this shape: plain, hostile, moving (routes, addresses and links change) or sharing (and routes have several gateways)
    #[arg(long, value_parser = ["plain", "hostile", "moving", "sharing"])]
    shape: Option<String>,
    /// Only scenarios of this family, or with both side by side
    #[arg(long, value_parser = ["v4", "v6", "both"], default_value = "v4")]
    family: String,
    /// How many workers carry packets on nflab's side
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    workers: u8,
    /// Packets come as cards with offload hand them over: with checksums that are only begun, or standing for many
    #[arg(long)]
    offload: bool,
    /// Where the smallest scenario that differs is written; beside it, with `.whole.nflab` at its end, the one that was drawn, and with
    /// `.once-1.nflab` and so on those that differed once and never again, which do not end the soak
    #[arg(long, default_value = "twin-difference.nflab")]
    keep: std::path::PathBuf,
    /// Runs this scenario once, and nothing else
    #[arg(long, value_name = "FILE")]
    again: Option<std::path::PathBuf>,
}

/// What the jobs share.
struct Soak {
    arguments: Arguments,
    began: Instant,
    sums: Sums,
    told: Duration,
    source: TestRunner,
    /// A job has found a difference, and ends the program when it has shrunk it.
    over: bool,
}

#[derive(Default)]
struct Sums {
    begun: u64,
    scenarios: u64,
    packets: u64,
    comparisons: u64,
    parted: u64,
    unseen: u64,
    /// Differences that never showed again: the two sides' clocks are not one, and a busy machine may halt between them.
    once: u64,
    tally: Tally,
}

pub(crate) fn main() {
    let arguments = Arguments::parse();
    if let Err(why) = prepare() {
        eprintln!("twin-soak: there is no kernel to ask: {why}");
        exit(3);
    }
    let jobs = arguments.jobs.max(1);
    let wiring = Wiring {
        workers: arguments.workers.into(),
        offload: arguments.offload,
    };
    if let Some(file) = &arguments.again {
        return again(file, wiring);
    }
    let soak = Mutex::new(Soak {
        source: runner(arguments.seed, 1),
        arguments,
        began: Instant::now(),
        sums: Sums::default(),
        told: Duration::ZERO,
        over: false,
    });
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| job(&soak, wiring));
        }
    });
    let Ok(soak) = soak.into_inner() else { exit(1) };
    soak.sums.print(soak.began.elapsed());
    println!(
        "\nreached, in packets that rules counted and in what became of packets, and what was drawn, in messages and disturbances:"
    );
    for ((kind, name), count) in &soak.sums.tally.0 {
        println!("  {count:>10}  {kind} {name}");
    }
    println!("\ntransitions that never came:");
    for line in never(&soak.sums.tally) {
        println!("  {line}");
    }
    if soak.arguments.family != "v4" {
        println!("\nof IPv6 never came:");
        for line in soak.sums.tally.never_of_ipv6() {
            println!("  {line}");
        }
    }
    println!("\nleft free:");
    for freedom in FREEDOMS {
        println!("  {}: {}\n    held: {}", freedom.what, freedom.why, freedom.held);
    }
    let seed = soak.arguments.seed;
    match soak.sums.once {
        0 => println!("\nno difference, seed {seed}"),
        once => println!(
            "\nno difference that shows again, {once} that showed once in {} runs, seed {seed}",
            AGAIN + 1
        ),
    }
}

/// What was kept, or written by hand.
fn again(file: &std::path::Path, wiring: Wiring) {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let scenario = text.and_then(|text| Scenario::from_text(&name, &text));
    let outcome = match &scenario {
        Ok(scenario) => beside_a_kernel(wiring, scenario, Depth::Texts),
        Err(why) => Err(Disagreement::Broken(why.clone())),
    };
    match outcome {
        Ok(agreement) => println!("no difference in {} packets", agreement.packets),
        Err(why) => {
            println!("{why}");
            exit(1)
        }
    }
}

fn job(soaks: &Mutex<Soak>, wiring: Wiring) {
    loop {
        let next = soaks.lock().ok().and_then(|mut soak| soak.next());
        let Some((seed, shape, depth)) = next else { return };
        let (scenario, notes) = noted(seed, shape);
        let tree = Shrinking::new(scenario);
        let outcome = beside_a_kernel(wiring, &tree.current(), depth);
        let Ok(mut soak) = soaks.lock() else { return };
        match outcome {
            _ if soak.over => return,
            Ok(agreement) => {
                for (name, count) in notes {
                    soak.sums.tally.add("drawn", &name, count as u64);
                }
                soak.add(agreement);
            }
            Err(why @ Disagreement::Broken(_)) => {
                write(&tree.current(), &soak.arguments.keep.with_extension("broken.nflab"));
                eprintln!("twin-soak: {}: {why}", tree.current().name);
                exit(3)
            }
            Err(why) => {
                let (keep, whole) = (soak.arguments.keep.clone(), tree.current());
                // Nobody begins another meanwhile: what shows beside others alone hangs on what the whole machine has one of, or on the moment.
                let halted = Instant::now();
                let shown = (0..AGAIN)
                    .filter(|_| beside_a_kernel(wiring, &whole, Depth::Texts).is_err())
                    .count();
                soak.began += halted.elapsed();
                // With several workers what shows once may be a race of nflab's own.
                let is_excused = wiring.workers == 1 && !matches!(why, Disagreement::Panicked(_));
                if shown == 0 && is_excused {
                    soak.sums.once += 1;
                    println!(
                        "seen once, and in none of {AGAIN} runs again, in {}:\n{why}",
                        whole.name
                    );
                    write(&whole, &keep.with_extension(format!("once-{}.nflab", soak.sums.once)));
                    continue;
                }
                soak.over = true;
                soak.sums.print(soak.began.elapsed());
                drop(soak);
                println!(
                    "1 difference, in {}; looking for the smallest scenario that shows it\n{why}\nit shows in {shown} of {AGAIN} runs",
                    whole.name
                );
                shrink(tree, wiring, &keep);
                exit(1)
            }
        }
    }
}

impl Soak {
    /// The next scenario; none when the time is over.
    fn next(&mut self) -> Option<(u64, Shape, Depth)> {
        let minutes = self.began.elapsed().as_secs_f64() / 60.0;
        if self.over || minutes >= self.arguments.minutes {
            return None;
        }
        let number = self.sums.begun;
        self.sums.begun += 1;
        let shape = match (self.arguments.shape.as_deref(), number % 3) {
            (Some("plain"), _) | (None, 0) => Shape::PLAIN,
            (Some("moving"), _) | (None, 2) => Shape::MOVING,
            (Some("sharing"), _) => Shape::SHARING,
            _ => Shape::HOSTILE,
        };
        let shape = shape.of(match self.arguments.family.as_str() {
            "v6" => Families::V6,
            "both" => Families::Both,
            _ => Families::V4,
        });
        let depth = match number % 8 {
            0 => Depth::Texts,
            _ => Depth::Tables,
        };
        Some((self.source.rng().next_u64(), shape, depth))
    }

    fn add(&mut self, agreement: Agreement) {
        let sums = &mut self.sums;
        sums.scenarios += 1;
        sums.packets += agreement.packets;
        sums.comparisons += agreement.comparisons;
        sums.unseen += agreement.unseen;
        sums.parted += u64::from(agreement.parted_at.is_some());
        sums.tally.join(agreement.tally);
        let elapsed = self.began.elapsed();
        if elapsed - self.told > Duration::from_secs(30) {
            self.told = elapsed;
            sums.print(elapsed);
        }
    }
}

impl Sums {
    fn print(&self, elapsed: Duration) {
        println!(
            "{:>5.0} s: {} scenarios, {} packets, {} comparisons, no difference; {:.0} packets a second on both sides together; {} scenarios \
             ended early at a port that was drawn, {} packets before their end",
            elapsed.as_secs_f64(),
            self.scenarios,
            self.packets,
            self.comparisons,
            self.packets as f64 / elapsed.as_secs_f64(),
            self.parted,
            self.unseen
        );
    }
}

/// How often a scenario that differed is run again: what hangs on a draw does not show each time, and what hangs on the moment not again.
const AGAIN: usize = 20;

/// Looks for the smallest scenario that differs, and keeps it.
fn shrink(tree: Shrinking, wiring: Wiring, keep: &std::path::Path) {
    let whole = tree.current();
    // What is left when it is smaller may differ in something else.
    write(&whole, &keep.with_extension("whole.nflab"));
    let smallest = runner(0, 1).run_one(tree, |scenario| judge(beside_a_kernel(wiring, &scenario, Depth::Texts)));
    let scenario = match smallest.map_err(self::smallest) {
        Err((why, Some(scenario))) => {
            println!("\n{why}\n{}", scenario.to_text());
            scenario
        }
        _ => whole,
    };
    write(&scenario, keep);
}

fn write(scenario: &Scenario, file: &std::path::Path) {
    match std::fs::write(file, scenario.to_text()) {
        Ok(()) => println!("written to {}", file.display()),
        Err(error) => println!("cannot write {}: {error}", file.display()),
    }
}
