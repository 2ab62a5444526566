//! The words for messages of ICMP, of either family: what `send` reads, and what a packet's line says.

use crate::base::{Family, protocol};
use crate::packet::Packet;
use crate::wire::icmpv4::{self, Icmpv4, unreachable as codes};
use crate::wire::icmpv6;

/// One type, with what its codes are called.
struct Kind {
    name: &'static str,
    number: u8,
    codes: &'static [(&'static str, u8)],
    /// A line names its code, also where that is 0.
    tells_code: bool,
}

/// The protocol's number.
pub(crate) fn protocol(family: Family) -> u8 {
    match family {
        Family::V4 => protocol::ICMP,
        Family::V6 => protocol::ICMPV6,
    }
}

/// The type of what asks for an echo.
pub(crate) fn echo_request(family: Family) -> u8 {
    match family {
        Family::V4 => icmpv4::kind::ECHO_REQUEST,
        Family::V6 => icmpv6::kind::ECHO_REQUEST,
    }
}

/// The type of the echo.
pub(crate) fn echo_reply(family: Family) -> u8 {
    match family {
        Family::V4 => icmpv4::kind::ECHO_REPLY,
        Family::V6 => icmpv6::kind::ECHO_REPLY,
    }
}

/// The type of what says that nothing can be reached.
pub(crate) fn unreachable(family: Family) -> u8 {
    match family {
        Family::V4 => icmpv4::kind::DESTINATION_UNREACHABLE,
        Family::V6 => 1,
    }
}

/// Of the packet's own family, as far as both are alike: their first eight bytes. `None` for later fragments, and where it is cut short.
pub(crate) fn message(packet: &Packet) -> Option<Icmpv4<&[u8]>> {
    let has_one = packet.is_icmp() && packet.fragment_offset() == 0;
    has_one.then(|| Icmpv4::new(packet.transport()).ok())?
}

/// True for the types that quote the packet they complain about.
pub(crate) fn is_error(family: Family, number: u8) -> bool {
    match family {
        Family::V4 => icmpv4::kind::is_error(number),
        Family::V6 => icmpv6::kind::is_error(number),
    }
}

/// True for the types that show the packet they are about: errors, and IPv6's redirect.
pub(crate) fn quotes(family: Family, number: u8) -> bool {
    is_error(family, number) || family == Family::V6 && number == icmpv6::kind::REDIRECT
}

/// The words for the addresses that a message begins with behind its first eight bytes, in their order.
pub(crate) fn addresses(family: Family, number: u8) -> &'static [&'static str] {
    match (family, number) {
        (Family::V6, 130..=132) => &["group"],
        (Family::V6, icmpv6::kind::NEIGHBOUR_SOLICITATION | icmpv6::kind::NEIGHBOUR_ADVERTISEMENT) => &["target"],
        (Family::V6, icmpv6::kind::REDIRECT) => &["target", "for"],
        _ => &[],
    }
}

/// What the four bytes behind the checksum say, in a word that only some messages have.
struct Field {
    word: &'static str,
    family: Family,
    /// Whether a message of this type and code has it.
    has: fn(u8, u8) -> bool,
    /// Who has it, for who wrote it elsewhere.
    whose: &'static str,
}

const FIELDS: &[Field] = &[
    Field {
        word: "mtu",
        family: Family::V4,
        has: |number, code| (number, code) == (icmpv4::kind::DESTINATION_UNREACHABLE, codes::FRAGMENTATION_NEEDED),
        whose: "`unreachable fragmentation-needed`",
    },
    Field {
        word: "mtu",
        family: Family::V6,
        has: |number, _| number == icmpv6::kind::PACKET_TOO_BIG,
        whose: "`packet-too-big`",
    },
    Field {
        word: "pointer",
        family: Family::V4,
        has: |number, _| number == icmpv4::kind::PARAMETER_PROBLEM,
        whose: "`parameter-problem`",
    },
    Field {
        word: "pointer",
        family: Family::V6,
        has: |number, _| number == icmpv6::kind::PARAMETER_PROBLEM,
        whose: "`parameter-problem`",
    },
    Field {
        word: "gateway",
        family: Family::V4,
        has: |number, _| number == icmpv4::kind::REDIRECT,
        whose: "`redirect`",
    },
    Field {
        word: "seq",
        family: Family::V4,
        has: |number, _| !is_error(Family::V4, number),
        whose: "`echo-request`, `echo-reply` and others that ask and answer",
    },
    Field {
        word: "seq",
        family: Family::V6,
        has: |number, _| matches!(number, 128 | 129) || !KINDS_OF_IPV6.iter().any(|kind| kind.number == number),
        whose: "`echo-request` and `echo-reply`",
    },
];

/// Who has this word, where it is one that only some messages of a family have, and this one has not.
pub(crate) fn lacks(family: Family, (number, code): (u8, u8), word: &str) -> Option<&'static str> {
    let mut fields = FIELDS.iter().filter(|it| it.family == family && it.word == word);
    let field = fields.next()?;
    (!(field.has)(number, code)).then_some(field.whose)
}

/// Whether a message's four bytes behind the checksum are what this word says.
pub(crate) fn has(family: Family, (number, code): (u8, u8), word: &str) -> bool {
    let mut fields = FIELDS.iter().filter(|it| it.family == family && it.word == word);
    fields.any(|field| (field.has)(number, code))
}

/// True for what neighbours of IPv6 say to one another (RFC 4861). A receiver believes it where no router has passed it on, as its hop limit shows.
pub(crate) fn is_of_neighbours(family: Family, number: u8) -> bool {
    family == Family::V6 && matches!(number, 133..=icmpv6::kind::REDIRECT)
}

/// By its name.
pub(crate) fn kind_named(family: Family, name: &str) -> Option<u8> {
    let spelled = name.replace("neighbor", "neighbour");
    let found = kinds(family).iter().find(|kind| kind.name == spelled);
    found.map(|kind| kind.number)
}

/// Of a type: by its name, or its number.
pub(crate) fn code_named(family: Family, number: u8, text: &str) -> Option<u8> {
    let kind = kinds(family).iter().find(|kind| kind.number == number);
    let named = kind.and_then(|kind| kind.codes.iter().find(|(name, _)| *name == text));
    named.map(|(_, code)| *code).or_else(|| text.parse().ok())
}

/// All types that have names.
pub(crate) fn names(family: Family) -> impl Iterator<Item = &'static str> + Clone {
    kinds(family).iter().map(|kind| kind.name)
}

/// All words that types and codes of a family have.
#[doc(hidden)]
pub fn words(family: Family) -> impl Iterator<Item = &'static str> {
    let codes = kinds(family).iter().flat_map(|kind| kind.codes).map(|(name, _)| *name);
    names(family).chain(codes)
}

/// `unreachable port`, `echo-request`, `type 99 code 0`.
pub(crate) fn text(family: Family, number: u8, code: u8) -> String {
    let Some(kind) = kinds(family).iter().find(|kind| kind.number == number) else {
        return format!("type {number} code {code}");
    };
    let known = kind.codes.iter().find(|(_, known)| *known == code);
    match known.filter(|_| kind.tells_code) {
        Some((known, _)) => format!("{} {known}", kind.name),
        None if code == 0 => kind.name.to_owned(),
        None => format!("{} {code}", kind.name),
    }
}

/// Whether a message is what words like those of [`text`] say. Without a code any is right where a line would name it, and else 0 is.
pub(crate) fn fits(family: Family, (number, code): (u8, u8), words: &str) -> bool {
    let words: Vec<&str> = words.split(' ').collect();
    match words[..] {
        ["type", kind] => kind.parse() == Ok(number),
        ["type", kind, "code", wanted] => kind.parse() == Ok(number) && wanted.parse() == Ok(code),
        [name] => {
            let kind = kinds(family).iter().find(|kind| kind.number == number);
            kind_named(family, name) == Some(number) && (code == 0 || kind.is_some_and(|kind| kind.tells_code))
        }
        [name, wanted] => kind_named(family, name) == Some(number) && code_named(family, number, wanted) == Some(code),
        _ => false,
    }
}

fn kinds(family: Family) -> &'static [Kind] {
    match family {
        Family::V4 => KINDS_OF_IPV4,
        Family::V6 => KINDS_OF_IPV6,
    }
}

const fn plain(name: &'static str, number: u8) -> Kind {
    with_codes(name, number, &[], false)
}

const fn with_codes(name: &'static str, number: u8, codes: &'static [(&'static str, u8)], tells_code: bool) -> Kind {
    Kind {
        name,
        number,
        codes,
        tells_code,
    }
}

const KINDS_OF_IPV4: &[Kind] = &[
    plain("echo-reply", icmpv4::kind::ECHO_REPLY),
    with_codes(
        "unreachable",
        icmpv4::kind::DESTINATION_UNREACHABLE,
        &[
            ("net", codes::NET),
            ("host", codes::HOST),
            ("protocol", codes::PROTOCOL),
            ("port", codes::PORT),
            ("fragmentation-needed", codes::FRAGMENTATION_NEEDED),
            ("source-route-failed", codes::SOURCE_ROUTE_FAILED),
            ("net-prohibited", codes::NET_PROHIBITED),
            ("host-prohibited", codes::HOST_PROHIBITED),
            ("admin-prohibited", codes::ADMIN_PROHIBITED),
        ],
        true,
    ),
    plain("source-quench", icmpv4::kind::SOURCE_QUENCH),
    with_codes(
        "redirect",
        icmpv4::kind::REDIRECT,
        &[("net", 0), ("host", 1), ("tos-net", 2), ("tos-host", 3)],
        false,
    ),
    plain("echo-request", icmpv4::kind::ECHO_REQUEST),
    with_codes("time-exceeded", icmpv4::kind::TIME_EXCEEDED, TIMES, false),
    plain("parameter-problem", icmpv4::kind::PARAMETER_PROBLEM),
    plain("timestamp-request", icmpv4::kind::TIMESTAMP_REQUEST),
    plain("timestamp-reply", icmpv4::kind::TIMESTAMP_REPLY),
    plain("information-request", icmpv4::kind::INFORMATION_REQUEST),
    plain("information-reply", icmpv4::kind::INFORMATION_REPLY),
    plain("address-mask-request", icmpv4::kind::ADDRESS_MASK_REQUEST),
    plain("address-mask-reply", icmpv4::kind::ADDRESS_MASK_REPLY),
];

/// RFC 4443, RFC 2710, RFC 4861, RFC 3810.
const KINDS_OF_IPV6: &[Kind] = &[
    with_codes(
        "unreachable",
        1,
        &[
            ("no-route", 0),
            ("admin-prohibited", 1),
            ("beyond-scope", 2),
            ("address", 3),
            ("port", 4),
            ("policy", 5),
            ("reject-route", 6),
        ],
        true,
    ),
    plain("packet-too-big", 2),
    with_codes("time-exceeded", 3, TIMES, false),
    with_codes(
        "parameter-problem",
        4,
        &[("header", 0), ("next-header", 1), ("option", 2)],
        true,
    ),
    plain("echo-request", 128),
    plain("echo-reply", 129),
    plain("multicast-query", 130),
    plain("multicast-report", 131),
    plain("multicast-done", 132),
    plain("router-solicitation", 133),
    plain("router-advertisement", 134),
    plain("neighbour-solicitation", 135),
    plain("neighbour-advertisement", 136),
    plain("redirect", 137),
    plain("multicast-report-v2", 143),
];

const TIMES: &[(&str, u8)] = &[("transit", 0), ("reassembly", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_its_words() {
        for (family, number, code, expected) in [
            (Family::V4, 8, 0, "echo-request"),
            (Family::V4, 8, 1, "echo-request 1"),
            (Family::V4, 3, 3, "unreachable port"),
            (Family::V4, 3, 0, "unreachable net"),
            (Family::V4, 3, 15, "unreachable 15"),
            (Family::V4, 11, 1, "time-exceeded 1"),
            (Family::V4, 99, 0, "type 99 code 0"),
            (Family::V6, 1, 0, "unreachable no-route"),
            (Family::V6, 1, 4, "unreachable port"),
            (Family::V6, 1, 9, "unreachable 9"),
            (Family::V6, 2, 0, "packet-too-big"),
            (Family::V6, 3, 0, "time-exceeded"),
            (Family::V6, 4, 1, "parameter-problem next-header"),
            (Family::V6, 128, 0, "echo-request"),
            (Family::V6, 136, 0, "neighbour-advertisement"),
            (Family::V6, 8, 0, "type 8 code 0"),
        ] {
            assert_eq!(text(family, number, code), expected);
        }
    }

    #[test]
    fn a_message_is_what_is_said_of_it() {
        for (family, message, words, expected) in [
            (Family::V4, (3, 3), "unreachable port", true),
            (Family::V4, (3, 3), "unreachable 3", true),
            (Family::V4, (3, 3), "unreachable", true),
            (Family::V4, (3, 3), "unreachable net", false),
            (Family::V6, (1, 4), "unreachable port", true),
            (Family::V6, (3, 4), "unreachable port", false),
            (Family::V4, (11, 0), "time-exceeded", true),
            (Family::V4, (11, 1), "time-exceeded", false),
            (Family::V4, (11, 1), "time-exceeded reassembly", true),
            (Family::V6, (135, 0), "neighbor-solicitation", true),
            (Family::V6, (200, 1), "type 200", true),
            (Family::V6, (200, 1), "type 200 code 1", true),
            (Family::V6, (200, 1), "type 200 code 2", false),
            (Family::V6, (200, 1), "elephant", false),
        ] {
            assert_eq!(fits(family, message, words), expected, "{message:?} {words}");
        }
    }

    #[test]
    fn some_words_have_few_messages() {
        for (family, message, word, whose) in [
            (Family::V4, (3, 4), "mtu", None),
            (Family::V4, (3, 3), "mtu", Some("`unreachable fragmentation-needed`")),
            (Family::V6, (2, 0), "mtu", None),
            (Family::V6, (4, 0), "mtu", Some("`packet-too-big`")),
            (Family::V4, (12, 0), "pointer", None),
            (Family::V6, (12, 0), "pointer", Some("`parameter-problem`")),
            (Family::V4, (5, 1), "gateway", None),
            (Family::V4, (8, 0), "gateway", Some("`redirect`")),
            (Family::V4, (13, 0), "seq", None),
            (Family::V6, (200, 0), "seq", None),
            (Family::V6, (135, 0), "seq", Some("`echo-request` and `echo-reply`")),
            (Family::V4, (8, 0), "elephant", None),
        ] {
            assert_eq!(lacks(family, message, word), whose, "{message:?} {word}");
            let has_it = has(family, message, word);
            assert_eq!(has_it, whose.is_none() && word != "elephant", "{message:?} {word}");
        }
    }

    #[test]
    fn each_word_is_read_again() {
        for family in Family::ALL {
            for kind in kinds(family) {
                assert_eq!(kind_named(family, kind.name), Some(kind.number));
                for (name, code) in kind.codes {
                    assert_eq!(code_named(family, kind.number, name), Some(*code));
                    assert_eq!(code_named(family, kind.number, &code.to_string()), Some(*code));
                }
            }
            assert_eq!(kind_named(family, "elephant"), None);
            assert_eq!(code_named(family, 3, "elephant"), None);
        }
        assert_eq!(kind_named(Family::V6, "neighbor-solicitation"), Some(135));
    }
}
