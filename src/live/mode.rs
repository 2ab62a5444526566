//! Whether this process can bring up a live lab, and how: as root, or as root of a user namespace of its own.

use std::fs;
use std::io;
use std::time::Duration;

use crate::device::TunDevice;
use crate::device::syscall::{Namespaces, unshare};

use super::netlink::{Netlink, NetlinkError};

/// What [`probe`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Namespaces and TUN devices can be made right here.
    Root,
    /// They can after [`enter_user_namespace`].
    UserNamespace,
    /// They can't; the reason says what is missing and what to do.
    None(String),
}

/// Tries it out, leaving nothing behind.
pub fn probe() -> Mode {
    if let Err(error) = TunDevice::available() {
        return Mode::None(error.to_string());
    }
    let tried = std::thread::spawn(|| -> Result<(), String> {
        unshare(Namespaces::Network).map_err(|error| error.to_string())?;
        // Gone with this thread, as the namespace is.
        TunDevice::open("probe").map(drop).map_err(|error| error.to_string())
    });
    let as_root = tried.join().unwrap_or_else(|_| Err("the attempt failed".into()));
    match (as_root, user_namespaces_allowed()) {
        (Ok(()), _) => Mode::Root,
        (Err(_), Ok(())) => Mode::UserNamespace,
        (Err(root), Err(user)) => Mode::None(format!(
            "no network namespace can be made here ({root}), and no user namespace either ({user}): run as root"
        )),
    }
}

/// Moves the process into a user namespace in which it is root, with network and mount namespaces of its own. Call it before any thread is
/// started: the kernel refuses it to a process that has several. After it, the lab works as for root; from outside, `exec` finds the way
/// in through this process.
pub fn enter_user_namespace() -> Result<(), UserNamespaceError> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut tries = 0;
    let entered = loop {
        match unshare(Namespaces::UserNetworkMount) {
            // A thread that was joined a moment ago (by `probe`) may still be counted.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && tries < 100 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            other => break other,
        }
    };
    entered.map_err(|source| match source.raw_os_error() {
        Some(libc::EINVAL) => UserNamespaceError::Threads,
        Some(libc::EPERM | libc::ENOSPC | libc::EUSERS) => UserNamespaceError::Refused { source },
        _ => UserNamespaceError::Failed {
            step: "unshare".into(),
            source,
        },
    })?;
    // The kernel takes a group map from an unprivileged process only after setgroups is given up (user_namespaces(7)).
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(|source| UserNamespaceError::Failed { step: path, source })?;
    }
    Netlink::open()
        .map_err(|source| UserNamespaceError::Failed {
            step: "netlink".into(),
            source,
        })?
        .set_loopback_up()?;
    Ok(())
}

/// The switches that distributions have; only trying would tell for sure, and only a process without threads can try.
fn user_namespaces_allowed() -> Result<(), String> {
    for (path, forbids, remedy) in [
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "sysctl -w user.max_user_namespaces=1000",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ] {
        if fs::read_to_string(path).is_ok_and(|text| text.trim() == forbids) {
            return Err(format!("{path} is {forbids}; `{remedy}` allows them"));
        }
    }
    match fs::exists("/proc/self/ns/user") {
        Ok(true) => Ok(()),
        _ => Err("this kernel has none".into()),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum UserNamespaceError {
    #[error("a user namespace must be entered before any thread is started")]
    Threads,
    #[error(
        "the kernel refuses user namespaces to this user ({source}): run as root, or allow them (user.max_user_namespaces)"
    )]
    Refused { source: io::Error },
    #[error("cannot set up a user namespace ({step}): {source}")]
    Failed { step: String, source: io::Error },
    #[error("in the new user namespace: {0}")]
    Netlink(#[from] NetlinkError),
    #[error("no live lab here: {reason}")]
    Neither { reason: String },
}
