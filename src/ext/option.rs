//! The option kit: one spec describes an option; the parser, help, manual, completion and grammar all walk it.
//!
//! How a command line is used: the parser finds the option whose `names` has the typed one (or has it as a prefix, as getopt_long does),
//! takes as many arguments as `ValueKind::arity` says, calls `parse_value` with what was given before it, and pushes a `GivenOption`. At the
//! end of the command `MatchSpec::finish` or `TargetSpec::finish` asks what only the whole can tell and builds the extension. Texts and their
//! order are those of iptables-legacy 1.8.9, seen by typing each wrong in turn.

use std::net::IpAddr;

use crate::base::{Family, MarkMask, PortRange};
use crate::nat::NatRange;

mod value;

/// One long option of an extension.
#[derive(Debug)]
pub struct OptionSpec {
    /// Without the dashes; the spelling that `iptables-save` prints.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// The spelling in error messages, where it is not `name`: one of `aliases`.
    pub error_name: Option<&'static str>,
    pub value: ValueKind,
    /// `!` may stand before it.
    pub invert: bool,
    pub repeat: Repeat,
    pub required: bool,
    /// Names of options that it cannot stand beside. Said at the end, and said of the option whose spec comes first.
    pub excludes: &'static [&'static str],
    pub help: &'static str,
}

/// What a second occurrence of an option is.
#[derive(Debug, Clone, Copy)]
pub enum Repeat {
    /// An error in the kit's words.
    Once,
    /// An error in the extension's words, also after any of the options named.
    OnceInstead {
        of: &'static [&'static str],
        message: &'static str,
    },
}

impl OptionSpec {
    /// A flag and nothing special; for struct update syntax.
    pub const PLAIN: Self = Self {
        name: "",
        aliases: &[],
        error_name: None,
        value: ValueKind::Flag,
        invert: false,
        repeat: Repeat::Once,
        required: false,
        excludes: &[],
        help: "",
    };

    /// Every spelling, the saved one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    fn name_in_errors(&self) -> &'static str {
        self.error_name.unwrap_or(self.name)
    }
}

/// What an option's value is.
#[derive(Debug, Clone, Copy)]
pub enum ValueKind {
    /// No value.
    Flag,
    /// Any text of at least `min` bytes; what exceeds `max` bytes is cut off without a word, as the tool does.
    Text { min: usize, max: usize },
    /// A number in any base that `strtoul` takes, within bounds.
    Integer { min: u64, max: u64 },
    /// `number`, `number:number`, `:number`, `number:`.
    IntegerRange { max: u64 },
    /// `value[/mask]`, 32 bits.
    MarkMask,
    /// `port`, `port:port`, `:port`, `port:`; service names of any protocol.
    PortRange,
    /// An address with an optional mask, both kept as typed; seen: a mask that is no prefix is the same as none.
    HostMask,
    /// Some of a few words, comma separated, with the extension's own rules and errors.
    Words {
        words: &'static [&'static str],
        parse: ParseValue,
    },
    /// A form of the extension's own. `syntax` is for help and grammar.
    Custom { syntax: &'static str, parse: ParseValue },
    /// Two arguments (`--tcp-flags SYN,ACK SYN`); the second is `None` where the command ends too early.
    Pair {
        syntax: [&'static str; 2],
        parse: fn(&str, Option<&str>, &Given<'_>) -> Result<Value, UsageError>,
    },
    /// An option of the real tool that is not here yet: refused by name, with `syntax` after it (empty for a flag).
    Refused { syntax: &'static str },
}

/// Reads the text of a value.
pub type ParseValue = fn(&str, &Given<'_>) -> Result<Value, UsageError>;

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
            Self::Custom { syntax, .. } | Self::Refused { syntax } => (*syntax).to_owned(),
            Self::Pair { syntax, .. } => syntax.join(" "),
        }
    }
}

/// A parsed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Flag,
    Text(String),
    Integer(u64),
    IntegerRange {
        low: u64,
        high: u64,
    },
    MarkMask(MarkMask),
    PortRange(PortRange),
    /// A single port and a range of one port are told apart by the tool's `multiport`, hence the flag for "range".
    PortList(Vec<(PortRange, bool)>),
    /// Without a prefix every bit counts. The tool tells that from a prefix of all bits.
    HostMask {
        address: IpAddr,
        prefix: Option<u8>,
    },
    /// Bits whose meaning the extension knows.
    Bits(u32),
    /// A mask and the bits compared under it.
    BitsUnderMask {
        mask: u32,
        bits: u32,
    },
    Nat(NatRange),
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

/// What an extension gets: its options as typed, and what of the rule it may need to know.
///
/// While options are being read it holds those before the one at hand, and the protocol as far as `-p` has been read: `--dports 80 -p tcp` is
/// an error in the real tool too.
#[derive(Debug)]
pub struct Given<'a> {
    pub family: Family,
    /// The rule's `-p`, 0 for any; and whether it was inverted.
    pub protocol: u8,
    pub protocol_inverted: bool,
    pub options: &'a [GivenOption],
}

impl<'a> Given<'a> {
    /// The given option of this name.
    pub fn get(&self, name: &str) -> Option<&'a GivenOption> {
        self.options.iter().find(|given| given.spec.name == name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Reads one option of the extension of this name. `args` are the arguments after it, `spec.value.arity()` of them unless the command ends
/// earlier (the parser has said `option "--x" requires an argument` where the first is missing); `given` holds the options before it.
pub fn parse_value(
    spec: &'static OptionSpec,
    extension: &str,
    args: &[&str],
    inverted: bool,
    given: &Given<'_>,
) -> Result<Value, UsageError> {
    match spec.repeat {
        Repeat::Once if given.has(spec.name) => {
            let name = spec.name_in_errors();
            return Err(UsageError::parameter(format!(
                "{extension}: option \"--{name}\" can only be used once.\n"
            )));
        }
        Repeat::OnceInstead { of, message } if given.has(spec.name) || of.iter().any(|name| given.has(name)) => {
            return Err(UsageError::parameter(message));
        }
        _ => {}
    }
    if inverted && !spec.invert {
        let name = spec.name_in_errors();
        return Err(UsageError::parameter(format!(
            "{extension}: option \"--{name}\" cannot be inverted.\n"
        )));
    }
    value::parse(spec, extension, args, given)
}

/// What only the whole can tell: options that are missing, and options that exclude one another.
pub fn finish(extension: &str, specs: &[OptionSpec], options: &[GivenOption]) -> Result<(), UsageError> {
    let has = |name: &str| options.iter().any(|given| given.spec.name == name);
    for spec in specs {
        let name = spec.name_in_errors();
        if !has(spec.name) {
            if spec.required {
                return Err(UsageError::parameter(format!(
                    "{extension}: option \"--{name}\" must be specified\n"
                )));
            }
            continue;
        }
        for other in specs {
            if spec.excludes.contains(&other.name) && has(other.name) {
                return Err(UsageError::parameter(format!(
                    "{extension}: option \"--{name}\" cannot be used together with \"--{}\".\n",
                    other.name_in_errors()
                )));
            }
        }
    }
    Ok(())
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
    /// Without the line's end. Where the tool prints an empty line after its message, the message ends in a newline.
    pub message: String,
    /// Lines that the tool prints before the message, without its own name before them.
    pub before: Option<String>,
    /// Which argument of the command, where one is to blame.
    pub at: Option<usize>,
}

impl UsageError {
    pub fn parameter(message: impl Into<String>) -> Self {
        Self {
            status: Status::Parameter,
            message: message.into(),
            before: None,
            at: None,
        }
    }
}
