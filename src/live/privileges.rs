//! What the router's process may still do once its devices, the hosts' namespaces and the control socket stand: read and write what it has
//! open, accept at its socket, keep time and memory. It has no capability, gains none by any program, reaches no file, and calls nothing of
//! the kernel that it does not need.
//!
//! It stays who it was. A number like `nobody`'s is shared with others, who could signal a router that bears it; and being root without
//! capabilities only helps who can open a file, which the filter of calls and landlock each refuse.
//!
//! What a kernel cannot do is left out and told, in the lab's state and by `nflab up`.

use std::collections::BTreeMap;
use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetStatus, Scope,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use serde::{Deserialize, Serialize};

/// What a process may do, as `nflab status` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Privileges {
    /// All capabilities of all its sets, the bounding set too; zero is none.
    pub capabilities: u64,
    pub no_new_privs: bool,
    /// Whether the kernel asks a filter before each call.
    pub seccomp: bool,
    /// `no files (ABI 6)`; what is missing, where it is.
    pub landlock: String,
}

impl Privileges {
    /// A process's as `/proc` has them, but for landlock, which only the process itself is told of.
    pub fn of(pid: i32, landlock: &str) -> io::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_ascii_whitespace().nth(1)).unwrap_or("")
        };
        let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
        let all = |union, set| union | u64::from_str_radix(field(set), 16).unwrap_or(u64::MAX);
        Ok(Self {
            capabilities: sets.into_iter().fold(0, all),
            no_new_privs: field("NoNewPrivs:") == "1",
            seccomp: field("Seccomp:") == "2",
            landlock: landlock.to_owned(),
        })
    }

    /// What is missing of what [`end`] wants to reach, for a warning; `None` where nothing is.
    pub fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        if self.capabilities != 0 {
            missing.push(format!("it keeps capabilities ({:x})", self.capabilities));
        }
        if !self.no_new_privs {
            missing.push("it may gain privileges by programs".to_owned());
        }
        if !self.seccomp {
            missing.push("no filter of calls holds it".to_owned());
        }
        if !self.landlock.starts_with(NO_FILES) {
            missing.push(format!("landlock: {}", self.landlock));
        }
        (!missing.is_empty()).then(|| missing.join("; "))
    }
}

impl std::fmt::Display for Privileges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.capabilities {
            0 => f.write_str("no capabilities")?,
            some => write!(f, "capabilities {some:x}")?,
        }
        let has = |has: bool| if has { "" } else { "no " };
        write!(f, ", {}no_new_privs", if self.no_new_privs { "" } else { "without " })?;
        write!(f, ", {}seccomp filter, landlock: {}", has(self.seccomp), self.landlock)
    }
}

/// Ends the privileges of the calling thread, and of all that it starts. Says what became of landlock; the rest can be read in
/// [`Privileges::of`].
pub fn end() -> io::Result<String> {
    end_capabilities()?;
    set_no_new_privs(true)?;
    let landlock = close_files();
    // A kernel without filters is told by what `/proc` says, as is an architecture for which there are none.
    if let Ok([allowed, absent]) = filters()
        && apply_filter(&allowed).is_ok()
    {
        apply_filter(&absent).map_err(io::Error::other)?;
    }
    Ok(landlock)
}

fn end_capabilities() -> io::Result<()> {
    clear_ambient_capability_set()?;
    for number in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel knows none of this number, nor any of a higher.
            Err(rustix::io::Errno::INVAL) => break,
            // Who has no capability may not empty this set, and it gives them nothing: `no_new_privs` sees to that.
            Err(rustix::io::Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}

/// No file at all, no TCP port, no abstract socket and no signal to others, as far as the kernel's landlock goes.
fn close_files() -> String {
    let restricted = || -> Result<RestrictionStatus, landlock::RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .restrict_self()
    };
    match restricted() {
        Err(error) => format!("not there ({error})"),
        Ok(status) => match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
                "not there (the kernel was started without it)".into()
            }
            (RulesetStatus::NotEnforced, _) => "not there (the kernel was built without it)".into(),
            (_, LandlockStatus::Available { effective_abi, .. }) => {
                format!("{NO_FILES} (ABI {})", effective_abi as i32)
            }
            _ => NO_FILES.into(),
        },
    }
}

/// Two filters, of which the stricter answer counts, and of equal ones that of the later. What is not allowed fails with EPERM, and does not
/// kill: the C library tries calls (it opens a file to learn how memory is committed) and does without where they fail.
fn filters() -> Result<[BpfProgram; 2], Box<dyn std::error::Error>> {
    let arch = std::env::consts::ARCH.try_into()?;
    let errno = |number: i32| SeccompAction::Errno(number as u32);
    let allowed = SeccompFilter::new(rules()?, errno(libc::EPERM), SeccompAction::Allow, arch)?;
    // The flags of `clone3` lie in memory, where no filter can look; the C library takes `clone` instead where there is none. And what
    // installs this second filter is not needed after it.
    let absent = BTreeMap::from([(libc::SYS_clone3, Vec::new()), (libc::SYS_seccomp, Vec::new())]);
    let absent = SeccompFilter::new(absent, SeccompAction::Allow, errno(libc::ENOSYS), arch)?;
    Ok([allowed.try_into()?, absent.try_into()?])
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let is = |argument, value: u64| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let has = |argument, mask: i32, value: i32| {
        let operator = SeccompCmpOp::MaskedEq(mask as u64);
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value as u64)
    };
    let one = |condition| SeccompRule::new(vec![condition]);
    // Threads, no processes.
    rules.insert(
        libc::SYS_clone,
        vec![one(has(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?)?],
    );
    // Memory, no code.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![one(has(2, libc::PROT_EXEC, 0)?)?]);
    }
    // Whether reading waits, and nothing else of what a device can be told.
    rules.insert(libc::SYS_ioctl, vec![one(is(1, libc::FIONBIO)?)?]);
    // A thread's name, what memory is called in /proc, and what `seccompiler` calls before the second filter.
    let options = [libc::PR_SET_NAME as u64, PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS as u64];
    let options = options.map(|option| one(is(0, option)?));
    rules.insert(libc::SYS_prctl, options.into_iter().collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_seccomp, Vec::new());
    // Two ends of a wire within the process, and no socket that could reach out.
    rules.insert(libc::SYS_socketpair, vec![one(is(0, libc::AF_UNIX as u64)?)?]);
    // Of the calling thread alone.
    for call in [libc::SYS_getpriority, libc::SYS_setpriority] {
        let own = SeccompRule::new(vec![is(0, libc::PRIO_PROCESS.into())?, is(1, 0)?])?;
        rules.insert(call, vec![own]);
    }
    // Only to itself: `abort` does it.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![one(is(0, own)?)?]);
    Ok(rules)
}

/// What the router calls, as far as the tests over its commands and floods of its socket have shown, and what the C library may call instead
/// on another machine.
const ALLOWED: &[i64] = &[
    // What is open: packets, the control socket, what it prints.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_accept4,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_fstat,
    libc::SYS_lseek,
    // Waiting, and being woken by another thread.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_signalfd4,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_membarrier,
    libc::SYS_gettid,
    libc::SYS_getpid,
    // Whoever connects is compared with it.
    libc::SYS_geteuid,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // What this architecture has besides, under older names.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

const NO_FILES: &str = "no files";
/// What is asked for where the kernel has it.
const NEWEST: ABI = ABI::V6;
/// `prctl(PR_SET_VMA, ...)`, by which the C library names memory.
const PR_SET_VMA: u64 = 0x5356_4d41;
