//! The two processes of a lab that is up. The keeper holds the lock, the state and the privileges by which namespaces and devices are removed,
//! and does nothing but wait. Its child is the router: it carries the packets and answers at the control socket, without any privilege.
//!
//! Neither outlives the other. The kernel kills the router when its keeper ends, however that ends; the keeper sees its router end, and takes
//! down what it keeps. Both hold the lab's lock, so that it is free when both are gone and not before.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    PidfdFlags, Signal, WaitId, WaitIdOptions, getppid, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
    waitid,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::privileges::{self, Privileges};
use super::process::ProcessRecord;
use super::up::LiveLab;
use crate::device::syscall::{Forked, fork};

/// Which of the two this process is.
pub(crate) enum Divided {
    /// The router, which has ended; the process shall exit with this.
    Router(u8),
    Keeper(Box<Keeper>),
}

/// A lab that is kept for a router.
#[derive(Debug)]
pub(crate) struct Keeper {
    live: LiveLab,
    router: OwnedFd,
    record: Option<ProcessRecord>,
}

/// How the router ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was asked to.
    Orderly,
    /// It was not, or broke off; the words follow "the router's process".
    Died(String),
}

/// What the router says to its keeper: that it is there.
#[derive(Debug)]
pub(crate) struct Ready {
    pipe: OwnedFd,
    landlock: String,
}

impl Ready {
    pub(crate) fn tell(self) {
        // A keeper that is gone takes this process along.
        let _ = File::from(self.pipe).write_all(format!("{READY}{}", self.landlock).as_bytes());
    }
}

/// Makes a second process for the router, which ends its privileges and then runs `router`: whatever that needs, it holds; what of it is
/// left in the keeper is dropped. Call it before any thread is started. The keeper comes back once the router has said that it is ready.
///
/// `log`: where the router's output goes; without one it keeps this process's.
pub(crate) fn divide(
    mut live: LiveLab,
    log: Option<&File>,
    router: impl FnOnce(Ready) -> u8,
) -> Result<Divided, DivideError> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
    let keeper = rustix::process::getpid();
    let pid = match fork()? {
        Forked::Child => {
            drop(read);
            // Its lock stays held by this process too; its namespaces and devices are the keeper's to remove.
            std::mem::forget(live);
            let begun = begin(log, keeper);
            return Ok(Divided::Router(match begun {
                Ok(landlock) => router(Ready { pipe: write, landlock }),
                Err(error) => {
                    let _ = File::from(write).write_all(error.to_string().as_bytes());
                    NOT_BEGUN
                }
            }));
        }
        Forked::Parent(pid) => pid,
    };
    drop((router, write));
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from)?;
    let mut said = String::new();
    File::from(read).read_to_string(&mut said)?;
    let Some(landlock) = said.strip_prefix(READY) else {
        let _ = pidfd_send_signal(&descriptor, Signal::KILL);
        let ended = wait(&descriptor)?;
        return Err(match said.is_empty() {
            true => DivideError::Died(ended),
            false => DivideError::NotBegun(said),
        });
    };
    let pid = pid.as_raw_nonzero().get();
    live.set_router(pid, Privileges::of(pid, landlock)?)?;
    Ok(Divided::Keeper(Box::new(Keeper {
        live,
        router: descriptor,
        record: ProcessRecord::of(pid),
    })))
}

/// The child's first steps.
fn begin(log: Option<&File>, keeper: rustix::process::Pid) -> io::Result<String> {
    if let Some(log) = log {
        let_go_of_the_terminal(log)?;
    }
    let _ = rustix::thread::set_name(c"nflab-router");
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(keeper) {
        return Err(io::Error::other("its keeper is gone"));
    }
    privileges::end()
}

/// Standard input is empty from now on, and output goes to the log.
pub(crate) fn let_go_of_the_terminal(log: &File) -> io::Result<()> {
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(log)?;
    dup2_stderr(log)?;
    Ok(())
}

impl Keeper {
    pub(crate) fn live(&self) -> &LiveLab {
        &self.live
    }

    /// Waits until the router has ended, by itself or because `signals` (of
    /// [`termination_signals`](crate::device::syscall::termination_signals)) had one.
    pub(crate) fn wait(&self, signals: &OwnedFd) -> io::Result<Ended> {
        let mut deadline: Option<Instant> = None;
        loop {
            let mut events = [
                PollFd::new(&self.router, PollFlags::IN),
                PollFd::new(signals, PollFlags::IN),
            ];
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut events, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !events[0].revents().is_empty() {
                return wait(&self.router);
            }
            if !events[1].revents().is_empty() && rustix::io::read(signals, &mut [0; 128]).is_ok() {
                // On Ctrl-C the router has its own, and ends as well.
                let _ = pidfd_send_signal(&self.router, Signal::TERM);
                deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                // Once it ends, its devices are closed by the kernel, some ten milliseconds each, and more where the machine is busy; to kill it
                // then would be in vain. What has to happen in time is that it begins to.
                if self.record.is_some_and(|router| router.is_ending()) {
                    deadline = Some(Instant::now() + PATIENCE);
                    continue;
                }
                let _ = pidfd_send_signal(&self.router, Signal::KILL);
                deadline = Some(Instant::now() + PATIENCE);
            }
        }
    }

    pub(crate) fn into_live(self) -> LiveLab {
        self.live
    }
}

fn wait(router: &OwnedFd) -> io::Result<Ended> {
    let status = loop {
        match waitid(WaitId::PidFd(router.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => break status,
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => Ended::Orderly,
        (_, Some(signal)) => Ended::Died(format!("was ended by signal {signal}")),
        (code, None) => Ended::Died(format!("ended with {}", code.unwrap_or(-1))),
    })
}

/// Why there is no router. What the lab had made is gone again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DivideError {
    #[error("no process for the router: {0}")]
    System(#[from] io::Error),
    #[error("the router does not begin: {0}")]
    NotBegun(String),
    #[error("the router does not begin: its process {}", match .0 { Ended::Orderly => "was asked to end", Ended::Died(how) => how })]
    Died(Ended),
}

const READY: &str = "ready ";
const NOT_BEGUN: u8 = 3;
/// How long a router may take to begin its end when asked.
const PATIENCE: Duration = Duration::from_secs(2);
