//! The tests, and a runner in the way of libtest's.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::Instant;

use super::fresh_seed::fresh_seed;
use super::instrument::compare::{Agreement, Disagreement, compare};
use super::instrument::generate;
use super::instrument::kernel::{Kernel, version};
use super::instrument::ours::{Clock, Ours};
use super::instrument::place::{Wiring, beside_a_kernel, prepare};
use super::instrument::record::{Record, Recorder};
use super::instrument::scenario::{Event, Scenario};
use super::instrument::side::Depth;
use super::instrument::strategy::{Scenarios, judge, runner, smallest};
use super::samples;

/// A kept case: a file, and the record beside it.
struct Case {
    name: String,
    path: PathBuf,
    scenario: Scenario,
    /// How often the kernel is asked before a difference is one.
    tries: u32,
    offload: bool,
}

/// In a case that shows what the kernel does within a jiffy, or within seconds: on a busy machine they may be over in between, and it is asked up to
/// three times.
const AGAINST_THE_CLOCK: &str = "# Against the clock.\n";

/// In a case whose packets come as cards with offload hand them over.
const WITH_OFFLOAD: &str = "# With offload.\n";

/// Scenarios at random.
struct Batch {
    name: &'static str,
    shape: generate::Shape,
    /// Nothing: a fresh one.
    seed: Option<u64>,
    count: u32,
    wiring: Wiring,
}

const BATCHES: &[Batch] = &[
    Batch {
        name: "random_conversations_of_a_fixed_seed",
        shape: generate::Shape::PLAIN,
        seed: Some(2),
        count: 60,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_hostility_of_a_fixed_seed",
        shape: generate::Shape::HOSTILE,
        seed: Some(2),
        count: 60,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_moves_of_a_fixed_seed",
        shape: generate::Shape::MOVING,
        seed: Some(2),
        count: 40,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_moves_of_a_fresh_seed",
        shape: generate::Shape::MOVING,
        seed: None,
        count: 40,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_conversations_of_a_fresh_seed",
        shape: generate::Shape::PLAIN,
        seed: None,
        count: 60,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_hostility_of_a_fresh_seed",
        shape: generate::Shape::HOSTILE,
        seed: None,
        count: 60,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_conversations_of_ipv6",
        shape: generate::Shape::PLAIN.of(generate::Families::V6),
        seed: Some(2),
        count: 30,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_hostility_of_ipv6",
        shape: generate::Shape::HOSTILE.of(generate::Families::V6),
        seed: Some(2),
        count: 30,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_conversations_of_both_families",
        shape: generate::Shape::PLAIN.of(generate::Families::Both),
        seed: Some(2),
        count: 20,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_hostility_of_both_families",
        shape: generate::Shape::HOSTILE.of(generate::Families::Both),
        seed: Some(2),
        count: 20,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_moves_of_both_families",
        shape: generate::Shape::MOVING.of(generate::Families::Both),
        seed: Some(2),
        count: 20,
        wiring: Wiring::PLAIN,
    },
    Batch {
        name: "random_conversations_on_two_workers",
        shape: generate::Shape::PLAIN,
        seed: Some(3),
        count: 40,
        wiring: TWO_WORKERS,
    },
    Batch {
        name: "random_conversations_on_two_workers_of_a_fresh_seed",
        shape: generate::Shape::PLAIN,
        seed: None,
        count: 20,
        wiring: TWO_WORKERS,
    },
    Batch {
        name: "random_conversations_with_offload",
        shape: generate::Shape::PLAIN,
        seed: Some(4),
        count: 20,
        wiring: OFFLOAD,
    },
    Batch {
        name: "random_hostility_with_offload_of_a_fresh_seed",
        shape: generate::Shape::HOSTILE,
        seed: None,
        count: 20,
        wiring: OFFLOAD,
    },
];

const TWO_WORKERS: Wiring = Wiring {
    workers: 2,
    ..Wiring::PLAIN
};
const OFFLOAD: Wiring = Wiring {
    offload: true,
    ..Wiring::PLAIN
};

const SAMPLES: &str = "packets_of_the_extensions_specs";

pub(crate) fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let is_chosen = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let cases: Vec<Case> = kept().into_iter().filter(|case| is_chosen(&case.name)).collect();
    let only_kept = args.iter().any(|arg| arg == "--kept");
    let batches: Vec<&Batch> = BATCHES
        .iter()
        .filter(|batch| !only_kept && is_chosen(batch.name))
        .collect();
    let with_samples = is_chosen(SAMPLES);
    if args.iter().any(|arg| arg == "--list") {
        let names = cases.iter().map(|case| case.name.as_str());
        let names = names.chain(with_samples.then_some(SAMPLES));
        let names = names.chain(batches.iter().map(|batch| batch.name));
        names.for_each(|name| println!("{name}: test"));
        return;
    }
    println!(
        "\nrunning {} tests",
        cases.len() + usize::from(with_samples) + batches.len()
    );
    let all = cases.len() + usize::from(with_samples) + batches.len();
    let has_kernel = match args.iter().any(|arg| arg == "--recorded") {
        true => None,
        false => Some(prepare()),
    };
    // The kept cases are held against records, the batches are nothing without a kernel.
    let (failed, not_run) = match has_kernel {
        None => (against_records(&cases, with_samples), batches.len()),
        Some(Ok(())) => (live(cases, with_samples, &batches), 0),
        Some(Err(why)) => (recorded(&cases, with_samples, &batches, &why), batches.len()),
    };
    let passed = (all - not_run).saturating_sub(failed);
    println!("\ntest result: {passed} passed; {not_run} not run, for want of a kernel; {failed} failed\n");
    exit(i32::from(failed > 0));
}

/// Beside the kernel. Cases that wait do so all at once.
fn live(cases: Vec<Case>, with_samples: bool, batches: &[&Batch]) -> usize {
    let record = std::env::var_os("NFLAB_TWIN_RECORD").is_some();
    let (slow, quick): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| {
        let mut events = case.scenario.events.iter();
        events.any(|event| matches!(event, Event::Wait(_)))
    });
    let waiting: Vec<_> = slow
        .into_iter()
        .map(|case| (case.name.clone(), std::thread::spawn(move || case.run(record))))
        .collect();
    let mut failed = 0;
    for case in quick {
        let name = case.name.clone();
        // A thread of its own, because its network namespace stays changed.
        let outcome = std::thread::spawn(move || case.run(record)).join();
        failed += report(&name, outcome);
    }
    if with_samples {
        let asked = |sample: &samples::Sample| whole(beside_a_kernel(Wiring::PLAIN, &sample.scenario()?, Depth::Texts));
        failed += report(SAMPLES, std::thread::spawn(move || of_samples(asked)).join());
    }
    for batch in batches {
        let (name, shape, wiring) = (batch.name, batch.shape, batch.wiring);
        let (count, seed) = (count(batch), seed(batch));
        let began = Instant::now();
        let outcome = std::thread::spawn(move || random(shape, wiring, seed, count)).join();
        let outcome = outcome.map(|done| done.map_err(|why| format!("seed {seed}: {why}")));
        println!(
            "test {name} ... seed {seed}, {count} scenarios, {:.1?}",
            began.elapsed()
        );
        failed += report(name, outcome);
    }
    for (name, thread) in waiting {
        failed += report(&name, thread.join());
    }
    failed
}

/// Each sample is told as it says, and `asked`.
fn of_samples(asked: impl Fn(&samples::Sample) -> Result<(), String>) -> Result<(), String> {
    let failed: Vec<String> = samples::all()
        .iter()
        .filter_map(|sample| sample.is_told().and_then(|()| asked(sample)).err())
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("\n")),
    }
}

fn report(name: &str, outcome: std::thread::Result<Result<(), String>>) -> usize {
    match outcome {
        Ok(Ok(())) => {
            println!("test {name} ... ok");
            return 0;
        }
        Ok(Err(why)) => println!("test {name} ... FAILED\n{why}"),
        Err(_) => println!("test {name} ... FAILED: it panicked"),
    }
    1
}

/// Against the records only, which takes seconds.
fn against_records(cases: &[Case], with_samples: bool) -> usize {
    let mut failed = 0;
    if with_samples {
        failed += report(SAMPLES, Ok(of_samples(|_| Ok(()))));
    }
    for case in cases {
        failed += report(&case.name, Ok(case.against_record()));
    }
    failed
}

/// Where there is no kernel to ask, which is said.
fn recorded(cases: &[Case], with_samples: bool, batches: &[&Batch], why: &str) -> usize {
    let mut failed = against_records(cases, with_samples);
    let names: Vec<&str> = batches.iter().map(|batch| batch.name).collect();
    let mut sentence =
        format!("the kernel was not asked ({why}): the kept cases were held against records of its answers");
    if !names.is_empty() {
        sentence += &format!(", and these were NOT RUN: {}", names.join(", "));
    }
    println!("NOT RUN: {sentence}");
    eprintln!("!!! {sentence}");
    if std::env::var_os("NFLAB_REQUIRE_KERNEL").is_some() {
        println!("NFLAB_REQUIRE_KERNEL is set: this is a failure");
        failed += 1;
    }
    failed
}

impl Case {
    fn run(&self, record: bool) -> Result<(), String> {
        if record {
            let mut kernel = Kernel::new(self.offload, self.scenario.speaks_ipv6())?;
            let title = format!("What the kernel answers to {}.nflab: {}", self.name, version());
            let mut recorder = Recorder::new(&mut kernel, &title);
            let mut own = Ours::new(Clock::real(), self.scenario.speaks_ipv6())?.wired(self.wiring(1));
            whole(compare(&self.scenario, &mut recorder, &mut own, Depth::Sums))?;
            let text = recorder.text();
            return std::fs::write(self.record(), text).map_err(|error| error.to_string());
        }
        self.against_record()?;
        let asked = || {
            let drawn = || beside_a_kernel(self.wiring(1), &self.scenario, Depth::Texts);
            let mut outcome = drawn();
            for _ in 1..PARTINGS {
                if !matches!(&outcome, Ok(it) if it.parted_at.is_some()) {
                    break;
                }
                outcome = drawn();
            }
            whole(outcome)
        };
        let mut outcome = asked();
        for _ in 1..self.tries {
            if outcome.is_ok() {
                break;
            }
            outcome = asked();
        }
        outcome
    }

    fn wiring(&self, workers: usize) -> Wiring {
        Wiring {
            workers,
            offload: self.offload,
        }
    }

    fn record(&self) -> PathBuf {
        self.path.with_extension("record")
    }

    fn against_record(&self) -> Result<(), String> {
        let path = self.record();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            format!(
                "{}: {error}: record it with NFLAB_TWIN_RECORD=1 cargo test --test twin {}",
                path.display(),
                self.name
            )
        })?;
        for workers in [1, 2] {
            let record = Record::read(&text).and_then(|record| record.fits(self.scenario.events.len()));
            let mut record = record.map_err(|why| format!("{}: {why}", path.display()))?;
            let mut own = Ours::new(Clock::Virtual, self.scenario.speaks_ipv6())?.wired(self.wiring(workers));
            let outcome = compare(&self.scenario, &mut record, &mut own, Depth::Sums);
            whole(outcome).map_err(|why| format!("against the record, workers {workers}: {why}"))?;
        }
        Ok(())
    }
}

/// Once in some thousand runs a port is drawn that a case uses elsewhere: that is chance. So often one after another it is the case's fault.
const PARTINGS: u32 = 3;

/// A kept case is written so that its sides do not part: it would show nothing from there on.
fn whole(outcome: Result<Agreement, Disagreement>) -> Result<(), String> {
    match outcome.map_err(|why| why.to_string())?.parted_at {
        None => Ok(()),
        Some(at) => Err(format!(
            "event {}: one side drew a port that the case uses elsewhere, and the comparison ended there: let the case use others",
            at + 1
        )),
    }
}

fn kept() -> Vec<Case> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twin/cases");
    let files = std::fs::read_dir(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    let mut cases: Vec<Case> = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "nflab"))
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
            let read = text.and_then(|text| {
                let scenario = Scenario::from_text(&name, &text)?;
                Ok((
                    [AGAINST_THE_CLOCK, WITH_OFFLOAD].map(|mark| text.contains(mark)),
                    scenario,
                ))
            });
            match read {
                Ok(([is_timed, offload], scenario)) => Case {
                    name,
                    path,
                    scenario,
                    tries: if is_timed { 3 } else { 1 },
                    offload,
                },
                Err(why) => {
                    println!("{}: {why}", path.display());
                    exit(1)
                }
            }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn random(shape: generate::Shape, wiring: Wiring, seed: u64, count: u32) -> Result<(), String> {
    let strategy = Scenarios(move |seed| generate::scenario(seed, shape));
    let outcome = runner(seed, count).run(&strategy, |scenario| {
        judge(beside_a_kernel(wiring, &scenario, Depth::Texts))
    });
    outcome.map_err(|error| match smallest(error) {
        (why, None) => why,
        (why, Some(scenario)) => format!(
            "{why}\nthe smallest scenario that shows it; keep it in tests/twin/cases/ under a name that says what it taught:\n{}",
            scenario.to_text()
        ),
    })
}

fn seed(batch: &Batch) -> u64 {
    number("NFLAB_TWIN_SEED").or(batch.seed).unwrap_or_else(fresh_seed)
}

fn count(batch: &Batch) -> u32 {
    number("NFLAB_TWIN_COUNT").unwrap_or(batch.count)
}

/// A number that was asked for. Whoever mistypes it is told: other scenarios than the wanted ones would pass for these.
fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var_os(variable)?;
    let Some(number) = text.to_str().and_then(|text| text.parse().ok()) else {
        eprintln!("{variable}={}: a number is expected", text.display());
        exit(2)
    };
    Some(number)
}
