//! Dates, hours and days as the tool reads them.

use super::{DAY, NAMES};
use crate::base::bytes::front_of;
use crate::ext::number::unchecked_strtoul;
use crate::ext::option::{Status, UsageError};

/// Seconds since the epoch. Seen: parts are numbers of 32 bits, whatever stands above them, and one that is left out is 0; the month and the day before
/// the first is the last of what is before it, and so are days that the month has not.
pub(super) fn date(text: &str) -> Result<u32, UsageError> {
    let bad = || {
        UsageError::parameter(format!(
            "Invalid date \"{text}\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]"
        ))
    };
    let parts = parts(text).ok_or_else(bad)?;
    let [year, month, day, hour, minute, second] = parts.map(i64::from);
    let days = days_before(year, month) + day - 1;
    let seconds = days * i64::from(DAY) + hour * 3600 + minute * 60 + second;
    u32::try_from(seconds).map_err(|_| UsageError {
        status: Status::Other,
        before: Some("mktime: No such file or directory".to_owned()),
        ..UsageError::parameter("mktime returned an error")
    })
}

/// From the year to the second. What is left out from some part on is the beginning of it.
fn parts(text: &str) -> Option<[u32; 6]> {
    let mut parts = [1970, 1, 1, 0, 0, 0];
    let mut rest = text;
    for (at, (between, bounds)) in PARTS.into_iter().enumerate() {
        rest = match between {
            None => rest,
            Some(_) if rest.is_empty() => return Some(parts),
            Some(between) => rest.strip_prefix(between)?,
        };
        let number;
        (number, rest) = number_of_32_bits(rest);
        parts[at] = Some(number).filter(|number| (bounds.0..=bounds.1).contains(number))?;
    }
    rest.is_empty().then_some(parts)
}

/// What stands before each part of a date, and what it may be.
const PARTS: [(Option<char>, (u32, u32)); 6] = [
    (None, (1970, 2038)),
    (Some('-'), (0, 12)),
    (Some('-'), (0, 31)),
    (Some('T'), (0, 23)),
    (Some(':'), (0, 59)),
    (Some(':'), (0, 59)),
];

/// From the epoch to the first of the month; month 0 is the last one of the year before.
fn days_before(year: i64, month: i64) -> i64 {
    let (year, month) = if month == 0 { (year - 1, 12) } else { (year, month) };
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let leap_years = |until: i64| until / 4 - until / 100 + until / 400;
    let of_years = (year - 1970) * 365 + leap_years(year - 1) - leap_years(1969);
    let of_months: i64 = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30]
        .iter()
        .take(month as usize - 1)
        .sum();
    of_years + of_months + i64::from(is_leap(year) && month > 2)
}

/// Seconds since midnight.
pub(super) fn time_of_day(text: &str) -> Result<u32, UsageError> {
    let bad = |part: &str| {
        Err(UsageError::parameter(format!(
            "invalid time \"{part}\" specified, should be hh:mm[:ss] format and within the boundaries"
        )))
    };
    let (hour, rest) = number_of_32_bits(text);
    let Some(minutes) = rest.strip_prefix(':').filter(|_| hour < 24) else {
        return bad(text);
    };
    let (minute, rest) = number_of_32_bits(minutes);
    let seconds = match rest.strip_prefix(':') {
        _ if minute > 59 => return bad(minutes),
        Some(seconds) => seconds,
        None if rest.is_empty() => "0",
        None => return bad(minutes),
    };
    match number_of_32_bits(seconds) {
        (second @ 0..60, "") => Ok(hour * 3600 + minute * 60 + second),
        _ => bad(seconds),
    }
}

/// A bit each. Seen: the tool looks at two letters of each, whatever follows them.
pub(super) fn days_of_the_month(text: &str) -> Result<u32, UsageError> {
    let mut days = 0;
    for day in each(text) {
        let day = front_of(day, 2);
        match unchecked_strtoul(&day, 10) {
            (number @ 0..32, "") => days |= 1 << number,
            _ => {
                return Err(UsageError::parameter(format!(
                    "{day} is not a valid day for --monthdays"
                )));
            }
        }
    }
    Ok(days)
}

/// A bit each. Seen: of each day three letters are looked at; of a number its lowest five bits, of which those from 8 on are no day, and of a name two
/// letters.
pub(super) fn days_of_the_week(text: &str) -> Result<u8, UsageError> {
    let mut days = 0u8;
    for day in each(text) {
        let day = front_of(day, 3);
        let (number, rest) = unchecked_strtoul(&day, 10);
        let bit = match (number, rest) {
            (0, "") => {
                return Err(UsageError::parameter("No, the week does NOT begin with Sunday."));
            }
            (number, "") => number as u32 % 32,
            _ => {
                let known = NAMES.iter().skip(1).position(|name| day.get(..2) == name.get(..2));
                let Some(known) = known else {
                    return Err(UsageError::parameter(format!("{day} is not a valid day specifier")));
                };
                known as u32 + 1
            }
        };
        days |= 1u8.checked_shl(bit).unwrap_or(0);
    }
    Ok(days)
}

/// What stands between commas: of nothing nothing, and behind a last comma nothing.
fn each(text: &str) -> impl Iterator<Item = &str> {
    let days = text.strip_suffix(',').unwrap_or(text).split(',');
    days.take(if text.is_empty() { 0 } else { usize::MAX })
}

fn number_of_32_bits(text: &str) -> (u32, &str) {
    let (number, rest) = unchecked_strtoul(text, 10);
    (number as u32, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Time;
    use crate::base::date::Date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, expected) in [
            ("1970", "Thu Jan  1 00:00:00 1970"),
            ("2000-02-29", "Tue Feb 29 00:00:00 2000"),
            ("2001-02-29", "Thu Mar  1 00:00:00 2001"),
            ("2026-00-01", "Mon Dec  1 00:00:00 2025"),
            ("2026-", "Mon Dec  1 00:00:00 2025"),
            ("2026-05-00", "Thu Apr 30 00:00:00 2026"),
            ("2026-04-31", "Fri May  1 00:00:00 2026"),
            ("4294969322", "Thu Jan  1 00:00:00 2026"),
            ("2026-5-6T1:2:3", "Wed May  6 01:02:03 2026"),
            ("2026-05-06T 1:", "Wed May  6 01:00:00 2026"),
            ("2038-12-31T23:59:59", "Fri Dec 31 23:59:59 2038"),
        ] {
            let seconds = date(text).unwrap();
            assert_eq!(
                Date::of(Time::from_secs(seconds.into())).to_string(),
                expected,
                "{text}"
            );
        }
        // Each day of the calendar, by the number of the day.
        for day in 0..24_000 {
            let of = Date::of(Time::from_secs(day * u64::from(DAY)));
            assert_eq!(
                days_before(of.year as i64, of.month as i64 + 1) + of.day as i64 - 1,
                day as i64
            );
        }
    }

    #[test]
    fn days_of_the_week_by_numbers_that_are_none() {
        for (text, expected) in [
            ("32", 1),
            ("33", 2),
            ("39", 0x80),
            ("40", 0),
            ("-25", 0x80),
            ("-1", 0),
            ("99999999999999999999", 0x80),
            ("4294967297", 0),
            (" 1,Moxx,1", 2),
            ("", 0),
        ] {
            assert_eq!(days_of_the_week(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn of_a_day_of_the_month_two_letters_count() {
        for (text, expected) in [
            ("100", 1 << 10),
            ("123456,1", 1 << 12 | 2),
            ("12 ", 1 << 12),
            (" 1,", 2),
            (",1", 3),
            ("0", 1),
        ] {
            assert_eq!(days_of_the_month(text), Ok(expected), "{text:?}");
        }
    }
}
