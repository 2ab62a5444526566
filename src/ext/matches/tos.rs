//! `-m tos`: bits of the type of service, which IPv6 calls the traffic class.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::service::{SYNTAX, Service, service};
use crate::rule::{Context, Effect, HangsOn, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "tos",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[TOS.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the type of service; in IPv6 the traffic class",
    samples: SAMPLES,
};

const TOS: Opt<Service> = Opt::own(
    "tos",
    SYNTAX,
    &Read(|text, _| service(text)),
    "the byte under the mask is this; all of it counts without a mask, and the lower six bits of what has a name",
)
.invertible()
.required();

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let asked = given.get(TOS).unwrap_or_default();
    Ok(Arc::new(Tos { asked }))
}

#[derive(Debug, PartialEq, Eq)]
struct Tos {
    /// A value with bits outside its mask is none that a packet has.
    asked: Asked<Service>,
}

impl Tos {
    /// `! --tos 0x10/0x3f`.
    fn typed(&self) -> String {
        format!("{} {}", TOS.spelled(self.asked.inverted), self.asked.value)
    }
}

impl Match for Tos {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Service { value, mask } = self.asked.value;
        self.asked.fits(cx.packet.tos() & mask == value).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        format!("{}: packet has {:#04x}", self.typed(), cx.packet.tos())
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", self.typed());
    }

    /// The blank before a number is missing.
    fn list(&self, out: &mut String, numeric: bool) {
        let not = if self.asked.inverted { "!" } else { "" };
        let _ = match self.asked.value.name() {
            Some(name) if !numeric => write!(out, " tos match{not} {name}"),
            _ => write!(out, " tos match{not}{}", self.asked.value),
        };
    }
}

/// ` tos match!0x10/0x3f`, ` tos match! Minimize-Delay`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        let end = it.after("match")?;
        let (inverted, number) = match end.strip_prefix('!') {
            Some(number) => (true, number),
            None => (false, end),
        };
        let value = if number.is_empty() { it.take()? } else { number };
        let mut options = Options::default();
        options.push(inverted, TOS.name(), value);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--tos 0x10", "--tos 0x10/0xff", "tos match0x10/0xff"),
        taken("", "! --tos 255", "! --tos 0xff/0xff", "tos match!0xff/0xff"),
        taken("", "--tos 0x11/0x3f", "--tos 0x11/0x3f", "tos match0x11/0x3f"),
        taken("", "--tos 0xff/0x0f", "--tos 0xff/0x0f", "tos match0xff/0x0f"),
        taken("", "--tos +010", "--tos 0x08/0xff", "tos match0x08/0xff"),
        taken("", "--tos \"1/ 1\"", "--tos 0x01/0x01", "tos match0x01/0x01"),
        taken("", "--tos Minimize-Delay", "--tos 0x10/0x3f", "tos match0x10/0x3f").named("tos match Minimize-Delay"),
        taken("", "! --tos 0x10/0x3f", "! --tos 0x10/0x3f", "tos match!0x10/0x3f").named("tos match! Minimize-Delay"),
        taken("", "--tos maximize-throughput", "--tos 0x08/0x3f", "tos match0x08/0x3f")
            .named("tos match Maximize-Throughput"),
        taken(
            "",
            "--tos MAXIMIZE-reliability",
            "--tos 0x04/0x3f",
            "tos match0x04/0x3f",
        )
        .named("tos match Maximize-Reliability"),
        taken("", "--tos Minimize-Cost", "--tos 0x02/0x3f", "tos match0x02/0x3f").named("tos match Minimize-Cost"),
        taken("", "! --tos 0/63", "! --tos 0x00/0x3f", "tos match!0x00/0x3f").named("tos match! Normal-Service"),
    ],
    refused: &[
        refused("", "", "tos: option \"--tos\" must be specified\n"),
        refused("", "--tos 256", "Symbolic name \"256\" is unknown"),
        refused("", "--tos -1", "Symbolic name \"-1\" is unknown"),
        refused("", "--tos 300x", "Symbolic name \"300x\" is unknown"),
        refused("", "--tos \"\"", "Symbolic name \"\" is unknown"),
        refused("", "--tos /1", "Symbolic name \"/1\" is unknown"),
        refused("", "--tos Minimize", "Symbolic name \"Minimize\" is unknown"),
        refused(
            "",
            "--tos Minimize-Delay/0xff",
            "Symbolic name \"Minimize-Delay/0xff\" is unknown",
        ),
        refused("", "--tos 1/", "Illegal value: \"1/\""),
        refused("", "--tos 1/256", "Illegal value: \"1/256\""),
        refused("", "--tos 1/-1", "Illegal value: \"1/-1\""),
        refused("", "--tos 1/1/1", "Illegal value: \"1/1/1\""),
        refused("", "--tos 0x", "Illegal value: \"0x\""),
        refused("", "--tos 08", "Illegal value: \"08\""),
        refused("", "--tos \"1 \"", "Illegal value: \"1 \""),
        refused("", "--tos 1 --tos 2", "tos: option \"--tos\" can only be used once.\n"),
    ],
    packets: &[
        passes("", "--tos 0x10", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0x10"),
        passes("", "--tos Minimize-Delay", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xd0"),
        passes("", "--tos 0xc0/0xc0", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xff"),
        passes("", "--tos 0/0", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xff"),
        passes("", "! --tos 1/0", DATAGRAM),
        passes("", "--tos 0xb8", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 0xb8"),
        passes(
            "",
            "! --tos 8/15",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 0x80",
        ),
        fails("", "--tos 0x10", DATAGRAM, "--tos 0x10/0xff: packet has 0x00"),
        fails(
            "",
            "! --tos 0x10/0x3f",
            "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0x50",
            "! --tos 0x10/0x3f: packet has 0x50",
        ),
        fails(
            "",
            "--tos 0xff/0x0f",
            "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xff",
            "--tos 0xff/0x0f: packet has 0xff",
        ),
        fails(
            "",
            "--tos 0xb8",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 0xba",
            "--tos 0xb8/0xff: packet has 0xba",
        ),
    ],
    spellings: &[
        "-m tos --tos 16",
        "-m tos --tos 0x10/0xff",
        "-m tos --tos 0x10/0x3f",
        "-m tos --tos minimize-delay",
        "-m tos ! --tos Minimize-Delay",
        "-m tos --tos 0x50/0x3f",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        let services = [
            "0",
            "0x10",
            "Minimize-Delay",
            "0x28/0xfc",
            "0xb8",
            "0/0x3f",
            "0x10/0x10",
            "0x02/0x03",
            "0x08/0x18",
        ];
        draw.give_one(&TOS.spec, &services);
    },
)
.in_one_scenario_of(4);
