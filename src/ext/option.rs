//! The option kit: one spec describes an option; the parser, help, manual, completion and grammar all walk it.
//!
//! How a command line is used: the parser finds the option whose `names` has the typed one (or has it as a prefix, as getopt_long does),
//! takes as many arguments as `ValueKind::arity` says, calls `parse_value` with what was given before it, and pushes a `GivenOption`. At the
//! end of the command `MatchSpec::finish` or `TargetSpec::finish` asks what only the whole can tell and builds the extension. Texts and their
//! order are those of iptables-legacy 1.8.9, seen by typing each wrong in turn.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use crate::base::{Family, MarkMask, PortRange};

mod given;
mod value;
mod whole;

pub use given::{Asked, Given, GivenOption, Value, parse_value};
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
        self.remark?(args.first()?)
    }

    fn name_in_errors(&self) -> &'static str {
        self.error_name.unwrap_or(self.name)
    }
}

/// An option and the type of its value. An extension has a constant for each, which is the only place that spells its name: the spec lists it,
/// [`Given::get`] is asked with it, and [`Opt::spelled`] prints it.
#[derive(Debug)]
pub struct Opt<T: 'static> {
    /// All of it but the type of its value.
    pub spec: OptionSpec,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Opt<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Opt<T> {}

impl Opt<()> {
    /// An option without a value.
    pub const fn flag(name: &'static str, help: &'static str) -> Self {
        Self::new(name, ValueKind::Flag, help)
    }
}

impl Opt<String> {
    /// Any text of at least `min` bytes; what exceeds `max` bytes is cut off without a word, as the tool does.
    pub const fn text(name: &'static str, min: usize, max: usize, help: &'static str) -> Self {
        Self::new(name, ValueKind::Text { min, max }, help)
    }
}

impl Opt<u64> {
    /// A number in any base that `strtoul` takes; `min` and `max` are both allowed, and what is outside is refused with them.
    pub const fn integer(name: &'static str, min: u64, max: u64, help: &'static str) -> Self {
        Self::new(name, ValueKind::Integer { min, max }, help)
    }

    /// Bits of a mark, as a number of 32 bits.
    pub const fn bits(name: &'static str, help: &'static str) -> Self {
        Self::integer(name, 0, u32::MAX as u64, help)
    }
}

impl Opt<IntegerRange> {
    /// A range of numbers from 0 to `max`; an end that is left out is 0, or `max`.
    pub const fn integers(name: &'static str, max: u64, help: &'static str) -> Self {
        Self::new(name, ValueKind::IntegerRange { max }, help)
    }
}

impl Opt<MarkMask> {
    /// `VALUE[/MASK]`; without a mask all 32 bits count.
    pub const fn mark(name: &'static str, help: &'static str) -> Self {
        Self::new(name, ValueKind::MarkMask, help)
    }
}

impl Opt<PortRange> {
    /// Service names of any protocol are taken.
    pub const fn ports(name: &'static str, help: &'static str) -> Self {
        Self::new(name, ValueKind::PortRange, help)
    }
}

impl Opt<HostMask> {
    /// An address of the rule's family, with an optional mask; no name server is asked.
    pub const fn host(name: &'static str, help: &'static str) -> Self {
        Self::new(name, ValueKind::HostMask, help)
    }
}

/// Nothing can be given.
#[derive(Debug, Clone, Copy)]
pub enum NotThere {}

impl Opt<NotThere> {
    /// An option of the real tool that is not here yet: refused by name, with `syntax` after it (empty for a flag).
    pub const fn refused(name: &'static str, syntax: &'static str, help: &'static str) -> Self {
        Self::new(name, ValueKind::Refused { syntax }, help)
    }
}

impl<T: Debug + Send + Sync> Opt<T> {
    /// A value of the extension's own form. `syntax` is for help and grammar.
    pub const fn own(name: &'static str, syntax: &'static str, read: &'static Read<T>, help: &'static str) -> Self {
        Self::new(name, ValueKind::Own { syntax, read }, help)
    }

    /// Some of a few words, comma separated, with the extension's own rules and errors.
    pub const fn words(
        name: &'static str,
        words: &'static [&'static str],
        read: &'static Read<T>,
        help: &'static str,
    ) -> Self {
        Self::new(name, ValueKind::Words { words, read }, help)
    }

    /// Two arguments (`--tcp-flags SYN,ACK SYN`).
    pub const fn pair(
        name: &'static str,
        syntax: [&'static str; 2],
        read: &'static ReadPair<T>,
        help: &'static str,
    ) -> Self {
        Self::new(name, ValueKind::Pair { syntax, read }, help)
    }
}

impl<T> Opt<T> {
    const fn new(name: &'static str, value: ValueKind, help: &'static str) -> Self {
        let spec = OptionSpec {
            name,
            aliases: &[],
            error_name: None,
            value,
            invert: false,
            repeat: Repeat::Once,
            required: false,
            together_with: None,
            behind: None,
            only_where: None,
            own_words: None,
            most_in_ipv6: None,
            remark: None,
            names_known: None,
            help,
        };
        Self {
            spec,
            value: PhantomData,
        }
    }

    /// `!` may stand before it.
    pub const fn invertible(mut self) -> Self {
        self.spec.invert = true;
        self
    }

    /// The extension's help ends with these lines.
    pub const fn knowing(mut self, names: fn() -> String) -> Self {
        self.spec.names_known = Some(names);
        self
    }

    /// A rule with this extension is refused without it.
    pub const fn required(mut self) -> Self {
        self.spec.required = true;
        self
    }

    /// That one must be given with it.
    pub const fn together_with(mut self, other: NameOf) -> Self {
        self.spec.together_with = Some(other);
        self
    }

    /// That one must have been given before it, or the tool says this.
    pub const fn behind<U>(mut self, other: Opt<U>, message: &'static str) -> Self {
        self.spec.behind = Some((other.spec.name, message));
        self
    }

    /// That must hold of those given before it, or the tool says this.
    pub const fn only_where(mut self, holds: Holds, message: &'static str) -> Self {
        self.spec.only_where = Some((holds, message));
        self
    }

    /// See [`OwnWords`].
    pub const fn in_own_words(mut self, words: OwnWords) -> Self {
        self.spec.own_words = Some(words);
        self
    }

    /// Of a number: see [`OptionSpec::most_in_ipv6`].
    pub const fn at_most_in_ipv6(mut self, most: u64) -> Self {
        self.spec.most_in_ipv6 = Some(most);
        self
    }

    /// The tool says something of values that it takes all the same: given the text of one, whole lines, or nothing.
    pub const fn remarked(mut self, remark: fn(&str) -> Option<String>) -> Self {
        self.spec.remark = Some(remark);
        self
    }

    /// Other spellings.
    pub const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.spec.aliases = aliases;
        self
    }

    /// One more spelling, which errors use.
    pub const fn in_errors(mut self, alias: &'static [&'static str; 1]) -> Self {
        self.spec.aliases = alias;
        self.spec.error_name = Some(alias[0]);
        self
    }

    /// What is said of a second occurrence, in the extension's own words.
    pub const fn repeated(mut self, message: &'static str) -> Self {
        self.spec.repeat = Repeat::OnceInstead { other: None, message };
        self
    }

    /// Of this option and that one only one may stand, once; else this is said.
    pub const fn either_or(mut self, other: NameOf, message: &'static str) -> Self {
        self.spec.repeat = Repeat::OnceInstead {
            other: Some(other),
            message,
        };
        self
    }

    /// Without the dashes, as `iptables-save` prints it.
    pub const fn name(&self) -> &'static str {
        self.spec.name
    }

    /// `--name`, or `! --name`.
    pub fn spelled(&self, inverted: bool) -> Spelled {
        Spelled {
            name: self.spec.name,
            inverted,
        }
    }
}

/// How an option stands in a command.
#[derive(Debug, Clone, Copy)]
pub struct Spelled {
    name: &'static str,
    inverted: bool,
}

impl Spelled {
    /// Appends it as `Display` shows it: for who says it of every packet.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(if self.inverted { "! --" } else { "--" });
        out.push_str(self.name);
    }
}

impl fmt::Display for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.inverted { "! --" } else { "--" })?;
        f.write_str(self.name)
    }
}

/// What an option's value is.
#[derive(Debug, Clone, Copy)]
pub enum ValueKind {
    /// No value.
    Flag,
    /// Any text.
    Text {
        /// What has fewer bytes is refused.
        min: usize,
        /// What is longer is cut off without a word.
        max: usize,
    },
    /// A number in any base that `strtoul` takes, within bounds.
    Integer {
        /// The least that is taken.
        min: u64,
        /// The most that is taken.
        max: u64,
    },
    /// `number`, `number:number`, `:number`, `number:`.
    IntegerRange {
        /// The most that either end may be; the least is 0.
        max: u64,
    },
    /// `value[/mask]`, 32 bits.
    MarkMask,
    /// `port`, `port:port`, `:port`, `port:`; service names of any protocol.
    PortRange,
    /// An address with an optional mask, both kept as typed; seen: a mask that is no prefix is the same as none.
    HostMask,
    /// Some of a few words, comma separated.
    Words {
        /// Those that help, completion and grammar know; what is taken, `read` says.
        words: &'static [&'static str],
        /// Reads the whole argument.
        read: &'static dyn ReadsOne,
    },
    /// A form of the extension's own.
    Own {
        /// How help and grammar write the argument.
        syntax: &'static str,
        /// Reads it.
        read: &'static dyn ReadsOne,
    },
    /// Two arguments.
    Pair {
        /// How help and grammar write each.
        syntax: [&'static str; 2],
        /// Reads both.
        read: &'static dyn ReadsTwo,
    },
    /// An option of the real tool that nflab has not got: it is refused by name.
    Refused {
        /// How help and grammar write its argument; empty for a flag.
        syntax: &'static str,
    },
}

/// Reads the text of a value. The text is the argument, and what was given before it may be asked.
pub struct Read<T>(pub fn(&str, &Given<'_>) -> Result<T, UsageError>);

/// Reads a value of two arguments; the second is `None` where the command ends too early.
pub struct ReadPair<T>(pub fn(&str, Option<&str>, &Given<'_>) -> Result<T, UsageError>);

/// A [`Read`] whose type is forgotten.
pub trait ReadsOne: Sync {
    /// `given` has the options before this one. The error says what the tool prints.
    fn read(&self, text: &str, given: &Given<'_>) -> Result<Value, UsageError>;
}

impl<T: Debug + Send + Sync + 'static> ReadsOne for Read<T> {
    fn read(&self, text: &str, given: &Given<'_>) -> Result<Value, UsageError> {
        (self.0)(text, given).map(Value::new)
    }
}

/// A [`ReadPair`] whose type is forgotten.
pub trait ReadsTwo: Sync {
    /// As [`ReadsOne::read`]; `second` is `None` where the command ends too early.
    fn read(&self, first: &str, second: Option<&str>, given: &Given<'_>) -> Result<Value, UsageError>;
}

impl<T: Debug + Send + Sync + 'static> ReadsTwo for ReadPair<T> {
    fn read(&self, first: &str, second: Option<&str>, given: &Given<'_>) -> Result<Value, UsageError> {
        (self.0)(first, second, given).map(Value::new)
    }
}

impl Debug for dyn ReadsOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Read")
    }
}

impl Debug for dyn ReadsTwo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadPair")
    }
}

impl ValueKind {
    /// How many arguments follow the option. A parser hands over fewer only where the command ends.
    pub fn arity(&self) -> usize {
        match self {
            Self::Flag | Self::Refused { syntax: "" } => 0,
            Self::Pair { .. } => 2,
            _ => 1,
        }
    }

    /// The arguments as help and grammar write them, empty for a flag.
    pub fn syntax(&self) -> String {
        match self {
            Self::Flag => String::new(),
            Self::Text { .. } => "TEXT".to_owned(),
            Self::Integer { .. } => "NUMBER".to_owned(),
            Self::IntegerRange { .. } => "NUMBER[:NUMBER]".to_owned(),
            Self::MarkMask => "VALUE[/MASK]".to_owned(),
            Self::PortRange => "PORT[:PORT]".to_owned(),
            Self::HostMask => "ADDRESS[/MASK]".to_owned(),
            Self::Words { words, .. } => format!("{}[,...]", words.join("|")),
            Self::Own { syntax, .. } | Self::Refused { syntax } => (*syntax).to_owned(),
            Self::Pair { syntax, .. } => syntax.join(" "),
        }
    }
}

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IntegerRange {
    /// The lower end; the kit takes a range whose ends are the other way round.
    pub low: u64,
    /// The higher end.
    pub high: u64,
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
