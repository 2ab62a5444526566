//! What a lesson is, once it is read: steps, and in them texts, commands to type, what documents print, questions and tasks.

use std::path::PathBuf;

use crate::lab::conversation::Hosts;
use crate::lab::file::LabFile;
use crate::lab::machine::Toolbox;
use crate::lab::memory::Lab;
use crate::lab::script::{Input, Kind, Line, Runner, Said, Statement};
use crate::suite::Suite;
use crate::syntax::problem::{Position, Problem, Source, SourceError};

/// A lesson, read whole: ready to be stepped through as often as one likes.
#[derive(Debug)]
pub(crate) struct Lesson {
    /// What it is called for: `02-tcp`.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What it follows, in words.
    pub(crate) after: Option<String>,
    pub(crate) source: Source,
    pub(super) lab: LabFile,
    /// All that have a name anywhere in it.
    pub(super) hosts: Hosts,
    pub(super) setup: Vec<Command>,
    pub(crate) steps: Vec<Step>,
    pub(super) toolbox: Toolbox,
}

/// A part with a title; what was typed before it stays.
#[derive(Debug)]
pub(crate) struct Step {
    pub(super) title: String,
    pub(super) pieces: Vec<Piece>,
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    /// What a document prints for a command, to be shown beside what it prints here.
    Document(Box<Document>),
    /// For the learner to type.
    Commands(Commands),
    Question(Question),
    Task(Box<Task>),
}

#[derive(Debug)]
pub(super) struct Document {
    pub(super) position: Position,
    pub(super) command: Command,
    pub(super) printed: String,
    /// Why what is printed here is something else; it has to be, then.
    pub(super) differs: Option<String>,
}

#[derive(Debug)]
pub(super) struct Commands {
    /// With what the lesson claims behind them.
    pub(super) lines: Vec<Command>,
    pub(super) hints: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Question {
    pub(super) position: Position,
    pub(super) asked: String,
    /// Any of these is right; the first is told.
    pub(super) answers: Vec<String>,
    pub(super) because: Option<String>,
    pub(super) hints: Vec<String>,
}

/// Something to build.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) position: Position,
    pub(super) text: String,
    pub(super) hints: Vec<String>,
    /// One way to do it.
    pub(super) solution: Vec<Command>,
    /// What it is marked by.
    pub(super) check: Suite,
}

/// A line of the lab's language.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) statement: Statement,
    /// As it is written, a here-document below it.
    pub(super) shown: String,
    /// It has to fail.
    pub(super) fails: bool,
    words: Vec<String>,
    input: Option<String>,
}

impl Command {
    pub(super) fn new(statement: Statement, line: &Line, text: &str) -> Self {
        let (statement, fails) = what_fails(statement);
        let (mut words, input) = (words_of(line), input_of(line));
        let mut start = line.position.start;
        if fails {
            words.drain(..2);
            start = line.words[2].position.start;
        }
        let first = text.get(start..line.position.end).unwrap_or_default();
        let shown = match &line.input {
            Input::Here(document) => format!("{first} <<EOF\n{document}EOF"),
            Input::File(word) => format!("{first} < {}", word.text),
            Input::None => first.to_owned(),
        };
        Self {
            statement,
            shown,
            fails,
            words,
            input,
        }
    }

    /// Does it. What shall fail and does is told on standard error, and is no failure.
    pub(super) fn run(&self, runner: &mut Runner) -> (Said, Result<(), String>) {
        let (mut said, result) = runner.run(&self.statement);
        let result = match result {
            Ok(()) if self.fails => Err(format!("`{}` does not fail", self.shown)),
            Ok(()) => Ok(()),
            Err(failed) => {
                if self.fails && said.stderr.is_empty() {
                    said.stderr = failed.reason.clone() + "\n";
                }
                match self.fails {
                    true => Ok(()),
                    false => Err(failed.reason),
                }
            }
        };
        (said, result)
    }

    /// What the lesson holds to be so, and nobody has to type.
    pub(super) fn is_claim(&self) -> bool {
        matches!(self.statement.kind, Kind::Expect(_))
    }

    /// Whether a line that was typed is this one: whatever its blanks and quotes; a packet or a time, whatever its words.
    pub(super) fn is_typed_by(&self, line: &Line, statement: &Statement) -> bool {
        let is_the_same = match (&self.statement.kind, &statement.kind) {
            (Kind::Advance(one), Kind::Advance(other)) => one == other,
            (
                Kind::Send { interface, draft, .. },
                Kind::Send {
                    interface: other_interface,
                    draft: other_draft,
                    ..
                },
            ) => interface == other_interface && draft == other_draft,
            _ => false,
        };
        is_the_same || (self.words == words_of(line) && self.input == input_of(line))
    }
}

/// Of `expect fail COMMAND` the command, which a learner types to see it fail.
fn what_fails(statement: Statement) -> (Statement, bool) {
    let kind = match statement.kind {
        Kind::ExpectFail(call) => Kind::Tool(call),
        Kind::ExpectFailed(conversation) => Kind::Converse(conversation),
        Kind::ExpectRefused(kind) => *kind,
        _ => return (statement, false),
    };
    let position = statement.position;
    (Statement { position, kind }, true)
}

fn words_of(line: &Line) -> Vec<String> {
    line.words.iter().map(|word| word.text.clone()).collect()
}

fn input_of(line: &Line) -> Option<String> {
    match &line.input {
        Input::None => None,
        Input::Here(document) => Some(document.clone()),
        Input::File(word) => Some(format!("< {}", word.text)),
    }
}

impl Lesson {
    /// A fresh lab with what stands in `setup`; the error is what of it failed.
    pub(super) fn begin(&self) -> Result<Runner, SourceError> {
        let lab = Lab::new(&self.lab, SEED, self.toolbox)?;
        let mut runner = Runner::new(lab, PathBuf::from("."));
        runner.hosts = self.hosts.clone();
        for command in &self.setup {
            let (said, result) = command.run(&mut runner);
            if let Err(reason) = result {
                let problem = Problem::new(
                    command.statement.position,
                    format!("{}{reason}", said.stderr),
                    "this line of `setup` fails",
                    "try it by itself in `nflab repl`",
                );
                return Err(self.source.error(vec![problem]));
            }
        }
        Ok(runner)
    }

    /// A lab as it is where a step begins, the tasks before it done as the lesson does them.
    pub(super) fn at(&self, step: usize) -> Result<Runner, SourceError> {
        let mut runner = self.begin()?;
        for piece in self.steps.iter().take(step).flat_map(|step| &step.pieces) {
            pass(&mut runner, piece);
        }
        Ok(runner)
    }
}

/// Does what a piece asks for, and says nothing; files are not written, since nobody may have seen yet that they would be.
pub(super) fn pass(runner: &mut Runner, piece: &Piece) {
    let commands: &[Command] = match piece {
        Piece::Commands(commands) => &commands.lines,
        Piece::Task(task) => &task.solution,
        Piece::Document(document) => std::slice::from_ref(&document.command),
        Piece::Text(_) | Piece::Question(_) => &[],
    };
    let toolbox = runner.lab.machine.toolbox();
    let unseen = |command: &&Command| command.statement.writes_to(toolbox).is_none();
    for command in commands.iter().filter(unseen) {
        // What fails was told when it was typed.
        let _ = runner.run(&command.statement);
    }
}

/// What is random in a lesson is the same whenever it is taken.
const SEED: u64 = 1;
