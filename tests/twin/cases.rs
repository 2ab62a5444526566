//! The kept scenarios. Each is named for what it shows; what a later difference taught stays here for good.

use crate::build::{echo_reply, echo_request, fragment, icmp_error, of_protocol, tcp, udp, with_options, with_ttl};
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
    each_seed(100, crate::generate::scenario);
}

#[test]
fn random_hostile_scenarios() {
    each_seed(60, crate::generate::hostile);
}

fn each_seed(count: u64, generate: fn(u64) -> Scenario) {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|it| it.parse().ok())
            .unwrap_or(default)
    };
    let (first, count) = (number("NFLAB_TWIN_SEED", 1), number("NFLAB_TWIN_COUNT", count));
    for seed in first..first + count {
        check(generate(seed));
    }
}

const FTP: &str = "*raw
-A PREROUTING -p tcp --dport 21 -j CT --helper ftp
COMMIT
*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:FORWARD DROP
-A FORWARD -i lan -p tcp --dport 21 -m state --state NEW -j ACCEPT
-A FORWARD -m state --state ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
COMMIT
";

/// A control connection through a masquerading router, up to a command and its answer; `hello` is the server's greeting.
fn ftp_control(name: &str, rules: &str, command: &str, answer: &str) -> (Scenario, u32, u32) {
    let (client, server, masked) = ((LAN, 40000), (WAN, 21), (ROUTER_WAN, 40000));
    let hello = b"220 ready\r\n";
    let user = b"USER anonymous\r\n";
    let welcome = b"230 welcome\r\n";
    let (a, b) = (101 + user.len() as u32, 501 + hello.len() as u32 + welcome.len() as u32);
    let scenario = Scenario::new(name, rules)
        .receive("lan", tcp(client, server, "S", 100, 0, b""))
        .receive("wan", tcp(server, masked, "SA", 500, 101, b""))
        .receive("lan", tcp(client, server, "A", 101, 501, b""))
        .receive("wan", tcp(server, masked, "PA", 501, 101, hello))
        .receive("lan", tcp(client, server, "PA", 101, 501 + hello.len() as u32, user))
        .receive("wan", tcp(server, masked, "PA", 501 + hello.len() as u32, a, welcome))
        .receive("lan", tcp(client, server, "PA", a, b, command.as_bytes()));
    // What the router made of the command may be longer or shorter: the server acknowledges what it saw.
    let rewritten = command
        .replace("10,0,0,2", "192,0,2,1")
        .replace("10.0.0.2", "192.0.2.1");
    let seen = a + rewritten.len() as u32;
    let scenario = scenario
        .receive("wan", tcp(server, masked, "PA", b, seen, answer.as_bytes()))
        .receive(
            "lan",
            tcp(
                client,
                server,
                "A",
                a + command.len() as u32,
                b + answer.len() as u32,
                b"",
            ),
        );
    (scenario, seen, b)
}

#[test]
fn active_ftp_through_a_masquerading_router() {
    for (command, answer) in [
        ("PORT 10,0,0,2,156,65\r\n", "200 ok\r\n"),
        ("EPRT |1|10.0.0.2|40001|\r\n", "200 ok\r\n"),
    ] {
        let (scenario, ..) = ftp_control(command, FTP, command, answer);
        let (data, masked) = ((WAN, 20), (ROUTER_WAN, 40001));
        check(
            scenario
                .receive("wan", tcp(data, masked, "S", 900, 0, b""))
                .receive("lan", tcp((LAN, 40001), data, "SA", 700, 901, b""))
                .receive("wan", tcp(data, masked, "A", 901, 701, b""))
                .receive("wan", tcp(data, masked, "PA", 901, 701, b"the file"))
                .receive("wan", tcp((WAN, 20), (ROUTER_WAN, 40002), "S", 900, 0, b"")),
        );
    }
}

#[test]
fn passive_ftp_through_a_masquerading_router() {
    for (command, answer) in [
        ("PASV\r\n", "227 Entering Passive Mode (192,0,2,9,195,80).\r\n"),
        ("EPSV\r\n", "229 Entering Extended Passive Mode (|||50000|)\r\n"),
    ] {
        let (scenario, ..) = ftp_control(command, FTP, command, answer);
        check(
            scenario
                .receive("lan", tcp((LAN, 40001), (WAN, 50000), "S", 900, 0, b""))
                .receive("wan", tcp((WAN, 50000), (ROUTER_WAN, 40001), "SA", 700, 901, b""))
                .receive("lan", tcp((LAN, 40002), (WAN, 50001), "S", 900, 0, b"")),
        );
    }
}

#[test]
fn without_its_helper_ftp_data_is_refused() {
    let rules = FTP.replace("-A PREROUTING -p tcp --dport 21 -j CT --helper ftp\n", "");
    let (scenario, ..) = ftp_control("no helper", &rules, "PORT 10,0,0,2,156,65\r\n", "200 ok\r\n");
    check(
        scenario
            .receive("wan", tcp((WAN, 20), (ROUTER_WAN, 40001), "S", 900, 0, b""))
            .receive("lan", tcp((LAN, 40001), (WAN, 50000), "S", 900, 0, b"")),
    );
}

#[test]
fn what_the_router_sends_itself_may_be_sent_elsewhere() {
    check(
        Scenario::new(
            "output",
            "*mangle\n-A OUTPUT -p udp --dport 9 -j MARK --set-mark 1\nCOMMIT\n*nat\n-A OUTPUT -p udp --dport 53 -j DNAT --to-destination 10.0.0.2:5353\n\
             -A OUTPUT -p udp --dport 54 -j REDIRECT --to-ports 99\n-A POSTROUTING -o lan -j SNAT --to-source 10.0.0.50\nCOMMIT\n\
             *filter\n-A OUTPUT -o wan\n-A OUTPUT -o lan\n-A OUTPUT -o lo\n-A INPUT -i lo -m state --state NEW\nCOMMIT\n",
        )
        .send(udp((ROUTER_WAN, 7), (WAN, 9), b"marked"))
        .send(udp((ROUTER_WAN, 7), (WAN, 53), b"elsewhere"))
        .send(udp((ROUTER_WAN, 7), (WAN, 54), b"to itself"))
        .send(udp((ROUTER_WAN, 7), ("10.0.0.255", 54), b"to all"))
        .send(udp(("203.0.113.77", 7), (WAN, 55), b"from nobody"))
        .send(udp(("0.0.0.0", 7), (WAN, 55), b"from wherever"))
        .send(udp((ROUTER_WAN, 7), (ROUTER_LAN, 55), b"to itself")),
    );
}

/// Nobody configured a domain of interpretation, so all are refused; the label itself comes back with the complaint.
#[test]
fn security_labels_are_refused_and_echoed() {
    let mut scenario = Scenario::new("labels", "");
    for options in [
        &[134u8, 8, 0, 0, 0, 0, 1, 2][..],
        &[134, 12, 0, 0, 0, 1, 1, 6, 0, 1, 0, 0],
        &[134, 7, 0, 0, 0, 1, 1, 0],
        &[134, 3, 0, 0],
        &[134, 4, 0, 0],
        &[134, 40, 0, 0],
        &[1, 134, 2, 0],
        &[1, 134, 6, 0, 0, 0, 0, 0],
        &[134, 8, 0, 0, 0, 0, 1, 2, 134, 8, 0, 0, 0, 0, 1, 2],
        &[134, 8, 0, 0, 0, 0, 1, 2, 7, 7, 4, 0, 0, 0, 0, 0],
        &[7, 7, 4, 0, 0, 0, 0, 1, 134, 8, 0, 0, 0, 0, 1, 2],
        &[7, 7, 4, 0, 0, 0, 0, 134, 6, 0, 0, 0],
        &[131, 7, 4, 192, 0, 2, 9, 1, 134, 8, 0, 0, 0, 0, 1, 2],
        &[1, 134, 0, 0],
    ] {
        let packet = with_options(udp((LAN, 4000), (WAN, 53), b"question"), options);
        scenario = scenario.receive("lan", packet);
    }
    check(scenario);
}

/// The threshold holds for pieces of packets that are begun, too.
#[test]
fn no_room_for_fragments() {
    let whole = udp((LAN, 4000), (WAN, 53), &[7; 64]);
    let mut scenario = Scenario::new("no room", HOME)
        .sysctl("net.ipv4.ipfrag_low_thresh", "0")
        .sysctl("net.ipv4.ipfrag_high_thresh", "1");
    for (identification, from, to) in [(1, 0, 16), (1, 16, 32), (2, 0, 16), (1, 32, 72), (2, 16, 72)] {
        let piece = fragment(&whole, identification, from, to, to < 72);
        scenario = scenario.receive("lan", piece);
    }
    check(scenario.receive("lan", udp((LAN, 4001), (WAN, 53), b"whole")));
}

#[test]
fn nat_drops_gre_of_unknown_versions() {
    let mut scenario = Scenario::new(
        "gre",
        "*nat\n-A PREROUTING -i lan -j REDIRECT\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n",
    );
    for (at, version) in [0u8, 1, 2, 5, 7, 0x85].into_iter().enumerate() {
        for (interface, from, to) in [("lan", LAN, WAN), ("wan", WAN, LAN)] {
            let packet = udp((from, 0), (to, at as u16), &[7; 20]);
            let mut packet = of_protocol(packet, 47);
            packet[21] = version;
            packet[24..26].copy_from_slice(&[at as u8, 1]);
            scenario = scenario.receive(interface, packet);
        }
    }
    check(scenario);
}

/// An error about a protocol that nothing handles is RELATED before the raw table of OUTPUT is walked.
#[test]
fn errors_about_unknown_protocols_are_related_at_once() {
    let rules = "*raw\n-A OUTPUT -m conntrack --ctstate RELATED\n-A OUTPUT -m conntrack ! --ctstate RELATED\nCOMMIT\n";
    let packet = |to, protocol| of_protocol(udp((LAN, 1), (to, 2), b"data"), protocol);
    check(
        Scenario::new("unknown protocol", rules)
            .receive("lan", packet(ROUTER_LAN, 33))
            .receive("lan", packet(ROUTER_WAN, 99))
            .receive("lan", udp((LAN, 1), (ROUTER_LAN, 2), b"data")),
    );
}

/// REJECT wants the payload of a protocol that it does not know to sum up to nothing.
#[test]
fn reject_sums_whatever_it_does_not_know() {
    let mut scenario = Scenario::new("reject", "*filter\n-A FORWARD -j REJECT\nCOMMIT\n");
    for protocol in (0..=255).filter(|it| ![6, 17].contains(it)) {
        for payload in [
            &[0u8, 1, 0, 2, 0, 3, 0, 4][..],
            &[0, 1, 0xff, 0xfe],
            &[0; 8],
            &[0, 0, 0xff],
        ] {
            let mut packet = udp((LAN, 1), (WAN, 2), b"")[..20].to_vec();
            packet.extend_from_slice(payload);
            packet[3] = packet.len() as u8;
            scenario = scenario.receive("lan", of_protocol(packet, protocol));
        }
    }
    check(scenario);
}

/// A SYN that is sent again before any answer neither counts nor lets its flow live longer; any other packet of a flow does.
#[test]
fn repeated_syns_are_not_counted() {
    let syn = || tcp((LAN, 4000), (WAN, 80), "S", 100, 0, b"");
    check(
        Scenario::new("accounting", HOME)
            .sysctl("net.netfilter.nf_conntrack_acct", "1")
            .receive("lan", syn())
            .receive("lan", syn())
            .receive("lan", udp((LAN, 4000), (WAN, 53), b"a"))
            .receive("lan", udp((LAN, 4000), (WAN, 53), b"question")),
    );
}
