//! Tables of cases: a head line that names the columns, then a case a line.

use std::sync::Arc;

use nom::{Err, Input as _, Parser};

use super::fault::Faults;
use super::items::Item;
use crate::base::{Family, protocol};
use crate::explain::describe::icmp;
use crate::ext::names;
use crate::lab::conversation::{Called, Hosts, Party, Service};
use crate::lab::script::{Expectation, FATES, Input, Line, fate, lex, state};
use crate::syntax::atom;
use crate::syntax::problem::{Position, Problem, suggestion};
use crate::syntax::words::{self, Read, Word, Words, unexpected};

/// One line of a table in one family: the first packet of a service from one host to another.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) from: Party,
    pub(super) to: Party,
    pub(super) service: Service,
    /// The same case runs in the other family, too.
    pub(super) has_both: bool,
    /// The verdict first; each with the word that the cell holds.
    pub(super) expected: Vec<(String, Expectation)>,
}

/// A row, its name, and its line.
pub(super) struct Case {
    pub(super) row: Row,
    pub(super) name: String,
    pub(super) line: Line,
}

/// The cases of a block; what is wrong goes to the faults.
pub(super) fn cases(item: &mut Item, hosts: &Hosts, faults: &mut Faults) -> Vec<Case> {
    let text = Arc::clone(&item.text);
    let mut lines = std::mem::take(&mut item.body).into_iter();
    let Some(head) = lines.next() else {
        faults.add(
            &text,
            Problem::new(
                item.head.position,
                "this table is empty",
                "expected a line that names its columns",
                HEAD,
            ),
        );
        return Vec::new();
    };
    let read = Words::new(&head.words).read(columns);
    let columns = match read.and_then(|columns| head.without_input("a table").map(|()| columns)) {
        Ok(columns) => columns,
        Err(problem) => {
            faults.add(&text, problem);
            return Vec::new();
        }
    };
    if lines.len() == 0 {
        faults.add(
            &text,
            Problem::new(
                head.position,
                "this table has no case",
                "expected a case a line below this one",
                "",
            ),
        );
    }
    let mut found = Vec::new();
    for line in lines {
        let read = Words::new(&line.words).read(row(&columns, hosts));
        let read = read.and_then(|row| line.without_input("a case").map(|()| row));
        match read.and_then(|row| row.in_each_family(line.position)) {
            Ok(rows) => {
                for (row, has_both) in rows {
                    let family = match has_both {
                        true => format!(" ({})", row.from.family),
                        false => String::new(),
                    };
                    let name = format!("{} > {} {}{family}", row.from.name, row.to.name, row.service);
                    let line = line.clone();
                    found.push(Case { row, name, line });
                }
            }
            Err(problem) => faults.add(&text, problem),
        }
    }
    found
}

/// A line as it is written: its hosts may have addresses of both families.
struct Written {
    from: Called,
    to: Called,
    service: Service,
    /// `None`: in each that both ends have.
    family: Option<Family>,
    expected: Vec<(String, Expectation)>,
}

impl Written {
    /// A row for each family in which its hosts can speak of this service, and whether they could in both.
    fn in_each_family(self, at: Position) -> Result<Vec<(Row, bool)>, Problem> {
        let icmp = Family::ALL.map(icmp::protocol);
        let asked = match self.service.protocol {
            protocol::ICMPV6 => Some(Family::V6),
            // The router speaks to itself in either.
            _ if self.from.addresses.is_none() && self.to.addresses.is_none() => self.family.or(Some(Family::V4)),
            _ => self.family,
        };
        let families = self.from.families(&self.to);
        let are_named = self.from.addresses.is_some() || self.to.addresses.is_some();
        let has_both = are_named && self.from.families(&self.to).count() > 1;
        let rows = families
            .filter(|family| asked.is_none_or(|asked| asked == *family))
            .map(|family| {
                let service = match icmp.contains(&self.service.protocol) {
                    true => Service {
                        protocol: icmp::protocol(family),
                        ..self.service
                    },
                    false => self.service,
                };
                let row = Row {
                    from: self.from.party(family),
                    to: self.to.party(family),
                    service,
                    has_both: has_both && asked.is_none(),
                    expected: self.expected.clone(),
                };
                (row, has_both)
            });
        let rows: Vec<(Row, bool)> = rows.collect();
        if rows.is_empty() {
            let (from, to) = (&self.from.name, &self.to.name);
            let message = match asked {
                Some(family) => format!("{from} and {to} do not both have an {family} address"),
                None => format!("{from} and {to} have no addresses of one family"),
            };
            return Err(Problem::new(
                at,
                message,
                "expected two hosts that can speak to each other",
                "give one of them another address: `host NAME ADDRESS ADDRESS INTERFACE`",
            ));
        }
        Ok(rows)
    }
}

/// What the cells of a column say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    From,
    To,
    Family,
    Service,
    Verdict,
    State,
    By,
    Comment,
    Out,
}

impl Column {
    const ALL: &[Self] = &[
        Self::From,
        Self::To,
        Self::Family,
        Self::Service,
        Self::Verdict,
        Self::State,
        Self::By,
        Self::Comment,
        Self::Out,
    ];

    /// As the head line names it.
    fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Family => "family",
            Self::Service => "service",
            Self::Verdict => "verdict",
            Self::State => "state",
            Self::By => "by",
            Self::Comment => "comment",
            Self::Out => "out",
        }
    }

    fn holds(self) -> &'static str {
        match self {
            Self::From => "the host that begins",
            Self::To => "the host that it goes to",
            Self::Family => "4 or 6",
            Self::Service => "the service",
            Self::Verdict => "the verdict",
            Self::State => "the packet's state",
            Self::By => "the rule that decides",
            Self::Comment => "the comment of the rule that decides",
            Self::Out => "the interface by which it leaves",
        }
    }

    /// Every table has it, and each of its cells says something.
    fn is_needed(self) -> bool {
        matches!(self, Self::From | Self::To | Self::Service | Self::Verdict)
    }
}

/// The line that names the columns, whole.
fn columns(words: Words<'_>) -> Read<'_, Vec<Column>> {
    let mut columns = Vec::new();
    let mut left = words;
    while !left.is_done() {
        let (behind, column) = column(&columns, left)?;
        columns.push(column);
        left = behind;
    }
    match Column::ALL.iter().find(|it| it.is_needed() && !columns.contains(it)) {
        None => Ok((left, columns)),
        Some(needed) => {
            let end = left.position().end;
            Err(Err::Failure(Problem::new(
                end..end,
                format!("the column `{}` is missing", needed.name()),
                format!("expected `{}` in this line", needed.name()),
                HEAD,
            )))
        }
    }
}

/// A column beside those that are there.
fn column<'a>(there: &[Column], words: Words<'a>) -> Read<'a, Column> {
    let (left, word) = words::anything(words)?;
    let wrong = |message: String, expected: &str, remedy: String| {
        Err(Err::Failure(Problem::new(word.position, message, expected, remedy)))
    };
    match Column::ALL.iter().find(|it| it.name() == word.text) {
        None => {
            let names = Column::ALL.iter().map(|it| it.name());
            let remedy = match suggestion(&word.text, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are {}", names.collect::<Vec<_>>().join(", ")),
            };
            let message = format!("a table has no column `{}`", word.text);
            wrong(message, "expected a column's name", remedy)
        }
        Some(column) if there.contains(column) => wrong(
            format!("the column `{}` is there already", column.name()),
            "expected another column",
            "leave one of them out".to_owned(),
        ),
        Some(column) => Ok((left, *column)),
    }
}

/// A case, whole: a cell a column.
fn row<'a>(columns: &[Column], hosts: &Hosts) -> impl Parser<Words<'a>, Output = Written, Error = Problem> {
    move |words: Words<'a>| {
        // Before any cell: where one has too many words, all behind it are in wrong places.
        not_more_than(columns.len(), words)?;
        let (mut from, mut to, mut of, mut family, mut expected) = (None, None, None, None, Vec::new());
        let mut left = words;
        for column in columns {
            let (behind, word) = cell(*column).parse(left)?;
            left = behind;
            let expectation = match column {
                Column::From => {
                    from = Some(party(hosts, word).map_err(Err::Failure)?);
                    continue;
                }
                Column::To => {
                    to = Some(party(hosts, word).map_err(Err::Failure)?);
                    continue;
                }
                Column::Service => {
                    of = Some(service(word).map_err(Err::Failure)?);
                    continue;
                }
                _ if word.text == "-" && !column.is_needed() => continue,
                Column::Family => {
                    family = Some(family_of(word).map_err(Err::Failure)?);
                    continue;
                }
                Column::Verdict => verdict(word),
                Column::State => state(&word.text).map(Expectation::State).ok_or_else(|| {
                    unexpected(
                        word,
                        "expected NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED or none",
                        "",
                    )
                }),
                Column::By => within(word, &atom::parted(&word.text, ':'), Expectation::by),
                Column::Comment => Ok(Expectation::by_comment(&word.text)),
                Column::Out => within(word, &word.text, Expectation::out),
            };
            let expectation = expectation.map_err(Err::Failure)?;
            expected.push((format!("{} {}", column.name(), word.text), expectation));
        }
        expected.sort_by_key(|(_, expectation)| !matches!(expectation, Expectation::Fate(_)));
        match (from, to, of) {
            (Some(from), Some(to), Some(service)) => Ok((
                left,
                Written {
                    from,
                    to,
                    service,
                    family,
                    expected,
                },
            )),
            // `columns` sees to it that they are there.
            _ => Err(Err::Failure(Problem::new(
                left.position(),
                "this case is not whole",
                "",
                HEAD,
            ))),
        }
    }
}

fn not_more_than(most: usize, words: Words<'_>) -> Result<(), Err<Problem>> {
    match words.iter_elements().nth(most) {
        None => Ok(()),
        Some(extra) => Err(Err::Failure(Problem::new(
            extra.position,
            format!("this case has {} cells, its table {most} columns", words.input_len()),
            "expected the end of the line",
            "quote what has blanks in it",
        ))),
    }
}

/// The next word, which is a cell of this column.
fn cell<'a>(column: Column) -> impl Parser<Words<'a>, Output = &'a Word, Error = Problem> {
    words::word_or(move |end| {
        let remedy = match column.is_needed() {
            true => "",
            false => "write `-` where nothing is expected",
        };
        Problem::new(
            end,
            format!("this case ends before its column `{}`", column.name()),
            format!("expected {}", column.holds()),
            remedy,
        )
    })
}

fn family_of(word: &Word) -> Result<Family, Problem> {
    match word.text.as_str() {
        "4" => Ok(Family::V4),
        "6" => Ok(Family::V6),
        _ => Err(unexpected(
            word,
            "expected 4, 6, or `-` for each that both hosts have",
            "",
        )),
    }
}

fn party(hosts: &Hosts, word: &Word) -> Result<Called, Problem> {
    let party = hosts.called(word, protocol::TCP)?;
    match party.port {
        None => Ok(party),
        Some(_) => Err(unexpected(
            word,
            "expected a host without a port",
            "the port stands in the column `service`",
        )),
    }
}

fn verdict(word: &Word) -> Result<Expectation, Problem> {
    fate(&word.text).map(Expectation::Fate).ok_or_else(|| {
        let near = suggestion(&word.text, FATES.iter().copied());
        let remedy = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        unexpected(word, &format!("expected a verdict: {}", FATES.join(", ")), &remedy)
    })
}

/// `tcp/80`, `udp/domain`, `icmp`, `gre`, `47`.
fn service(word: &Word) -> Result<Service, Problem> {
    let ((at, name), port) = atom::halves(&word.text, '/');
    let wrong = |at: Position, expected: &str, remedy: &str| {
        let part = word.text.get(at.start..at.end).unwrap_or_default();
        let message = format!("`{part}` is not understood here");
        Problem::new(word.part(at), message, expected, remedy)
    };
    let number = names::protocol_number(name)
        .or_else(|| name.parse().ok())
        .filter(|number| *number != 0);
    let Some(number) = number else {
        let near = match name {
            "icmp6" => Some("icmpv6"),
            "ping" | "ping6" | "echo-request" => Some("icmp"),
            _ => suggestion(name, ["tcp", "udp", "icmp", "icmpv6"]),
        };
        let near = near.map(|near| format!("did you mean `{near}`?"));
        return Err(wrong(
            at,
            "expected a service such as tcp/80, udp/domain, icmp or gre",
            &near.unwrap_or_default(),
        ));
    };
    let has_ports = matches!(number, protocol::TCP | protocol::UDP);
    let port = match port {
        None if has_ports => {
            return Err(wrong(
                at,
                "expected a port after it",
                &format!("write it like {name}/80"),
            ));
        }
        Some((at, _)) if !has_ports => {
            return Err(wrong(
                at,
                "this protocol has no ports",
                &format!("write `{name}` alone"),
            ));
        }
        None => 0,
        Some((at, port)) => {
            let known = port.parse().ok().or_else(|| names::port_number(port, number));
            known.ok_or_else(|| wrong(at, "expected a port from 0 to 65535, or a service's name", ""))?
        }
    };
    Ok(Service { protocol: number, port })
}

/// An expectation in the words within a cell, which are a line's, with a text for them that has each where it is in the cell.
fn within(
    cell: &Word,
    text: &str,
    read: impl Fn(&mut Words<'_>) -> Result<Expectation, Problem>,
) -> Result<Expectation, Problem> {
    let moved = |mut problem: Problem| {
        problem.position = cell.part(problem.position);
        problem
    };
    let lines = lex::lex(text).map_err(|error| moved(error.problem))?;
    let words = match &lines[..] {
        [] => &[],
        [line] if line.input == Input::None => &line.words[..],
        _ => return Err(unexpected(cell, "expected one line of words, without `<`", "")),
    };
    let mut left = Words::of("cell", words, text.len());
    let expectation = read(&mut left).map_err(moved)?;
    left.read(words::end("expected the end of the cell")).map_err(moved)?;
    Ok(expectation)
}

const HEAD: &str = "a table begins like `from to service verdict`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_within_a_cell() {
        for (cell, same_as) in [
            ("FORWARD:2", "FORWARD 2"),
            ("'nat:POSTROUTING 1'", "nat POSTROUTING 1"),
            ("\"FORWARD:comment:'a: b'\"", "FORWARD comment 'a: b'"),
        ] {
            let read = |text: &str| {
                let lines = lex::lex(text).unwrap();
                let cell = &lines[0].words[0];
                format!(
                    "{:?}",
                    within(cell, &atom::parted(&cell.text, ':'), Expectation::by).unwrap()
                )
            };
            assert_eq!(read(cell), read(&format!("\"{same_as}\"")), "{cell}");
        }
    }
}
