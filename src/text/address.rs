//! What `-s` and `-d` take: comma-separated addresses, networks and names, each with an optional mask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::{SmallVec, smallvec};

use super::Failure;
use super::hosts::Hosts;
use super::number;
use crate::base::absent::NO_IPV6_RULES;
use crate::base::bytes::exceeds;
use crate::base::{AddressMask, Family};
use crate::ext::number::inet_aton;

/// What the tool has room for, of one host with its mask, in bytes.
const LONGEST: usize = 255;

/// And of the numbers of one address.
const LONGEST_DOTTED: usize = 19;

/// Those that one `-s` or `-d` names, which mostly is one.
pub(super) type Addresses = SmallVec<[AddressMask; 1]>;

/// Every address that the text names, in order. A name may have several.
pub(super) fn parse(text: &str, hosts: &dyn Hosts) -> Result<Addresses, Failure> {
    let mut all = Addresses::new();
    for part in text.split(',') {
        let part = part.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        if exceeds(part, LONGEST) {
            return Err(Failure::parameter("Hostname too long")
                .remedy(format!("a host with its mask has at most {LONGEST} letters")));
        }
        one(part, hosts, &mut all)?;
    }
    Ok(all)
}

fn one(text: &str, hosts: &dyn Hosts, all: &mut Addresses) -> Result<(), Failure> {
    let (host, mask) = match text.bytes().rposition(|byte| byte == b'/') {
        Some(at) => {
            let host = &text[..at];
            (
                host,
                parse_mask(&text[at + 1..]).map_err(|failure| of_ipv6(host, failure))?,
            )
        }
        None => (text, Ipv4Addr::BROADCAST),
    };
    // A mask of nothing is any address, and the name is not even looked up.
    let host = if mask.is_unspecified() { "0.0.0.0" } else { host };
    // What is no short form may be the C library's: `1000` is 0.0.3.232 and `10.1.300` is 10.1.1.44.
    let addresses: SmallVec<[IpAddr; 1]> = match short_dotted(host).or_else(|| inet_aton(host)) {
        Some(address) => smallvec![IpAddr::V4(address)],
        None => SmallVec::from_vec(hosts.addresses(host)),
    };
    let before = all.len();
    for address in addresses.iter().filter(|it| it.is_ipv4()) {
        if let Some(made) = AddressMask::new(*address, IpAddr::V4(mask)) {
            // Several addresses of one name may be one under the mask.
            if !all[before..].contains(&made) {
                all.push(made);
            }
        }
    }
    if all.len() == before {
        return Err(Failure::parameter(format!("host/network `{host}' not found")).remedy(remedy(host)));
    }
    Ok(())
}

fn remedy(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("type an address of IPv4: {NO_IPV6_RULES}"),
        Err(_) => {
            "type an address: the names that rules know are `localhost` and the hosts of the lab file, [host.NAME]; \
             those of the word `host` are for packets and conversations"
                .to_owned()
        }
    }
}

/// A mask of IPv6 stands behind an address of it.
fn of_ipv6(host: &str, failure: Failure) -> Failure {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => failure.remedy(remedy(host)),
        Err(_) => failure,
    }
}

/// A prefix length in any base, or four numbers with dots.
fn parse_mask(text: &str) -> Result<Ipv4Addr, Failure> {
    if let Some(mask) = whole_dotted(text) {
        return Ok(mask);
    }
    number::whole(text, 0, 32)
        .and_then(|length| Family::V4.prefix_mask(length as u8))
        .and_then(|mask| match mask {
            IpAddr::V4(mask) => Some(mask),
            IpAddr::V6(_) => None,
        })
        .ok_or_else(|| {
            Failure::parameter(format!("invalid mask `{text}' specified"))
                .remedy("a mask is a length from 0 to 32, or four numbers with dots")
        })
}

fn whole_dotted(text: &str) -> Option<Ipv4Addr> {
    if !text.bytes().any(|byte| byte == b'.') {
        return None;
    }
    let (octets, count) = dotted(text)?;
    (count == 4).then(|| Ipv4Addr::from(octets))
}

/// One to four numbers with dots, each a byte; the missing ones are zero: `10.1` is the network 10.1.0.0.
fn short_dotted(text: &str) -> Option<Ipv4Addr> {
    // Most are written as they are printed.
    let whole = text.parse().ok();
    whole.or_else(|| dotted(text).map(|(octets, _)| Ipv4Addr::from(octets)))
}

/// The bytes, and how many there were. Seen: the tool looks at so many letters as it has room for, and leaves out what follows.
fn dotted(text: &str) -> Option<([u8; 4], usize)> {
    let text = text.get(..text.len().min(LONGEST_DOTTED))?;
    let mut octets = [0; 4];
    let mut count = 0;
    for part in text.split('.') {
        *octets.get_mut(count)? = number::whole(part, 0, 255)? as u8;
        count += 1;
    }
    Some((octets, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::StaticHosts;

    /// Each was typed to the real tool after `-s`.
    #[test]
    fn forms_of_an_address() {
        let hosts = StaticHosts::localhost();
        for (text, expected) in [
            ("1.2.3.4", "1.2.3.4/255.255.255.255"),
            ("1.2.3", "1.2.3.0/255.255.255.255"),
            ("1.2/16", "1.2.0.0/255.255.0.0"),
            ("0", "0.0.0.0/255.255.255.255"),
            ("0/0", "0.0.0.0/0.0.0.0"),
            ("01.02.03.04", "1.2.3.4/255.255.255.255"),
            ("010.1.1.1", "8.1.1.1/255.255.255.255"),
            ("1000", "0.0.3.232/255.255.255.255"),
            ("16909060", "1.2.3.4/255.255.255.255"),
            ("1.2.3.4/0x8", "1.0.0.0/255.0.0.0"),
            ("1.2.3.4/+8", "1.0.0.0/255.0.0.0"),
            ("1.2.3.4/255.0.255.0", "1.0.3.0/255.0.255.0"),
            (" 1.2.3.4", "1.2.3.4/255.255.255.255"),
            ("LOCALHOST/8", "127.0.0.0/255.0.0.0"),
        ] {
            let made = parse(text, &hosts).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
            let texts: Vec<String> = made
                .iter()
                .map(|it| format!("{}/{}", it.address(), it.mask()))
                .collect();
            assert_eq!(texts, [expected], "{text:?}");
        }
        assert_eq!(parse("1.2.3.4,5.6.7.8", &hosts).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_address() {
        for (text, message) in [
            ("256.1.1.1", "host/network `256.1.1.1' not found"),
            ("1.2.3.4.5", "host/network `1.2.3.4.5' not found"),
            ("1.2.3.", "host/network `1.2.3.' not found"),
            ("1.2.3.4,", "host/network `' not found"),
            ("1.2.3.4/8/8", "host/network `1.2.3.4/8' not found"),
            ("::1", "host/network `::1' not found"),
            ("1.2.3.4/33", "invalid mask `33' specified"),
            ("1.2.3.4/255.0", "invalid mask `255.0' specified"),
            ("1.2.3.4/-1", "invalid mask `-1' specified"),
            ("1.2.3.4/", "invalid mask `' specified"),
        ] {
            let failure = parse(text, &StaticHosts::none()).unwrap_err();
            assert_eq!(
                failure
                    .text(crate::text::Program::Iptables, None)
                    .lines()
                    .next()
                    .unwrap(),
                format!("iptables v1.8.9 (legacy): {message}"),
                "{text:?}"
            );
        }
    }
}
