//! A command as it was typed, and what its reading may refer to.

use std::collections::HashSet;

use super::failure::{Failure, Program};
use super::hosts::Hosts;
pub use super::parse::{parse, parse_words};
pub use super::rule_options::{Draft, Jump};
use crate::base::Family;
use crate::rule::Counters;

/// Who speaks, and what a command may refer to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub program: Program,
    pub family: Family,
    pub hosts: &'a dyn Hosts,
    /// Set for a line of a restore file.
    pub restoring: Option<Restoring<'a>>,
}

/// What a line of a restore file knows beside itself.
#[derive(Clone, Copy)]
pub struct Restoring<'a> {
    /// The table; `-t` is refused.
    pub table: &'a str,
    /// The chains that lines `:CHAIN` have named so far.
    pub announced: &'a HashSet<String>,
}

/// A command as it was typed. It may still name chains and targets that aren't there.
#[derive(Clone, Debug)]
pub struct Command {
    pub family: Family,
    /// `filter` where none was named; the name may be of no table.
    pub table: String,
    pub verbose: bool,
    pub numeric: bool,
    pub exact: bool,
    pub line_numbers: bool,
    pub verb: Verb,
}

/// What to do. Rule numbers count from 1.
#[derive(Clone, Debug)]
pub enum Verb {
    Append {
        chain: String,
        draft: Draft,
    },
    Insert {
        chain: String,
        number: usize,
        draft: Draft,
    },
    Replace {
        chain: String,
        number: usize,
        draft: Draft,
    },
    Delete {
        chain: String,
        draft: Draft,
    },
    DeleteNumber {
        chain: String,
        number: usize,
    },
    Check {
        chain: String,
        draft: Draft,
    },
    List(Listing),
    ListRules(Listing),
    Flush {
        chain: Option<String>,
    },
    Zero {
        chain: Option<String>,
        number: Option<usize>,
    },
    New {
        chain: String,
    },
    DeleteChain {
        chain: Option<String>,
    },
    Rename {
        chain: String,
        to: String,
    },
    Policy {
        chain: String,
        policy: String,
        counters: Option<Counters>,
    },
    /// The text to print: `--version` and `--help` end the command where they stand.
    Print(String),
    /// `-6` in a restore file: the line is not for this family.
    Nothing,
}

/// What `-Z` beside `-L` or `-S` zeroes once the list is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThenZero {
    Nothing,
    Chains,
    /// Typed as `-Z CHAIN NUMBER`; the rule of the listing's number.
    Rule,
}

/// `-L` and `-S`, and what `-Z` was typed beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub chain: Option<String>,
    pub number: Option<usize>,
    pub then_zero: ThenZero,
}

/// What parsing came to. Warnings are printed on standard error whatever the result.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub warnings: String,
    pub result: Result<Command, Failure>,
}
