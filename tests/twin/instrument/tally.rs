//! What scenarios have reached: how often each match and target of the language let a packet through to its end, each state, each fate.

use std::collections::BTreeMap;

use nflab::engine::{Fate, Reason, Report};

use super::layout::{ICMPV6, extension_headers, is_ipv6, piece, protocol, upper};

/// Counts by a kind and a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(pub BTreeMap<(&'static str, String), u64>);

impl Tally {
    pub(crate) fn packet(&mut self, report: &Report) {
        let fate = match &report.fate {
            Fate::Forwarded => "forwarded",
            Fate::Sent => "sent",
            Fate::Delivered => "delivered",
            Fate::Stopped(reason) => return self.stopped(report, reason),
        };
        self.add("fate", fate, 1);
        self.state(report);
    }

    fn stopped(&mut self, report: &Report, reason: &Reason) {
        let why = match reason {
            Reason::Host(why) => format!("host: {why:?}"),
            Reason::NoWay(why) => format!("no way: {why:?}"),
            Reason::Tracking(why) => format!("tracking: {why:?}"),
            Reason::Nat(why) => format!("nat: {why:?}"),
            Reason::Helper(why) => format!("helper: {why:?}"),
            Reason::Rejected { with, .. } => format!("rejected: {with:?}"),
            Reason::Rule(_) => "a rule".into(),
            Reason::Policy(_) => "a policy".into(),
            Reason::Malformed(_) => "a match: cut short".into(),
            Reason::DroppedByMatch(_) => "a match: dropped".into(),
            Reason::WalkTooLong(_) => "a walk: too long".into(),
            Reason::Queued(_) | Reason::Held { .. } => "queued".into(),
            other => format!("{other:?}"),
        };
        self.add("stopped by", &why, 1);
        self.state(report);
    }

    fn state(&mut self, report: &Report) {
        self.add("state", report.state.map_or("none", |state| state.name()), 1);
    }

    /// What of IPv6 came, and what became of it: extension headers, messages of ICMPv6, fragments.
    pub(crate) fn ipv6(&mut self, bytes: &[u8], report: &Report) {
        if !is_ipv6(bytes, 0) {
            return;
        }
        for number in extension_headers(bytes) {
            self.add("extension header", &number.to_string(), 1);
        }
        // What none follows, or none that can be read.
        if let Some(number @ (50 | 59 | 135 | 139 | 140)) = protocol(bytes, 0) {
            self.add("extension header", &number.to_string(), 1);
        }
        let kind = upper(bytes, 0)
            .filter(|upper| upper.protocol == ICMPV6)
            .and_then(|upper| bytes.get(upper.at));
        if let Some(kind) = kind {
            self.add("ICMPv6", &kind.to_string(), 1);
        }
        if let Some(piece) = piece(bytes) {
            let more = piece.field[1] & 1 != 0;
            let which = match (piece.offset, more) {
                (0, false) => "atomic",
                (0, true) => "first",
                (_, true) => "in between",
                (_, false) => "last",
            };
            let fate = match &report.fate {
                Fate::Stopped(Reason::HeldFragment) => "waits".to_owned(),
                Fate::Stopped(Reason::Host(why)) => format!("{why:?}"),
                Fate::Stopped(_) => "stopped".to_owned(),
                other => format!("{other:?}"),
            };
            self.add("fragment of IPv6", &format!("{which}: {fate}"), 1);
        }
    }

    /// What of IPv6 a soak should meet, and this one did not.
    pub(crate) fn never_of_ipv6(&self) -> Vec<String> {
        let missing = |kind: &'static str, numbers: &[u8]| {
            let missing = numbers
                .iter()
                .filter(|number| !self.0.contains_key(&(kind, number.to_string())));
            missing.map(|number| format!("{kind} {number}")).collect::<Vec<_>>()
        };
        let mut lines = missing("extension header", &[0, 43, 44, 50, 51, 59, 60, 135, 139]);
        // Errors, echoes, multicast listeners, neighbour discovery, node information.
        lines.extend(missing(
            "ICMPv6",
            &[
                1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 139, 140, 143,
            ],
        ));
        for fate in FRAGMENTS {
            if !self.0.contains_key(&("fragment of IPv6", (*fate).to_owned())) {
                lines.push(format!("fragment of IPv6, {fate}"));
            }
        }
        lines
    }

    /// From `iptables-save -c`: each rule's packets count for all that stands in it.
    pub(crate) fn rules(&mut self, saved: &str) {
        let mut table = "";
        for line in saved.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            }
            let Some((counters, rule)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
                continue;
            };
            let packets: u64 = counters.split(':').next().and_then(|it| it.parse().ok()).unwrap_or(0);
            let mut words = rule.split(' ');
            let mut within = String::new();
            while let Some(word) = words.next() {
                match word {
                    "-A" => self.add("chain", &format!("{table} {}", chain(words.next())), packets),
                    "-m" => within = words.next().unwrap_or_default().to_owned(),
                    "-j" => {
                        within = target(words.next());
                        self.add("target", &within.clone(), packets);
                    }
                    "-g" => {
                        words.next();
                        self.add("target", "goto", packets);
                    }
                    "-p" | "-s" | "-d" | "-i" | "-o" | "-f" => self.add("match", word, packets),
                    option if option.starts_with("--") => self.add("option", &format!("{within} {option}"), packets),
                    _ => {}
                }
            }
        }
    }

    /// Whether packets stopped of which their senders are told no more than once a second, by a limit that no namespace can change.
    pub(crate) fn route_errors(&self) -> bool {
        let told = ["NoRoute", "Unreachable", "Prohibited"].map(|why| ("stopped by", format!("host: {why}")));
        told.iter().any(|key| self.0.contains_key(key))
    }

    pub(crate) fn add(&mut self, kind: &'static str, name: &str, count: u64) {
        // A rule may have been restored with as many packets as there can be.
        let sum = self.0.entry((kind, name.to_owned())).or_default();
        *sum = sum.saturating_add(count);
    }

    pub(crate) fn join(&mut self, other: Self) {
        for ((kind, name), count) in other.0 {
            *self.0.entry((kind, name)).or_default() += count;
        }
    }
}

/// What can become of which fragment: the first and those between wait, and the one that makes a packet whole goes on as that.
const FRAGMENTS: &[&str] = &[
    "atomic: Delivered",
    "atomic: Forwarded",
    "atomic: Sent",
    "atomic: stopped",
    "first: waits",
    "first: Delivered",
    "first: Forwarded",
    "first: Sent",
    "first: stopped",
    "first: BadExtension",
    "first: FragmentOverlap",
    "in between: waits",
    "in between: Delivered",
    "in between: Forwarded",
    "in between: Sent",
    "in between: stopped",
    "in between: BadExtension",
    "in between: FragmentDuplicate",
    "in between: FragmentEmpty",
    "in between: FragmentInconsistent",
    "in between: FragmentOverlap",
    "last: waits",
    "last: Delivered",
    "last: Forwarded",
    "last: Sent",
    "last: stopped",
    "last: BadExtension",
    "last: FragmentDuplicate",
    "last: FragmentEmpty",
    "last: FragmentInconsistent",
    "last: FragmentOverlap",
];

/// User chains, whatever they are called, count as one.
fn chain(name: Option<&str>) -> &str {
    match name {
        Some(name @ ("PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING")) => name,
        _ => "user chains",
    }
}

fn target(name: Option<&str>) -> String {
    match name {
        Some(name) if name.chars().all(|letter| letter.is_ascii_uppercase()) => name.to_owned(),
        _ => "jump".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_ipv6_is_counted() {
        let mut tally = Tally::default();
        let report = Report {
            fate: Fate::Forwarded,
            state: None,
        };
        let mut bytes = vec![0x60, 0, 0, 0, 0, 24, 0, 64];
        bytes.resize(40, 0);
        // Hop-by-hop options, a first fragment, a ping.
        bytes.extend([
            44, 0, 1, 4, 0, 0, 0, 0, ICMPV6, 0, 0, 1, 0, 0, 0, 9, 128, 0, 0, 0, 0, 0, 0, 0,
        ]);
        tally.ipv6(&bytes, &report);
        let get = |kind, name: &str| tally.0.get(&(kind, name.to_owned())).copied();
        assert_eq!(get("extension header", "0"), Some(1));
        assert_eq!(get("extension header", "44"), Some(1));
        assert_eq!(get("ICMPv6", "128"), Some(1));
        assert_eq!(get("fragment of IPv6", "first: Forwarded"), Some(1));
        let never = tally.never_of_ipv6();
        assert!(!never.contains(&"ICMPv6 128".to_owned()) && never.contains(&"ICMPv6 129".to_owned()));
    }

    #[test]
    fn rules_count_for_what_stands_in_them() {
        let mut tally = Tally::default();
        tally.rules(
            "*filter\n:INPUT ACCEPT [9:9]\n[2:80] -A INPUT -p tcp -m tcp --dport 80 -j DROP\n[1:40] -A u1 -j u2\nCOMMIT\n",
        );
        let get = |kind, name: &str| tally.0.get(&(kind, name.to_owned())).copied();
        assert_eq!(get("match", "-p"), Some(2));
        assert_eq!(get("option", "tcp --dport"), Some(2));
        assert_eq!(get("target", "DROP"), Some(2));
        assert_eq!(get("target", "jump"), Some(1));
        assert_eq!(get("chain", "filter user chains"), Some(1));
    }
}
