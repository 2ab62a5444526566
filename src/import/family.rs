//! Which family a table is of: a text names it where it shows the tool that printed it. Else whichever family's tool takes more of the table is
//! meant; where both take as much, the text's other tables tell, and last what the chains or the file are called.

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
        Tells::Either(_) => None,
    });
    let first = others.next();
    let all = first.filter(|first| others.all(|other| other == *first));
    let mut drafts = Vec::new();
    for (part, tells) in parts.iter().zip(telling) {
        let (family, said) = match (tells, all) {
            (Tells::Of(family), _) | (Tells::Either(_), Some(family)) => (family, None),
            (Tells::Either(Sign::Six(why)), None) => (
                Family::V6,
                Some(format!(
                    "the family: nothing in the rules tells it; taken for IPv6, {why}. --ipv4 says otherwise"
                )),
            ),
            (Tells::Either(Sign::WrittenOtherwise), None) => (
                Family::V4,
                Some(
                    "the family: iptables and ip6tables would both take these rules, and write them otherwise; taken for IPv4. --ipv6 says it"
                        .to_owned(),
                ),
            ),
            (Tells::Either(Sign::None), None) => (Family::V4, None),
        };
        let Some(draft) = read(part, family, told, trial) else {
            continue;
        };
        if let Some(said) = said {
            told.unknown(&draft.source, draft.line, said);
        }
        drafts.push(draft);
    }
    drafts
}

/// What a part tells of its family.
enum Tells {
    Of(Family),
    /// Both families' tools take as much of it.
    Either(Sign),
}

/// What is known of the family of rules that are either's.
enum Sign {
    /// Something is called as only IPv6's is: what that is.
    Six(String),
    WrittenOtherwise,
    None,
}

fn tried(options: &Options, trial: &mut Built, read: impl Fn(Family, &mut Told, &mut Built) -> Option<Draft>) -> Tells {
    let [four, six] = Family::ALL.map(|family| {
        let mut told = Told::default();
        let read = read(family, &mut told, trial).map(|draft| {
            trial.add(&draft, options, &mut told);
            (trial.save([&draft], false), draft)
        });
        (told.refused.len(), read)
    });
    match four.0.cmp(&six.0) {
        std::cmp::Ordering::Less => Tells::Of(Family::V4),
        std::cmp::Ordering::Greater => Tells::Of(Family::V6),
        std::cmp::Ordering::Equal => {
            let called = six.1.as_ref().and_then(|(_, draft)| called_as_of_six(draft));
            let save = |(_, read): &(usize, Option<(String, Draft)>)| read.as_ref().map(|it| it.0.clone());
            Tells::Either(match called {
                Some(why) => Sign::Six(why),
                // What cannot be read tells nothing of how it would be written.
                None if four.0 == 0 && save(&four) != save(&six) => Sign::WrittenOtherwise,
                None => Sign::None,
            })
        }
    }
}

/// By which name a table is IPv6's: that of a chain (`ufw6-user-input`), else that of the file (`user6.rules`, `rules.v6`, `ip6tables.save`).
fn called_as_of_six(draft: &Draft) -> Option<String> {
    let appended = draft.commands.iter().flat_map(|command| {
        let pairs = command.words.windows(2);
        pairs
            .filter(|pair| pair[0].text == "-A")
            .map(|pair| pair[1].text.to_string())
    });
    let mut chains = draft.chains.iter().map(|chain| chain.name.clone()).chain(appended);
    if let Some(chain) = chains.find(|chain| is_of_six(chain, CHAINS_OF_SIX)) {
        return Some(format!("as its chain `{chain}` is called"));
    }
    let file = draft.source.rsplit('/').next().unwrap_or_default();
    is_of_six(file, FILES_OF_SIX).then(|| format!("as the file `{file}` is called"))
}

/// Whether a part of a name, between what is no letter or digit, is one of these or names a tool of IPv6.
fn is_of_six(name: &str, words: &[&str]) -> bool {
    name.split(|letter: char| !letter.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
        .any(|part| words.contains(&part.as_str()) || part.contains("ip6") || part.contains("ipv6"))
}

/// Those of ufw, and as one calls one's own.
const CHAINS_OF_SIX: &[&str] = &["ufw6", "v6"];

/// A 6 behind any other word may be a version.
const FILES_OF_SIX: &[&str] = &["user6", "before6", "after6", "rules6", "v6"];

#[cfg(test)]
mod tests;
