//! The files that a tool's call reads and writes. Whoever calls opens them, as the user and in the directory that it is: a lab gets bytes, and
//! opens nothing that somebody names to it.
//!
//! An applet says what a call needs by reading its arguments ([`Toolbox::needs`](super::machine::Toolbox)), with the same table of options by
//! which it runs. [`gather`] reads and opens that; the call then takes its files out of what was gathered, or what came with a request.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::control::LONGEST_LINE;
use crate::base::bytes::{bytes_of, os_of, text_from};
use crate::device::result_file::ResultFile;

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
    file: ResultFile,
    name: String,
    /// Those that were named before it, which the tool only empties.
    emptied: Vec<ResultFile>,
}

/// Reads and opens what a call needs, relative to a directory. A file that can't be read is found so and the tool has its say; an output that
/// can't be opened ends the call before it begins, with these words.
pub fn gather(needs: &Needs, directory: &Path, stdin: impl FnOnce() -> String) -> Result<Gathered, String> {
    let mut gathered = Gathered::default();
    for output in &needs.outputs {
        match create(directory, &output.name) {
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
                content: content(directory, name),
            }),
        }
    }
    Ok(gathered)
}

/// All that there is to read. The tools take what can't be read (a directory, a descriptor that is closed) for the end of the text.
pub fn read_text(source: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut source = source.take(LONGEST_LINE as u64 + 1);
    let _ = source.read_to_end(&mut bytes);
    if bytes.len() > LONGEST_LINE {
        return Err(format!(
            "it has more than the {} MB that a lab takes",
            LONGEST_LINE >> 20
        ));
    }
    Ok(text_from(bytes))
}

/// A whole file as text, whatever its bytes are.
pub fn read_file(path: &Path) -> io::Result<String> {
    read_bytes(path).map(text_from)
}

/// A whole file. Every text that a command reads whole is read by this or by [`read_whole`], since some have no end (`/dev/zero`).
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    read_whole(fs::File::open(path)?)
}

/// All that there is to read, within the bound of a text.
pub fn read_whole(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST_TEXT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST_TEXT {
        return Err(too_large());
    }
    Ok(bytes)
}

/// What is said of a text beyond the bound.
pub fn too_large() -> io::Error {
    let text = format!(
        "it has more than the {} MB that nflab takes of one text; give it in parts, or what was meant",
        LARGEST_TEXT >> 20
    );
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// What a lab takes in one request.
pub const LARGEST_TEXT: usize = LONGEST_LINE;

impl OpenOutput {
    /// Writes all of it, or says why not.
    pub fn write(mut self, text: &str) -> Result<(), String> {
        let emptied = self.emptied.into_iter().try_for_each(ResultFile::keep);
        let written = emptied
            .and_then(|()| self.file.write_all(&bytes_of(text)))
            .and_then(|()| self.file.keep());
        written.map_err(|error| format!("cannot write {}: {}", self.name, said_by_system(&error)))
    }

    fn into_emptied(self) -> Vec<ResultFile> {
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

fn content(directory: &Path, name: &str) -> Content {
    let read = open(directory, name)
        .map_err(|error| said_by_system(&error))
        .and_then(read_text);
    match read {
        Ok(text) => Content::Text(text),
        Err(why) => Content::Refused(why),
    }
}

fn open(directory: &Path, name: &str) -> io::Result<fs::File> {
    fs::File::open(path(directory, name)?)
}

fn create(directory: &Path, name: &str) -> io::Result<ResultFile> {
    ResultFile::create(&path(directory, name)?)
}

fn path(directory: &Path, name: &str) -> io::Result<PathBuf> {
    if name.is_empty() {
        // Joined, it would be the directory.
        return fs::metadata("").map(|_| directory.to_owned());
    }
    Ok(directory.join(os_of(name)))
}

const NOT_BROUGHT: &str =
    "the request does not bring this file, and a lab opens none: who asks sends what it holds, under \"files\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::text_of;

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
    fn what_is_gathered() {
        let directory = std::env::temp_dir().join(format!("nflab-files-{}", std::process::id()));
        fs::create_dir_all(directory.join("sub")).unwrap();
        fs::write(directory.join("rules"), b"a\xff\n").unwrap();
        let needs = Needs {
            reads: ["rules", "none", "sub", ""]
                .map(|name| Input::File(name.to_owned()))
                .into_iter()
                .chain([Input::Stdin, Input::Stdin])
                .collect(),
            outputs: Vec::new(),
        };
        let gathered = gather(&needs, &directory, || "in".to_owned()).unwrap();
        let contents: Vec<Content> = gathered.files.into_iter().map(|file| file.content).collect();
        assert_eq!(
            contents,
            [
                Content::Text(text_of(b"a\xff\n")),
                Content::Refused("No such file or directory".into()),
                Content::Text(String::new()),
                Content::Refused("No such file or directory".into()),
            ]
        );
        assert_eq!(gathered.stdin, "in");
        let output = |name: &str| Output {
            name: name.to_owned(),
            complaint: "Failed: ",
        };
        let needs = Needs {
            reads: Vec::new(),
            outputs: vec![output("rules"), output("other")],
        };
        let gathered = gather(&needs, &directory, String::new).unwrap();
        gathered.output.unwrap().write("text").unwrap();
        assert_eq!(
            fs::read(directory.join("rules")).unwrap(),
            b"",
            "it was opened, as the tool does"
        );
        assert_eq!(fs::read(directory.join("other")).unwrap(), b"text");
        let needs = Needs {
            reads: Vec::new(),
            outputs: vec![output("sub")],
        };
        assert_eq!(
            gather(&needs, &directory, String::new).unwrap_err(),
            "Failed: Is a directory\n"
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn endless_files_and_full_ones() {
        let needs = Needs {
            reads: vec![Input::File("/dev/zero".into())],
            outputs: vec![Output {
                name: "/dev/full".into(),
                complaint: "",
            }],
        };
        let gathered = gather(&needs, Path::new("."), String::new).unwrap();
        assert!(matches!(&gathered.files[0].content, Content::Refused(why) if why.contains("MB")));
        assert_eq!(
            gathered.output.unwrap().write("x").unwrap_err(),
            "cannot write /dev/full: No space left on device"
        );
    }
}
