//! `net.ipv6.icmp.ratemask`: which types of ICMPv6 the limits are for. It is written and shown as ranges: `0-1,3-127`.

use std::fmt::{self, Write};
use std::str::FromStr;

use crate::net::sysctl::number;

/// A bit for each type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct RateMask([u128; 2]);

impl Default for RateMask {
    /// Errors, but for the one about the path's MTU.
    fn default() -> Self {
        Self([!(1 << 2), 0])
    }
}

impl RateMask {
    pub(super) fn has(self, kind: u8) -> bool {
        self.0[usize::from(kind >> 7)] >> (kind & 127) & 1 == 1
    }

    fn set(&mut self, kind: u8) {
        self.0[usize::from(kind >> 7)] |= 1 << (kind & 127);
    }
}

/// It is no list of ranges.
#[derive(Debug)]
pub(in crate::net) struct BadRateMask;

impl FromStr for RateMask {
    type Err = BadRateMask;

    /// Numbers are those of any key, also hexadecimal and octal. Seen: lines are as good as commas, and a line may end in one comma, but not begin with one.
    fn from_str(text: &str) -> Result<Self, BadRateMask> {
        let kind = |word: &str| {
            let is_word =
                word.starts_with(|it: char| it.is_ascii_digit()) && word.bytes().all(|it| it.is_ascii_alphanumeric());
            let number = number(word).filter(|_| is_word);
            number.and_then(|it| u8::try_from(it).ok()).ok_or(BadRateMask)
        };
        let mut mask = Self([0; 2]);
        let lines = text.split('\n').filter(|line| !line.is_empty());
        for range in lines.flat_map(|line| line.strip_suffix(',').unwrap_or(line).split(',')) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (kind(first)?, kind(last)?);
            if first > last {
                return Err(BadRateMask);
            }
            (first..=last).for_each(|kind| mask.set(kind));
        }
        Ok(mask)
    }
}

impl fmt::Display for RateMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = (0..=u8::MAX).filter(|kind| self.has(*kind)).peekable();
        let mut is_first = true;
        while let Some(first) = kinds.next() {
            let mut last = first;
            while let Some(next) = kinds.next_if(|next| *next == last.wrapping_add(1)) {
                last = next;
            }
            if !is_first {
                f.write_char(',')?;
            }
            is_first = false;
            match first == last {
                true => write!(f, "{first}")?,
                false => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written, and what is read then; `None` is EINVAL.
    #[test]
    fn masks_as_the_kernel_reads_and_shows_them() {
        assert_eq!(RateMask::default().to_string(), "0-1,3-127");
        for (text, shown) in [
            ("0-255", Some("0-255")),
            ("1,2", Some("1-2")),
            ("1", Some("1")),
            ("", Some("")),
            ("200,3,4-5\n", Some("3-5,200")),
            ("1\n\n2", Some("1-2")),
            ("1,\n2", Some("1-2")),
            ("1,", Some("1")),
            ("0X10,010,00", Some("0,8,16")),
            ("2-0x5", Some("2-5")),
            ("0377", Some("255")),
            ("256", None),
            ("0x100", None),
            ("0x", None),
            ("08", None),
            ("x", None),
            ("+1", None),
            ("-3", None),
            ("1-", None),
            ("1-2-3", None),
            ("5-3", None),
            (",1", None),
            ("1,,2", None),
            ("1,,", None),
            ("1, 2", None),
            (" 1", None),
            ("1\t", None),
        ] {
            let found = text.parse::<RateMask>().ok().map(|it| it.to_string());
            assert_eq!(found.as_deref(), shown, "{text:?}");
        }
        let refused = crate::net::Net::new()
            .sysctl_set("net.ipv6.icmp.ratemask", ",1\n")
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("\",1\" is no list of ranges like 0-1,3-127"),
            "{refused}"
        );
        let mask: RateMask = "3,200".parse().unwrap();
        assert!(mask.has(3) && mask.has(200) && !mask.has(72) && !mask.has(131));
    }
}
