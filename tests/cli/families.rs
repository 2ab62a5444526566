//! Packets of IPv6 go the same way wherever they come from: a capture, a script, a test, a trace.

use crate::bench::{Bench, LAB};
use crate::captures;

/// UDP from 2001:db8::2 to 2001:db8:1::9.
fn packet() -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
    for (network, last) in [(0, 2), (1, 9)] {
        bytes.extend([0x20, 1, 0x0d, 0xb8, 0, network, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend([0x0f, 0xa0, 0, 53, 0, 8, 0x94, 0x8b]);
    bytes
}

const LINE: &str = "udp [2001:db8::2]:4000 > [2001:db8:1::9]:53";

#[test]
fn a_packet_of_ipv6_goes_its_way_wherever_it_comes_from() {
    let bench = Bench::new();
    let lab = LAB
        .replace("\"10.0.0.1/24\"", "\"10.0.0.1/24\", \"2001:db8::1/64\"")
        .replace("\"192.0.2.1/24\"", "\"192.0.2.1/24\", \"2001:db8:1::1/64\"");
    bench.write("lab.toml", &lab);
    bench.write("rules.v4", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n");
    bench.write(
        "rules.v6",
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n",
    );
    captures::write(&bench.path("in.pcapng"), [(0, "lan", packet(), packet().len())]);
    let hex: String = packet().iter().map(|byte| format!("{byte:02x}")).collect();
    let seen = format!("expect forwarded\nexpect by FORWARD 1\nexpect out wan {LINE}\n");
    let rules = "ip6tables-restore < rules.v6\niptables-restore < rules.v4\n";
    for (name, line) in [
        ("hex", format!("send lan hex {hex}")),
        ("typed", format!("send lan {LINE}")),
    ] {
        bench.write(&format!("{name}.nflab"), &format!("{rules}{line}\n{seen}"));
        bench.write(
            &format!("{name}.test.nflab"),
            &format!("lab lab.toml\nrules rules.v4\nrules6 rules.v6\ntest \"six\"\n{line}\n{seen}end\n"),
        );
    }
    let (typed, traced) = (format!("lan {LINE}"), format!("lan hex {hex}"));
    let rules = ["--lab", "lab.toml", "--rules", "rules.v4", "--rules6", "rules.v6"];
    for (args, told) in [
        (&["run", "hex.nflab"][..], ""),
        (&["run", "typed.nflab"], ""),
        (&["test", "hex.test.nflab"], "1 passed"),
        (&["test", "typed.test.nflab"], "1 passed"),
        (&[&["trace"][..], &rules, &[&traced]].concat(), LINE),
        (&[&["trace"][..], &rules, &[&typed]].concat(), LINE),
        (
            &[&["replay"][..], &rules, &["--explain", "1", "in.pcapng"]].concat(),
            LINE,
        ),
    ] {
        let ran = bench.nflab(args);
        assert!(ran.code == 0 && ran.out.contains(told), "{args:?}: {ran:?}");
    }
}
