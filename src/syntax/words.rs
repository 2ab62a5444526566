//! Reading a line word by word, with an error that knows where it stands.

use std::ops::RangeInclusive;

use super::atom;
use crate::base::absent::NO_IPV6;
use crate::syntax::problem::{Position, Problem};

/// One word, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// As it was typed, where something else was put in its place: a host's address.
    pub typed: Option<String>,
    pub position: Position,
    /// Some of it was quoted, so it is never an operator.
    pub quoted: bool,
}

/// A place in a line's words.
#[derive(Debug)]
pub struct Cursor<'a> {
    words: &'a [Word],
    at: usize,
    /// Where the line ends: what is missing is missing there.
    end: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(words: &'a [Word]) -> Self {
        let end = words.last().map_or(0, |word| word.position.end);
        Self { words, at: 0, end }
    }

    pub fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.at)
    }

    pub fn peek_text(&self) -> Option<&'a str> {
        self.peek().map(|word| word.text.as_str())
    }

    pub fn is_done(&self) -> bool {
        self.at >= self.words.len()
    }

    pub fn rest(&self) -> &'a [Word] {
        &self.words[self.at..]
    }

    pub fn skip(&mut self) {
        self.at += 1;
    }

    pub fn take_rest(&mut self) -> &'a [Word] {
        let rest = self.rest();
        self.at = self.words.len();
        rest
    }

    /// The next word, or what is missing.
    pub fn word(&mut self, expected: &str) -> Result<&'a Word, Problem> {
        match self.words.get(self.at) {
            Some(word) => {
                self.at += 1;
                Ok(word)
            }
            None => Err(Problem::new(
                self.end..self.end,
                "the line ends too early",
                format!("expected {expected}"),
                format!("write {expected} here"),
            )),
        }
    }

    /// Takes the next word if it is this one.
    pub fn eat(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.text == text && !word.quoted);
        if found {
            self.at += 1;
        }
        found
    }

    pub fn expect(&mut self, text: &str) -> Result<(), Problem> {
        let word = self.word(&format!("`{text}`"))?;
        if word.text == text {
            Ok(())
        } else {
            Err(unexpected(word, &format!("expected `{text}`"), ""))
        }
    }

    /// The next word through a parser.
    pub fn parse<T>(&mut self, expected: &str, parser: impl FnOnce(&str) -> Option<T>) -> Result<T, Problem> {
        let word = self.word(expected)?;
        parser(&word.text).ok_or_else(|| unexpected(word, &format!("expected {expected}"), ""))
    }

    /// A number within bounds.
    pub fn number(&mut self, what: &str, bounds: RangeInclusive<u64>) -> Result<u64, Problem> {
        let expected = format!("{what}, {} to {}", bounds.start(), bounds.end());
        self.parse(&expected, |text| {
            atom::number(text).filter(|number| bounds.contains(number))
        })
    }

    /// An error if anything is left.
    pub fn end(&self, expected: &str) -> Result<(), Problem> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(unexpected(word, expected, "remove it")),
        }
    }

    /// Where the last word that was read stands.
    pub fn position(&self) -> Position {
        match self.at.checked_sub(1).and_then(|before| self.words.get(before)) {
            Some(word) => word.position,
            None => (self.end..self.end).into(),
        }
    }
}

pub fn unexpected(word: &Word, expected: &str, remedy: &str) -> Problem {
    if atom::is_ipv6(&word.text) {
        return Problem::new(word.position, format!("{NO_IPV6}: `{}`", word.text), expected, remedy);
    }
    Problem::new(
        word.position,
        format!(
            "`{}` is not understood here",
            word.typed.as_deref().unwrap_or(&word.text)
        ),
        expected,
        remedy,
    )
}
