//! `nflab run`: what it prints, where failures are named, and its exit codes; and the same language through the REPL.

use crate::bench::{Bench, LAB};

#[test]
fn a_script_that_holds() {
    let bench = Bench::new();
    bench.write(
        "good.nflab",
        "# comment\niptables -P FORWARD DROP\niptables -A FORWARD -p tcp \\\n  --dport 80 -j ACCEPT\n\
         send lan tcp 10.0.0.2:1000 > 192.0.2.9:80 S\nexpect forwarded\nexpect out wan dst 192.0.2.9:80 flags S ttl 63\n\
         send lan tcp 10.0.0.2:1000 > 192.0.2.9:81 S\nexpect drop\nexpect by FORWARD policy\nexpect policy FORWARD packets 1 bytes 40\n\
         expect fail iptables -A NOWHERE -j ACCEPT\nexpect fail iptables-restore <<EOF\n*filter\nnonsense\nCOMMIT\nEOF\n\
         expect rule FORWARD 1 packets 1\n",
    );
    let ran = bench.nflab(&["run", "good.nflab"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let told = bench.nflab(&["run", "-v", "good.nflab"]);
    assert!(
        told.out.contains("in by lan: tcp 10.0.0.2:1000 > 192.0.2.9:81 S"),
        "{}",
        told.out
    );
    assert!(
        told.out.contains("no: "),
        "a story says why a rule did not match: {}",
        told.out
    );
}

#[test]
fn unmet_expectations_name_file_and_line() {
    let bench = Bench::new();
    bench.write(
        "bad.nflab",
        "iptables -P FORWARD DROP\nsend lan udp 10.0.0.2:1 > 192.0.2.9:2\nexpect accept\nexpect no out\nexpect state NEW\niptables -D FORWARD 7\n",
    );
    let ran = bench.nflab(&["run", "bad.nflab"]);
    assert_eq!(ran.code, 1);
    for part in [
        "bad.nflab:3: expect accept\n    the packet went no further: dropped by the policy of filter FORWARD\n",
        "bad.nflab:5: expect state NEW\n    the packet was never tracked: nothing is tracked yet",
        "bad.nflab:6: iptables -D FORWARD 7\n",
        "bad.nflab: 3 of 6 commands failed\n",
    ] {
        assert!(ran.err.contains(part), "{part:?} not in\n{}", ran.err);
    }
}

#[test]
fn what_cannot_be_read_is_exit_code_2_and_nothing_is_done() {
    let bench = Bench::new();
    for (text, parts) in [
        ("iptables -L\nsnd lan\n", &["2:1", "did you mean `send`?"][..]),
        ("echo first\nexpect acept\n", &["2:8", "did you mean `accept`?"]),
        (
            "echo first\niptables-restore <<EOF\n*filter\n",
            &["2:18", "this here-document has no end"],
        ),
        (
            "echo first\nsend lan tcp 10.0.0.2:1 > 192.0.2.9:99999 S\n",
            &["2:27", "expected an address with its port"],
        ),
        ("echo first\n'", &["2:1", "this quote is never closed"]),
    ] {
        bench.write("x.nflab", text);
        let ran = bench.nflab(&["run", "x.nflab"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{text:?}: {}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{part:?} not in\n{}", ran.err);
        }
    }
    let ran = bench.nflab(&["run", "nosuch.nflab"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot read the script nosuch.nflab"), "{}", ran.err);
}

#[test]
fn standard_input_is_a_script_too() {
    let bench = Bench::new();
    let ran = bench.nflab_with(
        "send lan icmp 10.0.0.2 > 10.0.0.1 echo-request id 1\nexpect out lan icmp echo-reply\n",
        &["run", "-"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = bench.nflab_with("expect accept\n", &["run", "-"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("standard input:1: expect accept"), "{}", ran.err);
}

#[test]
fn a_wrong_lab_file_is_drawn_where_it_is_wrong() {
    let bench = Bench::new();
    bench.write("s.nflab", "lab\n");
    for (text, parts) in [
        (
            "[interface.lan]\nadress = []\n",
            &["lab.toml:2:1", "did you mean `address`?"][..],
        ),
        (
            "[sysctl]\n\"net.ipv4.ip_forwad\" = 1\n[interface.lan]\naddress = [\"10.0.0.1/24\"]\n",
            &[
                "lab.toml:2:1",
                "a lab has no sysctl `net.ipv4.ip_forwad`",
                "did you mean `net.ipv4.ip_forward`?",
            ],
        ),
        (
            "[sysctl]\n\"net.netfilter.nf_conntrack_max\" = \"many\"\n[interface.lan]\naddress = [\"10.0.0.1/24\"]\n",
            &["lab.toml:2:36", "the kernel does not take this value"],
        ),
    ] {
        bench.write("lab.toml", text);
        // The lab beside the script is the script's.
        let ran = bench.nflab(&["run", "s.nflab"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{part:?} not in\n{}", ran.err);
        }
    }
}

/// Only where nothing has the name is there no lab file beside a script, or beside a test file.
#[test]
fn what_stands_beside_as_a_lab_is_read_or_refused() {
    let bench = Bench::new();
    let beside = bench.path("lab.toml");
    bench.write("a.nflab", "echo ran\n");
    bench.write("a.test.nflab", "test \"ran\"\n  echo ran\nend\n");
    bench.write("other.toml", LAB);
    let link = |to: &str| std::os::unix::fs::symlink(to, &beside).unwrap();
    for (kind, said) in [
        ("nothing", None),
        ("file", None),
        ("link", None),
        ("nowhere", Some("it is a link that leads nowhere")),
        ("circle", Some("Too many levels of symbolic links")),
        (
            "directory",
            Some("it is a directory, and only regular files are read here"),
        ),
        (
            "fifo",
            Some("it is no regular file, and only regular files are read here"),
        ),
        (
            "device",
            Some("it is no regular file, and only regular files are read here"),
        ),
    ] {
        match kind {
            "file" => drop(bench.write("lab.toml", LAB)),
            "link" => link("other.toml"),
            "nowhere" => link("gone.toml"),
            "circle" => link("lab.toml"),
            "directory" => std::fs::create_dir(&beside).unwrap(),
            "fifo" => assert!(
                std::process::Command::new("mkfifo")
                    .arg(&beside)
                    .status()
                    .unwrap()
                    .success()
            ),
            "device" => link("/dev/null"),
            _ => {}
        }
        for command in [["run", "a.nflab"], ["test", "a.test.nflab"]] {
            let ran = bench.nflab(&command);
            match said {
                None => assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{kind}: {command:?}"),
                Some(said) => {
                    assert_eq!(ran.code, 2, "{kind}: {command:?}: {}", ran.err);
                    let words = format!("lab.toml: {said}");
                    assert!(ran.err.contains(&words), "{kind}: {command:?}: {}", ran.err);
                }
            }
        }
        match kind {
            "nothing" => {}
            "directory" => std::fs::remove_dir(&beside).unwrap(),
            _ => std::fs::remove_file(&beside).unwrap(),
        }
    }
}

/// What a test file names is a file; what its caller names may be a pipe.
#[test]
fn a_test_file_waits_for_no_pipe() {
    let bench = Bench::new();
    bench.write("rules", "*filter\n:FORWARD DROP\nCOMMIT\n");
    let fifo = std::process::Command::new("mkfifo").arg(bench.path("fifo")).status();
    assert!(fifo.unwrap().success());
    let test = "test \"drops\"\n  send lan udp 10.0.0.2:1 > 192.0.2.9:2\n  expect drop\nend\n";
    for line in ["rules fifo", "lab fifo", "include fifo"] {
        bench.write("a.test.nflab", &format!("{line}\n{test}"));
        let ran = bench.nflab(&["test", "a.test.nflab"]);
        assert_eq!(ran.code, 2, "{line}: {}", ran.err);
        assert!(
            ran.err.contains("only regular files are read here"),
            "{line}: {}",
            ran.err
        );
    }
    bench.write("a.test.nflab", test);
    let writer = std::process::Command::new("sh")
        .args(["-c", "cat rules > fifo"])
        .current_dir(bench.path("."))
        .spawn();
    let ran = bench.nflab(&["test", "--rules", "fifo", "a.test.nflab"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(writer.unwrap().wait().unwrap().success());
}

#[test]
fn ipv6_in_a_lab_file_has_its_effect() {
    let bench = Bench::new();
    bench.write(
        "s.nflab",
        "ping 10.0.0.2 > router\nping 2001:db8::2 > router\nexpect delivered\n",
    );
    bench.write(
        "lab.toml",
        &LAB.replace("\"10.0.0.1/24\"", "\"10.0.0.1/24\", \"2001:db8::1/64\""),
    );
    let ran = bench.nflab(&["run", "s.nflab"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn old_scripts_write_to_proc_and_call_tools_by_path() {
    let bench = Bench::new();
    let script = "echo 0 > /proc/sys/net/ipv4/ip_forward\n/sbin/modprobe ip_conntrack\ncat /proc/sys/net/ipv4/ip_forward\nexpect output 0\n\
                  send lan udp 10.0.0.2:1 > 192.0.2.9:2\nexpect drop\necho 1 > /proc/sys/net/ipv4/ip_forward\n\
                  send lan udp 10.0.0.2:1 > 192.0.2.9:2\nexpect forwarded\ncat /proc/net/ip_conntrack\nexpect output \"udp      17 30 src=10.0.0.2\"\n\
                  advance 31s\nexpect flows 0\nlsmod\nexpect output nf_conntrack\nexpect fail modprobe nonsense\n";
    let ran = bench.nflab_with(script, &["run", "-"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn the_classic_profile_has_the_old_numbers() {
    let bench = Bench::new();
    let script = "profile classic\nmodprobe ip_conntrack\nsysctl -n net.netfilter.nf_conntrack_udp_timeout_stream\nexpect output 180\n\
                  sysctl -n net.netfilter.nf_conntrack_tcp_timeout_close_wait\nexpect output 43200\nprofile linux6\n\
                  sysctl -n net.netfilter.nf_conntrack_udp_timeout_stream\nexpect output 120\n";
    let ran = bench.nflab_with(script, &["run", "-"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn a_story_hook_by_hook_and_rule_by_rule() {
    let bench = Bench::new();
    let script = "iptables -N web\niptables -A FORWARD -p tcp -j web\niptables -A web -s 10.0.0.9 -j DROP\n\
                  iptables -A FORWARD -m state --state NEW -j REJECT\nsend lan tcp 10.0.0.2:40000 > 192.0.2.9:80 S seq 1\n\
                  expect reject\nexpect by FORWARD 2\nexpect out lan icmp unreachable port\ntrace\nwhy\n";
    let ran = bench.nflab_with(script, &["run", "-"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let expected = "\
packet 1, in by lan: tcp 10.0.0.2:40000 > 192.0.2.9:80 S seq 1 ttl 64
  PREROUTING  conntrack NEW: it opens a flow
  routing               out by wan, to a neighbour there
                        by route 192.0.2.0/24 dev wan, rule 32766: from all lookup main
  FORWARD     filter    rule 1 of FORWARD: -p tcp -j web
                            yes: into web
                          rule 1 of web: -s 10.0.0.9/32 -j DROP
                              no: -s 10.0.0.9/32: packet is from 10.0.0.2
                        back to FORWARD
                        rule 2 of FORWARD: -m state --state NEW -j REJECT --reject-with icmp-port-unreachable
                            yes: REJECT --reject-with icmp-port-unreachable
rejected: by rule 2 of filter FORWARD with icmp-port-unreachable
the router sends: icmp 10.0.0.1 > 10.0.0.2 unreachable port quoting (tcp 10.0.0.2:40000 > 192.0.2.9:80 S) ttl 64 tos 0xc0
  OUTPUT      conntrack RELATED: it goes with the flow of the packet it is about
              filter    policy of OUTPUT: ACCEPT
out by lan: icmp 10.0.0.1 > 10.0.0.2 unreachable port quoting (tcp 10.0.0.2:40000 > 192.0.2.9:80 S) ttl 64 tos 0xc0
in by lan: tcp 10.0.0.2:40000 > 192.0.2.9:80 S seq 1 ttl 64
  PREROUTING  conntrack NEW: it opens a flow
  routing               out by wan, to a neighbour there
  FORWARD     filter    rule 1 of FORWARD: -p tcp -j web
                        rule 2 of FORWARD: -m state --state NEW -j REJECT --reject-with icmp-port-unreachable
rejected: by rule 2 of filter FORWARD with icmp-port-unreachable
the router sends: icmp 10.0.0.1 > 10.0.0.2 unreachable port quoting (tcp 10.0.0.2:40000 > 192.0.2.9:80 S) ttl 64 tos 0xc0
  OUTPUT      conntrack RELATED: it goes with the flow of the packet it is about
              filter    policy of OUTPUT: ACCEPT
out by lan: icmp 10.0.0.1 > 10.0.0.2 unreachable port quoting (tcp 10.0.0.2:40000 > 192.0.2.9:80 S) ttl 64 tos 0xc0
";
    assert_eq!(ran.out, expected, "\n{}", ran.out);
}
