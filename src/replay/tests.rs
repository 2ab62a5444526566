//! Packets through a lab: clocks, answers, and what decided.

use super::*;
use crate::base::Random;
use crate::cli::TOOLBOX;
use crate::explain::story::Story;
use crate::lab::send::{Surroundings, build, packet, split_parentheses};
use crate::syntax::words::Words;

struct Blank;

impl Surroundings for Blank {
    fn next_sequence(&self, _: (std::net::IpAddr, u16), _: (std::net::IpAddr, u16)) -> Option<u32> {
        None
    }

    fn departed(&self) -> Option<Vec<u8>> {
        None
    }
}

fn bytes(line: &str) -> Vec<u8> {
    let words = split_parentheses(&crate::lab::script::lex::lex(line).unwrap().remove(0).words);
    build(&packet(&mut Words::new(&words)).unwrap(), &Blank).unwrap()
}

fn replayer(rules: &str) -> Replayer {
    let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
    lab.start_at(START);
    let output = lab.tool("iptables-restore", &[], rules, ".".as_ref());
    assert_eq!(output.code, 0, "{}", output.stderr);
    Replayer::new(lab)
}

const START: Time = Time::from_secs(1_700_000_000);

fn verdict(replayer: &mut Replayer, millis: u64, interface: &str, line: &str) -> String {
    let bytes = bytes(line);
    let time = START + Duration::from_millis(millis);
    let passed = replayer.pass(TimedPacket::new(1, time, interface, &bytes)).unwrap();
    passed.comment()
}

#[test]
fn the_last_word_of_the_filter_table_decides() {
    let rules = "*mangle\n-A FORWARD -j ACCEPT\nCOMMIT\n*filter\n:FORWARD DROP\n:services -\n:strange -\n\
                 -A FORWARD -p tcp -j services\n-A FORWARD -p udp -g strange\n-A FORWARD -p icmp -j LOG\n\
                 -A services -p tcp --dport 80 -j ACCEPT\n-A services -p tcp --dport 81 -j RETURN\n-A strange -p udp --dport 9 -j ACCEPT\n\
                 COMMIT\n*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n";
    let mut replayer = replayer(rules);
    for (line, expected) in [
        (
            "tcp 10.0.0.2:1 > 192.0.2.9:80 S",
            "ACCEPT NEW, rule 1 of filter services: -p tcp -m tcp --dport 80 -j ACCEPT; out by wan as tcp 192.0.2.1:1 > 192.0.2.9:80",
        ),
        (
            "tcp 10.0.0.2:1 > 192.0.2.9:81 S",
            "DROP NEW, policy of filter FORWARD: DROP",
        ),
        (
            "udp 10.0.0.2:1 > 192.0.2.9:9",
            "ACCEPT NEW, rule 1 of filter strange: -p udp -m udp --dport 9 -j ACCEPT; out by wan as udp 192.0.2.1:1 > 192.0.2.9:9",
        ),
        (
            "udp 10.0.0.2:1 > 192.0.2.9:10",
            "DROP NEW, policy of filter FORWARD: DROP",
        ),
        (
            "icmp 10.0.0.2 > 192.0.2.9 echo-request",
            "DROP NEW, policy of filter FORWARD: DROP",
        ),
    ] {
        assert_eq!(verdict(&mut replayer, 0, "lan", line), expected, "{line}");
    }
}

#[test]
fn what_came_in_pieces_counts_whole_among_the_largest_flows() {
    for (tool, ends, id, length) in [
        ("iptables-restore", "udp 10.0.0.2:7 > 192.0.2.9:53", "ipid 5", 60),
        (
            "ip6tables-restore",
            "udp [2001:db8::2]:7 > [2001:db8:1::9]:53",
            "id 5",
            80,
        ),
    ] {
        let mut replayer = replayer("*filter\nCOMMIT\n");
        let rules = "*filter\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n";
        let output = replayer.lab_mut().tool(tool, &[], rules, ".".as_ref());
        assert_eq!(output.code, 0, "{}", output.stderr);
        let mut summary = Summary::new(&replayer);
        for (number, piece) in (1..).zip(["frag 0 24 mf", "frag 24"]) {
            let bytes = bytes(&format!("{ends} zeros 32 {piece} {id}"));
            summary.note(&replayer.pass(TimedPacket::new(number, START, "lan", &bytes)).unwrap());
        }
        let text: Vec<String> = summary.text(&replayer).split_whitespace().map(str::to_owned).collect();
        let text = text.join(" ");
        assert!(text.contains(&format!("{length} 1 {ends}")), "{text}");
    }
}

#[test]
fn answers_of_the_router_are_its_own() {
    let mut replayer =
        replayer("*filter\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n-A OUTPUT -p icmp -j DROP\nCOMMIT\n");
    assert_eq!(
        verdict(&mut replayer, 0, "lan", "tcp 10.0.0.2:1 > 192.0.2.9:80 S"),
        "REJECT, rule 1 of filter FORWARD: -p tcp -j REJECT --reject-with tcp-reset; answered by the router"
    );
    // The answer meets a rule that drops it: that is not the packet's fate.
    assert_eq!(
        verdict(&mut replayer, 0, "lan", "icmp 10.0.0.2 > 10.0.0.1 echo-request"),
        "ACCEPT, policy of filter INPUT: ACCEPT; reached the router"
    );
    // A packet of the router to itself comes round through lo: its verdict is OUTPUT's.
    assert_eq!(
        verdict(&mut replayer, 0, "local", "udp 10.0.0.1:1 > 10.0.0.1:2"),
        "ACCEPT, policy of filter OUTPUT: ACCEPT; reached the router"
    );
}

#[test]
fn time_does_not_run_backwards_and_does_its_work() {
    let mut replayer = replayer("*filter\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n");
    let (there, back) = (
        bytes("udp 10.0.0.2:1 > 192.0.2.9:2"),
        bytes("udp 192.0.2.9:2 > 10.0.0.2:1"),
    );
    let at = |millis| START + Duration::from_millis(millis);
    let packets = [
        TimedPacket::new(1, at(5000), "lan", &there),
        TimedPacket::new(2, at(1000), "wan", &back),
        TimedPacket::new(3, at(500_000), "wan", &back),
    ];
    let mut seen = Vec::new();
    for packet in packets {
        let passed = replayer.pass(packet).unwrap();
        seen.push((passed.time(), passed.is_late(), passed.state()));
    }
    assert_eq!(
        seen,
        [
            (at(5000), false, Some("NEW")),
            (at(5000), true, Some("ESTABLISHED")),
            (at(500_000), false, Some("NEW")),
        ]
    );
}

#[test]
fn fragments_that_wait_too_long_are_answered_between_packets() {
    let mut replayer = replayer("*filter\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n");
    let first = bytes("udp 10.0.0.2:1 > 10.0.0.1:2 data \"12345678\" mf");
    let later = bytes("udp 10.0.0.3:1 > 192.0.2.9:2");
    let passed = replayer.pass(TimedPacket::new(1, START, "lan", &first)).unwrap();
    assert_eq!(passed.verdict(), "STOLEN");
    let time = START + Duration::from_secs(60);
    let passed = replayer.pass(TimedPacket::new(2, time, "lan", &later)).unwrap();
    let meanwhile: Vec<_> = passed
        .meanwhile()
        .map(|left| (left.interface.to_string(), left.is_own))
        .collect();
    assert_eq!(meanwhile, [("lan".to_owned(), true)], "time exceeded");
    assert_eq!(passed.output().count(), 1);
}

/// A tenth of a second after the last time it is looked again, and not before.
#[test]
fn what_is_due_is_done_each_tenth_of_a_second() {
    let first = bytes("udp 10.0.0.2:1 > 10.0.0.1:2 data \"12345678\" mf");
    let later = bytes("udp 10.0.0.3:1 > 192.0.2.9:2");
    for (millis, is_done) in [(30_049, false), (30_050, true), (30_051, true)] {
        let mut replayer = replayer("*filter\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n");
        replayer.pass(TimedPacket::new(1, START, "lan", &first)).unwrap();
        let mut meanwhile = |number, millis| {
            let time = START + Duration::from_millis(millis);
            let passed = replayer.pass(TimedPacket::new(number, time, "lan", &later)).unwrap();
            passed.meanwhile().count()
        };
        assert_eq!(meanwhile(2, 29_950), 0);
        assert_eq!(meanwhile(3, millis), usize::from(is_done), "after {millis} ms");
    }
}

#[test]
fn who_watches_changes_nothing() {
    let rules = "*filter\n:FORWARD DROP\n-A FORWARD -p udp -m limit --limit 1/hour --limit-burst 2 -j ACCEPT\nCOMMIT\n";
    let line = bytes("udp 10.0.0.2:1 > 192.0.2.9:2");
    let packets = (1..=4).map(|number| TimedPacket::new(number, START, "lan", &line));
    let silent: Vec<Outcome> = replayer(rules).run(packets.clone()).map(Result::unwrap).collect();
    let mut watched = replayer(rules);
    let watched: Vec<Outcome> = packets
        .map(|packet| watched.pass_watched(packet, &mut Story::default()).unwrap().outcome())
        .collect();
    assert_eq!(silent, watched);
    let verdicts: Vec<&str> = silent.iter().map(|outcome| outcome.verdict).collect();
    assert_eq!(verdicts, ["ACCEPT", "ACCEPT", "DROP", "DROP"]);
}

/// A scan: each packet is a flow of its own. The table doesn't grow with the capture.
#[test]
fn dead_flows_are_collected_on_the_way() {
    let mut replayer = replayer("*filter\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n");
    let mut packet = bytes("udp 10.0.0.2:1 > 192.0.2.9:2");
    let mut most = 0;
    for number in 0..100_000u64 {
        packet[20..22].copy_from_slice(&(number as u16).to_be_bytes());
        packet[15] = 2 + (number >> 16) as u8;
        // No checksum of either header is looked at here but the IP header's, which stays right.
        packet[10..12].fill(0);
        let sum = crate::wire::checksum::of(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet[26..28].fill(0);
        let time = START + Duration::from_millis(20 * number);
        let passed = replayer.pass(TimedPacket::new(number, time, "lan", &packet)).unwrap();
        assert_eq!(passed.verdict(), "ACCEPT");
        most = most.max(replayer.lab().machine.router().flows().count());
    }
    assert!(most < 30_000, "{most} flows");
}

/// Verdict, state, and what left by where: each is a difference by itself. Which rule decided is none.
#[test]
fn what_is_a_difference_between_two_rulesets() {
    let none = "*filter\nCOMMIT\n";
    let (out, own) = ("udp 10.0.0.2:1 > 192.0.2.9:2", "udp 10.0.0.2:1 > 10.0.0.1:2");
    for (one, other, packet, expected) in [
        (none, none, out, false),
        (none, "*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n", out, false),
        (none, "*filter\n-A FORWARD -j DROP\nCOMMIT\n", out, true),
        // Only the state: both accept, and the same leaves.
        (
            "*filter\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n",
            "*raw\n-A PREROUTING -j NOTRACK\nCOMMIT\n*filter\n-A FORWARD -m conntrack --ctstate UNTRACKED -j ACCEPT\nCOMMIT\n",
            out,
            true,
        ),
        // Only what left.
        (none, "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n", out, true),
        // Only an answer's identification, which the router counts up: the error's own bytes are the same.
        (
            "*filter\n-A INPUT -j REJECT\nCOMMIT\n",
            "*filter\n-A INPUT -p udp -j REJECT\nCOMMIT\n",
            own,
            false,
        ),
        (
            "*filter\n-A INPUT -j REJECT\nCOMMIT\n",
            "*filter\n-A INPUT -j REJECT --reject-with icmp-host-unreachable\nCOMMIT\n",
            own,
            true,
        ),
    ] {
        let bytes = bytes(packet);
        let (mut first, mut second) = (replayer(one), replayer(other));
        let packet = |number| TimedPacket::new(number, START, "lan", &bytes);
        let passed = [first.pass(packet(1)).unwrap(), second.pass(packet(1)).unwrap()];
        assert_eq!(against::differ(&passed[0], &passed[1]), expected, "{one}{other}");
    }
}

/// What a queue swallows says nothing of the rules behind it: alike is no all-clear, but what only one of two queues is a difference.
#[test]
fn what_a_queue_swallows_is_no_all_clear() {
    let queued = |rest: &str| format!("*mangle\n-A PREROUTING -j NFQUEUE --queue-num 3{rest}\nCOMMIT\n");
    let drops = "*filter\n:FORWARD DROP\nCOMMIT\n";
    let bytes = bytes("udp 10.0.0.2:1 > 192.0.2.9:2");
    for (one, other, differs, tell_nothing) in [
        (queued(""), queued("") + drops, false, true),
        (
            queued(""),
            "*mangle\n-A PREROUTING -j QUEUE\nCOMMIT\n".to_owned(),
            false,
            true,
        ),
        (
            queued(" --queue-bypass"),
            queued(" --queue-bypass") + drops,
            true,
            false,
        ),
        (queued(" --queue-bypass"), queued(" --queue-bypass"), false, false),
        (queued(""), drops.to_owned(), true, false),
    ] {
        let (mut first, mut second) = (replayer(&one), replayer(&other));
        let packet = || TimedPacket::new(1, START, "lan", &bytes);
        let mut differences = Differences::new("one", "other");
        let (first, second) = (first.pass(packet()).unwrap(), second.pass(packet()).unwrap());
        assert_eq!(differences.compare(&first, &second).is_some(), differs, "{one}{other}");
        assert_eq!(differences.is_all_clear(), !differs && !tell_nothing, "{one}{other}");
        let text = differences.text(10);
        for said in [
            "1 of 1 packets tells nothing about the rules",
            "queued by rule 1 of mangle PREROUTING, and nobody listens: it came to no rule behind that",
            "--queue-bypass",
        ] {
            assert_eq!(text.contains(said), tell_nothing, "{said}: {text}");
        }
    }
}

/// Who is explained goes the long way, and who only is counted the short one: what is said of both is the same.
#[test]
fn the_short_way_is_told_as_the_long_one() {
    for rules in [
        "*filter\n:FORWARD DROP\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n\
         -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -j ACCEPT\nCOMMIT\n",
        "*filter\n:inner -\n-A INPUT -m state --state INVALID\n-A FORWARD -p udp\n-A FORWARD -p tcp -j inner\n\
         -A inner -p tcp --dport 80 -j RETURN\n-A inner -p tcp --sport 80 -j ACCEPT\nCOMMIT\n\
         *mangle\n-A FORWARD -p udp --dport 53 -j ACCEPT\nCOMMIT\n",
        "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*raw\n-A PREROUTING -p udp\nCOMMIT\n",
    ] {
        let (mut short, mut long) = (replayer(rules), replayer(rules));
        let (mut of_short, mut of_long) = (Summary::new(&short), Summary::new(&long));
        let (mut random, mut story) = (Random::new(11), Story::default());
        let is_masqueraded = rules.contains("MASQUERADE");
        for number in 1..3000 {
            let host = 2 + random.below(3);
            let (inside, outside) = match random.below(5) {
                0..3 => (format!("udp 10.0.0.{host}:4000"), "192.0.2.9:53".to_owned()),
                _ => (format!("tcp 10.0.0.{host}:4000"), "192.0.2.9:80".to_owned()),
            };
            let is_tcp = inside.starts_with("tcp");
            let answers = !is_masqueraded && random.below(2) == 0;
            let sequence = if random.below(40) == 0 { 90_000_000 } else { 0 };
            let numbers = match (is_tcp, answers) {
                (false, _) => String::new(),
                (true, false) => format!(" A seq {} ack 2000", 1000 + sequence),
                (true, true) => format!(" A seq {} ack 1000", 2000 + sequence),
            };
            let line = match answers {
                false => format!("{inside} > {outside}{numbers}"),
                true => format!("{} {outside} > {}{numbers}", &inside[..3], &inside[4..]),
            };
            let bytes = bytes(&line);
            let interface = if answers { "wan" } else { "lan" };
            let packet = TimedPacket::new(number, START + Duration::from_millis(number), interface, &bytes);
            story.clear();
            let (one, other) = (
                short.pass(packet).unwrap(),
                long.pass_watched(packet, &mut story).unwrap(),
            );
            assert_eq!(one.outcome(), other.outcome(), "{line}");
            assert_eq!(one.why_invalid(), other.why_invalid(), "{line}");
            assert_eq!(one.witness().flow, other.witness().flow, "{line}");
            of_short.note(&one);
            of_long.note(&other);
        }
        assert_eq!(of_short.text(&short), of_long.text(&long));
        let went_short = [&short, &long].map(|it| it.lab().worker().went_short());
        assert!(went_short[0] > 1000 && went_short[1] == 0, "{went_short:?}");
    }
}

/// Packets that wait and are carried together, and such that come one by one: the same becomes of both.
#[test]
fn packets_together_are_told_as_one_by_one() {
    for rules in [
        "*filter\n:FORWARD DROP\n-A FORWARD -m conntrack --ctstate INVALID -j LOG\n\
         -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -p udp -m limit --limit 50/s -j ACCEPT\n\
         -A FORWARD -p udp -j REJECT\n-A FORWARD -i lan -j ACCEPT\nCOMMIT\n",
        "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*raw\n-A PREROUTING -p udp -j LOG\nCOMMIT\n",
    ] {
        let (mut alone, mut together) = (replayer(rules), replayer(rules));
        let mut summaries = [Summary::new(&alone), Summary::new(&together)];
        let (mut random, mut now, mut carried) = (Random::new(5), START, 0);
        let mut packets = Vec::new();
        for number in 1..4000u64 {
            now = now + Duration::from_micros([0, 10, 900, 40_000][random.below(4) as usize]);
            let host = 2 + random.below(3);
            let line = match random.below(12) {
                0..4 => format!("udp 10.0.0.{host}:4000 > 192.0.2.9:53"),
                4..6 => format!("udp 192.0.2.9:53 > 10.0.0.{host}:4000"),
                6..9 => format!(
                    "tcp 10.0.0.{host}:4000 > 192.0.2.9:80 A seq {} ack 2000",
                    1000 * random.below(9)
                ),
                9 => format!("udp 10.0.0.{host}:{} > 192.0.2.9:53", 1 + random.below(60_000)),
                10 => "udp 10.0.0.2:7 > 10.0.0.1:9".to_owned(),
                _ => format!("icmp 10.0.0.{host} > 192.0.2.9 echo-request id 7 seq 1"),
            };
            let interface = match (line.contains(" 192.0.2.9:53 >"), random.below(50)) {
                (_, 0) => "local",
                (true, _) => "wan",
                (false, _) => "lan",
            };
            let time = if random.below(60) == 0 { START } else { now };
            packets.push((number, time, interface, bytes(&line)));
        }
        let told = |passed: &Passed<'_>| {
            (
                passed.outcome(),
                passed.is_late(),
                passed.why_invalid(),
                passed.meanwhile().count(),
            )
        };
        let mut outcomes = [Vec::new(), Vec::new()];
        let mut waiting = Vec::new();
        for (number, time, interface, bytes) in &packets {
            let packet = TimedPacket::new(*number, *time, interface, bytes);
            let passed = alone.pass(packet).unwrap();
            summaries[0].note(&passed);
            outcomes[0].push(told(&passed));
            let mut note = |passed: &Passed<'_>| {
                summaries[1].note(passed);
                outcomes[1].push(told(passed));
            };
            if let Some(it) = together.let_wait(packet) {
                waiting.push(it);
                carried += 1;
            } else {
                together.pass_in_turn(&std::mem::take(&mut waiting), &mut note);
                note(&together.pass(packet).unwrap());
            }
            if waiting.len() == 1 + random.below(AT_ONCE as u32) as usize {
                together.pass_in_turn(&std::mem::take(&mut waiting), &mut note);
            }
        }
        together.pass_in_turn(&waiting, |passed| {
            summaries[1].note(passed);
            outcomes[1].push(told(passed));
        });
        for (one, other) in outcomes[0].iter().zip(&outcomes[1]) {
            assert_eq!(one, other);
        }
        assert!(outcomes[0].len() == outcomes[1].len() && carried > 2000, "{carried}");
        assert_eq!(summaries[0].text(&alone), summaries[1].text(&together));
        let shown = |replayer: &mut Replayer| {
            let lab = replayer.lab_mut();
            let lines = lab.machine.log.lines();
            let log: Vec<_> = lines
                .iter()
                .map(|line| (line.time, format!("{:?}", line.record)))
                .collect();
            let tools = [("iptables-save", &["-c"][..]), ("conntrack", &["-L", "-o", "extended"])];
            let texts = tools.map(|(tool, args)| {
                let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
                lab.tool(tool, &args, "", ".".as_ref()).stdout
            });
            (log, texts)
        };
        assert_eq!(shown(&mut alone), shown(&mut together));
    }
}
