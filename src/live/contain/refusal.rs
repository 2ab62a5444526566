//! The kernel's own netfilter: what a program would tell it past the tools would be lost with the namespace, and nobody would know.
//!
//! The socket options that hold tables (`libiptc`) are refused. Netlink can't be, since `firewalld` opens it whatever it does with it; so that who
//! gives rules that way (`libnftables`) is listened to, and told.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};

use super::{Failure, tried};
use crate::device::standard::tell;
use crate::device::syscall::{borrow, filter_calls};

/// From now on, for whatever is started. What speaks another machine's calls (32-bit programs) is not looked at, and a stranger's gets none.
pub(super) fn refuse_calls(of_a_stranger: bool) -> Result<(), Failure> {
    let Some(architecture) = ARCHITECTURE else {
        return Ok(());
    };
    if of_a_stranger {
        filter_calls(&mut others(architecture)).map_err(tried("refuse other machines' calls"))?;
        filter_calls(&mut nameless(architecture)).map_err(tried("refuse memory that is nobody's"))?;
    }
    filter_calls(&mut host(architecture)).map_err(tried("refuse sockets to the host"))?;
    filter_calls(&mut tables(architecture)).map_err(tried("refuse the kernel's own tables"))?;
    filter_calls(&mut words(architecture)).map_err(tried("refuse calls that reach a terminal or the kernel's log"))
}

/// The options that hold tables are unknown ones.
fn tables(architecture: u32) -> [libc::sock_filter; 17] {
    [
        load(4),
        unless(architecture, 14),
        load(0),
        // setsockopt and getsockopt(any, SOL_IPV6 or SOL_IP, option)
        jump(libc::BPF_JEQ, libc::SYS_setsockopt as u32, 1, 0),
        unless(libc::SYS_getsockopt as u32, 11),
        load(argument(1)),
        jump(libc::BPF_JEQ, libc::SOL_IP as u32, 4, 0),
        unless(libc::SOL_IPV6 as u32, 8),
        load(argument(2)),
        jump(libc::BPF_JGE, FIRST_OPTION, 0, 6),
        jump(libc::BPF_JGT, LAST_OF_IPV6, 5, 4),
        load(argument(2)),
        jump(libc::BPF_JEQ, SO_ORIGINAL_DST, 3, 0),
        jump(libc::BPF_JGE, FIRST_OPTION, 0, 2),
        jump(libc::BPF_JGT, LAST_OPTION, 1, 0),
        refuse(libc::ENOPROTOOPT),
        allow(),
    ]
}

/// The terminal that COMMAND is started in goes on to live: what it pushes into it as if somebody had typed it, the next shell would run. And
/// the kernel's log is the machine's.
fn words(architecture: u32) -> [libc::sock_filter; 10] {
    [
        load(4),
        unless(architecture, 7),
        load(0),
        jump(libc::BPF_JEQ, libc::SYS_syslog as u32, 4, 0),
        unless(libc::SYS_ioctl as u32, 4),
        load(argument(1)),
        jump(libc::BPF_JEQ, libc::TIOCSTI as u32, 1, 0),
        unless(TIOCLINUX, 1),
        refuse(libc::EPERM),
        allow(),
    ]
}

/// Memory that belongs to no process and to no file system, which no bound counts.
fn nameless(architecture: u32) -> [libc::sock_filter; 8] {
    [
        load(4),
        unless(architecture, 5),
        load(0),
        jump(libc::BPF_JEQ, libc::SYS_memfd_create as u32, 2, 0),
        jump(libc::BPF_JEQ, libc::SYS_memfd_secret as u32, 1, 0),
        unless(libc::SYS_shmget as u32, 1),
        refuse(libc::ENOSYS),
        allow(),
    ]
}

/// Sockets between a virtual machine and its host belong to no network namespace.
fn host(architecture: u32) -> [libc::sock_filter; 8] {
    [
        load(4),
        unless(architecture, 5),
        load(0),
        unless(libc::SYS_socket as u32, 3),
        load(argument(0)),
        unless(libc::AF_VSOCK as u32, 1),
        refuse(libc::EAFNOSUPPORT),
        allow(),
    ]
}

/// Calls of 32-bit programs; on x86 the same machine has another set, told by a bit.
fn others(architecture: u32) -> [libc::sock_filter; 6] {
    [
        load(4),
        unless(architecture, 2),
        load(0),
        jump(libc::BPF_JGE, FIRST_OF_X32, 0, 1),
        refuse(libc::ENOSYS),
        allow(),
    ]
}

const FIRST_OF_X32: u32 = 0x4000_0000;

/// Among others it pastes into a console.
const TIOCLINUX: u32 = 0x541C;

/// Listens to what is given to nf_tables, and says so once.
pub(super) struct Nftables(Option<Arc<Mutex<Listening>>>);

struct Listening {
    socket: Socket,
    told: bool,
}

impl Nftables {
    /// A kernel without it has nobody to listen to.
    pub(super) fn listen() -> Self {
        let listening = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(NFNLGRP_NFTABLES)?;
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        let Ok(socket) = listening() else { return Self(None) };
        let Ok(waiting) = rustix::io::fcntl_dupfd_cloexec(borrow(&socket, socket.as_raw_fd()), 0) else {
            return Self(None);
        };
        let shared = Arc::new(Mutex::new(Listening { socket, told: false }));
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            loop {
                let polled = poll(&mut [PollFd::new(&waiting, PollFlags::IN)], None);
                if polled.is_err() || ours.lock().hear() {
                    return;
                }
            }
        });
        Self(Some(shared))
    }

    /// What was given last; the kernel told it before who gave it went on.
    pub(super) fn finish(&self) {
        if let Some(listening) = &self.0 {
            listening.lock().hear();
        }
    }
}

impl Listening {
    /// Whether it was told.
    fn hear(&mut self) -> bool {
        while !self.told
            && let Ok((messages, _)) = self.socket.recv_from_full()
        {
            let mut rest = &messages[..];
            while let Some((&[l0, l1, l2, l3, first, second, ..], _)) = rest.split_first_chunk::<16>() {
                if !self.told && (first, second) == (NFT_MSG_NEWRULE, NFNL_SUBSYS_NFTABLES) {
                    tell!(
                        "nflab: rules were given to nf_tables of the kernel, past all tools (libnftables does so): a lab has none, so that they are in no lab"
                    );
                    self.told = true;
                }
                let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
                rest = rest.get(length.next_multiple_of(4).max(16)..).unwrap_or_default();
            }
        }
        self.told
    }
}

const NFNLGRP_NFTABLES: u32 = 7;
const NFNL_SUBSYS_NFTABLES: u8 = 10;
const NFT_MSG_NEWRULE: u8 = 6;

/// `IPT_BASE_CTL` and `IP6T_BASE_CTL`, where options that hold tables begin.
const FIRST_OPTION: u32 = 64;
/// From `IPV6_RECVTCLASS` on they are a socket's own again.
const LAST_OF_IPV6: u32 = 65;
/// The last of `EBT_BASE_CTL`'s.
const LAST_OPTION: u32 = 131;
/// A proxy asks it of its own connections.
const SO_ORIGINAL_DST: u32 = 80;

/// `AUDIT_ARCH_*`.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// Where the low half of an argument stands in `struct seccomp_data`; both machines write it first.
fn argument(number: u32) -> u32 {
    16 + 8 * number
}

fn load(at: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at)
}

/// Goes on where it is equal, else leaves out so many.
fn unless(value: u32, left_out: u8) -> libc::sock_filter {
    jump(libc::BPF_JEQ, value, 0, left_out)
}

fn jump(how: u32, value: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: (libc::BPF_JMP | how | libc::BPF_K) as u16,
        jt: if_true,
        jf: if_false,
        k: value,
    }
}

fn allow() -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW)
}

fn refuse(error: i32) -> libc::sock_filter {
    statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ERRNO | error.cast_unsigned(),
    )
}

fn statement(code: u32, value: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k: value,
    }
}
