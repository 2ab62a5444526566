//! What writes how many routers a packet may still pass: `-j TTL` in the IPv4 header, `-j HL` in that of IPv6. One target with words for each.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::place::only_table;
use crate::packet::Packet;
use crate::rule::{Changes, Effect, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

/// How a family calls it.
pub(super) struct Words {
    /// Also in a listing.
    pub name: &'static str,
    pub set: Opt<u64>,
    pub decrement: Opt<u64>,
    pub increment: Opt<u64>,
}

const fn words(family: Family) -> &'static Words {
    match family {
        Family::V4 => &super::ttl::WORDS,
        Family::V6 => &super::hl::WORDS,
    }
}

pub(super) fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let family = given.family;
    let written = WAYS.into_iter().find_map(|way| {
        let value = given.value(way.option(family))? as u8;
        Some(Hops { family, way, value })
    });
    let written = written.ok_or_else(|| UsageError::parameter("the spec asks for one of them"))?;
    Ok(Arc::new(written))
}

#[derive(Debug, PartialEq, Eq)]
struct Hops {
    family: Family,
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
    fn option(self, family: Family) -> Opt<u64> {
        let words = words(family);
        match self {
            Self::Set => words.set,
            Self::Decrement => words.decrement,
            Self::Increment => words.increment,
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

impl Target for Hops {
    fn name(&self) -> &'static str {
        words(self.family).name
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
        let (name, before, after) = (self.name(), before.ttl(), after.ttl());
        Some(match before == after {
            true => format!("{name} {before} stays"),
            false => format!("{name} {before} becomes {after}"),
        })
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::NETWORK_HEADER)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", self.way.option(self.family).spelled(false), self.value);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let [what, how] = self.way.words();
        let _ = write!(out, " {} {what} {how} {}", self.name(), self.value);
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, &format!("{} target", self.name()), Table::Mangle)
    }
}

/// ` TTL set to 64`.
pub(super) fn unlist(family: Family, listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(words(family).name)?;
        let words = [it.take()?, it.take()?];
        let way = WAYS.into_iter().find(|way| way.words() == words)?;
        let mut options = Options::default();
        options.push(false, way.option(family).name(), it.take()?);
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{hl, ttl};
    use super::*;
    use crate::base::testing::host;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, udp};
    use crate::rule::Hook;

    #[test]
    fn places() {
        for (spec, tables) in [(&ttl::SPEC, "ip_tables: TTL"), (&hl::SPEC, "ip6_tables: HL")] {
            for (table, said) in [
                (Table::Mangle, None),
                (Table::Filter, Some("filter")),
                (Table::Nat, Some("nat")),
                (Table::Raw, Some("raw")),
                (Table::Security, Some("security")),
            ] {
                let said =
                    said.map(|table| format!("x_tables: {tables} target: only valid in mangle table, not {table}"));
                let typed = format!("--{}-set 5", spec.name.to_lowercase());
                let said = said.unwrap_or_default();
                target_places(spec, ANY, &typed, &[(table, &[Hook::Output], &said)]);
            }
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
            for (spec, family) in [(&ttl::SPEC, Family::V4), (&hl::SPEC, Family::V6)] {
                let [typed, said] = [typed, said].map(|text| match family {
                    Family::V4 => text.to_owned(),
                    Family::V6 => text.replace("ttl", "hl").replace("TTL", "HL"),
                });
                let made = read_target(spec, ANY, &typed).unwrap();
                let mut packet = datagram(family);
                packet.set_ttl(before);
                let came = packet.clone();
                assert_eq!(Bench::new().apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
                assert_eq!(packet.ttl(), after, "{typed}");
                assert_eq!(made.explain(&came, &packet).as_deref(), Some(&said[..]), "{typed}");
                // The header's checksum followed.
                assert!(Packet::parse(packet.bytes().to_vec()).is_ok(), "{typed}");
            }
        }
    }

    fn datagram(family: Family) -> Packet {
        match family {
            Family::V4 => udp(1, 2, b"abc"),
            Family::V6 => crate::packet::testing::udp((host(family, 2), 1), (host(family, 9), 2), b"abc"),
        }
    }
}
