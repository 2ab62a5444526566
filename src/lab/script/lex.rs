//! From a script's text to its lines: words with their positions, quoting, comments, continuation lines, here-documents.
//!
//! Quoting is a shell's, as far as it goes without variables: `'...'` keeps everything, `"..."` takes a backslash before `"`, `\`, `$` and
//! `` ` ``, and a backslash outside of quotes takes the next character as it is. A `#` where a word could begin starts a comment.

use crate::syntax::problem::{Position, Problem};
use crate::syntax::words::Word;

/// One command with what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Never empty.
    pub words: Vec<Word>,
    /// From its first word to its last.
    pub position: Position,
    pub input: Input,
}

/// A command's standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
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
    /// True where only the end is missing (an open quote, a here-document without its end): an editor asks for more.
    pub incomplete: bool,
}

/// All lines of a text.
pub fn lex(text: &str) -> Result<Vec<Line>, LexError> {
    // Editors of another system begin a file with a mark.
    let at = if text.starts_with(MARK) { MARK.len_utf8() } else { 0 };
    let mut lexer = Lexer { text, at };
    let mut lines = Vec::new();
    while lexer.at < text.len() {
        if let Some(line) = lexer.line()? {
            lines.push(line);
        }
    }
    Ok(lines)
}

struct Lexer<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

/// A here-document that a line asked for.
struct Heredoc {
    end: String,
    strip_tabs: bool,
    position: Position,
}

impl Lexer<'_> {
    /// One line, with the here-document that follows it; `None` for one without words.
    fn line(&mut self) -> Result<Option<Line>, LexError> {
        let mut words: Vec<Word> = Vec::new();
        let mut input = Input::None;
        let mut heredoc: Option<Heredoc> = None;
        loop {
            self.blanks();
            match self.peek() {
                None => break,
                Some('\n') => {
                    self.at += 1;
                    break;
                }
                Some('#') => {
                    self.at = self.text[self.at..]
                        .find('\n')
                        .map_or(self.text.len(), |newline| self.at + newline);
                }
                Some('<') => {
                    let start = self.at;
                    self.at += 1;
                    let here = self.text[self.at..].starts_with('<');
                    let mut strip_tabs = false;
                    if here {
                        self.at += 1;
                        if self.peek() == Some('-') {
                            strip_tabs = true;
                            self.at += 1;
                        }
                    }
                    self.blanks();
                    if matches!(self.peek(), None | Some('\n')) {
                        let expected = if here {
                            "expected the word that ends the here-document"
                        } else {
                            "expected a file's name"
                        };
                        return Err(whole(
                            start..self.at,
                            "nothing follows the `<`",
                            expected,
                            "write it on this line",
                        ));
                    }
                    let word = self.word()?;
                    if heredoc.is_some() || input != Input::None {
                        return Err(whole(
                            start..self.at,
                            "this command has an input already",
                            "one `<` or `<<` a command",
                            "",
                        ));
                    }
                    if here {
                        heredoc = Some(Heredoc {
                            end: word.text,
                            strip_tabs,
                            position: (start..self.at).into(),
                        });
                    } else {
                        input = Input::File(word);
                    }
                }
                Some(_) => words.push(self.word()?),
            }
        }
        if let Some(heredoc) = heredoc {
            input = Input::Here(self.document(&heredoc)?);
        }
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            return Ok(None);
        };
        let position = (first.position.start..last.position.end).into();
        Ok(Some(Line { words, position, input }))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// Blanks, and line ends after a backslash.
    fn blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            if rest.starts_with([' ', '\t', '\r']) {
                self.at += 1;
            } else if rest.starts_with("\\\n") {
                self.at += 2;
            } else if rest.starts_with("\\\r\n") {
                self.at += 3;
            } else {
                return;
            }
        }
    }

    fn word(&mut self) -> Result<Word, LexError> {
        let start = self.at;
        let mut text = String::new();
        let mut quoted = false;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' => break,
                '\'' => {
                    quoted = true;
                    let from = self.at + 1;
                    let Some(length) = self.text[from..].find('\'') else {
                        return Err(open_quote(self.at));
                    };
                    text.push_str(&self.text[from..from + length]);
                    self.at = from + length + 1;
                }
                '"' => {
                    quoted = true;
                    self.double_quoted(&mut text)?;
                }
                '\\' => {
                    let from = self.at;
                    self.at += 1;
                    match self.peek() {
                        None => {
                            return Err(LexError {
                                problem: Problem::new(
                                    from..from + 1,
                                    "the text ends after a backslash",
                                    "a line should follow",
                                    "remove the backslash",
                                ),
                                incomplete: true,
                            });
                        }
                        Some('\n') => self.at += 1,
                        Some('\r') if self.text[self.at..].starts_with("\r\n") => self.at += 2,
                        Some(c) => {
                            quoted = true;
                            text.push(c);
                            self.at += c.len_utf8();
                        }
                    }
                }
                c => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        Ok(Word {
            text,
            typed: None,
            position: (start..self.at).into(),
            quoted,
        })
    }

    fn double_quoted(&mut self, text: &mut String) -> Result<(), LexError> {
        let start = self.at;
        self.at += 1;
        loop {
            let Some(c) = self.peek() else {
                return Err(open_quote(start));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(()),
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => {
                        text.push(escaped);
                        self.at += 1;
                    }
                    Some('\n') => self.at += 1,
                    _ => text.push('\\'),
                },
                c => text.push(c),
            }
        }
    }

    /// The lines up to the one that ends it.
    fn document(&mut self, heredoc: &Heredoc) -> Result<String, LexError> {
        let mut document = String::new();
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
            let mut line = &rest[..length];
            self.at += length;
            if heredoc.strip_tabs {
                line = line.trim_start_matches('\t');
            }
            if line.trim_end_matches(['\n', '\r']) == heredoc.end {
                return Ok(document);
            }
            document.push_str(line);
        }
        Err(LexError {
            problem: Problem::new(
                heredoc.position,
                format!("this here-document has no end: no line is `{}`", heredoc.end),
                format!("expected a line `{}` below", heredoc.end),
                "write the end alone on its line, without blanks",
            ),
            incomplete: true,
        })
    }
}

fn open_quote(at: usize) -> LexError {
    LexError {
        problem: Problem::new(
            at..at + 1,
            "this quote is never closed",
            "expected its fellow before the end",
            "close it",
        ),
        incomplete: true,
    }
}

fn whole(position: std::ops::Range<usize>, message: &str, expected: &str, remedy: &str) -> LexError {
    LexError {
        problem: Problem::new(position, message, expected, remedy),
        incomplete: false,
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
        let lines = lex("iptables-restore < rules.v4").unwrap();
        assert!(matches!(&lines[0].input, Input::File(word) if word.text == "rules.v4"));
    }

    #[test]
    fn what_only_lacks_its_end_is_told_apart() {
        for (text, incomplete, message) in [
            ("a 'b", true, "this quote is never closed"),
            ("a \"b", true, "this quote is never closed"),
            ("a \\", true, "the text ends after a backslash"),
            ("a <<EOF\nb\n", true, "this here-document has no end: no line is `EOF`"),
            ("a <<", false, "nothing follows the `<`"),
            ("a < b < c", false, "this command has an input already"),
        ] {
            let error = lex(text).unwrap_err();
            assert_eq!(
                (error.incomplete, error.problem.message.as_str()),
                (incomplete, message),
                "{text:?}"
            );
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
