//! Rules of one family whose like the other has not: what guards IPv4 and leaves IPv6 open, or the other way round.
//!
//! Two rules are alike where they differ in addresses only, and in what each family calls its own: its ICMP, and how it rejects.

use std::collections::HashMap;
use std::net::IpAddr;

use super::rules::RulePlace;
use crate::base::Family;
use crate::rule::Table;

/// Those without a like one; none where one of the families has no rule at all.
pub(super) fn missing<T>(rules: &[T], place: impl Fn(&T) -> &RulePlace) -> Vec<&T> {
    let is_there = |family| rules.iter().any(|rule| place(rule).family == family);
    if !Family::ALL.into_iter().all(is_there) {
        return Vec::new();
    }
    let mut balance: HashMap<Likeness, i64> = HashMap::new();
    for rule in rules {
        *balance.entry(likeness(place(rule))).or_default() += sign(place(rule).family);
    }
    // Of several that are alike the last ones have none.
    let mut alone: Vec<&T> = rules
        .iter()
        .rev()
        .filter(|rule| {
            let place = place(rule);
            let Some(left) = balance.get_mut(&likeness(place)) else {
                return false;
            };
            let is_alone = left.signum() == sign(place.family);
            if is_alone {
                *left -= sign(place.family);
            }
            is_alone
        })
        .collect();
    alone.reverse();
    alone
}

fn sign(family: Family) -> i64 {
    match family {
        Family::V4 => 1,
        Family::V6 => -1,
    }
}

type Likeness = (Table, String);

/// What a rule and its like have in common: all but addresses, and the families' own kinds of ICMP.
fn likeness(place: &RulePlace) -> Likeness {
    let mut words = Vec::new();
    let mut is_a_kind = false;
    for word in place.rule.split(' ') {
        let word = common(word);
        words.push(if is_a_kind { KIND.to_owned() } else { word.clone() });
        is_a_kind = word.ends_with(KIND_OPTION);
    }
    (place.table, words.join(" "))
}

fn common(word: &str) -> String {
    let address = word.split('/').next().unwrap_or_default();
    if address.parse::<IpAddr>().is_ok() {
        return "ADDRESS".to_owned();
    }
    // IPv6's protocol has three names, and its options and kinds of rejecting are called by them.
    let word = word.replace("ipv6-", "").replace("pv6", "p").replace("p6", "p");
    match word.strip_prefix("icmp-") {
        Some(_) => KIND.to_owned(),
        None => word,
    }
}

/// In the place of each kind of message.
const KIND: &str = "KIND";
/// How the option ends that says one.
const KIND_OPTION: &str = "icmp-type";

#[cfg(test)]
mod tests {
    use super::*;

    fn place(family: Family, line: u32, rule: &str) -> RulePlace {
        RulePlace {
            file: "rules".to_owned(),
            line,
            family,
            table: Table::Filter,
            chain: "INPUT".to_owned(),
            number: line,
            rule: rule.to_owned(),
        }
    }

    #[test]
    fn what_guards_one_family_is_found() {
        let four = |line, rule| place(Family::V4, line, rule);
        let six = |line, rule| place(Family::V6, line, rule);
        let alike = [
            four(1, "-A INPUT -s 10.0.0.0/8 -i lan -j ACCEPT"),
            four(2, "-A INPUT -p icmp -j ACCEPT"),
            four(3, "-A INPUT -j X --reject-with icmp-port-unreachable"),
            four(4, "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT"),
            six(1, "-A INPUT -s 2001:db8::/32 -i lan -j ACCEPT"),
            six(2, "-A INPUT -p ipv6-icmp -j ACCEPT"),
            six(3, "-A INPUT -j X --reject-with icmp6-port-unreachable"),
            six(4, "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT"),
        ];
        let lines = |rules: &[RulePlace]| -> Vec<(Family, u32)> {
            missing(rules, |rule| rule)
                .iter()
                .map(|it| (it.family, it.line))
                .collect()
        };
        assert_eq!(lines(&alike), []);
        for (more, alone) in [
            (four(5, "-A INPUT -i wan -j ACCEPT"), (Family::V4, 5)),
            (six(5, "-A INPUT -i wan -j ACCEPT"), (Family::V6, 5)),
            // One more of what there is.
            (four(5, "-A INPUT -s 10.9.0.0/16 -i lan -j ACCEPT"), (Family::V4, 5)),
        ] {
            assert_eq!(lines(&[&alike[..], &[more]].concat()), [alone]);
        }
        // Where a family has none at all, nobody meant to write it.
        assert_eq!(lines(&alike[..4]), []);
    }
}
