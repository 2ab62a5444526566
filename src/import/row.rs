//! A row of a listing: its columns, and behind them what the extensions printed, as words of a command.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::base::Family;
use crate::ext::listed::Listed;
use crate::ext::missing::{self, Kind};
use crate::ext::{self, names};
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

/// A word that a `!` may stand before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Negatable {
    pub inverted: bool,
    pub word: String,
}

impl Negatable {
    /// The address, without its mask; none for a name.
    fn address(&self) -> Option<IpAddr> {
        self.word.split('/').next()?.parse().ok()
    }

    fn of(text: &str) -> Self {
        let (inverted, word) = match text.strip_prefix('!') {
            Some(word) => (true, word),
            None => (false, text),
        };
        Self {
            inverted,
            word: word.to_owned(),
        }
    }
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

/// A counter, and whether it is exact: `100K` is not.
pub(super) fn count(text: &str) -> Option<(u64, bool)> {
    let units = [
        ('K', 1_000),
        ('M', 1_000_000),
        ('G', 1_000_000_000),
        ('T', 1_000_000_000_000u64),
    ];
    for (unit, factor) in units {
        if let Some(digits) = text.strip_suffix(unit) {
            return Some((digits.parse::<u64>().ok()?.checked_mul(factor)?, false));
        }
    }
    text.parse().ok().map(|number| (number, true))
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
        let mut search = Search {
            target,
            family,
            protocol: number,
            inverted: self.protocol.inverted,
            way: Way::default(),
            ways: Vec::new(),
            readings: 0,
            arrived: 0,
            dead: HashSet::new(),
            left: &self.rest,
        };
        search.go(&self.rest);
        if search.readings > MOST_READINGS {
            return Err(format!(
                "this line cannot be read: a comment or a prefix in it looks like options, in so many ways that {MOST_READINGS} were tried in \
                 vain; expected what `iptables-save` prints of this rule, which quotes them"
            ));
        }
        match search.ways.is_empty() {
            true => Err(not_readable(search.left.trim(), target, &self.rest, family)),
            false => Ok(search.ways),
        }
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

/// The column of targets.
enum Said {
    /// Nothing of it is printed behind the matches.
    Words(Vec<String>),
    Target(String),
}

/// One way to read what the extensions printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Way {
    words: Vec<String>,
    unknown: Vec<String>,
}

/// Matches in their order, then the target: every way to share the text among them.
struct Search<'a> {
    target: &'a Said,
    family: Family,
    protocol: u8,
    inverted: bool,
    /// The one that is being gone.
    way: Way,
    ways: Vec<Way>,
    /// Pieces that were tried.
    readings: usize,
    /// How often a way came to the end, new or not.
    arrived: usize,
    /// Lengths of what was left where nothing led to the end: other ways that come there need not try again.
    dead: HashSet<usize>,
    /// What no way got behind.
    left: &'a str,
}

impl<'a> Search<'a> {
    fn go(&mut self, rest: &'a str) {
        if self.dead.contains(&rest.len()) || self.way.words.len() > MOST_WORDS {
            return;
        }
        let arrived = self.arrived;
        if rest.trim().len() < self.left.trim().len() {
            self.left = rest;
        }
        self.end(rest);
        let listed = Listed {
            rest,
            protocol: self.protocol,
            family: self.family,
        };
        // What is only for a protocol can't stand in a rule for another: it is in a comment that it looks so.
        let fits = |spec: &&ext::MatchSpec| {
            let has_its_protocol = || spec.protocol == Some(self.protocol) && !self.inverted;
            spec.families.contains(&self.family) && (!spec.is_for_its_protocol() || has_its_protocol())
        };
        for spec in ext::matches().filter(fits).collect::<Vec<_>>() {
            for typed in (spec.unlist)(listed) {
                if typed.rest.len() >= rest.len() || self.is_done() {
                    continue;
                }
                self.readings += 1;
                let (words, unknown) = (self.way.words.len(), self.way.unknown.len());
                self.way.words.extend(["-m".to_owned(), spec.name.to_owned()]);
                self.way.words.extend(typed.options);
                self.way.unknown.extend(typed.unknown);
                self.go(typed.rest);
                self.way.words.truncate(words);
                self.way.unknown.truncate(unknown);
            }
        }
        if self.arrived == arrived && !self.is_done() {
            self.dead.insert(rest.len());
        }
    }

    fn is_done(&self) -> bool {
        self.ways.len() >= MOST_WAYS || self.readings > MOST_READINGS
    }

    fn end(&mut self, rest: &'a str) {
        match self.target {
            Said::Words(words) if rest.trim().is_empty() => {
                let mut way = self.way.clone();
                way.words.extend(words.iter().cloned());
                self.found(way);
            }
            Said::Words(_) => {}
            Said::Target(name) => {
                let listed = Listed {
                    rest,
                    protocol: self.protocol,
                    family: self.family,
                };
                for spec in targets(self.family).filter(|spec| spec.listed_as == name) {
                    for typed in (spec.unlist)(listed) {
                        if !typed.rest.trim().is_empty() {
                            continue;
                        }
                        let mut way = self.way.clone();
                        way.words.extend(["-j".to_owned(), spec.name.to_owned()]);
                        way.words.extend(typed.options);
                        way.unknown.extend(typed.unknown);
                        self.found(way);
                    }
                }
            }
        }
    }

    fn found(&mut self, way: Way) {
        self.arrived += 1;
        if !self.ways.contains(&way) {
            self.ways.push(way);
        }
    }
}

fn not_readable(left: &str, target: &Said, rest: &str, family: Family) -> String {
    if left.starts_with("/*") {
        return format!("the comment `{left}` has no end; expected `*/`: the line is cut");
    }
    if left.is_empty()
        && let Said::Target(name) = target
    {
        return format!("{name} prints its options, and none stand here; expected the whole line");
    }
    let shown = if left.is_empty() { rest.trim() } else { left };
    let known = ext::matches().filter(|spec| spec.families.contains(&family));
    let matches: Vec<&str> = known.map(|spec| spec.name).collect();
    format!(
        "`{shown}`: expected what a match or the target prints; nflab has the matches {}",
        matches.join(", ")
    )
}

/// A host of IPv6 as today's tool lists it, where older ones listed its mask (`ff02::fb/128`).
fn without_whole_mask(word: &str) -> &str {
    word.strip_suffix("/128").unwrap_or(word)
}

/// The columns target, prot and opt.
fn target_to_option<'a>(row: &mut Listed<'a>, verbose: bool) -> Result<[&'a str; 3], String> {
    let blanks = row.rest.len() - row.rest.trim_ascii_start().len();
    let (before, first, second) = (*row, row.take().unwrap_or_default(), row.take().unwrap_or_default());
    // Seen of 1.8.8: `ipv6-icmp--`.
    if let Some((protocol, option)) = glued(second) {
        return Ok([first, protocol, option]);
    }
    if let Some((protocol, option)) = glued(first) {
        *row = before;
        row.take();
        return Ok(["", protocol, option]);
    }
    // A rule that only counts leaves the column of targets blank.
    if is_option(second) && !row.peek().is_some_and(is_option) {
        return Ok(["", first, second]);
    }
    match row.peek() {
        Some(third) if is_option(third) => {
            row.take();
            Ok([first, second, third])
        }
        // ip6tables had nothing to say in the column opt, before 1.8.9.
        Some(_) if blanks >= BLANK_TARGET && has_addresses_of_six(before, 1, verbose) => {
            *row = before;
            Ok(["", row.take().unwrap_or_default(), ""])
        }
        Some(_) if has_addresses_of_six(before, 2, verbose) => Ok([first, second, ""]),
        None => Err("the line ends too early; expected the columns target, prot, opt, source, destination".to_owned()),
        Some(third) => Err(format!("`{third}` in the column opt; expected --, -f or !f")),
    }
}

/// Whether addresses, of which one is of IPv6, stand behind so many columns and those of interfaces.
fn has_addresses_of_six(mut row: Listed<'_>, columns: usize, verbose: bool) -> bool {
    let before = columns + if verbose { 2 } else { 0 };
    for _ in 0..before {
        row.take();
    }
    let ends = [row.take(), row.take()].map(|word| word.map(Negatable::of));
    ends.iter().all(Option::is_some)
        && ends
            .iter()
            .flatten()
            .any(|it| is_any_address(&it.word, Family::V6) || it.address().is_some_and(|address| address.is_ipv6()))
}

fn is_option(word: &str) -> bool {
    OPTIONS.contains(&word)
}

/// The name of a protocol that is longer than its column, and the option that a tool printed without a blank behind it.
fn glued(word: &str) -> Option<(&str, &str)> {
    let (protocol, option) = OPTIONS
        .iter()
        .find_map(|option| Some((word.strip_suffix(option)?, *option)))?;
    names::protocol_number(protocol.trim_start_matches('!')).map(|_| (protocol, option))
}

/// What stands in the column opt.
const OPTIONS: [&str; 3] = ["--", "-f", "!f"];

fn is_any_address(word: &str, family: Family) -> bool {
    ["anywhere", anywhere(family), "default"].contains(&word)
}

fn anywhere(family: Family) -> &'static str {
    match family {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "::/0",
    }
}

fn targets(family: Family) -> impl Iterator<Item = &'static ext::TargetSpec> {
    ext::targets().filter(move |spec| spec.families.contains(&family))
}

fn is_any_protocol(word: &str) -> bool {
    ["all", "0", "ip"].contains(&word)
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

/// So many blanks stand where a target would.
const BLANK_TARGET: usize = 10;
/// More than these are never told.
const MOST_WAYS: usize = 4;
/// A line of a rule as large as the kernel takes is read in some thousands.
const MOST_READINGS: usize = 20_000;
/// No rule of the kernel has room for more matches than these are words of.
const MOST_WORDS: usize = 4_000;

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
