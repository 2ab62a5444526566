//! Directories of the system that are written to in memory: what lies over each mount of the machine's, and what of it a user gets as a copy.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_bind, mount_bind_recursive};

use super::Who;
use super::files::{open_path, seen};
use crate::base::bytes::{bytes_of, text_of_path};
use crate::device::syscall::{Restriction, restrict};

/// A directory that is written to in memory: a mount of the machine's, and where its changes go.
pub(super) struct Cover {
    pub(super) path: PathBuf,
    pub(super) lower: OwnedFd,
    pub(super) kind: Kind,
    pub(super) upper: PathBuf,
    work: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Overlay,
    /// A file that somebody mounted (`/etc/hosts` in a container).
    File,
    /// A directory in which others are mounted (a `/var/log` of its own). A user namespace may not part them from it, as an overlay does; so a new
    /// directory stands for it, in which everything is put where it was.
    Assembled,
}

impl Cover {
    /// The directory, and whatever is mounted below it, outermost first.
    pub(super) fn of(directory: &Path) -> io::Result<Vec<Self>> {
        let mut mounted: Vec<PathBuf> = mounts()?
            .into_iter()
            .filter(|it| it.starts_with(directory) && it != directory)
            .collect();
        mounted.sort();
        mounted.dedup();
        let mut covers = Vec::new();
        let mut outer = vec![directory.to_owned()];
        if parts_mounts() {
            outer.append(&mut mounted);
        }
        for path in outer {
            Self::add(&path, &mounted, &mut covers)?;
        }
        Ok(covers)
    }

    /// What can't be looked at can't be written to either, and has no cover.
    fn add(path: &Path, mounted: &[PathBuf], covers: &mut Vec<Self>) -> io::Result<()> {
        let lower = match open_path(path) {
            Ok(lower) => lower,
            Err(error) if OUT_OF_REACH.contains(&error.kind()) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Ok(metadata) = fs::metadata(seen(&lower)) else {
            return Ok(());
        };
        // Inside another containment a hundred tools are mounts of this program: they get no copies, but the new ones over them.
        let own = fs::metadata("/proc/self/exe")?;
        if (metadata.dev(), metadata.ino()) == (own.dev(), own.ino()) {
            return Ok(());
        }
        let holds_mounts = mounted.iter().any(|it| it.starts_with(path) && it != path);
        let kind = match (metadata.is_dir(), holds_mounts) {
            (false, _) => Kind::File,
            (true, false) => Kind::Overlay,
            (true, true) => Kind::Assembled,
        };
        let entries = (kind == Kind::Assembled).then(|| fs::read_dir(seen(&lower)));
        covers.push(Self {
            path: path.to_owned(),
            lower,
            kind,
            upper: PathBuf::new(),
            work: PathBuf::new(),
        });
        for entry in entries.into_iter().flatten().flatten().flatten() {
            let inner = path.join(entry.file_name());
            if entry.file_type().is_ok_and(|it| it.is_dir()) || mounted.contains(&inner) {
                Self::add(&inner, mounted, covers)?;
            }
        }
        Ok(())
    }

    pub(super) fn prepare(&mut self, who: Who, at: &Path) -> io::Result<()> {
        fs::create_dir(at)?;
        (self.upper, self.work) = (at.join("upper"), at.join("work"));
        let lower = seen(&self.lower);
        if self.kind == Kind::File {
            // Memory is not for what is large: that stays the machine's, and can't be written to.
            if fs::metadata(&lower)?.len() > LARGEST_COPY {
                return Ok(());
            }
            // No directory to lay something over; a copy stands in.
            return match fs::copy(lower, &self.upper) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::create(&self.upper).map(drop),
                other => other.map(drop),
            };
        }
        fs::create_dir(&self.work)?;
        like(&lower, &self.upper)?;
        let kept_by_programs = VARIABLE.iter().find_map(|it| self.path.strip_prefix(it).ok());
        if who != Who::Root && self.path.starts_with("/etc") {
            // Root's files are not a user's to write, in no namespace; so that a program can keep its settings, it gets copies.
            let mut left = MOST_COPIED;
            copy_below(&lower, &self.upper, &mut left)?;
        } else if who != Who::Root && self.path == Path::new("/var") {
            for path in VARIABLE {
                let name = Path::new(path).strip_prefix("/var").unwrap_or(Path::new(path));
                directories_below(&lower.join(name), &self.upper.join(name), 2)?;
            }
        } else if let Some(below) = kept_by_programs.filter(|_| who != Who::Root) {
            let depth = 2u32.saturating_sub(below.components().count() as u32);
            directories_below(&lower, &self.upper, depth)?;
        }
        match self.kind {
            Kind::Assembled => self.assemble(),
            _ => Ok(()),
        }
    }

    /// What is not there as a copy: directories to lay covers over, links, and files to put the machine's on.
    fn assemble(&self) -> io::Result<()> {
        // What can't be listed is empty.
        let Ok(entries) = fs::read_dir(seen(&self.lower)) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let (path, from) = (self.upper.join(entry.file_name()), entry.path());
            if fs::symlink_metadata(&path).is_ok() {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                like(&from, &path)?;
            } else if kind.is_symlink() {
                symlink(fs::read_link(&from)?, &path)?;
            } else {
                File::create(&path)?;
                // Behind a socket or FIFO is somebody of the machine.
                if kind.is_file() {
                    mount_bind(&from, &path)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn lay(&self) -> io::Result<()> {
        match self.kind {
            Kind::File if self.upper.exists() => return Ok(mount_bind(&self.upper, &self.path)?),
            Kind::File => {
                mount_bind(seen(&self.lower), &self.path)?;
                return restrict(&CString::new(self.path.as_os_str().as_bytes())?, Restriction::ReadOnly);
            }
            Kind::Assembled => return Ok(mount_bind_recursive(&self.upper, &self.path)?),
            Kind::Overlay => {}
        }
        let own = if parts_mounts() { "" } else { ",userxattr" };
        let options = format!(
            "lowerdir={},upperdir={},workdir={}{own}",
            text_of_path(&seen(&self.lower)),
            text_of_path(&self.upper),
            text_of_path(&self.work)
        );
        Ok(mount(
            "nflab",
            &self.path,
            "overlay",
            MountFlags::empty(),
            Some(CString::new(bytes_of(&options))?.as_c_str()),
        )?)
    }
}

/// Whether we are in the machine's own user namespace. In another the kernel keeps mounts together that came into it together, and overlays
/// keep their marks in attributes that a user may set.
fn parts_mounts() -> bool {
    // `PROC_USER_INIT_INO`.
    fs::metadata("/proc/self/ns/user").is_ok_and(|it| it.ino() == 0xEFFF_FFFD)
}

/// Reasons why a path has nothing that could be written to.
const OUT_OF_REACH: [io::ErrorKind; 3] = [
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::NotADirectory,
];

/// Where programs of a user find directories to keep theirs in.
const VARIABLE: &[&str] = &[
    "/var/lib",
    "/var/log",
    "/var/cache",
    "/var/tmp",
    "/var/spool",
    "/var/local",
];

/// Copies of so many small files for a user.
const MOST_COPIED: u32 = 2000;
const SMALL: u64 = 128 << 10;

/// And of a file that is a mount.
const LARGEST_COPY: u64 = 1 << 20;

fn copy_below(from: &Path, to: &Path, left: &mut u32) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten() {
        let (Ok(metadata), path) = (entry.metadata(), entry.path()) else {
            continue;
        };
        let copy = to.join(entry.file_name());
        if metadata.is_dir() && metadata.permissions().mode() & 0o005 == 0o005 {
            like(&path, &copy)?;
            copy_below(&path, &copy, left)?;
        } else if metadata.is_file() && metadata.len() <= SMALL && *left > 0 {
            *left -= 1;
            if let Ok(bytes) = fs::read(&path) {
                fs::write(&copy, bytes)?;
                fs::set_permissions(&copy, metadata.permissions())?;
            }
        }
    }
    Ok(())
}

fn directories_below(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    like(from, to)?;
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten().filter(|_| depth > 0) {
        let readable = |it: fs::Metadata| it.is_dir() && it.permissions().mode() & 0o005 == 0o005;
        if entry.metadata().is_ok_and(readable) {
            directories_below(&entry.path(), &to.join(entry.file_name()), depth - 1)?;
        }
    }
    Ok(())
}

/// A directory as another one is.
pub(super) fn like(other: &Path, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir(path)?;
    if let Ok(metadata) = fs::metadata(other) {
        // In a user namespace there is no other owner than the one.
        let _ = chown(path, Some(metadata.uid()), Some(metadata.gid()));
        fs::set_permissions(path, Permissions::from_mode(metadata.permissions().mode() & 0o7777))?;
    }
    Ok(())
}

/// Mount points as this process sees them.
fn mounts() -> io::Result<Vec<PathBuf>> {
    let text = fs::read("/proc/self/mountinfo")?;
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(std::ffi::OsString::from_vec(unescaped(field))))
        .collect())
}

/// `\040` is a blank (proc(5)).
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}
