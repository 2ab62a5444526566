//! `up --detach`: a lab in a process of its own, in a session of its own, whose beginning is still told at the terminal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, getppid, set_parent_process_death_signal, setsid, waitpid};

use super::keeper::let_go_of_the_terminal;
use crate::device::syscall::{Forked, fork};

/// Which of the two processes this is.
pub(crate) enum Detached {
    /// The one that was called: it has waited until the lab was up, or was not, and shall exit with this.
    Caller(u8),
    /// The lab's.
    Lab(Terminal),
}

/// The caller's terminal, as long as it waits.
#[derive(Debug)]
pub(crate) struct Terminal(OwnedFd);

/// Divides the process. Call it before any thread is started.
pub(crate) fn detach() -> io::Result<Detached> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let caller = rustix::process::getpid();
    match fork()? {
        Forked::Parent(lab) => {
            drop(write);
            wait(lab, read).map(Detached::Caller)
        }
        Forked::Child => {
            drop(read);
            // Who gives up waiting doesn't want the lab; what was made by then goes as at any end.
            set_parent_process_death_signal(Some(Signal::TERM))?;
            if getppid() != Some(caller) {
                return Err(io::Error::other("who called is gone"));
            }
            // No Ctrl-C and no hang-up of the terminal comes here any more.
            setsid()?;
            Ok(Detached::Lab(Terminal(write)))
        }
    }
}

impl Terminal {
    /// The lab is up: from now on it writes to the log, and the caller may go.
    pub(crate) fn let_go(self, log: &File) -> io::Result<()> {
        let_go_of_the_terminal(log)?;
        set_parent_process_death_signal(None)?;
        // A caller that is gone needs no word.
        let _ = File::from(self.0).write_all(&[0]);
        Ok(())
    }
}

fn wait(lab: Pid, pipe: OwnedFd) -> io::Result<u8> {
    // One byte, not up to the end: the router's process has the other end too.
    let mut said = [0; 1];
    if File::from(pipe).read(&mut said)? == said.len() {
        return Ok(0);
    }
    // It has said why at the terminal.
    loop {
        match waitpid(Some(lab), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status.exit_status().map_or(FAILED, |code| code as u8)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

const FAILED: u8 = 3;
