//! How many routers a packet may still pass, as `-m ttl` asks the IPv4 header and `-m hl` that of IPv6: one match with words for each.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, Spelled, UsageError};
use crate::rule::{Context, Effect, Match, Matched};

/// How a family calls it.
pub(super) struct Words {
    pub name: &'static str,
    /// In a listing.
    pub listed: &'static str,
    pub equal: Opt<u64>,
    pub less: Opt<u64>,
    pub greater: Opt<u64>,
}

const fn words(family: Family) -> &'static Words {
    match family {
        Family::V4 => &super::ttl::WORDS,
        Family::V6 => &super::hl::WORDS,
    }
}

pub(super) fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let family = given.family;
    let asked = RELATIONS.into_iter().find_map(|relation| {
        let asked = given.get(relation.option(family))?;
        (asked.inverted == relation.inverted()).then_some((relation, asked.value as u8))
    });
    let (relation, value) = asked.ok_or_else(|| UsageError::parameter("the spec asks for one of them"))?;
    Ok(Arc::new(Hops {
        family,
        relation,
        value,
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Hops {
    family: Family,
    relation: Relation,
    value: u8,
}

/// What the packet's number is to the rule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Other,
    Less,
    Greater,
}

const RELATIONS: [Relation; 4] = [Relation::Equal, Relation::Other, Relation::Less, Relation::Greater];

impl Relation {
    fn option(self, family: Family) -> Opt<u64> {
        let words = words(family);
        match self {
            Self::Equal | Self::Other => words.equal,
            Self::Less => words.less,
            Self::Greater => words.greater,
        }
    }

    fn inverted(self) -> bool {
        self == Self::Other
    }

    fn spelled(self, family: Family) -> Spelled {
        self.option(family).spelled(self.inverted())
    }

    /// In a listing.
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Other => "!=",
            Self::Less => "<",
            Self::Greater => ">",
        }
    }
}

impl Match for Hops {
    fn name(&self) -> &'static str {
        words(self.family).name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let has = cx.packet.ttl();
        let fits = match self.relation {
            Relation::Equal => has == self.value,
            Relation::Other => has != self.value,
            Relation::Less => has < self.value,
            Relation::Greater => has > self.value,
        };
        fits.into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let has = cx.packet.ttl();
        format!(
            "{} {}: packet has {has}",
            self.relation.spelled(self.family),
            self.value
        )
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", self.relation.spelled(self.family), self.value);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let word = words(self.family).listed;
        let _ = write!(out, " {word} match {word} {} {}", self.relation.sign(), self.value);
    }
}

/// ` TTL match TTL == 64`.
pub(super) fn unlist(family: Family, listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let word = words(family).listed;
        it.word(word)?;
        it.word("match")?;
        it.word(word)?;
        let sign = it.take()?;
        let relation = RELATIONS.into_iter().find(|relation| relation.sign() == sign)?;
        let mut options = Options::default();
        options.push(relation.inverted(), relation.option(family).name(), it.take()?);
        Some(options)
    })
}
