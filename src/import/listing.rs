//! What `iptables -L` printed: chains with their rows, of one table or of several, alone or between the prompts it was copied with.
//!
//! A listing names neither its table nor the options it was made with: the line of column names tells which columns there are, and whether
//! names stand for numbers is told by what stands in them.

use std::collections::{HashMap, HashSet};

use super::build::Built;
use super::draft::{self, Chain, Command, Draft};
use super::family::{self, Named};
use super::kind::Kind;
use super::row::{self, Row};
use super::{Options, Told, place, script};
use crate::base::Family;
use crate::rule::{Counters, Table};
use crate::syntax::problem::Source;
use crate::text::list::Columns;
use crate::text::restore::Argument;

/// How rules were listed, and the lines themselves, to hold them against a listing of what was read.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub columns: Columns,
    pub headings: Vec<Heading>,
    pub rows: Vec<Row>,
}

impl Form {
    pub(super) fn rows_by_chain(&self) -> HashMap<&str, Vec<&Row>> {
        let mut rows: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in &self.rows {
            rows.entry(row.chain.as_str()).or_default().push(row);
        }
        rows
    }
}

/// `Chain INPUT (policy DROP 3 packets, 120 bytes)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub line: usize,
    pub chain: String,
    pub about: About,
}

/// What stands in the brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    Policy {
        name: String,
        counted: Option<(String, String)>,
    },
    References(Option<usize>),
}

/// Chains that may be of one table.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub named: Named,
    pub form: Form,
}

/// The name and what stands in the brackets, if the line is a chain's heading.
pub(super) fn chain_heading(line: &str) -> Option<(&str, &str)> {
    let (name, inside) = line.strip_prefix("Chain ")?.split_once(" (")?;
    let inside = inside.strip_suffix(')')?;
    (!name.is_empty() && !name.contains(' ')).then_some((name, inside))
}

/// Every table that the text lists.
pub(super) fn read(source: &Source, options: &Options, told: &mut Told) -> Vec<Draft> {
    let groups = scan(&source.name, &source.text, told);
    let named = |group: &Group| Named {
        family: group
            .named
            .family
            .or_else(|| group.form.rows.iter().find_map(Row::family)),
        ..group.named
    };
    let read = |group: &Group, family, told: &mut Told, trial: &mut Built| {
        drafted(source, group, family, options, told, trial)
    };
    // One for all: a text may have very many groups.
    family::read_each(&groups, named, options, told, &mut Built::new(), read)
}

/// The lines, without asking what they mean.
pub(super) fn scan(source: &str, text: &str, told: &mut Told) -> Vec<Group> {
    let mut scanner = Scanner {
        groups: Vec::new(),
        headings: HashSet::new(),
        named: Named::default(),
        fresh: true,
        columns: None,
        broken: false,
    };
    for (at, line) in text.lines().enumerate() {
        if let Err(why) = scanner.line(source, line, at + 1, told) {
            told.refuse(source, at + 1, why);
        }
    }
    scanner.groups.retain(|group| !group.form.headings.is_empty());
    scanner.groups
}

struct Scanner {
    groups: Vec<Group>,
    /// The chains of the last group.
    headings: HashSet<String>,
    /// Named by the prompt or title above.
    named: Named,
    /// The next chain begins a group whatever it is.
    fresh: bool,
    /// Of the chain at hand, once they were named.
    columns: Option<Columns>,
    /// No line of column names: said once, and the chain's rows are not tried.
    broken: bool,
}

impl Scanner {
    fn line(&mut self, source: &str, line: &str, number: usize, told: &mut Told) -> Result<(), String> {
        let trimmed = line.trim_end();
        if trimmed.is_empty() {
            return Ok(());
        }
        if let Some((chain, inside)) = chain_heading(trimmed) {
            self.chain(Heading {
                line: number,
                chain: chain.to_owned(),
                about: about(inside),
            });
            return Ok(());
        }
        if let Some(table) = titled(trimmed) {
            self.named.table = Some(table);
            self.fresh = true;
            return Ok(());
        }
        if let Some(family) = family_titled(trimmed) {
            self.named = Named {
                table: None,
                family: Some(family),
            };
            self.fresh = true;
            return Ok(());
        }
        if let Some(words) = script::prompted(trimmed) {
            self.named = script::named(&words)?;
            self.fresh = true;
            return Ok(());
        }
        if trimmed.starts_with('#') {
            if trimmed.contains("tables present") {
                told.unknown(
                    source,
                    number,
                    format!("the rules of the other backend, which are not in this text ({trimmed})"),
                );
            }
            return Ok(());
        }
        if let Some(columns) = columns(trimmed) {
            return self.titles(columns);
        }
        self.row(line, number)
    }

    fn chain(&mut self, heading: Heading) {
        let built_in = matches!(heading.about, About::Policy { .. });
        let begins = match self.groups.last() {
            None => true,
            Some(group) => {
                // Headings of user chains only follow those of built-in ones, so the last tells of all.
                let user = |it: &Heading| matches!(it.about, About::References(_));
                let again = self.headings.contains(&heading.chain);
                // The chains of a table begin with the built-in ones.
                self.fresh || again || built_in && group.form.headings.last().is_some_and(user)
            }
        };
        if begins {
            // What a prompt said of the table is for what it printed; the family is that of all that follow.
            let table = self.named.table.take().filter(|_| self.fresh);
            self.groups.push(Group {
                named: Named { table, ..self.named },
                form: Form {
                    columns: Columns {
                        verbose: false,
                        numeric: true,
                        exact: false,
                        line_numbers: false,
                    },
                    headings: Vec::new(),
                    rows: Vec::new(),
                },
            });
            self.fresh = false;
            self.headings.clear();
        }
        self.headings.insert(heading.chain.clone());
        if let Some(group) = self.groups.last_mut() {
            group.form.headings.push(heading);
        }
        self.columns = None;
        self.broken = false;
    }

    fn titles(&mut self, columns: Columns) -> Result<(), String> {
        let Some(group) = self.groups.last_mut() else {
            return Err("expected `Chain NAME (...)` above the names of columns".to_owned());
        };
        let same = |own: Columns| {
            (own.verbose, own.exact, own.line_numbers) == (columns.verbose, columns.exact, columns.line_numbers)
        };
        if group.form.headings.len() > 1 && !same(group.form.columns) {
            self.broken = true;
            return Err(
                "the columns are others than those of the chain above; expected the chains of a table to be \
                        listed with the same options"
                    .to_owned(),
            );
        }
        group.form.columns = columns;
        self.columns = Some(columns);
        Ok(())
    }

    fn row(&mut self, line: &str, number: usize) -> Result<(), String> {
        let Some((group, heading)) = self.groups.last_mut().and_then(|group| {
            let chain = group.form.headings.last()?.chain.clone();
            Some((group, chain))
        }) else {
            return Err("expected `Chain NAME (...)`".to_owned());
        };
        let Some(columns) = self.columns else {
            if std::mem::replace(&mut self.broken, true) {
                return Ok(());
            }
            return Err(
                "expected the names of the columns (`target     prot opt source ...`) below the chain's heading"
                    .to_owned(),
            );
        };
        let row = Row::parse(line, number, &heading, columns)?;
        group.form.rows.push(row);
        Ok(())
    }
}

fn about(inside: &str) -> About {
    let words: Vec<&str> = inside.split(' ').collect();
    match words[..] {
        ["policy", name] => About::Policy {
            name: name.to_owned(),
            counted: None,
        },
        ["policy", name, packets, "packets,", bytes, "bytes"] => About::Policy {
            name: name.to_owned(),
            counted: Some((packets.to_owned(), bytes.to_owned())),
        },
        [count, "references"] => About::References(count.parse().ok()),
        _ => About::References(None),
    }
}

/// `Table: nat`, as people write above what they paste.
fn titled(line: &str) -> Option<Table> {
    let words = line.trim_matches(|it: char| !it.is_ascii_alphanumeric());
    let (first, rest) = words.split_once(|it: char| !it.is_ascii_alphanumeric())?;
    let name = rest.trim_matches(|it: char| !it.is_ascii_alphanumeric());
    let table = |name: &str| Table::from_name(&name.to_ascii_lowercase());
    if first.eq_ignore_ascii_case("table") {
        return table(name);
    }
    name.eq_ignore_ascii_case("table").then(|| table(first)).flatten()
}

/// `IPV6:`, as ufw writes above what it shows of each family, and people likewise.
fn family_titled(line: &str) -> Option<Family> {
    let title = line.strip_suffix(':')?;
    let first = title.split([' ', '(']).next()?.to_ascii_lowercase();
    match first.as_str() {
        "ipv4" | "iptables" => Some(Family::V4),
        "ipv6" | "ip6tables" => Some(Family::V6),
        _ => None,
    }
}

/// The columns that their names tell.
fn columns(line: &str) -> Option<Columns> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let has = |name: &str| words.contains(&name);
    (has("target") && has("prot") && has("source") && has("destination")).then(|| Columns {
        verbose: has("pkts"),
        numeric: true,
        // The tool widens the columns for exact numbers.
        exact: line.contains("pkts      bytes"),
        line_numbers: has("num"),
    })
}

fn drafted(
    source: &Source,
    group: &Group,
    family: Family,
    options: &Options,
    told: &mut Told,
    trial: &mut Built,
) -> Option<Draft> {
    let name = &source.name;
    let mut form = group.form.clone();
    form.columns.numeric = !form.rows.iter().any(Row::has_names);
    let built_in: Vec<&str> = form
        .headings
        .iter()
        .filter(|it| matches!(it.about, About::Policy { .. }))
        .map(|it| it.chain.as_str())
        .collect();
    let whole = place::is_whole(&built_in);
    let mut rounded = Vec::new();
    let mut counters = |packets: &str, bytes: &str, line: usize| {
        let (packets, exact) = row::count(packets)?;
        let (bytes, as_exact) = row::count(bytes)?;
        if !(exact && as_exact) {
            rounded.push(line);
        }
        Some(Counters { packets, bytes })
    };
    let mut chains: Vec<Chain> = Vec::new();
    for heading in &form.headings {
        let (policy, counters) = match &heading.about {
            About::References(_) => (None, None),
            About::Policy { name, counted: None } => (Some(name.clone()), None),
            About::Policy {
                name,
                counted: Some((packets, bytes)),
            } => (Some(name.clone()), counters(packets, bytes, heading.line)),
        };
        if let Some(policy) = policy.as_deref().filter(|name| draft::policy(name).is_none()) {
            told.refuse(
                name,
                heading.line,
                format!("the policy {policy}; expected ACCEPT or DROP"),
            );
        }
        chains.push(Chain {
            line: heading.line,
            name: heading.chain.clone(),
            policy,
            counters,
        });
    }
    let listed: HashSet<String> = chains.iter().map(|it| it.name.clone()).collect();
    let mut commands = Vec::new();
    let mut named = Vec::new();
    for row in &form.rows {
        let counted = match &row.counted {
            None => None,
            Some((packets, bytes)) => counters(packets, bytes, row.line),
        };
        match row.words(family, &listed, whole, counted) {
            Ok(read) => {
                for unknown in read.unknown {
                    told.unknown(name, row.line, unknown);
                }
                if read.names {
                    named.push(row.line);
                }
                commands.push(Command {
                    line: row.line,
                    words: read.words.into_iter().map(Argument::made).collect(),
                });
            }
            Err(why) => told.refuse(name, row.line, why),
        }
    }
    let draft = Draft {
        source: name.clone(),
        kind: Kind::Listing,
        line: form.headings.first().map_or(1, |it| it.line),
        family,
        table: Table::Filter,
        chains,
        commands,
        counted: form.columns.verbose,
        form: Some(form.clone()),
    };
    let draft = place::settle(draft, group.named.table, whole, options, told, trial)?;
    what_columns_do_not_tell(name, &form, told);
    told.unknown_of(
        name,
        rounded,
        "exact counters: the listing rounds them (K, M, G); taken as round numbers. -x lists them whole",
    );
    told.unknown_of(
        name,
        named,
        "numbers of ports: the listing has names, taken as Debian's /etc/services has them. -n lists numbers",
    );
    numbers_in_a_row(name, &form, told);
    Some(draft)
}

fn what_columns_do_not_tell(source: &str, form: &Form, told: &mut Told) {
    if form.columns.verbose || form.rows.is_empty() {
        return;
    }
    told.unknown_of(
        source,
        form.rows.iter().map(|row| row.line).collect(),
        "interfaces and counters: the listing was made without -v",
    );
    let broad = form.rows.iter().filter(|row| row.is_for_everything());
    told.unknown_of(
        source,
        broad.map(|row| row.line).collect(),
        "whether these decide about every packet: they look so, but an interface (-i lo) would not show",
    );
}

/// Numbers that leave some out: the listing was cut or filtered.
fn numbers_in_a_row(source: &str, form: &Form, told: &mut Told) {
    let rows = form.rows_by_chain();
    for heading in &form.headings {
        let mut expected = 1;
        for row in rows.get(heading.chain.as_str()).into_iter().flatten() {
            let Some(number) = row.number else { return };
            if number != expected {
                let missing = match number.checked_sub(1) {
                    Some(last) if last == expected => format!("rule {last}"),
                    Some(last) if last > expected => format!("rules {expected} to {last}"),
                    _ => "the order".to_owned(),
                };
                told.unknown(
                    source,
                    row.line,
                    format!("{missing} of {}: not in the text", heading.chain),
                );
            }
            expected = number + 1;
        }
    }
}
