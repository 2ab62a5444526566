//! Rulesets over every match and target, and knobs.

use std::fmt::Write;

use crate::Draw;

type Chains = &'static [&'static str];
const TABLES: &[(&str, Chains)] = &[
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];

pub fn ruleset(draw: &mut Draw) -> String {
    let mut text = String::new();
    for (table, chains) in TABLES {
        if draw.one_in(6) {
            continue;
        }
        writeln!(text, "*{table}\n:u1 -\n:u2 -").unwrap();
        for chain in ["u2", "u1"].iter().chain(*chains) {
            for _ in 0..draw.below(5) {
                writeln!(text, "{}", rule(draw, table, chain)).unwrap();
            }
        }
        text.push_str("COMMIT\n");
    }
    text
}

fn rule(draw: &mut Draw, table: &str, chain: &str) -> String {
    let mut rule = format!("-A {chain}");
    let protocol = draw.pick(&["", "", "tcp", "tcp", "udp", "icmp", "47", "132"]);
    if !protocol.is_empty() {
        write!(rule, " -p {protocol}").unwrap();
    }
    if draw.one_in(4) {
        let address = draw.pick(&[
            "-s 10.0.0.0/24",
            "! -s 10.0.0.2",
            "-d 192.0.2.9",
            "-d 0.0.0.9/0.0.0.255",
        ]);
        write!(rule, " {address}").unwrap();
    }
    let matches: &[&str] = match protocol {
        "tcp" => &[
            "-m tcp --syn",
            "-m tcp ! --tcp-flags ALL NONE",
            "-m tcp --tcp-option 2",
            "-m tcp ! --tcp-option 8",
            "-m tcp --dport 21",
            "-m multiport --ports 21,80,1000:60000",
        ],
        "udp" => &[
            "-m udp --sport 53",
            "-m udp ! --dport 0:1023",
            "-m multiport --dports 53",
        ],
        "icmp" => &[
            "-m icmp --icmp-type any",
            "-m icmp --icmp-type 3/4",
            "-m icmp ! --icmp-type 8",
        ],
        _ => &["-f", "! -f", "-m comment --comment \"a b\""],
    };
    if draw.one_in(2) && !(table == "nat" && protocol.is_empty()) {
        write!(rule, " {}", draw.pick(matches)).unwrap();
    }
    if draw.one_in(3) {
        let more = draw.pick(&[
            "-m state --state NEW,RELATED",
            "-m state ! --state INVALID",
            "-m conntrack --ctstate ESTABLISHED,DNAT",
            "-m conntrack --ctstate SNAT --ctproto tcp",
            "-m conntrack --ctorigsrc 10.0.0.0/24 --ctdir REPLY",
            "-m conntrack --ctstatus ASSURED,EXPECTED",
            "-m conntrack --ctexpire 1:100",
            "-m conntrack ! --ctreplsrcport 80",
            "-m mark --mark 1/3",
            "-m mark ! --mark 0",
            "-m limit --limit 3/sec --limit-burst 2",
            "-m addrtype --src-type LOCAL",
            "-m addrtype ! --dst-type UNICAST,BROADCAST",
        ]);
        write!(rule, " {more}").unwrap();
    }
    let target = target(draw, table, chain, protocol);
    if !target.is_empty() {
        write!(rule, " {target}").unwrap();
    }
    rule
}

fn target(draw: &mut Draw, table: &str, chain: &str, protocol: &str) -> &'static str {
    const LOGS: &[&str] = &[
        "-j LOG",
        "-j LOG --log-prefix \"x: \" --log-level 7 --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode",
    ];
    if draw.one_in(5) {
        return draw.pick(LOGS);
    }
    if chain != "u2" && draw.one_in(5) {
        return match chain {
            "u1" => draw.pick(&["-j u2", "-g u2"]),
            _ => draw.pick(&["-j u1", "-g u1", "-j u2", "-g u2"]),
        };
    }
    let ports = matches!(protocol, "tcp" | "udp");
    match (table, chain) {
        ("raw", _) if draw.one_in(2) => match protocol {
            "tcp" => draw.pick(&["-j CT --helper ftp", "-j CT --helper ftp", "-j NOTRACK"]),
            _ => draw.pick(&["-j NOTRACK", "-j CT --notrack", ""]),
        },
        ("mangle", _) => draw.pick(&[
            "-j MARK --set-mark 1",
            "-j MARK --xor-mark 3",
            "-j MARK --or-mark 0x80000000",
            "-j MARK --and-mark 0xff",
            "",
            "-j RETURN",
        ]),
        ("nat", "POSTROUTING") if ports => draw.pick(&[
            "-j MASQUERADE --to-ports 2000-2003",
            "-j MASQUERADE --random",
            "-j MASQUERADE --random-fully",
            "-j SNAT --to-source 192.0.2.1-192.0.2.5:1-3",
            "-j SNAT --to-source 192.0.2.100:65535 --random-fully",
            "-j SNAT --to-source 192.0.2.100-192.0.2.200 --persistent",
        ]),
        ("nat", "POSTROUTING") => draw.pick(&[
            "-j MASQUERADE",
            "-j SNAT --to-source 192.0.2.77",
            "-j SNAT --to-source 192.0.2.100-192.0.2.200 --random",
        ]),
        ("nat", "INPUT") => draw.pick(&["", "-j SNAT --to-source 10.0.0.77"]),
        ("nat", "PREROUTING" | "OUTPUT") if ports => draw.pick(&[
            "-j DNAT --to-destination 10.0.0.2-10.0.0.4:1-65535",
            "-j DNAT --to-destination 10.0.0.3:21 --persistent",
            "-j DNAT --to-destination :8080",
            "-j DNAT --to-destination 10.0.0.2:21-23 --random",
            "-j REDIRECT --to-ports 3128-3130 --random",
            "-j REDIRECT --to-ports 21",
        ]),
        ("nat", "PREROUTING" | "OUTPUT") => draw.pick(&["-j REDIRECT", "-j DNAT --to-destination 10.0.0.2-10.0.0.9"]),
        ("filter", _) if draw.one_in(2) => match protocol {
            "tcp" => "-j REJECT --reject-with tcp-reset",
            _ => draw.pick(&[
                "-j REJECT",
                "-j REJECT --reject-with icmp-net-unreachable",
                "-j REJECT --reject-with icmp-host-unreachable",
                "-j REJECT --reject-with icmp-proto-unreachable",
                "-j REJECT --reject-with icmp-net-prohibited",
                "-j REJECT --reject-with icmp-host-prohibited",
                "-j REJECT --reject-with icmp-admin-prohibited",
            ]),
        },
        ("nat", _) => draw.pick(&["", "-j ACCEPT", "-j RETURN"]),
        _ => draw.pick(&["", "", "-j ACCEPT", "-j ACCEPT", "-j RETURN", "-j DROP"]),
    }
}

pub fn knobs(draw: &mut Draw) -> Vec<(String, String)> {
    let choices: &[(&str, &[&str])] = &[
        ("net.netfilter.nf_conntrack_max", &["1", "3", "20", "1000"]),
        ("net.netfilter.nf_conntrack_expect_max", &["1", "2"]),
        ("net.netfilter.nf_conntrack_checksum", &["0"]),
        ("net.netfilter.nf_conntrack_acct", &["1"]),
        ("net.netfilter.nf_conntrack_log_invalid", &["255", "6"]),
        ("net.netfilter.nf_conntrack_tcp_loose", &["0"]),
        ("net.netfilter.nf_conntrack_tcp_be_liberal", &["1"]),
        ("net.netfilter.nf_conntrack_tcp_ignore_invalid_rst", &["1"]),
        ("net.netfilter.nf_conntrack_tcp_max_retrans", &["0", "1", "255"]),
        ("net.netfilter.nf_conntrack_udp_timeout", &["0", "8589934", "-8589934"]),
        (
            "net.netfilter.nf_conntrack_tcp_timeout_established",
            &["0", "1", "8589934", "-8589934"],
        ),
        (
            "net.netfilter.nf_conntrack_generic_timeout",
            &["0", "8589934", "-8589934"],
        ),
        ("net.ipv4.icmp_ratelimit", &["0", "2147483647"]),
        ("net.ipv4.icmp_ratemask", &["-1", "0"]),
        ("net.ipv4.icmp_msgs_per_sec", &["0", "1000000", "2147483647"]),
        ("net.ipv4.icmp_msgs_burst", &["0", "2147483647"]),
        ("net.ipv4.ip_default_ttl", &["1", "255"]),
        ("net.ipv4.icmp_echo_ignore_broadcasts", &["0"]),
        ("net.ipv4.icmp_errors_use_inbound_ifaddr", &["1"]),
        ("net.ipv4.fwmark_reflect", &["1"]),
        // The lower one first, since neither may pass the other.
        ("net.ipv4.ipfrag_low_thresh", &["0"]),
        ("net.ipv4.ipfrag_high_thresh", &["0", "1", "3000"]),
        ("net.ipv4.ipfrag_max_dist", &["0", "1", "2147483647"]),
        ("net.ipv4.ipfrag_time", &["0", "-5", "1", "2147483"]),
        ("net.ipv4.conf.all.rp_filter", &["0", "1", "2"]),
        ("net.ipv4.conf.all.accept_source_route", &["0", "1"]),
        ("net.ipv4.conf.lan.accept_source_route", &["0", "1"]),
        ("net.ipv4.conf.all.accept_local", &["1"]),
        ("net.ipv4.conf.all.route_localnet", &["1"]),
        ("net.ipv4.conf.all.log_martians", &["1"]),
        ("net.ipv4.conf.all.send_redirects", &["0"]),
        ("net.ipv4.conf.lan.forwarding", &["0", "1"]),
        ("net.ipv4.conf.all.bc_forwarding", &["1"]),
        ("net.ipv4.conf.lan.bc_forwarding", &["1"]),
    ];
    let mut knobs: Vec<(String, String)> = Vec::new();
    for (key, values) in choices {
        let has_room =
            *key != "net.ipv4.ipfrag_high_thresh" || knobs.iter().any(|(key, _)| key == "net.ipv4.ipfrag_low_thresh");
        if draw.one_in(6) && has_room {
            knobs.push(((*key).to_owned(), draw.pick(values).to_owned()));
        }
    }
    knobs
}
