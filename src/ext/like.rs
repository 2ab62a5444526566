//! What is an extension of its own in each family and is alike in both (`ttl` and `hl`, `icmp` and `icmp6`): what the other family calls it, its options and
//! their words. The specs say it ([`MatchSpec::like`], [`OwnWords`]); who compares rules of both families, or knows a word of the wrong one, asks here.

use super::option::{OptionSpec, OwnWords};
use super::{MatchSpec, TargetSpec, find_match, find_target, matches, targets};
use crate::base::Family;

impl MatchSpec {
    /// What this family has in its place: itself, where it is for both. `None` where that family has nothing like it.
    pub(crate) fn in_family(&self, family: Family) -> Option<&'static Self> {
        find_match(self.like.unwrap_or(self.name), family).or_else(|| find_match(self.name, family))
    }
}

impl TargetSpec {
    /// As [`MatchSpec::in_family`].
    pub(crate) fn in_family(&self, family: Family) -> Option<&'static Self> {
        find_target(self.like.unwrap_or(self.name), family).or_else(|| find_target(self.name, family))
    }
}

/// Of two extensions that are alike: the option of the second that is the first's of this spelling. It has the same name, else the same place among them.
pub(crate) fn option_of(own: &[OptionSpec], like: &'static [OptionSpec], name: &str) -> Option<&'static OptionSpec> {
    let at = own.iter().position(|option| option.names().any(|it| it == name))?;
    let same = like.iter().find(|option| option.name == own[at].name);
    same.or_else(|| like.get(at))
}

/// An option of the other family's extensions that this family calls otherwise: its own, by the name that errors and `iptables-save` have.
pub(crate) fn option_in(family: Family, name: &str) -> Option<&'static OptionSpec> {
    let of_matches = matches().filter_map(|spec| Some((spec.families, spec.options, spec.in_family(family)?.options)));
    let of_targets = targets().filter_map(|spec| Some((spec.families, spec.options, spec.in_family(family)?.options)));
    let of_others = of_matches.chain(of_targets);
    let mut of_others = of_others.filter(|(families, ..)| !families.contains(&family));
    let found = of_others.find_map(|(_, own, like)| option_of(own, like, name))?;
    (found.names().all(|it| it != name)).then_some(found)
}

impl OptionSpec {
    /// This family's word for one of the other family's, where it has another for the same.
    pub(crate) fn word_in(&self, family: Family, word: &str) -> Option<&'static str> {
        let OwnWords::Pairs(pairs) = self.own_words? else {
            return None;
        };
        let found = pairs.iter().find_map(|pair| {
            let [own, other] = pair.as_seen_by(family);
            (other == Some(word)).then_some(own?)
        })?;
        (found != word).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::{MATCHES, TARGETS};

    /// Who is alike says so in both specs, and has the same options, each of the same kind, at the same places.
    #[test]
    fn likes_are_alike() {
        let matches = MATCHES.iter().filter_map(|spec| {
            let like = find_match(spec.like?, other(spec.families)).expect(spec.name);
            Some((spec.name, spec.options, like.like, like.options))
        });
        let targets = TARGETS.iter().filter_map(|spec| {
            let like = find_target(spec.like?, other(spec.families)).expect(spec.name);
            Some((spec.name, spec.options, like.like, like.options))
        });
        let mut seen = 0;
        for (name, own, back, like) in matches.chain(targets) {
            assert_eq!(back, Some(name));
            assert_eq!(own.len(), like.len(), "{name}");
            for (own, like) in own.iter().zip(like) {
                let form = |option: &OptionSpec| {
                    (
                        option.value.syntax(),
                        option.invert,
                        option.required,
                        option.aliases.len(),
                    )
                };
                assert_eq!(form(own), form(like), "{name} --{}", own.name);
            }
            seen += 1;
        }
        assert!(seen > 0 && seen % 2 == 0, "{seen}");
    }

    fn other(families: &[Family]) -> Family {
        let mut others = Family::ALL.into_iter().filter(|family| !families.contains(family));
        others.next().expect("who is for both families is like itself")
    }

    #[test]
    fn words_of_the_other_family() {
        for (family, typed, own) in [
            (Family::V6, "icmp-type", Some("icmpv6-type")),
            (Family::V4, "icmpv6-type", Some("icmp-type")),
            // By its short name, too.
            (Family::V6, "ttl", Some("hl-eq")),
            (Family::V4, "hl-lt", Some("ttl-lt")),
            (Family::V6, "ttl-set", Some("hl-set")),
            (Family::V6, "hl-set", None),
            (Family::V6, "dport", None),
            // Nothing is like it.
            (Family::V4, "hbh-len", None),
            // Of either family's match of that name.
            (Family::V4, "ahspi", None),
        ] {
            let found = option_in(family, typed).map(|option| option.name);
            assert_eq!(found, own, "--{typed}");
        }
    }
}
