//! `-m time`: dates, hours, days of the week and of the month, by the clock of the machine.

use std::fmt::{self, Write};
use std::sync::Arc;

use crate::base::date::Date;
use crate::base::{Family, Time};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Context, Effect, Match, Matched, StateUse};

mod read;
mod samples;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "time",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[
        DATESTART.spec,
        DATESTOP.spec,
        TIMESTART.spec,
        TIMESTOP.spec,
        MONTHDAYS.spec,
        WEEKDAYS.spec,
        LOCALTZ.spec,
        UTC.spec,
        KERNELTZ.spec,
        CONTIGUOUS.spec,
    ],
    needs_one: Some(NeedsOne::AsAsked(is_there_a_midnight)),
    exclusive: &[&[UTC.name(), KERNELTZ.name()], &[LOCALTZ.name(), UTC.name()]],
    build,
    unlist,
    directory: None,
    about: "the date, the hour and the day",
    samples: samples::SAMPLES,
};

const DATESTART: Opt<u32> = Opt::own(
    "datestart",
    "DATE",
    &Read(|text, _| read::date(text)),
    "not before then, as YYYY[-MM[-DD[Thh[:mm[:ss]]]]] (default 1970-01-01)",
);
const DATESTOP: Opt<u32> = Opt::own(
    "datestop",
    "DATE",
    &Read(|text, _| read::date(text)),
    "not after then, in the same form (default 2038-01-19T03:14:07)",
);
const TIMESTART: Opt<u32> = Opt::own(
    "timestart",
    "HOUR:MINUTE[:SECOND]",
    &Read(|text, _| read::time_of_day(text)),
    "each day from then (default 00:00:00)",
);
const TIMESTOP: Opt<u32> = Opt::own(
    "timestop",
    "HOUR:MINUTE[:SECOND]",
    &Read(|text, _| read::time_of_day(text)),
    "each day until then (default 23:59:59); before --timestart it is that of the next day",
);
const MONTHDAYS: Opt<u32> = Opt::own(
    "monthdays",
    "DAY[,...]",
    &Read(|text, _| read::days_of_the_month(text)),
    "on these days of the month, from 1 to 31",
)
.invertible();
const WEEKDAYS: Opt<u8> = Opt::own(
    "weekdays",
    "WEEKDAY[,...]",
    &Read(|text, _| read::days_of_the_week(text)),
    "on these days: Mon, Tue, Wed, Thu, Fri, Sat, Sun, or 1 to 7",
)
.invertible();
/// The old spelling of `--kerneltz`, which the tool takes for an option of its own: both may stand.
const LOCALTZ: Opt<()> = Opt::flag("localtz", "as --kerneltz, which is its name today").remarked(|_| {
    Some(
        "WARNING: --localtz is being replaced by --kerneltz, since \"local\" is ambiguous. Note the kernel timezone has caveats - see manpage \
         for details.\n"
            .to_owned(),
    )
});
const UTC: Opt<()> = Opt::flag("utc", "all of it is of universal time, as by itself");
const KERNELTZ: Opt<()> = Opt::flag(
    "kerneltz",
    "all of it is of the kernel's time zone, which is universal time as long as nobody tells it another",
);
const CONTIGUOUS: Opt<()> = Opt::flag(
    "contiguous",
    "the days are those on which the hours begin, also of what is past midnight",
);

const EVERY_DAY_OF_THE_WEEK: u8 = 0xfe;
const EVERY_DAY_OF_THE_MONTH: u32 = 0xffff_fffe;
const LAST_SECOND_OF_A_DAY: u32 = DAY - 1;
const DAY: u32 = 86_400;
/// The default end.
const LAST_SECOND: u32 = i32::MAX as u32;

/// Seen: asked of the whole before options exclude one another.
fn is_there_a_midnight(given: &Given<'_>) -> Result<(), UsageError> {
    let (start, stop) = hours(given);
    if given.has(CONTIGUOUS) && start < stop {
        return Err(UsageError::parameter(
            "time: --contiguous only makes sense when stoptime is smaller than starttime",
        ));
    }
    Ok(())
}

fn hours(given: &Given<'_>) -> (u32, u32) {
    (
        given.value(TIMESTART).unwrap_or(0),
        given.value(TIMESTOP).unwrap_or(LAST_SECOND_OF_A_DAY),
    )
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let (start_of_day, end_of_day) = hours(given);
    // `!` turns round the days that there are, so that a 0, which is none, stays.
    let weekdays = given.get(WEEKDAYS).map_or(EVERY_DAY_OF_THE_WEEK, |asked| {
        asked.value ^ if asked.inverted { EVERY_DAY_OF_THE_WEEK } else { 0 }
    });
    let monthdays = given.get(MONTHDAYS).map_or(EVERY_DAY_OF_THE_MONTH, |asked| {
        asked.value ^ if asked.inverted { EVERY_DAY_OF_THE_MONTH } else { 0 }
    });
    Ok(Arc::new(When {
        start: given.value(DATESTART).unwrap_or(0),
        end: given.value(DATESTOP).unwrap_or(LAST_SECOND),
        start_of_day,
        end_of_day,
        weekdays,
        monthdays,
        by_kernel_zone: given.has(KERNELTZ) || given.has(LOCALTZ),
        is_contiguous: given.has(CONTIGUOUS),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct When {
    /// Seconds since the epoch; both ends belong to it.
    start: u32,
    end: u32,
    /// Seconds since midnight, both ends too. Where it ends before it starts, or with it, it is all but what is between.
    start_of_day: u32,
    end_of_day: u32,
    /// A bit each, Monday the second. Others are kept, and mean nothing.
    weekdays: u8,
    /// A bit each, the first of the month the second.
    monthdays: u32,
    /// Which nobody tells a lab's kernel, so that it is universal time.
    by_kernel_zone: bool,
    is_contiguous: bool,
}

/// Why it is not the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    TooEarly,
    TooLate,
    Hour,
    Weekday,
    Monthday,
}

impl When {
    /// The kernel's order, in which the date comes first.
    fn missed(&self, now: u64) -> Option<Miss> {
        if now < self.start.into() {
            return Some(Miss::TooEarly);
        }
        if now > self.end.into() {
            return Some(Miss::TooLate);
        }
        let second = (now % u64::from(DAY)) as u32;
        let is_hour = match self.start_of_day < self.end_of_day {
            true => (self.start_of_day..=self.end_of_day).contains(&second),
            false => second >= self.start_of_day || second <= self.end_of_day,
        };
        if !is_hour {
            return Some(Miss::Hour);
        }
        let day = self.day(now);
        if self.weekdays & 1 << weekday(day) == 0 {
            return Some(Miss::Weekday);
        }
        let asks_for_days = self.monthdays != EVERY_DAY_OF_THE_MONTH;
        (asks_for_days && self.monthdays & 1 << date(day).day == 0).then_some(Miss::Monthday)
    }

    /// A second of the day that counts: the one before, where the hours at hand began on that.
    fn day(&self, now: u64) -> u64 {
        let day = u64::from(DAY);
        match self.is_contiguous && now % day < self.start_of_day.into() {
            true => now.saturating_sub(day),
            false => now,
        }
    }

    fn hours(&self) -> Option<(u32, u32)> {
        let hours = (self.start_of_day, self.end_of_day);
        (hours != (0, LAST_SECOND_OF_A_DAY)).then_some(hours)
    }

    fn weekdays(&self) -> Option<Days<u8>> {
        (self.weekdays != EVERY_DAY_OF_THE_WEEK).then_some(Days(self.weekdays))
    }

    fn monthdays(&self) -> Option<Days<u32>> {
        (self.monthdays != EVERY_DAY_OF_THE_MONTH).then_some(Days(self.monthdays))
    }
}

/// From Monday, which is 1.
fn weekday(second: u64) -> usize {
    (second / u64::from(DAY) + 3) as usize % 7 + 1
}

fn date(second: u64) -> Date {
    Date::of(Time::from_secs(second))
}

const NAMES: [&str; 8] = ["", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Those that are asked for, as they are saved.
struct Days<T>(T);

impl Days<u32> {
    fn each(&self) -> impl Iterator<Item = u32> {
        let days = self.0;
        (1..32).filter(move |day| days & 1 << day != 0)
    }
}

impl fmt::Display for Days<u32> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, day) in self.each().enumerate() {
            write!(f, "{}{day}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Days<u8> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = (1..8).filter(|day| self.0 & 1 << day != 0);
        for (at, day) in asked.enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { "," }, NAMES[day])?;
        }
        Ok(())
    }
}

/// Seen: the tool says 11st, 12nd and 13rd.
struct Ordinals(Days<u32>);

impl fmt::Display for Ordinals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, day) in self.0.each().enumerate() {
            let end = match day % 10 {
                1 => "st",
                2 => "nd",
                3 => "rd",
                _ => "th",
            };
            write!(f, "{}{day}{end}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// `10:11:12`.
struct Hour(u32);

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60, self.0 % 60)
    }
}

/// `2026-05-06T10:11:12`, with what stands between.
struct Moment(u64, char);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(second, between) = *self;
        let date = date(second);
        write!(
            f,
            "{}-{:02}-{:02}{between}{:02}:{:02}:{:02}",
            date.year,
            date.month + 1,
            date.day,
            date.hour,
            date.minute,
            date.second
        )
    }
}

impl Match for When {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.missed(cx.now.as_secs()).is_none().into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Reads).of_its_flow()
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let now = cx.now.as_secs();
        let is = Moment(now, 'T');
        let hour = Hour((now % u64::from(DAY)) as u32);
        let day = self.day(now);
        let is_or_began = if day == now { "it is" } else { "the hours began on" };
        match self.missed(now) {
            None => String::new(),
            Some(Miss::TooEarly) => {
                let start = Moment(self.start.into(), 'T');
                format!("{} {start}: it is {is}", DATESTART.spelled(false))
            }
            Some(Miss::TooLate) => {
                let end = Moment(self.end.into(), 'T');
                format!("{} {end}: it is {is}", DATESTOP.spelled(false))
            }
            Some(Miss::Hour) => format!(
                "{} {} {} {}: it is {hour}",
                TIMESTART.spelled(false),
                Hour(self.start_of_day),
                TIMESTOP.spelled(false),
                Hour(self.end_of_day)
            ),
            Some(Miss::Weekday) => format!(
                "{} {}: {is_or_began} {}",
                WEEKDAYS.spelled(false),
                Days(self.weekdays),
                NAMES[weekday(day)]
            ),
            Some(Miss::Monthday) => format!(
                "{} {}: {is_or_began} the {}",
                MONTHDAYS.spelled(false),
                Days(self.monthdays),
                Ordinals(Days(1 << date(day).day))
            ),
        }
    }

    /// Seen: each date that is not the epoch is printed, also the end that is there by itself.
    fn save(&self, out: &mut String) {
        if let Some((start, stop)) = self.hours() {
            let _ = write!(
                out,
                " {} {} {} {}",
                TIMESTART.spelled(false),
                Hour(start),
                TIMESTOP.spelled(false),
                Hour(stop)
            );
        }
        if let Some(days) = self.monthdays() {
            let _ = write!(out, " {} {days}", MONTHDAYS.spelled(false));
        }
        if let Some(days) = self.weekdays() {
            let _ = write!(out, " {} {days}", WEEKDAYS.spelled(false));
        }
        for (option, date) in [(DATESTART, self.start), (DATESTOP, self.end)] {
            if date != 0 {
                let _ = write!(out, " {} {}", option.spelled(false), Moment(date.into(), 'T'));
            }
        }
        if self.by_kernel_zone {
            let _ = write!(out, " {}", KERNELTZ.spelled(false));
        }
        if self.is_contiguous {
            let _ = write!(out, " {}", CONTIGUOUS.spelled(false));
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" TIME");
        if let Some((start, stop)) = self.hours() {
            let _ = write!(out, " from {} to {}", Hour(start), Hour(stop));
        }
        if let Some(days) = self.weekdays() {
            let _ = write!(out, " on {days}");
        }
        if let Some(days) = self.monthdays() {
            let _ = write!(out, " on {}", Ordinals(days));
        }
        if self.start != 0 {
            let _ = write!(out, " starting from {}", Moment(self.start.into(), ' '));
        }
        if self.end != LAST_SECOND {
            out.push_str(" until date");
        }
        if self.end != LAST_SECOND && self.end != 0 {
            let _ = write!(out, " {}", Moment(self.end.into(), ' '));
        }
        if !self.by_kernel_zone {
            out.push_str(" UTC");
        }
        if self.is_contiguous {
            let _ = write!(out, " {}", CONTIGUOUS.name());
        }
    }
}

/// ` TIME from 10:00:00 to 11:00:00 on Mon,Tue on 1st,3rd starting from 2026-01-01 00:00:00 until date 2027-01-01 00:00:00 UTC contiguous`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("TIME")?;
        let mut options = Options::default();
        if it.word("from").is_some() {
            options.push(false, TIMESTART.name(), it.take()?);
            it.word("to")?;
            options.push(false, TIMESTOP.name(), it.take()?);
        }
        let mut has_weekdays = false;
        while it.word("on").is_some() {
            let of_months = |days: &str| days.starts_with(|first: char| first.is_ascii_digit());
            match it.peek() {
                Some(days) if of_months(days) => {
                    it.take();
                    let days: Vec<&str> = days
                        .split(',')
                        .map(|day| day.trim_end_matches(char::is_alphabetic))
                        .collect();
                    options.push(false, MONTHDAYS.name(), &days.join(","));
                }
                Some(days) if NAMES[1..].iter().any(|name| days.starts_with(name)) => {
                    it.take();
                    options.push(false, WEEKDAYS.name(), days);
                    has_weekdays = true;
                }
                // None of them: of which kind, it does not say where it could be either, and neither ever comes.
                _ => {
                    let option = if has_weekdays {
                        MONTHDAYS.name()
                    } else {
                        WEEKDAYS.name()
                    };
                    options.push(false, option, "");
                    options.word("");
                    has_weekdays = true;
                }
            }
        }
        let mut moment = |it: &mut Listed<'_>, option: Opt<u32>| {
            let date = it.take()?;
            let hour = it.take()?;
            options.push(false, option.name(), &format!("{date}T{hour}"));
            Some(())
        };
        if it.word("starting").is_some() {
            it.word("from")?;
            moment(it, DATESTART)?;
        }
        if it.word("until").is_some() {
            it.word("date")?;
            let has_date = it
                .peek()
                .is_some_and(|next| next.starts_with(|first: char| first.is_ascii_digit()));
            match has_date {
                true => moment(it, DATESTOP)?,
                false => options.push(false, DATESTOP.name(), "1970"),
            }
        }
        if it.word("UTC").is_none() {
            options.push(false, KERNELTZ.name(), "");
        }
        if it.word(CONTIGUOUS.name()).is_some() {
            options.push(false, CONTIGUOUS.name(), "");
        }
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_match, udp};

    /// `2026-05-06T10:11:12`, of which no part is left out.
    fn at(moment: &str) -> Time {
        Time::from_secs(read::date(moment).unwrap().into())
    }

    /// What is asked, when, and why not (empty: it is the time). The sixth of May 2026 is a Wednesday.
    const CASES: [(&str, &str, &str); 27] = [
        ("", "2026-05-06T10:11:12", ""),
        ("", "2038-01-19T03:14:07", ""),
        (
            "",
            "2038-01-19T03:14:08",
            "--datestop 2038-01-19T03:14:07: it is 2038-01-19T03:14:08",
        ),
        ("--datestart 2026-05-06T10:11:12", "2026-05-06T10:11:12", ""),
        (
            "--datestart 2026-05-06T10:11:12",
            "2026-05-06T10:11:11",
            "--datestart 2026-05-06T10:11:12: it is 2026-05-06T10:11:11",
        ),
        ("--datestop 2026-05-06T10:11:12", "2026-05-06T10:11:12", ""),
        (
            "--datestop 2026-05-06T10:11:12",
            "2026-05-06T10:11:13",
            "--datestop 2026-05-06T10:11:12: it is 2026-05-06T10:11:13",
        ),
        ("--timestart 10:00 --timestop 12:00", "2026-05-06T10:00:00", ""),
        ("--timestart 10:00 --timestop 12:00", "2026-05-06T12:00:00", ""),
        (
            "--timestart 10:00 --timestop 12:00",
            "2026-05-06T12:00:01",
            "--timestart 10:00:00 --timestop 12:00:00: it is 12:00:01",
        ),
        (
            "--timestart 10:00",
            "2026-05-06T09:59:59",
            "--timestart 10:00:00 --timestop 23:59:59: it is 09:59:59",
        ),
        ("--timestart 22:00 --timestop 06:00", "2026-05-06T22:00:00", ""),
        ("--timestart 22:00 --timestop 06:00", "2026-05-06T06:00:00", ""),
        (
            "--timestart 22:00 --timestop 06:00",
            "2026-05-06T06:00:01",
            "--timestart 22:00:00 --timestop 06:00:00: it is 06:00:01",
        ),
        // What begins and ends in one second is the whole day.
        ("--timestart 10:00 --timestop 10:00", "2026-05-06T06:00:00", ""),
        ("--weekdays Wed", "2026-05-06T23:59:59", ""),
        ("--weekdays Wed", "2026-05-07T00:00:00", "--weekdays Wed: it is Thu"),
        ("--weekdays 7", "2026-05-10T00:00:00", ""),
        (
            "! --weekdays Sat,Sun",
            "2026-05-10T00:00:00",
            "--weekdays Mon,Tue,Wed,Thu,Fri: it is Sun",
        ),
        ("--weekdays 8", "2026-05-10T00:00:00", "--weekdays : it is Sun"),
        ("--monthdays 5,6", "2026-05-06T23:59:59", ""),
        (
            "--monthdays 5,6",
            "2026-05-31T23:59:59",
            "--monthdays 5,6: it is the 31st",
        ),
        ("! --monthdays 0", "2026-05-31T23:59:59", ""),
        // Of a night that began the day before.
        (
            "--timestart 22:00 --timestop 06:00 --contiguous --weekdays Tue --monthdays 5",
            "2026-05-06T05:00:00",
            "",
        ),
        (
            "--timestart 22:00 --timestop 06:00 --contiguous --weekdays Wed",
            "2026-05-06T05:00:00",
            "--weekdays Wed: the hours began on Tue",
        ),
        (
            "--timestart 22:00 --timestop 06:00 --contiguous --monthdays 6",
            "2026-05-06T05:00:00",
            "--monthdays 6: the hours began on the 5th",
        ),
        (
            "--timestart 22:00 --timestop 06:00 --contiguous --weekdays Wed --monthdays 6 --kerneltz",
            "2026-05-06T22:00:00",
            "",
        ),
    ];

    #[test]
    fn it_is_the_time_or_not() {
        let mut bench = Bench::new();
        let packet = udp(1, 2, &[]);
        for (typed, moment, why) in CASES {
            bench.now = at(moment);
            let made = read_match(&SPEC, ANY, typed).unwrap();
            let (matched, said) = bench.ask(made.as_ref(), &packet);
            assert_eq!(said, why, "{typed} at {moment}");
            assert_eq!(matched == Matched::Yes, why.is_empty(), "{typed} at {moment}");
        }
    }
}
