//! Rates and bursts: what is typed, what a rule keeps of it, and how it is printed again.

use std::fmt;

use super::BURST;
use crate::ext::number::{atoll, strtoul, unchecked_strtoul};
use crate::ext::option::{Opt, UsageError};
use crate::ext::wording::begun;

/// As it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// So many in so many seconds.
    Packets { number: u64, seconds: u32 },
    /// See [`Rate::Bytes`].
    Bytes(u32),
}

impl Default for Asked {
    fn default() -> Self {
        Self::Packets { number: 1, seconds: 1 }
    }
}

/// As a rule keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// Millionths of a second between two; where packets are counted, of the interval.
    Packets(u64),
    /// What sixteen bytes cost of what comes in a second, which is all that 32 bits hold.
    Bytes(u32),
}

/// A period between two tokens is counted in millionths of a second.
pub(super) const SCALE: u64 = 1_000_000;

/// Seconds of a unit, and its name as it is typed and as it is printed.
const UNITS: [(u32, &str, &str); 4] = [
    (1, "second", "sec"),
    (60, "minute", "min"),
    (3600, "hour", "hour"),
    (86_400, "day", "day"),
];

/// As most options say it.
pub(super) fn bad_value(option: &str, text: &str) -> UsageError {
    UsageError::parameter(format!("hashlimit: Bad value for \"--{option}\" option: \"{text}\""))
}

pub(super) fn read(text: &str, option: Opt<Asked>) -> Result<Asked, UsageError> {
    let bad = || bad_value(option.name(), text);
    if let Some(at) = text.find("b/s") {
        return bytes(text, &text[..at]).ok_or_else(bad);
    }
    let (number, seconds) = match text.split_once('/') {
        None => (text, 1),
        Some((number, unit)) => {
            let unit = begun(unit, UNITS.iter().map(|(_, name, _)| *name)).ok_or_else(bad)?;
            (number, UNITS[unit].0)
        }
    };
    // What is negative is huge.
    let number = atoll(number) as u64;
    match number {
        0 => Err(bad()),
        _ if number > SCALE * u64::from(seconds) => Err(UsageError::parameter(format!("Rate too fast \"{text}\""))),
        _ => Ok(Asked::Packets { number, seconds }),
    }
}

/// Seen: the letter that stands before the `b` counts, and nothing between the number and it; sixteen bytes are the least, of which 32 bits count.
fn bytes(text: &str, before: &str) -> Option<Asked> {
    let factor = factor(before.as_bytes().last());
    let bytes = match unchecked_strtoul(text, 10).0 {
        0 => return None,
        number => number.wrapping_mul(factor),
    };
    cost_of(bytes).map(Asked::Bytes)
}

/// `None` where nothing would be left of it: the tool dies of that.
fn cost_of(bytes: u64) -> Option<u32> {
    let chunks = (bytes >> 4) as u32;
    u32::MAX.checked_div(chunks.wrapping_add(1))
}

fn factor(letter: Option<&u8>) -> u64 {
    match letter {
        Some(b'k') => 1 << 10,
        Some(b'm') => 1 << 20,
        _ => 1,
    }
}

/// Bytes a second of such a rate.
pub(super) fn bytes_of(cost: u32) -> u64 {
    u64::from(u32::MAX.checked_div(cost).unwrap_or(u32::MAX).saturating_sub(1)) << 4
}

/// How long entries of a rate of bytes are kept.
pub(super) fn seconds_of_bytes(has_burst: bool) -> u32 {
    if has_burst { 60 } else { 15 }
}

impl Asked {
    pub(super) fn rate(self, is_rate_match: bool) -> Rate {
        match self {
            Self::Packets { number, .. } if is_rate_match => Rate::Packets(SCALE / number),
            Self::Packets { number, seconds } => Rate::Packets(SCALE * u64::from(seconds) / number),
            Self::Bytes(cost) => Rate::Bytes(cost),
        }
    }

    pub(super) fn default_burst(self) -> u32 {
        match self {
            Self::Packets { .. } => 5,
            Self::Bytes(_) => 0,
        }
    }

    pub(super) fn seconds_kept(self, has_burst: bool) -> u32 {
        match self {
            Self::Packets { seconds, .. } => seconds,
            Self::Bytes(_) => seconds_of_bytes(has_burst),
        }
    }

    /// In seconds, where packets are counted.
    pub(super) fn interval(self) -> u32 {
        match self {
            Self::Packets { seconds, .. } => seconds,
            Self::Bytes(_) => 1,
        }
    }
}

impl Rate {
    /// In the smallest unit in which it is a whole number, more or less; and how many seconds that unit has. An interval of so many seconds makes it
    /// so much less.
    pub(super) fn printed(self, interval: u64) -> (String, u32) {
        let period = match self {
            Self::Packets(period) => period.saturating_mul(interval).max(1),
            Self::Bytes(cost) => return (bytes_a_second(cost), 1),
        };
        let unit = UNITS.iter().find(|(seconds, ..)| {
            let unit = u64::from(*seconds) * SCALE;
            unit >= period && unit / period >= unit % period
        });
        let (seconds, _, name) = unit.unwrap_or(&UNITS[3]);
        (format!("{}/{name}", u64::from(*seconds) * SCALE / period), *seconds)
    }
}

/// Of a rate that was listed with an interval: how many come in that, and how many seconds its unit has. `None` of bytes, which are listed as they are.
pub(super) fn over_interval(listed: &str, interval: u64) -> Option<(u64, u32)> {
    let (number, unit) = listed.split_once('/')?;
    let (seconds, ..) = *UNITS.iter().find(|(.., name)| *name == unit)?;
    let (number, unit): (u64, u64) = (number.parse().ok()?, seconds.into());
    // What was cut off of it is less than a half.
    let in_interval = number.checked_mul(interval)?.checked_add(unit / 2)? / unit;
    Some((in_interval.max(1), seconds))
}

const BYTE_UNITS: [(u32, &str); 2] = [(1 << 20, "m"), (1 << 10, "k")];

/// Seen: in the largest unit of which a whole number is the same rate, as far as 32 bits show.
fn bytes_a_second(cost: u32) -> String {
    let bytes = bytes_of(cost);
    let unit = BYTE_UNITS.iter().find(|(unit, _)| {
        let whole = bytes as u32 & !(unit - 1);
        bytes >= u64::from(*unit) && cost_of(whole.into()) == Some(cost)
    });
    let (unit, name) = unit.unwrap_or(&(1, ""));
    format!("{}{name}b/s", bytes / u64::from(*unit))
}

/// A burst: what is less than its unit is cut off.
pub(super) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BYTE_UNITS.iter().find(|(unit, _)| self.0 >= u64::from(*unit));
        let (unit, name) = unit.unwrap_or(&(1, ""));
        write!(f, "{}{name}b", self.0 / u64::from(*unit))
    }
}

/// As it was typed, before the rate is known that says what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Burst(u64);

const MOST_PACKETS: u64 = 1_000_000;

impl Burst {
    /// Seen: whatever follows the number is the name of a unit, of which `k` and `m` mean something; without one a million is the most.
    pub(super) fn read(text: &str) -> Result<Self, UsageError> {
        let (number, rest) = strtoul(text, 0).ok_or_else(out_of_range)?;
        if number == 0 || rest.is_empty() && number > MOST_PACKETS {
            return Err(out_of_range());
        }
        Ok(Self(number.wrapping_mul(factor(rest.as_bytes().first()))))
    }

    /// What a rule with this rate keeps of it. Seen: of bytes 32 bits are kept, after all of them were compared.
    pub(super) fn of(self, rate: Asked) -> Result<u32, UsageError> {
        let cost = match rate {
            Asked::Packets { .. } if self.0 > MOST_PACKETS => return Err(out_of_range()),
            Asked::Packets { .. } => return Ok(self.0 as u32),
            Asked::Bytes(cost) => cost,
        };
        match bytes_of(cost) {
            // The tool dies of it.
            0 => Err(out_of_range()),
            least if self.0 < least => Err(UsageError::parameter(format!("burst cannot be smaller than {least}b"))),
            least => Ok(u64::from(self.0 as u32).div_ceil(least) as u32),
        }
    }
}

fn out_of_range() -> UsageError {
    UsageError::parameter(format!(
        "bad value for option \"{}\", or out of range (1-{MOST_PACKETS}).",
        BURST.spelled(false)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{ABOVE, UPTO};
    use super::*;

    #[test]
    fn rates_are_printed_in_the_smallest_unit() {
        for (typed, printed) in [
            ("3", "3/sec"),
            ("3x", "3/sec"),
            (" +3 /s", "3/sec"),
            ("7000/s", "7042/sec"),
            ("999999/s", "1000000/sec"),
            ("60/min", "1/sec"),
            ("61/m", "61/min"),
            ("24/DAY", "1/hour"),
            ("25/day", "25/day"),
            ("1kb", "1/sec"),
            ("1kb/s", "1kb/s"),
            ("15b/s", "0b/s"),
            ("100b/s", "96b/s"),
            ("5Kb/s", "0b/s"),
            ("5 kb/sx", "5kb/s"),
            ("5b/S", "5/sec"),
            ("3mb/s4kb/s", "3mb/s"),
            ("1536kb/s", "1536kb/s"),
            ("1gb/s", "0b/s"),
            ("3145776b/s", "3145904b/s"),
            ("1048592b/s", "1048592b/s"),
            ("10000000b/s", "9766kb/s"),
            ("999999999b/s", "963mb/s"),
            ("2048mb/s", "2114mb/s"),
            ("4096mb/s", "4581298432b/s"),
            ("5000000000b/s", "5286113568b/s"),
            ("-1kb/s", "68719476704b/s"),
            ("18014398509481985kb/s", "1kb/s"),
        ] {
            let rate = read(typed, UPTO).unwrap().rate(false);
            assert_eq!(rate.printed(1).0, printed, "{typed}");
        }
        for (typed, interval, printed) in [
            ("3/s", 7, "37028/day"),
            ("1/h", 7, "12342/day"),
            ("100/h", 7, "51428/hour"),
            ("1/s", 100_000, "0/day"),
            ("3/s", 2, "90/min"),
        ] {
            let rate = read(typed, UPTO).unwrap().rate(true);
            assert_eq!(rate.printed(interval).0, printed, "{typed} over {interval}");
        }
    }

    #[test]
    fn what_is_no_rate() {
        let bad = |text: &str| format!("hashlimit: Bad value for \"--hashlimit-above\" option: \"{text}\"");
        // Of the last two of these the tool dies.
        for typed in ["0", "0x3/s", "3/", "b/s", "-5b/s", "68719476720b/s"] {
            assert_eq!(read(typed, ABOVE).unwrap_err().message, bad(typed));
        }
        for typed in ["-1/s", "-18446744073709551615/s", "4294967296/s", "60000001/min"] {
            let said = format!("Rate too fast \"{typed}\"");
            assert_eq!(read(typed, ABOVE).unwrap_err().message, said);
        }
    }

    #[test]
    fn bursts_of_bytes_are_whole_seconds() {
        let of = |rate: &str, burst: &str| Burst::read(burst)?.of(read(rate, UPTO)?);
        for (rate, burst, expected) in [
            ("1kb/s", "1024", Ok(1)),
            ("1kb/s", "10001", Ok(10)),
            ("1kb/s", "1k", Ok(1)),
            ("1kb/s", "1048577x", Ok(1025)),
            ("1kb/s", "4096mb", Ok(0)),
            ("1kb/s", "4294967301b", Ok(1)),
            ("1kb/s", "68719476735b", Ok(4_194_304)),
            ("1kb/s", "18014398509481986k", Ok(2)),
            ("1kb/s", "1KB", Err("burst cannot be smaller than 1024b")),
            ("5000000000b/s", "1", Err("burst cannot be smaller than 5286113568b")),
            ("1b/s", "1mb", Err(OUT)),
            ("3/s", "5k", Ok(5120)),
            ("3/s", "0x10", Ok(16)),
            ("3/s", "10gb", Ok(10)),
            ("3/s", "1mb", Err(OUT)),
            ("3/s", "0k", Err(OUT)),
            ("1kb/s", "1048577", Err(OUT)),
            ("1kb/s", "-5b", Err(OUT)),
            ("1kb/s", "99999999999999999999b", Err(OUT)),
        ] {
            let found = of(rate, burst).map_err(|error| error.message);
            let expected = expected.map_err(str::to_owned);
            assert_eq!(found, expected, "{rate} {burst}");
        }
    }

    const OUT: &str = "bad value for option \"--hashlimit-burst\", or out of range (1-1000000).";
}
