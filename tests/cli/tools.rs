//! The names the binary answers to, and what it says when no lab runs.

use std::path::Path;

use crate::bench::{Bench, run};

const NAMES: &[&str] = &[
    "iptables",
    "iptables-save",
    "iptables-restore",
    "iptables-legacy",
    "iptables-legacy-save",
    "iptables-legacy-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
    "ip6tables-legacy",
    "ip6tables-legacy-save",
    "ip6tables-legacy-restore",
    "conntrack",
    "ipset",
    "sysctl",
    "modprobe",
    "nfct",
];

#[test]
fn shims_are_links_to_every_tool() {
    let bench = Bench::new();
    for _ in 0..2 {
        // The second time they are there already.
        assert_eq!(bench.nflab(&["shims", "tools/bin"]).code, 0);
    }
    for name in NAMES {
        let link = bench.path("tools/bin").join(name);
        assert!(link.is_symlink(), "{name}");
        let target = std::fs::canonicalize(&link).unwrap();
        assert_eq!(target, std::fs::canonicalize(env!("CARGO_BIN_EXE_nflab")).unwrap());
    }
    let links = std::fs::read_dir(bench.path("tools/bin")).unwrap().count();
    assert_eq!(links, NAMES.len(), "a link made unasked hides the machine's tool");
    bench.write("file", "");
    let ran = bench.nflab(&["shims", "file"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot make file"), "{}", ran.err);
    std::fs::create_dir(bench.path("other")).unwrap();
    bench.write("other/sysctl", "mine");
    assert_eq!(bench.nflab(&["shims", "other"]).code, 2);
    assert_eq!(bench.read("other/sysctl"), "mine", "what isn't ours is left alone");
}

#[test]
fn without_a_lab_every_tool_says_how_to_start_one() {
    let bench = Bench::new();
    bench.nflab(&["shims", "bin"]);
    for name in NAMES {
        let mut by_link = bench.command(&bench.path("bin").join(name));
        by_link.arg("-L").env("NFLAB", bench.path("run/nobody"));
        let mut by_word = bench.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
        by_word.args([name, "-L"]).env("NFLAB", "./nobody");
        for command in [by_link, by_word] {
            let ran = run(command, "");
            assert_eq!((ran.code, ran.out.as_str()), (4, ""), "{name}: {}", ran.err);
            assert!(ran.err.starts_with(&format!("{name}: no lab ")), "{}", ran.err);
            assert!(ran.err.contains("nflab up"), "{}", ran.err);
        }
    }
}

#[test]
fn versions_and_help_need_no_lab() {
    let bench = Bench::new();
    for (args, said) in [
        (&["iptables", "--version"][..], "iptables v1.8.9 (legacy)\n"),
        (&["iptables", "-V"], "iptables v1.8.9 (legacy)\n"),
        (&["iptables-save", "-V"], "iptables-save v1.8.9 (legacy)\n"),
        (&["iptables-restore", "-V"], "iptables-restore v1.8.9 (legacy)\n"),
        (&["conntrack", "--version"], "conntrack v1.4.7 (conntrack-tools)\n"),
    ] {
        let ran = bench.nflab(args);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (0, said, ""),
            "{args:?}"
        );
    }
    assert!(bench.nflab(&["iptables", "-h"]).out.contains("Usage: iptables"));
    // In the midst of a command it is no such question.
    let ran = bench.nflab(&["iptables", "-A", "INPUT", "-m", "comment", "--comment", "-h"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
}

#[test]
fn unusable_arguments_are_exit_code_2() {
    let bench = Bench::new();
    for args in [
        &["nonsense"][..],
        &["replay"],
        &["run"],
        &["shims"],
        &["--nonsense"],
        &["run", "x", "--seed", "many"],
        &[],
    ] {
        assert_eq!(bench.nflab(args).code, 2, "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["run", "--help"]] {
        assert_eq!(bench.nflab(args).code, 0, "{args:?}");
    }
}

#[test]
fn conntrack_says_what_the_real_one_says() {
    // Exit codes and messages of conntrack-tools 1.4.7, as seen by running it.
    let bench = Bench::new();
    let said = |what: &str| format!("conntrack v1.4.7 (conntrack-tools): {what}\n");
    let bad = |what: &str| {
        said(&format!(
            "{what}\nTry `conntrack -h' or 'conntrack --help' for more information."
        ))
    };
    for (command, code, out, err) in [
        ("conntrack -L", 0, "", said("0 flow entries have been shown.")),
        ("conntrack -L expect", 0, "", said("0 expectations have been shown.")),
        ("conntrack -L foo", 2, "", bad("unknown type `foo'")),
        ("conntrack -L --dport 80", 2, "", bad("unknown option `--dport'")),
        ("conntrack -L -p banana", 2, "", bad("`banana' unsupported protocol")),
        ("conntrack -L -s banana", 2, "", bad("Invalid IP address `banana'")),
        ("conntrack -L -o bogus", 2, "", bad("Bad parameter `bogus'")),
        (
            "conntrack -L -p tcp --state ESTAB",
            2,
            "",
            bad("unknown TCP state `ESTAB'"),
        ),
        ("conntrack -L -u FOO", 2, "", bad("Bad parameter `FOO'")),
        ("conntrack -L -D", 2, "", bad("Invalid commands combination")),
        ("conntrack -Z", 2, "", bad("unknown option `-Z'")),
        ("conntrack -C", 0, "0\n", String::new()),
        (
            "conntrack -D -s 1.2.3.4",
            1,
            "",
            said("0 flow entries have been deleted."),
        ),
        (
            "conntrack -F",
            0,
            "",
            said("connection tracking table has been emptied."),
        ),
        ("conntrack -V", 0, "conntrack v1.4.7 (conntrack-tools)\n", String::new()),
        (
            "conntrack -S",
            0,
            "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 \n",
            String::new(),
        ),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let mut args = vec!["sh", "--"];
        args.extend(words);
        let ran = bench.nflab(&args);
        assert_eq!((ran.code, ran.out.as_str(), ran.err), (code, out, err), "{command}");
    }
}

#[test]
fn conntrack_shows_and_deletes_what_its_filter_lets_through() {
    let bench = Bench::new();
    let script = "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE\n\
                  send lan tcp 10.0.0.2:40000 > 192.0.2.9:80 S\nsend lan udp 10.0.0.3:53 > 192.0.2.9:53\nsend lan icmp 10.0.0.2 > 10.0.0.1 echo-request id 7\n\
                  conntrack -C\nexpect output 3\n\
                  conntrack -L -p tcp --dport 80\nexpect output '1 flow entries'\n\
                  conntrack -L -p tcp --state SYN_SENT -s 10.0.0.0/24\nexpect output '1 flow entries'\n\
                  conntrack -L -q 192.0.2.1\nexpect output '2 flow entries'\n\
                  conntrack -L -n 192.0.2.1\nexpect output '2 flow entries'\n\
                  conntrack -L -g\nexpect output '1 flow entries'\n\
                  conntrack -L -p icmp --icmp-id 7\nexpect output '1 flow entries'\n\
                  conntrack -L -f ipv6\nexpect output '0 flow entries'\n\
                  conntrack -L -o extended -p udp\nexpect output 'ipv4     2 udp      17 30 src=10.0.0.3'\n\
                  conntrack -D -p udp\nexpect output '1 flow entries have been deleted'\nexpect flows 2\n\
                  expect fail conntrack -D -p udp\nconntrack -F\nexpect flows 0\n";
    let ran = bench.nflab_with(script, &["run", "-q", "-"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

/// What a save of flows says makes the same flows again, in a lab that programs are run in.
#[test]
fn conntrack_loads_what_it_saved() {
    let bench = Bench::new();
    let script = "conntrack -I -t 600 -p tcp -s 10.0.0.2 -d 192.0.2.9 --sport 1000 --dport 80 --state ESTABLISHED -u SEEN_REPLY,ASSURED -n 192.0.2.1:2000
        conntrack -I -t 600 -p udp -s 10.0.0.2 -d 192.0.2.9 --sport 1000 --dport 53 -w 7
        conntrack -I -t 600 -p 50 -s 10.0.0.2 -d 192.0.2.9 -u FIXED_TIMEOUT
        conntrack -L -o save | sed 's/-t [0-9]*/-t 600/' > saved; conntrack -F
        conntrack -R saved && conntrack -R - < saved && conntrack -L -o save | sed 's/-t [0-9]*/-t 600/' > again
        diff saved again && wc -l < again";
    let ran = bench.nflab(&["sh", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.out.trim()), (0, "3"), "{ran:?}");
}

/// An expectation by hand, beside a flow that a helper reads.
#[test]
fn conntrack_makes_shows_and_deletes_an_expectation() {
    let bench = Bench::new();
    let script = "host client 10.0.0.2 lan\nhost server 198.51.100.9 wan\n\
                  iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp\nhandshake client:40000 > server:21\n\
                  conntrack -I expect -t 5 -s 10.0.0.2 -d 198.51.100.9 -p tcp --sport 40000 --dport 21 --tuple-src 10.0.0.9 --tuple-dst 10.0.0.8 \
                  --mask-src 255.255.255.0 --mask-dst 255.255.255.255 --tuple-port-src 1 --tuple-port-dst 2 --mask-port-src 1 --mask-port-dst 2\n\
                  conntrack -L expect\nexpect output '300 proto=0 src=10.0.0.9 dst=10.0.0.8 mask-src=255.255.255.0 mask-dst=255.255.255.255 \
                  master-src=10.0.0.2 master-dst=198.51.100.9 sport=40000 dport=21 class=0 helper=ftp'\n\
                  conntrack -L expect -o xml\nexpect output '<expected><src>10.0.0.9</src><dst>10.0.0.8</dst></expected>'\n\
                  conntrack -G expect -s 10.0.0.1 -d 10.0.0.8 -p 0\nexpect output 'helper=ftp'\n\
                  expect fail conntrack -G expect -s 10.0.1.1 -d 10.0.0.8 -p 0\n\
                  expect fail conntrack -D expect -s 10.0.0.1 -d 10.0.0.8 -p 0\nconntrack -C expect\nexpect output 0\n\
                  conntrack -S expect\nexpect output 'expect_create=1 expect_delete=1'\n";
    let ran = bench.nflab_with(script, &["run", "-q", "-"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn sysctl_says_what_the_real_one_says() {
    // Of procps-ng 4.0.2, as seen by running it.
    let bench = Bench::new();
    let script = "sysctl net.ipv4.ip_forward; sysctl -n net/ipv4/ip_forward; sysctl -w net.ipv4.ip_forward=0; sysctl net.ipv4.ip_forward=1; \
                  sysctl -w net.ipv4.ip_forward; echo $?; sysctl -q -w net.ipv4.ip_forward=1; sysctl -n -w net.ipv4.ip_forward=1; \
                  sysctl -w net.ipv4.ip_default_ttl=0; echo $?; sysctl -e net.foo; echo $?; sysctl -w net.netfilter.nf_conntrack_count=1; echo $?; \
                  sysctl -a -r nf_conntrack_tcp_loose; sysctl -N net.ipv4.ip_forward; sysctl -b net.ipv4.ip_forward";
    let ran = bench.nflab(&["sh", "--", "sh", "-c", script]);
    assert_eq!(
        ran.out,
        "net.ipv4.ip_forward = 1\n1\nnet.ipv4.ip_forward = 0\nnet.ipv4.ip_forward = 1\n1\n1\n1\n0\n0\n\
         net.netfilter.nf_conntrack_tcp_loose = 1\nnet.ipv4.ip_forward\n1"
    );
    assert_eq!(
        ran.err,
        "sysctl: command line(0): invalid syntax, continuing...\nsysctl: setting key \"net.ipv4.ip_default_ttl\": Invalid argument\n\
         sysctl: setting key \"net.netfilter.nf_conntrack_count\": Invalid argument\n"
    );
}

/// The kernel says in its log why it takes a rule not, and the tool says to look there (asked of 6.18, where `dmesg` has the same lines).
#[test]
fn why_rules_are_refused_is_in_the_log() {
    let bench = Bench::new();
    for (line, logged) in [
        (
            "iptables -t raw -A PREROUTING -p udp -j CT --helper nosuch",
            "xt_CT: No such helper \"nosuch\"",
        ),
        (
            "iptables -t nat -A PREROUTING -j MASQUERADE",
            "x_tables: ip_tables: MASQUERADE target: used from hooks PREROUTING, but only usable from POSTROUTING",
        ),
        (
            "printf '*raw\\n-A PREROUTING -p udp -j CT --helper other\\nCOMMIT\\n' | iptables-restore",
            "xt_CT: No such helper \"other\"",
        ),
        (
            "iptables -A INPUT -m limit --limit 1/day --limit-burst 10000",
            "xt_limit: Overflow, try lower: 864000000/10000",
        ),
        ("iptables -N a; iptables -A a -j a; iptables -A INPUT -j a", ""),
        ("iptables -A INPUT -j ACCEPT", ""),
    ] {
        let ran = bench.nflab(&["sh", "--", "sh", "-c", &format!("{{ {line}; }} 2>/dev/null; dmesg")]);
        let said = ran.out.trim_end().split_once("] ").map_or("", |(_, text)| text);
        assert_eq!(said, logged, "{line}: {ran:?}");
    }
}
