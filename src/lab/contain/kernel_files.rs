//! `/proc`, `/sys` and `/dev` as COMMAND sees them: its own processes, its own network, and of the machine's switches none that it could move.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};

use super::{Failure, tried};

pub fn make() -> Result<(), Failure> {
    devices().map_err(tried("make a /dev"))?;
    mount("proc", "/proc", "proc", QUIET, None).map_err(tried("mount /proc"))?;
    processes().map_err(tried("close /proc"))?;
    mount("sysfs", "/sys", "sysfs", QUIET, None).map_err(tried("mount /sys"))?;
    system().map_err(tried("close /sys"))
}

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// What is not the network's can be read only, or not at all.
fn processes() -> io::Result<()> {
    read_only("/proc/sys")?;
    mount_bind("/proc/sys/net", "/proc/sys/net")?;
    mount_remount("/proc/sys/net", MountFlags::BIND | QUIET, c"")?;
    for path in [
        "/proc/sysrq-trigger",
        "/proc/irq",
        "/proc/bus",
        "/proc/fs",
        "/proc/acpi",
        "/proc/scsi",
        "/proc/mtrr",
        "/proc/driver",
        "/proc/tty",
    ] {
        if Path::new(path).exists() {
            read_only(path)?;
        }
    }
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
        mount_bind(links, links)?;
        mount_remount(links, MountFlags::BIND | QUIET, c"")?;
    }
    Ok(())
}

fn read_only(path: &str) -> io::Result<()> {
    mount_bind(path, path)?;
    Ok(mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | QUIET, c"")?)
}

/// What holds nothing of the machine; terminals of its own, and the one that it was started in as the console.
fn devices() -> io::Result<()> {
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
    // What would go to the machine's log goes nowhere; whoever writes it shall not fail.
    std::thread::Builder::new().spawn(move || {
        let mut line = [0; 1024];
        while log.recv(&mut line).is_ok() {}
    })?;
    Ok(())
}
