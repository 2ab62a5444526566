//! `-j AUDIT`: tells the kernel's audit of the packet. That is off where nobody has turned it on, and a lab has none: the packet goes on, and nobody
//! hears of it. What is done to the packet, rules behind it say: the word for it is told and does nothing.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::packet::Packet;
use crate::rule::{Effect, HangsOn, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "AUDIT",
    listed_as: "AUDIT",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[TYPE.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "tells the kernel's audit of the packet, which is off in a lab",
    samples: SAMPLES,
};

const TYPE: Opt<&'static str> = Opt::own(
    "type",
    "accept|drop|reject",
    &Read(|text, _| done(text)),
    "what the audit is told that becomes of the packet",
)
.required();

const TYPES: [&str; 3] = ["accept", "drop", "reject"];

fn done(text: &str) -> Result<&'static str, UsageError> {
    let known = TYPES.into_iter().find(|name| name.eq_ignore_ascii_case(text));
    known.ok_or_else(|| UsageError::parameter(format!("Bad action type value \"{text}\"")))
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let done = given.value(TYPE).unwrap_or(TYPES[0]);
    Ok(Arc::new(Audit { done }))
}

#[derive(Debug, PartialEq, Eq)]
struct Audit {
    done: &'static str,
}

impl Target for Audit {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, _cx: &mut TargetContext<'_>) -> TargetVerdict {
        TargetVerdict::Continue
    }

    fn explain(&self, _before: &Packet, _after: &Packet) -> Option<String> {
        Some("the audit is off, so nobody is told".to_owned())
    }

    fn effect(&self) -> Effect {
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", TYPE.spelled(false), self.done);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " AUDIT {}", self.done);
    }
}

/// ` AUDIT accept`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("AUDIT")?;
        let mut options = Options::default();
        options.push(false, TYPE.name(), it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--type accept", "--type accept", "AUDIT accept"),
        taken("", "--type drop", "--type drop", "AUDIT drop"),
        taken("-p tcp", "--type Reject", "--type reject", "AUDIT reject"),
    ],
    refused: &[
        refused("", "", "AUDIT: option \"--type\" must be specified\n"),
        refused("", "--type acc", "Bad action type value \"acc\""),
        refused("", "--type acceptx", "Bad action type value \"acceptx\""),
        refused("", "--type \"\"", "Bad action type value \"\""),
        refused(
            "",
            "--type accept --type drop",
            "AUDIT: option \"--type\" can only be used once.\n",
        ),
        refused("", "! --type accept", "AUDIT: option \"--type\" cannot be inverted.\n"),
    ],
    packets: &[passes("", "--type drop", DATAGRAM)],
    spellings: &[
        "-j AUDIT --type accept",
        "-j AUDIT --type ACCEPT",
        "-j AUDIT --type drop",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn =
    drawn(|_| 4, |draw| draw.give_one(&TYPE.spec, &["accept", "drop", "reject"])).in_one_scenario_of(8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, udp};

    #[test]
    fn a_packet_goes_on_whatever_is_told_of_it() {
        for typed in ["--type accept", "--type drop", "--type reject"] {
            let made = read_target(&SPEC, ANY, typed).unwrap();
            let mut packet = udp(1, 2, &[]);
            let came = packet.clone();
            let mut bench = Bench::new();
            assert_eq!(bench.apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
            assert!(packet.bytes() == came.bytes() && bench.logged.is_empty(), "{typed}");
            assert!(made.explain(&came, &packet).is_some());
        }
    }
}
