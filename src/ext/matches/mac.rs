//! `-m mac`: the Ethernet address that the packet came from. To the router packets come as of a TUN device or of `lo`: without their link's header.

use std::fmt::{self, Write};
use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::unchecked_strtoul;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::place::only_valid_from;
use crate::ext::samples::{DATAGRAM, DATAGRAM6, Samples, fails, refused, taken};
use crate::ext::wording::not;
use crate::rule::{Context, Effect, HangsOn, Hook, HookSet, Match, Matched, Refusal, Scope};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "mac",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[SOURCE.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the Ethernet address that the packet came from, which no packet of a lab has",
    samples: SAMPLES,
};

const SOURCE: Opt<Address> = Opt::own(
    "mac-source",
    "MAC",
    &Read(|text, _| address(text)),
    "the frame came from this address",
)
.invertible()
.required();

/// Of Ethernet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Address([u8; 6]);

/// Six numbers of at most two letters each. Nothing is zero, and a sign counts as a letter.
fn address(text: &str) -> Result<Address, UsageError> {
    let mut parts = text.split(':').map(byte);
    let mut read = || {
        let mut bytes = [0; 6];
        for byte in &mut bytes {
            *byte = parts.next()??;
        }
        parts.next().is_none().then_some(Address(bytes))
    };
    read().ok_or_else(|| UsageError::parameter("Invalid MAC address specified."))
}

fn byte(text: &str) -> Option<u8> {
    match unchecked_strtoul(text, 16) {
        (number, "") if text.len() <= 2 => Some(number as u8),
        _ => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let source = given.get(SOURCE).unwrap_or_default();
    Ok(Arc::new(Mac { source }))
}

#[derive(Debug, PartialEq, Eq)]
struct Mac {
    source: Asked<Address>,
}

impl Mac {
    /// `! --mac-source 02:00:00:00:00:01`.
    fn typed(&self) -> String {
        format!("{} {}", SOURCE.spelled(self.source.inverted), self.source.value)
    }
}

impl Match for Mac {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    /// Seen: of what comes from a TUN device or over `lo` the kernel says neither that it came from an address nor that it did not.
    fn evaluate(&self, _cx: &Context<'_>) -> Matched {
        Matched::No
    }

    fn effect(&self) -> Effect {
        // There is nothing to hang on.
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, _cx: &Context<'_>) -> String {
        format!("{}: packet came without an Ethernet header", self.typed())
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", self.typed());
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " MAC {}{}", not(self.source.inverted), self.source.value);
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_valid_from(scope, "mac match", HookSet::of(&USABLE))
    }
}

const USABLE: [Hook; 3] = [Hook::Prerouting, Hook::Input, Hook::Forward];

/// ` MAC ! 02:00:00:00:00:01`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("MAC")?;
        let inverted = it.word("!").is_some();
        let mut options = Options::default();
        options.push(inverted, SOURCE.name(), it.take()?);
        Some(options)
    })
}

const SAID: &str = "Invalid MAC address specified.";

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "",
            "--mac-source 00:11:22:33:44:55",
            "--mac-source 00:11:22:33:44:55",
            "MAC 00:11:22:33:44:55",
        ),
        taken(
            "",
            "! --mac-source aa:BB:cc:DD:ee:Ff",
            "! --mac-source aa:bb:cc:dd:ee:ff",
            "MAC ! aa:bb:cc:dd:ee:ff",
        ),
        taken(
            "",
            "--mac-source a:b:c:1:2:3",
            "--mac-source 0a:0b:0c:01:02:03",
            "MAC 0a:0b:0c:01:02:03",
        ),
        taken(
            "",
            "--mac-source 00::22:33:44:",
            "--mac-source 00:00:22:33:44:00",
            "MAC 00:00:22:33:44:00",
        ),
        taken(
            "",
            "--mac-source \" 1: 2:+3:-4:-0:6\"",
            "--mac-source 01:02:03:fc:00:06",
            "MAC 01:02:03:fc:00:06",
        ),
    ],
    refused: &[
        refused("", "", "mac: option \"--mac-source\" must be specified\n"),
        refused("", "--mac-source \"\"", SAID),
        refused("", "--mac-source 00-11-22-33-44-55", SAID),
        refused("", "--mac-source 001122334455", SAID),
        refused("", "--mac-source 00:11:22:33:44", SAID),
        refused("", "--mac-source 00:11:22:33:44:55:", SAID),
        refused("", "--mac-source 00:11:22:33:44:5x", SAID),
        refused("", "--mac-source 000:11:22:33:44:55", SAID),
        refused("", "--mac-source 0x:11:22:33:44:55", SAID),
        refused("", "--mac-source +:11:22:33:44:55", SAID),
        refused("", "--mac-source \" :11:22:33:44:55\"", SAID),
        refused("", "--mac-source -ff:11:22:33:44:55", SAID),
        refused(
            "",
            "--mac-source 1:2:3:4:5:6 --mac-source 1:2:3:4:5:7",
            "mac: option \"--mac-source\" can only be used once.\n",
        ),
    ],
    packets: &[
        fails(
            "",
            "--mac-source 00:00:00:00:00:00",
            DATAGRAM,
            "--mac-source 00:00:00:00:00:00: packet came without an Ethernet header",
        ),
        fails(
            "",
            "! --mac-source 02:00:00:00:00:01",
            DATAGRAM6,
            "! --mac-source 02:00:00:00:00:01: packet came without an Ethernet header",
        ),
    ],
    spellings: &[
        "-m mac --mac-source 02:00:00:00:00:0a",
        "-m mac --mac-source 2:0:0:0:0:A",
        "-m mac ! --mac-source 02:00:00:00:00:0a",
        "-m mac --mac-source 02:00:00:00:00:0b",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.is_within(&USABLE) {
        true => 4,
        false => 0,
    },
    |draw| draw.give_one(&SOURCE.spec, &["02:00:00:00:00:01", "00:00:00:00:00:00"]),
)
.in_one_scenario_of(8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, match_places};
    use crate::rule::Table;

    #[test]
    fn places() {
        const SAID: &str =
            "x_tables: ip_tables: mac match: used from hooks OUTPUT, but only valid from PREROUTING/INPUT/FORWARD";
        match_places(
            &SPEC,
            ANY,
            "--mac-source 1:2:3:4:5:6",
            &[
                (Table::Filter, &[Hook::Input, Hook::Forward], ""),
                (Table::Raw, &[Hook::Prerouting], ""),
                (Table::Filter, &[Hook::Output], SAID),
            ],
        );
    }
}
