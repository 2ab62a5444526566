//! Reading back what `-L` printed: the inverse of `Match::list` and `Target::list`, whose words each extension knows best.
//!
//! A listing parts its words by blanks and quotes nothing, so what an extension printed may be read in several ways (a comment may hold
//! `*/`), and where it ends nobody says. So an extension gives every way in which it may have printed the beginning of what is left of a row,
//! as options to type; who reads the row puts the pieces together and lists the result again to compare.

use crate::base::Family;
use crate::ext::names;

/// What is left of a row behind its columns and the extensions read so far, and what the columns said.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// From a blank on, or empty.
    pub rest: &'a str,
    /// The number of the row's protocol, 0 for any: names of ports are looked up in it.
    pub protocol: u8,
    /// That of the tool that listed it: names of hosts are looked up in it.
    pub family: Family,
}

/// One way to read the beginning of a [`Listed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed<'a> {
    /// The options as they are typed behind `-m NAME` or `-j NAME`, word by word.
    pub options: Vec<String>,
    /// What was not read.
    pub rest: &'a str,
    /// What the listing does not tell although it looks as if it did.
    pub unknown: Option<String>,
}

/// The inverse of an extension's listing: no way where the text is not of this extension.
pub type Unlist = for<'a> fn(Listed<'a>) -> Vec<Typed<'a>>;

/// For an extension that prints nothing, or whose listings nobody reads: it is there without options, or not at all.
pub fn nothing(listed: Listed<'_>) -> Vec<Typed<'_>> {
    vec![Typed {
        options: Vec::new(),
        rest: listed.rest,
        unknown: None,
    }]
}

/// For an extension whose listing is never read back: a row with it is refused.
pub fn never(_: Listed<'_>) -> Vec<Typed<'_>> {
    Vec::new()
}

impl<'a> Listed<'a> {
    /// The one way that `read` finds, if any.
    pub fn once(mut self, read: impl FnOnce(&mut Self) -> Option<Options>) -> Vec<Typed<'a>> {
        let Some(options) = read(&mut self) else {
            return Vec::new();
        };
        vec![Typed {
            options: options.words,
            rest: self.rest,
            unknown: options.unknown,
        }]
    }

    /// The next word, left where it is.
    pub fn peek(&self) -> Option<&'a str> {
        self.rest.split_ascii_whitespace().next()
    }

    /// The next word.
    pub fn take(&mut self) -> Option<&'a str> {
        let start = self.rest.trim_ascii_start();
        let end = start.find(|it: char| it.is_ascii_whitespace()).unwrap_or(start.len());
        if end == 0 {
            return None;
        }
        self.rest = &start[end..];
        Some(&start[..end])
    }

    /// The next word where it is this one; else nothing is read.
    pub fn word(&mut self, expected: &str) -> Option<()> {
        (self.peek()? == expected).then(|| {
            self.take();
        })
    }

    /// The end of the next word where it begins so; else nothing is read.
    pub fn after(&mut self, start: &str) -> Option<&'a str> {
        let tail = self.peek()?.strip_prefix(start)?;
        self.take();
        Some(tail)
    }

    /// A `!` of its own before the word, and the word, where it is one of these.
    pub fn option_of(&mut self, known: &[&'static str]) -> Option<(bool, &'static str)> {
        let mut ahead = *self;
        let inverted = ahead.word("!").is_some();
        let word = ahead.take()?;
        let name = known.iter().copied().find(|it| *it == word)?;
        *self = ahead;
        Some((inverted, name))
    }
}

/// Options being gathered.
#[derive(Clone, Debug, Default)]
pub struct Options {
    words: Vec<String>,
    unknown: Option<String>,
}

impl Options {
    /// `[!] --option [value]`; no value where it is empty.
    pub fn push(&mut self, inverted: bool, option: &str, value: &str) {
        if inverted {
            self.words.push("!".to_owned());
        }
        self.words.push(format!("--{option}"));
        if !value.is_empty() {
            self.words.push(value.to_owned());
        }
    }

    /// A value that a `!` may stand before (`!80`).
    pub fn push_unless(&mut self, value: &str, option: &str) {
        match value.strip_prefix('!') {
            Some(value) => self.push(true, option, value),
            None => self.push(false, option, value),
        }
    }

    /// One more word, whatever it is.
    pub fn word(&mut self, word: impl Into<String>) {
        self.words.push(word.into());
    }

    /// See [`Typed::unknown`]; of several the last is told.
    pub fn unknown(&mut self, what: impl Into<String>) {
        self.unknown = Some(what.into());
    }
}

/// A host as an extension prints it without `-n`, as the option takes it: the names that are no host's.
pub fn host(text: &str, family: Family) -> String {
    let (name, mask) = match text.split_once('/') {
        Some((name, mask)) => (name, format!("/{mask}")),
        None => (text, String::new()),
    };
    match names::network_address(name, family) {
        Some(address) => format!("{address}{mask}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::samples::ReadsBack;
    use crate::ext::testing::{P, match_reads_back, read_match_in, read_target_in, target_reads_back};
    use crate::ext::{MATCHES, TARGETS};

    fn of(rest: &str) -> Listed<'_> {
        Listed {
            rest,
            protocol: 6,
            family: Family::V4,
        }
    }

    #[test]
    fn words_one_by_one() {
        let mut listed = of("  dpt:80 ! state NEW");
        assert_eq!(listed.peek(), Some("dpt:80"));
        assert_eq!(listed.word("dpt"), None);
        assert_eq!(listed.after("dpt:"), Some("80"));
        assert_eq!(listed.option_of(&["ctstate"]), None);
        assert_eq!(listed.option_of(&["state"]), Some((true, "state")));
        assert_eq!(listed.take(), Some("NEW"));
        assert_eq!((listed.take(), listed.rest), (None, ""));
    }

    /// Whatever is typed to an extension: its listing is read back to the same value, with numbers and with names.
    #[test]
    fn every_match_reads_back_what_it_lists() {
        for spec in MATCHES {
            for (family, sample) in spec.samples.taken_in(spec.families) {
                if sample.reads_back == ReadsBack::Other || sample.lists_less {
                    continue;
                }
                let p = P::of(sample.before);
                let made = read_match_in(family, spec, p, sample.typed).unwrap();
                for printed in [sample.listed, sample.named] {
                    let blank = if sample.is_glued { "" } else { " " };
                    let text = format!("{blank}{printed} and more */");
                    let ways = (spec.unlist)(Listed {
                        rest: &text,
                        protocol: p.0,
                        family,
                    });
                    let again = ways.iter().filter(|it| it.rest == " and more */").any(|it| {
                        let line = line_of(&it.options);
                        read_match_in(family, spec, p, &line)
                            .is_ok_and(|again| match_reads_back(made.as_ref(), again.as_ref()) == sample.reads_back)
                    });
                    assert!(again, "-m {} {} is listed as{text}: {ways:?}", spec.name, sample.typed);
                }
            }
            assert_eq!((spec.unlist)(of(" something else")), [], "-m {}", spec.name);
        }
    }

    #[test]
    fn every_target_reads_back_what_it_lists() {
        for spec in TARGETS {
            for (family, sample) in spec.samples.taken_in(spec.families) {
                if sample.reads_back == ReadsBack::Other || sample.lists_less {
                    continue;
                }
                let p = P::of(sample.before);
                let made = read_target_in(family, spec, p, sample.typed).unwrap();
                for printed in [sample.listed, sample.named] {
                    let text = format!(" {printed}");
                    let rest = if printed.is_empty() { "" } else { &text };
                    let ways = (spec.unlist)(Listed {
                        rest,
                        protocol: p.0,
                        family,
                    });
                    let again = ways.iter().filter(|it| it.rest.is_empty()).any(|it| {
                        let line = line_of(&it.options);
                        read_target_in(family, spec, p, &line)
                            .is_ok_and(|again| target_reads_back(made.as_ref(), again.as_ref()) == sample.reads_back)
                    });
                    assert!(again, "-j {} {} is listed as{text}: {ways:?}", spec.name, sample.typed);
                }
            }
        }
    }

    fn line_of(options: &[String]) -> String {
        let words: Vec<String> = options
            .iter()
            .map(|it| match it.starts_with('-') || it == "!" {
                true => it.clone(),
                false => crate::ext::wording::quoted(it),
            })
            .collect();
        words.join(" ")
    }
}
