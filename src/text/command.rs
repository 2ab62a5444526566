//! A command as it was typed, and what its reading may refer to.

use std::collections::HashSet;

use super::failure::{Denial, Failure, Program};
use super::hosts::Hosts;
pub use super::parse::parse;
pub(crate) use super::parse::parse_words;
pub(crate) use super::rule_options::Draft;
use super::session::{OpenChain, Session};
use crate::base::Family;
use crate::rule::Counters;

/// Who speaks, and what a command may refer to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub program: Program,
    pub hosts: &'a dyn Hosts,
    /// Set for a line of a restore file.
    pub restoring: Option<Restoring<'a>>,
}

impl Context<'_> {
    /// That of the tool.
    pub fn family(&self) -> Family {
        self.program.family()
    }
}

/// What a line of a restore file knows beside itself.
#[derive(Clone, Copy)]
pub struct Restoring<'a> {
    /// The table; `-t` is refused.
    pub table: &'a str,
    /// The chains that lines `:CHAIN` have named so far.
    pub announced: &'a HashSet<String>,
}

/// A command as it was typed, in the words of its arguments. It may still name chains and targets that aren't there.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    pub family: Family,
    /// `filter` where none was named; the name may be of no table.
    pub table: &'a str,
    pub verbose: bool,
    pub numeric: bool,
    pub exact: bool,
    pub line_numbers: bool,
    pub verb: Verb<'a>,
}

/// What to do. Rule numbers count from 1.
#[derive(Clone, Debug)]
pub enum Verb<'a> {
    Append {
        chain: &'a str,
        draft: Draft<'a>,
    },
    Insert {
        chain: &'a str,
        number: usize,
        draft: Draft<'a>,
    },
    Replace {
        chain: &'a str,
        number: usize,
        draft: Draft<'a>,
    },
    Delete {
        chain: &'a str,
        draft: Draft<'a>,
    },
    DeleteNumber {
        chain: &'a str,
        number: usize,
    },
    Check {
        chain: &'a str,
        draft: Draft<'a>,
    },
    List(Listing<'a>),
    ListRules(Listing<'a>),
    Flush {
        chain: Option<&'a str>,
    },
    Zero {
        chain: Option<&'a str>,
        number: Option<usize>,
    },
    New {
        chain: &'a str,
    },
    DeleteChain {
        chain: Option<&'a str>,
    },
    Rename {
        chain: &'a str,
        to: &'a str,
    },
    Policy {
        chain: &'a str,
        policy: &'a str,
        counters: Option<Counters>,
    },
    /// The text to print: `--version` and `--help` end the command where they stand.
    Print(String),
    /// `-6` in a restore file of iptables, `-4` in one of ip6tables: the line is not for this family.
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
pub struct Listing<'a> {
    pub chain: Option<&'a str>,
    pub number: Option<usize>,
    pub then_zero: ThenZero,
}

impl Listing<'_> {
    /// The one chain or all of them.
    pub(super) fn chains<'s>(&self, session: &'s Session) -> Result<Vec<&'s OpenChain>, Denial> {
        let chains = session.chains();
        let chosen: Vec<_> = match &self.chain {
            Some(name) => chains.filter(|chain| chain.name == *name).collect(),
            None => chains.collect(),
        };
        if chosen.is_empty() {
            Err(Denial::NoSuchName)
        } else {
            Ok(chosen)
        }
    }
}

/// What parsing came to. Warnings are printed on standard error whatever the result.
#[derive(Clone, Debug)]
pub struct Parsed<'a> {
    pub warnings: String,
    pub result: Result<Command<'a>, Failure>,
}
