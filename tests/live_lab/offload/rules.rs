//! What rules do with packets that stand for many, beside the kernel: each is one to them, with all its bytes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Beside, Made, ROUTER, in_a_namespace};

#[derive(Default)]
struct Case {
    what: String,
    rules: String,
    made: Vec<Made>,
    /// Of all packets together.
    leave: usize,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in include_str!("rules.txt").lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "case" {
            cases.push(Case {
                what: rest.to_owned(),
                ..Case::default()
            });
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        match word {
            "case" | "" => {}
            "packet" => case.made.push(made(rest)),
            "leave" => case.leave = rest.parse().unwrap(),
            _ => case.rules += &format!("{line}\n"),
        }
    }
    cases
}

/// Whose words are its protocol, its port, and what is not as by default.
fn made(words: &str) -> Made {
    let mut words = words.split(' ');
    let is_tcp = words.next() == Some("tcp");
    let mut made = Made {
        port: words.next().unwrap().parse().unwrap(),
        size: if is_tcp { 800 } else { 700 },
        is_tcp,
        ..Made::default()
    };
    for word in words {
        match word.split_once('=').unwrap() {
            ("to", "router") => made.to = ROUTER,
            ("flags", value) => made.flags = u8::from_str_radix(value.trim_start_matches("0x"), 16).unwrap(),
            ("options", value) => made.options = value.parse().unwrap(),
            other => panic!("{other:?}"),
        }
    }
    made
}

pub(in super::super) fn rules_meet_what_stands_for_many_as_one_packet() {
    in_a_namespace(|| {
        let mut beside = Beside::new(1500);
        beside.both("sysctl", &["-q", "-w", "net.netfilter.nf_conntrack_acct=1"], "");
        let cases = cases();
        assert!(cases.len() >= 10);
        for (number, case) in cases.iter().enumerate() {
            let rules: String = ["raw", "mangle", "nat", "filter"]
                .iter()
                .filter(|table| !case.rules.contains(&format!("*{table}\n")))
                .map(|table| format!("*{table}\nCOMMIT\n"))
                .collect();
            beside.both("iptables-restore", &[], &(rules + &case.rules));
            let mut leave = 0;
            for (at, made) in case.made.iter().enumerate() {
                let packet = made.packet(1000 + 100 * number as u16 + 10 * at as u16);
                leave += beside.carry(&format!("{}, packet {at}", case.what), packet);
            }
            assert_eq!(leave, case.leave, "{}: packets leave", case.what);
            for (name, args) in [
                ("iptables-save", &["-c", "-t", "raw"][..]),
                ("iptables-save", &["-c", "-t", "mangle"]),
                ("iptables-save", &["-c", "-t", "nat"]),
                ("iptables-save", &["-c", "-t", "filter"]),
                ("conntrack", &["-L"]),
            ] {
                let [ours, theirs] = beside.both(name, args, "").map(|printed| settled(&printed));
                assert_eq!(ours, theirs, "{}: {name} {args:?}", case.what);
            }
            beside.both("conntrack", &["-F"], "");
        }
    });
}

/// Lines without comments, without the seconds that a flow has left, and in an order of their own.
fn settled(printed: &str) -> Vec<String> {
    let without_seconds = |line: &str| match line.strip_prefix("tcp ").or(line.strip_prefix("udp ")) {
        Some(rest) => line[..3].to_owned() + rest.split_whitespace().skip(2).collect::<Vec<_>>().join(" ").as_str(),
        None => line.to_owned(),
    };
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    let mut lines: Vec<String> = lines.map(without_seconds).collect();
    lines.sort();
    lines
}

impl Beside {
    /// A command on both sides, which must succeed: what nflab's prints, and the kernel's.
    fn both(&mut self, name: &str, args: &[&str], input: &str) -> [String; 2] {
        let words: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let ours = self.lab.tool(name, &words, input, Path::new("/"));
        assert_eq!(ours.code, 0, "{name} {args:?}\n{input}{}", ours.stderr);
        let program = match name.strip_prefix("iptables-") {
            Some(rest) => format!("iptables-legacy-{rest}"),
            None => name.to_owned(),
        };
        let mut child = Command::new(&program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| panic!("{program}: {why}"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let theirs = child.wait_with_output().unwrap();
        let [printed, complaint] = [theirs.stdout, theirs.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(theirs.status.success(), "{program} {args:?}\n{input}{complaint}");
        [ours.stdout, printed]
    }
}
