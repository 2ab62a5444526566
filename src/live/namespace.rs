//! Network namespaces with a name, as `ip netns` knows them: a file under `/run/netns` on which the namespace is mounted.
//!
//! A namespace belongs to threads, not to processes, so work inside one is done on a thread of its own that ends with the work.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_bind_recursive, mount_change, unmount};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::base::bytes::text_of_path;
use crate::device::syscall::{Namespaces, unshare};

/// Where `ip netns` looks for names.
pub const SYSTEM_DIRECTORY: &str = "/run/netns";

/// A network namespace that a file holds. Dropping the value leaves the namespace; [`remove`](Self::remove) takes it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    path: PathBuf,
}

/// Which namespace it is, as the kernel numbers them: equal for two files of one namespace, and what `/proc/PID/ns/net` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
}

impl Namespace {
    /// Makes a new namespace and its name. `lo` in it is still down.
    pub fn create(directory: &Path, name: impl AsRef<Path>) -> Result<Self, NamespaceError> {
        let path = directory.join(&name);
        let at = |call: &'static str| {
            let path = path.clone();
            move |source: io::Error| match source.raw_os_error() {
                Some(libc::EEXIST) => NamespaceError::Exists { path },
                Some(libc::EPERM | libc::EACCES) => NamespaceError::NoPermission { path, call },
                _ => NamespaceError::Failed { path, call, source },
            }
        };
        fs::create_dir_all(directory).map_err(at("mkdir"))?;
        if directory == Path::new(SYSTEM_DIRECTORY) {
            share(directory).map_err(at("mount"))?;
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(at("create"))?;
        let made = on_a_thread(|| {
            unshare(Namespaces::Network).map_err(at("unshare"))?;
            mount_bind("/proc/thread-self/ns/net", &path).map_err(|error| at("mount")(error.into()))
        });
        match made.map_err(at("thread")).flatten() {
            Ok(()) => Ok(Self { path }),
            Err(error) => {
                // The name without a namespace would be in the way of the next try.
                let _ = fs::remove_file(directory.join(name));
                Err(error)
            }
        }
    }

    /// One that exists.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn identity(&self) -> io::Result<Identity> {
        identity(&self.path)
    }

    /// Runs `work` on a thread inside the namespace and waits for it. Threads and processes that it starts stay inside.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_a_thread(|| {
            self.enter()?;
            Ok(work())
        })
        .flatten()
    }

    /// Moves the calling thread into the namespace, for good.
    pub fn enter(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(&self.path)?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(io::Error::from)
    }

    /// Removes the name; the namespace goes when nothing is in it any more. One that is gone already is no error.
    pub fn remove(&self) -> io::Result<()> {
        match unmount(&self.path, UnmountFlags::DETACH) {
            // EINVAL: the name is there, but nothing is mounted on it (its maker was killed in between). EPERM: from outside of the user
            // namespace in which it was mounted; if anything were mounted here too, the name could not be removed.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The processes inside: whose first thread is there.
    pub fn processes(&self) -> Vec<i32> {
        self.identity()
            .map(|identity| Inside::of(identity).processes())
            .unwrap_or_default()
    }
}

/// What tells the processes in a host from others.
#[derive(Clone, Debug)]
pub struct Inside {
    /// Of their network namespace.
    pub identity: Identity,
    /// What they see mounted, where that is asked: the kernel gives the number of a namespace that is gone to the next.
    pub mounted: Option<PathBuf>,
}

impl Inside {
    pub fn of(identity: Identity) -> Self {
        Self {
            identity,
            mounted: None,
        }
    }

    /// The processes, by asking each what it is in; this one is left out.
    pub fn processes(&self) -> Vec<i32> {
        let own = std::process::id() as i32;
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| *pid != own && self.holds(*pid))
            .collect()
    }

    fn holds(&self, pid: i32) -> bool {
        identity(Path::new(&format!("/proc/{pid}/ns/net"))).is_ok_and(|found| found == self.identity)
            && self.mounted.as_deref().is_none_or(|path| sees_mounted(pid, path))
    }
}

/// Whether a process has something mounted there. In mountinfo the kernel writes blanks and backslashes of a path in octal.
fn sees_mounted(pid: i32, path: &Path) -> bool {
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => escaped.extend(format!("\\{byte:03o}").bytes()),
            byte => escaped.push(*byte),
        }
    }
    let mounts = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    mounts
        .split(|byte| *byte == b'\n')
        .any(|line| line.split(|byte| *byte == b' ').nth(4) == Some(&escaped))
}

/// Ends all processes in a namespace: asks first, insists after `patience`. Says which are left (none, but for processes in a state in
/// which the kernel delivers no signal).
pub fn end_processes(inside: &Inside, patience: Duration) -> Vec<i32> {
    for signal in [Signal::TERM, Signal::KILL] {
        for pid in inside.processes() {
            signal_inside(pid, inside, signal);
        }
        let deadline = Instant::now() + patience;
        while !inside.processes().is_empty() {
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    inside.processes()
}

/// A number may have gone to another process since it was listed; a descriptor can't, so look again once it is open.
fn signal_inside(pid: i32, inside: &Inside, signal: Signal) {
    if let Some(pid_number) = Pid::from_raw(pid)
        && let Ok(process) = pidfd_open(pid_number, PidfdFlags::empty())
        && inside.holds(pid)
    {
        // It may have ended by itself, which is as good.
        let _ = pidfd_send_signal(process, signal);
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

/// What `ip netns add` does before its first namespace: without it, a name made in one mount namespace would not show in others, and
/// could not be removed where it shows.
fn share(directory: &Path) -> io::Result<()> {
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    match mount_change(directory, shared) {
        // Not a mount point yet.
        Err(rustix::io::Errno::INVAL) => {
            mount_bind_recursive(directory, directory)?;
            mount_change(directory, shared)?;
            Ok(())
        }
        other => Ok(other?),
    }
}

/// Runs `work` on a thread of its own, because what it does to its namespaces can't be undone.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("namespace".into())
            .spawn_scoped(scope, work)?;
        thread.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}

#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    #[error(
        "the network namespace {} exists already: remove it with `ip netns delete`, or give the lab another name",
        text_of_path(path)
    )]
    Exists { path: PathBuf },
    #[error(
        "no permission to make the network namespace {} ({call}): run as root, or where unprivileged user namespaces are allowed",
        text_of_path(path)
    )]
    NoPermission { path: PathBuf, call: &'static str },
    #[error("cannot make the network namespace {} ({call}): {source}", text_of_path(path))]
    Failed {
        path: PathBuf,
        call: &'static str,
        source: io::Error,
    },
}
