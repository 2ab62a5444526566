//! Reading back what `-L` printed: ` CT notrack helper ftp`.
//!
//! Names stand there without quotes and may have blanks. So where a word for each does not do, every end of a name is tried behind which the rest can
//! be read, and the first that does is taken; and where the blanks are not those of a listing, because somebody wrote or cut it, words are words.

use super::{CTEVENTS, EXPEVENTS, HELPER, LONGEST_HELPER, LONGEST_POLICY, NOTRACK, TIMEOUT, ZONES, events, zone_id};
use crate::conntrack::EventMask;
use crate::ext::listed::{Listed, Options, Typed};

pub(super) fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    let mut it = listed;
    if it.word("CT").is_none() {
        return Vec::new();
    }
    let mut options = Options::default();
    if it.word(NOTRACK.name()).is_some() {
        options.push(false, NOTRACK.name(), "");
    }
    // All of the row is the target's.
    let (said, end) = it.rest.split_at(it.rest.len());
    let said = said.trim_ascii_end();
    let ends = [Ends::FirstBlank, Ends::AnyBlank, Ends::FirstWord];
    let Some(options) = ends.into_iter().find_map(|ends| read(said, &VALUES, &options, ends)) else {
        return Vec::new();
    };
    Listed { rest: end, ..it }.once(|_| Some(options))
}

/// Where a value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    FirstBlank,
    /// A name, that is; other values as before.
    AnyBlank,
    /// Whatever number of blanks stands before and behind it.
    FirstWord,
}

/// Some of these options, in this order, where they say all of a text.
fn read(text: &str, known: &[Value], options: &Options, ends: Ends) -> Option<Options> {
    if text.is_empty() {
        return Some(options.clone());
    }
    let behind_blanks = |text| match ends {
        Ends::FirstBlank | Ends::AnyBlank => str::strip_prefix(text, ' '),
        Ends::FirstWord => Some(text.trim_ascii_start()),
    };
    let text = behind_blanks(text)?;
    let name = text.split(' ').next()?;
    let at = known.iter().position(|value| value.name == name)?;
    let (value, text) = (&known[at], behind_blanks(&text[name.len()..])?);
    let tried = match ends {
        Ends::AnyBlank if value.may_have_blanks => usize::MAX,
        _ => 1,
    };
    let blanks = text.match_indices(' ').map(|(at, _)| at);
    let tried = blanks.chain([text.len()]).take(tried);
    tried.take_while(|end| *end <= value.most).find_map(|end| {
        let (said, rest) = text.split_at(end);
        if said.is_empty() || !(value.is)(said) {
            return None;
        }
        let mut options = options.clone();
        options.push(false, value.name, said);
        read(rest, &known[at + 1..], &options, ends)
    })
}

/// An option that has one.
struct Value {
    name: &'static str,
    /// How many bytes it has at most.
    most: usize,
    may_have_blanks: bool,
    is: fn(&str) -> bool,
}

/// As they stand behind each other.
const VALUES: [Value; 7] = [
    name(HELPER.spec.name, LONGEST_HELPER),
    name(TIMEOUT.spec.name, LONGEST_POLICY),
    word(CTEVENTS.spec.name, |text| events::parse(text, EventMask::WORDS).is_ok()),
    word(EXPEVENTS.spec.name, |text| {
        events::parse(text, EventMask::WORDS_OF_EXPECTATIONS).is_ok()
    }),
    zone(0),
    zone(1),
    zone(2),
];

const fn name(name: &'static str, most: usize) -> Value {
    Value {
        name,
        most,
        may_have_blanks: true,
        is: |_| true,
    }
}

const fn word(name: &'static str, is: fn(&str) -> bool) -> Value {
    Value {
        name,
        most: usize::MAX,
        may_have_blanks: false,
        is,
    }
}

const fn zone(at: usize) -> Value {
    word(ZONES[at].0.spec.name, |text| zone_id(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;

    #[test]
    fn a_name_ends_where_the_rest_can_be_read() {
        for (listed, expected) in [
            (" CT", &[""][..]),
            (" CT notrack timeout é p", &["--notrack --timeout `é p`"]),
            (" CT timeout  p zone 3", &["--timeout ` p` --zone 3"]),
            (
                " CT timeout p q ctevents new zone 3",
                &["--timeout `p q` --ctevents new --zone 3"],
            ),
            (
                " CT notrack helper a b timeout c zone d",
                &["--notrack --helper `a b` --timeout `c zone d`"],
            ),
            // A word for each does.
            (" CT timeout p zone 3", &["--timeout p --zone 3"]),
            (
                " CT notrack timeout two  zone 1",
                &["--notrack --timeout `two ` --zone 1"],
            ),
            (" CT  timeout  p  zone  3 ", &["--timeout p --zone 3"]),
            // Lines end in blanks where somebody copied them from a screen.
            (" CT timeout p  ", &["--timeout p"]),
            (" CT timeout p zone q", &["--timeout `p zone q`"]),
            (" CT zone q", &[]),
            (" CT notrack and more", &[]),
            (" CT helper longer than 15 bytes", &[]),
            (" CT timeout", &[]),
            (" NOTRACK", &[]),
        ] {
            let ways = unlist(Listed {
                rest: listed,
                protocol: 6,
                family: Family::V4,
            });
            let said: Vec<String> = ways.iter().map(|way| shown(&way.options)).collect();
            assert_eq!(said, expected, "{listed}");
            assert!(ways.iter().all(|way| way.rest.is_empty()), "{listed}");
        }
    }

    fn shown(words: &[String]) -> String {
        let words: Vec<String> = words
            .iter()
            .map(|word| {
                if word.contains(' ') {
                    format!("`{word}`")
                } else {
                    word.clone()
                }
            })
            .collect();
        words.join(" ")
    }
}
