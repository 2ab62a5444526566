//! `nflab test [FILES|DIRECTORIES]`: finds test files, reads them all, runs their cases on every core, and writes the report that is asked for.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use super::TOOLBOX;
use super::tools::said_by_system;
use crate::base::bytes::{bytes_of, path_of, text_from, text_of_os, text_of_path};
use crate::device::file_uses::{FileUses, Sharing};
use crate::device::result_file;
use crate::device::standard::{self, tell, tell_styled};
use crate::device::text_file::{read_file, read_regular};
use crate::suite::report::{self, Stamp};
use crate::suite::{self, Case, CaseOutcome, Choice, Coverage, Outcome, Spare, Suite, Unreadable};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Test files, and directories to search for files *.test.nflab; the working directory unless given
    files: Vec<PathBuf>,
    /// Run the tests under these rules instead of those the files name; several times: under each
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// The same of IPv6, as ip6tables-save prints them: in force beside each of --rules
    #[arg(long, value_name = "FILE")]
    rules6: Vec<PathBuf>,
    /// Only tests whose names contain this
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// What randomness begins with, instead of what the files say
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    what: super::open::As,
    /// How to report
    #[arg(long, value_enum, default_value = "people")]
    format: Format,
    /// Write the report to a file; standard output then has the one for people
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Tell which rules no packet of a test matched: as text, or as a tracefile for lcov
    #[arg(
        long,
        value_name = "text|lcov[:FILE]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text",
        value_parser = CoverageForm::parse
    )]
    coverage: Option<CoverageForm>,
    /// Fail when fewer rules than this were reached, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    require_coverage: Option<u8>,
    /// Run again whenever a file that was read changes
    #[arg(long)]
    watch: bool,
    /// Name the tests and run none
    #[arg(long, conflicts_with = "watch")]
    list: bool,
    /// How many tests run at once; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line a file, and what failed at length
    People,
    /// Test Anything Protocol, version 14
    Tap,
    /// JUnit XML
    Junit,
    /// Annotations of hosted CI
    Github,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum CoverageForm {
    Text,
    /// To a file, or to standard output.
    Lcov(Option<PathBuf>),
}

impl CoverageForm {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "text" => Ok(Self::Text),
            None if text == "lcov" => Ok(Self::Lcov(None)),
            Some(("lcov", file)) if !file.is_empty() => Ok(Self::Lcov(Some(path_of(file)))),
            _ => Err("expected text, lcov or lcov:FILE".to_owned()),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    if !arguments.watch {
        return once(arguments, &mut Look::new());
    }
    loop {
        let mut seen = Look::new();
        let clear = if std::io::stdout().is_terminal() {
            "\x1b[2J\x1b[H"
        } else {
            ""
        };
        let said = print(clear).and_then(|()| {
            let code = once(arguments, &mut seen);
            print(&format!(
                "\nwatching {} files, the last run's exit code is {code}; ^C ends\n",
                seen.len()
            ))
        });
        if let Err(message) = said {
            tell!("nflab: {message}");
            return 2;
        }
        // Each was looked at before it was read, so what changed while the tests ran shows too.
        while look(arguments, &seen) == seen {
            std::thread::sleep(GLANCE);
        }
    }
}

/// Reads, runs and reports once. Every file that was read, or looked for, is added to `seen`, as it stood before.
fn once(arguments: &Arguments, seen: &mut Look) -> u8 {
    let paths = match find(&arguments.files) {
        Ok(paths) => paths,
        Err(message) => {
            tell!("nflab: {message}");
            return 2;
        }
    };
    if let Err(message) = keep_what_is_read(arguments, paths.iter().chain(&arguments.rules).chain(&arguments.rules6)) {
        tell!("nflab: {message}");
        return 2;
    }
    let suites = read_all(arguments, &paths, seen);
    // By now it is known what the files name.
    if let Err(message) = keep_what_is_read(arguments, seen.keys()) {
        tell!("nflab: {message}");
        return 2;
    }
    let suites = match suites {
        Ok(suites) => suites,
        Err(error) => return unreadable(arguments, &error),
    };
    let wanted = |case: &Case<'_>| {
        arguments
            .filter
            .as_ref()
            .is_none_or(|part| case.name().contains(part.as_str()))
    };
    let cases: Vec<Case<'_>> = suites.iter().flat_map(Suite::cases).filter(wanted).collect();
    if cases.is_empty() {
        let part = arguments.filter.as_deref().unwrap_or_default();
        tell!("nflab: no test has `{part}` in its name; `nflab test --list` names them all");
        return 2;
    }
    if arguments.list {
        let lines: Vec<String> = cases
            .iter()
            .map(|case| format!("{}:{}: {}\n", case.test.file, case.test.line, case.name()))
            .collect();
        return match print(&lines.concat()) {
            Ok(()) => 0,
            Err(message) => {
                tell!("nflab: {message}");
                2
            }
        };
    }
    let started = Instant::now();
    let mut outcome = Outcome::of(&suites);
    outcome.cases = run_all(&cases, arguments.jobs);
    outcome.took = Some(started.elapsed());
    let coverage = outcome.coverage();
    if let Err(message) = tell(arguments, &outcome, &coverage) {
        tell!("nflab: {message}");
        return 2;
    }
    let short = arguments
        .require_coverage
        .filter(|wanted| coverage.percent() < f64::from(*wanted));
    if let Some(wanted) = short {
        let (reached, all) = (coverage.reached(), coverage.rules.len());
        tell!("nflab: tests reached {reached} of {all} rules, {wanted} % were asked for; --coverage names the others");
    }
    u8::from(!outcome.passed() || short.is_some())
}

fn keep_what_is_read<'a>(arguments: &Arguments, read: impl Iterator<Item = &'a PathBuf>) -> Result<(), String> {
    if arguments.list {
        return Ok(());
    }
    let mut uses = FileUses::default();
    for file in read {
        uses.reads(file);
    }
    match &arguments.out {
        Some(file) => {
            if arguments.format != Format::People {
                uses.prints("the report for people", Sharing::InTurn);
            }
            uses.writes("--out", file, Sharing::InTurn);
        }
        // What machines read is nothing but that.
        None if arguments.format == Format::Junit => uses.prints("the report", Sharing::Alone),
        None => uses.prints("the report", Sharing::InTurn),
    }
    if let Some(CoverageForm::Lcov(file)) = &arguments.coverage {
        uses.writes(
            "--coverage=lcov",
            file.as_deref().unwrap_or(Path::new("-")),
            Sharing::InTurn,
        );
    }
    uses.check()
}

fn read_all(arguments: &Arguments, paths: &[PathBuf], seen: &mut Look) -> Result<Vec<Suite>, Unreadable> {
    let choice = Choice {
        rules: arguments.rules.clone(),
        rules6: arguments.rules6.clone(),
        seed: arguments.seed,
        profile: arguments.what.profile,
    };
    // A caller may name a pipe (`--rules <(iptables-save)`); what a file names, or stands beside one, is a file.
    let is_given = |path: &Path| {
        paths
            .iter()
            .chain(&arguments.rules)
            .chain(&arguments.rules6)
            .any(|given| suite::plain(given) == path)
    };
    let mut reader = |path: &Path| {
        seen.entry(path.to_path_buf()).or_insert_with(|| stand(path));
        match is_given(path) {
            true => read_file(path),
            false => read_regular(path).map(text_from),
        }
    };
    let mut suites = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        match suite::read(path, &mut reader, TOOLBOX, &choice) {
            Ok(suite) => suites.push(suite),
            // Two files that name the same wrong one say it once.
            Err(error) => errors.extend(
                error
                    .errors
                    .into_iter()
                    .filter(|it| !errors.contains(it))
                    .collect::<Vec<_>>(),
            ),
        }
    }
    if !errors.is_empty() {
        return Err(Unreadable { errors });
    }
    let mut notes: Vec<&String> = Vec::new();
    for note in suites.iter().flat_map(|suite| &suite.notes) {
        if !notes.contains(&note) {
            notes.push(note);
            tell!("nflab: {note}");
        }
    }
    Ok(suites)
}

fn unreadable(arguments: &Arguments, error: &Unreadable) -> u8 {
    let made = match arguments.format {
        Format::Github => Some(report::github_unreadable(error)),
        Format::Tap => Some(report::tap_unreadable(error)),
        Format::People | Format::Junit => None,
    };
    let written = match (made, &arguments.out) {
        (Some(text), None) => print(&text),
        (Some(text), Some(path)) => write(path, &text),
        (None, _) => Ok(()),
    };
    if let Err(message) = written {
        tell!("nflab: {message}");
    }
    tell_styled!("{}", error.styled());
    tell!("nflab: nothing was run");
    2
}

/// The cases' outcomes in the cases' order, whichever thread ran them.
fn run_all(cases: &[Case<'_>], jobs: Option<u16>) -> Vec<CaseOutcome> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.map_or_else(cores, usize::from).min(cases.len());
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, CaseOutcome)>> = Mutex::new(Vec::with_capacity(cases.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let mut spare = Spare::default();
                while let Some((at, case)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(at).map(|case| (at, case))
                } {
                    let started = Instant::now();
                    let mut outcome = case.run_after(&mut spare);
                    outcome.took = Some(started.elapsed());
                    if let Ok(mut done) = done.lock() {
                        done.push((at, outcome));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn tell(arguments: &Arguments, outcome: &Outcome, coverage: &Coverage) -> Result<(), String> {
    let people = |colour| report::people(outcome, colour);
    let text = match arguments.format {
        Format::People => people(arguments.out.is_none()),
        Format::Tap => report::tap(outcome),
        Format::Junit => report::junit(outcome, &stamp()),
        Format::Github => report::github(outcome),
    };
    match &arguments.out {
        Some(path) => {
            write(path, &text)?;
            if arguments.format != Format::People {
                print(&people(true))?;
            }
        }
        None => print(&text)?,
    }
    match &arguments.coverage {
        None => {}
        Some(CoverageForm::Text) => match (arguments.format, &arguments.out) {
            (Format::Tap, None) => print(&commented(&coverage.text()))?,
            (Format::Github, None) => print(&report::github_coverage(coverage))?,
            // What stands on standard output is whole XML, and nothing else.
            (Format::Junit, None) => standard::tell_text(&coverage.text()),
            _ => print(&format!("\n{}", coverage.text()))?,
        },
        Some(CoverageForm::Lcov(None)) => print(&coverage.lcov())?,
        Some(CoverageForm::Lcov(Some(path))) => write(path, &coverage.lcov())?,
    }
    Ok(())
}

fn commented(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}

/// Files as they are given; of a directory everything `*.test.nflab` below it, in the order of names.
fn find(given: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let here = [PathBuf::from(".")];
    let given = if given.is_empty() { &here[..] } else { given };
    let mut found = Vec::new();
    for path in given {
        if !path.is_dir() {
            // One that isn't there is said to be when it is read.
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        search(path, &mut found)?;
        if found.len() == before {
            return Err(format!(
                "no test file *{ENDING} is in or below {}; name one, or another directory",
                text_of_path(path)
            ));
        }
    }
    // Named as the suite names them, so that a watched file is known again.
    let mut once = Vec::with_capacity(found.len());
    for path in found.iter().map(|path| suite::plain(path)) {
        if !once.contains(&path) {
            once.push(path);
        }
    }
    Ok(once)
}

fn search(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| {
        format!(
            "cannot look into {}: {}",
            text_of_path(directory),
            said_by_system(&error)
        )
    };
    let mut entries: Vec<std::fs::DirEntry> = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        entries.push(entry.map_err(failed)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = text_of_os(&name);
        // A link is not followed into a directory, so there is no circle; `.git` and the like hold no tests.
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && !name.starts_with('.') {
            search(&entry.path(), found)?;
        } else if name.ends_with(ENDING) && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// What tells a changed file: when it was written, and its length. `None` where it isn't there.
type Look = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// How every file stands now that was read, or would be found.
fn look(arguments: &Arguments, seen: &Look) -> Look {
    let found = find(&arguments.files).unwrap_or_default();
    let paths = seen.keys().cloned().chain(found);
    paths.map(|path| (path.clone(), stand(&path))).collect()
}

fn stand(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    result_file::write(path, &bytes_of(text))
        .map_err(|error| format!("cannot write {}: {}", text_of_path(path), said_by_system(&error)))
}

/// A reader that went away (`| head`) has seen enough; a report that is lost otherwise is no report.
fn print(text: &str) -> Result<(), String> {
    match standard::say_styled_text(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            standard::failure_is_said();
            Err(format!("cannot write the report: {}", said_by_system(&error)))
        }
        _ => Ok(()),
    }
}

fn stamp() -> Stamp {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Stamp {
        timestamp: timestamp(seconds),
        hostname: match hostname.trim() {
            "" => Stamp::default().hostname,
            name => name.to_owned(),
        },
    }
}

/// `2026-11-21T10:00:00` from seconds since 1970, by counting years from a 1st of March (a leap day then ends a year).
fn timestamp(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let second = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// What a file is called that holds tests.
const ENDING: &str = ".test.nflab";
/// Between two looks at the files.
const GLANCE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_as_xml_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_795_233_116, "2026-11-21T03:51:56"),
            (4_102_444_799, "2099-12-31T23:59:59"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }

    #[test]
    fn forms_of_coverage() {
        assert_eq!(CoverageForm::parse("text"), Ok(CoverageForm::Text));
        assert_eq!(CoverageForm::parse("lcov"), Ok(CoverageForm::Lcov(None)));
        assert_eq!(
            CoverageForm::parse("lcov:a:b"),
            Ok(CoverageForm::Lcov(Some("a:b".into())))
        );
        assert!(CoverageForm::parse("lcov:").is_err());
        assert!(CoverageForm::parse("html").is_err());
    }
}
