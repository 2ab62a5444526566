//! nflab(1): the program's own commands, as its command line and the language of scripts define them.

use clap::{Arg, Command};

use super::roff::Page;
use crate::cli::{self, BY_WORD, SHIMS};
use crate::lab::script::OWN_WORDS;
use crate::learn;
use crate::suite::FILE_WORDS;

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
    page.section("LAB FILES");
    page.paragraph("A lab is described in TOML; what is not understood is refused with its position.");
    page.literal(LAB_FILE);
    page.section("SCRIPTS");
    page.paragraph(
        "The REPL and nflab run read the same language, a command a line: every tool with its real syntax, with here-documents (<<EOF) and \
         input from files (<), and the lab's own words. The REPL alone knows exit and quit, which leave it, as ^D does outside of a here-document.",
    );
    for word in OWN_WORDS {
        page.term(word.syntax, &format!("{}.", capitalised(word.about)));
    }
    page.paragraph("A packet is written as it is shown, and most of it may be left out:");
    page.literal(PACKETS);
    page.section("TEST FILES");
    page.paragraph(
        "nflab test reads files *.test.nflab. Within their tests stands the language of scripts; around them stand these words. A failing \
         expectation is noted and the test goes on, a failing command ends it.",
    );
    for (_, syntax, about) in FILE_WORDS {
        page.term(syntax, &format!("{}.", capitalised(about)));
    }
    page.literal(TEST_FILE);
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
    page.paragraph("nflab-iptables(8), nflab-extensions(7), nflab-hooks(7)");
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

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

const LAB_FILE: &str = "\
profile = \"linux6\"       # or \"classic\", a kernel of the ip_conntrack days
memory = \"1G\"            # what the machine has; it makes nf_conntrack_max
offload = true           # for nflab up: devices carry packets that stand for many (TSO, USO, GRO); an interface may say it, too
workers = 2              # for nflab up: threads that carry packets; as many as there are cores unless given
[sysctl]
\"net.netfilter.nf_conntrack_tcp_loose\" = 0
[interface.lan]
address = [\"10.0.0.1/24\", \"2001:db8::1/64\"]
[interface.wan]
address = [\"192.0.2.1/24\", \"2001:db8:1::1/64\"]
[[route]]
to = \"default\"          # of the family that `via` is of
via = \"192.0.2.254\"
[[route]]                # by several gateways, which share its packets, as ip route add ... nexthop ... has them
to = \"default\"
nexthop = [{ via = \"2001:db8:1::fe\", weight = 2 }, { via = \"fe80::2\", dev = \"wan\" }]
[host.client]            # for nflab up: a network namespace LAB-client
interface = \"lan\"
address = [\"10.0.0.2/24\", \"2001:db8::2/64\"]
";

const PACKETS: &str = "\
tcp 10.0.0.2:40000 > 192.0.2.9:80 S
tcp 10.0.0.2:40000 > 192.0.2.9:80 PA seq 7 ack 9 data \"GET /\\r\\n\" ttl 3 df
udp 10.0.0.2:5353 > 192.0.2.53:53 data 0x0001
icmp 10.0.0.2 > 192.0.2.9 echo-request id 7 seq 1
icmp 192.0.2.9 > 192.0.2.1 unreachable port quoting last
ip 10.0.0.2 > 192.0.2.9 proto gre zeros 40
tcp [2001:db8::2]:40000 > [2001:db8:1::9]:80 S hl 3
icmp 2001:db8::2 > 2001:db8:1::9 echo-request id 7 seq 1
udp [2001:db8::2]:5353 > [2001:db8:1::53]:53 frag 0 mf
icmp 2001:db8:1::9 > 2001:db8::2 packet-too-big mtu 1280 quoting last
icmp fe80::2 > ff02::1:ff00:1 neighbour-solicitation target 2001:db8::1
";

const TEST_FILE: &str = "\
rules rules.v4
rules6 rules.v6
host client 10.0.0.2 2001:db8::2 lan
host server 192.0.2.9 2001:db8:1::9 wan
test \"the web is open\"
  handshake client:40000 > server:80
  expect by comment \"the web\"
  handshake -6 client:40000 > server:80
end
table \"what else there is\"
  from    to      service  verdict
  client  server  tcp/22   drop
  server  router  icmp     drop
end
";

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
    use crate::lab::file::LabFile;
    use crate::lab::script::parse_text;
    use crate::suite::{self, Choice};
    use std::path::Path;

    #[test]
    fn what_the_manual_shows_is_understood() {
        let file = LabFile::parse("manual", LAB_FILE).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.hosts.len(), 1);
        for packet in PACKETS.lines() {
            let line = format!("send lan {packet}");
            parse_text("manual", &line, cli::TOOLBOX).unwrap_or_else(|error| panic!("{error}"));
        }
        let mut reader = |path: &Path| match path.to_str() {
            Some("manual") => Ok(TEST_FILE.to_owned()),
            Some("rules.v4" | "rules.v6") => {
                Ok("*filter\n-A FORWARD -m comment --comment \"the web\" -j ACCEPT\nCOMMIT\n".to_owned())
            }
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let suite = suite::read(Path::new("manual"), &mut reader, cli::TOOLBOX, &Choice::default());
        assert_eq!(suite.unwrap_or_else(|error| panic!("{error}")).tests.len(), 5);
        for line in EXAMPLES.lines() {
            let words = line.split(' ');
            cli::command()
                .try_get_matches_from(words)
                .unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
