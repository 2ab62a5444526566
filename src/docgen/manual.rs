//! Manual pages: the tool's own options, the extensions, the way of a packet.

use std::fmt::Write;

use super::roff::Page;
use crate::base::Family;
use crate::engine::HOOKS;
use crate::ext::missing::{self, Kind};
use crate::ext::option::{OptionSpec, OwnWords, ValueKind, excluded_by};
use crate::ext::samples::Samples;
use crate::ext::{Exclusive, MATCHES, MatchSpec, TARGETS};
use crate::helper::{self, Parameter, Takes};
use crate::rule::Table;
use crate::text::Program;
use crate::text::help::SECTIONS;
use crate::text::options::LONG;

/// nflab-iptables(8): commands and built-in options.
pub(super) fn iptables() -> String {
    let mut page = Page::new("nflab-iptables", 8, "the rules of a lab's router");
    page.section("SYNOPSIS");
    page.literal("nflab iptables [-t TABLE] COMMAND [CHAIN [NUMBER]] [RULE] [OPTIONS]\nnflab ip6tables ...\niptables ...\nip6tables ...");
    page.section("DESCRIPTION");
    page.paragraph(
        "Changes and shows the rules of the lab that the environment variable NFLAB names, or of the only one that runs. Called as iptables \
         (nflab shims makes the links) it takes, prints, refuses and exits as iptables 1.8.9 (legacy) does. Long options may be cut short as \
         long as they stay unique. ip6tables is the same for the packets of IPv6, which meet tables of their own and none of these.",
    );
    for (title, lines) in SECTIONS {
        page.section(&title.to_uppercase());
        for &(letter, syntax, about) in lines {
            let names: Vec<String> = (letter != '0')
                .then(|| format!("-{letter}"))
                .into_iter()
                .chain(
                    LONG.iter()
                        .filter(|(_, it)| *it == letter)
                        .map(|(name, _)| format!("--{name}")),
                )
                .collect();
            let about = match letter {
                'f' => "[!] second and further fragments; iptables' alone",
                '4' => "accepted by iptables; refused by ip6tables",
                '6' => "accepted by ip6tables; refused by iptables",
                _ => about,
            };
            let (turned, about) = match about.strip_prefix("[!] ") {
                Some(about) => ("[!] ", about),
                None => ("", about),
            };
            let term = format!("{turned}{} {syntax}", names.join(", "));
            page.term(term.trim_end(), &sentence(about));
        }
    }
    page.section("TABLES AND CHAINS");
    for table in Table::ALL {
        let chains: Vec<&str> = table.hooks().iter().map(|hook| hook.chain()).collect();
        page.term(table.name(), &format!("{}.", chains.join(", ")));
    }
    page.section("EXIT STATUS");
    page.paragraph("As the real tool: 0 done; 1 the rules do not take it; 2 the arguments are no use; 3 and 4 as it says. 4 also when no lab runs.");
    page.section("SEE ALSO");
    page.paragraph("nflab(1), nflab-extensions(7), nflab-hooks(7)");
    page.finish()
}

/// Behind a name that each family has for a match of its own.
fn of_a_family(spec: &MatchSpec) -> &'static str {
    match spec.families {
        _ if MATCHES.iter().filter(|other| other.name == spec.name).count() < 2 => "",
        [Family::V6] => " (IPv6)",
        _ => " (IPv4)",
    }
}

/// The family of an extension that one alone has.
fn of_one(families: &[Family]) -> Option<Family> {
    match families {
        [family] => Some(*family),
        _ => None,
    }
}

/// Which tool takes it, and what the other one has instead.
fn of_one_tool(family: Family, name: &str, other: Option<&str>) -> String {
    let [own, others] = [family, family.other()].map(|family| Program::Iptables(family).name());
    match other {
        Some(other) if other == name => format!("This is {own}'; {others} has its own of this name."),
        Some(other) => format!("This is {own}'; {others} has {other}."),
        None => format!("This is {own}' alone."),
    }
}

/// nflab-extensions(7): every match, target and helper there is.
pub(super) fn extensions() -> String {
    let mut page = Page::new("nflab-extensions", 7, "matches, targets and helpers of a lab's router");
    page.section("DESCRIPTION");
    page.paragraph(
        "What stands behind -m and -j in rules. [!] says that the option's meaning can be turned round by a ! before it. What is not listed \
         is refused by name.",
    );
    page.section("MATCHES");
    for spec in MATCHES {
        let also = if spec.aliases.is_empty() {
            String::new()
        } else {
            format!(" (also {})", spec.aliases.join(", "))
        };
        page.subsection(&format!("{}{}{also}", spec.name, of_a_family(spec)));
        page.paragraph(&sentence(spec.about));
        if let Some(family) = of_one(spec.families) {
            let other = spec.in_family(family.other()).map(|like| like.name);
            page.paragraph(&of_one_tool(family, spec.name, other));
        }
        if let Some(protocol) = spec.protocol_name() {
            page.paragraph(&format!("-p {protocol} brings it in: -m is not needed."));
        }
        options(&mut page, spec.options, spec.exclusive);
        example(&mut page, "-m", spec.name, (spec.families, &spec.samples));
    }
    page.section("TARGETS");
    page.paragraph("Besides ACCEPT, DROP, RETURN, QUEUE and the names of chains:");
    for spec in TARGETS {
        page.subsection(spec.name);
        page.paragraph(&sentence(spec.about));
        if let Some(family) = of_one(spec.families) {
            let other = spec.in_family(family.other()).map(|like| like.name);
            page.paragraph(&of_one_tool(family, spec.name, other));
        }
        options(&mut page, spec.options, spec.exclusive);
        example(&mut page, "-j", spec.name, (spec.families, &spec.samples));
    }
    page.section("HELPERS");
    page.paragraph(
        "Attached with -j CT --helper NAME in the raw table. In the profile linux6 all of them are there, with their NAT sides. In the profile classic a \
         helper reads the flows to its ports from the moment modprobe loads its module; without the module of its NAT side it leaves payloads as they \
         are. A module's parameters stand behind its name: modprobe ip_conntrack_ftp ports=21,2121. At another port than its own a helper has that port in \
         its name: ftp-2121.",
    );
    for spec in helper::registry() {
        let mut told = Vec::new();
        for helper in spec.conntrack() {
            // One name for two protocols is one helper to who reads.
            if told.contains(&helper.name) {
                continue;
            }
            told.push(helper.name);
            let ports: Vec<String> = helper.ports.iter().map(u16::to_string).collect();
            let usually = match ports.is_empty() {
                true => "Reads only flows that were announced.".to_owned(),
                false => format!("Usually on port {}.", ports.join(", ")),
            };
            let policy = helper.policy(0);
            let expected = match policy.max_expected {
                0 => "Any number of flows is".to_owned(),
                1 => "One flow is".to_owned(),
                several => format!("{several} flows are"),
            };
            let modules = spec.modules.join(" or ");
            let nat = match spec.nat_modules {
                [] => "there is no NAT side".to_owned(),
                some => format!("its NAT side {}", some.join(" or ")),
            };
            page.term(
                helper.name,
                &format!(
                    "Reads {}. {usually} {expected} expected at a time for a flow, each for {} seconds. Module {modules}; {nat}.",
                    spec.about,
                    policy.timeout.as_secs(),
                ),
            );
        }
        for parameter in spec.parameters {
            let module = spec.modules.last().copied().unwrap_or_default();
            let text = format!("(of {module}) {}, {}.", takes(parameter), parameter.about);
            page.term(&format!("  {}=", parameter.name), &text);
        }
    }
    page.section("NOT THERE YET");
    page.paragraph(
        "What iptables 1.8.9 has besides. A rule that asks for one of these is refused by its name, before anything else of the rule is read, and \
         changes nothing.",
    );
    for kind in [Kind::Match, Kind::Target] {
        let names: Vec<&str> = missing::names(kind, Family::V4).collect();
        page.term(kind.letter(), &format!("{}.", names.join(", ")));
    }
    page.section("SEE ALSO");
    page.paragraph("nflab(1), nflab-iptables(8), nflab-hooks(7)");
    page.finish()
}

/// nflab-hooks(7): the order in which a packet meets things.
pub(super) fn hooks() -> String {
    let mut page = Page::new("nflab-hooks", 7, "the way of a packet through a lab's router");
    page.section("DESCRIPTION");
    page.paragraph(
        "A packet that comes in meets PREROUTING; then routing decides whether it goes on to FORWARD or INPUT. What the router itself sends \
         meets OUTPUT. What leaves, forwarded or its own, meets POSTROUTING. At each hook the stages below are met in this order; a lower \
         number is earlier, and the numbers are the kernel's.",
    );
    let mut table = String::new();
    for (hook, stages) in HOOKS {
        let _ = writeln!(table, "{}", hook.chain());
        for (priority, stage) in *stages {
            let priority = match *priority {
                i32::MAX => "last".to_owned(),
                number => number.to_string(),
            };
            let _ = writeln!(table, "{priority:>7}  {}", stage.name());
        }
    }
    page.literal(&table);
    page.paragraph(
        "A stage that stops the packet ends its way: later stages do not see it. A new flow enters the table of flows at \"confirm\" only, so \
         a packet that is dropped before leaves no trace there. The nat table is asked once for each flow; later packets follow what was \
         decided then. If a rule of OUTPUT changed what routing depends on, the packet is routed again.",
    );
    page.section("SEE ALSO");
    page.paragraph("nflab(1), nflab-iptables(8), nflab-extensions(7)");
    page.finish()
}

/// `A number from 1 to 255, by itself 8`.
fn takes(parameter: &Parameter) -> String {
    match parameter.takes {
        Takes::Ports => "Ports with commas between".to_owned(),
        Takes::Flag(on) => format!("A flag, {} by itself", if on { "on" } else { "off" }),
        Takes::Number { default, least, most } if most == u32::MAX => {
            format!("A number from {least} on, by itself {default}")
        }
        Takes::Number { default, least, most } => format!("A number from {least} to {most}, by itself {default}"),
        Takes::Word(words) => format!("One of {}", words.join(", ")),
        Takes::Ignored(_) => "Anything".to_owned(),
    }
}

fn options(page: &mut Page, options: &[OptionSpec], exclusive: Exclusive) {
    for option in options {
        let mut term = String::from(if option.invert { "[!] " } else { "" });
        let names: Vec<String> = option.names().map(|name| format!("--{name}")).collect();
        let _ = write!(term, "{} {}", names.join(", "), option.value.syntax());
        let mut meaning = sentence(option.help);
        if let Some(OwnWords::Pairs(_)) = option.own_words {
            let [four, six] = Family::ALL.map(|family| option.syntax(Some(family)).replace('|', ", "));
            let kind = option.value.syntax();
            let _ = write!(
                meaning,
                " {kind} is one of {four} for iptables, and of {six} for ip6tables."
            );
        }
        if let ValueKind::Integer { min, max } = option.value {
            let _ = write!(meaning, " From {min} to {max}.");
        }
        if option.required {
            meaning.push_str(" Required.");
        }
        let excluded: Vec<&str> = excluded_by(option.name, exclusive).collect();
        if !excluded.is_empty() {
            let _ = write!(meaning, " Not with --{}.", excluded.join(", --"));
        }
        if let ValueKind::Refused { .. } = option.value {
            meaning.push_str(" Refused: it is not there yet.");
        }
        page.term(term.trim_end(), &meaning);
    }
}

/// The first sample that shows an option, for the tool that takes it.
fn example(page: &mut Page, letter: &str, name: &str, (families, samples): (&'static [Family], &Samples)) {
    let (table, chain) = samples.place;
    let with_options = samples.taken_in(families).find(|(_, it)| !it.typed.is_empty());
    let Some((family, sample)) = with_options.or_else(|| samples.taken_in(families).next()) else {
        return;
    };
    let line = [
        Program::Iptables(family).name(),
        "-t",
        table,
        "-A",
        chain,
        sample.before,
        letter,
        name,
        sample.typed,
    ];
    let words: Vec<&str> = line.into_iter().filter(|it| !it.is_empty()).collect();
    page.paragraph("For example:");
    page.literal(&words.join(" "));
}

/// A line of help as a sentence.
fn sentence(line: &str) -> String {
    let mut chars = line.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}
