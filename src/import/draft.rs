//! A table as a text tells it: what to make, command by command, and the line that each comes from.

use super::kind::Kind;
use super::listing::Form;
use crate::base::Family;
use crate::rule::{Counters, Policy, Table};
use crate::text::restore::Argument;

/// One table of one text.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub source: String,
    pub kind: Kind,
    /// Where it begins.
    pub line: usize,
    /// What it is read as.
    pub family: Family,
    pub table: Table,
    /// In the order of the text.
    pub chains: Vec<Chain>,
    pub commands: Vec<Command>,
    /// Set when the text counts packets and bytes.
    pub counted: bool,
    /// How the rules were listed, for a listing.
    pub form: Option<Form>,
}

impl Draft {
    pub(super) fn rules(&self) -> usize {
        self.commands.len()
    }

    /// The same of a family.
    pub(super) fn of(&self, family: Family) -> Self {
        Self { family, ..self.clone() }
    }

    /// The names of the chains that have a policy.
    pub(super) fn built_in(&self) -> Vec<&str> {
        let chains = self.chains.iter().filter(|it| it.policy.is_some());
        chains.map(|it| it.name.as_str()).collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub line: usize,
    pub name: String,
    /// A built-in chain has one.
    pub policy: Option<String>,
    pub counters: Option<Counters>,
}

/// A command that makes a rule.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub line: usize,
    pub words: Vec<Argument<'static>>,
}

impl Command {
    /// The words as a line that reads as them.
    pub(super) fn shown(&self) -> String {
        let words: Vec<String> = self.words[1..].iter().map(|word| shown(&word.text)).collect();
        words.join(" ")
    }
}

fn shown(word: &str) -> String {
    match word.is_empty() || word.contains([' ', '"', '\\', '\'', '\t']) {
        true => crate::ext::quoted(word),
        false => word.to_owned(),
    }
}

/// The policy of this name.
pub(super) fn policy(name: &str) -> Option<Policy> {
    [Policy::Accept, Policy::Drop].into_iter().find(|it| it.name() == name)
}
