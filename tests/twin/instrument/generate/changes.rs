//! What an administrator does meanwhile: rules, knobs, flows; some of it wrong, which both sides have to say.

use nflab::base::Family;

use super::draw::Draw;
use super::rules::{Place, TableRules, rule};
use super::translated::said_in;
use super::world::World;

pub(super) fn change(world: &mut World) {
    match world.draw.below(20) {
        0..8 => one_rule(world),
        8..10 => chains(world),
        10..12 => restore(world),
        12..16 => knob(world),
        _ => flows(world),
    }
}

fn one_rule(world: &mut World) {
    let which = world.some_ruleset();
    let place = world.rulesets[which].place(&mut world.draw);
    let made = rule(&mut world.draw, &place);
    let draw = &mut world.draw;
    let line = match draw.below(12) {
        0..3 => format!("-A {}{made}", place.chain),
        3 | 4 => format!("-I {}{made}", place.chain),
        5 => format!("-I {} {}{made}", place.chain, 1 + draw.below(4)),
        6 => format!("-R {} {}{made}", place.chain, 1 + draw.below(3)),
        7 => format!("-D {} {}", place.chain, 1 + draw.below(4)),
        8 | 9 => {
            let table = table(&world.rulesets[which].tables, &place);
            match table.rules.len() {
                0 => format!("-D {}{made}", place.chain),
                many => {
                    let (chain, rule) = &table.rules[draw.below(many)];
                    format!("-{} {chain}{rule}", draw.pick(&["D", "D", "C"]))
                }
            }
        }
        10 => format!("-D {}{made}", place.chain),
        _ => wrong(draw, &place),
    };
    iptables(world, &place, &line);
}

fn table<'a>(tables: &'a [TableRules], place: &Place) -> &'a TableRules {
    tables
        .iter()
        .find(|it| it.name == place.table)
        .expect("a place is of a table that is there")
}

/// Refused by the tool or by the kernel.
fn wrong(draw: &mut Draw, place: &Place) -> String {
    let chain = place.chain;
    match draw.below(9) {
        0 => format!("-A {chain} -j nowhere"),
        1 => format!("-A {chain} -p tcp --dport 70000"),
        2 => format!("-A {chain} -m nonesuch"),
        3 => format!("-D {chain} 99"),
        4 => format!("-I {chain} 99 -j ACCEPT"),
        5 => format!("-A {chain} --dport 80 -j ACCEPT"),
        6 => format!("-A {chain} -s 300.1.1.1 -j ACCEPT"),
        7 => "-A nochain -j ACCEPT".to_owned(),
        _ => format!("-A {chain} -j REJECT --reject-with tcp-reset"),
    }
}

fn chains(world: &mut World) {
    let which = world.some_ruleset();
    let place = world.rulesets[which].place(&mut world.draw);
    let draw = &mut world.draw;
    let built_in = place.hooks()[draw.below(place.hooks().len())];
    let policy = if draw.one_in(4) && place.table != "nat" {
        "DROP"
    } else {
        "ACCEPT"
    };
    let line = match draw.below(10) {
        0 => format!("-P {built_in} {policy}"),
        1 => format!("-P {built_in} ACCEPT"),
        2 => format!("-F {}", place.chain),
        3 => "-Z".to_owned(),
        4 => format!("-Z {} 1", place.chain),
        5 => "-N fresh".to_owned(),
        6 => "-X fresh".to_owned(),
        7 => format!("-X {}", place.chain),
        8 => format!("-E {} renamed", place.chain),
        _ => format!("-F {built_in}"),
    };
    iptables(world, &place, &line);
}

fn iptables(world: &mut World, place: &Place, line: &str) {
    let mut args = vec!["-t".to_owned(), place.table.to_owned()];
    args.extend(words(&said_in(place.family, line)));
    let tool = match place.family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    let _ = world.tool(tool, args, "");
}

/// As the shell would split it: `"` keeps blanks, a backslash the next letter.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' => word.extend(letters.next()),
            ' ' if !quoted => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => word.push(other),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// A table as a whole, or what is added to one; sometimes with an error in its midst, so that nothing of it may happen.
fn restore(world: &mut World) {
    let ruleset = world.some_ruleset();
    let at = world.draw.below(world.rulesets[ruleset].tables.len());
    let place = world.rulesets[ruleset].place(&mut world.draw);
    let added = rule(&mut world.draw, &place);
    let draw = &mut world.draw;
    let table = &world.rulesets[ruleset].tables[at];
    let (args, text) = match draw.below(6) {
        0 | 1 => (vec![], table.text()),
        2 => (vec!["-c"], table.text_with_counters(draw)),
        3 => (
            vec!["-n"],
            format!("*{}\n-A {}{added}\nCOMMIT\n", place.table, place.chain),
        ),
        4 => (
            vec!["-n"],
            format!(
                "*{}\n-I {} 1{added}\n-D {} 1\nCOMMIT\n",
                place.table, place.chain, place.chain
            ),
        ),
        _ => (
            vec![],
            format!(
                "*{}\n-A {}{added}\n-A nochain -j ACCEPT\nCOMMIT\n",
                place.table, place.chain
            ),
        ),
    };
    let tool = world.rulesets[ruleset].restore();
    let text = said_in(place.family, &text);
    let _ = world.tool(tool, args.into_iter().map(str::to_owned).collect(), &text);
}

fn knob(world: &mut World) {
    // Those of tracking are of both.
    let knobs = match world.family() {
        Family::V6 if !world.draw.one_in(3) => KNOBS_OF_IPV6,
        _ => KNOBS,
    };
    let (key, values) = world.draw.pick(knobs);
    let value = if world.draw.one_in(10) {
        world.draw.pick(&["x", "-1", "4294967296", ""])
    } else {
        world.draw.pick(values)
    };
    // Every number that timeouts take is at least 5; these would not be refused by all.
    let value = if key.contains("timeout") && matches!(value, "-1" | "") {
        "x"
    } else {
        value
    };
    world.may_heed_routers |=
        key.starts_with("net.ipv6.") && ["forwarding", "accept_r"].iter().any(|it| key.contains(it));
    let _ = world.tool("sysctl", vec!["-w".to_owned(), format!("{key}={value}")], "");
}

const TIMES: &[&str] = &["45", "90", "500", "5000", "30", "120"];
const SWITCH: &[&str] = &["0", "1"];

/// Of a network namespace, and without a say in what depends on milliseconds.
const KNOBS: &[(&str, &[&str])] = &[
    ("net.netfilter.nf_conntrack_tcp_loose", SWITCH),
    ("net.netfilter.nf_conntrack_tcp_be_liberal", SWITCH),
    ("net.netfilter.nf_conntrack_tcp_ignore_invalid_rst", SWITCH),
    (
        "net.netfilter.nf_conntrack_tcp_max_retrans",
        &["0", "1", "2", "3", "255"],
    ),
    ("net.netfilter.nf_conntrack_checksum", SWITCH),
    ("net.netfilter.nf_conntrack_acct", SWITCH),
    ("net.netfilter.nf_conntrack_tcp_timeout_established", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_syn_sent", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_syn_recv", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_fin_wait", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_close_wait", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_last_ack", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_time_wait", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_close", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_max_retrans", TIMES),
    ("net.netfilter.nf_conntrack_tcp_timeout_unacknowledged", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_closed", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_cookie_wait", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_established", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_heartbeat_sent", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd", TIMES),
    ("net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent", TIMES),
    ("net.netfilter.nf_conntrack_udp_timeout", TIMES),
    ("net.netfilter.nf_conntrack_udp_timeout_stream", TIMES),
    ("net.netfilter.nf_conntrack_icmp_timeout", TIMES),
    ("net.netfilter.nf_conntrack_generic_timeout", TIMES),
    ("net.netfilter.nf_conntrack_gre_timeout", TIMES),
    ("net.netfilter.nf_conntrack_gre_timeout_stream", TIMES),
    ("net.netfilter.nf_conntrack_no_such_knob", SWITCH),
    ("net.ipv4.ip_forward", &["0", "1", "1", "1"]),
    ("net.ipv4.conf.lan.forwarding", &["0", "1", "1"]),
    ("net.ipv4.conf.all.rp_filter", &["0", "1", "2"]),
    ("net.ipv4.conf.wan.rp_filter", &["0", "1", "2"]),
    ("net.ipv4.conf.lan.rp_filter", &["0", "1", "2"]),
    ("net.ipv4.conf.wan.accept_local", SWITCH),
    ("net.ipv4.conf.all.accept_source_route", SWITCH),
    ("net.ipv4.conf.lan.accept_source_route", SWITCH),
    ("net.ipv4.conf.lan.route_localnet", SWITCH),
    ("net.ipv4.conf.all.route_localnet", SWITCH),
    ("net.ipv4.conf.wan.src_valid_mark", SWITCH),
    ("net.ipv4.conf.lan.bc_forwarding", SWITCH),
    ("net.ipv4.icmp_echo_ignore_all", SWITCH),
    ("net.ipv4.icmp_echo_ignore_broadcasts", SWITCH),
    ("net.ipv4.icmp_errors_use_inbound_ifaddr", SWITCH),
    ("net.ipv4.icmp_ignore_bogus_error_responses", SWITCH),
    ("net.ipv4.icmp_ratemask", &["0", "6168", "6169"]),
    ("net.ipv4.ip_default_ttl", &["1", "64", "128", "255"]),
    ("net.ipv4.ip_no_pmtu_disc", &["0", "1", "2", "3"]),
    ("net.ipv4.ip_forward_use_pmtu", SWITCH),
    ("net.ipv4.ip_forward_update_priority", SWITCH),
    ("net.ipv4.ipfrag_max_dist", &["64", "0", "5"]),
    ("net.ipv4.fwmark_reflect", SWITCH),
    ("net.ipv4.no_such_knob", SWITCH),
];

const KNOBS_OF_IPV6: &[(&str, &[&str])] = &[
    ("net.netfilter.nf_conntrack_icmpv6_timeout", TIMES),
    ("net.netfilter.nf_conntrack_frag6_timeout", TIMES),
    ("net.ipv6.conf.all.forwarding", &["0", "1", "1", "1"]),
    ("net.ipv6.conf.lan.forwarding", &["0", "1", "1"]),
    ("net.ipv6.conf.wan.force_forwarding", SWITCH),
    ("net.ipv6.conf.all.accept_source_route", &["-1", "0", "1"]),
    ("net.ipv6.conf.lan.accept_source_route", &["-1", "0", "1"]),
    ("net.ipv6.conf.wan.accept_source_route", &["-1", "0", "1"]),
    ("net.ipv6.conf.wan.hop_limit", &["1", "64", "255"]),
    ("net.ipv6.conf.all.hop_limit", &["1", "64", "255"]),
    ("net.ipv6.conf.wan.mtu", &["1280", "1400", "1500", "1279", "1501"]),
    ("net.ipv6.conf.lan.mtu", &["1280", "1500"]),
    ("net.ipv6.conf.lan.accept_ra", &["0", "1", "2"]),
    ("net.ipv6.conf.lan.accept_redirects", SWITCH),
    ("net.ipv6.conf.lan.drop_unsolicited_na", SWITCH),
    ("net.ipv6.conf.lan.drop_unicast_in_l2_multicast", SWITCH),
    ("net.ipv6.icmp.echo_ignore_all", SWITCH),
    ("net.ipv6.icmp.echo_ignore_multicast", SWITCH),
    ("net.ipv6.icmp.echo_ignore_anycast", SWITCH),
    ("net.ipv6.icmp.error_anycast_as_unicast", SWITCH),
    ("net.ipv6.icmp.ratemask", &["0-1,3-127", "1", "3-4", "0-255", "256"]),
    ("net.ipv6.anycast_src_echo_reply", SWITCH),
    ("net.ipv6.fwmark_reflect", SWITCH),
    ("net.ipv6.flowlabel_reflect", &["0", "1", "2", "4", "7", "8"]),
    ("net.ipv6.flowlabel_state_ranges", SWITCH),
    ("net.ipv6.flowlabel_consistency", SWITCH),
    ("net.ipv6.max_dst_opts_number", &["8", "0", "1", "-1", "-8"]),
    ("net.ipv6.max_hbh_opts_number", &["8", "0", "1", "-1", "-8"]),
    ("net.ipv6.max_dst_opts_length", &["2147483647", "8", "16"]),
    ("net.ipv6.max_hbh_length", &["2147483647", "8", "16"]),
    ("net.ipv6.no_such_knob", SWITCH),
];

fn flows(world: &mut World) {
    let family = world.family();
    let selector = world.draw.pick(&[
        "-F",
        "-D",
        "-D -p tcp",
        "-D -p udp",
        "-D -p icmp",
        "-D -p gre",
        "-D -s 10.0.0.2",
        "-D -s 10.0.0.0/24",
        "-D -d 192.0.2.9",
        "-D -d 203.0.113.77",
        "-D -r 192.0.2.9",
        "-D -q 192.0.2.1",
        "-D -q 192.0.2.100",
        "-D -p tcp --dport 80",
        "-D -p tcp --dport 21",
        "-D -p udp --dport 53",
        "-D -p tcp --sport 20001",
        "-D -p tcp --reply-port-src 80",
        "-D -p udp --reply-port-dst 2000",
        "-D -p tcp --state ESTABLISHED",
        "-D -p tcp --state TIME_WAIT",
        "-D -p tcp --state SYN_SENT",
        "-D -u ASSURED",
        "-D -u SEEN_REPLY",
        "-D -n",
        "-D -g",
        "-D -j",
        "-D -n 192.0.2.1",
        "-D -m 1",
        "-D -m 0",
        "-D -f ipv4",
        "-D -s 1.2.3.4",
        "-D -p tcp --state NONSENSE",
    ]);
    // GRE goes with the connection of PPTP that announced it, which of two deleted one by one may be the first.
    let of_any_protocol = selector.starts_with("-D") && !selector.contains("-p ");
    for selector in of_any_protocol.then_some("-D -p gre").into_iter().chain([selector]) {
        let selector = match family {
            Family::V4 => selector.to_owned(),
            Family::V6 => selector_of_ipv6(selector),
        };
        let args = selector.split(' ').map(str::to_owned).collect();
        let _ = world.tool("conntrack", args, "");
    }
}

/// The same of the same hosts there.
fn selector_of_ipv6(selector: &str) -> String {
    let selector = said_in(Family::V6, selector).replace("-p icmp", "-p icmpv6");
    match selector.strip_suffix("-f ipv4") {
        Some(rest) => format!("{rest}-f ipv6"),
        None => format!("{selector} -f ipv6"),
    }
}
