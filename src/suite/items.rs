//! From a test file to its items: single lines, and blocks up to their `end`; other files' in the place of `include`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nom::sequence::terminated;

use super::Reader;
use super::fault::{Faults, Text};
use crate::base::bytes::text_of_path;
use crate::lab::script::{Input, Line, lex};
use crate::syntax::problem::{Position, Problem};
use crate::syntax::words;

/// One line outside of blocks, or a block.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) text: Arc<Text>,
    /// Files that it names are relative to this.
    pub(super) directory: PathBuf,
    pub(super) head: Line,
    /// Of a block.
    pub(super) body: Vec<Line>,
}

/// Reads files, and remembers which.
pub(super) struct Files<'a, 'b> {
    reader: &'a mut Reader<'b>,
    /// In the order in which they were read first.
    read: Vec<PathBuf>,
    known: HashSet<PathBuf>,
    /// How often `include` stood anywhere, and how many bytes came of it.
    includes: usize,
    included: usize,
    is_over: bool,
}

impl<'a, 'b> Files<'a, 'b> {
    pub(super) fn new(reader: &'a mut Reader<'b>) -> Self {
        Self {
            reader,
            read: Vec::new(),
            known: HashSet::new(),
            includes: 0,
            included: 0,
            is_over: false,
        }
    }

    pub(super) fn note(&mut self, path: &Path) {
        if self.known.insert(path.to_path_buf()) {
            self.read.push(path.to_path_buf());
        }
    }

    /// Every file that was read, or looked for.
    pub(super) fn all(self) -> Vec<PathBuf> {
        self.read
    }

    /// A file that may not be there, and says nothing if it isn't.
    pub(super) fn maybe(&mut self, path: &Path) -> std::io::Result<String> {
        (self.reader)(path)
    }

    /// A file's text; a reason without its name where it can't be read.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, String> {
        let path = plain(path);
        self.note(&path);
        (self.reader)(&path).map_err(|error| {
            let text = error.to_string();
            match text.find(" (os error ") {
                Some(at) => text[..at].to_owned(),
                None => text,
            }
        })
    }
}

/// The words that begin a block.
pub(super) const BLOCKS: &[&str] = &["setup", "test", "table"];

/// All items of a file, in order.
pub(super) fn gather(path: &Path, files: &mut Files<'_, '_>, faults: &mut Faults) -> Vec<Item> {
    let mut items = Vec::new();
    let name = text_of_path(path);
    match files.text(path) {
        Ok(text) => {
            let text = Text::new(name, text);
            gather_text(&text, &mut vec![plain(path)], files, faults, &mut items);
        }
        Err(why) => {
            let problem = Problem::new(
                0..0,
                format!("cannot read the test file {name}: {why}"),
                "",
                "give a file, or a directory with files *.test.nflab",
            );
            faults.add(&Text::new(name, String::new()), problem);
        }
    }
    items
}

fn gather_text(
    text: &Arc<Text>,
    open: &mut Vec<PathBuf>,
    files: &mut Files<'_, '_>,
    faults: &mut Faults,
    items: &mut Vec<Item>,
) {
    let lines = match lex::lex(&text.source.text) {
        Ok(lines) => lines,
        Err(error) => return faults.add(text, error.problem),
    };
    let directory = directory_of(open.last().map_or(Path::new("."), PathBuf::as_path));
    let mut block: Option<Item> = None;
    for line in lines {
        let word = line.keyword().to_owned();
        if let Some(item) = &mut block {
            match word.as_str() {
                "end" => {
                    if let Err(problem) = alone(&line) {
                        faults.add(text, problem);
                    }
                    items.extend(block.take());
                    continue;
                }
                word if BLOCKS.contains(&word) => {
                    let (at, _) = text.line_and_column(line.position.start);
                    faults.add(text, never_closed(item, &format!("line {at} begins something new")));
                    items.extend(block.take());
                }
                _ => {
                    item.body.push(line);
                    continue;
                }
            }
        }
        if word == "include" {
            include(text, &directory, &line, open, files, faults, items);
            continue;
        }
        if word == "end" {
            faults.add(
                text,
                Problem::new(
                    line.position,
                    "this `end` closes nothing",
                    "no block is open here",
                    "remove it, or begin the block with setup, test or table",
                ),
            );
            continue;
        }
        let is_block = BLOCKS.contains(&word.as_str());
        let item = Item {
            text: Arc::clone(text),
            directory: directory.clone(),
            head: line,
            body: Vec::new(),
        };
        if is_block {
            block = Some(item);
        } else {
            items.push(item);
        }
    }
    if let Some(item) = block {
        faults.add(text, never_closed(&item, "the file ends"));
    }
}

fn include(
    text: &Arc<Text>,
    directory: &Path,
    line: &Line,
    open: &mut Vec<PathBuf>,
    files: &mut Files<'_, '_>,
    faults: &mut Faults,
    items: &mut Vec<Item>,
) {
    let one = line.arguments().read(terminated(words::anything, words::end("")));
    let (Ok(name), Input::None) = (one, &line.input) else {
        let problem = Problem::new(
            line.position,
            "`include` takes one file",
            "expected a file's name",
            "write it like `include hosts.nflab`",
        );
        return faults.add(text, problem);
    };
    let path = plain(&directory.join(&name.text));
    if open.contains(&path) {
        let way: Vec<String> = open.iter().chain([&path]).map(|it| text_of_path(it)).collect();
        let problem = Problem::new(
            name.position,
            format!("this file includes itself: {}", way.join(" -> ")),
            "expected a file that is not being read",
            "move what both need into a third file",
        );
        return faults.add(text, problem);
    }
    files.includes += 1;
    if let Some(bound) = bound(files, open.len()) {
        // Said once: whatever comes behind it would be over the bound too.
        if !files.is_over {
            files.is_over = true;
            faults.add(text, over_bound(name.position, bound));
        }
        return;
    }
    match files.text(&path) {
        Ok(content) => {
            files.included += content.len();
            let included = Text::new(text_of_path(&path), content);
            open.push(path);
            gather_text(&included, open, files, faults, items);
            open.pop();
        }
        Err(why) => faults.add(text, unreadable(name.position, &path, &why, "a file to include")),
    }
}

/// The bound that is passed. Files that include one another twice would be read once for each way that leads to them.
fn bound(files: &Files<'_, '_>, depth: usize) -> Option<String> {
    if files.is_over || files.includes > MOST_INCLUDES {
        Some(format!("more than {MOST_INCLUDES} times `include`"))
    } else if depth > DEEPEST {
        Some(format!("files that include one another more than {DEEPEST} deep"))
    } else if files.included > MOST_BYTES {
        Some(format!("more than {} MB of included files", MOST_BYTES >> 20))
    } else {
        None
    }
}

fn over_bound(position: Position, bound: String) -> Problem {
    Problem::new(
        position,
        bound,
        "expected fewer, counted each time that a file is included",
        "include a file once, from the test file itself",
    )
}

/// The directory that names in a file are relative to.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// `./a/../b` is `b`: so messages are short, and a file is known again.
pub(crate) fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut made = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(made.components().next_back(), Some(Component::Normal(_))) => {
                made.pop();
            }
            part => made.push(part),
        }
    }
    // The directory that everything else is in has a name, too.
    if made.as_os_str().is_empty() {
        made.push(".");
    }
    made
}

pub(super) fn unreadable(position: Position, path: &Path, why: &str, what: &str) -> Problem {
    Problem::new(
        position,
        format!("cannot read {}: {why}", text_of_path(path)),
        format!("expected {what}"),
        "names of files are relative to the file they stand in",
    )
}

fn never_closed(item: &Item, before: &str) -> Problem {
    Problem::new(
        item.head.position,
        format!("this `{}` is never closed", item.head.keyword()),
        format!("no `end` comes before {before}"),
        "write `end` alone on a line below its last command",
    )
}

/// Refuses whatever stands beside a word that says all by itself.
pub(super) fn alone(line: &Line) -> Result<(), Problem> {
    line.arguments().read(words::end("expected the end of the line"))?;
    line.without_input(&format!("`{}`", line.keyword()))
}

const MOST_INCLUDES: usize = 10_000;
const DEEPEST: usize = 50;
const MOST_BYTES: usize = 64 << 20;
