//! A row of a listing: its columns, and behind them what the extensions printed, as words of a command.

mod columns;
mod ways;

use std::collections::HashSet;

pub(super) use self::columns::{Negatable, count};
use self::columns::{anywhere, is_any_address, is_any_protocol, target_to_option, without_whole_mask};
use self::ways::{Said, Way, targets};
use crate::base::Family;
use crate::ext::listed::Listed;
use crate::ext::missing::{self, Kind};
use crate::ext::names;
use crate::rule::Counters;
use crate::text::list::Columns;

/// A rule as it was listed.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub line: usize,
    pub chain: String,
    pub text: String,
    pub number: Option<usize>,
    pub counted: Option<(String, String)>,
    /// Empty for a rule that only counts.
    pub target: String,
    pub protocol: Negatable,
    /// `--`, `-f` or `!f`; blank where ip6tables before 1.8.9 listed it, which had nothing to say there.
    pub fragment: String,
    pub input: Option<Negatable>,
    pub output: Option<Negatable>,
    pub source: Negatable,
    pub destination: Negatable,
    pub goto: bool,
    /// What the extensions printed.
    pub rest: String,
}

/// A row as words of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// From the program's name on.
    pub words: Vec<String>,
    pub unknown: Vec<String>,
    /// Ports stand there by name.
    pub names: bool,
}

impl Row {
    /// The columns of a line; the error says what was expected.
    pub(super) fn parse(text: &str, line: usize, chain: &str, columns: Columns) -> Result<Self, String> {
        let mut it = Listed {
            rest: text.trim_end_matches('\r'),
            protocol: 0,
            family: Family::V4,
        };
        let mut number = None;
        if columns.line_numbers {
            let word = it.take().unwrap_or_default();
            let parsed = word.parse();
            number = Some(parsed.map_err(|_| format!("`{word}` in the column num; expected the rule's number"))?);
        }
        let mut counted = None;
        if columns.verbose {
            let (packets, bytes) = (it.take().unwrap_or_default(), it.take().unwrap_or_default());
            for word in [packets, bytes] {
                if count(word).is_none() {
                    return Err(format!(
                        "`{word}` in the columns pkts and bytes; expected a number (120, 100K)"
                    ));
                }
            }
            counted = Some((packets.to_owned(), bytes.to_owned()));
        }
        let [target, protocol, fragment] = target_to_option(&mut it, columns.verbose)?;
        let mut next = |column: &str| {
            it.take()
                .map(|word| Negatable::of(without_whole_mask(word)))
                .ok_or_else(|| format!("the line ends before the column {column}"))
        };
        let (mut input, mut output) = (None, None);
        if columns.verbose {
            input = Some(next("in")?);
            output = Some(next("out")?);
        }
        let source = next("source")?;
        let destination = next("destination")?;
        let goto = it.word("[goto]").is_some();
        Ok(Self {
            line,
            chain: chain.to_owned(),
            text: text.to_owned(),
            number,
            counted,
            target: target.to_owned(),
            protocol: Negatable::of(protocol),
            fragment: fragment.to_owned(),
            input,
            output,
            source,
            destination,
            goto,
            rest: format!(" {}", it.rest.trim_ascii_start()),
        })
    }

    /// True where a column has a name that `-n` would not have printed.
    pub(super) fn has_names(&self) -> bool {
        let letters = |it: &Negatable| it.address().is_none() && it.word.contains(|it: char| it.is_ascii_alphabetic());
        let any = |it: &Option<Negatable>| it.as_ref().is_some_and(|it| it.word == "any");
        letters(&self.source) || letters(&self.destination) || any(&self.input) || any(&self.output)
    }

    /// True where nothing is asked of fragments.
    pub(super) fn is_of_every_fragment(&self) -> bool {
        ["--", ""].contains(&self.fragment.as_str())
    }

    /// The family that an address tells, or a column that one of the tools left blank.
    pub(super) fn family(&self) -> Option<Family> {
        let address = self.source.address().or(self.destination.address());
        let blank = self.fragment.is_empty().then_some(Family::V6);
        address.map(Family::of).or(blank)
    }

    /// True for a verdict with nothing before it.
    pub(super) fn is_for_everything(&self) -> bool {
        let verdict = ["ACCEPT", "DROP", "REJECT"].contains(&self.target.as_str());
        let any = |it: &Negatable| {
            let is_any = |family| is_any_address(&it.word, family);
            !it.inverted && Family::ALL.into_iter().any(is_any)
        };
        let bare = self.rest.trim().is_empty()
            || self.rest.trim().starts_with("reject-with")
            || self.rest.trim().starts_with("/*");
        verdict && bare && is_any_protocol(&self.protocol.word) && any(&self.source) && any(&self.destination)
    }

    /// The row as a command. `chains` are those of the listing; `whole` is set when it has all of its table.
    pub(super) fn words(
        &self,
        family: Family,
        chains: &HashSet<String>,
        whole: bool,
        counted: Option<Counters>,
    ) -> Result<Read, String> {
        let mut words = vec!["iptables-restore".to_owned(), "-A".to_owned(), self.chain.clone()];
        let mut unknown = Vec::new();
        let mut say = |inverted: bool, option: &str, value: &str| {
            if inverted {
                words.push("!".to_owned());
            }
            words.push(option.to_owned());
            if !value.is_empty() {
                words.push(value.to_owned());
            }
        };
        for (option, it) in [("-s", &self.source), ("-d", &self.destination)] {
            match is_any_address(&it.word, family) {
                true if it.inverted => say(true, option, anywhere(family)),
                true => {}
                false => say(it.inverted, option, &it.word),
            }
        }
        for (option, it) in [("-i", &self.input), ("-o", &self.output)] {
            if let Some(it) = it {
                match ["*", "any"].contains(&it.word.as_str()) {
                    true if it.inverted => {
                        return Err(format!("`!{}` in the column of {option}; expected a name", it.word));
                    }
                    true => {}
                    false => say(it.inverted, option, &it.word),
                }
            }
        }
        if !is_any_protocol(&self.protocol.word) {
            say(self.protocol.inverted, "-p", &self.protocol.word);
        }
        if !self.is_of_every_fragment() {
            say(self.fragment == "!f", "-f", "");
        }
        let target = self.said_target(family, chains, whole)?;
        let ways = self.ways(family, &target)?;
        let way = &ways[0];
        if ways.len() > 1 {
            let others: Vec<String> = ways.iter().map(|way| way.words.join(" ")).collect();
            unknown.push(format!(
                "which of {} ways to read it is meant: taken as `{}`, not as `{}`",
                ways.len(),
                others[0],
                others[1..].join("` or `")
            ));
        }
        let names = has_port_names(&way.words);
        unknown.extend(way.unknown.iter().cloned());
        words.extend(way.words.iter().cloned());
        if let Some(counted) = counted {
            words.extend(["-c".to_owned(), counted.packets.to_string(), counted.bytes.to_string()]);
        }
        Ok(Read { words, unknown, names })
    }

    /// What the target and the extensions say, whatever the other columns do.
    pub(super) fn extensions(&self, family: Family) -> Option<Vec<String>> {
        let target = self.said_target(family, &HashSet::new(), false).ok()?;
        self.ways(family, &target).ok()?.into_iter().next().map(|way| way.words)
    }

    /// Every way to read what the extensions printed, the likeliest first; at least one.
    fn ways(&self, family: Family, target: &Said) -> Result<Vec<Way>, String> {
        let word = &self.protocol.word;
        let number = protocol_number(word)
            .ok_or_else(|| format!("the protocol `{word}`; expected a number or a name of /etc/protocols"))?;
        ways::all(&self.rest, target, family, (number, self.protocol.inverted))
    }

    fn said_target(&self, family: Family, chains: &HashSet<String>, whole: bool) -> Result<Said, String> {
        let name = self.target.as_str();
        let is_chain = chains.contains(name);
        if self.goto {
            return Ok(Said::Words(vec!["-g".to_owned(), name.to_owned()]));
        }
        if name.is_empty() {
            return Ok(Said::Words(Vec::new()));
        }
        if is_chain || ["ACCEPT", "DROP", "RETURN", "QUEUE"].contains(&name) {
            return Ok(Said::Words(vec!["-j".to_owned(), name.to_owned()]));
        }
        if targets(family).any(|spec| spec.listed_as == name) {
            return Ok(Said::Target(name.to_owned()));
        }
        if let Some(name) = missing_target(name, family) {
            return Err(missing::refusal(Kind::Target, name));
        }
        if whole || is_foreign_target(name, family) {
            return Err(format!(
                "`{name}` is no chain of this listing, and nflab has no such target; there are: {}",
                targets(family).map(|spec| spec.name).collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(Said::Words(vec!["-j".to_owned(), name.to_owned()]))
    }
}

fn protocol_number(word: &str) -> Option<u8> {
    word.parse().ok().or_else(|| names::protocol_number(word))
}

/// Values of options that are ports, and are no numbers.
fn has_port_names(words: &[String]) -> bool {
    words.windows(2).any(|pair| {
        let port = ["--sport", "--dport", "--sports", "--dports", "--ports"].contains(&pair[0].as_str());
        port && pair[1].contains(|it: char| it.is_ascii_alphabetic())
    })
}

/// Whether a listing's column of targets may say this although nflab has no such target: a row that has one is not taken for a jump to a chain
/// that is not listed.
pub(super) fn is_foreign_target(name: &str, family: Family) -> bool {
    missing_target(name, family).is_some() || OUTSIDE_THE_TREE.contains(&name)
}

fn missing_target(name: &str, family: Family) -> Option<&'static str> {
    missing::find(Kind::Target, name, family)
}

/// Targets of old kernels and of collections beside the kernel's own.
const OUTSIDE_THE_TREE: [&str; 2] = ["SAME", "TARPIT"];
