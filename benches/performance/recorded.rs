//! Programs that end: a capture replayed, tests run.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::networks::NFLAB;
use crate::report::{Bound, Line, figure, nanoseconds as shown, rate, time};
use crate::sampling::{Samples, in_turn, seconds};

/// Millions of packets a second of the whole program, with one worker, with two, and with every packet explained.
pub(crate) fn replay() -> Vec<Line> {
    let place = Place::new("replay");
    // Beside the binary, in the same profile.
    let maker = Path::new(NFLAB).with_file_name("examples/make-capture");
    let made = |words: &[&str]| {
        Command::new(&maker)
            .args(words)
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|it| it.success())
    };
    let [rules, capture] = ["hundred.rules", "capture.pcapng"].map(|name| place.path(name));
    if !made(&["--rules", &rules]) || !made(&[&capture, &CAPTURE.to_string()]) {
        return vec![Line::missing(
            "replay, 100 rules",
            "make-capture is missing: benches/table builds it",
        )];
    }
    let lab = place.path("lab.toml");
    fs::write(
        &lab,
        "[interface.lan]\naddress = [\"10.0.0.1/8\"]\n[interface.wan]\naddress = [\"192.0.2.1/24\"]\n[[route]]\nto = \"default\"\nvia = \"192.0.2.254\"\n",
    )
    .expect("a temporary file");
    let replay = |more: &[&str]| {
        let mut words = vec!["replay", "--lab", &lab, "--rules", &rules, &capture];
        words.extend(more);
        run(&words)
    };
    let (packets, first) = match replay(&[]) {
        Ok(said) => (packets_of(&said), said),
        Err(why) => return vec![Line::missing("replay, 100 rules", &why)],
    };
    let Some(packets) = packets else {
        return vec![Line::missing(
            "replay, 100 rules",
            &format!("no count of packets in: {first}"),
        )];
    };
    let with_workers = replay(&["--workers", "1"]).is_ok();
    let millions = |more: &[&str]| packets / seconds(|| drop(replay(more).expect("as before"))) / 1e6;
    let one: &[&str] = if with_workers { &["--workers", "1"] } else { &[] };
    let two: &[&str] = if with_workers { &["--workers", "2"] } else { &[] };
    let samples = in_turn(
        ROUNDS,
        &mut [&mut || millions(one), &mut || millions(two), &mut || {
            millions(&[one, &["--explain", "all"]].concat())
        }],
    );
    let [one, two, explained] = <[Samples; 3]>::try_from(samples).expect("three were asked");
    let mut lines = vec![Line::absolute(
        "replay, 100 rules, one worker",
        rate(&one, "M/s"),
        format!("{} packets, the program's start within", figure(packets)),
        (one.most(), "M/s"),
        Some(Bound::AtLeast(3.0)),
    )];
    lines.push(match with_workers {
        true => Line::ratio(
            "replay, two workers",
            rate(&two, "M/s"),
            format!("with one {}", rate(&one, "M/s")),
            two.most() / one.most(),
            Some(Bound::AtLeast(1.8)),
        ),
        false => Line::missing("replay, two workers", "replay has no --workers"),
    });
    lines.push(Line::ratio(
        "replay, every packet explained whole",
        rate(&explained, "M/s"),
        format!("unexplained {}", rate(&one, "M/s")),
        one.most() / explained.most(),
        Some(Bound::AtMost(5.0)),
    ));
    lines
}

/// What the summary begins with.
fn packets_of(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.contains(" packets, "))?;
    line.split(" packets, ").next()?.trim().replace(',', "").parse().ok()
}

/// 1,000 cases in a table, under 1,000 rules.
pub(crate) fn test() -> Vec<Line> {
    let place = Place::new("test");
    let mut rules = String::from("*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m state --state ESTABLISHED -j ACCEPT\n");
    for n in 0..999 {
        let verdict = if n % 3 == 0 { "DROP" } else { "ACCEPT" };
        let _ = writeln!(
            rules,
            "-A FORWARD -i lan -p tcp -m tcp --dport {} -j {verdict}",
            1000 + n
        );
    }
    rules += "COMMIT\n";
    let mut cases = String::from(
        "rules rules.v4\nhost client 10.0.0.2 lan\nhost server 192.0.2.9 wan\n\ntable \"ports\"\n  from    to      service   verdict\n",
    );
    for n in 0..1000 {
        let verdict = if n % 3 == 0 || n == 999 { "drop" } else { "accept" };
        let _ = writeln!(cases, "  client  server  tcp/{}  {verdict}", 1000 + n);
    }
    cases += "end\n";
    let (rules_file, cases_file) = (place.path("rules.v4"), place.path("ports.test.nflab"));
    fs::write(&rules_file, rules).expect("a temporary file");
    fs::write(&cases_file, cases).expect("a temporary file");
    let work = "nflab test, 1,000 cases under 1,000 rules, the program's start within";
    if let Err(why) = run(&["test", &cases_file]) {
        return vec![Line::missing(work, &why)];
    }
    let samples = in_turn(
        ROUNDS,
        &mut [
            &mut || 1e9 * seconds(|| drop(run(&["test", &cases_file]).expect("as before"))),
            &mut || 1e9 * seconds(|| drop(run(&["--version"]).expect("it has one"))),
        ],
    );
    vec![Line::absolute(
        work,
        time(&samples[0]),
        format!("start {}", shown(samples[1].least())),
        (samples[0].least() / 1e9, "s"),
        Some(Bound::AtMost(0.1)),
    )]
}

/// What it says of itself, where it ends well.
fn run(words: &[&str]) -> Result<String, String> {
    let said = Command::new(NFLAB)
        .args(words)
        .env_remove("NFLAB")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output();
    let said = said.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    match said.status.success() {
        true => Ok(text),
        false => Err(format!("nflab {}: {text}", words[0])),
    }
}

/// A directory that goes with its value.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nflab-table-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain name").to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const ROUNDS: usize = 3;
/// Bytes.
const CAPTURE: u64 = 300_000_000;
