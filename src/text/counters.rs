//! Counters as `-c PACKETS BYTES` and `[packets:bytes]` give them, and as `-L` shortens them.

use std::fmt::Write;

use super::number;
use crate::rule::Counters;

/// One number of `-c`: what stands after it is not looked at, and a minus sign wraps.
pub(super) fn parse_one(text: &str) -> Option<u64> {
    number::leading_decimal(text).map(|(number, _)| number)
}

/// `[packets:bytes]` behind a chain's policy; what follows, the bracket too, is not looked at.
pub(super) fn parse_bracketed(text: &str) -> Option<Counters> {
    let (packets, rest) = number::leading_decimal(text.strip_prefix('[')?)?;
    let (bytes, _) = number::leading_decimal(rest.strip_prefix(':')?)?;
    Some(Counters { packets, bytes })
}

/// How wide and how exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// A column of the table: five or eight wide, and a blank.
    Column,
    /// In the middle of a sentence.
    Inline,
}

/// Appends a counter. More than 99999 is rounded to thousands, and those again: 100K, 9999K, 10M.
pub(super) fn write(out: &mut String, number: u64, exact: bool, style: Style) {
    let column = style == Style::Column;
    let _ = if exact {
        if column {
            write!(out, "{number:>8} ")
        } else {
            write!(out, "{number} ")
        }
    } else if number <= 99_999 {
        if column {
            write!(out, "{number:>5} ")
        } else {
            write!(out, "{number} ")
        }
    } else {
        let mut shortened = number;
        let mut unit = ' ';
        for next in ['K', 'M', 'G', 'T'] {
            if next != 'K' && shortened <= 9_999 {
                break;
            }
            // The rounding wraps at the top of 64 bits, as the tool's does: the largest number prints as 0K.
            shortened = shortened.wrapping_add(500) / 1_000;
            unit = next;
        }
        if column {
            write!(out, "{shortened:>4}{unit} ")
        } else {
            write!(out, "{shortened}{unit} ")
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair is a line of `iptables -L -v`.
    #[test]
    fn shortened_as_the_tool_shortens() {
        for (number, expected) in [
            (0, "    0 "),
            (99_999, "99999 "),
            (100_000, " 100K "),
            (9_999_499, "9999K "),
            (9_999_500, "  10M "),
            (10_000_000, "  10M "),
            (9_999_499_999, "  10G "),
            (9_999_999_999, "  10G "),
            (9_999_999_999_999, "  10T "),
            (99_999_999_999_999, " 100T "),
            (u64::MAX, "   0K "),
        ] {
            let mut out = String::new();
            write(&mut out, number, false, Style::Column);
            assert_eq!(out, expected, "{number}");
        }
    }
}
