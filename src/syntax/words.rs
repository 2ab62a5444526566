//! The words of a line as nom reads them: parsers of single words, each with an error that says where it stands, what was expected and what
//! helps. nom's own (`opt`, `alt`, `many0`, `separated_pair` ...) put them together.

use std::iter::Enumerate;
use std::ops::RangeInclusive;
use std::slice::Iter;

use nom::combinator::{map, opt};
use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult, Input, Needed, Parser};

use super::atom;
use super::problem::{Position, Problem};

/// One word, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// As it was typed, where something else was put in its place: a host's address.
    pub typed: Option<String>,
    pub position: Position,
    /// Some of it was quoted, so it is never an operator.
    pub quoted: bool,
    /// Where in the text the first `>` stands that is in no quotes.
    pub arrow: Option<usize>,
}

impl Word {
    /// Where a stretch of its text stands; all of it where quotes or escapes are in between.
    pub(crate) fn part(&self, of: Position) -> Position {
        let is_plain = self.typed.is_none() && self.position.end - self.position.start == self.text.len();
        match is_plain {
            true => (self.position.start + of.start..self.position.start + of.end).into(),
            false => self.position,
        }
    }
}

/// What is left of a line.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    words: &'a [Word],
    /// Of the word that was read last.
    before: Position,
    /// Where the line ends: what is missing is missing there.
    end: usize,
    /// What a text of these words is called.
    called: &'static str,
}

/// A parser's answer: what is left, and what was read.
pub type Read<'a, T> = IResult<Words<'a>, T, Problem>;

impl<'a> Words<'a> {
    /// Of a line.
    pub fn new(words: &'a [Word]) -> Self {
        let end = words.last().map_or(0, |word| word.position.end);
        Self::of("line", words, end)
    }

    /// Of a text that is called otherwise, and ends behind its last word.
    pub fn of(called: &'static str, words: &'a [Word], end: usize) -> Self {
        Self {
            words,
            before: (end..end).into(),
            end,
            called,
        }
    }

    /// Reads what a parser takes; where that fails, nothing is read.
    pub fn read<T>(&mut self, mut parser: impl Parser<Self, Output = T, Error = Problem>) -> Result<T, Problem> {
        let (rest, value) = parser.parse(*self).map_err(|error| match error {
            Err::Error(problem) | Err::Failure(problem) => problem,
            Err::Incomplete(_) => self.too_early(""),
        })?;
        *self = rest;
        Ok(value)
    }

    /// All that is left.
    pub fn read_all(&mut self) -> &'a [Word] {
        let (none, all) = self.take_split(self.words.len());
        *self = none;
        all.words
    }

    pub fn peek(&self) -> Option<&'a Word> {
        self.words.first()
    }

    pub fn peek_text(&self) -> Option<&'a str> {
        self.peek().map(|word| word.text.as_str())
    }

    pub fn is_done(&self) -> bool {
        self.words.is_empty()
    }

    /// Where the last word that was read stands.
    pub fn position(&self) -> Position {
        self.before
    }

    fn too_early(&self, expected: &str) -> Problem {
        Problem::new(
            self.end..self.end,
            format!("the {} ends too early", self.called),
            format!("expected {expected}"),
            format!("write {expected} here"),
        )
    }
}

/// The next word, whatever it is.
pub fn anything(words: Words<'_>) -> Read<'_, &Word> {
    fitting(|_| true).parse(words)
}

/// The next word if it fits. Where it does not, the error says nothing: this is for what may stand there.
pub fn fitting<'a>(fits: impl Fn(&Word) -> bool) -> impl Parser<Words<'a>, Output = &'a Word, Error = Problem> {
    move |words: Words<'a>| match words.peek() {
        Some(word) if fits(word) => Ok((words.take_from(1), word)),
        _ => Err(Err::Error(Problem::from_error_kind(words, ErrorKind::Verify))),
    }
}

/// The next word through a function, if that makes something of it; else nothing is said.
pub fn made<'a, T>(make: impl Fn(&'a str) -> Option<T>) -> impl Parser<Words<'a>, Output = T, Error = Problem> {
    move |words: Words<'a>| match words.peek_text().and_then(&make) {
        Some(value) => Ok((words.take_from(1), value)),
        None => Err(Err::Error(Problem::from_error_kind(words, ErrorKind::MapOpt))),
    }
}

/// The next word, or what is missing.
pub fn word<'a>(expected: &str) -> impl Parser<Words<'a>, Output = &'a Word, Error = Problem> {
    move |words: Words<'a>| match words.peek() {
        Some(word) => Ok((words.take_from(1), word)),
        None => Err(Err::Error(words.too_early(expected))),
    }
}

/// The next word, or what is said at the place where it is missing.
pub(crate) fn word_or<'a>(
    missing: impl Fn(Position) -> Problem,
) -> impl Parser<Words<'a>, Output = &'a Word, Error = Problem> {
    move |words: Words<'a>| match words.peek() {
        Some(word) => Ok((words.take_from(1), word)),
        None => Err(Err::Error(missing((words.end..words.end).into()))),
    }
}

/// The next word, its quotes forgotten.
pub fn text<'a>(expected: &str) -> impl Parser<Words<'a>, Output = String, Error = Problem> {
    map(word(expected), |word: &Word| word.text.clone())
}

/// Whether this word comes next, which is then read. What is quoted is no operator.
pub fn has<'a>(text: &str) -> impl Parser<Words<'a>, Output = bool, Error = Problem> {
    map(opt(this(text)), |found| found.is_some())
}

/// This word if it comes next; else nothing is said.
pub fn this<'a>(text: &str) -> impl Parser<Words<'a>, Output = &'a Word, Error = Problem> {
    fitting(move |word| word.text == text && !word.quoted)
}

/// This word and no other.
pub fn expect<'a>(text: &str) -> impl Parser<Words<'a>, Output = &'a Word, Error = Problem> {
    move |words: Words<'a>| {
        let (rest, word) = word(&format!("`{text}`")).parse(words)?;
        match word.text == text {
            true => Ok((rest, word)),
            false => Err(Err::Error(unexpected(word, &format!("expected `{text}`"), ""))),
        }
    }
}

/// The next word through a function.
pub fn one<'a, T>(
    expected: &str,
    make: impl FnMut(&str) -> Option<T>,
) -> impl Parser<Words<'a>, Output = T, Error = Problem> {
    helped(expected, "", make)
}

/// The same with what to do where that makes nothing of it.
pub fn helped<'a, T>(
    expected: &str,
    remedy: &str,
    mut make: impl FnMut(&str) -> Option<T>,
) -> impl Parser<Words<'a>, Output = T, Error = Problem> {
    move |words: Words<'a>| {
        let (rest, word) = word(expected).parse(words)?;
        match make(&word.text) {
            Some(value) => Ok((rest, value)),
            None => Err(Err::Error(unexpected(word, &format!("expected {expected}"), remedy))),
        }
    }
}

/// The next word through a function that says itself what is wrong with it.
pub fn meant<'a, T>(
    expected: &str,
    mut read: impl FnMut(&'a Word) -> Result<T, Problem>,
) -> impl Parser<Words<'a>, Output = T, Error = Problem> {
    move |words: Words<'a>| {
        let (rest, word) = word(expected).parse(words)?;
        read(word).map(|value| (rest, value)).map_err(Err::Error)
    }
}

/// A number within bounds.
pub fn number<'a>(what: &str, bounds: RangeInclusive<u64>) -> impl Parser<Words<'a>, Output = u64, Error = Problem> {
    move |words: Words<'a>| {
        let (least, most) = (bounds.start(), bounds.end());
        let expected = format!("{what}, {least} to {most}");
        let remedy = format!("write a number from {least} to {most}");
        helped(&expected, &remedy, |text| {
            atom::number(text).filter(|number| bounds.contains(number))
        })
        .parse(words)
    }
}

/// The end; what is left is too much.
pub fn end<'a>(expected: &str) -> impl Parser<Words<'a>, Output = (), Error = Problem> {
    move |words: Words<'a>| match words.peek() {
        None => Ok((words, ())),
        Some(word) => Err(Err::Error(unexpected(word, expected, "remove it"))),
    }
}

/// What is wrong with a word that cannot stand where it does.
pub fn unexpected(word: &Word, expected: &str, remedy: &str) -> Problem {
    let text = word.typed.as_deref().unwrap_or(&word.text);
    if let (true, Some((before, behind))) = (is_stuck_together(word), text.split_once('>')) {
        return Problem::new(
            word.position,
            format!("`{text}` is one word"),
            "expected blanks around the `>`",
            format!("write it like `{before} > {behind}`"),
        );
    }
    Problem::new(
        word.position,
        format!("`{text}` is not understood here"),
        expected,
        remedy,
    )
}

/// `10.0.0.2>192.0.2.9`, or half of it.
pub fn is_stuck_together(word: &Word) -> bool {
    !word.quoted && word.arrow.is_some() && word.text.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

/// What nom itself finds. Nobody gets to see it: whoever may say nothing is asked by `opt`, `alt` or `many0`.
impl<'a> ParseError<Words<'a>> for Problem {
    fn from_error_kind(words: Words<'a>, _: ErrorKind) -> Self {
        let position = words.peek().map_or((words.end..words.end).into(), |word| word.position);
        Self::new(position, "", "", "")
    }

    fn append(_: Words<'a>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> Input for Words<'a> {
    type Item = &'a Word;
    type Iter = Iter<'a, Word>;
    type IterIndices = Enumerate<Iter<'a, Word>>;

    fn input_len(&self) -> usize {
        self.words.len()
    }

    fn take(&self, count: usize) -> Self {
        Self {
            words: &self.words[..count],
            ..*self
        }
    }

    fn take_from(&self, count: usize) -> Self {
        let read = count.checked_sub(1).and_then(|last| self.words.get(last));
        Self {
            words: &self.words[count..],
            before: read.map_or(self.before, |word| word.position),
            ..*self
        }
    }

    fn take_split(&self, count: usize) -> (Self, Self) {
        (self.take_from(count), self.take(count))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.words.iter().position(predicate)
    }

    fn iter_elements(&self) -> Self::Iter {
        self.words.iter()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.words.iter().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        match count <= self.words.len() {
            true => Ok(count),
            false => Err(Needed::new(count - self.words.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, position: std::ops::Range<usize>) -> Word {
        Word {
            text: text.to_owned(),
            typed: None,
            position: position.into(),
            quoted: false,
            arrow: None,
        }
    }

    #[test]
    fn a_stretch_of_a_word_is_told_by_its_place_in_the_text() {
        let plain = word("lan:80", 10..16);
        assert_eq!(plain.part((4..6).into()), (14..16).into());
        // Its letters are not where they are counted.
        let quoted = word("lan:80", 10..18);
        assert_eq!(quoted.part((4..6).into()), quoted.position);
        let named = Word {
            typed: Some("laptop".to_owned()),
            ..plain
        };
        assert_eq!(named.part((4..6).into()), named.position);
    }

    #[test]
    fn words_are_cut_as_they_are_counted() {
        let all: Vec<Word> = (0..3).map(|at| word(&at.to_string(), 2 * at..2 * at + 1)).collect();
        let words = Words::new(&all);
        for count in 0..=3 {
            let (behind, front) = words.take_split(count);
            assert_eq!((front.words, behind.words), (&all[..count], &all[count..]));
            assert_eq!(
                (words.take(count).words, words.take_from(count).words),
                (front.words, behind.words)
            );
            assert_eq!(behind.input_len(), 3 - count);
        }
    }
}
