//! `-m dscp`: the codepoint of differentiated services, the upper six bits of the type of service or of the traffic class.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::service::{CLASS_SYNTAX, CODEPOINT_SHIFT, MOST, class};
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Context, Effect, HangsOn, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "dscp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[CODEPOINT.spec, CLASS.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[CODEPOINT.name(), CLASS.name()]],
    build,
    unlist,
    directory: None,
    about: "the codepoint of differentiated services",
    samples: SAMPLES,
};

const CODEPOINT: Opt<u64> = Opt::integer("dscp", 0, MOST, "the codepoint is this").invertible();
const CLASS: Opt<u8> = Opt::own(
    "dscp-class",
    CLASS_SYNTAX,
    &Read(|text, _| class(text)),
    "the codepoint is that of this class",
)
.invertible();

const NEEDS_ONE: &str = "DSCP match: Parameter --dscp is required";

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let codepoint = given.get(CODEPOINT).map(|asked| Asked {
        value: asked.value as u8,
        inverted: asked.inverted,
    });
    let asked = codepoint.or(given.get(CLASS)).unwrap_or_default();
    Ok(Arc::new(Dscp { asked }))
}

#[derive(Debug, PartialEq, Eq)]
struct Dscp {
    /// Of a class its codepoint: more is not kept.
    asked: Asked<u8>,
}

impl Dscp {
    /// `! --dscp 0x2e`.
    fn typed(&self) -> String {
        format!("{} {:#04x}", CODEPOINT.spelled(self.asked.inverted), self.asked.value)
    }
}

impl Match for Dscp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let has = cx.packet.tos() >> CODEPOINT_SHIFT;
        self.asked.fits(has == self.asked.value).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        format!(
            "{}: packet has {:#04x}",
            self.typed(),
            cx.packet.tos() >> CODEPOINT_SHIFT
        )
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", self.typed());
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let not = if self.asked.inverted { "!" } else { "" };
        let _ = write!(out, " DSCP match {not}{:#04x}", self.asked.value);
    }
}

/// ` DSCP match !0x2e`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("DSCP")?;
        it.word("match")?;
        let mut options = Options::default();
        options.push_unless(it.take()?, CODEPOINT.name());
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--dscp 0", "--dscp 0x00", "DSCP match 0x00"),
        taken("", "--dscp 63", "--dscp 0x3f", "DSCP match 0x3f"),
        taken("", "! --dscp 0x20", "! --dscp 0x20", "DSCP match !0x20"),
        taken("", "--dscp 010", "--dscp 0x08", "DSCP match 0x08"),
        taken("", "--dscp-class EF", "--dscp 0x2e", "DSCP match 0x2e"),
        taken("", "! --dscp-class ef", "! --dscp 0x2e", "DSCP match !0x2e"),
        taken("", "--dscp-class BE", "--dscp 0x00", "DSCP match 0x00"),
        taken("", "--dscp-class CS0", "--dscp 0x00", "DSCP match 0x00"),
        taken("", "--dscp-class CS5", "--dscp 0x28", "DSCP match 0x28"),
        taken("", "--dscp-class cs7", "--dscp 0x38", "DSCP match 0x38"),
        taken("", "--dscp-class AF11", "--dscp 0x0a", "DSCP match 0x0a"),
        taken("", "--dscp-class AF22", "--dscp 0x14", "DSCP match 0x14"),
        taken("", "--dscp-class Af33", "--dscp 0x1e", "DSCP match 0x1e"),
        taken("", "--dscp-class AF41", "--dscp 0x22", "DSCP match 0x22"),
        taken("", "--dscp-class cs10", "--dscp 0x08", "DSCP match 0x08"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--dscp 64",
            "dscp: bad value for option \"--dscp\", or out of range (0-63).\n",
        ),
        refused(
            "",
            "--dscp EF",
            "dscp: bad value for option \"--dscp\", or out of range (0-63).\n",
        ),
        refused("", "--dscp-class AF44", "Invalid DSCP value `AF44'"),
        refused("", "--dscp-class CS8", "Invalid DSCP value `CS8'"),
        refused("", "--dscp-class E", "Invalid DSCP value `E'"),
        refused("", "--dscp-class 10", "Invalid DSCP value `10'"),
        refused("", "--dscp-class LE", "Invalid DSCP value `LE'"),
        refused("", "--dscp-class \"\"", "Invalid DSCP value `'"),
        refused("", "--dscp-class \" EF\"", "Invalid DSCP value ` EF'"),
        refused(
            "",
            "--dscp 1 --dscp-class EF",
            "dscp: option \"--dscp\" cannot be used together with \"--dscp-class\".\n",
        ),
        refused(
            "",
            "--dscp-class EF --dscp 1",
            "dscp: option \"--dscp\" cannot be used together with \"--dscp-class\".\n",
        ),
        refused(
            "",
            "--dscp 1 --dscp 2",
            "dscp: option \"--dscp\" can only be used once.\n",
        ),
        refused(
            "",
            "--dscp-class EF --dscp-class BE",
            "dscp: option \"--dscp-class\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--dscp 0", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 3"),
        passes("", "--dscp-class EF", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xb8"),
        passes("", "! --dscp 46", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xbc"),
        passes(
            "",
            "--dscp-class AF41",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 0x8b",
        ),
        fails("", "--dscp-class EF", DATAGRAM, "--dscp 0x2e: packet has 0x00"),
        fails(
            "",
            "! --dscp 46",
            "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xbb",
            "! --dscp 0x2e: packet has 0x2e",
        ),
        fails(
            "",
            "--dscp 1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 1",
            "--dscp 0x01: packet has 0x00",
        ),
    ],
    spellings: &[
        "-m dscp --dscp 46",
        "-m dscp --dscp 0x2e",
        "-m dscp --dscp-class EF",
        "-m dscp --dscp-class ef",
        "-m dscp ! --dscp-class EF",
        "-m dscp --dscp 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| match draw.below(2) {
        0 => draw.give_one(&CODEPOINT.spec, &["0", "4", "10", "46", "0x2e", "63"]),
        _ => draw.give_one(&CLASS.spec, &["BE", "EF", "AF11", "CS0", "cs7"]),
    },
)
.in_one_scenario_of(4);
