//! What a stranger's script may write to: everything is read-only, but what was made for it, in memory and with a size.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, OpenTreeFlags, mount};

use super::files::{put, seen, tree};
use super::{Failure, OWN, bounds, tried};
use crate::base::bytes::text_of_path;
use crate::device::syscall::{Restriction, restrict};

/// Everything read-only, but what was made for the script, and its directory, which is in memory while it runs.
pub(super) fn confine(directory: &Path) -> Result<ScriptDirectory, Failure> {
    let work = std::env::current_dir().map_err(tried("find the script's directory"))?;
    // Apart from the others, they do not become read-only with them.
    let keep =
        |path: &Path| tree(path, OpenTreeFlags::AT_RECURSIVE).map_err(tried(format!("keep {}", text_of_path(path))));
    let (real, own) = (keep(directory)?, keep(Path::new(OWN))?);
    let in_memory = |path: &Path, mode: &str| {
        let options = CString::new(bounds::sized(mode)).map_err(tried("size a directory"))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", path, "tmpfs", flags, Some(options.as_c_str()))
            .map_err(tried(format!("make a {}", text_of_path(path))))
    };
    restrict(c"/", Restriction::ReadOnly).map_err(tried("make the file system read-only"))?;
    for path in ["/tmp", "/var/tmp", "/dev/shm"] {
        if Path::new(path).is_dir() {
            in_memory(Path::new(path), "1777")?;
        }
    }
    put(own, Path::new(OWN)).map_err(tried(format!("keep {OWN}")))?;
    // It may lie in the /tmp that just went out of sight; elsewhere it is there.
    let _ = fs::create_dir_all(directory);
    in_memory(directory, "700")?;
    let kept = ScriptDirectory {
        real,
        directory: directory.to_owned(),
    };
    copy_plain(&seen(&kept.real), directory).map_err(tried("furnish the script's directory"))?;
    std::env::set_current_dir(&work).map_err(tried("go to the script's directory"))?;
    Ok(kept)
}

/// A script's directory as it is outside, while one in memory stands in its place.
pub(super) struct ScriptDirectory {
    real: OwnedFd,
    directory: PathBuf,
}

impl ScriptDirectory {
    /// What is told by files goes back: the names must have been there before.
    pub(super) fn bring_back(&self, names: &[&str]) -> io::Result<()> {
        for name in names {
            let (from, to) = (self.directory.join(name), seen(&self.real).join(name));
            match fs::symlink_metadata(&from)?.file_type() {
                kind if kind.is_dir() => copy_plain(&from, &to)?,
                kind if kind.is_file() => copy_file(&from, &to)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Directories, plain files and links as they are; nothing else. What is there already is written over.
fn copy_plain(from: &Path, to: &Path) -> io::Result<()> {
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        for entry in fs::read_dir(&from)? {
            let (entry, to) = entry.map(|it| (it.path(), to.join(it.file_name())))?;
            let kind = fs::symlink_metadata(&entry)?.file_type();
            if kind.is_dir() {
                match fs::create_dir(&to) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => left.push((entry, to)),
                }
            } else if kind.is_symlink() {
                match symlink(fs::read_link(&entry)?, &to) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
            } else if kind.is_file() {
                copy_file(&entry, &to)?;
            }
        }
    }
    Ok(())
}

/// What the script left running may put a FIFO in a file's place at any time.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut from = fs::File::from(rustix::fs::open(from, flags, Mode::empty())?);
    let metadata = from.metadata()?;
    if metadata.is_file() {
        let mut to = fs::File::create(to)?;
        io::copy(&mut from, &mut to)?;
        to.set_permissions(metadata.permissions())?;
    }
    Ok(())
}
