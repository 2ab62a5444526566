//! Scenario after scenario until the time is over, and what they reached.

use std::process::exit;
use std::time::{Duration, Instant};

use clap::Parser;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestCaseError;

use super::instrument::compare::Disagreement;
use super::instrument::freedom::FREEDOMS;
use super::instrument::generate::{Shape, scenario};
use super::instrument::place::{beside_a_kernel, prepare};
use super::instrument::side::Depth;
use super::instrument::strategy::{Scenarios, runner, smallest};
use super::instrument::tally::Tally;

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
    /// Where the smallest scenario that differs is written
    #[arg(long, default_value = "twin-difference.nflab")]
    keep: std::path::PathBuf,
}

#[derive(Default)]
struct Sums {
    scenarios: u64,
    packets: u64,
    comparisons: u64,
    parted: u64,
    tally: Tally,
}

pub fn main() {
    let arguments = Arguments::parse();
    if let Err(why) = prepare() {
        eprintln!("twin-soak: there is no kernel to ask: {why}");
        exit(3);
    }
    let began = Instant::now();
    let end = Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut sums = Sums::default();
    let mut runner_ = runner(arguments.seed, 1);
    let mut told = Duration::ZERO;
    while began.elapsed() < end {
        let shape = match sums.scenarios % 2 {
            0 => Shape::PLAIN,
            _ => Shape::HOSTILE,
        };
        let tree = Scenarios(move |seed| scenario(seed, shape)).new_tree(&mut runner_);
        let Ok(tree) = tree else {
            unreachable!("a scenario can always be made")
        };
        let depth = match sums.scenarios % 8 {
            0 => Depth::Texts,
            _ => Depth::Tables,
        };
        match beside_a_kernel(&tree.current(), depth) {
            Ok(agreement) => {
                sums.scenarios += 1;
                sums.packets += agreement.packets;
                sums.comparisons += agreement.comparisons;
                sums.parted += u64::from(agreement.parted_at.is_some());
                sums.tally.join(agreement.tally);
            }
            Err(why) => differs(&arguments, &sums, began, tree, &why),
        }
        if began.elapsed() - told > Duration::from_secs(30) {
            told = began.elapsed();
            sums.print(began.elapsed());
        }
    }
    sums.print(began.elapsed());
    println!("\nreached, in packets that rules counted and in what became of packets:");
    for ((kind, name), count) in &sums.tally.0 {
        println!("  {count:>10}  {kind} {name}");
    }
    println!("\nleft free:");
    for freedom in FREEDOMS {
        println!("  {}: {}\n    held: {}", freedom.what, freedom.why, freedom.held);
    }
    println!("\nno difference, seed {}", arguments.seed);
}

impl Sums {
    fn print(&self, elapsed: Duration) {
        println!(
            "{:>5.0} s: {} scenarios, {} packets, {} comparisons, no difference; {:.0} packets a second on both sides together; {} scenarios \
             ended early at a port that was drawn",
            elapsed.as_secs_f64(),
            self.scenarios,
            self.packets,
            self.comparisons,
            self.packets as f64 / elapsed.as_secs_f64(),
            self.parted
        );
    }
}

/// Shrinks what differs, shows it, and ends the program.
fn differs<T: ValueTree<Value = super::instrument::scenario::Scenario>>(
    arguments: &Arguments,
    sums: &Sums,
    began: Instant,
    tree: T,
    why: &Disagreement,
) -> ! {
    sums.print(began.elapsed());
    println!(
        "1 difference, in {}; looking for the smallest scenario that shows it\n{why}",
        tree.current().name
    );
    let outcome = runner(0, 1).run_one(tree, |scenario| {
        let outcome = beside_a_kernel(&scenario, Depth::Texts);
        outcome.map(drop).map_err(|why| TestCaseError::fail(why.to_string()))
    });
    if let Err(Some((why, scenario))) = outcome.map_err(smallest) {
        println!("\n{why}\n{}", scenario.to_text());
        match std::fs::write(&arguments.keep, scenario.to_text()) {
            Ok(()) => println!("written to {}", arguments.keep.display()),
            Err(error) => println!("cannot write {}: {error}", arguments.keep.display()),
        }
    }
    exit(1)
}
