//! One test, both families: what is the same in each is written once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Family;

/// Functions of a family, each a test in both: `name::v4` and `name::v6`.
macro_rules! families {
    ($($(#[$attribute:meta])* fn $name:ident($family:ident: Family) $body:block)+) => {
        $(
            $(#[$attribute])*
            mod $name {
                use super::*;

                fn run($family: $crate::base::Family) $body

                #[test]
                fn v4() {
                    run($crate::base::Family::V4);
                }

                #[test]
                fn v6() {
                    run($crate::base::Family::V6);
                }
            }
        )+
    };
}

pub(crate) use families;

/// Pairs of digits, with blanks wherever one likes.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|it| !it.is_ascii_whitespace())
        .map(|it| (it as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|it| it[0] << 4 | it[1]).collect()
}

/// A host of 10.0.0.0/24 or 2001:db8::/120.
pub(crate) fn host(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 0, 0, number).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()).into(),
    }
}
