//! `nflab trace`: text, JSON, pictures, one rule, and what cannot be read.

use crate::bench::{Bench, LAB};

const RULES: &str = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n\
    -A FORWARD -i lan -p tcp -m tcp --dport 80 -m comment --comment \"the web\" -j ACCEPT\nCOMMIT\n";
const OUT: &str = "lan tcp 10.0.0.2:40000 > 198.51.100.9:80 S";
const BACK: &str = "wan tcp 198.51.100.9:80 > 10.0.0.2:40000 SA";
const OTHER: &str = "lan tcp 10.0.0.2:40001 > 198.51.100.9:22 S";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules.v4", RULES);
    bench
}

fn trace<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["trace", "--lab", "lab.toml", "--rules", "rules.v4"], more].concat()
}

#[test]
fn packets_pass_in_order_through_one_lab() {
    let bench = bench();
    let ran = bench.nflab(&trace(&[OUT, BACK, OTHER]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.out,
        "\
packet 1, in by lan: tcp 10.0.0.2:40000 > 198.51.100.9:80 S seq 2400000 ttl 64
  PREROUTING  conntrack NEW: it opens a flow
  routing               out by wan, via 192.0.2.254
                        by route default via 192.0.2.254 dev wan, rule 32766: from all lookup main
  FORWARD     filter    rule 1 of FORWARD: -m state --state RELATED,ESTABLISHED -j ACCEPT
                            no: --state RELATED,ESTABLISHED: flow is NEW
                        rule 2 of FORWARD: -i lan -p tcp -m tcp --dport 80 -m comment --comment \"the web\" -j ACCEPT
                            yes: ACCEPT
out by wan: tcp 10.0.0.2:40000 > 198.51.100.9:80 S seq 2400000 ttl 63
packet 2, in by wan: tcp 198.51.100.9:80 > 10.0.0.2:40000 SA seq 9000800 ack 2400001 ttl 64
  PREROUTING  conntrack ESTABLISHED: of a known flow, in its reply direction; opened by packet 1; this is the first answer
  routing               out by lan, to a neighbour there
                        by route 10.0.0.0/24 dev lan, rule 32766: from all lookup main
  FORWARD     filter    rule 1 of FORWARD: -m state --state RELATED,ESTABLISHED -j ACCEPT
                            yes: ACCEPT
out by lan: tcp 198.51.100.9:80 > 10.0.0.2:40000 SA seq 9000800 ack 2400001 ttl 63
packet 3, in by lan: tcp 10.0.0.2:40001 > 198.51.100.9:22 S seq 2400010 ttl 64
  PREROUTING  conntrack NEW: it opens a flow
  routing               out by wan, via 192.0.2.254
                        by route default via 192.0.2.254 dev wan, rule 32766: from all lookup main
  FORWARD     filter    rule 1 of FORWARD: -m state --state RELATED,ESTABLISHED -j ACCEPT
                            no: --state RELATED,ESTABLISHED: flow is NEW
                        rule 2 of FORWARD: -i lan -p tcp -m tcp --dport 80 -m comment --comment \"the web\" -j ACCEPT
                            no: --dport 80: packet has 22
                        policy of FORWARD: DROP
dropped: by the policy of filter FORWARD
"
    );
    let short = bench.nflab(&trace(&["--short", OTHER]));
    assert!(!short.out.contains("rule 2"), "{}", short.out);
    assert!(short.out.ends_with("dropped: by the policy of filter FORWARD\n"));
}

#[test]
fn json_is_a_line_for_each_packet() {
    let ran = bench().nflab(&trace(&["--json", OUT, OTHER]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let lines: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said: Vec<_> = lines
        .iter()
        .map(|it| (it["number"].as_u64(), it["verdict"].as_str()))
        .collect();
    assert_eq!(said, [(Some(1), Some("ACCEPT")), (Some(2), Some("DROP"))]);
    assert_eq!(lines[1]["decided_by"][0]["rule"], serde_json::Value::Null);
}

#[test]
fn a_picture_is_written_beside_the_text() {
    let bench = bench();
    let ran = bench.nflab(&trace(&["--svg", "way.svg", OTHER, OUT]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("dropped: by the policy"));
    let svg = bench.read("way.svg");
    assert!(
        svg.starts_with("<svg ") && svg.contains("rule 2 of filter FORWARD:"),
        "the last packet's: {svg}"
    );
    let ran = bench.nflab(&trace(&["--svg", "no/such/place.svg", OUT]));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("cannot write no/such/place.svg: No such file"),
        "{}",
        ran.err
    );
}

#[test]
fn one_rule_is_found_by_place_text_or_comment() {
    let bench = bench();
    let reached =
        "rule 2 of filter FORWARD: -i lan -p tcp -m tcp --dport 80 -m comment --comment \"the web\" -j ACCEPT\n";
    for (rule, packet, expected) in [
        ("FORWARD 2", OUT, "  reached in FORWARD: yes: ACCEPT\n"),
        (
            "filter:FORWARD 2",
            OTHER,
            "  reached in FORWARD: no: --dport 80: packet has 22\n",
        ),
        ("the web", OUT, "  reached in FORWARD: yes: ACCEPT\n"),
        ("--dport 80", OUT, "  reached in FORWARD: yes: ACCEPT\n"),
        (
            "FORWARD 2",
            "lan tcp 10.0.0.2:1 > 10.0.0.1:80 S",
            "  not reached: its way did not lead to FORWARD but to PREROUTING, INPUT\n",
        ),
        (
            "FORWARD 2",
            "lan tcp 10.0.0.2:1 > 198.51.100.9:80 S ttl 1",
            "  not reached: it never came to FORWARD, only to PREROUTING: dropped: the time to live would reach zero here\n",
        ),
    ] {
        let ran = bench.nflab(&trace(&["--why", rule, packet]));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{rule}");
        assert_eq!(ran.out, format!("{reached}{expected}"), "{rule}: {packet}");
    }
    let ran = bench.nflab(&trace(&["--why", "FORWARD 2", OUT, BACK]));
    assert!(ran.out.ends_with(
        "not reached: rule 1 of FORWARD decided before it: -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
    ));
    let ran = bench.nflab(&trace(&["--json", "--why", "FORWARD policy", OTHER]));
    let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&said["rule"], &said["tried"][0]["matched"]),
        (&"DROP".into(), &true.into())
    );
    for (rule, expected) in [
        (
            "FORWARD 3",
            "there is no rule 3 in filter FORWARD: it has 2, numbered 1 to 2",
        ),
        ("nat:PREROUTING 1", "no rules are in force in its table, only in filter"),
        (
            "NOWHERE 1",
            "there is no chain NOWHERE: there are filter:INPUT, filter:FORWARD, filter:OUTPUT",
        ),
        (
            "-j ACCEPT",
            "`-j ACCEPT` is in 2 rules (rule 1 of filter FORWARD, rule 2 of filter FORWARD)",
        ),
        ("the net", "no rule has `the net` in its text or as its comment"),
    ] {
        let ran = bench.nflab(&trace(&["--why", rule, OUT]));
        assert_eq!(ran.code, 2, "{rule}");
        assert!(ran.err.contains(expected), "{rule}: {}", ran.err);
    }
}

#[test]
fn what_cannot_be_read_is_said_where_and_does_nothing() {
    let bench = bench();
    for (args, code, expected) in [
        (
            trace(&[OUT, "lan tcp 10.0.0.2:1 > 10.0.0.1:80 S tll 3"]),
            2,
            " --> packet:1:36\n",
        ),
        (
            trace(&["lan"]),
            2,
            "expected a packet: tcp, udp, icmp, icmpv6, ip or hex",
        ),
        (
            trace(&["dmz udp 10.0.0.2:1 > 10.0.0.1:80"]),
            2,
            "error: the lab has no interface `dmz`\n --> packet:1:1\n",
        ),
        (
            trace(&["lan udp 10.0.0.2:1 > 10.0.0.1:80 frag 8"]),
            2,
            " --> packet:1:1\n",
        ),
        (
            trace(&["lan udp 10.0.0.2:1 > 10.0.0.1:80 frag 8"]),
            2,
            "help: begin it earlier",
        ),
        (
            trace(&["lan udp foo:1 > 10.0.0.1:80"]),
            2,
            "help: write its address, or give it that name in the lab file: [host.foo]",
        ),
        (
            vec!["trace", "--rules", "missing", OUT],
            2,
            "cannot read the rules missing",
        ),
        (
            vec!["trace", "--rules", "lab.toml", OUT],
            2,
            "these rules are refused, so nothing was traced: lab.toml",
        ),
        (vec!["trace"], 2, "<PACKET>"),
        (vec!["trace", "--follow", "tcp prot 80"], 2, "did you mean `proto`?"),
        (vec!["trace", "--follow", "tcp", "--svg", "x"], 2, "cannot be used with"),
        (vec!["trace", "--follow"], 4, "no lab answers at"),
    ] {
        let ran = bench.nflab(&args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{args:?}");
    }
}

#[test]
fn the_words_of_scripts_do_the_same() {
    let bench = bench();
    let script = format!(
        "iptables-restore < rules.v4\ntrace --short {OUT}\ntrace --why 'the web'\nwhy FORWARD 1\ntrace --svg way.svg\ntrace --json\nwhy\n"
    );
    let script = bench.write("script.nflab", &script);
    let ran = bench.nflab(&["run", "--lab", "lab.toml", script.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("in by lan: tcp 10.0.0.2:40000"), "{}", ran.out);
    assert!(
        ran.out
            .contains("reached in FORWARD: yes: ACCEPT\nrule 1 of filter FORWARD: "),
        "{}",
        ran.out
    );
    assert_eq!(
        ran.out
            .lines()
            .filter(|line| line.starts_with("{\"number\":1,"))
            .count(),
        1
    );
    assert!(bench.read("way.svg").ends_with("</svg>\n"));
    for (line, expected) in [
        ("trace --shrot", "expected --short, --json, --svg FILE or --why RULE"),
        ("trace --svg", "expected a file for the picture"),
        ("trace lan tcp", "expected an address with its port"),
    ] {
        let ran = bench.nflab_with(line, &["run", "-"]);
        assert_eq!(ran.code, 2, "{line}");
        assert!(ran.err.contains(expected), "{line}: {}", ran.err);
    }
    let ran = bench.nflab_with("trace\n", &["run", "-"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no packet has been sent yet"), "{}", ran.err);
}

#[test]
fn a_broadcast_is_told_apart_from_its_copy() {
    let bench = bench();
    bench.write(
        "dhcp.v4",
        "*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 67 -j DROP\nCOMMIT\n",
    );
    let packet = "local udp 10.0.0.1:68 > 10.0.0.255:67";
    let args = ["trace", "--lab", "lab.toml", "--rules", "dhcp.v4", packet];
    let ran = bench.nflab(&args);
    let at = |line: &str| ran.out.find(line).unwrap_or_else(|| panic!("{line}: {}", ran.out));
    let order = [
        at("packet 1, from the router"),
        at("a copy for the router itself: udp"),
        at("in by lan"),
        at("dropped: by rule 1 of filter INPUT"),
        at("the packet itself goes on"),
        at("out by lan: udp"),
    ];
    assert!(order.is_sorted(), "{}", ran.out);
    let ran = bench.nflab(&[&args[..], &["--json"]].concat());
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let decided = told["decided_by"].as_array().unwrap();
    let chains: Vec<_> = decided.iter().map(|it| it["chain"].as_str()).collect();
    assert_eq!(
        (told["verdict"].as_str(), &chains[..]),
        (Some("ACCEPT"), &[Some("OUTPUT")][..])
    );
}

#[test]
fn a_packet_is_one_line_without_input() {
    for (more, said) in [
        ("\nlan tcp 10.0.0.2:1 > 192.0.2.9:80 S", "a packet ends with its line"),
        (" < /dev/null", "a packet reads no input"),
    ] {
        let ran = bench().nflab(&trace(&[&format!("{OUT}{more}")]));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn a_number_alone_names_no_rule() {
    for (rule, said) in [
        ("80", "`80` alone names no rule"),
        ("", "expected a rule"),
        ("nat:PREROUTING 1", "in its table, only in filter"),
    ] {
        let ran = bench().nflab(&trace(&["--why", rule, OUT]));
        assert_eq!(ran.code, 2, "{rule}");
        assert!(ran.err.contains(said), "{rule}: {}", ran.err);
    }
}

#[test]
fn an_explanation_that_cannot_be_written_is_no_success() {
    let bench = bench();
    bench.write(
        "full.sh",
        "\"$1\" trace 'lan tcp 10.0.0.2:1 > 192.0.2.9:80 S' > /dev/full\n",
    );
    let ran = bench.nflab(&["sh", "--", "sh", "full.sh", env!("CARGO_BIN_EXE_nflab")]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("cannot write"), "{}", ran.err);
}

/// To the tool all these are other words; who wrote the file is told what of its form is meant.
#[test]
fn rules_as_other_systems_write_lines() {
    let bench = bench();
    for (rules, said) in [
        ("*filter\r\n-A INPUT -j DROP\r\nCOMMIT\r\n", "carriage return"),
        ("*filter\n-A INPUT -j DROP\r\nCOMMIT\n", "carriage return"),
        ("\u{feff}*filter\n-A INPUT -j DROP\nCOMMIT\n", "byte order mark"),
        ("*filter\n-A INPUT -j DROP\nCOMMIT", "a new line behind COMMIT"),
    ] {
        bench.write("foreign.v4", rules);
        let ran = bench.nflab(&["trace", "--lab", "lab.toml", "--rules", "foreign.v4", OUT]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

/// As `replay --rules` and `up --rules` take them.
#[test]
fn a_policy_without_counters_begins_at_zero() {
    let bench = bench();
    bench.write(
        "bare.v4",
        "*filter\n:FORWARD DROP\n:own -\n[3:84] -A own -j ACCEPT\nCOMMIT\n",
    );
    let ran = bench.nflab(&["trace", "--lab", "lab.toml", "--rules", "bare.v4", OUT]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("policy of FORWARD: DROP"), "{}", ran.out);
}

#[test]
fn a_rejection_that_nobody_hears_of_says_why() {
    let bench = bench();
    bench.write(
        "reject.v4",
        "*filter\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n-A FORWARD -j REJECT\n-A INPUT -p tcp -j REJECT --reject-with tcp-reset\n\
         -A INPUT -j REJECT\nCOMMIT\n",
    );
    for (packet, why) in [
        (
            "udp 10.0.0.2:4000 > 192.0.2.9:53 badsum",
            "its checksum is wrong, and REJECT answers nothing whose ports may be wrong too",
        ),
        (
            "tcp 10.0.0.2:4000 > 10.0.0.1:80 S badsum",
            "its checksum is wrong, and REJECT answers nothing whose ports may be wrong too",
        ),
        ("tcp 10.0.0.2:4000 > 192.0.2.9:80 R", "no reset is sent about a reset"),
        (
            "tcp 10.0.0.2:4000 > 10.0.0.255:80 S",
            "no reset is sent about a broadcast or multicast",
        ),
        (
            "udp 10.0.0.2:4000 > 10.0.0.255:53",
            "no ICMP error is sent about a broadcast or multicast",
        ),
        (
            "udp 10.0.0.2:4000 > 192.0.2.9:53 zeros 40 frag 24",
            "no ICMP error is sent about a fragment other than the first",
        ),
        (
            "udp 10.0.0.2:4000 > 192.0.2.9:53 zeros 40 frag 0 24",
            "REJECT sums up a first fragment as if it were whole, and its checksum is wrong then",
        ),
        (
            "tcp 10.0.0.2:4000 > 192.0.2.9:80 S zeros 40 frag 24",
            "no reset is sent about a fragment other than the first, or about less than a TCP header",
        ),
    ] {
        let packet = format!("lan {packet}");
        let ran = bench.nflab(&["trace", "--lab", "lab.toml", "--rules", "reject.v4", &packet]);
        let silence = format!("\nnot answered: {why}\n");
        assert!(
            ran.code == 0 && ran.out.contains(&silence),
            "{packet}: {}{}",
            ran.out,
            ran.err
        );
    }
}

#[test]
fn what_the_router_drops_without_a_word_it_drops_for_a_reason() {
    let bench = bench();
    for (packet, why) in [
        (
            "udp 10.0.0.2:4000 > 10.0.0.1:53 badsum",
            Some("the UDP checksum is wrong"),
        ),
        (
            "tcp 10.0.0.2:4000 > 10.0.0.1:80 S badsum",
            Some("the TCP checksum is wrong"),
        ),
        ("tcp 10.0.0.2:4000 > 10.0.0.1:80 R", Some("no socket listens there")),
        (
            "udp 10.0.0.2:4000 > 10.0.0.255:53",
            Some("no socket takes this broadcast or multicast"),
        ),
        (
            "icmp 10.0.0.2 > 10.0.0.1 echo-request badsum",
            Some("the ICMP checksum is wrong"),
        ),
        (
            "icmp 10.0.0.2 > 10.0.0.255 echo-request",
            Some(
                "an echo or timestamp request to a broadcast or multicast address, and icmp_echo_ignore_broadcasts is on",
            ),
        ),
        (
            "ip 10.0.0.2 > 10.0.0.1 proto igmp",
            Some("the host takes this message and answers nothing"),
        ),
        ("icmp 10.0.0.2 > 10.0.0.1 echo-reply", None),
        ("icmp 10.0.0.2 > 10.0.0.1 echo-request", None),
        ("udp 10.0.0.2:4000 > 10.0.0.1:53", None),
    ] {
        let packet = format!("lan {packet}");
        let ran = bench.nflab(&["trace", "--lab", "lab.toml", &packet]);
        let said = ran.out.lines().find_map(|line| line.strip_prefix("not answered: "));
        assert_eq!((ran.code, said), (0, why), "{packet}: {}{}", ran.out, ran.err);
    }
}
