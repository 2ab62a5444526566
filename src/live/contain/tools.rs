//! This program in the place of every tool of netfilter: where programs of the system are, and wherever `PATH` leads.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::mount_bind;

use super::OWN;
use super::cover::{Cover, Kind, like};
use super::files::seen;

/// Where programs of the system are.
const PROGRAMS: &[&str] = &[
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];

/// The directories that programs are in, each once, by what it is and not by what links to it.
pub(super) fn tool_places() -> Vec<PathBuf> {
    let found: BTreeSet<PathBuf> = PROGRAMS
        .iter()
        // Machines without /usr/local have no such tools.
        .filter_map(|place| fs::canonicalize(place).ok())
        .collect();
    found.into_iter().collect()
}

/// Plain files to stand the tools on, instead of whatever link is there.
pub(super) fn reserve(covers: &[Cover], place: &Path, tools: &[String]) -> io::Result<()> {
    let cover = covers
        .iter()
        .filter(|it| it.kind != Kind::File && place.starts_with(&it.path))
        .max_by_key(|it| it.path.as_os_str().len());
    let Some(cover) = cover else { return Ok(()) };
    let (mut lower, mut upper) = (seen(&cover.lower), cover.upper.clone());
    for part in place.strip_prefix(&cover.path).unwrap_or(Path::new("")) {
        (lower, upper) = (lower.join(part), upper.join(part));
        like(&lower, &upper)?;
    }
    for tool in tools {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(upper.join(tool));
        match made {
            // A directory that was assembled has the machine's, to be covered.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// This program over all of them, and over what of these names else stands in a directory of `PATH`.
pub(super) fn place_tools(program: &Path, places: &[PathBuf], tools: &[String]) -> io::Result<()> {
    let first = Path::new(OWN).join("bin");
    fs::create_dir(&first)?;
    symlink(program, first.join("nflab"))?;
    for tool in tools {
        symlink(program, first.join(tool))?;
    }
    for place in places {
        for tool in tools {
            mount_bind(program, place.join(tool))?;
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others: BTreeSet<PathBuf> = std::env::split_paths(&path)
        .filter(|it| it.is_absolute() && !it.starts_with(OWN))
        .filter_map(|it| fs::canonicalize(it).ok())
        .filter(|it| !places.contains(it))
        .collect();
    for tool in others
        .iter()
        .flat_map(|place| tools.iter().map(|tool| place.join(tool)))
    {
        let own = fs::metadata(program)?;
        if fs::metadata(&tool).is_ok_and(|it| it.is_file() && (it.dev(), it.ino()) != (own.dev(), own.ino())) {
            mount_bind(program, &tool)?;
        }
    }
    Ok(())
}
