//! `-m connmark`: bits of the mark of the packet's flow.

use std::fmt::Write;
use std::sync::Arc;

use super::asked_mark::{self, AskedMark};
use crate::base::{Family, MarkMask};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, MARKS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::rule::{Context, Effect, HangsOn, Match, Matched, StateUse};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "connmark",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[MARK.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "bits of the mark of the packet's flow",
    samples: SAMPLES,
};

const MARK: Opt<MarkMask> = asked_mark::option("the flow's mark under the mask is the value");

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let mark = AskedMark::given(given, MARK);
    Ok(Arc::new(Connmark { mark }))
}

#[derive(Debug, PartialEq, Eq)]
struct Connmark {
    mark: AskedMark,
}

impl Match for Connmark {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    /// A packet without a flow, and without a template in its place, never matches, also not with `!`.
    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(mark) = cx.tracking.mark() else {
            return Matched::No;
        };
        self.mark.fits(mark).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE
            .with_state(StateUse::Reads)
            .of_its_flow()
            .hanging_on(HangsOn::FlowMark)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let mut out = format!("{}: ", self.mark.typed(MARK));
        let whose = match cx.tracking.template_in_place() {
            Some(_) => "the template of CT",
            None => "flow",
        };
        let _ = match cx.tracking.mark() {
            Some(mark) => write!(out, "{whose} has {mark:#x}"),
            None => write!(
                out,
                "packet is {} and has no flow",
                cx.tracking.state_for_matching().name()
            ),
        };
        out
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", self.mark.typed(MARK));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        // Two blanks where there is no `!`.
        let Asked { value, inverted } = self.mark.0;
        let not = if inverted { "!" } else { "" };
        let _ = write!(out, " connmark match {not} {value}");
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// ` connmark match ! 0x1/0xff`; old tools printed ` CONNMARK match 0x1`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name).or_else(|| it.word("CONNMARK"))?;
        it.word("match")?;
        let mut options = Options::default();
        AskedMark::unlist(it, &mut options, MARK)?;
        Some(options)
    })
}

const BAD_INTEGER: &str = "connmark: bad integer value for option \"--mark\", or out of range.\n";

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--mark 1", "--mark 0x1", "connmark match  0x1"),
        taken("", "--mark 0x10/0xff", "--mark 0x10/0xff", "connmark match  0x10/0xff"),
        taken("", "! --mark 1/1", "! --mark 0x1/0x1", "connmark match ! 0x1/0x1"),
        taken(
            "",
            "--mark 0x1ff/0xff",
            "--mark 0x1ff/0xff",
            "connmark match  0x1ff/0xff",
        ),
        taken("", "--mark 1/0", "--mark 0x1/0x0", "connmark match  0x1/0x0"),
        taken(
            "",
            "--mark 4294967295",
            "--mark 0xffffffff",
            "connmark match  0xffffffff",
        ),
    ],
    refused: &[
        refused("", "", "connmark: option \"--mark\" must be specified\n"),
        refused("", "--mark x", BAD_INTEGER),
        refused("", "--mark 1/", BAD_INTEGER),
        refused("", "--mark 0x1ffffffff", BAD_INTEGER),
        refused(
            "",
            "--mark 1x",
            "connmark: trailing garbage after value for option \"--mark\".\n",
        ),
        refused(
            "",
            "--mark 1 --mark 2",
            "connmark: option \"--mark\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--mark 0/0xff", DATAGRAM),
        fails("", "--mark 0x134/0xff", DATAGRAM, "--mark 0x134/0xff: flow has 0x0"),
        fails("", "! --mark 0", DATAGRAM, "! --mark 0x0: flow has 0x0"),
        fails(
            "",
            "! --mark 1",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SF",
            "! --mark 0x1: packet is INVALID and has no flow",
        ),
    ],
    spellings: &[
        "-m connmark --mark 1",
        "-m connmark --mark 0x1",
        "-m connmark --mark 1/0xffffffff",
        "-m connmark --mark 1/1",
        "-m connmark --mark 3/1",
        "-m connmark ! --mark 1",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| if place.may_track { 5 } else { 0 },
    |draw| draw.give_one(&MARK.spec, MARKS),
)
.in_one_scenario_of(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::CtState;
    use crate::ext::testing::{ANY, Bench, match_packets, read_match, udp};

    #[test]
    fn the_flow_is_asked_not_the_packet() {
        let mut bench = Bench::new();
        let mut packet = udp(1000, 53, &[]);
        packet.mark = 7;
        bench.track(&mut packet);
        bench.tracking.flow.as_ref().unwrap().lock().mark = 0x1234;
        let cases = [
            ("--mark 0x1234", &packet, ""),
            ("--mark 0x34/0xff", &packet, ""),
            ("--mark 7", &packet, "--mark 0x7: flow has 0x1234"),
            ("! --mark 0x34/0xff", &packet, "! --mark 0x34/0xff: flow has 0x1234"),
        ];
        match_packets(&SPEC, ANY, &bench, &cases);
    }

    #[test]
    fn without_a_flow_nothing_matches() {
        let mut bench = Bench::new();
        let packet = udp(1, 2, &[]);
        for (state, name) in [(Some(CtState::Untracked), "UNTRACKED"), (None, "INVALID")] {
            bench.tracking.state = state;
            for asked in ["--mark 0x0", "! --mark 0x0"] {
                let why = format!("{asked}: packet is {name} and has no flow");
                match_packets(&SPEC, ANY, &bench, &[(asked, &packet, &why)]);
            }
        }
        assert!(read_match(&SPEC, ANY, "--mark 1").unwrap().needs_conntrack());
    }
}
