//! `-j TTL`: writes the time to live of the IPv4 header.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::place::only_table;
use crate::ext::samples::{Samples, passes, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::packet::Packet;
use crate::rule::{Changes, Effect, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "TTL",
    listed_as: "TTL",
    families: &[Family::V4],
    options: &[SET.spec, DECREMENT.spec, INCREMENT.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[SET.name(), INCREMENT.name(), DECREMENT.name()]],
    build,
    unlist,
    about: "writes the time to live",
    samples: SAMPLES,
};

const SET: Opt<u64> = Opt::integer("ttl-set", 0, 255, "to this");
const DECREMENT: Opt<u64> = Opt::integer("ttl-dec", 1, 255, "less by this, down to 0");
const INCREMENT: Opt<u64> = Opt::integer("ttl-inc", 1, 255, "more by this, up to 255");

const NEEDS_ONE: &str = "TTL: You must specify an action";

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let written = WAYS.into_iter().find_map(|way| {
        let value = given.value(way.option())? as u8;
        Some(Ttl { way, value })
    });
    // The spec asks for one of them.
    Ok(Arc::new(written.ok_or_else(|| UsageError::parameter(NEEDS_ONE))?))
}

#[derive(Debug, PartialEq, Eq)]
struct Ttl {
    way: Way,
    value: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Set,
    Decrement,
    Increment,
}

const WAYS: [Way; 3] = [Way::Set, Way::Decrement, Way::Increment];

impl Way {
    fn option(self) -> Opt<u64> {
        match self {
            Self::Set => SET,
            Self::Decrement => DECREMENT,
            Self::Increment => INCREMENT,
        }
    }

    /// In a listing.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Set => ["set", "to"],
            Self::Decrement => ["decrement", "by"],
            Self::Increment => ["increment", "by"],
        }
    }
}

impl Target for Ttl {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let has = cx.packet.ttl();
        cx.packet.set_ttl(match self.way {
            Way::Set => self.value,
            Way::Decrement => has.saturating_sub(self.value),
            Way::Increment => has.saturating_add(self.value),
        });
        TargetVerdict::Continue
    }

    fn explain(&self, before: &Packet, after: &Packet) -> Option<String> {
        let (before, after) = (before.ttl(), after.ttl());
        Some(match before == after {
            true => format!("TTL {before} stays"),
            false => format!("TTL {before} becomes {after}"),
        })
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::NETWORK_HEADER)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", self.way.option().spelled(false), self.value);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let [what, how] = self.way.words();
        let _ = write!(out, " TTL {what} {how} {}", self.value);
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "TTL target", Table::Mangle)
    }
}

/// ` TTL set to 64`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("TTL")?;
        let words = [it.take()?, it.take()?];
        let way = WAYS.into_iter().find(|way| way.words() == words)?;
        let mut options = Options::default();
        options.push(false, way.option().name(), it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--ttl-set 64", "--ttl-set 64", "TTL set to 64"),
        taken("", "--ttl-set 0", "--ttl-set 0", "TTL set to 0"),
        taken("", "--ttl-set 0xff", "--ttl-set 255", "TTL set to 255"),
        taken("", "--ttl-dec 1", "--ttl-dec 1", "TTL decrement by 1"),
        taken("", "--ttl-dec 255", "--ttl-dec 255", "TTL decrement by 255"),
        taken("", "--ttl-inc 010", "--ttl-inc 8", "TTL increment by 8"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--ttl-set 256",
            "TTL: bad value for option \"--ttl-set\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-set x",
            "TTL: bad value for option \"--ttl-set\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-inc 0",
            "TTL: bad value for option \"--ttl-inc\", or out of range (1-255).\n",
        ),
        refused(
            "",
            "--ttl-dec 0",
            "TTL: bad value for option \"--ttl-dec\", or out of range (1-255).\n",
        ),
        refused(
            "",
            "--ttl-set 5 --ttl-set 6",
            "TTL: option \"--ttl-set\" can only be used once.\n",
        ),
        refused(
            "",
            "--ttl-inc 5 --ttl-inc 0",
            "TTL: option \"--ttl-inc\" can only be used once.\n",
        ),
        refused(
            "",
            "--ttl-inc 1 --ttl-set 0",
            "TTL: option \"--ttl-set\" cannot be used together with \"--ttl-inc\".\n",
        ),
        refused(
            "",
            "--ttl-dec 5 --ttl-set 6",
            "TTL: option \"--ttl-set\" cannot be used together with \"--ttl-dec\".\n",
        ),
        refused(
            "",
            "--ttl-inc 5 --ttl-dec 6",
            "TTL: option \"--ttl-dec\" cannot be used together with \"--ttl-inc\".\n",
        ),
        refused("", "! --ttl-set 5", "TTL: option \"--ttl-set\" cannot be inverted.\n"),
        refused("", "! --ttl-dec 5", "TTL: option \"--ttl-dec\" cannot be inverted.\n"),
        refused("", "! --ttl-inc 5", "TTL: option \"--ttl-inc\" cannot be inverted.\n"),
    ],
    packets: &[
        passes("", "--ttl-set 5", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-set 0", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-dec 5", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-dec 9", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 8"),
        passes("", "--ttl-inc 5", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-inc 2", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 255"),
    ],
    spellings: &[
        "-j TTL --ttl-set 5",
        "-j TTL --ttl-set 0x5",
        "-j TTL --ttl-set 05",
        "-j TTL --ttl-inc 5",
        "-j TTL --ttl-dec 5",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Mangle => 12,
        _ => 0,
    },
    |draw| match draw.below(3) {
        0 => draw.give_one(&SET.spec, &["64", "1", "2", "0", "255"]),
        1 => draw.give_one(&DECREMENT.spec, &["1", "2", "63", "64", "255"]),
        _ => draw.give_one(&INCREMENT.spec, &["1", "2", "190", "191", "255"]),
    },
)
.in_one_scenario_of(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, udp};
    use crate::rule::Hook;

    #[test]
    fn places() {
        for (table, said) in [
            (Table::Mangle, None),
            (Table::Filter, Some("filter")),
            (Table::Nat, Some("nat")),
            (Table::Raw, Some("raw")),
            (Table::Security, Some("security")),
        ] {
            let said =
                said.map(|table| format!("x_tables: ip_tables: TTL target: only valid in mangle table, not {table}"));
            let said = said.unwrap_or_default();
            target_places(&SPEC, ANY, "--ttl-set 5", &[(table, &[Hook::Output], &said)]);
        }
    }

    #[test]
    fn what_is_written_and_what_is_said() {
        for (typed, before, after, said) in [
            ("--ttl-set 5", 64, 5, "TTL 64 becomes 5"),
            ("--ttl-set 64", 64, 64, "TTL 64 stays"),
            ("--ttl-set 0", 64, 0, "TTL 64 becomes 0"),
            ("--ttl-dec 63", 64, 1, "TTL 64 becomes 1"),
            ("--ttl-dec 65", 64, 0, "TTL 64 becomes 0"),
            ("--ttl-inc 191", 64, 255, "TTL 64 becomes 255"),
            ("--ttl-inc 192", 64, 255, "TTL 64 becomes 255"),
            ("--ttl-inc 255", 255, 255, "TTL 255 stays"),
        ] {
            let made = read_target(&SPEC, ANY, typed).unwrap();
            let mut packet = udp(1, 2, b"abc");
            packet.set_ttl(before);
            let came = packet.clone();
            assert_eq!(Bench::new().apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
            assert_eq!(packet.ttl(), after, "{typed}");
            assert_eq!(made.explain(&came, &packet).as_deref(), Some(said), "{typed}");
            // The header's checksum followed.
            assert!(Packet::parse(packet.bytes().to_vec()).is_ok(), "{typed}");
        }
    }
}
