//! `iptables-restore`: a file of tables, each put into force by its `COMMIT`, whole or not at all.
//!
//! A bad line changes nothing of its table; tables committed before it stay. That is what the real tool does.

use std::borrow::Cow;
use std::collections::HashSet;

use super::apply::{Printed, no_table, perform, set_policy};
use super::command::{self, Command, Verb};
use super::counters;
use super::failure::{Denial, Failure, FailureKind, Program};
use super::hosts::Hosts;
use super::parse::LONGEST_CHAIN;
use super::session::{Session, Tables};
use crate::base::Family;
use crate::base::bytes::{byte_behind, bytes_of, exceeds, text_of};
use crate::ext::option::Status;
use crate::rule::{CountId, Table};

/// How to read the file.
#[derive(Clone, Debug)]
pub struct Options {
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
    run_marked(text, options, tables, hosts, &mut Marks::default())
}

/// The same, and which line made which rule.
pub fn run_marked(
    text: &str,
    options: &Options,
    tables: &mut dyn Tables,
    hosts: &dyn Hosts,
    marks: &mut Marks,
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
    let mut lines = 0u32;
    let mut one = |lines: &mut u32, line: &str| {
        *lines += 1;
        let lines = *lines;
        // A comment makes no rule, so what comes behind it need not be told apart.
        if !line.starts_with(['#', '\n']) {
            marks.set(lines);
        }
        file.line(up_to_nul(line), lines).map_err(|mut failure| {
            failure.place.line = Some(lines);
            failure
        })
    };
    let mut result = Ok(Next::Line);
    for line in lines_of(text) {
        // Nothing is asked of what is only passed over.
        if line == "\n" || line.starts_with('#') && !options.verbose && line.len() <= LONGEST_LINE {
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

/// Lines with their ends; there may be a hundred thousand, and most of them short.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
    let last = (!text.is_empty() && !text.ends_with('\n')).then_some(text.len());
    ends.chain(last)
        .map(move |end| &text[std::mem::replace(&mut from, end)..end])
}

/// A line longer than the tool's buffer comes in pieces, each a line of its own to it and each counted.
fn pieces(line: &str) -> Vec<String> {
    bytes_of(line).chunks(LONGEST_LINE).map(text_of).collect()
}

/// What the tool sees of a line with a NUL in it.
fn up_to_nul(line: &str) -> &str {
    memchr::memchr(0, line.as_bytes()).map_or(line, |at| &line[..at])
}

struct File<'a> {
    options: &'a Options,
    tables: &'a mut dyn Tables,
    hosts: &'a dyn Hosts,
    open: Option<Session>,
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
        if line == "\n" {
            return Ok(Next::Line);
        }
        if line.starts_with('#') {
            if self.options.verbose {
                self.printed.out.push_str(line);
            }
            return Ok(Next::Line);
        }
        let Some(mut session) = self.open.take() else {
            if line.starts_with('*') {
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
        let next = match line.strip_prefix(':') {
            Some(rest) => self.chain(rest, number, &mut session).map(|()| Next::Line),
            None => self.rule(line, number, &mut session),
        };
        self.open = Some(session);
        next
    }

    fn unwanted(&self) -> bool {
        self.options.only.as_ref().is_some_and(|only| *only != self.named)
    }

    fn open_table(&mut self, line: &str, number: u32) -> Result<(), Failure> {
        let Some(name) = words(&line[1..]).next() else {
            return Err(invalid(format!("line {number} table name invalid")));
        };
        self.named = name.to_owned();
        if self.unwanted() {
            return Ok(());
        }
        let Some(table) = Table::from_name(name) else {
            let remedy = no_table(name).remedy.unwrap_or_default();
            return Err(invalid(format!("unable to initialize table '{name}'")).remedy(remedy));
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
        self.open = Some(session);
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
            return Err(invalid(format!("line {number} chain name invalid")));
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
            return Err(invalid(format!("line {number} policy invalid")).remedy("a user chain's policy is -"));
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
        arguments.push(Argument::made(Program::Restore.name()));
        if let (Some((packets, bytes)), true) = (counted.counters, self.options.counters) {
            for made in ["--set-counters", packets, bytes] {
                arguments.push(Argument::made(made));
            }
        }
        split_words(counted.rule, line.len() - counted.from_end, &mut arguments)?;
        let context = command::Context {
            program: Program::Restore,
            family: self.options.family,
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

fn invalid(message: String) -> Failure {
    Failure::parameter(format!("{}: {message}", Program::Restore.name()))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\n']).filter(|word| !word.is_empty())
}

/// A line, with what stood in brackets before the rule.
struct Counted<'a> {
    counters: Option<(&'a str, &'a str)>,
    rule: &'a str,
    /// Bytes from the rule's first to the line's end.
    from_end: usize,
}

/// `[packets:bytes] rule`. The tool cuts the line with `strtok`, so a colon that comes only in the rule is taken for the one in the brackets,
/// and the rule ends there.
fn split_counters(line: &str, number: u32) -> Result<Counted<'_>, Failure> {
    let Some(inside) = line.strip_prefix('[') else {
        return Ok(Counted {
            counters: None,
            rule: line,
            from_end: line.len(),
        });
    };
    let need =
        || Failure::parameter(format!("Bad line {number}: need ]")).remedy("counters are written [packets:bytes]");
    let bracket = inside.find(']').ok_or_else(need)?;
    let start = inside.len() - inside.trim_start_matches(':').len();
    let colon = start + inside[start..].find(':').ok_or_else(need)?;
    let packets = &inside[start..colon];
    let bytes = inside[colon + 1..].trim_start_matches(']');
    if bytes.is_empty() {
        return Err(need());
    }
    let bytes = &bytes[..bytes.find(']').unwrap_or(bytes.len())];
    let rule = match colon > bracket {
        true => &inside[bracket + 1..colon],
        false => &inside[bracket + 1..],
    };
    Ok(Counted {
        counters: Some((packets, bytes)),
        rule,
        from_end: inside.len() - bracket - 1,
    })
}

/// A word of a line and where it started (from 1); words that the line did not have start nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument<'a> {
    pub text: Cow<'a, str>,
    pub column: Option<usize>,
}

impl<'a> Argument<'a> {
    /// A word that stands in no line.
    pub fn made(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: text.into(),
            column: None,
        }
    }

    /// The same, whatever becomes of the line.
    pub fn kept(self) -> Argument<'static> {
        Argument {
            text: Cow::Owned(self.text.into_owned()),
            column: self.column,
        }
    }
}

/// The words of a line as [`run`] reads a rule: those of `iptables -S`, too.
pub fn arguments(line: &str) -> Result<Vec<Argument<'_>>, Failure> {
    let mut arguments = Vec::new();
    split_words(line, 0, &mut arguments)?;
    Ok(arguments)
}

/// Blanks part words; double quotes keep them together, and inside them a backslash takes the next letter as it is. A closing quote ends the
/// word; an opening one does not (`a"b c"d` is `ab c` and `d`). Outside quotes a backslash is a letter.
fn split_words<'a>(rule: &'a str, offset: usize, arguments: &mut Vec<Argument<'a>>) -> Result<(), Failure> {
    let mut word = String::new();
    let mut start = None;
    let mut quoted = false;
    let mut escaped = false;
    let mut length = 0;
    // The tool puts its own name, `-t` and the table before the words.
    let most = MOST_ARGUMENTS - 2;
    if !rule.contains('"') {
        return split_blanks(rule, offset, most, arguments);
    }
    for (at, letter) in rule.char_indices() {
        let mut ends = false;
        if quoted {
            if escaped {
                word.push(letter);
                length += width(letter);
                escaped = false;
            } else if letter == '\\' {
                escaped = true;
            } else if letter == '"' {
                quoted = false;
                ends = true;
            } else {
                word.push(letter);
                length += width(letter);
            }
        } else if letter == '"' {
            quoted = true;
            start.get_or_insert(at);
        } else if matches!(letter, ' ' | '\t' | '\n') {
            ends = start.is_some();
        } else {
            start.get_or_insert(at);
            word.push(letter);
            length += width(letter);
        }
        if length > LONGEST_WORD {
            return Err(Failure::parameter("Parameter too long!"));
        }
        if ends {
            length = 0;
            push(&mut word, &mut start, offset, most, arguments)?;
        }
    }
    if start.is_some() {
        push(&mut word, &mut start, offset, most, arguments)?;
    }
    Ok(())
}

/// The same where nothing is quoted, which is most lines.
fn split_blanks<'a>(
    rule: &'a str,
    offset: usize,
    most: usize,
    arguments: &mut Vec<Argument<'a>>,
) -> Result<(), Failure> {
    let mut at = 0;
    for word in rule.as_bytes().split(|it| matches!(it, b' ' | b'\t' | b'\n')) {
        let word = &rule[at..at + word.len()];
        if exceeds(word, LONGEST_WORD) {
            return Err(Failure::parameter("Parameter too long!"));
        }
        if !word.is_empty() {
            if arguments.len() >= most {
                return Err(Failure::parameter("Parser cannot handle more arguments"));
            }
            arguments.push(Argument {
                text: Cow::Borrowed(word),
                column: Some(offset + at + 1),
            });
        }
        at += word.len() + 1;
    }
    Ok(())
}

/// How many bytes a character stands for.
fn width(letter: char) -> usize {
    byte_behind(letter).map_or(letter.len_utf8(), |_| 1)
}

fn push(
    word: &mut String,
    start: &mut Option<usize>,
    offset: usize,
    most: usize,
    arguments: &mut Vec<Argument<'_>>,
) -> Result<(), Failure> {
    if arguments.len() >= most {
        return Err(Failure::parameter("Parser cannot handle more arguments"));
    }
    arguments.push(Argument {
        text: Cow::Owned(std::mem::take(word)),
        column: start.take().map(|at| offset + at + 1),
    });
    Ok(())
}

const LONGEST_LINE: usize = 10_239;
const MOST_ARGUMENTS: usize = 254;
const LONGEST_WORD: usize = 1023;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_line() {
        for (line, expected) in [
            ("-A INPUT\n", &["-A", "INPUT"][..]),
            ("  -A\tINPUT", &["-A", "INPUT"]),
            ("\"a b\"\n", &["a b"]),
            ("a\"b c\"d\n", &["ab c", "d"]),
            ("a\\ b\n", &["a\\", "b"]),
            ("\"a\\\"b\" \"a\\\\b\"\n", &["a\"b", "a\\b"]),
            ("\"\" x\n", &["", "x"]),
            ("'a b'\n", &["'a", "b'"]),
            ("\"a b\n", &["a b\n"]),
            ("-A\"INPUT\"\n", &["-AINPUT"]),
        ] {
            let mut arguments = Vec::new();
            split_words(line, 0, &mut arguments).unwrap();
            let texts: Vec<&str> = arguments.iter().map(|it| &*it.text).collect();
            assert_eq!(texts, expected, "{line:?}");
        }
    }

    #[test]
    fn counters_before_a_rule() {
        for (line, expected) in [
            ("[1:2] -A INPUT\n", Ok(("1", "2", " -A INPUT\n"))),
            ("[1:2]-A INPUT\n", Ok(("1", "2", "-A INPUT\n"))),
            ("[1:2:3] -A\n", Ok(("1", "2:3", " -A\n"))),
            ("[12:] -A\n", Ok(("12", " -A\n", " -A\n"))),
            ("[12] --dport 1:2\n", Ok(("12] --dport 1", "2\n", " --dport 1"))),
            ("[12] -A\n", Err(())),
            ("[:2] -A\n", Err(())),
            ("[1:2 -A\n", Err(())),
        ] {
            let made = split_counters(line, 1)
                .map(|it| {
                    let (packets, bytes) = it.counters.unwrap();
                    (packets, bytes, it.rule)
                })
                .map_err(|_| ());
            assert_eq!(made, expected, "{line:?}");
        }
    }
}
