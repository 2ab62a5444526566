//! `ping`: through without rules; with rules, out but not in.

use crate::lab::{ROUTER, Scratch};

#[test]
fn ping_crosses_the_lab() {
    let Some(scratch) = Scratch::new("ping", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    let ping = |host, target| {
        let ran = lab.exec(host, &["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", target]);
        (ran.code, ran.out)
    };
    for (host, target) in [("inside", "192.0.2.9"), ("outside", "10.0.0.2")] {
        let (code, out) = ping(host, target);
        assert_eq!(code, 0, "{out}");
        assert!(
            out.contains("3 packets transmitted, 3 received, 0% packet loss"),
            "{out}"
        );
        // One router is between them.
        assert_eq!(out.matches("ttl=63").count(), 3, "{out}");
    }
    for line in [
        "iptables -P FORWARD DROP",
        "iptables -A FORWARD -i lan -p icmp --icmp-type echo-request -m state --state NEW,ESTABLISHED -j ACCEPT",
        "iptables -A FORWARD -i wan -m state --state ESTABLISHED -j ACCEPT",
    ] {
        lab.tool(&line.split(' ').collect::<Vec<_>>()).good();
    }
    assert_eq!(ping("inside", "192.0.2.9").0, 0, "out");
    let (code, out) = ping("outside", "10.0.0.2");
    assert_eq!(code, 1, "in: {out}");
    assert!(out.contains(" 0 received, 100% packet loss"), "{out}");
    let saved = lab.tool(&["iptables-save", "-c"]).good();
    for expected in [
        // Three that came in by themselves, of 84 bytes each, and three answers.
        ":FORWARD DROP [3:252]",
        "[3:252] -A FORWARD -i lan -p icmp -m icmp --icmp-type 8 -m state --state NEW,ESTABLISHED -j ACCEPT",
        "[3:252] -A FORWARD -i wan -m state --state ESTABLISHED -j ACCEPT",
    ] {
        assert!(saved.lines().any(|line| line == expected), "{expected:?} in\n{saved}");
    }
    let flows = lab.tool(&["conntrack", "-L"]).good();
    assert!(
        flows.contains("src=10.0.0.2 dst=192.0.2.9 type=8 code=0"),
        "the flow of the ping: {flows}"
    );
    assert_eq!(flows.lines().count(), 1, "what was dropped left no flow: {flows}");
}
