//! The few Linux calls that no safe crate offers. All `unsafe` of the project is here, with the reason on each block.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::thread::UnshareFlags;

/// A borrowed descriptor of something that only offers the raw number (`tun_tap::Iface`).
pub fn borrow<T>(_owner: &T, raw: RawFd) -> BorrowedFd<'_> {
    // SAFETY: the number is the owner's, and the borrow lives no longer than the owner does.
    unsafe { BorrowedFd::borrow_raw(raw) }
}

/// Moves the calling thread into new namespaces.
pub fn unshare(namespaces: Namespaces) -> io::Result<()> {
    let flags = match namespaces {
        Namespaces::Network => UnshareFlags::NEWNET,
        Namespaces::Mount => UnshareFlags::NEWNS,
        Namespaces::UserNetworkMount => UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWNS,
    };
    // SAFETY: only `CLONE_FILES` endangers memory safety (a thread would lose descriptors that others own); no variant holds it.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// What [`unshare`] makes anew.
#[derive(Clone, Copy, Debug)]
pub enum Namespaces {
    Network,
    Mount,
    UserNetworkMount,
}

/// A descriptor that becomes readable on SIGINT, SIGTERM or SIGHUP; those signals no longer end the calling thread, nor threads it starts later.
///
/// A shell without job control starts what ends in `&` with SIGINT ignored, and a lab shall end by it all the same; a blocked signal is kept
/// even when it is ignored. Not so SIGHUP: who ignores that (`nohup`) means it.
pub fn termination_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is plain memory that `sigemptyset` fills before anything reads it, and every call is given a valid pointer to it.
    // The descriptor is fresh, so nobody else owns it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGINT, libc::SIGTERM] {
            libc::sigaddset(&raw mut set, signal);
        }
        let mut hang_up: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut hang_up);
        if hang_up.sa_sigaction != libc::SIG_IGN {
            libc::sigaddset(&raw mut set, libc::SIGHUP);
        }
        let failed = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            raw => Ok(OwnedFd::from_raw_fd(raw)),
        }
    }
}
