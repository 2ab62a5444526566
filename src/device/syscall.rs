//! The few Linux calls that no safe crate offers. All `unsafe` of the project is here, with the reason on each block.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// A borrowed descriptor of something that only offers the raw number (`tun_tap::Iface`).
pub fn borrow<T>(_owner: &T, raw: RawFd) -> BorrowedFd<'_> {
    // SAFETY: the number is the owner's, and the borrow lives no longer than the owner does.
    unsafe { BorrowedFd::borrow_raw(raw) }
}

/// How a TUN is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunFlags {
    /// A header of ten bytes stands before each packet (`IFF_VNET_HDR`).
    pub header: bool,
    /// The file is one queue of several (`IFF_MULTI_QUEUE`), all opened so.
    pub several: bool,
}

/// Makes a TUN device in the namespace of the calling thread, or another queue of one. The name has been checked. Reading from it does not wait.
pub fn open_tun(name: &str, flags: TunFlags) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let of_file = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open("/dev/net/tun", of_file, Mode::empty())?;
    let if_so = |is_so: bool, flag: u16| if is_so { flag } else { 0 };
    let mut request =
        tun_request(IFF_TUN | IFF_NO_PI | if_so(flags.header, IFF_VNET_HDR) | if_so(flags.several, IFF_MULTI_QUEUE));
    let length = name.len().min(15);
    request[..length].copy_from_slice(&name.as_bytes()[..length]);
    let header: libc::c_int = 10;
    // SAFETY: both calls read (the first writes, too) what the pointers lead to, which is as large as the kernel's types and lives through them.
    unsafe {
        if libc::ioctl(file.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) == -1
            || flags.header && libc::ioctl(file.as_raw_fd(), TUNSETVNETHDRSZ, &raw const header) == -1
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(file)
}

/// Takes a queue out of those that the kernel puts packets into. What is written to it goes on as before.
pub fn detach_tun_queue(queue: &OwnedFd) -> io::Result<()> {
    let request = tun_request(IFF_DETACH_QUEUE);
    // SAFETY: the call reads what the pointer leads to, which is as large as the kernel's type and lives through it.
    match unsafe { libc::ioctl(queue.as_raw_fd(), TUNSETQUEUE, request.as_ptr()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// `struct ifreq`: sixteen bytes of a name, and of the rest only the flags count.
fn tun_request(flags: u16) -> [u8; 40] {
    let mut request = [0; 40];
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    request
}

/// What a TUN's reader takes unfinished, in the bits of `TUN_F_...`.
pub fn set_tun_offload(tun: &OwnedFd, bits: libc::c_uint) -> io::Result<()> {
    // SAFETY: the argument is a number, no pointer.
    match unsafe { libc::ioctl(tun.as_raw_fd(), TUNSETOFFLOAD, libc::c_ulong::from(bits)) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Reads a record whose first bytes go into `header` and the others into `body`, as far as its capacity goes and in the place of what was there.
/// Says how many bytes came in all.
pub fn read_header_and_body(file: BorrowedFd<'_>, header: &mut [u8], body: &mut Vec<u8>) -> io::Result<usize> {
    body.clear();
    let parts = [
        libc::iovec {
            iov_base: header.as_mut_ptr().cast(),
            iov_len: header.len(),
        },
        libc::iovec {
            iov_base: body.as_mut_ptr().cast(),
            iov_len: body.capacity(),
        },
    ];
    // SAFETY: both parts may be written to over their whole length, and live through the call.
    let read = unsafe { libc::readv(file.as_raw_fd(), parts.as_ptr(), 2) };
    let Ok(read) = usize::try_from(read) else {
        return Err(io::Error::last_os_error());
    };
    let in_body = read.saturating_sub(header.len()).min(body.capacity());
    // SAFETY: the kernel has just written so many bytes there, and no more than there is room for.
    unsafe { body.set_len(in_body) };
    Ok(read)
}

const IFF_TUN: u16 = 0x0001;
const IFF_MULTI_QUEUE: u16 = 0x0100;
const IFF_DETACH_QUEUE: u16 = 0x0400;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54d0;
const TUNSETQUEUE: libc::Ioctl = 0x4004_54d9;
const TUNSETVNETHDRSZ: libc::Ioctl = 0x4004_54d8;

/// Moves the calling thread into new namespaces.
pub fn unshare(namespaces: Namespaces) -> io::Result<()> {
    let flags = match namespaces {
        Namespaces::Network => UnshareFlags::NEWNET,
        Namespaces::Mount => UnshareFlags::NEWNS,
        Namespaces::UserNetworkMount => UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWNS,
        Namespaces::User => UnshareFlags::NEWUSER,
        Namespaces::UserMount => UnshareFlags::NEWUSER | UnshareFlags::NEWNS,
        Namespaces::Process => UnshareFlags::NEWPID,
        Namespaces::Cgroup => UnshareFlags::NEWCGROUP,
        Namespaces::Owned => UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC,
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
    User,
    UserMount,
    /// For children.
    Process,
    Cgroup,
    /// A user namespace, with the network, names and IPC that belong to it.
    Owned,
}

/// A descriptor that this process was started with, by the number that its arguments tell. It is closed where the next program begins.
pub fn inherited(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `F_GETFD` takes any number, and tells whether it is open. Whoever started us made this one for us, and nothing here has it yet.
    let owned = unsafe {
        if libc::fcntl(raw, libc::F_GETFD) == -1 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(raw)
    };
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC)?;
    Ok(owned)
}

/// Closes every descriptor that this process was started with, but for the standard ones. Call it where nothing here has opened any yet, or all
/// that was is closed again. A kernel before 5.9 has no such call, and they stay open.
pub fn close_inherited() {
    // SAFETY: by the rule above nothing in this process owns one of these numbers.
    unsafe { libc::syscall(libc::SYS_close_range, libc::STDERR_FILENO + 1, libc::c_uint::MAX, 0) };
}

/// What a mount no longer allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restriction {
    ReadOnly,
    NoDevices,
}

/// Takes something away from a mount and all below it.
pub fn restrict(mount: &std::ffi::CStr, what: Restriction) -> io::Result<()> {
    // `MOUNT_ATTR_RDONLY` or `MOUNT_ATTR_NODEV` to set, nothing to clear.
    let attributes: [u64; 4] = match what {
        Restriction::ReadOnly => [1, 0, 0, 0],
        Restriction::NoDevices => [4, 0, 0, 0],
    };
    // SAFETY: the path ends with a zero byte, and the structure is four 64-bit numbers (mount_setattr(2)), which live through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            mount.as_ptr(),
            libc::AT_RECURSIVE,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Leaves the keys of the session that this process was started in, for a session of its own. A kernel without keys has none to leave.
pub fn leave_keys() -> io::Result<()> {
    // SAFETY: the command takes a name or none, and none is given.
    match unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    } {
        -1 => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;

/// From now on each system call of the calling thread, and of what it starts, goes through this filter (seccomp(2)). Needs `CAP_SYS_ADMIN`, since
/// programs that raise their rights shall still do it.
pub fn filter_calls(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the instructions, which live through the call, and checks them.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A descriptor that gives the signals that a user or the system sends to end a program (SIGINT, SIGQUIT, SIGTERM, SIGHUP), but for those that are
/// ignored; the calling thread and those it starts later no longer end by them. Nor do programs that it starts, until they let them in again.
pub fn signals_to_pass_on() -> io::Result<OwnedFd> {
    // SAFETY: as in `termination_signals`.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP] {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut now);
            if now.sa_sigaction != libc::SIG_IGN {
                libc::sigaddset(&raw mut set, signal);
            }
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

/// The signals that [`signals_to_pass_on`] keeps back reach the calling thread again, and programs that it becomes or starts.
pub fn let_signals_in() -> io::Result<()> {
    // SAFETY: as in `termination_signals`.
    let failed = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut())
    };
    match failed {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Which process [`fork`] came back in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    Child,
    Parent(Pid),
}

/// Makes a second process of this one. A process with several threads is refused it: the child would have one of them alone, and whatever
/// the others held would be held for ever.
pub fn fork() -> io::Result<Forked> {
    let mut tries = 0;
    while std::fs::read_dir("/proc/self/task")?.count() > 1 {
        // A thread that was joined a moment ago is still listed.
        if tries == 100 {
            return Err(io::Error::other(
                "this process has several threads, and cannot be divided",
            ));
        }
        tries += 1;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // SAFETY: this is the only thread, as was just seen, and only it could start another; so in the child nothing is half done or locked.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Pid::from_raw(pid)
            .map(Forked::Parent)
            .ok_or_else(|| io::Error::other("no number came back for the new process")),
    }
}

/// A descriptor that becomes readable on SIGINT, SIGQUIT (Ctrl-\\), SIGTERM or SIGHUP; those signals no longer end the calling thread, nor threads it starts later.
///
/// A shell without job control starts what ends in `&` with SIGINT ignored, and a lab shall end by it all the same; a blocked signal is kept
/// even when it is ignored. Not so SIGHUP: who ignores that (`nohup`) means it.
pub fn termination_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is plain memory that `sigemptyset` fills before anything reads it, and every call is given a valid pointer to it.
    // The descriptor is fresh, so nobody else owns it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
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

/// Whether this program was started with its standard output closed. Rust's own start puts `/dev/null` there, so it is looked at before.
pub fn output_was_closed() -> bool {
    OUTPUT_WAS_CLOSED.load(Ordering::Relaxed)
}

static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

extern "C" fn look_at_output() {
    // SAFETY: asks for a descriptor's flags, which any number may be given to.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    OUTPUT_WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

// SAFETY: the loader calls what stands in this section before `main`, as C functions; this one needs nothing that Rust's start prepares.
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_RUST_STARTS: extern "C" fn() = look_at_output;

/// A file that is removed when SIGINT, SIGTERM or SIGHUP ends the process, as long as this lives.
#[derive(Debug)]
pub struct RemovedOnSignal(usize);

impl RemovedOnSignal {
    /// The file may be made afterwards. A signal that is ignored, or waited for elsewhere, is left so.
    pub fn register(path: &Path) -> io::Result<Self> {
        static ARMED: Once = Once::new();
        ARMED.call_once(|| {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                arm(signal);
            }
        });
        let path = CString::new(path.as_os_str().as_bytes())?.into_raw();
        let free = std::ptr::null_mut();
        let at = REMOVED_ON_SIGNAL.iter().position(|slot| {
            slot.compare_exchange(free, path, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        // What is no longer wanted stays in memory: a handler may be looking at it.
        at.map(Self)
            .ok_or_else(|| io::Error::other("too many files are being written"))
    }
}

impl Drop for RemovedOnSignal {
    fn drop(&mut self) {
        REMOVED_ON_SIGNAL[self.0].store(std::ptr::null_mut(), Ordering::Release);
    }
}

static REMOVED_ON_SIGNAL: [AtomicPtr<libc::c_char>; 32] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 32];

fn arm(signal: libc::c_int) {
    // SAFETY: both structures are plain memory that is filled before it is read; the handler does only what is allowed in one.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now);
        if now.sa_sigaction != libc::SIG_DFL {
            return;
        }
        now.sa_sigaction = remove_and_end as *const () as libc::sighandler_t;
        libc::sigaction(signal, &raw const now, std::ptr::null_mut());
    }
}

extern "C" fn remove_and_end(signal: libc::c_int) {
    for slot in &REMOVED_ON_SIGNAL {
        let path = slot.load(Ordering::Acquire);
        if !path.is_null() {
            // SAFETY: what stands in a slot is a text with its NUL that is never freed. `unlink` is allowed in a handler.
            unsafe { libc::unlink(path) };
        }
    }
    // SAFETY: both are allowed in a handler; the signal ends the process when this returns and it is no longer held back.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
