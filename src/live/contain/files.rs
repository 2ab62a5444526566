//! The file system that COMMAND sees: the machine's own, but what it writes to directories of the system goes to memory, and to nothing when it ends;
//! and wherever a tool of netfilter is, or would be, stands this program.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind,
    mount_bind_recursive, mount_change, move_mount, open_tree, unmount,
};

use super::{Failure, OWN, Plan, Who, inside, tried};
use crate::base::bytes::{bytes_of, text_of_path};
use crate::device::syscall::{Restriction, restrict};

/// Makes the view, in a mount namespace of our own.
pub(super) fn make(who: Who, plan: &Plan) -> Result<(), Failure> {
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(tried("keep mounts here"))?;
    let kept = Kept::of(who, plan).map_err(tried("look at the directories"))?;
    let mut covers = Vec::new();
    for directory in SYSTEM {
        // A link leads to another of them.
        if fs::symlink_metadata(directory).is_ok_and(|it| it.is_dir()) {
            covers.extend(Cover::of(Path::new(directory)).map_err(tried(format!("look at {directory}")))?);
        }
    }
    let program = Shown::of(&inside::program()).map_err(tried("find this program"))?;
    let resolver = fs::read("/etc/resolv.conf").ok();
    let run = run_directories();
    new_run(&run).map_err(tried("make a /run"))?;
    let program = program.show().map_err(tried("show this program"))?;
    let layers = Path::new(OWN).join("layers");
    fs::create_dir(&layers)
        .and_then(|()| {
            Ok(mount(
                "tmpfs",
                &layers,
                "tmpfs",
                MountFlags::NOSUID | MountFlags::NODEV,
                Some(c"mode=700"),
            )?)
        })
        .map_err(tried("make room in memory"))?;
    let places = tool_places();
    for (number, cover) in covers.iter_mut().enumerate() {
        cover
            .prepare(who, &layers.join(number.to_string()))
            .map_err(tried(format!("copy {}", text_of_path(&cover.path))))?;
    }
    for place in &places {
        reserve(&covers, place, &plan.tools).map_err(tried(format!("put the tools into {}", text_of_path(place))))?;
    }
    for cover in &covers {
        cover.lay().map_err(|error| Failure {
            what: format!(
                "lay a throw-away file system (overlay) over {}",
                text_of_path(&cover.path)
            ),
            why: error.to_string(),
        })?;
    }
    // The layers hold on to what they are made of.
    unmount(&layers, UnmountFlags::DETACH).map_err(tried("hide the layers"))?;
    fs::remove_dir(&layers).map_err(tried("hide the layers"))?;
    if let Some(text) = resolver.filter(|_| fs::read("/etc/resolv.conf").is_err()) {
        // It was a link into /run. Where it can't be made again, names are not resolved; there is no network to ask anyhow.
        let _ = resolver_again(&text);
    }
    kept.show().map_err(tried("keep your directories"))?;
    place_tools(&program, &places, &plan.tools).map_err(tried("put the tools into place"))
}

/// Directories of the system, where a firewall program keeps its own.
const SYSTEM: &[&str] = &[
    "/etc", "/usr", "/var", "/opt", "/boot", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// Where programs of the system are.
const PROGRAMS: &[&str] = &[
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];

/// A directory that is written to in memory: a mount of the machine's, and where its changes go.
struct Cover {
    path: PathBuf,
    lower: OwnedFd,
    kind: Kind,
    upper: PathBuf,
    work: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Overlay,
    /// A file that somebody mounted (`/etc/hosts` in a container).
    File,
    /// A directory in which others are mounted (a `/var/log` of its own). A user namespace may not part them from it, as an overlay does; so a new
    /// directory stands for it, in which everything is put where it was.
    Assembled,
}

impl Cover {
    /// The directory, and whatever is mounted below it, outermost first.
    fn of(directory: &Path) -> io::Result<Vec<Self>> {
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

    fn prepare(&mut self, who: Who, at: &Path) -> io::Result<()> {
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

    fn lay(&self) -> io::Result<()> {
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
fn like(other: &Path, path: &Path) -> io::Result<()> {
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

/// This program, wherever it lies.
struct Shown(OwnedFd);

impl Shown {
    fn of(brought: &Path) -> io::Result<Self> {
        let path = match brought.is_file() {
            true => brought.to_owned(),
            false => std::env::current_exe()?,
        };
        open_path(&path).map(Self)
    }

    fn show(self) -> io::Result<PathBuf> {
        let path = inside::program();
        File::create(&path)?;
        bind_open(&self.0, &path)?;
        Ok(path)
    }
}

/// The directories right under `/run`, where services expect theirs.
fn run_directories() -> Vec<(PathBuf, u32, u32, u32)> {
    let entries = fs::read_dir("/run").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_dir)?;
            let mode = metadata.permissions().mode() & 0o7777;
            let ours = ["netns", "nflab", "nflab-contained", "user"]
                .iter()
                .any(|it| entry.file_name() == **it);
            (!ours).then(|| (entry.path(), mode, metadata.uid(), metadata.gid()))
        })
        .collect()
}

/// Sockets of the machine's services lie in `/run`: this one has none.
fn new_run(directories: &[(PathBuf, u32, u32, u32)]) -> io::Result<()> {
    mount(
        "tmpfs",
        "/run",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(c"mode=755"),
    )?;
    for (path, mode, user, group) in directories {
        DirBuilder::new().mode(0o755).create(path)?;
        // In a user namespace there is no other owner than the one.
        let _ = chown(path, Some(*user), Some(*group));
        fs::set_permissions(path, Permissions::from_mode(*mode))?;
    }
    for (path, mode) in [("/run/lock", 0o1777), ("/run/user", 0o755)] {
        DirBuilder::new().recursive(true).mode(0o755).create(path)?;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").filter(|it| Path::new(it).starts_with("/run/user")) {
        DirBuilder::new().recursive(true).mode(0o700).create(runtime)?;
    }
    DirBuilder::new().mode(0o755).create(OWN)
}

fn resolver_again(text: &[u8]) -> io::Result<()> {
    let place = fs::read_link("/etc/resolv.conf").map(|it| Path::new("/etc").join(it))?;
    if let Some(directory) = place.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(place, text)
}

/// What of the user's lies in a directory of the system, and stays as it is: where COMMAND starts, and home.
struct Kept {
    /// None where it was removed meanwhile: one stays in it.
    work: Option<PathBuf>,
    real: Vec<(PathBuf, OwnedFd)>,
}

impl Kept {
    fn of(who: Who, plan: &Plan) -> io::Result<Self> {
        let work = match std::env::current_dir() {
            Ok(work) => Some(work),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .filter(|it| it.is_absolute());
        let mut real = Vec::new();
        for path in [work.clone(), home, plan.only.clone()].into_iter().flatten() {
            let covered = is_covered(&path);
            let users = |metadata: fs::Metadata| match who {
                Who::Root => is_real_to_root(&path, &metadata),
                // What isn't theirs belongs to nobody here.
                _ => metadata.uid() == 0,
            };
            let given = plan.only.as_ref().is_some_and(|it| path.starts_with(it));
            if covered && (given || fs::metadata(&path).is_ok_and(users)) {
                real.push((path.clone(), open_path(&path)?));
            }
        }
        Ok(Self { work, real })
    }

    fn show(&self) -> io::Result<()> {
        for (path, open) in &self.real {
            // Below /run it may be out of sight.
            fs::create_dir_all(path)?;
            bind_open(open, path)?;
        }
        match &self.work {
            Some(work) if is_covered(work) => {
                if !work.is_dir() {
                    fs::create_dir_all(work)?;
                }
                std::env::set_current_dir(work)
            }
            // Nothing lies over it. It may be one that can't be gone to again.
            Some(_) => Ok(()),
            None => leave_what_is_gone(),
        }
    }
}

/// Root's own directories below those of the system are the system's, but for those below `/var/tmp`, where people put theirs.
fn is_real_to_root(path: &Path, metadata: &fs::Metadata) -> bool {
    let place = Path::new("/var/tmp");
    metadata.uid() != 0 || (path.starts_with(place) && path != place)
}

/// Where people would expect to find again what COMMAND writes, and would not: the directory where it starts, and root's home.
pub(crate) fn lost_at_the_end() -> Vec<PathBuf> {
    let me = rustix::process::geteuid().as_raw();
    let home = std::env::var_os("HOME").filter(|_| me == 0).map(PathBuf::from);
    let mut lost: Vec<PathBuf> = std::env::current_dir()
        .into_iter()
        .chain(home)
        .filter(|path| is_covered(path))
        .filter(|path| {
            fs::metadata(path).is_ok_and(|it| match me {
                0 => !is_real_to_root(path, &it),
                _ => it.uid() != me,
            })
        })
        .collect();
    lost.dedup();
    lost
}

/// Whether something else lies over a directory now.
fn is_covered(path: &Path) -> bool {
    SYSTEM.iter().chain([&"/run"]).any(|it| path.starts_with(it))
}

/// From a directory that was removed, `..` leads below what lies over its parent.
fn leave_what_is_gone() -> io::Result<()> {
    match is_covered(&fs::read_link("/proc/self/cwd")?) {
        true => std::env::set_current_dir("/"),
        false => Ok(()),
    }
}

/// The directories that programs are in, each once, by what it is and not by what links to it.
fn tool_places() -> Vec<PathBuf> {
    let found: BTreeSet<PathBuf> = PROGRAMS
        .iter()
        // Machines without /usr/local have no such tools.
        .filter_map(|place| fs::canonicalize(place).ok())
        .collect();
    found.into_iter().collect()
}

/// Plain files to stand the tools on, instead of whatever link is there.
fn reserve(covers: &[Cover], place: &Path, tools: &[String]) -> io::Result<()> {
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
fn place_tools(program: &Path, places: &[PathBuf], tools: &[String]) -> io::Result<()> {
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

pub(super) fn open_path(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// The name by which an open file can be given to mount(2), also once something else lies over it.
pub(super) fn seen(open: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

fn bind_open(open: &OwnedFd, path: &Path) -> io::Result<()> {
    Ok(mount_bind_recursive(seen(open), path)?)
}

/// Lays a link over a link itself, not over what it leads to.
pub(super) fn cover_link(link: &Path, with: &Path) -> io::Result<()> {
    put(tree(with, OpenTreeFlags::AT_SYMLINK_NOFOLLOW)?, link)
}

pub(super) fn tree(path: &Path, how: OpenTreeFlags) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | how;
    Ok(open_tree(CWD, path, flags)?)
}

pub(super) fn put(tree: OwnedFd, path: &Path) -> io::Result<()> {
    Ok(move_mount(
        tree,
        c"",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}
