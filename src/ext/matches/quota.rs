//! `-m quota`: as many bytes as a rule has, and then no more.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::sync::Mutex;
use crate::base::{Family, Time};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::rule::{Context, Effect, Match, Matched, State, StateUse};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "quota",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[QUOTA.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "so many bytes of packets, and then none: a change of the table begins anew",
    samples: SAMPLES,
};

const QUOTA: Opt<u64> = Opt::integer(
    "quota",
    0,
    u64::MAX,
    "what is left of so many bytes is as much as the packet, which takes it away",
)
.invertible()
.required();

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Quota {
        quota: given.get(QUOTA).unwrap_or_default(),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Quota {
    quota: Asked<u64>,
}

/// A replacement of the table gives the rule all of it again, in the kernel too.
#[derive(Clone, Copy, Debug)]
struct Left {
    bytes: u64,
    /// What the last packet found, for who explains.
    before: u64,
}

impl Match for Quota {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    /// Seen: the first packet that is too much takes all that is left, so that no smaller one passes behind it.
    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(left) = cx.state::<Mutex<Left>>() else {
            return Matched::No;
        };
        let mut left = left.lock();
        left.before = left.bytes;
        let rest = left.bytes.checked_sub(cx.packet.len() as u64);
        left.bytes = rest.unwrap_or(0);
        self.quota.fits(rest.is_some()).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Writes)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let Asked { value, inverted } = self.quota;
        let before = cx.state::<Mutex<Left>>().map_or(0, |left| left.lock().before);
        format!(
            "{} {value}: {before} left, packet has {}",
            QUOTA.spelled(inverted),
            cx.packet.len()
        )
    }

    fn remember(&self, cx: &Context<'_>) -> Option<Box<State>> {
        self.copy_state(cx.state?)
    }

    fn copy_state(&self, state: &State) -> Option<Box<State>> {
        let left = *state.downcast_ref::<Mutex<Left>>()?.lock();
        Some(Box::new(Mutex::new(left)))
    }

    fn save(&self, out: &mut String) {
        let Asked { value, inverted } = self.quota;
        let _ = write!(out, " {} {value}", QUOTA.spelled(inverted));
    }

    /// Seen: of a `!` it says nothing.
    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " quota: {} bytes", self.quota.value);
    }

    fn state(&self, _now: Time) -> Option<Box<State>> {
        let bytes = self.quota.value;
        Some(Box::new(Mutex::new(Left { bytes, before: bytes })))
    }
}

/// ` quota: 1000 bytes`, of either.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    let read = |inverted| {
        listed.once(|it| {
            it.word("quota:")?;
            let mut options = Options::default();
            options.push(inverted, QUOTA.name(), it.take()?);
            it.word("bytes")?;
            options.unknown("`quota` may stand behind a `!`");
            Some(options)
        })
    };
    [read(false), read(true)].concat()
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--quota 0", "--quota 0", "quota: 0 bytes"),
        taken("", "--quota 1000", "--quota 1000", "quota: 1000 bytes"),
        taken("", "! --quota 1000", "! --quota 1000", "quota: 1000 bytes"),
        taken("", "--quota 0x10", "--quota 16", "quota: 16 bytes"),
        taken("", "--quota +010", "--quota 8", "quota: 8 bytes"),
        taken(
            "",
            "--quota 18446744073709551615",
            "--quota 18446744073709551615",
            "quota: 18446744073709551615 bytes",
        ),
    ],
    refused: &[
        refused("", "", "quota: option \"--quota\" must be specified\n"),
        refused("", "--quota 18446744073709551616", OUT_OF_RANGE),
        refused("", "--quota -1", OUT_OF_RANGE),
        refused("", "--quota 1k", OUT_OF_RANGE),
        refused("", "--quota \"\"", OUT_OF_RANGE),
        refused(
            "",
            "--quota 5 --quota 6",
            "quota: option \"--quota\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--quota 28", DATAGRAM),
        fails("", "--quota 27", DATAGRAM, "--quota 27: 27 left, packet has 28"),
        fails("", "--quota 50", DATAGRAM, "--quota 50: 22 left, packet has 28")
            .after(&["lan udp 10.0.0.3:1 > 192.0.2.9:2"]),
        fails(
            "",
            "! --quota 1000",
            DATAGRAM,
            "! --quota 1000: 1000 left, packet has 28",
        ),
        passes("", "! --quota 28", DATAGRAM).after(&["lan udp 10.0.0.3:1 > 192.0.2.9:2"]),
    ],
    spellings: &[
        "-m quota --quota 5",
        "-m quota --quota 0x5",
        "-m quota ! --quota 5",
        "-m quota --quota 6",
    ],
    drawn: DRAWN,
};

const OUT_OF_RANGE: &str = "quota: bad value for option \"--quota\", or out of range (0-18446744073709551615).\n";

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        draw.give_one(
            &QUOTA.spec,
            &["0", "100", "500", "1000", "3000", "10000", "18446744073709551615"],
        );
    },
)
.in_one_scenario_of(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_match, udp};

    #[test]
    fn who_is_too_much_takes_all_that_is_left() {
        for (typed, expected) in [
            ("--quota 100", [true, true, false, false]),
            ("! --quota 100", [false, false, true, true]),
        ] {
            let (bench, made) = (Bench::new(), read_match(&SPEC, ANY, typed).unwrap());
            let state = made.state(bench.now);
            let sizes = [2, 12, 200, 0];
            for (size, expected) in sizes.into_iter().zip(expected) {
                let packet = udp(1, 2, &vec![0; size]);
                let cx = bench.context(&packet, state.as_deref());
                assert_eq!(made.evaluate(&cx) == Matched::Yes, expected, "{typed}, {size} bytes");
            }
        }
    }

    #[test]
    fn a_sentence_says_what_was_left_then() {
        let (bench, made) = (Bench::new(), read_match(&SPEC, ANY, "--quota 50").unwrap());
        let state = made.state(bench.now);
        let packet = udp(1, 2, &[]);
        let cx = bench.context(&packet, state.as_deref());
        made.evaluate(&cx);
        let kept = made.remember(&cx);
        made.evaluate(&cx);
        let later = bench.context(&packet, kept.as_deref());
        assert_eq!(made.explain(&later), "--quota 50: 50 left, packet has 28");
        assert_eq!(made.explain(&cx), "--quota 50: 22 left, packet has 28");
        // A copy goes its own way from there.
        let copy = made.copy_state(state.as_deref().unwrap());
        let cx = bench.context(&packet, copy.as_deref());
        assert_eq!(made.evaluate(&cx), Matched::No);
        assert_eq!(made.explain(&cx), "--quota 50: 0 left, packet has 28");
    }
}
