//! Packets of IPv6 go the same way wherever they come from: a capture, a script, a test, a trace.

use crate::bench::{Bench, LAB};
use crate::captures;

/// UDP from 2001:db8::2 to 2001:db8:1::9.
fn packet() -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
    for (network, last) in [(0, 2), (1, 9)] {
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, network, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend([0x0f, 0xa0, 0, 53, 0, 8, 0x94, 0x8b]);
    bytes
}

const LINE: &str = "udp [2001:db8::2]:4000 > [2001:db8:1::9]:53";

fn lab() -> String {
    LAB.replace("\"10.0.0.1/24\"", "\"10.0.0.1/24\", \"2001:db8::1/64\"")
        .replace("\"192.0.2.1/24\"", "\"192.0.2.1/24\", \"2001:db8:1::1/64\"")
}

#[test]
fn a_packet_of_ipv6_goes_its_way_wherever_it_comes_from() {
    let bench = Bench::new();
    bench.write("lab.toml", &lab());
    bench.write("rules.v4", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n");
    bench.write(
        "rules.v6",
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n",
    );
    captures::write(&bench.path("in.pcapng"), [(0, "lan", packet(), packet().len())]);
    let hex: String = packet().iter().map(|byte| format!("{byte:02x}")).collect();
    let seen = format!("expect forwarded\nexpect by FORWARD 1\nexpect out wan {LINE}\n");
    let rules = "ip6tables-restore < rules.v6\niptables-restore < rules.v4\n";
    for (name, line) in [
        ("hex", format!("send lan hex {hex}")),
        ("typed", format!("send lan {LINE}")),
    ] {
        bench.write(&format!("{name}.nflab"), &format!("{rules}{line}\n{seen}"));
        bench.write(
            &format!("{name}.test.nflab"),
            &format!("lab lab.toml\nrules rules.v4\nrules6 rules.v6\ntest \"six\"\n{line}\n{seen}end\n"),
        );
    }
    let (typed, traced) = (format!("lan {LINE}"), format!("lan hex {hex}"));
    let rules = ["--lab", "lab.toml", "--rules", "rules.v4", "--rules6", "rules.v6"];
    for (args, told) in [
        (&["run", "hex.nflab"][..], ""),
        (&["run", "typed.nflab"], ""),
        (&["test", "hex.test.nflab"], "1 passed"),
        (&["test", "typed.test.nflab"], "1 passed"),
        (&[&["trace"][..], &rules, &[&traced]].concat(), LINE),
        (&[&["trace"][..], &rules, &[&typed]].concat(), LINE),
        (
            &[&["replay"][..], &rules, &["--explain", "1", "in.pcapng"]].concat(),
            LINE,
        ),
    ] {
        let ran = bench.nflab(args);
        assert!(ran.code == 0 && ran.out.contains(told), "{args:?}: {ran:?}");
    }
}

/// Each of a trace's forms says whose rules a packet met, and a bare name is IPv4's.
#[test]
fn whose_rules_a_packet_met_is_said() {
    let bench = Bench::new();
    let rules = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n";
    bench.write("rules.v4", rules);
    bench.write("rules.v6", &rules.replace("53", "54"));
    let four = "lan udp 10.0.0.2:4000 > 192.0.2.9:53";
    let six = &format!("lan {LINE}");
    let both = ["trace", "--rules", "rules.v4", "--rules6", "rules.v6"];
    for (args, told) in [
        (&[four][..], "rule 1 of FORWARD: -p udp"),
        (&[six], "rule 1 of IPv6's FORWARD: -p udp"),
        (&[six], "\n                        policy of IPv6's FORWARD: DROP\n"),
        (&[six], "dropped: by the policy of IPv6's filter FORWARD\n"),
        (&["--short", six], "policy of IPv6's FORWARD: DROP\n"),
        (&["--why", "FORWARD 1", four], "rule 1 of filter FORWARD: -p udp"),
        (&["--why", "FORWARD 1", six], "rule 1 of IPv6's filter FORWARD: -p udp"),
        (
            &["--why", "FORWARD policy", six],
            "policy of IPv6's filter FORWARD: DROP\n",
        ),
        (&["--json", four], r#"{"number":1,"family":"IPv4","verdict":"ACCEPT""#),
        (
            &["--json", four],
            r#"{"kind":"table","family":"IPv4","table":"filter","rules":1}"#,
        ),
        (&["--json", six], r#"{"number":1,"family":"IPv6","verdict":"DROP""#),
        (
            &["--json", six],
            r#"{"kind":"table","family":"IPv6","table":"filter","rules":1}"#,
        ),
        (
            &["--json", "--why", "FORWARD 1", six],
            r#"{"packet":1,"family":"IPv6","table":"filter""#,
        ),
    ] {
        let ran = bench.nflab(&[&both[..], args].concat());
        assert!(ran.code == 0 && ran.out.contains(told), "{args:?}: {ran:?}");
        assert_eq!(
            ran.out.contains("IPv6"),
            args.contains(&six.as_str()),
            "{args:?}: {ran:?}"
        );
    }
    // Rules of one family alone are no rules of the other.
    let ran = bench.nflab(&["trace", "--rules", "rules.v4", "--why", "FORWARD 1", six]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err
            .contains("the packet is of IPv6, and rules are in force here for IPv4 only; load IPv6's, too"),
        "{ran:?}"
    );
    bench.write("lab.toml", &lab());
    captures::write(&bench.path("in.pcapng"), [(0, "lan", packet(), packet().len())]);
    let replay = [
        "replay", "--lab", "lab.toml", "--rules", "rules.v4", "--rules6", "rules.v6",
    ];
    let ran = bench.nflab(&[&replay[..], &["--json", "-", "in.pcapng"]].concat());
    assert!(
        ran.out
            .contains(r#""rule":{"family":"IPv6","table":"filter","chain":"FORWARD","number":null"#),
        "{ran:?}"
    );
}

/// Two rulesets of IPv6 are compared as two of IPv4 are, alone or beside them; a family for which there is no other has the same rules on both sides.
#[test]
fn rulesets_of_both_families_are_compared() {
    let bench = Bench::new();
    let rules = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n";
    for name in ["rules.v4", "rules.v6"] {
        bench.write(name, rules);
    }
    bench.write("other", &rules.replace("53", "54"));
    let packets = ["udp 10.0.0.2:4000 > 192.0.2.9:53", LINE].map(captures::bytes);
    let packets = packets.into_iter().map(|bytes| (0, "lan", bytes.clone(), bytes.len()));
    captures::write(&bench.path("in.pcapng"), packets);
    bench.write("lab.toml", &lab());
    let both = [
        "replay",
        "--lab",
        "lab.toml",
        "--rules",
        "rules.v4",
        "--rules6",
        "rules.v6",
        "in.pcapng",
    ];
    for (args, told) in [
        (
            &["--against", "other"][..],
            "1 of 2 packets, of 1 flow, are treated differently\n",
        ),
        (
            &["--against6", "other"],
            "1 of 2 packets, of 1 flow, are treated differently\n",
        ),
        (
            &["--against6", "other"],
            "    rules.v6  ACCEPT  -            rule 1 of IPv6's filter FORWARD",
        ),
        (
            &["--against", "other", "--against6", "other"],
            "2 of 2 packets, of 2 flows, are treated differently\n",
        ),
        (
            &["--against", "rules.v4", "--against6", "rules.v6"],
            "rules.v4, rules.v6 and rules.v4, rules.v6 treat all 2 packets the same\n",
        ),
    ] {
        let ran = bench.nflab(&[&both[..], args].concat());
        assert!(ran.out.contains(told), "{args:?}: {ran:?}");
    }
    let alone = bench.nflab(&[&both[..], &["--limit", "3"]].concat());
    assert!(alone.code == 2 && alone.err.contains("--against6"), "{alone:?}");
}

/// A file of one family's rules that is given where the other's belong is refused, or taken, and it is told where it belongs.
#[test]
fn rules_for_the_other_option_are_told_where_they_belong() {
    let bench = Bench::new();
    let head = |tool: &str| format!("# Generated by {tool}-save v1.8.9 on Mon Nov 30 09:00:00 2026\n");
    let rules = |rule: &str| format!("*filter\n:FORWARD DROP [0:0]\n{rule}COMMIT\n");
    bench.write("lab.toml", &lab());
    bench.write("rules.v4", &rules("-A FORWARD -s 10.0.0.0/24 -j ACCEPT\n"));
    bench.write(
        "rules.v6",
        &rules("-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT\n"),
    );
    bench.write("bare.v6", &(head("ip6tables") + &rules("")));
    bench.write("broken", &rules("-A FORWARD -p nonsense -j ACCEPT\n"));
    for (rules, file) in [("rules", "rules.v6"), ("rules6", "rules.v4"), ("rules", "bare.v6")] {
        let name = format!("{rules}-{}.test.nflab", file.replace('.', "-"));
        bench.write(
            &name,
            &format!("{rules} {file}\ntest \"any\"\n  send lan udp 10.0.0.2:1 > 192.0.2.9:53\nend\n"),
        );
    }
    captures::write(&bench.path("in.pcapng"), [(0, "lan", packet(), packet().len())]);
    let (trace, replay) = (&["trace"][..], &["replay", "--lab", "lab.toml", "in.pcapng"][..]);
    let packet = format!("lan {LINE}");
    let of_six = "these are rules of IPv6, and";
    for (command, args, code, said) in [
        (trace, &["--rules", "rules.v6", &packet][..], 2, format!("{of_six} --rules takes those of IPv4: give them to --rules6\n")),
        (
            trace,
            &["--rules6", "rules.v4", &packet],
            2,
            "these are rules of IPv4, and --rules6 takes those of IPv6: give them to --rules\n".to_owned(),
        ),
        (
            trace,
            &["--rules", "bare.v6", &packet],
            0,
            "nflab: ip6tables-save wrote these rules, as they say, and --rules takes them for IPv4's: --rules6 is for IPv6's\n".to_owned(),
        ),
        (replay, &["--rules", "rules.v6"], 2, format!("{of_six} --rules takes those of IPv4: give them to --rules6\n")),
        (
            replay,
            &["--against", "rules.v6"],
            2,
            format!("{of_six} --against takes those of IPv4: give them to --against6\n"),
        ),
        (
            &["test"],
            &["rules-rules-v6.test.nflab"],
            2,
            format!("{of_six} `rules` takes those of IPv4: write `rules6 FILE`, or give them to --rules6"),
        ),
        (
            &["test"],
            &["rules6-rules-v4.test.nflab"],
            2,
            "these are rules of IPv4, and `rules6` takes those of IPv6: write `rules FILE`, or give them to --rules".to_owned(),
        ),
        (
            &["test"],
            &["rules-bare-v6.test.nflab"],
            0,
            "bare.v6: ip6tables-save wrote these rules, as they say, and they are read for IPv4: `rules6` reads those of IPv6".to_owned(),
        ),
    ] {
        let ran = bench.nflab(&[command, args].concat());
        let told = format!("{}{}", ran.out, ran.err);
        assert!(ran.code == code && told.contains(&said), "{args:?}: {ran:?}");
    }
    // What neither takes is nobody's.
    let ran = bench.nflab(&["trace", "--rules", "broken", &packet]);
    assert!(ran.code == 2 && !ran.err.contains("these are rules of"), "{ran:?}");
}

/// By an option for all packets, or in one.
#[test]
fn hosts_of_a_trace_are_called_by_the_family_that_is_asked_for() {
    let bench = Bench::new();
    let hosts = "[host.both]\ninterface = \"lan\"\naddress = [\"10.0.0.2/24\", \"2001:db8::2/64\"]\n\
                 [host.www]\ninterface = \"wan\"\naddress = [\"192.0.2.9/24\", \"2001:db8:1::9/64\"]\n";
    bench.write("lab.toml", &(lab() + hosts));
    let trace = ["trace", "--lab", "lab.toml"];
    let plain = "both udp both:1 > www:53";
    let six = "udp [2001:db8::2]:1 > [2001:db8:1::9]:53";
    for (args, told) in [
        (&[plain][..], "udp 10.0.0.2:1 > 192.0.2.9:53"),
        (&["-4", plain], "udp 10.0.0.2:1 > 192.0.2.9:53"),
        (&["-6", plain], six),
        (&["--ipv6", plain], six),
        (&[plain, "-6"], six),
        (&["--", "-6 both udp both:1 > www:53"], six),
        (&["-4", "--", "-6 both udp both:1 > www:53"], six),
    ] {
        let ran = bench.nflab(&[&trace[..], args].concat());
        assert!(ran.code == 0 && ran.out.contains(told), "{args:?}: {ran:?}");
    }
    let ran = bench.nflab(&[&trace[..], &["-6", "both udp both:1 > 192.0.2.9:53"]].concat());
    let said = "this is an address of IPv4, and `-6` asks for IPv6";
    assert!(ran.code == 2 && ran.err.contains(said), "{ran:?}");
}

/// Where a rule of one family's alone is meant, the case of the other one says how that is written.
#[test]
fn a_case_that_runs_in_both_families_says_so_where_its_rule_is_in_one() {
    let bench = Bench::new();
    let file = |family: &str, cell: &str| {
        format!(
            "rules <<E\n*filter\n-A FORWARD -p tcp -j ACCEPT\nCOMMIT\nE\n\
             rules6 <<E\n*filter\n-A FORWARD -p udp -j DROP\n-A FORWARD -p tcp -j ACCEPT\nCOMMIT\nE\n\
             host client 10.0.0.2 2001:db8::2 lan\nhost server 192.0.2.9 2001:db8:1::9 wan\n\
             table \"web\"\n  from to service verdict family by\n  client server tcp/80 accept {family} {cell}\nend\n"
        )
    };
    let hint = "this case runs in both families: `4` or `6` in a column `family` says in which alone";
    for (family, cell, code, hinted) in [
        ("-", "FORWARD:2", 1, true),
        ("-", "\"-6 FORWARD 2\"", 1, true),
        ("6", "FORWARD:2", 0, false),
        ("4", "FORWARD:2", 1, false),
        ("6", "\"-6 FORWARD 2\"", 0, false),
    ] {
        bench.write("web.test.nflab", &file(family, cell));
        let ran = bench.nflab(&["test", "web.test.nflab"]);
        assert_eq!(
            (ran.code, ran.out.contains(hint)),
            (code, hinted),
            "{family} {cell}: {ran:?}"
        );
    }
}
