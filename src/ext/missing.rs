//! The matches and targets of iptables 1.8.9 that nflab has not got yet: a rule that asks for one is refused by its name, before its options are
//! read, so that nothing of it is taken for something else (`-j CLUSTERIP --new` is not `-N`).
//!
//! The names are those of the tool's own directory of extensions (`xtables/` of Debian 12's package), without those that nflab began with. What is
//! built since is in the registry, and no longer missing, whether its row still stands here or not.

use super::{find_match, find_target};
use crate::base::Family;

/// What stands behind `-m`, or behind `-j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What `-m` loads.
    Match,
    /// What `-j` jumps to.
    Target,
}

impl Kind {
    /// The word for it in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Target => "target",
        }
    }

    /// The option of a command that it stands behind.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Match => "-m",
            Self::Target => "-j",
        }
    }
}

/// The tool's name for an extension that it has and nflab has not: `name` may be another spelling of it (`ipv6-icmp`).
pub fn find(kind: Kind, name: &str, family: Family) -> Option<&'static str> {
    let row = rows(kind, family).find(|row| row.names.contains(&name))?;
    Some(row.names[0])
}

/// The names of one kind, each once.
pub fn names(kind: Kind, family: Family) -> impl Iterator<Item = &'static str> {
    rows(kind, family).map(|row| row.names[0])
}

/// What is not built of this kind for this family.
fn rows(kind: Kind, family: Family) -> impl Iterator<Item = &'static Row> {
    let same = move |row: &&Row| row.kind == kind && row.families.contains(&family);
    ROWS.iter().filter(same).filter(move |row| {
        let is_built = |name: &&str| match kind {
            Kind::Match => find_match(name, family).is_some(),
            Kind::Target => find_target(name, family).is_some(),
        };
        !row.names.iter().any(is_built)
    })
}

/// What is said of an extension that is not there.
pub fn refusal(kind: Kind, name: &str) -> String {
    format!("{} {name} is not there yet in nflab {VERSION}", kind.name())
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

struct Row {
    kind: Kind,
    /// The name that `-m` or `-j` takes, then its other spellings.
    names: &'static [&'static str],
    families: &'static [Family],
}

const fn row(kind: Kind, families: &'static [Family], names: &'static [&'static str]) -> Row {
    Row { kind, names, families }
}

const BOTH: &[Family] = &[Family::V4, Family::V6];
const V4: &[Family] = &[Family::V4];
const V6: &[Family] = &[Family::V6];

const ROWS: &[Row] = &[
    row(Kind::Match, BOTH, &["bpf"]),
    row(Kind::Match, BOTH, &["cgroup"]),
    row(Kind::Match, BOTH, &["cluster"]),
    row(Kind::Match, BOTH, &["connbytes"]),
    row(Kind::Match, BOTH, &["connlabel"]),
    row(Kind::Match, BOTH, &["connlimit"]),
    row(Kind::Match, BOTH, &["connmark"]),
    row(Kind::Match, BOTH, &["cpu"]),
    row(Kind::Match, BOTH, &["devgroup"]),
    row(Kind::Match, BOTH, &["dscp"]),
    row(Kind::Match, V6, &["dst"]),
    row(Kind::Match, BOTH, &["ecn"]),
    row(Kind::Match, V6, &["eui64"]),
    row(Kind::Match, V6, &["frag"]),
    row(Kind::Match, BOTH, &["hashlimit"]),
    row(Kind::Match, V6, &["hbh"]),
    row(Kind::Match, V6, &["hl"]),
    row(Kind::Match, BOTH, &["iprange"]),
    row(Kind::Match, V6, &["ipv6header"]),
    row(Kind::Match, BOTH, &["ipvs"]),
    row(Kind::Match, BOTH, &["length"]),
    row(Kind::Match, BOTH, &["mac"]),
    row(Kind::Match, BOTH, &["nfacct"]),
    row(Kind::Match, BOTH, &["osf"]),
    row(Kind::Match, BOTH, &["owner"]),
    row(Kind::Match, BOTH, &["physdev"]),
    row(Kind::Match, BOTH, &["pkttype"]),
    row(Kind::Match, BOTH, &["policy"]),
    row(Kind::Match, BOTH, &["quota"]),
    row(Kind::Match, BOTH, &["rateest"]),
    row(Kind::Match, V4, &["realm"]),
    row(Kind::Match, BOTH, &["recent"]),
    row(Kind::Match, BOTH, &["rpfilter"]),
    row(Kind::Match, V6, &["rt"]),
    row(Kind::Match, BOTH, &["set"]),
    row(Kind::Match, BOTH, &["socket"]),
    row(Kind::Match, V6, &["srh"]),
    row(Kind::Match, BOTH, &["statistic"]),
    row(Kind::Match, BOTH, &["string"]),
    row(Kind::Match, BOTH, &["tcpmss"]),
    row(Kind::Match, BOTH, &["time"]),
    row(Kind::Match, BOTH, &["tos"]),
    row(Kind::Match, V4, &["ttl"]),
    row(Kind::Match, BOTH, &["u32"]),
    row(Kind::Target, BOTH, &["AUDIT"]),
    row(Kind::Target, BOTH, &["CHECKSUM"]),
    row(Kind::Target, BOTH, &["CLASSIFY"]),
    row(Kind::Target, V4, &["CLUSTERIP"]),
    row(Kind::Target, BOTH, &["CONNMARK"]),
    row(Kind::Target, BOTH, &["CONNSECMARK"]),
    row(Kind::Target, V6, &["DNPT"]),
    row(Kind::Target, BOTH, &["DSCP"]),
    row(Kind::Target, V4, &["ECN"]),
    row(Kind::Target, V6, &["HL"]),
    row(Kind::Target, BOTH, &["HMARK"]),
    row(Kind::Target, BOTH, &["IDLETIMER"]),
    row(Kind::Target, BOTH, &["LED"]),
    row(Kind::Target, BOTH, &["NETMAP"]),
    row(Kind::Target, BOTH, &["NFLOG"]),
    row(Kind::Target, BOTH, &["NFQUEUE"]),
    row(Kind::Target, BOTH, &["RATEEST"]),
    row(Kind::Target, BOTH, &["SECMARK"]),
    row(Kind::Target, BOTH, &["SET"]),
    row(Kind::Target, V6, &["SNPT"]),
    row(Kind::Target, BOTH, &["SYNPROXY"]),
    row(Kind::Target, BOTH, &["TCPMSS"]),
    row(Kind::Target, BOTH, &["TCPOPTSTRIP"]),
    row(Kind::Target, BOTH, &["TEE"]),
    row(Kind::Target, BOTH, &["TOS"]),
    row(Kind::Target, BOTH, &["TPROXY"]),
    row(Kind::Target, BOTH, &["TRACE"]),
    row(Kind::Target, V4, &["TTL"]),
    row(Kind::Target, V4, &["ULOG"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext;

    const KINDS: [Kind; 2] = [Kind::Match, Kind::Target];

    #[test]
    fn what_is_built_is_not_missing() {
        for family in [Family::V4, Family::V6] {
            let matches = ext::matches().flat_map(|it| {
                std::iter::once(it.name)
                    .chain(it.aliases.iter().copied())
                    .map(move |name| (it.families, Kind::Match, name))
            });
            let targets = ext::targets().map(|it| (it.families, Kind::Target, it.name));
            for (_, kind, name) in matches.chain(targets).filter(|it| it.0.contains(&family)) {
                assert_eq!(find(kind, name, family), None);
                assert!(!names(kind, family).any(|missing| missing == name), "{name}");
            }
        }
    }

    #[test]
    fn names_belong_to_kinds_and_families() {
        for family in [Family::V4, Family::V6] {
            for kind in KINDS {
                let mut seen = std::collections::BTreeSet::new();
                for row in rows(kind, family) {
                    for name in row.names {
                        assert!(seen.insert(*name), "{} {name} twice", kind.name());
                        assert_eq!(find(kind, name, family), Some(row.names[0]));
                    }
                }
            }
        }
        // A name of one family is none in the other, and one behind `-j` none behind `-m`.
        let (four, six) = (names(Kind::Target, Family::V4), names(Kind::Target, Family::V6));
        let (four, six): (Vec<&str>, Vec<&str>) = (four.collect(), six.collect());
        assert!(four.iter().any(|name| !six.contains(name)));
        assert!(names(Kind::Target, Family::V4).all(|name| find(Kind::Match, name, Family::V4).is_none()));
        assert_eq!(
            refusal(Kind::Target, "TEE"),
            format!("target TEE is not there yet in nflab {VERSION}")
        );
    }
}
