//! Running a command in a host of a lab.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::namespace::Namespace;
use super::place::{HostRecord, RunningLab};
use crate::base::bytes::{quoted, text_of_os};
use crate::device::syscall::{Namespaces, unshare};

/// Becomes `command` in the host, where `names` (lines of `/etc/hosts`) are known: on success this never returns, and the exit status is the
/// command's. Call it from a process without threads: a lab in a user namespace can't be entered otherwise.
pub fn exec(lab: &RunningLab, host: &str, names: &str, command: &OsStr, args: &[OsString]) -> ExecError {
    if let Err(error) = enter(lab, host) {
        return error;
    }
    // As for sysfs: where it can't be done, addresses do.
    let _ = name_hosts(names);
    become_command(Command::new(command).args(args), lab)
}

/// Becomes a shell in the host, whose prompt says so where the shell takes that from its environment (`sh` does, and Debian's `bash`).
pub fn shell(lab: &RunningLab, host: &str, names: &str, shell: &OsStr) -> ExecError {
    if let Err(error) = enter(lab, host) {
        return error;
    }
    let _ = name_hosts(names);
    become_command(
        Command::new(shell)
            .env("PS1", format!("{host}\\$ "))
            .env("debian_chroot", host),
        lab,
    )
}

fn become_command(command: &mut Command, lab: &RunningLab) -> ExecError {
    let name = text_of_os(command.get_program());
    let source = command.env("NFLAB", &lab.socket).exec();
    match source.kind() {
        io::ErrorKind::NotFound => ExecError::NoCommand { command: name },
        _ => ExecError::CannotRun { command: name, source },
    }
}

/// Moves the calling thread into the host, for good.
pub fn enter(lab: &RunningLab, host: &str) -> Result<(), ExecError> {
    let record = find(lab, host)?;
    let failed = |step: &'static str| {
        let host = host.to_owned();
        move |source: io::Error| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => ExecError::NoPermission { host },
            _ => ExecError::Enter { host, step, source },
        }
    };
    if lab.state.user_namespace {
        let keeper = lab
            .state
            .keeper
            .open()
            .ok_or_else(|| ExecError::Gone { lab: lab.name.clone() })?;
        // Other mounts are entered at their root.
        let here = std::env::current_dir();
        enter_user_namespace(keeper.as_fd()).map_err(failed("setns"))?;
        // What is there no more, or is not seen there, stays behind.
        let _ = here.and_then(std::env::set_current_dir);
    }
    Namespace::at(&record.namespace).enter().map_err(failed("setns"))?;
    // Programs that look into /sys/class/net should see this namespace's devices. Where mounting isn't allowed they see the others, and all
    // that uses sockets and netlink is right nonetheless.
    let _ = own_sysfs();
    Ok(())
}

/// Those of the lab's keeper, by its descriptor and so surely by its. Who is in a host already is in its user namespace, too.
fn enter_user_namespace(keeper: BorrowedFd<'_>) -> io::Result<()> {
    match move_into_thread_name_spaces(keeper, ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT) {
        Err(rustix::io::Errno::INVAL) => Ok(move_into_thread_name_spaces(keeper, ThreadNameSpaceType::MOUNT)?),
        other => Ok(other?),
    }
}

fn find<'a>(lab: &'a RunningLab, host: &str) -> Result<&'a HostRecord, ExecError> {
    lab.state
        .hosts
        .iter()
        .find(|record| record.name == host)
        .ok_or_else(|| ExecError::NoHost {
            host: host.into(),
            lab: lab.name.clone(),
            known: lab.state.hosts.iter().map(|record| record.name.clone()).collect(),
        })
}

fn own_sysfs() -> io::Result<()> {
    unshare(Namespaces::Mount)?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    mount(
        "sysfs",
        "/sys",
        "sysfs",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        None,
    )?;
    Ok(())
}

/// Puts lines behind those of `/etc/hosts`, for this process and its children alone: [`enter`] gave it mounts of its own.
fn name_hosts(lines: &str) -> io::Result<()> {
    let mut text = std::fs::read(HOSTS)?;
    if !text.is_empty() && text.last() != Some(&b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(lines.as_bytes());
    // A file in memory can be mounted from a mounted file system alone, and stays when that goes.
    mount(
        "tmpfs",
        SCRATCH,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(c"mode=755"),
    )?;
    let file = Path::new(SCRATCH).join("nflab-hosts");
    let mounted = std::fs::write(&file, text).and_then(|()| Ok(mount_bind(&file, HOSTS)?));
    unmount(SCRATCH, UnmountFlags::DETACH)?;
    mounted
}

const HOSTS: &str = "/etc/hosts";
/// A directory that every machine has, covered for a moment.
const SCRATCH: &str = "/sys";

/// Why a command does not run in a host. [`Self::exit_code`] is what a shell would say.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    #[error("lab {lab:?} has no host {host}; {}", known_text(known), host = quoted(host))]
    NoHost {
        host: String,
        lab: String,
        known: Vec<String>,
    },
    #[error("no permission to enter host {host}: run `nflab exec` as the user who started the lab", host = quoted(host))]
    NoPermission { host: String },
    #[error("cannot enter host {host} ({step}): {source}", host = quoted(host))]
    Enter {
        host: String,
        step: &'static str,
        source: io::Error,
    },
    #[error("lab {lab:?} went away: start it again with `nflab up`")]
    Gone { lab: String },
    #[error("{command}: command not found")]
    NoCommand { command: String },
    #[error("cannot run {command}: {source}")]
    CannotRun { command: String, source: io::Error },
}

impl ExecError {
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NoHost { .. } => 2,
            Self::Gone { .. } => 4,
            Self::NoPermission { .. } | Self::Enter { .. } => 3,
            Self::NoCommand { .. } => 127,
            Self::CannotRun { .. } => 126,
        }
    }
}

fn known_text(known: &[String]) -> String {
    match known {
        [] => "its lab file has no [host.NAME] table".into(),
        names => format!("its hosts are {}", names.join(", ")),
    }
}
