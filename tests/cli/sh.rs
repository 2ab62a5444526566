//! `nflab sh`: a command with a lab behind the tools in its `PATH`.

use crate::bench::{Bench, LAB};

#[test]
fn tools_speak_to_the_same_lab_and_the_command_decides_the_exit_code() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    let script = "iptables -A FORWARD -p tcp --dport 22 -j DROP && iptables-save > saved && iptables -F && iptables-restore saved \
                  && iptables -S FORWARD && sysctl -n net.netfilter.nf_conntrack_udp_timeout && conntrack -C && exit 7";
    let ran = bench.nflab(&["sh", "--lab", "lab.toml", "--save", "out.v4", "--", "sh", "-c", script]);
    assert_eq!(ran.code, 7, "{}", ran.err);
    assert_eq!(
        ran.out,
        "-P FORWARD ACCEPT\n-A FORWARD -p tcp -m tcp --dport 22 -j DROP\n40\n0\n"
    );
    assert!(
        bench
            .read("out.v4")
            .contains("[0:0] -A FORWARD -p tcp -m tcp --dport 22 -j DROP\n")
    );
    // Nothing is left behind.
    let left: Vec<_> = std::fs::read_dir(bench.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("nflab-sh"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn errors_are_the_tools_own() {
    let bench = Bench::new();
    let script = "iptables -A NOWHERE -j ACCEPT; echo $?; iptables -m nonsense -L; echo $?; ip6tables -X INPUT; echo $?; conntrack -L -Z; echo $?; \
                  sysctl net.foo; echo $?; modprobe foo; echo $?";
    let ran = bench.nflab(&["sh", "--", "sh", "-c", script]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out, "1\n2\n1\n2\n1\n1\n");
    for part in [
        "iptables: No chain/target/match by that name.\n",
        "ip6tables: Invalid argument. Run `dmesg' for more information.\n",
        "conntrack v1.4.7 (conntrack-tools): unknown option `-Z'\n",
        "sysctl: cannot stat /proc/sys/net/foo: No such file or directory\n",
        "modprobe: FATAL: Module foo not found in directory /lib/modules/",
    ] {
        assert!(ran.err.contains(part), "{part:?} not in\n{}", ran.err);
    }
}

#[test]
fn a_bad_restore_changes_nothing_and_names_its_line() {
    let bench = Bench::new();
    let script = "iptables -A INPUT -s 10.0.0.9 -j DROP; printf '*filter\\n-A INPUT -j ACCEPT\\n-A INPUT -j NONSENSE\\nCOMMIT\\n' | iptables-restore; \
                  echo $?; iptables -S INPUT";
    let ran = bench.nflab(&["sh", "--", "sh", "-c", script]);
    assert_eq!(ran.out, "2\n-P INPUT ACCEPT\n-A INPUT -s 10.0.0.9/32 -j DROP\n");
    assert!(ran.err.contains("Error occurred at line: 3"), "{}", ran.err);
}

#[test]
fn commands_that_cannot_run_and_commands_that_die() {
    let bench = Bench::new();
    assert_eq!(bench.nflab(&["sh", "--", "no-such-command"]).code, 127);
    assert_eq!(bench.nflab(&["sh", "--", "/"]).code, 126);
    assert_eq!(bench.nflab(&["sh", "--", "sh", "-c", "kill -TERM $$"]).code, 128 + 15);
    assert_eq!(bench.nflab(&["sh"]).code, 2);
    let ran = bench.nflab(&["sh", "--lab", "nosuch.toml", "--", "true"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot read the lab file nosuch.toml"), "{}", ran.err);
    bench.write("bad.toml", "[interface.lan]\naddress = [\"10.0.0.1/99\"]\n");
    let ran = bench.nflab(&["sh", "--lab", "bad.toml", "--", "touch", "ran"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("bad.toml:2:12"), "{}", ran.err);
    assert!(!bench.path("ran").exists());
}

#[test]
fn many_tools_at_once() {
    let bench = Bench::new();
    let script = "for i in 1 2 3 4 5 6 7 8; do iptables -A INPUT -s 10.0.0.$i -j DROP & done; wait; iptables -S INPUT | grep -c DROP";
    let ran = bench.nflab(&["sh", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "8\n"), "{}", ran.err);
}
