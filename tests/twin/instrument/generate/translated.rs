//! Rules in the other family: what rulesets and extensions say of hosts and networks of IPv4, said of the same hosts in IPv6.

use std::net::{Ipv4Addr, Ipv6Addr};

use nflab::base::Family;

/// Rules as they are said in this family.
pub(crate) fn said_in(family: Family, rules: &str) -> String {
    if family == Family::V4 {
        return rules.to_owned();
    }
    let mut text = String::with_capacity(rules.len() * 2);
    for line in rules.split_inclusive('\n') {
        let mut line = in_ipv6(line);
        for (said, instead) in WORDS {
            line = line.replace(said, instead);
        }
        text += &line;
    }
    text
}

/// What has another name. The longer one of two that begin alike comes first.
const WORDS: &[(&str, &str)] = &[
    ("-p icmp ", "-p ipv6-icmp "),
    ("-m icmp ", "-m icmp6 "),
    ("--icmp-type 8 ", "--icmpv6-type 128 "),
    ("--icmp-type 3 ", "--icmpv6-type 1 "),
    ("--icmp-type ", "--icmpv6-type "),
    ("BROADCAST,MULTICAST", "MULTICAST"),
    ("icmp-net-unreachable", "icmp6-no-route"),
    ("icmp-host-unreachable", "icmp6-addr-unreachable"),
    ("icmp-port-unreachable", "icmp6-port-unreachable"),
    ("icmp-proto-unreachable", "icmp6-policy-fail"),
    ("icmp-net-prohibited", "icmp6-adm-prohibited"),
    ("icmp-host-prohibited", "icmp6-reject-route"),
    ("icmp-admin-prohibited", "icmp6-adm-prohibited"),
    // No name: nobody is to be asked for it.
    ("300.1.1.1", "2001:db8:::1"),
    ("FORWARD -f -j", "FORWARD -p udp -m length --length 1400: -j"),
];

/// Each address with what follows it.
fn in_ipv6(line: &str) -> String {
    let mut text = String::with_capacity(line.len() * 2);
    let mut rest = line;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
        text += &rest[..at];
        rest = &rest[at..];
        let is_end = |letter: char| !letter.is_ascii_digit() && letter != '.';
        let (word, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
        // The end of an address of IPv6 may be written so, too.
        let is_part = text.ends_with(|letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':'));
        match word.parse::<Ipv4Addr>() {
            Ok(address) if !is_part => {
                let (said, after) = with_what_follows(address, after);
                text += &said;
                rest = after;
            }
            _ => {
                text += word;
                rest = after;
            }
        }
    }
    text + rest
}

/// A mask, a range's end, a port.
fn with_what_follows(address: Ipv4Addr, after: &str) -> (String, &str) {
    let fellow = fellow(address);
    if let Some(mask) = after.strip_prefix('/') {
        let is_end = |letter: char| !letter.is_ascii_digit() && letter != '.';
        let (mask, after) = mask.split_at(mask.find(is_end).unwrap_or(mask.len()));
        let said = match (mask.parse::<u8>(), mask.parse::<Ipv4Addr>()) {
            (Ok(length), _) => format!("{fellow}/{}", length_of(address, length)),
            (_, Ok(mask)) => format!("{fellow}/{}", mask_of(mask)),
            _ => format!("{fellow}/{mask}"),
        };
        return (said, after);
    }
    let (end, rest) = match after.strip_prefix('-') {
        Some(rest) => {
            let is_end = |letter: char| !letter.is_ascii_digit() && letter != '.';
            let (end, rest) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
            (end.parse::<Ipv4Addr>().ok(), rest)
        }
        None => (None, after),
    };
    let (said, after) = match end {
        Some(end) => (format!("{fellow}-{}", self::fellow(end)), rest),
        None => (fellow.to_string(), after),
    };
    match after.starts_with(':') {
        true => (format!("[{said}]"), after),
        false => (said, after),
    }
}

/// The same host: the digits of its last number are the last ones of its address in IPv6, too.
pub(super) fn fellow(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets();
    let digits = |number: u8| u16::from_str_radix(&number.to_string(), 16).unwrap_or_default();
    let last = digits(d);
    match (a, b, c) {
        (10, 0, 0) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last),
        (192, 0, 2) => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, last),
        (172, 16, 0) => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, last),
        (198, 51, 100) => Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, last),
        (203, 0, 113) => Ipv6Addr::new(0x3fff, 0x113, 0, 0, 0, 0, 0, last),
        (127, ..) => Ipv6Addr::LOCALHOST,
        (224..240, ..) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last),
        (255, ..) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        _ => Ipv6Addr::new(u16::from(a) << 8 | u16::from(b), 0, 0, 0, 0, 0, 0, last),
    }
}

fn length_of(address: Ipv4Addr, length: u8) -> u8 {
    match length {
        0 => 0,
        24 => 64,
        25..=32 => 96 + length,
        // Groups are further on, and the host itself is one.
        _ if address.is_multicast() => 8,
        _ if address.is_loopback() => 128,
        // In IPv4 these hold all of a side.
        _ => 48,
    }
}

/// Ones in the network, if there are any, and the last bits as they are.
fn mask_of(mask: Ipv4Addr) -> Ipv6Addr {
    let [a, _, c, d] = mask.octets();
    let network = if a == 0 { 0 } else { 0xffff };
    let [high, low] = [if c == 0xff && d != 0xff { 0xff00 } else { 0 }, u16::from(d)];
    Ipv6Addr::new(network, network, network, network, 0, 0, 0, high | low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_fellows() {
        for (said, expected) in [
            (
                "-A FORWARD -s 10.0.0.2 -j ACCEPT\n",
                "-A FORWARD -s 2001:db8::2 -j ACCEPT\n",
            ),
            (
                " -s 10.0.0.0/24 -d 192.0.2.9/32",
                " -s 2001:db8::/64 -d 2001:db8:1::9/128",
            ),
            (" -d 10.0.0.1/255.0.0.3", " -d 2001:db8::1/ffff:ffff:ffff:ffff::3"),
            (" -s 0.0.0.2/0.0.0.255", " -s ::2/::ff"),
            (" -s ::1.2.3.4 -d ::ffff:10.0.0.2", " -s ::1.2.3.4 -d ::ffff:10.0.0.2"),
            (
                " -j SNAT --to-source 192.0.2.100-192.0.2.103",
                " -j SNAT --to-source 2001:db8:1::100-2001:db8:1::103",
            ),
            (
                " -j DNAT --to-destination 10.0.0.2:8000-8010",
                " -j DNAT --to-destination [2001:db8::2]:8000-8010",
            ),
            (
                " --to-source 192.0.2.100-192.0.2.103:2000",
                " --to-source [2001:db8:1::100-2001:db8:1::103]:2000",
            ),
            (
                " -p tcp --dport 1024:2000 -m mark --mark 0x4/0x4",
                " -p tcp --dport 1024:2000 -m mark --mark 0x4/0x4",
            ),
            (
                " -j REJECT --reject-with icmp-port-unreachable",
                " -j REJECT --reject-with icmp6-port-unreachable",
            ),
        ] {
            assert_eq!(said_in(Family::V6, said), expected);
            assert_eq!(said_in(Family::V4, said), said);
        }
    }
}
