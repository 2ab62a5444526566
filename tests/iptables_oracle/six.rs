//! What is typed to iptables, as one types it to ip6tables: the same commands, with addresses of IPv6 for those of IPv4.
//!
//! Where a rule is looked for, nothing is compared: see the deliberate difference of `-C` and `-D`.

use nflab::base::Family;

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
        let length = from.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let (number, after) = from.split_at(length.unwrap_or(from.len()));
        out.push_str(&of_number(number));
        rest = after;
    }
    out.push_str(rest);
    let words = [
        ("icmp-", "icmp6-"),
        (" icmp", " ipv6-icmp"),
        ("--icmp-type", "--icmpv6-type"),
    ];
    if text == "icmp" {
        return "ipv6-icmp".to_owned();
    }
    words.iter().fold(out, |out, (four, six)| out.replace(four, six))
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
    ] {
        assert_eq!(text(four), six);
    }
}
