//! `-m length`: how long the packet is, network header included.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, IntegerRange, Opt, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::wording::Ends;
use crate::rule::{Context, Effect, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "length",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[LENGTH.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "how long the packet is",
    samples: SAMPLES,
};

const LENGTH: Opt<IntegerRange> = Opt::integers(
    "length",
    65535,
    "the packet has so many bytes, its IP header included; both ends of a range belong to it",
)
.invertible()
.required();

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let length = given.get(LENGTH).unwrap_or_default();
    Ok(Arc::new(Length { length }))
}

#[derive(Debug, PartialEq, Eq)]
struct Length {
    /// As typed: a range that ends before it begins is taken, and no packet is in it.
    length: Asked<IntegerRange>,
}

impl Length {
    fn bytes(&self) -> Ends<u64> {
        Ends(self.length.value.low, self.length.value.high)
    }

    /// `! --length 40:1500`.
    fn typed(&self) -> String {
        format!("{} {}", LENGTH.spelled(self.length.inverted), self.bytes())
    }
}

impl Match for Length {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let IntegerRange { low, high } = self.length.value;
        let has = (low..=high).contains(&(cx.packet.len() as u64));
        self.length.fits(has).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        format!("{}: packet has {}", self.typed(), cx.packet.len())
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", self.typed());
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let not = if self.length.inverted { "!" } else { "" };
        let _ = write!(out, " length {not}{}", self.bytes());
    }
}

/// ` length !40:1500`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        let mut options = Options::default();
        options.push_unless(it.take()?, LENGTH.name());
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--length 40", "--length 40", "length 40"),
        taken("", "--length 40:1500", "--length 40:1500", "length 40:1500"),
        taken("", "! --length 40:1500", "! --length 40:1500", "length !40:1500"),
        taken("", "--length :0x64", "--length 0:100", "length 0:100"),
        taken("", "! --length 100:", "! --length 100:65535", "length !100:65535"),
        taken("", "--length :", "--length 0:65535", "length 0:65535"),
        taken("", "--length \"\"", "--length 0", "length 0"),
        taken("", "--length 010:8", "--length 8", "length 8"),
        taken("", "--length +5", "--length 5", "length 5"),
        taken("", "! --length 28", "! --length 28", "length !28"),
        taken("", "--length 100:50", "--length 100:50", "length 100:50"),
    ],
    refused: &[
        refused("", "", "length: option \"--length\" must be specified\n"),
        refused(
            "",
            "--length 65536",
            "length: bad value for option \"--length\" near \"65536\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--length 1:65536",
            "length: bad value for option \"--length\" near \"65536\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--length -1:5",
            "length: bad value for option \"--length\" near \"-1:5\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--length x",
            "length: bad value for option \"--length\" near \"x\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--length 5-6",
            "length: Argument to \"--length\" has unexpected characters near \"-6\".\n",
        ),
        refused(
            "",
            "--length 5:6:7",
            "length: Too many components for option \"--length\" (max: 2)\n",
        ),
        refused(
            "",
            "--length 5 --length 6",
            "length: option \"--length\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--length 28", DATAGRAM),
        passes("", "--length 28:31", "udp 10.0.0.2:1 > 192.0.2.9:2 data 0x616263"),
        passes("", "! --length 29:", DATAGRAM),
        passes("", "! --length 100:50", DATAGRAM),
        // The header's options count too.
        passes(
            "",
            "--length 32",
            "hex 46000020000100004011abc00a000002c0000209010101000001000200080000",
        ),
        fails("", "--length 29:65535", DATAGRAM, "--length 29:65535: packet has 28"),
        fails("", "--length 27", DATAGRAM, "--length 27: packet has 28"),
        fails(
            "",
            "! --length :31",
            "udp 10.0.0.2:1 > 192.0.2.9:2 data 0x616263",
            "! --length 0:31: packet has 31",
        ),
        fails("", "--length 100:50", DATAGRAM, "--length 100:50: packet has 28"),
    ],
    spellings: &[
        "-m length --length 5",
        "-m length --length 5:5",
        "-m length --length 0x5",
        "-m length ! --length 5",
        "-m length --length 5:",
        "-m length --length 5:65535",
        "-m length --length :5",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        let lengths = [
            "28", "40", "60", "84", ":40", "41:", "28:59", "60:1500", "1500", "100:", ":", "576:100",
        ];
        draw.give_one(&LENGTH.spec, &lengths);
    },
)
.in_one_scenario_of(4);
