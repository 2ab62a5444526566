//! A lab's own words (`send`, `expect`, `handshake` ...) said to it from outside: `{"tool":"words","args":["--session","7"],"stdin":"send ..."}`.
//!
//! A lab in memory does them: nothing else would ever send it a packet. A live one, whose packets are other people's, tries them on a copy of itself,
//! which is kept for the session, so that a SYN is followed by its answer; its rules and its configuration are those of the lab at each line.
//! Tools are no business of theirs: who speaks to a lab calls them by themselves, with the files that they read.

use super::machine::{Machine, ToolOutput};
use super::memory::Lab;
use super::script::trace::Form;
use super::script::{Kind, RouteWord, Runner, Talk, parse_in};
use crate::engine::Seen;
use crate::syntax::problem::Source;

/// Does the words in a lab in memory.
pub(crate) fn said_to(lab: &mut Lab, args: &[String], text: &str) -> ToolOutput {
    let mut talk = std::mem::take(&mut lab.talk);
    talk.hosts.add_missing(lab.machine.hosts());
    let mut runner = Runner::resume(&mut *lab, talk);
    runner.styled = args.iter().any(|arg| arg == "--colour");
    let output = does(&mut runner, text, true);
    lab.talk = runner.pause();
    output
}

/// Tries the words on the session's copy of a machine.
pub(crate) fn tried_on_copy(machine: &mut Machine, args: &[String], text: &str) -> ToolOutput {
    let number = args.iter().skip_while(|arg| *arg != "--session").nth(1);
    let Some(number) = number else {
        return ToolOutput::failure(2, "nflab: words need a session: expected --session NUMBER\n");
    };
    let mut trials = std::mem::take(&mut machine.trials);
    let (trial, is_new) = trials.of(number, machine);
    let router = trial.runner.lab.machine.router();
    router.keep_up_with(machine.router(), &mut trial.seen, machine.now);
    // Behind its own clock it stays where it is: `advance` may have gone ahead.
    trial.runner.lab.set_clock(machine.now);
    trial.runner.styled = args.iter().any(|arg| arg == "--colour");
    let mut output = does(&mut trial.runner, text, false);
    if is_new && args.iter().any(|arg| arg == "--again") {
        output.stderr = format!("nflab: this is tried on a new copy of the lab\n{}", output.stderr);
    }
    machine.trials = trials;
    output
}

/// The copies in use; the one that was used longest ago goes when there are too many.
#[derive(Debug, Default)]
pub(crate) struct Trials(Vec<Trial>);

#[derive(Debug)]
struct Trial {
    session: String,
    runner: Box<Runner>,
    seen: Seen,
}

impl Trials {
    fn of(&mut self, session: &str, machine: &Machine) -> (&mut Trial, bool) {
        let known = self.0.iter().position(|trial| trial.session == session);
        let trial = match known {
            Some(at) => self.0.remove(at),
            None => {
                // What is in force is looked at first: what changes meanwhile is taken over at once.
                let seen = machine.router().seen();
                let mut talk = Talk::default();
                talk.hosts = machine.hosts();
                Trial {
                    session: session.to_owned(),
                    runner: Box::new(Runner::resume(Lab::trial(machine), talk)),
                    seen,
                }
            }
        };
        if self.0.len() >= TRIALS {
            self.0.remove(0);
        }
        self.0.push(trial);
        let last = self.0.len() - 1;
        (&mut self.0[last], known.is_none())
    }
}

fn does<L: std::borrow::BorrowMut<Lab>>(runner: &mut Runner<L>, text: &str, is_real: bool) -> ToolOutput {
    let source = Source {
        name: "typed".to_owned(),
        text: text.to_owned(),
    };
    let toolbox = runner.lab.borrow().machine.toolbox();
    let mut hosts = std::mem::take(&mut runner.hosts);
    let parsed = parse_in(&source, toolbox, &mut hosts);
    runner.hosts = hosts;
    let mut output = ToolOutput::default();
    let statements = match parsed {
        Ok(statements) => statements,
        Err(error) => return ToolOutput::failure(2, format!("{}\n", error.styled())),
    };
    for statement in &statements {
        let kind = match &statement.kind {
            Kind::ExpectRefused(kind) => kind.as_ref(),
            kind => kind,
        };
        let refused = match kind {
            Kind::Tool(call) | Kind::ExpectFail(call) => {
                Some(format!("{} is called by itself, not among words", call.name))
            }
            Kind::Trace(trace) if matches!(trace.form, Form::Svg(_)) => {
                Some("a picture is drawn by `nflab trace --svg FILE PACKET`".to_owned())
            }
            Kind::Advance(_) if is_real => Some(
                "the clock of a lab that runs is this machine's; `nflab repl --lab LAB.toml` has one that can be moved"
                    .to_owned(),
            ),
            Kind::Interface { name, .. } if !is_real => Some(format!(
                "`interface` would change a copy, and that only until the next line: interfaces of a live lab come from its lab file; \
                 `ip address add ADDRESS/LENGTH dev {name}` gives one of them another address"
            )),
            Kind::Route(RouteWord::Add { .. } | RouteWord::Remove(_)) if !is_real => Some(
                "`route` would change a copy, and that only until the next line: `ip route add` and `ip route del` change the lab's".to_owned(),
            ),
            Kind::Profile { .. } if !is_real => Some(
                "`profile` would change a copy, and that only until the next line: `sysctl -w nflab.profile=classic` changes the lab's".to_owned(),
            ),
            _ => None,
        };
        if let Some(refused) = refused {
            output.stderr += &format!("nflab: {refused}\n");
            output.code = 2;
            return output;
        }
        let (said, result) = runner.run(statement);
        output.stdout += &said.stdout;
        output.stderr += &said.stderr;
        if let Err(failed) = result {
            output.code = 1;
            if said.stderr.is_empty() {
                output.stderr += &format!("{}\n", failed.reason);
            }
        }
    }
    output
}

/// Copies that a lab keeps at a time.
const TRIALS: usize = 4;
