//! The help of an extension, made from its spec.

use std::fmt::Write;

use super::Exclusive;
use super::option::{OptionSpec, ValueKind, excluded_by};
use crate::base::Family;

/// Of its options, with what excludes what, in a family's words.
pub(super) fn of(
    family: Family,
    name: &str,
    kind: &str,
    about: &str,
    (options, exclusive): (&[OptionSpec], Exclusive),
) -> String {
    let mut out = format!("{name} {kind}: {about}\n");
    if options.is_empty() {
        out.push_str("  takes no options\n");
    }
    for option in options {
        let mut form = String::from(if option.invert { "[!] " } else { "" });
        let _ = write!(form, "--{}", option.name);
        for alias in option.aliases {
            let _ = write!(form, ", --{alias}");
        }
        let syntax = option.syntax(Some(family));
        if !syntax.is_empty() {
            let _ = write!(form, " {syntax}");
        }
        let _ = write!(out, "  {form}\n        {}", option.help);
        if option.required {
            out.push_str("; required");
        }
        let excluded: Vec<&str> = excluded_by(option.name, exclusive).collect();
        if !excluded.is_empty() {
            let _ = write!(out, "; not with --{}", excluded.join(", --"));
        }
        if matches!(option.value, ValueKind::Refused { .. }) {
            out.push_str(" (refused: not there yet)");
        }
        out.push('\n');
    }
    for names in options.iter().filter_map(|option| option.names_known) {
        out.push_str(&names());
    }
    out
}
