//! nflab(1): the program's own commands, as its command line and the language of scripts define them.

use clap::{Arg, Command};

use super::roff::Page;
use crate::cli::{self, BY_WORD, SHIMS};
use crate::learn;

pub(super) fn manual() -> String {
    let mut page = Page::new("nflab", 1, "netfilter in user space: a router that is a program");
    page.section("SYNOPSIS");
    let plain = || SHIMS.iter().copied().filter(|name| !name.contains("-legacy"));
    let tools: Vec<&str> = plain().chain(BY_WORD.iter().copied()).collect();
    page.literal(&format!(
        "nflab COMMAND [ARGUMENT ...]\nnflab {} [ARGUMENT ...]",
        tools.join("|")
    ));
    page.section("DESCRIPTION");
    page.paragraph(
        "A router with the hooks, tables, connection tracking, NAT and helpers of Linux, ruled by plain iptables and ip6tables lines. It runs in memory, over \
         captures, or between real programs on TUN devices, and tells what became of each packet and why.",
    );
    let mut command = cli::command();
    command.build();
    page.section("COMMANDS");
    for sub in command.get_subcommands().filter(|it| it.get_name() != "help") {
        describe(&mut page, sub);
    }
    page.section("TOOLS");
    page.paragraph(&format!(
        "With a tool's name as its first word (nflab iptables), or called by that name through a link (nflab shims makes them), it is that tool, and without \
         either a tool's name is the machine's own: {}, those of rules also with -legacy. They speak to the lab that \
         NFLAB names, else to the only one that runs. nflab ip is iproute2's ip for the lab's router (address, route, rule, link), and no link of \
         that name is made, which would hide the machine's own. What it changes is the router's: in a live lab a link that is down takes and gives \
         no packets, while the device that stands for it, and the hosts' own addresses, routes and MTU, stay as they are. What a tool of that name cannot do here it refuses by name.",
        plain().collect::<Vec<_>>().join(", ")
    ));
    page.section("WHAT ONE WRITES");
    page.term("Lab files", "In TOML: nflab-lab(5).");
    page.term(
        "Scripts",
        "The REPL and nflab run read the same language, a command a line: every tool with its real syntax, and the lab's own words: nflab-script(5).",
    );
    page.term(
        "Test files",
        "Scripts with expectations, a test each, and tables of cases: nflab-test(5).",
    );
    page.section("LESSONS");
    page.paragraph(
        "nflab learn, and learn in the REPL, open a lesson in a lab of its own. Whatever a lab understands may be typed there; these words come with it:",
    );
    for (word, about) in learn::WORDS {
        page.term(word, &format!("{}.", capitalised(about)));
    }
    page.paragraph(
        "A lesson is a file lesson.nflab, with these words around the language of scripts and of test files:",
    );
    for (_, syntax, about) in learn::FILE_WORDS {
        page.term(syntax, &format!("{}.", capitalised(about)));
    }
    page.section("ENVIRONMENT");
    page.term(
        "NFLAB",
        "The lab that tools speak to: its name, or the path of its control socket.",
    );
    page.section("FILES");
    page.term(
        "/run/nflab/LAB",
        "What a lab of root's is made of, its control socket, and the log of a detached one. Other users' are in $XDG_RUNTIME_DIR/nflab, else /run/user/UID/nflab, else /tmp/nflab-UID. What there does not belong to the caller or root, or can be written by others, is named and passed over.",
    );
    page.term(
        "$XDG_STATE_HOME/nflab/history",
        "What was typed at the REPL's prompt; without that variable, ~/.local/state/nflab/history.",
    );
    page.section("EXIT STATUS");
    for (code, meaning) in [
        ("0", "Done."),
        ("1", "An expectation failed, or the tool says so."),
        ("2", "Unusable arguments or text."),
        (
            "3",
            "The machine refused (no TUN, no permission); the message says what to do.",
        ),
        ("4", "No lab runs."),
    ] {
        page.term(code, meaning);
    }
    page.section("EXAMPLES");
    page.literal(EXAMPLES);
    page.section("SEE ALSO");
    page.paragraph(
        "nflab-script(5), nflab-lab(5), nflab-test(5), nflab-iptables(8), nflab-extensions(7), nflab-hooks(7)",
    );
    page.finish()
}

fn describe(page: &mut Page, command: &Command) {
    let positional: Vec<String> = command.get_positionals().map(shown).collect();
    let options = command
        .get_arguments()
        .any(|it| !it.is_positional() && it.get_id() != "help");
    let usage = [
        command.get_name(),
        if options { "[OPTIONS]" } else { "" },
        &positional.join(" "),
    ]
    .join(" ");
    page.subsection(&usage.split_whitespace().collect::<Vec<_>>().join(" "));
    if let Some(about) = command.get_about() {
        page.paragraph(&format!("{about}."));
    }
    let arguments = command
        .get_arguments()
        .filter(|it| it.get_id() != "help" && !it.is_hide_set());
    for argument in arguments {
        let Some(help) = argument.get_help() else { continue };
        page.term(&shown(argument), &format!("{help}."));
    }
}

/// `-q, --quiet`, `--lab LAB.toml`, `[SCRIPT]`.
fn shown(argument: &Arg) -> String {
    let values = argument
        .get_value_names()
        .map(|names| names.join(" "))
        .filter(|_| argument.get_action().takes_values())
        .unwrap_or_default();
    if argument.is_positional() {
        let more = if argument.get_num_args().is_some_and(|it| it.max_values() > 1) {
            " ..."
        } else {
            ""
        };
        let shown = format!("{values}{more}");
        return if argument.is_required_set() {
            shown
        } else {
            format!("[{shown}]")
        };
    }
    let names: Vec<String> = argument
        .get_short()
        .map(|short| format!("-{short}"))
        .into_iter()
        .chain(argument.get_long().map(|long| format!("--{long}")))
        .collect();
    format!("{} {values}", names.join(", ")).trim_end().to_owned()
}

pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

const EXAMPLES: &str = "\
nflab demo
nflab learn 01-states
nflab run examples-rulesets/ftp/script.nflab
nflab test examples-rulesets --coverage
nflab trace --rules rules.v4 'lan tcp 10.0.0.2:40000 > 192.0.2.9:80 S'
nflab trace --rules6 rules.v6 'lan tcp [2001:db8::2]:40000 > [2001:db8:1::9]:80 S'
nflab import firewall.sh --out rules.v4 --out6 rules.v6
nflab sh --save rules.v4 --save6 rules.v6 -- ./firewall.sh
nflab replay --lab lab.toml --rules rules.v4 --rules6 rules.v6 in.pcapng --json -
nflab up lab.toml --rules rules.v4 --rules6 rules.v6
nflab exec client -- ping -6 2001:db8:1::9
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_manual_shows_is_understood() {
        for line in EXAMPLES.lines() {
            let words = line.split(' ');
            cli::command()
                .try_get_matches_from(words)
                .unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
