//! Rulesets over every match and target of the registry, and knobs.

use std::fmt::Write;

use nflab::base::{Family, protocol};
use nflab::ext::drawn::{Drawing, Place};
use nflab::ext::samples::{Samples, Taken};
use nflab::ext::{MATCHES, TARGETS};
use nflab::rule::{HookSet, Table};

use crate::Draw;
use crate::translated::said_in;

pub(crate) fn ruleset(draw: &mut Draw, family: Family) -> String {
    let mut text = String::new();
    // Extensions draw from streams of their own.
    let seed = u64::from(draw.u32());
    let mut number = 0;
    for table in Table::ALL {
        if draw.one_in(6) {
            continue;
        }
        writeln!(text, "*{}\n:u1 -\n:u2 -", table.name()).unwrap();
        let all = HookSet::of(table.hooks());
        let built_in = table.hooks().iter().map(|hook| (hook.chain(), HookSet::of(&[*hook])));
        for (chain, hooks) in [("u2", all), ("u1", all)].into_iter().chain(built_in) {
            // Now and then so many that a walk passes over what cannot match; who watches sees every rule.
            let count = if draw.one_in(5) {
                20 + draw.below(30)
            } else {
                draw.below(5)
            };
            for _ in 0..count {
                number += 1;
                let place = Place {
                    family,
                    table,
                    hooks,
                    protocol: None,
                    may_track: true,
                };
                let rule = rule(draw, (seed, number, count > 5), chain, place);
                if let Some(rule) = in_family(family, rule) {
                    writeln!(text, "{rule}").unwrap();
                }
            }
        }
        text.push_str("COMMIT\n");
    }
    text
}

/// A rule of IPv4 as it is said in this family; `None` where a table of IPv6 does not come into force with it.
fn in_family(family: Family, rule: String) -> Option<String> {
    const KINDS_OF_IPV4: [&str; 6] = ["BROADCAST", "BLACKHOLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"];
    let is_of_ipv4 = |word: &str| KINDS_OF_IPV4.iter().any(|it| !word.is_empty() && it.starts_with(word));
    match family {
        Family::V4 => Some(rule),
        Family::V6 if rule.split([' ', ',']).any(is_of_ipv4) => None,
        // What has more spellings in IPv4, and addresses of IPv6 that are none of IPv4.
        Family::V6 => {
            let others = [
                ("range 172.16-", "range 172.16.0.0-"),
                ("range 0-", "range 0.0.0.0-"),
                ("tcp-rst", "tcp-reset"),
                (":1.2.3.4", ":102:304"),
            ];
            let one = |rule: String, (other, one): (&str, &str)| rule.replace(other, one);
            Some(said_in(family, &others.into_iter().fold(rule, one)))
        }
    }
}

fn rule(draw: &mut Draw, (seed, number, is_long): (u64, u64, bool), chain: &str, mut place: Place) -> String {
    let mut rule = format!("-A {chain}");
    let (named, number_of) = match draw.pick(PROTOCOLS) {
        ("icmp", _) if place.family == Family::V6 => ("icmpv6", protocol::ICMPV6),
        other => other,
    };
    if !named.is_empty() {
        write!(rule, " -p {named}").unwrap();
        place.protocol = Some(number_of);
    }
    // In a long chain most rules are about somebody.
    if draw.one_in(if is_long { 2 } else { 4 }) {
        let address = match place.family {
            Family::V4 => draw.pick(&[
                "-s 10.0.0.0/24",
                "! -s 10.0.0.2",
                "-d 192.0.2.9",
                "-s 10.0.0.2",
                "-d 10.0.0.2",
                "-d 0.0.0.9/0.0.0.255",
                "-f",
                "! -f",
            ]),
            Family::V6 => draw.pick(&[
                "-s 2001:db8::/64",
                "! -s 2001:db8::2",
                "-d 2001:db8:1::9",
                "-s 2001:db8::2",
                "-d 2001:db8::2",
                "-d ::9/::ff",
                "-s fe80::/10",
                "! -d ff00::/8",
            ]),
        };
        write!(rule, " {address}").unwrap();
    }
    let mut matches = Vec::new();
    for spec in MATCHES {
        let Some(mut drawn) = spec.drawn(seed, number, &place) else {
            continue;
        };
        // What has state and what is odd stands in the samples.
        if let Some(sample) = sample(draw, &spec.samples, chain, &place, named) {
            drawn.words = format!(" -m {} {}", spec.name, sample.typed);
        }
        matches.push(drawn);
    }
    matches.sort_by_key(|drawn| drawn.key);
    rule.extend(matches.into_iter().map(|drawn| drawn.words));
    if chain != "u2" && draw.one_in(5) {
        return rule
            + match chain {
                "u1" => draw.pick(&[" -j u2", " -g u2"]),
                _ => draw.pick(&[" -j u1", " -g u1", " -j u2", " -g u2"]),
            };
    }
    let drawn = TARGETS
        .iter()
        .filter_map(|spec| Some((spec, spec.drawn(seed, number, &place)?)));
    let target = match drawn.min_by_key(|(_, drawn)| drawn.key) {
        None => draw
            .pick(&["", "", " -j ACCEPT", " -j ACCEPT", " -j RETURN"])
            .to_owned(),
        Some((spec, Drawing { words, .. })) => match sample(draw, &spec.samples, chain, &place, named) {
            Some(sample) => format!(" -j {} {}", spec.name, sample.typed),
            None => words,
        },
    };
    if target.is_empty() && place.table != Table::Nat && draw.one_in(6) {
        return rule + " -j DROP";
    }
    rule + &target
}

const PROTOCOLS: &[(&str, u8)] = &[
    ("", 0),
    ("", 0),
    ("tcp", protocol::TCP),
    ("tcp", protocol::TCP),
    ("udp", protocol::UDP),
    ("icmp", protocol::ICMP),
    ("47", 47),
    ("132", protocol::SCTP),
];

/// Now and then, where one fits.
fn sample(
    draw: &mut Draw,
    samples: &'static Samples,
    chain: &str,
    place: &Place,
    protocol: &str,
) -> Option<&'static Taken> {
    let fits = |sample: &&Taken| {
        sample.is_of(place.family) && (sample.before.is_empty() || sample.before == format!("-p {protocol}"))
    };
    let fitting: Vec<&Taken> = samples.taken.iter().filter(fits).collect();
    let is_there = (place.table.name(), chain) == samples.place;
    if fitting.is_empty() || !is_there || draw.one_in(2) {
        return None;
    }
    Some(draw.pick(&fitting))
}

pub(crate) fn knobs(draw: &mut Draw) -> Vec<(String, String)> {
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
        ("net.ipv6.conf.lan.forwarding", &["0", "1"]),
        ("net.ipv6.conf.all.accept_source_route", &["0", "1"]),
        ("net.ipv6.conf.lan.accept_source_route", &["-1", "0", "1"]),
        ("net.ipv6.conf.lan.disable_ipv6", &["1"]),
        ("net.ipv6.conf.wan.mtu", &["1280", "1400"]),
        ("net.ipv6.icmp.ratelimit", &["0", "2147483647"]),
        ("net.ipv6.fwmark_reflect", &["1"]),
        ("net.ipv6.anycast_src_echo_reply", &["1"]),
        ("net.ipv6.ip6frag_low_thresh", &["0"]),
        ("net.ipv6.ip6frag_high_thresh", &["0", "1", "3000"]),
        ("net.ipv6.ip6frag_time", &["0", "-5", "1", "2147483"]),
    ];
    let mut knobs: Vec<(String, String)> = Vec::new();
    for (key, values) in choices {
        let is_lowered = |low: &str| knobs.iter().any(|(key, _)| key == low);
        let has_room = match *key {
            "net.ipv4.ipfrag_high_thresh" => is_lowered("net.ipv4.ipfrag_low_thresh"),
            "net.ipv6.ip6frag_high_thresh" => is_lowered("net.ipv6.ip6frag_low_thresh"),
            _ => true,
        };
        if draw.one_in(6) && has_room {
            knobs.push(((*key).to_owned(), draw.pick(values).to_owned()));
        }
    }
    knobs
}
