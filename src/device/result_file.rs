//! Files that results are written to: beside what is there, and renamed when they are whole.
//!
//! A full disk, a run that fails and a kill so destroy nothing that was there, and leave nothing half written. On Linux a result has no name
//! until it is whole (`O_TMPFILE`); where the file system cannot do that it has a name of its own, which goes with the process (signals that end it
//! included, `SIGKILL` excepted). What is there keeps its mode and its owner; of a link the target is replaced, not the link. What is no plain
//! file (a FIFO, `/dev/full`, `/dev/stdout` wherever that leads) is written as the bytes come.
//!
//! What is there keeps neither where it is a stranger's: of another user than the caller and root, in a directory where others than its owner may
//! make files (`/tmp`). It is never written through, since it is open to whoever put it there; a file of the caller's own takes its place, and where
//! it cannot, it is refused. So is what is behind a stranger's link.
//!
//! Some files cannot be replaced: in a directory that one may not write, of an owner that one cannot give it, with several names, or mounted. These
//! are written over once the result is whole, after room for all of it was set aside.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use crate::base::bytes::{front_of, path_of, text_of_os};

/// A result that is being written. Dropped before [`ResultFile::keep`] it leaves everything as it was.
#[derive(Debug)]
pub(crate) struct ResultFile {
    file: File,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Written as it comes.
    Direct,
    Beside {
        target: PathBuf,
        /// Where it cannot be without one.
        name: Option<Temporary>,
        /// What is there now, to be written over where it cannot be replaced.
        old: Option<File>,
    },
    /// Gathered elsewhere.
    Over(File),
}

impl ResultFile {
    /// Begins a result for this name. Fails where the file could not be written in place either.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let old = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() && is_strangers_fifo(path, &metadata)? => {
                return Err(strangers(&metadata));
            }
            Ok(metadata) if !metadata.is_file() => return Self::direct(OpenOptions::new().write(true), path),
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(target) = behind_links(path)? else {
            // `/dev/stdout` that leads to a file: others write there too, so behind what they wrote.
            return Self::direct(OpenOptions::new().append(true), path);
        };
        Self::begin(target, old, &|directory| unnamed(directory))
    }

    fn begin(target: PathBuf, old: Option<Metadata>, unnamed: &dyn Fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let stranger = match &old {
            Some(old) => is_strangers(old, &directory)?.then_some(old),
            None => None,
        };
        if let Some(old) = stranger
            && !may_be_replaced(&directory)?
        {
            return Err(strangers(old));
        }
        // One that may not be written is not to be replaced.
        let there = match &old {
            Some(old) if stranger.is_none() => Some((OpenOptions::new().write(true).open(&target)?, old)),
            _ => None,
        };
        let made = match unnamed(&directory) {
            Ok(file) => Ok((file, None)),
            Err(error) if is_unsupported(&error) => {
                Temporary::create(&directory, &target).map(|(file, name)| (file, Some(name)))
            }
            Err(error) => Err(error),
        };
        let Some((there, old)) = there else {
            let (file, name) = made?;
            let place = Place::Beside {
                target,
                name,
                old: None,
            };
            return Ok(Self { file, place });
        };
        let (file, name) = match made {
            Err(error) if is_forbidden(&error) => {
                let (file, place) = (elsewhere(unnamed)?, Place::Over(there));
                return Ok(Self { file, place });
            }
            made => made?,
        };
        if !has_one_name(old) || give_to_owner(&file, old).is_err() {
            let place = Place::Over(there);
            return Ok(Self { file, place });
        }
        file.set_permissions(old.permissions())?;
        let place = Place::Beside {
            target,
            name,
            old: Some(there),
        };
        Ok(Self { file, place })
    }

    fn direct(options: &OpenOptions, path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: options.open(path)?,
            place: Place::Direct,
        })
    }

    /// The result is whole: it takes its place.
    pub(crate) fn keep(self) -> io::Result<()> {
        let Self { mut file, place } = self;
        match place {
            Place::Direct => Ok(()),
            Place::Over(there) => write_over(&mut file, &there),
            Place::Beside { target, name, old } => {
                if old.is_some() {
                    // Some file systems find out only now that the disk is full; and a crash shall find the old or the new.
                    file.sync_all()?;
                }
                match (put(&file, name, &target), old) {
                    (Err(error), Some(there)) if is_forbidden(&error) => write_over(&mut file, &there),
                    (result, _) => result,
                }
            }
        }
    }
}

impl Write for ResultFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A whole file at once.
pub(crate) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut result = ResultFile::create(path)?;
    result.write_all(contents)?;
    result.keep()
}

/// Standard output (or input), where a file could be named.
pub(crate) fn is_printed(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether a result can be written there, as far as that can be known before there is one. Nothing is made, and what is there stays.
pub(crate) fn can_be_written(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        // Whoever reads a FIFO takes the first closing for the end.
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => Ok(()),
        _ if is_printed(path) => Ok(()),
        _ => ResultFile::create(path).map(drop),
    }
}

/// The file that a name leads to, through links that may dangle; `None` where the system makes up the way (`/proc/self/fd/1`).
pub(super) fn behind_links(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let directory = path
                    .parent()
                    .filter(|it| *it != Path::new(""))
                    .unwrap_or(Path::new("."));
                if is_strangers(&metadata, directory)? {
                    return Err(strangers(&metadata));
                }
                if fs::canonicalize(directory)?.starts_with("/proc") {
                    return Ok(None);
                }
                path = directory.join(fs::read_link(&path)?);
            }
            Ok(_) => return Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(path)),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links"))
}

/// A file with a name of its own, which goes with the process.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    _on_signal: super::syscall::RemovedOnSignal,
}

impl Temporary {
    fn create(directory: &Path, target: &Path) -> io::Result<(File, Self)> {
        let name = text_of_os(target.file_name().unwrap_or_default());
        // So that the name is none too long.
        let name = front_of(&name, LONGEST_STEM);
        for number in 0.. {
            let path = directory.join(path_of(&format!(".{name}.nflab-{}-{number}", std::process::id())));
            #[cfg(target_os = "linux")]
            let on_signal = super::syscall::RemovedOnSignal::register(&path)?;
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_TRIES => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    let made = Self {
                        path,
                        #[cfg(target_os = "linux")]
                        _on_signal: on_signal,
                    };
                    return Ok((file, made));
                }
            }
        }
        unreachable!("the last try returns")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives a whole file its name, in one step.
fn put(file: &File, name: Option<Temporary>, target: &Path) -> io::Result<()> {
    match name {
        Some(temporary) => fs::rename(&temporary.path, target),
        None => put_unnamed(file, target),
    }
}

#[cfg(target_os = "linux")]
fn put_unnamed(file: &File, target: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD, linkat};

    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |name: &Path| linkat(CWD, open.as_str(), CWD, name, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from);
    match link(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => return linked,
    }
    // A link cannot take another's place, and a name can: for a moment there are two.
    let directory = target
        .parent()
        .filter(|it| *it != Path::new(""))
        .unwrap_or(Path::new("."));
    for number in 0.. {
        let path = directory.join(format!(".nflab-{}-{number}", std::process::id()));
        let _on_signal = super::syscall::RemovedOnSignal::register(&path)?;
        match link(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_TRIES => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let renamed = fs::rename(&path, target);
                if renamed.is_err() {
                    let _ = fs::remove_file(&path);
                }
                return renamed;
            }
        }
    }
    unreachable!("the last try returns")
}

#[cfg(not(target_os = "linux"))]
fn put_unnamed(_: &File, _: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(target_os = "linux")]
fn unnamed(directory: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};

    // It gets its name by way of /proc.
    if !Path::new("/proc/self/fd").exists() {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = open(directory, flags, Mode::from_raw_mode(0o666)).map_err(io::Error::from)?;
    Ok(File::from(file))
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Room for what will be written over a file that cannot be replaced.
fn elsewhere(unnamed: &dyn Fn(&Path) -> io::Result<File>) -> io::Result<File> {
    let directory = std::env::temp_dir();
    match unnamed(&directory) {
        Err(error) if is_unsupported(&error) => {
            // It needs no name once it is open.
            Temporary::create(&directory, Path::new("result")).map(|(file, _)| file)
        }
        made => made,
    }
}

/// Writes a whole result over what is there, which keeps its place, owner, mode and other names.
fn write_over(from: &mut File, there: &File) -> io::Result<()> {
    from.rewind()?;
    let length = from.metadata()?.len();
    set_aside(there, length)?;
    let mut there: &File = there;
    there.rewind()?;
    io::copy(from, &mut there)?;
    there.set_len(length)?;
    there.sync_all()
}

/// Room for so many bytes, so that what is there is not destroyed by half.
#[cfg(target_os = "linux")]
fn set_aside(file: &File, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};

    if length == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length).map_err(io::Error::from) {
        // Not every file system can. Within what a file has there is room already.
        Err(error) if is_unsupported(&error) && length <= file.metadata()?.len() => Ok(()),
        result => result,
    }
}

#[cfg(not(target_os = "linux"))]
fn set_aside(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn has_one_name(old: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(old) == 1
}

#[cfg(not(unix))]
fn has_one_name(_: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn give_to_owner(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn give_to_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Whether a file may be open to somebody who put it where others find it: the caller and root are nobody's strangers, nor is whoever has a directory
/// to himself.
#[cfg(unix)]
fn is_strangers(file: &Metadata, directory: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let own = rustix::process::geteuid().as_raw();
    if [own, 0].contains(&file.uid()) {
        return Ok(false);
    }
    let directory = fs::metadata(directory)?;
    let to_oneself = directory.mode() & 0o022 == 0 && [own, 0, file.uid()].contains(&directory.uid());
    Ok(!to_oneself)
}

#[cfg(not(unix))]
fn is_strangers(_: &Metadata, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// A way that the system makes up leads to what is open already.
fn is_strangers_fifo(path: &Path, metadata: &Metadata) -> io::Result<bool> {
    let Some(target) = behind_links(path)? else {
        return Ok(false);
    };
    let directory = target.parent().filter(|it| *it != Path::new(""));
    is_strangers(metadata, directory.unwrap_or(Path::new(".")))
}

/// In a sticky directory only root and the directory's owner take another's file away.
#[cfg(unix)]
fn may_be_replaced(directory: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let own = rustix::process::geteuid();
    let directory = fs::metadata(directory)?;
    Ok(own.is_root() || directory.mode() & 0o1000 == 0 || directory.uid() == own.as_raw())
}

#[cfg(not(unix))]
fn may_be_replaced(_: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(unix)]
fn strangers(file: &Metadata) -> io::Error {
    let owner = std::os::unix::fs::MetadataExt::uid(file);
    io::Error::other(format!(
        "it belongs to another user ({owner}), in a directory where others make files: name another file"
    ))
}

#[cfg(not(unix))]
fn strangers(_: &Metadata) -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

/// The file system has no files without a name.
fn is_unsupported(error: &io::Error) -> bool {
    // An old kernel takes the flag for the opening of a directory.
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput
    )
}

/// The file may be written, but not replaced.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::CrossesDevices
    )
}

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;
const MOST_TRIES: u32 = 100;
const LONGEST_STEM: usize = 200;

#[cfg(all(test, target_os = "linux"))]
mod tests;
