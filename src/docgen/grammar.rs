//! The extension part of the grammar. The form is that of `grammar/core.ebnf`, which explains it and defines the words used here.

use std::fmt::Write;

use super::{NOTICE, matches_by_name};
use crate::base::Family;
use crate::ext::TARGETS;
use crate::ext::option::{OptionSpec, ValueKind};

pub(super) fn extensions() -> String {
    let mut out = format!("(* {NOTICE} *)\n\n");
    let names = |kind: &str, names: Vec<&str>| {
        let all: Vec<String> = names.iter().map(|name| rule_name(kind, name)).collect();
        all.join("\n    | ")
    };
    let by_name = matches_by_name();
    let matches = names("match", by_name.iter().map(|(spec, _)| spec.name).collect());
    let _ = writeln!(out, "match =\n      {matches} ;\n");
    let targets = names("target", TARGETS.iter().map(|spec| spec.name).collect());
    let _ = writeln!(out, "target =\n      {targets} ;\n");
    let protocols: Vec<String> = by_name
        .iter()
        .filter_map(|(spec, _)| Some((spec.protocol_name()?, rule_name("match", spec.name))))
        .map(|(protocol, rule)| format!("\"{protocol}\", {{ {rule} option }}"))
        .collect();
    let _ = writeln!(
        out,
        "(* Protocols whose match -p brings in without -m. *)\nprotocol =\n      {} ;\n",
        protocols.join("\n    | ")
    );
    for (spec, options) in &by_name {
        let spellings = std::iter::once(spec.name).chain(spec.aliases.iter().copied());
        let of = (spec.about, spec.families, &options[..]);
        extension(&mut out, "match", "-m", spec.name, spellings, of);
    }
    for spec in TARGETS {
        let of = (spec.about, spec.families, spec.options);
        extension(&mut out, "target", "-j", spec.name, std::iter::once(spec.name), of);
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

fn extension<'a>(
    out: &mut String,
    kind: &str,
    flag: &str,
    name: &str,
    spellings: impl Iterator<Item = &'a str>,
    (about, families, options): (&str, &[Family], &[OptionSpec]),
) {
    let rule = rule_name(kind, name);
    let spelled: Vec<String> = spellings.map(|it| format!("\"{it}\"")).collect();
    let _ = writeln!(out, "(* {flag} {name}: {about} *)");
    let taken: Vec<&OptionSpec> = options
        .iter()
        .filter(|it| !matches!(it.value, ValueKind::Refused { .. }))
        .collect();
    let spelled = match spelled.as_slice() {
        [one] => one.clone(),
        several => format!("( {} )", several.join(" | ")),
    };
    if taken.is_empty() {
        let _ = writeln!(out, "{rule} = {spelled} ;\n");
        return;
    }
    let _ = writeln!(out, "{rule} = {spelled}, {{ {rule} option }} ;");
    let alternatives: Vec<String> = taken.iter().map(|option| alternative(families, option)).collect();
    let _ = writeln!(out, "{rule} option =\n      {} ;\n", alternatives.join("\n    | "));
}

fn alternative(families: &[Family], option: &OptionSpec) -> String {
    let mut parts = Vec::new();
    if option.invert {
        parts.push("[ \"!\" ]".to_owned());
    }
    let names: Vec<String> = option.names().map(|name| format!("\"--{name}\"")).collect();
    parts.push(match names.as_slice() {
        [one] => one.clone(),
        several => format!("( {} )", several.join(" | ")),
    });
    let mut syntax = option.syntax(None);
    if families == [Family::V6] {
        syntax = syntax.replace("ADDRESS", "IPVSIX");
    }
    parts.extend(syntax.split(' ').filter(|it| !it.is_empty()).map(argument));
    parts.join(", ")
}

/// One argument: the notation of `ValueKind::syntax` (capitals are words of the core, `[]` may be missing, `[,...]` repeats) as one bracketed
/// argument of the grammar.
fn argument(syntax: &str) -> String {
    if syntax.chars().all(|c| c.is_ascii_uppercase()) {
        return syntax.to_owned();
    }
    format!("< {} >", joined(syntax))
}

fn joined(syntax: &str) -> String {
    if let Some(item) = syntax.strip_suffix("[,...]") {
        let item = joined(item);
        let item = if item.contains(" | ") || item.contains(", ") {
            format!("( {item} )")
        } else {
            item
        };
        return format!("{item} % \",\"");
    }
    let alternatives: Vec<String> = split_outside(syntax, '|').into_iter().map(sequence).collect();
    alternatives.join(" | ")
}

fn sequence(syntax: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = syntax;
    while let Some(first) = rest.chars().next() {
        if first == '[' {
            let end = closing(rest);
            parts.push(format!("[ {} ]", joined(&rest[1..end])));
            rest = &rest[(end + 1).min(rest.len())..];
            continue;
        }
        let length = rest.find('[').unwrap_or(rest.len());
        parts.extend(words(&rest[..length]));
        rest = &rest[length..];
    }
    parts.join(", ")
}

/// Runs of capitals are words of the core where it has them; everything else is typed as it stands.
fn words(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut typed = String::new();
    let literal = |typed: &mut String, parts: &mut Vec<String>| {
        if !typed.is_empty() {
            parts.push(format!("\"{}\"", std::mem::take(typed)));
        }
    };
    let is_capital = |c: &char| c.is_ascii_uppercase();
    for run in text
        .chars()
        .collect::<Vec<_>>()
        .chunk_by(|a, b| is_capital(a) == is_capital(b))
    {
        let run: String = run.iter().collect();
        if is_core_word(&run) {
            literal(&mut typed, &mut parts);
            parts.push(run);
        } else {
            typed += &run;
        }
    }
    literal(&mut typed, &mut parts);
    parts
}

fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return at,
            ']' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn split_outside(text: &str, sign: char) -> Vec<&str> {
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ if c == sign && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn rule_name(kind: &str, name: &str) -> String {
    format!("{kind} {name}")
}

/// A word that the core defines: no list of them stands here.
fn is_core_word(text: &str) -> bool {
    let defines = |line: &str| line.strip_prefix(text).is_some_and(|rest| rest.starts_with(" = "));
    CORE.lines().any(defines)
}

const CORE: &str = include_str!("../../grammar/core.ebnf");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_of_specs_becomes_grammar() {
        for (syntax, expected) in [
            ("NUMBER", "NUMBER"),
            ("PORT[:PORT]", "< PORT, [ \":\", PORT ] >"),
            ("ORIGINAL|REPLY", "< \"ORIGINAL\" | \"REPLY\" >"),
            ("NEW|RELATED[,...]", "< ( \"NEW\" | \"RELATED\" ) % \",\" >"),
            ("PORT[:PORT][,...]", "< ( PORT, [ \":\", PORT ] ) % \",\" >"),
            ("NUMBER[/second|/minute]", "< NUMBER, [ \"/second\" | \"/minute\" ] >"),
            (
                "[ADDRESS[-ADDRESS]][:PORT[-PORT]]",
                "< [ ADDRESS, [ \"-\", ADDRESS ] ], [ \":\", PORT, [ \"-\", PORT ] ] >",
            ),
            ("TYPE[/CODE]|NAME", "< TYPE, [ \"/\", CODE ] | NAME >"),
        ] {
            assert_eq!(argument(syntax), expected, "{syntax}");
        }
    }
}
