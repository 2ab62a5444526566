//! Completion of commands, tables, chains, interfaces, extensions and their options, and the knowledge of when a command is whole.

use std::cell::RefCell;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use crate::base::Family;
use crate::ext;
use crate::helper;
use crate::lab::conversation;
use crate::lab::machine::Toolbox;
use crate::lab::memory::{LOCAL, Lab};
use crate::lab::proc_files::FILES;
use crate::lab::script::{CAN_FAIL, FATES, OWN_WORDS, SUBJECTS, lex};
use crate::lab::send::PACKETS;
use crate::learn::LIBRARY;
use crate::rule::{Hook, Table};
use crate::text::Program;

/// What the editor knows of the lab, refreshed before each line.
#[derive(Debug)]
pub(super) struct Assistant {
    toolbox: Toolbox,
    interfaces: Vec<String>,
    chains: Vec<(Family, Table, String)>,
    keys: Vec<String>,
    /// What rules share by name, under `/proc/net`.
    lists: Vec<String>,
    /// The line as it was last seen, with the place of the cursor: the editor forgets it where it cannot go on.
    seen: RefCell<(String, usize)>,
    /// What is understood besides what a lab understands.
    besides: Vec<&'static str>,
    /// What was typed so far of a command that spans lines.
    gathered: RefCell<Gathered>,
}

impl Assistant {
    /// The line that was being typed, before and behind the cursor.
    pub(super) fn take_line(&self) -> (String, String) {
        let (line, at) = self.seen.take();
        let (before, behind) = line.split_at_checked(at).unwrap_or((&line, ""));
        (before.to_owned(), behind.to_owned())
    }

    pub(super) fn new(toolbox: Toolbox) -> Self {
        Self {
            toolbox,
            interfaces: Vec::new(),
            chains: Vec::new(),
            keys: Vec::new(),
            lists: Vec::new(),
            seen: RefCell::default(),
            besides: Vec::new(),
            gathered: RefCell::default(),
        }
    }

    pub(super) fn besides(&mut self, words: Vec<&'static str>) {
        self.besides = words;
    }

    pub(super) fn look_at(&mut self, lab: &Lab) {
        self.interfaces = lab.interface_names().iter().map(ToString::to_string).collect();
        self.chains.clear();
        for family in Family::ALL {
            let exist = lab.machine.router().tables(family);
            for table in Table::ALL {
                if exist.contains(&table) {
                    let rules = lab.machine.router().table(family, table);
                    let names = rules.chains.iter().map(|chain| chain.name.clone());
                    self.chains.extend(names.map(|name| (family, table, name)));
                } else {
                    let names = table.hooks().iter().map(|hook: &Hook| hook.chain().to_owned());
                    self.chains.extend(names.map(|name| (family, table, name)));
                }
            }
        }
        self.keys = lab.machine.sysctls();
        let lists = lab.machine.router().shared_names();
        self.lists = lists
            .iter()
            .map(|(directory, name)| format!("/proc/net/{directory}/{name}"))
            .collect();
    }

    /// What could stand where the last word of a line is, behind `words`.
    fn candidates(&self, words: &[&str], last: &str) -> Vec<String> {
        let Some(command) = words.first() else {
            return self.commands();
        };
        let previous = words.last().copied().unwrap_or("");
        match self.toolbox.find(command).unwrap_or(command) {
            name if let Some(program) = Program::called(name) => self.of_rules(program.family(), words, previous, last),
            "ip" => self.of_ip(words, previous),
            "sysctl" => self.keys.clone(),
            "cat" => self.files(),
            "modprobe" => modules(),
            "conntrack" => match previous {
                "-f" => strings(&["ipv4", "ipv6"]),
                _ => strings(OF_CONNTRACK),
            },
            "nfct" => strings(OF_NFCT),
            "send" => match without_family(words).len() {
                1 => both(self.ways_in(), FAMILIES),
                2 => strings(&PACKETS),
                _ => strings(OF_PACKETS),
            },
            "trace" => match without_family(words).len() {
                1 => [
                    self.ways_in(),
                    strings(FAMILIES),
                    strings(&["--short", "--json", "--svg", "--why"]),
                ]
                .concat(),
                2 => strings(&PACKETS),
                _ => Vec::new(),
            },
            "why" => self.chain_names().collect(),
            "expect" if words.get(1) == Some(&"fail") => match &words[2..] {
                [] => self.may_fail(),
                inner => self.candidates(inner, last),
            },
            "expect" => self.expectations(previous),
            "learn" => LIBRARY.iter().map(|(name, _)| (*name).to_owned()).collect(),
            "help" => OWN_WORDS.iter().map(|own| own.name.to_owned()).collect(),
            "interface" => self.interfaces.clone(),
            "route" => match previous {
                "dev" => self.interfaces.clone(),
                _ => strings(&["add", "del", "default", "via", "dev"]),
            },
            "profile" => match previous {
                "profile" => strings(&["linux6", "classic"]),
                _ => strings(&["window_tracking"]),
            },
            "queue" => of_queue(words, previous),
            "sender" => strings(&["unsaid", "0:0"]),
            "listen" => strings(&["tcp", "udp"]),
            _ => Vec::new(),
        }
    }

    fn commands(&self) -> Vec<String> {
        let own = OWN_WORDS.iter().map(|own| own.name);
        let besides = self.besides.iter().copied();
        let all = self
            .toolbox
            .names
            .iter()
            .copied()
            .chain(own)
            .chain(besides)
            .chain(["exit"]);
        all.map(str::to_owned).collect()
    }

    /// What may stand behind `expect fail`.
    fn may_fail(&self) -> Vec<String> {
        let own = conversation::WORDS.iter().chain(CAN_FAIL);
        let all = self.toolbox.names.iter().chain(own);
        all.map(|name| (*name).to_owned()).collect()
    }

    fn ways_in(&self) -> Vec<String> {
        both(self.interfaces.clone(), &[LOCAL])
    }

    fn chain_names(&self) -> impl Iterator<Item = String> {
        self.chains.iter().map(|(.., name)| name.clone())
    }

    fn files(&self) -> Vec<String> {
        let knobs = self.keys.iter();
        let knobs = knobs.map(|key| format!("/proc/sys/{}", key.replace('.', "/")));
        let files = FILES.iter().map(|file| file.path.to_owned());
        files.chain(self.lists.iter().cloned()).chain(knobs).collect()
    }

    fn expectations(&self, previous: &str) -> Vec<String> {
        match previous {
            "out" => self.ways_in(),
            "by" | "rule" | "policy" => {
                let tables = Table::ALL.iter().map(|table| table.name().to_owned());
                tables.chain(self.chain_names()).collect()
            }
            "state" => strings(&["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "none"]),
            "no" => strings(&["out", "state", "by", "flow", "expectation", "log", "output"]),
            _ => strings(&[FATES, SUBJECTS, OF_EXPECTATIONS].concat()),
        }
    }

    fn of_ip(&self, words: &[&str], previous: &str) -> Vec<String> {
        match (without_family(words), previous) {
            (_, "dev" | "iif" | "oif") => self.interfaces.clone(),
            ([_], _) => [strings(&["address", "link", "route", "rule"]), strings(FAMILIES)].concat(),
            ([_, _], _) => strings(&["add", "append", "del", "flush", "get", "replace", "set", "show"]),
            _ => strings(&[
                "default", "dev", "from", "iif", "metric", "oif", "src", "table", "to", "via",
            ]),
        }
    }

    fn of_rules(&self, family: Family, words: &[&str], previous: &str, last: &str) -> Vec<String> {
        let table = words
            .windows(2)
            .find(|pair| matches!(pair[0], "-t" | "--table"))
            .and_then(|pair| Table::from_name(pair[1]))
            .unwrap_or(Table::Filter);
        let chains = || -> Vec<String> {
            self.chains
                .iter()
                .filter(|(of, its, _)| (*of, *its) == (family, table))
                .map(|(.., name)| name.clone())
                .collect()
        };
        let of_matches = || ext::matches().filter(|spec| spec.families.contains(&family));
        match previous {
            "-t" | "--table" => Table::ALL.iter().map(|table| table.name().to_owned()).collect(),
            "-A" | "-I" | "-D" | "-R" | "-C" | "-L" | "-S" | "-F" | "-Z" | "-P" | "-E" | "-X" | "-g" | "--append"
            | "--insert" | "--delete" | "--replace" | "--check" | "--list" | "--list-rules" | "--flush" | "--zero"
            | "--policy" | "--goto" => chains(),
            "-i" | "-o" | "--in-interface" | "--out-interface" => self.interfaces.clone(),
            "-p" | "--protocol" => {
                let names = of_matches().filter_map(ext::MatchSpec::protocol_name);
                names.chain(["all"]).map(str::to_owned).collect()
            }
            "-m" | "--match" => of_matches().map(|spec| spec.name.to_owned()).collect(),
            "-j" | "--jump" => {
                let mut names: Vec<String> = ["ACCEPT", "DROP", "RETURN", "QUEUE"].map(str::to_owned).to_vec();
                names.extend(
                    ext::targets()
                        .filter(|spec| spec.families.contains(&family))
                        .map(|spec| spec.name.to_owned()),
                );
                names.extend(chains());
                names
            }
            _ if chains().iter().any(|name| name == previous) && !last.starts_with('-') && words.len() > 2 => {
                ["ACCEPT", "DROP"].map(str::to_owned).to_vec()
            }
            _ => {
                let own = RULE_OPTIONS
                    .iter()
                    .filter(|text| family == Family::V4 || **text != "-f");
                let mut options: Vec<String> = own.map(|text| (*text).to_owned()).collect();
                for pair in words.windows(2) {
                    let spec = match pair[0] {
                        "-m" | "--match" | "-p" | "--protocol" => {
                            ext::find_match(pair[1], family).map(|spec| spec.options)
                        }
                        "-j" | "--jump" => ext::find_target(pair[1], family).map(|spec| spec.options),
                        _ => None,
                    };
                    options.extend(spec.into_iter().flatten().map(|option| format!("--{}", option.name)));
                }
                options
            }
        }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..at).unwrap_or(line);
        let start = before.rfind([' ', '\t', '\n']).map_or(0, |blank| blank + 1);
        let (head, last) = before.split_at(start);
        // Only the line that the cursor is on: a here-document's lines are commands too, near enough.
        let head = &head[head.rfind('\n').map_or(0, |newline| newline + 1)..];
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        let mut found: Vec<String> = self
            .candidates(&words, last)
            .into_iter()
            .filter(|candidate| candidate.starts_with(last))
            .collect();
        found.sort();
        found.dedup();
        let pairs = found
            .into_iter()
            .map(|text| Pair {
                display: text.clone(),
                replacement: text + " ",
            })
            .collect();
        Ok((start, pairs))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match self.gathered.borrow_mut().is_complete(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

/// No hints; but it is asked for one at each change of the line.
impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        *self.seen.borrow_mut() = (line.to_owned(), at);
        None
    }
}

impl Highlighter for Assistant {}

impl Helper for Assistant {}

/// A text that comes line by line, as far as it was last looked at: a here-document of ten thousand lines is not to be read ten thousand times.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    text: String,
    /// What is to come yet.
    awaits: Option<String>,
}

impl Gathered {
    /// False while a quote or a here-document is open, or a line goes on.
    pub(super) fn is_complete(&mut self, text: &str) -> bool {
        if let Some(awaits) = &self.awaits
            && let Some(new) = text.strip_prefix(self.text.as_str())
        {
            // What is awaited stands on one line, which may have begun before.
            let line = self.text.rfind('\n').map_or(0, |newline| newline + 1);
            if !text[line..].contains(awaits.as_str()) {
                self.text.push_str(new);
                return false;
            }
        }
        self.awaits = lex::lex(text).err().and_then(|error| error.awaits);
        self.text.clear();
        if self.awaits.is_some() {
            self.text.push_str(text);
        }
        self.awaits.is_none()
    }
}

const RULE_OPTIONS: &[&str] = &[
    "-t",
    "-A",
    "-I",
    "-D",
    "-R",
    "-C",
    "-L",
    "-S",
    "-F",
    "-Z",
    "-N",
    "-X",
    "-P",
    "-E",
    "-p",
    "-s",
    "-d",
    "-i",
    "-o",
    "-f",
    "-m",
    "-j",
    "-g",
    "-n",
    "-v",
    "-x",
    "-c",
    "-w",
    "--line-numbers",
];

/// Without what says in which family names are meant, where that stands behind the command.
fn without_family<'a, 'w>(words: &'a [&'w str]) -> &'a [&'w str] {
    match words {
        [_, said, ..] if FAMILIES.contains(said) => &words[1..],
        _ => words,
    }
}

const FAMILIES: &[&str] = &["-4", "-6"];

/// Behind `queue`: what its line takes at this place.
fn of_queue(words: &[&str], previous: &str) -> Vec<String> {
    let free = |names: &[&'static str]| -> Vec<String> {
        let left = names.iter().filter(|name| !words.contains(name));
        left.map(|name| (*name).to_owned()).collect()
    };
    match (words, previous) {
        ([_], _) => strings(&["0"]),
        ([_, _], _) => strings(&["open", "close", "accept", "drop", "repeat"]),
        (_, "maximum" | "mark") => Vec::new(),
        (_, "as") => strings(&PACKETS),
        ([_, _, "open", ..], "fail-open") => Vec::new(),
        ([_, _, "open"], _) => strings(&["maximum", "fail-open"]),
        ([_, _, "open", ..], _) => free(&["fail-open"]),
        (_, _) if words.contains(&"as") => strings(OF_PACKETS),
        ([_, _, "accept" | "drop" | "repeat"], _) => strings(&["mark", "as"]),
        ([_, _, "accept" | "drop" | "repeat", ..], _) => free(&["as"]),
        _ => Vec::new(),
    }
}

/// The modules that `modprobe` knows.
fn modules() -> Vec<String> {
    let helpers = helper::registry().iter();
    let modules = helpers.flat_map(|spec| spec.modules.iter().chain(spec.nat_modules));
    let all = ["ip_conntrack", "nf_conntrack"].iter().chain(modules);
    all.map(|name| (*name).to_owned()).collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn both(mut known: Vec<String>, more: &[&str]) -> Vec<String> {
    known.extend(strings(more));
    known
}

/// What a packet may have behind its ends.
const OF_PACKETS: &[&str] = &[
    "seq",
    "ack",
    "win",
    "mss",
    "wscale",
    "sackok",
    "sack",
    "ts",
    "ttl",
    "tos",
    "id",
    "ipid",
    "df",
    "mf",
    "frag",
    "data",
    "zeros",
    "badsum",
    "badipsum",
    "hl",
    "tclass",
    "flow",
    "hbh",
    "dstopt",
    "rt",
    "ah",
    "echo-request",
    "echo-reply",
    "unreachable",
    "time-exceeded",
    "quoting",
    "last",
    "port",
];
const OF_CONNTRACK: &[&str] = &[
    "-L",
    "-G",
    "-D",
    "-I",
    "-A",
    "-U",
    "-F",
    "-C",
    "-S",
    "-E",
    "-R",
    "-p",
    "-s",
    "-d",
    "-r",
    "-q",
    "-f",
    "-t",
    "-u",
    "-m",
    "-n",
    "-g",
    "-j",
    "-z",
    "-o",
    "--orig-src",
    "--orig-dst",
    "--reply-src",
    "--reply-dst",
    "--mask-src",
    "--mask-dst",
    "--tuple-src",
    "--tuple-dst",
    "--sport",
    "--dport",
    "--reply-port-src",
    "--reply-port-dst",
    "--state",
    "--icmp-type",
    "--icmp-code",
    "--icmp-id",
    "--srckey",
    "--dstkey",
    "--zone",
    "--label",
    "extended",
    "id",
    "xml",
    "ktimestamp",
    "labels",
    "save",
    "conntrack",
    "expect",
    "dying",
    "unconfirmed",
];
/// Commands and words of policies.
const OF_NFCT: &[&str] = &[
    "add",
    "delete",
    "get",
    "list",
    "flush",
    "default-get",
    "default-set",
    "timeout",
    "inet",
    "inet6",
];
/// What may stand further on in some.
const OF_EXPECTATIONS: &[&str] = &["packets", "bytes"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repl::tests::TOOLS;

    fn assistant() -> Assistant {
        let mut assistant = Assistant::new(TOOLS);
        let mut lab = Lab::default_lab(1, crate::cli::TOOLBOX).unwrap();
        let rule = "-A INPUT -m recent --set --name ssh".split(' ').map(str::to_owned);
        lab.tool("iptables", &rule.collect::<Vec<_>>(), "", std::path::Path::new("."));
        let chain = ["-N", "six-alone"].map(str::to_owned);
        lab.tool("ip6tables", &chain, "", std::path::Path::new("."));
        assistant.look_at(&lab);
        assistant
    }

    fn offers(assistant: &Assistant, line: &str) -> Vec<String> {
        let history = rustyline::history::DefaultHistory::new();
        let (_, pairs) = assistant.complete(line, line.len(), &Context::new(&history)).unwrap();
        pairs.into_iter().map(|pair| pair.display).collect()
    }

    #[test]
    fn each_place_offers_what_fits() {
        let assistant = assistant();
        for (line, offered) in [
            ("sen", &["send", "sender"][..]),
            ("ex", &["exit", "expect"]),
            ("iptab", &["iptables"]),
            ("nonsense ", &[]),
            ("iptables -t m", &["mangle"]),
            ("iptables -A FO", &["FORWARD"]),
            ("iptables -t nat -A PO", &["POSTROUTING"]),
            ("iptables --table nat -g POSTROUTING --append PO", &["POSTROUTING"]),
            ("iptables -t nat -A FORW", &[]),
            ("iptables -A INPUT -i la", &["lan"]),
            ("iptables -A FORWARD -i lan -o wa", &["wan"]),
            ("iptables -A INPUT -p ud", &["udp"]),
            ("ip6t", &["ip6tables"]),
            ("ip6tables -A FO", &["FORWARD"]),
            ("ip6tables -A six", &["six-alone"]),
            ("iptables -A six", &[]),
            ("iptables -A INPUT -p ic", &["icmp"]),
            ("ip6tables -A INPUT -p ic", &["icmpv6"]),
            ("iptables -A INPUT -m he", &["helper"]),
            ("ip6tables -A INPUT -m hb", &["hbh"]),
            ("ip6tables -A INPUT -m ttl", &[]),
            ("ip6tables -A INPUT -p icmpv6 --icmp", &["--icmpv6-type"]),
            ("ip6tables -A INPUT -m hl --hl-l", &["--hl-lt"]),
            ("ip6tables -A INPUT -j H", &["HL"]),
            ("ip6tables -A INPUT -f", &[]),
            ("ip -6 ro", &["route"]),
            ("ip -6 route add default dev la", &["lan"]),
            ("ip ro", &["route"]),
            ("conntrack -f ", &["ipv4", "ipv6"]),
            ("send -6 w", &["wan"]),
            ("send -6 lan icm", &["icmp", "icmpv6"]),
            ("trace -", &["--json", "--short", "--svg", "--why", "-4", "-6"]),
            ("iptables -A INPUT -m conntr", &["conntrack"]),
            ("iptables -A INPUT -j DR", &["DROP"]),
            ("iptables -A INPUT -j REJ", &["REJECT"]),
            ("iptables -A INPUT -j FORW", &["FORWARD"]),
            ("iptables -A INPUT -p tcp --dpo", &["--dport"]),
            ("iptables -A INPUT --match multiport --po", &["--ports"]),
            ("iptables -A INPUT -j REJECT --rej", &["--reject-with"]),
            ("iptables -A INPUT --line", &["--line-numbers"]),
            ("iptables -P INPUT DR", &["DROP"]),
            ("iptables -P INPUT -j", &["-j"]),
            ("iptables INPUT DR", &[]),
            ("iptables -A INPUT -s 10.0.0.2 DR", &[]),
            (
                "sysctl net.netfilter.nf_conntrack_tcp_lo",
                &["net.netfilter.nf_conntrack_tcp_loose"],
            ),
            ("cat /proc/mod", &["/proc/modules"]),
            (
                "cat /proc/sys/net/ipv4/ip_forward_use",
                &["/proc/sys/net/ipv4/ip_forward_use_pmtu"],
            ),
            ("modprobe ip_conntrack_f", &["ip_conntrack_ftp"]),
            ("conntrack --reply-s", &["--reply-src"]),
            ("send w", &["wan"]),
            ("send loc", &["local"]),
            ("send lan ic", &["icmp", "icmpv6"]),
            ("send lan tcp 10.0.0.2:1 > 192.0.2.9:2 S w", &["win", "wscale"]),
            ("trace --s", &["--short", "--svg"]),
            ("trace w", &["wan"]),
            ("trace lan ud", &["udp"]),
            ("trace lan udp w", &[]),
            ("why FO", &["FORWARD"]),
            ("expect out w", &["wan"]),
            ("expect by FO", &["FORWARD"]),
            ("expect no policy ma", &["mangle"]),
            ("expect state N", &["NEW"]),
            ("expect rule FORWARD 1 pa", &["packets"]),
            ("expect no pa", &[]),
            ("expect no st", &["state"]),
            ("expect fail s", &["send", "sysctl"]),
            ("expect fail queue 1 o", &["open"]),
            ("expect fail e", &[]),
            ("cat /proc/net/xt_", &["/proc/net/xt_recent/ssh"]),
            ("help sen", &["send", "sender"]),
            ("interface wa", &["wan"]),
            ("route add default dev w", &["wan"]),
            ("route add def", &["default"]),
            ("profile cl", &["classic"]),
            ("profile classic w", &["window_tracking"]),
            ("queue ", &["0"]),
            ("queue 0 op", &["open"]),
            ("queue 1 open ", &["fail-open", "maximum"]),
            ("queue 1 open maximum ", &[]),
            ("queue 1 open maximum 5 ", &["fail-open"]),
            ("queue 1 open fail-open ", &[]),
            ("queue 1 accept ", &["as", "mark"]),
            ("queue 1 accept mark 5 ", &["as"]),
            ("queue 1 accept as ", &["hex", "icmp", "icmpv6", "ip", "tcp", "udp"]),
            ("queue 1 close ", &[]),
            ("sender un", &["unsaid"]),
            ("listen t", &["tcp"]),
            // The line that the cursor is on, and a tab is as good as a blank.
            ("iptables -S\nsend\tw", &["wan"]),
        ] {
            assert_eq!(offers(&assistant, line), offered, "{line:?}");
        }
    }

    #[test]
    fn a_word_is_completed_up_to_the_cursor() {
        let history = rustyline::history::DefaultHistory::new();
        let (start, pairs) = assistant().complete("send wan", 6, &Context::new(&history)).unwrap();
        assert_eq!((start, pairs[0].replacement.as_str()), (5, "wan "));
    }

    #[test]
    fn the_line_that_was_being_typed_is_taken_once() {
        let assistant = assistant();
        let history = rustyline::history::DefaultHistory::new();
        for (at, before, behind) in [
            (0, "", "send wän"),
            (6, "send w", "än"),
            (7, "send wän", ""),
            (9, "send wän", ""),
        ] {
            assert_eq!(assistant.hint("send wän", at, &Context::new(&history)), None);
            assert_eq!(assistant.take_line(), (before.to_owned(), behind.to_owned()), "{at}");
            assert_eq!(assistant.take_line(), (String::new(), String::new()));
        }
    }

    fn is_complete(text: &str) -> bool {
        Gathered::default().is_complete(text)
    }

    #[test]
    fn a_command_may_span_lines() {
        assert!(is_complete("iptables -L"));
        assert!(is_complete("iptabels 'x'"));
        assert!(!is_complete("iptables-restore <<EOF\n*filter\n"));
        assert!(is_complete("iptables-restore <<EOF\n*filter\nCOMMIT\nEOF\n"));
        assert!(!is_complete("iptables -A INPUT \\"));
        assert!(!is_complete("echo 'a"));
    }

    /// Letter by letter, line by line, and with something else in between: what was seen before makes no difference.
    #[test]
    fn what_grows_is_complete_when_it_would_be_alone() {
        for text in [
            "a <<EOF\nEO\nEOF",
            "a <<-'E\"'\n'\n\tE\"\r\nb 'c\nd\" e' \"f'\n\\\"\" \\\ng <<E\nE\n",
            "a <<''\nb\n\nc <<'x\ny'\nx\ny\n",
            "a <<E b <<F\nE\n",
            "ä 'ö\n\\' \\'ü\n\"\\\"",
        ] {
            let ends: Vec<usize> = (0..=text.len()).filter(|&at| text.is_char_boundary(at)).collect();
            for step in 1..=ends.len() {
                let mut gathered = Gathered::default();
                for &end in ends.iter().step_by(step) {
                    let begun = &text[..end];
                    assert_eq!(gathered.is_complete(begun), is_complete(begun), "{begun:?}");
                    // Somebody goes back.
                    let back = &text[..ends[ends.len() / 2].min(end)];
                    assert_eq!(gathered.clone().is_complete(back), is_complete(back), "{back:?}");
                }
            }
        }
    }
}
