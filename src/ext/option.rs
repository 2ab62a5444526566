//! The option kit: one spec describes an option; the parser, help, manual, completion and grammar all walk it.

use crate::base::{AddressMask, AddressRange, Family, MarkMask, PortRange};

/// One long option of an extension.
#[derive(Debug)]
pub struct OptionSpec {
    /// Without the dashes; the spelling that `iptables-save` prints.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    pub value: ValueKind,
    /// `!` may stand before it.
    pub invert: bool,
    /// May be given more than once.
    pub repeat: bool,
    pub required: bool,
    /// Names of options that it cannot stand beside.
    pub excludes: &'static [&'static str],
    pub help: &'static str,
}

impl OptionSpec {
    /// An option with a value and nothing special; for struct update syntax.
    pub const PLAIN: Self = Self {
        name: "",
        aliases: &[],
        value: ValueKind::Flag,
        invert: false,
        repeat: false,
        required: false,
        excludes: &[],
        help: "",
    };
}

/// What an option's value is.
#[derive(Debug, Clone, Copy)]
pub enum ValueKind {
    /// No value.
    Flag,
    /// Any text of at most so many bytes.
    Text { max: usize },
    /// A number in any base that `strtoul` takes, within bounds.
    Integer { min: u64, max: u64 },
    /// `value[/mask]`, 32 bits.
    MarkMask,
    /// `port`, `port:port`, `:port`, `port:`, with service names of this protocol allowed.
    PortRange,
    /// Up to 15 ports, ranges counting twice, comma separated.
    PortList,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Some of a few words, comma separated.
    WordList(&'static [&'static str]),
    /// Two word lists as two arguments (`--tcp-flags SYN,ACK SYN`).
    WordListPair(&'static [&'static str]),
    /// An address with an optional mask.
    AddressMask,
    /// A form of the extension's own. `syntax` is for help and grammar.
    Custom {
        syntax: &'static str,
        parse: fn(&str, &Given<'_>) -> Result<Value, UsageError>,
    },
}

impl ValueKind {
    /// How many arguments follow the option.
    pub fn arity(&self) -> usize {
        match self {
            Self::Flag => 0,
            Self::WordListPair(_) => 2,
            _ => 1,
        }
    }
}

/// A parsed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Flag,
    Text(String),
    Integer(u64),
    MarkMask(MarkMask),
    PortRange(PortRange),
    PortList(Vec<PortRange>),
    /// Indices into the spec's words, in the order typed.
    Words(Vec<usize>),
    WordsPair(Vec<usize>, Vec<usize>),
    AddressMask(AddressMask),
    AddressRange(AddressRange),
    /// Numbers whose meaning the extension knows.
    Numbers(Vec<u64>),
}

/// One option as it was typed: which of the spec's, with `!` or not, and its value.
#[derive(Debug, Clone)]
pub struct GivenOption {
    pub spec: &'static OptionSpec,
    pub inverted: bool,
    pub value: Value,
    /// Which argument of the command it was.
    pub at: usize,
}

/// What an extension's `build` gets: its options as typed, and what of the rule it may need to know.
#[derive(Debug)]
pub struct Given<'a> {
    pub family: Family,
    /// The rule's `-p`, 0 for any; and whether it was inverted.
    pub protocol: u8,
    pub protocol_inverted: bool,
    pub options: &'a [GivenOption],
}

impl<'a> Given<'a> {
    /// The last given option of this name.
    pub fn get(&self, name: &str) -> Option<&'a GivenOption> {
        self.options.iter().rev().find(|given| given.spec.name == name)
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
    pub status: Status,
    pub message: String,
    /// Which argument of the command, where one is to blame.
    pub at: Option<usize>,
}

impl UsageError {
    pub fn parameter(message: impl Into<String>) -> Self {
        Self {
            status: Status::Parameter,
            message: message.into(),
            at: None,
        }
    }
}
