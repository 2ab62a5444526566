//! Matches and targets: the option kit, the registry, one file an extension.
//!
//! An extension is one file: its spec (options, `build`), its value (`evaluate` or `apply`, `save`, `list`) and its tests. The registry below
//! is the only list of them.

mod help;
pub mod matches;
pub mod names;
pub mod number;
pub mod option;
mod place;
pub mod targets;
#[cfg(test)]
mod testing;
mod wording;

use std::sync::Arc;

use crate::base::Family;
use crate::rule::{Match, Target};
use option::{Given, OptionSpec, UsageError};

/// What `-m NAME` is.
#[derive(Debug)]
pub struct MatchSpec {
    pub name: &'static str,
    /// Other names it is loaded by.
    pub aliases: &'static [&'static str],
    pub families: &'static [Family],
    /// Set for the matches that `-p PROTOCOL` brings in when one of their options is met (`-p tcp --dport 80`).
    pub protocol: Option<u8>,
    pub options: &'static [OptionSpec],
    /// What the tool says where none of the options named is given (where any will do, all are named).
    pub needs_one: Option<NeedsOne>,
    pub build: fn(&Given<'_>) -> Result<Arc<dyn Match>, UsageError>,
    /// One line for the manual.
    pub about: &'static str,
}

impl MatchSpec {
    /// The end of the command: asks what only the whole can tell, then builds.
    pub fn finish(&self, given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
        check_whole(self.name, self.needs_one, self.options, given)?;
        (self.build)(given)
    }

    /// What `-m NAME -h` adds to the tool's help.
    pub fn help(&self) -> String {
        help::of(self.name, "match", self.about, self.options)
    }
}

/// At least one of some options must be there.
#[derive(Debug, Clone, Copy)]
pub struct NeedsOne {
    pub of: &'static [&'static str],
    pub message: &'static str,
}

/// What `-j NAME` is.
#[derive(Debug)]
pub struct TargetSpec {
    pub name: &'static str,
    pub families: &'static [Family],
    pub options: &'static [OptionSpec],
    pub needs_one: Option<NeedsOne>,
    pub build: fn(&Given<'_>) -> Result<Arc<dyn Target>, UsageError>,
    pub about: &'static str,
}

impl TargetSpec {
    /// As `MatchSpec::finish`.
    pub fn finish(&self, given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
        check_whole(self.name, self.needs_one, self.options, given)?;
        (self.build)(given)
    }

    /// What `-j NAME -h` adds to the tool's help.
    pub fn help(&self) -> String {
        help::of(self.name, "target", self.about, self.options)
    }
}

/// The extension's own question comes before the kit's, as in the tool (`-m addrtype --limit-iface-in --limit-iface-out`).
fn check_whole(
    name: &str,
    needs_one: Option<NeedsOne>,
    options: &[OptionSpec],
    given: &Given<'_>,
) -> Result<(), UsageError> {
    if let Some(needs) = needs_one
        && !needs.of.iter().any(|name| given.has(name))
    {
        return Err(UsageError::parameter(needs.message));
    }
    option::finish(name, options, given.options)
}

macro_rules! registry {
    ($(match $match_module:ident)* $(target $target_module:ident)*) => {
        /// Every match there is.
        pub const MATCHES: &[&MatchSpec] = &[$(&matches::$match_module::SPEC),*];
        /// Every target there is.
        pub const TARGETS: &[&TargetSpec] = &[$(&targets::$target_module::SPEC),*];
    };
}

registry! {
    match addrtype
    match comment
    match conntrack
    match icmp
    match limit
    match mark
    match multiport
    match state
    match tcp
    match udp
    target ct
    target dnat
    target log
    target mark
    target masquerade
    target notrack
    target redirect
    target reject
    target snat
}

/// The match of this name in this family.
pub fn find_match(name: &str, family: Family) -> Option<&'static MatchSpec> {
    MATCHES
        .iter()
        .copied()
        .find(|spec| (spec.name == name || spec.aliases.contains(&name)) && spec.families.contains(&family))
}

/// The match that `-p` with this protocol number brings in.
pub fn implicit_match(protocol: u8, family: Family) -> Option<&'static MatchSpec> {
    MATCHES
        .iter()
        .copied()
        .find(|spec| spec.protocol == Some(protocol) && spec.families.contains(&family))
}

/// The target of this name in this family.
pub fn find_target(name: &str, family: Family) -> Option<&'static TargetSpec> {
    TARGETS
        .iter()
        .copied()
        .find(|spec| spec.name == name && spec.families.contains(&family))
}
