//! What was typed of an extension's options, one by one as they are read.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::{Opt, OptionSpec, Repeat, UsageError, value};
use crate::base::Family;
use crate::ext::LabelFile;

/// One option as it was typed: which of the spec's, with `!` or not, and its value.
#[derive(Debug, Clone)]
pub struct GivenOption {
    /// Which of the extension's options it was.
    pub spec: &'static OptionSpec,
    /// A `!` stood before it.
    pub inverted: bool,
    /// What was read of its arguments; of a flag, nothing.
    pub value: Value,
    /// Which argument of the command it was.
    pub at: usize,
}

/// A value that a rule asks for, and whether a `!` turned it round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked<T> {
    /// What is asked for, without the `!`.
    pub value: T,
    /// A `!` stood before the option.
    pub inverted: bool,
}

impl<T> Asked<T> {
    /// Whether the rule matches where the packet has, or has not, what is asked for.
    pub fn fits(&self, has: bool) -> bool {
        has != self.inverted
    }
}

/// A parsed value, of the type that its option's [`Opt`] says.
#[derive(Debug, Clone)]
pub struct Value(Arc<dyn AnyValue>);

trait AnyValue: Any + Debug + Send + Sync {}

impl<T: Any + Debug + Send + Sync> AnyValue for T {}

impl Value {
    pub(super) fn new<T: Debug + Send + Sync + 'static>(value: T) -> Self {
        Self(Arc::new(value))
    }

    fn get<T: 'static>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }
}

/// What an extension gets: its options as typed, and what of the rule it may need to know.
///
/// While options are being read it holds those before the one at hand, and the protocol as far as `-p` has been read: `--dports 80 -p tcp` is
/// an error in the real tool too.
#[derive(Debug)]
pub struct Given<'a> {
    /// That of the tool: `iptables` or `ip6tables`.
    pub family: Family,
    /// The rule's `-p`, 0 for any; and whether it was inverted.
    pub protocol: u8,
    /// A `!` stood before `-p`.
    pub protocol_inverted: bool,
    /// Names of labels.
    pub labels: &'a LabelFile,
    /// Those of this extension so far, in the order they were typed.
    pub options: &'a [GivenOption],
}

impl Given<'_> {
    /// What was given for an option.
    pub fn get<T: Clone>(&self, option: Opt<T>) -> Option<Asked<T>> {
        let given = self.options.iter().find(|given| given.spec.name == option.name())?;
        Some(Asked {
            value: given.value.get::<T>()?.clone(),
            inverted: given.inverted,
        })
    }

    /// The value alone, where no `!` may stand before the option.
    pub fn value<T: Clone>(&self, option: Opt<T>) -> Option<T> {
        self.get(option).map(|asked| asked.value)
    }

    /// Whether the option was given; the one way to ask for a flag.
    pub fn has<T>(&self, option: Opt<T>) -> bool {
        self.names(option.name())
    }

    pub(super) fn names(&self, name: &str) -> bool {
        self.options.iter().any(|given| given.spec.name == name)
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
        Repeat::Once if given.names(spec.name) => {
            let name = spec.name_in_errors();
            return Err(UsageError::parameter(format!(
                "{extension}: option \"--{name}\" can only be used once.\n"
            )));
        }
        Repeat::OnceInstead { other, message }
            if given.names(spec.name) || other.is_some_and(|other| given.names(other())) =>
        {
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
    if let Some((other, message)) = spec.behind
        && !given.names(other)
    {
        return Err(UsageError::parameter(message));
    }
    if let Some((holds, message)) = spec.only_where
        && !holds(given)
    {
        return Err(UsageError::parameter(message));
    }
    value::parse(spec, extension, args, given)
}
