//! `-j CLASSIFY`: says which class of a queueing discipline the packet is for. There are none in a lab, and nothing else asks for it: no packet is
//! another for it, nor goes another way.

use std::fmt::{self, Write};
use std::sync::Arc;

use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::unchecked_strtoul;
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::place::only_hooks;
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::packet::Packet;
use crate::rule::{Effect, HangsOn, Hook, HookSet, Refusal, Scope, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "CLASSIFY",
    listed_as: "CLASSIFY",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[CLASS.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "says which class of a queueing discipline the packet is for, of which a lab has none",
    samples: SAMPLES,
};

const CLASS: Opt<Class> = Opt::own(
    "set-class",
    "CODE:CODE",
    &Read(|text, _| class(text)),
    "the discipline's number and the class's in it, both in hexadecimal",
)
.required();

/// Two numbers of 16 bits. What is beyond them is cut off without a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Class {
    major: u16,
    minor: u16,
}

fn class(text: &str) -> Result<Class, UsageError> {
    let read = || {
        let (major, rest) = scanned(text)?;
        let (minor, _) = scanned(rest.strip_prefix(':')?)?;
        Some(Class { major, minor })
    };
    read().ok_or_else(|| UsageError::parameter(format!("Bad class value \"{text}\"")))
}

/// A hexadecimal number as `scanf` reads it, which takes `0x` for one, and whatever follows.
fn scanned(text: &str) -> Option<(u16, &str)> {
    let (number, rest) = unchecked_strtoul(text, 16);
    if rest.len() == text.len() {
        return None;
    }
    let digits = text[..text.len() - rest.len()]
        .trim_start()
        .trim_start_matches(['+', '-']);
    let rest = rest.strip_prefix(['x', 'X']).filter(|_| digits == "0").unwrap_or(rest);
    // A number of more than 32 bits is cut, one of more than 64 is the largest.
    Some((number as u16, rest))
}

/// `1:2`.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}", self.major, self.minor)
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let class = given.value(CLASS).unwrap_or_default();
    Ok(Arc::new(Classify { class }))
}

#[derive(Debug, PartialEq, Eq)]
struct Classify {
    class: Class,
}

impl Target for Classify {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, _cx: &mut TargetContext<'_>) -> TargetVerdict {
        TargetVerdict::Continue
    }

    fn explain(&self, _before: &Packet, _after: &Packet) -> Option<String> {
        Some(format!("its class is {}, for which no queue asks here", self.class))
    }

    fn effect(&self) -> Effect {
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn save(&self, out: &mut String) {
        let Class { major, minor } = self.class;
        let _ = write!(out, " {} {major:04x}:{minor:04x}", CLASS.spelled(false));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " CLASSIFY set {}", self.class);
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        let usable = HookSet::of(&[Hook::Forward, Hook::Output, Hook::Postrouting]);
        only_hooks(scope, "CLASSIFY target", usable)
    }
}

/// ` CLASSIFY set 1:2`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("CLASSIFY")?;
        it.word("set")?;
        let mut options = Options::default();
        options.push(false, CLASS.name(), it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "POSTROUTING"),
    taken: &[
        taken("", "--set-class 1:2", "--set-class 0001:0002", "CLASSIFY set 1:2"),
        taken(
            "",
            "--set-class ABCD:ef",
            "--set-class abcd:00ef",
            "CLASSIFY set abcd:ef",
        ),
        taken("", "--set-class 0:0", "--set-class 0000:0000", "CLASSIFY set 0:0"),
        taken(
            "",
            "--set-class 10001:10002",
            "--set-class 0001:0002",
            "CLASSIFY set 1:2",
        ),
        taken("", "--set-class 0x1:0X2", "--set-class 0001:0002", "CLASSIFY set 1:2"),
        taken("", "--set-class 0x:1", "--set-class 0000:0001", "CLASSIFY set 0:1"),
        taken("", "--set-class 1:0xg", "--set-class 0001:0000", "CLASSIFY set 1:0"),
        taken("", "--set-class 1:2:3", "--set-class 0001:0002", "CLASSIFY set 1:2"),
        taken("", "--set-class 1:2x", "--set-class 0001:0002", "CLASSIFY set 1:2"),
        taken(
            "",
            "--set-class \" 1: +2\"",
            "--set-class 0001:0002",
            "CLASSIFY set 1:2",
        ),
        taken("", "--set-class -1:1", "--set-class ffff:0001", "CLASSIFY set ffff:1"),
        taken(
            "",
            "--set-class 1:123456789abcdef01",
            "--set-class 0001:ffff",
            "CLASSIFY set 1:ffff",
        ),
    ],
    refused: &[
        refused("", "", "CLASSIFY: option \"--set-class\" must be specified\n"),
        refused("", "--set-class \"\"", "Bad class value \"\""),
        refused("", "--set-class 1", "Bad class value \"1\""),
        refused("", "--set-class 1:", "Bad class value \"1:\""),
        refused("", "--set-class :1", "Bad class value \":1\""),
        refused("", "--set-class 1:-", "Bad class value \"1:-\""),
        refused("", "--set-class 1:+-2", "Bad class value \"1:+-2\""),
        refused("", "--set-class 1.2", "Bad class value \"1.2\""),
        refused("", "--set-class x:1", "Bad class value \"x:1\""),
        refused("", "--set-class 1:x", "Bad class value \"1:x\""),
        refused("", "--set-class \"1 :2\"", "Bad class value \"1 :2\""),
        refused(
            "",
            "--set-class 1:2 --set-class 3:4",
            "CLASSIFY: option \"--set-class\" can only be used once.\n",
        ),
        refused(
            "",
            "! --set-class 1:2",
            "CLASSIFY: option \"--set-class\" cannot be inverted.\n",
        ),
    ],
    packets: &[passes("", "--set-class 1:2", DATAGRAM)],
    spellings: &[
        "-j CLASSIFY --set-class 1:2",
        "-j CLASSIFY --set-class 0001:0002",
        "-j CLASSIFY --set-class 10001:2",
        "-j CLASSIFY --set-class 1:3",
        "-j CLASSIFY --set-class 2:2",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.is_within(&[Hook::Forward, Hook::Output, Hook::Postrouting]) {
        true => 6,
        false => 0,
    },
    |draw| draw.give_one(&CLASS.spec, &["1:2", "0:0", "ffff:1"]),
)
.in_one_scenario_of(8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, udp};
    use crate::rule::Table;

    #[test]
    fn places() {
        const SAID: &str = "x_tables: ip_tables: CLASSIFY target: used from hooks PREROUTING, but only usable from FORWARD/OUTPUT/POSTROUTING";
        target_places(
            &SPEC,
            ANY,
            "--set-class 1:2",
            &[
                (Table::Mangle, &[Hook::Prerouting], SAID),
                (Table::Mangle, &[Hook::Output, Hook::Postrouting], ""),
                (Table::Filter, &[Hook::Forward], ""),
                (Table::Nat, &[Hook::Postrouting], ""),
            ],
        );
    }

    #[test]
    fn a_packet_stays_as_it_is() {
        let made = read_target(&SPEC, ANY, "--set-class 1:2").unwrap();
        let mut packet = udp(1, 2, &[]);
        let came = packet.clone();
        assert_eq!(Bench::new().apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
        assert_eq!(packet.bytes(), came.bytes());
        let said = "its class is 1:2, for which no queue asks here";
        assert_eq!(made.explain(&came, &packet).as_deref(), Some(said));
    }
}
