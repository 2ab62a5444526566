//! Whom a lab is believed from. What lies where others could have put it is looked at before it is used: every directory on the way, the lock,
//! the state, the socket, and who answers there.
//!
//! Trusted is what belongs to the caller or to root, and what nobody else can write. Nothing is opened through a link, and no opening waits: a
//! FIFO where a file should be is told, not read.
//!
//! In a user namespace the number 0 is whoever made it, and who is not mapped into it (this machine's root too) shows as 65534. Such an owner is
//! nobody that could be told from others, so nothing of theirs is trusted; only as a directory on the way to the caller's own is it passed
//! through.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;

use crate::base::bytes::text_of_path;

/// Why something is not used. It is no fault of whoever runs `nflab`, so it is named and passed over.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    #[error("{} belongs to {}, not to {}: {}", text_of_path(path), user_text(*owner), caller_text(), remedy())]
    Owner { path: PathBuf, owner: u32 },
    #[error(
        "{} can be written by others (mode {mode:04o}): `chmod go-w` it if it is yours",
        text_of_path(path)
    )]
    Writable { path: PathBuf, mode: u32 },
    #[error("{} is {found}, where {expected} is expected", text_of_path(path))]
    Kind {
        path: PathBuf,
        found: &'static str,
        expected: &'static str,
    },
    #[error(
        "{} has {size} bytes, more than the {LARGEST_FILE} that a lab's file may have",
        text_of_path(path)
    )]
    TooLarge { path: PathBuf, size: u64 },
    #[error("who answers at {} is {}, not {}: {}", text_of_path(path), user_text(*user), caller_text(), remedy())]
    Peer { path: PathBuf, user: u32 },
    /// The path is absolute wherever it comes from a file's name; an environment variable may hold anything.
    #[error("{} is not an absolute path", text_of_path(path))]
    Relative { path: PathBuf },
    #[error("{} cannot be looked at: {source}", text_of_path(path))]
    System { path: PathBuf, source: io::Error },
}

impl Distrust {
    /// There is nothing, which is no reason for distrust.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::System { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// It is there for others, and closed to the caller.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::System { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    fn system(path: &Path, error: Errno) -> Self {
        Self::System {
            path: path.to_owned(),
            source: error.into(),
        }
    }
}

impl From<Distrust> for io::Error {
    fn from(distrust: Distrust) -> Self {
        match distrust {
            Distrust::System { source, .. } => source,
            other => Self::new(io::ErrorKind::PermissionDenied, other.to_string()),
        }
    }
}

/// A directory that is the caller's (or root's), and that nobody else can write, reach by a link, or put another in the place of.
#[derive(Debug)]
pub(crate) struct TrustedDirectory {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl TrustedDirectory {
    /// Goes there from `/`, looking at each directory on the way. Links in the path of its parent are resolved first: what counts is where they
    /// lead.
    pub(crate) fn open(path: &Path) -> Result<Self, Distrust> {
        if !path.is_absolute() {
            return Err(Distrust::Relative { path: path.into() });
        }
        // What ends with `..` has no name, but leads somewhere.
        let resolved = match path.components().next_back() {
            Some(Component::ParentDir) => Some(path.canonicalize().map_err(|source| Distrust::System {
                path: path.into(),
                source,
            })?),
            _ => None,
        };
        let path = resolved.as_deref().unwrap_or(path);
        let mut here = Self {
            descriptor: openat(CWD, "/", OFlags::PATH | DIRECTORY, Mode::empty())
                .map_err(|error| Distrust::system(Path::new("/"), error))?,
            path: "/".into(),
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            check(&here.path, &here.stat()?, FileType::Directory, OthersMay::NotWrite)?;
            return Ok(here);
        };
        let parent = parent.canonicalize().map_err(|source| Distrust::System {
            path: parent.into(),
            source,
        })?;
        for component in parent.components() {
            if let Component::Normal(name) = component {
                here = here.enter(Path::new(name))?;
                here.check_on_the_way()?;
            }
        }
        let last = here.enter(Path::new(name))?;
        check(&last.path, &last.stat()?, FileType::Directory, OthersMay::NotWrite)?;
        Ok(last)
    }

    /// A directory in it.
    pub(crate) fn directory(&self, name: &str) -> Result<Self, Distrust> {
        let inner = self.enter(Path::new(name))?;
        check(&inner.path, &inner.stat()?, FileType::Directory, OthersMay::NotWrite)?;
        Ok(inner)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it, whole; `None` where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Distrust> {
        let file = match self.file(name, OFlags::RDONLY) {
            Err(distrust) if distrust.is_missing() => return Ok(None),
            other => other?,
        };
        let path = self.path.join(name);
        let system = |source| Distrust::System {
            path: path.clone(),
            source,
        };
        let size = file.metadata().map_err(system)?.len();
        let mut bytes = Vec::new();
        let read = file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(system)?;
        match size.max(read as u64) {
            size if size > LARGEST_FILE => Err(Distrust::TooLarge { path, size }),
            _ => Ok(Some(bytes)),
        }
    }

    /// Opens a file in it; with [`OFlags::CREATE`] it is made, for its owner alone.
    pub(crate) fn file(&self, name: &str, flags: OFlags) -> Result<File, Distrust> {
        let path = self.path.join(name);
        // Looked at before it is opened, since opening a FIFO or a device may already do something.
        match statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => check(&path, &stat, FileType::RegularFile, OthersMay::NotWrite)?,
            Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => {}
            Err(error) => return Err(Distrust::system(&path, error)),
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.descriptor, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| Distrust::system(&path, error))?;
        let stat = fstat(&file).map_err(|error| Distrust::system(&path, error))?;
        check(&path, &stat, FileType::RegularFile, OthersMay::NotWrite)?;
        Ok(File::from(file))
    }

    /// The path of a socket in it. Who may write to it is not asked: who else connects is turned away by who listens.
    pub(crate) fn socket(&self, name: impl AsRef<Path>) -> Result<PathBuf, Distrust> {
        let path = self.path.join(&name);
        let stat = statat(&self.descriptor, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| Distrust::system(&path, error))?;
        check(&path, &stat, FileType::Socket, OthersMay::Write)?;
        Ok(path)
    }

    fn enter(&self, name: &Path) -> Result<Self, Distrust> {
        let path = self.path.join(name);
        match openat(&self.descriptor, name, OFlags::PATH | DIRECTORY, Mode::empty()) {
            Ok(descriptor) => Ok(Self { descriptor, path }),
            // A link, or no directory: say which.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let stat = statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| Distrust::system(&path, error))?;
                check(&path, &stat, FileType::Directory, OthersMay::NotWrite)?;
                Err(Distrust::system(&path, Errno::NOTDIR))
            }
            Err(error) => Err(Distrust::system(&path, error)),
        }
    }

    fn stat(&self) -> Result<Stat, Distrust> {
        fstat(&self.descriptor).map_err(|error| Distrust::system(&self.path, error))
    }

    /// Through a directory that everybody may write, as `/tmp` is, one goes only where the sticky bit keeps them from each other's names.
    fn check_on_the_way(&self) -> Result<(), Distrust> {
        let stat = self.stat()?;
        let path = self.path.clone();
        let mode = Mode::from_raw_mode(stat.st_mode);
        if !is_trusted(stat.st_uid) && !is_unmapped(stat.st_uid) {
            return Err(Distrust::Owner {
                path,
                owner: stat.st_uid,
            });
        }
        if mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(Distrust::Writable {
                path,
                mode: mode.bits() & 0o7777,
            });
        }
        Ok(())
    }
}

impl AsFd for TrustedDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether a socket that `NFLAB` names may be spoken to.
pub(crate) fn check_socket(path: &Path) -> Result<(), Distrust> {
    let system = |source| Distrust::System {
        path: path.to_owned(),
        source,
    };
    let absolute = std::path::absolute(path).map_err(system)?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(system(io::ErrorKind::InvalidInput.into()));
    };
    TrustedDirectory::open(parent)?.socket(name).map(drop)
}

/// Whether who is at the other end of a connection is the caller or root. `path` is what the socket is called in an error.
pub(crate) fn check_peer(connection: impl AsFd, path: &Path) -> Result<(), Distrust> {
    let peer = socket_peercred(connection).map_err(|error| Distrust::system(path, error))?;
    match peer.uid.as_raw() {
        user if is_trusted(user) => Ok(()),
        user => Err(Distrust::Peer {
            path: path.to_owned(),
            user,
        }),
    }
}

/// Whether a path belongs to the caller, itself and not what it links to.
pub(crate) fn is_own(path: &Path) -> bool {
    statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| stat.st_uid == caller() && FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// The caller's number; in a user namespace, the one by which it was known to who made that.
pub(crate) fn user_outside() -> u32 {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    number_outside(&map, caller()).unwrap_or_else(caller)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OthersMay {
    Write,
    NotWrite,
}

fn check(path: &Path, stat: &Stat, expected: FileType, others: OthersMay) -> Result<(), Distrust> {
    let path = path.to_owned();
    let found = FileType::from_raw_mode(stat.st_mode);
    if found != expected {
        return Err(Distrust::Kind {
            path,
            found: kind_text(found),
            expected: kind_text(expected),
        });
    }
    if !is_trusted(stat.st_uid) {
        return Err(Distrust::Owner {
            path,
            owner: stat.st_uid,
        });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if others == OthersMay::NotWrite && mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(Distrust::Writable {
            path,
            mode: mode.bits() & 0o7777,
        });
    }
    Ok(())
}

fn caller() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_trusted(owner: u32) -> bool {
    (owner == 0 || owner == caller()) && !is_unmapped(owner)
}

/// The number that stands for everyone who is not mapped into this user namespace, unless somebody really has it.
fn is_unmapped(owner: u32) -> bool {
    owner == OVERFLOW && !std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_mapped(&map, owner))
}

fn is_mapped(map: &str, user: u32) -> bool {
    number_outside(map, user).is_some()
}

/// A line of a map: the first number inside, what it is outside, and how many follow.
fn number_outside(map: &str, user: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line
            .split_ascii_whitespace()
            .filter_map(|word| word.parse::<u64>().ok());
        let (first, outside, length) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let distance = u64::from(user)
            .checked_sub(first)
            .filter(|distance| *distance < length)?;
        u32::try_from(outside + distance).ok()
    })
}

fn kind_text(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        _ => "a device",
    }
}

fn user_text(user: u32) -> String {
    match user {
        0 => "root".into(),
        user if is_unmapped(user) => "somebody who has no number in this user namespace".into(),
        user => format!("user {user}"),
    }
}

/// What helps against what others have put there.
fn remedy() -> &'static str {
    match caller() {
        0 => "remove it if nobody needs it, or `chown root` it if it is yours",
        _ => "root can remove it; or name a directory of your own with XDG_RUNTIME_DIR, where labs are kept then",
    }
}

fn caller_text() -> String {
    match caller() {
        0 => "root".into(),
        user => format!("user {user} or root"),
    }
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What the kernel shows for a number that is not mapped (`/proc/sys/kernel/overflowuid`, which nobody changes).
const OVERFLOW: u32 = 65_534;
/// A lab of ten thousand interfaces has some megabytes of state.
const LARGEST_FILE: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_others_could_have_put_there_is_not_used() {
        let base = std::env::temp_dir().join(format!("nflab-trust-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        fs::create_dir(&base).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&base, 0o700);
        let lab = base.join("lab");
        fs::create_dir(&lab).unwrap();
        fs::write(lab.join("state"), "{}").unwrap();
        mode(&lab.join("state"), 0o600);
        let opened = TrustedDirectory::open(&lab).unwrap();
        assert_eq!(opened.read("state").unwrap().as_deref(), Some(&b"{}"[..]));
        assert_eq!(opened.read("none").unwrap(), None);
        let said = |result: Result<_, Distrust>| result.map(drop).unwrap_err().to_string();
        mode(&lab.join("state"), 0o620);
        assert!(said(opened.read("state").map(drop)).contains("can be written by others (mode 0620)"));
        symlink("state", lab.join("link")).unwrap();
        assert!(said(opened.read("link").map(drop)).contains("is a symbolic link, where a file is expected"));
        rustix::fs::mknodat(CWD, lab.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(said(opened.read("fifo").map(drop)).contains("is a FIFO, where a file is expected"));
        File::create(lab.join("long"))
            .unwrap()
            .set_len(LARGEST_FILE + 1)
            .unwrap();
        assert!(said(opened.read("long").map(drop)).contains("has 67108865 bytes"));
        let _listener = UnixListener::bind(lab.join("control")).unwrap();
        assert!(opened.socket("control").is_ok());
        assert!(said(opened.socket("state").map(drop)).contains("is a file, where a socket is expected"));
        // The directory itself, and those on the way.
        symlink(&lab, base.join("other")).unwrap();
        assert!(said(TrustedDirectory::open(&base.join("other")).map(drop)).contains("is a symbolic link"));
        mode(&base, 0o770);
        assert!(said(TrustedDirectory::open(&lab).map(drop)).contains("(mode 0770)"));
        mode(&base, 0o1777);
        assert!(TrustedDirectory::open(&lab).is_ok(), "the sticky bit guards names");
        mode(&lab, 0o777);
        assert!(said(TrustedDirectory::open(&lab).map(drop)).contains("(mode 0777)"));
        assert!(said(TrustedDirectory::open(Path::new("lab")).map(drop)).contains("not an absolute path"));
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn who_is_mapped() {
        assert!(is_mapped("         0          0 4294967295\n", OVERFLOW));
        assert!(!is_mapped("         0       1000          1\n", OVERFLOW));
        assert!(is_mapped("0 1000 1\n65534 100000 2\n", OVERFLOW));
        assert!(!is_mapped("", OVERFLOW));
        assert_eq!(number_outside("0 1000 1", 0), Some(1000));
        assert_eq!(number_outside("0 1000 1\n1 100000 65536", 3), Some(100_002));
    }
}
