//! The files that a tool's call reads and writes. Whoever calls opens them, as the user and in the directory that it is: a lab gets bytes, and
//! opens nothing that somebody names to it.
//!
//! An applet says what a call needs by reading its arguments ([`Toolbox::needs`](super::machine::Toolbox)), with the same table of options by
//! which it runs. [`gather`] reads and opens that; the call then takes its files out of what was gathered, or what came with a request.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::bytes::{bytes_of, os_of};

/// What a call reads and writes beside its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// In the order in which the tool reads it.
    pub reads: Vec<Input>,
    /// Where its standard output goes instead: the last one gets it, and those before it are emptied, as the tool opens each.
    pub outputs: Vec<Output>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Stdin,
    File(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    /// What the tool says before the system's own words where the file cannot be opened.
    pub complaint: &'static str,
}

/// A file as its caller found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundFile {
    /// As the call names it.
    pub name: String,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Text(String),
    /// It could not be opened: what the system said.
    Refused(String),
}

/// The files that a call was given; each is taken once, in order where it is named twice.
#[derive(Debug, Default)]
pub struct Files(RefCell<Vec<FoundFile>>);

impl Files {
    pub fn new(found: Vec<FoundFile>) -> Self {
        Self(RefCell::new(found))
    }

    /// What a file holds, or why it can't be read.
    pub fn take(&self, name: &str) -> Result<String, String> {
        let mut found = self.0.borrow_mut();
        let Some(at) = found.iter().position(|file| file.name == name) else {
            return Err(NOT_BROUGHT.to_owned());
        };
        match found.remove(at).content {
            Content::Text(text) => Ok(text),
            Content::Refused(why) => Err(why),
        }
    }
}

impl Files {
    /// The same of a file that is read where it is there; `None` where the call does not bring it at all.
    pub fn take_if_brought(&self, name: &str) -> Option<Result<String, String>> {
        let is_brought = self.0.borrow().iter().any(|file| file.name == name);
        is_brought.then(|| self.take(name))
    }
}

/// Opens files in the name of whoever runs a lab. The lab is given one with its [`Toolbox`](super::machine::Toolbox), and reaches no file without.
pub trait Opener: Sync {
    /// A whole file that a script names.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// What a tool reads of a file: the outer error says that it can't be opened, the inner one that it is too much.
    fn open(&self, path: &Path) -> io::Result<Result<String, String>>;

    /// Begins a file that takes the place of what is there when it is whole.
    fn create(&self, path: &Path) -> io::Result<Box<dyn BegunFile>>;
}

/// A file that is not there before it is finished.
pub trait BegunFile: std::fmt::Debug {
    /// Writes all of it, and puts it in its place.
    fn finish(self: Box<Self>, contents: &[u8]) -> io::Result<()>;
}

/// For a lab that is to reach no file at all: every one is refused.
#[derive(Clone, Copy, Debug)]
pub struct OpensNothing;

impl Opener for OpensNothing {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(no_files())
    }

    fn open(&self, _: &Path) -> io::Result<Result<String, String>> {
        Err(no_files())
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn BegunFile>> {
        Err(no_files())
    }
}

fn no_files() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "this lab opens no files: give its text here, or take a lab whose toolbox opens them",
    )
}

/// Everything a call needs, read and opened.
#[derive(Debug, Default)]
pub struct Gathered {
    pub stdin: String,
    pub files: Vec<FoundFile>,
    /// What its standard output goes to instead.
    pub output: Option<OpenOutput>,
}

#[derive(Debug)]
pub struct OpenOutput {
    file: Box<dyn BegunFile>,
    name: String,
    /// Those that were named before it, which the tool only empties.
    emptied: Vec<Box<dyn BegunFile>>,
}

/// Reads and opens what a call needs, relative to a directory. A file that can't be read is found so and the tool has its say; an output that
/// can't be opened ends the call before it begins, with these words.
pub fn gather(
    opener: &dyn Opener,
    needs: &Needs,
    directory: &Path,
    stdin: impl FnOnce() -> String,
) -> Result<Gathered, String> {
    let mut gathered = Gathered::default();
    for output in &needs.outputs {
        match opener.create(&path(directory, &output.name)) {
            Ok(file) => {
                let emptied = gathered.output.take().map_or_else(Vec::new, OpenOutput::into_emptied);
                gathered.output = Some(OpenOutput {
                    file,
                    name: output.name.clone(),
                    emptied,
                });
            }
            Err(error) => return Err(format!("{}{}\n", output.complaint, said_by_system(&error))),
        }
    }
    let mut stdin = Some(stdin);
    for input in &needs.reads {
        match input {
            // What was read once is at its end.
            Input::Stdin => gathered.stdin += &stdin.take().map(|read| read()).unwrap_or_default(),
            Input::File(name) => gathered.files.push(FoundFile {
                name: name.clone(),
                content: content(opener, directory, name),
            }),
        }
    }
    Ok(gathered)
}

impl OpenOutput {
    /// Writes all of it, or says why not.
    pub fn write(self, text: &str) -> Result<(), String> {
        let emptied = self.emptied.into_iter().try_for_each(|file| file.finish(b""));
        let written = emptied.and_then(|()| self.file.finish(&bytes_of(text)));
        written.map_err(|error| format!("cannot write {}: {}", self.name, said_by_system(&error)))
    }

    fn into_emptied(self) -> Vec<Box<dyn BegunFile>> {
        let mut all = self.emptied;
        all.push(self.file);
        all
    }
}

/// The system's own words, without Rust's `(os error 2)`.
pub fn said_by_system(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn content(opener: &dyn Opener, directory: &Path, name: &str) -> Content {
    let read = opener
        .open(&path(directory, name))
        .map_err(|error| said_by_system(&error))
        .and_then(|text| text);
    match read {
        Ok(text) => Content::Text(text),
        Err(why) => Content::Refused(why),
    }
}

fn path(directory: &Path, name: &str) -> PathBuf {
    match name.is_empty() {
        // Joined, it would be the directory.
        true => PathBuf::new(),
        false => directory.join(os_of(name)),
    }
}

const NOT_BROUGHT: &str =
    "the request does not bring this file, and a lab opens none: who asks sends what it holds, under \"files\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_once_and_in_order() {
        let file = |name: &str, text: &str| FoundFile {
            name: name.into(),
            content: Content::Text(text.into()),
        };
        let files = Files::new(vec![file("a", "1"), file("b", "2"), file("a", "3")]);
        assert_eq!(files.take("a").unwrap(), "1");
        assert_eq!(files.take("a").unwrap(), "3");
        assert_eq!(files.take("b").unwrap(), "2");
        assert!(files.take("a").unwrap_err().contains("a lab opens none"));
    }

    #[test]
    fn a_lab_without_files_refuses_them() {
        let needs = Needs {
            reads: vec![Input::File("rules".into())],
            outputs: Vec::new(),
        };
        let gathered = gather(&OpensNothing, &needs, Path::new("/"), String::new).unwrap();
        assert!(matches!(&gathered.files[0].content, Content::Refused(why) if why.contains("opens no files")));
        let needs = Needs {
            reads: Vec::new(),
            outputs: vec![Output {
                name: "out".into(),
                complaint: "Failed: ",
            }],
        };
        let complaint = gather(&OpensNothing, &needs, Path::new("/"), String::new).unwrap_err();
        assert!(complaint.starts_with("Failed: this lab opens no files"), "{complaint}");
    }
}
