//! What `-h` prints: nflab's own words, made from the options, not the real tool's page.

use std::fmt::Write;

use super::failure::Program;
use super::options::{LONG, has_long};
use super::rule_options::RuleOptions;
use crate::base::Family;

/// The tool's help, then that of every extension loaded before `-h`.
pub(crate) fn text(program: Program, rule: &RuleOptions) -> String {
    let name = program.name();
    let mut out = program.version();
    let _ = write!(
        out,
        "\n\nUsage: {name} [-t TABLE] COMMAND [CHAIN [NUMBER]] [RULE] [OPTIONS]\n\n"
    );
    for (title, lines) in SECTIONS {
        let _ = writeln!(out, "{title}:");
        for &(letter, syntax, about) in lines.iter().filter(|(letter, ..)| has_long(*letter, program.family())) {
            let about = match (letter, program.family()) {
                ('4', Family::V6) => "refused; that is iptables",
                ('6', Family::V6) => "accepted; this is IPv6",
                _ => about,
            };
            let long = LONG.iter().find(|(_, it)| *it == letter).map_or("", |(long, _)| long);
            let short = if letter == '0' {
                "    ".to_owned()
            } else {
                format!("-{letter}, ")
            };
            let _ = writeln!(out, "  {:<42} {about}", format!("{short}--{long} {syntax}"));
        }
        out.push('\n');
    }
    for extension in rule.help() {
        out.push_str(&extension);
    }
    out
}

/// Letter (`0` where there is only the long name), syntax of what follows, and one line of what it does.
pub(crate) type Line = (char, &'static str, &'static str);

/// The tool's own options, as iptables has them: the help shows them, and so do the manual and the completion.
pub(crate) const SECTIONS: [(&str, &[Line]); 3] = [("Commands", COMMANDS), ("Rules", RULES), ("Other options", OTHERS)];

const COMMANDS: &[Line] = &[
    ('A', "CHAIN RULE", "put rules at the chain's end"),
    (
        'I',
        "CHAIN [NUMBER] RULE",
        "put rules before the one of this number, or at the start",
    ),
    ('R', "CHAIN NUMBER RULE", "put a rule in another's place"),
    (
        'D',
        "CHAIN NUMBER | CHAIN RULE",
        "take a rule out, by number or by what it says",
    ),
    ('C', "CHAIN RULE", "exit 0 where the chain has the rule"),
    ('L', "[CHAIN [NUMBER]]", "show rules in columns"),
    ('S', "[CHAIN [NUMBER]]", "show rules as they are typed"),
    ('F', "[CHAIN]", "take all rules out"),
    ('Z', "[CHAIN [NUMBER]]", "set counters to zero"),
    ('N', "CHAIN", "make a chain"),
    ('X', "[CHAIN]", "remove an empty chain that nothing jumps to"),
    ('E', "CHAIN NAME", "rename a chain, and the jumps to it"),
    (
        'P',
        "CHAIN ACCEPT|DROP",
        "what becomes of packets at a built-in chain's end",
    ),
];

const RULES: &[Line] = &[
    ('p', "PROTOCOL", "[!] a protocol's name or number"),
    ('s', "ADDRESS[/MASK][,...]", "[!] where the packet is from"),
    ('d', "ADDRESS[/MASK][,...]", "[!] where it is going"),
    ('i', "NAME[+]", "[!] the interface it came in by"),
    ('o', "NAME[+]", "[!] the interface it goes out by"),
    ('f', "", "[!] second and further fragments"),
    ('m', "MATCH", "more to match; its options follow"),
    (
        'j',
        "TARGET",
        "what to do: a verdict, a chain, or a target with options",
    ),
    ('g', "CHAIN", "go to a chain and don't come back"),
    ('c', "PACKETS BYTES", "where the rule's counters start"),
];

const OTHERS: &[Line] = &[
    ('t', "TABLE", "raw, mangle, nat, filter (if none is named) or security"),
    ('v', "", "say more"),
    ('n', "", "numbers instead of names"),
    ('x', "", "exact counters"),
    ('0', "", "show the rules' numbers"),
    ('w', "[SECONDS]", "accepted; nothing holds the rules for long"),
    ('W', "MICROSECONDS", "accepted beside -w"),
    ('M', "COMMAND", "accepted; no rule needs a module to be loaded first"),
    ('4', "", "accepted; this is IPv4"),
    ('6', "", "refused; that is ip6tables"),
    ('V', "", "show the version"),
    (
        'h',
        "",
        "show this, and the options of the extensions named before it, or of the protocol",
    ),
];
