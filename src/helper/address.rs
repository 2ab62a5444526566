//! Addresses of IPv6 in payloads, as the kernel reads them.

use std::net::Ipv6Addr;

/// Seen: numbers may begin with any number of zeros, those of an IPv4 address at the end too; else it is as everywhere.
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let text = std::str::from_utf8(text).ok()?;
    let mut plain = String::with_capacity(text.len());
    for (at, group) in text.split(':').enumerate() {
        if at > 0 {
            plain.push(':');
        }
        for (at, number) in group.split('.').enumerate() {
            if at > 0 {
                plain.push('.');
            }
            match number.trim_start_matches('0') {
                "" if !number.is_empty() => plain.push('0'),
                short => plain.push_str(short),
            }
        }
    }
    plain.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 took for the client's own address in EPRT, for another one, or for none.
    #[test]
    fn addresses_as_the_kernel_reads_them() {
        let own = "2001:db8::2".parse().unwrap();
        for text in [
            "2001:db8::2",
            "2001:0db8::2",
            "2001:00db8::2",
            "2001:db8:0:0:0:0:0:2",
            "2001:db8:0:0:0:0:0.0.0.2",
            "2001:db8::0.0.0.2",
            "2001:db8:0000::0002",
            "2001:DB8::2",
            "2001:db8::0:2",
            "2001:db8::00002",
            "02001:db8::2",
            "2001:db8::0:0:0:0:2",
            "2001:db8:0:0::0:0:2",
            "2001:db8::000.0.0.2",
            "2001:db8::0.0.0.02",
        ] {
            assert_eq!(ipv6(text.as_bytes()), Some(own), "{text}");
        }
        for text in ["::", "2001:db8::"] {
            assert_eq!(ipv6(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in [
            "2001:db8::2/64",
            "2001:db8::2 ",
            " 2001:db8::2",
            "[2001:db8::2]",
            "2001:db8:::2",
            "2001:db8:0:0:0:0:0::2",
            "2001:db8::0:0:0:0:0:2",
            "",
            "2001",
            "2001:db8",
            "2001:db8::2:",
            "2001:db8::0x2",
            "2001:db8::2.",
            "2001:db8::0.0.2",
            "2001:db8::0.0.0.256",
            "2001:db8:0:0:0:0:0:2:3",
            ":2001:db8::2",
            "2001:db8::g",
        ] {
            assert_eq!(ipv6(text.as_bytes()), None, "{text}");
        }
    }
}
