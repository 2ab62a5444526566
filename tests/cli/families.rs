//! Whatever asks for IPv6 hears the same words: a packet from a capture, a script, a test, a trace or the router itself, and a line that
//! would make one.

use crate::bench::{Bench, LAB};
use crate::captures;

const SAID: &str = "IPv6 is not there yet";

/// UDP from 2001:db8::2 to 2001:db8::9.
fn packet() -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
    for last in [2, 9] {
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend([0x0f, 0xa0, 0, 53, 0, 8, 0, 0]);
    bytes
}

#[test]
fn a_packet_of_ipv6_is_refused_in_one_way_wherever_it_comes_from() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules.v4", "*filter\nCOMMIT\n");
    captures::write(&bench.path("in.pcapng"), [(0, "lan", packet(), packet().len())]);
    let hex: String = packet().iter().map(|byte| format!("{byte:02x}")).collect();
    let test = |line: &str| format!("lab lab.toml\nrules rules.v4\ntest \"six\"\n  {line}\n  expect accept\nend\n");
    bench.write("hex.test.nflab", &test(&format!("send lan hex {hex}")));
    bench.write(
        "typed.test.nflab",
        &test("send lan udp [2001:db8::2]:4000 > [2001:db8::9]:53"),
    );
    for (name, line) in [
        ("hex.nflab", format!("send lan hex {hex}\nexpect accept\n")),
        ("own.nflab", format!("send local hex {hex}\nexpect accept\n")),
        (
            "typed.nflab",
            "send lan tcp 2001:db8::2:1 > 2001:db8::9:80 S\n".to_owned(),
        ),
        ("named.nflab", "send lan tcp6 10.0.0.2:1 > 10.0.0.3:2\n".to_owned()),
        ("route.nflab", "ip route add 2001:db8::/32 dev lan\n".to_owned()),
    ] {
        bench.write(name, &line);
    }
    let traced = format!("lan hex {hex}");
    for args in [
        &["replay", "--lab", "lab.toml", "--explain", "1", "in.pcapng"][..],
        &["run", "hex.nflab"],
        &["run", "own.nflab"],
        &["run", "typed.nflab"],
        &["run", "named.nflab"],
        &["run", "route.nflab"],
        &["test", "hex.test.nflab"],
        &["test", "typed.test.nflab"],
        &["trace", "--lab", "lab.toml", &traced],
        &["trace", "--lab", "lab.toml", "lan udp 2001:db8::2:1 > 2001:db8::9:53"],
    ] {
        let ran = bench.nflab(args);
        assert!((ran.out.clone() + &ran.err).contains(SAID), "{args:?}: {ran:?}");
    }
}

/// Seen: the kernel lists the youngest first, and nothing before the family's own tool has asked for a table.
#[test]
fn each_family_lists_its_own_tables() {
    let bench = Bench::new();
    bench.write(
        "tables.nflab",
        "cat /proc/net/ip_tables_names\niptables -t filter -Z\niptables -t raw -Z\niptables -t nat -Z\n\
         cat /proc/net/ip_tables_names /proc/net/ip6_tables_names\n",
    );
    let ran = bench.nflab(&["run", "tables.nflab"]);
    assert_eq!((ran.out.as_str(), ran.code), ("nat\nraw\nfilter\n", 0), "{ran:?}");
}
