//! A line that begins with no word of a lab: what its author may have meant.

use crate::lab::machine::Toolbox;
use crate::lab::script::OWN_WORDS;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::Word;

pub(super) fn unknown(line: &[Word], toolbox: Toolbox) -> Problem {
    let word = &line[0];
    let is_known = |text: &str| toolbox.find(text).is_some() || OWN_WORDS.iter().any(|own| own.name == text);
    let known = OWN_WORDS
        .iter()
        .map(|own| own.name)
        .chain(toolbox.names.iter().copied());
    let behind = line.get(1).filter(|next| is_known(&next.text));
    let is_prompt = word.text.ends_with(['#', '$', '>', '%']);
    let of_shells = OF_SHELLS.iter().find(|(name, _)| *name == word.text);
    let remedy = if behind.is_some() && (is_prompt || word.text == "sudo") {
        let rest: Vec<&str> = line[1..].iter().map(|word| word.text.as_str()).collect();
        format!("leave `{}` away: `{}`", word.text, rest.join(" "))
    } else if let Some((_, remedy)) = of_shells {
        (*remedy).to_owned()
    } else if OF_TEST_FILES.contains(&word.text.as_str()) {
        format!(
            "`{}` belongs to a test file, outside of its tests: `nflab test FILE` runs one",
            word.text
        )
    } else if let Some(near) = suggestion(&word.text, known) {
        format!("did you mean `{near}`?")
    } else {
        "`help` lists the lab's own words; tools are called by their names, as in a shell".to_owned()
    };
    Problem::new(
        word.position,
        format!("`{}` is no command of a lab", word.text),
        "expected a tool or a word of the lab",
        remedy,
    )
}

/// What people type at a machine's prompt, and what a lab has instead.
const OF_SHELLS: &[(&str, &str)] = &[
    ("?", "`help` lists the words of a lab"),
    ("man", "`help WORD` tells of a lab's words, and `iptables -h` of a tool"),
    (
        "ls",
        "`sysctl -a | grep ip_ct_` lists settings, `cat --help` the other files of a lab",
    ),
    ("cd", "a lab has no directories: files are named by their whole path"),
    (
        "telnet",
        "`handshake client > server:23` opens a connection, `data client > server \"TEXT\"` sends something",
    ),
    (
        "nc",
        "`handshake client > server:80` opens a connection, `data client > server \"TEXT\"` sends something",
    ),
    ("ssh", "`handshake client > server:22` opens a connection"),
    (
        "curl",
        "`handshake client > server:80` opens a connection, `data client > server \"TEXT\"` sends something",
    ),
    (
        "service",
        "a lab has no services: rules hold once they are typed, `iptables -F` and `ip6tables -F` flush them",
    ),
    (
        "systemctl",
        "a lab has no services: rules hold once they are typed, `iptables -F` and `ip6tables -F` flush them",
    ),
    ("sleep", "`advance 30s` moves the lab's clock"),
    ("wait", "`advance 30s` moves the lab's clock"),
    ("less", WHOLE_FILES),
    ("more", WHOLE_FILES),
    ("head", WHOLE_FILES),
    ("tail", WHOLE_FILES),
    (
        "watch",
        "the clock stands still between commands: `advance 5s`, then `cat /proc/net/nf_conntrack` again",
    ),
    ("insmod", "`modprobe MODULE` loads one"),
    ("rmmod", "`modprobe -r MODULE` takes one out"),
    ("ifconfig", "`ip address`, or `lab` for all of it"),
    (
        "traceroute",
        "`send lan udp client:40000 > server:33434 ttl 1` is what it sends first",
    ),
    (
        "tcpdump",
        "`send` shows the packets that leave, `trace N` the way of one; a capture goes through `nflab replay`",
    ),
    (
        "ping6",
        "`ping -6 client > server` is an echo request and its answer, as `ping` is",
    ),
    (
        "traceroute6",
        "`send lan udp [2001:db8::2]:40000 > [2001:db8:1::9]:33434 hl 1` is what it sends first",
    ),
    ("tcp", A_PACKET),
    ("icmp", A_PACKET),
    ("icmpv6", A_PACKET),
];

const WHOLE_FILES: &str = "`cat FILE` and `| grep WORD` are here";
const A_PACKET: &str = "did you mean `send lan tcp ...`? It says by which interface a packet comes";

/// Words that `nflab test` knows and scripts don't.
pub(super) const OF_TEST_FILES: &[&str] = &["test", "setup", "table", "include", "rules", "rules6", "seed", "end"];
