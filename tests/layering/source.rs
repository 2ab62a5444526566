//! Rust source as tokens, as far as these tests need it: names and signs with their lines, without comments; strings apart.

use std::path::{Path, PathBuf};

/// A source file: where it is, below the project's root, and its text.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub path: PathBuf,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// A name, a number or one sign.
    pub text: String,
    /// From 1.
    pub line: usize,
}

impl Token {
    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Every `.rs` file below `directory`, sorted.
pub(crate) fn read_all(root: &Path, directory: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![root.join(directory)];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(&at).unwrap_or_else(|error| panic!("{}: {error}", at.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The tokens of a text that compiles.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    Scanner::read(text).tokens
}

/// The tokens, and what stands between quotes, as it is written there.
pub(crate) fn tokens_and_strings(text: &str) -> (Vec<Token>, Vec<Token>) {
    let scanner = Scanner::read(text);
    (scanner.tokens, scanner.strings)
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
    strings: Vec<Token>,
}

impl<'a> Scanner<'a> {
    fn read(text: &'a str) -> Self {
        let mut scanner = Self {
            rest: text,
            line: 1,
            tokens: Vec::new(),
            strings: Vec::new(),
        };
        while scanner.step() {}
        scanner
    }

    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(comment(self.rest));
        } else if let Some(length) = literal(self.rest) {
            let quoted = self.rest[..length].trim_start_matches(char::is_alphabetic);
            let text = quoted.trim_matches('#').trim_matches('"').to_owned();
            self.strings.push(Token { text, line: self.line });
            self.skip(length);
        } else if first.is_alphanumeric() || first == '_' {
            let length = self
                .rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(self.rest.len());
            self.take(length);
        } else if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else {
            self.take(first.len_utf8());
        }
        true
    }

    fn take(&mut self, length: usize) {
        let text = self.rest[..length].to_owned();
        self.tokens.push(Token { text, line: self.line });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }
}

/// Length of a comment in `/*`, which may hold others.
fn comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a string, byte string, raw string or character that begins here; a lifetime is none.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(['"', '#', '\'']))
    })?;
    let body = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        if !body[hashes..].starts_with('"') {
            return None;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let from = hashes + 1;
        let length = body[from..].find(&end).map_or(body.len(), |at| from + at + end.len());
        return Some(prefix.len() + length);
    }
    let quote = body.chars().next().filter(|c| *c != '#')?;
    if quote == '\'' && is_lifetime(body) {
        return None;
    }
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(prefix.len() + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

fn is_lifetime(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    let first = after.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    first && after.next() != Some('\'')
}

#[test]
fn only_names_and_signs_are_left() {
    let text = r##"// crate::a
        /* crate::b /* nested */ crate::c */
        let s = "crate::d \" crate::e"; let r = r#"crate::f " "#; let b = b'\''; let c = '"';
        fn g<'a>(x: &'a str) -> crate::h::I<'a> {}"##;
    let names: Vec<String> = tokens(text)
        .into_iter()
        .filter(Token::is_name)
        .map(|it| it.text)
        .collect();
    assert_eq!(
        names,
        [
            "let", "s", "let", "r", "let", "b", "let", "c", "fn", "g", "a", "x", "a", "str", "crate", "h", "I", "a"
        ]
    );
    let (_, quoted) = tokens_and_strings("a(\"b c\", r#\"d\"#,\nb\"e\")");
    let quoted: Vec<(&str, usize)> = quoted.iter().map(|it| (it.text.as_str(), it.line)).collect();
    assert_eq!(quoted, [("b c", 1), ("d", 1), ("e", 2)]);
    assert_eq!(
        tokens("a\n\"x\ny\" b")[1],
        Token {
            text: "b".into(),
            line: 3
        }
    );
}
