//! The first process inside: makes the view, serves the tools, starts COMMAND and waits for it. When it ends, all in its namespace does.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use rustix::thread::{
    CapabilitySet, clear_ambient_capability_set, remove_capability_from_bounding_set, set_no_new_privs,
};

use super::bounds::{self, Met};
use super::confine::{ScriptDirectory, confine};
use super::door::{Ends, plainly};
use super::outside::{self, report};
use super::owned::Owned;
use super::relay::{self, Relay};
use super::{Failure, OWN, Plan, Who, files, kernel_files, links, refusal, tried, without_number};
use crate::base::bytes::text_of_os;
use crate::device::limits::Limits;
use crate::device::standard::tell;
use crate::device::syscall::{leave_keys, let_signals_in};
use crate::lab::machine::Toolbox;

/// Where this program is shown inside.
pub(crate) fn program() -> PathBuf {
    Path::new(OWN).join("nflab")
}

/// Where the tools stand that come first in `PATH`.
fn first_tools() -> PathBuf {
    Path::new(OWN).join("bin")
}

pub(super) fn run(who: Who, ends: Ends, owned: &Owned, toolbox: Toolbox, command: &[OsString]) -> u8 {
    let Ends { calls, leash, live } = ends;
    let (calls, leash) = (UnixStream::from(calls), UnixStream::from(leash));
    // They are for COMMAND, which inherits what comes through. A first process is not ended by them.
    if let_signals_in().is_err() {
        return 3;
    }
    let mut orders = BufReader::new(match leash.try_clone() {
        Ok(orders) => orders,
        Err(_) => return 3,
    });
    let mut line = String::new();
    let plan = match orders.read_line(&mut line) {
        Ok(1..) => serde_json::from_str::<Plan>(&line).map_err(tried("read the plan")),
        // Whoever started us is gone.
        _ => return 3,
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(failure) => {
            report(&leash, Err(failure));
            return 3;
        }
    };
    match furnish(who, &plan, owned, toolbox, calls, live) {
        Ok((relay, kept)) => {
            let past = refusal::Nftables::listen();
            report(&leash, Ok(()));
            let (code, met) = command_and_all(&plan, orders, command);
            past.finish();
            relay.finish();
            if let Some(Err(error)) = kept.map(|kept| kept.bring_back(TOLD_BY_FILES)) {
                tell!(
                    "nflab: what the script set is not known: {}",
                    without_number(&error.to_string())
                );
            }
            if let Some(met) = met {
                outside::report_met(&leash, met);
            }
            code
        }
        Err(failure) => {
            report(&leash, Err(failure));
            3
        }
    }
}

fn furnish(
    who: Who,
    plan: &Plan,
    owned: &Owned,
    toolbox: Toolbox,
    calls: UnixStream,
    live: Option<OwnedFd>,
) -> Result<(Relay, Option<ScriptDirectory>), Failure> {
    owned.enter_network()?;
    links::make(plan)?;
    files::make(who, plan)?;
    let log = kernel_files::make(who)?;
    let kept = match &plan.only {
        Some(directory) => Some(confine(directory)?),
        None => None,
    };
    let relay = relay::Ready::make(calls, live, toolbox)?;
    // A thread can't enter a user namespace alone, so that none was started so far.
    owned.enter()?;
    let relay = relay.start().map_err(tried("start a thread"))?;
    log.listen().map_err(tried("start a thread"))?;
    drop_rights(plan)?;
    if plan.only.is_some() {
        bounds::set()?;
    }
    Ok((relay, kept))
}

/// What a command has no use for. Its rights reach no further than its own namespaces; this is a second lock.
fn drop_rights(plan: &Plan) -> Result<(), Failure> {
    let mut dropped = CapabilitySet::SYS_MODULE
        | CapabilitySet::SYS_RAWIO
        | CapabilitySet::SYS_BOOT
        | CapabilitySet::SYS_TIME
        | CapabilitySet::SYSLOG
        | CapabilitySet::MKNOD
        | CapabilitySet::LINUX_IMMUTABLE
        | CapabilitySet::MAC_ADMIN
        | CapabilitySet::MAC_OVERRIDE
        | CapabilitySet::AUDIT_CONTROL
        | CapabilitySet::AUDIT_READ
        | CapabilitySet::WAKE_ALARM
        | CapabilitySet::BLOCK_SUSPEND
        | CapabilitySet::PERFMON
        | CapabilitySet::BPF
        | CapabilitySet::CHECKPOINT_RESTORE;
    if plan.only.is_some() {
        dropped = CapabilitySet::from_bits_retain((1 << (CHECKPOINT_RESTORE + 1)) - 1);
    }
    leave_keys().map_err(tried("leave the session's keys"))?;
    refusal::refuse_calls(plan.only.is_some())?;
    // Of those that the bits hold: an older kernel does not know the last ones.
    for number in 0..=CHECKPOINT_RESTORE {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if dropped.contains(one) {
            match remove_capability_from_bounding_set(one) {
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(tried("give up rights")(error)),
            }
        }
    }
    if plan.only.is_some() {
        clear_ambient_capability_set().map_err(tried("give up rights"))?;
        set_no_new_privs(true).map_err(tried("give up rights"))?;
    }
    Ok(())
}

/// The last capability that there is, by number.
const CHECKPOINT_RESTORE: u32 = 40;

/// The code, and what COMMAND had too much of.
fn command_and_all(plan: &Plan, orders: BufReader<UnixStream>, command: &[OsString]) -> (u8, Option<Met>) {
    let Some((program, args)) = command.split_first() else {
        return (2, None);
    };
    let mut starting = match plan.limits == Limits::default() {
        true => Command::new(program),
        false => plainly(plan.limits, command),
    };
    if plan.limits == Limits::default() {
        starting.args(args);
    }
    starting.env("NFLAB", super::socket());
    if plan.tools_first {
        starting.env("PATH", search_path());
    }
    let pid = match starting.spawn() {
        Ok(child) => Pid::from_child(&child),
        Err(error) => return (cannot_run(program, &error), None),
    };
    let met = match &plan.only {
        Some(directory) => match bounds::watch(directory.clone(), pid) {
            Ok(met) => Some(met),
            // It would be without bounds; its namespace ends with us.
            Err(error) => return (cannot_run(program, &error), None),
        },
        None => None,
    };
    let met = || met.as_ref().and_then(|it| it.get().copied());
    if let Err(error) = std::thread::Builder::new().spawn(move || obey(orders, pid)) {
        // It could not be told to end; its namespace ends with us.
        return (cannot_run(program, &error), None);
    }
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => return (code_of(status), met()),
            // Somebody whose parent ended before it.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return (3, met()),
        }
    }
}

/// What a script's run is known by besides its tools' calls.
const TOLD_BY_FILES: &[&str] = &["missing", "proc-sys"];

/// The code is as shells have it.
pub(super) fn cannot_run(program: &OsStr, error: &std::io::Error) -> u8 {
    tell!(
        "nflab: cannot run {}: {}",
        text_of_os(program),
        without_number(&error.to_string())
    );
    match error.kind() {
        std::io::ErrorKind::NotFound => 127,
        _ => 126,
    }
}

/// Signals for COMMAND, a byte each. Where they end, COMMAND is ended, and with it everything.
fn obey(mut orders: BufReader<UnixStream>, command: Pid) {
    let mut order = [0];
    loop {
        let signal = match orders.read(&mut order) {
            Ok(1) => Signal::from_named_raw(i32::from(order[0])).unwrap_or(Signal::TERM),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            _ => Signal::KILL,
        };
        // It may have ended just now.
        let _ = kill_process(command, signal);
        if signal == Signal::KILL {
            return;
        }
    }
}

fn code_of(status: WaitStatus) -> u8 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128u8.wrapping_add(signal as u8),
        (None, None) => 1,
    }
}

fn search_path() -> OsString {
    let mut path = first_tools().into_os_string();
    if let Some(rest) = std::env::var_os("PATH").filter(|rest| !rest.is_empty()) {
        path.push(":");
        path.push(rest);
    }
    path
}
