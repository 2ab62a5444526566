//! Which family a table is of: a text names it where it shows the tool that printed it. Else whichever family's tool takes more of the table is
//! meant; where both take as much, the text's other tables tell.

use super::build::Built;
use super::draft::{Command, Draft};
use super::{Options, Told};
use crate::base::Family;
use crate::rule::Table;
use crate::text::restore::Argument;

/// What a text says itself of a table, by a prompt, a title or a head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named {
    pub table: Option<Table>,
    pub family: Option<Family>,
}

impl Named {
    /// With the family of the first address that a command asks for, where nothing else names it.
    pub(super) fn or_by_addresses(self, commands: &[Command]) -> Self {
        let address = |pair: &[Argument<'_>]| {
            let asked = ["-s", "-d", "--source", "--destination"].contains(&&*pair[0].text);
            let first = pair[1].text.split(['/', ',']).next().filter(|_| asked)?;
            first.parse().ok().map(Family::of)
        };
        let told = || commands.iter().find_map(|it| it.words.windows(2).find_map(address));
        Self {
            family: self.family.or_else(told),
            ..self
        }
    }
}

/// Reads each part of a text as a table of its family. Where it is not named it is tried, in `trial`, in both.
pub(super) fn read_each<T>(
    parts: &[T],
    named: impl Fn(&T) -> Named,
    options: &Options,
    told: &mut Told,
    trial: &mut Built,
    read: impl Fn(&T, Family, &mut Told, &mut Built) -> Option<Draft>,
) -> Vec<Draft> {
    let tell = |part: &T| match named(part).family.or(options.family) {
        Some(family) => Tells::Of(family),
        None => tried(options, trial, |family, told, trial| read(part, family, told, trial)),
    };
    let telling: Vec<Tells> = parts.iter().map(tell).collect();
    let mut others = telling.iter().filter_map(|it| match it {
        Tells::Of(family) => Some(*family),
        Tells::Either { .. } => None,
    });
    let first = others.next();
    let all = first.filter(|first| others.all(|other| other == *first));
    let mut drafts = Vec::new();
    for (part, tells) in parts.iter().zip(telling) {
        let (family, guessed) = match (tells, all) {
            (Tells::Of(family), _) => (family, false),
            (Tells::Either { .. }, Some(family)) => (family, false),
            (Tells::Either { alike }, None) => (Family::V4, !alike),
        };
        let Some(draft) = read(part, family, told, trial) else {
            continue;
        };
        if guessed {
            told.unknown(
                &draft.source,
                draft.line,
                "the family: iptables and ip6tables would both take these rules, and write them otherwise; taken for IPv4. --ipv6 says it",
            );
        }
        drafts.push(draft);
    }
    drafts
}

/// What a part tells of its family.
#[derive(Clone, Copy)]
enum Tells {
    Of(Family),
    /// Nothing; `alike` where its rules are written alike in both.
    Either {
        alike: bool,
    },
}

fn tried(options: &Options, trial: &mut Built, read: impl Fn(Family, &mut Told, &mut Built) -> Option<Draft>) -> Tells {
    let [four, six] = Family::ALL.map(|family| {
        let mut told = Told::default();
        let save = read(family, &mut told, trial).map(|draft| {
            trial.add(&draft, options, &mut told);
            trial.save([&draft], false)
        });
        (told.refused.len(), save)
    });
    match four.0.cmp(&six.0) {
        std::cmp::Ordering::Less => Tells::Of(Family::V4),
        std::cmp::Ordering::Greater => Tells::Of(Family::V6),
        // What cannot be read tells nothing of how it would be written.
        std::cmp::Ordering::Equal => Tells::Either {
            alike: four.0 > 0 || four.1 == six.1,
        },
    }
}

#[cfg(test)]
mod tests;
