//! `iptables-restore`: a file of tables, each put into force by its `COMMIT`, whole or not at all.
//!
//! A bad line changes nothing of its table; tables committed before it stay. That is what the real tool does.

mod lines;

pub(crate) use lines::{Argument, arguments};

use std::collections::HashSet;

use super::apply::{Printed, no_table, perform, set_policy};
use super::command::{self, Command, Verb};
use super::counters;
use super::failure::{Denial, Failure, FailureKind, Program};
use super::hosts::Hosts;
use super::parse::LONGEST_CHAIN;
use super::session::{Session, Tables};
use crate::base::bytes::exceeds;
use crate::base::{Family, Piece};
use crate::ext::option::Status;
use crate::rule::{CountId, Table};
use lines::{LONGEST_LINE, lines_of, pieces, split_counters, split_words, up_to_nul, words};

/// How to read the file.
#[derive(Clone, Debug)]
pub struct Options {
    /// That of the tool: the tables are this family's.
    pub family: Family,
    /// `-c`: take counters from the file.
    pub counters: bool,
    /// `-n`: leave what is there.
    pub keep: bool,
    /// `-t`: change nothing.
    pub test: bool,
    /// `-T`: only this table.
    pub only: Option<String>,
    /// `-v`: tell what is done. Beside `-n` it only shows comments, as in the real tool.
    pub verbose: bool,
}

impl Options {
    /// What the tool does when it is told nothing: each table of the file is put in the place of the one that is there, with its counters at zero.
    pub const fn of(family: Family) -> Self {
        Self {
            family,
            counters: false,
            keep: false,
            test: false,
            only: None,
            verbose: false,
        }
    }
}

/// Where the lines of a file are among the identities of rules: a line's rules are younger than its mark and older than the next line's.
/// So whoever has the rules knows the line that made each, also where one line makes several (`-s a,b`).
#[derive(Clone, Debug, Default)]
pub struct Marks(Vec<(CountId, u32)>);

impl Marks {
    /// Rules that are made from now on are this line's.
    pub fn set(&mut self, line: u32) {
        self.0.push((CountId::fresh(), line));
    }

    /// The line that made a rule; `None` for one that is older than all lines.
    pub fn line(&self, rule: CountId) -> Option<u32> {
        let after = self.0.partition_point(|(mark, _)| *mark < rule);
        Some(self.0[after.checked_sub(1)?].1)
    }
}

/// Reads the whole text. What was printed stands whatever the result; the failure says its line.
pub fn run(
    text: &str,
    options: &Options,
    tables: &mut dyn Tables,
    hosts: &dyn Hosts,
) -> (Printed, Result<(), Failure>) {
    run_with(text, options, tables, hosts, None)
}

/// The same, and which line made which rule.
pub fn run_marked(
    text: &str,
    options: &Options,
    tables: &mut dyn Tables,
    hosts: &dyn Hosts,
    marks: &mut Marks,
) -> (Printed, Result<(), Failure>) {
    run_with(text, options, tables, hosts, Some(marks))
}

fn run_with(
    text: &str,
    options: &Options,
    tables: &mut dyn Tables,
    hosts: &dyn Hosts,
    mut marks: Option<&mut Marks>,
) -> (Printed, Result<(), Failure>) {
    let mut file = File {
        options,
        tables,
        hosts,
        open: None,
        named: String::new(),
        announced: HashSet::new(),
        printed: Printed::default(),
    };
    let pace = file.tables.pace();
    let mut lines = 0u32;
    let mut one = |lines: &mut u32, line: &str| {
        *lines += 1;
        let lines = *lines;
        // A comment makes no rule, so what comes behind it need not be told apart.
        if let (Some(marks), false) = (&mut marks, line.starts_with(['#', '\n'])) {
            marks.set(lines);
        }
        file.line(up_to_nul(line), lines).map_err(|mut failure| {
            failure.place.line = Some(lines);
            match of_other_systems(line, lines) {
                Some(remedy) => failure.remedy(remedy),
                None => failure,
            }
        })
    };
    let mut result = Ok(Next::Line);
    for (done, line) in lines_of(text).enumerate() {
        pace.done(done, Piece::Read);
        // Nothing is asked of what is only passed over.
        let is_comment = line.as_bytes().first() == Some(&b'#');
        if line == "\n" || is_comment && !options.verbose && line.len() <= LONGEST_LINE {
            lines += 1;
            continue;
        }
        result = match exceeds(line, LONGEST_LINE) {
            false => one(&mut lines, line),
            true => pieces(line).iter().try_fold(Next::Line, |next, piece| match next {
                Next::Line => one(&mut lines, piece),
                Next::End => Ok(next),
            }),
        };
        if !matches!(result, Ok(Next::Line)) {
            break;
        }
    }
    match result {
        Ok(Next::Line) => {}
        Ok(Next::End) => return (file.printed, Ok(())),
        Err(failure) => return (file.printed, Err(failure)),
    }
    let result = match file.open {
        None => Ok(()),
        Some(_) => {
            let mut failure =
                Failure::of(FailureKind::CommitExpected(lines + 1)).remedy("end every table with a line COMMIT");
            failure.place.line = Some(lines + 1);
            Err(failure)
        }
    };
    (file.printed, result)
}

/// What helps where the tool cannot read a line because of how a program of another system writes lines: all these stand for something else
/// in the tool's own words.
fn of_other_systems(line: &str, number: u32) -> Option<&'static str> {
    match line.strip_suffix('\n') {
        _ if number == 1 && line.starts_with(BYTE_ORDER_MARK) => {
            Some("the file begins with a byte order mark, which the tool takes for letters: save it without one")
        }
        Some(line) if line.ends_with('\r') => Some(
            "the line ends with a carriage return, which the tool takes for a letter of its last word: \
             `tr -d '\\r' <FILE` prints the file without",
        ),
        None if line == "COMMIT" => Some("the file's last line needs an end: write it with a new line behind COMMIT"),
        _ => None,
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

struct File<'a> {
    options: &'a Options,
    tables: &'a mut dyn Tables,
    hosts: &'a dyn Hosts,
    /// Boxed, because every line takes it and puts it back.
    open: Option<Box<Session>>,
    /// The table that was named last, open or not.
    named: String,
    /// Every name that a line `:CHAIN` has had, in whatever table.
    announced: HashSet<String>,
    printed: Printed,
}

enum Next {
    Line,
    /// `-V` or `-h` in a line ends the run.
    End,
}

impl File<'_> {
    fn line(&mut self, line: &str, number: u32) -> Result<Next, Failure> {
        let first = line.as_bytes().first();
        if line == "\n" {
            return Ok(Next::Line);
        }
        if first == Some(&b'#') {
            if self.options.verbose {
                self.printed.out.push_str(line);
            }
            return Ok(Next::Line);
        }
        let Some(mut session) = self.open.take() else {
            if first == Some(&b'*') {
                self.open_table(line, number)?;
                return Ok(Next::Line);
            }
            // Lines of a table that `-T` does not want.
            return match self.unwanted() {
                true => Ok(Next::Line),
                false => Err(Failure::denied(Denial::NoSuchName).remedy("a line *TABLE must come first")),
            };
        };
        if line == "COMMIT\n" {
            if !self.options.test {
                session
                    .commit(self.tables)
                    .map_err(|refusal| Failure::denied(Denial::Kernel(refusal)))?;
            }
            return Ok(Next::Line);
        }
        let next = match first {
            Some(b':') => self.chain(&line[1..], number, &mut session).map(|()| Next::Line),
            _ => self.rule(line, number, &mut session),
        };
        self.open = Some(session);
        next
    }

    fn program(&self) -> Program {
        Program::Restore(self.options.family)
    }

    /// What the tool says with its name twice.
    fn invalid(&self, message: String) -> Failure {
        Failure::parameter(format!("{}: {message}", self.program().name()))
    }

    fn unwanted(&self) -> bool {
        self.options.only.as_ref().is_some_and(|only| *only != self.named)
    }

    fn open_table(&mut self, line: &str, number: u32) -> Result<(), Failure> {
        let Some(name) = words(&line[1..]).next() else {
            return Err(self.invalid(format!("line {number} table name invalid")));
        };
        self.named = name.to_owned();
        if self.unwanted() {
            return Ok(());
        }
        let Some(table) = Table::from_name(name) else {
            let remedy = no_table(name, self.options.family).remedy.unwrap_or_default();
            return Err(self
                .invalid(format!("unable to initialize table '{name}'"))
                .remedy(remedy));
        };
        let mut session = Session::open(self.tables, self.options.family, table);
        if !self.options.keep {
            for name in session.chain_names(true) {
                self.tell("Flushing", &name);
                session.flush(&name)?;
            }
            for name in session.chain_names(false) {
                self.tell("Deleting", &name);
                session.delete_chain(&name)?;
            }
        }
        self.open = Some(Box::new(session));
        Ok(())
    }

    fn tell(&mut self, doing: &str, chain: &str) {
        if self.options.verbose {
            self.printed.out.push_str(&format!("{doing} chain `{chain}'\n"));
        }
    }

    /// `:CHAIN POLICY [packets:bytes]`.
    fn chain(&mut self, rest: &str, number: u32, session: &mut Session) -> Result<(), Failure> {
        let mut words = words(rest);
        let Some(name) = words.next() else {
            return Err(self.invalid(format!("line {number} chain name invalid")));
        };
        if exceeds(name, LONGEST_CHAIN) {
            return Err(Failure::parameter(format!(
                "Invalid chain name `{name}' ({LONGEST_CHAIN} chars max)"
            )));
        }
        if !session.table.hooks().iter().any(|hook| hook.chain() == name) {
            self.announced.insert(name.to_owned());
            if self.options.keep && session.has_chain(name) {
                session.flush(name)?;
            } else if session.add_chain(name).is_err() {
                return Err(Failure::parameter(format!("error creating chain '{name}':File exists"))
                    .remedy("the chain is there already, or the name is a verdict's"));
            }
        }
        let Some(policy) = words.next() else {
            return Err(self
                .invalid(format!("line {number} policy invalid"))
                .remedy("a user chain's policy is -"));
        };
        if policy == "-" {
            return Ok(());
        }
        let mut counted = None;
        if self.options.counters {
            counted = words.next().and_then(counters::parse_bracketed);
            if counted.is_none() {
                return Err(
                    Failure::parameter(format!("invalid policy counters for chain '{name}'"))
                        .remedy("they are written [packets:bytes]"),
                );
            }
        }
        set_policy(session, name, policy, counted).map_err(|denial| {
            let said = Failure::said(
                Status::Other,
                format!(
                    "Can't set policy `{policy}' on `{name}' line {number}: {}",
                    denial.words()
                ),
            );
            match Failure::denied(denial).remedy {
                Some(remedy) => said.remedy(remedy),
                None => said,
            }
        })
    }

    fn rule(&mut self, line: &str, number: u32, session: &mut Session) -> Result<Next, Failure> {
        let counted = split_counters(line, number)?;
        let mut arguments = Vec::with_capacity(24);
        let program = self.program();
        arguments.push(Argument::made(program.name()));
        if let (Some((packets, bytes)), true) = (counted.counters, self.options.counters) {
            for made in ["--set-counters", packets, bytes] {
                arguments.push(Argument::made(made));
            }
        }
        split_words(counted.rule, line.len() - counted.from_end, &mut arguments)?;
        let context = command::Context {
            program,
            hosts: self.hosts,
            restoring: Some(command::Restoring {
                table: session.table.name(),
                announced: &self.announced,
            }),
        };
        let parsed = command::parse_words(arguments.iter().map(|it| &*it.text).collect(), context);
        self.printed.warnings += &parsed.warnings;
        let column = |mut failure: Failure| {
            let blamed = failure.place.argument.and_then(|at| arguments.get(at as usize));
            failure.place.column = blamed.and_then(|it| it.column).map(|column| column as u32);
            failure
        };
        let command: Command<'_> = parsed.result.map_err(column)?;
        if let Verb::Print(text) = &command.verb {
            self.printed.out.push_str(text);
            return Ok(Next::End);
        }
        let command = Command {
            verbose: command.verbose || self.options.verbose && !self.options.keep,
            ..command
        };
        perform(&command, session, self.hosts, &mut self.printed).map_err(column)?;
        Ok(Next::Line)
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::TOOLBOX;
    use crate::lab::memory::Lab;

    #[test]
    fn what_is_done_is_told_where_that_is_asked_for() {
        for (option, told) in [
            (&[][..], ""),
            (
                &["-v"],
                "Flushing chain `INPUT'\nFlushing chain `FORWARD'\nFlushing chain `OUTPUT'\nFlushing chain `old'\nDeleting chain `old'\n",
            ),
            (&["-v", "-n"], ""),
        ] {
            let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
            let mut tool = |name: &str, args: &[&str], input: &str| {
                let args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
                let output = lab.tool(name, &args, input, ".".as_ref());
                assert_eq!(output.code, 0, "{}", output.stderr);
                output.stdout
            };
            tool("iptables", &["-N", "old"], "");
            assert_eq!(
                tool("iptables-restore", option, "*filter\nCOMMIT\n"),
                told,
                "{option:?}"
            );
        }
    }
}
