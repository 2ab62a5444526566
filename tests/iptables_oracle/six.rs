//! What is typed to iptables, as one types it to ip6tables: the same commands, with addresses of IPv6 for those of IPv4.
//!
//! Where a rule is looked for, nothing is compared: see the deliberate difference of `-C` and `-D`.

use std::sync::LazyLock;

use nflab::base::Family;
use nflab::ext::option::OwnWords;
use nflab::ext::{MATCHES, TARGETS};

use super::values::of_family;
use super::{Step, Tool};

/// The scenarios that have to do with rules, for the other family.
pub(crate) fn scenarios(scenarios: &[Vec<Step>]) -> Vec<Vec<Step>> {
    let of_rules = |scenario: &&Vec<Step>| scenario.iter().all(|step| step.tool.family() == Some(Family::V4));
    scenarios.iter().filter(of_rules).map(|it| scenario(it)).collect()
}

/// A rule that is named by its number nobody has to look for.
fn looks_for_a_rule<'a>(words: impl IntoIterator<Item = &'a str>) -> bool {
    let mut words = words.into_iter();
    match words.find(|word| matches!(*word, "-C" | "-D" | "--check" | "--delete")) {
        Some("-C" | "--check") => true,
        Some(_) => words.nth(1).is_none_or(|word| word.parse::<u32>().is_err()),
        None => false,
    }
}

fn scenario(steps: &[Step]) -> Vec<Step> {
    let of_six = |step: &Step| Step {
        tool: step.tool.of(Family::V6),
        arguments: step.arguments.iter().map(|word| text(word)).collect(),
        input: match step.tool {
            Tool::Restore(_) => {
                let lines = step.input.split_inclusive('\n');
                let kept = lines.filter(|line| !looks_for_a_rule(line.split_whitespace()));
                text(&kept.collect::<String>())
            }
            _ => step.input.clone(),
        },
    };
    let kept = steps.iter();
    kept.filter(|step| !looks_for_a_rule(step.arguments.iter().map(String::as_str)))
        .map(of_six)
        .collect()
}

/// Words drawn for a family, with the extensions and the addresses that it has.
pub(crate) fn drawn(family: Family, draw: impl FnOnce() -> Vec<String>) -> Vec<String> {
    match family {
        Family::V4 => draw(),
        Family::V6 => of_family(family, draw).iter().map(|word| text(word)).collect(),
    }
}

/// Addresses and masks of four numbers become such of IPv6, and words of IPv4 their fellows. What is odd stays so.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (said, after) = with_port(from).unwrap_or_else(|| {
            let (number, after) = number(from);
            (of_number(number), after)
        });
        out.push_str(&said);
        rest = after;
    }
    out.push_str(rest);
    in_own_words(&out)
}

fn number(text: &str) -> (&str, &str) {
    let length = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    text.split_at(length.unwrap_or(text.len()))
}

/// What NAT writes, an address or a range of them with a port: in brackets before the port.
fn with_port(text: &str) -> Option<(String, &str)> {
    let (first, after) = number(text);
    let range = after.strip_prefix('-').map(number).filter(|(last, _)| is_address(last));
    let (said, after) = match range {
        Some((last, after)) => (format!("{}-{}", of_number(first), of_number(last)), after),
        None => (of_number(first), after),
    };
    (is_address(first) && after.starts_with(':')).then(|| (format!("[{said}]"), after))
}

fn is_address(number: &str) -> bool {
    number.parse::<std::net::Ipv4Addr>().is_ok()
}

/// What the tools call otherwise, and words that the specs say each family has for itself; what is none, but looks like one, goes on looking so.
fn in_own_words(text: &str) -> String {
    static PAIRS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
        let of_matches = MATCHES.iter().flat_map(|spec| spec.options);
        let options = of_matches.chain(TARGETS.iter().flat_map(|spec| spec.options));
        let pairs = options.filter_map(|option| match option.own_words? {
            OwnWords::Pairs(pairs) => Some(pairs),
            OwnWords::Kinds { .. } => None,
        });
        let of_specs = pairs.flatten().filter_map(|pair| Some((pair.0?, pair.1?)));
        let of_tools = [("icmp", "ipv6-icmp"), ("--icmp-type", "--icmpv6-type")];
        of_tools.into_iter().chain(of_specs).collect()
    });
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let words = text.split_inclusive(|letter: char| !is_of_word(letter));
    let in_six = words.map(|word| {
        let bare = word.trim_end_matches(|letter: char| !is_of_word(letter));
        match PAIRS.iter().find(|(four, _)| *four == bare) {
            Some((_, six)) => word.replacen(bare, six, 1),
            None if word.starts_with("icmp-") => word.replacen("icmp-", "icmp6-", 1),
            None => word.to_owned(),
        }
    });
    in_six.collect()
}

fn of_number(number: &str) -> String {
    let octets: Vec<u8> = number.split('.').filter_map(|part| part.parse().ok()).collect();
    let [a, b, c, d] = octets[..] else {
        return number.to_owned();
    };
    if number.split('.').count() != 4 {
        return number.to_owned();
    }
    match (a, b) {
        (10, 0) => format!("2001:db8:{c:x}::{d:x}"),
        (0, _) if d != 0 => format!("::{d:x}"),
        (0, _) => "::".to_owned(),
        (127, _) => "::1".to_owned(),
        (224.., _) if a < 240 => format!("ff02::{d:x}"),
        // A mask, or part of one.
        (255 | 254 | 128, _) => {
            let group = |octet: u8| u16::from(octet) * 0x101;
            let (a, b, c, d) = (group(a), group(b), group(c), group(d));
            format!("{a:x}:{b:x}:{c:x}::{d:x}")
        }
        _ => format!("2001:db8:{a:x}:{b:x}::{c:x}:{d:x}"),
    }
}

#[test]
fn rules_are_deleted_by_their_number() {
    for (text, looks) in [
        ("-D INPUT 1", false),
        ("-t nat --delete OUTPUT 2", false),
        ("-A INPUT -j DROP", false),
        ("-D INPUT -j DROP", true),
        ("-D INPUT", true),
        ("-C INPUT 1", true),
    ] {
        assert_eq!(looks_for_a_rule(text.split(' ')), looks, "{text}");
    }
}

#[test]
fn addresses_change_their_family() {
    for (four, six) in [
        ("10.0.0.2", "2001:db8:0::2"),
        ("10.0.0.0/24,192.0.2.9", "2001:db8:0::0/24,2001:db8:c0:0::2:9"),
        ("255.255.255.0", "ffff:ffff:ffff::0"),
        ("1.2.3", "1.2.3"),
        ("80:90", "80:90"),
        (
            "*filter\n-A INPUT -p icmp -s 0.0.0.0/0\n",
            "*filter\n-A INPUT -p ipv6-icmp -s ::/0\n",
        ),
        ("10.0.0.2:80-90/85", "[2001:db8:0::2]:80-90/85"),
        ("10.0.0.2-10.0.0.9:http", "[2001:db8:0::2-2001:db8:0::9]:http"),
        ("10.0.0.2-10.0.0.9", "2001:db8:0::2-2001:db8:0::9"),
        ("10.0.0.2-5:80", "2001:db8:0::2-5:80"),
        ("1.2.3.4:", "[2001:db8:1:2::3:4]:"),
        (
            "-j REJECT --reject-with icmp-net-prohibited\n",
            "-j REJECT --reject-with icmp6-adm-prohibited\n",
        ),
        ("icmp-net-unreach", "icmp6-net-unreach"),
        ("icmp", "ipv6-icmp"),
        ("-p icmp --icmp-type 8\n", "-p ipv6-icmp --icmpv6-type 8\n"),
        ("--icmp-type=8", "--icmpv6-type=8"),
    ] {
        assert_eq!(text(four), six);
    }
}
