//! The file system that COMMAND sees: the machine's own, but what it writes to directories of the system goes to memory, and to nothing when it ends
//! (`cover`); and wherever a tool of netfilter is, or would be, stands this program (`tools`).

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind_recursive,
    mount_change, move_mount, open_tree, unmount,
};

use super::cover::Cover;
use super::tools::{place_tools, reserve, tool_places};
use super::{Failure, OWN, Plan, Who, inside, tried};
use crate::base::bytes::text_of_path;

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
