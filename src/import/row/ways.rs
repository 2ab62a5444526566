//! What extensions printed behind the columns of a row, read in every way in which the registry's matches and targets could have printed it.

use std::collections::HashSet;

use crate::base::Family;
use crate::ext;
use crate::ext::listed::Listed;

/// The likeliest first; at least one. The protocol is that of the row, and whether a `!` stands before it.
pub(super) fn all(rest: &str, target: &Said, family: Family, protocol: (u8, bool)) -> Result<Vec<Way>, String> {
    if let Some(apart) = unglued(rest, family) {
        let ways = Search::through(&apart, target, family, protocol).ways;
        if !ways.is_empty() {
            return Ok(ways);
        }
    }
    let search = Search::through(rest, target, family, protocol);
    if search.readings > MOST_READINGS {
        return Err(format!(
            "this line cannot be read: a comment or a prefix in it looks like options, in so many ways that {MOST_READINGS} were tried in \
             vain; expected what `iptables-save` prints of this rule, which quotes them"
        ));
    }
    match search.ways.is_empty() {
        true => Err(not_readable(search.left.trim(), target, rest, family)),
        false => Ok(search.ways),
    }
}

/// The column of targets.
pub(super) enum Said {
    /// Nothing of it is printed behind the matches.
    Words(Vec<String>),
    Target(String),
}

/// One way to read what the extensions printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub words: Vec<String>,
    pub unknown: Vec<String>,
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
    fn through(rest: &'a str, target: &'a Said, family: Family, (protocol, inverted): (u8, bool)) -> Self {
        let mut search = Self {
            target,
            family,
            protocol,
            inverted,
            way: Way::default(),
            ways: Vec::new(),
            readings: 0,
            arrived: 0,
            dead: HashSet::new(),
            left: rest,
        };
        search.go(rest);
        search
    }

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

/// A match without options is listed by its name alone, and the tool puts no blank before that of `eui64`: with one, where a word ends so that is none of
/// a comment.
fn unglued(rest: &str, family: Family) -> Option<String> {
    let bare = ext::matches().filter(|spec| spec.options.is_empty() && spec.families.contains(&family));
    let names: Vec<&str> = bare.map(|spec| spec.name).collect();
    let (mut is_changed, mut is_comment) = (false, false);
    let words = rest.split(' ').map(|word| {
        is_comment = word.starts_with("/*") || is_comment && !word.starts_with("*/");
        if is_comment {
            return word.to_owned();
        }
        let glued = names.iter().find_map(|name| Some((word.strip_suffix(name)?, *name)));
        match glued.filter(|(before, _)| !before.is_empty()) {
            Some((before, name)) => {
                is_changed = true;
                format!("{before} {name}")
            }
            None => word.to_owned(),
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    is_changed.then_some(text)
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

pub(super) fn targets(family: Family) -> impl Iterator<Item = &'static ext::TargetSpec> {
    ext::targets().filter(move |spec| spec.families.contains(&family))
}

/// More than these are never told.
const MOST_WAYS: usize = 4;
/// A line of a rule as large as the kernel takes is read in some thousands.
const MOST_READINGS: usize = 20_000;
/// No rule of the kernel has room for more matches than these are words of.
const MOST_WORDS: usize = 4_000;
