//! Numbers as the C library reads them for the tool's own options: what is not looked at, what wraps.

use crate::ext::number::whole_number;

/// A whole text that is a number within bounds, in any base.
pub(super) fn whole(text: &str, min: u64, max: u64) -> Option<u64> {
    whole_number(text).filter(|number| (min..=max).contains(number))
}

/// The decimal number that a text begins with, as `%llu` reads it, and the rest. `None` where no digit stands. Too large is the largest; a
/// minus sign wraps.
pub(super) fn leading_decimal(text: &str) -> Option<(u64, &str)> {
    let body = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let (negative, body) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    let length = body.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return None;
    }
    let (digits, rest) = body.split_at(length);
    let number = match digits.parse::<u64>() {
        Ok(number) if negative => number.wrapping_neg(),
        Ok(number) => number,
        Err(_) => u64::MAX,
    };
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_c_library_reads() {
        for (text, expected) in [
            ("7", Some((7, ""))),
            (" +7x", Some((7, "x"))),
            ("-1", Some((u64::MAX, ""))),
            ("010", Some((10, ""))),
            ("99999999999999999999", Some((u64::MAX, ""))),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(leading_decimal(text), expected, "{text:?}");
        }
        assert_eq!(whole("0x10", 1, 16), Some(16));
        assert_eq!(whole("17", 1, 16), None);
        assert_eq!(whole("-1", 0, 16), None);
    }
}
