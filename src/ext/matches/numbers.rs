//! A number or a range of numbers that a field of 32 bits shall lie in, as some matches of extension headers ask: identifications, SPIs, segments
//! that are left. Where the ends are the other way round nothing lies between them.

use std::fmt::{self, Write};

use crate::ext::listed::Options;
use crate::ext::option::{Asked, IntegerRange, Opt};

/// An option that asks so, and its word in listings.
pub(super) struct Numbers {
    pub option: Opt<IntegerRange>,
    /// With an `s` behind it for a range.
    pub listed: &'static str,
}

/// `all` where nothing was said: with a `!` nothing is left of it.
pub(super) type AskedNumbers = Option<Asked<IntegerRange>>;

pub(super) const fn numbers(name: &'static str, help: &'static str) -> Opt<IntegerRange> {
    Opt::integers(name, MAX, help).invertible()
}

pub(super) fn fits(asked: AskedNumbers, has: u32) -> bool {
    asked.is_none_or(|it| it.fits((it.value.low..=it.value.high).contains(&has.into())))
}

impl Numbers {
    /// `--fragid 5: packet has 7`.
    pub(super) fn sentence(&self, asked: AskedNumbers, has: u32) -> String {
        let asked = asked.unwrap_or_default();
        format!(
            "{} {}: packet has {has}",
            self.option.spelled(asked.inverted),
            Range(asked.value)
        )
    }

    /// ` --fragid 5`: nothing for all numbers, inverted or not, as the tool has it.
    pub(super) fn save(&self, out: &mut String, asked: AskedNumbers) {
        if let Some(asked) = asked.filter(|it| !is_all(it.value)) {
            let _ = write!(out, " {} {}", self.option.spelled(asked.inverted), Range(asked.value));
        }
    }

    /// `id:5`, `ids:!5:10`: nothing for all numbers.
    pub(super) fn list(&self, out: &mut String, asked: AskedNumbers) {
        let Some(asked) = asked.filter(|it| it.inverted || !is_all(it.value)) else {
            return;
        };
        let plural = if asked.value.low == asked.value.high { "" } else { "s" };
        let bang = if asked.inverted { "!" } else { "" };
        let _ = write!(out, "{}{plural}:{bang}{}", self.listed, Range(asked.value));
    }

    /// The inverse of `list`, given the word that it printed.
    pub(super) fn unlist(&self, word: &str, options: &mut Options) -> Option<()> {
        let rest = word.strip_prefix(self.listed)?;
        let value = rest.strip_prefix("s:").or(rest.strip_prefix(':'))?;
        options.push_unless(value, self.option.name());
        Some(())
    }
}

/// Not all of them: what is not the same as nothing.
pub(super) fn is_something(asked: &Asked<IntegerRange>) -> bool {
    asked.inverted || !is_all(asked.value)
}

pub(super) fn is_all(range: IntegerRange) -> bool {
    (range.low, range.high) == (0, MAX)
}

const MAX: u64 = u32::MAX as u64;

/// As it is typed.
struct Range(IntegerRange);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IntegerRange { low, high } = self.0;
        match low == high {
            true => write!(f, "{low}"),
            false => write!(f, "{low}:{high}"),
        }
    }
}
