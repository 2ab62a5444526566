//! The type of service (IPv6: the traffic class) as rules name it: what `tos` and `TOS` share, and `dscp` and `DSCP`.

use std::fmt;

use super::number::{strtoul, whole_number};
use super::option::UsageError;

/// A value and the bits of the byte that are asked for or written, as typed: the value may have bits outside of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Service {
    pub value: u8,
    pub mask: u8,
}

/// How help and grammar write one.
pub(super) const SYNTAX: &str =
    "NUMBER[/NUMBER]|Minimize-Delay|Maximize-Throughput|Maximize-Reliability|Minimize-Cost|Normal-Service";

/// Where no mask is typed all bits count; of a name those that the old precedence leaves over.
pub(super) fn service(text: &str) -> Result<Service, UsageError> {
    let byte = |number: u64| u8::try_from(number).ok();
    let Some((value, rest)) = strtoul(text, 0).and_then(|(number, rest)| Some((byte(number)?, rest))) else {
        let named = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        let &(value, _) = named.ok_or_else(|| UsageError::parameter(format!("Symbolic name \"{text}\" is unknown")))?;
        return Ok(Service { value, mask: OF_NAMES });
    };
    let mask = match rest.strip_prefix('/') {
        Some(mask) => whole_number(mask).and_then(byte),
        None => rest.is_empty().then_some(u8::MAX),
    };
    match mask {
        Some(mask) => Ok(Service { value, mask }),
        None => Err(UsageError::parameter(format!("Illegal value: \"{text}\""))),
    }
}

impl Service {
    /// Where a listing may name it.
    pub(super) fn name(self) -> Option<&'static str> {
        let named = NAMES.iter().find(|(value, _)| *value == self.value)?;
        (self.mask == OF_NAMES).then_some(named.1)
    }
}

/// `0x10/0x3f`.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}/{:#04x}", self.value, self.mask)
    }
}

/// RFC 1349's, with the tool's names for them.
const NAMES: [(u8, &str); 5] = [
    (0x10, "Minimize-Delay"),
    (0x08, "Maximize-Throughput"),
    (0x04, "Maximize-Reliability"),
    (0x02, "Minimize-Cost"),
    (0x00, "Normal-Service"),
];
const OF_NAMES: u8 = 0x3f;

/// How help and grammar write a class.
pub(super) const CLASS_SYNTAX: &str =
    "BE|EF|CS0|CS1|CS2|CS3|CS4|CS5|CS6|CS7|AF11|AF12|AF13|AF21|AF22|AF23|AF31|AF32|AF33|AF41|AF42|AF43";

/// The codepoint of a class: RFC 2474 (CS, BE), RFC 2597 (AF) and RFC 3246 (EF) say how they are made. Seen: what follows a name counts for nothing.
pub(super) fn class(text: &str) -> Result<u8, UsageError> {
    let name = text.to_ascii_uppercase();
    let codepoint = match name.as_bytes() {
        [b'B', b'E', ..] => Some(0),
        [b'E', b'F', ..] => Some(0b10_1110),
        [b'C', b'S', level @ b'0'..=b'7', ..] => Some((level - b'0') << 3),
        [b'A', b'F', class @ b'1'..=b'4', precedence @ b'1'..=b'3', ..] => {
            Some((class - b'0') << 3 | (precedence - b'0') << 1)
        }
        _ => None,
    };
    codepoint.ok_or_else(|| UsageError::parameter(format!("Invalid DSCP value `{text}'")))
}

/// The largest codepoint: six bits, above the two of ECN.
pub(super) const MOST: u64 = 63;
/// How far above the byte's end they begin.
pub(super) const CODEPOINT_SHIFT: u32 = 2;
/// The two bits below, which are ECN's.
pub(super) const ECN: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_their_codepoints() {
        for (name, codepoint) in [
            ("cs1", 8),
            ("CS7", 56),
            ("af11", 10),
            ("AF23", 22),
            ("Af43", 38),
            ("EF", 46),
            ("be", 0),
            ("efä", 46),
            ("CS10", 8),
            ("AF111", 10),
        ] {
            assert_eq!(class(name), Ok(codepoint), "{name}");
        }
        for name in ["", "A", "CS", "CS8", "AF44", "AF10", "AF51", " EF", "ÄF"] {
            assert!(class(name).is_err(), "{name}");
        }
        for name in CLASS_SYNTAX.split('|') {
            assert!(class(name).is_ok(), "{name}");
        }
    }
}
