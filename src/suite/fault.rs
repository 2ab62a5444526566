//! Why a test file cannot be read: everything that is wrong in it and in the files it names, each at its place.

use std::fmt;
use std::sync::Arc;

use crate::syntax::problem::{Lines, Position, Problem, Source, SourceError};

/// Nothing of a suite is run while this stands.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Never empty, at most one for each text.
    pub errors: Vec<SourceError>,
}

impl Unreadable {
    /// In colours, for a terminal (for `tell_styled!`).
    pub fn styled(&self) -> String {
        let drawn: Vec<String> = self.errors.iter().map(SourceError::styled).collect();
        drawn.join("\n\n")
    }

    /// File, line, column, message and remedy of everything that is wrong.
    pub fn places(&self) -> impl Iterator<Item = (&str, usize, usize, &Problem)> {
        self.errors.iter().flat_map(|error| {
            error.problems.iter().map(|problem| {
                let (line, column) = error.source.line_and_column(problem.position.start);
                (error.source.name.as_str(), line, column, problem)
            })
        })
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drawn: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
        f.write_str(&drawn.join("\n\n"))
    }
}

impl std::error::Error for Unreadable {}

impl From<SourceError> for Unreadable {
    fn from(error: SourceError) -> Self {
        Self { errors: vec![error] }
    }
}

/// A text with the beginnings of its lines.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) source: Source,
    lines: Lines,
}

impl Text {
    pub(super) fn new(name: String, text: String) -> Arc<Self> {
        let source = Source { name, text };
        let lines = source.lines();
        Arc::new(Self { source, lines })
    }

    /// Both from 1.
    pub(super) fn line_and_column(&self, byte: usize) -> (usize, usize) {
        self.lines.line_and_column(&self.source.text, byte)
    }

    /// The bytes of a line (from 1), without its end.
    pub(super) fn line(&self, number: usize) -> Position {
        self.lines.line(&self.source.text, number)
    }

    /// The first line of a stretch.
    pub(super) fn shown(&self, position: Position) -> &str {
        let text = self.source.text.get(position.start..position.end).unwrap_or("");
        text.lines().next().unwrap_or("")
    }
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Arc<Text>, Vec<Problem>)>);

impl Faults {
    pub(super) fn add(&mut self, text: &Arc<Text>, problem: Problem) {
        match self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(known, text)) {
            Some((_, problems)) => problems.push(problem),
            None => self.0.push((Arc::clone(text), vec![problem])),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add_error(&mut self, error: SourceError) {
        self.0
            .push((Text::new(error.source.name, error.source.text), error.problems));
    }

    /// `Err` where anything was wrong.
    pub(super) fn settle(self) -> Result<(), Unreadable> {
        if self.0.is_empty() {
            return Ok(());
        }
        let errors = self.0.into_iter().map(|(text, mut problems)| {
            problems.sort_by_key(|problem| problem.position.start);
            text.source.error(problems)
        });
        Err(Unreadable {
            errors: errors.collect(),
        })
    }
}
