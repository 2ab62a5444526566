//! Texts of the lab: scripts, lab files, test files, what `import` reads, what tools print of many flows.

use std::borrow::Cow;

use super::tools::{chain_for_each_rule, chain_of_chains, lines, rules};
use super::{Call, Form};

type Files = Vec<(Cow<'static, str>, String)>;

pub(crate) fn forms() -> Vec<Form> {
    let form = |name, size, files, call, status| Form {
        name,
        size,
        files,
        call,
        status,
        starts_each: false,
    };
    let run = |name, size, files, status| form(name, size, files, Call::Nflab(&["run", "-q", "s"]), status);
    let lab = |name, size, files, status| {
        form(
            name,
            size,
            files,
            Call::Nflab(&["run", "-q", "--lab", "l.toml", "s"]),
            status,
        )
    };
    let test = |name, size, files, status| form(name, size, files, Call::Nflab(&["test", "t.test.nflab"]), status);
    let import = |name, size, files| form(name, size, files, Call::Nflab(&["import", "--table", "filter", "i"]), 0);
    vec![
        run(
            "run: tool calls that change nothing",
            5_000,
            |n| script(&"sysctl net.ipv4.ip_forward\n".repeat(n)),
            0,
        ),
        run(
            "run: a rule a line",
            2_000,
            |n| script(&rules("iptables -A FORWARD", n)),
            0,
        ),
        run(
            "run: a chain a line",
            2_000,
            |n| script(&lines(n, |n| format!("iptables -N c{n}"))),
            0,
        ),
        run(
            "run: a chain, its rule and its jump a line",
            1_000,
            |n| {
                script(&lines(n, |n| {
                    format!("iptables -N c{n}\niptables -A c{n} -j DROP\niptables -A FORWARD -s 11.0.0.1 -j c{n}")
                }))
            },
            0,
        ),
        run(
            "run: a rule deleted a line",
            2_000,
            |n| {
                script(&format!(
                    "{}{}",
                    rules("iptables -A FORWARD", n),
                    rules("iptables -D FORWARD", n)
                ))
            },
            0,
        ),
        run(
            "run: here-document",
            20_000,
            |n| {
                script(&format!(
                    "iptables-restore <<EOF\n*filter\n{}COMMIT\nEOF\n",
                    rules("-A FORWARD", n)
                ))
            },
            0,
        ),
        run(
            "run: many here-documents",
            5_000,
            |n| script(&"sysctl -p - <<EOF\nnet.ipv4.ip_forward=1\nEOF\n".repeat(n)),
            0,
        ),
        run(
            "run: bad lines",
            5_000,
            |n| script(&lines(n, |n| format!("iptables -A INPUT --nonsense {n}"))),
            1,
        ),
        run(
            "run: lines of no command",
            5_000,
            |n| script(&lines(n, |n| format!("nonsense {n}"))),
            2,
        ),
        run(
            "run: one bad line",
            1_000_000,
            |n| script(&format!("nonsense{}\n", "x".repeat(n))),
            2,
        ),
        run(
            "run: one bad line of words",
            200_000,
            |n| script(&format!("send{}\n", " x".repeat(n))),
            2,
        ),
        run(
            "run: a rule of many words",
            20_000,
            |n| {
                script(&format!(
                    "iptables -A INPUT {}\n",
                    "-m comment --comment x ".repeat(n / 3)
                ))
            },
            0,
        ),
        run(
            "run: one comment",
            5_000_000,
            |n| script(&format!("#{}\n", "x".repeat(n))),
            0,
        ),
        run("run: comments", 200_000, |n| script(&"# nothing\n\n".repeat(n)), 0),
        run(
            "run: interfaces",
            1_000,
            |n| script(&lines(n, |n| format!("interface i{n} {}.1/24", network(n)))),
            0,
        ),
        run(
            "run: addresses",
            1_000,
            |n| script(&lines(n, |n| format!("interface lan {}.1/24", network(n)))),
            0,
        ),
        run(
            "run: routes",
            1_000,
            |n| script(&lines(n, |n| format!("route add {}.0/24 via 10.0.0.9", network(n)))),
            0,
        ),
        run(
            "run: ip address add",
            1_000,
            |n| script(&lines(n, |n| format!("ip addr add {}.1/24 dev lan", network(n)))),
            0,
        ),
        run(
            "run: ip route add",
            1_000,
            |n| script(&lines(n, |n| format!("ip route add {}.0/24 via 10.0.0.9", network(n)))),
            0,
        ),
        run(
            "run: hosts",
            10_000,
            |n| script(&lines(n, |n| format!("host h{n} 10.{}.{}.2 lan", n >> 8, n & 255))),
            0,
        ),
        run("run: packets", 5_000, |n| script(&packets(n, "")), 0),
        run(
            "run: packets and what is expected",
            2_000,
            |n| script(&packets(n, "expect forwarded\nexpect state NEW\nexpect out wan udp\n")),
            0,
        ),
        run(
            "run: counters expected",
            2_000,
            |n| {
                script(&format!(
                    "{}{}",
                    rules("iptables -A FORWARD", 20),
                    "expect rule FORWARD 3 packets 0\n".repeat(n)
                ))
            },
            0,
        ),
        run(
            "run: flows expected",
            500,
            |n| script(&packets(n, "expect flow udp\n")),
            0,
        ),
        run(
            "run: flows counted",
            500,
            |n| {
                script(&format!(
                    "{TRACKED}{}",
                    lines(n, |n| format!("{}\nexpect flows {}", packet(n), n + 1))
                ))
            },
            0,
        ),
        run(
            "run: conversations",
            500,
            |n| {
                script(&lines(n, |n| {
                    format!("handshake 10.0.{}.{}:4000 > 192.0.2.9:80", n / 250, n % 250 + 2)
                }))
            },
            0,
        ),
        run(
            "run: expectations that are not met",
            5_000,
            |n| script(&format!("{}{}", packets(1, ""), "expect drop\n".repeat(n))),
            1,
        ),
        run(
            "run: a large datagram as hex",
            30_000,
            |n| {
                script(&format!(
                    "send lan udp 10.0.0.2:1 > 192.0.2.9:2 data 0x{}\n",
                    "ab".repeat(n)
                ))
            },
            0,
        ),
        run(
            "run: sysctls of a file",
            20_000,
            |n| {
                script(&format!(
                    "sysctl -p - <<EOF\n{}EOF\n",
                    "net.ipv4.ip_forward = 1\n".repeat(n)
                ))
            },
            0,
        ),
        lab(
            "lab: interfaces",
            5_000,
            |n| {
                lab_file(&lines(n, |n| {
                    format!("[interface.i{n}]\naddress = [\"{}.1/24\"]", network(n))
                }))
            },
            0,
        ),
        lab(
            "lab: addresses of one interface",
            5_000,
            |n| {
                lab_file(&format!(
                    "[interface.lan]\naddress = [\n{}]\n",
                    lines(n, |n| format!("\"{}.1/24\",", network(n)))
                ))
            },
            0,
        ),
        lab(
            "lab: routes",
            5_000,
            |n| {
                lab_file(&format!(
                    "{LAN}{}",
                    lines(n, |n| format!(
                        "[[route]]\nto = \"{}.0/24\"\nvia = \"10.0.0.9\"",
                        network(n)
                    ))
                ))
            },
            0,
        ),
        lab(
            "lab: hosts",
            5_000,
            |n| {
                lab_file(&format!(
                    "{LAN}{}",
                    lines(n, |n| format!(
                        "[host.h{n}]\ninterface = \"lan\"\naddress = \"10.1.{}.{}/8\"",
                        n >> 8,
                        n & 255
                    ))
                ))
            },
            0,
        ),
        lab("lab: sysctls of interfaces", 2_000, lab_of_sysctls, 0),
        lab(
            "lab: unknown sysctls",
            5_000,
            |n| {
                lab_file(&format!(
                    "{LAN}[sysctl]\n{}",
                    lines(n, |n| format!("\"net.ipv4.none{n}\" = 1"))
                ))
            },
            2,
        ),
        lab(
            "lab: unknown keys",
            5_000,
            |n| lab_file(&format!("{LAN}{}", lines(n, |n| format!("none{n} = 1")))),
            2,
        ),
        lab(
            "lab: one address of many",
            5_000,
            |n| lab_file(&lines(n, |n| format!("[interface.i{n}]\naddress = [\"10.0.0.1/24\"]"))),
            2,
        ),
        lab(
            "lab: routes to nowhere",
            2_000,
            |n| {
                lab_file(&format!(
                    "{LAN}{}",
                    lines(n, |n| format!(
                        "[[route]]\nto = \"{}.0/24\"\nvia = \"12.0.0.9\"",
                        network(n)
                    ))
                ))
            },
            2,
        ),
        lab(
            "lab: hosts of no interface",
            2_000,
            |n| {
                lab_file(&format!(
                    "{LAN}{}",
                    lines(n, |n| format!(
                        "[host.h{n}]\ninterface = \"none{n}\"\naddress = \"10.1.{}.{}/8\"",
                        n >> 8,
                        n & 255
                    ))
                ))
            },
            2,
        ),
        lab(
            "lab: an array in arrays",
            200,
            |n| lab_file(&format!("{LAN}x = {}{}\n", "[".repeat(n), "]".repeat(n))),
            2,
        ),
        lab(
            "lab: one bad text",
            1_000_000,
            |n| lab_file(&format!("{LAN}x = \"{}\n", "x".repeat(n))),
            2,
        ),
        test(
            "test: tests",
            1_000,
            |n| tests("", &lines(n, |n| format!("test \"{n}\"\n  udp c > 192.0.2.9:53\nend"))),
            0,
        ),
        test(
            "test: rows of a table",
            1_000,
            |n| {
                tests(
                    "",
                    &format!(
                        "table \"t\"\n  from to service verdict\n{}end\n",
                        lines(n, |n| format!("  c s udp/{} accept", n + 1))
                    ),
                )
            },
            0,
        ),
        test(
            "test: lines of a test",
            5_000,
            |n| tests("", &format!("test \"t\"\n{}end\n", "  udp c > s:53\n".repeat(n))),
            0,
        ),
        test(
            "test: rules reached",
            5_000,
            |n| tests_of_rules(&format!("*filter\n{}COMMIT\n", rules("-A INPUT", n))),
            0,
        ),
        test(
            "test: rules a command each",
            1_000,
            |n| tests_of_rules(&rules("iptables -A INPUT", n)),
            0,
        ),
        test(
            "test: hosts",
            5_000,
            |n| {
                tests(
                    &lines(n, |n| format!("host h{n} 10.0.{}.{} lan", n >> 8, n & 255)),
                    "test \"t\"\n  udp c > s:53\nend\n",
                )
            },
            0,
        ),
        test(
            "test: bad lines",
            5_000,
            |n| tests("", &format!("test \"t\"\n{}end\n", "  nonsense\n".repeat(n))),
            2,
        ),
        test(
            "test: lines outside of tests",
            5_000,
            |n| tests("", &"nonsense\n".repeat(n)),
            2,
        ),
        test(
            "test: tests that fail",
            200,
            |n| {
                tests(
                    "",
                    &lines(n, |n| format!("test \"{n}\"\n  udp c > s:53\n  expect drop\nend")),
                )
            },
            1,
        ),
        test(
            "test: tests of one name",
            5_000,
            |n| tests("", &"test \"t\"\n  udp c > s:53\nend\n".repeat(n)),
            2,
        ),
        test("test: files that include others twice", 14, included_twice, 2),
        test(
            "test: files included",
            1_000,
            |n| {
                let mut files = tests(
                    "",
                    &format!("{}test \"t\"\n  udp c > s:53\nend\n", "include inc\n".repeat(n)),
                );
                files.push(("inc".into(), "# nothing\n".to_owned()));
                files
            },
            0,
        ),
        form(
            "test: coverage",
            2_000,
            |n| tests_of_rules(&format!("*filter\n{}COMMIT\n", rules("-A INPUT", n))),
            Call::Nflab(&["test", "--coverage", "t.test.nflab"]),
            0,
        ),
        import("import: -S", 5_000, |n| {
            vec![(
                "i".into(),
                format!(
                    "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n{}",
                    rules("-A FORWARD", n)
                ),
            )]
        }),
        import("import: -S of chains", 2_000, |n| {
            vec![(
                "i".into(),
                format!(
                    "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n{}{}",
                    lines(n, |n| format!("-N c{n}")),
                    lines(n, |n| format!("-A FORWARD -j c{n}"))
                ),
            )]
        }),
        import("import: a save file", 5_000, |n| {
            vec![("i".into(), format!("*filter\n{}COMMIT\n", rules("-A FORWARD", n)))]
        }),
        import("import: a save file of chains", 5_000, |n| {
            vec![("i".into(), chain_for_each_rule(n).remove(0).1)]
        }),
        import("import: a listing", 5_000, |n| vec![("i".into(), listing(n))]),
        import("import: a listing of chains", 2_000, listing_of_chains),
        form(
            "import: a listing with nonsense",
            5_000,
            |n| vec![("i".into(), format!("{LISTING}{}", "nonsense\n".repeat(n)))],
            Call::Nflab(&["import", "--table", "filter", "i"]),
            2,
        ),
        form(
            "import: one heading over and over",
            2_000,
            |n| vec![("i".into(), "Chain INPUT (policy ACCEPT)\n".repeat(n))],
            Call::Nflab(&["import", "i"]),
            2,
        ),
        // Without its options a target is in no reading, so that all are tried.
        form(
            "import: comments in one row",
            500,
            |n| {
                vec![(
                    "i".into(),
                    format!("{LISTING}DNAT 0 -- 0.0.0.0/0 0.0.0.0/0 {}\n", "/* a */ ".repeat(n)),
                )]
            },
            Call::Nflab(&["import", "--table", "filter", "i"]),
            2,
        ),
        form(
            "import: one comment like many",
            500,
            |n| {
                let comment = "tcp dpt:1 */ /* ".repeat(n);
                vec![(
                    "i".into(),
                    format!("{LISTING}DNAT 6 -- 0.0.0.0/0 0.0.0.0/0 /* {comment}x */\n"),
                )]
            },
            Call::Nflab(&["import", "--table", "filter", "i"]),
            2,
        ),
        form(
            "import: one long line",
            1_000_000,
            |n| vec![("i".into(), format!("{LISTING}{}\n", "a".repeat(n)))],
            Call::Nflab(&["import", "--table", "filter", "i"]),
            2,
        ),
        form(
            "import: a script",
            500,
            |n| vec![("i".into(), format!("#!/bin/sh\n{}", rules("iptables -A FORWARD", n)))],
            Call::Nflab(&["import", "i"]),
            0,
        ),
        form(
            "conntrack -L of many flows",
            5_000,
            |n| {
                script(&format!(
                    "{}{}",
                    packets(n, ""),
                    "conntrack -L\nconntrack -L -p udp -s 10.0.0.9\nconntrack -D -s 10.0.0.7\nconntrack -D -p udp\n"
                ))
            },
            Call::Nflab(&["run", "s"]),
            0,
        ),
        form(
            "replay: a map of many prefixes",
            5_000,
            |_| vec![("e.pcapng".into(), EMPTY_CAPTURE.to_owned()), lab_file(LAN).remove(0)],
            Call::Words(|n| {
                let map = (0..n).flat_map(|n| ["--map".to_owned(), format!("{}.0/24=lan", network(n))]);
                let words = ["replay", "--lab", "l.toml", "e.pcapng"].map(str::to_owned);
                words.into_iter().chain(map).collect()
            }),
            0,
        ),
        form(
            "trace --follow: a filter of many words",
            2_000,
            |_| Vec::new(),
            // Its last word is wrong: so no lab is looked for.
            Call::Words(|n| {
                let filter: String = (0..n).map(|n| format!("tcp dport {n} or ")).collect();
                vec!["trace".to_owned(), "--follow".to_owned(), format!("{filter} nonsense")]
            }),
            2,
        ),
        form(
            "trace: a packet through many rules",
            5_000,
            |n| {
                script(&format!(
                    "iptables-restore <<EOF\n*filter\n{}COMMIT\nEOF\ntrace lan tcp 10.0.0.9:1 > 192.0.2.9:2 S\n",
                    rules("-A FORWARD", n)
                ))
            },
            Call::Nflab(&["run", "s"]),
            0,
        ),
        form(
            "trace: a packet through chains of chains",
            1_000,
            |n| {
                let rules = chain_of_chains(n).remove(0).1;
                let packet = "trace --why c9 lan tcp 10.0.0.9:1 > 192.0.2.9:2 S";
                script(&format!("iptables-restore <<EOF\n{rules}EOF\n{packet}\ntrace\n"))
            },
            Call::Nflab(&["run", "s"]),
            1,
        ),
        form(
            "trace: a packet through many chains",
            2_000,
            |n| {
                script(&format!(
                    "iptables-restore <<EOF\n{}EOF\ntrace lan tcp 10.0.0.9:1 > 192.0.2.9:2 S\n",
                    chain_for_each_rule(n).remove(0).1
                ))
            },
            Call::Nflab(&["run", "s"]),
            0,
        ),
    ]
}

/// A section and nothing in it.
const EMPTY_CAPTURE: &str = "\n\r\r\n\x1c\0\0\0M<+\x1a\x01\0\0\0\0\0\0\0\0\0\0\0\x1c\0\0\0";

const LAN: &str = "[interface.lan]\naddress = [\"10.0.0.1/8\"]\n";

fn script(text: &str) -> Files {
    vec![("s".into(), text.to_owned())]
}

/// A lab, and a script that does nothing in it.
fn lab_file(text: &str) -> Files {
    // What belongs to no table comes first.
    let (tables, bare): (Vec<&str>, Vec<&str>) = match text.strip_prefix(LAN) {
        Some(rest) if !rest.starts_with('[') => (vec![LAN], vec![rest]),
        _ => (vec![text], Vec::new()),
    };
    vec![
        ("l.toml".into(), format!("{}{}", bare.concat(), tables.concat())),
        ("s".into(), "lab\n".to_owned()),
    ]
}

fn lab_of_sysctls(count: usize) -> Files {
    let interfaces = lines(count, |n| {
        format!("[interface.i{n}]\naddress = [\"{}.1/24\"]", network(n))
    });
    let sysctls = lines(count, |n| format!("\"net.ipv4.conf.i{n}.rp_filter\" = 1"));
    lab_file(&format!("[sysctl]\n{sysctls}{interfaces}"))
}

/// The first three bytes of a network of its own.
fn network(n: usize) -> String {
    format!("11.{}.{}", n >> 8, n & 255)
}

/// Each begins a flow of its own.
fn packets(count: usize, then: &str) -> String {
    format!("{TRACKED}{}", lines(count, |n| format!("{}\n{then}", packet(n))))
}

fn packet(n: usize) -> String {
    format!("send lan udp 10.0.0.{}:{} > 192.0.2.9:53", n % 200 + 2, n / 200 + 1000)
}

/// Connections are tracked from here on.
const TRACKED: &str = "iptables -A FORWARD -m state --state INVALID -j DROP\n";

fn tests(before: &str, text: &str) -> Files {
    vec![(
        "t.test.nflab".into(),
        format!("host c 10.0.0.2 lan\nhost s 192.0.2.9 wan\n{before}{text}"),
    )]
}

fn tests_of_rules(rules: &str) -> Files {
    tests(
        "",
        &format!("rules <<EOF\n{rules}EOF\ntest \"t\"\n  udp c > s:53\nend\n"),
    )
}

fn included_twice(depth: usize) -> Files {
    let mut files = tests(&format!("include inc{depth}\n"), "");
    files.push(("inc0".into(), "test \"t\"\n  udp c > s:53\nend\n".to_owned()));
    files.extend((1..=depth).map(|n| {
        (
            format!("inc{n}").into(),
            format!("include inc{0}\ninclude inc{0}\n", n - 1),
        )
    }));
    files
}

const LISTING: &str = "Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination         \n\n\
    Chain OUTPUT (policy ACCEPT)\ntarget     prot opt source               destination         \n\n\
    Chain FORWARD (policy ACCEPT)\ntarget     prot opt source               destination         \n";

fn listing(count: usize) -> String {
    format!(
        "{LISTING}{}",
        lines(count, |n| format!(
            "ACCEPT     6    --  10.{}.{}.{}           0.0.0.0/0            tcp dpt:{}",
            n >> 16,
            n >> 8 & 255,
            n & 255,
            n % 60_000 + 1
        ))
    )
}

fn listing_of_chains(count: usize) -> Files {
    let jumps = lines(count, |n| {
        format!("c{n:<9} 0    --  0.0.0.0/0            0.0.0.0/0           ")
    });
    let chains = lines(count, |n| {
        format!(
            "\nChain c{n} (1 references)\ntarget     prot opt source               destination         \nDROP       0    --  0.0.0.0/0            0.0.0.0/0           "
        )
    });
    vec![("i".into(), format!("{LISTING}{jumps}{chains}"))]
}
