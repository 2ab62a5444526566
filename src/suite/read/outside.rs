//! The lines of a test file that stand outside of its blocks: the lab, hosts, the seed, rules.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, not, opt};
use nom::sequence::{preceded, terminated};

use super::{Choice, Gathering, RulesText};
use crate::base::Family;
use crate::base::bytes::text_of_path;
use crate::lab::file::LabFile;
use crate::lab::memory::Lab;
use crate::lab::script::{Input, OWN_WORDS};
use crate::suite::FILE_WORDS;
use crate::suite::fault::Text;
use crate::suite::items::{Files, Item, plain, unreadable};
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Word, Words};

impl Gathering<'_, '_> {
    pub(super) fn read_lab(&mut self, item: &Item) {
        if self.lab.is_some() {
            let problem = Problem::new(
                item.head.position,
                "the lab is described twice",
                "expected one `lab` in all",
                "remove one of them",
            );
            return self.faults.add(&item.text, problem);
        }
        let file = item
            .head
            .arguments()
            .read(terminated(opt(words::anything), words::end("")));
        let parsed = match (file, &item.head.input) {
            (Ok(None), Input::Here(text)) => {
                // As many empty lines before it as the file has, so that messages name the file's own lines.
                let (line, _) = item.text.line_and_column(item.head.position.start);
                let padded = format!("{}{text}", "\n".repeat(line));
                LabFile::parse(&item.text.source.name, &padded)
            }
            (Ok(Some(name)), Input::None) => {
                let path = plain(&item.directory.join(&name.text));
                match self.files.text(&path) {
                    Ok(text) => LabFile::parse(&text_of_path(&path), &text),
                    Err(why) => {
                        return self
                            .faults
                            .add(&item.text, unreadable(name.position, &path, &why, "a lab file"));
                    }
                }
            }
            _ => {
                let problem = Problem::new(
                    item.head.position,
                    "`lab` takes one file, or a here-document",
                    "expected a lab file's name",
                    "write it like `lab lab.toml`, or `lab <<EOF`, the lab, and `EOF`",
                );
                return self.faults.add(&item.text, problem);
            }
        };
        match parsed {
            Ok(lab) => self.lab = Some(lab),
            Err(error) => self.faults.add_error(error),
        }
    }

    /// `lab.toml` beside the test file, or the default.
    pub(super) fn lab_beside(&mut self, path: &Path) -> Option<LabFile> {
        let beside = plain(&crate::suite::items::directory_of(path).join("lab.toml"));
        let missing = |files: &mut Files<'_, '_>| match files.maybe(&beside) {
            Ok(text) => Some(Ok(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(Err(error.to_string())),
        };
        let parsed = match missing(&mut self.files) {
            None => Lab::default_file(),
            Some(Ok(text)) => {
                self.files.note(&beside);
                LabFile::parse(&text_of_path(&beside), &text)
            }
            Some(Err(why)) => {
                let name = text_of_path(&beside);
                let problem = Problem::new(0..0, format!("cannot read the lab file {name}: {why}"), "", "");
                self.faults.add(&Text::new(name, String::new()), problem);
                return None;
            }
        };
        match parsed {
            Ok(lab) => Some(lab),
            Err(error) => {
                self.faults.add_error(error);
                None
            }
        }
    }

    /// A host may not be called as an interface is: `send NAME` would mean two things. And it has to be on one that is there.
    pub(super) fn check_hosts(&mut self, items: &[Item], lab: Option<&LabFile>) {
        let Some(lab) = lab else { return };
        for item in items.iter().filter(|item| item.head.keyword() == "host") {
            let mut words = item.head.arguments().read_all().iter();
            let name = words.next();
            let interface = words.find(|word| atom::ip_address(&word.text).is_none());
            if let Some(name) = name.filter(|word| lab.interface(&word.text).is_some()) {
                let problem = Problem::new(
                    name.position,
                    format!("`{}` is an interface of the lab", name.text),
                    "expected another name",
                    "choose one that is no interface's",
                );
                self.faults.add(&item.text, problem);
            }
            if let Some(interface) = interface.filter(|it| it.text != crate::lab::memory::LOCAL) {
                self.check_interface(&item.text, interface, lab);
            }
        }
    }

    fn check_interface(&mut self, text: &Arc<Text>, word: &Word, lab: &LabFile) {
        if lab.interface(&word.text).is_some() {
            return;
        }
        let names: Vec<&str> = lab.interfaces.iter().map(|it| it.name.as_str()).collect();
        let remedy = match suggestion(&word.text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}, and `local`", names.join(", ")),
        };
        let problem = Problem::new(
            word.position,
            format!("the lab has no interface `{}`", word.text),
            "expected an interface's name",
            remedy,
        );
        self.faults.add(text, problem);
    }

    /// A line outside of blocks.
    pub(super) fn single(&mut self, item: &Item, choice: &Choice) {
        let head = &item.head;
        match head.keyword() {
            "lab" | "host" => {}
            "seed" => match head.arguments().read(number_alone) {
                Ok(number) if !self.seed_is_said && head.input == Input::None => {
                    self.seed_is_said = true;
                    self.seed = self.seed.or(Some(number));
                }
                _ => self.faults.add(
                    &item.text,
                    Problem::new(
                        head.position,
                        "`seed` takes one number, once",
                        "expected a number",
                        "write it like `seed 7`",
                    ),
                ),
            },
            "rules" => self.rules(item, choice, Family::V4),
            "rules6" => self.rules(item, choice, Family::V6),
            word => {
                let is_command = self.toolbox.find(word).is_some() || OWN_WORDS.iter().any(|own| own.name == word);
                let known = FILE_WORDS.iter().map(|(name, ..)| *name).chain(["end"]);
                let remedy = match suggestion(word, known) {
                    Some(near) if !is_command => format!("did you mean `{near}`?"),
                    _ if is_command => "put it between `test \"NAME\"` and `end`, or into `setup`".to_owned(),
                    _ => "outside of tests stand lab, rules, host, seed, setup, test, table and include".to_owned(),
                };
                let message = if is_command {
                    format!("`{word}` stands outside of a test")
                } else {
                    format!("`{word}` is no word of a test file")
                };
                self.faults.add(
                    &item.text,
                    Problem::new(
                        head.words[0].position,
                        message,
                        "expected the beginning of a block",
                        remedy,
                    ),
                );
            }
        }
    }

    fn rules(&mut self, item: &Item, choice: &Choice, family: Family) {
        if !choice.rules.is_empty() || !choice.rules6.is_empty() {
            return;
        }
        let word = item.head.keyword();
        let (file, name) = match file_and_name(item.head.arguments()) {
            Ok(found) => found,
            Err(problem) => return self.faults.add(&item.text, problem),
        };
        let (called, text, directory) = match (file, &item.head.input) {
            (Some(file), Input::None) => {
                let path = plain(&item.directory.join(&file.text));
                match self.files.text(&path) {
                    Ok(text) => {
                        let text = Text::new(text_of_path(&path), text);
                        (file.text.clone(), text, crate::suite::items::directory_of(&path))
                    }
                    Err(why) => {
                        return self
                            .faults
                            .add(&item.text, unreadable(file.position, &path, &why, "a file of rules"));
                    }
                }
            }
            (None, Input::Here(text)) => {
                // As with a lab: its lines keep their numbers, as comments where it is no rule.
                let (line, _) = item.text.line_and_column(item.head.position.start);
                let padded = format!("{}{text}", "\n".repeat(line));
                let text = Text::new(item.text.source.name.clone(), padded);
                ("rules".to_owned(), text, item.directory.clone())
            }
            _ => {
                return self.faults.add(
                    &item.text,
                    Problem::new(
                        item.head.position,
                        format!("`{word}` takes one file, or a here-document"),
                        "expected a file's name",
                        match family {
                            Family::V4 => "write it like `rules rules.v4`, or `rules <<EOF`, the rules, and `EOF`",
                            Family::V6 => "write it like `rules6 rules.v6`, or `rules6 <<EOF`, the rules, and `EOF`",
                        },
                    ),
                );
            }
        };
        let source = RulesText {
            family,
            name: name.map_or(called, |word| word.text.clone()),
            named: name.map(|word| (Arc::clone(&item.text), word.position)),
            text,
            directory,
        };
        let there = |known: &RulesText| known.family == family && known.name == source.name;
        if self.rules.iter().any(there) {
            return self.faults.add(
                &item.text,
                Problem::new(
                    item.head.position,
                    format!("rules called `{}` are there already", source.name),
                    "expected another name",
                    format!("give them one: `{word} FILE as NAME`"),
                ),
            );
        }
        self.rules.push(source);
    }
}

fn number_alone(words: Words<'_>) -> words::Read<'_, u64> {
    terminated(words::made(atom::number), words::end("expected one number")).parse(words)
}

/// `[FILE] [as NAME]`
fn file_and_name(mut rest: Words<'_>) -> Result<(Option<&Word>, Option<&Word>), Problem> {
    let called = || preceded(words::fitting(|word| word.text == "as"), words::anything);
    let without_file = map(terminated(called(), not(words::anything)), |name| (None, Some(name)));
    let found = rest.read(alt((without_file, (opt(words::anything), opt(called())))))?;
    match rest.peek() {
        None => Ok(found),
        Some(extra) => Err(Problem::new(
            extra.position,
            format!("`{}` is not understood here", extra.text),
            "expected `as NAME`, or the end of the line",
            "several rulesets are several lines `rules FILE`, and their IPv6 side is a line `rules6 FILE`",
        )),
    }
}
