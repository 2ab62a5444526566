//! Matches and targets: the option kit, the registry, one file an extension.
//!
//! An extension is one file: its spec (options, `build`, `unlist`), its value (`evaluate` or `apply`, `save`, `list`) and its tests. The
//! registry below is the only list of them; a program that uses the library may add its own ([`add_match`](crate::ext::add_match), [`add_target`](crate::ext::add_target)).

#[cfg(test)]
mod claims;
pub mod drawn;
mod help;
mod label_file;
pub(crate) mod like;
pub mod listed;
pub(crate) mod matches;
pub mod missing;
pub(crate) mod names;
pub(crate) mod number;
pub mod option;
mod place;
pub mod samples;
mod service;
mod states;
pub(crate) mod targets;
#[cfg(test)]
mod testing;
mod wording;

pub use label_file::LabelFile;

use std::sync::Arc;

use parking_lot::RwLock;

use crate::base::Family;
pub(crate) use wording::quoted;

use crate::rule::{Match, Target};
use crate::wire::ipv6;
use listed::Unlist;
pub(crate) use option::{Exclusive, NeedsOne};
use option::{Given, OptionSpec, UsageError};
use samples::Samples;

/// What `-m NAME` is.
#[derive(Debug)]
pub struct MatchSpec {
    /// As `-m`, `iptables-save` and listings have it; no other match has it in one of its families.
    pub name: &'static str,
    /// Other names it is loaded by.
    pub aliases: &'static [&'static str],
    /// The families whose tools take it.
    pub families: &'static [Family],
    /// Of an extension that each family has under a name of its own: what the other family calls it. Their options stand in one order.
    pub like: Option<&'static str>,
    /// Set for the matches that `-p PROTOCOL` brings in when one of their options is met (`-p tcp --dport 80`).
    pub protocol: Option<u8>,
    /// All its options, in the order of its help. Each is a constant [`Opt`](option::Opt) of the extension's file, whose `spec` stands here.
    pub options: &'static [OptionSpec],
    /// What the tool says where none of the options named is given.
    pub needs_one: Option<NeedsOne>,
    /// Options of which only one may stand. Said at the end, and said of the option whose spec comes first, against the first of its group: the tool
    /// has an order for each.
    pub exclusive: Exclusive,
    /// Makes the value of options that are in order one by one; the error is what no spec can say of the whole.
    pub build: fn(&Given<'_>) -> Result<Arc<dyn Match>, UsageError>,
    /// The inverse of [`Match::list`]: [`listed::never`] where there is none.
    pub unlist: Unlist,
    /// Under `/proc/net`: where a file shows what its rules share by each name ([`Match::sharing`]).
    pub directory: Option<Directory>,
    /// One line for the manual.
    pub about: &'static str,
    /// What the tests and the oracles of the real tools try it on; nothing of it is asked while rules are read.
    pub samples: Samples,
}

/// Where files show what rules share by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directory {
    /// The rules of both families share it.
    OfBoth(&'static str),
    /// Each family has its own, in which a name is another.
    OfEach {
        /// Of iptables' rules.
        v4: &'static str,
        /// Of ip6tables' rules.
        v6: &'static str,
    },
}

impl Directory {
    /// The family's: a name under `/proc/net`.
    pub fn of(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::OfBoth(name), _) => name,
            (Self::OfEach { v4, .. }, Family::V4) => v4,
            (Self::OfEach { v6, .. }, Family::V6) => v6,
        }
    }
}

impl MatchSpec {
    /// The end of the command: asks what only the whole can tell, then builds.
    pub fn finish(&self, given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
        option::finish(self.name, self.options, self.needs_one, self.exclusive, given)?;
        (self.build)(given)
    }

    /// What `-m NAME -h` adds to the help of this family's tool.
    pub fn help(&self, family: Family) -> String {
        help::of(family, self.name, "match", self.about, (self.options, self.exclusive))
    }

    /// Whether `-m` takes it by this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Whether it stands only in rules for the protocol that brings it in. What is an extension header in all of its families is no protocol of
    /// packets there, and may stand in any rule.
    pub(crate) fn is_for_its_protocol(&self) -> bool {
        self.protocol
            .is_some_and(|it| self.families != [Family::V6] || !ipv6::extension::is_extension(it))
    }

    /// Of a match that `-p` brings in: what one types behind that, which may be another of its names (`-p icmpv6` brings in `icmp6`).
    pub fn protocol_name(&self) -> Option<&'static str> {
        let number = self.protocol?;
        let mut spelled = std::iter::once(self.name).chain(self.aliases.iter().copied());
        spelled.find(|name| names::protocol_number(name) == Some(number))
    }
}

/// What `-j NAME` is.
#[derive(Debug)]
pub struct TargetSpec {
    /// As `-j` and `iptables-save` have it; no other target and no plain verdict (ACCEPT, DROP, RETURN, QUEUE) has it.
    pub name: &'static str,
    /// What stands in a listing's column of targets: the kernel's name for it.
    pub listed_as: &'static str,
    /// The families whose tools take it.
    pub families: &'static [Family],
    /// As in [`MatchSpec`].
    pub like: Option<&'static str>,
    /// All its options, in the order of its help.
    pub options: &'static [OptionSpec],
    /// What the tool says where none of the options named is given.
    pub needs_one: Option<NeedsOne>,
    /// Options of which only one may stand. Said at the end, and said of the option whose spec comes first, against the first of its group: the tool
    /// has an order for each.
    pub exclusive: Exclusive,
    /// Makes the value of options that are in order one by one; the error is what no spec can say of the whole.
    pub build: fn(&Given<'_>) -> Result<Arc<dyn Target>, UsageError>,
    /// The inverse of [`Target::list`]: [`listed::never`] where there is none.
    pub unlist: Unlist,
    /// One line for the manual.
    pub about: &'static str,
    /// What the tests and the oracles of the real tools try it on.
    pub samples: Samples,
}

impl TargetSpec {
    /// As `MatchSpec::finish`.
    pub fn finish(&self, given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
        option::finish(self.name, self.options, self.needs_one, self.exclusive, given)?;
        (self.build)(given)
    }

    /// What `-j NAME -h` adds to the help of this family's tool.
    pub fn help(&self, family: Family) -> String {
        help::of(family, self.name, "target", self.about, (self.options, self.exclusive))
    }
}

macro_rules! registry {
    ($(match $match_module:ident)* $(target $target_module:ident)*) => {
        /// Every match there is.
        pub const MATCHES: &[&MatchSpec] = &[$(&matches::$match_module::SPEC),*];
        /// Every target there is.
        pub const TARGETS: &[&TargetSpec] = &[$(&targets::$target_module::SPEC),*];
    };
}

registry! {
    match addrtype
    match ah
    match ah_ipv6
    match comment
    match connlabel
    match connlimit
    match connmark
    match conntrack
    match dccp
    match dscp
    match dst
    match ecn
    match esp
    match eui64
    match frag
    match hashlimit
    match hbh
    match helper
    match hl
    match icmp
    match icmp6
    match ipcomp
    match iprange
    match ipv6header
    match length
    match limit
    match mac
    match mark
    match mh
    match multiport
    match owner
    match pkttype
    match quota
    match recent
    match rt
    match sctp
    match srh
    match state
    match statistic
    match tcp
    match time
    match tos
    match ttl
    match udp
    target audit
    target checksum
    target classify
    target connmark
    target ct
    target dnat
    target dscp
    target ecn
    target hl
    target log
    target mark
    target masquerade
    target netmap
    target nfqueue
    target notrack
    target redirect
    target reject
    target snat
    target tcpmss
    target tee
    target tos
    target ttl
}

/// Extensions that the program around this library brought.
#[derive(Debug)]
struct Brought {
    matches: Vec<&'static MatchSpec>,
    targets: Vec<&'static TargetSpec>,
}

static BROUGHT: RwLock<Brought> = RwLock::new(Brought {
    matches: Vec::new(),
    targets: Vec::new(),
});

/// An extension of this name is there already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is a {what} {name} already; choose another name")]
pub struct NameTaken {
    /// `match` or `target`.
    pub what: &'static str,
    /// The name, or the alias, that two would have.
    pub name: &'static str,
}

/// Brings in a match of one's own: from now on `-m NAME` finds it, for every router of this process, in commands and in restore files.
///
/// Do it before rules are read; there is no way to take it back, since rules in force may have it. It is listed, saved and explained by
/// its own [`Match`]; the manual and completion that nflab ships do not know it. `examples/write_an_extension.rs` shows a whole one.
///
/// # Errors
/// Where a match has this name, or one of its aliases, in one of its families.
pub fn add_match(spec: &'static MatchSpec) -> Result<(), NameTaken> {
    let mut brought = BROUGHT.write();
    let known = MATCHES.iter().chain(&brought.matches);
    let names: Vec<&'static str> = std::iter::once(spec.name).chain(spec.aliases.iter().copied()).collect();
    for other in known {
        let same_family = spec.families.iter().any(|family| other.families.contains(family));
        let taken = names
            .iter()
            .find(|&name| other.name == *name || other.aliases.contains(name));
        if let Some(&name) = taken.filter(|_| same_family) {
            return Err(NameTaken { what: "match", name });
        }
    }
    brought.matches.push(spec);
    Ok(())
}

/// Brings in a target of one's own, as [`add_match`] does a match: `-j NAME` finds it.
///
/// # Errors
/// Where a target or a plain verdict (ACCEPT, DROP, RETURN, QUEUE) has this name.
pub fn add_target(spec: &'static TargetSpec) -> Result<(), NameTaken> {
    let mut brought = BROUGHT.write();
    let verdict = ["ACCEPT", "DROP", "RETURN", "QUEUE"].contains(&spec.name);
    let taken = TARGETS.iter().chain(&brought.targets).any(|other| {
        let same_family = spec.families.iter().any(|family| other.families.contains(family));
        same_family && other.name == spec.name
    });
    if verdict || taken {
        return Err(NameTaken {
            what: "target",
            name: spec.name,
        });
    }
    brought.targets.push(spec);
    Ok(())
}

/// Every match: those of the registry, in its order, then those that were brought.
pub fn matches() -> impl Iterator<Item = &'static MatchSpec> {
    let brought = BROUGHT.read().matches.clone();
    MATCHES.iter().copied().chain(brought)
}

/// Every target: those of the registry, in its order, then those that were brought.
pub fn targets() -> impl Iterator<Item = &'static TargetSpec> {
    let brought = BROUGHT.read().targets.clone();
    TARGETS.iter().copied().chain(brought)
}

/// The names of a family's matches in a row, for a remedy.
pub(crate) fn match_names(family: Family) -> String {
    let known = matches().filter(|spec| spec.families.contains(&family));
    known.map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

/// And of its targets.
pub(crate) fn target_names(family: Family) -> String {
    let known = targets().filter(|spec| spec.families.contains(&family));
    known.map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

/// The match of this name in this family.
pub fn find_match(name: &str, family: Family) -> Option<&'static MatchSpec> {
    let first = name.bytes().next();
    let is_named = |own: &&str| own.bytes().next() == first && *own == name;
    a_match(|spec| (is_named(&spec.name) || spec.aliases.iter().any(is_named)) && spec.families.contains(&family))
}

/// The match that `-p` with this protocol number brings in.
pub fn implicit_match(protocol: u8, family: Family) -> Option<&'static MatchSpec> {
    a_match(|spec| spec.protocol == Some(protocol) && spec.families.contains(&family))
}

/// The target of this name in this family.
pub fn find_target(name: &str, family: Family) -> Option<&'static TargetSpec> {
    let first = name.bytes().next();
    let is_it = |spec: &&'static TargetSpec| {
        spec.name.bytes().next() == first && spec.name == name && spec.families.contains(&family)
    };
    let known = TARGETS.iter().copied().find(is_it);
    known.or_else(|| BROUGHT.read().targets.iter().copied().find(is_it))
}

/// The first of those in [`matches`]: each rule asks, so what was brought is looked at only where the registry has none.
fn a_match(is_it: impl Fn(&MatchSpec) -> bool) -> Option<&'static MatchSpec> {
    let known = MATCHES.iter().copied().find(|spec| is_it(spec));
    known.or_else(|| BROUGHT.read().matches.iter().copied().find(|spec| is_it(spec)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::option::{OwnWords, ValueKind};
    use super::*;
    use crate::ext::samples::{Judged, ReadsBack, Refused, Taken};
    use crate::ext::testing::{
        P, match_reads_back, match_remarks, read_match_in, read_target_in, target_reads_back, target_remarks,
    };

    /// Every extension's name and options.
    fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static [OptionSpec])> {
        let matches = MATCHES.iter().map(|spec| (spec.name, spec.about, spec.options));
        matches.chain(TARGETS.iter().map(|spec| (spec.name, spec.about, spec.options)))
    }

    #[test]
    fn names_are_unique_in_each_family() {
        let mut seen = HashSet::new();
        for spec in MATCHES {
            for name in std::iter::once(&spec.name).chain(spec.aliases) {
                for family in spec.families {
                    assert!(seen.insert((*name, *family)), "match {name} twice");
                }
            }
        }
        for spec in TARGETS {
            for family in spec.families {
                assert!(seen.insert((spec.name, *family)), "target {} twice", spec.name);
            }
            let action = ["ACCEPT", "DROP", "RETURN", "QUEUE"].contains(&spec.name);
            assert!(!action, "{} is an action", spec.name);
        }
    }

    #[test]
    fn no_option_is_named_twice_and_each_is_explained() {
        for (extension, about, options) in all() {
            assert!(!about.is_empty() && !about.ends_with('.'), "{extension}: about");
            let mut seen = HashSet::new();
            for option in options {
                for name in option.names() {
                    assert!(seen.insert(name), "{extension} has --{name} twice");
                    assert!(!name.is_empty() && !name.starts_with('-'), "{extension} --{name}");
                }
                assert!(
                    !option.help.is_empty() && !option.help.ends_with('.'),
                    "{extension} --{}",
                    option.name
                );
                if let Some(name) = option.error_name {
                    assert!(option.aliases.contains(&name), "{extension}: errors say --{name}");
                }
                let syntax = option.value.syntax();
                assert_eq!(
                    syntax.is_empty(),
                    option.value.arity() == 0,
                    "{extension} --{}",
                    option.name
                );
            }
        }
    }

    #[test]
    fn help_has_every_spelling() {
        let of_matches = MATCHES.iter().map(|spec| (spec.help(spec.families[0]), spec.options));
        let of_targets = TARGETS.iter().map(|spec| (spec.help(spec.families[0]), spec.options));
        for (help, options) in of_matches.chain(of_targets) {
            for option in options {
                for name in option.names() {
                    assert!(help.contains(&format!("--{name}")), "--{name} is not in\n{help}");
                }
                let refused = matches!(option.value, ValueKind::Refused { .. });
                assert!(!refused || help.contains("(refused: not there yet)"));
            }
        }
        assert_eq!(
            matches::mark::SPEC.help(Family::V6),
            "mark match: bits of the packet's mark\n  [!] --mark VALUE[/MASK]\n        the packet's mark under the mask \
             is the value; required\n"
        );
    }

    #[test]
    fn help_has_the_words_of_its_family_alone() {
        let pairs = |option: &OptionSpec| match option.own_words {
            Some(OwnWords::Pairs(pairs)) => pairs,
            _ => &[],
        };
        let with_pairs = |options: &[OptionSpec]| options.iter().any(|option| !pairs(option).is_empty());
        assert!(TARGETS.iter().any(|spec| with_pairs(spec.options)));
        for spec in TARGETS.iter().filter(|spec| with_pairs(spec.options)) {
            for family in Family::ALL {
                let help = spec.help(family);
                let words: Vec<&str> = help.split(['|', ' ', '\n']).collect();
                for pair in spec.options.iter().flat_map(pairs) {
                    let [own, other] = pair.as_seen_by(family);
                    assert!(own.is_none_or(|own| words.contains(&own)), "{own:?}: {help}");
                    let is_own = |word: &str| {
                        spec.options
                            .iter()
                            .flat_map(pairs)
                            .any(|it| it.as_seen_by(family)[0] == Some(word))
                    };
                    let absent = other.is_none_or(|other| is_own(other) || !words.contains(&other));
                    assert!(absent, "{other:?}: {help}");
                }
            }
        }
    }

    #[test]
    fn finds_by_name_alias_and_protocol() {
        assert_eq!(find_match("state", Family::V4).map(|spec| spec.name), Some("state"));
        assert_eq!(find_match("icmp", Family::V6).map(|spec| spec.name), None);
        assert_eq!(find_match("icmpv6", Family::V6).map(|spec| spec.name), Some("icmp6"));
        assert_eq!(implicit_match(17, Family::V4).map(|spec| spec.name), Some("udp"));
        assert_eq!(implicit_match(88, Family::V4).map(|spec| spec.name), None);
        assert_eq!(
            find_target("NOTRACK", Family::V4).map(|spec| spec.name),
            Some("NOTRACK")
        );
        assert_eq!(find_target("ACCEPT", Family::V4).map(|spec| spec.name), None);
    }

    /// A match or a target, read and printed.
    struct Printed {
        name: &'static str,
        saved: String,
        listed: String,
        named: String,
        reads_back: ReadsBack,
    }

    impl Printed {
        fn of(
            name: &'static str,
            save: impl Fn(&mut String),
            list: impl Fn(&mut String, bool),
            again: impl Fn(&str) -> Result<ReadsBack, UsageError>,
        ) -> Self {
            let [mut saved, mut listed, mut named] = [const { String::new() }; 3];
            save(&mut saved);
            list(&mut listed, true);
            list(&mut named, false);
            let reads_back = again(&saved).unwrap_or(ReadsBack::Other);
            Self {
                name,
                saved,
                listed,
                named,
                reads_back,
            }
        }
    }

    fn printed_match(family: Family, spec: &'static MatchSpec, sample: &Taken) -> Result<Printed, UsageError> {
        let p = P::of(sample.before);
        let read = |text: &str| read_match_in(family, spec, p, text);
        let made = read(sample.typed)?;
        Ok(Printed::of(
            made.name(),
            |out| made.save(out),
            |out, numeric| made.list(out, numeric),
            |saved| Ok(match_reads_back(made.as_ref(), read(saved)?.as_ref())),
        ))
    }

    fn printed_target(family: Family, spec: &'static TargetSpec, sample: &Taken) -> Result<Printed, UsageError> {
        let p = P::of(sample.before);
        let read = |text: &str| read_target_in(family, spec, p, text);
        let made = read(sample.typed)?;
        assert_eq!(made.kernel_name(), spec.listed_as);
        Ok(Printed::of(
            made.name(),
            |out| made.save(out),
            |out, numeric| made.list(out, numeric),
            |saved| Ok(target_reads_back(made.as_ref(), read(saved)?.as_ref())),
        ))
    }

    #[test]
    fn what_is_taken_with_a_remark() {
        let check = |name: &str, sample: &Taken, said: Result<String, UsageError>| {
            assert_eq!(said.as_deref(), Ok(sample.remark), "{name} {}", sample.typed);
        };
        for spec in MATCHES {
            for (family, sample) in spec.samples.taken_in(spec.families) {
                let said = match_remarks(family, spec, P::of(sample.before), sample.typed);
                check(spec.name, sample, said);
            }
        }
        for spec in TARGETS {
            for (family, sample) in spec.samples.taken_in(spec.families) {
                let said = target_remarks(family, spec, P::of(sample.before), sample.typed);
                check(spec.name, sample, said);
            }
        }
    }

    #[test]
    fn samples_are_printed_as_the_tool_prints_them_and_read_back() {
        let check = |what: &str, name: &str, sample: &Taken, printed: Result<Printed, UsageError>| {
            let line = format!("{} {what} {name} {}", sample.before, sample.typed);
            let printed = printed.unwrap_or_else(|why| panic!("{line}: {why}"));
            let spaced = |text: &str| {
                if text.is_empty() {
                    String::new()
                } else {
                    format!(" {text}")
                }
            };
            let listed = |text: &str| match sample.is_glued {
                true => text.to_owned(),
                false => spaced(text),
            };
            assert_eq!(
                (printed.name, printed.saved, printed.listed, printed.named),
                (name, spaced(sample.saved), listed(sample.listed), listed(sample.named)),
                "{line}"
            );
            assert_eq!(printed.reads_back, sample.reads_back, "{line}");
        };
        for spec in MATCHES {
            assert!(
                !spec.samples.taken.is_empty() && !spec.samples.packets.is_empty(),
                "-m {}",
                spec.name
            );
            for (family, sample) in spec.samples.taken_in(spec.families) {
                check("-m", spec.name, sample, printed_match(family, spec, sample));
            }
        }
        for spec in TARGETS {
            assert!(!spec.samples.taken.is_empty(), "-j {}", spec.name);
            for (family, sample) in spec.samples.taken_in(spec.families) {
                check("-j", spec.name, sample, printed_target(family, spec, sample));
            }
        }
    }

    #[test]
    fn samples_are_refused_in_the_tools_words() {
        let check = |name: &str, sample: &Refused, why: Option<UsageError>| {
            let said = why.map(|why| why.message);
            assert_eq!(
                said.as_deref(),
                Some(sample.said),
                "{} {name} {}",
                sample.before,
                sample.typed
            );
        };
        for spec in MATCHES {
            assert!(
                !spec.samples.refused.is_empty() || spec.options.is_empty(),
                "-m {}",
                spec.name
            );
            for (family, sample) in spec.samples.refused_in(spec.families) {
                let read = read_match_in(family, spec, P::of(sample.before), sample.typed);
                check(spec.name, sample, read.err());
            }
        }
        for spec in TARGETS {
            assert!(
                !spec.samples.refused.is_empty() || spec.options.is_empty(),
                "-j {}",
                spec.name
            );
            for (family, sample) in spec.samples.refused_in(spec.families) {
                let read = read_target_in(family, spec, P::of(sample.before), sample.typed);
                check(spec.name, sample, read.err());
            }
        }
    }

    /// A match that fails no packet shows its options in those that pass.
    #[test]
    fn every_option_of_a_match_is_in_a_sentence() {
        for spec in MATCHES {
            let packets = spec.samples.packets;
            let always = packets.iter().all(|judged| judged.why.is_empty());
            for option in spec.options {
                let says = |judged: &&Judged| always || !judged.why.is_empty();
                let typed = |judged: &Judged| {
                    judged
                        .typed
                        .split(' ')
                        .any(|word| word.strip_prefix("--") == Some(option.name))
                };
                assert!(
                    packets.iter().filter(says).any(typed),
                    "no sample of a packet that fails -m {} --{}",
                    spec.name,
                    option.name
                );
            }
        }
    }

    #[test]
    fn every_option_has_a_sample() {
        let has = |samples: &Samples, option: &OptionSpec| {
            let typed = |text: &str| {
                text.split(' ')
                    .any(|word| option.names().any(|name| word == format!("--{name}")))
            };
            let refused = samples.refused.iter().any(|sample| typed(sample.typed));
            let is_missing = matches!(option.value, ValueKind::Refused { .. });
            (is_missing && refused) || samples.taken.iter().any(|sample| typed(sample.typed))
        };
        for spec in MATCHES {
            for option in spec.options {
                assert!(has(&spec.samples, option), "-m {} --{}", spec.name, option.name);
            }
        }
        for spec in TARGETS {
            for option in spec.options {
                assert!(has(&spec.samples, option), "-j {} --{}", spec.name, option.name);
            }
        }
    }
}
