//! Tables of cases: a head line that names the columns, then a case a line.

use std::sync::Arc;

use super::fault::Faults;
use super::items::Item;
use crate::base::protocol;
use crate::ext::names;
use crate::lab::conversation::{Hosts, Party, Service};
use crate::lab::script::{Expectation, FATES, Line, fate, lex, state};
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{Word, Words, unexpected};

/// One line of a table: the first packet of a service from one host to another.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) from: Party,
    pub(super) to: Party,
    pub(super) service: Service,
    /// The verdict first; each with the word that the cell holds.
    pub(super) expected: Vec<(String, Expectation)>,
}

/// A row, its name, and its line.
pub(super) struct Read {
    pub(super) row: Row,
    pub(super) name: String,
    pub(super) line: Line,
}

/// The rows of a block; what is wrong goes to the faults.
pub(super) fn rows(item: &mut Item, hosts: &Hosts, faults: &mut Faults) -> Vec<Read> {
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
    let columns = match columns(&head) {
        Ok(columns) => columns,
        Err(problem) => {
            faults.add(&text, problem);
            return Vec::new();
        }
    };
    let mut found = Vec::new();
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
    for line in lines {
        match row(&line, &columns, hosts) {
            Ok(row) => {
                let name = format!(
                    "{} > {} {}",
                    cell(&line, &columns, "from"),
                    cell(&line, &columns, "to"),
                    row.service
                );
                found.push(Read { row, name, line });
            }
            Err(problem) => faults.add(&text, problem),
        }
    }
    found
}

fn cell<'a>(line: &'a Line, columns: &[&str], name: &str) -> &'a str {
    let at = columns.iter().position(|column| *column == name).unwrap_or(0);
    line.words.get(at).map_or("", |word| word.text.as_str())
}

fn columns(head: &Line) -> Result<Vec<&'static str>, Problem> {
    let mut columns: Vec<&'static str> = Vec::with_capacity(head.words.len());
    for word in &head.words {
        let Some(name) = COLUMNS.iter().copied().find(|name| *name == word.text) else {
            let remedy = match suggestion(&word.text, COLUMNS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are {}", COLUMNS.join(", ")),
            };
            return Err(Problem::new(
                word.position,
                format!("a table has no column `{}`", word.text),
                "expected a column's name",
                remedy,
            ));
        };
        if columns.contains(&name) {
            return Err(Problem::new(
                word.position,
                format!("the column `{name}` is there already"),
                "expected another column",
                "leave one of them out",
            ));
        }
        columns.push(name);
    }
    for needed in NEEDED {
        if !columns.contains(needed) {
            return Err(Problem::new(
                head.position.end..head.position.end,
                format!("the column `{needed}` is missing"),
                format!("expected `{needed}` in this line"),
                HEAD,
            ));
        }
    }
    Ok(columns)
}

fn row(line: &Line, columns: &[&'static str], hosts: &Hosts) -> Result<Row, Problem> {
    if let Some(extra) = line.words.get(columns.len()) {
        return Err(Problem::new(
            extra.position,
            format!(
                "this case has {} cells, its table {} columns",
                line.words.len(),
                columns.len()
            ),
            "expected the end of the line",
            "quote what has blanks in it",
        ));
    }
    let mut expected = Vec::new();
    let (mut from, mut to, mut service) = (None, None, None);
    for (at, column) in columns.iter().enumerate() {
        let Some(word) = line.words.get(at) else {
            return Err(Problem::new(
                line.position.end..line.position.end,
                format!("this case ends before its column `{column}`"),
                format!("expected the {column}"),
                if NEEDED.contains(column) {
                    ""
                } else {
                    "write `-` where nothing is expected"
                },
            ));
        };
        if word.text == "-" && !NEEDED.contains(column) {
            continue;
        }
        let expectation = match *column {
            "from" => {
                from = Some(party(hosts, word)?);
                continue;
            }
            "to" => {
                to = Some(party(hosts, word)?);
                continue;
            }
            "service" => {
                service = Some(read_service(word)?);
                continue;
            }
            "verdict" => Expectation::Fate(fate(&word.text).ok_or_else(|| {
                let near = suggestion(&word.text, FATES.iter().copied());
                let remedy = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
                unexpected(word, &format!("expected a verdict: {}", FATES.join(", ")), &remedy)
            })?),
            "state" => Expectation::State(state(&word.text).ok_or_else(|| {
                unexpected(
                    word,
                    "expected NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED or none",
                    "",
                )
            })?),
            "by" => within(word, &format!("by {}", word.text.replace(':', " ")))?,
            "comment" => within(word, &format!("by comment '{}'", word.text.replace('\'', "'\\''")))?,
            _ => within(word, &format!("out {}", word.text))?,
        };
        expected.push((format!("{column} {}", word.text), expectation));
    }
    expected.sort_by_key(|(_, expectation)| !matches!(expectation, Expectation::Fate(_)));
    match (from, to, service) {
        (Some(from), Some(to), Some(service)) => Ok(Row {
            from,
            to,
            service,
            expected,
        }),
        _ => Err(Problem::new(line.position, "this case is not whole", "", "")),
    }
}

fn party(hosts: &Hosts, word: &Word) -> Result<Party, Problem> {
    let party = hosts.party(word, protocol::TCP)?;
    match party.port {
        None => Ok(party),
        Some(_) => Err(unexpected(
            word,
            "expected a host without a port",
            "the port stands in the column `service`",
        )),
    }
}

/// An expectation written within a cell.
fn within(word: &Word, text: &str) -> Result<Expectation, Problem> {
    let moved = |mut problem: Problem| {
        problem.position = word.position;
        problem
    };
    let lines = lex::lex(text).map_err(|error| moved(error.problem))?;
    let words = lines.first().map(|line| line.words.as_slice()).unwrap_or_default();
    Expectation::parse(&mut Words::new(words)).map_err(moved)
}

/// `tcp/80`, `udp/domain`, `icmp`, `gre`, `47`.
fn read_service(word: &Word) -> Result<Service, Problem> {
    let (name, port) = match word.text.split_once('/') {
        Some((name, port)) => (name, Some(port)),
        None => (word.text.as_str(), None),
    };
    let number = names::protocol_number(name)
        .or_else(|| name.parse().ok())
        .filter(|number| *number != 0);
    let wrong = |expected: &str, remedy: &str| unexpected(word, expected, remedy);
    let Some(number) = number else {
        let near = suggestion(name, ["tcp", "udp", "icmp"]).map(|near| format!("did you mean `{near}`?"));
        return Err(wrong(
            "expected a service such as tcp/80, udp/domain, icmp or gre",
            &near.unwrap_or_default(),
        ));
    };
    let has_ports = matches!(number, protocol::TCP | protocol::UDP);
    match port {
        None if has_ports => Err(wrong("expected a port after it", &format!("write it like {name}/80"))),
        Some(_) if !has_ports => Err(wrong("this protocol has no ports", &format!("write `{name}` alone"))),
        None => Ok(Service {
            protocol: number,
            port: 0,
        }),
        Some(port) => {
            let port = port.parse().ok().or_else(|| names::port_number(port, number));
            let port = port.ok_or_else(|| wrong("expected a port from 0 to 65535, or a service's name", ""))?;
            Ok(Service { protocol: number, port })
        }
    }
}

const COLUMNS: &[&str] = &["from", "to", "service", "verdict", "state", "by", "comment", "out"];
const NEEDED: &[&str] = &["from", "to", "service", "verdict"];
const HEAD: &str = "a table begins like `from to service verdict`";
