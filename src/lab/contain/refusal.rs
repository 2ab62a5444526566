//! The kernel's own netfilter stays out of reach: what a program would tell it past the tools would be lost with the namespace, and nobody would
//! know. Such programs (`libnftables`, `libiptc`, `libipset`) are told that there is none.

use super::{Failure, tried};
use crate::device::syscall::filter_calls;

/// Netlink to netfilter is an unknown protocol, and the socket options that hold tables are unknown options. What speaks another machine's
/// calls (32-bit programs) is not looked at.
pub fn refuse_the_kernels_netfilter() -> Result<(), Failure> {
    let Some(architecture) = ARCHITECTURE else {
        return Ok(());
    };
    let mut filter = [
        load(4),
        unless(architecture, 20),
        load(0),
        unless(libc::SYS_socket as u32, 5),
        // socket(AF_NETLINK, any type, NETLINK_NETFILTER)
        load(argument(0)),
        unless(libc::AF_NETLINK as u32, 16),
        load(argument(2)),
        unless(libc::NETLINK_NETFILTER as u32, 14),
        refuse(libc::EPROTONOSUPPORT),
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
    ];
    filter_calls(&mut filter).map_err(tried("refuse the kernel's own netfilter"))
}

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
