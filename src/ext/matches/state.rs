//! `-m state`: the packet's relation to its flow. The kernel has it as conntrack's `--ctstate` with a flag that keeps the old name for printing,
//! so a rule with one is not the same as a rule with the other.

use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::states::{StateBits, since, state_words, subject};
use crate::ext::wording::not;
use crate::rule::{Context, Match, Matched};

pub const SPEC: MatchSpec = MatchSpec {
    name: "state",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    protocol: None,
    options: &[OptionSpec {
        name: "state",
        value: ValueKind::Words {
            words: &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"],
            parse: |text, _| state(text),
        },
        invert: true,
        required: true,
        help: "the packet's relation to its flow is one of these",
        ..OptionSpec::PLAIN
    }],
    needs_one: None,
    build,
    unlist,
    about: "the packet's relation to its flow",
};

fn state(text: &str) -> Result<Value, UsageError> {
    // An empty word at the end has an error of its own; anywhere else it is a bad state.
    let before = text.strip_suffix(',');
    if text.is_empty() || before.is_some_and(|before| state_words(before, "state", false).is_ok()) {
        return Err(UsageError::parameter(
            "\"--state\" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED",
        ));
    }
    state_words(text, "state", false).map(|bits| Value::Bits(bits.0))
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let mut made = State {
        states: StateBits(0),
        inverted: false,
    };
    if let Some(option) = given.get("state")
        && let Value::Bits(bits) = option.value
    {
        made = State {
            states: StateBits(bits),
            inverted: option.inverted,
        };
    }
    Ok(Arc::new(made))
}

#[derive(Debug, PartialEq, Eq)]
struct State {
    states: StateBits,
    inverted: bool,
}

impl Match for State {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let state = StateBits::of(cx.tracking.state_for_matching());
        (self.states.has_any(state) != self.inverted).into()
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let state = cx.tracking.state_for_matching();
        let subject = subject(state);
        format!(
            "{}--state {}: {subject} is {}{}",
            not(self.inverted),
            self.states,
            state.name(),
            since(cx.tracking)
        )
    }

    fn save(&self, out: &mut String) {
        out.push_str(&format!(" {}--state {}", not(self.inverted), self.states));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(&format!(" {}state {}", not(self.inverted), self.states));
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// ` ! state NEW`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let (inverted, name) = it.option_of(&["state"])?;
        let mut options = Options::default();
        options.push(inverted, name, it.take()?);
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::{CtState, Tracking};
    use crate::ext::matches::conntrack;
    use crate::ext::testing::{ANY, Bench, match_errors, match_packets, match_texts, read_match, udp, udp_reply};

    #[test]
    fn texts_of_the_real_tool() {
        let case = |typed, saved, listed| (typed, saved, listed, listed);
        match_texts(
            &SPEC,
            ANY,
            &[
                case("--state NEW", " --state NEW", " state NEW"),
                case(
                    "! --state NEW,ESTABLISHED,RELATED,INVALID,UNTRACKED",
                    " ! --state INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED",
                    " ! state INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED",
                ),
                case("--state new,e", " --state NEW,ESTABLISHED", " state NEW,ESTABLISHED"),
            ],
        );
    }

    #[test]
    fn errors_of_the_real_tool() {
        let list = "\"--state\" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED";
        match_errors(
            &SPEC,
            ANY,
            &[
                ("", "state: option \"--state\" must be specified\n"),
                ("--state FOO", "Bad state \"FOO\""),
                ("--state XX,INVALID", "Bad state \"XX,INVALID\""),
                ("--state \"\"", list),
                ("--state NEW,", list),
                ("--state ,NEW", "Bad state \",NEW\""),
                ("--state ,", "Bad state \",\""),
                ("--state NEW,,NEW", "Bad state \",NEW\""),
                ("--state SNAT", "Bad state \"SNAT\""),
                ("--state NEWX", "Bad state \"NEWX\""),
                (
                    "--state NEW --state FOO",
                    "state: option \"--state\" can only be used once.\n",
                ),
            ],
        );
    }

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
