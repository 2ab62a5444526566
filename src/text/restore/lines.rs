//! The lines of a restore file: where each ends, its words with their quotes, and the counters before a rule.
//!
//! There may be a hundred thousand, so a word is a piece of its line wherever nothing in it is escaped or put together.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{is_not, take_until};
use nom::character::complete::{anychar, char};
use nom::combinator::{eof, opt, recognize, value};
use nom::multi::fold_many0;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use crate::base::bytes::{bytes_of, exceeds, text_of};
use crate::text::failure::Failure;

/// Lines with their ends.
pub(super) fn lines_of(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (rest, line) = line(text).ok()?;
        text = rest;
        (!line.is_empty()).then_some(line)
    })
}

fn line(text: &str) -> IResult<&str, &str> {
    let end = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |at| at + 1);
    Ok((&text[end..], &text[..end]))
}

/// A line longer than the tool's buffer comes in pieces, each a line of its own to it and each counted.
pub(super) fn pieces(line: &str) -> Vec<String> {
    bytes_of(line).chunks(LONGEST_LINE).map(text_of).collect()
}

/// What the tool sees of a line with a NUL in it.
pub(super) fn up_to_nul(line: &str) -> &str {
    memchr::memchr(0, line.as_bytes()).map_or(line, |at| &line[..at])
}

/// The words of a line that names a table or a chain: there a quote is a letter.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut text = text;
    std::iter::from_fn(move || {
        let (rest, word) = preceded(blanks, run(|byte| !is_blank(byte))).parse(text).ok()?;
        text = rest;
        (!word.is_empty()).then_some(word)
    })
}

/// A line, with what stood in brackets before the rule.
pub(super) struct Counted<'a> {
    pub(super) counters: Option<(&'a str, &'a str)>,
    pub(super) rule: &'a str,
    /// Bytes from the rule's first to the line's end.
    pub(super) from_end: usize,
}

/// `[packets:bytes] rule`. The tool cuts the line with `strtok`, so a colon that comes only in the rule is taken for the one in the brackets,
/// and the rule ends there.
pub(super) fn split_counters(line: &str, number: u32) -> Result<Counted<'_>, Failure> {
    if line.as_bytes().first() != Some(&b'[') {
        return Ok(Counted {
            counters: None,
            rule: line,
            from_end: line.len(),
        });
    }
    match counters(&line[1..]) {
        Ok((_, counted)) => Ok(counted),
        Err(_) => {
            Err(Failure::parameter(format!("Bad line {number}: need ]")).remedy("counters are written [packets:bytes]"))
        }
    }
}

fn counters(inside: &str) -> IResult<&str, Counted<'_>> {
    let (behind_bracket, _) = (take_until("]"), char(']')).parse(inside)?;
    let (behind_colon, packets) =
        preceded(run(|byte| byte == b':'), terminated(take_until(":"), char(':'))).parse(inside)?;
    let (rest, bytes) = preceded(run(|byte| byte == b']'), is_not("]")).parse(behind_colon)?;
    let to_colon = behind_bracket.len().checked_sub(behind_colon.len() + 1);
    let counted = Counted {
        counters: Some((packets, bytes)),
        rule: to_colon.map_or(behind_bracket, |length| &behind_bracket[..length]),
        from_end: behind_bracket.len(),
    };
    Ok((rest, counted))
}

/// A word of a line and where it started (from 1); words that the line did not have start nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument<'a> {
    pub text: Cow<'a, str>,
    pub column: Option<usize>,
}

impl<'a> Argument<'a> {
    /// A word that stands in no line.
    pub(crate) fn made(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: text.into(),
            column: None,
        }
    }

    /// The same, whatever becomes of the line.
    pub(crate) fn kept(self) -> Argument<'static> {
        Argument {
            text: Cow::Owned(self.text.into_owned()),
            column: self.column,
        }
    }
}

/// The words of a line as [`run`](super::run) reads a rule: those of `iptables -S`, too.
pub(crate) fn arguments(line: &str) -> Result<Vec<Argument<'_>>, Failure> {
    let mut arguments = Vec::new();
    split_words(line, 0, &mut arguments)?;
    Ok(arguments)
}

/// Adds the words of a rule, which begins so many bytes into its line.
pub(super) fn split_words<'a>(rule: &'a str, offset: usize, arguments: &mut Vec<Argument<'a>>) -> Result<(), Failure> {
    // The tool puts its own name, `-t` and the table before the words.
    let most = MOST_ARGUMENTS - 2;
    let length = |text: &str, is_of: fn(u8) -> bool| text.bytes().position(|it| !is_of(it)).unwrap_or(text.len());
    let mut text = rule;
    loop {
        let from = &text[length(text, is_blank)..];
        let (letters, rest) = from.split_at(length(from, is_letter));
        let (rest, word) = match rest.as_bytes().first() {
            Some(b'"') => quoted_word(letters, rest),
            _ if letters.is_empty() => return Ok(()),
            _ => (rest, Cow::Borrowed(letters)),
        };
        if exceeds(&word, LONGEST_WORD) {
            return Err(Failure::parameter("Parameter too long!"));
        }
        if arguments.len() >= most {
            return Err(Failure::parameter("Parser cannot handle more arguments"));
        }
        arguments.push(Argument {
            text: word,
            column: Some(offset + rule.len() - from.len() + 1),
        });
        text = rest;
    }
}

/// Blanks part words; double quotes keep them together. A closing quote ends the word; an opening one does not (`a"b c"d` is `ab c` and `d`).
/// Outside quotes a backslash is a letter.
fn quoted_word<'a>(letters: &'a str, quote: &'a str) -> (&'a str, Cow<'a, str>) {
    match (quoted(quote), letters) {
        (Ok((rest, inside)), "") => (rest, inside),
        (Ok((rest, inside)), letters) => (rest, Cow::Owned(letters.to_owned() + &inside)),
        // It never fails behind a quote.
        (Err(_), letters) => ("", Cow::Borrowed(letters)),
    }
}

/// Inside quotes a backslash takes the next letter as it is. Quotes that are never closed hold the rest of the line, with its end.
fn quoted(text: &str) -> IResult<&str, Cow<'_, str>> {
    let plain = |byte| byte != b'"' && byte != b'\\';
    let (rest, first) = preceded(char('"'), run(plain)).parse(text)?;
    let (rest, word) = match rest.starts_with('\\') {
        false => (rest, Cow::Borrowed(first)),
        true => {
            let escaped = preceded(char('\\'), alt((recognize(anychar), eof)));
            fold_many0(
                alt((escaped, is_not("\"\\"))),
                || first.to_owned(),
                |word, piece| word + piece,
            )
            .map(Cow::Owned)
            .parse(rest)?
        }
    };
    value(word, opt(char('"'))).parse(rest)
}

fn blanks(text: &str) -> IResult<&str, &str> {
    run(is_blank).parse(text)
}

/// As many bytes as fit, perhaps none. What is asked for has to end at a character: it is of ASCII, or all but some of ASCII.
fn run<'a>(fits: impl Fn(u8) -> bool) -> impl Parser<&'a str, Output = &'a str, Error = nom::error::Error<&'a str>> {
    move |text: &'a str| {
        let end = text.bytes().position(|byte| !fits(byte)).unwrap_or(text.len());
        Ok((&text[end..], &text[..end]))
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// Letters of a word go up to a blank or a quote. Every byte of a line is asked, and most are above them all.
fn is_letter(byte: u8) -> bool {
    byte > b'"' || !matches!(byte, b' ' | b'\t' | b'\n' | b'"')
}

pub(super) const LONGEST_LINE: usize = 10_239;
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
