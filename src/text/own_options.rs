//! The options of `iptables-save` and `iptables-restore` themselves, and the C library's complaints about them.

use super::failure::Failure;
use super::number;
use super::parse::WAIT_INTERVAL_IS_GONE;
use crate::base::bytes::{bytes_of, text_of};

/// One option: its letter, its long name, what it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    letter: char,
    name: &'static str,
    takes: Takes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// Attached to the long name only; the caller looks at the next word.
    Maybe,
}

pub(crate) const fn flag(letter: char, name: &'static str) -> Spec {
    Spec {
        letter,
        name,
        takes: Takes::Nothing,
    }
}

pub(crate) const fn valued(letter: char, name: &'static str) -> Spec {
    Spec {
        letter,
        name,
        takes: Takes::Value,
    }
}

pub(crate) const fn maybe(letter: char, name: &'static str) -> Spec {
    Spec {
        letter,
        name,
        takes: Takes::Maybe,
    }
}

/// What was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Option(char, Option<String>),
    Word(String),
}

/// Walks the arguments; an error is the line that the C library prints.
pub(crate) struct Reader<'a> {
    program: &'a str,
    arguments: &'a [String],
    specs: &'static [Spec],
    at: usize,
    cluster: Vec<u8>,
    words_only: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(arguments: &'a [String], specs: &'static [Spec]) -> Self {
        Self {
            program: arguments.first().map_or("", String::as_str),
            arguments,
            specs,
            at: 1,
            cluster: Vec::new(),
            words_only: false,
        }
    }

    /// The next argument, where it is neither an option nor a `!`.
    pub(crate) fn plain(&mut self) -> Option<String> {
        let next = self.arguments.get(self.at)?;
        if next.starts_with(['-', '!']) || !self.cluster.is_empty() {
            return None;
        }
        self.at += 1;
        Some(next.clone())
    }

    fn long(&mut self, typed: &str) -> Result<Given, String> {
        let (name, value) = match typed.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (typed, None),
        };
        let program = self.program;
        let close: Vec<&Spec> = match self.specs.iter().find(|spec| spec.name == name) {
            Some(exact) => vec![exact],
            None => self.specs.iter().filter(|spec| spec.name.starts_with(name)).collect(),
        };
        let spec = match close[..] {
            [] => return Err(format!("{program}: unrecognized option '--{name}'")),
            [one] => one,
            _ => {
                let names: Vec<String> = close.iter().map(|spec| format!("'--{}'", spec.name)).collect();
                return Err(format!(
                    "{program}: option '--{typed}' is ambiguous; possibilities: {}",
                    names.join(" ")
                ));
            }
        };
        match (spec.takes, value) {
            (Takes::Nothing, Some(_)) => Err(format!("{program}: option '--{}' doesn't allow an argument", spec.name)),
            (Takes::Value, None) => match self.arguments.get(self.at) {
                Some(value) => {
                    self.at += 1;
                    Ok(Given::Option(spec.letter, Some(value.clone())))
                }
                None => Err(format!("{program}: option '--{}' requires an argument", spec.name)),
            },
            (_, value) => Ok(Given::Option(spec.letter, value)),
        }
    }

    fn short(&mut self) -> Option<Result<Given, String>> {
        let letter = *self.cluster.first()?;
        self.cluster.remove(0);
        let program = self.program;
        let said = text_of(&[letter]);
        let letter = char::from(letter);
        let Some(spec) = self.specs.iter().find(|spec| spec.letter == letter) else {
            return Some(Err(format!("{program}: invalid option -- '{said}'")));
        };
        if spec.takes != Takes::Value {
            return Some(Ok(Given::Option(letter, None)));
        }
        let attached = std::mem::take(&mut self.cluster);
        if !attached.is_empty() {
            return Some(Ok(Given::Option(letter, Some(text_of(&attached)))));
        }
        Some(match self.arguments.get(self.at) {
            Some(value) => {
                self.at += 1;
                Ok(Given::Option(letter, Some(value.clone())))
            }
            None => Err(format!("{program}: option requires an argument -- '{letter}'")),
        })
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Given, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.cluster.is_empty() {
            return self.short();
        }
        let argument = self.arguments.get(self.at)?;
        self.at += 1;
        if self.words_only {
            return Some(Ok(Given::Word(argument.clone())));
        }
        if argument == "--" {
            self.words_only = true;
            return self.next();
        }
        if let Some(typed) = argument.strip_prefix("--") {
            return Some(self.long(typed));
        }
        match argument.strip_prefix('-') {
            Some(cluster) if !cluster.is_empty() => {
                self.cluster = bytes_of(cluster);
                self.short()
            }
            _ => Some(Ok(Given::Word(argument.clone()))),
        }
    }
}

/// `-w [SECONDS]`: looked at and forgotten, nobody else holds a lab's rules.
pub(crate) fn wait_seconds(text: Option<&str>) -> Result<(), Failure> {
    match text {
        Some(text) if number::leading_decimal(text).is_none() => Err(Failure::parameter("wait seconds not numeric")),
        _ => Ok(()),
    }
}

/// `-W MICROSECONDS`; gives the line that the tool prints.
pub(crate) fn wait_interval(text: Option<&str>) -> Result<&'static str, Failure> {
    let text = text.ok_or_else(|| Failure::parameter("wait interval value required"))?;
    let (interval, _) = number::leading_decimal(text).ok_or_else(|| Failure::parameter("wait interval not numeric"))?;
    let interval = interval as u32;
    if interval > 999_999 {
        return Err(Failure::parameter(format!(
            "too long usec wait {interval} > 999999 usec"
        )));
    }
    Ok(WAIT_INTERVAL_IS_GONE)
}
