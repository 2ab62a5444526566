//! `-j DSCP`: writes the codepoint of differentiated services, the upper six bits of the type of service or of the traffic class.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::place::only_table;
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::ext::service::{CLASS_SYNTAX, CODEPOINT_SHIFT, ECN, MOST, class};
use crate::ext::{NeedsOne, TargetSpec};
use crate::packet::Packet;
use crate::rule::{Changes, Effect, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "DSCP",
    listed_as: "DSCP",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[SET.spec, CLASS.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[SET.name(), CLASS.name()]],
    build,
    unlist,
    about: "writes the codepoint of differentiated services",
    samples: SAMPLES,
};

const SET: Opt<u64> = Opt::integer("set-dscp", 0, MOST, "this codepoint");
const CLASS: Opt<u8> = Opt::own(
    "set-dscp-class",
    CLASS_SYNTAX,
    &Read(|text, _| class(text)),
    "the codepoint of this class",
);

const NEEDS_ONE: &str = "DSCP target: Parameter --set-dscp is required";

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let codepoint = given.value(SET).map(|codepoint| codepoint as u8);
    let codepoint = codepoint.or(given.value(CLASS)).unwrap_or_default();
    Ok(Arc::new(Dscp { codepoint }))
}

#[derive(Debug, PartialEq, Eq)]
struct Dscp {
    codepoint: u8,
}

impl Target for Dscp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        cx.packet
            .set_tos(self.codepoint << CODEPOINT_SHIFT | cx.packet.tos() & ECN);
        TargetVerdict::Continue
    }

    fn explain(&self, before: &Packet, after: &Packet) -> Option<String> {
        let [before, after] = [before, after].map(|packet| packet.tos() >> CODEPOINT_SHIFT);
        Some(match before == after {
            true => format!("DSCP {before:#04x} stays"),
            false => format!("DSCP {before:#04x} becomes {after:#04x}"),
        })
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::NETWORK_HEADER)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {:#04x}", SET.spelled(false), self.codepoint);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " DSCP set {:#04x}", self.codepoint);
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "DSCP target", Table::Mangle)
    }
}

/// ` DSCP set 0x2e`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("DSCP")?;
        it.word("set")?;
        let mut options = Options::default();
        options.push(false, SET.name(), it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--set-dscp 0", "--set-dscp 0x00", "DSCP set 0x00"),
        taken("", "--set-dscp 63", "--set-dscp 0x3f", "DSCP set 0x3f"),
        taken("", "--set-dscp 010", "--set-dscp 0x08", "DSCP set 0x08"),
        taken("", "--set-dscp-class EF", "--set-dscp 0x2e", "DSCP set 0x2e"),
        taken("", "--set-dscp-class be", "--set-dscp 0x00", "DSCP set 0x00"),
        taken("", "--set-dscp-class CS7", "--set-dscp 0x38", "DSCP set 0x38"),
        taken("", "--set-dscp-class AF13", "--set-dscp 0x0e", "DSCP set 0x0e"),
        taken("", "--set-dscp-class EF,BE", "--set-dscp 0x2e", "DSCP set 0x2e"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--set-dscp 64",
            "DSCP: bad value for option \"--set-dscp\", or out of range (0-63).\n",
        ),
        refused("", "--set-dscp-class XX", "Invalid DSCP value `XX'"),
        refused(
            "",
            "--set-dscp 1 --set-dscp 2",
            "DSCP: option \"--set-dscp\" can only be used once.\n",
        ),
        refused(
            "",
            "--set-dscp-class EF --set-dscp-class BE",
            "DSCP: option \"--set-dscp-class\" can only be used once.\n",
        ),
        refused(
            "",
            "--set-dscp-class EF --set-dscp 1",
            "DSCP: option \"--set-dscp\" cannot be used together with \"--set-dscp-class\".\n",
        ),
        refused(
            "",
            "! --set-dscp 1",
            "DSCP: option \"--set-dscp\" cannot be inverted.\n",
        ),
        refused(
            "",
            "! --set-dscp-class BE",
            "DSCP: option \"--set-dscp-class\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes("", "--set-dscp-class EF", DATAGRAM),
        passes("", "--set-dscp 1", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xfe"),
        passes("", "--set-dscp 46", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xb9"),
        passes(
            "",
            "--set-dscp 63",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 2 flow 0xabcde",
        ),
    ],
    spellings: &[
        "-j DSCP --set-dscp 46",
        "-j DSCP --set-dscp 0x2e",
        "-j DSCP --set-dscp-class EF",
        "-j DSCP --set-dscp-class ef",
        "-j DSCP --set-dscp 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Mangle => 12,
        _ => 0,
    },
    |draw| match draw.below(2) {
        0 => draw.give_one(&SET.spec, &["0", "4", "10", "46", "63"]),
        _ => draw.give_one(&CLASS.spec, &["BE", "EF", "AF11", "CS7"]),
    },
)
.in_one_scenario_of(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::host;
    use crate::ext::testing::{ANY, Bench, read_target_in, target_places, udp};
    use crate::rule::Hook;

    #[test]
    fn places() {
        target_places(
            &SPEC,
            ANY,
            "--set-dscp 1",
            &[
                (Table::Mangle, &[Hook::Output], ""),
                (
                    Table::Raw,
                    &[Hook::Output],
                    "x_tables: ip_tables: DSCP target: only valid in mangle table, not raw",
                ),
            ],
        );
    }

    /// The two bits of ECN stay.
    #[test]
    fn what_is_written_and_what_is_said() {
        for (typed, before, after, said) in [
            ("--set-dscp-class EF", 0x03, 0xbb, "DSCP 0x00 becomes 0x2e"),
            ("--set-dscp 0", 0xfd, 0x01, "DSCP 0x3f becomes 0x00"),
            ("--set-dscp 46", 0xb8, 0xb8, "DSCP 0x2e stays"),
        ] {
            for family in Family::ALL {
                let made = read_target_in(family, &SPEC, ANY, typed).unwrap();
                let mut packet = match family {
                    Family::V4 => udp(1, 2, b"abc"),
                    Family::V6 => crate::packet::testing::udp((host(family, 2), 1), (host(family, 9), 2), b"abc"),
                };
                packet.set_tos(before);
                let came = packet.clone();
                assert_eq!(Bench::new().apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
                assert_eq!(packet.tos(), after, "{typed}");
                assert_eq!(made.explain(&came, &packet).as_deref(), Some(said), "{typed}");
            }
        }
    }
}
