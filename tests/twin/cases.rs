//! The kept scenarios. Each is named for what it shows; what a later difference taught stays here for good.

use crate::build::{echo_reply, echo_request, icmp_error, tcp, udp, with_ttl};
use crate::check;
use crate::scenario::Scenario;

const LAN: &str = "10.0.0.2";
const WAN: &str = "192.0.2.9";
const ROUTER_LAN: &str = "10.0.0.1";
const ROUTER_WAN: &str = "192.0.2.1";

const HOME: &str = "*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:FORWARD DROP
-A FORWARD -i lan -m state --state NEW,ESTABLISHED -j ACCEPT
-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
COMMIT
";

#[test]
fn a_question_through_a_masquerading_router_and_its_answer() {
    check(
        Scenario::new("masquerade", HOME)
            .receive("lan", udp((LAN, 40000), (WAN, 53), b"question"))
            .receive("wan", udp((WAN, 53), (ROUTER_WAN, 40000), b"answer"))
            .receive("wan", udp((WAN, 53), (LAN, 40001), b"unasked"))
            .send(udp((ROUTER_LAN, 7), (LAN, 7), b"own")),
    );
}

#[test]
fn ping_out_but_not_in() {
    check(
        Scenario::new("ping", HOME)
            .receive("lan", echo_request(LAN, WAN, 7, 1))
            .receive("wan", echo_reply(WAN, ROUTER_WAN, 7, 1))
            .receive("wan", echo_request(WAN, LAN, 8, 1))
            .receive("lan", echo_request(LAN, ROUTER_LAN, 9, 1))
            .receive("wan", echo_reply(WAN, ROUTER_WAN, 99, 1)),
    );
}

#[test]
fn a_tcp_conversation_from_syn_to_time_wait() {
    let (client, server, masked) = ((LAN, 40000), (WAN, 80), (ROUTER_WAN, 40000));
    check(
        Scenario::new("tcp", HOME)
            .receive("lan", tcp(client, server, "S", 100, 0, b""))
            .receive("wan", tcp(server, masked, "SA", 500, 101, b""))
            .receive("lan", tcp(client, server, "A", 101, 501, b""))
            .receive("lan", tcp(client, server, "PA", 101, 501, b"GET / HTTP/1.0\r\n\r\n"))
            .receive("wan", tcp(server, masked, "PA", 501, 119, b"HTTP/1.0 200 OK\r\n\r\n"))
            .receive("wan", tcp(server, masked, "FA", 520, 119, b""))
            .receive("lan", tcp(client, server, "A", 119, 521, b""))
            .receive("lan", tcp(client, server, "FA", 119, 521, b""))
            .receive("wan", tcp(server, masked, "A", 521, 120, b"")),
    );
}

#[test]
fn what_the_router_itself_answers() {
    check(
        Scenario::new("host", "*filter\n-A INPUT -m state --state NEW\n-A OUTPUT -m state --state ESTABLISHED\n-A OUTPUT -m state --state RELATED\nCOMMIT\n")
            .receive("lan", tcp((LAN, 4000), (ROUTER_LAN, 22), "S", 1, 0, b""))
            .receive("lan", tcp((LAN, 4001), (ROUTER_LAN, 22), "A", 1, 9, b"data"))
            .receive("lan", udp((LAN, 4000), (ROUTER_LAN, 9), b"hello"))
            .receive("lan", udp((LAN, 4000), ("10.0.0.255", 9), b"hello"))
            .receive("lan", echo_request(LAN, "10.0.0.255", 9, 1))
            .receive("lan", with_ttl(udp((LAN, 4000), (WAN, 9), b"late"), 1))
            .receive("lan", udp((LAN, 4000), (ROUTER_WAN, 9), b"other side")),
    );
}

#[test]
fn every_kind_of_reject() {
    let kinds = [
        "icmp-net-unreachable",
        "icmp-host-unreachable",
        "icmp-proto-unreachable",
        "icmp-port-unreachable",
        "icmp-net-prohibited",
        "icmp-host-prohibited",
        "icmp-admin-prohibited",
    ];
    let mut rules = "*filter\n".to_owned();
    for (at, kind) in kinds.iter().enumerate() {
        rules.push_str(&format!(
            "-A FORWARD -p udp --dport {} -j REJECT --reject-with {kind}\n",
            1000 + at
        ));
        rules.push_str(&format!(
            "-A INPUT -p udp --dport {} -j REJECT --reject-with {kind}\n",
            1000 + at
        ));
    }
    rules.push_str("-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n-A OUTPUT -m state --state RELATED\nCOMMIT\n");
    let mut scenario = Scenario::new("reject", &rules);
    for at in 0..kinds.len() as u16 {
        scenario = scenario
            .receive("lan", udp((LAN, 40000), (WAN, 1000 + at), b"no"))
            .receive("lan", udp((LAN, 40000), (ROUTER_LAN, 1000 + at), b"no"));
    }
    for flags in ["S", "A", "SA", "FA", "R", "PA"] {
        scenario = scenario.receive("lan", tcp((LAN, 40000), (WAN, 80), flags, 1000, 77, b"abc"));
    }
    check(scenario);
}

#[test]
fn errors_are_related_to_their_flow_through_nat() {
    let out = udp((LAN, 40000), (WAN, 53), b"question");
    let seen = with_ttl(udp((ROUTER_WAN, 40000), (WAN, 53), b"question"), 60);
    check(
        Scenario::new("icmp error", HOME)
            .receive("lan", out)
            .receive("wan", icmp_error(WAN, ROUTER_WAN, 3, 3, &seen))
            .receive("wan", icmp_error("192.0.2.77", ROUTER_WAN, 11, 0, &seen))
            .receive(
                "wan",
                icmp_error(WAN, ROUTER_WAN, 3, 3, &udp((ROUTER_WAN, 1), (WAN, 2), b"never sent")),
            ),
    );
}

#[test]
fn jumps_gotos_and_returns_count_as_the_kernel_counts() {
    check(
        Scenario::new(
            "chains",
            "*filter\n:FORWARD DROP\n:a -\n:b -\n:c -\n-A FORWARD -j a\n-A FORWARD -g c\n-A FORWARD -j ACCEPT\n\
             -A a -p tcp -j RETURN\n-A a -p udp --dport 1 -g b\n-A a -j b\n-A b -p udp --dport 2 -j ACCEPT\n-A b -j RETURN\n\
             -A c -p udp --dport 3 -j ACCEPT\nCOMMIT\n",
        )
        .receive("lan", udp((LAN, 5), (WAN, 1), b""))
        .receive("lan", udp((LAN, 5), (WAN, 2), b""))
        .receive("lan", udp((LAN, 5), (WAN, 3), b""))
        .receive("lan", udp((LAN, 5), (WAN, 4), b""))
        .receive("lan", tcp((LAN, 5), (WAN, 4), "S", 1, 0, b"")),
    );
}

#[test]
fn dnat_to_a_server_behind_the_router() {
    check(
        Scenario::new(
            "dnat",
            "*nat\n-A PREROUTING -i wan -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2:8080\n-A OUTPUT -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2:8080\nCOMMIT\n",
        )
        .receive("wan", tcp((WAN, 50000), (ROUTER_WAN, 80), "S", 1, 0, b""))
        .receive("lan", tcp((LAN, 8080), (WAN, 50000), "SA", 9, 2, b""))
        .receive("wan", tcp((WAN, 50000), (ROUTER_WAN, 80), "A", 2, 10, b""))
        .send(tcp((ROUTER_WAN, 50001), ("198.51.100.1", 80), "S", 1, 0, b"")),
    );
}

#[test]
fn notrack_leaves_no_flow() {
    check(
        Scenario::new(
            "notrack",
            "*raw\n-A PREROUTING -p tcp --dport 80 -j NOTRACK\n-A PREROUTING -p tcp --sport 80 -j CT --notrack\nCOMMIT\n\
             *filter\n-A FORWARD -m state --state UNTRACKED\n-A FORWARD -m state --state NEW\n-A FORWARD -m state --state INVALID\nCOMMIT\n",
        )
        .receive("lan", tcp((LAN, 50000), (WAN, 80), "S", 1, 0, b""))
        .receive("wan", tcp((WAN, 80), (LAN, 50000), "SA", 1, 2, b""))
        .receive("lan", tcp((LAN, 50000), (WAN, 443), "S", 1, 0, b"")),
    );
}

#[test]
fn nothing_is_tracked_until_a_rule_asks() {
    check(
        Scenario::new("untracked", "*nat\n-A POSTROUTING -j ACCEPT\nCOMMIT\n*raw\nCOMMIT\n")
            .receive("lan", udp((LAN, 5), (WAN, 1), b"one"))
            .restore("*filter\n-A FORWARD -m state --state NEW -j ACCEPT\nCOMMIT\n")
            .receive("lan", udp((LAN, 5), (WAN, 1), b"two")),
    );
}

/// Fresh scenarios from a seed that is printed with a difference; `NFLAB_TWIN_SEED` and `NFLAB_TWIN_COUNT` choose others.
#[test]
fn random_scenarios() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|it| it.parse().ok())
            .unwrap_or(default)
    };
    let (first, count) = (number("NFLAB_TWIN_SEED", 1), number("NFLAB_TWIN_COUNT", 100));
    for seed in first..first + count {
        check(crate::generate::scenario(seed));
    }
}
