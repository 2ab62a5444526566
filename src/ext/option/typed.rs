//! An option with the type of its value, as an extension declares it, word after word.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use super::{Holds, HostMask, IntegerRange, NameOf, OptionSpec, OwnWords, Read, ReadPair, Repeat, ValueKind};
use crate::base::{MarkMask, PortRange};

/// An option and the type of its value. An extension has a constant for each, which is the only place that spells its name: the spec lists it,
/// [`crate::ext::Given::get`] is asked with it, and [`Opt::spelled`] prints it.
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
