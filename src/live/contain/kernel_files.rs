//! `/proc`, `/sys` and `/dev` as COMMAND sees them: its own processes, its own network, and of the machine's switches none that it could move.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, OpenTreeFlags, mount, mount_bind, mount_remount};

use super::{Failure, OWN, Who, files, tried};
use crate::device::syscall::{Restriction, restrict};

/// Makes them; what writes to the log of the system has to be heard from then on.
pub(super) fn make(who: Who) -> Result<Log, Failure> {
    let work = fs::read_link("/proc/self/cwd").map_err(tried("find the directory"))?;
    let log = devices().map_err(tried("make a /dev"))?;
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys")] {
        mount_kind(kind, place).map_err(tried(format!("mount {place}")))?;
    }
    processes().map_err(tried("close /proc"))?;
    system().map_err(tried("close /sys"))?;
    whole(who).map_err(tried("keep a /proc and a /sys for a lab inside the lab"))?;
    no_devices().map_err(tried("close devices that lie elsewhere"))?;
    if ["/proc", "/sys", "/dev"].iter().any(|it| work.starts_with(it)) {
        // Else we would stay in the machine's. What is there no more was a process's.
        std::env::set_current_dir(&work)
            .or_else(|_| std::env::set_current_dir("/"))
            .map_err(tried("go to the directory"))?;
    }
    Ok(log)
}

pub(super) const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Inside another containment of root's there is none that can be written to, see [`whole`].
fn mount_kind(kind: &str, place: &str) -> rustix::io::Result<()> {
    match mount(kind, place, kind, QUIET, None) {
        Err(Errno::PERM) => mount(kind, place, kind, QUIET | MountFlags::RDONLY, None),
        other => other,
    }
}

/// The kernel mounts another `/proc` or `/sys` only for who sees a whole one already, and no less closed than that is. Root owns the machine's
/// switches in it by its number alone, whatever its rights: so that it gets no other than one that is read-only.
fn whole(who: Who) -> io::Result<()> {
    let flags = match who {
        Who::Root => QUIET | MountFlags::RDONLY,
        Who::User | Who::Nobody => QUIET,
    };
    let place = Path::new(OWN).join("whole");
    DirBuilder::new().mode(0o700).create(&place)?;
    for kind in ["proc", "sysfs"] {
        let place = place.join(kind);
        fs::create_dir(&place)?;
        match mount(kind, &place, kind, flags, None) {
            // Inside another containment: it has been mounted once, read-only.
            Err(Errno::PERM) => mount(kind, &place, kind, QUIET | MountFlags::RDONLY, None)?,
            other => other?,
        }
    }
    Ok(())
}

/// A disk's node in some directory of the machine's is no way to the disk. A kernel before 5.12 can't say so of all mounts.
fn no_devices() -> io::Result<()> {
    let own = files::tree(Path::new("/dev"), OpenTreeFlags::AT_RECURSIVE)?;
    match restrict(c"/", Restriction::NoDevices) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => return Ok(()),
        other => other?,
    }
    files::put(own, Path::new("/dev"))
}

/// What is not the network's can be read only, or not at all.
fn processes() -> io::Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let of_a_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        let is_written_to = || entry.metadata().is_ok_and(|it| it.permissions().mode() & 0o222 != 0);
        if !of_a_process && (kind.is_dir() || kind.is_file() && is_written_to()) {
            read_only(&path)?;
        }
    }
    may_be_written_to("/proc/sys/net")?;
    for path in [
        "/proc/kcore",
        "/proc/kmsg",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/sched_debug",
    ] {
        if Path::new(path).exists() {
            mount_bind("/dev/null", path)?;
        }
    }
    Ok(())
}

/// Read-only, but for the interfaces, which are the lab's.
fn system() -> io::Result<()> {
    mount_remount("/sys", MountFlags::BIND | MountFlags::RDONLY | QUIET, c"")?;
    let links = "/sys/devices/virtual/net";
    if Path::new(links).exists() {
        may_be_written_to(links)?;
    }
    Ok(())
}

/// Inside another containment it may not.
fn may_be_written_to(path: &str) -> io::Result<()> {
    mount_bind(path, path)?;
    match mount_remount(path, MountFlags::BIND | QUIET, c"") {
        Err(Errno::PERM) => Ok(()),
        other => Ok(other?),
    }
}

fn read_only(path: &Path) -> io::Result<()> {
    mount_bind(path, path)?;
    Ok(mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | QUIET, c"")?)
}

/// What would go to the machine's log goes nowhere; whoever writes it shall not fail.
pub(super) struct Log(UnixDatagram);

impl Log {
    pub(super) fn listen(self) -> io::Result<()> {
        std::thread::Builder::new().spawn(move || {
            let mut line = [0; 1024];
            while self.0.recv(&mut line).is_ok() {}
        })?;
        Ok(())
    }
}

/// What holds nothing of the machine; terminals of its own, and the one that it was started in as the console.
fn devices() -> io::Result<Log> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut open: Vec<(&str, OwnedFd)> = ["null", "zero", "full", "random", "urandom", "tty", "net/tun"]
        .into_iter()
        .filter_map(|name| {
            Some((
                name,
                rustix::fs::open(Path::new("/dev").join(name), flags, Mode::empty()).ok()?,
            ))
        })
        .collect();
    let terminal = (0..=2)
        .filter_map(|number| fs::read_link(format!("/proc/self/fd/{number}")).ok())
        .find(|path| path.starts_with("/dev/pts") || path.starts_with("/dev/tty"));
    if let Some(terminal) = terminal.and_then(|it| rustix::fs::open(it, flags, Mode::empty()).ok()) {
        open.push(("console", terminal));
    }
    mount(
        "tmpfs",
        "/dev",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        Some(c"mode=755,size=1m"),
    )?;
    for directory in ["net", "pts", "shm"] {
        fs::create_dir(Path::new("/dev").join(directory))?;
    }
    for (name, device) in open {
        let path = Path::new("/dev").join(name);
        fs::File::create(&path)?;
        mount_bind(PathBuf::from(format!("/proc/self/fd/{}", device.as_raw_fd())), &path)?;
    }
    // A device of terminals looks for its file system beside itself, so that the machine's would find none here.
    let terminals = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount(
        "devpts",
        "/dev/pts",
        "devpts",
        terminals,
        Some(c"newinstance,ptmxmode=0666,mode=0620"),
    )?;
    symlink("pts/ptmx", "/dev/ptmx")?;
    mount(
        "tmpfs",
        "/dev/shm",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(c"mode=1777,size=256m"),
    )?;
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(to, Path::new("/dev").join(name))?;
    }
    let log = UnixDatagram::bind("/dev/log")?;
    fs::set_permissions("/dev/log", fs::Permissions::from_mode(0o666))?;
    Ok(Log(log))
}
