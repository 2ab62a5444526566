//! What an option's value is, and who reads it where that is the extension itself.

use std::fmt::{self, Debug};

use super::{Given, UsageError, Value};

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
