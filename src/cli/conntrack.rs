//! `conntrack`, with the messages and exit codes of conntrack-tools 1.4.7 as seen by running it. What it can't do here, it refuses by name.
//!
//! A call is read whole before anything is done (`request`, by the tables in `options` and `legal`); then it is about flows or about
//! expectations. What the kernel's netlink interface answers is `conntrack::change`'s.

use crate::conntrack::labels::FILE;
use crate::lab::files::{Files, Input, Needs};
use crate::lab::machine::{Machine, ToolOutput};
use request::{Command, Request, Surroundings, What};

mod arguments;
#[cfg(unix)]
pub(crate) mod events;
mod expectations;
mod filter;
mod flows;
mod legal;
mod load;
mod made;
mod options;
mod output;
mod request;
#[cfg(test)]
mod tests;

pub(super) fn run(machine: &mut Machine, args: &[String], stdin: &str, files: &Files) -> ToolOutput {
    if let Some(name) = load::file(args) {
        return load::run(machine, name, stdin, files);
    }
    let mut around = Surroundings::with(files);
    let output = match Request::read(args, &mut around) {
        Ok(request) => request.run(machine),
        Err(output) => output,
    };
    ToolOutput {
        // Said before anything else, an error too.
        stderr: around.warnings + &output.stderr,
        ..output
    }
}

/// The files that a call reads.
pub(super) fn needs(args: &[String]) -> Needs {
    let mut reads = Vec::new();
    let mut around = Surroundings::default();
    match load::file(args) {
        Some("-") => reads.push(Input::Stdin),
        Some(name) => reads.push(Input::File(name.to_owned())),
        // What is wrong with the arguments is said when the tool runs.
        None => drop(Request::read(args, &mut around)),
    }
    if around.names_labels || !reads.is_empty() {
        reads.push(Input::File(FILE.to_owned()));
    }
    Needs {
        reads,
        outputs: Vec::new(),
    }
}

/// Whether these arguments ask for what happens from now on.
pub(super) fn listens(args: &[String]) -> bool {
    let request = load::file(args)
        .is_none()
        .then(|| Request::read(args, &mut Surroundings::default()));
    matches!(request, Some(Ok(request)) if request.command == Command::Events)
}

impl Request {
    fn run(&self, machine: &Machine) -> ToolOutput {
        match (self.command, self.what) {
            (Command::Version, _) => ToolOutput::success(format!("{VERSION}\n")),
            (Command::Help | Command::Nothing, _) => ToolOutput::success(HELP),
            (Command::Events, _) => fail(
                2,
                "`--event' waits for what happens, and this lab answers one call at a time; run `nflab conntrack -E` on a live lab, or list with `nflab conntrack -L'",
            ),
            (_, What::Expectations) => expectations::run(self, machine),
            (_, What::Flows | What::Passing) => flows::run(self, machine),
        }
    }
}

/// What the tool says when it is done.
fn said(what: &str) -> ToolOutput {
    ToolOutput {
        stderr: format!("{VERSION}: {what}\n"),
        ..ToolOutput::default()
    }
}

fn fail(code: i32, what: &str) -> ToolOutput {
    ToolOutput::failure(code, format!("{VERSION}: {what}\n"))
}

/// Something is wrong with the arguments.
fn bad(what: &str) -> ToolOutput {
    ToolOutput::failure(
        2,
        format!("{VERSION}: {what}\nTry `conntrack -h' or 'conntrack --help' for more information.\n"),
    )
}

fn absent(what: &str) -> ToolOutput {
    fail(2, &format!("{what} is not there yet in nflab; nothing was changed"))
}

const VERSION: &str = "conntrack v1.4.7 (conntrack-tools)";

const HELP: &str = "\
conntrack of a lab: the flows that its router tracks.
  -L [conntrack|expect|dying|unconfirmed]  list       -G [conntrack|expect]  show one
  -D [conntrack|expect]  delete what the filter lets through
  -I [conntrack|expect]  make one, -A the same where it is not there yet, -U change what the filter lets through
  -F [conntrack|expect]  delete all    -C [conntrack|expect]  count    -S [conntrack|expect]  statistics
  -E [conntrack|expect]  show what happens, as it happens, with -e NEW,UPDATES,DESTROY and -b BUFFER
  -R FILE  do what the lines of a file say, as -o save writes them; - is standard input
Filters: -s -d (--orig-src --orig-dst) -r -q (--reply-src --reply-dst) ADDRESS[/LENGTH], --mask-src --mask-dst MASK,
  -p PROTOCOL with --sport --dport --reply-port-src --reply-port-dst --state --icmp-type --icmp-code --icmp-id,
  -f ipv4|ipv6, -u STATUS, -m MARK[/MASK], -i ID, -w ZONE, -l LABEL, -n -g -j [ADDRESS[:PORT]] (source, destination, any NAT).
To make and to change: -t SECONDS, -u, -m, --state, -n and -g; of an expectation --tuple-src --tuple-dst ADDRESS, --tuple-port-src
  --tuple-port-dst PORT and the --mask-* of both.
Output: -o extended,id,ktimestamp,timestamp,labels,xml or -o save; -z sets counters to zero when they have been shown
";
