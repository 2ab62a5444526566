//! Arguments one option at a time, as getopt_long gives them when its short options start with `-`: words that are no option come in their
//! place, `--` ends everything, long names may be cut short while they stay unique.
//!
//! The tool reads `argv[optind - 1]` in many places where it means "what was just given", which is not the same for `-ptcp` and for
//! `--jump=LOG`; so the cursor is kept as the C library keeps it, and [`Getopt::just_passed`] says what stands there.

use crate::base::bytes;

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// Attached or in the next argument.
    Argument,
    /// Only attached.
    MaybeAttached,
}

/// One long option that may be typed now; `key` tells spellings of one option from options.
#[derive(Clone, Debug)]
pub struct Long<K> {
    pub name: &'static str,
    pub takes: Takes,
    pub key: K,
}

/// One step along the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<'a, K> {
    Option {
        key: K,
        value: Option<&'a str>,
    },
    /// A word that is no option.
    Word(&'a str),
    /// The option's argument is missing.
    Missing,
    Unknown,
    End,
}

/// The arguments and a cursor in them.
#[derive(Clone, Debug)]
pub(super) struct Getopt<'a> {
    arguments: Vec<&'a str>,
    /// The next argument to look at; the program's name is number 0.
    pub index: usize,
    /// What is left of a cluster of short options (`-nvL`): the argument and the byte of it. Who sets the cursor back leaves it as it is.
    cluster: Option<(usize, usize)>,
}

impl<'a> Getopt<'a> {
    pub(super) fn new(arguments: Vec<&'a str>) -> Self {
        Self {
            arguments,
            index: 1,
            cluster: None,
        }
    }

    /// The argument before the cursor.
    pub(super) fn just_passed(&self) -> &'a str {
        self.arguments
            .get(self.index.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// The tool empties a lone `!` once read, so that no later message shows it.
    pub(super) fn blank_just_passed(&mut self) {
        if let Some(argument) = self.arguments.get_mut(self.index.saturating_sub(1)) {
            *argument = "";
        }
    }

    /// The argument at the cursor.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.arguments.get(self.index).copied()
    }

    /// The next argument, where it is neither an option nor a `!`.
    pub(super) fn plain(&mut self) -> Option<&'a str> {
        let next = self.peek().filter(|it| !matches!(it.as_bytes(), [b'-' | b'!', ..]))?;
        self.index += 1;
        Some(next)
    }

    /// True when arguments are left over behind `--`.
    pub(super) fn has_left_over(&self) -> bool {
        self.index < self.arguments.len()
    }

    /// One step. `short` says what a short option takes, `None` where there is no such option; `exact` finds a long one by its whole name, and
    /// `long` walks them all, the same among them and in the same order.
    pub(super) fn next<K: Clone + PartialEq, I: Iterator<Item = Long<K>>>(
        &mut self,
        short: impl Fn(char) -> Option<(Takes, K)>,
        exact: impl Fn(&str) -> Option<Long<K>>,
        long: impl Fn() -> I,
    ) -> Step<'a, K> {
        if self.cluster.is_none() {
            let Some(argument) = self.peek() else {
                return Step::End;
            };
            if argument == "--" {
                self.index += 1;
                return Step::End;
            }
            match argument.as_bytes() {
                [b'-', b'-', ..] => {
                    self.index += 1;
                    return self.long(exact, long);
                }
                [b'-', _, ..] => {}
                _ => {
                    self.index += 1;
                    return Step::Word(argument);
                }
            }
            self.cluster = Some((self.index, 1));
        }
        self.short(short)
    }

    fn short<K>(&mut self, short: impl Fn(char) -> Option<(Takes, K)>) -> Step<'a, K> {
        let (argument, from) = self.cluster.take().unwrap_or_default();
        let cluster = self.arguments.get(argument).copied().and_then(|it| it.get(from..));
        let mut rest = cluster.unwrap_or_default().chars();
        let Some(letter) = rest.next() else {
            return Step::End;
        };
        let attached = rest.as_str();
        let found = short(letter);
        let takes = found.as_ref().map_or(Takes::Nothing, |(takes, _)| *takes);
        // A letter of many bytes is as many options, all of them unknown.
        let is_wide = || !letter.is_ascii() && bytes::length_of(letter.encode_utf8(&mut [0; 4])) > 1;
        let goes_on = !attached.is_empty() || is_wide();
        if takes == Takes::Nothing && goes_on {
            self.cluster = (!attached.is_empty()).then_some((argument, from + letter.len_utf8()));
        } else {
            let value = (!attached.is_empty()).then_some(attached);
            self.index += 1;
            return match (found, takes, value) {
                (None, ..) => Step::Unknown,
                (Some((_, key)), Takes::Argument, None) => self.with_next(key),
                (Some((_, key)), _, value) => Step::Option { key, value },
            };
        }
        match found {
            Some((_, key)) => Step::Option { key, value: None },
            None => Step::Unknown,
        }
    }

    /// The argument before the cursor is a long option.
    fn long<K: Clone + PartialEq, I: Iterator<Item = Long<K>>>(
        &mut self,
        exact: impl Fn(&str) -> Option<Long<K>>,
        long: impl Fn() -> I,
    ) -> Step<'a, K> {
        let typed = &self.just_passed()[2..];
        let (name, value) = match typed.bytes().position(|it| it == b'=') {
            Some(at) => (&typed[..at], Some(&typed[at + 1..])),
            None => (typed, None),
        };
        let found = match exact(name) {
            Some(exact) => exact,
            None => {
                let mut close = long().filter(|it| it.name.starts_with(name));
                let Some(first) = close.next() else {
                    return Step::Unknown;
                };
                if close.any(|other| other.key != first.key || other.takes != first.takes) {
                    return Step::Unknown;
                }
                first
            }
        };
        let key = found.key;
        match (found.takes, value) {
            (Takes::Nothing, Some(_)) => Step::Unknown,
            (Takes::Argument, None) => self.with_next(key),
            (_, value) => Step::Option { key, value },
        }
    }

    fn with_next<K>(&mut self, key: K) -> Step<'a, K> {
        match self.peek() {
            Some(value) => {
                self.index += 1;
                Step::Option {
                    key,
                    value: Some(value),
                }
            }
            None => Step::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(words: &[&str]) -> Vec<String> {
        let arguments = std::iter::once("tool").chain(words.iter().copied()).collect();
        let long = [
            ("list", Takes::MaybeAttached, 'L'),
            ("list-rules", Takes::MaybeAttached, 'S'),
            ("source", Takes::Argument, 's'),
            ("src", Takes::Argument, 's'),
            ("numeric", Takes::Nothing, 'n'),
        ]
        .map(|(name, takes, key)| Long { name, takes, key });
        let mut options = Getopt::new(arguments);
        let mut seen = Vec::new();
        loop {
            let step = options.next(
                |letter| match letter {
                    'n' => Some((Takes::Nothing, 'n')),
                    's' => Some((Takes::Argument, 's')),
                    'L' => Some((Takes::MaybeAttached, 'L')),
                    _ => None,
                },
                |name| long.iter().find(|it| it.name == name).cloned(),
                || long.iter().cloned(),
            );
            match step {
                Step::End => return seen,
                Step::Option { key, value } => seen.push(format!("{key}{}", value.unwrap_or_default())),
                Step::Word(word) => seen.push(format!("word {word}")),
                Step::Missing => seen.push(format!("missing {}", options.just_passed())),
                Step::Unknown => seen.push(format!("unknown {}", options.just_passed())),
            }
        }
    }

    #[test]
    fn options_as_getopt_long_finds_them() {
        for (words, expected) in [
            (&["-nL", "x"][..], &["n", "L", "word x"][..]),
            (&["-nLx"], &["n", "Lx"]),
            (&["-s", "1", "-s2"], &["s1", "s2"]),
            (&["-ns"], &["n", "missing -ns"]),
            (&["-nq"], &["n", "unknown -nq"]),
            (&["-nqn"], &["n", "unknown tool", "n"]),
            (&["--list=x", "--list", "x"], &["Lx", "L", "word x"]),
            (&["--s", "1"], &["s1"]),
            (&["--lis"], &["unknown --lis"]),
            (&["--num=3"], &["unknown --num=3"]),
            (&["--src"], &["missing --src"]),
            (&["-", "--", "-n"], &["word -"]),
            (&["", "-n"], &["word ", "n"]),
        ] {
            assert_eq!(walk(words), expected, "{words:?}");
        }
    }
}
