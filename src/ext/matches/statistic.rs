//! `-m statistic`: a part of the packets, by chance or every nth.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::{Family, Time};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::strtod;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::ext::wording::not;
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Context, Effect, Match, Matched, State, StateUse};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "statistic",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[MODE.spec, PROBABILITY.spec, EVERY.spec, PACKET.spec],
    needs_one: Some(NeedsOne::AsAsked(what_the_mode_needs)),
    exclusive: &[
        &[PROBABILITY.name(), EVERY.name()],
        &[PROBABILITY.name(), PACKET.name()],
    ],
    build,
    unlist,
    directory: None,
    about: "a part of the packets, by chance or every nth",
    samples: SAMPLES,
};

const MODE: Opt<Mode> = Opt::own(
    "mode",
    "random|nth",
    &Read(|text, _| match text {
        "random" => Ok(Mode::Random),
        "nth" => Ok(Mode::Nth),
        _ => Err(UsageError::parameter(format!("Bad mode \"{text}\""))),
    }),
    "by chance, or by counting",
)
.required();
const PROBABILITY: Opt<u32> = Opt::own(
    "probability",
    "PROBABILITY",
    &Read(|text, _| {
        probability(text).ok_or_else(|| {
            UsageError::parameter("statistic: bad value for option \"--probability\", or out of range (0-1).\n")
        })
    }),
    "random: so likely, from 0 to 1",
)
.invertible();
const EVERY: Opt<u64> = Opt::integer(
    "every",
    1,
    u32::MAX as u64,
    "nth: one packet of so many; needs --packet too",
)
.invertible()
.together_with(|| PACKET.name());
const PACKET: Opt<u64> =
    Opt::integer("packet", 0, u32::MAX as u64, "nth: which of them, the first is 0").together_with(|| EVERY.name());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Random,
    Nth,
}

/// What is certain.
const CERTAIN: u32 = 1 << 31;

/// In parts of 2^31. Seen: what is no number (`nan`) is taken, as 0.
fn probability(text: &str) -> Option<u32> {
    let number = strtod(text)?;
    (number.is_nan() || (0.0..=1.0).contains(&number)).then(|| (number * f64::from(CERTAIN)).round() as u32)
}

/// Seen: a rule without a mode is asked for what `random` needs, and only then for the mode; one of either mode whether `--packet` fits.
fn what_the_mode_needs(given: &Given<'_>) -> Result<(), UsageError> {
    let has_one = given.has(EVERY) || given.has(PACKET);
    let refused = match given.value(MODE).unwrap_or(Mode::Random) {
        Mode::Random if !given.has(PROBABILITY) => "--probability must be specified when using random mode",
        Mode::Nth if !has_one => "--every and --packet must be specified when using nth mode",
        _ if given.value(PACKET).unwrap_or(0) > u64::from(last(given)) => "the --packet p must be 0 <= p <= n-1",
        _ => return Ok(()),
    };
    Err(UsageError::parameter(refused))
}

/// The number of the last packet of a round. Seen: the tool has one place for it and the probability, and asks there although both are refused
/// a moment later.
fn last(given: &Given<'_>) -> u32 {
    let every = given.value(EVERY).map(|every| (every - 1) as u32);
    let of_name = |name: &str| match name {
        _ if name == EVERY.name() => every,
        _ if name == PROBABILITY.name() => given.value(PROBABILITY),
        _ => None,
    };
    let places = given.options.iter().rev();
    places.map(|option| option.spec.name).find_map(of_name).unwrap_or(0)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let inverted = |inverted: Option<bool>| inverted.unwrap_or(false);
    Ok(match given.value(MODE) {
        Some(Mode::Nth) => Arc::new(Statistic {
            part: Asked {
                value: Part::Nth {
                    last: last(given),
                    packet: given.value(PACKET).unwrap_or(0) as u32,
                },
                inverted: inverted(given.get(EVERY).map(|it| it.inverted)),
            },
        }),
        Some(Mode::Random) | None => Arc::new(Statistic {
            part: Asked {
                value: Part::Random(given.value(PROBABILITY).unwrap_or(0)),
                inverted: inverted(given.get(PROBABILITY).map(|it| it.inverted)),
            },
        }),
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Statistic {
    part: Asked<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// In parts of 2^31.
    Random(u32),
    /// Packets of a round are numbered from 0 to `last`.
    Nth { last: u32, packet: u32 },
}

/// What the last packet was: the number that was drawn, or its number in its round. A replacement of the table begins the rounds anew, in the
/// kernel too.
#[derive(Debug)]
struct Last(AtomicU32);

impl Last {
    fn copy(&self) -> Box<State> {
        Box::new(Self(AtomicU32::new(self.0.load(Ordering::Relaxed))))
    }
}

impl Match for Statistic {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(Last(last_seen)) = cx.state::<Last>() else {
            return Matched::No;
        };
        let has = match self.part.value {
            Part::Random(probability) => {
                let drawn = cx.draw() & (CERTAIN - 1);
                last_seen.store(drawn, Ordering::Relaxed);
                drawn < probability
            }
            Part::Nth { last, packet } => {
                let next = |seen: u32| if seen >= last { 0 } else { seen + 1 };
                let before = last_seen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| Some(next(seen)));
                // The closure always has an answer.
                let (Ok(before) | Err(before)) = before;
                next(before) == packet
            }
        };
        self.part.fits(has).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Writes)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let seen = cx.state::<Last>().map_or(0, |last| last.0.load(Ordering::Relaxed));
        let inverted = self.part.inverted;
        match self.part.value {
            Part::Random(probability @ (0 | CERTAIN)) => format!(
                "{} {}: matches no packet ever",
                PROBABILITY.spelled(inverted),
                Share(probability)
            ),
            Part::Random(probability) => format!(
                "{} {}: drew {}",
                PROBABILITY.spelled(inverted),
                Share(probability),
                Share(seen)
            ),
            Part::Nth { last, packet } => format!(
                "{} {} {} {packet}: counted as packet {seen}",
                EVERY.spelled(inverted),
                u64::from(last) + 1,
                PACKET.spelled(false)
            ),
        }
    }

    fn remember(&self, cx: &Context<'_>) -> Option<Box<State>> {
        Some(cx.state::<Last>()?.copy())
    }

    fn state(&self, _now: Time) -> Option<Box<State>> {
        let before_the_first = match self.part.value {
            Part::Random(_) => 0,
            Part::Nth { last, .. } => last,
        };
        Some(Box::new(Last(AtomicU32::new(before_the_first))))
    }

    fn copy_state(&self, state: &State) -> Option<Box<State>> {
        Some(state.downcast_ref::<Last>()?.copy())
    }

    fn save(&self, out: &mut String) {
        let inverted = self.part.inverted;
        let _ = match self.part.value {
            Part::Random(probability) => write!(
                out,
                " {} random {} {}",
                MODE.spelled(false),
                PROBABILITY.spelled(inverted),
                Share(probability)
            ),
            Part::Nth { last, packet } => write!(
                out,
                " {} nth {} {} {} {packet}",
                MODE.spelled(false),
                EVERY.spelled(inverted),
                u64::from(last) + 1,
                PACKET.spelled(false)
            ),
        };
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let not = not(self.part.inverted);
        let _ = match self.part.value {
            Part::Random(probability) => {
                write!(out, " statistic mode random {not}probability {}", Share(probability))
            }
            Part::Nth { last, packet } => {
                let _ = write!(out, " statistic mode nth {not}every {}", u64::from(last) + 1);
                match packet {
                    0 => Ok(()),
                    packet => write!(out, " packet {packet}"),
                }
            }
        };
    }
}

/// Of 2^31, as the tool prints it.
struct Share(u32);

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.11}", f64::from(self.0) / f64::from(CERTAIN))
    }
}

/// ` statistic mode nth ! every 3 packet 1`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        it.word(MODE.name())?;
        let mut options = Options::default();
        let mode = it.take()?;
        options.push(false, MODE.name(), mode);
        let (inverted, name) = it.option_of(&[PROBABILITY.name(), EVERY.name()])?;
        options.push(inverted, name, it.take()?);
        if mode == "nth" {
            let packet = it.word(PACKET.name()).and_then(|()| it.take());
            options.push(false, PACKET.name(), packet.unwrap_or("0"));
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "",
            "--mode random --probability 0.5",
            "--mode random --probability 0.50000000000",
            "statistic mode random probability 0.50000000000",
        ),
        taken(
            "",
            "--mode random ! --probability .2",
            "--mode random ! --probability 0.20000000019",
            "statistic mode random ! probability 0.20000000019",
        ),
        taken(
            "",
            "--probability 1e-3 --mode random",
            "--mode random --probability 0.00100000016",
            "statistic mode random probability 0.00100000016",
        ),
        taken(
            "",
            "--mode random --probability 0x1p-2",
            "--mode random --probability 0.25000000000",
            "statistic mode random probability 0.25000000000",
        ),
        taken(
            "",
            "--mode random --probability 0.9999999999",
            "--mode random --probability 1.00000000000",
            "statistic mode random probability 1.00000000000",
        ),
        taken(
            "",
            "--mode random --probability nan",
            "--mode random --probability 0.00000000000",
            "statistic mode random probability 0.00000000000",
        ),
        taken(
            "",
            "--mode nth --every 3 --packet 1",
            "--mode nth --every 3 --packet 1",
            "statistic mode nth every 3 packet 1",
        ),
        taken(
            "",
            "--packet 0 ! --every 0x2 --mode nth",
            "--mode nth ! --every 2 --packet 0",
            "statistic mode nth ! every 2",
        ),
        taken(
            "",
            "--mode nth --every 4294967295 --packet 4294967294",
            "--mode nth --every 4294967295 --packet 4294967294",
            "statistic mode nth every 4294967295 packet 4294967294",
        ),
    ],
    refused: &[
        refused("", "", "--probability must be specified when using random mode"),
        refused(
            "",
            "--every 3 --packet 1",
            "--probability must be specified when using random mode",
        ),
        refused(
            "",
            "--probability 0.5",
            "statistic: option \"--mode\" must be specified\n",
        ),
        refused("", "--mode rand --probability 0.5", "Bad mode \"rand\""),
        refused(
            "",
            "--mode nth",
            "--every and --packet must be specified when using nth mode",
        ),
        refused(
            "",
            "--mode nth --probability 0.5",
            "--every and --packet must be specified when using nth mode",
        ),
        refused(
            "",
            "--mode nth --every 3",
            "statistic: option \"--every\" also requires \"--packet\".\n",
        ),
        refused(
            "",
            "--mode nth --packet 0",
            "statistic: option \"--packet\" also requires \"--every\".\n",
        ),
        refused("", "--mode nth --packet 2", "the --packet p must be 0 <= p <= n-1"),
        refused(
            "",
            "--mode nth --every 3 --packet 3",
            "the --packet p must be 0 <= p <= n-1",
        ),
        refused(
            "",
            "--mode nth --packet 1 --every 3 --probability 0.5",
            "statistic: option \"--probability\" cannot be used together with \"--every\".\n",
        ),
        refused(
            "",
            "--mode nth --packet 1 --every 3 --probability 0",
            "the --packet p must be 0 <= p <= n-1",
        ),
        refused(
            "",
            "--probability 0.5 --packet 5 --every 3",
            "the --packet p must be 0 <= p <= n-1",
        ),
        refused(
            "",
            "--mode random --packet 4294967295 --probability 0x1p-2",
            "the --packet p must be 0 <= p <= n-1",
        ),
        refused(
            "",
            "--mode random --probability 0.5 --packet 1",
            "statistic: option \"--probability\" cannot be used together with \"--packet\".\n",
        ),
        refused(
            "",
            "--mode random --probability 1.5",
            "statistic: bad value for option \"--probability\", or out of range (0-1).\n",
        ),
        refused(
            "",
            "--mode random --probability 0.5x",
            "statistic: bad value for option \"--probability\", or out of range (0-1).\n",
        ),
        refused(
            "",
            "--mode random --probability inf",
            "statistic: bad value for option \"--probability\", or out of range (0-1).\n",
        ),
        refused(
            "",
            "--mode nth --every 0",
            "statistic: bad value for option \"--every\", or out of range (1-4294967295).\n",
        ),
        refused(
            "",
            "--mode nth --every 3 ! --packet 1",
            "statistic: option \"--packet\" cannot be inverted.\n",
        ),
        refused("", "! --mode nth", "statistic: option \"--mode\" cannot be inverted.\n"),
        refused(
            "",
            "--mode nth --mode x",
            "statistic: option \"--mode\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--mode random --probability 1", "udp 10.0.0.2:1 > 192.0.2.9:2"),
        passes("", "--mode random ! --probability 0", "udp 10.0.0.2:1 > 192.0.2.9:2"),
        fails(
            "",
            "--mode random ! --probability 1",
            "udp 10.0.0.2:1 > 192.0.2.9:2",
            "! --probability 1.00000000000: matches no packet ever",
        ),
        fails(
            "",
            "--mode random --probability 0",
            "udp 10.0.0.2:1 > 192.0.2.9:2",
            "--probability 0.00000000000: matches no packet ever",
        ),
        passes("", "--mode nth --every 3 --packet 0", "udp 10.0.0.2:1 > 192.0.2.9:2"),
        fails(
            "",
            "--mode nth --every 3 --packet 1",
            "udp 10.0.0.2:1 > 192.0.2.9:2",
            "--every 3 --packet 1: counted as packet 0",
        ),
        fails(
            "",
            "--mode nth ! --every 3 --packet 1",
            "udp 10.0.0.2:1 > 192.0.2.9:2",
            "! --every 3 --packet 1: counted as packet 1",
        )
        .after(&["lan udp 10.0.0.2:1 > 192.0.2.9:2"]),
        passes("", "--mode nth --every 3 --packet 1", "udp 10.0.0.2:1 > 192.0.2.9:2").after(&[
            "lan udp 10.0.0.2:1 > 192.0.2.9:2",
            "lan udp 10.0.0.2:1 > 192.0.2.9:2",
            "lan udp 10.0.0.2:1 > 192.0.2.9:2",
            "lan udp 10.0.0.2:1 > 192.0.2.9:2",
        ]),
    ],
    spellings: &[
        "-m statistic --mode random --probability 0.5",
        "-m statistic --mode random --probability 0.50000000001",
        "-m statistic --mode random ! --probability 0.5",
        "-m statistic --mode nth --every 3 --packet 0",
        "-m statistic --mode nth --packet 0 --every 3",
        "-m statistic --mode nth --every 3 --packet 1",
        "-m statistic --mode nth ! --every 3 --packet 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 5,
    |draw| {
        if draw.one_in(4) {
            draw.give(&MODE.spec, "random");
            draw.give_one(&PROBABILITY.spec, &["0", "1", "1.0", "0x1p0"]);
        } else {
            draw.give(&MODE.spec, "nth");
            let (every, packet) = draw.pick(&[("1", "0"), ("2", "0"), ("2", "1"), ("3", "0"), ("3", "2"), ("7", "1")]);
            draw.give(&EVERY.spec, every);
            draw.give(&PACKET.spec, packet);
        }
    },
)
.in_one_scenario_of(3)
.without(&[(
    "--probability between 0 and 1",
    "two routers draw different numbers; its own test counts how many match",
)]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_match, udp};

    /// How many of so many packets match, with one state.
    fn matched(typed: &str, packets: u32) -> u32 {
        let (bench, packet) = (Bench::new(), udp(1, 2, &[]));
        let made = read_match(&SPEC, ANY, typed).unwrap();
        let state = made.state(bench.now);
        let cx = bench.context(&packet, state.as_deref());
        let all = (0..packets).map(|_| u32::from(made.evaluate(&cx) == Matched::Yes));
        all.sum()
    }

    #[test]
    fn so_many_match() {
        for (typed, least, most) in [
            ("--mode random --probability 0", 0, 0),
            ("--mode random --probability 1", 10_000, 10_000),
            ("--mode random ! --probability 1", 0, 0),
            ("--mode random --probability 0.1", 900, 1100),
            ("--mode random ! --probability 0.1", 8900, 9100),
            ("--mode nth --every 3 --packet 0", 3334, 3334),
            ("--mode nth --every 3 --packet 1", 3333, 3333),
            ("--mode nth ! --every 3 --packet 0", 6666, 6666),
            ("--mode nth --every 1 --packet 0", 10_000, 10_000),
            ("--mode nth --every 4294967295 --packet 9999", 1, 1),
        ] {
            let count = matched(typed, 10_000);
            assert!((least..=most).contains(&count), "{typed}: {count}");
            assert_eq!(matched(typed, 10_000), count, "the seed decides");
        }
    }

    #[test]
    fn a_sentence_says_what_was_drawn_for_its_packet() {
        let (bench, packet) = (Bench::new(), udp(1, 2, &[]));
        let made = read_match(&SPEC, ANY, "--mode random --probability 1e-7").unwrap();
        let state = made.state(bench.now);
        let cx = bench.context(&packet, state.as_deref());
        assert_eq!(made.evaluate(&cx), Matched::No);
        let said = made.explain(&cx);
        let kept = made.remember(&cx);
        let copy = made.copy_state(state.as_deref().unwrap());
        assert_eq!(made.evaluate(&cx), Matched::No);
        assert_ne!(made.explain(&cx), said);
        for state in [kept, copy] {
            assert_eq!(made.explain(&bench.context(&packet, state.as_deref())), said);
        }
        let drawn = said
            .strip_prefix("--probability 0.00000010012: drew 0.")
            .expect("its own sentence");
        assert_eq!(drawn.len(), 11);
    }
}
