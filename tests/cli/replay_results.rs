//! What `nflab replay` tells of packets: comments that tshark shows, explanations, summaries, two rulesets compared.

use std::path::Path;

use serde_json::Value;

use crate::bench::{Bench, LAB, Ran};
use crate::replay::{CONVERSATION, RULES, capture};

/// The same, but answers to strangers pass, and TCP is dropped without a word.
const OTHER: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n\
                     -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -p udp -j ACCEPT\n\
                     -A FORWARD -i lan -p tcp -j DROP\nCOMMIT\n";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules.v4", RULES);
    bench.write("other.v4", OTHER);
    capture(&bench.path("in.pcapng"), CONVERSATION);
    bench
}

fn replay(bench: &Bench, more: &[&str]) -> Ran {
    let mut args = vec!["replay", "--lab", "lab.toml", "--rules", "rules.v4", "in.pcapng"];
    args.extend(more);
    bench.nflab(&args)
}

/// Numbers, interfaces and comments as tshark shows them; `None`, said aloud, where it is not installed.
fn tshark(bench: &Bench, file: &str) -> Option<Vec<String>> {
    let mut command = bench.command(Path::new("tshark"));
    command.args(["-r", file, "-T", "fields", "-E", "separator=|"]);
    for field in ["frame.number", "frame.interface_name", "frame.comment"] {
        command.args(["-e", field]);
    }
    if let Err(error) = std::process::Command::new("tshark").arg("--version").output() {
        assert!(
            std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none() || error.kind() != std::io::ErrorKind::NotFound,
            "tshark is not installed, and NFLAB_REQUIRE_KERNEL wants every test"
        );
        eprintln!("!!! comments as tshark shows them WERE NOT LOOKED AT: tshark: {error}");
        return None;
    }
    let ran = crate::bench::run(command, "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    Some(ran.out.lines().map(str::to_owned).collect())
}

#[test]
fn tshark_shows_verdict_state_and_rule() {
    let bench = bench();
    let ran = replay(&bench, &["--out", "out.pcapng", "--annotate", "annotated.pcapng"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let first = "rule 2 of filter FORWARD: -i lan -p udp -j ACCEPT";
    if let Some(lines) = tshark(&bench, "annotated.pcapng") {
        assert_eq!(
            lines,
            [
                &format!("1|lan|ACCEPT NEW, {first}; out by wan as udp 192.0.2.1:5000 > 192.0.2.9:53"),
                "2|wan|ACCEPT ESTABLISHED, rule 1 of filter FORWARD: -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; out by lan as udp 192.0.2.9:53 > 10.0.0.2:5000",
                "3|lan|REJECT NEW, rule 3 of filter FORWARD: -i lan -p tcp -j REJECT --reject-with icmp-port-unreachable; answered by the router",
                "4|wan|DROP NEW, policy of filter FORWARD: DROP",
                "5|local|ACCEPT NEW, policy of filter OUTPUT: ACCEPT; out by lan",
                "6|wan|ACCEPT NEW, policy of filter INPUT: ACCEPT; reached the router; answered by the router",
            ]
        );
    }
    if let Some(lines) = tshark(&bench, "out.pcapng") {
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[0],
            format!("1|wan|packet 1, in by lan: ACCEPT NEW, {first}; came as udp 10.0.0.2:5000 > 192.0.2.9:53")
        );
        assert_eq!(
            lines[2],
            "3|lan|the router's own, because of packet 3, in by lan: REJECT NEW, rule 3 of filter FORWARD: -i lan -p tcp -j REJECT --reject-with icmp-port-unreachable"
        );
        assert_eq!(
            lines[3],
            "4|lan|packet 5, from the router: ACCEPT NEW, policy of filter OUTPUT: ACCEPT"
        );
        assert_eq!(
            lines[4],
            "5|local|packet 6, in by wan: ACCEPT NEW, policy of filter INPUT: ACCEPT"
        );
        assert!(
            lines[5].starts_with("6|wan|the router's own, because of packet 6"),
            "{}",
            lines[5]
        );
    }
}

#[test]
fn json_names_the_rule() {
    let bench = bench();
    let ran = replay(&bench, &["--json", "-"]);
    let rules: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["rule"].clone())
        .collect();
    assert_eq!(rules[0]["number"], 2);
    assert_eq!(
        rules[3],
        serde_json::json!({"family": "IPv4", "table": "filter", "chain": "FORWARD", "number": null, "text": "DROP"})
    );
}

#[test]
fn packets_explained() {
    let bench = bench();
    let numbers = |out: &str| -> Vec<String> {
        let heads = out.lines().filter_map(|line| line.strip_prefix("packet "));
        heads
            .map(|line| line.split([' ', ',']).next().unwrap().to_owned())
            .collect()
    };
    let ran = replay(&bench, &["--explain", "3"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(
        ran.out
            .starts_with("packet 3, in by lan: tcp 10.0.0.2:6000 > 192.0.2.9:80 S"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("-i lan -p udp -j ACCEPT") && ran.out.contains("FORWARD"),
        "{}",
        ran.out
    );
    assert_eq!(numbers(&replay(&bench, &["--explain", "1,4-5"]).out), ["1", "4", "5"]);
    assert_eq!(numbers(&replay(&bench, &["--explain", "all"]).out).len(), 6);
    let brief = replay(&bench, &["--explain", "3", "--brief"]);
    assert_eq!(numbers(&brief.out), ["3"]);
    assert!(
        brief.out.contains("rule 3 of FORWARD") && !brief.out.contains("rule 2 of FORWARD"),
        "{}",
        brief.out
    );
    let drops = replay(&bench, &["--explain", "all", "--filter", "drop or tcp"]);
    assert_eq!(numbers(&drops.out), ["3", "4"]);
    let beyond = replay(&bench, &["--explain", "2-9"]);
    assert_eq!(beyond.code, 2);
    assert_eq!(beyond.err, "nflab: --explain 9: the capture has 6 packets\n");
    assert_eq!(numbers(&beyond.out).len(), 5);
    // What is explained passes as it would unexplained.
    let explained = replay(
        &bench,
        &["--explain", "all", "--save", "explained", "--json", "explained.jsonl"],
    );
    let silent = replay(&bench, &["--save", "silent", "--json", "silent.jsonl"]);
    assert_eq!((explained.code, silent.code), (0, 0));
    assert_eq!(bench.read("explained.jsonl"), bench.read("silent.jsonl"));
    let counted = |name: &str| -> Vec<String> {
        let text = bench.read(name);
        text.lines()
            .filter(|it| !it.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(counted("explained"), counted("silent"));
}

#[test]
fn a_summary() {
    let bench = bench();
    let ran = replay(&bench, &["--summary"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    let (text, pace) = ran.err.split_once("\nReplayed in ").unwrap();
    assert!(pace.contains(" s: 6 packets, "), "{pace}");
    assert_eq!(
        text,
        "6 packets, 193 bytes, 60.000 s of the capture's time\n\
         \x20 verdicts  ACCEPT 4, DROP 1, REJECT 1\n\
         \x20 states    NEW 5, ESTABLISHED 1\n\
         \n\
         Verdicts by rule\n\
         \x20             1  ACCEPT  policy of filter INPUT: ACCEPT\n\
         \x20             1  ACCEPT  rule 1 of filter FORWARD: -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         \x20             1  ACCEPT  rule 2 of filter FORWARD: -i lan -p udp -j ACCEPT\n\
         \x20             1  REJECT  rule 3 of filter FORWARD: -i lan -p tcp -j REJECT --reject-with icmp-port-unreachable\n\
         \x20             1  DROP    policy of filter FORWARD: DROP\n\
         \x20             1  ACCEPT  policy of filter OUTPUT: ACCEPT\n\
         \n\
         Largest flows\n\
         \x20         bytes        packets\n\
         \x20            65              2  udp 10.0.0.2:5000 > 192.0.2.9:53\n\
         \x20            32              1  udp 192.0.2.9:53 > 192.0.2.1:5000\n\
         \x20            28              1  udp 192.0.2.1:1 > 10.0.0.2:2\n"
    );
    // Asked for nothing, it says what it came to; asked for something, only that.
    assert!(replay(&bench, &[]).err.starts_with("6 packets"));
    assert_eq!(replay(&bench, &["--quiet"]).err, "");
    assert_eq!(replay(&bench, &["--json", "out"]).err, "");
    bench.write("rules.v4", "*filter\n[7:700] -A FORWARD -s 1.2.3.4 -j ACCEPT\nCOMMIT\n");
    let never = replay(&bench, &[]).err;
    assert!(
        never.contains("\nRules never hit: 1 of 1\n  rule 1 of filter FORWARD: -s 1.2.3.4/32 -j ACCEPT\n"),
        "counters from before don't count: {never}"
    );
}

#[test]
fn two_rulesets_compared() {
    let bench = bench();
    let ran = replay(
        &bench,
        &[
            "--against",
            "other.v4",
            "--differences",
            "differences.jsonl",
            "--json",
            "out.jsonl",
        ],
    );
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert_eq!(
        ran.out,
        "packet 3, in by lan: tcp 10.0.0.2:6000 > 192.0.2.9:80 S seq 2060000 ttl 64\n\
         \x20   rules.v4  REJECT  NEW          rule 3 of filter FORWARD: -i lan -p tcp -j REJECT --reject-with icmp-port-unreachable\n\
         \x20                                  out by lan, the router's own: icmp 10.0.0.1 > 10.0.0.2 unreachable port\n\
         \x20   other.v4  DROP    NEW          rule 3 of filter FORWARD: -i lan -p tcp -j DROP\n\
         packet 4, in by wan: udp 192.0.2.9:53 > 10.0.0.2:5001 ttl 64\n\
         \x20   rules.v4  DROP    NEW          policy of filter FORWARD: DROP\n\
         \x20   other.v4  ACCEPT  NEW          rule 2 of filter FORWARD: -p udp -j ACCEPT\n\
         \x20                                  out by lan\n\
         \n\
         Flows treated differently\n\
         \x20 tcp 10.0.0.2:6000 > 192.0.2.9:80: 1 packet, the first is packet 3\n\
         \x20     rules.v4  REJECT  rule 3 of filter FORWARD: -i lan -p tcp -j REJECT --reject-with icmp-port-unreachable\n\
         \x20     other.v4  DROP    rule 3 of filter FORWARD: -i lan -p tcp -j DROP\n\
         \x20 udp 192.0.2.9:53 > 10.0.0.2:5001: 1 packet, the first is packet 4\n\
         \x20     rules.v4  DROP    policy of filter FORWARD: DROP\n\
         \x20     other.v4  ACCEPT  rule 2 of filter FORWARD: -p udp -j ACCEPT\n\
         \n\
         Rules that make the difference\n\
         \x20 1 packet of 1 flow\n\
         \x20     rules.v4  REJECT  rule 3 of filter FORWARD: -i lan -p tcp -j REJECT --reject-with icmp-port-unreachable\n\
         \x20     other.v4  DROP    rule 3 of filter FORWARD: -i lan -p tcp -j DROP\n\
         \x20 1 packet of 1 flow\n\
         \x20     rules.v4  DROP    policy of filter FORWARD: DROP\n\
         \x20     other.v4  ACCEPT  rule 2 of filter FORWARD: -p udp -j ACCEPT\n\
         \n\
         2 of 6 packets, of 2 flows, are treated differently\n"
    );
    let differences: Vec<Value> = bench
        .read("differences.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(differences.len(), 2 + 2 + 1);
    assert_eq!(differences[1]["packet"]["sides"][1]["rule"]["number"], 2);
    assert_eq!(differences[2]["flow"]["first"], 3);
    assert_eq!(differences[4]["total"]["packets"], 2);
    let lines = bench.read("out.jsonl");
    let third: Value = serde_json::from_str(lines.lines().nth(2).unwrap()).unwrap();
    assert_eq!(
        (&third["differs"], &third["against"]["verdict"]),
        (&true.into(), &"DROP".into())
    );
    let same = replay(&bench, &["--against", "rules.v4"]);
    assert_eq!(
        (same.code, same.out.as_str()),
        (0, "rules.v4 and rules.v4 treat all 6 packets the same\n")
    );
    let fewer = replay(&bench, &["--against", "other.v4", "--filter", "tcp", "--limit", "0"]);
    assert_eq!(fewer.code, 1);
    assert!(fewer.out.starts_with("and 1 packets more"), "{}", fewer.out);
}
