//! From a script's text to its lines: words with their positions, quoting, comments, continuation lines, here-documents.
//!
//! Quoting is a shell's, as far as it goes without variables: `'...'` keeps everything, `"..."` takes a backslash before `"`, `\`, `$` and
//! `` ` ``, and a backslash outside of quotes takes the next character as it is. A `#` where a word could begin starts a comment.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{is_a, is_not, tag, take_till, take_while};
use nom::character::complete::{anychar, char, one_of};
use nom::combinator::{eof, map, not, opt, recognize, value};
use nom::error::{ErrorKind, ParseError};
use nom::multi::{fold_many0, fold_many1, many0, many0_count};
use nom::sequence::{preceded, terminated};
use nom::{Err, IResult, Parser};

use crate::syntax::atom::placed;
use crate::syntax::problem::{Position, Problem};
use crate::syntax::words::{Word, Words};

/// One command with what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Never empty.
    pub words: Vec<Word>,
    /// From its first word to its last.
    pub position: Position,
    pub input: Input,
}

impl Line {
    /// Its first word.
    pub(crate) fn keyword(&self) -> &str {
        self.words.first().map_or("", |word| word.text.as_str())
    }

    /// What follows that.
    pub(crate) fn arguments(&self) -> Words<'_> {
        Words::of("line", self.words.get(1..).unwrap_or_default(), self.position.end)
    }

    /// Refuses an input: who is `called` so reads none.
    pub(crate) fn without_input(&self, called: &str) -> Result<(), Problem> {
        match self.input {
            Input::None => Ok(()),
            Input::Here(_) | Input::File(_) => Err(Problem::new(
                self.position,
                format!("{called} reads no input"),
                "expected a tool in front of `<`",
                "remove the `<` and what follows it",
            )),
        }
    }
}

/// A command's standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing: it is at its end at once.
    None,
    /// The text of a here-document.
    Here(String),
    /// `< FILE`.
    File(Word),
}

/// A text that is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LexError {
    pub problem: Problem,
    /// Where only the end is missing (an open quote, a here-document without its end), so that an editor asks for more: what stands somewhere in
    /// what is to come, on one line, before the text is whole.
    pub awaits: Option<String>,
}

/// All lines of a text.
pub fn lex(text: &str) -> Result<Vec<Line>, LexError> {
    // Editors of another system begin a file with a mark.
    let rest = text.strip_prefix(MARK).unwrap_or(text);
    match many0(|rest| line(text.len(), rest)).parse(rest) {
        Ok((_, lines)) => Ok(lines.into_iter().flatten().collect()),
        Err(Err::Error(error) | Err::Failure(error)) => Err(error),
        Err(Err::Incomplete(_)) => Ok(Vec::new()),
    }
}

/// What is left of the text, and what was read. Errors are of nom's failures: where one is, nothing else is tried.
type Lexed<'a, T> = IResult<&'a str, T, LexError>;

enum Part {
    Word(Word),
    File(Word),
    Here(Heredoc),
}

/// A here-document that a line asked for.
struct Heredoc {
    end: String,
    strip_tabs: bool,
    position: Position,
}

/// One line, with the here-document that follows it; `None` for one without words. The text has so many bytes in all.
fn line(length: usize, text: &str) -> Lexed<'_, Option<Line>> {
    let mut words: Vec<Word> = Vec::new();
    let mut input = Input::None;
    let mut heredoc: Option<Heredoc> = None;
    let mut rest = not(eof).parse(text)?.0;
    let part = |rest| {
        let word = map(|rest| word(length, rest), Part::Word);
        let part = alt((|rest| redirection(length, rest), word));
        preceded(blanks, placed(length, part)).parse(rest)
    };
    while let (behind, Some((position, part))) = opt(part).parse(rest)? {
        rest = behind;
        match part {
            Part::Word(word) => words.push(word),
            Part::File(_) | Part::Here(_) if heredoc.is_some() || input != Input::None => {
                return Err(failure(
                    position,
                    "this command has an input already",
                    "one `<` or `<<` a command",
                    "",
                ));
            }
            Part::File(word) => input = Input::File(word),
            Part::Here(here) => heredoc = Some(here),
        }
    }
    let comment = (char('#'), take_till(|letter| letter == '\n'));
    let (mut rest, _) = (blanks, opt(comment), opt(char('\n'))).parse(rest)?;
    if let Some(heredoc) = heredoc {
        let document;
        (rest, document) = self::document(&heredoc, rest)?;
        input = Input::Here(document);
    }
    let (Some(first), Some(last)) = (words.first(), words.last()) else {
        return Ok((rest, None));
    };
    let position = (first.position.start..last.position.end).into();
    Ok((rest, Some(Line { words, position, input })))
}

/// `< FILE`, `<< END` or `<<- END`.
fn redirection(length: usize, text: &str) -> Lexed<'_, Part> {
    let sign = alt((tag("<<-"), tag("<<"), tag("<")));
    let (rest, (position, sign)) = placed(length, terminated(sign, blanks)).parse(text)?;
    if rest.is_empty() || rest.starts_with('\n') {
        let expected = match sign {
            "<" => "expected a file's name",
            _ => "expected the word that ends the here-document",
        };
        return Err(failure(
            position,
            "nothing follows the `<`",
            expected,
            "write it on this line",
        ));
    }
    let (rest, word) = any_word(length, rest)?;
    let part = match sign {
        "<" => Part::File(word),
        _ => Part::Here(Heredoc {
            position: (position.start..word.position.end).into(),
            end: word.text,
            strip_tabs: sign == "<<-",
        }),
    };
    Ok((rest, part))
}

/// Blanks, and line ends after a backslash.
fn blanks(text: &str) -> Lexed<'_, &str> {
    recognize(many0_count(alt((is_a(" \t\r"), tag("\\\n"), tag("\\\r\n"))))).parse(text)
}

/// A word where one can begin: not with a `#`.
fn word(length: usize, text: &str) -> Lexed<'_, Word> {
    preceded(not(char('#')), |text| any_word(length, text)).parse(text)
}

fn any_word(length: usize, text: &str) -> Lexed<'_, Word> {
    let plain = map(is_not(" \t\r\n'\"\\"), |letters| (Cow::Borrowed(letters), false));
    let quoted = map(
        alt((|text| single_quoted(length, text), |text| double_quoted(length, text))),
        |letters| (letters, true),
    );
    let piece = alt((plain, quoted, |text| escaped(length, text)));
    let pieces = fold_many1(
        piece,
        || (String::new(), false, None),
        |(word, some_quoted, arrow), (piece, quoted)| {
            let here = piece.find('>').filter(|_| !quoted).map(|at| word.len() + at);
            (word + &piece, some_quoted || quoted, arrow.or(here))
        },
    );
    map(placed(length, pieces), |(position, (text, quoted, arrow))| Word {
        text,
        typed: None,
        position,
        quoted,
        arrow,
    })
    .parse(text)
}

fn single_quoted(length: usize, text: &str) -> Lexed<'_, Cow<'_, str>> {
    let (rest, _) = char('\'').parse(text)?;
    match terminated(take_till(|letter| letter == '\''), char('\'')).parse(rest) {
        Ok((rest, letters)) => Ok((rest, Cow::Borrowed(letters))),
        Err::<_, Err<LexError>>(_) => Err(open_quote('\'', length - text.len())),
    }
}

/// In double quotes a backslash takes what would mean something there, and the end of a line away.
fn double_quoted(length: usize, text: &str) -> Lexed<'_, Cow<'_, str>> {
    let piece = alt((
        is_not("\"\\"),
        preceded(char('\\'), recognize(one_of("\"\\$`"))),
        value("", tag("\\\n")),
        tag("\\"),
    ));
    let pieces = fold_many0(piece, String::new, |word, piece: &str| word + piece);
    let (rest, word) = preceded(char('"'), pieces).parse(text)?;
    match rest.strip_prefix('"') {
        Some(rest) => Ok((rest, Cow::Owned(word))),
        None => Err(open_quote('"', length - text.len())),
    }
}

/// A backslash takes the next letter as it is, and the end of a line away: then nothing is quoted.
fn escaped(length: usize, text: &str) -> Lexed<'_, (Cow<'_, str>, bool)> {
    let (rest, _) = char('\\').parse(text)?;
    let at = length - text.len();
    if rest.is_empty() {
        return Err(Err::Failure(LexError {
            problem: Problem::new(
                at..at + 1,
                "the text ends after a backslash",
                "a line should follow",
                "remove the backslash",
            ),
            awaits: Some(String::new()),
        }));
    }
    let line_end = value((Cow::Borrowed(""), false), alt((tag("\n"), tag("\r\n"))));
    let letter = map(recognize(anychar), |letter| (Cow::Borrowed(letter), true));
    alt((line_end, letter)).parse(rest)
}

/// The lines up to the one that ends it.
fn document<'a>(heredoc: &Heredoc, text: &'a str) -> Lexed<'a, String> {
    let mut document = String::new();
    let mut rest = text;
    // As the file's other lines end, so does its end; the document has the lines without that.
    let plain = |document: String, end: &str| match end.ends_with("\r\n") {
        true => document.replace("\r\n", "\n"),
        false => document,
    };
    while !rest.is_empty() {
        let line = recognize((take_till(|letter| letter == '\n'), opt(char('\n'))));
        let (behind, line) = preceded(take_while(|letter| heredoc.strip_tabs && letter == '\t'), line).parse(rest)?;
        rest = behind;
        if line.trim_end_matches(['\n', '\r']) == heredoc.end {
            return Ok((rest, plain(document, line)));
        }
        document.push_str(line);
    }
    Err(Err::Failure(LexError {
        problem: Problem::new(
            heredoc.position,
            format!("this here-document has no end: no line is `{}`", heredoc.end),
            format!("expected a line `{}` below", heredoc.end),
            "write the end alone on its line, without blanks",
        ),
        awaits: Some(heredoc.end.clone()),
    }))
}

fn open_quote(quote: char, at: usize) -> Err<LexError> {
    Err::Failure(LexError {
        problem: Problem::new(
            at..at + 1,
            "this quote is never closed",
            "expected its fellow before the end",
            "close it",
        ),
        awaits: Some(quote.to_string()),
    })
}

fn failure(position: Position, message: &str, expected: &str, remedy: &str) -> Err<LexError> {
    Err::Failure(LexError {
        problem: Problem::new(position, message, expected, remedy),
        awaits: None,
    })
}

/// What nom itself finds. Nobody gets to see it: something else is tried, or the text is over.
impl ParseError<&str> for LexError {
    fn from_error_kind(_: &str, _: ErrorKind) -> Self {
        Self {
            problem: Problem::new(0..0, "", "", ""),
            awaits: None,
        }
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// A byte order mark.
const MARK: char = '\u{feff}';

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        lex(text)
            .unwrap()
            .into_iter()
            .map(|line| line.words.into_iter().map(|word| word.text).collect())
            .collect()
    }

    #[test]
    fn words_quotes_comments_and_continuation() {
        let cases: &[(&str, &[&[&str]])] = &[
            ("", &[]),
            ("  # nothing\n\n", &[]),
            ("iptables -L # list", &[&["iptables", "-L"]]),
            ("a#b #c", &[&["a#b"]]),
            ("a 'b c' \"d 'e'\" f\\ g", &[&["a", "b c", "d 'e'", "f g"]]),
            ("a ''\nb \"\"", &[&["a", ""], &["b", ""]]),
            ("a \\\n  b\\\nc\nd", &[&["a", "bc"], &["d"]]),
            ("a \"x\\\"y\\r\\n\"", &[&["a", "x\"y\\r\\n"]]),
            ("\u{feff}a b", &[&["a", "b"]]),
            ("a > b\r\nc\r\n", &[&["a", ">", "b"], &["c"]]),
            ("a 'two\nlines'", &[&["a", "two\nlines"]]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn here_documents_and_files() {
        let lines = lex("iptables-restore -n <<EOF\n*filter\n# kept\nCOMMIT\nEOF\nnext").unwrap();
        assert_eq!(lines[0].input, Input::Here("*filter\n# kept\nCOMMIT\n".to_owned()));
        assert_eq!(lines[1].words[0].text, "next");
        let lines = lex("a <<'E' b\n\tx\nE\n").unwrap();
        assert_eq!(lines[0].input, Input::Here("\tx\n".to_owned()));
        assert_eq!(lines[0].words.len(), 2);
        let lines = lex("a <<-E\n\tx\n\tE\n").unwrap();
        assert_eq!(lines[0].input, Input::Here("x\n".to_owned()));
        let lines = lex("a <<EOF\r\nx\r\n\r\nEOF\r\nb").unwrap();
        assert_eq!(lines[0].input, Input::Here("x\n\n".to_owned()));
        assert_eq!(lines[1].words[0].text, "b");
        let lines = lex("iptables-restore < rules.v4").unwrap();
        assert!(matches!(&lines[0].input, Input::File(word) if word.text == "rules.v4"));
    }

    #[test]
    fn what_only_lacks_its_end_is_told_apart() {
        for (text, awaits, message) in [
            ("a 'b", Some("'"), "this quote is never closed"),
            ("a \"b", Some("\""), "this quote is never closed"),
            ("a \\", Some(""), "the text ends after a backslash"),
            (
                "a <<EOF\nb\n",
                Some("EOF"),
                "this here-document has no end: no line is `EOF`",
            ),
            ("a <<", None, "nothing follows the `<`"),
            ("a < b < c", None, "this command has an input already"),
        ] {
            let error = lex(text).unwrap_err();
            assert_eq!(
                (error.awaits.as_deref(), error.problem.message.as_str()),
                (awaits, message),
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_arrow_in_quotes_is_none() {
        for (text, arrow) in [
            ("a", None),
            ("a>b", Some(1)),
            ("'a>'b", None),
            ("'a>'b>c", Some(3)),
            ("\"1\">c", Some(1)),
            ("a\\>b", None),
            (">>c", Some(0)),
        ] {
            assert_eq!(lex(text).unwrap()[0].words[0].arrow, arrow, "{text}");
        }
    }

    #[test]
    fn positions_are_of_the_text() {
        let lines = lex("ä 'b c' d").unwrap();
        let spans: Vec<_> = lines[0]
            .words
            .iter()
            .map(|word| (word.position.start, word.position.end))
            .collect();
        assert_eq!(spans, [(0, 2), (3, 8), (9, 10)]);
    }
}
