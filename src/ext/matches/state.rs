//! `-m state`: the packet's relation to its flow. The kernel has it as conntrack's `--ctstate` with a flag that keeps the old name for printing,
//! so a rule with one is not the same as a rule with the other.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::conntrack::StateBits;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, STATES, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::ext::states::{since, state_words, subject};
use crate::ext::wording::not;
use crate::rule::{Condition, Context, Effect, Field, Lowered, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "state",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[STATE.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the packet's relation to its flow",
    samples: SAMPLES,
};

const STATE: Opt<StateBits> = Opt::words(
    "state",
    &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"],
    &Read(|text, _| state(text)),
    "the packet's relation to its flow is one of these",
)
.invertible()
.required();

fn state(text: &str) -> Result<StateBits, UsageError> {
    // An empty word at the end has an error of its own; anywhere else it is a bad state.
    let before = text.strip_suffix(',');
    if text.is_empty() || before.is_some_and(|before| state_words(before, STATE.name(), false).is_ok()) {
        return Err(UsageError::parameter(
            "\"--state\" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED",
        ));
    }
    state_words(text, STATE.name(), false)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let states = given.get(STATE).unwrap_or_default();
    Ok(Arc::new(State { states }))
}

#[derive(Debug, PartialEq, Eq)]
struct State {
    states: Asked<StateBits>,
}

impl Match for State {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let state = StateBits::of(cx.tracking.state_for_matching());
        self.states.fits(self.states.value.has_any(state)).into()
    }

    fn lower(&self) -> Lowered {
        let field = Field::States(self.states.value);
        Lowered::exactly(vec![Condition::new(field, self.states.inverted)])
    }

    fn effect(&self) -> Effect {
        Effect::PURE
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let state = cx.tracking.state_for_matching();
        let subject = subject(state);
        format!(
            "{} {}: {subject} is {}{}",
            STATE.spelled(self.states.inverted),
            self.states.value,
            state.name(),
            since(cx.tracking)
        )
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", STATE.spelled(self.states.inverted), self.states.value);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(
            out,
            " {}{} {}",
            not(self.states.inverted),
            STATE.name(),
            self.states.value
        );
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// ` ! state NEW`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let (inverted, name) = it.option_of(&[STATE.name()])?;
        let mut options = Options::default();
        options.push(inverted, name, it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--state NEW", "--state NEW", "state NEW"),
        taken(
            "",
            "! --state NEW,ESTABLISHED,RELATED,INVALID,UNTRACKED",
            "! --state INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED",
            "! state INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED",
        ),
        taken("", "--state new,e", "--state NEW,ESTABLISHED", "state NEW,ESTABLISHED"),
    ],
    refused: &[
        refused("", "", "state: option \"--state\" must be specified\n"),
        refused("", "--state FOO", "Bad state \"FOO\""),
        refused("", "--state XX,INVALID", "Bad state \"XX,INVALID\""),
        refused(
            "",
            "--state \"\"",
            "\"--state\" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED",
        ),
        refused(
            "",
            "--state NEW,",
            "\"--state\" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED",
        ),
        refused("", "--state ,NEW", "Bad state \",NEW\""),
        refused("", "--state ,", "Bad state \",\""),
        refused("", "--state NEW,,NEW", "Bad state \",NEW\""),
        refused("", "--state SNAT", "Bad state \"SNAT\""),
        refused("", "--state NEWX", "Bad state \"NEWX\""),
        refused(
            "",
            "--state NEW --state FOO",
            "state: option \"--state\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--state NEW,UNTRACKED", "udp 10.0.0.2:1001 > 192.0.2.9:53"),
        fails(
            "",
            "--state NEW,UNTRACKED",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--state NEW,UNTRACKED: flow is ESTABLISHED since packet 2",
        )
        .after(&[
            "lan udp 10.0.0.2:1000 > 192.0.2.9:53",
            "wan udp 192.0.2.9:53 > 10.0.0.2:1000",
        ]),
        fails(
            "",
            "--state NEW",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SF",
            "--state NEW: packet is INVALID",
        ),
        fails(
            "",
            "! --state NEW",
            "udp 10.0.0.2:1001 > 192.0.2.9:53",
            "! --state NEW: flow is NEW",
        ),
    ],
    spellings: &[
        "-m state --state NEW",
        "-m state --state NEW,NEW",
        "-m state ! --state NEW",
        "-m state --state NEW,RELATED",
        "-m state --state RELATED,NEW",
        "-m state --state UNTRACKED",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| if place.may_track { 6 } else { 0 },
    |draw| draw.give_one(&STATE.spec, STATES),
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::{CtState, Tracking};
    use crate::ext::matches::conntrack;
    use crate::ext::testing::{ANY, Bench, match_packets, read_match, udp, udp_reply};

    #[test]
    fn is_not_conntrack_by_another_name() {
        let own = read_match(&SPEC, ANY, "--state NEW").unwrap();
        let other = read_match(&conntrack::SPEC, ANY, "--ctstate NEW").unwrap();
        assert!(!own.equals(other.as_ref()));
        assert!(own.equals(read_match(&SPEC, ANY, "--state new").unwrap().as_ref()));
        assert!(own.needs_conntrack());
    }

    #[test]
    fn packets() {
        let mut bench = Bench::new();
        let asked = "--state NEW,UNTRACKED";
        let (mut first, mut reply) = (udp(1001, 53, &[]), udp_reply());
        bench.track(&mut first);
        match_packets(&SPEC, ANY, &bench, &[(asked, &first, "")]);
        bench.track(&mut reply);
        match_packets(
            &SPEC,
            ANY,
            &bench,
            &[
                (asked, &reply, "--state NEW,UNTRACKED: flow is ESTABLISHED"),
                (
                    "! --state ESTABLISHED",
                    &reply,
                    "! --state ESTABLISHED: flow is ESTABLISHED",
                ),
            ],
        );
        bench.tracking = Tracking::default();
        for (state, sentence) in [
            (Some(CtState::Invalid), "--state NEW,UNTRACKED: packet is INVALID"),
            // Never tracked.
            (None, "--state NEW,UNTRACKED: packet is INVALID"),
            (Some(CtState::Untracked), ""),
        ] {
            bench.tracking.state = state;
            match_packets(&SPEC, ANY, &bench, &[(asked, &first, sentence)]);
        }
        match_packets(
            &SPEC,
            ANY,
            &bench,
            &[(
                "! --state UNTRACKED",
                &first,
                "! --state UNTRACKED: packet is UNTRACKED",
            )],
        );
    }
}
