//! What a command reads and where its results go, said before anything runs: no result takes the place of what was read, or of another result.
//!
//! A result is put where another file was once it is whole, so a slip in a name would destroy what cannot be had again. A file is known by what it
//! is, whatever its names: hard links, symbolic links (also to a name that does not exist yet), `./x` and `$PWD/x`, and what the shell opened as
//! standard input or output. Devices take everything that comes and give it to nobody else: they are no place.
//!
//! Results are never written back onto their own input, for no command: what is read is the only copy of what the result does not tell. Who wants
//! that says it with `mv`.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::result_file::{behind_links, can_be_written, is_printed};
use crate::base::bytes::text_of_path;

/// What one run reads and writes.
#[derive(Debug, Default)]
pub(crate) struct FileUses {
    read: Vec<(PathBuf, Place)>,
    written: Vec<Written>,
}

#[derive(Debug)]
struct Written {
    /// What the user called it: an option, or a few words.
    option: String,
    path: PathBuf,
    place: Place,
    sharing: Sharing,
}

/// What else may stand on standard output with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Other texts, before it or behind it.
    InTurn,
    /// Nothing: who reads it takes all for it.
    Alone,
}

/// Where bytes come from or go to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(FileKey),
    /// Of two that write there each gets a part of what is read at the other end.
    Pipe(FileKey),
    /// A file that does not exist yet: its directory, and its name there.
    New(FileKey, std::ffi::OsString),
    Output,
    /// A device, or what cannot be looked at.
    Nowhere,
}

impl FileUses {
    /// `-` is standard input.
    pub(crate) fn reads(&mut self, path: &Path) {
        let metadata = match is_printed(path) {
            true => standard(0),
            false => std::fs::metadata(path).ok(),
        };
        let place = metadata.map_or(Place::Nowhere, |it| of_file(&it));
        self.read.push((path.to_path_buf(), place));
    }

    /// A file's result; `-` is standard output.
    pub(crate) fn writes(&mut self, option: &str, path: &Path, sharing: Sharing) {
        let place = match is_printed(path) {
            true => output(),
            false => of_result(path),
        };
        self.written.push(Written {
            option: option.to_owned(),
            path: path.to_path_buf(),
            place,
            sharing,
        });
    }

    /// Standard output has this besides what options send there.
    pub(crate) fn prints(&mut self, what: &str, sharing: Sharing) {
        self.writes(what, Path::new("-"), sharing);
    }

    /// The first use that would destroy something, or that cannot be, as the user is to be told it.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (at, result) in self.written.iter().enumerate() {
            let Written { option, path, .. } = result;
            let named = match is_printed(path) && !option.starts_with('-') {
                true => format!("standard output ({option})"),
                false => format!("{option} {}", text_of_path(path)),
            };
            if let Some((read, _)) = self.read.iter().find(|(_, read)| is_same_file(read, &result.place)) {
                let name = match read == path {
                    true => String::new(),
                    false => format!(" (as {})", text_of_path(read)),
                };
                return Err(format!(
                    "{named}: this file is read too{name}, and would be lost; choose another name"
                ));
            }
            if let Some(other) = self.written[..at].iter().find(|other| other.collides(result)) {
                let other = match is_printed(&other.path) && !other.option.starts_with('-') {
                    true => format!("standard output ({}) leads", other.option),
                    false => format!("{} writes", other.option),
                };
                return Err(format!("{named}: {other} there too; choose another name"));
            }
        }
        // Nobody wants to run something long for nothing.
        for Written { path, .. } in &self.written {
            can_be_written(path).map_err(|error| format!("cannot write {}: {}", text_of_path(path), said(&error)))?;
        }
        Ok(())
    }
}

impl Written {
    fn collides(&self, other: &Self) -> bool {
        if self.place == Place::Nowhere || self.place != other.place {
            return false;
        }
        let are_printed = is_printed(&self.path) && is_printed(&other.path);
        !(are_printed && self.sharing == Sharing::InTurn && other.sharing == Sharing::InTurn)
    }
}

fn is_same_file(read: &Place, written: &Place) -> bool {
    matches!(read, Place::File(_)) && read == written
}

fn of_file(metadata: &Metadata) -> Place {
    match key(metadata) {
        Some(key) if metadata.is_file() => Place::File(key),
        Some(key) if is_pipe(metadata) => Place::Pipe(key),
        _ => Place::Nowhere,
    }
}

/// Standard output is what the shell made it; to a terminal or a device, it is one place still.
fn output() -> Place {
    match standard(1).map_or(Place::Nowhere, |it| of_file(&it)) {
        Place::Nowhere => Place::Output,
        place => place,
    }
}

fn of_result(path: &Path) -> Place {
    if let Ok(metadata) = std::fs::metadata(path) {
        return of_file(&metadata);
    }
    let Ok(Some(path)) = behind_links(path) else {
        return Place::Nowhere;
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = std::fs::metadata(directory).ok().and_then(|it| key(&it));
    match (directory, path.file_name()) {
        (Some(directory), Some(name)) => Place::New(directory, name.to_owned()),
        _ => Place::Nowhere,
    }
}

/// What a file is known by, whatever its names.
type FileKey = (u64, u64);

#[cfg(unix)]
fn key(metadata: &Metadata) -> Option<FileKey> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn key(_: &Metadata) -> Option<FileKey> {
    None
}

#[cfg(unix)]
fn is_pipe(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}

/// What stands at this descriptor.
#[cfg(unix)]
fn standard(descriptor: i32) -> Option<Metadata> {
    use std::fs::File;
    use std::os::fd::AsFd;

    let open = match descriptor {
        0 => std::io::stdin().as_fd().try_clone_to_owned(),
        _ => std::io::stdout().as_fd().try_clone_to_owned(),
    };
    File::from(open.ok()?).metadata().ok()
}

#[cfg(not(unix))]
fn standard(_: i32) -> Option<Metadata> {
    None
}

/// The system's own words.
fn said(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.find(" (os error ")
        .map_or(text.clone(), |at| text[..at].to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Names of one file, and which of two uses are refused.
    #[test]
    fn a_file_is_one_place_under_all_of_its_names() {
        let place = std::env::temp_dir().join(format!("nflab-uses-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("inner")).unwrap();
        fs::write(place.join("there"), "").unwrap();
        fs::hard_link(place.join("there"), place.join("hard")).unwrap();
        symlink("there", place.join("soft")).unwrap();
        symlink("../new", place.join("inner/dangling")).unwrap();
        symlink(".", place.join("again")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, place.join("fifo"), rustix::fs::Mode::RWXU).unwrap();
        let at = |name: &str| match name.starts_with('/') || name == "-" {
            true => PathBuf::from(name),
            false => place.join(name),
        };
        for (one, other, is_one) in [
            ("there", "hard", true),
            ("there", "soft", true),
            ("there", "inner/../there", true),
            ("there", "again/again/there", true),
            ("new", "inner/dangling", true),
            ("new", "again/new", true),
            ("new", "newer", false),
            ("there", "new", false),
            ("fifo", "again/fifo", true),
            ("/dev/null", "/dev/null", false),
            ("/dev/null", "/dev/full", false),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let mut uses = FileUses::default();
                uses.writes("--one", &at(one), Sharing::InTurn);
                uses.writes("--other", &at(other), Sharing::InTurn);
                let checked = uses.check();
                assert_eq!(checked.is_err(), is_one, "{one} and {other}: {checked:?}");
                if let Err(said) = checked {
                    assert!(
                        said.starts_with("--other ") && said.contains("--one writes there too"),
                        "{said}"
                    );
                }
                let mut uses = FileUses::default();
                uses.reads(&at(one));
                uses.writes("--other", &at(other), Sharing::InTurn);
                // What is not there is not read.
                let is_lost = is_one && at(one).is_file();
                assert_eq!(uses.check().is_err(), is_lost, "{one} read, {other} written");
            }
        }
        for (one, other, is_refused) in [
            (Sharing::InTurn, Sharing::InTurn, false),
            (Sharing::InTurn, Sharing::Alone, true),
            (Sharing::Alone, Sharing::InTurn, true),
            (Sharing::Alone, Sharing::Alone, true),
        ] {
            let mut uses = FileUses::default();
            uses.prints("the report", one);
            uses.writes("--out", Path::new("-"), other);
            assert_eq!(uses.check().is_err(), is_refused, "{one:?} and {other:?}");
        }
        for unwritable in ["inner", "no/such", "there/below"] {
            let mut uses = FileUses::default();
            uses.writes("--out", &at(unwritable), Sharing::InTurn);
            assert!(uses.check().unwrap_err().starts_with("cannot write "), "{unwritable}");
        }
        fs::remove_dir_all(&place).unwrap();
    }
}
