//! Test files read and run: what passes, what fails and how that is told, what cannot be read.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use super::report::{self, Stamp};
use super::{Choice, Outcome, Suite, Unreadable, read, run};
use crate::cli::TOOLBOX;

const RULES: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT\n\
-A FORWARD -i lan -p tcp -m tcp --dport 80 -m comment --comment \"the web\" -j ACCEPT\n\
-A FORWARD -i lan -p udp -j REJECT\nCOMMIT\n";

const HOSTS: &str = "host client 10.0.0.2 lan\nhost server 192.0.2.9 wan\nrules rules.v4\n";

/// Reads `t.test.nflab` among some files.
fn suite_of(text: &str, others: &[(&str, &str)]) -> Result<Suite, Unreadable> {
    let mut files: HashMap<&str, &str> = others.iter().copied().collect();
    files.entry("rules.v4").or_insert(RULES);
    files.insert("t.test.nflab", text);
    let mut reader = |path: &Path| match files.get(path.to_str().unwrap()) {
        Some(text) => Ok((*text).to_owned()),
        None => Err(ErrorKind::NotFound.into()),
    };
    read(Path::new("t.test.nflab"), &mut reader, TOOLBOX, &Choice::default())
}

fn outcome_of(text: &str) -> Outcome {
    let text = format!("{HOSTS}{text}");
    match suite_of(&text, &[]) {
        Ok(suite) => run(&[suite]),
        Err(error) => panic!("{error}"),
    }
}

fn unreadable(text: &str, others: &[(&str, &str)]) -> String {
    match suite_of(text, others) {
        Ok(_) => panic!("it can be read:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn tests_and_tables_pass() {
    let outcome = outcome_of(
        "setup\n  listen tcp 22\nend\n\
         test \"the web\"\n  handshake client:40000 > server:80\n  expect flow tcp ESTABLISHED src=client\n  close client > server\nend\n\
         test \"by its comment\"\n  send client tcp client:1 > server:80 S\n  expect by comment 'the web'\n  expect by text '--dport 80'\n  expect rule FORWARD 2 packets 1\n  expect no by FORWARD 1\n  expect no state INVALID\nend\n\
         table \"others\"\n  from to service verdict state by comment out\n  client server tcp/http accept NEW FORWARD:2 'the web' wan\n  client server udp/53 reject NEW - - -\n  \
         server client icmp drop - FORWARD:policy - -\n  client router tcp/22 drop - 'INPUT policy' - -\n  client server gre drop - - - -\nend\n",
    );
    assert!(outcome.passed(), "{}", report::people(&outcome, false));
    let names: Vec<String> = outcome.cases.iter().map(super::CaseOutcome::name).collect();
    assert_eq!(
        names,
        [
            "the web",
            "by its comment",
            "others: client > server tcp/80",
            "others: client > server udp/53",
            "others: server > client icmp",
            "others: client > router tcp/22",
            "others: client > server gre"
        ]
    );
    assert!(outcome.coverage().unreached().next().is_none());
}

#[test]
fn every_case_has_a_lab_of_its_own() {
    let outcome = outcome_of(
        "setup\n  iptables -A FORWARD -s 10.0.0.7 -j ACCEPT\nend\n\
         test one\n  iptables -F FORWARD\n  iptables -P FORWARD ACCEPT\n  advance 1h\n  host other 10.0.0.9 lan\n  send other tcp other:1 > server:80 S\n  expect forwarded\nend\n\
         test two\n  expect flows 0\n  iptables -S FORWARD\n  expect output '-A FORWARD -s 10.0.0.7/32 -j ACCEPT'\n  send client tcp client:1 > server:81 S\n  expect drop\nend\n",
    );
    assert!(outcome.passed(), "{}", report::people(&outcome, false));
    // The rules of setup count as those of the file, and what a test sets itself does not.
    let coverage = outcome.coverage();
    let unreached: Vec<String> = coverage
        .unreached()
        .map(|it| format!("{}:{}", it.place.file, it.place.line))
        .collect();
    assert_eq!(coverage.rules.len(), 4);
    assert_eq!(unreached, ["rules.v4:5", "rules.v4:6", "rules.v4:7", "t.test.nflab:5"]);
}

/// What a rule remembers begins anew too, though the rules are compiled once.
#[test]
fn no_case_finds_what_another_one_left_in_a_rule() {
    let rules = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i lan -p udp -m limit --limit 1/hour --limit-burst 1 -j ACCEPT\nCOMMIT\n";
    let row = "  client server udp/53 accept FORWARD:1\n  client server udp/54 accept FORWARD:1\n";
    let twice = "test \"the second is one too many\"\n  send client udp client:1 > server:53\n  expect rule FORWARD 1 packets 1\n  \
                 send client udp client:2 > server:53\n  expect by FORWARD policy\n  expect rule FORWARD 1 packets 1\nend\n";
    let text = format!("{HOSTS}table \"once each\"\n  from to service verdict by\n{row}end\n{twice}");
    let suite = suite_of(&text, &[("rules.v4", rules)]).unwrap_or_else(|error| panic!("{error}"));
    let outcome = run(&[suite]);
    assert!(outcome.passed(), "{}", report::people(&outcome, false));
    let hits = outcome
        .cases
        .iter()
        .map(|case| case.hits.iter().map(|(_, packets)| packets).sum::<u64>());
    assert_eq!(hits.collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn counters_that_a_test_clears_were_reached_all_the_same() {
    let outcome = outcome_of(
        "test one\n  send client tcp client:1 > server:80 S\n  iptables -Z\n  iptables -D FORWARD 2\n  send client udp client:1 > server:53\nend\n",
    );
    let counts: Vec<u64> = outcome.coverage().rules.iter().map(|it| it.packets).collect();
    assert_eq!(counts, [0, 1, 1]);
}

#[test]
fn several_rulesets_under_the_same_tests() {
    let text = "host client 10.0.0.2 lan\nhost server 192.0.2.9 wan\nrules rules.v4 as old\nrules new.sh\n\
                test \"ssh is open\"\n  handshake client > server:22\nend\n";
    let new = "#!/bin/sh\n# commands\niptables -P FORWARD DROP\nmodprobe nf_conntrack\niptables -A FORWARD -j ACCEPT\n";
    let suite = suite_of(text, &[("new.sh", new)]).unwrap();
    let outcome = run(&[suite]);
    let told: Vec<(String, bool)> = outcome.cases.iter().map(|case| (case.name(), case.passed())).collect();
    assert_eq!(
        told,
        [
            ("ssh is open [old]".to_owned(), false),
            ("ssh is open [new.sh]".to_owned(), true)
        ]
    );
    let places: Vec<String> = outcome
        .coverage()
        .rules
        .iter()
        .map(|it| format!("{}:{} {}", it.place.file, it.place.line, it.packets))
        .collect();
    assert_eq!(places, ["new.sh:5 3", "rules.v4:5 0", "rules.v4:6 0", "rules.v4:7 0"]);
    assert!(
        report::people(&outcome, false)
            .contains("✗ t.test.nflab [old]     1 failed\n✓ t.test.nflab [new.sh]  1 passed\n")
    );
}

/// Rules of IPv6 for a ruleset that is not there would run alone, with IPv4 open.
#[test]
fn rules_of_ipv6_for_another_ruleset_name_one() {
    let test = "test t\n  iptables -L\nend\n";
    let files = [("rules.v6", RULES6)];
    let rulesets = |rules: &str| {
        let suite = suite_of(&format!("{rules}{test}"), &files).map_err(|error| error.to_string())?;
        Ok::<_, String>(suite.rulesets.len())
    };
    for rules in [
        "rules rules.v4 as old\nrules6 rules.v6 as new\n",
        "rules6 rules.v6 as new\nrules rules.v4 as old\n",
    ] {
        let wrong = rulesets(rules).unwrap_err();
        let line = 1 + rules.lines().position(|line| line.starts_with("rules6")).unwrap();
        for said in [
            format!("--> t.test.nflab:{line}:20"),
            "no `rules` line is called `new`".to_owned(),
            "expected `old`".to_owned(),
        ] {
            assert!(wrong.contains(&said), "{said:?} is not in\n{wrong}");
        }
    }
    for (rules, count) in [
        ("rules6 rules.v6 as new\n", 1),
        ("rules rules.v4 as new\nrules6 rules.v6 as new\n", 1),
        ("rules rules.v4\nrules6 rules.v6\n", 1),
        ("rules rules.v4\nrules6 rules.v6 as rules.v4\n", 1),
    ] {
        assert_eq!(rulesets(rules), Ok(count), "{rules}");
    }
}

#[test]
fn labs_and_rules_may_stand_in_the_test_file() {
    let text = "lab <<EOF\n[interface.inside]\naddress = [\"10.9.0.1/24\"]\n[interface.outside]\naddress = [\"192.0.2.1/24\"]\n\
                [host.pc]\ninterface = \"inside\"\naddress = \"10.9.0.2/24\"\nEOF\n\
                rules <<EOF\n*nat\n-A POSTROUTING -o outside -j MASQUERADE\nCOMMIT\nEOF\nseed 9\n\
                test \"out\"\n  udp pc > 192.0.2.7:53\n  expect out inside udp 192.0.2.7:53 > pc:40001\nend\n";
    let outcome = run(&[suite_of(text, &[]).unwrap()]);
    assert!(outcome.passed(), "{}", report::people(&outcome, false));
    let place = &outcome.coverage().rules[0].place;
    assert_eq!((place.file.as_str(), place.line), ("t.test.nflab", 12));
    let wrong = unreadable(&text.replace("[interface.outside]", "[interfac.outside]"), &[]);
    assert!(wrong.contains("--> t.test.nflab:4:"), "{wrong}");
    let wrong = unreadable(&text.replace("MASQUERADE", "MASKERADE"), &[]);
    assert!(wrong.contains("--> t.test.nflab:12:30"), "{wrong}");
}

#[test]
fn what_fails_is_told_with_the_way_of_its_packet() {
    let outcome = outcome_of(
        "test \"ssh is open\"\n  send client tcp client:40000 > server:22 S\n  expect forwarded\n  expect by FORWARD 9\n  expect rule FORWARD 2 packets 7\nend\n\
         test \"a download\"\n  handshake client:40000 > server:22\n  expect accept\nend\n",
    );
    let expected = "\
✗ t.test.nflab  2 failed

✗ ssh is open
  t.test.nflab:6:3  expect forwarded
      the packet went no further: dropped by the policy of filter FORWARD

      packet 1, in by lan: tcp 10.0.0.2:40000 > 192.0.2.9:22 S seq 2400000 ttl 64
        PREROUTING  conntrack NEW: it opens a flow
        routing               out by wan, to a neighbour there
";
    let told = report::people(&outcome, false);
    assert!(told.starts_with(expected), "{told}");
    for part in [
        "  t.test.nflab:7:3  expect by FORWARD 9\n      there is no rule 9 of filter FORWARD: it has 3 rules\n",
        "  t.test.nflab:8:3  expect rule FORWARD 2 packets 7\n      rule 2 of filter FORWARD has counted 0 packets, 0 bytes\n",
        "the SYN of 10.0.0.2:40000 did not arrive: dropped by the policy of filter FORWARD\n",
        "                                  no: --dport 80: packet has 22\n",
        "      dropped: by the policy of filter FORWARD\n  t.test.nflab:7:3",
        "\n2 of 2 tests failed\n",
    ] {
        assert!(told.contains(part), "{part:?} not in\n{told}");
    }
    // After a conversation that failed nothing more is asked.
    assert_eq!(outcome.cases[1].failures.len(), 1);
}

#[test]
fn a_setup_that_fails_fails_every_test() {
    let outcome =
        outcome_of("setup\n  iptables -A NOWHERE -j ACCEPT\n  listen tcp 1\nend\ntest one\n  expect flows 0\nend\n");
    assert_eq!(outcome.cases[0].failures.len(), 1);
    let failure = &outcome.cases[0].failures[0];
    assert_eq!(failure.line, 5);
    assert!(
        failure.reason.contains("No chain/target/match by that name"),
        "{}",
        failure.reason
    );
}

#[test]
fn what_cannot_be_read_is_said_where() {
    let test = "test one\n  expect flows 0\nend\n";
    for (text, parts) in [
        (
            "tests one\nend\n",
            &[
                "t.test.nflab:1:1",
                "`tests` is no word of a test file",
                "did you mean `test`?",
            ][..],
        ),
        (
            "send lan udp 10.0.0.2:1 > 192.0.2.9:2\n",
            &["`send` stands outside of a test", "between `test \"NAME\"` and `end`"],
        ),
        (
            "test one\n  expect flows 0\n",
            &[
                "t.test.nflab:1:1",
                "this `test` is never closed",
                "before the file ends",
            ],
        ),
        (
            "test one\n  expect flows 0\ntest two\n  expect flows 0\nend\n",
            &["t.test.nflab:1:1", "before line 3 begins something new"],
        ),
        ("end\n", &["this `end` closes nothing"]),
        ("test one\nend\n", &["this test does nothing"]),
        ("test\n  expect flows 0\nend\n", &["this `test` has no name", "1:5"]),
        (
            "test the web is open\n  expect flows 0\nend\n",
            &["1:10", "write it in quotes"],
        ),
        ("test one\n  expect acept\nend\n", &["2:10", "did you mean `accept`?"]),
        (
            "test one\n  handshake cleint > server:80\nend\n",
            &["2:13", "there is no host `cleint`"],
        ),
        (
            "test one\n  expect flows 0\nend\ntest one\n  expect flows 0\nend\n",
            &["4:1", "`one` is tested already, at t.test.nflab:1"],
        ),
        (
            "rules nowhere.v4\ntest one\n  expect flows 0\nend\n",
            &["1:7", "cannot read nowhere.v4: ", "relative to the file"],
        ),
        (
            "lab nowhere.toml\ntest one\n  expect flows 0\nend\n",
            &["1:5", "cannot read nowhere.toml"],
        ),
        ("include nowhere.nflab\n", &["1:9", "cannot read nowhere.nflab"]),
        (
            "test one\n  iptables-restore < gone\nend\n",
            &["2:22", "cannot read gone"],
        ),
        (
            "include t.test.nflab\n",
            &["1:9", "this file includes itself: t.test.nflab -> t.test.nflab"],
        ),
        (
            "include a\n",
            &["a:1:9", "this file includes itself: t.test.nflab -> a -> b -> a"],
        ),
        (
            "seed x\ntest one\n  expect flows 0\nend\n",
            &["`seed` takes one number"],
        ),
        (
            "rules rules.v4\nrules rules.v4\ntest one\n  expect flows 0\nend\n",
            &["2:1", "rules called `rules.v4` are there already"],
        ),
        (
            "rules bad.v4\ntest one\n  expect flows 0\nend\n",
            &["bad.v4:2:13", "unknown protocol \"tpc\" specified"],
        ),
        (
            "rules loop.sh\ntest one\n  expect flows 0\nend\n",
            &[
                "loop.sh:2:1",
                "`for` is no command of a lab",
                "nflab sh --save rules.v4",
            ],
        ),
        (
            "rules wrong.sh\ntest one\n  expect flows 0\nend\n",
            &["wrong.sh:1:1", "iptables: No chain/target/match by that name."],
        ),
        (
            "host lan 10.0.0.2 lan\ntest one\n  expect flows 0\nend\n",
            &["1:6", "`lan` is an interface of the lab"],
        ),
        (
            "host pc 10.0.0.2 lam\ntest one\n  expect flows 0\nend\n",
            &["1:18", "did you mean `lan`?"],
        ),
        ("host pc 10.0.0.2 lan\n", &["t.test.nflab has no test"]),
        ("", &["t.test.nflab is empty"]),
        ("table t\nend\n", &["this table is empty"]),
        ("table t\n  from to service verdict\nend\n", &["this table has no case"]),
        (
            "table t\n  from to service\n  router router icmp\nend\n",
            &["2:18", "the column `verdict` is missing"],
        ),
        (
            "table t\n  from too service verdict\nend\n",
            &["2:8", "a table has no column `too`", "did you mean `to`?"],
        ),
        (
            "table t\n  from from service verdict\nend\n",
            &["2:8", "the column `from` is there already"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 icmp6 sent\nend\n",
            &["3:19", "`icmp6` is not understood here", "did you mean `icmpv6`?"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 ping sent\nend\n",
            &["3:19", "`ping` is not understood here", "did you mean `icmp`?"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 icmp\nend\n",
            &["3:23", "this case ends before its column `verdict`"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 icmp sent x\nend\n",
            &["3:29", "this case has 5 cells, its table 4 columns"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 icmp allow\nend\n",
            &["3:24", "expected a verdict: accept"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 tcp sent\nend\n",
            &["3:19", "write it like tcp/80"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 icmp/8 sent\nend\n",
            &["this protocol has no ports"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 tcp/99999 sent\nend\n",
            &[
                "3:23",
                "`99999` is not understood here",
                "expected a port from 0 to 65535",
            ],
        ),
        (
            "table t\n  from to service verdict by\n  router 10.0.0.2 icmp sent OUTPUT:0\nend\n",
            &["3:36", "`0` is not understood here", "rules are numbered from 1"],
        ),
        (
            "table t\n  from to service verdict by\n  router 10.0.0.2 icmp sent OUTPUT\nend\n",
            &["3:35", "the cell ends too early", "expected a rule"],
        ),
        (
            "table t\n  from to service verdict by\n  router 10.0.0.2 icmp sent OUTPUT:1:2\nend\n",
            &["3:38", "`2` is not understood here", "expected the end of the cell"],
        ),
        (
            "table t\n  from to service verdict by\n  router 10.0.0.2 icmp sent 'OUTPUT < 1'\nend\n",
            &["3:29", "expected one line of words, without `<`"],
        ),
        (
            "table t\n  from to service verdict by\n  router 10.0.0.2 icmp sent\nend\n",
            &[
                "3:28",
                "expected the rule that decides",
                "write `-` where nothing is expected",
            ],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 icmp sent < rules.v4\nend\n",
            &["3:3", "a case reads no input"],
        ),
        (
            "table t\n  from to service verdict\n  10.0.0.2 2001:db8::1 icmp sent\nend\n",
            &["3:3", "10.0.0.2 and 2001:db8::1 have no addresses of one family"],
        ),
        (
            "table t\n  from to family service verdict\n  10.0.0.2 10.0.0.3 6 icmp sent\nend\n",
            &["3:3", "10.0.0.2 and 10.0.0.3 do not both have an IPv6 address"],
        ),
        (
            "table t\n  from to family service verdict\n  10.0.0.2 10.0.0.3 v4 icmp sent\nend\n",
            &["3:21", "expected 4, 6, or `-` for each that both hosts have"],
        ),
        (
            "test one < rules.v4\n  expect flows 0\nend\n",
            &["1:1", "`test` reads no input"],
        ),
        (
            "test one\n  expect flows 0\nend now\n",
            &["3:5", "`now` is not understood here"],
        ),
        (
            "table t\n  from to service verdict\n  router nobody icmp sent\nend\n",
            &["3:10", "there is no host `nobody`"],
        ),
        (
            "table t\n  from to service verdict\n  router 10.0.0.2 icmp sent\n  router 10.0.0.2 icmp drop\nend\n",
            &["4:3", "is tested already, at t.test.nflab:3"],
        ),
    ] {
        let wrong = unreadable(
            text,
            &[
                ("a", "include b\n"),
                ("b", "include a\n"),
                ("bad.v4", "*filter\n-A INPUT -p tpc -j DROP\nCOMMIT\n"),
                (
                    "loop.sh",
                    "#!/bin/sh\nfor port in 80 443; do\niptables -A INPUT -p tcp --dport $port\ndone\n",
                ),
                ("wrong.sh", "iptables -A NOWHERE -j DROP\n"),
            ],
        );
        for part in parts {
            // `a` includes `b`, which includes `a`: said where the circle closes.
            let part = if *part == "a:1:9" { "b:1:9" } else { part };
            assert!(wrong.contains(part), "{part:?} not in\n{wrong}");
        }
    }
    // A line that the tool takes for several, with letters of two bytes.
    let long = format!(
        "*filter\n-A INPUT -m comment --comment {} -j DROP\n-A INPUT -p tpc -j DROP\nCOMMIT\n",
        "é".repeat(9000)
    );
    let wrong = unreadable(
        "rules long.v4\ntest one\n  expect flows 0\nend\n",
        &[("long.v4", &long)],
    );
    assert!(wrong.contains("--> long.v4:"), "{wrong}");
    let many = format!("{test}test two\n{}end\n", "  nonsense\n".repeat(500));
    let wrong = unreadable(&many, &[]);
    assert!(wrong.contains("480 more problems in t.test.nflab"), "{wrong}");
}

/// Each file includes the one before it twice: what is read is bounded however it is written, and the line that goes beyond is named.
#[test]
fn included_files_are_bounded() {
    let twice = |count: usize| -> Vec<(String, String)> {
        let first = ("inc0".to_owned(), "host other 10.0.0.3 lan\n".to_owned());
        let others = (1..=count).map(|n| (format!("inc{n}"), format!("include inc{0}\ninclude inc{0}\n", n - 1)));
        std::iter::once(first).chain(others).collect()
    };
    let read = |files: &[(String, String)], text: &str| {
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        unreadable(text, &files)
    };
    let wrong = read(&twice(17), "include inc17\n");
    assert!(wrong.contains("error: more than 10000 times `include`"), "{wrong}");
    assert!(wrong.contains("--> inc1:"), "{wrong}");
    assert_eq!(wrong.matches("error:").count(), 1, "{wrong}");
    // What is read is counted, not timed.
    let counted = std::cell::Cell::new(0);
    let files = twice(17);
    let mut reader = |path: &std::path::Path| {
        counted.set(counted.get() + 1);
        let name = path.to_string_lossy();
        let found = files.iter().find(|(known, _)| *known == name);
        match (&*name, found) {
            ("t.test.nflab", _) => Ok("include inc17\n".to_owned()),
            (_, Some((_, text))) => Ok(text.clone()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    };
    let path = std::path::Path::new("t.test.nflab");
    assert!(super::read(path, &mut reader, crate::cli::TOOLBOX, &Choice::default()).is_err());
    assert!(counted.get() <= 10_002, "{} files were read", counted.get());

    let deep: Vec<(String, String)> = (0..=60)
        .map(|n| (format!("inc{n}"), format!("include inc{}\n", n + 1)))
        .collect();
    let wrong = read(&deep, "include inc0\n");
    assert!(wrong.contains("more than 50 deep\n --> inc49:1:9"), "{wrong}");

    let large = [("inc".to_owned(), format!("# {}\n", "x".repeat(1 << 20)))];
    let wrong = read(&large, &"include inc\n".repeat(100));
    assert!(wrong.contains("more than 64 MB of included files"), "{wrong}");
    assert!(wrong.contains("--> t.test.nflab:"), "{wrong}");
}

#[test]
fn ten_thousand_cases() {
    let mut text = format!("{HOSTS}table \"all ports\"\n  from to service verdict\n");
    for port in 1..=10_000 {
        let verdict = if port == 80 { "accept" } else { "drop" };
        text.push_str(&format!("  client server tcp/{port} {verdict}\n"));
    }
    text.push_str("end\n");
    let suite = suite_of(&text, &[]).unwrap();
    assert_eq!(suite.tests.len(), 10_000);
    let last = suite.cases().last().unwrap();
    assert_eq!((last.test.line, last.run().passed()), (10_005, true));
    // All of them wrong: a report that can still be read.
    let suite = suite_of(&text.replace(" drop\n", " reject\n"), &[]).unwrap();
    let mut outcome = Outcome::of(&[]);
    outcome.cases = suite.cases().take(300).map(|case| case.run()).collect();
    let told = report::people(&outcome, false);
    assert!(
        told.contains("\nalso failed:\n✗ t.test.nflab:26  all ports: client > server tcp/21\n"),
        "{told}"
    );
    assert!(
        told.ends_with(
            "and 179 more; `--format tap` tells of all, `--filter NAME` runs some\n\n299 of 300 tests failed\n"
        ),
        "{told}"
    );
}

#[test]
fn reports_for_machines() {
    let outcome = outcome_of(
        "test \"50 % <of> \\\"it\\\" #1\"\n  send client tcp client:1 > server:80 S data \"\\x00\"\n  expect drop\nend\ntest good\n  expect flows 0\nend\n",
    );
    let tap = report::tap(&outcome);
    assert!(
        tap.starts_with(
            "TAP version 14\n1..2\nnot ok 1 - t.test.nflab: 50 % <of> \"it\" \\#1\n  ---\n  failures:\n    - file: \"t.test.nflab\"\n      line: 6\n      column: 3\n      command: \"expect drop\"\n      message: \"the packet was accepted, and forwarded\"\n      story: |\n        packet 1, in by lan: tcp"
        ),
        "{tap}"
    );
    assert!(tap.ends_with("  ...\nok 2 - t.test.nflab: good\n"), "{tap}");
    let junit = report::junit(&outcome, &Stamp::default());
    assert!(
        junit.contains(
            "<testcase name=\"50 % &lt;of&gt; &quot;it&quot; #1\" classname=\"t.test.nflab\" time=\"0.000000\">\n"
        ),
        "{junit}"
    );
    assert!(junit.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{junit}");
    let github = report::github(&outcome);
    assert!(
        github.starts_with("::error file=t.test.nflab,line=6,col=3,title=50 %25 <of> \"it\" #1::t.test.nflab:6:3: expect drop%0A  the packet was accepted, and forwarded%0A%0A"),
        "{github}"
    );
    let error = suite_of("tests\n", &[]).unwrap_err();
    assert_eq!(
        report::github_unreadable(&error),
        "::error file=t.test.nflab,line=1,col=1,title=cannot be read::`tests` is no word of a test file%0Aexpected the beginning of a block%0Adid you mean `test`?\n"
    );
    assert!(report::tap_unreadable(&error).ends_with("Bail out! the tests cannot be read\n"));
}

#[test]
fn coverage_as_text_and_for_lcov() {
    let outcome = outcome_of(
        "table t\n  from to service verdict\n  client server tcp/80 accept\n  client server udp/53 reject\nend\n",
    );
    let coverage = outcome.coverage();
    assert_eq!((coverage.reached(), coverage.percent() as u32), (2, 66));
    assert_eq!(
        coverage.text(),
        "rules.v4    2 of   3 rules reached   66 %\n  rules.v4:5: no packet matched rule 1 of filter FORWARD\n      -A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n\
         t.test.nflab: IPv6 is open, and IPv4 is not: it has no rule and no policy but ACCEPT, though interfaces have addresses of it\n"
    );
    let annotated = report::github_coverage(&coverage);
    assert!(
        annotated.contains("::warning file=t.test.nflab,title=where the families part::IPv6 is open, and IPv4 is not"),
        "{annotated}"
    );
    assert_eq!(
        coverage.lcov(),
        "TN:\nSF:rules.v4\nDA:5,0\nDA:6,1\nDA:7,1\nLF:3\nLH:2\nend_of_record\n"
    );
}

const RULES6: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT\n\
-A FORWARD -i lan -p tcp -m tcp --dport 80 -m comment --comment \"the web\" -j ACCEPT\n\
-A FORWARD -i lan -p udp -j DROP\nCOMMIT\n";

/// A case whose hosts have both families runs in each, under the rules of each.
#[test]
fn both_families_in_one_table() {
    let hosts = "host both 10.0.0.2 2001:db8::2 lan\nhost www 192.0.2.9 2001:db8:1::9 wan\nhost old 192.0.2.8 wan\n";
    let text = format!(
        "{hosts}rules rules.v4\nrules6 rules.v6\n\
         table t\n  from to family service verdict comment\n  both www - tcp/80 accept 'the web'\n  both www 6 udp/53 drop -\n  both www 4 udp/53 reject -\n  both old - icmp drop -\n  www both - icmp drop -\nend\n"
    );
    let suite = suite_of(&text, &[("rules.v6", RULES6)]).unwrap_or_else(|error| panic!("{error}"));
    let outcome = run(&[suite]);
    assert!(outcome.passed(), "{}", report::people(&outcome, false));
    let names: Vec<String> = outcome.cases.iter().map(super::CaseOutcome::name).collect();
    assert_eq!(
        names,
        [
            "t: both > www tcp/80 (IPv4)",
            "t: both > www tcp/80 (IPv6)",
            "t: both > www udp/53 (IPv6)",
            "t: both > www udp/53 (IPv4)",
            "t: both > old icmp",
            "t: www > both icmp (IPv4)",
            "t: www > both ipv6-icmp (IPv6)",
        ]
    );
    // What one family does otherwise than the other is shown.
    let coverage = outcome.coverage();
    let alone: Vec<String> = coverage
        .without_twin()
        .iter()
        .map(|rule| format!("{}:{}", rule.place.file, rule.place.line))
        .collect();
    assert_eq!(alone, ["rules.v4:7", "rules.v6:7"]);
    assert!(
        coverage.text().contains(
            "  rules.v6:7: rule 3 of IPv6's filter FORWARD has no like one in IPv4\n      -A FORWARD -i lan -p udp -j DROP\n"
        ),
        "{}",
        coverage.text()
    );
    let annotated = report::github_coverage(&coverage);
    let notice = "::notice file=rules.v6,line=7,title=rule of one family::rule 3 of IPv6's filter FORWARD has no like one in IPv4: \
                  -A FORWARD -i lan -p udp -j DROP\n";
    assert!(annotated.contains(notice), "{annotated}");
}
