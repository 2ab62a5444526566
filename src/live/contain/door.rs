//! The door: this program, started again to enter the namespaces.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{DumpableBehavior, Gid, Signal, Uid, set_dumpable_behavior, set_parent_process_death_signal};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::files::{open_path, seen};
use super::outside::{code_of, report};
use super::owned::{self, Made, Owned};
use super::{Failure, NOBODY, OWN, Who, inside, tried};
use crate::base::bytes::text_of_os;
use crate::device::limits::{Limits, mask_of_view};
use crate::device::standard::tell;
use crate::device::syscall::{Namespaces, inherited, let_signals_in, signals_to_pass_on, unshare};
use crate::lab::machine::Toolbox;

/// The first words that mean these two; nobody types them.
pub(crate) const DOOR: &str = "(contain)";
pub(crate) const INSIDE: &str = "(contained)";
/// And where nothing is contained: becomes COMMAND, with the signals that were kept back.
pub(crate) const PLAIN: &str = "(plain)";

/// The arguments after [`DOOR`] or [`INSIDE`]: who enters, the two descriptors, and COMMAND. The exit code is COMMAND's. The toolbox is what the
/// lab's tools are.
pub(crate) fn enter(word: &OsStr, args: &[OsString], toolbox: Toolbox) -> u8 {
    if word == PLAIN {
        return become_command(args);
    }
    let [who, calls, leash, live, rest @ ..] = args else {
        return 2;
    };
    mask_of_view();
    let who = who.to_str().and_then(Who::from_word);
    let (Some(who), Some(ends)) = (who, Ends::of(calls, leash, live)) else {
        return misused(word);
    };
    // Nothing of this shall outlive whoever holds the lab.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if word == INSIDE {
        return match rest
            .split_first()
            .and_then(|(list, command)| Some((Owned::of(list)?, command)))
        {
            Some((owned, command)) => inside::run(who, ends, &owned, toolbox, command),
            None => misused(word),
        };
    }
    // COMMAND gets them too, and decides; we stay for its exit code.
    let signals = signals_to_pass_on();
    let entered = match open(who) {
        Ok(Made::Holder) => return 0,
        Ok(Made::Here(owned)) => start(who, &ends, &owned, rest).map_err(tried("start the first process")),
        Err(failure) => Err(failure),
    };
    drop(signals);
    match entered {
        Ok(mut child) => {
            // Theirs alone, or their end would not be seen.
            drop(ends);
            child.wait().map_or(3, code_of)
        }
        Err(failure) => {
            report(&UnixStream::from(ends.leash), Err(failure));
            3
        }
    }
}

fn misused(word: &OsStr) -> u8 {
    tell!("nflab: {} is for nflab's own use", text_of_os(word));
    2
}

fn become_command(args: &[OsString]) -> u8 {
    let [limits, program, args @ ..] = args else {
        return 2;
    };
    let restored = limits
        .to_str()
        .and_then(|text| serde_json::from_str::<Limits>(text).ok())
        .is_some_and(|limits| limits.restore().is_ok());
    if !restored || let_signals_in().is_err() {
        return 3;
    }
    inside::cannot_run(program, &Command::new(program).args(args).exec())
}

/// What becomes COMMAND, with the limits that it shall have.
pub(crate) fn plainly(limits: Limits, command: &[OsString]) -> Command {
    let mut plain = Command::new("/proc/self/exe");
    plain
        .arg0("nflab")
        .arg(PLAIN)
        .arg(serde_json::to_string(&limits).unwrap_or_default())
        .args(command);
    plain
}

/// Goes to where the view is made: the machine's own user namespace for root, else one of the user's. What COMMAND has rights in is made below it.
fn open(who: Who) -> Result<Made, Failure> {
    match who {
        Who::Root => {
            unshare(Namespaces::Mount).map_err(tried("make namespaces"))?;
            fresh_switches();
        }
        Who::User => as_user()?,
        Who::Nobody => {
            bring_program().map_err(tried("bring the tools along"))?;
            // The others' ids are found in no map, and can't be taken on.
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            set_thread_groups(&[])
                .and_then(|()| set_thread_res_gid(group, group, group))
                .and_then(|()| set_thread_res_uid(user, user, user))
                // Who changed its user has files in /proc that are root's, until it says that there is no secret in it.
                .and_then(|()| set_dumpable_behavior(DumpableBehavior::Dumpable))
                .map_err(tried("become nobody"))?;
            as_user()?;
        }
    }
    let made = owned::make()?;
    if let Made::Here(_) = made {
        unshare(Namespaces::Process).map_err(tried("make a process namespace"))?;
    }
    Ok(made)
}

/// In a container `/proc/sys` is read-only, though its root may mount another. Where it may not, what needs it says so.
fn fresh_switches() {
    let read_only = statvfs("/proc/sys").is_ok_and(|it| it.f_flag.contains(StatVfsMountFlags::RDONLY));
    if read_only && mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).is_ok() {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let _ = mount("proc", "/proc", "proc", flags, None);
    }
}

/// The kernel takes a group map from an unprivileged process only after setgroups is given up (user_namespaces(7)).
fn as_user() -> Result<(), Failure> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    unshare(Namespaces::UserMount).map_err(tried("make a user namespace"))?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(tried(format!("write {path}")))?;
    }
    Ok(())
}

/// Where this program lies nobody may go, so that it is shown where everybody may.
fn bring_program() -> std::io::Result<()> {
    unshare(Namespaces::Mount)?;
    // It may lie in the /run that goes out of sight.
    let program = open_path(&std::env::current_exe()?)?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    mount(
        "tmpfs",
        "/run",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(c"mode=755"),
    )?;
    fs::create_dir(OWN)?;
    let shown = inside::program();
    fs::File::create(&shown)?;
    mount_bind(seen(&program), &shown)?;
    Ok(())
}

/// Our ends of what leads outside.
pub(super) struct Ends {
    pub calls: OwnedFd,
    pub leash: OwnedFd,
    /// The socket of a live lab.
    pub live: Option<OwnedFd>,
}

impl Ends {
    fn of(calls: &OsStr, leash: &OsStr, live: &OsStr) -> Option<Self> {
        let open = |text: &OsStr| inherited(text.to_str()?.parse::<RawFd>().ok()?).ok();
        Some(Self {
            calls: open(calls)?,
            leash: open(leash)?,
            live: match live == "-" {
                true => None,
                false => Some(open(live)?),
            },
        })
    }
}

fn start(who: Who, ends: &Ends, owned: &Owned, command: &[OsString]) -> std::io::Result<std::process::Child> {
    for end in [Some(&ends.calls), Some(&ends.leash), ends.live.as_ref()]
        .into_iter()
        .flatten()
        .chain(&owned.0)
    {
        fcntl_setfd(end, FdFlags::empty())?;
    }
    let live = ends
        .live
        .as_ref()
        .map_or("-".to_owned(), |it| it.as_raw_fd().to_string());
    Command::new("/proc/self/exe")
        .arg0("nflab")
        .arg(INSIDE)
        .arg(who.word())
        .arg(ends.calls.as_raw_fd().to_string())
        .arg(ends.leash.as_raw_fd().to_string())
        .arg(live)
        .arg(owned.list())
        .args(command)
        .spawn()
}
