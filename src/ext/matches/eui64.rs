//! `-m eui64`: an IPv6 source address whose end is made of the Ethernet address that the packet came from.

use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::drawn;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, UsageError};
use crate::ext::place::only_valid_from;
use crate::ext::samples::{DATAGRAM6, Samples, fails, taken};
use crate::rule::{Context, Effect, HangsOn, Hook, HookSet, Match, Matched, Refusal, Scope};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "eui64",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: None,
    options: &[],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the end of the source address is made of the sender's Ethernet address, which no packet of a lab has",
    samples: SAMPLES,
};

fn build(_: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Eui64))
}

#[derive(Debug, PartialEq, Eq)]
struct Eui64;

impl Match for Eui64 {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    /// Seen: the kernel matches nothing that comes from a TUN device or over `lo`.
    fn evaluate(&self, _cx: &Context<'_>) -> Matched {
        Matched::No
    }

    fn effect(&self) -> Effect {
        // There is none to hang on.
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, _cx: &Context<'_>) -> String {
        "eui64: packet has no Ethernet header".to_owned()
    }

    fn save(&self, _out: &mut String) {}

    /// The blank that others have in front stands behind it.
    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str("eui64 ");
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        let usable = HookSet::of(&[Hook::Prerouting, Hook::Input, Hook::Forward]);
        only_valid_from(scope, "eui64 match", usable)
    }
}

/// `eui64 `.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("eui64")?;
        it.rest = it.rest.strip_prefix(' ').unwrap_or(it.rest);
        Some(Options::default())
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "eui64 ").glued(),
        taken("-p tcp", "", "", "eui64 ").glued(),
    ],
    refused: &[],
    packets: &[fails("", "", DATAGRAM6, "eui64: packet has no Ethernet header")],
    spellings: &["-m eui64"],
    drawn: drawn(
        |place| match place.is_within(&[Hook::Prerouting, Hook::Input, Hook::Forward]) {
            true => 4,
            false => 0,
        },
        |_| {},
    )
    .in_one_scenario_of(8),
};
