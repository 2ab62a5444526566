//! The option kit: one spec describes an option; the parser, help, manual, completion and grammar all walk it.
//!
//! How a command line is used: the parser finds the option whose `names` has the typed one (or has it as a prefix, as getopt_long does),
//! takes as many arguments as `ValueKind::arity` says, calls `parse_value` with what was given before it, and pushes a `GivenOption`. At the
//! end of the command `MatchSpec::finish` or `TargetSpec::finish` asks what only the whole can tell and builds the extension. Texts and their
//! order are those of iptables-legacy 1.8.9, seen by typing each wrong in turn.

use crate::base::Family;

mod given;
mod kind;
mod typed;
mod value;
mod whole;

pub use given::{Asked, Given, GivenOption, Value, parse_value};
pub use kind::{IntegerRange, Read, ReadPair, ReadsOne, ReadsTwo, ValueKind};
pub use typed::{NotThere, Opt, Spelled};
pub use value::HostMask;
pub(crate) use value::{address, integer_range, prefix};
pub use whole::{Exclusive, NeedsOne, excluded_by, finish};

/// One long option of an extension, whatever the type of its value: what parser, help, manual, completion and grammar walk.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Without the dashes; the spelling that `iptables-save` prints.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// The spelling in error messages, where it is not `name`: one of `aliases`.
    pub error_name: Option<&'static str>,
    /// How many arguments follow, and what they are.
    pub value: ValueKind,
    /// `!` may stand before it.
    pub invert: bool,
    /// What is said where it is given twice.
    pub repeat: Repeat,
    /// A rule with this extension is refused without it.
    pub required: bool,
    /// An option that must be given with it.
    pub together_with: Option<NameOf>,
    /// An option that must have been given before it, and what is said where it was not.
    pub behind: Option<(&'static str, &'static str)>,
    /// What must hold of those given before it, and what is said where it does not.
    pub only_where: Option<(Holds, &'static str)>,
    /// Where each family has words of its own for the value.
    pub own_words: Option<OwnWords>,
    /// The largest number that ip6tables takes, where that is another.
    pub most_in_ipv6: Option<u64>,
    /// What the tool says of a value that it takes all the same, in lines.
    pub remark: Option<fn(&str) -> Option<String>>,
    /// One line, without a full stop.
    pub help: &'static str,
    /// Lines below the help of its extension: the names that it knows, in a form that programs read.
    pub names_known: Option<fn() -> String>,
}

/// How the families part in what they call an option's value.
#[derive(Debug, Clone, Copy)]
pub enum OwnWords {
    /// Each word of either beside the other's for the same: of several that come near, the first.
    Pairs(&'static [WordPair]),
    /// Each numbers or names kinds for itself; which of a family's the other has nothing like.
    Kinds {
        /// Given how `iptables-save` prints one.
        has_no_like: fn(&str) -> bool,
    },
}

/// A word of each family for the same: IPv4's, IPv6's. Where one has none, nothing it has comes near.
#[derive(Debug, Clone, Copy)]
pub struct WordPair(pub Option<&'static str>, pub Option<&'static str>);

impl WordPair {
    /// This family's, then the other's.
    pub fn as_seen_by(self, family: Family) -> [Option<&'static str>; 2] {
        match family {
            Family::V4 => [self.0, self.1],
            Family::V6 => [self.1, self.0],
        }
    }
}

/// What a second occurrence of an option is.
#[derive(Debug, Clone, Copy)]
pub enum Repeat {
    /// An error in the kit's words.
    Once,
    /// An error in the extension's words, also after the other option.
    OnceInstead {
        /// `None` where only a second occurrence of the option itself is an error.
        other: Option<NameOf>,
        /// What the tool prints, whole.
        message: &'static str,
    },
}

/// A question about the options given so far.
pub type Holds = fn(&Given<'_>) -> bool;

/// The name of another option, by its constant: `|| OTHER.name()`. Two constants can name each other in no other form.
pub type NameOf = fn() -> &'static str;

impl OptionSpec {
    /// Every spelling, the saved one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The arguments as help and grammar write them; of words that are each family's own those of this one, or of both.
    pub fn syntax(&self, family: Option<Family>) -> String {
        let Some(OwnWords::Pairs(pairs)) = self.own_words else {
            return self.value.syntax();
        };
        let mut words: Vec<&str> = Vec::new();
        for family in Family::ALL
            .into_iter()
            .filter(|it| family.is_none_or(|family| family == *it))
        {
            for word in pairs.iter().filter_map(|pair| pair.as_seen_by(family)[0]) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        words.join("|")
    }

    /// What the tool says of a value that it took.
    pub fn remark_on(&self, args: &[&str]) -> Option<String> {
        self.remark?(args.first().copied().unwrap_or_default())
    }

    fn name_in_errors(&self) -> &'static str {
        self.error_name.unwrap_or(self.name)
    }
}

/// The exit status class of the tools' errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Exit 1.
    Other,
    /// Exit 2, with the hint to try `--help`.
    Parameter,
    /// Exit 3.
    Version,
    /// Exit 4.
    Resource,
}

/// Text that cannot be used: what the tool prints after its `iptables v1.8.9 (legacy): `, and where it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// What the tool exits with.
    pub status: Status,
    /// Without the line's end. Where the tool prints an empty line after its message, the message ends in a newline.
    pub message: String,
    /// Lines that the tool prints before the message, without its own name before them.
    pub before: Option<String>,
    /// Which argument of the command, where one is to blame.
    pub at: Option<usize>,
}

impl UsageError {
    /// What most are: exit status 2, with the hint to try `--help`.
    pub fn parameter(message: impl Into<String>) -> Self {
        Self {
            status: Status::Parameter,
            message: message.into(),
            before: None,
            at: None,
        }
    }
}
