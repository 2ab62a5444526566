//! Numbers and IPv4 addresses as the C library reads them, which is what the real tools take.

use std::net::Ipv4Addr;

use smallvec::SmallVec;

/// The number a text begins with, and what follows it. Base 0 takes `0x10`, `010` and `10`; white space and a plus may stand before it. `None`
/// where no digit stands there, where a minus does, or where 64 bits are too few.
pub(crate) fn strtoul(text: &str, base: u32) -> Option<(u64, &str)> {
    // Most are a few decimal digits.
    if matches!(base, 0 | 10) && text.len() <= DIGITS && matches!(text.as_bytes(), [b'1'..=b'9', ..]) {
        let length = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = text.split_at(length);
        let number = digits
            .bytes()
            .fold(0, |number, digit| 10 * number + u64::from(digit - b'0'));
        return Some((number, rest));
    }
    // And of the others most are names.
    if base != 16 && matches!(text.as_bytes(), [b'a'..=b'z' | b'A'..=b'Z', ..]) {
        return None;
    }
    let signed = behind_white_space(text);
    let (digits, base) = based(signed.strip_prefix('+').unwrap_or(signed), base);
    let (digits, rest) = digits.split_at(length_of_digits(digits, base));
    Some((u64::from_str_radix(digits, base).ok()?, rest))
}

/// The same where nobody looks whether the call went well: behind a minus the number is turned round, where 64 bits are too few it is the largest,
/// and where no digit stands it is 0 and the whole text is left.
pub(crate) fn unchecked_strtoul(text: &str, base: u32) -> (u64, &str) {
    let signed = behind_white_space(text);
    let unsigned = signed.strip_prefix(['+', '-']).unwrap_or(signed);
    let (digits, base) = based(unsigned, base);
    let (digits, rest) = digits.split_at(length_of_digits(digits, base));
    match u64::from_str_radix(digits, base) {
        Ok(number) if signed.starts_with('-') => (number.wrapping_neg(), rest),
        Ok(number) => (number, rest),
        Err(_) if digits.is_empty() => (0, text),
        Err(_) => (u64::MAX, rest),
    }
}

/// As C's `atoll`: decimal digits as far as they go; what 64 bits are too few for is the largest of them, or the smallest.
pub(crate) fn atoll(text: &str) -> i64 {
    let text = behind_white_space(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = &digits[..length_of_digits(digits, 10)];
    let number = match digits.parse::<i128>() {
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) => i128::MAX,
    };
    let signed = if negative { -number } else { number };
    signed.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn behind_white_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
}

/// The digits behind what tells the base, and the base that is told.
fn based(digits: &str, base: u32) -> (&str, u32) {
    let hex = || {
        let rest = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
        rest.filter(|rest| rest.starts_with(|first: char| first.is_ascii_hexdigit()))
    };
    match base {
        0 | 16 => match hex() {
            Some(rest) => (rest, 16),
            None if base == 16 => (digits, 16),
            None if digits.starts_with('0') => (digits, 8),
            None => (digits, 10),
        },
        base => (digits, base),
    }
}

fn length_of_digits(text: &str, base: u32) -> usize {
    text.find(|digit: char| !digit.is_digit(base)).unwrap_or(text.len())
}

/// A text that is a number in any base and nothing else.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    match strtoul(text, 0)? {
        (number, "") => Some(number),
        _ => None,
    }
}

/// A text that is a number with a fraction and nothing else, as `strtod` reads it: decimal or hexadecimal (`0x1p-2`), `inf`, `nan`.
pub(crate) fn strtod(text: &str) -> Option<f64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let number = match lower.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits)?,
        // What is in brackets tells one nan from another.
        None if lower.starts_with("nan(") && lower.ends_with(')') => {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            lower["nan(".len()..lower.len() - 1]
                .bytes()
                .all(word)
                .then_some(f64::NAN)?
        }
        None => lower.parse().ok()?,
    };
    Some(sign * number)
}

/// `1.8p-2`, behind its `0x`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once('p') {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        number = number * 16.0 + f64::from(digit.to_digit(16)?);
    }
    Some(number * 2f64.powi(exponent.saturating_sub(4 * fraction.len() as i32)))
}

/// `10.1`, `0x7f.1`, `10.0.0.1`: up to four parts in any base, the last of which fills what is left.
pub(crate) fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: SmallVec<[u64; 4]> = text
        .split('.')
        .map(|part| {
            part.starts_with(|first: char| first.is_ascii_digit())
                .then(|| whole_number(part))?
        })
        .collect::<Option<_>>()?;
    let (&last, leading) = parts.split_last()?;
    let free_bits = 32 - 8 * u32::try_from(leading.len()).ok().filter(|&count| count <= 3)?;
    if last >> free_bits != 0 || leading.iter().any(|&part| part > 255) {
        return None;
    }
    let high = leading.iter().fold(0, |bits, &part| bits << 8 | part) << free_bits;
    Some(Ipv4Addr::from_bits((high | last) as u32))
}

/// So many decimal digits are always a number of 64 bits.
const DIGITS: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_strtod_reads_them() {
        for (text, expected) in [
            ("0.5", Some(0.5)),
            (" +.5", Some(0.5)),
            ("-5.", Some(-5.0)),
            ("1e-3", Some(0.001)),
            ("0x1p-2", Some(0.25)),
            ("0X.8P0", Some(0.5)),
            ("inf", Some(f64::INFINITY)),
            ("", None),
            (".", None),
            ("+-1", None),
            ("1e", None),
            ("0x", None),
            ("0x.p1", None),
            ("0x.8p", None),
            ("0.5 ", None),
            ("0.5x", None),
        ] {
            assert_eq!(strtod(text), expected, "{text}");
        }
        assert!(
            ["nan", "-NaN", "nan(a_1)"]
                .iter()
                .all(|it| strtod(it).is_some_and(f64::is_nan))
        );
    }

    #[test]
    fn numbers_as_strtoul_reads_them() {
        for (text, base, expected) in [
            ("10", 0, Some((10, ""))),
            ("010", 0, Some((8, ""))),
            ("0x1F/2", 0, Some((31, "/2"))),
            ("0x", 0, Some((0, "x"))),
            ("08", 0, Some((0, "8"))),
            (" +7", 0, Some((7, ""))),
            ("-1", 0, None),
            ("", 0, None),
            ("x", 0, None),
            ("010", 10, Some((10, ""))),
            ("99999999999999999999", 0, None),
        ] {
            assert_eq!(strtoul(text, base), expected, "{text:?} base {base}");
        }
    }

    #[test]
    fn numbers_that_nobody_checks() {
        for (text, expected) in [
            ("-1/2", (u64::MAX, "/2")),
            (" -0x10x", (u64::MAX - 15, "x")),
            ("+5 ", (5, " ")),
            ("99999999999999999999/2", (u64::MAX, "/2")),
            ("-99999999999999999999/2", (u64::MAX, "/2")),
            ("0x/2", (0, "x/2")),
            ("08/2", (0, "8/2")),
            (" x/2", (0, " x/2")),
            ("--1", (0, "--1")),
            ("- 1", (0, "- 1")),
            ("+-1", (0, "+-1")),
            ("", (0, "")),
        ] {
            assert_eq!(unchecked_strtoul(text, 0), expected, "{text:?}");
        }
        assert_eq!(unchecked_strtoul("010", 10), (10, ""));
    }

    #[test]
    fn addresses_as_inet_aton_reads_them() {
        for (text, expected) in [
            ("10.0", Some([10, 0, 0, 0])),
            ("33", Some([0, 0, 0, 33])),
            ("10.0.0.1", Some([10, 0, 0, 1])),
            ("0x7f.1", Some([127, 0, 0, 1])),
            ("1.2.3.256", None),
            ("1.2.3.4.5", None),
            ("", None),
            ("1..2", None),
            ("x", None),
        ] {
            assert_eq!(inet_aton(text), expected.map(Ipv4Addr::from), "{text:?}");
        }
    }
}
