//! Whatever import is given, what it writes the real iptables-restore takes: listings, commands, save files and scripts, with errors in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nflab::base::bytes::{bytes_of, text_of};
use nflab::base::{Family, Random};
use nflab::import::{self, Input, Options};
use nflab::syntax::problem::Source;
use nflab::text::StaticHosts;

use super::fresh_seed::fresh_seed;
use super::values::pick;
use super::{Step, compare, generator, import as listings, mutations, number, options, real, six};

/// Finds again what was found.
#[test]
fn what_import_writes_is_taken_from_the_fixed_seed() {
    from_seed(1);
}

/// Finds more; as long as `ORACLE_MINUTES` says.
#[test]
fn what_import_writes_is_taken_from_a_fresh_seed() {
    from_seed(number("ORACLE_SEED").unwrap_or_else(fresh_seed));
}

fn from_seed(seed: u64) {
    if !compare::can("what import writes") {
        return;
    }
    let until = number("ORACLE_MINUTES").map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let mut random = Random::new(seed);
    let mut figures = Figures::default();
    // Most texts have a mistake somewhere, how many depends on the seed: so rounds go on until there is enough of both.
    for round in 1.. {
        let texts: Vec<Text> = (0..number("ORACLE_COUNT").unwrap_or(100))
            .map(|_| Text::any(&mut random))
            .collect();
        figures.hold(&texts, seed);
        let over = until.is_none_or(|until| Instant::now() >= until);
        if over && (figures.are_enough() || round == MOST_ROUNDS) {
            break;
        }
    }
    println!("what import writes (ORACLE_SEED={seed}): {figures:?}");
    // Else nothing was tried: neither that it writes, nor that it refuses.
    assert!(figures.are_enough(), "{figures:?}");
}

const MOST_ROUNDS: usize = 6;

#[derive(Debug, Default)]
struct Figures {
    written: usize,
    refused: usize,
}

impl Figures {
    fn are_enough(&self) -> bool {
        self.written > 10 && self.refused > 10
    }

    fn hold(&mut self, texts: &[Text], seed: u64) {
        let next = AtomicUsize::new(0);
        let written = AtomicUsize::new(0);
        let wrong = Mutex::new(String::new());
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let Some(save) = text.imported() else {
                            continue;
                        };
                        written.fetch_add(1, Ordering::Relaxed);
                        if let Err(said) = taken(&save) {
                            let (text, save, said) = text.shrunk(save, said);
                            *wrong.lock().expect("no thread died") +=
                                &format!("of {text:?} import writes\n{save:#?}\nand that is refused: {said}\n");
                        }
                    }
                });
            }
        });
        let wrong = wrong.into_inner().expect("no thread died");
        assert!(wrong.is_empty(), "ORACLE_SEED={seed}\n{wrong}");
        let written = written.into_inner();
        self.written += written;
        self.refused += texts.len() - written;
    }
}

/// Into tables that are the namespace's own, so that the kernel is asked as well.
fn taken(saves: &Saves) -> Result<(), String> {
    let steps: Vec<Step> = saves
        .iter()
        .map(|(family, save)| Step::restore("-c", save).of(*family))
        .collect();
    match real::run(&steps).iter().find(|seen| seen.code != 0) {
        None => Ok(()),
        Some(refused) => Err(refused.err.clone()),
    }
}

/// By family.
type Saves = Vec<(Family, String)>;

#[derive(Clone, Debug)]
enum Text {
    /// A listing, commands or a save file: by its look.
    Read(String),
    /// Run by the binary.
    Script(String),
}

impl Text {
    fn any(random: &mut Random) -> Self {
        let family = pick(random, &Family::ALL);
        let of_family =
            |random: &mut Random, file: fn(&mut Random) -> String| six::drawn(family, || vec![file(random)]).concat();
        let mut text = match random.below(12) {
            // Those take longer to make than the rest.
            0 => listings::listed(random, family),
            1..=4 => commands(random, family),
            5..=7 => of_family(random, generator::file),
            _ => of_family(random, mutations::file),
        };
        for _ in 0..random.below(3) {
            mutations::mutate(random, &mut text);
        }
        match random.below(50) {
            0 => Self::Script(format!("#!/bin/sh\n{}", commands(random, family))),
            _ => Self::Read(text),
        }
    }

    fn imported(&self) -> Option<Saves> {
        match self {
            Self::Read(text) => {
                let source = Source {
                    name: "text".to_owned(),
                    text: text_of(&bytes_of(text)),
                };
                let options = Options {
                    table: None,
                    family: None,
                    hosts: StaticHosts::localhost(),
                };
                let import = import::read(&[Input { source, kind: None }], &options);
                (!import.saves.is_empty()).then_some(import.saves)
            }
            Self::Script(text) => run(text),
        }
    }

    /// Lines are dropped as long as something is written that is refused.
    fn shrunk(&self, save: Saves, said: String) -> (Self, Saves, String) {
        let mut best = (self.clone(), save, said);
        let Self::Read(text) = self else {
            return best;
        };
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut at = 0;
        while at < lines.len() && lines.len() < MOST_SHRUNK {
            let line = lines.remove(at);
            let less = Self::Read(lines.concat());
            match less.imported().map(|save| (taken(&save), save)) {
                Some((Err(said), save)) => best = (less, save, said),
                _ => {
                    lines.insert(at, line);
                    at += 1;
                }
            }
        }
        best
    }
}

/// Commands as scripts and `-S` have them.
fn commands(random: &mut Random, family: Family) -> String {
    let mut text = String::new();
    let tool = listings::tool(family);
    // Chains that the rules go to, mostly.
    for chain in listings::CHAINS.iter().filter(|_| random.below(4) != 0) {
        text += &format!("{tool} -N {chain}\n");
    }
    let called = match random.below(3) {
        0 => String::new(),
        1 => format!("{tool} "),
        _ => format!("/sbin/{tool} "),
    };
    for _ in 0..1 + random.below(6) {
        let words = match random.below(6) {
            0 => six::drawn(family, || vec![generator::command(random, true)]),
            1 => six::drawn(family, || options::rule(random))
                .iter()
                .map(|word| quoted(word))
                .collect(),
            _ => listings::rule(random, family).iter().map(|word| quoted(word)).collect(),
        };
        text += &format!("{called}{}\n", words.join(" "));
    }
    text
}

fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_./:,=".contains(it);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// What the binary writes of a script, which it runs in a network namespace of its own.
fn run(text: &str) -> Option<Saves> {
    let directory = Directory::new();
    let places = Family::ALL.map(|family| directory.0.join(family.to_string()));
    let script = directory.0.join("script");
    std::fs::write(&script, bytes_of(text)).expect("room for a script");
    let output = Command::new("unshare")
        .args(["-n", "-m", env!("CARGO_BIN_EXE_nflab"), "import", "--from", "script"])
        .arg(&script)
        .arg("--out")
        .arg(&places[0])
        .arg("--out6")
        .arg(&places[1])
        .output()
        .expect("unshare runs");
    let read = |(family, path)| Some((family, text_of(&std::fs::read(path).ok()?)));
    let written: Saves = Family::ALL.into_iter().zip(&places).filter_map(read).collect();
    assert_eq!(
        !written.is_empty(),
        output.status.success(),
        "{text}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    (!written.is_empty()).then_some(written)
}

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nflab-written-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}

const MOST_SHRUNK: usize = 300;
