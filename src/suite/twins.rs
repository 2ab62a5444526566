//! Where the families part: rules of one whose like the other has not, and what as a whole guards IPv4 and leaves IPv6 open, or the other way round.
//!
//! Two rules are alike where they differ in addresses only, and in what each family calls its own (its ICMP, its hops, how it rejects), as the specs of
//! extensions say it (`ext::like`). What the other family has nothing of (neighbour discovery, extension headers) is no rule that could have a like.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use super::rules::RulePlace;
use crate::base::Family;
use crate::ext::option::{OptionSpec, OwnWords, WordPair};
use crate::ext::{self, like, names};
use crate::lab::memory::Lab;
use crate::rule::{ChainKind, Policy, Table};

/// Those without a like one; none where one of the families has no rule at all, which [`Parted`] tells.
pub(super) fn missing<T>(rules: &[T], place: impl Fn(&T) -> &RulePlace) -> Vec<&T> {
    let is_there = |family| rules.iter().any(|rule| place(rule).family == family);
    if !Family::ALL.into_iter().all(is_there) {
        return Vec::new();
    }
    let mut balance: HashMap<Likeness, i64> = HashMap::new();
    for rule in rules {
        if let Some(likeness) = likeness(place(rule)) {
            *balance.entry(likeness).or_default() += sign(place(rule).family);
        }
    }
    // Of several that are alike the last ones have none.
    let mut alone: Vec<&T> = rules
        .iter()
        .rev()
        .filter(|rule| {
            let place = place(rule);
            let Some(left) = likeness(place).and_then(|likeness| balance.get_mut(&likeness)) else {
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

/// How the families part where rules are in force, as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parted {
    /// This family has no rule, and ACCEPT for each policy, though interfaces have addresses of it; the other one has more.
    Open(Family),
    /// Of a built-in chain the policy is ACCEPT in this family, and in the other it is not.
    Accepts {
        /// Whose packets are let through at its end.
        family: Family,
        /// The table.
        table: Table,
        /// The built-in chain.
        chain: String,
    },
}

impl Parted {
    /// What is in force in a lab.
    pub(super) fn of(lab: &Lab) -> Vec<Self> {
        let [four, six] = Family::ALL.map(|family| Guard::of(lab, family));
        if !(four.has_addresses && six.has_addresses) {
            return Vec::new();
        }
        let mut parted = Vec::new();
        for (family, own, other) in [(Family::V4, &four, &six), (Family::V6, &six, &four)] {
            match (own.is_open(), other.is_open()) {
                (true, false) => parted.push(Self::Open(family)),
                (false, false) => {
                    let only = other.policies.difference(&own.policies);
                    parted.extend(only.map(|(table, chain)| Self::Accepts {
                        family,
                        table: *table,
                        chain: chain.clone(),
                    }));
                }
                (_, true) => {}
            }
        }
        parted
    }
}

impl fmt::Display for Parted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(family) => write!(
                f,
                "{family} is open, and {} is not: it has no rule and no policy but ACCEPT, though interfaces have addresses of it",
                family.other()
            ),
            Self::Accepts { family, table, chain } => write!(
                f,
                "the policy of {} {chain} is ACCEPT in {family}, and in {} it is not",
                table.name(),
                family.other()
            ),
        }
    }
}

/// What stands between a family's packets and where they want to go.
struct Guard {
    /// Of interfaces, and known beyond their link: packets of it are routed.
    has_addresses: bool,
    has_rules: bool,
    /// Built-in chains with another policy than ACCEPT.
    policies: BTreeSet<(Table, String)>,
}

impl Guard {
    fn of(lab: &Lab, family: Family) -> Self {
        let router = lab.machine.router();
        let config = router.config();
        let mut guard = Self {
            has_addresses: config
                .net
                .interfaces()
                .iter()
                .flat_map(|it| it.addresses_of(family))
                .any(|it| is_known_beyond_the_link(it.address)),
            has_rules: false,
            policies: BTreeSet::new(),
        };
        let tables = router.tables(family).into_iter();
        for live in tables.filter_map(|table| router.live_table(family, table)) {
            let rules = live.rules();
            for chain in &rules.chains {
                guard.has_rules |= !chain.rules.is_empty();
                if let ChainKind::BuiltIn { policy, .. } = &chain.kind
                    && *policy != Policy::Accept
                {
                    guard.policies.insert((rules.table, chain.name.clone()));
                }
            }
        }
        guard
    }

    fn is_open(&self) -> bool {
        !self.has_rules && self.policies.is_empty()
    }
}

fn is_known_beyond_the_link(address: IpAddr) -> bool {
    !address.is_loopback()
        && match address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        }
}

fn sign(family: Family) -> i64 {
    match family {
        Family::V4 => 1,
        Family::V6 => -1,
    }
}

type Likeness = (Table, String);

/// What a rule and its like have in common: all but addresses, and what each family has words of its own for. `None` where its family alone can have such a
/// rule.
fn likeness(place: &RulePlace) -> Option<Likeness> {
    let (own, other) = (place.family, place.family.other());
    let mut words = Vec::new();
    // The options of its extensions so far, with those of their likes.
    let mut options: Vec<(&'static [OptionSpec], &'static [OptionSpec])> = Vec::new();
    let mut asked = None;
    let mut before = "";
    let mut is_quoted = false;
    for word in place.rule.split(' ') {
        let is_text = is_quoted;
        is_quoted ^= word.replace("\\\"", "").matches('"').count() % 2 == 1;
        if is_text {
            words.push(word.to_owned());
            continue;
        }
        let value = asked.take();
        words.push(match before {
            "-m" => {
                let spec = ext::find_match(word, own)?;
                let like = spec.in_family(other)?;
                options.push((spec.options, like.options));
                common_name(own, spec.name, like.name).to_owned()
            }
            "-j" => match ext::find_target(word, own) {
                Some(spec) => {
                    let like = spec.in_family(other)?;
                    options.push((spec.options, like.options));
                    common_name(own, spec.name, like.name).to_owned()
                }
                // A chain, or what becomes of the packet.
                None => word.to_owned(),
            },
            "-p" => protocol(own, word),
            _ => match value {
                Some(option) => common_value(own, option, word)?,
                None => without_addresses(word).unwrap_or_else(|| word.to_owned()),
            },
        });
        if let Some(name) = word.strip_prefix("--") {
            let known = options.iter().rev();
            let mut found = known.filter_map(|(options, likes)| {
                let option = options.iter().find(|option| option.name == name)?;
                Some((option, like::option_of(options, likes, name)?))
            });
            if let Some((option, like)) = found.next() {
                words.pop();
                words.push(format!("--{}", common_name(own, option.name, like.name)));
                asked = Some(option);
            }
        }
        before = word;
    }
    Some((place.table, words.join(" ")))
}

/// One of two names for the same, whichever family's rule has it.
fn common_name<'a>(family: Family, own: &'a str, others: &'a str) -> &'a str {
    match family {
        Family::V4 => own,
        Family::V6 => others,
    }
}

/// What is behind an option; `None` where the other family has nothing like it.
fn common_value(family: Family, option: &OptionSpec, word: &str) -> Option<String> {
    let is_of_both = |pairs: &[WordPair]| pairs.iter().any(|pair| pair.as_seen_by(family) == [Some(word); 2]);
    match option.own_words {
        Some(OwnWords::Kinds { has_no_like }) => (!has_no_like(word)).then(|| KIND.to_owned()),
        Some(OwnWords::Pairs(pairs)) if !is_of_both(pairs) => Some(KIND.to_owned()),
        _ => Some(without_addresses(word).unwrap_or_else(|| word.to_owned())),
    }
}

/// A protocol that each family has its own of is called by what brings it in; the other family's asks for packets that do not come.
fn protocol(family: Family, word: &str) -> String {
    let Some(number) = names::protocol_number(word) else {
        return word.to_owned();
    };
    let of = |family| ext::implicit_match(number, family);
    match (of(family), of(family.other())) {
        (Some(spec), None) => match spec.in_family(family.other()) {
            Some(like) => common_name(family, spec.name, like.name).to_owned(),
            None => word.to_owned(),
        },
        (None, Some(others)) if others.in_family(family).is_some() => format!("{word} of {}", family.other()),
        _ => word.to_owned(),
    }
}

/// `10.0.0.1/8`, `192.0.2.1:80`, `[2001:db8::1-2001:db8::9]:80-90`: what is left of such a word.
fn without_addresses(word: &str) -> Option<String> {
    let bracketed = word.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (addresses, ports) = bracketed.unwrap_or_else(|| match word.split_once(':') {
        Some((before, _)) if before.contains('.') => word.split_at(before.len()),
        _ => (word, ""),
    });
    let is_address = |text: &str| text.split('/').next().unwrap_or_default().parse::<IpAddr>().is_ok();
    let ends: Vec<&str> = addresses.split('-').collect();
    let all = ends.iter().all(|end| is_address(end));
    all.then(|| format!("{}{ports}", vec!["ADDRESS"; ends.len()].join("-")))
}

/// In the place of what each family has its own kinds of.
const KIND: &str = "KIND";

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
            four(3, "-A INPUT -j REJECT --reject-with icmp-port-unreachable"),
            four(4, "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT"),
            six(1, "-A INPUT -s 2001:db8::/32 -i lan -j ACCEPT"),
            six(2, "-A INPUT -p ipv6-icmp -j ACCEPT"),
            six(3, "-A INPUT -j REJECT --reject-with icmp6-port-unreachable"),
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
        // Where a family has none at all, that is one thing to say and not many.
        assert_eq!(lines(&alike[..4]), []);
    }

    #[test]
    fn what_each_family_calls_its_own_has_its_like() {
        for (four, six) in [
            (
                "-A FORWARD -m ttl --ttl-lt 5 -j DROP",
                "-A FORWARD -m hl --hl-lt 5 -j DROP",
            ),
            ("-A FORWARD -j TTL --ttl-set 64", "-A FORWARD -j HL --hl-set 64"),
            (
                "-A FORWARD -p tcp -j DNAT --to-destination 192.0.2.9:80",
                "-A FORWARD -p tcp -j DNAT --to-destination [2001:db8::9]:80",
            ),
            (
                "-A FORWARD -j SNAT --to-source 192.0.2.1-192.0.2.9:1000-2000",
                "-A FORWARD -j SNAT --to-source [2001:db8::1-2001:db8::9]:1000-2000",
            ),
            (
                "-A FORWARD -j SNAT --to-source 192.0.2.1",
                "-A FORWARD -j SNAT --to-source 2001:db8::1",
            ),
            (
                "-A FORWARD -p icmp -m icmp --icmp-type 3/4 -j ACCEPT",
                "-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 2/0 -j ACCEPT",
            ),
            // Of some kinds each family has its own word.
            (
                "-A FORWARD -j REJECT --reject-with icmp-admin-prohibited",
                "-A FORWARD -j REJECT --reject-with icmp6-adm-prohibited",
            ),
            ("-A FORWARD -d 224.0.0.0/4 -j X", "-A FORWARD -d ff00::/8 -j X"),
        ] {
            let [four, six] =
                [(Family::V4, four), (Family::V6, six)].map(|(family, rule)| likeness(&place(family, 1, rule)));
            assert!(four.is_some() && four == six, "{four:?} {six:?}");
        }
        for (family, rule) in [
            (
                Family::V6,
                "-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
            ),
            (Family::V6, "-A FORWARD -m hbh --hbh-opts 5 -j DROP"),
            (Family::V6, "-A FORWARD -p tcp -m rt --rt-type 0 -j DROP"),
            (Family::V6, "-A FORWARD -m eui64 -j ACCEPT"),
            (
                Family::V6,
                "-A FORWARD -p ipv6-icmp -m icmp6 ! --icmpv6-type 143 -j ACCEPT",
            ),
        ] {
            assert_eq!(likeness(&place(family, 1, rule)), None, "{rule}");
        }
        // Neither family's packets are of the other's ICMP: such a rule guards nothing.
        for (family, rule, other) in [
            (Family::V6, "-A INPUT -p icmp -j DROP", "-A INPUT -p icmp -j DROP"),
            (
                Family::V4,
                "-A INPUT -p ipv6-icmp -j DROP",
                "-A INPUT -p ipv6-icmp -j DROP",
            ),
        ] {
            let [found, others] =
                [(family, rule), (family.other(), other)].map(|(family, rule)| likeness(&place(family, 1, rule)));
            assert_ne!(found, others, "{rule}");
        }
        // Words of a comment are none of the rule.
        let said = "-A INPUT -m comment --comment \"not -m eui64\" -j ACCEPT";
        assert_eq!(likeness(&place(Family::V6, 1, said)).unwrap().1, said);
        // One that is answered by a reset does another thing.
        let [resets, rejects] = ["tcp-reset", "icmp6-adm-prohibited"].map(|kind| {
            likeness(&place(
                Family::V6,
                1,
                &format!("-A INPUT -p tcp -j REJECT --reject-with {kind}"),
            ))
        });
        assert_ne!(resets, rejects);
        // A chain is no extension, and ports are no address.
        for rule in ["-A FORWARD -j hbh", "-A FORWARD -p tcp -m tcp --dport 80:90 -j ACCEPT"] {
            let found = likeness(&place(Family::V6, 1, rule));
            assert_eq!(found.unwrap().1, rule);
        }
    }

    #[test]
    fn what_is_open_as_a_whole_is_found() {
        use crate::lab::file::LabFile;
        let of_both = "[interface.lan]\naddress = [\"10.0.0.1/24\", \"2001:db8::1/64\"]\n";
        let of_one = "[interface.lan]\naddress = \"10.0.0.1/24\"\n";
        let (drops4, drops6) = ("iptables -P FORWARD DROP", "ip6tables -P FORWARD DROP");
        let open = |family| format!("{family} is open, and ");
        for (lab, commands, expected) in [
            (of_both, &[][..], vec![]),
            (of_both, &[drops4], vec![open(Family::V6)]),
            (of_both, &[drops6], vec![open(Family::V4)]),
            (of_both, &["iptables -A INPUT -j LOG"], vec![open(Family::V6)]),
            // A table that is there and says nothing.
            (
                of_both,
                &["iptables -A INPUT -j LOG", "ip6tables -L"],
                vec![open(Family::V6)],
            ),
            (of_both, &[drops4, drops6], vec![]),
            (
                of_both,
                &[drops4, "ip6tables -A FORWARD -i lan -j DROP"],
                vec!["the policy of filter FORWARD is ACCEPT in IPv6, and in IPv4 it is not".to_owned()],
            ),
            // Nothing of it is routed.
            (of_one, &[drops4], vec![]),
        ] {
            let file = LabFile::parse("lab.toml", lab).unwrap();
            let mut lab = Lab::new(&file, 1, crate::cli::TOOLBOX).unwrap();
            for command in commands {
                let mut words = command.split(' ').map(str::to_owned);
                let tool = words.next().unwrap();
                let ran = lab.tool(&tool, &words.collect::<Vec<_>>(), "", ".".as_ref());
                assert_eq!(ran.code, 0, "{}", ran.stderr);
            }
            let found: Vec<String> = Parted::of(&lab).iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            let begins = found
                .iter()
                .zip(&expected)
                .all(|(found, expected)| found.starts_with(expected));
            assert!(begins, "{found:?}");
        }
    }
}
