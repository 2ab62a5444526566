//! Matches and targets: the option kit, the registry, one file an extension.
//!
//! An extension is one file: its spec (options, `build`), its value (`evaluate` or `apply`, `save`, `list`) and its tests. The registry below
//! is the only list of them.

pub mod matches;
pub mod option;
pub mod targets;

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
    pub build: fn(&Given<'_>) -> Result<Arc<dyn Match>, UsageError>,
    /// One line for the manual.
    pub about: &'static str,
}

/// What `-j NAME` is.
#[derive(Debug)]
pub struct TargetSpec {
    pub name: &'static str,
    pub families: &'static [Family],
    pub options: &'static [OptionSpec],
    pub build: fn(&Given<'_>) -> Result<Arc<dyn Target>, UsageError>,
    pub about: &'static str,
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
    match tcp
    target mark
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
