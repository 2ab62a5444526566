//! A legacy script run for its rules: contained, in a directory of its own, with nothing but the lab's tools in its `PATH`, no network and no rights
//! but its user's (nobody's, where we are root), so that what it does beside calling them touches nothing of this machine.

mod place;

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use self::place::{LONGEST, MOST_SAID, Place, Shell};
use crate::base::Family;
use crate::base::bytes::text_of_path;
#[cfg(target_os = "linux")]
use crate::cli::temporary::SweptDirectory as ScriptDirectory;
#[cfg(not(target_os = "linux"))]
use crate::cli::temporary::TemporaryDirectory as ScriptDirectory;
use crate::cli::tools::{BY_WORD, SHIMS};
use crate::cli::{open, sh};
use crate::device::standard::tell;
use crate::import::script::prepare;
use crate::import::{Note, Weight};
use crate::lab::request::{Request, Response};
use crate::live::clock::Clock;
#[cfg(target_os = "linux")]
use crate::live::contain;
use crate::syntax::problem::Source;
use crate::text::Program;

/// Runs a script and gives what `iptables-save -c` and `ip6tables-save -c` print at its end, with what there is to say.
pub(super) fn run(
    source: &Source,
    (lab, what): (Option<&Path>, open::As),
    arguments: &[String],
    allow: &[String],
) -> Result<(Source, Vec<Note>), u8> {
    // Before signals are kept: the file may be a FIFO that nobody writes to.
    let mut lab = open::quiet_lab(lab, what, 1)?;
    #[cfg(target_os = "linux")]
    let signals = sh::contained::signals()?;
    lab.start_at(Clock::new().now());
    let lab = Arc::new(Mutex::new(lab));
    let failed = |what: &str, error: io::Error| {
        let why = crate::cli::tools::said_by_system(&error);
        tell!("nflab: cannot {what}: {why}; set TMPDIR to a directory that you may write to and run programs in");
        3
    };
    let directory = ScriptDirectory::make().map_err(|error| failed("make a directory for the script", error))?;
    let place = Place::new(directory.path.clone(), &source.name);
    let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
    let watched = Arc::clone(&calls);
    let watch = move |request: &Request, response: &Response| watched.lock().push(Call::of(request, response));
    place
        .furnish(source, allow)
        .map_err(|error| failed("furnish the script's directory", error))?;
    let prepared = prepare(
        &source.text,
        |name| SHIMS.contains(&name),
        &text_of_path(&place.tools),
        &text_of_path(&place.knobs),
    );
    let shell = Shell::of(&source.text);
    let answer = sh::answering(&lab, watch);
    #[cfg(target_os = "linux")]
    let status = place.run_contained(&shell, &prepared.text, arguments, &signals, answer)?;
    #[cfg(target_os = "linux")]
    signals.let_in();
    #[cfg(not(target_os = "linux"))]
    let status = place
        .run(&shell, &prepared.text, arguments, answer)
        .map_err(|error| failed(&format!("run the script with {}", text_of_path(&shell.program)), error))?;
    let mut notes = Vec::new();
    let mut say = |lines: Vec<usize>, weight: Weight, text: String| {
        notes.push(Note {
            source: source.name.clone(),
            lines,
            weight,
            text,
        });
    };
    for (line, from, to) in &prepared.bent {
        let text = match to.starts_with('/') {
            true => format!("{from}: the lab's"),
            false => format!("{from}: called as {to}, by its name"),
        };
        say(vec![*line], Weight::Form, text);
    }
    let (out, err) = (place.text("out"), place.text("err"));
    show(&source.name, &out, &err);
    let calls = calls.lock();
    for (name, lines) in place.missing(&err) {
        // The rule behind it was to be made, and is not.
        if name.starts_with(['-', ':', '*']) {
            say(
                lines,
                Weight::Refused,
                format!(
                    "`{name}` is no command but begins a rule, which was lost; put the tool's name before it (`iptables {name} ...`)"
                ),
            );
            continue;
        }
        let text = match BY_WORD.contains(&name.as_str()) {
            true => format!(
                "what {name} would have said: scripts under import have none. What a lab has of interfaces and addresses is in its file \
                 (--lab LAB.toml); --allow {name} lets the script call the machine's"
            ),
            false => format!(
                "what {name} would have said: it is no tool of nflab and was not found. --allow {name} lets the script call it"
            ),
        };
        say(lines, Weight::Unknown, text);
    }
    // No script calls the lab's `cat`: its containment does, for the files of /proc.
    for call in calls
        .iter()
        .filter(|call| call.code != 0 && !call.request.starts_with("cat "))
    {
        say(Vec::new(), call.weight(), call.told());
    }
    for (knob, value) in place.knobs_set() {
        say(
            Vec::new(),
            Weight::Form,
            format!("{knob} = {value} was set: a lab file keeps it, a save file does not"),
        );
    }
    if let Some(met) = &status.met {
        let text = format!("what comes after {met}: a script may have no more, and was ended then");
        say(Vec::new(), Weight::Unknown, text);
    }
    #[cfg(target_os = "linux")]
    if err.contains("annot allocate") {
        let text = format!(
            "what a program would have done with more memory: one may have {} MB",
            contain::MOST_OF_A_PROCESS >> 20
        );
        say(Vec::new(), Weight::Unknown, text);
    }
    // It says so where it finds none.
    let shell_runs = !err.contains("nflab: cannot run ");
    match status.code {
        _ if status.met.is_some() => {}
        None => say(
            Vec::new(),
            Weight::Unknown,
            format!(
                "what comes after {} seconds, or {} MB of words: the script was ended then",
                LONGEST.as_secs(),
                MOST_SAID >> 20
            ),
        ),
        Some(code) if code != 0 => say(
            Vec::new(),
            Weight::Unknown,
            format!(
                "what the script would have done, had it not ended with {code}{}",
                match code {
                    CANNOT_BE_RUN if shell_runs => {
                        ": what it called last is there and is no program that may be run. Where that is a script, let a shell read it (`sh FILE`)"
                    }
                    _ => "",
                }
            ),
        ),
        Some(_) => {}
    }
    if !calls.iter().any(Call::is_of_rules) {
        let text = match shell_runs {
            true => {
                "the script called no iptables; it may want a word (--argument start) or programs (--allow)".to_owned()
            }
            false => format!(
                "nothing of the script was done: its first line names {}, which cannot be run here; let it name a shell that can (#!/bin/sh)",
                text_of_path(&shell.program)
            ),
        };
        say(Vec::new(), Weight::Refused, text);
    }
    let saved = Family::ALL.map(|family| {
        let tool = Program::Save(family).name();
        lab.lock().tool(tool, &["-c".to_owned()], "", Path::new(".")).stdout
    });
    let left = Source {
        name: source.name.clone(),
        // A script that made no table left an empty one.
        text: match saved.concat() {
            none if none.is_empty() => "# nothing\n*filter\nCOMMIT\n".to_owned(),
            saved => saved,
        },
    };
    Ok((left, notes))
}

/// What shells end with where a program is there and cannot be run.
const CANNOT_BE_RUN: u8 = 126;

/// One call of a tool, and what it came to.
struct Call {
    /// None of a tool that has nothing to do with rules.
    program: Option<Program>,
    request: String,
    code: i32,
    said: String,
    makes_rules: bool,
}

impl Call {
    fn of(request: &Request, response: &Response) -> Self {
        let program = Program::called(&request.tool);
        let restores = matches!(program, Some(Program::Restore(_)));
        let adds = |arg: &String| {
            ["-A", "-I", "-R", "-P", "--append", "--insert", "--replace", "--policy"].contains(&arg.as_str())
        };
        Self {
            request: format!("{} {}", request.tool, request.args.join(" ")),
            code: response.code,
            said: of_other_family(request)
                .unwrap_or_else(|| response.stderr.lines().next().unwrap_or_default().to_owned()),
            makes_rules: restores || program.is_some() && request.args.iter().any(adds),
            program,
        }
    }

    fn is_of_rules(&self) -> bool {
        self.program.is_some()
    }

    /// Where a rule was to be made there is none now, which must not pass for a ruleset. Scripts delete and look for what isn't there.
    fn weight(&self) -> Weight {
        match self.makes_rules {
            true => Weight::Refused,
            false if self.is_of_rules() => Weight::Form,
            false => Weight::Unknown,
        }
    }

    fn told(&self) -> String {
        format!("`{}` failed: {}", self.request, self.said)
    }
}

/// Of a call for the other family's rules the real tool says no more than where its help is.
fn of_other_family(request: &Request) -> Option<String> {
    let program = Program::called(&request.tool).filter(|program| !matches!(program, Program::Restore(_)))?;
    let (words, other) = match program.family() {
        Family::V6 => (["-4", "--ipv4"], Family::V4),
        Family::V4 => (["-6", "--ipv6"], Family::V6),
    };
    let word = request.args.iter().find(|arg| words.contains(&arg.as_str()))?;
    Some(format!("{word} refused; that is {}", Program::Iptables(other).name()))
}

/// What the script printed, so that nobody takes it for ours.
fn show(name: &str, out: &str, err: &str) {
    for line in out.lines().chain(err.lines()) {
        tell!("{name} | {line}");
    }
}
