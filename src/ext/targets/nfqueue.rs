//! `-j NFQUEUE`: hands the packet to whoever listens at a queue. Where nobody does, it is dropped, or with `--queue-bypass` goes on behind its table.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, IntegerRange, Opt, Read, UsageError, integer_range};
use crate::ext::place::invalid;
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::rule::{Effect, Ends, QueueTo, Refusal, Scope, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "NFQUEUE",
    listed_as: "NFQUEUE",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[NUMBER.spec, BALANCE.spec, BYPASS.spec, FANOUT.spec],
    needs_one: None,
    exclusive: &[&[NUMBER.name(), BALANCE.name()]],
    build,
    unlist,
    about: "hands the packet to who listens at a queue (`queue` in a script); where nobody does it is dropped, or passes with --queue-bypass",
    samples: SAMPLES,
};

const NUMBER: Opt<u64> = Opt::integer("queue-num", 0, 65535, "the queue; if nothing is said, 0");
const BALANCE: Opt<IntegerRange> = Opt::own(
    "queue-balance",
    "FIRST:LAST",
    &Read(|text, _| queues(text)),
    "flows are spread over these queues",
);
const BYPASS: Opt<()> = Opt::flag(
    "queue-bypass",
    "where nobody listens, the packet goes on behind this table instead of being dropped",
);
const FANOUT: Opt<()> = Opt::flag(
    "queue-cpu-fanout",
    "of several queues the processor's own is taken, whatever the flow",
)
.together_with(|| BALANCE.name());

fn queues(text: &str) -> Result<IntegerRange, UsageError> {
    let range = integer_range(text, SPEC.name, BALANCE.name(), 65535)?;
    if !text.contains(':') {
        return Err(UsageError::parameter(format!("Bad range \"{text}\"")));
    }
    if range.low >= range.high {
        return Err(UsageError::parameter(format!(
            "{} should be less than {}",
            range.low, range.high
        )));
    }
    Ok(range)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let number = given.value(NUMBER).unwrap_or_default();
    let only = IntegerRange {
        low: number,
        high: number,
    };
    Ok(Arc::new(Nfqueue {
        queues: given.value(BALANCE).unwrap_or(only),
        bypass: given.value(BYPASS).is_some(),
        by_processor: given.value(FANOUT).is_some(),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Nfqueue {
    queues: IntegerRange,
    bypass: bool,
    by_processor: bool,
}

impl Target for Nfqueue {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, _cx: &mut TargetContext<'_>) -> TargetVerdict {
        TargetVerdict::Queue(QueueTo {
            first: self.queues.low as u16,
            last: self.queues.high as u16,
            by_processor: self.by_processor,
            bypass: self.bypass,
        })
    }

    fn effect(&self) -> Effect {
        let effect = Effect::PURE.ending(Ends::Always);
        match self.by_processor {
            // Its queue hangs on who carries the packet.
            true => effect.of_others(),
            false => effect,
        }
    }

    fn save(&self, out: &mut String) {
        let IntegerRange { low, high } = self.queues;
        let _ = match low == high {
            true => write!(out, " {} {low}", NUMBER.spelled(false)),
            false => write!(out, " {} {low}:{high}", BALANCE.spelled(false)),
        };
        for (is_on, option) in [(self.bypass, BYPASS), (self.by_processor, FANOUT)] {
            if is_on {
                let _ = write!(out, " {}", option.spelled(false));
            }
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let IntegerRange { low, high } = self.queues;
        let _ = match low == high {
            true => write!(out, " NFQUEUE num {low}"),
            false => write!(out, " NFQUEUE balance {low}:{high}"),
        };
        if self.bypass {
            out.push_str(" bypass");
        }
        if self.by_processor {
            out.push_str(" cpu-fanout");
        }
    }

    /// The number of queues is one of 16 bits.
    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        match (self.queues.low, self.queues.high) {
            (0, 65535) => Err(invalid("xt_NFQUEUE: number of total queues is 0".to_owned())),
            _ => Ok(()),
        }
    }
}

/// ` NFQUEUE num 0 bypass` or ` NFQUEUE balance 1:5 bypass cpu-fanout`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        let mut options = Options::default();
        if it.word("num").is_some() {
            options.push(false, NUMBER.name(), it.take()?);
        } else {
            it.word("balance")?;
            options.push(false, BALANCE.name(), it.take()?);
        }
        for (word, option) in [("bypass", BYPASS), ("cpu-fanout", FANOUT)] {
            if it.word(word).is_some() {
                options.push(false, option.name(), "");
            }
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "--queue-num 0", "NFQUEUE num 0"),
        taken("", "--queue-num 0x10", "--queue-num 16", "NFQUEUE num 16"),
        taken("", "--queue-num 65535", "--queue-num 65535", "NFQUEUE num 65535"),
        taken("", "--queue-balance 1:5", "--queue-balance 1:5", "NFQUEUE balance 1:5"),
        taken("", "--queue-balance :5", "--queue-balance 0:5", "NFQUEUE balance 0:5"),
        taken(
            "",
            "--queue-balance 5:",
            "--queue-balance 5:65535",
            "NFQUEUE balance 5:65535",
        ),
        taken(
            "",
            "--queue-bypass --queue-num 3",
            "--queue-num 3 --queue-bypass",
            "NFQUEUE num 3 bypass",
        ),
        taken(
            "",
            "--queue-cpu-fanout --queue-balance 1:5",
            "--queue-balance 1:5 --queue-cpu-fanout",
            "NFQUEUE balance 1:5 cpu-fanout",
        ),
        taken(
            "",
            "--queue-balance 1:5 --queue-cpu-fanout --queue-bypass",
            "--queue-balance 1:5 --queue-bypass --queue-cpu-fanout",
            "NFQUEUE balance 1:5 bypass cpu-fanout",
        ),
    ],
    refused: &[
        refused(
            "",
            "--queue-num 65536",
            "NFQUEUE: bad value for option \"--queue-num\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--queue-num 1 --queue-num 2",
            "NFQUEUE: option \"--queue-num\" can only be used once.\n",
        ),
        refused(
            "",
            "! --queue-num 1",
            "NFQUEUE: option \"--queue-num\" cannot be inverted.\n",
        ),
        refused("", "--queue-balance 5:1", "5 should be less than 1"),
        refused("", "--queue-balance 5:5", "5 should be less than 5"),
        refused("", "--queue-balance 5", "Bad range \"5\""),
        refused("", "--queue-num 5 --queue-balance 7:7", "7 should be less than 7"),
        refused(
            "",
            "--queue-balance 1:2:3",
            "NFQUEUE: Too many components for option \"--queue-balance\" (max: 2)\n",
        ),
        refused(
            "",
            "--queue-balance 1:70000",
            "NFQUEUE: bad value for option \"--queue-balance\" near \"70000\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--queue-balance x:2",
            "NFQUEUE: bad value for option \"--queue-balance\" near \"x:2\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--queue-balance 1-5",
            "NFQUEUE: Argument to \"--queue-balance\" has unexpected characters near \"-5\".\n",
        ),
        refused(
            "",
            "--queue-balance 1:5 --queue-num 3",
            "NFQUEUE: option \"--queue-num\" cannot be used together with \"--queue-balance\".\n",
        ),
        refused(
            "",
            "! --queue-balance 1:2",
            "NFQUEUE: option \"--queue-balance\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--queue-cpu-fanout",
            "NFQUEUE: option \"--queue-cpu-fanout\" also requires \"--queue-balance\".\n",
        ),
        refused(
            "",
            "--queue-bypass --queue-bypass",
            "NFQUEUE: option \"--queue-bypass\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--queue-num 1", DATAGRAM),
        passes("", "--queue-num 1 --queue-bypass", DATAGRAM),
        passes("", "--queue-balance 1:3 --queue-cpu-fanout", DATAGRAM),
    ],
    spellings: &[
        "-j NFQUEUE",
        "-j NFQUEUE --queue-num 0",
        "-j NFQUEUE --queue-num 0 --queue-bypass",
        "-j NFQUEUE --queue-num 5",
        "-j NFQUEUE --queue-balance 0:1",
        "-j NFQUEUE --queue-balance 0:1 --queue-cpu-fanout",
        "-j QUEUE",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 4,
    |draw| {
        if draw.one_in(2) {
            draw.maybe(2, &NUMBER.spec, &["0", "1", "65535"]);
        } else {
            draw.give_one(&BALANCE.spec, &["0:1", "7:9", ":3", "65534:"]);
            draw.maybe_flag(3, &FANOUT.spec);
        }
        draw.maybe_flag(2, &BYPASS.spec);
    },
)
.blunt()
.in_one_scenario_of(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, udp};
    use crate::rule::{Hook, Table};

    #[test]
    fn a_packet_is_queued() {
        let to = |first, last, by_processor, bypass| QueueTo {
            first,
            last,
            by_processor,
            bypass,
        };
        for (typed, to) in [
            ("", QueueTo::FIRST),
            ("--queue-num 7 --queue-bypass", to(7, 7, false, true)),
            ("--queue-balance 1:2 --queue-cpu-fanout", to(1, 2, true, false)),
        ] {
            let made = read_target(&SPEC, ANY, typed).unwrap();
            let verdict = Bench::new().apply(made.as_ref(), &mut udp(1, 2, &[]));
            assert_eq!(verdict, TargetVerdict::Queue(to), "{typed}");
        }
    }

    #[test]
    fn there_are_fewer_than_65536_queues() {
        for (typed, said) in [
            ("--queue-balance :", "xt_NFQUEUE: number of total queues is 0"),
            ("--queue-balance 1:", ""),
            ("--queue-balance :65534", ""),
        ] {
            target_places(&SPEC, ANY, typed, &[(Table::Raw, &[Hook::Output], said)]);
        }
    }
}
