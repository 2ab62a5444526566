//! Dates in universal time, as the tools print them.

use std::fmt;

use super::Time;

/// An instant in the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub year: u64,
    /// From 0.
    pub month: usize,
    /// From 1.
    pub day: u64,
    /// From Sunday, which is 0.
    pub weekday: usize,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
}

impl Date {
    pub(crate) fn of(instant: Time) -> Self {
        let seconds = instant.as_secs();
        let days = seconds / 86_400;
        let second = seconds % 86_400;
        let mut year = 1970;
        let mut day = days;
        loop {
            let length = if is_leap(year) { 366 } else { 365 };
            if day < length {
                break;
            }
            day -= length;
            year += 1;
        }
        let february = if is_leap(year) { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while day >= lengths[month] {
            day -= lengths[month];
            month += 1;
        }
        Self {
            year,
            month,
            day: day + 1,
            // The first of January 1970 was a Thursday.
            weekday: (days % 7 + 4) as usize % 7,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

/// `Sat Nov 21 03:51:56 2026`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {:>2} {:02}:{:02}:{:02} {}",
            WEEKDAYS[self.weekday], MONTHS[self.month], self.day, self.hour, self.minute, self.second, self.year
        )
    }
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_ctime_has_them() {
        for (seconds, expected) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (1_795_944_992, "Sun Nov 29 09:36:32 2026"),
            (4_107_542_399, "Sun Feb 28 23:59:59 2100"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100"),
        ] {
            assert_eq!(Date::of(Time::from_secs(seconds)).to_string(), expected);
        }
    }
}
