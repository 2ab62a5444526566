//! What rules do with packets that stand for many, beside the kernel: each is one to them, with all its bytes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Beside, Made, ROUTER, in_a_namespace};

struct Case {
    what: &'static str,
    rules: &'static str,
    made: Vec<Made>,
    /// Of all packets together.
    leave: usize,
}

fn cases() -> Vec<Case> {
    let tcp = |port, flags| Made {
        port,
        flags,
        size: 800,
        ..Made::default()
    };
    let udp = |port| Made {
        port,
        size: 700,
        is_tcp: false,
        ..Made::default()
    };
    let to_router = |made| Made { to: ROUTER, ..made };
    vec![
        Case {
            what: "MASQUERADE",
            rules: "*nat\n-A POSTROUTING -o far -j MASQUERADE\nCOMMIT\n",
            made: vec![tcp(81, 0x18), udp(81), udp(81)],
            leave: 3,
        },
        Case {
            what: "DNAT to another host, and SNAT",
            rules: "*nat
-A PREROUTING -d 10.81.0.1/32 -p udp -j DNAT --to-destination 10.82.0.7:5000
-A POSTROUTING -p udp -j SNAT --to-source 10.82.0.1:6000
COMMIT
",
            made: vec![to_router(udp(82)), to_router(udp(82))],
            leave: 2,
        },
        Case {
            what: "REDIRECT to a port that nobody listens at",
            rules: "*nat\n-A PREROUTING -p udp -j REDIRECT --to-ports 83\nCOMMIT\n",
            made: vec![udp(84)],
            leave: 1,
        },
        Case {
            what: "lengths are those of the whole",
            rules: "*filter
-A FORWARD -m length --length 0:1500
-A FORWARD -p tcp -m length --length 4540
-A FORWARD -p udp -m length --length 4528
-A FORWARD -m length --length 4529:65535 -j ACCEPT
-A FORWARD -m length --length 4528 -j DROP
COMMIT
",
            made: vec![tcp(85, 0x10), udp(85)],
            leave: 1,
        },
        Case {
            what: "REJECT",
            rules: "*filter
-A FORWARD -p tcp -m tcp --dport 86 -j REJECT --reject-with tcp-reset
-A FORWARD -p tcp -m tcp --dport 87 -j REJECT --reject-with icmp-admin-prohibited
-A FORWARD -p udp -j REJECT
COMMIT
",
            made: vec![tcp(86, 0x18), tcp(87, 0x18), udp(86)],
            leave: 3,
        },
        Case {
            what: "TEE",
            rules: "*mangle
-A PREROUTING -p tcp -j TEE --gateway 10.81.0.9
-A POSTROUTING -p udp -j TEE --gateway 10.81.0.8
COMMIT
",
            made: vec![tcp(88, 0x18), udp(88)],
            leave: 4,
        },
        Case {
            what: "TTL, marks, TCP's flags and options",
            rules: "*mangle
-A PREROUTING -p tcp -m tcp --tcp-flags PSH,URG PSH -j MARK --set-xmark 0x5/0xffffffff
-A FORWARD -m mark --mark 0x5 -j TTL --ttl-set 9
-A POSTROUTING -m ttl --ttl-eq 9 -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff
-A POSTROUTING -m connmark --mark 0x5
-A POSTROUTING -p tcp -m tcp --tcp-option 8
-A POSTROUTING -p tcp -m tcp --tcp-option 1
COMMIT
",
            made: vec![
                tcp(89, 0x18),
                tcp(90, 0x10),
                Made {
                    options: 5,
                    ..tcp(89, 0x98)
                },
            ],
            leave: 3,
        },
        Case {
            what: "one packet to limit, statistic, recent and connlimit",
            rules: "*filter
-A FORWARD -p udp -m limit --limit 1/hour --limit-burst 2
-A FORWARD -p udp -m statistic --mode nth --every 2 --packet 1
-A FORWARD -p udp -m recent --set --name seen --mask 255.255.255.255 --rsource
-A FORWARD -p udp -m recent --rcheck --hitcount 3 --name seen --mask 255.255.255.255 --rsource -j DROP
-A FORWARD -p tcp -m connlimit --connlimit-above 1 --connlimit-mask 32 --connlimit-saddr -j DROP
COMMIT
",
            made: vec![udp(91), udp(91), udp(91), tcp(91, 0x18), tcp(92, 0x18)],
            leave: 3,
        },
        Case {
            what: "states",
            rules: "*raw
-A PREROUTING -p udp --dport 94 -j NOTRACK
COMMIT
*filter
-A FORWARD -m conntrack --ctstate NEW
-A FORWARD -m conntrack --ctstate UNTRACKED
-A FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
",
            made: vec![udp(93), udp(94), tcp(93, 0x18), tcp(94, 0x14)],
            leave: 3,
        },
        Case {
            what: "a queue that nobody listens at, and bypass",
            rules: "*filter
-A FORWARD -p tcp -j NFQUEUE --queue-num 3
-A FORWARD -p udp -j NFQUEUE --queue-num 3 --queue-bypass
COMMIT
",
            made: vec![tcp(95, 0x18), udp(95)],
            leave: 1,
        },
    ]
}

pub(in super::super) fn rules_meet_what_stands_for_many_as_one_packet() {
    in_a_namespace(|| {
        let mut beside = Beside::new(1500);
        beside.both("sysctl", &["-q", "-w", "net.netfilter.nf_conntrack_acct=1"], "");
        for (number, case) in cases().iter().enumerate() {
            let rules: String = ["raw", "mangle", "nat", "filter"]
                .iter()
                .filter(|table| !case.rules.contains(&format!("*{table}\n")))
                .map(|table| format!("*{table}\nCOMMIT\n"))
                .collect();
            beside.both("iptables-restore", &[], &(rules + case.rules));
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
