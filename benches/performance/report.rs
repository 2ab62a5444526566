//! Lines of the table, as text for the screen and for `docs/performance.md`.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::networks::NFLAB;
use crate::sampling::Samples;

/// What has to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// One line: what was done, how long nflab took and what stands beside it, and the figure that is asked for.
pub(crate) struct Line {
    pub work: String,
    pub nflab: String,
    pub beside: String,
    pub figure: Option<f64>,
    pub unit: &'static str,
    pub bound: Option<Bound>,
}

impl Line {
    /// A ratio, as times.
    pub(crate) fn ratio(work: &str, nflab: String, beside: String, ratio: f64, bound: Option<Bound>) -> Self {
        Self {
            work: work.to_owned(),
            nflab,
            beside,
            figure: Some(ratio),
            unit: "×",
            bound,
        }
    }

    /// A figure of nflab's own.
    pub(crate) fn absolute(
        work: &str,
        nflab: String,
        beside: String,
        (figure, unit): (f64, &'static str),
        bound: Option<Bound>,
    ) -> Self {
        Self {
            work: work.to_owned(),
            nflab,
            beside,
            figure: Some(figure),
            unit,
            bound,
        }
    }

    /// What could not be measured here, and why.
    pub(crate) fn missing(work: &str, why: &str) -> Self {
        Self {
            work: work.to_owned(),
            nflab: "not measured".to_owned(),
            beside: why.lines().next().unwrap_or_default().to_owned(),
            figure: None,
            unit: "",
            bound: None,
        }
    }

    fn to_reach(&self) -> String {
        match self.bound {
            Some(Bound::AtMost(most)) => format!("≤ {} {}", figure(most), self.unit),
            Some(Bound::AtLeast(least)) => format!("≥ {} {}", figure(least), self.unit),
            None => String::new(),
        }
    }

    fn reached(&self) -> &'static str {
        match (self.bound, self.figure) {
            (None, _) => "",
            (Some(_), None) => "not measured",
            (Some(Bound::AtMost(most)), Some(it)) if it <= most => "yes",
            (Some(Bound::AtLeast(least)), Some(it)) if it >= least => "yes",
            _ => "**no**",
        }
    }

    fn shown(&self) -> String {
        self.figure
            .map(|it| format!("{} {}", figure(it), self.unit))
            .unwrap_or_default()
    }
}

/// Times or rates with the distance of the median.
pub(crate) fn time(samples: &Samples) -> String {
    let best = samples.least();
    format!("{} (median {:+.0} %)", nanoseconds(best), samples.spread(best))
}

pub(crate) fn rate(samples: &Samples, unit: &str) -> String {
    let best = samples.most();
    format!("{} {unit} (median {:+.0} %)", figure(best), samples.spread(best))
}

pub(crate) fn nanoseconds(time: f64) -> String {
    match time {
        1e9.. => format!("{} s", figure(time / 1e9)),
        1e6.. => format!("{} ms", figure(time / 1e6)),
        1e3.. => format!("{} µs", figure(time / 1e3)),
        _ => format!("{} ns", figure(time)),
    }
}

/// Three digits, or all before the point.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Machine, day and commit.
pub(crate) fn heading() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let said = |program: &str, arguments: &[&str]| {
        let said = Command::new(program).args(arguments).current_dir(ROOT).output();
        said.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
            .unwrap_or_default()
    };
    let changed = match said(
        "git",
        &[
            "-c",
            "safe.directory=*",
            "status",
            "--porcelain",
            "--untracked-files=no",
        ],
    )
    .is_empty()
    {
        true => "",
        false => " and changes",
    };
    format!(
        "{}, {} processors, Linux {}, load {} before; {} UTC; commit {}{changed}, profile {}",
        name.map_or("unknown processor", |(_, name)| name),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
        said("date", &["-u", "+%Y-%m-%d %H:%M"]),
        said("git", &["-c", "safe.directory=*", "rev-parse", "--short", "HEAD"]),
        Path::new(NFLAB)
            .parent()
            .and_then(Path::file_name)
            .map_or_else(String::new, |it| it.to_string_lossy().into_owned()),
    )
}

pub(crate) fn print_line(line: &Line) {
    println!(
        "{} | {} | {} | {} | {} | {}",
        line.work,
        line.nflab,
        line.beside,
        line.shown(),
        line.to_reach(),
        line.reached()
    );
}

/// As Markdown.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = String::from("| work | nflab | beside | figure | to reach | reached |\n|---|---|---|---|---|---|\n");
    for line in lines {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            line.work,
            line.nflab,
            line.beside,
            line.shown(),
            line.to_reach(),
            line.reached()
        );
    }
    text
}

/// Writes the table into its place in `docs/performance.md`.
pub(crate) fn keep(text: &str) {
    let path = Path::new(ROOT).join("docs/performance.md");
    let page = std::fs::read_to_string(&path).expect("docs/performance.md");
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (_, after) = rest.split_once(END).expect("it ends");
    std::fs::write(&path, format!("{before}{BEGIN}\n{text}{END}{after}")).expect("the page can be written");
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BEGIN: &str = "<!-- table: made by benches/table --keep -->";
const END: &str = "<!-- /table -->";
