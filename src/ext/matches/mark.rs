//! `-m mark`: bits of the packet's mark.

use std::fmt::Write;
use std::sync::Arc;

use super::asked_mark::{self, AskedMark};
use crate::base::{Family, MarkMask};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, MARKS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::wording::not;
use crate::rule::{Condition, Context, Effect, Field, HangsOn, Lowered, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "mark",
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
    about: "bits of the packet's mark",
    samples: SAMPLES,
};

const MARK: Opt<MarkMask> = asked_mark::option("the packet's mark under the mask is the value");

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let mark = AskedMark::given(given, MARK);
    Ok(Arc::new(Mark { mark }))
}

#[derive(Debug, PartialEq, Eq)]
struct Mark {
    mark: AskedMark,
}

impl Match for Mark {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.mark.fits(cx.packet.mark).into()
    }

    fn lower(&self) -> Lowered {
        let Asked { value, inverted } = self.mark.0;
        Lowered::exactly(vec![Condition::new(Field::Mark(value), inverted)])
    }

    fn effect(&self) -> Effect {
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        format!("{}: packet has {:#x}", self.mark.typed(MARK), cx.packet.mark)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", self.mark.typed(MARK));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let Asked { value, inverted } = self.mark.0;
        let _ = write!(out, " mark match {}{value}", not(inverted));
    }
}

/// ` mark match ! 0x1/0xff`; old tools printed ` MARK match 0x1`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name).or_else(|| it.word("MARK"))?;
        it.word("match")?;
        let mut options = Options::default();
        AskedMark::unlist(it, &mut options, MARK)?;
        Some(options)
    })
}

const BAD_INTEGER: &str = "mark: bad integer value for option \"--mark\", or out of range.\n";
const GARBAGE: &str = "mark: trailing garbage after value for option \"--mark\".\n";

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--mark 1", "--mark 0x1", "mark match 0x1"),
        taken("", "--mark 0x10/0xff", "--mark 0x10/0xff", "mark match 0x10/0xff"),
        taken("", "! --mark 1/1", "! --mark 0x1/0x1", "mark match ! 0x1/0x1"),
        taken("", "--mark 0x1ff/0xff", "--mark 0x1ff/0xff", "mark match 0x1ff/0xff"),
        taken("", "--mark 010", "--mark 0x8", "mark match 0x8"),
        taken("", "--mark 1/0", "--mark 0x1/0x0", "mark match 0x1/0x0"),
        taken("", "--mark \" +1\"", "--mark 0x1", "mark match 0x1"),
        taken("", "--mark 4294967295", "--mark 0xffffffff", "mark match 0xffffffff"),
        taken("", "--mark 0", "--mark 0x0", "mark match 0x0"),
    ],
    refused: &[
        refused("", "", "mark: option \"--mark\" must be specified\n"),
        refused("", "--mark x", BAD_INTEGER),
        refused("", "--mark 1/x", BAD_INTEGER),
        refused("", "--mark 1/", BAD_INTEGER),
        refused("", "--mark \"\"", BAD_INTEGER),
        refused("", "--mark -1", BAD_INTEGER),
        refused("", "--mark 4294967296", BAD_INTEGER),
        refused("", "--mark 0x", GARBAGE),
        refused("", "--mark 08", GARBAGE),
        refused("", "--mark 1x", GARBAGE),
        refused(
            "",
            "--mark 1 --mark 2",
            "mark: option \"--mark\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--mark 0/0xff", DATAGRAM),
        fails("", "--mark 0x134/0xff", DATAGRAM, "--mark 0x134/0xff: packet has 0x0"),
        fails("", "! --mark 0", DATAGRAM, "! --mark 0x0: packet has 0x0"),
    ],
    spellings: &[
        "-m mark --mark 1",
        "-m mark --mark 0x1",
        "-m mark --mark 1/0xffffffff",
        "-m mark --mark 1/1",
        "-m mark --mark 3/1",
        "-m mark ! --mark 1",
        "-m mark --mark 01",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(|_| 8, |draw| draw.give_one(&MARK.spec, MARKS));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, match_packets, udp};

    #[test]
    fn packets() {
        let mut packet = udp(1, 2, &[]);
        packet.mark = 0x1234;
        match_packets(
            &SPEC,
            ANY,
            &Bench::new(),
            &[
                ("--mark 0x1234", &packet, ""),
                ("--mark 0x34/0xff", &packet, ""),
                ("--mark 0x134/0xff", &packet, "--mark 0x134/0xff: packet has 0x1234"),
                ("! --mark 0x34/0xff", &packet, "! --mark 0x34/0xff: packet has 0x1234"),
            ],
        );
    }
}
