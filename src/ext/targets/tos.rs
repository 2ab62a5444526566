//! `-j TOS`: writes bits of the type of service, which IPv6 calls the traffic class.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::place::only_table;
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::ext::service::{SYNTAX, Service, service};
use crate::ext::{NeedsOne, TargetSpec};
use crate::packet::Packet;
use crate::rule::{Changes, Effect, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "TOS",
    listed_as: "TOS",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[SET.spec, AND.spec, OR.spec, XOR.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[SET.name(), AND.name(), OR.name(), XOR.name()]],
    build,
    unlist,
    about: "writes the type of service; in IPv6 the traffic class",
    samples: SAMPLES,
};

const SET: Opt<Service> = Opt::own(
    "set-tos",
    SYNTAX,
    &Read(|text, _| service(text)),
    "clear the bits of the mask, then exclusive-or the value; the mask is all bits without one, and the lower six of what has a name",
);
const AND: Opt<u64> = Opt::integer("and-tos", 0, 255, "keep these bits only");
const OR: Opt<u64> = Opt::integer("or-tos", 0, 255, "set these bits");
const XOR: Opt<u64> = Opt::integer("xor-tos", 0, 255, "flip these bits");

const NEEDS_ONE: &str = "TOS: An action is required";

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let bits = |option| given.value(option).map(|bits| bits as u8);
    let written = match () {
        () if let Some(service) = given.value(SET) => service,
        () if let Some(bits) = bits(AND) => Service { value: 0, mask: !bits },
        () if let Some(bits) = bits(OR) => Service {
            value: bits,
            mask: bits,
        },
        () => Service {
            value: bits(XOR).unwrap_or_default(),
            mask: 0,
        },
    };
    Ok(Arc::new(Tos { written }))
}

#[derive(Debug, PartialEq, Eq)]
struct Tos {
    /// The mask is of what is cleared; the value is exclusive-ored then, also where it has bits outside.
    written: Service,
}

impl Target for Tos {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let Service { value, mask } = self.written;
        cx.packet.set_tos((cx.packet.tos() & !mask) ^ value);
        TargetVerdict::Continue
    }

    fn explain(&self, before: &Packet, after: &Packet) -> Option<String> {
        let [before, after] = [before.tos(), after.tos()];
        Some(match before == after {
            true => format!("TOS {before:#04x} stays"),
            false => format!("TOS {before:#04x} becomes {after:#04x}"),
        })
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::NETWORK_HEADER)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", SET.spelled(false), self.written);
    }

    /// With `-n` always in one form; else a name, without a blank before it and with two before all, or the shortest words there are.
    fn list(&self, out: &mut String, numeric: bool) {
        let Service { value, mask } = self.written;
        let _ = match self.written.name().filter(|_| !numeric) {
            Some(name) => write!(out, "  TOS set{name}"),
            None if numeric => write!(out, " TOS set {}", self.written),
            None if value == 0 => write!(out, " TOS and {:#04x}", !mask),
            None if value == mask => write!(out, " TOS or {value:#04x}"),
            None if mask == 0 => write!(out, " TOS xor {value:#04x}"),
            None => write!(out, " TOS set {}", self.written),
        };
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "TOS target", Table::Mangle)
    }
}

/// ` TOS set 0x10/0x3f`, `  TOS setMinimize-Delay`, ` TOS and 0x0f`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("TOS")?;
        let mut options = Options::default();
        match it.take()? {
            "set" => options.push(false, SET.name(), it.take()?),
            "and" => options.push(false, AND.name(), it.take()?),
            "or" => options.push(false, OR.name(), it.take()?),
            "xor" => options.push(false, XOR.name(), it.take()?),
            named => options.push(false, SET.name(), named.strip_prefix("set")?),
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--set-tos 0x10", "--set-tos 0x10/0xff", "TOS set 0x10/0xff"),
        taken("", "--set-tos 0", "--set-tos 0x00/0xff", "TOS set 0x00/0xff").named("TOS and 0x00"),
        taken("", "--set-tos 255", "--set-tos 0xff/0xff", "TOS set 0xff/0xff").named("TOS or 0xff"),
        taken(
            "",
            "--set-tos Minimize-Delay",
            "--set-tos 0x10/0x3f",
            "TOS set 0x10/0x3f",
        )
        .named(" TOS setMinimize-Delay"),
        taken(
            "",
            "--set-tos normal-service",
            "--set-tos 0x00/0x3f",
            "TOS set 0x00/0x3f",
        )
        .named(" TOS setNormal-Service"),
        taken("", "--set-tos 4/63", "--set-tos 0x04/0x3f", "TOS set 0x04/0x3f").named(" TOS setMaximize-Reliability"),
        taken("", "--set-tos 0x40/0x3f", "--set-tos 0x40/0x3f", "TOS set 0x40/0x3f"),
        taken("", "--set-tos 0/0xf0", "--set-tos 0x00/0xf0", "TOS set 0x00/0xf0").named("TOS and 0x0f"),
        taken("", "--set-tos 0/0", "--set-tos 0x00/0x00", "TOS set 0x00/0x00").named("TOS and 0xff"),
        taken("", "--and-tos 0x0f", "--set-tos 0x00/0xf0", "TOS set 0x00/0xf0").named("TOS and 0x0f"),
        taken("", "--or-tos 0x0f", "--set-tos 0x0f/0x0f", "TOS set 0x0f/0x0f").named("TOS or 0x0f"),
        taken("", "--or-tos 0", "--set-tos 0x00/0x00", "TOS set 0x00/0x00").named("TOS and 0xff"),
        taken("", "--xor-tos 010", "--set-tos 0x08/0x00", "TOS set 0x08/0x00").named("TOS xor 0x08"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused("", "--set-tos x", "Symbolic name \"x\" is unknown"),
        refused("", "--set-tos 256", "Symbolic name \"256\" is unknown"),
        refused("", "--set-tos 1x", "Illegal value: \"1x\""),
        refused("", "--set-tos 1/256", "Illegal value: \"1/256\""),
        refused(
            "",
            "--and-tos 256",
            "TOS: bad value for option \"--and-tos\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--or-tos 1/2",
            "TOS: bad value for option \"--or-tos\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--xor-tos -1",
            "TOS: bad value for option \"--xor-tos\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--set-tos 1 --set-tos 2",
            "TOS: option \"--set-tos\" can only be used once.\n",
        ),
        refused(
            "",
            "--or-tos 2 --set-tos 1",
            "TOS: option \"--set-tos\" cannot be used together with \"--or-tos\".\n",
        ),
        refused(
            "",
            "--xor-tos 2 --and-tos 1",
            "TOS: option \"--and-tos\" cannot be used together with \"--xor-tos\".\n",
        ),
        refused(
            "",
            "--xor-tos 2 --or-tos 1",
            "TOS: option \"--or-tos\" cannot be used together with \"--xor-tos\".\n",
        ),
        refused("", "! --set-tos 1", "TOS: option \"--set-tos\" cannot be inverted.\n"),
        refused("", "! --and-tos 1", "TOS: option \"--and-tos\" cannot be inverted.\n"),
        refused("", "! --or-tos 1", "TOS: option \"--or-tos\" cannot be inverted.\n"),
        refused("", "! --xor-tos 1", "TOS: option \"--xor-tos\" cannot be inverted.\n"),
    ],
    packets: &[
        passes("", "--set-tos 0x10", DATAGRAM),
        passes("", "--set-tos Minimize-Delay", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xe3"),
        passes("", "--set-tos 0x41/0x0f", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xff"),
        passes("", "--and-tos 0xf0", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0x5a"),
        passes("", "--or-tos 0x0f", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0x5a"),
        passes("", "--xor-tos 0xff", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0x5a"),
        passes("", "--set-tos 0x5a", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0x5a"),
        passes(
            "",
            "--xor-tos 0xff",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 0x5a flow 0xabcde",
        ),
    ],
    spellings: &[
        "-j TOS --set-tos 0x10",
        "-j TOS --set-tos 0x10/0xff",
        "-j TOS --set-tos Minimize-Delay",
        "-j TOS --set-tos 0x10/0x3f",
        "-j TOS --or-tos 0x10",
        "-j TOS --set-tos 0x10/0x10",
        "-j TOS --and-tos 0x10",
        "-j TOS --xor-tos 0x10",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Mangle => 12,
        _ => 0,
    },
    |draw| {
        let bits = ["0", "0x10", "3", "0xfc", "255"];
        match draw.below(4) {
            0 => draw.give_one(&AND.spec, &bits),
            1 => draw.give_one(&OR.spec, &bits),
            2 => draw.give_one(&XOR.spec, &bits),
            _ => draw.give_one(
                &SET.spec,
                &["0x10", "0", "0xb8/0xfc", "Minimize-Cost", "0x12/0x03", "2/3"],
            ),
        }
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
            "--set-tos 1",
            &[
                (Table::Mangle, &[Hook::Output], ""),
                (
                    Table::Filter,
                    &[Hook::Output],
                    "x_tables: ip_tables: TOS target: only valid in mangle table, not filter",
                ),
            ],
        );
    }

    #[test]
    fn what_is_written_and_what_is_said() {
        for (typed, before, after, said) in [
            ("--set-tos 0x12", 0xff, 0x12, "TOS 0xff becomes 0x12"),
            ("--set-tos 0x41/0x0f", 0xff, 0xb1, "TOS 0xff becomes 0xb1"),
            ("--set-tos minimize-cost", 0xff, 0xc2, "TOS 0xff becomes 0xc2"),
            ("--and-tos 0x3c", 0x5a, 0x18, "TOS 0x5a becomes 0x18"),
            ("--or-tos 3", 0x50, 0x53, "TOS 0x50 becomes 0x53"),
            ("--xor-tos 0xff", 0x5a, 0xa5, "TOS 0x5a becomes 0xa5"),
            ("--or-tos 0", 8, 8, "TOS 0x08 stays"),
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
                let checked = packet.ipv4().is_none_or(|header| header.checksum_is_right());
                assert!(checked && packet.transport() == came.transport(), "{typed}");
            }
        }
    }
}
