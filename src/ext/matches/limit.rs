//! `-m limit`: a bucket of tokens that fills at a rate. The arithmetic is the kernel's, in its units (a jiffy is 4 ms here), so tokens come at the
//! same instants and overflow where they do.

use std::fmt::Write;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::base::{Family, JIFFIES_PER_SECOND, Time};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::atoll;
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::rule::{Context, Effect, Errno, Match, Matched, Refusal, Scope, State, StateUse};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "limit",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[RATE.spec, BURST.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "matches as long as there is a token in a bucket that fills at a rate",
    samples: SAMPLES,
};

const RATE: Opt<u32> = Opt::own(
    "limit",
    "NUMBER[/second|/minute|/hour|/day]",
    &Read(|text, _| period(text)),
    "tokens come at this rate (default 3/hour)",
);
const BURST: Opt<u64> = Opt::integer("limit-burst", 0, 10_000, "the bucket holds so many tokens (default 5)");

/// A period between two tokens is counted in ten-thousandths of a second.
const SCALE: u32 = 10_000;
/// Seconds of a unit, and its name in print.
const UNITS: [(u32, &str, &str); 4] = [
    (1, "second", "sec"),
    (60, "minute", "min"),
    (3600, "hour", "hour"),
    (86_400, "day", "day"),
];
const DEFAULT_PERIOD: u32 = SCALE * 3600 / 3;
const DEFAULT_BURST: u32 = 5;

/// The period between two tokens.
fn period(text: &str) -> Result<u32, UsageError> {
    let bad = || UsageError::parameter(format!("bad rate \"{text}\"'"));
    let (number, seconds) = match text.split_once('/') {
        None => (text, 1),
        Some((number, unit)) => {
            let fits = |name: &str| {
                name.get(..unit.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(unit))
            };
            let unit = UNITS.iter().find(|(_, name, _)| !unit.is_empty() && fits(name));
            (number, unit.ok_or_else(bad)?.0)
        }
    };
    // As 32 bits hold it: a minus makes it huge.
    let count = match atoll(number) as u32 {
        0 => return Err(bad()),
        count => count,
    };
    match SCALE * seconds / count {
        0 => Err(UsageError::parameter(format!("Rate too fast \"{text}\""))),
        period => Ok(period),
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Limit {
        period: given.value(RATE).unwrap_or(DEFAULT_PERIOD),
        burst: given.value(BURST).map_or(DEFAULT_BURST, |burst| burst as u32),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Limit {
    /// Ten-thousandths of a second between two tokens.
    period: u32,
    burst: u32,
}

/// What is left in the bucket. A replacement of the table fills it anew, in the kernel too.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    credit: u32,
    /// Jiffies.
    filled: u64,
}

/// Credits that a jiffy brings: the largest power of two that leaves room for a day.
const CREDITS_PER_JIFFY: u32 = {
    let most = u32::MAX / (JIFFIES_PER_SECOND * 60 * 60 * 24);
    1 << (31 - most.leading_zeros())
};

fn credits(period: u32) -> u32 {
    let per_second = JIFFIES_PER_SECOND * CREDITS_PER_JIFFY;
    if period > u32::MAX / per_second {
        (period / SCALE).wrapping_mul(per_second)
    } else {
        period * per_second / SCALE
    }
}

impl Limit {
    fn cost(&self) -> u32 {
        credits(self.period)
    }

    fn capacity(&self) -> u32 {
        credits(self.period.wrapping_mul(self.burst))
    }

    fn rate(&self) -> String {
        // The smallest unit in which the rate is a whole number, more or less.
        let unit = UNITS.iter().find(|(seconds, ..)| {
            let unit = seconds * SCALE;
            unit >= self.period && unit / self.period >= unit % self.period
        });
        let (seconds, _, name) = unit.unwrap_or(&UNITS[3]);
        format!("{}/{name}", seconds * SCALE / self.period)
    }
}

impl Match for Limit {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(bucket) = cx.state::<Mutex<Bucket>>() else {
            return Matched::No;
        };
        let mut bucket = bucket.lock();
        let now = cx.now.jiffies();
        let passed = now.saturating_sub(bucket.filled) as u32;
        bucket.filled = now;
        let filled = bucket.credit.wrapping_add(passed.wrapping_mul(CREDITS_PER_JIFFY));
        bucket.credit = filled.min(self.capacity());
        if bucket.credit < self.cost() {
            return Matched::No;
        }
        bucket.credit -= self.cost();
        Matched::Yes
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Writes)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let left = match cx.state::<Mutex<Bucket>>() {
            Some(bucket) => f64::from(bucket.lock().credit) / f64::from(self.cost().max(1)),
            None => 0.0,
        };
        // Cut, not rounded: 0.999 of a token is no token.
        format!(
            "{} {}: {:.2} of 1 token",
            RATE.spelled(false),
            self.rate(),
            (left * 100.0).floor() / 100.0
        )
    }

    fn remember(&self, cx: &Context<'_>) -> Option<Box<State>> {
        let bucket = *cx.state::<Mutex<Bucket>>()?.lock();
        Some(Box::new(Mutex::new(bucket)))
    }

    fn copy_state(&self, state: &State) -> Option<Box<State>> {
        let bucket = *state.downcast_ref::<Mutex<Bucket>>()?.lock();
        Some(Box::new(Mutex::new(bucket)))
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", RATE.spelled(false), self.rate());
        if self.burst != DEFAULT_BURST {
            let _ = write!(out, " {} {}", BURST.spelled(false), self.burst);
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " limit: avg {} burst {}", self.rate(), self.burst);
    }

    fn state(&self, now: Time) -> Option<Box<State>> {
        Some(Box::new(Mutex::new(Bucket {
            credit: self.capacity(),
            filled: now.jiffies(),
        })))
    }

    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        if self.burst != 0 && self.capacity() >= self.cost() {
            return Ok(());
        }
        Err(Refusal::logged(
            Errno::OutOfRange,
            format!("xt_limit: Overflow, try lower: {}/{}", self.period, self.burst),
        ))
    }
}

/// ` limit: avg 3/hour burst 5`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("limit:")?;
        it.word("avg")?;
        let mut options = Options::default();
        options.push(false, RATE.name(), it.take()?);
        it.word("burst")?;
        options.push(false, BURST.name(), it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "--limit 3/hour", "limit: avg 3/hour burst 5"),
        taken("", "--limit 3/minute", "--limit 3/min", "limit: avg 3/min burst 5"),
        taken("", "--limit 3", "--limit 3/sec", "limit: avg 3/sec burst 5"),
        taken("", "--limit 3/s", "--limit 3/sec", "limit: avg 3/sec burst 5"),
        taken("", "--limit 7/h", "--limit 7/hour", "limit: avg 7/hour burst 5"),
        taken("", "--limit 7/DA", "--limit 7/day", "limit: avg 7/day burst 5"),
        taken(
            "",
            "--limit 9999/s",
            "--limit 10000/sec",
            "limit: avg 10000/sec burst 5",
        ),
        taken(
            "",
            "--limit 7000/s",
            "--limit 10000/sec",
            "limit: avg 10000/sec burst 5",
        ),
        taken("", "--limit 3333/s", "--limit 3333/sec", "limit: avg 3333/sec burst 5"),
        taken("", "--limit 1001/s", "--limit 1111/sec", "limit: avg 1111/sec burst 5"),
        taken(
            "",
            "--limit 600000/min",
            "--limit 10000/sec",
            "limit: avg 10000/sec burst 5",
        ),
        taken("", "--limit 60/min", "--limit 1/sec", "limit: avg 1/sec burst 5"),
        taken("", "--limit 90/min", "--limit 90/min", "limit: avg 90/min burst 5"),
        taken("", "--limit 61/min", "--limit 61/min", "limit: avg 61/min burst 5"),
        taken("", "--limit 100/h", "--limit 100/hour", "limit: avg 100/hour burst 5"),
        taken("", "--limit 24/day", "--limit 1/hour", "limit: avg 1/hour burst 5"),
        taken("", "--limit 25/day", "--limit 25/day", "limit: avg 25/day burst 5"),
        taken("", "--limit 1.5/s", "--limit 1/sec", "limit: avg 1/sec burst 5"),
        taken("", "--limit \" 3 /s\"", "--limit 3/sec", "limit: avg 3/sec burst 5"),
        taken(
            "",
            "--limit-burst 7",
            "--limit 3/hour --limit-burst 7",
            "limit: avg 3/hour burst 7",
        ),
    ],
    refused: &[
        refused("", "--limit 3/seconds", "bad rate \"3/seconds\"'"),
        refused("", "--limit 7/", "bad rate \"7/\"'"),
        refused("", "--limit 3//s", "bad rate \"3//s\"'"),
        refused("", "--limit 0/s", "bad rate \"0/s\"'"),
        refused("", "--limit 0x3/s", "bad rate \"0x3/s\"'"),
        refused("", "--limit 4294967296/s", "bad rate \"4294967296/s\"'"),
        refused("", "--limit -1/s", "Rate too fast \"-1/s\""),
        refused("", "--limit 10001/s", "Rate too fast \"10001/s\""),
        refused("", "--limit 600001/min", "Rate too fast \"600001/min\""),
        refused(
            "",
            "--limit 3/s --limit 4/s",
            "limit: option \"--limit\" can only be used once.\n",
        ),
        refused("", "! --limit 3/s", "limit: option \"--limit\" cannot be inverted.\n"),
        refused(
            "",
            "--limit-burst 10001",
            "limit: bad value for option \"--limit-burst\", or out of range (0-10000).\n",
        ),
    ],
    packets: &[
        passes("", "--limit 1/hour --limit-burst 1", DATAGRAM),
        fails(
            "",
            "--limit 1/hour --limit-burst 1",
            DATAGRAM,
            "--limit 1/hour: 0.00 of 1 token",
        )
        .after(&["lan udp 10.0.0.2:1 > 192.0.2.9:2"]),
    ],
    spellings: &[
        "-m limit",
        "-m limit --limit 3/hour",
        "-m limit --limit 3/hour --limit-burst 5",
        "-m limit --limit 1/second",
        "-m limit --limit 60/minute",
        "-m limit --limit 1/s",
        "-m limit --limit 60/m --limit-burst 5",
        "-m limit --limit 3/h --limit-burst 6",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 5,
    |draw| {
        // Seen: the kernel refuses what its credits cannot hold, which is all but one or two packets a day.
        if draw.one_in(5) {
            let (rate, burst) = draw.pick(&[("1/day", "1"), ("2/d", "2")]);
            draw.give(&RATE.spec, rate);
            draw.give(&BURST.spec, burst);
            return;
        }
        if !draw.one_in(5) {
            draw.give_one(&RATE.spec, &["1/hour", "3/hour", "10/day", "1/h"]);
        }
        if !draw.one_in(3) {
            draw.give_one(&BURST.spec, &["1", "2", "5", "10", "20"]);
        }
    },
)
.without(&[(
    "-m limit with rates that bring a token within minutes",
    "whether a packet finds a token would depend on milliseconds",
)]);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ext::testing::{ANY, Bench, match_places, read_match, udp};
    use crate::rule::{Hook, Table};

    #[test]
    fn rates_that_overflow() {
        for (typed, refused) in [
            ("--limit 1/day", Some("864000000/5")),
            ("--limit 1/day --limit-burst 100", Some("864000000/100")),
            ("--limit 3/s --limit-burst 0", Some("3333/0")),
            ("--limit 1/hour --limit-burst 119", None),
            ("--limit 1/hour --limit-burst 120", Some("36000000/120")),
            // Twice around, and large enough again: the kernel takes it, and holds one token.
            ("--limit 1/hour --limit-burst 240", None),
            ("--limit 2/day", None),
            // The product overflows a second time where it becomes credits, at 128 of them to a jiffy.
            ("--limit 1/day --limit-burst 1", None),
            ("--limit 1/day --limit-burst 2", Some("864000000/2")),
            ("--limit 1/day --limit-burst 3", None),
            ("--limit 1/day --limit-burst 4", Some("864000000/4")),
            ("--limit 7/day --limit-burst 11", Some("123428571/11")),
            ("--limit 7/day --limit-burst 12", None),
            ("--limit 1/hour --limit-burst 37", None),
            ("--limit 1/hour --limit-burst 38", Some("36000000/38")),
        ] {
            let said = refused.map(|it| format!("xt_limit: Overflow, try lower: {it}"));
            let said = said.unwrap_or_default();
            match_places(&SPEC, ANY, typed, &[(Table::Filter, &[Hook::Input], &said)]);
        }
    }

    /// How many of ten packets at each of these milliseconds pass.
    fn passed(typed: &str, milliseconds: &[u64]) -> Vec<usize> {
        let made = read_match(&SPEC, ANY, typed).unwrap();
        let packet = udp(1, 2, &[]);
        let mut bench = Bench::new();
        let start = bench.now;
        let state = made.state(start);
        milliseconds
            .iter()
            .map(|&at| {
                bench.now = start + Duration::from_millis(at);
                let cx = bench.context(&packet, state.as_deref());
                (0..10).filter(|_| made.evaluate(&cx) == Matched::Yes).count()
            })
            .collect()
    }

    #[test]
    fn tokens() {
        assert_eq!(
            passed("--limit 3/min", &[0, 19_999, 20_000, 60_000, 600_000]),
            [5, 0, 1, 2, 5]
        );
        assert_eq!(
            passed("--limit 10/s --limit-burst 3", &[0, 99, 100, 350, 2000]),
            [3, 0, 1, 2, 3]
        );
        // A jiffy is the least: 300 in a second cannot be had.
        assert_eq!(
            passed("--limit 300/s --limit-burst 1", &[0, 3, 4, 7, 8]),
            [1, 0, 1, 0, 1]
        );
        assert_eq!(passed("--limit 1/hour --limit-burst 240", &[0]), [1]);
    }

    #[test]
    fn explains_what_is_left() {
        let made = read_match(&SPEC, ANY, "--limit 3/min --limit-burst 1").unwrap();
        let packet = udp(1, 2, &[]);
        let mut bench = Bench::new();
        let state = made.state(bench.now);
        assert_eq!(made.evaluate(&bench.context(&packet, state.as_deref())), Matched::Yes);
        bench.now = bench.now + Duration::from_secs(6);
        let cx = bench.context(&packet, state.as_deref());
        assert_eq!(made.evaluate(&cx), Matched::No);
        assert_eq!(made.explain(&cx), "--limit 3/min: 0.30 of 1 token");
    }

    /// A sentence may be asked for when the state is long another: what the match keeps of it says the same then.
    #[test]
    fn what_is_remembered_tells_the_same_later() {
        let made = read_match(&SPEC, ANY, "--limit 3/min --limit-burst 1").unwrap();
        let packet = udp(1, 2, &[]);
        let mut bench = Bench::new();
        let state = made.state(bench.now).unwrap();
        while made.evaluate(&bench.context(&packet, Some(state.as_ref()))) == Matched::Yes {}
        let then = bench.now;
        let cx = bench.context(&packet, Some(state.as_ref()));
        let sentence = made.explain(&cx);
        let remembered = made.remember(&cx).unwrap();
        bench.now = bench.now + std::time::Duration::from_secs(10);
        let _ = made.evaluate(&bench.context(&packet, Some(state.as_ref())));
        bench.now = then;
        assert_ne!(made.explain(&bench.context(&packet, Some(state.as_ref()))), sentence);
        let cx = bench.context(&packet, Some(remembered.as_ref()));
        assert_eq!(made.explain(&cx), sentence);
    }
}
