//! From a test file to a suite. Everything it names is read here, so that nothing runs if anything cannot be read.

mod outside;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nom::{Err, Parser};

use super::Reader;
use super::fault::{Faults, Text, Unreadable};
use super::items::{BLOCKS, Files, Item, alone, gather, plain, unreadable};
use super::rules::Ruleset;
use super::table::{self, Row};
use crate::base::Family;
use crate::base::bytes::text_of_path;
use crate::lab::conversation::Hosts;
use crate::lab::file::LabFile;
use crate::lab::machine::{Profile, Toolbox};
use crate::lab::memory::Lab;
use crate::lab::script::{Input, Kind, Line, Statement, parse_line};
use crate::syntax::problem::{Position, Problem};
use crate::syntax::words::{self, Words};

/// What a command line may say instead of the test file.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Tests run under these rules, and not under the ones that the file names.
    pub rules: Vec<PathBuf>,
    /// The same of IPv6: beside each of the others.
    pub rules6: Vec<PathBuf>,
    /// Instead of the file's; what is random in a lab follows from it.
    pub seed: Option<u64>,
    /// The labs as this machine, whatever their files say.
    pub profile: Option<Profile>,
}

/// A test file, read whole: ready to be run as often as one likes.
#[derive(Debug)]
pub struct Suite {
    /// The test file, as it was named.
    pub path: PathBuf,
    /// In the order of the file; of a table, each row is one.
    pub tests: Vec<Test>,
    /// One at least; without rules of its own where the file names none.
    pub rulesets: Vec<Ruleset>,
    /// What is random in its labs follows from it.
    pub seed: u64,
    /// Every file that was read, or looked for.
    pub files: Vec<PathBuf>,
    /// What has no effect yet, and what tools warned of.
    pub notes: Vec<String>,
    pub(super) lab: LabFile,
    pub(super) setup: Vec<Step>,
    pub(super) directory: PathBuf,
    pub(super) toolbox: Toolbox,
}

impl Suite {
    /// All commands of its setup and its tests.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Statement> {
        let tests = self.tests.iter().flat_map(|test| match &test.body {
            Body::Steps(steps) => &steps[..],
            Body::Row(..) => &[],
        });
        self.setup.iter().chain(tests).map(|step| &step.statement)
    }
}

/// One test as it is written.
#[derive(Debug)]
pub struct Test {
    /// As the file calls it; of a table's row, what it says.
    pub name: String,
    /// Where it is written, which may be an included file.
    pub file: String,
    /// From 1, as the column.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Steps(Vec<Step>),
    Row(Box<Row>, Spot),
}

/// A command and where it stands.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) statement: Statement,
    pub(super) spot: Spot,
}

#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) file: Arc<Text>,
    pub(super) line: usize,
    pub(super) column: usize,
    /// The line as it is written.
    pub(super) shown: String,
}

impl Spot {
    fn of(text: &Arc<Text>, line: &Line) -> Self {
        let (number, column) = text.line_and_column(line.position.start);
        Self {
            file: Arc::clone(text),
            line: number,
            column,
            shown: text.shown(line.position).to_owned(),
        }
    }
}

/// Reads a test file with everything that it names. The toolbox is the tools that tests may call, `nflab::cli::TOOLBOX`.
pub fn read(path: &Path, reader: &mut Reader<'_>, toolbox: Toolbox, choice: &Choice) -> Result<Suite, Unreadable> {
    let mut files = Files::new(reader);
    let mut faults = Faults::default();
    let path = plain(path);
    let items = gather(&path, &mut files, &mut faults);
    let suite = Gathering {
        toolbox,
        files,
        faults,
        hosts: Hosts::default(),
        lab: None,
        seed: choice.seed,
        seed_is_said: false,
        rules: Vec::new(),
        setup: Vec::new(),
        tests: Vec::new(),
        names: HashMap::new(),
    };
    suite.all(&path, items, choice)
}

struct Gathering<'a, 'b> {
    toolbox: Toolbox,
    files: Files<'a, 'b>,
    faults: Faults,
    hosts: Hosts,
    lab: Option<LabFile>,
    seed: Option<u64>,
    seed_is_said: bool,
    rules: Vec<RulesText>,
    setup: Vec<Step>,
    tests: Vec<Test>,
    /// The line of each name that a test has.
    names: HashMap<String, (String, usize)>,
}

/// Rules of one family as they are written.
#[derive(Clone)]
struct RulesText {
    family: Family,
    name: String,
    /// By the file: then IPv6's are for the ruleset of that name alone.
    named: Option<(Arc<Text>, Position)>,
    text: Arc<Text>,
    directory: PathBuf,
}

impl Gathering<'_, '_> {
    fn all(mut self, path: &Path, items: Vec<Item>, choice: &Choice) -> Result<Suite, Unreadable> {
        // The lab first, because it names hosts; then hosts, because all else calls them so.
        let is = |item: &Item, word: &str| item.head.keyword() == word;
        for item in items.iter().filter(|item| is(item, "lab")) {
            self.read_lab(item);
        }
        let lab = match self.lab.take() {
            Some(lab) => Some(lab),
            None => self.lab_beside(path),
        };
        let lab = match choice.profile {
            Some(profile) => lab.map(|lab| lab.as_profile(profile)),
            None => lab,
        };
        let default = match &lab {
            None => Lab::default_file().ok(),
            Some(_) => None,
        };
        if let Some(lab) = lab.as_ref().or(default.as_ref()) {
            self.hosts = Hosts::of_lab(lab);
        }
        for item in items.iter().filter(|item| is(item, "host")) {
            if let Err(problem) = parse_line(item.head.clone(), self.toolbox, &mut self.hosts) {
                self.faults.add(&item.text, problem);
            }
        }
        self.check_hosts(&items, lab.as_ref());
        let count = items.len();
        for item in items.iter().filter(|item| !BLOCKS.contains(&item.head.keyword())) {
            self.single(item, choice);
        }
        let (setups, others): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| is(item, "setup"));
        let mut setup_hosts = self.hosts.clone();
        for item in setups {
            if let Err(problem) = alone(&item.head) {
                self.faults.add(&item.text, problem);
            }
            let steps = self.steps(&item.text, &item.directory, item.body, &mut setup_hosts);
            self.setup.extend(steps);
        }
        self.hosts = setup_hosts;
        for item in others {
            match item.head.keyword() {
                "test" => self.test(item),
                "table" => self.table(item),
                _ => {}
            }
        }
        let chosen = choice.rules.iter().map(|path| (Family::V4, path));
        for (family, path) in chosen.chain(choice.rules6.iter().map(|path| (Family::V6, path))) {
            let name = text_of_path(path);
            match self.files.text(path) {
                Ok(text) => self.rules.push(RulesText {
                    family,
                    named: None,
                    text: Text::new(name.clone(), text),
                    name,
                    directory: super::items::directory_of(path),
                }),
                Err(why) => {
                    let problem = Problem::new(0..0, format!("cannot read the rules {name}: {why}"), "", "");
                    self.faults.add(&Text::new(name, String::new()), problem);
                }
            }
        }
        if self.tests.is_empty() && count > 0 && self.faults.is_empty() {
            let name = text_of_path(path);
            let problem = Problem::new(
                0..0,
                format!("{name} has no test"),
                "",
                "write `test \"NAME\"`, commands and expectations, and `end`; or a `table`",
            );
            self.faults.add(&Text::new(name, String::new()), problem);
        } else if count == 0 && self.faults.is_empty() {
            let name = text_of_path(path);
            let problem = Problem::new(
                0..0,
                format!("{name} is empty"),
                "",
                "docs/testing-rulesets.md shows a test file",
            );
            self.faults.add(&Text::new(name, String::new()), problem);
        }
        if self.faults.is_empty() {
            self.name_their_ruleset();
        }
        let mut rulesets = Vec::new();
        if let Some(lab) = &lab {
            if let Err(error) = Lab::new(lab, 1, self.toolbox) {
                self.faults.add_error(error);
            } else {
                for (name, parts) in together(std::mem::take(&mut self.rules)) {
                    let parts: Vec<_> = parts
                        .iter()
                        .map(|part| (part.family, &part.text, &*part.directory))
                        .collect();
                    match Ruleset::parse(name, &parts, lab, self.toolbox) {
                        Ok(ruleset) => rulesets.push(ruleset),
                        Err(error) => self.faults.add_error(error),
                    }
                }
            }
        }
        self.faults.settle()?;
        if rulesets.is_empty() {
            rulesets.push(Ruleset::empty());
        }
        let lab = lab.unwrap_or_default();
        let notes = rulesets.iter().flat_map(|it| it.notes.iter().cloned()).collect();
        Ok(Suite {
            path: path.to_path_buf(),
            tests: self.tests,
            rulesets,
            seed: self.seed.unwrap_or(1),
            files: self.files.all(),
            notes,
            lab,
            setup: self.setup,
            directory: super::items::directory_of(path),
            toolbox: self.toolbox,
        })
    }

    /// Rules of IPv6 for a ruleset that is not there would make one by themselves, with IPv4 open.
    fn name_their_ruleset(&mut self) {
        let (first, second): (Vec<_>, Vec<_>) = self.rules.iter().partition(|it| it.family == Family::V4);
        let names: Vec<String> = first.iter().map(|it| format!("`{}`", it.name)).collect();
        if names.is_empty() {
            return;
        }
        for it in second {
            let Some((text, position)) = &it.named else { continue };
            if first.iter().any(|other| other.name == it.name) {
                continue;
            }
            let problem = Problem::new(
                *position,
                format!(
                    "no `rules` line is called `{}`, and IPv4 would be open under these rules of IPv6",
                    it.name
                ),
                format!("expected {}", names.join(" or ")),
                format!(
                    "name one of those, write `rules FILE as {0}` too, or leave `as {0}` out: then they stand beside each",
                    it.name
                ),
            );
            self.faults.add(text, problem);
        }
    }

    fn steps(&mut self, text: &Arc<Text>, directory: &Path, lines: Vec<Line>, hosts: &mut Hosts) -> Vec<Step> {
        let mut steps = Vec::with_capacity(lines.len());
        for mut line in lines {
            // What a tool reads is read now: nothing runs if it isn't there.
            if let Input::File(word) = &line.input {
                let path = plain(&directory.join(&word.text));
                match self.files.text(&path) {
                    Ok(content) => line.input = Input::Here(content),
                    Err(why) => {
                        let problem = unreadable(word.position, &path, &why, "a file that is there");
                        self.faults.add(text, problem);
                        continue;
                    }
                }
            }
            let spot = Spot::of(text, &line);
            match parse_line(line, self.toolbox, hosts) {
                Ok(Statement { kind: Kind::Host, .. }) => {}
                Ok(statement) => steps.push(Step { statement, spot }),
                Err(problem) => self.faults.add(text, problem),
            }
        }
        steps
    }

    /// The name of a block; what is wrong goes to the faults.
    fn name(&mut self, item: &Item) -> Option<String> {
        let head = &item.head;
        let name = head.arguments().read(block_name(head.keyword()));
        match name.and_then(|name| head.without_input(&format!("`{}`", head.keyword())).map(|()| name)) {
            Ok(name) => Some(name),
            Err(problem) => {
                self.faults.add(&item.text, problem);
                None
            }
        }
    }

    fn test(&mut self, item: Item) {
        let name = self.name(&item);
        let spot = Spot::of(&item.text, &item.head);
        let mut hosts = self.hosts.clone();
        let empty = item.body.is_empty();
        let steps = self.steps(&item.text, &item.directory, item.body, &mut hosts);
        if empty {
            self.faults.add(
                &item.text,
                Problem::new(
                    item.head.position,
                    "this test does nothing",
                    "expected commands and expectations below it",
                    "write some, or remove it",
                ),
            );
        }
        if let Some(name) = name {
            self.add(&item.text, item.head.position, name, spot, Body::Steps(steps));
        }
    }

    fn table(&mut self, mut item: Item) {
        let name = self.name(&item);
        let hosts = self.hosts.clone();
        let cases = table::cases(&mut item, &hosts, &mut self.faults);
        let Some(name) = name else { return };
        for case in cases {
            let spot = Spot::of(&item.text, &case.line);
            let body = Body::Row(Box::new(case.row), spot.clone());
            let name = format!("{name}: {}", case.name);
            self.add(&item.text, case.line.position, name, spot, body);
        }
    }

    fn add(&mut self, text: &Arc<Text>, position: Position, name: String, spot: Spot, body: Body) {
        let place = (text.source.name.clone(), spot.line);
        if let Some((file, line)) = self.names.insert(name.clone(), place) {
            let problem = Problem::new(
                position,
                format!("`{name}` is tested already, at {file}:{line}"),
                "expected another name or case",
                "give each its own, so that a report can tell them apart",
            );
            return self.faults.add(text, problem);
        }
        self.tests.push(Test {
            name,
            file: text.source.name.clone(),
            line: spot.line,
            column: spot.column,
            body,
        });
    }
}

/// Each ruleset's name with the texts of its families. What is IPv6's and has no name of its own stands beside each of IPv4's.
fn together(texts: Vec<RulesText>) -> Vec<(String, Vec<RulesText>)> {
    let (first, second): (Vec<_>, Vec<_>) = texts.into_iter().partition(|text| text.family == Family::V4);
    let mut rulesets: Vec<(String, Vec<RulesText>)> =
        first.into_iter().map(|text| (text.name.clone(), vec![text])).collect();
    let has_first = !rulesets.is_empty();
    for text in second {
        let mut is_there = false;
        for (_, parts) in rulesets
            .iter_mut()
            .filter(|(name, _)| has_first && (text.named.is_none() || *name == text.name))
        {
            parts.push(text.clone());
            is_there = true;
        }
        if !is_there {
            rulesets.push((text.name.clone(), vec![text]));
        }
    }
    rulesets
}

/// What a block is called: one line of text, and nothing behind it.
fn block_name<'a>(block: &str) -> impl Parser<Words<'a>, Output = String, Error = Problem> {
    let wrong = move |position: Position, message: String, expected: &str| {
        let remedy = format!("write it in quotes, like `{block} \"the web is open\"`");
        Problem::new(position, message, expected, remedy)
    };
    move |words: Words<'a>| {
        let missing = |end| wrong(end, format!("this `{block}` has no name"), "expected its name");
        let (left, name) = words::word_or(missing).parse(words)?;
        if name.text.is_empty() || name.text.contains('\n') {
            let problem = wrong(name.position, "this is no name".to_owned(), "expected a line of text");
            return Err(Err::Failure(problem));
        }
        match left.peek() {
            None => Ok((left, name.text.clone())),
            Some(extra) => {
                let message = format!("`{}` is not understood here", extra.text);
                Err(Err::Failure(wrong(
                    extra.position,
                    message,
                    "expected the end of the line",
                )))
            }
        }
    }
}
