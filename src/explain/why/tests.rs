//! Which rule a text names.

use super::*;
use crate::base::Family;
use crate::cli::TOOLBOX;
use crate::lab::memory::Lab;
use crate::lab::script::{Runner, parse_in};
use crate::rule::Table;
use crate::syntax::problem::Source;

#[test]
fn a_rule_is_named_by_its_text_its_comment_or_a_part() {
    let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
    let rules = "*filter\n:services -\n-A INPUT -p tcp -j services\n-A INPUT -p tcp --dport 22 -j ACCEPT\n\
                 -A services -p udp -j ACCEPT\n-A services -m comment --comment \"the last\" -j DROP\n\
                 -A services -m comment --comment 22 -j DROP\nCOMMIT\n";
    let output = lab.tool("iptables-restore", &[], rules, ".".as_ref());
    assert_eq!(output.code, 0, "{}", output.stderr);
    let tables = [lab.machine.router().table(Family::V4, Table::Filter)];
    for (text, expected) in [
        ("-p udp -j ACCEPT", Ok("services 1")),
        ("services -p udp -j ACCEPT", Ok("services 1")),
        ("-A services -p udp -j ACCEPT", Ok("services 1")),
        ("the last", Ok("services 2")),
        ("--dport 22", Ok("INPUT 2")),
        // Its own text, though another rule's begins with it.
        ("-p tcp -j services", Ok("INPUT 1")),
        // A number is nobody's text, but may be a comment.
        ("22", Ok("services 3")),
        (
            "2",
            Err("`2` alone names no rule: say its chain, too, such as `FORWARD 2`"),
        ),
        ("", Err("expected a rule, such as `FORWARD 3`, or a part of its text")),
        ("  ", Err("expected a rule, such as `FORWARD 3`, or a part of its text")),
        (
            "nowhere",
            Err(
                "no rule has `nowhere` in its text or as its comment: name it by its chain and number, such as `FORWARD 3` or `nat:PREROUTING 1`",
            ),
        ),
        (
            "-p tcp",
            Err(
                "`-p tcp` is in 2 rules (rule 1 of filter INPUT, rule 2 of filter INPUT): name one by its chain and number, such as `FORWARD 3`",
            ),
        ),
    ] {
        let found = RuleName::parse(text).find(Family::V4, &tables);
        let found = found.map(|it| format!("{} {}", it.chain, it.number.unwrap()));
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }
}

/// What the last line of a script says, each of whose lines succeeds.
pub(in crate::explain) fn said(script: &str) -> String {
    let mut runner = Runner::new(Lab::default_lab(1, TOOLBOX).unwrap(), ".".into());
    let source = Source {
        name: "test".to_owned(),
        text: script.to_owned(),
    };
    let statements = parse_in(&source, TOOLBOX, &mut runner.hosts).unwrap_or_else(|error| panic!("{error}"));
    let mut last = String::new();
    for statement in &statements {
        let (said, result) = runner.run(statement);
        assert!(result.is_ok(), "{script}: {}", said.stderr);
        last = said.stdout;
    }
    last
}

#[test]
fn what_stood_before_a_rule_is_said() {
    let out = "send lan tcp 10.0.0.2:1 > 192.0.2.9:80 S seq 1";
    let back = "send wan tcp 192.0.2.9:80 > 10.0.0.2:1 SA seq 7 ack 2";
    for (script, expected) in [
        // Another table's policy is not this one.
        (
            format!("iptables -t mangle -S\niptables -A FORWARD -j DROP\n{out}\nwhy FORWARD policy"),
            "not reached: rule 1 of FORWARD decided before it: -j DROP",
        ),
        (
            format!("iptables -t mangle -S\niptables -P FORWARD DROP\n{out}\nwhy FORWARD policy"),
            "reached in FORWARD: it decided",
        ),
        // A packet that does not open its flow.
        (
            format!("iptables -t nat -A POSTROUTING -j ACCEPT\n{out}\n{back}\nwhy nat:POSTROUTING 1"),
            "not reached: table nat was not asked in POSTROUTING: ",
        ),
        // What returns decides for its chain alone.
        (
            format!(
                "iptables -N web\niptables -A web -j RETURN\niptables -A web -j DROP\niptables -A FORWARD -j web\n{out}\nwhy web 2"
            ),
            "not reached: rule 1 of web decided before it: -j RETURN",
        ),
        (
            format!(
                "iptables -N web\niptables -A web -j ACCEPT\niptables -A FORWARD -j web\niptables -A FORWARD -j DROP\n{out}\nwhy FORWARD 2"
            ),
            "not reached: rule 1 of web decided before it: -j ACCEPT",
        ),
        (
            format!("iptables -N web\niptables -A web -j ACCEPT\n{out}\nwhy web 1"),
            "not reached: no rule leads into chain web",
        ),
        (
            format!("iptables -N web\niptables -A web -j ACCEPT\niptables -A FORWARD -p udp -j web\n{out}\nwhy web 1"),
            "not reached: ",
        ),
    ] {
        let story = said(&script);
        assert!(
            story.contains(expected),
            "{expected:?} is not said by {script}:\n{story}"
        );
    }
}

#[test]
fn a_packet_that_no_queue_held_goes_on_for_a_reason() {
    let out = "send lan udp 10.0.0.2:1 > 192.0.2.9:2";
    let queues = "iptables -A FORWARD -j NFQUEUE --queue-num 1";
    for (script, expected) in [
        (
            format!("{queues} --queue-bypass\n{out}"),
            "not held at queue 1: nobody listens there, and --queue-bypass lets it go on behind the table",
        ),
        (
            format!("{queues}\nqueue 1 open maximum 1 fail-open\n{out}\n{out}"),
            "not held at queue 1: it is full, and fail-open lets it go on behind the table",
        ),
    ] {
        for form in ["trace", "trace --json"] {
            let told = said(&format!("{script}\n{form}"));
            assert!(told.contains(expected), "{expected:?} is not told by {form}:\n{told}");
        }
    }
}

/// What left a packet untracked: a rule, or that it is a copy, also once that comes round by `lo`.
#[test]
fn a_packet_is_untracked_for_a_reason() {
    let by_rule = "UNTRACKED: a rule said not to track it";
    let as_copy = "UNTRACKED: TEE's copies are not tracked";
    let tracks = "iptables -A OUTPUT -m conntrack --ctstate NEW -j ACCEPT\n";
    let out = "\nsend lan udp 10.0.0.2:1 > 192.0.2.9:2\ntrace";
    for (script, rules, copies) in [
        ("iptables -t mangle -A PREROUTING -j TEE --gateway 10.0.0.9", 0, 1),
        // The copy comes back to the router itself.
        (
            "iptables -t mangle -A PREROUTING -i lan -j TEE --gateway 10.0.0.1",
            0,
            2,
        ),
        ("iptables -t raw -A PREROUTING -j CT --notrack", 1, 0),
        (
            "iptables -t raw -A PREROUTING -j NOTRACK\niptables -t mangle -A PREROUTING -j TEE --gateway 10.0.0.9",
            1,
            1,
        ),
        (
            "iptables -t raw -A PREROUTING -j TEE --gateway 10.0.0.9\niptables -t raw -A PREROUTING -j NOTRACK",
            1,
            1,
        ),
    ] {
        let told = said(&format!("{tracks}{script}{out}"));
        let count = |what: &str| told.matches(what).count();
        assert_eq!((count(by_rule), count(as_copy)), (rules, copies), "{script}:\n{told}");
    }
}

/// What waited at a queue has one story, from where it came in: all its forms tell of what was before, and of what came then.
#[test]
fn a_story_goes_on_behind_a_queue() {
    let queued = "iptables -A FORWARD -m conntrack --ctstate NEW -j NFQUEUE --queue-num 1\niptables -A FORWARD -j DROP\n\
                  iptables -t nat -A POSTROUTING -o wan -j MASQUERADE\nqueue 1 open\nsend lan tcp 10.0.0.2:1 > 192.0.2.9:80 S\n";
    for (script, asked, expected) in [
        (
            "queue 1 accept",
            "trace",
            "packet 1, in by lan: tcp 10.0.0.2:1 > 192.0.2.9:80 S seq 2000010 ttl 64\n  PREROUTING",
        ),
        (
            "queue 1 accept",
            "trace",
            "held: at queue 1 by rule 1 of filter FORWARD\nqueue 1: accept\n",
        ),
        ("queue 1 accept", "trace", "out by wan: tcp 192.0.2.1:1 > 192.0.2.9:80"),
        (
            "queue 1 accept\nexpect by FORWARD 1\nexpect by nat POSTROUTING 1\nexpect no by FORWARD policy",
            "trace",
            "",
        ),
        (
            "queue 1 accept",
            "why FORWARD 1",
            "reached in FORWARD: yes: NFQUEUE --queue-num 1\n",
        ),
        (
            "queue 1 accept",
            "why FORWARD 2",
            "not reached: rule 1 of FORWARD decided before it",
        ),
        (
            "queue 1 accept",
            "why nat POSTROUTING 1",
            "reached in POSTROUTING: yes: MASQUERADE",
        ),
        (
            "queue 1 accept",
            "why INPUT policy",
            "but to PREROUTING, FORWARD, POSTROUTING\n",
        ),
        (
            "queue 1 accept",
            "trace --svg -",
            "let through by rule 1 of filter FORWARD",
        ),
        (
            "queue 1 accept",
            "trace --json",
            "{\"hook\":\"FORWARD\",\"table\":\"filter\",\"chain\":\"FORWARD\",\"rule\":1},\
             {\"hook\":\"POSTROUTING\",\"table\":\"nat\"",
        ),
        (
            "queue 1 drop\nexpect by FORWARD 1",
            "why FORWARD 1",
            "reached in FORWARD: yes: NFQUEUE --queue-num 1\n",
        ),
        (
            "queue 1 drop",
            "why nat POSTROUTING 1",
            "only to PREROUTING, FORWARD: dropped: by who listens at queue 1",
        ),
        ("queue 1 drop", "trace --svg -", "stopped: by who listens at queue 1"),
        // Again and again, each time by the rules of then.
        (
            "queue 1 repeat\nqueue 1 accept",
            "trace",
            "queue 1: repeat\n  FORWARD     filter    rule 1 of FORWARD",
        ),
        (
            "iptables -D FORWARD 1\nqueue 1 repeat\nexpect by FORWARD 1",
            "trace --svg -",
            "stopped: rule 1 of filter FORWARD:  -j DROP",
        ),
        (
            "iptables -D FORWARD 1\nqueue 1 repeat",
            "why FORWARD 1",
            "reached in FORWARD: yes: DROP\n",
        ),
    ] {
        let told = said(&format!("{queued}{script}\n{asked}"));
        assert!(
            told.contains(expected),
            "{expected:?} is not told by {asked} after {script}:\n{told}"
        );
        assert!(told.matches("in by lan").count() <= 1, "{told}");
    }
}

/// Also that of an answer, which is no other packet's any more; and what was in force then is not what is now.
#[test]
fn who_waits_keeps_its_own_story() {
    let answer = "iptables -A OUTPUT -j NFQUEUE --queue-num 1\nqueue 1 open\nsend lan icmp 10.0.0.2 > 10.0.0.1 echo-request\nqueue 1 accept\n";
    let told = said(&format!("{answer}expect by OUTPUT 1\ntrace"));
    assert!(
        !told.contains("echo-request") && told.contains("out by lan: icmp 10.0.0.1 > 10.0.0.2 echo-reply"),
        "{told}"
    );
    assert!(said(&format!("{answer}why OUTPUT 1")).contains("reached in OUTPUT: yes: "));
    let early = "iptables -t mangle -A PREROUTING -i lan -j NFQUEUE --queue-num 1\nqueue 1 open\nsend lan udp 10.0.0.2:1 > 10.9.0.2:2\n\
                 interface dmz 10.9.0.1/24\nqueue 1 accept\n";
    let told = said(&format!("{early}trace"));
    assert!(
        told.contains("yes: NFQUEUE") && told.contains("out by dmz, to a neighbour there\n"),
        "{told}"
    );
    assert!(told.contains("by route 10.9.0.0/24 dev dmz"), "{told}");
}

/// A rule that the packet itself never came to may have been asked about an answer to it, or about a copy: whose it was is said.
#[test]
fn a_rule_that_only_an_answer_came_to_is_found() {
    for (script, expected) in [
        (
            "iptables -A OUTPUT -p icmp -j LOG\nsend lan udp 10.0.0.2:5 > 10.0.0.1:81\nwhy OUTPUT 1",
            "  not reached: its way did not lead to OUTPUT but to PREROUTING, INPUT\n  but the router sent, because of it, icmp 10.0.0.1 > 10.0.0.2 ",
        ),
        (
            "iptables -A OUTPUT -p icmp -j LOG\nsend lan udp 10.0.0.2:5 > 10.0.0.1:81\nwhy OUTPUT 1",
            "\n    reached in OUTPUT: yes: LOG\n",
        ),
        (
            "iptables -A OUTPUT -p tcp -j LOG\nsend lan udp 10.0.0.2:5 > 10.0.0.1:81\nwhy OUTPUT 1",
            "\n    reached in OUTPUT: no: -p tcp: packet is icmp",
        ),
        (
            "iptables -t mangle -A PREROUTING -j TEE --gateway 10.0.0.9\niptables -t mangle -A OUTPUT -j LOG\n\
             send lan udp 10.0.0.2:5 > 192.0.2.9:81\nwhy mangle OUTPUT 1",
            "because of it, udp 10.0.0.2:5 > 192.0.2.9:81 ttl 63 df\n    reached in OUTPUT: yes: LOG\n",
        ),
        (
            "iptables -A OUTPUT -p icmp -j LOG\nsend lan udp 10.0.0.2:5 > 10.0.0.1:81\ntrace --json --why \"OUTPUT 1\"",
            "\"hook\":\"OUTPUT\",\"matched\":true,\"what\":\"LOG\"}]",
        ),
        // Nothing is said of others where there are none.
        (
            "iptables -A OUTPUT -j LOG\nsend lan udp 10.0.0.2:5 > 192.0.2.9:81\nwhy OUTPUT 1",
            "  not reached: its way did not lead to OUTPUT but to PREROUTING, FORWARD, POSTROUTING\n",
        ),
    ] {
        let told = said(script);
        assert!(told.contains(expected), "{expected:?} is not said by {script}:\n{told}");
    }
}

/// Whose rule is meant may be said; the packet's family has the last word.
#[test]
fn a_rule_of_a_family_is_named() {
    let rules = "iptables -A FORWARD -p udp\nip6tables -A FORWARD -p tcp -j DROP\n";
    let six = "send lan tcp [2001:db8::2]:1 > [2001:db8:1::9]:80 S\n";
    for asked in [
        "why -6 FORWARD 1",
        "why -6 \"-p tcp\"",
        "trace --why '-6 FORWARD 1'",
        "trace --why -6 FORWARD 1",
    ] {
        let told = said(&format!("{rules}{six}{asked}"));
        assert!(told.contains("rule 1 of IPv6's filter FORWARD"), "{asked}: {told}");
    }
    let more = "ip6tables -N more\nip6tables -A FORWARD -p udp -j more\nip6tables -A more -j DROP\n";
    for (asked, why) in [
        (
            "why FORWARD 2",
            "rule 1 of IPv6's FORWARD decided before it: -p tcp -j DROP",
        ),
        (
            "why more 1",
            "rule 2 of IPv6's FORWARD (rule 1 of IPv6's FORWARD decided before it)",
        ),
    ] {
        let told = said(&format!("{rules}{more}{six}{asked}"));
        assert!(told.contains(why), "{asked}: {told}");
    }
    for (text, family, why) in [
        (
            "-4 FORWARD 1",
            Family::V6,
            "the packet is of IPv6, and meets IPv6's rules alone: leave `-4` out, or name a packet of IPv4",
        ),
        (
            "  -6 nat POSTROUTING 1",
            Family::V4,
            "the packet is of IPv4, and meets IPv4's rules alone: leave `-6` out, or name a packet of IPv6",
        ),
    ] {
        assert_eq!(RuleName::parse(text).find(family, &[]), Err(why.to_owned()), "{text}");
    }
}
