//! `ip` in a lab, where the kernel has no say: what is refused by name, its ways in, and what the router does after a change. That its words are
//! those of iproute2 is held by the twin (`tests/twin/cases/ip-*.nflab`), beside the real tool.

use crate::bench::{Bench, LAB};

/// A call and what it says, in a fresh lab each: exit code, and standard output or, where it fails, standard error.
fn says(bench: &Bench, call: &str) -> (i32, String) {
    let script = format!("\"$TOOL\" ip {call}; echo \"code $?\"\n");
    bench.write("script.sh", &script);
    bench.write("lab.toml", LAB);
    let tool = format!("TOOL={}", env!("CARGO_BIN_EXE_nflab"));
    let ran = bench.nflab(&["sh", "--lab", "lab.toml", "--", "env", &tool, "bash", "script.sh"]);
    assert_eq!(ran.code, 0, "{call}: {} {}", ran.out, ran.err);
    let (out, code) = ran.out.rsplit_once("code ").expect("the script ends by telling it");
    let code = code.trim().parse().expect("a number");
    (code, if code == 0 { out.to_owned() } else { ran.err })
}

#[test]
fn it_speaks_to_the_lab_over_its_socket() {
    let bench = Bench::new();
    for (call, expected) in [
        (
            "route",
            "default via 192.0.2.254 dev wan \n10.0.0.0/24 dev lan proto kernel scope link src 10.0.0.1 \n192.0.2.0/24 dev wan proto kernel \
             scope link src 192.0.2.1 \n",
        ),
        (
            "-br addr",
            "lo               UNKNOWN        127.0.0.1/8 ::1/128 \nlan              UNKNOWN        10.0.0.1/24 fe80::1/64 \n\
             wan              UNKNOWN        192.0.2.1/24 fe80::1/64 \n",
        ),
        (
            "route replace default via 10.0.0.254; \"$TOOL\" ip r g 8.8.8.8",
            "8.8.8.8 via 10.0.0.254 dev lan src 10.0.0.1 uid 0 \n    cache \n",
        ),
    ] {
        assert_eq!(says(&bench, call), (0, expected.to_owned()), "{call}");
    }
}

#[test]
fn without_a_lab_it_says_so() {
    let bench = Bench::new();
    let ran = bench.nflab(&["ip", "route"]);
    assert_eq!((ran.code, ran.out.as_str()), (4, ""), "{}", ran.err);
    let ran = bench.nflab(&["ip", "-V"]);
    assert!(
        ran.code == 0 && ran.out.starts_with("ip utility, iproute2-6.1.0, nflab"),
        "{ran:?}"
    );
}

/// A link of that name among the shims would take the machine's own `ip` away from who only wanted `iptables`.
#[test]
fn it_is_no_shim() {
    let bench = Bench::new();
    let ran = bench.nflab(&["shims", "there"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(bench.path("there/iptables").exists() && !bench.path("there/ip").exists());
}

#[test]
fn what_a_lab_has_not_is_refused_by_name() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    let calls = [
        ("-j addr", "the option -json"),
        ("-s link", "the option -stats"),
        ("-d link", "the option -details"),
        ("-batch x", "the option -batch"),
        ("neigh", "`ip neighbor`"),
        ("netns list", "`ip netns`"),
        (
            "addr add 10.0.0.9/24 dev lan valid_lft 5 preferred_lft 5",
            "an address that is the host's, or preferred, for some seconds",
        ),
        (
            "addr add 2001:db8::1/64 dev lan preferred_lft 5",
            "an address that is the host's, or preferred, for some seconds",
        ),
        (
            "route add 10.9.0.0/16 via 10.0.0.9 congctl reno",
            "`congctl` of a route",
        ),
        ("route add 10.9.0.0/16 dev lan realms 8", "`realms` of a route"),
        ("route save", "`ip route save`"),
        ("rule add table main suppress_ifgroup 5", "`suppress_ifgroup` of a rule"),
        ("rule add uidrange 1-2 table 5", "`uidrange` of a rule"),
        (
            "-6 route add 2001:db8:9::/48 via 2001:db8::9 expires 9",
            "`expires` of a route",
        ),
        ("link set lan promisc on", "`ip link set ... promisc`"),
        ("link set lan address 02:00:00:00:00:01", "`ip link set ... address`"),
        ("link add x type dummy", "`ip link add`"),
    ];
    let script: String = calls
        .iter()
        .map(|(call, _)| format!("expect fail ip {call}\n"))
        .collect();
    let script = format!("{script}ip addr\nip route\nip rule\n");
    bench.write("script.nflab", &script);
    let ran = bench.nflab(&["run", "--lab", "lab.toml", "script.nflab"]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    for (call, what) in calls {
        bench.write("one.nflab", &format!("ip {call}\n"));
        let ran = bench.nflab(&["run", "--lab", "lab.toml", "one.nflab"]);
        let said = format!("{}{}", ran.out, ran.err);
        let expected = format!("{what} is not there in nflab");
        assert!(ran.code != 0 && said.contains(&expected), "{call}: {said}");
    }
}

/// `../shared/cases/edges/masquerade-moved.nflab`; the record of what the kernel does is the twin's
/// `a-masqueraded-flow-whose-way-out-has-moved-is-given-up`.
#[test]
fn a_moved_masqueraded_flow_is_given_up_and_told() {
    let bench = Bench::new();
    let lab = format!("{LAB}[interface.wan2]\naddress = [\"198.51.100.1/24\"]\n");
    bench.write(
        "lab.toml",
        &lab.replace("[[route]]\nto = \"default\"\nvia = \"192.0.2.254\"\n", ""),
    );
    bench.write(
        "moved.nflab",
        "iptables -t nat -A POSTROUTING -j MASQUERADE
route add default via 192.0.2.254
send lan udp 10.0.0.2:5000 > 203.0.113.9:53
expect out wan udp 192.0.2.1:5000 > 203.0.113.9:53
route del default
route add default via 198.51.100.254
send lan udp 10.0.0.2:5000 > 203.0.113.9:53
expect drop
expect flows 0
trace
send lan udp 10.0.0.2:5000 > 203.0.113.9:53
expect out wan2 udp 198.51.100.1:5000 > 203.0.113.9:53
ip link set wan2 down
expect flows 0
",
    );
    let ran = bench.nflab(&["run", "--lab", "lab.toml", "moved.nflab"]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    let sentence = "dropped: MASQUERADE took its flow's address from another interface than it leaves by now, so the flow is given up";
    assert!(ran.out.contains(sentence), "{}", ran.out);
}
