//! What is wrong in a text, where, and what to do about it: drawn as compilers draw it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A stretch of a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Position {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl From<Range<usize>> for Position {
    fn from(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// A text with the name it is called by in messages.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Source {
    /// A file's name, or what else the text is known by.
    pub name: String,
    /// The whole of it, as positions count its bytes.
    pub text: String,
}

impl Source {
    /// Line and column of a byte, both from 1, the column in characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// The beginnings of its lines, for who asks for many places.
    pub fn lines(&self) -> Lines {
        Lines::of(&self.text)
    }

    /// Makes an error of problems in this text.
    pub fn error(&self, problems: Vec<Problem>) -> SourceError {
        SourceError {
            source: self.clone(),
            problems,
        }
    }
}

/// Where the lines of a text begin, so that the line of a place in a long one is found at once.
#[derive(Clone, Debug)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Reads the text once.
    pub fn of(text: &str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { starts }
    }

    /// Line and column of a byte as [`Source::line_and_column`] tells them. The text must be the one that this was made of.
    pub fn line_and_column(&self, text: &str, byte: usize) -> (usize, usize) {
        let byte = byte.min(text.len());
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let before = text.get(self.starts[line - 1]..byte).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// The bytes of a line (from 1), without its end; the end of the text where there is no such line.
    pub fn line(&self, text: &str, number: usize) -> Position {
        let start = self.starts.get(number.saturating_sub(1)).copied().unwrap_or(text.len());
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        (start..end).into()
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the carets stand.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What should stand there; printed under the caret. May be empty.
    pub expected: String,
    /// What to do; printed as help. May be empty.
    pub remedy: String,
}

impl Problem {
    /// All four parts at once.
    pub fn new(
        position: impl Into<Position>,
        message: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            position: position.into(),
            message: message.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }
}

/// All that is wrong in one text. `Display` draws it plainly, [`Self::styled`] in colours: the first problems, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// The text that positions are of.
    pub source: Source,
    /// In the order of the text, never empty.
    pub problems: Vec<Problem>,
}

impl SourceError {
    /// With colours, for a terminal (`tell_styled!` drops them elsewhere).
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut drawn: Vec<String> = self
            .problems
            .iter()
            .take(SHOWN)
            .map(|problem| self.draw(problem, renderer))
            .collect();
        if self.problems.len() > SHOWN {
            let more = format!("{} more problems in {}", self.problems.len() - SHOWN, self.source.name);
            let group = Level::ERROR
                .primary_title(more.as_str())
                .element(Level::HELP.message("mend those above first"));
            drawn.push(renderer.render(&[group]));
        }
        drawn.join("\n\n")
    }

    fn draw(&self, problem: &Problem, renderer: &Renderer) -> String {
        let whole = &self.source.text;
        // The line alone: the renderer looks through all that it is given.
        let start = floor(whole, problem.position.start);
        let line_start = whole[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = whole[start..].find('\n').map_or(whole.len(), |newline| start + newline);
        let text = &whole[line_start..(line_end + 1).min(whole.len())];
        let number = whole.as_bytes()[..line_start]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        // Only the first line of a stretch is marked, so that an unclosed table doesn't fill the screen; an end before its start, or one
        // inside a character, would make the renderer panic.
        let end = floor(whole, problem.position.end.clamp(start, line_end)).max(start) - line_start;
        let start = start - line_start;
        let snippet = Snippet::source(text)
            .line_start(number)
            .path(self.source.name.as_str())
            .annotation(
                AnnotationKind::Primary
                    .span(start..end)
                    .label(problem.expected.as_str()),
            );
        let message = abridged(&problem.message);
        let mut group = Level::ERROR.primary_title(message.as_ref()).element(snippet);
        if !problem.remedy.is_empty() {
            group = group.element(Level::HELP.message(problem.remedy.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for SourceError {}

/// A text for a message: where it is very long, its beginning and its end; of some lines, those of each.
pub fn abridged(text: &str) -> Cow<'_, str> {
    const EDGE: usize = 150;
    const LINES: usize = 60;
    if text.len() <= 4 * EDGE {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = text.lines().take(LINES + 1).collect();
    if (2..=LINES).contains(&lines.len()) {
        let lines: Vec<Cow<'_, str>> = lines.into_iter().map(abridged).collect();
        return Cow::Owned(lines.join("\n"));
    }
    let end = floor(text, text.len() - EDGE);
    Cow::Owned(format!("{}...{}", &text[..floor(text, EDGE)], &text[end..]))
}

/// ` (did you mean X?)` where one of the known words is near, else nothing.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No name is nearer than the difference of the lengths; and a word of megabytes must not take minutes.
    known
        .into_iter()
        .filter(|candidate| word.chars().take(2 * candidate.len() + 3).count() < 2 * candidate.len() + 3)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters to put in, take out or replace (Wagner and Fischer 1974).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Problems of one text that are drawn.
pub const SHOWN: usize = 20;

fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_abridged_where_it_is() {
        let long = "a".repeat(1_000);
        let edge = "a".repeat(150);
        let cut = format!("{edge}...{edge}");
        for (text, abridged_to) in [
            ("a".repeat(600), "a".repeat(600)),
            (long.clone(), cut.clone()),
            (format!("one\n{long}\nthree"), format!("one\n{cut}\nthree")),
            (
                "a line of many\n".repeat(50),
                "a line of many\n".repeat(50).trim_end().to_owned(),
            ),
        ] {
            assert_eq!(abridged(&text), abridged_to);
        }
        // More lines than anybody reads.
        assert_eq!(abridged(&"b\n".repeat(1_000)).len(), 303);
    }

    #[test]
    fn drawn_with_line_caret_expectation_and_help() {
        let source = Source {
            name: "x.toml".into(),
            text: "a = 1\nbäd = 2\n".into(),
        };
        let problem = Problem::new(6..10, "unknown key `bäd`", "expected `a`", "write `a`");
        assert_eq!(
            source.error(vec![problem]).to_string(),
            "error: unknown key `bäd`
 --> x.toml:2:1
  |
2 | bäd = 2
  | ^^^ expected `a`
  |
  = help: write `a`"
        );
        assert_eq!(source.line_and_column(11), (2, 5));
    }

    #[test]
    fn odd_positions_are_drawn_too() {
        let source = Source {
            name: "x".into(),
            text: "ä\nb".into(),
        };
        for (start, end) in [(0, 0), (1, 1), (1, 2), (0, 99), (99, 3), (4, 4), (3, 0)] {
            let error = source.error(vec![Problem::new(Position { start, end }, "m", "", "")]);
            assert!(error.to_string().contains("--> x:"), "{start}..{end}: {error}");
            assert!(error.styled().contains('m'));
        }
        let empty = Source::default().error(vec![Problem::new(0..0, "m", "e", "r")]);
        assert!(empty.to_string().contains("error: m"));
    }

    #[test]
    fn endless_words_do_not_fill_the_screen() {
        let text = "é".repeat(100_000);
        let source = Source {
            name: "x".into(),
            text: text.clone(),
        };
        let problem = Problem::new(0..text.len(), format!("`{text}` is no command"), "e", "r");
        let drawn = source.error(vec![problem]).to_string();
        assert!(drawn.len() < 5000, "{}", drawn.len());
        assert!(drawn.contains("` is no command"), "{drawn}");
    }

    #[test]
    fn of_many_problems_the_first_are_drawn_and_the_rest_counted() {
        let source = Source {
            name: "x".into(),
            text: "a\n".repeat(10_000),
        };
        let problems = (0..10_000).map(|n| Problem::new(2 * n..2 * n + 1, format!("number {n}"), "", ""));
        let drawn = source.error(problems.collect()).to_string();
        assert!(drawn.contains("number 19") && !drawn.contains("number 20"), "{drawn}");
        assert!(drawn.contains("--> x:20:1"), "{drawn}");
        assert!(
            drawn.ends_with("error: 9980 more problems in x\n |\n = help: mend those above first"),
            "{drawn}"
        );
        assert!(drawn.len() < 5_000);
    }

    /// What the renderer makes of the line alone is what it makes of the whole text.
    #[test]
    fn a_line_is_drawn_as_in_its_text() {
        let source = Source {
            name: "x".into(),
            text: "one\n\ttwo\n\nvier für fünf\r\n\nlast".into(),
        };
        let text = source.text.as_str();
        for start in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
            for end in (start..=line_end).filter(|at| text.is_char_boundary(*at)) {
                let annotation = AnnotationKind::Primary.span(start..end).label("e");
                let snippet = Snippet::source(text).path("x").annotation(annotation);
                let whole = Renderer::plain().render(&[Level::ERROR.primary_title("m").element(snippet)]);
                let alone = source.error(vec![Problem::new(start..end, "m", "e", "")]).to_string();
                assert_eq!(alone, whole, "{start}..{end}");
            }
        }
    }

    #[test]
    fn lines_tell_what_the_text_tells() {
        let source = Source {
            name: "x".into(),
            text: "one\nzwölf\n\nend".into(),
        };
        let lines = source.lines();
        for byte in (0..source.text.len() + 3).filter(|at| source.text.get(*at..).is_some()) {
            assert_eq!(
                lines.line_and_column(&source.text, byte),
                source.line_and_column(byte),
                "{byte}"
            );
        }
        assert_eq!(lines.line(&source.text, 2), (4..10).into());
        assert_eq!(lines.line(&source.text, 9), (15..15).into());
    }

    #[test]
    fn a_distance_counts_letters_put_in_taken_out_and_replaced() {
        for (one, other, letters) in [
            ("", "", 0),
            ("", "ab", 2),
            ("abc", "abc", 0),
            ("ab", "ba", 2),
            ("aab", "aa", 1),
            ("flaw", "lawn", 2),
            ("kitten", "sitting", 3),
            ("zwölf", "zwolf", 1),
            ("abcdef", "ghijkl", 6),
        ] {
            assert_eq!(distance(one, other), letters, "{one} and {other}");
            assert_eq!(distance(other, one), letters, "{other} and {one}");
        }
    }

    #[test]
    fn near_words_are_suggested() {
        let known = ["address", "mtu", "interface"];
        for (word, expected) in [
            ("adress", Some("address")),
            ("mtu_", Some("mtu")),
            ("interfaces", Some("interface")),
            ("colour", None),
        ] {
            assert_eq!(suggestion(word, known), expected, "{word}");
        }
        // At once, not a step for each letter and each known name.
        let endless = "a".repeat(10_000_000);
        let names: Vec<String> = (0..1000).map(|n| format!("a{n}")).collect();
        assert_eq!(suggestion(&endless, names.iter().map(String::as_str)), None);
    }
}
