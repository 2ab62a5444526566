//! The help of an extension, made from its spec.

use std::fmt::Write;

use super::option::{OptionSpec, ValueKind};

pub(super) fn of(name: &str, kind: &str, about: &str, options: &[OptionSpec]) -> String {
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
        let syntax = option.value.syntax();
        if !syntax.is_empty() {
            let _ = write!(form, " {syntax}");
        }
        let _ = write!(out, "  {form}\n        {}", option.help);
        if option.required {
            out.push_str("; required");
        }
        if !option.excludes.is_empty() {
            let _ = write!(out, "; not with --{}", option.excludes.join(", --"));
        }
        if matches!(option.value, ValueKind::Refused { .. }) {
            out.push_str(" (refused: not there yet)");
        }
        out.push('\n');
    }
    out
}
