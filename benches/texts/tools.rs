//! Texts of the tools themselves: what `iptables-restore` reads, single commands against many rules, listings; asked of the real tools too.

use std::borrow::Cow;
use std::fmt::Write;

use super::{Call, Form};

type Files = Vec<(Cow<'static, str>, String)>;

pub(crate) fn forms() -> Vec<Form> {
    let tools = |name, size, files, line| Form {
        name,
        size,
        files,
        call: Call::Tools(line),
        status: 0,
        starts_each: false,
    };
    const RESTORE: &str = "iptables-legacy-restore f";
    vec![
        tools("restore: empty chains", 20_000, |n| chains(0..n), RESTORE),
        tools(
            "restore: empty chains, last name first",
            20_000,
            |n| chains((0..n).rev()),
            RESTORE,
        ),
        tools(
            "restore: rules in one chain",
            20_000,
            |n| filter(&rules("-A FORWARD", n)),
            RESTORE,
        ),
        tools("restore: a chain for each rule", 10_000, chain_for_each_rule, RESTORE),
        tools("restore: every rule jumps to one chain", 20_000, jumps_to_one, RESTORE),
        tools("restore: each chain jumps to the next", 5_000, chain_of_chains, RESTORE),
        tools("restore: each chain jumps to the next twice", 5_000, diamonds, RESTORE),
        tools("restore: a loop at the end", 5_000, loop_at_the_end, RESTORE).ends(1),
        tools(
            "restore: tables, one after another",
            4_000,
            |n| file("*filter\n-A INPUT -j DROP\nCOMMIT\n".repeat(n)),
            RESTORE,
        ),
        tools(
            "restore: inserted at the head",
            20_000,
            |n| filter(&rules("-I FORWARD", n)),
            RESTORE,
        ),
        tools(
            "restore: inserted in the middle",
            5_000,
            inserted_in_the_middle,
            RESTORE,
        ),
        tools(
            "restore: deleted by number, the first",
            10_000,
            |n| deleted(n, |_| "-D FORWARD 1".to_owned()),
            RESTORE,
        ),
        tools(
            "restore: deleted by number, the last",
            10_000,
            |n| deleted(n, |at| format!("-D FORWARD {}", n - at)),
            RESTORE,
        ),
        tools(
            "restore: deleted as typed, the first first",
            10_000,
            |n| deleted(n, |at| rule("-D FORWARD", at)),
            RESTORE,
        ),
        tools(
            "restore: deleted as typed, the last first",
            2_000,
            |n| deleted(n, |at| rule("-D FORWARD", n - 1 - at)),
            RESTORE,
        ),
        tools(
            "restore: asked for as typed (-C)",
            2_000,
            |n| deleted(n, |at| rule("-C FORWARD", at)),
            RESTORE,
        ),
        tools(
            "restore: replaced",
            5_000,
            |n| deleted(n, |at| format!("-R FORWARD {} -j DROP", at + 1)),
            RESTORE,
        ),
        tools("restore: chains made and deleted", 10_000, made_and_deleted, RESTORE),
        tools("restore: chains renamed", 5_000, renamed, RESTORE),
        tools(
            "restore: chains flushed",
            10_000,
            |n| chains_then(n, |at| format!("-F c{at}")),
            RESTORE,
        ),
        tools(
            "restore: chains zeroed",
            10_000,
            |n| chains_then(n, |at| format!("-Z c{at}")),
            RESTORE,
        ),
        tools(
            "restore: a policy set again and again",
            20_000,
            |n| filter(&"-P FORWARD DROP\n".repeat(n)),
            RESTORE,
        ),
        tools(
            "restore: counters",
            20_000,
            |n| filter(&rules("[17:4000] -A FORWARD", n)),
            "iptables-legacy-restore -c f",
        ),
        tools(
            "restore: comments and empty lines",
            200_000,
            |n| filter(&"# nothing\n\n".repeat(n)),
            RESTORE,
        ),
        tools("restore: rules with many sources", 200, many_sources, RESTORE),
        tools("restore: rules with many matches", 2_000, many_matches, RESTORE),
        tools(
            "restore: told (-v)",
            10_000,
            |n| filter(&rules("-A FORWARD", n)),
            "iptables-legacy-restore -v f",
        ),
        tools(
            "restore: again, on top",
            20_000,
            |n| filter(&rules("-A FORWARD", n)),
            "iptables-legacy-restore f; iptables-legacy-restore f",
        ),
        tools(
            "restore: -n, on top of many",
            20_000,
            |n| filter(&rules("-A FORWARD", n)),
            "iptables-legacy-restore f; iptables-legacy-restore -n f",
        ),
        tools(
            "a command beside many rules",
            20_000,
            |n| filter(&rules("-A FORWARD", n)),
            "iptables-legacy-restore f; for i in 1 2 3 4 5 6 7 8; do iptables-legacy -A INPUT -j DROP; done",
        ),
        tools(
            "a command beside many chains",
            10_000,
            chain_for_each_rule,
            "iptables-legacy-restore f; for i in 1 2 3 4 5 6 7 8; do iptables-legacy -A INPUT -j DROP; done",
        ),
        tools(
            "iptables-save -c of many rules",
            20_000,
            |n| filter(&rules("-A FORWARD", n)),
            "iptables-legacy-restore f; iptables-legacy-save -c",
        ),
        tools(
            "iptables-save of many chains",
            10_000,
            chain_for_each_rule,
            "iptables-legacy-restore f; iptables-legacy-save",
        ),
        tools(
            "iptables -S of many rules",
            20_000,
            |n| filter(&rules("-A FORWARD", n)),
            "iptables-legacy-restore f; iptables-legacy -S",
        ),
        tools(
            "iptables -L -n -v of many rules",
            20_000,
            |n| filter(&rules("-A FORWARD", n)),
            "iptables-legacy-restore f; iptables-legacy -L -n -v",
        ),
        tools(
            "iptables -L -n of many chains",
            10_000,
            chain_for_each_rule,
            "iptables-legacy-restore f; iptables-legacy -L -n",
        ),
        tools(
            "iptables -F and -X of many chains",
            10_000,
            chain_for_each_rule,
            "iptables-legacy-restore f; iptables-legacy -F; iptables-legacy -X",
        ),
        tools(
            "iptables: a command each",
            60,
            |_| Vec::new(),
            "for i in $(seq $N); do iptables-legacy -A INPUT -s 10.0.0.$i -j DROP; done",
        )
        .starts_each(),
        tools(
            "conntrack -R of many flows",
            5_000,
            |n| {
                let flow = |n| {
                    format!(
                        "-A -s 10.0.{}.{} -d 10.1.0.1 -p udp --sport 9 --dport 53 -t 100",
                        n >> 8,
                        n & 255
                    )
                };
                file(lines(n, flow))
            },
            "conntrack -R f; conntrack -L",
        ),
    ]
}

impl Form {
    fn starts_each(self) -> Self {
        Self {
            starts_each: true,
            ..self
        }
    }

    fn ends(self, status: i32) -> Self {
        Self { status, ..self }
    }
}

/// A restore file of one table.
fn filter(lines: &str) -> Files {
    file(format!("*filter\n{lines}COMMIT\n"))
}

fn file(text: String) -> Files {
    vec![("f".into(), text)]
}

fn chains(numbers: impl Iterator<Item = usize>) -> Files {
    filter(&numbers.map(|n| format!(":c{n} - [0:0]\n")).collect::<String>())
}

/// A rule that no other number has.
fn rule(verb: &str, n: usize) -> String {
    format!(
        "{verb} -s 10.{}.{}.{}/32 -p tcp -m tcp --dport {} -j ACCEPT",
        n >> 16,
        n >> 8 & 255,
        n & 255,
        n % 60_000 + 1
    )
}

pub(crate) fn rules(verb: &str, count: usize) -> String {
    lines(count, |n| rule(verb, n))
}

pub(crate) fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for n in 0..count {
        let _ = writeln!(text, "{}", line(n));
    }
    text
}

pub(crate) fn chain_for_each_rule(count: usize) -> Files {
    filter(&format!(
        "{}{}{}",
        lines(count, |n| format!(":c{n} - [0:0]")),
        lines(count, |n| format!(
            "-A FORWARD -s 10.{}.{}.{}/32 -j c{n}",
            n >> 16,
            n >> 8 & 255,
            n & 255
        )),
        lines(count, |n| format!("-A c{n} -j DROP")),
    ))
}

fn jumps_to_one(count: usize) -> Files {
    let jumps = lines(count, |n| {
        format!("-A FORWARD -s 10.{}.{}.{}/32 -j one", n >> 16, n >> 8 & 255, n & 255)
    });
    filter(&format!(":one - [0:0]\n-A one -j DROP\n{jumps}"))
}

pub(crate) fn chain_of_chains(count: usize) -> Files {
    filter(&format!(
        "{}-A FORWARD -j c0\n{}",
        lines(count, |n| format!(":c{n} - [0:0]")),
        lines(count - 1, |n| format!("-A c{n} -j c{}", n + 1)),
    ))
}

/// Each chain is reached by 2^n ways.
fn diamonds(count: usize) -> Files {
    filter(&format!(
        "{}-A FORWARD -j c0\n{}",
        lines(count, |n| format!(":c{n} - [0:0]")),
        lines(count - 1, |n| format!("-A c{n} -p tcp -j c{0}\n-A c{n} -j c{0}", n + 1)),
    ))
}

fn loop_at_the_end(count: usize) -> Files {
    filter(&format!(
        "{}-A FORWARD -j c0\n{}-A c{} -j c0\n",
        lines(count, |n| format!(":c{n} - [0:0]")),
        lines(count - 1, |n| format!("-A c{n} -j c{}", n + 1)),
        count - 1,
    ))
}

fn inserted_in_the_middle(count: usize) -> Files {
    filter(&format!(
        "{}{}",
        rules("-A FORWARD", count),
        rules(&format!("-I FORWARD {}", count / 2 + 1), count),
    ))
}

fn deleted(count: usize, line: impl Fn(usize) -> String) -> Files {
    filter(&format!("{}{}", rules("-A FORWARD", count), lines(count, line)))
}

fn made_and_deleted(count: usize) -> Files {
    filter(&format!(
        "{}{}",
        lines(count, |n| format!("-N c{n}")),
        lines(count, |n| format!("-X c{n}"))
    ))
}

fn renamed(count: usize) -> Files {
    filter(&format!(
        "{}{}{}",
        lines(count, |n| format!("-N c{n}")),
        lines(count, |n| format!("-A FORWARD -j c{n}")),
        lines(count, |n| format!("-E c{n} d{n}")),
    ))
}

fn chains_then(count: usize, line: impl Fn(usize) -> String) -> Files {
    filter(&format!(
        "{}{}",
        lines(count, |n| format!("-N c{n}")),
        lines(count, line)
    ))
}

/// As many as a line has room for.
fn many_sources(count: usize) -> Files {
    filter(&lines(count, |n| {
        let sources: Vec<String> = (0..60).map(|k| format!("10.{}.{}.{k}", n >> 8, n & 255)).collect();
        format!("-A FORWARD -s {} -j DROP", sources.join(","))
    }))
}

fn many_matches(count: usize) -> Files {
    filter(&lines(count, |n| {
        let matches: String = (0..40).map(|k| format!(" -m comment --comment {n}-{k}")).collect();
        format!("-A FORWARD{matches} -j DROP")
    }))
}
