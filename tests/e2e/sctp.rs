//! SCTP of a real stack (usrsctp, whose sockets are raw ones: this kernel may have no SCTP) across NAT, both ways.

use crate::lab::{ROUTER, Scratch, Waits};

#[test]
fn an_association_crosses_nat_with_tracking_alone() {
    let Some(scratch) = Scratch::new("sctp", &[SERVER, CLIENT]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    let _servers = ["inside", "outside"].map(|host| lab.serve(host, &[SERVER], Waits::Raw(132)));
    let sent: String = (1..=2_000)
        .map(|line| format!("line {line} of what comes back, {:08x}\n", line * 2_654_435_761_u64))
        .collect();
    // Between its lines the client tells of the association.
    let is_text = |line: &&str| line.starts_with("line ");
    for Way {
        name,
        from,
        to,
        rules,
        flow,
    } in WAYS
    {
        lab.tool(&["conntrack", "-F"]).good();
        lab.restore(&format!("{rules}{FILTER}{UNTRACKED}")).good();
        let ran = lab.echoed(from, &["timeout", "0.5", CLIENT, to, "7"], &sent);
        assert_eq!(ran.code, 124, "{name}, untracked: {}\n{}", ran.out, ran.err);
        assert!(!ran.out.lines().any(|line| is_text(&line)), "{name}: {}", ran.out);
        assert_eq!(lab.tool(&["conntrack", "-L"]).good(), "", "{name}");

        lab.restore(&format!("{rules}{FILTER}{TRACKED}")).good();
        let ran = lab.echoed(from, &["timeout", "10", CLIENT, to, "7"], &sent);
        assert_eq!(ran.code, 0, "{name}: {}\n{}", ran.out, ran.err);
        let echoed = ran.out.lines().filter(is_text).map(|line| format!("{line}\n"));
        assert!(
            echoed.collect::<String>() == sent,
            "{name}: other text came back: {}",
            ran.out
        );
        assert_eq!(lab.packets(NEW), 1, "{name}: one INIT: {}", lab.saved());
        assert_eq!(lab.policy_drops("FORWARD"), 0, "{name}");
        // It has been shut down in order.
        let flows = lab.tool(&["conntrack", "-L"]).good();
        assert!(
            flows.starts_with("sctp     132 ")
                && flows.contains(" CLOSED ")
                && flow.iter().all(|part| flows.contains(part))
                && flows.lines().count() == 1,
            "{name}: {flows}"
        );
    }
}

struct Way {
    name: &'static str,
    /// The client's host, and whom it asks.
    from: &'static str,
    to: &'static str,
    rules: &'static str,
    flow: [&'static str; 3],
}

const WAYS: &[Way] = &[
    Way {
        name: "masquerade",
        from: "inside",
        to: "192.0.2.9",
        rules: "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n",
        flow: [
            " src=10.0.0.2 dst=192.0.2.9 ",
            " src=192.0.2.9 dst=192.0.2.1 ",
            "[ASSURED]",
        ],
    },
    Way {
        name: "DNAT",
        from: "outside",
        to: "192.0.2.1",
        rules: "*nat\n-A PREROUTING -i wan -p sctp -j DNAT --to-destination 10.0.0.2\nCOMMIT\n",
        flow: [
            " src=192.0.2.9 dst=192.0.2.1 ",
            " src=10.0.0.2 dst=192.0.2.9 ",
            "[ASSURED]",
        ],
    },
];

const FILTER: &str = "*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -p sctp -m conntrack --ctstate NEW -j ACCEPT
COMMIT
";
const NEW: &str = "-A FORWARD -p sctp -m conntrack --ctstate NEW -j ACCEPT";
const TRACKED: &str = "*raw\nCOMMIT\n";
const UNTRACKED: &str = "*raw\n-A PREROUTING -p sctp -j NOTRACK\nCOMMIT\n";

const SERVER: &str = "/usr/lib/usrsctp/echo_server";
const CLIENT: &str = "/usr/lib/usrsctp/client";
