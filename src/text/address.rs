//! What `-s` and `-d` take: comma-separated addresses, networks and names, each with an optional mask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::hosts::Hosts;
use super::number;
use super::{Failure, Program};
use crate::base::bytes::exceeds;
use crate::base::{AddressMask, Family};
use crate::ext::number::inet_aton;

/// What the tool has room for, of one host with its mask, in bytes.
const LONGEST: usize = 255;

/// And of the numbers of one address.
const LONGEST_DOTTED: usize = 19;

/// Those that one `-s` or `-d` names, which mostly is one.
pub(super) type Addresses = SmallVec<[AddressMask; 1]>;

/// Every address of the family that the text names, in order. A name may have several.
pub(super) fn parse(text: &str, family: Family, hosts: &dyn Hosts) -> Result<Addresses, Failure> {
    let mut all = Addresses::new();
    for part in text.split(',') {
        let part = part.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        if exceeds(part, LONGEST) {
            return Err(Failure::parameter("Hostname too long")
                .remedy(format!("a host with its mask has at most {LONGEST} letters")));
        }
        one(part, family, hosts, &mut all)?;
    }
    Ok(all)
}

fn one(text: &str, family: Family, hosts: &dyn Hosts, all: &mut Addresses) -> Result<(), Failure> {
    let (host, mask) = match text.bytes().rposition(|byte| byte == b'/') {
        Some(at) => {
            let (host, mask) = (&text[..at], &text[at + 1..]);
            let mask = parse_mask(mask, family).ok_or_else(|| invalid_mask(host, mask, family))?;
            (host, mask)
        }
        None => (text, family.every_bit()),
    };
    let before = all.len();
    // A mask of nothing is any address, and the name is not even looked up.
    if mask.is_unspecified() {
        all.push(AddressMask::any(family));
        return Ok(());
    }
    match literal(host, family, hosts) {
        Some(address) => all.extend(AddressMask::new(address, mask)),
        // Seen: several addresses of one name make a rule each, also where they are one under the mask.
        None => {
            let named = hosts.addresses(host).into_iter();
            all.extend(named.filter_map(|address| AddressMask::new(address, mask)));
        }
    }
    if all.len() == before {
        return Err(Failure::parameter(format!("host/network `{host}' not found")).remedy(remedy(host, family)));
    }
    Ok(())
}

fn literal(host: &str, family: Family, hosts: &dyn Hosts) -> Option<IpAddr> {
    match family {
        // What is no short form may be the C library's: `1000` is 0.0.3.232 and `10.1.300` is 10.1.1.44.
        Family::V4 => short_dotted(host).or_else(|| inet_aton(host)).map(IpAddr::V4),
        Family::V6 => {
            let (address, scope) = match host.split_once('%') {
                Some((address, scope)) => (address, Some(scope)),
                None => (host, None),
            };
            let address: Ipv6Addr = address.parse().ok()?;
            let is_known = scope.is_none_or(|scope| has_scope(address, scope, hosts));
            is_known.then_some(IpAddr::V6(address))
        }
    }
}

/// Whether the C library takes it: the number of a link, which nobody has to have, or the name of one that is there, behind an address of the link. A rule
/// then asks of the address alone.
fn has_scope(address: Ipv6Addr, scope: &str, hosts: &dyn Hosts) -> bool {
    let is_number = scope.bytes().all(|byte| byte.is_ascii_digit()) && scope.parse::<u32>().is_ok();
    is_number || (is_of_link(address) && hosts.has_link(scope))
}

/// Groups of the link and of the interface are, too.
fn is_of_link(address: Ipv6Addr) -> bool {
    let [0xff, scope, ..] = address.octets() else {
        return address.is_unicast_link_local();
    };
    matches!(scope & 0xf, 1 | 2)
}

fn remedy(host: &str, family: Family) -> String {
    if let Some((address, scope)) = host.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
        && family == Family::V6
    {
        return format!(
            "behind `%` stands a link that the router has, and before it an address of the link (fe80::/10); a rule asks of the address alone, so leave \
             `%{scope}` out and say the link by -i or -o"
        );
    }
    match host.parse::<IpAddr>().ok().map(Family::of).filter(|it| *it != family) {
        Some(other) => {
            let tool = |family| Program::Iptables(family).name();
            format!(
                "this is an address of {other}, and {} has rules of {family}: give it to {}",
                tool(family),
                tool(other)
            )
        }
        None => {
            "type an address: the names that rules know are `localhost` and the hosts of the lab file, [host.NAME]; \
             those of the word `host` are for packets and conversations"
                .to_owned()
        }
    }
}

fn invalid_mask(host: &str, mask: &str, family: Family) -> Failure {
    let of_another = host.parse::<IpAddr>().is_ok_and(|it| Family::of(it) != family);
    Failure::parameter(format!("invalid mask `{mask}' specified")).remedy(match (of_another, family) {
        // A mask of the other family stands behind an address of it.
        (true, _) => remedy(host, family),
        (false, Family::V4) => "a mask is a length from 0 to 32, or four numbers with dots".to_owned(),
        (false, Family::V6) => {
            "a mask is a length from 0 to 128, or an address whose bits are those that count".to_owned()
        }
    })
}

/// A prefix length in any base, or a whole address.
fn parse_mask(text: &str, family: Family) -> Option<IpAddr> {
    let whole = match family {
        Family::V4 => whole_dotted(text).map(IpAddr::V4),
        Family::V6 => text.parse().ok().map(IpAddr::V6),
    };
    whole.or_else(|| family.prefix_mask(number::whole(text, 0, u64::from(family.bits()))? as u8))
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
    use crate::base::InterfaceName;
    use crate::text::StaticHosts;

    fn printed(text: &str, family: Family, hosts: &StaticHosts) -> Vec<String> {
        let made = parse(text, family, hosts).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        made.iter()
            .map(|it| format!("{}/{}", it.address(), it.mask()))
            .collect()
    }

    /// Each was typed to the real tools after `-s`.
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
            assert_eq!(printed(text, Family::V4, &hosts), [expected], "{text:?}");
        }
        let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for (text, address, mask) in [
            ("::1", "::1", all),
            ("2001:DB8::1/64", "2001:db8::", "ffff:ffff:ffff:ffff::"),
            ("2001:db8::1/ffff::", "2001::", "ffff::"),
            ("2001:db8::1/ffff:0:ffff::", "2001::", "ffff:0:ffff::"),
            ("2001:db8::1/0x20", "2001:db8::", "ffff:ffff::"),
            ("2001:db8::1/+32", "2001:db8::", "ffff:ffff::"),
            ("2001:db8::1/064", "2001:db8::", "ffff:ffff:ffff:f000::"),
            ("2001:db8::1/::", "::", "::"),
            ("x/0", "::", "::"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4", all),
            (" ::1", "::1", all),
            ("LOCALHOST", "::1", all),
            ("ip6-localhost", "::1", all),
        ] {
            assert_eq!(
                printed(text, Family::V6, &hosts),
                [format!("{address}/{mask}")],
                "{text:?}"
            );
        }
        assert_eq!(parse("1.2.3.4,5.6.7.8", Family::V4, &hosts).unwrap().len(), 2);
        // The link that an address belongs to is not kept.
        let hosts = StaticHosts::none().with_links(["lan"].iter().filter_map(|name| InterfaceName::new(name)));
        for (text, address, mask) in [
            ("fe80::1%lan", "fe80::1", all),
            ("fe80::1%lan/64", "fe80::", "ffff:ffff:ffff:ffff::"),
            ("febf::1%lan", "febf::1", all),
            ("ff01::1%lan", "ff01::1", all),
            ("ff12::1%lan", "ff12::1", all),
            ("fe80::1%0", "fe80::1", all),
            ("fe80::1%01", "fe80::1", all),
            ("fe80::1%4294967295", "fe80::1", all),
            ("2001:db8::1%1", "2001:db8::1", all),
            ("::ffff:10.0.0.1%1", "::ffff:10.0.0.1", all),
        ] {
            let expected = [format!("{address}/{mask}")];
            assert_eq!(printed(text, Family::V6, &hosts), expected, "{text:?}");
        }
        for text in [
            "fe80::1%wan",
            "2001:db8::1%lan",
            "ff05::1%lan",
            "fec0::1%lan",
            "::1%lan",
            "10.0.0.1%lan",
            "fe80::1%",
            "fe80::1%-1",
            "fe80::1%+1",
            "fe80::1%0x1",
            "fe80::1%4294967296",
            "fe80::1%lan%lan",
        ] {
            assert!(parse(text, Family::V6, &hosts).is_err(), "{text}");
        }
    }

    /// So the real tools do with names of several addresses in `/etc/hosts`.
    #[test]
    fn each_address_of_a_name_makes_a_rule() {
        let hosts = ["192.0.2.9", "2001:db8::9", "192.0.2.8", "2001:db8::8"]
            .iter()
            .fold(StaticHosts::none(), |hosts, it| hosts.with("www", it.parse().unwrap()));
        for (family, text, expected) in [
            (
                Family::V4,
                "www",
                ["192.0.2.9/255.255.255.255", "192.0.2.8/255.255.255.255"],
            ),
            (
                Family::V4,
                "www/24",
                ["192.0.2.0/255.255.255.0", "192.0.2.0/255.255.255.0"],
            ),
            (
                Family::V6,
                "www/32",
                ["2001:db8::/ffff:ffff::", "2001:db8::/ffff:ffff::"],
            ),
        ] {
            assert_eq!(printed(text, family, &hosts), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        let refused = |text: &str, family: Family| {
            let failure = parse(text, family, &StaticHosts::none()).unwrap_err();
            let program = Program::Iptables(family);
            let said = failure.text(program, None);
            let message = said.lines().next().unwrap().to_owned();
            let message = message
                .strip_prefix(&format!("{}: ", program.version()))
                .map(str::to_owned);
            (message.unwrap(), failure.explain())
        };
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
            assert_eq!(refused(text, Family::V4).0, message, "{text:?}");
        }
        for (text, message) in [
            ("1.2.3.4", "host/network `1.2.3.4' not found"),
            ("1::2::3", "host/network `1::2::3' not found"),
            ("12345::1", "host/network `12345::1' not found"),
            ("fe80::1%lan", "host/network `fe80::1%lan' not found"),
            ("[::1]", "host/network `[::1]' not found"),
            ("::1,", "host/network `' not found"),
            ("::1/128/3", "host/network `::1/128' not found"),
            ("2001:db8::1/129", "invalid mask `129' specified"),
            ("2001:db8::1/255.255.0.0", "invalid mask `255.255.0.0' specified"),
            ("2001:db8::1/", "invalid mask `' specified"),
        ] {
            assert_eq!(refused(text, Family::V6).0, message, "{text:?}");
        }
        for (text, family, remedy) in [
            ("::1", Family::V4, "give it to ip6tables"),
            ("::1/64", Family::V4, "give it to ip6tables"),
            (
                "1.2.3.4/8",
                Family::V6,
                "an address of IPv4, and ip6tables has rules of IPv6: give it to iptables",
            ),
            ("1.2.3.4/255.0.0.0", Family::V6, "give it to iptables"),
            (
                "fe80::1%lan",
                Family::V6,
                "leave `%lan` out and say the link by -i or -o",
            ),
        ] {
            let said = refused(text, family).1;
            assert!(said.contains(remedy), "{text}: {said}");
        }
    }
}
